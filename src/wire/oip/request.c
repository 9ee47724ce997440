/* SPDX-License-Identifier: Apache-2.0 */
/* request.c - an inference request of V2, scanned in one pass. Members come in any order: data that stands before its
 * shape or datatype is stepped over, and read when the input ends.
 *
 * Behind the JSON the tensors that are sent binary follow one another in the order of their inputs. A request that is
 * like one before but for its values takes the short way (alike.h).
 */
#include <math.h>
#include <stdio.h>

#include "base/limits.h"
#include "wire/oip/alike.h"
#include "wire/oip/inside.h"

enum { HAS_NAME = 1, HAS_SHAPE = 2, HAS_TYPE = 4, HAS_DATA = 8, HAS_PARAMETERS = 16 };

typedef struct {
    unsigned has;
    wr_tensor t;
    size_t at;   /* of the model's inputs */
    wr_tensor_type sent; /* t.type is another one where values are missing */
    wr_str data; /* its text from '[' on, when it has yet to be read */
    bool read;   /* data is in t already, from where to where */
    size_t from, to;
    bool binary;
    uint64_t binary_size;
    wr_oip_place place; /* region.p NULL = none */
} input;

typedef struct {
    wr_oip_asking k;
    wr_oip_asked *out;
    wr_oip_call *c;
    const wr_oip_model *m;
    wr_jscan s;
    wr_arena *arena;
    wr_err *err;
    wr_str binary; /* what is left behind the JSON */
    bool behind;   /* there was a header length */
    wr_oip_notes notes;
} reading;

/* ---- pieces ---- */

static int unparsed(reading *r, const char *member, const char *why)
{
    return wr_err_set(r->err, WEIR_EINVAL, "Unable to parse '%s': %s", member, why);
}

static int read_str(reading *r, const char *member, wr_str *out)
{
    if (wr_jscan_peek(&r->s) != '"') return unparsed(r, member, "attempt to access JSON non-string as string");
    return wr_jscan_str(&r->s, out);
}

static int read_bool(reading *r, const char *member, bool *out)
{
    *out = wr_jscan_word(&r->s, "true");
    if (*out || wr_jscan_word(&r->s, "false")) return 0;
    return unparsed(r, member, "attempt to access JSON non-boolean as boolean");
}

static int read_unsigned(reading *r, const char *member, uint64_t *out)
{
    wr_jnumber n;
    char c = wr_jscan_peek(&r->s);
    bool number = c == '-' || (c >= '0' && c <= '9');
    if (number) WR_TRY(wr_jscan_number(&r->s, &n));
    if (!number || !n.whole || (n.minus && n.magnitude))
        return unparsed(r, member, "attempt to access JSON non-unsigned-integer as unsigned-integer");
    *out = n.magnitude;
    return 0;
}

static int twice(reading *r, unsigned *has, unsigned bit, wr_str key)
{
    if (*has & bit) return wr_err_set(r->err, WEIR_EINVAL, "'%.*s' is there twice", WR_STR_FMT(wr_str_fit(key, 60)));
    *has |= bit;
    return 0;
}

/* ---- inputs ---- */

static int read_shape(reading *r, input *p)
{
    bool first;
    int more;
    if (wr_jscan_peek(&r->s) != '[') return unparsed(r, "shape", "attempt to access JSON non-array as array");
    WR_TRY(wr_jscan_open(&r->s, '[', &first));
    for (p->t.ndims = 0; (more = wr_jscan_item(&r->s, &first)) == 1; p->t.ndims++) {
        uint64_t d;
        int rc = read_unsigned(r, "shape", &d);
        if (rc == WEIR_EINVAL)
            r->err->code = rc = WEIR_EINTERNAL; /* 500: what Triton's clients expect of a negative one */
        if (rc < 0) return rc;
        if (p->t.ndims == WR_TENSOR_DIMS)
            return wr_err_set(r->err, WEIR_EINVAL, "invalid shape for an input: more than %d dimensions",
                              WR_TENSOR_DIMS);
        p->t.shape[p->t.ndims] = d > INT64_MAX ? INT64_MAX : (int64_t)d; /* too many elements in any case */
    }
    return more;
}

