/* Options that several commands have, each written once. What a command says of its own is the macro's argument, a piece of text. */
#ifndef RHEO_CLI_SHARED_OPTIONS_H
#define RHEO_CLI_SHARED_OPTIONS_H
#include "cli.h"

/* ---- of every command that reads a table ---- */

#define HEADER_OPTION                                                                                                        \
  {                                                                                                                          \
    .name = "header", .kind = ARG_CHOICE, .value = "WHAT", .choices = "detect|yes|no",                                       \
    .help =                                                                                                                  \
        "Whether the first line of a CSV file is a header: yes, no, or detect (default): a line of texts is one, a line of " \
        "numbers is none, one of both is an error."                                                                          \
  }
#define COLUMNS_OPTION(MORE)                                                                      \
  {                                                                                               \
    .name = "columns", .kind = ARG_TEXT, .value = "LIST",                                         \
    .help = "Use these columns: names, numbers from 1, ranges (a,b,3-7); -c leaves one out." MORE \
  }
#define SEED_OPTION(OF) \
  { .name = "seed", .kind = ARG_COUNT, .value = "N", .most = 9e18, .help = OF " Default 0." }

/* ---- of commands that use a model ---- */

#define MODEL_COLUMNS_OPTION COLUMNS_OPTION(" Default: the model's own columns by name where the file has a header, else all.")
#define MODEL_DTYPE_OPTION \
  { .name = "dtype", .kind = ARG_CHOICE, .value = "TYPE", .choices = "f32|f64", .help = "The arithmetic; default: that of the fit." }

/* Of models with differential equations. */
#define SOLVER_KEYS "solver", "solver-steps", "rtol", "atol", "max-steps", "min-step", "fallback-steps", "trace"
#define SOLVER_OPTIONS                                                                                                          \
  {.name = "solver",                                                                                                            \
   .kind = ARG_TEXT,                                                                                                            \
   .value = "NAME",                                                                                                             \
   .help =                                                                                                                      \
       "Continuous flows: solve by this method instead of the model's: heun, bs32, "                                            \
       "dp54, ts54 or dop853, or any of these, euler, midpoint or rk4 with --solver-steps."},                                   \
      {.name = "solver-steps",                                                                                                  \
       .kind = ARG_COUNT,                                                                                                       \
       .value = "N",                                                                                                            \
       .most = 1048576,                                                                                                         \
       .help = "Continuous flows: N equal steps; 0: steps by tolerance."},                                                      \
      {.name = "rtol", .kind = ARG_REAL, .value = "R", .most = 0.1, .help = "Continuous flows: relative tolerance of a step."}, \
      {.name = "atol", .kind = ARG_REAL, .value = "A", .most = 0.1, .help = "Continuous flows: absolute tolerance of a step."}, \
      {.name = "max-steps",                                                                                                     \
       .kind = ARG_COUNT,                                                                                                       \
       .value = "N",                                                                                                            \
       .least = 1,                                                                                                              \
       .most = 1048576,                                                                                                         \
       .help = "Continuous flows: steps that a row may try; beyond, it has no log-density."},                                   \
      {.name = "min-step",                                                                                                      \
       .kind = ARG_REAL,                                                                                                        \
       .value = "H",                                                                                                            \
       .most = 1e3,                                                                                                             \
       .help = "Continuous flows: a row whose steps would be shorter is given up; 0, the default: as short as it takes."},      \
      {.name = "fallback-steps",                                                                                                \
       .kind = ARG_COUNT,                                                                                                       \
       .value = "N",                                                                                                            \
       .most = 1048576,                                                                                                         \
       .help =                                                                                                                  \
           "Continuous flows: a row that would be given up goes on to the end in N equal steps; such rows are counted. 0, the " \
           "default: it has no log-density."},                                                                                  \
  {                                                                                                                             \
    .name = "trace", .kind = ARG_TEXT, .value = "HOW",                                                                          \
    .help = "Continuous flows: log-determinants by exact traces (exact), or by estimates from K random probes (hutchinson:K)."  \
  }
#define DRAWS_OPTION(DEFAULT)                                                                                     \
  {                                                                                                               \
    .name = "draws", .kind = ARG_COUNT, .value = "N", .least = 1, .most = 100000,                                 \
    .help = "Draws of the noise that discrete columns need, averaged as importance weights. Default " DEFAULT "." \
  }
#define CONTEXT_VALUES_OPTION(WHAT)                                          \
  {                                                                          \
    .name = "context-values", .kind = ARG_TEXT, .value = "A=1,B=red",        \
    .help = WHAT ": a value for every context column, by name or by number." \
  }

#define LABELS_OPTION(USE)                                                                                                                 \
  {                                                                                                                                        \
    .name = "labels", .kind = ARG_TEXT, .value = "WHERE",                                                                                  \
    .help = "Images: where their labels are, which" USE                                                                                    \
            ". own: those that come with the data (sub-folders, CIFAR's, the array y of an NPZ archive); the name of an archive's array; " \
            "or a file, IDX, NPY or NPZ."                                                                                                  \
  }
#define MODEL_LABELS_OPTION LABELS_OPTION(" a conditional model needs. Default: own")

