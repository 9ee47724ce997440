/* SPDX-License-Identifier: Apache-2.0 */
/* db_pg_test.c - what only a server can do to us: refuse, be slow, go away in the middle, come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/rng.h"
#include "store/db_conn.h"
#include "store/pg_testing.h"

static const char *const schema[] = {"CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT UNIQUE, x REAL)"};
static const wr_db_opt opt = {.migrations = schema, .n = 1};
static char url[WR_PG_TESTING_URL];

static int setup(void **state)
{
    (void)state;
    return wr_pg_testing_start(url);
}

static wr_db *opened(void)
{
    wr_db *db = NULL;
    wr_err err = {0};
    if (wr_db_open(&db, url, &opt, &err) < 0) fail_msg("%s: %s", err.msg, err.detail);
    return db;
}

static int insert(wr_db *db, void *arg, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_db_prepare(db, &s, "INSERT INTO t(name) VALUES (?)", err));
    wr_bind_cstr(s, 1, arg);
    int rc = wr_step(s, err);
    wr_stmt_done(s);
    return rc;
}

static int64_t number(wr_db *db, const char *sql)
{
    wr_stmt *s;
    wr_err err = {0};
    if (wr_db_prepare(db, &s, sql, &err) < 0) fail_msg("%s: %s", err.msg, err.detail);
    if (wr_step(s, &err) != 1) fail_msg("%s: %s: %s", sql, err.msg, err.detail);
    int64_t v = wr_stmt_i64(s, 0);
    wr_stmt_done(s);
    return v;
}

static int64_t count(wr_db *db) { return number(db, "SELECT count(*) FROM t"); }

/* Before anything else, because it stays loaded once it is. */
static void the_library_is_missing(void **state)
{
    (void)state;
    wr_db *db;
    wr_err err = {0};
    setenv("WEIR_LIBPQ", "/no/such/libpq.so.5", 1);
    assert_int_equal(wr_db_open(&db, url, &opt, &err), WEIR_EUNAVAILABLE);
    assert_non_null(strstr(err.detail, "/no/such/libpq.so.5"));
    assert_non_null(strstr(err.hint, "libpq5"));
    unsetenv("WEIR_LIBPQ");
    wr_db_close(opened());
}

/* --- values --- */

static int insert_nul(wr_db *db, void *arg, wr_err *err)
{
    wr_stmt *s;
    (void)arg;
    WR_TRY(wr_db_prepare(db, &s, "INSERT INTO t(name) VALUES (?)", err));
    wr_bind_str(s, 1, WR_STR("a\0b"));
    int rc = wr_step(s, err);
    wr_stmt_done(s);
    return rc;
}

static void text_that_cannot_be_kept(void **state)
{
    (void)state;
    wr_db *db = opened();
    wr_err err = {0};
    assert_int_equal(wr_db_write(db, insert_nul, NULL, &err), WEIR_EINVAL);
    assert_non_null(strstr(err.detail, "NUL byte"));
    assert_int_equal(wr_db_write(db, insert, "\xff\xfe", &err), WEIR_EINVAL); /* not UTF-8 */
    assert_int_equal(count(db), 0);
    assert_int_equal(wr_db_write(db, insert, "fine", &err), 0);
    wr_db_close(db);
}

/* More statements and more patterns of NULL than are kept; those dropped are forgotten by the server too. */
static int many_texts(wr_db *db, void *arg, wr_err *err)
{
    (void)arg;
    for (int i = 0; i < 400; i++) {
        wr_stmt *s;
        char sql[120];
        snprintf(sql, sizeof sql, "SELECT coalesce(?1, 'none'), coalesce(?2, 'none'), coalesce(?3, 'none'), %d", i);
        for (int mask = 0; mask < 8; mask++) {
            WR_TRY(wr_db_prepare(db, &s, sql, err));
            for (int k = 0; k < 3; k++) wr_bind_cstr(s, k + 1, mask >> k & 1 ? "some" : NULL);
            int rc = wr_step(s, err);
            for (int k = 0; k < 3 && rc == 1; k++) {
                if (!wr_str_is(wr_stmt_str(s, k), mask >> k & 1 ? "some" : "none"))
                    rc = wr_err_set(err, WEIR_ENO, "%d", i);
            }
            wr_stmt_done(s);
            if (rc < 0) return rc;
        }
    }
    return 0;
}

