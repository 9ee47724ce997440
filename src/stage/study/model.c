/* SPDX-License-Identifier: Apache-2.0 */
/* model.c - the model of a feasibility study: found, opened, put into a repository of its own; a package as a
 * predictor. */
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/os.h"
#include "core/noun.h"
#include "core/signing.h"
#include "core/view_source.h"
#include "io/file.h"
#include "stage/deploy/materialize.h"
#include "stage/study/study_inside.h"

enum { SOURCE_ROWS = 2000 };

/* ---- a package as a predictor ---- */

typedef struct {
    wr_predictor head;
    wr_arena *arena;
    wr_package *package;
    const wr_online *online;
    const wr_lookup *tables; /* NULL = none */
    const wr_view *view;
} packed;

static int cell_of(wr_cell *c, const packed *k, const wr_tensor *in, size_t column, size_t row, wr_err *err)
{
    wr_type type = k->view->request_type[column];
    *c = (wr_cell){.num = NAN, .missing = in[column].type == WR_TENSOR_NONE};
    if (c->missing) return 0; /* to be looked up */
    if (type == WR_F64) {
        c->num = ((const double *)in[column].data)[row];
        c->missing = isnan(c->num);
        return 0;
    }
    wr_str s = ((const wr_str *)in[column].data)[row];
    c->missing = !s.p;
    if (type == WR_TEXT) c->text = s;
    else if (s.p && wr_time_parse(&c->ts, s, NULL) < 0)
        return wr_err_set(err, WEIR_EINVAL, "input '%s': value %zu is not a time", k->view->request[column], row);
    if (c->missing && strcmp(k->view->request[column], k->view->time) == 0)
        return wr_err_set(err, WEIR_EINVAL, "row %zu: \"%s\" is missing: it says when the prediction is made", row,
                          k->view->time);
    return 0;
}

static int run_packed(const wr_predictor *p, wr_tensor *out, const bool *want, const wr_tensor *in, wr_arena *a,
                      wr_err *err)
{
    const packed *k = (const packed *)p;
    size_t n = in[0].count, nf = k->view->nfeatures;
    wr_cell *cells = wr_arena_calloc(a, k->view->nrequest + 1, sizeof *cells);
    float *num = wr_arena_calloc(a, nf + 1, sizeof *num);
    wr_str *text = wr_arena_calloc(a, nf + 1, sizeof *text);
    (void)want;
    if (!cells || !num || !text) return wr_err_nomem(err);
    out[0].ndims = 2;
    out[0].shape[0] = (int64_t)n;
    out[0].shape[1] = 1;
    out[0].count = n;
    WR_TRY(wr_tensor_alloc(&out[0], a, err));
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < k->view->nrequest; j++) WR_TRY(cell_of(&cells[j], k, in, j, i, err));
        if (k->tables) wr_lookup_row(k->tables, cells);
        wr_online_row(k->online, cells, num, text);
        ((double *)out[0].data)[i] = wr_package_predict_row(k->package, num, text);
    }
    return 0;
}

static void free_packed(wr_predictor *p)
{
    packed *k = (packed *)p;
    wr_package_free(k->package);
    wr_arena_free(k->arena);
}

/* Takes over `package`. */
static int pack(wr_predictor **out, wr_package *package, const wr_online *online, const wr_lookup *tables, wr_err *err)
{
    static const wr_predictor_ops ops = {.run = run_packed, .free = free_packed};
    static const wr_tensor_spec probability = {
        .name = "probability", .type = WR_TENSOR_FP64, .ndims = 2, .shape = {-1, 1}};
    wr_arena *a = wr_arena_new(0);
    packed *k = a ? wr_arena_calloc(a, 1, sizeof *k) : NULL;
    const wr_view *v = wr_package_get(package)->view;
    wr_tensor_spec *in = k ? wr_arena_calloc(a, v->nrequest + 1, sizeof *in) : NULL;
    if (!in) {
        wr_arena_free(a);
        wr_package_free(package);
        return wr_err_nomem(err);
    }
    for (size_t i = 0; i < v->nrequest; i++)
        in[i] = (wr_tensor_spec){.name = v->request[i],
                                 .type = v->request_type[i] == WR_F64 ? WR_TENSOR_FP64 : WR_TENSOR_BYTES,
                                 .ndims = 2,
                                 .shape = {-1, 1},
                                 .optional = tables && v->looked_up[i]};
    *k = (packed){.arena = a, .package = package, .online = online, .tables = tables, .view = v};
    k->head = (wr_predictor){.ops = &ops,
                             .platform = "weir_package",
                             .in = in,
                             .nin = v->nrequest,
                             .out = &probability,
                             .nout = 1,
                             .rows = true};
    *out = &k->head;
    return 0;
}

int wr_feasibility_predictor(wr_predictor **out, wr_feasibility_work *w, wr_err *err)
{
    wr_package *k;
    if (!w->package) return wr_predictor_open(out, w->path, err);
    WR_TRY(wr_package_load(&k, w->p, wr_package_id(w->package), err));
    return pack(out, k, w->online, w->tables, err);
}

