/* SPDX-License-Identifier: Apache-2.0 */
/* monitor_test.c - four weeks of an endpoint whose third week is shifted, served by two model versions. */
#include "stage/monitor/monitor.h"

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
#include "core/package.h"
#include "io/file.h"
#include "store/pg_testing.h"
#include "stage/monitor/page.h"

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        wr_err e_ = {0};                                                                                               \
        wr_err *err = &e_;                                                                                             \
        if ((call) < 0) fail_msg("%s: %s %s", #call, e_.msg, e_.detail);                                               \
    } while (0)

enum { HOURS = 28 * 24, PER_HOUR = 2, ROWS = HOURS * PER_HOUR, WEEK = 7 * 24 * PER_HOUR };

static const char config_text[] = "endpoints:\n"
                                  "  delay: {model: delay@champion}\n"
                                  "  other: {model: delay@champion}\n"
                                  "monitors:\n"
                                  "  delay:\n"
                                  "    from: 2001-06-01\n"
                                  "    window: 7d\n"
                                  "    every: 1d\n"
                                  "    label_lag: 12h\n"
                                  "    reference: SELECT * FROM history\n"
                                  "    columns: [x, place]\n"
                                  "    statistic: wasserstein\n"
                                  "    threshold: 0.5\n";

static const char view_text[] = "name: trips\nsource: trips\ntime: t\nlabel: {name: late, of: delay, above: 15}\n"
                                "features:\n"
                                "  - {name: x, op: number, of: x}\n"
                                "  - {name: place, op: category, of: place}\n";

typedef struct {
    wr_arena *a;
    char *dir;
    wr_project *p;
    wr_tables *t;
    wr_view *view;
    int64_t from;
} world;

/* ---- a small project ---- */

static void write_config(world *w, const char *text)
{
    char *path = wr_path_join(w->a, w->dir, "weir.yaml");
    wr_project_close(w->p);
    w->p = NULL;
    OK(wr_file_write(path, wr_str_of(text), err));
    OK(wr_project_open(&w->p, w->dir, err));
}

static int64_t write_rows(world *w, const char *name, const char *sql, wr_delta_mode mode)
{
    wr_dataset_write_opt opt = {.mode = mode};
    wr_dataset_written out;
    OK(wr_dataset_write(&out, w->t, w->p, name, sql, &opt, err));
    return out.rows;
}

/* A model whose answer rises with x from `edge` on; registered as the next version. */
static void make_model(world *w, double edge, const char *alias)
{
    static size_t use[] = {0, 1};
    static char stamp[] = "2026-11-23T10:00:00Z", run[] = "0123456789abcdef0123456789abcdef";
    wr_package_parts parts = {.name = "delay", .created = stamp, .run_id = run, .view = w->view, .use = use, .nuse = 2};
    WR_AUTOFRAME wr_frame *f = NULL;
    float *cols[2];
    char id[65];
    int64_t version;
    parts.dict = wr_arena_calloc(w->a, 2, sizeof *parts.dict);
    assert_true(wr_map_put(&parts.dict[1], WR_STR("SFO"), NULL) >= 0);
    assert_true(wr_map_put(&parts.dict[1], WR_STR("JFK"), NULL) >= 0);
    OK(wr_dataset_view(w->t, w->p, "history", NULL, err));
    OK(wr_tables_query(w->t, &f, "SELECT x, place FROM history ORDER BY t", NULL, 0, err));
    OK(wr_package_encode(cols, &parts, f, w->a, err));
    float *label = wr_arena_calloc(w->a, f->nrows, sizeof *label);
    for (size_t i = 0; i < f->nrows; i++) label[i] = cols[0][i] > edge || i % 10 == 0;
    wr_trees_feature features[] = {{"x", false, cols[0], 0}, {"place", true, cols[1], 2}};
    wr_trees_set set = {.n = f->nrows, .nfeatures = 2, .features = features, .label = label};
    wr_trees_opt opt = {.rounds = 8, .max_leaves = 4, .min_child_rows = 5, .seed = 1};
    OK(wr_trees_train(&parts.trees, &set, NULL, &opt, NULL, NULL, NULL, err));
    OK(wr_package_save(id, w->p, &parts, f, err));
    OK(wr_model_register(&version, w->p, "delay", id, "", alias, err));
    wr_trees_free(parts.trees);
    wr_map_fini(&parts.dict[1]);
}