static int held(wr_db *db, void *arg, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_db_prepare(db, &s, "SELECT count(*) FROM pg_prepared_statements", err));
    int rc = wr_step(s, err);
    *(int64_t *)arg = wr_stmt_i64(s, 0);
    wr_stmt_done(s);
    return rc < 0 ? rc : 0;
}

static void statements_do_not_pile_up(void **state)
{
    (void)state;
    wr_db *db = opened();
    wr_err err = {0};
    int64_t n = 0;
    if (wr_db_write(db, many_texts, NULL, &err) < 0) fail_msg("%s: %s", err.msg, err.detail);
    assert_int_equal(wr_db_write(db, held, &n, &err), 0);
    assert_in_range(n, 100, 128 * 4 + 4);
    wr_db_close(db);
}

/* Somebody's migration changes a table under our prepared statements. */
static int add_column(wr_db *db, void *arg, wr_err *err)
{
    (void)arg;
    return wr_db_exec(db, "ALTER TABLE t ADD COLUMN more INTEGER DEFAULT 7", err);
}

static void a_table_changes_its_shape(void **state)
{
    (void)state;
    wr_db *db = opened(), *other = opened();
    wr_stmt *s;
    wr_err err = {0};
    assert_int_equal(wr_db_write(db, insert, "a", NULL), 0);
    for (int i = 0; i < 8; i++) assert_int_equal(number(db, "SELECT * FROM t"), 1);
    assert_int_equal(wr_db_write(other, add_column, NULL, &err), 0);
    int rc = wr_db_prepare(db, &s, "SELECT * FROM t", &err);
    if (rc == 0) rc = wr_step(s, &err);
    wr_stmt_done(s);
    assert_true(rc == 1 || rc == WEIR_EUNSUPPORTED); /* "cached plan must not change result type", once */
    assert_int_equal(number(db, "SELECT * FROM t"), 1);
    wr_db_close(other);
    wr_db_close(db);
}

/* --- addresses --- */

static void refuses(const char *address, int code, const char *says)
{
    wr_db *db;
    wr_err err = {0};
    int rc = wr_db_open(&db, address, &opt, &err);
    if (rc != code) fail_msg("%s: %d: %s: %s", address, rc, err.msg, err.detail);
    char all[1400];
    snprintf(all, sizeof all, "%s|%s|%s", err.msg, err.detail, err.hint);
    if (!strstr(all, says)) fail_msg("%s: \"%s\" does not say \"%s\"", address, all, says);
    if (strstr(all, "secret")) fail_msg("a password is told: %s", all);
    assert_true(err.hint[0] != 0);
}

static void hostile_addresses(void **state)
{
    (void)state;
    char address[300];
    int port = wr_pg_testing.port;
    snprintf(address, sizeof address, "postgresql://weir:secret@127.0.0.1:%d/nowhere", port);
    refuses(address, WEIR_ENOTFOUND, "createdb");
    snprintf(address, sizeof address, "postgresql://stranger:secret@127.0.0.1:%d/postgres", port);
    refuses(address, WEIR_EACCESS, "createuser");
    snprintf(address, sizeof address,
             "postgresql://weir:secret@127.0.0.1:%d/postgres?client_encoding=nonsense&nope=secret", port);
    refuses(address, WEIR_EINVAL, "cannot be parsed");
    refuses("postgresql://weir:secret@127.0.0.1:1/x", WEIR_EUNAVAILABLE, "is the server running");
    refuses("postgresql://weir:secret@no.such.host.invalid/x", WEIR_EUNAVAILABLE, "is the server running");
    refuses("postgresql://weir:secret@127.0.0.1:port/x", WEIR_EUNAVAILABLE, "port");
    refuses("postgresql://weir:sec@ret@127.0.0.1/x", WEIR_EINVAL, "%40");
    refuses("postgresql://weir:secret@[::1/x", WEIR_EINVAL, "cannot be parsed");
    refuses("postgresql://weir:secret@127.0.0.1:%zz/x", WEIR_EINVAL, "cannot be parsed");
}

