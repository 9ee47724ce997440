/* SPDX-License-Identifier: Apache-2.0 */
/* model.h - candidates (packages just trained), and the registry as the program uses it: versions 1, 2, ..., aliases such as "champion".
 *
 * Versions and aliases are those of the tracking store (track/registry.h), so an MLflow client sees what `weir model register` makes, and
 * the alias it moves moves the endpoint. A version of ours has a package; its source is WR_PACKAGE_URI and the package, where MLflow's
 * clients find its files once they are published.
 * A reference is NAME (the newest candidate), NAME@ALIAS or NAME@VERSION. MLflow's models:/NAME/VERSION and models:/NAME@ALIAS are
 * taken too; names of MLflow's clients may have an '@', the last one counts.
 */
#pragma once
#include "core/lineage.h"
#include "core/project.h"
#include "track/registry.h"

#define WR_PACKAGE_FOLDER "packages/" /* among the artifacts */
#define WR_PACKAGE_URI "mlflow-artifacts:/" WR_PACKAGE_FOLDER

typedef struct {
    char *name;
    int64_t version;                /* 0 = candidate, not registered */
    char *package;                  /* object id of the package tree; "" in lists: a version that a client made of something else */
    char *run_id;
    char *aliases;                  /* "champion,stable" or "" */
    int64_t created_us;
} wr_model_version;

/* A trained package becomes the newest candidate of `name`. */
int wr_model_propose(wr_project *p, const char *name, const char *package, const char *run_id, wr_err *err);
/* Register package as the next version, or return the version it has already; optional alias moved in the same transaction. */
int wr_model_register(int64_t *version, wr_project *p, const char *name, const char *package, const char *run_id, const char *alias, wr_err *err);
/* The package's files among the artifacts, so that whoever reads its source finds them. Again: nothing happens. */
int wr_model_publish(wr_project *p, const char *package, wr_err *err);
/* The file is a report of this version: kept as an object, its SHA-256 in the tag weir.report.KIND (track/registry_policy.h). */
int wr_model_report(wr_project *p, const char *name, int64_t version, const char *kind, const char *file, wr_err *err);
/* Where an alias goes, with what policies and webhooks have to say. */
enum { WR_MODEL_AWAY = 0, WR_MODEL_BACK = -1 };
typedef struct {
    const char *name, *alias;
    int64_t version;                /* to this one; AWAY = the alias is taken away; BACK = where it was before (again: further back), set then */
    bool dry_run;                   /* everything is checked, nothing changed */
    int64_t was;                    /* set: where it is or was, 0 = nowhere */
} wr_model_move;
/* WEIR_ENOTFOUND with did-you-mean or with what to do; WEIR_ENO from a policy. */
int wr_model_move_alias(wr_model_move *m, wr_project *p, wr_err *err);
int wr_model_alias(wr_project *p, const char *name, const char *alias, int64_t version, wr_err *err); /* WEIR_ENOTFOUND lists versions */
/* Resolve a reference; WEIR_ENOTFOUND with did-you-mean. */
int wr_model_find(wr_model_version *out, wr_arena *a, wr_project *p, const char *ref, wr_err *err);
/* A registered version, whoever made it, with or without a package; NAME alone is its newest version. WEIR_ENOTFOUND as above. */
int wr_model_registered(wr_registered_version *out, wr_arena *a, wr_project *p, const char *ref, wr_err *err);
/* The nearest of all models' names, or NULL. In the arena. */
const char *wr_model_nearest(wr_arena *a, wr_project *p, wr_str name);
/* Does it read like a path (./x, /x, ~/x, a/b/c, x.onnx), and not like the name of a model? */
bool wr_model_is_path(const char *text);
/* Of a command that takes a file or a model: neither is there, `rc` is what looking for the model said. When `text` reads like a path, err
 * says that the file is missing, with did-you-mean of the files beside it and of the models (p may be NULL). Returns rc. */
int wr_model_no_file(int rc, const char *text, wr_arena *a, wr_project *p, wr_err *err);
int wr_model_versions(wr_model_version **out, size_t *n, wr_arena *a, wr_project *p, const char *name, wr_err *err); /* oldest first; name NULL = all */
int wr_model_node(wr_node *out, wr_arena *a, const wr_model_version *v);
