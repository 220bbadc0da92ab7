#define _GNU_SOURCE /* sched_getaffinity */
#include "base/threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

#include "base/memory.h"

/* Waiting spins a little, then sleeps: short phases stay fast, and more threads than CPUs still make progress. */
enum { SPINS = 4000 };

struct rh_pool {
  int threads;
  pthread_t *handle;
  pthread_mutex_t lock;
  pthread_cond_t wake;
  void (*body)(void *, int);
  void *arg;
  bool spin;
  _Alignas(64) atomic_uint start;    /* counts runs; a worker waits for it to change */
  _Alignas(64) atomic_uint arrived;  /* threads at the present barrier */
  _Alignas(64) atomic_uint phase;    /* counts barriers passed */
  _Alignas(64) _Atomic int64_t next; /* task counter of the phase */
  atomic_bool quit;
};

struct worker_arg {
  rh_pool *pool;
  int thread;
};

int rh_cpu_count(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
  const long n = sysconf(_SC_NPROCESSORS_ONLN);
  return n > 0 ? (int)n : 1;
}

static void pause_cpu(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

/* Wait until *word differs from `old`. */
static void wait_change(rh_pool *pool, atomic_uint *word, unsigned old) {
  for (int i = 0; pool->spin && i < SPINS; i++) {
    if (atomic_load_explicit(word, memory_order_acquire) != old) return;
    pause_cpu();
  }
  pthread_mutex_lock(&pool->lock);
  while (atomic_load_explicit(word, memory_order_acquire) == old) pthread_cond_wait(&pool->wake, &pool->lock);
  pthread_mutex_unlock(&pool->lock);
}

static void advance(rh_pool *pool, atomic_uint *word) {
  pthread_mutex_lock(&pool->lock); /* a sleeper checks under the lock, so no wake-up is lost */
  atomic_fetch_add_explicit(word, 1, memory_order_acq_rel);
  pthread_cond_broadcast(&pool->wake);
  pthread_mutex_unlock(&pool->lock);
}

void rh_pool_barrier(rh_pool *pool) {
  if (pool->threads == 1) {
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    return;
  }
  const unsigned phase = atomic_load_explicit(&pool->phase, memory_order_acquire);
  if (atomic_fetch_add_explicit(&pool->arrived, 1, memory_order_acq_rel) + 1 == (unsigned)pool->threads) {
    atomic_store_explicit(&pool->arrived, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    advance(pool, &pool->phase);
  } else {
    wait_change(pool, &pool->phase, phase);
  }
}

int64_t rh_pool_next(rh_pool *pool) {
  return atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
}

static void *worker(void *raw) {
  const struct worker_arg arg = *(struct worker_arg *)raw;
  rh_free(raw);
  rh_pool *pool = arg.pool;
  unsigned seen = 0;
  for (;;) {
    wait_change(pool, &pool->start, seen++);
    if (atomic_load(&pool->quit)) return NULL;
    pool->body(pool->arg, arg.thread);
    rh_pool_barrier(pool);
  }
}

void rh_pool_run(rh_pool *pool, void (*body)(void *, int), void *arg) {
  pool->body = body;
  pool->arg = arg;
  atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
  if (pool->threads > 1) advance(pool, &pool->start);
  body(arg, 0);
  rh_pool_barrier(pool);
}

int rh_pool_threads(const rh_pool *pool) {
  return pool->threads;
}

void rh_pool_destroy(rh_pool *pool) {
  if (!pool) return;
  if (pool->threads > 1) {
    atomic_store(&pool->quit, true);
    advance(pool, &pool->start);
    for (int i = 1; i < pool->threads; i++) pthread_join(pool->handle[i], NULL);
  }
  pthread_cond_destroy(&pool->wake);
  pthread_mutex_destroy(&pool->lock);
  rh_free(pool->handle);
  rh_free(pool);
}

rh_status rh_pool_create(int threads, rh_pool **out) {
  if (threads == 0) threads = rh_cpu_count();
  if (threads < 1 || threads > 1024) return rh_fail(RH_E_ARGUMENT, "threads must be 1 to 1024, not %d", threads);
  rh_pool *pool = rh_alloc_zero(1, sizeof *pool);
  if (!pool) return RH_E_MEMORY;
  pool->threads = 1; /* grows as workers start, so that a failure can destroy what there is */
  pool->spin = threads <= rh_cpu_count();
  pool->handle = rh_alloc_zero((size_t)threads, sizeof *pool->handle);
  pthread_mutex_init(&pool->lock, NULL);
  pthread_cond_init(&pool->wake, NULL);
  rh_status status = pool->handle ? RH_OK : RH_E_MEMORY;
  for (int i = 1; i < threads && status == RH_OK; i++) {
    struct worker_arg *arg = rh_alloc(sizeof *arg);
    if (!arg) {
      status = RH_E_MEMORY;
      break;
    }
    *arg = (struct worker_arg){pool, i};
    if (pthread_create(&pool->handle[i], NULL, worker, arg) != 0) {
      rh_free(arg);
      status = rh_fail(RH_E_MEMORY, "thread %d of %d could not be started", i + 1, threads);
      break;
    }
    pool->threads = i + 1;
  }
  if (status != RH_OK) {
    rh_pool_destroy(pool);
    return status;
  }
  *out = pool;
  return RH_OK;
}
