/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c - clocks, and civil time by the days-from-civil algorithm (H. Hinnant, "chrono-Compatible Low-Level Date
 * Algorithms"): years begin in March, so that the leap day is the last of its year, and repeat every 400 years (146097
 * days). */
#include "base/clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <time.h>

static int64_t now_ns(clockid_t id)
{
    struct timespec t;
    WR_BUG_IF(clock_gettime(id, &t) != 0);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t wr_clock_wall_us(void) { return now_ns(CLOCK_REALTIME) / 1000; }
int64_t wr_clock_mono_ns(void) { return now_ns(CLOCK_MONOTONIC); }
double wr_clock_cpu_s(void) { return (double)now_ns(CLOCK_PROCESS_CPUTIME_ID) * 1e-9; }

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }
static int64_t floor_mod(int64_t a, int64_t b) { return a % b + (a % b < 0 ? b : 0); }

static int64_t days_from_civil(int64_t y, int64_t m, int64_t d)
{
    y -= m <= 2;
    int64_t era = floor_div(y, 400), yoe = y - era * 400;                 /* [0, 399] */
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;         /* from 1 March */
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468; /* 0000-03-01 to 1970-01-01 */
}

static void civil_from_days(wr_civil *c, int64_t days)
{
    int64_t z = days + 719468, era = floor_div(z, 146097), doe = z - era * 146097; /* [0, 146096] */
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;           /* [0, 399] */
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);                         /* [0, 365] */
    int64_t mp = (5 * doy + 2) / 153;                                              /* [0, 11], March = 0 */
    c->day = (int)(doy - (153 * mp + 2) / 5 + 1);
    c->month = (int)(mp < 10 ? mp + 3 : mp - 9);
    int64_t year = yoe + era * 400 + (c->month <= 2);
    c->year = (int)year;
    c->weekday = (int)(days + 3 - floor_div(days + 3, 7) * 7); /* 1970-01-01 was a Thursday */
    c->yearday = (int)(days - days_from_civil(year, 1, 1));
}

void wr_time_civil(wr_civil *out, int64_t us)
{
    int64_t days = floor_div(us, WR_DAY_US);
    int second = (int)(floor_mod(us, WR_DAY_US) / WR_US);
    *out = (wr_civil){.hour = second / 3600, .minute = second / 60 % 60, .second = second % 60};
    civil_from_days(out, days);
}

int64_t wr_time_from_civil(int year, int month, int day)
{
    int64_t carry = floor_div((int64_t)month - 1, 12);
    int64_t days = days_from_civil(year + carry, month - carry * 12, day), us;
    if (__builtin_mul_overflow(days, WR_DAY_US, &us)) return days < 0 ? INT64_MIN : INT64_MAX;
    return us;
}

/* ---- parsing ---- */

/* Exactly `digits` digits off the front of *s. */
static bool take_int(wr_str *s, size_t digits, int *out)
{
    if (s->n < digits) return false;
    int v = 0;
    for (size_t i = 0; i < digits; i++) {
        char c = s->p[i];
        if (c < '0' || c > '9') return false;
        v = v * 10 + (c - '0');
    }
    *out = v;
    *s = wr_str_sub(*s, digits, s->n);
    return true;
}

static bool take_char(wr_str *s, char c)
{
    if (s->n == 0 || *s->p != c) return false;
    *s = wr_str_sub(*s, 1, s->n);
    return true;
}

/* ".250": 1 to 9 digits; what is below a microsecond is cut off. */
static bool take_fraction(wr_str *s, int64_t *us)
{
    int digit, digits = 0;
    int64_t v = 0;
    while (take_int(s, 1, &digit)) {
        if (digits++ < 6) v = v * 10 + digit;
    }
    for (int i = digits; i < 6; i++) v *= 10;
    *us += v;
    return digits >= 1 && digits <= 9;
}

static bool take_date(wr_str *s, int64_t *us)
{
    static const unsigned char lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int y, m, d;
    bool read =
        take_int(s, 4, &y) && take_char(s, '-') && take_int(s, 2, &m) && take_char(s, '-') && take_int(s, 2, &d);
    if (!read || m < 1 || m > 12) return false;
    bool leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
    *us = wr_time_from_civil(y, m, d);
    return d >= 1 && d <= lengths[m - 1] + (m == 2 && leap);
}

static bool take_clock(wr_str *s, int64_t *us)
{
    int h, m, sec = 0;
    if (!take_int(s, 2, &h) || !take_char(s, ':') || !take_int(s, 2, &m)) return false;
    if (take_char(s, ':')) {
        if (!take_int(s, 2, &sec)) return false;
        if (take_char(s, '.') && !take_fraction(s, us)) return false;
    }
    *us += (int64_t)(h * 3600 + m * 60 + sec) * WR_US;
    return h < 24 && m < 60 && sec < 60;
}

/* "Z", "+02:00", "-05:30" or nothing. */
static bool take_zone(wr_str *s, int64_t *us)
{
    if (s->n == 0 || take_char(s, 'Z')) return true;
    bool east = *s->p == '+';
    int h, m;
    if (!take_char(s, '+') && !take_char(s, '-')) return false;
    if (!take_int(s, 2, &h) || !take_char(s, ':') || !take_int(s, 2, &m)) return false;
    *us += (int64_t)(h * 60 + m) * 60 * (east ? -WR_US : WR_US);
    return h < 24 && m < 60;
}

int wr_time_parse(int64_t *out_us, wr_str s, wr_err *err)
{
    wr_str rest = s;
    int64_t us = 0;
    bool ok = take_date(&rest, &us);
    if (ok && rest.n) {
        ok = (take_char(&rest, 'T') || take_char(&rest, ' ')) && take_clock(&rest, &us) && take_zone(&rest, &us);
    }
    if (ok && rest.n == 0) {
        *out_us = us;
        return 0;
    }
    wr_err_set(err, WEIR_EPARSE, "'%.*s' is not a time", WR_STR_FMT(wr_str_fit(s, 80)));
    return wr_err_hint(err, WEIR_EPARSE, "write it as 2001-06-14, 2001-06-14 13:05 or 2001-06-14T13:05:07.250+02:00");
}

/* ---- text ---- */

void wr_time_format(char *out, int64_t us)
{
    wr_civil c;
    wr_time_civil(&c, us);
    int64_t fraction = floor_mod(us, WR_US);
    int n = snprintf(out, WR_TIME_TEXT, c.year >= 0 && c.year <= 9999 ? "%04d" : "%+07d", c.year);
    n += snprintf(out + n, (size_t)(WR_TIME_TEXT - n), "-%02d-%02dT%02d:%02d:%02d", c.month, c.day, c.hour, c.minute,
                  c.second);
    if (fraction % 1000 != 0) {
        n += snprintf(out + n, (size_t)(WR_TIME_TEXT - n), ".%06d", (int)fraction);
    } else if (fraction != 0) {
        n += snprintf(out + n, (size_t)(WR_TIME_TEXT - n), ".%03d", (int)(fraction / 1000));
    }
    snprintf(out + n, (size_t)(WR_TIME_TEXT - n), "Z");
}
