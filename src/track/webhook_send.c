/* SPDX-License-Identifier: Apache-2.0 */
/* webhook_send.c - the outbox on its way out: claim a row, send, and delete it or come back later. */
#include <stdio.h>

#include "base/hash.h"
#include "base/num.h"
#include "base/os.h"
#include "codec/base64.h"
#include "track/webhook_inside.h"

enum {
    LEASE_MS = 60000, /* a row that is being sent is nobody else's for so long; more than the time-out */
    TIMEOUT_MS = 30000,
    TEST_TIMEOUT_MS = 10000,
    PATIENCE_MS = 3600000, /* between two attempts at most */
    REFUSED_MAX = 5,       /* attempts that were answered 4xx */
    ATTEMPTS_MAX = 30,
    KEPT_MS = 7 * 86400000,
    IDLE_MS = 3600000,
    ROWS_MAX = 64,
};

typedef struct {
    int64_t id, attempts, next_ms;
    wr_str delivery, body, url, secret;
} message;

/* ---- one request ---- */

void wr_webhook_sign(wr_buf *out, wr_str secret, wr_str id, wr_str timestamp, wr_str body)
{
    WR_AUTOBUF wr_buf signed_text = {0};
    unsigned char mac[WR_SHA256_SIZE];
    wr_buf_slice(&signed_text, id);
    wr_buf_char(&signed_text, '.');
    wr_buf_slice(&signed_text, timestamp);
    wr_buf_char(&signed_text, '.');
    wr_buf_slice(&signed_text, body);
    if (signed_text.failed) {
        out->failed = true;
        return;
    }
    wr_hmac_sha256(mac, secret, wr_buf_view(&signed_text));
    wr_buf_str(out, "v1,");
    wr_base64_encode(out, (wr_str){(const char *)mac, sizeof mac}, false);
}

static int send_now(wr_webhook_answer *out, wr_track *t, const message *m, const wr_webhook_transport *transport,
                    int timeout_ms, wr_err *err)
{
    WR_AUTOBUF wr_buf id = {0}, time = {0}, signature = {0};
    char stamp[24];
    unsigned allow = t->webhook_allow;
    snprintf(stamp, sizeof stamp, "%lld", (long long)(wr_track_now_ms() / 1000));
    wr_buf_printf(&id, "X-MLflow-Delivery-Id: %.*s", WR_STR_FMT(m->delivery));
    wr_buf_printf(&time, "X-MLflow-Timestamp: %s", stamp);
    wr_buf_str(&signature, "X-MLflow-Signature: ");
    if (m->secret.n) wr_webhook_sign(&signature, m->secret, m->delivery, wr_str_of(stamp), m->body);
    if (id.failed || time.failed || signature.failed) return wr_err_nomem(err);
    const char *headers[] = {"Content-Type: application/json", wr_buf_cstr(&id), wr_buf_cstr(&time),
                             wr_buf_cstr(&signature)};
    wr_webhook_request r = {.url = m->url,
                            .body = m->body,
                            .headers = headers,
                            .nheaders = m->secret.n ? 4 : 3,
                            .https_only = !(allow & WR_WEBHOOK_HTTP),
                            .public_only = !(allow & WR_WEBHOOK_PRIVATE),
                            .timeout_ms = timeout_ms};
    transport->send(transport->ctx, &r, out);
    return 0;
}

/* ---- the outbox ---- */

/* The oldest row of each active webhook, those that were given up left aside: the others wait behind it. */
#define HEADS                                                                                                          \
    "FROM webhook_outbox o JOIN webhooks w ON w.id = o.webhook WHERE w.status = 1 AND o.id = (SELECT min(x.id) FROM "  \
    "webhook_outbox x WHERE x.webhook = o.webhook AND x.next_ms IS NOT NULL) "

