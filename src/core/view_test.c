/* SPDX-License-Identifier: Apache-2.0 */
/* view_test.c - feature views: the parser and its errors, canonical JSON, and training against serving on random
 * events. */
#include "core/view.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"
#include "core/view_ops.h"
#include "core/view_testing.h"
#include "io/file.h"

static const char example[] = "name: flights_features\n"
                              "source: flights_clean\n"
                              "time: date\n"
                              "keep: [delay]\n"
                              "label: {name: late, of: delay, above: 15}\n"
                              "known_at: \"date + to_minutes(delay)\"\n"
                              "events:\n"
                              "  source: flights_clean\n"
                              "  time: \"date + to_minutes(delay)\"\n"
                              "  values: {delay: {of: delay, clip: [-60, 240]}, late: {of: delay, above: 15}}\n"
                              "features:\n"
                              "  - {name: minute, op: minute_of_day, of: date}\n"
                              "  - {name: weekday, op: weekday, of: date}\n"
                              "  - {name: distance, op: number, of: distance}\n"
                              "  - {name: origin, op: category, of: origin}\n"
                              "  - {name: destination, op: category, of: destination}\n"
                              "  - {name: oo_late, op: mean, of: late, key: origin, over: 3h}\n"
                              "  - {name: oo_n, op: count, of: late, key: origin, over: 3h}\n"
                              "  - {name: od_late, op: mean, of: late, key: origin, event_key: destination, over: 3h}\n"
                              "  - {name: od_n, op: count, of: late, key: origin, event_key: destination, over: 3h}\n"
                              "  - {name: do_late, op: mean, of: late, key: destination, event_key: origin, over: 3h}\n"
                              "  - {name: do_n, op: count, of: late, key: destination, event_key: origin, over: 3h}\n"
                              "  - {name: dd_late, op: mean, of: late, key: destination, over: 3h}\n"
                              "  - {name: dd_n, op: count, of: late, key: destination, over: 3h}\n"
                              "  - {name: all_delay, op: mean, of: delay, over: 3h}\n"
                              "  - {name: all_late, op: mean, of: late, over: 3h}\n";

/* ---- parsing ---- */

static void test_example(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_view *v = must_parse(a, example);
    assert_string_equal(v->name, "flights_features");
    assert_string_equal(v->label, "late");
    assert_string_equal(v->label_of.of, "delay");
    assert_true(v->label_of.has_above && v->label_of.above == 15);
    assert_int_equal(v->nkeep, 1);
    assert_int_equal(v->nfeatures, 15);
    assert_int_equal(v->ngroups, 3); /* by origin, by destination, all */
    assert_int_equal(v->groups[2].nkey, 0);
    assert_int_equal(v->groups[2].nvalue, 2);
    assert_int_equal(v->groups[0].nvalue, 1);
    assert_true(v->groups[0].horizon_us == 3 * 3600 * WR_US);
    assert_int_equal(v->nrequest, 4);
    static const char *const request[] = {"date", "distance", "origin", "destination"};
    static const wr_type types[] = {WR_TS, WR_F64, WR_TEXT, WR_TEXT};
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(v->request[i], request[i]);
        assert_int_equal(v->request_type[i], types[i]);
    }
    assert_int_equal(v->nevent_columns, 3);
    assert_string_equal(v->event_columns[0], "origin");
    assert_int_equal(v->event_type[1], WR_TEXT);
    assert_string_equal(v->event_columns[2], "delay");
    assert_int_equal(v->event_type[2], WR_F64);
    assert_true(v->features[3].category);
    assert_int_equal(strlen(v->hash), 64);
}

static void test_smallest(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_view *v = must_parse(a, "name: v\nsource: s\ntime: t\nfeatures: [{name: x, op: number, of: x}]\n");
    assert_null(v->label);
    assert_string_equal(v->label_of.of, "");
    assert_null(v->known_at);
    assert_null(v->event_source);
    assert_int_equal(v->ngroups + v->nvalues + v->nevent_columns + v->nkeep, 0);
    v = must_parse(
        a, "name: v\nsource: s\ntime: t\nevents: {source: e, time: t}\nfeatures: [{name: n, op: count, over: 90m}]\n");
    assert_int_equal(v->features[0].value, -1);
    assert_int_equal(v->groups[0].nvalue, 1);
    assert_int_equal(v->nevent_columns, 0);
}

#define HEAD                                                                                                           \
    "name: v\nsource: s\ntime: t\nevents: {source: e, time: t, values: {delay: {of: d}, late: {of: d, above: "         \
    "1}}}\nfeatures:\n"

