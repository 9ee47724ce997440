/* SPDX-License-Identifier: Apache-2.0 */
/* scan.c - a pointer that walks the body; every function says false when it sees what it does not take. */
#include "wire/mlflow/scan.h"

#include <yyjson.h>

#include "track/run.h"

enum { POINTS = 1000, KEY = 250, DIGITS = 18 };

typedef struct {
    const char *p, *end;
} cursor;

static void skip(cursor *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\r' || *c->p == '\t')) c->p++;
}

static bool take(cursor *c, char what)
{
    skip(c);
    if (c->p == c->end || *c->p != what) return false;
    c->p++;
    return true;
}

static bool text(cursor *c, wr_str *out)
{
    if (!take(c, '"')) return false;
    const char *from = c->p;
    while (c->p < c->end && *c->p != '"') {
        unsigned char ch = (unsigned char)*c->p;
        if (ch == '\\' || ch < 0x20 || ch >= 0x80) return false;
        c->p++;
    }
    if (c->p == c->end) return false;
    *out = (wr_str){from, (size_t)(c->p - from)};
    c->p++;
    return true;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool whole(cursor *c, int64_t *out)
{
    int64_t v = 0;
    skip(c);
    bool minus = c->p < c->end && *c->p == '-';
    if (minus) c->p++;
    const char *from = c->p;
    while (c->p < c->end && is_digit(*c->p)) {
        if (c->p - from == DIGITS) return false;
        v = v * 10 + (*c->p++ - '0');
    }
    if (c->p == from || (*from == '0' && c->p - from > 1)) return false;
    if (c->p < c->end && (*c->p == '.' || *c->p == 'e' || *c->p == 'E')) return false;
    *out = minus ? -v : v;
    return true;
}

/* Up to 2^53 and 22 digits behind the point one division is exact (Clinger 1990); the rest is yyjson's, which needs a
 * byte behind the number to see its end. */
static bool number(cursor *c, double *out)
{
    static const double power[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                   1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    skip(c);
    const char *start = c->p, *p = c->p, *end = c->end;
    uint64_t v = 0;
    int digits = 0, behind = 0;
    if (p < end && *p == '-') p++;
    const char *first = p;
    for (; p < end && is_digit(*p); p++, digits++) v = v * 10 + (uint64_t)(*p - '0');
    if (!digits || (*first == '0' && digits > 1)) return false;
    if (p < end && *p == '.') {
        for (p++; p < end && is_digit(*p); p++, behind++) v = v * 10 + (uint64_t)(*p - '0');
        if (!behind) return false;
    }
    if (p == end) return false;
    if (*p != 'e' && *p != 'E' && digits + behind <= DIGITS && v <= (uint64_t)1 << 53) {
        double d = (double)v / power[behind];
        *out = *start == '-' ? -d : d;
        c->p = p;
        return true;
    }
    yyjson_val val;
    yyjson_read_err e;
    for (const char *q = p; q < end && (is_digit(*q) || strchr("+-.eE", *q)); q++) p = q + 1;
    if (p == end) return false;
    const char *stop = yyjson_read_number(start, &val, 0, NULL, &e);
    if (stop != p || !yyjson_is_num(&val)) return false;
    *out = yyjson_get_num(&val);
    c->p = p;
    return true;
}

/* A member that is in its place: its name and the colon. */
static bool member(cursor *c, wr_str *name) { return text(c, name) && take(c, ':'); }

/* The same key comes again and again: what was checked for the last ones is not checked anew. */
static bool key_ok(wr_str key, wr_str seen[4])
{
    wr_str *slot = &seen[key.n ? (unsigned char)key.p[key.n - 1] & 3 : 0];
    if (wr_str_eq(*slot, key)) return key.n > 0;
    if (!key.n || wr_track_key_check(key, KEY, "key", NULL) < 0) return false;
    *slot = key;
    return true;
}

enum { HAS_KEY = 1, HAS_VALUE = 2, HAS_TIME = 4, HAS_STEP = 8, HAS_RUN = 16 };

/* One member of a point; `have` collects, and a second one of a name is not taken. */
static bool field(cursor *c, wr_str name, wr_track_point *p, unsigned *have)
{
    unsigned is = 0;
    bool ok = false;
    if (wr_str_is(name, "key")) {
        is = HAS_KEY;
        ok = text(c, &p->key);
    } else if (wr_str_is(name, "value")) {
        is = HAS_VALUE;
        ok = number(c, &p->value);
    } else if (wr_str_is(name, "timestamp")) {
        is = HAS_TIME;
        ok = whole(c, &p->time_ms) && p->time_ms >= 0;
    } else if (wr_str_is(name, "step")) {
        is = HAS_STEP;
        ok = whole(c, &p->step);
    }
    ok = ok && !(*have & is);
    *have |= is;
    return ok;
}

static bool point(cursor *c, wr_track_point *p, wr_str seen[4])
{
    unsigned have = 0;
    *p = (wr_track_point){0};
    if (!take(c, '{')) return false;
    do {
        wr_str name;
        if (!member(c, &name) || !field(c, name, p, &have)) return false;
    } while (take(c, ','));
    return take(c, '}') && (have | HAS_STEP) == (HAS_KEY | HAS_VALUE | HAS_TIME | HAS_STEP) && key_ok(p->key, seen);
}

static bool run_id(cursor *c, wr_str name, wr_mlflow_scan *out, unsigned *have)
{
    wr_str id;
    if (!text(c, &id) || !id.n) return false;
    if (wr_str_is(name, "run_uuid")) return true;
    if (*have & HAS_RUN) return false;
    *have |= HAS_RUN;
    out->run_id = id;
    return true;
}

static bool is_run(wr_str name) { return wr_str_is(name, "run_id") || wr_str_is(name, "run_uuid"); }

static bool at_end(cursor *c)
{
    skip(c);
    return c->p == c->end;
}

bool wr_mlflow_scan_metric(wr_mlflow_scan *out, wr_arena *a, wr_str body)
{
    cursor c = {body.p, body.p + body.n};
    unsigned have = 0;
    wr_str seen[4] = {0};
    *out = (wr_mlflow_scan){.points = wr_arena_calloc(a, 1, sizeof *out->points), .n = 1};
    if (!out->points || !take(&c, '{')) return false;
    do {
        wr_str name;
        if (!member(&c, &name)) return false;
        if (is_run(name) ? !run_id(&c, name, out, &have) : !field(&c, name, out->points, &have)) return false;
    } while (take(&c, ','));
    return take(&c, '}') && at_end(&c) && (have | HAS_STEP) == (HAS_KEY | HAS_VALUE | HAS_TIME | HAS_STEP | HAS_RUN) &&
           key_ok(out->points->key, seen);
}

static bool points(cursor *c, wr_mlflow_scan *out, wr_arena *a)
{
    wr_str seen[4] = {0};
    if (out->points || !take(c, '[')) return false;
    out->points = wr_arena_alloc(a, POINTS * sizeof *out->points);
    if (!out->points) return false;
    if (take(c, ']')) return true;
    do {
        if (out->n == POINTS || !point(c, &out->points[out->n++], seen)) return false;
    } while (take(c, ','));
    return take(c, ']');
}

static bool is_batch_id(wr_str id)
{
    for (size_t i = 0; i < id.n; i++) {
        char ch = id.p[i];
        bool word = is_digit(ch) || ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z') || (i && (ch == '_' || ch == '-'));
        if (!word) return false;
    }
    return id.n > 0 && id.n <= 256;
}

bool wr_mlflow_scan_batch(wr_mlflow_scan *out, wr_arena *a, wr_str body)
{
    cursor c = {body.p, body.p + body.n};
    unsigned have = 0;
    *out = (wr_mlflow_scan){0};
    if (!take(&c, '{')) return false;
    do {
        wr_str name;
        if (!member(&c, &name)) return false;
        bool empty = wr_str_is(name, "params") || wr_str_is(name, "tags");
        bool ok = is_run(name)                 ? run_id(&c, name, out, &have)
                  : wr_str_is(name, "metrics") ? points(&c, out, a)
                                               : empty && take(&c, '[') && take(&c, ']');
        if (!ok) return false;
    } while (take(&c, ','));
    return take(&c, '}') && at_end(&c) && (have & HAS_RUN) && out->points && is_batch_id(out->run_id);
}

bool wr_mlflow_scan_body(wr_mlflow_scan *out, wr_arena *a, const char *path, wr_str body)
{
    if (wr_str_ends(wr_str_of(path), "/log-metric")) return wr_mlflow_scan_metric(out, a, body);
    return wr_str_ends(wr_str_of(path), "/log-batch") && wr_mlflow_scan_batch(out, a, body);
}