/* ---- of commands that fit ---- */

#define VAL_OPTION(USE) \
  { .name = "val", .kind = ARG_TEXT, .value = "FILE", .help = "Rows for validation: they " USE ". Without it a part of TRAIN is held out." }
#define TEST_OPTION(USE)                                                                                     \
  {                                                                                                          \
    .name = "test", .kind = ARG_TEXT, .value = "FILE",                                                       \
    .help = "Rows for the test figure; " USE ". Without it, and without --val, a part of TRAIN is held out." \
  }
#define ARCH_OPTION                                                                                                                    \
  {                                                                                                                                    \
    .name = "arch", .kind = ARG_TEXT, .value = "NAME",                                                                                 \
    .help =                                                                                                                            \
        "The architecture: nsf, nsf-coupling, maf, iaf, realnvp, nice, cnf, ffjord, rnode; of images nsf-image, glow, realnvp-image, " \
        "ffjord-image; or "                                                                                                            \
        "auto (default), "                                                                                                             \
        "which goes by "                                                                                                               \
        "the data's shape and size."                                                                                                   \
  }
#define SET_OPTION(OF)                                                                                   \
  {                                                                                                      \
    .name = "set", .kind = ARG_PAIR, .value = "KEY=VALUE",                                               \
    .help = "An option of " OF                                                                           \
            " or of the training, such as hidden=2x128, layers=8, lr=1e-3, batch=512. Values are JSON; " \
            "2x128 means [128,128]. May be repeated."                                                    \
  }
#define HANDLE_OPTION                                                                                                   \
  {                                                                                                                     \
    .name = "handle", .kind = ARG_CHOICE, .value = "HOW", .choices = "auto|none",                                       \
    .help =                                                                                                             \
        "auto (default): constant, duplicated, collinear, discrete, bounded and heavy-tailed columns are reported and " \
        "handled, as part of the model. none: columns are only standardized."                                           \
  }
/* What images are fitted as. */
#define IMAGE_FIT_KEYS       "labels", IMAGE_PREPARING_KEYS
#define IMAGE_PREPARING_KEYS "bits", "preprocess", "alpha", "dequantize", "flip"
#define IMAGE_PREPARING_OPTIONS                                                                                                            \
  {.name = "bits",                                                                                                                         \
   .kind = ARG_COUNT,                                                                                                                      \
   .value = "N",                                                                                                                           \
   .least = 1,                                                                                                                             \
   .most = 8,                                                                                                                              \
   .help =                                                                                                                                 \
       "Images: the depth that the model sees. Default: that of the data, the least that holds their greatest value. A smaller one "       \
       "drops the lowest bits, and bits/dim are those of the coarser images."},                                                            \
      {.name = "preprocess",                                                                                                               \
       .kind = ARG_CHOICE,                                                                                                                 \
       .value = "HOW",                                                                                                                     \
       .choices = "logit|scale",                                                                                                           \
       .help = "Images: take values to the line by a logit (default), or only scale them to -1/2 to 1/2."},                                \
      {.name = "alpha",                                                                                                                    \
       .kind = ARG_REAL,                                                                                                                   \
       .value = "A",                                                                                                                       \
       .least = 1e-9,                                                                                                                      \
       .most = 0.45,                                                                                                                       \
       .help = "Images: of the logit, which sees values from A to 1 - A. Default 0.05."},                                                  \
      {.name = "dequantize",                                                                                                               \
       .kind = ARG_CHOICE,                                                                                                                 \
       .value = "HOW",                                                                                                                     \
       .choices = "uniform|variational",                                                                                                   \
       .help =                                                                                                                             \
           "Images: the noise that makes whole numbers continuous is uniform (default), or of a density that is learned with the model."}, \
  {                                                                                                                                        \
    .name = "flip", .kind = ARG_FLAG, .help = "Images: half of the training images, at random, are seen with left and right exchanged."    \
  }
#define IMAGE_FIT_OPTIONS \
  LABELS_OPTION(" condition the density: p(image | label). Files for TRAIN, --val and --test stand between commas"), IMAGE_PREPARING_OPTIONS

#define EPOCHS_OPTION(FIT, MORE) \
  { .name = "epochs", .kind = ARG_COUNT, .value = "N", .least = 1, .most = 1e9, .help = "End " FIT " after N epochs" MORE "." }
#define STEPS_OPTION(FIT, MORE) \
  { .name = "steps", .kind = ARG_COUNT, .value = "N", .least = 1, .most = 1e12, .help = "End " FIT " after N steps" MORE "." }
#define TIME_OPTION(HELP) \
  { .name = "time", .kind = ARG_TIME, .value = "TIME", .least = 0.001, .most = 1e8, .help = HELP }
#define FIT_DTYPE_OPTION \
  { .name = "dtype", .kind = ARG_CHOICE, .value = "TYPE", .choices = "f32|f64", .help = "The arithmetic: f32 (default) or f64." }
#define SPLIT_OPTION(SHARES) \
  { .name = "split", .kind = ARG_TEXT, .value = "A,B,C", .help = "Shares of TRAIN for training, validation and " SHARES }
#endif
