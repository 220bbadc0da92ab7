/* librheo: normalizing flows. The whole public face: this header and status.h, C11 and C++17.
 *
 * A density is a fitted flow: it gives the exact log-density of a row, draws samples, and maps rows to codes (which follow the base
 * where the model is right) and back. Rows are always the RAW rows of the data: preprocessing is part of the density, and so is its share
 * of the likelihood.
 *
 * Units      log-densities in nats per row, of the data in its own units.
 * Arrays     row-major, C order. A row holds the data columns, then the context columns if the density has any: p(data | context).
 * Options    text: a JSON object such as {"threads": 2, "isa": "v3"}; NULL or "" takes every default. Unknown keys are errors that name
 *            the nearest known one.
 * Errors     every call that can fail returns an rh_status, leaves its outputs as they were on failure, and sets the calling thread's
 *            rh_last_error() to one line that says what, where and what to do. The library never prints, exits, or reads the environment.
 * Threads    any call may be made from any thread. Calls on one density wait for one another; different densities run side by side.
 * Bits       the same binary, instruction-set level, options and seed give the same bits for any number of threads, and for a row alone or
 *            in any batch. */
#ifndef RHEO_RHEO_H
#define RHEO_RHEO_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define RH_VERSION_MAJOR 0
#define RH_VERSION_MINOR 1
#define RH_VERSION_PATCH 0

RH_API const char *rh_version(void); /* of the library in use, "0.1.0" */

/* The instruction-set levels that this machine runs, worst first: "ref", on x86-64 also "base", "v3", "v4"; NULL past the last. */
RH_API const char *rh_level(int i);

/* Frees a text that one of these calls gave. NULL is fine. */
RH_API void rh_text_free(char *text);

/* ---- densities ---- */

typedef struct rh_density rh_density;

/* Reads a model file. Options:
 *   threads  threads to compute with; 0 = all CPUs of the process (default)
 *   isa      an instruction-set level; default: the best of this machine
 *   dtype    "f32" or "f64", the precision of the arithmetic; default: that of the fit
 *   seed     of the noise that a discrete column's score needs; default 0
 *   draws    draws of that noise a row, averaged; default 1
 *   solver, solver_steps, rtol, atol, max_steps, min_step, fallback_steps, trace  of a model with differential equations, in place of
 *            what it says itself: the method by name, equal steps or tolerances, steps at most, the shortest step, equal steps for rows
 *            that would be given up; trace "exact", or "hutchinson:K" for estimates by K probes */
RH_API rh_status rh_density_open(const char *path, const char *options, rh_density **density);
/* The same from the file's bytes; `name` stands in errors. The bytes may go afterwards. */
RH_API rh_status rh_density_read(const void *bytes, size_t size, const char *name, const char *options, rh_density **density);
/* Writes the model file: beside, synced, renamed. */
RH_API rh_status rh_density_save(rh_density *density, const char *path);
RH_API void rh_density_close(rh_density *density); /* NULL is fine */
/* The average of n densities of the same columns as a new one, log p = log sum_k w_k p_k; the members stay as they are and may be closed.
 * Options: weights (a list of n positive numbers of which the proportions count; default: equal), and those of rh_density_open. */
RH_API rh_status rh_density_ensemble(int n, rh_density *const *members, const char *options, rh_density **density);
/* stop != 0: a call over a file (score, encode, decode, sample) that is at work on the handle, and every later one, ends soon with
 * RH_E_INTERRUPTED and writes nothing; 0 takes that back. May be called from a signal handler and from any thread. */
RH_API void rh_density_stop(rh_density *density, int stop);

RH_API int64_t rh_density_columns(const rh_density *density); /* d: data columns of a row */
RH_API int64_t rh_density_context(const rh_density *density); /* c: context columns, 0 = none */
RH_API int64_t rh_density_latent(const rh_density *density);  /* numbers of a code */
/* The number that stands for a category in context column `column` (from 0 to c - 1), where the categories are texts: its place in the
 * fit's list, from 0. Categories that are whole numbers stand for themselves. */
