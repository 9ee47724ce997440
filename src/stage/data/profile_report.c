/* SPDX-License-Identifier: Apache-2.0 */
/* profile_report.c - read the columns, profile them, write JSON. The page is in profile_html.c. */
#include "stage/data/profile_report.h"

#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/num.h"
#include "stage/data/suite.h"

enum { BATCH = 8 };

typedef struct {
    wr_profile_report *out;
    wr_arena *a;
    wr_pool *pool;
    wr_tables *t;
    const char **name;
    size_t n;
} job;

const char *wr_profile_text(char *out, const wr_profile *p, double v)
{
    if (isnan(v)) return "-";
    if (p->type == WR_TS && fabs(v) < 9e18) {
        wr_time_format(out, (int64_t)v);
        if (strlen(out) >= 20) memcpy(out + 16, "Z", 2); /* to the minute */
    } else if (v == floor(v) && fabs(v) < 1e15) {
        char text[WR_NUM_TEXT];
        snprintf(out, WR_PROFILE_TEXT, "%s", wr_fmt_count(text, v));
    } else {
        snprintf(out, WR_PROFILE_TEXT, "%.5g", v);
    }
    return out;
}

/* ---- reading ---- */

static int find_column(job *j, const wr_delta_snapshot *s, const char *name, wr_err *err)
{
    const char **names = wr_arena_calloc(j->a, s->nfields + 1, sizeof *names);
    if (!names) return wr_err_nomem(err);
    for (size_t i = 0; i < s->nfields; i++) {
        names[i] = s->fields[i].name;
        if (strcmp(names[i], name) == 0) return 0;
    }
    int near = wr_str_nearest(wr_str_of(name), names, s->nfields);
    wr_err_set(err, WEIR_ENOTFOUND, "no column \"%s\" in the dataset", name);
    return near >= 0 ? wr_err_hint(err, WEIR_ENOTFOUND, "did you mean \"%s\"?", names[near]) : WEIR_ENOTFOUND;
}

static bool wanted(const char *name, const char *const *only, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(only[i], name) == 0) return true;
    return n == 0;
}

static int choose(job *j, const wr_delta_snapshot *s, const char *const *only, size_t n, wr_err *err)
{
    for (size_t i = 0; i < n; i++) WR_TRY(find_column(j, s, only[i], err));
    j->name = wr_arena_calloc(j->a, s->nfields + 1, sizeof *j->name);
    j->out->skipped = wr_arena_calloc(j->a, s->nfields + 1, sizeof *j->out->skipped);
    j->out->column = wr_arena_calloc(j->a, s->nfields + 1, sizeof *j->out->column);
    if (!j->name || !j->out->skipped || !j->out->column) return wr_err_nomem(err);
    for (size_t i = 0; i < s->nfields; i++) {
        if (!wanted(s->fields[i].name, only, n)) continue;
        const char *name = wr_arena_strdup(j->a, s->fields[i].name);
        if (!name) return wr_err_nomem(err);
        if (strcmp(s->fields[i].type, "binary") == 0) j->out->skipped[j->out->nskipped++] = name;
        else j->name[j->n++] = name;
    }
    return 0;
}

/* What the profile points to inside the frame is copied: the frame goes. */
static int keep(job *j, const wr_profile *p, const char *name, wr_err *err)
{
    wr_profile *to = &j->out->column[j->out->n++];
    *to = *p;
    to->name = name;
    for (size_t i = 0; i < p->ntop; i++) {
        to->top[i].value = wr_arena_str(j->a, wr_str_fit(p->top[i].value, 200));
        if (!to->top[i].value.p) return wr_err_nomem(err);
    }
    return 0;
}

static int batch(job *j, size_t from, size_t n, wr_err *err)
{
    WR_AUTOFRAME wr_frame *f = NULL;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    WR_AUTOBUF wr_buf sql = {0};
    wr_profile *p;
    wr_buf_init(&sql, 0);
    if (!a) return wr_err_nomem(err);
    wr_buf_str(&sql, "SELECT ");
    for (size_t i = 0; i < n; i++) {
        if (i) wr_buf_str(&sql, ", ");
        wr_sql_ident(&sql, wr_str_of(j->name[from + i]));
    }
    wr_buf_str(&sql, " FROM this");
    if (sql.failed) return wr_err_nomem(err);
    int rc = wr_tables_query(j->t, &f, wr_buf_cstr(&sql), NULL, 0, err);
    if (rc == WEIR_ELIMIT) wr_err_hint(err, rc, "leave the column out: --column NAME for each of the others");
    WR_TRY(rc);
    WR_TRY(wr_profile_frame(&p, a, f, j->pool, err));
    for (size_t i = 0; i < n; i++) WR_TRY(keep(j, &p[i], j->name[from + i], err));
    return 0;
}

static int run(job *j, wr_project *p, const char *fixed, wr_profile_tick tick, void *ctx, wr_err *err)
{
    WR_TRY(wr_dataset_view(j->t, p, fixed, "this", err));
    WR_TRY(wr_tables_i64(j->t, &j->out->rows, "SELECT count(*) FROM this", err));
    for (size_t i = 0; i < j->n; i += BATCH) {
        if (tick) tick(ctx, i, j->n);
        WR_TRY(batch(j, i, j->n - i < BATCH ? j->n - i : BATCH, err));
    }
    return 0;
}

