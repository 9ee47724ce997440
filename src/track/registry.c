/* SPDX-License-Identifier: Apache-2.0 */
/* registry.c - registered models: names, tags, aliases. Their versions are in registry_version.c. */
#include "base/vec.h"
#include "track/registry_inside.h"
#include "track/registry_policy.h"

#include "track/run.h"

enum { NAME = 256, TAG_KEY = 250, TAG_VALUE = 100000, ALIAS = 255 };

/* ---- checks ---- */

int wr_registered_name_check(wr_str name, const char *what, wr_err *err)
{
    wr_str shown = wr_str_fit(name, 120);
    if (!wr_str_trim(name).n) return wr_err_set(err, WEIR_EINVAL, "Missing value for required parameter '%s'.", what);
    if (!wr_str_utf8(name) || memchr(name.p, 0, name.n))
        return wr_err_set(err, WEIR_EINVAL, "Invalid model name: it is not UTF-8 text.");
    if (memchr(name.p, '/', name.n) || memchr(name.p, ':', name.n))
        return wr_err_set(err, WEIR_EINVAL, "Invalid model name '%.*s'. Names cannot contain '/' or ':'.",
                          WR_STR_FMT(shown));
    if (wr_str_is(name, ".") || wr_str_starts(name, ".."))
        return wr_err_set(err, WEIR_EINVAL,
                          "Invalid value \"%.*s\" for parameter 'name' supplied: Names may be treated as files in "
                          "certain cases, and must not resolve to other names when treated as such.",
                          WR_STR_FMT(shown));
    return wr_track_length_check(name, NAME, what, err);
}

int wr_registered_tag_check(wr_str key, wr_str value, wr_err *err)
{
    if (!key.n) return wr_err_set(err, WEIR_EINVAL, "Missing value for required parameter 'key'.");
    WR_TRY(wr_track_key_check(key, TAG_KEY, "key", err));
    if (wr_str_is(key, "mlflow.prompt.text") && wr_track_length_check(value, TAG_VALUE, "value", NULL) < 0)
        return wr_err_set(err, WEIR_EINVAL, "Prompt text exceeds max length of %d characters.", TAG_VALUE);
    return wr_track_length_check(value, TAG_VALUE, "value", err);
}

static bool word(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_' || (unsigned char)c >= 0x80;
}

static int check_alias(wr_str alias, wr_err *err)
{
    bool ok = wr_str_utf8(alias);
    if (!alias.n) return wr_err_set(err, WEIR_EINVAL, "Registered model alias name cannot be empty.");
    for (size_t i = 0; i < alias.n; i++) ok = ok && (word(alias.p[i]) || alias.p[i] == '-');
    if (!ok)
        return wr_err_set(err, WEIR_EINVAL,
                          "Invalid alias name: '%.*s'. Names may only contain alphanumerics, underscores (_), and "
                          "dashes (-).",
                          WR_STR_FMT(wr_str_fit(alias, 80)));
    return wr_track_length_check(alias, ALIAS, "Registered model alias name", err);
}

/* A number after "v", or "latest": they already mean something. */
static int check_reserved(wr_str alias, wr_err *err)
{
    bool number = alias.n > 1 && (alias.p[0] | 0x20) == 'v';
    if (wr_str_ieq(alias, "latest"))
        return wr_err_set(err, WEIR_EINVAL, "'latest' alias name (case insensitive) is reserved.");
    for (size_t i = 1; i < alias.n; i++) number = number && alias.p[i] >= '0' && alias.p[i] <= '9';
    if (number)
        return wr_err_set(err, WEIR_EINVAL, "Version alias name '%.*s' is reserved.",
                          WR_STR_FMT(wr_str_fit(alias, 80)));
    return 0;
}

bool wr_registered_is_prompt(const wr_track_item *tags, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (wr_str_is(tags[i].key, WR_PROMPT_TAG)) return true;
    return false;
}

/* ---- reading ---- */

