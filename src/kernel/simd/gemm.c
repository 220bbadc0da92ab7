/* Row products on packed panels. */
#define UNIT 1
#include "kernel/simd/narrow.h"
#include "kernel/simd/tiles.h"

/* Elements from one term of a panel to the next: a narrow last panel is packed closely, and whole vectors read on into the next term. */
static int64_t panel_step(int64_t cols) {
  if (cols <= NARROW_MOST) return cols;
  if (cols > RH_LANES) return RH_PANEL;
  return cols > RH_LANES / 2 ? RH_LANES : RH_LANES / 2;
}

int64_t RH_SYM(pack_count)(int64_t k, int64_t n) {
  const int64_t whole = n / RH_PANEL * RH_PANEL;
  return k * (whole + (n > whole ? panel_step(n - whole) : 0)) + RH_PANEL;
}

/* Columns [first, cols) of one panel of k terms, `step` apart, the rest of each term zero. */
static void pack_columns(int64_t k, int64_t first, int64_t cols, const real *b, int64_t rs, int64_t cs, real *to, int64_t step) {
  for (int64_t i = 0; i < k; i++, b += rs, to += step) {
    if (cs == 1)
      for (int64_t j = first; j < cols; j++) to[j] = b[j];
    else
      for (int64_t j = first; j < cols; j++) to[j] = b[j * cs];
    for (int64_t j = cols; j < step; j++) to[j] = 0;
  }
}

void RH_SYM(pack)(int64_t k, int64_t n, const void *b_, int64_t rs, int64_t cs, void *packed, int64_t first_panel, int64_t last_panel) {
  for (int64_t panel = first_panel; panel < last_panel; panel++) {
    const int64_t left = n - panel * RH_PANEL, cols = left < RH_PANEL ? left : RH_PANEL, step = panel_step(cols);
    const real *b = (const real *)b_ + panel * RH_PANEL * cs;
    real *to = (real *)packed + panel * k * RH_PANEL;
    int64_t j = 0;
    if (rs == 1 && cs != 1) /* transposed: columns are contiguous in b */
      for (; j + ROW_LANES <= cols; j += ROW_LANES) {
        rh_rows v[CHUNK];
        int64_t i = 0;
        for (; i + CHUNK <= k; i += CHUNK) {
          transpose(b + j * cs + i, cs, v, 0);
          for (int s = 0; s < CHUNK; s++) memcpy(to + (i + s) * step + j, &v[s], sizeof v[s]);
        }
        for (; i < k; i++)
          for (int l = 0; l < ROW_LANES; l++) to[i * step + j + l] = b[(j + l) * cs + i];
      }
    if (j < step) pack_columns(k, j, cols, b, rs, cs, to, step);
    if (cols < RH_PANEL) memset(to + k * step, 0, RH_PANEL * sizeof(real)); /* what the last term's vectors read on into */
  }
}

/* Few terms: the panel itself stays in registers while the rows pass by. */
#define EACH_TERM(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)
RH_INLINE void thin(const rh_tile *t, int64_t rows, const int k, const int whole) {
  const int64_t lda = t->a_row, ldc = t->c_row;
  const int relu = t->relu, accumulate = t->accumulate, first = t->cols < RH_LANES ? t->cols : RH_LANES, rest = t->cols - first;
  const int two = whole || rest > 0;
  const real *a = t->a, *gate = t->gate;
  real *c = t->c;
#define LOAD_TERM(i) \
  const vec_t b##i = vec_load(t->b + (i < k ? i : 0) * t->b_term), d##i = vec_load(t->b + (i < k ? i : 0) * t->b_term + RH_LANES);
  EACH_TERM(LOAD_TERM)
  vec_t s0 = vec_splat(0), s1 = s0;
  if (t->bias) s0 = vec_get(t->bias, first, whole), s1 = two ? vec_get(t->bias + RH_LANES, rest, whole) : s0;
  for (; rows > 0; rows--, a += lda, c += ldc) {
    vec_t c0 = s0, c1 = s1;
    if (accumulate) c0 = vec_get(c, first, whole), c1 = two ? vec_get(c + RH_LANES, rest, whole) : c0;
#define ADD_TERM(i)                                       \
  if (i < k) {                                            \
    const vec_t x = vec_splat(a[i]);                      \
    c0 = vec_fma(x, b##i, c0), c1 = vec_fma(x, d##i, c1); \
  }
    EACH_TERM(ADD_TERM)
    if (relu) c0 = vec_relu(c0), c1 = vec_relu(c1);
    if (gate) {
      c0 = vec_keep(c0, vec_get(gate, first, whole));
      if (two) c1 = vec_keep(c1, vec_get(gate + RH_LANES, rest, whole));
      gate += ldc;
    }
    vec_put(c, first, whole, c0);
    if (two) vec_put(c + RH_LANES, rest, whole, c1);
  }
}
#define DEFINE_THIN(k)                                   \
  static void thin_##k(const rh_tile *t, int64_t rows) { \
    if (t->cols >= RH_PANEL)                             \
      thin(t, rows, k, 1);                               \
    else                                                 \
      thin(t, rows, k, 0);                               \
  }
DEFINE_THIN(1)
DEFINE_THIN(2)
DEFINE_THIN(3)
DEFINE_THIN(4)
DEFINE_THIN(5)
DEFINE_THIN(6)
DEFINE_THIN(7)
DEFINE_THIN(8)
static void (*const thin_run[])(const rh_tile *, int64_t) = {0, thin_1, thin_2, thin_3, thin_4, thin_5, thin_6, thin_7, thin_8};

/* Rows that few terms are multiplied with at a time: what they write lies together. */
enum { THIN_ROWS = 32 };

