/* SPDX-License-Identifier: Apache-2.0 */
/* objects_test.c - blobs and trees: round trips, damage, hostile trees, concurrent putters, faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fault.h"
#include "io/file.h"
#include "store/objects.h"

#define HELLO_ID "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" /* of "hello" */
#define EMPTY_ID "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static char dir[256], store[300];
static wr_objects *o;

static int setup(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/weir-objects-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(dir)) return -1;
    snprintf(store, sizeof store, "%s/objects", dir);
    return wr_objects_open(&o, store, NULL);
}

static int teardown(void **state)
{
    (void)state;
    for (int k = 0; k < WR_FAULT_KINDS; k++) wr_fault_arm((wr_fault_kind)k, 0, false);
    wr_objects_close(o);
    return wr_file_remove_tree(dir, NULL);
}

static char *in(const char *name)
{
    static char paths[8][600];
    static int next;
    char *p = paths[next++ % 8];
    snprintf(p, sizeof paths[0], "%s/%s", dir, name);
    return p;
}

static void write_file(const char *name, wr_str data)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    assert_int_equal(wr_file_mkdirs(wr_path_dir(a, in(name)), NULL), 0);
    assert_int_equal(wr_file_write(in(name), data, NULL), 0);
}

static void has_content(const char *name, wr_str data)
{
    wr_buf b;
    wr_buf_init(&b, 0);
    assert_int_equal(wr_file_read(&b, in(name), 1 << 24, NULL), 0);
    assert_true(wr_str_eq(wr_buf_view(&b), data));
    wr_buf_fini(&b);
}

static size_t drafts(void)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char **names;
    size_t n = 0;
    assert_int_equal(wr_file_list(&names, &n, a, in("objects/tmp"), NULL), 0);
    return n;
}

/* Content of an object, compared. */
static void holds(const char *id, wr_str data)
{
    wr_buf b;
    wr_err err = {0};
    wr_buf_init(&b, 0);
    wr_buf_str(&b, "before:");
    if (wr_objects_get(o, id, &b, 1 << 24, &err) < 0) fail_msg("%s", err.msg);
    assert_true(wr_str_eq(wr_str_sub(wr_buf_view(&b), 7, b.n), data));
    wr_buf_fini(&b);
}

