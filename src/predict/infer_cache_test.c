/* SPDX-License-Identifier: Apache-2.0 */
/* infer_cache_test.c - the response cache while many ask and models move: no answer of a model that was gone before it
 * was asked, no answer made of two models, memory within its bound, every answer counted as a hit or a miss. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "predict/infer.h"
#include "predict/predict_testing.h"
#include "predict/repository_inside.h"

enum { ASKERS = 4, SWAPS = 100, CACHE_BYTES = 64 << 10, COMMON = 24 };

typedef struct {
    wr_repository *r;
    const char *version;    /* NULL = the default one */
    atomic_int before, now; /* number of the model that is certainly in service; of the newest that may be */
    atomic_bool end;
    atomic_ulong asked, cached, old, early, mixed, failed;
} crowd;

typedef struct {
    crowd *c;
    unsigned seed;
} asker;

/* Row i of question q: some are asked by all again and again, the rest once, so that the cache has to make room. */
static void ask(asker *k, unsigned long n, wr_arena *a)
{
    crowd *c = k->c;
    float x[4], y[4];
    wr_instance *m;
    wr_infer_answer out;
    unsigned q = n % 3 ? (unsigned)(n * 7 + k->seed) % COMMON : 1000 + (unsigned)n * ASKERS + k->seed;
    for (int i = 0; i < 4; i++) x[i] = (float)(q * 4 + (unsigned)i), y[i] = (float)(q % 5);
    wr_tensor in[2] = {
        {.name = WR_STR("A"), .type = WR_TENSOR_FP32, .ndims = 2, .shape = {2, 2}, .count = 4, .data = x},
        {.name = WR_STR("B"), .type = WR_TENSOR_FP32, .ndims = 2, .shape = {2, 2}, .count = 4, .data = y}};
    wr_infer_request req = {.in = in, .nin = 2};
    int least = atomic_load(&c->before);
    wr_str version = c->version ? wr_str_of(c->version) : (wr_str){NULL, 0};
    bool good = wr_repository_take(&m, c->r, WR_STR("toy"), version, NULL) == 0;
    if (good && wr_infer(&out, m, &req, a, NULL) < 0) good = false;
    int most = atomic_load(&c->now);
    if (!good) {
        atomic_fetch_add(&c->failed, 1);
        return;
    }
    int n0 = (int)(((float *)out.out[0].data)[0] - x[0] - y[0]), n0_said = 0;
    char said[16];
    snprintf(said, sizeof said, "%.*s", WR_STR_FMT(wr_str_fit(((wr_str *)out.out[1].data)[0], 15)));
    bool same = sscanf(said, "%d", &n0_said) == 1 && n0_said == n0;
    for (int i = 0; i < 4; i++) same &= ((float *)out.out[0].data)[i] == x[i] + y[i] + (float)n0;
    atomic_fetch_add(&c->asked, 1);
    atomic_fetch_add(&c->cached, out.cached);
    atomic_fetch_add(&c->mixed, !same);
    atomic_fetch_add(&c->old, n0 < least);
    atomic_fetch_add(&c->early, n0 > most);
    wr_instance_give(m);
}

static void *asks(void *arg)
{
    asker *k = arg;
    wr_arena *a = wr_arena_new(0);
    for (unsigned long n = 0; !atomic_load(&k->c->end); n++) {
        ask(k, n, a);
        wr_arena_clear(a);
    }
    wr_arena_free(a);
    return NULL;
}

static void put(crowd *c, int n)
{
    wr_err err = {0};
    atomic_store(&c->now, n);
    if (wr_repository_put(c->r, "toy", "1", toy_new(n), WR_STR("{\"response_cache\": {\"enable\": true}}"), &err) < 0)
        fail_msg("%s", err.msg);
    atomic_store(&c->before, n);
}

static void check_memory(const crowd *c)
{
    wr_response_cache_stats s;
    wr_response_cache_stat(&s, c->r->cache);
    assert_in_range(s.bytes, 0, CACHE_BYTES);
}

static void start(pthread_t t[ASKERS], asker k[ASKERS], crowd *c)
{
    for (unsigned i = 0; i < ASKERS; i++) {
        k[i] = (asker){c, i};
        assert_int_equal(pthread_create(&t[i], NULL, asks, &k[i]), 0);
    }
}

static void finish(pthread_t t[ASKERS], crowd *c)
{
    atomic_store(&c->end, true);
    for (int i = 0; i < ASKERS; i++) pthread_join(t[i], NULL);
    assert_int_equal(atomic_load(&c->failed), 0);
    assert_int_equal(atomic_load(&c->old), 0);
    assert_int_equal(atomic_load(&c->early), 0);
    assert_int_equal(atomic_load(&c->mixed), 0);
}

