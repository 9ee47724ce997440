/* SPDX-License-Identifier: Apache-2.0 */
/* registry.h - registered models: a name with numbered versions, stages, aliases and tags.
 *
 *   registered model "churn"      description, tags, aliases champion -> 3
 *     version 1, 2, 3 ...         source (where it came from), storage (where its files are), run, stage, tags
 *
 * Invariants: 1. numbers of a model's versions are 1, 2, 3, ... and are never given twice, also after a deletion; 2. a
 * deleted version keeps its number and its tags, loses source, run, links and aliases, and is seen by nobody (stage
 * Deleted_Internal); 3. an alias names a version that is not deleted; 4. deleting a model is for good and takes
 * everything along; renaming keeps everything.
 * A prompt is a registered model with the tag mlflow.prompt.is_prompt: searches leave prompts out unless the filter
 * asks for them.
 * Errors have MLflow's texts: WEIR_ENOTFOUND, WEIR_EEXIST, WEIR_EINVAL; WEIR_EACCESS and WEIR_ENO from a policy
 * (registry_policy.h).
 */
#pragma once
#include "track/track.h"

#define WR_PROMPT_TAG "mlflow.prompt.is_prompt"

typedef struct {
    wr_str alias;
    int64_t version;
} wr_registered_alias;

typedef struct {
    int64_t id, model; /* inside this database */
    wr_str name;       /* of the model */
    int64_t version;
    wr_str stage;                                         /* "None", "Staging", "Production", "Archived" */
    wr_str source, storage;                               /* storage p NULL: source says it */
    wr_str run_id, run_link, description, user, model_id; /* p NULL = none */
    wr_str package;                                       /* object of a weir package; p NULL = none */
    int64_t created_ms, updated_ms;
    wr_track_item *tags; /* by key */
    wr_str *aliases;     /* by name */
    size_t ntags, naliases;
} wr_registered_version;

typedef struct {
    int64_t id;
    wr_str name, description; /* description p NULL = none */
    int64_t created_ms, updated_ms;
    wr_track_item *tags;           /* by key */
    wr_registered_alias *aliases;  /* by name */
    wr_registered_version *latest; /* the newest version of each stage, by version */
    size_t ntags, naliases, nlatest;
} wr_registered_model;

/* Who moves an alias or a stage, for policies (registry_policy.h). NULL: nobody was asked. */
typedef struct {
    wr_str name;
    const wr_str *roles;
    size_t nroles;
    bool admin;
} wr_registered_who;

/* ---- models ---- */

int wr_registered_name_check(wr_str name, const char *what, wr_err *err); /* not blank, no '/' and ':', a plain path */
bool wr_registered_is_prompt(const wr_track_item *tags, size_t n);        /* is the tag among them? */

/* In a write. WEIR_EEXIST: the name is taken. A tag that comes twice: the last one counts. */
int wr_registered_model_create(wr_registered_model *out, wr_arena *a, wr_track *t, wr_str name, wr_str description,
                               const wr_track_item *tags, size_t ntags, wr_err *err);
/* With tags, aliases and latest versions. */
int wr_registered_model_get(wr_registered_model *out, wr_arena *a, wr_track *t, wr_str name, wr_err *err);
/* In a write. */
int wr_registered_model_rename(wr_track *t, wr_str name, wr_str new_name, wr_err *err);
int wr_registered_model_describe(wr_track *t, wr_str name, wr_str description, wr_err *err);
int wr_registered_model_delete(wr_track *t, wr_str name, wr_err *err);
int wr_registered_model_set_tag(wr_track *t, wr_str name, wr_str key, wr_str value, wr_err *err);
int wr_registered_model_delete_tag(wr_track *t, wr_str name, wr_str key, wr_err *err); /* absent: nothing happens */
/* In a write. Sets or moves; `latest` and v1, v2, ... are refused. */
int wr_registered_alias_set(wr_track *t, wr_str name, wr_str alias, int64_t version, const wr_registered_who *who,
                            wr_err *err);
/* Absent: nothing happens. */
int wr_registered_alias_delete(wr_track *t, wr_str name, wr_str alias, const wr_registered_who *who, wr_err *err);
/* In a write. Back to the version it was at before it came to the one where it is now; again goes further back.
 * WEIR_ENOTFOUND when there is none, or it is deleted. Policies are asked as for any move. */
int wr_registered_alias_rollback(int64_t *version, wr_track *t, wr_str name, wr_str alias, const wr_registered_who *who,
                                 wr_err *err);
/* Where it went, the newest first; at most `max`. */
typedef struct {
    int64_t version, was; /* 0 = nowhere */
    bool undo;            /* by a rollback */
    wr_str user;          /* p NULL = nobody was asked */
    int64_t moved_ms;
} wr_registered_alias_move;
int wr_registered_alias_moves(wr_registered_alias_move **out, size_t *n, wr_arena *a, wr_track *t, wr_str name,
                              wr_str alias, size_t max, wr_err *err);
