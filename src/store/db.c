/* SPDX-License-Identifier: Apache-2.0 */
/* db.c - opening and migrating, the writer thread, the readers; whatever the engine.
 *
 *   callers --push--> queue --take all--> writer thread: BEGIN; each job in a savepoint; COMMIT --post--> callers
 *
 * Invariants: 1. a job is answered with 0 only after the COMMIT (fsync of the WAL) that holds it; 2. a job that fails
 * is rolled back alone; 3. when the COMMIT fails, or the engine gives up the transaction in the middle of a job (disk
 * full, no memory, server gone), every job of the transaction is answered with that error and none of them is visible;
 * jobs that had not run yet get a transaction of their own. After a failed fsync a power cut may still bring the
 * transaction back, and a server that went away during the COMMIT may have done it: an error means "not promised", not
 * "certainly absent". Therefore no job is ever run twice.
 *
 * Readers are leased: a thread that has a statement open owns a connection, so that its nested statements see one
 * snapshot; when the last one is done the connection goes back to the db, which closes all of them at the end. There
 * are as many connections as threads that ever read at the same moment, and a thread may come and go without leaving
 * one behind.
 *
 * The watch (wr_db_changed) compares the engine's changed() (SQLite: "PRAGMA data_version") on a connection of its own,
 * which moves with every commit of other connections, so with our writer's too. The writer therefore reads it right
 * behind its COMMIT, and its own changed() after that: if that one stands still, nobody else has committed until now,
 * and the watch's new value is the writer's doing alone.
 */
#include "store/db.h"

#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include "base/vec.h"
#include "store/db_conn.h"
#include "store/db_pg_url.h"

enum {
    GROUP_MAX = 1024,  /* jobs in one transaction: bounds how long the first waits for the last */
    QUEUE_MAX = 65536, /* jobs not yet taken by the writer */
};

typedef struct job {
    struct job *next;
    wr_db_fn fn;
    void *arg;
    void (*done)(void *arg, int rc, const wr_err *err); /* NULL: somebody waits for `answered` and owns the job */
    sem_t answered;
    int rc;
    wr_err err;
} job;

struct wr_db {
    const wr_db_engine *engine;
    char *path, *name; /* name: for messages */
    bool read_only;
    wr_db_conn_mode reader_mode;
    wr_db_conn *writer; /* the writer thread's */
    pthread_t thread;
    bool started;

    pthread_mutex_t queue_lock; /* rank 1; guards the four below; never held while SQL runs */
    pthread_cond_t queue_filled, queue_answered;
    bool answering; /* the writer has a group that is not answered yet */
    job *head, **tail;
    size_t queued;
    bool closing;

    pthread_mutex_t readers_lock; /* rank 2; guards the list and each lease */
    WR_VEC(wr_db_conn *) readers;

    pthread_mutex_t commit_lock; /* rank 3; held by the writer from COMMIT until the watch knows of it */
    pthread_mutex_t watch_lock;  /* rank 4; guards the watch and its two numbers */
    wr_db_conn *watch;
    atomic_bool watching;      /* the connection is open */
    int64_t seen, writer_seen; /* changed() of the watch, of the writer */
    int64_t changes;
};

static _Thread_local wr_db *writer_of; /* the db whose writer thread this is */

/* --- opening --- */

static int refuse_newer(wr_db *db, int64_t version, int n, wr_err *err)
{
    wr_err_set(err, WEIR_EUNSUPPORTED, "database '%s' was written by a newer program", db->name);
    wr_err_detail(err, WEIR_EUNSUPPORTED, "its schema is version %lld, this program knows up to %d", (long long)version,
                  n);
    return wr_err_hint(err, WEIR_EUNSUPPORTED, "use the newer version of weir, or another project folder");
}

static int refuse_older(wr_db *db, int64_t version, int n, wr_err *err)
{
    wr_err_set(err, WEIR_EUNAVAILABLE, "database '%s' must be upgraded before it can be read", db->name);
    wr_err_detail(err, WEIR_EUNAVAILABLE, "its schema is version %lld, this program needs %d", (long long)version, n);
    return wr_err_hint(err, WEIR_EUNAVAILABLE, "run a command that writes once, as a user who may write the file");
}

