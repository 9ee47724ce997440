/* SPDX-License-Identifier: Apache-2.0 */
/* sender.c - experiment, run, batches, end: each step repeats harmlessly. */
#include "client/sender.h"

#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "codec/json.h"

enum { READ = 1 << 20, METRICS = 1000, ITEMS = 100, MAGIC = 8, ID = 72 };

struct wr_sender {
    wr_spool *spool;
    wr_transport *transport;
    wr_json meta;
    wr_buf data, body, reply;
    char run[ID];
    bool made;
    wr_sender_counts counts;
};

int wr_sender_describe(wr_buf *out, const char *url, const char *experiment, const char *name, const char *run_id,
                       int64_t start_ms, bool existing)
{
    wr_jsonw w;
    wr_jsonw_init(&w, out, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_kstr(&w, "url", url);
    wr_jsonw_kstr(&w, "experiment", experiment);
    if (name) wr_jsonw_kstr(&w, "name", name);
    wr_jsonw_kstr(&w, "run_id", run_id);
    wr_jsonw_ki64(&w, "start_time", start_ms);
    wr_jsonw_kbool(&w, "existing", existing);
    wr_jsonw_end(&w);
    return out->failed ? WEIR_ENOMEM : 0;
}

static int read_meta(wr_json *out, wr_spool *s, wr_err *err)
{
    WR_AUTOBUF wr_buf b;
    wr_spool_record r;
    size_t at = 0;
    wr_buf_init(&b, 0);
    WR_TRY(wr_spool_read(&b, s, MAGIC, READ + (READ >> 4), err));
    if (wr_spool_decode(&r, wr_buf_view(&b), &at) != 1 || r.kind != WR_SPOOL_RUN)
        return wr_err_set(err, WEIR_ECORRUPT, "the spool does not say which run it is");
    return wr_json_parse(out, r.text, "run of the spool", err);
}

int wr_sender_url(char *out, size_t size, wr_spool *s, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    wr_str url;
    WR_TRY(read_meta(&j, s, err));
    WR_TRY(wr_json_str(&url, j.root, "url", err));
    snprintf(out, size, "%.*s", WR_STR_FMT(url));
    return 0;
}

int wr_sender_new(wr_sender **out, wr_spool *spool, const char *url, const char *token, wr_err *err)
{
    wr_sender *s = wr_calloc(1, sizeof *s);
    if (!s) return wr_err_nomem(err);
    s->spool = spool;
    wr_buf_init(&s->data, 0);
    wr_buf_init(&s->body, 0);
    wr_buf_init(&s->reply, 16 << 20);
    int rc = read_meta(&s->meta, spool, err);
    if (rc == 0) rc = wr_transport_open(&s->transport, url, token, err);
    if (rc < 0) wr_sender_free(s);
    else *out = s;
    return rc;
}

void wr_sender_free(wr_sender *s)
{
    if (!s) return;
    wr_transport_close(s->transport);
    wr_json_free(&s->meta);
    wr_buf_fini(&s->data);
    wr_buf_fini(&s->body);
    wr_buf_fini(&s->reply);
    wr_free(s);
}

void wr_sender_counters(const wr_sender *s, wr_sender_counts *out) { *out = s->counts; }

/* ---- requests ---- */

static bool later(int status)
{
    return status == 408 || status == 429 || status >= 500 || status == 401 || status == 403;
}

/* 1: acknowledged; 0: refused for good. */
static int post(wr_sender *s, const char *rpc, wr_err *err)
{
    char path[200];
    int status;
    if (s->body.failed) return wr_err_nomem(err);
    snprintf(path, sizeof path, "/api/2.0/mlflow/%s", rpc);
    WR_TRY(wr_transport_call(s->transport, path, wr_buf_view(&s->body), &status, &s->reply, err));
    if (status == 200) return 1;
    wr_err_set(err, WEIR_EUNAVAILABLE, "%s answers %d", rpc, status);
    wr_err_detail(err, WEIR_EUNAVAILABLE, "%.300s", wr_buf_cstr(&s->reply));
    return later(status) ? WEIR_EUNAVAILABLE : 0;
}

static wr_jsonw begin(wr_sender *s)
{
    wr_jsonw w;
    wr_buf_clear(&s->body);
    wr_jsonw_init(&w, &s->body, 0);
    wr_jsonw_obj(&w);
    return w;
}

static const char *meta(const wr_sender *s, const char *key)
{
    return yyjson_get_str(yyjson_obj_get(s->meta.root, key));
}

static bool reply_text(const wr_sender *s, const char *pointer, char out[ID])
{
    WR_AUTOJSON wr_json j = {0};
    if (wr_json_parse(&j, wr_buf_view(&s->reply), "answer", NULL) < 0) return false;
    const char *text = yyjson_get_str(yyjson_ptr_get(j.root, pointer));
    return text && snprintf(out, ID, "%s", text) < ID;
}

static void put_query(wr_buf *b, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' || c == '_' ||
                     c == '.' || c == '~';
        if (plain) wr_buf_char(b, (char)c);
        else wr_buf_printf(b, "%%%02X", c);
    }
}

