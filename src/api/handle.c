#include "api/handle.h"

#include <math.h>
#include <string.h>

#include "api/solver.h"
#include "base/file.h"
#include "base/memory.h"

#define RH_TEXT_OF_(x)   #x
#define RH_TEXT_OF(x)    RH_TEXT_OF_(x)
#define RH_VERSION_TEXT_ RH_TEXT_OF(RH_VERSION_MAJOR) "." RH_TEXT_OF(RH_VERSION_MINOR) "." RH_TEXT_OF(RH_VERSION_PATCH)

enum { MOST_THREADS = 1024, MOST_DRAWS = 1000000 };

const char *rh_version(void) {
  return RH_VERSION_TEXT_;
}

const char *rh_level(int i) {
  int n;
  const char *const *levels = rh_isa_levels(&n);
  return i >= 0 && i < n ? levels[i] : NULL;
}

void rh_text_free(char *text) {
  rh_free(text);
}

/* ---- options and reports ---- */

rh_status rh_options_parse(const char *text, json_t **json) {
  if (!text || !*text) {
    *json = json_object();
    return *json ? RH_OK : rh_fail(RH_E_MEMORY, "options: out of memory");
  }
  json_t *parsed;
  const rh_status status = rh_json_parse(text, strlen(text), "options", &parsed);
  if (status != RH_OK) return status == RH_E_FORMAT ? RH_E_ARGUMENT : status;
  if (!json_is_object(parsed)) {
    json_decref(parsed);
    return rh_fail(RH_E_ARGUMENT, "options: give a JSON object such as {\"threads\": 2}");
  }
  *json = parsed;
  return RH_OK;
}

rh_status rh_options_divide(const json_t *options, const char *const *names, json_t **own, json_t **rest) {
  json_t *mine = json_object(), *theirs = json_copy((json_t *)(uintptr_t)options);
  int failed = !mine || !theirs;
  for (; *names && !failed; names++) {
    json_t *value = json_object_get(options, *names);
    if (value) failed = json_object_set(mine, *names, value) | json_object_del(theirs, *names);
  }
  if (failed) {
    json_decref(mine);
    json_decref(theirs);
    return rh_fail(RH_E_MEMORY, "options: out of memory");
  }
  *own = mine;
  *rest = theirs;
  return RH_OK;
}

rh_status rh_report_give(json_t *report, char **text) {
  char *made = report ? rh_json_text(report) : NULL;
  json_decref(report);
  char *copy = made ? rh_strdup(made) : NULL;
  free(made);
  if (!copy) return rh_fail(RH_E_MEMORY, "out of memory for the report");
  if (text)
    *text = copy;
  else
    rh_free(copy);
  return RH_OK;
}

json_t *rh_json_real(double x) {
  return isfinite(x) ? json_real(x) : json_null();
}

/* The level's own static name. */
static const char *read_isa(rh_options *o) {
  const char *isa = rh_options_text(o, "isa", NULL);
  const rh_kernels *kernels;
  if (!isa || o->status != RH_OK) return NULL;
  o->status = rh_kernels_get(isa, 4, &kernels);
  return o->status == RH_OK ? kernels->isa : NULL;
}

void rh_compute_read(rh_options *o, rh_compute *compute) {
  static const char *const dtypes[] = {"f32", "f64", "model", NULL};
  static const int bytes[] = {4, 8, 0};
  compute->threads = (int)rh_options_int(o, "threads", 0, 0, MOST_THREADS);
  compute->isa = read_isa(o);
  compute->real_bytes = bytes[rh_options_choice(o, "dtype", 2, dtypes)];
  compute->seed = (uint64_t)rh_options_int(o, "seed", 0, 0, INT64_MAX);
  compute->draws = rh_options_int(o, "draws", 1, 1, MOST_DRAWS);
}

/* ---- the handle ---- */

rh_status rh_density_make(rh_model *model, const rh_compute *compute, rh_density **density) {
  rh_density *d = rh_alloc_zero(1, sizeof *d);
  rh_pool *pool = NULL;
  rh_status status = d ? rh_pool_create(compute->threads, &pool) : RH_E_MEMORY;
  if (status == RH_OK && pthread_mutex_init(&d->lock, NULL)) status = rh_fail(RH_E_MEMORY, "no mutex left in the system");
  if (status != RH_OK) {
    rh_pool_destroy(pool);
    rh_free(d);
    rh_model_destroy(model);
    return status;
  }
  d->model = model;
  d->pool = pool;
  d->options = (rh_scorer_options){.pool = pool,
                                   .isa = compute->isa,
                                   .real_bytes = compute->real_bytes,
                                   .seed = compute->seed,
                                   .draws = compute->draws,
                                   .temperature = 1};
  *density = d;
  return RH_OK;
}

