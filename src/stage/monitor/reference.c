/* SPDX-License-Identifier: Apache-2.0 */
/* reference.c - what "as it used to be" is: the reference rows, their scores, and digests to compare windows with. */
#include "stage/monitor/reference.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/os.h"
#include "core/dataset.h"
#include "core/view_source.h"
#include "io/file.h"

enum { KEEP_CACHED = 8 };

typedef struct {
    wr_arena *a;
    wr_project *p;
    wr_tables *t;
    const wr_monitor *m;
    const wr_package_parts *parts;
    const wr_package *package;
    wr_pool *pool;
} job;

int wr_reference_column(wr_buf *b, const char *name, const wr_table_column *have, size_t n, const char *what,
                        wr_arena *a, wr_err *err)
{
    const char **names = wr_arena_alloc(a, (n + 1) * sizeof *names);
    if (!names) return wr_err_nomem(err);
    for (size_t i = 0; i < n; i++) {
        names[i] = have[i].name;
        if (strcmp(have[i].name, name) != 0) continue;
        wr_sql_ident(b, wr_str_of(name));
        return 0;
    }
    int near = wr_str_nearest(wr_str_of(name), names, n);
    wr_err_set(err, WEIR_ENOTFOUND, "%s have no column \"%s\"", what, name);
    return near >= 0 ? wr_err_hint(err, WEIR_ENOTFOUND, "did you mean \"%s\"?", names[near])
                     : wr_err_hint(err, WEIR_ENOTFOUND, "watched are request columns and features of the model's view");
}

/* ---- the rows ---- */

static bool watched(const wr_monitor *m, const char *name)
{
    for (size_t i = 0; i + 1 < m->ncolumns; i++)
        if (strcmp(m->columns[i].name, name) == 0) return true;
    return false;
}

static const wr_view_feature *feature_of(const wr_view *v, const char *name)
{
    for (size_t i = 0; i < v->nfeatures; i++)
        if (strcmp(v->features[i].name, name) == 0) return &v->features[i];
    return NULL;
}

/* Features are cast to what the model sees; other watched columns stay as they are. */
static int add_column(wr_buf *b, job *j, const char *name, const wr_table_column *have, size_t n, wr_err *err)
{
    const wr_view_feature *f = feature_of(j->parts->view, name);
    wr_buf_str(b, b->n > 7 ? ", " : "");
    if (f) wr_buf_str(b, "CAST(");
    WR_TRY(wr_reference_column(b, name, have, n, "the reference's rows", j->a, err));
    if (!f) return 0;
    wr_buf_printf(b, " AS %s) AS ", f->category ? "VARCHAR" : "FLOAT");
    wr_sql_ident(b, wr_str_of(name));
    return 0;
}

static int make_sql(wr_buf *b, job *j, wr_err *err)
{
    wr_table_column *have;
    size_t n;
    WR_TRY(wr_tables_describe(j->t, &have, &n, j->a, j->m->reference, err));
    wr_buf_str(b, "SELECT ");
    for (size_t i = 0; i + 1 < j->m->ncolumns; i++) WR_TRY(add_column(b, j, j->m->columns[i].name, have, n, err));
    for (size_t i = 0; i < j->parts->nuse; i++) {
        const char *name = j->parts->view->features[j->parts->use[i]].name;
        if (!watched(j->m, name)) WR_TRY(add_column(b, j, name, have, n, err));
    }
    wr_buf_printf(b, " FROM (%s\n)", j->m->reference);
    return b->failed ? wr_err_nomem(err) : 0;
}

/* The reference's columns with a column of scores. */
static int compute(wr_frame **out, job *j, wr_err *err)
{
    WR_AUTOBUF wr_buf sql;
    WR_AUTOFRAME wr_frame *f = NULL;
    wr_buf_init(&sql, 0);
    WR_TRY(make_sql(&sql, j, err));
    WR_TRY(wr_tables_query(j->t, &f, wr_buf_cstr(&sql), NULL, 0, err));
    WR_AUTOFREE double *score = wr_alloc(f->nrows * sizeof *score);
    if (!score) return wr_err_nomem(err);
    if (f->nrows) WR_TRY(wr_package_predict(score, j->package, f, j->pool, err));
    if (wr_frame_col(f, WR_MONITOR_SCORE))
        return wr_err_set(err, WEIR_EINVAL, "a feature is named \"%s\", which the model's score is", WR_MONITOR_SCORE);
    wr_col *c = wr_frame_add(f, WR_MONITOR_SCORE, WR_F64);
    if (!c) return wr_err_nomem(err);
    if (f->nrows) memcpy(c->f64, score, f->nrows * sizeof *score);
    *out = f;
    f = NULL;
    return 0;
}

