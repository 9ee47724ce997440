/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_infer.c - ModelInfer. The message is walked twice: once for the model's name and the raw tensors, which may
 * stand behind or in front of the inputs they belong to; then, with the model at hand, for all else. */
#include "base/clock.h"
#include "wire/oip/grpc_inside.h"

static const char what[] = "ModelInferRequest";

typedef struct {
    wr_oip_rpc *c;
    const wr_oip_model *m;
    wr_oip_asking k;
    wr_str name, version;
    wr_str *raw; /* tensors; nraw of them, used in the order of inputs */
    size_t nraw, used;
    wr_err *err;
} reading;

/* ---- first walk ---- */

static int count_raw(size_t *n, wr_str message, wr_err *err)
{
    wr_pb r;
    wr_pb_field f;
    *n = 0;
    wr_pb_init(&r, message);
    while (wr_pb_next(&r, &f)) *n += f.number == 7;
    return wr_pb_end(&r, what, err);
}

static int find_parts(reading *r)
{
    wr_pb p;
    wr_pb_field f;
    size_t n;
    WR_TRY(count_raw(&n, r->c->in->message, r->err));
    r->name = r->version = WR_STR("");
    r->raw = wr_arena_alloc(r->c->arena, (n + 1) * sizeof *r->raw);
    if (!r->raw) return wr_err_nomem(r->err);
    wr_pb_init(&p, r->c->in->message);
    while (wr_pb_next(&p, &f)) {
        if (f.number == 1) r->name = wr_pb_str(&p, &f);
        else if (f.number == 2) r->version = wr_pb_str(&p, &f);
        else if (f.number == 7) r->raw[r->nraw++] = wr_pb_bytes(&p, &f);
    }
    return wr_pb_end(&p, what, r->err);
}

/* ---- typed contents ---- */

/* Which field of InferTensorContents holds a type, how its elements are written, and the type its field is named for.
 */
typedef struct {
    uint32_t number;
    wr_pb_type wire;
} contents_kind;

static const contents_kind kinds[WR_TENSOR_TYPES] = {
    [WR_TENSOR_BOOL] = {1, WR_PB_VARINT},   [WR_TENSOR_INT8] = {2, WR_PB_VARINT},
    [WR_TENSOR_INT16] = {2, WR_PB_VARINT},  [WR_TENSOR_INT32] = {2, WR_PB_VARINT},
    [WR_TENSOR_INT64] = {3, WR_PB_VARINT},  [WR_TENSOR_UINT8] = {4, WR_PB_VARINT},
    [WR_TENSOR_UINT16] = {4, WR_PB_VARINT}, [WR_TENSOR_UINT32] = {4, WR_PB_VARINT},
    [WR_TENSOR_UINT64] = {5, WR_PB_VARINT}, [WR_TENSOR_FP32] = {6, WR_PB_I32},
    [WR_TENSOR_FP64] = {7, WR_PB_I64},      [WR_TENSOR_BYTES] = {8, WR_PB_LEN}};
static const wr_tensor_type named_for[] = {WR_TENSOR_NONE,  WR_TENSOR_BOOL,   WR_TENSOR_INT32,
                                           WR_TENSOR_INT64, WR_TENSOR_UINT32, WR_TENSOR_UINT64,
                                           WR_TENSOR_FP32,  WR_TENSOR_FP64,   WR_TENSOR_BYTES};

/* How many elements a field has: no memory is taken for more than came. */
static size_t count_elements(const wr_pb_field *f, wr_pb_type wire)
{
    size_t n = 0;
    if (f->type != WR_PB_LEN || wire == WR_PB_LEN) return 1;
    if (wire == WR_PB_I32) return f->bytes.n / 4;
    if (wire == WR_PB_I64) return f->bytes.n / 8;
    for (size_t i = 0; i < f->bytes.n; i++) n += !(f->bytes.p[i] & 0x80);
    return n;
}

static int count_contents(size_t *n, reading *r, const wr_tensor *t, wr_str bytes)
{
    wr_pb p;
    wr_pb_field f;
    contents_kind kind = kinds[t->type];
    *n = 0;
    wr_pb_init(&p, bytes);
    while (wr_pb_next(&p, &f)) {
        if (f.number < 1 || f.number > 8) continue;
        if (f.number == kind.number) {
            *n += count_elements(&f, kind.wire);
        } else if (f.type != WR_PB_LEN || f.bytes.n || f.number == 8) {
            return wr_err_set(r->err, WEIR_EINVAL,
                              "unexpected explicit tensor data for input tensor '%.*s' for model '%.*s' of type '%s', "
                              "expected datatype '%s'",
                              WR_STR_FMT(wr_str_fit(t->name, 80)), WR_STR_FMT(wr_str_fit(r->m->name, 80)),
                              wr_tensor_type_name(named_for[f.number]), wr_tensor_type_name(t->type));
        }
    }
    return wr_pb_end(&p, what, r->err);
}

