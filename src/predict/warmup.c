/* SPDX-License-Identifier: Apache-2.0 */
/* warmup.c - a version proves itself before anybody is sent to it.
 *
 *   golden.json        beside the model file or in the model's folder: {"inputs": [...], "outputs": [...], "tolerance":
 * 1e-5}, tensors as in a request and an answer of the inference protocol. Other answers refuse the version.
 *   model_warmup       of the configuration: inputs of zeros or random numbers; a failure refuses the version
 *   neither            one row of zeros, whose failure says nothing
 */
#include <math.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/rng.h"
#include "io/file.h"
#include "predict/repository_inside.h"

enum { GOLDEN_MAX = 16 << 20, COUNT_MAX = 100, ELEMENTS_MAX = 1 << 22 };
static const double tolerance_otherwise = 1e-5;

/* ---- zeros and random numbers ---- */

static void fill_random(wr_tensor *t, wr_rng *rng)
{
    unsigned char *bytes = t->data;
    for (size_t i = 0; i < t->count; i++) {
        if (t->type == WR_TENSOR_FP32) ((float *)t->data)[i] = (float)wr_rng_f64(rng);
        else if (t->type == WR_TENSOR_FP64) ((double *)t->data)[i] = wr_rng_f64(rng);
        else if (t->type == WR_TENSOR_BOOL) bytes[i] = wr_rng_u64(rng) & 1;
    }
}

/* t has type and shape; its elements are zeros, or random where numbers are fractions; texts are empty, or missing where they may be (an empty
 * one is no category of a model that knows them). */
static int make(wr_tensor *t, wr_arena *a, const wr_tensor_spec *s, bool random, wr_rng *rng, wr_err *err)
{
    WR_TRY(wr_tensor_count(t, err));
    if (t->count > ELEMENTS_MAX)
        return wr_err_set(err, WEIR_ELIMIT, "a warm-up has more than %d elements", ELEMENTS_MAX);
    WR_TRY(wr_tensor_alloc(t, a, err));
    if (t->type != WR_TENSOR_BYTES && t->count) memset(t->data, 0, t->count * wr_tensor_type_size(t->type));
    for (size_t i = 0; t->type == WR_TENSOR_BYTES && !s->lenient && i < t->count; i++) ((wr_str *)t->data)[i] = WR_STR("");
    if (random) fill_random(t, rng);
    return 0;
}

static int run_once(const wr_instance *m, const wr_tensor *in, size_t n, wr_infer_answer *out, wr_arena *a, wr_err *err)
{
    wr_infer_request q = {.in = in, .nin = n};
    return wr_infer_plain(out, m, &q, a, err);
}

static int zeros(const wr_instance *m, wr_arena *a, wr_err *err)
{
    wr_rng rng = {{0}};
    wr_infer_answer out;
    wr_tensor *in = wr_arena_calloc(a, m->nin + 1, sizeof *in);
    size_t n = 0;
    if (!in) return wr_err_nomem(err);
    for (size_t i = 0; i < m->nin; i++) {
        const wr_tensor_spec *s = &m->in[i];
        if (s->optional) continue;
        in[n] = (wr_tensor){.name = wr_str_of(s->name), .type = s->type, .ndims = s->ndims};
        for (int d = 0; d < s->ndims; d++) in[n].shape[d] = s->shape[d] == -1 ? 1 : s->shape[d];
        WR_TRY(make(&in[n++], a, s, false, &rng, err));
    }
    return run_once(m, in, n, &out, a, err);
}

/* ---- what the configuration says ---- */

