/* SPDX-License-Identifier: Apache-2.0 */
/* tables_fill.c - chunks of a DuckDB result into the columns of a frame.
 *
 * Capacity grows by half; values are written once, straight from DuckDB's vectors. Text goes through a direct-mapped
 * cache in front of the dictionary: a DuckDB string is 16 bytes, its characters inside when there are at most 12. Such
 * a key means the same string for ever; a key with a pointer only while its chunk lives, so its entry carries the
 * chunk's number.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "store/tables_inside.h"

enum { CACHE_BITS = 10, INLINED = 12 };
#define FOREVER UINT64_MAX
#define EXACT   ((int64_t)1 << 53) /* whole numbers up to here are exact doubles */

typedef struct {
    uint64_t key[2], chunk;
    uint32_t code;
} cached;

typedef struct {
    duckdb_type type;
    uint8_t scale;
    cached *cache;   /* VARCHAR: 1 << CACHE_BITS entries */
    uint32_t *codes; /* ENUM: 1 + code of each member, 0 = not met yet */
    duckdb_logical_type enumeration;
} source;

struct wr_fill {
    const wr_duck *d;
    wr_frame *frame;
    source *sources;
    size_t nsources, cap;
    uint64_t chunk; /* number of the current one, from 1 */
};

static const struct {
    duckdb_type type;
    const char *text;
    int frame;
} known[] = {
    {DUCKDB_TYPE_BOOLEAN, "BOOLEAN", WR_BOOL},
    {DUCKDB_TYPE_TINYINT, "TINYINT", WR_I64},
    {DUCKDB_TYPE_SMALLINT, "SMALLINT", WR_I64},
    {DUCKDB_TYPE_INTEGER, "INTEGER", WR_I64},
    {DUCKDB_TYPE_BIGINT, "BIGINT", WR_I64},
    {DUCKDB_TYPE_UTINYINT, "UTINYINT", WR_I64},
    {DUCKDB_TYPE_USMALLINT, "USMALLINT", WR_I64},
    {DUCKDB_TYPE_UINTEGER, "UINTEGER", WR_I64},
    {DUCKDB_TYPE_UBIGINT, "UBIGINT", WR_I64},
    {DUCKDB_TYPE_HUGEINT, "HUGEINT", WR_I64},
    {DUCKDB_TYPE_UHUGEINT, "UHUGEINT", WR_I64},
    {DUCKDB_TYPE_FLOAT, "FLOAT", WR_F32},
    {DUCKDB_TYPE_DOUBLE, "DOUBLE", WR_F64},
    {DUCKDB_TYPE_DECIMAL, "DECIMAL", WR_F64}, /* WR_I64 when the scale is 0 */
    {DUCKDB_TYPE_DATE, "DATE", WR_TS},
    {DUCKDB_TYPE_TIMESTAMP, "TIMESTAMP", WR_TS},
    {DUCKDB_TYPE_TIMESTAMP_S, "TIMESTAMP_S", WR_TS},
    {DUCKDB_TYPE_TIMESTAMP_MS, "TIMESTAMP_MS", WR_TS},
    {DUCKDB_TYPE_TIMESTAMP_NS, "TIMESTAMP_NS", WR_TS},
    {DUCKDB_TYPE_TIMESTAMP_TZ, "TIMESTAMP WITH TIME ZONE", WR_TS},
    {DUCKDB_TYPE_VARCHAR, "VARCHAR", WR_TEXT},
    {DUCKDB_TYPE_ENUM, "ENUM", WR_TEXT},
    {DUCKDB_TYPE_UUID, "UUID", WR_TEXT},
    {DUCKDB_TYPE_BLOB, "BLOB", -1},
    {DUCKDB_TYPE_BIT, "BIT", -1},
    {DUCKDB_TYPE_TIME, "TIME", -1},
    {DUCKDB_TYPE_TIME_TZ, "TIME WITH TIME ZONE", -1},
    {DUCKDB_TYPE_TIME_NS, "TIME_NS", -1},
    {DUCKDB_TYPE_INTERVAL, "INTERVAL", -1},
    {DUCKDB_TYPE_LIST, "LIST", -1},
    {DUCKDB_TYPE_ARRAY, "ARRAY", -1},
    {DUCKDB_TYPE_STRUCT, "STRUCT", -1},
    {DUCKDB_TYPE_MAP, "MAP", -1},
    {DUCKDB_TYPE_UNION, "UNION", -1},
    {DUCKDB_TYPE_BIGNUM, "BIGNUM", -1},
};

