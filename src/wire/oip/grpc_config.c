/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_config.c - ModelConfig: the configuration that models have as JSON, as the message of Triton's
 * model_config.proto. A table says which member is which field; what it does not name is left out. */
#include "base/num.h"
#include "codec/json.h"
#include "wire/oip/grpc_inside.h"

typedef enum { STR, WHOLE, FLAG, SINGLE, ENUM, SUB } kind;
typedef struct member {
    const char *name;
    uint32_t number;
    kind kind;
    bool map;                 /* from names; else a list is a repeated field */
    const struct member *of;  /* of SUB; ends with a NULL name */
    const char *const *names; /* of ENUM, by value; ends with NULL */
} member;

#define ONE(name, number, kind)                                                                                        \
    {                                                                                                                  \
        name, number, kind, false, NULL, NULL                                                                          \
    }
#define CHOICE(name, number, names)                                                                                    \
    {                                                                                                                  \
        name, number, ENUM, false, NULL, names                                                                         \
    }
#define MESSAGE(name, number, of)                                                                                      \
    {                                                                                                                  \
        name, number, SUB, false, of, NULL                                                                             \
    }
#define TEXTS(name, number)                                                                                            \
    {                                                                                                                  \
        name, number, STR, true, NULL, NULL                                                                            \
    } /* by name */
#define MESSAGES(name, number, of)                                                                                     \
    {                                                                                                                  \
        name, number, SUB, true, of, NULL                                                                              \
    }
#define END                                                                                                            \
    {                                                                                                                  \
        NULL, 0, STR, false, NULL, NULL                                                                                \
    }

static const char *const types[] = {
    "TYPE_INVALID", "TYPE_BOOL",  "TYPE_UINT8", "TYPE_UINT16", "TYPE_UINT32", "TYPE_UINT64", "TYPE_INT8", "TYPE_INT16",
    "TYPE_INT32",   "TYPE_INT64", "TYPE_FP16",  "TYPE_FP32",   "TYPE_FP64",   "TYPE_STRING", "TYPE_BF16", NULL};
static const char *const formats[] = {"FORMAT_NONE", "FORMAT_NHWC", "FORMAT_NCHW", NULL};
static const char *const instance_kinds[] = {"KIND_AUTO", "KIND_GPU", "KIND_CPU", "KIND_MODEL", NULL};
static const char *const priorities[] = {"PRIORITY_DEFAULT", "PRIORITY_MAX", "PRIORITY_MIN", NULL};
static const char *const time_out_actions[] = {"REJECT", "DELAY", NULL};
static const char *const controls[] = {"CONTROL_SEQUENCE_START", "CONTROL_SEQUENCE_READY", "CONTROL_SEQUENCE_END",
                                       "CONTROL_SEQUENCE_CORRID", NULL};

static const member nothing[] = {END};
static const member reshape[] = {ONE("shape", 1, WHOLE), END};
static const member input[] = {ONE("name", 1, STR),
                               CHOICE("data_type", 2, types),
                               CHOICE("format", 3, formats),
                               ONE("dims", 4, WHOLE),
                               MESSAGE("reshape", 5, reshape),
                               ONE("is_shape_tensor", 6, FLAG),
                               ONE("allow_ragged_batch", 7, FLAG),
                               ONE("optional", 8, FLAG),
                               ONE("is_non_linear_format_io", 9, FLAG),
                               END};
static const member output[] = {ONE("name", 1, STR),
                                CHOICE("data_type", 2, types),
                                ONE("dims", 3, WHOLE),
                                ONE("label_filename", 4, STR),
                                MESSAGE("reshape", 5, reshape),
                                ONE("is_shape_tensor", 6, FLAG),
                                ONE("is_non_linear_format_io", 7, FLAG),
                                END};
static const member latest[] = {ONE("num_versions", 1, WHOLE), END};
static const member specific[] = {ONE("versions", 1, WHOLE), END};
static const member version_policy[] = {MESSAGE("latest", 1, latest), MESSAGE("all", 2, nothing),
                                        MESSAGE("specific", 3, specific), END};
static const member resource[] = {ONE("name", 1, STR), ONE("global", 2, FLAG), ONE("count", 3, WHOLE), END};
static const member rate_limiter[] = {MESSAGE("resources", 1, resource), ONE("priority", 2, WHOLE), END};
static const member instance_group[] = {ONE("name", 1, STR),
                                        ONE("count", 2, WHOLE),
                                        ONE("gpus", 3, WHOLE),
                                        CHOICE("kind", 4, instance_kinds),
                                        ONE("profile", 5, STR),
                                        MESSAGE("rate_limiter", 6, rate_limiter),
                                        ONE("passive", 7, FLAG),
                                        ONE("host_policy", 9, STR),
                                        END};
