/* SPDX-License-Identifier: Apache-2.0 */
/* ubjson.c - Universal Binary JSON: a marker, then big-endian bytes; lengths are integers with a marker of their own. */
#include "codec/ubjson.h"

#include "base/limits.h"
#include "base/mem.h"

typedef struct {
    const unsigned char *p;
    size_t n, at, values;
    int depth;
    const char *what;
    yyjson_mut_doc *doc;
    wr_err *err;
} reader;

static int fail(reader *r, const char *message) { return wr_err_set(r->err, WEIR_EPARSE, "%s: byte %zu: %s", r->what, r->at, message); }

static int need(reader *r, uint64_t bytes) { return r->n - r->at < bytes ? fail(r, "ends too early") : 0; }

static uint64_t big_endian(reader *r, size_t bytes)
{
    uint64_t v = 0;
    for (size_t i = 0; i < bytes; i++) v = v << 8 | r->p[r->at++];
    return v;
}

/* Bytes of a value of a type of fixed size; 0 for others. */
static size_t size_of(unsigned char type)
{
    switch (type) {
    case 'i':
    case 'U':
    case 'C': return 1;
    case 'I': return 2;
    case 'l':
    case 'd': return 4;
    case 'L':
    case 'D': return 8;
    default: return 0;
    }
}

static int marker(unsigned char *out, reader *r)
{
    do {
        WR_TRY(need(r, 1));
        *out = r->p[r->at++];
    } while (*out == 'N');
    return 0;
}

/* A length or count. */
static int length(size_t *out, reader *r)
{
    unsigned char type;
    WR_TRY(marker(&type, r));
    size_t bytes = size_of(type);
    if (!bytes || type == 'C' || type == 'd' || type == 'D') return fail(r, "a length is not an integer");
    WR_TRY(need(r, bytes));
    uint64_t v = big_endian(r, bytes);
    if (type != 'U' && v >> (8 * bytes - 1)) return fail(r, "a negative length");
    *out = (size_t)v;
    return 0;
}

static int text(yyjson_mut_val **out, reader *r)
{
    size_t n;
    WR_TRY(length(&n, r));
    WR_TRY(need(r, n));
    wr_str s = {(const char *)r->p + r->at, n};
    if (!wr_str_utf8(s)) return fail(r, "text is not UTF-8");
    r->at += n;
    *out = yyjson_mut_strn(r->doc, s.p, n);
    return 0;
}

/* A value of fixed size whose bytes are there. */
static yyjson_mut_val *scalar(reader *r, unsigned char type)
{
    size_t bytes = size_of(type);
    uint64_t v = big_endian(r, bytes);
    uint32_t low = (uint32_t)v;
    float f;
    double d;
    switch (type) {
    case 'i': return yyjson_mut_sint(r->doc, (int8_t)v);
    case 'I': return yyjson_mut_sint(r->doc, (int16_t)v);
    case 'l': return yyjson_mut_sint(r->doc, (int32_t)v);
    case 'L': return yyjson_mut_sint(r->doc, (int64_t)v);
    case 'd': memcpy(&f, &low, 4); return yyjson_mut_real(r->doc, (double)f);
    case 'D': memcpy(&d, &v, 8); return yyjson_mut_real(r->doc, d);
    default: return yyjson_mut_uint(r->doc, v); /* 'U' */
    }
}

static int value(yyjson_mut_val **out, reader *r, unsigned char type);

/* The optional "$type" and "#count" of an array or object. */
static int head(reader *r, unsigned char *type, bool *counted, size_t *count)
{
    *type = 0;
    *counted = false;
    *count = 0;
    if (r->at < r->n && r->p[r->at] == '$') {
        r->at++;
        WR_TRY(need(r, 1));
        *type = r->p[r->at++];
        if (!size_of(*type) && *type != 'S' && *type != '[' && *type != '{') return fail(r, "a type that elements may not have");
        if (r->at >= r->n || r->p[r->at] != '#') return fail(r, "a type without a count");
    }
    if (r->at < r->n && r->p[r->at] == '#') {
        r->at++;
        *counted = true;
        WR_TRY(length(count, r));
        WR_TRY(need(r, *count)); /* an element has a byte at least */
    }
    return 0;
}

