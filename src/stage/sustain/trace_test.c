/* SPDX-License-Identifier: Apache-2.0 */
/* trace_test.c - a small history: file -> raw -> features -> package -> model -> predictions, and back again. */
#include "stage/sustain/trace.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include "core/dataset.h"
#include "core/event.h"
#include "core/model.h"
#include "io/file.h"
#include "store/pg_testing.h"
#include "track/run.h"

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        wr_err e_ = {0};                                                                                               \
        wr_err *err = &e_;                                                                                             \
        if ((call) < 0) fail_msg("%s: %s %s", #call, e_.msg, e_.detail);                                               \
    } while (0)

static const char FILE_HASH[] = "f11e0000f11e0000f11e0000f11e0000f11e0000f11e0000f11e0000f11e0000";
static const char PACKAGE[] = "abcdef00abcdef00abcdef00abcdef00abcdef00abcdef00abcdef00abcdef00";

typedef struct {
    wr_arena *a;
    char *dir;
    wr_project *p;
    wr_tables *t;
    char ingest[33], build[33], train[33], reg[33];
} world;

/* ---- the history ---- */

static wr_node dataset(world *w, const char *name, const char *sql)
{
    wr_dataset_write_opt opt = {.mode = WR_DELTA_OVERWRITE};
    wr_dataset_written out;
    wr_delta_snapshot s;
    wr_node n;
    OK(wr_dataset_write(&out, w->t, w->p, name, sql, &opt, err));
    OK(wr_dataset_read(&s, w->p, name, err));
    assert_int_equal(wr_dataset_node(&n, w->a, name, &s), 0);
    wr_delta_free(&s);
    return n;
}

/* One run from inputs to an output; its footprint is set by hand, so that sums are known. */
static void run(world *w, char id[33], const char *kind, const wr_node *in, const wr_node *in2, const wr_node *out)
{
    wr_run *r;
    wr_run_opt opt = {kind, "other", "trips", "weir something"};
    OK(wr_run_begin(&r, w->p, &opt, err));
    memcpy(id, wr_run_id(r), 33);
    wr_run_input(r, in);
    if (in2) wr_run_input(r, in2);
    if (out) wr_run_output(r, out);
    OK(wr_run_end(r, 0, NULL, err));
}

static void spend(world *w, const char *stage, const char *run_id, double joules, double units, const char *unit,
                  const char *subject)
{
    wr_footprint f = {.t0_us = 1,
                      .t1_us = 2,
                      .stage = stage,
                      .activity = "other",
                      .run_id = run_id,
                      .subject = subject,
                      .wall_s = 1,
                      .units = units,
                      .unit = unit,
                      .energy = {.energy_j = joules, .active_j = joules / 2, .idle_j = joules / 2, .tier = 'C'}};
    OK(wr_footprint_add(w->p, &f, err));
}

static double spent(world *w, const char *run_id)
{
    wr_footprint *f;
    size_t n;
    double sum = 0;
    OK(wr_footprint_list(&f, &n, w->a, w->p, NULL, err));
    for (size_t i = 0; i < n; i++) sum += strcmp(f[i].run_id, run_id) == 0 ? f[i].energy.energy_j : 0;
    return sum;
}

static void history(world *w)
{
    wr_node file = {.kind = "file", .name = "data/trips.csv", .hash = FILE_HASH, .version = -1};
    wr_node view = {.kind = "view", .name = "features", .hash = "1111111122222222", .version = -1};
    wr_node package = {.kind = "package", .name = "delay", .hash = PACKAGE, .version = -1};
    wr_node model = {.kind = "model", .name = "delay", .hash = PACKAGE, .version = 1};
    wr_node raw = dataset(w, "trips", "SELECT range AS x FROM range(10)");
    run(w, w->ingest, "ingest", &file, NULL, &raw);
    wr_node features = dataset(w, "features", "SELECT range AS x FROM range(20)");
    run(w, w->build, "feature build", &raw, &view, &features);
    run(w, w->train, "train", &features, &view, &package);
    run(w, w->reg, "register", &package, NULL, &model);
    int64_t version;
    OK(wr_model_register(&version, w->p, "delay", PACKAGE, w->train, "champion", err));
    spend(w, "ingest", w->ingest, 100, 1, "run", "");
    spend(w, "train", w->train, 1000, 1, "run", "");
}

