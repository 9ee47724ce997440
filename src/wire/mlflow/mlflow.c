/* SPDX-License-Identifier: Apache-2.0 */
/* mlflow.c - from a request to its procedure and back: look-up, parsing, checking of fields, errors. */
#include "wire/mlflow/mlflow.h"

#include <math.h>
#include <pthread.h>

#include "base/limits.h"
#include "base/map.h"
#include "base/num.h"
#include "codec/http.h"
#include "store/artifacts.h"
#include "wire/mlflow/access.h"

/* ---- finding ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static wr_map exact; /* "METHOD path" of procedures without {} */

static void index_rpcs(void)
{
    char key[256];
    for (size_t t = 0; t < wr_mlflow_tables_count; t++)
        for (size_t i = 0; i < wr_mlflow_tables[t]->n; i++) {
            const wr_mlflow_rpc *r = &wr_mlflow_tables[t]->at[i];
            if (strpbrk(r->path, "{*")) continue;
            int n = snprintf(key, sizeof key, "%s %s", r->method, r->path);
            (void)wr_map_put(&exact, (wr_str){key, (size_t)n}, (void *)(uintptr_t)r);
        }
}

static bool matches(const char *pattern, wr_str path, wr_str segment[WR_MLFLOW_SEGMENTS])
{
    size_t k = 0;
    while (*pattern) {
        if (*pattern == '*') {
            segment[k] = path;
            return path.n > 0;
        }
        if (*pattern == '{') {
            size_t n = 0;
            while (n < path.n && path.p[n] != '/') n++;
            if (!n || k == WR_MLFLOW_SEGMENTS) return false;
            segment[k++] = (wr_str){path.p, n};
            path = wr_str_sub(path, n, path.n);
            pattern += 2;
            continue;
        }
        if (!path.n || *path.p != *pattern) return false;
        path = wr_str_sub(path, 1, path.n);
        pattern++;
    }
    return path.n == 0;
}

static const wr_mlflow_rpc *find_pattern(wr_str method, wr_str path, wr_str segment[WR_MLFLOW_SEGMENTS], bool *known)
{
    for (size_t t = 0; t < wr_mlflow_tables_count; t++)
        for (size_t i = 0; i < wr_mlflow_tables[t]->n; i++) {
            const wr_mlflow_rpc *r = &wr_mlflow_tables[t]->at[i];
            if (!matches(r->path, path, segment)) continue;
            if (wr_str_is(method, r->method)) return r;
            *known = true;
        }
    return NULL;
}

const wr_mlflow_rpc *wr_mlflow_find(wr_str method, wr_str path, wr_str segment[WR_MLFLOW_SEGMENTS], bool *known)
{
    char key[256];
    *known = false;
    if (wr_str_starts(path, "/api/")) path = wr_str_sub(path, 5, path.n);
    else if (wr_str_starts(path, "/ajax-api/")) path = wr_str_sub(path, 10, path.n);
    if (wr_str_is(method, "HEAD")) method = WR_STR("GET");
    if (method.n + path.n + 1 > sizeof key) return NULL;
    pthread_once(&once, index_rpcs);
    memcpy(key, method.p, method.n);
    key[method.n] = ' ';
    memcpy(key + method.n + 1, path.p, path.n);
    const wr_mlflow_rpc *r = wr_map_get(&exact, (wr_str){key, method.n + 1 + path.n});
    return r ? r : find_pattern(method, path, segment, known);
}

/* ---- values ---- */

static bool present(yyjson_val *v) { return v && !yyjson_is_null(v); }

yyjson_val *wr_mlflow_val(const wr_mlflow_call *c, const char *name)
{
    yyjson_val *v = yyjson_obj_get(c->in, name);
    return present(v) ? v : NULL;
}

wr_str wr_mlflow_str_of(yyjson_val *obj, const char *name)
{
    yyjson_val *v = yyjson_obj_get(obj, name);
    return yyjson_is_str(v) ? (wr_str){yyjson_get_str(v), yyjson_get_len(v)} : (wr_str){NULL, 0};
}

wr_str wr_mlflow_str(const wr_mlflow_call *c, const char *name)
{
    if (c->scanned) return strcmp(name, "run_id") == 0 ? c->scanned->run_id : (wr_str){NULL, 0};
    wr_str s = wr_mlflow_str_of(c->in, name);
    if (!s.n && strcmp(name, "run_id") == 0) return wr_mlflow_str_of(c->in, "run_uuid"); /* its name in old clients */
    return s;
}