/* The version is read under the write lock: another process may have been faster. */
static int migrate_step(wr_db *db, const wr_db_opt *opt, bool *ended, wr_err *err)
{
    const wr_db_engine *e = db->engine;
    wr_db_conn *c = db->writer;
    int64_t version;
    WR_TRY(e->version(c, &version, true, err));
    *ended = version >= opt->n;
    if (version > opt->n) return refuse_newer(db, version, opt->n, err);
    if (*ended) return 0;
    int rc = version < 0 ? wr_err_set(err, WEIR_ECORRUPT, "its version is negative") : 0;
    if (rc == 0) rc = wr_db_conn_exec(c, opt->migrations[version], err);
    if (rc == 0) rc = e->check(c, err);
    if (rc == 0) rc = e->set_version(c, version + 1, err);
    return rc < 0 ? wr_err_wrap(err, rc, "database '%s': migration %lld", db->name, (long long)version + 1) : 0;
}

static void rollback(wr_db_conn *c)
{
    wr_db_conn_done_all(c);
    c->engine->rollback(c);
}

/* All of them in one transaction: records are of the old program or of this one, never of something between that neither opens. */
static int migrate(wr_db *db, const wr_db_opt *opt, wr_err *err)
{
    wr_db_conn *c = db->writer;
    WR_TRY(c->engine->begin(c, err));
    int rc = 0;
    for (bool ended = false; rc == 0 && !ended;) {
        rc = migrate_step(db, opt, &ended, err);
        wr_fault_crash_point();
    }
    if (rc == 0) rc = c->engine->commit(c, err);
    if (rc < 0) {
        rollback(c);
        return rc;
    }
    wr_fault_crash_point();
    return 0;
}

static int open_writer(wr_db *db, const wr_db_opt *opt, wr_err *err)
{
    const wr_db_engine *e = db->engine;
    wr_db_conn *c = db->writer = wr_db_conn_new(e, db, db->path, db->name);
    if (!c) return wr_err_nomem(err);
    WR_TRY(wr_db_conn_open(c, WR_DB_CONN_WRITE, err));
    int64_t version; /* before anything is changed */
    WR_TRY(e->version(c, &version, false, err));
    if (version > opt->n) return refuse_newer(db, version, opt->n, err);
    WR_TRY(e->prepare(c, err));
    WR_TRY(migrate(db, opt, err));
    return e->finish(c, err);
}

static int lease(wr_db *db, wr_db_conn **out, wr_err *err);
static void give_back(wr_db_conn *c);

static int open_read_only(wr_db *db, const wr_db_opt *opt, wr_err *err)
{
    wr_db_conn *c;
    int64_t version;
    if (!db->engine->shared && access(db->path, F_OK) < 0)
        return wr_err_sys(err, errno, "cannot open database '%s'", db->path);
    WR_TRY(lease(db, &c, err));
    int rc = db->engine->version(c, &version, false, err);
    give_back(c);
    if (rc == WEIR_EACCESS && !db->engine->shared)
        return wr_err_hint(err, rc, "SQLite needs to create '%s-shm' to read it; make the folder writable, or copy it",
                           db->name);
    if (rc < 0) return rc;
    if (version > opt->n) return refuse_newer(db, version, opt->n, err);
    return version < opt->n ? refuse_older(db, version, opt->n, err) : 0;
}

/* A relative path gets "./": SQLite takes "file:..." and ":memory:" for something else. */
static char *sqlite_path(const char *path)
{
    size_t n = strlen(path) + 1, skip = *path == '/' ? 0 : 2;
    char *p = wr_alloc(n + skip);
    if (!p) return NULL;
    memcpy(p, "./", skip);
    memcpy(p + skip, path, n);
    return p;
}