static void another_encoding_is_refused(void **state)
{
    (void)state;
    char port[16], address[200];
    snprintf(port, sizeof port, "%d", wr_pg_testing.port);
    char *argv[] = {"createdb", "-h",     "127.0.0.1", "-p",        port,    "-U", "weir",
                    "-E",       "LATIN1", "-T",        "template0", "latin", NULL};
    assert_int_equal(wr_pg_testing_run(argv), 0);
    snprintf(address, sizeof address, "postgresql://weir@127.0.0.1:%s/latin", port);
    refuses(address, WEIR_EUNSUPPORTED, "UTF8");
}

static void backup_is_pg_dumps(void **state)
{
    (void)state;
    wr_db *db = opened();
    wr_err err = {0};
    assert_int_equal(wr_db_backup(db, "/tmp/never", &err), WEIR_EUNSUPPORTED);
    assert_non_null(strstr(err.hint, "pg_dump"));
    wr_db_close(db);
}

/* Another program's database, to import from: opened for reading with no migrations, nothing is made in it. */
static void a_foreign_database(void **state)
{
    (void)state;
    static const char tables[] =
        "CREATE TABLE metrics (key varchar(250) NOT NULL, value double precision NOT NULL, step bigint, is_nan"
        " boolean, at timestamp, small smallint, n numeric);"
        "INSERT INTO metrics VALUES ('a', 'Infinity', 3, true, '2020-01-02', 5, 12345678901234567890.5);";
    char *argv[] = {"psql", "-q", "-d", url, "-c", (char *)tables, NULL};
    wr_db *db;
    wr_stmt *s;
    wr_err err = {0};
    assert_int_equal(wr_pg_testing_run(argv), 0);
    assert_int_equal(wr_db_open(&db, url, &(wr_db_opt){.read_only = true}, &err), 0);
    assert_int_equal(
        wr_db_prepare(db, &s, "SELECT key, value, step, is_nan, at, small, n FROM metrics WHERE key = ? AND step = ?",
                      &err),
        0);
    wr_bind_cstr(s, 1, "a");
    wr_bind_i64(s, 2, 3);
    if (wr_step(s, &err) != 1) fail_msg("%s: %s", err.msg, err.detail);
    assert_true(wr_str_is(wr_stmt_str(s, 0), "a"));
    assert_true(wr_stmt_f64(s, 1) > 1e308);
    assert_int_equal(wr_stmt_i64(s, 2), 3);
    assert_int_equal(wr_stmt_i64(s, 3), 1);
    assert_true(wr_str_is(wr_stmt_str(s, 3), "1"));
    assert_true(wr_str_is(wr_stmt_str(s, 4), "2020-01-02 00:00:00"));
    assert_int_equal(wr_stmt_i64(s, 5), 5);
    assert_true(wr_stmt_f64(s, 6) == 12345678901234567890.5);
    wr_stmt_done(s);
    assert_int_equal(number(db, "SELECT count(to_regclass('weir_schema'))"), 0);
    assert_int_equal(wr_db_write(db, insert, "x", &err), WEIR_EACCESS);
    wr_db_close(db);
}

/* --- writers in line --- */

typedef struct {
    wr_db *db;
    const char *name;
    int n;
} adder;

/* Read, then write: without the line two of them would read the same. */
static int add_one(wr_db *db, void *arg, wr_err *err)
{
    adder *a = arg;
    wr_stmt *s;
    WR_TRY(wr_db_prepare(db, &s, "SELECT x FROM t WHERE name = ?", err));
    wr_bind_cstr(s, 1, a->name);
    int rc = wr_step(s, err);
    double x = rc > 0 ? wr_stmt_f64(s, 0) : 0;
    wr_stmt_done(s);
    if (rc < 0) return rc;
    WR_TRY(wr_db_prepare(db, &s, "INSERT INTO t(name, x) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET x = excluded.x",
                         err));
    wr_bind_cstr(s, 1, a->name);
    wr_bind_f64(s, 2, x + 1);
    rc = wr_step(s, err);
    wr_stmt_done(s);
    return rc;
}

