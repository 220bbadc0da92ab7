/* rheo interpolate, attribute, reconstruct: what can be seen of a model of images. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "shared_options.h"

#define PICTURE_OPTION(MORE)                                                                                      \
  {                                                                                                               \
    .name = "output", .letter = 'o', .kind = ARG_TEXT, .value = "OUT",                                            \
    .help = "Where the images go: a picture of all (OUT.png), an array (OUT.npy) or a PNG each (a FOLDER/)." MORE \
  }

static const arg_option interpolate_options[] = {
    PICTURE_OPTION(" Required."),
    {.name = "steps",
     .kind = ARG_COUNT,
     .value = "N",
     .least = 2,
     .most = 65536,
     .help = "Images on the path, both ends counted. Default 8."},
    {.name = "path",
     .kind = ARG_CHOICE,
     .value = "WHICH",
     .choices = "line|sphere",
     .help = "A straight line between the codes (default), or the great circle through them, on which codes stay as long as the ends are."},
    {.name = "class",
     .kind = ARG_TEXT,
     .value = "C",
     .help = "Of a conditional model: the class in which the path lies. Default: both ends' own, which must be one."},
    MODEL_LABELS_OPTION,
    SEED_OPTION("Of the noise that codes need."),
    MODEL_DTYPE_OPTION,
};
static const arg_option attribute_options[] = {
    PICTURE_OPTION(" Required."),
    LABELS_OPTION(" tell the groups of DATA apart. Default: own"),
    {.name = "from", .kind = ARG_TEXT, .value = "LABEL", .help = "The group whose mean code the direction begins at. Required."},
    {.name = "to", .kind = ARG_TEXT, .value = "LABEL", .help = "The group whose mean code it ends at. Required."},
    {.name = "strengths",
     .kind = ARG_TEXT,
     .value = "S,S,...",
     .help = "How much of the direction is added to an image's code; 1 is all of it. Default -1,-0.5,0,0.5,1."},
    SEED_OPTION("Of the noise that codes need."),
    MODEL_DTYPE_OPTION,
};
static const arg_option reconstruct_options[] = {
    PICTURE_OPTION(" A row an image: the original, what came back, and the error times a factor."),
    {.name = "show", .kind = ARG_COUNT, .value = "N", .least = 1, .most = 1e6, .help = "Images in OUT. Default 16."},
    {.name = "factor",
     .kind = ARG_REAL,
     .value = "F",
     .least = 0,
     .most = 1e12,
     .help = "What errors are multiplied by in OUT. Default: a power of ten by which the greatest can be seen."},
    MODEL_LABELS_OPTION,
    SEED_OPTION("Of the noise that codes need."),
    MODEL_DTYPE_OPTION,
};

static int needs_output(const cli_args *args, const char **output) {
  *output = arg_text(args, "output", NULL);
  if (!*output) return complain(EXIT_USAGE, "%s: where should the images go? give -o OUT", args->command->name);
  return refuse_json(args, *output);
}

static int end(const cli_args *args, rh_density *density, rh_status status, char *report, const char *output, void (*human)(json_t *)) {
  const int code = status == RH_OK ? finish(args, report, to_stdout(output) ? NULL : human) : complain_status(status);
  rh_density_close(density);
  return code;
}

static void interpolate_human(json_t *report) {
  printf("%lld images; the codes are %.4g apart, at an angle of %.1f degrees\n", count_of(report, "images"), real_of(report, "distance"),
         real_of(report, "angle") * 180 / 3.14159265358979323846);
}

static int run_interpolate(const cli_args *args) {
  static const char *const keys[] = {"steps", "path", "class", "labels", NULL};
  const char *output;
  int code = needs_output(args, &output);
  if (code) return code;
  rh_density *density = open_model(args, &code);
  if (!density) return code;
  char *options = arg_pick(args, keys), *report = NULL;
  const rh_status status = rh_interpolate_file(density, args->operand[1], args->operand[2], output, options, &report);
  free(options);
  return end(args, density, status, report, output, interpolate_human);
}

static void attribute_human(json_t *report) {
  printf("%lld images; the mean codes of %lld and %lld images are %.4g apart\n", count_of(report, "images"), count_of(report, "from"),
         count_of(report, "to"), real_of(report, "length"));
}

static int run_attribute(const cli_args *args) {
  static const char *const keys[] = {"labels", "from", "to", NULL};
  const char *output;
  int code = needs_output(args, &output);
  if (code) return code;
  rh_density *density = open_model(args, &code);
  if (!density) return code;
  char *picked = arg_pick(args, keys), *report = NULL;
  json_t *options = json_loads(picked, 0, NULL);
  const char *strengths = arg_text(args, "strengths", NULL);
  if (strengths) json_object_set_new(options, "strengths", real_list(strengths));
  free(picked);
  picked = json_dumps(options, JSON_COMPACT);
  json_decref(options);
  const rh_status status = rh_attribute_file(density, args->operand[1], args->operands - 2, args->operand + 2, output, picked, &report);
  free(picked);
  return end(args, density, status, report, output, attribute_human);
}

static void reconstruct_human(json_t *report) {
  printf("%lld of %lld images restored exactly\n", count_of(report, "exact"), count_of(report, "n"));
  printf("before rounding: RMS error %.3g, max %.3g grey levels of %lld bits\n", real_of(report, "rms"), real_of(report, "max"),
         count_of(report, "bits"));
  if (count_of(report, "non_finite")) printf("%lld images came back as no numbers\n", count_of(report, "non_finite"));
  if (json_is_number(json_object_get(report, "factor"))) printf("errors are shown times %g\n", real_of(report, "factor"));
}

static int run_reconstruct(const cli_args *args) {
  static const char *const keys[] = {"show", "factor", "labels", NULL};
  const char *output = arg_text(args, "output", NULL);
  int code = refuse_json(args, output);
  if (code) return code;
  rh_density *density = open_model(args, &code);
  if (!density) return code;
  char *options = arg_pick(args, keys), *report = NULL;
  const rh_status status = rh_reconstruct_file(density, args->operand[1], output, options, &report);
  free(options);
  return end(args, density, status, report, output, reconstruct_human);
}

#define OPTIONS(table) .options = table, .option_count = sizeof table / sizeof *table
const cli_command command_interpolate = {.name = "interpolate",
                                         .operands = "MODEL A B -o OUT",
                                         .summary = "Images on the path between two, from a model of images.",
                                         .details =
                                             "A and B are image files, or DATA:NUMBER, an image of a set by its number from 1. They are "
                                             "encoded, and codes between theirs are decoded.",
                                         OPTIONS(interpolate_options),
                                         .least_operands = 3,
                                         .most_operands = 3,
                                         .run = run_interpolate};
const cli_command command_attribute = {
    .name = "attribute",
    .operands = "MODEL DATA IMAGE... -o OUT",
    .summary = "Images moved from one group's likeness to another's, from a model of images.",
    .details =
        "The direction is the difference of the mean codes of two groups of DATA (Kingma & Dhariwal 2018, section 5). Each IMAGE, a file "
        "or "
        "DATA:NUMBER, is a row of the picture, each strength a column. The model is one without classes.",
    OPTIONS(attribute_options),
    .least_operands = 3,
    .most_operands = CLI_OPERANDS,
    .run = run_attribute};
const cli_command command_reconstruct = {
    .name = "reconstruct",
    .operands = "MODEL IMAGES",
    .summary = "Encode and decode every image, and tell how well a model of images restores them.",
    .details = "Errors are those of the values with their noise, before rounding takes them back to whole numbers.",
    OPTIONS(reconstruct_options),
    .least_operands = 2,
    .most_operands = 2,
    .run = run_reconstruct};