static void put_and_get(void **state)
{
    (void)state;
    char id[WR_SHA256_HEX];
    wr_err err;
    struct stat st;
    assert_false(wr_objects_has(o, HELLO_ID));
    assert_int_equal(wr_objects_put(o, WR_STR("hello"), id, &err), 0);
    assert_string_equal(id, HELLO_ID);
    assert_true(wr_objects_has(o, id));
    assert_int_equal(stat(in("objects/2c/f24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0444);
    ino_t before = st.st_ino;
    assert_int_equal(wr_objects_put(o, WR_STR("hello"), id, &err), 0); /* free: the same file stays */
    assert_int_equal(stat(in("objects/2c/f24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"), &st), 0);
    assert_int_equal(st.st_ino, before);
    holds(id, WR_STR("hello"));
    assert_int_equal(wr_objects_put(o, (wr_str){NULL, 0}, id, &err), 0);
    assert_string_equal(id, EMPTY_ID);
    holds(id, WR_STR(""));
    assert_int_equal(drafts(), 0);
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    assert_int_equal(wr_file_size(wr_objects_path(o, a, HELLO_ID)), 5);
    assert_null(wr_objects_path(o, a, "../../etc/passwd"));
}

static void wrong_names(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "abc",
                                      "../../../../../../etc/passwd",
                                      HELLO_ID "0",
                                      "2CF24DBA5FB0A30E26E83B2AC5B9E29E1B161E5C1FA7425E73043362938B9824",
                                      "/cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"};
    wr_err err = {0};
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(wr_objects_has(o, bad[i]));
        assert_int_equal(wr_objects_get(o, bad[i], &b, 100, &err), WEIR_EINVAL);
        assert_int_equal(wr_objects_checkout_file(o, bad[i], in("x"), &err), WEIR_EINVAL);
        assert_int_equal(wr_objects_checkout_tree(o, bad[i], in("x"), &err), WEIR_EINVAL);
    }
    assert_int_equal(wr_objects_get(o, HELLO_ID, &b, 100, &err), WEIR_ENOTFOUND);
    assert_int_equal(wr_objects_checkout_file(o, HELLO_ID, in("x"), &err), WEIR_ENOTFOUND);
    assert_int_equal(wr_objects_checkout_tree(o, HELLO_ID, in("x"), &err), WEIR_ENOTFOUND);
    assert_false(wr_file_exists(in("x")));
    wr_objects *none;
    assert_int_equal(wr_objects_open(&none, "", &err), WEIR_EINVAL);
}

static char *object_file(char id[WR_SHA256_HEX], wr_str data)
{
    assert_int_equal(wr_objects_put(o, data, id, NULL), 0);
    char name[100];
    snprintf(name, sizeof name, "objects/%.2s/%s", id, id + 2);
    return in(name);
}

static void damage_is_found(void **state)
{
    (void)state;
    char id[WR_SHA256_HEX];
    wr_err err = {0};
    char *path = object_file(id, WR_STR("hello"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(wr_file_write(path, WR_STR("hellO"), NULL), 0);
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    wr_buf_str(&b, "kept");
    assert_int_equal(wr_objects_get(o, id, &b, 100, &err), WEIR_ECORRUPT);
    assert_true(wr_str_is(wr_buf_view(&b), "kept"));
    assert_non_null(strstr(err.msg, id));
    assert_int_equal(wr_objects_checkout_file(o, id, in("out"), &err), WEIR_ECORRUPT);
    assert_false(wr_file_exists(in("out")));
    assert_int_equal(wr_file_write(path, WR_STR("hell"), NULL),
                     0); /* a wrong size is seen by the next put, and healed */
    assert_int_equal(wr_objects_put(o, WR_STR("hello"), id, &err), 0);
    holds(id, WR_STR("hello"));
}

static void get_has_a_limit(void **state)
{
    (void)state;
    char id[WR_SHA256_HEX];
    wr_err err = {0};
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    object_file(id, WR_STR("hello"));
    assert_int_equal(wr_objects_get(o, id, &b, 4, &err), WEIR_ELIMIT);
    assert_int_equal(b.n, 0);
    assert_int_equal(wr_objects_get(o, id, &b, 5, &err), 0);
}

static void files(void **state)
{
    (void)state;
    char id[WR_SHA256_HEX], again[WR_SHA256_HEX];
    wr_err err = {0};
    size_t n = (1 << 20) + 17; /* more than one piece */
    char *big = malloc(n);
    assert_non_null(big);
    for (size_t i = 0; i < n; i++) big[i] = (char)(i * 2654435761u >> 13);
    write_file("big", (wr_str){big, n});
    assert_int_equal(wr_objects_put_file(o, in("big"), id, &err), 0);
    assert_int_equal(wr_objects_put(o, (wr_str){big, n}, again, &err), 0);
    assert_string_equal(id, again);
    assert_int_equal(wr_objects_checkout_file(o, id, in("a/b/copy"), &err), 0); /* makes the folders */
    has_content("a/b/copy", (wr_str){big, n});
    struct stat st;
    assert_int_equal(stat(in("a/b/copy"), &st), 0);
    assert_true(st.st_mode & 0200);
    ino_t before = st.st_ino;
    assert_int_equal(wr_objects_checkout_file(o, id, in("a/b/copy"), &err), 0); /* left alone */
    assert_int_equal(stat(in("a/b/copy"), &st), 0);
    assert_int_equal(st.st_ino, before);
    big[5] ^= 1;
    write_file("a/b/copy", (wr_str){big, n});
    big[5] ^= 1;
    assert_int_equal(wr_objects_checkout_file(o, id, in("a/b/copy"), &err), 0); /* same size, other content: replaced */
    has_content("a/b/copy", (wr_str){big, n});
    free(big);
    assert_int_equal(wr_objects_put_file(o, in("absent"), id, &err), WEIR_ENOTFOUND);
    assert_int_equal(wr_objects_put_file(o, dir, id, &err), WEIR_EINVAL);
    assert_true(wr_objects_checkout_file(o, HELLO_ID, dir, &err) < 0);
    assert_int_equal(drafts(), 0);
}

/* A link in the file's place is replaced, not followed. */
static void checkout_does_not_write_through_links(void **state)
{
    (void)state;
    char id[WR_SHA256_HEX];
    wr_err err = {0};
    object_file(id, WR_STR("hello"));
    write_file("victim", WR_STR("mine"));
    assert_int_equal(symlink(in("victim"), in("link")), 0);
    assert_int_equal(wr_objects_checkout_file(o, id, in("link"), &err), 0);
    has_content("victim", WR_STR("mine"));
    has_content("link", WR_STR("hello"));

    write_file("t/sub/f", WR_STR("x"));
    assert_int_equal(wr_objects_put_tree(o, in("t"), id, &err), 0);
    assert_int_equal(mkdir(in("elsewhere"), 0755), 0);
    assert_int_equal(mkdir(in("out"), 0755), 0);
    assert_int_equal(symlink(in("elsewhere"), in("out/sub")), 0);
    assert_int_equal(wr_objects_checkout_tree(o, id, in("out"), &err), WEIR_EEXIST);
    assert_false(wr_file_exists(in("elsewhere/f")));
}

static void trees(void **state)
{
    (void)state;
    char id[WR_SHA256_HEX], again[WR_SHA256_HEX];
    wr_err err = {0};
    write_file("t/b", WR_STR("hello"));
    write_file("t/a/x y", WR_STR(""));
    write_file("t/a-b", WR_STR("1"));
    write_file("t/.hidden", WR_STR("2"));
    write_file("other", WR_STR("hello"));
    assert_int_equal(symlink(in("other"), in("t/link")), 0);
    assert_int_equal(mkdir(in("t/empty"), 0755), 0); /* empty folders are not kept */
    assert_int_equal(wr_objects_put_tree(o, in("t"), id, &err), 0);
    holds(id, WR_STR("d4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35 1 .hidden\n"
                     "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b 1 a-b\n" EMPTY_ID
                     " 0 a/x y\n" HELLO_ID " 5 b\n" HELLO_ID " 5 link\n"));
    write_file("out/more", WR_STR("stays"));
    write_file("out/b", WR_STR("wrong"));
    assert_int_equal(wr_objects_checkout_tree(o, id, in("out"), &err), 0);
    has_content("out/b", WR_STR("hello"));
    has_content("out/a/x y", WR_STR(""));
    has_content("out/more", WR_STR("stays"));
    assert_int_equal(unlink(in("out/more")), 0);
    assert_int_equal(wr_objects_put_tree(o, in("out"), again, &err), 0);
    assert_string_equal(id, again);

    assert_int_equal(wr_objects_put_tree(o, in("t/empty"), id, &err), 0);
    assert_string_equal(id, EMPTY_ID);
    assert_int_equal(wr_objects_checkout_tree(o, id, in("new/folder"), &err), 0);
    assert_true(wr_file_exists(in("new/folder")));
    assert_int_equal(wr_objects_put_tree(o, in("absent"), id, &err), WEIR_ENOTFOUND);
    assert_true(wr_objects_put_tree(o, in("t/b"), id, &err) < 0);
}

static void what_a_tree_cannot_keep(void **state)
{
    (void)state;
    char id[WR_SHA256_HEX];
    wr_err err = {0};
    write_file("t/line\nbreak", WR_STR("x"));
    assert_int_equal(wr_objects_put_tree(o, in("t"), id, &err), WEIR_EINVAL);
    assert_int_equal(unlink(in("t/line\nbreak")), 0);
    assert_int_equal(mkfifo(in("t/pipe"), 0644), 0);
    assert_int_equal(wr_objects_put_tree(o, in("t"), id, &err), WEIR_EUNSUPPORTED);
    assert_int_equal(unlink(in("t/pipe")), 0);
    assert_int_equal(symlink("..", in("t/up")), 0);
    assert_int_equal(wr_objects_put_tree(o, in("t"), id, &err), WEIR_EUNSUPPORTED);
    assert_int_equal(unlink(in("t/up")), 0);
    assert_int_equal(symlink("nothing", in("t/dangling")), 0);
    assert_int_equal(wr_objects_put_tree(o, in("t"), id, &err), WEIR_ENOTFOUND);
}

static void hostile_trees(void **state)
{
    (void)state;
    static const wr_str bad[] = {
        WR_STR(HELLO_ID " 5 /etc/passwd\n"),
        WR_STR(HELLO_ID " 5 ../x\n"),
        WR_STR(HELLO_ID " 5 a/../../x\n"),
        WR_STR(HELLO_ID " 5 a/..\n"),
        WR_STR(HELLO_ID " 5 .\n"),
        WR_STR(HELLO_ID " 5 a//b\n"),
        WR_STR(HELLO_ID " 5 a/\n"),
        WR_STR(HELLO_ID " 5 \n"),
        WR_STR(HELLO_ID " 5\n"),
        WR_STR(HELLO_ID "\n"),
        WR_STR("\n"),
        WR_STR(HELLO_ID " 5 a\0b\n"),
        WR_STR(HELLO_ID " 5 a"),
        WR_STR(HELLO_ID " -5 a\n"),
        WR_STR(HELLO_ID " 05 a\n"),
        WR_STR(HELLO_ID " +5 a\n"),
        WR_STR(HELLO_ID "  a\n"),
        WR_STR(HELLO_ID " 99999999999999999999 a\n"),
        WR_STR("../../2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e7304336293 5 a\n"),
        WR_STR(HELLO_ID " 5 a\n" HELLO_ID " 5 a\n"),
        WR_STR(HELLO_ID " 5 b\n" HELLO_ID " 5 a\n"),
        WR_STR(HELLO_ID " 5 ok\n\n"),
    };
    char id[WR_SHA256_HEX];
    wr_err err = {0};
    assert_int_equal(wr_objects_put(o, WR_STR("hello"), id, &err), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(wr_objects_put(o, bad[i], id, &err), 0);
        int rc = wr_objects_checkout_tree(o, id, in("deep/down/out"), &err);
        if (rc != WEIR_EPARSE) fail_msg("tree %zu: %d %s", i, rc, err.msg);
    }
    assert_false(wr_file_exists(in("deep"))); /* nothing was written by any */
    char longest[5000];
    memset(longest, 'a', sizeof longest);
    memcpy(longest, HELLO_ID " 5 ", 67);
    longest[sizeof longest - 1] = '\n';
    assert_int_equal(wr_objects_put(o, (wr_str){longest, sizeof longest}, id, &err), 0);
    assert_int_equal(wr_objects_checkout_tree(o, id, in("deep/out"), &err), WEIR_EPARSE);
    assert_int_equal(wr_objects_put(o, WR_STR(EMPTY_ID " 0 missing\n"), id, &err), 0);
    assert_int_equal(wr_objects_checkout_tree(o, id, in("deep/out"), &err), WEIR_ENOTFOUND);
    /* a file where the same tree needs a folder */
    assert_int_equal(wr_objects_put(o, WR_STR(HELLO_ID " 5 a\n" HELLO_ID " 5 a/b\n"), id, &err), 0);
    assert_int_equal(wr_objects_checkout_tree(o, id, in("deep/out"), &err), WEIR_EEXIST);
}

static void *put_same(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20; i++) {
        char text[32], id[WR_SHA256_HEX];
        int n = snprintf(text, sizeof text, "object %d", i);
        assert_int_equal(wr_objects_put(o, (wr_str){text, (size_t)n}, id, NULL), 0);
        holds(id, (wr_str){text, (size_t)n});
    }
    return NULL;
}

static void concurrent_putters(void **state)
{
    (void)state;
    pthread_t t[6];
    for (int i = 0; i < 6; i++) assert_int_equal(pthread_create(&t[i], NULL, put_same, NULL), 0);
    for (int i = 0; i < 6; i++) pthread_join(t[i], NULL);
    assert_int_equal(drafts(), 0);
}

static int count_object(void *ctx, const char *id, int64_t mtime_us, wr_err *err)
{
    (void)err;
    assert_string_equal(id, HELLO_ID);
    assert_true(mtime_us > 0);
    ++*(int *)ctx;
    return 0;
}

static void pieces(void **state)
{
    (void)state;
    char id[WR_SHA256_HEX], want[WR_SHA256_HEX];
    uint64_t size;
    wr_err err = {0};
    wr_objects_writer *w;
    assert_int_equal(wr_objects_writer_new(&w, o, &err), 0);
    assert_int_equal(wr_objects_writer_add(w, WR_STR("hel"), &err), 0);
    assert_int_equal(wr_objects_writer_add(w, WR_STR(""), &err), 0);
    assert_int_equal(wr_objects_writer_add(w, WR_STR("lo"), &err), 0);
    assert_int_equal(drafts(), 1);
    assert_false(wr_objects_has(o, HELLO_ID));
    assert_int_equal(wr_objects_writer_publish(w, id, &size, &err), 0);
    assert_string_equal(id, HELLO_ID);
    assert_int_equal(size, 5);
    holds(id, WR_STR("hello"));
    assert_int_equal(wr_objects_retire(o, id, &err), 0);
    assert_false(wr_objects_has(o, id));
    assert_int_equal(drafts(), 2); /* it waits there for emptying */
    wr_objects_empty(o);
    assert_int_equal(drafts(), 1);
    assert_int_equal(wr_objects_writer_publish(w, id, &size, &err), 0); /* again, as long as the writer is there */
    holds(id, WR_STR("hello"));
    wr_objects_writer_free(w);
    assert_int_equal(drafts(), 0);
    struct stat st;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    assert_int_equal(stat(wr_objects_path(o, a, id), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0444);
    assert_int_equal(st.st_nlink, 1);

    ino_t before = st.st_ino; /* what is there already is not written again */
    assert_int_equal(wr_objects_writer_new(&w, o, &err), 0);
    assert_int_equal(wr_objects_writer_add(w, WR_STR("hello"), &err), 0);
    assert_int_equal(wr_objects_writer_publish(w, want, &size, &err), 0);
    wr_objects_writer_free(w);
    assert_int_equal(stat(wr_objects_path(o, a, id), &st), 0);
    assert_int_equal(st.st_ino, before);

    assert_int_equal(wr_objects_writer_new(&w, o, &err), 0); /* left half-way */
    assert_int_equal(wr_objects_writer_add(w, WR_STR("gone"), &err), 0);
    wr_objects_writer_free(w);
    wr_objects_writer_free(NULL);
    assert_int_equal(drafts(), 0);
    assert_int_equal(wr_objects_retire(o, EMPTY_ID, &err), 0);
    assert_int_equal(wr_objects_retire(o, "../x", &err), WEIR_EINVAL);

    int seen = 0;
    assert_int_equal(wr_objects_each(o, count_object, &seen, &err), 0);
    assert_int_equal(seen, 1);
}

static void old_drafts_are_removed(void **state)
{
    (void)state;
    write_file("objects/tmp/old", WR_STR("x"));
    write_file("objects/tmp/young", WR_STR("x"));
    struct timespec times[2] = {{.tv_sec = time(NULL) - 90000}, {.tv_sec = time(NULL) - 90000}};
    assert_int_equal(utimensat(AT_FDCWD, in("objects/tmp/old"), times, 0), 0);
    wr_objects *again;
    assert_int_equal(wr_objects_open(&again, store, NULL), 0);
    wr_objects_close(again);
    assert_false(wr_file_exists(in("objects/tmp/old")));
    assert_true(wr_file_exists(in("objects/tmp/young")));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(put_and_get),     T(wrong_names),
        T(damage_is_found), T(get_has_a_limit),
        T(files),           T(checkout_does_not_write_through_links),
        T(trees),           T(what_a_tree_cannot_keep),
        T(hostile_trees),   T(concurrent_putters),
        T(pieces),          T(old_drafts_are_removed),
    };
#undef T
    return cmocka_run_group_tests_name("objects", tests, NULL, NULL);
}
