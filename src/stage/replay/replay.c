/* SPDX-License-Identifier: Apache-2.0 */
/* replay.c - the clock and the connections of a replay. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "calc/metrics.h"
#include "codec/json.h"
#include "core/endpoint.h"
#include "core/event.h"
#include "io/http_client.h"
#include "stage/replay/rows.h"

enum {
    TIMEOUT_MS = 60000,
    MOST_CONNECTIONS = 64,
    PER_TURN = 32 /* requests in flight on a connection */,
    BATCH = 10000,
    VERSIONS = 64,
    GIVE_UP = 50
};
static const int64_t MINUTE_US = (int64_t)60 * WR_US;

typedef struct {
    const wr_replay_opt *opt;
    wr_arena *arena;
    wr_replay_report *out;
    wr_replay_rows rows;
    wr_http_client *conn[MOST_CONNECTIONS];
    int nconn;
    unsigned opened[MOST_CONNECTIONS]; /* how often it broke: answers of another life of it never come */
    wr_http_client *watch;             /* asks for jobs */
    wr_buf body;
    char infer[600], labels[600], events[600]; /* targets */
    size_t next_row, next_label, next_event;
    int in_row; /* failed connections in a row */
    float *latency_us;
    size_t nlatency;
    double *score;    /* by row */
    uint8_t *version; /* by row: 1 + index into out->versions, 0 = no answer */
    double event_us;  /* the clock: event time that may be sent */
    double rate;      /* event us a wall us; infinite = as fast as it goes */
    int64_t clock_ns, polled_ns;
    bool busy;
} job;

/* ---- requests ---- */

static void failed(job *j, const char *why)
{
    j->out->failed++;
    if (!j->out->failure[0]) snprintf(j->out->failure, sizeof j->out->failure, "%s", why);
}

/* Opened anew when it broke. */
static wr_http_client *connection(job *j, int i, wr_err *err)
{
    if (!j->conn[i] && wr_http_client_open(&j->conn[i], j->opt->url, TIMEOUT_MS, err) < 0) j->conn[i] = NULL;
    return j->conn[i];
}

static void broken(job *j, int i, const wr_err *why)
{
    failed(j, why->msg);
    j->in_row++;
    wr_http_client_close(j->conn[i]);
    j->conn[i] = NULL;
    j->opened[i]++;
}

/* Queues a request on connection i; false (and counted) when that failed. */
static bool post(job *j, int i, const char *target, wr_str body)
{
    wr_err err = {0};
    j->out->requests++;
    wr_http_client *c = connection(j, i, &err);
    if (c && wr_http_client_send(c, "POST", target, "application/json", body, &err) == 0) return true;
    broken(j, i, &err);
    return false;
}

/* Next answer of connection i; false (and counted) when it is none or not 200. */
static bool answered(job *j, int i, wr_str *reply)
{
    wr_err err = {0};
    int status = 0;
    if (!j->conn[i]) {
        failed(j, "the connection broke");
        return false;
    }
    if (wr_http_client_recv(j->conn[i], &status, reply, &err) < 0) {
        broken(j, i, &err);
        return false;
    }
    j->in_row = 0;
    if (status == 200) return true;
    snprintf(err.msg, sizeof err.msg, "status %d: %.*s", status, (int)(reply->n < 200 ? reply->n : 200), reply->p);
    failed(j, err.msg);
    return false;
}

/* What was queued goes out; a broken connection shows when its answers are awaited. */
static void flush(job *j, int i)
{
    if (j->conn[i]) (void)wr_http_client_flush(j->conn[i], NULL);
}

static int still_there(job *j, wr_err *err)
{
    if (j->in_row < GIVE_UP) return 0;
    wr_err_set(err, WEIR_EUNAVAILABLE, "the server at %s does not answer any more", j->opt->url);
    return wr_err_detail(err, WEIR_EUNAVAILABLE, "%llu of %llu requests failed; the first: %s",
                         (unsigned long long)j->out->failed, (unsigned long long)j->out->requests, j->out->failure);
}

/* ---- labels and events ---- */

/* One batch each, in one write, then both answers. */
static void send_batches(job *j, size_t event_end, size_t label_end)
{
    wr_str reply;
    bool events = false, labels = false;
    unsigned life = 0;
    if (event_end > j->next_event) {
        wr_buf_clear(&j->body);
        wr_replay_put_events(&j->body, &j->rows, j->next_event, event_end);
        events = post(j, 0, j->events, wr_buf_view(&j->body));
        life = j->opened[0];
    }
    if (label_end > j->next_label) {
        wr_buf_clear(&j->body);
        wr_replay_put_labels(&j->body, &j->rows, j->opt->endpoint, j->next_label, label_end);
        labels = post(j, 0, j->labels, wr_buf_view(&j->body));
    }
    flush(j, 0);
    if (events && life != j->opened[0]) failed(j, "the connection broke");
    else if (events && answered(j, 0, &reply)) j->out->events += event_end - j->next_event;
    if (labels && answered(j, 0, &reply)) j->out->labels += label_end - j->next_label;
    j->next_event = event_end;
    j->next_label = label_end;
}

