/* The laws of distributions, over every base and whole flows of every architecture; and their mutants. */
#define _XOPEN_SOURCE 700
#include <unistd.h>

#include "laws/bases_by_hand.h"
#include "laws/checks.h"
#include "laws/distributions.h"
#include "laws/grid.h"
#include "laws/mixtures_by_hand.h"

typedef bool distribution_check(const distribution_entry *e, char *text);

/* ---- densities against plain C ---- */

/* log|det dz/dx| of row r, from jvp columns [columns][rows, latent]; a column that is dropped has none. */
static bool log_det_of(const distribution *d, double *const *column, int64_t rows, int64_t r, double *log_det) {
  double a[DISTRIBUTION_WIDTH * DISTRIBUTION_WIDTH];
  const int64_t n = d->flow->latent;
  int64_t used = 0;
  (void)rows;
  for (int64_t j = 0; j < d->flow->columns; j++) {
    bool any = false;
    for (int64_t i = 0; i < n; i++) any |= column[j][r * n + i] != 0;
    if (!any) continue;
    if (used == n) return false;
    for (int64_t i = 0; i < n; i++) a[i * n + used] = column[j][r * n + i];
    used++;
  }
  if (used == n) *log_det = law_log_det(a, n);
  return used == n;
}

/* A mixture's density is the sum of its components'; they are flows, and have laws of their own. */
static bool sum_of_components(const distribution_entry *e, char *text) {
  enum { ROWS = 40 };
  distribution d;
  double got[ROWS], want[ROWS];
  distribution_begin(&d, e, 8, 1, RH_KEEP);
  subject_rows(&d.f, d.f.out[0], 0, ROWS, got);
  mixed_log_prob(&d, ROWS, want);
  const bool fine = subject_near(text, &d.f, "log_prob against the components' in plain C", ROWS, got, want, 1e-10);
  distribution_end(&d);
  return fine;
}

/* log p(x) = log p(z) + log|det dz/dx|, the base in plain C and the determinant dense. */
static bool change_of_variables(const distribution_entry *e, char *text) {
  enum { ROWS = 40 };
  distribution d;
  if (distribution_is_mixture(e)) return sum_of_components(e, text);
  distribution_begin(&d, e, 8, 1, RH_KEEP);
  const int64_t n = d.flow->latent;
  double log_prob[ROWS], z[ROWS * DISTRIBUTION_WIDTH], *column[DISTRIBUTION_WIDTH];
  subject_rows(&d.f, d.f.out[0], 0, ROWS, log_prob);
  subject_rows(&d.f, d.z, 0, ROWS, z);
  for (int64_t j = 0; j < e->columns; j++) {
    double unit[DISTRIBUTION_WIDTH] = {0};
    unit[j] = 1;
    const rh_val t = rh_const_values(&d.f.g, rh_shape1(e->columns), unit);
    rh_val dz;
    PROBE_OK(rh_jvp(&d.f.g, 1, &d.f.wrt[0], &t, 1, &d.z, &dz));
    column[j] = malloc((size_t)(ROWS * n) * 8);
    subject_rows(&d.f, rh_add_maybe(&d.f.g, rh_fill(&d.f.g, rh_shape1(n), 0), dz), 0, ROWS, column[j]);
  }
  bool fine = true;
  for (int r = 0; r < ROWS && fine; r++) {
    double log_det = 0;
    fine = log_det_of(&d, column, ROWS, r, &log_det);
    if (!fine) snprintf(text, SUBJECT_TEXT, "%s: the latent depends on another number of columns than it has", e->name);
    const double want = base_of(&d)->log_prob(&d, z + r * n) + log_det;
    if (fine)
      fine = subject_near(text, &d.f, "log_prob against the base in plain C and a dense Jacobian", 1, log_prob + r, &want,
                          distribution_near(&d, 1e-10));
  }
  for (int64_t j = 0; j < e->columns; j++) free(column[j]);
  distribution_end(&d);
  return fine;
}

/* A sample is the decoded quantile of its noise; its log_prob that of the base less the decoder's; and the density at x where x tells all.
 */
