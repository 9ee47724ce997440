/* SPDX-License-Identifier: Apache-2.0 */
/* schema_test.c - records of every earlier version come up with all they hold: they are made migration by migration,
 * with rows that a program of that version wrote, and opened by this one. */
#include "core/schema.h"

#include "core/core_testing.h"
#include "store/db.h"
#include "track/experiment.h"
#include "track/metric.h"
#include "track/registry.h"
#include "track/run.h"
#include "track/trace.h"
#include "track/user.h"

/* What a program wrote whose newest migration was this one. */
static const char *const rows[] = {
    [1] = "INSERT INTO runs VALUES ('r1', 'train', 'delay', 'weir model train', 'finished', NULL, 'abc', 'host', "
          "1600000000000000, 1600000009000000);"
          "INSERT INTO runs VALUES ('r2', 'check', 'trips', 'weir data check', 'refused', 'no', 'abc', 'host', "
          "1600000010000000, NULL);"
          "INSERT INTO run_params VALUES ('r1', 'seed', '7'); INSERT INTO run_metrics VALUES ('r1', 'auc', 0.75);"
          "INSERT INTO nodes (kind, name, hash, version, created_us) VALUES ('dataset', 'trips', 'h1', 1, "
          "1600000000000000);"
          "INSERT INTO nodes (kind, name, hash, version, created_us) VALUES ('model', 'delay', 'h2', 1, "
          "1600000000000000);"
          "INSERT INTO edges VALUES (2, 1, 'r1');"
          "INSERT INTO packages (model, package, run, created_us) VALUES ('delay', 'p1', 'r1', 1600000009000000);"
          "INSERT INTO model_versions VALUES ('delay', 1, 'p1', 'r1', 1600000009000000);"
          "INSERT INTO model_versions VALUES ('delay', 2, 'p2', 'r1', 1600000019000000);"
          "INSERT INTO model_aliases VALUES ('delay', 'champion', 2, 1600000020000000);"
          "INSERT INTO events (time_us, kind, subject, payload) VALUES (1600000000000000, 'alias', 'delay', '{}');",
    [2] = "INSERT INTO experiments (name, location, created_ms, updated_ms) VALUES ('of a client', "
          "'mlflow-artifacts:/x', 1600000000000, 1600000000000);"
          "INSERT INTO experiment_tags SELECT id, 'team', 'a' FROM experiments WHERE name = 'of a client';"
          "INSERT INTO track_runs (uuid, experiment, name, user_id, status, start_ms, end_ms, artifact_uri) SELECT "
          "'c1', id, 'one', 'me', 3, 1600000000000,"
          "  1600000001000, 'mlflow-artifacts:/x/c1/artifacts' FROM experiments WHERE name = 'of a client';"
          "INSERT INTO track_keys (name) VALUES ('lr');"
          "INSERT INTO track_params SELECT r.id, k.id, '0.1' FROM track_runs r JOIN track_keys k ON k.name = 'lr' "
          "WHERE r.uuid = 'c1';",
    [4] = "INSERT INTO registered_models (name, description, created_ms, updated_ms) VALUES ('churn', 'who leaves', "
          "1600000000000, 1600000000000);"
          "INSERT INTO registered_versions (model, version, source, created_ms, updated_ms) SELECT id, 1, 's3://b/m', "
          "1600000000000, 1600000000000"
          "  FROM registered_models WHERE name = 'churn';"
          "INSERT INTO registered_aliases SELECT id, 'best', 1, 1600000000000 FROM registered_models WHERE name = "
          "'churn';",
    [5] = "INSERT INTO users (name, password, admin) VALUES ('ada', 'scrypt$', 1);",
    [7] = "INSERT INTO artifacts (path, object, size, mtime_us) VALUES ('a/b.txt', '00', 3, 1);",
    [9] = "INSERT INTO track_traces (uuid, experiment, time_ms, state, finalized) VALUES ('tr-1', 0, 1600000000000, 1, "
          "1);",
};
enum { WRITTEN = sizeof rows / sizeof *rows };

typedef struct {
    const char *sql;
} script;

