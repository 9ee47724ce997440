/* SPDX-License-Identifier: Apache-2.0 */
/* import_test.c - MLflow's databases of both engines give the same; series longer than a page; where URIs and paths go.
 */
#include "stage/import/import.h"

#include "core/core_testing.h"
#include "stage/import/place.h"
#include "track/metric.h"

#define FIXTURES WEIR_SOURCE_DIR "/tests/fixtures/mlflow/"

static int run_script(wr_db *db, void *arg, wr_err *err)
{
    wr_str rest = *(wr_str *)arg;
    while (rest.p) {
        WR_AUTOBUF wr_buf one = {0};
        wr_buf_slice(&one, wr_str_cut(&rest, ';'));
        if (!wr_str_trim(wr_buf_view(&one)).n) continue;
        WR_TRY(wr_db_exec(db, wr_buf_cstr(&one), err));
    }
    return 0;
}

/* No text of the fixtures has a semicolon inside. */
static void make_sqlite(place *s, const char *path, const char *const *scripts)
{
    wr_db *db;
    OK(wr_db_open(&db, path, &(wr_db_opt){0}, &s->err));
    for (; *scripts; scripts++) {
        WR_AUTOBUF wr_buf text = {0};
        OK(wr_file_read(&text, *scripts, 1 << 20, &s->err));
        wr_str view = wr_buf_view(&text);
        OK(wr_db_write(db, run_script, &view, &s->err));
    }
    wr_db_close(db);
}

static void psql(char *url, const char *flag, const char *what)
{
    char *argv[] = {"psql", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, (char *)flag, (char *)what, NULL};
    assert_int_equal(wr_pg_testing_run(argv), 0);
}

static void make_pg(char *url, const char *const *scripts)
{
    assert_int_equal(wr_pg_testing_start(url), 0);
    for (; *scripts; scripts++) psql(url, "-f", *scripts);
}

static const char *const v3[] = {FIXTURES "mlflow2.sql", FIXTURES "mlflow3.sql", NULL}, *const auth[] = {
                                                                                            FIXTURES "auth3.sql", NULL};

static void check_report(const wr_import_report *r, bool first)
{
    static const int64_t found[WR_IMPORT_KINDS] = {3, 3, 1, 1, 2, 2, 1, 2};
    for (int i = 0; i < WR_IMPORT_KINDS; i++) {
        assert_int_equal(r->kinds[i].found, found[i]);
        assert_int_equal(r->kinds[i].made, !first ? 0 : i == WR_IMPORT_EXPERIMENT ? 2 : found[i]);
    }
    assert_int_equal(r->points, first ? 8 : 0);
    assert_int_equal(r->skipped, 0);
}

static void from_sqlite(void **state)
{
    place *s = *state;
    wr_import_report r;
    wr_import_opt opt = {.source = at(s, "mlflow.db"), .auth = at(s, "auth.db")};
    make_sqlite(s, opt.source, v3);
    make_sqlite(s, opt.auth, auth);
    OK(wr_import_mlflow(&r, s->p, &opt, &s->err));
    check_report(&r, true);
    OK(wr_import_mlflow(&r, s->p, &opt, &s->err));
    check_report(&r, false);
}

static void from_postgresql(void **state)
{
    place *s = *state;
    wr_import_report r;
    char url[WR_PG_TESTING_URL], users[WR_PG_TESTING_URL];
    make_pg(url, v3);
    make_pg(users, auth);
    wr_import_opt opt = {.source = url, .auth = users};
    OK(wr_import_mlflow(&r, s->p, &opt, &s->err));
    check_report(&r, true);
    OK(wr_import_mlflow(&r, s->p, &opt, &s->err));
    check_report(&r, false);
}

