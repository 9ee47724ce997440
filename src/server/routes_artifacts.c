/* SPDX-License-Identifier: Apache-2.0 */
/* routes_artifacts.c - bodies of bytes: files of runs and models up and down, in constant memory.
 *
 * Up. Who asks and whether they may is decided when the head is there, before the first byte is taken. Pieces for a
 * store of this machine are written on the loop; the commit, which syncs, is a transfer thread's. When the store or its
 * index is a network away the pieces wait in `queued`, at most QUEUE of them, for a transfer thread, and the upload
 * pauses.
 *
 *   loop:    begin -> body, body, ... -> handle (deferred) or abort
 *   thread:           work ............ -> commit, wr_http_finish
 *
 * An upload is freed by whoever sees it last: the thread while `busy`, else the loop. `lock` guards what both touch.
 * Down. A file of this machine is sent by the kernel; another store's content is read and streamed by a transfer
 * thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "server/server_inside.h"
#include "store/artifacts.h"
#include "wire/mlflow/artifacts.h"

enum {
    QUEUE = 1 << 20,    /* bytes that wait for a thread before the peer has to */
    DISCARD = 16 << 20, /* of a body that is refused, so that the peer reads why */
    STEP = 64 << 10,    /* of a stream down */
    NO_UPLOAD = 1,
    THREADS = 9, /* one more than work: wr_pool counts the caller */
};

/* ---- the transfer threads, made when the first is needed ---- */

static int transfer(wr_server *s, wr_task task, void *ctx)
{
    pthread_mutex_lock(&s->lock);
    if (!s->transfers) s->transfers = wr_pool_new(THREADS);
    wr_pool *pool = s->transfers;
    pthread_mutex_unlock(&s->lock);
    return pool ? wr_pool_post(pool, task, ctx, 0) : WEIR_ENOMEM;
}

/* ---- down ---- */

typedef struct {
    int status;           /* 200, 206, 304, 416 */
    int64_t from, length; /* of the body */
} span;

static bool number(int64_t *out, wr_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9') return false;
    return s.n > 0 && s.n < 19 && wr_num_i64(out, s, NULL) == 0;
}

/* RFC 9110 14.2. Several ranges, and what is none, are answered with the whole. */
static void range_of(span *out, wr_str text, int64_t size)
{
    int64_t a = 0, b = size - 1;
    if (!wr_str_starts(text, "bytes=")) return;
    wr_str last = wr_str_sub(text, 6, text.n), first = wr_str_trim(wr_str_cut(&last, '-'));
    if (!last.p || memchr(text.p, ',', text.n)) return;
    last = wr_str_trim(last);
    if (first.n == 0) { /* the last so many bytes */
        if (!number(&b, last)) return;
        a = b < size ? size - b : 0;
        b = b ? size - 1 : -1;
    } else if (!number(&a, first) || (last.n && !number(&b, last)) || (last.n && b < a)) {
        return;
    }
    if (b > size - 1) b = size - 1;
    out->status = a > b ? 416 : 206;
    out->from = a;
    out->length = a > b ? 0 : b - a + 1;
}

static bool has_etag(wr_str list, const char *etag)
{
    if (wr_str_is(wr_str_trim(list), "*")) return true;
    while (list.p) {
        wr_str one = wr_str_trim(wr_str_cut(&list, ','));
        if (wr_str_starts(one, "W/")) one = wr_str_sub(one, 2, one.n);
        if (one.n >= 2 && one.p[0] == '"' && wr_str_is(wr_str_sub(one, 1, one.n - 1), etag)) return true;
    }
    return false;
}

static span span_of(const wr_http_head *h, const wr_artifact_info *info)
{
    span out = {200, 0, info->size};
    wr_str match = wr_http_get(h, "if-none-match"), range = wr_http_get(h, "range"), only = wr_http_get(h, "if-range");
    if (match.p && has_etag(match, info->etag)) out = (span){304, 0, 0};
    else if (range.p && !(only.p && !has_etag(only, info->etag))) range_of(&out, range, info->size);
    return out;
}

typedef struct {
    wr_artifact_reader *reader;
    wr_http_req *req;
    wr_http_reply_opt opt;
    span span;
} download;