/* ---- which one ---- */

static bool is_reference(const wr_feasibility_work *w)
{
    return strncmp(w->opt->model, "models:/", 8) == 0 || !wr_file_exists(w->opt->model);
}

/* NAME/VERSION is NAME@VERSION. */
static const char *reference(wr_arena *a, const char *model)
{
    const char *slash = strchr(model, '/');
    if (wr_model_is_path(model) || strncmp(model, "models:/", 8) == 0 || !slash || !slash[1] || strchr(model, '@'))
        return model;
    return wr_arena_printf(a, "%.*s@%s", (int)(slash - model), model, slash + 1);
}

static int of_package(wr_feasibility_work *w, const char *name, const char *id, wr_err *err)
{
    WR_TRY(wr_package_load(&w->package, w->p, id, err));
    w->view = wr_package_get(w->package)->view;
    w->report->model = name;
    w->report->source = wr_arena_printf(w->a, "package %.12s", id);
    return w->report->source ? 0 : wr_err_nomem(err);
}

static int of_version(wr_feasibility_work *w, wr_err *err)
{
    char folder[WR_SHA256_HEX], *path;
    const wr_registered_version *v = &w->version;
    w->registered = true;
    w->report->version = v->version;
    w->report->model = v->name.p;
    WR_TRY(wr_signature_check_policy(w->p, v->name.p, v->version, err));
    if (v->package.n) return of_package(w, v->name.p, v->package.p, err);
    WR_TRY(wr_materialize(&path, folder, w->a, w->p, wr_registered_version_location(v), err));
    w->path = path;
    w->report->source = wr_registered_version_location(v).p;
    return 0;
}

static int find(wr_feasibility_work *w, wr_err *err)
{
    wr_model_version candidate;
    wr_track *t;
    wr_err none = {0};
    if (!is_reference(w)) {
        w->path = w->opt->model;
        w->report->source = w->path;
        return 0;
    }
    if (!w->p) {
        wr_err_set(err, WEIR_ENOTFOUND, "there is no model \"%.200s\"", w->opt->model);
        wr_err_hint(err, WEIR_ENOTFOUND, "it is no file, and this is no project with registered models");
        return wr_model_no_file(WEIR_ENOTFOUND, w->opt->model, w->a, NULL, err);
    }
    const char *ref = reference(w->a, w->opt->model);
    if (!ref) return wr_err_nomem(err);
    if (!strpbrk(ref, "@/") && wr_model_find(&candidate, w->a, w->p, ref, &none) == 0) {
        WR_TRY(wr_project_track(&t, w->p, err));
        if (wr_registered_version_by_package(&w->version, w->a, t, wr_str_of(ref), wr_str_of(candidate.package),
                                             &none) == 0)
            return of_version(w, err);
        return of_package(w, candidate.name, candidate.package, err);
    }
    int rc = wr_model_registered(&w->version, w->a, w->p, ref, err);
    return rc < 0 ? wr_model_no_file(rc, w->opt->model, w->a, w->p, err) : of_version(w, err);
}

static void hash_of(wr_feasibility_work *w)
{
    wr_manifest m;
    wr_err none;
    if (w->registered && wr_signing_manifest(&m, w->a, w->p, &w->version, WR_FILES_KNOWN, &none) == 0)
        memcpy(w->report->hash, m.root, sizeof m.root);
    else if (w->package) snprintf(w->report->hash, sizeof w->report->hash, "%s", wr_package_id(w->package));
    else if (w->path && wr_manifest_read(&m, w->a, w->path, NULL, &none) == 0)
        memcpy(w->report->hash, m.root, sizeof m.root);
}

/* ---- its data ---- */

static int64_t horizon(const wr_view *v)
{
    int64_t most = 0;
    for (size_t i = 0; i < v->ngroups; i++)
        if (v->groups[i].horizon_us > most) most = v->groups[i].horizon_us;
    return most;
}

static int read_events(wr_feasibility_work *w, wr_tables *t, wr_err *err)
{
    char from[WR_TIME_TEXT], until[WR_TIME_TEXT];
    const wr_col *time = wr_frame_col(w->source, w->view->time);
    if (!w->view->event_source || !time || !w->source->nrows) return 0;
    wr_time_format(from, time->i64[0] - horizon(w->view) - 3600 * WR_US);
    wr_time_format(until, time->i64[w->source->nrows - 1]);
    const char *where = wr_arena_printf(w->a, "CAST((%s) AS TIMESTAMP) BETWEEN TIMESTAMP '%.19s' AND TIMESTAMP '%.19s'",
                                        w->view->event_time, from, until);
    if (!where) return wr_err_nomem(err);
    return wr_view_events(&w->events, w->view, w->p, t, where, NULL, err);
}

