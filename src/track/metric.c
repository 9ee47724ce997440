/* SPDX-License-Identifier: Apache-2.0 */
/* metric.c - metric series. */
#include "track/metric.h"

#include <math.h>

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
int wr_metric_commit(wr_track *t, wr_err *err) { return (void)t, (void)err, 0; }
int wr_metric_drain(wr_track *t, bool always, wr_err *err) { return (void)t, (void)always, (void)err, 0; }
int wr_metric_settle(wr_track *t, wr_err *err) { return (void)t, (void)err, 0; }
void wr_metric_forget_run(wr_track *t, wr_str run_uuid) { (void)t, (void)run_uuid; }

int wr_metric_append(wr_track *t, wr_str run_uuid, const wr_track_point *points, size_t n, wr_err *err)
{
    (void)t, (void)run_uuid, (void)points, (void)n;
    return wr_err_set(err, WEIR_EUNSUPPORTED, "there is no metric log");
}

int wr_metric_put(wr_track *t, const wr_metric_run *run, const wr_track_point *points, size_t n, wr_err *err)
{
    for (size_t i = 0; i < n; i++) {
        int64_t key;
        WR_TRY(wr_track_key_make(&key, t, points[i].key, err));
        WR_TRY(wr_track_exec(t, err,
                             "INSERT INTO track_metrics (run, key, value, step, time_ms, experiment, start_ms) VALUES "
                             "(?, ?, ?, ?, ?, ?, ?)"
                             " ON CONFLICT (run, key) DO UPDATE SET value = excluded.value, step = excluded.step, "
                             "time_ms = excluded.time_ms"
                             " WHERE (excluded.step, excluded.time_ms, excluded.value) > (track_metrics.step, "
                             "track_metrics.time_ms, track_metrics.value)",
                             "iifiiii", run->run, key, points[i].value, points[i].step, points[i].time_ms,
                             run->experiment, run->start_ms));
    }
    return 0;
}

int wr_metric_purge(wr_track *t, int64_t run, wr_err *err)
{
    int rc = wr_track_exec(t, err, "DELETE FROM track_metrics WHERE run = ?", "i", run);
    return rc < 0 ? rc : 0;
}

int wr_metric_latest(wr_track_point **out, size_t *n, wr_arena *a, wr_track *t, int64_t run, wr_err *err)
{
    WR_VEC(wr_track_point) rows = {0};
    wr_stmt *s;
    int rc;
    WR_TRY(wr_track_query(&s, t, err,
                          "SELECT k.name, m.value, m.step, m.time_ms FROM track_metrics m JOIN track_keys k ON k.id = "
                          "m.key WHERE m.run = ? ORDER BY "
                          "k.name",
                          "i", run));
    while ((rc = wr_step(s, err)) > 0) {
        wr_track_point p = {wr_arena_str(a, wr_stmt_str(s, 0)), wr_stmt_f64(s, 1), wr_stmt_i64(s, 2),
                            wr_stmt_i64(s, 3)};
        if (wr_vec_push(&rows, p) < 0) break;
    }
    wr_stmt_done(s);
    *n = rows.n;
    *out = wr_arena_dup(a, rows.at, rows.n * sizeof *rows.at);
    wr_vec_fini(&rows);
    return rc < 0 ? rc : 0;
}

int wr_metric_history(wr_track_point **out, size_t *n, wr_arena *a, wr_track *t, int64_t run, wr_str key,
                      const wr_track_point *after, size_t max, wr_err *err)
{
    (void)key, (void)after, (void)max;
    return wr_metric_latest(out, n, a, t, run, err);
}

int wr_metric_sample(wr_metric_series *out, wr_arena *a, wr_track *t, const int64_t *runs, size_t nruns, wr_str key,
                     int64_t from, int64_t to, size_t max, wr_err *err)
{
    (void)from, (void)to;
    for (size_t i = 0; i < nruns; i++)
        WR_TRY(wr_metric_history(&out[i].points, &out[i].n, a, t, runs[i], key, NULL, max, err));
    return 0;
}
