/* SPDX-License-Identifier: Apache-2.0 */
/* train_test.c - specifications and their errors; training end to end on a small project: what is learned, from which
 * rows, and that the same input gives the same model on any number of threads. */
#include "stage/model/model_testing.h"

#include <math.h>

static const char *spec(place *s, const char *rest)
{
    return wr_arena_printf(s->a, "model: delay\nview: features.yaml\nrows: SELECT * FROM rides_features\n%s", rest);
}

static void test_spec(void **state)
{
    place *s = *state;
    wr_train_spec t;
    put(s, "train.yaml", TRAIN "half_life: 45d\nexclude: [delay_2h, x]\n");
    OK(wr_train_spec_load(&t, s->a, "train.yaml", s->dir, &s->err));
    assert_string_equal(t.model, "delay");
    assert_string_equal(t.rows, "SELECT * FROM rides_features");
    assert_true(t.train_from_us == wr_time_from_civil(2001, 1, 1) &&
                t.valid_until_us == wr_time_from_civil(2001, 1, 23));
    assert_true(t.half_life_us == 45 * WR_DAY_US);
    assert_int_equal(t.nuse, 4);
    assert_string_equal(t.view->features[t.use[1]].name, "place");
    assert_true(t.learner.rounds == 40 && t.learner.max_leaves == 15 && t.learner.learning_rate == 0.2 &&
                t.learner.seed == 1);
    SAYS("\"rounds\":40", t.options_json);
    put(s, "train.yaml", spec(s, "features: [place, x]\n"));
    OK(wr_train_spec_load(&t, s->a, "train.yaml", s->dir, &s->err));
    assert_int_equal(t.nuse, 2); /* in the view's order, whatever the list's */
    assert_string_equal(t.view->features[t.use[0]].name, "x");
    assert_true(t.train_from_us == INT64_MIN && t.train_until_us == INT64_MAX && t.valid_from_us == t.valid_until_us);
}

