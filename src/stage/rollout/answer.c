/* SPDX-License-Identifier: Apache-2.0 */
/* answer.c - a request, the arm that is picked, the answer, what is counted and logged; rewards. */
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/num.h"
#include "predict/scores.h"
#include "stage/deploy/keep.h"
#include "stage/deploy/rows.h"
#include "stage/rollout/rollout_inside.h"

enum { SCORED_ROWS = 256, REMEMBERED_ROWS = 1024 };

/* ---- picking ---- */

/* The first value of an input, or a parameter. */
static wr_str field_of(const wr_infer_request *q, const wr_serve_asked *asked, const char *name)
{
    for (size_t i = 0; i < q->nin; i++) {
        const wr_tensor *t = &q->in[i];
        if (!wr_str_is(t->name, name) || !t->count) continue;
        if (t->type == WR_TENSOR_BYTES) return ((const wr_str *)t->data)[0];
        return (wr_str){t->data, wr_tensor_type_size(t->type)};
    }
    return asked->lookup ? asked->lookup(asked->ctx, false, name) : (wr_str){NULL, 0};
}

static double point_of(wr_rollout *r, const wr_infer_request *q, const wr_serve_asked *asked)
{
    wr_str key = {NULL, 0};
    if (r->spec.header && asked->lookup) key = asked->lookup(asked->ctx, true, r->spec.header);
    else if (r->spec.field) key = field_of(q, asked, r->spec.field);
    if (key.n) return wr_route_point(key, wr_str_of(r->salt));
    uint64_t n = atomic_fetch_add_explicit(&r->draws, 1, memory_order_relaxed);
    return (double)(wr_hash64(&n, sizeof n, r->seed) >> 11) * 0x1p-53;
}

typedef struct {
    size_t arm;
    double propensity;
    bool shares;    /* may wait for others to share a run with */
    bool fell_back; /* the primary answered for it */
    int64_t ns;     /* until the answer was there */
    int64_t busy_ns;
} decision;

static decision decide(wr_rollout *r, const wr_infer_request *q, const wr_serve_asked *asked)
{
    double u = point_of(r, q, asked);
    decision d = {0};
    pthread_mutex_lock(&r->lock);
    d.arm = wr_route_arm(&r->route, u);
    d.propensity = r->route.share[d.arm];
    d.shares = r->shares;
    pthread_mutex_unlock(&r->lock);
    return d;
}

/* ---- counting ---- */

static void add(atomic_uint_fast64_t *to, uint64_t n) { atomic_fetch_add_explicit(to, n, memory_order_relaxed); }

static uint64_t positive(int64_t ns) { return ns > 0 ? (uint64_t)ns : 0; }

static void count(wr_rollout *r, size_t arm, const wr_serve_reply *reply, size_t rows, const decision *d)
{
    wr_rollout_arm_run *run = &r->arms[arm];
    size_t step = rows > SCORED_ROWS ? rows / SCORED_ROWS : 1;
    add(&run->requests, 1);
    add(&run->rows, rows);
    add(&run->busy_ns, positive(d->busy_ns));
    add(&run->latency[wr_duration_bin(positive(d->ns))], 1);
    for (size_t i = 0; i < rows; i += step) {
        wr_row_verdict v = wr_row_verdict_of(reply->out, reply->nout, rows, i, r->endpoint->threshold);
        size_t bin = wr_value_bin(v.score);
        if (bin < WR_VALUE_BINS) add(&run->score[bin], 1);
    }
}

static void count_error(wr_rollout_arm_run *run, int64_t busy_ns)
{
    add(&run->requests, 1);
    add(&run->errors, 1);
    add(&run->busy_ns, positive(busy_ns));
}

/* What the request is to blame for says nothing of the model. */
static bool clients_fault(int rc)
{
    return rc == WEIR_EINVAL || rc == WEIR_ETYPE || rc == WEIR_ELIMIT || rc == WEIR_EPARSE || rc == WEIR_EUNSUPPORTED ||
           rc == WEIR_ENOTFOUND;
}

/* ---- keeping ---- */

