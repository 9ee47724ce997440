/* SPDX-License-Identifier: Apache-2.0 */
/* feedback.c - the join, as one SQL statement made from the view. */
#include "stage/predlog/feedback.h"

#include "base/clock.h"
#include "core/endpoint.h"
#include "core/package.h"
#include "core/view_source.h"
#include "stage/predlog/tables.h"

typedef struct {
    const wr_feedback_opt *opt;
    wr_project *project;
    wr_arena *arena;
    wr_run *run;
    wr_package *package;
    const wr_view *view; /* NULL: a model without one */
    int64_t ttl_us;
    const char *predictions, *labels, *rewards; /* datasets */
} job;

static int find_view(job *j, wr_err *err)
{
    wr_endpoint e;
    wr_model_version v;
    wr_registered_version r;
    WR_TRY(wr_endpoint_find(&e, j->arena, j->project, j->opt->endpoint, err));
    j->ttl_us = e.feedback_ttl_us;
    if (e.path) return 0;
    WR_TRY(wr_model_registered(&r, j->arena, j->project, e.model, err));
    if (wr_model_find(&v, j->arena, j->project, e.model, NULL) < 0) return 0; /* a client's: it has no package */
    WR_TRY(wr_package_load(&j->package, j->project, v.package, err));
    j->view = wr_package_get(j->package)->view;
    if (j->view->label) return 0;
    return wr_err_set(err, WEIR_EINVAL, "view \"%s\" has no label", j->view->name);
}

static int need_dataset(job *j, const char *name, const char *what, wr_err *err)
{
    if (wr_dataset_exists(j->project, name)) return 0;
    wr_err_set(err, WEIR_ENOTFOUND, "endpoint \"%s\" has no %s in the lake yet", j->opt->endpoint, what);
    return wr_err_hint(err, WEIR_ENOTFOUND, "weir deploy flush brings there what the server has logged");
}

/* ", p.column AS name" */
static void column(wr_buf *b, job *j, const char *name)
{
    const char *kept = wr_drain_column(j->arena, name);
    wr_buf_str(b, ", p.");
    wr_sql_ident(b, wr_str_of(kept ? kept : name));
    wr_buf_str(b, " AS ");
    wr_sql_ident(b, wr_str_of(name));
}

static bool is_feature(const wr_view *v, const char *name)
{
    for (size_t i = 0; i < v->nfeatures; i++)
        if (strcmp(v->features[i].name, name) == 0) return true;
    return false;
}

static void first_of(wr_buf *b, const char *dataset, const char *order, const char *where)
{
    wr_buf_str(b, "(SELECT * FROM ");
    wr_sql_ident(b, wr_str_of(dataset));
    wr_buf_printf(b, "%s QUALIFY row_number() OVER (PARTITION BY prediction_id ORDER BY %s) = 1)", where, order);
}

/* Late is what came longer than that after the prediction was served. */
static void put_ttl(wr_buf *b, const job *j, const char *of)
{
    wr_buf_printf(b, " AND epoch_us(%s.received_at) - epoch_us(p.served_at) <= %lld", of, (long long)j->ttl_us);
}

static const char latest[] = "known_at DESC, received_at DESC";

static void put_until(wr_buf *where, const job *j)
{
    char until[WR_TIME_TEXT];
    if (!j->opt->has_until) return;
    wr_time_format(until, j->opt->until_us);
    wr_buf_printf(where, " WHERE known_at <= TIMESTAMPTZ '%s'", until);
}

/* Of a model without a view: all that was logged of a prediction, and what came true of it. */
static int make_plain_sql(wr_buf *b, job *j, wr_err *err)
{
    WR_AUTOBUF wr_buf where = {0};
    put_until(&where, j);
    wr_buf_str(b, "SELECT p.*");
    if (j->labels) wr_buf_str(b, ", l.* EXCLUDE (prediction_id, received_at)");
    if (j->rewards) wr_buf_printf(b, ", r.reward AS reward%s", j->labels ? "" : ", r.known_at AS known_at");
    wr_buf_str(b, " FROM ");
    first_of(b, j->predictions, "served_at", "");
    wr_buf_str(b, " p");
    if (j->labels) {
        wr_buf_printf(b, "%s ", j->rewards ? " LEFT JOIN" : " JOIN");
        first_of(b, j->labels, latest, wr_buf_cstr(&where));
        wr_buf_str(b, " l ON l.prediction_id = p.prediction_id");
        put_ttl(b, j, "l");
    }
    if (j->rewards) {
        wr_buf_printf(b, "%s ", j->labels ? " LEFT JOIN" : " JOIN");
        first_of(b, j->rewards, latest, wr_buf_cstr(&where));
        wr_buf_str(b, " r ON r.prediction_id = p.prediction_id");
        put_ttl(b, j, "r");
    }
    if (j->labels && j->rewards) wr_buf_str(b, " WHERE l.prediction_id IS NOT NULL OR r.prediction_id IS NOT NULL");
    wr_buf_str(b, " ORDER BY p.served_at, p.prediction_id");
    return b->failed || where.failed ? wr_err_nomem(err) : 0;
}