static const struct {
    const char *text;
    int code;
    const char *msg, *hint;
} wrong[] = {
    {"", WEIR_EINVAL, "f.yaml:1:1: the view has no \"name\"", ""},
    {"[1]", WEIR_ETYPE, "f.yaml:1:1: a feature view must be a map", ""},
    {"name: v\nsorce: s\n", WEIR_EINVAL, "f.yaml:2:1: unknown key \"sorce\"", "\"source\""},
    {"name: ../v\n", WEIR_EINVAL, "f.yaml:1:7: \"../v\" is not a name", "letters"},
    {"name: v\nsource: s\n", WEIR_EINVAL, "no \"time\"", ""},
    {"name: v\nsource: [s]\n", WEIR_ETYPE, "f.yaml:2:9", ""},
    {"name: v\nsource: \"a\\ab\"\n", WEIR_EINVAL, "control characters", ""},
    {"name: v\nsource: ''\n", WEIR_EINVAL, "is empty", ""},
    {"name: v\nsource: s\ntime: t\nfeatures: []\n", WEIR_EINVAL, "f.yaml:4:11: \"features\" is an empty list", ""},
    {"name: v\nsource: s\ntime: t\nfeatures: {}\n", WEIR_ETYPE, "must be a list", ""},
    {"name: v\nsource: s\ntime: t\nfeatures: [x]\n", WEIR_ETYPE, "a feature must be a map", ""},
    {"name: v\nsource: s\ntime: t\n", WEIR_EINVAL, "no \"features\"", ""},
    {"name: v\nsource: s\ntime: t\nkeep: x\nfeatures: []\n", WEIR_ETYPE, "\"keep\" must be a list", ""},
    {"name: v\nsource: s\ntime: t\nkeep: [a, A]\nfeatures: []\n", WEIR_EEXIST, "f.yaml:4:11: \"A\" is there already",
     "lower case"},
    {"name: v\nsource: s\ntime: t\nlabel: {name: l}\n", WEIR_EINVAL, "the label has no \"of\"", ""},
    {"name: v\nsource: s\ntime: t\nlabel: {name: l, of: x, abov: 3}\n", WEIR_EINVAL, "\"abov\"", "above"},
    {"name: v\nsource: s\ntime: t\nlabel: {name: l, of: x, above: .nan}\n", WEIR_EINVAL, "must be finite", ""},
    {"name: v\nsource: s\ntime: t\nlabel: {name: l, of: x, above: big}\n", WEIR_ETYPE, "f.yaml:4:32", ""},
    {"name: v\nsource: s\ntime: t\nlabel: {name: l, of: x, clip: [1]}\n", WEIR_ETYPE, "two numbers", ""},
    {"name: v\nsource: s\ntime: t\nlabel: {name: l, of: x, clip: [2, 1]}\n", WEIR_EINVAL, "smaller number first", ""},
    {"name: v\nsource: s\ntime: t\nlabel: {name: l, of: x, clip: [1, 2], above: 1}\n", WEIR_EINVAL,
     "both above and clip", ""},
    {"name: v\nsource: s\ntime: t\nevents: {source: e}\n", WEIR_EINVAL, "events has no \"time\"", ""},
    {"name: v\nsource: s\ntime: t\nevents: {source: e, time: t, values: {a b: {of: x}}}\n", WEIR_EINVAL, "needs a name",
     ""},
    {"name: v\nsource: s\ntime: t\nevents: {source: e, time: t, values: {a: }}\n", WEIR_EINVAL,
     "value \"a\" has no \"of\"", ""},
    {"name: v\nsource: s\ntime: t\nevents: {source: e, time: t, values: [a]}\n", WEIR_ETYPE, "must be a map", ""},
    {HEAD "  - {op: number, of: x}\n", WEIR_EINVAL, "f.yaml:6:5: a feature has no \"name\"", ""},
    {HEAD "  - {name: x, of: x}\n", WEIR_EINVAL, "feature \"x\" has no \"op\"", ""},
    {HEAD "  - {name: x, op: numbr, of: x}\n", WEIR_EINVAL, "f.yaml:6:19: unknown op \"numbr\"", "\"number\""},
    {HEAD "  - {name: x, op: zzzzzzzz, of: x}\n", WEIR_EINVAL, "unknown op", "known: number, category"},
    {HEAD "  - {name: x, op: number}\n", WEIR_EINVAL, "feature \"x\" has no \"of\"", ""},
    {HEAD "  - {name: x, op: number, of: x, over: 3h}\n", WEIR_EINVAL, "\"over\" is for aggregates", ""},
    {HEAD "  - {name: x, op: number, off: x}\n", WEIR_EINVAL, "\"off\"", "\"of\""},
    {HEAD "  - {name: x, op: mean, of: dely, over: 3h}\n", WEIR_EINVAL, "f.yaml:6:29: unknown event value \"dely\"",
     "\"delay\""},
    {HEAD "  - {name: x, op: mean, over: 3h}\n", WEIR_EINVAL, "no \"of\"", ""},
    {HEAD "  - {name: x, op: share, of: delay, over: 3h}\n", WEIR_EINVAL, "share takes a value with \"above\"", "mean"},
    {HEAD "  - {name: x, op: mean, of: delay}\n", WEIR_EINVAL, "no \"over\"", ""},
    {HEAD "  - {name: x, op: mean, of: delay, over: 0s}\n", WEIR_EINVAL, "above 0", ""},
    {HEAD "  - {name: x, op: mean, of: delay, over: -3h}\n", WEIR_ETYPE, "duration", ""},
    {HEAD "  - {name: x, op: mean, of: delay, over: 9000w}\n", WEIR_EINVAL, "hundred years", ""},
    {HEAD "  - {name: x, op: mean, of: delay, over: 3 hours}\n", WEIR_ETYPE, "duration", "3h"},
    {HEAD "  - {name: x, op: mean, of: delay, over: 3h, key: [a, b, c, d, e]}\n", WEIR_ELIMIT, "more than 4 columns",
     ""},
    {HEAD "  - {name: x, op: mean, of: delay, over: 3h, key: []}\n", WEIR_EINVAL, "empty list", ""},
    {HEAD "  - {name: x, op: mean, of: delay, over: 3h, event_key: a}\n", WEIR_EINVAL,
     "\"event_key\" has 1 columns and \"key\" 0", ""},
    {HEAD "  - {name: x, op: mean, of: delay, over: 3h, key: d}\n", WEIR_ETYPE, "column \"d\" cannot be", ""},
    {HEAD "  - {name: x, op: mean, of: delay, over: 3h, key: a, event_key: _time}\n", WEIR_EINVAL,
     "time of the event itself", ""},
    {HEAD "  - {name: x, op: number, of: a}\n  - {name: y, op: category, of: a}\n", WEIR_ETYPE,
     "f.yaml:7:33: column \"a\" cannot be a text here and a number elsewhere", ""},
    {HEAD "  - {name: x, op: number, of: t}\n", WEIR_ETYPE, "column \"t\" cannot be a number here and a time elsewhere",
     ""},
    {HEAD "  - {name: x, op: number, of: a}\n  - {name: X, op: number, of: a}\n", WEIR_EEXIST,
     "f.yaml:7:12: \"X\" is there already", ""},
    {HEAD "  - {name: T, op: number, of: a}\n", WEIR_EEXIST, "there already", ""},
    {"name: v\nsource: s\ntime: t\nfeatures: [{name: n, op: count, over: 90m}]\n", WEIR_EINVAL, "has no events",
     "events:"},
    {"name: v\nsource: s\ntime: t\nknown_at: t\nfeatures: [{name: known_at, op: number, of: x}]\n", WEIR_EEXIST,
     "known_at", ""},
};

