/* SPDX-License-Identifier: Apache-2.0 */
/* server.h - `weir up`: the endpoints of a project over HTTP, with what keeps them going.
 *
 * Paths (the list is in routes.c):
 *   /v2/..., /v1/models/..., /invocations, /ping   predictions (wire/oip/rest.h)
 *   POST /api/weir/1/endpoints/E/labels    {"labels": [{"id", "label", "known_at"}]}     known_at: ISO 8601 or microseconds, default now
 *   GET  /api/weir/1/endpoints/E/rollout   how it goes;  PUT begins one (JSON or YAML, core/rollout.h);  POST {"action": "promote" | "rollback",
 *                                          "arm"}, or {"rewards": [{"id" | "arm", "reward"}]}
 *   POST /api/weir/1/endpoints/E/feedback, /v2/models/E/feedback    labels and rewards (stage/predlog/feedback_body.h)
 *   POST /api/weir/1/views/V/events        {"events": [{"time", COLUMN: VALUE, ...}]}    "_time" when the view has a column "time"
 *   POST /api/weir/1/flush                 drain the log into the lake, answer when done
 *   GET  /api/weir/1/endpoints, /api/weir/1/jobs
 *   GET  /api/weir/1/events[?after=N&kind=K&limit=N]   JSON; server-sent events with Accept: text/event-stream (Last-Event-ID)
 *   GET  /metrics                          Prometheus text;   GET /  status page
 * A label may be sent again: of one id the latest known counts. Events are not recognised when sent again.
 *
 * Threads: HTTP loops; a keeper (syncs the log within 100 ms, looks each second for new events to push and
 * whether to drain, writes the ledger each minute); a worker for drains; threads for large requests; a loader, which looks each second for
 * models that moved; the scheduler's.
 */
#pragma once
#include "core/project.h"

typedef struct wr_server wr_server;
typedef struct {
    const char *host; int port;     /* as in http_server.h */
    int loops;                      /* 0 = 1 */
    const int *listeners;           /* as in http_server.h */
    int nlisteners;
    bool schedule;                  /* run monitors and triggers */
    bool auth;                      /* users, tokens and permissions; more in weir.yaml, `auth:` */
    const char *allowed_hosts, *allowed_origins; /* guard.h */
    const char *repository;         /* folder of models; NULL = as weir.yaml says */
    const char *artifacts;          /* where files of runs and models are kept (store/artifacts.h); NULL = as weir.yaml says */
    const char *tls_certificate, *tls_key; /* PEM files, both or none */
} wr_server_opt;

/* Listens, opens the log and loads models. Port in use: WEIR_EEXIST; project served already: WEIR_ECONFLICT. */
int wr_server_open(wr_server **out, wr_project *p, const wr_server_opt *opt, wr_err *err);
int wr_server_port(const wr_server *s);
/* Answers until wr_server_stop(). */
int wr_server_run(wr_server *s, wr_err *err);
void wr_server_stop(wr_server *s);                             /* async-signal-safe */
/* The same for another process that goes on with the listening sockets: who connects meanwhile waits. async-signal-safe. After
 * wr_server_run() returned: the sockets, the caller's now. wr_server_close() then leaves the log to who opens it next. */
void wr_server_hand_over(wr_server *s);
int wr_server_listeners(wr_server *s, int *out, int max);
/* Drains the log and writes the ledger; frees `s` whatever happens. */
int wr_server_close(wr_server *s, wr_err *err);
