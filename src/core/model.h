/* SPDX-License-Identifier: Apache-2.0 */
/* model.h - the registry: candidates (packages just trained), registered versions 1, 2, ..., aliases such as "champion".
 *
 * A reference is NAME (the newest candidate), NAME@ALIAS or NAME@VERSION.
 */
#pragma once
#include "core/lineage.h"
#include "core/project.h"

typedef struct {
    char *name;
    int64_t version;                /* 0 = candidate, not registered */
    char *package;                  /* object id of the package tree */
    char *run_id;
    char *aliases;                  /* "champion,stable" or "" */
    int64_t created_us;
} wr_model_version;

/* A trained package becomes the newest candidate of `name`. */
int wr_model_propose(wr_project *p, const char *name, const char *package, const char *run_id, wr_err *err);
/* Register package as the next version, or return the version it has already; optional alias moved in the same transaction. */
int wr_model_register(int64_t *version, wr_project *p, const char *name, const char *package, const char *run_id, const char *alias, wr_err *err);
int wr_model_alias(wr_project *p, const char *name, const char *alias, int64_t version, wr_err *err); /* WEIR_ENOTFOUND lists versions */
/* Resolve a reference; WEIR_ENOTFOUND with did-you-mean. */
int wr_model_find(wr_model_version *out, wr_arena *a, wr_project *p, const char *ref, wr_err *err);
int wr_model_versions(wr_model_version **out, size_t *n, wr_arena *a, wr_project *p, const char *name, wr_err *err); /* oldest first; name NULL = all */
int wr_model_node(wr_node *out, wr_arena *a, const wr_model_version *v);