/* More elements? With a type of its own or the common one; false at the end, which it steps over. */
static int next(bool *more, reader *r, unsigned char *type, unsigned char common, bool counted, size_t left, unsigned char end)
{
    *more = true;
    if (counted) {
        *more = left > 0;
    } else {
        while (r->at < r->n && r->p[r->at] == 'N') r->at++;
        WR_TRY(need(r, 1));
        if (r->p[r->at] == end) {
            r->at++;
            *more = false;
        }
    }
    *type = common;
    return 0;
}

static int array(yyjson_mut_val **out, reader *r)
{
    unsigned char common, type;
    bool counted, more;
    size_t count;
    *out = yyjson_mut_arr(r->doc);
    WR_TRY(head(r, &common, &counted, &count));
    for (;; count -= counted) {
        yyjson_mut_val *v = NULL;
        WR_TRY(next(&more, r, &type, common, counted, count, ']'));
        if (!more) return 0;
        if (!type) WR_TRY(marker(&type, r));
        WR_TRY(value(&v, r, type));
        if (!yyjson_mut_arr_append(*out, v)) return wr_err_nomem(r->err);
    }
}

static int object(yyjson_mut_val **out, reader *r)
{
    unsigned char common, type;
    bool counted, more;
    size_t count;
    *out = yyjson_mut_obj(r->doc);
    WR_TRY(head(r, &common, &counted, &count));
    for (;; count -= counted) {
        yyjson_mut_val *k = NULL, *v = NULL;
        WR_TRY(next(&more, r, &type, common, counted, count, '}'));
        if (!more) return 0;
        WR_TRY(text(&k, r));
        if (!type) WR_TRY(marker(&type, r));
        WR_TRY(value(&v, r, type));
        if (!yyjson_mut_obj_add(*out, k, v)) return wr_err_nomem(r->err);
    }
}

static int nested(yyjson_mut_val **out, reader *r, unsigned char type)
{
    if (++r->depth > WR_LIMIT_JSON_DEPTH) {
        return wr_err_set(r->err, WEIR_ELIMIT, "%s: byte %zu: more than %d levels", r->what, r->at, WR_LIMIT_JSON_DEPTH);
    }
    WR_TRY(type == '[' ? array(out, r) : object(out, r));
    r->depth--;
    return 0;
}

/* The value behind a marker. */
static int value(yyjson_mut_val **out, reader *r, unsigned char type)
{
    if (++r->values > WR_LIMIT_UBJSON_VALUES) {
        return wr_err_set(r->err, WEIR_ELIMIT, "%s: more than %d values", r->what, WR_LIMIT_UBJSON_VALUES);
    }
    size_t bytes = size_of(type);
    if (type == 'C') {
        WR_TRY(need(r, 1));
        if (r->p[r->at] >= 0x80) return fail(r, "a character beyond ASCII");
        *out = yyjson_mut_strn(r->doc, (const char *)r->p + r->at++, 1);
    } else if (bytes) {
        WR_TRY(need(r, bytes));
        *out = scalar(r, type);
    } else if (type == 'Z') {
        *out = yyjson_mut_null(r->doc);
    } else if (type == 'T' || type == 'F') {
        *out = yyjson_mut_bool(r->doc, type == 'T');
    } else if (type == 'S') {
        WR_TRY(text(out, r));
    } else if (type == '[' || type == '{') {
        WR_TRY(nested(out, r, type));
    } else {
        return fail(r, type == 'H' ? "numbers of high precision are not taken" : "no value starts so");
    }
    return *out ? 0 : wr_err_nomem(r->err);
}

static int document(yyjson_mut_val **out, reader *r)
{
    unsigned char type;
    WR_TRY(marker(&type, r));
    WR_TRY(value(out, r, type));
    while (r->at < r->n && r->p[r->at] == 'N') r->at++;
    return r->at < r->n ? fail(r, "something follows the value") : 0;
}

int wr_ubjson_parse(wr_json *out, wr_str bytes, const char *what, wr_err *err)
{
    *out = (wr_json){0};
    reader r = {.p = (const unsigned char *)bytes.p, .n = bytes.n, .what = what, .err = err, .doc = yyjson_mut_doc_new(&wr_json_alc)};
    if (!r.doc) return wr_err_nomem(err);
    yyjson_mut_val *root = NULL;
    int rc = document(&root, &r);
    if (rc == 0) {
        yyjson_mut_doc_set_root(r.doc, root);
        out->doc = yyjson_mut_doc_imut_copy(r.doc, &wr_json_alc);
        if (out->doc) out->root = yyjson_doc_get_root(out->doc);
        else rc = wr_err_nomem(err);
    }
    yyjson_mut_doc_free(r.doc);
    return rc;
}
