/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_test.c - against scikit-learn's values, and the edges: one class, no rows, NaN, memory that runs out. */
#include "calc/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "../../tests/reference/metrics_values.h"
#include "../../tests/reference/stream.h"
#include "base/fault.h"
#include "base/mem.h"

#define NEAR(a, b) assert_true(stream_near((a), (b), 1e-9))
enum { CASES = sizeof metrics_cases / sizeof *metrics_cases };

/* The same data as metrics.py. */
static void make(size_t k, uint8_t *y, double *p)
{
    size_t n = metrics_cases[k].n;
    uint64_t seed = 1000 + k;
    double scale = pow(10, metrics_cases[k].digits);
    for (size_t i = 0; i < n; i++) {
        double u = stream_next(&seed), v = stream_next(&seed), w = stream_next(&seed);
        y[i] = n == 2 ? i == 1 : u < metrics_cases[k].ones;
        p[i] = k == 4 ? v : (v + 0.3 * y[i]) / 1.3;
        if (metrics_cases[k].digits > 0) p[i] = floor(p[i] * scale + 0.5) / scale;
        if (w < metrics_cases[k].ends) p[i] = floor(p[i] * 2);
        if (p[i] > 1) p[i] = 1;
    }
}

static void scikit_values(void **state)
{
    (void)state;
    static uint8_t y[4000];
    static double p[4000], as_double[4000];
    for (size_t k = 0; k < CASES; k++) {
        size_t n = metrics_cases[k].n;
        double v;
        make(k, y, p);
        assert_int_equal(wr_metric_auc(&v, y, p, n, NULL), 0);
        NEAR(v, metrics_cases[k].auc);
        assert_int_equal(wr_metric_average_precision(&v, y, p, n, NULL), 0);
        NEAR(v, metrics_cases[k].ap);
        NEAR(wr_metric_log_loss(y, p, n), metrics_cases[k].log_loss);
        NEAR(wr_metric_brier(y, p, n), metrics_cases[k].brier);
        wr_confusion c;
        wr_metric_confusion(&c, y, p, n, metrics_cases[k].threshold);
        NEAR(wr_confusion_accuracy(&c), metrics_cases[k].accuracy);
        NEAR(wr_confusion_precision(&c), metrics_cases[k].precision);
        NEAR(wr_confusion_recall(&c), metrics_cases[k].recall);
        NEAR(wr_confusion_f1(&c), metrics_cases[k].f1);
        assert_int_equal(wr_metric_find("balanced_accuracy")->compute(&v, y, p, n, metrics_cases[k].threshold, NULL),
                         0);
        NEAR(v, metrics_cases[k].balanced);
        for (size_t i = 0; i < n; i++) as_double[i] = y[i];
        NEAR(wr_metric_rmse(as_double, p, n), metrics_cases[k].rmse);
        NEAR(wr_metric_mae(as_double, p, n), metrics_cases[k].mae);
        wr_calibration_bin b[10];
        wr_metric_calibration(b, 10, y, p, n);
        for (int i = 0; i < 10; i++) {
            NEAR(b[i].mean_p, metrics_cases[k].mean_p[i]);
            NEAR(b[i].share_1, metrics_cases[k].share_1[i]);
        }
        NEAR(wr_calibration_error(b, 10), metrics_cases[k].ece);
    }
}

static void auc_is_the_share_of_ordered_pairs(void **state)
{
    (void)state;
    static uint8_t y[4000];
    static double p[4000];
    make(1, y, p);
    enum { N = 600 };
    double good = 0, pairs = 0, v;
    for (size_t i = 0; i < N; i++) {
        for (size_t j = 0; j < N; j++) {
            if (!y[i] || y[j]) continue;
            pairs++;
            good += p[i] > p[j] ? 1 : p[i] == p[j] ? 0.5 : 0;
        }
    }
    assert_int_equal(wr_metric_auc(&v, y, p, N, NULL), 0);
    assert_true(v == good / pairs);
    for (size_t i = 0; i < N; i++) p[i] = p[i] == 0 ? -0.0 : -p[i]; /* the mirror image; -0 is 0 */
    double w;
    assert_int_equal(wr_metric_auc(&w, y, p, N, NULL), 0);
    NEAR(w, 1 - v);
}

