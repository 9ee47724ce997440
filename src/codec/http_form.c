/* SPDX-License-Identifier: Apache-2.0 */
/* http_form.c - heads that differ from one before in the number of Content-Length alone.
 *
 *   POST /v2/models/m/infer HTTP/1.1 | Host: a | Content-Length: |123| ...
 *
 * A form is the text of such a head and what it was read as, with places instead of pointers. What stands in front of
 * the number and behind it is compared byte for byte, so that nothing is taken for a head that the parser would not
 * have read in the same way.
 */
#include "base/mem.h"
#include "codec/http.h"

enum { FORMS = 8, TEXT_MAX = 768, HEADERS_MAX = 24, DIGITS_MAX = 18, CREDIT_MAX = 64, NOWHERE = UINT16_MAX };

typedef struct {
    uint16_t at, n;
} span;

typedef struct {
    uint16_t n, from, to; /* bytes, 0 = no form; the number: from = to = n when there is none */
    uint16_t nheaders;
    unsigned credit; /* the more often it was of use, the longer it stays */
    int minor;
    bool keep_alive, chunked, has_length, expect_continue;
    span method, target, path, query;
    span names[HEADERS_MAX], values[HEADERS_MAX];
    char text[TEXT_MAX];
} form;

struct wr_http_forms {
    form *forms; /* made with the first one */
    unsigned n, next;
};

wr_http_forms *wr_http_forms_new(void) { return wr_calloc(1, sizeof(wr_http_forms)); }

void wr_http_forms_free(wr_http_forms *t)
{
    if (t) wr_free(t->forms);
    wr_free(t);
}

/* ---- reading by one ---- */

static wr_str at(const form *f, span s, const char *p, size_t shift)
{
    if (s.at == NOWHERE) return (wr_str){0};
    return (wr_str){p + (s.at + (s.at > f->from ? shift : 0)), s.n};
}

static void fill(wr_http_head *out, const form *f, const char *p, size_t digits)
{
    size_t shift = digits - (size_t)(f->to - f->from); /* may wrap: added to a place it is right again */
    out->method = at(f, f->method, p, shift);
    out->target = at(f, f->target, p, shift);
    out->path = at(f, f->path, p, shift);
    out->query = at(f, f->query, p, shift);
    out->status = 0;
    out->minor = f->minor;
    out->keep_alive = f->keep_alive;
    out->chunked = f->chunked;
    out->has_length = f->has_length;
    out->expect_continue = f->expect_continue;
    out->size = f->n + shift;
    out->nheaders = f->nheaders;
    for (size_t i = 0; i < f->nheaders; i++) {
        out->headers[i] = (wr_http_header){at(f, f->names[i], p, shift), at(f, f->values[i], p, shift)};
        if (f->has_length && f->values[i].at == f->from) out->headers[i].value.n = digits;
    }
}

static bool read_by(wr_http_head *out, const form *f, wr_str data)
{
    if (!f->n || data.n < f->from || memcmp(data.p, f->text, f->from) != 0) return false;
    size_t i = f->from, rest = (size_t)(f->n - f->to);
    uint64_t length = 0;
    if (f->has_length) {
        for (; i < data.n && data.p[i] >= '0' && data.p[i] <= '9'; i++) {
            if (i - f->from == DIGITS_MAX) return false;
            length = length * 10 + (uint64_t)(data.p[i] - '0');
        }
        if (i == f->from) return false;
    }
    if (data.n - i < rest || memcmp(data.p + i, f->text + f->to, rest) != 0) return false;
    fill(out, f, data.p, i - f->from);
    out->length = length;
    return true;
}

bool wr_http_forms_read(wr_http_head *out, wr_http_forms *t, unsigned *hint, wr_str data)
{
    for (unsigned i = 0; i < t->n; i++) {
        unsigned k = *hint + i < t->n ? *hint + i : *hint + i - t->n;
        form *f = &t->forms[k];
        if (!read_by(out, f, data)) continue;
        f->credit += f->credit < CREDIT_MAX;
        *hint = k;
        return true;
    }
    return false;
}

/* ---- a new one ---- */

static bool place(span *out, wr_str part, wr_str text)
{
    *out = (span){NOWHERE, 0};
    if (!part.p) return true;
    if (part.p < text.p || part.p + part.n > text.p + text.n) return false; /* "/" for an empty path */
    *out = (span){(uint16_t)(part.p - text.p), (uint16_t)part.n};
    return true;
}

static bool make(form *f, const wr_http_head *h, wr_str text)
{
    *f = (form){.n = (uint16_t)text.n, .from = (uint16_t)text.n, .to = (uint16_t)text.n, .minor = h->minor};
    f->keep_alive = h->keep_alive;
    f->chunked = h->chunked;
    f->has_length = h->has_length;
    f->expect_continue = h->expect_continue;
    f->nheaders = (uint16_t)h->nheaders;
    memcpy(f->text, text.p, text.n);
    for (size_t i = 0; i < h->nheaders; i++) {
        const wr_http_header *k = &h->headers[i];
        if (!place(&f->names[i], k->name, text) || !place(&f->values[i], k->value, text)) return false;
        if (!h->has_length || !wr_str_ieq(k->name, "content-length")) continue;
        f->from = f->values[i].at;
        f->to = (uint16_t)(f->from + f->values[i].n);
    }
    return place(&f->method, h->method, text) && place(&f->target, h->target, text) && place(&f->path, h->path, text) &&
           place(&f->query, h->query, text);
}

void wr_http_forms_keep(wr_http_forms *t, unsigned *hint, const wr_http_head *h, wr_str data)
{
    if (h->size > TEXT_MAX || h->nheaders > HEADERS_MAX) return;
    if (!t->forms) t->forms = wr_alloc(FORMS * sizeof *t->forms);
    if (!t->forms) return;
    unsigned k = t->n < FORMS ? t->n : t->next++ % FORMS;
    form *f = &t->forms[k];
    if (t->n == FORMS && f->credit > 0) {
        f->credit--;
        return;
    }
    if (!make(f, h, wr_str_sub(data, 0, h->size))) {
        f->n = 0; /* none */
        return;
    }
    if (t->n < FORMS) t->n++;
    *hint = k;
}
