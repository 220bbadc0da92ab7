/* The table of laws: every bijection, with and without context, several shapes. A new bijection adds a row and inherits every law. */
#ifndef RH_TESTS_TABLE_H
#define RH_TESTS_TABLE_H
#include "laws/law.h"

#define MLP                "{\"type\":\"mlp\",\"hidden\":[7,5],\"activation\":\"tanh\",\"init\":\"scaled\"}"
#define MLP_OF(activation) "{\"type\":\"mlp\",\"hidden\":[7],\"activation\":\"" activation "\",\"init\":\"scaled\"}"
#define RESIDUAL           "{\"type\":\"residual\",\"hidden\":6,\"blocks\":2,\"activation\":\"silu\",\"init\":\"scaled\"}"

/* name, spec, columns, context, low, high, round-trip tolerance (0: 1e-10), no second order (with the reason) */
static const law_entry law_table[] = {
    {"standardize", "{\"type\":\"standardize\",\"mean\":[1,-2,30],\"scale\":[0.5,2,10]}", 3, 0, -3, 3, 0, false},
    {"whiten", "{\"type\":\"whiten\",\"mean\":[1,-2,3],\"factor\":[0.5,0,0,0.3,2,0,-0.7,0.4,1.5]}", 3, 0, -3, 3, 0, false},
    {"support log", "{\"type\":\"support\",\"columns\":[{\"column\":1,\"kind\":\"log\",\"low\":-4}]}", 3, 0, -3, 3, 0, false},
    {"support log from above", "{\"type\":\"support\",\"columns\":[{\"column\":0,\"kind\":\"log\",\"high\":4}]}", 2, 0, -3, 3, 0, false},
    {"support softplus",
     "{\"type\":\"support\",\"columns\":[{\"column\":2,\"kind\":\"softplus\",\"low\":-4},{\"column\":0,\"kind\":\"softplus\",\"high\":4}]}",
     3, 0, -3, 3, 0, false},
    {"support logit",
     "{\"type\":\"support\",\"columns\":[{\"column\":0,\"kind\":\"logit\",\"low\":-4,\"high\":5},{\"column\":1,\"kind\":\"log\",\"low\":-3."
     "5}]}",
     3, 0, -3, 3, 0, false},
    {"permutation reverse", "{\"type\":\"permutation\",\"order\":\"reverse\"}", 5, 0, -3, 3, 0, false},
    {"permutation swap", "{\"type\":\"permutation\",\"order\":\"swap\"}", 5, 0, -3, 3, 0, false},
    {"permutation given", "{\"type\":\"permutation\",\"order\":[2,0,3,1]}", 4, 0, -3, 3, 0, false},
    {"permutation random", "{\"type\":\"permutation\",\"order\":\"random\",\"seed\":3}", 9, 0, -3, 3, 0, false},
    {"actnorm", "{\"type\":\"actnorm\"}", 4, 0, -3, 3, 0, false},
    {"lu", "{\"type\":\"lu\"}", 5, 0, -3, 3, 0, false},
    {"lu of one column", "{\"type\":\"lu\"}", 1, 0, -3, 3, 0, false},
    {"elementwise affine", "{\"type\":\"elementwise\",\"transform\":\"affine\"}", 4, 0, -3, 3, 0, false},
    {"elementwise scale", "{\"type\":\"elementwise\",\"transform\":\"scale\"}", 3, 0, -3, 3, 0, false},
    {"elementwise affine of a context", "{\"type\":\"elementwise\",\"transform\":\"affine\",\"net\":" MLP "}", 3, LAW_CONTEXT, -3, 3, 0,
     false},
    {"coupling affine half", "{\"type\":\"coupling\",\"mask\":\"half\",\"net\":" MLP "}", 5, 0, -3, 3, 0, false},
    {"coupling affine swap with a context", "{\"type\":\"coupling\",\"mask\":\"swap\",\"net\":" MLP "}", 5, LAW_CONTEXT, -3, 3, 0, false},
    {"coupling affine even", "{\"type\":\"coupling\",\"mask\":\"even\",\"net\":" RESIDUAL "}", 4, 0, -3, 3, 0, false},
    {"coupling affine odd, residual, context", "{\"type\":\"coupling\",\"mask\":\"odd\",\"net\":" RESIDUAL "}", 5, LAW_CONTEXT, -3, 3, 0,
     false},
    {"coupling additive random", "{\"type\":\"coupling\",\"mask\":\"random\",\"seed\":4,\"transform\":\"additive\",\"net\":" MLP "}", 6, 0,
     -3, 3, 0, false},
    {"coupling scale given", "{\"type\":\"coupling\",\"mask\":[0,3],\"transform\":{\"type\":\"scale\",\"bound\":1.5},\"net\":" MLP "}", 4,
     0, -3, 3, 0, false},
    {"coupling of two columns, relu", "{\"type\":\"coupling\",\"mask\":\"half\",\"net\":" MLP_OF("relu") "}", 2, 0, -3, 3, 0, false},
    {"coupling silu", "{\"type\":\"coupling\",\"mask\":\"half\",\"net\":" MLP_OF("silu") "}", 2, 0, -3, 3, 0, false},
    {"coupling gelu", "{\"type\":\"coupling\",\"mask\":\"half\",\"net\":" MLP_OF("gelu") "}", 2, 0, -3, 3, 0, false},
    {"coupling softplus", "{\"type\":\"coupling\",\"mask\":\"half\",\"net\":" MLP_OF("softplus") "}", 2, 0, -3, 3, 0, false},
    {"coupling elu", "{\"type\":\"coupling\",\"mask\":\"half\",\"net\":" MLP_OF("elu") "}", 2, 0, -3, 3, 0, false},
    {"coupling linear net", "{\"type\":\"coupling\",\"mask\":\"half\",\"net\":{\"type\":\"linear\",\"init\":\"scaled\"}}", 3, 0, -3, 3, 0,
     false},
    {"elementwise rqs", "{\"type\":\"elementwise\",\"transform\":{\"type\":\"rqs\",\"box\":2.5}}", 3, 0, -3, 3, 1e-9, false},
    {"elementwise rqs of a context", "{\"type\":\"elementwise\",\"transform\":{\"type\":\"rqs\",\"bins\":3},\"net\":" MLP "}", 2,
     LAW_CONTEXT, -3, 3, 1e-9, false},
    {"coupling rqs", "{\"type\":\"coupling\",\"mask\":\"half\",\"transform\":{\"type\":\"rqs\",\"bins\":5,\"box\":2},\"net\":" MLP "}", 5,
     0, -3, 3, 1e-9, false},
    {"coupling rqs bounded",
     "{\"type\":\"coupling\",\"mask\":\"even\",\"transform\":{\"type\":\"rqs\",\"bins\":4,\"tails\":\"bounded\",\"box\":3},\"net\":" MLP
     "}",
     4, LAW_CONTEXT, -3, 3, 1e-9, false},
    {"coupling rqs circular",
     "{\"type\":\"coupling\",\"mask\":\"odd\",\"transform\":{\"type\":\"rqs\",\"bins\":4,\"tails\":\"circular\",\"box\":3.1},\"net\":" MLP
     "}",
     4, 0, -3, 3, 1e-9, false},
    {"inverse of a coupling rqs",
     "{\"type\":\"inverse\",\"part\":{\"type\":\"coupling\",\"transform\":{\"type\":\"rqs\",\"bins\":2,\"box\":2},\"net\":" MLP "}}", 3, 0,
     -3, 3, 1e-9, false},
    {"inverse of a coupling", "{\"type\":\"inverse\",\"part\":{\"type\":\"coupling\",\"mask\":\"half\",\"net\":" MLP "}}", 4, 0, -3, 3, 0,
     false},
    {"inverse of lu", "{\"type\":\"inverse\",\"part\":{\"type\":\"lu\"}}", 4, 0, -3, 3, 0, false},
    {"chain",
     "{\"type\":\"chain\",\"parts\":[{\"type\":\"standardize\",\"mean\":[1,0,2,1],\"scale\":[2,1,1,3]},{\"type\":\"actnorm\"},{\"type\":"
     "\"lu\"},"
     "{\"type\":\"coupling\",\"mask\":\"half\",\"net\":" MLP
     "},{\"type\":\"permutation\"},{\"type\":\"coupling\",\"mask\":\"odd\",\"net\":" MLP "}]}",
     4, LAW_CONTEXT, -3, 3, 0, false},
};

/* Surjections have laws of their own (tests/laws/test_surjections.c). */
static const char *const surjections[] = {"dequantize", "drop"};
#endif
