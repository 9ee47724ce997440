/* SPDX-License-Identifier: Apache-2.0 */
/* mlflow_http_trace.c - traces as the server writes them: MLflow 2's form and MLflow 3's; spans by the page's own
 * route. */
#include <math.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/num.h"
#include "codec/base64.h"
#include "stage/import/mlflow_http.h"

enum { DEPTH = 64 };

/* JSON as Python's json.dumps(ensure_ascii=False) spaces it: searches look into the text of spans. */
static void dump(wr_buf *out, yyjson_val *v, int depth)
{
    size_t i, max;
    yyjson_val *k, *x;
    if (depth > DEPTH) {
        out->failed = true;
    } else if (yyjson_is_str(v)) {
        wr_span_json_str(out, (wr_str){yyjson_get_str(v), yyjson_get_len(v)});
    } else if (yyjson_is_obj(v)) {
        wr_buf_char(out, '{');
        yyjson_obj_foreach(v, i, max, k, x)
        {
            if (i) wr_buf_str(out, ", ");
            dump(out, k, depth + 1);
            wr_buf_str(out, ": ");
            dump(out, x, depth + 1);
        }
        wr_buf_char(out, '}');
    } else if (yyjson_is_arr(v)) {
        wr_buf_char(out, '[');
        yyjson_arr_foreach(v, i, max, x)
        {
            if (i) wr_buf_str(out, ", ");
            dump(out, x, depth + 1);
        }
        wr_buf_char(out, ']');
    } else if (yyjson_is_uint(v)) {
        wr_buf_printf(out, "%llu", (unsigned long long)yyjson_get_uint(v));
    } else if (yyjson_is_sint(v)) {
        wr_buf_i64(out, yyjson_get_sint(v));
    } else if (yyjson_is_real(v)) {
        double d = yyjson_get_real(v);
        if (isfinite(d)) wr_buf_f64(out, d);
        else wr_buf_str(out, isnan(d) ? "NaN" : d > 0 ? "Infinity" : "-Infinity");
    } else {
        wr_buf_str(out, yyjson_is_true(v) ? "true" : yyjson_is_false(v) ? "false" : "null");
    }
}

static wr_str dumped(wr_arena *a, yyjson_val *v, wr_err *err, int *rc)
{
    WR_AUTOBUF wr_buf out = {0};
    dump(&out, v, 0);
    if (out.failed) *rc = wr_err_set(err, WEIR_ELIMIT, "a value of a trace is nested too deep");
    return wr_arena_str(a, wr_buf_view(&out));
}

/* ---- spans ---- */

/* base64 -> hexadecimal; p NULL when it is none. */
static wr_str span_id(wr_arena *a, yyjson_val *v)
{
    WR_AUTOBUF wr_buf bytes = {0};
    char *hex = wr_arena_alloc(a, 17);
    if (!hex || !yyjson_is_str(v) || !wr_base64_decode(&bytes, (wr_str){yyjson_get_str(v), yyjson_get_len(v)}) ||
        bytes.n != 8)
        return (wr_str){NULL, 0};
    wr_hex(hex, bytes.p, 8);
    return (wr_str){hex, 16};
}

int wr_mlflowhttp_span(wr_span *out, wr_arena *a, yyjson_val *v, wr_err *err)
{
    int rc = 0;
    yyjson_val *parent = yyjson_obj_get(v, "parent_span_id");
    wr_str id = span_id(a, yyjson_obj_get(v, "span_id")), content = dumped(a, v, err, &rc);
    if (rc < 0) return rc;
    bool root = !parent || yyjson_is_null(parent) || yyjson_get_len(parent) == 0;
    wr_str above = root ? (wr_str){NULL, 0} : span_id(a, parent);
    if (!id.p || (!root && !above.p)) return wr_err_set(err, WEIR_EPARSE, "the server gives a span without an id");
    return wr_import_span(out, a, id, above, content, err);
}

