/* From tables to a fitted density: rh_fit_files, and fits of the same rows again. */
#include <math.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

#include "api/box.h"
#include "api/conditional.h"
#include "api/fit_job.h"
#include "api/given_spec.h"
#include "api/preprocess.h"
#include "api/set_keys.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/threads.h"
#include "data/analyse.h"
#include "data/conditions.h"
#include "data/images.h"
#include "data/split.h"

static const double OPERATIONS_SECOND = 60e9; /* of a thread, float32: what training makes of the processors of the day, roughly */
enum { COPIES = 8, SPLIT_LEAST = 20 }; /* values a fit holds: parameters, moments, average, gradient, best, good; rows worth splitting */

/* ---- options ---- */

static void read_shares(rh_options *o, double share[RH_PARTS]) {
  const json_t *list = rh_options_json(o, "split");
  for (int i = 0; i < RH_PARTS; i++) share[i] = -1;
  if (!list || o->status != RH_OK) return;
  double sum = 0;
  bool fine = json_is_array(list) && json_array_size(list) == RH_PARTS;
  for (int i = 0; i < RH_PARTS && fine; i++) {
    const json_t *item = json_array_get(list, (size_t)i);
    share[i] = json_is_number(item) ? json_number_value(item) : -1;
    fine = share[i] >= 0;
    sum += share[i];
  }
  if (fine && share[0] > 0 && fabs(sum - 1) < 1e-6) return;
  o->status = rh_fail(RH_E_ARGUMENT,
                      "options.split: give three shares of the rows that add up to 1, for training, validation and test: 0.8,0.1,0.1");
}

rh_status rh_fit_options_read(const json_t *json, fit_options *f) {
  static const char *const handles[] = {"auto", "none", NULL};
  static const char *const memories[] = {"keep", "recompute", NULL};
  rh_options o = rh_options_begin(json, "options");
  *f = (fit_options){.arch = rh_options_text(&o, "arch", "auto")};
  rh_compute_read(&o, &f->compute);
  if (f->compute.real_bytes == 0) f->compute.real_bytes = 4;
  rh_read_options_read(&o, &f->read);
  f->read.narrow = f->compute.real_bytes == 4;
  f->read.context = rh_options_text(&o, "context", NULL);
  f->read.categorical = rh_options_text(&o, "categorical", NULL);
  f->embedding = rh_options_int(&o, "embedding", 0, 1, RH_CONTEXT_WIDTH);
  rh_image_fit_read(&o, &f->image);
  f->output = rh_options_text(&o, "output", NULL);
  f->set = rh_options_json(&o, "set");
  f->spec = rh_options_json(&o, "spec");
  f->handle = (rh_handle)rh_options_choice(&o, "handle", RH_HANDLE_AUTO, handles);
  f->memory = (rh_memory)rh_options_choice(&o, "memory", RH_KEEP, memories);
  f->resume = rh_options_bool(&o, "resume", false);
  f->any_isa = rh_options_bool(&o, "any_isa", false);
  f->epochs = rh_options_int(&o, "epochs", 0, 0, (int64_t)1 << 30);
  f->steps = rh_options_int(&o, "steps", 0, 0, (int64_t)1 << 40);
  f->seconds = rh_options_real(&o, "time", 0, 0, 1e9);
  read_shares(&o, f->share);
  if (rh_options_done(&o) != RH_OK) return RH_E_ARGUMENT;
  if (f->set && !json_is_object(f->set)) return rh_fail(RH_E_ARGUMENT, "options.set: give an object of keys and values");
  if (f->resume && !f->output)
    return rh_fail(RH_E_ARGUMENT, "options.resume: needs output, the model file whose checkpoint is to be taken up");
  if (!f->spec) return RH_OK;
  if (rh_given_spec_handles(f->spec)) f->handle = RH_HANDLE_NONE;
  return rh_given_spec_check(json);
}

/* ---- rows ---- */

