/* SPDX-License-Identifier: Apache-2.0 */
/* drain.c - segments into datasets; the order of steps is in drain.h. */
#include "stage/deploy/drain.h"

#include <malloc.h>
#include <stdio.h>
#include <strings.h>

#include "base/fault.h"
#include "base/limits.h"
#include "core/dataset.h"
#include "core/model.h"
#include "stage/deploy/keep.h"
#include "stage/deploy/serve_inside.h"
#include "stage/predlog/tables.h"
#include "stage/predlog/views.h"

typedef struct {
    wr_serve *serve;
    wr_arena *arena;
    wr_tables *tables; /* opened for the first rows */
    uint64_t *segments;
    size_t nsegments;
    uint64_t newest; /* newest sealed segment */
    wr_buf *states;  /* one for each live state */
    size_t nlives;
    uint64_t stray[32]; /* views with events in the segments that nobody serves now */
    size_t nstray;
    wr_drained *out;
} job;

/* ---- step 1 ---- */

static int copy_states(job *j, wr_err *err)
{
    wr_serve *s = j->serve;
    j->nlives = atomic_load_explicit(&s->nlives, memory_order_acquire);
    j->states = wr_arena_calloc(j->arena, j->nlives + 1, sizeof *j->states);
    if (!j->states) {
        j->nlives = 0;
        return wr_err_nomem(err);
    }
    for (size_t i = 0; i < j->nlives; i++) wr_buf_init(&j->states[i], 0);
    for (size_t i = 0; i < j->nlives; i++) WR_TRY(wr_live_snapshot(s->lives[i], &j->states[i], j->newest, err));
    return 0;
}

static int seal(job *j, wr_err *err)
{
    wr_serve *s = j->serve;
    uint64_t sealed;
    pthread_rwlock_wrlock(&s->gate);
    int rc = wr_applog_seal(s->log, &sealed, err);
    j->newest = wr_applog_newest(s->log) - 1;
    if (rc == 0) rc = wr_applog_list(&j->segments, &j->nsegments, j->arena, s->log_dir, err);
    while (rc == 0 && j->nsegments && j->segments[j->nsegments - 1] > j->newest) j->nsegments--;
    if (rc == 0 && j->nsegments) rc = copy_states(j, err);
    pthread_rwlock_unlock(&s->gate);
    return rc;
}

/* ---- step 2 ---- */

static const wr_table_column *column_named(const wr_table_column *c, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(c[i].name, name) == 0) return &c[i];
    return NULL;
}

typedef enum { SAME, FEWER, OTHER } columns;

/* FEWER: all of them are there, of the same types, in whatever order. */
static columns compare(const wr_delta_snapshot *s, const wr_table_column *c, size_t n)
{
    size_t found = 0;
    bool same = s->nfields == n;
    for (size_t i = 0; i < s->nfields; i++) {
        const wr_table_column *x = column_named(c, n, s->fields[i].name);
        same = same && strcmp(s->fields[i].name, c[i].name) == 0;
        if (x && strcmp(s->fields[i].type, x->type) != 0) return OTHER;
        found += x != NULL;
    }
    return found < n ? OTHER : same ? SAME : FEWER;
}

/* The rows with all columns of the dataset, in its order. */
static void fill_up(wr_buf *sql, const wr_delta_snapshot *s)
{
    WR_AUTOBUF wr_buf b = {0};
    for (size_t i = 0; i < s->nfields; i++) {
        wr_buf_str(&b, i ? ", " : "SELECT ");
        wr_sql_ident(&b, wr_str_of(s->fields[i].name));
    }
    wr_buf_printf(&b, " FROM (%s UNION ALL BY NAME (SELECT * FROM \"_before\" LIMIT 0))", wr_buf_cstr(sql));
    bool failed = sql->failed || b.failed;
    wr_buf_clear(sql);
    wr_buf_slice(sql, wr_buf_view(&b));
    sql->failed |= failed;
}

