/* SPDX-License-Identifier: Apache-2.0 */
/* features_open.c - the views of a feature service put together: their features in a row, their request columns each
 * once; and what a request may leave out. */
#include "stage/deploy/features.h"
#include "stage/deploy/rows.h"
#include "stage/deploy/serve_inside.h"

/* ---- what may be left out ---- */

void wr_features_optional(wr_tensor_spec *in, const wr_serve_endpoint *e, const wr_view *v)
{
    const wr_feature_service *f = e->service;
    for (size_t k = 0; k < v->nrequest; k++) {
        bool listed = e->features_path && (!f || k == 0); /* of a view's file everything, of a service the time */
        for (size_t i = 0; f && i < f->noptional; i++) listed = listed || strcmp(f->optional[i], v->request[k]) == 0;
        in[k].optional = listed || v->looked_up[k];
    }
}

/* What a service says may be left out is there to be left out. */
static int check_optional(const wr_feature_service *f, const wr_fed *fed, wr_arena *a, wr_err *err)
{
    const char **names = wr_arena_alloc(a, (fed->nin + 1) * sizeof *names);
    if (!names) return wr_err_nomem(err);
    for (size_t k = 0; k < fed->nin; k++) names[k] = fed->in[k].name;
    for (size_t i = 0; i < f->noptional; i++) {
        bool there = false;
        for (size_t k = 0; k < fed->nin; k++) there = there || strcmp(names[k], f->optional[i]) == 0;
        if (there) continue;
        int near = wr_str_nearest(wr_str_of(f->optional[i]), names, fed->nin);
        int rc = wr_yaml_error(f->optional_at->items[i], WEIR_EINVAL, err, "no request to %s has a column \"%s\"",
                               fed->called, f->optional[i]);
        return near >= 0 ? wr_err_hint(err, rc, "did you mean \"%s\"?", names[near]) : rc;
    }
    return 0;
}

int wr_features_fit(const wr_serve_endpoint *e, const wr_view *v, wr_err *err)
{
    bool other = false;
    if (!e->fed) return 0;
    for (size_t i = 0; i < e->fed->nviews; i++) {
        if (strcmp(e->fed->views[i].view->hash, v->hash) == 0) return 0;
        other = other || strcmp(e->fed->views[i].view->name, v->name) == 0;
    }
    wr_err_set(err, WEIR_ECONFLICT, "the model was trained on view \"%s\", features of endpoint \"%s\" are of %s%s",
               v->name, e->name, other ? "another version of it, in " : "", e->fed->called);
    wr_err_detail(err, WEIR_ECONFLICT, "the model's view is %.12s", v->hash);
    return wr_err_hint(err, WEIR_ECONFLICT, "name the view's own file, or train on this one");
}

/* ---- putting together ---- */

static int add_column(wr_fed *fed, const wr_tensor_spec *s, const wr_view *v, wr_err *err)
{
    for (size_t i = 0; i < fed->nin; i++) {
        if (strcmp(fed->in[i].name, s->name) != 0) continue;
        fed->in[i].optional = fed->in[i].optional && s->optional;
        if (fed->in[i].type == s->type) return 0;
        wr_err_set(err, WEIR_ECONFLICT,
                   "column \"%s\" of %s is %s for view \"%s\", and something else for a view before", s->name,
                   fed->called, s->type == WR_TENSOR_BYTES ? "a text" : "a number", v->name);
        return wr_err_hint(err, WEIR_ECONFLICT, "what is called the same is one column of a request");
    }
    fed->in[fed->nin++] = *s;
    return 0;
}

static int add_feature(wr_fed *fed, const wr_view_feature *f, const wr_view *v, wr_err *err)
{
    for (size_t i = 0; i < fed->nfeatures; i++)
        if (strcmp(fed->features[i]->name, f->name) == 0)
            return wr_err_set(err, WEIR_EEXIST, "feature \"%s\" of view \"%s\" is there already, in another view of %s",
                              f->name, v->name, fed->called);
    fed->features[fed->nfeatures++] = f;
    return 0;
}

/* Room was made for it. */
static int add_view(wr_fed *fed, wr_serve *s, const wr_serve_endpoint *e, wr_live *live, wr_err *err)
{
    wr_fed_view *to = &fed->views[fed->nviews++];
    wr_served as = {.view = live->view};
    wr_tensor_spec *out;
    size_t nin, nout;
    *to = (wr_fed_view){.live = live, .view = live->view, .first = fed->nfeatures};
    WR_TRY(wr_serve_specs(&to->in, &nin, &out, &nout, &as, s->arena, err));
    wr_features_optional(to->in, e, to->view);
    for (size_t k = 0; k < nin; k++) WR_TRY(add_column(fed, &to->in[k], to->view, err));
    for (size_t f = 0; f < to->view->nfeatures; f++) WR_TRY(add_feature(fed, &to->view->features[f], to->view, err));
    return 0;
}

static int make_room(wr_fed *fed, wr_arena *a, wr_live *const *lives, size_t n, wr_err *err)
{
    size_t features = 0, columns = 0;
    for (size_t i = 0; i < n; i++) {
        features += lives[i]->view->nfeatures;
        columns += lives[i]->view->nrequest;
    }
    fed->views = wr_arena_calloc(a, n, sizeof *fed->views);
    fed->features = wr_arena_calloc(a, features + 1, sizeof *fed->features);
    fed->in = wr_arena_calloc(a, columns + 1, sizeof *fed->in);
    return fed->views && fed->features && fed->in ? 0 : wr_err_nomem(err);
}

int wr_features_open(wr_serve *s, wr_serve_endpoint *e, wr_err *err)
{
    const wr_feature_service *f = e->service;
    wr_live *lives[WR_FEATURE_VIEWS];
    size_t n = f ? f->nviews : 1;
    if (!e->features_path) return 0;
    wr_fed *fed = wr_arena_calloc(s->arena, 1, sizeof *fed);
    if (!fed) return wr_err_nomem(err);
    for (size_t i = 0; i < n; i++) {
        wr_view *v;
        WR_TRY(wr_view_load(&v, s->arena, f ? f->views[i] : e->features_path, err));
        WR_TRY(wr_serve_state_for(&lives[i], s, v, err));
    }
    fed->called = n > 1 ? wr_arena_printf(s->arena, "feature service \"%s\"", f->name)
                        : wr_arena_printf(s->arena, "view \"%s\"", lives[0]->view->name);
    if (!fed->called) return wr_err_nomem(err);
    WR_TRY(make_room(fed, s->arena, lives, n, err));
    for (size_t i = 0; i < n; i++) WR_TRY(add_view(fed, s, e, lives[i], err));
    if (f) WR_TRY(check_optional(f, fed, s->arena, err));
    e->fed = fed;
    return 0;
}
