/* SPDX-License-Identifier: Apache-2.0 */
/* track.c - opening, writes, interned keys, and the three ways this room asks the database. */
#include "track/track.h"

#include <stdarg.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/os.h"
#include "track/track_inside.h"

static _Thread_local bool writing;
static _Thread_local wr_track_job *current; /* of the write under way */

int wr_track_open(wr_track **out, wr_db *db, const wr_track_opt *opt, wr_err *err)
{
    wr_track *t = wr_calloc(1, sizeof *t);
    if (!t) return wr_err_nomem(err);
    t->db = db;
    pthread_mutex_init(&t->keys_lock, NULL);
    t->key_memory = wr_arena_new(0);
    t->artifacts = wr_strdup(opt->artifacts ? opt->artifacts : "mlflow-artifacts:");
    int rc = t->key_memory && t->artifacts ? wr_metric_open(t, opt, err) : wr_err_nomem(err);
    if (rc < 0) {
        wr_track_close(t);
        return rc;
    }
    *out = t;
    return 0;
}

void wr_track_close(wr_track *t)
{
    if (!t) return;
    wr_metric_close(t);
    wr_map_fini(&t->keys);
    wr_vec_fini(&t->key_names);
    wr_arena_free(t->key_memory);
    wr_arena_free(t->policy_memory);
    pthread_mutex_destroy(&t->keys_lock);
    wr_free(t->artifacts);
    wr_free(t);
}

wr_db *wr_track_db(wr_track *t) { return t->db; }
const char *wr_track_artifacts(const wr_track *t) { return t->artifacts; }

static bool below_root(wr_str *out, wr_str uri)
{
    static const char scheme[] = "mlflow-artifacts:", proxy[] = "/mlflow-artifacts/artifacts";
    if (wr_str_starts(uri, scheme)) {
        *out = wr_str_sub(uri, sizeof scheme - 1, uri.n);
        if (wr_str_starts(*out, "//")) { /* the server's name, which is ours */
            wr_str rest = wr_str_sub(*out, 2, out->n);
            wr_str_cut(&rest, '/');
            *out = rest.p ? rest : WR_STR("");
        }
        return true;
    }
    if (!wr_str_starts(uri, "http://") && !wr_str_starts(uri, "https://")) return false;
    const char *at = memmem(uri.p, uri.n, proxy, sizeof proxy - 1);
    if (at) *out = wr_str_sub(uri, (size_t)(at - uri.p) + sizeof proxy - 1, uri.n);
    return at != NULL;
}

bool wr_track_artifact_path(wr_str *path, wr_str uri)
{
    if (!below_root(path, uri)) return false;
    while (path->n && path->p[0] == '/') *path = wr_str_sub(*path, 1, path->n);
    while (path->n && path->p[path->n - 1] == '/') path->n--;
    return true;
}

/* ---- writes ---- */

bool wr_track_writing(void) { return writing; }

static int run_job(wr_db *db, void *arg, wr_err *err)
{
    wr_track_job *job = arg;
    (void)db;
    writing = true;
    current = job;
    int rc = job->fn(job->track, job->arg, err);
    current = NULL;
    writing = false;
    return rc;
}

void wr_track_forget_at_end(void)
{
    if (current) current->forgot = true;
}

int wr_track_write(wr_track *t, wr_track_fn fn, void *arg, wr_err *err)
{
    wr_track_job job = {.fn = fn, .arg = arg, .track = t};
    int rc = wr_db_write(t->db, run_job, &job, err);
    if (job.forgot) wr_metric_forgotten(t);
    return rc;
}

static void job_done(void *arg, int rc, const wr_err *err)
{
    wr_track_job *job = arg;
    if (job->forgot) wr_metric_forgotten(job->track);
    job->done(job, rc, err);
}

int wr_track_write_async(wr_track *t, wr_track_job *job, wr_err *err)
{
    job->track = t;
    job->forgot = false;
    return wr_db_write_async(t->db, run_job, job, job_done, err);
}

/* ---- asking ---- */

static int query(wr_stmt **out, wr_track *t, wr_err *err, const char *sql, const char *kinds, va_list args)
{
    wr_stmt *s;
    WR_TRY(wr_db_prepare(t->db, &s, sql, err));
    for (int i = 1; *kinds; kinds++, i++) {
        if (*kinds == 'i') {
            wr_bind_i64(s, i, va_arg(args, int64_t));
        } else if (*kinds == 'f') {
            wr_bind_f64(s, i, va_arg(args, double));
        } else {
            wr_str v = va_arg(args, wr_str);
            if (v.p) wr_bind_str(s, i, v);
            else wr_bind_cstr(s, i, NULL);
        }
    }
    *out = s;
    return 0;
}

int wr_track_query(wr_stmt **out, wr_track *t, wr_err *err, const char *sql, const char *kinds, ...)
{
    va_list args;
    va_start(args, kinds);
    int rc = query(out, t, err, sql, kinds, args);
    va_end(args);
    return rc;
}

