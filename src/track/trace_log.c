/* SPDX-License-Identifier: Apache-2.0 */
/* trace_log.c - spans into the database: one statement for up to 64 rows, one row a span; then what they say of their
 * traces. */
#include <math.h>

#include "base/map.h"
#include "codec/json.h"
#include "track/experiment.h"
#include "track/trace_inside.h"

/* ---- sums over a tree of spans ---- */

typedef struct {
    double *sums;
    const char *const *names;
    size_t n;
    bool any;
} adder;

static void add(adder *to, wr_str data)
{
    WR_AUTOJSON wr_json j = {0};
    if (wr_json_parse_lenient(&j, data, NULL) < 0 || !yyjson_is_obj(j.root)) return;
    to->any = true;
    for (size_t i = 0; i < to->n; i++) {
        yyjson_val *v = yyjson_obj_get(j.root, to->names[i]);
        if (!yyjson_is_num(v) || !isfinite(yyjson_get_num(v))) continue;
        to->sums[i] = (isnan(to->sums[i]) ? 0 : to->sums[i]) + yyjson_get_num(v);
    }
}

/* Nodes sorted by id for finding parents. */
static int by_id(const void *x, const void *y)
{
    const wr_span_node *a = *(const wr_span_node *const *)x, *b = *(const wr_span_node *const *)y;
    return a->id < b->id ? -1 : a->id > b->id;
}

static size_t find(const wr_span_node *const *sorted, size_t n, uint64_t id)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (sorted[mid]->id < id) lo = mid + 1;
        else hi = mid;
    }
    return lo < n && sorted[lo]->id == id ? lo : n;
}

enum { UNKNOWN, NO, YES, WALKED };

/* Has this span or one above it data? What a walk upwards learns is kept for all on the way, so that a deep tree costs
 * no more than a flat one; a circle ends where it began and has none. */
static bool has_data(unsigned char *known, size_t *way, const wr_span_node *const *sorted, size_t n, size_t at)
{
    size_t steps = 0;
    unsigned char answer = NO;
    while (at < n) {
        if (known[at] != UNKNOWN) {
            if (known[at] == YES) answer = YES;
            break;
        }
        known[at] = WALKED;
        way[steps++] = at;
        if (sorted[at]->data.p) {
            answer = YES;
            break;
        }
        at = sorted[at]->root ? n : find(sorted, n, sorted[at]->parent);
    }
    while (steps > 0) known[way[--steps]] = answer;
    return answer == YES;
}

bool wr_span_sum(double *sums, const char *const *names, size_t n, size_t always, const wr_span_node *nodes,
                 size_t nnodes)
{
    adder to = {sums, names, n, false};
    const wr_span_node **sorted = wr_calloc(nnodes + 1, sizeof *sorted);
    unsigned char *known = wr_calloc(nnodes + 1, 1);
    size_t *way = wr_calloc(nnodes + 1, sizeof *way);
    for (size_t i = 0; i < n; i++) sums[i] = NAN;
    if (sorted && known && way) {
        for (size_t i = 0; i < nnodes; i++) sorted[i] = &nodes[i];
        qsort(sorted, nnodes, sizeof *sorted, by_id);
        for (size_t i = 0; i < nnodes; i++) {
            if (!sorted[i]->data.p) continue;
            size_t above = sorted[i]->root ? nnodes : find(sorted, nnodes, sorted[i]->parent);
            if (!has_data(known, way, sorted, nnodes, above)) add(&to, sorted[i]->data);
        }
        for (size_t i = 0; to.any && i < always; i++)
            if (isnan(sums[i])) sums[i] = 0;
    }
    wr_free(sorted);
    wr_free(known);
    wr_free(way);
    return to.any;
}

/* ---- rows ---- */

enum { COLUMNS = 16, MOST = 64 };

static int statement(wr_stmt **out, wr_track *t, size_t rows, wr_err *err)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_buf_str(&b, "INSERT INTO track_spans (trace, span, parent, status, start_ns, end_ns, name, type, usage, cost, "
                   "input_cost, output_cost, total_cost, model, provider, content) VALUES ");
    for (size_t i = 0; i < rows; i++)
        wr_buf_str(&b, i ? ", (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                         : "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    wr_buf_str(&b,
               " ON CONFLICT (trace, span) DO UPDATE SET parent = excluded.parent, status = excluded.status, "
               "start_ns = excluded.start_ns, end_ns = excluded.end_ns, name = excluded.name, type = excluded.type, "
               "usage = excluded.usage, cost = excluded.cost, input_cost = excluded.input_cost, "
               "output_cost = excluded.output_cost, total_cost = excluded.total_cost, model = excluded.model, provider "
               "= excluded.provider, "
               "content = excluded.content");
    if (b.failed) return wr_err_nomem(err);
    return wr_db_prepare(wr_track_db(t), out, wr_buf_cstr(&b), err);
}

