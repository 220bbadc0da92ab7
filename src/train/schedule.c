#include <math.h>

#include "train/run.h"

enum { EPOCHS_LEAST = 40, EPOCHS_MOST = 2000, STEPS_AIMED = 30000 };

int64_t rh_schedule_epochs(int64_t rows, int64_t batch) {
  const int64_t steps_epoch = (rows + batch - 1) / batch, epochs = STEPS_AIMED / steps_epoch;
  return epochs < EPOCHS_LEAST ? EPOCHS_LEAST : epochs > EPOCHS_MOST ? EPOCHS_MOST : epochs;
}

/* By steps, by the clock, or by whichever will end the run first. */
double rh_schedule_fraction(const rh_recipe *recipe, int64_t step, int64_t steps, double elapsed) {
  const double by_steps = steps > 0 ? (double)step / (double)steps : 0;
  const double by_clock = recipe->seconds > 0 ? elapsed / recipe->seconds : 0;
  return fmin(fmax(by_steps, by_clock), 1);
}

/* Linear warm-up, then half a cosine (Loshchilov & Hutter 2017, eq. 5, one period) from lr to lr * lr_floor over what is left. */
double rh_schedule_rate(const rh_recipe *recipe, int64_t step, int64_t steps, double elapsed) {
  const double pi = 3.14159265358979323846;
  int64_t warmup = recipe->warmup;
  if (steps > 0 && warmup > steps / 10) warmup = steps / 10; /* a short run still trains at its rate */
  const double rise = step < warmup ? (double)(step + 1) / (double)(warmup + 1) : 1;
  const double from = steps > 0 ? (double)warmup / (double)steps : 0;
  const double done = rh_schedule_fraction(recipe, step, steps, elapsed);
  const double fraction = done > from ? (done - from) / (1 - from) : 0;
  return recipe->lr * rise * (recipe->lr_floor + (1 - recipe->lr_floor) * 0.5 * (1 + cos(pi * fraction)));
}
