/* SPDX-License-Identifier: Apache-2.0 */
/* shm.c - regions of shared memory that clients name, and what else outlives a request.
 *
 * A region is an object under /dev/shm that the client made and this process may open; the client then says "input x is
 * there, from byte 64 on" instead of sending it. Bytes are copied in and out by pread and pwrite: a mapping would spare
 * that copy, but whoever shrinks the file under a mapping ends the process that reads it (SIGBUS).
 *
 * Lock: `lock` guards the list and each region's count; no file is touched while it is held.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "wire/oip/inside.h"

typedef struct region {
    struct region *next;
    int fd, refs; /* the list holds one */
    uint64_t offset, size;
    size_t nname, nkey;
    char text[]; /* name and key, one behind the other */
} region;

struct wr_oip {
    wr_oip_opt opt;
    pthread_mutex_t lock;
    region *regions;
    size_t nregions;
};

int wr_oip_new(wr_oip **out, const wr_oip_opt *opt, wr_err *err)
{
    wr_oip *o = wr_calloc(1, sizeof *o);
    if (!o) return wr_err_nomem(err);
    o->opt = *opt;
    pthread_mutex_init(&o->lock, NULL);
    *out = o;
    return 0;
}

const wr_oip_opt *wr_oip_options(const wr_oip *o) { return &o->opt; }
bool wr_oip_region_allowed(const wr_oip *o) { return o->opt.shared_memory; }

static wr_str name_of(const region *r) { return (wr_str){r->text, r->nname}; }

static void give(wr_oip *o, region *r)
{
    pthread_mutex_lock(&o->lock);
    bool last = --r->refs == 0;
    pthread_mutex_unlock(&o->lock);
    if (!last) return;
    close(r->fd);
    wr_free(r);
}

static region **place(wr_oip *o, wr_str name)
{
    region **at = &o->regions;
    while (*at && !wr_str_eq(name_of(*at), name)) at = &(*at)->next;
    return at;
}

static region *take(wr_oip *o, wr_str name)
{
    pthread_mutex_lock(&o->lock);
    region *r = *place(o, name);
    if (r) r->refs++;
    pthread_mutex_unlock(&o->lock);
    return r;
}

/* ---- register ---- */

static int invalid(wr_str name, const char *why, wr_err *err)
{
    wr_err_set(err, WEIR_EINVAL, "failed to register shared memory region '%.*s': invalid args",
               WR_STR_FMT(wr_str_fit(name, 100)));
    return wr_err_detail(err, WEIR_EINVAL, "%s", why);
}

/* One name directly under /dev/shm, with or without the slash that shm_open wants. */
static bool key_ok(wr_str key)
{
    wr_str name = wr_str_sub(key, key.n && key.p[0] == '/', key.n);
    if (!name.n || name.n > WR_LIMIT_NAME || name.p[0] == '.') return false;
    return !memchr(name.p, '/', name.n) && !memchr(name.p, 0, name.n);
}

static int open_region(region *r, wr_str key, wr_err *err)
{
    struct stat st;
    char path[WR_LIMIT_NAME + 2] = "/";
    wr_str name = wr_str_sub(key, key.p[0] == '/', key.n);
    memcpy(path + 1, name.p, name.n);
    r->fd = shm_open(path, O_RDWR | O_NONBLOCK, 0);
    if (r->fd < 0) {
        wr_err_set(err, WEIR_EINVAL, "Unable to open shared memory region: '%.*s'", WR_STR_FMT(wr_str_fit(key, 100)));
        return wr_err_detail(err, WEIR_EINVAL, "%s",
                             errno == ENOENT ? "there is no such object" : "it may not be opened");
    }
    uint64_t end;
    if (fstat(r->fd, &st) == 0 && S_ISREG(st.st_mode) && !__builtin_add_overflow(r->offset, r->size, &end) &&
        end <= (uint64_t)st.st_size)
        return 0;
    close(r->fd);
    return invalid(name_of(r), "offset and byte_size reach beyond the object", err);
}

static int add(wr_oip *o, region *r, wr_err *err)
{
    enum { MOST = 1024 };
    int rc = 0;
    pthread_mutex_lock(&o->lock);
    region **at = place(o, name_of(r));
    if (*at)
        rc = wr_err_set(err, WEIR_EEXIST, "shared memory region '%.*s' already in manager",
                        WR_STR_FMT(wr_str_fit(name_of(r), 100)));
    else if (o->nregions == MOST) rc = wr_err_set(err, WEIR_EINVAL, "there are already %d shared memory regions", MOST);
    else {
        *at = r;
        o->nregions++;
    }
    pthread_mutex_unlock(&o->lock);
    return rc;
}

