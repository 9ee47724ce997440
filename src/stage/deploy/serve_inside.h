/* SPDX-License-Identifier: Apache-2.0 */
/* serve_inside.h - what the files of serving share: serve*.c, drain.c, features.c, keep.c; and stage/rollout, whose arms are endpoints too. */
#pragma once
#include "base/map.h"
#include "core/model.h"
#include "io/meter.h"
#include "stage/deploy/answer.h"
#include "stage/deploy/serve.h"
#include "stage/predlog/predlog.h"

typedef struct wr_serve_version { /* counter of one version; never freed before the end, so that metrics only grow */
    struct wr_serve_version *next;
    int64_t version;
    atomic_uint_fast64_t n;
    wr_model_stats stats;
    wr_latency latency;
} wr_serve_version;

/* What answers for an endpoint, for the ledger: a model and its version, the endpoint's own or an arm's. Never freed before the end. */
typedef struct wr_serve_answerer {
    struct wr_serve_answerer *next;  /* earlier ones */
    const char *name, *version;      /* of the repository's instance; NULL: a package */
    const char *by;                  /* as wr_footprint.answered_by */
    atomic_uint_fast64_t n;          /* predictions */
    uint64_t before;                 /* at the ledger's last row; under its lock */
} wr_serve_answerer;

typedef struct wr_rollout wr_rollout;

/* What a serving process asks of rollouts, which stand above it (stage/rollout). */
struct wr_serve_endpoint;
struct wr_keep_opt;
enum { WR_NO_ROLLOUT = 2 };
struct wr_serve_rollouts {
    int (*open)(wr_serve *s, wr_err *err);    /* what is kept and what is declared; under refresh */
    void (*close)(wr_serve *s);               /* also after a failed open, or none */
    int (*refresh)(wr_serve *s, wr_err *err); /* arms that moved; under refresh */
    int (*save)(wr_serve *s, uint64_t tag, wr_err *err); /* what segments up to `tag` say of them: those go now */
    size_t (*folders)(const char **out, struct wr_serve_endpoint *e); /* of the cache, in use by arms: < WR_ROLLOUT_ARMS */
    /* With the arm that is picked; as wr_serve_answer_to, or WR_NO_ROLLOUT: the endpoint has none. */
    int (*answer)(wr_serve_reply *out, wr_round *r, wr_served *package, wr_instance *model, const wr_infer_request *q, const wr_serve_asked *asked,
                  wr_arena *a, wr_err *err);
    /* Of a prediction, in the log already: 1 = an arm earned it, 0 = the prediction had one; WEIR_ENOTFOUND: no arm is remembered for it. */
    int (*reward)(wr_serve *s, wr_str endpoint, wr_str id, double reward, wr_err *err);
};

/* The views of an endpoint's feature service, or the one whose file it names, as one: features_open.c */
typedef struct {
    wr_live *live;
    const wr_view *view;
    wr_tensor_spec *in;              /* its request columns */
    size_t first;                    /* of its features among all */
} wr_fed_view;
typedef struct wr_fed {
    const char *called;              /* view "x", or feature service "y" */
    wr_fed_view *views;
    size_t nviews;
    const wr_view_feature **features; /* of all views, one after the other; no two of a name */
    size_t nfeatures;
    wr_tensor_spec *in;              /* request columns of all views, each once */
    size_t nin;
} wr_fed;

