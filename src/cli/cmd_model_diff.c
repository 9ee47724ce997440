/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_model_diff.c - weir model diff: two versions side by side, what differs. */
#include <stdlib.h>

#include "base/num.h"
#include "base/vec.h"
#include "cli/commands.h"
#include "cli/model_facts.h"

typedef struct {
    const char *what, *key, *a, *b; /* a, b NULL = it has none */
} row;

typedef struct {
    wr_cli *cli;
    WR_VEC(row) rows;
    bool failed;
} table;

static void put(table *t, const char *what, const char *key, const char *a, const char *b)
{
    row r = {what, key, a && a[0] ? a : NULL, b && b[0] ? b : NULL};
    if (!r.a && !r.b) return;
    if (!key || wr_vec_push(&t->rows, r) < 0) t->failed = true;
}

static bool same(const row *r) { return r->a && r->b && strcmp(r->a, r->b) == 0; }

static const char *value_of(const wr_model_fact_list *l, const char *key)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->at[i].key, key) == 0) return l->at[i].value;
    return NULL;
}

static void put_lists(table *t, const char *what, const wr_model_fact_list *a, const wr_model_fact_list *b)
{
    for (size_t i = 0; i < a->n; i++) put(t, what, a->at[i].key, a->at[i].value, value_of(b, a->at[i].key));
    for (size_t i = 0; i < b->n; i++)
        if (!value_of(a, b->at[i].key)) put(t, what, b->at[i].key, NULL, b->at[i].value);
}

/* ---- what is no list yet ---- */

typedef int list_fn(wr_model_fact_list *out, wr_cli *c, const wr_model_facts *f);

static int push(wr_model_fact_list *out, const char *key, const char *value)
{
    wr_model_fact fact = {key, value, 0};
    return key && value ? wr_vec_push(out, fact) : WEIR_ENOMEM;
}

static int columns(wr_model_fact_list *out, wr_cli *c, const char *side, const wr_mlmodel_columns *l)
{
    wr_arena *a = wr_cli_arena(c);
    for (size_t i = 0; i < l->n; i++) {
        const wr_mlmodel_column *col = &l->at[i];
        const char *name = col->name[0] ? col->name : wr_arena_printf(a, "%zu", i + 1);
        const char *key = name ? wr_arena_printf(a, "%s %s", side, name) : NULL;
        WR_TRY(push(out, key,
                    wr_arena_printf(a, "%s%s%s%s", col->type, col->optional ? ", optional" : "",
                                    col->value ? ", default " : "", col->value ? col->value : "")));
    }
    return 0;
}

static int signature(wr_model_fact_list *out, wr_cli *c, const wr_model_facts *f)
{
    WR_TRY(columns(out, c, "input", &f->mlmodel.inputs));
    WR_TRY(columns(out, c, "output", &f->mlmodel.outputs));
    return columns(out, c, "param", &f->mlmodel.params);
}

static int features(wr_model_fact_list *out, wr_cli *c, const wr_model_facts *f)
{
    (void)c;
    if (!f->package) return 0;
    const wr_package_parts *k = wr_package_get(f->package);
    for (size_t i = 0; i < k->nuse; i++) /* the package lives as long as the rows */
        WR_TRY(push(out, k->view->features[k->use[i]].name, "used"));
    return 0;
}

static int options(wr_model_fact_list *out, wr_cli *c, const wr_model_facts *f)
{
    WR_AUTOJSON wr_json j = {0};
    yyjson_val *k, *v;
    size_t i, max;
    if (!f->package) return 0;
    WR_TRY(wr_json_parse(&j, wr_str_of(wr_package_get(f->package)->options_json), "options", NULL));
    yyjson_obj_foreach(j.root, i, max, k, v)
    {
        WR_AUTOBUF wr_buf b = {0};
        wr_jsonw w;
        wr_jsonw_init(&w, &b, 0);
        wr_jsonw_val(&w, v);
        const char *text = yyjson_is_str(v) ? yyjson_get_str(v) : wr_buf_cstr(&b);
        WR_TRY(push(out, wr_arena_strdup(wr_cli_arena(c), yyjson_get_str(k)), wr_arena_strdup(wr_cli_arena(c), text)));
    }
    return 0;
}

/* Hash and size: a file that grew says so at first sight. */
static int files(wr_model_fact_list *out, wr_cli *c, const wr_model_facts *f)
{
    for (size_t i = 0; i < f->nfiles; i++) {
        char size[WR_NUM_TEXT];
        wr_fmt_bytes(size, (double)f->files[i].size);
        WR_TRY(push(out, f->files[i].path,
                    wr_cli_json(c) ? f->files[i].hash
                                   : wr_arena_printf(wr_cli_arena(c), "%.12s %s", f->files[i].hash, size)));
    }
    return 0;
}

static void put_made(table *t, const char *what, list_fn *make, const wr_model_facts *a, const wr_model_facts *b)
{
    wr_model_fact_list x = {0}, y = {0};
    if (make(&x, t->cli, a) < 0 || make(&y, t->cli, b) < 0) t->failed = true;
    else put_lists(t, what, &x, &y);
    wr_vec_fini(&x);
    wr_vec_fini(&y);
}

static const char *view_hash(const wr_model_facts *f)
{
    return f->package ? wr_package_get(f->package)->view->hash : NULL;
}
static const char *view_name(const wr_model_facts *a, const wr_model_facts *b)
{
    return a->package   ? wr_package_get(a->package)->view->name
           : b->package ? wr_package_get(b->package)->view->name
                        : "";
}

