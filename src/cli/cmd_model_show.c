/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_model_show.c - weir model list, weir model show: registered models and versions, whoever made them. */
#include "base/clock.h"
#include "base/num.h"
#include "base/vec.h"
#include "cli/commands.h"
#include "cli/model_facts.h"
#include "cli/runs_find.h"
#include "track/registry_policy.h"

enum { HISTORY = 10, MODELS_PAGE = 1000 };

/* ---- one version in a line ---- */

static const char *joined(wr_cli *c, const wr_registered_version *v)
{
    const char *s = "";
    for (size_t i = 0; s && i < v->naliases; i++)
        s = wr_arena_printf(wr_cli_arena(c), "%s%s%s", s, i ? "," : "", v->aliases[i].p);
    return s ? s : "";
}

static const char *made_from(wr_cli *c, const wr_registered_version *v)
{
    if (v->package.n) return wr_arena_printf(wr_cli_arena(c), "package %.12s", v->package.p);
    return v->source.n ? v->source.p : "-";
}

static const char *stage_of(const wr_registered_version *v) { return wr_str_is(v->stage, "None") ? "" : v->stage.p; }

static void version_row(wr_cli *c, wr_table *t, const wr_registered_version *v, bool name)
{
    char when[WR_TIME_TEXT];
    wr_time_format(when, v->created_ms * 1000);
    if (name) wr_table_cell(t, "%s", v->name.p);
    wr_table_cell(t, "%lld", (long long)v->version);
    wr_table_cell(t, "%s", joined(c, v));
    wr_table_cell(t, "%s", stage_of(v));
    wr_table_cell(t, "%s", made_from(c, v));
    wr_table_cell(t, "%.19s", when);
    wr_table_cell(t, "%.8s", v->run_id.n ? v->run_id.p : "");
}

static const char *or_null(wr_str s) { return s.n ? s.p : NULL; }

static void ktime(wr_jsonw *w, const char *key, int64_t ms)
{
    char text[WR_TIME_TEXT];
    wr_time_format(text, ms * 1000);
    wr_jsonw_kstr(w, key, ms > 0 ? text : NULL);
}

static void put_tags(wr_jsonw *w, const wr_track_item *tags, size_t n)
{
    wr_jsonw_key(w, "tags");
    wr_jsonw_obj(w);
    for (size_t i = 0; i < n; i++) wr_jsonw_kslice(w, tags[i].key.p, tags[i].value);
    wr_jsonw_end(w);
}

/* Members of an object that is open. */
static void put_version(wr_jsonw *w, wr_cli *c, const wr_registered_version *v)
{
    wr_jsonw_kslice(w, "model", v->name);
    wr_jsonw_ki64(w, "version", v->version);
    wr_jsonw_kstr(w, "aliases", joined(c, v));
    wr_jsonw_kstr(w, "stage", v->version ? v->stage.p : NULL);
    wr_jsonw_kstr(w, "package", or_null(v->package));
    wr_jsonw_kstr(w, "source", or_null(v->source));
    wr_jsonw_kstr(w, "run", or_null(v->run_id));
    wr_jsonw_kstr(w, "model_id", or_null(v->model_id));
    wr_jsonw_kstr(w, "description", or_null(v->description));
    wr_jsonw_kstr(w, "user", or_null(v->user));
    ktime(w, "created", v->created_ms);
    ktime(w, "updated", v->updated_ms);
    put_tags(w, v->tags, v->ntags);
}

/* ---- list ---- */

/* Models without any version are models too. */
static int empty_models(const char ***out, size_t *n, wr_cli *c, wr_track *t, wr_err *err)
{
    WR_VEC(const char *) names = {0};
    wr_registered_model *m;
    wr_str next = {NULL, 0};
    size_t k;
    int rc = 0;
    do {
        wr_registered_query q = {.max = MODELS_PAGE, .token = next};
        rc = wr_registered_models_search(&m, &k, &next, wr_cli_arena(c), t, &q, err);
        for (size_t i = 0; rc == 0 && i < k; i++)
            if (!m[i].nlatest && wr_vec_push(&names, m[i].name.p) < 0) rc = wr_err_nomem(err);
    } while (rc == 0 && next.n);
    *n = names.n;
    *out = wr_arena_dup(wr_cli_arena(c), names.at, names.n * sizeof *names.at);
    wr_vec_fini(&names);
    return rc < 0 ? rc : *out ? 0 : wr_err_nomem(err);
}

