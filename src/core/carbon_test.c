/* SPDX-License-Identifier: Apache-2.0 */
/* carbon_test.c - the built-in table, every line of it, and the carbon section of weir.yaml. */
#include "core/core_testing.h"

#include "core/carbon.h"

static void test_every_region(void **state)
{
    place *s = *state;
    WR_AUTOBUF wr_buf text = {0};
    OK(wr_file_read(&text, WEIR_SOURCE_DIR "/data/carbon-intensity.csv", 1 << 20, &s->err));
    wr_str rest = wr_buf_view(&text);
    size_t n = 0;
    wr_str_cut(&rest, '\n');
    while (rest.n) {
        wr_str line = wr_str_cut(&rest, '\n'), region = wr_str_cut(&line, ',');
        wr_carbon c = {0};
        OK(wr_carbon_region(&c, region, &s->err));
        assert_true(wr_str_is(region, c.region)); /* none is cut or shadowed by an earlier one */
        if (!(c.g_per_kwh >= 0 && c.g_per_kwh < 2000)) fail_msg("%s: %g", c.region, c.g_per_kwh);
        assert_true(c.year >= 2015 && c.year < 2100);
        assert_true(c.source[0]);
        n++;
    }
    assert_true(n > 100 && n < 512); /* the hint's list holds 512 */
}

static void test_unknown_region(void **state)
{
    place *s = *state;
    wr_carbon c;
    static const struct {
        const char *region, *hint;
    } cases[] = {
        {"WORDL", "did you mean \"WORLD\"?"},
        {"", "use WORLD"},
        {"region", "use WORLD"},
        {"DEU\n", ""},
        {"a region of a name that is longer than any in the table, by far, far more than it could hold", "use WORLD"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        FAILS(WEIR_EINVAL, wr_carbon_region(&c, wr_str_of(cases[i].region), &s->err));
        SAYS("unknown carbon region", s->err.msg);
        SAYS(cases[i].hint, s->err.hint);
    }
}

static void test_config(void **state)
{
    place *s = *state;
    static const struct {
        const char *text;
        int code;
        double g, pue;
        const char *region, *says, *hint;
    } cases[] = {
        {"", 0, 472.9, 1, "WORLD", "", ""},
        {"carbon:\n", 0, 472.9, 1, "WORLD", "", ""},
        {"carbon: {}\n", 0, 472.9, 1, "WORLD", "", ""},
        {"carbon: {region: USA, pue: 1.2}\n", 0, 383.6, 1.2, "USA", "", ""},
        {"carbon: {intensity: 12.5}\n", 0, 12.5, 1, "custom", "", ""},
        {"carbon: {region: UAS}\n", WEIR_EINVAL, 0, 0, "", "weir.yaml:1:18: unknown carbon region \"UAS\"",
         "did you mean"},
        {"carbon: {intensity: -1}\n", WEIR_EINVAL, 0, 0, "", "weir.yaml:1:21: intensity", ""},
        {"carbon: {intensity: .nan}\n", WEIR_EINVAL, 0, 0, "", "weir.yaml:1:21: intensity", ""},
        {"carbon: {intensity: many}\n", WEIR_ETYPE, 0, 0, "", "weir.yaml:1:21:", ""},
        {"carbon: {pue: 0.5}\n", WEIR_EINVAL, 0, 0, "", "weir.yaml:1:15: pue", ""},
        {"carbon: {pue: .nan}\n", WEIR_EINVAL, 0, 0, "", "weir.yaml:1:15: pue", ""},
        {"carbon: {regoin: USA}\n", WEIR_EINVAL, 0, 0, "", "weir.yaml:1:10: unknown key \"regoin\"", "\"region\""},
        {"carbon: USA\n", WEIR_ETYPE, 0, 0, "", "weir.yaml:1:9:", ""},
        {"carbon: [USA]\n", WEIR_ETYPE, 0, 0, "", "weir.yaml:1:9:", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wr_carbon c = {0};
        put(s, "weir.yaml", cases[i].text);
        reopen(s);
        s->err = (wr_err){0};
        int rc = wr_carbon_of(&c, s->p, &s->err);
        if (rc != cases[i].code) fail_msg("%s gave %d %s", cases[i].text, rc, s->err.msg);
        SAYS(cases[i].says, s->err.msg);
        SAYS(cases[i].hint, s->err.hint);
        if (rc < 0) continue;
        assert_true(c.g_per_kwh == cases[i].g && c.pue == cases[i].pue);
        assert_string_equal(c.region, cases[i].region);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, make_place, drop_place)
int main(void)
{
    const struct CMUnitTest tests[] = {T(test_every_region), T(test_unknown_region), T(test_config)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
