/* SPDX-License-Identifier: Apache-2.0 */
/* tables_test.c - the table engine: types, text, errors, the lock-down, frames as tables, Parquet out and in. */
#include <dirent.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fault.h"
#include "io/file.h"
#include "store/duck_api.h"
#include "store/tables.h"

static char dir[256]; /* may be read and written */
static char spill[300];
static char far[256]; /* may not */
static wr_tables *t;

static wr_tables *open_engine(int threads)
{
    const char *allow[] = {dir, NULL};
    wr_tables_opt opt = {.memory = 256 << 20, .threads = threads, .spill = spill, .allow = allow};
    wr_tables *e = NULL;
    wr_err err = {0};
    int rc = wr_tables_open(&e, &opt, &err);
    if (rc) print_error("%s: %s %s\n", err.msg, err.detail, err.hint);
    assert_int_equal(rc, 0);
    return e;
}

static int set_up(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(dir, sizeof dir, "%s/weir-tables-XXXXXX", tmp ? tmp : "/tmp");
    (void)snprintf(far, sizeof far, "%s/weir-far-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(dir) || !mkdtemp(far)) return 1;
    (void)snprintf(spill, sizeof spill, "%s/spill", far);
    t = open_engine(2);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    wr_tables_close(t);
    return wr_file_remove_tree(dir, NULL) || wr_file_remove_tree(far, NULL);
}

static wr_frame *rows(const char *sql)
{
    wr_frame *f = NULL;
    wr_err err = {0};
    if (wr_tables_query(t, &f, sql, NULL, 0, &err)) fail_msg("%s: %s: %s", sql, err.msg, err.detail);
    return f;
}

static int64_t number(const char *sql)
{
    int64_t v = -77;
    wr_err err = {0};
    if (wr_tables_i64(t, &v, sql, &err)) fail_msg("%s: %s: %s", sql, err.msg, err.detail);
    return v;
}

static void run(const char *sql)
{
    wr_err err = {0};
    if (wr_tables_exec(t, sql, NULL, &err)) fail_msg("%s: %s: %s", sql, err.msg, err.detail);
}

/* The code of a failing statement; query and exec must agree. */
static int code(const char *sql, wr_err *err)
{
    wr_frame *f = NULL;
    *err = (wr_err){0};
    int rc = wr_tables_query(t, &f, sql, NULL, 0, err);
    wr_frame_free(f);
    assert_int_equal(rc, err->code);
    return rc;
}

static void path_in(char *out, size_t size, const char *folder, const char *name)
{
    assert_true(snprintf(out, size, "%s/%s", folder, name) < (int)size);
}

static const wr_col *col(const wr_frame *f, const char *name, wr_type type)
{
    wr_col *c = NULL;
    assert_int_equal(wr_frame_need(&c, f, name, type, NULL), 0);
    return c;
}

static void whole_numbers(void **state)
{
    (void)state;
    WR_AUTOFRAME wr_frame *f = rows(
        "SELECT (-128)::TINYINT a, (-32768)::SMALLINT b, (-2147483648)::INTEGER c, (-9223372036854775808)::BIGINT d, "
        "255::UTINYINT e,"
        " 65535::USMALLINT f, 4294967295::UINTEGER g, 9223372036854775807::UBIGINT h, (-5)::HUGEINT i, 6::UHUGEINT j,"
        " 7::DECIMAL(4,0) k, 8::DECIMAL(9,0) l, (-9)::DECIMAL(18,0) m, (-10)::DECIMAL(38,0) n, NULL::UBIGINT o");
    const int64_t want[] = {-128,      -32768, INT32_MIN, INT64_MIN, 255, 65535, 4294967295,
                            INT64_MAX, -5,     6,         7,         8,   -9,    -10};
    assert_int_equal(f->ncols, 15);
    for (size_t i = 0; i < 14; i++) {
        assert_int_equal(f->cols[i].type, WR_I64);
        assert_int_equal(f->cols[i].i64[0], want[i]);
    }
    assert_true(wr_col_missing(&f->cols[14], 0));
    wr_err err;
    assert_int_equal(code("SELECT 9223372036854775808::UBIGINT x", &err), WEIR_EINVAL);
    assert_non_null(strstr(err.msg, "\"x\""));
    assert_int_equal(code("SELECT 9223372036854775808::HUGEINT x", &err), WEIR_EINVAL);
    assert_int_equal(code("SELECT (-9223372036854775809)::HUGEINT x", &err), WEIR_EINVAL);
    assert_int_equal(code("SELECT 340282366920938463463374607431768211455::UHUGEINT x", &err), WEIR_EINVAL);
}

static void broken_numbers(void **state)
{
    (void)state;
    WR_AUTOFRAME wr_frame *f = rows("SELECT 1.5::FLOAT a, 0.1::DOUBLE b, 1.25::DECIMAL(4,2) c, (-0.1)::DECIMAL(9,1) d, "
                                    "12345678901.123::DECIMAL(18,3) e,"
                                    " (-12345678901234567890.5)::DECIMAL(38,3) f, 'nan'::DOUBLE g, '-inf'::DOUBLE h, "
                                    "NULL::DOUBLE i, NULL::DECIMAL(9,2) j,"
                                    " NULL::FLOAT k, true l, false m, NULL::BOOLEAN n");
    assert_true(col(f, "a", WR_F32)->f32[0] == 1.5f);
    assert_true(col(f, "b", WR_F64)->f64[0] == 0.1);
    assert_true(col(f, "c", WR_F64)->f64[0] == 1.25);
    assert_true(col(f, "d", WR_F64)->f64[0] == -0.1);
    assert_true(col(f, "e", WR_F64)->f64[0] == 12345678901.123);
    assert_true(col(f, "f", WR_F64)->f64[0] == -12345678901234567890.5);
    assert_true(isnan(col(f, "g", WR_F64)->f64[0]));
    assert_false(wr_col_missing(col(f, "g", WR_F64), 0)); /* a NaN is a value, NULL is missing */
    assert_true(isinf(col(f, "h", WR_F64)->f64[0]));
    assert_true(wr_col_missing(col(f, "i", WR_F64), 0) && isnan(f->cols[8].f64[0]));
    assert_true(wr_col_missing(col(f, "j", WR_F64), 0) && isnan(f->cols[9].f64[0]));
    assert_true(wr_col_missing(col(f, "k", WR_F32), 0) && isnan((double)f->cols[10].f32[0]));
    assert_int_equal(col(f, "l", WR_BOOL)->b[0], 1);
    assert_int_equal(col(f, "m", WR_BOOL)->b[0], 0);
    assert_true(wr_col_missing(col(f, "n", WR_BOOL), 0) && f->cols[13].b[0] == 0);
}

static void moments(void **state)
{
    (void)state;
    WR_AUTOFRAME wr_frame *f =
        rows("SELECT DATE '1969-12-31' a, TIMESTAMP '2001-06-14 10:00:00.25' b, TIMESTAMPTZ '2001-06-14 12:00:00+02' c,"
             " TIMESTAMP_S '2001-06-14 10:00:00' d, TIMESTAMP_MS '2001-06-14 10:00:00.5' e,"
             " '1969-12-31 23:59:59.999999999'::TIMESTAMP_NS f, 'infinity'::DATE g, '-infinity'::TIMESTAMP h, "
             "'infinity'::TIMESTAMP_S i,"
             " NULL::TIMESTAMP j, NULL::DATE k, 'infinity'::TIMESTAMP_NS l");
    const int64_t ten = 992512800 * WR_US;
    const int64_t want[] = {-WR_DAY_US, ten + 250000, ten, ten, ten + 500000, -1, INT64_MAX, -INT64_MAX, INT64_MAX};
    for (size_t i = 0; i < 9; i++) {
        assert_int_equal(f->cols[i].type, WR_TS);
        assert_int_equal(f->cols[i].i64[0], want[i]);
    }
    assert_true(wr_col_missing(&f->cols[9], 0));
    assert_true(wr_col_missing(&f->cols[10], 0));
    assert_int_equal(f->cols[11].i64[0], INT64_MAX);
    wr_err err;
    assert_int_equal(code("SELECT DATE '294300-01-01' d", &err), WEIR_EINVAL); /* a date, but not in microseconds */
}

static void texts(void **state)
{
    (void)state;
    WR_AUTOFRAME wr_frame *f = rows(
        "SELECT * FROM (VALUES ('b', 'x'::ENUM('z','y','x'), '00000000-0000-4000-8000-00000000000f'::UUID, '{\"a\": "
        "1}'::JSON),"
        " ('a long string beyond twelve', 'z', NULL, NULL), ('', NULL, 'ffffffff-0123-4567-89ab-cdef01234567', '[]'),"
        " (NULL, 'x', NULL, NULL), ('a long string beyond twelve', 'y', NULL, NULL), ('twelve bytes', 'z', NULL, NULL),"
        " ('b', 'x', NULL, NULL)) v(s, e, u, j)");
    const wr_col *s = col(f, "s", WR_TEXT), *e = col(f, "e", WR_TEXT), *u = col(f, "u", WR_TEXT);
    assert_int_equal(s->dict.n, 4);
    assert_true(wr_str_is(wr_col_text(s, 0), "b"));
    assert_int_equal(s->code[0], 0); /* first appearance */
    assert_int_equal(s->code[6], 0);
    assert_int_equal(s->code[1], s->code[4]);
    assert_true(wr_str_is(wr_col_text(s, 4), "a long string beyond twelve"));
    assert_true(wr_str_is(wr_col_text(s, 5), "twelve bytes"));
    assert_int_equal(wr_col_text(s, 2).n, 0);
    assert_false(wr_col_missing(s, 2));
    assert_true(wr_col_missing(s, 3));
    assert_true(wr_str_is(e->dict.at[0].key, "x")); /* not the order of the ENUM */
    assert_true(wr_str_is(wr_col_text(e, 4), "y"));
    assert_true(wr_col_missing(e, 2));
    assert_true(wr_str_is(wr_col_text(u, 0), "00000000-0000-4000-8000-00000000000f"));
    assert_true(wr_str_is(wr_col_text(u, 2), "ffffffff-0123-4567-89ab-cdef01234567"));
    assert_true(wr_str_is(wr_col_text(col(f, "j", WR_TEXT), 0), "{\"a\": 1}"));
}

/* Strings share memory from chunk to chunk: a stale pointer in the cache would give a wrong code here. */
static void many_chunks_of_text(void **state)
{
    (void)state;
    WR_AUTOFRAME wr_frame *f =
        rows("SELECT i, CASE WHEN i % 7 = 0 THEN NULL ELSE 'a rather long text number ' || (i * 7919 % 5003) END s,"
             " 'k' || i % 300 k FROM range(50000) r(i)");
    assert_int_equal(f->nrows, 50000);
    const wr_col *s = col(f, "s", WR_TEXT), *k = col(f, "k", WR_TEXT);
    assert_int_equal(k->dict.n, 300);
    for (size_t i = 0; i < f->nrows; i++) {
        char want[64];
        assert_int_equal(f->cols[0].i64[i], i);
        assert_int_equal(wr_col_missing(s, i), i % 7 == 0);
        (void)snprintf(want, sizeof want, "a rather long text number %zu", i * 7919 % 5003);
        if (i % 7) assert_true(wr_str_is(wr_col_text(s, i), want));
        (void)snprintf(want, sizeof want, "k%zu", i % 300);
        assert_true(wr_str_is(wr_col_text(k, i), want));
    }
}

static void order_and_emptiness(void **state)
{
    (void)state;
    WR_AUTOFRAME wr_frame *none = rows("SELECT 1 AS a, 'x' AS b WHERE false");
    assert_int_equal(none->nrows, 0);
    assert_int_equal(none->ncols, 2);
    assert_int_equal(none->cols[1].type, WR_TEXT);
    WR_AUTOFRAME wr_frame *f = rows("SELECT i FROM range(300000) r(i) WHERE i % 3 = 0"); /* parallel, yet in order */
    assert_int_equal(f->nrows, 100000);
    for (size_t i = 0; i < f->nrows; i++) assert_int_equal(f->cols[0].i64[i], 3 * i);
}

static void values_for_question_marks(void **state)
{
    (void)state;
    const wr_bind binds[] = {{WR_BIND_I64, .i = -3},
                             {WR_BIND_F64, .f = 0.5},
                             {WR_BIND_TEXT, .s = WR_STR("it's; DROP TABLE x")},
                             {WR_BIND_TS, .i = 992512800 * WR_US},
                             {WR_BIND_NULL}};
    const char *sql = "SELECT ?::BIGINT a, ? b, ?::VARCHAR c, ?::TIMESTAMP d, ?::DOUBLE e";
    wr_frame *f = NULL;
    assert_int_equal(wr_tables_query(t, &f, sql, binds, 5, NULL), 0);
    assert_int_equal(f->cols[0].i64[0], -3);
    assert_true(wr_col_num(&f->cols[1], 0) == 0.5);
    assert_true(wr_str_is(wr_col_text(&f->cols[2], 0), "it's; DROP TABLE x"));
    assert_int_equal(f->cols[3].i64[0], 992512800 * WR_US);
    assert_true(wr_col_missing(&f->cols[4], 0));
    wr_frame_free(f);
    wr_err err = {0};
    assert_int_equal(wr_tables_query(t, &f, sql, binds, 4, &err), WEIR_EINVAL);
    assert_non_null(strstr(err.msg, "5 parameters"));
    const wr_bind bad = {WR_BIND_TEXT, .s = WR_STR("\xff\xfe")};
    wr_frame *g = NULL;
    assert_int_not_equal(wr_tables_query(t, &g, "SELECT ?::VARCHAR x", &bad, 1, &err), 0);
    assert_null(g);
}

static void statements(void **state)
{
    (void)state;
    int64_t changed = -7;
    run("CREATE TABLE a(x BIGINT); INSERT INTO a VALUES (1), (2)");
    assert_int_equal(wr_tables_exec(t, "INSERT INTO a SELECT * FROM range(10)", &changed, NULL), 0);
    assert_int_equal(changed, 10);
    assert_int_equal(wr_tables_exec(t, "CREATE TABLE b AS SELECT 1 x; DROP TABLE b", &changed, NULL), 0);
    assert_int_equal(changed, -1);
    assert_int_equal(number("SELECT count(*) FROM a"), 12);
    int64_t v;
    wr_err err = {0};
    assert_int_equal(wr_tables_i64(t, &v, "SELECT x FROM a WHERE x > 99", &err), WEIR_ENOTFOUND);
    assert_int_equal(wr_tables_i64(t, &v, "SELECT max(x) FROM a WHERE x > 99", &err), WEIR_ENOTFOUND);
    assert_int_equal(wr_tables_i64(t, &v, "SELECT 'x'", &err), WEIR_ETYPE);
    run("DROP TABLE a");
    run("");
}

static void errors_say_what_to_do(void **state)
{
    (void)state;
    wr_err err;
    assert_int_equal(code("SELEC 1", &err), WEIR_EPARSE);
    assert_int_equal(code("SELECT delai FROM (SELECT 1 AS delay)", &err), WEIR_ENOTFOUND);
    assert_non_null(strstr(err.msg, "\"delai\""));
    assert_non_null(strstr(err.hint, "delay"));
    assert_int_equal(code("SELECT * FROM nosuch", &err), WEIR_ENOTFOUND);
    assert_non_null(strstr(err.msg, "nosuch"));
    assert_int_equal(code("SELECT [1, 2] AS list", &err), WEIR_ETYPE);
    assert_non_null(strstr(err.msg, "\"list\" is LIST"));
    assert_non_null(strstr(err.hint, "CAST"));
    assert_int_equal(code("SELECT TIME '10:00' AS x", &err), WEIR_ETYPE);
    assert_int_equal(code("SELECT 1 AS a, 2 AS a", &err), WEIR_EINVAL);
    assert_int_equal(code("SELECT 'x'::INTEGER", &err), WEIR_EINVAL);
    assert_int_equal(code("SELECT 1; SELECT 2", &err), WEIR_EINVAL);
    assert_int_equal(code("SELECT CASE WHEN i = 9000 THEN error('late') ELSE i END x FROM range(10000) r(i)", &err),
                     WEIR_EINVAL);
    assert_string_equal(err.msg, "late"); /* in the middle of the stream */
    assert_int_equal(wr_tables_exec(t, "CREATE TABLE z(x INT); CREATE TABLE z(x INT)", NULL, &err), WEIR_EEXIST);
    run("DROP TABLE z");
    char sql[400], path[300];
    path_in(path, sizeof path, dir, "no.parquet");
    (void)snprintf(sql, sizeof sql, "SELECT * FROM read_parquet('%s')", path);
    assert_int_equal(code(sql, &err), WEIR_ENOTFOUND);
    assert_int_equal(number("SELECT 42"), 42); /* none of this broke the engine */
}

static void error_texts(void **state)
{
    (void)state;
    wr_err err = {0};
    assert_int_equal(wr_duck_fail(&err, "IO Error: Could not write file \"x\": No space left on device"), WEIR_ENOSPC);
    assert_int_equal(wr_duck_fail(&err, "IO Error: Cannot open file \"x\": Permission denied"), WEIR_EACCESS);
    assert_int_equal(wr_duck_fail(&err, "Out of Memory Error: could not allocate block of size 256.0 KiB"),
                     WEIR_ENOMEM);
    assert_int_equal(wr_duck_fail(&err, "INTERRUPT Error: Interrupted!"), WEIR_ECANCELED);
    assert_int_equal(wr_duck_fail(&err, "Not implemented Error: x"), WEIR_EUNSUPPORTED);
    assert_int_equal(wr_duck_fail(&err, "no kind at all"), WEIR_EINVAL);
    assert_string_equal(err.msg, "no kind at all");
    assert_int_equal(wr_duck_fail(&err, "Binder Error: First Line!\nDid you mean \"y\"?\n\nLINE 1: x"), WEIR_EINVAL);
    assert_string_equal(err.msg, "first Line");
    assert_string_equal(err.hint, "did you mean \"y\"?");
    assert_int_equal(wr_duck_fail(&err, "Binder Error: "), WEIR_EINVAL);
    assert_string_equal(err.msg, "query failed");
    assert_int_equal(wr_duck_fail(&err, NULL), WEIR_EINTERNAL);
    assert_int_equal(wr_duck_fail(&err, ""), WEIR_EINTERNAL);
}

/* Nothing outside the allowed folder can be read or written. */
static void files_are_out_of_reach(void **state)
{
    (void)state;
    char sql[900], secret[300];
    path_in(secret, sizeof secret, far, "secret.csv");
    assert_int_equal(wr_file_write(secret, WR_STR("a\n1\n"), NULL), 0);
    const char *const with_path[] = {
        "SELECT * FROM read_csv('%s')",
        "SELECT * FROM read_text('%s')",
        "SELECT * FROM read_blob('%s')",
        "SELECT * FROM read_json('%s')",
        "SELECT * FROM glob('%s*')",
        "SELECT * FROM sniff_csv('%s')",
        "COPY (SELECT 1) TO '%s' (FORMAT csv)",
        "COPY (SELECT 1) TO '%s' (FORMAT parquet)",
        "CREATE TABLE stolen AS SELECT * FROM '%s'",
        "SELECT * FROM read_duckdb('%s')",
    };
    wr_err err;
    for (size_t i = 0; i < sizeof with_path / sizeof *with_path; i++) {
        (void)snprintf(sql, sizeof sql, with_path[i], secret);
        err = (wr_err){0};
        int rc = wr_tables_exec(t, sql, NULL, &err);
        if (rc != WEIR_EACCESS && rc != WEIR_ENOTFOUND) fail_msg("%s: %d %s", sql, rc, err.msg);
    }
    WR_AUTOBUF wr_buf kept;
    wr_buf_init(&kept, 0);
    assert_int_equal(wr_file_read(&kept, secret, 100, NULL), 0);
    assert_string_equal(wr_buf_cstr(&kept), "a\n1\n");
    (void)snprintf(sql, sizeof sql, "SELECT * FROM read_text('%s/../%s/secret.csv')", dir, strrchr(far, '/') + 1);
    assert_int_equal(code(sql, &err), WEIR_EACCESS);
}

static void settings_and_tricks_are_refused(void **state)
{
    (void)state;
    wr_err err;
    const char *const plain[] = {
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_text('/proc/self/environ')",
        "ATTACH '/tmp/weir-evil.db'",
        "ATTACH ':memory:' AS z",
        "INSTALL httpfs",
        "LOAD httpfs",
        "LOAD '/tmp/x.duckdb_extension'",
        "SET threads=7",
        "SET memory_limit='99GB'",
        "SET enable_external_access=true",
        "SET TimeZone='Europe/Berlin'",
        "SET lock_configuration=false",
        "SET VARIABLE x = 1",
        "RESET threads",
        "PRAGMA threads=7",
        "PRAGMA enable_profiling",
        "PRAGMA enable_verification",
        "EXPORT DATABASE '/tmp/weir-evil'",
        "IMPORT DATABASE '/tmp/weir-evil'",
        "PREPARE p AS SELECT 1",
        "CALL pragma_version()",
        "CALL enable_logging(storage='file', storage_config={'path':'/tmp/weir-evil'})",
        "SELECT * FROM enable_logging(storage='file', storage_config={'path':'/tmp/weir-evil'})",
        "SELECT * FROM \"Enable_Logging\"()",
        "SELECT * FROM enable_profiling()",
        "SELECT * FROM query('SELECT 1')",
        "SELECT * FROM \"query\" /* a /* b */ */ -- c\n ('SELECT 1')",
        "FROM query('FROM enable_' || 'logging()')",
        "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
        "CREATE MACRO m() AS TABLE SELECT * FROM query('SELECT 1')",
    };
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        if (code(plain[i], &err) != WEIR_EACCESS) fail_msg("%s: %d %s", plain[i], err.code, err.msg);
        err = (wr_err){0};
        if (wr_tables_exec(t, plain[i], NULL, &err) != WEIR_EACCESS)
            fail_msg("exec %s: %d %s", plain[i], err.code, err.msg);
    }
    assert_int_equal(number("SELECT current_setting('threads')::BIGINT"), 2);
    assert_int_equal(access("/tmp/weir-evil", F_OK), -1);
    /* names that only look like it */
    WR_AUTOFRAME wr_frame *f = rows("SELECT count(query) AS query, 'import' AS import FROM (SELECT 1 AS query)");
    assert_int_equal(f->cols[0].i64[0], 1);
    run("CREATE TABLE log(query VARCHAR, x INT); DROP TABLE log");
}

