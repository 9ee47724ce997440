/* SPDX-License-Identifier: Apache-2.0 */
/* study_test.c - a study in which nothing fails, and for each check one in which that check alone does. */
#include "stage/study/study.h"

#include <sys/stat.h>

#include "base/vec.h"
#include "core/feasibility.h"
#include "core/signing.h"
#include "core/trips_testing.h"
#include "stage/study/study_inside.h"

static const char easy[] =
    "latency: {p99: 60s, cold_start: 600s}\nload: {rps: 0.1, concurrency: 2}\nmemory: {limit: 64GiB}\n"
    "host: {nofile: 1, kernel: '2.6'}\n";

static void study(wr_feasibility_report *r, trips *w, const char *model, const char *target, const char *rows)
{
    wr_feasibility_target *t = wr_arena_calloc(w->a, 1, sizeof *t);
    OK(wr_feasibility_target_parse(t, w->a, wr_str_of(target), "target.yaml", err));
    const char *replay = rows && rows[0] == '@' ? rows + 1 : NULL; /* "@late": what that endpoint logged */
    wr_feasibility_opt opt = {
        .model = model, .target = t, .rows = replay ? NULL : rows, .replay = replay, .seconds = 0.1, .seed = 1};
    OK(wr_feasibility_run(r, w->a, w->project, &opt, err));
    for (size_t i = 0; i < WR_FEASIBILITY_CHECKS; i++) {
        const wr_feasibility_result *x = &r->results[i];
        bool good = x->state == WR_CHECK_PASS || x->state == WR_CHECK_SKIP;
        assert_non_null(x->measured);
        assert_int_equal(x->check->number, i + 1);
        if (good != !x->hint)
            fail_msg("check %zu is %s, and says to do: %s", i + 1, wr_check_states[x->state], x->hint);
    }
}

/* Nothing else fails. */
static void fails_alone(const wr_feasibility_report *r, int number, const char *part)
{
    for (int i = 1; i <= WR_FEASIBILITY_CHECKS; i++) {
        const wr_feasibility_result *x = &r->results[i - 1];
        if ((x->state == WR_CHECK_FAIL) != (i == number))
            fail_msg("check %d is %s: %s", i, wr_check_states[x->state], x->measured);
    }
    assert_int_equal(r->verdict, number ? WR_CHECK_FAIL : WR_CHECK_WARN);
    if (number && !strstr(r->results[number - 1].measured, part))
        fail_msg("check %d says \"%s\", not \"%s\"", number, r->results[number - 1].measured, part);
}

static void good_package(void **state)
{
    trips *w = *state;
    wr_feasibility_report r;
    trips_dataset(w);
    trips_promote(w, 0);
    study(&r, w, "late@champion", easy, NULL);
    fails_alone(&r, 0, "");
    assert_true(r.rows_real);
    assert_int_equal(r.nrows, TRIPS);
    static const int passes[] = {1, 3, 4, 6, 7, 8, 9, 11, 14, 16};
    for (size_t i = 0; i < sizeof passes / sizeof *passes; i++) {
        const wr_feasibility_result *x = &r.results[passes[i] - 1];
        if (x->state != WR_CHECK_PASS)
            fail_msg("check %d is %s: %s", passes[i], wr_check_states[x->state], x->measured);
    }
    assert_int_equal(r.results[15 - 1].state, WR_CHECK_SKIP); /* the first version */
    assert_int_equal(r.results[17 - 1].state, WR_CHECK_SKIP); /* no prices */
}

