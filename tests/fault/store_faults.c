/* SPDX-License-Identifier: Apache-2.0 */
/* store_faults.c - everything that can fail in a change of the store fails, one after the other.
 *
 * A subject opens its store in a folder, brings it step by step to a final state, from whatever state it finds, and
 * closes it. After each step that was acknowledged it says so. For n = 1, 2, ... the n-th allocation (write, fsync,
 * rename) fails, or, in a child process, the n-th crash point ends the process; the loop ends when the n-th one did not
 * come. After each: the store opens, its invariants hold, every acknowledged step is there, and the subject run again
 * reaches the final state. A new kind of store is one more subject in the list at the end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/log.h"
#include "io/file.h"
#include "store/applog.h"
#include "store/artifacts.h"
#include "store/db.h"
#include "store/db_conn.h"
#include "store/delta.h"
#include "store/objects.h"

#ifndef WEIR_FAULT_DELTA
#define WEIR_FAULT_DELTA 0
#endif

enum { LOOP_MAX = 5000 };

static _Atomic int *acked; /* shared with the children: steps acknowledged in this folder */
static char dir[300];      /* of the current run */

typedef struct {
    const char *name;
    int steps;                              /* acknowledged when the final state is reached */
    int (*run)(wr_err *err);                /* from any state to the final one */
    void (*check)(int steps, bool crashed); /* at least `steps` are there; all is whole */
} subject;

static char *in(const char *name)
{
    static char paths[4][400];
    static int next;
    char *p = paths[next++ % 4];
    snprintf(p, sizeof paths[0], "%s/%s", dir, name);
    return p;
}

/* --- objects: a blob, a file, a tree, the tree checked out --- */

static const char *const names[] = {"in/a", "in/sub/b", "in/sub/c"};
static const char *const texts[] = {"alpha", "beta, a little longer", ""};

/* The tree's source is part of the scene, not of what is tested. */
static void objects_scene(void)
{
    assert_int_equal(wr_file_mkdirs(in("in/sub"), NULL), 0);
    for (int i = 0; i < 3; i++) assert_int_equal(wr_file_write(in(names[i]), wr_str_of(texts[i]), NULL), 0);
}

static int objects_steps(wr_objects *o, wr_err *err)
{
    char id[WR_SHA256_HEX];
    WR_TRY(wr_objects_put(o, WR_STR("blob"), id, err));
    atomic_store(acked, 1);
    WR_TRY(wr_objects_put_file(o, in(names[0]), id, err));
    atomic_store(acked, 2);
    WR_TRY(wr_objects_put_tree(o, in("in"), id, err));
    atomic_store(acked, 3);
    WR_TRY(wr_objects_checkout_tree(o, id, in("out"), err));
    atomic_store(acked, 4);
    return 0;
}

static int objects_run(wr_err *err)
{
    wr_objects *o;
    WR_TRY(wr_objects_open(&o, in("objects"), err));
    int rc = objects_steps(o, err);
    wr_objects_close(o);
    return rc;
}

static void is_whole(const char *path, const char *id)
{
    char hex[WR_SHA256_HEX];
    assert_int_equal(wr_file_sha256(hex, path, NULL), 0);
    if (strcmp(hex, id) != 0) fail_msg("%s is not whole", path);
}

static size_t each_object(wr_arena *a)
{
    char **buckets, **files;
    size_t n, m, drafts = 0;
    if (!wr_file_exists(in("objects"))) return 0;
    assert_int_equal(wr_file_list(&buckets, &n, a, in("objects"), NULL), 0);
    for (size_t i = 0; i < n; i++) {
        const char *bucket = wr_path_join(a, in("objects"), buckets[i]);
        assert_int_equal(wr_file_list(&files, &m, a, bucket, NULL), 0);
        if (strcmp(buckets[i], "tmp") == 0) drafts = m;
        else
            for (size_t k = 0; k < m; k++)
                is_whole(wr_path_join(a, bucket, files[k]), wr_arena_printf(a, "%s%s", buckets[i], files[k]));
    }
    return drafts;
}

static void same_text(const char *path, const char *text, bool must)
{
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    int rc = wr_file_read(&b, path, 1000, NULL);
    if (rc == WEIR_ENOTFOUND && !must) return;
    assert_int_equal(rc, 0);
    assert_string_equal(wr_buf_cstr(&b), text);
}

