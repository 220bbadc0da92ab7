/* rheo detect: how strange are rows? */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared_options.h"

static const arg_option options[] = {
    {.name = "model",
     .kind = ARG_TEXT,
     .value = "MODEL",
     .help = "Use this model instead of fitting one; TRAIN, where given, are then normal rows that it has not seen."},
    {.name = "output",
     .letter = 'o',
     .kind = ARG_TEXT,
     .value = "OUT",
     .help = "Write a line for every row: row, log_density, typicality, latent_norm, p_value, flag; of images also bits_per_dim."},
    {.name = "labels",
     .kind = ARG_TEXT,
     .value = "WHICH",
     .help = "0 or 1 (an anomaly) of every row of DATA: a column (name, or number from 1), else an array of its NPZ archive, else a file. "
             "AUROC and average precision of every score are then reported. Where TRAIN has such labels, only its rows of 0 train. Images: "
             "own, "
             "an array of their NPZ archive, else a file, IDX, NPY or NPZ."},
    {.name = "alarm",
     .kind = ARG_REAL,
     .value = "A",
     .least = 1e-9,
     .most = 1,
     .help = "Flag rows whose p-value is at most A: the rate of false alarms. Default 0.01."},
    {.name = "by",
     .kind = ARG_CHOICE,
     .value = "SCORE",
     .choices = "auto|log_density|typicality|latent_norm",
     .help = "The score that p-values go by. Default auto: log_density, but latent_norm where columns hold values that repeat among "
             "continuous ones, so that a density has no bound."},
    {.name = "draws",
     .kind = ARG_COUNT,
     .value = "N",
     .least = 1,
     .most = 1e6,
     .help = "Draws a row of the noise that discrete columns and images need, averaged. Default 16; of images and with --model 1."},
    ARCH_OPTION,
    SET_OPTION("the architecture"),
    HANDLE_OPTION,
    EPOCHS_OPTION("the fit", ""),
    STEPS_OPTION("the fit", ""),
    TIME_OPTION("End the fit after this time, such as 90s."),
    SEED_OPTION("Of the split, the fit and the noise."),
    FIT_DTYPE_OPTION,
    SPLIT_OPTION("held-out rows. Default: held out are enough for p-values of half of --alarm, "
                 "but a tenth at least and three tenths at most."),
    IMAGE_PREPARING_OPTIONS,
    COLUMNS_OPTION(" That of the labels is left out by itself."),
    HEADER_OPTION,
    SOLVER_OPTIONS,
};

static int on_event(void *arg, const rh_fit_event *event) {
  progress_show(event, *(const bool *)arg);
  return stop_asked();
}

static void print_share(const char *name, const json_t *report, const char *key, const char *of) {
  const double share = real_of(report, key);
  if (!isnan(share)) printf("%-13s %.4f of %lld %s\n", name, share, count_of(report, of), of);
}

static void print_labels(const json_t *report) {
  static const char *const scores[] = {"log_density", "typicality", "latent_norm"};
  const json_t *auroc = json_object_get(report, "auroc"), *precision = json_object_get(report, "average_precision");
  if (!auroc) return;
  print_share("detected", report, "detected", "anomalies");
  print_share("false alarms", report, "false_alarms", "normal");
  printf("score          AUROC   average precision\n");
  for (size_t i = 0; i < sizeof scores / sizeof *scores; i++) {
    const double area = real_of(auroc, scores[i]);
    if (isnan(area))
      printf("%-13s  undefined: %s\n", scores[i],
             count_of(report, "anomalies") && count_of(report, "normal") ? "the model has no codes" : "there is one class");
    else
      printf("%-13s  %.4f  %.4f\n", scores[i], area, real_of(precision, scores[i]));
  }
}

