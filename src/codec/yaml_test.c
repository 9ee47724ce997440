/* SPDX-License-Identifier: Apache-2.0 */
/* yaml_test.c - the tree, positions of errors, anchors and merge keys, limits, checked getters, JSON, failing
 * allocations. */
#include "codec/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/limits.h"

static wr_arena *arena;

static int setup(void **state)
{
    (void)state;
    arena = wr_arena_new(0);
    return arena ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    wr_arena_free(arena);
    return 0;
}

static wr_yaml *parse(const char *text)
{
    wr_yaml *n;
    wr_err err = {0};
    if (wr_yaml_parse(&n, arena, wr_str_of(text), "weir.yaml", &err) < 0) fail_msg("'%s': %s", text, err.msg);
    return n;
}

static void refused(const char *text, int code, const char *message)
{
    wr_yaml *n;
    wr_err err = {0};
    int rc = wr_yaml_parse(&n, arena, wr_str_of(text), "weir.yaml", &err);
    if (rc != code || strcmp(err.msg, message) != 0)
        fail_msg("'%s': %s '%s', not '%s'", text, wr_err_name(rc), err.msg, message);
    assert_null(n);
}

static void json_is(const wr_yaml *n, const char *expected)
{
    wr_buf b;
    wr_buf_init(&b, 0);
    wr_yaml_to_json(&b, n);
    assert_string_equal(wr_buf_cstr(&b), expected);
    wr_buf_fini(&b);
}

static void test_tree(void **state)
{
    (void)state;
    wr_yaml *n = parse("a: 1\nb:\n  - x\n  - 'y z'\nc: {d: \"e\"}\n");
    assert_int_equal(n->kind, WR_YAML_MAP);
    assert_int_equal(n->n, 3);
    assert_true(wr_str_is(n->keys[2]->text, "c"));
    wr_yaml *b = wr_yaml_get(n, "b");
    assert_int_equal(b->kind, WR_YAML_SEQ);
    assert_int_equal(b->n, 2);
    assert_true(b->items[0]->plain && !b->items[1]->plain);
    assert_int_equal(b->items[1]->line, 4);
    assert_int_equal(b->items[1]->column, 5);
    assert_string_equal(b->items[1]->file, "weir.yaml");
    wr_yaml *d = wr_yaml_get(wr_yaml_get(n, "c"), "d");
    assert_string_equal(d->text.p, "e");
    assert_int_equal(d->line, 5);
    assert_int_equal(d->column, 8);
    assert_null(wr_yaml_get(n, "zz"));
    assert_null(wr_yaml_get(b, "x"));
    assert_null(wr_yaml_get(NULL, "x"));
}

static void test_empty_documents(void **state)
{
    (void)state;
    static const char *const empty[] = {"",    "\n\n", "# only a comment\n", "---\n",
                                        "~\n", "null", "---\n...\n",         "\xef\xbb\xbf"};
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        wr_yaml *n = parse(empty[i]);
        assert_int_equal(n->kind, WR_YAML_MAP);
        assert_int_equal(n->n, 0);
    }
    assert_int_equal(parse("''")->kind, WR_YAML_SCALAR);
}