static int setup(void **state)
{
    world *w = wr_calloc(1, sizeof *w);
    const char *tmp = getenv("TMPDIR");
    w->a = wr_arena_new(0);
    w->dir = wr_arena_printf(w->a, "%s/weir-trace-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(w->dir));
    assert_int_equal(wr_pg_testing_project(), 0);
    OK(wr_project_init(w->dir, err));
    OK(wr_project_open(&w->p, w->dir, err));
    OK(wr_project_tables(&w->t, w->p, NULL, err));
    history(w);
    *state = w;
    return 0;
}

static int setup_served(void **state)
{
    setup(state);
    world *w = *state;
    dataset(w, "predictions.delay",
            "SELECT 'p-' || range AS prediction_id, 'delay' AS model, CAST(1 + range // 40 AS BIGINT) AS version, "
            "make_timestamptz(1000000 + range)"
            " AS served_at, make_timestamptz(2000000 + range) AS event_time, range / 100.0 AS score, "
            "make_timestamptz(2000000 + range) AS t,"
            " CAST(range AS FLOAT) + 0.5 AS x, CASE WHEN range = 3 THEN NULL ELSE 'it''s' END AS place, CAST('nan' AS "
            "FLOAT) AS gone FROM range(50)");
    dataset(w, "labels.delay",
            "SELECT prediction_id, CAST(label AS DOUBLE) AS label, make_timestamptz(k) AS known_at, "
            "make_timestamptz(r) AS received_at FROM"
            " (VALUES ('p-3', 1.0::DOUBLE, 30::BIGINT, 40::BIGINT), ('p-3', 0.0, 31, 39), ('p-4', CAST('nan' AS "
            "DOUBLE), 1, 1)) v(prediction_id, label, k, r)");
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    wr_tables_close(w->t);
    wr_project_close(w->p);
    wr_file_remove_tree(w->dir, NULL);
    wr_arena_free(w->a);
    wr_free(w);
    return 0;
}

/* ---- trees ---- */

static const wr_trace_node *node(const wr_trace *t, const char *kind, const char *name)
{
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->nodes[i].node.kind, kind) == 0 && (!name || strcmp(t->nodes[i].node.name, name) == 0))
            return &t->nodes[i];
    return NULL;
}

/* What holds for every tree: parents before children, depths, exactly one last sibling a family, no code nodes. */
static void check_tree(const wr_trace *t)
{
    assert_true(t->n > 0);
    assert_int_equal(t->nodes[0].depth, 0);
    for (size_t i = 0; i < t->n; i++) {
        const wr_trace_node *n = &t->nodes[i];
        size_t last = 0, children = 0;
        assert_string_not_equal(n->node.kind, "code");
        if (i) assert_true(n->parent < i);
        if (i) assert_int_equal(n->depth, t->nodes[n->parent].depth + 1);
        for (size_t k = i + 1; k < t->n; k++) {
            if (t->nodes[k].parent != i) continue;
            children++;
            last += t->nodes[k].last;
        }
        assert_int_equal(last, children > 0);
    }
}

static void trace(wr_trace *t, world *w, const char *what, bool down)
{
    OK(wr_trace_make(t, w->a, w->p, what, down, err));
    check_tree(t);
}

static void test_model_reaches_the_file(void **state)
{
    static const char *const refs[] = {"delay@1", "delay@champion", "model:delay@1", "abcdef"};
    world *w = *state;
    for (size_t i = 0; i < 4; i++) {
        wr_trace t;
        trace(&t, w, refs[i], false);
        const wr_trace_node *file = node(&t, "file", NULL);
        assert_non_null(file);
        assert_string_equal(file->node.hash, FILE_HASH);
        assert_string_equal(t.nodes[file->parent].node.name, w->ingest);
        assert_string_equal(t.nodes[0].node.kind, "model");
        assert_int_equal(t.runs, 4);
        assert_int_equal(t.n, 10); /* model, package, 2 datasets, view, file, 4 runs */
        const wr_trace_node *train = node(&t, "run", w->train);
        assert_string_equal(train->run.kind, "train");
        assert_non_null(train->code);
        assert_int_equal(train->costs, 2);
        assert_true(fabs(train->energy_j - spent(w, w->train)) < 1e-9 && train->energy_j >= 1000);
        double all = spent(w, w->ingest) + spent(w, w->build) + spent(w, w->train) + spent(w, w->reg);
        assert_true(fabs(t.energy_j - all) < 1e-9);
        assert_true(t.gco2e > 0);
    }
}

