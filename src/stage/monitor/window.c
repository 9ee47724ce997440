/* SPDX-License-Identifier: Apache-2.0 */
/* window.c - one window of an endpoint judged: its rows, its drift from the reference, its performance where labels
 * have come. */
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/vec.h"
#include "core/dataset.h"
#include "core/model.h"
#include "stage/monitor/reference.h"

struct wr_monitor_session {
    wr_arena *arena;
    wr_project *project;
    wr_monitor monitor;
    wr_pool *pool;
    wr_run *run;
    wr_tables *tables;
    const char *predictions, *labels; /* quoted identifiers; labels NULL when there are none yet */
    wr_table_column *columns;         /* of the predictions */
    size_t ncolumns;
    int64_t watermark;
    WR_VEC(wr_reference) references; /* by package, as they are needed */
};

/* ---- session ---- */

/* The endpoint's two datasets as views, and inputs of the run. */
static int open_data(wr_monitor_session *s, wr_err *err)
{
    const char *endpoint = s->monitor.endpoint;
    char *name = wr_arena_printf(s->arena, "predictions.%s", endpoint),
         *labels = wr_arena_printf(s->arena, "labels.%s", endpoint);
    wr_node *used;
    size_t nused;
    if (!name || !labels) return wr_err_nomem(err);
    if (!wr_dataset_exists(s->project, name)) {
        wr_err_set(err, WEIR_ENOTFOUND, "endpoint \"%s\" has no predictions yet", endpoint);
        return wr_err_hint(err, WEIR_ENOTFOUND,
                           "weir up serves it; weir deploy flush writes what was served to dataset \"%s\"", name);
    }
    s->predictions = wr_arena_printf(s->arena, "\"%s\"", name);
    const char *quoted = wr_arena_printf(s->arena, "\"%s\"", labels);
    const char *both = wr_arena_printf(s->arena, "\"%s\" \"%s\"", name, labels);
    if (!s->predictions || !quoted || !both) return wr_err_nomem(err);
    WR_TRY(wr_dataset_views_for(s->tables, s->project, both, &used, &nused, s->arena, err));
    for (size_t i = 0; i < nused; i++) {
        if (strcmp(used[i].name, labels) == 0) s->labels = quoted;
        if (s->run) wr_run_input(s->run, &used[i]);
    }
    const char *all = wr_arena_printf(s->arena, "SELECT * FROM %s", s->predictions);
    const char *newest =
        wr_arena_printf(s->arena, "SELECT coalesce(max(epoch_us(event_time)), CAST('%lld' AS BIGINT)) FROM %s",
                        (long long)INT64_MIN, s->predictions);
    if (!all || !newest) return wr_err_nomem(err);
    WR_TRY(wr_tables_describe(s->tables, &s->columns, &s->ncolumns, s->arena, all, err));
    return wr_tables_i64(s->tables, &s->watermark, newest, err);
}

int wr_monitor_open(wr_monitor_session **out, wr_project *p, const wr_monitor *m, wr_pool *pool, wr_run *run,
                    wr_err *err)
{
    wr_arena *a = wr_arena_new(0);
    wr_monitor_session *s = a ? wr_arena_calloc(a, 1, sizeof *s) : NULL;
    if (!s) {
        wr_arena_free(a);
        return wr_err_nomem(err);
    }
    s->arena = a;
    s->project = p;
    s->monitor = *m;
    s->pool = pool;
    s->run = run;
    int rc = wr_project_tables(&s->tables, p, NULL, err);
    if (rc == 0) rc = open_data(s, err);
    if (rc < 0) wr_monitor_close(s);
    else *out = s;
    return rc;
}

void wr_monitor_close(wr_monitor_session *s)
{
    if (!s) return;
    for (size_t i = 0; i < s->references.n; i++) wr_reference_fini(&s->references.at[i], s->monitor.ncolumns);
    wr_vec_fini(&s->references);
    wr_tables_close(s->tables);
    wr_arena_free(s->arena);
}

