/* SPDX-License-Identifier: Apache-2.0 */
/* graphql.c - POST /graphql, as MLflow's UI asks it. A document is parsed, measured, compiled against the schema into a
 * plan, and the plan is filled from the answers of REST's own procedures: their checks, permissions and limits hold
 * here too. Only reading procedures are within reach. */
#include <ctype.h>
#include <stdio.h>

#include "base/vec.h"
#include "codec/json.h"
#include "wire/mlflow/graphql_parse.h"
#include "wire/mlflow/graphql_schema.h"
#include "wire/mlflow/rpcs.h"

enum {
    DEPTH = 10,        /* of selections; this and the next three are MLflow's */
    SELECTIONS = 1000, /* of a document, fragments put in */
    ROOTS = 10,
    ALIASES = 10,      /* of one level */
    ERRORS = 100,      /* that are told */
    CALLS = 1000,      /* procedures of one request */
    ANSWER = 64 << 20, /* bytes of one of them */
};

/* A field to answer, with what is selected of it. */
typedef struct plan {
    const char *key, *member; /* in the answer; in REST's */
    const wr_graphql_field *field;
    const wr_graphql_root *root; /* of a root field */
    const wr_graphql_selection *at;
    const char *type_name; /* of the object that has the field */
    struct plan *first, *next;
} plan;

typedef struct {
    wr_mlflow_call *c;
    wr_graphql_part *parts, *operation;
    yyjson_val *variables;
    size_t selections, roots, calls, nerrors;
    const char *errors[ERRORS];
} graphql;

static const char *text(graphql *g, wr_str s)
{
    const char *t = wr_arena_strndup(g->c->arena, s.p ? s.p : "", s.n);
    return t ? t : "";
}

/* Told beside the data; the field is null. */
static void complain(graphql *g, const char *message)
{
    const char *kept = wr_arena_strdup(g->c->arena, message);
    if (g->nerrors < ERRORS && kept) g->errors[g->nerrors++] = kept;
}

static wr_graphql_part *fragment_of(graphql *g, const wr_graphql_selection *s, wr_err *err)
{
    for (wr_graphql_part *p = g->parts; p; p = p->next) {
        if (!wr_str_is(p->type, "fragment") || !wr_str_eq(p->name, s->name)) continue;
        if (!p->busy) return p;
        wr_err_set(err, WEIR_EINVAL, "Cannot spread fragment \"%s\" within itself.", text(g, wr_str_fit(s->name, 80)));
        return NULL;
    }
    wr_err_set(err, WEIR_EINVAL, "Unknown fragment \"%s\".", text(g, wr_str_fit(s->name, 80)));
    return NULL;
}

/* ---- measuring ---- */

static int measure(graphql *g, const wr_graphql_selection *s, int depth, size_t *aliases, wr_err *err)
{
    if (depth > DEPTH) return wr_err_set(err, WEIR_EINVAL, "Query exceeds maximum depth of %d", DEPTH);
    for (; s; s = s->next) {
        size_t inside = 0;
        if (++g->selections > SELECTIONS)
            return wr_err_set(err, WEIR_EINVAL, "Query exceeds maximum total selections of %d", SELECTIONS);
        if (s->kind == WR_GRAPHQL_INLINE) {
            WR_TRY(measure(g, s->first, depth, aliases, err));
        } else if (s->kind == WR_GRAPHQL_SPREAD) {
            wr_graphql_part *f = fragment_of(g, s, err);
            if (!f) return WEIR_EINVAL;
            f->busy = true;
            WR_TRY(measure(g, f->first, depth, aliases, err));
            f->busy = false;
        } else {
            g->roots += depth == 1;
            *aliases += s->alias.p != NULL;
            WR_TRY(measure(g, s->first, depth + 1, &inside, err));
        }
    }
    if (depth == 1 && g->roots > ROOTS)
        return wr_err_set(err, WEIR_EINVAL, "GraphQL queries should have at most %d root fields, got %zu root fields.",
                          ROOTS, g->roots);
    if (*aliases > ALIASES)
        return wr_err_set(err, WEIR_EINVAL, "GraphQL queries should have at most %d aliases, got %zu aliases.", ALIASES,
                          *aliases);
    return 0;
}

