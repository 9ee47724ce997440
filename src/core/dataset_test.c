/* SPDX-License-Identifier: Apache-2.0 */
/* dataset_test.c - datasets from the outside: versions, references, identity, names in SQL, and what a failure leaves
 * behind. */
#include "core/core_testing.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/fault.h"
#include "codec/json.h"

#define APPEND    WR_DELTA_APPEND
#define OVERWRITE WR_DELTA_OVERWRITE

static wr_delta_snapshot snapshot(place *s, const char *ref)
{
    wr_delta_snapshot d;
    OK(wr_dataset_read(&d, s->p, ref, &s->err));
    return d;
}

static void test_versions(void **state)
{
    place *s = *state;
    assert_false(wr_dataset_exists(s->p, "t"));
    assert_int_equal(write_rows(s, "t", OVERWRITE, "SELECT range AS i, 'x' || range AS name FROM range(10)"), 0);
    assert_int_equal(write_rows(s, "t", APPEND, "SELECT range + 10 AS i, 'y' AS name FROM range(5)"), 1);
    assert_int_equal(write_rows(s, "t", OVERWRITE, "SELECT 7::BIGINT AS i, NULL::VARCHAR AS name"), 2);
    assert_int_equal(number(s, "SELECT count(*) FROM t"), 1);
    for (int v = 0; v < 3; v++) {
        static const int rows[] = {10, 15, 1}, files[] = {1, 2, 1};
        const char *ref = wr_arena_printf(s->a, "t@%d", v);
        wr_delta_snapshot d = snapshot(s, ref);
        assert_int_equal(d.version, v);
        assert_int_equal(d.rows, rows[v]);
        assert_int_equal(d.nfiles, files[v]);
        wr_delta_free(&d);
        OK(wr_dataset_view(engine(s), s->p, ref, "old", &s->err));
        assert_int_equal(number(s, "SELECT count(*) FROM old"), rows[v]);
    }
    char **names;
    size_t n;
    write_rows(s, "a.b-c", OVERWRITE, "SELECT 1 AS x");
    OK(wr_dataset_list(&names, &n, s->a, s->p, &s->err));
    assert_int_equal(n, 2);
    assert_string_equal(names[0], "a.b-c");
    assert_string_equal(names[1], "t");
}

static void test_time_travel(void **state)
{
    place *s = *state;
    char text[WR_TIME_TEXT];
    write_rows(s, "t", OVERWRITE, "SELECT 1 AS x");
    usleep(5000);
    int64_t between = wr_clock_wall_us();
    usleep(5000);
    write_rows(s, "t", OVERWRITE, "SELECT 2 AS x");
    wr_time_format(text, between);
    wr_delta_snapshot d = snapshot(s, wr_arena_printf(s->a, "t@%s", text));
    assert_int_equal(d.version, 0);
    wr_delta_free(&d);
    d = snapshot(s, "t@2100-01-01");
    assert_int_equal(d.version, 1);
    wr_delta_free(&d);
    FAILS(WEIR_ENOTFOUND, wr_dataset_read(&d, s->p, "t@1999-01-01", &s->err));
}