/* ---- kept ---- */

static bool cacheable(const char *sql, size_t ndatasets)
{
    static const char *const other[] = {"read_",    ".parquet", ".csv",    ".json", "now(",
                                        "current_", "today(",   "random(", "uuid",  "sample"};
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        if (strcasestr(sql, other[i])) return false;
    return ndatasets > 0;
}

static int cache_path(const char **out, job *j, const wr_node *used, size_t nused, wr_err *err)
{
    wr_sha256 h;
    char key[WR_SHA256_HEX];
    const char *dir;
    *out = NULL;
    if (!cacheable(j->m->reference, nused)) return 0;
    wr_sha256_init(&h);
    wr_sha256_add(&h, j->m->reference, strlen(j->m->reference) + 1);
    wr_sha256_add(&h, wr_package_id(j->package), 64);
    for (size_t i = 0; i < j->m->ncolumns; i++)
        wr_sha256_add(&h, j->m->columns[i].name, strlen(j->m->columns[i].name) + 1);
    for (size_t i = 0; i < nused; i++) {
        wr_sha256_add(&h, used[i].name, strlen(used[i].name) + 1);
        wr_sha256_add(&h, used[i].hash, strlen(used[i].hash) + 1);
    }
    wr_sha256_hex(&h, key);
    WR_TRY(wr_project_state(&dir, j->p, "cache", true, err));
    *out = wr_arena_printf(j->a, "%s/monitor-%s-%.16s.parquet", dir, j->m->endpoint, key);
    return *out ? 0 : wr_err_nomem(err);
}

static int read_cached(wr_frame **out, job *j, const char *path, wr_err *err)
{
    WR_AUTOBUF wr_buf sql;
    wr_buf_init(&sql, 0);
    wr_buf_str(&sql, "SELECT * FROM read_parquet(");
    wr_sql_text(&sql, wr_str_of(path));
    wr_buf_char(&sql, ')');
    if (sql.failed) return wr_err_nomem(err);
    WR_TRY(wr_tables_query(j->t, out, wr_buf_cstr(&sql), NULL, 0, err));
    bool whole = (*out)->ncols == j->m->ncolumns;
    for (size_t i = 0; whole && i < j->m->ncolumns; i++)
        whole = strcmp((*out)->cols[i].name, j->m->columns[i].name) == 0;
    if (whole) return 0;
    wr_frame_free_ref(out);
    return wr_err_set(err, WEIR_ECORRUPT, "\"%s\" has other columns", path);
}

/* Make room: the oldest kept references of the endpoint go. Losing one costs time only, so failures do not matter. */
static void prune(job *j, const char *dir)
{
    char **names, *prefix = wr_arena_printf(j->a, "monitor-%s-", j->m->endpoint);
    size_t n, mine = 0;
    if (!prefix || wr_file_list(&names, &n, j->a, dir, NULL) < 0) return;
    for (size_t i = 0; i < n; i++)
        if (wr_str_starts(wr_str_of(names[i]), prefix)) names[mine++] = names[i];
    for (; mine > KEEP_CACHED; mine--) {
        size_t oldest = 0;
        for (size_t i = 1; i < mine; i++)
            if (wr_file_mtime_us(wr_path_join(j->a, dir, names[i])) <
                wr_file_mtime_us(wr_path_join(j->a, dir, names[oldest])))
                oldest = i;
        wr_file_remove(wr_path_join(j->a, dir, names[oldest]), NULL);
        names[oldest] = names[mine - 1];
    }
}