/* ---- values ---- */

static const wr_graphql_variable *variable_of(const graphql *g, wr_str name)
{
    for (const wr_graphql_variable *v = g->operation->variables; v; v = v->next)
        if (wr_str_eq(v->name, name)) return v;
    return NULL;
}

/* What a variable stands for: JSON of the request, else its default, else nothing. */
static yyjson_val *given(const graphql *g, wr_str name) { return yyjson_obj_getn(g->variables, name.p, name.n); }

static const wr_graphql_value *otherwise(const graphql *g, const wr_graphql_value *v)
{
    if (!v || v->kind != WR_GRAPHQL_VARIABLE) return v;
    const wr_graphql_variable *known = variable_of(g, v->text);
    return known ? known->otherwise : NULL;
}

static int check_variables(graphql *g, wr_err *err)
{
    for (const wr_graphql_variable *v = g->operation->variables; v; v = v->next) {
        yyjson_val *value = given(g, v->name);
        if (!v->required || (value && !yyjson_is_null(value)) || (!value && v->otherwise)) continue;
        return wr_err_set(err, WEIR_EINVAL, "Variable \"$%s\" of a required type was not provided.",
                          text(g, wr_str_fit(v->name, 80)));
    }
    return 0;
}

static bool is_json_word(const wr_graphql_value *v)
{
    if (v->kind == WR_GRAPHQL_NUMBER) return true;
    return v->kind == WR_GRAPHQL_WORD &&
           (wr_str_is(v->text, "true") || wr_str_is(v->text, "false") || wr_str_is(v->text, "null"));
}

static void put_value(graphql *g, wr_jsonw *w, const wr_graphql_value *v)
{
    if (v && v->kind == WR_GRAPHQL_VARIABLE && given(g, v->text)) {
        wr_jsonw_val(w, given(g, v->text));
        return;
    }
    v = otherwise(g, v);
    if (!v) {
        wr_jsonw_null(w);
    } else if (v->kind == WR_GRAPHQL_LIST) {
        wr_jsonw_arr(w);
        for (const wr_graphql_value *e = v->first; e; e = e->next) put_value(g, w, e);
        wr_jsonw_end(w);
    } else if (v->kind == WR_GRAPHQL_OBJECT) {
        wr_jsonw_obj(w);
        for (const wr_graphql_value *e = v->first; e; e = e->next) {
            wr_jsonw_key(w, text(g, e->name));
            put_value(g, w, e);
        }
        wr_jsonw_end(w);
    } else if (is_json_word(v)) {
        wr_jsonw_raw(w, v->text);
    } else {
        wr_jsonw_str(w, v->text);
    }
}

static bool truth(graphql *g, const wr_graphql_value *v)
{
    if (v && v->kind == WR_GRAPHQL_VARIABLE && given(g, v->text)) return yyjson_is_true(given(g, v->text));
    v = otherwise(g, v);
    return v && v->kind == WR_GRAPHQL_WORD && wr_str_is(v->text, "true");
}

/* @skip(if: ...) and @include(if: ...); others mean nothing here. */
static bool wanted(graphql *g, const wr_graphql_selection *s)
{
    for (const wr_graphql_directive *d = s->directives; d; d = d->next) {
        const wr_graphql_value *v = d->arguments;
        while (v && !wr_str_is(v->name, "if")) v = v->next;
        if (wr_str_is(d->name, "skip") && truth(g, v)) return false;
        if (wr_str_is(d->name, "include") && !truth(g, v)) return false;
    }
    return true;
}

/* ---- compiling ---- */

static const char *snake(graphql *g, const char *camel)
{
    char out[64];
    size_t n = 0;
    for (; *camel && n + 3 < sizeof out; camel++) {
        if (isupper((unsigned char)*camel)) out[n++] = '_';
        out[n++] = (char)tolower((unsigned char)*camel);
    }
    return text(g, (wr_str){out, n});
}