typedef struct wr_serve_endpoint {
    struct wr_serve_endpoint *parent; /* of an arm of a rollout: the endpoint it answers for */
    const char *version;             /* what the repository calls the version of a path; NULL = 1 */
    const char *name, *reference;
    const char *path;                /* NULL = the reference says it */
    double threshold, log;
    wr_str config;                   /* of models without a view */
    pthread_mutex_t lock;            /* rank 4; guards now, error, package, versions, plain, plain_model, plain_version, rollout */
    wr_served *now;
    wr_serve_version *versions;
    char package[WR_SHA256_HEX];     /* of now */
    char refused[WR_SHA256_HEX];     /* the last package that was, so that it is said once */
    char error[320];
    bool plain;                      /* the repository answers for it */
    char plain_model[256];
    int64_t plain_version;
    char served[WR_SHA256_HEX], spurned[WR_SHA256_HEX]; /* what the repository has for it, and the last it did not take; under refresh, as: */
    char folder[WR_SHA256_HEX];      /* of the cache, in use */
    uint64_t seen, tried;            /* fingerprints of the path */
    atomic_uint_fast64_t asked;      /* requests, for sampling */
    const struct wr_fed *fed;        /* where features come from; NULL = nowhere: inputs are the request's */
    const char *features_path;       /* of the first view; NULL = none */
    const wr_feature_service *service; /* that named it; NULL = none */
    struct wr_sink **sinks;
    size_t nsinks;
    atomic_uint_fast64_t layout;     /* keep.c: the last one that was told */
    atomic_uint_fast64_t predictions, labels, rewards;
    wr_serve_answerer *_Atomic answerers; /* the newest first, `somebody` last; of arms those are the endpoint's that they answer for */
    wr_serve_answerer somebody;
    atomic_int_fast64_t watermark;
    const char *declared;            /* rollout of weir.yaml as JSON; "" = none */
    wr_rollout *rollout;             /* of stage/rollout; NULL = none */
} wr_serve_endpoint;

struct wr_serve {
    wr_project *project;
    wr_arena *arena;                 /* of what lives as long as this */
    wr_applog *log;
    const char *log_dir;
    wr_serve_endpoint *endpoints;
    size_t nendpoints;
    wr_map names;                    /* of endpoints */
    wr_repository *repository;
    struct wr_keep *keep;            /* NULL: nothing is logged of models without a view */
    struct wr_feedback_memory *feedback;
    bool opened;                     /* the first look is done */
    wr_live **lives;                 /* one a view name, at most max_lives; nlives only grows, entries are final */
    atomic_size_t nlives;
    size_t max_lives;
    pthread_mutex_t refresh;         /* rank 1: one refresh at a time; guards arena */
    pthread_mutex_t drain;           /* rank 2: one drain at a time */
    pthread_rwlock_t gate;           /* rank 3: see serve.h */
    atomic_bool unsynced;
    uint64_t id_seed;
    atomic_uint_fast64_t id_next;
    struct wr_serve_ledger *ledger;  /* has its own lock */
    atomic_uint_fast64_t busy_ns;    /* of requests to endpoints whose answers may be logged */
    _Atomic double joules_s;         /* of a second of them, by the last window; 0 = not known yet */
    const struct wr_serve_rollouts *rollouts; /* NULL = there are none */
    struct wr_shadow *shadow;        /* of stage/rollout; has its own lock */
};

/* serve.c */
int wr_serve_no_endpoint(wr_serve *s, wr_str name, wr_err *err); /* WEIR_ENOTFOUND with did-you-mean */
int wr_serve_log_decision(wr_round *r, const wr_predlog_decision *d, wr_err *err);

/* serve_models.c */
int wr_serve_look(wr_serve *s, wr_serve_endpoint *e, wr_err *err); /* has its model moved? under refresh */
wr_serve_endpoint *wr_serve_endpoint_named(wr_serve *s, wr_str name); /* NULL */
void wr_serve_say(wr_serve *s, const wr_serve_endpoint *e, const char *kind, const wr_model_version *v, int64_t before, const wr_err *why);
void wr_serve_set_error(wr_serve_endpoint *e, const wr_err *why);
/* `v` is not taken up (version 0: a path): error, warning and event "rollback", which names what stays. Is that trouble the endpoint's error already? */
void wr_serve_refuse(wr_serve *s, wr_serve_endpoint *e, const wr_model_version *v, const wr_err *why);
bool wr_serve_is_said(const wr_serve_endpoint *e, const wr_err *why);

