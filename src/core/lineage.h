/* SPDX-License-Identifier: Apache-2.0 */
/* lineage.h - the graph of what was made from what: nodes named by kind and content hash, edges "child was made from parent by run".
 *
 * Kinds: "file" "dataset" "view" "run" "package" "model" "endpoint" "code". A dataset node is one version, its hash the snapshot's; a
 * model node is one registered version, its hash the package's. Nodes and edges are only ever added; adding again is free.
 */
#pragma once
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "core/project.h"

typedef struct {
    int64_t id;                     /* 0 until stored */
    const char *kind, *name, *hash; /* hash may be "" for a run: then name is its id */
    int64_t version;                /* dataset or model version, -1 = none */
    const char *detail;             /* JSON object or NULL */
    int64_t created_us;
} wr_node;

int wr_lineage_add(wr_project *p, const wr_node *child, const wr_node *parent, const char *run_id, wr_err *err); /* parent NULL: the node alone */
/* The same inside a write function of the database (store/db.h). */
int wr_lineage_put(wr_db *db, const wr_node *child, const wr_node *parent, const char *run_id, wr_err *err);
/* Newest node of that kind and name (version -1 = newest), or by hash prefix of at least 6 digits when name is NULL. WEIR_ENOTFOUND. */
int wr_lineage_find(wr_node *out, wr_arena *a, wr_project *p, const char *kind, const char *name, int64_t version, const char *hash, wr_err *err);
typedef struct { wr_node node; int depth; int64_t from; /* id of the node it was reached from */ const char *run_id; } wr_lineage_step;
typedef enum { WR_LINEAGE_PARENTS, WR_LINEAGE_CHILDREN } wr_lineage_dir;
/* Breadth first from `id`, each node once, the start first; at most 10,000 steps (WEIR_ELIMIT). */
int wr_lineage_walk(wr_lineage_step **out, size_t *n, wr_arena *a, wr_project *p, int64_t id, wr_lineage_dir dir, wr_err *err);