static void compare(table *t, const wr_model_facts *a, const wr_model_facts *b)
{
    put(t, "model", "", a->v.name.p, b->v.name.p);
    put(t, "package", "", a->v.package.p, b->v.package.p);
    if (!a->v.package.n || !b->v.package.n) put(t, "source", "", a->v.source.p, b->v.source.p);
    put(t, "stage", "", a->v.stage.p, b->v.stage.p);
    put(t, "description", "", a->v.description.p, b->v.description.p);
    put(t, "run", "", a->v.run_id.p, b->v.run_id.p);
    put(t, "code", "", a->code, b->code);
    put(t, "flavors", "", a->mlmodel.flavors, b->mlmodel.flavors);
    put(t, "mlflow", "", a->mlmodel.mlflow_version, b->mlmodel.mlflow_version);
    put(t, "view", view_name(a, b), view_hash(a), view_hash(b));
    put_lists(t, "data", &a->data, &b->data);
    put_made(t, "signature", signature, a, b);
    put_made(t, "feature", features, a, b);
    put_made(t, "option", options, a, b);
    put_lists(t, "param", &a->params, &b->params);
    put_lists(t, "metric", &a->metrics, &b->metrics);
    put_lists(t, "report", &a->reports, &b->reports);
    put_lists(t, "tag", &a->tags, &b->tags);
    put_made(t, "file", files, a, b);
}

/* ---- printing ---- */

/* B minus A, of metrics. */
static const char *change(wr_cli *c, const row *r)
{
    double a, b;
    if (strcmp(r->what, "metric") != 0 || !r->a || !r->b) return "";
    if (wr_num_f64(&a, wr_str_of(r->a), NULL) < 0 || wr_num_f64(&b, wr_str_of(r->b), NULL) < 0) return "";
    return wr_arena_printf(wr_cli_arena(c), "%+.4g", b - a);
}

static void print_text(const table *t, const wr_model_facts *a, const wr_model_facts *b, size_t differ)
{
    wr_cli *c = t->cli;
    bool all = wr_cli_flag(c, "all");
    if (!differ) wr_say(c, "%s and %s do not differ", a->title, b->title);
    if (!differ && !all) return;
    wr_table *out = wr_table_new(c, "WHAT", "KEY", wr_cli_arg(c, 0), wr_cli_arg(c, 1), all ? "" : "CHANGE",
                                 all ? "CHANGE" : NULL, NULL);
    for (size_t i = 0; i < t->rows.n; i++) {
        const row *r = &t->rows.at[i];
        if (!all && same(r)) continue;
        wr_table_cell(out, "%s", r->what);
        wr_table_cell(out, "%s", r->key);
        wr_table_cell(out, "%.64s", r->a ? r->a : "-");
        wr_table_cell(out, "%.64s", r->b ? r->b : "-");
        if (all) wr_table_cell(out, "%s", same(r) ? "" : "*");
        wr_table_cell(out, "%s", same(r) ? "" : change(c, r));
    }
    wr_table_print(out);
    if (a->elsewhere) wr_say(c, "files of %s: %s", a->title, a->elsewhere);
    if (b->elsewhere) wr_say(c, "files of %s: %s", b->title, b->elsewhere);
}

static void print_json(const table *t, size_t differ)
{
    wr_jsonw *w = wr_cli_jsonw(t->cli);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "a", wr_cli_arg(t->cli, 0));
    wr_jsonw_kstr(w, "b", wr_cli_arg(t->cli, 1));
    wr_jsonw_kbool(w, "differ", differ > 0);
    wr_jsonw_key(w, "rows");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < t->rows.n; i++) {
        const row *r = &t->rows.at[i];
        if (same(r) && !wr_cli_flag(t->cli, "all")) continue;
        wr_jsonw_obj(w);
        wr_jsonw_kstr(w, "what", r->what);
        wr_jsonw_kstr(w, "key", r->key);
        wr_jsonw_kstr(w, "a", r->a);
        wr_jsonw_kstr(w, "b", r->b);
        wr_jsonw_kbool(w, "differs", !same(r));
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

static int run(wr_cli *c, wr_err *err)
{
    wr_model_facts a = {0}, b = {0};
    table t = {.cli = c};
    size_t differ = 0;
    int rc = wr_model_facts_read(&a, c, wr_cli_arg(c, 0), err);
    if (rc == 0) rc = wr_model_facts_read(&b, c, wr_cli_arg(c, 1), err);
    if (rc == 0) compare(&t, &a, &b);
    if (rc == 0 && t.failed) rc = wr_err_nomem(err);
    for (size_t i = 0; i < t.rows.n; i++) differ += !same(&t.rows.at[i]);
    if (rc == 0 && wr_cli_json(c)) print_json(&t, differ);
    else if (rc == 0) print_text(&t, &a, &b, differ);
    if (rc == 0 && differ && wr_cli_flag(c, "exit-code"))
        rc = wr_err_set(err, WEIR_ENO, "%s and %s differ", a.title, b.title);
    wr_vec_fini(&t.rows);
    wr_model_facts_fini(&a);
    wr_model_facts_fini(&b);
    return rc;
}

static const wr_cmd_arg args[] = {
    {"all", 'a', WR_ARG_FLAG, NULL, "rows that are the same too", NULL},
    {"exit-code", 'e', WR_ARG_FLAG, NULL, "exit with 1 when they differ", NULL},
};

const wr_cmd wr_cmd_model_diff = {
    "model diff",
    "show where two versions differ",
    "MODEL MODEL",
    2,
    2,
    args,
    sizeof args / sizeof *args,
    "Package or source, run, code, data versions, signature, features, options, params, metrics,\n"
    "reports, tags, and files by content. MODEL is NAME (the newest candidate), NAME@ALIAS or\n"
    "NAME@VERSION, of weir or of an MLflow client.",
    "  # what would change?\n  weir model diff delay@champion delay\n"
    "  # in a script\n  weir model diff churn@1 churn@2 --exit-code --json",
    run};
