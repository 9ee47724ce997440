/* SPDX-License-Identifier: Apache-2.0 */
/* format_onnx_test.c - ONNX files as predictors: which executor, what it says of itself, and that both answer the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/pool.h"
#include "io/file.h"
#include "predict/format_onnx.h"
#include "predict/onnx_golden.h"
#include "predict/onnx_testing.h"
#include "predict/ort.h"
#include "predict/repository.h"

#define TRITON WEIR_SOURCE_DIR "/tests/triton/models/"

static wr_predictor *open_as(const char *path, wr_onnx_executor e)
{
    wr_predictor *p = NULL;
    wr_err err = {0};
    int rc = wr_onnx_open(&p, path, e, &err);
    if (rc < 0) fail_msg("%s: %s: %s", path, err.msg, err.detail);
    return p;
}

static bool have_ort(void) { return wr_ort_load(NULL) == 0; }

static wr_tensor tensor(wr_tensor_type t, int64_t rows, int64_t cols, void *data)
{
    return (wr_tensor){.type = t, .ndims = 2, .shape = {rows, cols}, .count = (size_t)(rows * cols), .data = data};
}

/* ---- the models of Triton's examples ---- */

static void check_simple(const char *name, wr_onnx_executor e)
{
    wr_predictor *p = open_as(name, e);
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    int32_t x[32], y[32];
    for (int i = 0; i < 32; i++) {
        x[i] = i;
        y[i] = 100 - 3 * i;
    }
    wr_tensor in[2] = {tensor(WR_TENSOR_INT32, 2, 16, x), tensor(WR_TENSOR_INT32, 2, 16, y)}, out[2] = {0};
    assert_true(p->nin == 2 && p->nout == 2 && p->rows);
    assert_string_equal(p->in[1].name, "INPUT1");
    assert_true(p->in[0].ndims == 2 && p->in[0].shape[0] == -1 && p->in[0].shape[1] == 16 && p->out[1].shape[1] == 16);
    assert_int_equal(p->ops->run(p, out, NULL, in, a, NULL), 0);
    for (int i = 0; i < 32; i++) {
        assert_int_equal(((int32_t *)out[0].data)[i], x[i] + y[i]);
        assert_int_equal(((int32_t *)out[1].data)[i], x[i] - y[i]);
    }
    assert_true(wr_str_is(out[1].name, "OUTPUT1") && out[0].shape[0] == 2);
    wr_predictor_free(p);
}

static void check_string(const char *path, wr_onnx_executor e)
{
    wr_predictor *p = open_as(path, e);
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_str x[16], y[16];
    wr_err err = {0};
    for (int i = 0; i < 16; i++) {
        x[i] = wr_str_of(wr_arena_printf(a, "%d", i));
        y[i] = WR_STR("1");
    }
    wr_tensor in[2] = {tensor(WR_TENSOR_BYTES, 1, 16, x), tensor(WR_TENSOR_BYTES, 1, 16, y)}, out[2] = {0};
    assert_int_equal(p->ops->run(p, out, NULL, in, a, NULL), 0);
    assert_true(wr_str_is(((wr_str *)out[0].data)[9], "10") && wr_str_is(((wr_str *)out[1].data)[0], "-1"));
    y[3] = WR_STR("one");
    assert_true(p->ops->run(p, out, NULL, in, a, &err) < 0);
    assert_true(err.msg[0] != 0);
    wr_predictor_free(p);
}

static void test_triton_models(void **state)
{
    (void)state;
    for (wr_onnx_executor e = WR_ONNX_AUTO; e <= WR_ONNX_ORT; e++) {
        if (e == WR_ONNX_ORT && !have_ort()) continue;
        check_simple(TRITON "simple/1/model.onnx", e);
        check_string(TRITON "simple_string/1/model.onnx", e);
    }
}

static void test_strings_pass_whole(void **state)
{
    (void)state;
    for (wr_onnx_executor e = WR_ONNX_WEIR; e <= WR_ONNX_ORT; e++) {
        if (e == WR_ONNX_ORT && !have_ort()) continue;
        wr_predictor *p = open_as(TRITON "simple_identity/1/model.onnx", e);
        WR_AUTOARENA wr_arena *a = wr_arena_new(0);
        wr_str x[3] = {WR_STR("a\0b"), WR_STR(""), WR_STR("\xff\xfe")};
        wr_tensor in = tensor(WR_TENSOR_BYTES, 1, 3, x), out = {0};
        assert_int_equal(p->ops->run(p, &out, NULL, &in, a, NULL), 0);
        assert_true(wr_tensor_agree(&in, &out, 0));
        in = tensor(WR_TENSOR_BYTES, 0, 3, x);
        assert_int_equal(p->ops->run(p, &out, NULL, &in, a, NULL), 0);
        assert_int_equal(out.count, 0);
        wr_predictor_free(p);
    }
}