static void *interrupt_soon(void *arg)
{
    (void)arg;
    usleep(100 * 1000);
    wr_tables_interrupt(t);
    return NULL;
}

static void interrupt_ends_a_query(void **state)
{
    (void)state;
    pthread_t thread;
    wr_err err = {0};
    wr_frame *f = NULL;
    assert_int_equal(pthread_create(&thread, NULL, interrupt_soon, NULL), 0);
    int64_t start = wr_clock_mono_ns();
    int rc =
        wr_tables_query(t, &f, "SELECT sum(a.i * b.i) s FROM range(3000000) a(i), range(3000000) b(i)", NULL, 0, &err);
    pthread_join(thread, NULL);
    assert_int_equal(rc, WEIR_ECANCELED);
    assert_null(f);
    assert_true(wr_clock_mono_ns() - start < 20000000000);
    assert_int_equal(pthread_create(&thread, NULL, interrupt_soon, NULL), 0);
    rc = wr_tables_exec(t, "CREATE TABLE big AS SELECT sum(a.i * b.i) s FROM range(3000000) a(i), range(3000000) b(i)",
                        NULL, &err);
    pthread_join(thread, NULL);
    assert_int_equal(rc, WEIR_ECANCELED);
    assert_int_equal(number("SELECT 1"), 1); /* and the next one runs */
}