RH_API rh_status rh_density_category(const rh_density *density, int64_t column, const char *category, double *value);
/* context [c] of rh_sample_file's context_values, "a=1.5,b=red". */
RH_API rh_status rh_density_given(rh_density *density, const char *values, double *context);
/* What it is, as a JSON object: architecture, columns, parameters, precision, handling of the data, how it was fitted.
 * plan != 0: also what scoring takes: bytes and operations a row, rows of a block. */
RH_API rh_status rh_density_info(rh_density *density, int plan, char **json);
/* How it runs, for people: nodes, bytes and operations a row, rows of a block and why. nodes != 0: every node too. */
RH_API rh_status rh_density_plan(rh_density *density, int nodes, char **text);

/* log_prob[i] = log p(x[i]) in nats; -inf where the density is 0. x: [rows, d + c]; log_prob: [rows]. Here as in the calls below NaN stands
 * where the model has a numerical inverse or a differential equation in it whose solution was not found. */
RH_API rh_status rh_density_log_prob(rh_density *density, int64_t rows, const double *x, double *log_prob);
RH_API rh_status rh_density_log_prob_f32(rh_density *density, int64_t rows, const float *x, float *log_prob);

/* Samples number first, first + 1, ...: number i depends on (seed, i) and its own context alone. temperature scales the base's spread,
 * 1 = the density itself. context: [rows, c], one for each sample, NULL when c = 0; a value that is no category of the fit's is an error.
 * x: [rows, d]; log_prob: [rows] or NULL, the log-density at temperature 1. */
RH_API rh_status rh_density_sample(rh_density *density, uint64_t seed, double temperature, int64_t first, int64_t rows,
                                   const double *context, double *x, double *log_prob);

/* x: [rows, d + c] -> z: [rows, latent]; ladj: [rows] or NULL, log|det dz/dx|. A row outside of the support has no code: NaN, ladj -inf. */
RH_API rh_status rh_density_encode(rh_density *density, int64_t rows, const double *x, double *z, double *ladj);
/* z: [rows, latent + c] -> x: [rows, d]; ladj: [rows] or NULL, log|det dx/dz|. A code far outside may decode to infinity or NaN. */
RH_API rh_status rh_density_decode(rh_density *density, int64_t rows, const double *z, double *x, double *ladj);
/* The time T that a density's differential equations take from a row (at 0) to its code (at T), those of a chain one after another; 0: it
 * has none, and no paths. */
RH_API double rh_density_time(const rh_density *density);
/* The states of such a density on the way from codes to rows, at `times` >= 2 equally spaced times from T to 0: z: [rows, latent + c] ->
 * x: [rows, times, d], all in the units of the data. The last state is rh_density_decode's, bit for bit. The others are not rounded: where
 * a column is discrete they move on between its values, and the last is that value at or below which the path ends. */
RH_API rh_status rh_density_paths(rh_density *density, int64_t rows, const double *z, int64_t times, double *x);

/* ---- whole files: CSV, NPY, NPZ (FILE.npz:NAME), gzip of them; "-" is standard input or output ----
 * Output: NPY where the name ends in .npy, else CSV; whole or not at all. output may be NULL for score: only the report.
 * Options of all:  columns    which columns to read: "a,b,3-7" by name or number, "-c" leaves out; default: the model's own by name where
 *                             the file has a header, else all
 *                  header     is the first line of a CSV file one? "yes", "no", or "detect" (default): a line of texts is one, a line of
 *                             numbers is none, one of both is an error
 *                  separator  ",", ";" or "\t"; default: detected
 * Context columns are found by their names where the file has a header, else where they stood in the fit's table. An encoded file has them
 * behind the codes, and one to decode too; decoded and sampled files are tables as the fit's was, the context in its place.
 * report: a JSON object; NULL where it is not wanted. */

/* report: n (rows), mean, stderr, finite_mean, zero_density, unfinished (rows whose density was not found: NaN), of a model with
 * differential equations evaluations_mean (of the field, a row) and fell_back (solutions in fallback_steps), where traces are estimated
 * estimate (probes, row_stderr of a row, typically, and stderr of the mean, of the probes alone, nats), warnings, notes (sentences;
 * encode's has them too); where the data is discrete also bits_per_dim and bits_per_dim_stderr. Columns that the fit dropped (constant,
 * copies, linear combinations of others) are not looked at: a row that contradicts them scores as if it fitted, as does a value between the
 * levels of a discrete column; rh_check_file counts such cells as rounded. */