static int load_spans(wr_import_trace_row *out, wr_arena *a, wr_mlflowhttp *m, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    WR_AUTOBUF wr_buf url = {0};
    size_t i, max;
    yyjson_val *v;
    wr_buf_str(&url, "/ajax-api/2.0/mlflow/get-trace-artifact?request_id=");
    wr_mlflowhttp_encode(&url, out->trace.uuid, false);
    WR_TRY(wr_mlflowhttp_ask(&j, m, wr_buf_cstr(&url), (wr_str){NULL, 0}, err));
    yyjson_val *list = yyjson_obj_get(j.root, "spans");
    wr_span_trace *t = wr_arena_calloc(a, 1, sizeof *t);
    wr_span *spans = wr_arena_calloc(a, yyjson_arr_size(list) + 1, sizeof *spans);
    if (!t || !spans) return wr_err_nomem(err);
    *t = (wr_span_trace){
        .uuid = out->trace.uuid, .spans = spans, .root = -1, .start_ms = out->trace.time_ms, .end_ms = WR_SPAN_NO_END};
    yyjson_arr_foreach(list, i, max, v)
    {
        WR_TRY(wr_mlflowhttp_span(&spans[t->n], a, v, err));
        t->usage |= spans[t->n].usage.p != NULL;
        t->cost |= spans[t->n].cost.p != NULL;
        t->n++;
    }
    out->spans = (wr_span_batch){.traces = t, .n = t->n ? 1 : 0, .nspans = t->n};
    return 0;
}

/* ---- assessments ---- */

static int64_t time_ms(yyjson_val *obj, const char *key)
{
    int64_t us;
    wr_str text = wr_mlflowhttp_text(NULL, obj, key);
    return text.p && wr_time_parse(&us, text, NULL) == 0 ? us / 1000 : wr_mlflowhttp_int(obj, key, 0);
}

static int assessment(wr_assessment *out, wr_arena *a, yyjson_val *v, wr_str trace, wr_err *err)
{
    int rc = 0;
    yyjson_val *feedback = yyjson_obj_get(v, "feedback"), *expectation = yyjson_obj_get(v, "expectation"),
               *issue = yyjson_obj_get(v, "issue");
    yyjson_val *source = yyjson_obj_get(v, "source"), *of = feedback ? feedback : expectation ? expectation : issue;
    yyjson_val *serialized = yyjson_obj_get(of, "serialized_value"), *error = yyjson_obj_get(of, "error"),
               *valid = yyjson_obj_get(v, "valid");
    yyjson_val *metadata = yyjson_obj_get(v, "metadata");
    *out = (wr_assessment){.id = wr_mlflowhttp_word(a, v, "assessment_id"),
                           .trace = trace,
                           .name = wr_mlflowhttp_word(a, v, "assessment_name"),
                           .kind = feedback      ? WR_ASSESS_FEEDBACK
                                   : expectation ? WR_ASSESS_EXPECTATION
                                                 : WR_ASSESS_ISSUE,
                           .created_ms = time_ms(v, "create_time"),
                           .updated_ms = time_ms(v, "last_update_time"),
                           .source_type = wr_mlflowhttp_word(a, source, "source_type"),
                           .source_id = wr_mlflowhttp_text(a, source, "source_id"),
                           .span = wr_mlflowhttp_text(a, v, "span_id"),
                           .rationale = wr_mlflowhttp_text(a, v, "rationale"),
                           .overrides = wr_mlflowhttp_text(a, v, "overrides"),
                           .valid = !yyjson_is_false(valid)};
    out->value =
        serialized ? wr_mlflowhttp_word(a, serialized, "value") : dumped(a, yyjson_obj_get(of, "value"), err, &rc);
    if (rc == 0 && error) out->error = dumped(a, error, err, &rc);
    if (rc == 0 && metadata) out->metadata = dumped(a, metadata, err, &rc);
    return rc;
}