bool wr_mlflow_i64_of(int64_t *out, yyjson_val *v)
{
    if (yyjson_is_int(v)) {
        if (yyjson_is_uint(v) && yyjson_get_uint(v) > INT64_MAX) return false;
        *out = yyjson_get_sint(v);
        return true;
    }
    if (yyjson_is_real(v)) {
        double d = yyjson_get_real(v);
        if (!(fabs(d) <= 9007199254740992.0) || d != floor(d)) return false;
        *out = (int64_t)d;
        return true;
    }
    return yyjson_is_str(v) && wr_num_i64(out, (wr_str){yyjson_get_str(v), yyjson_get_len(v)}, NULL) == 0;
}

bool wr_mlflow_f64_of(double *out, yyjson_val *v)
{
    if (yyjson_is_num(v)) {
        *out = yyjson_get_num(v);
        return true;
    }
    if (!yyjson_is_str(v)) return false;
    wr_str s = {yyjson_get_str(v), yyjson_get_len(v)};
    if (wr_str_is(s, "Infinity")) *out = INFINITY;
    else if (wr_str_is(s, "-Infinity")) *out = -INFINITY;
    else return wr_num_f64(out, s, NULL) == 0;
    return true;
}

int64_t wr_mlflow_i64(const wr_mlflow_call *c, const char *name, int64_t fallback)
{
    int64_t v = fallback;
    (void)wr_mlflow_i64_of(&v, yyjson_obj_get(c->in, name));
    return v;
}

double wr_mlflow_f64(const wr_mlflow_call *c, const char *name, double fallback)
{
    double v = fallback;
    (void)wr_mlflow_f64_of(&v, yyjson_obj_get(c->in, name));
    return v;
}

bool wr_mlflow_bool(const wr_mlflow_call *c, const char *name, bool fallback)
{
    yyjson_val *v = yyjson_obj_get(c->in, name);
    if (yyjson_is_bool(v)) return yyjson_get_bool(v);
    if (yyjson_is_str(v)) return wr_str_ieq((wr_str){yyjson_get_str(v), yyjson_get_len(v)}, "true");
    return fallback;
}

int wr_mlflow_strs(wr_str **out, size_t *n, wr_mlflow_call *c, const char *name, wr_err *err)
{
    yyjson_val *v = wr_mlflow_val(c, name), *e;
    size_t i, max, count = yyjson_is_arr(v) ? yyjson_arr_size(v) : v ? 1 : 0;
    *n = 0;
    *out = wr_arena_calloc(c->arena, count ? count : 1, sizeof **out);
    if (!*out) return wr_err_nomem(err);
    if (!v) return 0;
    if (yyjson_is_str(v)) {
        (*out)[(*n)++] = (wr_str){yyjson_get_str(v), yyjson_get_len(v)};
        return 0;
    }
    yyjson_arr_foreach(v, i, max, e)
    {
        if (!yyjson_is_str(e)) return wr_mlflow_invalid(err, name, v, NULL);
        (*out)[(*n)++] = (wr_str){yyjson_get_str(e), yyjson_get_len(e)};
    }
    return yyjson_is_arr(v) ? 0 : wr_mlflow_invalid(err, name, v, NULL);
}

int wr_mlflow_items(wr_track_item **out, size_t *n, wr_mlflow_call *c, const char *name, wr_err *err)
{
    yyjson_val *v = wr_mlflow_val(c, name), *e;
    size_t i, max;
    char path[96];
    *n = 0;
    *out = wr_arena_calloc(c->arena, yyjson_arr_size(v) + 1, sizeof **out);
    if (!*out) return wr_err_nomem(err);
    if (v && !yyjson_is_arr(v)) return wr_mlflow_invalid(err, name, v, NULL);
    yyjson_arr_foreach(v, i, max, e)
    {
        wr_track_item *item = &(*out)[(*n)++];
        *item = (wr_track_item){wr_mlflow_str_of(e, "key"), wr_mlflow_str_of(e, "value")};
        snprintf(path, sizeof path, "%s[%zu].key", name, i);
        if (!item->key.n) return wr_mlflow_missing(err, path);
        snprintf(path, sizeof path, "%s[%zu].value", name, i);
        yyjson_val *value = yyjson_obj_get(e, "value");
        if (!item->value.p && present(value)) return wr_mlflow_invalid(err, path, value, NULL);
        if (!item->value.p) item->value = WR_STR("");
    }
    return 0;
}

