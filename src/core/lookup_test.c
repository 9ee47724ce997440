/* SPDX-License-Identifier: Apache-2.0 */
/* lookup_test.c - looked-up columns: what a view may say of them, the search against a slow twin, damaged files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "base/fault.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"
#include "core/lookup.h"
#include "core/view_testing.h"

#define FEATURES                                                                                                       \
    "features:\n  - {name: seats, op: number, of: seats}\n  - {name: maker, op: category, of: maker}\n"                \
    "  - {name: built, op: month, of: built}\n  - {name: km, op: number, of: km}\n  - {name: land, op: category, of: " \
    "land}\n"
#define HEAD "name: v\nsource: rows\ntime: t\n"
static const char planes[] =
    HEAD FEATURES "lookup:\n"
                  "  - {source: planes, time: since, key: tail, columns: [seats, maker, built], ttl: 3h}\n"
                  "  - source: makers\n    time: 'since + INTERVAL 1 HOUR'\n    key: [maker, site]\n"
                  "    source_key: [name, site]\n    columns: {land: country}\n";

static void test_view(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    WR_AUTOBUF wr_buf json = {0}, again = {0};
    WR_AUTOJSON wr_json j = {0};
    wr_view *v = must_parse(a, planes), *same;
    wr_err err;
    assert_int_equal(v->nlookups, 2);
    assert_true(v->lookups[0].ttl_us == (int64_t)3 * 3600 * 1000000 && !v->lookups[1].ttl_us);
    assert_string_equal(v->lookups[1].of[0], "country");
    assert_string_equal(v->lookups[1].source_key[0], "name");
    assert_string_equal(v->lookups[0].source_key[0], "tail");
    for (size_t i = 0; i < v->nrequest; i++) {
        const char *name = v->request[i];
        bool found = strcmp(name, "seats") == 0 || strcmp(name, "maker") == 0 || strcmp(name, "built") == 0 ||
                     strcmp(name, "land") == 0;
        assert_int_equal(v->looked_up[i], found);
    }
    wr_view_json(&json, v);
    assert_int_equal(wr_json_parse(&j, wr_buf_view(&json), "v", &err), 0);
    if (wr_view_from_json(&same, a, j.root, &err) < 0) fail_msg("%s", err.msg);
    wr_view_json(&again, same);
    assert_string_equal(wr_buf_cstr(&again), wr_buf_cstr(&json));
    assert_string_equal(same->hash, v->hash);
    assert_true(strcmp(must_parse(a, HEAD FEATURES)->hash, v->hash) != 0);
}

static const struct {
    const char *lookup, *msg, *hint;
} wrong[] = {
    {"lookup: {a: 1}\n", "\"lookup\" must be a list", ""},
    {"lookup: [x]\n", "a lookup must be a map", ""},
    {"lookup: [{source: p, time: t, key: k}]\n", "a lookup's columns are a list", ""},
    {"lookup: [{source: p, time: t, key: k, columns: []}]\n", "a lookup's columns are a list", ""},
    {"lookup: [{source: p, time: t, columns: [seats]}]\n", "a lookup has no \"key\"", ""},
    {"lookup: [{source: p, key: k, columns: [seats]}]\n", "a lookup has no \"time\"", ""},
    {"lookup: [{time: t, key: k, columns: [seats]}]\n", "a lookup has no \"source\"", ""},
    {"lookup: [{source: p, time: t, key: k, colums: [seats]}]\n", "unknown key \"colums\"",
     "did you mean \"columns\"?"},
    {"lookup: [{source: p, time: t, key: k, columns: [seat]}]\n", "no feature reads column \"seat\"", "of"},
    {"lookup: [{source: p, time: t, key: k, columns: [t]}]\n", "\"t\" is the row's time", ""},
    {"lookup: [{source: p, time: t, key: k, columns: [seats, seats]}]\n", "looked up twice", ""},
    {"lookup: [{source: p, time: t, key: km, columns: [seats]}]\n", "cannot be a text here and a number", ""},
    {"lookup: [{source: p, time: t, key: k, columns: [seats], ttl: 0s}]\n", "\"ttl\" must be above 0", ""},
    {"lookup: [{source: p, time: t, key: k, source_key: [a, b], columns: [seats]}]\n", "\"source_key\" has 2", ""},
    {"lookup: [{source: p, time: t, key: maker, columns: [maker]}]\n", "is looked up by itself", ""},
    {"lookup: [{source: p, time: t, key: maker, columns: [seats]}, {source: p, time: t, key: k, columns: [maker]}]\n",
     "is looked up by a later one", ""},
};

static void test_errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        WR_AUTOARENA wr_arena *a = wr_arena_new(0);
        wr_view *v;
        wr_err err = {0};
        char text[1000];
        snprintf(text, sizeof text, "%s%s", HEAD FEATURES, wrong[i].lookup);
        int rc = parse(&v, a, text, &err);
        if (rc >= 0 || !strstr(err.msg, wrong[i].msg) || !strstr(err.hint, wrong[i].hint))
            fail_msg("case %zu: %d: %s (%s)\n%s", i, rc, err.msg, err.hint, wrong[i].lookup);
    }
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    WR_AUTOBUF wr_buf b = {0};
    wr_view *v;
    wr_err err = {0};
    wr_buf_str(&b, HEAD FEATURES "lookup:\n");
    for (int i = 0; i <= WR_VIEW_LOOKUPS; i++) wr_buf_str(&b, "  - {source: p, time: t, key: k, columns: [seats]}\n");
    assert_int_equal(parse(&v, a, wr_buf_cstr(&b), &err), WEIR_ELIMIT);
}

/* ---- sources ---- */

