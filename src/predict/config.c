/* SPDX-License-Identifier: Apache-2.0 */
/* config.c - reading a ModelConfig. */
#include "predict/config.h"

#include "base/limits.h"
#include "base/num.h"
#include "io/file.h"
#include "predict/pbtxt.h"

/* ---- values ---- */

/* Protocol Buffers' JSON writes 64-bit integers as strings and reads both. */
static int whole(int64_t *out, yyjson_val *v, const char *key, wr_err *err)
{
    if (yyjson_is_str(v)) {
        if (wr_num_i64(out, (wr_str){yyjson_get_str(v), yyjson_get_len(v)}, NULL) == 0) return 0;
    } else if (yyjson_is_uint(v)) {
        if (yyjson_get_uint(v) <= INT64_MAX) {
            *out = (int64_t)yyjson_get_uint(v);
            return 0;
        }
    } else if (yyjson_is_sint(v)) {
        *out = yyjson_get_sint(v);
        return 0;
    }
    return wr_err_set(err, WEIR_ETYPE, "\"%s\" is no whole number", key);
}

static int whole_or(int64_t *out, yyjson_val *obj, const char *key, int64_t fallback, wr_err *err)
{
    yyjson_val *v = yyjson_obj_get(obj, key);
    *out = fallback;
    return v && !yyjson_is_null(v) ? whole(out, v, key, err) : 0;
}

static int object_or_null(yyjson_val **out, yyjson_val *obj, const char *key, wr_err *err)
{
    *out = yyjson_obj_get(obj, key);
    if (!*out || yyjson_is_obj(*out)) return 0;
    if (yyjson_is_null(*out)) {
        *out = NULL;
        return 0;
    }
    return wr_err_set(err, WEIR_ETYPE, "\"%s\" is no object", key);
}

static int list_or_null(yyjson_val **out, yyjson_val *obj, const char *key, wr_err *err)
{
    *out = yyjson_obj_get(obj, key);
    if (!*out || yyjson_is_arr(*out)) return 0;
    if (yyjson_is_null(*out)) {
        *out = NULL;
        return 0;
    }
    return wr_err_set(err, WEIR_ETYPE, "\"%s\" is no list", key);
}

/* ---- tensors ---- */

static int shape(int64_t *dims, int *n, yyjson_val *v, const char *key, wr_err *err)
{
    size_t i, max;
    yyjson_val *d;
    if (yyjson_arr_size(v) > WR_TENSOR_DIMS - 1)
        return wr_err_set(err, WEIR_ELIMIT, "\"%s\" has more than %d dimensions", key, WR_TENSOR_DIMS - 1);
    *n = (int)yyjson_arr_size(v);
    yyjson_arr_foreach(v, i, max, d)
    {
        WR_TRY(whole(&dims[i], d, key, err));
        if (dims[i] < -1)
            return wr_err_set(err, WEIR_EINVAL, "\"%s\" has a dimension of %lld", key, (long long)dims[i]);
    }
    return 0;
}

static int data_type(wr_tensor_type *out, yyjson_val *v, wr_err *err)
{
    static const wr_tensor_type by_number[] = {WR_TENSOR_NONE,   WR_TENSOR_BOOL,   WR_TENSOR_UINT8, WR_TENSOR_UINT16,
                                               WR_TENSOR_UINT32, WR_TENSOR_UINT64, WR_TENSOR_INT8,  WR_TENSOR_INT16,
                                               WR_TENSOR_INT32,  WR_TENSOR_INT64,  WR_TENSOR_FP16,  WR_TENSOR_FP32,
                                               WR_TENSOR_FP64,   WR_TENSOR_BYTES,  WR_TENSOR_BF16};
    *out = WR_TENSOR_NONE;
    if (!v || yyjson_is_null(v)) return 0;
    if (yyjson_is_uint(v) && yyjson_get_uint(v) < sizeof by_number / sizeof *by_number) {
        *out = by_number[yyjson_get_uint(v)];
        return 0;
    }
    if (!yyjson_is_str(v)) return wr_err_set(err, WEIR_ETYPE, "\"data_type\" is no name of a type");
    wr_str s = {yyjson_get_str(v), yyjson_get_len(v)};
    if (wr_str_is(s, "TYPE_INVALID")) return 0;
    if (wr_str_is(s, "TYPE_STRING")) *out = WR_TENSOR_BYTES;
    else if (wr_str_starts(s, "TYPE_")) *out = wr_tensor_type_parse(wr_str_sub(s, 5, s.n));
    if (*out == WR_TENSOR_NONE || wr_str_is(s, "TYPE_BYTES"))
        return wr_err_set(err, WEIR_EINVAL, "data type \"%.*s\" is not known", WR_STR_FMT(s));
    return 0;
}