static int names(wr_db *db, const char *path, wr_err *err)
{
    if (!*path) return wr_err_set(err, WEIR_EINVAL, "the database has no path");
    db->engine = wr_db_pg_is_url(path) ? &wr_db_pg : &wr_db_sqlite;
    if (db->engine->shared) WR_TRY(wr_db_pg_name(&db->name, path, err));
    db->path = db->engine->shared ? wr_strdup(path) : sqlite_path(path);
    if (!db->engine->shared && db->path) db->name = wr_strdup(db->path);
    return db->path && db->name ? 0 : wr_err_nomem(err);
}

static void *writer_main(void *arg);

/* The writer takes no signals: they are the main thread's. */
static int start(wr_db *db, wr_err *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&db->thread, NULL, writer_main, db);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc) return wr_err_sys(err, rc, "cannot start the writer of database '%s'", db->name);
    db->started = true;
    return 0;
}

bool wr_db_is_url(const char *path) { return wr_db_pg_is_url(path); }

int wr_db_open(wr_db **out, const char *path, const wr_db_opt *opt, wr_err *err)
{
    wr_db *db = wr_calloc(1, sizeof *db);
    if (!db) return wr_err_nomem(err);
    pthread_mutex_init(&db->queue_lock, NULL);
    pthread_mutex_init(&db->readers_lock, NULL);
    pthread_mutex_init(&db->commit_lock, NULL);
    pthread_mutex_init(&db->watch_lock, NULL);
    pthread_cond_init(&db->queue_filled, NULL);
    pthread_cond_init(&db->queue_answered, NULL);
    db->tail = &db->head;
    db->read_only = opt->read_only;
    db->reader_mode = opt->read_only ? WR_DB_CONN_READ_ONLY : WR_DB_CONN_READ;
    int rc = names(db, path, err);
    if (rc == 0) rc = opt->read_only ? open_read_only(db, opt, err) : open_writer(db, opt, err);
    if (rc == 0 && !opt->read_only) rc = start(db, err);
    if (rc < 0) {
        wr_db_close(db);
        return rc;
    }
    *out = db;
    return 0;
}

void wr_db_close(wr_db *db)
{
    if (!db) return;
    if (db->started) {
        pthread_mutex_lock(&db->queue_lock);
        db->closing = true;
        pthread_cond_signal(&db->queue_filled);
        pthread_mutex_unlock(&db->queue_lock);
        pthread_join(db->thread, NULL);
    }
    for (size_t i = 0; i < db->readers.n; i++) wr_db_conn_free(db->readers.at[i]);
    wr_vec_fini(&db->readers);
    wr_db_conn_free(db->watch);
    wr_db_conn_free(db->writer); /* last, because the last connection to close moves the WAL into the file */
    pthread_cond_destroy(&db->queue_filled);
    pthread_cond_destroy(&db->queue_answered);
    pthread_mutex_destroy(&db->watch_lock);
    pthread_mutex_destroy(&db->commit_lock);
    pthread_mutex_destroy(&db->readers_lock);
    pthread_mutex_destroy(&db->queue_lock);
    wr_free(db->path);
    wr_free(db->name);
    wr_free(db);
}

/* --- the watch --- */

/* With watch_lock held: has the number moved? `keep` makes it the one that was seen. */
static int look(wr_db *db, bool keep, bool *moved, wr_err *err)
{
    int64_t version;
    WR_TRY(db->engine->changed(db->watch, &version, err));
    *moved = version != db->seen;
    if (keep) db->seen = version;
    return 0;
}

/* Behind our COMMIT, with commit_lock held. What cannot be read counts as a change. */
static void watch_commit(wr_db *db)
{
    int64_t version;
    bool moved;
    pthread_mutex_lock(&db->watch_lock);
    int rc = look(db, true, &moved, NULL);
    if (rc == 0) rc = db->engine->changed(db->writer, &version, NULL);
    if (rc < 0 || version != db->writer_seen) db->changes++;
    if (rc == 0) db->writer_seen = version;
    pthread_mutex_unlock(&db->watch_lock);
}

