/* SPDX-License-Identifier: Apache-2.0 */
/* server_inside.h - what the files of the server share. Private to this folder.
 *
 *   server.c         open, run, close; the keeper thread
 *   routes.c         the list of paths; finding one; timing
 *   routes_infer.c   /v2, /v1, /invocations                  routes_feedback.c   labels and events
 *   routes_infer_grpc.c  the same models by gRPC
 *   routes_look.c    endpoints, jobs, events, flush          feed.c              events pushed to those who listen
 *   routes_rollout.c  rollouts of endpoints: look, begin, end, rewards
 *   routes_mlflow.c  MLflow's protocol, /health, /version    routes_otlp.c       /v1/traces
 *   routes_artifacts.c  files up and down
 *   webhooks_send.c  the outbox of webhooks
 *   watch.c          runs as they go (server-sent events)
 *   auth.c           who asks                                 guard.c             hosts and origins
 *   limiter.c        requests a second of a client
 *   routes_optuna.c  Optuna's storage, by gRPC
 *   metrics.c        /metrics                                page.h, page_*.c    /
 */
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include "base/pool.h"
#include "codec/json.h"
#include "flow/schedule.h"
#include "io/http_server.h"
#include "predict/batch.h"
#include "server/auth.h"
#include "server/guard.h"
#include "server/limiter.h"
#include "server/server.h"
#include "server/webhooks_send.h"
#include "stage/deploy/drain.h"
#include "stage/deploy/serve.h"
#include "store/artifacts_sign.h"
#include "wire/mlflow/access.h"
#include "wire/mlflow/mlflow.h"
#include "wire/oip/rest.h"

enum { WR_LATENCY_BUCKETS = 16 };
typedef enum { WR_KIND_INFER, WR_KIND_LABELS, WR_KIND_EVENTS, WR_KIND_TRACK, WR_KIND_OTHER, WR_KINDS } wr_server_kind;

/* Counters of one kind of request on one loop; written by that loop (and the worker), read by /metrics. */
typedef struct {
    atomic_uint_fast64_t bucket[WR_LATENCY_BUCKETS], sum_ns, status[6]; /* by first digit */
} wr_server_counts;

typedef struct {
    wr_round *round;
    wr_batch *batch;                /* predictions of this round that wait for others */
    wr_oip_alike *alike;            /* what requests of this loop look like */
    wr_buf body;                    /* of the answer being made */
    wr_server_counts counts[WR_KINDS];
    int64_t infers;                 /* predictions of this round */
} wr_server_loop;

typedef struct wr_feed wr_feed;
typedef struct wr_watch wr_watch;
typedef struct wr_pulse wr_pulse;

struct wr_server {
    wr_project *project;
    wr_serve *serve;
    wr_http_server *http;
    wr_schedule *schedule;          /* NULL with --no-schedule */
    wr_auth *auth;                  /* NULL: everybody may everything */
    wr_guard guard;
    wr_limiter *limiter;            /* NULL: no limit */
    int64_t queue_max;
    size_t body_max;                /* of requests for predictions */
    atomic_int_fast64_t waiting;    /* large requests on their way */
    atomic_uint_fast64_t refused, over_rate; /* predictions that found no room; requests of clients that sent too many */
    wr_track *track;                /* the project's, with the metric log */
    wr_artifacts *artifacts;        /* the project's */
    wr_signer signer;               /* of links */
    int64_t sweep_at_ns;            /* the keeper's: next look for what nobody can reach */
    wr_pool *worker, *readers;      /* one thread for what is long; some for queries */
    wr_pool *transfers;             /* for files; made when needed, under `lock` */
    wr_pool *heavy;                 /* for large inference requests */
    wr_pool *split;                 /* parts of one of them go over it */
    wr_pool *loader;                /* models that somebody loads or unloads */
    wr_pool *looker;                /* one thread: looks for models that moved, and loads them */
    wr_oip *oip;
    char *oip_name;                 /* what the server calls itself; NULL = weir */
    bool loads;                     /* there is a folder of models */
    bool polls;                     /* and it is looked at */
    bool blind;                     /* the last look failed; the looker's */
    int64_t poll_us;
    atomic_bool looking;            /* for models, on the looker */
    atomic_int_fast64_t polled_ns;
    wr_feed *feed;
    wr_watch *watch;
    wr_pulse *pulse;                /* page.h */
    wr_sender *sender;              /* of webhooks */
    wr_server_loop *loops;
    int nloops;
    int64_t started_us;
    unsigned minutes;               /* of the keeper */
    pthread_t keeper;
    pthread_mutex_t lock;           /* guards wake, stop; rank 1 */
    pthread_cond_t wake;
    bool keeping, stop;
    bool handed;                    /* another process goes on: nothing to drain */
    atomic_bool idle;               /* the keeper sleeps long: wake it when there is something to sync */
    atomic_bool draining;           /* a drain by time or size is posted */
    atomic_int_fast64_t drained_ns; /* when the last one ended */
    atomic_int_fast64_t warned_ns;  /* when a failed commit was last told */
};

/* One request on its way through a handler. */
typedef struct {
    wr_server *server;
    wr_server_loop *loop;
    wr_http_req *req;
    wr_arena *arena;
    int64_t start;                  /* wr_clock_mono_ns */
    wr_str path;                    /* decoded */
    wr_str param;                   /* what {} of the pattern stands for */
    wr_str body;                    /* unpacked when it came with a Content-Encoding */
    int status;                     /* what was answered, for the counters */
    wr_auth_who *who;               /* who asks, in the arena; NULL without authentication, or when somebody else gives it back */
    bool deferred;                  /* somebody else answers and counts */
} wr_call;

