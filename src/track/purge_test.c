/* SPDX-License-Identifier: Apache-2.0 */
/* purge_test.c - what a purge takes along and what it leaves, cut off anywhere, beside a metric log with points. */
#include "track/purge.h"

#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "track/logged_model.h"
#include "track/registry.h"
#include "track/trace.h"
#include "track/track_inside.h"
#include "track/track_testing.h"
#include "track/user.h"

static wr_artifacts *files;
static wr_purge_opt opt;

static int setup(void **state)
{
    assert_int_equal(store_setup(state), 0);
    store *s = *state;
    OK(wr_artifacts_open(&files, wr_arena_printf(s->a, "%s/files", s->dir), &(wr_artifacts_opt){0}, &s->err));
    opt = (wr_purge_opt){.files = files};
    return 0;
}

static int teardown(void **state)
{
    wr_artifacts_close(files);
    return store_teardown(state);
}

static int64_t number(store *s, const char *sql)
{
    int64_t n;
    OK(wr_track_number(&n, 0, s->t, &s->err, sql, ""));
    return n;
}

static void put_file(store *s, const char *path)
{
    OK(wr_artifacts_put(files, wr_str_of(path), WR_STR("content"), NULL, &s->err));
}

static bool there(store *s, const char *path)
{
    wr_artifact_info info;
    int rc = wr_artifacts_stat(&info, files, wr_str_of(path), &s->err);
    assert_true(rc == 0 || rc == WEIR_ENOTFOUND);
    return rc == 0;
}

/* ---- experiments with something of everything ---- */

typedef struct {
    const char *name, *location; /* location NULL: the store's */
    int nruns;
    bool deleted;
    int64_t id; /* out */
    wr_str run, model, trace;
} filled;

static int fill_fn(wr_track *t, void *arg, wr_err *err)
{
    filled *f = arg;
    static wr_arena *a;
    wr_arena_free(a);
    a = wr_arena_new(0); /* ids of the last one filled stay readable */
    wr_track_run r;
    wr_logged_model m;
    wr_trace tr;
    wr_track_item tag = {WR_STR("k"), WR_STR("v")};
    wr_track_point p = {.key = WR_STR("loss"), .value = 1, .step = 1, .time_ms = 1};
    wr_logged_point q = {.key = WR_STR("acc"), .value = 1, .step = 1, .time_ms = 1};
    wr_track_dataset d = {
        .name = WR_STR("d"), .digest = WR_STR("1"), .source_type = WR_STR("x"), .source = WR_STR("y")};
    WR_TRY(
        wr_experiment_create(&f->id, t, wr_str_of(f->name), wr_str_of(f->location ? f->location : ""), &tag, 1, err));
    for (int i = 0; i < f->nruns; i++) {
        WR_TRY(wr_track_run_create(
            &r, a, t, &(wr_track_run_new){.experiment = f->id, .start_ms = i, .tags = &tag, .ntags = 1}, err));
        WR_TRY(wr_track_run_set_param(t, &r, WR_STR("rate"), WR_STR("0.1"), err));
        WR_TRY(wr_track_run_add_input(t, &r, &d, err));
        WR_TRY(wr_metric_put(t, &(wr_metric_run){r.id, f->id, i}, &p, 1, err));
    }
    WR_TRY(wr_logged_model_create(
        &m, a, t,
        &(wr_logged_model_new){
            .experiment = f->id, .name = WR_STR("m"), .params = &tag, .nparams = 1, .tags = &tag, .ntags = 1},
        err));
    WR_TRY(wr_logged_model_put_metrics(t, m.uuid, r.id, &q, 1, err));
    WR_TRY(wr_trace_begin(
        &tr, a, t,
        &(wr_trace){.experiment = f->id, .time_ms = 1, .tags = &tag, .ntags = 1, .metadata = &tag, .nmetadata = 1},
        err));
    WR_TRY(wr_track_run_add_model(t, &r, true, m.uuid, 1, err));
    f->run = r.uuid;
    f->model = m.uuid;
    f->trace = tr.uuid;
    return f->deleted ? wr_experiment_delete(t, f->id, err) : 0;
}

/* With a file of the last run, of the model, of the trace, and of a trace that was deleted. */
static void fill(store *s, filled *f, const char *folder)
{
    OK(wr_track_write(s->t, fill_fn, f, &s->err));
    if (!folder) folder = wr_arena_printf(s->a, "%lld", (long long)f->id);
    put_file(s, wr_arena_printf(s->a, "%s/%s/artifacts/a.txt", folder, f->run.p));
    put_file(s, wr_arena_printf(s->a, "%s/models/%s/artifacts/MLmodel", folder, f->model.p));
    put_file(s, wr_arena_printf(s->a, "%s/traces/%s/artifacts/traces.json", folder, f->trace.p));
    put_file(s, wr_arena_printf(s->a, "%s/traces/gone/artifacts/traces.json", folder));
}