/* By name; made when it is not there. Two who make it at once: the second finds it. */
static int experiment(wr_sender *s, char id[ID], wr_err *err)
{
    for (int turn = 0; turn < 2; turn++) {
        WR_AUTOBUF wr_buf path;
        int status;
        wr_buf_init(&path, 0);
        wr_buf_str(&path, "/api/2.0/mlflow/experiments/get-by-name?experiment_name=");
        put_query(&path, meta(s, "experiment"));
        if (path.failed) return wr_err_nomem(err);
        WR_TRY(wr_transport_call(s->transport, wr_buf_cstr(&path), (wr_str){NULL, 0}, &status, &s->reply, err));
        if (status == 200 && reply_text(s, "/experiment/experiment_id", id)) return 0;
        if (status != 404) return wr_err_set(err, WEIR_EUNAVAILABLE, "experiments/get-by-name answers %d", status);
        wr_jsonw w = begin(s);
        wr_jsonw_kstr(&w, "name", meta(s, "experiment"));
        wr_jsonw_end(&w);
        int rc = post(s, "experiments/create", err);
        if (rc < 0) return rc;
        if (rc == 1 && reply_text(s, "/experiment_id", id)) return 0;
    }
    return wr_err_set(err, WEIR_EUNAVAILABLE, "the experiment \"%s\" can be neither found nor made",
                      meta(s, "experiment"));
}

static int make_run(wr_sender *s, wr_err *err)
{
    char id[ID];
    if (s->made) return 0;
    snprintf(s->run, sizeof s->run, "%s",
             wr_spool_server_run(s->spool)[0] ? wr_spool_server_run(s->spool) : meta(s, "run_id"));
    if (!wr_spool_server_run(s->spool)[0] && !yyjson_get_bool(yyjson_obj_get(s->meta.root, "existing"))) {
        WR_TRY(experiment(s, id, err));
        wr_jsonw w = begin(s);
        wr_jsonw_kstr(&w, "experiment_id", id);
        wr_jsonw_kstr(&w, "run_id", meta(s, "run_id"));
        if (meta(s, "name")) wr_jsonw_kstr(&w, "run_name", meta(s, "name"));
        wr_jsonw_ki64(&w, "start_time", yyjson_get_sint(yyjson_obj_get(s->meta.root, "start_time")));
        wr_jsonw_end(&w);
        int rc = post(s, "runs/create", err);
        if (rc <= 0) return rc < 0 ? rc : WEIR_EUNAVAILABLE;
        if (!reply_text(s, "/run/info/run_id", s->run))
            return wr_err_set(err, WEIR_EUNAVAILABLE, "runs/create gives no run");
        WR_TRY(wr_spool_note(s->spool, wr_spool_sent(s->spool), s->run, err));
    }
    s->made = true;
    return 0;
}

/* ---- batches ---- */

static void put_value(wr_jsonw *w, double v)
{
    if (isfinite(v)) wr_jsonw_kf64(w, "value", v);
    else wr_jsonw_kstr(w, "value", isnan(v) ? "NaN" : v > 0 ? "Infinity" : "-Infinity");
}

