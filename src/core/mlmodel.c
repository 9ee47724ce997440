/* SPDX-License-Identifier: Apache-2.0 */
/* mlmodel.c - MLmodel: its YAML, and the JSON in its signature. */
#include "core/mlmodel.h"

#include "base/limits.h"
#include "codec/json.h"
#include "codec/yaml.h"

static const char *text_of(wr_str s) { return s.p ? s.p : NULL; }

static void join_flavors(wr_buf *out, const wr_yaml *flavors)
{
    if (!flavors || flavors->kind != WR_YAML_MAP) return;
    for (size_t i = 0; i < flavors->n; i++) wr_buf_printf(out, "%s%s", i ? ", " : "", flavors->keys[i]->text.p);
}

/* ---- types ---- */

static const char *member(yyjson_val *v, const char *key)
{
    const char *s = yyjson_get_str(yyjson_obj_get(v, key));
    return s ? s : "?";
}

static bool optional(yyjson_val *v)
{
    yyjson_val *required = yyjson_obj_get(v, "required"), *old = yyjson_obj_get(v, "optional");
    return yyjson_is_false(required) || yyjson_is_true(old);
}

static void tensor(wr_buf *out, yyjson_val *v)
{
    yyjson_val *spec = yyjson_obj_get(v, "tensor-spec"), *shape = yyjson_obj_get(spec, "shape");
    wr_jsonw w;
    wr_buf_str(out, member(spec, "dtype"));
    wr_jsonw_init(&w, out, 0);
    if (yyjson_is_arr(shape)) wr_jsonw_val(&w, shape);
}

/* The JSON is at most WR_LIMIT_JSON_DEPTH deep, and so is this. */
static void type_text(wr_buf *out, yyjson_val *v)
{
    yyjson_val *type = yyjson_obj_get(v, "type"), *key, *p;
    size_t i, max;
    const char *name = yyjson_is_str(type) ? yyjson_get_str(type) : member(v, "dtype");
    if (yyjson_is_str(v)) {
        wr_buf_str(out, yyjson_get_str(v));
    } else if (strcmp(name, "tensor") == 0) {
        tensor(out, v);
    } else if (strcmp(name, "array") == 0 || strcmp(name, "map") == 0) {
        wr_buf_printf(out, "%s<", name);
        type_text(out, yyjson_obj_get(v, name[0] == 'a' ? "items" : "values"));
        wr_buf_char(out, '>');
    } else if (strcmp(name, "object") == 0) {
        wr_buf_char(out, '{');
        yyjson_obj_foreach(yyjson_obj_get(v, "properties"), i, max, key, p)
        {
            wr_buf_printf(out, "%s%s%s: ", i ? ", " : "", yyjson_get_str(key), optional(p) ? "?" : "");
            type_text(out, p);
        }
        wr_buf_char(out, '}');
    } else {
        wr_buf_str(out, name);
    }
}

static int column(wr_mlmodel_column *out, wr_arena *a, yyjson_val *v, wr_err *err)
{
    WR_AUTOBUF wr_buf type, value;
    yyjson_val *name = yyjson_obj_get(v, "name"), *fallback = yyjson_obj_get(v, "default");
    wr_jsonw w;
    wr_buf_init(&type, WR_MLMODEL_MAX);
    wr_buf_init(&value, WR_MLMODEL_MAX);
    type_text(&type, v);
    wr_jsonw_init(&w, &value, 0);
    if (fallback) wr_jsonw_val(&w, fallback);
    *out = (wr_mlmodel_column){.name = wr_arena_strdup(a, yyjson_is_str(name) ? yyjson_get_str(name) : ""),
                               .type = wr_arena_strdup(a, wr_buf_cstr(&type)),
                               .value = fallback ? wr_arena_strdup(a, wr_buf_cstr(&value)) : NULL,
                               .optional = optional(v)};
    return type.failed || value.failed || wr_arena_failed(a) ? wr_err_nomem(err) : 0;
}

/* One side of the signature: a string with a JSON list of columns, or null. */
static int columns(wr_mlmodel_columns *out, wr_arena *a, const wr_yaml *signature, const char *key, const char *what,
                   wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    yyjson_val *v;
    wr_str text;
    size_t i, max;
    WR_TRY(wr_yaml_get_str(&text, signature, key, NULL, err));
    if (!text.p) return 0;
    int rc = wr_json_parse_lenient(&j, text, err);
    if (rc < 0) return wr_err_wrap(err, rc, "%s: %s of the signature", what, key);
    if (!yyjson_is_arr(j.root)) return wr_err_set(err, WEIR_ETYPE, "%s: %s of the signature is no list", what, key);
    if (yyjson_arr_size(j.root) > WR_MLMODEL_COLUMNS)
        return wr_err_set(err, WEIR_ELIMIT, "%s: %s of the signature has more than %d columns", what, key,
                          WR_MLMODEL_COLUMNS);
    out->at = wr_arena_calloc(a, yyjson_arr_size(j.root) + 1, sizeof *out->at);
    if (!out->at) return wr_err_nomem(err);
    yyjson_arr_foreach(j.root, i, max, v) WR_TRY(column(&out->at[out->n++], a, v, err));
    return 0;
}

int wr_mlmodel_parse(wr_mlmodel *out, wr_arena *a, wr_str text, const char *what, wr_err *err)
{
    WR_AUTOBUF wr_buf flavors;
    wr_yaml *y;
    wr_str version, uuid, run;
    *out = (wr_mlmodel){0};
    wr_buf_init(&flavors, 0);
    if (text.n > WR_MLMODEL_MAX)
        return wr_err_set(err, WEIR_ELIMIT, "%s is larger than %d bytes", what, WR_MLMODEL_MAX);
    WR_TRY(wr_yaml_parse(&y, a, text, what, err));
    if (y->kind != WR_YAML_MAP) return wr_yaml_error(y, WEIR_ETYPE, err, "this is no MLmodel");
    WR_TRY(wr_yaml_get_str(&version, y, "mlflow_version", NULL, err));
    WR_TRY(wr_yaml_get_str(&uuid, y, "model_uuid", NULL, err));
    WR_TRY(wr_yaml_get_str(&run, y, "run_id", NULL, err));
    out->mlflow_version = text_of(version);
    out->model_uuid = text_of(uuid);
    out->run_id = text_of(run);
    join_flavors(&flavors, wr_yaml_get(y, "flavors"));
    out->flavors = wr_arena_strdup(a, wr_buf_cstr(&flavors));
    if (flavors.failed || !out->flavors) return wr_err_nomem(err);
    const wr_yaml *signature = wr_yaml_get(y, "signature");
    if (wr_yaml_null(signature)) return 0;
    out->has_signature = true;
    WR_TRY(columns(&out->inputs, a, signature, "inputs", what, err));
    WR_TRY(columns(&out->outputs, a, signature, "outputs", what, err));
    return columns(&out->params, a, signature, "params", what, err);
}
