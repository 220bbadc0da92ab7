/* rheo-gemm-bench [--isa LEVEL] [--f64] [--turns N] [--ms M] [--only TEXT]: the products of the benchmark's networks, ours against libxsmm,
 * oneDNN and OpenBLAS (its kernels for this processor), on one thread. Turns are interleaved: each lets every contestant run for M ms on
 * its own copy of the shape; the best turn counts, by the thread's own clock. One line of JSON a shape, GFLOP/s; the first gives the fma
 * peak. */
#include <dlfcn.h>
#include <libxsmm.h>
#include <math.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "fma_peak.h"
#include "kernel/kernel.h"

/* c[rows, n] = a[rows, k] b[k, n], or with `gradient` c[k, n] = a[rows, k]' b[rows, n]; a's rows may be longer than k (a slice of a task).
 */
typedef struct shape {
  int gradient, rows, k, n, lda;
} shape;
static const shape shapes[] = {
    {0, 128, 512, 512, 512}, {0, 256, 512, 512, 512},  {0, 128, 32, 512, 32},   {0, 128, 512, 32, 512},   {0, 128, 512, 64, 512},
    {0, 256, 512, 64, 512},  {0, 256, 64, 512, 64},    {0, 128, 256, 256, 256}, {0, 256, 256, 256, 256},  {0, 128, 3, 256, 3},
    {0, 128, 256, 3, 256},   {0, 128, 256, 6, 256},    {0, 128, 6, 256, 6},     {0, 64, 64, 64, 64},      {0, 256, 64, 64, 64},
    {0, 64, 1, 64, 1},       {0, 64, 64, 2, 64},       {0, 64, 2, 64, 2},       {0, 64, 64, 1, 64},       {0, 128, 1024, 1024, 1024},
    {1, 128, 512, 512, 512}, {1, 1024, 512, 512, 512}, {1, 1024, 64, 512, 512}, {1, 1024, 128, 512, 512}, {1, 1024, 32, 512, 32},
    {1, 1024, 64, 64, 512},  {1, 1024, 512, 64, 512},  {1, 128, 512, 64, 512},  {1, 512, 256, 256, 256},  {1, 512, 64, 256, 256},
    {1, 128, 256, 256, 256}, {1, 512, 3, 256, 3},      {1, 512, 256, 6, 256},   {1, 512, 64, 6, 256},     {1, 256, 64, 64, 64},
    {1, 256, 1, 64, 1},      {1, 256, 64, 2, 64}};

typedef struct job {
  shape s;
  int bytes; /* of a number */
  const rh_kernels *kernels;
  void *a, *b, *packed, *c;
  libxsmm_smmfunction xsmm32;
  libxsmm_dmmfunction xsmm64;
  dnnl_primitive_t matmul;
  dnnl_exec_arg_t args[3];
} job;
typedef void cblas_sgemm_fn(int, int, int, int, int, int, float, const float *, int, const float *, int, float, float *, int);
typedef void cblas_dgemm_fn(int, int, int, int, int, int, double, const double *, int, const double *, int, double, double *, int);
static cblas_sgemm_fn *blas32;
static cblas_dgemm_fn *blas64;
static dnnl_engine_t engine;
static dnnl_stream_t stream;

static void die(const char *what) {
  fprintf(stderr, "rheo-gemm-bench: %s\n", what);
  exit(1);
}

static void run_ours(job *j) {
  const shape s = j->s;
  if (s.gradient)
    j->kernels->gemm_tn(s.k, s.n, s.rows, j->a, s.lda, j->b, s.n, j->c, s.n, 0);
  else
    j->kernels->gemm(s.rows, s.k, s.n, j->a, s.lda, j->packed, NULL, j->c, s.n, 0, RH_EPI_NONE, NULL);
}
static int has_ours(job *j) {
  return j->kernels != NULL;
}

/* libxsmm sees column-major matrices: c' = b' a'. */
static int has_xsmm(job *j) {
  const shape s = j->s;
  const int m = s.n, n = s.gradient ? s.k : s.rows, k = s.gradient ? s.rows : s.k, lda = s.n, ldb = s.lda, ldc = s.n;
  const int flags = s.gradient ? LIBXSMM_GEMM_FLAG_TRANS_B : 0;
  const float one32 = 1, zero32 = 0;
  const double one64 = 1, zero64 = 0;
  if (j->bytes == 4)
    j->xsmm32 = libxsmm_smmdispatch(m, n, k, &lda, &ldb, &ldc, &one32, &zero32, &flags, NULL);
  else
    j->xsmm64 = libxsmm_dmmdispatch(m, n, k, &lda, &ldb, &ldc, &one64, &zero64, &flags, NULL);
  return j->xsmm32 || j->xsmm64;
}
static void run_xsmm(job *j) {
  if (j->bytes == 4)
    j->xsmm32(j->b, j->a, j->c);
  else
    j->xsmm64(j->b, j->a, j->c);
}