static void test_errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        WR_AUTOARENA wr_arena *a = wr_arena_new(0);
        wr_view *v = NULL;
        wr_err err = {0};
        int rc = parse(&v, a, wrong[i].text, &err);
        if (rc != wrong[i].code || !strstr(err.msg, wrong[i].msg) || !strstr(err.hint, wrong[i].hint))
            fail_msg("case %zu: %s: %s (%s)\n%s", i, wr_err_name(rc), err.msg, err.hint, wrong[i].text);
        assert_null(v);
    }
}

static int parse_buf(wr_buf *b, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_view *v;
    assert_false(b->failed);
    return parse(&v, a, wr_buf_cstr(b), err);
}

static void test_limits(void **state)
{
    (void)state;
    for (int over = 0; over < 2; over++) {
        wr_err err;
        WR_AUTOBUF wr_buf b;
        wr_buf_init(&b, 0);
        wr_buf_str(&b, HEAD);
        for (int i = 0; i < WR_VIEW_FEATURES + over; i++)
            wr_buf_printf(&b, "  - {name: f%d, op: number, of: c%d}\n", i, i);
        assert_int_equal(parse_buf(&b, &err), over ? WEIR_ELIMIT : 0);
        wr_buf_clear(&b);
        wr_buf_str(&b, HEAD);
        for (int i = 0; i < WR_VIEW_GROUPS + over; i++)
            wr_buf_printf(&b, "  - {name: f%d, op: count, key: k%d, over: 1h}\n", i, i);
        assert_int_equal(parse_buf(&b, &err), over ? WEIR_ELIMIT : 0);
        wr_buf_clear(&b);
        wr_buf_str(&b, "name: v\nsource: s\ntime: t\nevents: {source: e, time: t, values: {");
        for (int i = 0; i < WR_VIEW_VALUES + over; i++) wr_buf_printf(&b, "v%d: {of: c%d},", i, i);
        wr_buf_str(&b, "}}\nfeatures:\n  - {name: n, op: count, over: 1h}\n");
        for (int i = 0; i < WR_VIEW_VALUES; i++)
            wr_buf_printf(&b, "  - {name: f%d, op: sum, of: v%d, over: 1h}\n", i, i);
        assert_int_equal(parse_buf(&b, &err), over ? WEIR_ELIMIT : 0);
        wr_buf_clear(&b);
        wr_buf_str(&b, "name: v\ntime: t\nsource: ");
        for (int i = 0; i < 255 + over; i++) wr_buf_char(&b, 's');
        wr_buf_str(&b, "\nfeatures: [{name: x, op: number, of: x}]\n");
        assert_int_equal(parse_buf(&b, &err), over ? WEIR_ELIMIT : 0);
    }
}

static void test_load(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    const char *tmp = getenv("TMPDIR");
    char *dir = wr_arena_printf(a, "%s/weir-view-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(dir));
    char *path = wr_path_join(a, dir, "features.yaml");
    wr_view *v;
    wr_err err = {0};
    assert_int_equal(wr_view_load(&v, a, path, &err), WEIR_ENOTFOUND);
    assert_int_equal(wr_file_write(path, wr_str_of(example), &err), 0);
    assert_int_equal(wr_view_load(&v, a, path, &err), 0);
    assert_string_equal(v->hash, must_parse(a, example)->hash);
    assert_int_equal(wr_file_write(path, WR_STR("name: v\nfoo: 1\n"), &err), 0);
    assert_int_equal(wr_view_load(&v, a, path, &err), WEIR_EINVAL);
    assert_non_null(strstr(err.msg, "features.yaml:2:1: "));
    assert_int_equal(wr_file_remove_tree(dir, &err), 0);
}

/* ---- JSON ---- */

static int from_text(wr_view **out, wr_arena *a, wr_str text, wr_err *err)
{
    WR_AUTOJSON wr_json j;
    WR_TRY(wr_json_parse(&j, text, "json", err));
    return wr_view_from_json(out, a, j.root, err);
}

static void check_round_trip(const wr_view *v)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    WR_AUTOBUF wr_buf b, again;
    wr_view *w;
    wr_err err = {0};
    char hash[WR_SHA256_HEX];
    wr_buf_init(&b, 0);
    wr_buf_init(&again, 0);
    wr_view_json(&b, v);
    if (from_text(&w, a, wr_buf_view(&b), &err) < 0) fail_msg("%s: %s", err.msg, b.p);
    wr_view_json(&again, w);
    assert_string_equal(b.p, again.p);
    assert_string_equal(v->hash, w->hash);
    wr_sha256_of(b.p, b.n, hash);
    assert_string_equal(hash, v->hash);
}

static void test_canonical(void **state)
{
    (void)state;
    static const char *const same[] = {
        HEAD "  - {name: x, op: mean, of: delay, key: a, event_key: a, over: 3h}\n",
        HEAD "  - {over: 180m, key: [a], of: delay, op: mean, name: x}\n",
        "time: t\nfeatures:\n- {name: \"x\", op: mean, of: delay, key: a, over: 10800}\nsource: s\nname: v\nkeep:\n"
        "events: {time: t, source: e, values: {delay: {of: d}, late: {of: d, above: 1.0}}}\n",
    };
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    for (size_t i = 0; i < 3; i++) {
        wr_view *v = must_parse(a, same[i]);
        check_round_trip(v);
        assert_string_equal(v->hash, must_parse(a, same[0])->hash);
    }
    check_round_trip(must_parse(a, example));
    wr_view *v =
        must_parse(a, "name: v\nsource: \"s \\\" é\"\ntime: t\nlabel: {name: l, of: \"0\", above: -0.0}\nkeep: [a b]\n"
                      "events: {source: e, time: \"a\\n+ b\", values: {x: {of: x, clip: [1e-300, 1.5e22]}}}\n"
                      "features: [{name: x, op: sum, of: x, key: [a, b, c, d], event_key: [e, f, g, h], over: 1us},"
                      " {name: y, op: count, key: c, over: 90ms}]\n");
    check_round_trip(v);
    assert_true(strcmp(v->hash, must_parse(a, example)->hash) != 0);
}

