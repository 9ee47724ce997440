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
#include "wire/oip/service.h"

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

static int allowed(const wr_oip *o, wr_err *err)
{
    if (o->opt.shared_memory) return 0;
    wr_err_set(err, WEIR_EUNSUPPORTED, "shared memory is not enabled on this server");
    return wr_err_hint(err, WEIR_EUNSUPPORTED, "it is for servers that listen on 127.0.0.1 alone");
}

int wr_oip_region_register(wr_oip *o, const wr_oip_region *want, wr_err *err)
{
    wr_str name = want->name, key = want->key;
    WR_TRY(allowed(o, err));
    if (!name.n || name.n > WR_LIMIT_NAME) return invalid(name, "the name has 1 to 255 bytes", err);
    if (!key_ok(key)) return invalid(name, "the key is no name under /dev/shm", err);
    if (!want->size) return invalid(name, "byte_size is 0", err);
    region *r = wr_alloc(sizeof *r + name.n + key.n);
    if (!r) return wr_err_nomem(err);
    *r = (region){.fd = -1, .refs = 1, .offset = want->offset, .size = want->size, .nname = name.n, .nkey = key.n};
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

int wr_oip_region_unregister(wr_oip *o, wr_str name, wr_err *err)
{
    WR_TRY(allowed(o, err));
    unregister(o, name, !name.n);
    return 0;
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
    WR_TRY(allowed(o, err));
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

/* ---- tensors ---- */

int wr_oip_region_get(wr_tensor *t, wr_oip *o, const wr_oip_place *from, const wr_oip_model *m, wr_arena *a,
                      wr_err *err)
{
    WR_TRY(wr_tensor_count(t, err));
    if (from->size > WR_LIMIT_HTTP_BODY_INFER)
        return wr_err_set(err, WEIR_EINVAL, "'shared_memory_byte_size' is %llu, at most %d",
                          (unsigned long long)from->size, WR_LIMIT_HTTP_BODY_INFER);
    size_t want = t->count * wr_tensor_type_size(t->type);
    if (t->type != WR_TENSOR_BYTES && from->size != want) /* before bytes are fetched that are of no use */
        return wr_err_set(err, WEIR_EINVAL,
                          "input byte size mismatch for input '%.*s' for model '%.*s'. Expected %zu, got %llu",
                          WR_STR_FMT(wr_str_fit(t->name, 80)), WR_STR_FMT(wr_str_fit(m->name, 80)), want,
                          (unsigned long long)from->size);
    char *bytes = wr_arena_alloc(a, (size_t)from->size + 1);
    if (!bytes) return wr_err_nomem(err);
    WR_TRY(wr_oip_region_read(bytes, o, from->region, from->offset, from->size, err));
    return wr_tensor_read_binary(t, (wr_str){bytes, (size_t)from->size}, a, err);
}

int wr_oip_region_put(wr_oip *o, const wr_oip_place *to, const wr_tensor *t, wr_err *err)
{
    WR_AUTOBUF wr_buf bytes = {0};
    size_t n = wr_tensor_binary_size(t);
    if (n > to->size)
        return wr_err_set(
            err, WEIR_EINVAL,
            "shared memory size specified with the request for output '%.*s' (%llu bytes) should be at least %zu "
            "bytes to hold the results",
            WR_STR_FMT(wr_str_fit(t->name, 80)), (unsigned long long)to->size, n);
    if (t->type != WR_TENSOR_BYTES)
        return wr_oip_region_write(o, to->region, to->offset, (wr_str){n ? t->data : "", n}, err);
    wr_tensor_write_binary(&bytes, t);
    if (bytes.failed) return wr_err_nomem(err);
    return wr_oip_region_write(o, to->region, to->offset, wr_buf_view(&bytes), err);
}

/* ---- which there are ---- */

int wr_oip_regions(wr_oip_region **out, size_t *n, wr_oip *o, wr_str name, wr_arena *a, wr_err *err)
{
    bool nomem = false;
    *n = 0;
    pthread_mutex_lock(&o->lock);
    *out = wr_arena_alloc(a, (o->nregions + 1) * sizeof **out);
    for (region *r = o->regions; r && *out && !nomem; r = r->next) {
        if (name.n && !wr_str_eq(name, name_of(r))) continue;
        wr_str text = wr_arena_str(a, (wr_str){r->text, r->nname + r->nkey});
        nomem = !text.p;
        if (nomem) break;
        (*out)[(*n)++] = (wr_oip_region){.name = wr_str_sub(text, 0, r->nname),
                                         .key = wr_str_sub(text, r->nname, text.n),
                                         .offset = r->offset,
                                         .size = r->size};
    }
    pthread_mutex_unlock(&o->lock);
    if (nomem || !*out) return wr_err_nomem(err);
    if (*n || !name.n) return 0;
    return wr_err_set(err, WEIR_EINVAL, "Unable to find system shared memory region: '%.*s'",
                      WR_STR_FMT(wr_str_fit(name, 100)));
}

int wr_oip_cuda_status(wr_str name, wr_err *err)
{
    if (!name.n) return 0;
    return wr_err_set(err, WEIR_EINVAL, "Unable to find cuda shared memory region: '%.*s'",
                      WR_STR_FMT(wr_str_fit(name, 100)));
}

int wr_oip_cuda_register(wr_str name, wr_err *err)
{
    return wr_err_set(err, WEIR_EINVAL, "failed to register CUDA shared memory region: '%.*s', GPUs not supported",
                      WR_STR_FMT(wr_str_fit(name, 100)));
}