static int register_region(wr_oip *o, wr_str name, wr_str key, uint64_t offset, uint64_t size, wr_err *err)
{
    if (!name.n || name.n > WR_LIMIT_NAME) return invalid(name, "the name has 1 to 255 bytes", err);
    if (!key_ok(key)) return invalid(name, "the key is no name under /dev/shm", err);
    if (!size) return invalid(name, "byte_size is 0", err);
    region *r = wr_alloc(sizeof *r + name.n + key.n);
    if (!r) return wr_err_nomem(err);
    *r = (region){.fd = -1, .refs = 1, .offset = offset, .size = size, .nname = name.n, .nkey = key.n};
    memcpy(r->text, name.p, name.n);
    memcpy(r->text + name.n, key.p, key.n);
    int rc = open_region(r, key, err);
    if (rc < 0) {
        wr_free(r);
        return rc;
    }
    rc = add(o, r, err);
    if (rc < 0) give(o, r);
    return rc;
}

/* Requests in flight finish on what they took. A name that nobody registered is fine, as Triton has it. */
static void unregister(wr_oip *o, wr_str name, bool all)
{
    region *gone = NULL;
    pthread_mutex_lock(&o->lock);
    if (all) {
        gone = o->regions;
        o->regions = NULL;
        o->nregions = 0;
    } else {
        region **at = place(o, name);
        gone = *at;
        if (gone) {
            *at = gone->next;
            gone->next = NULL;
            o->nregions--;
        }
    }
    pthread_mutex_unlock(&o->lock);
    for (region *next; gone; gone = next) {
        next = gone->next;
        give(o, gone);
    }
}

void wr_oip_free(wr_oip *o)
{
    if (!o) return;
    unregister(o, (wr_str){NULL, 0}, true);
    pthread_mutex_destroy(&o->lock);
    wr_free(o);
}

/* ---- bytes ---- */

static int find(region **out, wr_oip *o, wr_str name, uint64_t offset, uint64_t size, wr_err *err)
{
    uint64_t end;
    wr_str shown = wr_str_fit(name, 100);
    if (!o->opt.shared_memory) return wr_err_set(err, WEIR_EUNSUPPORTED, "shared memory is not enabled on this server");
    region *r = take(o, name);
    if (!r) return wr_err_set(err, WEIR_EINVAL, "Unable to find shared memory region: '%.*s'", WR_STR_FMT(shown));
    *out = r;
    if (!__builtin_add_overflow(offset, size, &end) && end <= r->size) return 0;
    bool start = offset >= r->size;
    give(o, r);
    return wr_err_set(err, WEIR_EINVAL, "Invalid offset%s for shared memory region: '%.*s'",
                      start ? "" : " + byte size", WR_STR_FMT(shown));
}

static int shrunk(wr_oip *o, region *r, wr_err *err)
{
    wr_err_set(err, WEIR_EINVAL, "Invalid shared memory region: '%.*s'", WR_STR_FMT(wr_str_fit(name_of(r), 100)));
    give(o, r);
    return wr_err_detail(err, WEIR_EINVAL, "the object became smaller than it was when it was registered");
}

