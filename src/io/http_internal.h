/* SPDX-License-Identifier: Apache-2.0 */
/* http_internal.h - what the files of the HTTP server share. Private to http_*.c.
 *
 *   http_server.c   open, run, stop, close, stats            owns wr_http_server
 *   http_loop.c     epoll, accepting, rounds, messages, time owns wr_http_loop
 *   http_conn.c     bytes in and out of a socket             owns wr_http_conn
 *   http_tls.c      the same through OpenSSL
 *   http_h1.c       HTTP/1.1 on a connection: struct wr_conn_ops
 *   http_h2.c       HTTP/2 on a connection, by nghttp2: another struct wr_conn_ops
 *   http_h2_send.c  its answers
 *   http_body.c     routes, bodies and handlers of both
 *   http_grpc.c     gRPC's framing of bodies and answers
 *   http_reply.c    the request as handlers see it, answers
 *   http_stream.c   answers written piece by piece
 *   http_peers.c    connections per address
 *
 * A round of a loop: what is there is read -> it is parsed and handlers run -> what they hold is settled -> deadlines -> messages from other
 * threads -> round_end -> every dirty connection settles (answers move in order from its queue to `out`) and sends once.
 * Nothing is sent anywhere else.
 *
 * All ready connections are read before the first is parsed, one behind the other into the loop's buffer: so the system
 * call and the handlers each find their code in the caches. Requests that are held may lie there: when the buffer is full,
 * or at the end, what came is parsed and what is held is settled. If some of it waits on, the buffer stays with it, and the
 * loop goes on behind it or takes another one.
 *
 * A request's path:  READING -> RUNNING -> ANSWERED              reply in the handler
 *                                       -> HELD -> ANSWERED      wr_http_reply in settle
 *                                       -> DEFERRED -> ANSWERED  wr_http_finish, a message to the loop
 *                                       -> STREAMING             until the stream ends
 * It stands in its connection's queue from the end of its head until its answer is in `out`. Only the loop thread
 * touches the queue, `state` and `conn`; a deferred request's other fields belong to whoever will finish it.
 *
 * Locks: stream.lock (rank 1) guards a stream's pending bytes and flags; loop.lock (rank 2) guards messages and
 * `closed`; peers.lock (rank 2) guards the table. None is held while a callback runs.
 */
#pragma once
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

#include "io/http_server.h"

enum {
    WR_HTTP_RBUF = 64 << 10,      /* one read; also the most that is held back of a paused connection */
    WR_HTTP_RBUFS = 4,            /* of these in a loop's buffer */
    WR_HTTP_BUFFERS = 64,         /* of a loop; when so many are full of what waits, all of it is settled */
    WR_HTTP_OUT_HIGH = 256 << 10, /* unsent answers of a connection before it stops being read */
    WR_HTTP_KEEP_BUF = 64 << 10,  /* larger buffers are given back after use */
    WR_HTTP_KEEP_BODY = 1 << 20,
    WR_HTTP_DROP_MAX = 64 << 10,  /* of a body nobody wants */
    WR_HTTP_RETIRE_MS = 250,      /* between the last accept and the end of idle connections when sockets are handed over */
    WR_HTTP_LINGER_MS = 2000,     /* reading on after the last answer, so that a reset does not eat it */
    WR_HTTP_FILE_STEP = 1 << 20,  /* of a file in one round, so that other connections have their turn */
};

typedef struct wr_http_conn wr_http_conn;

/* What is read goes in here. */
typedef struct wr_http_buffer {
    struct wr_http_buffer *next;
    size_t used, held;           /* bytes; requests that may lie in them */
    char at[WR_HTTP_RBUFS * WR_HTTP_RBUF];
} wr_http_buffer;
typedef struct wr_http_loop wr_http_loop;

/* ---- connections per address ---- */

typedef struct {
    unsigned char at[16]; /* IPv4 mapped; of IPv6 the /64, since one host has all of it */
} wr_http_addr;

typedef struct wr_http_peers {
    pthread_mutex_t lock;
    struct wr_http_peer *nodes; /* cap of them, chained by index + 1 */
    uint32_t *slots, nslots, cap, free;
} wr_http_peers;