static int due(message *out, size_t *n, size_t max, wr_arena *a, wr_track *t, int64_t now, wr_err *err)
{
    wr_stmt *s;
    int rc;
    *n = 0;
    WR_TRY(wr_track_query(&s, t, err,
                          "SELECT o.id, o.attempts, o.next_ms, o.delivery, o.body, w.url, w.secret " HEADS
                          "AND o.next_ms <= ? ORDER BY o.next_ms, o.id LIMIT ?",
                          "ii", now, (int64_t)max));
    while ((rc = wr_step(s, err)) > 0 && *n < max) {
        message m = {.id = wr_stmt_i64(s, 0),
                     .attempts = wr_stmt_i64(s, 1),
                     .next_ms = wr_stmt_i64(s, 2),
                     .delivery = wr_arena_str(a, wr_stmt_str(s, 3)),
                     .body = wr_arena_str(a, wr_stmt_str(s, 4)),
                     .url = wr_arena_str(a, wr_stmt_str(s, 5))};
        m.secret = wr_stmt_text(a, s, 6);
        out[(*n)++] = m;
    }
    wr_stmt_done(s);
    return rc < 0 ? rc : wr_arena_failed(a) ? wr_err_nomem(err) : 0;
}

typedef struct {
    const message *m;
    const wr_webhook_answer *answer;
    int64_t now;
    bool mine; /* nobody else took it */
} step;

static int claim(wr_track *t, void *arg, wr_err *err)
{
    step *s = arg;
    int rc =
        wr_track_exec(t, err,
                      "UPDATE webhook_outbox SET attempts = attempts + 1, next_ms = ? WHERE id = ? AND next_ms = ? "
                      "RETURNING 1",
                      "iii", s->now + LEASE_MS, s->m->id, s->m->next_ms);
    s->mine = rc > 0;
    return rc < 0 ? rc : 0;
}

/* 1 s, 2 s, 4 s, ... an hour, and up to a half more so that many receivers' retries spread. */
static int64_t patience(int64_t attempts, int64_t asked)
{
    uint32_t random;
    wr_os_random(&random, sizeof random);
    int64_t wait = attempts > 12 ? PATIENCE_MS : 1000LL << (attempts > 1 ? attempts - 1 : 0);
    if (wait > PATIENCE_MS) wait = PATIENCE_MS;
    wait += wait * (random % 512) / 1024;
    if (asked > PATIENCE_MS) asked = PATIENCE_MS;
    return asked > wait ? asked : wait;
}

static bool refused(int status) { return status >= 400 && status < 500 && status != 408 && status != 429; }

static int later(wr_track *t, const step *s, wr_err *err)
{
    int64_t attempts = s->m->attempts + 1;
    const wr_webhook_answer *r = s->answer;
    char why[240];
    if (r->status) snprintf(why, sizeof why, "answered %d", r->status);
    else snprintf(why, sizeof why, "%s", r->why);
    bool give_up = attempts >= ATTEMPTS_MAX || (refused(r->status) && attempts >= REFUSED_MAX);
    int rc = give_up ? wr_track_exec(t, err, "UPDATE webhook_outbox SET next_ms = NULL, error = ? WHERE id = ?", "si",
                                     wr_str_of(why), s->m->id)
                     : wr_track_exec(t, err, "UPDATE webhook_outbox SET next_ms = ?, error = ? WHERE id = ?", "isi",
                                     s->now + patience(attempts, r->retry_ms), wr_str_of(why), s->m->id);
    return rc < 0 ? rc : 0;
}

static int settle(wr_track *t, void *arg, wr_err *err)
{
    step *s = arg;
    if (s->answer->status < 200 || s->answer->status > 299) return later(t, s, err);
    int rc = wr_track_exec(t, err, "DELETE FROM webhook_outbox WHERE id = ?", "i", s->m->id);
    return rc < 0 ? rc : 0;
}

