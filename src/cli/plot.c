/* SPDX-License-Identifier: Apache-2.0 */
/* plot.c - a grid of dots, one byte a character cell and series: bit b is dot (b / 4, b % 4) of the two columns of
 * four. */
#include "cli/plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/os.h"

enum { LABEL = 11, HEIGHT = 12, WIDTH_LEAST = 20, WIDTH_MOST = 200 };

typedef struct {
    const wr_plot_series *s;
    size_t n;
    double x0, x1, y0, y1;
    int width, height; /* characters */
    bool log_y;
    unsigned char *cells; /* [series][row][column] */
} canvas;

static bool drawable(const canvas *k, double x, double y) { return isfinite(x) && isfinite(y) && (!k->log_y || y > 0); }
static double scaled(const canvas *k, double y) { return k->log_y ? log10(y) : y; }

static bool find_range(canvas *k)
{
    bool any = false;
    for (size_t i = 0; i < k->n; i++)
        for (size_t p = 0; p < k->s[i].n; p++) {
            double x = k->s[i].x[p], y = k->s[i].y[p];
            if (!drawable(k, x, y)) continue;
            y = scaled(k, y);
            k->x0 = any ? fmin(k->x0, x) : x;
            k->x1 = any ? fmax(k->x1, x) : x;
            k->y0 = any ? fmin(k->y0, y) : y;
            k->y1 = any ? fmax(k->y1, y) : y;
            any = true;
        }
    if (any && k->y0 == k->y1) {
        double d = k->y0 == 0 ? 1 : fabs(k->y0) * 0.1;
        k->y0 -= d;
        k->y1 += d;
    }
    return any;
}

static void dot(canvas *k, size_t series, long px, long py)
{
    if (px < 0 || py < 0 || px >= 2L * k->width || py >= 4L * k->height) return;
    size_t at = (series * (size_t)k->height + (size_t)(py / 4)) * (size_t)k->width + (size_t)(px / 2);
    k->cells[at] |= (unsigned char)(1u << ((px & 1) * 4 + (py & 3)));
}

static void line(canvas *k, size_t series, long ax, long ay, long bx, long by)
{
    long dx = labs(bx - ax), dy = labs(by - ay), steps = dx > dy ? dx : dy;
    for (long i = 0; i <= steps; i++)
        dot(k, series, ax + (steps ? (bx - ax) * i / steps : 0), ay + (steps ? (by - ay) * i / steps : 0));
}

static void draw(canvas *k, size_t series)
{
    const wr_plot_series *s = &k->s[series];
    bool pen = false;
    long lx = 0, ly = 0;
    double xs = k->x1 > k->x0 ? (2.0 * k->width - 1) / (k->x1 - k->x0) : 0,
           ys = (4.0 * k->height - 1) / (k->y1 - k->y0);
    for (size_t p = 0; p < s->n; p++) {
        if (!drawable(k, s->x[p], s->y[p])) {
            pen = false;
            continue;
        }
        long x = lround((s->x[p] - k->x0) * xs), y = lround((k->y1 - scaled(k, s->y[p])) * ys);
        line(k, series, pen ? lx : x, pen ? ly : y, x, y);
        lx = x;
        ly = y;
        pen = true;
    }
}

/* Dots of a cell in Unicode's order. */
static void put_braille(unsigned char bits)
{
    static const unsigned char unicode[8] = {0x01, 0x02, 0x04, 0x40, 0x08, 0x10, 0x20, 0x80};
    unsigned v = 0;
    for (int b = 0; b < 8; b++)
        if (bits >> b & 1) v |= unicode[b];
    printf("%c%c%c", 0xE2, 0xA0 | (v >> 6), 0x80 | (v & 0x3f));
}

static const int colours[WR_PLOT_SERIES] = {36, 33, 35, 32, 31, 34, 37, 90};

static bool coloured(void) { return wr_os_tty(1) && !getenv("NO_COLOR"); }

static void put_cell(const canvas *k, int row, int column)
{
    unsigned char bits = 0;
    size_t top = 0;
    for (size_t s = 0; s < k->n; s++) {
        unsigned char b = k->cells[(s * (size_t)k->height + (size_t)row) * (size_t)k->width + (size_t)column];
        if (b && !bits) top = s;
        bits |= b;
    }
    if (!bits) putchar(' ');
    else if (k->n == 1) put_braille(bits);
    else if (!coloured()) putchar('a' + (int)top);
    else {
        printf("\033[%dm", colours[top]);
        put_braille(bits);
        printf("\033[0m");
    }
}

static void put_label(const canvas *k, int row)
{
    bool shown = row == 0 || row == k->height - 1 || row == k->height / 2;
    double y = k->y1 - (k->y1 - k->y0) * row / (k->height > 1 ? k->height - 1 : 1);
    if (shown) printf("%*.4g ", LABEL - 1, k->log_y ? pow(10, y) : y);
    else printf("%*s", LABEL, "");
    printf("%s", shown ? "\xe2\x94\xa4" : "\xe2\x94\x82"); /* axis with and without a tick */
}

static void print(const canvas *k, const wr_plot_opt *opt)
{
    char left[32], right[32];
    if (opt->title) printf("%*s%s\n", LABEL + 1, "", opt->title);
    for (int row = 0; row < k->height; row++) {
        put_label(k, row);
        for (int column = 0; column < k->width; column++) put_cell(k, row, column);
        putchar('\n');
    }
    printf("%*s\xe2\x94\x94", LABEL, "");
    for (int column = 0; column < k->width; column++) printf("\xe2\x94\x80");
    snprintf(left, sizeof left, "%.6g", k->x0);
    snprintf(right, sizeof right, "%.6g", k->x1);
    int gap = k->width - (int)strlen(left) - (int)strlen(right);
    printf("\n%*s%s%*s%s\n", LABEL + 1, "", left, gap > 0 ? gap : 1, "", k->x1 > k->x0 ? right : "");
    for (size_t s = 0; k->n > 1 && s < k->n; s++) {
        if (coloured())
            printf("%*s\033[%dm\xe2\x94\x80\xe2\x94\x80\033[0m %s\n", LABEL + 1, "", colours[s], k->s[s].name);
        else printf("%*s%c  %s\n", LABEL + 1, "", 'a' + (int)s, k->s[s].name);
    }
}

int wr_plot(wr_cli *c, const wr_plot_series *s, size_t n, const wr_plot_opt *opt, wr_err *err)
{
    int columns = wr_os_tty(1) ? wr_os_columns() : 80;
    canvas k = {.s = s,
                .n = n < WR_PLOT_SERIES ? n : WR_PLOT_SERIES,
                .log_y = opt->log_y,
                .height = opt->height > 1 ? opt->height : HEIGHT};
    k.width = opt->width ? opt->width : columns - LABEL - 2;
    if (k.width < WIDTH_LEAST) k.width = WIDTH_LEAST;
    if (k.width > WIDTH_MOST) k.width = WIDTH_MOST;
    if (wr_cli_json(c)) return 0;
    if (!find_range(&k))
        return wr_err_set(err, WEIR_EINVAL, "\"%s\" has no values that can be drawn",
                          opt->title ? opt->title : "the series");
    k.cells = wr_calloc(k.n * (size_t)k.height, (size_t)k.width);
    if (!k.cells) return wr_err_nomem(err);
    for (size_t i = 0; i < k.n; i++) draw(&k, i);
    print(&k, opt);
    wr_free(k.cells);
    return 0;
}
