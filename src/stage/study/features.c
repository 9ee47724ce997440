/* SPDX-License-Identifier: Apache-2.0 */
/* features.c - the part of check 2 that asks where a server finds features: whether a feature service has one for
 * each input of the model, and whether the online state and the tables of lookups that it would start from are there,
 * of this view, and new enough. */
#include "base/clock.h"
#include "base/num.h"
#include "core/endpoint.h"
#include "stage/deploy/live.h"
#include "stage/study/study_inside.h"

typedef struct {
    const wr_view *at[WR_FEATURE_VIEWS];
    size_t n;
    const char *called; /* the service, or the file */
} views;

/* Those that the model's endpoint puts in front of it; n 0 = none. */
static int views_before(views *out, wr_feasibility_work *w, wr_err *err)
{
    const char *endpoint = wr_feasibility_endpoint(w);
    wr_endpoint e;
    *out = (views){.called = ""};
    if (!endpoint) return 0;
    WR_TRY(wr_endpoint_find(&e, w->a, w->p, endpoint, err));
    if (!e.features) return 0;
    size_t n = e.service ? e.service->nviews : 1;
    out->called = e.service ? e.service->name : e.features;
    for (; out->n < n; out->n++) {
        wr_view *v;
        WR_TRY(wr_view_load(&v, w->a, e.service ? e.service->views[out->n] : e.features, err));
        out->at[out->n] = v;
    }
    return 0;
}

static bool is_feature(const views *s, const char *name)
{
    for (size_t k = 0; k < s->n; k++)
        for (size_t i = 0; i < s->at[k]->nfeatures; i++)
            if (strcmp(s->at[k]->features[i].name, name) == 0) return true;
    return false;
}

static int64_t feature_count(const views *s)
{
    int64_t n = 0;
    for (size_t k = 0; k < s->n; k++) n += (int64_t)s->at[k]->nfeatures;
    return n;
}

/* What the model asks for and no view has a feature of that name for; *n of them, the first in *name. */
static void without_feature(size_t *n, const char **name, const wr_feasibility_work *w, const views *s)
{
    const wr_predictor *p = w->m->predictor;
    bool matrix = w->m->nin == 1 && !is_feature(s, w->m->in[0].name);
    size_t count = matrix ? p->nfeatures : w->m->nin;
    *n = 0;
    if (matrix && !p->features) { /* by place: as many numbers as there are */
        int64_t width = w->m->in[0].ndims == 2 ? w->m->in[0].shape[1] : -1;
        *n = width > 0 && width != feature_count(s);
        *name = w->m->in[0].name;
        return;
    }
    for (size_t i = count; i-- > 0;) {
        const char *asked = matrix ? p->features[i] : w->m->in[i].name;
        if (is_feature(s, asked)) continue;
        ++*n;
        *name = asked;
    }
}

/* How long before the newest row of the view's source, or now, something is; 0 when it is not. */
static int64_t age_of(const wr_feasibility_work *w, const wr_view *v, int64_t time_us)
{
    const wr_col *time = w->source ? wr_frame_col(w->source, v->time) : NULL;
    int64_t now = time && time->n ? time->i64[time->n - 1] : wr_clock_wall_us(), age;
    if (time_us == INT64_MIN || __builtin_sub_overflow(now, time_us, &age)) return INT64_MAX;
    return age > 0 ? age : 0;
}

static bool too_old(const wr_feasibility_work *w, int64_t age) { return w->t->max_age_us && age > w->t->max_age_us; }

static void materialize_hint(wr_feasibility_work *w, wr_feasibility_result *r, const wr_view *v, const char *option)
{
    wr_check_hint(w, r, "weir feature materialize%s, of view \"%.60s\"", option, v->name);
}

static int judge_tables(wr_feasibility_work *w, wr_feasibility_result *r, const wr_view *v, wr_live *l, bool *good)
{
    wr_lookup_info info;
    char text[WR_TIME_TEXT], age_text[WR_NUM_TEXT];
    if (!v->nlookups) return 0;
    *good = false;
    if (!wr_live_tables(&info, l)) {
        if (l->no_tables[0]) wr_check_text(w, r, "tables", "%s", l->no_tables);
        materialize_hint(w, r, v, "");
        return wr_check_says(w, r, WR_CHECK_FAIL, "%zu lookups of view \"%s\" have no tables", v->nlookups, v->name);
    }
    int64_t age = age_of(w, v, info.as_of_us);
    wr_time_format(text, info.as_of_us);
    wr_check_number(w, r, "entities looked up", (double)info.entities, NULL);
    wr_check_text(w, r, "tables as of", "%s", text);
    if (!info.rows) {
        materialize_hint(w, r, v, " after its datasets have rows");
        return wr_check_says(w, r, WR_CHECK_FAIL, "the lookup tables of view \"%s\" are empty", v->name);
    }
    if (too_old(w, age)) {
        materialize_hint(w, r, v, " --lookups");
        return wr_check_says(w, r, WR_CHECK_FAIL, "the lookup tables are %s old",
                             wr_fmt_seconds(age_text, (double)age / 1e6));
    }
    *good = true;
    return 0;
}