static bool samples_at(const distribution_entry *e, int real_bytes, double temperature, char *text) {
  enum { ROWS = 60 };
  const double near = real_bytes == 8 ? 1e-9 : 2e-4;
  distribution d;
  distribution_begin(&d, e, real_bytes, temperature, RH_KEEP);
  const int64_t n = d.flow->latent;
  double x[ROWS * DISTRIBUTION_WIDTH], want[ROWS * DISTRIBUTION_WIDTH], log_prob[ROWS], ladj[ROWS];
  subject_rows(&d.s, d.s.out[0], 0, ROWS, x);
  subject_rows(&d.s, d.s.out[1], 0, ROWS, log_prob);
  for (int r = 0; r < ROWS; r++) base_of(&d)->sample(&d, d.s.data[0] + r * d.flow->base_noise, temperature, d.d.data[0] + r * n);
  subject_rows(&d.d, d.d.out[0], 0, ROWS, want);
  subject_rows(&d.d, d.d.out[1], 0, ROWS, ladj);
  bool fine = subject_near(text, &d.s, "a sample against its noise's quantile, decoded", ROWS * e->columns, x, want, near);
  for (int r = 0; r < ROWS && fine; r++) {
    const double back = base_of(&d)->log_prob(&d, d.d.data[0] + r * n) - ladj[r];
    fine = subject_near(text, &d.s, "log_prob of a sample against the base in plain C", 1, log_prob + r, &back, near);
  }
  if (d.flow->exact && fine) { /* nothing is rounded: the row says all */
    double again[ROWS];
    memcpy(d.f.data[0], x, (size_t)(ROWS * e->columns) * 8);
    subject_rows(&d.f, d.f.out[0], 0, ROWS, again);
    fine = subject_near(text, &d.s, "log_prob of a sample against log_prob at the sample", ROWS, log_prob, again,
                        distribution_near(&d, real_bytes == 8 ? 1e-9 : 2e-3));
  }
  distribution_end(&d);
  return fine;
}

/* A sample is that of the component that its first number picks; its log_prob the mixture's. */
static bool mixture_samples_at(const distribution_entry *e, int real_bytes, double temperature, char *text) {
  enum { ROWS = SUBJECT_ROWS }; /* one in a hundred rounded values shows a wrong spread */
  const double near = real_bytes == 8 ? 1e-9 : 2e-4;
  distribution d;
  distribution_begin(&d, e, real_bytes, temperature, RH_KEEP);
  double *x = malloc(ROWS * DISTRIBUTION_WIDTH * 8), *want = malloc(ROWS * DISTRIBUTION_WIDTH * 8), log_prob[ROWS], again[ROWS];
  subject_rows(&d.s, d.s.out[0], 0, ROWS, x);
  subject_rows(&d.s, d.s.out[1], 0, ROWS, log_prob);
  mixed_sample(&d, temperature, ROWS, want);
  bool fine = subject_near(text, &d.s, "a sample against its component's", ROWS * e->columns, x, want, near);
  if (d.flow->exact && fine) {
    memcpy(d.f.data[0], x, (size_t)(ROWS * e->columns) * 8);
    mixed_log_prob(&d, ROWS, again);
    fine = subject_near(text, &d.s, "log_prob of a sample against the components'", ROWS, log_prob, again, real_bytes == 8 ? 1e-9 : 2e-3);
  }
  free(x), free(want);
  distribution_end(&d);
  return fine;
}

static bool samples_law(const distribution_entry *e, char *text) {
  if (distribution_is_mixture(e))
    return mixture_samples_at(e, 8, 1, text) && mixture_samples_at(e, 8, 0.6, text) && mixture_samples_at(e, 4, 1, text);
  return samples_at(e, 8, 1, text) && samples_at(e, 8, 0.6, text) && samples_at(e, 4, 1, text);
}

/* ---- the density on a grid, and samples against it ---- */

static bool integral_law(const distribution_entry *e, char *text) {
  if (!e->points) return true;
  distribution d;
  grid q;
  distribution_begin(&d, e, 8, 1, RH_KEEP);
  grid_begin(&q, &d);
  const bool fine = fabs(q.total - 1) <= 1e-6 || subject_says(text, &d.f, "the integral of the density", 0, q.total, 1);
  grid_end(&q);
  distribution_end(&d);
  return fine;
}

