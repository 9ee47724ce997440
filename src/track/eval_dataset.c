/* SPDX-License-Identifier: Apache-2.0 */
/* eval_dataset.c - evaluation datasets: their names, tags and experiments. Records are in eval_record.c. */
#include "track/eval_dataset.h"

#include <stdio.h>

#include "base/hash.h"
#include "track/eval_dataset_inside.h"
#include "track/run.h"
#include "track/search.h"
#include "track/track_inside.h"

enum { NAME = 255, TAG_KEY = 255, TAG_VALUE = 5000 };
#define USER_TAG "mlflow.user"

/* ---- what a search may name ---- */

#define TEXT(name_, column_)                                                                                           \
    {                                                                                                                  \
        .names = name_, .ops = WR_OPS_TEXT, .more = WR_OPS_MORE, .column = column_                                     \
    }
#define TIME(name_, column_)                                                                                           \
    {                                                                                                                  \
        .names = name_, .number_ops = WR_OPS_NUMBER, .number_more = WR_OPS_NUMBER_MORE, .integers = true,              \
        .order = true, .always = true, .column = column_                                                               \
    }
static const wr_filter_field attributes[] = {{.names = "name",
                                              .ops = WR_OPS_TEXT | WR_OP_IN,
                                              .more = WR_OPS_MORE,
                                              .order = true,
                                              .always = true,
                                              .column = "d.name"},
                                             TIME("created_time", "d.created_ms"),
                                             TIME("last_update_time", "d.updated_ms"),
                                             TEXT("created_by", "d.created_by"),
                                             TEXT("last_updated_by", "d.updated_by"),
                                             TEXT("dataset_id", "d.uuid"),
                                             {0}};
static const wr_filter_field tags[] = {{.names = "*",
                                        .ops = WR_OPS_TEXT,
                                        .more = WR_OPS_MORE,
                                        .table = "eval_dataset_tags $",
                                        .link = "$.dataset = d.id AND $.key = ?",
                                        .column = "$.value"},
                                       {0}};
static const wr_filter_entity entities[] = {
    {.names = "attribute|attributes", .bare = true, .fields = attributes}, {.names = "tags|tag", .fields = tags}, {0}};
static const wr_filter_noun noun = {.name = "evaluation dataset", .entities = entities};
static const char *const defaults[] = {"created_time DESC", NULL};
static const char *const ties[] = {"dataset_id DESC", NULL};

/* ---- reading ---- */

#define COLUMNS                                                                                                        \
    "d.id, d.uuid, d.name, d.digest, d.schema, d.created_by, d.updated_by, d.records, d.created_ms, d.updated_ms"
enum { NCOLUMNS = 10 };

static wr_eval_dataset row_of(wr_stmt *s, wr_arena *a)
{
    return (wr_eval_dataset){.id = wr_stmt_i64(s, 0),
                             .uuid = wr_stmt_text(a, s, 1),
                             .name = wr_stmt_text(a, s, 2),
                             .digest = wr_stmt_text(a, s, 3),
                             .schema = wr_stmt_text(a, s, 4),
                             .created_by = wr_stmt_text(a, s, 5),
                             .updated_by = wr_stmt_text(a, s, 6),
                             .records = wr_stmt_i64(s, 7),
                             .created_ms = wr_stmt_i64(s, 8),
                             .updated_ms = wr_stmt_i64(s, 9)};
}

/* Takes over `s`. */
static int read_ids(int64_t **out, size_t *n, wr_arena *a, wr_stmt *s, wr_err *err)
{
    WR_VEC(int64_t) ids = {0};
    int rc;
    while ((rc = wr_step(s, err)) > 0)
        if ((rc = wr_vec_add(&ids, wr_stmt_i64(s, 0), err)) < 0) break;
    wr_stmt_done(s);
    return wr_vec_keep(out, n, a, &ids, rc, err);
}