static int commit(wr_db *db, wr_err *err)
{
    wr_db_conn *c = db->writer;
    if (!atomic_load(&db->watching)) return c->engine->commit(c, err);
    pthread_mutex_lock(&db->commit_lock);
    int rc = c->engine->commit(c, err);
    if (rc == 0) watch_commit(db);
    pthread_mutex_unlock(&db->commit_lock);
    return rc;
}

/* --- the writer thread --- */

static job *take_group(wr_db *db)
{
    pthread_mutex_lock(&db->queue_lock);
    db->answering = false;
    if (!db->head) pthread_cond_broadcast(&db->queue_answered);
    while (!db->head && !db->closing) pthread_cond_wait(&db->queue_filled, &db->queue_lock);
    job *first = db->head, **end = &db->head;
    size_t n = 0;
    for (; *end && n < GROUP_MAX; n++) end = &(*end)->next;
    db->head = *end;
    if (!db->head) db->tail = &db->head;
    if (n) *end = NULL;
    db->queued -= n;
    db->answering = n > 0;
    pthread_mutex_unlock(&db->queue_lock);
    return n ? first : NULL;
}

static int lost(wr_db *db, wr_err *err)
{
    return wr_err_set(err, WEIR_EIO, "database '%s': the transaction was given up", db->name);
}

/* The fn's own verdict; but what failed inside of it cannot be taken back by saying that all is well. */
static void run_fn(wr_db *db, job *j)
{
    wr_db_conn *c = db->writer;
    c->in_job = true;
    c->job_err.code = 0;
    j->rc = j->fn(db, j->arg, &j->err);
    c->in_job = false;
    wr_db_conn_done_all(c);
    if (j->rc > 0) j->rc = 0;
    if (j->rc == 0 && c->job_err.code) {
        j->err = c->job_err;
        j->rc = c->job_err.code;
    }
    if (j->rc < 0 && j->err.code != j->rc) wr_err_set(&j->err, j->rc, "a write was refused: %s", wr_err_text(j->rc));
}

/* Run one job in a savepoint. False: the whole transaction is gone; job->err says why. */
static bool run_job(wr_db *db, job *j)
{
    wr_db_conn *c = db->writer;
    j->rc = c->engine->job_begin(c, &j->err);
    bool begun = j->rc == 0;
    if (begun) run_fn(db, j);
    if (begun && c->engine->job_end(c, &j->rc, &j->err)) return true;
    if (j->rc == 0) j->rc = lost(db, &j->err);
    return false;
}

/* Answer the jobs from `j` up to `end`. A job that somebody waits for is gone after sem_post. */
static void answer(job *j, const job *end, int rc, const wr_err *err)
{
    for (job *next; j != end; j = next) {
        next = j->next;
        if (rc < 0 && j->rc == 0) {
            j->rc = rc;
            j->err = *err;
        }
        if (j->done) {
            j->done(j->arg, j->rc, j->rc < 0 ? &j->err : NULL);
            wr_free(j);
        } else {
            sem_post(&j->answered);
        }
    }
}

/* One transaction. Returns the jobs that did not come to run because the transaction ended before them. */
static job *run_transaction(wr_db *db, job *first)
{
    wr_db_conn *c = db->writer;
    wr_err err = {0};
    int rc = c->engine->begin(c, &err);
    if (rc < 0) {
        rollback(c);
        answer(first, NULL, rc, &err);
        return NULL;
    }
    job *j = first;
    for (bool alive = true; j && alive; j = j->next) {
        alive = run_job(db, j);
        if (alive) continue;
        rc = j->rc;
        err = j->err;
    }
    wr_fault_crash_point();
    if (rc == 0) rc = commit(db, &err);
    if (rc < 0) rollback(c);
    wr_fault_crash_point();
    answer(first, j, rc, &err);
    return j;
}

static void *writer_main(void *arg)
{
    wr_db *db = arg;
    writer_of = db;
    for (job *group; (group = take_group(db));) {
        while (group) group = run_transaction(db, group);
    }
    return NULL;
}

