/* SPDX-License-Identifier: Apache-2.0 */
/* predlog.c - records of the serving log to bytes and back. */
#include "stage/predlog/predlog.h"

#include <endian.h>
#include <math.h>

enum { CELL_MISSING, CELL_F64, CELL_TIME, CELL_TEXT, CELL_F32 };
static const uint32_t NO_TEXT = UINT32_MAX;
_Static_assert(__BYTE_ORDER == __LITTLE_ENDIAN, "numbers are copied as they stand");

uint64_t wr_predlog_view_id(const wr_view *v)
{
    uint64_t id = 0;
    for (int i = 0; i < 16; i++) {
        char c = v->hash[i];
        id = id << 4 | (uint64_t)(c >= 'a' ? c - 'a' + 10 : c - '0');
    }
    return id;
}

/* ---- encoding ---- */

static void put_i64(wr_buf *b, int64_t v) { wr_buf_add(b, &v, sizeof v); }
static void put_u64(wr_buf *b, uint64_t v) { wr_buf_add(b, &v, sizeof v); }
static void put_f64(wr_buf *b, double v) { wr_buf_add(b, &v, sizeof v); }

static void put_u16(wr_buf *b, size_t v)
{
    uint16_t n = (uint16_t)v;
    wr_buf_add(b, &n, sizeof n);
}

static void put_str(wr_buf *b, wr_str s)
{
    uint32_t n = (uint32_t)s.n;
    wr_buf_add(b, &n, sizeof n);
    wr_buf_slice(b, s);
}

static void put_text_cell(wr_buf *b, wr_str s)
{
    wr_buf_char(b, CELL_TEXT);
    put_str(b, s);
}

static void put_cell(wr_buf *b, const wr_cell *c, wr_type type)
{
    char fixed[9];
    if (c->missing) {
        wr_buf_char(b, CELL_MISSING);
    } else if (type == WR_TEXT) {
        put_text_cell(b, c->text);
    } else {
        fixed[0] = type == WR_TS ? CELL_TIME : CELL_F64;
        if (type == WR_TS) memcpy(fixed + 1, &c->ts, 8);
        else memcpy(fixed + 1, &c->num, 8);
        wr_buf_add(b, fixed, sizeof fixed);
    }
}

static void put_feature(wr_buf *b, bool category, float num, wr_str text)
{
    char fixed[5] = {CELL_F32};
    if (category) {
        if (text.p) put_text_cell(b, text);
        else wr_buf_char(b, CELL_MISSING);
        return;
    }
    memcpy(fixed + 1, &num, 4);
    wr_buf_add(b, fixed, sizeof fixed);
}

void wr_predlog_put_prediction(wr_buf *out, const wr_predlog_prediction *r, const wr_view *v)
{
    put_str(out, r->endpoint);
    put_str(out, r->model);
    put_i64(out, r->version);
    put_u64(out, r->view);
    put_str(out, r->id);
    put_i64(out, r->served_us);
    put_i64(out, r->event_us);
    put_f64(out, r->score);
    put_u16(out, v->nrequest);
    for (size_t i = 0; i < v->nrequest; i++) put_cell(out, &r->request[i], v->request_type[i]);
    put_u16(out, v->nfeatures);
    for (size_t i = 0; i < v->nfeatures; i++) put_feature(out, v->features[i].category, r->num[i], r->text[i]);
    put_f64(out, r->joules);
}

void wr_predlog_put_label(wr_buf *out, const wr_predlog_label *r)
{
    put_str(out, r->endpoint);
    put_str(out, r->id);
    put_f64(out, r->label);
    put_i64(out, r->known_us);
    put_i64(out, r->received_us);
}

void wr_predlog_put_decision(wr_buf *out, const wr_predlog_decision *r)
{
    put_str(out, r->endpoint);
    put_str(out, r->id);
    put_str(out, r->arm);
    put_str(out, r->answered);
    put_i64(out, r->version);
    put_f64(out, r->propensity);
    put_f64(out, r->took_s);
    put_i64(out, r->decided_us);
}

void wr_predlog_put_event(wr_buf *out, const wr_predlog_event *r, const wr_view *v)
{
    put_str(out, r->view_name);
    put_u64(out, r->view);
    put_i64(out, r->time_us);
    put_i64(out, r->received_us);
    put_u16(out, v->nevent_columns);
    for (size_t i = 0; i < v->nevent_columns; i++) put_cell(out, &r->cells[i], v->event_type[i]);
}