const char *wr_duck_type_text(duckdb_type id)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].type == id) return known[i].text;
    }
    return "of an unknown type";
}

static int frame_type(duckdb_type id, uint8_t scale)
{
    if (id == DUCKDB_TYPE_DECIMAL && scale == 0) return WR_I64;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].type == id) return known[i].frame;
    }
    return -1;
}

static int bad_type(wr_err *err, const char *name, duckdb_type id)
{
    wr_err_set(err, WEIR_ETYPE, "column \"%.120s\" is %s, which a frame cannot hold", name, wr_duck_type_text(id));
    return wr_err_hint(err, WEIR_ETYPE, "cast it in the query: CAST(\"%.120s\" AS VARCHAR), or take it apart", name);
}

static int out_of_range(wr_err *err, const wr_col *c, const char *hint)
{
    wr_err_set(err, WEIR_EINVAL, "column \"%.120s\" has a value out of range of %s", c->name, wr_type_name(c->type));
    return hint ? wr_err_hint(err, WEIR_EINVAL, "%s", hint) : WEIR_EINVAL;
}

static int source_init(wr_fill *f, source *s, duckdb_logical_type type)
{
    s->type = f->d->get_type_id(type);
    if (s->type == DUCKDB_TYPE_DECIMAL) s->scale = f->d->decimal_scale(type);
    if (s->type == DUCKDB_TYPE_VARCHAR) {
        s->cache = wr_calloc((size_t)1 << CACHE_BITS, sizeof *s->cache);
        return s->cache ? 0 : WEIR_ENOMEM;
    }
    if (s->type == DUCKDB_TYPE_ENUM) {
        s->codes = wr_calloc(f->d->enum_dictionary_size(type), sizeof *s->codes);
        return s->codes ? 0 : WEIR_ENOMEM;
    }
    return 0;
}

static int add_column(wr_fill *f, duckdb_result *r, size_t i, wr_err *err)
{
    source *s = &f->sources[i];
    const char *name = f->d->column_name(r, i);
    duckdb_logical_type type = f->d->column_logical_type(r, i);
    if (!name || !type) {
        f->d->destroy_logical_type(&type);
        return wr_err_nomem(err);
    }
    int rc = source_init(f, s, type);
    duckdb_type internal = DUCKDB_TYPE_INVALID;
    if (s->type == DUCKDB_TYPE_DECIMAL) internal = f->d->decimal_internal_type(type);
    if (s->type == DUCKDB_TYPE_ENUM) s->enumeration = type;
    else f->d->destroy_logical_type(&type);
    if (rc < 0) return wr_err_nomem(err);
    int to = frame_type(s->type, s->scale);
    if (to < 0) return bad_type(err, name, s->type);
    if (s->type == DUCKDB_TYPE_DECIMAL) s->type = internal; /* an integer from here on, divided when there is a scale */
    if (wr_frame_col(f->frame, name)) {
        wr_err_set(err, WEIR_EINVAL, "query gives two columns named \"%.200s\"", name);
        return wr_err_hint(err, WEIR_EINVAL, "name one of them otherwise with AS");
    }
    return wr_frame_add(f->frame, name, (wr_type)to) ? 0 : wr_err_nomem(err);
}

int wr_fill_new(wr_fill **out, const wr_duck *d, duckdb_result *r, wr_err *err)
{
    wr_fill *f = wr_calloc(1, sizeof *f);
    if (!f) return wr_err_nomem(err);
    *out = f;
    f->d = d;
    size_t n = d->column_count(r);
    f->frame = wr_frame_new();
    f->sources = wr_calloc(n, sizeof *f->sources);
    if (!f->frame || !f->sources) return wr_err_nomem(err);
    f->nsources = n;
    for (size_t i = 0; i < n; i++) WR_TRY(add_column(f, r, i, err));
    return 0;
}

