/* SPDX-License-Identifier: Apache-2.0 */
/* registry_read.c - rows of the registry, and what belongs to them: tags, aliases and latest versions come for many
 * rows at once, so that a page of a search is a handful of statements. */
#include "base/vec.h"
#include "track/registry_inside.h"

static wr_str text(wr_arena *a, wr_stmt *s, int at)
{
    return wr_stmt_null(s, at) ? (wr_str){NULL, 0} : wr_arena_str(a, wr_stmt_str(s, at));
}

wr_registered_version wr_registered_version_row(wr_arena *a, wr_stmt *s)
{
    return (wr_registered_version){.id = wr_stmt_i64(s, 0),
                                   .model = wr_stmt_i64(s, 1),
                                   .name = text(a, s, 2),
                                   .version = wr_stmt_i64(s, 3),
                                   .stage = text(a, s, 4),
                                   .source = text(a, s, 5),
                                   .storage = text(a, s, 6),
                                   .run_id = text(a, s, 7),
                                   .run_link = text(a, s, 8),
                                   .description = text(a, s, 9),
                                   .user = text(a, s, 10),
                                   .model_id = text(a, s, 11),
                                   .package = text(a, s, 12),
                                   .created_ms = wr_stmt_i64(s, 13),
                                   .updated_ms = wr_stmt_i64(s, 14)};
}

wr_registered_model wr_registered_model_row(wr_arena *a, wr_stmt *s)
{
    return (wr_registered_model){.id = wr_stmt_i64(s, 0),
                                 .name = text(a, s, 1),
                                 .description = text(a, s, 2),
                                 .created_ms = wr_stmt_i64(s, 3),
                                 .updated_ms = wr_stmt_i64(s, 4)};
}

/* ---- what belongs to many rows ---- */

enum { CHUNK = 64 }; /* ids asked for at once; a fixed number keeps the statement the same */

typedef struct {
    int64_t owner, number;
    wr_str key, value;
} belonging;
typedef struct {
    belonging *at;
    size_t n;
} belongings;

/* `sql` ends where the list of ids begins; `tail` follows it. */
static int ask(wr_stmt **out, wr_track *t, const char *sql, const char *tail, const int64_t *ids, size_t n, wr_err *err)
{
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    wr_buf_str(&b, sql);
    for (int i = 0; i < CHUNK; i++) wr_buf_str(&b, i ? ", ?" : "(?");
    wr_buf_str(&b, ")");
    wr_buf_str(&b, tail);
    if (b.failed) return wr_err_nomem(err);
    WR_TRY(wr_db_prepare(wr_track_db(t), out, wr_buf_cstr(&b), err));
    for (size_t i = 0; i < CHUNK; i++) wr_bind_i64(*out, (int)i + 1, ids[i < n ? i : n - 1]);
    return 0;
}

/* Rows (owner, key, value or number), sorted by owner and key. */
static int belonging_rows(belongings *out, wr_arena *a, wr_track *t, const char *sql, const int64_t *ids, size_t n,
                          bool numbers, wr_err *err)
{
    WR_VEC(belonging) rows = {0};
    wr_stmt *s;
    int rc;
    WR_TRY(ask(&s, t, sql, " ORDER BY 1, 2", ids, n, err));
    while ((rc = wr_step(s, err)) > 0) {
        belonging b = {.owner = wr_stmt_i64(s, 0), .key = text(a, s, 1)};
        if (numbers) b.number = wr_stmt_i64(s, 2);
        else b.value = text(a, s, 2);
        if (wr_vec_push(&rows, b) < 0) {
            rc = wr_err_nomem(err);
            break;
        }
    }
    wr_stmt_done(s);
    *out = (belongings){wr_arena_dup(a, rows.at, rows.n * sizeof *rows.at), rows.n};
    wr_vec_fini(&rows);
    return rc == 0 && !out->at ? wr_err_nomem(err) : rc;
}

/* The part of sorted rows that is `owner`'s. */
static belongings of(belongings all, int64_t owner)
{
    size_t lo = 0, hi = all.n, end;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (all.at[mid].owner < owner) lo = mid + 1;
        else hi = mid;
    }
    for (end = lo; end < all.n && all.at[end].owner == owner;) end++;
    return (belongings){all.at + lo, end - lo};
}

static int items(wr_track_item **out, size_t *n, wr_arena *a, belongings mine, wr_err *err)
{
    *out = wr_arena_alloc(a, (mine.n + 1) * sizeof **out);
    if (!*out) return wr_err_nomem(err);
    for (size_t i = 0; i < mine.n; i++) (*out)[i] = (wr_track_item){mine.at[i].key, mine.at[i].value};
    *n = mine.n;
    return 0;
}

/* ---- versions ---- */

