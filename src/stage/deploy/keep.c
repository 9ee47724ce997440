/* SPDX-License-Identifier: Apache-2.0 */
/* keep.c - from an answer into the queue, and the thread that writes the log. */
#include "stage/deploy/keep.h"

#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "core/event.h"
#include "stage/deploy/serve_inside.h"
#include "stage/predlog/layout.h"

enum { RECORD_BYTES = WR_LIMIT_RECORD / 2, ROOM_FOR_ROW = 8, LAYOUTS = 4096, COLUMNS = WR_LIMIT_DELTA_COLUMNS - 100 };

/* Messages: a byte what it is, then the record, or a layout's u64 and its names as JSON. */
enum { A_RECORD = 'r', A_LAYOUT = 'l' };

typedef struct {
    uint64_t id;
    bool kept;
    wr_str json;
} known_layout;

struct wr_keep {
    wr_serve *serve;
    wr_queue *queue;
    /* the thread's: */
    wr_arena *arena;
    known_layout *layouts;
    size_t nlayouts;
    bool failing, untold;
    uint64_t lost; /* since it began to fail */
    char why[300];
};

/* ---- the thread: into the log ---- */

static void learn_layout(wr_keep *k, wr_str m)
{
    uint64_t id;
    if (m.n < sizeof id || k->nlayouts == LAYOUTS) return;
    memcpy(&id, m.p, sizeof id);
    for (size_t i = 0; i < k->nlayouts; i++)
        if (k->layouts[i].id == id) return;
    wr_str json = wr_arena_str(k->arena, wr_str_sub(m, sizeof id, m.n));
    if (json.p) k->layouts[k->nlayouts++] = (known_layout){id, false, json};
}

/* Names of columns are on disk before a record needs them. */
static int keep_layout(wr_keep *k, uint64_t id, wr_err *err)
{
    for (size_t i = 0; i < k->nlayouts; i++) {
        known_layout *l = &k->layouts[i];
        if (l->id != id || l->kept) continue;
        WR_TRY(wr_layout_keep(k->serve->log_dir, id, l->json, err));
        l->kept = true;
    }
    return 0;
}

static int write_record(wr_keep *k, wr_str record, wr_err *err)
{
    wr_str name;
    uint64_t layout;
    WR_TRY(wr_predlog_peek(&name, &layout, WR_PREDLOG_TENSORS, record, err));
    WR_TRY(keep_layout(k, layout, err));
    return wr_applog_add(k->serve->log, WR_PREDLOG_TENSORS, record, err);
}

static void say(wr_keep *k, const char *kind)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_jsonw w;
    wr_err err;
    wr_jsonw_init(&w, &b, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_kstr(&w, "error", k->why);
    wr_jsonw_ki64(&w, "dropped", (int64_t)k->lost);
    wr_jsonw_end(&w);
    k->untold = b.failed || wr_event_add(k->serve->project, kind, "serving", wr_buf_cstr(&b), NULL, &err) < 0;
}

/* The event may not find room on the disk either: then it is told when there is some. */
static void ended(wr_keep *k, size_t failed, const wr_err *why)
{
    if (failed) {
        wr_queue_lose(k->queue, failed);
        k->lost += failed;
    }
    if (failed && !k->failing) {
        k->failing = true;
        k->lost = failed;
        snprintf(k->why, sizeof k->why, "%.*s%s%.*s", 150, why->msg, why->detail[0] ? ": " : "", 140, why->detail);
        wr_warn("predictions are answered but not logged: %s", k->why);
        say(k, "log-dropped");
    } else if (k->failing) {
        if (k->untold) say(k, "log-dropped");
        if (failed) return;
        k->failing = false;
        wr_warn("predictions are logged again; %llu were not", (unsigned long long)k->lost);
        say(k, "log-resumed");
    }
}

static void take(void *ctx, wr_str batch)
{
    wr_keep *k = ctx;
    wr_err err = {0}, why = {0};
    wr_str m;
    size_t added = 0, failed = 0;
    while (wr_queue_next(&m, &batch)) {
        wr_str body = wr_str_sub(m, 1, m.n);
        if (m.n && *m.p == A_LAYOUT) {
            learn_layout(k, body);
            continue;
        }
        if (write_record(k, body, &err) < 0) failed++, why = err;
        else added++;
    }
    if (added && wr_applog_commit(k->serve->log, false, &err) < 0) failed += added, why = err;
    else if (added) atomic_store_explicit(&k->serve->unsynced, true, memory_order_release);
    if (added || failed) ended(k, failed, &why);
}

/* ---- life ---- */

