/* SPDX-License-Identifier: Apache-2.0 */
/* profile_html.c - the profile as one HTML page: a card a column, histograms as inline SVG, no script, nothing fetched.
 */
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/num.h"
#include "stage/data/profile_report.h"

enum { CARD = 5000 /* bytes a card takes at most */, WIDTH = 320, HEIGHT = 72, SHOWN = 40 /* bytes of a value */ };

static const char *const head =
    "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">"
    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<style>\n"
    ":root{color-scheme:light dark;--ink:#1c2126;--soft:#66707a;--line:#d9dee3;--bar:#2f6f9f;--paper:#fff}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6e9ec;--soft:#98a2ab;--line:#363d44;--bar:#6fb1e0;--paper:#15191d}"
    "}\n"
    "body{font:14px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:2rem "
    "auto;max-width:72rem;"
    "padding:0 1rem}\nh1{font-size:1.5rem;margin:0}h2{font-size:1rem;margin:0}p,.t{color:var(--soft);margin:.2rem 0}\n"
    "main{display:grid;grid-template-columns:repeat(auto-fill,minmax(22rem,1fr));gap:1rem;margin-top:1.2rem}\n"
    "section{border:1px solid var(--line);border-radius:6px;padding:.8rem 1rem;overflow:hidden}\n"
    "svg{display:block;width:100%;height:auto;margin:.4rem "
    "0}rect{fill:var(--bar)}text{fill:var(--soft);font-size:10px}\n"
    "table{border-collapse:collapse;width:100%}td{padding:1px 0;font-variant-numeric:tabular-nums}"
    "td+td{text-align:right}\n.w "
    "td:first-child{max-width:12rem;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}\n"
    "</style>\n";

static void escaped(wr_buf *b, wr_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        switch (s.p[i]) {
        case '<':
            wr_buf_str(b, "&lt;");
            break;
        case '>':
            wr_buf_str(b, "&gt;");
            break;
        case '&':
            wr_buf_str(b, "&amp;");
            break;
        case '"':
            wr_buf_str(b, "&quot;");
            break;
        default:
            wr_buf_char(b, (unsigned char)s.p[i] < 0x20 ? ' ' : s.p[i]);
        }
    }
}

static void bars(wr_buf *b, const wr_profile *p)
{
    size_t most = 1;
    double step = (double)WIDTH / WR_PROFILE_BINS;
    char lo[WR_PROFILE_TEXT], hi[WR_PROFILE_TEXT];
    for (size_t i = 0; i < WR_PROFILE_BINS; i++)
        if (p->hist[i] > most) most = p->hist[i];
    wr_buf_printf(b, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"histogram\">", WIDTH, HEIGHT + 14);
    for (size_t i = 0; i < WR_PROFILE_BINS; i++) {
        double h = (double)p->hist[i] / (double)most * HEIGHT;
        if (p->hist[i])
            wr_buf_printf(b, "<rect x=\"%.4g\" y=\"%.4g\" width=\"%.4g\" height=\"%.3g\"/>", (double)i * step,
                          HEIGHT - h, step - 1.5, h);
    }
    wr_buf_printf(b, "<text x=\"0\" y=\"%d\">%s</text><text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text></svg>\n",
                  HEIGHT + 11, wr_profile_text(lo, p, p->hist_lo), WIDTH, HEIGHT + 11,
                  wr_profile_text(hi, p, p->hist_hi));
}

static void row(wr_buf *b, const wr_profile *p, const char *label, double v)
{
    char text[WR_PROFILE_TEXT];
    wr_buf_printf(b, "<tr><td>%s<td>%s", label, wr_profile_text(text, p, v));
}

static void numbers(wr_buf *b, const wr_profile *p)
{
    wr_profile plain = {.type = WR_F64};
    if (!isnan(p->hist_lo)) bars(b, p);
    wr_buf_str(b, "<table>");
    row(b, p, "minimum", p->min);
    row(b, p, "1 %", p->quantile[1]);
    row(b, p, "median", p->quantile[4]);
    row(b, p, "mean", p->mean);
    row(b, p, "99 %", p->quantile[7]);
    row(b, p, "maximum", p->max);
    if (p->type != WR_TS) row(b, &plain, "standard deviation", p->std);
    if (p->zeros) row(b, &plain, "zeros", (double)p->zeros);
    if (p->negatives && p->type != WR_TS) row(b, &plain, "negative", (double)p->negatives);
    if (p->infinite) row(b, &plain, "infinite", (double)p->infinite);
    wr_buf_str(b, "</table>");
}

static void words(wr_buf *b, const wr_profile *p)
{
    size_t present = p->rows - p->missing;
    wr_buf_str(b, "<table class=\"w\">");
    for (size_t i = 0; i < p->ntop; i++) {
        double share = present ? (double)p->top[i].n / (double)present : 0;
        wr_buf_str(b, "<tr><td>");
        escaped(b, wr_str_fit(p->top[i].value, SHOWN));
        wr_buf_printf(
            b,
            "<td><svg viewBox=\"0 0 100 10\" style=\"width:6rem;display:inline-block;margin:0\"><rect width=\"%.3g\" "
            "height=\"10\"/></svg> %.3g %%",
            share * 100, share * 100);
    }
    wr_buf_str(b, "</table>");
    if (p->ntop) wr_buf_printf(b, "<p>%zu to %zu characters, mean %.3g</p>", p->len_min, p->len_max, p->len_mean);
}

static void card(wr_buf *b, const wr_profile *p)
{
    char distinct[WR_NUM_TEXT];
    wr_buf_str(b, "<section><h2>");
    escaped(b, wr_str_fit(wr_str_of(p->name), 200));
    wr_buf_printf(b, "</h2><div class=\"t\">%s, %s different", wr_type_name(p->type),
                  wr_fmt_count(distinct, (double)p->distinct));
    if (p->missing) wr_buf_printf(b, ", %.3g %% missing", p->rows ? 100.0 * (double)p->missing / (double)p->rows : 0);
    wr_buf_str(b, p->sorted && p->rows > 1 ? ", sorted</div>\n" : "</div>\n");
    if (p->type == WR_TEXT) words(b, p);
    else numbers(b, p);
    wr_buf_str(b, "</section>\n");
}

void wr_profile_html(wr_buf *b, const wr_profile_report *r)
{
    char rows[WR_NUM_TEXT], bytes[WR_NUM_TEXT], time[WR_TIME_TEXT];
    size_t i = 0;
    wr_time_format(time, r->timestamp_us);
    wr_buf_str(b, head);
    wr_buf_str(b, "<title>");
    escaped(b, wr_str_of(r->node.name));
    wr_buf_str(b, "</title>\n<h1>");
    escaped(b, wr_str_of(r->node.name));
    wr_buf_printf(b, " version %lld</h1>\n<p>%s rows, %zu columns, %s, written %s, content %.12s</p>\n<main>\n",
                  (long long)r->node.version, wr_fmt_count(rows, (double)r->rows), r->n + r->nskipped,
                  wr_fmt_bytes(bytes, (double)r->bytes), time, r->node.hash);
    for (; i < r->n && b->n + CARD < WR_PROFILE_PAGE; i++) card(b, &r->column[i]);
    wr_buf_str(b, "</main>\n");
    if (i < r->n) wr_buf_printf(b, "<p>and %zu columns more: see the JSON report</p>\n", r->n - i);
    wr_buf_str(b, "</html>\n");
}
