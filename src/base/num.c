/* SPDX-License-Identifier: Apache-2.0 */
/* num.c - numbers from text and to text. The program never calls setlocale(), so strtod and printf use '.' everywhere.
 */
#include "base/num.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static int bad(wr_err *err, int code, wr_str s, const char *what)
{
    return wr_err_set(err, code, "'%.*s' is %s", WR_STR_FMT(wr_str_fit(s, 80)), what);
}

static bool digit(char c) { return c >= '0' && c <= '9'; }
static bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

int wr_num_i64(int64_t *out, wr_str s, wr_err *err)
{
    bool minus = s.n && *s.p == '-';
    size_t i = s.n && (minus || *s.p == '+');
    if (i == s.n) return bad(err, WEIR_EPARSE, s, "not a whole number");
    int64_t v = 0;
    bool over = false;
    for (; i < s.n; i++) {
        if (!digit(s.p[i])) return bad(err, WEIR_EPARSE, s, "not a whole number");
        int d = s.p[i] - '0';
        over = over || __builtin_mul_overflow(v, 10, &v) ||
               __builtin_sub_overflow(v, d, &v); /* negative: has room for -2^63 */
    }
    if (over || (!minus && v == INT64_MIN)) return bad(err, WEIR_EINVAL, s, "too large for a 64-bit whole number");
    *out = minus ? v : -v;
    return 0;
}

/* ---- floating point ---- */

/* What a decimal text says: digits * 10^exp10, as long as `exact`. */
typedef struct {
    bool minus, exact;
    uint64_t digits;
    int exp10;
} decimal;

static bool scan_digits(decimal *d, wr_str s, size_t *i, bool after_point)
{
    size_t start = *i;
    for (; *i < s.n && digit(s.p[*i]); ++*i) {
        if (d->digits >= UINT64_MAX / 10 - 1) {
            d->exact = false;
            continue;
        }
        d->digits = d->digits * 10 + (uint64_t)(s.p[*i] - '0');
        d->exp10 -= after_point;
    }
    return *i > start;
}

static bool scan_exponent(decimal *d, wr_str s, size_t *i)
{
    if (*i == s.n || (s.p[*i] != 'e' && s.p[*i] != 'E')) return true;
    ++*i;
    bool minus = *i < s.n && s.p[*i] == '-';
    if (*i < s.n && (minus || s.p[*i] == '+')) ++*i;
    int e = 0;
    size_t start = *i;
    for (; *i < s.n && digit(s.p[*i]); ++*i) {
        if (e < 100000) e = e * 10 + (s.p[*i] - '0');
    }
    d->exp10 += minus ? -e : e;
    return *i > start;
}

/* The grammar: [+-] digits [. digits] [e [+-] digits], digits on at least one side of the point; nothing else. */
static bool scan(decimal *d, wr_str s)
{
    *d = (decimal){.exact = true, .minus = s.n && *s.p == '-'};
    size_t i = s.n && (d->minus || *s.p == '+');
    bool some = scan_digits(d, s, &i, false);
    if (i < s.n && s.p[i] == '.') {
        i++;
        some |= scan_digits(d, s, &i, true);
    }
    return some && scan_exponent(d, s, &i) && i == s.n;
}

/* Clinger's fast path: both factors are exact doubles, so one rounding gives the nearest double. */
static bool quick(double *out, const decimal *d)
{
    static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (!d->exact || d->digits > (uint64_t)1 << 53 || d->exp10 < -22 || d->exp10 > 22) return false;
    double v = (double)d->digits;
    v = d->exp10 < 0 ? v / tens[-d->exp10] : v * tens[d->exp10];
    *out = d->minus ? -v : v;
    return true;
}

static bool special(double *out, wr_str s)
{
    bool minus = s.n && *s.p == '-';
    wr_str word = wr_str_sub(s, s.n && (minus || *s.p == '+'), s.n);
    if (wr_str_ieq(word, "nan")) {
        *out = NAN;
    } else if (wr_str_ieq(word, "inf") || wr_str_ieq(word, "infinity")) {
        *out = minus ? -INFINITY : INFINITY;
    } else {
        return false;
    }
    return true;
}

int wr_num_f64(double *out, wr_str s, wr_err *err)
{
    decimal d;
    char text[1024]; /* strtod wants a NUL; 768 digits decide every double */
    if (!scan(&d, s)) return special(out, s) ? 0 : bad(err, WEIR_EPARSE, s, "not a number");
    if (quick(out, &d)) return 0;
    if (s.n >= sizeof text) return bad(err, WEIR_EINVAL, s, "a number with too many digits");
    memcpy(text, s.p, s.n);
    text[s.n] = 0;
    double v = strtod(text, NULL);
    if (isinf(v)) return bad(err, WEIR_EINVAL, s, "too large for a 64-bit number");
    *out = v;
    return 0;
}

