/* SPDX-License-Identifier: Apache-2.0 */
/* event.h - what happened, as data: a lower floor writes an event, a higher one acts on it. Append-only, numbered.
 *
 * Kinds today: "drift" "performance" "promoted" "withdrawn" "retrained" "gate" "served" "replayed" "log-dropped" "log-resumed"
 * "rollout" "step" "rollback".
 * A consumer remembers the last number it acted on in the same transaction as its action (wr_event_ack).
 */
#pragma once
#include "core/project.h"

typedef struct { int64_t id, time_us; const char *kind, *subject; /* "endpoint:delay" */ const char *payload; /* JSON object */ } wr_event;

int wr_event_add(wr_project *p, const char *kind, const char *subject, const char *payload, int64_t *id, wr_err *err);
/* Events after number `after`, oldest first, kind NULL = all; at most `limit`. */
int wr_event_list(wr_event **out, size_t *n, wr_arena *a, wr_project *p, int64_t after, const char *kind, size_t limit, wr_err *err);
int wr_event_acked(int64_t *out, wr_project *p, const char *consumer, wr_err *err); /* 0 when it never acted */
int wr_event_ack(wr_project *p, const char *consumer, int64_t id, wr_err *err);