static void models_that_move_leave_nothing_behind(void **state)
{
    crowd c = {0};
    asker k[ASKERS];
    pthread_t t[ASKERS];
    wr_response_cache_stats s;
    wr_instance *m;
    (void)state;
    wr_repository_opt opt = {.cache_bytes = CACHE_BYTES};
    assert_int_equal(wr_repository_open(&c.r, &opt, NULL), 0);
    put(&c, 1);
    start(t, k, &c);
    for (int n = 2; n < SWAPS; n++) {
        unsigned long asked = atomic_load(&c.asked) + 40; /* between two swaps there is time for hits */
        while (atomic_load(&c.asked) < asked && !atomic_load(&c.failed)) usleep(50);
        put(&c, n);
        check_memory(&c);
    }
    finish(t, &c);
    wr_response_cache_stat(&s, c.r->cache);
    assert_true(s.evictions > 0 && s.entries > 0);
    assert_int_equal(wr_repository_take(&m, c.r, WR_STR("toy"), (wr_str){NULL, 0}, NULL), 0);
    unsigned long asked = atomic_load(&c.asked), cached = atomic_load(&c.cached);
    assert_true(asked > SWAPS * 40 && cached > 0 && cached < asked);
    assert_int_equal(atomic_load(&m->stats->success.n), asked);
    assert_int_equal(atomic_load(&m->stats->cache_hit.n), cached);
    assert_int_equal(atomic_load(&m->stats->cache_miss.n), asked - cached);
    assert_int_equal(atomic_load(&m->stats->executions), asked - cached);
    assert_int_equal(atomic_load(&m->stats->inferences), 2 * (asked - cached));
    wr_instance_give(m);
    wr_repository_close(c.r);
    assert_int_equal(atomic_load(&toys), 0); /* what is kept holds no model */
}

static void write_toy(const char *dir, const char *version, int n)
{
    char path[400], text[32];
    snprintf(path, sizeof path, "%s/toy/%s", dir, version);
    assert_int_equal(wr_file_mkdirs(path, NULL), 0);
    snprintf(path, sizeof path, "%s/toy/%s/model.toy", dir, version);
    snprintf(text, sizeof text, "add %d", n);
    assert_int_equal(wr_file_write(path, wr_str_of(text), NULL), 0);
}

/* From a folder: version 1 stays as it is and is asked by its name, the default moves from version to version, and both
 * are asked the same. */
static void versions_do_not_answer_for_each_other(void **state)
{
    const char *tmp = getenv("TMPDIR");
    char dir[300], path[400], version[16];
    crowd c = {0}, fixed = {.version = "1"};
    asker k[2][ASKERS];
    pthread_t t[2][ASKERS];
    wr_err err = {0};
    (void)state;
    snprintf(dir, sizeof dir, "%s/weir-cache-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(dir));
    write_toy(dir, "1", 1);
    snprintf(path, sizeof path, "%s/toy/config.json", dir);
    assert_int_equal(
        wr_file_write(path, WR_STR("{\"response_cache\": {\"enable\": true}, \"version_policy\": {\"all\": {}}}"),
                      NULL),
        0);
    wr_repository_opt opt = {.dir = dir, .cache_bytes = CACHE_BYTES, .open = toy_open};
    assert_int_equal(wr_repository_open(&c.r, &opt, NULL), 0);
    if (wr_repository_load(c.r, WR_STR("toy"), (wr_str){NULL, 0}, &err) < 0) fail_msg("%s", err.msg);
    fixed.r = c.r;
    atomic_store(&fixed.before, 1), atomic_store(&fixed.now, 1);
    atomic_store(&c.before, 1), atomic_store(&c.now, 1);
    start(t[0], k[0], &c);
    start(t[1], k[1], &fixed);
    for (int n = 2; n < 25; n++) {
        unsigned long asked = atomic_load(&c.asked) + 40;
        while (atomic_load(&c.asked) < asked && !atomic_load(&c.failed)) usleep(50);
        snprintf(version, sizeof version, "%d", n);
        write_toy(dir, version, n);
        atomic_store(&c.now, n);
        if (wr_repository_load(c.r, WR_STR("toy"), (wr_str){NULL, 0}, &err) < 0) fail_msg("%s", err.msg);
        atomic_store(&c.before, n);
        check_memory(&c);
    }
    finish(t[0], &c);
    finish(t[1], &fixed);
    assert_true(atomic_load(&c.cached) > 0 && atomic_load(&fixed.cached) > 0);
    wr_repository_close(c.r);
    assert_int_equal(atomic_load(&toys), 0);
    assert_int_equal(wr_file_remove_tree(dir, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(models_that_move_leave_nothing_behind),
                                       cmocka_unit_test(versions_do_not_answer_for_each_other)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
