/* SPDX-License-Identifier: Apache-2.0 */
/* yaml_get.c - checked access to a YAML tree, and the tree as JSON.
 *
 * How plain scalars are typed: null as "", ~, null; booleans as true false yes no on off (so "no" is a country only in
 * quotes); whole numbers decimal or 0x hexadecimal; decimals with point or exponent, .inf, .nan. A number with leading
 * zeros ("007") stays text, because YAML 1.1 calls it octal and YAML 1.2 does not. Underscores and sexagesimal "1:30"
 * are text as well.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/chars.h"
#include "base/num.h"
#include "codec/json.h"
#include "codec/yaml.h"

enum { SHOWN = 60 }; /* bytes of the user's text repeated in a message */

wr_yaml *wr_yaml_get(const wr_yaml *map, const char *key)
{
    if (!map || map->kind != WR_YAML_MAP) return NULL;
    for (size_t i = 0; i < map->n; i++) {
        if (wr_str_is(map->keys[i]->text, key)) return map->items[i];
    }
    return NULL;
}

static bool one_of(wr_str s, const char *const *words)
{
    for (; *words; words++) {
        if (wr_str_is(s, *words)) return true;
    }
    return false;
}

bool wr_yaml_null(const wr_yaml *n)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL", NULL};
    return !n || (n->kind == WR_YAML_SCALAR && n->plain && one_of(n->text, words));
}

int wr_yaml_error(const wr_yaml *n, int code, wr_err *err, const char *fmt, ...)
{
    if (!err) return code;
    char text[sizeof err->msg];
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (len < 0) text[0] = 0;
    if (!n) return wr_err_set(err, code, "%s", text);
    return wr_err_set(err, code, "%s:%d:%d: %s", n->file, n->line, n->column, text);
}

/* ---- unknown keys ---- */

static int unknown_key(const wr_yaml *key, const char *what, const char *const *known, wr_err *err)
{
    wr_str shown = wr_str_fit(key->text, SHOWN);
    int rc = wr_yaml_error(key, WEIR_EINVAL, err, "unknown key \"%.*s\" in %s", WR_STR_FMT(shown), what);
    size_t n = 0;
    while (known[n]) n++;
    int near = wr_str_nearest(key->text, known, n);
    if (near >= 0) return wr_err_hint(err, rc, "did you mean \"%s\"?", known[near]);
    char list[256];
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        int len = snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", known[i]);
        if (len < 0 || used + (size_t)len >= sizeof list) break;
        used += (size_t)len;
    }
    list[used] = 0;
    return wr_err_hint(err, rc, "known keys: %s", list);
}

int wr_yaml_known(const wr_yaml *map, const char *what, const char *const *known, wr_err *err)
{
    if (wr_yaml_null(map)) return 0;
    if (map->kind != WR_YAML_MAP) return wr_yaml_error(map, WEIR_ETYPE, err, "%s must be a map", what);
    for (size_t i = 0; i < map->n; i++) {
        if (!one_of(map->keys[i]->text, known)) return unknown_key(map->keys[i], what, known, err);
    }
    return 0;
}

/* ---- plain text to values ---- */

static bool digits_only(wr_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') return false;
    }
    return s.n > 0;
}

static wr_str without_sign(wr_str s) { return s.n && (s.p[0] == '-' || s.p[0] == '+') ? wr_str_sub(s, 1, s.n) : s; }

/* [-+]?(0|[1-9][0-9]*) */
static bool decimal(wr_str s)
{
    s = without_sign(s);
    return digits_only(s) && (s.n == 1 || s.p[0] != '0');
}

static bool hexadecimal(int64_t *out, wr_str s)
{
    if (s.n < 3 || s.n > 17 || s.p[0] != '0' || s.p[1] != 'x') return false;
    uint64_t v = 0;
    for (size_t i = 2; i < s.n; i++) {
        int digit = wr_hex_digit(s.p[i]);
        if (digit < 0) return false;
        v = v << 4 | (uint64_t)digit;
    }
    *out = (int64_t)v; /* at most 15 digits, so it is positive */
    return true;
}

static bool whole(int64_t *out, wr_str s)
{
    if (hexadecimal(out, s)) return true;
    if (!decimal(s)) return false;
    return wr_num_i64(out, s.p[0] == '+' ? wr_str_sub(s, 1, s.n) : s, NULL) == 0;
}

static bool special(double *out, wr_str s)
{
    static const char *const infs[] = {".inf", ".Inf", ".INF", NULL}, *const nans[] = {".nan", ".NaN", ".NAN", NULL};
    if (one_of(s, nans)) *out = NAN;
    else if (one_of(without_sign(s), infs)) *out = s.p[0] == '-' ? -INFINITY : INFINITY;
    else return false;
    return true;
}

