/* SPDX-License-Identifier: Apache-2.0 */
/* registry_search.c - searching registered models and versions. Prompts are left out unless the filter speaks of them.
 */
#include "base/vec.h"
#include "track/registry_inside.h"
#include "track/search.h"

/* ---- what a search may name ---- */

static const wr_filter_field model_attributes[] = {{.names = "name",
                                                    .ops = WR_OPS_TEXT | WR_OPS_IN,
                                                    .more = WR_OPS_MORE,
                                                    .order = true,
                                                    .always = true,
                                                    .column = "m.name"},
                                                   {.names = "last_updated_timestamp|timestamp",
                                                    .number_more = WR_OPS_NUMBER | WR_OPS_NUMBER_MORE,
                                                    .integers = true,
                                                    .order = true,
                                                    .always = true,
                                                    .column = "m.updated_ms"},
                                                   {.names = "creation_timestamp",
                                                    .number_more = WR_OPS_NUMBER | WR_OPS_NUMBER_MORE,
                                                    .integers = true,
                                                    .always = true,
                                                    .column = "m.created_ms"},
                                                   {0}};
/* Whoever has no such tag is a model and no prompt: 'false'. */
static const wr_filter_field model_tags[] = {
    {.names = WR_PROMPT_TAG,
     .ops = WR_OPS_TEXT,
     .more = WR_OPS_MORE,
     .always = true,
     .column = "coalesce((SELECT $.value FROM registered_model_tags $ WHERE $.model = m.id AND $.key = "
               "'" WR_PROMPT_TAG "'), 'false')"},
    {.names = "*",
     .ops = WR_OPS_TEXT,
     .more = WR_OPS_MORE,
     .table = "registered_model_tags $",
     .link = "$.model = m.id AND $.key = ?",
     .column = "$.value"},
    {0}};
static const wr_filter_entity model_entities[] = {
    {.names = "attribute|attributes", .bare = true, .fields = model_attributes},
    {.names = "tag|tags", .fields = model_tags},
    {0}};
const wr_filter_noun wr_registered_model_noun = {.name = "registered model", .entities = model_entities};

static const wr_filter_field version_attributes[] = {
    {.names = "name",
     .ops = WR_OPS_TEXT | WR_OPS_IN,
     .more = WR_OPS_MORE,
     .order = true,
     .always = true,
     .column = "m.name"},
    {.names = "version_number",
     .number_ops = WR_OPS_NUMBER,
     .number_more = WR_OPS_NUMBER_MORE,
     .integers = true,
     .order = true,
     .always = true,
     .column = "v.version"},
    {.names = "run_id", .ops = WR_OPS_TEXT | WR_OPS_IN, .more = WR_OPS_MORE, .column = "v.run_id"},
    {.names = "source_path", .ops = WR_OPS_TEXT | WR_OPS_IN, .more = WR_OPS_MORE, .column = "v.source"},
    {.names = "current_stage", .more = WR_OPS_TEXT | WR_OPS_MORE, .column = "v.stage"},
    {.names = "last_updated_timestamp",
     .number_more = WR_OPS_NUMBER | WR_OPS_NUMBER_MORE,
     .integers = true,
     .order = true,
     .always = true,
     .column = "v.updated_ms"},
    {.names = "creation_timestamp",
     .number_more = WR_OPS_NUMBER | WR_OPS_NUMBER_MORE,
     .integers = true,
     .order = true,
     .always = true,
     .column = "v.created_ms"},
    {0}};
static const wr_filter_field version_tags[] = {
    {.names = WR_PROMPT_TAG,
     .ops = WR_OPS_TEXT,
     .more = WR_OPS_MORE,
     .always = true,
     .column = "coalesce((SELECT $.value FROM registered_version_tags $ WHERE $.version = v.id AND $.key = "
               "'" WR_PROMPT_TAG "'), 'false')"},
    {.names = "*",
     .ops = WR_OPS_TEXT,
     .more = WR_OPS_MORE,
     .table = "registered_version_tags $",
     .link = "$.version = v.id AND $.key = ?",
     .column = "$.value"},
    {0}};
static const wr_filter_entity version_entities[] = {
    {.names = "attribute|attributes", .bare = true, .fields = version_attributes},
    {.names = "tag|tags", .fields = version_tags},
    {0}};
const wr_filter_noun wr_registered_version_noun = {.name = "model version", .entities = version_entities};

/* ---- searching ---- */

static int check_max(int64_t max, int64_t most, wr_err *err)
{
    if (max < 1)
        return wr_err_set(err, WEIR_EINVAL,
                          "Invalid value for max_results. It must be a positive integer, but got %lld", (long long)max);
    if (max <= most) return 0;
    return wr_err_set(err, WEIR_EINVAL,
                      "Invalid value for request parameter max_results. It must be at most %lld, but got value %lld",
                      (long long)most, (long long)max);
}