/* A line of the target that only this check minds. */
static void targets_that_fail(void **state)
{
    trips *w = *state;
    static const struct {
        int number;
        const char *line, *part;
    } cases[] = {
        {6, "latency: {p99: 60s, cold_start: 0.000001}\n", "cold start"},
        {6, "latency: {p99: 0.000001}\n", "p99"},
        {6, "latency: {p99: 60s, p50: 0.000001, cold_start: 600s}\n", "p50"},
        {7, "load: {rps: 900000000}\n", "times what is expected"},
        {8, "memory: {limit: 1MiB}\n", "resident under load"},
        {9, "host: {isa: x86-64-v9}\n", "no level"},
        {10, "host: {kernel: '99.1'}\n", "is older than 99.1"},
        {10, "host: {libc: '99.1'}\n", "is older than 99.1"},
        {10, "host: {nofile: 999999999}\n", "are needed"},
        {11, "host: {libraries: [libno-such-thing.so.7]}\n", "cannot be loaded"},
        {11, "host: {ports: ['70000']}\n", "is not free"},
        {11, "host: {writable: [/proc/no-such-folder]}\n", "is not writable"},
        {12, "artefact: {formats: [weir_onnx]}\n", "not in the target's list"},
        {12, "artefact: {signature: true}\n", "a signature is required"},
        {16, "energy: {joules: 1e-9}\n", "is over"},
        {16, "carbon: {region: DEUX}\n", "unknown carbon region"},
        {17, "price: {vcpu_hour: 10, budget: 1}\n", "a month is over"},
        {18, "licences: [MIT]\n", "not stated"},
        {19, "residency: {regions: [DE]}\n", "not stated"},
        {19, "residency: {privacy: [none]}\n", "not stated"},
        {20, "observability: {required: true}\n", "no labels came yet"},
    };
    wr_feasibility_report r;
    trips_dataset(w);
    trips_promote(w, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        study(&r, w, "late@champion", cases[i].line, NULL);
        fails_alone(&r, cases[i].number, cases[i].part);
    }
}

static void rows_without_a_column(void **state)
{
    trips *w = *state;
    wr_feasibility_report r;
    trips_dataset(w);
    trips_promote(w, 0);
    trips_write(w, "rows.csv", "at,kmm,from,to\n2001-06-01 10:00:00,5,SFO,JFK\n");
    study(&r, w, "late@champion", easy, trips_path(w, "rows.csv"));
    fails_alone(&r, 1, "no column \"km\"");
    trips_write(w, "rows.csv", "at,km,from,to\n2001-06-01 10:00:00,5,SFO,JFK\n2001-06-01 10:10:00,,JFK,SFO\n");
    study(&r, w, "late@champion", easy, trips_path(w, "rows.csv"));
    fails_alone(&r, 0, "");
    assert_int_equal(r.nrows, 2);
}

/* An event that is known when its own row is asked: the window holds the answer. */
static void leaking_view(void **state)
{
    trips *w = *state;
    wr_feasibility_report r;
    wr_yaml *y;
    wr_view *v;
    char *text = wr_arena_strdup(w->a, trip_view), *events = strstr(text, "time: '\"at\" + INTERVAL 30 MINUTE'");
    char id[WR_SHA256_HEX];
    int64_t version;
    assert_non_null(events);
    memset(strstr(events, "+ INTERVAL"), ' ', strlen("+ INTERVAL 30 MINUTE"));
    OK(wr_yaml_parse(&y, w->a, wr_str_of(text), "features.yaml", err));
    OK(wr_view_parse(&v, w->a, y, err));
    trips_dataset(w);
    trips_train(w, v, 5, id);
    OK(wr_model_register(&version, w->project, "leaky", id, "", NULL, err));
    study(&r, w, "leaky@1", easy, NULL);
    fails_alone(&r, 3, "their own events");
}

static void another_view_before(void **state)
{
    trips *w = *state;
    wr_feasibility_report r;
    char id[WR_SHA256_HEX];
    int64_t version;
    trips_dataset(w);
    trips_train(w, trips_view(w, true), 5, id);
    OK(wr_model_register(&version, w->project, "late", id, "", NULL, err));
    OK(wr_model_register(&version, w->project, "late", w->package[0], "", NULL, err));
    study(&r, w, "late/2", easy, NULL);
    fails_alone(&r, 15, "another feature view");
}

