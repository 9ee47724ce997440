/* SPDX-License-Identifier: Apache-2.0 */
/* predlog.c - records of the serving log to bytes and back. */
#include "stage/deploy/predlog.h"

#include <endian.h>
#include <math.h>

enum { CELL_MISSING, CELL_F64, CELL_TIME, CELL_TEXT, CELL_F32 };
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
}

void wr_predlog_put_label(wr_buf *out, const wr_predlog_label *r)
{
    put_str(out, r->endpoint);
    put_str(out, r->id);
    put_f64(out, r->label);
    put_i64(out, r->known_us);
    put_i64(out, r->received_us);
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

int wr_predlog_peek(wr_str *name, uint64_t *view, uint32_t type, wr_str payload, wr_err *err)
{
    cursor c = {payload.p, payload.n, false};
    *view = 0;
    *name = take_str(&c);
    if (type == WR_PREDLOG_PREDICTION) {
        take_str(&c);
        take_i64(&c);
    }
    if (type != WR_PREDLOG_LABEL) take(&c, view, sizeof *view);
    c.left = 0;
    if (type >= WR_PREDLOG_PREDICTION && type <= WR_PREDLOG_EVENT) return finish(&c, NULL, err);
    return wr_err_set(err, WEIR_ECORRUPT, "a record of the serving log has the unknown type %u", type);
}