static void objects_check(int steps, bool crashed)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_objects *o;
    wr_err err;
    assert_true(each_object(a) <= (crashed ? 1 : 0));
    assert_int_equal(wr_objects_open(&o, in("objects"), &err), 0);
    char id[WR_SHA256_HEX];
    wr_sha256_of("blob", 4, id);
    if (steps >= 1) assert_true(wr_objects_has(o, id));
    for (int i = 0; i < 3 && steps >= 2; i++) {
        wr_sha256_of(texts[i], strlen(texts[i]), id);
        if (i == 0 || steps >= 3) assert_true(wr_objects_has(o, id));
    }
    wr_objects_close(o);
    for (int i = 0; i < 3; i++) {
        char path[500];
        snprintf(path, sizeof path, "%s/out/%s", dir, names[i] + 3);
        same_text(path, texts[i], steps >= 4);
    }
}

/* --- append log: records 0..7, with and without sync, over two segments --- */

enum { RECORDS = 8 };

static int next_in_order(void *ctx, uint32_t type, wr_str payload)
{
    char text[32];
    snprintf(text, sizeof text, "record %d", *(int *)ctx);
    if (type != 3 || !wr_str_is(payload, text)) return WEIR_ECORRUPT;
    ++*(int *)ctx;
    return 0;
}

/* How many records there are; they must be 0, 1, 2, ... without a hole. */
static int applog_have(void)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    uint64_t *numbers;
    size_t n = 0;
    int have = 0;
    if (!wr_file_exists(in("log"))) return 0;
    assert_int_equal(wr_applog_list(&numbers, &n, a, in("log"), NULL), 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(wr_applog_read(in("log"), numbers[i], next_in_order, &have, NULL), 0);
    return have;
}

static int applog_steps(wr_applog *l, int have, wr_err *err)
{
    for (int i = have; i < RECORDS; i += 2) {
        char text[32];
        for (int k = i; k < i + 2 && k < RECORDS; k++) {
            snprintf(text, sizeof text, "record %d", k);
            WR_TRY(wr_applog_add(l, 3, wr_str_of(text), err));
        }
        WR_TRY(wr_applog_commit(l, i % 4 < 2, err));
        atomic_store(acked, i + 2 < RECORDS ? i + 2 : RECORDS);
        uint64_t sealed;
        if (i < 4) WR_TRY(wr_applog_seal(l, &sealed, err));
    }
    return 0;
}

static int start_from; /* found before the faults are armed */

static int applog_run(wr_err *err)
{
    wr_applog *l;
    WR_TRY(wr_applog_open(&l, in("log"), err));
    int rc = applog_steps(l, start_from, err);
    wr_applog_close(l);
    return rc;
}

static void applog_check(int steps, bool crashed)
{
    (void)crashed;
    int have = applog_have();
    assert_in_range(have, steps, RECORDS);
    wr_applog *l;
    wr_err err = {0};
    if (wr_applog_open(&l, in("log"), &err) < 0) fail_msg("%s: %s", err.msg, err.detail);
    wr_applog_close(l);
    start_from = applog_have();
    assert_in_range(start_from, steps, RECORDS);
}

/* --- database: three writes of two rows each --- */

static const char *const schema[] = {
    "CREATE TABLE t(id INTEGER PRIMARY KEY, pair INTEGER NOT NULL)",
    "ALTER TABLE t ADD COLUMN note TEXT; CREATE INDEX t_note ON t(note)",
};
static const wr_db_opt db_opt = {.migrations = schema, .n = 2};
enum { PAIRS = 3 };

static int insert_pair(wr_db *db, void *arg, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_db_prepare(db, &s, "INSERT OR IGNORE INTO t(id, pair, note) VALUES (?, ?, 'a note')", err));
    int rc = 0;
    for (int i = 0; i < 2 && rc == 0; i++) {
        wr_bind_i64(s, 1, *(int *)arg * 2 + i);
        wr_bind_i64(s, 2, *(int *)arg);
        rc = wr_step(s, err);
    }
    wr_stmt_done(s);
    return rc;
}

static int db_run(wr_err *err)
{
    wr_db *db;
    WR_TRY(wr_db_open(&db, in("weir.db"), &db_opt, err));
    int rc = 0;
    for (int i = 0; i < PAIRS && rc == 0; i++) {
        rc = wr_db_write(db, insert_pair, &i, err);
        if (rc == 0 && atomic_load(acked) < i + 1) atomic_store(acked, i + 1);
    }
    wr_db_close(db);
    return rc;
}

static int64_t ask(wr_db *db, const char *sql)
{
    wr_stmt *s;
    wr_err err = {0};
    assert_int_equal(wr_db_prepare(db, &s, sql, &err), 0);
    if (wr_step(s, &err) != 1) fail_msg("%s: %s", err.msg, err.detail);
    int64_t v = wr_stmt_i64(s, 0);
    wr_stmt_done(s);
    return v;
}

