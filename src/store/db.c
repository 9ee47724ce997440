/* SPDX-License-Identifier: Apache-2.0 */
/* db.c - opening and migrating, the writer thread, the readers.
 *
 *   callers --push--> queue --take all--> writer thread: BEGIN IMMEDIATE; each job in a savepoint; COMMIT --post-->
 * callers
 *
 * Invariants: 1. a job is answered with 0 only after the COMMIT (fsync of the WAL) that holds it; 2. a job that fails
 * is rolled back alone; 3. when the COMMIT fails, or SQLite gives up the transaction in the middle of a job (disk full,
 * no memory), every job of the transaction is answered with that error and none of them is visible; jobs that had not
 * run yet get a transaction of their own. After a failed fsync a power cut may still bring the transaction back: an
 * error means "not promised", not "certainly absent".
 *
 * Readers are leased: a thread that has a statement open owns a connection, so that its nested statements see one
 * snapshot; when the last one is done the connection goes back to the db, which closes all of them at the end. There
 * are as many connections as threads that ever read at the same moment, and a thread may come and go without leaving
 * one behind.
 *
 * The watch (wr_db_changed) compares "PRAGMA data_version" on a connection of its own, which moves with every commit of
 * other connections, so with our writer's too. The writer therefore reads it right behind its COMMIT, and its own
 * data_version after that: if that one stands still, nobody else has committed until now, and the watch's new value is
 * the writer's doing alone.
 */
#include "store/db.h"

#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include "base/vec.h"
#include "store/db_conn.h"

enum {
    GROUP_MAX = 1024,      /* jobs in one transaction: bounds how long the first waits for the last */
    QUEUE_MAX = 65536,     /* jobs not yet taken by the writer */
    OPEN_RETRY_MS = 10000, /* switching a new file to WAL does not wait for other processes by itself */
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
    char *path;
    bool read_only;
    wr_db_conn_mode reader_mode;
    wr_db_conn writer; /* the writer thread's */
    pthread_t thread;
    bool started;

    pthread_mutex_t queue_lock; /* rank 1; guards the four below; never held while SQL runs */
    pthread_cond_t queue_filled;
    job *head, **tail;
    size_t queued;
    bool closing;

    pthread_mutex_t readers_lock; /* rank 2; guards the list and each lease */
    WR_VEC(wr_db_conn *) readers;

    pthread_mutex_t commit_lock; /* rank 3; held by the writer from COMMIT until the watch knows of it */
    pthread_mutex_t watch_lock;  /* rank 4; guards the watch and its two numbers */
    wr_db_conn watch;
    atomic_bool watching;      /* the connection is open */
    int64_t seen, writer_seen; /* data_version of the watch; of the writer (the writer thread's) */
    int64_t changes;
};

static _Thread_local wr_db *writer_of; /* the db whose writer thread this is */

/* --- opening --- */

static int refuse_newer(wr_db *db, int64_t version, int n, wr_err *err)
{
    wr_err_set(err, WEIR_EUNSUPPORTED, "database '%s' was written by a newer program", db->path);
    wr_err_detail(err, WEIR_EUNSUPPORTED, "its schema is version %lld, this program knows up to %d", (long long)version,
                  n);
    return wr_err_hint(err, WEIR_EUNSUPPORTED, "use the newer version of weir, or another project folder");
}

static int refuse_older(wr_db *db, int64_t version, int n, wr_err *err)
{
    wr_err_set(err, WEIR_EUNAVAILABLE, "database '%s' must be upgraded before it can be read", db->path);
    wr_err_detail(err, WEIR_EUNAVAILABLE, "its schema is version %lld, this program needs %d", (long long)version, n);
    return wr_err_hint(err, WEIR_EUNAVAILABLE, "run a command that writes once, as a user who may write the file");
}

/* Foreign keys are off while migrations rebuild tables; what they leave behind is checked instead. */
static int check_references(wr_db_conn *c, wr_err *err)
{
    int64_t ignored;
    int rc = wr_db_conn_int(c, &ignored, "SELECT 1 FROM pragma_foreign_key_check LIMIT 1", err);
    if (rc == WEIR_ENOTFOUND) return 0;
    return rc < 0 ? rc : wr_err_set(err, WEIR_ECONFLICT, "rows refer to rows that are not there");
}

