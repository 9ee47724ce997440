/* SPDX-License-Identifier: Apache-2.0 */
/* page.h - a monitor as one page of HTML: no script, nothing from outside, under 150 kB. */
#pragma once
#include "stage/monitor/monitor.h"

enum { WR_MONITOR_PAGE_BYTES = 150000, WR_MONITOR_PAGE_POINTS = 120 };

/* Tables of the windows one after the other, lines over the sliding ones (from + k every; beyond WR_MONITOR_PAGE_POINTS every 2nd,
 * 3rd, ...), what happened since the monitor's first record on the time axis. Judges the windows itself. progress may be NULL. */
int wr_monitor_page(wr_buf *out, wr_project *p, const wr_monitor *m, wr_monitor_session *s, void (*progress)(void *ctx, double fraction),
                    void *ctx, wr_err *err);
