/* SPDX-License-Identifier: Apache-2.0 */
/* metric_record_fuzz.c - hostile records of the metric log: what reads comes back from a record of its own. */
#include <stddef.h>
#include <stdint.h>

#include "codec/series.h"
#include "track/metric_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool alike(const wr_track_point *a, const wr_track_point *b)
{
    return wr_str_eq(a->key, b->key) && a->step == b->step && a->time_ms == b->time_ms &&
           wr_series_value_key(a->value) == wr_series_value_key(b->value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    WR_AUTOBUF wr_buf b = {0};
    int64_t run, again;
    wr_track_point *p, *q;
    size_t np, nq;
    if (!a || wr_metric_record_read(&run, &p, &np, a, (wr_str){(const char *)data, n}, NULL) < 0) return 0;
    WR_BUG_IF(run < 0 || np > n);
    wr_metric_record_write(&b, run, p, np);
    if (b.failed) return 0;
    WR_BUG_IF(wr_metric_record_read(&again, &q, &nq, a, wr_buf_view(&b), NULL) < 0 || again != run || nq != np);
    for (size_t i = 0; i < np; i++) WR_BUG_IF(!alike(&p[i], &q[i]));
    return 0;
}