/* Pages of a series end inside a step, and one step fills more than a page. */
static void series_longer_than_a_page(void **state)
{
    place *s = *state;
    wr_import_report r;
    wr_metric_run run;
    wr_track *t;
    int64_t n;
    char url[WR_PG_TESTING_URL];
    make_pg(url, v3);
    psql(url, "-c",
         "INSERT INTO metrics SELECT 'loss', i, 1600000002000 + i, 'a0000000000000000000000000000002', i / 3, FALSE "
         "FROM generate_series(0, 29999) i;"
         "INSERT INTO metrics SELECT 'loss', i, 1600000009999, 'a0000000000000000000000000000002', 4000, FALSE FROM "
         "generate_series(100000, 144999) i;"
         "INSERT INTO latest_metrics VALUES ('loss', 29999, 1600000031999, 9999, FALSE, "
         "'a0000000000000000000000000000002')");
    OK(wr_import_mlflow(&r, s->p, &(wr_import_opt){.source = url}, &s->err));
    OK(wr_project_track(&t, s->p, &s->err));
    OK(wr_import_run_find(&run, &n, t, WR_STR("a0000000000000000000000000000002"), &s->err));
    assert_int_equal(n, 75000);
    OK(wr_import_mlflow(&r, s->p, &(wr_import_opt){.source = url}, &s->err));
    assert_int_equal(r.points, 0); /* they are all there */
    psql(url, "-c",
         "INSERT INTO metrics SELECT 'loss', i, 1600000009999, 'a0000000000000000000000000000002', 4001, FALSE FROM "
         "generate_series(1, 5) i");
    OK(wr_import_mlflow(&r, s->p, &(wr_import_opt){.source = url}, &s->err));
    assert_int_equal(r.points, 5);
    OK(wr_import_run_find(&run, &n, t, WR_STR("a0000000000000000000000000000002"), &s->err));
    assert_int_equal(n, 75005);
}

static void uris_and_paths(void **state)
{
    place *s = *state;
    wr_import_places p;
    static const struct {
        const char *uri, *here;
    } cases[] = {
        {"mlflow-artifacts:/1/r/artifacts", "mlflow-artifacts:/7/r/artifacts"},
        {"mlflow-artifacts:///1/r", "mlflow-artifacts:/7/r"},
        {"mlflow-artifacts://host:5000/1/r", "mlflow-artifacts:/7/r"},
        {"mlflow-artifacts:/1", "mlflow-artifacts:/7"},
        {"mlflow-artifacts:/2/r", "mlflow-artifacts:/2/r"},
        {"mlflow-artifacts:/10/r", "mlflow-artifacts:/10/r"},
        {"mlflow-artifacts:/own/r", "mlflow-artifacts:/own/r"},
        {"/tree/1/r", "mlflow-artifacts:/7/r"},
        {"/tree2/1/r", "/tree2/1/r"},
        {"/tree", "mlflow-artifacts:/"},
        {"file:///tree/2/a%20b", "mlflow-artifacts:/2/a b"},
        {"file:/tree/2/x", "mlflow-artifacts:/2/x"},
        {"/srv/mlruns/1/r", "mlflow-artifacts:/7/r"},
        {"file:///srv/mlruns/1/r", "mlflow-artifacts:/7/r"},
        {"s3://bucket/1/r", "s3://bucket/1/r"},
        {"models:/m/1", "models:/m/1"},
        {"", ""},
    };
    OK(wr_import_places_init(&p, "/tree/", "/srv/mlruns/", &s->err));
    OK(wr_import_places_add(&p, 2, 2, false, &s->err));
    OK(wr_import_places_add(&p, 1, 7, false, &s->err)); /* a server gives the newest first */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wr_str here = wr_import_uri(&p, s->a, wr_str_of(cases[i].uri));
        if (!wr_str_is(here, cases[i].here)) fail_msg("%s became %.*s", cases[i].uri, WR_STR_FMT(here));
    }
    assert_true(wr_str_is(wr_import_path(&p, s->a, WR_STR("1/r/x")), "7/r/x"));
    assert_true(wr_str_is(wr_import_path(&p, s->a, WR_STR("11/r/x")), "11/r/x"));
    assert_int_equal(wr_import_place(&p, 1), 7);
    assert_int_equal(wr_import_place(&p, 3), -1);
    wr_import_places_fini(&p);
}

static void values(void **state)
{
    (void)state;
    assert_true(wr_import_value(1.7976931348623157e308, false) > 1.7976931348623157e308);
    assert_true(wr_import_value(-1.7976931348623157e308, false) < -1.7976931348623157e308);
    assert_true(wr_import_value(1.5e308, false) == 1.5e308);
    assert_true(wr_import_value(0, true) != wr_import_value(0, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(from_sqlite, make_place, drop_place),
        cmocka_unit_test_setup_teardown(from_postgresql, make_place, drop_place),
        cmocka_unit_test_setup_teardown(series_longer_than_a_page, make_place, drop_place),
        cmocka_unit_test_setup_teardown(uris_and_paths, make_place, drop_place), cmocka_unit_test(values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