/* What weir.yaml says of authentication; raises `on`. Texts in the arena or the configuration. */
int wr_auth_config(wr_auth_opt *out, bool *on, wr_arena *arena, wr_project *p, const wr_yaml *config, wr_err *err);

void wr_server_route(void *ctx, wr_http_req *r, wr_http_route *out);
void wr_server_count(wr_server_loop *l, wr_server_kind kind, int status, int64_t ns);
extern const double wr_latency_bounds[WR_LATENCY_BUCKETS]; /* seconds; the last is infinite */
extern const char *const wr_kind_names[WR_KINDS];

/* May this request come in, and who is it? 0, or the status that refuses it, with the message in `err`. */
int wr_server_judge(wr_auth_who **who, wr_server *s, wr_http_req *r, wr_err *err);
/* The answer to who is refused. */
void wr_server_put_refusal(wr_buf *out, wr_http_reply_opt *opt, int status, const wr_err *err);
/* Bodies of bytes. Is it one that comes in? Then `out` is filled. */
bool wr_server_begin_upload(wr_server *s, wr_http_req *r, wr_http_route *out);
/* Answers a deferred request with the content that `m` has opened, and closes that; the status. */
int wr_server_send_content(wr_server *s, wr_http_req *r, const wr_mlflow_call *m);
/* Answers; a buffer that failed becomes 500. */
void wr_call_json(wr_call *c, int status, wr_buf *body, bool durable);
void wr_call_err(wr_call *c, const wr_err *e);
/* Another thread will answer. What was read of the head before this call is gone; c->body is made to last, and the head is read anew. */
void wr_call_defer(wr_call *c);
/* Answered by others of this round, on the loop (io/http_server.h); c->who is theirs then. */
void wr_call_hold(wr_call *c);
/* The loop's buffer, empty, and not larger than it has to be. */
void wr_loop_trim(wr_server_loop *l);

/* Somebody who asks for predictions, whatever the protocol (routes_infer.c). */
typedef struct {
    wr_server *server;
    wr_round *round;
    wr_batch *batch;                /* NULL: nothing waits for others */
    const wr_mlflow_access *access; /* NULL: everything is allowed */
    const wr_http_head *head;       /* of the request; NULL: rollouts see no headers */
    bool all_versions;              /* of a model, for its metadata */
} wr_asker;
wr_oip_ops wr_asker_ops(wr_asker *s); /* `s` lasts as long */
int wr_asker_may(const wr_mlflow_access *access, wr_str name, wr_permission needs, wr_err *err);
/* A load, an unload or a change of settings was done: kept in the audit log when it is known who asked. Not on a loop: it waits. */
void wr_asker_audit(wr_server *s, const wr_auth_who *who, wr_http_req *req, wr_str path, wr_str subject);
/* May one more prediction be taken on: in this round of the loop, or among the large ones, of which wr_infer_done() takes it away again? */
bool wr_infer_admit(wr_call *c, bool large);
void wr_infer_done(wr_server *s);
/* It may not: counted for the server, and for the model where it is known (name "" = it is not). */
void wr_infer_refused(wr_server *s, wr_str name, wr_str version);
extern const char wr_infer_queue_full[];
enum { WR_INFER_ON_LOOP_MAX = 64 << 10 }; /* bytes of a body; larger ones are answered on threads of their own */

/* handlers */
void wr_handle_infer(wr_call *c);
void wr_handle_infer_grpc(wr_call *c);
void wr_handle_labels(wr_call *c);
void wr_handle_feedback(wr_call *c);
void wr_handle_view_events(wr_call *c);
void wr_handle_rollout(wr_call *c);
void wr_handle_flush(wr_call *c);
void wr_handle_endpoints(wr_call *c);
void wr_handle_jobs(wr_call *c);
void wr_handle_events(wr_call *c);
void wr_handle_metrics(wr_call *c);
void wr_handle_page(wr_call *c);
void wr_handle_mlflow(wr_call *c);
void wr_handle_optuna(wr_call *c);
void wr_handle_otlp(wr_call *c);
void wr_handle_health(wr_call *c);
void wr_handle_version(wr_call *c);
void wr_handle_server_info(wr_call *c);

void wr_server_put_endpoints(wr_jsonw *w, wr_server *s);
void wr_server_put_jobs(wr_jsonw *w, wr_server *s);
int wr_server_newest_event(int64_t *out, wr_project *p, wr_err *err); /* its number, 0 = none */

/* Who watches runs (watch.c). */
int wr_watch_new(wr_watch **out, wr_track *t, wr_err *err);
void wr_watch_free(wr_watch *w);
void wr_watch_look(wr_watch *w);                               /* by the keeper, each second */
void wr_handle_watch_run(wr_call *c);
void wr_handle_watch_experiment(wr_call *c);

/* Listeners of server-sent events. */
int wr_feed_new(wr_feed **out, wr_project *p, wr_err *err);
void wr_feed_free(wr_feed *f);
/* Takes over the stream; events after `after` are pushed. */
int wr_feed_add(wr_feed *f, wr_http_stream *s, int64_t after, wr_err *err);
void wr_feed_push(wr_feed *f);                                 /* by the keeper, each second */
