/* SPDX-License-Identifier: Apache-2.0 */
/* rollout_inside.h - what the files of running rollouts share. Private to this folder.
 *
 *   run.c     life, commands, refresh        answer.c   a request and its arm; rewards
 *   tick.c    judging, steps, the end        state.c    kept and told: JSON
 *   memory.c  which arm answered what, over a restart
 *   shadow.c  copies of requests
 */
#pragma once
#include <pthread.h>
#include "stage/deploy/answer.h"
#include "stage/deploy/serve_inside.h"
#include "stage/rollout/reward_map.h"
#include "stage/rollout/run.h"

typedef enum { WR_PHASE_RUNNING, WR_PHASE_HELD, WR_PHASE_PROMOTING, WR_PHASE_PROMOTED, WR_PHASE_ROLLED_BACK, WR_PHASES } wr_rollout_phase;
extern const char *const wr_phase_names[WR_PHASES];

typedef struct {
    wr_serve_endpoint *model;       /* NULL: the endpoint itself */
    /* written by those who answer */
    atomic_uint_fast64_t requests, errors, rows, busy_ns, unready, pairs, agree, dropped;
    atomic_uint_fast64_t latency[WR_DURATION_BINS], score[WR_VALUE_BINS];
    atomic_uint_fast64_t pair_score[WR_VALUE_BINS]; /* the primary's scores of what a shadow was compared in */
    /* under `lock` of the rollout */
    wr_moments reward;
    wr_offpolicy value;
    double most_apart;
    int64_t rewards_us;             /* of the state it was restored from: later rewards are not in it */
    /* under `judge` */
    double joules, busy_then_s, rows_then;
    int64_t failed;                 /* checks */
    wr_moments joule_ratio;
    wr_arm_totals now, then;        /* then: at the beginning of the interval */
    wr_verdict verdicts[WR_GUARDS];
    wr_look looks[WR_GUARDS];
} wr_rollout_arm_run;

struct wr_rollout {
    atomic_int refs;
    wr_arena *arena;
    wr_serve_endpoint *endpoint;
    wr_rollout_spec spec;
    const char *spec_json, *declared, *salt;
    uint64_t seed;                  /* of requests without a key */
    atomic_uint_fast64_t draws;
    wr_reward_map *rewards;
    pthread_mutex_t judge;          /* guards phase and all of judging */
    wr_rollout_phase phase;
    double weight;                  /* of a plan's canary */
    int64_t step, started_us, interval_ns;
    char why[400];
    size_t promoted;                /* arm */
    int64_t promoted_version;       /* 0 = no alias moved */
    bool loaded, ended;             /* arms are models; they are to go */
    int64_t saved_ns;
    double saved_requests;
    bool dirty;
    pthread_mutex_t lock;           /* guards route, out, shares and what arms say */
    wr_route route;
    bool shares;                    /* requests may share runs */
    bool out[WR_ROLLOUT_ARMS];
    wr_rollout_arm_run *arms;       /* spec.narms */
};

/* Held while used; NULL when the endpoint has none. */
wr_rollout *wr_rollout_hold(wr_serve_endpoint *e);
void wr_rollout_drop(wr_rollout *r);
static inline bool wr_rollout_on(const wr_rollout *r) { return r->phase < WR_PHASE_PROMOTED; }

/* run.c */
/* A table from weight and out, and whether requests may share runs; under judge. */
void wr_rollout_table(wr_rollout *r);
/* The model of an arm, to be given back; false: it has none now. */
bool wr_rollout_take(wr_served **package, wr_instance **model, wr_serve *s, wr_rollout_arm_run *arm);

/* tick.c; under judge */
void wr_rollout_arm_out(wr_serve *s, wr_rollout *r, size_t arm, const char *why);
int wr_rollout_promote_arm(wr_serve *s, wr_rollout *r, size_t arm, wr_err *err);
void wr_rollout_totals(wr_arm_totals *out, wr_rollout *r, size_t arm);
void wr_rollout_event(wr_serve *s, const wr_rollout *r, const char *kind, size_t arm, const char *why);

/* state.c; under judge */
int wr_rollout_save(wr_serve *s, wr_rollout *r, wr_err *err);
void wr_rollout_restore(wr_rollout *r, wr_str state); /* what cannot be read is left at its beginning */

/* answer.c. Answers with the arm it picks, as wr_serve_rollouts.answer says. */
int wr_rollout_answer(wr_serve_reply *out, wr_round *round, wr_served *package, wr_instance *model, const wr_infer_request *q,
                      const wr_serve_asked *asked, wr_arena *a, wr_err *err);
/* Of a prediction: 1 = counted, 0 = that prediction had one, or it was the answer of no arm's choosing. WEIR_ENOTFOUND: not remembered. */
int wr_rollout_reward(wr_serve *s, wr_str endpoint, wr_str id, double reward, wr_err *err);
/* A reward into what arms say: `arm` earned it; only those that do not have it yet, of what was received then. */
void wr_rollout_earn(wr_rollout *r, size_t arm, double propensity, double reward, int64_t received_us);
/* memory.c */
bool wr_rollout_explores(const wr_rollout *r);     /* its decisions are logged and remembered */
/* What is remembered of predictions, kept: all that is in segments up to `tag`. With the state, so that both know the same rewards. */
int wr_rollout_memory_save(wr_serve *s, wr_rollout *r, uint64_t tag, wr_err *err);
int wr_rollouts_memory_save(wr_serve *s, uint64_t tag, wr_err *err); /* of all */
/* After wr_rollout_restore: what was kept, then what the log has since. */
int wr_rollout_memory_load(wr_serve *s, wr_rollout *r, wr_err *err);

/* shadow.c */
struct wr_shadow *wr_shadow_new(wr_serve *s);
void wr_shadow_offer(wr_serve *s, wr_rollout *r, size_t arm, const wr_infer_request *q, const wr_serve_reply *primary);
void wr_shadow_close(wr_serve *s);