/* Predictions of hours [from, until) scored by a version; x shifted. */
static void serve(world *w, int version, int from, int until, double shift, const char *x)
{
    WR_AUTOFRAME wr_frame *f = NULL;
    wr_model_version v;
    wr_package *k;
    char *ref = wr_arena_printf(w->a, "delay@%d", version);
    const char *sql =
        wr_arena_printf(w->a,
                        "SELECT i, CAST((i * 7919 %% 1000) / 1000.0 + %g AS FLOAT) AS true_x, CAST(%s AS FLOAT) AS x,"
                        " CASE WHEN i %% 3 = 0 THEN 'JFK' ELSE 'SFO' END AS place FROM (SELECT range AS i, CAST((range "
                        "* 7919 %% 1000) / 1000.0 + %g AS FLOAT) AS v"
                        " FROM range(%d, %d)) ORDER BY i",
                        shift, x, shift, from * PER_HOUR, until * PER_HOUR);
    OK(wr_model_find(&v, w->a, w->p, ref, err));
    OK(wr_package_load(&k, w->p, v.package, err));
    OK(wr_tables_query(w->t, &f, sql, NULL, 0, err));
    double *score = wr_arena_calloc(w->a, f->nrows, sizeof *score);
    OK(wr_package_predict(score, k, f, NULL, err));
    wr_package_free(k);
    wr_col *c = wr_frame_add(f, "score", WR_F64);
    memcpy(c->f64, score, f->nrows * sizeof *score);
    OK(wr_tables_register(w->t, "served", f, err));
    sql = wr_arena_printf(
        w->a,
        "SELECT 'p-' || i AS prediction_id, 'delay' AS model, CAST(%d AS BIGINT) AS version,"
        " make_timestamptz(1795471966109298 + i) AS served_at, make_timestamptz(%lld + i * %lld) AS event_time, score,"
        " make_timestamptz(%lld + i * %lld) AS t, x, place FROM served",
        version, (long long)w->from, 3600 * WR_US / PER_HOUR, (long long)w->from, 3600 * WR_US / PER_HOUR);
    assert_int_equal(write_rows(w, "predictions.delay", sql, WR_DELTA_APPEND), (until - from) * PER_HOUR);
    wr_tables_register(w->t, "served", NULL, NULL);
}

/* The truth of predictions [from, until) by number, received `late` microseconds after the hour. */
static void label(world *w, int from, int until, const char *value, int64_t received)
{
    const char *sql = wr_arena_printf(
        w->a,
        "SELECT 'p-' || range AS prediction_id, CAST(%s AS DOUBLE) AS label, make_timestamptz(%lld) AS known_at,"
        " make_timestamptz(%lld) AS received_at FROM range(%d, %d)",
        value, (long long)received, (long long)received, from, until);
    write_rows(w, "labels.delay", sql, WR_DELTA_APPEND);
}

#define TRUTH "CASE WHEN (range * 7919 % 1000) / 1000.0 > 0.5 THEN 1 ELSE 0 END"