static int tensor(wr_config_tensor *out, yyjson_val *v, wr_err *err)
{
    yyjson_val *dims, *reshape, *to;
    if (!yyjson_is_obj(v)) return wr_err_set(err, WEIR_ETYPE, "an input or output is no object");
    WR_TRY(wr_json_str(&out->name, v, "name", err));
    WR_TRY(data_type(&out->type, yyjson_obj_get(v, "data_type"), err));
    WR_TRY(list_or_null(&dims, v, "dims", err));
    WR_TRY(shape(out->dims, &out->ndims, dims, "dims", err));
    WR_TRY(wr_json_bool_or(&out->optional, v, "optional", false, err));
    WR_TRY(wr_json_str_or(&out->label_file, v, "label_filename", "", err));
    WR_TRY(object_or_null(&reshape, v, "reshape", err));
    if (!reshape) return 0;
    out->has_reshape = true;
    WR_TRY(list_or_null(&to, reshape, "shape", err));
    return shape(out->reshape, &out->nreshape, to, "reshape", err);
}

static int tensors(wr_config_tensor **out, size_t *n, wr_arena *a, yyjson_val *root, const char *key, wr_err *err)
{
    yyjson_val *list, *v;
    size_t i, max;
    WR_TRY(list_or_null(&list, root, key, err));
    if (yyjson_arr_size(list) > WR_CONFIG_TENSORS)
        return wr_err_set(err, WEIR_ELIMIT, "\"%s\" has more than %d tensors", key, WR_CONFIG_TENSORS);
    *out = wr_arena_calloc(a, yyjson_arr_size(list) + 1, sizeof **out);
    if (!*out) return wr_err_nomem(err);
    yyjson_arr_foreach(list, i, max, v)
    {
        int rc = tensor(&(*out)[i], v, err);
        if (rc < 0) return wr_err_wrap(err, rc, "%s %zu", key, i);
        ++*n;
    }
    return 0;
}

/* ---- the rest ---- */

static int policy(wr_config *c, wr_arena *a, wr_err *err)
{
    yyjson_val *p, *latest, *all, *specific, *list, *v;
    size_t i, max;
    c->latest = 1;
    WR_TRY(object_or_null(&p, c->json.root, "version_policy", err));
    WR_TRY(object_or_null(&latest, p, "latest", err));
    WR_TRY(object_or_null(&all, p, "all", err));
    WR_TRY(object_or_null(&specific, p, "specific", err));
    c->policy = specific ? WR_POLICY_SPECIFIC : all ? WR_POLICY_ALL : WR_POLICY_LATEST;
    if (latest) WR_TRY(whole_or(&c->latest, latest, "num_versions", 1, err));
    if (c->latest < 1) return wr_err_set(err, WEIR_EINVAL, "\"num_versions\" is below 1");
    if (!specific) return 0;
    WR_TRY(list_or_null(&list, specific, "versions", err));
    c->versions = wr_arena_calloc(a, yyjson_arr_size(list) + 1, sizeof *c->versions);
    if (!c->versions) return wr_err_nomem(err);
    yyjson_arr_foreach(list, i, max, v) WR_TRY(whole(&c->versions[c->nversions++], v, "versions", err));
    return 0;
}

/* Microseconds a request may wait for others at most: a delay is to fill batches, not to hold memory. */
enum { DELAY_MAX_US = 1000000 };

static int waiting(wr_model_config *c, yyjson_val *batching, wr_err *err)
{
    yyjson_val *list, *v;
    size_t i, max;
    WR_TRY(whole_or(&c->delay_us, batching, "max_queue_delay_microseconds", 0, err));
    if (c->delay_us > DELAY_MAX_US)
        return wr_err_set(err, WEIR_EINVAL, "\"max_queue_delay_microseconds\" is above %d", DELAY_MAX_US);
    WR_TRY(list_or_null(&list, batching, "preferred_batch_size", err));
    if (yyjson_arr_size(list) > WR_PREFERRED_BATCHES)
        return wr_err_set(err, WEIR_ELIMIT, "more than %d of \"preferred_batch_size\"", WR_PREFERRED_BATCHES);
    yyjson_arr_foreach(list, i, max, v)
    {
        WR_TRY(whole(&c->preferred[i], v, "preferred_batch_size", err));
        if (c->preferred[i] < 1) return wr_err_set(err, WEIR_EINVAL, "a size of \"preferred_batch_size\" is below 1");
    }
    return 0;
}

