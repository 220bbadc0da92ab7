#include "data/analyse.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/memory.h"
#include "data/facts.h"
#include "data/split.h"

enum {
  SAMPLE_ABOVE = 1 << 20,
  SAMPLE = 1 << 17,
  MOST_SENTENCES = 200,
  SENTENCE_BYTES = 400,
  ADVICE_BYTES = 80,
  LEAST_ROUNDED = 10,
  NEAR_DEVIATIONS = 10
};
static const double least_figure = 1e-37, most_figure = 1e37; /* that the parts of a flow take */
static const double coarse_share = 1e-3;                      /* of a standard deviation, for steps of float32 */
static const char *const fact_words[] = {
#define WORD(name, word) word,
    RH_FACT_LIST(WORD)
#undef WORD
};

/* ---- the plan being written ---- */

typedef struct plan {
  const rh_survey *survey;
  rh_handle handle;
  json_t *root, *keep, *drop, *dequantize, *transform, *mean, *scale, *seen, *report, *warnings; /* borrowed from root */
  bool failed;                                                                                   /* out of memory */
} plan;

/* item: stolen, NULL where it could not be made. */
static void append(plan *p, json_t *array, json_t *item) {
  if (json_array_append_new(array, item) != 0) p->failed = true;
}

static json_t *add_array(plan *p, json_t *object, const char *key) {
  json_t *array = json_array();
  if (!array || json_object_set_new(object, key, array) != 0) p->failed = true;
  return array; /* where set failed it has freed it; nothing is appended then */
}

static void set(plan *p, json_t *object, const char *key, json_t *value) {
  if (json_object_set_new(object, key, value) != 0) p->failed = true; /* NULLs fail, and the value is freed */
}

static void say(plan *p, json_t *list, const char *format, ...) RH_PRINTF(3, 4);
static void say(plan *p, json_t *list, const char *format, ...) {
  char text[SENTENCE_BYTES];
  const size_t before = json_array_size(list);
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  if (before > MOST_SENTENCES) return;
  append(p, list, json_string(before < MOST_SENTENCES ? text : "... and more of the kind"));
}

static bool dropped(const plan *p, const rh_facts *f) {
  return p->handle == RH_HANDLE_AUTO && f->seen & (1u << RH_FACT_CONSTANT | 1u << RH_FACT_COPY | 1u << RH_FACT_LINEAR);
}

/* ---- what the arithmetic can hold ---- */

/* The distance of neighbouring float32 numbers where the column's values are largest, if that is coarse for its spread and its values do
 * not lie on those numbers already; else 0. */
static double coarse_step(const rh_survey *s, const rh_facts *f) {
  int exponent;
  if (s->real_bytes != 4 || !f->rounds) return 0;
  frexp(fmax(fabs(f->least), fabs(f->greatest)), &exponent);
  const double step = ldexp(1, exponent - FLT_MANT_DIG);
  return step > coarse_share * f->sd ? step : 0;
}

/* "use --dtype f64, or subtract 1.7e+09 first": the number of fewest digits that is near the column's mean, as its spread goes. */
static const char *advice(const rh_survey *s, const rh_facts *f, char text[ADVICE_BYTES]) {
  const int used = snprintf(text, ADVICE_BYTES, "%s", s->real_bytes == 4 ? "use --dtype f64" : "leave it out");
  if (fabs(f->mean) <= NEAR_DEVIATIONS * f->sd) return text;
  for (int digits = 1; digits <= DBL_DIG; digits++) {
    const double unit = pow(10, floor(log10(fabs(f->mean))) + 1 - digits), near = nearbyint(f->mean / unit) * unit;
    if (digits < DBL_DIG && fabs(f->mean - near) > NEAR_DEVIATIONS * f->sd) continue;
    snprintf(text + used, (size_t)(ADVICE_BYTES - used), ", or subtract %.*g first", digits, near);
    break;
  }
  return text;
}