/* The stream's length is said first: a store that fails half-way breaks the connection. */
static void stream_down(void *ctx, size_t index)
{
    (void)index;
    download d = *(download *)ctx; /* it is in the request's arena, which ends with the answer */
    d.opt.length = (uint64_t)d.span.length;
    wr_http_stream *out = wr_http_stream_open(d.req, &d.opt);
    char *step = wr_alloc(STEP);
    int64_t at = 0, n = 0;
    if (!out) {
        wr_http_finish(d.req, &(wr_http_reply_opt){.status = 503}, (wr_str){0});
        wr_artifact_reader_close(d.reader);
        wr_free(step);
        return;
    }
    while (step && at < d.span.length && wr_http_stream_wait(out) == 0) {
        size_t want = d.span.length - at < STEP ? (size_t)(d.span.length - at) : STEP;
        n = wr_artifact_get(d.reader, d.span.from + at, step, want, NULL);
        if (n <= 0 || wr_http_stream_write(out, (wr_str){step, (size_t)n}) < 0) break;
        at += n;
    }
    wr_http_stream_close(out);
    wr_artifact_reader_close(d.reader);
    wr_free(step);
}

/* `d` is gone with the answer. */
static void send_part(wr_server *s, download *d)
{
    wr_artifact_reader *reader = d->reader;
    int fd = wr_artifact_reader_fd(reader);
    bool body = d->span.status == 200 || d->span.status == 206;
    if (!body || d->span.length == 0) {
        wr_http_finish(d->req, &d->opt, (wr_str){0});
    } else if (fd >= 0) {
        wr_http_file file = {.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3), .offset = d->span.from, .length = d->span.length};
        if (file.fd >= 0) d->opt.file = &file;
        else d->opt = (wr_http_reply_opt){.status = 503};
        wr_http_finish(d->req, &d->opt, (wr_str){0});
    } else if (transfer(s, stream_down, d) == 0) {
        return;
    } else {
        wr_http_finish(d->req, &(wr_http_reply_opt){.status = 503}, (wr_str){0});
    }
    wr_artifact_reader_close(reader);
}

int wr_server_send_content(wr_server *s, wr_http_req *r, const wr_mlflow_call *m)
{
    const wr_artifact_info *info = wr_artifact_reader_info(m->content);
    wr_arena *a = wr_http_req_arena(r);
    download *d = wr_arena_calloc(a, 1, sizeof *d);
    span at = span_of(wr_http_req_head(r), info);
    char range[80] = "";
    if (at.status == 206)
        snprintf(range, sizeof range, "Content-Range: bytes %lld-%lld/%lld\r\n", (long long)at.from,
                 (long long)(at.from + at.length - 1), (long long)info->size);
    if (at.status == 416) snprintf(range, sizeof range, "Content-Range: bytes */%lld\r\n", (long long)info->size);
    char *headers = wr_arena_printf(a, "ETag: \"%s\"\r\nAccept-Ranges: bytes\r\n%s%s", info->etag, range,
                                    m->headers ? m->headers : "");
    if (!d || !headers) {
        wr_artifact_reader_close(m->content);
        wr_http_finish(r, &(wr_http_reply_opt){.status = 503}, (wr_str){0});
        return 503;
    }
    *d = (download){m->content, r, {.status = at.status, .type = m->type, .headers = headers}, at};
    send_part(s, d);
    return at.status; /* nothing else of the request may be looked at */
}

/* ---- up ---- */

typedef struct {
    wr_server *server;
    wr_server_loop *loop;
    wr_http_req *req;
    wr_mlflow_upload what; /* texts in the request's arena: the writer is opened before that ends */
    char *path, *id;       /* our own copies, for the thread */
    int64_t declared, got, discarded, start;
    bool remote;
    wr_artifact_writer *writer;
    wr_artifact_info info;
    int refusal;          /* status of wr_server_judge */
    pthread_mutex_t lock; /* guards what follows; rank 1 */
    int rc;               /* what went wrong, told at the end */
    wr_err err;
    wr_buf queued;
    bool busy, paused, complete, over;
} upload;

static void upload_free(upload *u)
{
    wr_artifact_abort(u->writer);
    wr_buf_fini(&u->queued);
    pthread_mutex_destroy(&u->lock);
    wr_free(u->path);
    wr_free(u->id);
    wr_free(u);
}

/* What is wrong with our store is for our log: paths and addresses of this side are not for clients, and "permission
 * denied" of the store is not theirs. */
static int ours(const upload *u, int rc, wr_err *err)
{
    bool store =
        rc == WEIR_EIO || rc == WEIR_ENOSPC || rc == WEIR_EACCESS || rc == WEIR_ECORRUPT || rc == WEIR_EUNAVAILABLE;
    if (!store) return rc;
    wr_warn("artifact '%s': %s%s%s", u->path ? u->path : "", err->msg, err->detail[0] ? ": " : "", err->detail);
    *err = (wr_err){0};
    if (rc == WEIR_EACCESS || rc == WEIR_ECORRUPT) rc = WEIR_EIO;
    wr_err_set(err, rc, "%s",
               rc == WEIR_ENOSPC ? "no space left for artifacts on the server" : "the artifact store failed");
    return wr_err_hint(err, rc, "the server's log says more");
}