static void test_json_strict(void **state)
{
    (void)state;
    static const struct {
        const char *text, *msg;
    } cases[] = {
        {"[]", "a feature view must be a map"},
        {"null", "a feature view must be a map"},
        {"{\"name\":5}", "\"name\" must be a text"},
        {"{\"name\":\"a\\u0000b\"}", "control characters"},
        {"{\"name\":\"v\",\"name\":\"w\"}", "\"name\" is there twice"},
        {"{\"name\":\"v\",\"extra\":1}", "unknown key \"extra\""},
        {"{\"name\":\"v\",\"source\":\"s\",\"time\":true}", "\"time\" must be a text"},
        {"{\"name\":\"v\",\"source\":\"s\",\"time\":\"t\",\"keep\":[1]}", "\"keep\" must be a text"},
        {"{\"name\":\"v\",\"source\":\"s\",\"time\":\"t\",\"label\":{\"name\":\"l\",\"of\":\"x\",\"above\":\"3\"}}",
         "must be a number"},
        {"{\"name\":\"v\",\"source\":\"s\",\"time\":\"t\",\"events\":{\"source\":\"e\",\"time\":\"t\"},"
         "\"features\":[{\"name\":\"n\",\"op\":\"count\",\"over\":3}]}",
         "\"over\" must be a text"},
        {"{\"name\":[[[[[[[[[[1]]]]]]]]]]}", "not as deep"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        WR_AUTOARENA wr_arena *a = wr_arena_new(0);
        wr_view *v;
        wr_err err = {0};
        int rc = from_text(&v, a, wr_str_of(cases[i].text), &err);
        if (rc >= 0 || !strstr(err.msg, cases[i].msg) || strstr(err.msg, ":0:0")) fail_msg("case %zu: %s", i, err.msg);
    }
}

/* Whatever bytes of a good view are changed: refused, or a view that is its own canonical form. */
static void test_json_damaged(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    WR_AUTOBUF wr_buf good;
    wr_rng r;
    static const char bytes[] = "{}[]\",:0129ae-.tfn\\ \x01\x80";
    size_t accepted = 0;
    wr_buf_init(&good, 0);
    wr_view_json(&good, must_parse(a, example));
    wr_rng_init(&r, 7);
    for (int i = 0; i < 1500; i++) {
        WR_AUTOARENA wr_arena *b = wr_arena_new(0);
        char *text = wr_arena_dup(b, good.p, good.n + 1);
        wr_view *v;
        wr_err err;
        text[wr_rng_below(&r, good.n)] = bytes[wr_rng_below(&r, sizeof bytes - 1)];
        size_t n = wr_rng_below(&r, 4) ? good.n : wr_rng_below(&r, good.n);
        if (from_text(&v, b, (wr_str){text, n}, &err) < 0) continue;
        accepted++;
        check_round_trip(v);
    }
    assert_true(accepted > 10);
}

static void test_parse_nomem(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    WR_AUTOBUF wr_buf json;
    wr_buf_init(&json, 0);
    wr_view_json(&json, must_parse(a, example));
    for (int way = 0; way < 2; way++) {
        for (long nth = 1;; nth++) {
            WR_AUTOARENA wr_arena *b = wr_arena_new(0);
            wr_view *v;
            wr_err err;
            wr_fault_arm(WR_FAULT_ALLOC, nth, false);
            int rc = way ? from_text(&v, b, wr_buf_view(&json), &err) : parse(&v, b, example, &err);
            bool fired = wr_fault_fired(WR_FAULT_ALLOC);
            wr_fault_arm(WR_FAULT_ALLOC, 0, false);
            assert_int_equal(rc, fired ? WEIR_ENOMEM : 0);
            if (!fired) break;
        }
    }
}

/* ---- operations ---- */

static void test_row_ops(void **state)
{
    (void)state;
    static const int64_t edges[] = {0,         -1,       1, WR_DAY_US, -WR_DAY_US, -WR_DAY_US - 1, 951782400000000,
                                    INT64_MAX, INT64_MIN};
    wr_rng r;
    wr_rng_init(&r, 3);
    for (size_t i = 0; i < 3000; i++) {
        int64_t t = i < 9 ? edges[i] : (int64_t)(wr_rng_u64(&r) >> 10) - ((int64_t)1 << 53);
        wr_civil c;
        float x;
        wr_time_civil(&c, t);
        const float expected[] = {(float)(c.hour * 60 + c.minute), (float)c.hour, (float)c.weekday,
                                  (float)(c.yearday + 1), (float)c.month};
        static const char *const names[] = {"minute_of_day", "hour", "weekday", "day_of_year", "month"};
        for (size_t k = 0; k < 5; k++) {
            wr_view_op_find(wr_str_of(names[k]))->time(&x, &t, 1);
            assert_true(x == expected[k]);
        }
    }
    assert_null(wr_view_op_find(WR_STR("median")));
    for (size_t i = 0; i < wr_view_ops_count; i++) {
        const wr_view_op *op = &wr_view_ops[i];
        assert_ptr_equal(wr_view_op_find(wr_str_of(op->name)), op);
        assert_true(strlen(op->summary) > 0);
        assert_int_equal(op->input == WR_VIEW_NUMBER, op->number != NULL);
        assert_int_equal(op->input == WR_VIEW_TIME, op->time != NULL);
        assert_int_equal(op->input == WR_VIEW_WINDOW, op->window != NULL);
    }
}

static void test_value_of(void **state)
{
    (void)state;
    wr_view_value plain = {.of = "x"}, above = {.of = "x", .has_above = true, .above = 15};
    wr_view_value clip = {.of = "x", .has_clip = true, .clip_lo = -60, .clip_hi = 240};
    assert_true(wr_view_value_of(&plain, 3.5) == 3.5);
    assert_true(isnan(wr_view_value_of(&plain, INFINITY)) && isnan(wr_view_value_of(&plain, -1e300)));
    assert_true(wr_view_value_of(&above, 15) == 0 && wr_view_value_of(&above, 15.5) == 1 &&
                wr_view_value_of(&above, INFINITY) == 1);
    assert_true(wr_view_value_of(&clip, -1e300) == -60 && wr_view_value_of(&clip, INFINITY) == 240 &&
                wr_view_value_of(&clip, 7) == 7);
    assert_true(isnan(wr_view_value_of(&plain, NAN)) && isnan(wr_view_value_of(&above, NAN)) &&
                isnan(wr_view_value_of(&clip, NAN)));
}

/* ---- training against serving ---- */

static const char zoo[] = "name: zoo\nsource: s\ntime: t\n"
                          "events: {source: e, time: t, values: {raw: {of: d}, clip: {of: d, clip: [-60, 240]}, late: "
                          "{of: d, above: 15}, other: {of: x}}}\n"
                          "features:\n"
                          "  - {name: minute, op: minute_of_day, of: t}\n"
                          "  - {name: seen_hour, op: hour, of: seen}\n"
                          "  - {name: n, op: number, of: n}\n"
                          "  - {name: a, op: category, of: a}\n"
                          "  - {name: a_mean, op: mean, of: raw, key: a, over: 3h}\n"
                          "  - {name: a_clip, op: sum, of: clip, key: a, over: 1h}\n"
                          "  - {name: a_late, op: share, of: late, key: a, over: 3h}\n"
                          "  - {name: a_count, op: count, of: raw, key: a, over: 3h}\n"
                          "  - {name: a_all, op: count, key: a, over: 2h}\n"
                          "  - {name: b_on_a, op: mean, of: late, key: b, event_key: a, over: 3h}\n"
                          "  - {name: ab, op: mean, of: raw, key: [a, b], over: 3h}\n"
                          "  - {name: ba, op: count, of: other, key: [b, a], event_key: [a, b], over: 3h}\n"
                          "  - {name: abc, op: sum, of: raw, key: [a, b, c], over: 3h}\n"
                          "  - {name: abca, op: count, key: [a, b, c, a], over: 3h}\n"
                          "  - {name: all_mean, op: mean, of: raw, over: 3h}\n"
                          "  - {name: all_other, op: sum, of: other, over: 10m}\n"
                          "  - {name: all_count, op: count, over: 3h}\n";

enum { EVENTS = 260, ROWS = 120, MINUTE = 60 * 1000000 };

/* Texts: a few short ones, the empty one, and some too long for a window's key. */
static wr_str any_text(wr_rng *r)
{
    static char big[3][1100];
    static const char *const few[] = {"a", "b", "ab", "c", "", "SFO", "JFK"};
    size_t k = wr_rng_below(r, 12);
    if (k >= 10) {
        memset(big[k - 10], 'x', sizeof big[0]);
        big[k - 10][500] = (char)('0' + k - 10);
        return (wr_str){big[k - 10], sizeof big[0]};
    }
    return wr_str_of(few[k % 7]);
}

static wr_col *column(wr_frame *f, const char *name, wr_type type)
{
    wr_col *c = wr_frame_add(f, name, type);
    assert_non_null(c);
    return c;
}

static void fill_texts(wr_frame *f, const char *name, wr_rng *r)
{
    wr_col *c = column(f, name, WR_TEXT);
    for (size_t i = 0; i < f->nrows; i++) {
        if (wr_rng_below(r, 10) == 0) assert_int_equal(wr_col_set_missing(c, i), 0);
        else assert_int_equal(wr_col_code(c, any_text(r), &c->code[i]), 0);
    }
}

/* Whole minutes of ten hours, so that many fall together. */
static void fill_times(wr_frame *f, const char *name, wr_rng *r, bool missing)
{
    wr_col *c = column(f, name, WR_TS);
    for (size_t i = 0; i < f->nrows; i++) {
        c->i64[i] = (int64_t)wr_rng_below(r, 600) * MINUTE - 300 * (int64_t)MINUTE;
        if (missing && wr_rng_below(r, 15) == 0) assert_int_equal(wr_col_set_missing(c, i), 0);
    }
}

static void fill_numbers(wr_frame *f, const char *name, wr_rng *r, wr_type type)
{
    wr_col *c = column(f, name, type);
    for (size_t i = 0; i < f->nrows; i++) {
        int64_t x = (int64_t)wr_rng_below(r, 600) - 200;
        if (type == WR_I64) c->i64[i] = x;
        else c->f64[i] = wr_rng_below(r, 20) ? (double)x : wr_rng_below(r, 2) ? INFINITY : -1e200;
        if (wr_rng_below(r, 8) == 0) assert_int_equal(wr_col_set_missing(c, i), 0);
    }
}

typedef struct {
    wr_frame *rows, *events, *out;
} world;

static void make_world(world *w, const wr_view *v, wr_rng *r, size_t nrows, size_t nevents)
{
    static const char *const keys[] = {"a", "b", "c"};
    wr_err err;
    *w = (world){wr_frame_new(), wr_frame_new(), wr_frame_new()};
    assert_int_equal(wr_frame_resize(w->rows, nrows), 0);
    assert_int_equal(wr_frame_resize(w->events, nevents), 0);
    for (size_t i = 0; i < 3; i++) {
        fill_texts(w->rows, keys[i], r);
        fill_texts(w->events, keys[i], r);
    }
    fill_times(w->rows, "t", r, true);
    fill_times(w->rows, "seen", r, true);
    fill_numbers(w->rows, "n", r, wr_rng_below(r, 2) ? WR_I64 : WR_F64);
    fill_times(w->events, "_time", r, true);
    fill_numbers(w->events, "d", r, wr_rng_below(r, 2) ? WR_I64 : WR_F64);
    fill_numbers(w->events, "x", r, WR_F64);
    if (wr_view_compute(w->out, v, w->rows, w->events, NULL, &err) < 0) fail_msg("%s", err.msg);
    assert_int_equal(w->out->ncols, v->nfeatures);
    assert_int_equal(w->out->nrows, nrows);
}

static void drop_world(world *w)
{
    wr_frame_free(w->rows);
    wr_frame_free(w->events);
    wr_frame_free(w->out);
}

static void cells_of(wr_cell *out, const wr_frame *f, char *const *names, const wr_type *types, size_t n, size_t row)
{
    for (size_t i = 0; i < n; i++) {
        const wr_col *c = wr_frame_col(f, names[i]);
        out[i] = (wr_cell){.missing = wr_col_missing(c, row)};
        if (types[i] == WR_TEXT) out[i].text = wr_col_text(c, row);
        else if (types[i] == WR_TS) out[i].ts = c->i64[row];
        else out[i].num = wr_col_num(c, row);
    }
}

static bool same_float(float a, float b) { return (isnan(a) && isnan(b)) || a == b; }

/* Brute force: every event is looked at for every row, keys compared as text. */
static float twin_window(const wr_view *v, const wr_view_feature *f, const world *w, size_t row)
{
    const wr_view_group *g = &v->groups[f->group];
    const wr_col *time = wr_frame_col(w->rows, v->time), *event_time = wr_frame_col(w->events, "_time");
    double sum = 0, count = 0;
    if (wr_col_missing(time, row)) return NAN;
    for (int k = 0; k < f->nkey; k++) {
        if (wr_col_missing(wr_frame_col(w->rows, f->key[k]), row)) return NAN;
    }
    for (size_t e = 0; e < w->events->nrows; e++) {
        int64_t age = time->i64[row] - event_time->i64[e];
        bool in = !wr_col_missing(event_time, e) && age >= 0 && age < f->over_us;
        for (int k = 0; k < f->nkey; k++) {
            const wr_col *key = wr_frame_col(w->events, g->key[k]);
            in = in && !wr_col_missing(key, e) &&
                 wr_str_eq(wr_col_text(key, e), wr_col_text(wr_frame_col(w->rows, f->key[k]), row));
        }
        double x = f->value < 0 ? 0
                                : wr_view_value_of(&v->values[f->value],
                                                   wr_col_num(wr_frame_col(w->events, v->values[f->value].of), e));
        if (!in || isnan(x)) continue;
        sum += x;
        count++;
    }
    if (strcmp(f->op->name, "count") == 0) return (float)count;
    if (count == 0) return NAN;
    return (float)(strcmp(f->op->name, "sum") == 0 ? sum : sum / count);
}

static void check_row(const wr_view *v, const world *w, const wr_online *o, size_t row)
{
    wr_cell request[16];
    float num[32];
    wr_str text[32];
    cells_of(request, w->rows, v->request, v->request_type, v->nrequest, row);
    wr_online_row(o, request, num, text);
    for (size_t i = 0; i < v->nfeatures; i++) {
        const wr_view_feature *f = &v->features[i];
        const wr_col *c = wr_frame_col(w->out, f->name);
        if (f->category) {
            assert_int_equal(wr_col_missing(c, row), text[i].p == NULL);
            assert_true(wr_str_eq(wr_col_text(c, row), text[i]));
            assert_true(isnan(num[i]));
            continue;
        }
        assert_null(text[i].p);
        assert_int_equal(wr_col_missing(c, row), isnan(c->f32[row]));
        if (!same_float(c->f32[row], num[i]))
            fail_msg("row %zu, %s: training %.9g, serving %.9g", row, f->name, (double)c->f32[row], (double)num[i]);
        if (f->op->input == WR_VIEW_WINDOW && !same_float(c->f32[row], twin_window(v, f, w, row)))
            fail_msg("row %zu, %s: %.9g, twin %.9g", row, f->name, (double)c->f32[row],
                     (double)twin_window(v, f, w, row));
    }
}

typedef struct {
    int64_t at;
    uint32_t index;
} stop;

static int by_time(const void *a, const void *b)
{
    const stop *x = a, *y = b;
    return x->at < y->at ? -1 : x->at > y->at ? 1 : x->index < y->index ? -1 : x->index > y->index;
}

/* When an event arrives: at its time or up to an hour before (a clock that runs ahead), in any order among equals. */
static size_t arrivals(stop *out, const world *w, wr_rng *r)
{
    const wr_col *time = wr_frame_col(w->events, "_time");
    size_t n = 0;
    for (uint32_t i = 0; i < w->events->nrows; i++) {
        if (wr_col_missing(time, i)) continue;
        out[n++] = (stop){time->i64[i] - (wr_rng_below(r, 2) ? (int64_t)wr_rng_below(r, 61) * MINUTE : 0), i};
    }
    qsort(out, n, sizeof *out, by_time);
    return n;
}

static void reload(wr_online **o, const wr_view *v)
{
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    wr_err err = {0};
    wr_online *copy;
    assert_int_equal(wr_online_save(*o, &b, &err), 0);
    if (wr_online_load(&copy, v, wr_buf_view(&b), &err) < 0) fail_msg("%s (%s)", err.msg, err.detail);
    assert_true(wr_online_newest(copy) == wr_online_newest(*o));
    wr_online_free(*o);
    *o = copy;
}

static void replay(const wr_view *v, const world *w, wr_rng *r)
{
    stop in[EVENTS], ask[ROWS];
    wr_online *o;
    wr_err err;
    size_t n = arrivals(in, w, r), next = 0;
    const wr_col *time = wr_frame_col(w->rows, "t");
    for (uint32_t i = 0; i < w->rows->nrows; i++) ask[i] = (stop){time->i64[i], i};
    qsort(ask, w->rows->nrows, sizeof *ask, by_time);
    assert_int_equal(wr_online_new(&o, v, &err), 0);
    for (size_t i = 0; i < w->rows->nrows; i++) {
        for (; next < n && in[next].at <= ask[i].at; next++) {
            wr_cell cells[16];
            cells_of(cells, w->events, v->event_columns, v->event_type, v->nevent_columns, in[next].index);
            assert_int_equal(wr_online_add(o, wr_frame_col(w->events, "_time")->i64[in[next].index], cells, &err), 0);
        }
        if (i == w->rows->nrows / 2) reload(&o, v);
        check_row(v, w, o, ask[i].index);
    }
    wr_online_free(o);
}

static void test_training_is_serving(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_view *v = must_parse(a, zoo);
    assert_int_equal(v->ngroups, 5);
    for (uint64_t seed = 1; seed <= 12; seed++) {
        wr_rng r;
        world w;
        wr_rng_init(&r, seed);
        make_world(&w, v, &r, ROWS, seed == 1 ? 0 : seed == 2 ? 1 : EVENTS);
        replay(v, &w, &r);
        drop_world(&w);
    }
}

/* Fractions: sums of the two sides may differ in the last bits. */
static void test_fractions(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_view *v = must_parse(a, "name: v\nsource: s\ntime: t\nevents: {source: e, time: t, values: {x: {of: x}}}\n"
                               "features: [{name: m, op: mean, of: x, over: 1h}]\n");
    WR_AUTOFRAME wr_frame *rows = wr_frame_new(), *events = wr_frame_new(), *out = wr_frame_new();
    wr_online *o;
    wr_err err;
    wr_rng r;
    wr_rng_init(&r, 5);
    assert_int_equal(wr_frame_resize(rows, 1), 0);
    assert_int_equal(wr_frame_resize(events, 500), 0);
    column(rows, "t", WR_TS)->i64[0] = 500 * (int64_t)MINUTE;
    wr_col *time = column(events, "_time", WR_TS);
    assert_int_equal(wr_online_new(&o, v, &err), 0);
    for (size_t i = 0; i < 500; i++) time->i64[i] = (int64_t)i * MINUTE;
    wr_col *x = column(events, "x", WR_F64);
    for (size_t i = 0; i < 500; i++) {
        wr_cell c = {.num = x->f64[i] = wr_rng_f64(&r)};
        assert_int_equal(wr_online_add(o, (int64_t)i * MINUTE, &c, &err), 0);
    }
    float num;
    wr_str text;
    wr_online_row(o, &(wr_cell){.ts = 500 * (int64_t)MINUTE}, &num, &text);
    assert_int_equal(wr_view_compute(out, v, rows, events, NULL, &err), 0);
    assert_true(fabsf(num - out->cols[0].f32[0]) <= 1e-6f);
    wr_online_free(o);
}

static void test_threads_do_not_matter(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_view *v = must_parse(a, zoo);
    wr_rng r;
    world w;
    wr_err err;
    wr_rng_init(&r, 99);
    make_world(&w, v, &r, 40000, 5000);
    wr_pool *pool = wr_pool_new(3);
    WR_AUTOFRAME wr_frame *out = wr_frame_new();
    assert_int_equal(wr_view_compute(out, v, w.rows, w.events, pool, &err), 0);
    for (size_t i = 0; i < out->ncols; i++) assert_memory_equal(out->cols[i].data, w.out->cols[i].data, out->nrows * 4);
    wr_pool_free(pool);
    drop_world(&w);
}

/* Rows that a resize made and nobody filled: the code points past an empty dictionary, the text is "". */
static void test_unfilled_text(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_view *v = must_parse(a, HEAD "  - {name: k, op: category, of: k}\n  - {name: n, op: count, key: k, over: 1h}\n");
    for (int filled = 0; filled < 4; filled++) {
        WR_AUTOFRAME wr_frame *rows = wr_frame_new(), *events = wr_frame_new(), *out = wr_frame_new();
        wr_err err;
        assert_int_equal(wr_frame_resize(rows, 1) + wr_frame_resize(events, 1), 0);
        column(rows, "t", WR_TS);
        column(events, "_time", WR_TS);
        column(events, "d", WR_F64);
        wr_col *key = column(rows, "k", WR_TEXT), *event_key = column(events, "k", WR_TEXT);
        if (filled & 1) assert_int_equal(wr_col_code(key, WR_STR(""), key->code), 0);
        if (filled & 2) assert_int_equal(wr_col_code(event_key, WR_STR(""), event_key->code), 0);
        assert_int_equal(wr_view_compute(out, v, rows, events, NULL, &err), 0);
        assert_true(wr_frame_col(out, "n")->f32[0] == 1);
        assert_true(wr_str_is(wr_col_text(wr_frame_col(out, "k"), 0), ""));
    }
}

static void test_compute_errors(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_view *v = must_parse(a, zoo);
    wr_rng r;
    world w;
    wr_err err = {0};
    wr_rng_init(&r, 4);
    make_world(&w, v, &r, 5, 5);
    WR_AUTOFRAME wr_frame *out = wr_frame_new();
    assert_int_equal(wr_view_compute(out, v, w.rows, NULL, NULL, &err), WEIR_EINVAL);
    wr_frame_free(out);
    out = wr_frame_new();
    assert_int_equal(wr_view_compute(out, v, w.rows, w.out, NULL, &err), WEIR_ENOTFOUND);
    assert_string_equal(err.msg, "events of view \"zoo\": no column \"_time\"");
    assert_int_equal(wr_view_compute(w.out, v, w.rows, w.events, NULL, &err), WEIR_EEXIST);
    wr_frame_free(out);
    out = wr_frame_new();
    assert_int_equal(wr_frame_resize(out, 4), 0);
    column(out, "beside", WR_F64);
    assert_int_equal(wr_view_compute(out, v, w.rows, w.events, NULL, &err), WEIR_EINVAL);
    wr_frame_free(out);
    out = wr_frame_new();
    wr_frame_col(w.rows, "n")->name[0] = 'm';
    assert_int_equal(wr_view_compute(out, v, w.rows, w.events, NULL, &err), WEIR_ENOTFOUND);
    wr_frame_free(out);
    out = wr_frame_new();
    wr_frame_col(w.rows, "m")->name[0] = 'n';
    wr_frame_col(w.events, "d")->name[0] = 'q';
    wr_frame_col(w.events, "a")->name[0] = 'd';
    assert_int_equal(wr_view_compute(out, v, w.rows, w.events, NULL, &err), WEIR_ENOTFOUND);
    wr_frame_col(w.events, "d")->name[0] = 'a';
    wr_frame_col(w.events, "c")->name[0] = 'd';
    wr_frame_free(out);
    out = wr_frame_new();
    assert_int_equal(wr_view_compute(out, v, w.rows, w.events, NULL, &err), WEIR_ETYPE);
    drop_world(&w);
}

static void test_compute_nomem(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_view *v = must_parse(a, zoo);
    wr_rng r;
    world w;
    wr_rng_init(&r, 8);
    make_world(&w, v, &r, 20, 20);
    for (long nth = 1;; nth++) {
        WR_AUTOFRAME wr_frame *out = wr_frame_new();
        wr_err err;
        wr_fault_arm(WR_FAULT_ALLOC, nth, false);
        int rc = wr_view_compute(out, v, w.rows, w.events, NULL, &err);
        bool fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        assert_int_equal(rc, fired ? WEIR_ENOMEM : 0);
        if (!fired) break;
    }
    drop_world(&w);
}

/* ---- online state ---- */

static wr_online *some_state(const wr_view *v, uint64_t seed)
{
    wr_online *o;
    wr_err err;
    wr_rng r;
    wr_rng_init(&r, seed);
    assert_int_equal(wr_online_new(&o, v, &err), 0);
    assert_true(wr_online_newest(o) == INT64_MIN);
    for (int i = 0; i < 30; i++) {
        wr_cell cells[16] = {0};
        for (size_t k = 0; k < v->nevent_columns; k++) {
            if (v->event_type[k] == WR_TEXT) cells[k].text = any_text(&r);
            else cells[k].num = (double)wr_rng_below(&r, 100);
        }
        assert_int_equal(wr_online_add(o, (int64_t)i * MINUTE, cells, &err), 0);
    }
    assert_true(wr_online_newest(o) == 29 * (int64_t)MINUTE);
    return o;
}

static void seal(wr_buf *b)
{
    uint64_t sum = wr_hash64(b->p, b->n - 8, 0);
    memcpy(b->p + b->n - 8, &sum, 8);
}

static int load(const wr_view *v, wr_str bytes)
{
    wr_online *o = NULL;
    wr_err err = {0};
    int rc = wr_online_load(&o, v, bytes, &err);
    if (rc == 0) wr_online_free(o);
    else assert_true(err.msg[0]);
    return rc;
}

static void test_saved_hostile(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_view *v = must_parse(a, zoo);
    wr_online *o = some_state(v, 1);
    WR_AUTOBUF wr_buf b;
    wr_err err;
    wr_buf_init(&b, 0);
    assert_int_equal(wr_online_save(o, &b, &err), 0);
    assert_int_equal(load(v, wr_buf_view(&b)), 0);
    assert_int_equal(load(must_parse(a, example), wr_buf_view(&b)), WEIR_ECONFLICT);
    for (size_t n = 0; n < b.n; n += n < 200 ? 1 : 97) assert_true(load(v, (wr_str){b.p, n}) < 0);
    wr_rng r;
    wr_rng_init(&r, 6);
    for (int i = 0; i < 400; i++) { /* one bit, with and without a right checksum */
        size_t at = i < 200 ? (size_t)i : wr_rng_below(&r, b.n - 8);
        char was = b.p[at];
        b.p[at] = (char)(was ^ (1 << wr_rng_below(&r, 8)));
        assert_true(load(v, wr_buf_view(&b)) < 0);
        seal(&b);
        int rc = load(v, wr_buf_view(&b));
        assert_true(at >= 88 || (at >= 80 && rc <= 0) || rc < 0);
        b.p[at] = was;
        seal(&b);
    }
    assert_int_equal(load(v, wr_buf_view(&b)), 0);
    wr_online_free(o);
}

/* A right file of a view with fewer values in its window, under the hash of one with more: answering would read past
 * the sums. */
static void test_saved_of_narrow_window(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_view *narrow = must_parse(a, HEAD "  - {name: n, op: mean, of: late, over: 1h}\n");
    wr_view *wide = must_parse(
        a, HEAD "  - {name: n, op: mean, of: late, over: 1h}\n  - {name: m, op: mean, of: delay, over: 1h}\n");
    wr_view *longer = must_parse(a, HEAD "  - {name: n, op: mean, of: late, over: 2h}\n");
    wr_online *o = some_state(narrow, 2);
    WR_AUTOBUF wr_buf b;
    wr_err err;
    wr_buf_init(&b, 0);
    assert_int_equal(wr_online_save(o, &b, &err), 0);
    memcpy(b.p + 16, wide->hash, 64);
    seal(&b);
    assert_int_equal(load(wide, wr_buf_view(&b)), WEIR_ECORRUPT);
    memcpy(b.p + 16, longer->hash, 64);
    seal(&b);
    assert_int_equal(load(longer, wr_buf_view(&b)), WEIR_ECORRUPT);
    memcpy(b.p + 16, narrow->hash, 64);
    seal(&b);
    assert_int_equal(load(narrow, wr_buf_view(&b)), 0);
    wr_online_free(o);
}

static void online_life(const wr_view *v, int *rc, wr_err *err)
{
    wr_online *o = NULL, *copy = NULL;
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    wr_cell cells[16] = {{.text = WR_STR("a")}, {.text = WR_STR("b")}, {.text = WR_STR("c")}, {.num = 1}, {.num = 2}};
    *rc = wr_online_new(&o, v, err);
    if (*rc == 0) *rc = wr_online_add(o, 0, cells, err);
    if (*rc == 0) *rc = wr_online_save(o, &b, err);
    if (*rc == 0) *rc = wr_online_load(&copy, v, wr_buf_view(&b), err);
    wr_online_free(o);
    wr_online_free(copy);
}

static void test_online_nomem(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_view *v = must_parse(a, zoo);
    assert_int_equal(v->nevent_columns, 5);
    for (long nth = 1;; nth++) {
        wr_err err;
        int rc;
        wr_fault_arm(WR_FAULT_ALLOC, nth, false);
        online_life(v, &rc, &err);
        bool fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        assert_int_equal(rc, fired ? WEIR_ENOMEM : 0);
        if (!fired) break;
    }
    wr_online_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example),
        cmocka_unit_test(test_smallest),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_json_strict),
        cmocka_unit_test(test_json_damaged),
        cmocka_unit_test(test_parse_nomem),
        cmocka_unit_test(test_row_ops),
        cmocka_unit_test(test_value_of),
        cmocka_unit_test(test_training_is_serving),
        cmocka_unit_test(test_fractions),
        cmocka_unit_test(test_threads_do_not_matter),
        cmocka_unit_test(test_unfilled_text),
        cmocka_unit_test(test_compute_errors),
        cmocka_unit_test(test_compute_nomem),
        cmocka_unit_test(test_saved_hostile),
        cmocka_unit_test(test_saved_of_narrow_window),
        cmocka_unit_test(test_online_nomem),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
