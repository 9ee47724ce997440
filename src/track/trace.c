/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c - traces: reading, start and end, tags, links, deleting. */
#include "track/trace.h"

#include <math.h>

#include "codec/json.h"
#include "track/experiment.h"
#include "track/run.h"
#include "track/trace_inside.h"

static const char *const state_names[] = {"STATE_UNSPECIFIED", "OK", "ERROR", "IN_PROGRESS"};
static const wr_str tag_name = {"mlflow.traceName", 16}, tag_location = {"mlflow.artifactLocation", 23},
                    tag_spans = {"mlflow.trace.spansLocation", 26};
static const wr_str meta_session = {"mlflow.trace.session", 20}, meta_tokens = {"mlflow.trace.tokenUsage", 23},
                    meta_cost = {"mlflow.trace.cost", 17}, meta_finalized = {"mlflow.trace.infoFinalized", 26};

const char *wr_trace_state_name(int state)
{
    return state >= 0 && (size_t)state < sizeof state_names / sizeof *state_names ? state_names[state] : NULL;
}

int wr_trace_state_parse(wr_str name)
{
    for (int i = 0; i < (int)(sizeof state_names / sizeof *state_names); i++)
        if (wr_str_is(name, state_names[i])) return i;
    return wr_str_is(name, "TRACE_STATUS_UNSPECIFIED") ? WR_TRACE_UNSPECIFIED : -1;
}

int wr_trace_no_trace(wr_err *err, wr_str uuid)
{
    return wr_err_set(err, WEIR_ENOTFOUND, "Trace with ID '%.*s' not found.", WR_STR_FMT(wr_str_fit(uuid, 100)));
}

/* ---- rows ---- */

const char wr_trace_columns[] =
    "t.id, t.uuid, t.experiment, t.time_ms, t.duration_ms, t.state, t.finalized, t.client_request_id, "
    "t.request_preview, "
    "t.response_preview, t.name, t.session, t.spans, t.input_tokens, t.output_tokens, t.total_tokens, "
    "t.cache_read_input_tokens, "
    "t.cache_creation_input_tokens, t.cache_creation_input_tokens_above_1hr, t.input_cost, t.output_cost, t.total_cost";

static int64_t number_or_none(wr_stmt *s, int at) { return wr_stmt_null(s, at) ? WR_TRACE_NONE : wr_stmt_i64(s, at); }

void wr_trace_row(wr_trace *out, wr_arena *a, wr_stmt *s)
{
    *out = (wr_trace){.id = wr_stmt_i64(s, 0),
                      .uuid = wr_arena_str(a, wr_stmt_str(s, 1)),
                      .experiment = wr_stmt_i64(s, 2),
                      .time_ms = wr_stmt_i64(s, 3),
                      .duration_ms = number_or_none(s, 4),
                      .state = (int)wr_stmt_i64(s, 5),
                      .finalized = wr_stmt_i64(s, 6) != 0,
                      .client_request_id = wr_stmt_text(a, s, 7),
                      .request_preview = wr_stmt_text(a, s, 8),
                      .response_preview = wr_stmt_text(a, s, 9),
                      .name = wr_stmt_text(a, s, 10),
                      .session = wr_stmt_text(a, s, 11),
                      .spans = wr_stmt_text(a, s, 12)};
    for (int i = 0; i < WR_TOKENS; i++) out->tokens[i] = number_or_none(s, 13 + i);
    for (int i = 0; i < WR_COSTS; i++) out->costs[i] = wr_stmt_f64(s, 13 + WR_TOKENS + i);
}

int wr_trace_get(wr_trace *out, wr_arena *a, wr_track *t, wr_str uuid, wr_err *err)
{
    wr_stmt *s;
    char sql[sizeof wr_trace_columns + 64];
    snprintf(sql, sizeof sql, "SELECT %s FROM track_traces t WHERE t.uuid = ?", wr_trace_columns);
    WR_TRY(wr_track_query(&s, t, err, sql, "s", uuid));
    int rc = wr_step(s, err);
    if (rc > 0) wr_trace_row(out, a, s);
    wr_stmt_done(s);
    if (rc == 0) return wr_trace_no_trace(err, uuid);
    return rc > 0 && wr_arena_failed(a) ? wr_err_nomem(err) : rc < 0 ? rc : 0;
}

