/* The same problems by CVODE (SUNDIALS; Hindmarsh et al. 2005): another family of methods, by other people. Built where it is installed. */
#include "support/initial_value.h"

#include <cvode/cvode.h>
#include <nvector/nvector_serial.h>
#include <sunnonlinsol/sunnonlinsol_fixedpoint.h>

enum { ROWS = 4, TIMES = 6 };

/* Lotka & Volterra: a' = a (1.1 - 0.4 b), b' = b (0.1 a - 0.4), its times stretched by a row's own rate. */
static void prey_and_predators(double rate, const double *y, double *dy) {
  dy[0] = rate * y[0] * (1.1 - 0.4 * y[1]);
  dy[1] = rate * y[1] * (0.1 * y[0] - 0.4);
}
static void field(void *arg, int64_t rows, const int64_t *row, const double *t, const void *y, void *dy) {
  const setup *s = arg;
  (void)t;
  for (int64_t i = 0; i < rows; i++) prey_and_predators(s->rate[row[i]], (const double *)y + 2 * i, (double *)dy + 2 * i);
}
static int cvode_field(double t, N_Vector y, N_Vector dy, void *rate) {
  (void)t;
  prey_and_predators(*(double *)rate, N_VGetArrayPointer(y), N_VGetArrayPointer(dy));
  return 0;
}

/* y at each of the times, by Adams-Moulton methods. */
static void by_cvode(double t0, double rate, const double *y0, const double *times, double *out) {
  SUNContext context;
#if SUNDIALS_VERSION_MAJOR >= 7
  assert_int_equal(SUNContext_Create(SUN_COMM_NULL, &context), 0);
#else
  assert_int_equal(SUNContext_Create(NULL, &context), 0);
#endif
  N_Vector y = N_VNew_Serial(2, context);
  memcpy(N_VGetArrayPointer(y), y0, 2 * sizeof *y0);
  void *solver = CVodeCreate(CV_ADAMS, context);
  SUNNonlinearSolver guess = SUNNonlinSol_FixedPoint(y, 0, context);
  assert_int_equal(CVodeInit(solver, cvode_field, t0, y), CV_SUCCESS);
  assert_int_equal(CVodeSStolerances(solver, 1e-13, 1e-14), CV_SUCCESS);
  assert_int_equal(CVodeSetUserData(solver, &rate), CV_SUCCESS);
  assert_int_equal(CVodeSetNonlinearSolver(solver, guess), CV_SUCCESS);
  assert_int_equal(CVodeSetMaxNumSteps(solver, 1000000), CV_SUCCESS);
  for (int i = 0; i < TIMES; i++) {
    double t;
    assert_int_equal(CVode(solver, times[i], y, &t, CV_NORMAL), CV_SUCCESS);
    memcpy(out + 2 * i, N_VGetArrayPointer(y), 2 * sizeof *out);
  }
  CVodeFree(&solver);
  SUNNonlinSolFree(guess);
  N_VDestroy(y);
  SUNContext_Free(&context);
}

/* Through some thirty hunts, both ways, at times of each row's own. */
static void agrees_with_cvode(void **state) {
  (void)state;
  static const rh_ode_method methods[] = {RH_ODE_DP54, RH_ODE_TS54, RH_ODE_DOP853};
  const double rate[ROWS] = {1, 0.3, 3, 1}, y0[2 * ROWS] = {10, 5, 4.5, 2.5, 2, 8, 1, 1};
  for (int back = 0; back < 2; back++) {
    const double t0 = back ? 60 : 0, t1 = back ? 0 : 60;
    double times[ROWS * TIMES], want[2 * ROWS * TIMES], dense[2 * ROWS * TIMES], y1[2 * ROWS];
    for (int i = 0; i < ROWS * TIMES; i++) times[i] = t0 + (t1 - t0) * (i % TIMES + 0.3 + 0.1 * (i / TIMES)) / TIMES;
    for (int r = 0; r < ROWS; r++) by_cvode(t0, rate[r], y0 + 2 * r, times + r * TIMES, want + 2 * r * TIMES);
    for (int m = 0; m < 3; m++) {
      setup s = {.real_bytes = 8, .n = 2, .rate = rate};
      const rh_ode_options o = {.method = methods[m], .rtol = 1e-12, .atol = 1e-13, .max_steps = 1000000};
      const rh_ode_problem asked = {.n_times = TIMES, .times = times, .dense = dense};
      assert_int_equal(solve_more(&s, field, t0, t1, &o, ROWS, y0, y1, &asked).unfinished, 0);
      double worst = 0;
      for (int i = 0; i < 2 * ROWS * TIMES; i++) worst = fmax(worst, fabs(dense[i] - want[i]) / fabs(want[i]));
      if (worst > 3e-9) fail_msg("%s: %g from CVODE's", rh_ode_tableau_of(methods[m])->name, worst);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_cvode)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