static int feed(job *j, int64_t before_us, wr_err *err)
{
    const wr_replay_rows *r = &j->rows;
    size_t nevents = r->events ? r->events->nrows : 0;
    for (;;) {
        size_t e = j->next_event, l = j->next_label;
        while (e < nevents && e - j->next_event < BATCH && r->event_us[e] < before_us) e++;
        while (l < r->nlabels && l - j->next_label < BATCH && r->labels[l].due_us < before_us) l++;
        if (e == j->next_event && l == j->next_label) return 0;
        send_batches(j, e, l);
        WR_TRY(still_there(j, err));
    }
}

/* ---- predictions ---- */

static void note_answer(job *j, size_t row, wr_str version, double score)
{
    wr_replay_report *o = j->out;
    int64_t t = j->rows.time_us[row];
    size_t k = 0;
    while (k < o->nversions && !wr_str_is(version, o->versions[k].version)) k++;
    if (k == o->nversions) {
        if (k == VERSIONS) return;
        o->versions[o->nversions++] = (wr_replay_version){.auc = NAN, .first_us = t};
        snprintf(o->versions[k].version, sizeof o->versions[k].version, "%.*s", WR_STR_FMT(version));
    }
    o->versions[k].predictions++;
    o->versions[k].last_us = t;
    j->score[row] = score;
    j->version[row] = (uint8_t)(k + 1);
}

/* {"model_version": "3", "outputs": [{"name": "probability", "data": [0.2]}, ...]} */
static bool read_answer(job *j, size_t row, wr_str reply)
{
    WR_AUTOJSON wr_json a = {0};
    yyjson_val *outputs, *v, *version;
    size_t i, max;
    if (wr_json_parse(&a, reply, "answer", NULL) < 0) return false;
    version = yyjson_obj_get(a.root, "model_version");
    outputs = yyjson_obj_get(a.root, "outputs");
    yyjson_arr_foreach(outputs, i, max, v)
    {
        yyjson_val *score = yyjson_arr_get_first(yyjson_obj_get(v, "data"));
        if (!yyjson_equals_str(yyjson_obj_get(v, "name"), "probability") || !yyjson_is_num(score)) continue;
        note_answer(j, row, (wr_str){yyjson_is_str(version) ? yyjson_get_str(version) : "", yyjson_get_len(version)},
                    yyjson_get_num(score));
        return true;
    }
    return false;
}

static void take_answer(job *j, int conn, size_t row, int64_t sent_ns)
{
    wr_str reply;
    if (!answered(j, conn, &reply)) return;
    if (!read_answer(j, row, reply)) {
        failed(j, "an answer has no probability");
        return;
    }
    j->latency_us[j->nlatency++] = (float)(wr_clock_mono_ns() - sent_ns) / 1e3f;
    j->out->predictions++;
}

/* Rows [from, to), at most PER_TURN a connection: all are sent, then all are awaited. */
static void predict(job *j, size_t from, size_t to)
{
    size_t n = to - from, width = (size_t)j->nconn;
    bool sent[MOST_CONNECTIONS * PER_TURN];
    unsigned life[MOST_CONNECTIONS * PER_TURN];
    int64_t at[MOST_CONNECTIONS];
    for (size_t k = 0; k < n; k++) {
        wr_buf_clear(&j->body);
        wr_replay_put_prediction(&j->body, &j->rows, j->opt->endpoint, from + k);
        sent[k] = post(j, (int)(k % width), j->infer, wr_buf_view(&j->body));
        life[k] = j->opened[k % width];
    }
    for (size_t c = 0; c < width && c < n; c++) {
        at[c] = wr_clock_mono_ns();
        flush(j, (int)c);
    }
    for (size_t k = 0; k < n; k++) {
        if (!sent[k]) continue;
        if (life[k] == j->opened[k % width]) take_answer(j, (int)(k % width), from + k, at[k % width]);
        else failed(j, "the connection broke");
    }
}

static int predict_minute(job *j, int64_t before_us, wr_err *err)
{
    const wr_replay_rows *r = &j->rows;
    size_t most = (size_t)j->nconn * PER_TURN;
    while (j->next_row < r->rows->nrows && r->time_us[j->next_row] < before_us) {
        size_t to = j->next_row;
        while (to < r->rows->nrows && to - j->next_row < most && r->time_us[to] < before_us) to++;
        predict(j, j->next_row, to);
        j->next_row = to;
        WR_TRY(still_there(j, err));
    }
    return 0;
}

/* ---- the clock ---- */

