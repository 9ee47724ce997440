/* SPDX-License-Identifier: Apache-2.0 */
/* artifacts_test.c - the contract: the same cases over every kind of store.
 *
 * S3 is among them when WEIR_TEST_S3 names a place, "s3://bucket/prefix" (tests/s3/run starts a server and does that).
 * With WEIR_TEST_PG the index of "objects" is in PostgreSQL.
 */
#include "store/artifacts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/os.h"
#include "io/file.h"
#include "io/s3.h"
#include "store/pg_testing.h"

typedef struct {
    const char *name;
    bool remote;
} kind;
static const kind kinds[] = {{"objects", false}, {"directory", false}, {"s3", true}};
enum { KINDS = sizeof kinds / sizeof *kinds };

static const kind *now;
static char dir[256], records[600];
static wr_artifacts *s;
static wr_objects *objects;
static wr_db *db;

/* ---- scene ---- */

static char *in(const char *name)
{
    static char paths[4][600];
    static int next;
    char *p = paths[next++ % 4];
    snprintf(p, sizeof paths[0], "%s/%s", dir, name);
    return p;
}

static void open_store(void)
{
    static const char *const migrations[] = {wr_artifacts_schema};
    static char where[600], scratch[600];
    wr_err err = {0};
    assert_int_equal(wr_objects_open(&objects, in("objects"), &err), 0);
    assert_int_equal(wr_db_open(&db, records, &(wr_db_opt){migrations, 1, false}, &err), 0);
    snprintf(scratch, sizeof scratch, "%s/scratch", dir);
    snprintf(where, sizeof where, "objects");
    if (strcmp(now->name, "directory") == 0) snprintf(where, sizeof where, "file://%s/files", dir);
    if (now->remote) snprintf(where, sizeof where, "%s%s", getenv("WEIR_TEST_S3"), strrchr(dir, '/'));
    wr_artifacts_opt opt = {.scratch = scratch, .objects = objects, .db = db};
    if (wr_artifacts_open(&s, where, &opt, &err) < 0) fail_msg("%s: %s", err.msg, err.detail);
    assert_string_equal(wr_artifacts_kind(s), now->name);
    assert_int_equal(wr_artifacts_remote(s), now->remote);
}

static void close_store(void)
{
    wr_artifacts_close(s);
    wr_db_close(db);
    wr_objects_close(objects);
}

static int setup(void **state)
{
    now = *state;
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/weir-artifacts-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(dir)) return -1;
    snprintf(records, sizeof records, "%s/db", dir);
    if (wr_pg_testing_wanted(records, sizeof records) < 0) return -1;
    open_store();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    close_store();
    return wr_file_remove_tree(dir, NULL);
}

/* ---- short forms ---- */

#define P(text) wr_str_of(text)
static _Thread_local wr_err failure; /* of the last call that failed */
#define E (&failure)
#define OK(call)                                                                                                       \
    do {                                                                                                               \
        int rc_ = (call);                                                                                              \
        if (rc_ < 0) fail_msg("%s: %d %s: %s", #call, rc_, E->msg, E->detail);                                         \
    } while (0)

static void put(const char *path, const char *text)
{
    wr_artifact_info info;
    OK(wr_artifacts_put(s, P(path), P(text), &info, E));
    assert_int_equal(info.size, strlen(text));
    assert_true(info.etag[0] && !info.is_dir);
}

static int put_rc(const char *path, const char *text)
{
    int rc = wr_artifacts_put(s, P(path), P(text), NULL, E);
    if (rc < 0) assert_true(E->msg[0]);
    return rc;
}

static int stat_rc(const char *path, wr_artifact_info *info) { return wr_artifacts_stat(info, s, P(path), E); }

static bool there(const char *path)
{
    wr_artifact_info info;
    int rc = stat_rc(path, &info);
    assert_true(rc == 0 || rc == WEIR_ENOTFOUND);
    return rc == 0;
}

static void holds(const char *path, const char *text)
{
    wr_artifact_reader *r;
    char got[4096];
    OK(wr_artifacts_read(&r, s, P(path), E));
    const wr_artifact_info *info = wr_artifact_reader_info(r);
    assert_int_equal(info->size, strlen(text));
    int64_t n = wr_artifact_get(r, 0, got, sizeof got, NULL);
    assert_int_equal(n, strlen(text));
    assert_memory_equal(got, text, (size_t)n);
    wr_artifact_reader_close(r);
}

static int read_rc(const char *path)
{
    wr_artifact_reader *r = NULL;
    int rc = wr_artifacts_read(&r, s, P(path), E);
    if (rc == 0) wr_artifact_reader_close(r);
    return rc;
}

/* "a.txt:3 sub/" */
static void lists(const char *path, const char *want)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    wr_artifact_entry *list;
    size_t n;
    OK(wr_artifacts_list(&list, &n, a, s, P(path), E));
    for (size_t i = 0; i < n; i++) {
        if (i) wr_buf_char(&b, ' ');
        wr_buf_str(&b, list[i].name);
        if (list[i].is_dir) wr_buf_char(&b, '/');
        else wr_buf_printf(&b, ":%lld", (long long)list[i].size);
        if (!list[i].is_dir) assert_true(list[i].mtime_us > wr_clock_wall_us() - 600 * WR_US);
    }
    assert_string_equal(wr_buf_cstr(&b), want);
}