static int read_source(wr_feasibility_work *w, wr_err *err)
{
    WR_AUTOBUF wr_buf where = {0};
    wr_tables *t;
    WR_TRY(wr_project_tables(&t, w->p, NULL, err));
    wr_sql_ident(&where, wr_str_of(w->view->time));
    wr_buf_str(&where, " >= (SELECT min(x) FROM (SELECT ");
    wr_sql_ident(&where, wr_str_of(w->view->time));
    wr_buf_str(&where, " AS x FROM ");
    wr_sql_ident(&where, wr_str_of(w->view->source));
    wr_buf_printf(&where, " ORDER BY 1 DESC LIMIT %d))", SOURCE_ROWS);
    wr_view_rows_opt opt = {.where = wr_buf_cstr(&where)};
    int rc = where.failed ? wr_err_nomem(err) : wr_view_rows(&w->source, w->view, w->p, t, &opt, NULL, err);
    if (rc == 0) rc = read_events(w, t, err);
    wr_tables_close(t);
    return rc;
}

static void event_cells(wr_cell *out, const wr_view *v, const wr_frame *events, size_t row)
{
    for (size_t k = 0; k < v->nevent_columns; k++) {
        const wr_col *c = wr_frame_col(events, v->event_columns[k]);
        out[k] = (wr_cell){.num = NAN, .missing = !c || wr_col_missing(c, row)};
        if (out[k].missing) continue;
        if (c->type == WR_TEXT) out[k].text = wr_col_text(c, row);
        else out[k].num = wr_col_num(c, row);
    }
}

static int fill_online(wr_feasibility_work *w, wr_err *err)
{
    WR_TRY(wr_online_new(&w->online, w->view, err));
    if (!w->events) return 0;
    const wr_col *time = wr_frame_col(w->events, "_time");
    wr_cell *cells = wr_arena_calloc(w->a, w->view->nevent_columns + 1, sizeof *cells);
    if (!cells || !time) return wr_err_nomem(err);
    for (size_t i = 0; i < w->events->nrows; i++) {
        if (wr_col_missing(time, i)) continue;
        event_cells(cells, w->view, w->events, i);
        WR_TRY(wr_online_add(w->online, time->i64[i], cells, err));
    }
    return 0;
}

/* What a server would look columns up in; check 2 says when there is nothing. */
static int read_tables(wr_feasibility_work *w, wr_err *err)
{
    const char *path;
    wr_err why = {0};
    if (!w->view->nlookups) return 0;
    WR_TRY(wr_noun_lookup_path(&path, w->p, w->view->name, err));
    int rc = wr_lookup_load(&w->tables, w->view, path, &why);
    if (rc < 0) w->tables = NULL;
    return rc == WEIR_ENOMEM ? wr_err_nomem(err) : 0;
}

static int read_view(wr_feasibility_work *w, wr_err *err)
{
    wr_err why = {0};
    if (!w->view) return 0;
    int rc = read_source(w, &why);
    if (rc == WEIR_ENOMEM) return wr_err_nomem(err);
    if (rc < 0) {
        w->no_source = wr_arena_strdup(w->a, why.msg);
        wr_frame_free(w->source);
        wr_frame_free(w->events);
        w->source = w->events = NULL;
    }
    WR_TRY(read_tables(w, err));
    return fill_online(w, err);
}

/* ---- in service ---- */

int wr_feasibility_open(wr_feasibility_work *w, wr_err *err)
{
    wr_repository_opt opt = {0};
    wr_predictor *p;
    wr_str none = {NULL, 0};
    w->rss_before = wr_os_rss();
    WR_TRY(find(w, err));
    WR_TRY(read_view(w, err));
    WR_TRY(wr_repository_open(&w->repository, &opt, err));
    if (w->view) w->rss_before = wr_os_rss(); /* the table engine is not the model's */
    int64_t t0 = wr_clock_mono_ns();
    WR_TRY(wr_feasibility_predictor(&p, w, err));
    int64_t t1 = wr_clock_mono_ns();
    w->report->platform = wr_arena_strdup(w->a, p->platform);
    WR_TRY(wr_repository_put(w->repository, WR_SERVED_AS, "1", p, none, err));
    WR_TRY(wr_repository_take(&w->m, w->repository, WR_STR(WR_SERVED_AS), none, err));
    int64_t t2 = wr_clock_mono_ns();
    w->open_s = (double)(t1 - t0) / 1e9;
    w->put_s = (double)(t2 - t1) / 1e9;
    hash_of(w);
    return 0;
}

void wr_feasibility_close(wr_feasibility_work *w)
{
    if (w->m) wr_instance_give(w->m);
    if (w->repository) wr_repository_close(w->repository);
    wr_lookup_free(w->tables);
    wr_online_free(w->online); /* over the package's view */
    wr_package_free(w->package);
    wr_frame_free(w->source);
    wr_frame_free(w->events);
    wr_frame_free(w->logged);
}
