/* SPDX-License-Identifier: Apache-2.0 */
/* sink.c - pairs out of the queue, bodies, posts, patience. */
#include "stage/deploy/sink.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "codec/json.h"
#include "io/fetch.h"

enum {
    TIMEOUT_MS = 10000,
    CONNECT_MS = 3000,
    FIRST_PAUSE_MS = 100,
    LONGEST_PAUSE_MS = 3200,
    STEP_MS = 20,
    LAST_MS = 2000,
    HEADERS = 16
};

struct wr_sink {
    const char *endpoint;
    const wr_endpoint_sink *spec;
    wr_queue *queue;
    atomic_bool stopping;
    atomic_uint_fast64_t asked, sent, handled; /* handled: taken or lost by the thread */
    pthread_mutex_t lock;                      /* a leaf; guards error */
    char error[200];
    /* the thread's: */
    wr_fetch *fetch;
    bool failing;
};

/* ---- bodies ---- */

static void put_tensors(wr_jsonw *w, wr_buf *b, const char *key, const wr_tensor *t, size_t n)
{
    wr_jsonw_key(w, key);
    wr_jsonw_arr(w);
    for (size_t i = 0; i < n; i++) {
        WR_AUTOBUF wr_buf data = {0};
        wr_jsonw_obj(w);
        wr_jsonw_kslice(w, "name", t[i].name);
        wr_jsonw_kstr(w, "datatype", wr_tensor_type_name(t[i].type));
        wr_jsonw_key(w, "shape");
        wr_jsonw_arr(w);
        for (int d = 0; d < t[i].ndims; d++) wr_jsonw_i64(w, t[i].shape[d]);
        wr_jsonw_end(w);
        wr_tensor_write_json(&data, &t[i]);
        wr_jsonw_key(w, "data");
        wr_jsonw_raw(w, wr_buf_view(&data));
        wr_jsonw_end(w);
        b->failed |= data.failed;
    }
    wr_jsonw_end(w);
}

void wr_sink_body(wr_buf *out, const wr_predlog_tensors *r, bool response)
{
    wr_jsonw w;
    char version[24];
    wr_jsonw_init(&w, out, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_kslice(&w, "id", r->id);
    if (response) {
        wr_jsonw_kslice(&w, "model_name", r->endpoint);
        snprintf(version, sizeof version, "%lld", (long long)r->version);
        wr_jsonw_kstr(&w, "model_version", version);
    }
    if (response) put_tensors(&w, out, "outputs", r->out, r->nout);
    else put_tensors(&w, out, "inputs", r->in, r->nin);
    wr_jsonw_end(&w);
}

/* ---- posting ---- */

static void note(wr_sink *s, const char *why)
{
    if (*why && !s->failing) wr_warn("sink %s of endpoint \"%s\": %s", s->spec->url, s->endpoint, why);
    s->failing = *why != 0;
    pthread_mutex_lock(&s->lock);
    snprintf(s->error, sizeof s->error, "%.199s", why);
    pthread_mutex_unlock(&s->lock);
}

static void pause_for(wr_sink *s, int ms)
{
    for (; ms > 0 && !atomic_load(&s->stopping); ms -= STEP_MS) {
        static const struct timespec step = {0, STEP_MS * 1000000L};
        nanosleep(&step, NULL);
    }
}

/* 1 = taken, 0 = try again, -1 = never. */
static int post_once(wr_sink *s, const char *const *headers, size_t n, wr_str body)
{
    wr_err err = {0};
    wr_fetch_reply reply = {0};
    char why[200];
    int rc = s->fetch ? 0 : wr_fetch_open(&s->fetch, &err);
    wr_fetch_opt opt = {.method = "POST",
                        .url = s->spec->url,
                        .headers = headers,
                        .nheaders = n,
                        .body = body,
                        .max = 4096,
                        .timeout_ms = TIMEOUT_MS,
                        .connect_ms = CONNECT_MS,
                        .cancel = &s->stopping};
    if (rc == 0) rc = wr_fetch_run(&reply, s->fetch, &opt, &err);
    int status = reply.status;
    wr_fetch_reply_free(&reply);
    if (rc == 0 && status >= 200 && status < 300) {
        note(s, "");
        return 1;
    }
    if (rc < 0) snprintf(why, sizeof why, "%.199s", err.msg);
    else snprintf(why, sizeof why, "it answers with status %d", status);
    note(s, why);
    return rc < 0 || status == 429 || status >= 500 ? 0 : -1;
}

static bool post(wr_sink *s, const char *const *headers, size_t n, wr_str body)
{
    int pause = FIRST_PAUSE_MS;
    for (int tries = 0; tries < WR_SINK_TRIES; tries++) {
        int rc = post_once(s, headers, n, body);
        if (rc) return rc > 0;
        if (atomic_load(&s->stopping)) return false;
        pause_for(s, pause);
        pause = pause * 2 < LONGEST_PAUSE_MS ? pause * 2 : LONGEST_PAUSE_MS;
    }
    return false;
}

/* What stands in a header must not end it: control characters and what is beyond ASCII are written %XX, as CloudEvents
 * has it. */
static char *header(wr_arena *a, const char *name, wr_str value)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_buf_printf(&b, "%s: ", name);
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        if (c <= 0x20 || c >= 0x7f || c == '"' || c == '%') wr_buf_printf(&b, "%%%02X", c);
        else wr_buf_char(&b, (char)c);
    }
    return b.failed ? NULL : wr_arena_strndup(a, b.p, b.n);
}