static const member queue_policy[] = {CHOICE("timeout_action", 1, time_out_actions),
                                      ONE("default_timeout_microseconds", 2, WHOLE),
                                      ONE("allow_timeout_override", 3, FLAG), ONE("max_queue_size", 4, WHOLE), END};
static const member dynamic_batching[] = {ONE("preferred_batch_size", 1, WHOLE),
                                          ONE("max_queue_delay_microseconds", 2, WHOLE),
                                          ONE("preserve_ordering", 3, FLAG),
                                          ONE("priority_levels", 4, WHOLE),
                                          ONE("default_priority_level", 5, WHOLE),
                                          MESSAGE("default_queue_policy", 6, queue_policy),
                                          END};
static const member control[] = {CHOICE("kind", 1, controls),       ONE("int32_false_true", 2, WHOLE),
                                 ONE("fp32_false_true", 3, SINGLE), CHOICE("data_type", 4, types),
                                 ONE("bool_false_true", 5, FLAG),   END};
static const member control_input[] = {ONE("name", 1, STR), MESSAGE("control", 2, control), END};
static const member direct[] = {ONE("max_queue_delay_microseconds", 1, WHOLE),
                                ONE("minimum_slot_utilization", 2, SINGLE), END};
static const member oldest[] = {ONE("max_candidate_sequences", 1, WHOLE), ONE("preferred_batch_size", 2, WHOLE),
                                ONE("max_queue_delay_microseconds", 3, WHOLE), ONE("preserve_ordering", 4, FLAG), END};
static const member sequence_batching[] = {ONE("max_sequence_idle_microseconds", 1, WHOLE),
                                           MESSAGE("control_input", 2, control_input),
                                           MESSAGE("direct", 3, direct),
                                           MESSAGE("oldest", 4, oldest),
                                           ONE("iterative_sequence", 6, FLAG),
                                           END};
static const member step[] = {ONE("model_name", 1, STR), ONE("model_version", 2, WHOLE), TEXTS("input_map", 3),
                              TEXTS("output_map", 4),    ONE("model_namespace", 5, STR), END};
static const member ensemble[] = {MESSAGE("step", 1, step), END};
static const member parameter[] = {ONE("string_value", 1, STR), END};
static const member warmup_input[] = {CHOICE("data_type", 1, types),  ONE("dims", 2, WHOLE),
                                      ONE("zero_data", 3, FLAG),      ONE("random_data", 4, FLAG),
                                      ONE("input_data_file", 5, STR), END};
static const member warmup[] = {ONE("name", 1, STR), ONE("batch_size", 2, WHOLE), MESSAGES("inputs", 3, warmup_input),
                                ONE("count", 4, WHOLE), END};
static const member graph[] = {ONE("level", 1, WHOLE), END};
static const member enable[] = {ONE("enable", 1, FLAG), END};
static const member accelerator[] = {ONE("name", 1, STR), TEXTS("parameters", 2), END};
static const member accelerators[] = {MESSAGE("gpu_execution_accelerator", 1, accelerator),
                                      MESSAGE("cpu_execution_accelerator", 2, accelerator), END};
static const member optimization[] = {MESSAGE("graph", 1, graph),
                                      CHOICE("priority", 2, priorities),
                                      MESSAGE("execution_accelerators", 4, accelerators),
                                      MESSAGE("input_pinned_memory", 5, enable),
                                      MESSAGE("output_pinned_memory", 6, enable),
                                      ONE("gather_kernel_buffer_threshold", 7, WHOLE),
                                      ONE("eager_batching", 8, FLAG),
                                      END};
static const member operations[] = {ONE("op_library_filename", 1, STR), END};
static const member transactions[] = {ONE("decoupled", 1, FLAG), END};