int wr_oip_fill_missing(wr_tensor *t, const uint8_t *missing, const wr_tensor_spec *spec, wr_arena *a, wr_err *err)
{
    if (!missing || t->type == WR_TENSOR_BYTES || t->type == WR_TENSOR_FP32 || t->type == WR_TENSOR_FP64) return 0;
    if (!memchr(missing, 1, t->count)) return 0; /* whole numbers stay exact */
    if (t->type == WR_TENSOR_INT64 && spec->type == WR_TENSOR_BYTES) { /* a time */
        for (size_t i = 0; i < t->count; i++)
            if (missing[i]) ((int64_t *)t->data)[i] = INT64_MIN;
        return 0;
    }
    WR_TRY(wr_tensor_convert(t, t, WR_TENSOR_FP64, a, err));
    for (size_t i = 0; i < t->count; i++)
        if (missing[i]) ((double *)t->data)[i] = NAN;
    return 0;
}

/* From `text` on; *used bytes of it. */
static int read_data(reading *r, input *p, wr_str text, size_t *used)
{
    const wr_tensor_spec *spec = &r->m->in[p->at];
    uint8_t *missing = NULL;
    WR_TRY(wr_tensor_count(&p->t, r->err));
    p->read = true;
    int rc = spec->lenient ? wr_tensor_read_json_missing(&p->t, &missing, used, text, r->arena, r->err)
                           : wr_tensor_read_json(&p->t, used, text, r->arena, r->err);
    if (rc == 0) rc = wr_oip_fill_missing(&p->t, missing, spec, r->arena, r->err);
    if (rc == WEIR_EINVAL || rc == WEIR_ETYPE || rc == WEIR_EPARSE)
        wr_err_wrap(r->err, rc, "Unable to parse 'data' of input '%s'", spec->name);
    return rc;
}

static int data_member(reading *r, input *p)
{
    const unsigned needed = HAS_NAME | HAS_SHAPE | HAS_TYPE;
    size_t used;
    if ((p->has & needed) != needed) return wr_jscan_skip(&r->s, &p->data);
    wr_jscan_peek(&r->s);
    WR_TRY(read_data(r, p, (wr_str){r->s.at, (size_t)(r->s.end - r->s.at)}, &used));
    p->from = (size_t)(r->s.at - r->s.text);
    p->to = p->from + used;
    r->s.at += used;
    return 0;
}

static int input_parameter(reading *r, input *p, wr_str key)
{
    if (wr_str_is(key, "binary_data_size")) {
        p->binary = true;
        return read_unsigned(r, "binary_data_size", &p->binary_size);
    }
    if (wr_str_is(key, "shared_memory_region")) return read_str(r, "shared_memory_region", &p->place.region);
    if (wr_str_is(key, "shared_memory_offset")) return read_unsigned(r, "shared_memory_offset", &p->place.offset);
    if (wr_str_is(key, "shared_memory_byte_size")) return read_unsigned(r, "shared_memory_byte_size", &p->place.size);
    return wr_jscan_skip(&r->s, NULL);
}

static int input_parameters(reading *r, input *p)
{
    bool first;
    wr_str key;
    int more;
    if (wr_jscan_word(&r->s, "null")) return 0;
    WR_TRY(wr_jscan_open(&r->s, '{', &first));
    while ((more = wr_jscan_member(&r->s, &first, &key)) == 1) WR_TRY(input_parameter(r, p, key));
    return more;
}

static int input_name(reading *r, input *p)
{
    WR_TRY(read_str(r, "name", &p->t.name));
    return wr_oip_ask_name(&r->k, &p->at, p->t.name, r->err);
}

