/* Models of every kind of layer, base and encoder without memory: each allocation from the specification to a sample fails in turn. */
#define _XOPEN_SOURCE 700
#include "model/toy.h"

#include "model/scarce.h"

#define NET                      "{\"hidden\":[3],\"init\":\"scaled\"}"
#define RESIDUAL                 "{\"type\":\"residual\",\"hidden\":3,\"blocks\":1,\"activation\":\"tanh\",\"init\":\"scaled\"}"
#define AR(transform, net, more) "{\"type\":\"autoregressive\",\"transform\":" transform ",\"net\":" net more "}"
#define RQS                      "{\"type\":\"rqs\",\"bins\":3}"

typedef struct subject {
  const char *name, *spec;
  bool codes;
} subject;
static const subject subjects[] = {
    {"maf, student-t",
     "{\"columns\":3,\"flow\":" AR("\"affine\"", NET, ",\"order\":\"random\",\"seed\":1") ",\"base\":{\"type\":\"student-t\"}}", true},
    {"iaf, residual, mixture of normals",
     "{\"columns\":3,\"flow\":{\"type\":\"inverse\",\"part\":" AR("\"affine\"", RESIDUAL, "") "},\"base\":{\"type\":\"mixture\","
                                                                                              "\"components\":2}}",
     true},
    {"nsf, a graph",
     "{\"columns\":3,\"flow\":" AR(RQS, NET, ",\"graph\":[[],[0],[0]]") ",\"base\":{\"type\":\"uniform\",\"low\":-5,\"high\":5}}", true},
    {"nsf-coupling, given",
     "{\"columns\":3,\"context\":3,\"context_encoder\":[{\"type\":\"standardize\",\"mean\":1},{\"type\":\"one-hot\",\"categories\":[0,1]},"
     "{\"type\":\"embedding\",\"categories\":[\"a\",\"b\",\"c\"],\"width\":2}],\"flow\":{\"type\":\"coupling\",\"transform\":" RQS
     ",\"net\":" NET "}}",
     true},
    {"maf of logistics, given",
     "{\"columns\":3,\"context\":1,\"flow\":" AR("{\"type\":\"mixture-of-logistics\",\"components\":2}", NET, "") "}", true},
    {"linear splines, rotations",
     "{\"columns\":3,\"flow\":{\"type\":\"chain\",\"parts\":[{\"type\":\"qr\"},{\"type\":\"householder\"},{\"type\":\"elementwise\","
     "\"transform\":{\"type\":\"linear-spline\",\"bins\":4}}]}}",
     true},
    {"continuous, two fields, given",
     "{\"columns\":3,\"context\":1,\"flow\":{\"type\":\"chain\",\"parts\":[{\"type\":\"cnf\",\"steps\":2,\"field\":{\"hidden\":[3,3],"
     "\"time\":\"squash\"}},"
     "{\"type\":\"cnf\",\"steps\":2,\"exact_columns\":2,\"field\":{\"type\":\"mlp\",\"hidden\":[3],\"activation\":\"silu\"}}]}}",
     true},
    {"a mixture of flows", "{\"columns\":3,\"mixture\":[{\"flow\":" AR("\"affine\"", NET, "") "},{\"flow\":" AR(RQS, NET, "") "}]}", false},
};

enum { N = 2 };
typedef struct outputs {
  double log_prob[N], z[3 * N], x[3 * N], sample[3 * N];
} outputs;

static rh_status everything(const json_t *spec, bool codes, outputs *o) {
  static const double rows[N * 6] = {0.5, -1, 0.2, 0, 1, 2, -0.3, 0.1, 1, 0.5, 0, 1};
  rh_model *m = NULL;
  rh_scorer *s = NULL;
  rh_status status = rh_model_create(spec, 8, 1, 1, 0, &m);
  if (status == RH_OK) status = rh_scorer_create(m->flow, &m->values, &(rh_scorer_options){.threads = 1}, &s);
  const int64_t c = m ? m->flow->context : 0;
  double packed[N * 6], given[N * 3];
  for (int r = 0; r < N && status == RH_OK; r++) {
    memcpy(packed + r * (3 + c), rows + 6 * r, (size_t)(3 + c) * sizeof *rows);
    memcpy(given + r * c, rows + 6 * r + 3, (size_t)c * sizeof *rows);
  }
  const rh_dense_rows dense = {N, 3 + c, packed}, alone = {N, c, given};
  const rh_rows all = rh_rows_dense(&dense), context = rh_rows_dense(&alone);
  if (status == RH_OK) status = rh_score(s, &all, 0, N, o->log_prob);
  if (status == RH_OK && codes) status = rh_encode(s, &all, 0, N, o->z, NULL);
  if (status == RH_OK && codes) {
    for (int r = 0; r < N; r++) memcpy(packed + r * (3 + c), o->z + 3 * r, 3 * sizeof *rows);
    status = rh_decode(s, &all, 0, N, o->x, NULL);
  }
  if (status == RH_OK) status = rh_sample(s, c ? &context : NULL, 0, N, o->sample, NULL);
  rh_scorer_destroy(s);
  rh_model_destroy(m);
  return status;
}

static void from_the_specification_to_a_sample(void **state) {
  (void)state;
  for (size_t i = 0; i < RH_COUNT_OF(subjects); i++) {
    const subject *t = &subjects[i];
    json_t *spec = toy_json(t->spec);
    outputs want = {.z = {0}};
    toy_ok(everything(spec, t->codes, &want));
    for (int k = 0; k < 3 * N && t->codes; k++) assert_true(isfinite(want.x[k]) && isfinite(want.z[k]));
    for (int at = 0, lost = 0;; at++, lost++) {
      outputs got = {.z = {0}};
      scarce_begin(at);
      const rh_status status = everything(spec, t->codes, &got);
      (void)scarce_end();
      if (status == RH_OK) { /* nothing was missing, or what was could be done without */
        assert_memory_equal(&got, &want, sizeof got);
        if (scarce_left > 0) {
          assert_true(lost > 50);
          break;
        }
      } else if (status != RH_E_MEMORY) {
        fail_msg("%s: allocation %d lost: %s: %s", t->name, at, rh_status_text(status), rh_last_error());
      }
    }
    json_decref(spec);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(from_the_specification_to_a_sample)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