static void *watch_progress(void *best)
{
    for (int i = 0; i < 5000 && *(double *)best <= 0; i++) { /* ends the query as soon as it has seen something */
        double p = wr_tables_progress(t);
        if (p > *(double *)best) *(double *)best = p;
        usleep(1000);
    }
    wr_tables_interrupt(t);
    return NULL;
}

static void progress_moves(void **state)
{
    (void)state;
    double best = -1;
    pthread_t thread;
    run("CREATE TABLE p AS SELECT range i FROM range(3000000)");
    assert_int_equal(pthread_create(&thread, NULL, watch_progress, &best), 0);
    wr_frame *f = NULL;
    (void)wr_tables_query(t, &f, "SELECT i FROM p WHERE sha256(sha256(i::VARCHAR)) > '1'", NULL, 0, NULL);
    pthread_join(thread, NULL);
    wr_frame_free(f);
    run("DROP TABLE p");
    assert_true(best > 0 && best <= 100);
}

static void describe_gives_delta_names(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_table_column *c;
    size_t n;
    const char *sql = "SELECT true a, 1::TINYINT b, 1::SMALLINT c, 1::INT d, 1::BIGINT e, 1::UTINYINT f, 1::USMALLINT "
                      "g, 1::UINTEGER h,"
                      " 1::UBIGINT i, 1::HUGEINT j, 1::FLOAT k, 1::DOUBLE l, 1::DECIMAL(9,2) m, DATE '2001-01-01' n,"
                      " TIMESTAMP '2001-01-01' o, TIMESTAMPTZ '2001-01-01' p, 'x' q, uuid() r, 'a'::ENUM('a') s, "
                      "'1'::JSON t, 'b'::BLOB u,"
                      " error('it must not run')::VARCHAR v";
    const char *want[] = {"boolean", "byte",   "short",  "integer", "long",         "short", "integer",   "long",
                          "long",    "long",   "float",  "double",  "decimal(9,2)", "date",  "timestamp", "timestamp",
                          "string",  "string", "string", "string",  "binary",       "string"};
    wr_err err = {0};
    if (wr_tables_describe(t, &c, &n, a, sql, &err)) fail_msg("%s %s", err.msg, err.detail);
    assert_int_equal(n, 22);
    for (size_t i = 0; i < n; i++) assert_string_equal(c[i].type, want[i]);
    assert_string_equal(c[20].name, "u");
    assert_int_equal(wr_tables_describe(t, &c, &n, a, "SELECT [1] x", &err), WEIR_ETYPE);
    assert_int_equal(wr_tables_describe(t, &c, &n, a, "SELECT nosuch", &err), WEIR_ENOTFOUND);
}

