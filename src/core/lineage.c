/* SPDX-License-Identifier: Apache-2.0 */
/* lineage.c - nodes and edges in the records database; walks are breadth first with a set of seen ids. */
#include "core/lineage.h"

#include "base/clock.h"
#include "base/vec.h"

enum { MAX_STEPS = 10000 };

static int64_t find_id(wr_db *db, const wr_node *n, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_db_prepare(db, &s, "SELECT id FROM nodes WHERE kind = ? AND name = ? AND hash = ? AND version = ?", err));
    wr_bind_cstr(s, 1, n->kind);
    wr_bind_cstr(s, 2, n->name);
    wr_bind_cstr(s, 3, n->hash ? n->hash : "");
    wr_bind_i64(s, 4, n->version);
    int rc = wr_step(s, err);
    int64_t id = rc > 0 ? wr_stmt_i64(s, 0) : rc;
    wr_stmt_done(s);
    return id;
}

/* Id of the node, inserted if it is new; negative on error. A detail given later fills an empty one. */
static int64_t store_node(wr_db *db, const wr_node *n, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_db_prepare(
        db, &s,
        "INSERT INTO nodes (kind, name, hash, version, detail, created_us) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (kind, name, hash, version) DO UPDATE SET detail = coalesce(nodes.detail, excluded.detail)",
        err));
    wr_bind_cstr(s, 1, n->kind);
    wr_bind_cstr(s, 2, n->name);
    wr_bind_cstr(s, 3, n->hash ? n->hash : "");
    wr_bind_i64(s, 4, n->version);
    wr_bind_cstr(s, 5, n->detail);
    wr_bind_i64(s, 6, wr_clock_wall_us());
    int rc = wr_step(s, err);
    wr_stmt_done(s);
    return rc < 0 ? rc : find_id(db, n, err);
}

typedef struct {
    const wr_node *child, *parent;
    const char *run;
} add_arg;

int wr_lineage_put(wr_db *db, const wr_node *child, const wr_node *parent, const char *run_id, wr_err *err)
{
    int64_t child_id = store_node(db, child, err);
    if (child_id < 0) return (int)child_id;
    if (!parent) return 0;
    int64_t parent_id = store_node(db, parent, err);
    if (parent_id < 0) return (int)parent_id;
    if (parent_id == child_id) return 0;
    wr_stmt *s;
    WR_TRY(
        wr_db_prepare(db, &s, "INSERT INTO edges (child, parent, run) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", err));
    wr_bind_i64(s, 1, child_id);
    wr_bind_i64(s, 2, parent_id);
    wr_bind_cstr(s, 3, run_id ? run_id : "");
    int rc = wr_step(s, err);
    wr_stmt_done(s);
    return rc < 0 ? rc : 0;
}

static int add_fn(wr_db *db, void *arg, wr_err *err)
{
    const add_arg *a = arg;
    return wr_lineage_put(db, a->child, a->parent, a->run, err);
}

int wr_lineage_add(wr_project *p, const wr_node *child, const wr_node *parent, const char *run_id, wr_err *err)
{
    wr_db *db;
    add_arg a = {child, parent, run_id};
    WR_TRY(wr_project_db(&db, p, err));
    return wr_db_write(db, add_fn, &a, err);
}

#define NODE_COLUMNS "nodes.id, kind, name, hash, version, detail, created_us"

static wr_node read_node(wr_arena *a, wr_stmt *s)
{
    return (wr_node){.id = wr_stmt_i64(s, 0),
                     .kind = wr_arena_str(a, wr_stmt_str(s, 1)).p,
                     .name = wr_arena_str(a, wr_stmt_str(s, 2)).p,
                     .hash = wr_arena_str(a, wr_stmt_str(s, 3)).p,
                     .version = wr_stmt_i64(s, 4),
                     .detail = wr_stmt_null(s, 5) ? NULL : wr_arena_str(a, wr_stmt_str(s, 5)).p,
                     .created_us = wr_stmt_i64(s, 6)};
}