/* 1 = found. */
static int look_up(wr_registered_model *out, wr_arena *a, wr_track *t, wr_str name, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(
        wr_track_query(&s, t, err, "SELECT " WR_MODEL_COLUMNS " FROM registered_models m WHERE m.name = ?", "s", name));
    int rc = wr_step(s, err);
    if (rc > 0) *out = wr_registered_model_row(a, s);
    wr_stmt_done(s);
    return rc > 0 && wr_arena_failed(a) ? wr_err_nomem(err) : rc;
}

int wr_registered_model_find(wr_registered_model *out, wr_arena *a, wr_track *t, wr_str name, wr_err *err)
{
    WR_TRY(wr_registered_name_check(name, "name", err));
    int rc = look_up(out, a, t, name, err);
    if (rc == 0)
        return wr_err_set(err, WEIR_ENOTFOUND, "Registered Model with name=%.*s not found",
                          WR_STR_FMT(wr_str_fit(name, 256)));
    return rc < 0 ? rc : 0;
}

int wr_registered_model_get(wr_registered_model *out, wr_arena *a, wr_track *t, wr_str name, wr_err *err)
{
    WR_TRY(wr_registered_model_find(out, a, t, name, err));
    return wr_registered_model_load(out, 1, a, t, err);
}

int wr_registered_latest(wr_registered_version **out, size_t *nout, wr_arena *a, wr_track *t, wr_str name,
                         const wr_str *stages, size_t nstages, wr_err *err)
{
    wr_registered_model m;
    size_t n = 0;
    wr_str *wanted = wr_arena_alloc(a, (nstages + 1) * sizeof *wanted);
    if (!wanted) return wr_err_nomem(err);
    WR_TRY(wr_registered_model_get(&m, a, t, name, err));
    for (size_t i = 0; i < nstages; i++) WR_TRY(wr_registered_stage(&wanted[i], stages[i], err));
    for (size_t i = 0; i < m.nlatest; i++) {
        bool take = nstages == 0;
        for (size_t k = 0; k < nstages; k++) take = take || wr_str_eq(m.latest[i].stage, wanted[k]);
        if (take) m.latest[n++] = m.latest[i];
    }
    *out = m.latest;
    *nout = n;
    return 0;
}

/* ---- life ---- */

static int put_tag(wr_track *t, int64_t model, wr_str key, wr_str value, wr_err *err)
{
    WR_TRY(wr_registered_tag_check(key, value, err));
    int rc = wr_track_exec(t, err,
                           "INSERT INTO registered_model_tags (model, key, value) VALUES (?, ?, ?) ON CONFLICT (model, "
                           "key) DO UPDATE SET value = excluded.value",
                           "iss", model, key, value);
    return rc < 0 ? rc : 0;
}

/* MLflow tells prompts and models apart in this message. */
static int name_taken(wr_arena *a, wr_track *t, wr_registered_model *old, bool prompt, wr_err *err)
{
    WR_TRY(wr_registered_model_load(old, 1, a, t, err));
    bool was_prompt = wr_registered_is_prompt(old->tags, old->ntags);
    wr_str name = wr_str_fit(old->name, 100);
    if (was_prompt != prompt)
        return wr_err_set(err, WEIR_EEXIST,
                          "Tried to create a %s with name '%.*s', but the name is already taken by a %s. MLflow does "
                          "not allow creating a model and a prompt with the same name.",
                          prompt ? "prompt" : "registered model", WR_STR_FMT(name),
                          was_prompt ? "prompt" : "registered model");
    return wr_err_set(err, WEIR_EEXIST, "%s (name=%.*s) already exists.", prompt ? "Prompt" : "Registered Model",
                      WR_STR_FMT(name));
}

