/* What an operation is: a row of one table (ops.def lists them, op_*.c define them). To add one: write it in the op_*.c of its family,
 * add its row to ops.def; everything else (derivation, planning, printing, the tests of its rules) finds it there. */
#ifndef RH_GRAPH_OPS_H
#define RH_GRAPH_OPS_H
#include "graph/graph.h"
#include "graph/plan.h"

enum { RH_ARITY_MAX = 16 }; /* operands of a rule; concat alone may have more */

/* An operation with several outputs: its attribute begins with an rh_parts, its shape is [total], and nothing but `part` reads it. */
enum { RH_PARTS = 4 };
typedef struct rh_parts {
  int n;
  int64_t count[RH_PARTS]; /* elements of each */
} rh_parts;

/* What a node sees when it runs. rows = 1 for parameter stages. */
typedef struct rh_run_args {
  const rh_kernels *k;
  const rh_node *node;
  int64_t rows;
  const void *const *in; /* operand data: row values [rows, count], parameters [count] */
  const bool *in_row;    /* operand is one per row */
  const rh_node *const *in_node;
  void *out;                 /* [rows, count]; sums over rows: [count], to be added to when accumulate; several outputs: NULL */
  void *part[RH_PARTS];      /* several outputs: part i, [rows, count[i]] */
  void *scratch;             /* scratch(node) elements a row, and scratch_fixed once */
  const void *const *packed; /* products: the packed form of a parameter operand, by operand, or NULL */
  int64_t task, tasks;       /* sums over rows: this piece of the output; elsewhere 0 of 1 */
  int accumulate;
  rh_epilogue epilogue;    /* products: what the plan fused behind them */
  const rh_values *values; /* nodes with bodies: what the bodies' leaves read, what `make` made, and this thread's `open` */
  const void *made;
  void *work;
} rh_run_args;

/* Nodes with bodies, graphs of their own (body.h): a plan makes plans of the bodies once, and holds a workspace of them for each thread. */
typedef struct rh_op_bodies {
  /* rows: the most a run of the row stage will have. What is made may point into node, which outlives it; never into the graph. */
  rh_status (*make)(const rh_node *node, const rh_plan_options *options, int64_t rows, void **made);
  void (*unmake)(void *made);
  int64_t (*bytes)(const void *made); /* of one thread's workspace */
  rh_status (*open)(const void *made, void **work);
  void (*close)(void *work);
  void (*report)(void *work, rh_ode_report *sum); /* adds what the runs since the last report counted */
  bool (*derives)(const void *made);              /* is what is counted a derivative's? NULL: it is not */
} rh_op_bodies;

/* Parameter operands that the kernels read in a form of their own, made once a run. Nodes of one operation with equal attributes share the
 * form of one operand. */
typedef struct rh_packing {
  bool (*wants)(const rh_node *node, int operand);
  int64_t (*count)(const rh_kernels *k, const rh_node *node, const rh_shape *matrix, int operand);   /* elements of the form */
  int64_t (*pieces)(const rh_kernels *k, const rh_node *node, const rh_shape *matrix, int operand);  /* that threads may share */
  int64_t (*scratch)(const rh_kernels *k, const rh_node *node, const rh_shape *matrix, int operand); /* elements; NULL: none */
  void (*pack)(const rh_kernels *k, const rh_node *node, const rh_shape *matrix, int operand, const void *from, void *packed, int64_t piece,
               void *scratch);
} rh_packing;

/* Is it x [width] again and again, and nothing else? */
bool rh_gather_repeats(const rh_node *node, int64_t width);

/* What a gate that runs as part of a product reads: an operand more, behind the product's own. */
static inline const void *rh_gate_of(const rh_run_args *a) {
  return a->epilogue == RH_EPI_GATE ? a->in[a->node->arity - 1] : NULL;
}

/* Lines of one piece of a long sum over rows that has so many: at most `most`, in an even number of pieces, for threads wait for the last.
 */
static inline int64_t rh_even_piece(int64_t lines, int64_t most) {
  const int64_t pieces = 2 * ((lines + 2 * most - 1) / (2 * most));
  return lines <= most ? lines : (lines + pieces - 1) / pieces;
}

