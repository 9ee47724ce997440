/* SPDX-License-Identifier: Apache-2.0 */
/* eval_datasets.c - datasets/... (3.x): evaluation datasets. Tags and records travel as JSON inside of texts. */
#include <stdio.h>

#include "base/vec.h"
#include "track/eval_dataset.h"
#include "wire/mlflow/access.h"
#include "wire/mlflow/rpcs.h"

/* ---- writing ---- */

static void put_ids(wr_jsonw *w, const int64_t *ids, size_t n)
{
    char text[24];
    if (!n) return;
    wr_jsonw_key(w, "experiment_ids");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < n; i++) {
        snprintf(text, sizeof text, "%lld", (long long)ids[i]);
        wr_jsonw_cstr(w, text);
    }
    wr_jsonw_end(w);
}

static void put_tags(wr_jsonw *w, const wr_eval_dataset *d)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_jsonw inside;
    wr_jsonw_init(&inside, &b, 0);
    wr_jsonw_obj(&inside);
    for (size_t i = 0; i < d->ntags; i++) wr_jsonw_kslice(&inside, d->tags[i].key.p, d->tags[i].value);
    wr_jsonw_end(&inside);
    if (b.failed) w->out->failed = true;
    wr_jsonw_kslice(w, "tags", wr_buf_view(&b));
}

/* Its experiments are told when it is made; later they are asked for by a procedure of their own. */
static void put_dataset(wr_jsonw *w, const char *key, const wr_eval_dataset *d, bool experiments)
{
    char profile[48];
    if (key) wr_jsonw_key(w, key);
    wr_jsonw_obj(w);
    wr_jsonw_kslice(w, "dataset_id", d->uuid);
    wr_jsonw_kslice(w, "name", d->name);
    put_tags(w, d);
    if (d->schema.p) wr_jsonw_kslice(w, "schema", d->schema);
    if (d->records) {
        snprintf(profile, sizeof profile, "{\"num_records\": %lld}", (long long)d->records);
        wr_jsonw_kstr(w, "profile", profile);
    }
    wr_jsonw_kslice(w, "digest", d->digest);
    wr_jsonw_ki64(w, "created_time", d->created_ms);
    wr_jsonw_ki64(w, "last_update_time", d->updated_ms);
    if (d->created_by.p) wr_jsonw_kslice(w, "created_by", d->created_by);
    if (d->updated_by.p) wr_jsonw_kslice(w, "last_updated_by", d->updated_by);
    if (experiments) put_ids(w, d->experiments, d->nexperiments);
    wr_jsonw_end(w);
}

static void put_raw(wr_jsonw *w, const char *key, wr_str json)
{
    if (!json.p) return;
    wr_jsonw_key(w, key);
    wr_jsonw_raw(w, json);
}

static void put_record(wr_jsonw *w, wr_str dataset, const wr_eval_record *r)
{
    wr_jsonw_obj(w);
    wr_jsonw_kslice(w, "dataset_record_id", r->uuid);
    wr_jsonw_kslice(w, "dataset_id", dataset);
    put_raw(w, "inputs", r->inputs);
    put_raw(w, "outputs", r->outputs);
    put_raw(w, "expectations", r->expectations);
    put_raw(w, "tags", r->tags);
    put_raw(w, "source", r->source);
    if (r->source_id.p) wr_jsonw_kslice(w, "source_id", r->source_id);
    if (r->source_type.p) wr_jsonw_kslice(w, "source_type", r->source_type);
    wr_jsonw_ki64(w, "created_time", r->created_ms);
    wr_jsonw_ki64(w, "last_update_time", r->updated_ms);
    if (r->created_by.p) wr_jsonw_kslice(w, "created_by", r->created_by);
    if (r->updated_by.p) wr_jsonw_kslice(w, "last_updated_by", r->updated_by);
    wr_jsonw_end(w);
}

/* ---- reading ---- */

/* "tags": the text of an object. Values that are no texts become their JSON; null ones are left out. */
static int read_tags(wr_track_item **out, size_t *n, wr_json *j, wr_mlflow_call *c, wr_err *err)
{
    wr_str text = wr_mlflow_str(c, "tags");
    size_t i, max;
    yyjson_val *key, *value;
    *n = 0;
    *out = NULL;
    if (!text.n) return 0;
    WR_TRY(wr_json_parse_lenient(j, text, err));
    if (!yyjson_is_obj(j->root) && !yyjson_is_null(j->root))
        return wr_err_set(err, WEIR_EINVAL, "the \"tags\" of a dataset must be the JSON of an object");
    *out = wr_arena_calloc(c->arena, yyjson_obj_size(j->root) + 1, sizeof **out);
    if (!*out) return wr_err_nomem(err);
    yyjson_obj_foreach(j->root, i, max, key, value)
    {
        WR_AUTOBUF wr_buf b = {0};
        wr_jsonw w;
        wr_str v = {yyjson_get_str(value), yyjson_get_len(value)};
        if (yyjson_is_null(value)) continue;
        if (!yyjson_is_str(value)) {
            wr_jsonw_init(&w, &b, 0);
            wr_jsonw_val(&w, value);
            v = wr_arena_str(c->arena, wr_buf_view(&b));
            if (b.failed || !v.p) return wr_err_nomem(err);
        }
        (*out)[(*n)++] = (wr_track_item){{yyjson_get_str(key), yyjson_get_len(key)}, v};
    }
    return 0;
}