static int judge_state(wr_feasibility_work *w, wr_feasibility_result *r, const wr_view *v, wr_live *l, bool *good)
{
    char text[WR_TIME_TEXT], age_text[WR_NUM_TEXT];
    if (!v->ngroups) return 0;
    int64_t newest = wr_live_newest(l), age = age_of(w, v, newest);
    *good = false;
    if (l->base == WR_LIVE_EMPTY && newest == INT64_MIN) {
        materialize_hint(w, r, v, "");
        return wr_check_says(w, r, l->foreign ? WR_CHECK_FAIL : WR_CHECK_WARN, "the online state of view \"%s\" %s",
                             v->name,
                             l->foreign ? "is of another version of it" : "is empty: its windows fill as events come");
    }
    if (newest != INT64_MIN) {
        wr_time_format(text, newest);
        wr_check_text(w, r, "newest event served", "%s", text);
    }
    if (too_old(w, age)) {
        materialize_hint(w, r, v, " with newer events, or send them");
        if (age == INT64_MAX) return wr_check_says(w, r, WR_CHECK_FAIL, "the online state has no event at all");
        return wr_check_says(w, r, WR_CHECK_FAIL, "the newest event of the online state is %s old",
                             wr_fmt_seconds(age_text, (double)age / 1e6));
    }
    *good = true;
    return 0;
}

/* What a server would start from. *good: nothing was said. */
static int judge(wr_feasibility_work *w, wr_feasibility_result *r, const wr_view *v, bool *good, wr_err *err)
{
    const char *log_dir;
    wr_live *l;
    *good = true;
    WR_TRY(wr_project_state(&log_dir, w->p, "log", true, err));
    WR_TRY(wr_live_open(&l, w->p, v, log_dir, UINT64_MAX, err));
    int rc = judge_tables(w, r, v, l, good);
    if (rc == 0 && *good) rc = judge_state(w, r, v, l, good);
    wr_live_close(l);
    return rc < 0 ? wr_err_nomem(err) : 0;
}

int wr_check_fed(bool *judged, wr_feasibility_work *w, wr_feasibility_result *r, wr_err *err)
{
    views s;
    const char *name = "";
    size_t n;
    bool good = true;
    WR_TRY(views_before(&s, w, err));
    *judged = s.n > 0;
    if (!s.n) return 0;
    const char *said =
        s.n > 1 ? wr_arena_printf(w->a, "%zu views", s.n) : wr_arena_printf(w->a, "view \"%s\"", s.at[0]->name);
    if (!said) return wr_err_nomem(err);
    wr_check_text(w, r, "features", "%s, %s", s.called, said);
    without_feature(&n, &name, w, &s);
    if (n && (double)n > w->t->missing) {
        wr_check_hint(w, r, "add \"%.80s\" to view \"%.60s\"; or it comes with each request", name, s.at[0]->name);
        return wr_check_says(w, r, WR_CHECK_FAIL, "%s %s no feature \"%s\"%s", said, s.n > 1 ? "have" : "has", name,
                             n > 1 ? ", and others" : "");
    }
    for (size_t k = 0; k < s.n && good; k++) WR_TRY(judge(w, r, s.at[k], &good, err));
    if (!good) return 0;
    return wr_check_says(w, r, WR_CHECK_PASS, "features of %s for every input", said);
}

int wr_check_served_view(wr_feasibility_work *w, wr_feasibility_result *r, wr_err *err)
{
    bool good;
    const wr_view *v = w->view;
    if (!w->p || r->state == WR_CHECK_FAIL || r->state == WR_CHECK_SKIP) return 0;
    const char *said = r->measured, *hint = r->hint;
    wr_check_state state = r->state;
    if (!v->nlookups) return 0; /* windows without events fill as these come: their age is judged above */
    WR_TRY(judge(w, r, v, &good, err));
    if (good || r->state != WR_CHECK_FAIL) r->state = state, r->measured = said, r->hint = hint;
    return 0;
}