static int run_script(wr_db *db, void *arg, wr_err *err)
{
    wr_str rest = wr_str_of(((script *)arg)->sql);
    while (rest.p) {
        char one[1024];
        wr_str sql = wr_str_cut(&rest, ';');
        if (!wr_str_trim(sql).n) continue;
        snprintf(one, sizeof one, "%.*s", WR_STR_FMT(sql));
        WR_TRY(wr_db_exec(db, one, err));
    }
    return 0;
}

/* The records as a program with the first `n` migrations left them. */
static void write_as(place *s, const char *path, int n)
{
    wr_db *db;
    for (int k = 1; k <= n; k++) {
        wr_db_opt opt = {.migrations = wr_schema_migrations, .n = k};
        OK(wr_db_open(&db, path, &opt, &s->err));
        if (k < WRITTEN && rows[k]) OK(wr_db_write(db, run_script, &(script){rows[k]}, &s->err));
        wr_db_close(db);
    }
}

static int64_t count(place *s, wr_db *db, const char *sql)
{
    wr_stmt *q;
    OK(wr_db_prepare(db, &q, sql, &s->err));
    assert_int_equal(wr_step(q, &s->err), 1);
    int64_t n = wr_stmt_i64(q, 0);
    wr_stmt_done(q);
    return n;
}

static const char *tag(const wr_track_run *r, const char *key)
{
    for (size_t i = 0; i < r->ntags; i++)
        if (wr_str_is(r->tags[i].key, key)) return r->tags[i].value.p;
    return "";
}

static void has_own_runs(place *s, wr_track *t)
{
    wr_track_run r;
    OK(wr_track_run_get(&r, s->a, t, WR_STR("r1"), &s->err));
    OK(wr_track_run_load(&r, s->a, t, &s->err));
    assert_string_equal(r.name.p, "train delay");
    assert_int_equal(r.status, WR_RUN_FINISHED);
    assert_int_equal(r.end_ms, 1600000009000);
    assert_int_equal(r.nparams, 1);
    assert_string_equal(r.params[0].value.p, "7");
    assert_int_equal(r.nmetrics, 1);
    assert_true(r.metrics[0].value == 0.75);
    wr_track_point *points;
    size_t n;
    OK(wr_metric_history(&points, &n, s->a, t, r.id, WR_STR("auc"), NULL, 0, &s->err));
    assert_int_equal(n, 1);
    assert_true(points[0].value == 0.75 && points[0].time_ms == 1600000009000);
    assert_string_equal(tag(&r, "mlflow.source.name"), "weir model train");
    OK(wr_track_run_get(&r, s->a, t, WR_STR("r2"), &s->err));
    OK(wr_track_run_load(&r, s->a, t, &s->err));
    assert_string_equal(tag(&r, "weir.refused"), "true");
    assert_string_equal(tag(&r, "weir.error"), "no");
}

static void has_own_models(place *s, wr_track *t)
{
    wr_registered_version v;
    wr_registered_model m;
    OK(wr_registered_version_by_alias(&v, s->a, t, WR_STR("delay"), WR_STR("champion"), &s->err));
    assert_int_equal(v.version, 2);
    assert_string_equal(v.package.p, "p2");
    assert_string_equal(v.run_id.p, "r1");
    OK(wr_registered_model_get(&m, s->a, t, WR_STR("delay"), &s->err));
    assert_int_equal(m.created_ms, 1600000009000);
}

static void has_what_clients_put(place *s, wr_track *t, wr_db *db, int n)
{
    wr_experiment e;
    wr_track_run r;
    wr_registered_version v;
    wr_trace trace;
    if (n >= 2) {
        OK(wr_experiment_find(&e, s->a, t, WR_STR("of a client"), &s->err));
        assert_int_equal(e.ntags, 1);
        OK(wr_track_run_get(&r, s->a, t, WR_STR("c1"), &s->err));
        OK(wr_track_run_load(&r, s->a, t, &s->err));
        assert_int_equal(r.experiment, e.id);
        assert_string_equal(r.params[0].value.p, "0.1");
    }
    if (n >= 4) {
        OK(wr_registered_version_by_alias(&v, s->a, t, WR_STR("churn"), WR_STR("best"), &s->err));
        assert_string_equal(v.source.p, "s3://b/m");
    }
    if (n >= 5) assert_int_equal(count(s, db, "SELECT count(*) FROM users WHERE name = 'ada' AND admin = 1"), 1);
    if (n >= 7) assert_int_equal(count(s, db, "SELECT count(*) FROM artifacts WHERE path = 'a/b.txt' AND size = 3"), 1);
    if (n >= 9) OK(wr_trace_get(&trace, s->a, t, WR_STR("tr-1"), &s->err));
}