static void *add_main(void *arg)
{
    adder *a = arg;
    for (int i = 0; i < a->n; i++) assert_int_equal(wr_db_write(a->db, add_one, a, NULL), 0);
    return NULL;
}

static void writers_of_two_programs_stand_in_line(void **state)
{
    (void)state;
    pthread_t t[8];
    adder a[8];
    wr_db *db[4];
    for (int i = 0; i < 4; i++) db[i] = opened();
    for (int i = 0; i < 8; i++) {
        a[i] = (adder){db[i % 4], "sum", 25};
        assert_int_equal(pthread_create(&t[i], NULL, add_main, &a[i]), 0);
    }
    for (int i = 0; i < 8; i++) pthread_join(t[i], NULL);
    assert_int_equal(number(db[0], "SELECT x FROM t WHERE name = 'sum'"), 200);
    for (int i = 0; i < 4; i++) wr_db_close(db[i]);
}

/* --- want of memory --- */

/* Whichever allocation fails: the write is refused, nobody sees it, and the next one works; so does reading. */
static void want_of_memory(void **state)
{
    (void)state;
    wr_db *db = opened();
    int64_t expect = 0;
    bool fired = true;
    int n = 1;
    for (; fired; n++) {
        char name[32];
        wr_err err = {0};
        snprintf(name, sizeof name, "n%d", n);
        wr_fault_arm(WR_FAULT_ALLOC, n, false);
        int rc = wr_db_write(db, insert, name, &err);
        fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        assert_int_equal(rc, err.code);
        assert_true(rc == 0 || fired);
        if (rc < 0) assert_int_equal(wr_db_write(db, insert, name, &err), 0);
        assert_int_equal(count(db), ++expect);
        assert_true(n < 500);
    }
    assert_true(n > 2);
    for (fired = true, n = 1; fired; n++) {
        wr_stmt *s;
        char sql[64]; /* a new text each time */
        snprintf(sql, sizeof sql, "SELECT count(*) + %d FROM t WHERE name <> ?", n);
        wr_fault_arm(WR_FAULT_ALLOC, n, false);
        int rc = wr_db_prepare(db, &s, sql, NULL);
        if (rc == 0) {
            wr_bind_cstr(s, 1, "nobody");
            rc = wr_step(s, NULL);
            if (rc == 1) assert_int_equal(wr_stmt_i64(s, 0), expect + n);
            wr_stmt_done(s);
        }
        fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        assert_true(rc == 1 || fired);
        assert_int_equal(count(db), expect);
    }
    assert_true(n > 5);
    wr_db_close(db);
}

/* A statement of a reader that fails does not spoil the others. */
static void readers_carry_on(void **state)
{
    (void)state;
    wr_db *db = opened();
    wr_err err = {0};
    wr_stmt *outer, *s;
    for (int i = 0; i < 3; i++) assert_int_equal(wr_db_write(db, insert, i == 0 ? "a" : i == 1 ? "b" : "c", NULL), 0);
    assert_int_equal(wr_db_prepare(db, &outer, "SELECT name FROM t ORDER BY id", &err), 0);
    assert_int_equal(wr_step(outer, &err), 1);
    assert_int_equal(wr_db_prepare(db, &s, "SELECT 1 / (count(*) - 3) FROM t", &err), 0);
    assert_int_equal(wr_step(s, &err), WEIR_EINVAL);
    wr_stmt_done(s);
    assert_int_equal(count(db), 3);
    assert_int_equal(wr_step(outer, &err), 1);
    assert_int_equal(wr_step(outer, &err), 1);
    assert_true(wr_str_is(wr_stmt_str(outer, 0), "c"));
    wr_stmt_done(outer);
    wr_db_close(db);
}

/* --- a server that goes away --- */

static int insert_then_lose(wr_db *db, void *arg, wr_err *err)
{
    WR_TRY(insert(db, arg, err));
    wr_pg_testing_down();
    return insert(db, "after", err);
}