static void test_spec_errors(void **state)
{
    place *s = *state;
    static const struct {
        const char *rest;
        int code;
        const char *says, *hint;
    } cases[] = {
        {"tarin: {}\n", WEIR_EINVAL, "train.yaml:4:1: unknown key \"tarin\" in training specification", "\"train\""},
        {"train: {form: 2001-01-01}\n", WEIR_EINVAL, "train.yaml:4:9: unknown key \"form\"", "\"from\""},
        {"train: {from: soon}\n", WEIR_EINVAL, "train.yaml:4:15: ", ""},
        {"train: {from: [2001-01-01]}\n", WEIR_ETYPE, "train.yaml:4:15: ", ""},
        {"train: {from: 2001-02-01, until: 2001-01-01}\n", WEIR_EINVAL,
         "train.yaml:4:8: train: from is not before until", ""},
        {"train: 2001\n", WEIR_ETYPE, "train.yaml:4:8: train is a map", ""},
        {"valid: [2001]\n", WEIR_ETYPE, "train.yaml:4:8: valid is a map", ""},
        {"features: [x, palce]\n", WEIR_ENOTFOUND, "train.yaml:4:15: view \"rides_features\" has no feature \"palce\"",
         "\"place\""},
        {"exclude: [nothing_like_it]\n", WEIR_ENOTFOUND, "train.yaml:4:11:", ""},
        {"features: [x]\nexclude: [place]\n", WEIR_EINVAL, "train.yaml:5:10: features and exclude", ""},
        {"features: []\n", WEIR_EINVAL, "train.yaml:4:11: no feature is left", ""},
        {"exclude: [minute, x, place, late_2h, delay_2h, rides_2h]\n", WEIR_EINVAL, "no feature is left", ""},
        {"features: x\n", WEIR_ETYPE, "train.yaml:4:11: a list", ""},
        {"features: [[x]]\n", WEIR_ETYPE, "train.yaml:4:12:", ""},
        {"half_life: long\n", WEIR_ETYPE, "train.yaml:4:12:", ""},
        {"learner: {name: forest}\n", WEIR_EINVAL, "train.yaml:4:17: unknown learner \"forest\"", ""},
        {"learner: {name: trees, leavs: 5}\n", WEIR_EINVAL, "train.yaml:4:24: unknown key \"leavs\"", "\"leaves\""},
        {"learner: {rounds: -1}\n", WEIR_EINVAL, "train.yaml:4:19: rounds is out of range", ""},
        {"learner: {rounds: 2000000}\n", WEIR_EINVAL, "train.yaml:4:19: rounds is out of range", ""},
        {"learner: {rounds: many}\n", WEIR_ETYPE, "train.yaml:4:19:", ""},
        {"learner: trees\n", WEIR_ETYPE, "train.yaml:4:10:", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wr_train_spec t;
        put(s, "train.yaml", spec(s, cases[i].rest));
        s->err = (wr_err){0};
        int rc = wr_train_spec_load(&t, s->a, "train.yaml", s->dir, &s->err);
        if (rc != cases[i].code) fail_msg("%s gave %d %s", cases[i].rest, rc, s->err.msg);
        SAYS(cases[i].says, s->err.msg);
        SAYS(cases[i].hint, s->err.hint);
    }
}

static void test_whole_file_errors(void **state)
{
    place *s = *state;
    static const struct {
        const char *text;
        int code;
        const char *says;
    } cases[] = {
        {"", WEIR_EINVAL, "\"model\" is missing"},
        {"model: delay\n", WEIR_EINVAL, "\"view\" is missing"},
        {"model: delay\nview: features.yaml\n", WEIR_EINVAL, "\"rows\" is missing"},
        {"model: a b\nview: features.yaml\nrows: x\n", WEIR_EINVAL, "train.yaml:1:8: \"a b\" is not a model name"},
        {"model: delay\nview: none.yaml\nrows: x\n", WEIR_ENOTFOUND, "none.yaml"},
        {"model: delay\nview: plain.yaml\nrows: x\n", WEIR_EINVAL, "view \"plain\" has no label"},
        {"model: delay\nview: broken.yaml\nrows: x\n", WEIR_EINVAL, "broken.yaml:1:1:"},
        {"- model\n", WEIR_ETYPE, "train.yaml:1:1:"},
        {"model: {a: b}\n", WEIR_ETYPE, "train.yaml:1:8:"},
        {"model: [\n", WEIR_EPARSE, "train.yaml:"},
    };
    put(s, "plain.yaml", "name: plain\nsource: rides\ntime: t\nfeatures: [{name: x, op: number, of: x}]\n");
    put(s, "broken.yaml", "nmae: v\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wr_train_spec t;
        put(s, "train.yaml", cases[i].text);
        s->err = (wr_err){0};
        int rc = wr_train_spec_load(&t, s->a, "train.yaml", s->dir, &s->err);
        if (rc != cases[i].code) fail_msg("%s gave %d %s", cases[i].text, rc, s->err.msg);
        SAYS(cases[i].says, s->err.msg);
    }
    wr_train_spec t;
    FAILS(WEIR_ENOTFOUND, wr_train_spec_load(&t, s->a, "no.yaml", s->dir, &s->err));
}

static double metric(const wr_trained *t, const char *name, bool valid)
{
    for (size_t i = 0; i < t->nmetrics; i++)
        if (strcmp(t->metrics[i].name, name) == 0) return valid ? t->metrics[i].valid : t->metrics[i].train;
    return NAN;
}

static void test_train(void **state)
{
    place *s = *state;
    wr_trained t;
    wr_model_version v;
    OK(train(&t, s, TRAIN, 1));
    /* the rows of the ranges whose label was known by their ends */
    assert_int_equal(
        t.train_rows,
        number(s, "SELECT count(*) FROM rides_features WHERE t < '2001-01-18' AND known_at <= '2001-01-18'"));
    assert_int_equal(t.train_rows, 17 * 144 - 2); /* known half an hour later; at the very moment counts */
    assert_int_equal(t.valid_rows, 5 * 144 - 2);
    assert_true(metric(&t, "auc", false) > 0.93);
    assert_true(metric(&t, "auc", true) > 0.9 && metric(&t, "auc", true) <= 1);
    assert_true(metric(&t, "log_loss", true) < 0.45);
    assert_true(t.trees > 0 && t.trees <= 40 && t.best_round <= t.trees);
    double sum = 0;
    assert_int_equal(t.ngain, 6);
    for (size_t i = 0; i < t.ngain; i++) {
        sum += t.gain[i].share;
        if (i) assert_true(t.gain[i - 1].share >= t.gain[i].share);
    }
    assert_true(fabs(sum - 1) < 1e-9);
    assert_string_equal(t.gain[0].feature, "x"); /* what the label is made of */
    OK(wr_model_find(&v, s->a, s->p, "delay", &s->err));
    assert_string_equal(v.package, t.package);
    wr_run_row *rows;
    wr_run_item *items;
    size_t n;
    OK(wr_run_list(&rows, &n, s->a, s->p, 1, &s->err));
    assert_string_equal(rows[0].id, v.run_id);
    assert_string_equal(rows[0].status, "finished");
    OK(wr_run_metrics(&items, &n, s->a, s->p, v.run_id, &s->err));
    bool found = false;
    for (size_t i = 0; i < n; i++)
        found |= strcmp(items[i].key, "valid_auc") == 0 && items[i].number == metric(&t, "auc", true);
    assert_true(found);
    wr_package *k;
    OK(wr_package_load(&k, s->p, t.package, &s->err)); /* replays its golden rows */
    assert_string_equal(wr_package_get(k)->run_id, v.run_id);
    assert_int_equal(wr_package_get(k)->nuse, 6);
    wr_package_free(k);
}

static void predict(double *out, place *s, const char *package, size_t *n)
{
    wr_package *k;
    WR_AUTOFRAME wr_frame *f = NULL;
    OK(wr_dataset_views_for(engine(s), s->p, "rides_features", NULL, NULL, s->a, &s->err));
    OK(wr_tables_query(engine(s), &f, "SELECT * FROM rides_features ORDER BY t LIMIT 500", NULL, 0, &s->err));
    OK(wr_package_load(&k, s->p, package, &s->err));
    OK(wr_package_predict(out, k, f, NULL, &s->err));
    *n = f->nrows;
    wr_package_free(k);
}

static void test_same_on_any_threads(void **state)
{
    place *s = *state;
    wr_trained one, two;
    double a[500], b[500];
    size_t n;
    OK(train(&one, s, TRAIN, 1));
    OK(train(&two, s, TRAIN, 2));
    assert_int_equal(one.trees, two.trees);
    for (size_t i = 0; i < one.nmetrics; i++) {
        assert_memory_equal(&one.metrics[i].train, &two.metrics[i].train, sizeof(double));
        assert_memory_equal(&one.metrics[i].valid, &two.metrics[i].valid, sizeof(double));
    }
    predict(a, s, one.package, &n);
    predict(b, s, two.package, &n);
    assert_memory_equal(a, b, n * sizeof *a);
}

/* A label nobody knew by the end of training is not learned from; nor one of which nobody can say when it became known.
 */
static void test_known_at(void **state)
{
    place *s = *state;
    wr_trained t;
    static const char until[] = "train: {until: 2001-01-10}\nlearner: {rounds: 5}\n";
    OK(train(&t, s,
             wr_arena_printf(s->a,
                             "model: m\nview: features.yaml\nrows: SELECT * REPLACE (CASE WHEN place = 'A' THEN"
                             " TIMESTAMP '2001-02-01' ELSE known_at END AS known_at) FROM rides_features\n%s",
                             until),
             1));
    size_t expected =
        (size_t)number(s, "SELECT count(*) FROM rides_features WHERE known_at <= '2001-01-10' AND place <> 'A'");
    assert_int_equal(t.train_rows, expected);
    OK(train(&t, s,
             wr_arena_printf(s->a,
                             "model: m\nview: features.yaml\nrows: SELECT * REPLACE (CASE WHEN place = 'A' THEN"
                             " NULL ELSE known_at END AS known_at) FROM rides_features\n%s",
                             until),
             1));
    assert_int_equal(t.train_rows, expected);
    OK(train(&t, s,
             wr_arena_printf(s->a,
                             "model: m\nview: features.yaml\nrows: SELECT * EXCLUDE (known_at) FROM rides_features"
                             " -- a comment at the end\n%s",
                             until),
             1));
    assert_int_equal(t.train_rows, 9 * 144);
}

static void test_refused(void **state)
{
    place *s = *state;
    static const struct {
        const char *rows, *rest, *says, *hint;
        int code;
    } cases[] = {
        {"SELECT * EXCLUDE (x) FROM rides_features", "", "the rows have no column \"x\"", "", WEIR_ENOTFOUND},
        {"SELECT * RENAME (late_2h AS late2h) FROM rides_features", "", "no column \"late_2h\"", "\"late2h\"",
         WEIR_ENOTFOUND},
        {"SELECT * EXCLUDE (late) FROM rides_features", "", "no column \"late\"", "", WEIR_ENOTFOUND},
        {"SELECT * FROM rides_features", "train: {from: 2010-01-01}\n", "none", "time range", WEIR_EINVAL},
        {"SELECT * REPLACE (NULL AS late) FROM rides_features", "", "no labelled row", "", WEIR_EINVAL},
        {"SELECT * REPLACE (late * 7 AS late) FROM rides_features", "", "label", "", WEIR_EINVAL},
        {"SELECT * FROM rides_featuers", "", "rides_featuers", "did you mean \"rides_features\"?", WEIR_ENOTFOUND},
        {"SELEC", "", "", "", 0},
        {"SELECT * FROM rides_features", "train: {until: 2001-01-20}\nvalid: {from: 2001-01-19}\n", "overlap", "judged",
         WEIR_EINVAL},
        {"SELECT * FROM rides_features", "train: {until: 2001-01-20}\nvalid: {}\n", "overlap", "", WEIR_EINVAL},
        {"SELECT * FROM rides_features", "train: {until: 2001-01-20}\nvalid: {from: 2002-01-01}\n",
         "between valid.from", "", WEIR_EINVAL},
        {"SELECT * FROM rides_features", "learner: {learning_rate: 7}\n", "learning_rate", "", WEIR_EINVAL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wr_trained t;
        wr_model_version v;
        wr_run_row *rows;
        size_t n;
        int rc = train(
            &t, s,
            wr_arena_printf(s->a, "model: refused\nview: features.yaml\nrows: %s\n%s", cases[i].rows, cases[i].rest),
            1);
        if (rc >= 0 || (cases[i].code && rc != cases[i].code))
            fail_msg("%s %s gave %d %s", cases[i].rows, cases[i].rest, rc, s->err.msg);
        if (!strstr(s->err.msg, cases[i].says) && !strstr(s->err.detail, cases[i].says))
            fail_msg("%s: %s", cases[i].rows, s->err.msg);
        SAYS(cases[i].hint, s->err.hint);
        OK(wr_run_list(&rows, &n, s->a, s->p, 1, &s->err));
        assert_string_equal(rows[0].status, "failed");
        FAILS(WEIR_ENOTFOUND, wr_model_find(&v, s->a, s->p, "refused", &s->err));
    }
}

/* Weights by age: with a half-life of hours the model forgets what was true before. */
static void test_half_life(void **state)
{
    place *s = *state;
    wr_trained t;
    double all, recent, p[500];
    size_t n;
    static const char rows[] =
        "model: %s\nview: features.yaml\nrows: SELECT * REPLACE (CASE WHEN t < '2001-01-20' THEN 1 - late ELSE late"
        " END AS late) FROM rides_features\nfeatures: [x]\nlearner: {rounds: 60, leaves: 7}\n%s";
    OK(train(&t, s, wr_arena_printf(s->a, rows, "flat", ""), 1));
    predict(p, s, t.package, &n);
    all = p[0];
    OK(train(&t, s, wr_arena_printf(s->a, rows, "fading", "half_life: 12h\n"), 1));
    predict(p, s, t.package, &n);
    recent = p[0]; /* x = 0: not late, as it is now */
    assert_true(all > 0.5 && recent < 0.2);
}

#define T(name) cmocka_unit_test(name)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_spec),     T(test_spec_errors), T(test_whole_file_errors), T(test_train), T(test_same_on_any_threads),
        T(test_known_at), T(test_refused),     T(test_half_life),
    };
    return cmocka_run_group_tests(tests, make_features, drop_place);
}