static int load_rest(wr_eval_dataset *d, wr_arena *a, wr_track *t, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_track_query(&s, t, err, "SELECT key, value FROM eval_dataset_tags WHERE dataset = ? ORDER BY key", "i",
                          d->id));
    WR_TRY(wr_track_items(&d->tags, &d->ntags, a, s, err));
    WR_TRY(wr_track_query(&s, t, err, "SELECT experiment FROM eval_dataset_experiments WHERE dataset = ? ORDER BY id",
                          "i", d->id));
    WR_TRY(read_ids(&d->experiments, &d->nexperiments, a, s, err));
    return wr_arena_failed(a) ? wr_err_nomem(err) : 0;
}

static int not_found(wr_str uuid, wr_err *err)
{
    return wr_err_set(err, WEIR_ENOTFOUND, "Evaluation dataset with id '%.*s' not found",
                      WR_STR_FMT(wr_str_fit(uuid, 64)));
}

int wr_eval_dataset_get(wr_eval_dataset *out, wr_arena *a, wr_track *t, wr_str uuid, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_track_query(&s, t, err, "SELECT " COLUMNS " FROM eval_datasets d WHERE d.uuid = ?", "s", uuid));
    int rc = wr_step(s, err);
    if (rc > 0) *out = row_of(s, a);
    wr_stmt_done(s);
    if (rc == 0) return not_found(uuid, err);
    return rc < 0 ? rc : load_rest(out, a, t, err);
}

int wr_eval_dataset_id(int64_t *out, wr_track *t, wr_str uuid, wr_err *err)
{
    WR_TRY(wr_track_number(out, 0, t, err, "SELECT id FROM eval_datasets WHERE uuid = ?", "s", uuid));
    return *out ? 0 : not_found(uuid, err);
}

int wr_eval_dataset_experiments(int64_t **out, size_t *n, wr_arena *a, wr_track *t, wr_str uuid, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_track_query(&s, t, err,
                          "SELECT x.experiment FROM eval_dataset_experiments x JOIN eval_datasets d ON d.id = x.dataset"
                          " WHERE d.uuid = ? ORDER BY x.id",
                          "s", uuid));
    return read_ids(out, n, a, s, err);
}

static int read_rows(wr_eval_dataset **out, size_t *n, wr_search *s, wr_arena *a, wr_err *err)
{
    WR_VEC(wr_eval_dataset) rows = {0};
    int rc;
    while ((rc = wr_search_next(s, err)) > 0)
        if ((rc = wr_vec_add(&rows, row_of(s->row, a), err)) < 0) break;
    return wr_vec_keep(out, n, a, &rows, rc, err);
}

int wr_eval_dataset_search(wr_eval_dataset **out, size_t *n, wr_str *next, wr_arena *a, wr_track *t,
                           const wr_eval_search_opt *opt, wr_err *err)
{
    wr_search s = {.noun = &noun,
                   .columns = COLUMNS,
                   .ncolumns = NCOLUMNS,
                   .from = "eval_datasets d",
                   .defaults = defaults,
                   .ties = ties,
                   .filter = opt->filter,
                   .token = opt->token,
                   .order = opt->order,
                   .norder = opt->norder,
                   .max = opt->max};
    if (opt->nexperiments > WR_EVAL_EXPERIMENTS)
        return wr_err_set(err, WEIR_EINVAL, "at most %d experiment ids", WR_EVAL_EXPERIMENTS);
    for (size_t i = 0; i < opt->nexperiments; i++) {
        wr_sql_add(&s.scope, i ? ", "
                               : "EXISTS (SELECT 1 FROM eval_dataset_experiments x WHERE x.dataset = d.id AND "
                                 "x.experiment IN (");
        wr_sql_i64(&s.scope, opt->experiments[i]);
    }
    if (opt->nexperiments) wr_sql_add(&s.scope, "))");
    int rc = wr_search_begin(&s, a, t, err);
    if (rc == 0) rc = read_rows(out, n, &s, a, err);
    WR_TRY(wr_search_end(&s, rc, next, err));
    for (size_t i = 0; i < *n; i++) WR_TRY(load_rest(&(*out)[i], a, t, err));
    return 0;
}

/* ---- writing ---- */

