/* SPDX-License-Identifier: Apache-2.0 */
/* webhook_inside.h - what the webhook*.c files share. */
#pragma once
#include "base/clock.h"
#include "track/track_inside.h"
#include "track/webhook.h"

void wr_webhook_new_id(char out[37]); /* a random UUID */
/* The whole message, as JSON. Keys of tags are NUL-terminated. */
void wr_webhook_message(wr_buf *out, int event, const wr_webhook_data *data, int64_t now_us);