static int load_assessments(wr_trace *t, wr_arena *a, yyjson_val *list, wr_err *err)
{
    size_t i, max;
    yyjson_val *v;
    t->assessments = wr_arena_calloc(a, yyjson_arr_size(list) + 1, sizeof *t->assessments);
    if (!t->assessments) return wr_err_nomem(err);
    yyjson_arr_foreach(list, i, max, v) WR_TRY(assessment(&t->assessments[t->nassessments++], a, v, t->uuid, err));
    return 0;
}

/* ---- traces ---- */

/* "0.002s" */
static int64_t duration_ms(yyjson_val *v)
{
    double s;
    wr_str text = yyjson_is_str(v) ? (wr_str){yyjson_get_str(v), yyjson_get_len(v)} : (wr_str){NULL, 0};
    if (text.n < 2 || text.p[text.n - 1] != 's') return WR_TRACE_NONE;
    if (wr_num_f64(&s, wr_str_sub(text, 0, text.n - 1), NULL) < 0 || !(fabs(s) < 1e12)) return WR_TRACE_NONE;
    return (int64_t)llround(s * 1000);
}

static int new_form(wr_trace *t, wr_arena *a, yyjson_val *v, wr_err *err)
{
    yyjson_val *at = yyjson_obj_get(yyjson_obj_get(v, "trace_location"), "mlflow_experiment");
    *t = (wr_trace){.uuid = wr_mlflowhttp_word(a, v, "trace_id"),
                    .experiment = wr_mlflowhttp_int(at, "experiment_id", -1),
                    .time_ms = time_ms(v, "request_time"),
                    .duration_ms = duration_ms(yyjson_obj_get(v, "execution_duration")),
                    .state = wr_trace_state_parse(wr_mlflowhttp_word(NULL, v, "state")),
                    .client_request_id = wr_mlflowhttp_text(a, v, "client_request_id"),
                    .request_preview = wr_mlflowhttp_text(a, v, "request_preview"),
                    .response_preview = wr_mlflowhttp_text(a, v, "response_preview")};
    WR_TRY(wr_mlflowhttp_items(&t->metadata, &t->nmetadata, a, yyjson_obj_get(v, "trace_metadata"), err));
    return load_assessments(t, a, yyjson_obj_get(v, "assessments"), err);
}

static int old_form(wr_trace *t, wr_arena *a, yyjson_val *v, wr_err *err)
{
    *t = (wr_trace){.uuid = wr_mlflowhttp_word(a, v, "request_id"),
                    .experiment = wr_mlflowhttp_int(v, "experiment_id", -1),
                    .time_ms = wr_mlflowhttp_int(v, "timestamp_ms", 0),
                    .duration_ms = wr_mlflowhttp_int(v, "execution_time_ms", WR_TRACE_NONE),
                    .state = wr_trace_state_parse(wr_mlflowhttp_word(NULL, v, "status"))};
    return wr_mlflowhttp_items(&t->metadata, &t->nmetadata, a, yyjson_obj_get(v, "request_metadata"), err);
}

int wr_mlflowhttp_trace(wr_import_trace_row *out, wr_arena *a, wr_mlflowhttp *m, yyjson_val *v, wr_err *err)
{
    wr_trace *t = &out->trace;
    *out = (wr_import_trace_row){0};
    WR_TRY(m->v3_traces ? new_form(t, a, v, err) : old_form(t, a, v, err));
    if (t->state < 0) t->state = WR_TRACE_UNSPECIFIED;
    WR_TRY(wr_mlflowhttp_items(&t->tags, &t->ntags, a, yyjson_obj_get(v, "tags"), err));
    for (size_t i = 0; i < t->ntags; i++)
        if (wr_str_is(t->tags[i].key, "mlflow.trace.spansLocation") && wr_str_is(t->tags[i].value, WR_TRACE_IN_STORE))
            return load_spans(out, a, m, err);
    return 0;
}