/* [-+]?([0-9]*\.[0-9]*|[0-9]+)([eE][-+]?[0-9]+)? with a digit before the exponent and no leading zero but "0." */
static bool number(double *out, wr_str s)
{
    if (special(out, s)) return true;
    wr_str rest = without_sign(s);
    size_t i = 0, digits = 0;
    if (rest.n > 1 && rest.p[0] == '0' && rest.p[1] >= '0' && rest.p[1] <= '9') return false;
    for (; i < rest.n && rest.p[i] >= '0' && rest.p[i] <= '9'; i++) digits++;
    if (i < rest.n && rest.p[i] == '.') i++;
    for (; i < rest.n && rest.p[i] >= '0' && rest.p[i] <= '9'; i++) digits++;
    if (digits == 0) return false;
    if (i < rest.n) {
        if ((rest.p[i] | 0x20) != 'e' || !digits_only(without_sign(wr_str_sub(rest, i + 1, rest.n)))) return false;
    }
    char text[64];
    if (s.n >= sizeof text) return false;
    memcpy(text, s.p, s.n);
    text[s.n] = 0;
    *out = strtod(text, NULL); /* the form was checked and no locale is ever set; wr_num_f64 does not take "5." */
    return true;
}

static bool truth(bool *out, wr_str s)
{
    static const char *const yes[] = {"true", "yes", "on"}, *const no[] = {"false", "no", "off"};
    for (size_t i = 0; i < 3; i++) {
        if (wr_str_ieq(s, yes[i])) return *out = true, true;
        if (wr_str_ieq(s, no[i])) return *out = false, true;
    }
    return false;
}

/* ---- checked scalars ---- */

static const char *kind_name(const wr_yaml *n)
{
    if (n->kind == WR_YAML_MAP) return "a map";
    if (n->kind == WR_YAML_SEQ) return "a list";
    return wr_yaml_null(n) ? "empty" : n->plain ? "" : "a text in quotes";
}

/* `what` may be a bare name ("port") or words ("port of endpoint \"delay\""); a bare one gets its quotes here. */
static int wrong(const wr_yaml *n, const char *what, const char *wanted, wr_err *err)
{
    const char *quote = strpbrk(what, "\"' ") ? "" : "\"";
    if (!n) return wr_err_set(err, WEIR_EINVAL, "%s%s%s is missing", quote, what, quote);
    const char *kind = kind_name(n);
    wr_str shown = wr_str_fit(n->text, SHOWN);
    if (*kind) return wr_yaml_error(n, WEIR_ETYPE, err, "%s%s%s must be %s, not %s", quote, what, quote, wanted, kind);
    return wr_yaml_error(n, WEIR_ETYPE, err, "%s%s%s must be %s, not \"%.*s\"", quote, what, quote, wanted,
                         WR_STR_FMT(shown));
}

static bool plain_scalar(const wr_yaml *n) { return n && n->kind == WR_YAML_SCALAR && n->plain; }

int wr_yaml_str(wr_str *out, const wr_yaml *n, const char *what, wr_err *err)
{
    if (wr_yaml_null(n) || n->kind != WR_YAML_SCALAR) return wrong(n, what, "a text", err);
    *out = n->text;
    return 0;
}

int wr_yaml_i64(int64_t *out, const wr_yaml *n, const char *what, wr_err *err)
{
    if (plain_scalar(n) && whole(out, n->text)) return 0;
    if (plain_scalar(n) && decimal(n->text)) return wrong(n, what, "a whole number of at most 64 bits", err);
    return wrong(n, what, "a whole number", err);
}

int wr_yaml_f64(double *out, const wr_yaml *n, const char *what, wr_err *err)
{
    int64_t v;
    if (plain_scalar(n) && hexadecimal(&v, n->text)) return *out = (double)v, 0;
    return plain_scalar(n) && number(out, n->text) ? 0 : wrong(n, what, "a number", err);
}

int wr_yaml_bool(bool *out, const wr_yaml *n, const char *what, wr_err *err)
{
    return plain_scalar(n) && truth(out, n->text) ? 0 : wrong(n, what, "true or false", err);
}

