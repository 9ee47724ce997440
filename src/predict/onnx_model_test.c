/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_model_test.c - the reader: all of a real file, broken ones at every byte, external data inside and outside of
 * the folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "codec/protobuf.h"
#include "io/file.h"
#include "predict/graph.h"
#include "predict/onnx_model.h"
#include "predict/ort.h"

#define MODELS WEIR_SOURCE_DIR "/tests/reference/onnx/"

static void test_a_real_file(void **state)
{
    (void)state;
    wr_onnx_model *m = NULL;
    wr_err err;
    assert_int_equal(wr_onnx_model_open(&m, MODELS "logistic/model.onnx", &err), 0);
    assert_true(m->ir_version >= 3 && m->opset >= 7 && m->opset_ml >= 1 && wr_str_is(m->producer, "skl2onnx"));
    assert_true(m->nin == 1 && m->nout == 2 && m->nnodes >= 4);
    assert_true(wr_str_is(m->in[0].name, "X") && m->in[0].kind == WR_ONNX_TENSOR && m->in[0].type == WR_TENSOR_FP32);
    assert_true(m->in[0].ndims == 2 && m->in[0].shape[0] == -1 && m->in[0].shape[1] == 4);
    assert_true(m->out[1].kind == WR_ONNX_MAPS && m->out[1].type == WR_TENSOR_FP32);
    const wr_onnx_attr *a = NULL;
    for (size_t i = 0; i < m->nnodes && !a; i++) a = wr_onnx_attr_find(&m->nodes[i], "classlabels_strings");
    assert_true(a && a->n == 3 && wr_str_is(a->strings[2], "virginica"));
    assert_null(wr_onnx_attr_find(&m->nodes[0], "no such thing"));

    WR_AUTOARENA wr_arena *mem = wr_arena_new(0); /* without its maps */
    wr_str plain;
    wr_onnx_model *p = NULL;
    assert_int_equal(wr_onnx_model_plain(&plain, m, mem, &err), 0);
    assert_int_equal(wr_onnx_model_read(&p, plain, NULL, &err), 0);
    assert_true(p->nnodes == m->nnodes && p->nout == 2 && p->out[1].kind == WR_ONNX_TENSOR && p->out[1].ndims == 2);
    for (size_t i = 0; i < p->nnodes; i++) assert_false(wr_str_is(p->nodes[i].op, "ZipMap"));
    wr_onnx_model_free(p);
    wr_onnx_model_free(m);
}

static void load(wr_buf *b, const char *path)
{
    wr_buf_init(b, 0);
    assert_int_equal(wr_file_read(b, path, 1 << 24, NULL), 0);
}

/* A file that is cut or has one byte changed is read or refused; nothing else. What is read may be tried. */
static void test_broken_files(void **state)
{
    (void)state;
    static const char *const files[] = {MODELS "mlp/model.onnx", MODELS "xgboost_three/model.onnx",
                                        MODELS "columns_one_hot/model.onnx"};
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        WR_AUTOBUF wr_buf b = {0};
        size_t refused = 0;
        load(&b, files[k]);
        for (size_t i = 0; i < 2 * b.n; i++) {
            bool cut = i < b.n;
            size_t at = cut ? i : i - b.n, n = cut ? at : b.n;
            char *copy = malloc(n + 1); /* exactly so long that a sanitizer sees a step too far */
            wr_onnx_model *m = NULL;
            wr_graph *g = NULL;
            wr_err err = {0};
            memcpy(copy, b.p, n);
            if (!cut) copy[at] = (char)(copy[at] ^ 0x41);
            copy = realloc(copy, n ? n : 1);
            int rc = wr_onnx_model_read(&m, (wr_str){copy, n}, NULL, &err);
            if (rc == 0) rc = wr_graph_new(&g, m, 1 << 20, &err);
            if (rc < 0) {
                refused++;
                assert_true(rc == WEIR_ECORRUPT || rc == WEIR_EUNSUPPORTED || rc == WEIR_ELIMIT || rc == WEIR_EINVAL ||
                            rc == WEIR_EPARSE);
                assert_true(err.code == rc && err.msg[0]);
            }
            wr_graph_free(g);
            wr_onnx_model_free(m);
            free(copy);
        }
        assert_true(refused > b.n);
    }
}

static int code_of(wr_str bytes)
{
    wr_onnx_model *m = NULL;
    int rc = wr_onnx_model_read(&m, bytes, NULL, NULL);
    wr_onnx_model_free(m);
    return rc;
}

static void test_what_is_no_model(void **state)
{
    (void)state;
    assert_int_equal(code_of(WR_STR("")), WEIR_ECORRUPT);
    assert_int_equal(code_of(WR_STR("{\"learner\":{}}")), WEIR_ECORRUPT);
    assert_int_equal(code_of(WR_STR("\x80\x04\x95")), WEIR_ECORRUPT); /* a pickle */
    assert_int_equal(code_of(WR_STR("\x08\x07")), WEIR_ECORRUPT);     /* a version and no graph */
}