/* False when the value does not fit. */
static bool put_element(wr_tensor *t, size_t i, uint64_t v)
{
    int64_t s = (int64_t)v;
    switch (t->type) {
    case WR_TENSOR_BOOL:
        ((uint8_t *)t->data)[i] = v != 0;
        return true;
    case WR_TENSOR_INT8:
        ((int8_t *)t->data)[i] = (int8_t)s;
        return s == (int8_t)s;
    case WR_TENSOR_INT16:
        ((int16_t *)t->data)[i] = (int16_t)s;
        return s == (int16_t)s;
    case WR_TENSOR_INT32:
        ((int32_t *)t->data)[i] = (int32_t)s;
        return s == (int32_t)s;
    case WR_TENSOR_UINT8:
        ((uint8_t *)t->data)[i] = (uint8_t)v;
        return v <= UINT8_MAX;
    case WR_TENSOR_UINT16:
        ((uint16_t *)t->data)[i] = (uint16_t)v;
        return v <= UINT16_MAX;
    case WR_TENSOR_UINT32:
    case WR_TENSOR_FP32:
        ((uint32_t *)t->data)[i] = (uint32_t)v; /* the bits of a float */
        return v <= UINT32_MAX;
    default:
        ((uint64_t *)t->data)[i] = v;
        return true;
    }
}

static int fill_contents(reading *r, wr_tensor *t, wr_str bytes)
{
    wr_pb p;
    wr_pb_field f;
    wr_pb_list l;
    uint64_t v;
    size_t n = 0;
    contents_kind kind = kinds[t->type];
    wr_pb_init(&p, bytes);
    while (wr_pb_next(&p, &f)) {
        if (f.number != kind.number) continue;
        if (kind.wire == WR_PB_LEN) {
            ((wr_str *)t->data)[n++] = wr_pb_bytes(&p, &f);
            continue;
        }
        wr_pb_list_of(&l, &p, &f, kind.wire);
        while (n < t->count && wr_pb_list_next(&l, &v)) {
            if (!put_element(t, n++, v))
                return wr_err_set(r->err, WEIR_ETYPE, "element %zu of input '%.*s' does not fit %s", n - 1,
                                  WR_STR_FMT(wr_str_fit(t->name, 80)), wr_tensor_type_name(t->type));
        }
    }
    return wr_pb_end(&p, what, r->err);
}

static int read_contents(reading *r, wr_tensor *t, wr_str bytes)
{
    size_t n, size = wr_tensor_type_size(t->type);
    wr_str name = wr_str_fit(t->name, 80), model = wr_str_fit(r->m->name, 80);
    if (t->type == WR_TENSOR_FP16 || t->type == WR_TENSOR_BF16)
        return wr_err_set(r->err, WEIR_EINVAL, "%s tensors travel in raw_input_contents alone, not '%.*s' in contents",
                          wr_tensor_type_name(t->type), WR_STR_FMT(name));
    WR_TRY(wr_tensor_count(t, r->err));
    WR_TRY(count_contents(&n, r, t, bytes));
    if (n != t->count && t->type == WR_TENSOR_BYTES)
        return wr_err_set(r->err, WEIR_EINVAL,
                          "expected %zu string elements for inference input '%.*s' for model '%.*s', got %zu", t->count,
                          WR_STR_FMT(name), WR_STR_FMT(model), n);
    if (n != t->count)
        return wr_err_set(r->err, WEIR_EINVAL,
                          "input byte size mismatch for input '%.*s' for model '%.*s'. Expected %zu, got %zu",
                          WR_STR_FMT(name), WR_STR_FMT(model), t->count * size, n * size);
    WR_TRY(wr_tensor_alloc(t, r->c->arena, r->err));
    return fill_contents(r, t, bytes);
}

/* ---- inputs ---- */

typedef struct {
    wr_tensor t;
    wr_str type, contents; /* p NULL = not there */
    wr_oip_place place;
} input;

