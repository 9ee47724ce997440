/* SPDX-License-Identifier: Apache-2.0 */
/* page.c - the status page at "/". Made on a reader's thread: rollouts are judged and events are read under locks. */
#include "base/clock.h"
#include "base/hash.h"
#include "codec/base64.h"
#include "server/page.h"

/* In the request's arena until it is finished. */
typedef struct {
    wr_server *server;
    wr_server_loop *loop;
    wr_http_req *req;
    wr_auth_who *who; /* to be given back */
    wr_arena *arena;
    int64_t start;
} job;

static void put_head(wr_page *p)
{
    wr_buf *b = p->b;
    wr_buf_str(b, "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport "
                  "content=\"width=device-width, initial-scale=1\"><title>Weir</title>"
                  "<noscript><meta http-equiv=refresh content=10></noscript><link rel=icon href=\"data:,\"><style>");
    wr_buf_str(b, wr_page_style);
    wr_buf_str(b,
               "</style></head><body><header><div class=top><h1>Weir</h1><label hidden class=soft><input type=checkbox "
               "id=live checked> up to date</label></div><p class=soft>" WEIR_VERSION " &middot; since ");
    wr_page_time(b, p->server->started_us);
    wr_buf_str(b, " UTC &middot; ");
    wr_page_cstr(b, wr_project_root(p->server->project));
    wr_buf_str(b, "</p><p id=said role=status class=no></p></header><main>\n");
}

static void put_tail(wr_page *p)
{
    wr_buf_str(p->b,
               "</main><footer><h2>Addresses</h2><p><code>POST /v2/models/NAME/infer</code> (Open Inference Protocol) "
               "&middot; <a href=/metrics>/metrics</a> &middot; "
               "<a href=/api/weir/1/endpoints>endpoints</a> &middot; <a href=/api/weir/1/jobs>jobs</a> "
               "&middot; <a href=/api/weir/1/events>events</a></p></footer><script>");
    wr_buf_str(p->b, wr_page_script);
    wr_buf_str(p->b, "</script></body></html>\n");
}

static int put_page(wr_page *p, wr_err *err)
{
    put_head(p);
    WR_TRY(wr_page_models(p, err));
    wr_page_rollouts(p);
    wr_page_jobs(p);
    WR_TRY(wr_page_events(p, err));
    put_tail(p);
    return p->b->failed ? wr_err_nomem(err) : 0;
}

/* Of scripts only ours runs: it is named by its hash. */
static const char *headers(wr_arena *a)
{
    unsigned char hash[WR_SHA256_SIZE];
    wr_sha256 h;
    WR_AUTOBUF wr_buf text = {0};
    wr_sha256_init(&h);
    wr_sha256_add(&h, wr_page_script, strlen(wr_page_script));
    wr_sha256_raw(&h, hash);
    wr_base64_encode(&text, (wr_str){(const char *)hash, sizeof hash}, false);
    return wr_arena_printf(a,
                           "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
                           "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
                           "script-src 'sha256-%s'\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n",
                           wr_buf_cstr(&text));
}

static void put_error(wr_buf *b, const wr_err *err)
{
    wr_buf_clear(b);
    wr_buf_str(b, "<!doctype html><title>Weir</title><p>");
    wr_page_cstr(b, err->msg);
    wr_buf_char(b, '\n');
}

static void run(void *ctx, size_t index)
{
    job *j = ctx;
    WR_AUTOBUF wr_buf body = {0};
    wr_err err = {0};
    (void)index;
    wr_page p = {.server = j->server,
                 .access = j->who ? &j->who->access : NULL,
                 .arena = j->arena,
                 .b = &body,
                 .now_us = wr_clock_wall_us()};
    int rc = put_page(&p, &err);
    if (rc < 0) put_error(&body, &err);
    wr_http_reply_opt opt = {
        .status = rc < 0 ? wr_err_http(rc) : 200, .type = "text/html; charset=utf-8", .headers = headers(j->arena)};
    wr_server_count(j->loop, WR_KIND_OTHER, opt.status, wr_clock_mono_ns() - j->start);
    if (j->who) wr_auth_done(j->who);
    wr_http_finish(j->req, &opt, wr_buf_view(&body)); /* the job goes with it */
}

void wr_handle_page(wr_call *c)
{
    wr_err err = {0};
    job *j = wr_arena_calloc(c->arena, 1, sizeof *j);
    if (!j) {
        wr_err_nomem(&err);
        wr_call_err(c, &err);
        return;
    }
    wr_call_defer(c);
    *j = (job){c->server, c->loop, c->req, c->who, c->arena, wr_clock_mono_ns()};
    c->who = NULL;
    if (wr_pool_post(c->server->readers, run, j, 0) == 0) return;
    if (j->who) wr_auth_done(j->who);
    wr_http_finish(c->req, &(wr_http_reply_opt){.status = 503}, WR_STR("out of memory\n"));
}