int wr_http_peers_init(wr_http_peers *p, size_t cap);
void wr_http_peers_fini(wr_http_peers *p);
/* Counts one more connection; false (and not counted) if that is more than max. */
bool wr_http_peers_add(wr_http_peers *p, const wr_http_addr *a, size_t max);
void wr_http_peers_drop(wr_http_peers *p, const wr_http_addr *a);
void wr_http_addr_of(wr_http_addr *out, const struct sockaddr_storage *sa);

/* ---- messages to a loop ---- */

typedef struct wr_http_msg {
    struct wr_http_msg *next;
    enum { WR_MSG_FINISH, WR_MSG_STREAM, WR_MSG_RESUME } kind;
    void *of; /* wr_http_req or wr_http_stream */
} wr_http_msg;

/* ---- requests ---- */

typedef enum { REQ_READING, REQ_RUNNING, REQ_HELD, REQ_DEFERRED, REQ_STREAMING, REQ_ANSWERED } wr_http_state;
typedef enum { BODY_NONE, BODY_BUFFER, BODY_STREAM, BODY_DROP } wr_http_mode;

struct wr_http_req {
    wr_http_req *next;   /* in the queue or the free list */
    wr_http_conn *conn;  /* NULL when the connection is gone */
    wr_http_loop *loop;
    wr_http_state state;
    wr_http_mode mode;
    wr_http_route route;
    void *user;
    const char *peer;
    wr_arena *arena;
    wr_str body;
    char *body_mem;      /* 64-byte aligned inside body_block */
    void *body_block;
    size_t body_cap;
    wr_buf resp;         /* the answer when it could not go to conn->out at once */
    int status;
    bool direct;         /* the answer is in conn->out already */
    bool close;          /* the connection ends after it */
    bool durable;        /* its round's commit is not decided yet */
    wr_http_buffer *in;  /* HELD: where it may lie */
    const char *unkept;  /* body of the 503 when that fails; NULL = the usual one */
    bool encrypted;
    bool want_continue;  /* "100 Continue" is due when it reaches the front */
    bool paused;         /* its body waits for wr_http_resume() since paused_at */
    atomic_bool resumed; /* that message is on its way, and needs `r` */
    int64_t paused_at;
    bool has_file;       /* the answer's body is `file`, behind what is in `resp` */
    wr_http_file file;
    wr_http_stream *stream;
    wr_http_msg msg;
    const char *trailers; /* of the answer; HTTP/2 only */
    /* HTTP/2 */
    wr_http_req *prev;   /* in the queue */
    int32_t id;          /* of its stream; 0 = HTTP/1.1 */
    int refused;         /* status that its head earned already */
    size_t head_bytes;   /* of its head so far */
    size_t off;          /* sent part of `resp` */
    int64_t since;       /* when its body began; later, when the last bytes of its answer went */
    uint64_t got;        /* bytes of its body handed on */
    size_t counted;      /* part of conn->body_bytes */
    wr_buf backlog;      /* bytes of its body that wait for a resume */
    bool whole_head, whole_body;
    bool submitted;      /* nghttp2 has its answer */
    bool waiting;        /* nghttp2 waits for more of it */
    bool over;           /* a stream that has ended */
    wr_http_head head;
};

