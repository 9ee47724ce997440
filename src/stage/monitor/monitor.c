/* SPDX-License-Identifier: Apache-2.0 */
/* monitor.c - the `monitors:` section of weir.yaml, and which window is due. */
#include "stage/monitor/monitor.h"

#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "core/endpoint.h"

static const char *const keys[] = {"endpoint",  "from",      "window",    "every",      "label_lag", "columns",
                                   "reference", "statistic", "threshold", "thresholds", NULL};

static int read_times(wr_monitor *m, const wr_yaml *y, wr_err *err)
{
    wr_str from;
    wr_err why;
    if (wr_yaml_null(wr_yaml_get(y, "from")))
        return wr_yaml_error(y, WEIR_EINVAL, err, "monitor \"%s\" needs \"from\", the time its first window starts",
                             m->name);
    WR_TRY(wr_yaml_str(&from, wr_yaml_get(y, "from"), "from", err));
    if (wr_time_parse(&m->from_us, from, &why) < 0)
        return wr_yaml_error(wr_yaml_get(y, "from"), WEIR_EINVAL, err, "%s", why.msg);
    WR_TRY(wr_yaml_get_duration_us(&m->window_us, y, "window", 7 * WR_DAY_US, err));
    WR_TRY(wr_yaml_get_duration_us(&m->every_us, y, "every", m->window_us, err));
    WR_TRY(wr_yaml_get_duration_us(&m->label_lag_us, y, "label_lag", 0, err));
    if (m->window_us <= 0)
        return wr_yaml_error(wr_yaml_get(y, "window"), WEIR_EINVAL, err, "window must be longer than nothing");
    if (m->every_us <= 0)
        return wr_yaml_error(wr_yaml_get(y, "every"), WEIR_EINVAL, err, "every must be longer than nothing");
    if (m->label_lag_us < 0)
        return wr_yaml_error(wr_yaml_get(y, "label_lag"), WEIR_EINVAL, err, "label_lag is negative");
    return 0;
}

static bool bound_ok(const wr_drift_stat *s, double v) { return isfinite(v) && v > 0 && (!s->p_value || v < 1); }

static int bad_bound(const wr_yaml *at, const wr_drift_stat *s, wr_err *err)
{
    return wr_yaml_error(at, WEIR_EINVAL, err, "a threshold of %s is a number above 0%s", s->name,
                         s->p_value ? " and below 1" : "");
}

static int read_statistic(wr_monitor *m, const wr_yaml *y, wr_arena *a, wr_err *err)
{
    wr_str name;
    size_t n;
    const wr_drift_stat *all = wr_drift_stats(&n);
    WR_TRY(wr_yaml_get_str(&name, y, "statistic", "psi", err));
    m->stat = wr_drift_stat_find(name.p);
    if (!m->stat) {
        const char **names = wr_arena_alloc(a, (n + 1) * sizeof *names);
        if (!names) return wr_err_nomem(err);
        for (size_t i = 0; i < n; i++) names[i] = all[i].name;
        int near = wr_str_nearest(name, names, n);
        wr_yaml_error(wr_yaml_get(y, "statistic"), WEIR_EINVAL, err, "unknown statistic \"%s\"", name.p);
        return near >= 0 ? wr_err_hint(err, WEIR_EINVAL, "did you mean \"%s\"?", names[near])
                         : wr_err_hint(err, WEIR_EINVAL, "psi, jensenshannon, wasserstein, ks or chisquare");
    }
    WR_TRY(wr_yaml_get_f64(&m->threshold, y, "threshold", m->stat->threshold, err));
    return bound_ok(m->stat, m->threshold) ? 0 : bad_bound(wr_yaml_get(y, "threshold"), m->stat, err);
}

