/* SPDX-License-Identifier: Apache-2.0 */
/* search_experiment.c - searching experiments, and the datasets that experiments' runs read. */
#include "track/search_experiment.h"

#include "track/search.h"
#include "track/track_inside.h"

static const wr_filter_field attributes[] = {
    {.names = "name", .ops = WR_OPS_TEXT, .more = WR_OPS_MORE, .order = true, .always = true, .column = "e.name"},
    {.names = "experiment_id",
     .ops = WR_OP_EQ | WR_OP_NE | WR_OPS_IN,
     .number_more = WR_OPS_NUMBER | WR_OPS_NUMBER_MORE,
     .order = true,
     .column = "CAST(e.id AS TEXT)",
     .number = "e.id",
     .sort = "e.id"},
    {.names = "creation_time",
     .number_ops = WR_OPS_NUMBER,
     .number_more = WR_OPS_NUMBER_MORE,
     .integers = true,
     .order = true,
     .column = "e.created_ms"},
    {.names = "last_update_time",
     .number_ops = WR_OPS_NUMBER,
     .number_more = WR_OPS_NUMBER_MORE,
     .integers = true,
     .order = true,
     .column = "e.updated_ms"},
    {0}};
static const wr_filter_field tags[] = {{.names = "*",
                                        .ops = WR_OPS_TEXT | WR_OPS_NULL,
                                        .more = WR_OPS_MORE,
                                        .table = "experiment_tags $",
                                        .link = "$.experiment = e.id AND $.key = ?",
                                        .column = "$.value"},
                                       {0}};
static const wr_filter_entity entities[] = {
    {.names = "attribute|attributes", .bare = true, .fields = attributes}, {.names = "tag|tags", .fields = tags}, {0}};
const wr_filter_noun wr_experiment_noun = {.name = "experiment", .entities = entities};

static const char *const defaults[] = {"creation_time DESC", "experiment_id ASC", NULL};
static const char *const ties[] = {"experiment_id DESC", NULL};

static int read_rows(wr_experiment **out, size_t *n, wr_search *s, wr_arena *a, wr_err *err)
{
    WR_VEC(wr_experiment) rows = {0};
    int rc;
    while ((rc = wr_search_next(s, err)) > 0) {
        wr_experiment e = {.id = wr_stmt_i64(s->row, 0),
                           .name = wr_arena_str(a, wr_stmt_str(s->row, 1)),
                           .location = wr_arena_str(a, wr_stmt_str(s->row, 2)),
                           .deleted = wr_stmt_i64(s->row, 3) != 0,
                           .created_ms = wr_stmt_i64(s->row, 4),
                           .updated_ms = wr_stmt_i64(s->row, 5)};
        if ((rc = wr_vec_add(&rows, e, err)) < 0) break;
    }
    return wr_vec_keep(out, n, a, &rows, rc, err);
}

int wr_experiment_search(wr_experiment **out, size_t *n, wr_str *next, wr_arena *a, wr_track *t,
                         const wr_experiment_search_opt *opt, wr_err *err)
{
    wr_search s = {.noun = &wr_experiment_noun,
                   .columns = "e.id, e.name, e.location, e.deleted, e.created_ms, e.updated_ms",
                   .ncolumns = 6,
                   .from = "experiments e",
                   .defaults = defaults,
                   .ties = ties,
                   .filter = opt->filter,
                   .token = opt->token,
                   .order = opt->order,
                   .norder = opt->norder,
                   .max = opt->max};
    if (opt->view == WR_VIEW_ACTIVE) wr_sql_add(&s.scope, "e.deleted = 0");
    else if (opt->view == WR_VIEW_DELETED) wr_sql_add(&s.scope, "e.deleted <> 0");
    int rc = wr_search_begin(&s, a, t, err);
    if (rc == 0) rc = read_rows(out, n, &s, a, err);
    WR_TRY(wr_search_end(&s, rc, next, err));
    for (size_t i = 0; i < *n; i++) WR_TRY(wr_experiment_tags(&(*out)[i], a, t, err));
    return 0;
}

/* ---- datasets ---- */

static int read_summaries(wr_track_dataset_summary **out, size_t *n, wr_arena *a, wr_stmt *s, wr_err *err)
{
    WR_VEC(wr_track_dataset_summary) rows = {0};
    int rc;
    while ((rc = wr_step(s, err)) > 0) {
        wr_track_dataset_summary d = {.experiment = wr_stmt_i64(s, 0),
                                      .name = wr_arena_str(a, wr_stmt_str(s, 1)),
                                      .digest = wr_arena_str(a, wr_stmt_str(s, 2))};
        d.context = wr_stmt_text(a, s, 3);
        if ((rc = wr_vec_add(&rows, d, err)) < 0) break;
    }
    wr_stmt_done(s);
    return wr_vec_keep(out, n, a, &rows, rc, err);
}

int wr_track_dataset_search(wr_track_dataset_summary **out, size_t *n, wr_arena *a, wr_track *t,
                            const int64_t *experiments, size_t nexperiments, size_t max, wr_err *err)
{
    WR_AUTOSQL wr_sql q = {0};
    wr_stmt *s;
    wr_sql_add(&q, "SELECT DISTINCT d.experiment, d.name, d.digest, i.context FROM track_datasets d"
                   " JOIN track_inputs i ON i.dataset = d.id WHERE d.experiment IN (");
    for (size_t i = 0; i < nexperiments; i++) {
        if (i) wr_sql_add(&q, ", ");
        wr_sql_i64(&q, experiments[i]);
    }
    if (nexperiments == 0) wr_sql_add(&q, "NULL");
    wr_sql_add(&q, ") ORDER BY d.experiment, d.name, d.digest, i.context LIMIT ");
    wr_sql_i64(&q, (int64_t)max);
    WR_TRY(wr_sql_prepare(&s, t, &q, err));
    return read_summaries(out, n, a, s, err);
}