static void db_check(int steps, bool crashed)
{
    (void)crashed;
    wr_db *db;
    wr_err err = {0};
    if (wr_db_open(&db, in("weir.db"), &db_opt, &err) < 0) fail_msg("%s: %s", err.msg, err.detail);
    assert_int_equal(ask(db, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
    assert_int_equal(ask(db, "SELECT count(*) FROM (SELECT pair FROM t GROUP BY pair HAVING count(*) <> 2)"), 0);
    assert_int_equal(ask(db, "PRAGMA user_version"), 2);
    assert_in_range(ask(db, "SELECT count(*) FROM t"), 2 * steps, 2 * PAIRS);
    wr_db_close(db);
}

/* --- Delta log: three appends --- */

#if WEIR_FAULT_DELTA
enum { VERSIONS = 3 };

static int delta_append(int64_t version, wr_err *err)
{
    static char field[] = "x", type[] = "long", none[] = "";
    char path[40];
    snprintf(path, sizeof path, "part-%lld.parquet", (long long)version);
    const wr_delta_field fields[] = {{.name = field, .type = type, .nullable = true}};
    const wr_delta_file files[] = {{.path = path, .size = 10, .mtime_ms = 1, .rows = 1, .sha256 = none}};
    int64_t got;
    return wr_delta_write(&got, in("table"),
                          &(wr_delta_commit){.mode = version ? WR_DELTA_APPEND : WR_DELTA_OVERWRITE,
                                             .operation = "WRITE",
                                             .fields = fields,
                                             .nfields = 1,
                                             .files = files,
                                             .nfiles = 1,
                                             .based_on = -1},
                          err);
}

static int delta_run(wr_err *err)
{
    for (int i = start_from; i < VERSIONS; i++) {
        int rc = delta_append(i, err);
        if (rc < 0) return rc;
        atomic_store(acked, i + 1);
    }
    return 0;
}

static void delta_check(int steps, bool crashed)
{
    (void)crashed;
    wr_delta_snapshot s = {0};
    wr_err err = {0};
    int rc = wr_delta_read(&s, in("table"), -1, &err);
    if (rc < 0 && (rc != WEIR_ENOTFOUND || steps)) fail_msg("%s: %s", err.msg, err.detail);
    start_from = rc < 0 ? 0 : (int)s.version + 1;
    assert_in_range(start_from, steps, VERSIONS);
    assert_int_equal(rc < 0 ? 0 : s.nfiles, start_from);
    if (rc == 0) wr_delta_free(&s);
}
#endif

/* --- artifacts: two paths with one content, one of them replaced, a tree deleted, an upload in two parts --- */

enum { ARTIFACT_STEPS = 6 };
static const char *artifacts_where;

static int upload(wr_artifacts *s, wr_err *err)
{
    char id[WR_ARTIFACT_UPLOAD];
    wr_artifact_part parts[2] = {{.number = 1}, {.number = 2}};
    WR_TRY(wr_artifacts_parts_create(id, s, WR_STR("2/parts"), err));
    for (int i = 0; i < 2; i++) {
        wr_artifact_writer *w;
        wr_artifact_info info;
        WR_TRY(wr_artifacts_part_write(&w, s, WR_STR("2/parts"), id, i + 1, err));
        int rc = wr_artifact_add(w, i ? WR_STR("lo") : WR_STR("hel"), err);
        if (rc < 0) wr_artifact_abort(w);
        if (rc == 0) rc = wr_artifact_commit(w, &info, err);
        if (rc < 0) return rc;
        memcpy(parts[i].etag, info.etag, sizeof info.etag);
    }
    return wr_artifacts_parts_complete(s, WR_STR("2/parts"), id, parts, 2, NULL, err);
}

static int artifacts_steps(wr_artifacts *s, wr_err *err)
{
    int at = atomic_load(acked);
    if (at < 1) WR_TRY(wr_artifacts_put(s, WR_STR("1/a"), WR_STR("the same"), NULL, err));
    if (at < 1) atomic_store(acked, 1);
    if (at < 2) WR_TRY(wr_artifacts_put(s, WR_STR("1/b/c"), WR_STR("the same"), NULL, err));
    if (at < 2) atomic_store(acked, 2);
    if (at < 3) WR_TRY(wr_artifacts_put(s, WR_STR("1/a"), WR_STR("another"), NULL, err));
    if (at < 3) atomic_store(acked, 3);
    if (at < 4) WR_TRY(wr_artifacts_delete(s, WR_STR("1/b"), err));
    if (at < 4) atomic_store(acked, 4);
    if (at < 5) WR_TRY(upload(s, err));
    if (at < 5) atomic_store(acked, 5);
    if (at < 6) WR_TRY(wr_artifacts_put(s, WR_STR("3"), WR_STR("last"), NULL, err));
    atomic_store(acked, 6);
    return 0;
}

static int with_artifacts(int (*fn)(wr_artifacts *s, wr_err *err), wr_err *err)
{
    static const char *const migrations[] = {wr_artifacts_schema};
    wr_objects *o = NULL;
    wr_db *db = NULL;
    wr_artifacts *s = NULL;
    int rc = wr_objects_open(&o, in("artifacts"), err);
    if (rc == 0) rc = wr_db_open(&db, in("artifacts.db"), &(wr_db_opt){migrations, 1, false}, err);
    wr_artifacts_opt opt = {.base = dir, .scratch = in("scratch"), .objects = o, .db = db};
    if (rc == 0) rc = wr_artifacts_open(&s, artifacts_where, &opt, err);
    if (rc == 0) rc = fn(s, err);
    wr_artifacts_close(s);
    if (db) wr_db_close(db);
    wr_objects_close(o);
    return rc;
}

static int objects_artifacts_run(wr_err *err)
{
    artifacts_where = "objects";
    return with_artifacts(artifacts_steps, err);
}

static int directory_artifacts_run(wr_err *err)
{
    artifacts_where = "plain";
    return with_artifacts(artifacts_steps, err);
}

/* What a path holds when `at` steps are acknowledged and the next one may have happened: old[0] before step `from`,
 * then old[1] until step `to` changes it to old[2]; NULL = it is not there. */
static void goes_through(wr_artifacts *s, const char *path, const char *const old[3], int from, int to)
{
    wr_artifact_reader *r;
    wr_err err = {0};
    char got[20] = "";
    int at = atomic_load(acked);
    const char *a = at < from ? old[0]
                    : at < to ? old[1]
                              : old[2],
               *b = at + 1 < from ? old[0]
                    : at + 1 < to ? old[1]
                                  : old[2];
    int rc = wr_artifacts_read(&r, s, wr_str_of(path), &err);
    if (rc == WEIR_ENOTFOUND && (!a || !b)) return;
    if (rc < 0) fail_msg("%s: %s: %s", path, err.msg, err.detail);
    assert_true(wr_artifact_get(r, 0, got, sizeof got - 1, NULL) >= 0);
    wr_artifact_reader_close(r);
    if (!(a && strcmp(got, a) == 0) && !(b && strcmp(got, b) == 0)) fail_msg("%s holds '%s'", path, got);
}

static int artifacts_look(wr_artifacts *s, wr_err *err)
{
    (void)err;
    goes_through(s, "1/a", (const char *const[]){NULL, "the same", "another"}, 1, 3);
    goes_through(s, "1/b/c", (const char *const[]){NULL, "the same", NULL}, 2, 4);
    goes_through(s, "2/parts", (const char *const[]){NULL, "hello", "hello"}, 5, 5);
    goes_through(s, "3", (const char *const[]){NULL, "last", "last"}, 6, 6);
    return 0;
}

static void artifacts_check(int steps, bool crashed)
{
    wr_err err = {0};
    if (with_artifacts(artifacts_look, &err) < 0) fail_msg("%s: %s", err.msg, err.detail);
    if (steps < ARTIFACT_STEPS || crashed || strcmp(artifacts_where, "objects") != 0) return;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char **buckets, **found;
    size_t n, m;
    assert_int_equal(wr_file_list(&buckets, &n, a, in("artifacts"), NULL), 0);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(wr_file_list(&found, &m, a, wr_path_join(a, in("artifacts"), buckets[i]), NULL), 0);
        for (size_t k = 0; k < m; k++) {
            const char *path = wr_arena_printf(a, "%s/%s/%s", in("artifacts"), buckets[i], found[k]);
            if (strcmp(buckets[i], "tmp") != 0) is_whole(path, wr_arena_printf(a, "%s%s", buckets[i], found[k]));
        }
    }
}

/* --- the loops --- */

static const subject subjects[] = {
    {"objects", 4, objects_run, objects_check},
    {"applog", RECORDS, applog_run, applog_check},
    {"db", PAIRS, db_run, db_check},
    {"artifacts as objects", ARTIFACT_STEPS, objects_artifacts_run, artifacts_check},
    {"artifacts in a directory", ARTIFACT_STEPS, directory_artifacts_run, artifacts_check},
#if WEIR_FAULT_DELTA
    {"delta", VERSIONS, delta_run, delta_check},
#endif
};

static void fresh(void)
{
    assert_int_equal(mkdir(dir, 0755), 0);
    objects_scene();
    atomic_store(acked, 0);
    start_from = 0;
}

static void finish(const subject *s, bool crashed)
{
    wr_err err = {0};
    s->check(atomic_load(acked), crashed);
    if (s->run(&err) < 0) fail_msg("%s: again: %s: %s", s->name, err.msg, err.detail);
    s->check(s->steps, crashed);
    assert_int_equal(wr_file_remove_tree(dir, NULL), 0);
}

/* One run with the n-th call of `kind` failing (`sticky`: and all after it). False: there is no n-th call. */
static bool one_failure(const subject *s, wr_fault_kind kind, int n, bool sticky)
{
    wr_err err = {0};
    fresh();
    wr_fault_arm(kind, n, sticky);
    int rc = s->run(&err);
    bool fired = wr_fault_fired(kind);
    wr_fault_arm(kind, 0, false);
    if (rc < 0 && (!fired || err.code != rc || !err.msg[0]))
        fail_msg("%s: rc %d, '%s' (%d)", s->name, rc, err.msg, err.code);
    if (rc == 0) assert_int_equal(atomic_load(acked), s->steps);
    finish(s, false);
    return fired;
}

static bool one_crash(const subject *s, int n)
{
    fresh();
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        wr_fault_arm(WR_FAULT_CRASH, n, false);
        _exit(s->run(NULL) < 0 ? 1 : 0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    bool crashed = WEXITSTATUS(status) == 137;
    if (!crashed) assert_int_equal(WEXITSTATUS(status), 0);
    finish(s, crashed);
    return crashed;
}

static void fail_each(const subject *s, wr_fault_kind kind, const char *what, bool sticky)
{
    int n = 1;
    while (one_failure(s, kind, n, sticky)) assert_true(n++ < LOOP_MAX);
    print_message("%s: %d %s%s\n", s->name, n - 1, what, sticky ? ", from then on" : "");
    assert_true(n > 1 || kind == WR_FAULT_RENAME);
}

static void every_failure(void **state)
{
    const subject *s = *state;
    fail_each(s, WR_FAULT_ALLOC, "allocations", false);
    for (int sticky = 0; sticky < 2; sticky++) {
        fail_each(s, WR_FAULT_WRITE, "writes", sticky);
        fail_each(s, WR_FAULT_FSYNC, "syncs", sticky);
        fail_each(s, WR_FAULT_RENAME, "renames", sticky);
    }
}

static void every_crash(void **state)
{
    const subject *s = *state;
    int n = 1;
    while (one_crash(s, n)) assert_true(n++ < LOOP_MAX);
    print_message("%s: %d crash points\n", s->name, n - 1);
    assert_true(n > 1);
}

static void silent(void *ctx, wr_log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    (void)line;
}

int main(void)
{
    enum { N = sizeof subjects / sizeof *subjects };
    /* in memory if there is such a folder: thousands of stores are made here, and their fsyncs need not reach a disk */
    const char *tmp = getenv("TMPDIR"), *memory = access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp";
    char top[256];
    wr_err err;
    snprintf(top, sizeof top, "%s/weir-fault-XXXXXX", tmp ? tmp : memory);
    acked = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (acked == MAP_FAILED || !mkdtemp(top) || wr_db_fault_install(&err) < 0) return 1;
    snprintf(dir, sizeof dir, "%s/run", top);
    wr_log_set_sink(silent, NULL);
    struct CMUnitTest tests[2 * N];
    char labels[2 * N][64];
    for (size_t i = 0; i < N; i++) {
        void *s = (void *)&subjects[i];
        snprintf(labels[2 * i], sizeof labels[0], "every failure of %s", subjects[i].name);
        snprintf(labels[2 * i + 1], sizeof labels[0], "every crash of %s", subjects[i].name);
        tests[2 * i] = (struct CMUnitTest){labels[2 * i], every_failure, NULL, NULL, s};
        tests[2 * i + 1] = (struct CMUnitTest){labels[2 * i + 1], every_crash, NULL, NULL, s};
    }
    int failed = cmocka_run_group_tests_name("fault", tests, NULL, NULL);
    wr_file_remove_tree(top, NULL);
    return failed;
}
