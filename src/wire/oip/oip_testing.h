/* SPDX-License-Identifier: Apache-2.0 */
/* oip_testing.h - models that need no files, for tests and fuzzing of the protocols: their answers follow from their
 * inputs.
 *
 *   identity models: output k is input k      simple, simple_string: sum and difference of two [n,16]
 *   late: an endpoint with lenient columns, whose score is km or 100, + 1000 when the time is missing; keeps
 * predictions under ids tree: FP32 [n,3] with named features -> FP64 "score" [n,2] = (a + 10 b + 100 c, NaN for a < 0);
 * explains whole: FP64 [-1] -> FP64 [] the sum       gone: known, not ready
 */
#pragma once
#include <math.h>
#include <stdio.h>

#include "base/num.h"
#include "wire/oip/rest.h"

typedef struct {
    wr_oip_model m;
    bool keeps;
    int (*run)(const wr_oip_model *m, wr_tensor *out, const wr_oip_infer *q, wr_arena *a, wr_err *err);
} oip_fake;

/* A request that was told to wait. */
typedef struct {
    wr_oip_result *out;
    const wr_oip_model *m;
    wr_oip_infer q;
    wr_arena *a;
    wr_err *err;
} oip_waiting;

typedef struct {
    bool ready;
    bool waits;            /* who may wait has to, for oip_go_on() */
    oip_waiting waiting;
    int held, fail, asked; /* fail: code of the next infer */
    wr_oip_infer q;        /* as it was asked last; valid while its arena is */
    char ids[8][160], loaded[64], config[256];
} oip_fakes;
static oip_fakes fake;

static const wr_tensor *oip_input(const wr_oip_infer *q, const char *name)
{
    for (size_t i = 0; i < q->nin; i++)
        if (wr_str_is(q->in[i].name, name)) return &q->in[i];
    return NULL;
}

static int oip_identity(const wr_oip_model *m, wr_tensor *out, const wr_oip_infer *q, wr_arena *a, wr_err *err)
{
    (void)a;
    for (size_t i = 0; i < m->nin; i++) {
        const wr_tensor *t = oip_input(q, m->in[i].name);
        if (!t)
            return wr_err_set(err, WEIR_EINVAL, "expected %zu inputs but got %zu inputs for model '%.*s'", m->nin,
                              q->nin, WR_STR_FMT(m->name));
        if (t->type != m->in[i].type)
            return wr_err_set(err, WEIR_EINVAL, "inference input '%s' data-type", m->in[i].name);
        out[i] = *t;
        out[i].name = wr_str_of(m->out[i].name);
    }
    return 0;
}

static int oip_simple(const wr_oip_model *m, wr_tensor *out, const wr_oip_infer *q, wr_arena *a, wr_err *err)
{
    WR_TRY(oip_identity(m, out, q, a, err));
    const int32_t *x = out[0].data, *y = out[1].data;
    if (out[0].count != out[1].count) return wr_err_set(err, WEIR_EINVAL, "sizes differ");
    for (int i = 0; i < 2; i++) WR_TRY(wr_tensor_alloc(&out[i], a, err));
    for (size_t i = 0; i < out[0].count; i++) {
        ((int32_t *)out[0].data)[i] = (int32_t)((uint32_t)x[i] + (uint32_t)y[i]);
        ((int32_t *)out[1].data)[i] = (int32_t)((uint32_t)x[i] - (uint32_t)y[i]);
    }
    return 0;
}

/* Sum and difference of numbers as texts. */
static int oip_strings(const wr_oip_model *m, wr_tensor *out, const wr_oip_infer *q, wr_arena *a, wr_err *err)
{
    WR_TRY(oip_identity(m, out, q, a, err));
    const wr_str *x = out[0].data, *y = out[1].data;
    if (out[0].count != out[1].count) return wr_err_set(err, WEIR_EINVAL, "sizes differ");
    for (int i = 0; i < 2; i++) WR_TRY(wr_tensor_alloc(&out[i], a, err));
    for (size_t i = 0; i < out[0].count; i++) {
        int64_t u, v;
        WR_TRY(wr_num_i64(&u, x[i], err));
        WR_TRY(wr_num_i64(&v, y[i], err));
        for (int k = 0; k < 2; k++) {
            uint64_t z = k ? (uint64_t)u - (uint64_t)v : (uint64_t)u + (uint64_t)v;
            char *text = wr_arena_printf(a, "%lld", (long long)z);
            if (!text) return wr_err_nomem(err);
            ((wr_str *)out[k].data)[i] = wr_str_of(text);
        }
    }
    return 0;
}

