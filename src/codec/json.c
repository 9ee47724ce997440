/* SPDX-License-Identifier: Apache-2.0 */
/* json.c - reading JSON through yyjson: a depth limit before, line and column after, getters that name the key. */
#include "codec/json.h"

#include <math.h>

#include "base/limits.h"
#include "base/mem.h"

/* ---- parsing ---- */

static void *alc_malloc(void *ctx, size_t n)
{
    (void)ctx;
    return wr_alloc(n);
}

static void *alc_realloc(void *ctx, void *p, size_t old, size_t n)
{
    (void)ctx;
    (void)old;
    return wr_realloc(p, n);
}

static void alc_free(void *ctx, void *p)
{
    (void)ctx;
    wr_free(p);
}

const yyjson_alc wr_json_alc = {alc_malloc, alc_realloc, alc_free, NULL};

/* Lines end at LF; columns count characters, not bytes. Both from 1. */
static void locate(wr_str text, size_t pos, size_t *line, size_t *column)
{
    size_t l = 1, c = 1;
    for (size_t i = 0; i < pos && i < text.n; i++) {
        unsigned char byte = (unsigned char)text.p[i];
        if (byte == '\n') {
            l++;
            c = 1;
        } else if ((byte & 0xc0) != 0x80) {
            c++;
        }
    }
    *line = l;
    *column = c;
}

static int error_at(wr_err *err, int code, wr_str text, size_t pos, const char *what, const char *message)
{
    size_t line, column;
    locate(text, pos, &line, &column);
    return wr_err_set(err, code, "%s: line %zu, column %zu: %s", what, line, column, message);
}

/* Index just after the string that starts at text.p[i] == '"', or text.n. */
static size_t skip_string(wr_str text, size_t i)
{
    for (i++; i < text.n; i++) {
        if (text.p[i] == '\\') i++;
        else if (text.p[i] == '"') return i + 1;
    }
    return text.n;
}

/* Offset of the bracket that is nested too deep, or text.n. yyjson itself does not recurse, but those who walk its
 * values do. */
static size_t too_deep(wr_str text)
{
    size_t depth = 0;
    for (size_t i = 0; i < text.n;) {
        char c = text.p[i];
        if (c == '"') {
            i = skip_string(text, i);
            continue;
        }
        if ((c | 0x20) == '{') { /* '{' or '[' */
            if (++depth > WR_LIMIT_JSON_DEPTH) return i;
        } else if ((c | 0x20) == '}' && depth > 0) {
            depth--;
        }
        i++;
    }
    return text.n;
}

/* yyjson says where its attention was; for an open string that is the end of the text, and the user looks for the
 * start. */
static int parse_error(wr_err *err, wr_str text, const yyjson_read_err *e, const char *what)
{
    if (e->code == YYJSON_READ_ERROR_MEMORY_ALLOCATION) return wr_err_nomem(err);
    if (e->code == YYJSON_READ_ERROR_UNEXPECTED_END)
        return error_at(err, WEIR_EPARSE, text, text.n, what, "the text ends in the middle of a value");
    return error_at(err, WEIR_EPARSE, text, e->pos, what, e->msg ? e->msg : "not JSON");
}

static int parse(wr_json *out, wr_str text, const char *what, yyjson_read_flag flags, wr_err *err)
{
    *out = (wr_json){0};
    if (wr_str_trim(text).n == 0) return wr_err_set(err, WEIR_EPARSE, "%s: line 1, column 1: there is no value", what);
    size_t deep = too_deep(text);
    if (deep < text.n) {
        int rc = error_at(err, WEIR_ELIMIT, text, deep, what, "nested too deep");
        return wr_err_detail(err, rc, "at most %d levels are read", (int)WR_LIMIT_JSON_DEPTH);
    }
    yyjson_read_err e;
    /* the cast is yyjson's own advice: without YYJSON_READ_INSITU the text is not written to */
    out->doc = yyjson_read_opts((char *)(uintptr_t)text.p, text.n, flags, &wr_json_alc, &e);
    if (!out->doc) return parse_error(err, text, &e, what);
    out->root = yyjson_doc_get_root(out->doc);
    return 0;
}

int wr_json_parse(wr_json *out, wr_str text, const char *what, wr_err *err)
{
    return parse(out, text, what ? what : "json", YYJSON_READ_NOFLAG, err);
}

int wr_json_parse_lenient(wr_json *out, wr_str text, wr_err *err)
{
    return parse(out, text, "request", YYJSON_READ_ALLOW_INF_AND_NAN, err);
}

void wr_json_free(wr_json *j)
{
    if (!j) return;
    yyjson_doc_free(j->doc);
    *j = (wr_json){0};
}

/* ---- getters ---- */

static const char *type_name(yyjson_val *v)
{
    switch (yyjson_get_type(v)) {
    case YYJSON_TYPE_NULL:
        return "null";
    case YYJSON_TYPE_BOOL:
        return "a boolean";
    case YYJSON_TYPE_NUM:
        return "a number";
    case YYJSON_TYPE_STR:
        return "a string";
    case YYJSON_TYPE_ARR:
        return "an array";
    case YYJSON_TYPE_OBJ:
        return "an object";
    default:
        return "nothing";
    }
}

static int wrong_type(wr_err *err, const char *key, const char *wanted, yyjson_val *v)
{
    return wr_err_set(err, WEIR_ETYPE, "'%s' must be %s, not %s", key, wanted, type_name(v));
}

