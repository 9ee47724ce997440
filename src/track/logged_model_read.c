/* SPDX-License-Identifier: Apache-2.0 */
/* logged_model_read.c - rows of logged models and what belongs to them, and searching them. */
#include <stdio.h>

#include "base/hash.h"
#include "base/vec.h"
#include "track/belonging.h"
#include "track/logged_model_inside.h"
#include "track/search.h"

wr_logged_model wr_logged_model_row(wr_arena *a, wr_stmt *s)
{
    return (wr_logged_model){.id = wr_stmt_i64(s, 0),
                             .experiment = wr_stmt_i64(s, 1),
                             .uuid = wr_stmt_text(a, s, 2),
                             .name = wr_stmt_text(a, s, 3),
                             .artifact_uri = wr_stmt_text(a, s, 4),
                             .model_type = wr_stmt_text(a, s, 5),
                             .run_id = wr_stmt_text(a, s, 6),
                             .status_message = wr_stmt_text(a, s, 7),
                             .status = (int)wr_stmt_i64(s, 8),
                             .created_ms = wr_stmt_i64(s, 9),
                             .updated_ms = wr_stmt_i64(s, 10),
                             .deleted_ms = wr_stmt_null(s, 11) ? -1 : wr_stmt_i64(s, 11)};
}

/* ---- what belongs to them ---- */

typedef struct {
    int64_t model;
    wr_logged_point point;
} metric;
typedef WR_VEC(metric) metrics;

/* Points of the models `ids`, sorted by model, key, time and step. */
static int read_metrics(metrics *out, wr_arena *a, wr_track *t, const int64_t *ids, size_t n, wr_err *err)
{
    wr_stmt *s;
    int rc;
    WR_TRY(wr_belonging_ask(&s, t,
                            "SELECT x.model, k.name, x.value, x.step, x.time_ms, r.uuid, d.name, d.digest FROM "
                            "logged_model_metrics x JOIN track_keys k ON k.id = x.key LEFT JOIN track_runs r ON r.id = "
                            "x.run LEFT JOIN logged_model_datasets d ON d.id = x.dataset WHERE x.model IN ",
                            " ORDER BY x.model, k.name, x.time_ms, x.step, x.run", ids, n, err));
    while ((rc = wr_step(s, err)) > 0) {
        metric m = {wr_stmt_i64(s, 0),
                    {.key = wr_stmt_text(a, s, 1),
                     .value = wr_stmt_f64(s, 2),
                     .step = wr_stmt_i64(s, 3),
                     .time_ms = wr_stmt_i64(s, 4),
                     .run_id = wr_stmt_text(a, s, 5),
                     .dataset_name = wr_stmt_text(a, s, 6),
                     .dataset_digest = wr_stmt_text(a, s, 7)}};
        if ((rc = wr_vec_add(out, m, err)) < 0) break;
    }
    wr_stmt_done(s);
    return rc;
}

static int take_metrics(wr_logged_model *m, wr_arena *a, const metrics *all, wr_err *err)
{
    size_t from = 0, n = 0;
    while (from < all->n && all->at[from].model != m->id) from++;
    while (from + n < all->n && all->at[from + n].model == m->id) n++;
    m->metrics = wr_arena_alloc(a, (n + 1) * sizeof *m->metrics);
    if (!m->metrics) return wr_err_nomem(err);
    for (size_t i = 0; i < n; i++) m->metrics[i] = all->at[from + i].point;
    m->nmetrics = n;
    return 0;
}

static int take_registrations(wr_logged_model *m, wr_arena *a, wr_belongings mine, wr_err *err)
{
    m->registrations = wr_arena_alloc(a, (mine.n + 1) * sizeof *m->registrations);
    if (!m->registrations) return wr_err_nomem(err);
    for (size_t i = 0; i < mine.n; i++)
        m->registrations[i] = (wr_logged_registration){mine.at[i].key, mine.at[i].number};
    m->nregistrations = mine.n;
    return 0;
}

