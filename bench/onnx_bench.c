/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_bench.c - our executor of ONNX graphs against ONNX Runtime, one thread each, in turns in one process: a small
 * network and a forest, a row at a time and many. The models are written here from seeded numbers; both executors open
 * the same file, as a server does.
 *
 * Without ONNX Runtime there is nothing to compare with, and a note says so. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "base/rng.h"
#include "codec/protobuf.h"
#include "io/file.h"
#include "predict/format_onnx.h"
#include "predict/onnx_golden.h"
#include "predict/ort.h"

enum { FEATURES = 32, HIDDEN = 64, TREES = 100, DEPTH = 6, INNER = (1 << DEPTH) - 1, TURNS = 9 };

/* ---- models ---- */

static void put_value(wr_buf *b, uint32_t field, const char *name, uint64_t width)
{
    size_t at = wr_pbw_open(b, field), type, tensor, shape, dim;
    wr_pbw_str(b, 1, wr_str_of(name));
    type = wr_pbw_open(b, 2);
    tensor = wr_pbw_open(b, 1);
    wr_pbw_u64(b, 1, 1);
    shape = wr_pbw_open(b, 2);
    dim = wr_pbw_open(b, 1);
    wr_pbw_str(b, 2, WR_STR("N"));
    wr_pbw_close(b, dim);
    dim = wr_pbw_open(b, 1);
    wr_pbw_u64(b, 1, width);
    wr_pbw_close(b, dim);
    wr_pbw_close(b, shape);
    wr_pbw_close(b, tensor);
    wr_pbw_close(b, type);
    wr_pbw_close(b, at);
}

static void put_weights(wr_buf *b, const char *name, uint64_t rows, uint64_t cols, wr_rng *r)
{
    size_t at = wr_pbw_open(b, 5), raw;
    if (rows) wr_pbw_u64(b, 1, rows);
    wr_pbw_u64(b, 1, cols);
    wr_pbw_u64(b, 2, 1);
    wr_pbw_str(b, 8, wr_str_of(name));
    raw = wr_pbw_open(b, 9);
    for (uint64_t i = 0; i < (rows ? rows : 1) * cols; i++) {
        float x = (float)(wr_rng_normal(r) * 0.2);
        wr_buf_add(b, &x, sizeof x);
    }
    wr_pbw_close(b, raw);
    wr_pbw_close(b, at);
}

static void put_node(wr_buf *b, const char *op, const char *const *in, const char *out)
{
    size_t at = wr_pbw_open(b, 1);
    for (; *in; in++) wr_pbw_str(b, 1, wr_str_of(*in));
    wr_pbw_str(b, 2, wr_str_of(out));
    wr_pbw_str(b, 4, wr_str_of(op));
    wr_pbw_close(b, at);
}

static void put_set(wr_buf *b, const char *domain, uint64_t version)
{
    size_t at = wr_pbw_open(b, 8);
    wr_pbw_str(b, 1, wr_str_of(domain));
    wr_pbw_u64(b, 2, version);
    wr_pbw_close(b, at);
}

static void network(wr_buf *b)
{
    wr_rng r;
    wr_rng_init(&r, 3);
    wr_pbw_u64(b, 1, 8);
    size_t graph = wr_pbw_open(b, 7);
    put_node(b, "Gemm", (const char *const[]){"X", "w1", "b1", NULL}, "h1");
    put_node(b, "Relu", (const char *const[]){"h1", NULL}, "a1");
    put_node(b, "Gemm", (const char *const[]){"a1", "w2", "b2", NULL}, "h2");
    put_node(b, "Relu", (const char *const[]){"h2", NULL}, "a2");
    put_node(b, "Gemm", (const char *const[]){"a2", "w3", "b3", NULL}, "h3");
    put_node(b, "Sigmoid", (const char *const[]){"h3", NULL}, "Y");
    put_weights(b, "w1", FEATURES, HIDDEN, &r);
    put_weights(b, "b1", 0, HIDDEN, &r);
    put_weights(b, "w2", HIDDEN, HIDDEN, &r);
    put_weights(b, "b2", 0, HIDDEN, &r);
    put_weights(b, "w3", HIDDEN, 1, &r);
    put_weights(b, "b3", 0, 1, &r);
    put_value(b, 11, "X", FEATURES);
    put_value(b, 12, "Y", 1);
    wr_pbw_close(b, graph);
    put_set(b, "", 17);
}

