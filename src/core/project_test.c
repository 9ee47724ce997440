/* SPDX-License-Identifier: Apache-2.0 */
/* project_test.c - making a project, finding it from below, and what weir.yaml may say. */
#include "core/core_testing.h"

#include <pthread.h>

#include "base/fault.h"

static void test_init(void **state)
{
    place *s = *state;
    OK(wr_file_mkdirs(at(s, "new"), &s->err));
    OK(wr_project_init(at(s, "new/deep"), &s->err));
    const char *config = get(s, "new/deep/weir.yaml");
    assert_non_null(config);
    SAYS("# stages:", config);
    assert_string_equal(get(s, "new/deep/.weir/.gitignore"), "*\n");
    wr_project *p;
    const wr_yaml *y;
    OK(wr_project_open(&p, at(s, "new/deep"), &s->err));
    OK(wr_project_config(&y, p, &s->err)); /* what init wrote is valid */
    assert_int_equal(y->n, 0);
    wr_project_close(p);
}

static void test_init_twice(void **state)
{
    place *s = *state;
    OK(wr_project_init(at(s, "new"), &s->err));
    put(s, "new/weir.yaml", "carbon: {region: DEU}\n");
    put(s, "new/.weir/.gitignore", "mine\n");
    FAILS(WEIR_EEXIST, wr_project_init(at(s, "new"), &s->err));
    SAYS("is a project already", s->err.msg);
    assert_true(s->err.hint[0]);
    assert_string_equal(get(s, "new/weir.yaml"), "carbon: {region: DEU}\n");
    assert_string_equal(get(s, "new/.weir/.gitignore"), "mine\n");
}

/* Every write, fsync and rename fails once: afterwards there is no weir.yaml, or a whole one. */
static void test_init_faults(void **state)
{
    place *s = *state;
    for (int kind = WR_FAULT_WRITE; kind <= WR_FAULT_RENAME; kind++) {
        int failed = 0;
        for (int nth = 1;; nth++) {
            const char *dir = wr_arena_printf(s->a, "%s/f%d-%d", s->dir, kind, nth);
            wr_fault_arm((wr_fault_kind)kind, nth, false);
            int rc = wr_project_init(dir, &s->err);
            bool fired = wr_fault_fired((wr_fault_kind)kind);
            wr_fault_arm((wr_fault_kind)kind, 0, false);
            if (!fired) break;
            failed += rc < 0;
            const char *config = wr_path_join(s->a, dir, "weir.yaml");
            if (wr_file_exists(config)) assert_true(wr_file_size(config) > 300);
            rc = wr_project_init(dir, NULL);
            assert_true(rc == 0 || rc == WEIR_EEXIST);
        }
        if (kind != WR_FAULT_RENAME) assert_true(failed >= 2);
    }
}

static void test_found_from_below(void **state)
{
    place *s = *state;
    wr_project *p;
    put(s, "a/b/file", "");
    OK(wr_project_open(&p, at(s, "a/b"), &s->err));
    assert_string_equal(wr_project_root(p), s->dir);
    wr_project_close(p);
    /* the nearest one counts, and a folder with .weir alone is one too */
    OK(wr_file_mkdirs(at(s, "a/.weir"), &s->err));
    OK(wr_project_open(&p, at(s, "a/b/."), &s->err));
    assert_string_equal(wr_project_root(p), at(s, "a"));
    wr_project_close(p);
}

static void test_none(void **state)
{
    place *s = *state;
    wr_project *p;
    FAILS(WEIR_ENOTFOUND, wr_project_open(&p, "/", &s->err));
    SAYS("no project", s->err.msg);
    SAYS("weir init", s->err.hint);
    /* a mistyped folder below a project must not open the project */
    FAILS(WEIR_ENOTFOUND, wr_project_open(&p, at(s, "typo"), &s->err));
    SAYS("there is no folder", s->err.msg);
    FAILS(WEIR_ENOTFOUND, wr_project_open(&p, at(s, "weir.yaml"), &s->err));
}

static int config_of(place *s, const char *text)
{
    const wr_yaml *y;
    put(s, "weir.yaml", text);
    reopen(s);
    s->err = (wr_err){0};
    return wr_project_config(&y, s->p, &s->err);
}