static void put_u32(wr_buf *b, uint32_t v) { wr_buf_add(b, &v, sizeof v); }

static void put_tensor(wr_buf *b, const wr_tensor *t, bool output, const wr_predlog_tensors *r)
{
    size_t per_row = r->rowwise && r->total ? t->count / r->total : t->count;
    size_t from = r->rowwise ? r->first * per_row : 0, n = r->rowwise ? r->rows * per_row : t->count;
    wr_buf_char(b, output);
    put_str(b, t->name);
    wr_buf_char(b, (char)t->type);
    wr_buf_char(b, (char)t->ndims);
    for (int d = 0; d < t->ndims; d++) put_i64(b, d == 0 && r->rowwise ? (int64_t)r->rows : t->shape[d]);
    if (t->type != WR_TENSOR_BYTES) {
        size_t size = wr_tensor_type_size(t->type);
        wr_buf_add(b, (const char *)t->data + from * size, n * size);
        return;
    }
    for (size_t i = from; i < from + n; i++) {
        wr_str s = ((const wr_str *)t->data)[i];
        if (s.p) put_str(b, s);
        else put_u32(b, NO_TEXT);
    }
}

void wr_predlog_put_tensors(wr_buf *out, const wr_predlog_tensors *r)
{
    put_str(out, r->endpoint);
    put_str(out, r->model);
    put_i64(out, r->version);
    put_u64(out, r->layout);
    put_str(out, r->id);
    put_i64(out, r->served_us);
    put_f64(out, r->took_s);
    put_f64(out, r->joules);
    put_str(out, r->arm);
    put_f64(out, r->propensity);
    put_u32(out, r->rows);
    put_u32(out, r->first);
    put_u32(out, r->total);
    wr_buf_char(out, r->rowwise);
    put_u16(out, r->nin + r->nout);
    for (size_t i = 0; i < r->nin; i++) put_tensor(out, &r->in[i], false, r);
    for (size_t i = 0; i < r->nout; i++) put_tensor(out, &r->out[i], true, r);
}

void wr_predlog_put_feedback(wr_buf *out, const wr_predlog_feedback *r)
{
    put_str(out, r->endpoint);
    put_str(out, r->id);
    wr_buf_char(out, r->reward);
    wr_buf_char(out, r->text.p ? CELL_TEXT : CELL_F64);
    if (r->text.p) put_str(out, r->text);
    else put_f64(out, r->value);
    put_i64(out, r->known_us);
    put_i64(out, r->received_us);
}

/* ---- decoding: a cursor that remembers that it ran out ---- */

typedef struct {
    const char *p;
    size_t left;
    bool bad;
} cursor;

static void take(cursor *c, void *to, size_t n)
{
    if (c->bad || c->left < n) {
        c->bad = true;
        memset(to, 0, n);
        return;
    }
    memcpy(to, c->p, n);
    c->p += n;
    c->left -= n;
}

static int64_t take_i64(cursor *c)
{
    int64_t v;
    take(c, &v, sizeof v);
    return v;
}

static double take_f64(cursor *c)
{
    double v;
    take(c, &v, sizeof v);
    return v;
}

static size_t take_u16(cursor *c)
{
    uint16_t v;
    take(c, &v, sizeof v);
    return v;
}

static wr_str take_str(cursor *c)
{
    uint32_t n;
    take(c, &n, sizeof n);
    if (c->bad || n > c->left) {
        c->bad = true;
        return (wr_str){"", 0};
    }
    wr_str s = {c->p, n};
    c->p += n;
    c->left -= n;
    return s;
}

static void take_cell(cursor *c, wr_cell *out)
{
    unsigned char kind;
    float f;
    *out = (wr_cell){.num = NAN};
    take(c, &kind, 1);
    switch (kind) {
    case CELL_MISSING:
        out->missing = true;
        break;
    case CELL_F64:
        out->num = take_f64(c);
        break;
    case CELL_TIME:
        out->ts = take_i64(c);
        break;
    case CELL_TEXT:
        out->text = take_str(c);
        break;
    case CELL_F32:
        take(c, &f, sizeof f);
        out->num = (double)f;
        break;
    default:
        c->bad = true;
    }
}