RH_API rh_status rh_score_file(rh_density *density, const char *data, const char *output, const char *options, char **report);
RH_API rh_status rh_encode_file(rh_density *density, const char *data, const char *output, const char *options, char **report);
RH_API rh_status rh_decode_file(rh_density *density, const char *codes, const char *output, const char *options, char **report);
/* Options instead: count (rows), seed, temperature, header, separator; of a conditional density also
 *   context         a file: count rows are drawn for each of its rows, one after another; it has the context columns, or all of them
 *   context_values  instead: "a=1.5,b=red", one context, by name or by number
 *   with_context    false: the context is left out of the output
 * and of a density of images, in place of these
 *   class           of a conditional density: the class's name or number, or "all": count images of each, a row of the picture a class
 *   temperatures    a list: count images at each, a row of the picture a temperature; the same noise stands in the same column */
RH_API rh_status rh_sample_file(rh_density *density, const char *output, const char *options, char **report);

/* The rows of a file as rh_score_file reads them, with its options: *x [*rows, d + c], to be freed by rh_rows_free. report: rows, columns,
 * notes. */
RH_API rh_status rh_density_rows(rh_density *density, const char *data, const char *options, int64_t *rows, double **x, char **report);
RH_API void rh_rows_free(double *x); /* NULL is fine */
/* Writes what is no table, such as a picture, in the way of these calls: whole or not at all. inputs (NULL-ended, may be NULL): files that
 * it is made of, which it must not replace. */
RH_API rh_status rh_write_file(const char *output, const void *bytes, size_t size, const char *const *inputs);

/* ---- images ----
 * A density of images has h, w and c (1 or 3); its raw row is an image, row-major, channels last, h w c whole numbers of 0 to 2^bits - 1
 * of the data. Image data are IDX files, NPY and NPZ arrays of bytes with 3 or 4 axes, CIFAR's batches, PNG, PGM and PPM files, and folders
 * of these, each also compressed by gzip; rh_fit_files knows them by their content. Such a density's calls over files read images in place
 * of tables, refuse those of another shape or depth, and take the option labels   of a conditional density: where the labels are: "own"
 * (default; sub-folders, CIFAR's, the array y of an NPZ archive), the name of an archive's array, or a file of them (IDX, NPY, NPZ) in
 * place of columns, header and separator. Log-densities are of the whole numbers, so bits_per_dim is always reported: the mean of -log2 p /
 * (h w c), and its standard error, bits_per_dim_stderr. Images out, of decode, sample and the calls below: one picture of all (OUT.png, "-"
 * is standard output), a uint8 array [n, h, w, c], [n, h, w] where c is 1 (OUT.npy), or a PNG each (FOLDER/). Pictures of data of fewer
 * than 8 bits are stretched: the fit's brightest value is white; arrays hold the values. */

/* The shape and depths of a density of images; bits: of the numbers that the density is of, fewer than the data's where the fit was told
 * so. Each may be NULL. Returns 0, and sets nothing, where it is none of images. */
RH_API int rh_density_image(const rh_density *density, int64_t *h, int64_t *w, int64_t *c, int *bits, int *data_bits);

/* Images on the path between two: a and b are image files, or DATA:NUMBER (from 1). Options: steps (images, both ends counted; default 8),
 * path "line" (default) or "sphere" (the great circle between the codes), class (of a conditional density: where the path lies; default:
 * both ends' own), labels. report: images, distance and angle of the codes. */
RH_API rh_status rh_interpolate_file(rh_density *density, const char *a, const char *b, const char *output, const char *options,
                                     char **report);
/* The n images (files, or DATA:NUMBER), each moved along the difference of the mean codes of two groups of `data` (Kingma & Dhariwal
 * 2018, section 5): a row of the picture an image, a column a strength. Options: from, to (labels; needed), strengths (a list; default -1,
 * -0.5, 0, 0.5, 1: 1 is the whole way from one mean to the other), labels (of data; default "own"). report: images, from and to (images of
 * each), length of the difference. Not of a conditional density. */