static const wr_graphql_field *find(graphql *g, const wr_graphql_type *type, const char *name,
                                    const wr_graphql_root **root)
{
    bool mutation = wr_str_is(g->operation->type, "mutation");
    *root = NULL;
    if (type) return wr_graphql_field_find(type, name);
    for (const wr_graphql_root *r = wr_graphql_roots; r->field.name; r++)
        if (strcmp(r->field.name, name) == 0 && (mutation ? r->mutation : r->query)) {
            *root = r;
            return &r->field;
        }
    return wr_graphql_field_find(&(wr_graphql_type){"", &(wr_graphql_field){0}}, name);
}

static int add(graphql *g, plan **out, const wr_graphql_type *type, const wr_graphql_selection *s, wr_err *err);

/* `type` NULL: the root. */
static int compile(graphql *g, plan **out, const wr_graphql_type *type, const wr_graphql_selection *s, wr_err *err)
{
    for (; s; s = s->next) {
        if (!wanted(g, s)) continue;
        if (s->kind == WR_GRAPHQL_FIELD) {
            WR_TRY(add(g, out, type, s, err));
        } else if (s->kind == WR_GRAPHQL_INLINE) {
            WR_TRY(compile(g, out, type, s->first, err));
        } else {
            wr_graphql_part *f = fragment_of(g, s, err); /* no circles: measured before */
            if (!f) return WEIR_EINVAL;
            WR_TRY(compile(g, out, type, f->first, err));
        }
    }
    return 0;
}

static bool has_fields(const wr_graphql_field *f) { return strchr("oOnxv", f->kind) != NULL; }

static int check_field(const wr_graphql_field *f, const char *type, const char *name, const wr_graphql_selection *s,
                       wr_err *err)
{
    if (!f) return wr_err_set(err, WEIR_EINVAL, "Cannot query field \"%.80s\" on type \"%s\".", name, type);
    if (s->first && !has_fields(f))
        return wr_err_set(err, WEIR_EINVAL, "Field \"%.80s\" must not have a selection since it has no subfields.",
                          name);
    if (!s->first && has_fields(f))
        return wr_err_set(err, WEIR_EINVAL, "Field \"%.80s\" of type \"%s\" must have a selection of subfields.", name,
                          f->type->name);
    return 0;
}

/* The same key twice is one field with both selections. */
static int add(graphql *g, plan **out, const wr_graphql_type *type, const wr_graphql_selection *s, wr_err *err)
{
    const wr_graphql_root *root;
    const char *name = text(g, s->name), *key = s->alias.p ? text(g, s->alias) : name;
    const char *of = type ? type->name : wr_str_is(g->operation->type, "mutation") ? "Mutation" : "Query";
    const wr_graphql_field *f = find(g, type, name, &root);
    WR_TRY(check_field(f, of, name, s, err));
    if (s->arguments && !root)
        return wr_err_set(err, WEIR_EINVAL, "Unknown argument \"%s\" on field \"%s.%.80s\".",
                          text(g, wr_str_fit(s->arguments->name, 80)), of, name);
    while (*out && strcmp((*out)->key, key) != 0) out = &(*out)->next;
    if (*out && ((*out)->field != f || s->arguments != NULL))
        return wr_err_set(err, WEIR_EINVAL, "Fields \"%.80s\" conflict. Use different aliases on the fields.", key);
    if (!*out) {
        *out = wr_arena_calloc(g->c->arena, 1, sizeof **out);
        if (!*out) return wr_err_nomem(err);
        **out = (plan){.key = key, .member = snake(g, name), .field = f, .root = root, .at = s, .type_name = of};
    }
    return has_fields(f) ? compile(g, &(*out)->first, f->type, s->first, err) : 0;
}

/* ---- calling ---- */