/* Every column's distribution function and first two moments, integrated, against samples. */
static bool marginals_law(const distribution_entry *e, char *text) {
  if (!e->points) return true;
  distribution d;
  grid q;
  drawn s;
  distribution_begin(&d, e, 8, 1, RH_KEEP);
  grid_begin(&q, &d);
  draw(&s, &d);
  bool fine = true;
  double *u = malloc(SAMPLES * sizeof *u);
  for (int c = 0; c < e->columns && fine; c++) {
    for (int i = 0; i < SAMPLES; i++) u[i] = grid_cdf(&q, c, s.x[i * e->columns + c]);
    const double ks = kolmogorov_smirnov(SAMPLES, u);
    if (!(ks <= KS_LIMIT)) fine = subject_says(text, &d.s, "D sqrt(n) of a column's samples", c, ks, KS_LIMIT);
    fine = fine && mean_near(text, &d.s, "mean of samples", s.x + c, e->columns, 1, q.mean[c]) &&
           mean_near(text, &d.s, "mean square of samples", s.x + c, e->columns, 2, q.square[c]);
  }
  free(u);
  drawn_free(&s);
  grid_end(&q);
  distribution_end(&d);
  return fine;
}

/* Encoded, samples have the base's distribution column after column, and their ranks are not correlated. */
static bool codes_law(const distribution_entry *e, char *text) {
  distribution d;
  drawn s;
  distribution_begin(&d, e, 8, 1, RH_KEEP);
  const int64_t n = d.flow->latent, width = e->columns + e->context;
  bool fine = true;
  if (d.flow->body && d.flow->exact) {
    draw(&s, &d);
    double *rows = malloc((size_t)(SAMPLES * width) * 8), *z = malloc((size_t)(SAMPLES * n) * 8), *u = malloc(SAMPLES * 8);
    for (int64_t i = 0; i < SAMPLES; i++) {
      memcpy(rows + i * width, s.x + i * e->columns, (size_t)e->columns * 8);
      memcpy(rows + i * width + e->columns, s.context + i * e->context, (size_t)e->context * 8);
    }
    const rh_dense_rows dense = {SAMPLES, width, rows};
    const rh_rows all = rh_rows_dense(&dense);
    PROBE_OK(rh_encode(s.scorer, &all, 0, SAMPLES, z, NULL));
    for (int64_t i = 0; i < SAMPLES; i++) {
      double v[DISTRIBUTION_WIDTH];
      base_of(&d)->ranks(&d, z + i * n, v);
      memcpy(z + i * n, v, (size_t)n * 8);
    }
    for (int64_t c = 0; c < n && fine; c++) {
      for (int64_t i = 0; i < SAMPLES; i++) u[i] = z[i * n + c];
      const double ks = kolmogorov_smirnov(SAMPLES, u);
      if (!(ks <= KS_LIMIT)) fine = subject_says(text, &d.s, "D sqrt(n) of a code's coordinate", c, ks, KS_LIMIT);
      for (int64_t b = 0; b < c && fine; b++) {
        for (int64_t i = 0; i < SAMPLES; i++) u[i] = (z[i * n + b] - 0.5) * (z[i * n + c] - 0.5);
        fine = mean_near(text, &d.s, "covariance of two ranks of codes", u, 1, 1, 0);
      }
    }
    free(rows), free(z), free(u);
    drawn_free(&s);
  }
  distribution_end(&d);
  return fine;
}

/* One discrete column: how often a value is drawn against the mean density of its cell, times the step. */
static bool frequencies_law(const distribution_entry *e, char *text) {
  enum { VALUES = 40, NODES = 200 };
  distribution d;
  distribution_begin(&d, e, 8, 1, RH_KEEP);
  bool fine = true;
  if (d.flow->noise == 1 && e->columns == 1 && strstr(e->preprocess, "levels") == NULL) {
    drawn s;
    draw(&s, &d);
    double drawn_sum = 0, p_sum = 0, log_prob[NODES];
    for (int v = -VALUES; v <= VALUES && fine; v++) {
      double p = 0;
      for (int k = 0; k < NODES; k++) d.f.data[0][k] = v, d.f.data[1][k] = (k + 0.5) / NODES;
      subject_rows(&d.f, d.f.out[0], 0, NODES, log_prob);
      for (int k = 0; k < NODES; k++) p += exp(log_prob[k]) / NODES;
      for (int i = 0; i < SAMPLES; i++) drawn_sum += s.x[i] == v;
      p_sum += p;
      if (!(fabs(drawn_sum / SAMPLES - p_sum) * sqrt(SAMPLES) <= KS_LIMIT))
        fine = subject_says(text, &d.s, "share of samples up to a value", v, drawn_sum / SAMPLES, p_sum);
    }
    if (fine && !(fabs(p_sum - 1) < 1e-5 && drawn_sum == SAMPLES)) fine = subject_says(text, &d.s, "the sum over all values", 0, p_sum, 1);
    drawn_free(&s);
  }
  distribution_end(&d);
  return fine;
}