static void gate_said_no(void **state)
{
    trips *w = *state;
    wr_feasibility_report r;
    int64_t version = trips_promote(w, 0);
    trips_dataset(w);
    trips_write(w, "evaluation.json",
                "{\"gate\": {\"file\": \"gate.yaml\", \"passed\": false, \"rules\": [{\"state\": \"failed\", \"rule\": "
                "\"auc\"}]}}");
    OK(wr_model_report(w->project, "late", version, "evaluation", trips_path(w, "evaluation.json"), err));
    study(&r, w, "late@champion", easy, NULL);
    fails_alone(&r, 13, "said no");
}

/* Features that are empty now, and were not in the table of training. */
static void empty_and_moved(void **state)
{
    trips *w = *state;
    wr_feasibility_report r;
    wr_tables *t;
    wr_dataset_written d;
    wr_dataset_write_opt opt = {.mode = WR_DELTA_OVERWRITE};
    trips_dataset(w);
    trips_promote(w, 0);
    OK(wr_project_tables(&t, w->project, NULL, err));
    OK(wr_tables_register(t, "_r", w->features, err));
    OK(wr_tables_register(t, "_rows", w->rows, err));
    OK(wr_dataset_write(
        &d, t, w->project, "trips_features",
        "SELECT r.\"at\", f.* REPLACE (f.km + 5000 AS km) FROM (SELECT *, row_number() OVER () AS n FROM _r) f JOIN "
        "(SELECT \"at\", row_number() OVER () AS n FROM _rows) r USING (n)",
        &opt, err));
    study(&r, w, "late@champion", easy, NULL);
    fails_alone(&r, 0, "");
    assert_int_equal(r.results[5 - 1].state, WR_CHECK_WARN); /* no log: a warning */
    assert_non_null(strstr(r.results[5 - 1].measured, "km"));
    OK(wr_dataset_write(&d, t, w->project, "trips", "SELECT * REPLACE (CAST(NULL AS DOUBLE) AS km) FROM _rows", &opt,
                        err));
    wr_tables_close(t);
    study(&r, w, "late@champion", easy, NULL);
    fails_alone(&r, 2, "nothing fills");
}

/* ---- everything in order ---- */

static const char orderly[] = "endpoints:\n  late: {model: late@champion, threshold: 0.4}\n"
                              "registry: {trust: [key.pub]}\nmonitors:\n  late: {endpoint: late}\n"
                              "models:\n  late:\n    license: Apache-2.0 OR MIT\n    data_license: CC-BY-4.0\n"
                              "    data_region: US, CA\n    data_privacy: none\n";
static const char strict[] =
    "name: strict\nlatency: {p99: 60s, cold_start: 600s}\nload: {rps: 0.1, concurrency: 2}\nmemory: {limit: 64GiB}\n"
    "host: {nofile: 1, kernel: '2.6'}\nfeatures: {max_age: 10000d}\nenergy: {joules: 1e9}\nprice: {vcpu_hour: 0.01, "
    "budget: 1e9}\n"
    "licences: [MIT, CC-BY-4.0]\nresidency: {regions: [US, CA], privacy: [none]}\nartefact: {signature: true, bom: "
    "true}\n"
    "observability: {required: true, joined: 0.9}\n";

static void sign_version(trips *w, const char *ref)
{
    WR_AUTOBUF wr_buf secret = {0}, open_text = {0};
    wr_str none = {NULL, 0};
    wr_signing_key *key = NULL;
    wr_registered_version v;
    OK(wr_signing_key_make(&secret, &open_text, "P-256", none, err));
    OK(wr_signing_key_read(&key, wr_buf_view(&secret), none, none, "key", err));
    trips_write(w, "key.pub", wr_buf_cstr(&open_text));
    OK(wr_model_registered(&v, w->a, w->project, ref, err));
    OK(wr_signing_sign(NULL, NULL, w->a, w->project, &v, key, err));
    wr_signing_key_free(key);
}

