/* SPDX-License-Identifier: Apache-2.0 */
/* db_test.c - the database: values, group commit, readers, migrations, two processes, refusals, faults. What is common
 * runs on both engines; files and their faults are SQLite's alone, servers that go away PostgreSQL's (db_pg_test.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/rng.h"
#include "io/file.h"
#include "store/db.h"
#include "store/db_conn.h"
#include "store/pg_testing.h"

static const char *const schema[] = {
    "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT UNIQUE, x REAL)",
    "CREATE TABLE child(id INTEGER PRIMARY KEY, parent INTEGER REFERENCES t(id) DEFERRABLE INITIALLY DEFERRED)",
};
static const wr_db_opt opt = {.migrations = schema, .n = 2};

static char dir[256], file[300]; /* file: what wr_db_open takes, so on PostgreSQL an address */
static bool on_pg;

static int setup(void **state)
{
    (void)state;
    on_pg = false;
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/weir-db-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(dir)) return -1;
    snprintf(file, sizeof file, "%s/weir.db", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int k = 0; k < WR_FAULT_KINDS; k++) wr_fault_arm((wr_fault_kind)k, 0, false);
    return wr_file_remove_tree(dir, NULL);
}

static int setup_pg(void **state)
{
    if (setup(state) < 0) return -1;
    on_pg = true;
    return wr_pg_testing_start(file);
}

static wr_db *opened(void)
{
    wr_db *db = NULL;
    wr_err err = {0};
    if (wr_db_open(&db, file, &opt, &err) < 0) fail_msg("%s: %s", err.msg, err.detail);
    return db;
}

static int insert_name(wr_db *db, const char *name, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_db_prepare(db, &s, "INSERT INTO t(name, x) VALUES (?, ?)", err));
    wr_bind_cstr(s, 1, name);
    wr_bind_f64(s, 2, 0.5);
    int rc = wr_step(s, err);
    wr_stmt_done(s);
    return rc;
}

static int insert(wr_db *db, void *arg, wr_err *err) { return insert_name(db, arg, err); }

static int64_t number(wr_db *db, const char *sql)
{
    wr_stmt *s;
    wr_err err = {0};
    if (wr_db_prepare(db, &s, sql, &err) < 0) fail_msg("%s: %s", err.msg, err.detail);
    assert_int_equal(wr_step(s, &err), 1);
    int64_t v = wr_stmt_i64(s, 0);
    wr_stmt_done(s);
    return v;
}

static int64_t count(wr_db *db) { return number(db, "SELECT count(*) FROM t"); }

/* --- values and statements --- */

static int put_values(wr_db *db, void *arg, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_db_prepare(db, &s, "INSERT INTO t(id, name, x) VALUES (?, ?, ?)", err));
    const double xs[] = {0.1, NAN, INFINITY, -0.0};
    const wr_str names[] = {
        on_pg ? WR_STR("a\1b") : WR_STR("a\0b"), WR_STR(""), WR_STR("\xc3\xa9'; DROP TABLE t;--"), {NULL, 0}};
    int rc = 0;
    for (int i = 0; i < 3 && rc == 0; i++) { /* one statement, bound again and again */
        wr_bind_i64(s, 1, INT64_MIN + i);
        wr_bind_str(s, 2, names[i]);
        wr_bind_f64(s, 3, xs[i]);
        rc = wr_step(s, err);
    }
    wr_bind_i64(s, 1, 7);
    wr_bind_cstr(s, 2, NULL);
    wr_bind_f64(s, 3, xs[3]);
    if (rc == 0) rc = wr_step(s, err);
    if (rc == 0) *(int64_t *)arg = wr_db_last_id(db);
    wr_stmt_done(s);
    return rc;
}

static void values_come_back(void **state)
{
    (void)state;
    wr_db *db = opened();
    wr_err err;
    int64_t id = 0;
    assert_int_equal(wr_db_write(db, put_values, &id, &err), 0);
    assert_int_equal(id, 7);
    wr_stmt *s;
    assert_int_equal(wr_db_prepare(db, &s, "SELECT id, name, x FROM t ORDER BY id", &err), 0);
    assert_int_equal(wr_step(s, &err), 1);
    assert_true(wr_stmt_i64(s, 0) == INT64_MIN);
    assert_true(wr_str_eq(wr_stmt_str(s, 1), on_pg ? WR_STR("a\1b") : WR_STR("a\0b")));
    assert_true(wr_stmt_f64(s, 2) == 0.1);
    assert_int_equal(wr_step(s, &err), 1);
    assert_false(wr_stmt_null(s, 1));
    assert_int_equal(wr_stmt_str(s, 1).n, 0);
    assert_true(isnan(wr_stmt_f64(s, 2))); /* kept as NULL */
    assert_int_equal(wr_step(s, &err), 1);
    assert_true(wr_str_is(wr_stmt_str(s, 1), "\xc3\xa9'; DROP TABLE t;--"));
    assert_true(isinf(wr_stmt_f64(s, 2)));
    assert_int_equal(wr_step(s, &err), 1);
    assert_true(wr_stmt_null(s, 1));
    assert_int_equal(wr_stmt_str(s, 1).n, 0);
    assert_true(wr_stmt_f64(s, 2) == 0 && !signbit(wr_stmt_f64(s, 2)));
    assert_int_equal(wr_step(s, &err), 0);
    assert_int_equal(wr_step(s, &err), 0); /* does not start again */
    wr_stmt_done(s);
    assert_int_equal(number(db, "SELECT count(*) FROM t WHERE id = 7 AND x = 0"), 1);
    wr_stmt_done(NULL);
    wr_db_close(db);
}

static int put_doubles(wr_db *db, void *arg, wr_err *err)
{
    const double *v = arg;
    wr_stmt *s;
    int rc = 0;
    WR_TRY(wr_db_prepare(db, &s, "INSERT INTO t(id, x) VALUES (?, ?)", err));
    for (int i = 0; i < 300 && rc == 0; i++) {
        wr_bind_i64(s, 1, i);
        wr_bind_f64(s, 2, v[i]);
        rc = wr_step(s, err);
    }
    wr_stmt_done(s);
    return rc;
}