static int has_sgemm(job *j) {
  return j->bytes == 4;
}
static void run_sgemm(job *j) {
  const shape s = j->s;
  if (s.gradient)
    dnnl_sgemm('T', 'N', s.k, s.n, s.rows, 1, j->a, s.lda, j->b, s.n, 0, j->c, s.n);
  else
    dnnl_sgemm('N', 'N', s.rows, s.n, s.k, 1, j->a, s.lda, j->b, s.n, 0, j->c, s.n);
}

static void *zeros(size_t bytes) {
  void *p = rh_alloc_zero(bytes + 64, 1);
  if (!p) die("no memory");
  return p;
}

/* oneDNN's matmul, the weights laid out as it likes. */
static int has_matmul(job *j) {
  const shape s = j->s;
  if (j->bytes != 4) return 0;
  const dnnl_dims_t da = {s.gradient ? s.k : s.rows, s.gradient ? s.rows : s.k}, db = {s.gradient ? s.rows : s.k, s.n}, dc = {da[0], s.n};
  dnnl_memory_desc_t ma, mb, mc, plain;
  dnnl_matmul_desc_t d;
  dnnl_primitive_desc_t pd, rpd;
  dnnl_primitive_t reorder;
  dnnl_memory_t a, b, c, from;
  const dnnl_dims_t steps = {s.gradient ? 1 : s.lda, s.gradient ? s.lda : 1};
  if (dnnl_memory_desc_init_by_strides(&ma, 2, da, dnnl_f32, steps) ||
      dnnl_memory_desc_init_by_tag(&mb, 2, db, dnnl_f32, s.gradient ? dnnl_ab : dnnl_format_tag_any) ||
      dnnl_memory_desc_init_by_tag(&plain, 2, db, dnnl_f32, dnnl_ab) || dnnl_memory_desc_init_by_tag(&mc, 2, dc, dnnl_f32, dnnl_ab) ||
      dnnl_matmul_desc_init(&d, &ma, &mb, NULL, &mc) || dnnl_primitive_desc_create(&pd, &d, NULL, engine, NULL) ||
      dnnl_primitive_create(&j->matmul, pd))
    return 0;
  const dnnl_memory_desc_t *chosen = dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
  if (dnnl_memory_create(&a, &ma, engine, j->a) || dnnl_memory_create(&from, &plain, engine, j->b) ||
      dnnl_memory_create(&b, chosen, engine, zeros(dnnl_memory_desc_get_size(chosen))) || dnnl_memory_create(&c, &mc, engine, j->c) ||
      dnnl_reorder_primitive_desc_create(&rpd, &plain, engine, chosen, engine, NULL) || dnnl_primitive_create(&reorder, rpd))
    return 0;
  const dnnl_exec_arg_t moves[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, b}};
  if (dnnl_primitive_execute(reorder, stream, 2, moves)) return 0;
  j->args[0] = (dnnl_exec_arg_t){DNNL_ARG_SRC, a};
  j->args[1] = (dnnl_exec_arg_t){DNNL_ARG_WEIGHTS, b};
  j->args[2] = (dnnl_exec_arg_t){DNNL_ARG_DST, c};
  return 1;
}
static void run_matmul(job *j) {
  dnnl_primitive_execute(j->matmul, stream, 3, j->args);
}

static int has_blas(job *j) {
  return j->bytes == 4 ? blas32 != NULL : blas64 != NULL;
}
static void run_blas(job *j) {
  enum { ROW_MAJOR = 101, PLAIN = 111, TRANSPOSED = 112 };
  const shape s = j->s;
  const int ta = s.gradient ? TRANSPOSED : PLAIN, m = s.gradient ? s.k : s.rows, k = s.gradient ? s.rows : s.k;
  if (j->bytes == 4)
    blas32(ROW_MAJOR, ta, PLAIN, m, s.n, k, 1, j->a, s.lda, j->b, s.n, 0, j->c, s.n);
  else
    blas64(ROW_MAJOR, ta, PLAIN, m, s.n, k, 1, j->a, s.lda, j->b, s.n, 0, j->c, s.n);
}

static const struct contestant {
  const char *name;
  int (*has)(job *);
  void (*run)(job *);
} contestants[] = {{"rheo", has_ours, run_ours},
                   {"libxsmm", has_xsmm, run_xsmm},
                   {"onednn_sgemm", has_sgemm, run_sgemm},
                   {"onednn_matmul", has_matmul, run_matmul},
                   {"openblas", has_blas, run_blas}};
enum { CONTESTANTS = sizeof contestants / sizeof *contestants };

static void fill(job *j, void *p, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    const double x = (double)((i * 7919) % 1009) / 1009 - 0.5;
    if (j->bytes == 4)
      ((float *)p)[i] = (float)x;
    else
      ((double *)p)[i] = x;
  }
}