/* Whole numbers below 1e15 need no search. -0 is left to printf, which keeps its sign. */
static size_t whole_text(char *out, double v)
{
    char digits[20];
    size_t n = 0, k = 0;
    uint64_t left = (uint64_t)fabs(v);
    do digits[n++] = (char)('0' + left % 10);
    while (left /= 10);
    if (v < 0) out[k++] = '-';
    while (n) out[k++] = digits[--n];
    out[k] = 0;
    return k;
}

size_t wr_f64_text(char out[32], double v)
{
    if (isnan(v)) return (size_t)snprintf(out, 32, "nan");
    if (isinf(v)) return (size_t)snprintf(out, 32, v < 0 ? "-inf" : "inf");
    if (fabs(v) < 1e15 && v == trunc(v) && (v != 0 || !signbit(v))) return whole_text(out, v);
    /* %g drops trailing zeros, so 15 digits find every shorter text too; not so for subnormals, which have fewer digits
     */
    int n = 0;
    for (int digits = fabs(v) < DBL_MIN ? 1 : 15; digits <= 17; digits++) {
        n = snprintf(out, 32, "%.*g", digits, v);
        if (strtod(out, NULL) == v) break;
    }
    return (size_t)n;
}

/* ---- quantities: a number and a unit ---- */

typedef struct {
    const char *name;
    int64_t factor;
} unit;

/* The letters at the end are the unit; "1e3" ends in a digit and has none. `factor` gets 0 when it is not known. */
static wr_str split_unit(wr_str s, const unit *units, size_t n, int64_t *factor)
{
    size_t at = s.n;
    while (at > 0 && letter(s.p[at - 1])) at--;
    wr_str name = wr_str_sub(s, at, s.n);
    *factor = 0;
    for (size_t i = 0; i < n; i++) {
        if (wr_str_is(name, units[i].name)) *factor = units[i].factor;
    }
    return wr_str_sub(s, 0, at);
}

/* number * factor, exact for whole numbers; fractions are rounded to the nearest whole. Negative is not a quantity. */
static int scale(int64_t *out, wr_str whole, wr_str number, int64_t factor, const char *what, wr_err *err)
{
    int64_t v;
    double f = 0;
    if (!factor || wr_num_f64(&f, number, NULL) < 0 || isnan(f)) return bad(err, WEIR_EPARSE, whole, what);
    if (signbit(f)) return bad(err, WEIR_EINVAL, whole, "negative");
    if (wr_num_i64(&v, number, NULL) == 0) {
        if (!__builtin_mul_overflow(v, factor, out)) return 0;
    } else if (f * (double)factor < 0x1p63) {
        *out = (int64_t)round(f * (double)factor);
        return 0;
    }
    return bad(err, WEIR_EINVAL, whole, "too large");
}

int wr_num_duration_us(int64_t *out, wr_str s, wr_err *err)
{
    static const unit units[] = {
        {"", 1000000},     {"us", 1},         {"ms", 1000},       {"s", 1000000},      {"m", 60000000},
        {"min", 60000000}, {"h", 3600000000}, {"d", 86400000000}, {"w", 604800000000},
    };
    int64_t factor, v = 0;
    wr_str number = split_unit(s, units, sizeof units / sizeof *units, &factor);
    int rc = scale(&v, s, number, factor, "not a duration", err);
    if (rc == WEIR_EPARSE) wr_err_hint(err, rc, "write a number and us, ms, s, m, h, d or w, as in 90s or 1.5h");
    if (rc == 0) *out = v;
    return rc;
}

int wr_num_size(uint64_t *out, wr_str s, wr_err *err)
{
    /* as in Kubernetes: k, M, G are powers of 1000; Ki, Mi, Gi of 1024; case does not matter, nor does a B at the end
     */
    static const unit units[] = {
        {"", 1},
        {"k", 1000},
        {"ki", 1 << 10},
        {"m", 1000000},
        {"mi", 1 << 20},
        {"g", 1000000000},
        {"gi", 1 << 30},
        {"t", 1000000000000},
        {"ti", (int64_t)1 << 40},
        {"p", 1000000000000000},
        {"pi", (int64_t)1 << 50},
    };
    char text[64];
    size_t n = s.n < sizeof text ? s.n : 0;
    for (size_t i = 0; i < n; i++) text[i] = (char)(letter(s.p[i]) ? s.p[i] | 0x20 : s.p[i]);
    if (n && text[n - 1] == 'b') n--;
    int64_t factor, v = 0;
    wr_str number = split_unit((wr_str){text, n}, units, sizeof units / sizeof *units, &factor);
    int rc = scale(&v, s, number, factor, "not a size", err);
    if (rc == WEIR_EPARSE) wr_err_hint(err, rc, "write a number of bytes, or a number and kB, MB, GB, KiB, MiB or GiB");
    if (rc == 0) *out = (uint64_t)v;
    return rc;
}

