/* A small pool of POSIX threads. rh_pool_run runs one function on every thread of the pool, the caller being thread 0;
 * inside, rh_pool_barrier separates phases and rh_pool_next hands out task numbers. Which thread gets which task is left open:
 * nothing computed may depend on it. */
#ifndef RH_BASE_THREADS_H
#define RH_BASE_THREADS_H
#include <stdint.h>

#include "base/status.h"

typedef struct rh_pool rh_pool;

int rh_cpu_count(void);                                               /* usable CPUs of this process, at least 1 */
rh_status rh_pool_create(int threads, rh_pool **pool) RH_WARN_UNUSED; /* threads in [1, 1024]; 0 = rh_cpu_count() */
void rh_pool_destroy(rh_pool *pool);                                  /* NULL is fine */
int rh_pool_threads(const rh_pool *pool);

/* body(arg, thread) on every thread, thread in [0, threads); returns when all are done. Not reentrant. No allocation. */
void rh_pool_run(rh_pool *pool, void (*body)(void *arg, int thread), void *arg);

/* Only inside a body: wait for all threads. Resets the task counter. */
void rh_pool_barrier(rh_pool *pool);
/* Only inside a body: the next task number of this phase (0, 1, 2, ...; each handed out once). The caller stops at its count;
 * a barrier must separate two phases. */
int64_t rh_pool_next(rh_pool *pool);
#endif
