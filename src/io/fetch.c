/* SPDX-License-Identifier: Apache-2.0 */
/* fetch.c - requests to other servers through libcurl. */
#include "io/fetch.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/address.h"
#include "io/fetch_curl.h"

struct wr_fetch {
    wr_curl *curl;
};

/* ---- the library ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the two below; a leaf */
static wr_curl_api api;
static bool loaded;

static int unavailable(wr_err *err, const char *why)
{
    wr_err_set(err, WEIR_EUNAVAILABLE, "libcurl is not available");
    wr_err_detail(err, WEIR_EUNAVAILABLE, "%s", why ? why : "it was not found");
    return wr_err_hint(err, WEIR_EUNAVAILABLE, "install libcurl4, or set WEIR_LIBCURL to its path");
}

static int resolve(void *library, const char *symbol, void *slot, wr_err *err)
{
    void *p = dlsym(library, symbol);
    if (!p) return unavailable(err, dlerror());
    memcpy(slot, &p, sizeof p); /* object pointer to function pointer: fine in POSIX, not a cast in ISO C */
    return 0;
}

static void *open_library(void)
{
    static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4"};
    const char *path = getenv("WEIR_LIBCURL");
    if (path && *path) return dlopen(path, RTLD_NOW | RTLD_LOCAL);
    void *library = NULL;
    for (size_t i = 0; !library && i < sizeof names / sizeof *names; i++)
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    return library;
}

static int load_locked(wr_err *err)
{
    void *library = open_library();
    if (!library) return unavailable(err, dlerror());
    WR_TRY(resolve(library, "curl_global_init", &api.global_init, err));
    WR_TRY(resolve(library, "curl_easy_init", &api.easy_init, err));
    WR_TRY(resolve(library, "curl_easy_cleanup", &api.easy_cleanup, err));
    WR_TRY(resolve(library, "curl_easy_reset", &api.easy_reset, err));
    WR_TRY(resolve(library, "curl_easy_setopt", &api.easy_setopt, err));
    WR_TRY(resolve(library, "curl_easy_perform", &api.easy_perform, err));
    WR_TRY(resolve(library, "curl_easy_getinfo", &api.easy_getinfo, err));
    WR_TRY(resolve(library, "curl_easy_strerror", &api.easy_strerror, err));
    WR_TRY(resolve(library, "curl_slist_append", &api.slist_append, err));
    WR_TRY(resolve(library, "curl_slist_free_all", &api.slist_free_all, err));
    return api.global_init(GLOBAL_ALL) == 0 ? 0 : unavailable(err, "it could not start");
}

int wr_fetch_open(wr_fetch **out, wr_err *err)
{
    pthread_mutex_lock(&lock);
    int rc = loaded ? 0 : load_locked(err);
    loaded = rc == 0;
    pthread_mutex_unlock(&lock);
    if (rc < 0) return rc;
    wr_fetch *f = wr_calloc(1, sizeof *f);
    if (!f) return wr_err_nomem(err);
    f->curl = api.easy_init();
    if (!f->curl) {
        wr_free(f);
        return wr_err_nomem(err);
    }
    *out = f;
    return 0;
}

void wr_fetch_close(wr_fetch *f)
{
    if (!f) return;
    api.easy_cleanup(f->curl);
    wr_free(f);
}

/* ---- one request ---- */

typedef struct {
    const wr_fetch_opt *opt;
    wr_fetch_reply *reply;
    wr_fetch *fetch;
    bool refused, too_long; /* an address that is not public; a body longer than allowed */
} transfer;

static int status_of(const transfer *t)
{
    long status = 0;
    api.easy_getinfo(t->fetch->curl, INFO_RESPONSE_CODE, &status);
    return (int)status;
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    transfer *t = arg;
    size_t bytes = size * n;
    if (t->opt->write && status_of(t) < 300) return t->opt->write(t->opt->arg, (wr_str){p, bytes}) < 0 ? 0 : bytes;
    size_t room = t->reply->body.max - t->reply->body.n;
    if (bytes > room && t->opt->write) { /* the text of an error: its start is enough */
        wr_buf_add(&t->reply->body, p, room);
        return bytes;
    }
    wr_buf_add(&t->reply->body, p, bytes);
    t->too_long = t->reply->body.failed;
    return t->too_long ? 0 : bytes;
}

/* A line of a head; an interim answer (100) begins a new one. */
static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    transfer *t = arg;
    wr_str line = {p, size * n};
    if (wr_str_starts(line, "HTTP/")) wr_buf_clear(&t->reply->head);
    else wr_buf_slice(&t->reply->head, line);
    return t->reply->head.failed ? 0 : line.n;
}

static size_t on_read(char *p, size_t size, size_t n, void *arg)
{
    transfer *t = arg;
    int64_t got = t->opt->read(t->opt->arg, p, size * n);
    return got < 0 ? READ_ABORT : (size_t)got;
}