static void bind_text(wr_stmt *s, int at, wr_str v)
{
    if (v.p) wr_bind_str(s, at, v);
    else wr_bind_cstr(s, at, NULL);
}

static void bind_span(wr_stmt *s, int at, int64_t trace, const wr_span *x)
{
    wr_bind_i64(s, at, trace);
    wr_bind_i64(s, at + 1, (int64_t)x->id);
    if (x->root) wr_bind_cstr(s, at + 2, NULL);
    else wr_bind_i64(s, at + 2, (int64_t)x->parent);
    wr_bind_i64(s, at + 3, x->status);
    wr_bind_i64(s, at + 4, x->start_ns);
    if (x->end_ns) wr_bind_i64(s, at + 5, x->end_ns);
    else wr_bind_cstr(s, at + 5, NULL);
    wr_bind_str(s, at + 6, x->name);
    bind_text(s, at + 7, x->type);
    bind_text(s, at + 8, x->usage);
    bind_text(s, at + 9, x->cost);
    for (int i = 0; i < WR_COSTS; i++) wr_bind_f64(s, at + 10 + i, x->costs[i]);
    bind_text(s, at + 13, x->model);
    bind_text(s, at + 14, x->provider);
    wr_bind_str(s, at + 15, x->content);
}

typedef struct {
    int64_t trace;
    const wr_span *span;
} row;

/* A row twice in one statement is an error of PostgreSQL: the later one goes into the next. */
static size_t distinct(const row *rows, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t k = 0; k < i; k++)
            if (rows[i].trace == rows[k].trace && rows[i].span->id == rows[k].span->id) return i;
    return n;
}

static int insert_rows(wr_track *t, const row *rows, size_t n, wr_err *err)
{
    static const size_t sizes[] = {MOST, 16, 4, 1}; /* few statements, so that they stay prepared */
    for (size_t at = 0, k = 0; at < n;) {
        size_t left = distinct(rows + at, n - at < MOST ? n - at : MOST);
        for (k = 0; sizes[k] > left;) k++;
        wr_stmt *s;
        WR_TRY(statement(&s, t, sizes[k], err));
        for (size_t i = 0; i < sizes[k]; i++)
            bind_span(s, (int)(i * COLUMNS) + 1, rows[at + i].trace, rows[at + i].span);
        int rc = wr_step(s, err);
        wr_stmt_done(s);
        if (rc < 0) return rc;
        at += sizes[k];
    }
    return 0;
}

/* ---- traces ---- */

static int not_here(const wr_trace *tr, wr_err *err)
{
    return wr_err_set(
        err, WEIR_ECONFLICT,
        "Cannot log spans because one or more traces are unavailable for DB-backed span writes: other='%.*s'",
        WR_STR_FMT(wr_str_fit(tr->uuid, 60)));
}

/* Times and state from the spans, as long as nobody else said them. */
static void merge(wr_trace *tr, const wr_span_trace *in)
{
    if (!tr->finalized) {
        int64_t old_end = tr->duration_ms == WR_TRACE_NONE ? WR_SPAN_NO_END : tr->time_ms + tr->duration_ms;
        int64_t end = in->end_ms > old_end ? in->end_ms : old_end;
        if (in->start_ms < tr->time_ms) tr->time_ms = in->start_ms;
        if (end != WR_SPAN_NO_END) tr->duration_ms = end - tr->time_ms;
    }
    if (in->root >= 0 && (tr->state == WR_TRACE_IN_PROGRESS || tr->state == WR_TRACE_UNSPECIFIED)) tr->state = in->root;
    if (!tr->request_preview.p) tr->request_preview = in->request_preview;
    if (!tr->response_preview.p) tr->response_preview = in->response_preview;
    if (!tr->session.p) tr->session = in->session;
    if (in->name.p) tr->name = in->name;
    tr->spans = WR_STR(WR_TRACE_IN_STORE);
}