static void bind_number(wr_stmt *s, int at, int64_t v)
{
    if (v == WR_TRACE_NONE) wr_bind_cstr(s, at, NULL);
    else wr_bind_i64(s, at, v);
}

static void bind_text(wr_stmt *s, int at, wr_str v)
{
    if (v.p) wr_bind_str(s, at, v);
    else wr_bind_cstr(s, at, NULL);
}

int wr_trace_write(wr_track *t, wr_trace *tr, bool fresh, wr_err *err)
{
    static const char insert[] =
        "INSERT INTO track_traces (experiment, time_ms, duration_ms, state, finalized, client_request_id, "
        "request_preview, "
        "response_preview, name, session, spans, input_tokens, output_tokens, total_tokens, cache_read_input_tokens, "
        "cache_creation_input_tokens, cache_creation_input_tokens_above_1hr, input_cost, output_cost, total_cost, "
        "uuid) VALUES (?, ?, ?, "
        "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id";
    static const char update[] = "UPDATE track_traces SET experiment = ?, time_ms = ?, duration_ms = ?, state = ?, "
                                 "finalized = ?, client_request_id = ?, "
                                 "request_preview = ?, response_preview = ?, name = ?, session = ?, spans = ?, "
                                 "input_tokens = ?, output_tokens = ?, "
                                 "total_tokens = ?, cache_read_input_tokens = ?, cache_creation_input_tokens = ?, "
                                 "cache_creation_input_tokens_above_1hr = ?, "
                                 "input_cost = ?, output_cost = ?, total_cost = ? WHERE id = ?";
    wr_stmt *s;
    WR_TRY(wr_db_prepare(wr_track_db(t), &s, fresh ? insert : update, err));
    wr_bind_i64(s, 1, tr->experiment);
    wr_bind_i64(s, 2, tr->time_ms);
    bind_number(s, 3, tr->duration_ms);
    wr_bind_i64(s, 4, tr->state);
    wr_bind_i64(s, 5, tr->finalized);
    bind_text(s, 6, tr->client_request_id);
    bind_text(s, 7, tr->request_preview);
    bind_text(s, 8, tr->response_preview);
    bind_text(s, 9, tr->name);
    bind_text(s, 10, tr->session);
    bind_text(s, 11, tr->spans);
    for (int i = 0; i < WR_TOKENS; i++) bind_number(s, 12 + i, tr->tokens[i]);
    for (int i = 0; i < WR_COSTS; i++) wr_bind_f64(s, 12 + WR_TOKENS + i, tr->costs[i]);
    if (fresh) wr_bind_str(s, WR_TRACE_ROW - 1, tr->uuid);
    else wr_bind_i64(s, WR_TRACE_ROW - 1, tr->id);
    int rc = wr_step(s, err);
    if (rc > 0) tr->id = wr_stmt_i64(s, 0);
    wr_stmt_done(s);
    return rc < 0 ? rc : 0;
}

/* ---- tags and metadata ---- */

int wr_trace_put_tag(wr_track *t, int64_t trace, wr_str key, wr_str value, wr_err *err)
{
    int64_t k;
    WR_TRY(wr_track_key_make(&k, t, key, err));
    int rc = wr_track_exec(
        t, err,
        "INSERT INTO track_trace_tags (trace, key, value) VALUES (?, ?, ?) ON CONFLICT (trace, key) DO UPDATE SET "
        "value = excluded.value",
        "iis", trace, k, wr_track_cut(value, WR_TRACE_TAG_VALUE));
    return rc < 0 ? rc : 0;
}

int wr_trace_put_meta(wr_track *t, int64_t trace, wr_str key, wr_str value, bool replace, wr_err *err)
{
    int64_t k;
    WR_TRY(wr_track_key_make(&k, t, key, err));
    int rc = wr_track_exec(
        t, err,
        replace ? "INSERT INTO track_trace_metadata (trace, key, value) VALUES (?, ?, ?) ON CONFLICT (trace, key) DO "
                  "UPDATE SET value = excluded.value"
                : "INSERT INTO track_trace_metadata (trace, key, value) VALUES (?, ?, ?) ON CONFLICT (trace, key) DO "
                  "NOTHING",
        "iis", trace, k, wr_track_cut(value, WR_TRACE_TAG_VALUE));
    return rc < 0 ? rc : 0;
}

