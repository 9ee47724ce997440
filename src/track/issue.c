/* SPDX-License-Identifier: Apache-2.0 */
/* issue.c - issues. Severity is kept as its rank. */
#include "track/issue.h"

#include <stdio.h>

#include "track/experiment.h"
#include "track/run.h"
#include "track/search.h"
#include "track/trace.h"
#include "track/track_inside.h"

enum { NAME = 250, DESCRIPTION = 100000, USER = 255 };

static const char *const statuses[] = {"pending", "rejected", "resolved"};
static const char *const severities[] = {"not_an_issue", "low", "medium", "high"};
enum { STATUSES = sizeof statuses / sizeof *statuses, SEVERITIES = sizeof severities / sizeof *severities };

#define STRING_(x) #x
#define STRING(x)  STRING_(x)
#define TRACES                                                                                                         \
    "(SELECT count(DISTINCT a.trace) FROM track_assessments a WHERE a.name = i.uuid AND a.kind = " STRING(             \
        ISSUE_KIND) ")"
#define ISSUE_KIND 3 /* in SQL */
_Static_assert(ISSUE_KIND == WR_ASSESS_ISSUE, "the kind of assessments that tie traces to issues");

/* ---- what a search may name ---- */

static const wr_filter_field attributes[] = {
    {.names = "status", .ops = WR_OP_EQ | WR_OP_NE, .more = WR_OPS_TEXT | WR_OPS_MORE, .column = "i.status"},
    {.names = "source_run_id", .ops = WR_OP_EQ | WR_OP_NE, .more = WR_OPS_TEXT | WR_OPS_MORE, .column = "i.run_id"},
    {.names = "name", .more = WR_OPS_TEXT | WR_OPS_MORE, .column = "i.name"},
    {.names = "issue_id", .more = WR_OPS_TEXT | WR_OPS_MORE, .column = "i.uuid", .order = true},
    {.names = "severity_rank", .number_more = WR_OPS_NUMBER, .integers = true, .always = true, .column = "i.severity"},
    {.names = "trace_count", .number_more = WR_OPS_NUMBER, .integers = true, .always = true, .column = TRACES},
    {.names = "created_timestamp",
     .number_more = WR_OPS_NUMBER,
     .integers = true,
     .always = true,
     .column = "i.created_ms"},
    {0}};
static const wr_filter_entity entities[] = {{.names = "attribute|attributes", .bare = true, .fields = attributes}, {0}};
static const wr_filter_noun noun = {.name = "issue", .entities = entities};
static const char *const defaults[] = {"severity_rank DESC", "created_timestamp DESC", NULL};
static const char *const counted_defaults[] = {"severity_rank DESC", "trace_count DESC", "created_timestamp DESC",
                                               NULL};
static const char *const ties[] = {"issue_id DESC", NULL};

/* ---- reading ---- */

#define COLUMNS                                                                                                        \
    "i.id, i.experiment, i.created_ms, i.updated_ms, i.uuid, i.name, i.description, i.status, i.severity, i.run_id, "  \
    "i.created_by, i.causes, i.categories"
enum { NCOLUMNS = 13 };

static wr_issue row_of(wr_stmt *s, wr_arena *a)
{
    int64_t rank = wr_stmt_i64(s, 8);
    return (wr_issue){.id = wr_stmt_i64(s, 0),
                      .experiment = wr_stmt_i64(s, 1),
                      .created_ms = wr_stmt_i64(s, 2),
                      .updated_ms = wr_stmt_i64(s, 3),
                      .traces = -1,
                      .uuid = wr_stmt_text(a, s, 4),
                      .name = wr_stmt_text(a, s, 5),
                      .description = wr_stmt_text(a, s, 6),
                      .status = wr_stmt_text(a, s, 7),
                      .severity = rank >= 0 && rank < SEVERITIES ? wr_str_of(severities[rank]) : (wr_str){NULL, 0},
                      .run_id = wr_stmt_text(a, s, 9),
                      .created_by = wr_stmt_text(a, s, 10),
                      .causes = wr_stmt_text(a, s, 11),
                      .categories = wr_stmt_text(a, s, 12)};
}

int wr_issue_get(wr_issue *out, wr_arena *a, wr_track *t, wr_str uuid, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_track_query(&s, t, err, "SELECT " COLUMNS " FROM track_issues i WHERE i.uuid = ?", "s", uuid));
    int rc = wr_step(s, err);
    if (rc > 0) *out = row_of(s, a);
    wr_stmt_done(s);
    if (rc == 0)
        return wr_err_set(err, WEIR_ENOTFOUND, "Issue with ID '%.*s' not found", WR_STR_FMT(wr_str_fit(uuid, 64)));
    return rc < 0 ? rc : wr_arena_failed(a) ? wr_err_nomem(err) : 0;
}

