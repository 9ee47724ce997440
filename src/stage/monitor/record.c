/* SPDX-License-Identifier: Apache-2.0 */
/* record.c - a judged window as JSON, and as the events that the scheduler acts on. */
#include <stdio.h>

#include "base/clock.h"
#include "base/limits.h"
#include "core/event.h"
#include "stage/monitor/monitor.h"

static void kcount(wr_jsonw *w, const char *key, size_t n) { wr_jsonw_ki64(w, key, (int64_t)n); }

static void performance_json(wr_jsonw *w, const wr_monitor_performance *p)
{
    wr_jsonw_obj(w);
    if (p->model) {
        wr_jsonw_kstr(w, "model", p->model);
        wr_jsonw_ki64(w, "version", p->version);
    }
    kcount(w, "rows", p->rows);
    kcount(w, "labelled", p->labelled);
    wr_jsonw_kf64(w, "maturity", p->rows ? (double)p->labelled / (double)p->rows : 0.0 / 0.0);
    kcount(w, "positives", p->positives);
    wr_jsonw_kf64(w, "label_share", p->label_share);
    wr_jsonw_kf64(w, "mean_score", p->mean_score);
    wr_jsonw_kf64(w, "mean_score_labelled", p->mean_score_labelled);
    wr_jsonw_kf64(w, "auc", p->auc);
    wr_jsonw_kf64(w, "log_loss", p->log_loss);
    wr_jsonw_kf64(w, "brier", p->brier);
    wr_jsonw_kf64(w, "calibration_error", p->calibration_error);
    wr_jsonw_end(w);
}

static void judged_json(wr_jsonw *w, const wr_monitor_drift *d)
{
    wr_jsonw_kstr(w, "column", d->column);
    wr_jsonw_kstr(w, "statistic", d->stat->name);
    wr_jsonw_kf64(w, "value", d->value);
    wr_jsonw_kf64(w, "threshold", d->threshold);
}

static void drift_json(wr_jsonw *w, const wr_monitor_drift *d)
{
    wr_jsonw_obj(w);
    judged_json(w, d);
    wr_jsonw_kbool(w, "drifts", d->drifts);
    wr_jsonw_kf64(w, "psi", d->all.psi);
    wr_jsonw_kf64(w, "jensenshannon", d->all.js);
    if (d->category) {
        wr_jsonw_kf64(w, "chi2", d->all.chi2);
        wr_jsonw_kf64(w, "chi2_p", d->all.chi2_p);
        wr_jsonw_kf64(w, "linf", d->all.linf);
    } else {
        wr_jsonw_kf64(w, "wasserstein", d->all.wasserstein);
        wr_jsonw_kf64(w, "ks", d->all.ks);
        wr_jsonw_kf64(w, "ks_p", d->all.ks_p);
        wr_jsonw_kf64(w, "mean_reference", d->all.mean_ref);
        wr_jsonw_kf64(w, "mean_current", d->all.mean_cur);
    }
    wr_jsonw_kf64(w, "missing_reference", d->all.missing_ref);
    wr_jsonw_kf64(w, "missing_current", d->all.missing_cur);
    kcount(w, "n_reference", d->all.n_ref);
    kcount(w, "n_current", d->all.n_cur);
    wr_jsonw_end(w);
}

static void head_json(wr_jsonw *w, const wr_monitor_result *r)
{
    char start[WR_TIME_TEXT], end[WR_TIME_TEXT];
    wr_monitor_time(start, r->start_us);
    wr_monitor_time(end, r->end_us);
    wr_jsonw_kstr(w, "endpoint", r->endpoint);
    wr_jsonw_kstr(w, "window_start", start);
    wr_jsonw_kstr(w, "window_end", end);
    wr_jsonw_ki64(w, "window_end_us", r->end_us);
}

void wr_monitor_json(wr_jsonw *w, const wr_monitor_result *r)
{
    wr_jsonw_obj(w);
    head_json(w, r);
    wr_jsonw_kbool(w, "complete", r->complete);
    wr_jsonw_kbool(w, "drifts", r->drifts);
    wr_jsonw_key(w, "worst");
    if (r->ndrift) wr_jsonw_cstr(w, r->drift[r->worst].column);
    else wr_jsonw_null(w);
    wr_jsonw_key(w, "drift");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < r->ndrift; i++) drift_json(w, &r->drift[i]);
    wr_jsonw_end(w);
    wr_jsonw_key(w, "performance");
    performance_json(w, &r->all);
    wr_jsonw_key(w, "versions");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < r->nversions; i++) performance_json(w, &r->versions[i]);
    wr_jsonw_end(w);
    wr_jsonw_key(w, "calibration");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < WR_MONITOR_BINS; i++) {
        if (!r->calibration[i].n) continue;
        wr_jsonw_obj(w);
        wr_jsonw_kf64(w, "mean_score", r->calibration[i].mean_p);
        wr_jsonw_kf64(w, "label_share", r->calibration[i].share_1);
        kcount(w, "n", r->calibration[i].n);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

/* The payload of a "drift" event: the worst column at the top, where `set:` and `above:` of a trigger find it. */
static void drift_event_json(wr_jsonw *w, const wr_monitor_result *r)
{
    wr_jsonw_obj(w);
    head_json(w, r);
    judged_json(w, &r->drift[r->worst]);
    wr_jsonw_key(w, "columns");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < r->ndrift; i++) {
        if (!r->drift[i].drifts) continue;
        wr_jsonw_obj(w);
        judged_json(w, &r->drift[i]);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
    wr_jsonw_key(w, "performance");
    performance_json(w, &r->all);
    wr_jsonw_end(w);
}

static int add(wr_project *p, const wr_monitor_result *r, const char *kind,
               void (*json)(wr_jsonw *, const wr_monitor_result *), wr_err *err)
{
    WR_AUTOBUF wr_buf b;
    wr_jsonw w;
    char subject[WR_LIMIT_NAME + 16];
    wr_buf_init(&b, 0);
    wr_jsonw_init(&w, &b, 0);
    json(&w, r);
    if (b.failed) return wr_err_nomem(err);
    snprintf(subject, sizeof subject, "endpoint:%s", r->endpoint);
    return wr_event_add(p, kind, subject, wr_buf_cstr(&b), NULL, err);
}

int wr_monitor_record(wr_project *p, const wr_monitor_result *r, wr_err *err)
{
    if (r->drifts) WR_TRY(add(p, r, "drift", drift_event_json, err));
    return add(p, r, "window", wr_monitor_json, err);
}
