/* The table of one build (see level.h). */
#include "kernel/level.h"

#define UNARY_SLOT(name, id)  [RH_U_##name] = RH_SYM(unary_##id),
#define BINARY_SLOT(name, id) [RH_B_##name] = RH_SYM(binary_##id),

const rh_kernels RH_SYM(kernels) = {
    .isa = RH_TEXT(RH_LEVEL),
    .real_bytes = RH_BITS / 8,
    .unary = {RH_UNARY_LIST(UNARY_SLOT)},
    .binary = {RH_BINARY_LIST(BINARY_SLOT)},
    .panel = RH_PANEL,
    .pack_count = RH_SYM(pack_count),
    .pack = RH_SYM(pack),
    .gemm = RH_SYM(gemm),
    .gemm_tn = RH_SYM(gemm_tn),
    .gemm_tn_ragged = RH_SYM(gemm_tn_ragged),
    .conv = RH_SYM(conv),
    .conv_tn = RH_SYM(conv_tn),
    .row_sum = RH_SYM(row_sum),
    .row_max = RH_SYM(row_max),
    .col_sum = RH_SYM(col_sum),
    .adam = RH_SYM(adam),
    .rqs = RH_SYM(rqs),
    .rqs_vjp = RH_SYM(rqs_vjp),
    .sum_squares = RH_SYM(sum_squares),
};