/* Rows a multiple of 4096 bytes apart all want the same few places of the first cache. */
enum { COLLIDE = 4096, TERMS_COPIED = 2048 / sizeof(real), COPY_STEP = TERMS_COPIED + 64 / sizeof(real) };

/* Rows of a copied to where they do not collide, a tile and some terms at a time; the sums go on from c. */
static void gemm_copied(rh_tile t, int64_t rows, int64_t n, const real *packed, const real *bias, int64_t k) {
  real copy[TILE_MOST * COPY_STEP];
  const rh_tile given = t;
  const int64_t tiles = (rows + ROWS_OF_TWO - 1) / ROWS_OF_TWO;
  t.a = copy, t.a_row = COPY_STEP;
  for (int64_t i = 0; i < k; i += TERMS_COPIED) {
    t.k = k - i < TERMS_COPIED ? k - i : TERMS_COPIED;
    t.accumulate = given.accumulate || i > 0;
    const int last = i + t.k == k;
    t.relu = given.relu && last;
    for (int64_t tile = 0; tile < tiles; tile++) {
      const int64_t from = rows * tile / tiles, some = rows * (tile + 1) / tiles - from;
      for (int64_t r = 0; r < some; r++) memcpy(copy + r * COPY_STEP, given.a + (from + r) * given.a_row + i, (size_t)t.k * sizeof(real));
      for (int64_t j = 0; j < n; j += RH_PANEL) {
        t.cols = (int)(n - j < RH_PANEL ? n - j : RH_PANEL);
        t.b_term = panel_step(t.cols);
        t.b = packed + j * k + i * t.b_term;
        t.bias = bias ? bias + j : NULL;
        t.c = given.c + from * given.c_row + j;
        t.gate = given.gate && last ? given.gate + from * given.c_row + j : NULL;
        run_tiles(&t, some, tile_kind(t.cols));
      }
    }
  }
}

void RH_SYM(gemm)(int64_t rows, int64_t k, int64_t n, const void *a, int64_t lda, const void *packed, const void *bias, void *c,
                  int64_t ldc, int accumulate, rh_epilogue epilogue, const void *gate_) {
  const real *gate = epilogue == RH_EPI_GATE ? gate_ : NULL;
  rh_tile t = {.k = k,
               .a = a,
               .a_row = lda,
               .a_term = 1,
               .b_term = RH_PANEL,
               .c_row = ldc,
               .accumulate = accumulate,
               .relu = epilogue == RH_EPI_RELU};
  if (rows <= 0 || n <= 0) return;
  if (n <= NARROW_MOST && n <= RH_PANEL && k > TERMS_HELD) {
    t.cols = (int)n, t.b_term = n, t.b = packed, t.bias = bias, t.c = c, t.gate = gate;
    const int64_t done = narrow_run[n](t, rows);
    if (done < rows) {
      pass(&t, done);
      run_tiles(&t, rows - done, tile_kind(n));
    }
    return;
  }
  if (lda * (int64_t)sizeof(real) % COLLIDE == 0 && k > TERMS_HELD && rows > 4 && n > RH_PANEL) {
    t.c = c, t.gate = gate;
    gemm_copied(t, rows, n, packed, bias, k);
    return;
  }
  const int few = k > 0 && k <= TERMS_HELD;
  const int64_t once = few ? THIN_ROWS : rows;
  for (int64_t r = 0, some; r < rows; r += some) {
    some = rows - r < once ? rows - r : once;
    t.a = (const real *)a + r * lda;
    for (int64_t j = 0; j < n; j += RH_PANEL) {
      t.cols = (int)(n - j < RH_PANEL ? n - j : RH_PANEL);
      t.b_term = panel_step(t.cols);
      t.b = (const real *)packed + j * k;
      t.bias = bias ? (const real *)bias + j : NULL;
      t.c = (real *)c + r * ldc + j;
      t.gate = gate ? gate + r * ldc + j : NULL;
      if (few)
        thin_run[k](&t, some);
      else
        run_tiles(&t, some, tile_kind(t.cols));
    }
  }
}

void RH_SYM(conv)(const rh_conv_shape *s, int64_t images, const void *x, const void *packed, const void *bias, void *y,
                  rh_epilogue epilogue, const void *gate_) {
  const real *gate = epilogue == RH_EPI_GATE ? gate_ : NULL;
  const int64_t line = s->kw * s->c, terms = s->kh * line, pitch = s->w * s->c;
  rh_tile t = {.k = line,
               .lines = s->kh,
               .a_row = s->stride * s->c,
               .a_term = 1,
               .a_skip = pitch - line,
               .b_next = terms * RH_PANEL,
               .c_row = s->o,
               .relu = epilogue == RH_EPI_RELU};
  for (int64_t image = 0; image < images; image++)
    for (int64_t j = 0; j < s->o; j += t.cols) {
      const int64_t left = s->o - j;
      const int wide = s->ow <= ROWS_OF_FOUR && left >= 2 * RH_PANEL; /* short lines: broader tiles */
      t.cols = (int)(wide ? 2 * RH_PANEL : left < RH_PANEL ? left : RH_PANEL);
      t.b_term = wide ? RH_PANEL : panel_step(t.cols);
      t.b = (const real *)packed + j * terms;
      t.bias = bias ? (const real *)bias + j : NULL;
      const rh_tile_kind kind = wide ? TILE_WIDE : tile_kind(t.cols);
      for (int64_t p = 0; p < s->oh; p++) {
        const int64_t to = (image * s->oh + p) * s->ow * s->o + j;
        t.a = (const real *)x + (image * s->h + p * s->stride) * pitch;
        t.c = (real *)y + to;
        t.gate = gate ? gate + to : NULL;
        run_tiles(&t, s->ow, kind);
      }
    }
}