/* Rows that an experiment with what is above has, in all tables. */
static int64_t rows(store *s)
{
    static const char *const tables[] = {
        "experiment_tags",      "track_runs",        "track_params",         "track_tags",       "track_metrics",
        "track_chunks",         "track_datasets",    "track_inputs",         "track_run_models", "logged_models",
        "logged_model_params",  "logged_model_tags", "logged_model_metrics", "track_traces",     "track_trace_tags",
        "track_trace_metadata", "role_grants"};
    int64_t n = number(s, "SELECT count(*) FROM experiments WHERE id <> 0");
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        n += number(s, wr_arena_printf(s->a, "SELECT count(*) FROM %s", tables[i]));
    return n;
}

static int delete_fn(wr_track *t, void *arg, wr_err *err) { return wr_experiment_delete(t, *(int64_t *)arg, err); }
static int restore_run_fn(wr_track *t, void *arg, wr_err *err) { return wr_track_run_restore(t, *(wr_str *)arg, err); }

/* ---- what goes and what stays ---- */

static int grant_fn(wr_track *t, void *arg, wr_err *err)
{
    char id[24];
    int64_t user;
    snprintf(id, sizeof id, "%lld", (long long)*(int64_t *)arg);
    WR_TRY(wr_user_create(&user, t, WR_STR("ada"), WR_STR("twelve letters"), false, err));
    return wr_grant_set(t, WR_STR("ada"), WR_STR("experiment"), wr_str_of(id), WR_CAN_READ, err);
}

static void counted(void *arg, int64_t done)
{
    int64_t *last = arg;
    assert_true(done > *last);
    *last = done;
}

static void test_whole(void **state)
{
    store *s = *state;
    filled other = {.name = "other", .nruns = 1}, f = {.name = "churn", .nruns = 600, .deleted = true};
    fill(s, &other, NULL);
    const int64_t before = rows(s);
    const char *kept = wr_arena_printf(s->a, "%lld/%s/artifacts/a.txt", (long long)other.id, other.run.p);
    fill(s, &f, NULL);
    OK(wr_track_write(s->t, grant_fn, &f.id, &s->err));
    assert_true(rows(s) > before + 600 * 5);
    wr_purge_experiment_facts facts;
    OK(wr_purge_look(&facts, s->a, s->t, f.id, &s->err));
    assert_true(facts.runs == 600 && facts.active == 0 && facts.models == 1 && facts.traces == 1 && !facts.versions);
    int64_t done = 0;
    opt.step = counted;
    opt.arg = &done;
    OK(wr_purge_experiment(s->t, f.id, &opt, &s->err));
    assert_int_equal(done, 602);
    assert_int_equal(rows(s), before);
    assert_false(there(s, wr_arena_printf(s->a, "%lld", (long long)f.id)));
    assert_true(there(s, kept));
    FAILS(WEIR_ENOTFOUND, "No Experiment", wr_purge_experiment(s->t, f.id, &opt, &s->err));
    const int64_t id = f.id;
    f.nruns = 1;
    fill(s, &f, NULL);
    assert_int_not_equal(f.id,
                         id); /* numbers are not given twice: what somebody remembers of it is not the new one's */
}

static void test_refused(void **state)
{
    store *s = *state;
    filled f = {.name = "churn", .nruns = 2};
    fill(s, &f, NULL);
    const int64_t before = rows(s);
    FAILS(WEIR_ECONFLICT, "\"churn\" is active", wr_purge_experiment(s->t, f.id, &opt, &s->err));
    FAILS(WEIR_ECONFLICT, "\"Default\" cannot be purged", wr_purge_experiment(s->t, 0, &opt, &s->err));
    FAILS(WEIR_ENOTFOUND, "No Experiment", wr_purge_experiment(s->t, 77, &opt, &s->err));
    OK(wr_track_write(s->t, delete_fn, &f.id, &s->err));
    OK(wr_track_write(s->t, restore_run_fn, &f.run, &s->err));
    FAILS(WEIR_ECONFLICT, "1 of its runs are not", wr_purge_experiment(s->t, f.id, &opt, &s->err));
    assert_int_equal(rows(s), before);
    assert_true(there(s, wr_arena_printf(s->a, "%lld/%s", (long long)f.id, f.run.p)));
    int64_t *ids;
    size_t n;
    OK(wr_purge_find_experiments(&ids, &n, s->a, s->t, wr_track_now_ms() - 60000, &s->err));
    assert_int_equal(n, 0);
    OK(wr_purge_find_experiments(&ids, &n, s->a, s->t, INT64_MAX, &s->err));
    assert_true(n == 1 && ids[0] == f.id);
}