static void poll_jobs(job *j, int64_t now)
{
    wr_str reply;
    int status;
    if (!(j->opt->slow > 1) || now - j->polled_ns < 1000000000) return;
    j->polled_ns = now;
    j->busy = false;
    if (!j->watch && wr_http_client_open(&j->watch, j->opt->url, TIMEOUT_MS, NULL) < 0) j->watch = NULL;
    if (!j->watch) return;
    WR_AUTOJSON wr_json a = {0};
    if (wr_http_client_call(j->watch, "GET", "/api/weir/1/jobs", (wr_str){"", 0}, &status, &reply, NULL) < 0) {
        wr_http_client_close(j->watch);
        j->watch = NULL;
    } else if (status == 200 && wr_json_parse(&a, reply, "jobs", NULL) == 0) {
        j->busy = yyjson_is_true(yyjson_obj_get(a.root, "busy"));
    }
}

/* Wall time that passed becomes event time, at the rate of now. */
static double tick(job *j)
{
    int64_t now = wr_clock_mono_ns();
    double wall_us = (double)(now - j->clock_ns) / 1e3, rate = j->busy ? j->rate / j->opt->slow : j->rate;
    if (j->busy) j->out->busy_s += wall_us / 1e6;
    j->event_us += wall_us * rate;
    j->clock_ns = now;
    poll_jobs(j, now);
    return rate;
}

static void wait_for(job *j, int64_t event_us)
{
    if (isinf(j->rate)) return;
    for (double rate = tick(j); j->event_us < (double)event_us; rate = tick(j)) {
        double ns = ((double)event_us - j->event_us) / rate * 1e3;
        if (ns > 250e6) ns = 250e6; /* look at the jobs now and then */
        struct timespec nap = {0, (long)ns + 1000};
        nanosleep(&nap, NULL);
    }
}

/* The next minute in which something is due, INT64_MAX when nothing is left. */
static int64_t next_minute(const job *j)
{
    const wr_replay_rows *r = &j->rows;
    int64_t at = INT64_MAX;
    if (j->next_row < r->rows->nrows) at = r->time_us[j->next_row];
    if (j->next_label < r->nlabels && r->labels[j->next_label].due_us < at) at = r->labels[j->next_label].due_us;
    if (r->events && j->next_event < r->events->nrows && r->event_us[j->next_event] < at)
        at = r->event_us[j->next_event];
    if (at == INT64_MAX) return at;
    int64_t into = at % MINUTE_US;
    return at - (into < 0 ? into + MINUTE_US : into);
}

static void show(const job *j, int64_t minute)
{
    const wr_replay_opt *o = j->opt;
    if (o->progress) o->progress(o->ctx, (double)(minute - o->from_us) / (double)(o->until_us - o->from_us), minute);
}

static int play(job *j, wr_err *err)
{
    j->clock_ns = wr_clock_mono_ns();
    j->event_us = (double)j->opt->from_us;
    for (int64_t m = next_minute(j); m < j->opt->until_us; m = next_minute(j)) {
        show(j, m);
        wait_for(j, m);
        WR_TRY(feed(j, m + MINUTE_US < j->opt->until_us ? m + MINUTE_US : j->opt->until_us, err));
        WR_TRY(predict_minute(j, m + MINUTE_US, err));
    }
    return 0;
}

/* ---- the report ---- */

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static int measure_version(job *j, size_t k, wr_err *err)
{
    wr_replay_version *v = &j->out->versions[k];
    size_t n = 0;
    uint8_t *y = wr_arena_alloc(j->arena, j->next_label + 1);
    double *p = wr_arena_alloc(j->arena, (j->next_label + 1) * sizeof *p);
    if (!y || !p) return wr_err_nomem(err);
    for (size_t i = 0; i < j->next_label; i++) {
        uint32_t row = j->rows.labels[i].row;
        if (j->version[row] != k + 1) continue;
        y[n] = j->rows.label[row] > 0.5;
        p[n++] = j->score[row];
    }
    v->labelled = n;
    return n ? wr_metric_auc(&v->auc, y, p, n, err) : 0;
}

static int measure(job *j, double wall_s, wr_err *err)
{
    wr_replay_report *o = j->out;
    o->wall_s = wall_s;
    o->per_s = wall_s > 0 ? (double)o->requests / wall_s : 0;
    qsort(j->latency_us, j->nlatency, sizeof *j->latency_us, by_value);
    if (j->nlatency) {
        o->p50_us = (double)j->latency_us[j->nlatency / 2];
        o->p99_us = (double)j->latency_us[j->nlatency - 1 - j->nlatency / 100];
    }
    for (size_t k = 0; k < o->nversions; k++) WR_TRY(measure_version(j, k, err));
    return 0;
}

