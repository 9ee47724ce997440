/* SPDX-License-Identifier: Apache-2.0 */
/* live.c - starting, moving and keeping the online state of a view. The rules are in live.h. */
#include "stage/deploy/live.h"

#include <stdio.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/limits.h"
#include "base/log.h"
#include "core/noun.h"
#include "io/file.h"
#include "stage/predlog/views.h"
#include "store/applog.h"

enum { VERSION = 1, STATE_MAX = (1 << 30) };
static const char magic[8] = {'W', 'E', 'I', 'R', 'L', 'I', 'V', 'E'};

typedef struct {
    char magic[8];
    uint32_t version, zero;
    uint64_t tag;
    int64_t m_mtime_us, m_size;
    uint64_t sum;
} head;
_Static_assert(sizeof(head) == 48, "no padding in the file");

/* ---- the base ---- */

static int check_head(const head *h, size_t n, const char *path, wr_err *err)
{
    bool whole =
        n >= sizeof *h && memcmp(h->magic, magic, sizeof magic) == 0 && h->sum == wr_hash64(h, sizeof *h - 8, 0);
    if (whole && h->version == VERSION) return 0;
    wr_err_set(err, WEIR_ECORRUPT, "\"%s\" cannot be used", path);
    wr_err_detail(err, WEIR_ECORRUPT, whole ? "made by a newer version" : "it is damaged or cut short");
    return wr_err_hint(err, WEIR_ECORRUPT, "remove it to start from the materialized features");
}

/* The saved features in `bytes`; 1 when they are of another version of the view. */
static int load(wr_live *l, wr_str bytes, const char *path, wr_err *err)
{
    wr_err why;
    int rc = wr_online_load(&l->online, l->view, bytes, &why);
    if (rc == 0) return 0;
    if (rc == WEIR_ECONFLICT) {
        wr_warn("\"%s\" is passed over: %s", path, why.msg);
        l->foreign = true;
        return 1;
    }
    if (err) *err = why;
    return wr_err_wrap(err, rc, "\"%s\"", path);
}

/* 0 with l->online set, 1 when the snapshot is not to be used. */
static int from_snapshot(wr_live *l, uint64_t *tag, wr_err *err)
{
    WR_AUTOBUF wr_buf b;
    head h = {0};
    wr_buf_init(&b, STATE_MAX);
    if (!wr_file_exists(l->snapshot_path)) return 1;
    WR_TRY(wr_file_read(&b, l->snapshot_path, STATE_MAX, err));
    if (b.n >= sizeof h) memcpy(&h, b.p, sizeof h);
    WR_TRY(check_head(&h, b.n, l->snapshot_path, err));
    if (h.m_mtime_us != l->m_mtime_us || h.m_size != l->m_size) {
        if (l->m_size >= 0) return 1; /* a new materialized file wins */
        l->m_mtime_us = h.m_mtime_us; /* it was only taken away; should it come back as it was, nothing has changed */
        l->m_size = h.m_size;
    }
    *tag = h.tag;
    return load(l, wr_str_sub(wr_buf_view(&b), sizeof h, b.n), l->snapshot_path, err);
}

static int from_materialized(wr_live *l, const char *path, wr_err *err)
{
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, STATE_MAX);
    if (l->m_size < 0 || !wr_file_exists(path)) return 1;
    WR_TRY(wr_file_read(&b, path, STATE_MAX, err));
    return load(l, wr_buf_view(&b), path, err);
}

static int choose_base(wr_live *l, const char *materialized, uint64_t *tag, int64_t *after_us, wr_err *err)
{
    *tag = 0;
    *after_us = INT64_MIN;
    l->m_mtime_us = wr_file_mtime_us(materialized);
    l->m_size = wr_file_size(materialized);
    int rc = from_snapshot(l, tag, err);
    if (rc <= 0) {
        l->base = WR_LIVE_SNAPSHOT;
        return rc;
    }
    *tag = 0;
    rc = from_materialized(l, materialized, err);
    if (rc <= 0) {
        l->base = WR_LIVE_MATERIALIZED;
        *after_us = l->m_mtime_us;
        return rc;
    }
    return wr_online_new(&l->online, l->view, err);
}

/* ---- events ---- */

static int add(wr_live *l, const wr_predlog_event *e, wr_err *err)
{
    if (e->ncells == l->view->nevent_columns) return wr_online_add(l->online, e->time_us, e->cells, err);
    return wr_err_set(err, WEIR_ECORRUPT, "an event of view \"%s\" has %zu columns, not %zu", l->view->name, e->ncells,
                      l->view->nevent_columns);
}