/* ---- the choice ---- */

static void test_choice(void **state)
{
    (void)state;
    wr_predictor *p = open_as(TRITON "simple/1/model.onnx", WR_ONNX_AUTO);
    assert_string_equal(p->platform, "weir_onnx");
    wr_predictor_free(p);
    assert_int_equal(setenv("WEIR_ONNX_EXECUTOR", "onnxruntime", 1), 0);
    wr_err err = {0};
    int rc = wr_onnx_open(&p, TRITON "simple/1/model.onnx", WR_ONNX_AUTO, &err);
    if (have_ort()) {
        assert_int_equal(rc, 0);
        assert_string_equal(p->platform, "onnxruntime_onnx");
        wr_predictor_free(p);
    } else {
        assert_int_equal(rc, WEIR_EUNAVAILABLE);
        assert_true(err.hint[0] != 0);
    }
    assert_int_equal(setenv("WEIR_ONNX_EXECUTOR", "tensorflow", 1), 0);
    assert_int_equal(wr_onnx_open(&p, TRITON "simple/1/model.onnx", WR_ONNX_AUTO, &err), WEIR_EINVAL);
    assert_int_equal(unsetenv("WEIR_ONNX_EXECUTOR"), 0);
}

static void write_text(const char *dir, const char *name, const char *text)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(wr_file_write(path, wr_str_of(text), NULL), 0);
}

/* The parameter of a model's configuration, in a repository. */
static void test_choice_by_configuration(void **state)
{
    (void)state;
    char dir[] = "/tmp/weir-onnx-XXXXXX", path[256];
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/m/1", dir);
    assert_int_equal(wr_file_mkdirs(path, NULL), 0);
    (void)snprintf(path, sizeof path, "%s/m/1/model.onnx", dir);
    assert_int_equal(wr_file_copy(TRITON "simple/1/model.onnx", path, NULL), 0);
    (void)snprintf(path, sizeof path, "%s/m", dir);
    static const struct {
        const char *value, *platform;
    } cases[] = {{"weir", "weir_onnx"}, {"onnxruntime", "onnxruntime_onnx"}, {"jax", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (i == 1 && !have_ort()) continue;
        char config[256];
        wr_repository *r = NULL;
        wr_instance *m = NULL;
        (void)snprintf(config, sizeof config,
                       "max_batch_size: 8 parameters { key: \"executor\" value { string_value: \"%s\" } }",
                       cases[i].value);
        write_text(path, "config.pbtxt", config);
        assert_int_equal(wr_repository_open(&r, &(wr_repository_opt){.dir = dir}, NULL), 0);
        int rc = wr_repository_load(r, WR_STR("m"), (wr_str){0}, NULL);
        assert_int_equal(rc, cases[i].platform ? 0 : WEIR_EINVAL);
        if (rc == 0) {
            assert_int_equal(wr_repository_take(&m, r, WR_STR("m"), (wr_str){0}, NULL), 0);
            assert_string_equal(m->predictor->platform, cases[i].platform);
            wr_instance_give(m);
        }
        wr_repository_close(r);
    }
    assert_int_equal(wr_file_remove_tree(dir, NULL), 0);
}

/* Test data that our answers do not match: ONNX Runtime's turn. */
static void test_choice_by_test_data(void **state)
{
    (void)state;
    char dir[] = "/tmp/weir-onnx-XXXXXX", path[256];
    static const char *const files[] = {"model.onnx", "test_data_set_0/input_0.pb", "test_data_set_0/output_0.pb"};
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/test_data_set_0", dir);
    assert_int_equal(wr_file_mkdirs(path, NULL), 0);
    for (int right = 1; right >= 0; right--) {
        wr_predictor *p = NULL;
        wr_err err = {0};
        for (size_t i = 0; i < 3; i++) { /* the answers of another model of the same inputs */
            const char *model = i < 2 || right ? "mlp_regressor" : "pca_ridge";
            char from[512];
            (void)snprintf(from, sizeof from, WEIR_SOURCE_DIR "/tests/reference/onnx/%s/%s", model, files[i]);
            (void)snprintf(path, sizeof path, "%s/%s", dir, files[i]);
            assert_int_equal(wr_file_copy(from, path, NULL), 0);
        }
        (void)snprintf(path, sizeof path, "%s/model.onnx", dir);
        int rc = wr_onnx_open(&p, path, WR_ONNX_AUTO, &err);
        assert_int_equal(rc, right || have_ort() ? 0 : WEIR_EUNSUPPORTED);
        if (rc == 0) assert_string_equal(p->platform, right ? "weir_onnx" : "onnxruntime_onnx");
        wr_predictor_free(p);
    }
    assert_int_equal(wr_file_remove_tree(dir, NULL), 0);
}

/* ---- pipelines of scikit-learn and XGBoost ---- */

#define MODELS WEIR_SOURCE_DIR "/tests/reference/onnx/"

/* ops that are ONNX Runtime's alone: subgraphs */
static const char *const theirs[] = {"neighbours"};

static bool is_theirs(const char *name)
{
    for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++)
        if (strcmp(name, theirs[i]) == 0) return true;
    return false;
}

