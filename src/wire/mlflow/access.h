/* SPDX-License-Identifier: Apache-2.0 */
/* access.h - who may call what. One line of access.c says for each procedure which resource it touches and what it
 * takes; a procedure without a line is for administrators. Without authentication (wr_mlflow_call.access NULL)
 * everything is allowed. */
#pragma once
#include "track/user.h"
#include "wire/mlflow/mlflow.h"

typedef struct wr_mlflow_access {
    const wr_user *user;     /* who asks */
    wr_permission otherwise; /* where nothing is granted */
    const wr_users *users;   /* the picture it is from */
} wr_mlflow_access;

/* Before the handler, in its thread. WEIR_EACCESS. */
int wr_mlflow_allowed(wr_mlflow_call *c, wr_err *err);
/* After a handler that went well, in the same write: who makes something may manage it; what is gone is forgotten. */
int wr_mlflow_granted(wr_mlflow_call *c, wr_err *err);
/* The same for bodies of bytes; `access` NULL: everything is allowed. The first segment of a path is its experiment. */
int wr_mlflow_need_artifact(const wr_mlflow_access *access, wr_str path, wr_permission needs, wr_err *err);
int wr_mlflow_need_experiment(const wr_mlflow_access *access, int64_t id, wr_permission needs, wr_err *err);
/* For searches: may this row be shown? */
bool wr_mlflow_may_read(const wr_mlflow_call *c, const char *type, wr_str id);
bool wr_mlflow_may_read_experiment(const wr_mlflow_call *c, int64_t id);
bool wr_mlflow_may_read_scorer(const wr_mlflow_call *c, int64_t experiment, wr_str name);
/* The resource of a grant on a scorer: "EXPERIMENT/NAME". {NULL,0} without memory. */
wr_str wr_mlflow_scorer_id(wr_arena *a, int64_t experiment, wr_str name);
/* For what names experiments and traces elsewhere than in fields (OTLP; a trace that is there already): 0 or
 * WEIR_EACCESS. A trace that is not there is anybody's. `access` may be NULL. */
int wr_mlflow_edits_experiment(const wr_mlflow_access *access, int64_t id, wr_err *err);
int wr_mlflow_edits_trace(const wr_mlflow_access *access, wr_track *t, wr_str uuid, wr_err *err);
/* Is there a line for it? (a test asks for every procedure) */
bool wr_mlflow_has_rule(const wr_mlflow_rpc *r);