typedef struct rh_op {
  const char *name;
  int order; /* how often it may be differentiated; -1: any */
  /* out[i]: cotangent of operand i from the node's own (RH_NONE: none). Row-shaped for a parameter operand is fine: the caller sums over
   * rows. NULL: refused. */
  void (*vjp)(rh_graph *g, rh_val node, rh_val ct, rh_val *out);
  /* tangent of the node; tangents[i] RH_NONE = zero (not all are). NULL: refused. */
  rh_val (*jvp)(rh_graph *g, rh_val node, const rh_val *tangents);
  void (*run)(const rh_run_args *a);                          /* NULL: a source, or done by the plan (reshape) */
  int64_t (*scratch)(const rh_graph *g, const rh_node *node); /* scratch elements a row; NULL = 0 */
  int64_t (*flops)(const rh_graph *g, const rh_node *node);   /* multiply-adds count 2; a row; NULL = count */
  int64_t (*tasks)(const rh_graph *g, const rh_node *node);   /* pieces a sum over rows may be cut into; NULL = 1 */
  unsigned inplace;                                           /* bit i: the output may lie in operand i's place (same count, elementwise) */
  const rh_packing *packing;                                  /* NULL: nothing is read packed */
  bool epilogue;                                              /* a relu or a gate behind it may run as part of it */
  bool reduces;                                               /* a sum over the rows */
  bool parts;                                                 /* several outputs; not together with reduces */
  bool drops;                                                 /* its last parts, where nobody reads them, have no place: part[i] is NULL */
  bool solves;                                                /* it may not find its numbers: whoever runs it asks for the report */
  const rh_op_bodies *bodies;                                 /* NULL: none */
} rh_op;

#define RH_OP_ENUM(name) RH_OP_##name,
typedef enum rh_op_id {
#define OP(name) RH_OP_ENUM(name)
#include "graph/ops.def"
#undef OP
  RH_OP_COUNT
} rh_op_id;
#undef RH_OP_ENUM

extern const rh_op *const rh_ops[RH_OP_COUNT];
const rh_op *rh_op_of(const rh_node *node);
const char *rh_node_name(const rh_node *node); /* its operation's; of elementwise ones the function's */
/* How often a node may be differentiated and there is something to it, -1: any: as its operation says, elementwise ones by their function.
 */
int rh_node_order(const rh_node *node);

/* Emitting a node: operands are checked to be alive, class and stage follow from them. attr is copied into the arena. */
rh_val rh_emit(rh_graph *g, rh_op_id op, int arity, const rh_val *in, rh_shape shape, const void *attr, size_t attr_bytes);
rh_val rh_graph_fail(rh_graph *g, rh_status status, const char *format, ...) RH_PRINTF(3, 4); /* the sticky error; returns RH_NONE */
bool rh_is_row(const rh_graph *g, rh_val v);
/* rh_vjp and rh_jvp with some values taken as constants, for rules that differentiate what they emit. */
rh_status rh_vjp_holding(rh_graph *g, int n, const rh_val *outs, const rh_val *cts, int m, const rh_val *wrt, rh_val *grads,
                         rh_memory memory, int n_held, const rh_val *held) RH_WARN_UNUSED;
rh_status rh_jvp_holding(rh_graph *g, int m, const rh_val *wrt, const rh_val *tangents, int n, const rh_val *outs, rh_val *tangents_out,
                         int n_held, const rh_val *held) RH_WARN_UNUSED;

/* Cotangents and tangents of nodes with several outputs: a tuple of one value a part (RH_NONE: zero). vjp and jvp of such an operation take
 * and give tuples. */
rh_val rh_tuple(rh_graph *g, const rh_parts *parts, const rh_val *in); /* in: [parts->n]; RH_NONE when all are */
rh_val rh_tuple_at(const rh_graph *g, rh_val tuple, int which);        /* RH_NONE where nothing is */
rh_val rh_tuple_add(rh_graph *g, rh_val a, rh_val b);                  /* part by part */
bool rh_is_tuple(const rh_graph *g, rh_val v);
int64_t rh_parts_total(const rh_parts *parts);
int64_t rh_parts_before(const rh_parts *parts, int which); /* elements of the parts before it */
int rh_part_which(const rh_node *part);                    /* which part a `part` node is */
/* The part of a convolution to few channels (op_taps.c): x [h, w, c], weight [o, kh, kw, c] -> [h, w, kh kw o], what a pixel gives by tap.
 */
rh_val rh_taps(rh_graph *g, rh_val x, rh_val weight);
rh_val rh_taps_t(rh_graph *g, rh_val all, rh_val weight); /* its adjoint in x: [h, w, kh kw o] -> [h, w, c] */
/* A copy of an attribute in the arena; of a long one the same copy as before: lists of indices are as long as rows, and alike in every
 * layer. *kept lists them, NULL at first. NULL: out of memory. */
struct rh_kept;
const void *rh_keep_attr(rh_arena *arena, struct rh_kept **kept, const void *attr, size_t bytes);
void rh_shape_text(const rh_shape *shape, char text[64]);
#endif
