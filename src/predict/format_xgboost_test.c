/* SPDX-License-Identifier: Apache-2.0 */
/* format_xgboost_test.c - models of XGBoost 1.7 and 3.2 against what it answers (tests/reference/forest_xgboost.py), and broken files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/fault.h"
#include "predict/forest_format_testing.h"

static const char *const models[] = {
    "squarederror", "logistic", "base",     "reglogistic", "logitraw",   "hinge",    "softprob",      "softmax", "poisson",    "gamma",
    "tweedie",      "cox",      "aft",      "pairwise",    "ndcg",       "absolute", "pseudohuber",   "targets", "squaredlog", "multilabel",
    "parallel",     "dart",     "linear",   "linearclasses", "onehot",   "categories",
};
static const char *const new_models[] = {"quantile", "vector"};
static const char *const binary_models[] = {"squarederror", "logistic", "softprob", "dart", "categories"};

static wr_predictor *read_model(const char *file, const char *as)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_predictor *p = NULL;
    wr_err err = {0};
    file_read(&b, file);
    int rc = wr_xgboost_read(&p, wr_buf_view(&b), as, "model", &err);
    if (rc < 0) print_error("%s: %s\n", file, err.msg);
    assert_int_equal(rc, 0);
    return p;
}

static void check_file(const char *version, const char *name, const char *ending)
{
    char stem[128], file[160];
    (void)snprintf(stem, sizeof stem, "%s_%s", version, name);
    (void)snprintf(file, sizeof file, "%s%s", stem, ending);
    wr_predictor *p = read_model(file, NULL);
    check_model(stem, p, 1e-6, 1e-5);
    wr_predictor_free(p);
}

static void test_models(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        check_file("xgb17", models[i], ".json");
        check_file("xgb32", models[i], ".json");
    }
    for (size_t i = 0; i < sizeof new_models / sizeof *new_models; i++) check_file("xgb32", new_models[i], ".json");
    check_file("xgb32", "vector", ".ubj");
    for (size_t i = 0; i < sizeof binary_models / sizeof *binary_models; i++) {
        check_file("xgb17", binary_models[i], ".ubj");
        check_file("xgb32", binary_models[i], ".ubj");
    }
}

static void test_facts(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", "c d", "e\"", "\xc3\xa9"};
    wr_predictor *p = read_model("xgb17_squarederror.ubj", NULL);
    assert_string_equal(p->platform, "xgboost_json");
    assert_true(p->rows && p->nin == 1 && p->nout == 1 && p->memory > 1000);
    assert_string_equal(p->in->name, "input");
    assert_true(p->in->lenient && p->in->type == WR_TENSOR_FP32 && p->in->ndims == 2 && p->in->shape[0] == -1 && p->in->shape[1] == 5);
    assert_true(p->out->type == WR_TENSOR_FP32 && p->out->ndims == 1 && p->out->shape[0] == -1);
    assert_int_equal(p->nfeatures, 5);
    for (size_t j = 0; j < 5; j++) assert_string_equal(p->features[j], names[j]);
    wr_predictor_free(p);
    p = read_model("xgb17_softprob.ubj", NULL);
    assert_null(p->features);
    assert_true(p->out->ndims == 2 && p->out->shape[1] == 3);
    wr_predictor_free(p);
}

/* As classifiers of scikit-learn's kind answer: classes. */
static void check_labels(const char *name, const char *as, bool classes)
{
    char file[160];
    (void)snprintf(file, sizeof file, "%s.json", name);
    expected e = expected_of(name);
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_predictor *p = read_model(file, as);
    wr_err err;
    assert_int_equal(p->out->type, WR_TENSOR_INT64);
    for (size_t i = 0; i < e.rows; i++) {
        float row[8];
        const double *want = expected_row(&e, i) + e.features + e.margins;
        for (size_t j = 0; j < e.features; j++) row[j] = (float)expected_row(&e, i)[j];
        wr_tensor in = {.type = WR_TENSOR_FP32, .ndims = 2, .shape = {1, (int64_t)e.features}, .data = row}, out = {.type = WR_TENSOR_INT64};
        assert_int_equal(p->ops->run(p, &out, NULL, &in, a, &err), 0);
        assert_int_equal(out.count, classes ? 1 : e.outputs);
        int64_t best = 0;
        for (size_t k = 0; k < e.outputs; k++) {
            if (want[k] > want[best]) best = (int64_t)k;
            if (!classes) assert_int_equal(((int64_t *)out.data)[k], want[k] > 0.5);
        }
        if (classes) assert_int_equal(((int64_t *)out.data)[0], e.outputs > 1 ? best : (int64_t)want[0]);
    }
    wr_predictor_free(p);
    free(e.numbers);
}