enum { MINUTE = 60 * 1000000, PLANES = 200, ASKED = 400 };

static wr_str any_text(wr_rng *r)
{
    static const char *const few[] = {"a", "b", "ab", "", "\xc3\xbc"};
    return wr_str_of(few[wr_rng_below(r, 5)]);
}

static void fill(wr_frame *f, const char *name, wr_type type, wr_rng *r)
{
    wr_col *c = wr_frame_add(f, name, type);
    assert_non_null(c);
    for (size_t i = 0; i < f->nrows; i++) {
        bool missing = wr_rng_below(r, 9) == 0;
        if (missing) assert_int_equal(wr_col_set_missing(c, i), 0);
        if (type == WR_TEXT && !missing) assert_int_equal(wr_col_code(c, any_text(r), &c->code[i]), 0);
        if (type == WR_TS && !missing) c->i64[i] = (int64_t)wr_rng_below(r, 600) * MINUTE;
        if (type == WR_F64) c->f64[i] = missing ? NAN : wr_rng_normal(r);
    }
}

static void make_sources(wr_frame *f[2], uint64_t seed)
{
    wr_rng r;
    wr_err err;
    wr_rng_init(&r, seed);
    for (int k = 0; k < 2; k++) {
        f[k] = wr_frame_new();
        assert_int_equal(wr_frame_resize(f[k], k ? PLANES / 2 : PLANES), 0);
        fill(f[k], "_time", WR_TS, &r);
        fill(f[k], "key0", WR_TEXT, &r);
        if (k) fill(f[k], "key1", WR_TEXT, &r);
        if (!k) fill(f[k], "of0", WR_F64, &r);
        fill(f[k], k ? "of0" : "of1", WR_TEXT, &r);
        if (!k) fill(f[k], "of2", WR_TS, &r);
        assert_int_equal(wr_frame_sort(&f[k], "_time", &err), 0);
    }
}

static void drop(wr_frame *f[2])
{
    wr_frame_free(f[0]);
    wr_frame_free(f[1]);
}

static wr_cell cell_of(const wr_col *c, size_t row)
{
    wr_cell x = {.num = NAN, .missing = wr_col_missing(c, row)};
    if (x.missing) return x;
    if (c->type == WR_TEXT) x.text = wr_col_text(c, row);
    else if (c->type == WR_TS) x.ts = c->i64[row];
    else x.num = c->f64[row];
    return x;
}

static bool same_cell(const wr_cell *x, const wr_cell *y, wr_type type)
{
    if (x->missing || y->missing) return x->missing == y->missing;
    return type == WR_TEXT ? wr_str_eq(x->text, y->text)
           : type == WR_TS ? x->ts == y->ts
                           : memcmp(&x->num, &y->num, 8) == 0;
}