/* Append, or when there are new columns write anew old and new rows together. */
static int write_rows(job *j, const char *dataset, wr_buf *sql, wr_dataset_write_opt *opt, wr_err *err)
{
    wr_project *p = j->serve->project;
    wr_dataset_written w;
    if (wr_dataset_exists(p, dataset)) {
        wr_delta_snapshot now;
        wr_table_column *c;
        size_t n;
        WR_TRY(wr_tables_describe(j->tables, &c, &n, j->arena, wr_buf_cstr(sql), err));
        WR_TRY(wr_dataset_read(&now, p, dataset, err));
        columns are = compare(&now, c, n);
        if (are == FEWER) fill_up(sql, &now);
        wr_delta_free(&now);
        if (are == OTHER) wr_buf_str(sql, " UNION ALL BY NAME SELECT * FROM \"_before\"");
        if (are == OTHER) opt->mode = WR_DELTA_OVERWRITE;
        if (are != SAME) WR_TRY(wr_dataset_view(j->tables, p, dataset, "_before", err));
    }
    return sql->failed ? wr_err_nomem(err) : wr_dataset_write(&w, j->tables, p, dataset, wr_buf_cstr(sql), opt, err);
}

static int done_before(bool *out, job *j, const char *dataset, const char *app, uint64_t segment, wr_err *err)
{
    int64_t last;
    const char *dir = wr_dataset_dir(j->arena, j->serve->project, dataset);
    if (!dir) return wr_err_nomem(err);
    WR_TRY(wr_delta_txn(&last, dir, app, err));
    *out = last >= 0 && (uint64_t)last >= segment;
    return 0;
}

/* Lineage: what was predicted came from these models. */
static int record_models(job *j, const wr_drain_rows *r, const char *dataset, wr_err *err)
{
    wr_project *p = j->serve->project;
    wr_delta_snapshot s;
    wr_node child, parent;
    wr_model_version v;
    WR_TRY(wr_dataset_read(&s, p, dataset, err));
    int rc = wr_dataset_node(&child, j->arena, dataset, &s);
    wr_delta_free(&s);
    if (rc < 0) return wr_err_nomem(err);
    for (size_t i = 0; i < r->nserved; i++) {
        char *ref = wr_arena_printf(j->arena, "%s@%lld", r->served[i].model, (long long)r->served[i].version);
        if (!ref) return wr_err_nomem(err);
        if (!r->served[i].version || wr_model_find(&v, j->arena, p, ref, NULL) < 0) continue;
        if (wr_model_node(&parent, j->arena, &v) < 0) return wr_err_nomem(err);
        WR_TRY(wr_lineage_add(p, &child, &parent, "", err));
    }
    return 0;
}

static bool first_of_dataset(const wr_drain_rows *r, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (strcmp(r->tables[k].dataset, r->tables[i].dataset) == 0) return false;
    return true;
}

/* All tables of the segment that go into this dataset, in one commit. */
static int write_dataset(job *j, const wr_drain_rows *r, size_t first, uint64_t segment, wr_err *err)
{
    const char *dataset = r->tables[first].dataset;
    char app[WR_LIMIT_NAME + 64], table[32];
    bool done = false;
    WR_AUTOBUF wr_buf sql;
    wr_buf_init(&sql, 0);
    snprintf(app, sizeof app, "weir-log-%s", dataset);
    WR_TRY(done_before(&done, j, dataset, app, segment, err));
    if (done) return 0;
    if (!j->tables) WR_TRY(wr_project_tables(&j->tables, j->serve->project, NULL, err));
    for (size_t i = first; i < r->n; i++) {
        if (strcmp(r->tables[i].dataset, dataset) != 0) continue;
        snprintf(table, sizeof table, "_rows%zu", i);
        WR_TRY(wr_tables_register(j->tables, table, r->tables[i].frame, err));
        wr_buf_printf(&sql, "%sSELECT * FROM \"%s\"", i == first ? "" : " UNION ALL BY NAME ", table);
    }
    wr_dataset_write_opt opt = {
        .mode = WR_DELTA_APPEND, .operation = "STREAMING UPDATE", .txn_app = app, .txn_version = (int64_t)segment};
    WR_TRY(write_rows(j, dataset, &sql, &opt, err));
    wr_fault_crash_point();
    bool predictions = r->tables[first].type == WR_PREDLOG_PREDICTION || r->tables[first].type == WR_PREDLOG_TENSORS;
    return predictions ? record_models(j, r, dataset, err) : 0;
}