static wr_frame *sample(size_t n)
{
    wr_frame *f = wr_frame_new();
    wr_frame_add(f, "n", WR_I64);
    wr_frame_add(f, "x", WR_F64);
    wr_frame_add(f, "y", WR_F32);
    wr_frame_add(f, "t", WR_TS);
    wr_frame_add(f, "b", WR_BOOL);
    wr_frame_add(f, "a \"name\"", WR_TEXT);
    assert_int_equal(wr_frame_resize(f, n), 0);
    for (size_t i = 0; i < n; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, i % 2 ? "s%zu" : "a long string with number %zu", i % 11);
        f->cols[0].i64[i] = (int64_t)i;
        f->cols[1].f64[i] = (double)i / 2;
        f->cols[2].f32[i] = (float)i;
        f->cols[3].i64[i] = (int64_t)i * WR_US;
        f->cols[4].b[i] = i % 3 == 0;
        assert_int_equal(wr_col_code(&f->cols[5], wr_str_of(text), &f->cols[5].code[i]), 0);
        if (i % 5 == 4) assert_int_equal(wr_col_set_missing(&f->cols[i % 6], i), 0);
    }
    return f;
}

static void frames_are_tables(void **state)
{
    (void)state;
    WR_AUTOFRAME wr_frame *f = sample(10000);
    wr_err err = {0};
    if (wr_tables_register(t, "my \"frame\"", f, &err)) fail_msg("%s %s", err.msg, err.detail);
    WR_AUTOFRAME wr_frame *g = rows("SELECT * FROM \"my \"\"frame\"\"\"");
    assert_int_equal(g->nrows, f->nrows);
    assert_int_equal(g->ncols, f->ncols);
    for (size_t k = 0; k < f->ncols; k++) {
        const wr_col *want = &f->cols[k], *got = &g->cols[k];
        assert_string_equal(want->name, got->name);
        assert_int_equal(want->type, got->type);
        for (size_t i = 0; i < f->nrows; i++) {
            assert_int_equal(wr_col_missing(want, i), wr_col_missing(got, i));
            if (wr_col_missing(want, i)) continue;
            if (want->type == WR_TEXT) assert_true(wr_str_eq(wr_col_text(want, i), wr_col_text(got, i)));
            else assert_true(wr_col_num(want, i) == wr_col_num(got, i));
        }
    }
    assert_int_equal(number("SELECT count(*) FROM \"my \"\"frame\"\"\""), 10000);
    assert_int_equal(number("SELECT count(DISTINCT \"a \"\"name\"\"\") FROM \"my \"\"frame\"\"\""), 22);
    assert_int_equal(
        number("SELECT a.n FROM \"my \"\"frame\"\"\" a JOIN \"my \"\"frame\"\"\" b USING (n) WHERE a.x = 1500"), 3000);
    assert_int_equal(number("SELECT sum(n) FROM \"my \"\"frame\"\"\" WHERE b AND t < TIMESTAMP '1970-01-01 00:00:10'"),
                     3 + 6);
    /* another frame under the same name, then none */
    WR_AUTOFRAME wr_frame *h = sample(3);
    assert_int_equal(wr_tables_register(t, "MY \"FRAME\"", h, NULL), 0);
    assert_int_equal(number("SELECT count(*) FROM \"my \"\"frame\"\"\""), 3);
    assert_int_equal(wr_tables_register(t, "my \"frame\"", NULL, NULL), 0);
    assert_int_equal(wr_tables_register(t, "my \"frame\"", NULL, NULL), 0);
    assert_int_equal(code("SELECT * FROM \"my \"\"frame\"\"\"", &err), WEIR_ENOTFOUND);
    assert_int_equal(code("SELECT * FROM weir_frame(0)", &err), WEIR_EINVAL);
    assert_int_equal(code("SELECT * FROM weir_frame(12345)", &err), WEIR_EINVAL);
}