static int load(wr_logged_model *m, size_t n, wr_arena *a, wr_track *t, metrics *points, wr_err *err)
{
    int64_t ids[WR_BELONGING_IDS];
    wr_belongings params, tags, versions;
    for (size_t i = 0; i < n; i++) ids[i] = m[i].id;
    WR_TRY(wr_belonging_rows(&params, a, t, "SELECT model, key, value FROM logged_model_params WHERE model IN ", ids, n,
                             false, err));
    WR_TRY(wr_belonging_rows(&tags, a, t, "SELECT model, key, value FROM logged_model_tags WHERE model IN ", ids, n,
                             false, err));
    WR_TRY(wr_belonging_rows(&versions, a, t,
                             "SELECT m.id, r.name, v.version FROM logged_models m JOIN registered_versions v ON "
                             "v.model_id = m.uuid JOIN registered_models r ON r.id = v.model WHERE m.id IN ",
                             ids, n, true, err));
    points->n = 0;
    WR_TRY(read_metrics(points, a, t, ids, n, err));
    for (size_t i = 0; i < n; i++) {
        WR_TRY(wr_belonging_items(&m[i].params, &m[i].nparams, a, wr_belonging_of(params, m[i].id), err));
        WR_TRY(wr_belonging_items(&m[i].tags, &m[i].ntags, a, wr_belonging_of(tags, m[i].id), err));
        WR_TRY(take_registrations(&m[i], a, wr_belonging_of(versions, m[i].id), err));
        WR_TRY(take_metrics(&m[i], a, points, err));
    }
    return 0;
}

int wr_logged_model_load(wr_logged_model *m, size_t n, wr_arena *a, wr_track *t, wr_err *err)
{
    metrics points = {0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i += WR_BELONGING_IDS)
        rc = load(m + i, n - i < WR_BELONGING_IDS ? n - i : WR_BELONGING_IDS, a, t, &points, err);
    wr_vec_fini(&points);
    return rc == 0 && wr_arena_failed(a) ? wr_err_nomem(err) : rc;
}

/* ---- what a search may name ---- */

#define TIME(spellings, expression)                                                                                    \
    {                                                                                                                  \
        .names = spellings, .number_ops = WR_OPS_NUMBER, .number_more = WR_OPS_NUMBER_MORE, .order = true,             \
        .always = true, .column = expression                                                                           \
    }
#define TEXT(spelling, expression)                                                                                     \
    {                                                                                                                  \
        .names = spelling, .ops = WR_OPS_TEXT | WR_OPS_IN, .more = WR_OPS_MORE, .order = true, .column = expression    \
    }
static const wr_filter_field attributes[] = {
    TEXT("name", "m.name"),
    TEXT("model_id", "m.uuid"),
    TEXT("model_type", "m.model_type"),
    TEXT("status", "CASE m.status WHEN 1 THEN 'PENDING' WHEN 2 THEN 'READY' ELSE 'FAILED' END"),
    TEXT("source_run_id", "m.run_id"),
    TEXT("artifact_location", "m.artifact_uri"),
    TIME("creation_timestamp_ms|creation_timestamp|creation_time", "m.created_ms"),
    TIME("last_updated_timestamp_ms|last_updated_timestamp|last_updated_time", "m.updated_ms"),
    {0}};
static const wr_filter_field params[] = {{.names = "*",
                                          .ops = WR_OPS_TEXT | WR_OPS_IN,
                                          .more = WR_OPS_MORE,
                                          .table = "logged_model_params $",
                                          .link = "$.model = m.id AND $.key = ?",
                                          .column = "$.value"},
                                         {0}};
static const wr_filter_field tags[] = {{.names = "*",
                                        .ops = WR_OPS_TEXT | WR_OPS_IN,
                                        .more = WR_OPS_MORE,
                                        .table = "logged_model_tags $",
                                        .link = "$.model = m.id AND $.key = ?",
                                        .column = "$.value"},
                                       {0}};
#define METRIC_LINK "$.model = m.id AND $.key = ?"

/* The noun of one search: its metrics are those on the datasets that the search names. Datasets are numbers by then,
 * so the texts are made of no user's words. */