static void drop_tables(job *j, const wr_drain_rows *r)
{
    char table[32];
    for (size_t i = 0; j->tables && i < r->n; i++) {
        snprintf(table, sizeof table, "_rows%zu", i);
        (void)wr_tables_register(j->tables, table, NULL, NULL);
    }
}

static void note_stray(job *j, const wr_drain_table *t)
{
    for (size_t i = 0; i < j->nlives; i++)
        if (j->serve->lives[i]->id == t->view_id) return;
    for (size_t i = 0; i < j->nstray; i++)
        if (j->stray[i] == t->view_id) return;
    if (j->nstray == 32) return;
    j->stray[j->nstray++] = t->view_id;
}

static void count(job *j, const wr_drain_table *t)
{
    uint64_t n = t->frame->nrows;
    if (t->type == WR_PREDLOG_PREDICTION || t->type == WR_PREDLOG_TENSORS) j->out->predictions += n;
    else if (t->type == WR_PREDLOG_LABEL || t->type == WR_PREDLOG_FEEDBACK) j->out->labels += n;
    else if (t->type == WR_PREDLOG_EVENT) j->out->events += n;
}

static int drain_segment(job *j, uint64_t segment, wr_err *err)
{
    wr_drain_rows r;
    int rc = wr_drain_rows_read(&r, j->serve->log_dir, segment, err);
    for (size_t i = 0; rc == 0 && i < r.n; i++)
        if (first_of_dataset(&r, i)) rc = write_dataset(j, &r, i, segment, err);
    for (size_t i = 0; rc == 0 && i < r.n; i++) {
        if (r.tables[i].type == WR_PREDLOG_EVENT) note_stray(j, &r.tables[i]);
        count(j, &r.tables[i]);
    }
    drop_tables(j, &r);
    wr_drain_rows_fini(&r);
    if (rc == 0) j->out->segments++;
    return rc;
}

/* ---- step 3 ---- */

/* Events of a view that is not served at the moment: its snapshot must have them before their segments go. One whose
 * files are of another version of the view is left alone. */
static int advance_stray(job *j, uint64_t id, wr_err *err)
{
    wr_view *v;
    wr_live *l;
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    WR_TRY(wr_predlog_view(&v, j->arena, j->serve->log_dir, id, err));
    WR_TRY(wr_live_open(&l, j->serve->project, v, j->serve->log_dir, j->newest, err));
    int rc = l->foreign ? 0 : wr_live_snapshot(l, &b, j->newest, err);
    if (rc == 0 && !l->foreign) rc = wr_live_store(l, wr_buf_view(&b), err);
    wr_live_close(l);
    return rc;
}

static int save_states(job *j, wr_err *err)
{
    for (size_t i = 0; i < j->nlives; i++) {
        WR_TRY(wr_live_store(j->serve->lives[i], wr_buf_view(&j->states[i]), err));
        wr_fault_crash_point();
    }
    for (size_t i = 0; i < j->nstray; i++) WR_TRY(advance_stray(j, j->stray[i], err));
    return j->serve->rollouts ? j->serve->rollouts->save(j->serve, j->newest, err) : 0;
}

static int drain(job *j, wr_err *err)
{
    WR_TRY(seal(j, err));
    wr_fault_crash_point();
    if (!j->nsegments) return 0;
    for (size_t i = 0; i < j->nsegments; i++) WR_TRY(drain_segment(j, j->segments[i], err));
    WR_TRY(save_states(j, err));
    wr_fault_crash_point();
    return wr_applog_drop(j->serve->log, j->newest, err);
}

int wr_serve_drain(wr_drained *out, wr_serve *s, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    job j = {.serve = s, .arena = a, .out = out};
    *out = (wr_drained){0};
    if (!a) return wr_err_nomem(err);
    wr_serve_keep_flush(s);
    pthread_mutex_lock(&s->drain);
    int rc = drain(&j, err);
    bool worked = j.tables != NULL;
    wr_tables_close(j.tables);
    for (size_t i = 0; i < j.nlives; i++) wr_buf_fini(&j.states[i]);
    pthread_mutex_unlock(&s->drain);
    if (worked) malloc_trim(0); /* a server that idles again should be small again */
    return rc < 0 ? wr_err_wrap(err, rc, "draining the serving log") : 0;
}