/* Every cell takes at least one byte, so a count that lies asks for no more memory than the payload justifies. */
static wr_cell *take_cells(cursor *c, size_t *n, wr_arena *a)
{
    *n = take_u16(c);
    if (*n > c->left) c->bad = true;
    if (c->bad) return NULL;
    wr_cell *cells = wr_arena_calloc(a, *n + 1, sizeof *cells);
    for (size_t i = 0; cells && i < *n; i++) take_cell(c, &cells[i]);
    return cells;
}

static int finish(const cursor *c, const wr_arena *a, wr_err *err)
{
    if (a && wr_arena_failed(a)) return wr_err_nomem(err);
    if (!c->bad && c->left == 0) return 0;
    wr_err_set(err, WEIR_ECORRUPT, "a record of the serving log cannot be read");
    return wr_err_detail(err, WEIR_ECORRUPT, "%s",
                         c->bad ? "it is cut short or has an unknown kind of value" : "bytes are left over at its end");
}

int wr_predlog_get_prediction(wr_predlog_prediction *out, wr_arena *a, wr_str payload, wr_err *err)
{
    cursor c = {payload.p, payload.n, false};
    *out = (wr_predlog_prediction){0};
    out->endpoint = take_str(&c);
    out->model = take_str(&c);
    out->version = take_i64(&c);
    take(&c, &out->view, sizeof out->view);
    out->id = take_str(&c);
    out->served_us = take_i64(&c);
    out->event_us = take_i64(&c);
    out->score = take_f64(&c);
    out->request = take_cells(&c, &out->nrequest, a);
    wr_cell *features = take_cells(&c, &out->nfeatures, a);
    out->joules = c.left ? take_f64(&c) : NAN;
    WR_TRY(finish(&c, a, err));
    float *num = wr_arena_alloc(a, (out->nfeatures + 1) * sizeof *num);
    wr_str *text = wr_arena_alloc(a, (out->nfeatures + 1) * sizeof *text);
    if (!num || !text) return wr_err_nomem(err);
    for (size_t i = 0; i < out->nfeatures; i++) {
        num[i] = (float)features[i].num;
        text[i] = features[i].text;
    }
    out->num = num;
    out->text = text;
    return 0;
}

int wr_predlog_get_label(wr_predlog_label *out, wr_str payload, wr_err *err)
{
    cursor c = {payload.p, payload.n, false};
    out->endpoint = take_str(&c);
    out->id = take_str(&c);
    out->label = take_f64(&c);
    out->known_us = take_i64(&c);
    out->received_us = take_i64(&c);
    return finish(&c, NULL, err);
}

int wr_predlog_get_decision(wr_predlog_decision *out, wr_str payload, wr_err *err)
{
    cursor c = {payload.p, payload.n, false};
    out->endpoint = take_str(&c);
    out->id = take_str(&c);
    out->arm = take_str(&c);
    out->answered = take_str(&c);
    out->version = take_i64(&c);
    out->propensity = take_f64(&c);
    out->took_s = take_f64(&c);
    out->decided_us = take_i64(&c);
    return finish(&c, NULL, err);
}

int wr_predlog_get_event(wr_predlog_event *out, wr_arena *a, wr_str payload, wr_err *err)
{
    cursor c = {payload.p, payload.n, false};
    *out = (wr_predlog_event){0};
    out->view_name = take_str(&c);
    take(&c, &out->view, sizeof out->view);
    out->time_us = take_i64(&c);
    out->received_us = take_i64(&c);
    out->cells = take_cells(&c, &out->ncells, a);
    return finish(&c, a, err);
}

static uint8_t take_u8(cursor *c)
{
    uint8_t v;
    take(c, &v, sizeof v);
    return v;
}

static uint32_t take_u32(cursor *c)
{
    uint32_t v;
    take(c, &v, sizeof v);
    return v;
}

/* A missing text takes its length alone, so elements are at least four bytes; a count that lies is found before
 * anything is allocated. */
static void take_texts(cursor *c, wr_tensor *t, wr_arena *a)
{
    if (t->count > c->left / 4) c->bad = true;
    wr_str *s = c->bad ? NULL : wr_arena_alloc(a, (t->count + 1) * sizeof *s);
    for (size_t i = 0; s && i < t->count; i++) {
        cursor ahead = *c;
        s[i] = (wr_str){NULL, 0};
        if (take_u32(&ahead) == NO_TEXT) *c = ahead;
        else s[i] = take_str(c);
    }
    t->data = s;
}

