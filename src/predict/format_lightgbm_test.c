/* SPDX-License-Identifier: Apache-2.0 */
/* format_lightgbm_test.c - models of LightGBM 4.6 against what it answers (tests/reference/forest_lightgbm.py), and broken files. */
#include "base/fault.h"
#include "predict/forest_format_testing.h"

static const char *const models[] = {
    "regression", "binary",  "categories", "zeromissing",   "nomissing",  "multiclass", "ova",    "sqrt", "l1",    "huber", "fair", "quantile",
    "mape",       "poisson", "gamma",      "tweedie",       "entropy",    "lambdarank", "xendcg", "dart", "stump", "entropylambda", "forest",
};

static wr_predictor *read_model(const char *file, const char *as)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_predictor *p = NULL;
    wr_err err = {0};
    file_read(&b, file);
    int rc = wr_lightgbm_read(&p, wr_buf_view(&b), as, "model", &err);
    if (rc < 0) print_error("%s: %s\n", file, err.msg);
    assert_int_equal(rc, 0);
    return p;
}

static void test_models(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        char stem[128], file[160];
        (void)snprintf(stem, sizeof stem, "lgb_%s", models[i]);
        (void)snprintf(file, sizeof file, "%s.txt", stem);
        wr_predictor *p = read_model(file, NULL);
        check_model(stem, p, 1e-14, 1e-9);
        wr_predictor_free(p);
    }
}

static void test_facts(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    wr_predictor *p = read_model("lgb_regression.txt", NULL);
    assert_string_equal(p->platform, "lightgbm_text");
    assert_true(p->rows && p->in->lenient && p->in->shape[1] == 5 && p->out->type == WR_TENSOR_FP64 && p->out->ndims == 1);
    for (size_t j = 0; j < 5; j++) assert_string_equal(p->features[j], names[j]);
    wr_predictor_free(p);
    p = read_model("lgb_multiclass.txt", NULL);
    assert_true(p->out->ndims == 2 && p->out->shape[1] == 3);
    wr_predictor_free(p);
    p = read_model("lgb_multiclass.txt", "lightgbm.sklearn.LGBMClassifier");
    assert_true(p->out->ndims == 1 && p->out->type == WR_TENSOR_INT64);
    wr_predictor_free(p);
}

static void test_linear_trees(void **state)
{
    (void)state;
    WR_AUTOBUF wr_buf b = {0};
    wr_predictor *p = NULL;
    wr_err err = {0};
    file_read(&b, "lgb_linear.txt");
    assert_int_equal(wr_lightgbm_read(&p, wr_buf_view(&b), NULL, "model", &err), WEIR_EUNSUPPORTED);
    assert_string_equal(err.msg, "model: trees with linear models in their leaves are not read");
}

/* Windows line ends, what is not known, and no objective. */
static const char tiny[] = "tree\r\nversion=v3\r\nnum_class=1\r\nnum_tree_per_iteration=1\r\nmax_feature_idx=1\r\nnovelty=5\r\n\r\nTree=0\r\n"
                           "num_leaves=3\r\nnum_cat=1\r\nsplit_feature=0 1\r\nthreshold=0.5 0\r\ndecision_type=2 1\r\nleft_child=1 -1\r\n"
                           "right_child=-2 -3\r\nleaf_value=1 2 3\r\ncat_boundaries=0 1\r\ncat_threshold=5\r\n\r\nend of trees\r\n";

static double answer(wr_predictor *p, float x0, float x1)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    float row[2] = {x0, x1};
    wr_tensor in = {.type = WR_TENSOR_FP32, .ndims = 2, .shape = {1, 2}, .data = row}, out = {.type = WR_TENSOR_FP64};
    assert_int_equal(p->ops->run(p, &out, NULL, &in, a, NULL), 0);
    return *(double *)out.data;
}

static void test_tiny(void **state)
{
    (void)state;
    wr_predictor *p = NULL;
    wr_err err = {0};
    assert_int_equal(wr_lightgbm_read(&p, wr_str_of(tiny), NULL, "model", &err), 0);
    assert_true(answer(p, 1, 0) == 2 && answer(p, 0.5f, 0) == 1 && answer(p, 0, 2) == 1 && answer(p, 0, 1) == 3);
    assert_true(answer(p, 0, NAN) == 3 && answer(p, NAN, 2) == 1 && answer(p, 0, -0.9f) == 1 && answer(p, 0, -1) == 3 && answer(p, 0, 1e30f) == 3);
    assert_null(p->ops->explain); /* no counts */
    assert_null(p->features);
    wr_predictor_free(p);
}