static rh_status match_part(fit_job *j, int i) {
  const rh_table *train = j->table[RH_PART_TRAIN];
  const int64_t width = rh_table_columns(train);
  const char *const *names = rh_table_names(train);
  json_t *wanted = names ? json_array() : NULL;
  for (int64_t c = 0; c < width && wanted; c++) json_array_append_new(wanted, json_string(names[c]));
  const rh_status status = rh_match_columns(j->name[i], wanted, width, j->order, j->table[i]);
  if (!j->notes) j->notes = json_array();
  if (status == RH_OK && !j->o.read.columns) rh_note_order(j->name[i], wanted, j->table[i], j->notes);
  json_decref(wanted);
  return status;
}

/* Parts that no table was given for are held out of the training rows, where there are enough of them. */
static rh_status hold_out(fit_job *j) {
  const int64_t rows = rh_table_rows(j->table[RH_PART_TRAIN]);
  const bool chosen = j->o.share[RH_PART_TRAIN] >= 0, need_val = !j->table[RH_PART_VAL];
  const bool need_test = !j->table[RH_PART_TEST] && need_val;
  double val = chosen ? j->o.share[RH_PART_VAL] : 0.1, test = chosen ? j->o.share[RH_PART_TEST] : 0.1;
  if (!need_val) val = 0;
  if (!need_test && !chosen) test = 0;
  if (j->table[RH_PART_TEST]) test = 0;
  if (!chosen && rows < SPLIT_LEAST) val = test = 0;
  if (val == 0 && test == 0) return RH_OK;
  const rh_status status = rh_split_rows(j->table[RH_PART_TRAIN], val, test, j->o.compute.seed, &j->split);
  return status == RH_OK ? RH_OK : rh_fail_prefix(status, "%s: ", j->name[RH_PART_TRAIN]);
}

/* Rows as a model has them: [data | context]. */
static rh_status arrange_columns(fit_job *j) {
  rh_table *train = j->table[RH_PART_TRAIN];
  RH_TRY(rh_role_order(train, &j->order, &j->data));
  j->context = rh_table_columns(train) - j->data;
  if (j->context) return rh_table_select(train, j->order, j->data + j->context);
  rh_free(j->order);
  j->order = NULL;
  return RH_OK;
}

static rh_status arrange_rows(fit_job *j) {
  RH_TRY(arrange_columns(j));
  RH_TRY(hold_out(j));
  for (int i = 0; i < RH_PARTS; i++) {
    const rh_table *table = j->table[i] ? j->table[i] : j->table[RH_PART_TRAIN];
    const bool held_out = j->split.n[i] > 0;
    j->part[i] = (rh_part){.table = table, .row = held_out ? j->split.rows[i] : NULL, .n = held_out ? j->split.n[i] : rh_table_rows(table)};
    j->given[i] = j->table[i] || held_out;
    if (i > 0 && j->table[i]) RH_TRY(match_part(j, i));
    j->rows[i] = rh_rows_of(&j->part[i]);
  }
  if (j->rows[RH_PART_TRAIN].rows < 2) {
    return rh_fail(RH_E_DATA, "%s: %lld row to train on: a density needs at least 2, and should have many more", j->name[RH_PART_TRAIN],
                   (long long)j->rows[RH_PART_TRAIN].rows);
  }
  return RH_OK;
}

/* ---- the model ---- */

static rh_status set_recipe(fit_job *j, const json_t *training) {
  j->recipe = rh_recipe_default(j->rows[RH_PART_TRAIN].rows, j->image.h > 0);
  j->recipe.seed = j->o.compute.seed;
  if (!j->o.spec && rh_arch_of_fields(j->o.arch, j->data)) rh_recipe_of_fields(&j->recipe, j->rows[RH_PART_TRAIN].rows);
  RH_TRY(rh_recipe_set(&j->recipe, training));
  if (j->o.image.flip) j->recipe.flip = true;
  if (j->o.epochs) j->recipe.epochs = j->o.epochs;
  if (j->o.steps) j->recipe.steps = j->o.steps;
  if (j->o.seconds > 0) j->recipe.seconds = j->o.seconds;
  return RH_OK;
}