int wr_mlflow_experiment_id(int64_t *out, wr_str text, wr_err *err)
{
    if (wr_num_i64(out, text, NULL) == 0) return 0;
    return wr_err_set(err, WEIR_EINVAL, "Invalid experiment ID '%.*s'. Experiment ID must be a valid integer.",
                      WR_STR_FMT(wr_str_fit(text, 100)));
}

int wr_mlflow_view(int *out, wr_mlflow_call *c, const char *name, wr_err *err)
{
    static const char *const names[] = {"ACTIVE_ONLY", "DELETED_ONLY", "ALL"};
    yyjson_val *v = wr_mlflow_val(c, name);
    int64_t number;
    *out = 1;
    if (!v) return 0;
    for (int i = 0; yyjson_is_str(v) && i < 3; i++)
        if (strcmp(yyjson_get_str(v), names[i]) == 0) {
            *out = i + 1;
            return 0;
        }
    if (!wr_mlflow_i64_of(&number, v) || number < 1 || number > 3)
        return wr_mlflow_invalid(err, name, v, "Expected ACTIVE_ONLY, DELETED_ONLY or ALL.");
    *out = (int)number;
    return 0;
}

int wr_mlflow_experiment_ids(int64_t **out, size_t *n, wr_mlflow_call *c, wr_err *err)
{
    wr_str *texts;
    size_t count;
    *n = 0;
    WR_TRY(wr_mlflow_strs(&texts, &count, c, "experiment_ids", err));
    *out = wr_arena_alloc(c->arena, (count + 1) * sizeof **out);
    if (!*out) return wr_err_nomem(err);
    for (size_t i = 0; i < count; i++) {
        WR_TRY(wr_mlflow_experiment_id(&(*out)[*n], texts[i], err));
        if (wr_mlflow_may_read_experiment(c, (*out)[*n])) ++*n;
    }
    return 0;
}

/* ---- errors ---- */

#define SEE_DOCS " See the API docs for more information about request parameters."

int wr_mlflow_missing(wr_err *err, const char *parameter)
{
    return wr_err_set(err, WEIR_EINVAL, "Missing value for required parameter '%s'." SEE_DOCS, parameter);
}

static const char *python_type(yyjson_val *v)
{
    switch (yyjson_get_type(v)) {
    case YYJSON_TYPE_BOOL:
        return "bool";
    case YYJSON_TYPE_NUM:
        return yyjson_is_real(v) ? "float" : "int";
    case YYJSON_TYPE_STR:
        return "str";
    case YYJSON_TYPE_ARR:
        return "list";
    case YYJSON_TYPE_OBJ:
        return "dict";
    default:
        return "NoneType";
    }
}

int wr_mlflow_invalid(wr_err *err, const char *parameter, yyjson_val *value, const char *why)
{
    WR_AUTOBUF wr_buf b;
    wr_jsonw w;
    wr_buf_init(&b, 1 << 16);
    wr_jsonw_init(&w, &b, 0);
    if (value) wr_jsonw_val(&w, value);
    else wr_jsonw_null(&w);
    if (yyjson_is_real(value) && !memchr(wr_buf_cstr(&b), '.', b.n) && !memchr(wr_buf_cstr(&b), 'e', b.n))
        wr_buf_str(&b, ".0");
    wr_str text = wr_str_fit(wr_buf_view(&b), 120);
    if (why)
        return wr_err_set(err, WEIR_EINVAL, "Invalid value %.*s for parameter '%s' supplied: %s" SEE_DOCS,
                          WR_STR_FMT(text), parameter, why);
    return wr_err_set(err, WEIR_EINVAL,
                      "Invalid value %.*s for parameter '%s' supplied:  Hint: Value was of type '%s'." SEE_DOCS,
                      WR_STR_FMT(text), parameter, python_type(value));
}

static const char *error_name(int rc)
{
    switch (rc) {
    case WEIR_ENOTFOUND:
        return "RESOURCE_DOES_NOT_EXIST";
    case WEIR_EEXIST:
        return "RESOURCE_ALREADY_EXISTS";
    case WEIR_EACCESS:
    case WEIR_ENO:
        return "PERMISSION_DENIED";
    case WEIR_ECONFLICT:
        return "INVALID_STATE";
    case WEIR_EUNSUPPORTED:
        return "NOT_IMPLEMENTED";
    case WEIR_ETIMEOUT:
    case WEIR_ECANCELED:
    case WEIR_ENOSPC:
    case WEIR_EUNAVAILABLE:
        return "TEMPORARILY_UNAVAILABLE";
    case WEIR_EINVAL:
    case WEIR_EPARSE:
    case WEIR_ETYPE:
    case WEIR_EUSAGE:
    case WEIR_ELIMIT:
        return "INVALID_PARAMETER_VALUE";
    default:
        return "INTERNAL_ERROR";
    }
}