static int keep(wr_serve_reply *out, wr_rollout *r, wr_round *round, const decision *d, wr_str id, size_t rows,
                int64_t version, wr_arena *a, wr_err *err)
{
    int64_t now = wr_clock_wall_us();
    wr_str *ids;
    if (!out->nids) {
        ids = wr_arena_alloc(a, (rows + 1) * sizeof *ids);
        if (!ids) return wr_err_nomem(err);
        WR_TRY(wr_serve_ids(ids, rows, wr_round_serve(round), id, a, err));
        out->ids = ids;
        out->nids = rows;
    }
    if (!wr_rollout_explores(r)) return 0;
    for (size_t i = 0; i < out->nids && i < REMEMBERED_ROWS; i++) {
        wr_predlog_decision rec = {.endpoint = wr_str_of(r->endpoint->name),
                                   .id = out->ids[i],
                                   .arm = wr_str_of(r->spec.arms[d->arm].name),
                                   .answered = wr_str_of(r->spec.arms[d->fell_back ? 0 : d->arm].name),
                                   .version = version,
                                   .propensity = d->propensity,
                                   .took_s = (double)d->ns / 1e9,
                                   .decided_us = now};
        /* first, so that what is in a sealed segment is remembered (memory.c) */
        if (!d->fell_back) wr_reward_map_put(r->rewards, out->ids[i], (unsigned)d->arm, d->propensity, now / WR_US);
        WR_TRY(wr_serve_log_decision(round, &rec, err));
        out->kept = true;
    }
    return 0;
}

/* ---- answering ---- */

static int64_t version_of(const wr_served *package, const wr_instance *model)
{
    int64_t n;
    if (package) return package->version;
    return wr_num_i64(&n, wr_str_of(model->version), NULL) == 0 ? n : 0;
}

static int name_version(wr_serve_reply *out, const wr_served *package, const wr_instance *model, wr_arena *a,
                        wr_err *err)
{
    char *text = package ? wr_arena_printf(a, "%lld", (long long)package->version) : wr_arena_strdup(a, model->version);
    if (!text) return wr_err_nomem(err);
    out->version = wr_str_of(text);
    return 0;
}

/* A request on its way, in its arena: its run may be one that others share, and then the answer comes later. The
 * rollout is held until that, so are the arm's model by us and the primary's by who asks; `out` and `err` last as long.
 */
typedef struct {
    wr_rollout *r;
    wr_round *round;
    wr_served *package; /* of the primary */
    wr_instance *model;
    wr_served *arm_package; /* of the arm while it runs */
    wr_instance *arm_model;
    wr_infer_request q;
    wr_str id;
    wr_batch *batch; /* NULL: at once */
    wr_batch_done done;
    void *arg;
    decision d;
    wr_serve_took took;
    int64_t start;     /* of the model that runs; wr_clock_mono_ns */
    int64_t failed_ns; /* of the arm that could not; -1 = none */
    int64_t version;
    wr_err arm_err;
    wr_serve_reply *out;
    wr_arena *a;
    wr_err *err;
} answering;

static void offer_shadows(wr_rollout *r, wr_serve *s, const wr_infer_request *q, const wr_serve_reply *reply)
{
    if (r->spec.mode != WR_ROLLOUT_SHADOW) return;
    bool out[WR_ROLLOUT_ARMS];
    pthread_mutex_lock(&r->lock);
    memcpy(out, r->out, sizeof out);
    pthread_mutex_unlock(&r->lock);
    for (size_t i = 1; i < r->spec.narms; i++)
        if (!out[i]) wr_shadow_offer(s, r, i, q, reply);
}

/* There is an answer: what becomes of it. */
static int answered(answering *x)
{
    WR_TRY(keep(x->out, x->r, x->round, &x->d, x->id, x->took.rows, x->version, x->a, x->err));
    offer_shadows(x->r, wr_round_serve(x->round), &x->q, x->out);
    return 0;
}

static int run(answering *x, wr_served *package, wr_instance *model, double propensity, wr_batch_done done, wr_err *err)
{
    size_t arm = x->d.fell_back ? 0 : x->d.arm;
    wr_keep_opt opt = {x->id, wr_str_of(x->r->spec.arms[arm].name), propensity};
    wr_serve_later later = {x->d.shares ? x->batch : NULL, done, x};
    *x->out = (wr_serve_reply){0};
    x->version = version_of(package, model);
    x->start = wr_clock_mono_ns();
    return wr_serve_run(x->out, &x->took, x->round, package, model, &x->q, &opt, later, x->a, err);
}

static void clock_it(answering *x)
{
    x->d.ns = wr_clock_mono_ns() - x->start;
    x->d.busy_ns = x->took.waited ? x->took.busy_ns : x->d.ns;
}

/* The rollout may be gone then. */
static void over(answering *x, int rc)
{
    if (rc < 0) wr_serve_reply_end(x->out);
    wr_rollout_drop(x->r);
}

static void waited(answering *x, int rc)
{
    if (rc == 1) return; /* on */
    over(x, rc);
    x->done(x->arg, rc);
}

static int primary_ran(answering *x, int rc)
{
    wr_rollout *r = x->r;
    clock_it(x);
    if (rc == 0) count(r, 0, x->out, x->took.rows, &x->d);
    else if (!clients_fault(rc)) count_error(&r->arms[0], x->d.busy_ns);
    if (rc < 0) return rc;
    if (x->failed_ns >= 0) count_error(&r->arms[x->d.arm], x->failed_ns); /* so it was not the request */
    return answered(x);
}