/* 1 and *out when the member is there, 0 when it is missing (or null, for optional ones), else an error. */
static int member(yyjson_val **out, yyjson_val *obj, const char *key, bool optional, wr_err *err)
{
    if (obj && !yyjson_is_obj(obj))
        return wr_err_set(err, WEIR_ETYPE, "'%s' is looked for in %s, not in an object", key, type_name(obj));
    yyjson_val *v = yyjson_obj_get(obj, key);
    if (optional && (!v || yyjson_is_null(v))) return 0;
    if (!v) return wr_err_set(err, WEIR_EINVAL, "'%s' is missing", key);
    *out = v;
    return 1;
}

static int as_str(wr_str *out, yyjson_val *v, const char *key, wr_err *err)
{
    if (!yyjson_is_str(v)) return wrong_type(err, key, "a string", v);
    *out = (wr_str){yyjson_get_str(v), yyjson_get_len(v)};
    return 0;
}

/* 3.0 is a whole number too: some writers know only doubles. Beyond 2^53 a double no longer says which integer was
 * meant. */
static int as_i64(int64_t *out, yyjson_val *v, const char *key, wr_err *err)
{
    if (yyjson_is_sint(v)) { /* yyjson: negative */
        *out = yyjson_get_sint(v);
        return 0;
    }
    if (yyjson_is_uint(v)) {
        if (yyjson_get_uint(v) > INT64_MAX) return wr_err_set(err, WEIR_EINVAL, "'%s' does not fit 64 bits", key);
        *out = (int64_t)yyjson_get_uint(v);
        return 0;
    }
    if (!yyjson_is_real(v)) return wrong_type(err, key, "a whole number", v);
    double d = yyjson_get_real(v);
    if (d != trunc(d) || fabs(d) > 9007199254740992.0)
        return wr_err_set(err, WEIR_ETYPE, "'%s' must be a whole number, not %g", key, d);
    *out = (int64_t)d;
    return 0;
}

static int as_f64(double *out, yyjson_val *v, const char *key, wr_err *err)
{
    if (!yyjson_is_num(v)) return wrong_type(err, key, "a number", v);
    *out = yyjson_get_num(v);
    return 0;
}

static int as_bool(bool *out, yyjson_val *v, const char *key, wr_err *err)
{
    if (!yyjson_is_bool(v)) return wrong_type(err, key, "a boolean", v);
    *out = yyjson_get_bool(v);
    return 0;
}

int wr_json_str(wr_str *out, yyjson_val *obj, const char *key, wr_err *err)
{
    yyjson_val *v = NULL;
    WR_TRY(member(&v, obj, key, false, err));
    return as_str(out, v, key, err);
}

int wr_json_i64(int64_t *out, yyjson_val *obj, const char *key, wr_err *err)
{
    yyjson_val *v = NULL;
    WR_TRY(member(&v, obj, key, false, err));
    return as_i64(out, v, key, err);
}

int wr_json_f64(double *out, yyjson_val *obj, const char *key, wr_err *err)
{
    yyjson_val *v = NULL;
    WR_TRY(member(&v, obj, key, false, err));
    return as_f64(out, v, key, err);
}

int wr_json_bool(bool *out, yyjson_val *obj, const char *key, wr_err *err)
{
    yyjson_val *v = NULL;
    WR_TRY(member(&v, obj, key, false, err));
    return as_bool(out, v, key, err);
}

int wr_json_arr(yyjson_val **out, yyjson_val *obj, const char *key, wr_err *err)
{
    yyjson_val *v = NULL;
    WR_TRY(member(&v, obj, key, false, err));
    if (!yyjson_is_arr(v)) return wrong_type(err, key, "an array", v);
    *out = v;
    return 0;
}

int wr_json_obj(yyjson_val **out, yyjson_val *obj, const char *key, wr_err *err)
{
    yyjson_val *v = NULL;
    WR_TRY(member(&v, obj, key, false, err));
    if (!yyjson_is_obj(v)) return wrong_type(err, key, "an object", v);
    *out = v;
    return 0;
}

int wr_json_str_or(wr_str *out, yyjson_val *obj, const char *key, const char *fallback, wr_err *err)
{
    yyjson_val *v = NULL;
    int there = member(&v, obj, key, true, err);
    if (there == 0) *out = fallback ? wr_str_of(fallback) : (wr_str){NULL, 0};
    return there > 0 ? as_str(out, v, key, err) : there;
}

int wr_json_i64_or(int64_t *out, yyjson_val *obj, const char *key, int64_t fallback, wr_err *err)
{
    yyjson_val *v = NULL;
    int there = member(&v, obj, key, true, err);
    if (there == 0) *out = fallback;
    return there > 0 ? as_i64(out, v, key, err) : there;
}

int wr_json_f64_or(double *out, yyjson_val *obj, const char *key, double fallback, wr_err *err)
{
    yyjson_val *v = NULL;
    int there = member(&v, obj, key, true, err);
    if (there == 0) *out = fallback;
    return there > 0 ? as_f64(out, v, key, err) : there;
}

int wr_json_bool_or(bool *out, yyjson_val *obj, const char *key, bool fallback, wr_err *err)
{
    yyjson_val *v = NULL;
    int there = member(&v, obj, key, true, err);
    if (there == 0) *out = fallback;
    return there > 0 ? as_bool(out, v, key, err) : there;
}