static void take_tensor(cursor *c, wr_tensor *t, bool *output, wr_arena *a)
{
    *t = (wr_tensor){0};
    uint8_t side = take_u8(c);
    *output = side == 1;
    t->name = take_str(c);
    uint8_t type = take_u8(c), dims = take_u8(c);
    if (side > 1 || type == WR_TENSOR_NONE || type >= WR_TENSOR_TYPES || dims > WR_TENSOR_DIMS) c->bad = true;
    if (c->bad) return;
    t->type = (wr_tensor_type)type;
    t->ndims = dims;
    for (int d = 0; d < dims; d++) t->shape[d] = take_i64(c);
    if (c->bad || wr_tensor_count(t, NULL) < 0) {
        c->bad = true;
        return;
    }
    if (t->type == WR_TENSOR_BYTES) {
        take_texts(c, t, a);
        return;
    }
    size_t size = wr_tensor_type_size(t->type);
    if (t->count > c->left / size) c->bad = true;
    t->data = c->bad ? NULL : wr_arena_alloc(a, t->count * size + 1);
    if (t->data) take(c, t->data, t->count * size);
}

/* Inputs come first. */
static void take_tensors(cursor *c, wr_predlog_tensors *out, wr_arena *a)
{
    size_t n = take_u16(c);
    if (n > WR_PREDLOG_TENSORS_MAX || n > c->left) c->bad = true;
    wr_tensor *all = c->bad ? NULL : wr_arena_alloc(a, (n + 1) * sizeof *all);
    for (size_t i = 0; all && !c->bad && i < n; i++) {
        bool output = false;
        take_tensor(c, &all[i], &output, a);
        if (!output && out->nout) c->bad = true;
        if (out->rowwise && (!all[i].ndims || all[i].shape[0] != (int64_t)out->rows)) c->bad = true;
        if (output) out->nout++;
        else out->nin++;
    }
    out->in = all;
    out->out = all ? all + out->nin : NULL;
}

int wr_predlog_get_tensors(wr_predlog_tensors *out, wr_arena *a, wr_str payload, wr_err *err)
{
    cursor c = {payload.p, payload.n, false};
    *out = (wr_predlog_tensors){0};
    out->endpoint = take_str(&c);
    out->model = take_str(&c);
    out->version = take_i64(&c);
    take(&c, &out->layout, sizeof out->layout);
    out->id = take_str(&c);
    out->served_us = take_i64(&c);
    out->took_s = take_f64(&c);
    out->joules = take_f64(&c);
    out->arm = take_str(&c);
    out->propensity = take_f64(&c);
    out->rows = take_u32(&c);
    out->first = take_u32(&c);
    out->total = take_u32(&c);
    out->rowwise = take_u8(&c) != 0;
    if (!out->rowwise && out->rows != 1) c.bad = true;
    if (out->first > out->total || out->rows > out->total - out->first) c.bad = true;
    take_tensors(&c, out, a);
    return finish(&c, a, err);
}

int wr_predlog_get_feedback(wr_predlog_feedback *out, wr_str payload, wr_err *err)
{
    cursor c = {payload.p, payload.n, false};
    *out = (wr_predlog_feedback){.value = NAN};
    out->endpoint = take_str(&c);
    out->id = take_str(&c);
    out->reward = take_u8(&c) == 1;
    uint8_t kind = take_u8(&c);
    if (kind == CELL_TEXT) out->text = take_str(&c);
    else if (kind == CELL_F64) out->value = take_f64(&c);
    else c.bad = true;
    out->known_us = take_i64(&c);
    out->received_us = take_i64(&c);
    return finish(&c, NULL, err);
}

int wr_predlog_peek(wr_str *name, uint64_t *view, uint32_t type, wr_str payload, wr_err *err)
{
    cursor c = {payload.p, payload.n, false};
    *view = 0;
    *name = take_str(&c);
    if (type == WR_PREDLOG_PREDICTION || type == WR_PREDLOG_TENSORS) {
        take_str(&c);
        take_i64(&c);
    }
    if (type != WR_PREDLOG_LABEL && type != WR_PREDLOG_FEEDBACK && type != WR_PREDLOG_DECISION)
        take(&c, view, sizeof *view);
    c.left = 0;
    if ((type >= WR_PREDLOG_PREDICTION && type <= WR_PREDLOG_EVENT) || type == WR_PREDLOG_TENSORS ||
        type == WR_PREDLOG_FEEDBACK || type == WR_PREDLOG_DECISION)
        return finish(&c, NULL, err);
    return wr_err_set(err, WEIR_ECORRUPT, "a record of the serving log has the unknown type %u", type);
}
