/* SPDX-License-Identifier: Apache-2.0 */
/* json.h - JSON (RFC 8259): yyjson reads, with a depth limit and errors that name line and column; a small writer
 * appends to a wr_buf and always emits the same bytes for the same calls.
 *
 * Reading: the document owns all values; keep it alive while values are used. Values are yyjson's own (yyjson_val), so
 * its accessors may be used; the wr_json_* getters add type errors that name the key.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <yyjson.h>
#include "base/err.h"
#include "base/str.h"

/* The library's own goes one past NULL when there is no object, which is undefined. */
#undef yyjson_obj_foreach
#define yyjson_obj_foreach(obj, idx, max, key, val)                                                                    \
    for ((idx) = 0, (max) = yyjson_obj_size(obj), (key) = (max) ? unsafe_yyjson_get_first(obj) : NULL,                 \
        (val) = (max) ? (key) + 1 : NULL;                                                                              \
         (idx) < (max); (idx)++, (key) = unsafe_yyjson_get_next(val), (val) = (key) + 1)

extern const yyjson_alc wr_json_alc; /* base/mem.h, for documents that are built: allocations can be made to fail in tests */

typedef struct wr_json { yyjson_doc *doc; yyjson_val *root; } wr_json;

/* Parse all of `text` (copied). Depth at most WR_LIMIT_JSON_DEPTH, duplicate keys kept (the first one is found).
 * WEIR_EPARSE "what: line 3, column 7: ...", WEIR_ELIMIT, WEIR_ENOMEM. `what` names the source in messages. */
int wr_json_parse(wr_json *out, wr_str text, const char *what, wr_err *err);
/* The same for requests of programs that are not strict (Python's): NaN, Infinity and -Infinity are numbers. */
int wr_json_parse_lenient(wr_json *out, wr_str text, wr_err *err);
void wr_json_free(wr_json *j); /* also after failure */
#define WR_AUTOJSON __attribute__((cleanup(wr_json_free)))

/* Members of an object. Required forms: WEIR_EINVAL if missing, WEIR_ETYPE if of another type; `_or` forms take a
 * default when the member is missing or null, and still fail on another type. Slices point into the document
 * (NUL-terminated); a NULL fallback gives {NULL,0}. Whole numbers may be written 3.0 (up to 2^53); WEIR_EINVAL beyond
 * 64 bits. */
int wr_json_str(wr_str *out, yyjson_val *obj, const char *key, wr_err *err);
int wr_json_i64(int64_t *out, yyjson_val *obj, const char *key, wr_err *err);
int wr_json_f64(double *out, yyjson_val *obj, const char *key, wr_err *err);   /* integers too */
int wr_json_bool(bool *out, yyjson_val *obj, const char *key, wr_err *err);
int wr_json_arr(yyjson_val **out, yyjson_val *obj, const char *key, wr_err *err);
int wr_json_obj(yyjson_val **out, yyjson_val *obj, const char *key, wr_err *err);
int wr_json_str_or(wr_str *out, yyjson_val *obj, const char *key, const char *fallback, wr_err *err);
int wr_json_i64_or(int64_t *out, yyjson_val *obj, const char *key, int64_t fallback, wr_err *err);
int wr_json_f64_or(double *out, yyjson_val *obj, const char *key, double fallback, wr_err *err);
int wr_json_bool_or(bool *out, yyjson_val *obj, const char *key, bool fallback, wr_err *err);

/* The writer. Commas and, when `indent` > 0, line breaks are put in by itself. Nesting at most WR_LIMIT_JSON_DEPTH.
 *   wr_jsonw w; wr_jsonw_init(&w, &buf, 0);
 *   wr_jsonw_obj(&w); wr_jsonw_key(&w, "n"); wr_jsonw_i64(&w, 3); wr_jsonw_end(&w);
 * Non-finite doubles are written as null. Strings are escaped; invalid UTF-8 bytes become U+FFFD. Nesting too deep
 * sets `failed` of the buffer, as running out of memory does: check it once at the end. A value without a key, or an
 * end too many, aborts. */
typedef struct { wr_buf *out; int indent, depth; uint64_t is_array, has_item; bool after_key; } wr_jsonw;
void wr_jsonw_init(wr_jsonw *w, wr_buf *out, int indent);
void wr_jsonw_obj(wr_jsonw *w);
void wr_jsonw_arr(wr_jsonw *w);
void wr_jsonw_end(wr_jsonw *w);                               /* closes the innermost object or array */
void wr_jsonw_key(wr_jsonw *w, const char *key);
void wr_jsonw_str(wr_jsonw *w, wr_str s);
void wr_jsonw_cstr(wr_jsonw *w, const char *s);               /* NULL writes null */
void wr_jsonw_i64(wr_jsonw *w, int64_t v);
void wr_jsonw_u64(wr_jsonw *w, uint64_t v);
void wr_jsonw_f64(wr_jsonw *w, double v);                     /* shortest text that reads back */
void wr_jsonw_bool(wr_jsonw *w, bool v);
void wr_jsonw_null(wr_jsonw *w);
void wr_jsonw_raw(wr_jsonw *w, wr_str json);                  /* already JSON */
void wr_jsonw_val(wr_jsonw *w, yyjson_val *v);                /* copy of a parsed value */
/* key + value in one call */
void wr_jsonw_kstr(wr_jsonw *w, const char *key, const char *s);
void wr_jsonw_kslice(wr_jsonw *w, const char *key, wr_str s);
void wr_jsonw_ki64(wr_jsonw *w, const char *key, int64_t v);
void wr_jsonw_kf64(wr_jsonw *w, const char *key, double v);
void wr_jsonw_kbool(wr_jsonw *w, const char *key, bool v);
