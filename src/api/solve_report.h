/* What the solvers of a call counted, as figures and words of its report. */
#ifndef RH_API_SOLVE_REPORT_H
#define RH_API_SOLVE_REPORT_H
#include "api/handle.h"
#include "train/train.h"

enum { RH_LOST_BYTES = 512 };
/* Why what is solved for is not there, how far its solver came, and what to do: "was not found: ...". */
const char *rh_lost_text(const rh_model *model, const rh_ode_report *counts, char text[RH_LOST_BYTES]);

/* A sentence into the report's "warnings". */
void rh_warn(json_t *report, const char *format, ...) RH_PRINTF(2, 3);
/* Rows without a log-density, if any; which: "" or "validation ". */
void rh_warn_unfinished(const rh_model *model, int64_t rows, const char *which, const rh_ode_report *counts, json_t *report);
/* Tolerances that were kept otherwise than asked for. */
void rh_warn_raised(const rh_ode_report *counts, int real_bytes, json_t *report);
/* What the steps of a fit and its validation did not solve. */
void rh_warn_fit_solves(const rh_model *model, const rh_fit_report *fit, json_t *report);
/* Of a model with differential equations "fell_back", the "evaluations_mean" of so many rows (0: not told), and warnings of such solutions
 * and of tolerances that were raised. */
void rh_solve_report_put(const rh_density *d, const rh_ode_report *counts, int64_t rows, json_t *report);
#endif