static int input_type(reading *r, input *p)
{
    wr_str text;
    WR_TRY(read_str(r, "datatype", &text));
    WR_TRY(wr_oip_ask_type(&p->t, text, r->err));
    p->sent = p->t.type;
    return 0;
}

static int input_member(reading *r, input *p, wr_str key)
{
    static const struct {
        const char *key;
        unsigned bit;
        int (*read)(reading *r, input *p);
    } members[] = {{"name", HAS_NAME, input_name},
                   {"shape", HAS_SHAPE, read_shape},
                   {"datatype", HAS_TYPE, input_type},
                   {"data", HAS_DATA, data_member},
                   {"parameters", HAS_PARAMETERS, input_parameters}};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        if (!wr_str_is(key, members[i].key)) continue;
        WR_TRY(twice(r, &p->has, members[i].bit, key));
        return members[i].read(r, p);
    }
    return wr_jscan_skip(&r->s, NULL);
}

static int check_source(reading *r, const input *p)
{
    int n = !!(p->has & HAS_DATA) + p->binary + !!p->place.region.p;
    if (n == 1) return 0;
    return wr_err_set(r->err, WEIR_EINVAL,
                      "Input must set only one of the following fields: 'data', 'binary_data_size' in 'parameters', "
                      "'shared_memory_region' in 'parameters'. But%s%s%s%s",
                      n ? " set" : " no field is set", p->has & HAS_DATA ? " 'data'" : "",
                      p->binary ? " 'binary_data_size'" : "", p->place.region.p ? " 'shared_memory_region'" : "");
}

static int check_members(reading *r, const input *p)
{
    static const char missing[] = "attempt to access non-existing object member";
    WR_TRY(check_source(r, p));
    if (!(p->has & HAS_NAME)) return unparsed(r, "name", missing);
    if (!(p->has & HAS_TYPE)) return unparsed(r, "datatype", missing);
    if (!(p->has & HAS_SHAPE)) return unparsed(r, "shape", missing);
    return 0;
}

static int read_binary(reading *r, input *p)
{
    WR_TRY(wr_tensor_count(&p->t, r->err));
    if (!r->behind && p->binary_size)
        return wr_err_set(
            r->err, WEIR_EINVAL,
            "must specify valid 'Infer-Header-Content-Length' in request header and 'binary_data_size' when "
            "passing inputs in binary data format");
    if (p->binary_size > r->binary.n)
        return wr_err_set(r->err, WEIR_EINVAL,
                          "unexpected size for input '%.*s', expecting %llu additional bytes for model '%.*s'",
                          WR_STR_FMT(wr_str_fit(p->t.name, 80)), (unsigned long long)(p->binary_size - r->binary.n),
                          WR_STR_FMT(wr_str_fit(r->m->name, 80)));
    wr_str bytes = wr_str_sub(r->binary, 0, p->binary_size);
    r->binary = wr_str_sub(r->binary, p->binary_size, r->binary.n);
    return wr_tensor_read_binary(&p->t, bytes, r->arena, r->err);
}

/* For the form of the request, if it has one. */
static void note(reading *r, const input *p)
{
    wr_oip_notes *k = &r->notes;
    if (p->place.region.p || !(p->binary || p->read) || k->n == WR_OIP_FORM_TENSORS) k->odd = true;
    if (!k->odd) k->in[k->n++] = (wr_oip_noted){p->at, p->sent, p->binary, p->binary_size, p->from, p->to};
}

static int finish_input(reading *r, input *p)
{
    size_t used;
    WR_TRY(check_members(r, p));
    note(r, p);
    if (p->binary) return read_binary(r, p);
    if (p->place.region.p) return wr_oip_region_get(&p->t, r->c->o, &p->place, r->m, r->arena, r->err);
    return p->read ? 0 : read_data(r, p, p->data, &used);
}

static int read_input(reading *r)
{
    input p = {0};
    bool first;
    wr_str key;
    int more;
    WR_TRY(wr_jscan_open(&r->s, '{', &first));
    while ((more = wr_jscan_member(&r->s, &first, &key)) == 1) WR_TRY(input_member(r, &p, key));
    if (more < 0) return more;
    WR_TRY(finish_input(r, &p));
    return wr_oip_ask_input(&r->k, &p.t, r->err);
}