static int find_versions(wr_registered_version **v, size_t *n, wr_cli *c, wr_track *t, const char *name, wr_err *err)
{
    wr_str next = {NULL, 0};
    const char *filter = wr_cli_text(c, "filter");
    wr_arena *a = wr_cli_arena(c);
    if (!filter) return wr_registered_versions_all(v, n, a, t, name ? wr_str_of(name) : next, err);
    wr_registered_query q = {.filter = wr_str_of(filter), .max = WR_REGISTERED_VERSIONS_MAX};
    WR_TRY(wr_registered_versions_search(v, n, &next, a, t, &q, err));
    size_t kept = 0;
    for (size_t i = 0; i < *n; i++)
        if (!name || wr_str_is((*v)[i].name, name)) (*v)[kept++] = (*v)[i];
    *n = kept;
    return 0;
}

static void list_json(wr_cli *c, const wr_registered_version *v, size_t n, const char **empty, size_t nempty)
{
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_arr(w);
    for (size_t i = 0; i < n; i++) {
        wr_jsonw_obj(w);
        put_version(w, c, &v[i]);
        wr_jsonw_end(w);
    }
    for (size_t i = 0; i < nempty; i++) {
        wr_jsonw_obj(w);
        wr_jsonw_kstr(w, "model", empty[i]);
        wr_jsonw_kstr(w, "version", NULL);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

static void list_table(wr_cli *c, const wr_registered_version *v, size_t n, const char **empty, size_t nempty)
{
    wr_table *t = wr_table_new(c, "MODEL", ">VERSION", "ALIASES", "STAGE", "FROM", "CREATED", "RUN", NULL);
    for (size_t i = 0; i < n; i++) version_row(c, t, &v[i], true);
    for (size_t i = 0; i < nempty; i++) {
        wr_table_cell(t, "%s", empty[i]);
        for (int k = 0; k < 6; k++) wr_table_cell(t, "%s", k ? "" : "-");
    }
    wr_table_print(t);
}

static int run_list(wr_cli *c, wr_err *err)
{
    wr_project *p;
    wr_track *t;
    wr_registered_version *v, any;
    wr_registered_model m;
    const char *name = wr_cli_arg(c, 0), **empty = NULL;
    size_t n, nempty = 0;
    wr_err none;
    bool filter = wr_cli_has(c, "filter");
    WR_TRY(wr_cli_project(c, &p, err));
    WR_TRY(wr_project_track(&t, p, err));
    WR_TRY(find_versions(&v, &n, c, t, name, err));
    if (name && !n && wr_registered_model_get(&m, wr_cli_arena(c), t, wr_str_of(name), &none) < 0)
        return wr_model_registered(&any, wr_cli_arena(c), p, name, err); /* says why not */
    if (!name && !filter) WR_TRY(empty_models(&empty, &nempty, c, t, err));
    if (wr_cli_json(c)) list_json(c, v, n, empty, nempty);
    else if (n || nempty) list_table(c, v, n, empty, nempty);
    else if (filter) wr_say(c, "no version fits");
    else if (name) wr_say(c, "\"%s\" has no version yet", name);
    else wr_say(c, "no model is registered yet: weir model train, then weir model register");
    return 0;
}

static const wr_cmd_arg list_args[] = {
    {"filter", 'f', WR_ARG_TEXT, "FILTER", "only versions that fit, in MLflow's search language", NULL}};

const wr_cmd wr_cmd_model_list = {
    "model list",
    "list registered versions, whoever registered them",
    "[MODEL]",
    0,
    1,
    list_args,
    sizeof list_args / sizeof *list_args,
    NULL,
    "  # all\n  weir model list\n  # those of one team\n  weir model list --filter \"tags.team = 'risk'\"",
    run_list};

/* ---- show: a version ---- */

/* The first line of a client's text, and nothing in it that steers a terminal. */
static const char *clean(wr_cli *c, const char *text)
{
    enum { LONGEST = 4000 };
    wr_str first = wr_str_fit((wr_str){text, strcspn(text, "\n")}, LONGEST);
    char *copy = wr_arena_strndup(wr_cli_arena(c), first.p, first.n);
    for (char *p = copy; p && *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7F) *p = '?';
    return copy ? copy : "";
}

static void line(wr_cli *c, const char *label, const char *text)
{
    if (text && text[0]) wr_say(c, "%-12s %s", label, clean(c, text));
}

static void section(wr_cli *c, const char *title, const wr_model_fact_list *l)
{
    int width = 8;
    if (!l->n) return;
    wr_say(c, "%s", title);
    for (size_t i = 0; i < l->n; i++)
        if ((int)strlen(l->at[i].key) > width && strlen(l->at[i].key) <= 40) width = (int)strlen(l->at[i].key);
    for (size_t i = 0; i < l->n; i++) wr_say(c, "  %-*s  %s", width, clean(c, l->at[i].key), clean(c, l->at[i].value));
}

static void say_columns(wr_cli *c, const char *what, const wr_mlmodel_columns *l)
{
    for (size_t i = 0; i < l->n; i++) {
        const wr_mlmodel_column *col = &l->at[i];
        wr_say(c, "  %-6s %s%s%s%s%s%s", what, clean(c, col->name), col->name[0] ? ": " : "", clean(c, col->type),
               col->optional ? ", optional" : "", col->value ? ", default " : "",
               col->value ? clean(c, col->value) : "");
    }
}

static void say_source(wr_cli *c, const wr_model_facts *f)
{
    char size[WR_NUM_TEXT];
    line(c, "package", f->v.package.p);
    if (!f->v.package.n) line(c, "source", f->v.source.p);
    if (f->v.storage.n && !f->v.package.n && !wr_str_eq(f->v.storage, f->v.source))
        line(c, "stored at", f->v.storage.p);
    if (f->elsewhere) wr_say(c, "%-12s %s", "files", f->elsewhere);
    else
        wr_say(c, "%-12s %zu, %s%s", "files", f->nfiles, wr_fmt_bytes(size, (double)f->size),
               wr_cli_flag(c, "files") ? "" : " (--files lists them)");
}

static void say_package(wr_cli *c, const wr_package_parts *k)
{
    wr_say(c, "%-12s %s (%zu of %zu features)", "view", k->view->name, k->nuse, k->view->nfeatures);
    wr_say(c, "%-12s %d trees, options %s", "learner", wr_trees_count(k->trees), k->options_json);
}

static void say_files(wr_cli *c, const wr_model_facts *f)
{
    wr_table *t = wr_table_new(c, "FILE", ">SIZE", "SHA-256", NULL);
    for (size_t i = 0; i < f->nfiles; i++) {
        char size[WR_NUM_TEXT];
        wr_table_cell(t, "%s", f->files[i].path);
        wr_table_cell(t, "%s", wr_fmt_bytes(size, (double)f->files[i].size));
        wr_table_cell(t, "%.12s", f->files[i].hash);
    }
    wr_table_print(t);
}

static void show_version(wr_cli *c, const wr_model_facts *f)
{
    char when[WR_TIME_TEXT];
    const char *user = f->v.user.n ? f->v.user.p : f->has_run && f->run.user.n ? f->run.user.p : NULL;
    wr_time_format(when, f->v.created_ms * 1000);
    line(c, "model", f->title);
    say_source(c, f);
    line(c, "aliases", joined(c, &f->v));
    line(c, "stage", f->v.version ? stage_of(&f->v) : NULL);
    wr_say(c, "%-12s %.19s%s%s", "created", when, user ? " by " : "", user ? clean(c, user) : "");
    line(c, "description", f->v.description.p);
    if (f->has_run)
        wr_say(c, "%-12s %s \"%s\", %s", "run", f->run.uuid.p, clean(c, f->run.name.p), wr_runs_status(&f->run));
    else if (f->v.run_id.n) wr_say(c, "%-12s %s (purged)", "run", f->v.run_id.p);
    line(c, "code", f->code);
    line(c, "logged model", f->v.model_id.p);
    if (f->package) say_package(c, wr_package_get(f->package));
    if (f->has_mlmodel) line(c, "flavors", f->mlmodel.flavors);
    if (f->has_mlmodel && !f->mlmodel.has_signature) line(c, "signature", "none");
    if (f->mlmodel.has_signature) {
        wr_say(c, "signature");
        say_columns(c, "input", &f->mlmodel.inputs);
        say_columns(c, "output", &f->mlmodel.outputs);
        say_columns(c, "param", &f->mlmodel.params);
    }
    section(c, "data", &f->data);
    section(c, "params", &f->params);
    section(c, "metrics", &f->metrics);
    section(c, "reports", &f->reports);
    section(c, "tags", &f->tags);
    if (wr_cli_flag(c, "files") && f->nfiles) say_files(c, f);
}

static void put_facts(wr_jsonw *w, const char *key, const wr_model_fact_list *l, bool numbers)
{
    wr_jsonw_key(w, key);
    wr_jsonw_obj(w);
    for (size_t i = 0; i < l->n; i++) {
        double v;
        if (!numbers) wr_jsonw_kstr(w, l->at[i].key, l->at[i].value);
        else if (wr_num_f64(&v, wr_str_of(l->at[i].value), NULL) == 0) wr_jsonw_kf64(w, l->at[i].key, v);
        else wr_jsonw_kstr(w, l->at[i].key, NULL);
    }
    wr_jsonw_end(w);
}

static void put_columns(wr_jsonw *w, const char *key, const wr_mlmodel_columns *l)
{
    wr_jsonw_key(w, key);
    wr_jsonw_arr(w);
    for (size_t i = 0; i < l->n; i++) {
        wr_jsonw_obj(w);
        wr_jsonw_kstr(w, "name", l->at[i].name);
        wr_jsonw_kstr(w, "type", l->at[i].type);
        wr_jsonw_kbool(w, "required", !l->at[i].optional);
        if (l->at[i].value) {
            wr_jsonw_key(w, "default");
            wr_jsonw_raw(w, wr_str_of(l->at[i].value));
        }
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

static void put_mlmodel(wr_jsonw *w, const wr_model_facts *f)
{
    if (!f->has_mlmodel) return;
    wr_jsonw_kstr(w, "flavors", f->mlmodel.flavors);
    wr_jsonw_key(w, "signature");
    if (!f->mlmodel.has_signature) {
        wr_jsonw_null(w);
        return;
    }
    wr_jsonw_obj(w);
    put_columns(w, "inputs", &f->mlmodel.inputs);
    put_columns(w, "outputs", &f->mlmodel.outputs);
    put_columns(w, "params", &f->mlmodel.params);
    wr_jsonw_end(w);
}

static void put_package(wr_jsonw *w, const wr_package_parts *k)
{
    wr_jsonw_kstr(w, "view", k->view->hash);
    wr_jsonw_key(w, "options");
    wr_jsonw_raw(w, wr_str_of(k->options_json));
    wr_jsonw_key(w, "features");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < k->nuse; i++) wr_jsonw_cstr(w, k->view->features[k->use[i]].name);
    wr_jsonw_end(w);
}

static void put_files(wr_jsonw *w, const wr_model_facts *f)
{
    wr_jsonw_key(w, "files");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < f->nfiles; i++) {
        wr_jsonw_obj(w);
        wr_jsonw_kstr(w, "path", f->files[i].path);
        wr_jsonw_ki64(w, "size", f->files[i].size);
        wr_jsonw_kstr(w, "hash", f->files[i].hash);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

static void version_json(wr_cli *c, const wr_model_facts *f)
{
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    put_version(w, c, &f->v);
    wr_jsonw_kstr(w, "code", f->code);
    if (f->size >= 0) wr_jsonw_ki64(w, "size", f->size);
    if (f->elsewhere) wr_jsonw_kstr(w, "files_missing", f->elsewhere);
    put_files(w, f);
    if (f->package) put_package(w, wr_package_get(f->package));
    put_mlmodel(w, f);
    put_facts(w, "data", &f->data, false);
    put_facts(w, "params", &f->params, false);
    put_facts(w, "metrics", &f->metrics, true);
    put_facts(w, "reports", &f->reports, false);
    wr_jsonw_end(w);
}

/* ---- show: a model with its versions ---- */

typedef struct {
    wr_registered_model m;
    wr_registered_version *v;
    size_t n;
    bool has_candidate; /* newest, and not registered */
    wr_model_version candidate;
    wr_registered_alias_move **moves; /* of each alias */
    size_t *nmoves;
} overview;

static int read_overview(overview *o, wr_cli *c, wr_project *p, wr_track *t, const char *name, wr_err *err)
{
    wr_arena *a = wr_cli_arena(c);
    wr_err none;
    WR_TRY(wr_registered_versions_all(&o->v, &o->n, a, t, wr_str_of(name), err));
    o->has_candidate = wr_model_find(&o->candidate, a, p, name, &none) == 0;
    for (size_t i = 0; i < o->n; i++)
        if (o->has_candidate && wr_str_is(o->v[i].package, o->candidate.package)) o->has_candidate = false;
    o->moves = wr_arena_calloc(a, o->m.naliases + 1, sizeof *o->moves);
    o->nmoves = wr_arena_calloc(a, o->m.naliases + 1, sizeof *o->nmoves);
    if (!o->moves || !o->nmoves) return wr_err_nomem(err);
    for (size_t i = 0; i < o->m.naliases; i++)
        WR_TRY(wr_registered_alias_moves(&o->moves[i], &o->nmoves[i], a, t, o->m.name, o->m.aliases[i].alias, HISTORY,
                                         err));
    return 0;
}

static void say_moves(wr_cli *c, const overview *o)
{
    for (size_t i = 0; i < o->m.naliases; i++)
        for (size_t k = 0; k < o->nmoves[i]; k++) {
            const wr_registered_alias_move *m = &o->moves[i][k];
            char when[WR_TIME_TEXT];
            wr_time_format(when, m->moved_ms * 1000);
            const char *was = m->was ? wr_arena_printf(wr_cli_arena(c), "%lld", (long long)m->was) : "-";
            const char *to = m->version ? wr_arena_printf(wr_cli_arena(c), "%lld", (long long)m->version) : "-";
            wr_say(c, "  %.19s  %s %s -> %s%s%s%s", when, o->m.aliases[i].alias.p, was, to, m->undo ? ", rollback" : "",
                   m->user.n ? ", by " : "", m->user.n ? clean(c, m->user.p) : "");
        }
}

static void show_overview(wr_cli *c, const overview *o)
{
    char created[WR_TIME_TEXT], updated[WR_TIME_TEXT];
    wr_time_format(created, o->m.created_ms * 1000);
    wr_time_format(updated, o->m.updated_ms * 1000);
    wr_say(c, "%-12s %s%s", "model", clean(c, o->m.name.p),
           wr_registered_is_prompt(o->m.tags, o->m.ntags) ? " (prompt)" : "");
    line(c, "description", o->m.description.p);
    wr_say(c, "%-12s %.19s, changed %.19s", "created", created, updated);
    for (size_t i = 0; i < o->m.naliases; i++)
        wr_say(c, "%-12s %s is version %lld", "alias", o->m.aliases[i].alias.p, (long long)o->m.aliases[i].version);
    for (size_t i = 0; i < o->m.ntags; i++)
        wr_say(c, "%-12s %s=%s", "tag", clean(c, o->m.tags[i].key.p), clean(c, o->m.tags[i].value.p));
    if (o->has_candidate)
        wr_say(c, "%-12s package %.12s by run %.8s, not registered (--candidate shows it)", "candidate",
               o->candidate.package, o->candidate.run_id);
    wr_table *t = wr_table_new(c, ">VERSION", "ALIASES", "STAGE", "FROM", "CREATED", "RUN", NULL);
    for (size_t i = 0; i < o->n; i++) version_row(c, t, &o->v[i], false);
    if (o->n) wr_table_print(t);
    else wr_say(c, "no versions");
    if (o->m.naliases) wr_say(c, "where aliases went, the newest first");
    say_moves(c, o);
}

static void put_moves(wr_jsonw *w, const overview *o, size_t i)
{
    wr_jsonw_obj(w);
    wr_jsonw_kslice(w, "alias", o->m.aliases[i].alias);
    wr_jsonw_ki64(w, "version", o->m.aliases[i].version);
    wr_jsonw_key(w, "moves");
    wr_jsonw_arr(w);
    for (size_t k = 0; k < o->nmoves[i]; k++) {
        const wr_registered_alias_move *m = &o->moves[i][k];
        wr_jsonw_obj(w);
        wr_jsonw_ki64(w, "version", m->version);
        wr_jsonw_ki64(w, "was", m->was);
        wr_jsonw_kbool(w, "rollback", m->undo);
        wr_jsonw_kstr(w, "user", or_null(m->user));
        ktime(w, "moved", m->moved_ms);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

static void overview_json(wr_cli *c, const overview *o)
{
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    wr_jsonw_kslice(w, "model", o->m.name);
    wr_jsonw_kstr(w, "description", or_null(o->m.description));
    ktime(w, "created", o->m.created_ms);
    ktime(w, "updated", o->m.updated_ms);
    put_tags(w, o->m.tags, o->m.ntags);
    wr_jsonw_kstr(w, "candidate", o->has_candidate ? o->candidate.package : NULL);
    wr_jsonw_key(w, "aliases");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < o->m.naliases; i++) put_moves(w, o, i);
    wr_jsonw_end(w);
    wr_jsonw_key(w, "versions");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < o->n; i++) {
        wr_jsonw_obj(w);
        put_version(w, c, &o->v[i]);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

static int run_show(wr_cli *c, wr_err *err)
{
    wr_project *p;
    wr_track *t;
    overview o = {0};
    wr_model_facts f = {0};
    wr_err none;
    const char *ref = wr_cli_arg(c, 0);
    WR_TRY(wr_cli_project(c, &p, err));
    WR_TRY(wr_project_track(&t, p, err));
    if (!wr_cli_flag(c, "candidate") && wr_registered_model_get(&o.m, wr_cli_arena(c), t, wr_str_of(ref), &none) == 0) {
        WR_TRY(read_overview(&o, c, p, t, ref, err));
        if (wr_cli_json(c)) overview_json(c, &o);
        else show_overview(c, &o);
        return 0;
    }
    int rc = wr_model_facts_read(&f, c, ref, err);
    if (rc == 0 && wr_cli_json(c)) version_json(c, &f);
    else if (rc == 0) show_version(c, &f);
    wr_model_facts_fini(&f);
    return rc;
}

static const wr_cmd_arg show_args[] = {
    {"files", 0, WR_ARG_FLAG, NULL, "list the files, with size and hash", NULL},
    {"candidate", 0, WR_ARG_FLAG, NULL, "the newest candidate of NAME, registered or not", NULL},
};

const wr_cmd wr_cmd_model_show = {
    "model show",
    "show a model with its versions, or one version",
    "MODEL",
    1,
    1,
    show_args,
    sizeof show_args / sizeof *show_args,
    "MODEL is NAME (all its versions, and where its aliases went; its newest candidate when nothing\n"
    "is registered yet), NAME@ALIAS or NAME@VERSION: source, run, code, signature, data, params,\n"
    "metrics, reports and tags, of weir's packages and of what MLflow's clients registered.",
    "  # versions and aliases\n  weir model show delay\n  # the one in use\n  weir model show delay@champion",
    run_show};
