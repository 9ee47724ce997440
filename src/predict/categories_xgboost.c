/* SPDX-License-Identifier: Apache-2.0 */
/* categories_xgboost.c - the categories of an XGBoost model: its "cats" has a list "enc" with an object for each
 * feature. Texts are "values", their bytes one after the other as signed numbers, and "offsets", where each begins and
 * the last ends; numbers are "values" and "type", one of XGBoost's numbers of C types. A feature of numbers has empty
 * lists. "sorted_idx" and "feature_segments" follow from these.
 *
 * Before 3.4 offsets of pandas' texts count characters where they should count bytes, and there are only so many bytes:
 * behind a text beyond ASCII all begin too early, and the last ones are cut off. Here they are cut as they were meant;
 * a name of which the beginning is left is known by it and by its length, one of which nothing is left is not known.
 */
#include <math.h>

#include "base/mem.h"
#include "predict/categories.h"

static int bad(size_t at, wr_err *err)
{
    return wr_err_set(err, WEIR_ECORRUPT, "\"cats\" of feature %zu are not a list of categories", at);
}

/* A whole number from least to most. */
static bool whole(int64_t *out, yyjson_val *v, int64_t least, int64_t most)
{
    if (!yyjson_is_int(v) || (yyjson_is_uint(v) && yyjson_get_uint(v) > INT64_MAX)) return false;
    *out = yyjson_get_sint(v);
    return *out >= least && *out <= most;
}

/* ---- texts ---- */

typedef struct {
    char *bytes;
    size_t nbytes;
    int64_t *offsets;
    size_t n;        /* texts */
    bool characters; /* is what offsets count */
} packed;

static bool goes_on(char c) { return ((unsigned char)c & 0xc0) == 0x80; }

/* The end of a text of so many characters; *left: how many of them are not there, the last one also when half of it is.
 */
static size_t behind(size_t *left, const packed *p, size_t from, size_t characters)
{
    size_t to = from, last = from;
    for (*left = characters; *left && to < p->nbytes; --*left) {
        last = to++;
        while (to < p->nbytes && goes_on(p->bytes[to])) to++;
    }
    if (to < p->nbytes || wr_str_utf8((wr_str){p->bytes + last, to - last})) return to;
    ++*left;
    return last;
}

static int set_texts(wr_categories *c, size_t at, const packed *p, wr_err *err)
{
    WR_AUTOFREE wr_str *texts = wr_alloc(p->n * sizeof *texts);
    size_t from = 0, to, n = 0, left = 0, cut = 0;
    if (!texts) return wr_err_nomem(err);
    for (size_t i = 0; i < p->n && !left; i++, from = to) {
        size_t length = (size_t)(p->offsets[i + 1] - p->offsets[i]);
        to = p->characters ? behind(&left, p, from, length) : (size_t)p->offsets[i + 1];
        if (left && to == from) break;
        if (left) cut = length;
        texts[n++] = (wr_str){p->bytes + from, to - from};
    }
    return n ? wr_categories_set_texts(c, at, texts, n, cut, err) : 0;
}

static int read_texts(wr_categories *c, size_t at, yyjson_val *offsets, yyjson_val *values, bool characters,
                      wr_err *err)
{
    size_t n = yyjson_arr_size(offsets), i, max;
    yyjson_val *v;
    int64_t x;
    if (n < 2) return 0; /* a feature of numbers, or one whose values were all missing */
    WR_AUTOFREE char *bytes = wr_alloc(yyjson_arr_size(values) + 1);
    WR_AUTOFREE int64_t *from = wr_alloc(n * sizeof *from);
    packed p = {.bytes = bytes, .nbytes = yyjson_arr_size(values), .offsets = from, .n = n - 1};
    if (!bytes || !from) return wr_err_nomem(err);
    yyjson_arr_foreach(values, i, max, v)
    {
        if (!whole(&x, v, INT8_MIN, UINT8_MAX)) return bad(at, err);
        bytes[i] = (char)(unsigned char)x;
        if ((unsigned char)bytes[i] >= 0x80) p.characters = characters;
    }
    yyjson_arr_foreach(offsets, i, max, v)
    {
        if (!whole(&x, v, i ? from[i - 1] : 0, (int64_t)p.nbytes)) return bad(at, err);
        from[i] = x;
    }
    return set_texts(c, at, &p, err);
}