static int read_columns(wr_monitor *m, const wr_yaml *y, wr_arena *a, wr_err *err)
{
    const wr_yaml *list = wr_yaml_get(y, "columns");
    if (!wr_yaml_null(list) && list->kind != WR_YAML_SEQ)
        return wr_yaml_error(list, WEIR_ETYPE, err, "columns is a list of names");
    size_t n = wr_yaml_null(list) ? 0 : list->n;
    m->columns = wr_arena_calloc(a, n + 1, sizeof *m->columns);
    if (!m->columns) return wr_err_nomem(err);
    for (size_t i = 0; i < n; i++) {
        wr_str name;
        WR_TRY(wr_yaml_str(&name, list->items[i], "a column", err));
        if (wr_str_is(name, WR_MONITOR_SCORE)) continue; /* watched anyway, last */
        for (size_t k = 0; k < m->ncolumns; k++)
            if (wr_str_is(name, m->columns[k].name))
                return wr_yaml_error(list->items[i], WEIR_EINVAL, err, "column \"%s\" twice", name.p);
        m->columns[m->ncolumns++].name = name.p;
    }
    m->columns[m->ncolumns++].name = WR_MONITOR_SCORE;
    return 0;
}

static int read_thresholds(wr_monitor *m, const wr_yaml *y, wr_arena *a, wr_err *err)
{
    const wr_yaml *t = wr_yaml_get(y, "thresholds");
    const char **names = wr_arena_calloc(a, m->ncolumns + 1, sizeof *names);
    if (!names) return wr_err_nomem(err);
    for (size_t k = 0; k < m->ncolumns; k++) names[k] = m->columns[k].name;
    if (wr_yaml_null(t)) return 0;
    if (t->kind != WR_YAML_MAP) return wr_yaml_error(t, WEIR_ETYPE, err, "thresholds is a map of columns");
    WR_TRY(wr_yaml_known(t, "thresholds", names, err));
    for (size_t k = 0; k < m->ncolumns; k++) {
        const wr_yaml *v = wr_yaml_get(t, names[k]);
        if (!v) continue;
        WR_TRY(wr_yaml_f64(&m->columns[k].threshold, v, names[k], err));
        m->columns[k].has_threshold = true;
        if (!isfinite(m->columns[k].threshold) || m->columns[k].threshold <= 0) return bad_bound(v, m->stat, err);
    }
    return 0;
}

static int read_monitor(wr_monitor *m, const wr_yaml *name, const wr_yaml *y, wr_arena *a, wr_project *p, wr_err *err)
{
    wr_str endpoint, reference;
    wr_endpoint e;
    m->name = name->text.p;
    if (!wr_name_ok(name->text)) return wr_yaml_error(name, WEIR_EINVAL, err, "\"%s\" is not a monitor name", m->name);
    if (y->kind != WR_YAML_MAP) return wr_yaml_error(y, WEIR_ETYPE, err, "monitor \"%s\" is a map", m->name);
    WR_TRY(wr_yaml_known(y, "monitor", keys, err));
    WR_TRY(wr_yaml_get_str(&endpoint, y, "endpoint", m->name, err));
    WR_TRY(wr_yaml_get_str(&reference, y, "reference", "", err));
    m->endpoint = endpoint.p;
    m->reference = reference.p;
    int rc = wr_endpoint_find(&e, a, p, m->endpoint, err);
    if (rc == WEIR_ENOTFOUND) {
        wr_err why = err ? *err : (wr_err){0};
        const wr_yaml *at = wr_yaml_get(y, "endpoint");
        wr_yaml_error(at ? at : name, rc, err, "%s", why.msg);
        return wr_err_hint(err, rc, "%s", why.hint);
    }
    WR_TRY(rc);
    if (!reference.n)
        return wr_yaml_error(y, WEIR_EINVAL, err, "monitor \"%s\" needs \"reference\", the SQL of rows to compare with",
                             m->name);
    WR_TRY(read_times(m, y, err));
    WR_TRY(read_statistic(m, y, a, err));
    WR_TRY(read_columns(m, y, a, err));
    return read_thresholds(m, y, a, err);
}

int wr_monitor_list(wr_monitor **out, size_t *n, wr_arena *a, wr_project *p, wr_err *err)
{
    const wr_yaml *config;
    WR_TRY(wr_project_config(&config, p, err));
    const wr_yaml *all = wr_yaml_get(config, "monitors");
    *n = 0;
    *out = wr_arena_calloc(a, all ? all->n + 1 : 1, sizeof **out);
    if (!*out) return wr_err_nomem(err);
    if (wr_yaml_null(all)) return 0;
    if (all->kind != WR_YAML_MAP) return wr_yaml_error(all, WEIR_ETYPE, err, "monitors is a map of names");
    for (; *n < all->n; ++*n) {
        wr_monitor *m = &(*out)[*n];
        WR_TRY(read_monitor(m, all->keys[*n], all->items[*n], a, p, err));
        for (size_t i = 0; i < *n; i++)
            if (strcmp((*out)[i].endpoint, m->endpoint) == 0)
                return wr_yaml_error(all->keys[*n], WEIR_EINVAL, err, "endpoint \"%s\" has monitor \"%s\" already",
                                     m->endpoint, (*out)[i].name);
    }
    return 0;
}