static int send_side(wr_sink *s, wr_arena *a, const wr_predlog_tensors *r, bool response)
{
    WR_AUTOBUF wr_buf body = {0};
    char time[WR_TIME_TEXT], now[WR_TIME_TEXT];
    char *source = wr_arena_printf(a, "/v2/models/%s", s->endpoint);
    int64_t at = r->served_us - (response || !(r->took_s > 0) ? 0 : (int64_t)(r->took_s * 1e6));
    wr_time_format(time, at);
    wr_time_format(now, wr_clock_wall_us());
    wr_sink_body(&body, r, response);
    if (body.failed || !source) return WEIR_ENOMEM;
    const struct {
        const char *name;
        wr_str value;
    } all[] = {
        {"ce-specversion", WR_STR("1.0")},
        {"ce-id", r->id},
        {"ce-source", wr_str_of(s->spec->source ? s->spec->source : source)},
        {"ce-type", response ? WR_STR("org.kubeflow.serving.inference.response")
                             : WR_STR("org.kubeflow.serving.inference.request")},
        {"ce-time", wr_str_of(time)},
        {"ce-inferenceservicename", wr_str_of(s->endpoint)},
        {"ce-namespace", wr_str_of(s->spec->name_space)},
        {"ce-component", wr_str_of(s->spec->component)},
        {"ce-endpoint", r->arm.n ? r->arm : WR_STR("default")},
        {"ce-recordedtime", wr_str_of(now)},
    };
    const char *headers[HEADERS] = {"Content-Type: application/json"};
    size_t n = 1;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (!all[i].value.n) continue;
        headers[n] = header(a, all[i].name, all[i].value);
        if (!headers[n++]) return WEIR_ENOMEM;
    }
    return post(s, headers, n, wr_buf_view(&body)) ? 0 : WEIR_EIO;
}

static bool send_pair(wr_sink *s, wr_arena *a, wr_str record)
{
    wr_predlog_tensors r;
    wr_err err;
    if (wr_predlog_get_tensors(&r, a, record, &err) < 0) return false;
    if (s->spec->requests && send_side(s, a, &r, false) < 0) return false;
    if (s->spec->responses && send_side(s, a, &r, true) < 0) return false;
    atomic_fetch_add_explicit(&s->sent, 1, memory_order_relaxed);
    return true;
}

static void take(void *ctx, wr_str batch)
{
    wr_sink *s = ctx;
    wr_str record;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    while (wr_queue_next(&record, &batch)) {
        if (!a || atomic_load(&s->stopping) || !send_pair(s, a, record)) wr_queue_lose(s->queue, 1);
        atomic_fetch_add_explicit(&s->handled, 1, memory_order_relaxed);
        if (a) wr_arena_clear(a);
    }
}

/* ---- life ---- */

int wr_sink_open(wr_sink **out, const char *endpoint, const wr_endpoint_sink *spec, wr_err *err)
{
    wr_sink *s = wr_calloc(1, sizeof *s);
    if (!s) return wr_err_nomem(err);
    s->endpoint = endpoint;
    s->spec = spec;
    pthread_mutex_init(&s->lock, NULL);
    int rc = wr_queue_start(&s->queue, WR_SINK_BYTES, take, s, err);
    if (rc < 0) wr_sink_close(s);
    else *out = s;
    return rc;
}

/* What is on its way may go out, as long as the sink takes it. */
static void await_the_last(wr_sink *s)
{
    static const struct timespec step = {0, STEP_MS * 1000000L};
    wr_sink_status st;
    wr_queue_stats q;
    for (int ms = 0; ms < LAST_MS; ms += STEP_MS) {
        wr_queue_look(&q, s->queue);
        wr_sink_look(&st, s);
        if (st.error[0] || atomic_load_explicit(&s->handled, memory_order_relaxed) >= q.put) return;
        nanosleep(&step, NULL);
    }
}

void wr_sink_close(wr_sink *s)
{
    if (!s) return;
    if (s->queue) await_the_last(s);
    atomic_store(&s->stopping, true);
    wr_queue_stop(s->queue);
    wr_fetch_close(s->fetch);
    pthread_mutex_destroy(&s->lock);
    wr_free(s);
}

bool wr_sink_wants(wr_sink *s)
{
    double n = (double)atomic_fetch_add_explicit(&s->asked, 1, memory_order_relaxed), share = s->spec->sample;
    return (uint64_t)((n + 1) * share) != (uint64_t)(n * share);
}

void wr_sink_put(wr_sink *s, wr_str record) { (void)wr_queue_put(s->queue, record); }
void wr_sink_lose(wr_sink *s) { wr_queue_lose(s->queue, 1); }

void wr_sink_look(wr_sink_status *out, wr_sink *s)
{
    wr_queue_stats q;
    wr_queue_look(&q, s->queue);
    *out = (wr_sink_status){.endpoint = s->endpoint,
                            .url = s->spec->url,
                            .sent = atomic_load_explicit(&s->sent, memory_order_relaxed),
                            .dropped = q.dropped,
                            .waiting = q.waiting};
    pthread_mutex_lock(&s->lock);
    memcpy(out->error, s->error, sizeof out->error);
    pthread_mutex_unlock(&s->lock);
}