static int setup(void **state)
{
    world *w = wr_calloc(1, sizeof *w);
    wr_yaml *y;
    const char *tmp = getenv("TMPDIR");
    w->a = wr_arena_new(0);
    w->dir = wr_arena_printf(w->a, "%s/weir-monitor-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(w->dir));
    assert_int_equal(wr_pg_testing_project(), 0);
    OK(wr_project_init(w->dir, err));
    write_config(w, config_text);
    OK(wr_project_tables(&w->t, w->p, NULL, err));
    OK(wr_yaml_parse(&y, w->a, wr_str_of(view_text), "view.yaml", err));
    OK(wr_view_parse(&w->view, w->a, y, err));
    OK(wr_time_parse(&w->from, WR_STR("2001-06-01"), err));
    write_rows(w, "history",
               "SELECT make_timestamp(988675200000000 + range * 60000000) AS t, (range * 7919 % 1000) / 1000.0 AS x,"
               " CASE WHEN range % 3 = 0 THEN 'JFK' ELSE 'SFO' END AS place FROM range(3000)",
               WR_DELTA_OVERWRITE);
    make_model(w, 0.5, "champion");
    make_model(w, 0.8, NULL);
    *state = w;
    return 0;
}

/* Weeks 1 and 2 as ever, week 3 shifted by 0.4, week 4 as ever but served by version 2; a day of week 5 is missing. */
static int setup_served(void **state)
{
    setup(state);
    world *w = *state;
    serve(w, 1, 0, 14 * 24, 0, "v");
    serve(w, 1, 14 * 24, 21 * 24, 0.4, "v");
    serve(w, 2, 21 * 24, HOURS, 0, "v");
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

static void judge(wr_monitor_result *out, world *w, int end_day)
{
    wr_monitor m;
    OK(wr_monitor_find(&m, w->a, w->p, "delay", err));
    OK(wr_monitor_run(out, w->a, w->p, &m, w->from + end_day * WR_DAY_US, NULL, NULL, err));
}

/* ---- the section ---- */

static void test_parse(void **state)
{
    world *w = *state;
    wr_monitor m;
    char **names;
    size_t n;
    OK(wr_monitor_names(&names, &n, w->a, w->p, err));
    assert_int_equal(n, 1);
    assert_string_equal(names[0], "delay");
    OK(wr_monitor_find(&m, w->a, w->p, "delay", err));
    assert_int_equal(m.window_us, 7 * WR_DAY_US);
    assert_int_equal(m.every_us, WR_DAY_US);
    assert_int_equal(m.label_lag_us, WR_DAY_US / 2);
    assert_int_equal(m.from_us, w->from);
    assert_int_equal(m.ncolumns, 3);
    assert_string_equal(m.columns[2].name, WR_MONITOR_SCORE);
    assert_string_equal(m.stat->name, "wasserstein");
    assert_true(m.threshold == 0.5);

    write_config(w, "endpoints: {a: {model: m@c}}\nmonitors: {one: {endpoint: a, from: 2001-06-01, reference: SELECT "
                    "1, columns: [score, x],"
                    " thresholds: {x: 3, score: 0.25}}}\n");
    OK(wr_monitor_find(&m, w->a, w->p, "a", err));
    assert_string_equal(m.stat->name, "psi");
    assert_true(m.threshold == wr_drift_stat_find("psi")->threshold);
    assert_int_equal(m.every_us, 7 * WR_DAY_US);
    assert_int_equal(m.ncolumns, 2);
    assert_true(m.columns[0].has_threshold && m.columns[0].threshold == 3);
    assert_true(m.columns[1].has_threshold && m.columns[1].threshold == 0.25);

    write_config(w, "endpoints: {a: {model: m@c}}\n");
    OK(wr_monitor_names(&names, &n, w->a, w->p, err));
    assert_int_equal(n, 0);
}

static void test_parse_errors(void **state)
{
    static const struct {
        const char *text, *msg, *hint;
        int code;
    } cases[] = {
        {"monitors: [1]", "monitors is a map", NULL, WEIR_ETYPE},
        {"monitors: {a: 3}", "\"a\" is a map", NULL, WEIR_ETYPE},
        {"monitors: {a: {form: 2001-06-01, reference: x}}", "unknown key \"form\"", "from", WEIR_EINVAL},
        {"monitors: {b: {from: 2001-06-01, reference: x}}", "no endpoint \"b\"", "endpoints: {b:", WEIR_ENOTFOUND},
        {"monitors: {m: {endpoint: aa, from: 2001-06-01, reference: x}}", "weir.yaml:2:26: no endpoint \"aa\"", "\"a\"",
         WEIR_ENOTFOUND},
        {"monitors: {a: {reference: x}}", "needs \"from\"", NULL, WEIR_EINVAL},
        {"monitors: {a: {from: 2001-06-01}}", "needs \"reference\"", NULL, WEIR_EINVAL},
        {"monitors: {a: {from: soon, reference: x}}", "weir.yaml:2:22:", NULL, WEIR_EINVAL},
        {"monitors: {a: {from: 2001-06-01, reference: x, window: 0s}}", "window must be", NULL, WEIR_EINVAL},
        {"monitors: {a: {from: 2001-06-01, reference: x, every: 0d}}", "every must be", NULL, WEIR_EINVAL},
        {"monitors: {a: {from: 2001-06-01, reference: x, window: wide}}", "weir.yaml:2:", NULL, 0},
        {"monitors: {a: {from: 2001-06-01, reference: x, statistic: wassersten}}", "unknown statistic", "wasserstein",
         WEIR_EINVAL},
        {"monitors: {a: {from: 2001-06-01, reference: x, statistic: qqqqqqqq}}", "unknown statistic", "psi",
         WEIR_EINVAL},
        {"monitors: {a: {from: 2001-06-01, reference: x, threshold: 0}}", "above 0", NULL, WEIR_EINVAL},
        {"monitors: {a: {from: 2001-06-01, reference: x, threshold: .nan}}", "weir.yaml:2:", NULL, 0},
        {"monitors: {a: {from: 2001-06-01, reference: x, statistic: ks, threshold: 2}}", "below 1", NULL, WEIR_EINVAL},
        {"monitors: {a: {from: 2001-06-01, reference: x, columns: x}}", "columns is a list", NULL, WEIR_ETYPE},
        {"monitors: {a: {from: 2001-06-01, reference: x, columns: [x, x]}}", "\"x\" twice", NULL, WEIR_EINVAL},
        {"monitors: {a: {from: 2001-06-01, reference: x, columns: [xx], thresholds: {xy: 1}}}", "unknown key \"xy\"",
         "xx", WEIR_EINVAL},
        {"monitors: {a: {from: 2001-06-01, reference: x, columns: [xx], thresholds: {xx: -1}}}", "above 0", NULL,
         WEIR_EINVAL},
        {"monitors: {a: {from: 2001-06-01, reference: x}, b: {endpoint: a, from: 2001-06-01, reference: x}}",
         "has monitor \"a\" already", NULL, WEIR_EINVAL},
    };
    world *w = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wr_monitor *list;
        size_t n;
        wr_err why = {0};
        write_config(w, wr_arena_printf(w->a, "endpoints: {a: {model: m@c}}\n%s\n", cases[i].text));
        int rc = wr_monitor_list(&list, &n, w->a, w->p, &why);
        if (rc >= 0 || !strstr(why.msg, cases[i].msg)) fail_msg("%s -> %d %s", cases[i].text, rc, why.msg);
        if (cases[i].code) assert_int_equal(rc, cases[i].code);
        if (cases[i].hint && !strstr(why.hint, cases[i].hint)) fail_msg("%s -> hint %s", cases[i].text, why.hint);
        assert_non_null(strstr(why.msg, "weir.yaml:2:"));
    }
}

static void test_find_unknown(void **state)
{
    world *w = *state;
    wr_monitor m;
    wr_err why = {0};
    assert_int_equal(wr_monitor_find(&m, w->a, w->p, "delai", &why), WEIR_ENOTFOUND);
    assert_non_null(strstr(why.hint, "\"delay\""));
    assert_int_equal(wr_monitor_find(&m, w->a, w->p, "other", &why), WEIR_ENOTFOUND);
    assert_non_null(strstr(why.hint, "monitors: {other"));
}

/* ---- which window is due ---- */

static void test_newest(void **state)
{
    (void)state;
    const int64_t day = WR_DAY_US, hour = day / 24;
    wr_monitor m = {.from_us = 100 * day, .window_us = 7 * day, .every_us = day, .label_lag_us = 12 * hour};
    static const struct {
        double watermark; /* days */
        int end;          /* 0 = none */
    } table[] = {{0, 0},     {100, 0},      {107, 0},     {107.4, 0}, {107.5, 107},
                 {108, 107}, {108.49, 107}, {108.5, 108}, {120, 119}, {120.75, 120}};
    int64_t end;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        end = 0;
        int rc = wr_monitor_newest(&end, &m, (int64_t)(table[i].watermark * (double)day));
        assert_int_equal(rc, table[i].end != 0);
        assert_int_equal(end, table[i].end * day);
    }
    assert_int_equal(wr_monitor_newest(&end, &m, INT64_MIN), 0);
    assert_int_equal(wr_monitor_newest(&end, &m, INT64_MIN + 1), 0);
    assert_int_equal(wr_monitor_newest(&end, &m, INT64_MAX), 1);
    assert_true(end > 0 && (end - 107 * day) % day == 0);
    m.every_us = 3 * day;
    assert_int_equal(wr_monitor_newest(&end, &m, 113 * day), 1);
    assert_int_equal(end, 110 * day);
    m.from_us = INT64_MAX - day;
    assert_int_equal(wr_monitor_newest(&end, &m, INT64_MAX), 0);
    m.from_us = INT64_MIN + 1;
    assert_int_equal(wr_monitor_newest(&end, &m, INT64_MAX), 0);
}

