/* SPDX-License-Identifier: Apache-2.0 */
/* file_test.c - whole files, copies, trees, locks, paths; every write, fsync, rename and allocation failing in turn,
 * and a crash at every step: afterwards the file holds the old bytes or the new ones. */
#include "io/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"

static wr_arena *arena;
static char *top;

static int setup(void **state)
{
    (void)state;
    static char path[256];
    const char *base = getenv("TMPDIR");
    if (snprintf(path, sizeof path, "%s/weir-file-XXXXXX", base && *base ? base : "/tmp") >= (int)sizeof path)
        return -1;
    arena = wr_arena_new(0);
    top = mkdtemp(path);
    return arena && top ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    int rc = wr_file_remove_tree(top, NULL);
    wr_arena_free(arena);
    return rc;
}

static char *at(const char *name) { return wr_path_join(arena, top, name); }

static void put(const char *name, const char *text)
{
    assert_int_equal(wr_file_write(at(name), wr_str_of(text), NULL), 0);
}

static void holds(const char *name, const char *text)
{
    wr_buf b;
    wr_buf_init(&b, 0);
    assert_int_equal(wr_file_read(&b, at(name), 1 << 20, NULL), 0);
    assert_string_equal(wr_buf_cstr(&b), text);
    wr_buf_fini(&b);
}

static size_t count(const char *name)
{
    char **names;
    size_t n;
    assert_int_equal(wr_file_list(&names, &n, arena, at(name), NULL), 0);
    return n;
}

/* ---- reading ---- */

static void test_read(void **state)
{
    (void)state;
    wr_buf b;
    wr_err err = {0};
    put("r", "hello");
    wr_buf_init(&b, 0);
    wr_buf_str(&b, ">");
    assert_int_equal(wr_file_read(&b, at("r"), 5, &err), 0); /* exactly the limit */
    assert_string_equal(b.p, ">hello");
    assert_int_equal(wr_file_read(&b, at("r"), 4, &err), WEIR_ELIMIT);
    assert_string_equal(b.p, ">hello"); /* as before */
    assert_int_equal(wr_file_read(&b, at("absent"), 10, &err), WEIR_ENOTFOUND);
    assert_non_null(strstr(err.msg, "absent"));
    assert_int_equal(wr_file_read(&b, top, 10, &err), WEIR_EINVAL);
    assert_non_null(strstr(err.msg, "folder"));
    wr_buf_clear(&b);
    assert_int_equal(wr_file_read(&b, "/proc/self/status", 1 << 20, &err), 0); /* says that it has 0 bytes */
    assert_true(b.n > 100 && wr_str_starts(wr_buf_view(&b), "Name:"));
    assert_int_equal(wr_file_read(&b, "/proc/self/status", 10, &err), WEIR_ELIMIT);
    assert_int_equal(wr_file_read(&b, "/dev/zero", 1000, &err), WEIR_ELIMIT);
    wr_buf_fini(&b);
    wr_buf_init(&b, 5); /* the buffer's own cap is a limit too, not a lack of memory */
    assert_int_equal(wr_file_read(&b, at("r"), 100, &err), 0);
    assert_int_equal(wr_file_read(&b, at("r"), 100, &err), WEIR_ELIMIT);
    wr_buf_fini(&b);
}

static void test_large_read(void **state)
{
    (void)state;
    size_t n = 3000001;
    char *data = malloc(n);
    wr_buf b;
    assert_non_null(data);
    for (size_t i = 0; i < n; i++) data[i] = (char)(i * 31 >> 3);
    assert_int_equal(wr_file_write(at("large"), (wr_str){data, n}, NULL), 0);
    wr_buf_init(&b, 0);
    assert_int_equal(wr_file_read(&b, at("large"), n, NULL), 0);
    assert_true(b.n == n && memcmp(b.p, data, n) == 0);
    wr_buf_fini(&b);
    free(data);
}

/* ---- writing ---- */