static int warm_input(wr_tensor *t, const wr_instance *m, const char *name, yyjson_val *v, int64_t batch, wr_rng *rng,
                      wr_arena *a, wr_err *err)
{
    yyjson_val *dims = yyjson_obj_get(v, "dims"), *d;
    size_t i, max;
    int at = 0;
    const wr_tensor_spec *s = NULL;
    for (size_t k = 0; k < m->nin; k++)
        if (strcmp(m->in[k].name, name) == 0) s = &m->in[k];
    if (!s) return wr_err_set(err, WEIR_EINVAL, "warm-up: the model has no input '%s'", name);
    if (yyjson_obj_get(v, "input_data_file"))
        return wr_err_set(err, WEIR_EUNSUPPORTED,
                          "warm-up: input '%s' has an input_data_file; use zero_data or random_data", name);
    *t = (wr_tensor){.name = wr_str_of(s->name), .type = s->type};
    if (m->config.max_batch > 0) t->shape[at++] = batch;
    if (yyjson_arr_size(dims) > WR_TENSOR_DIMS - 1)
        return wr_err_set(err, WEIR_ELIMIT, "warm-up: input '%s' has too many dims", name);
    yyjson_arr_foreach(dims, i, max, d) t->shape[at++] = yyjson_get_sint(d);
    t->ndims = at;
    return make(t, a, s, yyjson_is_true(yyjson_obj_get(v, "random_data")), rng, err);
}

static int warm_one(const wr_instance *m, yyjson_val *w, wr_arena *a, wr_err *err)
{
    yyjson_val *inputs = yyjson_obj_get(w, "inputs"), *key, *v;
    int64_t batch = yyjson_get_sint(yyjson_obj_get(w, "batch_size")),
            count = yyjson_get_sint(yyjson_obj_get(w, "count"));
    size_t i, max, n = 0;
    wr_infer_answer out;
    wr_rng rng;
    wr_rng_init(&rng, 1);
    wr_tensor *in = wr_arena_calloc(a, m->nin + 1, sizeof *in);
    if (!in) return wr_err_nomem(err);
    if (yyjson_obj_size(inputs) > m->nin)
        return wr_err_set(err, WEIR_EINVAL, "warm-up: more inputs than the model has");
    yyjson_obj_foreach(inputs, i, max, key, v)
        WR_TRY(warm_input(&in[n++], m, yyjson_get_str(key), v, batch > 1 ? batch : 1, &rng, a, err));
    if (count > COUNT_MAX) count = COUNT_MAX;
    do WR_TRY(run_once(m, in, n, &out, a, err));
    while (--count > 0);
    return 0;
}

static int configured(const wr_instance *m, yyjson_val *list, wr_arena *a, wr_err *err)
{
    size_t i, max;
    yyjson_val *w;
    if (yyjson_arr_size(list) > COUNT_MAX) return wr_err_set(err, WEIR_ELIMIT, "more than %d warm-ups", COUNT_MAX);
    yyjson_arr_foreach(list, i, max, w)
    {
        int rc = warm_one(m, w, a, err);
        if (rc < 0) return wr_err_wrap(err, rc, "warm-up %zu", i);
    }
    return 0;
}

/* ---- golden rows ---- */

static int golden_tensor(wr_tensor *t, yyjson_val *v, wr_arena *a, wr_err *err)
{
    WR_AUTOBUF wr_buf text = {0};
    wr_jsonw w;
    yyjson_val *shape, *data, *d;
    wr_str type;
    size_t i, max, used;
    *t = (wr_tensor){0};
    WR_TRY(wr_json_str(&t->name, v, "name", err));
    WR_TRY(wr_json_str(&type, v, "datatype", err));
    WR_TRY(wr_json_arr(&shape, v, "shape", err));
    WR_TRY(wr_json_arr(&data, v, "data", err));
    t->type = wr_tensor_type_parse(type);
    if (t->type == WR_TENSOR_NONE) return wr_err_set(err, WEIR_EINVAL, "\"%.*s\" is no data type", WR_STR_FMT(type));
    if (yyjson_arr_size(shape) > WR_TENSOR_DIMS)
        return wr_err_set(err, WEIR_ELIMIT, "more than %d dimensions", WR_TENSOR_DIMS);
    yyjson_arr_foreach(shape, i, max, d) t->shape[t->ndims++] = yyjson_get_sint(d);
    WR_TRY(wr_tensor_count(t, err));
    wr_jsonw_init(&w, &text, 0);
    wr_jsonw_val(&w, data);
    wr_str kept = wr_arena_str(a, wr_buf_view(&text)); /* texts point into it */
    if (text.failed || !kept.p) return wr_err_nomem(err);
    return wr_tensor_read_json(t, &used, kept, a, err);
}