typedef struct {
    wr_filter_noun noun;
    wr_filter_entity entities[5];
    wr_filter_field metrics[2];
    const char *datasets; /* "(1, 7)"; NULL = any */
} logged_noun;

/* Ids of all datasets of those names and digests, as "(1, 7)"; "(NULL)" when there are none. */
static int dataset_list(wr_buf *out, wr_track *t, const wr_logged_dataset *d, size_t n, wr_err *err)
{
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        wr_stmt *s;
        int rc;
        wr_str name = d[i].name.p ? d[i].name : WR_STR(""), digest = d[i].digest.p ? d[i].digest : WR_STR("");
        WR_TRY(wr_track_query(&s, t, err,
                              "SELECT id FROM logged_model_datasets WHERE (? = '' OR name = ?) AND (? = '' OR digest = "
                              "?) ORDER BY id",
                              "ssss", name, name, digest, digest));
        while ((rc = wr_step(s, err)) > 0) {
            wr_buf_str(out, any ? ", " : "(");
            wr_buf_i64(out, wr_stmt_i64(s, 0));
            any = true;
        }
        wr_stmt_done(s);
        WR_TRY(rc);
    }
    wr_buf_str(out, any ? ")" : "(NULL)");
    return out->failed ? wr_err_nomem(err) : 0;
}

static int make_noun(logged_noun *out, wr_arena *a, wr_track *t, const wr_logged_query *q, wr_err *err)
{
    *out = (logged_noun){.noun = {.name = "logged model"}};
    out->metrics[0] = (wr_filter_field){.names = "*",
                                        .number_ops = WR_OPS_NUMBER,
                                        .number_more = WR_OPS_NUMBER_MORE | WR_OPS_NULL,
                                        .nan = true,
                                        .key = WR_KEY_INTERNED,
                                        .table = "logged_model_metrics $",
                                        .link = METRIC_LINK,
                                        .column = "$.value"};
    out->entities[0] = (wr_filter_entity){.names = "attribute|attributes", .bare = true, .fields = attributes};
    out->entities[1] = (wr_filter_entity){.names = "metric|metrics", .fields = out->metrics};
    out->entities[2] = (wr_filter_entity){.names = "parameter|params|param|parameters", .fields = params};
    out->entities[3] = (wr_filter_entity){.names = "tag|tags", .fields = tags};
    out->noun.entities = out->entities;
    if (!q->ndatasets) return 0;
    WR_AUTOBUF wr_buf b = {0};
    WR_TRY(dataset_list(&b, t, q->datasets, q->ndatasets, err));
    out->datasets = wr_arena_strdup(a, wr_buf_cstr(&b));
    out->metrics[0].link = wr_arena_printf(a, METRIC_LINK " AND $.dataset IN %s", wr_buf_cstr(&b));
    return out->datasets && out->metrics[0].link ? 0 : wr_err_nomem(err);
}

int wr_logged_model_noun(const wr_filter_noun **out, wr_arena *a, wr_track *t, const wr_logged_query *q, wr_err *err)
{
    logged_noun *noun = wr_arena_calloc(a, 1, sizeof *noun);
    if (!noun) return wr_err_nomem(err);
    *out = &noun->noun;
    return make_noun(noun, a, t, q, err);
}

/* ---- order ---- */

static int bad_field(wr_str name, const char *more, wr_err *err)
{
    return wr_err_set(err, WEIR_EINVAL, "Invalid order by field name: %.*s%s", WR_STR_FMT(wr_str_fit(name, 100)), more);
}

