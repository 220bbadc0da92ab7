/* The registry of architectures; "auto"; and from a name and options to a whole specification. */
#include "density/architectures.h"

#include <stdio.h>
#include <string.h>

static const rh_arch *const archs[] = {&rh_arch_realnvp, &rh_arch_nice};

const rh_arch *const *rh_archs(int *n) {
  *n = (int)RH_COUNT_OF(archs);
  return archs;
}

static rh_status find_arch(const char *name, const rh_arch **arch, const char **why) {
  const char *names[RH_COUNT_OF(archs) + 2] = {"auto"};
  for (size_t i = 0; i < RH_COUNT_OF(archs); i++) names[i + 1] = archs[i]->name;
  *why = "chosen by name";
  for (size_t i = 0; i < RH_COUNT_OF(archs); i++) {
    if (strcmp(name, archs[i]->name) != 0) continue;
    *arch = archs[i];
    return RH_OK;
  }
  if (strcmp(name, "auto") == 0) {
    *arch = NULL;
    return RH_OK;
  }
  const char *near = rh_nearest(name, names);
  char list[160] = "auto";
  for (size_t i = 0, used = 4; i < RH_COUNT_OF(archs) && used < sizeof list; i++)
    used += (size_t)snprintf(list + used, sizeof list - used, ", %s", archs[i]->name);
  return rh_fail(RH_E_ARGUMENT, "unknown architecture '%.64s'%s%s%s; there are: %s", name, near ? ", did you mean '" : "", near ? near : "",
                 near ? "'" : "", list);
}

/* What suits a table of that size, and why. */
static const rh_arch *choose(const rh_arch_size *size, const char **why) {
  if (size->columns == 1) {
    *why = "one column: a single affine map, all that couplings can do with it";
  } else if (size->columns > RH_ARCH_WIDE) {
    *why = "many columns: affine couplings with permutations between them, since mixing by matrices would take too much memory";
  } else if (size->rows > 0 && size->rows < RH_ARCH_FEW) {
    *why = "few rows: a small RealNVP, which overfits less";
  } else {
    *why = "a table of columns: affine couplings score and sample in one pass";
  }
  return &rh_arch_realnvp;
}

/* The width that the flow sees behind the preprocessing. */
static rh_status width_after(const json_t *preprocess, int64_t columns, int64_t *width) {
  rh_leaves leaves = {0};
  rh_bijection *chain = NULL;
  const rh_build build = {&leaves, "preprocess", 0};
  const rh_status status = rh_chain_create(&build, preprocess, "preprocess", rh_shape1(columns), &chain);
  if (status == RH_OK) *width = rh_shape_count(&chain->out);
  rh_bijection_destroy(chain);
  rh_leaves_free(&leaves);
  return status;
}

rh_status rh_arch_spec(const char *name, const json_t *options, int64_t columns, int64_t context, int64_t rows, const json_t *preprocess,
                       json_t **spec, const char **why) {
  const rh_arch *arch = NULL;
  const char *reason = NULL;
  json_t *flow = NULL, *base = NULL;
  if (columns < 1 || columns > RH_FLOW_COLUMNS || context < 0 || context > RH_FLOW_COLUMNS)
    return rh_fail(RH_E_ARGUMENT, "a flow takes 1 to %d columns, not %lld (and %lld of context)", RH_FLOW_COLUMNS, (long long)columns,
                   (long long)context);
  RH_TRY(find_arch(name, &arch, &reason));
  rh_arch_size size = {.columns = columns, .context = context, .rows = rows};
  RH_TRY(width_after(preprocess, columns, &size.columns));
  if (!arch) arch = choose(&size, &reason);
  RH_TRY(arch->expand(options, &size, &flow, &base));
  json_t *parts = preprocess ? json_incref((json_t *)(uintptr_t)preprocess) : json_array();
  json_t *whole = json_pack("{s:s, s:I, s:I, s:o, s:o, s:o}", "arch", arch->name, "columns", (json_int_t)columns, "context",
                            (json_int_t)context, "preprocess", parts, "flow", flow, "base", base);
  if (!whole) return rh_fail(RH_E_MEMORY, "out of memory for the specification");
  *spec = whole;
  if (why) *why = reason;
  return RH_OK;
}