static int version_aliases(wr_registered_version *v, wr_arena *a, belongings mine, wr_err *err)
{
    v->aliases = wr_arena_alloc(a, (mine.n + 1) * sizeof *v->aliases);
    if (!v->aliases) return wr_err_nomem(err);
    for (size_t i = 0; i < mine.n; i++) v->aliases[i] = mine.at[i].key;
    v->naliases = mine.n;
    return 0;
}

static int load_versions(wr_registered_version *v, size_t n, wr_arena *a, wr_track *t, wr_err *err)
{
    int64_t ids[CHUNK];
    belongings tags, aliases;
    for (size_t i = 0; i < n; i++) ids[i] = v[i].id;
    WR_TRY(belonging_rows(&tags, a, t, "SELECT version, key, value FROM registered_version_tags WHERE version IN ", ids,
                          n, false, err));
    WR_TRY(belonging_rows(&aliases, a, t,
                          "SELECT v.id, x.alias, '' FROM registered_versions v JOIN registered_aliases x ON x.model = "
                          "v.model AND x.version = v.version WHERE v.id IN ",
                          ids, n, false, err));
    for (size_t i = 0; i < n; i++) {
        WR_TRY(items(&v[i].tags, &v[i].ntags, a, of(tags, v[i].id), err));
        WR_TRY(version_aliases(&v[i], a, of(aliases, v[i].id), err));
    }
    return 0;
}

int wr_registered_version_load(wr_registered_version *v, size_t n, wr_arena *a, wr_track *t, wr_err *err)
{
    for (size_t i = 0; i < n; i += CHUNK) WR_TRY(load_versions(v + i, n - i < CHUNK ? n - i : CHUNK, a, t, err));
    return wr_arena_failed(a) ? wr_err_nomem(err) : 0;
}

int wr_registered_version_rows(wr_registered_version **out, size_t *n, wr_arena *a, wr_track *t, wr_stmt *s,
                               wr_err *err)
{
    WR_VEC(wr_registered_version) rows = {0};
    int rc;
    while ((rc = wr_step(s, err)) > 0)
        if (wr_vec_push(&rows, wr_registered_version_row(a, s)) < 0) {
            rc = wr_err_nomem(err);
            break;
        }
    wr_stmt_done(s);
    *n = rows.n;
    *out = wr_arena_dup(a, rows.at, rows.n * sizeof *rows.at);
    wr_vec_fini(&rows);
    if (rc < 0) return rc;
    return *out ? wr_registered_version_load(*out, *n, a, t, err) : wr_err_nomem(err);
}

/* ---- models ---- */

static int model_aliases(wr_registered_model *m, wr_arena *a, belongings mine, wr_err *err)
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
    WR_TRY(ask(&s, t,
               "SELECT " WR_VERSION_COLUMNS WR_VERSION_FROM "WHERE v.id IN (SELECT max(x.id) FROM registered_versions "
               "x WHERE x.stage <> '" WR_REGISTERED_DELETED "' AND x.model IN ",
               " GROUP BY x.model, x.stage) ORDER BY v.model, v.version", ids, nids, err));
    return wr_registered_version_rows(out, n, a, t, s, err);
}

static int load_models(wr_registered_model *m, size_t n, wr_arena *a, wr_track *t, wr_err *err)
{
    int64_t ids[CHUNK];
    belongings tags, aliases;
    wr_registered_version *latest;
    size_t nlatest;
    for (size_t i = 0; i < n; i++) ids[i] = m[i].id;
    WR_TRY(belonging_rows(&tags, a, t, "SELECT model, key, value FROM registered_model_tags WHERE model IN ", ids, n,
                          false, err));
    WR_TRY(belonging_rows(&aliases, a, t, "SELECT model, alias, version FROM registered_aliases WHERE model IN ", ids,
                          n, true, err));
    WR_TRY(latest_of(&latest, &nlatest, a, t, ids, n, err));
    for (size_t i = 0; i < n; i++) {
        WR_TRY(items(&m[i].tags, &m[i].ntags, a, of(tags, m[i].id), err));
        WR_TRY(model_aliases(&m[i], a, of(aliases, m[i].id), err));
        for (size_t k = 0; k < nlatest; k++) {
            if (latest[k].model != m[i].id) continue;
            if (!m[i].nlatest++) m[i].latest = &latest[k];
        }
    }
    return 0;
}

int wr_registered_model_load(wr_registered_model *m, size_t n, wr_arena *a, wr_track *t, wr_err *err)
{
    for (size_t i = 0; i < n; i += CHUNK) WR_TRY(load_models(m + i, n - i < CHUNK ? n - i : CHUNK, a, t, err));
    return wr_arena_failed(a) ? wr_err_nomem(err) : 0;
}
