/* SPDX-License-Identifier: Apache-2.0 */
/* mlflow_db_trace.c - traces: the row, tags, metadata, spans where the database has them, assessments, ties to runs. */
#include "base/vec.h"
#include "stage/import/mlflow_db.h"

static int load_spans(wr_mlflowdb *m, wr_arena *a, wr_import_trace_row *out, wr_err *err)
{
    static const char sql[] = "SELECT span_id, parent_span_id, content FROM spans WHERE trace_id = ?";
    WR_VEC(wr_span) rows = {0};
    wr_stmt *s;
    int rc;
    wr_span_trace *t = wr_arena_calloc(a, 1, sizeof *t);
    if (!t) return wr_err_nomem(err);
    *t = (wr_span_trace){.uuid = out->trace.uuid, .root = -1, .start_ms = out->trace.time_ms, .end_ms = WR_SPAN_NO_END};
    WR_TRY(wr_mlflowdb_query(&s, m->db, err, sql, "s", out->trace.uuid));
    while ((rc = wr_step(s, err)) > 0) {
        wr_span span;
        wr_str parent = wr_stmt_null(s, 1) ? (wr_str){NULL, 0} : wr_stmt_str(s, 1);
        rc = wr_import_span(&span, a, wr_stmt_str(s, 0), parent, wr_stmt_str(s, 2), err);
        if (rc == 0) rc = wr_vec_add(&rows, span, err);
        if (rc < 0) break;
        t->usage |= span.usage.p != NULL;
        t->cost |= span.cost.p != NULL;
    }
    wr_stmt_done(s);
    WR_TRY(wr_vec_keep(&t->spans, &t->n, a, &rows, rc, err));
    out->spans = (wr_span_batch){.traces = t, .n = t->n ? 1 : 0, .nspans = t->n};
    return 0;
}

static wr_assessment assessment_row(wr_arena *a, wr_stmt *s)
{
    wr_str kind = wr_stmt_str(s, 2);
    return (wr_assessment){.id = wr_mlflowdb_word(a, s, 0),
                           .name = wr_mlflowdb_word(a, s, 1),
                           .kind = wr_str_is(kind, "expectation") ? WR_ASSESS_EXPECTATION
                                   : wr_str_is(kind, "issue")     ? WR_ASSESS_ISSUE
                                                                  : WR_ASSESS_FEEDBACK,
                           .value = wr_mlflowdb_word(a, s, 3),
                           .error = wr_stmt_text(a, s, 4),
                           .created_ms = wr_stmt_i64(s, 5),
                           .updated_ms = wr_stmt_i64(s, 6),
                           .source_type = wr_mlflowdb_word(a, s, 7),
                           .source_id = wr_stmt_text(a, s, 8),
                           .run = wr_stmt_text(a, s, 9),
                           .span = wr_stmt_text(a, s, 10),
                           .rationale = wr_stmt_text(a, s, 11),
                           .overrides = wr_stmt_text(a, s, 12),
                           .valid = wr_stmt_i64(s, 13) != 0,
                           .metadata = wr_stmt_text(a, s, 14)};
}

static int load_assessments(wr_mlflowdb *m, wr_arena *a, wr_trace *t, wr_err *err)
{
    static const char sql[] =
        "SELECT assessment_id, name, assessment_type, value, error, created_timestamp, last_updated_timestamp,"
        " source_type, source_id, run_id, span_id, rationale, overrides, CASE WHEN valid THEN 1 ELSE 0 END,"
        " assessment_metadata FROM assessments WHERE trace_id = ? ORDER BY created_timestamp, assessment_id";
    WR_VEC(wr_assessment) rows = {0};
    wr_stmt *s;
    int rc;
    WR_TRY(wr_mlflowdb_query(&s, m->db, err, sql, "s", t->uuid));
    while ((rc = wr_step(s, err)) > 0) {
        wr_assessment x = assessment_row(a, s);
        x.trace = t->uuid;
        if ((rc = wr_vec_add(&rows, x, err)) < 0) break;
    }
    wr_stmt_done(s);
    return wr_vec_keep(&t->assessments, &t->nassessments, a, &rows, rc, err);
}

