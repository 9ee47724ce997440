/* SPDX-License-Identifier: Apache-2.0 */
/* registered_models.c - registered-models/...: models, their tags and aliases. */
#include <stdio.h>

#include "wire/mlflow/access.h"
#include "wire/mlflow/rpcs.h"

/* ---- writing ---- */

static void put_version_number(wr_jsonw *w, int64_t version)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)version);
    wr_jsonw_kstr(w, "version", text);
}

void wr_mlflow_put_version(wr_jsonw *w, const char *key, const wr_registered_version *v)
{
    if (key) wr_jsonw_key(w, key);
    wr_jsonw_obj(w);
    wr_jsonw_kslice(w, "name", v->name);
    put_version_number(w, v->version);
    wr_jsonw_ki64(w, "creation_timestamp", v->created_ms);
    wr_jsonw_ki64(w, "last_updated_timestamp", v->updated_ms);
    if (v->user.p) wr_jsonw_kslice(w, "user_id", v->user);
    wr_jsonw_kslice(w, "current_stage", v->stage);
    if (v->description.p) wr_jsonw_kslice(w, "description", v->description);
    wr_jsonw_kslice(w, "source", v->source);
    if (v->run_id.p) wr_jsonw_kslice(w, "run_id", v->run_id);
    wr_jsonw_kstr(w, "status", "READY");
    wr_mlflow_put_items(w, "tags", v->tags, v->ntags);
    if (v->run_link.p) wr_jsonw_kslice(w, "run_link", v->run_link);
    if (v->naliases) {
        wr_jsonw_key(w, "aliases");
        wr_jsonw_arr(w);
        for (size_t i = 0; i < v->naliases; i++) wr_jsonw_str(w, v->aliases[i]);
        wr_jsonw_end(w);
    }
    if (v->model_id.n) wr_jsonw_kslice(w, "model_id", v->model_id);
    wr_jsonw_end(w);
}

void wr_mlflow_put_versions(wr_jsonw *w, const char *key, const wr_registered_version *v, size_t n)
{
    if (!n) return;
    wr_jsonw_key(w, key);
    wr_jsonw_arr(w);
    for (size_t i = 0; i < n; i++) wr_mlflow_put_version(w, NULL, &v[i]);
    wr_jsonw_end(w);
}

