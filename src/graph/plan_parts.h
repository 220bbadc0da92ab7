/* Inside of a plan: shared by its making (plan.c), its memory (place.c, shared.c), its running (run.c) and its printing (print.c). */
#ifndef RH_GRAPH_PLAN_PARTS_H
#define RH_GRAPH_PLAN_PARTS_H
#include "graph/ops.h"
#include "graph/plan.h"

/* Where a value lies. Offsets count elements: of one row for LOCAL and WIDE, of the buffer elsewhere. */
typedef enum rh_place {
  RH_AT_NONE,
  RH_AT_LOCAL, /* a thread's own block: dies before its segment ends */
  RH_AT_WIDE,  /* the superblock's: crosses segments, or is read by a sum over rows */
  RH_AT_PARAM, /* the model's flat buffers */
  RH_AT_STATE,
  RH_AT_CONST,  /* the plan's constants */
  RH_AT_SHARED, /* parameter-shaped intermediate values */
  RH_AT_OUT,    /* the caller's param_out[offset] */
  RH_PLACES
} rh_place;

/* A node as the plan runs it; items are indexed by the graph's node numbers. */
typedef struct rh_item {
  rh_node node;
  const rh_op *op;
  int64_t count;        /* elements (of one row) */
  int32_t root;         /* who owns the place: itself, or what a reshape renames, or what a part belongs to */
  int64_t first;        /* elements of the root's place before it: parts */
  bool live, fused;     /* fused: runs as part of its reader */
  bool reduced;         /* read by a sum over the rows */
  int32_t segment;      /* of row items */
  int32_t last_segment; /* last segment that reads it (roots: with all aliases) */
  int32_t last_read;    /* last row item that reads it (roots) */
  rh_place place;
  int64_t offset;
  int64_t at_bytes, row_bytes; /* the place in bytes: at_bytes + row * row_bytes from the start of its buffer */
  int64_t scratch;             /* offset of LOCAL scratch, elements a row; -1: none */
  const int32_t *packed;       /* [arity] numbers of packed forms, -1: none; NULL: none at all */
  rh_epilogue epilogue;
  const rh_node **in_node; /* [arity] */
  bool *in_row;            /* [arity] */
  int32_t body;            /* number among nodes with bodies, -1: none */
  void *made;              /* what rh_op_bodies.make made */
} rh_item;

typedef struct rh_packed {
  int32_t matrix, reader; /* items; whose operation packs */
  int32_t segment;        /* that it is made for, where forms take turns */
  int operand;
  int64_t offset, count, pieces; /* elements */
} rh_packed;

typedef struct rh_task {
  int32_t item;
  int32_t piece;
} rh_task;

typedef struct rh_segment {
  int64_t first, last;           /* row_order[first, last) */
  int64_t first_task, last_task; /* task[first, last): sums over rows after it */
  int64_t first_pack, last_pack; /* pack_task[first, last): forms made for it alone */
} rh_segment;

struct rh_plan {
  rh_arena arena;
  const rh_kernels *k;
  int64_t n; /* items */
  rh_item *item;
  int32_t *before, *after, *row_order;
  int64_t n_before, n_after, n_rows;
  rh_segment *segment;
  int64_t segments;
  rh_task *task;
  int64_t tasks;
  rh_packed *packed;
  int64_t n_packed, packed_count, pack_scratch;
  rh_task *pack_task;              /* item: number of a packed form that rows read */
  int64_t pack_tasks, first_packs; /* first_packs: what is made before any row */
  int64_t turn_count;              /* elements of packed forms from which on a segment may end; 0: they all stay */
  bool packs_in_turn;              /* a segment's forms are made when it comes, where those of the one before stood */
  int n_row_out, n_param_out;
  int32_t *row_out, *param_out;
  int32_t *copy_out;              /* param outs that no item writes in place: copied at the end; -1 elsewhere */
  int64_t block_rows, super_rows; /* super_rows 0: nothing wide, any number */
  int64_t local_count, wide_count, shared_count, const_count;
  void *constants;
  int max_arity;
  int32_t *body; /* items with bodies */
  int64_t n_bodies;
  double flops_row, weight_bytes;
  rh_plan_info info;
};

/* packs.c */
rh_status rh_plan_packs(struct rh_plan *p) RH_WARN_UNUSED;
rh_status rh_plan_packs_in_turn(struct rh_plan *p) RH_WARN_UNUSED; /* again, once segments are known */
/* shared.c */
rh_status rh_plan_shared(struct rh_plan *p) RH_WARN_UNUSED;
/* place.c */
rh_status rh_plan_place(struct rh_plan *p, const rh_plan_options *options) RH_WARN_UNUSED;
#endif