int64_t wr_monitor_watermark(const wr_monitor_session *s) { return s->watermark; }

int wr_monitor_ends(int64_t **out, size_t *n, wr_arena *a, wr_monitor_session *s, wr_err *err)
{
    WR_AUTOFRAME wr_frame *f = NULL;
    const wr_monitor *m = &s->monitor;
    const char *sql = wr_arena_printf(
        a,
        "SELECT * FROM (SELECT DISTINCT CAST((epoch_us(event_time) - %lld) // %lld AS BIGINT) AS k FROM %s"
        " WHERE epoch_us(event_time) >= %lld ORDER BY k DESC LIMIT 1000) ORDER BY k",
        (long long)m->from_us, (long long)m->window_us, s->predictions, (long long)m->from_us);
    if (!sql) return wr_err_nomem(err);
    WR_TRY(wr_tables_query(s->tables, &f, sql, NULL, 0, err));
    *n = f->nrows;
    *out = wr_arena_calloc(a, f->nrows + 1, sizeof **out);
    if (!*out) return wr_err_nomem(err);
    for (size_t i = 0; i < f->nrows; i++) (*out)[i] = m->from_us + (f->cols[0].i64[i] + 1) * m->window_us;
    return 0;
}

int wr_monitor_event_time(int64_t *out, wr_monitor_session *s, int64_t wall_us, wr_err *err)
{
    WR_AUTOBUF wr_buf sql;
    wr_buf_init(&sql, 0);
    wr_buf_printf(
        &sql,
        "SELECT coalesce(max(epoch_us(event_time)), CAST('%lld' AS BIGINT)) FROM %s WHERE epoch_us(served_at) <= %lld",
        (long long)INT64_MIN, s->predictions, (long long)wall_us);
    if (sql.failed) return wr_err_nomem(err);
    return wr_tables_i64(s->tables, out, wr_buf_cstr(&sql), err);
}

/* ---- the window's rows ---- */

/* "_model", "_version", "score", the watched columns, "_label" (NaN when it has not come). */
static int rows_sql(wr_buf *b, wr_arena *a, wr_monitor_session *s, int64_t start, int64_t end, wr_err *err)
{
    wr_buf_str(b, "WITH c AS (SELECT prediction_id, event_time, model AS _model, CAST(version AS BIGINT) AS _version, "
                  "CAST(score AS DOUBLE) AS score");
    for (size_t i = 0; i + 1 < s->monitor.ncolumns; i++) {
        wr_buf_str(b, ", ");
        WR_TRY(wr_reference_column(b, s->monitor.columns[i].name, s->columns, s->ncolumns, "the predictions", a, err));
    }
    wr_buf_printf(b, " FROM %s WHERE epoch_us(event_time) >= %lld AND epoch_us(event_time) < %lld)", s->predictions,
                  (long long)start, (long long)end);
    if (s->labels)
        wr_buf_printf(
            b,
            ", l AS (SELECT prediction_id, CAST(label AS DOUBLE) AS _label FROM %s WHERE isfinite(CAST(label AS "
            "DOUBLE))"
            " AND prediction_id IN (SELECT prediction_id FROM c)"
            " QUALIFY row_number() OVER (PARTITION BY prediction_id ORDER BY known_at DESC, received_at DESC, label) = 1)",
            s->labels);
    wr_buf_printf(b,
                  " SELECT c.* EXCLUDE (event_time, prediction_id), %s FROM c%s ORDER BY c.event_time, c.prediction_id",
                  s->labels ? "l._label" : "CAST(NULL AS DOUBLE) AS _label",
                  s->labels ? " LEFT JOIN l USING (prediction_id)" : "");
    return b->failed ? wr_err_nomem(err) : 0;
}

/* ---- performance ---- */

typedef struct {
    const wr_col *model, *version, *score, *label;
    size_t n;
} rows;