static void recorded(world *w, int64_t end_us, const char *subject)
{
    OK(wr_event_add(w->p, "window", subject, wr_arena_printf(w->a, "{\"window_end_us\":%lld}", (long long)end_us), NULL,
                    err));
}

static void test_due(void **state)
{
    world *w = *state;
    const int64_t day = WR_DAY_US, at = w->from + 10 * day;
    int64_t end = 0;
    wr_err why = {0};
    assert_int_equal(wr_monitor_due(&end, w->p, "delay", INT64_MIN, &why), 0);
    assert_int_equal(wr_monitor_due(&end, w->p, "delay", w->from + 7 * day, &why), 0);
    assert_int_equal(wr_monitor_due(&end, w->p, "delay", at, &why), 1);
    assert_int_equal(end, w->from + 9 * day);
    recorded(w, w->from + 8 * day, "endpoint:delay");
    recorded(w, w->from + 30 * day, "endpoint:other"); /* not ours */
    OK(wr_event_add(w->p, "drift", "endpoint:delay", "{\"window_end_us\":9000000000000000}", NULL, err));
    assert_int_equal(wr_monitor_due(&end, w->p, "delay", at, &why), 1);
    recorded(w, w->from + 9 * day, "endpoint:delay");
    assert_int_equal(wr_monitor_due(&end, w->p, "delay", at, &why), 0);
    recorded(w, w->from + 7 * day, "endpoint:delay"); /* an old one judged again changes nothing */
    assert_int_equal(wr_monitor_due(&end, w->p, "delay", at, &why), 0);
    assert_int_equal(wr_monitor_due(&end, w->p, "delay", at + day / 2, &why), 1);
    assert_int_equal(end, w->from + 10 * day);
    assert_int_equal(wr_monitor_due(&end, w->p, "nobody", at, &why), WEIR_ENOTFOUND);
}

/* ---- drift ---- */

