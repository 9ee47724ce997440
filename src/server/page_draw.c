/* SPDX-License-Identifier: Apache-2.0 */
/* page_draw.c - what the sections of the status page are made of: text, times, tables, pictures. */
#include <stdio.h>

#include "base/clock.h"
#include "base/num.h"
#include "server/page.h"

void wr_page_text(wr_buf *b, wr_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '<') wr_buf_str(b, "&lt;");
        else if (s.p[i] == '&') wr_buf_str(b, "&amp;");
        else if (s.p[i] == '"') wr_buf_str(b, "&quot;");
        else wr_buf_char(b, s.p[i]);
    }
}

void wr_page_cstr(wr_buf *b, const char *s) { wr_page_text(b, wr_str_of(s)); }

/* Who looks at a status page wants neither the T of a time nor its microseconds. */
void wr_page_short_time(wr_buf *b, const char *t)
{
    if (strlen(t) < 19) wr_page_cstr(b, t);
    else wr_buf_printf(b, "%.10s %.8s", t, t + 11);
}

void wr_page_time(wr_buf *b, int64_t us)
{
    char text[WR_TIME_TEXT];
    wr_time_format(text, us);
    wr_page_short_time(b, text);
}

void wr_page_ago(wr_buf *b, int64_t now_us, int64_t us)
{
    static const struct {
        int64_t s;
        const char *unit;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    char text[WR_TIME_TEXT];
    int64_t s = now_us > us ? (now_us - us) / WR_US : 0;
    size_t u = 0;
    while (u < 3 && s < units[u].s) u++;
    wr_time_format(text, us);
    wr_buf_printf(b, "<time datetime=\"%s\" title=\"%.19s UTC\">", text, text);
    if (s == 0) wr_buf_str(b, "just now");
    else wr_buf_printf(b, "%lld %s ago", (long long)(s / units[u].s), units[u].unit);
    wr_buf_str(b, "</time>");
}

void wr_page_section(wr_buf *b, const char *id, const char *title)
{
    wr_buf_printf(b, "<section id=%s data-part aria-labelledby=%s-title><h2 id=%s-title>%s</h2>", id, id, id, title);
}

void wr_page_table(wr_buf *b, const char *label, const char *columns)
{
    wr_buf_printf(b, "<div class=scroll tabindex=0 role=region aria-label=\"%s\"><table><thead><tr>", label);
    while (*columns) {
        size_t n = strcspn(columns, "|");
        bool number = *columns == '#';
        wr_buf_printf(b, "<th scope=col%s>%.*s</th>", number ? " class=n" : "", (int)n - number, columns + number);
        columns += n + (columns[n] == '|');
    }
    wr_buf_str(b, "</tr></thead><tbody>\n");
}

void wr_page_table_end(wr_buf *b) { wr_buf_str(b, "</tbody></table></div>"); }

/* ---- pictures ---- */

enum { HIGH = 28, COLUMN = 4, WIDE = 1000 };

static void picture(wr_buf *b, const char *class, size_t wide, int high, const char *title)
{
    wr_buf_printf(b, "<svg class=%s viewBox=\"0 0 %zu %d\" preserveAspectRatio=none role=img aria-label=\"%s\">", class,
                  wide, high, title);
    wr_buf_printf(b, "<title>%s</title>", title);
}

static void rect(wr_buf *b, const char *class, double x, double y, double w, double h)
{
    wr_buf_printf(b, "<rect class=%s x=%.4g y=%.4g width=%.4g height=%.4g />", class, x, y, w, h);
}

void wr_page_bars(wr_buf *b, const char *title, const uint64_t *count, const uint64_t *bad, size_t n)
{
    uint64_t most = 1;
    for (size_t i = 0; i < n; i++)
        if (count[i] > most) most = count[i];
    picture(b, "bars", n * COLUMN, HIGH, title);
    rect(b, "base", 0, HIGH - 0.5, (double)(n * COLUMN), 0.5);
    for (size_t i = 0; i < n; i++) {
        if (!count[i]) continue;
        double h = HIGH * (double)count[i] / (double)most;
        if (h < 1) h = 1; /* one request in a million is seen */
        rect(b, "bar", (double)(i * COLUMN), HIGH - h, COLUMN - 1, h);
        if (!bad || !bad[i]) continue;
        double part = h * (double)bad[i] / (double)count[i];
        rect(b, "bad", (double)(i * COLUMN), HIGH - h, COLUMN - 1, part < 1 ? 1 : part);
    }
    wr_buf_str(b, "</svg>");
}

void wr_page_shares(wr_buf *b, const char *title, const double *share, size_t n)
{
    double x = 0;
    char class[24];
    picture(b, "shares", WIDE, 12, title);
    for (size_t i = 0; i < n; i++) {
        double w = share[i] > 0 ? share[i] * WIDE : 0;
        snprintf(class, sizeof class, "arm%zu", i % 6);
        if (w > 0) rect(b, class, x, 0, w > 3 ? w - 2 : w, 12);
        x += w;
    }
    wr_buf_str(b, "</svg>");
}
