/* SPDX-License-Identifier: Apache-2.0 */
/* trace_assessment.c - assessments: reading, making, changing, overriding. */
#include "track/trace_assessment.h"

#include <math.h>

#include "codec/json.h"
#include "track/run.h"
#include "track/trace_inside.h"

enum { NAME = 250, ID = 50 };

#define COLUMNS                                                                                                        \
    "x.id, x.name, x.kind, x.value, x.error, x.created_ms, x.updated_ms, x.source_type, x.source_id, x.run, x.span, "  \
    "x.rationale, "                                                                                                    \
    "x.overrides, x.valid, x.metadata"

static wr_assessment row_of(wr_arena *a, wr_stmt *s, wr_str trace)
{
    return (wr_assessment){.id = wr_arena_str(a, wr_stmt_str(s, 0)),
                           .trace = trace,
                           .name = wr_arena_str(a, wr_stmt_str(s, 1)),
                           .kind = (wr_assess_kind)wr_stmt_i64(s, 2),
                           .value = wr_arena_str(a, wr_stmt_str(s, 3)),
                           .error = wr_stmt_text(a, s, 4),
                           .created_ms = wr_stmt_i64(s, 5),
                           .updated_ms = wr_stmt_i64(s, 6),
                           .source_type = wr_arena_str(a, wr_stmt_str(s, 7)),
                           .source_id = wr_stmt_text(a, s, 8),
                           .run = wr_stmt_text(a, s, 9),
                           .span = wr_stmt_text(a, s, 10),
                           .rationale = wr_stmt_text(a, s, 11),
                           .overrides = wr_stmt_text(a, s, 12),
                           .valid = wr_stmt_i64(s, 13) != 0,
                           .metadata = wr_stmt_text(a, s, 14)};
}

int wr_assessments_of(wr_assessment **out, size_t *n, wr_arena *a, wr_track *t, int64_t trace, wr_str uuid, wr_err *err)
{
    wr_stmt *s;
    WR_VEC(wr_assessment) rows = {0};
    int rc;
    WR_TRY(wr_track_query(&s, t, err,
                          "SELECT " COLUMNS " FROM track_assessments x WHERE x.trace = ? ORDER BY x.created_ms, x.id",
                          "i", trace));
    while ((rc = wr_step(s, err)) > 0)
        if ((rc = wr_vec_add(&rows, row_of(a, s, uuid), err)) < 0) break;
    wr_stmt_done(s);
    return wr_vec_keep(out, n, a, &rows, rc, err);
}

static int not_found(wr_err *err, wr_str id, wr_str trace)
{
    return wr_err_set(err, WEIR_ENOTFOUND, "Assessment with ID '%.*s' not found for trace '%.*s'",
                      WR_STR_FMT(wr_str_fit(id, 60)), WR_STR_FMT(wr_str_fit(trace, 60)));
}

int wr_assessment_get(wr_assessment *out, wr_arena *a, wr_track *t, wr_str trace, wr_str id, wr_err *err)
{
    wr_stmt *s;
    wr_trace tr;
    int rc = wr_trace_get(&tr, a, t, trace, err);
    if (rc == WEIR_ENOTFOUND)
        return wr_err_set(err, rc, "Trace with request_id '%.*s' not found", WR_STR_FMT(wr_str_fit(trace, 60)));
    if (rc < 0) return rc;
    WR_TRY(wr_track_query(&s, t, err, "SELECT " COLUMNS " FROM track_assessments x WHERE x.id = ? AND x.trace = ?",
                          "si", id, tr.id));
    rc = wr_step(s, err);
    if (rc > 0) *out = row_of(a, s, tr.uuid);
    wr_stmt_done(s);
    if (rc == 0) return not_found(err, id, trace);
    return rc > 0 && wr_arena_failed(a) ? wr_err_nomem(err) : rc < 0 ? rc : 0;
}

/* ---- writing ---- */

/* The number that a value is, for comparing; NaN (no number) otherwise. */
static double number_of(wr_str json)
{
    WR_AUTOJSON wr_json j = {0};
    if (!json.n || !strchr("-0123456789", *json.p) || wr_json_parse_lenient(&j, json, NULL) < 0 ||
        !yyjson_is_num(j.root))
        return NAN;
    double v = yyjson_get_num(j.root);
    return isfinite(v) ? v : NAN;
}

static int check(const wr_assessment *in, wr_err *err)
{
    if (!in->name.n)
        return wr_err_set(err, WEIR_EINVAL, "Missing value for required parameter 'assessment.assessment_name'.");
    WR_TRY(wr_track_length_check(in->name, NAME, "assessment_name", err));
    WR_TRY(wr_track_length_check(in->id, ID, "assessment_id", err));
    WR_TRY(wr_track_length_check(in->source_id, NAME, "source_id", err));
    return wr_track_length_check(in->span, ID, "span_id", err);
}

static void bind_text(wr_stmt *s, int at, wr_str v)
{
    if (v.p) wr_bind_str(s, at, v);
    else wr_bind_cstr(s, at, NULL);
}

