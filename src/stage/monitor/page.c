/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/monitor/page.h"
int wr_monitor_page(wr_buf *out, wr_project *p, const wr_monitor *m, wr_monitor_session *s,
                    void (*progress)(void *ctx, double fraction), void *ctx, wr_err *err)
{
    (void)out;
    (void)p;
    (void)m;
    (void)s;
    (void)progress;
    (void)ctx;
    return wr_err_set(err, WEIR_EUNSUPPORTED, "not yet");
}
