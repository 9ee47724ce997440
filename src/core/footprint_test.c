/* SPDX-License-Identifier: Apache-2.0 */
/* footprint_test.c - the ledger's arithmetic, and that a row is read as it was written. */
#include "core/core_testing.h"

#include <math.h>

#include "core/footprint.h"

static wr_footprint work(double joules, double uncertainty)
{
    wr_footprint f = {.t0_us = 1,
                      .t1_us = 2,
                      .stage = "train",
                      .activity = "training",
                      .run_id = "r",
                      .subject = "model:delay",
                      .wall_s = 1.5,
                      .cpu_s = 2.5,
                      .max_rss = 3,
                      .read_bytes = 4,
                      .write_bytes = 5,
                      .units = 6,
                      .unit = "rows"};
    f.energy = (wr_energy){
        .energy_j = joules, .active_j = 7, .idle_j = 8, .gpu_j = 9, .rel_uncertainty = uncertainty, .tier = 'B'};
    snprintf(f.energy.source, sizeof f.energy.source, "a counter");
    return f;
}

static void near(double a, double b)
{
    if (!(fabs(a - b) <= 1e-9 * (fabs(b) + 1e-12))) fail_msg("%.17g is not %.17g", a, b);
}

static void config(place *s, const char *text)
{
    put(s, "weir.yaml", text);
    reopen(s);
}

static void test_arithmetic(void **state)
{
    place *s = *state;
    static const struct {
        const char *config;
        double joules, uncertainty, g, lo, hi, intensity;
        const char *region;
    } cases[] = {
        /* 3.6 MJ = 1 kWh */
        {"carbon: {intensity: 344}\n", 3.6e6, 0.25, 344, 258, 430, 344, "custom"},
        {"carbon: {intensity: 344, pue: 1.5}\n", 3.6e6, 0, 516, 516, 516, 344, "custom"},
        {"carbon: {intensity: 0}\n", 3.6e6, 0.5, 0, 0, 0, 0, "custom"},
        {"", 7.2e6, 0.1, 945.8, 851.22, 1040.38, 472.9, "WORLD"},
        {"carbon: {region: USA}\n", 1800, 2, 0.1918, 0, 0.5754, 383.6, "USA"}, /* less than nothing is nothing */
        {"carbon: {region: WORLD, intensity: 100}\n", 3.6e6, 0, 100, 100, 100, 100, "custom"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wr_footprint f = work(cases[i].joules, cases[i].uncertainty), *rows;
        size_t n;
        config(s, cases[i].config);
        OK(wr_footprint_add(s->p, &f, &s->err));
        OK(wr_footprint_list(&rows, &n, s->a, s->p, NULL, &s->err));
        assert_int_equal(n, i + 1);
        near(rows[i].gco2e, cases[i].g);
        near(rows[i].gco2e_lo, cases[i].lo);
        near(rows[i].gco2e_hi, cases[i].hi);
        near(rows[i].intensity, cases[i].intensity);
        assert_string_equal(rows[i].region, cases[i].region);
        near(f.gco2e, cases[i].g); /* the caller's row is completed too */
    }
}

static void test_as_written(void **state)
{
    place *s = *state;
    wr_footprint f = work(123.456, 0.3), *rows;
    size_t n;
    OK(wr_footprint_add(s->p, &f, &s->err));
    f.stage = "serve";
    f.run_id = NULL;
    f.subject = NULL;
    f.energy.gpu_j = NAN;
    OK(wr_footprint_add(s->p, &f, &s->err));
    reopen(s);
    OK(wr_footprint_list(&rows, &n, s->a, s->p, "train", &s->err));
    assert_int_equal(n, 1);
    assert_int_equal(rows[0].t0_us, 1);
    assert_int_equal(rows[0].t1_us, 2);
    assert_string_equal(rows[0].stage, "train");
    assert_string_equal(rows[0].activity, "training");
    assert_string_equal(rows[0].run_id, "r");
    assert_string_equal(rows[0].subject, "model:delay");
    const double got[] = {rows[0].wall_s,     rows[0].cpu_s,       rows[0].max_rss,
                          rows[0].read_bytes, rows[0].write_bytes, rows[0].units};
    for (int i = 0; i < 6; i++) assert_true(got[i] == ((double[]){1.5, 2.5, 3, 4, 5, 6})[i]);
    assert_string_equal(rows[0].unit, "rows");
    assert_true(rows[0].energy.energy_j == 123.456 && rows[0].energy.active_j == 7 && rows[0].energy.idle_j == 8);
    assert_true(rows[0].energy.gpu_j == 9 && rows[0].energy.rel_uncertainty == 0.3 && rows[0].energy.tier == 'B');
    assert_string_equal(rows[0].energy.source, "a counter");
    assert_int_equal(rows[0].intensity_year, 2024);
    SAYS("Ember", rows[0].intensity_source);
    OK(wr_footprint_list(&rows, &n, s->a, s->p, "serve", &s->err));
    assert_int_equal(n, 1);
    assert_string_equal(rows[0].run_id, "");
    assert_true(isnan(rows[0].energy.gpu_j));
    OK(wr_footprint_list(&rows, &n, s->a, s->p, NULL, &s->err));
    assert_int_equal(n, 2);
    OK(wr_footprint_list(&rows, &n, s->a, s->p, "nothing", &s->err));
    assert_int_equal(n, 0);
}

static void test_refused(void **state)
{
    place *s = *state;
    wr_footprint f = work(1, 0), *rows;
    size_t n;
    config(s, "carbon: {region: nowhere}\n");
    FAILS(WEIR_EINVAL, wr_footprint_add(s->p, &f, &s->err));
    OK(wr_footprint_list(&rows, &n, s->a, s->p, NULL, &s->err));
    assert_int_equal(n, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, make_place, drop_place)
int main(void)
{
    const struct CMUnitTest tests[] = {T(test_arithmetic), T(test_as_written), T(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
