/* rheo info: what a model is, in words and shapes. */
#include <math.h>
#include <stdio.h>

#include "cli.h"

static const arg_option options[] = {
    {.name = "plan", .kind = ARG_FLAG, .help = "Also print how it runs: nodes, bytes and operations a row, rows of a block and why."},
    {.name = "nodes", .kind = ARG_FLAG, .help = "With --plan: every node of the program."},
    {.name = "dtype",
     .kind = ARG_CHOICE,
     .value = "TYPE",
     .choices = "f32|f64",
     .help = "The arithmetic of the plan; default: that of the fit."},
};

static void print_value(const char *key, json_t *value, int indent);

static void print_object(json_t *object, int indent) {
  const char *key;
  json_t *value;
  json_object_foreach(object, key, value) print_value(key, value, indent);
}

/* Objects as an indented list, everything else on one line. */
static void print_value(const char *key, json_t *value, int indent) {
  if (json_is_object(value)) {
    printf("%*s%s\n", indent, "", key);
    print_object(value, indent + 2);
    return;
  }
  char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(7));
  printf("%*s%-*s %s\n", indent, "", 24 - indent, key, json_is_string(value) ? json_string_value(value) : text ? text : "");
  free(text);
}

static void human(json_t *report) {
  print_object(report, 0);
}

static int run(const cli_args *args) {
  int code;
  rh_density *density = open_model(args, &code);
  if (!density) return code;
  char *info = NULL, *plan = NULL;
  rh_status status = rh_density_info(density, arg_flag(args, "plan"), &info);
  if (status == RH_OK && arg_flag(args, "plan")) status = rh_density_plan(density, arg_flag(args, "nodes"), &plan);
  rh_density_close(density);
  if (status != RH_OK) {
    rh_text_free(info);
    return complain_status(status);
  }
  if (plan && !args->quiet) printf("%s\n", plan);
  rh_text_free(plan);
  return finish(args, info, human);
}

const cli_command command_info = {.name = "info",
                                  .operands = "MODEL",
                                  .summary = "What a model is: architecture, shapes, parameters, memory, how it was fitted.",
                                  .options = options,
                                  .option_count = sizeof options / sizeof *options,
                                  .least_operands = 1,
                                  .most_operands = 1,
                                  .run = run};
