/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/flow_testing.h"
#include "flow/vars.h"

static wr_yaml *yaml(place *t, const char *text)
{
    wr_yaml *y = NULL;
    wr_err err = {0};
    if (wr_yaml_parse(&y, t->a, wr_str_of(text), "t.yaml", &err) < 0) fail_msg("%s", err.msg);
    return y;
}

static void start(wr_vars *v, place *t, const char *vars)
{
    wr_err err = {0};
    assert_int_equal(wr_vars_init(v, t->a, t->dir, &err), 0);
    if (wr_vars_add(v, yaml(t, vars), &err) < 0) fail_msg("%s", err.msg);
}

static const char *json(place *t, const wr_yaml *y)
{
    wr_buf b = {0};
    wr_yaml_to_json(&b, y);
    const char *s = wr_arena_strdup(t->a, wr_buf_cstr(&b));
    wr_buf_fini(&b);
    return s;
}

static void test_texts(void **state)
{
    place *t = *state;
    wr_vars v;
    static const struct {
        const char *in;
        bool cmd;
        const char *out;
    } cases[] = {
        {"x", false, "\"x\""},
        {"${a}", false, "1"},
        {"'${a}'", false, "1"},
        {"a=${a};${m.n}", false, "\"a=1;deep\""},
        {"${ m.n }", false, "\"deep\""},
        {"${l[1]}${l[0]}", false, "\"yx\""},
        {"${l}", false, "[\"x\",\"y\"]"},
        {"${ll[1][0]}", false, "3"},
        {"${m}", false, "{\"n\":\"deep\",\"f\":false}"},
        {"\\${HOME} ${a}", true, "\"${HOME} 1\""},
        {"$a $(date) ${nothing}x", false, "\"$a $(date) x\""},
        {"run ${o}", true, "\"run --lr 0.1 --fast --deep.name 'it'\\\\''s' --list 2 'q'\""},
        {"[a, '${a}', {'k${a}': '${m.n}'}]", false, "[\"a\",1,{\"k1\":\"deep\"}]"},
    };
    start(&v, t,
          "{a: 1, m: {n: deep, f: false}, l: [x, y], ll: [[1], [3]], nothing: null,"
          " o: {lr: 0.1, fast: true, slow: false, deep: {name: \"it's\"}, list: [2, q]}}");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wr_yaml *out;
        wr_err err = {0};
        int rc = wr_vars_resolve(&out, &v, yaml(t, cases[i].in), cases[i].cmd, &err);
        if (rc < 0) fail_msg("%s: %s", cases[i].in, err.msg);
        assert_string_equal(json(t, out), cases[i].out);
    }
}

static void test_refused(void **state)
{
    place *t = *state;
    wr_vars v;
    static const struct {
        const char *in;
        bool cmd;
        const char *msg, *hint;
    } cases[] = {
        {"${modle}", false, "t.yaml:1:1: undefined variable \"modle\"", "did you mean \"model\"?"},
        {"${model.lrr}", false, "t.yaml:1:1: undefined variable \"model.lrr\"", "did you mean \"lr\"?"},
        {"${model.lr.x}", false, "t.yaml:1:1: undefined variable \"model.lr.x\"", NULL},
        {"${l[2]}", false, "t.yaml:1:1: undefined variable \"l[2]\"", NULL},
        {"${l[-1]}", false, "t.yaml:1:1: undefined variable \"l[-1]\"", NULL},
        {"${l[0}", false, "t.yaml:1:1: undefined variable \"l[0\"", NULL},
        {"${.model}", false, "t.yaml:1:1: undefined variable \".model\"", NULL},
        {"${model..lr}", false, "t.yaml:1:1: undefined variable \"model..lr\"", NULL},
        {"${}", false, "t.yaml:1:1: \"${}\" names no variable", NULL},
        {"a ${model", false, "t.yaml:1:1: \"${\" without \"}\"", NULL},
        {"a ${model}", false, "t.yaml:1:1: variable \"model\" is a map and cannot stand inside a text", NULL},
        {"a ${l}", true, "t.yaml:1:1: variable \"l\" is a list and cannot stand inside a text", NULL},
        {"a ${deep}", true, "t.yaml:1:1: list \"l\" in a command holds scalars only", NULL},
        {"${item}", false, "t.yaml:1:1: undefined variable \"item\"", NULL},
        {"[x,\n  'y ${nope}']", false, "t.yaml:2:3: undefined variable \"nope\"", NULL},
    };
    start(&v, t, "{model: {lr: 1}, l: [a, b], deep: {l: [[1]]}}");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wr_yaml *out;
        wr_err err = {0};
        assert_true(wr_vars_resolve(&out, &v, yaml(t, cases[i].in), cases[i].cmd, &err) < 0);
        assert_string_equal(err.msg, cases[i].msg);
        if (cases[i].hint) assert_string_equal(err.hint, cases[i].hint);
    }
}