static void test_bad_references(void **state)
{
    place *s = *state;
    write_rows(s, "flights", OVERWRITE, "SELECT 1 AS x");
    static const struct {
        const char *ref;
        int code;
        const char *says, *hint;
    } cases[] = {
        {"flihgts", WEIR_ENOTFOUND, "no dataset \"flihgts\"", "did you mean \"flights\"?"},
        {"weather", WEIR_ENOTFOUND, "no dataset \"weather\"", "weir data list"},
        {"flights@7", WEIR_ENOTFOUND, "7", ""},
        {"flights@-1", WEIR_EINVAL, "negative", ""},
        {"flights@yesterday", WEIR_EINVAL, "neither a version nor a time", "flights@3"},
        {"flights@", WEIR_EINVAL, "neither", ""},
        {"../lake/flights", WEIR_EINVAL, "is not a dataset name", "letters"},
        {"", WEIR_EINVAL, "is not a dataset name", ""},
        {".hidden", WEIR_EINVAL, "is not a dataset name", ""},
        {"a b", WEIR_EINVAL, "is not a dataset name", ""},
        {"flights@99999999999999999999", WEIR_EINVAL, "", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wr_delta_snapshot d;
        FAILS(cases[i].code, wr_dataset_read(&d, s->p, cases[i].ref, &s->err));
        SAYS(cases[i].says, s->err.msg);
        SAYS(cases[i].hint, s->err.hint);
    }
}

static void test_identity(void **state)
{
    place *s = *state;
    char one[WR_SHA256_HEX], two[WR_SHA256_HEX];
    int64_t version;
    OK(wr_dataset_hash(one, &version, s->p, "t", &s->err));
    assert_string_equal(one, "");
    assert_int_equal(version, -1);
    write_rows(s, "t", OVERWRITE, "SELECT 1 AS x");
    OK(wr_dataset_hash(one, &version, s->p, "t", &s->err));
    assert_int_equal(strlen(one), 64);
    write_rows(s, "t", OVERWRITE, "SELECT 2 AS x");
    OK(wr_dataset_hash(two, NULL, s->p, "t", &s->err));
    assert_string_not_equal(one, two);
    write_rows(s, "t", OVERWRITE, "SELECT 1 AS x"); /* the same content is the same again */
    OK(wr_dataset_hash(two, &version, s->p, "t", &s->err));
    assert_string_equal(one, two);
    OK(wr_dataset_version_of(&version, s->p, "t", one, &s->err));
    assert_int_equal(version, 2); /* the newest that has it */
    FAILS(WEIR_ENOTFOUND, wr_dataset_version_of(&version, s->p, "t", "0123456789abcdef", &s->err));
    SAYS("0123456789ab", s->err.msg);
}

static void test_restore(void **state)
{
    place *s = *state;
    wr_dataset_written w;
    char first[WR_SHA256_HEX];
    write_rows(s, "t", OVERWRITE, "SELECT range AS i FROM range(3)");
    OK(wr_dataset_hash(first, NULL, s->p, "t", &s->err));
    write_rows(s, "t", OVERWRITE, "SELECT 'other' AS word, 2.5 AS y");
    OK(wr_dataset_restore(&w, s->p, "t", 0, &s->err));
    assert_int_equal(w.version, 2);
    assert_int_equal(w.rows, 3);
    assert_string_equal(w.hash, first);
    assert_int_equal(number(s, "SELECT sum(i) FROM t"), 3);
    OK(wr_dataset_restore(&w, s->p, "t", -1, &s->err)); /* emptied; what was stays readable */
    assert_int_equal(w.rows, 0);
    assert_int_equal(number(s, "SELECT count(i) FROM t"), 0);
    wr_delta_snapshot d = snapshot(s, "t@1");
    assert_string_equal(d.fields[0].name, "word");
    wr_delta_free(&d);
    FAILS(WEIR_ENOTFOUND, wr_dataset_restore(&w, s->p, "t", 9, &s->err));
    FAILS(WEIR_ENOTFOUND, wr_dataset_restore(&w, s->p, "nothing", 0, &s->err));
    d = snapshot(s, "t");
    assert_int_equal(d.version, 3);
    wr_delta_free(&d);
}

/* A version without files still has its columns, with their types. */
static void test_empty_result(void **state)
{
    place *s = *state;
    write_rows(
        s, "t", OVERWRITE,
        "SELECT 1::BIGINT AS a, 1::INTEGER AS b, 1.5::DOUBLE AS c, 1.5::FLOAT AS d, true AS e, 'x' AS \"f g\","
        " TIMESTAMP '2001-01-01' AS g, DATE '2001-01-01' AS h, 1.25::DECIMAL(9,2) AS i, 'b'::BLOB AS j WHERE false");
    wr_delta_snapshot d = snapshot(s, "t");
    assert_int_equal(d.nfiles, 0);
    assert_int_equal(d.rows, 0);
    assert_int_equal(d.nfields, 10);
    wr_delta_free(&d);
    assert_int_equal(count_files(s, ".weir/lake/t"), 1); /* the commit, no data file */
    assert_int_equal(number(s, "SELECT count(*) FROM t"), 0);
    wr_table_column *c;
    size_t n;
    OK(wr_tables_describe(engine(s), &c, &n, s->a, "SELECT * FROM t", &s->err));
    static const char *const types[] = {"long",   "integer",   "double", "float",        "boolean",
                                        "string", "timestamp", "date",   "decimal(9,2)", "binary"};
    for (size_t i = 0; i < n; i++) assert_string_equal(c[i].type, types[i]);
    assert_int_equal(write_rows(s, "t", APPEND,
                                "SELECT 1::BIGINT AS a, 1::INTEGER AS b, 1.5::DOUBLE AS c, 1.5::FLOAT AS d, "
                                "true AS e, 'x' AS \"f g\", TIMESTAMP '2001-01-01' AS g, DATE '2001-01-01' "
                                "AS h, 1.25::DECIMAL(9,2) AS i, 'b'::BLOB AS j"),
                     1);
    assert_int_equal(number(s, "SELECT count(*) FROM t"), 1);
}

/* The commit's statistics are JSON that a Delta reader can use to skip files. */
static void test_statistics(void **state)
{
    place *s = *state;
    write_rows(s, "t", OVERWRITE,
               "SELECT * FROM (VALUES (1::BIGINT, -2.5, 'ab\"c\\', TIMESTAMP '2001-01-01 10:00:00.123456', 5),"
               " (9, 3.5, 'zz', TIMESTAMP '2001-01-02 10:00:00.123456', NULL)) AS v(i, d, word, seen, \"odd name\")");
    WR_AUTOJSON wr_json commit = {0}, stats = {0};
    yyjson_val *max, *min, *nulls;
    wr_str text;
    int64_t rows, v;
    double x;
    const char *line = strstr(get(s, ".weir/lake/t/_delta_log/00000000000000000000.json"), "{\"add\"");
    assert_non_null(line);
    OK(wr_json_parse(&commit, (wr_str){line, strcspn(line, "\n")}, "commit", &s->err));
    OK(wr_json_str(&text, yyjson_obj_get(commit.root, "add"), "stats", &s->err));
    OK(wr_json_parse(&stats, text, "stats", &s->err));
    OK(wr_json_i64(&rows, stats.root, "numRecords", &s->err));
    assert_int_equal(rows, 2);
    OK(wr_json_obj(&min, stats.root, "minValues", &s->err));
    OK(wr_json_obj(&max, stats.root, "maxValues", &s->err));
    OK(wr_json_obj(&nulls, stats.root, "nullCount", &s->err));
    OK(wr_json_i64(&v, min, "i", &s->err));
    assert_int_equal(v, 1);
    OK(wr_json_f64(&x, max, "d", &s->err));
    assert_true(x == 3.5);
    OK(wr_json_str(&text, max, "word", &s->err));
    assert_string_equal(text.p, "zz");
    OK(wr_json_str(&text, max, "seen", &s->err));
    assert_true(strcmp(text.p, "2001-01-02T10:00:00.123") > 0); /* raised, never below the truth */
    OK(wr_json_i64(&v, nulls, "odd name", &s->err));
    assert_int_equal(v, 1);
}

static void test_names_in_sql(void **state)
{
    place *s = *state;
    static const struct {
        const char *sql;
        int trips, dotted, trip;
    } cases[] = {
        {"SELECT * FROM trips", 1, 0, 0},
        {"SELECT * FROM TRIPS", 1, 0, 0},
        {"SELECT trips.x FROM trips JOIN trip USING (x)", 1, 0, 1},
        {"SELECT * FROM \"predictions.delay\"", 0, 1, 0},
        {"SELECT * FROM predictions.delay", 0, 0, 0}, /* a schema, not a dataset */
        {"SELECT my_trips, tripsy FROM other", 0, 0, 0},
        {"trips", 1, 0, 0},
        {"SELECT * FROM(trip)", 0, 0, 1},
        {"", 0, 0, 0},
    };
    write_rows(s, "trips", OVERWRITE, "SELECT 1 AS x");
    write_rows(s, "trip", OVERWRITE, "SELECT 1 AS x");
    write_rows(s, "predictions.delay", OVERWRITE, "SELECT 5 AS score");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wr_node *used;
        size_t n;
        int got[3] = {0};
        OK(wr_dataset_views_for(engine(s), s->p, cases[i].sql, &used, &n, s->a, &s->err));
        for (size_t k = 0; k < n; k++) {
            got[0] += strcmp(used[k].name, "trips") == 0;
            got[1] += strcmp(used[k].name, "predictions.delay") == 0;
            got[2] += strcmp(used[k].name, "trip") == 0;
            assert_string_equal(used[k].kind, "dataset");
            assert_int_equal(used[k].version, 0);
            assert_int_equal(strlen(used[k].hash), 64);
        }
        if (got[0] != cases[i].trips || got[1] != cases[i].dotted || got[2] != cases[i].trip)
            fail_msg("\"%s\": %d %d %d", cases[i].sql, got[0], got[1], got[2]);
    }
    assert_int_equal(number(s, "SELECT score FROM \"predictions.delay\""), 5);
}