static int by_key(const void *x, const void *y)
{
    const wr_track_item *a = x, *b = y;
    return wr_str_cmp(a->key, b->key);
}

/* Rows and what stands in columns, in one list sorted by key. */
static int load_items(wr_track_item **out, size_t *n, wr_arena *a, wr_track *t, const char *sql, int64_t trace,
                      const wr_track_item *more, size_t nmore, wr_err *err)
{
    wr_stmt *s;
    wr_track_item *rows;
    size_t nrows;
    WR_TRY(wr_track_query(&s, t, err, sql, "i", trace));
    WR_TRY(wr_track_items(&rows, &nrows, a, s, err));
    *out = wr_arena_calloc(a, nrows + nmore + 1, sizeof **out);
    if (!*out) return wr_err_nomem(err);
    memcpy(*out, rows, nrows * sizeof *rows);
    *n = nrows;
    for (size_t i = 0; i < nmore; i++)
        if (more[i].value.p) (*out)[(*n)++] = more[i];
    qsort(*out, *n, sizeof **out, by_key);
    return 0;
}

static wr_str tokens_json(const wr_trace *tr, wr_arena *a)
{
    WR_AUTOBUF wr_buf b = {0};
    for (int i = 0; i < WR_TOKENS; i++)
        if (tr->tokens[i] != WR_TRACE_NONE)
            wr_buf_printf(&b, "%s\"%s\": %lld", b.n ? ", " : "{", wr_token_names[i], (long long)tr->tokens[i]);
    if (!b.n) return (wr_str){NULL, 0};
    wr_buf_char(&b, '}');
    return wr_arena_str(a, wr_buf_view(&b));
}

static wr_str costs_json(const wr_trace *tr, wr_arena *a)
{
    WR_AUTOBUF wr_buf b = {0};
    for (int i = 0; i < WR_COSTS; i++) {
        if (isnan(tr->costs[i])) continue;
        wr_buf_printf(&b, "%s\"%s\": ", b.n ? ", " : "{", wr_cost_names[i]);
        wr_trace_put_f64(&b, tr->costs[i]);
    }
    if (!b.n) return (wr_str){NULL, 0};
    wr_buf_char(&b, '}');
    return wr_arena_str(a, wr_buf_view(&b));
}

static int artifact_location(wr_str *out, wr_trace *tr, wr_arena *a, wr_track *t, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_track_query(&s, t, err, "SELECT location FROM experiments WHERE id = ?", "i", tr->experiment));
    int rc = wr_step(s, err);
    if (rc > 0) {
        wr_str root = wr_stmt_str(s, 0);
        char *uri = wr_arena_printf(a, "%.*s/traces/%.*s/artifacts", WR_STR_FMT(root), WR_STR_FMT(tr->uuid));
        *out = uri ? wr_str_of(uri) : (wr_str){NULL, 0};
    }
    wr_stmt_done(s);
    return rc < 0 ? rc : 0;
}

int wr_trace_load(wr_trace *traces, size_t n, wr_arena *a, wr_track *t, wr_err *err)
{
    for (size_t i = 0; i < n; i++) {
        wr_trace *tr = &traces[i];
        wr_str location = {NULL, 0};
        WR_TRY(artifact_location(&location, tr, a, t, err));
        wr_track_item tags[] = {{tag_name, tr->name}, {tag_location, location}, {tag_spans, tr->spans}};
        wr_track_item metadata[] = {{meta_session, tr->session},
                                    {meta_tokens, tokens_json(tr, a)},
                                    {meta_cost, costs_json(tr, a)},
                                    {meta_finalized, tr->finalized ? WR_STR("true") : (wr_str){NULL, 0}}};
        WR_TRY(load_items(
            &tr->tags, &tr->ntags, a, t,
            "SELECT k.name, x.value FROM track_trace_tags x JOIN track_keys k ON k.id = x.key WHERE x.trace = ?",
            tr->id, tags, sizeof tags / sizeof *tags, err));
        WR_TRY(load_items(
            &tr->metadata, &tr->nmetadata, a, t,
            "SELECT k.name, x.value FROM track_trace_metadata x JOIN track_keys k ON k.id = x.key WHERE x.trace = ?",
            tr->id, metadata, sizeof metadata / sizeof *metadata, err));
        WR_TRY(wr_assessments_of(&tr->assessments, &tr->nassessments, a, t, tr->id, tr->uuid, err));
    }
    return wr_arena_failed(a) ? wr_err_nomem(err) : 0;
}