wr_http_req *wr_http_req_new(wr_http_loop *l);  /* NULL when out of memory */
void wr_http_req_free(wr_http_req *r);          /* back to its loop's list; loop thread only */
void wr_http_req_resumed(wr_http_req *r);       /* the message of wr_http_resume() has arrived */
void wr_http_req_leave(wr_http_req *r);         /* its connection is gone in the middle of its body: free it, now or with the message */
void wr_http_req_destroy(wr_http_req *r);       /* any thread */
bool wr_http_req_secure(wr_http_req *r);        /* head and body no longer point into the read buffer */
/* Chooses route and mode; runs the handler, after which `r` is answered, deferred or streaming. */
void wr_http_req_route(wr_http_req *r);
void wr_http_req_run(wr_http_req *r);
bool wr_http_body_reserve(wr_http_req *r, size_t need);
size_t wr_http_body_max(const wr_http_req *r);
int wr_http_body_refusal(const wr_http_req *r); /* the status when it is more */
/* Hands a piece on, after `got` bytes; 0 or the status to fail with. May pause. */
int wr_http_body_take(wr_http_req *r, uint64_t got, wr_str piece);
/* A body that began at `since` has come up to `got`: when it is too slow. */
int64_t wr_http_body_deadline(const wr_http_server *s, int64_t since, uint64_t got);
void wr_http_body_abort(wr_http_req *r);        /* it ends early: tells a streaming handler, once */
/* Formats an answer and sets status and close; where it goes depends on `direct`. */
void wr_http_req_answer(wr_http_req *r, const wr_http_reply_opt *opt, wr_str body);
void wr_http_req_error(wr_http_req *r, int status, bool close);
void wr_http_req_unkept(wr_http_req *r, bool close); /* the commit of a durable answer failed: 503 instead */
bool wr_http_req_grpc(const wr_http_req *r);            /* a call of http_grpc.h, whose errors look different */
/* An HTTP error as the status that a gRPC client understands; `text` is its message. */
void wr_http_grpc_error(wr_http_req *r, int status, wr_str text);
enum { WR_FRAME_LENGTH, WR_FRAME_CHUNKED, WR_FRAME_CLOSE };
void wr_http_put_head(wr_buf *b, wr_http_req *r, const wr_http_reply_opt *opt, int frame, size_t length);

/* ---- streams ---- */

struct wr_http_stream {
    wr_http_msg msg;
    wr_http_loop *loop;
    wr_http_req *req;             /* loop thread only; NULL when over */
    atomic_int refs;              /* writer, request, posted message */
    atomic_size_t unsent;         /* bytes of it in conn->out */
    bool chunked, sized;          /* fixed at open */
    pthread_mutex_t lock;         /* guards what follows */
    pthread_cond_t room;          /* waited for by the writer */
    wr_buf pending;
    char *trailers;
    uint64_t left;                /* sized: bytes still to be written */
    bool posted, ended, gone, slow, waiting;
};

bool wr_http_stream_pull(wr_http_stream *s, wr_buf *out); /* true when it has ended and all was moved */
void wr_http_stream_gone(wr_http_stream *s);              /* the request's part is over: release it */
void wr_http_stream_end(wr_http_stream *s);               /* ends it from the loop's side, cleanly */
bool wr_http_stream_short(wr_http_stream *s);             /* it ended before the length it had promised */
void wr_http_stream_sent(wr_http_stream *s, size_t unsent); /* so much of it is still in the connection */
void wr_http_stream_message(wr_http_stream *s);           /* a posted message has arrived */
void wr_http_stream_unref(wr_http_stream *s);

/* ---- TLS ---- */

typedef struct wr_http_tls wr_http_tls; /* one connection's */
struct ssl_ctx_st;

int wr_http_tls_open(struct ssl_ctx_st **out, const char *cert, const char *key, wr_err *err);
void wr_http_tls_close(struct ssl_ctx_st *ctx); /* NULL is fine */
wr_http_tls *wr_http_tls_new(struct ssl_ctx_st *ctx, int fd);
void wr_http_tls_free(wr_http_tls *t); /* says goodbye when there was a handshake; NULL is fine */
/* Bytes, 0 at the end, WR_TLS_WAIT when the socket has to become ready, WR_TLS_DEAD. The first reads do the handshake. */
enum { WR_TLS_WAIT = -1, WR_TLS_DEAD = -2 };
long wr_http_tls_read(wr_http_tls *t, void *p, size_t n);
long wr_http_tls_write(wr_http_tls *t, const void *p, size_t n);
bool wr_http_tls_shaken(const wr_http_tls *t);
bool wr_http_tls_wants_write(const wr_http_tls *t); /* its own messages are stuck */
void wr_http_tls_goodbye(wr_http_tls *t);           /* we will send no more */
wr_str wr_http_tls_protocol(const wr_http_tls *t);  /* chosen by ALPN, or empty */

/* ---- connections ---- */