static const member model_config[] = {ONE("name", 1, STR),
                                      ONE("platform", 2, STR),
                                      MESSAGE("version_policy", 3, version_policy),
                                      ONE("max_batch_size", 4, WHOLE),
                                      MESSAGE("input", 5, input),
                                      MESSAGE("output", 6, output),
                                      MESSAGE("instance_group", 7, instance_group),
                                      ONE("default_model_filename", 8, STR),
                                      TEXTS("cc_model_filenames", 9),
                                      TEXTS("metric_tags", 10),
                                      MESSAGE("dynamic_batching", 11, dynamic_batching),
                                      MESSAGE("optimization", 12, optimization),
                                      MESSAGE("sequence_batching", 13, sequence_batching),
                                      MESSAGES("parameters", 14, parameter),
                                      MESSAGE("ensemble_scheduling", 15, ensemble),
                                      MESSAGE("model_warmup", 16, warmup),
                                      ONE("backend", 17, STR),
                                      MESSAGE("model_operations", 18, operations),
                                      MESSAGE("model_transaction_policy", 19, transactions),
                                      MESSAGE("response_cache", 24, enable),
                                      ONE("runtime", 25, STR),
                                      END};

/* ---- writing ---- */

static void put_members(wr_buf *b, const member *of, yyjson_val *object);

static void put_whole(wr_buf *b, uint32_t number, yyjson_val *v)
{
    int64_t n;
    if (yyjson_is_int(v)) wr_pbw_i64(b, number, (int64_t)yyjson_get_uint(v));
    else if (yyjson_is_str(v) && wr_num_i64(&n, (wr_str){yyjson_get_str(v), yyjson_get_len(v)}, NULL) == 0)
        wr_pbw_i64(b, number, n); /* as Protocol Buffers' JSON writes what has 64 bits */
}

static void put_choice(wr_buf *b, uint32_t number, const char *const *names, yyjson_val *v)
{
    if (yyjson_is_int(v)) wr_pbw_i64(b, number, (int64_t)yyjson_get_uint(v));
    for (uint64_t i = 0; yyjson_is_str(v) && names[i]; i++)
        if (yyjson_equals_str(v, names[i])) wr_pbw_u64(b, number, i);
}

static void put_value(wr_buf *b, const member *m, uint32_t number, yyjson_val *v)
{
    size_t at;
    switch (m->kind) {
    case STR:
        if (yyjson_is_str(v)) wr_pbw_str(b, number, (wr_str){yyjson_get_str(v), yyjson_get_len(v)});
        break;
    case WHOLE:
        put_whole(b, number, v);
        break;
    case FLAG:
        if (yyjson_is_bool(v)) wr_pbw_bool(b, number, yyjson_get_bool(v));
        break;
    case SINGLE:
        if (yyjson_is_num(v)) wr_pbw_f32(b, number, (float)yyjson_get_num(v));
        break;
    case ENUM:
        put_choice(b, number, m->names, v);
        break;
    case SUB:
        if (!yyjson_is_obj(v)) break;
        at = wr_pbw_open(b, number);
        put_members(b, m->of, v);
        wr_pbw_close(b, at);
        break;
    }
}

static void put_map(wr_buf *b, const member *m, yyjson_val *object)
{
    size_t i, n;
    yyjson_val *key, *v;
    yyjson_obj_foreach(object, i, n, key, v)
    {
        size_t at = wr_oip_open_entry(b, m->number, (wr_str){yyjson_get_str(key), yyjson_get_len(key)});
        put_value(b, m, 2, v);
        wr_pbw_close(b, at);
    }
}

static void put_list(wr_buf *b, const member *m, yyjson_val *list)
{
    size_t i, n;
    yyjson_val *v;
    yyjson_arr_foreach(list, i, n, v) put_value(b, m, m->number, v);
}

/* No deeper than the tables are. */
static void put_members(wr_buf *b, const member *of, yyjson_val *object)
{
    for (const member *m = of; m->name; m++) {
        yyjson_val *v = yyjson_obj_get(object, m->name);
        if (!v) continue;
        if (m->map) put_map(b, m, v);
        else if (yyjson_is_arr(v)) put_list(b, m, v);
        else put_value(b, m, m->number, v);
    }
}

static int put_config(wr_oip_rpc *c, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    wr_str json;
    WR_TRY(wr_oip_config(&json, c->ops, &c->m, c->arena, err));
    WR_TRY(wr_json_parse(&j, json, "configuration", err));
    size_t at = wr_pbw_open(c->b, 1);
    put_members(c->b, model_config, j.root);
    wr_pbw_close(c->b, at);
    return 0;
}

int wr_oip_rpc_config(wr_oip_rpc *c, wr_err *err)
{
    wr_oip_named q;
    WR_TRY(wr_oip_rpc_named(&q, c, err));
    WR_TRY(wr_oip_take_model(&c->m, c->ops, q.name, q.version, c->arena, err));
    int rc = put_config(c, err);
    c->ops->release(c->ops->ctx, &c->m);
    return rc;
}
