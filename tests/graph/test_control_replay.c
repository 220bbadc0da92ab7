/* ode with its steps taken back: gradients of what was computed, however coarse; what keeps all states, and the adjoint, for comparison. */
#include "support/ode_chain.h"

static rh_ode_options by(rh_ode_options o, rh_ode_gradient gradient) {
  o.gradient = gradient;
  return o;
}

/* Four equal steps are far from the solution. The replay's gradient is theirs nevertheless; the adjoint's is not. */
static void exact_for_what_was_computed(void **state) {
  (void)state;
  static double other[ODE_WRT][MOST * D];
  for (int method = RH_ODE_EULER; method <= RH_ODE_RK4; method++) {
    const rh_ode_options coarse = {.method = (rh_ode_method)method, .steps = 4};
    double apart = 0;
    for (int adjoint = 0; adjoint < 2; adjoint++) {
      const rh_ode_options options = by(coarse, adjoint ? RH_ODE_ADJOINT : RH_ODE_REPLAY);
      chain s;
      rh_val first[ODE_WRT];
      chain_begin(&s, 8, &options);
      PROBE_OK(rh_vjp(&s.g, 1, &s.loss, NULL, ODE_WRT, s.wrt, first, adjoint ? RH_RECOMPUTE : RH_KEEP));
      if (!adjoint) check_chain(&s, s.loss, first, rh_ode_tableau_of(options.method)->name, 1e-8);
      if (adjoint) chain_gradients(&s, first, ROWS, 1, 0, other);
      chain_end(&s);
    }
    for (int i = 0; i < ODE_WRT; i++)
      for (int64_t k = 0; k < ROWS * D; k++) apart = fmax(apart, fabs(other[i][k] - ode_grads[i][k]));
    assert_true(apart > 1e-4);
  }
}

static void of_steps_by_tolerance(void **state) {
  (void)state;
  for (int memory = 0; memory < 2; memory++) {
    const rh_ode_options options = by(tight, RH_ODE_REPLAY);
    chain s;
    rh_val first[ODE_WRT];
    chain_begin(&s, 8, &options);
    PROBE_OK(rh_vjp(&s.g, 1, &s.loss, NULL, ODE_WRT, s.wrt, first, memory ? RH_RECOMPUTE : RH_KEEP));
    check_chain(&s, s.loss, first, "tight", 1e-7);
    chain_end(&s);
  }
}

/* Some states kept, or all: the same bits. */
static void kept_or_found_again(void **state) {
  (void)state;
  static double grads[2][ODE_WRT][MOST * D];
  const rh_ode_options long_ones[2] = {{.method = RH_ODE_DP54, .steps = 200}, tight};
  for (int rb = 4; rb <= 8; rb += 4)
    for (int way = 0; way < 2; way++) {
      for (int store = 0; store < 2; store++) {
        const rh_ode_options options = by(long_ones[way], store ? RH_ODE_STORE : RH_ODE_REPLAY);
        chain s;
        rh_val first[ODE_WRT];
        chain_begin(&s, rb, &options);
        PROBE_OK(rh_vjp(&s.g, 1, &s.loss, NULL, ODE_WRT, s.wrt, first, RH_KEEP));
        chain_gradients(&s, first, ROWS, 1, 0, grads[store]);
        chain_end(&s);
      }
      assert_memory_equal(grads[0], grads[1], sizeof grads[0]);
    }
}

/* The adjoint's gradient comes to the replay's as the tolerance falls: at least as tolerance^0.7. */
static void the_adjoint_converges_to_it(void **state) {
  (void)state;
  static double grads[2][ODE_WRT][MOST * D];
  double apart[2] = {0};
  for (int fine = 0; fine < 2; fine++) {
    for (int replay = 0; replay < 2; replay++) {
      const double tolerance = fine ? 1e-9 : 1e-4;
      const rh_ode_options options = {.method = RH_ODE_DP54,
                                      .rtol = tolerance,
                                      .atol = tolerance,
                                      .max_steps = 4000,
                                      .gradient = replay ? RH_ODE_REPLAY : RH_ODE_ADJOINT};
      chain s;
      rh_val first[ODE_WRT];
      chain_begin(&s, 8, &options);
      PROBE_OK(rh_vjp(&s.g, 1, &s.loss, NULL, ODE_WRT, s.wrt, first, RH_KEEP));
      chain_gradients(&s, first, ROWS, 1, 0, grads[replay]);
      chain_end(&s);
    }
    for (int i = 0; i < ODE_WRT; i++)
      for (int64_t k = 0; k < ROWS * D; k++) apart[fine] = fmax(apart[fine], fabs(grads[0][i][k] - grads[1][i][k]));
  }
  const double slope = log10(apart[0] / apart[1]) / 5;
  if (!(apart[1] > 0 && slope > 0.7)) fail_msg("apart by %g and %g: slope %g", apart[0], apart[1], slope);
}

static void a_row_is_alone(void **state) {
  (void)state;
  const rh_ode_options options = by(loose, RH_ODE_REPLAY);
  rows_are_alone(&options);
}
static void threads_do_not_show(void **state) {
  (void)state;
  const rh_ode_options options = by(loose, RH_ODE_REPLAY);
  threads_hide(&options);
}

/* Steps are constants: there is no second derivative to speak of, and it is refused where it is asked for. */
static void second_order_is_refused(void **state) {
  (void)state;
  const rh_ode_options options = by(tight, RH_ODE_REPLAY);
  chain s;
  rh_val first[ODE_WRT], second[ODE_WRT];
  chain_begin(&s, 8, &options);
  PROBE_OK(rh_vjp(&s.g, 1, &s.loss, NULL, ODE_WRT, s.wrt, first, RH_KEEP));
  const rh_val of = weigh(&s.g, rh_square(&s.g, first[0]), 80);
  assert_int_not_equal(rh_vjp(&s.g, 1, &of, NULL, ODE_WRT, s.wrt, second, RH_KEEP), RH_OK);
  assert_non_null(strstr(rh_last_error(), "ode_replay"));
  chain_end(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(exact_for_what_was_computed), cmocka_unit_test(of_steps_by_tolerance), cmocka_unit_test(kept_or_found_again),
      cmocka_unit_test(the_adjoint_converges_to_it), cmocka_unit_test(a_row_is_alone),        cmocka_unit_test(threads_do_not_show),
      cmocka_unit_test(second_order_is_refused),
  };
  return cmocka_run_group_tests_name("graph.control_replay", tests, NULL, NULL);
}