static void test_only_the_shifted_week_drifts(void **state)
{
    world *w = *state;
    wr_monitor m;
    wr_monitor_session *s;
    int64_t *ends;
    size_t n;
    OK(wr_monitor_find(&m, w->a, w->p, "delay", err));
    OK(wr_monitor_open(&s, w->p, &m, NULL, NULL, err));
    assert_int_equal(wr_monitor_watermark(s), w->from + (ROWS - 1) * (3600 * WR_US / PER_HOUR));
    OK(wr_monitor_ends(&ends, &n, w->a, s, err));
    assert_int_equal(n, 4);
    for (size_t i = 0; i < n; i++) {
        wr_monitor_result r;
        assert_int_equal(ends[i], w->from + (int64_t)(i + 1) * 7 * WR_DAY_US);
        OK(wr_monitor_window(&r, w->a, s, ends[i], err));
        assert_int_equal(r.all.rows, WEEK);
        assert_int_equal(r.ndrift, 3);
        assert_int_equal(r.drifts, i == 2);
        assert_int_equal(r.complete, i < 3); /* the last prediction is a quarter of an hour before the end */
        assert_int_equal(r.nversions, 1);
        assert_int_equal(r.versions[0].version, i == 3 ? 2 : 1);
        assert_string_equal(r.drift[0].column, "x");
        assert_string_equal(r.drift[1].stat->name, "psi"); /* places are no numbers */
        assert_true(r.drift[1].value < 0.01 && !r.drift[1].drifts);
        assert_true(fabs(r.drift[0].value - (i == 2 ? 0.4 / 0.288675 : 0)) < 0.02);
        assert_true(r.drift[0].all.mean_ref > 0.49 && r.drift[0].all.mean_ref < 0.51);
        /* version 2 answers quite differently; the reference is scored by it too, so its scores have not moved */
        assert_int_equal(r.drift[2].drifts, i == 2);
        if (i == 2) assert_true(r.worst == 0 && r.drift[0].severity > 2);
        assert_true(isnan(r.all.auc) && isnan(r.all.label_share) &&
                    r.all.labelled == 0); /* no labels: nothing invented */
        assert_true(isfinite(r.all.mean_score));
    }
    wr_monitor_close(s);
}

static void test_both_versions_in_one_window(void **state)
{
    world *w = *state;
    wr_monitor_result r;
    judge(&r, w, 24); /* four days of version 1, three of version 2 */
    assert_int_equal(r.nversions, 2);
    assert_int_equal(r.versions[0].version, 1);
    assert_int_equal(r.versions[0].rows, 4 * 24 * PER_HOUR);
    assert_int_equal(r.versions[1].version, 2);
    assert_int_equal(r.versions[1].rows, 3 * 24 * PER_HOUR);
    assert_string_equal(r.versions[1].model, "delay");
    assert_int_equal(r.all.version, -1);
}

static void test_window_without_rows(void **state)
{
    world *w = *state;
    wr_monitor_result r;
    judge(&r, w, 60);
    assert_int_equal(r.all.rows, 0);
    assert_int_equal(r.ndrift, 0);
    assert_false(r.drifts || r.complete);
    assert_true(isnan(r.all.mean_score) && isnan(r.all.auc) && isnan(r.all.log_loss));
}

static char *only_cached(world *w)
{
    char **names;
    size_t n;
    char *dir = wr_path_join(w->a, w->dir, ".weir/cache");
    OK(wr_file_list(&names, &n, w->a, dir, err));
    assert_int_equal(n, 1);
    return wr_path_join(w->a, dir, names[0]);
}

static void test_reference_is_kept_and_replaced(void **state)
{
    world *w = *state;
    wr_monitor_result first, second, third;
    judge(&first, w, 7);
    char *path = only_cached(w);
    judge(&second, w, 7);
    for (size_t i = 0; i < first.ndrift; i++) assert_true(first.drift[i].value == second.drift[i].value);
    OK(wr_file_write(path, WR_STR("not a table"), err));
    judge(&third, w, 7);
    for (size_t i = 0; i < first.ndrift; i++) assert_true(first.drift[i].value == third.drift[i].value);
    assert_true(wr_file_size(only_cached(w)) > 100); /* written anew */
    write_rows(w, "history",
               "SELECT make_timestamp(0) AS t, CAST(range AS DOUBLE) AS x, 'LAX' AS place FROM range(100)",
               WR_DELTA_OVERWRITE);
    judge(&third, w, 7); /* another version of the dataset is another reference */
    assert_true(third.drifts && third.drift[1].drifts);
    assert_true(third.drift[0].value > 1);
}

static void test_reference_beyond_datasets_is_not_kept(void **state)
{
    world *w = *state;
    wr_monitor_result r;
    write_config(w, "endpoints: {delay: {model: delay@champion}}\nmonitors: {delay: {from: 2001-06-01, reference: "
                    "'SELECT * FROM history WHERE t < now()',"
                    " columns: [x]}}\n");
    judge(&r, w, 7);
    assert_int_equal(r.ndrift, 2);
    assert_false(wr_file_exists(wr_path_join(w->a, w->dir, ".weir/cache")));
}