static void doubles_keep_their_bits(void **state)
{
    (void)state;
    wr_db *db = opened();
    double v[300] = {INFINITY, -INFINITY, 5e-324,    1.7976931348623157e308, 2.2250738585072014e-308, 0.1,
                     1e22,     1e23,      0x1p53 + 1};
    wr_rng rng;
    wr_rng_init(&rng, 1);
    for (int i = 9; i < 300; i++) {
        do {
            uint64_t bits = wr_rng_u64(&rng);
            memcpy(&v[i], &bits, sizeof bits);
        } while (!isfinite(v[i]));
    }
    assert_int_equal(wr_db_write(db, put_doubles, v, NULL), 0);
    wr_stmt *s;
    assert_int_equal(wr_db_prepare(db, &s, "SELECT x FROM t ORDER BY id", NULL), 0);
    for (int i = 0; i < 300; i++) {
        assert_int_equal(wr_step(s, NULL), 1);
        double got = wr_stmt_f64(s, 0);
        assert_memory_equal(&got, &v[i], sizeof got);
    }
    assert_int_equal(wr_step(s, NULL), 0);
    wr_stmt_done(s);
    assert_int_equal(wr_db_prepare(db, &s, "SELECT count(*) FROM t WHERE x = ? OR x = ?", NULL), 0);
    wr_bind_f64(s, 1, INFINITY);
    wr_bind_f64(s, 2, v[299]);
    assert_int_equal(wr_step(s, NULL), 1);
    assert_int_equal(wr_stmt_i64(s, 0), 2);
    wr_stmt_done(s);
    wr_db_close(db);
}

/* The ids that a table counts itself go on behind those that were given. */
static int insert_ids(wr_db *db, void *arg, wr_err *err)
{
    int64_t *ids = arg;
    WR_TRY(wr_db_exec(db, "CREATE TABLE counted(id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT UNIQUE)", err));
    static const char *const sql[] = {
        "INSERT INTO counted(v) VALUES (?)",        "INSERT INTO counted(v, id) VALUES (?, 70)",
        "INSERT INTO counted(v) VALUES (?)",        "INSERT INTO counted(v) VALUES (?) ON CONFLICT DO NOTHING",
        "INSERT INTO counted(v, id) VALUES (?, 3)", "INSERT INTO counted(v) VALUES (?)"};
    static const char *const v[] = {"a", "b", "c", "c", "d", "e"};
    for (int i = 0; i < 6; i++) {
        wr_stmt *s;
        WR_TRY(wr_db_prepare(db, &s, sql[i], err));
        wr_bind_cstr(s, 1, v[i]);
        int rc = wr_step(s, err);
        wr_stmt_done(s);
        if (rc) return rc;
        ids[i] = wr_db_last_id(db);
    }
    return 0;
}

static void ids_are_counted(void **state)
{
    (void)state;
    wr_db *db = opened();
    wr_err err = {0};
    int64_t ids[6] = {0};
    if (wr_db_write(db, insert_ids, ids, &err) < 0) fail_msg("%s: %s", err.msg, err.detail);
    assert_int_equal(ids[0], 1);
    assert_int_equal(ids[1], 70);
    assert_true(ids[2] > 70);
    assert_int_equal(ids[3], ids[2]);
    assert_int_equal(ids[4], 3);
    assert_true(ids[5] > ids[2]);
    assert_int_equal(number(db, "SELECT count(*) FROM counted"), 5);
    wr_db_close(db);
}

/* NULLs without a type, NULL or not from one call to the next, in every place that core has them. */
static void nulls_without_a_type(void **state)
{
    (void)state;
    wr_db *db = opened();
    wr_err err = {0};
    wr_stmt *s;
    assert_int_equal(wr_db_write(db, insert, "a", NULL), 0);
    assert_int_equal(wr_db_write(db, insert, "b", NULL), 0);
    static const char sql[] =
        "SELECT count(*), coalesce(?1, 'none'), ?1 FROM t WHERE (?1 IS NULL OR name = ?1) AND (?2 IS NULL OR id >= ?2)";
    for (int i = 0; i < 8; i++) {
        assert_int_equal(wr_db_prepare(db, &s, sql, &err), 0);
        wr_bind_cstr(s, 1, i & 1 ? "a" : NULL);
        if (i & 2) wr_bind_i64(s, 2, 2);
        if (wr_step(s, &err) != 1) fail_msg("%s: %s", err.msg, err.detail);
        assert_int_equal(wr_stmt_i64(s, 0), (i & 3) == 3 ? 0 : (i & 3) == 0 ? 2 : 1);
        assert_true(wr_str_is(wr_stmt_str(s, 1), i & 1 ? "a" : "none"));
        assert_int_equal(wr_stmt_null(s, 2), !(i & 1));
        wr_stmt_done(s);
    }
    wr_db_close(db);
}