/* The newest version of each of these stages (any case; n 0 = of all), with tags and aliases. */
int wr_registered_latest(wr_registered_version **out, size_t *nout, wr_arena *a, wr_track *t, wr_str name,
                         const wr_str *stages, size_t nstages, wr_err *err);

/* ---- versions ---- */

typedef struct {
    wr_str name, source, run_id, run_link, description, user, model_id; /* p NULL = none; source is checked by then */
    wr_str package;
    const wr_track_item *tags;
    size_t ntags;
} wr_registered_version_new;

/* In a write. The model exists. A source models:/... is resolved to the storage of what it names: WEIR_ENOTFOUND when
 * that is nothing. Without run_id the logged model `model_id` gives its run. */
int wr_registered_version_create(wr_registered_version *out, wr_arena *a, wr_track *t,
                                 const wr_registered_version_new *in, wr_err *err);
/* "3" as the wire writes versions: WEIR_EINVAL when it is no integer. */
int wr_registered_version_number(int64_t *out, wr_str text, wr_err *err);
int wr_registered_version_get(wr_registered_version *out, wr_arena *a, wr_track *t, wr_str name, int64_t version,
                              wr_err *err);
/* "latest" is the newest version. WEIR_EINVAL when there is no such alias. */
int wr_registered_version_by_alias(wr_registered_version *out, wr_arena *a, wr_track *t, wr_str name, wr_str alias,
                                   wr_err *err);
/* The version that has this package already, deleted ones left aside. WEIR_ENOTFOUND. */
int wr_registered_version_by_package(wr_registered_version *out, wr_arena *a, wr_track *t, wr_str name, wr_str package,
                                     wr_err *err);
/* All of a model (p NULL = of all models) without prompts, by name and version. No such model is none. */
int wr_registered_versions_all(wr_registered_version **out, size_t *n, wr_arena *a, wr_track *t, wr_str name,
                               wr_err *err);
wr_str wr_registered_version_location(const wr_registered_version *v); /* storage, or source */
/* The datasets that its run had read when it was registered, by name; kept when the run is gone. */
typedef struct {
    wr_str name, digest, source_type, source, context; /* context p NULL = none */
} wr_registered_input;
int wr_registered_version_inputs(wr_registered_input **out, size_t *n, wr_arena *a, wr_track *t,
                                 const wr_registered_version *v, wr_err *err);
/* In a write. */
int wr_registered_version_describe(wr_track *t, wr_str name, int64_t version, wr_str description, wr_err *err);
int wr_registered_version_delete(wr_track *t, wr_str name, int64_t version, const wr_registered_who *who, wr_err *err);
int wr_registered_version_set_tag(wr_track *t, wr_str name, int64_t version, wr_str key, wr_str value, wr_err *err);
int wr_registered_version_delete_tag(wr_track *t, wr_str name, int64_t version, wr_str key, wr_err *err);
/* In a write. `archive`: versions that are in this stage go to Archived; for Staging and Production only. */
int wr_registered_version_move(wr_track *t, wr_str name, int64_t version, wr_str stage, bool archive,
                               const wr_registered_who *who, wr_err *err);
/* "production" -> "Production"; WEIR_EINVAL. */
int wr_registered_stage(wr_str *out, wr_str text, wr_err *err);

/* ---- searching ---- */

typedef struct {
    wr_str filter;
    const wr_str *order_by;
    size_t norder;
    int64_t max;  /* of a page; 0 or less is WEIR_EINVAL */
    wr_str token; /* of the page before; {NULL,0} = from the start */
} wr_registered_query;

enum { WR_REGISTERED_MODELS_MAX = 1000, WR_REGISTERED_VERSIONS_MAX = 200000 };
/* `next` {NULL,0} after the last page. With tags, aliases, latest versions. */
int wr_registered_models_search(wr_registered_model **out, size_t *n, wr_str *next, wr_arena *a, wr_track *t,
                                const wr_registered_query *q, wr_err *err);
int wr_registered_versions_search(wr_registered_version **out, size_t *n, wr_str *next, wr_arena *a, wr_track *t,
                                  const wr_registered_query *q, wr_err *err);

/* ---- sources ---- (registry_source.c)
 * What a client may name as the source of a version. `artifacts` is the artifact URI of the run or logged model that
 * the request names, p NULL = it names none: a path of this machine must lie inside it. Other URIs must be absolute
 * and in normal form after decoding, as often as it takes. `model`: the request named a logged model. */
int wr_registered_source_check(wr_str source, wr_str artifacts, bool model, wr_err *err);
int wr_registered_source_prompt(wr_str source, wr_err *err); /* for prompts: no path of this machine at all */
bool wr_registered_source_local(wr_str source);              /* a path or file: URI */