static void primary_waited(void *arg, int rc) { waited(arg, primary_ran(arg, rc)); }

static int by_primary(answering *x)
{
    x->d.fell_back = x->d.arm != 0;
    int rc = run(x, x->package, x->model, x->d.fell_back ? NAN : x->d.propensity, primary_waited, x->err);
    return rc == 1 ? 1 : primary_ran(x, rc);
}

static int arm_ran(answering *x, int rc)
{
    clock_it(x);
    if (rc == 0) rc = name_version(x->out, x->arm_package, x->arm_model, x->a, &x->arm_err);
    x->out->package = x->arm_package; /* names of outputs and of classes are the model's */
    x->out->model = x->arm_model;
    if (rc < 0) {
        wr_serve_reply_end(x->out);
        x->failed_ns = x->d.busy_ns > 0 ? x->d.busy_ns : 0;
        return by_primary(x);
    }
    count(x->r, x->d.arm, x->out, x->took.rows, &x->d);
    return answered(x);
}

static void arm_waited(void *arg, int rc) { waited(arg, arm_ran(arg, rc)); }

/* Through an arm beside the primary; the primary has to when the arm cannot. */
static int by_arm(answering *x)
{
    wr_rollout_arm_run *arm = &x->r->arms[x->d.arm];
    if (!wr_rollout_take(&x->arm_package, &x->arm_model, wr_round_serve(x->round), arm)) {
        add(&arm->unready, 1);
        return by_primary(x);
    }
    int rc = run(x, x->arm_package, x->arm_model, x->d.propensity, arm_waited, &x->arm_err);
    return rc == 1 ? 1 : arm_ran(x, rc);
}

int wr_rollout_answer(wr_serve_reply *out, wr_round *round, wr_served *package, wr_instance *model,
                      const wr_infer_request *q, const wr_serve_asked *asked, wr_arena *a, wr_err *err)
{
    const char *name = package ? package->endpoint : model->name;
    wr_rollout *r = wr_rollout_hold(wr_serve_endpoint_named(wr_round_serve(round), wr_str_of(name)));
    if (!r) return WR_NO_ROLLOUT;
    answering *x = wr_arena_alloc(a, sizeof *x);
    if (!x) {
        wr_rollout_drop(r);
        return wr_err_nomem(err);
    }
    *x = (answering){.r = r,
                     .round = round,
                     .package = package,
                     .model = model,
                     .q = *q,
                     .id = asked->id,
                     .batch = asked->batch,
                     .done = asked->done,
                     .arg = asked->arg,
                     .d = decide(r, q, asked),
                     .failed_ns = -1,
                     .out = out,
                     .a = a,
                     .err = err};
    int rc = x->d.arm ? by_arm(x) : by_primary(x);
    if (rc != 1) over(x, rc);
    return rc;
}

/* ---- rewards ---- */

void wr_rollout_earn(wr_rollout *r, size_t arm, double propensity, double reward, int64_t received_us)
{
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->spec.narms; i++) {
        if (received_us < INT64_MAX && received_us <= r->arms[i].rewards_us) continue;
        if (i == arm) wr_moments_add(&r->arms[i].reward, reward);
        wr_offpolicy_add(&r->arms[i].value, reward, propensity, i == arm, 0, 0, 0);
    }
    pthread_mutex_unlock(&r->lock);
}

int wr_rollout_reward(wr_serve *s, wr_str endpoint, wr_str id, double reward, wr_err *err)
{
    wr_serve_endpoint *e = wr_serve_endpoint_named(s, endpoint);
    unsigned arm;
    double propensity;
    if (!e) return wr_serve_no_endpoint(s, endpoint, err);
    if (!isfinite(reward))
        return wr_err_set(err, WEIR_EINVAL, "the reward of \"%.*s\" is not a number", WR_STR_FMT(wr_str_fit(id, 128)));
    wr_rollout *r = wr_rollout_hold(e);
    int rc = r ? wr_reward_map_take(&arm, &propensity, r->rewards, id, wr_clock_wall_us() / WR_US) : -1;
    if (rc == 1 && arm < r->spec.narms) wr_rollout_earn(r, arm, propensity, reward, INT64_MAX);
    wr_rollout_drop(r);
    if (rc >= 0) return rc;
    return wr_err_set(err, WEIR_ENOTFOUND, "no arm of endpoint \"%s\" is remembered for prediction \"%.*s\"", e->name,
                      WR_STR_FMT(wr_str_fit(id, 128)));
}