/* SQL cannot tell names apart that differ by case only. */
static void test_names_by_case(void **state)
{
    place *s = *state;
    wr_dataset_written w;
    wr_dataset_write_opt opt = {.mode = OVERWRITE};
    write_rows(s, "trips", OVERWRITE, "SELECT 1 AS x");
    FAILS(WEIR_EEXIST, wr_dataset_write(&w, engine(s), s->p, "Trips", "SELECT 2 AS x", &opt, &s->err));
    SAYS("\"trips\" by case only", s->err.msg);
    assert_false(wr_file_exists(at(s, ".weir/lake/Trips")));
}

static void test_refused_writes(void **state)
{
    place *s = *state;
    wr_dataset_written w;
    wr_dataset_write_opt opt = {.mode = APPEND};
    static const struct {
        const char *name, *sql;
        int code;
        const char *says;
    } cases[] = {
        {"../up", "SELECT 1 AS x", WEIR_EINVAL, "not a dataset name"},
        {"new", "SELECT 1 AS x, 2 AS X", WEIR_EINVAL, "differ by case at most"},
        {"new", "SELECT 1 AS \"a\"\"b\"", WEIR_EINVAL, "quote or control character"},
        {"new", "SELECT 1 AS \"a\\b\"", WEIR_EINVAL, "quote or control character"},
        {"new", "SELECT nothing FROM nowhere", WEIR_EINVAL, "nowhere"},
        {"new", "SELEC 1", WEIR_EINVAL, ""},
        {"new", "SELECT 1::BIGINT // 0 AS x, error('late') AS y FROM range(10)", WEIR_EINVAL, ""},
        {"t", "SELECT 'text' AS x", WEIR_EINVAL, "another schema"},
        {"t", "SELECT 1::BIGINT AS x, 2 AS y", WEIR_EINVAL, "another schema"},
    };
    write_rows(s, "t", OVERWRITE, "SELECT 1::BIGINT AS x");
    size_t before = count_files(s, ".weir/lake");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        s->err = (wr_err){0};
        int rc = wr_dataset_write(&w, engine(s), s->p, cases[i].name, cases[i].sql, &opt, &s->err);
        if (rc >= 0 || !s->err.msg[0]) fail_msg("\"%s\" gave %d", cases[i].sql, rc);
        if (!strstr(s->err.msg, cases[i].says) && !strstr(s->err.detail, cases[i].says))
            fail_msg("\"%s\": %s (%s)", cases[i].sql, s->err.msg, s->err.detail);
        assert_int_equal(count_files(s, ".weir/lake"), before);
        assert_false(wr_file_exists(at(s, ".weir/lake/new"))); /* not even an empty folder */
    }
    assert_int_equal(number(s, "SELECT count(*) FROM t"), 1);
}