wr_str wr_trace_meta(const wr_trace *trace, const char *key)
{
    for (size_t i = 0; i < trace->nmetadata; i++)
        if (wr_str_is(trace->metadata[i].key, key)) return trace->metadata[i].value;
    return (wr_str){NULL, 0};
}

bool wr_trace_complete(const wr_trace *trace, size_t nspans)
{
    WR_AUTOJSON wr_json j = {0};
    wr_str stats = wr_trace_meta(trace, "mlflow.trace.sizeStats");
    if (nspans == 0) return false;
    if (!stats.p || wr_json_parse_lenient(&j, stats, NULL) < 0) return true;
    yyjson_val *v = yyjson_obj_get(j.root, "num_spans");
    return !yyjson_is_uint(v) || nspans >= yyjson_get_uint(v);
}

int wr_trace_spans(wr_str **out, size_t *n, wr_arena *a, wr_track *t, const wr_trace *trace, wr_err *err)
{
    wr_stmt *s;
    WR_VEC(wr_str) rows = {0};
    int rc;
    WR_TRY(wr_track_query(&s, t, err,
                          "SELECT content FROM track_spans WHERE trace = ? ORDER BY CASE WHEN parent IS NULL THEN 0 "
                          "ELSE 1 END, start_ns, id",
                          "i", trace->id));
    while ((rc = wr_step(s, err)) > 0)
        if ((rc = wr_vec_add(&rows, wr_arena_str(a, wr_stmt_str(s, 0)), err)) < 0) break;
    wr_stmt_done(s);
    return wr_vec_keep(out, n, a, &rows, rc, err);
}

/* ---- start and end ---- */

static int64_t whole(yyjson_val *v)
{
    if (yyjson_is_uint(v) && yyjson_get_uint(v) > INT64_MAX) return WR_TRACE_NONE;
    if (yyjson_is_int(v)) return yyjson_get_sint(v);
    double d = yyjson_is_real(v) ? yyjson_get_real(v) : NAN;
    return fabs(d) < 9e15 && d == floor(d) ? (int64_t)d : WR_TRACE_NONE;
}

/* What stands in columns is taken out of metadata: session, tokens, costs. True when `m` is such. */
static bool take_column(wr_trace *tr, const wr_track_item *m)
{
    WR_AUTOJSON wr_json j = {0};
    bool tokens = wr_str_eq(m->key, meta_tokens), cost = wr_str_eq(m->key, meta_cost);
    if (wr_str_eq(m->key, meta_finalized)) return true;
    if (wr_str_eq(m->key, meta_session)) {
        tr->session = wr_track_cut(m->value, WR_TRACE_KEY);
        return true;
    }
    if (!tokens && !cost) return false;
    if (wr_json_parse_lenient(&j, m->value, NULL) < 0) return true;
    for (int i = 0; tokens && i < WR_TOKENS; i++) {
        yyjson_val *v = yyjson_obj_get(j.root, wr_token_names[i]);
        if (v) tr->tokens[i] = whole(v);
    }
    for (int i = 0; cost && i < WR_COSTS; i++) {
        yyjson_val *v = yyjson_obj_get(j.root, wr_cost_names[i]);
        if (v) tr->costs[i] = yyjson_is_num(v) && isfinite(yyjson_get_num(v)) ? yyjson_get_num(v) : NAN;
    }
    return true;
}

static bool take_tag(wr_trace *tr, const wr_track_item *tag)
{
    if (wr_str_eq(tag->key, tag_name)) tr->name = wr_track_cut(tag->value, WR_TRACE_TAG_VALUE);
    else if (wr_str_eq(tag->key, tag_spans)) tr->spans = tag->value;
    else return wr_str_eq(tag->key, tag_location);
    return true;
}