void wr_fill_free(wr_fill *f)
{
    if (!f) return;
    for (size_t i = 0; i < f->nsources; i++) {
        wr_free(f->sources[i].cache);
        wr_free(f->sources[i].codes);
        if (f->sources[i].enumeration) f->d->destroy_logical_type(&f->sources[i].enumeration);
    }
    wr_free(f->sources);
    wr_frame_free(f->frame);
    wr_free(f);
}

wr_frame *wr_fill_take(wr_fill *f)
{
    wr_frame *frame = f->frame;
    f->frame = NULL;
    return frame;
}

static bool is_valid(const uint64_t *valid, size_t i) { return !valid || (valid[i >> 6] >> (i & 63) & 1); }

/* -- numbers. Rows that are missing may hold anything, so range checks look at the mask. */

#define COPY(T, expression)                                                                                            \
    for (size_t i = 0; i < n; i++) {                                                                                   \
        T v = ((const T *)in)[i];                                                                                      \
        to[i] = (expression);                                                                                          \
    }

static int fill_wide(int64_t *to, const void *in, const uint64_t *valid, size_t n, duckdb_type type)
{
    for (size_t i = 0; i < n; i++) {
        __int128 v = 0;
        bool huge = false; /* beyond even __int128 */
        if (!is_valid(valid, i)) v = 0;
        else if (type == DUCKDB_TYPE_UBIGINT) v = ((const uint64_t *)in)[i];
        else {
            duckdb_hugeint h = ((const duckdb_hugeint *)in)[i];
            huge = type == DUCKDB_TYPE_UHUGEINT && h.upper != 0;
            v = (__int128)((unsigned __int128)(uint64_t)h.upper << 64 | h.lower);
        }
        if (huge || v > INT64_MAX || v < INT64_MIN) return WEIR_EINVAL;
        to[i] = (int64_t)v;
    }
    return 0;
}

static int fill_i64(int64_t *to, const void *in, const uint64_t *valid, size_t n, duckdb_type type)
{
    switch (type) {
    case DUCKDB_TYPE_TINYINT:
        COPY(int8_t, v) return 0;
    case DUCKDB_TYPE_SMALLINT:
        COPY(int16_t, v) return 0;
    case DUCKDB_TYPE_INTEGER:
        COPY(int32_t, v) return 0;
    case DUCKDB_TYPE_UTINYINT:
        COPY(uint8_t, v) return 0;
    case DUCKDB_TYPE_USMALLINT:
        COPY(uint16_t, v) return 0;
    case DUCKDB_TYPE_UINTEGER:
        COPY(uint32_t, v) return 0;
    case DUCKDB_TYPE_BIGINT:
        memcpy(to, in, n * sizeof *to);
        return 0;
    default:
        return fill_wide(to, in, valid, n, type);
    }
}

/* DuckDB's infinity of a type of `limit` stays infinity; finite values are scaled. */
static int scale_time(int64_t *to, int64_t v, int64_t limit, int64_t factor)
{
    if (v >= limit) *to = INT64_MAX;
    else if (v <= -limit) *to = -INT64_MAX;
    else if (__builtin_mul_overflow(v, factor, to)) return WEIR_EINVAL;
    return 0;
}

static int fill_time(int64_t *to, const void *in, const uint64_t *valid, size_t n, duckdb_type type)
{
    if (type == DUCKDB_TYPE_TIMESTAMP || type == DUCKDB_TYPE_TIMESTAMP_TZ) {
        memcpy(to, in, n * sizeof *to);
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        int rc = 0;
        if (!is_valid(valid, i)) to[i] = 0;
        else if (type == DUCKDB_TYPE_DATE) rc = scale_time(&to[i], ((const int32_t *)in)[i], INT32_MAX, 86400000000);
        else {
            int64_t v = ((const int64_t *)in)[i];
            if (type == DUCKDB_TYPE_TIMESTAMP_S) rc = scale_time(&to[i], v, INT64_MAX, 1000000);
            else if (type == DUCKDB_TYPE_TIMESTAMP_MS) rc = scale_time(&to[i], v, INT64_MAX, 1000);
            else if (v == INT64_MAX || v == -INT64_MAX) to[i] = v;
            else to[i] = v / 1000 - (v % 1000 < 0); /* nanoseconds, towards the past */
        }
        if (rc < 0) return rc;
    }
    return 0;
}