/* The address that is really connected to, whatever a name server said before. */
static int on_socket(void *arg, int purpose, struct wr_curl_address *a)
{
    transfer *t = arg;
    (void)purpose;
    if (t->opt->public_only && !wr_address_public(&a->address)) {
        t->refused = true;
        return SOCKET_BAD;
    }
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static int on_progress(void *arg, int64_t down, int64_t down_now, int64_t up, int64_t up_now)
{
    transfer *t = arg;
    (void)down, (void)down_now, (void)up, (void)up_now;
    return atomic_load(t->opt->cancel) ? 1 : 0;
}

static struct wr_curl_list *header_list(const wr_fetch_opt *opt)
{
    struct wr_curl_list *all = api.slist_append(NULL, "Expect:"); /* no waiting for "100 Continue" */
    for (size_t i = 0; all && i < opt->nheaders; i++) {
        struct wr_curl_list *more = api.slist_append(all, opt->headers[i]);
        if (!more) api.slist_free_all(all);
        all = more;
    }
    return all;
}

static void set_body(wr_curl *c, transfer *t)
{
    const wr_fetch_opt *o = t->opt;
    if (o->read) {
        api.easy_setopt(c, OPT_UPLOAD, 1L);
        api.easy_setopt(c, OPT_READFUNCTION, on_read);
        api.easy_setopt(c, OPT_READDATA, t);
        api.easy_setopt(c, OPT_INFILESIZE_LARGE, o->size);
    } else if (o->body.p) {
        api.easy_setopt(c, OPT_POST, 1L);
        api.easy_setopt(c, OPT_POSTFIELDSIZE_LARGE, (int64_t)o->body.n);
        api.easy_setopt(c, OPT_POSTFIELDS, o->body.p);
    }
    if (strcmp(o->method, "HEAD") == 0) api.easy_setopt(c, OPT_NOBODY, 1L);
    else api.easy_setopt(c, OPT_CUSTOMREQUEST, o->method);
}

static void set_options(wr_curl *c, transfer *t, struct wr_curl_list *headers, char *why)
{
    const wr_fetch_opt *o = t->opt;
    const char *roots = getenv("SSL_CERT_FILE");
    api.easy_reset(c); /* connections stay */
    api.easy_setopt(c, OPT_URL, o->url);
    api.easy_setopt(c, OPT_PROTOCOLS, (long)(PROTOCOL_HTTPS | (o->https_only ? 0 : PROTOCOL_HTTP)));
    api.easy_setopt(c, OPT_FOLLOWLOCATION, 0L);
    api.easy_setopt(c, OPT_SSL_VERIFYPEER, 1L);
    api.easy_setopt(c, OPT_SSL_VERIFYHOST, 2L);
    if (roots && *roots) api.easy_setopt(c, OPT_CAINFO, roots);
    api.easy_setopt(c, OPT_NOSIGNAL, 1L);
    api.easy_setopt(c, OPT_HTTPHEADER, headers);
    api.easy_setopt(c, OPT_ERRORBUFFER, why);
    api.easy_setopt(c, OPT_WRITEFUNCTION, on_body);
    api.easy_setopt(c, OPT_WRITEDATA, t);
    api.easy_setopt(c, OPT_HEADERFUNCTION, on_header);
    api.easy_setopt(c, OPT_HEADERDATA, t);
    api.easy_setopt(c, OPT_OPENSOCKETFUNCTION, on_socket);
    api.easy_setopt(c, OPT_OPENSOCKETDATA, t);
    if (o->public_only) api.easy_setopt(c, OPT_PROXY, "");
    if (o->cancel) {
        api.easy_setopt(c, OPT_NOPROGRESS, 0L);
        api.easy_setopt(c, OPT_XFERINFOFUNCTION, on_progress);
        api.easy_setopt(c, OPT_XFERINFODATA, t);
    }
    api.easy_setopt(c, OPT_CONNECTTIMEOUT_MS, (long)(o->connect_ms ? o->connect_ms : 10000));
    if (o->timeout_ms) api.easy_setopt(c, OPT_TIMEOUT_MS, (long)o->timeout_ms);
    api.easy_setopt(c, OPT_LOW_SPEED_LIMIT, 1L);
    api.easy_setopt(c, OPT_LOW_SPEED_TIME, 60L);
    set_body(c, t);
}

static int failed(const transfer *t, int code, const char *why, wr_err *err)
{
    int rc = WEIR_EIO;
    if (t->refused) rc = WEIR_EACCESS;
    else if (t->too_long) rc = WEIR_ELIMIT;
    else if (code == E_ABORTED && t->opt->cancel && atomic_load(t->opt->cancel)) rc = WEIR_ECANCELED;
    else if (code == E_TIMEOUT) rc = WEIR_ETIMEOUT;
    else if (code == E_RESOLVE || code == E_CONNECT) rc = WEIR_EUNAVAILABLE;
    wr_err_set(err, rc, "request to \"%.200s\" failed", t->opt->url);
    if (t->refused) return wr_err_detail(err, rc, "its address is not one of the open internet");
    if (t->too_long) return wr_err_detail(err, rc, "the answer is longer than %zu bytes", t->reply->body.max);
    return wr_err_detail(err, rc, "%s", why[0] ? why : api.easy_strerror(code));
}

int wr_fetch_run(wr_fetch_reply *out, wr_fetch *f, const wr_fetch_opt *opt, wr_err *err)
{
    char why[ERROR_SIZE] = "";
    transfer t = {.opt = opt, .reply = out, .fetch = f};
    struct wr_curl_list *headers = header_list(opt);
    if (!headers) return wr_err_nomem(err);
    wr_fetch_reply_free(out);
    wr_buf_init(&out->body, opt->max ? opt->max : 1 << 20);
    wr_buf_init(&out->head, 256 << 10);
    set_options(f->curl, &t, headers, why);
    int code = api.easy_perform(f->curl);
    out->status = status_of(&t);
    api.slist_free_all(headers);
    if (code != 0) return failed(&t, code, why, err);
    return 0;
}

void wr_fetch_reply_free(wr_fetch_reply *r)
{
    wr_buf_fini(&r->body);
    wr_buf_fini(&r->head);
    r->status = 0;
}

wr_str wr_fetch_header(const wr_fetch_reply *r, const char *name)
{
    for (wr_str rest = wr_buf_view(&r->head); rest.p;) {
        wr_str value = wr_str_cut(&rest, '\n'), key = wr_str_cut(&value, ':');
        if (value.p && wr_str_ieq(wr_str_trim(key), name)) return wr_str_trim(value);
    }
    return (wr_str){NULL, 0};
}
