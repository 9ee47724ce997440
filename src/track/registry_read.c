/* SPDX-License-Identifier: Apache-2.0 */
/* registry_read.c - rows of the registry, and what belongs to them: tags, aliases and latest versions come for many
 * rows at once, so that a page of a search is a handful of statements. */
#include "base/vec.h"
#include "track/belonging.h"
#include "track/registry_inside.h"

wr_registered_version wr_registered_version_row(wr_arena *a, wr_stmt *s)
{
    return (wr_registered_version){.id = wr_stmt_i64(s, 0),
                                   .model = wr_stmt_i64(s, 1),
                                   .name = wr_stmt_text(a, s, 2),
                                   .version = wr_stmt_i64(s, 3),
                                   .stage = wr_stmt_text(a, s, 4),
                                   .source = wr_stmt_text(a, s, 5),
                                   .storage = wr_stmt_text(a, s, 6),
                                   .run_id = wr_stmt_text(a, s, 7),
                                   .run_link = wr_stmt_text(a, s, 8),
                                   .description = wr_stmt_text(a, s, 9),
                                   .user = wr_stmt_text(a, s, 10),
                                   .model_id = wr_stmt_text(a, s, 11),
                                   .package = wr_stmt_text(a, s, 12),
                                   .created_ms = wr_stmt_i64(s, 13),
                                   .updated_ms = wr_stmt_i64(s, 14)};
}

wr_registered_model wr_registered_model_row(wr_arena *a, wr_stmt *s)
{
    return (wr_registered_model){.id = wr_stmt_i64(s, 0),
                                 .name = wr_stmt_text(a, s, 1),
                                 .description = wr_stmt_text(a, s, 2),
                                 .created_ms = wr_stmt_i64(s, 3),
                                 .updated_ms = wr_stmt_i64(s, 4)};
}

/* ---- versions ---- */

static int version_aliases(wr_registered_version *v, wr_arena *a, wr_belongings mine, wr_err *err)
{
    v->aliases = wr_arena_alloc(a, (mine.n + 1) * sizeof *v->aliases);
    if (!v->aliases) return wr_err_nomem(err);
    for (size_t i = 0; i < mine.n; i++) v->aliases[i] = mine.at[i].key;
    v->naliases = mine.n;
    return 0;
}

static int load_versions(wr_registered_version *v, size_t n, wr_arena *a, wr_track *t, wr_err *err)
{
    int64_t ids[WR_BELONGING_IDS];
    wr_belongings tags, aliases;
    for (size_t i = 0; i < n; i++) ids[i] = v[i].id;
    WR_TRY(wr_belonging_rows(&tags, a, t, "SELECT version, key, value FROM registered_version_tags WHERE version IN ",
                             ids, n, false, err));
    WR_TRY(
        wr_belonging_rows(&aliases, a, t,
                          "SELECT v.id, x.alias, '' FROM registered_versions v JOIN registered_aliases x ON x.model = "
                          "v.model AND x.version = v.version WHERE v.id IN ",
                          ids, n, false, err));
    for (size_t i = 0; i < n; i++) {
        WR_TRY(wr_belonging_items(&v[i].tags, &v[i].ntags, a, wr_belonging_of(tags, v[i].id), err));
        WR_TRY(version_aliases(&v[i], a, wr_belonging_of(aliases, v[i].id), err));
    }
    return 0;
}

int wr_registered_version_load(wr_registered_version *v, size_t n, wr_arena *a, wr_track *t, wr_err *err)
{
    for (size_t i = 0; i < n; i += WR_BELONGING_IDS)
        WR_TRY(load_versions(v + i, n - i < WR_BELONGING_IDS ? n - i : WR_BELONGING_IDS, a, t, err));
    return wr_arena_failed(a) ? wr_err_nomem(err) : 0;
}

int wr_registered_version_rows(wr_registered_version **out, size_t *n, wr_arena *a, wr_track *t, wr_stmt *s,
                               wr_err *err)
{
    WR_VEC(wr_registered_version) rows = {0};
    int rc;
    while ((rc = wr_step(s, err)) > 0)
        if ((rc = wr_vec_add(&rows, wr_registered_version_row(a, s), err)) < 0) break;
    wr_stmt_done(s);
    WR_TRY(wr_vec_keep(out, n, a, &rows, rc, err));
    return wr_registered_version_load(*out, *n, a, t, err);
}

/* ---- models ---- */

static int model_aliases(wr_registered_model *m, wr_arena *a, wr_belongings mine, wr_err *err)
{
    m->aliases = wr_arena_alloc(a, (mine.n + 1) * sizeof *m->aliases);
    if (!m->aliases) return wr_err_nomem(err);
    for (size_t i = 0; i < mine.n; i++) m->aliases[i] = (wr_registered_alias){mine.at[i].key, mine.at[i].number};
    m->naliases = mine.n;
    return 0;
}

static int latest_of(wr_registered_version **out, size_t *n, wr_arena *a, wr_track *t, const int64_t *ids, size_t nids,
                     wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_belonging_ask(&s, t,
                            "SELECT " WR_VERSION_COLUMNS WR_VERSION_FROM
                            "WHERE v.id IN (SELECT max(x.id) FROM registered_versions "
                            "x WHERE x.stage <> '" WR_REGISTERED_DELETED "' AND x.model IN ",
                            " GROUP BY x.model, x.stage) ORDER BY v.model, v.version", ids, nids, err));
    return wr_registered_version_rows(out, n, a, t, s, err);
}

static int load_models(wr_registered_model *m, size_t n, wr_arena *a, wr_track *t, wr_err *err)
{
    int64_t ids[WR_BELONGING_IDS];
    wr_belongings tags, aliases;
    wr_registered_version *latest;
    size_t nlatest;
    for (size_t i = 0; i < n; i++) ids[i] = m[i].id;
    WR_TRY(wr_belonging_rows(&tags, a, t, "SELECT model, key, value FROM registered_model_tags WHERE model IN ", ids, n,
                             false, err));
    WR_TRY(wr_belonging_rows(&aliases, a, t, "SELECT model, alias, version FROM registered_aliases WHERE model IN ",
                             ids, n, true, err));
    WR_TRY(latest_of(&latest, &nlatest, a, t, ids, n, err));
    for (size_t i = 0; i < n; i++) {
        WR_TRY(wr_belonging_items(&m[i].tags, &m[i].ntags, a, wr_belonging_of(tags, m[i].id), err));
        WR_TRY(model_aliases(&m[i], a, wr_belonging_of(aliases, m[i].id), err));
        for (size_t k = 0; k < nlatest; k++) {
            if (latest[k].model != m[i].id) continue;
            if (!m[i].nlatest++) m[i].latest = &latest[k];
        }
    }
    return 0;
}

int wr_registered_model_load(wr_registered_model *m, size_t n, wr_arena *a, wr_track *t, wr_err *err)
{
    for (size_t i = 0; i < n; i += WR_BELONGING_IDS)
        WR_TRY(load_models(m + i, n - i < WR_BELONGING_IDS ? n - i : WR_BELONGING_IDS, a, t, err));
    return wr_arena_failed(a) ? wr_err_nomem(err) : 0;
}