static void test_item_and_key(void **state)
{
    place *t = *state;
    wr_vars v;
    wr_yaml *out;
    wr_err err = {0};
    start(&v, t, "{a: 1}");
    v.item = yaml(t, "{x: [5, 6], y: {z: 7}}");
    v.key = yaml(t, "us");
    assert_int_equal(wr_vars_resolve(&out, &v, yaml(t, "'${key} ${item.x[1]} ${item.y.z} ${a}'"), false, &err), 0);
    assert_string_equal(json(t, out), "\"us 6 7 1\"");
    assert_int_equal(wr_vars_resolve(&out, &v, yaml(t, "${item.w}"), false, &err), WEIR_EINVAL);
    v.item = yaml(t, "[[1, 2], {q: 3}]");
    assert_int_equal(wr_vars_resolve(&out, &v, yaml(t, "'${item[0][1]}${item[1].q}'"), false, &err), 0);
    assert_string_equal(json(t, out), "\"23\"");
}

static void test_sources(void **state)
{
    place *t = *state;
    wr_vars v;
    wr_yaml *out;
    wr_err err = {0};
    put(t, "params.yaml", "train: {lr: 0.1}\n");
    put(t, "more.json", "{\"p\": 1, \"q\": 2, \"r\": 3}");
    start(&v, t, "[{x: 1}, 'more.json:p,q', {train: {depth: 3}}]");
    assert_int_equal(wr_vars_resolve(&out, &v, yaml(t, "'${train.lr} ${train.depth} ${p}${q} ${x}'"), false, &err), 0);
    assert_string_equal(json(t, out), "\"0.1 3 12 1\"");
    assert_int_equal(wr_vars_resolve(&out, &v, yaml(t, "${r}"), false, &err), WEIR_EINVAL);
    assert_int_equal(wr_vars_add(&v, yaml(t, "train:\n  lr: 0.2"), &err), WEIR_EINVAL);
    assert_string_equal(err.msg, "t.yaml:2:3: variable \"lr\" has another value already");
    assert_int_equal(wr_vars_add(&v, yaml(t, "{train: {lr: 0.1}}"), &err), 0); /* the same value is fine */
    assert_int_equal(wr_vars_add(&v, yaml(t, "[gone.yaml]"), &err), WEIR_ENOTFOUND);
    assert_string_equal(err.msg, "t.yaml:1:2: there is no file \"gone.yaml\"");
    assert_int_equal(wr_vars_add(&v, yaml(t, "['more.json:zz']"), &err), WEIR_EINVAL);
    assert_int_equal(wr_vars_add(&v, yaml(t, "[a.toml]"), &err), WEIR_EUNSUPPORTED);
    put(t, "bad.yaml", "a: [1\n");
    assert_int_equal(wr_vars_add(&v, yaml(t, "bad.yaml"), &err), WEIR_EPARSE);
    assert_non_null(strstr(err.msg, "bad.yaml:"));
}

static void test_overrides(void **state)
{
    place *t = *state;
    wr_vars v, own;
    wr_yaml *out;
    wr_err err = {0};
    start(&v, t, "{until: '2001-06-16', m: {l: [1, 2]}}");
    assert_int_equal(wr_vars_copy(&own, &v, &err), 0);
    assert_int_equal(wr_vars_set(&own, "until=2001-06-20T00:00:00Z", &err), 0);
    assert_int_equal(wr_vars_set(&own, "m.l[1]=[a, b]", &err), 0);
    assert_int_equal(wr_vars_resolve(&out, &own, yaml(t, "['${until}', '${m.l[1][0]}']"), false, &err), 0);
    assert_string_equal(json(t, out), "[\"2001-06-20T00:00:00Z\",\"a\"]");
    assert_int_equal(wr_vars_resolve(&out, &v, yaml(t, "['${until}', '${m.l[1]}']"), false, &err), 0);
    assert_string_equal(json(t, out), "[\"2001-06-16\",2]"); /* the original is untouched */
    assert_int_equal(wr_vars_set(&own, "until=", &err), 0);
    assert_int_equal(wr_vars_set(&own, "until={broken", &err), 0); /* taken as it stands */
    assert_int_equal(wr_vars_set(&own, "untill=1", &err), WEIR_EINVAL);
    assert_string_equal(err.hint, "did you mean \"until\"?");
    assert_int_equal(wr_vars_set(&own, "until", &err), WEIR_EUSAGE);
    assert_int_equal(wr_vars_set(&own, "=1", &err), WEIR_EUSAGE);
    assert_int_equal(wr_vars_set(&own, "m.l[7]=1", &err), WEIR_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_texts, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_refused, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_item_and_key, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_sources, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_overrides, make_place, drop_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