static void odd_frames(void **state)
{
    (void)state;
    wr_err err = {0};
    WR_AUTOFRAME wr_frame *f = wr_frame_new();
    assert_int_equal(wr_tables_register(t, "f", f, &err), WEIR_EINVAL); /* no columns */
    wr_frame_add(f, "a", WR_TEXT);
    assert_int_equal(wr_tables_register(t, "f", f, &err), 0);
    assert_int_equal(number("SELECT count(*) FROM f"), 0);
    assert_int_equal(wr_frame_resize(f, 2), 0); /* growing is seen: columns are read anew by each query */
    assert_int_equal(wr_col_code(&f->cols[0], WR_STR("\xff bad"), &f->cols[0].code[1]), 0);
    assert_int_equal(code("SELECT * FROM f", &err), WEIR_EINVAL);
    assert_non_null(strstr(err.msg, "UTF-8"));
    assert_int_equal(wr_tables_register(t, "f", NULL, NULL), 0);
    wr_frame_add(f, "A", WR_I64);
    assert_int_equal(wr_tables_register(t, "f", f, &err), WEIR_EINVAL);
    run("CREATE TABLE taken(x INT)");
    WR_AUTOFRAME wr_frame *g = sample(1);
    assert_int_not_equal(wr_tables_register(t, "taken", g, &err), 0);
    run("DROP TABLE taken");
}

