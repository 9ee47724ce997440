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
    bool fell_back; /* the primary answered for it */
    int64_t ns;
} decision;

static decision decide(wr_rollout *r, const wr_infer_request *q, const wr_serve_asked *asked)
{
    double u = point_of(r, q, asked);
    decision d = {0};
    pthread_mutex_lock(&r->lock);
    d.arm = wr_route_arm(&r->route, u);
    d.propensity = r->route.share[d.arm];
    pthread_mutex_unlock(&r->lock);
    return d;
}

/* ---- counting ---- */

static void add(atomic_uint_fast64_t *to, uint64_t n) { atomic_fetch_add_explicit(to, n, memory_order_relaxed); }

static void count(wr_rollout *r, size_t arm, const wr_serve_reply *reply, size_t rows, int64_t ns)
{
    wr_rollout_arm_run *run = &r->arms[arm];
    size_t step = rows > SCORED_ROWS ? rows / SCORED_ROWS : 1;
    add(&run->requests, 1);
    add(&run->rows, rows);
    add(&run->busy_ns, ns > 0 ? (uint64_t)ns : 0);
    add(&run->latency[wr_duration_bin(ns > 0 ? (uint64_t)ns : 0)], 1);
    for (size_t i = 0; i < rows; i += step) {
        wr_row_verdict v = wr_row_verdict_of(reply->out, reply->nout, rows, i, r->endpoint->threshold);
        size_t bin = wr_value_bin(v.score);
        if (bin < WR_VALUE_BINS) add(&run->score[bin], 1);
    }
}

static void count_error(wr_rollout_arm_run *run, int64_t ns)
{
    add(&run->requests, 1);
    add(&run->errors, 1);
    add(&run->busy_ns, ns > 0 ? (uint64_t)ns : 0);
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

/* Through an arm beside the primary. 1 = answered, 0 = the primary has to, < 0 only when nothing can be answered any
 * more. */
static int by_arm(wr_serve_reply *out, size_t *rows, wr_rollout *r, wr_round *round, decision *d, int64_t *failed_ns,
                  const wr_infer_request *q, wr_str id, int64_t *version, wr_arena *a)
{
    wr_served *package;
    wr_instance *model;
    wr_err none = {0};
    wr_rollout_arm_run *arm = &r->arms[d->arm];
    *failed_ns = -1;
    if (!wr_rollout_take(&package, &model, wr_round_serve(round), arm)) {
        add(&arm->unready, 1);
        return 0;
    }
    int64_t start = wr_clock_mono_ns();
    wr_keep_opt opt = {id, wr_str_of(r->spec.arms[d->arm].name), d->propensity};
    int rc = wr_serve_run(out, rows, round, package, model, q, &opt, a, &none);
    d->ns = wr_clock_mono_ns() - start;
    *version = version_of(package, model);
    if (rc == 0) rc = name_version(out, package, model, a, &none);
    if (rc < 0) *failed_ns = d->ns;
    wr_serve_give(package);
    if (model) wr_instance_give(model);
    return rc == 0;
}

static int by_primary(wr_serve_reply *out, size_t *rows, wr_rollout *r, wr_round *round, decision *d,
                      wr_served *package, wr_instance *model, const wr_infer_request *q, wr_str id, wr_arena *a,
                      wr_err *err)
{
    int64_t start = wr_clock_mono_ns();
    *out = (wr_serve_reply){0};
    wr_keep_opt opt = {id, wr_str_of(r->spec.arms[0].name), d->fell_back ? NAN : d->propensity};
    int rc = wr_serve_run(out, rows, round, package, model, q, &opt, a, err);
    d->ns = wr_clock_mono_ns() - start;
    if (rc == 0) count(r, 0, out, *rows, d->ns);
    else if (!clients_fault(rc)) count_error(&r->arms[0], d->ns);
    return rc;
}

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

static int answer(wr_serve_reply *out, wr_rollout *r, wr_round *round, wr_served *package, wr_instance *model,
                  const wr_infer_request *q, const wr_serve_asked *asked, wr_arena *a, wr_err *err)
{
    decision d = decide(r, q, asked);
    size_t rows = 0;
    int64_t failed_ns = -1, version = version_of(package, model);
    bool done = d.arm && by_arm(out, &rows, r, round, &d, &failed_ns, q, asked->id, &version, a) == 1;
    if (done) count(r, d.arm, out, rows, d.ns);
    if (!done) {
        d.fell_back = d.arm != 0;
        version = version_of(package, model);
        WR_TRY(by_primary(out, &rows, r, round, &d, package, model, q, asked->id, a, err));
        if (failed_ns >= 0) count_error(&r->arms[d.arm], failed_ns); /* the primary could: so it was not the request */
    }
    WR_TRY(keep(out, r, round, &d, asked->id, rows, version, a, err));
    offer_shadows(r, wr_round_serve(round), q, out);
    return 0;
}

int wr_rollout_answer(wr_serve_reply *out, wr_round *round, wr_served *package, wr_instance *model,
                      const wr_infer_request *q, const wr_serve_asked *asked, wr_arena *a, wr_err *err)
{
    const char *name = package ? package->endpoint : model->name;
    wr_rollout *r = wr_rollout_hold(wr_serve_endpoint_named(wr_round_serve(round), wr_str_of(name)));
    if (!r) return 1;
    int rc = answer(out, r, round, package, model, q, asked, a, err);
    wr_rollout_drop(r);
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