int wr_live_apply(wr_live *l, wr_str record, wr_err *err)
{
    wr_predlog_event e;
    pthread_rwlock_wrlock(&l->lock);
    wr_arena_clear(l->scratch);
    int rc = wr_predlog_get_event(&e, l->scratch, record, err);
    if (rc == 0) rc = add(l, &e, err);
    pthread_rwlock_unlock(&l->lock);
    return rc;
}

typedef struct {
    wr_live *live;
    int64_t after_us;
    wr_err err;
} replay;

static int replay_record(void *ctx, uint32_t type, wr_str payload)
{
    replay *r = ctx;
    wr_predlog_event e;
    wr_str name;
    uint64_t view;
    if (type != WR_PREDLOG_EVENT) return 0;
    WR_TRY(wr_predlog_peek(&name, &view, type, payload, &r->err));
    if (view != r->live->id) return 0;
    wr_arena_clear(r->live->scratch);
    WR_TRY(wr_predlog_get_event(&e, r->live->scratch, payload, &r->err));
    if (e.received_us <= r->after_us) return 0;
    r->live->replayed++;
    int rc = add(r->live, &e, &r->err);
    if (rc != WEIR_ELIMIT && rc != WEIR_EINVAL) return rc;
    wr_warn("an event of view \"%s\" was not taken again: %s", r->live->view->name, r->err.msg);
    return 0;
}

static int replay_log(wr_live *l, const char *log_dir, uint64_t tag, int64_t after_us, uint64_t up_to, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    replay r = {.live = l, .after_us = after_us};
    uint64_t *numbers;
    size_t n;
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_applog_list(&numbers, &n, a, log_dir, err));
    for (size_t i = 0; i < n; i++) {
        if (numbers[i] <= tag || numbers[i] > up_to) continue;
        int rc = wr_applog_read(log_dir, numbers[i], replay_record, &r, err);
        if (rc < 0 && r.err.code && err) *err = r.err;
        if (rc < 0) return wr_err_wrap(err, rc, "events of view \"%s\"", l->view->name);
    }
    return 0;
}

/* ---- tables ---- */

/* 0: there is none. A file that another took the place of within a tick of the clock has another inode. */
static uint64_t print_of(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0) return 0;
    uint64_t what[] = {(uint64_t)st.st_dev, (uint64_t)st.st_ino, (uint64_t)st.st_size, (uint64_t)st.st_mtim.tv_sec,
                       (uint64_t)st.st_mtim.tv_nsec};
    return wr_hash64(what, sizeof what, 1) | 1;
}

void wr_live_look(wr_live *l)
{
    wr_lookup *tables = NULL, *before;
    wr_err why = {0};
    if (!l->view->nlookups) return;
    uint64_t print = print_of(l->tables_path);
    if (print == l->tables_print) return;
    l->tables_print = print;
    if (!print) return; /* it was taken away: what is in memory stays */
    int rc = wr_lookup_load(&tables, l->view, l->tables_path, &why);
    const char *more = why.hint[0] ? why.hint : why.detail;
    if (rc < 0) wr_warn("%s%s%s%s", why.msg, more[0] ? " (" : "", more, more[0] ? ")" : "");
    if (rc == WEIR_ENOMEM) l->tables_print = 0; /* once more, later */
    pthread_rwlock_wrlock(&l->lock);
    before = l->tables;
    if (rc == 0) l->tables = tables;
    if (rc < 0) snprintf(l->no_tables, sizeof l->no_tables, "%s", why.msg); /* longer is cut */
    pthread_rwlock_unlock(&l->lock);
    if (rc == 0) wr_lookup_free(before);
}

bool wr_live_tables(wr_lookup_info *out, wr_live *l)
{
    pthread_rwlock_rdlock(&l->lock);
    bool any = l->tables != NULL;
    if (any) wr_lookup_info_of(out, l->tables);
    pthread_rwlock_unlock(&l->lock);
    return any;
}

static int no_tables(const wr_live *l, wr_err *err) /* under its lock */
{
    wr_err_set(err, WEIR_EUNAVAILABLE, "columns of view \"%s\" are looked up, and there are no tables", l->view->name);
    if (l->no_tables[0]) wr_err_detail(err, WEIR_EUNAVAILABLE, "%s", l->no_tables);
    return wr_err_hint(err, WEIR_EUNAVAILABLE,
                       "weir feature materialize makes them; they are taken up within a second");
}

static bool lacks(const wr_view *v, const wr_cell *row)
{
    for (size_t k = 0; k < v->nrequest; k++)
        if (v->looked_up[k] && row[k].missing) return true;
    return false;
}