static int open_writer(upload *u, wr_err *err)
{
    wr_str path = wr_str_of(u->path);
    wr_artifacts *s = u->server->artifacts;
    int rc = u->what.part ? wr_artifacts_part_write(&u->writer, s, path, u->id, u->what.part, err)
                          : wr_artifacts_write(&u->writer, s, path, u->declared, err);
    return ours(u, rc, err);
}

static int add(upload *u, wr_str piece, wr_err *err)
{
    if (!u->writer) WR_TRY(open_writer(u, err));
    return ours(u, wr_artifact_add(u->writer, piece, err), err);
}

/* The answer; frees the upload. `deferred`: from a thread. */
static void answer(upload *u, bool deferred)
{
    WR_AUTOBUF wr_buf out;
    wr_buf_init(&out, 0);
    char etag[WR_ARTIFACT_ETAG + 16];
    wr_mlflow_call m = {.out = &out};
    wr_http_reply_opt opt = {0};
    wr_http_req *r = u->req;
    if (u->rc == 0) wr_buf_str(&out, "{}");
    wr_mlflow_end(&m, u->rc, &u->err);
    opt.status = m.status;
    if (u->rc == 0 && snprintf(etag, sizeof etag, "ETag: \"%s\"\r\n", u->info.etag) > 0) opt.headers = etag;
    if (u->refusal) wr_server_put_refusal(&out, &opt, u->refusal, &u->err);
    wr_server_count(u->loop, WR_KIND_TRACK, opt.status, wr_clock_mono_ns() - u->start);
    upload_free(u);
    if (deferred) wr_http_finish(r, &opt, wr_buf_view(&out));
    else wr_http_reply(r, &opt, wr_buf_view(&out));
}

/* The body is whole: everything that takes long. */
static void complete(upload *u)
{
    if (u->rc == 0 && !u->writer) u->rc = open_writer(u, &u->err); /* an empty body */
    if (u->rc == 0) {
        wr_artifact_writer *w = u->writer;
        u->writer = NULL;
        u->rc = ours(u, wr_artifact_commit(w, &u->info, &u->err), &u->err);
    }
    answer(u, true);
}

/* Lets the peer go on, while the request is surely there: abort_upload takes the lock too. Called with it. */
static void resume(upload *u)
{
    if (!u->paused || u->over) return;
    u->paused = false;
    wr_http_resume(u->req);
}

/* What has come so far; again until nothing more is there. */
static void work(void *ctx, size_t index)
{
    (void)index;
    upload *u = ctx;
    wr_buf piece;
    wr_buf_init(&piece, 0);
    pthread_mutex_lock(&u->lock);
    while (u->queued.n && !u->over) {
        wr_err err = {0};
        wr_buf t = piece;
        piece = u->queued;
        u->queued = t;
        wr_buf_clear(&u->queued);
        bool failed = u->rc < 0;
        resume(u);
        pthread_mutex_unlock(&u->lock);
        int rc = failed ? 0 : add(u, wr_buf_view(&piece), &err);
        pthread_mutex_lock(&u->lock);
        if (rc < 0) u->err = err;
        if (rc < 0) u->rc = rc;
    }
    resume(u);
    u->busy = false;
    bool over = u->over, whole = u->complete;
    pthread_mutex_unlock(&u->lock);
    wr_buf_fini(&piece);
    if (over) upload_free(u);
    else if (whole) complete(u);
}

static void start_work(upload *u)
{
    u->busy = true;
    if (transfer(u->server, work, u) == 0) return;
    u->busy = false;
    u->rc = wr_err_nomem(&u->err);
}

/* Told at the end of the body, unless that is far away. */
static int refused(upload *u, size_t n)
{
    u->discarded += (int64_t)n;
    if (u->discarded <= DISCARD && u->declared - u->got <= DISCARD) return 0;
    return -(u->refusal ? u->refusal : wr_err_http(u->rc));
}