/* Datasets: what the model was trained on; predictions of its endpoint, `km` moved by that much, with the version and
 * score that SQL gives (f: features, n: the row); a label for each row that `labelled` takes. */
static void log_of(trips *w, double km, const char *version_score, const char *labelled)
{
    wr_tables *t;
    wr_dataset_written d;
    wr_dataset_write_opt opt = {.mode = WR_DELTA_OVERWRITE};
    static const char joined[] = "(SELECT *, row_number() OVER () AS n FROM _f) f JOIN "
                                 "(SELECT \"at\", \"to\", row_number() OVER () AS n FROM _r) r USING (n)";
    OK(wr_project_tables(&t, w->project, NULL, err));
    OK(wr_tables_register(t, "_f", w->features, err));
    OK(wr_tables_register(t, "_r", w->rows, err));
    OK(wr_dataset_write(&d, t, w->project, "trips_features",
                        wr_arena_printf(w->a, "SELECT r.\"at\", f.* EXCLUDE (n) FROM %s", joined), &opt, err));
    OK(wr_dataset_write(&d, t, w->project, "predictions.late",
                        wr_arena_printf(w->a,
                                        "SELECT r.\"at\", r.\"to\", f.* EXCLUDE (n) REPLACE (f.km + %g AS km), %s, "
                                        "CAST(n AS VARCHAR) AS prediction_id, r.\"at\" AS served_at FROM %s",
                                        km, version_score, joined),
                        &opt, err));
    OK(wr_dataset_write(&d, t, w->project, "labels.late",
                        wr_arena_printf(w->a,
                                        "SELECT CAST(n AS VARCHAR) AS prediction_id FROM (SELECT row_number() OVER () "
                                        "AS n FROM _r) WHERE %s",
                                        labelled),
                        &opt, err));
    wr_tables_close(t);
}

/* Version 2 is the champion, signed, judged and described. */
static void in_order(trips *w)
{
    int64_t version;
    trips_write(w, "weir.yaml", orderly);
    wr_project_close(w->project);
    OK(wr_project_open(&w->project, w->dir, err));
    trips_dataset(w);
    OK(wr_model_register(&version, w->project, "late", w->package[1], "", NULL, err));
    version = trips_promote(w, 0);
    trips_write(w, "evaluation.json",
                "{\"gate\": {\"passed\": true, \"rules\": [{\"state\": \"passed\", \"rule\": \"auc at least 0.5\"}]}}");
    OK(wr_model_report(w->project, "late", version, "evaluation", trips_path(w, "evaluation.json"), err));
    sign_version(w, "late@champion");
    log_of(w, 0, "99 AS version, 0.5 AS score", "true");
}

static void all_pass(void **state)
{
    trips *w = *state;
    wr_feasibility_report r;
    in_order(w);
    study(&r, w, "late@champion", strict, NULL);
    for (int i = 1; i <= WR_FEASIBILITY_CHECKS; i++) {
        const wr_feasibility_result *x = &r.results[i - 1];
        bool slow_clock =
            i == 10 && x->state == WR_CHECK_WARN && (strstr(x->measured, "hpet") || strstr(x->measured, "acpi_pm"));
        if (x->state != WR_CHECK_PASS && !slow_clock)
            fail_msg("check %d is %s: %s", i, wr_check_states[x->state], x->measured);
    }
    study(&r, w, "late@champion", strict, "@late"); /* and so with what was logged */
    assert_int_equal(r.count[WR_CHECK_FAIL], 0);
    assert_int_equal(r.results[5 - 1].state, WR_CHECK_PASS);
    assert_non_null(strstr(r.rows, "logged predictions"));
    assert_true(r.rows_real);
}