static void del(const char *path) { OK(wr_artifacts_delete(s, P(path), E)); }

static char byte_at(uint64_t i) { return (char)(i * 2654435761u >> 13); }

/* Nothing of an unfinished write lies about: as many files as before. */
static size_t files_on_disk(const char *path)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char **names;
    size_t n, all = 0;
    struct stat st;
    if (wr_file_list(&names, &n, a, path, NULL) < 0) return 0;
    for (size_t i = 0; i < n; i++) {
        const char *sub = wr_path_join(a, path, names[i]);
        if (stat(sub, &st) == 0) all += S_ISDIR(st.st_mode) ? files_on_disk(sub) : 1;
    }
    return all;
}
static size_t files(void)
{
    return files_on_disk(in("objects")) + files_on_disk(in("files")) + files_on_disk(in("scratch"));
}

/* ---- cases ---- */

static void put_and_get(void **state)
{
    (void)state;
    assert_false(there("0/r1/artifacts/a.txt"));
    assert_int_equal(read_rc("0/r1/artifacts/a.txt"), WEIR_ENOTFOUND);
    put("0/r1/artifacts/a.txt", "hello");
    holds("0/r1/artifacts/a.txt", "hello");
    put("0/r1/artifacts/empty", "");
    holds("0/r1/artifacts/empty", "");
    put("top", "x");
    wr_artifact_info a, b, c;
    assert_int_equal(stat_rc("0/r1/artifacts/a.txt", &a), 0);
    assert_int_equal(a.size, 5);
    assert_false(a.is_dir);
    assert_true(a.mtime_us > wr_clock_wall_us() - 600 * WR_US && a.mtime_us < wr_clock_wall_us() + 600 * WR_US);
    assert_int_equal(stat_rc("0/r1", &b), 0);
    assert_true(b.is_dir);
    assert_int_equal(stat_rc("", &b), 0);
    assert_true(b.is_dir);
    assert_int_equal(stat_rc("0/r", &b), WEIR_ENOTFOUND); /* not a prefix of letters */
    put("0/r1/artifacts/a.txt", "other");                 /* replaced */
    holds("0/r1/artifacts/a.txt", "other");
    assert_int_equal(stat_rc("0/r1/artifacts/a.txt", &c), 0);
    assert_string_not_equal(a.etag, c.etag);
    assert_int_equal(read_rc("0/r1"), WEIR_EINVAL);
    assert_int_equal(read_rc("0/r1/artifacts/a.txt/b"), WEIR_ENOTFOUND);
}

static void names(void **state)
{
    (void)state;
    static const char *const good[] = {"a b+c%20=d:e@f,g;h&i'j(k)*!~.txt",
                                       "day=2026-11-28/x",
                                       "\xc3\xa4\xe2\x82\xac/\xf0\x9f\x9a\x80",
                                       "..a",
                                       "a..",
                                       ".hidden",
                                       "a?b",
                                       "a\"b<c>d|e",
                                       "-",
                                       "$HOME`x`",
                                       "100%",
                                       "%2e%2e",
                                       "e\xcc\x81",
                                       "{x}[y]^"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        put(good[i], good[i]);
        holds(good[i], good[i]);
    }
    lists("day=2026-11-28", "x:16");
    lists("\xc3\xa4\xe2\x82\xac", "\xf0\x9f\x9a\x80:10");
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        del(good[i]);
        assert_false(there(good[i]));
    }
    lists("", "");
}