static int load_runs(wr_mlflowdb *m, wr_arena *a, wr_import_trace_row *out, wr_err *err)
{
    static const char sql[] =
        "SELECT destination_id, '' FROM entity_associations WHERE source_type = 'trace' AND destination_type = 'run'"
        " AND source_id = ?";
    wr_track_item *items;
    WR_TRY(wr_mlflowdb_items(&items, &out->nruns, a, m->db, sql, out->trace.uuid, err));
    wr_str *runs = wr_arena_calloc(a, out->nruns + 1, sizeof *runs);
    if (!runs) return wr_err_nomem(err);
    for (size_t i = 0; i < out->nruns; i++) runs[i] = items[i].key;
    out->runs = runs;
    return 0;
}

/* What later versions keep in columns earlier ones keep here. */
static int append(wr_track_item **items, size_t *n, wr_arena *a, const char *key, wr_str value)
{
    wr_track_item *more = value.p ? wr_arena_calloc(a, *n + 1, sizeof *more) : NULL;
    if (!value.p) return 0;
    if (!more) return WEIR_ENOMEM;
    memcpy(more, *items, *n * sizeof *more);
    more[(*n)++] = (wr_track_item){wr_str_of(key), value};
    *items = more;
    return 0;
}

static int load(wr_mlflowdb *m, wr_arena *a, wr_import_trace_row *out, wr_err *err)
{
    static const char tags[] = "SELECT key, value FROM trace_tags WHERE request_id = ?",
                      metadata[] = "SELECT key, value FROM trace_request_metadata WHERE request_id = ?";
    wr_trace *t = &out->trace;
    WR_TRY(wr_mlflowdb_items(&t->tags, &t->ntags, a, m->db, tags, t->uuid, err));
    WR_TRY(wr_mlflowdb_items(&t->metadata, &t->nmetadata, a, m->db, metadata, t->uuid, err));
    if (append(&t->tags, &t->ntags, a, "mlflow.traceName", t->name) < 0 ||
        append(&t->metadata, &t->nmetadata, a, "mlflow.trace.session", t->session) < 0)
        return wr_err_nomem(err);
    if (m->spans) WR_TRY(load_spans(m, a, out, err));
    if (m->assessments) WR_TRY(load_assessments(m, a, t, err));
    return m->associations ? load_runs(m, a, out, err) : 0;
}

#define COLUMNS "SELECT request_id, experiment_id, timestamp_ms, execution_time_ms, status"
#define PLACE   " FROM trace_info WHERE request_id > ? ORDER BY request_id LIMIT 1"

/* Columns of tokens and costs are sums over the spans, which are made again. */
int wr_mlflowdb_next_trace(wr_mlflowdb *m, wr_arena *a, wr_import_trace_row *out, wr_err *err)
{
    static const char first[] = COLUMNS ", NULL, NULL, NULL, NULL, NULL" PLACE,
                      second[] = COLUMNS ", client_request_id, request_preview, response_preview, NULL, NULL" PLACE,
                      third[] = COLUMNS
                      ", client_request_id, request_preview, response_preview, trace_name, session_id" PLACE;
    const char *sql = m->trace_name ? third : m->trace_columns ? second : first;
    wr_stmt *s;
    int rc = wr_mlflowdb_first(&s, m->db, err, sql, "s", wr_buf_view(&m->last_s));
    if (rc <= 0) return rc;
    *out = (wr_import_trace_row){.trace = {.uuid = wr_mlflowdb_word(a, s, 0),
                                           .experiment = wr_stmt_i64(s, 1),
                                           .time_ms = wr_stmt_i64(s, 2),
                                           .duration_ms = wr_mlflowdb_number(s, 3, WR_TRACE_NONE),
                                           .state = wr_trace_state_parse(wr_stmt_str(s, 4)),
                                           .client_request_id = wr_stmt_text(a, s, 5),
                                           .request_preview = wr_stmt_text(a, s, 6),
                                           .response_preview = wr_stmt_text(a, s, 7),
                                           .name = wr_stmt_text(a, s, 8),
                                           .session = wr_stmt_text(a, s, 9)}};
    if (out->trace.state < 0) out->trace.state = WR_TRACE_UNSPECIFIED;
    wr_stmt_done(s);
    wr_buf_clear(&m->last_s);
    wr_buf_slice(&m->last_s, out->trace.uuid);
    rc = load(m, a, out, err);
    return rc < 0 ? rc : 1;
}