static const wr_parquet_stat *stat_of(const wr_parquet_info *info, const char *column)
{
    for (size_t i = 0; i < info->nstats; i++) {
        if (strcmp(info->stats[i].column, column) == 0) return &info->stats[i];
    }
    fail_msg("no statistics of %s", column);
    return NULL;
}

static void parquet_out_and_in(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char path[300], sql[600];
    path_in(path, sizeof path, dir, "it's one.parquet");
    wr_parquet_info info;
    wr_err err = {0};
    int rc = wr_tables_copy_parquet(t, &info, a,
                                    "SELECT i, i::HUGEINT h, TIMESTAMP '2001-06-14 10:00:00.123456' + to_seconds(i) "
                                    "ts, DATE '2020-01-01' + i::INT d,"
                                    " CASE WHEN i % 4 = 0 THEN NULL ELSE 's' || i END \"s\"\"q\", i / 4 x, CASE WHEN i "
                                    "= 5 THEN 'nan'::FLOAT ELSE i END nan,"
                                    " 'a'::ENUM('a', 'b') e, NULL::INT empty FROM range(1000) r(i) -- the end\n ;; ",
                                    path, &err);
    if (rc) fail_msg("%s %s", err.msg, err.detail);
    assert_int_equal(info.rows, 1000);
    assert_int_equal(info.bytes, wr_file_size(path));
    assert_int_equal(info.nstats, 9);
    assert_string_equal(stat_of(&info, "i")->min, "0");
    assert_string_equal(stat_of(&info, "i")->max, "999");
    assert_string_equal(stat_of(&info, "s\"q")->min, "s1");
    assert_int_equal(stat_of(&info, "s\"q")->nulls, 250);
    assert_string_equal(stat_of(&info, "ts")->max, "2001-06-14 10:16:39.123456+00");
    assert_string_equal(stat_of(&info, "d")->max, "2022-09-26");
    assert_false(stat_of(&info, "nan")->has_minmax);
    assert_false(stat_of(&info, "empty")->has_minmax);
    assert_int_equal(stat_of(&info, "empty")->nulls, 1000);
    (void)snprintf(sql, sizeof sql,
                   "SELECT count(*) FROM parquet_schema('%s/it''s one.parquet') WHERE name = 'ts' AND type = 'INT64'"
                   " AND logical_type LIKE '%%isAdjustedToUTC=1%%MicroSeconds%%'",
                   dir);
    assert_int_equal(number(sql), 1);
    (void)snprintf(sql, sizeof sql,
                   "SELECT count(*) FROM parquet_metadata('%s/it''s one.parquet') WHERE compression = 'ZSTD'", dir);
    assert_int_equal(number(sql), 9);
    (void)snprintf(sql, sizeof sql, "SELECT * FROM read_parquet('%s/it''s one.parquet')", dir);
    WR_AUTOFRAME wr_frame *f = rows(sql);
    assert_int_equal(f->nrows, 1000);
    assert_int_equal(col(f, "ts", WR_TS)->i64[999],
                     992512800 * WR_US + 123456 + 999 * WR_US); /* no zone came in between */
    assert_int_equal(col(f, "h", WR_I64)->i64[999], 999);
    assert_true(wr_col_missing(col(f, "s\"q", WR_TEXT), 4));
}