/* Another process may have applied it since: the version is read again under the write lock. */
static int migrate_step(wr_db *db, const wr_db_opt *opt, bool *ended, wr_err *err)
{
    wr_db_conn *c = &db->writer;
    int64_t version;
    WR_TRY(wr_db_conn_int(c, &version, "PRAGMA user_version", err));
    *ended = version >= opt->n;
    if (version > opt->n) return refuse_newer(db, version, opt->n, err);
    if (*ended) return 0;
    char set[64];
    sqlite3_snprintf((int)sizeof set, set, "PRAGMA user_version=%lld", (long long)version + 1);
    int rc = version < 0 ? wr_err_set(err, WEIR_ECORRUPT, "its version is negative") : 0;
    if (rc == 0) rc = wr_db_conn_exec(c, opt->migrations[version], err);
    if (rc == 0) rc = check_references(c, err);
    if (rc == 0) rc = wr_db_conn_exec(c, set, err);
    return rc < 0 ? wr_err_wrap(err, rc, "database '%s': migration %lld", db->path, (long long)version + 1) : 0;
}

static void rollback(wr_db_conn *c)
{
    wr_db_conn_done_all(c);
    if (!sqlite3_get_autocommit(c->h)) sqlite3_exec(c->h, "ROLLBACK", NULL, NULL, NULL);
}

static int migrate(wr_db *db, const wr_db_opt *opt, wr_err *err)
{
    for (bool ended = false; !ended;) {
        WR_TRY(wr_db_conn_exec(&db->writer, "BEGIN IMMEDIATE", err));
        int rc = migrate_step(db, opt, &ended, err);
        if (rc == 0) rc = wr_db_conn_exec(&db->writer, "COMMIT", err);
        if (rc < 0) {
            rollback(&db->writer);
            return rc;
        }
        wr_fault_crash_point();
    }
    return 0;
}

static int journal_is_wal(wr_db_conn *c, bool *out, wr_err *err)
{
    sqlite3_stmt *h = NULL;
    int rc = sqlite3_prepare_v2(c->h, "PRAGMA journal_mode=WAL", -1, &h, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_step(h);
    const char *mode = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(h, 0) : NULL;
    *out = mode && strcmp(mode, "wal") == 0;
    int code = rc == SQLITE_ROW ? 0 : wr_db_conn_fail(c, rc, "switch to write-ahead logging", err);
    sqlite3_finalize(h);
    return code;
}

/* Two processes that create the file together get in each other's way here, and SQLite answers "busy" at once. */
static int switch_to_wal(wr_db *db, wr_err *err)
{
    int64_t until = wr_clock_mono_ns() + OPEN_RETRY_MS * 1000000LL;
    bool wal = false;
    int rc;
    while ((rc = journal_is_wal(&db->writer, &wal, err)) == WEIR_ETIMEOUT && wr_clock_mono_ns() < until) {
        nanosleep(&(struct timespec){.tv_nsec = 5 * 1000 * 1000}, NULL);
    }
    if (rc < 0 || wal) return rc;
    wr_err_set(err, WEIR_EUNSUPPORTED, "database '%s': no write-ahead logging here", db->path);
    return wr_err_hint(err, WEIR_EUNSUPPORTED, "put the project on a local file system that is writable");
}

static int open_writer(wr_db *db, const wr_db_opt *opt, wr_err *err)
{
    WR_TRY(wr_db_conn_open(&db->writer, db, db->path, WR_DB_CONN_WRITE, err));
    int64_t version; /* before anything is changed */
    WR_TRY(wr_db_conn_int(&db->writer, &version, "PRAGMA user_version", err));
    if (version > opt->n) return refuse_newer(db, version, opt->n, err);
    WR_TRY(switch_to_wal(db, err));
    WR_TRY(wr_db_conn_exec(&db->writer, "PRAGMA synchronous=FULL; PRAGMA journal_size_limit=67108864", err));
    WR_TRY(migrate(db, opt, err));
    return wr_db_conn_exec(&db->writer, "PRAGMA foreign_keys=ON", err);
}

static int reader_new(wr_db *db, wr_db_conn **out, wr_err *err);

static int open_read_only(wr_db *db, const wr_db_opt *opt, wr_err *err)
{
    wr_db_conn *c;
    if (access(db->path, F_OK) < 0) return wr_err_sys(err, errno, "cannot open database '%s'", db->path);
    pthread_mutex_lock(&db->readers_lock);
    int rc = reader_new(db, &c, err);
    pthread_mutex_unlock(&db->readers_lock);
    if (rc < 0) return rc;
    int64_t version;
    rc = wr_db_conn_int(c, &version, "PRAGMA user_version", err);
    if (rc == WEIR_EACCESS) {
        return wr_err_hint(err, rc, "SQLite needs to create '%s-shm' to read it; make the folder writable, or copy it",
                           db->path);
    }
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

static void *writer_main(void *arg);

/* The writer takes no signals: they are the main thread's. */
static int start(wr_db *db, wr_err *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&db->thread, NULL, writer_main, db);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc) return wr_err_sys(err, rc, "cannot start the writer of database '%s'", db->path);
    db->started = true;
    return 0;
}