int wr_monitor_find(wr_monitor *out, wr_arena *a, wr_project *p, const char *endpoint, wr_err *err)
{
    wr_monitor *all;
    size_t n;
    WR_TRY(wr_monitor_list(&all, &n, a, p, err));
    const char **names = wr_arena_alloc(a, (n + 1) * sizeof *names);
    if (!names) return wr_err_nomem(err);
    for (size_t i = 0; i < n; i++) {
        names[i] = all[i].endpoint;
        if (strcmp(all[i].endpoint, endpoint) != 0) continue;
        *out = all[i];
        return 0;
    }
    int near = wr_str_nearest(wr_str_of(endpoint), names, n);
    wr_err_set(err, WEIR_ENOTFOUND, "endpoint \"%s\" has no monitor in weir.yaml", endpoint);
    return near >= 0 ? wr_err_hint(err, WEIR_ENOTFOUND, "did you mean \"%s\"?", names[near])
                     : wr_err_hint(err, WEIR_ENOTFOUND,
                                   "declare it: monitors: {%s: {from: ..., reference: SELECT ..., columns: [...]}}",
                                   endpoint);
}

int wr_monitor_names(char ***endpoints, size_t *n, wr_arena *a, wr_project *p, wr_err *err)
{
    wr_monitor *all;
    WR_TRY(wr_monitor_list(&all, n, a, p, err));
    *endpoints = wr_arena_calloc(a, *n + 1, sizeof **endpoints);
    if (!*endpoints) return wr_err_nomem(err);
    for (size_t i = 0; i < *n; i++) {
        (*endpoints)[i] = wr_arena_strdup(a, all[i].endpoint);
        if (!(*endpoints)[i]) return wr_err_nomem(err);
    }
    return 0;
}

int wr_monitor_newest(int64_t *window_end_us, const wr_monitor *m, int64_t watermark_us)
{
    int64_t until, first, spare;
    if (watermark_us == INT64_MIN || __builtin_sub_overflow(watermark_us, m->label_lag_us, &until)) return 0;
    if (__builtin_add_overflow(m->from_us, m->window_us, &first) || first > until) return 0;
    if (__builtin_sub_overflow(until, first, &spare)) return 0;
    *window_end_us = first + spare / m->every_us * m->every_us;
    return 1;
}

/* The end of the last window recorded, INT64_MIN when there is none. The greatest, not the newest: an old window may be
 * judged and recorded again by hand. */
static int last_recorded(int64_t *out, wr_project *p, const char *endpoint, wr_err *err)
{
    wr_db *db;
    wr_stmt *s;
    char subject[300];
    snprintf(subject, sizeof subject, "endpoint:%s", endpoint); /* names are at most WR_LIMIT_NAME long */
    WR_TRY(wr_project_db(&db, p, err));
    WR_TRY(wr_db_prepare(
        db, &s,
        "SELECT max(wr_json_i64(payload, 'window_end_us')) FROM events WHERE kind = 'window' AND subject = ?", err));
    wr_bind_cstr(s, 1, subject);
    int rc = wr_step(s, err);
    *out = rc > 0 && !wr_stmt_null(s, 0) ? wr_stmt_i64(s, 0) : INT64_MIN;
    wr_stmt_done(s);
    return rc < 0 ? rc : 0;
}

int wr_monitor_due(int64_t *window_end_us, wr_project *p, const char *endpoint, int64_t watermark_us, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_monitor m;
    int64_t end, last;
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_monitor_find(&m, a, p, endpoint, err));
    if (!wr_monitor_newest(&end, &m, watermark_us)) return 0;
    WR_TRY(last_recorded(&last, p, m.endpoint, err));
    if (end <= last) return 0;
    *window_end_us = end;
    return 1;
}

void wr_monitor_time(char *out, int64_t us)
{
    wr_time_format(out, us);
    if (us % WR_DAY_US == 0 && strlen(out) > 10 && out[0] != '-') out[10] = 0;
}