typedef enum { TREE, NODE, FEATURE, YES, NO, TARGET } list_of;

static void put_ints(wr_buf *b, const char *name, list_of what, wr_rng *r)
{
    size_t at = wr_pbw_open(b, 5), list;
    wr_pbw_str(b, 1, wr_str_of(name));
    wr_pbw_u64(b, 20, 7);
    list = wr_pbw_open(b, 8);
    for (uint64_t t = 0; t < TREES; t++)
        for (uint64_t i = strncmp(name, "target", 6) == 0 ? INNER : 0; i < 2 * INNER + 1; i++) {
            bool leaf = i >= INNER;
            uint64_t child = leaf ? 0 : 2 * i + (what == YES ? 1 : 2);
            wr_pbw_varint(b, what == TREE      ? t
                             : what == NODE    ? i
                             : what == FEATURE ? wr_rng_below(r, FEATURES)
                             : what == TARGET  ? 0
                                               : child);
        }
    wr_pbw_close(b, list);
    wr_pbw_close(b, at);
}

static void put_floats(wr_buf *b, const char *name, uint64_t from, wr_rng *r)
{
    size_t at = wr_pbw_open(b, 5), list;
    wr_pbw_str(b, 1, wr_str_of(name));
    wr_pbw_u64(b, 20, 6);
    list = wr_pbw_open(b, 7);
    for (uint64_t i = 0; i < TREES; i++)
        for (uint64_t k = from; k < 2 * INNER + 1; k++) {
            float x = (float)wr_rng_normal(r);
            uint32_t bits;
            memcpy(&bits, &x, sizeof bits);
            wr_pbw_raw32(b, bits);
        }
    wr_pbw_close(b, list);
    wr_pbw_close(b, at);
}

static void forest(wr_buf *b)
{
    wr_rng r;
    wr_rng_init(&r, 4);
    wr_pbw_u64(b, 1, 8);
    size_t graph = wr_pbw_open(b, 7), node = wr_pbw_open(b, 1), at;
    wr_pbw_str(b, 1, WR_STR("X"));
    wr_pbw_str(b, 2, WR_STR("Y"));
    wr_pbw_str(b, 4, WR_STR("TreeEnsembleRegressor"));
    wr_pbw_str(b, 7, WR_STR("ai.onnx.ml"));
    put_ints(b, "nodes_treeids", TREE, &r);
    put_ints(b, "nodes_nodeids", NODE, &r);
    put_ints(b, "nodes_featureids", FEATURE, &r);
    put_ints(b, "nodes_truenodeids", YES, &r);
    put_ints(b, "nodes_falsenodeids", NO, &r);
    put_floats(b, "nodes_values", 0, &r);
    put_ints(b, "target_treeids", TREE, &r);
    put_ints(b, "target_nodeids", NODE, &r);
    put_ints(b, "target_ids", TARGET, &r);
    put_floats(b, "target_weights", INNER, &r);
    at = wr_pbw_open(b, 5);
    wr_pbw_str(b, 1, WR_STR("n_targets"));
    wr_pbw_u64(b, 3, 1);
    wr_pbw_u64(b, 20, 2);
    wr_pbw_close(b, at);
    at = wr_pbw_open(b, 5);
    wr_pbw_str(b, 1, WR_STR("nodes_modes"));
    wr_pbw_u64(b, 20, 8);
    for (int i = 0; i < TREES * (2 * INNER + 1); i++)
        wr_pbw_str(b, 9, i % (2 * INNER + 1) < INNER ? WR_STR("BRANCH_LEQ") : WR_STR("LEAF"));
    wr_pbw_close(b, at);
    wr_pbw_close(b, node);
    put_value(b, 11, "X", FEATURES);
    put_value(b, 12, "Y", 1);
    wr_pbw_close(b, graph);
    put_set(b, "", 17);
    put_set(b, "ai.onnx.ml", 3);
}

/* ---- measuring ---- */

static size_t scaled(size_t n)
{
    const char *text = getenv("WEIR_BENCH_SCALE");
    double scale = 1;
    if (text && wr_num_f64(&scale, wr_str_of(text), NULL) < 0) scale = 1;
    size_t out = (size_t)((double)n * scale);
    return out ? out : 1;
}