/* *changes: rh_solver_read's. */
static rh_status open_with(const char *options, rh_compute *compute, json_t **changes) {
  json_t *json;
  RH_TRY(rh_options_parse(options, &json));
  rh_options o = rh_options_begin(json, "options");
  rh_compute_read(&o, compute);
  rh_solver_read(&o, changes);
  const rh_status status = rh_options_done(&o);
  json_decref(json);
  if (status == RH_OK) return RH_OK;
  json_decref(*changes);
  return RH_E_ARGUMENT;
}

/* Takes both. */
static rh_status make_changed(rh_model *model, json_t *changes, const rh_compute *compute, rh_density **density) {
  const rh_status status = rh_solver_change(model, changes);
  json_decref(changes);
  if (status == RH_OK) return rh_density_make(model, compute, density);
  rh_model_destroy(model);
  return status;
}

/* Standard input has a name in errors. */
static rh_status load(const char *path, rh_model **model) {
  if (strcmp(path, "-") != 0) return rh_model_load(path, model);
  rh_bytes bytes;
  RH_TRY(rh_bytes_open(path, &bytes));
  const rh_status status = rh_model_read(bytes.data, bytes.size, "standard input", model);
  rh_bytes_close(&bytes);
  return status;
}

rh_status rh_density_open(const char *path, const char *options, rh_density **density) {
  if (!path || !density) return rh_fail(RH_E_ARGUMENT, "rh_density_open: path and density must not be NULL");
  rh_compute compute;
  json_t *changes;
  rh_model *model;
  RH_TRY(open_with(options, &compute, &changes));
  char *own = rh_strdup(path);
  rh_status status = own ? load(path, &model) : RH_E_MEMORY;
  if (status != RH_OK) {
    json_decref(changes);
    rh_free(own);
    return status;
  }
  status = make_changed(model, changes, &compute, density);
  if (status == RH_OK)
    (*density)->path = own;
  else
    rh_free(own);
  return status;
}

rh_status rh_density_read(const void *bytes, size_t size, const char *name, const char *options, rh_density **density) {
  if (!bytes || !name || !density) return rh_fail(RH_E_ARGUMENT, "rh_density_read: bytes, name and density must not be NULL");
  rh_compute compute;
  json_t *changes;
  rh_model *model;
  RH_TRY(open_with(options, &compute, &changes));
  const rh_status status = rh_model_read(bytes, size, name, &model);
  if (status == RH_OK) return make_changed(model, changes, &compute, density);
  json_decref(changes);
  return status;
}

void rh_density_close(rh_density *density) {
  if (!density) return;
  rh_scorer_destroy(density->scorer);
  rh_pool_destroy(density->pool);
  rh_model_destroy(density->model);
  rh_free(density->path);
  pthread_mutex_destroy(&density->lock);
  rh_free(density);
}

void rh_density_stop(rh_density *density, int stop) {
  if (density) atomic_store(&density->stop, stop);
}

void rh_density_lock(rh_density *d) {
  pthread_mutex_lock(&d->lock);
  d->counts = (rh_ode_report){0};
}

void rh_density_unlock(rh_density *d) {
  pthread_mutex_unlock(&d->lock);
}

/* Plans are made at their first use and kept until the options change. */
rh_status rh_density_scorer(rh_density *d, uint64_t seed, double temperature, rh_scorer **scorer) {
  if (d->scorer && (d->options.seed != seed || d->options.temperature != temperature)) {
    rh_scorer_destroy(d->scorer);
    d->scorer = NULL;
  }
  d->options.seed = seed;
  d->options.temperature = temperature;
  if (!d->scorer) RH_TRY(rh_scorer_create(d->model->flow, &d->model->values, &d->options, &d->scorer));
  rh_scorer_counts(d->scorer); /* what was not found is told of each call by itself */
  *scorer = d->scorer;
  return RH_OK;
}

rh_ode_report rh_density_count(rh_density *d) {
  const rh_ode_report counts = rh_scorer_counts(d->scorer);
  rh_ode_report_add(&d->counts, &counts);
  return counts;
}

int rh_density_real_bytes(const rh_density *d) {
  return d->options.real_bytes ? d->options.real_bytes : d->model->values.real_bytes;
}