/* REST's answer; its message when it is an error. */
static int call(graphql *g, wr_json *out, const char *method, const char *path, wr_str body, wr_err *err)
{
    WR_AUTOBUF wr_buf answer;
    wr_err e = {0};
    const wr_mlflow_call *c = g->c;
    wr_buf_init(&answer, ANSWER);
    wr_mlflow_call sub = {.track = c->track,
                          .arena = c->arena,
                          .access = c->access,
                          .user = c->user,
                          .artifacts = c->artifacts,
                          .signer = c->signer,
                          .base = c->base,
                          .out = &answer};
    wr_mlflow_request in = {
        .method = wr_str_of(method), .path = wr_str_of(path), .type = WR_STR("application/json"), .body = body};
    if (++g->calls > CALLS) return wr_err_set(err, WEIR_ELIMIT, "the query asks for more than %d lookups", CALLS);
    if (wr_mlflow_begin(&sub, &in) == 0) {
        int rc = wr_mlflow_handle(&sub, &e);
        if (rc > 0) rc = wr_err_set(&e, WEIR_EINTERNAL, "\"%s\" is no procedure that reads", path);
        wr_mlflow_end(&sub, rc, &e);
    }
    if (answer.failed) return wr_err_set(err, WEIR_ELIMIT, "the answer is larger than %d MiB", ANSWER >> 20);
    WR_TRY(wr_json_parse(out, wr_buf_view(&answer), "answer", err));
    if (sub.status == 200) return 0;
    wr_str message = wr_mlflow_str_of(out->root, "message");
    return wr_err_set(err, WEIR_EINVAL, "%.*s", WR_STR_FMT(wr_str_fit(message, 300)));
}

/* A single value where a list is wanted is a list of one. */
static bool is_list(const char *name)
{
    size_t n = strlen(name);
    return strcmp(name, "order_by") == 0 || (n > 4 && strcmp(name + n - 4, "_ids") == 0);
}

static int input_name(graphql *g, wr_jsonw *w, bool *wrap, const wr_graphql_root *root, wr_str name, bool list,
                      wr_err *err)
{
    char framed[64];
    snprintf(framed, sizeof framed, " %.*s ", WR_STR_FMT(wr_str_fit(name, 60)));
    if (!name.n || name.n > 60 || !strstr(root->inputs, framed))
        return wr_err_set(err, WEIR_EINVAL, "Field \"%s\" is not defined by the input of \"%s\".",
                          text(g, wr_str_fit(name, 80)), root->field.name);
    const char *member = snake(g, text(g, name));
    *wrap = !list && is_list(member);
    wr_jsonw_key(w, member);
    if (*wrap) wr_jsonw_arr(w);
    return 0;
}

static int put_input(graphql *g, wr_jsonw *w, const plan *p, const wr_graphql_value *input, wr_err *err)
{
    bool wrap;
    size_t i, max;
    yyjson_val *key, *value;
    yyjson_val *whole = input && input->kind == WR_GRAPHQL_VARIABLE ? given(g, input->text) : NULL;
    yyjson_obj_foreach(whole, i, max, key, value)
    {
        bool list = yyjson_is_arr(value) || yyjson_is_null(value);
        WR_TRY(input_name(g, w, &wrap, p->root, (wr_str){yyjson_get_str(key), yyjson_get_len(key)}, list, err));
        wr_jsonw_val(w, value);
        if (wrap) wr_jsonw_end(w);
    }
    if (whole) return 0;
    input = otherwise(g, input);
    if (input && input->kind != WR_GRAPHQL_OBJECT)
        return wr_err_set(err, WEIR_EINVAL, "the \"input\" of \"%s\" is no object", p->root->field.name);
    for (const wr_graphql_value *v = input ? input->first : NULL; v; v = v->next) {
        yyjson_val *known = v->kind == WR_GRAPHQL_VARIABLE ? given(g, v->text) : NULL;
        const wr_graphql_value *ready = otherwise(g, v);
        if (!known && !ready) continue;
        bool list = known ? yyjson_is_arr(known) || yyjson_is_null(known) : ready->kind == WR_GRAPHQL_LIST;
        WR_TRY(input_name(g, w, &wrap, p->root, v->name, list, err));
        put_value(g, w, v);
        if (wrap) wr_jsonw_end(w);
    }
    return 0;
}