int wr_keep_open(wr_serve *s, wr_err *err)
{
    bool any = false;
    for (size_t i = 0; i < s->nendpoints; i++) any |= s->endpoints[i].log > 0;
    if (!any) return 0;
    wr_keep *k = wr_calloc(1, sizeof *k);
    if (!k) return wr_err_nomem(err);
    k->serve = s;
    s->keep = k;
    k->arena = wr_arena_new(0);
    k->layouts = k->arena ? wr_arena_calloc(k->arena, LAYOUTS, sizeof *k->layouts) : NULL;
    if (!k->layouts) return wr_err_nomem(err);
    return wr_queue_start(&k->queue, WR_KEEP_BYTES, take, k, err);
}

void wr_keep_close(wr_serve *s)
{
    wr_keep *k = s->keep;
    if (!k) return;
    wr_queue_stop(k->queue);
    wr_arena_free(k->arena);
    wr_free(k);
    s->keep = NULL;
}

void wr_serve_keep_flush(wr_serve *s)
{
    if (s->keep) wr_queue_flush(s->keep->queue);
}

void wr_serve_keep_stats(wr_queue_stats *out, wr_serve *s)
{
    *out = (wr_queue_stats){0};
    if (s->keep) wr_queue_look(out, s->keep->queue);
}

/* ---- an answer ---- */

typedef struct {
    wr_serve *serve;
    wr_serve_endpoint *endpoint;
    wr_arena *arena;
    wr_predlog_tensors record;
    const char *const *features;
    size_t nfeatures;
} keeping;

static bool sampled(atomic_uint_fast64_t *asked, double share)
{
    if (share <= 0) return false;
    double n = (double)atomic_fetch_add_explicit(asked, 1, memory_order_relaxed);
    return (uint64_t)((n + 1) * share) != (uint64_t)(n * share);
}

/* Tensors whose first dimension is the rows; others of a model of rows cannot be told apart by row. */
static bool all_rowwise(const wr_tensor *t, size_t n, size_t rows)
{
    for (size_t i = 0; i < n; i++)
        if (!t[i].ndims || t[i].shape[0] != (int64_t)rows) return false;
    return true;
}

static size_t bytes_of(const wr_tensor *t, size_t n)
{
    size_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += 16 + WR_TENSOR_DIMS * 8 + t[i].name.n + t[i].count * wr_tensor_type_size(t[i].type);
        for (size_t k = 0; t[i].type == WR_TENSOR_BYTES && k < t[i].count; k++) sum += ((const wr_str *)t[i].data)[k].n;
    }
    return sum;
}

/* The model may be an arm's: ENDPOINT:ARM. */
wr_serve_endpoint *wr_serve_endpoint_of(wr_serve *s, const char *name, wr_str *arm)
{
    if (!s->nendpoints) return NULL;
    wr_str rest = wr_str_of(name), before = wr_str_cut(&rest, ':');
    wr_serve_endpoint *e = wr_serve_endpoint_named(s, wr_str_of(name));
    if (e || !rest.p) return e;
    if (!arm->p) *arm = rest;
    return wr_serve_endpoint_named(s, before);
}

static int64_t version_of(const wr_instance *m)
{
    int64_t n;
    return wr_num_i64(&n, wr_str_of(m->version), NULL) == 0 ? n : 0;
}

static int name_model(keeping *k, const wr_instance *m)
{
    wr_serve_endpoint *e = k->endpoint;
    k->record.version = version_of(m);
    pthread_mutex_lock(&e->lock);
    bool own = e->plain && strcmp(m->name, e->name) == 0;
    char *name = wr_arena_strdup(k->arena, own && e->plain_model[0] ? e->plain_model : m->name);
    if (own && e->path) k->record.version = 0;
    pthread_mutex_unlock(&e->lock);
    k->record.model = wr_str_of(name);
    return name ? 0 : WEIR_ENOMEM;
}

static int name_rows(wr_kept *out, keeping *k)
{
    wr_predlog_tensors *r = &k->record;
    char *own = r->id.n ? NULL : wr_arena_alloc(k->arena, WR_SERVE_ID);
    if (!r->id.n && !own) return WEIR_ENOMEM;
    if (own) r->id = (wr_str){own, wr_serve_id(k->serve, own)};
    wr_str *ids = wr_arena_alloc(k->arena, (r->total + 1) * sizeof *ids);
    if (!ids) return WEIR_ENOMEM;
    for (size_t i = 0; i < r->total; i++) {
        ids[i] = r->id;
        if (r->total == 1) continue;
        char *text = wr_arena_alloc(k->arena, r->id.n + ROOM_FOR_ROW + 1);
        if (!text) return WEIR_ENOMEM;
        ids[i] = (wr_str){text, (size_t)snprintf(text, r->id.n + ROOM_FOR_ROW + 1, "%.*s/%zu", WR_STR_FMT(r->id), i)};
    }
    out->ids = ids;
    out->nids = r->total;
    return 0;
}