/* The latest value of a metric, as an expression of its own: key and datasets are numbers in it. */
static int metric_order(wr_order_item *out, const logged_noun *noun, wr_arena *a, wr_track *t, wr_str key,
                        const wr_logged_order *o, wr_err *err)
{
    int64_t id;
    WR_AUTOBUF wr_buf b = {0};
    wr_filter_field *f = wr_arena_calloc(a, 1, sizeof *f);
    if (!f) return wr_err_nomem(err);
    WR_TRY(wr_track_key_find(&id, t, key, err));
    wr_buf_printf(&b, "(SELECT x.value FROM logged_model_metrics x WHERE x.model = m.id AND x.key = %lld",
                  (long long)id);
    if (o->dataset.name.n || o->dataset.digest.n) {
        wr_buf_str(&b, " AND x.dataset IN ");
        WR_TRY(dataset_list(&b, t, &o->dataset, 1, err));
    }
    wr_buf_str(&b, " ORDER BY x.time_ms DESC, x.step DESC LIMIT 1)");
    *f = (wr_filter_field){.names = "*", .number_ops = WR_OPS_NUMBER, .order = true, .nan = true};
    f->column = wr_arena_strdup(a, wr_buf_cstr(&b));
    char *name = wr_arena_printf(a, "%.*s %.*s %.*s", WR_STR_FMT(key), WR_STR_FMT(o->dataset.name),
                                 WR_STR_FMT(o->dataset.digest));
    if (b.failed || !f->column || !name) return wr_err_nomem(err);
    *out = (wr_order_item){.at = {.entity = &noun->entities[1], .field = f, .key = wr_str_of(name)}, .desc = o->desc};
    return 0;
}

static wr_str unquoted(wr_str s)
{
    bool quoted = s.n >= 2 && (s.p[0] == '`' || s.p[0] == '"') && s.p[s.n - 1] == s.p[0];
    return quoted ? wr_str_sub(s, 1, s.n - 1) : s;
}

static int order_of(wr_order_item *out, const logged_noun *noun, wr_arena *a, wr_track *t, const wr_logged_order *o,
                    wr_err *err)
{
    wr_str rest = wr_str_trim(o->field), entity = wr_str_cut(&rest, '.');
    if (!rest.p) {
        *out = (wr_order_item){.desc = o->desc};
        if (wr_filter_word(entity) != entity.n || wr_filter_ident(&out->at, a, &noun->noun, (wr_str){0}, entity, NULL) < 0)
            return bad_field(o->field, "", err);
        return out->at.field->order ? 0 : bad_field(o->field, "", err);
    }
    if (!wr_str_is(entity, "metrics")) return bad_field(o->field, ". Only metrics are supported.", err);
    return metric_order(out, noun, a, t, unquoted(rest), o, err);
}

/* ---- tokens ---- */

/* Before the token of the page stand hashes of what was asked, so that an error can say what differs. */
static void hashes(uint64_t out[3], const wr_logged_query *q)
{
    out[0] = wr_hash64(q->experiments, q->nexperiments * sizeof *q->experiments, 1);
    out[1] = wr_hash64(q->filter.p ? q->filter.p : "", q->filter.n, 2);
    out[2] = 3;
    for (size_t i = 0; i < q->norder; i++) {
        const wr_logged_order *o = &q->order[i];
        const wr_str parts[] = {o->field, o->dataset.name, o->dataset.digest};
        out[2] = wr_hash64(&o->desc, sizeof o->desc, out[2]);
        for (size_t k = 0; k < 3; k++) out[2] = wr_hash64(parts[k].p ? parts[k].p : "", parts[k].n, out[2]);
    }
}

static int open_token(wr_str *inner, const wr_logged_query *q, wr_err *err)
{
    uint64_t want[3];
    char text[17];
    wr_str rest = q->token, part[3];
    *inner = (wr_str){NULL, 0};
    if (!q->token.n) return 0;
    hashes(want, q);
    for (int i = 0; i < 3; i++) part[i] = wr_str_cut(&rest, '.');
    if (!rest.n) return wr_err_set(err, WEIR_EINVAL, "Invalid page token, could not decode it");
    for (int i = 0; i < 3; i++) {
        static const char *const said[] = {
            "Experiment IDs in the page token do not match the requested experiment IDs.",
            "Filter string in the page token does not match the requested filter string.",
            "Order by in the page token does not match the requested order by."};
        snprintf(text, sizeof text, "%08x", (unsigned)want[i]);
        if (!wr_str_is(part[i], text)) return wr_err_set(err, WEIR_EINVAL, "%s", said[i]);
    }
    *inner = rest;
    return 0;
}