static int oip_late(const wr_oip_model *m, wr_tensor *out, const wr_oip_infer *q, wr_arena *a, wr_err *err)
{
    const wr_tensor *at = oip_input(q, "at"), *km = oip_input(q, "km"), *from = oip_input(q, "from");
    wr_tensor num;
    if (!at || !km || !from)
        return wr_err_set(err, WEIR_EINVAL, "expected 3 inputs but got %zu inputs for model 'late'", q->nin);
    WR_TRY(wr_tensor_convert(&num, km, WR_TENSOR_FP64, a, err));
    if (from->type != WR_TENSOR_BYTES || (at->type != WR_TENSOR_BYTES && at->type != WR_TENSOR_INT64) ||
        at->count != num.count || from->count != num.count)
        return wr_err_set(err, WEIR_EINVAL, "unexpected types or rows");
    for (size_t i = 0; i < 2; i++) {
        out[i] = (wr_tensor){.name = wr_str_of(m->out[i].name),
                             .type = m->out[i].type,
                             .ndims = 1,
                             .shape = {(int64_t)num.count},
                             .count = num.count};
        WR_TRY(wr_tensor_alloc(&out[i], a, err));
    }
    for (size_t i = 0; i < num.count; i++) {
        bool none = at->type == WR_TENSOR_INT64 ? ((int64_t *)at->data)[i] == INT64_MIN : !((wr_str *)at->data)[i].p;
        double v = ((double *)num.data)[i];
        v = (isnan(v) ? 100 : v) + (none ? 1000 : 0) + (((wr_str *)from->data)[i].p ? 0 : 10000);
        ((double *)out[0].data)[i] = v;
        ((int64_t *)out[1].data)[i] = v >= 5;
    }
    return 0;
}

static int oip_tree(const wr_oip_model *m, wr_tensor *out, const wr_oip_infer *q, wr_arena *a, wr_err *err)
{
    (void)m;
    if (q->nin != 1 || q->in[0].type != WR_TENSOR_FP32 || q->in[0].ndims != 2 || q->in[0].shape[1] != 3)
        return wr_err_set(err, WEIR_EINVAL, "unexpected shape for input 'input' for model 'tree'");
    const float *x = q->in[0].data;
    size_t n = q->in[0].count / 3;
    out[0] = (wr_tensor){
        .name = WR_STR("score"), .type = WR_TENSOR_FP64, .ndims = 2, .shape = {(int64_t)n, 2}, .count = n * 2};
    out[1] = (wr_tensor){.name = WR_STR("contributions"),
                         .type = WR_TENSOR_FP64,
                         .ndims = 3,
                         .shape = {(int64_t)n, 1, 4},
                         .count = n * 4};
    for (int i = 0; i < 2; i++) WR_TRY(wr_tensor_alloc(&out[i], a, err));
    for (size_t i = 0; i < n; i++, x += 3) {
        double *score = (double *)out[0].data + 2 * i, *told = (double *)out[1].data + 4 * i;
        score[0] = (double)x[0] + 10 * (double)x[1] + 100 * (double)x[2];
        score[1] = x[0] < 0 ? NAN : 1;
        for (int k = 0; k < 3; k++) told[k] = (double)x[k];
        told[3] = 0.5;
    }
    return 0;
}

static int oip_whole(const wr_oip_model *m, wr_tensor *out, const wr_oip_infer *q, wr_arena *a, wr_err *err)
{
    WR_TRY(oip_identity(m, out, q, a, err));
    wr_tensor x = out[0];
    out[0].ndims = 0;
    out[0].count = 1;
    WR_TRY(wr_tensor_alloc(&out[0], a, err));
    *(double *)out[0].data = 0;
    for (size_t i = 0; i < x.count; i++) *(double *)out[0].data += ((double *)x.data)[i];
    return 0;
}

