/* SPDX-License-Identifier: Apache-2.0 */
/* import_trace.c - traces of another store. */
#include "codec/json.h"
#include "base/chars.h"
#include "track/import.h"
#include "track/trace_inside.h"

static bool hex_id(uint64_t *out, wr_str text)
{
    *out = 0;
    if (wr_str_starts(text, "0x")) text = (wr_str){text.p + 2, text.n - 2};
    if (!text.n || text.n > 16) return false;
    for (size_t i = 0; i < text.n; i++) {
        int digit = wr_hex_digit(text.p[i]);
        if (digit < 0) return false;
        *out = *out << 4 | (uint64_t)digit;
    }
    return true;
}

static wr_str text_of(wr_arena *a, yyjson_val *v)
{
    return yyjson_is_str(v) ? wr_arena_str(a, (wr_str){yyjson_get_str(v), yyjson_get_len(v)}) : (wr_str){NULL, 0};
}

/* Attributes are JSON texts in a JSON text. */
static wr_str attribute(wr_arena *a, yyjson_val *attributes, const char *key)
{
    wr_str text = text_of(a, yyjson_obj_get(attributes, key));
    return text.p ? wr_span_attr_text(a, text) : text;
}

static int status_of(yyjson_val *root)
{
    yyjson_val *code = yyjson_obj_get(yyjson_obj_get(root, "status"), "code");
    const char *name = yyjson_is_str(code) ? yyjson_get_str(code) : "";
    if (yyjson_is_num(code)) return (int)yyjson_get_num(code) & 3;
    return strstr(name, "ERROR") ? 2 : strstr(name, "OK") ? 1 : 0;
}

int wr_import_span(wr_span *out, wr_arena *a, wr_str id, wr_str parent, wr_str content, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    *out = (wr_span){.root = !parent.p, .content = wr_arena_str(a, content)};
    if (!hex_id(&out->id, id) || (parent.p && !hex_id(&out->parent, parent)))
        return wr_err_set(err, WEIR_EPARSE, "\"%.*s\" is no id of a span", WR_STR_FMT(wr_str_fit(id, 40)));
    WR_TRY(wr_json_parse_lenient(&j, content, err));
    yyjson_val *attributes = yyjson_obj_get(j.root, "attributes");
    out->name = text_of(a, yyjson_obj_get(j.root, "name"));
    if (!out->name.p) out->name = WR_STR("");
    out->status = status_of(j.root);
    out->start_ns = yyjson_get_sint(yyjson_obj_get(j.root, "start_time_unix_nano"));
    out->end_ns = yyjson_get_sint(yyjson_obj_get(j.root, "end_time_unix_nano"));
    out->type = attribute(a, attributes, "mlflow.spanType");
    out->usage = text_of(a, yyjson_obj_get(attributes, "mlflow.chat.tokenUsage"));
    out->cost = text_of(a, yyjson_obj_get(attributes, "mlflow.llm.cost"));
    out->model = attribute(a, attributes, "mlflow.llm.model");
    out->provider = attribute(a, attributes, "mlflow.llm.provider");
    return wr_arena_failed(a) ? wr_err_nomem(err) : 0;
}

int wr_import_trace(bool *made, wr_arena *a, wr_track *t, const wr_trace *in, const wr_span_batch *spans, wr_err *err)
{
    wr_err none = {0};
    wr_trace there, put;
    int rc = wr_trace_get(&there, a, t, in->uuid, &none);
    if (rc < 0 && rc != WEIR_ENOTFOUND) return wr_err_set(err, rc, "%s", none.msg);
    *made = rc == WEIR_ENOTFOUND;
    if (!*made && there.state != WR_TRACE_IN_PROGRESS) return 0;
    if (!wr_trace_uuid_ok(in->uuid))
        return wr_err_set(err, WEIR_EINVAL, "\"%.*s\" is no id of a trace", WR_STR_FMT(wr_str_fit(in->uuid, 60)));
    if (spans && spans->nspans) WR_TRY(wr_trace_log_spans(t, a, in->experiment, spans, err));
    WR_TRY(wr_trace_start(&put, a, t, in, err));
    for (size_t i = 0; i < in->nmetadata; i++)
        if (wr_str_is(in->metadata[i].key, "mlflow.trace.infoFinalized")) return 0;
    rc = wr_track_exec(t, err, "UPDATE track_traces SET finalized = 0 WHERE id = ?", "i",
                       put.id); /* MLflow 2 says nothing of that */
    return rc < 0 ? rc : 0;
}