/* Told anew when the endpoint's last one was another; the thread forgets what it knows already. */
static bool tell_layout(keeping *k)
{
    uint64_t id = k->record.layout;
    WR_AUTOBUF wr_buf b = {0};
    wr_jsonw w;
    if (!k->nfeatures || atomic_load_explicit(&k->endpoint->layout, memory_order_acquire) == id) return true;
    wr_buf_char(&b, A_LAYOUT);
    wr_buf_add(&b, &id, sizeof id);
    wr_jsonw_init(&w, &b, 0);
    wr_jsonw_arr(&w);
    for (size_t i = 0; i < k->nfeatures; i++) wr_jsonw_cstr(&w, k->features[i]);
    wr_jsonw_end(&w);
    if (b.failed || !wr_queue_put(k->serve->keep->queue, wr_buf_view(&b))) return false;
    atomic_store_explicit(&k->endpoint->layout, id, memory_order_release);
    return true;
}

static size_t record_bytes(const wr_predlog_tensors *r)
{
    return 256 + r->endpoint.n + r->model.n + r->id.n + r->arm.n + bytes_of(r->in, r->nin) + bytes_of(r->out, r->nout);
}

/* Room for a record in the request's arena, never grown. */
static bool room(wr_buf *b, keeping *k, size_t bytes)
{
    *b = (wr_buf){.p = wr_arena_alloc(k->arena, bytes + 2), .cap = bytes + 2, .max = bytes + 1};
    return b->p != NULL;
}

/* Records of some rows each, below the log's limit. */
static bool put_records(keeping *k)
{
    wr_predlog_tensors *r = &k->record;
    wr_buf b;
    size_t bytes = record_bytes(r);
    size_t step = bytes <= RECORD_BYTES ? r->total : (size_t)((double)r->total * RECORD_BYTES / (double)bytes);
    if (!step) step = 1;
    if (!room(&b, k, bytes)) return false;
    for (r->first = 0; r->first < r->total; r->first += r->rows) {
        r->rows = r->total - r->first < step ? r->total - r->first : (uint32_t)step;
        b.n = 0;
        wr_buf_char(&b, A_RECORD);
        wr_predlog_put_tensors(&b, r);
        if (b.failed || b.n > WR_LIMIT_RECORD) return false;
        if (!wr_queue_put(k->serve->keep->queue, wr_buf_view(&b))) return true; /* counted there */
    }
    return true;
}

/* All rows in one record, whatever their size: the sink's queue says when that is too much. */
static bool put_sinks(keeping *k, unsigned wanted)
{
    wr_predlog_tensors *r = &k->record;
    wr_buf b;
    r->first = 0;
    r->rows = r->total;
    if (!room(&b, k, record_bytes(r))) return false;
    wr_predlog_put_tensors(&b, r);
    if (b.failed) return false;
    for (size_t i = 0; i < k->endpoint->nsinks; i++)
        if (wanted >> i & 1) wr_sink_put(k->endpoint->sinks[i], wr_buf_view(&b));
    return true;
}

static unsigned sinks_that_want(const wr_serve_endpoint *e)
{
    unsigned wanted = 0;
    for (size_t i = 0; i < e->nsinks; i++) wanted |= (unsigned)wr_sink_wants(e->sinks[i]) << i;
    return wanted;
}

static void lose(keeping *k, bool log, unsigned wanted)
{
    if (log) wr_queue_lose(k->serve->keep->queue, 1);
    for (size_t i = 0; i < k->endpoint->nsinks; i++)
        if (wanted >> i & 1) wr_sink_lose(k->endpoint->sinks[i]);
}

static bool describe(keeping *k, const wr_infer_request *q, const wr_tensor *out, size_t nout, size_t rows,
                     bool by_rows, int64_t took_ns, int64_t busy_ns)
{
    wr_predlog_tensors *r = &k->record;
    if (r->id.n > WR_LIMIT_ID - ROOM_FOR_ROW || q->nin + nout > WR_PREDLOG_TENSORS_MAX) return false;
    r->rowwise = by_rows && all_rowwise(q->in, q->nin, rows) && all_rowwise(out, nout, rows);
    r->total = r->rowwise ? (uint32_t)rows : 1;
    r->endpoint = wr_str_of(k->endpoint->name);
    r->in = q->in;
    r->nin = q->nin;
    r->out = out;
    r->nout = nout;
    r->served_us = wr_clock_wall_us();
    r->took_s = took_ns >= 0 ? (double)took_ns / 1e9 : NAN;
    double joules_s = atomic_load_explicit(&k->serve->joules_s, memory_order_relaxed);
    r->joules = joules_s > 0 && r->total ? (double)busy_ns / 1e9 * joules_s / r->total
                                         : NAN; /* of a row, as its latency is not */
    return true;
}