/* ---- derivatives, bits, extremes, files ---- */

static bool gradients_law(const distribution_entry *e, char *text) {
  distribution d;
  distribution_begin(&d, e, 8, 1, RH_KEEP);
  if (distribution_is_uniform(&d)) /* differences of -inf are nothing */
    for (int64_t k = 0; k < DIFFERENCE_ROWS * e->columns; k++) d.f.data[0][k] *= 0.8;
  for (int64_t k = 0; k < DIFFERENCE_ROWS * d.s.width[0]; k++)
    d.s.data[0][k] = 0.2 + 0.6 * d.s.data[0][k]; /* the quantile is steep at the ends */
  const bool fine = subject_gradients(&d.f, 12, text) && (!d.flow->exact || subject_gradients(&d.s, 6, text));
  distribution_end(&d);
  return fine;
}

static bool bits_law(const distribution_entry *e, char *text) {
  bool fine = true;
  for (int rb = 4; rb <= 8 && fine; rb += 4) {
    distribution a, b;
    distribution_begin(&a, e, rb, 1, RH_KEEP);
    distribution_begin(&b, e, rb, 1, RH_RECOMPUTE);
    fine = subject_bits(&a.f, &b.f, text) && subject_bits(&a.s, &b.s, text);
    distribution_end(&a), distribution_end(&b);
  }
  return fine;
}

/* Finite inputs, however far out: a log-density that is finite or -inf, and gradients that are finite. */
static bool extremes_law(const distribution_entry *e, char *text) {
  static const double extreme[] = {0,   -0.0, 1e-30, -1e-300, 1,    -1,    2,    3,     37.5, -37.5, 700,   -700,
                                   1e6, -1e6, 1e15,  -1e15,   1e18, -1e18, 1e25, -1e25, 1e38, -1e38, 1e300, -1e300};
  enum { ROWS = sizeof extreme / sizeof *extreme };
  bool fine = true;
  for (int rb = 4; rb <= 8 && fine; rb += 4) {
    distribution d;
    distribution_begin(&d, e, rb, 1, RH_KEEP);
    const int64_t width = e->columns + e->context;
    const double most = 1e15; /* beyond, a graph may overflow: scoring then says -inf */
    double rows[ROWS * 2 * DISTRIBUTION_WIDTH] = {0}, log_prob[ROWS], gradient[ROWS * DISTRIBUTION_WIDTH], direct[ROWS];
    for (int r = 0; r < ROWS; r++)
      for (int64_t c = 0; c < e->columns; c++) {
        const double x = extreme[(r + c * 5) % ROWS];
        rows[r * width + c] = x;
        d.f.data[0][r * e->columns + c] = fabs(x) > most ? copysign(most, x) : x;
      }
    subject_rows(&d.f, d.f.out[0], 0, ROWS, direct);
    if (rh_is_none(d.f.first[0])) {
      memset(gradient, 0, sizeof gradient);
    } else {
      subject_rows(&d.f, d.f.first[0], 0, ROWS, gradient);
    }
    rh_scorer *scorer;
    const rh_scorer_options options = {.threads = 1};
    const rh_dense_rows dense = {ROWS, width, rows};
    const rh_rows all = rh_rows_dense(&dense);
    PROBE_OK(rh_scorer_create(d.flow, &d.values, &options, &scorer));
    PROBE_OK(rh_score(scorer, &all, 0, ROWS, log_prob));
    rh_scorer_destroy(scorer);
    for (int r = 0; r < ROWS && fine; r++) {
      if (isnan(log_prob[r]) || log_prob[r] == INFINITY) fine = subject_says(text, &d.f, "score of an extreme row", r, log_prob[r], 0);
      if (isnan(direct[r]) || direct[r] == INFINITY) fine = subject_says(text, &d.f, "log_prob of an extreme row", r, direct[r], 0);
      for (int64_t c = 0; c < e->columns && fine; c++)
        if (!isfinite(gradient[r * e->columns + c]))
          fine = subject_says(text, &d.f, "gradient at an extreme row", r * e->columns + c, gradient[r * e->columns + c], 0);
    }
    distribution_end(&d);
  }
  return fine;
}

static void score_all(const rh_flow *flow, const rh_values *values, int threads, int64_t first, int64_t n, const double *rows,
                      double *log_prob) {
  rh_scorer *scorer;
  const rh_scorer_options options = {.threads = threads, .seed = 3};
  const rh_dense_rows dense = {first + n, flow->columns + flow->context, rows};
  const rh_rows all = rh_rows_dense(&dense);
  PROBE_OK(rh_scorer_create(flow, values, &options, &scorer));
  PROBE_OK(rh_score(scorer, &all, first, n, log_prob));
  rh_scorer_destroy(scorer);
}

