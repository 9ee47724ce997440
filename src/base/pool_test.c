/* SPDX-License-Identifier: Apache-2.0 */
/* pool_test.c - every index once, concurrent callers, posts, nesting, sleeping. Run it under ThreadSanitizer too. */
#include "base/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/os.h"

/* Runs `act` in a child with stderr closed; how the child ended. */
static int ends(void (*act)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(STDERR_FILENO);
        act();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

enum { MANY = 30000 };

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static void mark(void *ctx, size_t i)
{
    ((unsigned char *)ctx)[i]++; /* not atomic: an index belongs to one thread, and the end of the for orders it */
}

static void check_for(wr_pool *p)
{
    static unsigned char seen[MANY];
    const size_t sizes[] = {0, 1, 2, 3, 17, 256, 1000, MANY};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        for (size_t i = 0; i < MANY; i++) seen[i] = 0;
        wr_pool_for(p, sizes[s], mark, seen);
        for (size_t i = 0; i < MANY; i++) {
            if (seen[i] != (i < sizes[s])) fail_msg("index %zu of %zu ran %d times", i, sizes[s], seen[i]);
        }
    }
}

static void test_each_index_once(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 5; threads++) {
        wr_pool *p = wr_pool_new(threads);
        assert_int_equal(wr_pool_threads(p), threads);
        check_for(p);
        wr_pool_free(p);
    }
}

static void test_null_pool(void **state)
{
    (void)state;
    assert_int_equal(wr_pool_threads(NULL), 1);
    check_for(NULL);
    unsigned char seen[3] = {0};
    assert_int_equal(wr_pool_post(NULL, mark, seen, 2), 0);
    assert_int_equal(seen[2], 1); /* at once */
    wr_pool_free(NULL);
}

static void test_thread_counts(void **state)
{
    (void)state;
    wr_pool *p = wr_pool_new(0);
    assert_int_equal(wr_pool_threads(p), wr_os_cpus());
    wr_pool_free(p);
    p = wr_pool_new(1); /* no worker: posts run at once */
    unsigned char seen[1] = {0};
    assert_int_equal(wr_pool_post(p, mark, seen, 0), 0);
    assert_int_equal(seen[0], 1);
    wr_pool_free(p);
}

static void *caller(void *arg)
{
    for (int round = 0; round < 100; round++) {
        unsigned char seen[200] = {0};
        wr_pool_for(arg, sizeof seen, mark, seen);
        for (size_t i = 0; i < sizeof seen; i++) {
            if (seen[i] != 1) return "an index did not run once";
        }
    }
    return NULL;
}

static void test_concurrent_callers(void **state)
{
    (void)state;
    wr_pool *p = wr_pool_new(3);
    pthread_t t[3];
    for (int i = 0; i < 3; i++) assert_int_equal(pthread_create(&t[i], NULL, caller, p), 0);
    for (int i = 0; i < 3; i++) {
        void *complaint;
        pthread_join(t[i], &complaint);
        assert_null(complaint);
    }
    wr_pool_free(p);
}

static void add_index(void *ctx, size_t i) { atomic_fetch_add((atomic_size_t *)ctx, i); }

static void test_posts_run_before_free(void **state)
{
    (void)state;
    atomic_size_t sum = 0;
    wr_pool *p = wr_pool_new(3);
    for (size_t i = 1; i <= 1000; i++) assert_int_equal(wr_pool_post(p, add_index, &sum, i), 0);
    wr_pool_free(p);
    assert_int_equal(sum, 500500);
}

typedef struct {
    wr_pool *pool;
    atomic_size_t ran;
} chain;

static void post_next(void *ctx, size_t left)
{
    chain *c = ctx;
    c->ran++;
    if (left && wr_pool_post(c->pool, post_next, c, left - 1) < 0) c->ran += 1000000;
}

static void test_post_from_task(void **state)
{
    (void)state;
    chain c = {.pool = wr_pool_new(2)};
    assert_int_equal(wr_pool_post(c.pool, post_next, &c, 99), 0);
    wr_pool_free(c.pool); /* while the chain is running: its posts count too */
    assert_int_equal(c.ran, 100);
}

static void wait_for_flag(void *ctx, size_t i)
{
    (void)i;
    while (!atomic_load((atomic_int *)ctx)) pause_ms(1);
}

/* All workers are busy with long posts: a for still ends, since its caller works. */
static void test_for_behind_long_posts(void **state)
{
    (void)state;
    atomic_int flag = 0;
    wr_pool *p = wr_pool_new(3);
    for (size_t i = 0; i < 4; i++) assert_int_equal(wr_pool_post(p, wait_for_flag, &flag, i), 0);
    check_for(p);
    flag = 1;
    wr_pool_free(p);
}