void wr_eval_digest(char out[9], wr_str name, int64_t updated_ms)
{
    char hex[WR_SHA256_HEX], time[32];
    int n = snprintf(time, sizeof time, ":%lld", (long long)updated_ms);
    wr_sha256 h;
    wr_sha256_init(&h);
    wr_sha256_add(&h, name.p ? name.p : "", name.n);
    wr_sha256_add(&h, time, (size_t)n);
    wr_sha256_hex(&h, hex);
    snprintf(out, 9, "%.8s", hex);
}

static int put_tags(wr_track *t, int64_t id, const wr_track_item *items, size_t n, wr_err *err)
{
    if (n > WR_EVAL_TAGS) return wr_err_set(err, WEIR_EINVAL, "at most %d tags at once", WR_EVAL_TAGS);
    for (size_t i = 0; i < n; i++) {
        if (!items[i].key.n) return wr_err_set(err, WEIR_EINVAL, "a tag of a dataset needs a key");
        WR_TRY(wr_track_length_check(items[i].key, TAG_KEY, "key", err));
        WR_TRY(wr_track_length_check(items[i].value, TAG_VALUE, "value", err));
        WR_TRY(wr_track_exec(t, err,
                             "INSERT INTO eval_dataset_tags (dataset, key, value) VALUES (?, ?, ?)"
                             " ON CONFLICT (dataset, key) DO UPDATE SET value = excluded.value",
                             "iss", id, items[i].key, items[i].value));
    }
    return 0;
}

static int put_experiments(wr_track *t, int64_t id, const int64_t *ids, size_t n, wr_err *err)
{
    int64_t there;
    if (n > WR_EVAL_EXPERIMENTS) return wr_err_set(err, WEIR_EINVAL, "at most %d experiment ids", WR_EVAL_EXPERIMENTS);
    for (size_t i = 0; i < n; i++) {
        WR_TRY(wr_track_number(&there, -1, t, err, "SELECT id FROM experiments WHERE id = ?", "i", ids[i]));
        if (there < 0) return wr_err_set(err, WEIR_ENOTFOUND, "No Experiment with id=%lld exists", (long long)ids[i]);
        WR_TRY(wr_track_exec(t, err,
                             "INSERT INTO eval_dataset_experiments (dataset, experiment) VALUES (?, ?)"
                             " ON CONFLICT (dataset, experiment) DO NOTHING",
                             "ii", id, ids[i]));
    }
    return 0;
}

static wr_str user_of(const wr_track_item *items, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (wr_str_is(items[i].key, USER_TAG)) return items[i].value;
    return (wr_str){NULL, 0};
}

int wr_eval_dataset_create(wr_eval_dataset *out, wr_arena *a, wr_track *t, wr_str name, const wr_track_item *items,
                           size_t nitems, const int64_t *experiments, size_t nexperiments, wr_err *err)
{
    char hex[33], uuid[36], digest[9];
    int64_t id, now = wr_track_now_ms();
    wr_str user = user_of(items, nitems);
    if (!wr_str_trim(name).n) return wr_err_set(err, WEIR_EINVAL, "the name of an evaluation dataset is empty");
    WR_TRY(wr_track_length_check(name, NAME, "name", err));
    wr_track_new_id(hex);
    snprintf(uuid, sizeof uuid, "d-%s", hex);
    wr_eval_digest(digest, name, now);
    WR_TRY(wr_track_number(&id, 0, t, err,
                           "INSERT INTO eval_datasets (uuid, name, digest, records, created_ms, updated_ms, "
                           "created_by, updated_by) VALUES (?, ?, ?, 0, ?, ?, ?, ?) RETURNING id",
                           "sssiiss", wr_str_of(uuid), name, wr_str_of(digest), now, now, user, user));
    WR_TRY(put_tags(t, id, items, nitems, err));
    WR_TRY(put_experiments(t, id, experiments, nexperiments, err));
    return wr_eval_dataset_get(out, a, t, wr_str_of(uuid), err);
}