int wr_track_exec(wr_track *t, wr_err *err, const char *sql, const char *kinds, ...)
{
    wr_stmt *s;
    va_list args;
    int rows = 0;
    va_start(args, kinds);
    int rc = query(&s, t, err, sql, kinds, args);
    va_end(args);
    if (rc < 0) return rc;
    if (!strstr(sql, "RETURNING")) rc = wr_stmt_run(s, err); /* nobody waits for the answer of a server */
    else
        while ((rc = wr_step(s, err)) > 0) rows++;
    wr_stmt_done(s);
    return rc < 0 ? rc : rows;
}

int wr_track_number(int64_t *out, int64_t none, wr_track *t, wr_err *err, const char *sql, const char *kinds, ...)
{
    wr_stmt *s;
    va_list args;
    va_start(args, kinds);
    int rc = query(&s, t, err, sql, kinds, args);
    va_end(args);
    if (rc < 0) return rc;
    rc = wr_step(s, err);
    *out = rc > 0 && !wr_stmt_null(s, 0) ? wr_stmt_i64(s, 0) : none;
    wr_stmt_done(s);
    return rc < 0 ? rc : 0;
}

int wr_track_items(wr_track_item **out, size_t *n, wr_arena *a, wr_stmt *s, wr_err *err)
{
    WR_VEC(wr_track_item) rows = {0};
    int rc;
    while ((rc = wr_step(s, err)) > 0) {
        wr_track_item i = {wr_arena_str(a, wr_stmt_str(s, 0)), wr_arena_str(a, wr_stmt_str(s, 1))};
        if ((rc = wr_vec_add(&rows, i, err)) < 0) break;
    }
    wr_stmt_done(s);
    return wr_vec_keep(out, n, a, &rows, rc, err);
}

/* ---- ids, times, keys ---- */

int64_t wr_track_now_ms(void) { return wr_clock_wall_us() / 1000; }

void wr_track_new_id(char out[33])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char r[16];
    wr_os_random(r, sizeof r);
    for (size_t i = 0; i < sizeof r; i++) {
        out[2 * i] = hex[r[i] >> 4];
        out[2 * i + 1] = hex[r[i] & 15];
    }
    out[32] = 0;
}

/* What a write has seen may be rolled back: only what readers see is remembered. */
static void remember(wr_track *t, wr_str name, int64_t id)
{
    enum { MOST = 1 << 20 };
    if (writing || id <= 0 || id >= MOST) return;
    pthread_mutex_lock(&t->keys_lock);
    if (!wr_map_get(&t->keys, name)) {
        wr_str kept = wr_arena_str(t->key_memory, name);
        bool room = kept.p && (t->key_names.n > (size_t)id ||
                               wr_vec_reserve(&t->key_names, (size_t)id + 1 - t->key_names.n) == 0);
        while (room && t->key_names.n <= (size_t)id) t->key_names.at[t->key_names.n++] = (wr_str){NULL, 0};
        if (room && wr_map_put(&t->keys, kept, (void *)(intptr_t)id) >= 0) t->key_names.at[id] = kept;
    }
    pthread_mutex_unlock(&t->keys_lock);
}

int64_t wr_track_key_known(wr_track *t, wr_str name)
{
    pthread_mutex_lock(&t->keys_lock);
    int64_t id = (int64_t)(intptr_t)wr_map_get(&t->keys, name);
    pthread_mutex_unlock(&t->keys_lock);
    return id;
}

int wr_track_key_find(int64_t *out, wr_track *t, wr_str name, wr_err *err)
{
    *out = wr_track_key_known(t, name);
    if (*out) return 0;
    WR_TRY(wr_track_number(out, 0, t, err, "SELECT id FROM track_keys WHERE name = ?", "s", name));
    remember(t, name, *out);
    return 0;
}

int wr_track_key_make(int64_t *out, wr_track *t, wr_str name, wr_err *err)
{
    WR_TRY(wr_track_key_find(out, t, name, err));
    if (*out) return 0;
    return wr_track_number(out, 0, t, err, "INSERT INTO track_keys (name) VALUES (?) RETURNING id", "s", name);
}

int wr_track_key_name(wr_str *out, wr_track *t, int64_t id, wr_err *err)
{
    wr_stmt *s;
    pthread_mutex_lock(&t->keys_lock);
    *out = id > 0 && (size_t)id < t->key_names.n ? t->key_names.at[id] : (wr_str){NULL, 0};
    pthread_mutex_unlock(&t->keys_lock);
    if (out->p) return 0;
    WR_TRY(wr_track_query(&s, t, err, "SELECT name FROM track_keys WHERE id = ?", "i", id));
    int rc = wr_step(s, err);
    if (rc > 0) {
        pthread_mutex_lock(&t->keys_lock);
        *out = wr_arena_str(t->key_memory, wr_stmt_str(s, 0));
        pthread_mutex_unlock(&t->keys_lock);
    }
    wr_stmt_done(s);
    if (rc < 0) return rc;
    if (rc == 0) return wr_err_set(err, WEIR_ECORRUPT, "key %lld has no name", (long long)id);
    if (!out->p) return wr_err_nomem(err);
    remember(t, *out, id);
    return 0;
}
