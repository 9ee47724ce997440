/* SPDX-License-Identifier: Apache-2.0 */
/* feedback_body.h - what came true, as clients send it: labels and rewards by prediction id, in JSON, lines of JSON, CSV, or CloudEvents.
 *
 *   application/json (or no type)   {"id": ID, "label": L, "ts": T}, a list of them, or {"feedback": [...]}
 *   application/x-ndjson            one object a line (application/jsonl, application/json-lines too)
 *   text/csv                        a line of names (id, label, reward, ts), then rows
 *   CloudEvents 1.0                 structured (application/cloudevents+json), batched (application/cloudevents-batch+json), binary (headers ce-*):
 *                                   data is what stands above; without "id" the event's subject is it, without "ts" its time
 *
 * An item has "label" or "reward" or both (two items then). Labels are numbers, booleans (0, 1) or strings (a class by name); in CSV what reads as
 * a number is one unless it is quoted. Rewards are numbers or booleans. "ts" (also "known_at"): ISO 8601 or microseconds since 1970 UTC, when it
 * was known; default now; at most a day ahead. Other fields are passed over. Errors name the row, counted from 0 (CSV: behind the names).
 * Texts of the items are in the arena. No locks.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

typedef struct {
    wr_str id, text;                /* text p NULL: `value` is it */
    double value;
    bool reward;
    int64_t known_us;
} wr_feedback_item;

typedef struct {
    wr_str content_type;            /* {NULL, 0} = JSON */
    wr_str ce_version, ce_subject, ce_time; /* headers ce-specversion, ce-subject, ce-time; {NULL, 0} = not there */
    int64_t now_us;
} wr_feedback_form;

/* WEIR_EPARSE, WEIR_ETYPE, WEIR_EINVAL, WEIR_EUNSUPPORTED (a content type), WEIR_ELIMIT (more than WR_LIMIT_LABELS). */
int wr_feedback_read(wr_feedback_item **out, size_t *n, wr_str body, const wr_feedback_form *f, wr_arena *a, wr_err *err);