/* ---- outputs ---- */

static int output_parameter(reading *r, wr_oip_output *o, wr_str key)
{
    if (wr_str_is(key, "binary_data")) return read_bool(r, "binary_data", &o->binary);
    if (wr_str_is(key, "classification")) return read_unsigned(r, "classification", &o->classes);
    if (wr_str_is(key, "shared_memory_region")) return read_str(r, "shared_memory_region", &o->place.region);
    if (wr_str_is(key, "shared_memory_offset")) return read_unsigned(r, "shared_memory_offset", &o->place.offset);
    if (wr_str_is(key, "shared_memory_byte_size")) return read_unsigned(r, "shared_memory_byte_size", &o->place.size);
    return wr_jscan_skip(&r->s, NULL);
}

static int output_parameters(reading *r, wr_oip_output *o)
{
    bool first;
    wr_str key;
    int more;
    if (wr_jscan_word(&r->s, "null")) return 0;
    WR_TRY(wr_jscan_open(&r->s, '{', &first));
    while ((more = wr_jscan_member(&r->s, &first, &key)) == 1) WR_TRY(output_parameter(r, o, key));
    return more;
}

static int add_output(reading *r, const wr_oip_output *o)
{
    if (!o->name.p) return unparsed(r, "name", "attempt to access non-existing object member");
    if (o->place.region.p && o->binary)
        return wr_err_set(r->err, WEIR_EINVAL, "Output can't set both 'shared_memory_region' and 'binary_data'");
    return wr_oip_ask_output(&r->k, o, r->err);
}

static int read_output(reading *r)
{
    wr_oip_output o = {0};
    bool first;
    wr_str key;
    int more;
    WR_TRY(wr_jscan_open(&r->s, '{', &first));
    while ((more = wr_jscan_member(&r->s, &first, &key)) == 1) {
        if (wr_str_is(key, "name")) WR_TRY(read_str(r, "name", &o.name));
        else if (wr_str_is(key, "parameters")) WR_TRY(output_parameters(r, &o));
        else WR_TRY(wr_jscan_skip(&r->s, NULL));
    }
    if (more < 0) return more;
    return add_output(r, &o);
}

/* ---- parameters of the request ---- */

static int any_parameter(reading *r, wr_str key)
{
    wr_oip_param p = {.name = key};
    wr_jnumber n;
    char c = wr_jscan_peek(&r->s);
    if (c == '"') {
        p.kind = WR_OIP_STR;
        WR_TRY(wr_jscan_str(&r->s, &p.str));
    } else if (c == 't' || c == 'f') {
        p.kind = WR_OIP_BOOL;
        WR_TRY(read_bool(r, "parameters", &p.b));
    } else if (c == '-' || (c >= '0' && c <= '9')) {
        WR_TRY(wr_jscan_number(&r->s, &n));
        bool fits = n.whole && n.magnitude <= (uint64_t)INT64_MAX + n.minus;
        p.kind = fits ? WR_OIP_I64 : WR_OIP_F64;
        if (fits) p.i64 = (int64_t)(n.minus ? -n.magnitude : n.magnitude);
        else p.f64 = n.real;
    } else {
        return wr_err_set(r->err, WEIR_EINVAL,
                          "parameter '%.*s' has invalid type. It should be either 'int', 'bool', or 'string'.",
                          WR_STR_FMT(wr_str_fit(key, 80)));
    }
    return wr_oip_ask_param(&r->k, &p, r->err);
}