/* Of the rows of one version (model code and number), or of all when code is UINT32_MAX. */
static int performance(wr_monitor_performance *out, const rows *r, uint32_t code, int64_t version,
                       wr_calibration_bin *bins, wr_err *err)
{
    WR_AUTOFREE double *p = wr_alloc(r->n * sizeof *p);
    WR_AUTOFREE uint8_t *y = wr_alloc(r->n);
    wr_calibration_bin own[WR_MONITOR_BINS];
    double all = 0, labelled = 0;
    size_t n = 0;
    if (!p || !y) return wr_err_nomem(err);
    *out = (wr_monitor_performance){.version = -1};
    for (size_t i = 0; i < r->n; i++) {
        if (code != UINT32_MAX && (r->model->code[i] != code || r->version->i64[i] != version)) continue;
        double score = wr_col_num(r->score, i);
        out->rows++;
        all += score;
        if (wr_col_missing(r->label, i) || isnan(score)) continue;
        p[n] = score;
        y[n] = r->label->f64[i] != 0;
        labelled += score;
        out->positives += y[n++];
    }
    out->labelled = n;
    out->mean_score = out->rows ? all / (double)out->rows : NAN;
    out->mean_score_labelled = n ? labelled / (double)n : NAN;
    out->label_share = n ? (double)out->positives / (double)n : NAN;
    out->log_loss = wr_metric_log_loss(y, p, n);
    out->brier = wr_metric_brier(y, p, n);
    wr_metric_calibration(bins ? bins : own, WR_MONITOR_BINS, y, p, n);
    out->calibration_error = wr_calibration_error(bins ? bins : own, WR_MONITOR_BINS);
    return wr_metric_auc(&out->auc, y, p, n, err);
}

typedef struct {
    uint32_t code;
    int64_t version;
} served;

static int by_version(const void *a, const void *b)
{
    const served *x = a, *y = b;
    return x->version != y->version ? (x->version > y->version) - (x->version < y->version)
                                    : (x->code > y->code) - (x->code < y->code);
}

/* Which versions served, in order of their number. */
static int versions_of(served **out, size_t *n, wr_arena *a, const rows *r, wr_err *err)
{
    enum { MOST = 1000 };
    *n = 0;
    *out = wr_arena_calloc(a, MOST, sizeof **out);
    if (!*out) return wr_err_nomem(err);
    for (size_t i = 0; i < r->n; i++) {
        size_t k = 0;
        while (k < *n && ((*out)[k].code != r->model->code[i] || (*out)[k].version != r->version->i64[i])) k++;
        if (k < *n) continue;
        if (*n == MOST) return wr_err_set(err, WEIR_ELIMIT, "more than %d model versions in one window", MOST);
        (*out)[(*n)++] = (served){r->model->code[i], r->version->i64[i]};
    }
    qsort(*out, *n, sizeof **out, by_version);
    return 0;
}

static int performances(wr_monitor_result *out, wr_arena *a, const rows *r, wr_err *err)
{
    served *v;
    WR_TRY(performance(&out->all, r, UINT32_MAX, -1, out->calibration, err));
    WR_TRY(versions_of(&v, &out->nversions, a, r, err));
    out->versions = wr_arena_calloc(a, out->nversions + 1, sizeof *out->versions);
    if (!out->versions) return wr_err_nomem(err);
    for (size_t k = 0; k < out->nversions; k++) {
        WR_TRY(performance(&out->versions[k], r, v[k].code, v[k].version, NULL, err));
        out->versions[k].model = wr_arena_str(a, r->model->dict.at[v[k].code].key).p;
        out->versions[k].version = v[k].version;
        if (!out->versions[k].model) return wr_err_nomem(err);
    }
    return 0;
}

/* ---- drift ---- */

