/* SPDX-License-Identifier: Apache-2.0 */
/* categories.c - a hash table a feature: 1 + code by value, open addressing, at most half full. */
#include "predict/categories.h"

#include <math.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/mem.h"

typedef struct {
    wr_categories_kind kind;
    uint32_t *slots; /* 0 = free */
    size_t nslots, n;
    const wr_str *texts;
    size_t cut;           /* characters of the last text, of which only the beginning is there; 0 = all of it is */
    const uint64_t *bits; /* of numbers: the double, 0 for -0; of whole numbers: themselves */
} feature;

struct wr_categories {
    wr_arena *mem;
    size_t nfeatures;
    feature features[];
};

int wr_categories_new(wr_categories **out, size_t nfeatures, wr_err *err)
{
    wr_categories *c = wr_calloc(1, sizeof *c + nfeatures * sizeof *c->features);
    *out = NULL;
    if (!c) return wr_err_nomem(err);
    c->nfeatures = nfeatures;
    c->mem = wr_arena_new(0);
    if (!c->mem) {
        wr_free(c);
        return wr_err_nomem(err);
    }
    *out = c;
    return 0;
}

void wr_categories_free(wr_categories *c)
{
    if (!c) return;
    wr_arena_free(c->mem);
    wr_free(c);
}

size_t wr_categories_memory(const wr_categories *c)
{
    return sizeof *c + c->nfeatures * sizeof *c->features + wr_arena_used(c->mem);
}

/* ---- looking up ---- */

static uint32_t *text_slot(const feature *f, wr_str value)
{
    size_t i = (size_t)wr_hash64(value.p, value.n, wr_hash_seed()) & (f->nslots - 1);
    while (f->slots[i] && !wr_str_eq(f->texts[f->slots[i] - 1], value)) i = (i + 1) & (f->nslots - 1);
    return &f->slots[i];
}

static uint32_t *bits_slot(const feature *f, uint64_t value)
{
    size_t i = (size_t)wr_hash64(&value, sizeof value, wr_hash_seed()) & (f->nslots - 1);
    while (f->slots[i] && f->bits[f->slots[i] - 1] != value) i = (i + 1) & (f->nslots - 1);
    return &f->slots[i];
}