#define OIP_IO(v, ...) static const wr_tensor_spec v[] = {__VA_ARGS__}
OIP_IO(oip_fp32, {.name = "INPUT0", .type = WR_TENSOR_FP32, .ndims = 2, .shape = {-1, -1}});
OIP_IO(oip_fp32_out, {.name = "OUTPUT0", .type = WR_TENSOR_FP32, .ndims = 2, .shape = {-1, -1}});
OIP_IO(oip_fp16, {.name = "INPUT0", .type = WR_TENSOR_FP16, .ndims = 3, .shape = {-1, -1, -1}});
OIP_IO(oip_fp16_out, {.name = "OUTPUT0", .type = WR_TENSOR_FP16, .ndims = 3, .shape = {-1, -1, -1}});
OIP_IO(oip_bytes, {.name = "INPUT0", .type = WR_TENSOR_BYTES, .ndims = 2, .shape = {-1, -1}});
OIP_IO(oip_bytes_out, {.name = "OUTPUT0", .type = WR_TENSOR_BYTES, .ndims = 2, .shape = {-1, -1}});
OIP_IO(oip_one, {.name = "INPUT0", .type = WR_TENSOR_BYTES, .ndims = 2, .shape = {-1, 1}});
OIP_IO(oip_int64, {.name = "INPUT0", .type = WR_TENSOR_INT64, .ndims = 2, .shape = {-1, 1}, .optional = true});
OIP_IO(oip_int64_out, {.name = "OUTPUT0", .type = WR_TENSOR_INT64, .ndims = 2, .shape = {-1, 1}});
OIP_IO(oip_pair, {.name = "INPUT0", .type = WR_TENSOR_INT32, .ndims = 2, .shape = {-1, 16}},
       {.name = "INPUT1", .type = WR_TENSOR_INT32, .ndims = 2, .shape = {-1, 16}});
OIP_IO(oip_pair_out, {.name = "OUTPUT0", .type = WR_TENSOR_INT32, .ndims = 2, .shape = {-1, 16}},
       {.name = "OUTPUT1", .type = WR_TENSOR_INT32, .ndims = 2, .shape = {-1, 16}});
OIP_IO(oip_text, {.name = "INPUT0", .type = WR_TENSOR_BYTES, .ndims = 2, .shape = {-1, 16}},
       {.name = "INPUT1", .type = WR_TENSOR_BYTES, .ndims = 2, .shape = {-1, 16}});
OIP_IO(oip_text_out, {.name = "OUTPUT0", .type = WR_TENSOR_BYTES, .ndims = 2, .shape = {-1, 16}},
       {.name = "OUTPUT1", .type = WR_TENSOR_BYTES, .ndims = 2, .shape = {-1, 16}});
OIP_IO(oip_late_in, {.name = "at", .type = WR_TENSOR_BYTES, .ndims = 1, .shape = {-1}, .lenient = true},
       {.name = "km", .type = WR_TENSOR_FP64, .ndims = 1, .shape = {-1}, .lenient = true},
       {.name = "from", .type = WR_TENSOR_BYTES, .ndims = 1, .shape = {-1}, .lenient = true});
OIP_IO(oip_late_out, {.name = "probability", .type = WR_TENSOR_FP64, .ndims = 1, .shape = {-1}},
       {.name = "label", .type = WR_TENSOR_INT64, .ndims = 1, .shape = {-1}});
OIP_IO(oip_tree_in, {.name = "input", .type = WR_TENSOR_FP32, .ndims = 2, .shape = {-1, 3}});
static const char *const oip_classes[] = {"low", "high"};
OIP_IO(oip_tree_out,
       {.name = "score", .type = WR_TENSOR_FP64, .ndims = 2, .shape = {-1, 2}, .labels = oip_classes, .nlabels = 2});
OIP_IO(oip_whole_in, {.name = "x", .type = WR_TENSOR_FP64, .ndims = 1, .shape = {-1}});
OIP_IO(oip_whole_out, {.name = "sum", .type = WR_TENSOR_FP64, .ndims = 0});
static const char *const oip_features[] = {"a", "b", "c"};

#define OIP_MODEL(n, i, o, ...)                                                                                        \
    {                                                                                                                  \
        .name = WR_STR(n), .version = WR_STR("3"), .platform = "fake", .in = i, .nin = sizeof i / sizeof *i, .out = o, \
        .nout = sizeof o / sizeof *o, __VA_ARGS__                                                                      \
    }