static int read_parameters(reading *r)
{
    bool first;
    wr_str key;
    int more;
    if (wr_jscan_word(&r->s, "null")) return 0;
    if (wr_jscan_peek(&r->s) != '{') return unparsed(r, "parameters", "attempt to access JSON non-object as object");
    WR_TRY(wr_jscan_open(&r->s, '{', &first));
    while ((more = wr_jscan_member(&r->s, &first, &key)) == 1) {
        if (wr_str_is(key, "binary_data_output")) WR_TRY(read_bool(r, "binary_data_output", &r->out->binary));
        else if (wr_str_is(key, "timeout")) WR_TRY(read_unsigned(r, "timeout", &r->out->q.timeout_us));
        else if (wr_str_is(key, "priority")) WR_TRY(read_unsigned(r, "priority", &r->out->q.priority));
        else WR_TRY(any_parameter(r, key));
    }
    return more;
}

/* ---- the whole ---- */

static int read_list(reading *r, const char *member, int (*item)(reading *r))
{
    bool first;
    int more;
    if (wr_jscan_peek(&r->s) != '[') return unparsed(r, member, "attempt to access JSON non-array as array");
    WR_TRY(wr_jscan_open(&r->s, '[', &first));
    while ((more = wr_jscan_item(&r->s, &first)) == 1) WR_TRY(item(r));
    return more;
}

static int read_id(reading *r)
{
    wr_str id;
    WR_TRY(read_str(r, "id", &id));
    return wr_oip_ask_id(&r->k, id, r->err);
}

static int top_member(reading *r, wr_str key, unsigned *has)
{
    enum { ID = 1, INPUTS = 2, OUTPUTS = 4, PARAMETERS = 8 };
    if (wr_str_is(key, "inputs")) {
        WR_TRY(twice(r, has, INPUTS, key));
        return read_list(r, "inputs", read_input);
    }
    if (wr_str_is(key, "id")) {
        WR_TRY(twice(r, has, ID, key));
        return wr_jscan_word(&r->s, "null") ? 0 : read_id(r);
    }
    if (wr_str_is(key, "outputs")) {
        WR_TRY(twice(r, has, OUTPUTS, key));
        return wr_jscan_word(&r->s, "null") ? 0 : read_list(r, "outputs", read_output);
    }
    if (wr_str_is(key, "parameters")) {
        WR_TRY(twice(r, has, PARAMETERS, key));
        return read_parameters(r);
    }
    return wr_jscan_skip(&r->s, NULL);
}

static int read_top(reading *r)
{
    bool first;
    wr_str key;
    unsigned has = 0;
    int more;
    if (!wr_jscan_peek(&r->s))
        return wr_err_set(r->err, WEIR_EPARSE, "failed to parse the request JSON buffer: The document is empty.");
    if (wr_jscan_peek(&r->s) != '{') return wr_err_set(r->err, WEIR_EPARSE, "the request is not a JSON object");
    WR_TRY(wr_jscan_open(&r->s, '{', &first));
    while ((more = wr_jscan_member(&r->s, &first, &key)) == 1) WR_TRY(top_member(r, key, &has));
    if (more < 0) return more;
    WR_TRY(wr_jscan_end(&r->s));
    return has & 2 ? 0 : unparsed(r, "inputs", "attempt to access non-existing object member 'inputs'");
}

static void start(reading *r, wr_oip_asked *out, wr_oip_call *c, wr_err *err)
{
    *out = wr_oip_asked_by(c);
    r->out = out;
    r->c = c;
    r->m = &c->m;
    r->arena = c->arena;
    r->err = err;
    r->behind = c->in->header_length.p != NULL;
    r->notes.odd = false;
    r->notes.n = 0;
}

static int read_whole(reading *r, wr_str json)
{
    WR_TRY(wr_oip_ask(&r->k, r->out, r->m, r->arena, r->err));
    wr_jscan_init(&r->s, json, r->arena, r->err);
    int rc = read_top(r);
    if (rc == 0 && r->binary.n)
        rc = wr_err_set(r->err, WEIR_EINVAL, "unexpected additional input data for model '%.*s'",
                        WR_STR_FMT(wr_str_fit(r->m->name, 100)));
    if (rc == WEIR_ELIMIT) r->err->code = rc = WEIR_EINVAL; /* counts and depths: a bad request, not a large one */
    return rc;
}

