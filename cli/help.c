/* Help and the man page, from the commands' tables. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

enum { WIDTH = 80, INDENT = 24 };

/* Words of `text`, wrapped; the first line starts at column `at`, the others at `indent`. A newline in the text starts a new line. */
static void wrapped(const char *text, int at, int indent) {
  for (bool first = true; *text; first = false) {
    const int word = (int)strcspn(text, " \n");
    if (at + 1 + word > WIDTH && !first) {
      printf("\n%*s", indent, "");
      at = indent;
    } else if (!first && at > indent) {
      putchar(' ');
      at++;
    }
    printf("%.*s", word, text);
    at += word;
    text += word;
    if (*text == '\n') {
      printf("\n%*s", indent, "");
      at = indent;
    }
    if (*text) text++;
  }
  putchar('\n');
}

static void option_head(const arg_option *option, char *text, size_t room) {
  char letter[8] = "";
  if (option->letter) snprintf(letter, sizeof letter, "-%c, ", option->letter);
  snprintf(text, room, "%s--%s%s%s", letter, option->name, option->value ? " " : "", option->value ? option->value : "");
}

static void option_line(const arg_option *option) {
  char head[96];
  option_head(option, head, sizeof head);
  const int used = printf("  %-*s", INDENT - 3, head);
  if (used >= INDENT)
    printf("\n%*s", INDENT, "");
  else
    printf("%*s", INDENT - used, "");
  wrapped(option->help, INDENT, INDENT);
}

int print_help(const cli_command *command) {
  printf("usage: rheo %s %s [options]\n\n", command->name, command->operands);
  wrapped(command->summary, 0, 0);
  if (command->details) {
    putchar('\n');
    wrapped(command->details, 0, 0);
  }
  printf("\noptions:\n");
  for (int i = 0; i < command->option_count; i++) option_line(&command->options[i]);
  for (int i = 0; i < common_option_count; i++) option_line(&common_options[i]);
  return EXIT_DONE;
}

int print_usage(void) {
  printf("usage: rheo COMMAND ...\n\n");
  wrapped("Learns the probability density of a table, or of images, evaluates it, and samples from it.", 0, 0);
  printf("\ncommands:\n");
  for (const cli_command *const *at = commands; *at; at++) {
    printf("  %-12s", (*at)->name);
    wrapped((*at)->summary, 14, 14);
  }
  printf("\nrheo COMMAND --help tells more; rheo --version prints the version.\n");
  return EXIT_DONE;
}

/* ---- the man page ---- */

/* Roff text: hyphens and backslashes escaped, no line may start with a dot. */
static void roff(const char *text) {
  for (bool start = true; *text; text++) {
    if (*text == '\n') {
      printf("\n.br\n");
      start = true;
      continue;
    }
    if (start && (*text == '.' || *text == '\'')) printf("\\&");
    if (*text == '-')
      printf("\\-");
    else if (*text == '\\')
      printf("\\e");
    else
      putchar(*text);
    start = false;
  }
  putchar('\n');
}

static void roff_option(const arg_option *option) {
  printf(".TP\n");
  if (option->letter) printf("\\fB\\-%c\\fR, ", option->letter);
  printf("\\fB\\-\\-");
  for (const char *c = option->name; *c; c++) printf(*c == '-' ? "\\-" : "%c", *c);
  printf("\\fR");
  if (option->value) printf(" \\fI%s\\fR", option->value);
  putchar('\n');
  roff(option->help);
}

static void roff_command(const cli_command *command) {
  printf(".SS \"rheo %s %s\"\n", command->name, command->operands);
  roff(command->summary);
  if (command->details) {
    printf(".PP\n");
    roff(command->details);
  }
  for (int i = 0; i < command->option_count; i++) roff_option(&command->options[i]);
}

int print_man(void) {
  printf(
      ".TH RHEO 1 \"\" \"rheo %s\" \"User Commands\"\n.SH NAME\nrheo \\- normalizing flows: fit a density to a table or to images, score "
      "rows, draw samples\n",
      rh_version());
  printf(".SH SYNOPSIS\n");
  for (const cli_command *const *at = commands; *at; at++)
    printf(".B rheo %s\n.RI \"%s [\" options ]\n.br\n", (*at)->name, (*at)->operands);
  printf(".SH DESCRIPTION\n");
  roff(
      "rheo learns the probability density of a table of numbers with a normalizing flow, evaluates the exact log-density of rows, draws "
      "samples, and maps rows to codes and back. "
      "Tables are CSV, NPY or NPZ files, each also compressed by gzip; the name - is standard input or output. Log-densities are in nats "
      "per row, in the units of the file. "
      "Images are read from IDX, NPY, NPZ, CIFAR, PNG, PGM and PPM files and folders of them; a model of images scores them in bits/dim, "
      "too, and its samples are pictures. "
      "Errors are one line on standard error that says what is wrong, where, and what to do.");
  printf(".SH COMMANDS\n");
  for (const cli_command *const *at = commands; *at; at++) roff_command(*at);
  printf(".SS \"Options of every command\"\n");
  for (int i = 0; i < common_option_count; i++) roff_option(&common_options[i]);
  printf(".SH EXIT STATUS\n.TP\n0\ndone\n.TP\n1\nfailed; nothing was overwritten\n.TP\n2\nwrong usage\n");
  printf(
      ".SH EXAMPLES\n.nf\nrheo fit table.csv \\-o table.rheo\nrheo score table.rheo new.csv \\-o logp.csv\nrheo sample table.rheo \\-n "
      "1000 \\-o samples.csv\nrheo fit digits.npz \\-o digits.rheo\nrheo sample digits.rheo \\-n 64 \\-o digits.png\n.fi\n");
  return EXIT_DONE;
}
