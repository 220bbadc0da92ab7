/* Can the checks of the rules fail? Every vjp and jvp rule, operand by operand, is broken in four ways (flipped sign, factor 1.01, dropped
 * term, stale input) and the check of that operation must notice. The table of operations here takes the library's place, so the product
 * knows nothing of mutants. A stale input that the rule does not read makes no mutant. */
#include "support/rules.h"

#define OP(name) extern const rh_op rh_op_##name;
#include "graph/ops.def"
#undef OP
static const rh_op *const original[RH_OP_COUNT] = {
#define OP(name) &rh_op_##name,
#include "graph/ops.def"
#undef OP
};
static rh_op mutable[RH_OP_COUNT];
const rh_op *const rh_ops[RH_OP_COUNT] = {
#define OP(name) &mutable[RH_OP_##name],
#include "graph/ops.def"
#undef OP
};

typedef enum kind { FLIPPED, FACTOR, DROPPED, STALE, KINDS } kind;
static const char *const kind_names[KINDS] = {"flipped sign", "factor 1.01", "dropped term", "stale input"};

static struct {
  bool on, forward;
  rh_op_id op;
  int function; /* of unary and binary; -1: any */
  int operand;
  kind kind;
  int64_t applied; /* times a rule was really changed */
} mutant;

static bool meant(const rh_graph *g, rh_val node) {
  const rh_node *n = rh_at(g, node);
  return mutant.on && (rh_op_id)n->op == mutant.op && (mutant.function < 0 || *(const int *)n->attr == mutant.function);
}

/* The node with one operand replaced: what a rule sees that reads a value too late. RH_NONE: cannot be told apart here. */
static rh_val stale(rh_graph *g, rh_val node, int operand, rh_val *old) {
  const rh_node *n = rh_at(g, node);
  if (operand >= n->arity || rh_is_none(n->in[operand]) || original[rh_at(g, n->in[operand])->op]->parts) return RH_NONE;
  rh_val in[RH_ARITY_MAX];
  for (int i = 0; i < n->arity && i < RH_ARITY_MAX; i++) in[i] = n->in[i];
  *old = in[operand] = rh_addc(g, rh_mulc(g, in[operand], -0.9), 0.07);
  return rh_emit(g, (rh_op_id)n->op, n->arity, in, n->shape, n->attr, n->attr_bytes);
}

static rh_val broken(rh_graph *g, rh_val v) { /* a tuple: all of its parts */
  if (rh_is_none(v)) return v;
  if (rh_is_tuple(g, v)) {
    rh_val part[RH_PARTS];
    for (int i = 0; i < rh_at(g, v)->arity; i++) part[i] = broken(g, rh_tuple_at(g, v, i));
    return rh_tuple(g, rh_at(g, v)->attr, part);
  }
  mutant.applied++;
  return mutant.kind == FLIPPED ? rh_neg(g, v) : mutant.kind == FACTOR ? rh_mulc(g, v, 1.01) : RH_NONE;
}

/* Does v, through nodes emitted since `first`, read a? */
static bool reads(const rh_graph *g, rh_val v, int64_t first, rh_val a) {
  if (v.at == a.at) return true;
  if (v.at < first) return false;
  for (int i = 0; i < g->node[v.at]->arity; i++)
    if (reads(g, g->node[v.at]->in[i], first, a)) return true;
  return false;
}

static void vjp(rh_graph *g, rh_val node, rh_val ct, rh_val *out) {
  const rh_op *op = original[rh_at(g, node)->op];
  op->vjp(g, node, ct, out);
  if (!meant(g, node) || mutant.forward || mutant.operand >= rh_at(g, node)->arity) return;
  mutant.on = false;
  if (mutant.kind != STALE) {
    out[mutant.operand] = broken(g, out[mutant.operand]);
  } else {
    for (int operand = 0; operand < rh_at(g, node)->arity && operand < 2; operand++) { /* whichever operand this cotangent's rule reads */
      rh_val old, other[64];
      const rh_val twin = stale(g, node, operand, &old);
      if (rh_is_none(twin)) continue;
      for (int i = 0; i < 64; i++) other[i] = RH_NONE;
      const int64_t first = g->n;
      op->vjp(g, twin, ct, other);
      if (!reads(g, other[mutant.operand], first, old) && !reads(g, other[mutant.operand], first, twin)) continue;
      out[mutant.operand] = other[mutant.operand];
      mutant.applied++;
      break;
    }
  }
  mutant.on = true;
}