/* ---- one that is like one before ---- */

/* Piece k of the form at json.p + *at. */
static bool piece(const wr_oip_form *f, size_t k, wr_str json, size_t *at)
{
    size_t from = k ? f->ends[k - 1] : 0, n = f->ends[k] - from;
    if (json.n - *at < n || memcmp(json.p + *at, f->text + from, n) != 0) return false;
    *at += n;
    return true;
}

/* Names, moved from the form's text to the request's: `moved[k]` is what piece k is moved by. */
static wr_str moved_name(const wr_oip_form *f, wr_oip_span s, wr_str json, const size_t *moved)
{
    size_t k = 0;
    while (s.from >= f->ends[k]) k++;
    return (wr_str){json.p + s.from + moved[k], s.n};
}

static bool fill_outputs(reading *r, const wr_oip_form *f, wr_str json, const size_t *moved)
{
    wr_oip_asked *out = r->out;
    if (!f->nout) return true;
    wr_str *names = wr_arena_alloc(r->arena, f->nout * sizeof *names);
    out->outputs = wr_arena_alloc(r->arena, f->nout * sizeof *out->outputs);
    if (!names || !out->outputs) return false;
    for (size_t i = 0; i < f->nout; i++) {
        out->outputs[i] = f->out[i];
        out->outputs[i].name = names[i] = moved_name(f, f->out_names[i], json, moved);
    }
    out->q.outputs = names;
    out->q.noutputs = f->nout;
    return true;
}

/* False: it is not like it after all, or something is wrong with it, which the long way finds again and tells. */
static bool read_alike(reading *r, const wr_oip_form *f, wr_str json)
{
    size_t at = 0, k = 0, moved[WR_OIP_FORM_TENSORS + 1], used;
    wr_tensor *in = wr_arena_alloc(r->arena, f->nin * sizeof *in);
    if (!in) return false;
    for (size_t i = 0; i < f->nin; i++) {
        const wr_oip_noted *v = &f->noted[i];
        input p = {.t = f->in[i], .at = v->at, .binary_size = v->size};
        if (v->binary) {
            if (read_binary(r, &p) < 0) return false;
        } else {
            moved[k] = at - (k ? f->ends[k - 1] : 0);
            if (!piece(f, k++, json, &at)) return false;
            if (read_data(r, &p, wr_str_sub(json, at, json.n), &used) < 0) return false;
            at += used;
        }
        in[i] = p.t;
    }
    moved[k] = at - (k ? f->ends[k - 1] : 0);
    if (!piece(f, k, json, &at) || at != json.n || r->binary.n) return false;
    for (size_t i = 0; i < f->nin; i++) in[i].name = moved_name(f, f->in_names[i], json, moved);
    r->out->q.in = in;
    r->out->q.nin = f->nin;
    r->out->binary = f->binary;
    r->out->q.timeout_us = f->timeout_us;
    r->out->q.priority = f->priority;
    return fill_outputs(r, f, json, moved);
}

int wr_oip_read_request(wr_oip_asked *out, wr_oip_call *c, size_t header, wr_err *err)
{
    reading r;
    wr_oip_alike *alike = c->m.generation ? c->in->alike : NULL;
    wr_str json = wr_str_sub(c->in->body, 0, header), behind = wr_str_sub(c->in->body, header, c->in->body.n);
    const wr_oip_form *f = alike ? wr_oip_form_of(alike, c->m.generation, c->explain, json) : NULL;
    start(&r, out, c, err);
    r.binary = behind;
    if (f && read_alike(&r, f, json)) return 0;
    if (f) {
        wr_err_clear(err);
        start(&r, out, c, err);
        r.binary = behind;
    }
    int rc = read_whole(&r, json);
    if (rc == 0 && alike && !f) wr_oip_form_keep(alike, c->m.generation, c->explain, json, out, &r.notes);
    return rc;
}
