/* SPDX-License-Identifier: Apache-2.0 */
/* plot.h - curves in the terminal: Braille dots, two by four a character; several series in colours, or in letters
 * where there are none. */
#pragma once
#include "cli/cli.h"

typedef struct {
    const char *name;
    const double *x, *y;
    size_t n;
} wr_plot_series; /* NaN and infinities are gaps */
typedef struct {
    const char *title;
    int width, height; /* characters; 0 = fits the terminal, 12 */
    bool log_y;
} wr_plot_opt;
enum { WR_PLOT_SERIES = 8 };

/* To stdout; nothing when --json. WEIR_EINVAL when there is nothing to draw. */
int wr_plot(wr_cli *c, const wr_plot_series *s, size_t n, const wr_plot_opt *opt, wr_err *err);
