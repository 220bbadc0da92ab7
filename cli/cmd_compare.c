/* rheo compare: several architectures on one table. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static const arg_option options[] = {
    {.name = "val",
     .kind = ARG_TEXT,
     .value = "FILE",
     .help = "Rows for validation: they rank the candidates, and stop each fit early. Without it a part of TRAIN is held out."},
    {.name = "test",
     .kind = ARG_TEXT,
     .value = "FILE",
     .help = "Rows for the test figure; they rank nothing. Without it, and without --val, a part of TRAIN is held out."},
    {.name = "arch",
     .kind = ARG_TEXT,
     .value = "LIST",
     .help = "What to compare, as in realnvp,nice. Default: every architecture, and variants worth a try."},
    {.name = "time",
     .kind = ARG_TIME,
     .value = "TIME",
     .least = 0.001,
     .most = 1e8,
     .help = "For all fits together, such as 10m; default 20m, where neither --epochs nor --steps is given."},
    {.name = "epochs",
     .kind = ARG_COUNT,
     .value = "N",
     .least = 1,
     .most = 1e9,
     .help = "End each fit after N epochs instead: the same bytes again."},
    {.name = "steps", .kind = ARG_COUNT, .value = "N", .least = 1, .most = 1e12, .help = "End each fit after N steps instead."},
    {.name = "seeds",
     .kind = ARG_COUNT,
     .value = "K",
     .least = 1,
     .most = 64,
     .help = "Fits of each candidate, with seeds N, N+1, ... (--seed); their log-densities are averaged. Default 1."},
    {.name = "output", .letter = 'o', .kind = ARG_TEXT, .value = "MODEL", .help = "Write the best model."},
    {.name = "all", .kind = ARG_TEXT, .value = "PREFIX", .help = "Write every candidate's model, as PREFIX-NAME.rheo."},
    {.name = "set",
     .kind = ARG_PAIR,
     .value = "KEY=VALUE",
     .help = "An option of the training, or of every architecture compared, as in rheo fit. May be repeated."},
    {.name = "handle", .kind = ARG_CHOICE, .value = "HOW", .choices = "auto|none", .help = "As in rheo fit."},
    {.name = "seed", .kind = ARG_COUNT, .value = "N", .most = 9e18, .help = "Of the split and of the (first) fit. Default 0."},
    {.name = "dtype", .kind = ARG_CHOICE, .value = "TYPE", .choices = "f32|f64", .help = "The arithmetic: f32 (default) or f64."},
    {.name = "split",
     .kind = ARG_TEXT,
     .value = "A,B,C",
     .help = "Shares of TRAIN for training, validation and test where these are not given as files. Default 0.8,0.1,0.1."},
    {.name = "columns",
     .kind = ARG_TEXT,
     .value = "LIST",
     .help = "Use these columns: names, numbers from 1, ranges (a,b,3-7); -c leaves one out."},
    HEADER_OPTION,
};

static int on_event(void *arg, const rh_compare_event *event) {
  const bool quiet = *(const bool *)arg;
  const rh_fit_event *fit = event->fit;
  if (quiet) return stop_asked();
  if (fit->kind == RH_FIT_START) {
    progress_end();
    fprintf(stderr, "[%d/%d", event->number, event->candidates);
    if (event->rounds > 1) fprintf(stderr, ", round %d of %d", event->round, event->rounds);
    fprintf(stderr, "] %s, seed %llu", event->candidate, (unsigned long long)event->seed);
    if (event->seconds > 0) fprintf(stderr, ", %.3g s", event->seconds);
    fprintf(stderr, "\n");
  } else if (fit->kind == RH_FIT_DONE) {
    progress_end();
    fprintf(stderr, "  val %.4f after %lld epochs, %.1f s\n", fit->best_val, (long long)fit->epoch, fit->elapsed);
  } else if (isatty(STDERR_FILENO)) {
    progress_show(fit, false);
  }
  return stop_asked();
}

/* "-41.2310 +- 0.0882" */
static const char *figure(const json_t *row, const char *mean, const char *error, char text[64]) {
  const double value = real_of(row, mean), stderr_ = real_of(row, error);
  *text = 0;
  if (isnan(value)) return text;
  const int used = snprintf(text, 64, "%.4f", value);
  if (!isnan(stderr_)) snprintf(text + used, 64 - (size_t)used, " +- %.4f", stderr_);
  return text;
}