/* The tables may be gone when the answer is written: texts are copied. */
static int fill_row(wr_live *l, wr_cell *row, wr_arena *a, wr_err *err)
{
    const wr_view *v = l->view;
    if (!lacks(v, row)) return 0;
    if (!l->tables) return no_tables(l, err);
    wr_lookup_row(l->tables, row);
    for (size_t k = 0; k < v->nrequest; k++) {
        if (!v->looked_up[k] || row[k].missing || v->request_type[k] != WR_TEXT) continue;
        row[k].text = wr_arena_str(a, row[k].text);
        if (!row[k].text.p) return wr_err_nomem(err);
    }
    return 0;
}

int wr_live_fill(wr_live *l, wr_cell *rows, size_t n, wr_arena *a, wr_err *err)
{
    int rc = 0;
    if (!l->view->nlookups) return 0;
    pthread_rwlock_rdlock(&l->lock);
    for (size_t i = 0; i < n && rc == 0; i++) rc = fill_row(l, rows + i * l->view->nrequest, a, err);
    pthread_rwlock_unlock(&l->lock);
    return rc;
}

/* ---- life ---- */

static int copy_view(wr_live *l, const wr_view *v, const char *log_dir, wr_err *err)
{
    WR_AUTOBUF wr_buf json;
    WR_AUTOJSON wr_json j = {0};
    wr_buf_init(&json, 0);
    wr_view_json(&json, v);
    if (json.failed) return wr_err_nomem(err);
    WR_TRY(wr_json_parse(&j, wr_buf_view(&json), "view", err));
    WR_TRY(wr_view_from_json(&l->view, l->arena, j.root, err));
    l->id = wr_predlog_view_id(l->view);
    return wr_predlog_view_keep(log_dir, l->id, wr_buf_view(&json), err);
}

static int start(wr_live *l, wr_project *p, const wr_view *v, const char *log_dir, uint64_t up_to, wr_err *err)
{
    const char *materialized;
    uint64_t tag;
    int64_t after_us;
    if (!l->scratch) return wr_err_nomem(err);
    WR_TRY(copy_view(l, v, log_dir, err));
    WR_TRY(wr_noun_online_path(&materialized, p, v->name, err));
    l->snapshot_path = wr_arena_printf(l->arena, "%s.state", materialized);
    if (!l->snapshot_path) return wr_err_nomem(err);
    WR_TRY(wr_noun_lookup_path(&l->tables_path, p, v->name, err));
    wr_live_look(l);
    WR_TRY(choose_base(l, materialized, &tag, &after_us, err));
    return replay_log(l, log_dir, tag, after_us, up_to, err);
}

int wr_live_open(wr_live **out, wr_project *p, const wr_view *v, const char *log_dir, uint64_t up_to, wr_err *err)
{
    wr_arena *a = wr_arena_new(0);
    wr_live *l = a ? wr_arena_calloc(a, 1, sizeof *l) : NULL;
    if (!l) {
        wr_arena_free(a);
        return wr_err_nomem(err);
    }
    l->arena = a;
    l->scratch = wr_arena_new(0);
    pthread_rwlock_init(&l->lock, NULL);
    int rc = start(l, p, v, log_dir, up_to, err);
    if (rc < 0) wr_live_close(l);
    else *out = l;
    return rc;
}

void wr_live_close(wr_live *l)
{
    if (!l) return;
    wr_online_free(l->online);
    wr_lookup_free(l->tables);
    pthread_rwlock_destroy(&l->lock);
    wr_arena_free(l->scratch);
    wr_arena_free(l->arena);
}

void wr_live_row(wr_live *l, const wr_cell *request, float *num, wr_str *text)
{
    pthread_rwlock_rdlock(&l->lock);
    wr_online_row(l->online, request, num, text);
    pthread_rwlock_unlock(&l->lock);
}

int64_t wr_live_newest(wr_live *l)
{
    pthread_rwlock_rdlock(&l->lock);
    int64_t newest = wr_online_newest(l->online);
    pthread_rwlock_unlock(&l->lock);
    return newest;
}

/* ---- snapshots ---- */

int wr_live_snapshot(wr_live *l, wr_buf *out, uint64_t tag, wr_err *err)
{
    head h = {.version = VERSION, .tag = tag, .m_mtime_us = l->m_mtime_us, .m_size = l->m_size};
    memcpy(h.magic, magic, sizeof magic);
    h.sum = wr_hash64(&h, sizeof h - 8, 0);
    wr_buf_add(out, &h, sizeof h);
    pthread_rwlock_rdlock(&l->lock);
    int rc = wr_online_save(l->online, out, err);
    pthread_rwlock_unlock(&l->lock);
    return rc;
}

int wr_live_store(const wr_live *l, wr_str bytes, wr_err *err) { return wr_file_write(l->snapshot_path, bytes, err); }