static void bad_paths(void **state)
{
    (void)state;
    char longest[WR_ARTIFACT_PATH + 2], segment[300];
    memset(longest, 'a', sizeof longest);
    for (size_t i = 100; i < sizeof longest; i += 100) longest[i] = '/';
    longest[sizeof longest - 1] = 0;
    memset(segment, 's', sizeof segment);
    segment[256] = 0;
    const char *const bad[] = {
        "/a",   "..",       "a/..",     "../a",           "a/../b", ".",    "./a", "a/.",  "a//b",
        "a/",   "/",        "a#b",      "a\\b",           "..\\..", "C:/x", "c:/", "a\nb", "a\x7f",
        "\x01", "\xff\xfe", "\xc0\xaf", "a/\xed\xa0\x80", longest,  segment};
    wr_artifact_info info;
    wr_artifact_writer *w;
    wr_artifact_reader *r;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (put_rc(bad[i], "x") != WEIR_EINVAL) fail_msg("'%s' was taken", bad[i]);
        assert_int_equal(wr_artifacts_write(&w, s, P(bad[i]), -1, E), WEIR_EINVAL);
        assert_non_null(strstr(E->msg, "invalid path"));
        assert_int_equal(wr_artifacts_read(&r, s, P(bad[i]), E), WEIR_EINVAL);
        assert_int_equal(wr_artifacts_stat(&info, s, P(bad[i]), E), WEIR_EINVAL);
        assert_int_equal(wr_artifacts_delete(s, P(bad[i]), E), WEIR_EINVAL);
    }
    assert_int_equal(put_rc("", "x"), WEIR_EINVAL);
    assert_int_equal(wr_artifacts_delete(s, P(""), E), WEIR_EINVAL);
    assert_int_equal(wr_artifact_path_check((wr_str){"a\0b", 3}, E), WEIR_EINVAL);
    if (strcmp(now->name, "directory") == 0) assert_int_equal(put_rc(".weir-tmp/x", "x"), WEIR_EINVAL);
    lists("", "");
    assert_false(wr_file_exists(in("a")));
}

static void lists_one_level(void **state)
{
    (void)state;
    lists("", "");
    lists("none", "");
    put("1/r/artifacts/model/MLmodel", "flavors");
    put("1/r/artifacts/model/data/x.bin", "1");
    put("1/r/artifacts/model/data/y.bin", "22");
    put("1/r/artifacts/model.txt", "z");
    put("1/r/artifacts/model-2/a", "z");
    put("1/r/artifacts/b", "bb");
    put("1/r2/artifacts/b", "bb");
    put("10/r2/artifacts/b", "bb");
    lists("", "1/ 10/");
    lists("1", "r/ r2/");
    lists("1/r/artifacts", "b:2 model/ model-2/ model.txt:1");
    lists("1/r/artifacts/model", "MLmodel:7 data/");
    lists("1/r/artifacts/model/data", "x.bin:1 y.bin:2");
    lists("1/r/artifacts/b", "");
    lists("1/r/artifacts/mod", "");
}

static void long_lists(void **state)
{
    (void)state;
    enum { FOLDERS = 3, EACH = 40 };
    char path[64];
    WR_AUTOBUF wr_buf want;
    wr_buf_init(&want, 0);
    for (int f = 0; f < FOLDERS; f++) {
        for (int i = 0; i < EACH; i++) {
            snprintf(path, sizeof path, "d/f%d/%03d", f, i);
            put(path, "x");
            snprintf(path, sizeof path, "d/%03d-%d", i, f);
            put(path, "x");
        }
    }
    for (int i = 0; i < EACH; i++)
        for (int f = 0; f < FOLDERS; f++) wr_buf_printf(&want, "%03d-%d:1 ", i, f);
    for (int f = 0; f < FOLDERS; f++) wr_buf_printf(&want, "%sf%d/", f ? " " : "", f);
    lists("d", wr_buf_cstr(&want));
    del("d");
    lists("", "");
}

static void deletes(void **state)
{
    (void)state;
    put("1/a", "same");
    put("1/b/c", "same");
    put("1/b/d/e", "other");
    put("1/b-2", "more");
    put("2/a", "same");
    del("1/b");
    lists("1", "a:4 b-2:4");
    assert_false(there("1/b/d/e"));
    holds("2/a", "same"); /* the same bytes under another path stay */
    del("1/none");
    del("1/a/below");
    holds("1/a", "same");
    del("1/a");
    holds("2/a", "same");
    del("1");
    lists("", "2/");
    del("2/a");
    lists("", ""); /* a folder goes with its last file */
    if (!now->remote) assert_int_equal(files(), 0);
    put("2", "a file now");
    holds("2", "a file now");
}

static void file_or_folder(void **state)
{
    (void)state;
    if (now->remote) return; /* S3 knows no folders */
    wr_artifact_writer *w;
    put("a", "x");
    put("d/x/y", "x");
    assert_int_equal(put_rc("a/b", "x"), WEIR_EEXIST);
    assert_int_equal(put_rc("a/b/c", "x"), WEIR_EEXIST);
    assert_int_equal(put_rc("d", "x"), WEIR_EEXIST);
    assert_int_equal(put_rc("d/x", "x"), WEIR_EEXIST);
    OK(wr_artifacts_write(&w, s, P("n/m"), -1, E)); /* decided by what is there at the commit */
    put("n", "x");
    assert_int_equal(wr_artifact_commit(w, NULL, E), WEIR_EEXIST);
    OK(wr_artifacts_write(&w, s, P("k"), -1, E));
    put("k/l", "x");
    assert_int_equal(wr_artifact_commit(w, NULL, E), WEIR_EEXIST);
    lists("", "a:1 d/ k/ n:1");
    assert_int_equal(files(), strcmp(now->name, "objects") == 0 ? 1 : 4);
}