static uint64_t bits_of(double x)
{
    uint64_t bits;
    if (x == 0) x = 0; /* -0 */
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

wr_categories_kind wr_categories_kind_of(const wr_categories *c, size_t at) { return c->features[at].kind; }

bool wr_categories_any(const wr_categories *c)
{
    for (size_t i = 0; i < c->nfeatures; i++)
        if (c->features[i].kind != WR_CATEGORIES_NONE) return true;
    return false;
}

size_t wr_categories_count(const wr_categories *c, size_t at) { return c->features[at].n; }

/* Is it the text that was cut off? */
static bool continues(const feature *f, wr_str value)
{
    wr_str start = f->texts[f->n - 1];
    size_t characters = 0;
    if (value.n <= start.n || value.n > 4 * f->cut || memcmp(value.p, start.p, start.n) != 0) return false;
    for (size_t i = 0; i < value.n; i++) characters += ((unsigned char)value.p[i] & 0xc0) != 0x80;
    return characters == f->cut;
}

int64_t wr_categories_text(const wr_categories *c, size_t at, wr_str value)
{
    const feature *f = &c->features[at];
    int64_t code = (int64_t)*text_slot(f, value) - 1;
    return code < 0 && f->cut && continues(f, value) ? (int64_t)f->n - 1 : code;
}

int64_t wr_categories_number(const wr_categories *c, size_t at, double value)
{
    return (int64_t)*bits_slot(&c->features[at], bits_of(value)) - 1;
}

int64_t wr_categories_whole(const wr_categories *c, size_t at, int64_t value)
{
    return (int64_t)*bits_slot(&c->features[at], (uint64_t)value) - 1;
}

/* ---- building ---- */

static int start(feature **out, wr_categories *c, size_t at, size_t n, wr_err *err)
{
    feature *f = &c->features[at];
    if (n == 0 || n > WR_CATEGORIES_MOST)
        return wr_err_set(err, WEIR_ELIMIT, "feature %zu has %zu categories, 1 to %d are possible", at, n,
                          WR_CATEGORIES_MOST);
    for (f->nslots = 4; f->nslots < 2 * n;) f->nslots *= 2;
    f->slots = wr_arena_calloc(c->mem, f->nslots, sizeof *f->slots);
    if (!f->slots) return wr_err_nomem(err);
    f->n = n;
    *out = f;
    return 0;
}

static int twice(size_t at, wr_err *err)
{
    return wr_err_set(err, WEIR_ECORRUPT, "feature %zu has a category twice", at);
}

int wr_categories_set_texts(wr_categories *c, size_t at, const wr_str *values, size_t n, size_t cut, wr_err *err)
{
    feature *f;
    WR_TRY(start(&f, c, at, n, err));
    f->cut = cut;
    wr_str *copy = wr_arena_alloc(c->mem, n * sizeof *copy);
    if (!copy) return wr_err_nomem(err);
    f->texts = copy;
    for (size_t i = 0; i < n; i++) {
        copy[i] = (wr_str){wr_arena_dup(c->mem, values[i].p, values[i].n), values[i].n};
        if (!copy[i].p) return wr_err_nomem(err);
        if (cut && i == n - 1) break;
        uint32_t *slot = text_slot(f, copy[i]);
        if (*slot) return twice(at, err);
        *slot = (uint32_t)i + 1;
    }
    f->kind = WR_CATEGORIES_TEXT;
    return 0;
}

static int set_bits(wr_categories *c, size_t at, wr_categories_kind kind, const uint64_t *bits, size_t n, wr_err *err)
{
    feature *f;
    WR_TRY(start(&f, c, at, n, err));
    f->bits = wr_arena_dup(c->mem, bits, n * sizeof *bits);
    if (!f->bits) return wr_err_nomem(err);
    for (size_t i = 0; i < n; i++) {
        uint32_t *slot = bits_slot(f, bits[i]);
        if (*slot) return twice(at, err);
        *slot = (uint32_t)i + 1;
    }
    f->kind = kind;
    return 0;
}

int wr_categories_set_numbers(wr_categories *c, size_t at, const double *values, size_t n, wr_err *err)
{
    WR_AUTOFREE uint64_t *bits = wr_alloc((n + 1) * sizeof *bits);
    if (!bits) return wr_err_nomem(err);
    for (size_t i = 0; i < n; i++) {
        if (isnan(values[i])) return wr_err_set(err, WEIR_ECORRUPT, "a category of feature %zu is not a number", at);
        bits[i] = bits_of(values[i]);
    }
    return set_bits(c, at, WR_CATEGORIES_NUMBER, bits, n, err);
}

int wr_categories_set_wholes(wr_categories *c, size_t at, const int64_t *values, size_t n, wr_err *err)
{
    WR_AUTOFREE uint64_t *bits = wr_alloc((n + 1) * sizeof *bits);
    if (!bits) return wr_err_nomem(err);
    for (size_t i = 0; i < n; i++) bits[i] = (uint64_t)values[i];
    return set_bits(c, at, WR_CATEGORIES_WHOLE, bits, n, err);
}

/* ---- lists of JSON ---- */

typedef struct {
    bool texts, fractions, wide, other, beyond; /* wide: beyond 2^53; beyond: 2^63 */
} found;

static void look(found *f, yyjson_val *v)
{
    const uint64_t exact = UINT64_C(1) << 53;
    if (yyjson_is_str(v)) f->texts = true;
    else if (yyjson_is_real(v)) f->fractions = true;
    else if (yyjson_is_uint(v)) {
        f->wide |= yyjson_get_uint(v) > exact;
        f->beyond |= yyjson_get_uint(v) > INT64_MAX;
    } else if (yyjson_is_sint(v)) f->wide |= yyjson_get_sint(v) < -(int64_t)exact;
    else if (!yyjson_is_bool(v)) f->other = true;
}

static int set_texts(wr_categories *c, size_t at, yyjson_val *list, size_t n, wr_err *err)
{
    WR_AUTOFREE wr_str *texts = wr_alloc((n + 1) * sizeof *texts);
    WR_AUTOFREE size_t *ends = wr_alloc((n + 1) * sizeof *ends);
    WR_AUTOBUF wr_buf written = {0};
    yyjson_val *v;
    size_t i, max;
    if (!texts || !ends) return wr_err_nomem(err);
    yyjson_arr_foreach(list, i, max, v)
    {
        wr_jsonw w;
        wr_jsonw_init(&w, &written, 0);
        if (yyjson_is_str(v)) wr_buf_add(&written, yyjson_get_str(v), yyjson_get_len(v));
        else wr_jsonw_val(&w, v);
        ends[i] = written.n;
    }
    if (written.failed) return wr_err_nomem(err);
    for (i = 0; i < n; i++) {
        size_t from = i ? ends[i - 1] : 0;
        texts[i] = wr_str_sub(wr_buf_view(&written), from, ends[i]);
    }
    return wr_categories_set_texts(c, at, texts, n, 0, err);
}

int wr_categories_set_json(wr_categories *c, size_t at, yyjson_val *list, wr_err *err)
{
    yyjson_val *v;
    size_t i, max, n = yyjson_arr_size(list);
    found f = {0};
    yyjson_arr_foreach(list, i, max, v) look(&f, v);
    if (f.other) return wr_err_set(err, WEIR_ECORRUPT, "a category of feature %zu is no text and no number", at);
    if (f.texts) return set_texts(c, at, list, n, err);
    if (f.beyond) return wr_err_set(err, WEIR_EUNSUPPORTED, "a category of feature %zu is 2^63 or more", at);
    WR_AUTOFREE double *numbers = wr_alloc((n + 1) * sizeof *numbers);
    WR_AUTOFREE int64_t *wholes = wr_alloc((n + 1) * sizeof *wholes);
    if (!numbers || !wholes) return wr_err_nomem(err);
    yyjson_arr_foreach(list, i, max, v)
    {
        numbers[i] = yyjson_is_bool(v) ? yyjson_get_bool(v) : yyjson_get_num(v);
        wholes[i] = yyjson_is_bool(v) ? yyjson_get_bool(v) : yyjson_get_sint(v);
    }
    if (f.wide && !f.fractions) return wr_categories_set_wholes(c, at, wholes, n, err);
    return wr_categories_set_numbers(c, at, numbers, n, err);
}