static const struct { const char *from, *to; int code; const char *msg; } broken[] = {
    {"end of trees", "end", WEIR_ECORRUPT, "model: line 21: ends before \"end of trees\""},
    {"Tree=0", "Leaf=0", WEIR_ECORRUPT, NULL},
    {"max_feature_idx=1", "max_feature=1", WEIR_ECORRUPT, "model: line 8: the head does not say how many features there are"},
    {"max_feature_idx=1", "max_feature_idx=0", WEIR_ECORRUPT, "model: line 20: a node whose feature or kind is none"},
    {"max_feature_idx=1", "max_feature_idx=99999999", WEIR_ELIMIT, NULL},
    {"novelty=5", "objective=cubed", WEIR_EUNSUPPORTED, "model: the objective \"cubed\" is not known"},
    {"novelty=5", "objective=binary sigmoid:-1", WEIR_ECORRUPT, "model: line 8: a sigmoid that is not above 0"},
    {"novelty=5", "feature_names=a", WEIR_ECORRUPT, NULL},
    {"novelty=5", "feature_names=a b c", WEIR_ECORRUPT, NULL},
    {"num_class=1", "num_class=3", WEIR_ECORRUPT, "model: line 8: as many trees an iteration as classes are expected"},
    {"iteration=1", "iteration=2", WEIR_ECORRUPT, "model: line 20: an iteration that is not whole"},
    {"num_leaves=3", "num_leaves=0", WEIR_ELIMIT, NULL},
    {"num_leaves=3", "num_leaves=30000000", WEIR_ECORRUPT, "model: line 20: a tree with fewer values than leaves"},
    {"num_leaves=3", "num_leaves=2", WEIR_ECORRUPT, "model: tree before line 20: \"split_feature\" is not a list of 1 numbers"},
    {"num_leaves=3", "leaves=3", WEIR_ECORRUPT, NULL},
    {"threshold=0.5 0", "threshold=0.5 x", WEIR_ECORRUPT, "model: tree before line 20: \"threshold\" is not a list of 2 numbers"},
    {"threshold=0.5 0", "threshold=0.5 1", WEIR_ECORRUPT, "model: line 20: a set of categories that is not there"},
    {"threshold=0.5 0", "threshold=nan 0", WEIR_ECORRUPT, "model: forest: tree 0: a threshold is not a number"},
    {"decision_type=2 1", "decision_type=14 1", WEIR_ECORRUPT, "model: line 20: a kind of missing values that is not known"},
    {"decision_type=2 1", "decision_type=2 16", WEIR_ECORRUPT, "model: line 20: a node whose feature or kind is none"},
    {"left_child=1 -1", "left_child=0 -1", WEIR_ECORRUPT, "model: forest: tree 0: a node with two parents"},
    {"left_child=1 -1", "left_child=2 -1", WEIR_ECORRUPT, "model: line 20: a child that is not there"},
    {"left_child=1 -1", "left_child=1 -4", WEIR_ECORRUPT, "model: line 20: a child that is not there"},
    {"leaf_value=1 2 3", "leaf_value=1 2 nan", WEIR_ECORRUPT, "model: forest: tree 0: the value of a leaf is not a number"},
    {"cat_boundaries=0 1", "cat_boundaries=1 0", WEIR_ECORRUPT, NULL},
    {"cat_boundaries=0 1", "cat_boundaries=0 99999999", WEIR_ECORRUPT, "model: line 20: sets of categories that end nowhere"},
    {"cat_threshold=5", "cat_threshold=-5", WEIR_ECORRUPT, "model: line 20: a set of categories that is no set of bits"},
    {"num_cat=1", "num_cat=3000000", WEIR_ECORRUPT, "model: line 20: a tree with fewer sets of categories than it says"},
};

static void test_broken(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        WR_AUTOBUF wr_buf b = {0};
        wr_predictor *p = NULL;
        wr_err err = {0};
        const char *at = strstr(tiny, broken[i].from);
        assert_non_null(at);
        wr_buf_add(&b, tiny, (size_t)(at - tiny));
        wr_buf_str(&b, broken[i].to);
        wr_buf_str(&b, at + strlen(broken[i].from));
        int rc = wr_lightgbm_read(&p, wr_buf_view(&b), NULL, "model", &err);
        if (rc != broken[i].code || (broken[i].msg && strcmp(err.msg, broken[i].msg) != 0)) print_error("%s: %s\n", broken[i].to, err.msg);
        assert_int_equal(rc, broken[i].code);
        if (broken[i].msg) assert_string_equal(err.msg, broken[i].msg);
    }
}

static void test_cut_off(void **state)
{
    (void)state;
    WR_AUTOBUF wr_buf b = {0};
    file_read(&b, "lgb_categories.txt");
    for (size_t n = 0; n + 2 < b.n; n += n < 700 ? 1 : 37) {
        wr_predictor *p = NULL;
        assert_true(wr_lightgbm_read(&p, (wr_str){b.p, n}, NULL, "model", NULL) < 0);
    }
}

static void test_no_memory(void **state)
{
    (void)state;
    WR_AUTOBUF wr_buf b = {0};
    file_read(&b, "lgb_categories.txt");
    long n = 1;
    for (;; n++) {
        wr_predictor *p = NULL;
        wr_err err = {0};
        wr_fault_arm(WR_FAULT_ALLOC, n, false);
        int rc = wr_lightgbm_read(&p, wr_buf_view(&b), NULL, "model", &err);
        bool fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        wr_predictor_free(p);
        if (!fired) {
            assert_int_equal(rc, 0);
            break;
        }
        assert_int_equal(rc, WEIR_ENOMEM);
    }
    assert_true(n > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_models), cmocka_unit_test(test_facts),   cmocka_unit_test(test_linear_trees), cmocka_unit_test(test_tiny),
        cmocka_unit_test(test_broken), cmocka_unit_test(test_cut_off), cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
