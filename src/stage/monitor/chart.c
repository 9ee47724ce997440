/* SPDX-License-Identifier: Apache-2.0 */
/* chart.c - axes, lines, marks. Coordinates are pixels of a 960 wide picture that scales with the page. */
#include "stage/monitor/chart.h"

#include <math.h>
#include <stdio.h>

#include "base/clock.h"

enum { WIDTH = 960, LEFT = 52, RIGHT = 148, TOP = 30, BOTTOM = 26, LABEL_GAP = 15, DOTS_UP_TO = 45 };

typedef struct {
    wr_buf *b;
    const wr_chart *c;
    double lo, hi, step; /* values at the bottom, at the top, from line to line */
    int64_t t0, t1;
} plot;

void wr_html_text(wr_buf *out, const char *s)
{
    static const char fffd[] = "\xEF\xBF\xBD";
    while (*s) {
        size_t n = 1;
        while (n < 4 && !wr_str_utf8((wr_str){s, n}) && s[n]) n++; /* a character's bytes, or one that is none */
        bool whole = wr_str_utf8((wr_str){s, n});
        if (!whole) n = 1;
        if (!whole || ((unsigned char)*s < 0x20 && *s != '\n' && *s != '\t') || *s == 0x7F) wr_buf_str(out, fffd);
        else if (*s == '&') wr_buf_str(out, "&amp;");
        else if (*s == '<') wr_buf_str(out, "&lt;");
        else if (*s == '>') wr_buf_str(out, "&gt;");
        else if (*s == '"') wr_buf_str(out, "&quot;");
        else wr_buf_add(out, s, n);
        s += n;
    }
}

void wr_chart_day(char out[32], int64_t us)
{
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    wr_civil c;
    wr_time_civil(&c, us);
    if (us % WR_DAY_US == 0) snprintf(out, 32, "%d %s", c.day, months[c.month - 1]);
    else snprintf(out, 32, "%d %s %02d:%02d", c.day, months[c.month - 1], c.hour, c.minute);
}

static double x_of(const plot *p, int64_t t)
{
    double span = (double)p->t1 - (double)p->t0;
    double share = span > 0 ? ((double)t - (double)p->t0) / span : 0.5;
    return LEFT + share * (WIDTH - LEFT - RIGHT);
}

static double y_of(const plot *p, double v)
{
    double share = (v - p->lo) / (p->hi - p->lo);
    return TOP + (1 - share) * p->c->height;
}

/* 1, 2 or 5 times a power of ten: the smallest that cuts `span` into at most `most` steps. */
static double nice_step(double span, int most)
{
    double raw = span / most, power = pow(10, floor(log10(raw)));
    for (int i = 0; i < 3; i++)
        if (power * (double[]){1, 2, 5}[i] >= raw * 0.9999) return power * (double[]){1, 2, 5}[i];
    return power * 10;
}

static void find_range(plot *p)
{
    const wr_chart *c = p->c;
    double lo = INFINITY, hi = -INFINITY;
    for (size_t l = 0; l < c->nlines; l++)
        for (size_t i = 0; i < c->n; i++) {
            if (!isfinite(c->lines[l].v[i])) continue;
            lo = fmin(lo, c->lines[l].v[i]);
            hi = fmax(hi, c->lines[l].v[i]);
        }
    if (c->has_bound) lo = fmin(lo, c->bound), hi = fmax(hi, c->bound);
    if (!isfinite(lo) || !isfinite(hi)) lo = 0, hi = 1;
    if (c->from_zero) lo = fmin(lo, 0);
    if (hi - lo < 1e-9 * fmax(fabs(hi), 1e-3))
        lo -= c->from_zero ? 0 : 0.01 * fmax(fabs(lo), 0.1), hi += 0.01 * fmax(fabs(hi), 0.1);
    double step = p->step = nice_step(hi - lo, 5);
    p->lo = floor(lo / step + 1e-9) * step;
    p->hi = ceil(hi / step - 1e-9) * step;
    if (p->hi - p->lo < step) p->hi = p->lo + step;
}

static void number(wr_buf *b, const wr_chart *c, double v)
{
    if (!c->percent) wr_buf_printf(b, "%.4g", fabs(v) < 1e-12 ? 0 : v);
    else wr_buf_printf(b, "%.3g %%", fabs(v) < 1e-12 ? 0 : 100 * v);
}

static void value_axis(const plot *p)
{
    double step = p->step;
    for (int i = 0; i <= 12; i++) {
        double v = p->lo + i * step, y = y_of(p, v);
        if (v > p->hi + step * 0.01) break;
        wr_buf_printf(p->b,
                      "<line class=grid x1=%d x2=%d y1=%.1f y2=%.1f /><text class=tick text-anchor=end x=%d y=%.1f>",
                      LEFT, WIDTH - RIGHT, y, y, LEFT - 8, y + 4);
        number(p->b, p->c, v);
        wr_buf_str(p->b, "</text>");
    }
}