static void what_is_common_means_the_same(void **state)
{
    (void)state;
    wr_db *db = opened();
    for (const char *names = "cAbaCB"; *names; names++) {
        char name[2] = {*names, 0};
        assert_int_equal(wr_db_write(db, insert, name, NULL), 0);
    }
    static const struct {
        const char *sql;
        int64_t n;
    } cases[] = {
        {"SELECT name = 'A' FROM (SELECT name FROM t ORDER BY name LIMIT 1) x", 1}, /* bytes, not a language */
        {"SELECT length(group_concat(name)) FROM t", 11},
        {"SELECT length(group_concat(name, '--')) FROM t", 16},
        {"SELECT group_concat(name) = 'A,B,C' FROM (SELECT name FROM t WHERE name < 'a' ORDER BY name) x", 1},
        {"SELECT instr('abcd', 'cd') + instr('a', 'b')", 3},
        {"SELECT substr('abcdef', 2, 3) = 'bcd' AND substr('abc', 2) = 'bc'", 1},
        {"SELECT count(*) FROM t WHERE wr_ilike(name, 'A') AND name IS DISTINCT FROM 'a'", 1},
        {"SELECT CAST('12' AS INTEGER) + CAST(3.0 AS INTEGER)", 15},
        {"SELECT 7 / 2", 3},
        {"SELECT max(id) FROM t WHERE name IN ('c', 'A')", 2},
        {"SELECT CASE WHEN EXISTS (SELECT 1 FROM t WHERE name = 'a') THEN 5 ELSE 6 END", 5},
        {"SELECT count(*) FILTER (WHERE name < 'a') FROM t", 3},
        {"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10) SELECT sum(i) FROM n", 55},
        {"SELECT wr_json_i64('{\"a\": 12, \"b\": \"x\"}', 'a') + coalesce(wr_json_i64('{\"b\": \"x\"}', 'b'), 100)",
         112},
        {"SELECT x'00ff' = x'00FF' AND x'00' < x'01'", 1},
        {"SELECT count(*) FROM (SELECT name FROM t UNION SELECT 'zz') u", 7},
        {"SELECT r FROM (SELECT name, row_number() OVER (ORDER BY name DESC) AS r FROM t) x WHERE name = 'b'", 2},
        {"SELECT id FROM t ORDER BY nullif(name, 'A') NULLS LAST, id DESC LIMIT 1 OFFSET 5", 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t n = number(db, cases[i].sql);
        if (n != cases[i].n) fail_msg("%s: %ld", cases[i].sql, (long)n);
    }
    wr_db_close(db);
}

/* Values that are bound have a type where a literal has none. */
static void bound_arguments_of_functions(void **state)
{
    (void)state;
    wr_db *db = opened();
    wr_err err = {0};
    wr_stmt *s;
    assert_int_equal(wr_db_write(db, insert, "abcdef", NULL), 0);
    assert_int_equal(
        wr_db_prepare(
            db, &s,
            "SELECT substr(name, ?1, ?2), substr(name, ?1), instr(name, ?3), coalesce(nullif(?3, 'cd'), name),"
            " x * ?4 + id, abs(?2 - 5), replace(name, ?3, '') FROM t WHERE x < ?4 AND id IN (?5, 7)"
            " ORDER BY name LIMIT ?5 OFFSET 0",
            &err),
        0);
    wr_bind_i64(s, 1, 2);
    wr_bind_i64(s, 2, 3);
    wr_bind_cstr(s, 3, "cd");
    wr_bind_f64(s, 4, 2.5);
    wr_bind_i64(s, 5, 1);
    if (wr_step(s, &err) != 1) fail_msg("%s: %s", err.msg, err.detail);
    assert_true(wr_str_is(wr_stmt_str(s, 0), "bcd"));
    assert_true(wr_str_is(wr_stmt_str(s, 1), "bcdef"));
    assert_int_equal(wr_stmt_i64(s, 2), 3);
    assert_true(wr_str_is(wr_stmt_str(s, 3), "abcdef"));
    assert_true(wr_stmt_f64(s, 4) == 2.25);
    assert_int_equal(wr_stmt_i64(s, 5), 2);
    assert_true(wr_str_is(wr_stmt_str(s, 6), "abef"));
    assert_int_equal(wr_step(s, &err), 0);
    wr_stmt_done(s);
    wr_db_close(db);
}

static int run_many(wr_db *db, void *arg, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_db_prepare(db, &s, "INSERT INTO t(name, x) VALUES (?, ?)", err));
    int rc = 0;
    for (int i = 0; i < 500 && rc == 0; i++) {
        char name[32];
        snprintf(name, sizeof name, "n%d", i == 400 ? *(int *)arg : i);
        wr_bind_cstr(s, 1, name);
        wr_bind_f64(s, 2, i);
        rc = wr_stmt_run(s, err);
    }
    wr_stmt_done(s);
    return rc;
}

static void answers_that_come_later(void **state)
{
    (void)state;
    wr_db *db = opened();
    wr_err err = {0};
    int twice = 399;
    assert_int_equal(wr_db_write(db, run_many, &twice, &err), WEIR_EEXIST);
    assert_true(err.msg[0] != 0);
    assert_int_equal(count(db), 0);
    twice = 498; /* among the last: nobody asks any more */
    assert_int_equal(wr_db_write(db, run_many, &twice, &err), WEIR_EEXIST);
    assert_int_equal(count(db), 0);
    twice = 400;
    assert_int_equal(wr_db_write(db, run_many, &twice, &err), 0);
    assert_int_equal(count(db), 500);
    wr_db_close(db);
}

static int step_or_prepare(wr_db *db, const char *sql, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_db_prepare(db, &s, sql, err));
    int rc = wr_step(s, err);
    wr_stmt_done(s);
    return rc;
}

static void wrong_statements(void **state)
{
    (void)state;
    wr_db *db = opened();
    wr_err err = {0};
    wr_stmt *s;
    assert_int_equal(step_or_prepare(db, "SELECT no_such FROM t", &err), WEIR_EINTERNAL);
    assert_non_null(strstr(err.detail, "no_such"));
    assert_int_equal(step_or_prepare(db, "SELEC 1", &err), WEIR_EINTERNAL);
    assert_int_equal(wr_db_prepare(db, &s, "", &err), WEIR_EINVAL);
    assert_int_equal(wr_db_prepare(db, &s, "SELECT 1; SELECT 2", &err), WEIR_EINVAL);
    assert_int_equal(wr_db_prepare(db, &s, "SELECT ?", &err), 0);
    wr_bind_i64(s, 2, 1); /* there is no second parameter */
    assert_int_equal(wr_step(s, &err), WEIR_EINVAL);
    wr_stmt_done(s);
    assert_int_equal(wr_db_exec(db, "INSERT INTO t(name) VALUES ('outside a write')", &err), WEIR_EACCESS);
    assert_int_equal(step_or_prepare(db, "INSERT INTO t(name) VALUES ('outside a write')", &err), WEIR_EACCESS);
    assert_int_equal(count(db), 0);
    wr_db_close(db);
}

