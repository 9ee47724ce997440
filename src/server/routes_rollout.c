/* SPDX-License-Identifier: Apache-2.0 */
/* routes_rollout.c - rollouts of endpoints: how they go, beginning and ending them, rewards. Models are loaded and
 * records written: off the loop. With authentication: looking takes USE of the endpoint, rewards EDIT, the rest MANAGE.
 */
#include <math.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "server/server_inside.h"
#include "stage/deploy/feedback_take.h"
#include "stage/rollout/run.h"
#include "wire/mlflow/access.h"

typedef enum { LOOK, BEGIN, CHANGE } verb;
typedef struct {
    wr_server *server;
    wr_server_loop *loop;
    wr_http_req *req;
    wr_str name, body;
    verb what;
    bool may_manage;
    int64_t start;
} job;

/* ---- what is asked ---- */

/* One of the list: of a prediction into `item`, or of an arm. */
static int read_reward(wr_feedback_item *item, wr_str *arm, yyjson_val *v, int64_t now, wr_err *err)
{
    *item = (wr_feedback_item){.reward = true, .known_us = now};
    if (!yyjson_is_obj(v)) return wr_err_set(err, WEIR_ETYPE, "it is not an object");
    WR_TRY(wr_json_f64(&item->value, v, "reward", err));
    WR_TRY(wr_json_str_or(&item->id, v, "id", NULL, err));
    WR_TRY(wr_json_str_or(arm, v, "arm", NULL, err));
    if (!isfinite(item->value)) return wr_err_set(err, WEIR_EINVAL, "a reward is a number");
    if (!item->id.n == !arm->n) return wr_err_set(err, WEIR_EINVAL, "it has an id or an arm");
    if (item->id.n > WR_LIMIT_ID) return wr_err_set(err, WEIR_EINVAL, "an id has 1 to %d bytes", WR_LIMIT_ID);
    return 0;
}

typedef struct {
    wr_feedback_item *items; /* of predictions */
    size_t n;
    struct {
        wr_str name;
        double reward;
        size_t at; /* in the list */
    } * arms;
    size_t narms;
} told;

static int read_rewards(told *out, yyjson_val *list, wr_arena *a, wr_err *err)
{
    size_t i, max;
    yyjson_val *v;
    int64_t now = wr_clock_wall_us();
    if (!yyjson_is_arr(list)) return wr_err_set(err, WEIR_ETYPE, "\"rewards\" is a list");
    if (yyjson_arr_size(list) > WR_LIMIT_LABELS)
        return wr_err_set(err, WEIR_ELIMIT, "more than %d rewards in one request", WR_LIMIT_LABELS);
    out->items = wr_arena_alloc(a, (yyjson_arr_size(list) + 1) * sizeof *out->items);
    out->arms = wr_arena_alloc(a, (yyjson_arr_size(list) + 1) * sizeof *out->arms);
    if (!out->items || !out->arms) return wr_err_nomem(err);
    yyjson_arr_foreach(list, i, max, v)
    {
        wr_str arm = {NULL, 0};
        int rc = read_reward(&out->items[out->n], &arm, v, now, err);
        if (rc < 0) return wr_err_wrap(err, rc, "reward %zu", i);
        if (!arm.n) out->n++;
        else {
            out->arms[out->narms].name = arm;
            out->arms[out->narms].at = i;
            out->arms[out->narms++].reward = out->items[out->n].value;
        }
    }
    return 0;
}

/* Those of predictions first, as feedback: so a request that fails at an arm and comes again changes nothing of them.
 */
static int take_rewards(wr_feedback_taken *out, wr_serve *s, wr_str endpoint, const told *t, wr_err *err)
{
    if (t->n) {
        wr_round *r = wr_round_new(s);
        if (!r) return wr_err_nomem(err);
        int rc = wr_serve_feedback(out, r, endpoint, t->items, t->n, err);
        wr_round_free(r);
        if (rc < 0) return rc;
    }
    for (size_t i = 0; i < t->narms; i++) {
        int rc = wr_rollout_reward_arm(s, endpoint, t->arms[i].name, t->arms[i].reward, err);
        if (rc < 0) return wr_err_wrap(err, rc, "reward %zu", t->arms[i].at);
        out->earned++;
    }
    return 0;
}