/* What a fit that ends by time may spend; nothing is said of others, so that what depends on the machine is only what does anyway. */
static double operations_of(const fit_job *j) {
  const int threads = j->o.compute.threads > 0 ? j->o.compute.threads : rh_cpu_count();
  return j->recipe.seconds * threads * OPERATIONS_SECOND * 4 / j->o.compute.real_bytes;
}

static rh_status expand_arch(fit_job *j, const json_t *architecture, const json_t *recipe_keys, json_t **spec) {
  json_t *parts;
  RH_TRY(rh_preprocess_parts(j->plan, &parts));
  const rh_arch_size size = {.columns = j->data,
                             .context = j->context,
                             .rows = j->rows[RH_PART_TRAIN].rows,
                             .image = {j->image.h, j->image.w, j->image.c},
                             .operations = operations_of(j)};
  const rh_status status = rh_arch_spec(j->o.arch, architecture, &size, parts, spec, &j->why);
  json_decref(parts);
  return status == RH_E_SPEC ? rh_set_say_keys(architecture, recipe_keys) : status;
}

static rh_status make_spec(fit_job *j, const json_t *architecture, const json_t *recipe_keys, json_t **spec) {
  RH_TRY(j->o.spec ? rh_given_spec_whole(j->o.spec, j->plan, j->data, j->context, spec) : expand_arch(j, architecture, recipe_keys, spec));
  if (j->encoder && json_object_set(*spec, "context_encoder", j->encoder) != 0) return RH_E_MEMORY;
  return RH_OK;
}

static rh_status create_model(fit_job *j, const json_t *spec) {
  const rh_status status = rh_model_create(spec, j->o.compute.real_bytes, j->o.compute.seed, COPIES, 0, &j->model);
  if (status != RH_OK && j->o.spec) return rh_given_spec_failed(status, j->o.spec, j->plan);
  return status;
}

static rh_status set_names(fit_job *j) {
  const char *const *names = rh_table_names(j->table[RH_PART_TRAIN]);
  if (!names) return RH_OK;
  json_t *list = json_array();
  int failed = !list;
  for (int64_t i = 0; i < rh_table_columns(j->table[RH_PART_TRAIN]); i++)
    failed = failed || json_array_append_new(list, json_string(names[i]));
  j->model->columns = list;
  return failed ? rh_fail(RH_E_MEMORY, "out of memory for the columns' names") : RH_OK;
}

/* The modelled columns are looked at without the context, the context without them. */
static rh_status analyse_parts(fit_job *j, const rh_table *data) {
  const rh_part *part = &j->part[RH_PART_TRAIN];
  RH_TRY(rh_analyse_part(data, part->table, part->row, part->n, j->o.handle, j->o.compute.real_bytes, &j->plan));
  if (!j->context) return RH_OK;
  const rh_conditions_options options = {j->o.compute.real_bytes, j->o.embedding};
  json_t *notes = json_object_get(j->plan, "report");
  rh_note_context(part->table, j->data, notes);
  return rh_conditions(part->table, part->row, part->n, j->data, j->order + j->data, &options, &j->encoder, notes);
}

static rh_status analyse(fit_job *j) {
  if (j->plan) return RH_OK; /* the same rows, fitted once more */
  if (j->image.h) return rh_fit_analyse_images(j);
  const rh_table *whole = j->part[RH_PART_TRAIN].table;
  rh_table *view = NULL;
  rh_status status = RH_OK;
  if (j->context) {
    int64_t *columns = rh_alloc((size_t)j->data * sizeof *columns);
    for (int64_t k = 0; k < j->data && columns; k++) columns[k] = k;
    status = columns ? rh_table_view(whole, columns, j->data, &view) : RH_E_MEMORY;
    rh_free(columns);
  }
  if (status == RH_OK) status = analyse_parts(j, view ? view : whole);
  rh_table_free(view);
  return status == RH_OK ? RH_OK : rh_fail_prefix(status, "%s: ", j->name[RH_PART_TRAIN]);
}