static int write_cached(job *j, const char *path, const wr_frame *f, wr_err *err)
{
    WR_AUTOBUF wr_buf sql;
    wr_parquet_info info;
    char uuid[37];
    wr_buf_init(&sql, 0);
    wr_os_uuid(uuid);
    char *dir = wr_path_dir(j->a, path), *hidden = dir ? wr_arena_printf(j->a, "%s/.%s", dir, uuid) : NULL;
    wr_buf_str(&sql, "SELECT ");
    for (size_t i = 0; i < j->m->ncolumns; i++) {
        wr_buf_str(&sql, i ? ", " : "");
        wr_sql_ident(&sql, wr_str_of(j->m->columns[i].name));
    }
    wr_buf_str(&sql, " FROM _reference");
    if (!hidden || sql.failed) return wr_err_nomem(err);
    WR_TRY(wr_tables_register(j->t, "_reference", f, err));
    int rc = wr_tables_copy_parquet(j->t, &info, j->a, wr_buf_cstr(&sql), hidden, err);
    wr_tables_register(j->t, "_reference", NULL, NULL);
    if (rc == 0) rc = wr_file_publish(hidden, path, err);
    if (rc < 0) wr_file_remove(hidden, NULL);
    else prune(j, dir);
    return rc;
}

static int load_frame(wr_frame **out, job *j, wr_run *run, wr_err *err)
{
    wr_node *used;
    size_t nused;
    const char *path;
    WR_TRY(wr_dataset_views_for(j->t, j->p, j->m->reference, &used, &nused, j->a, err));
    for (size_t i = 0; run && i < nused; i++) wr_run_input(run, &used[i]);
    WR_TRY(cache_path(&path, j, used, nused, err));
    if (path && wr_file_exists(path) && read_cached(out, j, path, NULL) == 0) return 0;
    int rc = compute(out, j, err);
    if (rc < 0) return wr_err_wrap(err, rc, "reference of monitor \"%s\"", j->m->name);
    if ((*out)->nrows == 0) {
        wr_frame_free_ref(out);
        wr_err_set(err, WEIR_EINVAL, "the reference of monitor \"%s\" has no rows", j->m->name);
        return wr_err_hint(err, WEIR_EINVAL, "check its SQL: %s", j->m->reference);
    }
    if (path) write_cached(j, path, *out, NULL); /* a full disk costs time, not the answer */
    return 0;
}

/* ---- digests ---- */

static int numbers(double **out, const wr_col *c, wr_err *err)
{
    *out = wr_alloc(c->n * sizeof **out);
    if (!*out) return wr_err_nomem(err);
    for (size_t i = 0; i < c->n; i++) (*out)[i] = wr_col_num(c, i);
    return 0;
}

/* Codes of a text column in the dictionary of `in`; what is not in it gets a code of its own behind it. */
static int codes(uint32_t **out, const wr_col *c, const wr_col *in, wr_err *err)
{
    uint32_t fresh = (uint32_t)in->dict.n;
    WR_AUTOFREE uint32_t *map = wr_alloc((c->dict.n + 1) * sizeof *map);
    *out = wr_alloc(c->n * sizeof **out);
    if (!map || !*out) return wr_err_nomem(err);
    for (size_t k = 0; k < c->dict.n; k++) {
        ptrdiff_t at = c == in ? (ptrdiff_t)k : wr_map_find(&in->dict, c->dict.at[k].key);
        map[k] = at >= 0 ? (uint32_t)at : fresh++;
    }
    for (size_t i = 0; i < c->n; i++) (*out)[i] = wr_col_missing(c, i) ? UINT32_MAX : map[c->code[i]];
    return 0;
}

static const wr_drift_stat *stat_for(const wr_drift_stat *chosen, bool category)
{
    size_t n;
    const wr_drift_stat *all = wr_drift_stats(&n);
    if (category ? chosen->categories : chosen->numeric) return chosen;
    for (size_t i = 0; i < n; i++)
        if ((category ? all[i].categories : all[i].numeric) && !all[i].p_value) return &all[i];
    return chosen;
}