/* Does the filter speak of prompts? */
static int speaks_of_prompts(bool *out, wr_arena *a, const wr_filter_noun *noun, const wr_filter_field *prompt,
                             wr_str text, wr_err *err)
{
    wr_filter f;
    WR_TRY(wr_filter_parse(&f, a, noun, text, err));
    *out = wr_filter_names(&f, prompt);
    return 0;
}

/* MLflow's words for a key that models are not ordered by. */
static int check_model_order(const wr_registered_query *q, wr_err *err)
{
    for (size_t i = 0; i < q->norder; i++) {
        wr_str text = wr_str_trim(q->order_by[i]), key = wr_str_sub(text, 0, wr_filter_word(text));
        if (!key.n || wr_str_is(key, "name") || wr_str_is(key, "timestamp") || wr_str_is(key, "last_updated_timestamp"))
            continue;
        return wr_err_set(err, WEIR_EINVAL,
                          "Invalid order by key '%.*s' specified. Valid keys are 'name', 'timestamp' and "
                          "'last_updated_timestamp'",
                          WR_STR_FMT(wr_str_fit(key, 100)));
    }
    return 0;
}

static void take(wr_search *s, const wr_registered_query *q)
{
    s->filter = q->filter;
    s->token = q->token;
    s->order = q->order_by;
    s->norder = q->norder;
    s->max = (size_t)q->max;
}

int wr_registered_models_search(wr_registered_model **out, size_t *n, wr_str *next, wr_arena *a, wr_track *t,
                                const wr_registered_query *q, wr_err *err)
{
    static const char *const order[] = {"name ASC", NULL};
    WR_VEC(wr_registered_model) rows = {0};
    bool prompts;
    wr_search s = {.noun = &wr_registered_model_noun,
                   .columns = WR_MODEL_COLUMNS,
                   .ncolumns = WR_MODEL_NCOLUMNS,
                   .from = "registered_models m",
                   .defaults = order,
                   .ties = order};
    WR_TRY(check_max(q->max, WR_REGISTERED_MODELS_MAX, err));
    WR_TRY(check_model_order(q, err));
    WR_TRY(speaks_of_prompts(&prompts, a, &wr_registered_model_noun, &model_tags[0], q->filter, err));
    take(&s, q);
    if (!prompts)
        wr_sql_add(&s.scope, "NOT EXISTS (SELECT 1 FROM registered_model_tags x WHERE x.model = m.id AND x.key = "
                             "'" WR_PROMPT_TAG "' AND x.value = 'true')");
    int rc = wr_search_begin(&s, a, t, err);
    while (rc == 0 && (rc = wr_search_next(&s, err)) > 0)
        rc = wr_vec_push(&rows, wr_registered_model_row(a, s.row)) < 0 ? wr_err_nomem(err) : 0;
    rc = wr_search_end(&s, rc, next, err);
    WR_TRY(wr_vec_keep(out, n, a, &rows, rc, err));
    return *out ? wr_registered_model_load(*out, *n, a, t, err) : wr_err_nomem(err);
}

/* A filter that does not speak of prompts leaves out all versions of a model one of whose versions is a prompt. */
int wr_registered_versions_search(wr_registered_version **out, size_t *n, wr_str *next, wr_arena *a, wr_track *t,
                                  const wr_registered_query *q, wr_err *err)
{
    static const char *const defaults[] = {"last_updated_timestamp DESC", NULL};
    static const char *const ties[] = {"name ASC", "version_number DESC", NULL};
    WR_VEC(wr_registered_version) rows = {0};
    bool prompts;
    wr_search s = {.noun = &wr_registered_version_noun,
                   .columns = WR_VERSION_COLUMNS,
                   .ncolumns = WR_VERSION_NCOLUMNS,
                   .from = "registered_versions v JOIN registered_models m ON m.id = v.model",
                   .defaults = defaults,
                   .ties = ties};
    WR_TRY(check_max(q->max, WR_REGISTERED_VERSIONS_MAX, err));
    WR_TRY(speaks_of_prompts(&prompts, a, &wr_registered_version_noun, &version_tags[0], q->filter, err));
    take(&s, q);
    wr_sql_add(&s.scope, "v.stage <> '" WR_REGISTERED_DELETED "'");
    if (!prompts)
        wr_sql_add(&s.scope, " AND NOT EXISTS (SELECT 1 FROM registered_versions y JOIN registered_version_tags x ON "
                             "x.version = y.id WHERE y.model = v.model AND x.key = '" WR_PROMPT_TAG "' AND x.value = "
                             "'true')");
    int rc = wr_search_begin(&s, a, t, err);
    while (rc == 0 && (rc = wr_search_next(&s, err)) > 0)
        rc = wr_vec_push(&rows, wr_registered_version_row(a, s.row)) < 0 ? wr_err_nomem(err) : 0;
    rc = wr_search_end(&s, rc, next, err);
    WR_TRY(wr_vec_keep(out, n, a, &rows, rc, err));
    return *out ? wr_registered_version_load(*out, *n, a, t, err) : wr_err_nomem(err);
}