int wr_profile_dataset(wr_profile_report *out, wr_arena *a, wr_project *p, const char *ref, const char *const *only,
                       size_t n, wr_pool *pool, wr_profile_tick tick, void *ctx, wr_err *err)
{
    wr_delta_snapshot s;
    job j = {.out = out, .a = a, .pool = pool};
    memset(out, 0, sizeof *out);
    WR_TRY(wr_dataset_read(&s, p, ref, err));
    int rc = wr_dataset_node(&out->node, a, ref, &s) < 0 ? wr_err_nomem(err) : choose(&j, &s, only, n, err);
    out->timestamp_us = s.timestamp_us;
    for (size_t i = 0; i < s.nfiles; i++) out->bytes += s.files[i].size;
    const char *fixed = rc == 0 ? wr_arena_printf(a, "%s@%lld", out->node.name, (long long)s.version) : NULL;
    wr_delta_free(&s);
    if (rc < 0) return rc;
    if (!fixed) return wr_err_nomem(err);
    WR_TRY(wr_project_tables(&j.t, p, NULL, err));
    rc = run(&j, p, fixed, tick, ctx, err);
    wr_tables_close(j.t);
    return rc;
}

/* ---- JSON ---- */

static void put(wr_jsonw *w, const wr_profile *p, const char *key, double v)
{
    char text[WR_TIME_TEXT];
    if (p->type != WR_TS || isnan(v)) {
        wr_jsonw_kf64(w, key, v);
        return;
    }
    wr_time_format(text, (int64_t)v);
    wr_jsonw_kstr(w, key, text);
}

static void numbers_json(wr_jsonw *w, const wr_profile *p)
{
    char key[16];
    put(w, p, "min", p->min);
    put(w, p, "max", p->max);
    put(w, p, "mean", p->mean);
    wr_jsonw_kf64(w, "std", p->type == WR_TS ? p->std / 1e6 : p->std); /* of times: seconds */
    wr_jsonw_kf64(w, "skew", p->skew);
    wr_jsonw_kf64(w, "kurtosis", p->kurtosis);
    wr_jsonw_ki64(w, "zeros", (int64_t)p->zeros);
    wr_jsonw_ki64(w, "negatives", (int64_t)p->negatives);
    wr_jsonw_ki64(w, "infinite", (int64_t)p->infinite);
    wr_jsonw_key(w, "quantiles");
    wr_jsonw_obj(w);
    for (size_t q = 0; q < WR_PROFILE_QUANTILES; q++) {
        snprintf(key, sizeof key, "%g", wr_profile_q[q]);
        put(w, p, key, p->quantile[q]);
    }
    wr_jsonw_end(w);
    wr_jsonw_key(w, "histogram");
    wr_jsonw_obj(w);
    put(w, p, "from", p->hist_lo);
    put(w, p, "to", p->hist_hi);
    wr_jsonw_ki64(w, "below", (int64_t)p->below);
    wr_jsonw_ki64(w, "above", (int64_t)p->above);
    wr_jsonw_key(w, "counts");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < WR_PROFILE_BINS; i++) wr_jsonw_i64(w, (int64_t)p->hist[i]);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

static void text_json(wr_jsonw *w, const wr_profile *p)
{
    wr_jsonw_ki64(w, "empty", (int64_t)p->empty);
    wr_jsonw_ki64(w, "length_min", (int64_t)p->len_min);
    wr_jsonw_ki64(w, "length_max", (int64_t)p->len_max);
    wr_jsonw_kf64(w, "length_mean", p->len_mean);
    wr_jsonw_key(w, "top");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < p->ntop; i++) {
        wr_jsonw_obj(w);
        wr_jsonw_kslice(w, "value", p->top[i].value);
        wr_jsonw_ki64(w, "rows", (int64_t)p->top[i].n);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

void wr_profile_json(wr_jsonw *w, const wr_profile_report *r)
{
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "dataset", r->node.name);
    wr_jsonw_ki64(w, "version", r->node.version);
    wr_jsonw_kstr(w, "hash", r->node.hash);
    wr_jsonw_ki64(w, "rows", r->rows);
    wr_jsonw_ki64(w, "bytes", r->bytes);
    wr_jsonw_key(w, "columns");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < r->n; i++) {
        const wr_profile *p = &r->column[i];
        wr_jsonw_obj(w);
        wr_jsonw_kstr(w, "name", p->name);
        wr_jsonw_kstr(w, "type", wr_type_name(p->type));
        wr_jsonw_ki64(w, "missing", (int64_t)p->missing);
        wr_jsonw_ki64(w, "distinct", (int64_t)p->distinct);
        wr_jsonw_kbool(w, "sorted", p->sorted);
        if (p->type == WR_TEXT) text_json(w, p);
        else numbers_json(w, p);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
    wr_jsonw_key(w, "skipped");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < r->nskipped; i++) wr_jsonw_cstr(w, r->skipped[i]);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}