static rh_status check_box(fit_job *j) {
  json_decref(j->outside);
  j->outside = NULL;
  return rh_check_box(j->model, j->name[RH_PART_TRAIN], j->part[RH_PART_TRAIN].table, json_object_get(j->plan, "keep"),
                      &j->rows[RH_PART_TRAIN], j->o.compute.seed, j->o.spec ? "box in the specification" : "--set box=B", &j->outside);
}

/* Categories of the tables beside the training's are those of the fit. */
static rh_status check_given(const fit_job *j) {
  for (int i = 1; i < RH_PARTS && j->context; i++)
    if (j->table[i]) RH_TRY(rh_check_categories(j->model, j->name[i], j->table[i], j->data));
  return RH_OK;
}

static rh_status make_model(fit_job *j) {
  json_t *keys = rh_recipe_json(&j->recipe), *training = NULL, *architecture = NULL, *spec = NULL;
  if (j->image.h && !j->o.spec) (void)json_object_del(keys, "steps"); /* the architecture's: of a level; --steps is the training's */
  rh_status status = keys ? rh_set_part(j->o.set, keys, &training, &architecture) : RH_E_MEMORY;
  if (status == RH_OK && j->o.spec) status = rh_set_refuse_rest(architecture, keys);
  if (status == RH_OK) status = set_recipe(j, training);
  if (status == RH_E_SPEC) status = RH_E_ARGUMENT;
  if (status == RH_OK) status = analyse(j);
  if (status == RH_OK) status = make_spec(j, architecture, keys, &spec);
  if (status == RH_OK) status = create_model(j, spec);
  if (status == RH_OK) status = set_names(j);
  if (status == RH_OK) j->model->handling = json_incref(j->plan);
  if (status == RH_OK) j->model->image = j->image;
  if (status == RH_OK) status = check_given(j);
  if (status == RH_OK) status = check_box(j);
  json_decref(keys);
  json_decref(training);
  json_decref(architecture);
  json_decref(spec);
  return status;
}

/* ---- the run ---- */

/* The face's events are the trainer's, one for one. */
static const rh_fit_event_kind kind_of[] = {
    [RH_EVENT_START] = RH_FIT_START,           [RH_EVENT_RESUME] = RH_FIT_RESUME, [RH_EVENT_STEP] = RH_FIT_STEP,
    [RH_EVENT_EPOCH] = RH_FIT_EPOCH,           [RH_EVENT_SKIP] = RH_FIT_SKIP,     [RH_EVENT_ROLLBACK] = RH_FIT_ROLLBACK,
    [RH_EVENT_CHECKPOINT] = RH_FIT_CHECKPOINT, [RH_EVENT_DONE] = RH_FIT_DONE,
};

static void on_progress(void *arg, const rh_progress *p) {
  fit_job *j = arg;
  json_t *line = rh_progress_json(p);
  char *text = line ? rh_json_text(line) : NULL;
  const rh_fit_event event = {
      .kind = kind_of[p->event],
      .epoch = p->epoch,
      .epochs = p->epochs,
      .step = p->step,
      .steps = p->steps,
      .fraction = p->fraction,
      .loss = p->loss,
      .val = p->val,
      .best_val = p->best_val,
      .rate = p->rate,
      .grad_norm = p->grad_norm,
      .rows_per_second = p->rows_per_second,
      .elapsed = p->elapsed,
      .eta = p->eta,
      .skipped = p->skipped,
      .log = text,
      .evaluations_forward = p->forward,
      .evaluations_back = p->back,
      .unfinished = p->unfinished,
  };
  if (j->progress(j->arg, &event) != 0) atomic_store(&j->stop, 1);
  free(text);
  json_decref(line);
}