static void prepare(job *j) {
  const shape s = j->s;
  const int64_t na = (int64_t)s.rows * s.lda, nb = (int64_t)(s.gradient ? s.rows : s.k) * s.n,
                nc = (int64_t)(s.gradient ? s.k : s.rows) * s.n;
  j->a = zeros((size_t)na * (size_t)j->bytes);
  j->b = zeros((size_t)nb * (size_t)j->bytes);
  j->c = zeros((size_t)nc * (size_t)j->bytes);
  fill(j, j->a, na);
  fill(j, j->b, nb);
  if (s.gradient) return;
  j->packed = zeros((size_t)j->kernels->pack_count(s.k, s.n) * (size_t)j->bytes);
  j->kernels->pack(s.k, s.n, j->b, s.n, 1, j->packed, 0, (s.n + j->kernels->panel - 1) / j->kernels->panel);
}

/* This thread's time: what others take from the processor does not count. */
static double thread_time(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void measure(shape s, const rh_kernels *kernels, int turns, double seconds, double peak) {
  job jobs[CONTESTANTS] = {0};
  double best[CONTESTANTS] = {0};
  int has[CONTESTANTS];
  const double flop = 2.0 * s.rows * s.k * s.n;
  for (int i = 0; i < CONTESTANTS; i++) {
    jobs[i] = (job){.s = s, .bytes = kernels->real_bytes, .kernels = kernels};
    prepare(&jobs[i]);
    has[i] = contestants[i].has(&jobs[i]);
  }
  for (int turn = 0; turn < turns; turn++)
    for (int i = 0; i < CONTESTANTS; i++) {
      if (!has[i]) continue;
      int64_t calls = 0, batch = 1 + (int64_t)(2e6 / flop);
      const double begin = thread_time();
      double now = begin;
      for (; now - begin < seconds; calls += batch, now = thread_time())
        for (int64_t c = 0; c < batch; c++) contestants[i].run(&jobs[i]);
      best[i] = fmax(best[i], (double)calls * flop / (now - begin) * 1e-9);
    }
  double rival = 0;
  printf("{\"product\": \"%s\", \"rows\": %d, \"k\": %d, \"n\": %d, \"lda\": %d", s.gradient ? "gradient" : "row", s.rows, s.k, s.n, s.lda);
  for (int i = 0; i < CONTESTANTS; i++) {
    if (has[i]) printf(", \"%s\": %.1f", contestants[i].name, best[i]);
    if (i && has[i]) rival = fmax(rival, best[i]);
  }
  printf(", \"over_best\": %.2f, \"peak_share\": %.2f}\n", rival > 0 ? best[0] / rival : 0, best[0] / peak);
  fflush(stdout);
  for (int i = 0; i < CONTESTANTS; i++) rh_free(jobs[i].a), rh_free(jobs[i].b), rh_free(jobs[i].c), rh_free(jobs[i].packed);
}

static void load_rivals(void) {
  void *blas = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
  if (!blas) fprintf(stderr, "rheo-gemm-bench: %s; going on without it\n", dlerror());
  if (blas) {
    *(void **)&blas32 = dlsym(blas, "cblas_sgemm");
    *(void **)&blas64 = dlsym(blas, "cblas_dgemm");
  }
  libxsmm_init();
  if (dnnl_engine_create(&engine, dnnl_cpu, 0) || dnnl_stream_create(&stream, engine, dnnl_stream_default_flags))
    die("oneDNN has no engine");
}

int main(int argc, char **argv) {
  const char *isa = NULL, *only = "";
  int turns = 20, bytes = 4;
  double ms = 2;
  if (!getenv("OMP_NUM_THREADS")) { /* libraries read it when they are loaded: start again with it */
    setenv("OMP_NUM_THREADS", "1", 1);
    setenv("OPENBLAS_NUM_THREADS", "1", 1);
#if defined __x86_64__ /* OpenBLAS mistakes processors of virtual machines for far older ones */
    setenv("OPENBLAS_CORETYPE", __builtin_cpu_supports("avx512f") ? "SkylakeX" : "Haswell", 1);
#endif
    execv("/proc/self/exe", argv);
  }
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--f64"))
      bytes = 8;
    else if (i + 1 == argc)
      die("usage: [--isa v4|v3|base|ref] [--f64] [--turns N] [--ms M] [--only TEXT]");
    else if (!strcmp(argv[i], "--isa"))
      isa = argv[++i];
    else if (!strcmp(argv[i], "--turns"))
      turns = atoi(argv[++i]);
    else if (!strcmp(argv[i], "--ms"))
      ms = atof(argv[++i]);
    else if (!strcmp(argv[i], "--only"))
      only = argv[++i];
    else
      die("unknown option");
  }
  const rh_kernels *kernels;
  if (rh_kernels_get(isa, bytes, &kernels)) die(rh_last_error());
  const double peak = rh_peak_gflops(rh_peak_find(isa && !strcmp(isa, "ref") ? "base" : isa), 0.2) * 4 / bytes;
  printf("{\"isa\": \"%s\", \"real_bytes\": %d, \"fma_peak\": %.1f}\n", kernels->isa, bytes, peak);
  load_rivals();
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    char name[64];
    snprintf(name, sizeof name, "%s-%dx%dx%d", shapes[i].gradient ? "gradient" : "row", shapes[i].rows, shapes[i].k, shapes[i].n);
    if (strstr(name, only)) measure(shapes[i], kernels, turns, ms * 1e-3, peak);
  }
  return 0;
}