static const oip_fake oip_models[] = {
    {OIP_MODEL("fp32", oip_fp32, oip_fp32_out, .rows = true), false, oip_identity},
    {OIP_MODEL("fp16", oip_fp16, oip_fp16_out, .rows = true), false, oip_identity},
    {OIP_MODEL("bytes", oip_bytes, oip_bytes_out, .rows = true), false, oip_identity},
    {OIP_MODEL("one", oip_one, oip_bytes_out, .rows = true), false, oip_identity},
    {OIP_MODEL("int64", oip_int64, oip_int64_out, .rows = true), false, oip_identity},
    {OIP_MODEL("simple", oip_pair, oip_pair_out, .rows = true), false, oip_simple},
    {OIP_MODEL("simple_string", oip_text, oip_text_out, .rows = true), false, oip_strings},
    {OIP_MODEL("simple_identity", oip_bytes, oip_bytes_out, .rows = true), false, oip_identity},
    {OIP_MODEL("late", oip_late_in, oip_late_out, .rows = true), true, oip_late},
    {OIP_MODEL("tree", oip_tree_in, oip_tree_out, .rows = true, .explains = true, .features = oip_features,
               .nfeatures = 3, .explained = oip_features, .nexplained = 3),
     false, oip_tree},
    {OIP_MODEL("whole", oip_whole_in, oip_whole_out, .rows = false), false, oip_whole}};
enum { OIP_MODELS = sizeof oip_models / sizeof *oip_models };

/* ---- the table of functions ---- */

static bool oip_ready(void *ctx)
{
    (void)ctx;
    return fake.ready;
}

static int oip_model(void *ctx, wr_oip_model *out, wr_str name, wr_str version, wr_arena *a, wr_err *err)
{
    (void)ctx;
    (void)a;
    if (wr_str_is(name, "gone")) return wr_err_set(err, WEIR_EUNAVAILABLE, "model 'gone' was unloaded");
    for (size_t i = 0; i < OIP_MODELS; i++) {
        if (!wr_str_eq(name, oip_models[i].m.name)) continue;
        if (version.n && !wr_str_is(version, "3")) break;
        *out = oip_models[i].m;
        out->generation = i + 1;
        out->handle = (void *)(uintptr_t)&oip_models[i];
        fake.held++;
        return 0;
    }
    return wr_err_set(err, WEIR_ENOTFOUND, "no model '%.*s'", WR_STR_FMT(wr_str_fit(name, 100)));
}

static void oip_release(void *ctx, wr_oip_model *m)
{
    (void)ctx;
    (void)m;
    fake.held--;
}

static int oip_keep(wr_oip_result *out, const wr_oip_infer *q, wr_arena *a, wr_err *err)
{
    size_t n = out->out[0].count;
    wr_str *ids = wr_arena_alloc(a, (n + 1) * sizeof *ids);
    if (!ids) return wr_err_nomem(err);
    for (size_t i = 0; i < n; i++) {
        char *id = !q->id.n ? wr_arena_printf(a, "made-%zu", i)
                   : n == 1 ? wr_arena_printf(a, "%.*s", WR_STR_FMT(q->id))
                            : wr_arena_printf(a, "%.*s/%zu", WR_STR_FMT(q->id), i);
        if (!id) return wr_err_nomem(err);
        ids[i] = wr_str_of(id);
        if (i < 8) snprintf(fake.ids[i], sizeof fake.ids[i], "%s", id);
    }
    out->ids = ids;
    out->nids = n;
    out->kept = true;
    return 0;
}

static int oip_run(wr_oip_result *out, const wr_oip_model *m, const wr_oip_infer *q, wr_arena *a, wr_err *err)
{
    const oip_fake *f = m->handle;
    size_t all = m->nout + (q->explain != 0), n = 0;
    if (fake.fail) return wr_err_set(err, fake.fail, "Exceeds maximum queue size");
    wr_tensor *t = wr_arena_calloc(a, m->nout + 1, sizeof *t), *chosen = wr_arena_calloc(a, all + 1, sizeof *t);
    if (!t || !chosen) return wr_err_nomem(err);
    WR_TRY(f->run(m, t, q, a, err));
    for (size_t i = 0; i < q->noutputs; i++)
        for (size_t k = 0; k < all; k++)
            if (wr_str_eq(q->outputs[i], t[k].name)) chosen[n++] = t[k];
    out->out = q->noutputs ? chosen : t;
    out->nout = q->noutputs ? n : all;
    wr_oip_result kept = {.out = t};
    if (!f->keeps) return 0;
    WR_TRY(oip_keep(&kept, q, a, err));
    out->ids = kept.ids;
    out->nids = kept.nids;
    out->kept = true;
    return 0;
}