/* A folder that another experiment's lies in, a folder that several share, and a place that is not ours. */
static void test_places(void **state)
{
    store *s = *state;
    filled outer = {.name = "outer", .nruns = 1, .deleted = true}, inner = {.name = "inner", .nruns = 1},
           shared = {.name = "shared", .nruns = 1, .deleted = true, .location = "mlflow-artifacts:/team/a/"},
           away = {.name = "away", .nruns = 1, .deleted = true, .location = "s3://bucket/x"};
    fill(s, &outer, NULL);
    const char *home = wr_arena_printf(s->a, "%lld", (long long)outer.id), *sub = wr_arena_printf(s->a, "%s/sub", home);
    const char *run = wr_arena_printf(s->a, "%s/%s", home, outer.run.p);
    inner.location = wr_arena_printf(s->a, "mlflow-artifacts://some-host:8080/%s/", sub);
    fill(s, &inner, sub);
    OK(wr_purge_experiment(s->t, outer.id, &opt, &s->err));
    assert_false(there(s, run));
    assert_true(there(s, wr_arena_printf(s->a, "%s/%s/artifacts/a.txt", sub, inner.run.p)));
    assert_true(there(s, wr_arena_printf(s->a, "%s/traces/gone", home))); /* whose it is cannot be told */

    fill(s, &shared, "team/a");
    put_file(s, "team/a/else.txt");
    OK(wr_purge_experiment(s->t, shared.id, &opt, &s->err));
    assert_true(there(s, "team/a/else.txt"));
    assert_false(there(s, wr_arena_printf(s->a, "team/a/%s", shared.run.p)));
    assert_false(there(s, wr_arena_printf(s->a, "team/a/models/%s", shared.model.p)));
    assert_false(there(s, wr_arena_printf(s->a, "team/a/traces/%s", shared.trace.p)));

    fill(s, &away, "bucket/x");
    OK(wr_purge_experiment(s->t, away.id, &opt, &s->err));
    assert_true(there(s, wr_arena_printf(s->a, "bucket/x/%s/artifacts/a.txt", away.run.p)));
    assert_int_equal(number(s, "SELECT count(*) FROM experiments"), 2);
}

static int version_fn(wr_track *t, void *arg, wr_err *err)
{
    const filled *f = arg;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_registered_model m;
    wr_registered_version v;
    WR_TRY(wr_registered_model_create(&m, a, t, WR_STR("net"), (wr_str){NULL, 0}, NULL, 0, err));
    return wr_registered_version_create(
        &v, a, t,
        &(wr_registered_version_new){.name = m.name, .source = WR_STR("mlflow-artifacts:/1/x"), .run_id = f->run}, err);
}

/* A registered version keeps its record. */
static void test_versions(void **state)
{
    store *s = *state;
    filled f = {.name = "churn", .nruns = 1, .deleted = true};
    wr_purge_experiment_facts facts;
    fill(s, &f, NULL);
    OK(wr_track_write(s->t, version_fn, &f, &s->err));
    OK(wr_purge_look(&facts, s->a, s->t, f.id, &s->err));
    assert_int_equal(facts.versions, 1);
    OK(wr_purge_experiment(s->t, f.id, &opt, &s->err));
    assert_int_equal(number(s, "SELECT count(*) FROM registered_versions"), 1);
}

static void test_runs(void **state)
{
    store *s = *state;
    filled f = {.name = "churn", .nruns = 300, .deleted = true};
    wr_purge_run *runs;
    size_t n;
    fill(s, &f, NULL);
    OK(wr_purge_find_runs(&runs, &n, s->a, s->t, 0, INT64_MAX, &s->err));
    assert_int_equal(n, 0);
    OK(wr_purge_find_runs(&runs, &n, s->a, s->t, -1, wr_track_now_ms() - 60000, &s->err));
    assert_int_equal(n, 0);
    OK(wr_purge_find_runs(&runs, &n, s->a, s->t, f.id, INT64_MAX, &s->err));
    assert_int_equal(n, 300);
    assert_true(wr_str_eq(runs[0].uuid, f.run));
    bool *purged = wr_arena_calloc(s->a, n, sizeof *purged);
    OK(wr_track_write(s->t, restore_run_fn, &f.run, &s->err)); /* meanwhile */
    OK(wr_purge_runs(purged, s->t, runs, n, &opt, &s->err));
    for (size_t i = 0; i < n; i++) assert_int_equal(purged[i], i > 0);
    assert_int_equal(number(s, "SELECT count(*) FROM track_runs"), 1);
    assert_true(there(s, wr_arena_printf(s->a, "%lld/%s/artifacts/a.txt", (long long)f.id, f.run.p)));
    memset(purged, 0, n);
    OK(wr_purge_runs(purged, s->t, runs, n, &opt, &s->err)); /* again */
    for (size_t i = 0; i < n; i++) assert_false(purged[i]);
}