static int error_status(const char *name)
{
    static const struct {
        const char *name;
        int status;
    } map[] = {
        {"RESOURCE_DOES_NOT_EXIST", 404}, {"NOT_FOUND", 404},
        {"ENDPOINT_NOT_FOUND", 404},      {"PERMISSION_DENIED", 403},
        {"UNAUTHENTICATED", 401},         {"CUSTOMER_UNAUTHORIZED", 401},
        {"ALREADY_EXISTS", 409},          {"ABORTED", 409},
        {"RESOURCE_CONFLICT", 409},       {"RESOURCE_EXHAUSTED", 429},
        {"REQUEST_LIMIT_EXCEEDED", 429},  {"INVALID_STATE", 500},
        {"INTERNAL_ERROR", 500},          {"DATA_LOSS", 500},
        {"NOT_IMPLEMENTED", 501},         {"TEMPORARILY_UNAVAILABLE", 503},
        {"DEADLINE_EXCEEDED", 504},
    };
    for (size_t i = 0; i < sizeof map / sizeof *map; i++)
        if (strcmp(map[i].name, name) == 0) return map[i].status;
    return 400;
}

static void put_error(wr_mlflow_call *c, int rc, const wr_err *err)
{
    const char *name = c->error_code ? c->error_code : error_name(rc);
    wr_jsonw w;
    WR_AUTOBUF wr_buf message;
    wr_buf_init(&message, 4096);
    wr_buf_str(&message, err->msg[0] ? err->msg : wr_err_text(rc));
    if (err->detail[0]) wr_buf_printf(&message, ": %s", err->detail);
    if (err->hint[0]) wr_buf_printf(&message, " (hint: %s)", err->hint);
    wr_buf_clear(c->out);
    wr_jsonw_init(&w, c->out, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_kstr(&w, "error_code", name);
    wr_jsonw_kslice(&w, "message", wr_buf_view(&message));
    wr_jsonw_end(&w);
    c->status = error_status(name);
    c->type = c->headers = NULL;
}

/* ---- parsing and checking ---- */

/* The query as an object; an argument that comes twice is an array. */
static int query_json(wr_buf *out, wr_arena *a, wr_str query, wr_err *err)
{
    wr_map keys = {0};
    wr_jsonw w;
    enum { MOST = 2000 };
    size_t n = 0;
    struct pair {
        size_t key;
        wr_str value;
    } *pairs = wr_arena_alloc(a, MOST * sizeof *pairs);
    if (!pairs) return wr_err_nomem(err);
    for (wr_str rest = query; rest.p;) {
        wr_str value = wr_str_cut(&rest, '&'), key = wr_str_cut(&value, '=');
        WR_AUTOBUF wr_buf k, v;
        wr_buf_init(&k, 0);
        wr_buf_init(&v, 0);
        if (!key.n) continue;
        if (n == MOST || !wr_http_decode(&k, key, true) || !wr_http_decode(&v, value.p ? value : WR_STR(""), true)) {
            wr_map_fini(&keys);
            return wr_err_set(err, n == MOST ? WEIR_ELIMIT : WEIR_EINVAL, "the query cannot be read");
        }
        ptrdiff_t at = wr_map_find(&keys, wr_buf_view(&k));
        if (at < 0) at = wr_map_put(&keys, wr_buf_view(&k), NULL);
        pairs[n++] = (struct pair){(size_t)at, wr_arena_str(a, wr_buf_view(&v))};
    }
    wr_jsonw_init(&w, out, 0);
    wr_jsonw_obj(&w);
    for (size_t k = 0; k < keys.n; k++) {
        size_t count = 0;
        for (size_t i = 0; i < n; i++) count += pairs[i].key == k;
        wr_str name = wr_arena_str(a, keys.at[k].key);
        wr_jsonw_key(&w, name.p ? name.p : "");
        if (count > 1) wr_jsonw_arr(&w);
        for (size_t i = 0; i < n; i++)
            if (pairs[i].key == k) wr_jsonw_str(&w, pairs[i].value);
        if (count > 1) wr_jsonw_end(&w);
    }
    wr_jsonw_end(&w);
    wr_map_fini(&keys);
    return out->failed || wr_arena_failed(a) ? wr_err_nomem(err) : 0;
}

static bool is_json(wr_str type)
{
    wr_str media = wr_str_trim(wr_str_cut(&type, ';'));
    return wr_str_ieq(media, "application/json");
}

/* What cannot be read is an empty object: the error is then the missing parameter. Twice-encoded bodies are decoded
 * twice. */
static int parse_body(wr_mlflow_call *c, wr_str body, wr_err *err)
{
    int rc = body.n ? wr_json_parse_lenient(&c->json, body, err) : WEIR_EPARSE;
    if (rc == WEIR_ENOMEM || rc == WEIR_ELIMIT) return rc;
    if (rc == 0 && yyjson_is_str(c->json.root)) {
        wr_str inner = wr_arena_str(c->arena, (wr_str){yyjson_get_str(c->json.root), yyjson_get_len(c->json.root)});
        wr_json_free(&c->json);
        rc = inner.p ? wr_json_parse_lenient(&c->json, inner, err) : wr_err_nomem(err);
    }
    if (rc < 0 || !yyjson_is_obj(c->json.root)) {
        wr_json_free(&c->json);
        WR_TRY(wr_json_parse(&c->json, WR_STR("{}"), "request", err));
    }
    c->in = c->json.root;
    return 0;
}

static int parse(wr_mlflow_call *c, const wr_mlflow_request *in, wr_err *err)
{
    bool get = wr_str_is(in->method, "GET") || wr_str_is(in->method, "HEAD");
    if ((wr_str_is(in->method, "POST") || wr_str_is(in->method, "PUT")) && !is_json(in->type))
        return wr_err_set(err, WEIR_EINVAL, "Bad Request. Content-Type must be one of ['application/json'].");
    if (!in->query.n || (!get && in->body.n)) return parse_body(c, in->body, err);
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 1 << 20);
    WR_TRY(query_json(&b, c->arena, in->query, err));
    return parse_body(c, wr_buf_view(&b), err);
}