static int call_root(graphql *g, wr_json *out, const plan *p, wr_err *err)
{
    WR_AUTOBUF wr_buf body = {0};
    wr_jsonw w;
    const wr_graphql_value *v = p->at->arguments;
    const char *wants = p->root->path ? "input" : "inputString";
    if (v && (v->next || !wr_str_is(v->name, wants)))
        return wr_err_set(err, WEIR_EINVAL, "Field \"%s\" takes the argument \"%s\" alone.", p->root->field.name,
                          wants);
    wr_jsonw_init(&w, &body, 0);
    wr_jsonw_obj(&w);
    if (p->root->path) {
        WR_TRY(put_input(g, &w, p, v, err));
    } else {
        wr_jsonw_key(&w, "output");
        put_value(g, &w, v);
    }
    wr_jsonw_end(&w);
    if (body.failed) return wr_err_set(err, WEIR_ELIMIT, "the input of \"%s\" is too large", p->root->field.name);
    if (!p->root->path) return wr_json_parse_lenient(out, wr_buf_view(&body), err);
    return call(g, out, p->root->method, p->root->path, wr_buf_view(&body), err);
}

/* ---- answering ---- */

static void put_object(graphql *g, wr_jsonw *w, const plan *p, yyjson_val *object);

static void put_list(graphql *g, wr_jsonw *w, const plan *p, yyjson_val *list)
{
    size_t i, max;
    yyjson_val *e;
    wr_jsonw_arr(w);
    yyjson_arr_foreach(list, i, max, e)
    {
        if (p->field->kind == 'S') wr_jsonw_str(w, (wr_str){yyjson_get_str(e), yyjson_get_len(e)});
        else put_object(g, w, p->first, e);
    }
    wr_jsonw_end(w);
}

/* What a run is asked for apart. */
static void put_apart(graphql *g, wr_jsonw *w, const plan *p, yyjson_val *run)
{
    WR_AUTOJSON wr_json j = {0};
    wr_err err = {0};
    bool versions = p->field->kind == 'v';
    const char *id = yyjson_get_str(yyjson_obj_get(yyjson_obj_get(run, "info"), versions ? "run_id" : "experiment_id"));
    char body[160];
    int n = snprintf(body, sizeof body, versions ? "{\"filter\":\"run_id='%.64s'\"}" : "{\"experiment_id\":\"%.64s\"}",
                     id ? id : "");
    int rc = call(g, &j, "GET", versions ? "/api/2.0/mlflow/model-versions/search" : "/api/2.0/mlflow/experiments/get",
                  (wr_str){body, (size_t)n}, &err);
    if (rc < 0) {
        complain(g, err.msg);
        wr_jsonw_null(w);
    } else if (versions) {
        put_list(g, w, p, yyjson_obj_get(j.root, "model_versions"));
    } else {
        put_object(g, w, p->first, yyjson_obj_get(j.root, "experiment"));
    }
}

static void put_text(wr_jsonw *w, yyjson_val *v, const char *missing)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_jsonw inside;
    if (yyjson_is_str(v)) {
        wr_jsonw_str(w, (wr_str){yyjson_get_str(v), yyjson_get_len(v)});
    } else if (!v || yyjson_is_null(v)) {
        wr_jsonw_cstr(w, missing);
    } else {
        wr_jsonw_init(&inside, &b, 0);
        wr_jsonw_val(&inside, v);
        wr_jsonw_str(w, wr_buf_view(&b));
    }
}

