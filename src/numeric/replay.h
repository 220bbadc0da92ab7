/* The exact gradient of what rh_ode_solve computes: the steps that each row took, taken back one by one (discretize, then optimize; Gholami
 * et al. 2019, ANODE). Steps are constants to it. States are kept at some steps and found again from there (Griewank 1992, treeverse), so
 * memory grows with the logarithm of the number of steps; but for 16 bytes, time and size, of each step by tolerance that a row may take,
 * of as many rows together as fit in a megabyte. Pointers and callbacks, as numeric/ode.h. */
#ifndef RH_NUMERIC_REPLAY_H
#define RH_NUMERIC_REPLAY_H
#include "numeric/ode.h"

typedef struct rh_replay_problem {
  const rh_ode_problem *forward; /* n, t0, t1, in_norm, field, arg, strict; the rest is not looked at */
  /* back[i] = ct[i]' df/dy at (t[i], y[i]); row as in the field. Whatever else f depends on has the gradient ct[i]' df/d..., which the
   * callee adds up. ct, back: [rows, n] */
  void (*pull)(void *arg, int64_t rows, const int64_t *row, const double *t, const void *y, const void *ct, void *back);
} rh_replay_problem;

/* What a solution may leave behind, so that its steps can be taken back without solving again: of every row the number of its steps and, of
 * the first RH_TAPE_STEPS, their times, sizes and stages. Rows that took more are solved again. */
enum { RH_TAPE_STEPS = 16 };
typedef struct rh_tape {
  char *at; /* [rows, rh_tape_numbers] */
  int64_t n;
  int real_bytes;
  rh_ode_method method;
} rh_tape;
int64_t rh_tape_numbers(rh_ode_method method, int64_t n);                 /* of a row, whatever their precision */
void rh_tape_begin(const rh_tape *tape, int64_t rows);                    /* no steps yet */
void *rh_tape_step(const rh_tape *tape, int64_t row, double t, double h); /* one more: where its stages go (rh_ode_problem), or NULL */

/* Room for at most `rows` rows of n numbers. slots: states that are kept at once of each level of checkpoints, at least 2; 0: all states,
 * one level. The gradient's bits do not depend on it. */
typedef struct rh_replay rh_replay;
rh_status rh_replay_create(int64_t n, int64_t rows, int real_bytes, const rh_ode_options *options, int64_t slots,
                           rh_replay **replay) RH_WARN_UNUSED;
void rh_replay_destroy(rh_replay *replay);
int64_t rh_replay_bytes(int64_t n, int64_t rows, int real_bytes, const rh_ode_options *options, int64_t slots);

/* ct0[r] = d(y1[r], ct1[r]) / d y0[r] of the solution from y0[r]. y0, ct1, ct0: [rows, n]; ct0 may be ct1. options: as at create. tape:
 * what that solution left, or NULL. Evaluations of the field and of pull are both counted. */
void rh_replay_run(const rh_replay_problem *problem, const rh_ode_options *options, rh_replay *replay, int64_t rows, const void *y0,
                   const void *ct1, void *ct0, const rh_tape *tape, rh_ode_report *report);
#endif