static int insert_then_lose_and_ignore(wr_db *db, void *arg, wr_err *err)
{
    WR_TRY(insert(db, arg, err));
    wr_pg_testing_down();
    insert(db, "after", err);
    return wr_err_set(err, WEIR_ENO, "something else");
}

static int terminate(wr_db *db, void *arg, wr_err *err)
{
    WR_TRY(insert(db, arg, err));
    wr_db_exec(db, "SELECT pg_terminate_backend(pg_backend_pid())", err);
    return 0; /* as if nothing had happened */
}

static void lost_in_the_middle(void **state)
{
    (void)state;
    wr_db *db = opened();
    wr_err err = {0};
    assert_int_equal(wr_db_write(db, insert, "first", NULL), 0);
    assert_int_equal(wr_db_write(db, terminate, "x", &err), WEIR_EUNAVAILABLE);
    assert_int_equal(wr_db_write(db, insert, "second", &err), 0); /* on a new connection */
    assert_int_equal(wr_db_write(db, insert_then_lose, "x", &err), WEIR_EUNAVAILABLE);
    assert_true(err.hint[0] != 0);
    assert_int_equal(wr_pg_testing_up(), 0);
    assert_int_equal(wr_db_write(db, insert, "third", &err), 0);
    assert_int_equal(wr_db_write(db, insert_then_lose_and_ignore, "x", &err), WEIR_EUNAVAILABLE);
    assert_int_equal(wr_pg_testing_up(), 0);
    assert_int_equal(count(db), 3);
    wr_db_close(db);
}

static void *up_later(void *arg)
{
    usleep(700 * 1000);
    *(int *)arg = wr_pg_testing_up();
    return NULL;
}

/* Nothing has run yet: the write waits, and the reader asks again. */
static void a_restart_between_writes_is_not_noticed(void **state)
{
    (void)state;
    wr_db *db = opened();
    wr_err err = {0};
    pthread_t t;
    int up = -1;
    assert_int_equal(wr_db_write(db, insert, "first", NULL), 0);
    assert_int_equal(count(db), 1);
    assert_int_equal(wr_pg_testing_restart(), 0);
    assert_int_equal(wr_db_write(db, insert, "second", &err), 0);
    assert_int_equal(count(db), 2);
    wr_pg_testing_down();
    assert_int_equal(pthread_create(&t, NULL, up_later, &up), 0);
    if (wr_db_write(db, insert, "third", &err) < 0) fail_msg("%s: %s", err.msg, err.detail);
    pthread_join(t, NULL);
    assert_int_equal(up, 0);
    assert_int_equal(count(db), 3);
    wr_db_close(db);
}

/* An open statement has its rows; the next one of the same snapshot says that the snapshot is gone. */
static void a_reader_loses_its_snapshot(void **state)
{
    (void)state;
    wr_db *db = opened();
    wr_err err = {0};
    wr_stmt *outer, *inner;
    for (int i = 0; i < 3; i++) assert_int_equal(wr_db_write(db, insert, i == 0 ? "a" : i == 1 ? "b" : "c", NULL), 0);
    assert_int_equal(wr_db_prepare(db, &outer, "SELECT name FROM t ORDER BY id", &err), 0);
    assert_int_equal(wr_step(outer, &err), 1);
    assert_int_equal(wr_pg_testing_restart(), 0);
    assert_int_equal(wr_step(outer, &err), 1);
    assert_true(wr_str_is(wr_stmt_str(outer, 0), "b"));
    assert_int_equal(wr_db_prepare(db, &inner, "SELECT count(*) FROM t", &err), 0);
    assert_int_equal(wr_step(inner, &err), WEIR_EUNAVAILABLE);
    wr_stmt_done(inner);
    wr_stmt_done(outer);
    assert_int_equal(count(db), 3);
    wr_pg_testing_down();
    int rc = wr_db_prepare(db, &inner, "SELECT count(*) FROM t", &err);
    if (rc == 0) {
        rc = wr_step(inner, &err);
        wr_stmt_done(inner);
    }
    assert_int_equal(rc, WEIR_EUNAVAILABLE); /* a reader does not wait */
    assert_int_equal(wr_pg_testing_up(), 0);
    assert_int_equal(count(db), 3);
    wr_db_close(db);
}