/* The strict target, and one thing out of order. */
static void one_out_of_order(void **state)
{
    trips *w = *state;
    static const struct {
        int number;
        const char *from, *to, *part;
    } cases[] = {
        {18, "[MIT, CC-BY-4.0]", "[MIT]", "licence of the data is not allowed: CC-BY-4.0"},
        {18, "[MIT, CC-BY-4.0]", "[CC-BY-4.0]", "licence of the model is not allowed"},
        {19, "regions: [US, CA]", "regions: [US]", "data of region CA"},
        {19, "privacy: [none]", "privacy: [public]", "data of class none"},
        {2, "max_age: 10000d", "max_age: 1s", "older than the newest row"},
        {16, "joules: 1e9", "grams: 1e-12", "gCO2e"},
    };
    wr_feasibility_report r;
    in_order(w);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *at = strstr(strict, cases[i].from);
        assert_non_null(at);
        study(&r, w, "late@champion",
              wr_arena_printf(w->a, "%.*s%s%s", (int)(at - strict), strict, cases[i].to, at + strlen(cases[i].from)),
              NULL);
        fails_alone(&r, cases[i].number, cases[i].part);
    }
    log_of(w, 0, "99 AS version, 0.5 AS score", "n % 4 = 0");
    study(&r, w, "late@champion", strict, NULL);
    fails_alone(&r, 20, "labels for 25.0 % of the predictions, under 90.0 %");
    log_of(w, 5000, "99 AS version, 0.5 AS score", "true"); /* rows that were asked are not as those of training */
    study(&r, w, "late@champion", strict, "@late");
    fails_alone(&r, 5, "km");
    log_of(w, 0, "2 AS version, 0.123 AS score", "true"); /* it said something else then */
    study(&r, w, "late@champion", strict, "@late");
    fails_alone(&r, 4, "700 comparisons");
}

/* ---- files ---- */

static const char strict_words[] = "licences: [MIT, CC0-1.0]\nresidency: {regions: [DE], privacy: [none]}\n";

static void files(void **state)
{
    trips *w = *state;
    wr_feasibility_report r;
    wr_err no = {0};
    wr_feasibility_target t;
    const char *path = trips_path(w, "m.onnx");
    OK(wr_file_copy(WEIR_SOURCE_DIR "/tests/triton/models/simple/1/model.onnx", path, err));
    study(&r, w, path, easy, NULL);
    fails_alone(&r, 0, "");
    assert_int_equal(r.results[1 - 1].state, WR_CHECK_WARN); /* no real rows */
    assert_int_equal(r.results[18 - 1].state, WR_CHECK_WARN);
    assert_non_null(strstr(r.results[18 - 1].hint, "models: {m: {license"));
    trips_write(w, "weir.yaml",
                "models: {m: {license: MIT, data_license: CC0-1.0, data_region: DE, data_privacy: none}}\n");
    wr_project_close(w->project);
    OK(wr_project_open(&w->project, w->dir, err));
    study(&r, w, path, strict_words, NULL);
    assert_int_equal(r.results[18 - 1].state, WR_CHECK_PASS); /* of a file by its name */
    assert_int_equal(r.results[19 - 1].state, WR_CHECK_PASS);
    trips_write(w, "weir.yaml", "endpoints:\n  late: {model: late@champion, threshold: 0.4}\n");
    wr_project_close(w->project);
    OK(wr_project_open(&w->project, w->dir, err));
    assert_int_equal(chmod(path, 0755), 0);
    study(&r, w, path, easy, NULL);
    fails_alone(&r, 12, "executable content");
    OK(wr_feasibility_target_parse(&t, w->a, wr_str_of(easy), "target.yaml", err));
    wr_feasibility_opt opt = {.model = trips_path(w, "m.onx"), .target = &t};
    assert_int_equal(wr_feasibility_run(&r, w->a, w->project, &opt, &no), WEIR_ENOTFOUND);
    assert_non_null(strstr(no.msg, "there is no file or folder"));
    assert_non_null(strstr(no.hint, "m.onnx\"?"));
    opt.model = path;
    opt.replay = "late"; /* it has logged nothing */
    assert_int_equal(wr_feasibility_run(&r, w->a, w->project, &opt, &no), WEIR_ENOTFOUND);
    assert_non_null(strstr(no.hint, "weir deploy flush"));
    opt.replay = "lade";
    assert_int_equal(wr_feasibility_run(&r, w->a, w->project, &opt, &no), WEIR_ENOTFOUND);
    assert_non_null(strstr(no.hint, "\"late\""));
}