static int insert(wr_track *t, int64_t trace, const wr_assessment *in, bool replace, wr_err *err)
{
    static const char sql[] =
        "INSERT INTO track_assessments (id, trace, name, kind, value, number, error, created_ms, updated_ms, "
        "source_type, source_id, run, "
        "span, rationale, overrides, valid, metadata) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    static const char again[] =
        " ON CONFLICT (id) DO UPDATE SET trace = excluded.trace, name = excluded.name, kind = excluded.kind, value = "
        "excluded.value, "
        "number = excluded.number, error = excluded.error, created_ms = excluded.created_ms, updated_ms = "
        "excluded.updated_ms, "
        "source_type = excluded.source_type, source_id = excluded.source_id, run = excluded.run, span = excluded.span, "
        "rationale = excluded.rationale, overrides = excluded.overrides, valid = excluded.valid, metadata = "
        "excluded.metadata";
    char text[sizeof sql + sizeof again];
    wr_stmt *s;
    snprintf(text, sizeof text, "%s%s", sql, replace ? again : "");
    WR_TRY(wr_db_prepare(wr_track_db(t), &s, text, err));
    wr_bind_str(s, 1, in->id);
    wr_bind_i64(s, 2, trace);
    wr_bind_str(s, 3, in->name);
    wr_bind_i64(s, 4, in->kind);
    wr_bind_str(s, 5, in->value);
    wr_bind_f64(s, 6, number_of(in->value));
    bind_text(s, 7, in->error);
    wr_bind_i64(s, 8, in->created_ms);
    wr_bind_i64(s, 9, in->updated_ms);
    wr_bind_str(s, 10, in->source_type);
    bind_text(s, 11, in->source_id);
    bind_text(s, 12, in->run);
    bind_text(s, 13, in->span);
    bind_text(s, 14, in->rationale);
    bind_text(s, 15, in->overrides);
    wr_bind_i64(s, 16, in->valid);
    bind_text(s, 17, in->metadata);
    int rc = wr_step(s, err);
    wr_stmt_done(s);
    return rc < 0 ? rc : 0;
}

static int complete(wr_assessment *in, wr_arena *a, wr_err *err)
{
    WR_TRY(check(in, err));
    int64_t now = wr_track_now_ms();
    if (!in->created_ms) in->created_ms = now;
    if (!in->updated_ms) in->updated_ms = now;
    if (in->id.n) return 0;
    char id[33];
    wr_track_new_id(id);
    char *made = wr_arena_printf(a, "a-%s", id);
    if (!made) return wr_err_nomem(err);
    in->id = wr_str_of(made);
    return 0;
}

int wr_assessment_put(wr_track *t, int64_t trace, wr_arena *a, wr_assessment *in, wr_err *err)
{
    WR_TRY(complete(in, a, err));
    return insert(t, trace, in, true, err);
}

int wr_assessment_create(wr_track *t, wr_arena *a, wr_assessment *in, wr_err *err)
{
    wr_trace tr;
    WR_TRY(wr_trace_get(&tr, a, t, in->trace, err));
    WR_TRY(complete(in, a, err));
    in->valid = true;
    if (in->overrides.n) {
        int rc = wr_track_exec(t, err, "UPDATE track_assessments SET valid = 0 WHERE id = ? AND trace = ? RETURNING 1",
                               "si", in->overrides, tr.id);
        if (rc == 0) return not_found(err, in->overrides, in->trace);
        if (rc < 0) return rc;
    }
    return insert(t, tr.id, in, false, err);
}

int wr_assessment_update(wr_track *t, const wr_assessment *in, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(check(in, err));
    WR_TRY(wr_db_prepare(
        wr_track_db(t), &s,
        "UPDATE track_assessments SET name = ?, value = ?, number = ?, error = ?, rationale = ?, metadata = ?, "
        "updated_ms = ? WHERE id = ?",
        err));
    wr_bind_str(s, 1, in->name);
    wr_bind_str(s, 2, in->value);
    wr_bind_f64(s, 3, number_of(in->value));
    bind_text(s, 4, in->error);
    bind_text(s, 5, in->rationale);
    bind_text(s, 6, in->metadata);
    wr_bind_i64(s, 7, in->updated_ms);
    wr_bind_str(s, 8, in->id);
    int rc = wr_step(s, err);
    wr_stmt_done(s);
    return rc < 0 ? rc : 0;
}

int wr_assessment_delete(wr_track *t, wr_arena *a, wr_str trace, wr_str id, wr_err *err)
{
    wr_assessment x;
    int rc = wr_assessment_get(&x, a, t, trace, id, err);
    if (rc == WEIR_ENOTFOUND) return 0;
    if (rc < 0) return rc;
    if (x.overrides.n)
        WR_TRY(wr_track_exec(t, err, "UPDATE track_assessments SET valid = 1 WHERE id = ?", "s", x.overrides));
    rc = wr_track_exec(t, err, "DELETE FROM track_assessments WHERE id = ?", "s", id);
    return rc < 0 ? rc : 0;
}
