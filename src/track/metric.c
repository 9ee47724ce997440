/* SPDX-License-Identifier: Apache-2.0 */
/* metric.c - metric series. */
#include "track/metric.h"

#include "track/track_inside.h"

int wr_metric_open(wr_track *t, const char *log, wr_err *err)
{
    (void)t;
    (void)log;
    (void)err;
    return 0;
}

void wr_metric_close(wr_track *t) { (void)t; }

bool wr_metric_has_log(const wr_track *t) { return t->metric != NULL; }

static int no_log(wr_err *err) { return wr_err_set(err, WEIR_EUNSUPPORTED, "there is no metric log here"); }

int wr_metric_append(wr_track *t, wr_str run_uuid, const wr_track_point *points, size_t n, wr_err *err)
{
    (void)t;
    (void)run_uuid;
    (void)points;
    (void)n;
    return no_log(err);
}

int wr_metric_commit(wr_track *t, wr_err *err)
{
    (void)t;
    (void)err;
    return 0;
}

int wr_metric_drain(wr_track *t, bool always, wr_err *err)
{
    (void)t;
    (void)always;
    (void)err;
    return 0;
}

int wr_metric_settle(wr_track *t, wr_err *err)
{
    (void)t;
    (void)err;
    return 0;
}

void wr_metric_forget_run(wr_track *t, wr_str run_uuid)
{
    (void)t;
    (void)run_uuid;
}
