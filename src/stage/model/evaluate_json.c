/* SPDX-License-Identifier: Apache-2.0 */
/* evaluate_json.c - the report of an evaluation. */
#include "base/clock.h"
#include "stage/model/evaluate.h"

static void judged(wr_jsonw *w, const char *key, const wr_judged *j)
{
    size_t n;
    const wr_metric *m = wr_metrics(&n);
    wr_jsonw_key(w, key);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "model", j->ref);
    if (j->package[0]) {
        wr_jsonw_ki64(w, "version", j->version);
        wr_jsonw_kstr(w, "package", j->package);
    }
    wr_jsonw_key(w, "metrics");
    wr_jsonw_obj(w);
    for (size_t k = 0; k < n && k < WR_EVALUATE_METRICS; k++) wr_jsonw_kf64(w, m[k].name, j->metric[k]);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

static void calibration(wr_jsonw *w, const wr_evaluation *e)
{
    wr_jsonw_key(w, "calibration");
    wr_jsonw_arr(w);
    for (int i = 0; i < WR_EVALUATE_BINS; i++) {
        wr_jsonw_obj(w);
        wr_jsonw_kf64(w, "from", (double)i / WR_EVALUATE_BINS);
        wr_jsonw_ki64(w, "rows", (int64_t)e->calibration[i].n);
        wr_jsonw_kf64(w, "predicted", e->calibration[i].mean_p);
        wr_jsonw_kf64(w, "observed", e->calibration[i].share_1);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

static void slices(wr_jsonw *w, const wr_evaluation *e)
{
    wr_jsonw_key(w, "slices");
    wr_jsonw_obj(w);
    for (size_t b = 0; b < e->nby; b++) {
        wr_jsonw_key(w, e->by[b].by);
        wr_jsonw_arr(w);
        for (size_t i = 0; i < e->by[b].n; i++) {
            const wr_slice *s = &e->by[b].slices[i];
            wr_jsonw_obj(w);
            wr_jsonw_kstr(w, "value", s->value);
            wr_jsonw_ki64(w, "rows", (int64_t)s->n);
            wr_jsonw_kf64(w, "observed", s->positives / (double)s->n);
            wr_jsonw_kf64(w, "predicted", s->mean_p);
            wr_jsonw_kf64(w, "auc", s->auc);
            wr_jsonw_kf64(w, "log_loss", s->log_loss);
            wr_jsonw_end(w);
        }
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

static void gate(wr_jsonw *w, const wr_evaluation *e, const wr_evaluate_opt *opt)
{
    static const char *const state[] = {"passed", "failed", "skipped"};
    wr_jsonw_key(w, "gate");
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "file", opt->gate ? opt->gate->path : NULL);
    wr_jsonw_kbool(w, "passed", e->passed);
    wr_jsonw_key(w, "rules");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < e->ngate; i++) {
        wr_jsonw_obj(w);
        wr_jsonw_kstr(w, "state", state[e->gate[i].state]);
        wr_jsonw_kstr(w, "rule", e->gate[i].text);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

void wr_evaluation_json(wr_jsonw *w, const wr_evaluation *e, const wr_evaluate_opt *opt)
{
    char from[WR_TIME_TEXT], until[WR_TIME_TEXT];
    wr_time_format(from, e->from_us);
    wr_time_format(until, e->until_us);
    wr_jsonw_obj(w);
    wr_jsonw_ki64(w, "rows", (int64_t)e->rows);
    wr_jsonw_ki64(w, "positives", (int64_t)e->positives);
    wr_jsonw_kstr(w, "from", from);
    wr_jsonw_kstr(w, "until", until);
    judged(w, "model", &e->own);
    if (e->has_against) judged(w, "against", &e->against);
    judged(w, "baseline", &e->baseline);
    wr_jsonw_key(w, "confusion");
    wr_jsonw_obj(w);
    wr_jsonw_kf64(w, "threshold", opt->threshold);
    wr_jsonw_kf64(w, "tp", e->confusion.tp);
    wr_jsonw_kf64(w, "fp", e->confusion.fp);
    wr_jsonw_kf64(w, "tn", e->confusion.tn);
    wr_jsonw_kf64(w, "fn", e->confusion.fn);
    wr_jsonw_end(w);
    calibration(w, e);
    slices(w, e);
    gate(w, e, opt);
    wr_jsonw_end(w);
}