static void nested_statements_share_a_snapshot(void **state)
{
    (void)state;
    wr_db *db = opened();
    wr_err err;
    assert_int_equal(wr_db_write(db, insert, "a", &err), 0);
    assert_int_equal(wr_db_write(db, insert, "b", &err), 0);
    wr_stmt *outer, *same;
    assert_int_equal(wr_db_prepare(db, &outer, "SELECT name FROM t ORDER BY id", &err), 0);
    assert_int_equal(wr_step(outer, &err), 1);
    assert_int_equal(wr_db_prepare(db, &same, "SELECT name FROM t ORDER BY id", &err),
                     0); /* a second one of the same text */
    assert_ptr_not_equal(outer, same);
    assert_int_equal(wr_db_write(db, insert, "c", &err), 0); /* readers do not stop the writer */
    assert_int_equal(count(db), 2);                          /* nor see what came later */
    assert_int_equal(wr_step(same, &err), 1);
    assert_true(wr_str_is(wr_stmt_str(same, 0), "a"));
    wr_stmt_done(same);
    assert_int_equal(wr_step(outer, &err), 1);
    assert_true(wr_str_is(wr_stmt_str(outer, 0), "b"));
    wr_stmt_done(outer);
    assert_int_equal(count(db), 3);
    for (int i = 0; i < 300; i++) { /* more texts than the cache keeps */
        char sql[64];
        snprintf(sql, sizeof sql, "SELECT %d", i);
        assert_int_equal(number(db, sql), i);
    }
    wr_db_close(db);
}

static int put_blobs(wr_db *db, void *arg, wr_err *err)
{
    static const unsigned char bytes[] = {0, 1, 0xff, '\\', 0, 'x'};
    wr_stmt *s;
    (void)arg;
    WR_TRY(wr_db_exec(db, "CREATE TABLE blobs(id INTEGER PRIMARY KEY, b BLOB)", err));
    WR_TRY(wr_db_prepare(db, &s, "INSERT INTO blobs(id, b) VALUES (?, ?)", err));
    int rc = 0;
    for (int i = 0; i < 3 && rc == 0; i++) {
        wr_bind_i64(s, 1, i);
        if (i < 2) wr_bind_blob(s, 2, i ? NULL : bytes, i ? 0 : sizeof bytes);
        else wr_bind_cstr(s, 2, NULL);
        rc = wr_step(s, err);
    }
    wr_stmt_done(s);
    return rc;
}

static void blobs_come_back(void **state)
{
    (void)state;
    wr_db *db = opened();
    wr_err err;
    wr_stmt *s;
    assert_int_equal(wr_db_write(db, put_blobs, NULL, &err), 0);
    assert_int_equal(wr_db_prepare(db, &s, "SELECT b, b FROM blobs ORDER BY id", &err), 0);
    assert_int_equal(wr_step(s, &err), 1);
    wr_str first = wr_stmt_str(s, 0), second = wr_stmt_str(s, 1);
    assert_true(wr_str_eq(first, WR_STR("\0\1\xff\\\0x")));
    assert_true(wr_str_eq(second, first));
    assert_int_equal(wr_step(s, &err), 1);
    assert_false(wr_stmt_null(s, 0));
    assert_int_equal(wr_stmt_str(s, 0).n, 0);
    assert_int_equal(wr_step(s, &err), 1);
    assert_true(wr_stmt_null(s, 0));
    wr_stmt_done(s);
    wr_db_close(db);
}

static int64_t matches(wr_db *db, const char *function, const char *pattern)
{
    wr_stmt *s;
    wr_err err = {0};
    char sql[100];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM t WHERE %s(name, ?)", function);
    assert_int_equal(wr_db_prepare(db, &s, sql, &err), 0);
    wr_bind_cstr(s, 1, pattern);
    int rc = wr_step(s, &err);
    int64_t n = rc == 1 ? wr_stmt_i64(s, 0) : rc;
    assert_true(rc == 1 || err.msg[0]);
    wr_stmt_done(s);
    return n;
}