static int make_sql(wr_buf *b, job *j, wr_err *err)
{
    const wr_view *v = j->view;
    WR_AUTOBUF wr_buf where = {0};
    put_until(&where, j);
    wr_buf_str(b, "SELECT p.prediction_id");
    if (!is_feature(v, v->time)) {
        wr_buf_str(b, ", p.event_time AS ");
        wr_sql_ident(b, wr_str_of(v->time));
    }
    if (v->known_at) wr_buf_str(b, ", l.known_at AS known_at");
    wr_buf_str(b, ", l.label AS ");
    wr_sql_ident(b, wr_str_of(v->label));
    for (size_t i = 0; i < v->nfeatures; i++) column(b, j, v->features[i].name);
    wr_buf_str(b, " FROM ");
    first_of(b, j->predictions, "served_at", "");
    wr_buf_str(b, " p JOIN ");
    first_of(b, j->labels, latest, wr_buf_cstr(&where));
    wr_buf_str(b, " l USING (prediction_id) WHERE l.label IS NOT NULL");
    put_ttl(b, j, "l");
    wr_buf_str(b, " ORDER BY p.event_time, p.prediction_id");
    return b->failed || where.failed || wr_arena_failed(j->arena) ? wr_err_nomem(err) : 0;
}

static int record_inputs(job *j, const wr_node *used, size_t n)
{
    for (size_t i = 0; i < n; i++) wr_run_input(j->run, &used[i]);
    if (!j->view) return 0;
    wr_node view = wr_view_node(j->view);
    wr_run_input(j->run, &view);
    return 0;
}

static int record_output(job *j, wr_err *err)
{
    wr_delta_snapshot s;
    wr_node node;
    WR_TRY(wr_dataset_read(&s, j->project, j->opt->out, err));
    int rc = wr_dataset_node(&node, j->arena, j->opt->out, &s);
    if (rc == 0) wr_run_output(j->run, &node);
    wr_delta_free(&s);
    return rc < 0 ? wr_err_nomem(err) : 0;
}

static int count_predictions(wr_feedback_made *out, job *j, wr_tables *t, wr_err *err)
{
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    wr_buf_str(&b, "SELECT count(DISTINCT prediction_id) FROM ");
    wr_sql_ident(&b, wr_str_of(j->predictions));
    return b.failed ? wr_err_nomem(err) : wr_tables_i64(t, &out->predictions, wr_buf_cstr(&b), err);
}

static int join(wr_feedback_made *out, job *j, wr_tables *t, wr_err *err)
{
    WR_AUTOBUF wr_buf sql;
    wr_node *used;
    size_t n;
    wr_dataset_write_opt w = {.mode = WR_DELTA_OVERWRITE, .operation = "WRITE", .run_id = wr_run_id(j->run)};
    wr_buf_init(&sql, 0);
    WR_TRY(j->view ? make_sql(&sql, j, err) : make_plain_sql(&sql, j, err));
    WR_TRY(wr_dataset_views_for(t, j->project, wr_buf_cstr(&sql), &used, &n, j->arena, err));
    WR_TRY(record_inputs(j, used, n));
    WR_TRY(count_predictions(out, j, t, err));
    WR_TRY(wr_dataset_write(&out->written, t, j->project, j->opt->out, wr_buf_cstr(&sql), &w, err));
    return record_output(j, err);
}

static int make(wr_feedback_made *out, job *j, wr_err *err)
{
    wr_tables *t;
    WR_TRY(find_view(j, err));
    j->predictions = wr_arena_printf(j->arena, "predictions.%s", j->opt->endpoint);
    j->labels = wr_arena_printf(j->arena, "labels.%s", j->opt->endpoint);
    j->rewards = wr_arena_printf(j->arena, "rewards.%s", j->opt->endpoint);
    if (!j->predictions || !j->labels || !j->rewards) return wr_err_nomem(err);
    WR_TRY(need_dataset(j, j->predictions, "predictions", err));
    if (j->view || !wr_dataset_exists(j->project, j->rewards)) j->rewards = NULL;
    if (!j->rewards) WR_TRY(need_dataset(j, j->labels, "labels", err));
    if (!wr_dataset_exists(j->project, j->labels)) j->labels = NULL;
    WR_TRY(wr_project_tables(&t, j->project, NULL, err));
    int rc = join(out, j, t, err);
    wr_tables_close(t);
    wr_run_metric(j->run, "rows", (double)out->written.rows);
    wr_run_metric(j->run, "predictions", (double)out->predictions);
    wr_run_units(j->run, (double)out->written.rows, "rows");
    return rc;
}

int wr_feedback(wr_feedback_made *out, wr_project *p, const wr_feedback_opt *opt, wr_run *run, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    job j = {.opt = opt, .project = p, .arena = a, .run = run};
    memset(out, 0, sizeof *out);
    if (!a) return wr_err_nomem(err);
    int rc = make(out, &j, err);
    wr_package_free(j.package);
    return rc;
}
