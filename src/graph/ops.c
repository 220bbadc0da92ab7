/* The table of operations. */
#include "graph/ops.h"

#define OP(name) extern const rh_op rh_op_##name;
#include "graph/ops.def"
#undef OP

const rh_op *const rh_ops[RH_OP_COUNT] = {
#define OP(name) &rh_op_##name,
#include "graph/ops.def"
#undef OP
};