static void matching_functions(void **state)
{
    (void)state;
    wr_db *db = opened();
    static const char *const names[] = {"Alpha", "alpha-2", "beta_1", "a\\b", "\xc3\xa9t\xc3\xa9", "100%"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(wr_db_write(db, insert, (void *)names[i], NULL), 0);
    static const struct {
        const char *function, *pattern;
        int64_t n;
    } cases[] = {
        {"wr_like", "a%", 2},
        {"wr_ilike", "a%", 3},
        {"wr_like", "_t_", 1},
        {"wr_like", "a\\b", 1},
        {"wr_ilike", "BETA%", 1},
        {"wr_like", "BETA%", 0},
        {"wr_like", "%", 6},
        {"wr_like", "100%", 1},
        {"wr_rlike", "^a", 2},
        {"wr_rlike", "\\d", 3},
        {"wr_rlike", "^(A|b)", 2},
        {"wr_rlike", "a{2}", 0},
        {"wr_rlike", "^.t.$", 1},
        {"wr_like", NULL, 0},
        {"wr_rlike", NULL, 0},
        {"wr_rlike", "[[:upper:]]", 1},
        {"wr_rlike", "(", WEIR_EINVAL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t n = matches(db, cases[i].function, cases[i].pattern);
        if (n != cases[i].n) fail_msg("%s '%s': %ld", cases[i].function, cases[i].pattern, (long)n);
    }
    assert_int_equal(number(db, "SELECT count(*) FROM t WHERE NOT wr_like(name, 'a%')"), 4);
    wr_db_close(db);
}

static void forgotten_statement_is_closed(void **state)
{
    (void)state;
    wr_db *db = opened();
    wr_stmt *s;
    wr_err err;
    assert_int_equal(wr_db_prepare(db, &s, "SELECT 1", &err), 0);
    assert_int_equal(wr_step(s, &err), 1);
    wr_db_close(db);
}

/* --- writes --- */

static int insert_then_refuse(wr_db *db, void *arg, wr_err *err)
{
    WR_TRY(insert_name(db, arg, err));
    return wr_err_set(err, WEIR_ENO, "changed my mind");
}

static int refuse_silently(wr_db *db, void *arg, wr_err *err)
{
    (void)err;
    insert_name(db, arg, NULL);
    return WEIR_ECONFLICT;
}

static int leave_reference_open(wr_db *db, void *arg, wr_err *err)
{
    (void)arg;
    return wr_db_exec(db, "INSERT INTO child(parent) VALUES (4711)", err);
}

static int carry_on_after_a_failure(wr_db *db, void *arg, wr_err *err)
{
    insert_name(db, arg, err);
    insert_name(db, "another", err);
    return 0;
}

static int write_inside(wr_db *db, void *arg, wr_err *err) { return wr_db_write(db, insert, arg, err); }

static int end_transaction(wr_db *db, void *arg, wr_err *err)
{
    WR_TRY(insert_name(db, arg, err));
    return wr_db_exec(db, "ROLLBACK", err);
}

static void failed_write_is_rolled_back_alone(void **state)
{
    (void)state;
    wr_db *db = opened();
    wr_err err = {0};
    assert_int_equal(wr_db_write(db, insert_then_refuse, "x", &err), WEIR_ENO);
    assert_string_equal(err.msg, "changed my mind");
    assert_int_equal(wr_db_write(db, refuse_silently, "x", &err), WEIR_ECONFLICT);
    assert_int_equal(err.code, WEIR_ECONFLICT);
    assert_int_equal(wr_db_write(db, leave_reference_open, NULL, &err), WEIR_ECONFLICT);
    assert_int_equal(wr_db_write(db, write_inside, "x", &err), WEIR_EINTERNAL);
    assert_int_equal(wr_db_write(db, end_transaction, "x", &err), WEIR_EIO);
    assert_int_equal(count(db), 0);
    assert_int_equal(wr_db_write(db, insert, "x", &err), 0);
    assert_int_equal(wr_db_write(db, insert, "x", &err), WEIR_EEXIST);
    assert_int_equal(wr_db_write(db, insert, "x", NULL), WEIR_EEXIST);
    assert_int_equal(wr_db_write(db, carry_on_after_a_failure, "x", &err), WEIR_EEXIST);
    assert_int_equal(count(db), 1);
    wr_db_close(db);
}

static atomic_int answered, refused;

static void done(void *arg, int rc, const wr_err *err)
{
    assert_true((rc < 0) == (err != NULL));
    atomic_fetch_add(rc < 0 ? &refused : &answered, 1);
    free(arg);
}

static char *name_of(int i)
{
    char *name = malloc(32);
    assert_non_null(name);
    snprintf(name, 32, "n%d", i);
    return name;
}

static int hold(wr_db *db, void *arg, wr_err *err)
{
    (void)db;
    (void)err;
    while (!atomic_load((atomic_bool *)arg)) usleep(1000);
    return 0;
}

static void *hold_main(void *arg)
{
    void **a = arg;
    assert_int_equal(wr_db_write(a[0], hold, a[1], NULL), 0);
    return NULL;
}

/* Everything that waits goes into one transaction; a job that loses the transaction takes with it those before, not
 * those behind. */
static void a_group_is_one_transaction(void **state)
{
    (void)state;
    wr_db *db = opened();
    wr_err err;
    atomic_bool go = false;
    atomic_store(&answered, 0);
    atomic_store(&refused, 0);
    pthread_t t;
    void *args[] = {db, &go};
    assert_int_equal(pthread_create(&t, NULL, hold_main, args), 0);
    usleep(50000); /* the writer is now inside `hold` */
    for (int i = 0; i < 10; i++) {
        wr_db_fn fn = i == 4 ? end_transaction : i == 7 ? insert_then_refuse : insert;
        assert_int_equal(wr_db_write_async(db, fn, name_of(i), done, &err), 0);
    }
    atomic_store(&go, true);
    pthread_join(t, NULL);
    wr_db_close(db);                             /* waits for the queue */
    assert_int_equal(atomic_load(&answered), 4); /* 5 6 8 9 */
    assert_int_equal(atomic_load(&refused), 6);
    db = opened();
    assert_int_equal(count(db), 4);
    wr_db_close(db);
}

enum { THREADS = 8, EACH = 40 };

static void *hammer(void *arg)
{
    void **a = arg;
    wr_db *db = a[0];
    for (int i = 0; i < EACH; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s-%d", (char *)a[1], i);
        assert_int_equal(wr_db_write(db, insert, name, NULL), 0);
        wr_stmt *s; /* what was acknowledged is seen by every later read */
        assert_int_equal(wr_db_prepare(db, &s, "SELECT 1 FROM t WHERE name = ?", NULL), 0);
        wr_bind_cstr(s, 1, name);
        assert_int_equal(wr_step(s, NULL), 1);
        wr_stmt_done(s);
    }
    return NULL;
}

static void many_threads(void **state)
{
    (void)state;
    wr_db *db = opened();
    for (int round = 0; round < 2; round++) { /* the second set of threads takes over the readers of the first */
        pthread_t t[THREADS];
        void *args[THREADS][2];
        char names[THREADS][32];
        for (int i = 0; i < THREADS; i++) {
            snprintf(names[i], sizeof names[i], "%d.%d", round, i);
            args[i][0] = db;
            args[i][1] = names[i];
            assert_int_equal(pthread_create(&t[i], NULL, hammer, args[i]), 0);
        }
        for (int i = 0; i < THREADS; i++) pthread_join(t[i], NULL);
    }
    assert_int_equal(count(db), 2 * THREADS * EACH);
    wr_db_close(db);
}

/* --- opening --- */

static void in_child(int (*body)(void))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) _exit(body());
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int64_t version_of(wr_db *db)
{
    return number(db, on_pg ? "SELECT version FROM weir_schema" : "PRAGMA user_version");
}

static void migrations_in_order(void **state)
{
    (void)state;
    wr_err err = {0};
    wr_db *db;
    assert_int_equal(wr_db_open(&db, file, &(wr_db_opt){.migrations = schema, .n = 1}, &err), 0);
    assert_int_equal(version_of(db), 1);
    wr_db_close(db);
    db = opened();
    assert_int_equal(version_of(db), 2);
    assert_int_equal(wr_db_write(db, insert, "kept", &err), 0);
    wr_db_close(db);

    const char *const broken[] = {schema[0], schema[1], "CREATE TABLE u(a TEXT); INSERT INTO nowhere VALUES (1)"};
    assert_int_equal(wr_db_open(&db, file, &(wr_db_opt){.migrations = broken, .n = 3}, &err), WEIR_EINTERNAL);
    assert_non_null(strstr(err.msg, "migration 3"));
    const char *const dangling[] = {schema[0], schema[1], "INSERT INTO child(parent) VALUES (99)"};
    assert_int_equal(wr_db_open(&db, file, &(wr_db_opt){.migrations = dangling, .n = 3}, &err), WEIR_ECONFLICT);
    db = opened(); /* both left nothing */
    assert_int_equal(
        number(db, on_pg ? "SELECT count(to_regclass('u'))" : "SELECT count(*) FROM sqlite_schema WHERE name = 'u'"),
        0);
    assert_int_equal(number(db, "SELECT count(*) FROM child"), 0);
    assert_int_equal(count(db), 1);
    wr_db_close(db);

    assert_int_equal(wr_db_open(&db, file, &(wr_db_opt){.migrations = schema, .n = 1}, &err), WEIR_EUNSUPPORTED);
    assert_non_null(strstr(err.msg, "newer program"));
    assert_true(err.hint[0] != 0);
}

static void settings_are_on(void **state)
{
    (void)state;
    wr_db *db = opened();
    assert_int_equal(number(db, "SELECT journal_mode = 'wal' FROM pragma_journal_mode"), 1);
    assert_int_equal(number(db, "PRAGMA query_only"), 1);
    wr_db_close(db);
    wr_db_conn *c = wr_db_conn_new(&wr_db_sqlite, NULL, file, file);
    assert_int_equal(wr_db_conn_open(c, WR_DB_CONN_WRITE, NULL), 0);
    int64_t v = 0;
    assert_int_equal(wr_db_conn_int(c, &v, "PRAGMA busy_timeout", NULL), 0);
    assert_int_equal(v, 10000);
    wr_db_conn_free(c);
}

static void read_only(void **state)
{
    (void)state;
    wr_err err = {0};
    wr_db *db, *reader;
    wr_db_opt ro = {.migrations = schema, .n = 2, .read_only = true};
    assert_int_equal(wr_db_open(&reader, file, &ro, &err),
                     on_pg ? WEIR_EUNAVAILABLE : WEIR_ENOTFOUND); /* nothing is made */
    db = opened();
    assert_int_equal(wr_db_write(db, insert, "x", &err), 0);
    assert_int_equal(wr_db_open(&reader, file, &ro, &err), 0);
    assert_int_equal(count(reader), 1);
    assert_int_equal(wr_db_write(reader, insert, "y", &err), WEIR_EACCESS);
    assert_int_equal(wr_db_write_async(reader, insert, NULL, done, &err), WEIR_EACCESS);
    wr_db_close(reader);
    wr_db_close(db);
    ro.n = 1;
    assert_int_equal(wr_db_open(&reader, file, &ro, &err), WEIR_EUNSUPPORTED);
    ro.n = 3;
    assert_int_equal(wr_db_open(&reader, file, &ro, &err), WEIR_EUNAVAILABLE);
}

static void hostile_paths(void **state)
{
    (void)state;
    wr_err err = {0};
    wr_db *db;
    char path[400];
    assert_int_equal(wr_db_open(&db, "", &opt, &err), WEIR_EINVAL);
    assert_int_equal(wr_db_open(&db, dir, &opt, &err), WEIR_EACCESS);
    snprintf(path, sizeof path, "%s/no/such/folder.db", dir);
    assert_int_equal(wr_db_open(&db, path, &opt, &err), WEIR_ENOTFOUND);
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(wr_db_open(&db, ":memory:", &opt, &err), 0); /* a file of that name */
    wr_db_close(db);
    snprintf(path, sizeof path, "%s/:memory:", dir);
    assert_true(wr_file_exists(path));
    assert_int_equal(chdir("/"), 0);
}

static void corrupt_file(void **state)
{
    (void)state;
    wr_err err = {0};
    wr_db *db;
    char text[2000];
    memset(text, 'x', sizeof text);
    assert_int_equal(wr_file_write(file, (wr_str){text, sizeof text}, &err), 0);
    assert_int_equal(wr_db_open(&db, file, &opt, &err), WEIR_ECORRUPT);
    assert_non_null(strstr(err.msg, file));
    assert_true(err.hint[0] != 0);
    wr_buf kept;
    wr_buf_init(&kept, 0);
    assert_int_equal(wr_file_read(&kept, file, 10000, &err), 0);
    assert_true(wr_str_eq(wr_buf_view(&kept), (wr_str){text, sizeof text})); /* left as it was */
    wr_buf_fini(&kept);
}

static void corrupt_page(void **state)
{
    (void)state;
    wr_err err = {0};
    wr_db *db = opened();
    wr_db_close(db);
    int fd = open(file, O_WRONLY);
    char text[2 * 4096];
    memset(text, 0x5a, sizeof text);
    assert_int_equal(pwrite(fd, text, sizeof text, 4096), sizeof text); /* the roots of t and of its index */
    close(fd);
    db = opened();
    wr_stmt *s;
    assert_int_equal(wr_db_prepare(db, &s, "SELECT count(*) FROM t", &err), 0);
    assert_int_equal(wr_step(s, &err), WEIR_ECORRUPT);
    wr_stmt_done(s);
    assert_int_equal(wr_db_write(db, insert, "x", &err), WEIR_ECORRUPT);
    wr_db_close(db);
}

static int as_nobody(void)
{
    wr_err err = {0};
    wr_db *db;
    wr_db_opt ro = {.migrations = schema, .n = 2, .read_only = true};
    if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0)) return 1;
    if (wr_db_open(&db, file, &opt, &err) != WEIR_EACCESS || !err.hint[0]) return 2;
    if (wr_db_open(&db, file, &ro, &err) != WEIR_EACCESS || !strstr(err.hint, "-shm")) return 3;
    return 0;
}