static void test_error_positions(void **state)
{
    (void)state;
    refused("a:\n\tb: 1\n", WEIR_EPARSE, "weir.yaml:2:1: a tab is used for indentation");
    refused("a:\n  b: 1\n\tc: 2\n", WEIR_EPARSE, "weir.yaml:3:1: found a tab character that violates indentation");
    refused("a: |\n\tfoo\n", WEIR_EPARSE,
            "weir.yaml:2:1: found a tab character where an indentation space is expected");
    refused("x: 1\na: \"foo\nb: 2\n", WEIR_EPARSE, "weir.yaml:2:4: the quote that opens here is never closed");
    refused("a: 'foo\nb: 3\n---\n", WEIR_EPARSE, "weir.yaml:1:4: the quote that opens here is never closed");
    refused("a: @x\n", WEIR_EPARSE, "weir.yaml:1:4: a value cannot start with @");
    refused("\xc3\xa9\xc3\xa9: b: c\n", WEIR_EPARSE, "weir.yaml:1:6: mapping values are not allowed in this context");
    refused("\xef\xbb\xbf"
            "a: b: c\n",
            WEIR_EPARSE, "weir.yaml:1:5: mapping values are not allowed in this context");
    refused("a: [1, 2\nb: 3\n", WEIR_EPARSE, "weir.yaml:2:2: did not find expected ',' or ']'");
    refused("a:\n  \xc3\xa9: \x01\n", WEIR_EPARSE, "weir.yaml:2:6: control characters are not allowed");
    refused("ok: 1\na: \xff\n", WEIR_EPARSE, "weir.yaml:2:4: invalid leading UTF-8 octet");
    refused("\xff\xfe"
            "a\0:\0",
            WEIR_EPARSE, "weir.yaml:1:1: invalid leading UTF-8 octet");
    refused("a: 1\n---\nb: 2\n", WEIR_EPARSE, "weir.yaml:2:1: a second document starts here; only one is read");
    refused("a: 1\nb: {c: 2,\n  c: 3}\n", WEIR_EPARSE, "weir.yaml:3:3: the key \"c\" is given twice");
    refused("? [a]\n: 1\n", WEIR_EPARSE, "weir.yaml:1:3: a key must be a scalar");
    refused("a: \"x\\0y\"\n", WEIR_EPARSE, "weir.yaml:1:4: a NUL character is not allowed");
    refused("a: !foo 1\n", WEIR_EUNSUPPORTED, "weir.yaml:1:4: this tag is not supported: !foo");
}

static void test_hints(void **state)
{
    (void)state;
    wr_yaml *n;
    wr_err err;
    assert_int_equal(wr_yaml_parse(&n, arena, WR_STR("a: \"foo\nb: bar \"baz\"\nc: 1\n"), "f", &err), WEIR_EPARSE);
    assert_string_equal(err.msg, "f:2:9: did not find expected key");
    assert_string_equal(err.hint, "is a quote missing? a quoted text starts at line 1 and ends here");
    assert_int_equal(wr_yaml_parse(&n, arena, WR_STR("a:\n\tb: 1"), "f", &err), WEIR_EPARSE);
    assert_string_equal(err.hint, "indent with spaces");
    assert_int_equal(wr_yaml_parse(&n, arena, WR_STR("a: 'x\n\n\n"), "f", &err), WEIR_EPARSE);
    assert_string_equal(err.detail, "found unexpected end of stream at line 4");
    assert_int_equal(wr_yaml_parse(&n, arena, WR_STR("a: 1\n\nb: 2\na: 3"), "f", &err), WEIR_EPARSE);
    assert_string_equal(err.detail, "first at line 1");
    assert_int_equal(wr_yaml_parse(&n, arena, WR_STR("a: *b"), "f", NULL), WEIR_EPARSE); /* err may be NULL */
}

static void test_many_keys(void **state)
{
    (void)state;
    wr_buf b;
    wr_buf_init(&b, 0);
    for (int i = 0; i < 20000; i++) wr_buf_printf(&b, "key%d: %d\n", i, i);
    int64_t start = wr_clock_mono_ns();
    wr_yaml *n = parse(b.p);
    assert_true(wr_clock_mono_ns() - start < 3000000000LL);
    assert_int_equal(n->n, 20000);
    wr_buf_str(&b, "key3: 1\n");
    refused(b.p, WEIR_EPARSE, "weir.yaml:20001:1: the key \"key3\" is given twice");
    wr_buf_fini(&b);
}

static void test_anchors(void **state)
{
    (void)state;
    wr_yaml *n = parse("a: &x [1, 2]\nb: *x\n&k c: *k\n");
    assert_ptr_equal(wr_yaml_get(n, "a"), wr_yaml_get(n, "b"));
    json_is(n, "{\"a\":[1,2],\"b\":[1,2],\"c\":\"c\"}");
    json_is(parse("- &x 1\n- *x\n- &x 2\n- *x\n"), "[1,1,2,2]"); /* a name used again */
    refused("a: *x\n", WEIR_EPARSE, "weir.yaml:1:4: there is no anchor for the alias *x");
    refused("a: &x [1, *x]\n", WEIR_EPARSE, "weir.yaml:1:11: the alias stands inside its own anchor: *x");
    refused("a: &x {b: {c: *x}}\n", WEIR_EPARSE, "weir.yaml:1:15: the alias stands inside its own anchor: *x");
}