static rh_status check_figures(const rh_facts *f, bool noisy, bool mapped, const char *label) {
  const struct {
    const char *name;
    double value, least;
    bool used;
  } figures[] = {{"standard deviation", f->sd, least_figure, !mapped},
                 {"mean", f->mean, 0, !mapped},
                 {"step", f->step, least_figure, noisy},
                 {"greatest value", f->greatest, 0, noisy},
                 {"least value", f->least, 0, noisy},
                 {"lower limit", f->low, 0, mapped}};
  for (size_t i = 0; i < RH_COUNT_OF(figures); i++) {
    const double size = fabs(figures[i].value);
    if (!figures[i].used || (size >= figures[i].least && size <= most_figure)) continue;
    return rh_fail(RH_E_DATA, "%s: its %s, %g, is too %s for a model, %g to %g is fine: rescale the column or leave it out", label,
                   figures[i].name, figures[i].value, size > most_figure ? "large" : "small", least_figure, most_figure);
  }
  return RH_OK;
}

/* Columns that no fit could learn from as they are. */
static rh_status check_columns(const plan *p) {
  const rh_survey *s = p->survey;
  const bool act = p->handle == RH_HANDLE_AUTO;
  for (int64_t j = 0; j < s->d; j++) {
    const rh_facts *f = &s->column[j];
    const bool noisy = act && f->step > 0;
    char label[RH_LABEL_BYTES], text[ADVICE_BYTES];
    if (dropped(p, f) || rh_saw(f, RH_FACT_CONSTANT)) continue;
    rh_table_label(s->table, j, label, sizeof label);
    RH_TRY(check_figures(f, noisy, act && f->map != RH_MAP_NONE, label));
    const double step = coarse_step(s, f);
    if (step == 0 || noisy || f->rounded >= LEAST_ROUNDED || f->rounded == f->distinct) continue;
    return rh_fail(RH_E_DATA, "%s: in float32 its values round to steps of %.6g, which leaves %lld of %lld different ones: %s", label, step,
                   (long long)f->rounded, (long long)f->distinct, advice(s, f, text));
  }
  return RH_OK;
}

/* ---- drop ---- */

static json_t *linear_recipe(plan *p, const rh_combination *c) {
  json_t *recipe = json_pack("{s:s, s:f}", "kind", "linear", "intercept", c->intercept);
  if (!recipe) return NULL;
  json_t *of = add_array(p, recipe, "of"), *weights = add_array(p, recipe, "weights");
  for (int64_t t = 0; t < c->terms && !p->failed; t++) {
    append(p, of, json_integer(c->of[t]));
    append(p, weights, json_real(c->weights[t]));
  }
  set(p, recipe, "error", json_real(c->error));
  return recipe;
}

static void plan_drop(plan *p, int64_t j, const rh_facts *f, const char *label) {
  const rh_facts *original = rh_saw(f, RH_FACT_COPY) ? &p->survey->column[f->copy_of] : f;
  const char *reason = fact_words[RH_FACT_LINEAR];
  json_t *recipe;
  if (rh_saw(f, RH_FACT_CONSTANT)) {
    reason = fact_words[RH_FACT_CONSTANT];
    recipe = json_pack("{s:s, s:f}", "kind", "constant", "value", f->least);
    say(p, p->report, "%s is %.9g in every row: dropped", label, f->least);
  } else if (rh_saw(f, RH_FACT_COPY)) {
    char other[RH_LABEL_BYTES];
    reason = fact_words[RH_FACT_COPY];
    say(p, p->report, "%s equals %s in every row: dropped", label, rh_table_label(p->survey->table, f->copy_of, other, sizeof other));
    recipe = original->combination ? linear_recipe(p, original->combination)
                                   : json_pack("{s:s, s:I}", "kind", "copy", "of", (json_int_t)f->copy_of);
  } else {
    recipe = linear_recipe(p, f->combination);
    say(p, p->report, "%s is a linear combination of %lld other columns (a remainder of %.2g standard deviations): dropped", label,
        (long long)f->combination->terms, f->combination->error / f->sd);
  }
  json_t *entry = json_pack("{s:I, s:s}", "column", (json_int_t)j, "reason", reason);
  set(p, entry, "recipe", recipe);
  append(p, p->drop, entry);
}

/* ---- dequantize, transform, standardize ---- */