/* A protocol on a connection, chosen by its first bytes. */
typedef struct wr_conn_ops {
    const char *name;
    size_t (*feed)(wr_http_conn *c, char *p, size_t n);        /* takes bytes, returns how many; rest: offered again */
    char *(*place)(wr_http_conn *c, size_t *n);                /* where the next bytes should be read to, or NULL */
    void (*placed)(wr_http_conn *c, size_t n);
    bool (*ready)(const wr_http_conn *c);                      /* does it take bytes now? */
    bool (*busy)(const wr_http_conn *c);                       /* are answers outstanding? */
    void (*finished)(wr_http_conn *c, wr_http_req *r);         /* a deferred request has its answer */
    void (*slow)(wr_http_conn *c, wr_http_req *r);             /* what a stream wrote is not taken: end it */
    void (*resumed)(wr_http_conn *c, wr_http_req *r);          /* a paused body may go on */
    void (*settle)(wr_http_conn *c, bool commit_failed);       /* moves answers that are due to `out` */
    void (*sent)(wr_http_conn *c);                             /* `out` has become shorter */
    int64_t (*deadline)(const wr_http_conn *c);                /* ns, INT64_MAX = none */
    void (*expire)(wr_http_conn *c);
    void (*eof)(wr_http_conn *c);                              /* the peer will send no more */
    void (*stop)(wr_http_conn *c);                             /* the server is stopping */
    void (*gone)(wr_http_conn *c);                             /* the socket is closed: let go of requests */
} wr_conn_ops;

/* NULL: more bytes are needed to tell. `alpn` is what TLS agreed on, or empty. */
const wr_conn_ops *wr_conn_ops_choose(wr_str first, wr_str alpn);
extern const wr_conn_ops wr_http_h1, wr_http_h2;
struct nghttp2_session;
void wr_h2_advance(wr_http_conn *c, wr_http_req *r); /* gives nghttp2 what `r` has to say */
void wr_h2_pump(wr_http_conn *c);                    /* frames that may be sent go to `out` */
bool wr_h2_owes(const wr_http_req *r);               /* has bytes that the peer's window holds back */

typedef enum { PHASE_HEAD, PHASE_BODY, PHASE_OVER } wr_http_phase;

struct wr_http_conn {
    wr_http_loop *loop;
    const wr_conn_ops *ops;         /* NULL before the first byte */
    int fd;                         /* -1 when closed; freed at the end of the round */
    uint32_t events;                /* epoll interest */
    size_t slot;                    /* in loop->conns */
    wr_http_conn *next_dirty, *next_again, *next_dead, *next_came;
    wr_str came;                    /* in the loop's buffer, not parsed yet */
    wr_http_tls *tls;               /* NULL = plain */
    bool tls_more;                  /* it may have decrypted bytes that epoll knows nothing of */
    bool dirty, again, eof, lingering;
    bool finishing;                 /* close when `out` is sent */
    bool broken;                    /* close now: out of memory, too slow */
    bool unread;                    /* the peer sent what nobody read: linger */
    wr_buf held;                    /* read, not taken */
    wr_buf out;
    size_t out_off;                 /* sent part of it */
    wr_http_file file;              /* follows `out` when length > 0: what is left of it; nothing is added to `out` meanwhile */
    int64_t idle_since, blocked_since, linger_until;
    wr_http_addr addr;
    char peer[INET6_ADDRSTRLEN];
    struct nghttp2_session *h2;     /* HTTP/2 */
    int64_t control_at;
    int control_left;               /* frames that change nothing and may still come now */
    bool leaving;                   /* GOAWAY was sent */
    size_t body_bytes;              /* buffers of request bodies */
    /* HTTP/1.1 */
    wr_http_phase phase;
    size_t scanned;
    unsigned form;                  /* of its last head, in loop->forms */
    int64_t head_since, body_since; /* 0 = not in it */
    wr_http_chunks chunks;
    uint64_t body_left, body_got;
    wr_http_req *reading, *first, *last;
    unsigned nqueue, ndurable;
    size_t queue_bytes;             /* answers waiting in the queue */
};

