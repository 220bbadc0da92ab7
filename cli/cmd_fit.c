/* rheo fit */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "shared_options.h"

static const arg_option options[] = {
    {.name = "output",
     .letter = 'o',
     .kind = ARG_TEXT,
     .value = "MODEL",
     .help = "The model file to write. Required. A checkpoint is kept beside it (MODEL.ckpt) while the fit runs."},
    VAL_OPTION("stop the fit early and choose the parameters that are kept"),
    TEST_OPTION("never used to choose anything"),
    ARCH_OPTION,
    {.name = "spec",
     .kind = ARG_TEXT,
     .value = "FILE",
     .help =
         "Instead of --arch: a JSON file with the flow's own specification, {\"flow\": ..., \"base\": ...}, as model files have it. The "
         "columns' handling stays in front, unless the file has a \"preprocess\"; --set then takes options of the training only."},
    SET_OPTION("the architecture"),
    HANDLE_OPTION,
    EPOCHS_OPTION("the fit", ""),
    STEPS_OPTION("the fit", ""),
    TIME_OPTION("End the fit after this time, such as 90s, 10m or 1h30m. Such a run depends on the machine's speed; runs ended by --epochs "
                "or --steps give the same bytes again."),
    SEED_OPTION("Of the initial values, the order of rows, splits and noise."),
    FIT_DTYPE_OPTION,
    SPLIT_OPTION("test where these are not given as files. Default 0.8,0.1,0.1."),
    COLUMNS_OPTION(""),
    {.name = "context",
     .kind = ARG_TEXT,
     .value = "LIST",
     .help =
         "Fit the density of the other columns given these, p(others | context): names, numbers from 1, ranges. Numbers are standardized; "
         "a column of texts holds categories."},
    {.name = "categorical",
     .kind = ARG_TEXT,
     .value = "LIST",
     .help = "Context columns that hold categories coded as whole numbers, or as texts and numbers. Up to 4 categories become one number "
             "each, more an embedding."},
    {.name = "embedding",
     .kind = ARG_COUNT,
     .value = "N",
     .least = 1,
     .most = 1024,
     .help = "Numbers of the learned vector that stands for a category. Default: half as many as there are categories, at most 50."},
    HEADER_OPTION,
    IMAGE_FIT_OPTIONS,
    {.name = "memory",
     .kind = ARG_CHOICE,
     .value = "POLICY",
     .choices = "keep|recompute",
     .help = "Keep activations for the backward pass (default), or recompute them: less memory, a third more time."},
    {.name = "resume",
     .kind = ARG_FLAG,
     .help = "Go on from MODEL.ckpt if there is one; ends with the bytes of a run that was never stopped. A finished run is left as it is; "
             "the model of another fit is not replaced."},
    {.name = "any-isa",
     .kind = ARG_FLAG,
     .help = "With --resume: accept a checkpoint made at another instruction-set level. The bytes will differ."},
    {.name = "log",
     .kind = ARG_TEXT,
     .value = "FILE",
     .help = "Write one line of JSON an event (start, epoch, skip, rollback, checkpoint, done). With --resume it is appended to."},
};

typedef struct cli_watch {
  fit_log log;
  bool quiet;
} cli_watch;

static int on_event(void *arg, const rh_fit_event *event) {
  cli_watch *watch = arg;
  progress_show(event, watch->quiet);
  fit_log_put(&watch->log, event->log);
  return stop_asked();
}