static void test_column_without_values_drifts(void **state)
{
    world *w = *state;
    wr_monitor_result r;
    serve(w, 1, 0, 7 * 24, 0, "NULL");
    judge(&r, w, 7);
    assert_true(r.drifts && r.worst == 0 && isnan(r.drift[0].value));
    assert_true(r.drift[0].all.missing_cur == 1 && r.drift[0].all.n_cur == 0);
    OK(wr_monitor_record(w->p, &r, err));
    wr_event *e;
    size_t n;
    OK(wr_event_list(&e, &n, w->a, w->p, 0, "drift", 0, err));
    assert_int_equal(n, 1);
    assert_non_null(strstr(e[0].payload, "\"value\":null"));
}

static void expect_error(world *w, const char *monitor, int code, const char *msg, const char *hint)
{
    wr_monitor m;
    wr_monitor_result r;
    wr_err why = {0};
    write_config(
        w, wr_arena_printf(w->a,
                           "endpoints: {delay: {model: delay@champion}}\nmonitors: {delay: {from: 2001-06-01, %s}}\n",
                           monitor));
    OK(wr_monitor_find(&m, w->a, w->p, "delay", err));
    int rc = wr_monitor_run(&r, w->a, w->p, &m, w->from + 7 * WR_DAY_US, NULL, NULL, &why);
    if (rc != code || !strstr(why.msg, msg) || !strstr(why.hint, hint))
        fail_msg("%s -> %d %s (%s)", monitor, rc, why.msg, why.hint);
}

static void test_run_errors(void **state)
{
    world *w = *state;
    expect_error(w, "reference: SELECT * FROM history, columns: [plaec]", WEIR_ENOTFOUND,
                 "the predictions have no column \"plaec\"", "\"place\"");
    expect_error(w, "reference: 'SELECT x AS xx, place FROM history'", WEIR_ENOTFOUND,
                 "the reference's rows have no column \"x\"", "");
    expect_error(w, "reference: SELECT * FROM history WHERE x > 7", WEIR_EINVAL, "has no rows", "WHERE x > 7");
    expect_error(w, "reference: 'SELECT * REPLACE (NULL AS x) FROM history', columns: [x]", WEIR_EINVAL, "column \"x\"",
                 "");
    expect_error(w, "reference: 'SELECT *, t AS u FROM history', columns: [t]", WEIR_ETYPE, "\"t\"", "");
    expect_error(w, "reference: SELEKT", WEIR_EPARSE, "SELEKT", "");
}

static void test_no_predictions(void **state)
{
    world *w = *state;
    wr_monitor m;
    wr_monitor_session *s;
    wr_err why = {0};
    OK(wr_monitor_find(&m, w->a, w->p, "delay", err));
    assert_int_equal(wr_monitor_open(&s, w->p, &m, NULL, NULL, &why), WEIR_ENOTFOUND);
    assert_non_null(strstr(why.msg, "no predictions"));
    assert_non_null(strstr(why.hint, "flush"));
}

/* ---- labels ---- */

static bool same(double a, double b) { return a == b || (isnan(a) && isnan(b)); }

static bool same_performance(const wr_monitor_performance *a, const wr_monitor_performance *b)
{
    return a->rows == b->rows && a->labelled == b->labelled && a->positives == b->positives && same(a->auc, b->auc) &&
           same(a->log_loss, b->log_loss) && same(a->brier, b->brier) && same(a->mean_score, b->mean_score) &&
           same(a->label_share, b->label_share);
}

static void test_late_labels_change_their_window_only(void **state)
{
    world *w = *state;
    wr_monitor_result before[4], after[4];
    label(w, 0, WEEK, TRUTH, 5000);
    label(w, WEEK, WEEK + WEEK / 2, TRUTH, 6000);
    for (int i = 0; i < 4; i++) judge(&before[i], w, 7 * (i + 1));
    assert_int_equal(before[0].all.labelled, WEEK);
    assert_true(before[0].all.auc > 0.95);
    assert_true(fabs(before[0].all.label_share - 0.5) < 0.02);
    assert_true(before[0].all.log_loss < 0.6 && before[0].all.brier < 0.2);
    assert_int_equal(before[1].all.labelled, WEEK / 2);
    assert_int_equal(before[2].all.labelled, 0);
    label(w, WEEK + WEEK / 2, 2 * WEEK, "0", 9000);
    for (int i = 0; i < 4; i++) judge(&after[i], w, 7 * (i + 1));
    for (int i = 0; i < 4; i++) assert_int_equal(same_performance(&before[i].all, &after[i].all), i != 1);
    assert_int_equal(after[1].all.labelled, WEEK);
    assert_true(after[1].all.auc < before[1].all.auc);
    for (int i = 0; i < 4; i++)
        for (size_t k = 0; k < 3; k++) assert_true(before[i].drift[k].value == after[i].drift[k].value);
}

