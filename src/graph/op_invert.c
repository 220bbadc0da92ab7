/* The inverse of a parameter matrix and the logarithm of its determinant's size, by Gaussian elimination of [W | 1] with partial pivoting
 * (Golub & Van Loan 2013, section 3.4). With dW^-1 = -W^-1 dW W^-1 and d log|det W| = tr(W^-1 dW) it is closed under differentiation. */
#include <string.h>

#include "graph/ops.h"

enum { INVERSE, LOG_DET, ELIMINATED, PARTS }; /* the third is room for the elimination, which nobody reads */

void rh_invert(rh_graph *g, rh_val w, rh_val *inverse, rh_val *log_det) {
  *inverse = *log_det = RH_NONE;
  if (g->status != RH_OK) return;
  if (rh_is_none(w) || rh_is_row(g, w)) {
    rh_graph_fail(g, RH_E_ARGUMENT, "invert: needs a parameter matrix");
    return;
  }
  const rh_shape s = rh_at(g, w)->shape;
  if (s.rank != 2 || s.dim[0] != s.dim[1]) {
    rh_graph_fail(g, RH_E_SHAPE, "invert: the matrix must be square");
    return;
  }
  const int64_t count = rh_shape_count(&s);
  const rh_parts parts = {PARTS, {[INVERSE] = count, [LOG_DET] = 1, [ELIMINATED] = count}};
  const rh_val v = rh_emit(g, RH_OP_invert, 1, &w, rh_shape1(rh_parts_total(&parts)), &parts, sizeof parts);
  if (g->status != RH_OK) return;
  *inverse = rh_reshape(g, rh_part_of(g, v, INVERSE), s);
  *log_det = rh_part_of(g, v, LOG_DET);
}

static int64_t across(const void *n, int64_t i) {
  return i % *(const int64_t *)n * *(const int64_t *)n + i / *(const int64_t *)n;
}
static rh_val transposed(rh_graph *g, rh_val a, int64_t n) {
  return rh_gather_runs(g, a, rh_shape2(n, n), 1, across, &n);
}

static rh_val inverse_of(rh_graph *g, rh_val node) {
  return rh_reshape(g, rh_part_of(g, node, INVERSE), rh_at(g, rh_at(g, node)->in[0])->shape);
}

/* With A = W^-1: A' c - A' C A' for cotangents C of A and c of the logarithm. */
static void invert_vjp(rh_graph *g, rh_val node, rh_val ct, rh_val *out) {
  const rh_val a = inverse_of(g, node), of_inverse = rh_tuple_at(g, ct, INVERSE), of_log = rh_tuple_at(g, ct, LOG_DET);
  if (g->status != RH_OK) return;
  const rh_shape s = rh_at(g, a)->shape;
  if (!rh_is_none(of_log)) out[0] = rh_mul(g, transposed(g, a, s.dim[0]), of_log);
  if (rh_is_none(of_inverse)) return;
  const rh_val right = rh_matmul(g, rh_reshape(g, of_inverse, s), a, false, true);
  out[0] = rh_add_maybe(g, out[0], rh_neg(g, rh_matmul(g, a, right, true, false)));
}

static rh_val invert_jvp(rh_graph *g, rh_val node, const rh_val *t) {
  const rh_val a = inverse_of(g, node);
  if (g->status != RH_OK) return RH_NONE;
  const int64_t n = rh_width(g, a);
  const rh_val of_inverse = rh_neg(g, rh_matmul(g, rh_matmul(g, a, t[0], false, false), a, false, false));
  const rh_val of_log = rh_sum(g, rh_mul(g, transposed(g, a, n), t[0]));
  if (g->status != RH_OK) return RH_NONE;
  const rh_val tangents[PARTS] = {[INVERSE] = rh_reshape(g, of_inverse, rh_shape1(n * n)), [LOG_DET] = of_log, [ELIMINATED] = RH_NONE};
  return rh_tuple(g, rh_at(g, node)->attr, tangents);
}

/* A pivot of 0 has nothing but zeros below it: nothing is eliminated, the logarithm is -inf, and the inverse has no finite numbers. */
#define INVERT(type)                                                                                             \
  static void swap_##type(int64_t n, type *a, type *b) {                                                         \
    for (int64_t j = 0; a != b && j < n; j++) {                                                                  \
      const type x = a[j];                                                                                       \
      a[j] = b[j], b[j] = x;                                                                                     \
    }                                                                                                            \
  }                                                                                                              \
  static type size_##type(type x) {                                                                              \
    return x < 0 ? -x : x;                                                                                       \
  }                                                                                                              \
  static type eliminate_##type(rh_unary_fn *log, int64_t n, type *a, type *right) {                              \
    type sum = 0;                                                                                                \
    for (int64_t k = 0; k < n; k++) {                                                                            \
      int64_t pivot = k;                                                                                         \
      for (int64_t i = k + 1; i < n; i++)                                                                        \
        if (size_##type(a[i * n + k]) > size_##type(a[pivot * n + k])) pivot = i;                                \
      swap_##type(n, a + k * n, a + pivot * n);                                                                  \
      swap_##type(n, right + k * n, right + pivot * n);                                                          \
      const type on = a[k * n + k];                                                                              \
      type size = size_##type(on);                                                                               \
      log(1, &size, &size, 0);                                                                                   \
      sum += size;                                                                                               \
      for (int64_t i = k + 1; i < n && on != 0; i++) {                                                           \
        const type by = a[i * n + k] / on;                                                                       \
        for (int64_t j = k + 1; j < n; j++) a[i * n + j] -= by * a[k * n + j];                                   \
        for (int64_t j = 0; j < n; j++) right[i * n + j] -= by * right[k * n + j];                               \
      }                                                                                                          \
    }                                                                                                            \
    return sum;                                                                                                  \
  }                                                                                                              \
  static void invert_##type(rh_unary_fn *log, int64_t n, const type *w, type *inverse, type *log_det, type *a) { \
    memcpy(a, w, (size_t)(n * n) * sizeof *a);                                                                   \
    for (int64_t i = 0; i < n * n; i++) inverse[i] = i % (n + 1) == 0;                                           \
    *log_det = eliminate_##type(log, n, a, inverse);                                                             \
    for (int64_t k = n - 1; k >= 0; k--) {                                                                       \
      for (int64_t l = k + 1; l < n; l++)                                                                        \
        for (int64_t j = 0; j < n; j++) inverse[k * n + j] -= a[k * n + l] * inverse[l * n + j];                 \
      for (int64_t j = 0; j < n; j++) inverse[k * n + j] /= a[k * n + k];                                        \
    }                                                                                                            \
  }
INVERT(float)
INVERT(double)

static void invert_run(const rh_run_args *a) {
  const int64_t n = a->in_node[0]->shape.dim[0];
  rh_unary_fn *log = a->k->unary[RH_U_LOG];
  if (a->k->real_bytes == 4) {
    invert_float(log, n, a->in[0], a->part[INVERSE], a->part[LOG_DET], a->part[ELIMINATED]);
  } else {
    invert_double(log, n, a->in[0], a->part[INVERSE], a->part[LOG_DET], a->part[ELIMINATED]);
  }
}
static int64_t invert_flops(const rh_graph *g, const rh_node *node) {
  const int64_t n = rh_at(g, node->in[0])->shape.dim[0];
  return 8 * n * n * n / 3;
}
const rh_op rh_op_invert = {
    .name = "invert", .order = -1, .vjp = invert_vjp, .jvp = invert_jvp, .run = invert_run, .flops = invert_flops, .parts = true};