RH_API rh_status rh_attribute_file(rh_density *density, const char *data, int n, const char *const *images, const char *output,
                                   const char *options, char **report);
/* Every image to its code and back. report: n, exact (images restored in every value), rms and max (errors before rounding, in grey levels
 * of `bits` bits), non_finite (images that came back as no numbers), bits, factor. output (may be NULL): a picture, a row an image: the
 * original, what came back, and the error times factor. Options: show (rows of the picture, default 16), factor (default: a power of ten by
 * which the greatest error can be seen), labels. */
RH_API rh_status rh_reconstruct_file(rh_density *density, const char *images, const char *output, const char *options, char **report);

/* Is it what it claims to be? data may be NULL: then samples are looked at. Options also: rows, how many rows are looked at (default
 * 1,000); jacobians, rows whose log-determinant is held against the dense Jacobian (default 10); seed. report: ok; remedy (a sentence,
 * where it is not: what may help; unfinished_why, where something was not found); rows, outside (rows of
 * density 0, left alone), non_finite, unfinished (solutions of its numerical inverses that were not found), rounded (cells that the model
 * takes as another value: a level not seen in the fit, a dropped column that contradicts the others), inverse_error (max |x -
 * inverse(forward(x))|, x as rounded), inverse_error_relative (the same in the column's standard deviations), worst (where: row, column,
 * value, back), log_det_error (max difference), log_det_inverse_error (the same between the inverse's and minus forward's), log_det_min,
 * log_det_max, log_det_median, log_det_sd, log_det_low (median minus 1 % quantile), log_det_where (mean |u|^2 / d of the twentieth of the
 * rows with the least, u being the code's normal scores: the standard normal quantiles at the base's probabilities, so that they are
 * standard normal for codes that follow the base, whatever it is), latent_kurtosis (the least excess kurtosis of the scores along any
 * direction), latent_kurtosis_most (the greatest of a column), advice (a sentence, where these show modes that lie apart or heavy tails).
 * Of images all of it is of what lies behind the noise, so that nothing is rounded, and jacobians is 2 by default; log_det_method says
 * what was held against a dense Jacobian: "dense", whole rows, as many as 3e11 operations give where they have more than 1,024 values; else
 * "crops" of the images (3e12 operations), of the shape `crop`, by the same parts with the same values (crop_leaves_spread counts those
 * that have numbers of single pixels, of which crops have some); or "none", log_det_why saying why. jacobians: how many;
 * jacobian_operations: of a whole row. Where the model has differential equations, of up to 100 of the rows: solve_error_log_density and
 * solve_error_codes (the largest differences from solutions with tolerances a hundred times tighter, in f64), solve_rows (compared),
 * evaluations_mean and evaluations_most (of the field, for a row's log-density). */
RH_API rh_status rh_check_file(rh_density *density, const char *data, const char *options, char **report);

/* ---- fitting ---- */

typedef enum rh_fit_event_kind {
  RH_FIT_START,
  RH_FIT_RESUME,
  RH_FIT_STEP, /* now and then, within an epoch */
  RH_FIT_EPOCH,
  RH_FIT_SKIP, /* a step with a non-finite loss or gradient was left out */
  RH_FIT_ROLLBACK,
  RH_FIT_CHECKPOINT,
  RH_FIT_DONE
} rh_fit_event_kind;

typedef struct rh_fit_event {
  rh_fit_event_kind kind;
  int64_t epoch, epochs;                /* epoch counts from 0; epochs 0: open */
  int64_t step, steps;                  /* steps done; steps 0: open */
  double fraction;                      /* of the run, 0 to 1 */
  double loss;                          /* mean negative log-likelihood of this epoch so far, nats; NaN before the first */
  double val, best_val;                 /* mean log-likelihood of the validation rows; NaN: none yet */
  double rate, grad_norm;               /* learning rate and gradient norm of the last step */
  double rows_per_second, elapsed, eta; /* seconds; eta NaN: unknown */
  int64_t skipped;                      /* steps left out so far */
  const char *log;                      /* the event as one line of JSON; NULL for RH_FIT_STEP. Lives during the call */
  /* Of models with differential equations: evaluations of their fields that a row's step took on average in this epoch so far, for the
   * solution and for its derivative. 0: nothing is solved; NaN: no step yet. unfinished: solutions given up so far, out of steps */
  double evaluations_forward, evaluations_back;
  int64_t unfinished;
} rh_fit_event;