/* ---- numbers ---- */

/* Unsigned numbers of UBJSON stand as signed ones of their size. */
static int read_wrapped(wr_categories *c, size_t at, yyjson_val *values, double wrap, wr_err *err)
{
    size_t i, n;
    yyjson_val *v;
    WR_AUTOFREE double *x = wr_alloc((yyjson_arr_size(values) + 1) * sizeof *x);
    if (!x) return wr_err_nomem(err);
    yyjson_arr_foreach(values, i, n, v)
    {
        if (!yyjson_is_int(v)) return bad(at, err);
        x[i] = yyjson_get_num(v) < 0 ? yyjson_get_num(v) + wrap : yyjson_get_num(v);
    }
    return wr_categories_set_numbers(c, at, x, n, err);
}

static int read_numbers(wr_categories *c, size_t at, yyjson_val *type, yyjson_val *values, wr_err *err)
{
    enum { U16 = 12, U32 = 14, U64 = 16 };
    size_t i, n;
    yyjson_val *v;
    if (!yyjson_is_int(type)) return bad(at, err);
    int64_t kind = yyjson_get_sint(type);
    if (yyjson_arr_size(values) == 0) return 0;
    if (kind == U16) return read_wrapped(c, at, values, 65536.0, err);
    if (kind == U32) return read_wrapped(c, at, values, 4294967296.0, err);
    yyjson_arr_foreach(values, i, n, v)
    {
        if (!yyjson_is_num(v)) return bad(at, err);
        if (kind == U64 && yyjson_is_sint(v) && yyjson_get_sint(v) < 0)
            return wr_err_set(err, WEIR_EUNSUPPORTED, "a category of feature %zu is 2^63 or more", at);
    }
    return wr_categories_set_json(c, at, values, err);
}

/* ---- all of it ---- */

static int read_feature(wr_categories *c, size_t at, yyjson_val *v, bool characters, wr_err *err)
{
    yyjson_val *offsets = yyjson_obj_get(v, "offsets"), *values = yyjson_obj_get(v, "values");
    if (!yyjson_is_arr(values)) return bad(at, err);
    if (!offsets) return read_numbers(c, at, yyjson_obj_get(v, "type"), values, err);
    return yyjson_is_arr(offsets) ? read_texts(c, at, offsets, values, characters, err) : bad(at, err);
}

/* Below 3.4? */
static bool is_old(yyjson_val *version)
{
    yyjson_val *major = yyjson_arr_get(version, 0), *minor = yyjson_arr_get(version, 1);
    return yyjson_is_int(major) && yyjson_is_int(minor) &&
           (yyjson_get_sint(major) < 3 || (yyjson_get_sint(major) == 3 && yyjson_get_sint(minor) < 4));
}

int wr_categories_from_xgboost(wr_categories **out, yyjson_val *cats, yyjson_val *version, size_t nfeatures,
                               wr_err *err)
{
    yyjson_val *enc = yyjson_obj_get(cats, "enc"), *v;
    size_t i, n;
    int rc = 0;
    *out = NULL;
    if (!cats || nfeatures > WR_CATEGORIES_FEATURES) return 0;
    if (!yyjson_is_obj(cats) || (enc && !yyjson_is_arr(enc)))
        return wr_err_set(err, WEIR_ECORRUPT, "\"cats\" are not categories");
    if (yyjson_arr_size(enc) == 0) return 0;
    if (yyjson_arr_size(enc) != nfeatures)
        return wr_err_set(err, WEIR_ECORRUPT, "\"cats\" are not one for each feature");
    WR_TRY(wr_categories_new(out, nfeatures, err));
    yyjson_arr_foreach(enc, i, n, v)
    {
        if (rc == 0) rc = read_feature(*out, i, v, is_old(version), err);
    }
    if (rc == 0 && wr_categories_any(*out)) return 0;
    wr_categories_free(*out);
    *out = NULL;
    return rc;
}