static void test_down(void **state)
{
    world *w = *state;
    wr_trace t;
    trace(&t, w, "data/trips.csv", true);
    assert_string_equal(t.nodes[0].node.kind, "file");
    assert_non_null(node(&t, "model", "delay"));
    assert_int_equal(t.runs, 4);
    assert_null(node(&t, "view", NULL)); /* nothing made the view, least of all the file */
    trace(&t, w, "view:features", true);
    assert_non_null(node(&t, "dataset", "features"));
    trace(&t, w, "delay@1", true);
    assert_int_equal(t.n, 1);
}

static void test_names(void **state)
{
    world *w = *state;
    char what[64];
    wr_trace t;
    trace(&t, w, "trips", false);
    assert_string_equal(t.nodes[0].node.kind, "dataset");
    trace(&t, w, "features", false); /* also the name of a view */
    assert_string_equal(t.nodes[0].node.kind, "dataset");
    trace(&t, w, "view:features", false);
    assert_string_equal(t.nodes[0].node.kind, "view");
    trace(&t, w, "data:trips@0", false);
    assert_int_equal(t.nodes[0].node.version, 0);
    trace(&t, w, "file:data/trips.csv", false);
    assert_int_equal(t.n, 1);
    snprintf(what, sizeof what, "%.8s", w->train);
    trace(&t, w, what, false);
    assert_string_equal(t.nodes[0].node.name, w->train);
    snprintf(what, sizeof what, "run:%s", w->build);
    trace(&t, w, what, false);
    assert_string_equal(t.nodes[0].run.kind, "feature build");
    trace(&t, w, "f11e00", false);
    assert_string_equal(t.nodes[0].node.kind, "file");
    assert_null(t.prediction);
}

static void test_unknown(void **state)
{
    static const char *const what[] = {"",
                                       "@",
                                       "delay@9",
                                       "delay@nobody",
                                       "trips@77",
                                       "model:trips",
                                       "data:delay",
                                       "run:abcdef",
                                       "abcde",
                                       "prediction:",
                                       "p-77",
                                       "../trips",
                                       "trips' OR 1=1 --",
                                       "run:zz",
                                       "ffffffffffff"};
    world *w = *state;
    for (size_t i = 0; i < sizeof what / sizeof *what; i++) {
        wr_trace t;
        wr_err why = {0};
        int rc = wr_trace_make(&t, w->a, w->p, what[i], false, &why);
        if (rc != WEIR_ENOTFOUND || !why.msg[0]) fail_msg("\"%s\": %d %s", what[i], rc, why.msg);
    }
}

/* A dataset that was restored has a new version with an old content: its history is that of the content. */
static void test_restored_dataset(void **state)
{
    world *w = *state;
    wr_dataset_written out;
    wr_trace t;
    dataset(w, "trips", "SELECT range AS x FROM range(3)");
    OK(wr_dataset_restore(&out, w->p, "trips", 0, err));
    assert_int_equal(out.version, 2);
    trace(&t, w, "trips@2", false);
    assert_non_null(node(&t, "file", "data/trips.csv"));
    trace(&t, w, "trips@1", false); /* written by somebody who left no record */
    assert_int_equal(t.n, 1);
}

/* A run that left no lineage (it failed, or made nothing) is still a run. */
static void test_run_without_lineage(void **state)
{
    world *w = *state;
    char id[33];
    wr_trace t;
    OK(wr_run_open_stage(id, w->p, "train", "false", err));
    trace(&t, w, id, false);
    assert_int_equal(t.n, 1);
    assert_string_equal(t.nodes[0].run.status, "running");
}

/* ---- predictions ---- */

static const char *value(const wr_trace_prediction *q, const char *name)
{
    for (size_t i = 0; i < q->nvalues; i++)
        if (strcmp(q->values[i].name, name) == 0) return q->values[i].text;
    fail_msg("no value %s", name);
    return NULL;
}

static void test_prediction(void **state)
{
    world *w = *state;
    wr_trace t;
    trace(&t, w, "p-3", false);
    wr_trace_prediction *q = t.prediction;
    assert_non_null(q);
    assert_string_equal(q->id, "p-3");
    assert_string_equal(q->endpoint, "delay");
    assert_int_equal(q->version, 1);
    assert_int_equal(q->served_us, 1000003);
    assert_int_equal(q->event_us, 2000003);
    assert_true(fabs(q->score - 0.03) < 1e-12);
    assert_int_equal(q->nvalues, 4);
    assert_string_equal(value(q, "x"), "3.5");
    assert_null(value(q, "place"));
    assert_null(value(q, "gone"));
    assert_string_equal(value(q, "t"), "1970-01-01T00:00:02.000003Z");
    assert_true(q->has_label && q->label == 0 && q->known_us == 31); /* known last */
    assert_non_null(node(&t, "file", "data/trips.csv"));
    trace(&t, w, "prediction:p-4", false);
    assert_false(t.prediction->has_label); /* a label that is no number is none */
    assert_string_equal(value(t.prediction, "place"), "it's");
}

