/* SPDX-License-Identifier: Apache-2.0 */
/* logged.c - the rows of a study out of what an endpoint has logged: columns of predictions.ENDPOINT, as
 * stage/predlog/layout.h names them, back into the tensors that were sent. */
#include <math.h>
#include <stdio.h>

#include "core/dataset.h"
#include "core/endpoint.h"
#include "core/view_source.h"
#include "stage/predlog/tables.h"
#include "stage/study/study_inside.h"

/* ---- is there a log? ---- */

int wr_feasibility_has_log(wr_feasibility_work *w, const char *endpoint, wr_err *err)
{
    wr_endpoint e;
    char **datasets;
    size_t n;
    const char *log = wr_arena_printf(w->a, "predictions.%s", endpoint);
    if (!log) return wr_err_nomem(err);
    if (!w->p) return wr_err_set(err, WEIR_ENOTFOUND, "there is no project whose endpoint \"%s\" could be", endpoint);
    WR_TRY(wr_dataset_list(&datasets, &n, w->a, w->p, err));
    for (size_t i = 0; i < n; i++)
        if (strcmp(datasets[i], log) == 0) return 0;
    WR_TRY(wr_endpoint_find(&e, w->a, w->p, endpoint, err));
    wr_err_set(err, WEIR_ENOTFOUND, "no predictions of endpoint \"%s\" are in the lake", endpoint);
    return wr_err_hint(err, WEIR_ENOTFOUND, "weir deploy flush brings what a server has logged there%s",
                       e.path && e.log <= 0 ? "; the endpoint logs with log: all" : "");
}

int wr_feasibility_logged(wr_feasibility_work *w, const char *endpoint, wr_err *err)
{
    WR_AUTOBUF wr_buf sql = {0};
    wr_tables *t;
    if (!wr_name_ok(wr_str_of(endpoint)))
        return wr_err_set(err, WEIR_EINVAL, "\"%s\" is not the name of an endpoint", endpoint);
    WR_TRY(wr_feasibility_has_log(w, endpoint, err));
    wr_buf_printf(&sql, "SELECT * FROM \"predictions.%s\" ORDER BY served_at DESC, prediction_id LIMIT %d", endpoint,
                  WR_FEASIBILITY_ROWS);
    if (sql.failed) return wr_err_nomem(err);
    WR_TRY(wr_project_tables(&t, w->p, NULL, err));
    int rc = wr_query_datasets(&w->logged, w->p, t, wr_buf_cstr(&sql), NULL, err);
    wr_tables_close(t);
    return rc;
}

/* ---- tensors ---- */

/* Values a row of an input whose shape does not say: as many as were logged. */
static size_t logged_width(const wr_frame *f, const wr_tensor_spec *s)
{
    WR_AUTOJSON wr_json j = {0};
    char name[300];
    size_t n = 0;
    const wr_col *c = wr_frame_col(f, s->name);
    if (c && (c->type != WR_TEXT || s->type == WR_TENSOR_BYTES)) return 1;
    if (c && c->n && !wr_col_missing(c, 0)) /* a JSON list */
        return wr_json_parse(&j, wr_col_text(c, 0), s->name, NULL) == 0 ? yyjson_arr_size(j.root) : 0;
    do snprintf(name, sizeof name, "%.200s_%zu", s->name, n);
    while (wr_frame_col(f, name) && ++n);
    return n;
}

/* One row of each input, as a record of the log has it. */
static int shape_of(wr_tensor *t, const wr_frame *f, const wr_tensor_spec *s, wr_err *err)
{
    *t = (wr_tensor){.name = wr_str_of(s->name), .type = s->type, .ndims = s->ndims};
    if (s->ndims < 1 || s->shape[0] != -1)
        return wr_err_set(err, WEIR_EUNSUPPORTED, "input \"%s\" does not take rows", s->name);
    bool taken = false;
    for (int d = 1; d < s->ndims; d++) {
        t->shape[d] = s->shape[d] != -1 ? s->shape[d] : taken ? 1 : (int64_t)logged_width(f, s);
        taken |= s->shape[d] == -1;
    }
    t->shape[0] = 1;
    return wr_tensor_count(t, err);
}