/* ---- models made by hand ---- */

static void put_value(wr_buf *b, uint32_t field, const char *name)
{
    size_t at = wr_pbw_open(b, field), type, tensor;
    wr_pbw_str(b, 1, wr_str_of(name));
    type = wr_pbw_open(b, 2);
    tensor = wr_pbw_open(b, 1);
    wr_pbw_u64(b, 1, 1);
    wr_pbw_close(b, tensor);
    wr_pbw_close(b, type);
    wr_pbw_close(b, at);
}

static void put_node(wr_buf *b, const char *op, const char *x, const char *y, const char *z)
{
    size_t at = wr_pbw_open(b, 1);
    wr_pbw_str(b, 1, wr_str_of(x));
    if (y) wr_pbw_str(b, 1, wr_str_of(y));
    wr_pbw_str(b, 2, wr_str_of(z));
    wr_pbw_str(b, 4, wr_str_of(op));
    wr_pbw_close(b, at);
}

static void put_pair(wr_buf *b, const char *key, const char *value)
{
    size_t at = wr_pbw_open(b, 13);
    wr_pbw_str(b, 1, wr_str_of(key));
    wr_pbw_str(b, 2, wr_str_of(value));
    wr_pbw_close(b, at);
}

typedef struct {
    const char *location, *offset, *length;
    int64_t dims[9];
    int ndims;
} weights;

/* y = x + w, w of floats in another file or, without location, zeros in raw form. */
static uint64_t ir = 8, opset = 17; /* of the models below */

static void put_model(wr_buf *b, const weights *w, const char *from)
{
    wr_pbw_u64(b, 1, ir);
    size_t graph = wr_pbw_open(b, 7), t, set;
    put_node(b, "Add", from, "w", "y");
    t = wr_pbw_open(b, 5);
    for (int d = 0; d < w->ndims; d++) wr_pbw_i64(b, 1, w->dims[d]);
    wr_pbw_u64(b, 2, 1);
    wr_pbw_str(b, 8, WR_STR("w"));
    if (w->location) {
        put_pair(b, "location", w->location);
        if (w->offset) put_pair(b, "offset", w->offset);
        if (w->length) put_pair(b, "length", w->length);
        wr_pbw_u64(b, 14, 1);
    } else {
        wr_pbw_str(b, 9, WR_STR("\0\0\0\0\0\0\0\0"));
    }
    wr_pbw_close(b, t);
    put_value(b, 11, "x");
    put_value(b, 12, "y");
    wr_pbw_close(b, graph);
    set = wr_pbw_open(b, 8);
    wr_pbw_u64(b, 2, opset);
    wr_pbw_close(b, set);
}

static int read_weights(wr_onnx_model **out, const weights *w, const char *from, const char *dir, wr_err *err)
{
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    put_model(&b, w, from);
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/model.onnx", dir);
    assert_int_equal(wr_file_write(path, wr_buf_view(&b), NULL), 0);
    return wr_onnx_model_open(out, path, err);
}

static int code_of_weights(const weights *w, const char *dir)
{
    wr_onnx_model *m = NULL;
    wr_err err = {0};
    int rc = read_weights(&m, w, "x", dir, &err);
    if (rc < 0) assert_true(err.msg[0]);
    wr_onnx_model_free(m);
    return rc;
}