/* --- restarts under load --- */

enum { WRITERS = 6, RESTARTS = 5 };

typedef struct {
    wr_db *db;
    int number, sent;
    int acknowledged;
    char *fate; /* by number: 1 acknowledged, 2 refused, 3 not known */
} loader;

static atomic_bool stop;
enum { FATES = 200000 };

static void *load_main(void *arg)
{
    loader *l = arg;
    while (!atomic_load(&stop) && l->sent < FATES) {
        char name[32];
        wr_err err = {0};
        snprintf(name, sizeof name, "%d-%d", l->number, l->sent);
        int rc = wr_db_write(l->db, insert, name, &err);
        l->fate[l->sent++] = rc == 0 ? 1 : strstr(err.hint, "not known") ? 3 : 2;
        l->acknowledged += rc == 0;
        if (rc < 0 && rc != WEIR_EUNAVAILABLE && rc != WEIR_EIO) fail_msg("%d: %s: %s", rc, err.msg, err.detail);
    }
    return NULL;
}

/* Every acknowledged record is there, no refused one is; of the unknown ones there may be some. */
static void check_fates(wr_db *db, const loader *l, int *found)
{
    for (int i = 0; i < l->sent; i++) {
        wr_stmt *s;
        char name[32];
        snprintf(name, sizeof name, "%d-%d", l->number, i);
        assert_int_equal(wr_db_prepare(db, &s, "SELECT 1 FROM t WHERE name = ?", NULL), 0);
        wr_bind_cstr(s, 1, name);
        int there = wr_step(s, NULL);
        wr_stmt_done(s);
        if (l->fate[i] == 1 && there != 1) fail_msg("\"%s\" was acknowledged and is not there", name);
        if (l->fate[i] == 2 && there != 0) fail_msg("\"%s\" was refused and is there", name);
        *found += there;
    }
}

static void restarts_under_load(void **state)
{
    (void)state;
    wr_db *db[2] = {opened(), opened()};
    pthread_t t[WRITERS];
    loader l[WRITERS];
    wr_rng rng;
    wr_rng_init(&rng, (uint64_t)wr_clock_mono_ns());
    atomic_store(&stop, false);
    for (int i = 0; i < WRITERS; i++) {
        l[i] = (loader){.db = db[i % 2], .number = i, .fate = calloc(FATES, 1)};
        assert_non_null(l[i].fate);
        assert_int_equal(pthread_create(&t[i], NULL, load_main, &l[i]), 0);
    }
    for (int i = 0; i < RESTARTS; i++) {
        usleep((useconds_t)(100000 + wr_rng_below(&rng, 200000)));
        assert_int_equal(wr_pg_testing_restart(), 0);
    }
    usleep(300000);
    atomic_store(&stop, true);
    int acknowledged = 0, found = 0;
    for (int i = 0; i < WRITERS; i++) pthread_join(t[i], NULL);
    for (int i = 0; i < WRITERS; i++) {
        check_fates(db[0], &l[i], &found);
        acknowledged += l[i].acknowledged;
        free(l[i].fate);
    }
    assert_int_equal(count(db[1]), found);
    assert_true(acknowledged > 100 && found >= acknowledged);
    print_message("%d acknowledged, %d there\n", acknowledged, found);
    wr_db_close(db[0]);
    wr_db_close(db[1]);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
    const struct CMUnitTest tests[] = {
        T(the_library_is_missing),
        T(text_that_cannot_be_kept),
        T(want_of_memory),
        T(readers_carry_on),
        T(statements_do_not_pile_up),
        T(a_table_changes_its_shape),
        T(hostile_addresses),
        T(another_encoding_is_refused),
        T(backup_is_pg_dumps),
        T(a_foreign_database),
        T(writers_of_two_programs_stand_in_line),
        T(lost_in_the_middle),
        T(a_restart_between_writes_is_not_noticed),
        T(a_reader_loses_its_snapshot),
        T(restarts_under_load),
    };
#undef T
    return cmocka_run_group_tests_name("db_pg", tests, NULL, NULL);
}