static void human(json_t *report) {
  const json_t *fit = json_object_get(report, "fit");
  if (json_is_object(fit))
    printf("%s fitted to %lld rows, %lld epochs, %.1f s\n", text_of(fit, "arch"), count_of(report, "train_rows"), count_of(fit, "epochs"),
           real_of(fit, "seconds"));
  printf("p-values by %s, among %lld %s\n", text_of(report, "by"), count_of(report, "reference_rows"), text_of(report, "reference"));
  printf("flagged       %lld of %lld rows, at a rate of false alarms of %g\n", count_of(report, "flagged"), count_of(report, "rows"),
         real_of(report, "alarm"));
  if (json_is_number(json_object_get(report, "typical_bits_per_dim")))
    printf("typical       %.4f bits/dim, the median of normal images\n", real_of(report, "typical_bits_per_dim"));
  print_labels(report);
}

/* Options that only a fit has, or only a model that is there. */
static int refuse_options(const cli_args *args, const char *model) {
  static const char *const fit[] = {"arch", "set", "handle", "epochs", "steps", "time", "split", IMAGE_PREPARING_KEYS, NULL};
  static const char *const solver[] = {SOLVER_KEYS, NULL};
  for (int i = 0; fit[i] && model; i++)
    if (json_object_get(args->given, fit[i]))
      return complain(EXIT_USAGE, "detect: --%s is for a fit, and --model has been fitted: leave one of them out", fit[i]);
  for (int i = 0; solver[i] && !model; i++)
    if (json_object_get(args->given, solver[i]))
      return complain(EXIT_USAGE, "detect: --%s is for a model that is given, --model MODEL; of a fit it is one of --set", solver[i]);
  return EXIT_DONE;
}

static bool is_model(const char *path) {
  const size_t n = strlen(path);
  return n > 5 && strcmp(path + n - 5, ".rheo") == 0;
}

static int run(const cli_args *args) {
  static const char *const fit_keys[] = {"labels", "alarm",   "by",     "draws",   "arch", "set",
                                         "handle", "epochs",  "steps",  "time",    "seed", "dtype",
                                         "split",  "columns", "header", "threads", "isa",  IMAGE_PREPARING_KEYS,
                                         NULL};
  static const char *const model_keys[] = {"labels", "alarm", "by", "draws", "columns", "header", NULL};
  const char *output = arg_text(args, "output", NULL), *model = arg_text(args, "model", NULL);
  const char *normal = args->operands > 1 ? args->operand[0] : NULL, *data = args->operand[args->operands - 1];
  bool quiet = args->quiet;
  int code = refuse_json(args, output);
  if (code) return code;
  if (!model && (!normal || is_model(normal)))
    return complain(EXIT_USAGE, "detect: what is normal? give TRAIN DATA, tables or images both, or --model MODEL DATA");
  if ((code = refuse_options(args, model))) return code;
  rh_density *density = model ? open_model_at(args, model, &code) : NULL;
  if (code) return code;
  char *text = arg_pick_split(args, model ? model_keys : fit_keys), *report = NULL;
  stop_on_signals();
  const rh_status status = rh_detect_files(density, normal, data, output, text, on_event, &quiet, &report);
  free(text);
  progress_end();
  rh_density_close(density);
  return status == RH_OK ? finish(args, report, to_stdout(output) ? NULL : human) : complain_status(status);
}

const cli_command command_detect = {
    .name = "detect",
    .operands = "[TRAIN] DATA",
    .summary = "Find anomalies: score rows by a density of normal ones, with p-values from held-out rows.",
    .details =
        "A density is fitted to the rows of TRAIN, which are taken as normal, and a part of them held out; or --model gives one. "
        "Scores: log_density, nats a row; typicality, the distance of the log-density from the median one of normal rows, for too "
        "likely is strange, too; latent_norm, the squared norm of the code's normal scores under the base. p_value is (1 + held-out rows "
        "at least as strange) / (1 + "
        "held-out rows): a normal row is flagged with a probability of --alarm at most. Columns that the fit dropped are not looked at. "
        "TRAIN and DATA may be images, of one shape, as rheo fit reads them.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .least_operands = 1,
    .most_operands = 2,
    .run = run,
};