static void fill_decimal(double *to, const void *in, size_t n, duckdb_type type, uint8_t scale)
{
    long double by = 1;
    for (int k = 0; k < scale; k++) by *= 10; /* exact up to 10^27 */
    double d = (double)by;
    switch (type) { /* correctly rounded where value and power of ten are exact doubles */
    case DUCKDB_TYPE_SMALLINT:
        COPY(int16_t, v / d) return;
    case DUCKDB_TYPE_INTEGER:
        COPY(int32_t, v / d) return;
    case DUCKDB_TYPE_BIGINT:
        COPY(int64_t, v > EXACT || v < -EXACT ? (double)((long double)v / by) : (double)v / d) return;
    default:
        break;
    }
    for (size_t i = 0; i < n; i++) {
        duckdb_hugeint h = ((const duckdb_hugeint *)in)[i];
        __int128 v = (__int128)((unsigned __int128)(uint64_t)h.upper << 64 | h.lower);
        to[i] = (double)((long double)v / by);
    }
}

/* -- text */

static wr_str text_of(const duckdb_string_t *s)
{
    uint32_t n = s->value.inlined.length;
    return (wr_str){n <= INLINED ? s->value.inlined.inlined : s->value.pointer.ptr, n};
}

static int code_failed(wr_err *err, const wr_col *c, int rc)
{
    if (rc != WEIR_ELIMIT) return wr_err_nomem(err);
    wr_err_set(err, rc, "column \"%.120s\" has more than %d different strings", c->name, WR_LIMIT_DICT);
    return wr_err_hint(err, rc, "leave the column out, or filter, group or hash it in the query");
}

static int fill_text(wr_fill *f, source *s, wr_col *c, uint32_t *to, const duckdb_string_t *in, const uint64_t *valid,
                     size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[i] = 0;
        if (!is_valid(valid, i)) continue;
        uint64_t key[2];
        memcpy(key, &in[i], sizeof key);
        uint64_t chunk = (uint32_t)in[i].value.inlined.length <= INLINED ? FOREVER : f->chunk;
        uint64_t h = (key[0] ^ key[1] * 0x9E3779B97F4A7C15u) * 0xD6E8FEB86659FD93u;
        cached *e = &s->cache[h >> (64 - CACHE_BITS)];
        if (e->key[0] != key[0] || e->key[1] != key[1] || e->chunk != chunk) {
            int rc = wr_col_code(c, text_of(&in[i]), &e->code);
            if (rc < 0) return rc;
            e->key[0] = key[0];
            e->key[1] = key[1];
            e->chunk = chunk;
        }
        to[i] = e->code;
    }
    return 0;
}

static size_t member(const void *in, size_t i, duckdb_type width)
{
    if (width == DUCKDB_TYPE_UTINYINT) return ((const uint8_t *)in)[i];
    if (width == DUCKDB_TYPE_USMALLINT) return ((const uint16_t *)in)[i];
    return ((const uint32_t *)in)[i];
}

static int fill_enum(wr_fill *f, source *s, wr_col *c, uint32_t *to, const void *in, const uint64_t *valid, size_t n)
{
    duckdb_type width = f->d->enum_internal_type(s->enumeration);
    for (size_t i = 0; i < n; i++) {
        to[i] = 0;
        if (!is_valid(valid, i)) continue;
        size_t m = member(in, i, width);
        if (!s->codes[m]) {
            char *text = f->d->enum_dictionary_value(s->enumeration, m);
            uint32_t code;
            int rc = text ? wr_col_code(c, wr_str_of(text), &code) : WEIR_ENOMEM;
            f->d->free(text);
            if (rc < 0) return rc;
            s->codes[m] = code + 1;
        }
        to[i] = s->codes[m] - 1;
    }
    return 0;
}