/* Columns from tags and metadata, before the row is written; the rest of them after it has an id. */
static void take(wr_trace *tr, const wr_trace *in)
{
    for (size_t i = 0; i < in->ntags; i++) take_tag(tr, &in->tags[i]);
    for (size_t i = 0; i < in->nmetadata; i++) take_column(tr, &in->metadata[i]);
}

static int put_rest(wr_track *t, wr_arena *a, const wr_trace *tr, const wr_trace *in, wr_err *err)
{
    wr_trace scratch = {0};
    for (size_t i = 0; i < in->ntags; i++)
        if (!take_tag(&scratch, &in->tags[i]))
            WR_TRY(wr_trace_put_tag(t, tr->id, in->tags[i].key, in->tags[i].value, err));
    for (size_t i = 0; i < in->nmetadata; i++)
        if (!take_column(&scratch, &in->metadata[i]))
            WR_TRY(wr_trace_put_meta(t, tr->id, in->metadata[i].key, in->metadata[i].value, true, err));
    for (size_t i = 0; i < in->nassessments; i++) WR_TRY(wr_assessment_put(t, tr->id, a, &in->assessments[i], err));
    return 0;
}

static int active_experiment(wr_arena *a, wr_track *t, int64_t id, wr_err *err)
{
    wr_experiment e;
    WR_TRY(wr_experiment_get(&e, a, t, id, err));
    if (!e.deleted) return 0;
    return wr_err_set(err, WEIR_EINVAL, "The experiment %lld must be in the 'active' state. Current state is deleted.",
                      (long long)e.id);
}

static void no_numbers(wr_trace *tr)
{
    for (int i = 0; i < WR_TOKENS; i++) tr->tokens[i] = WR_TRACE_NONE;
    for (int i = 0; i < WR_COSTS; i++) tr->costs[i] = NAN;
}

bool wr_trace_uuid_ok(wr_str uuid)
{
    for (size_t i = 0; i < uuid.n; i++) {
        char c = uuid.p[i], l = (char)(c | 0x20);
        if (!((c >= '0' && c <= '9') || (l >= 'a' && l <= 'z') || (c && strchr("_.:-", c)))) return false;
    }
    return uuid.n > 0 && uuid.n <= WR_TRACE_UUID && !wr_str_is(uuid, ".") && !wr_str_is(uuid, "..");
}

static int check_uuid(wr_str uuid, wr_err *err)
{
    if (!uuid.n) return wr_err_set(err, WEIR_EINVAL, "Missing value for required parameter 'trace_id'.");
    WR_TRY(wr_track_length_check(uuid, WR_TRACE_UUID, "trace_id", err));
    if (wr_trace_uuid_ok(uuid)) return 0;
    return wr_err_set(
        err, WEIR_EINVAL,
        "Invalid value \"%.*s\" for parameter 'trace_id' supplied: letters, digits and _ . : - may stand in it.",
        WR_STR_FMT(wr_str_fit(uuid, 60)));
}

int wr_trace_start(wr_trace *out, wr_arena *a, wr_track *t, const wr_trace *in, wr_err *err)
{
    wr_err none = {0};
    WR_TRY(check_uuid(in->uuid, err));
    WR_TRY(wr_track_length_check(in->client_request_id, WR_TRACE_KEY, "client_request_id", err));
    WR_TRY(active_experiment(a, t, in->experiment, err));
    int rc = wr_trace_get(out, a, t, in->uuid, &none);
    bool fresh = rc == WEIR_ENOTFOUND;
    if (rc < 0 && !fresh) return rc;
    if (fresh) {
        *out = (wr_trace){.uuid = in->uuid};
        no_numbers(out);
    } else if (out->spans.p && !wr_str_is(out->spans, WR_TRACE_IN_STORE)) {
        return wr_err_set(err, WEIR_ECONFLICT, "Cannot update traces that are no longer DB-backed: '%.*s'.",
                          WR_STR_FMT(wr_str_fit(in->uuid, 60)));
    }
    wr_str spans = out->spans;
    out->experiment = in->experiment;
    out->time_ms = in->time_ms;
    out->duration_ms = in->duration_ms;
    out->state = in->state;
    out->client_request_id = in->client_request_id;
    out->finalized = true;
    if (in->request_preview.p) out->request_preview = wr_track_cut(in->request_preview, WR_TRACE_PREVIEW);
    if (in->response_preview.p) out->response_preview = wr_track_cut(in->response_preview, WR_TRACE_PREVIEW);
    take(out, in);
    if (spans.p) out->spans = spans; /* they are there: a client cannot say otherwise */
    WR_TRY(wr_trace_write(t, out, fresh, err));
    WR_TRY(put_rest(t, a, out, in, err));
    return wr_trace_load(out, 1, a, t, err);
}