static rh_val jvp(rh_graph *g, rh_val node, const rh_val *tangents) {
  const rh_op *op = original[rh_at(g, node)->op];
  if (!meant(g, node) || !mutant.forward || mutant.operand >= rh_at(g, node)->arity || rh_is_none(tangents[mutant.operand]))
    return op->jvp(g, node, tangents);
  rh_val only[64], rest[64];
  bool others = false;
  for (int i = 0; i < rh_at(g, node)->arity; i++) {
    only[i] = i == mutant.operand ? tangents[i] : RH_NONE;
    rest[i] = i == mutant.operand ? RH_NONE : tangents[i];
    others |= !rh_is_none(rest[i]);
  }
  mutant.on = false;
  rh_val part, old;
  if (mutant.kind == STALE) {
    const rh_val twin = stale(g, node, mutant.operand, &old);
    const int64_t first = g->n;
    part = rh_is_none(twin) ? op->jvp(g, node, only) : op->jvp(g, twin, only);
    mutant.applied += !rh_is_none(twin) && (reads(g, part, first, old) || reads(g, part, first, twin));
  } else {
    part = broken(g, op->jvp(g, node, only));
  }
  part = rh_add_maybe(g, part, others ? op->jvp(g, node, rest) : RH_NONE);
  mutant.on = true;
  return part;
}

static int run_all(rh_op_id op, int function, const char *name, int *made) {
  int killed = 0;
  char text[TEXT];
  for (int forward = 0; forward < 2; forward++)
    for (int operand = 0; operand < 3; operand++)
      for (int k = 0; k < KINDS; k++) {
        mutant.on = true, mutant.forward = forward, mutant.op = op, mutant.function = function, mutant.operand = operand,
        mutant.kind = (kind)k;
        int64_t applied = 0;
        bool noticed = false;
        for (size_t c = 0; c < sizeof cases / sizeof *cases && !noticed; c++) {
          const bool unary = cases[c].build == build_unary, binary = strncmp(cases[c].name, "binary", 6) == 0;
          if (op == RH_OP_unary    ? !(unary && cases[c].arg == function)
              : op == RH_OP_binary ? !(binary && cases[c].arg == function)
                                   : unary || binary)
            continue;
          mutant.applied = 0;
          noticed = !check_case(&cases[c], &mutant.applied, text) && mutant.applied;
          applied += mutant.applied;
        }
        mutant.on = false;
        if (!applied) continue; /* no such term, or a stale input nobody reads */
        ++*made;
        killed += noticed;
        if (!noticed) printf("SURVIVED: %s of %s, operand %d, %s\n", forward ? "jvp" : "vjp", name, operand, kind_names[k]);
      }
  return killed;
}

static void mutants_die(void **state) {
  (void)state;
  int made = 0, killed = 0;
#define UNARY_NAME(name, id)  "unary " #id,
#define BINARY_NAME(name, id) "binary " #id,
  static const char *const unary[] = {RH_UNARY_LIST(UNARY_NAME)}, *const binary[] = {RH_BINARY_LIST(BINARY_NAME)};
  for (int f = 0; f < RH_U_COUNT; f++) killed += run_all(RH_OP_unary, f, unary[f], &made);
  for (int f = 0; f < RH_B_COUNT; f++) killed += run_all(RH_OP_binary, f, binary[f], &made);
  for (int op = 0; op < RH_OP_COUNT; op++)
    if (op != RH_OP_unary && op != RH_OP_binary && original[op]->vjp) killed += run_all((rh_op_id)op, -1, original[op]->name, &made);
  printf("mutants of derivative rules: %d made, %d killed\n", made, killed);
  assert_true(made > 200);
  assert_int_equal(killed, made);
}

int main(void) {
  for (int i = 0; i < RH_OP_COUNT; i++) {
    mutable[i] = *original[i];
    if (mutable[i].vjp) mutable[i].vjp = vjp;
    if (mutable[i].jvp) mutable[i].jvp = jvp;
  }
  const struct CMUnitTest tests[] = {cmocka_unit_test(mutants_die)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