static int scheduling(wr_config *c, wr_err *err)
{
    yyjson_val *batching, *queue, *cache, *groups, *g;
    size_t i, max;
    int64_t count;
    WR_TRY(object_or_null(&batching, c->json.root, "dynamic_batching", err));
    c->c.batching = batching != NULL;
    WR_TRY(waiting(&c->c, batching, err));
    WR_TRY(object_or_null(&queue, batching, "default_queue_policy", err));
    WR_TRY(whole_or(&c->c.queue_max, queue, "max_queue_size", 0, err));
    WR_TRY(object_or_null(&cache, c->json.root, "response_cache", err));
    WR_TRY(wr_json_bool_or(&c->c.cache, cache, "enable", false, err));
    WR_TRY(list_or_null(&groups, c->json.root, "instance_group", err));
    yyjson_arr_foreach(groups, i, max, g)
    {
        WR_TRY(whole_or(&count, g, "count", 1, err));
        if (count < 0 || count > 1000)
            return wr_err_set(err, WEIR_EINVAL, "\"count\" of an instance group is not 0 to 1000");
        if (c->c.instances < 1000000) c->c.instances += count ? count : 1;
    }
    if (!c->c.instances) c->c.instances = 1;
    if (c->c.queue_max < 0 || c->c.delay_us < 0)
        return wr_err_set(err, WEIR_EINVAL, "a limit of the queue is negative");
    return 0;
}

static int read_root(wr_config *c, wr_arena *a, wr_err *err)
{
    yyjson_val *root = c->json.root;
    if (!yyjson_is_obj(root)) return wr_err_set(err, WEIR_ETYPE, "the configuration is no object");
    WR_TRY(wr_json_str_or(&c->name, root, "name", "", err));
    WR_TRY(wr_json_str_or(&c->platform, root, "platform", "", err));
    WR_TRY(wr_json_str_or(&c->backend, root, "backend", "", err));
    WR_TRY(wr_json_str_or(&c->model_file, root, "default_model_filename", "", err));
    if (memchr(c->model_file.p, '/', c->model_file.n) || wr_str_is(c->model_file, ".."))
        return wr_err_set(err, WEIR_EINVAL, "\"default_model_filename\" is no name of a file");
    c->has_max_batch = yyjson_obj_get(root, "max_batch_size") != NULL;
    WR_TRY(whole_or(&c->c.max_batch, root, "max_batch_size", 0, err));
    if (c->c.max_batch < 0) return wr_err_set(err, WEIR_EINVAL, "\"max_batch_size\" is negative");
    WR_TRY(tensors(&c->in, &c->nin, a, root, "input", err));
    WR_TRY(tensors(&c->out, &c->nout, a, root, "output", err));
    WR_TRY(policy(c, a, err));
    WR_TRY(scheduling(c, err));
    WR_TRY(list_or_null(&c->warmup, root, "model_warmup", err));
    return object_or_null(&c->parameters, root, "parameters", err);
}

int wr_config_parse(wr_config *out, wr_arena *a, wr_str json, const char *what, wr_err *err)
{
    *out = (wr_config){0};
    WR_TRY(wr_json_parse(&out->json, json, what, err));
    int rc = read_root(out, a, err);
    return rc < 0 ? wr_err_wrap(err, rc, "%s", what) : 0;
}

int wr_config_read(wr_config *out, wr_arena *a, const char *dir, wr_err *err)
{
    WR_AUTOBUF wr_buf text = {0}, json = {0};
    *out = (wr_config){0};
    char *pbtxt = wr_path_join(a, dir, "config.pbtxt"), *path = wr_path_join(a, dir, "config.json");
    if (!pbtxt || !path) return wr_err_nomem(err);
    if (wr_file_exists(pbtxt)) {
        WR_TRY(wr_file_read(&text, pbtxt, WR_LIMIT_PBTXT, err));
        WR_TRY(wr_pbtxt_to_json(&json, wr_buf_view(&text), pbtxt, err));
        return wr_config_parse(out, a, wr_buf_view(&json), pbtxt, err);
    }
    if (!wr_file_exists(path)) return wr_config_parse(out, a, WR_STR("{}"), "no configuration", err);
    WR_TRY(wr_file_read(&json, path, WR_LIMIT_PBTXT, err));
    return wr_config_parse(out, a, wr_buf_view(&json), path, err);
}

void wr_config_free(wr_config *c) { wr_json_free(&c->json); }
