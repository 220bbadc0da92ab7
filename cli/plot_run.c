/* rheo plot, in the program that draws: what is asked for, then points, grid, picture, report. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "plot.h"

enum { DRAWS = 16 }; /* of the noise that discrete columns need: fewer make the picture grainy */

/* ---- what can be drawn ---- */

static int check_model(const cli_args *args, rh_density *density) {
  const char *model = args->operand[0];
  const long long d = rh_density_columns(density);
  if (rh_density_image(density, NULL, NULL, NULL, NULL, NULL))
    return complain(EXIT_USAGE, "plot: %s is a model of images: rheo sample %s -n 64 -o OUT.png draws its samples", model, model);
  if (d <= 2) return EXIT_DONE;
  return complain(
      EXIT_USAGE,
      "plot: %s is a density of %lld columns, and 2 columns (or 1) are needed: a flow has no densities of some of its columns; fit "
      "two by themselves (rheo fit TABLE --columns A,B), or two given the others (--context)",
      model, d);
}

static int take_context(plot *p, const cli_args *args, rh_density *density) {
  const char *name = json_string_value(json_array_get(json_object_get(p->info, "names"), (size_t)p->d));
  p->given = arg_text(args, "context-values", NULL);
  if (!p->given && !rh_density_context(density)) return EXIT_DONE;
  if (!p->given)
    return complain(EXIT_USAGE, "plot: %s is a density given %lld other column%s: give --context-values \"%s=VALUE%s\"", args->operand[0],
                    (long long)rh_density_context(density), rh_density_context(density) == 1 ? "" : "s", name ? name : "NUMBER",
                    rh_density_context(density) == 1 ? "" : ",...");
  p->context = calloc((size_t)rh_density_context(density) + 1, sizeof *p->context);
  if (!p->context) return complain(EXIT_FAILED, "plot: out of memory");
  const rh_status status = rh_density_given(density, p->given, p->context);
  return status == RH_OK ? EXIT_DONE : complain_status(status);
}

static int take_names(plot *p, rh_density *density) {
  static const char *const unnamed[] = {"column 1", "column 2"};
  char *text = NULL;
  const rh_status status = rh_density_info(density, 0, &text);
  if (status != RH_OK) return complain_status(status);
  p->info = json_loads(text, JSON_ALLOW_NUL, NULL);
  rh_text_free(text);
  for (int j = 0; j < p->d; j++) {
    const char *name = json_string_value(json_array_get(json_object_get(p->info, "names"), (size_t)j));
    p->name[j] = name ? name : unnamed[j];
  }
  return EXIT_DONE;
}

/* What the fit dropped (a constant, a copy) its density does not look at: there is none over the plane. */
static int check_dropped(const plot *p, const cli_args *args) {
  if (!json_array_size(json_object_get(json_object_get(p->info, "handling"), "drop"))) return EXIT_DONE;
  return complain(
      EXIT_USAGE,
      "plot: %s: the fit dropped a column that is constant or follows from the other (rheo info): it has no density to draw; fit "
      "the other by itself (rheo fit TABLE --columns A)",
      args->operand[0]);
}

/* ---- the report ---- */

static int64_t outside(const plot *p) {
  int64_t n = 0;
  for (int64_t i = 0; i < p->data.n; i++) {
    bool in = true;
    for (int j = 0; j < p->d; j++) in = in && p->data.at[i * p->d + j] >= p->low[j] && p->data.at[i * p->d + j] <= p->high[j];
    n += !in;
  }
  return n;
}

static void warn(json_t *report, const char *text) {
  json_t *list = json_object_get(report, "warnings");
  if (!list) json_object_set_new(report, "warnings", list = json_array());
  json_array_append_new(list, json_string(text));
}