int wr_registered_model_create(wr_registered_model *out, wr_arena *a, wr_track *t, wr_str name, wr_str description,
                               const wr_track_item *tags, size_t ntags, wr_err *err)
{
    int64_t now = wr_track_now_ms(), id;
    WR_TRY(wr_registered_name_check(name, "name", err));
    for (size_t i = 0; i < ntags; i++) WR_TRY(wr_registered_tag_check(tags[i].key, tags[i].value, err));
    int rc = look_up(out, a, t, name, err);
    if (rc > 0) return name_taken(a, t, out, wr_registered_is_prompt(tags, ntags), err);
    WR_TRY(rc);
    WR_TRY(wr_track_number(&id, 0, t, err,
                           "INSERT INTO registered_models (name, description, created_ms, updated_ms) VALUES (?, ?, ?, "
                           "?) RETURNING id",
                           "ssii", name, description, now, now));
    for (size_t i = 0; i < ntags; i++) WR_TRY(put_tag(t, id, tags[i].key, tags[i].value, err));
    WR_TRY(wr_registered_model_get(out, a, t, name, err));
    wr_webhook_data news = {.name = name, .description = description, .tags = out->tags, .ntags = out->ntags};
    return wr_registered_tell(t, id, WR_NEWS_MODEL, "created", &news, err);
}

int wr_registered_model_rename(wr_track *t, wr_str name, wr_str new_name, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_registered_model m, other;
    int64_t now = wr_track_now_ms();
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_registered_name_check(new_name, "new_name", err));
    WR_TRY(wr_registered_model_find(&m, a, t, name, err));
    int rc = look_up(&other, a, t, new_name, err);
    if (rc > 0 && other.id != m.id)
        return wr_err_set(err, WEIR_EEXIST, "Registered Model (name=%.*s) already exists.",
                          WR_STR_FMT(wr_str_fit(new_name, 100)));
    WR_TRY(rc);
    WR_TRY(wr_track_exec(t, err, "UPDATE registered_models SET name = ?, updated_ms = ? WHERE id = ?", "sii", new_name,
                         now, m.id));
    rc = wr_track_exec(t, err, "UPDATE registered_versions SET updated_ms = ? WHERE model = ?", "ii", now, m.id);
    return rc < 0 ? rc : 0;
}

/* Finds the model of a change. */
static int id_of(int64_t *out, wr_track *t, wr_str name, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_registered_model m;
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_registered_model_find(&m, a, t, name, err));
    *out = m.id;
    return 0;
}

int wr_registered_model_describe(wr_track *t, wr_str name, wr_str description, wr_err *err)
{
    int64_t id;
    WR_TRY(id_of(&id, t, name, err));
    int rc = wr_track_exec(t, err, "UPDATE registered_models SET description = ?, updated_ms = ? WHERE id = ?", "sii",
                           description, wr_track_now_ms(), id);
    return rc < 0 ? rc : 0;
}

int wr_registered_model_delete(wr_track *t, wr_str name, wr_err *err)
{
    static const char *const statements[] = {
        "DELETE FROM registered_version_tags WHERE version IN (SELECT id FROM registered_versions WHERE model = ?)",
        "DELETE FROM registered_version_inputs WHERE version IN (SELECT id FROM registered_versions WHERE model = ?)",
        "DELETE FROM registered_versions WHERE model = ?",
        "DELETE FROM registered_aliases WHERE model = ?",
        "DELETE FROM registered_alias_moves WHERE model = ?",
        "DELETE FROM registered_model_tags WHERE model = ?",
        "DELETE FROM registered_models WHERE id = ?",
    };
    int64_t id;
    WR_TRY(id_of(&id, t, name, err));
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        WR_TRY(wr_track_exec(t, err, statements[i], "i", id));
    return 0;
}

/* ---- tags and aliases ---- */

int wr_registered_model_set_tag(wr_track *t, wr_str name, wr_str key, wr_str value, wr_err *err)
{
    int64_t id;
    WR_TRY(wr_registered_tag_check(key, value, err));
    WR_TRY(id_of(&id, t, name, err));
    WR_TRY(put_tag(t, id, key, value, err));
    wr_webhook_data news = {.name = name, .key = key, .value = value};
    return wr_registered_tell(t, id, WR_NEWS_MODEL_TAG, "set", &news, err);
}