static int make_run(wr_track *t, void *arg, wr_err *err)
{
    wr_track_run r;
    place *s = arg;
    return wr_track_run_create(&r, s->a, t,
                               &(wr_track_run_new){.user = WR_STR("me"), .name = WR_STR("new"), .start_ms = 1}, err);
}

/* As `weir up` opens it: with the metric log. */
static void every_version_comes_up(void **state)
{
    place *s = *state;
    for (int n = 1; n <= wr_schema_count; n++) {
        wr_db *db;
        wr_track *t;
        wr_project *p;
        const char *dir = at(s, wr_arena_printf(s->a, "v%d", n));
        put(s, wr_arena_printf(s->a, "v%d/weir.yaml", n), "");
        OK(wr_file_mkdirs(wr_path_join(s->a, dir, ".weir"), &s->err));
        write_as(s, wr_path_join(s->a, dir, ".weir/weir.db"), n);
        OK(wr_project_open(&p, dir, &s->err));
        OK(wr_project_track_log(&t, p, &s->err));
        OK(wr_project_db(&db, p, &s->err));
        has_own_runs(s, t);
        has_own_models(s, t);
        has_what_clients_put(s, t, db, n);
        assert_int_equal(
            count(s, db, "SELECT count(*) FROM edges e JOIN nodes n ON n.id = e.parent WHERE n.name = 'trips'"), 1);
        assert_int_equal(count(s, db, "SELECT count(*) FROM packages WHERE package = 'p1'"), 1);
        assert_int_equal(count(s, db, "SELECT count(*) FROM events"), 1);
        OK(wr_track_write(t, make_run, s, &s->err));
        wr_project_close(p);
    }
}

/* A program that is older than the records says so, and they stay as they are. */
static void older_programs_are_refused(void **state)
{
    place *s = *state;
    wr_db *db;
    const char *path = at(s, "records.db");
    char before[WR_SHA256_HEX], after[WR_SHA256_HEX];
    write_as(s, path, wr_schema_count);
    OK(wr_file_sha256(before, path, &s->err));
    for (int n = 1; n < wr_schema_count; n++) {
        wr_db_opt opt = {.migrations = wr_schema_migrations, .n = n};
        FAILS(WEIR_EUNSUPPORTED, wr_db_open(&db, path, &opt, &s->err));
        SAYS("newer", s->err.msg);
    }
    OK(wr_file_sha256(after, path, &s->err));
    assert_string_equal(before, after);
}

/* What cannot be migrated whole is not migrated at all: the next try finds everything as it was. */
static void half_is_none(void **state)
{
    place *s = *state;
    wr_db *db;
    const char *path = at(s, "records.db"), *migrations[64];
    write_as(s, path, 1);
    memcpy(migrations, wr_schema_migrations, (size_t)wr_schema_count * sizeof *migrations);
    migrations[wr_schema_count] = "CREATE TABLE fine (x INTEGER NOT NULL); INSERT INTO nowhere VALUES (1);";
    wr_db_opt broken = {.migrations = migrations, .n = wr_schema_count + 1},
              first = {.migrations = wr_schema_migrations, .n = 1};
    assert_true(wr_db_open(&db, path, &broken, &s->err) < 0);
    OK(wr_db_open(&db, path, &first, &s->err)); /* still of version 1 */
    assert_int_equal(count(s, db, "SELECT count(*) FROM runs"), 2);
    wr_db_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_version_comes_up, make_place, drop_place),
        cmocka_unit_test_setup_teardown(older_programs_are_refused, make_place, drop_place),
        cmocka_unit_test_setup_teardown(half_is_none, make_place, drop_place)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