static void report_on(const plot *p) {
  enum { TOO_MUCH = 103 }; /* per cent: what a fine grid sums to exceeds 1 by far less */
  json_t *o = p->report, *range = json_array(), *levels = json_array();
  char text[200];
  for (int j = 0; j < p->d; j++) {
    json_array_append_new(range, json_real(p->low[j]));
    json_array_append_new(range, json_real(p->high[j]));
  }
  for (int k = 0; k < PLOT_LEVELS; k++)
    json_array_append_new(levels, p->level[k] > 0 ? json_real(p->log_peak + log(p->level[k])) : json_null());
  json_object_set_new(o, "range", range);
  json_object_set_new(o, "levels", levels);
  json_object_set_new(o, "log_peak", json_real(p->log_peak));
  if (p->d == 2) json_object_set_new(o, "colours_end", json_real(p->log_peak + log(p->darkest)));
  json_object_set_new(o, "mass", isfinite(p->mass) ? json_real(p->mass) : json_null());
  json_object_set_new(o, "samples", json_integer(p->samples.drawn));
  if (p->paths.n) json_object_set_new(o, "paths", json_integer(p->paths.n));
  json_object_set_new(o, "data", json_integer(p->data.n));
  json_object_set_new(o, "outside", json_integer(outside(p)));
  json_object_set_new(o, "unfinished", json_integer(p->unknown));
  if (p->unknown) {
    snprintf(
        text, sizeof text,
        "%lld cells have no density that was found; they are drawn as 0: try --dtype f64, of a continuous flow also more --max-steps or "
        "looser tolerances",
        (long long)p->unknown);
    warn(o, text);
  }
  if (100 * p->mass > TOO_MUCH)
    warn(o,
         "the mass on the grid is above 1: the density is too narrow for the grid, or holds estimated traces; give a smaller --range, of a "
         "continuous flow --trace exact");
  if (p->context && p->data.at && !p->data.n) warn(o, "no row of the data has this context");
}

static void human(json_t *report) {
  printf("log-density up to %.6g nats, %.2f %% of the mass in the picture\n", real_of(report, "log_peak"), 100 * real_of(report, "mass"));
  printf("%lld samples", count_of(report, "samples"));
  if (count_of(report, "paths")) printf(", %lld paths", count_of(report, "paths"));
  if (count_of(report, "data")) printf(", %lld rows of data, %lld of them outside", count_of(report, "data"), count_of(report, "outside"));
  printf("\n");
}

/* ---- the command ---- */

static int draw(plot *p, const cli_args *args, rh_density *density, const char *output) {
  const char *const inputs[] = {args->operand[0], args->operand[1], NULL};
  unsigned char *bytes = NULL;
  size_t size = 0;
  int code = take_names(p, density);
  if (code == EXIT_DONE) code = check_dropped(p, args);
  if (code == EXIT_DONE) code = take_context(p, args, density);
  if (code == EXIT_DONE) code = plot_take_points(p, args, density);
  if (code == EXIT_DONE) code = plot_take_paths(p, args, density);
  if (code == EXIT_DONE) code = plot_take_grid(p, density);
  if (code == EXIT_DONE) code = plot_picture(p, output, &bytes, &size);
  if (code != EXIT_DONE) return code;
  const rh_status status = rh_write_file(output, bytes, size, inputs);
  free(bytes);
  return status == RH_OK ? EXIT_DONE : complain_status(status);
}

int plot_run(const cli_args *args) {
  const char *output = arg_text(args, "output", NULL);
  if (!output) return complain(EXIT_USAGE, "plot: where should the picture go? give -o OUT.png or OUT.svg");
  if (!plot_format_known(output)) return complain(EXIT_USAGE, "plot: -o %.200s: give a name that ends in .png or .svg", output);
  if (!json_object_get(args->given, "draws")) json_object_set_new(args->given, "draws", json_integer(DRAWS));
  int code;
  rh_density *density = open_model(args, &code);
  if (!density) return code;
  plot p = {.d = (int)rh_density_columns(density), .report = json_object()};
  code = check_model(args, density);
  if (code == EXIT_DONE) code = draw(&p, args, density, output);
  if (code == EXIT_DONE) report_on(&p);
  if (code == EXIT_DONE) code = finish_own(args, p.report, human);
  rh_rows_free(p.data.at);
  free(p.samples.at);
  free(p.paths.at);
  free(p.context);
  free(p.grid);
  json_decref(p.info);
  json_decref(p.report);
  rh_density_close(density);
  return code;
}