/* CPU nanoseconds a row. */
static double measure(const wr_predictor *p, const wr_tensor *in, size_t calls, wr_arena *a)
{
    wr_tensor out = {0};
    for (size_t i = 0; i < calls / 10 + 1; i++) {
        if (p->ops->run(p, &out, NULL, in, a, NULL) < 0) exit(2);
        wr_arena_clear(a);
    }
    double start = wr_clock_cpu_s();
    for (size_t i = 0; i < calls; i++) {
        if (p->ops->run(p, &out, NULL, in, a, NULL) < 0) exit(2);
        wr_arena_clear(a);
    }
    return (wr_clock_cpu_s() - start) * 1e9 / (double)calls / (double)in->shape[0];
}

static int by_size(const void *x, const void *y)
{
    return (*(const double *)x > *(const double *)y) - (*(const double *)x < *(const double *)y);
}

static void compare(const char *name, const wr_predictor *ours, const wr_predictor *theirs, size_t rows, size_t calls)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    double x[TURNS], y[TURNS];
    float *data = calloc(rows * FEATURES, sizeof *data);
    wr_tensor in = {.type = WR_TENSOR_FP32,
                    .ndims = 2,
                    .shape = {(int64_t)rows, FEATURES},
                    .count = rows * FEATURES,
                    .data = data},
              one = {0}, two = {0};
    wr_rng r;
    wr_rng_init(&r, 9);
    if (!a || !data) exit(2);
    for (size_t i = 0; i < rows * FEATURES; i++) data[i] = (float)wr_rng_normal(&r);
    if (ours->ops->run(ours, &one, NULL, &in, a, NULL) < 0 || theirs->ops->run(theirs, &two, NULL, &in, a, NULL) < 0 ||
        !wr_tensor_agree(&one, &two, 1e-5)) {
        (void)fprintf(stderr, "onnx_bench: the two do not agree on \"%s\"\n", name);
        exit(1);
    }
    for (int t = 0; t < TURNS; t++) {
        x[t] = measure(ours, &in, scaled(calls), a);
        y[t] = measure(theirs, &in, scaled(calls), a);
    }
    qsort(x, TURNS, sizeof *x, by_size);
    qsort(y, TURNS, sizeof *y, by_size);
    printf("{\"name\":\"onnx: %s\",\"unit\":\"ns/row\",\"ours\":%.6g,\"peer\":\"ONNX "
           "Runtime\",\"theirs\":%.6g,\"ratio\":%.3g,\"how\":\"CPU time of one thread, median of %d turns, ONNX "
           "Runtime %s\"}\n",
           name, x[TURNS / 2], y[TURNS / 2], y[TURNS / 2] / x[TURNS / 2], TURNS, wr_ort_version());
    free(data);
}

static wr_predictor *open_one(const char *path, wr_onnx_executor e)
{
    wr_predictor *p = NULL;
    wr_err err;
    if (wr_onnx_open(&p, path, e, &err) == 0) return p;
    (void)fprintf(stderr, "onnx_bench: %s: %s\n", err.msg, err.detail);
    exit(2);
}

static void model(const char *what, void (*put)(wr_buf *), const char *path, size_t single_calls, size_t many_rows,
                  size_t many_calls)
{
    WR_AUTOBUF wr_buf b;
    char name[128];
    wr_buf_init(&b, 0);
    put(&b);
    if (b.failed || wr_file_write(path, wr_buf_view(&b), NULL) < 0) exit(2);
    wr_predictor *ours = open_one(path, WR_ONNX_WEIR), *theirs = open_one(path, WR_ONNX_ORT);
    (void)snprintf(name, sizeof name, "%s, one row a call", what);
    compare(name, ours, theirs, 1, single_calls);
    (void)snprintf(name, sizeof name, "%s, %zu rows a call", what, many_rows);
    compare(name, ours, theirs, many_rows, many_calls);
    wr_predictor_free(ours);
    wr_predictor_free(theirs);
}

int main(void)
{
    wr_err err;
    char path[] = "/tmp/weir-bench-XXXXXX.onnx";
    if (wr_ort_load(&err) < 0) {
        printf("{\"name\":\"onnx\",\"skipped\":\"ONNX Runtime is not there\"}\n");
        return 0;
    }
    int fd = mkstemps(path, 5);
    if (fd < 0) return 2;
    close(fd);
    model("network 32-64-64-1", network, path, 20000, 256, 1000);
    model("100 trees of depth 6", forest, path, 20000, 10000, 10);
    (void)unlink(path);
    return 0;
}
