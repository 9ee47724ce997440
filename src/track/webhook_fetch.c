/* SPDX-License-Identifier: Apache-2.0 */
/* webhook_fetch.c - messages over HTTP. */
#include <stdio.h>

#include "base/mem.h"
#include "base/num.h"
#include "io/fetch.h"
#include "track/webhook_inside.h"

typedef struct {
    wr_fetch *fetch;
    const atomic_bool *cancel;
} carrier;

/* Seconds of Retry-After; its other form, a date, is not worth the trouble. */
static int64_t retry_ms(const wr_fetch_reply *r)
{
    int64_t seconds;
    wr_str v = wr_fetch_header(r, "retry-after");
    return v.n && wr_num_i64(&seconds, v, NULL) == 0 && seconds > 0 && seconds < 86400 ? seconds * 1000 : 0;
}

static void send_by_fetch(void *ctx, const wr_webhook_request *in, wr_webhook_answer *out)
{
    carrier *c = ctx;
    wr_fetch_reply reply = {0};
    wr_err err = {0};
    char url[2100];
    snprintf(url, sizeof url, "%.*s", WR_STR_FMT(in->url));
    wr_fetch_opt opt = {.method = "POST",
                        .url = url,
                        .headers = in->headers,
                        .nheaders = in->nheaders,
                        .body = in->body,
                        .timeout_ms = in->timeout_ms,
                        .connect_ms = 5000,
                        .https_only = in->https_only,
                        .public_only = in->public_only,
                        .cancel = c->cancel};
    int rc = wr_fetch_run(&reply, c->fetch, &opt, &err);
    if (rc == 0 || rc == WEIR_ELIMIT) { /* an answer that is too long is an answer */
        out->status = reply.status;
        out->retry_ms = retry_ms(&reply);
        wr_buf_slice(&out->body, wr_str_fit(wr_buf_view(&reply.body), 64 << 10));
    } else {
        snprintf(out->why, sizeof out->why, "%.60s: %.130s", err.msg, err.detail);
    }
    wr_fetch_reply_free(&reply);
}

int wr_webhook_transport_open(wr_webhook_transport *out, const atomic_bool *cancel, wr_err *err)
{
    carrier *c = wr_calloc(1, sizeof *c);
    if (!c) return wr_err_nomem(err);
    int rc = wr_fetch_open(&c->fetch, err);
    if (rc < 0) {
        wr_free(c);
        return rc;
    }
    c->cancel = cancel;
    *out = (wr_webhook_transport){.send = send_by_fetch, .ctx = c};
    return 0;
}

void wr_webhook_transport_close(wr_webhook_transport *t)
{
    carrier *c = t->ctx;
    if (!c) return;
    wr_fetch_close(c->fetch);
    wr_free(c);
    t->ctx = NULL;
}
