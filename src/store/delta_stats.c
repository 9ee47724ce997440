/* SPDX-License-Identifier: Apache-2.0 */
/* delta_stats.c - bounds and counts of a file as Delta's JSON. Bounds may be wider than the values, never narrower: a
 * reader skips the whole file on their word. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "store/delta_inside.h"

enum { COLUMNS = 32, PREFIX = 32 };       /* Delta's defaults: columns with statistics, characters of a string */
#define LAST_CHARACTER "\xf4\x8f\xbf\xbf" /* U+10FFFF, sorts after every other */

typedef enum { MIN, MAX } bound;

/* Bytes of the first `n` characters. */
static size_t characters(wr_str s, size_t n)
{
    size_t i = 0;
    while (i < s.n && n-- > 0) {
        i++;
        while (i < s.n && (s.p[i] & 0xc0) == 0x80) i++;
    }
    return i;
}

static bool put_string(wr_buf *out, wr_str s, bound which)
{
    size_t cut = characters(s, PREFIX);
    while (which == MAX && cut < s.n && strncmp(s.p + cut, LAST_CHARACTER, 4) == 0)
        cut += 4; /* nothing sorts after these */
    WR_AUTOBUF wr_buf text;
    wr_buf_init(&text, 0);
    wr_buf_add(&text, s.p, cut);
    if (which == MAX && cut < s.n) wr_buf_str(&text, LAST_CHARACTER);
    wr_jsonw w;
    wr_jsonw_init(&w, out, 0);
    wr_jsonw_str(&w, wr_buf_view(&text));
    if (text.failed) out->failed = true;
    return true;
}

/* "2001-06-14 10:00:00.123456+00" -> "2001-06-14T10:00:00.123Z", downwards for a minimum, upwards for a maximum. */
static bool put_timestamp(wr_buf *out, wr_str s, bound which)
{
    char text[64], iso[WR_TIME_TEXT];
    int64_t us;
    if (wr_str_ends(s, "+00")) s.n -= 3;
    int n = snprintf(text, sizeof text, "%.*sZ", WR_STR_FMT(s));
    if (n < 0 || (size_t)n >= sizeof text || wr_time_parse(&us, wr_str_of(text), NULL) < 0)
        return false; /* infinite, or before Christ */
    int64_t below = ((us % 1000) + 1000) % 1000;
    us -= below;
    if (which == MAX && below) us += 1000;
    wr_civil c;
    wr_time_civil(&c, us);
    int64_t ms = ((us / 1000) % 1000 + 1000) % 1000;
    n = snprintf(iso, sizeof iso, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", c.year, c.month, c.day, c.hour, c.minute,
                 c.second, (int)ms);
    if (n < 0 || (size_t)n >= sizeof iso || c.year < 0 || c.year > 9999) return false;
    wr_buf_printf(out, "\"%s\"", iso);
    return true;
}

static bool put_date(wr_buf *out, wr_str s)
{
    if (s.n != 10 || s.p[4] != '-' || s.p[7] != '-') return false;
    wr_buf_printf(out, "\"%.*s\"", WR_STR_FMT(s));
    return true;
}

static bool put_double(wr_buf *out, wr_str s)
{
    double v;
    if (wr_num_f64(&v, s, NULL) < 0 || !isfinite(v)) return false;
    wr_buf_f64(out, v);
    return true;
}

static bool put_integer(wr_buf *out, wr_str s)
{
    int64_t v;
    if (wr_num_i64(&v, s, NULL) < 0) return false;
    wr_buf_i64(out, v);
    return true;
}

/* Spark has none, but delta-rs takes a missing bound of a boolean for an empty range and drops the file. */
static bool put_boolean(wr_buf *out, wr_str s)
{
    bool yes = wr_str_is(s, "1") || wr_str_is(s, "true"), no = wr_str_is(s, "0") || wr_str_is(s, "false");
    if (yes || no) wr_buf_str(out, yes ? "true" : "false");
    return yes || no;
}

static bool put_decimal(wr_buf *out, wr_str s)
{
    double v;
    if (!s.n || strspn(s.p, "-0123456789.") != s.n || wr_num_f64(&v, s, NULL) < 0) return false;
    wr_buf_slice(out, s); /* all its digits */
    return true;
}

/* One bound as JSON; false when the type has none or the text is not understood. */
static bool put_bound(wr_buf *out, const char *type, const char *text, bound which)
{
    wr_str s = wr_str_of(text);
    if (strcmp(type, "string") == 0) return put_string(out, s, which);
    if (strcmp(type, "timestamp") == 0) return put_timestamp(out, s, which);
    if (strcmp(type, "date") == 0) return put_date(out, s);
    if (strcmp(type, "double") == 0 || strcmp(type, "float") == 0) return put_double(out, s);
    if (strncmp(type, "decimal", 7) == 0) return put_decimal(out, s);
    if (strcmp(type, "boolean") == 0) return put_boolean(out, s);
    if (strcmp(type, "binary") == 0) return false;
    return put_integer(out, s);
}

static const wr_parquet_stat *stat_of(const wr_parquet_info *info, const char *column)
{
    for (size_t i = 0; i < info->nstats; i++) {
        if (strcmp(info->stats[i].column, column) == 0) return &info->stats[i];
    }
    return NULL;
}

static void put_bounds(wr_jsonw *w, bound which, const wr_parquet_info *info, const wr_delta_field *fields, size_t n)
{
    WR_AUTOBUF wr_buf value;
    wr_buf_init(&value, 0);
    wr_jsonw_key(w, which == MIN ? "minValues" : "maxValues");
    wr_jsonw_obj(w);
    for (size_t i = 0; i < n; i++) {
        const wr_parquet_stat *s = stat_of(info, fields[i].name);
        wr_buf_clear(&value);
        /* both or none: half a range helps nobody */
        if (!s || !s->has_minmax || !put_bound(&value, fields[i].type, s->min, MIN)) continue;
        wr_buf low = value;
        wr_buf_init(&value, 0);
        bool ok = put_bound(&value, fields[i].type, s->max, MAX);
        if (ok) wr_jsonw_key(w, fields[i].name);
        if (ok) wr_jsonw_raw(w, wr_buf_view(which == MIN ? &low : &value));
        if (low.failed || value.failed) w->out->failed = true;
        wr_buf_fini(&low);
    }
    wr_jsonw_end(w);
}

int wr_delta_stats(char **out, wr_arena *a, const wr_parquet_info *info, const wr_delta_field *fields, size_t nfields,
                   wr_err *err)
{
    size_t n = nfields < COLUMNS ? nfields : COLUMNS;
    WR_AUTOBUF wr_buf text;
    wr_buf_init(&text, 0);
    wr_jsonw w;
    wr_jsonw_init(&w, &text, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_ki64(&w, "numRecords", info->rows);
    put_bounds(&w, MIN, info, fields, n);
    put_bounds(&w, MAX, info, fields, n);
    wr_jsonw_key(&w, "nullCount");
    wr_jsonw_obj(&w);
    for (size_t i = 0; i < n; i++) {
        const wr_parquet_stat *s = stat_of(info, fields[i].name);
        if (s) wr_jsonw_ki64(&w, fields[i].name, s->nulls);
    }
    wr_jsonw_end(&w);
    wr_jsonw_end(&w);
    *out = text.failed ? NULL : wr_arena_strndup(a, wr_buf_cstr(&text), text.n);
    return *out ? 0 : wr_err_nomem(err);
}