static void test_the_label_known_last_counts(void **state)
{
    world *w = *state;
    wr_monitor_result r, again;
    label(w, 0, WEEK, TRUTH, 5000);
    judge(&r, w, 7);
    label(w, 0, WEEK, "'nan'", 9000); /* no value is no label, however late */
    label(w, 0, WEEK, "NULL", 9000);
    label(w, 0, WEEK, "'inf'", 9000);
    label(w, 100000, 100100, "1", 1); /* of predictions nobody made */
    label(w, 0, WEEK, "1", 4000);     /* known earlier, only told later */
    judge(&again, w, 7);
    assert_true(same_performance(&r.all, &again.all));
    label(w, 0, WEEK, "1 - (" TRUTH ")", 6000); /* a correction */
    judge(&again, w, 7);
    assert_int_equal(again.all.positives, WEEK - r.all.positives);
    assert_true(fabs(again.all.auc - (1 - r.all.auc)) < 1e-9);
    label(w, 0, WEEK, "1", 7000);
    judge(&again, w, 7);
    assert_int_equal(again.all.positives, WEEK);
    assert_true(isnan(again.all.auc)); /* one class */
    assert_true(isfinite(again.all.log_loss));
}

/* ---- records ---- */

static void test_record(void **state)
{
    world *w = *state;
    wr_monitor_result quiet, loud;
    wr_event *e;
    size_t n;
    int64_t end;
    wr_err why = {0};
    label(w, 0, WEEK, TRUTH, 5000);
    judge(&quiet, w, 7);
    OK(wr_monitor_record(w->p, &quiet, err));
    OK(wr_event_list(&e, &n, w->a, w->p, 0, NULL, 0, err));
    assert_int_equal(n, 1);
    assert_string_equal(e[0].kind, "window");
    assert_string_equal(e[0].subject, "endpoint:delay");
    judge(&loud, w, 21);
    OK(wr_monitor_record(w->p, &loud, err));
    OK(wr_event_list(&e, &n, w->a, w->p, 0, NULL, 0, err));
    assert_int_equal(n, 3);
    assert_string_equal(e[1].kind, "drift"); /* first the drift: a crash in between must not lose it */
    assert_string_equal(e[2].kind, "window");
    WR_AUTOJSON wr_json j = {0}, k = {0};
    OK(wr_json_parse(&j, wr_str_of(e[1].payload), "drift", err));
    wr_str text;
    double value;
    OK(wr_json_str(&text, j.root, "window_end", err));
    assert_true(wr_str_is(text, "2001-06-22"));
    OK(wr_json_str(&text, j.root, "window_start", err));
    assert_true(wr_str_is(text, "2001-06-15"));
    OK(wr_json_str(&text, j.root, "column", err));
    assert_true(wr_str_is(text, "x"));
    OK(wr_json_str(&text, j.root, "endpoint", err));
    OK(wr_json_f64(&value, j.root, "value", err));
    assert_true(value == loud.drift[0].value);
    OK(wr_json_f64(&value, j.root, "threshold", err));
    assert_true(value == 0.5);
    assert_non_null(yyjson_obj_get(j.root, "performance"));
    OK(wr_json_parse(&k, wr_str_of(e[0].payload), "window", err));
    assert_int_equal(yyjson_get_sint(yyjson_obj_get(k.root, "window_end_us")), w->from + 7 * WR_DAY_US);
    assert_true(yyjson_get_num(yyjson_obj_get(yyjson_obj_get(k.root, "performance"), "auc")) == quiet.all.auc);
    assert_int_equal(yyjson_arr_size(yyjson_obj_get(k.root, "drift")), 3);
    assert_int_equal(wr_monitor_due(&end, w->p, "delay", w->from + 22 * WR_DAY_US, &why), 0);
    assert_int_equal(wr_monitor_due(&end, w->p, "delay", w->from + 23 * WR_DAY_US, &why), 1);
}

/* Whatever fails while recording: never a window without its drift. */
static void test_record_faults(void **state)
{
    static const wr_fault_kind kinds[] = {WR_FAULT_ALLOC, WR_FAULT_WRITE, WR_FAULT_FSYNC};
    world *w = *state;
    wr_monitor_result loud;
    judge(&loud, w, 21);
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        bool fired = true;
        for (long nth = 1; fired && nth < 200; nth++) {
            wr_event *e;
            size_t drifts, windows;
            wr_fault_arm(kinds[k], nth, false);
            int rc = wr_monitor_record(w->p, &loud, NULL);
            fired = wr_fault_fired(kinds[k]);
            wr_fault_arm(kinds[k], 0, false);
            if (!fired) assert_int_equal(rc, 0);
            OK(wr_event_list(&e, &drifts, w->a, w->p, 0, "drift", 0, err));
            OK(wr_event_list(&e, &windows, w->a, w->p, 0, "window", 0, err));
            assert_true(drifts >= windows);
        }
        assert_false(fired);
    }
}

