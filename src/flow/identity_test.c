/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "flow/flow_testing.h"
#include "flow/identity.h"

static wr_identity *opened(place *t)
{
    wr_identity *id;
    wr_err err = {0};
    if (!t->p) reopen(t);
    if (wr_identity_open(&id, t->p, &err) < 0) fail_msg("%s", err.msg);
    return id;
}

static const char *hash(place *t, wr_identity *id, const char *ref)
{
    char h[WR_SHA256_HEX];
    wr_err err = {0};
    if (wr_identity_of(id, ref, h, NULL, &err) < 0) fail_msg("%s", err.msg);
    return wr_arena_strdup(t->a, h);
}

/* Files must be a moment old before their hashes are believed. */
static void age(void) { nanosleep(&(struct timespec){.tv_nsec = 60 * 1000 * 1000}, NULL); }

static void test_same_as_nouns(void **state)
{
    place *t = *state;
    static const char *const refs[] = {"d",         "d/a",        "d/sub",        "gone",      "link",
                                       "data:none", "model:none", "feature:none", "feature:v", "feature:w"};
    put(t, "d/a", "1");
    put(t, ".weir/online/v.online", "windows");
    put(t, ".weir/online/w.online", "windows");
    put(t, ".weir/online/w.lookup", "tables");
    put(t, "d/sub/\xc3\xbc", "2");
    put(t, "d/sub/.hidden", "");
    put(t, "d/back\\slash", "3");
    put(t, "d/new\nline", "4");
    assert_int_equal(wr_file_mkdirs(at(t, "d/empty"), NULL), 0);
    assert_int_equal(symlink("a", at(t, "d/to_a")), 0);
    assert_int_equal(symlink("nowhere", at(t, "d/dangling")), 0);
    assert_int_equal(symlink("sub", at(t, "d/to_sub")), 0);
    assert_int_equal(symlink("d/a", at(t, "link")), 0);
    wr_identity *id = opened(t);
    for (size_t i = 0; i < sizeof refs / sizeof *refs; i++) {
        char h[WR_SHA256_HEX];
        assert_int_equal(wr_noun_hash(h, NULL, t->p, refs[i], NULL), 0);
        assert_string_equal(hash(t, id, refs[i]), h);
    }
    assert_string_not_equal(hash(t, id, "feature:v"), hash(t, id, "feature:w"));
    wr_identity_close(id);
}

static void test_second_look(void **state)
{
    place *t = *state;
    put(t, "d/a", "1");
    put(t, "d/b", "2");
    put(t, "f", "3");
    age();
    wr_identity *id = opened(t);
    const char *d = hash(t, id, "d"), *f = hash(t, id, "f");
    hash(t, id, "d");
    assert_int_equal(wr_identity_files_read(id), 3);
    wr_identity_forget(id);
    assert_string_equal(hash(t, id, "d"), d);
    assert_int_equal(wr_identity_files_read(id), 3);
    assert_int_equal(wr_identity_save(id, NULL), 0);
    wr_identity_close(id);

    id = opened(t);
    assert_string_equal(hash(t, id, "d"), d);
    assert_string_equal(hash(t, id, "f"), f);
    assert_int_equal(wr_identity_files_read(id), 0);
    put(t, "d/b", "9"); /* same size */
    wr_identity_forget(id);
    assert_string_not_equal(hash(t, id, "d"), d);
    assert_int_equal(wr_identity_files_read(id), 1);
    wr_identity_close(id);
}

/* Two changes in one tick of the clock, and one whose times were set back: both are seen. */
static void test_quick_changes(void **state)
{
    place *t = *state;
    wr_identity *id = opened(t);
    for (int i = 0; i < 20; i++) {
        char text[16], want[WR_SHA256_HEX];
        snprintf(text, sizeof text, "%04d", i);
        FILE *f = fopen(at(t, "f"), "w"); /* in place: the inode stays */
        fputs(text, f);
        fclose(f);
        wr_sha256_of(text, 4, want);
        wr_identity_forget(id);
        assert_string_equal(hash(t, id, "f"), want);
    }
    age();
    const char *before = hash(t, id, "f");
    struct stat st;
    assert_int_equal(stat(at(t, "f"), &st), 0);
    FILE *f = fopen(at(t, "f"), "w");
    fputs("XXXX", f);
    fclose(f);
    struct timespec times[2] = {st.st_atim, st.st_mtim};
    assert_int_equal(utimensat(AT_FDCWD, at(t, "f"), times, 0), 0);
    wr_identity_forget(id);
    assert_string_not_equal(hash(t, id, "f"), before);
    wr_identity_close(id);
}

static void test_damaged_store(void **state)
{
    place *t = *state;
    put(t, "f", "3");
    age();
    wr_identity *id = opened(t);
    const char *h = hash(t, id, "f");
    assert_int_equal(wr_identity_save(id, NULL), 0);
    wr_identity_close(id);
    const char *good = get(t, ".weir/cache/stat");
    for (size_t i = 0; i < strlen(good); i += 7) {
        char *bad = wr_arena_strdup(t->a, good);
        bad[i] = bad[i] == 'x' ? 'y' : 'x';
        put(t, ".weir/cache/stat", bad);
        id = opened(t);
        assert_string_equal(hash(t, id, "f"), h);
        assert_int_equal(wr_identity_files_read(id), 1);
        wr_identity_close(id);
    }
    put(t, ".weir/cache/stat", wr_arena_strndup(t->a, good, strlen(good) / 2));
    id = opened(t);
    assert_string_equal(hash(t, id, "f"), h);
    wr_identity_close(id);
}

static void test_refused(void **state)
{
    place *t = *state;
    char h[WR_SHA256_HEX];
    wr_err err = {0};
    assert_int_equal(mkfifo(at(t, "pipe"), 0600), 0);
    assert_int_equal(wr_file_mkdirs(at(t, "d"), NULL), 0);
    assert_int_equal(mkfifo(at(t, "d/pipe"), 0600), 0);
    wr_identity *id = opened(t);
    assert_int_equal(wr_identity_of(id, "d", h, NULL, &err), WEIR_EUNSUPPORTED);
    assert_int_equal(wr_identity_of(id, "pipe", h, NULL, &err), WEIR_EUNSUPPORTED); /* and it does not hang */
    assert_int_equal(wr_identity_of(id, "dataa:x", h, NULL, &err), WEIR_EINVAL);
    wr_identity_close(id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_same_as_nouns, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_second_look, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_quick_changes, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_damaged_store, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_refused, make_place, drop_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