static bool type_fits(char type, yyjson_val *v)
{
    int64_t i;
    double f;
    switch (type) {
    case 's':
        return yyjson_is_str(v);
    case 'i':
        return wr_mlflow_i64_of(&i, v);
    case 'f':
        return wr_mlflow_f64_of(&f, v);
    case 'b':
        return yyjson_is_bool(v) || (yyjson_is_str(v) && (wr_str_ieq(wr_str_of(yyjson_get_str(v)), "true") ||
                                                          wr_str_ieq(wr_str_of(yyjson_get_str(v)), "false")));
    case 'a':
        return yyjson_is_arr(v);
    case 'o':
        return yyjson_is_obj(v);
    default:
        return true;
    }
}

static int check(const wr_mlflow_call *c, bool query, wr_err *err)
{
    for (const wr_mlflow_field *f = c->rpc->fields; f < c->rpc->fields + WR_MLFLOW_FIELDS && f->name; f++) {
        yyjson_val *v = wr_mlflow_val(c, f->name);
        bool empty = !v || (yyjson_is_str(v) && yyjson_get_len(v) == 0);
        if (empty && f->required && !(strcmp(f->name, "run_id") == 0 && wr_mlflow_str(c, "run_id").n))
            return wr_mlflow_missing(err, f->name);
        if (!v || (query && f->type == 'a' && yyjson_is_str(v))) continue;
        if (f->type == 'b' && !type_fits('b', v) && yyjson_is_str(v))
            return wr_err_set(err, WEIR_EINVAL, "Invalid boolean value: %.80s, must be 'true' or 'false'.",
                              yyjson_get_str(v));
        if (!type_fits(f->type, v)) return wr_mlflow_invalid(err, f->name, v, NULL);
    }
    return 0;
}

/* Copies: a request that goes to another thread leaves the buffer that its path stands in. */
static int decode_segments(wr_mlflow_call *c, wr_err *err)
{
    for (size_t i = 0; i < WR_MLFLOW_SEGMENTS; i++) {
        WR_AUTOBUF wr_buf b;
        wr_buf_init(&b, WR_LIMIT_HTTP_TARGET);
        if (!c->segment[i].p) continue;
        if (!wr_http_decode(&b, c->segment[i], false)) return wr_err_set(err, WEIR_EINVAL, "the path cannot be read");
        c->segment[i] = wr_arena_str(c->arena, wr_buf_view(&b));
        if (!c->segment[i].p) return wr_err_nomem(err);
    }
    return 0;
}