static void one_class_and_no_rows(void **state)
{
    (void)state;
    const uint8_t ones[] = {1, 1, 1}, zeros[] = {0, 0, 0};
    const double p[] = {0.2, 0.5, 0.9};
    double v = 0;
    assert_int_equal(wr_metric_auc(&v, ones, p, 3, NULL), 0);
    assert_true(isnan(v));
    assert_int_equal(wr_metric_auc(&v, zeros, p, 3, NULL), 0);
    assert_true(isnan(v));
    assert_int_equal(wr_metric_average_precision(&v, ones, p, 3, NULL), 0);
    assert_true(v == 1);
    assert_int_equal(wr_metric_average_precision(&v, zeros, p, 3, NULL), 0);
    assert_true(v == 0);
    wr_confusion c;
    wr_metric_confusion(&c, zeros, p, 3, 0.95);
    assert_true(c.tn == 3 && wr_confusion_precision(&c) == 0 && wr_confusion_recall(&c) == 0 &&
                wr_confusion_f1(&c) == 0);
    wr_metric_confusion(&c, ones, p, 3, 0.5); /* at the threshold is 1 */
    assert_true(c.tp == 2 && c.fn == 1);
    size_t n;
    const wr_metric *all = wr_metrics(&n);
    for (size_t i = 0; i < n; i++) {
        v = 0;
        assert_int_equal(all[i].compute(&v, ones, p, 0, 0.5, NULL), 0);
        assert_true(isnan(v));
        assert_ptr_equal(wr_metric_find(all[i].name), &all[i]);
        assert_true(strlen(all[i].summary) > 0);
    }
    assert_null(wr_metric_find("acuracy"));
    assert_true(isnan(wr_metric_rmse(p, p, 0)) && isnan(wr_metric_mae(p, p, 0)));
}

static void missing_predictions(void **state)
{
    (void)state;
    const uint8_t y[] = {0, 1, 1};
    const double p[] = {0.2, NAN, 0.9};
    double v = 7;
    wr_err err = {0};
    assert_int_equal(wr_metric_auc(&v, y, p, 3, &err), WEIR_EINVAL);
    assert_non_null(strstr(err.msg, "row 1"));
    assert_int_equal(wr_metric_average_precision(&v, y, p, 3, &err), WEIR_EINVAL);
    assert_true(v == 7);
    assert_true(isnan(wr_metric_log_loss(y, p, 3)) && isnan(wr_metric_brier(y, p, 3)));
    wr_calibration_bin b[2];
    wr_metric_calibration(b, 2, y, p, 3);
    assert_true(b[0].n == 1 && b[1].n == 1);
    const double wild[] = {-3, 1e300, INFINITY};
    wr_metric_calibration(b, 2, y, wild, 3);
    assert_true(b[0].n == 1 && b[1].n == 2);
}

static void log_loss_is_clipped(void **state)
{
    (void)state;
    const uint8_t y[] = {0, 1};
    const double sure[] = {1, 0}, right[] = {0, 1};
    NEAR(wr_metric_log_loss(y, sure, 2), -log(0x1p-52));
    NEAR(wr_metric_log_loss(y, right, 2), -log(1 - 0x1p-52));
}

static void memory_runs_out(void **state)
{
    (void)state;
    const uint8_t y[] = {0, 1};
    const double p[] = {0.1, 0.8};
    double v;
    for (long nth = 1; nth <= 2; nth++) {
        wr_fault_arm(WR_FAULT_ALLOC, nth, false);
        assert_int_equal(wr_metric_auc(&v, y, p, 2, NULL), WEIR_ENOMEM);
        wr_fault_arm(WR_FAULT_ALLOC, nth, false);
        assert_int_equal(wr_metric_average_precision(&v, y, p, 2, NULL), WEIR_ENOMEM);
    }
    wr_fault_arm(WR_FAULT_ALLOC, 0, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scikit_values),
        cmocka_unit_test(auc_is_the_share_of_ordered_pairs),
        cmocka_unit_test(one_class_and_no_rows),
        cmocka_unit_test(missing_predictions),
        cmocka_unit_test(log_loss_is_clipped),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