static void pieces_and_ranges(void **state)
{
    (void)state;
    size_t n = ((size_t)17 << 20) + 12345; /* more than two parts of S3 */
    char *all = malloc(n), *got = malloc(n);
    assert_true(all && got);
    for (size_t i = 0; i < n; i++) all[i] = byte_at(i);
    wr_artifact_writer *w;
    wr_artifact_info info;
    OK(wr_artifacts_write(&w, s, P("big/file.bin"), (int64_t)n, E));
    for (size_t at = 0, step = 1; at < n; at += step, step = step * 3 % 200000 + 1) {
        if (step > n - at) step = n - at;
        OK(wr_artifact_add(w, (wr_str){all + at, step}, E));
    }
    assert_false(there("big/file.bin"));
    OK(wr_artifact_commit(w, &info, E));
    assert_int_equal(info.size, n);
    wr_artifact_reader *r;
    OK(wr_artifacts_read(&r, s, P("big/file.bin"), E));
    assert_int_equal(wr_artifact_reader_info(r)->size, n);
    assert_int_equal(wr_artifact_get(r, 0, got, n, NULL), n);
    assert_memory_equal(got, all, n);
    assert_int_equal(wr_artifact_get(r, (int64_t)n - 10, got, 100, NULL), 10);
    assert_memory_equal(got, all + n - 10, 10);
    assert_int_equal(wr_artifact_get(r, 8388600, got, 100000, NULL), 100000);
    assert_memory_equal(got, all + 8388600, 100000);
    assert_int_equal(wr_artifact_get(r, (int64_t)n, got, 10, NULL), 0);
    assert_int_equal(wr_artifact_get(r, (int64_t)n + 10, got, 10, NULL), 0);
    assert_int_equal(wr_artifact_get(r, -1, got, 10, NULL), WEIR_EINVAL);
    assert_true((wr_artifact_reader_fd(r) >= 0) == !now->remote);
    wr_artifact_reader_close(r);
    free(all);
    free(got);
}

static void sizes_are_kept_to(void **state)
{
    (void)state;
    wr_artifact_writer *w;
    OK(wr_artifacts_write(&w, s, P("a"), 10, E));
    OK(wr_artifact_add(w, P("12345"), E));
    assert_int_equal(wr_artifact_commit(w, NULL, E), WEIR_EINVAL); /* cut short */
    assert_false(there("a"));
    OK(wr_artifacts_write(&w, s, P("a"), 3, E));
    assert_int_equal(wr_artifact_add(w, P("12345"), E), WEIR_EINVAL);
    wr_artifact_abort(w);
    wr_artifact_abort(NULL);
    assert_false(there("a"));
    if (!now->remote) {
        assert_int_equal(wr_artifacts_write(&w, s, P("a"), (int64_t)1 << 60, E), WEIR_ENOSPC);
        assert_int_equal(files(), 0);
    }
}

static void aborts(void **state)
{
    (void)state;
    wr_artifact_writer *w;
    put("a", "old");
    OK(wr_artifacts_write(&w, s, P("a"), -1, E));
    for (int i = 0; i < 10; i++) OK(wr_artifact_add(w, P("new content"), E));
    holds("a", "old");
    wr_artifact_abort(w);
    holds("a", "old");
    lists("", "a:3");
    if (!now->remote) assert_int_equal(files(), 1);
}

static void readers_keep_what_they_opened(void **state)
{
    (void)state;
    char got[10];
    wr_artifact_reader *r;
    put("a", "first");
    OK(wr_artifacts_read(&r, s, P("a"), E));
    if (!now->remote) {
        put("a", "second one");
        assert_int_equal(wr_artifact_get(r, 0, got, sizeof got, NULL), 5);
        assert_memory_equal(got, "first", 5);
        del("a");
        assert_int_equal(wr_artifact_get(r, 0, got, sizeof got, NULL), 5);
    } else { /* S3 cannot keep it, and must not mix two contents */
        put("a", "second one");
        assert_int_equal(wr_artifact_get(r, 0, got, sizeof got, NULL), WEIR_ECONFLICT);
    }
    wr_artifact_reader_close(r);
}

/* Everybody writes the same path; whoever reads sees one of the contents, whole. */
static atomic_bool writing;
static void *write_often(void *arg)
{
    char text[3000];
    memset(text, *(char *)arg, sizeof text - 1);
    text[sizeof text - 1] = 0;
    for (int i = 0; i < (now->remote ? 5 : 25); i++) {
        if (put_rc("shared/x", text) < 0) abort();
        if (i % 7 == 3) wr_artifacts_delete(s, P("shared"), NULL);
    }
    return NULL;
}