static void hash_of(char out[WR_SHA256_HEX], const char *path) { assert_int_equal(wr_file_sha256(out, path, NULL), 0); }

/* The rows decide the bytes: not the moment, not the number of threads. */
static void same_rows_same_bytes(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char path[300], source[300], sql[400], first[WR_SHA256_HEX], again[WR_SHA256_HEX];
    path_in(source, sizeof source, dir, "source.parquet");
    path_in(path, sizeof path, dir, "same.parquet");
    wr_parquet_info info;
    assert_int_equal(wr_tables_copy_parquet(t, &info, a,
                                            "SELECT i, i % 97 m, 't' || i % 1000 s, i * 0.7 x FROM range(400000) r(i)",
                                            source, NULL),
                     0);
    (void)snprintf(sql, sizeof sql, "SELECT * FROM read_parquet('%s') WHERE hash(m) %% 2 = 0", source);
    for (int threads = 1; threads <= 4; threads++) {
        wr_tables *mine = t;
        t = open_engine(threads);
        assert_int_equal(wr_tables_copy_parquet(t, &info, a, sql, path, NULL), 0);
        hash_of(threads == 1 ? first : again, path);
        if (threads > 1) assert_string_equal(first, again);
        wr_tables_close(t);
        t = mine;
    }
    (void)snprintf(sql, sizeof sql, "SELECT max(row_group_id) FROM parquet_metadata('%s')", source);
    assert_int_equal(number(sql), 3); /* 400,000 rows in groups of 122,880 */
}

static void parquet_refusals(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char path[300];
    path_in(path, sizeof path, dir, "no.parquet");
    wr_parquet_info info;
    wr_err err = {0};
    assert_int_equal(wr_tables_copy_parquet(t, &info, a, "CREATE TABLE q(x INT)", path, &err), WEIR_EINVAL);
    assert_int_equal(wr_tables_copy_parquet(t, &info, a, "SELECT 1 AS a, 2 AS A", path, &err), WEIR_EINVAL);
    assert_int_equal(wr_tables_copy_parquet(t, &info, a, "SELECT {'a': 1} AS s", path, &err), WEIR_ETYPE);
    assert_int_equal(wr_tables_copy_parquet(t, &info, a, "SELECT 1) TO '/tmp/weir-evil' (FORMAT csv); --", path, &err),
                     WEIR_EPARSE);
    assert_int_equal(wr_tables_copy_parquet(t, &info, a, "SELECT 1 AS a, error('late') AS b", path, &err), WEIR_EINVAL);
    assert_non_null(strstr(err.msg, "no.parquet"));
    assert_int_equal(access(path, F_OK), -1); /* nothing half-written stays */
    assert_int_equal(wr_tables_copy_parquet(t, &info, a, "SELECT 1 AS a", "/tmp/weir-evil", &err), WEIR_EACCESS);
    const char *allow[] = {"/dev/full", NULL}; /* a disk that is always full */
    wr_tables_opt opt = {.memory = 256 << 20, .threads = 1, .spill = spill, .allow = allow};
    wr_tables *full = NULL;
    assert_int_equal(wr_tables_open(&full, &opt, NULL), 0);
    int64_t changed;
    assert_int_equal(
        wr_tables_exec(
            full,
            "COPY (SELECT i, random() FROM range(300000) r(i)) TO '/dev/full' (FORMAT parquet, USE_TMP_FILE false)",
            &changed, &err),
        WEIR_ENOSPC);
    assert_true(err.hint[0]);
    wr_tables_close(full);
}

static void damaged_parquet(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char path[300], sql[400];
    path_in(path, sizeof path, dir, "damaged.parquet");
    wr_parquet_info info;
    assert_int_equal(wr_tables_copy_parquet(t, &info, a, "SELECT i, 'text' || i s FROM range(20000) r(i)", path, NULL),
                     0);
    WR_AUTOBUF wr_buf whole;
    wr_buf_init(&whole, 0);
    assert_int_equal(wr_file_read(&whole, path, 1 << 24, NULL), 0);
    (void)snprintf(sql, sizeof sql, "SELECT count(s), sum(i) FROM read_parquet('%s')", path);
    wr_err err;
    for (size_t cut = 0; cut < whole.n; cut += whole.n / 13 + 1) { /* at any length */
        assert_int_equal(wr_file_write(path, wr_str_sub(wr_buf_view(&whole), 0, cut), NULL), 0);
        int rc = code(sql, &err);
        if (rc != WEIR_ECORRUPT || !err.hint[0]) fail_msg("cut at %zu: %d %s", cut, rc, err.msg);
    }
    for (size_t at = whole.n - 300; at < whole.n;
         at += 7) { /* garbage in the footer: an error or an answer, no crash */
        wr_buf_clear(&whole);
        assert_int_equal(
            wr_tables_copy_parquet(t, &info, a, "SELECT i, 'text' || i s FROM range(20000) r(i)", path, NULL), 0);
        assert_int_equal(wr_file_read(&whole, path, 1 << 24, NULL), 0);
        whole.p[at] ^= 0x55;
        assert_int_equal(wr_file_write(path, wr_buf_view(&whole), NULL), 0);
        (void)code(sql, &err);
    }
    assert_int_equal(number("SELECT 1"), 1);
}