/* 1 = delivered, 0 = later, or somebody else's. */
static int deliver(wr_track *t, const message *m, const wr_webhook_transport *transport, wr_err *err)
{
    wr_webhook_answer answer = {0};
    step s = {.m = m, .answer = &answer, .now = wr_track_now_ms()};
    wr_buf_init(&answer.body, 64 << 10);
    WR_TRY(wr_track_write(t, claim, &s, err));
    if (!s.mine) return 0;
    int rc = send_now(&answer, t, m, transport, TIMEOUT_MS, err);
    s.now = wr_track_now_ms();
    if (rc == 0) rc = wr_track_write(t, settle, &s, err);
    wr_buf_fini(&answer.body);
    return rc < 0 ? rc : answer.status >= 200 && answer.status <= 299;
}

static int sweep(wr_track *t, void *arg, wr_err *err)
{
    int rc = wr_track_exec(t, err, "DELETE FROM webhook_outbox WHERE created_ms < ?", "i", *(int64_t *)arg);
    return rc < 0 ? rc : 0;
}

int wr_webhook_deliver(int64_t *next_ms, wr_track *t, const wr_webhook_transport *transport, int max, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    message rows[ROWS_MAX];
    size_t n;
    int delivered = 0;
    int64_t now = wr_track_now_ms(), old = now - KEPT_MS, aged;
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_track_number(&aged, 0, t, err, "SELECT 1 FROM webhook_outbox WHERE created_ms < ? LIMIT 1", "i", old));
    if (aged) WR_TRY(wr_track_write(t, sweep, &old, err));
    WR_TRY(due(rows, &n, max > ROWS_MAX ? ROWS_MAX : (size_t)max, a, t, now, err));
    for (size_t i = 0; i < n; i++) {
        int rc = deliver(t, &rows[i], transport, err);
        if (rc < 0) return rc;
        delivered += rc;
    }
    WR_TRY(wr_track_number(next_ms, now + IDLE_MS, t, err, "SELECT min(o.next_ms) " HEADS, ""));
    return delivered;
}

/* ---- trying ---- */

int wr_webhook_test(wr_webhook_answer *out, wr_arena *a, wr_track *t, wr_str uuid, int event,
                    const wr_webhook_transport *transport, wr_err *err)
{
    WR_AUTOBUF wr_buf body = {0};
    wr_webhook w;
    wr_stmt *s;
    char delivery[37];
    WR_TRY(wr_webhook_get(&w, a, t, uuid, err));
    if (event < 0) event = w.nevents ? w.events[0] : 0;
    wr_track_item tag = {WR_STR("example_key"), WR_STR("example_value")};
    bool prompt = wr_str_starts(wr_str_of(wr_webhook_event_entity(event)), "prompt");
    wr_webhook_data d = {.name = prompt ? WR_STR("example_prompt") : WR_STR("example_model"),
                         .version = WR_STR("1"),
                         .key = tag.key,
                         .value = tag.value,
                         .alias = WR_STR("example_alias"),
                         .source = WR_STR("models:/123"),
                         .run_id = WR_STR("abcd1234abcd5678"),
                         .template = WR_STR("Hello {{name}}!"),
                         .description = prompt ? WR_STR("An example prompt") : WR_STR("An example model"),
                         .tags = &tag,
                         .ntags = 1};
    wr_webhook_message(&body, event, &d, wr_clock_wall_us());
    wr_webhook_new_id(delivery);
    message m = {.delivery = wr_str_of(delivery), .body = wr_buf_view(&body), .url = w.url};
    WR_TRY(wr_track_query(&s, t, err, "SELECT secret FROM webhooks WHERE id = ?", "i", w.id));
    if (wr_step(s, err) > 0) m.secret = wr_stmt_text(a, s, 0);
    wr_stmt_done(s);
    if (body.failed || wr_arena_failed(a)) return wr_err_nomem(err);
    return send_now(out, t, &m, transport, TEST_TIMEOUT_MS, err);
}