static void test_prediction_cost(void **state)
{
    world *w = *state;
    wr_trace t;
    trace(&t, w, "p-3", false);
    assert_true(isnan(t.prediction->serve_j)); /* not in the ledger: not known, not zero */
    assert_true(t.prediction->served == 40);
    assert_true(fabs(t.prediction->train_j - spent(w, w->train) / 40) < 1e-9);
    assert_true(fabs(t.prediction->chain_j - t.energy_j / 40) < 1e-9);
    spend(w, "serve", "", 10, 400, "predictions", "endpoint:delay");
    spend(w, "serve", "", 30, 600, "predictions", "endpoint:delay");
    spend(w, "serve", "", 7777, 1, "predictions", "endpoint:other");
    trace(&t, w, "p-3", false);
    assert_true(fabs(t.prediction->serve_j - 0.04) < 1e-12);
    assert_true(t.prediction->serve_g > 0);
}

/* The model version is not registered here: the prediction is shown, its origin is said to be unknown. */
static void test_prediction_of_unknown_version(void **state)
{
    world *w = *state;
    wr_trace t;
    trace(&t, w, "p-45", false);
    assert_int_equal(t.prediction->version, 2);
    assert_int_equal(t.n, 1);
    assert_true(t.prediction->served == 10);
    assert_true(isnan(t.prediction->train_j));
}

static void test_json(void **state)
{
    world *w = *state;
    wr_trace t;
    WR_AUTOBUF wr_buf b;
    WR_AUTOJSON wr_json j = {0};
    wr_jsonw jw;
    wr_buf_init(&b, 0);
    trace(&t, w, "p-3", false);
    wr_jsonw_init(&jw, &b, 2);
    wr_trace_json(&jw, &t);
    OK(wr_json_parse(&j, wr_buf_view(&b), "trace", err));
    yyjson_val *nodes = yyjson_obj_get(j.root, "nodes");
    assert_int_equal(yyjson_arr_size(nodes), t.n);
    for (size_t i = 1; i < t.n; i++)
        assert_true(yyjson_get_uint(yyjson_obj_get(yyjson_arr_get(nodes, i), "led_to")) < i);
    assert_true(
        yyjson_is_null(yyjson_obj_get(yyjson_obj_get(yyjson_obj_get(j.root, "prediction"), "values"), "place")));
    assert_string_equal(yyjson_get_str(yyjson_obj_get(j.root, "direction")), "up");
}

static void test_faults(void **state)
{
    world *w = *state;
    for (long nth = 1, step = 1; nth < 3000; nth += step, step += step / 3 + 1) {
        WR_AUTOARENA wr_arena *a = wr_arena_new(0);
        wr_trace t;
        wr_err why = {0};
        wr_fault_arm(WR_FAULT_ALLOC, nth, false);
        int rc = wr_trace_make(&t, a, w->p, "p-3", false, &why);
        bool fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        if (rc == 0) assert_int_equal(t.n, 10);
        else if (rc != WEIR_ENOMEM && rc != WEIR_ENOTFOUND) /* wr_dataset_exists has no answer for "no memory" */
            fail_msg("allocation %ld: %d %s", nth, rc, why.msg);
        if (!fired) break;
    }
}

/* ---- versions of clients, and who served ---- */

static int client(wr_track *t, void *arg, wr_err *err)
{
    world *w = arg;
    wr_registered_model m;
    wr_registered_version v;
    wr_track_run r;
    wr_track_run_new fresh = {.experiment = 0, .user = WR_STR("ada"), .name = WR_STR("fit"), .start_ms = 1};
    wr_track_dataset data = {
        .name = WR_STR("calls"), .digest = WR_STR("d1"), .source_type = WR_STR("local"), .source = WR_STR("calls.csv")};
    WR_TRY(wr_registered_model_create(&m, w->a, t, WR_STR("me@home"), WR_STR(""), NULL, 0, err));
    WR_TRY(wr_track_run_create(&r, w->a, t, &fresh, err));
    WR_TRY(wr_track_run_add_input(t, &r, &data, err));
    wr_registered_version_new in = {.name = WR_STR("me@home"), .source = WR_STR("s3://b/model"), .run_id = r.uuid};
    WR_TRY(wr_registered_version_create(&v, w->a, t, &in, err));
    WR_TRY(wr_track_run_delete(t, r.uuid, err));
    return wr_track_run_purge(t, r.uuid, err);
}