/* Judging with memory that runs out: an error each time, no leak, and then the right answer. */
static void test_window_faults(void **state)
{
    world *w = *state;
    wr_monitor m;
    wr_monitor_result good, r;
    judge(&good, w, 21);
    OK(wr_monitor_find(&m, w->a, w->p, "delay", err));
    for (long nth = 1, step = 1; nth < 4000; nth += step, step += step / 4 + 1) {
        wr_err why = {0};
        wr_fault_arm(WR_FAULT_ALLOC, nth, false);
        int rc = wr_monitor_run(&r, w->a, w->p, &m, w->from + 21 * WR_DAY_US, NULL, NULL, &why);
        bool fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        if (rc == 0) assert_true(r.drift[0].value == good.drift[0].value && r.all.rows == good.all.rows);
        if (!fired) break;
    }
}

/* ---- the page ---- */

static void test_page(void **state)
{
    world *w = *state;
    wr_monitor m;
    wr_monitor_session *s;
    wr_monitor_result r;
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    label(w, 0, 2 * WEEK, TRUTH, 5000);
    judge(&r, w, 21);
    OK(wr_monitor_record(w->p, &r, err));
    OK(wr_event_add(w->p, "promoted", "model:delay", "{\"model\":\"delay\",\"version\":2,\"alias\":\"<b>\"}", NULL,
                    err));
    OK(wr_event_add(w->p, "promoted", "model:unrelated", "{\"model\":\"unrelated\",\"version\":9,\"alias\":\"c\"}",
                    NULL, err));
    OK(wr_event_add(
        w->p, "triggered", "endpoint:delay",
        wr_arena_printf(w->a, "{\"at_us\":%lld,\"run\":[\"a\",\"b&c\"]}", (long long)(w->from + 22 * WR_DAY_US)), NULL,
        err));
    OK(wr_event_add(w->p, "drift", "endpoint:delay", "not json", NULL, err));
    OK(wr_monitor_find(&m, w->a, w->p, "delay", err));
    OK(wr_monitor_open(&s, w->p, &m, NULL, NULL, err));
    OK(wr_monitor_page(&b, w->p, &m, s, NULL, NULL, err));
    wr_monitor_close(s);
    const char *html = wr_buf_cstr(&b);
    assert_true(b.n > 5000 && b.n < WR_MONITOR_PAGE_BYTES);
    assert_true(wr_str_utf8(wr_buf_view(&b)));
    assert_null(strstr(html, "<script"));
    assert_null(strstr(html, "http"));
    assert_null(strstr(html, "nan"));
    assert_null(strstr(html, "<b>\""));
    assert_non_null(strstr(html, "is now &lt;b&gt;"));
    assert_non_null(strstr(html, "a, b&amp;c"));
    assert_non_null(strstr(html, "drift: x, wasserstein"));
    assert_null(strstr(html, "unrelated"));
    assert_non_null(strstr(html, "threshold 0.5") ? html
                                                  : strstr(html, "in multiples")); /* psi and wasserstein: two scales */
    assert_non_null(strstr(html, "15 Jun – 22 Jun"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_parse, setup, teardown),
        cmocka_unit_test_setup_teardown(test_parse_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_find_unknown, setup, teardown),
        cmocka_unit_test(test_newest),
        cmocka_unit_test_setup_teardown(test_due, setup, teardown),
        cmocka_unit_test_setup_teardown(test_only_the_shifted_week_drifts, setup_served, teardown),
        cmocka_unit_test_setup_teardown(test_both_versions_in_one_window, setup_served, teardown),
        cmocka_unit_test_setup_teardown(test_window_without_rows, setup_served, teardown),
        cmocka_unit_test_setup_teardown(test_reference_is_kept_and_replaced, setup_served, teardown),
        cmocka_unit_test_setup_teardown(test_reference_beyond_datasets_is_not_kept, setup_served, teardown),
        cmocka_unit_test_setup_teardown(test_column_without_values_drifts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_run_errors, setup_served, teardown),
        cmocka_unit_test_setup_teardown(test_no_predictions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_late_labels_change_their_window_only, setup_served, teardown),
        cmocka_unit_test_setup_teardown(test_the_label_known_last_counts, setup_served, teardown),
        cmocka_unit_test_setup_teardown(test_record, setup_served, teardown),
        cmocka_unit_test_setup_teardown(test_record_faults, setup_served, teardown),
        cmocka_unit_test_setup_teardown(test_window_faults, setup_served, teardown),
        cmocka_unit_test_setup_teardown(test_page, setup_served, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
