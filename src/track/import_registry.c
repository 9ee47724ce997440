/* SPDX-License-Identifier: Apache-2.0 */
/* import_registry.c - registered models, their versions, and users of another store. */
#include "track/import.h"
#include "track/registry_inside.h"

static int add_model_rows(wr_track *t, int64_t id, const wr_registered_model *in, wr_err *err)
{
    for (size_t i = 0; i < in->ntags; i++) {
        int rc = wr_track_exec(
            t, err, "INSERT INTO registered_model_tags (model, key, value) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            "iss", id, in->tags[i].key, in->tags[i].value);
        if (rc < 0) return rc;
    }
    for (size_t i = 0; i < in->naliases; i++) {
        const wr_registered_alias *x = &in->aliases[i];
        int rc = wr_track_exec(t, err,
                               "INSERT INTO registered_aliases (model, alias, version, moved_ms) VALUES (?, ?, ?, ?) ON CONFLICT DO "
                               "NOTHING RETURNING 1",
                               "isii", id, x->alias, x->version, in->updated_ms);
        if (rc > 0) /* its history begins */
            rc = wr_track_exec(t, err,
                               "INSERT INTO registered_alias_moves (model, alias, version, undo, moved_ms) VALUES (?, ?, ?, 0, ?)",
                               "isii", id, x->alias, x->version, in->updated_ms);
        if (rc < 0) return rc;
    }
    return 0;
}

int wr_import_model(bool *made, wr_track *t, const wr_registered_model *in, wr_err *err)
{
    int64_t id, taken;
    WR_TRY(wr_track_number(&id, 0, t, err, "SELECT id FROM registered_models WHERE name = ? AND created_ms = ?", "si",
                           in->name, in->created_ms));
    *made = id == 0;
    if (*made) {
        WR_TRY(wr_track_number(&taken, 0, t, err, "SELECT id FROM registered_models WHERE name = ?", "s", in->name));
        if (taken)
            return wr_err_set(err, WEIR_EEXIST, "there is another registered model \"%.*s\" already",
                              WR_STR_FMT(wr_str_fit(in->name, 200)));
        WR_TRY(wr_track_number(&id, 0, t, err,
                               "INSERT INTO registered_models (name, description, created_ms, updated_ms) VALUES (?, "
                               "?, ?, ?) RETURNING id",
                               "ssii", in->name, in->description, in->created_ms, in->updated_ms));
    }
    return add_model_rows(t, id, in, err);
}

int wr_import_version(bool *made, wr_track *t, const wr_registered_version *in, wr_err *err)
{
    int64_t id, model;
    *made = false;
    WR_TRY(wr_track_number(&model, 0, t, err, "SELECT id FROM registered_models WHERE name = ?", "s", in->name));
    if (!model)
        return wr_err_set(err, WEIR_ENOTFOUND, "there is no registered model \"%.*s\"",
                          WR_STR_FMT(wr_str_fit(in->name, 200)));
    WR_TRY(wr_track_number(&id, 0, t, err, "SELECT id FROM registered_versions WHERE model = ? AND version = ?", "ii",
                           model, in->version));
    if (!id) {
        *made = true;
        WR_TRY(wr_track_number(
            &id, 0, t, err,
            "INSERT INTO registered_versions (model, version, stage, source, storage, run_id, run_link, description, "
            "user_id, "
            "model_id, created_ms, updated_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            "iissssssssii", model, in->version, in->stage, in->source, in->storage, in->run_id, in->run_link,
            in->description, in->user, in->model_id, in->created_ms, in->updated_ms));
        int rc = wr_track_exec(
            t, err,
            "INSERT INTO registered_version_inputs (version, name, digest, source_type, source, context)"
            " SELECT ?, d.name, d.digest, d.source_type, d.source, i.context FROM track_runs r JOIN track_inputs i ON "
            "i.run = r.id JOIN track_datasets d ON d.id = i.dataset WHERE r.uuid = ? ON CONFLICT DO NOTHING",
            "is", id, in->run_id);
        if (rc < 0) return rc;
    }
    for (size_t i = 0; i < in->ntags; i++) {
        int rc = wr_track_exec(
            t, err, "INSERT INTO registered_version_tags (version, key, value) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            "iss", id, in->tags[i].key, in->tags[i].value);
        if (rc < 0) return rc;
    }
    return 0;
}

int wr_import_user(bool *made, wr_track *t, wr_str name, wr_str password, bool admin, wr_err *err)
{
    int64_t id;
    if (!name.n || !wr_str_utf8(name) || memchr(name.p, ':', name.n))
        return wr_err_set(err, WEIR_EINVAL, "\"%.*s\" is no name of a user", WR_STR_FMT(wr_str_fit(name, 100)));
    WR_TRY(wr_track_number(&id, 0, t, err, "SELECT id FROM users WHERE name = ?", "s", name));
    *made = id == 0;
    if (!*made) return 0;
    int rc = wr_track_exec(t, err, "INSERT INTO users (name, password, admin) VALUES (?, ?, ?)", "ssi", name, password,
                           (int64_t)admin);
    if (rc >= 0) rc = wr_track_exec(t, err, "UPDATE users_version SET n = n + 1", "");
    return rc < 0 ? rc : 0;
}