static int read_rows(wr_issue **out, size_t *n, wr_search *s, wr_arena *a, bool counted, wr_err *err)
{
    WR_VEC(wr_issue) rows = {0};
    int rc;
    while ((rc = wr_search_next(s, err)) > 0) {
        wr_issue i = row_of(s->row, a);
        if (counted) i.traces = wr_stmt_i64(s->row, NCOLUMNS);
        if ((rc = wr_vec_add(&rows, i, err)) < 0) break;
    }
    return wr_vec_keep(out, n, a, &rows, rc, err);
}

int wr_issue_search(wr_issue **out, size_t *n, wr_str *next, wr_arena *a, wr_track *t, int64_t experiment,
                    wr_str filter, bool counted, size_t max, wr_str token, wr_err *err)
{
    wr_search s = {.noun = &noun,
                   .columns = counted ? COLUMNS ", " TRACES " AS traces" : COLUMNS,
                   .ncolumns = counted ? NCOLUMNS + 1 : NCOLUMNS,
                   .from = "track_issues i",
                   .defaults = counted ? counted_defaults : defaults,
                   .ties = ties,
                   .filter = filter,
                   .token = token,
                   .max = max};
    if (experiment >= 0) {
        wr_sql_add(&s.scope, "i.experiment = ");
        wr_sql_i64(&s.scope, experiment);
    }
    int rc = wr_search_begin(&s, a, t, err);
    if (rc == 0) rc = read_rows(out, n, &s, a, counted, err);
    return wr_search_end(&s, rc, next, err);
}

/* ---- writing ---- */

static int one_of(int64_t *out, wr_str text, const char *const *names, int n, const char *what, wr_err *err)
{
    for (*out = 0; *out < n; ++*out)
        if (wr_str_is(text, names[*out])) return 0;
    return wr_err_set(err, WEIR_EINVAL, "'%.*s' is not a valid %s", WR_STR_FMT(wr_str_fit(text, 60)), what);
}

static int check(const wr_issue *in, int64_t *severity, wr_err *err)
{
    int64_t status;
    *severity = -1;
    WR_TRY(wr_track_length_check(in->name, NAME, "name", err));
    WR_TRY(wr_track_length_check(in->description, DESCRIPTION, "description", err));
    WR_TRY(wr_track_length_check(in->created_by, USER, "created_by", err));
    if (in->status.p) WR_TRY(one_of(&status, in->status, statuses, STATUSES, "IssueStatus", err));
    if (in->severity.p) WR_TRY(one_of(severity, in->severity, severities, SEVERITIES, "IssueSeverity", err));
    return 0;
}

static int check_places(wr_track *t, const wr_issue *in, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_experiment e;
    wr_track_run r;
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_experiment_get(&e, a, t, in->experiment, err));
    if (e.deleted)
        return wr_err_set(err, WEIR_ENOTFOUND, "No Experiment with id=%lld exists", (long long)in->experiment);
    return in->run_id.n ? wr_track_run_get(&r, a, t, in->run_id, err) : 0;
}

int wr_issue_create(wr_issue *out, wr_arena *a, wr_track *t, const wr_issue *in, wr_err *err)
{
    char hex[33], uuid[40];
    int64_t severity, now = wr_track_now_ms();
    WR_TRY(check(in, &severity, err));
    WR_TRY(check_places(t, in, err));
    wr_track_new_id(hex);
    snprintf(uuid, sizeof uuid, "iss-%s", hex);
    WR_TRY(wr_track_exec(t, err,
                         "INSERT INTO track_issues (uuid, experiment, name, description, status, severity, causes, "
                         "categories, run_id, created_by, created_ms, updated_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, "
                         "?, ?, ?)",
                         "sisssissssii", wr_str_of(uuid), in->experiment, in->name, in->description,
                         in->status.p ? in->status : WR_STR("pending"), severity, in->causes, in->categories,
                         in->run_id, in->created_by, now, now));
    return wr_issue_get(out, a, t, wr_str_of(uuid), err);
}

int wr_issue_update(wr_issue *out, wr_arena *a, wr_track *t, wr_str uuid, const wr_issue *in, wr_err *err)
{
    int64_t severity;
    WR_TRY(check(in, &severity, err));
    WR_TRY(wr_issue_get(out, a, t, uuid, err));
    WR_TRY(wr_track_exec(t, err,
                         "UPDATE track_issues SET name = coalesce(?, name), description = coalesce(?, description), "
                         "status = coalesce(?, status), severity = coalesce(nullif(?, -1), severity), updated_ms = ? "
                         "WHERE id = ?",
                         "sssiii", in->name, in->description, in->status, severity, wr_track_now_ms(), out->id));
    return wr_issue_get(out, a, t, uuid, err);
}

int wr_issue_purge_experiment(wr_track *t, int64_t experiment, wr_err *err)
{
    int rc = wr_track_exec(t, err, "DELETE FROM track_issues WHERE experiment = ?", "i", experiment);
    return rc < 0 ? rc : 0;
}