static void test_labels(void **state)
{
    (void)state;
    check_labels("xgb17_logistic", "xgboost.sklearn.XGBClassifier", false);
    check_labels("xgb32_softprob", "xgboost.sklearn.XGBClassifier", true);
    check_labels("xgb17_softmax", "xgboost.sklearn.XGBClassifier", true);
    check_labels("xgb32_multilabel", "xgboost.sklearn.XGBRFClassifier", false);
    wr_predictor *p = read_model("xgb17_logistic.json", "xgboost.core.Booster");
    assert_int_equal(p->out->type, WR_TENSOR_FP32);
    wr_predictor_free(p);
}

/* An MLflow model says what its object was; a bare file answers as its booster. */
static void test_mlflow_folder(void **state)
{
    (void)state;
    char dir[] = WEIR_BINARY_DIR "/xgboost-folder-XXXXXX", path[512];
    WR_AUTOBUF wr_buf b = {0};
    wr_predictor *p = NULL;
    wr_err err = {0};
    assert_non_null(mkdtemp(dir));
    file_read(&b, "xgb32_softprob.ubj");
    (void)snprintf(path, sizeof path, "%s/model.ubj", dir);
    assert_int_equal(wr_file_write(path, wr_buf_view(&b), &err), 0);
    assert_int_equal(wr_predictor_open(&p, dir, &err), 0);
    assert_true(p->out->type == WR_TENSOR_FP32 && p->out->ndims == 2);
    wr_predictor_free(p);
    (void)snprintf(path, sizeof path, "%s/MLmodel", dir);
    wr_str text = WR_STR("flavors:\n  python_function:\n    data: model.ubj\n    loader_module: mlflow.xgboost\n  xgboost:\n    code: null\n"
                         "    data: model.ubj\n    model_class: xgboost.sklearn.XGBClassifier\n    model_format: ubj\n    xgb_version: 3.2.0\n");
    assert_int_equal(wr_file_write(path, text, &err), 0);
    assert_int_equal(wr_predictor_open(&p, dir, &err), 0);
    assert_true(p->out->type == WR_TENSOR_INT64 && p->out->ndims == 1);
    wr_predictor_free(p);
    assert_int_equal(wr_file_remove_tree(dir, &err), 0);
}

static void replace(wr_buf *b, const char *from, const char *to)
{
    const char *at = memmem(b->p, b->n, from, strlen(from));
    assert_non_null(at);
    wr_buf copy = {0};
    wr_buf_add(&copy, b->p, (size_t)(at - b->p));
    wr_buf_str(&copy, to);
    wr_buf_add(&copy, at + strlen(from), b->n - (size_t)(at - b->p) - strlen(from));
    wr_buf_fini(b);
    *b = copy;
}

static const char tiny[] =
    "{\"learner\":{\"attributes\":{\"best_iteration\":\"0\"},\"feature_names\":[],\"gradient_booster\":{\"model\":{\"gbtree_model_param\":"
    "{\"num_parallel_tree\":\"1\"},\"tree_info\":[0,0],\"trees\":["
    "{\"categories\":[],\"categories_nodes\":[],\"categories_segments\":[],\"categories_sizes\":[],\"default_left\":[1,0,0],\"left_children\":"
    "[1,-1,-1],\"right_children\":[2,-1,-1],\"split_conditions\":[0.5,1,2],\"split_indices\":[1,0,0],\"split_type\":[0,0,0],\"sum_hessian\":"
    "[4,3,1],\"tree_param\":{\"size_leaf_vector\":\"0\"}},"
    "{\"default_left\":[false],\"left_children\":[-1],\"right_children\":[-1],\"split_conditions\":[10],\"split_indices\":[0]}"
    "]},\"name\":\"gbtree\"},\"learner_model_param\":{\"base_score\":\"5E-1\",\"num_class\":\"0\",\"num_feature\":\"2\"},"
    "\"objective\":{\"name\":\"reg:squarederror\"}},\"version\":[1,7,4]}";

static double answer(wr_predictor *p, float x)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    float row[2] = {0, x};
    wr_tensor in = {.type = WR_TENSOR_FP32, .ndims = 2, .shape = {1, 2}, .data = row}, out = {.type = WR_TENSOR_FP32};
    assert_int_equal(p->ops->run(p, &out, NULL, &in, a, NULL), 0);
    return (double)*(float *)out.data;
}