/* Called on the thread that fits, about ten times a second. Anything but 0 ends the fit after this step: the best model is kept. */
typedef int rh_fit_progress(void *arg, const rh_fit_event *event);

/* Rows that the caller keeps. */
typedef struct rh_block {
  const void *data; /* [rows, columns] */
  int64_t rows, columns;
  int real_bytes; /* 8: double, 4: float, 1: bytes of images */
} rh_block;

/* clang-format off */
/* Fits a density by maximum likelihood. val and test may be NULL: without val a part of train is held out (option split). Options:
 *   arch     architecture: "auto" (default) or a name; "set" holds its options and the training's, e.g. {"hidden": [128, 128], "lr": 1e-3}
 *   set      object of key: value pairs
 *   spec     in place of arch: the flow's own specification, {"flow": bijection, "base": base}, as docs/file-format.md writes it; the
 *            handling stays in front, unless it has a "preprocess"; "set" holds options of the training only
 *   handle   "auto" (default): constant, duplicated, collinear, discrete, bounded and heavy-tailed columns are detected and handled;
 *            "none": only standardized
 *   context  a list of the columns that condition the density of the others, as in columns; those that hold texts are categories
 *   categorical   a list of those of them that hold categories in whole numbers (or in texts and numbers)
 *   embedding     numbers of the vector learned for a category, where there are more than 4; default: half as many, at most 50
 *   epochs, steps, time (seconds)   the end of the run, the first reached
 *   seed     default 0
 *   dtype    "f32" (default) or "f64"
 *   split    [train, validation, test] shares of the training rows for the parts not given, default [0.8, 0.1, 0.1], [0.9, 0.1, 0] with
 *            test
 *   output   a model file to write; with it checkpoints are kept beside (output + ".ckpt")
 *   resume   true: take up the checkpoint, if there is one; output stays as it is where it is this fit's finished model, and is never
 *            replaced where it is anything else
 *   any_isa  true: resume at another instruction-set level
 *   memory   "keep" (default) or "recompute": activations
 *   labels   of images: what conditions the density: as above; files for train, val and test stand between commas
 *   image    of blocks, [h, w, c]: their rows are images, h w c bytes each, row-major, channels last; with labels "own" a byte more, the
 *            image's label
 *   bits     of images: the depth that the model sees; default: the data's, the least that holds their greatest value. A smaller one drops
 *            the lowest bits, and the likelihood is that of the coarser numbers
 *   preprocess, alpha   of images: "logit" (default; alpha 0.05) or "scale", to -1/2 to 1/2
 *   dequantize   of images: "uniform" noise (default), or "variational": a density that is learned
 *   flip     of images: true: half of the training images, at random, are seen with left and right exchanged
 *   threads, isa, columns, header, separator   as above; of blocks, columns go by number, and there is no header and no separator
 * report: val, test (mean log-likelihood, nats), epochs, steps, seconds, skipped_steps and more; of models with differential equations
 * evaluations_forward and evaluations_back (of the field, a row's, in the last epoch), unfinished and fell_back (solutions, in all steps).
 * density and report may be NULL. */
/* clang-format on */
RH_API rh_status rh_fit_files(const char *train, const char *val, const char *test, const char *options, rh_fit_progress *progress,
                              void *arg, rh_density **density, char **report);
RH_API rh_status rh_fit_blocks(const rh_block *train, const rh_block *val, const rh_block *test, const char *options,
                               rh_fit_progress *progress, void *arg, rh_density **density, char **report);
/* The architectures, as a JSON object name: one-line summary. */
RH_API rh_status rh_architectures(char **json);

/* ---- comparing ---- */

typedef struct rh_compare_event {
  const char *candidate;  /* what is being fitted */
  int number, candidates; /* number counts from 1 */
  int round, rounds;      /* likewise */
  uint64_t seed;
  double seconds; /* that this fit may take; 0: not limited by the clock */
  const rh_fit_event *fit;
} rh_compare_event;
/* As rh_fit_progress: anything but 0 ends the comparison with what is done. */
typedef int rh_compare_progress(void *arg, const rh_compare_event *event);

