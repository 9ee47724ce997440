/* SPDX-License-Identifier: Apache-2.0 */
/* repository_inside.h - what repository.c, repository_load.c, repository_poll.c and infer.c share. Private to this folder.
 *
 *   wr_repository  names ->  model  ->  versions  ->  now (an instance, counted) */
#pragma once
#include <pthread.h>
#include "base/map.h"
#include "predict/cache.h"
#include "predict/config.h"
#include "predict/infer.h"

typedef enum { WR_STATE_NONE /* never loaded */, WR_STATE_LOADING, WR_STATE_READY, WR_STATE_UNLOADING, WR_STATE_UNAVAILABLE } wr_version_state;

/* Guarded by the repository's lock, but for stats; never freed before the repository. */
typedef struct wr_served_version {
    char *name;
    int64_t number;                    /* -1 = the name is none */
    wr_version_state state;
    char *reason;                      /* NULL = none */
    wr_instance *now;                  /* holds one reference */
    int instances;                     /* that exist, drained ones included */
    uint64_t print;                    /* of the files it was made of */
    wr_model_stats stats;
} wr_served_version;

typedef struct wr_served_model {
    char *name;
    pthread_mutex_t load;              /* rank 1: one load of this name at a time; guards what the poll remembers */
    uint64_t seen, tried;              /* fingerprints: of the last look; of what was loaded last, good or bad */
    int missing;                       /* looks that did not find the folder */
    /* guarded by the repository's lock */
    char *reason;                      /* why the last load failed; NULL = it did not */
    bool put;                          /* not from DIR */
    bool wanted;                       /* should be ready */
    bool unloaded;                     /* somebody said so: the poll leaves it */
    wr_served_version **versions;      /* numbers first, ascending, then names */
    size_t nversions, cap;
} wr_served_model;

struct wr_repository {
    wr_repository_opt opt;
    char *dir;
    pthread_mutex_t lock;              /* rank 2, a leaf */
    wr_map models;
    wr_response_cache *cache;          /* made with the first model that wants it */
    wr_latency *spare;                 /* of versions out of service, for the next ones: what is kept of a version for ever should be small */
    atomic_uint_fast64_t generation;
    bool polled;                       /* by the one who polls */
};

/* A wr_instance and what nobody else sees. */
typedef struct {
    wr_instance pub;
    wr_served_version *version;
    wr_arena *arena;                   /* all texts and specs */
    wr_predictor *predictor;
    const wr_config_map *in_map, *out_map;
} wr_served_instance;

/* ---- repository.c ---- */
/* One more instance of the version is being made; wr_instance_give() is the end of it. */
void wr_served_begin(wr_repository *r, wr_served_version *v);
wr_served_model *wr_served_model_get(wr_repository *r, wr_str name, bool make); /* NULL: unknown, or out of memory */
wr_served_version *wr_served_version_get(wr_repository *r, wr_served_model *m, wr_str name, bool make);
/* In service, in place of what is; takes over the reference. */
void wr_served_install(wr_repository *r, wr_served_version *v, wr_instance *new, uint64_t print);
/* Out of service: the last request ends it. */
void wr_served_retire(wr_repository *r, wr_served_version *v, const char *reason);
void wr_served_fail(wr_repository *r, wr_served_version *v, const char *reason);
void wr_served_tell(wr_repository *r, wr_served_model *m, const char *reason); /* why a load of it failed; NULL = it did not */
void wr_served_loading(wr_repository *r, wr_served_version *v);

/* ---- repository_load.c ---- */
/* Takes over `p`, also on failure. `dir`: of the model, `version_dir`: where golden rows may be; both may be NULL. */
int wr_served_make(wr_instance **out, wr_repository *r, wr_served_model *m, wr_served_version *v, const wr_config *c, wr_predictor *p, const char *dir,
                   const char *version_dir, wr_err *err);
/* m->load is held. `changed`: only versions whose files are others than those served. */
int wr_served_load(wr_repository *r, wr_served_model *m, wr_str config, bool changed, wr_err *err);

/* ---- infer.c, infer_job.c ---- */
/* Without counting, cache and telling. */
int wr_infer_plain(wr_infer_answer *out, const wr_instance *m, const wr_infer_request *q, wr_arena *a, wr_err *err);
/* ---- infer_split.c ---- */
/* Rows [from, from + rows) of a tensor whose first dimension counts them: a view. */
void wr_infer_cut(wr_tensor *out, const wr_tensor *t, size_t from, size_t rows);
/* The run itself; rows -1 = not known. */
int wr_infer_split(wr_tensor *out, const bool *want, const wr_instance *m, const wr_tensor *in, int64_t rows, wr_arena *a, wr_err *err);
/* ---- warmup.c ---- */
int wr_warm_up(const wr_instance *m, const wr_config *c, const char *dir, const char *version_dir, wr_err *err);
