#include "numeric/root.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"

enum { NEWTON_STEPS = 48, INTERVAL_HALVINGS = 64 };

/* One running element. Slots 0 .. n-1 run; x is what f is asked for next. */
typedef struct slot {
  int64_t element;
  double y, x, from;           /* from: the last x whose value was a number */
  double lo, hi, r_lo, r_hi;   /* ends and their residuals f - y: < 0 and > 0; infinite: not known yet */
  double before;               /* size of the last residual */
  double reach, growth;        /* length of the next step while an end is missing */
  int steps, newton, halvings; /* so far */
  bool by_newton;              /* x came from Newton's method */
} slot;

/* What depends on the precision. */
typedef struct precision {
  int bytes;
  double eps, most, least; /* ulp of 1, the greatest and the least positive number */
} precision;

struct rh_root_work {
  precision p;
  int64_t slots;
  slot *slot;
  int64_t *element;
  char *x, *value, *slope; /* [slots] */
};

int64_t rh_root_work_bytes(int64_t slots, int real_bytes) {
  return slots * (int64_t)(sizeof(slot) + sizeof(int64_t)) + 3 * slots * real_bytes;
}

rh_status rh_root_work_create(int64_t slots, int real_bytes, rh_root_work **out) {
  rh_root_work *w = rh_alloc_zero(1, sizeof *w);
  if (!w) return RH_E_MEMORY;
  w->p = real_bytes == 4 ? (precision){4, FLT_EPSILON, FLT_MAX, FLT_MIN} : (precision){8, DBL_EPSILON, DBL_MAX, DBL_MIN};
  w->slots = slots;
  w->slot = rh_alloc_zero((size_t)slots, sizeof *w->slot);
  w->element = rh_alloc_zero((size_t)slots, sizeof *w->element);
  w->x = rh_alloc_zero(3 * (size_t)slots, (size_t)real_bytes);
  if (!w->slot || !w->element || !w->x) {
    rh_root_work_destroy(w);
    return RH_E_MEMORY;
  }
  w->value = w->x + slots * real_bytes;
  w->slope = w->value + slots * real_bytes;
  *out = w;
  return RH_OK;
}

void rh_root_work_destroy(rh_root_work *w) {
  if (!w) return;
  rh_free(w->slot);
  rh_free(w->element);
  rh_free(w->x);
  rh_free(w);
}

static double get(const precision *p, const void *x, int64_t i) {
  return p->bytes == 4 ? (double)((const float *)x)[i] : ((const double *)x)[i];
}
static void put(const precision *p, void *to, int64_t i, double x) {
  if (p->bytes == 4) {
    ((float *)to)[i] = (float)x;
  } else {
    ((double *)to)[i] = x;
  }
}

/* x as f can be asked for it. */
static double rounded(const precision *p, double x) {
  if (!(x < p->most)) return p->most;
  if (!(x > -p->most)) return -p->most;
  return p->bytes == 4 ? (double)(float)x : x;
}

/* Numbers in order: neighbours differ by 1, 0 is 0. */
static int64_t place_of(const precision *p, double x) {
  if (p->bytes == 4) {
    const float f = (float)x;
    int32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits < 0 ? -(int64_t)(bits & INT32_MAX) : bits;
  }
  int64_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits < 0 ? -(bits & INT64_MAX) : bits;
}
static double number_at(const precision *p, int64_t place) {
  const int64_t size = place < 0 ? -place : place;
  double x;
  if (p->bytes == 4) {
    const int32_t bits = (int32_t)size;
    float f;
    memcpy(&f, &bits, sizeof f);
    x = (double)f;
  } else {
    memcpy(&x, &size, sizeof x);
  }
  return place < 0 ? -x : x;
}

/* Between the ends, or an end when nothing is. */
static double middle(const precision *p, slot *e) {
  const double mean = rounded(p, 0.5 * e->lo + 0.5 * e->hi);
  if (e->halvings++ < INTERVAL_HALVINGS && mean > e->lo && mean < e->hi) return mean;
  const int64_t a = place_of(p, e->lo), b = place_of(p, e->hi);
  return number_at(p, a / 2 + b / 2 + (a % 2 + b % 2) / 2);
}

static void begin(const precision *p, slot *e, int64_t element, double y, double low, double high) {
  const bool hints = isfinite(low) && isfinite(high);
  const double a = hints ? low : -1, b = hints ? high : 1;
  *e = (slot){.element = element, .y = y, .x = rounded(p, 0.5 * a + 0.5 * b), .lo = -INFINITY, .hi = INFINITY, .growth = 2};
  e->reach = fmin(fmax(fabs(0.5 * b - 0.5 * a), fmax(8 * p->eps * fabs(e->x), p->least)), p->most); /* hints may lie on each other */
}