static void no_rpc(wr_mlflow_call *c, bool known)
{
    c->status = known ? 405 : 404;
    c->type = "text/html; charset=utf-8";
    wr_buf_clear(c->out);
    wr_buf_str(c->out, known ? "<!doctype html><title>405 Method Not Allowed</title>\n"
                             : "<!doctype html><title>404 Not Found</title>\n");
}

/* Slices of the body last as long as the call only when it ends on the loop, as appending to a log does. */
static bool scan(wr_mlflow_call *c, const wr_mlflow_request *in)
{
    if (c->rpc->mode != WR_MLFLOW_APPEND || !wr_metric_has_log(c->track) || !is_json(in->type)) return false;
    wr_mlflow_scan *s = wr_arena_alloc(c->arena, sizeof *s);
    if (!s || !wr_mlflow_scan_body(s, c->arena, c->rpc->path, in->body)) return false;
    c->scanned = s;
    return true;
}

int wr_mlflow_begin(wr_mlflow_call *c, const wr_mlflow_request *in)
{
    bool known;
    wr_err err = {0};
    c->rpc = wr_mlflow_find(in->method, in->path, c->segment, &known);
    if (!c->rpc) {
        no_rpc(c, known);
        return WEIR_ENOTFOUND;
    }
    int rc = decode_segments(c, &err);
    if (rc == 0 && scan(c, in)) return 0;
    if (rc == 0) rc = parse(c, in, &err);
    if (rc == 0) rc = check(c, wr_str_is(in->method, "GET"), &err);
    if (rc < 0) wr_mlflow_end(c, rc, &err);
    return rc;
}

int wr_mlflow_handle(wr_mlflow_call *c, wr_err *err)
{
    wr_buf_clear(c->out);
    wr_jsonw_init(&c->w, c->out, 0);
    wr_jsonw_obj(&c->w);
    int rc = wr_mlflow_allowed(c, err);
    if (rc == 0) rc = c->rpc->handle(c, err);
    if (rc == 0 && c->rpc->mode == WR_MLFLOW_WRITE) rc = wr_mlflow_granted(c, err);
    if (rc == 0 && wr_arena_failed(c->arena)) rc = wr_err_nomem(err);
    if (rc == 0 && !c->type) wr_jsonw_end(&c->w);
    return rc;
}

void wr_mlflow_end(wr_mlflow_call *c, int rc, const wr_err *err)
{
    if (rc == 0 && c->out->failed) rc = WEIR_ENOMEM;
    if (rc < 0 && c->content) {
        wr_artifact_reader_close(c->content);
        c->content = NULL;
    }
    if (rc < 0) put_error(c, rc, err);
    else if (!c->status) c->status = 200;
    wr_json_free(&c->json);
}

static int handle_write(wr_track *t, void *arg, wr_err *err)
{
    (void)t;
    return wr_mlflow_handle(arg, err);
}

void wr_mlflow_run(wr_mlflow_call *c, const wr_mlflow_request *in)
{
    wr_err err = {0};
    if (wr_mlflow_begin(c, in) < 0) return;
    bool write = c->rpc->mode == WR_MLFLOW_WRITE;
    int rc = write ? wr_track_write(c->track, handle_write, c, &err) : wr_mlflow_handle(c, &err);
    if (rc == WR_MLFLOW_IN_WRITE) rc = wr_track_write(c->track, handle_write, c, &err);
    wr_mlflow_end(c, rc, &err);
}

/* ---- answers ---- */

void wr_mlflow_put_double(wr_jsonw *w, const char *key, double v)
{
    if (isfinite(v)) wr_jsonw_kf64(w, key, v);
    else wr_jsonw_kstr(w, key, isnan(v) ? "NaN" : v > 0 ? "Infinity" : "-Infinity");
}

void wr_mlflow_put_items(wr_jsonw *w, const char *key, const wr_track_item *items, size_t n)
{
    if (!n) return;
    wr_jsonw_key(w, key);
    wr_jsonw_arr(w);
    for (size_t i = 0; i < n; i++) {
        wr_jsonw_obj(w);
        wr_jsonw_kslice(w, "key", items[i].key);
        wr_jsonw_kslice(w, "value", items[i].value);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}
