/* A dense layer whose weights are functions of the time: y = W(t) x + b(t), with
 *   W(t) = sum_k phi_k(t) W_k      b(t) = sum_k phi_k(t) b_k      phi_0 = 1, phi_k(t) = tanh(a_k t + c_k), k = 1 .. K
 * (HyperLinear of FFJORD's code, Grathwohl et al. 2019: a network of t with one hidden layer of K tanh units gives all weights and biases;
 * that they are linear in its units is what is written out here). A row has a time of its own, so W(t) is never made for the product: a row
 * costs one product of its K + 1 scaled copies with the W_k side by side. */
#ifndef RH_NET_HYPER_H
#define RH_NET_HYPER_H
#include "net/dense.h"

typedef struct rh_hyper {
  rh_dense dense;         /* the W_k [out, (K + 1) in] and b_0 */
  int shift, rate, phase; /* leaves: the other b_k [out, K], a [K], c [K] */
  int64_t in, out, n;     /* n = K + 1 */
} rh_hyper;

/* Weights start as those of a dense layer of (K + 1) in inputs, whose |phi| <= 1, so W(t) starts no larger than another layer's. gain,
 * bias: as rh_dense_create; gain 0: all of W and b start at zero. Leaves prefix.name.weight, .bias, .shift, .rate, .phase. */
rh_status rh_hyper_create(const rh_build *build, const char *name, int64_t in, int64_t out, int64_t functions, double gain, double bias,
                          rh_hyper *hyper) RH_WARN_UNUSED;
rh_val rh_hyper_functions(const rh_hyper *hyper, rh_graph *g, rh_val t);         /* t: [1] -> phi [K + 1] */
rh_val rh_hyper_apply(const rh_hyper *hyper, rh_graph *g, rh_val phi, rh_val x); /* x: [in] -> [out] */
/* W(t) v for every line v. v: [lines, in] -> [lines, out] */
rh_val rh_hyper_lines(const rh_hyper *hyper, rh_graph *g, rh_val phi, rh_val v);
rh_val rh_hyper_matrix(const rh_hyper *hyper, rh_graph *g, rh_val phi, bool transposed); /* -> W(t) [out, in], or W(t)' [in, out] */
rh_val rh_hyper_trace(const rh_hyper *hyper, rh_graph *g, rh_val phi);                   /* tr W(t), [1]; in = out */
/* tr(V(t) D U(t)) [1] of two layers, with the diagonal D as slope [U's out]: sum_kl psi_k phi_l (V_k D U_l)_jj by one product with what the
 * parameters alone make, of (K + 1)^2 lines. */
rh_val rh_hyper_trace_of_two(const rh_hyper *u, rh_val phi, rh_val slope, const rh_hyper *v, rh_val psi, rh_graph *g);
#endif
