/* SPDX-License-Identifier: Apache-2.0 */
/* graph_test.c - our executor against ONNX Runtime's recorded answers, op by op; what it refuses; rows alone and
 * together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "io/file.h"
#include "predict/graph.h"
#include "predict/graph_gemm.h"
#include "predict/graph_inside.h"
#include "predict/onnx_golden.h"
#include "predict/onnx_testing.h"

static void print_tensor(const char *what, const wr_tensor *t)
{
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    wr_buf_printf(&b, "  %s: %s [", what, wr_tensor_type_name(t->type));
    for (int d = 0; d < t->ndims; d++) wr_buf_printf(&b, "%s%lld", d ? "," : "", (long long)t->shape[d]);
    wr_buf_str(&b, "] ");
    if (t->type != WR_TENSOR_FP16 && t->type != WR_TENSOR_BF16) wr_tensor_write_json(&b, t);
    print_message("%.800s\n", wr_buf_cstr(&b));
}

static bool answers(const wr_onnx_case *c, const wr_onnx_model *m, wr_arena *a, wr_err *err)
{
    wr_tensor out[WR_CASE_OPERANDS] = {0};
    wr_graph *g = NULL;
    bool ok = false;
    assert_true(m->nin == c->nin && (c->nout == 0 || m->nout == c->nout));
    int rc = wr_graph_new(&g, m, 0, err);
    if (rc == 0) rc = wr_graph_run(g, out, NULL, c->in, a, err);
    if (c->nout == 0) {
        ok = rc == WEIR_EINVAL || rc == WEIR_EPARSE;
    } else if (rc == 0) {
        ok = true;
        for (size_t i = 0; i < c->nout; i++) {
            if (wr_tensor_agree(&out[i], &c->out[i], 1e-5)) continue;
            ok = false;
            print_tensor("ours", &out[i]);
            print_tensor("theirs", &c->out[i]);
        }
    }
    wr_graph_free(g);
    return ok;
}

static void test_ops_answer_as_onnx_runtime(void **state)
{
    (void)state;
    WR_AUTOBUF wr_buf file;
    wr_buf_init(&file, 0);
    assert_int_equal(wr_file_read(&file, WEIR_SOURCE_DIR "/tests/reference/onnx/ops.bin", 1 << 24, NULL), 0);
    wr_pb r, sub;
    wr_pb_field f;
    size_t n = 0, wrong = 0;
    wr_pb_init(&r, wr_buf_view(&file));
    for (; wr_pb_next(&r, &f); n++) {
        WR_AUTOARENA wr_arena *a = wr_arena_new(0);
        wr_onnx_case c;
        wr_onnx_model *m = NULL;
        wr_err err = {0};
        wr_pb_enter(&sub, &r, &f);
        assert_true(wr_onnx_case_read(&c, &sub, a));
        int rc = wr_onnx_model_read(&m, c.model, NULL, &err);
        if (rc < 0 || !answers(&c, m, a, &err)) {
            print_message("%.*s: %s %s\n", WR_STR_FMT(c.name), err.msg, err.detail);
            wrong++;
        }
        wr_onnx_model_free(m);
    }
    assert_int_equal(wr_pb_end(&r, "ops.bin", NULL), 0);
    assert_true(n > 400);
    assert_int_equal(wrong, 0);
}

/* ---- the kernels of the products ---- */

static void test_gemm_kernels_agree(void **state)
{
    (void)state;
    static const size_t sizes[][3] = {{1, 1, 1},   {1, 32, 64},  {1, 64, 65}, {2, 7, 17},  {6, 9, 16},
                                      {7, 33, 31}, {13, 5, 100}, {1, 3, 49},  {12, 64, 1}, {3, 0, 5}};
    wr_rng rng;
    wr_rng_init(&rng, 5);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        size_t m = sizes[s][0], k = sizes[s][1], n = sizes[s][2];
        float *a = calloc(m * k + 1, sizeof *a), *b = calloc(k * n + 1, sizeof *b), *bias = calloc(n, sizeof *bias),
              *p = calloc(wr_gemm_packed(k, n) + 1, sizeof *p);
        float *x = calloc(m * n, sizeof *x), *y = calloc(m * n, sizeof *y), *row = calloc(n, sizeof *row);
        assert_true(a && b && bias && p && x && y && row);
        for (size_t i = 0; i < m * k; i++) a[i] = (float)wr_rng_normal(&rng);
        for (size_t i = 0; i < k * n; i++) b[i] = (float)wr_rng_normal(&rng);
        for (size_t i = 0; i < n; i++) bias[i] = (float)wr_rng_normal(&rng);
        wr_gemm_pack(p, b, k, n, n, 1, 1);
        for (int after = 0; after < 2; after++) {
            wr_gemm(x, a, p, bias, m, k, n, (wr_gemm_after)after);
            wr_gemm_scalar(y, a, p, bias, m, k, n, (wr_gemm_after)after);
            for (size_t i = 0; i < m * n; i++) {
                double exact = (double)bias[i % n], size = fabs(exact);
                for (size_t l = 0; l < k; l++) {
                    exact += (double)a[i / n * k + l] * (double)b[l * n + i % n];
                    size += fabs((double)a[i / n * k + l] * (double)b[l * n + i % n]);
                }
                if (after && exact < 0) exact = 0;
                assert_true(fabs((double)x[i] - exact) <= 1e-6 * size && fabs((double)y[i] - exact) <= 1e-6 * size);
            }
            for (size_t i = 0; i < m; i++) { /* a row alone has the same bits */
                wr_gemm(row, a + i * k, p, bias, 1, k, n, (wr_gemm_after)after);
                assert_memory_equal(row, x + i * n, n * sizeof *row);
            }
        }
        free(a), free(b), free(bias), free(p), free(x), free(y), free(row);
    }
}

/* ---- what users are told ---- */

static void test_every_op_is_in_the_docs(void **state)
{
    (void)state;
    static const wr_graph_op *const families[] = {wr_graph_math_ops,   wr_graph_shape_ops, wr_graph_reduce_ops,
                                                  wr_graph_matmul_ops, wr_graph_cast_ops,  wr_graph_learn_ops,
                                                  wr_graph_encode_ops, wr_graph_trees_ops, wr_graph_vectors_ops};
    WR_AUTOBUF wr_buf docs = {0};
    wr_buf_init(&docs, 0);
    assert_int_equal(wr_file_read(&docs, WEIR_SOURCE_DIR "/docs/onnx.md", 1 << 20, NULL), 0);
    for (size_t i = 0; i < docs.n; i++)
        if (docs.p[i] == ',' || docs.p[i] == '\n') docs.p[i] = ' ';
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        for (const wr_graph_op *op = families[i]; op->name; op++) {
            char word[64];
            (void)snprintf(word, sizeof word, " %s ", op->name);
            if (!strstr(docs.p, word)) fail_msg("docs/onnx.md does not name %s", op->name);
            assert_true(wr_graph_knows(op->ml ? WR_STR("ai.onnx.ml") : WR_STR(""), wr_str_of(op->name)));
        }
    assert_false(wr_graph_knows(WR_STR(""), WR_STR("Conv")));
    assert_false(wr_graph_knows(WR_STR("com.microsoft"), WR_STR("Add")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ops_answer_as_onnx_runtime),
        cmocka_unit_test(test_gemm_kernels_agree),
        cmocka_unit_test(test_every_op_is_in_the_docs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