/* Cells that are JSON lists of a row's values. */
static int put_lists(wr_tensor *t, const wr_col *c, size_t width, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    size_t size = wr_tensor_type_size(t->type), used;
    if (!a) return wr_err_nomem(err);
    for (size_t i = 0; i < c->n; i++) {
        wr_tensor row = {.name = t->name, .type = t->type, .ndims = 1, .shape = {(int64_t)width}, .count = width};
        wr_str text = wr_col_missing(c, i) ? WR_STR("") : wr_col_text(c, i);
        int rc = wr_tensor_read_json(&row, &used, text, a, err);
        if (rc < 0) return wr_err_wrap(err, rc, "column \"%s\"", c->name);
        memcpy((char *)t->data + i * width * size, row.data, width * size);
        wr_arena_clear(a);
    }
    return 0;
}

static bool whole(wr_tensor_type t)
{
    return t != WR_TENSOR_BYTES && t != WR_TENSOR_FP64 && t != WR_TENSOR_FP32 && t != WR_TENSOR_FP16 &&
           t != WR_TENSOR_BF16;
}

/* Rows that have a number for each input of whole numbers; the others were logged by another model. */
static int complete_rows(wr_feasibility_work *w, const wr_layout *l, wr_err *err)
{
    wr_frame *kept;
    size_t n = 0;
    uint32_t *take = wr_arena_alloc(w->a, (w->logged->nrows + 1) * sizeof *take);
    if (!take) return wr_err_nomem(err);
    for (size_t i = 0; i < w->logged->nrows; i++) {
        bool good = true;
        for (size_t k = 0; good && k < l->n; k++) {
            const wr_col *c = wr_frame_col(w->logged, l->columns[k].name);
            bool needed = l->columns[k].list || whole(w->m->in[l->columns[k].tensor].type);
            good = !c || !needed || !wr_col_missing(c, i);
        }
        if (good) take[n++] = (uint32_t)i;
    }
    if (n == w->logged->nrows) return 0;
    WR_TRY(wr_frame_take(&kept, w->logged, take, n, err));
    wr_frame_free(w->logged);
    w->logged = kept;
    return 0;
}

/* Input `i` of the model; 1: it was not logged, and may be left out. */
static int fill(wr_feasibility_work *w, wr_tensor *t, const wr_tensor *one, size_t i, const wr_layout *l, wr_err *err)
{
    *t = *one;
    t->name = wr_arena_str(w->a, one->name);
    t->shape[0] = (int64_t)w->logged->nrows;
    WR_TRY(wr_tensor_count(t, err));
    WR_TRY(wr_tensor_alloc(t, w->a, err));
    for (size_t k = 0; k < l->n; k++) {
        const wr_layout_column *at = &l->columns[k];
        if ((size_t)at->tensor != i) continue;
        const wr_col *c = wr_frame_col(w->logged, at->name);
        if (!c && w->m->in[i].optional) return 1;
        if (!c) {
            wr_err_set(err, WEIR_ENOTFOUND, "the model takes \"%s\", which was not logged", at->name);
            return wr_err_hint(err, WEIR_ENOTFOUND, "the endpoint serves a model with other inputs");
        }
        if (at->list) WR_TRY(put_lists(t, c, one->count, err));
        else WR_TRY(wr_feasibility_put_column(w, t, c, at->at, one->count, w->logged->nrows, err));
    }
    return 0;
}

int wr_feasibility_from_log(wr_feasibility_work *w, wr_err *err)
{
    const wr_predictor *p = w->m->predictor;
    wr_layout layout;
    wr_tensor *one = wr_arena_calloc(w->a, w->m->nin + 1, sizeof *one),
              *in = wr_arena_calloc(w->a, w->m->nin + 1, sizeof *in);
    if (!one || !in) return wr_err_nomem(err);
    for (size_t i = 0; i < w->m->nin; i++) WR_TRY(shape_of(&one[i], w->logged, &w->m->in[i], err));
    bool named = w->m->nin == 1 && p->features && p->nfeatures == one[0].count;
    wr_predlog_tensors record = {.rowwise = true, .in = one, .nin = w->m->nin};
    WR_TRY(wr_drain_layout(&layout, w->a, &record, named ? p->features : NULL, named ? p->nfeatures : 0, err));
    WR_TRY(complete_rows(w, &layout, err));
    if (!w->logged->nrows) return wr_err_set(err, WEIR_ENOTFOUND, "nothing was logged that the model takes");
    w->nin = 0;
    for (size_t i = 0; i < w->m->nin; i++) {
        int rc = fill(w, &in[w->nin], &one[i], i, &layout, err);
        if (rc < 0) return rc;
        w->nin += rc == 0;
    }
    w->in = in;
    w->nrows = w->logged->nrows;
    return 0;
}