static void test_client_version(void **state)
{
    world *w = *state;
    wr_track *t;
    wr_trace up, down;
    OK(wr_project_track(&t, w->p, err));
    OK(wr_track_write(t, client, w, err));
    /* the run is purged: what it had read is kept with the version */
    OK(wr_trace_make(&up, w->a, w->p, "me@home@1", false, err));
    assert_int_equal(up.n, 3);
    assert_string_equal(up.nodes[0].node.kind, "model");
    assert_string_equal(up.nodes[0].node.name, "me@home");
    assert_int_equal(up.nodes[0].node.version, 1);
    assert_string_equal(up.nodes[1].node.kind, "run");
    assert_null(up.nodes[1].run.id);
    assert_string_equal(up.nodes[2].node.name, "calls");
    assert_string_equal(up.nodes[2].node.hash, "d1");
    assert_int_equal(up.nodes[2].parent, 1);
    OK(wr_trace_make(&up, w->a, w->p, "model:models:/me@home/1", false, err));
    assert_int_equal(up.n, 3);
    OK(wr_trace_make(&down, w->a, w->p, "me@home@1", true, err));
    assert_int_equal(down.n, 1);
    wr_err err = {0};
    assert_int_equal(wr_trace_make(&up, w->a, w->p, "me@home@2", false, &err), WEIR_ENOTFOUND);
}

static void test_servings(void **state)
{
    world *w = *state;
    wr_trace_serving *s;
    size_t n;
    const char *yaml = wr_arena_printf(w->a, "%s/weir.yaml", w->dir);
    OK(wr_file_write(yaml, WR_STR("endpoints:\n  delay: {model: delay@champion}\n  spare: {model: delay@1}\n"), err));
    wr_project_close(w->p);
    OK(wr_project_open(&w->p, w->dir, err));
    OK(wr_event_add(w->p, "served", "endpoint:old", "{\"model\":\"delay\",\"version\":1}", NULL, err));
    OK(wr_event_add(w->p, "served", "endpoint:old", "{\"model\":\"delay\",\"version\":1}", NULL, err));
    OK(wr_event_add(w->p, "served", "endpoint:other", "{\"model\":\"delay\",\"version\":2}", NULL, err));
    OK(wr_event_add(w->p, "served", "endpoint:broken", "[1]", NULL, err));
    OK(wr_trace_servings(&s, &n, w->a, w->p, "delay", 1, err));
    assert_int_equal(n, 3);
    assert_string_equal(s[0].endpoint, "delay");
    assert_true(s[0].now && s[0].loaded_us == 0 && s[0].predictions == 40);
    assert_true(s[0].first_us == 1000000 && s[0].last_us == 1000039);
    assert_string_equal(s[1].endpoint, "old");
    assert_true(!s[1].now && s[1].loaded_us > 0 && s[1].predictions == 0);
    assert_string_equal(s[2].endpoint, "spare");
    assert_true(s[2].now);
    OK(wr_trace_servings(&s, &n, w->a, w->p, "delay", 2, err));
    assert_int_equal(n, 2);
    assert_true(!s[0].now && s[0].predictions == 10);
    OK(wr_trace_servings(&s, &n, w->a, w->p, "delay", 9, err));
    assert_int_equal(n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_model_reaches_the_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_down, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown, setup_served, teardown),
        cmocka_unit_test_setup_teardown(test_restored_dataset, setup, teardown),
        cmocka_unit_test_setup_teardown(test_run_without_lineage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_prediction, setup_served, teardown),
        cmocka_unit_test_setup_teardown(test_prediction_cost, setup_served, teardown),
        cmocka_unit_test_setup_teardown(test_prediction_of_unknown_version, setup_served, teardown),
        cmocka_unit_test_setup_teardown(test_json, setup_served, teardown),
        cmocka_unit_test_setup_teardown(test_faults, setup_served, teardown),
        cmocka_unit_test_setup_teardown(test_client_version, setup, teardown),
        cmocka_unit_test_setup_teardown(test_servings, setup_served, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