/* ---- cut off ---- */

static void purge_in_child(store *s, int64_t id, int nth, int *code)
{
    store_close(s); /* its threads would not be in the child */
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        store_open(s);
        wr_fault_arm(WR_FAULT_CRASH, nth, false);
        int rc = wr_purge_experiment(s->t, id, &opt, &s->err);
        _exit(rc < 0 ? 1 : 0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    *code = WEXITSTATUS(status);
    store_open(s);
}

static void test_crashes(void **state)
{
    store *s = *state;
    int code = 137, nth = 1;
    for (; code == 137; nth++) {
        filled f = {.name = "churn", .nruns = 3, .deleted = true};
        fill(s, &f, NULL);
        const char *folder = wr_arena_printf(s->a, "%lld", (long long)f.id);
        purge_in_child(s, f.id, nth, &code);
        assert_true(code == 0 || code == 137);
        int64_t left = number(s, "SELECT count(*) FROM experiments WHERE deleted = 1");
        assert_true(code == 137 || left == 0);
        if (left)
            OK(wr_purge_experiment(s->t, f.id, &opt, &s->err)); /* the name is free again, so the next round fills */
        assert_int_equal(rows(s), 0);
        assert_false(there(s, folder));
    }
    assert_true(nth > 7);
}

/* ---- points that the log still has ---- */

static void open_with_log(store *s, const char *folder)
{
    wr_db_opt db = {.migrations = wr_track_migrations, .n = wr_track_migrations_count};
    OK(wr_db_open(&s->db, s->path, &db, &s->err));
    OK(wr_track_open(&s->t, s->db, &(wr_track_opt){.log = folder}, &s->err));
}

static void append(store *s, wr_str run)
{
    wr_track_point p = {.key = WR_STR("loss"), .value = 2, .step = 2, .time_ms = 2};
    OK(wr_metric_append(s->t, run, &p, 1, &s->err));
    OK(wr_metric_commit(s->t, &s->err));
}

/* A server that was killed has left its log; one that runs has it open. Another process purges. */
static void log_left(store *s, bool running)
{
    const char *folder = wr_arena_printf(s->a, "%s/log%d", s->dir, running);
    filled f = {.name = "churn", .nruns = 2, .deleted = false};
    fill(s, &f, NULL);
    store_close(s);
    int ready[2], go[2];
    assert_int_equal(pipe(ready) | pipe(go), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) { /* the server */
        char c = 'x';
        open_with_log(s, folder);
        append(s, f.run);
        if (write(ready[1], &c, 1) != 1) _exit(2);
        if (!running) _exit(0);
        if (read(go[0], &c, 1) != 1) _exit(2);
        int rc = wr_metric_settle(s->t, &s->err);
        if (rc == 0) rc = wr_metric_drain(s->t, true, &s->err);
        store_close(s);
        _exit(rc < 0);
    }
    char c;
    int status;
    assert_int_equal(read(ready[0], &c, 1), 1);
    store_open(s);
    OK(wr_track_write(s->t, delete_fn, &f.id, &s->err));
    OK(wr_purge_experiment(s->t, f.id, &opt, &s->err));
    assert_int_equal(write(go[1], "x", 1), 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    store_close(s);
    open_with_log(s, folder); /* the next server reads what is left */
    OK(wr_metric_settle(s->t, &s->err));
    OK(wr_metric_drain(s->t, true, &s->err));
    assert_int_equal(rows(s), 0);
    wr_track_point p = {.key = WR_STR("loss"), .value = 3, .step = 3, .time_ms = 3};
    FAILS(WEIR_ENOTFOUND, "not found", wr_metric_append(s->t, f.run, &p, 1, &s->err));
    store_close(s);
    store_open(s);
    for (int i = 0; i < 2; i++) close(ready[i]), close(go[i]);
}

static void test_log(void **state)
{
    store *s = *state;
    if (wr_db_is_shared(s->db)) skip(); /* no log there */
    log_left(s, false);
    log_left(s, true);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_whole), TEST(test_refused), TEST(test_places), TEST(test_versions),
        TEST(test_runs),  TEST(test_crashes), TEST(test_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