/* Tensors what_0.pb, what_1.pb, ... of a model's test data. */
static size_t test_data(wr_tensor *out, const char *name, const char *what, wr_arena *a)
{
    size_t n = 0;
    for (; n < WR_CASE_OPERANDS; n++) {
        char *path = wr_arena_printf(a, MODELS "%s/test_data_set_0/%s_%zu.pb", name, what, n);
        WR_AUTOBUF wr_buf b;
        wr_buf_init(&b, 0);
        if (!wr_file_exists(path)) break;
        assert_int_equal(wr_file_read(&b, path, 1 << 24, NULL), 0);
        wr_str bytes = wr_arena_str(a, wr_buf_view(&b));
        assert_int_equal(wr_onnx_tensor_read(&out[n], bytes, a, NULL), 0);
    }
    return n;
}

static bool check_model(const char *name, wr_onnx_executor e, const char *platform)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_tensor in[WR_CASE_OPERANDS], expected[WR_CASE_OPERANDS], out[WR_CASE_OPERANDS] = {0};
    size_t nin = test_data(in, name, "input", a), nout = test_data(expected, name, "output", a);
    wr_predictor *p = open_as(wr_arena_printf(a, MODELS "%s/model.onnx", name), e);
    wr_err err = {0};
    bool ok = p->nin == nin && p->nout == nout && nout > 0 && p->rows && strcmp(p->platform, platform) == 0;
    if (p->ops->run(p, out, NULL, in, a, &err) < 0) ok = false;
    for (size_t i = 0; ok && i < nout; i++) {
        ok = wr_tensor_agree(&out[i], &expected[i], 1e-5) && out[i].type == p->out[i].type &&
             out[i].ndims == p->out[i].ndims;
        for (int d = 0; ok && d < out[i].ndims; d++)
            ok = p->out[i].shape[d] == -1 || p->out[i].shape[d] == out[i].shape[d];
    }
    if (!ok) print_message("%s: %s, rows %d, %s %s\n", name, p->platform, p->rows, err.msg, err.detail);
    wr_predictor_free(p);
    return ok;
}

static void test_pipelines(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char **names;
    size_t n, wrong = 0, seen = 0;
    assert_int_equal(wr_file_list(&names, &n, a, MODELS, NULL), 0);
    for (size_t i = 0; i < n; i++) {
        if (strchr(names[i], '.')) continue; /* ops.bin, README.md */
        seen++;
        if (!is_theirs(names[i])) wrong += !check_model(names[i], WR_ONNX_AUTO, "weir_onnx");
        if (have_ort()) wrong += !check_model(names[i], WR_ONNX_ORT, "onnxruntime_onnx");
        if (have_ort() && is_theirs(names[i])) wrong += !check_model(names[i], WR_ONNX_AUTO, "onnxruntime_onnx");
    }
    assert_true(seen > 20);
    assert_int_equal(wrong, 0);
}

static void test_labels_and_features(void **state)
{
    (void)state;
    wr_predictor *p = open_as(MODELS "logistic/model.onnx", WR_ONNX_WEIR);
    assert_true(p->nout == 2 && p->out[0].labels == NULL && p->out[1].nlabels == 3 && p->out[1].ndims == 2 &&
                p->out[1].shape[1] == 3);
    assert_string_equal(p->out[1].labels[1], "versicolor");
    wr_predictor_free(p);
    p = open_as(MODELS "forest_two/model.onnx", WR_ONNX_WEIR);
    assert_true(p->out[1].nlabels == 2 && p->features == NULL);
    assert_string_equal(p->out[1].labels[1], "1");
    wr_predictor_free(p);
    p = open_as(MODELS "columns_one_hot/model.onnx", WR_ONNX_WEIR);
    assert_int_equal(p->nfeatures, 5);
    assert_string_equal(p->features[2], "city");
    wr_predictor_free(p);
}

/* ---- out of memory, many threads ---- */

