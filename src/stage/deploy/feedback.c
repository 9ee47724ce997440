/* SPDX-License-Identifier: Apache-2.0 */
/* feedback.c - the join, as one SQL statement made from the view. */
#include "stage/deploy/feedback.h"

#include "base/clock.h"
#include "core/endpoint.h"
#include "core/package.h"
#include "core/view_source.h"
#include "stage/deploy/drain.h"

typedef struct {
    const wr_feedback_opt *opt;
    wr_project *project;
    wr_arena *arena;
    wr_run *run;
    wr_package *package;
    const wr_view *view;
    const char *predictions, *labels; /* datasets */
} job;

static int find_view(job *j, wr_err *err)
{
    wr_endpoint e;
    wr_model_version v;
    WR_TRY(wr_endpoint_find(&e, j->arena, j->project, j->opt->endpoint, err));
    WR_TRY(wr_model_find(&v, j->arena, j->project, e.model, err));
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

static int make_sql(wr_buf *b, job *j, wr_err *err)
{
    const wr_view *v = j->view;
    char until[WR_TIME_TEXT];
    WR_AUTOBUF wr_buf where;
    wr_buf_init(&where, 0);
    if (j->opt->has_until) {
        wr_time_format(until, j->opt->until_us);
        wr_buf_printf(&where, " WHERE known_at <= TIMESTAMPTZ '%s'", until);
    }
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
    first_of(b, j->labels, "known_at DESC, received_at DESC", wr_buf_cstr(&where));
    wr_buf_str(b, " l USING (prediction_id) ORDER BY p.event_time, p.prediction_id");
    return b->failed || where.failed || wr_arena_failed(j->arena) ? wr_err_nomem(err) : 0;
}

static int record_inputs(job *j, const wr_node *used, size_t n)
{
    wr_node view = wr_view_node(j->view);
    for (size_t i = 0; i < n; i++) wr_run_input(j->run, &used[i]);
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
    WR_TRY(make_sql(&sql, j, err));
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
    if (!j->predictions || !j->labels) return wr_err_nomem(err);
    WR_TRY(need_dataset(j, j->predictions, "predictions", err));
    WR_TRY(need_dataset(j, j->labels, "labels", err));
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