static void test_merge_keys(void **state)
{
    (void)state;
    json_is(parse("- &b {x: 1, y: 2}\n- {<<: *b, x: 9}\n"), "[{\"x\":1,\"y\":2},{\"y\":2,\"x\":9}]");
    json_is(parse("- &b {x: 1}\n- &c {x: 2, z: 3}\n- {<<: [*b, *c], w: 0}\n"),
            "[{\"x\":1},{\"x\":2,\"z\":3},{\"x\":1,\"z\":3,\"w\":0}]");
    json_is(parse("- &b {x: 1}\n- &c {<<: *b, y: 2}\n- {<<: *c}\n"), "[{\"x\":1},{\"x\":1,\"y\":2},{\"x\":1,\"y\":2}]");
    json_is(parse("'<<': 3\n"), "{\"<<\":3}"); /* in quotes it is an ordinary key */
    refused("a: {<<: 3}\n", WEIR_EPARSE, "weir.yaml:1:9: \"<<\" takes a map or a list of maps");
    refused("a: {<<: [{b: 1}, x]}\n", WEIR_EPARSE, "weir.yaml:1:18: \"<<\" takes a map or a list of maps");
    refused("a: {<<: {b: 1}, <<: {c: 1}}\n", WEIR_EPARSE, "weir.yaml:1:17: the key \"<<\" is given twice");
}

/* Each level is ten times the one before; 10^9 nodes in 500 bytes. */
static void test_billion_laughs(void **state)
{
    (void)state;
    wr_buf b;
    wr_yaml *n;
    wr_err err;
    wr_buf_init(&b, 0);
    wr_buf_str(&b, "a: &a [x,x,x,x,x,x,x,x,x,x]\n");
    for (char c = 'b'; c < 'j'; c++) {
        wr_buf_printf(&b, "%c: &%c [", c, c);
        for (int i = 0; i < 10; i++) wr_buf_printf(&b, "%s*%c", i ? "," : "", c - 1);
        wr_buf_str(&b, "]\n");
    }
    int64_t start = wr_clock_mono_ns();
    size_t used = wr_arena_used(arena);
    assert_int_equal(wr_yaml_parse(&n, arena, wr_buf_view(&b), "f", &err), WEIR_ELIMIT);
    assert_true(wr_clock_mono_ns() - start < 100000000LL);
    assert_true(wr_arena_used(arena) - used < 1 << 20);
    assert_non_null(strstr(err.msg, "f:6:"));
    wr_buf_fini(&b);
}

static void test_node_limit(void **state)
{
    (void)state;
    wr_buf b;
    wr_yaml *n;
    wr_buf_init(&b, 0);
    wr_buf_char(&b, '[');
    for (int i = 0; i < WR_LIMIT_YAML_NODES - 2; i++) wr_buf_str(&b, "1,");
    wr_buf_str(&b, "1]");
    assert_int_equal(wr_yaml_parse(&n, arena, wr_buf_view(&b), "f", NULL), 0);
    b.p[b.n - 1] = ',';
    wr_buf_str(&b, "1,1]");
    assert_int_equal(wr_yaml_parse(&n, arena, wr_buf_view(&b), "f", NULL), WEIR_ELIMIT);
    wr_buf_fini(&b);
}

