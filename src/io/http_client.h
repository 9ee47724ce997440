/* SPDX-License-Identifier: Apache-2.0 */
/* http_client.h - a blocking HTTP/1.1 connection with keep-alive and pipelining, for our own commands and the replay.
 *
 * Plain TCP to an IP address or "localhost"; TLS and the world outside go through libcurl (not here).
 * A broken connection is reopened by the next send when nothing is outstanding. Not thread-safe.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"
#include "codec/http.h"

typedef struct wr_http_client wr_http_client;

int wr_http_client_open(wr_http_client **out, const char *url /* "http://127.0.0.1:8080" */, int timeout_ms, wr_err *err);
void wr_http_client_close(wr_http_client *c);
/* Queue a request; nothing is sent before flush (or 64 KiB are queued). */
int wr_http_client_send(wr_http_client *c, const char *method, const char *target, const char *type, wr_str body, wr_err *err);
int wr_http_client_flush(wr_http_client *c, wr_err *err);
/* Next response in order; body stays valid until the next call. WEIR_EIO when the peer closed. */
int wr_http_client_recv(wr_http_client *c, int *status, wr_str *body, wr_err *err);
/* send + flush + recv. */
int wr_http_client_call(wr_http_client *c, const char *method, const char *target, wr_str body, int *status, wr_str *reply, wr_err *err);
