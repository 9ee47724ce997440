/* SPDX-License-Identifier: Apache-2.0 */
/* page.c - page tokens.
 *
 * Bytes: version 1; hash of the query; number of keys; then each key: phase, and in phase 0 a letter 'i', 'f' or 's'
 * with 8 bytes, or 4 bytes of length and the text. Little-endian. */
#include "track/page.h"

#include <math.h>
#include <stdio.h>

#include "base/num.h"
#include "codec/base64.h"
#include "codec/json.h"

enum { VERSION = 1 };

static wr_str encode(wr_arena *a, wr_str in)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_base64_encode(&b, in, true);
    return b.failed ? (wr_str){0} : wr_arena_str(a, wr_buf_view(&b));
}

/* p NULL when it is no base64. */
static wr_str decode(wr_arena *a, wr_str in)
{
    WR_AUTOBUF wr_buf b = {0};
    return wr_base64_decode(&b, in) && !b.failed ? wr_arena_str(a, wr_buf_view(&b)) : (wr_str){0};
}

/* ---- bytes ---- */

static uint64_t get(wr_str *s, size_t n, bool *bad)
{
    uint64_t v = 0;
    if (s->n < n) {
        *bad = true;
        return 0;
    }
    memcpy(&v, s->p, n);
    *s = wr_str_sub(*s, n, s->n);
    return v;
}

static wr_page_key get_key(wr_str *s, bool *bad)
{
    wr_page_key k = {.phase = (int)get(s, 1, bad)};
    if (k.phase > 2) *bad = true;
    if (*bad || k.phase) return k;
    k.value.kind = (char)get(s, 1, bad);
    if (k.value.kind == 'i') {
        k.value.i = (int64_t)get(s, 8, bad);
    } else if (k.value.kind == 'f') {
        uint64_t bits = get(s, 8, bad);
        memcpy(&k.value.f, &bits, sizeof bits);
        if (isnan(k.value.f)) *bad = true;
    } else if (k.value.kind == 's') {
        size_t n = get(s, 4, bad);
        if (n > s->n) *bad = true;
        if (*bad) return k;
        k.value.s = (wr_str){s->p, n};
        if (!wr_str_utf8(k.value.s) || memchr(s->p, 0, n)) *bad = true;
        *s = wr_str_sub(*s, n, s->n);
    } else {
        *bad = true;
    }
    return k;
}

static void put_key(wr_buf *b, const wr_page_key *k)
{
    wr_buf_char(b, (char)k->phase);
    if (k->phase) return;
    wr_buf_char(b, k->value.kind);
    if (k->value.kind == 'i') {
        wr_buf_add(b, &k->value.i, 8);
    } else if (k->value.kind == 'f') {
        wr_buf_add(b, &k->value.f, 8);
    } else {
        uint32_t n = k->value.s.p ? (uint32_t)k->value.s.n : 0;
        wr_buf_add(b, &n, 4);
        wr_buf_add(b, k->value.s.p ? k->value.s.p : "", n);
    }
}

/* ---- tokens ---- */

static int invalid(wr_err *err, const char *why) { return wr_err_set(err, WEIR_EINVAL, "Invalid page token, %s", why); }

/* {"offset": N}, where N may be a text */
static int read_offset(wr_page *out, wr_str json, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    wr_str text;
    if (wr_json_parse(&j, json, "page token", NULL) < 0 || !yyjson_is_obj(j.root))
        return invalid(err, "it is not JSON");
    yyjson_val *v = yyjson_obj_get(j.root, "offset");
    char digits_of[32] = "";
    if (yyjson_is_int(v)) snprintf(digits_of, sizeof digits_of, "%lld", (long long)yyjson_get_sint(v));
    else if (yyjson_is_str(v)) snprintf(digits_of, sizeof digits_of, "%s", yyjson_get_str(v));
    text = wr_str_of(digits_of);
    if (wr_num_i64(&out->offset, text, NULL) < 0 || out->offset <= 0 || out->offset > INT32_MAX)
        return invalid(err, "it has no offset");
    return 0;
}

int wr_page_read(wr_page *out, wr_arena *a, wr_str token, uint64_t query, size_t nkeys, wr_err *err)
{
    bool bad = false;
    *out = (wr_page){.given = token.n > 0};
    if (!out->given) return 0;
    if (token.n > WR_PAGE_TOKEN) return invalid(err, "it is too long");
    wr_str s = decode(a, token);
    if (!s.p) return wr_arena_failed(a) ? wr_err_nomem(err) : invalid(err, "could not base64-decode");
    if (s.n && s.p[0] == '{') return read_offset(out, s, err);
    if (get(&s, 1, &bad) != VERSION || bad) return invalid(err, "it was not made here");
    if (get(&s, 8, &bad) != query || bad)
        return invalid(err, "it belongs to another search (filter, order or scope differ)");
    if (get(&s, 1, &bad) != nkeys || bad) return invalid(err, "it belongs to another search");
    out->keys = wr_arena_calloc(a, nkeys + 1, sizeof *out->keys);
    if (!out->keys) return wr_err_nomem(err);
    for (size_t i = 0; i < nkeys && !bad; i++) out->keys[i] = get_key(&s, &bad);
    out->nkeys = nkeys;
    return bad || s.n ? invalid(err, "it is damaged") : 0;
}

wr_str wr_page_token(wr_arena *a, uint64_t query, const wr_page_key *keys, size_t nkeys)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_buf_char(&b, VERSION);
    wr_buf_add(&b, &query, 8);
    wr_buf_char(&b, (char)nkeys);
    for (size_t i = 0; i < nkeys; i++) put_key(&b, &keys[i]);
    return b.failed ? (wr_str){0} : encode(a, wr_buf_view(&b));
}

wr_str wr_page_offset(wr_arena *a, int64_t offset)
{
    char text[48];
    int n = snprintf(text, sizeof text, "{\"offset\": %lld}", (long long)offset);
    return encode(a, (wr_str){text, (size_t)n});
}
