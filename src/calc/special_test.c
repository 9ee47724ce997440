/* SPDX-License-Identifier: Apache-2.0 */
/* special_test.c - against scipy's values over the whole range, and the edges. */
#include "calc/special.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "../../tests/reference/special_values.h"
#include "../../tests/reference/stream.h"

enum {
    GAMMAS = sizeof gamma_q_values / sizeof *gamma_q_values,
    KOLMOGOROVS = sizeof kolmogorov_values / sizeof *kolmogorov_values,
};

static void gamma_of_scipy(void **state)
{
    (void)state;
    int bad = 0;
    for (size_t i = 0; i < GAMMAS; i++) {
        double q = wr_gamma_q(gamma_q_values[i].a, gamma_q_values[i].x);
        if (stream_near(q, gamma_q_values[i].q, 1e-9)) continue;
        bad++;
        print_error("Q(%g, %.17g) = %.17g, not %.17g\n", gamma_q_values[i].a, gamma_q_values[i].x, q,
                    gamma_q_values[i].q);
    }
    assert_int_equal(bad, 0);
}

static void kolmogorov_of_scipy(void **state)
{
    (void)state;
    int bad = 0;
    for (size_t i = 0; i < KOLMOGOROVS; i++) {
        double n = kolmogorov_values[i].n, x = kolmogorov_values[i].x, sf = wr_kolmogorov_sf(n, x);
        if (stream_near(sf, kolmogorov_values[i].sf, 1e-9)) continue;
        bad++;
        print_error("sf(%g, %.17g) = %.17g, not %.17g (n x^2 %g)\n", n, x, sf, kolmogorov_values[i].sf, n * x * x);
    }
    assert_int_equal(bad, 0);
}

static void edges(void **state)
{
    (void)state;
    assert_true(wr_gamma_q(2, 0) == 1 && wr_gamma_q(2, INFINITY) == 0);
    assert_true(isnan(wr_gamma_q(0, 1)) && isnan(wr_gamma_q(-1, 1)) && isnan(wr_gamma_q(1, -1)) &&
                isnan(wr_gamma_q(NAN, 1)));
    assert_true(isnan(wr_chi2_sf(1, 0)) && isnan(wr_chi2_sf(NAN, 1)));
    assert_true(wr_chi2_sf(0, 1) == 1 && wr_chi2_sf(INFINITY, 3) == 0);
    assert_true(stream_near(wr_chi2_sf(3.841458820694124, 1), 0.05, 1e-9));
    assert_true(isnan(wr_kolmogorov_sf(0, 0.5)) && isnan(wr_kolmogorov_sf(5, NAN)));
    assert_true(wr_kolmogorov_sf(5, 0) == 1 && wr_kolmogorov_sf(5, 1) == 0 && wr_kolmogorov_sf(5, 7) == 0);
    assert_true(wr_kolmogorov_sf(5, -1) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gamma_of_scipy),
        cmocka_unit_test(kolmogorov_of_scipy),
        cmocka_unit_test(edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