static int oip_infer(void *ctx, wr_oip_result *out, const wr_oip_model *m, const wr_oip_infer *q, wr_arena *a,
                     wr_err *err)
{
    (void)ctx;
    fake.asked++;
    fake.q = *q;
    if (!fake.waits || !q->done || q->explain) return oip_run(out, m, q, a, err);
    fake.waiting = (oip_waiting){out, m, *q, a, err};
    return 1;
}

static inline void oip_go_on(void)
{
    oip_waiting w = fake.waiting;
    fake.waiting = (oip_waiting){0};
    w.q.done(w.q.arg, oip_run(w.out, w.m, &w.q, w.a, w.err));
}

static int oip_index(void *ctx, wr_index_entry **out, size_t *n, wr_arena *a, wr_err *err)
{
    wr_index_entry *e = wr_arena_calloc(a, OIP_MODELS + 1, sizeof *e);
    if (!e) return wr_err_nomem(err);
    for (size_t i = 0; i < OIP_MODELS; i++)
        e[i] = (wr_index_entry){.name = oip_models[i].m.name, .version = WR_STR("3"), .state = WR_STR("READY")};
    e[OIP_MODELS] =
        (wr_index_entry){.name = WR_STR("gone"), .state = WR_STR("UNAVAILABLE"), .reason = WR_STR("unloaded")};
    *out = e;
    *n = OIP_MODELS + 1;
    if (ctx) { /* one model alone */
        *out = (wr_index_entry *)memcpy(&e[0], &e[OIP_MODELS - 2], sizeof *e);
        *n = 1;
    }
    return 0;
}

static int oip_load(void *ctx, wr_str name, wr_str config, wr_err *err)
{
    (void)ctx;
    if (wr_str_is(name, "wrong_model_name")) return wr_err_set(err, WEIR_ENOTFOUND, "no folder 'wrong_model_name'");
    if (config.n && config.p[0] != '{') return wr_err_set(err, WEIR_EINVAL, "the configuration is no object");
    snprintf(fake.loaded, sizeof fake.loaded, "%.*s", WR_STR_FMT(wr_str_fit(name, 60)));
    snprintf(fake.config, sizeof fake.config, "%.*s", WR_STR_FMT(wr_str_fit(config, 200)));
    return 0;
}

static int oip_unload(void *ctx, wr_str name, wr_err *err)
{
    (void)ctx;
    if (wr_str_is(name, "wrong_model_name")) return wr_err_set(err, WEIR_ENOTFOUND, "no model 'wrong_model_name'");
    fake.loaded[0] = 0;
    return 0;
}

static int oip_stats(void *ctx, wr_stats_entry **out, size_t *n, wr_str name, wr_str version, wr_arena *a, wr_err *err)
{
    static wr_model_stats stats = {.success = {2, 300}, .inferences = 5, .executions = 2, .last_ms = 77};
    wr_stats_entry *e = wr_arena_alloc(a, sizeof *e);
    (void)ctx;
    if (!e) return wr_err_nomem(err);
    if (name.n && !wr_str_is(name, "simple")) return wr_err_set(err, WEIR_ENOTFOUND, "not in service");
    if (version.n && !wr_str_is(version, "3")) return wr_err_set(err, WEIR_ENOTFOUND, "no such version");
    *e = (wr_stats_entry){WR_STR("simple"), WR_STR("3"), &stats};
    *out = e;
    *n = 1;
    return 0;
}

static const wr_oip_ops oip_ops = {.ready = oip_ready,
                                   .model = oip_model,
                                   .release = oip_release,
                                   .infer = oip_infer,
                                   .index = oip_index,
                                   .load = oip_load,
                                   .unload = oip_unload,
                                   .stats = oip_stats};