static void *read_often(void *arg)
{
    (void)arg;
    char got[4000];
    while (atomic_load(&writing)) {
        wr_artifact_reader *r;
        int rc = wr_artifacts_read(&r, s, P("shared/x"), E);
        if (rc == WEIR_ENOTFOUND) continue;
        if (rc < 0) fail_msg("%s: %s", E->msg, E->detail);
        int64_t n = wr_artifact_get(r, 0, got, sizeof got, E);
        wr_artifact_reader_close(r);
        if (now->remote && (n == WEIR_ECONFLICT || n == WEIR_ENOTFOUND)) continue;
        if (n != 2999) fail_msg("%lld %s", (long long)n, E->msg);
        for (int64_t i = 1; i < n; i++) assert_int_equal(got[i], got[0]);
    }
    return NULL;
}

static void many_at_once(void **state)
{
    (void)state;
    pthread_t t[6];
    char which[4] = "abab"; /* two of them have the same content */
    atomic_store(&writing, true);
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&t[4 + i], NULL, read_often, NULL), 0);
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&t[i], NULL, write_often, &which[i]), 0);
    for (int i = 0; i < 4; i++) pthread_join(t[i], NULL);
    atomic_store(&writing, false);
    for (int i = 4; i < 6; i++) pthread_join(t[i], NULL);
    del("shared");
    if (!now->remote) assert_int_equal(files(), 0);
}

static void survives_reopening(void **state)
{
    (void)state;
    put("1/a", "kept");
    close_store();
    open_store();
    holds("1/a", "kept");
}

/* ---- parts ---- */

static void part(const char *path, const char *id, wr_artifact_part *p, char fill, size_t n)
{
    wr_artifact_writer *w;
    wr_artifact_info info;
    char *text = malloc(n);
    memset(text, fill, n);
    OK(wr_artifacts_part_write(&w, s, P(path), id, p->number, E));
    OK(wr_artifact_add(w, (wr_str){text, n / 2}, E));
    OK(wr_artifact_add(w, (wr_str){text + n / 2, n - n / 2}, E));
    OK(wr_artifact_commit(w, &info, E));
    assert_int_equal(info.size, n);
    memcpy(p->etag, info.etag, sizeof info.etag);
    free(text);
}

static void in_parts(void **state)
{
    (void)state;
    enum { FULL = 5 << 20 }; /* S3's least, but for the last */
    char id[WR_ARTIFACT_UPLOAD];
    wr_artifact_part p[3] = {{.number = 1}, {.number = 2}, {.number = 7}}, wrong[3];
    wr_artifact_info info;
    OK(wr_artifacts_parts_create(id, s, P("m/big"), E));
    part("m/big", id, &p[1], 'x', FULL);
    part("m/big", id, &p[0], 'a', FULL);
    memcpy(wrong, p, sizeof wrong);
    part("m/big", id, &p[1], 'b', FULL); /* again, other bytes: the last one counts */
    part("m/big", id, &p[2], 'c', 10);
    assert_false(there("m/big"));
    assert_int_equal(wr_artifacts_parts_complete(s, P("m/big"), id, wrong, 2, NULL, E), WEIR_EINVAL); /* old etag */
    assert_int_equal(wr_artifacts_parts_complete(s, P("m/big"), id, (wr_artifact_part[]){p[1], p[0]}, 2, NULL, E),
                     WEIR_EINVAL);
    assert_int_equal(wr_artifacts_parts_complete(s, P("m/big"), id, p, 0, NULL, E), WEIR_EINVAL);
    assert_false(there("m/big"));
    OK(wr_artifacts_parts_complete(s, P("m/big"), id, p, 3, &info, E));
    assert_int_equal(info.size, 2 * FULL + 10);
    wr_artifact_reader *r;
    char got[30];
    OK(wr_artifacts_read(&r, s, P("m/big"), E));
    assert_int_equal(wr_artifact_reader_info(r)->size, 2 * FULL + 10);
    assert_int_equal(wr_artifact_get(r, FULL - 10, got, 20, NULL), 20);
    assert_memory_equal(got, "aaaaaaaaaabbbbbbbbbb", 20);
    assert_int_equal(wr_artifact_get(r, 2 * FULL - 5, got, 20, NULL), 15);
    assert_memory_equal(got, "bbbbbcccccccccc", 15);
    wr_artifact_reader_close(r);
    del("m");
    if (!now->remote) assert_int_equal(files(), 0);
}