int wr_db_open(wr_db **out, const char *path, const wr_db_opt *opt, wr_err *err)
{
    if (!*path) return wr_err_set(err, WEIR_EINVAL, "the database has no path");
    wr_db *db = wr_calloc(1, sizeof *db);
    if (!db) return wr_err_nomem(err);
    pthread_mutex_init(&db->queue_lock, NULL);
    pthread_mutex_init(&db->readers_lock, NULL);
    pthread_mutex_init(&db->commit_lock, NULL);
    pthread_mutex_init(&db->watch_lock, NULL);
    pthread_cond_init(&db->queue_filled, NULL);
    db->tail = &db->head;
    db->read_only = opt->read_only;
    db->reader_mode = opt->read_only ? WR_DB_CONN_READ_ONLY : WR_DB_CONN_READ;
    db->path = sqlite_path(path);
    int rc = db->path ? 0 : wr_err_nomem(err);
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
    for (size_t i = 0; i < db->readers.n; i++) {
        wr_db_conn_close(db->readers.at[i]);
        wr_free(db->readers.at[i]);
    }
    wr_vec_fini(&db->readers);
    wr_db_conn_close(&db->watch);
    wr_db_conn_close(&db->writer); /* last, because the last connection to close moves the WAL into the file */
    pthread_cond_destroy(&db->queue_filled);
    pthread_mutex_destroy(&db->watch_lock);
    pthread_mutex_destroy(&db->commit_lock);
    pthread_mutex_destroy(&db->readers_lock);
    pthread_mutex_destroy(&db->queue_lock);
    wr_free(db->path);
    wr_free(db);
}

/* --- the watch --- */

static const char version_sql[] = "PRAGMA data_version";

/* With watch_lock held: has the number moved? `keep` makes it the one that was seen. */
static int look(wr_db *db, bool keep, bool *moved, wr_err *err)
{
    int64_t version;
    WR_TRY(wr_db_conn_int(&db->watch, &version, version_sql, err));
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
    if (rc == 0) rc = wr_db_conn_int(&db->writer, &version, version_sql, NULL);
    if (rc < 0 || version != db->writer_seen) db->changes++;
    if (rc == 0) db->writer_seen = version;
    pthread_mutex_unlock(&db->watch_lock);
}

static int commit(wr_db *db, wr_err *err)
{
    if (!atomic_load(&db->watching)) return wr_db_conn_exec(&db->writer, "COMMIT", err);
    pthread_mutex_lock(&db->commit_lock);
    int rc = wr_db_conn_exec(&db->writer, "COMMIT", err);
    if (rc == 0) watch_commit(db);
    pthread_mutex_unlock(&db->commit_lock);
    return rc;
}

/* --- the writer thread --- */

static job *take_group(wr_db *db)
{
    pthread_mutex_lock(&db->queue_lock);
    while (!db->head && !db->closing) pthread_cond_wait(&db->queue_filled, &db->queue_lock);
    job *first = db->head, **end = &db->head;
    size_t n = 0;
    for (; *end && n < GROUP_MAX; n++) end = &(*end)->next;
    db->head = *end;
    if (!db->head) db->tail = &db->head;
    if (n) *end = NULL;
    db->queued -= n;
    pthread_mutex_unlock(&db->queue_lock);
    return n ? first : NULL;
}

static int lost(wr_db *db, wr_err *err)
{
    return wr_err_set(err, WEIR_EIO, "database '%s': the transaction was given up", db->path);
}

/* A deferred foreign key that this job leaves open would fail everybody's COMMIT. */
static int open_references(wr_db *db, wr_err *err)
{
    int open = 0, high;
    sqlite3_db_status(db->writer.h, SQLITE_DBSTATUS_DEFERRED_FKS, &open, &high, 0);
    if (!open) return 0;
    return wr_err_set(err, WEIR_ECONFLICT, "database '%s': a row refers to a row that is not there", db->path);
}