void wr_conn_open(wr_http_loop *l, int fd, const wr_http_addr *addr, const struct sockaddr_storage *sa);
void wr_conn_event(wr_http_conn *c, uint32_t events);
void wr_conn_take(wr_http_conn *c);                   /* parses what came */
void wr_conn_again(wr_http_conn *c);                  /* bytes are held and may be taken now */
void wr_conn_retry(wr_http_conn *c);                  /* held bytes may be taken now: offer them in the next round */
void wr_conn_dirty(wr_http_conn *c);                  /* has something to send or settle this round */
void wr_conn_flush(wr_http_conn *c, bool commit_failed);
void wr_conn_stop(wr_http_conn *c);
void wr_conn_close(wr_http_conn *c);
int64_t wr_conn_deadline(const wr_http_conn *c);
void wr_conn_expire(wr_http_conn *c);
static inline size_t wr_conn_unsent(const wr_http_conn *c) { return c->out.n - c->out_off + (size_t)c->file.length; }

/* ---- loops ---- */

typedef struct {
    atomic_uint_fast64_t accepted, requests, errors_4xx, errors_5xx, bytes_in, bytes_out, rounds;
} wr_http_counts;
/* One writer, the loop thread. */
#define WR_COUNT(counter, by)                                                                                          \
    atomic_store_explicit(&(counter), (by) + atomic_load_explicit(&(counter), memory_order_relaxed),                   \
                          memory_order_relaxed)

struct wr_http_loop {
    wr_http_server *server;
    int index, ep, listener, wake;
    pthread_t thread;
    int64_t now;                                     /* monotonic ns, read once a round */
    int64_t scan_at, accept_at, tick_at, stop_at;    /* INT64_MAX = not due */
    int64_t retire_at;                               /* hand over: when what was accepted has had time to ask */
    bool stopping, ran;                              /* ran: a handler ran in this round */
    wr_http_conn **conns;
    size_t nconns, cap_conns;
    wr_http_conn *dirty, *again, *dead;
    wr_http_req *free_reqs;
    size_t nfree_reqs;
    wr_http_forms *forms;                            /* of heads */
    wr_http_buffer *buffer, *spare;
    size_t nbuffers;
    wr_http_conn *came, **last_came;                 /* read, not parsed yet; in order */
    size_t nheld;
    int64_t settle_at;                               /* INT64_MAX = nothing waits */
    wr_http_counts counts;
    pthread_mutex_t lock;                            /* guards msgs, last_msg, closed */
    wr_http_msg *msgs, *last_msg;
    bool closed;
};

struct wr_http_server {
    wr_http_server_opt opt;                          /* defaults filled in */
    int port, nloops;
    wr_http_loop *loops;
    atomic_size_t nconns;
    atomic_int refs;                                 /* 1 + deferred requests + streams that are being written */
    atomic_bool stop, keep; /* keep: the listening sockets stay open */
    atomic_int drain_ms;
    int64_t head_ns, idle_ns, write_ns, grace_ns, shortest_ns;
    struct ssl_ctx_st *tls;                          /* NULL = plain */
    wr_http_peers peers;
};

int wr_http_loop_init(wr_http_loop *l, wr_http_server *s, int index, int listener, wr_err *err);
void wr_http_loop_fini(wr_http_loop *l);
void wr_http_loop_run(wr_http_loop *l);
/* Where WR_HTTP_RBUF bytes may be read to; may settle what came and what is held. What was there before may be gone. */
char *wr_http_loop_room(wr_http_loop *l);
void wr_http_loop_used(wr_http_loop *l, size_t n);   /* of that room */
void wr_http_loop_settle(wr_http_loop *l, bool all); /* what came is parsed, what is held is answered as far as it has to be */
void wr_http_loop_release(wr_http_loop *l, wr_http_req *r); /* it is not held any more */
void wr_http_req_finished(wr_http_req *r);           /* the answer of what was held or deferred is there */
/* Hands a message over and wakes the loop; false when the server is closed already. */
bool wr_http_loop_post(wr_http_loop *l, wr_http_msg *m);
void wr_http_loop_wake(wr_http_loop *l);             /* async-signal-safe */
/* Messages that were not read any more; marks the loop closed. */
void wr_http_loop_seal(wr_http_loop *l);
void wr_http_server_unref(wr_http_server *s);