static int open_trace(wr_trace *out, wr_track *t, wr_arena *a, int64_t experiment, const wr_span_trace *in, wr_err *err)
{
    wr_err none = {0};
    int rc = wr_trace_get(out, a, t, in->uuid, &none);
    bool fresh = rc == WEIR_ENOTFOUND;
    if (rc < 0 && !fresh) {
        if (err) *err = none;
        return rc;
    }
    if (!fresh && out->spans.p && !wr_str_is(out->spans, WR_TRACE_IN_STORE)) return not_here(out, err);
    if (fresh) {
        *out = (wr_trace){.uuid = in->uuid,
                          .experiment = experiment,
                          .time_ms = in->start_ms,
                          .duration_ms = WR_TRACE_NONE,
                          .state = WR_TRACE_IN_PROGRESS};
        for (int i = 0; i < WR_TOKENS; i++) out->tokens[i] = WR_TRACE_NONE;
        for (int i = 0; i < WR_COSTS; i++) out->costs[i] = NAN;
    }
    merge(out, in);
    WR_TRY(wr_trace_write(t, out, fresh, err));
    for (size_t i = 0; i < in->ntags; i++)
        WR_TRY(wr_trace_put_tag(t, out->id, in->tags[i].key, in->tags[i].value, err));
    if (in->user.p) WR_TRY(wr_trace_put_meta(t, out->id, WR_STR("mlflow.trace.user"), in->user, false, err));
    return 0;
}

static int nodes_of(wr_span_node **out, size_t *n, wr_arena *a, wr_track *t, int64_t trace, bool cost, wr_err *err)
{
    WR_VEC(wr_span_node) rows = {0};
    wr_stmt *s;
    int rc;
    WR_TRY(wr_track_query(&s, t, err,
                          cost ? "SELECT span, parent, cost FROM track_spans WHERE trace = ?"
                               : "SELECT span, parent, usage FROM track_spans WHERE trace = ?",
                          "i", trace));
    while ((rc = wr_step(s, err)) > 0) {
        wr_span_node x = {.id = (uint64_t)wr_stmt_i64(s, 0), .root = wr_stmt_null(s, 1)};
        if (!x.root) x.parent = (uint64_t)wr_stmt_i64(s, 1);
        x.data = wr_stmt_text(a, s, 2);
        if ((rc = wr_vec_add(&rows, x, err)) < 0) break;
    }
    wr_stmt_done(s);
    return wr_vec_keep(out, n, a, &rows, rc, err);
}

/* Sums over all spans there are by now: batches of one trace come in any order, and a span above includes those below.
 */
static int sum_up(wr_trace *tr, wr_track *t, wr_arena *a, const wr_span_trace *in, wr_err *err)
{
    double sums[WR_TOKENS];
    wr_span_node *nodes;
    size_t n;
    bool said = false, changed = false;
    for (int i = 0; tr->finalized && i < WR_TOKENS; i++) said |= tr->tokens[i] != WR_TRACE_NONE;
    if (in->usage && !said) {
        WR_TRY(nodes_of(&nodes, &n, a, t, tr->id, false, err));
        changed = wr_span_sum(sums, wr_token_names, WR_TOKENS, 3, nodes, n);
        for (int i = 0; changed && i < WR_TOKENS; i++)
            if (!isnan(sums[i]) && fabs(sums[i]) < 9e15) tr->tokens[i] = (int64_t)sums[i];
    }
    said = false;
    for (int i = 0; tr->finalized && i < WR_COSTS; i++) said |= !isnan(tr->costs[i]);
    if (in->cost && !said) {
        WR_TRY(nodes_of(&nodes, &n, a, t, tr->id, true, err));
        changed |= wr_span_sum(tr->costs, wr_cost_names, WR_COSTS, WR_COSTS, nodes, n);
    }
    return changed ? wr_trace_write(t, tr, false, err) : 0;
}

int wr_trace_log_spans(wr_track *t, wr_arena *a, int64_t experiment, const wr_span_batch *batch, wr_err *err)
{
    wr_experiment e;
    size_t n = 0;
    wr_trace *traces = wr_arena_calloc(a, batch->n + 1, sizeof *traces);
    row *rows = wr_arena_calloc(a, batch->nspans + 1, sizeof *rows);
    if (!traces || !rows) return wr_err_nomem(err);
    WR_TRY(wr_experiment_get(&e, a, t, experiment, err));
    for (size_t i = 0; i < batch->n; i++) {
        const wr_span_trace *in = &batch->traces[i];
        if (!in->n) continue; /* all of them were refused */
        WR_TRY(open_trace(&traces[i], t, a, experiment, in, err));
        for (size_t k = 0; k < in->n; k++) rows[n++] = (row){traces[i].id, &in->spans[k]};
    }
    WR_TRY(insert_rows(t, rows, n, err));
    for (size_t i = 0; i < batch->n; i++)
        if (batch->traces[i].usage || batch->traces[i].cost) WR_TRY(sum_up(&traces[i], t, a, &batch->traces[i], err));
    return 0;
}
