/* SPDX-License-Identifier: Apache-2.0 */
/* webhook.h - who is told over HTTP when the registry changes, and the outbox of what they have not been told yet.
 *
 *   change --same write--> outbox --wr_webhook_deliver--> POST, signed --2xx--> row deleted
 *                             ^------ later, with more and more patience ------'
 *
 * Invariants: 1. a change and its messages are one write: none is lost, also by kill -9, and none tells of what did not
 * happen; 2. a row leaves the outbox after an answer 2xx, with its webhook, or a week old; so a message may come twice
 * (X-MLflow-Delivery-Id is then the same); 3. a webhook's messages go out in order, one at a time. One that is refused
 * again and again (4xx five times, anything thirty times, which takes a day) is given up and no longer in the way;
 * 4. several servers on one database do not send the same row at once.
 * Only https and only addresses of the open internet, unless wr_webhook_allow says otherwise. Secrets never come back.
 * Events are "model_version.created", ...: MLflow's. Errors with MLflow's texts.
 */
#pragma once
#include <stdatomic.h>

#include "track/track.h"

enum { WR_WEBHOOK_ACTIVE = 1, WR_WEBHOOK_DISABLED };
enum { WR_WEBHOOK_HTTP = 1, WR_WEBHOOK_PRIVATE = 2 }; /* what is allowed beyond */
void wr_webhook_allow(wr_track *t, unsigned flags);
/* "http,private" -> flags; WEIR_EINVAL for other words. */
int wr_webhook_allow_parse(unsigned *out, wr_str text, wr_err *err);

/* Number of an event "entity.action"; WEIR_EINVAL when there is none such. */
int wr_webhook_event_find(int *out, wr_str entity, wr_str action, wr_err *err);
const char *wr_webhook_event_entity(int event); /* "model_version" */
const char *wr_webhook_event_action(int event); /* "created" */

typedef struct {
    int64_t id;
    wr_str uuid, name, url, description; /* description p NULL = none */
    int status;
    int64_t created_ms, updated_ms;
    int *events; /* ascending */
    size_t nevents;
} wr_webhook;

/* p NULL, nevents 0, status 0: left as it is, when updating. */
typedef struct {
    wr_str name, url, description, secret;
    const int *events;
    size_t nevents;
    int status;
} wr_webhook_set;

/* In a write. */
int wr_webhook_create(wr_webhook *out, wr_arena *a, wr_track *t, const wr_webhook_set *in, wr_err *err);
int wr_webhook_update(wr_webhook *out, wr_arena *a, wr_track *t, wr_str uuid, const wr_webhook_set *in, wr_err *err);
int wr_webhook_delete(wr_track *t, wr_str uuid, wr_err *err);
int wr_webhook_get(wr_webhook *out, wr_arena *a, wr_track *t, wr_str uuid, wr_err *err);
/* Newest first; max 1 to 1000. */
int wr_webhook_list(wr_webhook **out, size_t *n, wr_str *next, wr_arena *a, wr_track *t, int64_t max, wr_str token,
                    wr_err *err);

/* ---- messages ---- */

/* What is told of an event, the object "data" of a message. */
typedef struct {
    wr_str name, version, key, value, alias, source, run_id, template;
    wr_str description; /* p NULL: null */
    const wr_track_item *tags;
    size_t ntags;
} wr_webhook_data;
/* In a write, the one that makes it true: a row in the outbox of each active webhook of this event. */
int wr_webhook_emit(wr_track *t, wr_str entity, wr_str action, const wr_webhook_data *data, wr_err *err);

/* ---- delivery (webhook_send.c) ---- */

/* How a message gets to its receiver; the server's is made of io/fetch. */
typedef struct {
    wr_str url, body;
    const char *const *headers;
    size_t nheaders;
    bool https_only, public_only;
    int timeout_ms;
} wr_webhook_request;
typedef struct {
    int status;       /* of the answer; 0 = none came */
    int64_t retry_ms; /* it asks for this patience (Retry-After); 0 = it does not say */
    wr_buf body;      /* its first 64 KiB */
    char why[200];    /* without an answer */
} wr_webhook_answer;
typedef struct {
    void (*send)(void *ctx, const wr_webhook_request *in, wr_webhook_answer *out); /* `out` is zeroed */
    void *ctx;
} wr_webhook_transport;

/* Messages by io/fetch. `cancel` becomes true: what is being sent is given up. WEIR_EUNAVAILABLE without libcurl. */
int wr_webhook_transport_open(wr_webhook_transport *out, const atomic_bool *cancel, wr_err *err);
void wr_webhook_transport_close(wr_webhook_transport *t);

/* Sends what is due, at most `max` messages; `next_ms` is when to come again at the latest (wall clock). Not in a
 * write; any number of threads. Returns the number of messages that were delivered. */
int wr_webhook_deliver(int64_t *next_ms, wr_track *t, const wr_webhook_transport *transport, int max, wr_err *err);
/* Has something been put into the outbox by this process since the last call? */
bool wr_webhook_stirred(wr_track *t);
/* An example of the event (-1 = of its first one) sent at once, whatever its status. */
int wr_webhook_test(wr_webhook_answer *out, wr_arena *a, wr_track *t, wr_str uuid, int event,
                    const wr_webhook_transport *transport, wr_err *err);
/* "v1,..." over "ID.TIMESTAMP.BODY". */
void wr_webhook_sign(wr_buf *out, wr_str secret, wr_str id, wr_str timestamp, wr_str body);