static void test_tiny(void **state)
{
    (void)state;
    wr_predictor *p = NULL;
    wr_err err = {0};
    assert_int_equal(wr_xgboost_read(&p, wr_str_of(tiny), NULL, "model", &err), 0);
    assert_true(answer(p, 0) == 11.5 && answer(p, 0.5f) == 12.5 && answer(p, NAN) == 11.5);
    assert_non_null(p->ops->explain); /* a tree of one leaf needs no cover */
    wr_predictor_free(p);
    assert_int_equal(wr_xgboost_read(&p, wr_str_of(tiny), "xgboost.sklearn.XGBRegressor", "model", &err), 0);
    assert_true(answer(p, 0) == 1.5); /* the best round alone */
    wr_predictor_free(p);
}

static const struct { const char *from, *to; int code; const char *msg; } broken[] = {
    {"\"learner\"", "\"lerner\"", WEIR_ECORRUPT, NULL},
    {"\"num_feature\":\"2\"", "\"num_feature\":\"0\"", WEIR_ECORRUPT, "model: a model of no features"},
    {"\"num_feature\":\"2\"", "\"num_feature\":\"99999999\"", WEIR_ELIMIT, NULL},
    {"\"num_feature\":\"2\"", "\"num_feature\":\"1\"", WEIR_ECORRUPT, "model: forest: tree 0: a feature that the model does not have"},
    {"\"num_feature\":\"2\"", "\"num_feature\":\"x\"", WEIR_ECORRUPT, "model: \"num_feature\" is not a whole number"},
    {"\"num_class\":\"0\"", "\"num_class\":\"-1\"", WEIR_ELIMIT, "model: \"num_class\" is -1, 0 to 65536 are possible"},
    {"reg:squarederror", "reg:cubed", WEIR_EUNSUPPORTED, "model: the objective \"reg:cubed\" is not known"},
    {"reg:squarederror", "count:poisson\", \"x\":\"", 0, NULL},
    {"\"5E-1\"", "\"five\"", WEIR_ECORRUPT, "model: \"base_score\" is not a number"},
    {"\"5E-1\"", "\"[1,2]\"", WEIR_ECORRUPT, "model: \"base_score\" has more numbers than the model has outputs"},
    {"\"5E-1\"", "[1]", WEIR_ECORRUPT, "model: \"base_score\" is not a number"},
    {"\"5E-1\"", "\"nan\"", WEIR_ECORRUPT, "model: \"base_score\" lies outside what the objective can answer"},
    {"\"gbtree\"},\"learner_model", "\"gbforest\"},\"learner_model", WEIR_EUNSUPPORTED, "model: a booster that is not known"},
    {"\"gbtree\"},\"learner_model", "\"dart\"},\"learner_model", WEIR_ECORRUPT, NULL},
    {"\"gbtree\"},\"learner_model", "\"gblinear\"},\"learner_model", WEIR_ECORRUPT, "model: a linear model without weights"},
    {"\"tree_info\":[0,0]", "\"tree_info\":[0]", WEIR_ECORRUPT, "model: \"tree_info\" is not a list of 2"},
    {"\"tree_info\":[0,0]", "\"tree_info\":[0,1]", WEIR_ECORRUPT, "model: \"tree_info\" names a class that the model does not have"},
    {"[1,-1,-1]", "[0,-1,-1]", WEIR_ECORRUPT, "model: forest: tree 0: a node with two parents"},
    {"[1,-1,-1]", "[2,-1,-1]", WEIR_ECORRUPT, "model: forest: tree 0: a node with two parents"},
    {"[1,-1,-1]", "[7,-1,-1]", WEIR_ECORRUPT, "model: forest: tree 0: a child that is not there"},
    {"[1,-1,-1]", "[-5,-1,-1]", WEIR_ECORRUPT, "model: a tree whose children are not nodes"},
    {"[1,-1,-1]", "[1.5,-1,-1]", WEIR_ECORRUPT, "model: a tree whose children are not nodes"},
    {"[1,-1,-1]", "[\"1\",-1,-1]", WEIR_ECORRUPT, "model: a tree whose children are not nodes"},
    {"[0.5,1,2]", "[NaN,1,2]", WEIR_ECORRUPT, "model: forest: tree 0: a threshold is not a number"},
    {"[0.5,1,2]", "[0.5,NaN,2]", WEIR_ECORRUPT, "model: forest: tree 0: the value of a leaf is not a number"},
    {"[0.5,1,2]", "[0.5,1]", WEIR_ECORRUPT, "model: \"split_conditions\" is not a list of 3"},
    {"\"split_conditions\":[0.5", "\"split_c\":[0.5", WEIR_ECORRUPT, "model: a tree without its lists"},
    {"\"size_leaf_vector\":\"0\"", "\"size_leaf_vector\":\"2\"", WEIR_ECORRUPT, NULL},
    {"\"categories\":[],\"categories_nodes\":[],\"categories_segments\":[],\"categories_sizes\":[]",
     "\"categories\":[1],\"categories_nodes\":[0],\"categories_segments\":[0],\"categories_sizes\":[1]", WEIR_ECORRUPT,
     "model: categories of a node that has none"},
    {"\"feature_names\":[]", "\"feature_names\":[\"a\"]", WEIR_ECORRUPT, "model: \"feature_names\" has not one name for each feature"},
    {"\"feature_names\":[]", "\"feature_names\":[1,2]", WEIR_ECORRUPT, "model: a feature's name is not text"},
};