static void test_depth_limit(void **state)
{
    (void)state;
    wr_buf b;
    wr_yaml *n;
    wr_buf_init(&b, 0);
    for (int depth = WR_LIMIT_YAML_DEPTH - 1; depth <= WR_LIMIT_YAML_DEPTH + 1; depth++) {
        wr_buf_clear(&b);
        for (int i = 0; i < depth; i++) wr_buf_char(&b, '[');
        for (int i = 0; i < depth; i++) wr_buf_char(&b, ']');
        assert_int_equal(wr_yaml_parse(&n, arena, wr_buf_view(&b), "f", NULL),
                         depth > WR_LIMIT_YAML_DEPTH ? WEIR_ELIMIT : 0);
    }
    /* aliases deepen the tree though the text stays flat */
    wr_buf_clear(&b);
    wr_buf_str(&b, "- &a0 [x]\n");
    for (int i = 0; i < 60; i++) wr_buf_printf(&b, "- &a%d [*a%d]\n", i + 1, i);
    assert_int_equal(wr_yaml_parse(&n, arena, wr_buf_view(&b), "f", NULL), WEIR_ELIMIT);
    wr_buf_clear(&b); /* and a hostile text that only opens */
    for (int i = 0; i < 200000; i++) wr_buf_char(&b, '[');
    assert_int_equal(wr_yaml_parse(&n, arena, wr_buf_view(&b), "f", NULL), WEIR_ELIMIT);
    wr_buf_fini(&b);
}

static void test_known_keys(void **state)
{
    (void)state;
    static const char *const known[] = {"cmd", "deps", "outs", NULL};
    wr_yaml *n = parse("cmd: x\nouts: []\n  \ndep: [a]\n");
    wr_err err = {0};
    assert_int_equal(wr_yaml_known(n, "stage \"train\"", known, &err), WEIR_EINVAL);
    assert_string_equal(err.msg, "weir.yaml:4:1: unknown key \"dep\" in stage \"train\"");
    assert_string_equal(err.hint, "did you mean \"deps\"?");
    assert_int_equal(wr_yaml_known(parse("zzzzzz: 1"), "the file", known, &err), WEIR_EINVAL);
    assert_string_equal(err.hint, "known keys: cmd, deps, outs");
    assert_int_equal(wr_yaml_known(parse("[1]"), "the file", known, &err), WEIR_ETYPE);
    assert_string_equal(err.msg, "weir.yaml:1:1: the file must be a map");
    assert_int_equal(wr_yaml_known(parse("cmd: 1"), "the file", known, NULL), 0);
    assert_int_equal(wr_yaml_known(NULL, "the file", known, NULL), 0);
}

static void int_is(const char *text, int64_t expected)
{
    int64_t v = ~expected;
    assert_int_equal(wr_yaml_i64(&v, parse(text)->items[0], "v", NULL), 0);
    assert_true(v == expected);
}

static void test_integers(void **state)
{
    (void)state;
    int_is("[0]", 0);
    int_is("[-12]", -12);
    int_is("[+5]", 5);
    int_is("[0x1F]", 31);
    int_is("[9223372036854775807]", INT64_MAX);
    int_is("[-9223372036854775808]", INT64_MIN);
    static const char *const bad[] = {"[1.5]",
                                      "['1']",
                                      "[x]",
                                      "[]]",
                                      "[007]",
                                      "[1_000]",
                                      "[9223372036854775808]",
                                      "[0x]",
                                      "[~]",
                                      "[1:30]",
                                      "[0xfffffffffffffffff]",
                                      "[- ]",
                                      "[[1]]",
                                      "[1e3]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        wr_yaml *n;
        int64_t v;
        if (wr_yaml_parse(&n, arena, wr_str_of(bad[i]), "f", NULL) < 0 || n->n == 0) continue;
        if (wr_yaml_i64(&v, n->items[0], "v", NULL) != WEIR_ETYPE) fail_msg("%s is taken", bad[i]);
    }
    wr_err err;
    int64_t v;
    wr_yaml *n = parse("port: abc\nq: '1'\nl: [1]\ne:\nbig: 99999999999999999999\n");
    assert_int_equal(wr_yaml_i64(&v, wr_yaml_get(n, "port"), "port", &err), WEIR_ETYPE);
    assert_string_equal(err.msg, "weir.yaml:1:7: \"port\" must be a whole number, not \"abc\"");
    assert_int_equal(wr_yaml_i64(&v, wr_yaml_get(n, "q"), "q", &err), WEIR_ETYPE);
    assert_string_equal(err.msg, "weir.yaml:2:4: \"q\" must be a whole number, not a text in quotes");
    assert_int_equal(wr_yaml_i64(&v, wr_yaml_get(n, "l"), "l of \"x\"", &err), WEIR_ETYPE);
    assert_string_equal(err.msg, "weir.yaml:3:4: l of \"x\" must be a whole number, not a list");
    assert_int_equal(wr_yaml_i64(&v, wr_yaml_get(n, "e"), "e", &err), WEIR_ETYPE);
    assert_int_equal(wr_yaml_i64(&v, wr_yaml_get(n, "none"), "none", &err), WEIR_EINVAL);
    assert_string_equal(err.msg, "\"none\" is missing");
    assert_int_equal(wr_yaml_i64(&v, wr_yaml_get(n, "big"), "big", &err), WEIR_ETYPE);
    assert_non_null(strstr(err.msg, "at most 64 bits"));
}

