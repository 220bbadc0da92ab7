/* rheo ensemble: several models, averaged, as one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const arg_option options[] = {
    {.name = "output", .letter = 'o', .kind = ARG_TEXT, .value = "FILE", .help = "Write the model here; required."},
    {.name = "weights",
     .kind = ARG_TEXT,
     .value = "W,W,...",
     .help = "One positive number for each model, in their order; only their proportions count. Default: equal weights."},
};

static void human(json_t *report) {
  printf("%lld flows of %lld column%s, %lld parameters\n",
         (long long)json_array_size(json_object_get(json_object_get(report, "spec"), "mixture")), count_of(report, "columns"),
         count_of(report, "columns") == 1 ? "" : "s", count_of(report, "parameters"));
}

/* "2,1" -> {"weights": [2, 1]}, to be freed; NULL with the error printed. */
static char *weights_json(const char *text) {
  const size_t n = strlen(text) + 20;
  char *json = malloc(n);
  if (json) snprintf(json, n, "{\"weights\":[%s]}", text);
  json_t *parsed = json ? json_loads(json, 0, NULL) : NULL;
  if (!parsed) {
    complain(EXIT_USAGE, "ensemble: --weights takes numbers with commas between them, such as 2,1,1; not '%s'", text);
    free(json);
    json = NULL;
  }
  json_decref(parsed);
  return json;
}

static rh_status average(const cli_args *args, const char *text, const char *output, char **report) {
  rh_density *member[CLI_OPERANDS] = {NULL}, *whole = NULL;
  rh_status status = RH_OK;
  for (int i = 0; i < args->operands && status == RH_OK; i++) status = rh_density_open(args->operand[i], "{\"threads\":1}", &member[i]);
  if (status == RH_OK) status = rh_density_ensemble(args->operands, member, text, &whole);
  if (status == RH_OK) status = rh_density_save(whole, output);
  if (status == RH_OK) status = rh_density_info(whole, 0, report);
  rh_density_close(whole);
  for (int i = 0; i < args->operands; i++) rh_density_close(member[i]);
  return status;
}

static int run(const cli_args *args) {
  const char *output = arg_text(args, "output", NULL), *weights = arg_text(args, "weights", NULL);
  if (!output) return complain(EXIT_USAGE, "ensemble: say where to write the model: -o FILE");
  char *text = NULL, *report = NULL;
  if (weights && !(text = weights_json(weights))) return EXIT_USAGE;
  const rh_status status = average(args, text, output, &report);
  free(text);
  return status == RH_OK ? finish(args, report, human) : complain_status(status);
}

const cli_command command_ensemble = {
    .name = "ensemble",
    .operands = "MODEL... -o OUT",
    .summary = "Average the densities of several models of the same columns into one model.",
    .details =
        "The density of the new model is the weighted average of the members' densities, p(x) = sum of w_k p_k(x), so its log p is at "
        "least that of the best member less the logarithm of its share. Members may differ in architecture, seed and preprocessing, "
        "but are of the same columns. Members given a context are fitted to the same training rows (the same TRAIN and --val FILE), for "
        "they "
        "must read it alike; where categories have learned embeddings a model is averaged with none but itself. The model scores and "
        "samples; it has no codes.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .least_operands = 1,
    .most_operands = CLI_OPERANDS,
    .run = run};