static void put_field(graphql *g, wr_jsonw *w, const plan *p, yyjson_val *object)
{
    yyjson_val *v = yyjson_obj_get(object, p->member);
    switch (p->field->kind) {
    case 's':
        put_text(w, v, "");
        break;
    case 'l':
        put_text(w, v, "0");
        break;
    case 'e':
        put_text(w, v, NULL);
        break;
    case 'f':
        if (v && !yyjson_is_num(v)) wr_jsonw_null(w);
        else wr_jsonw_f64(w, yyjson_get_num(v));
        break;
    case 'b':
        wr_jsonw_bool(w, yyjson_is_true(v));
        break;
    case 'o':
        put_object(g, w, p->first, v);
        break;
    case 'O':
    case 'S':
        put_list(g, w, p, v);
        break;
    case 'x':
    case 'v':
        put_apart(g, w, p, object);
        break;
    case 't':
        wr_jsonw_cstr(w, p->type_name);
        break;
    default:
        wr_jsonw_null(w);
    }
}

static void put_object(graphql *g, wr_jsonw *w, const plan *p, yyjson_val *object)
{
    wr_jsonw_obj(w);
    for (; p; p = p->next) {
        wr_jsonw_key(w, p->key);
        put_field(g, w, p, object);
    }
    wr_jsonw_end(w);
}

static void put_root(graphql *g, wr_jsonw *w, const plan *p)
{
    WR_AUTOJSON wr_json j = {0};
    wr_err err = {0};
    wr_jsonw_key(w, p->key);
    if (!p->root) {
        put_field(g, w, p, NULL);
    } else if (call_root(g, &j, p, &err) < 0) {
        complain(g, err.msg);
        wr_jsonw_null(w);
    } else {
        put_object(g, w, p->first, j.root);
    }
}

/* ---- the request ---- */

static int choose(graphql *g, wr_str name, wr_err *err)
{
    size_t n = 0;
    for (wr_graphql_part *p = g->parts; p; p = p->next) {
        if (wr_str_is(p->type, "fragment") || (name.n && !wr_str_eq(p->name, name))) continue;
        g->operation = p;
        n++;
    }
    if (n == 1) return 0;
    if (!name.n && n)
        return wr_err_set(err, WEIR_EINVAL, "Must provide operation name if query contains multiple operations.");
    return wr_err_set(err, WEIR_EINVAL, "Unknown operation named \"%s\".", text(g, wr_str_fit(name, 80)));
}

static int prepare(graphql *g, plan **out, wr_err *err)
{
    size_t aliases = 0;
    *out = NULL;
    WR_TRY(wr_graphql_parse(&g->parts, g->c->arena, wr_mlflow_str(g->c, "query"), err));
    WR_TRY(choose(g, wr_mlflow_str(g->c, "operationName"), err));
    WR_TRY(measure(g, g->operation->first, 1, &aliases, err));
    WR_TRY(check_variables(g, err));
    return compile(g, out, NULL, g->operation->first, err);
}

/* Errors of the question are answers too, with status 200. */
static int run(wr_mlflow_call *c, wr_err *err)
{
    graphql g = {.c = c, .variables = wr_mlflow_val(c, "variables")};
    plan *p;
    int rc = prepare(&g, &p, err);
    if (rc == WEIR_ENOMEM) return rc;
    wr_jsonw_key(&c->w, "data");
    if (rc < 0) {
        complain(&g, err->msg);
        wr_jsonw_null(&c->w);
    } else {
        wr_jsonw_obj(&c->w);
        for (; p; p = p->next) put_root(&g, &c->w, p);
        wr_jsonw_end(&c->w);
    }
    wr_jsonw_key(&c->w, "errors");
    if (!g.nerrors) {
        wr_jsonw_null(&c->w);
        return 0;
    }
    wr_jsonw_arr(&c->w);
    for (size_t i = 0; i < g.nerrors; i++) wr_jsonw_cstr(&c->w, g.errors[i]);
    wr_jsonw_end(&c->w);
    return 0;
}

static const wr_mlflow_rpc rpcs[] = {
    {"POST",
     "/graphql",
     WR_MLFLOW_QUERY,
     run,
     {{"query", 's', true}, {"variables", 'o', false}, {"operationName", 's', false}}},
};
const wr_mlflow_rpcs wr_mlflow_graphql = {rpcs, sizeof rpcs / sizeof *rpcs};
