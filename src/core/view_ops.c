/* SPDX-License-Identifier: Apache-2.0 */
/* view_ops.c - the operations of feature views, and the list of them. */
#include "core/view_ops.h"

#include <math.h>

#include "base/clock.h"

/* ---- of a row ---- */

static void number(float *out, const double *x, size_t n)
{
    for (size_t i = 0; i < n; i++) out[i] = (float)x[i];
}

/* Microseconds since midnight, also before 1970. */
static int64_t of_day(int64_t time_us)
{
    int64_t rest = time_us % WR_DAY_US;
    return rest < 0 ? rest + WR_DAY_US : rest;
}

static void minute_of_day(float *out, const int64_t *time_us, size_t n)
{
    for (size_t i = 0; i < n; i++) out[i] = (float)(of_day(time_us[i]) / (60 * WR_US));
}

static void hour(float *out, const int64_t *time_us, size_t n)
{
    for (size_t i = 0; i < n; i++) out[i] = (float)(of_day(time_us[i]) / (3600 * WR_US));
}

static void weekday(float *out, const int64_t *time_us, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int64_t day = time_us[i] / WR_DAY_US - (time_us[i] % WR_DAY_US < 0);
        out[i] = (float)(((day + 3) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
    }
}

static void day_of_year(float *out, const int64_t *time_us, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        wr_civil c;
        wr_time_civil(&c, time_us[i]);
        out[i] = (float)(c.yearday + 1);
    }
}

static void month(float *out, const int64_t *time_us, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        wr_civil c;
        wr_time_civil(&c, time_us[i]);
        out[i] = (float)c.month;
    }
}

/* ---- of a window ---- */

static void mean(float *out, const double *sum, const uint32_t *count, size_t n)
{
    for (size_t i = 0; i < n; i++) out[i] = count[i] ? (float)(sum[i] / count[i]) : NAN;
}

static void sum_of(float *out, const double *sum, const uint32_t *count, size_t n)
{
    for (size_t i = 0; i < n; i++) out[i] = count[i] ? (float)sum[i] : NAN;
}

static void count_of(float *out, const double *sum, const uint32_t *count, size_t n)
{
    (void)sum;
    for (size_t i = 0; i < n; i++) out[i] = (float)count[i];
}

const wr_view_op wr_view_ops[] = {
    {"number", "the column as it is", WR_VIEW_NUMBER, .number = number},
    {"category", "the column's text, one of few", WR_VIEW_TEXT, .number = NULL},
    {"minute_of_day", "minutes since midnight, 0 to 1439", WR_VIEW_TIME, .time = minute_of_day},
    {"hour", "hour of the day, 0 to 23", WR_VIEW_TIME, .time = hour},
    {"weekday", "day of the week, Monday 0 to Sunday 6", WR_VIEW_TIME, .time = weekday},
    {"day_of_year", "day of the year, 1 to 366", WR_VIEW_TIME, .time = day_of_year},
    {"month", "month, 1 to 12", WR_VIEW_TIME, .time = month},
    {"mean", "mean of the window's values", WR_VIEW_WINDOW, .window = mean},
    {"sum", "sum of the window's values", WR_VIEW_WINDOW, .window = sum_of},
    {"count", "how many values (or events) the window has", WR_VIEW_WINDOW, .window = count_of, .every = true},
    {"share", "share of the window's events whose value is above", WR_VIEW_WINDOW, .window = mean, .flag = true},
};
const size_t wr_view_ops_count = sizeof wr_view_ops / sizeof *wr_view_ops;

const wr_view_op *wr_view_op_find(wr_str name)
{
    for (size_t i = 0; i < wr_view_ops_count; i++) {
        if (wr_str_is(name, wr_view_ops[i].name)) return &wr_view_ops[i];
    }
    return NULL;
}

ptrdiff_t wr_view_index(char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(names[i], name) == 0) return (ptrdiff_t)i;
    }
    return -1;
}

/* ---- of an event ---- */

double wr_view_value_of(const wr_view_value *value, double x)
{
    if (isnan(x)) return NAN;
    if (value->has_above) return x > value->above;
    if (value->has_clip) return x < value->clip_lo ? value->clip_lo : x > value->clip_hi ? value->clip_hi : x;
    return fabs(x) <= 9007199254740992.0 ? x : NAN; /* one larger would drown every other value of the running sums */
}

double wr_view_slot_value(const wr_view *v, int value, double x)
{
    return value < 0 ? 0 : wr_view_value_of(&v->values[value], x);
}