static void parts_of_nothing(void **state)
{
    (void)state;
    char id[WR_ARTIFACT_UPLOAD];
    wr_artifact_part p = {.number = 1};
    wr_artifact_writer *w;
    OK(wr_artifacts_parts_create(id, s, P("a"), E));
    part("a", id, &p, 'a', 100);
    wr_artifact_part absent[2] = {p, {.number = 2}};
    assert_int_equal(wr_artifacts_parts_complete(s, P("a"), id, absent, 2, NULL, E), WEIR_EINVAL);
    if (!now->remote) { /* an id is good for one path */
        assert_int_equal(wr_artifacts_part_write(&w, s, P("b"), id, 1, E), WEIR_ENOTFOUND);
        assert_int_equal(wr_artifacts_parts_complete(s, P("b"), id, &p, 1, NULL, E), WEIR_ENOTFOUND);
        assert_int_equal(wr_artifacts_parts_abort(s, P("b"), id, E), WEIR_ENOTFOUND);
    }
    assert_int_equal(wr_artifacts_part_write(&w, s, P("a"), id, 0, E), WEIR_EINVAL);
    assert_int_equal(wr_artifacts_part_write(&w, s, P("a"), id, 10001, E), WEIR_EINVAL);
    OK(wr_artifacts_parts_abort(s, P("a"), id, E));
    int rc = wr_artifacts_parts_complete(s, P("a"), id, &p, 1, NULL, E);
    /* radosgw 16 takes an upload that is gone for one that is being completed */
    if (rc != WEIR_ENOTFOUND && !(now->remote && rc == WEIR_EUNAVAILABLE)) fail_msg("%d %s: %s", rc, E->msg, E->detail);
    assert_int_equal(wr_artifacts_parts_abort(s, P("a"), id, E), WEIR_ENOTFOUND);
    assert_false(there("a"));
    if (now->remote) return;
    static const char *const bad[] = {"", "../../etc", "0123456789abcdef0123456789abcdef",
                                      "0123456789ABCDEF0123456789abcdef"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(wr_artifacts_part_write(&w, s, P("a"), bad[i], 1, E), WEIR_ENOTFOUND);
        assert_int_equal(wr_artifacts_parts_abort(s, P("a"), bad[i], E), WEIR_ENOTFOUND);
    }
    assert_int_equal(files(), 0);
}

/* The store's own URLs: whoever has one reads or writes there without keys. */
static int by_link(const char *method, const char *url, wr_str body, wr_fetch_reply *a)
{
    wr_fetch *f;
    OK(wr_fetch_open(&f, E));
    OK(wr_fetch_run(a, f, &(wr_fetch_opt){.method = method, .url = url, .body = body}, E));
    wr_fetch_close(f);
    return a->status;
}

static void links(void **state)
{
    (void)state;
    if (!now->remote) return;
    char id[WR_ARTIFACT_UPLOAD], changed[4000];
    wr_artifact_part p = {.number = 1};
    wr_fetch_reply a = {0};
    WR_AUTOBUF wr_buf url;
    wr_buf_init(&url, 0);
    put("d/a b=c", "hello");
    OK(wr_artifacts_presign(&url, s, "GET", P("d/a b=c"), NULL, 0, 60, E));
    assert_int_equal(by_link("GET", wr_buf_cstr(&url), (wr_str){0}, &a), 200);
    assert_true(wr_str_is(wr_buf_view(&a.body), "hello"));
    snprintf(changed, sizeof changed, "%s", wr_buf_cstr(&url));
    *strstr(changed, "Expires=60") = 'e';
    assert_int_equal(by_link("GET", changed, (wr_str){0}, &a), 403);
    assert_int_equal(by_link("DELETE", wr_buf_cstr(&url), (wr_str){0}, &a), 403);
    wr_buf_clear(&url);
    OK(wr_artifacts_presign(&url, s, "PUT", P("d/new"), NULL, 0, 60, E));
    assert_int_equal(by_link("PUT", wr_buf_cstr(&url), WR_STR("by link"), &a), 200);
    holds("d/new", "by link");
    OK(wr_artifacts_parts_create(id, s, P("d/parts"), E));
    wr_buf_clear(&url);
    OK(wr_artifacts_presign(&url, s, "PUT", P("d/parts"), id, 1, 60, E));
    assert_int_equal(by_link("PUT", wr_buf_cstr(&url), WR_STR("only part"), &a), 200);
    wr_str etag = wr_fetch_header(&a, "etag");
    snprintf(p.etag, sizeof p.etag, "%.*s", (int)etag.n - 2, etag.p + 1);
    OK(wr_artifacts_parts_complete(s, P("d/parts"), id, &p, 1, NULL, E));
    holds("d/parts", "only part");
    wr_fetch_reply_free(&a);
}

/* More keys than a page of S3 has, in the list and in the deletion. */
static void many_keys(void **state)
{
    (void)state;
    if (!now->remote) return;
    enum { N = 1105 };
    char path[64];
    for (int i = 0; i < N; i++) {
        snprintf(path, sizeof path, "m/%05d&<x>", i);
        put(path, "");
    }
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_artifact_entry *list;
    size_t n;
    OK(wr_artifacts_list(&list, &n, a, s, P("m"), E));
    assert_int_equal(n, N);
    for (int i = 0; i < N; i++) {
        snprintf(path, sizeof path, "%05d&<x>", i);
        assert_string_equal(list[i].name, path);
    }
    del("m");
    lists("", "");
}