static int read_dims(input *in, wr_pb *p, const wr_pb_field *f, wr_err *err)
{
    wr_pb_list l;
    uint64_t d;
    wr_pb_list_of(&l, p, f, WR_PB_VARINT);
    while (wr_pb_list_next(&l, &d)) {
        if (in->t.ndims == WR_TENSOR_DIMS)
            return wr_err_set(err, WEIR_EINVAL, "invalid shape for an input: more than %d dimensions", WR_TENSOR_DIMS);
        in->t.shape[in->t.ndims++] = (int64_t)d;
    }
    return 0;
}

static int input_field(reading *r, input *in, wr_pb *p, const wr_pb_field *f)
{
    wr_oip_value v;
    int rc;
    switch (f->number) {
    case 1:
        in->t.name = wr_pb_str(p, f);
        return 0;
    case 2:
        in->type = wr_pb_str(p, f);
        return 0;
    case 3:
        return read_dims(in, p, f, r->err);
    case 4:
        wr_oip_read_value(&v, p, f);
        return wr_oip_place_value(&rc, &in->place, &v, r->err) ? rc : 0;
    case 5:
        in->contents = wr_pb_bytes(p, f);
        return 0;
    default:
        return 0;
    }
}

/* In Triton's words. */
static int data_error(reading *r, const input *in, const char *before, const char *between, const char *behind)
{
    return wr_err_set(r->err, WEIR_EINVAL, "%s '%.*s'%s '%.*s'%s", before, WR_STR_FMT(wr_str_fit(in->t.name, 80)),
                      between, WR_STR_FMT(wr_str_fit(r->m->name, 80)), behind);
}

static int input_data(reading *r, input *in)
{
    if (in->place.region.p) {
        if (in->contents.p)
            return data_error(r, in, "unexpected 'content' provided when using shared memory for input tensor",
                              " for model", "");
        return wr_oip_region_get(&in->t, r->c->o, &in->place, r->m, r->c->arena, r->err);
    }
    if (in->contents.p && r->nraw)
        return data_error(r, in, "contents field must not be specified when using raw_input_contents for", " for model",
                          "");
    if (in->contents.p) return read_contents(r, &in->t, in->contents);
    if (r->used == r->nraw)
        return data_error(r, in, "unable to find data for input tensor", " for model", " in request.");
    WR_TRY(wr_tensor_count(&in->t, r->err));
    return wr_tensor_read_binary(&in->t, r->raw[r->used++], r->c->arena, r->err);
}

static int read_input(reading *r, wr_pb *top, const wr_pb_field *f)
{
    input in = {.t.name = WR_STR(""), .type = WR_STR("")};
    wr_pb p;
    wr_pb_field part;
    size_t at;
    wr_pb_enter(&p, top, f);
    while (wr_pb_next(&p, &part)) WR_TRY(input_field(r, &in, &p, &part));
    if (wr_pb_failed(&p)) return 0; /* told at the end */
    WR_TRY(wr_oip_ask_name(&r->k, &at, in.t.name, r->err));
    WR_TRY(wr_oip_ask_type(&in.t, in.type, r->err));
    WR_TRY(input_data(r, &in));
    return wr_oip_ask_input(&r->k, &in.t, r->err);
}

/* ---- outputs and parameters ---- */

static int read_output(reading *r, wr_pb *top, const wr_pb_field *f)
{
    wr_oip_output o = {.name = WR_STR("")};
    wr_oip_value v;
    wr_pb p;
    wr_pb_field part;
    int rc;
    wr_pb_enter(&p, top, f);
    while (wr_pb_next(&p, &part)) {
        if (part.number == 1) o.name = wr_pb_str(&p, &part);
        if (part.number != 2) continue;
        wr_oip_read_value(&v, &p, &part);
        if (wr_str_is(v.key, "classification")) WR_TRY(wr_oip_whole_value(&o.classes, &v, r->err));
        else if (wr_oip_place_value(&rc, &o.place, &v, r->err)) WR_TRY(rc);
    }
    if (wr_pb_failed(&p)) return 0;
    return wr_oip_ask_output(&r->k, &o, r->err);
}