/* --- callers --- */

static int refuse_write(const wr_db *db, wr_err *err)
{
    if (db->read_only) return wr_err_set(err, WEIR_EACCESS, "database '%s' is open for reading only", db->name);
    return wr_err_set(err, WEIR_EINTERNAL, "database '%s': a write inside a write would wait for ever", db->name);
}

static int push(wr_db *db, job *j, wr_err *err)
{
    pthread_mutex_lock(&db->queue_lock);
    bool closing = db->closing, full = db->queued >= QUEUE_MAX;
    if (!closing && !full) {
        *db->tail = j;
        db->tail = &j->next;
        if (db->queued++ == 0) pthread_cond_signal(&db->queue_filled);
    }
    pthread_mutex_unlock(&db->queue_lock);
    if (closing) return wr_err_set(err, WEIR_ECANCELED, "database '%s' is closing", db->name);
    if (full) return wr_err_set(err, WEIR_EUNAVAILABLE, "database '%s': too many writes are waiting", db->name);
    return 0;
}

int wr_db_write(wr_db *db, wr_db_fn fn, void *arg, wr_err *err)
{
    if (db->read_only || writer_of == db) return refuse_write(db, err);
    job j = {.fn = fn, .arg = arg};
    sem_init(&j.answered, 0, 0);
    int rc = push(db, &j, err);
    if (rc == 0) {
        while (sem_wait(&j.answered) < 0) {} /* EINTR */
        rc = j.rc;
        if (rc < 0 && err) *err = j.err;
    }
    sem_destroy(&j.answered);
    return rc;
}

int wr_db_write_async(wr_db *db, wr_db_fn fn, void *arg, void (*done)(void *arg, int rc, const wr_err *err),
                      wr_err *err)
{
    if (db->read_only) return refuse_write(db, err);
    job *j = wr_calloc(1, sizeof *j);
    if (!j) return wr_err_nomem(err);
    j->fn = fn;
    j->arg = arg;
    j->done = done;
    int rc = push(db, j, err);
    if (rc < 0) wr_free(j);
    return rc;
}

void wr_db_await(wr_db *db)
{
    pthread_mutex_lock(&db->queue_lock);
    while (db->head || db->answering) pthread_cond_wait(&db->queue_answered, &db->queue_lock);
    pthread_mutex_unlock(&db->queue_lock);
}

/* --- readers --- */

/* With readers_lock held: a connection that is opened by the thread that leases it. */
static int reader_new(wr_db *db, wr_db_conn **out, wr_err *err)
{
    wr_db_conn *c = wr_db_conn_new(db->engine, db, db->path, db->name);
    if (!c || wr_vec_push(&db->readers, c) < 0) {
        wr_db_conn_free(c);
        return wr_err_nomem(err);
    }
    *out = c;
    return 0;
}

/* The connection this thread has statements on, or a free one (the first: its cache is the warmest), or a new one. */
static int choose(wr_db *db, wr_db_conn **out, wr_err *err)
{
    pthread_t me = pthread_self();
    wr_db_conn *mine = NULL, *idle = NULL;
    int rc = 0;
    pthread_mutex_lock(&db->readers_lock);
    for (size_t i = 0; i < db->readers.n && !mine; i++) {
        wr_db_conn *c = db->readers.at[i];
        if (c->open && pthread_equal(c->owner, me)) mine = c;
        if (!c->open && !idle) idle = c;
    }
    if (!mine) mine = idle;
    if (!mine) rc = reader_new(db, &mine, err);
    if (rc == 0) {
        mine->owner = me;
        mine->open++;
        *out = mine;
    }
    pthread_mutex_unlock(&db->readers_lock);
    return rc;
}