int wr_yaml_duration_us(int64_t *out, const wr_yaml *n, const char *what, wr_err *err)
{
    wr_err cause = {0};
    if (!wr_yaml_null(n) && n->kind == WR_YAML_SCALAR && wr_num_duration_us(out, n->text, &cause) == 0) return 0;
    bool text = !wr_yaml_null(n) && n->kind == WR_YAML_SCALAR &&
                !n->plain; /* quotes are allowed here, so they are not the fault */
    wr_yaml bare = text ? *n : (wr_yaml){0};
    bare.plain = true;
    int rc = wrong(text ? &bare : n, what, "a duration", err);
    return wr_err_hint(err, rc, "write a number and a unit: 250ms, 90s, 15m, 3h, 7d or 2w");
}

/* ---- members ---- */

/* 1 with *out, 0 when the member is missing or null, an error when `map` is something else. */
static int member(const wr_yaml **out, const wr_yaml *map, const char *key, wr_err *err)
{
    if (wr_yaml_null(map)) return 0;
    if (map->kind != WR_YAML_MAP)
        return wr_yaml_error(map, WEIR_ETYPE, err, "a map with the key \"%s\" is expected here", key);
    *out = wr_yaml_get(map, key);
    return wr_yaml_null(*out) ? 0 : 1;
}

int wr_yaml_get_str(wr_str *out, const wr_yaml *map, const char *key, const char *fallback, wr_err *err)
{
    const wr_yaml *n = NULL;
    int there = member(&n, map, key, err);
    if (there == 0) *out = fallback ? wr_str_of(fallback) : (wr_str){NULL, 0};
    return there > 0 ? wr_yaml_str(out, n, key, err) : there;
}

int wr_yaml_get_i64(int64_t *out, const wr_yaml *map, const char *key, int64_t fallback, wr_err *err)
{
    const wr_yaml *n = NULL;
    int there = member(&n, map, key, err);
    if (there == 0) *out = fallback;
    return there > 0 ? wr_yaml_i64(out, n, key, err) : there;
}

int wr_yaml_get_f64(double *out, const wr_yaml *map, const char *key, double fallback, wr_err *err)
{
    const wr_yaml *n = NULL;
    int there = member(&n, map, key, err);
    if (there == 0) *out = fallback;
    return there > 0 ? wr_yaml_f64(out, n, key, err) : there;
}

int wr_yaml_get_bool(bool *out, const wr_yaml *map, const char *key, bool fallback, wr_err *err)
{
    const wr_yaml *n = NULL;
    int there = member(&n, map, key, err);
    if (there == 0) *out = fallback;
    return there > 0 ? wr_yaml_bool(out, n, key, err) : there;
}

int wr_yaml_get_duration_us(int64_t *out, const wr_yaml *map, const char *key, int64_t fallback_us, wr_err *err)
{
    const wr_yaml *n = NULL;
    int there = member(&n, map, key, err);
    if (there == 0) *out = fallback_us;
    return there > 0 ? wr_yaml_duration_us(out, n, key, err) : there;
}

/* ---- JSON ---- */

static void scalar_to_json(wr_jsonw *w, const wr_yaml *n)
{
    int64_t i;
    double d;
    bool b;
    if (!n->plain) wr_jsonw_str(w, n->text);
    else if (wr_yaml_null(n)) wr_jsonw_null(w);
    else if (truth(&b, n->text)) wr_jsonw_bool(w, b);
    else if (whole(&i, n->text)) wr_jsonw_i64(w, i);
    else if (decimal(n->text))
        wr_jsonw_raw(w, n->text.p[0] == '+' ? wr_str_sub(n->text, 1, n->text.n) : n->text); /* beyond 64 bits */
    else if (number(&d, n->text) && isfinite(d)) wr_jsonw_f64(w, d);
    else wr_jsonw_str(w, n->text); /* .inf and .nan too: JSON has no number for them */
}

/* Recursion ends: the parser limits depth and, with aliases written out, the number of nodes. */
static void node_to_json(wr_jsonw *w, const wr_yaml *n)
{
    if (wr_yaml_null(n)) {
        wr_jsonw_null(w);
    } else if (n->kind == WR_YAML_SCALAR) {
        scalar_to_json(w, n);
    } else if (n->kind == WR_YAML_SEQ) {
        wr_jsonw_arr(w);
        for (size_t i = 0; i < n->n; i++) node_to_json(w, n->items[i]);
        wr_jsonw_end(w);
    } else {
        wr_jsonw_obj(w);
        for (size_t i = 0; i < n->n; i++) {
            wr_jsonw_key(w, n->keys[i]->text.p);
            node_to_json(w, n->items[i]);
        }
        wr_jsonw_end(w);
    }
}

void wr_yaml_to_json(wr_buf *out, const wr_yaml *n)
{
    wr_jsonw w;
    wr_jsonw_init(&w, out, 0);
    node_to_json(&w, n);
}
