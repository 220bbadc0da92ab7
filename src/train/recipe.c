#include <math.h>

#include "base/options.h"
#include "train/train.h"

const char *const rh_optimizer_names[] = {"adam", "adamw", NULL};

enum { STEPS_MOST = 1 << 30 };

/* Chosen on the validation rows of UCI tables of 4,000 to 35,000 rows. An epoch of few steps says little, so patience is at least
 * PATIENCE_STEPS of them. Few rows are overfitted, and long fits put rows that lie a little outside very far out: decay of the
 * conditioners' weights, more of it the fewer the rows, was worth 0.2 to 4 nats on validation rows and spares single rows thousands
 * (docs/results.md). Of images the digits of 8 x 8 and of MNIST. */
enum { PATIENCE_EPOCHS = 30, PATIENCE_STEPS = 1000, MANY = 50000, VERY_MANY = 500000 };
static const double DECAY_FEW = 4500, DECAY_LONG = 3500, DECAY_MOST = 2, FIELD_DECAY = 0.17, FIELD_DECAY_MOST = 0.3;

rh_recipe rh_recipe_default(int64_t rows, bool images) {
  const double n = (double)(rows > 1 ? rows : 1), few = DECAY_FEW / n;
  rh_recipe r = {
      .optimizer = RH_ADAMW,
      .lr = images ? 1e-2 : 5e-3,
      .beta1 = 0.9,
      .beta2 = 0.99, /* heavy tails: one outlying row must not slow a thousand steps */
      .eps = 1e-8,
      .weight_decay = fmin(DECAY_MOST, fmax(few * few, DECAY_LONG / n)),
      .lr_floor = 0.01,
      .warmup = 100,
      .clip = 5,
      .ema = 0.999,
      .batch = images || rows < MANY ? 128
               : rows < VERY_MANY    ? 256
                                     : 512,
  };
  const int64_t steps_epoch = rows / r.batch + 1;
  r.patience = PATIENCE_EPOCHS + PATIENCE_STEPS / steps_epoch;
  return r;
}

/* Chosen likewise, on protein and miniboone (docs/results.md). Decay pulls a field to zero, the flow to the identity: few rows of many
 * columns need some of it, while of 35,214 rows 0.05 cost a nat. */
void rh_recipe_of_fields(rh_recipe *r, int64_t rows) {
  const double few = DECAY_FEW / (double)(rows > 1 ? rows : 1);
  r->lr = 1e-2;
  r->weight_decay = fmin(FIELD_DECAY_MOST, FIELD_DECAY * few * few);
}

rh_status rh_recipe_set(rh_recipe *recipe, const json_t *options) {
  rh_recipe r = *recipe;
  rh_options o = rh_options_begin(options, "fit");
  r.optimizer = (rh_optimizer)rh_options_choice(&o, "optimizer", (int)r.optimizer, rh_optimizer_names);
  r.lr = rh_options_real(&o, "lr", r.lr, 1e-12, 10);
  r.beta1 = rh_options_real(&o, "beta1", r.beta1, 0, 0.9999999);
  r.beta2 = rh_options_real(&o, "beta2", r.beta2, 0, 0.9999999);
  r.eps = rh_options_real(&o, "eps", r.eps, 1e-30, 1);
  r.weight_decay = rh_options_real(&o, "weight_decay", r.weight_decay, 0, 100);
  r.lr_floor = rh_options_real(&o, "lr_floor", r.lr_floor, 0, 1);
  r.warmup = rh_options_int(&o, "warmup", r.warmup, 0, STEPS_MOST);
  r.clip = rh_options_real(&o, "clip", r.clip, 0, 1e30);
  r.ema = rh_options_real(&o, "ema", r.ema, 0, 0.9999999);
  r.batch = rh_options_int(&o, "batch", r.batch, 1, 1 << 24);
  r.epochs = rh_options_int(&o, "epochs", r.epochs, 0, STEPS_MOST);
  r.steps = rh_options_int(&o, "steps", r.steps, 0, (int64_t)1 << 40);
  r.seconds = rh_options_real(&o, "seconds", r.seconds, 0, 1e9);
  r.patience = rh_options_int(&o, "patience", r.patience, 0, STEPS_MOST);
  r.flip = rh_options_bool(&o, "flip", r.flip);
  r.seed = (uint64_t)rh_options_int(&o, "seed", (int64_t)r.seed, 0, INT64_MAX);
  RH_TRY(rh_options_done(&o));
  if (r.optimizer == RH_ADAM && !json_object_get(options, "weight_decay")) r.weight_decay = 0; /* the default's belongs to adamw */
  if (r.weight_decay > 0 && r.optimizer != RH_ADAMW)
    return rh_fail(RH_E_SPEC, "fit: weight_decay is %g: it needs optimizer=adamw", r.weight_decay);
  *recipe = r;
  return RH_OK;
}

json_t *rh_recipe_json(const rh_recipe *r) {
  return json_pack("{s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:f, s:f, s:I, s:I, s:I, s:f, s:I, s:b, s:I}", "optimizer",
                   rh_optimizer_names[r->optimizer], "lr", r->lr, "beta1", r->beta1, "beta2", r->beta2, "eps", r->eps, "weight_decay",
                   r->weight_decay, "lr_floor", r->lr_floor, "warmup", (json_int_t)r->warmup, "clip", r->clip, "ema", r->ema, "batch",
                   (json_int_t)r->batch, "epochs", (json_int_t)r->epochs, "steps", (json_int_t)r->steps, "seconds", r->seconds, "patience",
                   (json_int_t)r->patience, "flip", r->flip, "seed", (json_int_t)r->seed);
}
