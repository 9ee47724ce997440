/* SPDX-License-Identifier: Apache-2.0 */
/* webhooks_send.h - the thread that empties the outbox of webhooks (track/webhook.h). */
#pragma once
#include "core/project.h"
#include "track/webhook.h"

typedef struct wr_sender wr_sender;

/* `webhooks:` of weir.yaml (allow: http, private), or $WEIR_WEBHOOKS_ALLOW instead of it. */
int wr_sender_config(wr_track *t, wr_project *p, wr_err *err);
/* libcurl is loaded when there is something to send. */
int wr_sender_start(wr_sender **out, wr_track *t, wr_err *err);
void wr_sender_stop(wr_sender *s); /* within about a second; what was not acknowledged stays in the outbox */