static void plan_dequantize(plan *p, int64_t j, const rh_facts *f, const char *label) {
  json_t *entry = json_pack("{s:I, s:f}", "column", (json_int_t)j, "step", f->step);
  if (f->grid) {
    set(p, entry, "offset", json_real(f->offset));
    say(p, p->report, "%s has %lld different values, on a grid of step %.9g: uniform noise of one step is added", label,
        (long long)f->distinct, f->step);
  } else if (entry) {
    json_t *levels = add_array(p, entry, "levels");
    for (int64_t i = 0; i < f->distinct && !p->failed; i++) append(p, levels, json_real(f->levels[i]));
    say(p, p->report, "%s has %lld different values: uniform noise of their least distance, %.9g, is added", label, (long long)f->distinct,
        f->step);
  }
  append(p, p->dequantize, entry);
}

static void plan_transform(plan *p, int64_t j, const rh_facts *f, const char *label) {
  json_t *entry = json_pack("{s:I, s:s, s:f}", "column", (json_int_t)j, "kind", f->map == RH_MAP_LOG ? "log" : "logit", "low", f->low);
  if (f->map == RH_MAP_LOGIT) {
    set(p, entry, "high", json_real(f->high));
    say(p, p->report, "%s lies in 0 to 1: log((x - a) / (b - x)) with a = %.4g, b = %.4g is taken (nearer to a normal by %.2f nats a row)",
        label, f->low, f->high, f->gain);
  } else {
    say(p, p->report, "%s is never negative: log(x - a) with a = %.4g is taken (nearer to a normal by %.2f nats a row)", label, f->low,
        f->gain);
  }
  append(p, p->transform, entry);
}

enum { CHUNK = 1024 };

/* Mean and standard deviation of a column after noise of mean u = 1/2 and the map, in row order. */
static void mapped_moments(const rh_survey *s, int64_t j, const rh_facts *f, double *mean, double *sd) {
  double x[CHUNK], total[2] = {0, 0};
  for (int pass = 0; pass < 2; pass++) {
    for (int64_t first = 0; first < s->n; first += CHUNK) {
      const int64_t n = s->n - first < CHUNK ? s->n - first : CHUNK;
      rh_table_column_f64(s->table, j, s->rows ? s->rows + first : NULL, first, n, x);
      for (int64_t i = 0; i < n; i++) {
        const double v = x[i] + 0.5 * f->step, y = f->map == RH_MAP_LOG ? log(v - f->low) : log((v - f->low) / (f->high - v));
        total[pass] += pass ? (y - *mean) * (y - *mean) : y;
      }
    }
    if (pass == 0) *mean = total[0] / (double)s->n;
  }
  *sd = sqrt(total[1] / (double)s->n);
}

static void plan_standardize(plan *p, int64_t j, const rh_facts *f, bool noisy, bool mapped) {
  double mean = f->mean, sd = f->sd;
  if (mapped) {
    mapped_moments(p->survey, j, f, &mean, &sd);
  } else if (noisy) { /* what u adds on average */
    mean += 0.5 * f->step;
    sd = sqrt(sd * sd + f->step * f->step / 12);
  }
  append(p, p->mean, json_real(mean));
  append(p, p->scale, json_real(sd > 0 ? sd : 1));
}

/* ---- sentences about what is not handled ---- */

static void warn_discrete(plan *p, const rh_facts *f, const char *label) {
  char text[ADVICE_BYTES];
  const char *const precision = p->survey->real_bytes == 4 ? "float32" : "float64";
  if (p->handle == RH_HANDLE_AUTO && f->fine) {
    say(p, p->warnings,
        "%s has only %lld different values: a continuous density is unbounded there, and they lie too close together for noise in %s: %s",
        label, (long long)f->distinct, precision, advice(p->survey, f, text));
  } else {
    say(p, p->warnings, "%s has only %lld different values: a continuous density is unbounded there%s", label, (long long)f->distinct,
        p->handle == RH_HANDLE_AUTO ? ", and no step of theirs is wide enough for noise" : "; dequantize it or leave it out");
  }
}