static int body(wr_http_req *r, wr_str piece)
{
    upload *u = wr_http_req_user(r);
    u->got += (int64_t)piece.n;
    pthread_mutex_lock(&u->lock);
    if (u->rc == 0 && u->what.max >= 0 && u->got > u->what.max)
        u->rc = wr_err_set(&u->err, WEIR_EINVAL, "Artifact size is too large. Max size is 10MB.");
    if (!u->remote && u->rc == 0) u->rc = add(u, piece, &u->err);
    int rc = u->rc < 0 ? refused(u, piece.n) : 0;
    if (u->remote && u->rc == 0) {
        wr_buf_slice(&u->queued, piece);
        if (u->queued.failed) u->rc = wr_err_nomem(&u->err);
        if (!u->busy) start_work(u);
        u->paused = u->busy && u->queued.n > QUEUE;
        if (u->paused) rc = WR_HTTP_PAUSE;
    }
    pthread_mutex_unlock(&u->lock);
    return rc;
}

static void abort_upload(wr_http_req *r)
{
    upload *u = wr_http_req_user(r);
    pthread_mutex_lock(&u->lock);
    u->over = true;
    bool last = !u->busy;
    pthread_mutex_unlock(&u->lock);
    wr_server_count(u->loop, WR_KIND_TRACK, 400, wr_clock_mono_ns() - u->start);
    if (last) upload_free(u);
}

static void whole(void *ctx, size_t index)
{
    (void)index;
    complete(ctx);
}

static void handle(wr_http_req *r)
{
    upload *u = wr_http_req_user(r);
    pthread_mutex_lock(&u->lock);
    if (u->rc == 0 && u->what.max >= 0 && u->got == 0)
        u->rc = wr_err_set(&u->err, WEIR_EINVAL, "Request must specify data.");
    bool failed = u->rc < 0 && !u->busy, busy = u->busy;
    if (!failed) wr_http_defer(r); /* before a thread may answer */
    u->complete = true;
    pthread_mutex_unlock(&u->lock);
    if (failed) {
        answer(u, false);
    } else if (!busy && transfer(u->server, whole, u) < 0) {
        u->rc = wr_err_nomem(&u->err);
        answer(u, true);
    }
}

/* 0, NO_UPLOAD, or what is to be told at the end of the body. */
static int prepare(upload *u, const wr_http_head *h, wr_arena *a)
{
    wr_server *s = u->server;
    wr_auth_who *who = NULL;
    u->refusal = wr_server_judge(&who, s, u->req, &u->err);
    if (u->refusal) return WEIR_EACCESS;
    int rc =
        wr_mlflow_upload_of(&u->what, a, s->track, who ? &who->access : NULL, h->method, h->path, h->query, &u->err);
    if (who) wr_auth_done(who);
    if (rc <= 0) return rc < 0 ? rc : NO_UPLOAD;
    if (!s->artifacts) return wr_err_set(&u->err, WEIR_EUNSUPPORTED, "this server keeps no artifacts");
    if (u->what.max >= 0 && u->declared > u->what.max)
        return wr_err_set(&u->err, WEIR_EINVAL, "Artifact size is too large. Max size is 10MB.");
    u->path = wr_strdup(u->what.path.p ? wr_arena_str(a, u->what.path).p : NULL);
    u->id = wr_strdup(u->what.upload.p);
    if (!u->path) return wr_err_nomem(&u->err);
    return u->remote ? 0 : open_writer(u, &u->err);
}

bool wr_server_begin_upload(wr_server *s, wr_http_req *r, wr_http_route *out)
{
    const wr_http_head *h = wr_http_req_head(r);
    bool put = wr_str_is(h->method, "PUT") && memmem(h->path.p, h->path.n, "/mlflow-artifacts/", 18);
    bool post = wr_str_is(h->method, "POST") && wr_str_ends(h->path, "/mlflow/upload-artifact");
    if (!put && !post) return false;
    upload *u = wr_calloc(1, sizeof *u);
    if (!u) return false; /* the ordinary way says that there is no such procedure; rather that than nothing */
    u->server = s;
    u->loop = &s->loops[wr_http_req_loop(r)];
    u->req = r;
    u->declared = h->chunked ? -1 : (int64_t)h->length;
    u->start = wr_clock_mono_ns();
    u->remote = s->artifacts && (wr_artifacts_remote(s->artifacts) || wr_db_is_shared(wr_track_db(s->track)));
    pthread_mutex_init(&u->lock, NULL);
    wr_buf_init(&u->queued, 0);
    u->rc = prepare(u, h, wr_http_req_arena(r));
    if (u->rc == NO_UPLOAD) {
        upload_free(u);
        return false;
    }
    wr_http_req_set_user(r, u);
    *out = (wr_http_route){.handle = handle, .body = body, .abort = abort_upload};
    return true;
}
