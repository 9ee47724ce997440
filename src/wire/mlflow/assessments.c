/* SPDX-License-Identifier: Apache-2.0 */
/* assessments.c - traces/{}/assessments: feedback, expectations and issues of a trace. */
#include "wire/mlflow/rpcs.h"
#include "wire/mlflow/trace_json.h"

static int create(wr_mlflow_call *c, wr_err *err)
{
    wr_assessment x;
    WR_TRY(wr_mlflow_read_assessment(&x, c->arena, wr_mlflow_val(c, "assessment"), err));
    x.trace = c->segment[0];
    WR_TRY(wr_assessment_create(c->track, c->arena, &x, err));
    wr_mlflow_put_assessment(&c->w, "assessment", &x);
    return 0;
}

static int get(wr_mlflow_call *c, wr_err *err)
{
    wr_assessment x;
    WR_TRY(wr_assessment_get(&x, c->arena, c->track, c->segment[0], c->segment[1], err));
    wr_mlflow_put_assessment(&c->w, "assessment", &x);
    return 0;
}

/* Is `name` (of protobuf) among the paths? A mask is a text with commas in between and names as JSON has them; or
 * {"paths": [...]}. */
static bool masked(yyjson_val *mask, const char *name, const char *camel)
{
    yyjson_val *v, *paths = yyjson_obj_get(mask, "paths");
    size_t i, max;
    wr_str rest = {yyjson_get_str(mask), yyjson_get_len(mask)};
    while (rest.p) {
        wr_str path = wr_str_trim(wr_str_cut(&rest, ','));
        if (wr_str_is(path, name) || wr_str_is(path, camel)) return true;
    }
    yyjson_arr_foreach(paths, i, max, v) if (yyjson_equals_str(v, name) || yyjson_equals_str(v, camel)) return true;
    return false;
}

/* The old ones, overwritten by the new. */
static int merge_metadata(wr_assessment *x, wr_arena *a, yyjson_val *more, wr_err *err)
{
    WR_AUTOJSON wr_json old = {0};
    WR_AUTOBUF wr_buf b = {0};
    wr_jsonw w;
    yyjson_val *k, *v;
    size_t i, max;
    if (x->metadata.p) WR_TRY(wr_json_parse(&old, x->metadata, "metadata", err));
    wr_jsonw_init(&w, &b, 0);
    wr_jsonw_obj(&w);
    yyjson_obj_foreach(old.root, i, max, k, v)
    {
        if (yyjson_obj_getn(more, yyjson_get_str(k), yyjson_get_len(k))) continue;
        wr_jsonw_key(&w, yyjson_get_str(k));
        wr_jsonw_val(&w, v);
    }
    yyjson_obj_foreach(more, i, max, k, v)
    {
        if (!yyjson_is_str(v)) continue;
        wr_jsonw_key(&w, yyjson_get_str(k));
        wr_jsonw_val(&w, v);
    }
    wr_jsonw_end(&w);
    x->metadata = b.n > 2 ? wr_arena_str(a, wr_buf_view(&b)) : (wr_str){NULL, 0};
    return b.failed || wr_arena_failed(a) ? wr_err_nomem(err) : 0;
}

static int update_value(wr_assessment *x, wr_mlflow_call *c, yyjson_val *in, yyjson_val *mask, wr_err *err)
{
    wr_assessment next = {0};
    bool feedback = masked(mask, "feedback", "feedback"), expectation = masked(mask, "expectation", "expectation");
    if (!feedback && !expectation) return 0;
    if (feedback && expectation)
        return wr_err_set(err, WEIR_EINVAL, "Cannot specify both `expectation` and `feedback` parameters.");
    if (expectation && x->kind != WR_ASSESS_EXPECTATION)
        return wr_err_set(err, WEIR_EINVAL, "Cannot update expectation value on a Feedback assessment.");
    if (feedback && x->kind == WR_ASSESS_EXPECTATION)
        return wr_err_set(err, WEIR_EINVAL, "Cannot update feedback value on an Expectation assessment.");
    WR_TRY(wr_mlflow_read_judgement(&next, c->arena, in, err));
    x->value = next.value;
    x->error = next.error;
    return 0;
}

static int update(wr_mlflow_call *c, wr_err *err)
{
    wr_assessment x;
    yyjson_val *in = wr_mlflow_val(c, "assessment"), *mask = wr_mlflow_val(c, "update_mask");
    WR_TRY(wr_assessment_get(&x, c->arena, c->track, c->segment[0], c->segment[1], err));
    if (masked(mask, "assessment_name", "assessmentName")) x.name = wr_mlflow_member_str(in, "assessment_name");
    WR_TRY(update_value(&x, c, in, mask, err));
    if (masked(mask, "rationale", "rationale") && x.kind != WR_ASSESS_EXPECTATION)
        x.rationale = wr_mlflow_member_str(in, "rationale");
    if (masked(mask, "metadata", "metadata"))
        WR_TRY(merge_metadata(&x, c->arena, wr_mlflow_member(in, "metadata"), err));
    x.updated_ms = wr_track_now_ms();
    WR_TRY(wr_assessment_update(c->track, &x, err));
    wr_mlflow_put_assessment(&c->w, "assessment", &x);
    return 0;
}

static int delete (wr_mlflow_call *c, wr_err *err)
{
    return wr_assessment_delete(c->track, c->arena, c->segment[0], c->segment[1], err);
}

static const wr_mlflow_rpc rpcs[] = {
    {"POST", "3.0/mlflow/traces/{}/assessments", WR_MLFLOW_WRITE, create, {{"assessment", 'o', true}}},
    {"GET", "3.0/mlflow/traces/{}/assessments/{}", WR_MLFLOW_READ, get, {{0}}},
    {"PATCH",
     "3.0/mlflow/traces/{}/assessments/{}",
     WR_MLFLOW_WRITE,
     update,
     {{"assessment", 'o', true}, {"update_mask", '*', true}}},
    {"DELETE", "3.0/mlflow/traces/{}/assessments/{}", WR_MLFLOW_WRITE, delete, {{0}}},
};
const wr_mlflow_rpcs wr_mlflow_assessments = {rpcs, sizeof rpcs / sizeof *rpcs};
