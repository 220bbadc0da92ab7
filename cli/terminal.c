/* Progress of a fit on standard error: a bar on a terminal, now and then a line otherwise. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

enum { BAR = 20 };
static bool bar_shown;
static double last_line = -1e9; /* seconds of the run at the last plain line */

static void clock_text(double seconds, char text[32]) {
  if (!(seconds >= 0) || seconds > 3.6e6) {
    snprintf(text, 32, "-");
  } else if (seconds >= 3600) {
    snprintf(text, 32, "%d:%02d:%02d", (int)(seconds / 3600), (int)fmod(seconds / 60, 60), (int)fmod(seconds, 60));
  } else {
    snprintf(text, 32, "%d:%02d", (int)(seconds / 60), (int)fmod(seconds, 60));
  }
}

static void number_text(double x, char text[32]) {
  if (isnan(x))
    snprintf(text, 32, "-");
  else
    snprintf(text, 32, "%.4f", x);
}

/* What solving took of a row: evaluations of the field, forwards and back. "" where nothing is solved. */
static void solves_text(const rh_fit_event *e, char text[96]) {
  *text = '\0';
  if (!(e->evaluations_forward > 0)) return;
  const int n = snprintf(text, 96, " evals/row %.0f + %.0f", e->evaluations_forward, e->evaluations_back);
  if (e->unfinished) snprintf(text + n, (size_t)(96 - n), ", %lld out of steps", (long long)e->unfinished);
}

static void bar(const rh_fit_event *e) {
  char loss[32], val[32], eta[32], solves[96], filled[BAR + 1];
  number_text(e->loss, loss);
  number_text(e->val, val);
  clock_text(e->eta, eta);
  const int done = (int)(e->fraction * BAR + 0.5);
  for (int i = 0; i < BAR; i++) filled[i] = i < done ? '=' : ' ';
  filled[BAR] = '\0';
  solves_text(e, solves);
  fprintf(stderr, "\r[%s] %3.0f%% epoch %lld loss %s val %s%s %.3g rows/s %s left\033[K", filled, 100 * e->fraction,
          (long long)e->epoch + 1, loss, val, solves, e->rows_per_second, eta);
  fflush(stderr);
  bar_shown = true;
}

static void line(const rh_fit_event *e) {
  char loss[32], val[32], eta[32], solves[96];
  number_text(e->loss, loss);
  number_text(e->val, val);
  clock_text(e->eta, eta);
  solves_text(e, solves);
  fprintf(stderr, "epoch %lld step %lld loss %s val %s%s rate %.2g %.3g rows/s %s left\n", (long long)e->epoch, (long long)e->step, loss,
          val, solves, e->rate, e->rows_per_second, eta);
  last_line = e->elapsed;
}

void progress_end(void) {
  if (bar_shown) fputs("\r\033[K", stderr);
  bar_shown = false;
}

void progress_show(const rh_fit_event *e, bool quiet) {
  if (quiet) return;
  if (e->kind == RH_FIT_RESUME) {
    progress_end();
    fprintf(stderr, "resumed at epoch %lld, step %lld\n", (long long)e->epoch + 1, (long long)e->step);
  } else if (e->kind == RH_FIT_ROLLBACK) {
    progress_end();
    fprintf(stderr, "rolled back at step %lld: the loss was not finite again and again; going on at rate %.2g\n", (long long)e->step,
            e->rate);
  } else if (e->kind == RH_FIT_DONE) {
    progress_end();
  } else if (isatty(STDERR_FILENO)) {
    if (e->kind == RH_FIT_STEP || e->kind == RH_FIT_EPOCH) bar(e);
  } else if (e->kind == RH_FIT_EPOCH && e->elapsed - last_line >= 1) {
    line(e);
  }
}