static void test_external_data(void **state)
{
    (void)state;
    char dir[] = "/tmp/weir-onnx-XXXXXX", path[4096], inner[64];
    float values[4] = {1, 2, 3, 4};
    assert_non_null(mkdtemp(dir));
    (void)snprintf(inner, sizeof inner, "%s/model", dir);
    (void)snprintf(path, sizeof path, "%s/sub", inner);
    assert_int_equal(wr_file_mkdirs(path, NULL), 0);
    (void)snprintf(path, sizeof path, "%s/sub/w.bin", inner);
    assert_int_equal(wr_file_write(path, (wr_str){(const char *)values, sizeof values}, NULL), 0);
    (void)snprintf(path, sizeof path, "%s/outside.bin", dir);
    assert_int_equal(wr_file_write(path, (wr_str){(const char *)values, sizeof values}, NULL), 0);
    (void)snprintf(path, sizeof path, "%s/link.bin", inner);
    assert_int_equal(symlink("../outside.bin", path), 0);

    wr_onnx_model *m = NULL;
    wr_err err = {0};
    assert_int_equal(read_weights(&m, &(weights){"sub/w.bin", "4", "8", {2}, 1}, "x", inner, &err), 0);
    assert_true(m->has_external && m->init[0].count == 2 && ((float *)m->init[0].data)[0] == 2 &&
                ((float *)m->init[0].data)[1] == 3);
    if (wr_ort_load(NULL) == 0) { /* finds the same file */
        wr_ort *s = NULL;
        WR_AUTOARENA wr_arena *a = wr_arena_new(0);
        float ten[2] = {10, 20};
        wr_tensor in = {.type = WR_TENSOR_FP32, .ndims = 1, .shape = {2}, .count = 2, .data = ten}, out = {0};
        if (wr_ort_open(&s, m, &err) < 0) fail_msg("%s: %s", err.msg, err.detail);
        assert_int_equal(wr_ort_run(s, &out, NULL, &in, a, NULL), 0);
        assert_true(((float *)out.data)[0] == 12 && ((float *)out.data)[1] == 23);
        wr_ort_free(s);
    }
    wr_onnx_model_free(m);

    static const weights bad[] = {
        {"../outside.bin", NULL, NULL, {4}, 1},
        {"sub/../../outside.bin", NULL, NULL, {4}, 1},
        {"link.bin", NULL, NULL, {4}, 1},
        {"/etc/passwd", NULL, NULL, {4}, 1},
        {"", NULL, NULL, {4}, 1},
        {"sub", NULL, NULL, {4}, 1},
        {"sub/w.bin", "12", NULL, {4}, 1},
        {"sub/w.bin", NULL, "12", {4}, 1},
        {"sub/w.bin", "-4", NULL, {1}, 1},
        {"sub/w.bin", "9999999999", NULL, {1}, 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (code_of_weights(&bad[i], inner) != WEIR_ECORRUPT) fail_msg("%s", bad[i].location);
    assert_int_equal(code_of_weights(&(weights){"sub/none.bin", NULL, NULL, {4}, 1}, inner), WEIR_ENOTFOUND);
    assert_int_equal(code_of_weights(&(weights){"sub/w.bin", NULL, NULL, {1 << 20, 1 << 20}, 2}, inner), WEIR_ELIMIT);
    assert_int_equal(wr_file_remove_tree(dir, NULL), 0);
}

static int code_of_graph(const weights *w, const char *from)
{
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    put_model(&b, w, from);
    wr_onnx_model *m = NULL;
    wr_graph *g = NULL;
    int rc = wr_onnx_model_read(&m, wr_buf_view(&b), NULL, NULL);
    if (rc == 0) rc = wr_graph_new(&g, m, 0, NULL);
    wr_graph_free(g);
    wr_onnx_model_free(m);
    return rc;
}

static void test_shapes_and_names(void **state)
{
    (void)state;
    assert_int_equal(code_of_graph(&(weights){NULL, NULL, NULL, {2}, 1}, "x"), 0);
    assert_int_equal(code_of_graph(&(weights){NULL, NULL, NULL, {3}, 1}, "x"),
                     WEIR_ECORRUPT); /* 8 bytes are 2 floats */
    assert_int_equal(code_of_graph(&(weights){NULL, NULL, NULL, {-2}, 1}, "x"), WEIR_EINVAL);
    assert_int_equal(code_of_graph(&(weights){NULL, NULL, NULL, {1, 1, 1, 1, 1, 1, 1, 1, 2}, 9}, "x"),
                     WEIR_EUNSUPPORTED); /* nine dimensions */
    assert_int_equal(code_of_graph(&(weights){NULL, NULL, NULL, {INT64_MAX, 3}, 2}, "x"), WEIR_ELIMIT);
    assert_int_equal(code_of_graph(&(weights){"w.bin", NULL, NULL, {2}, 1}, "x"), WEIR_ECORRUPT); /* no folder */
    assert_int_equal(code_of_graph(&(weights){NULL, NULL, NULL, {2}, 1}, "nobody"), WEIR_ECORRUPT);
    assert_int_equal(code_of_graph(&(weights){NULL, NULL, NULL, {2}, 1}, "y"), WEIR_ECORRUPT); /* a circle */
}

/* Versions from the future: both executors say so, and what to do. */
static void test_versions(void **state)
{
    (void)state;
    for (int future_ir = 0; future_ir < 2; future_ir++) {
        WR_AUTOBUF wr_buf b = {0};
        wr_buf_init(&b, 0);
        ir = future_ir ? 99 : 8;
        opset = future_ir ? 17 : 99;
        put_model(&b, &(weights){NULL, NULL, NULL, {2}, 1}, "x");
        wr_onnx_model *m = NULL;
        wr_graph *g = NULL;
        wr_ort *s = NULL;
        wr_err err = {0};
        assert_int_equal(wr_onnx_model_read(&m, wr_buf_view(&b), NULL, NULL), 0);
        assert_int_equal(wr_graph_new(&g, m, 0, &err), WEIR_EUNSUPPORTED);
        assert_non_null(strstr(err.msg, "99"));
        if (wr_ort_load(NULL) == 0) {
            assert_int_equal(wr_ort_open(&s, m, &err), WEIR_EUNSUPPORTED);
            assert_non_null(strstr(err.detail, "99"));
            assert_non_null(strstr(err.hint, "export"));
        }
        wr_onnx_model_free(m);
    }
    ir = 8;
    opset = 17;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_real_file),      cmocka_unit_test(test_broken_files),
        cmocka_unit_test(test_what_is_no_model), cmocka_unit_test(test_external_data),
        cmocka_unit_test(test_shapes_and_names), cmocka_unit_test(test_versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