typedef enum verdict { RUNNING, DONE, GIVEN_UP } verdict;

static verdict done_at(slot *e, double x) {
  e->x = x;
  return DONE;
}

/* Nothing lies between the ends: the better one. Beside an end whose value was no number it need not be a root. */
static verdict closed(slot *e) {
  const bool low = -e->r_lo < e->r_hi;
  e->x = low ? e->lo : e->hi;
  return isinf(e->r_lo) || isinf(e->r_hi) ? GIVEN_UP : DONE;
}

/* The next x while an end is missing, on the side where the root must be. */
static verdict further(const precision *p, slot *e, bool newton, double step) {
  const double far = 1024 * e->reach, sign = e->hi == INFINITY ? 1 : -1, x = e->x;
  if (x == sign * p->most) return done_at(e, sign * INFINITY);
  e->by_newton = newton && fabs(step) <= far;
  e->newton += e->by_newton;
  e->x = rounded(p, x + (e->by_newton ? step : sign * e->reach));
  if (e->x == x) e->x = number_at(p, place_of(p, x) + (sign > 0 ? 1 : -1));
  e->reach = fmin(e->reach * e->growth, p->most);
  e->growth *= 2;
  return RUNNING;
}

/* What f(x) says: done, or the next x. */
static verdict look(const precision *p, int64_t max_steps, slot *e, double value, double slope) {
  const bool first = e->steps++ == 0;
  double r = value - e->y;
  const bool number = !isnan(r);
  if (!number && first) {
    e->x = NAN;
    return GIVEN_UP;
  }
  if (!number) r = e->x > e->from ? INFINITY : -INFINITY;
  if (r == 0) return DONE;
  if (r < 0) {
    e->lo = e->x, e->r_lo = r;
  } else {
    e->hi = e->x, e->r_hi = r;
  }
  const double step = -r / slope, size = fabs(r), at = rounded(p, e->x + step);
  const bool useful = number && slope > 0 && isfinite(slope) && isfinite(step), quartered = !e->by_newton || size <= 0.25 * e->before;
  if (useful && fabs(step) <= 2 * p->eps * fabs(e->x)) return done_at(e, at);
  if (number && !quartered && (fabs(e->x - e->from) <= 64 * p->eps * fabs(e->x) || size <= 64 * p->eps * fabs(e->y)))
    return size <= e->before ? DONE : done_at(e, e->from);
  if (e->steps >= max_steps) return GIVEN_UP;
  const bool newton = useful && quartered && e->newton < NEWTON_STEPS && at > e->lo && at < e->hi;
  e->before = size;
  if (number) e->from = e->x;
  if (e->lo == -INFINITY || e->hi == INFINITY) return further(p, e, newton, step);
  e->by_newton = newton;
  e->newton += newton;
  e->x = newton ? at : middle(p, e);
  return e->x > e->lo && e->x < e->hi ? RUNNING : closed(e);
}

void rh_root_solve(const rh_root_problem *problem, rh_root_work *w, int64_t n, const void *y, const void *low, const void *high, void *x,
                   rh_root_report *report) {
  const precision *p = &w->p;
  const int64_t max_steps = problem->max_steps ? problem->max_steps : RH_ROOT_STEPS;
  int64_t next = 0, running = 0;
  for (;;) {
    for (; running < w->slots && next < n; next++) {
      const double target = get(p, y, next);
      if (isfinite(target)) {
        begin(p, &w->slot[running++], next, target, low ? get(p, low, next) : -1, high ? get(p, high, next) : 1);
      } else {
        put(p, x, next, target);
      }
    }
    if (!running) return;
    for (int64_t i = 0; i < running; i++) {
      w->element[i] = w->slot[i].element;
      put(p, w->x, i, w->slot[i].x);
    }
    problem->f(problem->arg, running, w->element, w->x, w->value, w->slope);
    report->evaluations += running;
    int64_t kept = 0;
    for (int64_t i = 0; i < running; i++) {
      slot *e = &w->slot[i];
      const verdict v = look(p, max_steps, e, get(p, w->value, i), get(p, w->slope, i));
      report->unfinished += v == GIVEN_UP;
      if (v == RUNNING) {
        if (kept != i) w->slot[kept] = *e;
        kept++;
      } else {
        put(p, x, e->element, v == GIVEN_UP && problem->strict ? NAN : e->x);
      }
    }
    running = kept;
  }
}