/* ---- human forms ---- */

/* Divides v by `step` while one decimal would show `step` or more ("1000.0"); returns how often, at most `most`. */
static int reduce(double *v, double step, int most)
{
    int k = 0;
    while (k < most && fabs(*v) >= step - 0.05) *v /= step, k++;
    return k;
}

char *wr_fmt_bytes(char *out, double bytes)
{
    static const char *const names[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double v = fabs(bytes) < 1000 ? round(bytes) : bytes;
    int k = reduce(&v, 1000, 6);
    if (fabs(v) >= 1e6 || isnan(v)) {
        snprintf(out, WR_NUM_TEXT, "%.3g %s", v, names[k]);
    } else {
        snprintf(out, WR_NUM_TEXT, k ? "%.1f %s" : "%.0f %s", v, names[k]);
    }
    return out;
}

char *wr_fmt_count(char *out, double n)
{
    if (!(fabs(n) < 1e18)) { /* NaN too */
        snprintf(out, WR_NUM_TEXT, "%.3g", n);
        return out;
    }
    char digits[24];
    int64_t v = llround(n);
    int len = snprintf(digits, sizeof digits, "%lld", v < 0 ? -(long long)v : (long long)v), k = 0;
    if (v < 0) out[k++] = '-';
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0) out[k++] = ',';
        out[k++] = digits[i];
    }
    out[k] = 0;
    return out;
}

/* Two neighbouring units, the lower one only if it is not zero: "3 min 12 s", "2 h", "1 d 4 h". */
static void two_units(char *out, double s)
{
    static const struct {
        int64_t from; /* what the row below would round up to a whole of this unit begins here */
        int64_t seconds, lower_seconds;
        const char *name, *lower;
    } units[] = {{86370, 86400, 3600, "d", "h"}, {3600, 3600, 60, "h", "min"}, {0, 60, 1, "min", "s"}};
    int64_t v = llround(s);
    for (size_t i = 0; i < 3; i++) {
        if (v < units[i].from) continue;
        int64_t lower = (v + units[i].lower_seconds / 2) / units[i].lower_seconds;
        int64_t ratio = units[i].seconds / units[i].lower_seconds;
        int n = snprintf(out, WR_NUM_TEXT, "%lld %s", (long long)(lower / ratio), units[i].name);
        if (lower % ratio == 0) return;
        snprintf(out + n, (size_t)(WR_NUM_TEXT - n), " %lld %s", (long long)(lower % ratio), units[i].lower);
        return;
    }
}

char *wr_fmt_seconds(char *out, double s)
{
    static const char *const names[] = {"ns", "us", "ms", "s"};
    if (!(fabs(s) < 1e12)) { /* NaN too */
        snprintf(out, WR_NUM_TEXT, "%.3g s", s);
    } else if (fabs(s) < 59.95) {
        double v = s * 1e9;
        int k = reduce(&v, 1000, 3);
        snprintf(out, WR_NUM_TEXT, k == 0 || (k < 3 && fabs(v) >= 9.95) ? "%.0f %s" : "%.1f %s", v, names[k]);
    } else if (s < 0) {
        out[0] = '-';
        char text[WR_NUM_TEXT];
        two_units(text, -s);
        snprintf(out + 1, WR_NUM_TEXT - 1, "%.*s", WR_NUM_TEXT - 2, text);
    } else {
        two_units(out, s);
    }
    return out;
}

char *wr_fmt_si(char *out, double v, const char *unit_name)
{
    static const char *const prefixes[] = {"n", "u", "m", "", "k", "M", "G", "T", "P"};
    if (v == 0) {
        snprintf(out, WR_NUM_TEXT, "0 %s", unit_name);
        return out;
    }
    double scaled = v * 1e9;
    int k = reduce(&scaled, 1000, 8);
    snprintf(out, WR_NUM_TEXT, fabs(scaled) < 1e6 ? "%.1f %s%s" : "%.3g %s%s", scaled, prefixes[k], unit_name);
    return out;
}