static void time_axis(const plot *p)
{
    static const int days[] = {1, 2, 7, 14, 28, 91, 182, 364, 728, 3640, 36400};
    char text[32];
    int64_t span = p->t1 - p->t0, step = WR_DAY_US;
    for (size_t i = 0; i < sizeof days / sizeof *days && span / step > 12; i++) step = days[i] * WR_DAY_US;
    if (span / step > 100) return;
    if (span < 2 * WR_DAY_US) step = span > 3 ? span / 3 : 1;
    for (int64_t t = p->t0; t <= p->t1; t += step) {
        wr_chart_day(text, t);
        wr_buf_printf(p->b, "<text class=tick text-anchor=middle x=%.1f y=%d>%s</text>", x_of(p, t),
                      TOP + p->c->height + 18, text);
    }
}

static void line_path(const plot *p, const wr_chart_line *l)
{
    bool down = false;
    wr_buf_printf(p->b, "<path class=\"line s%d\" d=\"", l->color);
    for (size_t i = 0; i < p->c->n; i++) {
        bool there = isfinite(l->v[i]);
        if (there) wr_buf_printf(p->b, "%c%.1f %.1f", down ? 'L' : 'M', x_of(p, p->c->t[i]), y_of(p, l->v[i]));
        down = there;
    }
    wr_buf_str(p->b, "\"/>");
    for (size_t i = 0; p->c->n <= DOTS_UP_TO && i < p->c->n; i++) {
        char day[32];
        if (!isfinite(l->v[i])) continue;
        wr_chart_day(day, p->c->t[i]);
        wr_buf_printf(p->b, "<circle class=d%d cx=%.1f cy=%.1f r=3><title>", l->color, x_of(p, p->c->t[i]),
                      y_of(p, l->v[i]));
        wr_html_text(p->b, l->name);
        wr_buf_printf(p->b, ", %s: ", day);
        number(p->b, p->c, l->v[i]);
        wr_buf_str(p->b, "</title></circle>");
    }
}

/* Names at the lines' right ends, pushed apart from the top down. */
static void names(const plot *p)
{
    const wr_chart *c = p->c;
    double y[WR_CHART_LINES], x[WR_CHART_LINES];
    size_t order[WR_CHART_LINES], n = 0;
    for (size_t l = 0; l < c->nlines && l < WR_CHART_LINES; l++) {
        size_t last = c->n;
        while (last > 0 && !isfinite(c->lines[l].v[last - 1])) last--;
        if (!last) continue;
        y[l] = y_of(p, c->lines[l].v[last - 1]);
        x[l] = x_of(p, c->t[last - 1]);
        size_t at = n++;
        for (; at > 0 && y[order[at - 1]] > y[l]; at--) order[at] = order[at - 1];
        order[at] = l;
    }
    double before = -INFINITY, most = TOP + c->height - (double)LABEL_GAP * ((double)n - 1) + 4;
    for (size_t i = 0; i < n; i++, most += LABEL_GAP) {
        double at = fmin(fmax(y[order[i]], before + LABEL_GAP), most);
        wr_buf_printf(p->b, "<text class=\"name n%d\" x=%.1f y=%.1f>", c->lines[order[i]].color,
                      fmax(x[order[i]], WIDTH - RIGHT) + 10, at + 4);
        wr_html_text(p->b, c->lines[order[i]].name);
        wr_buf_str(p->b, "</text>");
        before = at;
    }
}

static void marks(const plot *p)
{
    double before = -INFINITY;
    for (size_t i = 0; i < p->c->nmarks; i++) {
        const wr_chart_mark *m = &p->c->marks[i];
        double x = x_of(p, m->t < p->t0 ? p->t0 : m->t > p->t1 ? p->t1 : m->t);
        wr_buf_printf(p->b, "<line class=mark x1=%.1f x2=%.1f y1=%d y2=%d />", x, x, TOP, TOP + p->c->height);
        double at = fmax(x, before + 18);
        wr_buf_printf(
            p->b, "<circle class=badge cx=%.1f cy=%d r=8 /><text class=badge text-anchor=middle x=%.1f y=%d>%d</text>",
            at, TOP - 10, at, TOP - 6, m->number);
        before = at;
    }
}

void wr_chart_svg(wr_buf *out, const wr_chart *c)
{
    plot p = {.b = out, .c = c};
    if (!c->n) return;
    p.t0 = c->t[0];
    p.t1 = c->t[c->n - 1];
    find_range(&p);
    wr_buf_str(out, "<figure><figcaption><b>");
    wr_html_text(out, c->title);
    wr_buf_str(out, "</b> ");
    wr_html_text(out, c->note);
    wr_buf_printf(out, "</figcaption><svg viewBox=\"0 0 %d %d\" role=img aria-label=\"", WIDTH,
                  TOP + c->height + BOTTOM);
    wr_html_text(out, c->title);
    wr_buf_str(out, "\">");
    value_axis(&p);
    time_axis(&p);
    if (c->has_bound) {
        double y = y_of(&p, c->bound);
        wr_buf_printf(out, "<line class=bound x1=%d x2=%d y1=%.1f y2=%.1f /><text class=bound x=%d y=%.1f>", LEFT,
                      WIDTH - RIGHT, y, y, LEFT + 6, y - 5);
        wr_html_text(out, c->bound_name);
        wr_buf_str(out, "</text>");
    }
    for (size_t l = 0; l < c->nlines; l++) line_path(&p, &c->lines[l]);
    names(&p);
    marks(&p);
    wr_buf_str(out, "</svg></figure>\n");
}
