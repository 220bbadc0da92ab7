/* Specifications of the tests' models, over three columns. */
#ifndef RH_TESTS_SPECS_H
#define RH_TESTS_SPECS_H

#define SPEC_MLP(n) "{\"type\":\"mlp\",\"hidden\":[" n "],\"activation\":\"tanh\"}"
#define SPEC_FLOW(preprocess, parts, base) \
  "{\"columns\":3,\"context\":0,\"preprocess\":[" preprocess "],\"flow\":{\"type\":\"chain\",\"parts\":[" parts "]},\"base\":" base "}"
#define SPEC_AFFINE(n) "{\"type\":\"coupling\",\"transform\":{\"type\":\"affine\"},\"net\":" SPEC_MLP(n) "}"
#define SPEC_NORMAL    "{\"type\":\"normal\"}"

/* Parameters of every kind, few of them. */
#define SPEC_COUPLING \
  SPEC_FLOW("", "{\"type\":\"actnorm\"},{\"type\":\"lu\"}," SPEC_AFFINE("5") ",{\"type\":\"permutation\"}," SPEC_AFFINE("4"), SPEC_NORMAL)
/* No data-dependent start. */
#define SPEC_PLAIN SPEC_FLOW("", SPEC_AFFINE("5") ",{\"type\":\"permutation\"}," SPEC_AFFINE("4"), SPEC_NORMAL)
/* Parameters for several chunks. */
#define SPEC_WIDE SPEC_FLOW("", SPEC_AFFINE("80,80") ",{\"type\":\"permutation\"}," SPEC_AFFINE("80,80"), SPEC_NORMAL)
/* A bound, not a density: rows are read with noise. */
#define SPEC_NOISY SPEC_FLOW("{\"type\":\"dequantize\"}", SPEC_AFFINE("16") ",{\"type\":\"permutation\"}," SPEC_AFFINE("16"), SPEC_NORMAL)
/* Autoregressive parts, splines, a learned base. */
#define SPEC_MASKED                                                                                                                        \
  SPEC_FLOW(                                                                                                                               \
      "",                                                                                                                                  \
      "{\"type\":\"autoregressive\",\"order\":[2,0,1],\"transform\":{\"type\":\"rqs\",\"bins\":4},\"net\":{\"hidden\":[6]}},"              \
      "{\"type\":\"inverse\",\"part\":{\"type\":\"autoregressive\",\"graph\":[[],[0],[0]],\"net\":{\"type\":\"residual\",\"hidden\":5}}}," \
      "{\"type\":\"elementwise\",\"transform\":{\"type\":\"mixture-of-logistics\",\"components\":3}}",                                     \
      "{\"type\":\"student-t\"}")
#define SPEC_GAUSSIAN SPEC_FLOW("", "", "{\"type\":\"full-normal\"}")
#endif
