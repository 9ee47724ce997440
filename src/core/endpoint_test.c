/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint_test.c - the endpoints section of weir.yaml. */
#include "core/core_testing.h"

#include "core/endpoint.h"

static void config(place *s, const char *text)
{
    put(s, "weir.yaml", text);
    reopen(s);
    s->err = (wr_err){0};
}

static void test_list(void **state)
{
    place *s = *state;
    wr_endpoint *e, one;
    size_t n;
    config(s, "endpoints:\n  delay: {model: delay@champion, threshold: 0.25}\n  other: {model: other@2}\n");
    OK(wr_endpoint_list(&e, &n, s->a, s->p, &s->err));
    assert_int_equal(n, 2);
    assert_string_equal(e[0].name, "delay");
    assert_string_equal(e[0].model, "delay@champion");
    assert_true(e[0].threshold == 0.25 && e[1].threshold == 0.5);
    assert_int_equal(e[1].at->line, 3);
    OK(wr_endpoint_find(&one, s->a, s->p, "other", &s->err));
    assert_string_equal(one.model, "other@2");
    FAILS(WEIR_ENOTFOUND, wr_endpoint_find(&one, s->a, s->p, "dealy", &s->err));
    SAYS("did you mean \"delay\"?", s->err.hint);
    FAILS(WEIR_ENOTFOUND, wr_endpoint_find(&one, s->a, s->p, "something", &s->err));
    SAYS("endpoints: {something:", s->err.hint);
}

static void test_none(void **state)
{
    place *s = *state;
    static const char *const texts[] = {"", "endpoints:\n", "endpoints: {}\n"};
    for (size_t i = 0; i < 3; i++) {
        wr_endpoint *e;
        size_t n = 7;
        config(s, texts[i]);
        OK(wr_endpoint_list(&e, &n, s->a, s->p, &s->err));
        assert_int_equal(n, 0);
    }
}

static void test_errors(void **state)
{
    place *s = *state;
    static const struct {
        const char *text;
        int code;
        const char *says;
    } cases[] = {
        {"endpoints: [delay]\n", WEIR_ETYPE, "weir.yaml:1:12:"},
        {"endpoints: delay\n", WEIR_ETYPE, "weir.yaml:1:12:"},
        {"endpoints:\n  delay: {modle: x}\n", WEIR_EINVAL, "weir.yaml:2:11: unknown key \"modle\""},
        {"endpoints:\n  delay: {threshold: 0.5}\n", WEIR_EINVAL, "weir.yaml:2:10: endpoint \"delay\" names no model"},
        {"endpoints:\n  delay:\n", WEIR_EINVAL, "endpoint \"delay\" names no model"},
        {"endpoints:\n  delay: delay@champion\n", WEIR_ETYPE, "weir.yaml:2:10:"},
        {"endpoints:\n  \"a b\": {model: x}\n", WEIR_EINVAL, "weir.yaml:2:3: \"a b\" is not an endpoint name"},
        {"endpoints:\n  ../up: {model: x}\n", WEIR_EINVAL, "is not an endpoint name"},
        {"endpoints:\n  delay: {model: x, threshold: 1.5}\n", WEIR_EINVAL, "weir.yaml:2:32: threshold"},
        {"endpoints:\n  delay: {model: x, threshold: .nan}\n", WEIR_EINVAL, "weir.yaml:2:32: threshold"},
        {"endpoints:\n  delay: {model: x, threshold: high}\n", WEIR_ETYPE, "weir.yaml:2:32:"},
        {"endpoints:\n  delay: {model: [x]}\n", WEIR_ETYPE, "weir.yaml:2:18:"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wr_endpoint *e;
        size_t n;
        config(s, cases[i].text);
        int rc = wr_endpoint_list(&e, &n, s->a, s->p, &s->err);
        if (rc != cases[i].code) fail_msg("%s gave %d %s", cases[i].text, rc, s->err.msg);
        SAYS(cases[i].says, s->err.msg);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, make_place, drop_place)
int main(void)
{
    const struct CMUnitTest tests[] = {T(test_list), T(test_none), T(test_errors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