static int lease(wr_db *db, wr_db_conn **out, wr_err *err)
{
    if (writer_of == db) {
        *out = db->writer;
        return 0;
    }
    wr_db_conn *c;
    WR_TRY(choose(db, &c, err));
    int rc = c->is_open ? 0 : wr_db_conn_open(c, db->reader_mode, err);
    if (rc == 0 && c->open == 1 && db->engine->lease) rc = db->engine->lease(c, err);
    if (rc < 0) give_back(c);
    *out = c;
    return rc;
}

static void give_back(wr_db_conn *c)
{
    wr_db *db = c->db;
    if (c == db->writer) return;
    WR_BUG_IF(c->open <= 0);
    if (c->open == 1 && c->is_open && db->engine->give_back) db->engine->give_back(c); /* still ours alone */
    pthread_mutex_lock(&db->readers_lock);
    c->open--;
    pthread_mutex_unlock(&db->readers_lock);
}

int wr_db_prepare(wr_db *db, wr_stmt **out, const char *sql, wr_err *err)
{
    wr_db_conn *c;
    WR_TRY(lease(db, &c, err));
    int rc = wr_db_conn_prepare(c, out, sql, err);
    if (rc < 0) give_back(c);
    return rc;
}

void wr_stmt_done(wr_stmt *s)
{
    if (!s) return;
    wr_db_conn *c = s->conn;
    wr_db_conn_done(s);
    give_back(c);
}

int wr_db_exec(wr_db *db, const char *sql, wr_err *err)
{
    wr_db_conn *c;
    WR_TRY(lease(db, &c, err));
    int rc = wr_db_conn_exec(c, sql, err);
    give_back(c);
    return rc;
}

int64_t wr_db_last_id(wr_db *db) { return db->engine->last_id(db->writer); }

/* --- others --- */

bool wr_db_is_shared(const wr_db *db) { return db->engine->shared; }

/* With both locks held: the writer cannot be between its COMMIT and watch_commit. */
static int watch_start(wr_db *db, wr_err *err)
{
    bool moved;
    if (atomic_load(&db->watching)) return 0;
    if (!db->watch) db->watch = wr_db_conn_new(db->engine, db, db->path, db->name);
    if (!db->watch) return wr_err_nomem(err);
    if (!db->watch->is_open) WR_TRY(wr_db_conn_open(db->watch, db->reader_mode, err));
    WR_TRY(look(db, true, &moved, err));
    db->writer_seen = -1; /* unknown: the writer's first commit counts as a change */
    atomic_store(&db->watching, true);
    return 0;
}

static int look_again(wr_db *db, wr_err *err)
{
    bool moved = false;
    if (!db->engine->changed) { /* nobody knows */
        db->changes++;
        return 0;
    }
    WR_TRY(watch_start(db, err));
    WR_TRY(look(db, true, &moved, err));
    if (moved) db->changes++;
    return 0;
}

static int changed(wr_db *db, int64_t *counter, bool wait, wr_err *err)
{
    bool moved = true;
    int rc = 0;
    if (atomic_load(&db->watching)) {
        pthread_mutex_lock(&db->watch_lock);
        rc = look(db, false, &moved, err);
        *counter = db->changes;
        pthread_mutex_unlock(&db->watch_lock);
    }
    if (rc < 0 || !moved) return rc;
    /* perhaps it was our own commit: then the writer says so before it lets go */
    if (wait) pthread_mutex_lock(&db->commit_lock);
    else if (pthread_mutex_trylock(&db->commit_lock) != 0) return 0;
    pthread_mutex_lock(&db->watch_lock);
    rc = look_again(db, err);
    *counter = db->changes;
    pthread_mutex_unlock(&db->watch_lock);
    pthread_mutex_unlock(&db->commit_lock);
    return rc;
}

int wr_db_changed(wr_db *db, int64_t *counter, wr_err *err) { return changed(db, counter, true, err); }

int wr_db_changed_soon(wr_db *db, int64_t *counter, wr_err *err)
{
    return changed(db, counter, !atomic_load(&db->watching), err);
}

int wr_db_backup(wr_db *db, const char *to_path, wr_err *err)
{
    return db->engine->backup(db->path, db->name, to_path, err);
}
