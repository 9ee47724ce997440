/* SPDX-License-Identifier: Apache-2.0 */
/* noun_test.c - what stages read and write: names, identity, keeping and bringing back. */
#include "core/core_testing.h"

#include "base/fault.h"
#include "core/model.h"
#include "core/noun.h"

static const char *hash_of(place *s, const char *ref)
{
    char hash[WR_SHA256_HEX];
    OK(wr_noun_hash(hash, NULL, s->p, ref, &s->err));
    return wr_arena_strdup(s->a, hash);
}

static void test_parse(void **state)
{
    place *s = *state;
    static const struct {
        const char *ref;
        int code;
        wr_noun_kind kind;
        const char *name, *hint;
    } cases[] = {
        {"data/a.csv", 0, WR_NOUN_PATH, "data/a.csv", ""},
        {"data:flights", 0, WR_NOUN_DATA, "flights", ""},
        {"data:predictions.delay", 0, WR_NOUN_DATA, "predictions.delay", ""},
        {"model:delay", 0, WR_NOUN_MODEL, "delay", ""},
        {"feature:f", 0, WR_NOUN_FEATURE, "f", ""},
        {"./data:x", 0, WR_NOUN_PATH, "./data:x", ""},
        {"a.b:c", 0, WR_NOUN_PATH, "a.b:c", ""},
        {"", 0, WR_NOUN_PATH, "", ""},
        {"dataa:x", WEIR_EINVAL, WR_NOUN_PATH, NULL, "did you mean \"data:x\"?"},
        {"modle:x", WEIR_EINVAL, WR_NOUN_PATH, NULL, "did you mean \"model:x\"?"},
        {"s3:bucket", WEIR_EINVAL, WR_NOUN_PATH, NULL, "\"./s3:bucket\""},
        {"data:", WEIR_EINVAL, WR_NOUN_PATH, NULL, ""},
        {"data:../x", WEIR_EINVAL, WR_NOUN_PATH, NULL, ""},
        {"model:a@champion", WEIR_EINVAL, WR_NOUN_PATH, NULL, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wr_noun_kind kind;
        const char *name;
        FAILS(cases[i].code, wr_noun_parse(&kind, &name, cases[i].ref, &s->err));
        SAYS(cases[i].hint, s->err.hint);
        if (cases[i].code) continue;
        assert_int_equal(kind, cases[i].kind);
        assert_string_equal(name, cases[i].name);
    }
}

static void test_missing_is_empty(void **state)
{
    place *s = *state;
    static const char *const refs[] = {"no/such/file", "data:none", "model:none", "feature:none"};
    for (size_t i = 0; i < 4; i++) {
        int64_t version = 7;
        char hash[WR_SHA256_HEX] = "x";
        OK(wr_noun_hash(hash, &version, s->p, refs[i], &s->err));
        assert_string_equal(hash, "");
        assert_int_equal(version, -1);
        static const int gone[] = {WEIR_ENOTFOUND, WEIR_ENOTFOUND, WEIR_ENOTFOUND, WEIR_ENOTFOUND};
        FAILS(gone[i], wr_noun_restore(s->p, refs[i],
                                       "0123456789012345678901234567890123456789012345678901234567890123", &s->err));
    }
    FAILS(WEIR_ENOTFOUND, wr_noun_keep(s->p, "no/such/file", &s->err));
}

static void test_file(void **state)
{
    place *s = *state;
    put(s, "reports/a.json", "one");
    const char *one = hash_of(s, "reports/a.json");
    assert_int_equal(strlen(one), 64);
    OK(wr_noun_keep(s->p, "reports/a.json", &s->err));
    OK(wr_noun_keep(s->p, "reports/a.json", &s->err)); /* again is free */
    put(s, "reports/a.json", "two");
    assert_string_not_equal(hash_of(s, "reports/a.json"), one);
    OK(wr_noun_restore(s->p, "reports/a.json", one, &s->err));
    assert_string_equal(get(s, "reports/a.json"), "one");
    /* its folder is gone, or something else stands in its place */
    OK(wr_file_remove_tree(at(s, "reports"), &s->err));
    OK(wr_noun_restore(s->p, "reports/a.json", one, &s->err));
    assert_string_equal(get(s, "reports/a.json"), "one");
    OK(wr_file_remove(at(s, "reports/a.json"), &s->err));
    put(s, "reports/a.json/inside", "x");
    OK(wr_noun_restore(s->p, "reports/a.json", one, &s->err));
    assert_string_equal(get(s, "reports/a.json"), "one");
    /* "two" was not kept */
    char two[WR_SHA256_HEX];
    wr_sha256_of("two", 3, two);
    FAILS(WEIR_ENOTFOUND, wr_noun_restore(s->p, "reports/a.json", two, &s->err));
    SAYS("was not kept", s->err.msg);
    assert_string_equal(get(s, "reports/a.json"), "one");
}

static void test_folder(void **state)
{
    place *s = *state;
    put(s, "out/a", "1");
    put(s, "out/deep/b", "2");
    const char *one = hash_of(s, "out");
    OK(wr_noun_keep(s->p, "out/", &s->err));
    put(s, "out/deep/b", "changed");
    put(s, "out/more", "3");
    assert_string_not_equal(hash_of(s, "out"), one);
    OK(wr_noun_restore(s->p, "out/", one, &s->err)); /* exactly what it was: what came later goes */
    assert_string_equal(hash_of(s, "out"), one);
    assert_string_equal(get(s, "out/deep/b"), "2");
    assert_false(wr_file_exists(at(s, "out/more")));
    OK(wr_file_remove_tree(at(s, "out"), &s->err));
    OK(wr_noun_restore(s->p, "out", one, &s->err));
    assert_string_equal(hash_of(s, "out"), one);
}

/* Whatever fails while a folder is brought back, the old one stays whole, or the new one is there whole. */
static void test_folder_faults(void **state)
{
    place *s = *state;
    put(s, "out/a", "1");
    put(s, "out/b", "2");
    const char *one = hash_of(s, "out");
    OK(wr_noun_keep(s->p, "out", &s->err));
    put(s, "out/a", "changed");
    const char *two = hash_of(s, "out");
    OK(wr_noun_keep(s->p, "out", &s->err));
    int failed = 0;
    for (int kind = WR_FAULT_WRITE; kind <= WR_FAULT_RENAME; kind++) {
        for (int nth = 1; nth < 50; nth++) {
            const char *wanted = nth % 2 ? one : two, *before = hash_of(s, "out");
            wr_fault_arm((wr_fault_kind)kind, nth, false);
            int rc = wr_noun_restore(s->p, "out", wanted, &s->err);
            bool fired = wr_fault_fired((wr_fault_kind)kind);
            wr_fault_arm((wr_fault_kind)kind, 0, false);
            const char *now = hash_of(s, "out");
            if (rc < 0) assert_string_equal(now, before);
            else assert_string_equal(now, wanted);
            assert_false(wr_file_exists(at(s, "out.weir-restore")));
            failed += rc < 0;
            if (!fired) break;
        }
    }
    assert_true(failed > 3);
}

/* The damaged object is noticed, and the folder that is there stays. */
static void test_damaged_object(void **state)
{
    place *s = *state;
    put(s, "out/a", "the right content");
    const char *one = hash_of(s, "out");
    char id[WR_SHA256_HEX];
    OK(wr_noun_keep(s->p, "out", &s->err));
    wr_sha256_of("the right content", 17, id);
    put(s, wr_arena_printf(s->a, ".weir/objects/%.2s/%s", id, id + 2), "the wrong content");
    put(s, "out/a", "newer");
    s->err = (wr_err){0};
    assert_true(wr_noun_restore(s->p, "out", one, &s->err) < 0);
    assert_string_equal(get(s, "out/a"), "newer");
}

/* Neither the project nor a folder above it can be an output. */
static void test_the_project_itself(void **state)
{
    place *s = *state;
    static const char *const refs[] = {".", "./", "sub/..", "..", "/"};
    for (size_t i = 0; i < 5; i++) {
        FAILS(WEIR_EINVAL, wr_noun_restore(s->p, refs[i], "00112233", &s->err));
        SAYS("holds the project", s->err.msg);
    }
    assert_true(wr_file_exists(at(s, "weir.yaml")));
}

static void test_dataset(void **state)
{
    place *s = *state;
    int64_t version;
    char hash[WR_SHA256_HEX];
    write_rows(s, "t", WR_DELTA_OVERWRITE, "SELECT 1 AS x");
    OK(wr_noun_hash(hash, &version, s->p, "data:t", &s->err));
    assert_int_equal(version, 0);
    OK(wr_noun_keep(s->p, "data:t", &s->err)); /* keeps itself */
    write_rows(s, "t", WR_DELTA_OVERWRITE, "SELECT 2 AS x");
    OK(wr_noun_restore(s->p, "data:t", hash, &s->err));
    assert_int_equal(number(s, "SELECT x FROM t"), 1);
    assert_string_equal(hash_of(s, "data:t"), hash);
}

static void test_model(void **state)
{
    place *s = *state;
    wr_objects *o;
    char one[WR_SHA256_HEX], two[WR_SHA256_HEX];
    OK(wr_project_objects(&o, s->p, &s->err));
    OK(wr_objects_put(o, WR_STR("package one"), one, &s->err));
    OK(wr_objects_put(o, WR_STR("package two"), two, &s->err));
    OK(wr_model_propose(s->p, "m", one, "run1", &s->err));
    OK(wr_model_propose(s->p, "m", two, "run2", &s->err));
    assert_string_equal(hash_of(s, "model:m"), two);
    OK(wr_noun_restore(s->p, "model:m", one, &s->err));
    assert_string_equal(hash_of(s, "model:m"), one);
    wr_model_version v;
    OK(wr_model_find(&v, s->a, s->p, "m", &s->err));
    assert_string_equal(v.run_id, "run1");
}

static void test_feature(void **state)
{
    place *s = *state;
    const char *path;
    OK(wr_noun_online_path(&path, s->p, "f", &s->err));
    assert_string_equal(path, at(s, ".weir/online/f.online"));
    put(s, ".weir/online/f.online", "state one");
    const char *one = hash_of(s, "feature:f");
    OK(wr_noun_keep(s->p, "feature:f", &s->err));
    put(s, ".weir/online/f.online", "state two");
    OK(wr_noun_restore(s->p, "feature:f", one, &s->err));
    assert_string_equal(get(s, ".weir/online/f.online"), "state one");
}

/* A view's two files are one thing: it changes with either, and comes back with both. */
static void test_feature_with_tables(void **state)
{
    place *s = *state;
    put(s, ".weir/online/f.online", "state one");
    const char *alone = hash_of(s, "feature:f");
    OK(wr_noun_keep(s->p, "feature:f", &s->err));
    put(s, ".weir/online/f.lookup", "tables one");
    const char *one = hash_of(s, "feature:f");
    OK(wr_noun_keep(s->p, "feature:f", &s->err));
    put(s, ".weir/online/f.lookup", "tables two");
    const char *two = hash_of(s, "feature:f");
    assert_true(strcmp(one, alone) != 0 && strcmp(two, one) != 0);
    OK(wr_noun_keep(s->p, "feature:f", &s->err));
    put(s, ".weir/online/f.online", "state two");
    OK(wr_noun_restore(s->p, "feature:f", one, &s->err));
    assert_string_equal(get(s, ".weir/online/f.online"), "state one");
    assert_string_equal(get(s, ".weir/online/f.lookup"), "tables one");
    assert_string_equal(hash_of(s, "feature:f"), one);
    OK(wr_noun_restore(s->p, "feature:f", two, &s->err));
    assert_string_equal(get(s, ".weir/online/f.lookup"), "tables two");
    OK(wr_noun_restore(s->p, "feature:f", alone, &s->err));
    assert_null(get(s, ".weir/online/f.lookup"));
    assert_string_equal(hash_of(s, "feature:f"), alone);
    OK(wr_file_remove(at(s, ".weir/online/f.online"), &s->err));
    put(s, ".weir/online/f.lookup", "tables alone");
    const char *tables = hash_of(s, "feature:f");
    OK(wr_noun_keep(s->p, "feature:f", &s->err));
    put(s, ".weir/online/f.online", "state");
    OK(wr_noun_restore(s->p, "feature:f", tables, &s->err));
    assert_null(get(s, ".weir/online/f.online"));
    FAILS(WEIR_ENOTFOUND, wr_noun_restore(s->p, "feature:f", "0000", &s->err));
    assert_string_equal(hash_of(s, "feature:f"), tables);
}

#define T(name) cmocka_unit_test_setup_teardown(name, make_place, drop_place)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_parse),
        T(test_missing_is_empty),
        T(test_file),
        T(test_folder),
        T(test_folder_faults),
        T(test_damaged_object),
        T(test_the_project_itself),
        T(test_dataset),
        T(test_model),
        T(test_feature),
        T(test_feature_with_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