static bool same_file(const char *a, const char *b) {
  struct stat one, other;
  return !to_stdout(b) && stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/* The file of --spec -> *spec, NULL where there is none. EXIT_DONE, or the error printed. */
static int read_spec(const cli_args *args, json_t **spec) {
  const char *path = arg_text(args, "spec", NULL);
  *spec = NULL;
  if (!path) return EXIT_DONE;
  if (same_file(path, arg_text(args, "output", "-")))
    return complain(EXIT_USAGE, "fit: -o %s is also --spec: give the model another name", path);
  FILE *file = fopen(path, "rb");
  if (!file) return complain(EXIT_FAILED, "%s: cannot open: %s", path, strerror(errno));
  json_error_t error;
  errno = 0;
  *spec = json_loadf(file, JSON_REJECT_DUPLICATES, &error);
  const int failed = ferror(file) ? errno : 0;
  fclose(file);
  if (failed) {
    json_decref(*spec);
    return complain(EXIT_FAILED, "%s: cannot read: %s", path, strerror(failed));
  }
  if (*spec) return EXIT_DONE;
  return complain(EXIT_USAGE, "%s: line %d, column %d: not JSON: %s", path, error.line, error.column, error.text);
}

/* Takes spec. */
static char *fit_options(const cli_args *args, json_t *spec) {
  static const struct { const char *option, *key; } renamed[] = {{"any-isa", "any_isa"}};
  static const char *const keys[] = {"output", "arch",    "set",         "handle",    "epochs",       "steps",  "time",    "seed",
                                     "dtype",  "split",   "columns",     "header",    "memory",       "resume", "any-isa", "threads",
                                     "isa",    "context", "categorical", "embedding", IMAGE_FIT_KEYS, NULL};
  json_t *picked = json_object();
  for (int i = 0; keys[i]; i++) {
    json_t *value = json_object_get(args->given, keys[i]);
    const char *key = keys[i];
    for (size_t r = 0; r < sizeof renamed / sizeof *renamed; r++) {
      if (strcmp(key, renamed[r].option) == 0) key = renamed[r].key;
    }
    if (value) json_object_set(picked, key, value);
  }
  const char *split = arg_text(args, "split", NULL);
  if (split) json_object_set_new(picked, "split", split_list(split));
  if (spec) json_object_set_new(picked, "spec", spec);
  char *text = json_dumps(picked, JSON_COMPACT);
  json_decref(picked);
  return text;
}

static void print_figure(const char *name, const json_t *report, const char *stderr_key) {
  const double value = real_of(report, name), error = real_of(report, stderr_key);
  if (isnan(value)) return;
  printf("%-10s %.4f", name, value);
  if (!isnan(error)) printf(" +- %.4f", error);
  printf(" nats a row");
  char bits[40];
  snprintf(bits, sizeof bits, "%s_bits_per_dim", name);
  if (json_is_number(json_object_get(report, bits))) printf(", %.4f bits/dim", real_of(report, bits));
  printf("\n");
}

static void human(json_t *report) {
  if (*text_of(report, "why")) printf("%s\n", text_of(report, "why"));
  print_figure("train", report, "");
  print_figure("val", report, "val_stderr");
  print_figure("test", report, "test_stderr");
  if (json_object_get(report, "evaluations_forward"))
    printf("evaluations of the field %.1f a row forwards, %.1f back, in the last epoch\n", real_of(report, "evaluations_forward"),
           real_of(report, "evaluations_back"));
  const bool already = json_is_true(json_object_get(report, "already_done"));
  printf("%s %s, %lld parameters, ended by %s after %lld epochs (%lld steps, %lld skipped)", text_of(report, "arch"),
         text_of(report, "dtype"), count_of(report, "parameters"), text_of(report, "stopped"), count_of(report, "epochs"),
         count_of(report, "steps"), count_of(report, "skipped_steps"));
  if (already)
    printf(": it was finished, and stays as it is\n");
  else
    printf(", %.1f s\n", real_of(report, "seconds"));
}

static int run(const cli_args *args) {
  const char *output = arg_text(args, "output", NULL);
  if (!output) return complain(EXIT_USAGE, "fit: where should the model go? give -o MODEL");
  int code = refuse_json(args, output);
  if (code) return code;
  cli_watch watch = {.quiet = args->quiet};
  json_t *spec;
  code = read_spec(args, &spec);
  if (code) return code;
  code = fit_log_open(&watch.log, args);
  if (code) return json_decref(spec), code;
  stop_on_signals();
  char *fit = fit_options(args, spec), *report = NULL;
  const rh_status status =
      rh_fit_files(args->operand[0], arg_text(args, "val", NULL), arg_text(args, "test", NULL), fit, on_event, &watch, NULL, &report);
  free(fit);
  progress_end();
  fit_log_close(&watch.log);
  if (status != RH_OK) return complain_status(status);
  code = finish(args, report, to_stdout(output) ? NULL : human);
  if (watch.log.failed)
    return complain(EXIT_FAILED, "%s: the log is not whole: %s is full or gone; the model was saved", watch.log.path, watch.log.path);
  return code;
}

const cli_command command_fit = {
    .name = "fit",
    .operands = "TRAIN -o MODEL",
    .summary = "Fit a density to the rows of a table, or to images, and save it as a model.",
    .details =
        "TRAIN holds images where it is an IDX file, a batch of CIFAR, an array of 3 or 4 axes (NPY, NPZ) or a folder of PNG, PGM or "
        "PPM files; from standard input where an option of images is given. "
        "Ctrl-C ends the fit cleanly: the best model so far is saved and the checkpoint stays, so --resume can go on.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .least_operands = 1,
    .most_operands = 1,
    .run = run,
};