static int close_token(wr_str *token, wr_arena *a, const wr_logged_query *q, wr_err *err)
{
    uint64_t h[3];
    if (!token->n) return 0;
    hashes(h, q);
    char *text =
        wr_arena_printf(a, "%08x.%08x.%08x.%.*s", (unsigned)h[0], (unsigned)h[1], (unsigned)h[2], WR_STR_FMT(*token));
    if (!text) return wr_err_nomem(err);
    *token = wr_str_of(text);
    return 0;
}

/* ---- searching ---- */

/* Active ones of the experiments; with datasets and no metric in the filter: those measured on one of them. */
static void scope(wr_sql *out, const logged_noun *noun, const wr_logged_query *q, const wr_filter *filter)
{
    wr_sql_add(out, "m.deleted_ms IS NULL AND m.experiment IN (");
    for (size_t i = 0; i < q->nexperiments; i++) {
        if (i) wr_sql_add(out, ", ");
        wr_sql_i64(out, q->experiments[i]);
    }
    wr_sql_add(out, q->nexperiments ? ")" : "NULL)");
    if (!noun->datasets || wr_filter_names(filter, &noun->metrics[0])) return;
    wr_sql_add(out, " AND EXISTS (SELECT 1 FROM logged_model_metrics x WHERE x.model = m.id AND x.dataset IN ");
    wr_sql_add(out, noun->datasets);
    wr_sql_add(out, ")");
}

static int read_page(wr_logged_model **out, size_t *n, wr_search *s, wr_arena *a, wr_err *err)
{
    WR_VEC(wr_logged_model) rows = {0};
    int rc;
    while ((rc = wr_search_next(s, err)) > 0)
        if ((rc = wr_vec_add(&rows, wr_logged_model_row(a, s->row), err)) < 0) break;
    return wr_vec_keep(out, n, a, &rows, rc, err);
}

int wr_logged_model_search(wr_logged_model **out, size_t *n, wr_str *next, wr_arena *a, wr_track *t,
                           const wr_logged_query *q, wr_err *err)
{
    enum { DATASETS = 1000 };
    static const char *const ties[] = {"creation_timestamp DESC", "model_id ASC", NULL};
    logged_noun *noun = wr_arena_calloc(a, 1, sizeof *noun);
    wr_order_item *items = wr_arena_calloc(a, q->norder + 1, sizeof *items);
    wr_filter filter;
    wr_str token;
    if (!noun || !items) return wr_err_nomem(err);
    if (q->norder > WR_ORDER_ITEMS || q->ndatasets > DATASETS)
        return wr_err_set(err, WEIR_EINVAL, "a search names at most %d fields of order and %d datasets", WR_ORDER_ITEMS,
                          DATASETS);
    WR_TRY(open_token(&token, q, err));
    WR_TRY(make_noun(noun, a, t, q, err));
    int bad = wr_filter_parse(&filter, a, &noun->noun, q->filter, err);
    if (bad < 0) return wr_err_wrap(err, bad, "Invalid filter string");
    for (size_t i = 0; i < q->norder; i++) WR_TRY(order_of(&items[i], noun, a, t, &q->order[i], err));
    wr_search s = {.noun = &noun->noun,
                   .columns = WR_LOGGED_COLUMNS,
                   .ncolumns = WR_LOGGED_NCOLUMNS,
                   .from = "logged_models m",
                   .ties = ties,
                   .filter = q->filter,
                   .token = token,
                   .items = items,
                   .norder = q->norder,
                   .max = q->max};
    scope(&s.scope, noun, q, &filter);
    int rc = wr_search_begin(&s, a, t, err);
    if (rc == 0) rc = read_page(out, n, &s, a, err);
    WR_TRY(wr_search_end(&s, rc, next, err));
    WR_TRY(close_token(next, a, q, err));
    return wr_logged_model_load(*out, *n, a, t, err);
}