static int read_parameter(reading *r, wr_pb *p, const wr_pb_field *f)
{
    wr_oip_value v;
    wr_oip_read_value(&v, p, f);
    if (wr_pb_failed(p)) return 0;
    wr_oip_infer *q = &r->k.out->q;
    if (wr_str_is(v.key, "timeout")) return wr_oip_whole_value(&q->timeout_us, &v, r->err);
    if (wr_str_is(v.key, "priority")) return wr_oip_whole_value(&q->priority, &v, r->err);
    wr_oip_param one = {.name = v.key};
    switch (v.kind) {
    case WR_OIP_BOOL_VALUE:
        one.kind = WR_OIP_BOOL;
        one.b = v.b;
        break;
    case WR_OIP_INT_VALUE:
        one.kind = WR_OIP_I64;
        one.i64 = v.i64;
        break;
    case WR_OIP_STR_VALUE:
        one.kind = WR_OIP_STR;
        one.str = v.str;
        break;
    case WR_OIP_REAL_VALUE:
        one.kind = WR_OIP_F64;
        one.f64 = v.f64;
        break;
    default:
        return wr_err_set(r->err, WEIR_EINVAL,
                          "invalid value type for '%.*s' parameter, expected int64_param, bool_param, or string_param.",
                          WR_STR_FMT(wr_str_fit(v.key, 80)));
    }
    return wr_oip_ask_param(&r->k, &one, r->err);
}

/* ---- the whole ---- */

static int read_all(reading *r)
{
    wr_pb p;
    wr_pb_field f;
    wr_pb_init(&p, r->c->in->message);
    while (wr_pb_next(&p, &f)) {
        if (f.number == 3) WR_TRY(wr_oip_ask_id(&r->k, wr_pb_str(&p, &f), r->err));
        else if (f.number == 4) WR_TRY(read_parameter(r, &p, &f));
        else if (f.number == 5) WR_TRY(read_input(r, &p, &f));
        else if (f.number == 6) WR_TRY(read_output(r, &p, &f));
    }
    WR_TRY(wr_pb_end(&p, what, r->err));
    if (r->used == r->nraw) return 0;
    return wr_err_set(r->err, WEIR_EINVAL, "%zu raw_input_contents are of no input of model '%.*s'", r->nraw - r->used,
                      WR_STR_FMT(wr_str_fit(r->m->name, 80)));
}

/* The client's deadline, as far as it can be kept: a model that runs is not ended. */
static int heed_deadline(wr_oip_infer *q, const wr_oip_grpc_request *in, wr_err *err)
{
    if (!in->deadline_ns) return 0;
    int64_t now = wr_clock_mono_ns(), since = q->start_ns ? q->start_ns : now;
    if (now >= in->deadline_ns) return wr_err_set(err, WEIR_ETIMEOUT, "Deadline Exceeded");
    uint64_t left = (uint64_t)(in->deadline_ns - since) / 1000 + 1;
    if (!q->timeout_us || left < q->timeout_us) q->timeout_us = left;
    q->start_ns = since;
    return 0;
}

typedef struct {
    wr_oip_rpc *c;
    wr_oip_asked asked;
    wr_oip_result result;
} inference;

static int answer(inference *f)
{
    f->c->kept = f->result.kept; /* also when the answer fails: the prediction is there */
    return wr_oip_rpc_answer(f->c, &f->asked, &f->result, &f->c->err);
}

static void waited(void *arg, int rc)
{
    inference *f = arg;
    wr_oip_rpc *c = f->c;
    c->in->later.begin(c->in->later.arg);
    size_t start = c->b->n;
    wr_oip_rpc_over(c, start, rc < 0 ? rc : answer(f));
}

static int infer(reading *r)
{
    wr_oip_rpc *c = r->c;
    inference *f = wr_arena_alloc(c->arena, sizeof *f);
    if (!f) return wr_err_nomem(r->err);
    *f = (inference){.c = c, .asked.q.start_ns = c->in->start_ns};
    WR_TRY(wr_oip_ask(&r->k, &f->asked, r->m, c->arena, r->err));
    int rc = read_all(r);
    if (rc == WEIR_ELIMIT) r->err->code = rc = WEIR_EINVAL; /* counts: a bad request, not a large one */
    if (rc < 0) return rc;
    WR_TRY(heed_deadline(&f->asked.q, c->in, r->err));
    f->asked.q.done = c->in->later.begin ? waited : NULL;
    f->asked.q.arg = f;
    rc = c->ops->infer(c->ops->ctx, &f->result, r->m, &f->asked.q, c->arena, r->err);
    c->waits = rc == 1;
    return rc == 0 ? answer(f) : rc < 0 ? rc : 0;
}

int wr_oip_rpc_infer(wr_oip_rpc *c, wr_err *err)
{
    reading r = {.c = c, .m = &c->m, .err = err};
    WR_TRY(find_parts(&r));
    WR_TRY(wr_oip_take_model(&c->m, c->ops, r.name, r.version, c->arena, err));
    int rc = infer(&r);
    if (!c->waits) c->ops->release(c->ops->ctx, &c->m);
    return rc;
}