static void read_only_folder(void **state)
{
    (void)state;
    wr_db_close(opened());
    assert_int_equal(chmod(file, 0444), 0);
    assert_int_equal(chmod(dir, 0555), 0);
    in_child(as_nobody);
    assert_int_equal(chmod(dir, 0755), 0);
}

/* --- two processes --- */

static int write_fifty(void)
{
    wr_db *db;
    if (wr_db_open(&db, file, &opt, NULL) < 0) return 1;
    for (int i = 0; i < 50; i++) {
        char name[32];
        snprintf(name, sizeof name, "%ld-%d", (long)getpid(), i);
        if (wr_db_write(db, insert, name, NULL) < 0) return 2;
    }
    wr_db_close(db);
    return 0;
}

static void processes_create_and_share_a_file(void **state)
{
    (void)state;
    pid_t pids[4];
    for (int i = 0; i < 4; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) _exit(write_fifty());
    }
    for (int i = 0; i < 4; i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    wr_db *db = opened();
    assert_int_equal(count(db), 200);
    wr_db_close(db);
}

static int64_t changes(wr_db *db)
{
    int64_t n = -1;
    wr_err err = {0};
    if (wr_db_changed(db, &n, &err) < 0) fail_msg("%s: %s", err.msg, err.detail);
    return n;
}