static void test_other_scalars(void **state)
{
    (void)state;
    wr_yaml *n = parse(
        "f: [1, 1.5, .5, 5., 1e3, -2.5E-2, .inf, -.INF, 0x10, +1.0]\nb: [true, False, YES, no, On, off]\n"
        "d: [90s, \"15m\", 7, 250ms]\nbad: [1.2.3, 1e, e5, ., -, '1.5', y, maybe, 'true', 1h2]\nnan: .NaN\ns: 12\n");
    static const double f[] = {1, 1.5, .5, 5, 1000, -0.025, INFINITY, -INFINITY, 16, 1};
    static const bool b[] = {true, false, true, false, true, false};
    static const int64_t d[] = {90000000, 900000000, 7000000, 250000};
    double x;
    bool t;
    int64_t us;
    wr_str s;
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(wr_yaml_f64(&x, wr_yaml_get(n, "f")->items[i], "f", NULL), 0);
        assert_true(x == f[i]);
    }
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(wr_yaml_bool(&t, wr_yaml_get(n, "b")->items[i], "b", NULL), 0);
        assert_true(t == b[i]);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(wr_yaml_duration_us(&us, wr_yaml_get(n, "d")->items[i], "d", NULL), 0);
        assert_int_equal(us, d[i]);
    }
    for (size_t i = 0; i < 10; i++) {
        wr_yaml *bad = wr_yaml_get(n, "bad")->items[i];
        assert_int_equal(wr_yaml_f64(&x, bad, "v", NULL), WEIR_ETYPE);
        assert_int_equal(wr_yaml_bool(&t, bad, "v", NULL), WEIR_ETYPE);
        if (i != 5) assert_int_equal(wr_yaml_duration_us(&us, bad, "v", NULL), WEIR_ETYPE);
    }
    assert_int_equal(wr_yaml_f64(&x, wr_yaml_get(n, "nan"), "nan", NULL), 0);
    assert_true(isnan(x));
    assert_int_equal(wr_yaml_str(&s, wr_yaml_get(n, "s"), "s", NULL), 0); /* every scalar is a text */
    assert_true(wr_str_is(s, "12"));
    assert_int_equal(wr_yaml_str(&s, wr_yaml_get(n, "b"), "b", NULL), WEIR_ETYPE);
    wr_err err;
    assert_int_equal(wr_yaml_duration_us(&us, wr_yaml_get(n, "bad")->items[6], "wait", &err), WEIR_ETYPE);
    assert_string_equal(err.msg, "weir.yaml:4:35: \"wait\" must be a duration, not \"y\"");
    assert_non_null(strstr(err.hint, "15m"));
}