static int fill_uuid(wr_col *c, uint32_t *to, const duckdb_hugeint *in, const uint64_t *valid, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[i] = 0;
        if (!is_valid(valid, i)) continue;
        uint64_t hi = (uint64_t)in[i].upper ^ (uint64_t)1 << 63; /* stored so that signed order is text order */
        uint64_t lo = in[i].lower;
        char text[40];
        (void)snprintf(text, sizeof text, "%08llx-%04llx-%04llx-%04llx-%012llx", (unsigned long long)(hi >> 32),
                       (unsigned long long)(hi >> 16 & 0xffff), (unsigned long long)(hi & 0xffff),
                       (unsigned long long)(lo >> 48), (unsigned long long)(lo & 0xffffffffffff));
        int rc = wr_col_code(c, (wr_str){text, 36}, &to[i]);
        if (rc < 0) return rc;
    }
    return 0;
}

/* -- chunks */

static int fill_values(wr_fill *f, source *s, wr_col *c, const void *in, const uint64_t *valid, size_t n, wr_err *err)
{
    size_t at = c->n;
    int rc = 0;
    switch (c->type) {
    case WR_BOOL:
        memcpy(c->b + at, in, n);
        return 0;
    case WR_F32:
        memcpy(c->f32 + at, in, n * sizeof *c->f32);
        return 0;
    case WR_F64:
        if (s->type == DUCKDB_TYPE_DOUBLE) memcpy(c->f64 + at, in, n * sizeof *c->f64);
        else fill_decimal(c->f64 + at, in, n, s->type, s->scale);
        return 0;
    case WR_I64:
        if (fill_i64(c->i64 + at, in, valid, n, s->type) == 0) return 0;
        return out_of_range(err, c, "cast it in the query, for example to DOUBLE");
    case WR_TS:
        return fill_time(c->i64 + at, in, valid, n, s->type) == 0 ? 0 : out_of_range(err, c, NULL);
    case WR_TEXT:
        if (s->type == DUCKDB_TYPE_VARCHAR) rc = fill_text(f, s, c, c->code + at, in, valid, n);
        else if (s->type == DUCKDB_TYPE_ENUM) rc = fill_enum(f, s, c, c->code + at, in, valid, n);
        else rc = fill_uuid(c, c->code + at, in, valid, n);
        break;
    }
    return rc < 0 ? code_failed(err, c, rc) : 0;
}

static int mark_missing(wr_col *c, size_t at, const uint64_t *valid, size_t n)
{
    if (c->valid) memset(c->valid + at, 1, n);
    for (size_t i = 0; valid && i < n; i++) {
        if (valid[i >> 6] == UINT64_MAX) i |= 63; /* skip a word where nothing is missing */
        else if (!is_valid(valid, i)) WR_TRY(wr_col_set_missing(c, at + i));
    }
    return 0;
}

static int room_for(wr_fill *f, size_t n)
{
    size_t need = f->frame->nrows + n;
    if (need <= f->cap) return 0;
    size_t want = f->cap + f->cap / 2;
    f->cap = want < need ? need : want;
    return wr_frame_reserve(f->frame, f->cap);
}

int wr_fill_chunk(wr_fill *f, duckdb_data_chunk chunk, wr_err *err)
{
    size_t n = f->d->data_chunk_get_size(chunk);
    if (n == 0) return 0;
    if (room_for(f, n) < 0) return wr_err_nomem(err);
    f->chunk++;
    for (size_t i = 0; i < f->nsources; i++) {
        wr_col *c = &f->frame->cols[i];
        duckdb_vector v = f->d->data_chunk_get_vector(chunk, i);
        const uint64_t *valid = f->d->vector_get_validity(v);
        WR_TRY(fill_values(f, &f->sources[i], c, f->d->vector_get_data(v), valid, n, err));
        size_t at = c->n;
        c->n += n;
        if (mark_missing(c, at, valid, n) < 0) return wr_err_nomem(err);
    }
    f->frame->nrows += n;
    return 0;
}