/* Saved and loaded, a model gives every row the same bits; so do other numbers of threads, and a row alone. */
static bool saved_law(const distribution_entry *e, char *text) {
  enum { ROWS = 300 };
  bool fine = true;
  for (int rb = 4; rb <= 8 && fine; rb += 4) {
    const subject s = {.name = e->name};
    double *rows = distribution_rows(e, ROWS), a[ROWS], b[ROWS];
    json_t *spec = distribution_spec(e);
    rh_model *model, *back;
    PROBE_OK(rh_model_create(spec, rb, 4, 1, 0, &model));
    subject_shake(&model->flow->leaves, &model->values, DISTRIBUTION_SHAKE);
    char path[] = P_tmpdir "/rheo-laws-XXXXXX";
    const int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    PROBE_OK(rh_model_save(model, path));
    PROBE_OK(rh_model_load(path, &back));
    unlink(path);
    score_all(model->flow, &model->values, 1, 0, ROWS, rows, a);
    score_all(back->flow, &back->values, 1, 0, ROWS, rows, b);
    fine = subject_same(text, &s, "log_prob after saving and loading", ROWS, b, a);
    for (int t = 2; t <= 3 && fine; t++) {
      score_all(back->flow, &back->values, t, 0, ROWS, rows, b);
      fine = subject_same(text, &s, "log_prob at another number of threads", ROWS, b, a);
    }
    for (int64_t r = 0; r < ROWS && fine; r += 97) {
      score_all(back->flow, &back->values, 1, r, 1, rows, b);
      fine = subject_same(text, &s, "log_prob of a row alone", 1, b, a + r);
    }
    rh_model_destroy(model), rh_model_destroy(back);
    json_decref(spec);
    free(rows);
  }
  return fine;
}

/* Untrained and by default, an architecture is its preprocessing and a standard normal; a mixture's components start apart. */
static bool start_law(const distribution_entry *e, char *text) {
  enum { ROWS = 100 };
  if (!e->arch || strstr(e->spec, "scaled") || distribution_is_mixture(e)) return true;
  json_t *spec = distribution_spec(e), *plain = json_deep_copy(spec);
  json_t *empty = distribution_json("{\"type\":\"chain\",\"parts\":[]}");
  json_object_set_new(plain, "flow", empty);
  double *x = distribution_rows(e, ROWS), got[ROWS], want[ROWS];
  for (int i = 0; i < 2; i++) {
    rh_model *model;
    PROBE_OK(rh_model_create(i ? plain : spec, 8, 4, 1, 0, &model));
    score_all(model->flow, &model->values, 1, 0, ROWS, x, i ? want : got);
    rh_model_destroy(model);
  }
  const subject s = {.name = e->name};
  const bool fine = subject_near(text, &s, "log_prob at the start", ROWS, got, want, 1e-13);
  json_decref(spec), json_decref(plain);
  free(x);
  return fine;
}

static const struct {
  const char *name;
  distribution_check *check;
} laws[] = {{"change of variables", change_of_variables},
            {"samples", samples_law},
            {"the integral", integral_law},
            {"marginals", marginals_law},
            {"codes", codes_law},
            {"frequencies", frequencies_law},
            {"the start", start_law},
            {"extremes", extremes_law},
            {"saved", saved_law},
            {"gradients", gradients_law},
            {"bits", bits_law}};
enum { MUTANT_LAWS = 2, INTEGRAL = 2 };

static void every_law(void **state) {
  (void)state;
  int failed = 0;
  for (size_t l = 0; l < RH_COUNT_OF(laws); l++) {
    const int before = failed;
    for (int i = 0; i < DISTRIBUTIONS; i++) {
      char text[SUBJECT_TEXT];
      if (laws[l].check(&distributions[i], text)) continue;
      print_error("law of %s: %s\n", laws[l].name, text);
      failed++;
    }
    printf("law of %s: %d distributions, %d failed\n", laws[l].name, DISTRIBUTIONS, failed - before);
  }
  assert_int_equal(failed, 0);
}