static void test_config_errors(void **state)
{
    place *s = *state;
    static const struct {
        const char *text;
        int code;
        const char *says, *hint;
    } cases[] = {
        {"vars: {}\n\n  \nstagse: {}\n", WEIR_EINVAL, "weir.yaml:4:1: unknown key \"stagse\"", "\"stages\""},
        {"- a\n- b\n", WEIR_EPARSE, "weir.yaml:1:1: a project file is a map", ""},
        {"just text\n", WEIR_EPARSE, "weir.yaml:1:1:", ""},
        {"stages: {a: [}\n", WEIR_EPARSE, "weir.yaml:1:", ""},
        {"vars: {a: 1}\nvars: {b: 2}\n", WEIR_EPARSE, "weir.yaml:2:1:", ""},
        {"something_else: 1\n", WEIR_EINVAL, "weir.yaml:1:1: unknown key", "known keys: stages"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(config_of(s, cases[i].text), cases[i].code);
        SAYS(cases[i].says, s->err.msg);
        SAYS(cases[i].hint, s->err.hint);
    }
}

static void test_config_limits(void **state)
{
    place *s = *state;
    char *big = malloc(5 << 20);
    assert_non_null(big);
    memset(big, '#', (5 << 20) - 1);
    big[(5 << 20) - 1] = 0;
    assert_int_equal(config_of(s, big), WEIR_ELIMIT);
    free(big);
    assert_int_equal(config_of(s, ""), 0);
    const wr_yaml *one, *two;
    OK(wr_project_config(&one, s->p, &s->err));
    put(s, "weir.yaml", "nonsense: 1\n"); /* read once: a running process keeps what it started with */
    OK(wr_project_config(&two, s->p, &s->err));
    assert_ptr_equal(one, two);
}

static void test_state_paths(void **state)
{
    place *s = *state;
    const char *path;
    OK(wr_project_state(&path, s->p, "online/x", false, &s->err));
    assert_string_equal(path, at(s, ".weir/online/x"));
    assert_false(wr_file_exists(path));
    OK(wr_project_state(&path, s->p, "lake", true, &s->err));
    assert_true(wr_file_exists(path));
}

static void *open_both(void *arg)
{
    wr_project *p = arg;
    wr_db *db = NULL;
    wr_objects *o = NULL;
    const char *path;
    wr_err err = {0};
    for (int i = 0; i < 50; i++)
        if (wr_project_db(&db, p, &err) < 0 || wr_project_objects(&o, p, &err) < 0 ||
            wr_project_state(&path, p, "lake/x", false, &err) < 0)
            return NULL;
    return db;
}

static void test_threads_share(void **state)
{
    place *s = *state;
    pthread_t t[4];
    void *db[4];
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&t[i], NULL, open_both, s->p), 0);
    for (int i = 0; i < 4; i++) pthread_join(t[i], &db[i]);
    for (int i = 0; i < 4; i++) assert_true(db[i] && db[i] == db[0]);
}

/* A .weir that is a file, and a database that is none. */
static void test_damaged_state(void **state)
{
    place *s = *state;
    wr_db *db;
    put(s, ".weir", "not a folder");
    FAILS(WEIR_EIO, wr_project_db(&db, s->p, &s->err) < 0 ? WEIR_EIO : 0);
    assert_true(s->err.msg[0]);
    OK(wr_file_remove(at(s, ".weir"), &s->err));
    put(s, ".weir/weir.db",
        "this is not a database, it only has its name; long enough for a header of 100 bytes ......."
        "...............................");
    reopen(s);
    FAILS(WEIR_ECORRUPT, wr_project_db(&db, s->p, &s->err));
    SAYS("weir.db", s->err.msg);
}

static void test_too_many_paths(void **state)
{
    place *s = *state;
    const char *extra[21] = {0};
    wr_tables *t;
    for (int i = 0; i < 20; i++) extra[i] = "/tmp";
    FAILS(WEIR_ELIMIT, wr_project_tables(&t, s->p, extra, &s->err));
}

/* Every allocation of opening fails once: an error, no leak, no half-open project. */
static void test_open_out_of_memory(void **state)
{
    place *s = *state;
    for (int nth = 1;; nth++) {
        wr_project *p = NULL;
        wr_fault_arm(WR_FAULT_ALLOC, nth, false);
        int rc = wr_project_open(&p, s->dir, NULL);
        bool fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        if (fired) assert_int_equal(rc, WEIR_ENOMEM);
        else assert_int_equal(rc, 0);
        if (rc == 0) wr_project_close(p);
        if (!fired) break;
        assert_true(nth < 50);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, make_place, drop_place)
static void keeps_artifact(wr_project *p, const char *where, const char *kind, const char *file)
{
    wr_artifacts *a, *again;
    wr_err err = {0};
    if (wr_project_artifacts(&a, p, where, &err) < 0) fail_msg("%s: %s", err.msg, err.detail);
    assert_string_equal(wr_artifacts_kind(a), kind);
    assert_int_equal(wr_artifacts_put(a, WR_STR("0/x"), WR_STR("hello"), NULL, &err), 0);
    if (file) assert_int_equal(wr_file_size(file), 5);
    assert_int_equal(wr_project_artifacts(&again, p, NULL, &err), 0);
    assert_ptr_equal(a, again);
}

static void test_artifacts(void **state)
{
    place *s = *state;
    wr_project *p;
    wr_artifacts *a;
    OK(wr_project_init(at(s, "new"), &s->err));
    OK(wr_project_open(&p, at(s, "new"), &s->err));
    keeps_artifact(p, NULL, "objects",
                   at(s, "new/.weir/artifacts/2c/f24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"));
    wr_project_close(p);
    put(s, "new/weir.yaml", "artifacts: files/here\n");
    OK(wr_project_open(&p, at(s, "new"), &s->err));
    keeps_artifact(p, NULL, "directory", at(s, "new/files/here/0/x")); /* below the project, wherever it is started */
    wr_project_close(p);
    OK(wr_project_open(&p, at(s, "new"), &s->err));
    keeps_artifact(p, at(s, "other"), "directory", at(s, "other/0/x")); /* what is said at the start wins */
    wr_project_close(p);
    put(s, "new/weir.yaml", "artifacts: ftp://x\n");
    OK(wr_project_open(&p, at(s, "new"), &s->err));
    FAILS(WEIR_EINVAL, wr_project_artifacts(&a, p, NULL, &s->err));
    SAYS("ftp://x", s->err.msg);
    wr_project_close(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_init),          T(test_init_twice),    T(test_init_faults),    T(test_found_from_below),
        T(test_none),          T(test_config_errors), T(test_config_limits),  T(test_state_paths),
        T(test_threads_share), T(test_damaged_state), T(test_too_many_paths), T(test_open_out_of_memory),
        T(test_artifacts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
