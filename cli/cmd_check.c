/* rheo check: is the model what it claims to be? */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "shared_options.h"

static const arg_option options[] = {
    {.name = "rows", .kind = ARG_COUNT, .value = "N", .least = 1, .most = 1e9, .help = "Look at N rows at most. Default 1000."},
    {.name = "jacobians",
     .kind = ARG_COUNT,
     .value = "N",
     .most = 1e6,
     .help =
         "Hold the log-determinant of N rows against the dense Jacobian. Default 10; of images 2, of which those of more than 1,024 values "
         "are fewer, or crops, where whole ones would take longer than some seconds."},
    SEED_OPTION("Of the samples, where no DATA is given."),
    MODEL_COLUMNS_OPTION,
    HEADER_OPTION,
    MODEL_DTYPE_OPTION,
    MODEL_LABELS_OPTION,
    SOLVER_OPTIONS,
};

static long long number_at(const json_t *list, size_t i) {
  return (long long)json_integer_value(json_array_get(list, i));
}

static void print_jacobians(const json_t *report) {
  const json_t *crop = json_object_get(report, "crop");
  const long long rows = count_of(report, "jacobians");
  if (*text_of(report, "log_det_why")) printf("log|det J| against dense left out: %s\n", text_of(report, "log_det_why"));
  if (rows == 0) return;
  printf("log|det J| against dense %.3g over ", real_of(report, "log_det_error"));
  if (!crop) {
    printf("%lld row%s\n", rows, rows == 1 ? "" : "s");
    return;
  }
  printf("crops of %lld x %lld x %lld of %lld row%s: a whole one takes %.2g operations\n", number_at(crop, 0), number_at(crop, 1),
         number_at(crop, 2), rows, rows == 1 ? "" : "s", real_of(report, "jacobian_operations"));
  if (count_of(report, "crop_leaves_spread") > 0)
    printf("                         %lld leaves have numbers of single pixels: some of them stand for all in the crops\n",
           count_of(report, "crop_leaves_spread"));
}

static void print_solve(const json_t *report) {
  const long long rows = count_of(report, "solve_rows");
  if (!json_object_get(report, "solve_rows")) return;
  if (rows > 0)
    printf("the solver's error       %.3g nats, %.3g in codes: %lld row%s against tolerances of a hundredth\n",
           real_of(report, "solve_error_log_density"), real_of(report, "solve_error_codes"), rows, rows == 1 ? "" : "s");
  printf("evaluations of the field %.1f a row, %.0f at most\n", real_of(report, "evaluations_mean"), real_of(report, "evaluations_most"));
}

static void human(json_t *report) {
  printf("rows                     %lld\n", count_of(report, "rows"));
  printf("not finite               %lld\n", count_of(report, "non_finite"));
  if (count_of(report, "unfinished")) printf("solutions not found      %lld\n", count_of(report, "unfinished"));
  if (count_of(report, "outside")) printf("of density 0             %lld, left alone\n", count_of(report, "outside"));
  if (count_of(report, "rounded"))
    printf("cells taken otherwise    %lld, on no level or in a dropped column\n", count_of(report, "rounded"));
  printf("max |x - inverse(f(x))|  %.3g (%.3g standard deviations of its column)\n", real_of(report, "inverse_error"),
         real_of(report, "inverse_error_relative"));
  print_jacobians(report);
  const json_t *back = json_object_get(report, "log_det_inverse_error");
  if (json_is_number(back)) printf("the inverse's against it  %.3g\n", json_number_value(back));
  print_solve(report);
  printf("log|det J|               %.6g to %.6g, median %.6g, sd %.4g\n", real_of(report, "log_det_min"), real_of(report, "log_det_max"),
         real_of(report, "log_det_median"), real_of(report, "log_det_sd"));
  printf("its 1 %% quantile         %.4g below the median", real_of(report, "log_det_low"));
  if (!isnan(real_of(report, "log_det_where"))) printf("; |u|^2 / d of the least twentieth %.3g", real_of(report, "log_det_where"));
  printf("\n");
  if (!isnan(real_of(report, "latent_kurtosis")))
    printf("kurtosis of codes        %+.3f along the flattest direction, %+.3f of the heaviest column\n",
           real_of(report, "latent_kurtosis"), real_of(report, "latent_kurtosis_most"));
  if (*text_of(report, "advice")) printf("look: %s\n", text_of(report, "advice"));
  printf("%s\n", json_is_true(json_object_get(report, "ok")) ? "ok" : "NOT ok");
}

static int complain_failed(const cli_args *args, const json_t *report) {
  const char *model = args->operand[0], *data = args->operands > 1 ? args->operand[1] : "the samples";
  const json_t *worst = json_object_get(report, "worst");
  if (count_of(report, "unfinished") > 0)
    return complain(EXIT_FAILED, "%s: the check failed: of the rows of %s %lld do not stay finite, there and back; what is solved for %s",
                    model, data, count_of(report, "non_finite"), text_of(report, "unfinished_why"));
  if (count_of(report, "non_finite") > 0)
    return complain(EXIT_FAILED, "%s: the check failed: %lld of the rows of %s do not stay finite; %s", model,
                    count_of(report, "non_finite"), data, text_of(report, "remedy"));
  const json_t *det = json_object_get(report, "log_det_error");
  char words[64] = "";
  if (json_is_number(det)) snprintf(words, sizeof words, ", log-determinant error %.3g", json_number_value(det));
  if (!worst) return complain(EXIT_FAILED, "%s: the check failed: no row of %s could be looked at", model, data);
  return complain(
      EXIT_FAILED,
      "%s: the check failed: inverse error %.3g standard deviations, at row %lld, column %lld of %s (%.9g came back as %.9g)%s; %s", model,
      real_of(report, "inverse_error_relative"), count_of(worst, "row"), count_of(worst, "column"), data, real_of(worst, "value"),
      real_of(worst, "back"), words, text_of(report, "remedy"));
}

static int run(const cli_args *args) {
  static const char *const keys[] = {"rows", "jacobians", "seed", "columns", "header", "labels", NULL};
  int code;
  rh_density *density = open_model(args, &code);
  if (!density) return code;
  char *picked = arg_pick(args, keys), *report = NULL;
  const rh_status status = rh_check_file(density, args->operands > 1 ? args->operand[1] : NULL, picked, &report);
  free(picked);
  rh_density_close(density);
  if (status != RH_OK) return complain_status(status);
  json_t *read = json_loads(report, 0, NULL);
  code = finish(args, report, human);
  if (!json_is_true(json_object_get(read, "ok"))) code = complain_failed(args, read);
  json_decref(read);
  return code;
}

const cli_command command_check = {
    .name = "check",
    .operands = "MODEL [DATA]",
    .summary = "Check a model: invertibility, log-determinants against dense Jacobians, non-finite rows.",
    .details = "Exit code 1 where something is wrong. A conditional model needs DATA.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .least_operands = 1,
    .most_operands = 2,
    .run = run,
};
