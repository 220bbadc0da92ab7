#include "graph/stairs.h"

#include <string.h>

#include "base/memory.h"

size_t rh_stairs_bytes(const rh_stairs *s) {
  return sizeof *s + (size_t)(s->n + 1) * sizeof(rh_stair);
}

rh_status rh_stairs_create(int64_t in, int64_t out, const int64_t *reach, rh_stairs **stairs) {
  int64_t n = 0;
  for (int64_t j = 0; j < out; j++) {
    if (reach[j] < (j ? reach[j - 1] : 0) || reach[j] > in)
      return rh_fail(RH_E_ARGUMENT, "stairs: output %lld reads %lld of %lld inputs; the numbers must not fall", (long long)j,
                     (long long)reach[j], (long long)in);
    n += j == 0 || reach[j] != reach[j - 1];
  }
  rh_stairs *s = rh_alloc_zero(1, sizeof *s + (size_t)(n + 1) * sizeof(rh_stair));
  if (!s) return RH_E_MEMORY;
  s->in = in, s->out = out;
  for (int64_t j = 0; j < out; j++) {
    if (j == 0 || reach[j] != reach[j - 1]) s->stair[s->n++] = (rh_stair){j, reach[j], s->count};
    s->count += reach[j];
  }
  s->stair[n] = (rh_stair){out, in, s->count};
  *stairs = s;
  return RH_OK;
}

int64_t rh_stairs_of(const rh_stairs *s, int64_t output) {
  int64_t low = 0, high = s->n;
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    if (s->stair[middle].first <= output)
      low = middle;
    else
      high = middle;
  }
  return low;
}

int64_t rh_stairs_reach(const rh_stairs *s, int64_t output) {
  return s->stair[rh_stairs_of(s, output)].reach;
}

int64_t rh_stairs_first(const rh_stairs *s, int64_t input) {
  int64_t low = -1, high = s->n; /* stairs up to low do not read it, those from high on do */
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    if (s->stair[middle].reach <= input)
      low = middle;
    else
      high = middle;
  }
  return s->stair[high].first;
}

enum { LINE = 64 };

void rh_stairs_expand(const rh_stairs *s, int size, const void *weights, int64_t first, int64_t rows, int64_t from, int64_t cols,
                      void *dense) {
  char *to = dense;
  int64_t t = rows ? rh_stairs_of(s, first) : 0;
  for (int64_t j = first; j < first + rows; j++, to += cols * size) {
    while (s->stair[t + 1].first <= j) t++;
    const rh_stair *stair = &s->stair[t];
    const int64_t reach = stair->reach - from < cols ? stair->reach - from : cols, some = reach < 0 ? 0 : reach;
    const char *row = (const char *)weights + (stair->at + (j - stair->first) * stair->reach + from) * size;
    if (some == cols && cols * size == LINE) { /* a panel's: so often that a call would cost more than it does */
      memcpy(to, row, LINE);
      continue;
    }
    memcpy(to, row, (size_t)(some * size));
    memset(to + some * size, 0, (size_t)((cols - some) * size));
  }
}
