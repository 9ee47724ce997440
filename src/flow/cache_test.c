/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/cache.h"
#include "flow/flow_testing.h"

static wr_pipeline *parsed(place *t, const char *text)
{
    wr_yaml *y;
    wr_pipeline *pl;
    wr_err err = {0};
    if (wr_yaml_parse(&y, t->a, wr_str_of(wr_arena_strdup(t->a, text)), "weir.yaml", &err) < 0) fail_msg("%s", err.msg);
    if (wr_pipeline_parse(&pl, y, t->dir, NULL, 0, &err) < 0) fail_msg("%s", err.msg);
    return pl;
}

static void test_able(void **state)
{
    WR_AUTOPIPELINE wr_pipeline *pl =
        parsed(*state, "stages:\n"
                       "  yes: {cmd: x, deps: [a], outs: [b]}\n"
                       "  by_param: {cmd: x, params: [p], metrics: [c]}\n"
                       "  no_deps: {cmd: x, outs: [d]}\n"
                       "  no_outs: {cmd: x, deps: [a]}\n"
                       "  always: {cmd: x, deps: [a], outs: [e], always_changed: true}\n"
                       "  persist: {cmd: x, deps: [a], outs: [{f: {persist: true}}]}\n"
                       "  unkept: {cmd: x, deps: [a], outs: [g], metrics: [{h: {cache: false}}]}\n");
    for (size_t i = 0; i < pl->n; i++) assert_int_equal(wr_cache_able(&pl->stages[i]), i < 2);
}

static const char *key(place *t, const wr_stage *s, const wr_lock_stage *now)
{
    char k[WR_SHA256_HEX];
    assert_int_equal(wr_cache_key(k, s, now, NULL), 0);
    return wr_arena_strdup(t->a, k);
}

/* Each part of the key counts, and parts cannot be shifted into each other. */
static void test_key(void **state)
{
    place *t = *state;
    WR_AUTOPIPELINE wr_pipeline *pl = parsed(t, "stages:\n"
                                                "  a: {cmd: x, deps: [d], outs: [o]}\n"
                                                "  b: {cmd: y, deps: [d], outs: [p]}\n"
                                                "  c: {cmd: x, deps: [d], outs: [p2]}\n"
                                                "  d: {cmd: x, wdir: w, deps: [../d], outs: [../o2]}\n");
    wr_lock_ref dep = {.path = "d", .hash = "1"}, two[] = {{.path = "d", .hash = "1"}, {.path = "e", .hash = "2"}};
    wr_lock_param param = {"params.yaml", "k", "1"}, other = {"params.yaml", "k", "2"};
    wr_lock_stage now[] = {
        {.deps = &dep, .ndeps = 1},
        {.deps = two, .ndeps = 2},
        {.deps = &dep, .ndeps = 1, .params = &param, .nparams = 1},
        {.deps = &dep, .ndeps = 1, .params = &other, .nparams = 1},
        {0},
    };
    const char *keys[16];
    size_t n = 0;
    for (size_t i = 0; i < 5; i++) keys[n++] = key(t, &pl->stages[0], &now[i]);
    for (size_t i = 1; i < 4; i++) keys[n++] = key(t, &pl->stages[i], &now[0]);
    for (size_t i = 0; i < n; i++)
        for (size_t k = i + 1; k < n; k++) assert_string_not_equal(keys[i], keys[k]);
    assert_string_equal(keys[0], key(t, &pl->stages[0], &now[0]));
}

static void test_entries(void **state)
{
    place *t = *state;
    reopen(t);
    WR_AUTOPIPELINE wr_pipeline *pl = parsed(t, "stages: {a: {cmd: x, deps: [d], outs: [data:t, o]}}");
    const wr_stage *s = &pl->stages[0];
    char k[WR_SHA256_HEX];
    wr_lock_stage now = {0};
    wr_lock_ref outs[2] = {{.path = "data:t", .version = 7}, {.path = "o", .version = -1}}, *got;
    memset(outs[0].hash, 'a', 64);
    memset(outs[1].hash, 'b', 64);
    assert_int_equal(wr_cache_key(k, s, &now, NULL), 0);
    assert_int_equal(wr_cache_get(&got, t->a, t->p, s, k, NULL), 0);
    assert_int_equal(wr_cache_put(t->p, s, k, outs, "run", NULL), 0);
    assert_int_equal(wr_cache_get(&got, t->a, t->p, s, k, NULL), 1);
    assert_string_equal(got[0].path, "data:t");
    assert_int_equal(got[0].version, 7);
    assert_string_equal(got[1].hash, outs[1].hash);
    const char *file = wr_arena_printf(t->a, ".weir/cache/runs/%.2s/%s", k, k);
    static const char *const bad[] = {
        "", "{", "[]", "{\"outs\": []}", "{\"outs\": [1, 2]}", "{\"outs\": [{\"path\": \"x\", \"hash\": \"1\"}, {}]}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) { /* damaged: as if there were none */
        put(t, file, bad[i]);
        assert_int_equal(wr_cache_get(&got, t->a, t->p, s, k, NULL), 0);
    }
    memset(outs[0].hash, 'c', 64);
    assert_int_equal(wr_cache_put(t->p, s, k, outs, "run", NULL), 0); /* the newest wins */
    assert_int_equal(wr_cache_get(&got, t->a, t->p, s, k, NULL), 1);
    assert_string_equal(got[0].hash, outs[0].hash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_able, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_key, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_entries, make_place, drop_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