static void meet(void *ctx, size_t i)
{
    (void)i;
    atomic_fetch_sub((atomic_int *)ctx, 1);
    for (int ms = 0; atomic_load((atomic_int *)ctx) > 0 && ms < 10000; ms++) pause_ms(1);
}

static void test_runs_in_parallel(void **state)
{
    (void)state;
    atomic_int missing = 3; /* three tasks that wait for each other need three threads */
    wr_pool *p = wr_pool_new(3);
    wr_pool_for(p, 3, meet, &missing);
    assert_int_equal(missing, 0);
    wr_pool_free(p);
}

static void run_for(void *ctx, size_t i)
{
    (void)i;
    unsigned char seen[64] = {0};
    wr_pool_for(ctx, sizeof seen, mark, seen);
    for (size_t k = 0; k < sizeof seen; k++) WR_BUG_IF(seen[k] != 1);
}

static void nest(void)
{
    wr_pool *p = wr_pool_new(2);
    wr_pool_for(p, 4, run_for, p);
}

static void nest_without_workers(void)
{
    wr_pool *p = wr_pool_new(1);
    wr_pool_for(p, 1, run_for, p);
}

static wr_pool *outer;
static void back_to_outer(void *ctx, size_t i)
{
    (void)ctx;
    (void)i;
    wr_pool_for(outer, 1, run_for, NULL);
}
static void through_other(void *ctx, size_t i)
{
    (void)i;
    wr_pool_for(ctx, 1, back_to_outer, NULL);
}

static void nest_through_other(void)
{
    outer = wr_pool_new(1);
    wr_pool_for(outer, 1, through_other, wr_pool_new(1));
}

static void test_nested_is_a_bug(void **state)
{
    (void)state;
    void (*const acts[])(void) = {nest, nest_without_workers, nest_through_other};
    for (int i = 0; i < 3; i++) {
        int status = ends(acts[i]);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
}

static void test_other_pools_may_nest(void **state)
{
    (void)state;
    wr_pool *a = wr_pool_new(3), *b = wr_pool_new(2);
    wr_pool_for(a, 50, run_for, b);
    wr_pool_for(a, 50, run_for, NULL);
    wr_pool_for(b, 50, run_for, a); /* and the mark is gone afterwards */
    wr_pool_free(a);
    wr_pool_free(b);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    for (long n = 1; n <= 2; n++) {
        wr_fault_arm(WR_FAULT_ALLOC, n, false);
        assert_null(wr_pool_new(3));
    }
    wr_fault_arm(WR_FAULT_ALLOC, 0, false);
    wr_pool *p = wr_pool_new(2);
    unsigned char seen[2] = {0};
    wr_fault_arm(WR_FAULT_ALLOC, 1, true);
    assert_int_equal(wr_pool_post(p, mark, seen, 0), WEIR_ENOMEM);
    wr_pool_for(p, 2, mark, seen); /* needs no memory */
    wr_fault_arm(WR_FAULT_ALLOC, 0, false);
    assert_int_equal(seen[0] * 10 + seen[1], 11);
    wr_pool_free(p);
}

static void test_idle_workers_sleep(void **state)
{
    (void)state;
    wr_pool *p = wr_pool_new(4);
    check_for(p);
    pause_ms(5);
    double before = wr_clock_cpu_s();
    pause_ms(100);
    assert_true(wr_clock_cpu_s() - before < 0.05);
    wr_pool_free(p);
}

static void test_signals_stay_out(void **state)
{
    (void)state;
    sigset_t before, after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    wr_pool *p = wr_pool_new(3);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int s = 1; s < 32; s++) assert_int_equal(sigismember(&before, s), sigismember(&after, s));
    wr_pool_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_index_once),       cmocka_unit_test(test_null_pool),
        cmocka_unit_test(test_thread_counts),         cmocka_unit_test(test_concurrent_callers),
        cmocka_unit_test(test_posts_run_before_free), cmocka_unit_test(test_post_from_task),
        cmocka_unit_test(test_for_behind_long_posts), cmocka_unit_test(test_runs_in_parallel),
        cmocka_unit_test(test_nested_is_a_bug),       cmocka_unit_test(test_other_pools_may_nest),
        cmocka_unit_test(test_out_of_memory),         cmocka_unit_test(test_idle_workers_sleep),
        cmocka_unit_test(test_signals_stay_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
