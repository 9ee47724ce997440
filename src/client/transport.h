/* SPDX-License-Identifier: Apache-2.0 */
/* transport.h - JSON requests to a tracking server: plain http to an address or localhost through our own client,
 * everything else (https, names, tokens) through libcurl. */
#pragma once
#include "base/err.h"
#include "base/str.h"

typedef struct wr_transport wr_transport;

int wr_transport_open(wr_transport **out, const char *url, const char *token /* may be NULL */, wr_err *err);
void wr_transport_close(wr_transport *t);
/* `body` p NULL: GET. The answer's body is in `reply` (cleared first). An answer of whatever status is no error. */
int wr_transport_call(wr_transport *t, const char *path, wr_str body, int *status, wr_buf *reply, wr_err *err);