int wr_registered_model_delete_tag(wr_track *t, wr_str name, wr_str key, wr_err *err)
{
    int64_t id;
    WR_TRY(wr_registered_tag_check(key, WR_STR(""), err));
    WR_TRY(id_of(&id, t, name, err));
    WR_TRY(wr_track_exec(t, err, "DELETE FROM registered_model_tags WHERE model = ? AND key = ?", "is", id, key));
    wr_webhook_data news = {.name = name, .key = key};
    return wr_registered_tell(t, id, WR_NEWS_MODEL_TAG, "deleted", &news, err);
}

/* Version of an alias, 0 = it is nowhere. */
static int alias_at(int64_t *out, wr_track *t, int64_t model, wr_str alias, wr_err *err)
{
    return wr_track_number(out, 0, t, err, "SELECT version FROM registered_aliases WHERE model = ? AND alias = ?", "is",
                           model, alias);
}

static int note_move(wr_track *t, int64_t model, wr_str alias, int64_t version, int64_t was, bool undo,
                     const wr_registered_who *who, wr_err *err)
{
    int rc = wr_track_exec(t, err,
                           "INSERT INTO registered_alias_moves (model, alias, version, was, undo, user_id, moved_ms) "
                           "VALUES (?, ?, nullif(?, 0), nullif(?, 0), ?, ?, ?)",
                           "isiiisi", model, alias, version, was, (int64_t)undo, who ? who->name : (wr_str){NULL, 0},
                           wr_track_now_ms());
    return rc < 0 ? rc : 0;
}

static int set_alias(wr_track *t, wr_str name, wr_str alias, int64_t version, bool undo, const wr_registered_who *who,
                     wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_registered_version v;
    char number[24];
    int64_t was;
    if (!a) return wr_err_nomem(err);
    WR_TRY(check_alias(alias, err));
    WR_TRY(check_reserved(alias, err));
    WR_TRY(wr_registered_version_get(&v, a, t, name, version, err));
    WR_TRY(wr_registered_policy_check(t, &v, alias, (wr_str){NULL, 0}, who, err));
    WR_TRY(alias_at(&was, t, v.model, alias, err));
    WR_TRY(wr_track_exec(t, err,
                         "INSERT INTO registered_aliases (model, alias, version, moved_ms) VALUES (?, ?, ?, ?) ON "
                         "CONFLICT (model, alias) DO UPDATE SET version = excluded.version, moved_ms = "
                         "excluded.moved_ms",
                         "isii", v.model, alias, version, wr_track_now_ms()));
    if (was != version) WR_TRY(note_move(t, v.model, alias, version, was, undo, who, err));
    wr_webhook_data news = {.name = name, .alias = alias, .version = wr_registered_number(number, version)};
    return wr_registered_tell(t, v.model, WR_NEWS_ALIAS, "created", &news, err);
}

int wr_registered_alias_set(wr_track *t, wr_str name, wr_str alias, int64_t version, const wr_registered_who *who,
                            wr_err *err)
{
    return set_alias(t, name, alias, version, false, who, err);
}

int wr_registered_alias_delete(wr_track *t, wr_str name, wr_str alias, const wr_registered_who *who, wr_err *err)
{
    int64_t id, was;
    WR_TRY(check_alias(alias, err));
    WR_TRY(id_of(&id, t, name, err));
    WR_TRY(wr_registered_policy_role(t, name, alias, who, err));
    WR_TRY(alias_at(&was, t, id, alias, err));
    if (was) WR_TRY(note_move(t, id, alias, 0, was, false, who, err));
    WR_TRY(wr_track_exec(t, err, "DELETE FROM registered_aliases WHERE model = ? AND alias = ?", "is", id, alias));
    wr_webhook_data news = {.name = name, .alias = alias};
    return wr_registered_tell(t, id, WR_NEWS_ALIAS, "deleted", &news, err);
}