/* The counter is for caches: what this db writes itself does not count, whatever else happens meanwhile. */
static void changes_of_others_are_noticed(void **state)
{
    (void)state;
    wr_db *db = opened(), *other = opened();
    assert_int_equal(wr_db_is_shared(db), on_pg);
    changes(db);
    if (on_pg) { /* nobody knows: always */
        int64_t n = changes(db);
        assert_true(changes(db) > n);
        wr_db_close(other);
        wr_db_close(db);
        return;
    }
    assert_int_equal(wr_db_write(db, insert, "first", NULL), 0); /* perhaps once too often */
    int64_t before = changes(db);
    for (int i = 0; i < 50; i++) {
        char name[32];
        snprintf(name, sizeof name, "mine %d", i);
        assert_int_equal(wr_db_write(db, insert, name, NULL), 0);
        if (i % 2) assert_int_equal(changes(db), before);
    }
    for (int i = 0; i < 20; i++) {
        char name[32];
        before = changes(db);
        snprintf(name, sizeof name, "theirs %d", i);
        assert_int_equal(wr_db_write(other, insert, name, NULL), 0);
        snprintf(name, sizeof name, "and mine %d", i);
        if (i % 3) assert_int_equal(wr_db_write(db, insert, name, NULL), 0); /* does not hide theirs */
        int64_t soon = -1;
        if (i % 2) assert_int_equal(wr_db_changed_soon(db, &soon, NULL), 0); /* nobody is committing: at once */
        if (i % 2) assert_true(soon > before);
        assert_true(changes(db) > before);
        before = changes(db);
        assert_int_equal(changes(db), before);
    }
    wr_db_close(other);
    wr_db_close(db);
}

static void *watch_main(void *arg)
{
    void **a = arg;
    int64_t n;
    while (!atomic_load((atomic_bool *)a[1])) {
        changes(a[0]);
        assert_int_equal(wr_db_changed_soon(a[0], &n, NULL), 0);
    }
    return NULL;
}

static void our_own_commits_never_count(void **state)
{
    (void)state;
    wr_db *db = opened();
    atomic_bool stop = false;
    void *args[] = {db, &stop};
    pthread_t t;
    changes(db);
    assert_int_equal(wr_db_write(db, insert, "first", NULL), 0);
    int64_t before = changes(db);
    assert_int_equal(pthread_create(&t, NULL, watch_main, args), 0);
    for (int i = 0; i < 200; i++) {
        char name[32];
        snprintf(name, sizeof name, "n%d", i);
        assert_int_equal(wr_db_write(db, insert, name, NULL), 0);
    }
    atomic_store(&stop, true);
    pthread_join(t, NULL);
    assert_int_equal(changes(db), before);
    wr_db_close(db);
}