static void differences(void **state)
{
    double a[] = {1, 2, 3, 0.4999}, b[] = {1, 2.00001, 3, 0.5001};
    wr_tensor x = {.type = WR_TENSOR_FP64, .count = 4, .data = a}, y = {.type = WR_TENSOR_FP64, .count = 4, .data = b},
              short_one = y;
    wr_infer_answer l = {.out = &x, .nout = 1, .rows = 4}, r = {.out = &y, .nout = 1, .rows = 4},
                    s = {.out = &short_one, .nout = 1, .rows = 4};
    wr_feasibility_gap g = {0};
    (void)state;
    wr_feasibility_compare(&g, &l, 0, &l);
    assert_true(g.relative == 0 && g.flips == 0 && !g.shape && g.rows == 4);
    wr_feasibility_compare(&g, &l, 0, &r);
    assert_true(g.relative > 4e-6 && g.relative < 2e-4);
    assert_int_equal(g.flips, 1);
    x.count = 3;
    wr_feasibility_compare(&g, &l, 0, &s);
    assert_true(g.shape);
}

static void registry_asks(void **state)
{
    trips *w = *state;
    wr_feasibility_report r;
    wr_err no = {0};
    char id[WR_SHA256_HEX];
    int64_t version = trips_promote(w, 0);
    wr_model_move move = {.name = "late", .alias = "stable", .version = version};
    trips_dataset(w);
    trips_write(w, "target.yaml", easy);
    trips_write(w, "weir.yaml",
                "registry:\n  target: target.yaml\n  policies:\n    - {alias: stable, requires: [feasibility]}\n");
    wr_project_close(w->project);
    OK(wr_project_open(&w->project, w->dir, err));
    assert_int_equal(wr_model_move_alias(&move, w->project, &no), WEIR_ENO);
    const char *targets[] = {"host: {kernel: '99.1'}\n", easy, "name: other\nhost: {nofile: 1}\n"};
    const int moves[] = {WEIR_ENO, 0, 0}; /* a study for another target changes nothing */
    for (size_t i = 0; i < 3; i++) {
        WR_AUTOBUF wr_buf b = {0};
        wr_jsonw j;
        study(&r, w, "late@1", targets[i], NULL);
        wr_jsonw_init(&j, &b, 2);
        wr_feasibility_json(&j, &r);
        OK(wr_feasibility_keep(id, w->project, r.model, r.version, r.target->hash, wr_buf_view(&b), err));
        move.version = version;
        assert_int_equal(wr_model_move_alias(&move, w->project, &no), moves[i]);
    }
    /* the report of one version is none of another */
    int64_t second;
    OK(wr_model_register(&second, w->project, "late", w->package[1], "", NULL, err));
    WR_AUTOBUF wr_buf b = {0};
    wr_jsonw j;
    study(&r, w, "late@1", easy, NULL);
    wr_jsonw_init(&j, &b, 2);
    wr_feasibility_json(&j, &r);
    OK(wr_feasibility_keep(id, w->project, "late", second, r.target->hash, wr_buf_view(&b), err));
    move.version = second;
    assert_int_equal(wr_model_move_alias(&move, w->project, &no), WEIR_ENO);
    assert_non_null(strstr(no.msg, "another version"));
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, trips_make, trips_end)
    const struct CMUnitTest tests[] = {
        CASE(good_package),        CASE(targets_that_fail), CASE(rows_without_a_column), CASE(leaking_view),
        CASE(another_view_before), CASE(gate_said_no),      CASE(empty_and_moved),       cmocka_unit_test(differences),
        CASE(registry_asks),       CASE(all_pass),          CASE(one_out_of_order),      CASE(files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