static void warn_precision(plan *p, const rh_facts *f, const char *label) {
  char text[ADVICE_BYTES];
  const double step = coarse_step(p->survey, f);
  const bool handled = p->handle == RH_HANDLE_AUTO && (f->step > 0 || f->fine);
  if (step > 0 && !handled)
    say(p, p->warnings, "%s: in float32 its values round to steps of %.6g: %s", label, step, advice(p->survey, f, text));
}

static void warn_repeats(plan *p, const rh_facts *f, const char *label) {
  const bool auto_ = p->handle == RH_HANDLE_AUTO;
  if (rh_saw(f, RH_FACT_CONSTANT)) {
    say(p, p->warnings, "%s is %.9g in every row: its density is unbounded and the log-likelihood means nothing; leave it out", label,
        f->least);
  } else if (rh_saw(f, RH_FACT_COPY)) {
    char other[RH_LABEL_BYTES];
    rh_table_label(p->survey->table, f->copy_of, other, sizeof other);
    say(p, p->warnings, "%s equals %s in every row: the density is unbounded and the log-likelihood means nothing; leave it out", label,
        other);
  } else if (rh_saw(f, RH_FACT_LINEAR)) {
    say(p, p->warnings,
        "%s is a linear combination of other columns: the density is unbounded and the log-likelihood means nothing; leave it out", label);
  } else if (rh_saw(f, RH_FACT_DISCRETE) && !(auto_ && f->step > 0)) {
    warn_discrete(p, f, label);
  } else if (rh_saw(f, RH_FACT_SPIKED)) {
    say(p, p->warnings, "%s is %.9g in %.1f %% of the rows: a continuous density is unbounded there", label, f->spike,
        100 * (double)f->spike_rows / (double)p->survey->sampled);
  }
}

static void warn_shape(plan *p, const rh_facts *f, const char *label) {
  if (f->outliers) {
    say(p, p->warnings,
        "%s: %lld rows lie more than 20 robust standard deviations from the median, the farthest is row %lld (%.6g): look at them", label,
        (long long)f->outliers, (long long)f->far_row + 1, f->far_value);
  }
  if (rh_saw(f, RH_FACT_HEAVY)) say(p, p->report, "%s is heavy-tailed (excess kurtosis %.3g)", label, f->kurtosis);
  if (rh_saw(f, RH_FACT_DISCRETE) || f->map != RH_MAP_NONE) return;
  if (f->crowded_low) say(p, p->report, "%s looks cut off below, at %.6g", label, f->least);
  if (f->crowded_high) say(p, p->report, "%s looks cut off above, at %.6g", label, f->greatest);
}

static void note_seen(plan *p, int64_t j, const rh_facts *f) {
  if (!f->seen) return;
  json_t *entry = json_pack("{s:I}", "column", (json_int_t)j);
  json_t *what = entry ? add_array(p, entry, "what") : NULL;
  for (int k = 0; k < RH_FACT_COUNT && !p->failed; k++) {
    if (rh_saw(f, k)) append(p, what, json_string(fact_words[k]));
  }
  append(p, p->seen, entry);
}

static void plan_column(plan *p, int64_t j) {
  char label[RH_LABEL_BYTES];
  rh_facts *f = &p->survey->column[j];
  const bool act = p->handle == RH_HANDLE_AUTO, noisy = act && f->step > 0, mapped = act && f->map != RH_MAP_NONE;
  rh_table_label(p->survey->table, j, label, sizeof label);
  note_seen(p, j, f);
  if (dropped(p, f)) {
    plan_drop(p, j, f, label);
    return;
  }
  append(p, p->keep, json_integer(j));
  if (noisy) plan_dequantize(p, j, f, label);
  if (mapped) plan_transform(p, j, f, label);
  plan_standardize(p, j, f, noisy, mapped);
  warn_repeats(p, f, label);
  warn_precision(p, f, label);
  warn_shape(p, f, label);
}