/* Run one job in a savepoint. False: SQLite has given up the whole transaction; job->err says why. */
static bool run_job(wr_db *db, job *j)
{
    wr_db_conn *c = &db->writer;
    j->rc = wr_db_conn_exec(c, "SAVEPOINT job", &j->err);
    if (j->rc == 0) {
        j->rc = j->fn(db, j->arg, &j->err);
        if (j->rc > 0) j->rc = 0;
        if (j->rc < 0 && j->err.code != j->rc)
            wr_err_set(&j->err, j->rc, "a write was refused: %s", wr_err_text(j->rc));
        wr_db_conn_done_all(c);
        bool alive = !sqlite3_get_autocommit(c->h);
        if (alive && j->rc == 0) j->rc = open_references(db, &j->err);
        if (alive && j->rc < 0) alive = wr_db_conn_exec(c, "ROLLBACK TO job", NULL) == 0;
        if (alive) alive = wr_db_conn_exec(c, "RELEASE job", NULL) == 0;
        if (alive) return true;
    }
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
    wr_db_conn *c = &db->writer;
    wr_err err = {0};
    int rc = wr_db_conn_exec(c, "BEGIN IMMEDIATE", &err);
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
    if (db->read_only) return wr_err_set(err, WEIR_EACCESS, "database '%s' is open for reading only", db->path);
    return wr_err_set(err, WEIR_EINTERNAL, "database '%s': a write inside a write would wait for ever", db->path);
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
    if (closing) return wr_err_set(err, WEIR_ECANCELED, "database '%s' is closing", db->path);
    if (full) return wr_err_set(err, WEIR_EUNAVAILABLE, "database '%s': too many writes are waiting", db->path);
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

/* --- readers --- */

/* With readers_lock held. */
static int reader_new(wr_db *db, wr_db_conn **out, wr_err *err)
{
    wr_db_conn *c = wr_calloc(1, sizeof *c);
    if (!c) return wr_err_nomem(err);
    int rc = wr_db_conn_open(c, db, db->path, db->reader_mode, err);
    if (rc == 0 && wr_vec_push(&db->readers, c) < 0) {
        wr_db_conn_close(c);
        rc = wr_err_nomem(err);
    }
    if (rc < 0) {
        wr_free(c);
        return rc;
    }
    *out = c;
    return 0;
}

/* The connection this thread has statements on, or a free one (the first: its cache is the warmest), or a new one. */
static int lease(wr_db *db, wr_db_conn **out, wr_err *err)
{
    if (writer_of == db) {
        *out = &db->writer;
        return 0;
    }
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

static void give_back(wr_db_conn *c)
{
    wr_db *db = c->db;
    if (c == &db->writer) return;
    pthread_mutex_lock(&db->readers_lock);
    WR_BUG_IF(c->open <= 0);
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
    wr_db_conn *c = wr_db_conn_of(s);
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

int64_t wr_db_last_id(wr_db *db) { return sqlite3_last_insert_rowid(db->writer.h); }

/* --- others --- */

bool wr_db_is_shared(const wr_db *db)
{
    (void)db;
    return false;
}

/* With both locks held: the writer cannot be between its COMMIT and watch_commit. */
static int watch_start(wr_db *db, wr_err *err)
{
    bool moved;
    if (atomic_load(&db->watching)) return 0;
    WR_TRY(wr_db_conn_open(&db->watch, db, db->path, db->reader_mode, err));
    int rc = look(db, true, &moved, err);
    if (rc < 0) {
        wr_db_conn_close(&db->watch);
        return rc;
    }
    db->writer_seen = -1; /* unknown: the writer's first commit counts as a change */
    atomic_store(&db->watching, true);
    return 0;
}

static int look_again(wr_db *db, wr_err *err)
{
    bool moved = false;
    WR_TRY(watch_start(db, err));
    WR_TRY(look(db, true, &moved, err));
    if (moved) db->changes++;
    return 0;
}

int wr_db_changed(wr_db *db, int64_t *counter, wr_err *err)
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
    pthread_mutex_lock(&db->commit_lock); /* perhaps it was our own commit: then the writer says so before it lets go */
    pthread_mutex_lock(&db->watch_lock);
    rc = look_again(db, err);
    *counter = db->changes;
    pthread_mutex_unlock(&db->watch_lock);
    pthread_mutex_unlock(&db->commit_lock);
    return rc;
}

int wr_db_backup(wr_db *db, const char *to_path, wr_err *err) { return wr_db_sqlite_backup(db->path, to_path, err); }