int wr_trace_begin(wr_trace *out, wr_arena *a, wr_track *t, const wr_trace *in, wr_err *err)
{
    char id[33];
    WR_TRY(active_experiment(a, t, in->experiment, err));
    wr_track_new_id(id);
    *out = (wr_trace){.uuid = wr_arena_str(a, wr_str_of(id)),
                      .experiment = in->experiment,
                      .time_ms = in->time_ms,
                      .duration_ms = WR_TRACE_NONE,
                      .state = WR_TRACE_IN_PROGRESS};
    if (!out->uuid.p) return wr_err_nomem(err);
    no_numbers(out);
    take(out, in);
    WR_TRY(wr_trace_write(t, out, true, err));
    WR_TRY(put_rest(t, a, out, in, err));
    return wr_trace_load(out, 1, a, t, err);
}

int wr_trace_end(wr_trace *out, wr_arena *a, wr_track *t, wr_str uuid, int64_t end_ms, int state, const wr_trace *in,
                 wr_err *err)
{
    WR_TRY(wr_trace_get(out, a, t, uuid, err));
    if (__builtin_sub_overflow(end_ms, out->time_ms, &out->duration_ms))
        return wr_err_set(err, WEIR_EINVAL, "Invalid value %lld for parameter 'timestamp_ms' supplied.",
                          (long long)end_ms);
    out->state = state;
    take(out, in);
    WR_TRY(wr_trace_write(t, out, false, err));
    WR_TRY(put_rest(t, a, out, in, err));
    return wr_trace_load(out, 1, a, t, err);
}

/* ---- tags of a trace that is there ---- */

static int fixed_tag(wr_str key, const char *done, wr_err *err)
{
    static const char *const fixed[] = {"mlflow.trace.spansLocation", "mlflow.trace.archiveLocation",
                                        "mlflow.artifactLocation"};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (wr_str_is(key, fixed[i]))
            return wr_err_set(err, WEIR_EINVAL, "Tag '%s' is immutable and cannot be %s on a trace.", fixed[i], done);
    return 0;
}

int wr_trace_set_tag(wr_track *t, wr_arena *a, wr_str uuid, wr_str key, wr_str value, wr_err *err)
{
    wr_trace tr;
    WR_TRY(fixed_tag(key, "set", err));
    WR_TRY(wr_track_key_check(key, WR_TRACE_KEY, "key", err));
    WR_TRY(wr_trace_get(&tr, a, t, uuid, err));
    if (!wr_str_eq(key, tag_name)) return wr_trace_put_tag(t, tr.id, key, value, err);
    tr.name = wr_track_cut(value, WR_TRACE_TAG_VALUE);
    return wr_trace_write(t, &tr, false, err);
}

int wr_trace_delete_tag(wr_track *t, wr_arena *a, wr_str uuid, wr_str key, wr_err *err)
{
    wr_trace tr;
    int64_t k;
    WR_TRY(fixed_tag(key, "deleted", err));
    WR_TRY(wr_trace_get(&tr, a, t, uuid, err));
    if (wr_str_eq(key, tag_name) && tr.name.p) {
        tr.name = (wr_str){NULL, 0};
        return wr_trace_write(t, &tr, false, err);
    }
    WR_TRY(wr_track_key_find(&k, t, key, err));
    int rc =
        wr_track_exec(t, err, "DELETE FROM track_trace_tags WHERE trace = ? AND key = ? RETURNING 1", "ii", tr.id, k);
    if (rc == 0)
        return wr_err_set(err, WEIR_ENOTFOUND, "No trace tag with key '%.*s' for trace with ID '%.*s'",
                          WR_STR_FMT(wr_str_fit(key, 100)), WR_STR_FMT(tr.uuid));
    return rc < 0 ? rc : 0;
}

