/* Roots of increasing functions of one variable, many at once: x with f(x) = y for every element, by Newton's method inside a bracket. The
 * elements still running are kept close together, and the next ones take the places of those that are done. An element's result depends on
 * that element alone: never on the others, their number or its place among them. Pointers and callbacks only; `void *` stands for float or
 * double by real_bytes, control is double always.
 *
 * An element goes from the middle of its hints. Each value of f is an end of its bracket. While an end is missing, a Newton step is taken
 * if it is not far beyond the hints' width, else a step of that width, which grows by 2, 4, 8, ... each time. Between two ends a Newton
 * step is taken if it lands inside and the last one quartered the residual, else the bracket is halved (Press et al., Numerical
 * Recipes, 9.4, rtsafe); after 48 Newton steps, always; and after 64 halvings of the interval the numbers in it are halved rather than its
 * length, so that no bracket is left after 64 more. So an element ends within max_steps whatever f is; smooth functions take about 15
 * values from far away and 3 to 6 from good hints.
 *
 * It is done when f(x) = y; when Newton's correction is at most 2 ulps of x, which then is made; when nothing lies between its ends; or
 * when a Newton step does not quarter the residual any more while either is at most 64 ulps: f's own rounding. float is the same with
 * float's ulps.
 */
#ifndef RH_NUMERIC_ROOT_H
#define RH_NUMERIC_ROOT_H
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

enum { RH_ROOT_STEPS = 256 }; /* more than the rules above can take */

typedef struct rh_root_problem {
  /* value[i] = f(x[i]), slope[i] = f'(x[i]) of element[i], i < n. x: [n], never NaN or infinite. A slope that is of no use (0, infinite,
   * NaN) costs halvings, no more. A value that is NaN counts as too far from where x came from. */
  void (*f)(void *arg, int64_t n, const int64_t *element, const void *x, void *value, void *slope);
  void *arg;
  int64_t max_steps; /* values of f an element may ask for; 0: RH_ROOT_STEPS */
  bool strict;       /* unfinished elements end as NaN */
} rh_root_problem;

/* Adds up over calls. */
typedef struct rh_root_report {
  int64_t evaluations; /* of f: one element, one x */
  int64_t unfinished;  /* elements out of steps, or where f is not a number around the root; they end at the last x, or NaN */
} rh_root_report;

/* Room for `slots` elements at a time; solving allocates nothing. */
typedef struct rh_root_work rh_root_work;
rh_status rh_root_work_create(int64_t slots, int real_bytes, rh_root_work **work) RH_WARN_UNUSED;
void rh_root_work_destroy(rh_root_work *work);
int64_t rh_root_work_bytes(int64_t slots, int real_bytes);

/* x[i] with f(x[i]) = y[i], i < n: any number of elements. low, high: [n] hints, both NULL: -1 and 1; the root need not lie between them,
 * nor need they be in order. Where y is beyond every finite x's value: +-inf. y = NaN: NaN, y = +-inf: +-inf, unasked. x may be y. */
void rh_root_solve(const rh_root_problem *problem, rh_root_work *work, int64_t n, const void *y, const void *low, const void *high, void *x,
                   rh_root_report *report);
#endif