/* Every row of the source is looked at. */
static void twin(wr_cell *request, const wr_view *v, wr_frame *const *f)
{
    for (size_t i = 0; i < v->nlookups; i++) {
        const wr_view_lookup *l = &v->lookups[i];
        const wr_col *cols = f[i]->cols;
        ptrdiff_t last = -1;
        for (size_t row = 0; row < f[i]->nrows; row++) {
            bool fits = !wr_col_missing(&cols[0], row) && cols[0].i64[row] <= request[0].ts;
            for (int k = 0; k < l->nkey && fits; k++) {
                wr_cell key = cell_of(&cols[1 + k], row);
                fits =
                    !key.missing && !request[l->key_at[k]].missing && wr_str_eq(key.text, request[l->key_at[k]].text);
            }
            if (fits) last = (ptrdiff_t)row;
        }
        if (last >= 0 && l->ttl_us && request[0].ts - cols[0].i64[last] > l->ttl_us) last = -1;
        for (size_t c = 0; c < l->ncolumns && last >= 0; c++)
            if (request[l->at[c]].missing) request[l->at[c]] = cell_of(&cols[1 + (size_t)l->nkey + c], (size_t)last);
    }
}

static void any_request(wr_cell *out, const wr_view *v, wr_rng *r, int64_t from, int64_t minutes)
{
    for (size_t i = 0; i < v->nrequest; i++) {
        bool said = !v->looked_up[i] ? wr_rng_below(r, 9) != 0 : wr_rng_below(r, 12) == 0;
        out[i] = (wr_cell){.num = NAN, .missing = !said};
        if (!said) continue;
        if (v->request_type[i] == WR_TEXT) out[i].text = any_text(r);
        else if (v->request_type[i] == WR_F64) out[i].num = wr_rng_normal(r);
        else out[i].ts = 5;
    }
    out[0] = (wr_cell){.num = NAN, .ts = from + (int64_t)wr_rng_below(r, (uint64_t)minutes) * MINUTE};
}

static wr_lookup *made(const wr_view *v, wr_frame *const *f, int64_t until, bool all)
{
    wr_buf b;
    wr_lookup *l = NULL;
    wr_err err = {0};
    wr_buf_init(&b, 0);
    if (wr_lookup_make(&b, v, f, until, all, &err) < 0 || wr_lookup_open(&l, v, &b, &err) < 0)
        fail_msg("%s (%s)", err.msg, err.detail);
    assert_null(b.p);
    return l;
}

static size_t check(const wr_view *v, const wr_lookup *l, wr_frame *const *f, wr_rng *r, int64_t from, int64_t minutes)
{
    size_t found = 0;
    for (int i = 0; i < ASKED; i++) {
        wr_cell is[16], want[16];
        any_request(is, v, r, from, minutes);
        memcpy(want, is, v->nrequest * sizeof *is);
        wr_lookup_row(l, is);
        twin(want, v, f);
        for (size_t k = 0; k < v->nrequest; k++) {
            if (!same_cell(&is[k], &want[k], v->request_type[k]))
                fail_msg("request %d: \"%s\" differs", i, v->request[k]);
            found += v->looked_up[k] && !is[k].missing;
        }
    }
    return found;
}

/* Tables of everything, at any time; tables as of a moment, from an hour before it on. */
static void test_is_twin(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_view *v = must_parse(a, planes);
    for (uint64_t seed = 1; seed <= 12; seed++) {
        wr_frame *f[2];
        wr_rng r;
        wr_lookup_info whole, some;
        wr_rng_init(&r, seed * 77);
        make_sources(f, seed);
        wr_lookup *l = made(v, f, INT64_MAX, true);
        assert_true(check(v, l, f, &r, -10 * (int64_t)MINUTE, 700) > ASKED / 4);
        wr_lookup_info_of(&whole, l);
        wr_lookup_free(l);
        int64_t until = (int64_t)(200 + wr_rng_below(&r, 300)) * MINUTE;
        l = made(v, f, until, false);
        for (int k = 0; k < 2; k++) /* the twin may not see what came later either */
            for (size_t i = 0; i < f[k]->nrows; i++)
                if (f[k]->cols[0].i64[i] > until) assert_int_equal(wr_col_set_missing(&f[k]->cols[0], i), 0);
        assert_true(check(v, l, f, &r, until - 60 * (int64_t)MINUTE, 240) > 50);
        wr_lookup_info_of(&some, l);
        assert_true(some.rows < whole.rows && some.entities <= whole.entities && some.newest_us <= until &&
                    some.as_of_us == until);
        wr_lookup_free(l);
        drop(f);
    }
}