/* The state of a view: the one there is, or a new one; under refresh, or while opening. */
int wr_serve_state_for(wr_live **out, wr_serve *s, const wr_view *v, wr_err *err);
/* features_open.c. Nothing to do when the endpoint has no features_path. */
int wr_features_open(wr_serve *s, wr_serve_endpoint *e, wr_err *err);
/* Which request columns of `v` may be left out at the endpoint, into specs of them. */
void wr_features_optional(wr_tensor_spec *in, const wr_serve_endpoint *e, const wr_view *v);
/* May a package over this view answer for it? WEIR_ECONFLICT. */
int wr_features_fit(const wr_serve_endpoint *e, const wr_view *v, wr_err *err);

/* serve_plain.c; under refresh */
int wr_serve_look_path(wr_serve *s, wr_serve_endpoint *e, wr_err *err);
int wr_serve_look_registered(wr_serve *s, wr_serve_endpoint *e, const wr_registered_version *v, wr_err *err);
/* A package took its place. */
void wr_serve_plain_ends(wr_serve *s, wr_serve_endpoint *e);
/* Of the thread that answers copies: they are no traffic. */
extern _Thread_local bool wr_serve_silent;
int wr_serve_repository_open(wr_serve *s, const wr_serve_opt *opt, wr_err *err);

/* serve.c */
int wr_serve_log_feedback(wr_round *r, const wr_predlog_feedback *rec, wr_err *err); /* synced at the round's end */
/* feedback_take.c */
int wr_feedback_memory_open(struct wr_feedback_memory **out, wr_err *err);
void wr_feedback_memory_close(struct wr_feedback_memory *m);

/* keep.c; may be called after a failed open */
typedef struct wr_keep wr_keep;
int wr_keep_open(wr_serve *s, wr_err *err);
void wr_keep_close(wr_serve *s);
/* Of a model of the repository: its own name, or that before the arm's; `arm` is set, but not when it is set already. NULL. */
wr_serve_endpoint *wr_serve_endpoint_of(wr_serve *s, const char *name, wr_str *arm);
int wr_sinks_open(wr_serve *s, wr_serve_endpoint *e, const wr_endpoint *spec, wr_err *err);
void wr_sinks_close(wr_serve_endpoint *e);

int wr_serve_ledger_open(wr_serve *s, const char *meter_root, wr_err *err);
/* Before version `v` (0: e's path) answers for `e`, an endpoint or an arm. version: what the repository calls it, NULL = it is a package. Under refresh; NULL
 * without memory. */
wr_serve_answerer *wr_serve_answerer_add(wr_serve *s, wr_serve_endpoint *e, const char *version, const wr_model_version *v);
/* Whose predictions those of the instance are, of endpoint `e`. Any thread. */
wr_serve_answerer *wr_serve_answerer_of(wr_serve_endpoint *e, const wr_instance *m);
void wr_serve_ledger_close(wr_serve *s);
/* Energy and CPU seconds of the process since the last call. One thread at a time. */
void wr_serve_energy_since(wr_energy *out, double *cpu_s, wr_serve *s);

/* ---- answer.c: one model, whoever picked it ---- */

/* Who may wait for others to share a run with; batch NULL: nobody. */
typedef struct {
    wr_batch *batch;
    wr_batch_done done;
    void *arg;
} wr_serve_later;
/* What it took; also told of what failed. */
typedef struct {
    size_t rows;                     /* of an answer */
    bool waited;
    int64_t busy_ns;                 /* of one that waited: all but the waiting, of the run its part */
} wr_serve_took;
/* took NULL: of no interest. 1: a model without a view waits, and later.done is called; then reply, took, error, the model and what q and opt point to
 * last until that. */
int wr_serve_run(wr_serve_reply *out, wr_serve_took *took, wr_round *round, wr_served *package, wr_instance *model, const wr_infer_request *q,
                 const struct wr_keep_opt *opt, wr_serve_later later, wr_arena *a, wr_err *err);