static bool regular_or_new(const char *path) {
  struct stat about;
  return strcmp(path, "-") != 0 && (stat(path, &about) != 0 || S_ISREG(about.st_mode));
}

static rh_status train(fit_job *j, rh_fit_report *report) {
  const rh_train_options options = {
      .recipe = j->recipe,
      .threads = j->o.compute.threads,
      .isa = j->o.compute.isa,
      .memory = j->o.memory,
      .output = j->o.output,
      .checkpoint = j->o.output && !regular_or_new(j->o.output) ? "" : NULL,
      .resume = j->o.resume,
      .any_isa = j->o.any_isa,
      .image = {j->image.h, j->image.w, j->image.c},
      .progress_seconds = 0.1,
      .progress = j->progress ? on_progress : NULL,
      .arg = j,
      .stop = &j->stop,
  };
  const rh_rows *rows[RH_PARTS];
  for (int i = 0; i < RH_PARTS; i++) rows[i] = j->given[i] ? &j->rows[i] : NULL;
  return rh_train(j->model, rows[RH_PART_TRAIN], rows[RH_PART_VAL], rows[RH_PART_TEST], &options, report);
}

/* A fit of an hour must not end at a folder that cannot be written to. */
rh_status rh_try_output(const char *output) {
  if (!output || !regular_or_new(output)) return RH_OK;
  rh_writer *writer;
  RH_TRY(rh_writer_open(output, &writer));
  rh_writer_discard(writer);
  return RH_OK;
}

rh_status rh_fit_job_finish(fit_job *j, rh_density **density, char **report) {
  RH_TRY(arrange_rows(j));
  RH_TRY(make_model(j));
  rh_fit_report r;
  RH_TRY(train(j, &r));
  RH_TRY(rh_report_give(rh_fit_job_report(j, &r), report));
  if (!density) return RH_OK;
  rh_model *model = j->model;
  j->model = NULL;
  return rh_density_make(model, &j->o.compute, density);
}

void rh_fit_job_clear(fit_job *j) {
  rh_model_destroy(j->model);
  json_decref(j->plan);
  json_decref(j->notes);
  json_decref(j->outside);
  json_decref(j->encoder);
  rh_free(j->order);
  rh_split_free(&j->split);
  for (int i = 0; i < RH_PARTS; i++) rh_table_free(j->table[i]);
}

static rh_status read_files(fit_job *j) {
  int inputs = 0;
  for (int i = 0; i < RH_PARTS; i++) inputs += j->name[i] && strcmp(j->name[i], "-") == 0;
  if (inputs > 1) return rh_fail(RH_E_ARGUMENT, "standard input holds one table: give the others as files");
  for (int i = 0; i < RH_PARTS; i++) RH_TRY(rh_refuse_same(j->o.output, j->name[i]));
  RH_TRY(rh_try_output(j->o.output));
  const char *train_name = j->name[RH_PART_TRAIN];
  bool images = strcmp(train_name, "-") == 0 && j->o.image.first;
  if (!images) RH_TRY(rh_images_known(train_name, &images));
  RH_TRY(rh_image_fit_check(&j->o.image, train_name, images));
  if (images) return rh_fit_read_images(j);
  rh_known_columns known = {0};
  rh_read_options read = j->o.read;
  rh_status status = RH_OK;
  for (int i = 0; i < RH_PARTS && status == RH_OK; i++) {
    if (j->name[i]) status = rh_table_read(j->name[i], &read, &j->table[i]);
    if (i > 0 || !read.context || status != RH_OK) continue;
    status = rh_known_of_table(j->table[i], &known); /* the others have its categories */
    read.known = &known;
  }
  rh_known_free(&known);
  return status;
}