static void plan_rows(plan *p) {
  const rh_survey *s = p->survey;
  const double share = 100 * (double)s->repeats / (double)s->n;
  if (s->repeats && share >= 1) {
    say(p, p->warnings, "%lld of %lld rows (%.1f %%) repeat an earlier row: a density that peaks there gains by it without end",
        (long long)s->repeats, (long long)s->n, share);
  } else if (s->repeats) {
    say(p, p->report, "%lld of %lld rows repeat an earlier row", (long long)s->repeats, (long long)s->n);
  }
  if (s->collinear_skipped) {
    say(p, p->report, "collinear columns were not looked for: %lld rows and %lld columns are too few rows or too many columns",
        (long long)s->n, (long long)s->d);
  }
}

static rh_status make_plan(plan *p, json_t **out) {
  const rh_survey *s = p->survey;
  p->root = json_pack("{s:s, s:I, s:I, s:I}", "handle", p->handle == RH_HANDLE_AUTO ? "auto" : "none", "columns", (json_int_t)s->d, "rows",
                      (json_int_t)s->n, "repeated_rows", (json_int_t)s->repeats);
  json_t *standardize = json_object();
  p->failed = !p->root;
  set(p, p->root, "standardize", standardize);
  if (!p->failed) {
    const struct {
      json_t *object, **array;
      const char *key;
    } arrays[] = {{p->root, &p->keep, "keep"},           {p->root, &p->drop, "drop"},     {p->root, &p->dequantize, "dequantize"},
                  {p->root, &p->transform, "transform"}, {standardize, &p->mean, "mean"}, {standardize, &p->scale, "scale"},
                  {p->root, &p->seen, "seen"},           {p->root, &p->report, "report"}, {p->root, &p->warnings, "warnings"}};
    for (size_t i = 0; i < RH_COUNT_OF(arrays); i++) *arrays[i].array = add_array(p, arrays[i].object, arrays[i].key);
  }
  for (int64_t j = 0; j < s->d && !p->failed; j++) plan_column(p, j);
  if (!p->failed) plan_rows(p);
  const bool nothing = !p->failed && json_array_size(p->keep) == 0;
  if (p->failed || nothing) {
    json_decref(p->root);
    if (p->failed) return rh_fail(RH_E_MEMORY, "out of memory for the handling plan of %lld columns", (long long)s->d);
    return rh_fail(RH_E_DATA, "every column is constant in the %lld training rows: there is no density to learn; give rows that differ",
                   (long long)s->n);
  }
  *out = p->root;
  return RH_OK;
}

/* ---- the survey ---- */

static rh_status count_repeats(rh_survey *s) {
  int64_t *first = rh_alloc((size_t)s->n * sizeof *first);
  if (!first) return RH_E_MEMORY;
  const rh_status status = rh_find_repeats(s->whole, s->rows, s->n, first, &s->repeats);
  rh_free(first);
  return status;
}

static rh_status look(rh_survey *s) {
  RH_TRY(rh_survey_moments(s));
  RH_TRY(rh_survey_shapes(s));
  RH_TRY(rh_survey_collinear(s));
  return count_repeats(s);
}

rh_status rh_analyse(const rh_table *table, const int64_t *rows, int64_t n, rh_handle handle, int real_bytes, json_t **out) {
  return rh_analyse_part(table, table, rows, n, handle, real_bytes, out);
}

rh_status rh_analyse_part(const rh_table *table, const rh_table *whole, const int64_t *rows, int64_t n, rh_handle handle, int real_bytes,
                          json_t **out) {
  rh_survey s = {.table = table,
                 .whole = whole,
                 .rows = rows,
                 .n = rows ? n : rh_table_rows(table),
                 .d = rh_table_columns(table),
                 .real_bytes = real_bytes};
  if (s.n < 2) return rh_fail(RH_E_DATA, "a fit needs at least 2 training rows, not %lld; give more rows", (long long)s.n);
  s.sampled = s.n > SAMPLE_ABOVE ? SAMPLE : s.n;
  s.column = rh_alloc_zero((size_t)s.d, sizeof *s.column);
  if (!s.column) return RH_E_MEMORY;
  rh_status status = look(&s);
  plan p = {.survey = &s, .handle = handle};
  if (status == RH_OK) status = check_columns(&p);
  if (status == RH_OK) status = make_plan(&p, out);
  rh_arena_free(&s.arena);
  rh_free(s.column);
  return status;
}