static void record(const job *j, wr_project *p, wr_run *run)
{
    const wr_replay_report *o = j->out;
    char subject[300], payload[300];
    wr_run_metric(run, "predictions", (double)o->predictions);
    wr_run_metric(run, "labels", (double)o->labels);
    wr_run_metric(run, "events", (double)o->events);
    wr_run_metric(run, "failed", (double)o->failed);
    wr_run_metric(run, "requests_per_second", o->per_s);
    wr_run_metric(run, "latency_p50_us", o->p50_us);
    wr_run_metric(run, "latency_p99_us", o->p99_us);
    wr_run_units(run, (double)o->requests, "requests");
    snprintf(subject, sizeof subject, "endpoint:%s", j->opt->endpoint);
    snprintf(payload, sizeof payload, "{\"predictions\":%llu,\"labels\":%llu,\"events\":%llu,\"failed\":%llu}",
             (unsigned long long)o->predictions, (unsigned long long)o->labels, (unsigned long long)o->events,
             (unsigned long long)o->failed);
    (void)wr_event_add(p, "replayed", subject, payload, NULL, NULL);
}

/* ---- life ---- */

static int prepare(job *j, wr_err *err)
{
    const wr_replay_opt *o = j->opt;
    size_t n = j->rows.rows->nrows;
    j->nconn = o->connections > 0 ? o->connections : 4;
    if (j->nconn > MOST_CONNECTIONS) return wr_err_set(err, WEIR_EINVAL, "more than %d connections", MOST_CONNECTIONS);
    j->rate = o->seconds > 0 ? (double)(o->until_us - o->from_us) / (o->seconds * 1e6)
              : o->speed > 0 ? o->speed
                             : (double)INFINITY;
    snprintf(j->infer, sizeof j->infer, "/v2/models/%s/infer", o->endpoint);
    snprintf(j->labels, sizeof j->labels, "/api/weir/1/endpoints/%s/labels", o->endpoint);
    snprintf(j->events, sizeof j->events, "/api/weir/1/views/%s/events", j->rows.view->name);
    j->latency_us = wr_arena_alloc(j->arena, (n + 1) * sizeof *j->latency_us);
    j->score = wr_arena_calloc(j->arena, n + 1, sizeof *j->score);
    j->version = wr_arena_calloc(j->arena, n + 1, 1);
    j->out->versions = wr_arena_calloc(j->arena, VERSIONS, sizeof *j->out->versions);
    return wr_arena_failed(j->arena) ? wr_err_nomem(err) : 0;
}

/* A server that is not there, or does not know the endpoint, is told at once. */
static int check_server(job *j, wr_err *err)
{
    wr_str reply;
    int status = 0;
    char target[600];
    wr_http_client *c = connection(j, 0, err);
    snprintf(target, sizeof target, "/v2/models/%s/ready", j->opt->endpoint);
    if (!c || wr_http_client_call(c, "GET", target, (wr_str){"", 0}, &status, &reply, err) < 0) {
        wr_err_set(err, WEIR_EUNAVAILABLE, "no server answers at %s", j->opt->url);
        return wr_err_hint(err, WEIR_EUNAVAILABLE, "weir up starts one; --url says where it is");
    }
    if (status == 200) return 0;
    wr_err_set(err, WEIR_EUNAVAILABLE, "endpoint \"%s\" is not ready at %s", j->opt->endpoint, j->opt->url);
    return wr_err_detail(err, WEIR_EUNAVAILABLE, "%.*s", (int)(reply.n < 500 ? reply.n : 500), reply.p);
}

static int run_job(job *j, wr_project *p, wr_run *run, wr_err *err)
{
    wr_endpoint e;
    WR_TRY(wr_endpoint_find(&e, j->arena, p, j->opt->endpoint, err));
    WR_TRY(check_server(j, err));
    WR_TRY(wr_replay_rows_read(&j->rows, j->arena, p, j->opt, run, err));
    WR_TRY(prepare(j, err));
    int64_t start = wr_clock_mono_ns();
    int rc = play(j, err);
    if (rc == 0) rc = measure(j, (double)(wr_clock_mono_ns() - start) / 1e9, err);
    record(j, p, run);
    return rc;
}

int wr_replay(wr_replay_report *out, wr_arena *a, wr_project *p, const wr_replay_opt *opt, wr_run *run, wr_err *err)
{
    job *j = wr_arena_calloc(a, 1, sizeof *j);
    memset(out, 0, sizeof *out);
    if (!j) return wr_err_nomem(err);
    j->opt = opt;
    j->arena = a;
    j->out = out;
    wr_buf_init(&j->body, 0);
    int rc = run_job(j, p, run, err);
    for (int i = 0; i < MOST_CONNECTIONS; i++) wr_http_client_close(j->conn[i]);
    wr_http_client_close(j->watch);
    wr_buf_fini(&j->body);
    wr_replay_rows_fini(&j->rows);
    return rc;
}