static const struct { const char *categories; int code; } sets[] = {
    {"\"categories\":[3],\"categories_nodes\":[0],\"categories_segments\":[0],\"categories_sizes\":[1]", 0},
    {"\"categories\":[3],\"categories_nodes\":[0],\"categories_segments\":[1],\"categories_sizes\":[1]", WEIR_ECORRUPT},
    {"\"categories\":[3],\"categories_nodes\":[0],\"categories_segments\":[0],\"categories_sizes\":[2]", WEIR_ECORRUPT},
    {"\"categories\":[3],\"categories_nodes\":[0,0],\"categories_segments\":[0,0],\"categories_sizes\":[1,1]", WEIR_ECORRUPT},
    {"\"categories\":[3],\"categories_nodes\":[9],\"categories_segments\":[0],\"categories_sizes\":[1]", WEIR_ECORRUPT},
    {"\"categories\":[-3],\"categories_nodes\":[0],\"categories_segments\":[0],\"categories_sizes\":[1]", WEIR_ECORRUPT},
    {"\"categories\":[99999999],\"categories_nodes\":[0],\"categories_segments\":[0],\"categories_sizes\":[1]", WEIR_ELIMIT},
};

static void test_broken(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        WR_AUTOBUF wr_buf b = {0};
        wr_predictor *p = NULL;
        wr_err err = {0};
        wr_buf_str(&b, tiny);
        replace(&b, broken[i].from, broken[i].to);
        int rc = wr_xgboost_read(&p, wr_buf_view(&b), NULL, "model", &err);
        if (rc != broken[i].code) print_error("%s: %s\n", broken[i].to, err.msg);
        assert_int_equal(rc, broken[i].code);
        if (broken[i].msg) assert_string_equal(err.msg, broken[i].msg);
        wr_predictor_free(p);
    }
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        WR_AUTOBUF wr_buf b = {0};
        wr_predictor *p = NULL;
        wr_buf_str(&b, tiny);
        replace(&b, broken[sizeof broken / sizeof *broken - 3].from, sets[i].categories);
        replace(&b, "\"split_type\":[0", "\"split_type\":[1");
        assert_int_equal(wr_xgboost_read(&p, wr_buf_view(&b), NULL, "model", NULL), sets[i].code);
        if (p) assert_true(answer(p, 3) == 12.5 && answer(p, 2) == 11.5 && answer(p, -1) == 11.5 && answer(p, NAN) == 11.5);
        wr_predictor_free(p);
    }
}

static void test_cut_off(void **state)
{
    (void)state;
    WR_AUTOBUF wr_buf b = {0};
    file_read(&b, "xgb32_categories.ubj");
    for (size_t n = 0; n < b.n; n += n < 400 ? 1 : 37) {
        wr_predictor *p = NULL;
        assert_true(wr_xgboost_read(&p, (wr_str){b.p, n}, NULL, "model", NULL) < 0);
    }
}

static void test_old_format(void **state)
{
    (void)state;
    wr_predictor *p = NULL;
    wr_err err = {0};
    assert_int_equal(wr_xgboost_read(&p, WR_STR("binf\x01\x02"), NULL, "model.xgb", &err), WEIR_EUNSUPPORTED);
    assert_string_equal(err.msg, "model.xgb: XGBoost's old binary format is not read");
    assert_non_null(strstr(err.hint, "save_model('model.json')"));
}

static void test_no_memory(void **state)
{
    (void)state;
    WR_AUTOBUF wr_buf b = {0};
    file_read(&b, "xgb32_categories.json");
    long n = 1;
    for (;; n++) {
        wr_predictor *p = NULL;
        wr_err err = {0};
        wr_fault_arm(WR_FAULT_ALLOC, n, false);
        int rc = wr_xgboost_read(&p, wr_buf_view(&b), NULL, "model", &err);
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
        cmocka_unit_test(test_models), cmocka_unit_test(test_facts),   cmocka_unit_test(test_labels),     cmocka_unit_test(test_tiny),
        cmocka_unit_test(test_broken), cmocka_unit_test(test_cut_off), cmocka_unit_test(test_old_format), cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_mlflow_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