static int golden_tensors(wr_tensor **out, size_t *n, yyjson_val *root, const char *key, wr_arena *a, wr_err *err)
{
    yyjson_val *list, *v;
    size_t i, max;
    WR_TRY(wr_json_arr(&list, root, key, err));
    *n = 0;
    *out = wr_arena_calloc(a, yyjson_arr_size(list) + 1, sizeof **out);
    if (!*out) return wr_err_nomem(err);
    yyjson_arr_foreach(list, i, max, v)
    {
        int rc = golden_tensor(&(*out)[*n], v, a, err);
        if (rc < 0) return wr_err_wrap(err, rc, "%s %zu", key, i);
        ++*n;
    }
    return 0;
}

static int differs(const wr_tensor *should, size_t at, wr_err *err)
{
    return wr_err_set(err, WEIR_ECORRUPT,
                      "output '%.*s', element %zu: the version answers otherwise than its golden rows",
                      WR_STR_FMT(should->name), at);
}

static int compare(const wr_tensor *is, const wr_tensor *should, double tolerance, wr_arena *a, wr_err *err)
{
    wr_tensor x, y;
    if (is->count != should->count) return differs(should, is->count < should->count ? is->count : should->count, err);
    if (is->type == WR_TENSOR_BYTES || should->type == WR_TENSOR_BYTES) {
        if (is->type != should->type) return differs(should, 0, err);
        for (size_t i = 0; i < is->count; i++)
            if (!wr_str_eq(((const wr_str *)is->data)[i], ((const wr_str *)should->data)[i]))
                return differs(should, i, err);
        return 0;
    }
    WR_TRY(wr_tensor_convert(&x, is, WR_TENSOR_FP64, a, err));
    WR_TRY(wr_tensor_convert(&y, should, WR_TENSOR_FP64, a, err));
    for (size_t i = 0; i < x.count; i++) {
        double p = ((const double *)x.data)[i], q = ((const double *)y.data)[i];
        if (p == q || (isnan(p) && isnan(q))) continue;
        if (!(fabs(p - q) <= tolerance * fmax(1, fabs(q)))) return differs(should, i, err);
    }
    return 0;
}

static int golden_text(const wr_instance *m, wr_str text, const char *path, wr_arena *a, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    wr_tensor *in, *should;
    size_t nin, nout;
    double tolerance;
    wr_infer_answer out;
    WR_TRY(wr_json_parse(&j, text, path, err));
    WR_TRY(golden_tensors(&in, &nin, j.root, "inputs", a, err));
    WR_TRY(golden_tensors(&should, &nout, j.root, "outputs", a, err));
    WR_TRY(wr_json_f64_or(&tolerance, j.root, "tolerance", tolerance_otherwise, err));
    wr_str *names = wr_arena_alloc(a, (nout + 1) * sizeof *names);
    if (!names) return wr_err_nomem(err);
    for (size_t i = 0; i < nout; i++) names[i] = should[i].name;
    wr_infer_request q = {.in = in, .nin = nin, .outputs = names, .noutputs = nout};
    WR_TRY(wr_infer_plain(&out, m, &q, a, err));
    for (size_t i = 0; i < nout; i++) WR_TRY(compare(&out.out[i], &should[i], tolerance, a, err));
    return 0;
}

/* 1: there were some, and they are right. */
static int golden(const wr_instance *m, const char *dir, wr_arena *a, wr_err *err)
{
    WR_AUTOBUF wr_buf text = {0};
    char *path = dir ? wr_path_join(a, dir, "golden.json") : NULL;
    if (!path || !wr_file_exists(path)) return 0;
    WR_TRY(wr_file_read(&text, path, GOLDEN_MAX, err));
    int rc = golden_text(m, wr_buf_view(&text), path, a, err);
    return rc < 0 ? wr_err_wrap(err, rc, "golden.json") : 1;
}

int wr_warm_up(const wr_instance *m, const wr_config *c, const char *dir, const char *version_dir, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return wr_err_nomem(err);
    int rc = golden(m, version_dir, a, err);
    if (rc == 0) rc = golden(m, dir, a, err);
    WR_TRY(rc);
    if (c->warmup) return configured(m, c->warmup, a, err);
    if (rc == 0) (void)zeros(m, a, NULL);
    return 0;
}