static int count_entries(const char *path)
{
    DIR *d = opendir(path);
    if (!d) return 0;
    int n = 0;
    while (readdir(d)) n++;
    closedir(d);
    return n - 2;
}

/* A sort larger than the cap goes to disk, and the folder is empty afterwards. */
static void spills_and_cleans_up(void **state)
{
    (void)state;
    const char *allow[] = {dir, NULL};
    wr_tables_opt opt = {.memory = 48 << 20, .threads = 1, .spill = spill, .allow = allow};
    wr_tables *small = NULL;
    int before = count_entries(spill);
    assert_int_equal(wr_tables_open(&small, &opt, NULL), 0);
    assert_int_equal(count_entries(spill), before + 1);
    int64_t v = 0;
    wr_err err = {0};
    int rc = wr_tables_i64(
        small, &v,
        "SELECT count(*) FROM (SELECT row_number() OVER (ORDER BY hash(i)) r, i, i || 'some padding text' s"
        " FROM range(700000) t(i)) WHERE r > 0 AND s <> ''",
        &err);
    if (rc) fail_msg("%s %s", err.msg, err.detail);
    assert_int_equal(v, 700000);
    wr_tables_close(small);
    assert_int_equal(count_entries(spill), before);
}

static void opening_fails_with_a_hint(void **state)
{
    (void)state;
    wr_tables *e = NULL;
    wr_err err = {0};
    wr_tables_opt opt = {.memory = 64 << 20, .threads = 1};
    assert_int_equal(wr_tables_open(&e, &opt, &err), WEIR_EINVAL); /* no spill folder */
    for (long n = 1; n < 60; n++) {                                /* our own allocations, each in turn */
        opt.spill = spill;
        wr_fault_arm(WR_FAULT_ALLOC, n, false);
        int rc = wr_tables_open(&e, &opt, &err);
        bool fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        if (rc == 0) wr_tables_close(e);
        else assert_int_equal(rc, WEIR_ENOMEM);
        if (!fired) break;
        if (n % 8 == 0) n += 5;
    }
    wr_tables_close(NULL);
}

static void queries_survive_allocation_failures(void **state)
{
    (void)state;
    int failures = 0;
    for (long n = 1; n < 500; n++) {
        wr_frame *f = NULL;
        wr_fault_arm(WR_FAULT_ALLOC, n, false);
        int rc = wr_tables_query(
            t, &f,
            "SELECT i, 'a long enough string ' || i % 5 s, 'a'::ENUM('a') e, CASE i WHEN 3000 THEN NULL ELSE i END z"
            " FROM range(5000) r(i)",
            NULL, 0, NULL);
        bool fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        wr_frame_free(f);
        if (!fired) {
            assert_int_equal(rc, 0);
            break;
        }
        assert_int_equal(rc, WEIR_ENOMEM);
        failures++;
    }
    assert_true(failures > 15);
}

static void *one_engine(void *arg)
{
    wr_tables *e = open_engine(1);
    wr_tables_i64(e, arg, "SELECT sum(i)::BIGINT FROM range(100000) r(i)", NULL);
    wr_tables_close(e);
    return NULL;
}

static void engines_live_side_by_side(void **state)
{
    (void)state;
    pthread_t threads[3];
    int64_t sums[3] = {0};
    for (int i = 0; i < 3; i++) assert_int_equal(pthread_create(&threads[i], NULL, one_engine, &sums[i]), 0);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(sums[i], 4999950000);
    }
}

static void quoting(void **state)
{
    (void)state;
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    wr_sql_ident(&b, WR_STR("a\"b"));
    wr_sql_text(&b, WR_STR("it's"));
    assert_string_equal(wr_buf_cstr(&b), "\"a\"\"b\"'it''s'");
}

int main(void)
{
#ifdef __SANITIZE_THREAD__
    return 0; /* DuckDB is not instrumented: every race reported would be a false one */
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quoting),
        cmocka_unit_test(whole_numbers),
        cmocka_unit_test(broken_numbers),
        cmocka_unit_test(moments),
        cmocka_unit_test(texts),
        cmocka_unit_test(many_chunks_of_text),
        cmocka_unit_test(order_and_emptiness),
        cmocka_unit_test(values_for_question_marks),
        cmocka_unit_test(statements),
        cmocka_unit_test(errors_say_what_to_do),
        cmocka_unit_test(error_texts),
        cmocka_unit_test(files_are_out_of_reach),
        cmocka_unit_test(settings_and_tricks_are_refused),
        cmocka_unit_test(interrupt_ends_a_query),
        cmocka_unit_test(progress_moves),
        cmocka_unit_test(describe_gives_delta_names),
        cmocka_unit_test(frames_are_tables),
        cmocka_unit_test(odd_frames),
        cmocka_unit_test(parquet_out_and_in),
        cmocka_unit_test(same_rows_same_bytes),
        cmocka_unit_test(parquet_refusals),
        cmocka_unit_test(damaged_parquet),
        cmocka_unit_test(spills_and_cleans_up),
        cmocka_unit_test(opening_fails_with_a_hint),
        cmocka_unit_test(queries_survive_allocation_failures),
        cmocka_unit_test(engines_live_side_by_side),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
