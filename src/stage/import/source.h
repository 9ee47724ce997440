/* SPDX-License-Identifier: Apache-2.0 */
/* source.h - another tracking store that is read noun by noun. Private to this room.
 *
 * A source is asked for one thing after the other, in an order of its own that does not change, and keeps nothing but
 * its place: what it returns lives in the caller's arena. Ids are the source's; whoever writes maps them. Each kind is
 * asked for to its end, in the order of wr_import_kind. */
#pragma once
#include "store/artifacts.h"
#include "track/import.h"

typedef enum {
    WR_IMPORT_EXPERIMENT,
    WR_IMPORT_RUN,
    WR_IMPORT_LOGGED, /* logged models */
    WR_IMPORT_MODEL,  /* registered ones */
    WR_IMPORT_VERSION,
    WR_IMPORT_TRACE,
    WR_IMPORT_USER,
    WR_IMPORT_GRANT,
    WR_IMPORT_KINDS
} wr_import_kind;

typedef struct {
    wr_trace trace;
    const wr_str *runs; /* it is tied to */
    size_t nruns;
    wr_span_batch spans;
} wr_import_trace_row;
typedef struct {
    wr_str name, password; /* password: a hash; p NULL = none to be had */
    bool admin;
} wr_import_user_row;
typedef struct {
    wr_str user, type, resource;
    wr_permission permission;
} wr_import_grant_row;
typedef union {
    wr_experiment experiment;
    wr_track_run run; /* metrics: at most the latest of each */
    wr_logged_model logged;
    wr_registered_model model;
    wr_registered_version version; /* name: of the model */
    wr_import_trace_row trace;
    wr_import_user_row user;
    wr_import_grant_row grant;
} wr_import_row;

typedef int (*wr_import_points_fn)(void *arg, const wr_track_point *points, size_t n, wr_err *err);

typedef struct wr_import_source wr_import_source;
typedef struct {
    /* The next of its kind: 1, or 0 at the end. */
    int (*next)(wr_import_source *s, wr_import_kind kind, wr_arena *a, wr_import_row *out, wr_err *err);
    /* How many there are, -1 = nobody knows before the end. */
    int (*count)(int64_t *out, wr_import_source *s, wr_import_kind kind, wr_err *err);
    /* How many points a run has; -1 = nobody knows without reading them. */
    int (*npoints)(int64_t *out, wr_import_source *s, wr_str run, wr_err *err);
    /* All its points in pieces, each point once; valid during the call. */
    int (*points)(wr_import_source *s, const wr_track_run *run, wr_import_points_fn fn, void *arg, wr_err *err);
    /* Its artifacts, when it has them itself: entries of a folder; a file piece by piece. NULL: it has not. */
    int (*list)(wr_artifact_entry **out, size_t *n, wr_import_source *s, wr_arena *a, wr_str path, wr_err *err);
    int (*read)(wr_import_source *s, wr_str path, int (*fn)(void *arg, wr_str piece), void *arg, wr_err *err);
    void (*close)(wr_import_source *s);
} wr_import_ops;
struct wr_import_source {
    const wr_import_ops *ops;
};

/* MLflow's database (mlflow_db.c), and beside it the one of its users, `auth` NULL = none. */
int wr_import_mlflow_db(wr_import_source **out, const char *url, const char *auth, wr_err *err);
/* MLflow's server (mlflow_http.c). */
int wr_import_mlflow_http(wr_import_source **out, const char *url, wr_err *err);

/* The largest finite double is what MLflow makes of infinities. */
double wr_import_value(double v, bool nan);