/* False: more columns than the lake takes, which would stop the drain of all. */
static bool name_columns(keeping *k, const wr_predictor *p)
{
    wr_predlog_tensors *r = &k->record;
    bool named = r->nin == 1 && p->nfeatures && p->features && wr_layout_width(&r->in[0], r->rowwise) == p->nfeatures;
    k->features = named ? p->features : NULL;
    k->nfeatures = named ? p->nfeatures : 0;
    r->layout = wr_layout_id(r->in, r->nin, r->out, r->nout, r->rowwise, k->features, k->nfeatures);
    return wr_layout_count(r->in, r->nin, r->out, r->nout, r->rowwise, k->nfeatures) <= COLUMNS;
}

/* -1: it is not known since when. */
static int64_t took(const wr_infer_request *q) { return q->start_ns ? wr_clock_mono_ns() - q->start_ns : -1; }

void wr_serve_keep(wr_kept *out, wr_serve *s, const wr_instance *m, const wr_infer_request *q,
                   const wr_infer_answer *ans, const wr_keep_opt *opt, wr_arena *a)
{
    keeping k = {.serve = s, .arena = a};
    *out = (wr_kept){0};
    k.record.arm = opt->arm;
    k.record.id = opt->id;
    k.record.propensity = opt->propensity;
    k.endpoint = wr_serve_endpoint_of(s, m->name, &k.record.arm);
    if (!k.endpoint) return;
    int64_t took_ns = took(q);
    if (k.endpoint->log > 0 && ans->busy_ns > 0) /* those that are not sampled take their part of the energy too */
        atomic_fetch_add_explicit(&s->busy_ns, (uint64_t)ans->busy_ns, memory_order_relaxed);
    bool log = s->keep && sampled(&k.endpoint->asked, k.endpoint->log);
    unsigned wanted = sinks_that_want(k.endpoint);
    if (!log && !wanted) return;
    if (!describe(&k, q, ans->out, ans->nout, ans->rows, m->rows, took_ns, ans->busy_ns) || name_model(&k, m) < 0 ||
        name_rows(out, &k) < 0) {
        lose(&k, log, wanted);
        *out = (wr_kept){0};
        return;
    }
    if (log && (!name_columns(&k, m->predictor) || !tell_layout(&k) || !put_records(&k))) lose(&k, true, 0);
    if (wanted && !put_sinks(&k, wanted)) lose(&k, false, wanted);
}

void wr_serve_tell(wr_serve *s, const wr_served *m, const wr_infer_request *q, const wr_serve_answer *ans,
                   const wr_keep_opt *opt, wr_arena *a)
{
    keeping k = {.serve = s, .arena = a};
    wr_serve_endpoint *e = m->of;
    k.record.arm = opt->arm;
    k.endpoint = wr_serve_endpoint_of(s, e->name, &k.record.arm);
    unsigned wanted = k.endpoint ? sinks_that_want(k.endpoint) : 0;
    if (!wanted) return;
    k.record.id = opt->id.n ? opt->id : ans->rows ? ans->ids[0] : opt->id;
    k.record.propensity = opt->propensity;
    k.record.model = wr_str_of(m->model);
    k.record.version = m->version;
    if (!describe(&k, q, ans->out, ans->nout, ans->rows, true, took(q), took(q)) || !put_sinks(&k, wanted))
        lose(&k, false, wanted);
}

/* ---- sinks ---- */

int wr_sinks_open(wr_serve *s, wr_serve_endpoint *e, const wr_endpoint *spec, wr_err *err)
{
    e->sinks = wr_arena_calloc(s->arena, spec->nsinks + 1, sizeof *e->sinks);
    if (!e->sinks) return wr_err_nomem(err);
    for (; e->nsinks < spec->nsinks; e->nsinks++)
        WR_TRY(wr_sink_open(&e->sinks[e->nsinks], e->name, &spec->sinks[e->nsinks], err));
    return 0;
}

void wr_sinks_close(wr_serve_endpoint *e)
{
    for (size_t i = 0; i < e->nsinks; i++) wr_sink_close(e->sinks[i]);
    e->nsinks = 0;
}

void wr_serve_sinks(wr_serve *s, void (*fn)(void *ctx, const wr_sink_status *st), void *ctx)
{
    wr_sink_status st;
    for (size_t i = 0; i < s->nendpoints; i++)
        for (size_t k = 0; k < s->endpoints[i].nsinks; k++) {
            wr_sink_look(&st, s->endpoints[i].sinks[k]);
            fn(ctx, &st);
        }
}