/* Each allocation of opening and answering fails once: an error, nothing kept, and the next time all is well. */
static void test_no_memory(void **state)
{
    (void)state;
    static const char *const names[] = {"columns_one_hot", "columns_ordinal", "forest", "mlp", "xgboost_three"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        WR_AUTOARENA wr_arena *a = wr_arena_new(0);
        wr_tensor in[WR_CASE_OPERANDS], out[WR_CASE_OPERANDS];
        (void)test_data(in, names[k], "input", a);
        char *path = wr_arena_printf(a, MODELS "%s/model.onnx", names[k]);
        bool fired = true;
        for (long n = 1; fired; n++) {
            wr_predictor *p = NULL;
            wr_err err = {0};
            WR_AUTOARENA wr_arena *room = wr_arena_new(0);
            wr_fault_arm(WR_FAULT_ALLOC, n, false);
            int rc = wr_onnx_open(&p, path, WR_ONNX_WEIR, &err);
            if (rc == 0) {
                rc = p->ops->run(p, out, NULL, in, room, &err);
                wr_predictor_free(p);
            }
            fired = wr_fault_fired(WR_FAULT_ALLOC);
            wr_fault_arm(WR_FAULT_ALLOC, 0, false);
            if (rc < 0 && rc != WEIR_ENOMEM) fail_msg("%s, allocation %ld: %s", names[k], n, err.msg);
            assert_true(fired || rc == 0);
        }
    }
}

typedef struct {
    const wr_predictor *p;
    const wr_tensor *in, *expected;
    size_t nout;
    atomic_int wrong;
} shared;

static void answer_once(void *ctx, size_t index)
{
    shared *s = ctx;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_tensor out[WR_CASE_OPERANDS] = {0};
    (void)index;
    bool ok = s->p->ops->run(s->p, out, NULL, s->in, a, NULL) == 0;
    for (size_t i = 0; ok && i < s->nout; i++) ok = wr_tensor_agree(&out[i], &s->expected[i], 1e-5);
    if (!ok) atomic_fetch_add(&s->wrong, 1);
}

static void test_many_threads(void **state)
{
    (void)state;
    wr_pool *pool = wr_pool_new(4);
    assert_non_null(pool);
    for (wr_onnx_executor e = WR_ONNX_WEIR; e <= WR_ONNX_ORT; e++) {
        if (e == WR_ONNX_ORT && !have_ort()) continue;
        WR_AUTOARENA wr_arena *a = wr_arena_new(0);
        wr_tensor in[WR_CASE_OPERANDS], expected[WR_CASE_OPERANDS];
        (void)test_data(in, "columns_one_hot", "input", a);
        wr_predictor *p = open_as(MODELS "columns_one_hot/model.onnx", e);
        shared s = {
            .p = p, .in = in, .expected = expected, .nout = test_data(expected, "columns_one_hot", "output", a)};
        wr_pool_for(pool, 400, answer_once, &s);
        assert_int_equal(atomic_load(&s.wrong), 0);
        wr_predictor_free(p);
    }
    wr_pool_free(pool);
}

/* ---- ONNX Runtime itself, and the recorded answers ---- */

static void test_onnx_runtime_answers_as_recorded(void **state)
{
    (void)state;
    if (!have_ort()) skip();
    WR_AUTOBUF wr_buf file;
    wr_buf_init(&file, 0);
    assert_int_equal(wr_file_read(&file, WEIR_SOURCE_DIR "/tests/reference/onnx/ops.bin", 1 << 24, NULL), 0);
    wr_pb r, sub;
    wr_pb_field f;
    size_t wrong = 0;
    wr_pb_init(&r, wr_buf_view(&file));
    for (size_t k = 0; wr_pb_next(&r, &f); k++) {
        WR_AUTOARENA wr_arena *a = wr_arena_new(0);
        wr_onnx_case c;
        wr_onnx_model *m = NULL;
        wr_ort *s = NULL;
        wr_err err = {0};
        wr_tensor out[WR_CASE_OPERANDS] = {0};
        if (k % 9) continue; /* sessions take their time */
        wr_pb_enter(&sub, &r, &f);
        assert_true(wr_onnx_case_read(&c, &sub, a));
        assert_int_equal(wr_onnx_model_read(&m, c.model, NULL, &err), 0);
        int rc = wr_ort_open(&s, m, &err);
        if (rc == 0) rc = wr_ort_run(s, out, NULL, c.in, a, &err);
        bool ok = (rc == 0) == (c.nout > 0);
        for (size_t i = 0; ok && i < c.nout; i++) ok = wr_tensor_agree(&out[i], &c.out[i], 1e-5);
        if (!ok) print_message("%.*s: %s %s\n", WR_STR_FMT(c.name), err.msg, err.detail);
        wrong += !ok;
        wr_ort_free(s);
        wr_onnx_model_free(m);
    }
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_triton_models),
        cmocka_unit_test(test_strings_pass_whole),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_choice_by_configuration),
        cmocka_unit_test(test_choice_by_test_data),
        cmocka_unit_test(test_pipelines),
        cmocka_unit_test(test_labels_and_features),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_many_threads),
        cmocka_unit_test(test_onnx_runtime_answers_as_recorded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