static void test_transactions(void **state)
{
    place *s = *state;
    wr_dataset_written w;
    wr_dataset_write_opt opt = {
        .mode = APPEND, .txn_app = "log", .txn_version = 1, .run_id = "abc", .operation = "STREAM"};
    OK(wr_dataset_write(&w, engine(s), s->p, "t", "SELECT 1 AS x", &opt, &s->err));
    assert_false(w.skipped);
    size_t files = count_files(s, ".weir/lake/t");
    OK(wr_dataset_write(&w, engine(s), s->p, "t", "SELECT 1 AS x", &opt, &s->err)); /* the same again */
    assert_true(w.skipped);
    assert_int_equal(w.version, 0);
    assert_int_equal(count_files(s, ".weir/lake/t"), files);
    opt.txn_version = 2;
    OK(wr_dataset_write(&w, engine(s), s->p, "t", "SELECT 2 AS x", &opt, &s->err));
    assert_false(w.skipped);
    assert_int_equal(number(s, "SELECT count(*) FROM t"), 2);
    wr_delta_entry *h;
    size_t n;
    OK(wr_delta_history(&h, &n, s->a, at(s, ".weir/lake/t"), 0, &s->err));
    assert_int_equal(n, 2);
    assert_string_equal(h[0].operation, "STREAM");
    assert_string_equal(h[0].user_metadata, "{\"run\":\"abc\"}");
}