static void print_row(const json_t *row, int width, bool test) {
  char val[64], difference[64], tested[64];
  printf("%-*s ", width, text_of(row, "name"));
  if (*text_of(row, "error")) {
    printf(" failed: %s\n", text_of(row, "error"));
    return;
  }
  figure(row, "val", "val_stderr", val);
  if (!*val) snprintf(val, sizeof val, "%lld of density 0", count_of(row, "val_zero_density"));
  figure(row, "difference", "difference_stderr", difference);
  if (!json_object_get(row, "difference")) snprintf(difference, sizeof difference, "best");
  printf(" %-20s  %-18s%s", val, difference, json_is_true(json_object_get(row, "tie")) ? "  tie " : "      ");
  if (test) printf("  %-20s", figure(row, "test", "test_stderr", tested));
  printf("  %10lld  %6lld  %7.1f\n", count_of(row, "parameters"), count_of(row, "epochs"), real_of(row, "seconds"));
}

static void print_ties(const json_t *list) {
  int ties = 0;
  size_t i;
  const json_t *row;
  json_array_foreach(list, i, row) ties += json_is_true(json_object_get(row, "tie"));
  if (ties > 0) printf("tie: within two standard errors of the best, which these rows cannot tell from it\n");
}

static void human(json_t *report) {
  const json_t *list = json_object_get(report, "candidates"), *row;
  const bool test = count_of(report, "test_rows") > 0;
  int width = 9;
  size_t i;
  json_array_foreach(list, i, row) {
    const int length = (int)strlen(text_of(row, "name"));
    if (length > width) width = length;
  }
  printf("%-*s  %-20s  %-18s      ", width, "candidate", "val, nats a row", "to the best");
  if (test) printf("  %-20s", "test");
  printf("  %10s  %6s  %7s\n", "parameters", "epochs", "seconds");
  json_array_foreach(list, i, row) print_row(row, width, test);
  print_ties(list);
  printf("%lld training, %lld validation, %lld test rows; %.1f s", count_of(report, "train_rows"), count_of(report, "val_rows"),
         count_of(report, "test_rows"), real_of(report, "seconds"));
  printf("%s\n", json_is_true(json_object_get(report, "interrupted")) ? "; interrupted" : "");
}

static int run(const cli_args *args) {
  static const char *const keys[] = {"arch", "time",  "epochs", "steps",   "seeds",  "output",  "all", "set", "handle",
                                     "seed", "dtype", "split",  "columns", "header", "threads", "isa", NULL};
  const char *output = arg_text(args, "output", NULL);
  if (to_stdout(output)) return complain(EXIT_USAGE, "compare: standard output has the table: give -o a file");
  bool quiet = args->quiet;
  char *text = arg_pick_split(args, keys), *report = NULL;
  stop_on_signals();
  const rh_status status =
      rh_compare_files(args->operand[0], arg_text(args, "val", NULL), arg_text(args, "test", NULL), text, on_event, &quiet, NULL, &report);
  free(text);
  progress_end();
  return status == RH_OK ? finish(args, report, human) : complain_status(status);
}

const cli_command command_compare = {
    .name = "compare",
    .operands = "TRAIN",
    .summary = "Fit several architectures to a table under one budget, and rank them by held-out log-likelihood.",
    .details =
        "Every candidate sees the same split, the same handling of the columns and the same seeds. Validation rows rank them; "
        "differences to the best are row by row, with paired standard errors, and those within two of them are ties. With --time "
        "every candidate has the same share; from four on, half of the time goes to a first round of all of them and what is left to a "
        "second one of the best third (at least two), fitted anew. A fit that fails says so in its row. Ctrl-C ends with what is done.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .least_operands = 1,
    .most_operands = 1,
    .run = run,
};