/* ---- links ---- */

static int link_to(wr_track *t, wr_str uuid, int64_t kind, wr_str target, wr_err *err)
{
    int rc = wr_track_exec(t, err,
                           "INSERT INTO track_trace_links (trace, kind, target) VALUES (?, ?, ?) ON CONFLICT (trace, "
                           "kind, target) DO NOTHING",
                           "sis", uuid, kind, target);
    return rc < 0 ? rc : 0;
}

int wr_trace_link_run(wr_track *t, const wr_str *uuids, size_t n, wr_str run, wr_err *err)
{
    if (n > WR_TRACE_LINKS)
        return wr_err_set(err, WEIR_EINVAL,
                          "Cannot link more than %d traces to a run in a single request. Provided %zu traces.",
                          WR_TRACE_LINKS, n);
    for (size_t i = 0; i < n; i++) {
        WR_TRY(check_uuid(uuids[i], err));
        WR_TRY(link_to(t, uuids[i], 0, run, err));
    }
    return 0;
}

int wr_trace_link_prompt(wr_track *t, wr_str uuid, wr_str name, wr_str version, wr_err *err)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_buf_slice(&b, name);
    wr_buf_char(&b, '/');
    wr_buf_slice(&b, version);
    return b.failed ? wr_err_nomem(err) : link_to(t, uuid, 1, wr_buf_view(&b), err);
}

/* ---- deleting ---- */

static int purge(wr_track *t, int64_t id, wr_str uuid, wr_err *err)
{
    static const char *const tables[] = {
        "DELETE FROM track_trace_tags WHERE trace = ?", "DELETE FROM track_trace_metadata WHERE trace = ?",
        "DELETE FROM track_spans WHERE trace = ?", "DELETE FROM track_assessments WHERE trace = ?",
        "DELETE FROM track_traces WHERE id = ?"};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) WR_TRY(wr_track_exec(t, err, tables[i], "i", id));
    int rc = wr_track_exec(t, err, "DELETE FROM track_trace_links WHERE trace = ?", "s", uuid);
    return rc < 0 ? rc : 0;
}

typedef struct {
    int64_t id;
    wr_str uuid;
} doomed;

static int delete_rows(int64_t *deleted, wr_track *t, wr_arena *a, wr_stmt *s, wr_err *err)
{
    WR_VEC(doomed) rows = {0};
    int rc;
    while ((rc = wr_step(s, err)) > 0) {
        doomed d = {wr_stmt_i64(s, 0), wr_arena_str(a, wr_stmt_str(s, 1))};
        rc = d.uuid.p ? wr_vec_add(&rows, d, err) : wr_err_nomem(err);
        if (rc < 0) break;
    }
    wr_stmt_done(s);
    for (size_t i = 0; rc == 0 && i < rows.n; i++) {
        rc = purge(t, rows.at[i].id, rows.at[i].uuid, err);
        *deleted += rc == 0;
    }
    wr_vec_fini(&rows);
    return rc;
}

int wr_trace_delete(int64_t *deleted, wr_track *t, wr_arena *a, int64_t experiment, const wr_str *uuids, size_t n,
                    int64_t until_ms, int64_t max, wr_err *err)
{
    wr_stmt *s;
    *deleted = 0;
    for (size_t i = 0; i < n; i++) {
        WR_TRY(wr_track_query(&s, t, err, "SELECT id, uuid FROM track_traces WHERE uuid = ? AND experiment = ?", "si",
                              uuids[i], experiment));
        WR_TRY(delete_rows(deleted, t, a, s, err));
    }
    if (n) return 0;
    WR_TRY(wr_track_query(
        &s, t, err,
        "SELECT id, uuid FROM track_traces WHERE experiment = ? AND time_ms <= ? ORDER BY time_ms, uuid LIMIT ?", "iii",
        experiment, until_ms, max == WR_TRACE_NONE ? INT64_MAX : max));
    return delete_rows(deleted, t, a, s, err);
}

int wr_trace_purge_experiment(wr_track *t, int64_t experiment, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    int64_t deleted;
    if (!a) return wr_err_nomem(err);
    return wr_trace_delete(&deleted, t, a, experiment, NULL, 0, INT64_MAX, WR_TRACE_NONE, err);
}