static int digest(wr_reference *r, const wr_monitor *m, size_t i, wr_err *err)
{
    const wr_monitor_column *w = &m->columns[i];
    wr_col *c;
    WR_TRY(wr_frame_need(&c, r->frame, w->name, -1, err));
    if (c->type == WR_TS)
        return wr_err_set(err, WEIR_ETYPE, "column \"%s\" is a time: times cannot be watched", w->name);
    bool category = c->type == WR_TEXT;
    WR_AUTOFREE double *x = NULL;
    WR_AUTOFREE uint32_t *code = NULL;
    WR_TRY(category ? codes(&code, c, c, err) : numbers(&x, c, err));
    int rc = category ? wr_drift_ref_categories(&r->digest[i], code, c->n, (uint32_t)c->dict.n, err)
                      : wr_drift_ref_numeric(&r->digest[i], x, c->n, 0, err);
    if (rc < 0) return wr_err_wrap(err, rc, "reference of monitor \"%s\", column \"%s\"", m->name, w->name);
    r->stat[i] = stat_for(m->stat, category);
    r->threshold[i] = w->has_threshold ? w->threshold : r->stat[i] == m->stat ? m->threshold : r->stat[i]->threshold;
    return 0;
}

int wr_reference_load(wr_reference *out, wr_arena *a, wr_project *p, wr_tables *t, const wr_monitor *m,
                      const char *package, wr_pool *pool, wr_run *run, wr_err *err)
{
    wr_package *k;
    memset(out, 0, sizeof *out);
    snprintf(out->package, sizeof out->package, "%s", package);
    out->digest = wr_arena_calloc(a, m->ncolumns, sizeof *out->digest);
    out->stat = wr_arena_calloc(a, m->ncolumns, sizeof *out->stat);
    out->threshold = wr_arena_calloc(a, m->ncolumns, sizeof *out->threshold);
    if (!out->digest || !out->stat || !out->threshold) return wr_err_nomem(err);
    WR_TRY(wr_package_load(&k, p, package, err));
    job j = {a, p, t, m, wr_package_get(k), k, pool};
    int rc = load_frame(&out->frame, &j, run, err);
    for (size_t i = 0; rc == 0 && i < m->ncolumns; i++) rc = digest(out, m, i, err);
    wr_package_free(k);
    if (rc < 0) wr_reference_fini(out, m->ncolumns);
    return rc;
}

void wr_reference_fini(wr_reference *r, size_t ncolumns)
{
    for (size_t i = 0; r->digest && i < ncolumns; i++) wr_drift_ref_free(r->digest[i]);
    wr_frame_free(r->frame);
    *r = (wr_reference){0};
}

/* ---- comparison ---- */

/* How far beyond its threshold, 1 = just there. */
static double severity(const wr_monitor_drift *d)
{
    if (!d->stat->p_value) return d->value / d->threshold;
    return d->value > 0 ? d->threshold / d->value : d->value == 0 ? INFINITY : NAN;
}

int wr_reference_compare(wr_monitor_drift *out, const wr_reference *r, const wr_monitor *m, size_t i,
                         const wr_col *current, wr_err *err)
{
    const wr_col *ref = wr_frame_col(r->frame, m->columns[i].name);
    bool category = ref->type == WR_TEXT;
    if (category != (current->type == WR_TEXT) || current->type == WR_TS)
        return wr_err_set(err, WEIR_ETYPE, "column \"%s\" is %s in the predictions and %s in the reference",
                          m->columns[i].name, wr_type_name(current->type), wr_type_name(ref->type));
    *out = (wr_monitor_drift){
        .column = m->columns[i].name, .stat = r->stat[i], .threshold = r->threshold[i], .category = category};
    WR_AUTOFREE double *x = NULL;
    WR_AUTOFREE uint32_t *code = NULL;
    WR_TRY(category ? codes(&code, current, ref, err) : numbers(&x, current, err));
    wr_err why; /* no value in the window is an answer here, not an error */
    int rc = category ? wr_drift_categories(&out->all, r->digest[i], code, current->n, &why)
                      : wr_drift_numeric(&out->all, r->digest[i], x, current->n, &why);
    if (rc < 0 && rc != WEIR_EINVAL) {
        if (err) *err = why;
        return rc;
    }
    out->value = rc == 0 ? out->stat->value(&out->all) : NAN;
    out->severity = rc == 0 ? severity(out) : INFINITY; /* every value is missing */
    out->drifts = rc < 0 || out->severity >= 1;
    return 0;
}