static void backup_while_running(void **state)
{
    (void)state;
    wr_db *db = opened(), *copy;
    wr_err err = {0};
    char to[400];
    snprintf(to, sizeof to, "%s/copy.db", dir);
    assert_int_equal(wr_db_write(db, insert, "a", NULL), 0);
    assert_int_equal(wr_db_backup(db, to, &err), 0);
    assert_int_equal(wr_db_write(db, insert, "b", NULL), 0);
    pthread_t t;
    atomic_bool go = false;
    void *args[] = {db, &go};
    assert_int_equal(pthread_create(&t, NULL, hold_main, args), 0); /* a write that is not finished is not in it */
    usleep(20000);
    assert_int_equal(wr_db_backup(db, to, &err), 0); /* replaces the first */
    atomic_store(&go, true);
    pthread_join(t, NULL);
    assert_int_equal(wr_db_write(db, insert, "c", NULL), 0);
    assert_int_equal(wr_db_open(&copy, to, &opt, &err), 0);
    assert_int_equal(count(copy), 2);
    assert_int_equal(wr_db_write(copy, insert, "d", NULL), 0); /* a database like any other */
    wr_db_close(copy);
    assert_int_equal(count(db), 3);
    wr_fault_arm(WR_FAULT_WRITE, 1, false);
    assert_int_equal(wr_db_backup(db, to, &err), WEIR_ENOSPC);
    wr_fault_arm(WR_FAULT_WRITE, 0, false);
    snprintf(to, sizeof to, "%s/no/such/folder/copy.db", dir);
    assert_int_equal(wr_db_backup(db, to, &err), WEIR_ENOTFOUND);
    wr_db_close(db);
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char **names;
    size_t n;
    assert_int_equal(wr_file_list(&names, &n, a, dir, NULL), 0);
    assert_int_equal(n, 2); /* no temporary file stays */
}

/* --- faults --- */

/* Whatever kind fails and whenever: the write is refused, nobody sees it, and the next one works. */
static void a_failed_commit_is_not_visible(void **state)
{
    (void)state;
    wr_db *db = opened();
    assert_int_equal(count(db), 0);
    int64_t expect = 0;
    const wr_fault_kind kinds[] = {WR_FAULT_WRITE, WR_FAULT_FSYNC, WR_FAULT_ALLOC};
    for (size_t k = 0; k < 3; k++) {
        bool fired = true;
        for (int n = 1; fired; n++) {
            char *name = name_of((int)k * 10000 + n);
            wr_err err = {0};
            wr_fault_arm(kinds[k], n, false);
            int rc = wr_db_write(db, insert, name, &err);
            fired = wr_fault_fired(kinds[k]);
            wr_fault_arm(kinds[k], 0, false);
            assert_int_equal(rc, err.code);
            assert_true(rc == 0 || fired);
            if (rc < 0) assert_int_equal(count(db), expect);
            if (rc < 0) assert_int_equal(wr_db_write(db, insert, name, &err), 0);
            free(name);
            assert_int_equal(count(db), ++expect);
            assert_true(n < 3000);
        }
    }
    wr_db_close(db);
    db = opened();
    assert_int_equal(count(db), expect);
    wr_db_close(db);
}

static void a_full_disk_refuses_the_whole_group(void **state)
{
    (void)state;
    wr_db *db = opened();
    wr_err err = {0};
    atomic_bool go = false;
    pthread_t t;
    void *args[] = {db, &go};
    atomic_store(&answered, 0);
    atomic_store(&refused, 0);
    assert_int_equal(pthread_create(&t, NULL, hold_main, args), 0);
    usleep(50000);
    for (int i = 0; i < 10; i++) assert_int_equal(wr_db_write_async(db, insert, name_of(i), done, &err), 0);
    wr_fault_arm(WR_FAULT_WRITE, 1, true); /* `hold` itself writes nothing */
    atomic_store(&go, true);
    pthread_join(t, NULL);
    assert_int_equal(wr_db_write(db, insert, "also", &err), WEIR_ENOSPC);
    assert_true(err.hint[0] != 0);
    wr_fault_arm(WR_FAULT_WRITE, 0, false);
    assert_int_equal(atomic_load(&refused), 10);
    assert_int_equal(count(db), 0);
    assert_int_equal(wr_db_write(db, insert, "also", &err), 0);
    assert_int_equal(count(db), 1);
    wr_db_close(db);
}

static void slowly_done(void *arg, int rc, const wr_err *err)
{
    usleep(1000);
    done(arg, rc, err);
}

static void await_waits_for_the_last_answer(void **state)
{
    (void)state;
    wr_db *db = opened();
    wr_err err = {0};
    wr_db_await(db); /* for nothing */
    atomic_store(&answered, 0);
    for (int i = 0; i < 30; i++) assert_int_equal(wr_db_write_async(db, insert, name_of(i), slowly_done, &err), 0);
    wr_db_await(db);
    assert_int_equal(atomic_load(&answered), 30);
    wr_db_close(db);
}

int main(void)
{
    wr_err err;
    if (wr_db_fault_install(&err) < 0) return 1;
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define P(f)                                                                                                           \
    {                                                                                                                  \
#f " (PostgreSQL)", f, setup_pg, teardown, NULL                                                                \
    }
#define BOTH(f) T(f), P(f)
    const struct CMUnitTest tests[] = {
        BOTH(values_come_back),
        BOTH(doubles_keep_their_bits),
        BOTH(blobs_come_back),
        BOTH(ids_are_counted),
        BOTH(nulls_without_a_type),
        BOTH(what_is_common_means_the_same),
        BOTH(bound_arguments_of_functions),
        BOTH(matching_functions),
        BOTH(answers_that_come_later),
        BOTH(wrong_statements),
        BOTH(nested_statements_share_a_snapshot),
        BOTH(forgotten_statement_is_closed),
        BOTH(failed_write_is_rolled_back_alone),
        BOTH(a_group_is_one_transaction),
        BOTH(many_threads),
        BOTH(migrations_in_order),
        BOTH(read_only),
        BOTH(processes_create_and_share_a_file),
        BOTH(changes_of_others_are_noticed),
        T(our_own_commits_never_count),
        T(backup_while_running),
        T(settings_are_on),
        T(hostile_paths),
        T(corrupt_file),
        T(corrupt_page),
        T(read_only_folder),
        T(a_failed_commit_is_not_visible),
        T(a_full_disk_refuses_the_whole_group),
        BOTH(await_waits_for_the_last_answer),
    };
#undef T
#undef P
#undef BOTH
    return cmocka_run_group_tests_name("db", tests, NULL, NULL);
}
