/* SPDX-License-Identifier: Apache-2.0 */
/* print.c - tables, bars and progress for people. Widths count UTF-8 characters, not bytes. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/os.h"
#include "cli/cli_internal.h"

typedef WR_VEC(const char *) cells;
struct wr_table {
    wr_cli *cli;
    const char *header[32];
    bool right[32];
    size_t ncols;
    cells cells;
};

static int width_of(const char *s)
{
    int n = 0;
    for (; *s; s++) n += ((unsigned char)*s & 0xC0) != 0x80;
    return n;
}

wr_table *wr_table_new(wr_cli *c, const char *first_header, ...)
{
    wr_table *t = wr_arena_calloc(c->arena, 1, sizeof *t);
    va_list ap;
    if (!t) return NULL;
    t->cli = c;
    va_start(ap, first_header);
    for (const char *h = first_header; h && t->ncols < 32; h = va_arg(ap, const char *)) {
        t->right[t->ncols] = h[0] == '>';
        t->header[t->ncols++] = h[0] == '>' ? h + 1 : h;
    }
    va_end(ap);
    return t;
}

void wr_table_add_header(wr_table *t, const char *header)
{
    if (!t || t->ncols == 32) return;
    char *copy = wr_arena_strdup(t->cli->arena, header);
    for (char *p = copy; p && *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7F) *p = '?';
    if (copy) t->header[t->ncols++] = copy;
}

void wr_table_cell(wr_table *t, const char *fmt, ...)
{
    enum { LONGEST = 1000 };
    WR_AUTOBUF wr_buf text = {0};
    va_list ap;
    if (!t) return;
    wr_buf_init(&text, 0);
    va_start(ap, fmt);
    wr_buf_vprintf(&text, fmt, ap);
    va_end(ap);
    /* Values of the user's data must not steer the terminal or break the lines. */
    char *copy = wr_arena_strndup(t->cli->arena, wr_buf_cstr(&text), wr_str_fit(wr_buf_view(&text), LONGEST).n);
    for (char *p = copy; p && *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7F) *p = '?';
    if (copy) wr_vec_push(&t->cells, copy);
}

/* Write `s` padded to `width`, cut with an ellipsis when longer. */
static void print_cell(const char *s, int width, bool right, bool last)
{
    int w = width_of(s);
    if (w > width) {
        int shown = 0;
        const char *p = s;
        while (*p && (shown < width - 1 || ((unsigned char)*p & 0xC0) == 0x80)) {
            putchar(*p);
            p++;
            shown += ((unsigned char)*p & 0xC0) != 0x80;
        }
        fputs("…", stdout);
        w = width;
    } else {
        if (right) printf("%*s", width - w, "");
        fputs(s, stdout);
    }
    if (!last && !right) printf("%*s", width - w, "");
    if (!last) fputs("  ", stdout);
}

/* Shrink the widest left-aligned column until the row fits the terminal. */
static void fit(const wr_table *t, int *width)
{
    int terminal = wr_os_tty(1) ? wr_os_columns() : 10000;
    for (;;) {
        int total = -2;
        size_t widest = 0;
        for (size_t c = 0; c < t->ncols; c++) {
            total += width[c] + 2;
            if (!t->right[c] && (t->right[widest] || width[c] > width[widest])) widest = c;
        }
        if (total <= terminal || t->right[widest] || width[widest] <= 8) return;
        int cut = total - terminal;
        width[widest] = width[widest] - cut < 8 ? 8 : width[widest] - cut;
    }
}

void wr_table_print(wr_table *t)
{
    int width[32];
    if (!t) return;
    for (size_t c = 0; c < t->ncols; c++) {
        width[c] = width_of(t->header[c]);
        for (size_t i = c; i < t->cells.n; i += t->ncols)
            if (width_of(t->cells.at[i]) > width[c]) width[c] = width_of(t->cells.at[i]);
    }
    fit(t, width);
    if (!t->cli->json) {
        for (size_t c = 0; c < t->ncols; c++) print_cell(t->header[c], width[c], t->right[c], c + 1 == t->ncols);
        putchar('\n');
        for (size_t i = 0; i < t->cells.n; i++) {
            size_t c = i % t->ncols;
            print_cell(t->cells.at[i], width[c], t->right[c], c + 1 == t->ncols);
            if (c + 1 == t->ncols) putchar('\n');
        }
    }
    wr_vec_fini(&t->cells);
}

void wr_say(wr_cli *c, const char *fmt, ...)
{
    va_list ap;
    if (c->json) return;
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

static bool progress_wanted(wr_cli *c)
{
    int64_t now = wr_clock_mono_ns();
    if (!wr_os_tty(2) || now - c->started_ns < 1000000000LL || now - c->progress_ns < 100000000LL) return false;
    c->progress_ns = now;
    return true;
}

void wr_progress(wr_cli *c, const char *what, double fraction)
{
    if (!progress_wanted(c)) return;
    c->progress_shown = true;
    if (fraction < 0) fprintf(stderr, "\r\033[K%s ...", what);
    else fprintf(stderr, "\r\033[K%s %s %3.0f %%", what, wr_bar(c, fraction, 1, 30), 100 * fraction);
}

void wr_progress_end(wr_cli *c)
{
    if (c->progress_shown) fputs("\r\033[K", stderr);
    c->progress_shown = false;
}

const char *wr_bar(wr_cli *c, double value, double max, int width)
{
    static const char *const eighth[] = {" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    double share = max > 0 && value > 0 ? value / max : 0;
    int eighths = (int)((share > 1 ? 1 : share) * width * 8 + 0.5);
    for (int i = 0; i < width; i++, eighths -= 8) wr_buf_str(&b, eighth[eighths <= 0 ? 0 : eighths >= 8 ? 8 : eighths]);
    const char *s = wr_arena_strdup(c->arena, wr_buf_cstr(&b));
    return s ? s : "";
}

/* Level 0..7 of v between lo and hi; what is infinite is at the end it points to. */
static int level_of(double v, double lo, double hi)
{
    if (v >= hi) return hi > lo || v > hi ? 7 : 3;
    return v <= lo ? 0 : (int)((v - lo) / (hi - lo) * 7.999);
}

const char *wr_spark(wr_cli *c, const double *v, size_t n)
{
    static const char *const level[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    WR_AUTOBUF wr_buf b;
    double lo = 0, hi = 0;
    bool any = false;
    wr_buf_init(&b, 0);
    for (size_t i = 0; i < n; i++) {
        if (v[i] - v[i] != 0) continue; /* NaN, infinite */
        lo = !any || v[i] < lo ? v[i] : lo;
        hi = !any || v[i] > hi ? v[i] : hi;
        any = true;
    }
    for (size_t i = 0; i < n; i++) wr_buf_str(&b, v[i] != v[i] ? " " : level[level_of(v[i], lo, hi)]);
    const char *s = wr_arena_strdup(c->arena, wr_buf_cstr(&b));
    return s ? s : "";
}
