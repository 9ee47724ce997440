/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fault.h"
#include "flow/flow_testing.h"
#include "flow/lock.h"

static wr_lock_ref ref(const char *path, char digit, int64_t version)
{
    wr_lock_ref r = {.path = path, .version = version};
    memset(r.hash, digit, WR_SHA256_HEX - 1);
    return r;
}

static void reopen_lock(wr_lock_file *l, place *t)
{
    wr_err err = {0};
    if (wr_lock_file_open(l, t->dir, &err) < 0) fail_msg("%s", err.msg);
}

static void test_round_trip(void **state)
{
    place *t = *state;
    static const char *const texts[] = {
        "plain",
        "with 'quotes' and \"more\"",
        "a: b # c",
        "- dash",
        "true",
        "007",
        "1e5",
        "2001-06-16",
        "trailing ",
        "null",
        "~",
        "tab\there",
        "\xc3\xbcml\xc3\xa4ut",
        "line\xe2\x80\xa8sep",
        "one\ntwo: x\n  indented",
        "{x: y}",
        "back\\slash\n\"q\"",
        "é\x01",
        "*a",
        "%d",
        "key:",
        "@x",
        "`x`",
        "!t",
        "|",
        ">",
        "y",
        "0x1F",
        "12:30",
    };
    wr_lock_file l;
    reopen_lock(&l, t);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%02zu", i);
        wr_lock_ref deps[] = {ref(texts[i][0] == 'o' ? "p" : texts[i], '1', -1), ref("data:x", 'e', 3)};
        wr_lock_param params[] = {
            {"params.yaml", "a.b", "0.1"}, {"params.yaml", "t", "\"x\\\"y\""}, {"z.yaml", "", "\"h\""}};
        wr_lock_stage s = {name, texts[i], deps, 2, params, 3, deps, 1};
        assert_int_equal(wr_lock_file_put(&l, &s, NULL), 0);
    }
    assert_int_equal(wr_lock_file_save(&l, t->dir, NULL, NULL), 0);
    const char *first = get(t, "weir.lock");
    wr_lock_file_close(&l);
    reopen_lock(&l, t);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%02zu", i);
        const wr_lock_stage *s = wr_lock_file_get(&l, name);
        assert_non_null(s);
        assert_string_equal(s->cmd, texts[i]);
        assert_int_equal(s->ndeps, 2);
        assert_string_equal(s->deps[0].path, texts[i][0] == 'o' ? "p" : texts[i]);
        assert_int_equal(s->deps[1].version, 3);
        assert_int_equal(s->nouts, 1);
        assert_int_equal(s->nparams, 3);
        assert_string_equal(s->params[0].value, "0.1");
        assert_string_equal(s->params[1].value, "\"x\\\"y\"");
        assert_string_equal(s->params[2].key, "");
    }
    assert_int_equal(wr_lock_file_save(&l, t->dir, NULL, NULL), 0);
    assert_string_equal(get(t, "weir.lock"), first); /* equal states, equal bytes */
    wr_lock_file_close(&l);
}

static void test_order_and_pruning(void **state)
{
    place *t = *state;
    wr_lock_file l;
    wr_map keep = {0};
    reopen_lock(&l, t);
    for (const char *n = "zam"; *n; n++) {
        char name[2] = {*n, 0};
        wr_lock_stage s = {.name = name, .cmd = "run"};
        assert_int_equal(wr_lock_file_put(&l, &s, NULL), 0);
    }
    assert_true(wr_map_put(&keep, WR_STR("a"), &l) >= 0 && wr_map_put(&keep, WR_STR("z"), &l) >= 0);
    assert_int_equal(wr_lock_file_save(&l, t->dir, &keep, NULL), 0);
    assert_non_null(strstr(get(t, "weir.lock"), "stages:\n  a:\n    cmd: run\n  z:\n    cmd: run\n"));
    wr_map_fini(&keep);
    wr_lock_file_close(&l);
}

static void test_broken(void **state)
{
    place *t = *state;
    static const struct {
        const char *text;
        int rc;
        const char *msg;
    } cases[] = {
        {"stages: {a: [", WEIR_EPARSE, NULL},
        {"<<<<<<< HEAD\nschema: '1.0'\n", WEIR_EPARSE, NULL},
        {"- x", WEIR_EPARSE, "weir.lock:1:1: not a lock file"},
        {"stages: {}", WEIR_EPARSE, "weir.lock:1:1: not a lock file: no schema"},
        {"schema: '9.0'\n", WEIR_EUNSUPPORTED, "weir.lock:1:9: schema \"9.0\" is not known; is it from a newer weir?"},
        {"schema: '1.0'\nstages: x", WEIR_EINVAL, "weir.lock:2:9: stages is a map"},
        {"schema: '1.0'\nstages: {a: x}", WEIR_EINVAL, "weir.lock:2:13: stage \"a\" is not a map"},
        {"schema: '1.0'\nstages: {a: {}}", WEIR_EINVAL, "weir.lock:2:13: cmd is missing"},
        {"schema: '1.0'\nstages: {a: {cmd: x, dep: y}}", WEIR_EINVAL,
         "weir.lock:2:22: unknown key \"dep\" in weir.lock"},
        {"schema: '1.0'\nstages: {a: {cmd: x, deps: [{path: y, hash: 12}]}}", WEIR_EINVAL,
         "weir.lock:2:29: path or hash is missing or damaged"},
        {"schema: '1.0'\nstages: {a: {cmd: x, params: [y]}}", WEIR_EINVAL, "weir.lock:2:30: params is a map of files"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wr_lock_file l;
        wr_err err = {0};
        put(t, "weir.lock", cases[i].text);
        int rc = wr_lock_file_open(&l, t->dir, &err);
        if (rc != cases[i].rc) fail_msg("%s: %d %s", cases[i].text, rc, err.msg);
        if (cases[i].msg) assert_string_equal(err.msg, cases[i].msg);
        assert_non_null(strstr(err.msg, "weir.lock"));
        assert_non_null(strstr(err.hint, "version control"));
        wr_lock_file_close(&l);
    }
    wr_lock_file l;
    put(t, "weir.lock", "");
    reopen_lock(&l, t);
    wr_lock_file_close(&l);
}

/* A save that fails at any step leaves the old file whole. */
static void test_atomic(void **state)
{
    place *t = *state;
    static const wr_fault_kind kinds[] = {WR_FAULT_WRITE, WR_FAULT_FSYNC, WR_FAULT_RENAME};
    wr_lock_file l;
    reopen_lock(&l, t);
    wr_lock_stage s = {.name = "a", .cmd = "old"};
    assert_int_equal(wr_lock_file_put(&l, &s, NULL), 0);
    assert_int_equal(wr_lock_file_save(&l, t->dir, NULL, NULL), 0);
    const char *old = get(t, "weir.lock");
    s.cmd = "new";
    assert_int_equal(wr_lock_file_put(&l, &s, NULL), 0);
    for (size_t k = 0; k < 3; k++) {
        wr_fault_arm(kinds[k], 1, false);
        assert_true(wr_lock_file_save(&l, t->dir, NULL, NULL) < 0);
        wr_fault_arm(kinds[k], 0, false);
        assert_string_equal(get(t, "weir.lock"), old);
    }
    assert_int_equal(wr_lock_file_save(&l, t->dir, NULL, NULL), 0);
    assert_non_null(strstr(get(t, "weir.lock"), "cmd: new"));
    wr_lock_file_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_order_and_pruning, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_broken, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_atomic, make_place, drop_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
