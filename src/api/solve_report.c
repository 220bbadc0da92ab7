#include "api/solve_report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api/solver.h"

void rh_warn(json_t *report, const char *format, ...) {
  char text[1024];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  json_t *list = json_object_get(report, "warnings");
  if (!list && json_object_set_new(report, "warnings", list = json_array())) return;
  json_array_append_new(list, json_string(text));
}

/* How far the solution got that came least far; "" where that is not known. */
enum { RH_CAME_BYTES = 128 };
static const char *came_text(const rh_model *model, const rh_ode_report *counts, char text[RH_CAME_BYTES]) {
  const double time = rh_solver_time(model), came = 1 - counts->missing;
  *text = '\0';
  if (counts->missing > 0 && time > 0)
    snprintf(text, RH_CAME_BYTES, "; the one that came least far stopped after t = %.3g of T = %g", came * time, time);
  else if (counts->missing > 0)
    snprintf(text, RH_CAME_BYTES, "; the one that came least far stopped after %.3g %% of its time", 100 * came);
  return text;
}

/* Out of steps, or no finite number: what happened to differential equations, and what to do. */
typedef struct cause {
  const char *what, *advice;
} cause;
static cause cause_of(const rh_ode_report *counts) {
  if (counts->capped == counts->unfinished)
    return (cause){
        "ran out of steps",
        "raise max_steps, loosen rtol and atol, or give (more) fallback_steps; a stiff field, which keeps explicit steps short, is made "
        "easier by a fit with kinetic and jacobian"};
  if (counts->capped == 0)
    return (cause){"met what is no finite number",
                   "the field blows up there: try dtype f64, look at the row, or fit with kinetic and "
                   "jacobian or a lower lr"};
  return (cause){"ran out of steps or met what is no finite number",
                 "raise max_steps, loosen rtol and atol, give fallback_steps, try dtype f64, and look at the row; a fit with kinetic and "
                 "jacobian keeps a field from being stiff and from blowing up"};
}

const char *rh_lost_text(const rh_model *model, const rh_ode_report *counts, char text[RH_LOST_BYTES]) {
  char came[RH_CAME_BYTES];
  const cause c = cause_of(counts);
  if (rh_solver_time(model) < 0)
    snprintf(
        text, RH_LOST_BYTES,
        "was not found: a numerical inverse of the model met what is no finite number, or ran out of steps; try dtype f64, and look at "
        "the row");
  else
    snprintf(text, RH_LOST_BYTES, "was not found: a differential equation %s%s; %s", c.what, came_text(model, counts, came), c.advice);
  return text;
}

void rh_warn_unfinished(const rh_model *model, int64_t rows, const char *which, const rh_ode_report *counts, json_t *report) {
  char text[RH_LOST_BYTES];
  if (rows)
    rh_warn(report, "%lld %srow%s no log-density: it %s", (long long)rows, which, rows == 1 ? " has" : "s have",
            rh_lost_text(model, counts, text));
}

void rh_warn_raised(const rh_ode_report *counts, int real_bytes, json_t *report) {
  if (!counts->raised) return;
  const double kept = rh_ode_least_rtol(real_bytes);
  if (real_bytes == 4)
    rh_warn(
        report,
        "the relative tolerance is finer than f32 keeps: solved with rtol %.2g instead; give dtype f64, which keeps %.2g, or a larger rtol",
        kept, rh_ode_least_rtol(8));
  else
    rh_warn(report, "the relative tolerance is finer than f64 keeps: solved with rtol %.2g instead", kept);
}

static void warn_fell_back(int64_t n, json_t *report) {
  rh_warn(report,
          "%lld solution%s ran out of steps and went on to the end in equal ones (fallback_steps): as accurate as these are, which no "
          "tolerance "
          "controls; twice as many tell how much that is",
          (long long)n, n == 1 ? "" : "s");
}

void rh_warn_fit_solves(const rh_model *model, const rh_fit_report *fit, json_t *report) {
  char came[RH_CAME_BYTES];
  const rh_ode_report *s = &fit->solves;
  if (s->unfinished) {
    const cause c = cause_of(s);
    rh_warn(
        report,
        "%lld solution%s, in %lld rows of training steps, %s%s; the steps learnt from the states where they stopped; %s; or train in equal "
        "steps (training_steps)",
        (long long)s->unfinished, s->unfinished == 1 ? "" : "s", (long long)fit->solved_rows, c.what, came_text(model, s, came), c.advice);
  }
  rh_warn_unfinished(model, fit->val.unfinished, "validation ", &fit->scored, report);
  rh_warn_unfinished(model, fit->test.unfinished, "test ", &fit->scored, report);
  if (s->fell_back) warn_fell_back(s->fell_back, report);
  rh_warn_raised(s, model->values.real_bytes, report);
}

void rh_solve_report_put(const rh_density *d, const rh_ode_report *counts, int64_t rows, json_t *report) {
  if (rh_solver_time(d->model) < 0) return;
  json_object_set_new(report, "fell_back", json_integer(counts->fell_back));
  if (rows) json_object_set_new(report, "evaluations_mean", json_real((double)counts->evaluations / (double)rows));
  if (counts->fell_back) warn_fell_back(counts->fell_back, report);
  rh_warn_raised(counts, rh_density_real_bytes(d), report);
}