static void put_model(wr_jsonw *w, const char *key, const wr_registered_model *m)
{
    if (key) wr_jsonw_key(w, key);
    wr_jsonw_obj(w);
    wr_jsonw_kslice(w, "name", m->name);
    wr_jsonw_ki64(w, "creation_timestamp", m->created_ms);
    wr_jsonw_ki64(w, "last_updated_timestamp", m->updated_ms);
    if (m->description.n) wr_jsonw_kslice(w, "description", m->description);
    wr_mlflow_put_versions(w, "latest_versions", m->latest, m->nlatest);
    wr_mlflow_put_items(w, "tags", m->tags, m->ntags);
    if (m->naliases) {
        wr_jsonw_key(w, "aliases");
        wr_jsonw_arr(w);
        for (size_t i = 0; i < m->naliases; i++) {
            wr_jsonw_obj(w);
            wr_jsonw_kslice(w, "alias", m->aliases[i].alias);
            put_version_number(w, m->aliases[i].version);
            wr_jsonw_end(w);
        }
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

static int answer_model(wr_mlflow_call *c, wr_str name, wr_err *err)
{
    wr_registered_model m;
    WR_TRY(wr_registered_model_get(&m, c->arena, c->track, name, err));
    put_model(&c->w, "registered_model", &m);
    return 0;
}

/* Absent is the empty text: that is what MLflow's messages say. */
static wr_str text(const wr_mlflow_call *c, const char *name)
{
    wr_str v = wr_mlflow_str(c, name);
    return v.p ? v : WR_STR("");
}

int wr_mlflow_registered_query(wr_registered_query *out, wr_mlflow_call *c, int64_t fallback, int64_t most, wr_err *err)
{
    wr_str *order;
    *out = (wr_registered_query){.filter = wr_mlflow_str(c, "filter"),
                                 .max = wr_mlflow_i64(c, "max_results", fallback),
                                 .token = wr_mlflow_str(c, "page_token")};
    if (out->max > most) return wr_mlflow_invalid(err, "max_results", wr_mlflow_val(c, "max_results"), NULL);
    WR_TRY(wr_mlflow_strs(&order, &out->norder, c, "order_by", err));
    out->order_by = order;
    return 0;
}

/* ---- life ---- */

static int create(wr_mlflow_call *c, wr_err *err)
{
    wr_registered_model m;
    wr_track_item *tags;
    size_t ntags;
    WR_TRY(wr_mlflow_items(&tags, &ntags, c, "tags", err));
    WR_TRY(wr_registered_model_create(&m, c->arena, c->track, wr_mlflow_str(c, "name"), text(c, "description"), tags,
                                      ntags, err));
    put_model(&c->w, "registered_model", &m);
    return 0;
}

static int get(wr_mlflow_call *c, wr_err *err) { return answer_model(c, wr_mlflow_str(c, "name"), err); }

static int update(wr_mlflow_call *c, wr_err *err)
{
    WR_TRY(wr_registered_model_describe(c->track, wr_mlflow_str(c, "name"), text(c, "description"), err));
    return answer_model(c, wr_mlflow_str(c, "name"), err);
}

static int rename_model(wr_mlflow_call *c, wr_err *err)
{
    WR_TRY(wr_registered_model_rename(c->track, wr_mlflow_str(c, "name"), wr_mlflow_str(c, "new_name"), err));
    return answer_model(c, wr_mlflow_str(c, "new_name"), err);
}

static int delete (wr_mlflow_call *c, wr_err *err)
{
    return wr_registered_model_delete(c->track, wr_mlflow_str(c, "name"), err);
}

static int search(wr_mlflow_call *c, wr_err *err)
{
    wr_registered_model *m;
    size_t n;
    wr_str next;
    wr_registered_query q;
    WR_TRY(wr_mlflow_registered_query(&q, c, 100, WR_REGISTERED_MODELS_MAX, err));
    WR_TRY(wr_registered_models_search(&m, &n, &next, c->arena, c->track, &q, err));
    size_t shown = 0;
    for (size_t i = 0; i < n; i++)
        if (wr_mlflow_may_read(c, "registered_model", m[i].name)) m[shown++] = m[i];
    n = shown;
    if (n) {
        wr_jsonw_key(&c->w, "registered_models");
        wr_jsonw_arr(&c->w);
        for (size_t i = 0; i < n; i++) put_model(&c->w, NULL, &m[i]);
        wr_jsonw_end(&c->w);
    }
    if (next.n) wr_jsonw_kslice(&c->w, "next_page_token", next);
    return 0;
}

static int latest(wr_mlflow_call *c, wr_err *err)
{
    wr_registered_version *v;
    wr_str *stages;
    size_t n, nstages;
    WR_TRY(wr_mlflow_strs(&stages, &nstages, c, "stages", err));
    WR_TRY(wr_registered_latest(&v, &n, c->arena, c->track, wr_mlflow_str(c, "name"), stages, nstages, err));
    wr_mlflow_put_versions(&c->w, "model_versions", v, n);
    return 0;
}

const wr_registered_who *wr_mlflow_who(wr_mlflow_call *c, wr_err *err)
{
    static const wr_registered_who nobody = {0};
    if (!c->access) return NULL;
    const wr_user *u = c->access->user;
    wr_registered_who *who = wr_arena_calloc(c->arena, 1, sizeof *who);
    wr_str *roles = wr_arena_calloc(c->arena, u->nroles + 1, sizeof *roles);
    if (!who || !roles) { /* without memory nobody has a role */
        wr_err_nomem(err);
        return &nobody;
    }
    *who = (wr_registered_who){.name = u->name, .roles = roles, .admin = u->admin};
    for (size_t i = 0; i < u->nroles; i++)
        if (!u->roles[i]->personal) roles[who->nroles++] = u->roles[i]->name;
    return who;
}

/* ---- tags, aliases ---- */

static int set_tag(wr_mlflow_call *c, wr_err *err)
{
    return wr_registered_model_set_tag(c->track, wr_mlflow_str(c, "name"), wr_mlflow_str(c, "key"), text(c, "value"),
                                       err);
}

static int delete_tag(wr_mlflow_call *c, wr_err *err)
{
    return wr_registered_model_delete_tag(c->track, wr_mlflow_str(c, "name"), wr_mlflow_str(c, "key"), err);
}

static int set_alias(wr_mlflow_call *c, wr_err *err)
{
    int64_t version;
    WR_TRY(wr_registered_version_number(&version, wr_mlflow_str(c, "version"), err));
    return wr_registered_alias_set(c->track, wr_mlflow_str(c, "name"), wr_mlflow_str(c, "alias"), version,
                                   wr_mlflow_who(c, err), err);
}

static int delete_alias(wr_mlflow_call *c, wr_err *err)
{
    return wr_registered_alias_delete(c->track, wr_mlflow_str(c, "name"), wr_mlflow_str(c, "alias"),
                                      wr_mlflow_who(c, err), err);
}

static int by_alias(wr_mlflow_call *c, wr_err *err)
{
    wr_registered_version v;
    WR_TRY(wr_registered_version_by_alias(&v, c->arena, c->track, wr_mlflow_str(c, "name"), wr_mlflow_str(c, "alias"),
                                          err));
    wr_mlflow_put_version(&c->w, "model_version", &v);
    return 0;
}

#define NAME                                                                                                           \
    {                                                                                                                  \
        "name", 's', true                                                                                              \
    }
#define LATEST "2.0/mlflow/registered-models/get-latest-versions"
#define ALIAS  "2.0/mlflow/registered-models/alias"
static const wr_mlflow_rpc rpcs[] = {
    {"POST",
     "2.0/mlflow/registered-models/create",
     WR_MLFLOW_WRITE,
     create,
     {NAME, {"tags", 'a', false}, {"description", 's', false}}},
    {"GET", "2.0/mlflow/registered-models/get", WR_MLFLOW_READ, get, {NAME}},
    {"PATCH", "2.0/mlflow/registered-models/update", WR_MLFLOW_WRITE, update, {NAME, {"description", 's', false}}},
    {"POST", "2.0/mlflow/registered-models/rename", WR_MLFLOW_WRITE, rename_model, {NAME, {"new_name", 's', true}}},
    {"DELETE", "2.0/mlflow/registered-models/delete", WR_MLFLOW_WRITE, delete, {NAME}},
    {"GET", "2.0/mlflow/registered-models/search", WR_MLFLOW_QUERY, search, {WR_MLFLOW_SEARCH_FIELDS}},
    {"POST", LATEST, WR_MLFLOW_READ, latest, {NAME, {"stages", 'a', false}}},
    {"GET", LATEST, WR_MLFLOW_READ, latest, {NAME, {"stages", 'a', false}}},
    {"POST",
     "2.0/mlflow/registered-models/set-tag",
     WR_MLFLOW_WRITE,
     set_tag,
     {NAME, {"key", 's', true}, {"value", 's', false}}},
    {"DELETE", "2.0/mlflow/registered-models/delete-tag", WR_MLFLOW_WRITE, delete_tag, {NAME, {"key", 's', true}}},
    {"POST", ALIAS, WR_MLFLOW_WRITE, set_alias, {NAME, {"alias", 's', true}, {"version", 's', true}}},
    {"DELETE", ALIAS, WR_MLFLOW_WRITE, delete_alias, {NAME, {"alias", 's', true}}},
    {"GET", ALIAS, WR_MLFLOW_READ, by_alias, {NAME, {"alias", 's', true}}},
};
const wr_mlflow_rpcs wr_mlflow_registered_models = {rpcs, sizeof rpcs / sizeof *rpcs};