static void test_nothing(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_view *v = must_parse(a, planes);
    wr_frame *f[2];
    wr_lookup_info info;
    wr_cell request[16];
    wr_rng r;
    wr_rng_init(&r, 1);
    make_sources(f, 1);
    wr_lookup *l = made(v, f, -1, false);
    wr_lookup_info_of(&info, l);
    assert_true(info.rows == 0 && info.entities == 0 && info.newest_us == INT64_MIN);
    any_request(request, v, &r, INT64_MAX - (int64_t)MINUTE, 1);
    wr_lookup_row(l, request);
    request[0].missing = true;
    wr_lookup_row(l, request);
    wr_lookup_free(l);
    wr_frame *swapped[2] = {f[1], f[0]};
    wr_buf b;
    wr_err err;
    wr_buf_init(&b, 0);
    assert_int_equal(wr_lookup_make(&b, v, swapped, 0, true, &err), WEIR_ETYPE);
    wr_buf_fini(&b);
    drop(f);
}

/* ---- files ---- */

static int open_copy(const wr_view *v, wr_str bytes)
{
    wr_buf b;
    wr_lookup *l = NULL;
    wr_err err;
    wr_cell request[16];
    wr_rng r;
    wr_rng_init(&r, 3);
    wr_buf_init(&b, 0);
    wr_buf_slice(&b, bytes);
    WR_TRY(wr_lookup_open(&l, v, &b, &err));
    for (int i = 0; i < 30; i++) {
        any_request(request, v, &r, 0, 700);
        wr_lookup_row(l, request);
        for (size_t k = 0; k < v->nrequest; k++) /* texts may be read */
            if (v->request_type[k] == WR_TEXT && !request[k].missing)
                (void)wr_hash64(request[k].text.p, request[k].text.n, 0);
    }
    wr_lookup_free(l);
    return 0;
}

static void seal(wr_buf *b)
{
    uint64_t sum = wr_hash64(b->p, b->n - 8, 0);
    memcpy(b->p + b->n - 8, &sum, 8);
}

static void test_hostile(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_view *v = must_parse(a, planes);
    WR_AUTOBUF wr_buf b = {0};
    wr_frame *f[2];
    wr_rng r;
    wr_err err;
    size_t refused = 0;
    wr_rng_init(&r, 5);
    make_sources(f, 2);
    assert_int_equal(wr_lookup_make(&b, v, f, 300 * (int64_t)MINUTE, false, &err), 0);
    assert_int_equal(open_copy(v, wr_buf_view(&b)), 0);
    assert_int_equal(open_copy(must_parse(a, HEAD FEATURES), wr_buf_view(&b)), WEIR_ECONFLICT);
    for (size_t n = 0; n < b.n; n += n < 300 ? 1 : 37) assert_int_equal(open_copy(v, (wr_str){b.p, n}), WEIR_ECORRUPT);
    for (size_t at = 0; at < b.n - 8; at++) {
        char was = b.p[at];
        b.p[at] = (char)(was ^ (1 << wr_rng_below(&r, 8)));
        assert_int_equal(open_copy(v, wr_buf_view(&b)), WEIR_ECORRUPT);
        seal(&b); /* the same with a checksum that holds: no crash, whatever it is */
        refused += open_copy(v, wr_buf_view(&b)) < 0;
        b.p[at] = was;
        seal(&b);
    }
    assert_true(refused > 100);
    assert_int_equal(open_copy(v, wr_buf_view(&b)), 0);
    drop(f);
}

static void test_nomem(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_view *v = must_parse(a, planes);
    wr_frame *f[2];
    make_sources(f, 4);
    for (long nth = 1;; nth++) {
        wr_buf b;
        wr_lookup *l = NULL;
        wr_err err;
        wr_buf_init(&b, 0);
        wr_fault_arm(WR_FAULT_ALLOC, nth, false);
        int rc = wr_lookup_make(&b, v, f, 300 * (int64_t)MINUTE, false, &err);
        if (rc == 0) rc = wr_lookup_open(&l, v, &b, &err);
        bool fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        assert_int_equal(rc, fired ? WEIR_ENOMEM : 0);
        wr_buf_fini(&b);
        wr_lookup_free(l);
        if (!fired) break;
    }
    drop(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_view),    cmocka_unit_test(test_errors),  cmocka_unit_test(test_is_twin),
        cmocka_unit_test(test_nothing), cmocka_unit_test(test_hostile), cmocka_unit_test(test_nomem),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