static int rewards(wr_buf *out, wr_server *s, wr_str endpoint, yyjson_val *list, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    told t = {0};
    wr_feedback_taken taken = {0};
    wr_jsonw w;
    if (!a) return wr_err_nomem(err);
    WR_TRY(read_rewards(&t, list, a, err));
    WR_TRY(take_rewards(&taken, s->serve, endpoint, &t, err));
    wr_jsonw_init(&w, out, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_ki64(&w, "accepted", (int64_t)taken.earned);
    wr_jsonw_ki64(&w, "repeated", (int64_t)taken.repeated);
    wr_jsonw_ki64(&w, "unknown", (int64_t)taken.unknown);
    wr_jsonw_end(&w);
    return 0;
}

static int change(wr_buf *out, const job *j, wr_err *err)
{
    static const char *const actions[] = {"promote", "rollback"};
    WR_AUTOJSON wr_json in = {0};
    wr_str action, arm;
    wr_serve *s = j->server->serve;
    WR_TRY(wr_json_parse(&in, j->body, "request", err));
    if (!yyjson_is_obj(in.root)) return wr_err_set(err, WEIR_ETYPE, "the request is not an object");
    yyjson_val *list = yyjson_obj_get(in.root, "rewards");
    if (list) return rewards(out, j->server, j->name, list, err);
    if (!j->may_manage) return wr_err_set(err, WEIR_EACCESS, "ending a rollout takes MANAGE of the endpoint");
    WR_TRY(wr_json_str(&action, in.root, "action", err));
    WR_TRY(wr_json_str_or(&arm, in.root, "arm", NULL, err));
    if (wr_str_is(action, "promote")) WR_TRY(wr_rollout_promote(s, j->name, arm, err));
    else if (wr_str_is(action, "rollback")) WR_TRY(wr_rollout_back(s, j->name, err));
    else {
        int near = wr_str_nearest(action, actions, 2);
        wr_err_set(err, WEIR_EINVAL, "unknown action \"%.*s\"", WR_STR_FMT(wr_str_fit(action, 50)));
        return wr_err_hint(err, WEIR_EINVAL, near >= 0 ? "did you mean \"%s\"?" : "promote or %s",
                           actions[near >= 0 ? near : 1]);
    }
    return wr_rollout_status(out, s, j->name, err);
}

static int perform(wr_buf *out, const job *j, wr_err *err)
{
    if (j->what == CHANGE) return change(out, j, err);
    if (j->what == BEGIN) WR_TRY(wr_rollout_begin(j->server->serve, j->name, j->body, err));
    return wr_rollout_status(out, j->server->serve, j->name, err);
}

/* ---- off the loop ---- */

static void put_error(wr_buf *out, const wr_err *e)
{
    wr_jsonw w;
    wr_buf_clear(out);
    wr_jsonw_init(&w, out, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_kstr(&w, "error", e->msg);
    if (e->detail[0]) wr_jsonw_kstr(&w, "detail", e->detail);
    if (e->hint[0]) wr_jsonw_kstr(&w, "hint", e->hint);
    wr_jsonw_end(&w);
}

static void run_job(void *ctx, size_t index)
{
    job *j = ctx;
    WR_AUTOBUF wr_buf body = {0};
    wr_err err = {0};
    (void)index;
    int rc = perform(&body, j, &err);
    if (rc < 0) put_error(&body, &err);
    wr_http_reply_opt opt = {.status = rc < 0 ? wr_err_http(rc) : 200};
    wr_server_count(j->loop, WR_KIND_OTHER, opt.status, wr_clock_mono_ns() - j->start);
    wr_http_finish(j->req, &opt, wr_buf_view(&body));
    wr_free(j);
}

/* ---- on the loop ---- */

static bool may(const wr_call *c, wr_permission needs)
{
    wr_err none;
    return wr_asker_may(c->who ? &c->who->access : NULL, c->param, needs, &none) == 0;
}

static void refuse(wr_call *c, wr_permission needs)
{
    wr_err err = {0};
    wr_err_set(&err, WEIR_EACCESS, "the rollout of endpoint \"%.*s\" is not yours to see or change",
               WR_STR_FMT(wr_str_fit(c->param, 100)));
    wr_err_hint(&err, WEIR_EACCESS, "weir user grant USER endpoint NAME %s", wr_permission_name(needs));
    wr_call_err(c, &err);
}

void wr_handle_rollout(wr_call *c)
{
    wr_str method = wr_http_req_head(c->req)->method;
    verb what = wr_str_is(method, "PUT") ? BEGIN : wr_str_is(method, "POST") ? CHANGE : LOOK;
    wr_permission needs = what == BEGIN ? WR_CAN_MANAGE : what == CHANGE ? WR_CAN_EDIT : WR_CAN_USE;
    if (!may(c, needs)) {
        refuse(c, needs);
        return;
    }
    wr_err err = {0};
    job *j = wr_alloc(sizeof *j);
    wr_str name = wr_arena_str(c->arena, c->param);
    bool manages = may(c, WR_CAN_MANAGE);
    if (!j || !name.p) {
        wr_free(j);
        wr_err_nomem(&err);
        wr_call_err(c, &err);
        return;
    }
    wr_call_defer(c);
    *j = (job){.server = c->server,
               .loop = c->loop,
               .req = c->req,
               .name = name,
               .body = c->body,
               .what = what,
               .may_manage = manages,
               .start = wr_clock_mono_ns()};
    if (wr_pool_post(c->server->heavy, run_job, j, 0) == 0) return;
    wr_http_finish(c->req, &(wr_http_reply_opt){.status = 503}, WR_STR("{\"error\":\"out of memory\"}"));
    wr_free(j);
}