rh_status rh_fit_files(const char *train_path, const char *val, const char *test, const char *options, rh_fit_progress *progress, void *arg,
                       rh_density **density, char **report) {
  if (!train_path) return rh_fail(RH_E_ARGUMENT, "rh_fit_files: train must not be NULL");
  json_t *json;
  RH_TRY(rh_options_parse(options, &json));
  fit_job j = {.name = {train_path, val, test}, .progress = progress, .arg = arg};
  rh_status status = rh_fit_options_read(json, &j.o);
  if (status == RH_OK) status = read_files(&j);
  if (status == RH_OK) status = rh_fit_job_finish(&j, density, report);
  rh_fit_job_clear(&j);
  json_decref(json);
  return status;
}

/* ---- the same rows more than once ---- */

rh_status rh_fit_job_open(const char *const name[RH_PARTS], rh_table *const table[RH_PARTS], const json_t *options, fit_job **job) {
  fit_job *j = rh_alloc_zero(1, sizeof *j);
  if (!j) return RH_E_MEMORY;
  for (int i = 0; i < RH_PARTS; i++) j->name[i] = name[i];
  rh_status status = rh_fit_options_read(options, &j->o);
  const bool images = table && rh_table_image(table[RH_PART_TRAIN]);
  if (status == RH_OK && table) status = rh_image_fit_check(&j->o.image, name[RH_PART_TRAIN], images);
  for (int i = 0; i < RH_PARTS && table; i++) j->table[i] = table[i];
  for (int i = 0; i < RH_PARTS && images && status == RH_OK; i++)
    if (table[i]) status = rh_fit_take_images(j, i);
  if (status == RH_OK && !table) status = read_files(j);
  if (status == RH_OK) status = arrange_rows(j);
  if (status == RH_OK) {
    *job = j;
    return RH_OK;
  }
  for (int i = 0; i < RH_PARTS && table; i++) j->table[i] = NULL; /* still the caller's */
  rh_fit_job_close(j);
  return status;
}

void rh_fit_job_close(fit_job *j) {
  if (!j) return;
  rh_fit_job_clear(j);
  rh_free(j);
}

const rh_rows *rh_fit_job_rows(const fit_job *j, int part) {
  return j->given[part] ? &j->rows[part] : NULL;
}

bool rh_fit_job_images(const fit_job *j) {
  return j->image.h != 0;
}

const rh_compute *rh_fit_job_compute(const fit_job *j) {
  return &j->o.compute;
}

rh_status rh_fit_job_run(fit_job *j, const rh_fit_try *t, rh_model **model, json_t **report) {
  fit_options kept = j->o; /* the split stays that of the job's own seed */
  if (t->arch) j->o.arch = t->arch;
  if (t->set) j->o.set = t->set;
  if (t->seconds > 0) j->o.seconds = t->seconds;
  j->o.compute.seed = t->seed;
  j->progress = t->progress;
  j->arg = t->arg;
  j->why = NULL;
  atomic_store(&j->stop, 0);
  rh_fit_report r;
  rh_status status = make_model(j);
  if (status == RH_OK) status = train(j, &r);
  json_t *made = status == RH_OK ? rh_fit_job_report(j, &r) : NULL;
  if (status == RH_OK && !made) status = rh_fail(RH_E_MEMORY, "out of memory for the report");
  if (status == RH_OK) {
    *model = j->model;
    *report = made;
    j->model = NULL;
  }
  rh_model_destroy(j->model);
  j->model = NULL;
  j->o = kept;
  return status;
}

rh_status rh_architectures(char **json) {
  if (!json) return rh_fail(RH_E_ARGUMENT, "rh_architectures: json must not be NULL");
  int n;
  const rh_arch *const *archs = rh_archs(&n);
  json_t *o = json_object();
  for (int i = 0; i < n; i++) json_object_set_new(o, archs[i]->name, json_string(archs[i]->summary));
  return rh_report_give(o, json);
}