int wr_lineage_find(wr_node *out, wr_arena *a, wr_project *p, const char *kind, const char *name, int64_t version,
                    const char *hash, wr_err *err)
{
    wr_db *db;
    wr_stmt *s;
    if (!name && (!hash || strlen(hash) < 6))
        return wr_err_set(err, WEIR_EINVAL, "a hash prefix needs at least 6 digits");
    WR_TRY(wr_project_db(&db, p, err));
    WR_TRY(wr_db_prepare(
        db, &s,
        "SELECT " NODE_COLUMNS " FROM nodes WHERE (?1 IS NULL OR kind = ?1) AND (?2 IS NULL OR name = ?2)"
        " AND (?3 < 0 OR version = ?3) AND (?4 IS NULL OR substr(hash, 1, length(?4)) = ?4) ORDER BY id DESC LIMIT 1",
        err));
    wr_bind_cstr(s, 1, kind);
    wr_bind_cstr(s, 2, name);
    wr_bind_i64(s, 3, version);
    wr_bind_cstr(s, 4, hash);
    int rc = wr_step(s, err);
    if (rc > 0) *out = read_node(a, s);
    wr_stmt_done(s);
    if (rc == 0)
        return wr_err_set(err, WEIR_ENOTFOUND, "nothing is known of %s \"%s\"", kind ? kind : "object",
                          name ? name : hash);
    return rc < 0 ? rc : 0;
}

typedef WR_VEC(wr_lineage_step) step_vec;

static bool seen(const step_vec *v, int64_t id)
{
    for (size_t i = 0; i < v->n; i++)
        if (v->at[i].node.id == id) return true;
    return false;
}

/* Append the neighbours of step `i` that were not seen. */
static int expand(step_vec *v, size_t i, wr_arena *a, wr_db *db, wr_lineage_dir dir, wr_err *err)
{
    wr_stmt *s;
    const char *sql = dir == WR_LINEAGE_PARENTS
                          ? "SELECT " NODE_COLUMNS
                            ", run FROM edges JOIN nodes ON nodes.id = parent WHERE child = ? ORDER BY nodes.id"
                          : "SELECT " NODE_COLUMNS
                            ", run FROM edges JOIN nodes ON nodes.id = child WHERE parent = ? ORDER BY nodes.id";
    WR_TRY(wr_db_prepare(db, &s, sql, err));
    wr_bind_i64(s, 1, v->at[i].node.id);
    int rc;
    while ((rc = wr_step(s, err)) > 0) {
        if (seen(v, wr_stmt_i64(s, 0))) continue;
        wr_lineage_step step = {read_node(a, s), v->at[i].depth + 1, v->at[i].node.id,
                                wr_arena_str(a, wr_stmt_str(s, 7)).p};
        rc = v->n < MAX_STEPS ? wr_vec_add(v, step, err)
                              : wr_err_set(err, WEIR_ELIMIT, "the lineage has more than %d nodes", MAX_STEPS);
        if (rc < 0) break;
    }
    wr_stmt_done(s);
    return rc < 0 ? rc : 0;
}

static int start_step(step_vec *v, wr_arena *a, wr_db *db, int64_t id, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_db_prepare(db, &s, "SELECT " NODE_COLUMNS " FROM nodes WHERE id = ?", err));
    wr_bind_i64(s, 1, id);
    int rc = wr_step(s, err);
    if (rc > 0) {
        wr_lineage_step first = {.node = read_node(a, s), .run_id = ""};
        rc = wr_vec_push(v, first) < 0 ? wr_err_nomem(err) : 1;
    }
    wr_stmt_done(s);
    return rc == 0 ? wr_err_set(err, WEIR_ENOTFOUND, "no lineage node %lld", (long long)id) : rc;
}

int wr_lineage_walk(wr_lineage_step **out, size_t *n, wr_arena *a, wr_project *p, int64_t id, wr_lineage_dir dir,
                    wr_err *err)
{
    wr_db *db;
    step_vec v = {0};
    WR_TRY(wr_project_db(&db, p, err));
    int rc = start_step(&v, a, db, id, err);
    for (size_t i = 0; rc >= 0 && i < v.n; i++) rc = expand(&v, i, a, db, dir, err);
    return wr_vec_keep(out, n, a, &v, rc, err);
}