static void test_write(void **state)
{
    (void)state;
    struct stat st;
    wr_err err = {0};
    umask(022);
    put("w", "one");
    put("w", "two");
    holds("w", "two");
    assert_int_equal(stat(at("w"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
    put("w", "");
    assert_int_equal(wr_file_size(at("w")), 0);
    assert_int_equal(wr_file_write(at("no/such/folder"), WR_STR("x"), &err), WEIR_ENOTFOUND);
    assert_int_equal(wr_file_write("", WR_STR("x"), &err), WEIR_EINVAL);
    assert_int_equal(wr_file_write(at("w/"), WR_STR("x"), &err), WEIR_EINVAL);
    assert_int_equal(wr_file_mkdirs(at("folder"), NULL), 0);
    assert_true(wr_file_write(at("folder"), WR_STR("x"), &err) < 0); /* a folder is not replaced by a file */
    assert_int_equal(count("folder"), 0);
    assert_int_equal(wr_file_write("/dev/full/x", WR_STR("x"), &err), WEIR_EIO);
    char name[256]; /* the longest name a file may have leaves no room for a suffix */
    memset(name, 'n', 255);
    name[255] = 0;
    put(name, "long");
    holds(name, "long");
}

static void test_relative(void **state)
{
    (void)state;
    char here[4096];
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(top), 0);
    assert_int_equal(wr_file_write("plain", WR_STR("x"), NULL), 0);
    assert_int_equal(wr_file_mkdirs("q/r//s/", NULL), 0);
    assert_int_equal(wr_file_create("q/r/s/t", WR_STR("y"), NULL), 0);
    assert_int_equal(chdir(here), 0);
    holds("plain", "x");
    holds("q/r/s/t", "y");
}

static void test_create(void **state)
{
    (void)state;
    wr_err err = {0};
    assert_int_equal(wr_file_mkdirs(at("c"), NULL), 0);
    assert_int_equal(wr_file_create(at("c/new"), WR_STR("one"), &err), 0);
    assert_int_equal(wr_file_create(at("c/new"), WR_STR("two"), &err), WEIR_EEXIST);
    holds("c/new", "one");
    assert_int_equal(symlink("nowhere", at("c/dangling")), 0); /* a link to nothing takes the name too */
    assert_int_equal(wr_file_create(at("c/dangling"), WR_STR("two"), &err), WEIR_EEXIST);
    assert_int_equal(count("c"), 2); /* no draft stays behind */
}

typedef struct {
    int won;
    int id;
} racer;

static void *race(void *arg)
{
    racer *r = arg;
    char text[16];
    for (int i = 0; i < 40; i++) {
        char path[300];
        snprintf(path, sizeof path, "%s/race/%d", top, i);
        int n = snprintf(text, sizeof text, "%d", r->id);
        int rc = wr_file_create(path, (wr_str){text, (size_t)n}, NULL);
        if (rc == 0) r->won++;
        else if (rc != WEIR_EEXIST) r->won = -1000;
    }
    return NULL;
}

static void test_create_is_exclusive(void **state)
{
    (void)state;
    pthread_t threads[3];
    racer racers[3] = {{0, 0}, {0, 1}, {0, 2}};
    assert_int_equal(wr_file_mkdirs(at("race"), NULL), 0);
    for (int i = 0; i < 3; i++) assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    int won = 0;
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        won += racers[i].won;
    }
    assert_int_equal(won, 40); /* each name has one winner */
    assert_int_equal(count("race"), 40);
}

static void test_publish(void **state)
{
    (void)state;
    wr_err err = {0};
    put("part", "done");
    put("final", "old");
    assert_int_equal(wr_file_publish(at("part"), at("final"), &err), 0);
    holds("final", "done");
    assert_false(wr_file_exists(at("part")));
    assert_int_equal(wr_file_publish(at("part"), at("final"), &err), WEIR_ENOTFOUND);
    holds("final", "done");
}

static void test_copy(void **state)
{
    (void)state;
    struct stat st;
    wr_err err = {0};
    put("from", "copy me");
    assert_int_equal(wr_file_copy(at("from"), at("to"), &err), 0);
    holds("to", "copy me");
    assert_int_equal(chmod(at("from"), 0755), 0);
    assert_int_equal(wr_file_copy(at("from"), at("to"), &err), 0);
    assert_int_equal(stat(at("to"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0755);
    assert_int_equal(wr_file_copy(at("from"), at("from"), &err), 0); /* on itself */
    holds("from", "copy me");
    assert_int_equal(wr_file_copy("/proc/self/status", at("status"), &err), 0);
    assert_true(wr_file_size(at("status")) > 100);
    assert_int_equal(wr_file_copy("/sys/kernel/mm/transparent_hugepage/enabled", at("sys"), &err) == 0 ||
                         err.code == WEIR_ENOTFOUND,
                     1); /* another file system */
    assert_int_equal(wr_file_copy(at("nothing"), at("to"), &err), WEIR_ENOTFOUND);
    assert_int_equal(wr_file_copy(top, at("to"), &err), WEIR_EINVAL);
    holds("to", "copy me");
}

static void test_permissions(void **state)
{
    (void)state;
    if (geteuid() == 0) return; /* root may do everything */
    wr_err err = {0};
    assert_int_equal(wr_file_mkdirs(at("closed"), NULL), 0);
    assert_int_equal(chmod(at("closed"), 0555), 0);
    assert_int_equal(wr_file_write(at("closed/x"), WR_STR("x"), &err), WEIR_EACCESS);
    assert_true(err.hint[0] != 0);
    assert_int_equal(chmod(at("closed"), 0755), 0);
}

/* ---- faults ---- */

static int do_write(void) { return wr_file_write(at("f/x"), WR_STR("new bytes"), NULL); }
static int do_create(void)
{
    wr_file_remove(at("f/y"), NULL);
    return wr_file_create(at("f/y"), WR_STR("new bytes"), NULL);
}
static int do_copy(void) { return wr_file_copy(at("f/source"), at("f/x"), NULL); }
static int do_mkdirs(void)
{
    wr_file_remove_tree(at("f/a"), NULL);
    return wr_file_mkdirs(at("f/a/b/c"), NULL);
}
static int do_publish(void)
{
    if (wr_file_write(at("f/draft"), WR_STR("new bytes"), NULL) < 0) return -1;
    return wr_file_publish(at("f/draft"), at("f/x"), NULL);
}

static void whole_or_absent(const char *name)
{
    if (!wr_file_exists(at(name))) return;
    wr_buf b;
    wr_buf_init(&b, 0);
    assert_int_equal(wr_file_read(&b, at(name), 100, NULL), 0);
    if (strcmp(b.p, "old bytes") != 0 && strcmp(b.p, "new bytes") != 0) fail_msg("%s holds '%s'", name, b.p);
    wr_buf_fini(&b);
}

/* Without fsync: this runs some hundred times. */
static void put_plain(const char *name, const char *text)
{
    FILE *f = fopen(at(name), "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void prepare(void)
{
    assert_int_equal(wr_file_remove_tree(at("f"), NULL), 0);
    assert_int_equal(mkdir(at("f"), 0755), 0);
    put_plain("f/x", "old bytes");
    put_plain("f/source", "new bytes");
}

static int (*const actions[])(void) = {do_write, do_create, do_copy, do_mkdirs, do_publish};
enum { ACTIONS = sizeof actions / sizeof *actions };

static void fail_each(wr_fault_kind kind, bool sticky, int action)
{
    int errors = 0;
    for (long n = 1; n < 100; n++) {
        prepare();
        wr_fault_arm(kind, n, sticky);
        int rc = actions[action]();
        bool fired = wr_fault_fired(kind);
        wr_fault_arm(kind, 0, false);
        if (!fired) {
            assert_int_equal(rc, 0);
            assert_true(errors > 0 || (action == 3 && kind != WR_FAULT_FSYNC && kind != WR_FAULT_ALLOC));
            return;
        }
        errors += rc < 0;
        if (!sticky || rc == 0) whole_or_absent("f/x");
        whole_or_absent("f/y");
        char **names;
        size_t k;
        assert_int_equal(wr_file_list(&names, &k, arena, at("f"), NULL), 0);
        for (size_t i = 0; i < k; i++) assert_false(wr_str_starts(wr_str_of(names[i]), ".weir-")); /* drafts are gone */
    }
    fail_msg("action %d does not end", action);
}

static void test_faults(void **state)
{
    (void)state;
    static const wr_fault_kind kinds[] = {WR_FAULT_WRITE, WR_FAULT_FSYNC, WR_FAULT_RENAME};
    for (int a = 0; a < ACTIONS; a++) {
        for (size_t k = 0; k < 3; k++) {
            if (a != 3) {
                fail_each(kinds[k], false, a);
                fail_each(kinds[k], true, a);
            }
        }
    }
    fail_each(WR_FAULT_FSYNC, false, 3);
    fail_each(WR_FAULT_ALLOC, false, 0);
    fail_each(WR_FAULT_ALLOC, false, 4);
}

static void test_full_disk_has_a_hint(void **state)
{
    (void)state;
    wr_err err = {0};
    put("full", "old");
    wr_fault_arm(WR_FAULT_WRITE, 1, false);
    assert_int_equal(wr_file_write(at("full"), WR_STR("new"), &err), WEIR_ENOSPC);
    wr_fault_arm(WR_FAULT_WRITE, 0, false);
    assert_true(err.hint[0] && strstr(err.msg, "full"));
    holds("full", "old");
}

/* The process ends at the n-th step: a reader afterwards sees old or new bytes. */
static void test_crashes(void **state)
{
    (void)state;
    for (int a = 0; a < ACTIONS; a++) {
        int crashes = 0;
        for (long n = 1; n < 60; n++) {
            prepare();
            pid_t pid = fork();
            if (pid == 0) {
                wr_fault_arm(WR_FAULT_CRASH, n, false);
                int rc = actions[a]();
                _exit(rc < 0 ? 3 : 0);
            }
            int status;
            assert_int_equal(waitpid(pid, &status, 0), pid);
            assert_true(WIFEXITED(status));
            whole_or_absent("f/x");
            whole_or_absent("f/y");
            assert_true(wr_file_exists(at("f/x")));
            if (WEXITSTATUS(status) == 0) break;
            assert_int_equal(WEXITSTATUS(status), 137);
            crashes++;
        }
        assert_in_range(crashes, 2, 40);
    }
}

/* ---- folders ---- */

static void test_mkdirs(void **state)
{
    (void)state;
    wr_err err = {0};
    assert_int_equal(wr_file_mkdirs(at("m/n/o"), &err), 0);
    assert_int_equal(wr_file_mkdirs(at("m/n/o"), &err), 0);
    assert_int_equal(wr_file_mkdirs("/", &err), 0);
    assert_int_equal(wr_file_mkdirs("", &err), WEIR_EINVAL);
    put("m/file", "x");
    assert_int_equal(wr_file_mkdirs(at("m/file"), &err), WEIR_EEXIST);
    assert_int_equal(wr_file_mkdirs(at("m/file/below"), &err), WEIR_EEXIST);
    assert_non_null(strstr(err.msg, "is a file"));
}

static void test_list(void **state)
{
    (void)state;
    char **names;
    size_t n;
    wr_err err = {0};
    assert_int_equal(wr_file_mkdirs(at("l/z"), NULL), 0);
    put("l/b", "");
    put("l/B", "");
    put("l/.hidden", "");
    assert_int_equal(wr_file_list(&names, &n, arena, at("l"), &err), 0);
    assert_int_equal(n, 4);
    assert_string_equal(names[0], ".hidden");
    assert_string_equal(names[1], "B");
    assert_string_equal(names[3], "z");
    assert_int_equal(wr_file_list(&names, &n, arena, at("l/z"), &err), 0);
    assert_int_equal(n, 0);
    assert_int_equal(wr_file_list(&names, &n, arena, at("l/none"), &err), WEIR_ENOTFOUND);
    assert_true(wr_file_list(&names, &n, arena, at("l/b"), &err) < 0);
}

static void test_remove(void **state)
{
    (void)state;
    wr_err err = {0};
    assert_int_equal(wr_file_mkdirs(at("t/a/b"), NULL), 0);
    assert_int_equal(wr_file_mkdirs(at("kept"), NULL), 0);
    put("t/a/b/x", "x");
    put("kept/x", "x");
    assert_int_equal(symlink(at("kept"), at("t/a/link")), 0);
    assert_int_equal(symlink(at("kept"), at("toplink")), 0);
    assert_int_equal(wr_file_remove_tree(at("t"), &err), 0);
    assert_false(wr_file_exists(at("t")));
    holds("kept/x", "x"); /* links are removed, not followed */
    assert_int_equal(wr_file_remove_tree(at("toplink/"), &err), 0);
    holds("kept/x", "x");
    assert_int_equal(wr_file_remove_tree(at("t"), &err), 0);      /* absent is fine */
    assert_int_equal(wr_file_remove_tree(at("kept/x"), &err), 0); /* a file is a small tree */
    static const char *const never[] = {"", "/", "//", "/.", "/..", ".", "..", "/tmp/..", "/usr/../"};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        assert_int_equal(wr_file_remove_tree(never[i], &err), WEIR_EINVAL);
    put("one", "x");
    assert_int_equal(wr_file_remove(at("one"), &err), 0);
    assert_int_equal(wr_file_remove(at("one"), &err), 0);
    assert_true(wr_file_remove(top, &err) < 0);
}

static void test_facts(void **state)
{
    (void)state;
    put("facts", "12345");
    int64_t now = wr_clock_wall_us(), then = wr_file_mtime_us(at("facts"));
    assert_true(then > now - 60 * WR_US && then < now + 60 * WR_US);
    assert_int_equal(wr_file_size(at("facts")), 5);
    assert_true(wr_file_exists(at("facts")) && wr_file_exists(top));
    assert_false(wr_file_exists(at("none")));
    assert_int_equal(wr_file_size(at("none")), -1);
    assert_int_equal(wr_file_mtime_us(at("none")), -1);
}

/* ---- identity ---- */

#define ABC_SHA "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void test_sha256(void **state)
{
    (void)state;
    char hex[WR_SHA256_HEX], list[WR_SHA256_HEX], text[512];
    wr_err err = {0};
    put("s", "abc");
    assert_int_equal(wr_file_sha256(hex, at("s"), &err), 0);
    assert_string_equal(hex, ABC_SHA);
    assert_int_equal(wr_file_tree_sha256(hex, at("s"), &err), 0);
    assert_string_equal(hex, ABC_SHA);
    assert_int_equal(wr_file_mkdirs(at("tree/sub/empty"), NULL), 0);
    put("tree/b", "abc");
    put("tree/sub/.a", "abc");
    put("tree/a-", "abc"); /* "a-" < "a/..." would differ from sorting folder by folder */
    assert_int_equal(wr_file_mkdirs(at("tree/a"), NULL), 0);
    put("tree/a/z", "abc");
    assert_int_equal(symlink("b", at("tree/l")), 0);
    assert_int_equal(wr_file_tree_sha256(hex, at("tree"), &err), 0);
    int n = snprintf(text, sizeof text,
                     ABC_SHA "  a-\n" ABC_SHA "  a/z\n" ABC_SHA "  b\n" ABC_SHA "  l\n" ABC_SHA "  sub/.a\n");
    wr_sha256_of(text, (size_t)n, list);
    assert_string_equal(hex, list);
    assert_int_equal(wr_file_sha256(hex, at("none"), &err), WEIR_ENOTFOUND);
    assert_int_equal(wr_file_tree_sha256(hex, at("none"), &err), WEIR_ENOTFOUND);
    assert_true(wr_file_sha256(hex, top, &err) < 0);
    assert_int_equal(mkfifo(at("tree/pipe"), 0600), 0);
    assert_int_equal(wr_file_tree_sha256(hex, at("tree"), &err),
                     WEIR_EUNSUPPORTED); /* and does not wait for a writer */
}

/* A link to the tree above would never end; a name with a line break could pose as a second file. */
static void test_sha256_of_odd_trees(void **state)
{
    (void)state;
    char one[WR_SHA256_HEX], two[WR_SHA256_HEX];
    assert_int_equal(wr_file_mkdirs(at("odd/x"), NULL), 0);
    assert_int_equal(symlink("..", at("odd/x/up")), 0);
    assert_int_equal(symlink("nowhere", at("odd/dangling")), 0);
    assert_int_equal(wr_file_tree_sha256(one, at("odd"), NULL), 0);
    assert_int_equal(wr_file_tree_sha256(two, at("odd"), NULL), 0);
    assert_string_equal(one, two);
    assert_int_equal(wr_file_mkdirs(at("p"), NULL), 0);
    assert_int_equal(wr_file_mkdirs(at("q2"), NULL), 0);
    put("p/a\n" ABC_SHA "  b", "abc");
    put("q2/a", "abc");
    put("q2/b", "abc");
    assert_int_equal(wr_file_tree_sha256(one, at("p"), NULL), 0);
    assert_int_equal(wr_file_tree_sha256(two, at("q2"), NULL), 0);
    assert_string_not_equal(one, two);
}

/* ---- locks ---- */

static void *lock_later(void *arg)
{
    wr_lock *l = arg;
    wr_err err = {0};
    return wr_lock_take(l, at("lock"), 5000, &err) == 0 ? l : NULL;
}

static void test_lock(void **state)
{
    (void)state;
    wr_lock a, b;
    wr_err err = {0};
    char pid[32];
    (void)at("warm"); /* the arena is not touched by two threads below */
    assert_int_equal(wr_lock_take(&a, at("lock"), 0, &err), 0);
    assert_int_equal(wr_lock_take(&b, at("lock"), 0, &err), WEIR_ETIMEOUT);
    snprintf(pid, sizeof pid, "pid %ld", (long)getpid());
    assert_non_null(strstr(err.detail, pid));
    int64_t start = wr_clock_mono_ns();
    assert_int_equal(wr_lock_take(&b, at("lock"), 60, &err), WEIR_ETIMEOUT);
    assert_true(wr_clock_mono_ns() - start >= 60000000);
    assert_int_equal(b.fd, -1);
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, lock_later, &b), 0);
    usleep(30000);
    wr_lock_drop(&a);
    wr_lock_drop(&a); /* twice is fine */
    void *got;
    pthread_join(t, &got);
    assert_ptr_equal(got, &b);
    wr_lock_drop(&b);
    assert_int_equal(wr_lock_take(&a, at("lock"), -1, &err), 0);
    wr_lock_drop(&a);
    assert_int_equal(wr_lock_take(&a, at("none/lock"), 0, &err), WEIR_ENOTFOUND);
}

static void test_lock_of_a_dead_process(void **state)
{
    (void)state;
    wr_lock l;
    pid_t pid = fork();
    if (pid == 0) {
        int rc = wr_lock_take(&l, at("dead"), 0, NULL);
        _exit(rc == 0 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(wr_lock_take(&l, at("dead"), 0, NULL), 0);
    wr_lock_drop(&l);
}

/* ---- paths ---- */

static void test_paths(void **state)
{
    (void)state;
    assert_string_equal(wr_path_join(arena, "a", "b"), "a/b");
    assert_string_equal(wr_path_join(arena, "a//", "b"), "a/b");
    assert_string_equal(wr_path_join(arena, "/", "b"), "/b");
    assert_string_equal(wr_path_join(arena, "a", "/b"), "/b");
    assert_string_equal(wr_path_join(arena, "", "b"), "b");
    assert_string_equal(wr_path_join(arena, ".", "b"), "b");
    assert_string_equal(wr_path_join(arena, "a", ""), "a");
    assert_string_equal(wr_path_join(arena, ".", ""), ".");
    assert_string_equal(wr_path_base("a/b"), "b");
    assert_string_equal(wr_path_base("b"), "b");
    assert_string_equal(wr_path_base("a/"), "");
    assert_string_equal(wr_path_dir(arena, "a/b"), "a");
    assert_string_equal(wr_path_dir(arena, "a//b"), "a");
    assert_string_equal(wr_path_dir(arena, "b"), ".");
    assert_string_equal(wr_path_dir(arena, "/b"), "/");
    assert_string_equal(wr_path_dir(arena, "//b"), "/");
    assert_string_equal(wr_path_absolute(arena, "/a/./b/../c//"), "/a/c");
    assert_string_equal(wr_path_absolute(arena, "/../.."), "/");
    char here[4096], expected[4200];
    assert_non_null(getcwd(here, sizeof here));
    snprintf(expected, sizeof expected, "%s/x", here);
    assert_string_equal(wr_path_absolute(arena, "y/../x"), expected);
    assert_string_equal(wr_path_absolute(arena, "."), here);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_large_read),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_relative),
        cmocka_unit_test(test_create),
        cmocka_unit_test(test_create_is_exclusive),
        cmocka_unit_test(test_publish),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_permissions),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_full_disk_has_a_hint),
        cmocka_unit_test(test_crashes),
        cmocka_unit_test(test_mkdirs),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_remove),
        cmocka_unit_test(test_facts),
        cmocka_unit_test(test_sha256),
        cmocka_unit_test(test_sha256_of_odd_trees),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_lock_of_a_dead_process),
        cmocka_unit_test(test_paths),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