static void test_members(void **state)
{
    (void)state;
    wr_yaml *n = parse("s: x\ni: 3\nf: 2.5\nb: yes\nd: 2h\nnull_value: ~\n");
    wr_str s;
    int64_t i;
    double f;
    bool b;
    assert_int_equal(wr_yaml_get_str(&s, n, "s", "f", NULL), 0);
    assert_true(wr_str_is(s, "x"));
    assert_int_equal(wr_yaml_get_str(&s, n, "none", "f", NULL), 0);
    assert_true(wr_str_is(s, "f"));
    assert_int_equal(wr_yaml_get_str(&s, NULL, "none", NULL, NULL), 0);
    assert_null(s.p);
    assert_int_equal(wr_yaml_get_i64(&i, n, "i", 9, NULL), 0);
    assert_int_equal(i, 3);
    assert_int_equal(wr_yaml_get_i64(&i, n, "null_value", 9, NULL), 0);
    assert_int_equal(i, 9);
    assert_int_equal(wr_yaml_get_f64(&f, n, "f", 9, NULL), 0);
    assert_true(f == 2.5);
    assert_int_equal(wr_yaml_get_bool(&b, n, "b", false, NULL), 0);
    assert_true(b);
    assert_int_equal(wr_yaml_get_duration_us(&i, n, "d", 1, NULL), 0);
    assert_true(i == 7200 * WR_US);
    assert_int_equal(wr_yaml_get_i64(&i, n, "s", 9, NULL), WEIR_ETYPE);
    /* a scalar where a map should be is not an empty map */
    wr_err err;
    assert_int_equal(wr_yaml_get_i64(&i, wr_yaml_get(n, "s"), "x", 9, &err), WEIR_ETYPE);
    assert_string_equal(err.msg, "weir.yaml:1:4: a map with the key \"x\" is expected here");
}

static void test_json(void **state)
{
    (void)state;
    json_is(
        parse("i: 12\nf: 1.50\nh: 1e3\nn: ~\nempty:\no: no\np: 'no'\nq: 007\nr: 0x1F\ns: 99999999999999999999\nt: "
              ".inf\nu: 1:30\n"
              "v: 2001-01-01\nw: !!str 12\nx: !!int '12'\ny: -0\nz: \"a\\\"b\\u00e9\"\n"),
        "{\"i\":12,\"f\":1.5,\"h\":1000,\"n\":null,\"empty\":null,\"o\":false,\"p\":\"no\",\"q\":\"007\",\"r\":31,"
        "\"s\":99999999999999999999,\"t\":\".inf\",\"u\":\"1:30\",\"v\":\"2001-01-01\",\"w\":\"12\",\"x\":12,\"y\":0,"
        "\"z\":\"a\\\"b\xc3\xa9\"}");
    json_is(parse("a: |\n  x\n   y\nb: >-\n  folded\n  text\n"), "{\"a\":\"x\\n y\\n\",\"b\":\"folded text\"}");
    json_is(NULL, "null");
}

static void test_every_allocation_fails(void **state)
{
    (void)state;
    wr_buf b;
    wr_buf_init(&b, 0);
    wr_buf_str(&b, "base: &b {x: 1, y: [1, 2, 3]}\nm: {<<: *b, z: 3}\n");
    for (int i = 0; i < 40; i++) wr_buf_printf(&b, "key%d: a text that is longer than a few bytes\n", i);
    long n = 0;
    for (bool fired = true; fired;) {
        wr_yaml *root;
        wr_err err = {0};
        wr_arena *own = wr_arena_new(0);
        wr_fault_arm(WR_FAULT_ALLOC, ++n, false);
        int rc = wr_yaml_parse(&root, own, wr_buf_view(&b), "f", &err);
        fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        assert_int_equal(rc, fired ? WEIR_ENOMEM : 0);
        wr_arena_free(own);
    }
    assert_true(n > 5);
    wr_yaml *root;
    wr_arena *small = wr_arena_new(2000); /* a capped arena is a limit of memory too */
    assert_int_equal(wr_yaml_parse(&root, small, wr_buf_view(&b), "f", NULL), WEIR_ENOMEM);
    wr_arena_free(small);
    wr_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree),
        cmocka_unit_test(test_empty_documents),
        cmocka_unit_test(test_error_positions),
        cmocka_unit_test(test_hints),
        cmocka_unit_test(test_many_keys),
        cmocka_unit_test(test_anchors),
        cmocka_unit_test(test_merge_keys),
        cmocka_unit_test(test_billion_laughs),
        cmocka_unit_test(test_node_limit),
        cmocka_unit_test(test_depth_limit),
        cmocka_unit_test(test_known_keys),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_other_scalars),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_every_allocation_fails),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