/* The digests of the reference under a model version; computed once a session. */
static int reference_of(const wr_reference **out, wr_monitor_session *s, const wr_monitor_performance *v, wr_err *err)
{
    wr_model_version mv;
    wr_node node;
    wr_reference r;
    char *ref = wr_arena_printf(s->arena, "%s@%lld", v->model, (long long)v->version);
    if (!ref) return wr_err_nomem(err);
    WR_TRY(wr_model_find(&mv, s->arena, s->project, ref, err));
    for (size_t i = 0; i < s->references.n; i++)
        if (strcmp(s->references.at[i].package, mv.package) == 0) {
            *out = &s->references.at[i];
            return 0;
        }
    if (s->run && wr_model_node(&node, s->arena, &mv) == 0) wr_run_input(s->run, &node);
    WR_TRY(wr_reference_load(&r, s->arena, s->project, s->tables, &s->monitor, mv.package, s->pool, s->run, err));
    if (wr_vec_push(&s->references, r) < 0) {
        wr_reference_fini(&r, s->monitor.ncolumns);
        return wr_err_nomem(err);
    }
    *out = &s->references.at[s->references.n - 1];
    return 0;
}

static int drifts(wr_monitor_result *out, wr_arena *a, wr_monitor_session *s, const wr_frame *f, wr_err *err)
{
    const wr_reference *r = NULL;
    WR_TRY(reference_of(&r, s, &out->versions[out->nversions - 1], err));
    out->drift = wr_arena_calloc(a, s->monitor.ncolumns, sizeof *out->drift);
    if (!out->drift) return wr_err_nomem(err);
    for (size_t i = 0; i < s->monitor.ncolumns; i++) {
        wr_col *c;
        WR_TRY(wr_frame_need(&c, f, s->monitor.columns[i].name, -1, err));
        WR_TRY(wr_reference_compare(&out->drift[i], r, &s->monitor, i, c, err));
        out->drift[i].column = wr_arena_strdup(a, out->drift[i].column);
        if (!out->drift[i].column) return wr_err_nomem(err);
        double worst = out->drift[out->worst].severity;
        if (out->drift[i].severity > worst || isnan(worst)) out->worst = i;
        out->drifts = out->drifts || out->drift[i].drifts;
        out->ndrift++;
    }
    return 0;
}

static int columns_of(rows *r, const wr_frame *f, wr_err *err)
{
    wr_col *model, *version, *score, *label;
    WR_TRY(wr_frame_need(&model, f, "_model", WR_TEXT, err));
    WR_TRY(wr_frame_need(&version, f, "_version", WR_I64, err));
    WR_TRY(wr_frame_need(&score, f, WR_MONITOR_SCORE, WR_F64, err));
    WR_TRY(wr_frame_need(&label, f, "_label", WR_F64, err));
    *r = (rows){model, version, score, label, f->nrows};
    return 0;
}

int wr_monitor_window(wr_monitor_result *out, wr_arena *a, wr_monitor_session *s, int64_t window_end_us, wr_err *err)
{
    WR_AUTOBUF wr_buf sql;
    WR_AUTOFRAME wr_frame *f = NULL;
    rows r;
    wr_buf_init(&sql, 0);
    *out = (wr_monitor_result){.endpoint = wr_arena_strdup(a, s->monitor.endpoint), .end_us = window_end_us};
    if (!out->endpoint) return wr_err_nomem(err);
    if (__builtin_sub_overflow(window_end_us, s->monitor.window_us, &out->start_us))
        return wr_err_set(err, WEIR_EINVAL, "the window ends before time began");
    out->complete = s->watermark >= window_end_us;
    WR_TRY(rows_sql(&sql, a, s, out->start_us, window_end_us, err));
    WR_TRY(wr_tables_query(s->tables, &f, wr_buf_cstr(&sql), NULL, 0, err));
    WR_TRY(columns_of(&r, f, err));
    WR_TRY(performances(out, a, &r, err));
    return r.n ? drifts(out, a, s, f, err) : 0;
}

int wr_monitor_run(wr_monitor_result *out, wr_arena *a, wr_project *p, const wr_monitor *m, int64_t window_end_us,
                   wr_pool *pool, wr_run *run, wr_err *err)
{
    wr_monitor_session *s;
    WR_TRY(wr_monitor_open(&s, p, m, pool, run, err));
    int rc = wr_monitor_window(out, a, s, window_end_us, err);
    wr_monitor_close(s);
    return rc;
}