static void damaged_parts(void **state)
{
    (void)state;
    if (now->remote) return;
    char id[WR_ARTIFACT_UPLOAD], path[700];
    wr_artifact_part p = {.number = 1};
    put("a", "old");
    OK(wr_artifacts_parts_create(id, s, P("a"), E));
    part("a", id, &p, 'a', 100);
    snprintf(path, sizeof path, "%s/scratch/uploads/%s/00001-%s", dir, id, p.etag);
    assert_int_equal(wr_file_size(path), 100);
    assert_int_equal(truncate(path, 50), 0);
    assert_int_equal(wr_artifacts_parts_complete(s, P("a"), id, &p, 1, NULL, E), WEIR_EINVAL);
    holds("a", "old");
    OK(wr_artifacts_parts_abort(s, P("a"), id, E));
}

/* ---- sweeping ---- */

static void age(const char *path, int64_t days)
{
    time_t then = time(NULL) - days * 86400;
    struct timespec times[2] = {{.tv_sec = then}, {.tv_sec = then}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void sweeps(void **state)
{
    (void)state;
    if (now->remote) return;
    char id[WR_ARTIFACT_UPLOAD], young[WR_ARTIFACT_UPLOAD], path[700];
    wr_artifact_part p = {.number = 1};
    put("a", "kept");
    OK(wr_artifacts_parts_create(id, s, P("a"), E));
    part("a", id, &p, 'a', 100);
    OK(wr_artifacts_parts_create(young, s, P("a"), E));
    snprintf(path, sizeof path, "%s/scratch/uploads/%s", dir, id);
    age(path, 8);
    if (strcmp(now->name, "objects") == 0) { /* what a crash between object and row leaves */
        char lost[WR_SHA256_HEX], fresh[WR_SHA256_HEX], kept[WR_SHA256_HEX];
        WR_AUTOARENA wr_arena *a = wr_arena_new(0);
        assert_int_equal(wr_objects_put(objects, WR_STR("lost"), lost, NULL), 0);
        assert_int_equal(wr_objects_put(objects, WR_STR("about to get its row"), fresh, NULL), 0);
        wr_sha256_of("kept", 4, kept);
        age(wr_objects_path(objects, a, lost), 2);
        age(wr_objects_path(objects, a, kept), 2);
        OK(wr_artifacts_sweep(s, E));
        assert_false(wr_objects_has(objects, lost));
        assert_true(wr_objects_has(objects, fresh));
    } else {
        snprintf(path, sizeof path, "%s/files/.weir-tmp/1-2", dir);
        assert_int_equal(wr_file_write(path, WR_STR("x"), NULL), 0);
        age(path, 2);
        OK(wr_artifacts_sweep(s, E));
        close_store();
        open_store();
        assert_false(wr_file_exists(path));
    }
    assert_int_equal(wr_artifacts_parts_abort(s, P("a"), id, E), WEIR_ENOTFOUND);
    OK(wr_artifacts_parts_abort(s, P("a"), young, E));
    holds("a", "kept");
}

/* ---- of one kind ---- */

static void only_of_objects(void)
{
    put("a", "the same");
    put("b", "the same");
    assert_int_equal(files_on_disk(in("objects")), 1);
    put("a", "another"); /* the other path still names the first */
    assert_int_equal(files_on_disk(in("objects")), 2);
    put("b", "another");
    assert_int_equal(files_on_disk(in("objects")), 1);
    holds("a", "another");
    char id[WR_SHA256_HEX];
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_artifact_info info;
    wr_sha256_of("another", 7, id);
    assert_int_equal(stat_rc("a", &info), 0);
    assert_string_equal(info.etag, id);
    assert_int_equal(unlink(wr_objects_path(objects, a, id)), 0); /* somebody's hand */
    assert_int_equal(read_rc("a"), WEIR_ECORRUPT);
    put("b", "another"); /* heals */
    holds("a", "another");
}

static void only_of_directory(void)
{
    put("sub/a", "x");
    assert_int_equal(wr_file_size(in("files/sub/a")), 1); /* plain files, where one looks for them */
    assert_int_equal(wr_file_mkdirs(in("outside"), NULL), 0);
    assert_int_equal(wr_file_write(in("outside/secret"), WR_STR("s"), NULL), 0);
    assert_int_equal(symlink(in("outside"), in("files/out")), 0);
    assert_int_equal(symlink(in("outside/secret"), in("files/link")), 0);
    assert_int_equal(mkfifo(in("files/pipe"), 0644), 0);
    lists("", "sub/");
    lists("out", "");
    assert_int_equal(read_rc("out/secret"), WEIR_ENOTFOUND);
    assert_int_equal(read_rc("link"), WEIR_ENOTFOUND);
    assert_int_equal(read_rc("pipe"), WEIR_ENOTFOUND);
    assert_int_equal(put_rc("out/new", "x"), WEIR_EEXIST);
    del("out/secret");
    assert_true(wr_file_exists(in("outside/secret")));
    put("link", "mine now"); /* replaces the link, not what it points to */
    assert_int_equal(wr_file_size(in("outside/secret")), 1);
    assert_int_equal(mkdir(in("files/empty"), 0755), 0);
    put("empty", "an empty folder is none");
    holds("empty", "an empty folder is none");
}

static void of_one_kind(void **state)
{
    (void)state;
    if (strcmp(now->name, "objects") == 0) only_of_objects();
    if (strcmp(now->name, "directory") == 0) only_of_directory();
}

static void places(void **state)
{
    (void)state;
    wr_artifacts *other;
    wr_artifacts_opt opt = {.base = dir};
    static const char *const bad[] = {"ftp://x/y", "file://host/x", "file:relative", "file:///a%2",
                                      "gs://b",    "file://",       "file:////x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (wr_artifacts_open(&other, bad[i], &opt, E) != WEIR_EINVAL) fail_msg("'%s' was taken", bad[i]);
    }
    assert_int_equal(wr_artifacts_open(&other, NULL, &opt, E), WEIR_EINVAL); /* objects without a project */
    assert_int_equal(wr_artifacts_open(&other, "gs://b", &opt, E), WEIR_EINVAL);
    assert_non_null(strstr(E->hint, "objects"));
    assert_int_equal(wr_artifacts_open(&other, "some/folder", &opt, E), 0);
    assert_true(wr_file_exists(in("some/folder/.weir-tmp")));
    wr_artifacts_close(other);
    char url[700];
    snprintf(url, sizeof url, "file://localhost%s/with%%20space", dir);
    assert_int_equal(wr_artifacts_open(&other, url, &opt, E), 0);
    assert_true(wr_file_exists(in("with space")));
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    assert_int_equal(wr_artifacts_presign(&b, other, "GET", P("a"), NULL, 0, 60, E), WEIR_EUNSUPPORTED);
    wr_artifacts_close(other);
    wr_artifacts_close(NULL);
}

/* The bucket that WEIR_TEST_S3 names, on a server that is new. */
static void make_bucket(void)
{
    char name[64];
    wr_s3 *s3;
    wr_fetch_reply a = {0};
    if (!getenv("WEIR_TEST_S3") || !getenv("WEIR_TEST_S3_CREATE")) return;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(getenv("WEIR_TEST_S3") + 5, "/"), getenv("WEIR_TEST_S3") + 5);
    if (wr_s3_open(&s3, name, E) < 0 || wr_s3_call(&a, s3, &(wr_s3_request){.method = "PUT", .key = ""}, E) < 0) {
        fprintf(stderr, "bucket '%s': %s: %s\n", name, E->msg, E->detail);
        exit(1);
    }
    wr_fetch_reply_free(&a);
    wr_s3_close(s3);
}

int main(void)
{
    make_bucket();
    static const struct {
        const char *name;
        CMUnitTestFunction test;
    } cases[] = {
#define C(f) {#f, f}
        C(put_and_get),
        C(names),
        C(bad_paths),
        C(lists_one_level),
        C(long_lists),
        C(deletes),
        C(file_or_folder),
        C(pieces_and_ranges),
        C(sizes_are_kept_to),
        C(aborts),
        C(readers_keep_what_they_opened),
        C(many_at_once),
        C(survives_reopening),
        C(in_parts),
        C(parts_of_nothing),
        C(links),
        C(many_keys),
        C(damaged_parts),
        C(sweeps),
        C(of_one_kind),
#undef C
    };
    enum { CASES = sizeof cases / sizeof *cases };
    struct CMUnitTest tests[KINDS * CASES + 1];
    static char labels[KINDS * CASES][80];
    size_t n = 0;
    for (size_t k = 0; k < KINDS; k++) {
        if (kinds[k].remote && !getenv("WEIR_TEST_S3")) continue;
        for (size_t i = 0; i < CASES; i++, n++) {
            snprintf(labels[n], sizeof labels[n], "%s: %s", kinds[k].name, cases[i].name);
            tests[n] = (struct CMUnitTest){labels[n], cases[i].test, setup, teardown, (void *)&kinds[k]};
        }
    }
    tests[n++] = (struct CMUnitTest){"places", places, setup, teardown, (void *)&kinds[0]};
    return _cmocka_run_group_tests("artifacts", tests, n, NULL, NULL);
}