/* The last time it came here other than by going back: where it came from then. */
int wr_registered_alias_rollback(int64_t *version, wr_track *t, wr_str name, wr_str alias, const wr_registered_who *who,
                                 wr_err *err)
{
    int64_t id, now;
    WR_TRY(id_of(&id, t, name, err));
    WR_TRY(alias_at(&now, t, id, alias, err));
    if (!now)
        return wr_err_set(err, WEIR_ENOTFOUND, "Registered model alias %.*s not found.",
                          WR_STR_FMT(wr_str_fit(alias, 255)));
    WR_TRY(wr_track_number(version, 0, t, err,
                           "SELECT was FROM registered_alias_moves WHERE model = ? AND alias = ? AND version = ? AND "
                           "undo = 0 ORDER BY id DESC LIMIT 1",
                           "isi", id, alias, now));
    if (!*version)
        return wr_err_set(err, WEIR_ENOTFOUND, "\"%.*s\" of \"%.*s\" was at no version before version %lld",
                          WR_STR_FMT(wr_str_fit(alias, 80)), WR_STR_FMT(wr_str_fit(name, 120)), (long long)now);
    return set_alias(t, name, alias, *version, true, who, err);
}

int wr_registered_alias_moves(wr_registered_alias_move **out, size_t *n, wr_arena *a, wr_track *t, wr_str name,
                              wr_str alias, size_t max, wr_err *err)
{
    WR_VEC(wr_registered_alias_move) rows = {0};
    wr_registered_model m;
    wr_stmt *s;
    int rc;
    WR_TRY(wr_registered_model_find(&m, a, t, name, err));
    WR_TRY(
        wr_track_query(&s, t, err,
                       "SELECT version, was, undo, user_id, moved_ms FROM registered_alias_moves WHERE model = ? AND "
                       "alias = ? ORDER BY id DESC LIMIT ?",
                       "isi", m.id, alias, (int64_t)max));
    while ((rc = wr_step(s, err)) > 0) {
        wr_registered_alias_move move = {.version = wr_stmt_null(s, 0) ? 0 : wr_stmt_i64(s, 0),
                                         .was = wr_stmt_null(s, 1) ? 0 : wr_stmt_i64(s, 1),
                                         .undo = wr_stmt_i64(s, 2) != 0,
                                         .moved_ms = wr_stmt_i64(s, 4)};
        move.user = wr_stmt_text(a, s, 3);
        if ((rc = wr_vec_add(&rows, move, err)) < 0) break;
    }
    wr_stmt_done(s);
    return wr_vec_keep(out, n, a, &rows, rc, err);
}

static int newest(wr_registered_version *out, wr_arena *a, wr_track *t, const wr_registered_model *m, wr_err *err)
{
    int64_t version;
    WR_TRY(wr_track_number(&version, 0, t, err,
                           "SELECT max(version) FROM registered_versions WHERE model = ? AND stage <> "
                           "'" WR_REGISTERED_DELETED "'",
                           "i", m->id));
    if (version) return wr_registered_version_get(out, a, t, m->name, version, err);
    return wr_err_set(err, WEIR_ENOTFOUND, "Latest version not found for model %.*s.",
                      WR_STR_FMT(wr_str_fit(m->name, 256)));
}

int wr_registered_version_by_alias(wr_registered_version *out, wr_arena *a, wr_track *t, wr_str name, wr_str alias,
                                   wr_err *err)
{
    wr_registered_model m;
    int64_t version;
    WR_TRY(check_alias(alias, err));
    WR_TRY(wr_registered_model_find(&m, a, t, name, err));
    if (wr_str_ieq(alias, "latest")) return newest(out, a, t, &m, err);
    WR_TRY(alias_at(&version, t, m.id, alias, err));
    if (version) return wr_registered_version_get(out, a, t, name, version, err);
    return wr_err_set(err, WEIR_EINVAL, "Registered model alias %.*s not found.", WR_STR_FMT(wr_str_fit(alias, 255)));
}