/* clang-format off */
/* Fits several architectures to the same rows, with the same split, handling and seeds, and ranks them by the log-likelihood of the
 * validation rows. Options: those of rh_fit_files but for spec, resume and any_isa, and
 *   arch     which: "realnvp,nice"; default: every architecture with its defaults, and variants worth a try
 *   time     seconds of all fits together, default 1,200 where neither epochs nor steps are given. Each candidate has the same share. From
 *            four candidates on there are two rounds: half of the time is shared by all; what is left then by the best third (at least
 *            two) of those that the clock ended, which are fitted anew
 *   epochs, steps   of every fit, instead of a time: the same models, byte for byte
 *   seeds    fits of each, with seeds seed, seed + 1, ...; log-densities are averaged over them, row by row. Default 1
 *   output   the best model's file
 *   all      a prefix: the model of every candidate is written to PREFIX-NAME.rheo
 * report: best; candidates, best first, each with name, arch, set, val, val_stderr, difference and difference_stderr (to the best, paired
 * row by row; over seeds too where there are several), tie (within two of them), test, test_difference and more where there are test rows,
 * parameters, epochs, seconds, round; or error, where its fit failed. best and report may be NULL. */
/* clang-format on */
RH_API rh_status rh_compare_files(const char *train, const char *val, const char *test, const char *options, rh_compare_progress *progress,
                                  void *arg, rh_density **best, char **report);

/* ---- anomalies ---- */

/* clang-format off */
/* How strange is each row of data? With density NULL a density is fitted to the rows of `normal`, a part of them held out; else `normal`
 * are normal rows that the density has not seen, or NULL: samples of the density take their place (not of a conditional one).
 * Output (or NULL), a row each:
 *   row          its number, from 1
 *   log_density  log p(x), nats
 *   typicality   |log p(x) - the median log-density of normal rows|: too likely is strange, too (Nalisnick et al. 2019)
 *   latent_norm  |u|^2 of the code's d normal scores under the base (see rh_check_file): |z|^2 for a standard normal base, and for every
 *                base chi-square with d degrees of freedom where the model is right
 *   p_value      conformal: (1 + held-out rows at least as strange) / (1 + held-out rows), by the score that `by` names. A normal row has
 *                p <= a with a probability of at most a, whatever the model is like
 *   flag         1 where p_value <= alarm
 *   bits_per_dim of images only: -log2 p / (h w c)
 * Options: those of a fit (rh_fit_files) but for output, resume, context, categorical and embedding where there is no density, else only
 * columns, header, separator; and
 *   labels   0 or 1 (an anomaly) of every row: a column of data (name, or number from 1), else an array of its NPZ archive, else a file.
 *            With them the report tells AUROC and average precision of each score. Where `normal` has such labels, only its rows of 0 are
 *            used. Of images "own", an array of their NPZ archive, or a file (IDX, NPY, NPZ); a conditional density's classes are their own
 *   alarm    the rate of false alarms, default 0.01
 *   by       auto (default: log_density, or latent_norm where columns hold values that repeat among continuous ones), log_density,
 *            typicality or latent_norm
 *   draws    of the noise of discrete columns, averaged; default 16 after a fit, else the density's; of images always that
 *   split    of normal rows: training, validation, held out; default: held out are enough for p-values of half the alarm rate, but at
 *            least 0.1 and at most 0.3 of them
 * Both may be images, of one shape and depth. report: rows, flagged, reference (what p-values are among), reference_rows, fit,
 * unfinished and reference_unfinished (rows, of data and of the reference, whose density was not found: NaN); of images
 * typical_bits_per_dim (of the median log-density of normal ones); with labels: anomalies, normal, auroc and
 * average_precision (objects by score; null where there is one class), detected, false_alarms (shares of either class that are flagged). */
/* clang-format on */
RH_API rh_status rh_detect_files(rh_density *density, const char *normal, const char *data, const char *output, const char *options,
                                 rh_fit_progress *progress, void *arg, char **report);

#ifdef __cplusplus
}
#endif
#endif