int wr_oip_region_read(void *to, wr_oip *o, wr_str name, uint64_t offset, uint64_t size, wr_err *err)
{
    region *r;
    WR_TRY(find(&r, o, name, offset, size, err));
    for (uint64_t done = 0; done < size;) {
        ssize_t n = pread(r->fd, (char *)to + done, size - done, (off_t)(r->offset + offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return shrunk(o, r, err);
        done += (uint64_t)n;
    }
    give(o, r);
    return 0;
}

int wr_oip_region_write(wr_oip *o, wr_str name, uint64_t offset, wr_str bytes, wr_err *err)
{
    region *r;
    struct stat st;
    WR_TRY(find(&r, o, name, offset, bytes.n, err));
    /* writing behind the end would make the object larger again */
    if (fstat(r->fd, &st) < 0 || r->offset + offset + bytes.n > (uint64_t)st.st_size) return shrunk(o, r, err);
    for (size_t done = 0; done < bytes.n;) {
        ssize_t n = pwrite(r->fd, bytes.p + done, bytes.n - done, (off_t)(r->offset + offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return shrunk(o, r, err);
        done += (size_t)n;
    }
    give(o, r);
    return 0;
}

/* ---- requests ---- */

static int whole(wr_jscan *s, wr_str key, uint64_t *out)
{
    wr_jnumber n = {0};
    char c = wr_jscan_peek(s);
    if ((c < '0' || c > '9') || wr_jscan_number(s, &n) < 0 || !n.whole)
        return wr_err_set(s->err, WEIR_EINVAL, "'%.*s' is not a whole number from 0 on", WR_STR_FMT(key));
    *out = n.magnitude;
    return 0;
}

static int register_call(wr_oip_call *c, wr_str name)
{
    wr_jscan s;
    bool first, sized = false;
    wr_str key, object = {NULL, 0};
    uint64_t offset = 0, size = 0;
    int more = 0;
    wr_jscan_init(&s, c->in->body, c->arena, &c->err);
    if (wr_jscan_peek(&s)) {
        WR_TRY(wr_jscan_open(&s, '{', &first));
        while ((more = wr_jscan_member(&s, &first, &key)) == 1) {
            sized |= wr_str_is(key, "byte_size");
            if (wr_str_is(key, "key")) WR_TRY(wr_jscan_str(&s, &object));
            else if (wr_str_is(key, "offset")) WR_TRY(whole(&s, key, &offset));
            else if (wr_str_is(key, "byte_size")) WR_TRY(whole(&s, key, &size));
            else WR_TRY(wr_jscan_skip(&s, NULL));
        }
        if (more < 0) return more;
        WR_TRY(wr_jscan_end(&s));
    }
    if (!object.p) return wr_err_set(&c->err, WEIR_EINVAL, "Shared memory register request has no 'key' field");
    if (!sized) return wr_err_set(&c->err, WEIR_EINVAL, "Shared memory register request has no 'byte_size' field");
    return register_region(c->o, name, object, offset, size, &c->err);
}

static int status(wr_oip_call *c, wr_str name)
{
    wr_jsonw *w = &c->w;
    bool found = !name.n;
    wr_jsonw_arr(w);
    pthread_mutex_lock(&c->o->lock);
    for (region *r = c->o->regions; r; r = r->next) {
        if (name.n && !wr_str_eq(name, name_of(r))) continue;
        found = true;
        wr_jsonw_obj(w);
        wr_jsonw_kslice(w, "name", name_of(r));
        wr_jsonw_kslice(w, "key", (wr_str){r->text + r->nname, r->nkey});
        wr_jsonw_key(w, "offset");
        wr_jsonw_u64(w, r->offset);
        wr_jsonw_key(w, "byte_size");
        wr_jsonw_u64(w, r->size);
        wr_jsonw_end(w);
    }
    pthread_mutex_unlock(&c->o->lock);
    wr_jsonw_end(w);
    if (found) return 0;
    return wr_err_set(&c->err, WEIR_EINVAL, "Unable to find system shared memory region: '%.*s'",
                      WR_STR_FMT(wr_str_fit(name, 100)));
}

/* "[region/NAME/]VERB" */
static bool split(wr_str rest, wr_str *name, wr_str *verb)
{
    *name = (wr_str){NULL, 0};
    *verb = wr_oip_segment(&rest);
    if (wr_str_is(*verb, "region") && rest.p) {
        *name = wr_oip_segment(&rest);
        *verb = wr_oip_segment(&rest);
        if (!name->n) return false;
    }
    return !rest.p && (wr_str_is(*verb, "status") || wr_str_is(*verb, "register") || wr_str_is(*verb, "unregister"));
}

static bool known(wr_oip_call *c, wr_str rest, wr_str *name, wr_str *verb)
{
    if (!split(rest, name, verb)) {
        wr_oip_fail_text(c, 404, "Not Found", "regions have /status, /register and /unregister");
        return false;
    }
    return wr_oip_method(c, wr_str_is(*verb, "status") ? "GET" : "POST");
}

void wr_oip_system_memory(wr_oip_call *c, wr_str rest)
{
    wr_str name, verb;
    int rc = 0;
    if (!known(c, rest, &name, &verb)) return;
    if (wr_str_is(verb, "status")) rc = status(c, name);
    else if (!c->o->opt.shared_memory) {
        rc = wr_err_set(&c->err, WEIR_EUNSUPPORTED, "shared memory is not enabled on this server");
        wr_err_hint(&c->err, rc, "it is for servers that listen on 127.0.0.1 alone");
    } else if (wr_str_is(verb, "unregister")) unregister(c->o, name, !name.n);
    else if (!name.n)
        rc = wr_err_set(&c->err, WEIR_EINVAL, "'region name' is necessary to register system shared memory region");
    else rc = register_call(c, name);
    if (rc < 0) wr_oip_fail_with(c, &c->err);
}

/* No graphics processor takes part, so there is never a region: to unregister all of them is done at once. */
void wr_oip_cuda_memory(wr_oip_call *c, wr_str rest)
{
    wr_str name, verb;
    if (!known(c, rest, &name, &verb)) return;
    if (wr_str_is(verb, "unregister") || (wr_str_is(verb, "status") && !name.n)) {
        if (wr_str_is(verb, "status")) wr_buf_str(c->out->body, "[]");
        return;
    }
    if (wr_str_is(verb, "status"))
        wr_err_set(&c->err, WEIR_EINVAL, "Unable to find cuda shared memory region: '%.*s'",
                   WR_STR_FMT(wr_str_fit(name, 100)));
    else
        wr_err_set(&c->err, WEIR_EINVAL, "failed to register CUDA shared memory region: '%.*s', GPUs not supported",
                   WR_STR_FMT(wr_str_fit(name, 100)));
    wr_oip_fail_with(c, &c->err);
}