int wr_eval_dataset_delete(wr_track *t, wr_str uuid, wr_err *err)
{
    static const char *const statements[] = {
        "DELETE FROM eval_records WHERE dataset = ?", "DELETE FROM eval_dataset_experiments WHERE dataset = ?",
        "DELETE FROM eval_dataset_tags WHERE dataset = ?", "DELETE FROM eval_datasets WHERE id = ?"};
    int64_t id;
    WR_TRY(wr_track_number(&id, 0, t, err, "SELECT id FROM eval_datasets WHERE uuid = ?", "s", uuid));
    for (size_t i = 0; id && i < sizeof statements / sizeof *statements; i++)
        WR_TRY(wr_track_exec(t, err, statements[i], "i", id));
    return 0;
}

int wr_eval_dataset_set_tags(wr_track *t, wr_str uuid, const wr_track_item *items, size_t n, wr_err *err)
{
    int64_t id;
    WR_TRY(wr_track_number(&id, 0, t, err, "SELECT id FROM eval_datasets WHERE uuid = ?", "s", uuid));
    if (!id)
        return wr_err_set(err, WEIR_ENOTFOUND, "Could not find evaluation dataset with ID %.*s",
                          WR_STR_FMT(wr_str_fit(uuid, 64)));
    return put_tags(t, id, items, n, err);
}

int wr_eval_dataset_delete_tag(wr_track *t, wr_str uuid, wr_str key, wr_err *err)
{
    int rc = wr_track_exec(t, err,
                           "DELETE FROM eval_dataset_tags WHERE key = ? AND dataset IN (SELECT id FROM eval_datasets "
                           "WHERE uuid = ?)",
                           "ss", key, uuid);
    return rc < 0 ? rc : 0;
}

static int touch(wr_track *t, int64_t id, wr_err *err)
{
    int rc = wr_track_exec(t, err, "UPDATE eval_datasets SET updated_ms = ? WHERE id = ?", "ii", wr_track_now_ms(), id);
    return rc < 0 ? rc : 0;
}

int wr_eval_dataset_add_experiments(wr_track *t, wr_str uuid, const int64_t *ids, size_t n, wr_err *err)
{
    int64_t id;
    WR_TRY(wr_eval_dataset_id(&id, t, uuid, err));
    WR_TRY(put_experiments(t, id, ids, n, err));
    return touch(t, id, err);
}

int wr_eval_dataset_remove_experiments(wr_track *t, wr_str uuid, const int64_t *ids, size_t n, wr_err *err)
{
    int64_t id;
    int met = 0;
    WR_TRY(wr_eval_dataset_id(&id, t, uuid, err));
    if (n > WR_EVAL_EXPERIMENTS) return wr_err_set(err, WEIR_EINVAL, "at most %d experiment ids", WR_EVAL_EXPERIMENTS);
    for (size_t i = 0; i < n; i++) {
        int rc = wr_track_exec(t, err,
                               "DELETE FROM eval_dataset_experiments WHERE dataset = ? AND experiment = ? RETURNING 1",
                               "ii", id, ids[i]);
        if (rc < 0) return rc;
        met += rc;
    }
    return met ? touch(t, id, err) : 0;
}

int wr_eval_dataset_purge_experiment(wr_track *t, int64_t experiment, wr_err *err)
{
    int rc = wr_track_exec(t, err, "DELETE FROM eval_dataset_experiments WHERE experiment = ?", "i", experiment);
    return rc < 0 ? rc : 0;
}

int wr_eval_dataset_changed(wr_track *t, int64_t id, wr_str schema, wr_str by, wr_err *err)
{
    char digest[9];
    wr_stmt *s;
    int64_t now = wr_track_now_ms();
    WR_TRY(wr_track_query(&s, t, err, "SELECT name FROM eval_datasets WHERE id = ?", "i", id));
    int rc = wr_step(s, err);
    if (rc > 0) wr_eval_digest(digest, wr_stmt_str(s, 0), now);
    wr_stmt_done(s);
    if (rc <= 0) return rc;
    rc = wr_track_exec(t, err,
                       "UPDATE eval_datasets SET updated_ms = ?, digest = ?, schema = coalesce(?, schema), updated_by "
                       "= ?, records = (SELECT count(*) FROM eval_records r WHERE r.dataset = ?) WHERE id = ?",
                       "isssii", now, wr_str_of(digest), schema, by, id, id);
    return rc < 0 ? rc : 0;
}
