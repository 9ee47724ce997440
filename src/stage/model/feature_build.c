/* SPDX-License-Identifier: Apache-2.0 */
/* feature_build.c - the training table of a view. */
#include <math.h>

#include "core/view_source.h"
#include "stage/model/feature.h"

/* Copy column `from` under a new name: same type, same rows. */
static int copy_column(wr_frame *out, const wr_col *from, const char *name, wr_err *err)
{
    wr_col *c = wr_frame_add(out, name, from->type);
    if (!c) return wr_err_set(err, WEIR_EINVAL, "column \"%s\" twice, or out of memory", name);
    if (from->n) memcpy(c->data, from->data, from->n * wr_type_size(from->type));
    for (size_t i = 0; from->valid && i < from->n; i++)
        if (!from->valid[i]) WR_TRY(wr_col_set_missing(c, i));
    for (size_t i = 0; i < from->dict.n; i++) {
        uint32_t code;
        WR_TRY(wr_col_code(c, from->dict.at[i].key, &code));
    }
    return 0;
}

static bool is_feature(const wr_view *v, const char *name)
{
    for (size_t i = 0; i < v->nfeatures; i++)
        if (strcmp(v->features[i].name, name) == 0) return true;
    return false;
}

/* The label column: 0/1 (or the clipped value); share of ones among the rows that have one, for the report. */
static int add_label(wr_frame *out, const wr_view *v, const wr_frame *rows, double *share, wr_err *err)
{
    wr_col *from, *c;
    double ones = 0, known = 0;
    *share = NAN;
    if (!v->label) return 0;
    WR_TRY(wr_frame_need(&from, rows, "_outcome", WR_F64, err));
    c = wr_frame_add(out, v->label, WR_F64);
    if (!c) return wr_err_set(err, WEIR_EINVAL, "label \"%s\" is also another column", v->label);
    for (size_t i = 0; i < from->n; i++) {
        c->f64[i] = wr_view_value_of(&v->label_of, wr_col_num(from, i));
        if (isnan(c->f64[i])) WR_TRY(wr_col_set_missing(c, i));
        else {
            ones += c->f64[i];
            known++;
        }
    }
    *share = known > 0 ? ones / known : NAN;
    return 0;
}

/* Time, known_at, label and kept columns, in this order, before the features. */
static int add_row_columns(wr_frame *out, const wr_view *v, const wr_frame *rows, double *share, wr_err *err)
{
    wr_col *c;
    WR_TRY(wr_frame_resize(out, rows->nrows));
    WR_TRY(wr_frame_need(&c, rows, v->time, WR_TS, err));
    if (!is_feature(v, v->time)) WR_TRY(copy_column(out, c, v->time, err));
    if (v->known_at) {
        WR_TRY(wr_frame_need(&c, rows, "_known_at", WR_TS, err));
        WR_TRY(copy_column(out, c, "known_at", err));
    }
    WR_TRY(add_label(out, v, rows, share, err));
    for (size_t i = 0; i < v->nkeep; i++) {
        WR_TRY(wr_frame_need(&c, rows, v->keep[i], -1, err));
        if (!is_feature(v, v->keep[i])) WR_TRY(copy_column(out, c, v->keep[i], err));
    }
    return 0;
}

static int compute(wr_frame **out, wr_feature_built *b, wr_project *p, wr_tables *t, const wr_view *v, wr_pool *pool,
                   wr_run *run, wr_err *err)
{
    WR_AUTOFRAME wr_frame *rows = NULL, *events = NULL;
    wr_view_rows_opt opt = {0};
    WR_TRY(wr_view_rows(&rows, v, p, t, &opt, run, err));
    if (v->event_source) WR_TRY(wr_view_events(&events, v, p, t, NULL, run, err));
    *out = wr_frame_new();
    if (!*out) return wr_err_nomem(err);
    WR_TRY(add_row_columns(*out, v, rows, &b->label_share, err));
    WR_TRY(wr_view_compute(*out, v, rows, events, pool, err));
    b->rows = rows->nrows;
    b->events = events ? events->nrows : 0;
    b->features = v->nfeatures;
    return 0;
}

static int write(wr_feature_built *b, wr_project *p, wr_tables *t, const wr_view *v, const wr_frame *f, wr_run *run,
                 wr_err *err)
{
    wr_dataset_write_opt opt = {.mode = WR_DELTA_OVERWRITE, .operation = "WRITE", .run_id = wr_run_id(run)};
    wr_delta_snapshot s;
    wr_node node;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_tables_register(t, "_built", f, err));
    int rc = wr_dataset_write(&b->written, t, p, v->name, "SELECT * FROM \"_built\"", &opt, err);
    int drop = wr_tables_register(t, "_built", NULL, NULL);
    WR_TRY(rc);
    WR_TRY(drop);
    WR_TRY(wr_dataset_read(&s, p, v->name, err));
    rc = wr_dataset_node(&node, a, v->name, &s);
    if (rc == 0) wr_run_output(run, &node);
    wr_delta_free(&s);
    return rc < 0 ? wr_err_nomem(err) : 0;
}

int wr_feature_build(wr_feature_built *out, wr_project *p, const wr_view *v, wr_pool *pool, wr_run *run, wr_err *err)
{
    WR_AUTOFRAME wr_frame *f = NULL;
    wr_tables *t;
    wr_node view = wr_view_node(v);
    memset(out, 0, sizeof *out);
    WR_TRY(wr_project_tables(&t, p, NULL, err));
    wr_run_input(run, &view);
    int rc = compute(&f, out, p, t, v, pool, run, err);
    if (rc == 0) rc = write(out, p, t, v, f, run, err);
    wr_tables_close(t);
    wr_run_units(run, (double)out->rows, "rows");
    return rc;
}