/* Whatever step of a write fails, the dataset is what it was, or the new version whole; every file of the log is there.
 */
static void check_whole(place *s, int rc, size_t *files)
{
    wr_delta_snapshot d;
    OK(wr_dataset_read(&d, s->p, "t", &s->err));
    assert_int_equal(d.rows, 1 + d.version);
    assert_int_equal(d.nfiles, 1 + d.version);
    for (size_t i = 0; i < d.nfiles; i++)
        assert_true(wr_file_exists(at(s, wr_arena_printf(s->a, ".weir/lake/t/%s", d.files[i].path))));
    if (rc == 0) *files += 2;
    else *files = count_files(s, ".weir/lake/t"); /* an error after the commit may keep it: then both files are there */
    assert_int_equal(count_files(s, ".weir/lake/t"), *files);
    assert_int_equal(*files, 2 * (size_t)(1 + d.version)); /* no orphan */
    wr_delta_free(&d);
}

static void test_write_faults(void **state)
{
    place *s = *state;
    int failures = 0;
    write_rows(s, "t", OVERWRITE, "SELECT 0::BIGINT AS x");
    size_t files = count_files(s, ".weir/lake/t");
    for (int kind = WR_FAULT_WRITE; kind <= WR_FAULT_RENAME; kind++) {
        for (int sticky = 0; sticky < 2; sticky++) {
            for (int nth = 1; nth < 40; nth++) {
                wr_dataset_written w;
                wr_dataset_write_opt opt = {.mode = APPEND};
                engine(s);
                wr_fault_arm((wr_fault_kind)kind, nth, sticky);
                int rc = wr_dataset_write(&w, s->t, s->p, "t", "SELECT 1::BIGINT AS x", &opt, &s->err);
                bool fired = wr_fault_fired((wr_fault_kind)kind);
                wr_fault_arm((wr_fault_kind)kind, 0, false);
                check_whole(s, rc, &files);
                failures += rc < 0;
                if (!fired) break;
            }
        }
    }
    assert_true(failures >= 6);
}

/* The first write of a dataset fails: there is still none, nor a folder in its place. */
static void test_first_write_faults(void **state)
{
    place *s = *state;
    int failures = 0;
    for (int kind = WR_FAULT_WRITE; kind <= WR_FAULT_RENAME; kind++) {
        for (int nth = 1; nth < 40; nth++) {
            wr_dataset_written w;
            wr_dataset_write_opt opt = {.mode = OVERWRITE};
            const char *name = wr_arena_printf(s->a, "n%d_%d", kind, nth);
            engine(s);
            wr_fault_arm((wr_fault_kind)kind, nth, false);
            int rc = wr_dataset_write(&w, s->t, s->p, name, "SELECT 1 AS x", &opt, &s->err);
            bool fired = wr_fault_fired((wr_fault_kind)kind);
            wr_fault_arm((wr_fault_kind)kind, 0, false);
            const char *dir = wr_arena_printf(s->a, ".weir/lake/%s", name);
            if (rc < 0 && !wr_dataset_exists(s->p, name)) assert_false(wr_file_exists(at(s, dir)));
            if (rc == 0) assert_int_equal(number(s, wr_arena_printf(s->a, "SELECT count(*) FROM %s", name)), 1);
            failures += rc < 0;
            if (!fired) break;
        }
    }
    assert_true(failures >= 3);
}