static int read_ids(int64_t **out, size_t *n, wr_mlflow_call *c, wr_err *err)
{
    wr_str *texts;
    WR_TRY(wr_mlflow_strs(&texts, n, c, "experiment_ids", err));
    *out = wr_arena_alloc(c->arena, (*n + 1) * sizeof **out);
    if (!*out) return wr_err_nomem(err);
    for (size_t i = 0; i < *n; i++) WR_TRY(wr_mlflow_experiment_id(&(*out)[i], texts[i], err));
    return 0;
}

/* ---- procedures ---- */

static int create(wr_mlflow_call *c, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    wr_eval_dataset d;
    wr_track_item *tags;
    int64_t *ids;
    size_t ntags, nids;
    WR_TRY(read_tags(&tags, &ntags, &j, c, err));
    WR_TRY(read_ids(&ids, &nids, c, err));
    WR_TRY(wr_eval_dataset_create(&d, c->arena, c->track, wr_mlflow_str(c, "name"), tags, ntags, ids, nids, err));
    put_dataset(&c->w, "dataset", &d, true);
    return 0;
}

static int put_found(wr_mlflow_call *c, wr_err *err)
{
    wr_eval_dataset d;
    WR_TRY(wr_eval_dataset_get(&d, c->arena, c->track, c->segment[0], err));
    put_dataset(&c->w, "dataset", &d, false);
    return 0;
}

static int delete (wr_mlflow_call *c, wr_err *err) { return wr_eval_dataset_delete(c->track, c->segment[0], err); }

/* Shown to whoever may read one of its experiments; one without any to everybody. */
static bool may_read(const wr_mlflow_call *c, const wr_eval_dataset *d)
{
    bool any = d->nexperiments == 0;
    for (size_t i = 0; !any && i < d->nexperiments; i++) any = wr_mlflow_may_read_experiment(c, d->experiments[i]);
    return any;
}

static int search(wr_mlflow_call *c, wr_err *err)
{
    wr_str *order, next = {NULL, 0};
    size_t norder, n = 0, nids, shown = 0;
    int64_t *ids, max = wr_mlflow_i64(c, "max_results", 0);
    bool asked = yyjson_arr_size(wr_mlflow_val(c, "experiment_ids")) > 0;
    if (!max) max = 1000;
    if (max < 0 || max > WR_EVAL_PAGE)
        return wr_err_set(err, WEIR_EINVAL,
                          "Invalid value %lld for parameter 'max_results' supplied: It must be between 1 and %d",
                          (long long)max, WR_EVAL_PAGE);
    WR_TRY(wr_mlflow_strs(&order, &norder, c, "order_by", err));
    WR_TRY(wr_mlflow_experiment_ids(&ids, &nids, c, err));
    if (asked && !nids) return 0;
    wr_eval_search_opt opt = {.filter = wr_mlflow_str(c, "filter_string"),
                              .token = wr_mlflow_str(c, "page_token"),
                              .order = order,
                              .norder = norder,
                              .experiments = ids,
                              .nexperiments = nids};
    wr_jsonw_key(&c->w, "datasets");
    wr_jsonw_arr(&c->w);
    while ((int64_t)shown < max) {
        wr_eval_dataset *d;
        opt.max = (size_t)max - shown;
        WR_TRY(wr_eval_dataset_search(&d, &n, &next, c->arena, c->track, &opt, err));
        for (size_t i = 0; i < n; i++) {
            if (!may_read(c, &d[i])) continue;
            put_dataset(&c->w, NULL, &d[i], false);
            shown++;
        }
        if (!next.n) break;
        opt.token = next;
    }
    wr_jsonw_end(&c->w);
    if (next.n) wr_jsonw_kslice(&c->w, "next_page_token", next);
    return 0;
}

static int set_tags(wr_mlflow_call *c, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    wr_track_item *tags;
    size_t n;
    WR_TRY(read_tags(&tags, &n, &j, c, err));
    return wr_eval_dataset_set_tags(c->track, c->segment[0], tags, n, err);
}

static int delete_tag(wr_mlflow_call *c, wr_err *err)
{
    return wr_eval_dataset_delete_tag(c->track, c->segment[0], c->segment[1], err);
}