static void put_record(wr_jsonw *w, const wr_spool_record *r)
{
    wr_jsonw_obj(w);
    wr_jsonw_kslice(w, "key", r->key);
    if (r->kind == WR_SPOOL_METRIC) {
        put_value(w, r->value);
        wr_jsonw_ki64(w, "timestamp", r->time_ms);
        wr_jsonw_ki64(w, "step", r->step);
    } else wr_jsonw_kslice(w, "value", r->text);
    wr_jsonw_end(w);
}

/* Records of one kind in a row make a batch; returns how many, `*end` behind them. 0: no whole record. */
static size_t batch(wr_sender *s, char *kind, size_t *end, int64_t *status, int64_t *time_ms)
{
    static const char *const names[] = {"metrics", "params", "tags"};
    wr_spool_record r;
    wr_str data = wr_buf_view(&s->data);
    size_t n = 0, at = *end;
    wr_jsonw w = {0};
    *kind = 0;
    while (wr_spool_decode(&r, data, &at) == 1) {
        if (*kind && (r.kind != *kind || n == (size_t)(*kind == WR_SPOOL_METRIC ? METRICS : ITEMS))) break;
        if (!*kind && (r.kind == WR_SPOOL_RUN || r.kind == WR_SPOOL_END)) {
            *kind = r.kind;
            *status = r.step;
            *time_ms = r.time_ms;
            *end = at;
            return 1;
        }
        if (!*kind) {
            w = begin(s);
            wr_jsonw_kstr(&w, "run_id", s->run);
            wr_jsonw_key(&w, names[r.kind == WR_SPOOL_METRIC ? 0 : r.kind == WR_SPOOL_PARAM ? 1 : 2]);
            wr_jsonw_arr(&w);
        }
        *kind = r.kind;
        put_record(&w, &r);
        *end = at;
        n++;
    }
    if (n) {
        wr_jsonw_end(&w);
        wr_jsonw_end(&w);
    }
    return n;
}

static int send_end(wr_sender *s, int64_t status, int64_t time_ms, wr_err *err)
{
    wr_jsonw w = begin(s);
    wr_jsonw_kstr(&w, "run_id", s->run);
    wr_jsonw_kstr(&w, "status", status == 3 ? "FINISHED" : status == 4 ? "FAILED" : "KILLED");
    wr_jsonw_ki64(&w, "end_time", time_ms);
    wr_jsonw_end(&w);
    int rc = post(s, "runs/update", err);
    if (rc >= 0) s->counts.ended = true;
    return rc < 0 ? rc : 0;
}

static int send_one(wr_sender *s, size_t *end, bool *more, wr_err *err)
{
    char kind;
    int64_t status = 0, time_ms = 0;
    size_t n = batch(s, &kind, end, &status, &time_ms);
    *more = n > 0;
    if (!n || kind == WR_SPOOL_RUN) return 0;
    if (kind == WR_SPOOL_END) return send_end(s, status, time_ms, err);
    int rc = post(s, "runs/log-batch", err);
    if (rc < 0) return rc;
    if (rc == 1) s->counts.acknowledged += n;
    else s->counts.refused += n;
    return 0;
}

int wr_sender_run(wr_sender *s, wr_err *err)
{
    while (wr_spool_sent(s->spool) < wr_spool_size(s->spool)) {
        uint64_t from = wr_spool_sent(s->spool);
        size_t end = 0;
        bool more = true;
        WR_TRY(make_run(s, err));
        wr_buf_clear(&s->data);
        WR_TRY(wr_spool_read(&s->data, s->spool, from, READ + (READ >> 4), err));
        while (more) {
            size_t before = end;
            WR_TRY(send_one(s, &end, &more, err));
            if (end > before) WR_TRY(wr_spool_note(s->spool, from + end, s->run, err));
        }
        if (!end)
            return wr_err_set(err, WEIR_ECORRUPT, "the spool cannot be read at byte %llu", (unsigned long long)from);
    }
    return 0;
}