/* Memory runs out at each allocation in turn, also between the commit and its being read back. */
static void test_write_out_of_memory(void **state)
{
    place *s = *state;
    int failures = 0;
    write_rows(s, "t", OVERWRITE, "SELECT 0::BIGINT AS x");
    size_t files = count_files(s, ".weir/lake/t");
    for (int nth = 1; nth < 2000; nth += nth < 20 ? 1 : 17) {
        wr_dataset_written w;
        wr_dataset_write_opt opt = {.mode = APPEND};
        engine(s);
        wr_fault_arm(WR_FAULT_ALLOC, nth, false);
        int rc = wr_dataset_write(&w, s->t, s->p, "t", "SELECT 1::BIGINT AS x", &opt, &s->err);
        bool fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        check_whole(s, rc, &files);
        failures += rc < 0;
        if (!fired) break;
    }
    assert_true(failures > 20);
}

typedef struct {
    place *s;
    int made;
    char why[320];
} writer;

static void *append_some(void *arg)
{
    writer *w = arg;
    wr_tables *t;
    wr_err err = {0};
    if (wr_project_tables(&t, w->s->p, NULL, &err) < 0) return NULL;
    for (int i = 0; i < 6; i++) {
        wr_dataset_written out;
        wr_dataset_write_opt opt = {.mode = APPEND};
        if (wr_dataset_write(&out, t, w->s->p, "t", "SELECT 1::BIGINT AS x", &opt, &err) == 0) w->made++;
        else snprintf(w->why, sizeof w->why, "%s", err.msg);
    }
    wr_tables_close(t);
    return NULL;
}

static void test_two_writers(void **state)
{
    place *s = *state;
    writer w[2] = {{.s = s}, {.s = s}};
    pthread_t t[2];
    write_rows(s, "t", OVERWRITE, "SELECT 1::BIGINT AS x");
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&t[i], NULL, append_some, &w[i]), 0);
    for (int i = 0; i < 2; i++) pthread_join(t[i], NULL);
    if (w[0].made + w[1].made != 12) fail_msg("%d and %d: %s %s", w[0].made, w[1].made, w[0].why, w[1].why);
    assert_int_equal(number(s, "SELECT count(*) FROM t"), 13);
}

/* A project in a folder whose name means something to SQL or to a glob. */
static void test_odd_folder(void **state)
{
    place *s = *state, odd = *s;
    snprintf(odd.dir, sizeof odd.dir, "%.100s/it's [a] *", s->dir);
    odd.p = NULL;
    odd.t = NULL;
    OK(wr_project_init(odd.dir, &s->err));
    reopen(&odd);
    write_rows(&odd, "t", OVERWRITE, "SELECT 3 AS x");
    write_rows(&odd, "t", APPEND, "SELECT 4 AS x");
    assert_int_equal(number(&odd, "SELECT sum(x) FROM t"), 7);
    wr_tables_close(odd.t);
    wr_project_close(odd.p);
}

/* A data file that is gone or damaged is an error that names the dataset, not a wrong answer. */
static void test_damaged_file(void **state)
{
    place *s = *state;
    wr_delta_snapshot d;
    write_rows(s, "t", OVERWRITE, "SELECT range AS x FROM range(1000)");
    d = snapshot(s, "t");
    const char *file = wr_arena_printf(s->a, ".weir/lake/t/%s", d.files[0].path);
    wr_delta_free(&d);
    put(s, file, "PAR1 no longer");
    s->err = (wr_err){0};
    assert_true(wr_dataset_view(engine(s), s->p, "t", NULL, &s->err) < 0);
    SAYS("dataset \"t\"", s->err.msg);
    put(s, ".weir/lake/t/_delta_log/00000000000000000001.json", "{\"add\": nonsense\n");
    assert_true(wr_dataset_read(&d, s->p, "t", &s->err) < 0);
    d = snapshot(s, "t@0");
    wr_delta_free(&d);
}

#define T(name) cmocka_unit_test_setup_teardown(name, make_place, drop_place)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_versions),
        T(test_time_travel),
        T(test_bad_references),
        T(test_identity),
        T(test_restore),
        T(test_empty_result),
        T(test_statistics),
        T(test_names_in_sql),
        T(test_names_by_case),
        T(test_refused_writes),
        T(test_transactions),
        T(test_write_faults),
        T(test_first_write_faults),
        T(test_write_out_of_memory),
        T(test_two_writers),
        T(test_odd_folder),
        T(test_damaged_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