/* Has a continuous flow, left to its defaults, a row but for the field's sizes? shipped: its cnf by default; NULL: it has none. */
static bool shipped_is_here(const char *arch, bool context, const json_t *shipped) {
  bool found = !shipped;
  for (int i = 0; i < DISTRIBUTIONS && !found; i++) {
    const distribution_entry *e = &distributions[i];
    if (!e->arch || strcmp(e->arch, arch) != 0 || (e->context > 0) != context) continue;
    json_t *spec = distribution_spec(e), *cnf = json_copy(law_cnf_of(spec));
    json_object_set(cnf, "field", json_object_get(shipped, "field"));
    found = json_equal(cnf, shipped);
    json_decref(cnf), json_decref(spec);
  }
  return found;
}

static void every_solver_is_here(const char *arch) {
  json_t *spec;
  PROBE_OK(rh_arch_spec(arch, NULL, &(rh_arch_size){2, 0, 5000, {0}, 0}, NULL, &spec, NULL));
  for (int c = 0; c < 2; c++)
    if (!shipped_is_here(arch, c, law_cnf_of(spec)))
      fail_msg("architecture %s has no row as shipped %s a context in tests/laws/distributions.h", arch, c ? "with" : "without");
  json_decref(spec);
}

static void everyone_is_here(void **state) {
  (void)state;
  int bases, archs;
  const rh_base_type *const *base = rh_base_types(&bases);
  const rh_arch *const *arch = rh_archs(&archs);
  for (int t = 0; t < bases; t++) {
    char quoted[80];
    bool found = false;
    snprintf(quoted, sizeof quoted, "\"base\":{\"type\":\"%s\"", base[t]->type);
    base_by_hand(base[t]->type);
    for (int i = 0; i < DISTRIBUTIONS; i++) found |= strstr(distributions[i].spec, quoted) != NULL;
    if (!found) fail_msg("base %s has no row in tests/laws/distributions.h", base[t]->type);
  }
  for (int t = 0; t < archs; t++) {
    if (arch[t]->image) continue; /* tests/density/test_image_flows.c */
    bool found[2] = {false};
    for (int i = 0; i < DISTRIBUTIONS; i++)
      if (distributions[i].arch && strcmp(distributions[i].arch, arch[t]->name) == 0) found[distributions[i].context > 0] = true;
    for (int c = 0; c < 2; c++)
      if (!found[c])
        fail_msg("architecture %s has no row %s a context in tests/laws/distributions.h", arch[t]->name, c ? "with" : "without");
    every_solver_is_here(arch[t]->name);
  }
  printf("%d registered bases and %d architectures, all in the table\n", bases, archs);
}

static bool noticed(const void *arg) {
  char text[SUBJECT_TEXT];
  for (size_t l = 0; l < MUTANT_LAWS; l++)
    if (!laws[l].check(arg, text)) return true;
  return false;
}

static void mutants_die(void **state) {
  (void)state;
  for (int i = 0; i < DISTRIBUTIONS; i++) mutant_each(distributions[i].name, TARGETS, target_names, noticed, &distributions[i]);
  printf("mutants of distributions: %d made, %d killed\n", mutant.made, mutant.killed);
  assert_true(mutant.made > 300);
  assert_int_equal(mutant.killed, mutant.made);
}

/* The integral needs nobody's formula: wrong densities of one column die of it alone. */
static bool integral_notices(const void *arg) {
  char text[SUBJECT_TEXT];
  return !laws[INTEGRAL].check(arg, text);
}

static void mutants_of_densities_die_of_the_integral(void **state) {
  (void)state;
  static const int densities[] = {BASE_LOG_PROB, LOG_PROB};
  mutant.made = mutant.killed = 0;
  for (int i = 0; i < DISTRIBUTIONS; i++)
    for (size_t t = 0; t < RH_COUNT_OF(densities) && distributions[i].columns == 1 && distributions[i].points; t++)
      for (int k = 0; k < MUTANT_KINDS; k++) {
        mutant.on = true, mutant.target = densities[t], mutant.kind = (mutant_kind)k;
        const bool killed = integral_notices(&distributions[i]);
        mutant.on = false;
        mutant.made++;
        mutant.killed += killed;
        if (!killed) printf("SURVIVED the integral: %s, %s of %s\n", distributions[i].name, mutant_kinds[k], target_names[densities[t]]);
      }
  printf("mutants of densities, by the integral alone: %d made, %d killed\n", mutant.made, mutant.killed);
  assert_int_equal(mutant.killed, mutant.made);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(everyone_is_here), cmocka_unit_test(every_law), cmocka_unit_test(mutants_die),
                                     cmocka_unit_test(mutants_of_densities_die_of_the_integral)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