static int get_experiment_ids(wr_mlflow_call *c, wr_err *err)
{
    int64_t *ids;
    size_t n;
    WR_TRY(wr_eval_dataset_experiments(&ids, &n, c->arena, c->track, c->segment[0], err));
    put_ids(&c->w, ids, n);
    return 0;
}

static int add_experiments(wr_mlflow_call *c, wr_err *err)
{
    int64_t *ids;
    size_t n;
    WR_TRY(read_ids(&ids, &n, c, err));
    WR_TRY(wr_eval_dataset_add_experiments(c->track, c->segment[0], ids, n, err));
    return put_found(c, err);
}

static int remove_experiments(wr_mlflow_call *c, wr_err *err)
{
    int64_t *ids;
    size_t n;
    WR_TRY(read_ids(&ids, &n, c, err));
    WR_TRY(wr_eval_dataset_remove_experiments(c->track, c->segment[0], ids, n, err));
    return put_found(c, err);
}

static int upsert_records(wr_mlflow_call *c, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    size_t inserted, updated;
    WR_TRY(wr_json_parse_lenient(&j, wr_mlflow_str(c, "records"), err));
    WR_TRY(wr_eval_records_upsert(&inserted, &updated, c->track, c->segment[0], j.root, err));
    wr_jsonw_ki64(&c->w, "inserted_count", (int64_t)inserted);
    wr_jsonw_ki64(&c->w, "updated_count", (int64_t)updated);
    return 0;
}

static int get_records(wr_mlflow_call *c, wr_err *err)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_jsonw inside;
    wr_eval_record *r;
    size_t n;
    wr_str next;
    int64_t max = wr_mlflow_i64(c, "max_results", 0);
    WR_TRY(wr_eval_records_list(&r, &n, &next, c->arena, c->track, c->segment[0], max ? max : 1000,
                                wr_mlflow_str(c, "page_token"), err));
    wr_jsonw_init(&inside, &b, 0);
    wr_jsonw_arr(&inside);
    for (size_t i = 0; i < n; i++) put_record(&inside, c->segment[0], &r[i]);
    wr_jsonw_end(&inside);
    if (b.failed) return wr_err_nomem(err);
    wr_jsonw_kslice(&c->w, "records", wr_buf_view(&b));
    if (next.n) wr_jsonw_kslice(&c->w, "next_page_token", next);
    return 0;
}

static int delete_records(wr_mlflow_call *c, wr_err *err)
{
    wr_str *ids;
    size_t n, deleted;
    WR_TRY(wr_mlflow_strs(&ids, &n, c, "dataset_record_ids", err));
    WR_TRY(wr_eval_records_delete(&deleted, c->track, c->segment[0], ids, n, err));
    wr_jsonw_ki64(&c->w, "deleted_count", (int64_t)deleted);
    return 0;
}

#define ONE "3.0/mlflow/datasets/{}"
#define SEARCH                                                                                                         \
    {                                                                                                                  \
        {"experiment_ids", 'a', false}, {"filter_string", 's', false}, {"max_results", 'i', false},                    \
            {"order_by", 'a', false}, {"page_token", 's', false},                                                      \
    }
static const wr_mlflow_rpc rpcs[] = {
    {"POST",
     "3.0/mlflow/datasets/create",
     WR_MLFLOW_WRITE,
     create,
     {{"name", 's', true}, {"experiment_ids", 'a', false}, {"tags", 's', false}}},
    {"POST", "3.0/mlflow/datasets/search", WR_MLFLOW_QUERY, search, SEARCH},
    {"GET", "3.0/mlflow/datasets/search", WR_MLFLOW_QUERY, search, SEARCH},
    {"GET", ONE, WR_MLFLOW_READ, put_found, {{0}}},
    {"DELETE", ONE, WR_MLFLOW_WRITE, delete, {{0}}},
    {"PATCH", ONE "/tags", WR_MLFLOW_WRITE, set_tags, {{"tags", 's', true}}},
    {"DELETE", ONE "/tags/{}", WR_MLFLOW_WRITE, delete_tag, {{0}}},
    {"POST", ONE "/records", WR_MLFLOW_WRITE, upsert_records, {{"records", 's', true}}},
    {"GET", ONE "/records", WR_MLFLOW_QUERY, get_records, {{"max_results", 'i', false}, {"page_token", 's', false}}},
    {"DELETE", ONE "/records", WR_MLFLOW_WRITE, delete_records, {{"dataset_record_ids", 'a', false}}},
    {"GET", ONE "/experiment-ids", WR_MLFLOW_READ, get_experiment_ids, {{0}}},
    {"POST", ONE "/add-experiments", WR_MLFLOW_WRITE, add_experiments, {{"experiment_ids", 'a', false}}},
    {"POST", ONE "/remove-experiments", WR_MLFLOW_WRITE, remove_experiments, {{"experiment_ids", 'a', false}}},
};
const wr_mlflow_rpcs wr_mlflow_eval_datasets = {rpcs, sizeof rpcs / sizeof *rpcs};
