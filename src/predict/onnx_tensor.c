/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_tensor.c - TensorProto: raw bytes, typed fields, or a part of a file beside the model. */
#include "predict/onnx_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/num.h"
#include "io/file.h"

static const struct {
    uint8_t number;
    wr_tensor_type type;
} types[] = {
    {1, WR_TENSOR_FP32},  {2, WR_TENSOR_UINT8},   {3, WR_TENSOR_INT8},    {4, WR_TENSOR_UINT16}, {5, WR_TENSOR_INT16},
    {6, WR_TENSOR_INT32}, {7, WR_TENSOR_INT64},   {8, WR_TENSOR_BYTES},   {9, WR_TENSOR_BOOL},   {10, WR_TENSOR_FP16},
    {11, WR_TENSOR_FP64}, {12, WR_TENSOR_UINT32}, {13, WR_TENSOR_UINT64}, {16, WR_TENSOR_BF16},
};
enum { NTYPES = sizeof types / sizeof *types };

wr_tensor_type wr_onnx_type(uint64_t data_type)
{
    for (size_t i = 0; i < NTYPES; i++)
        if (types[i].number == data_type) return types[i].type;
    return WR_TENSOR_NONE;
}

int wr_onnx_type_number(wr_tensor_type t)
{
    for (size_t i = 0; i < NTYPES; i++)
        if (types[i].type == t) return types[i].number;
    return 0;
}

/* What a TensorProto said before its elements are looked at. */
typedef struct {
    uint64_t data_type;
    wr_str name, raw, location;
    uint64_t offset, length;
    bool has_raw, external, segment, has_length, too_deep;
    wr_pb at; /* the message again, for the typed fields */
} proto;

static void read_external(proto *p, wr_pb *r, const wr_pb_field *f)
{
    wr_pb_field key, value;
    wr_pb_entry(&key, &value, r, f);
    wr_str k = wr_pb_str(r, &key), v = wr_pb_bytes(r, &value);
    int64_t n = 0;
    if (wr_str_is(k, "location")) {
        p->location = v;
    } else if (wr_str_is(k, "offset") || wr_str_is(k, "length")) {
        if (wr_num_i64(&n, v, NULL) < 0 || n < 0) {
            wr_pb_fail(r, "offset or length of external data is not a number");
        } else if (wr_str_is(k, "offset")) {
            p->offset = (uint64_t)n;
        } else {
            p->length = (uint64_t)n;
            p->has_length = true;
        }
    }
}

static void add_dims(wr_tensor *t, proto *p, wr_pb *r, const wr_pb_field *f)
{
    wr_pb_list list;
    uint64_t v;
    wr_pb_list_of(&list, r, f, WR_PB_VARINT);
    while (wr_pb_list_next(&list, &v)) {
        if (t->ndims == WR_TENSOR_DIMS) p->too_deep = true;
        else t->shape[t->ndims++] = (int64_t)v;
    }
}

static void read_head(wr_tensor *t, proto *p, wr_pb *r)
{
    wr_pb_field f;
    p->at = *r;
    while (wr_pb_next(r, &f)) switch (f.number) {
        case 1:
            add_dims(t, p, r, &f);
            break;
        case 2:
            p->data_type = wr_pb_u64(r, &f);
            break;
        case 3:
            p->segment = true;
            break;
        case 8:
            p->name = wr_pb_str(r, &f);
            break;
        case 9:
            p->raw = wr_pb_bytes(r, &f);
            p->has_raw = true;
            break;
        case 13:
            read_external(p, r, &f);
            break;
        case 14:
            p->external = wr_pb_u64(r, &f) == 1;
            break;
        default:
            break;
        }
}

/* Numbers are stored little-endian, as this machine has them (codec/protobuf.c asserts it). Misaligned bytes are
 * copied. */
static int take_raw(wr_tensor *t, wr_str raw, wr_pb *r, wr_arena *a, wr_err *err)
{
    size_t size = wr_tensor_type_size(t->type);
    if (raw.n != t->count * size) {
        wr_pb_fail(r, "raw data have another size than the tensor's shape says");
        return 0;
    }
    t->data = (void *)(uintptr_t)raw.p; /* nobody writes to it */
    if ((uintptr_t)raw.p % size != 0 || raw.n == 0) t->data = wr_arena_dup(a, raw.p, raw.n);
    if (!t->data) return wr_err_nomem(err);
    if (t->type != WR_TENSOR_BOOL) return 0;
    for (size_t i = 0; i < t->count; i++)
        if ((unsigned char)raw.p[i] > 1) wr_pb_fail(r, "a boolean is neither 0 nor 1");
    return 0;
}

/* Which field holds elements of that type, and how they stand there. */
static uint32_t typed_field(wr_tensor_type t, wr_pb_type *element)
{
    *element = WR_PB_VARINT;
    switch (t) {
    case WR_TENSOR_FP32:
        *element = WR_PB_I32;
        return 4;
    case WR_TENSOR_FP64:
        *element = WR_PB_I64;
        return 10;
    case WR_TENSOR_INT64:
        return 7;
    case WR_TENSOR_UINT32:
    case WR_TENSOR_UINT64:
        return 11;
    case WR_TENSOR_BYTES:
        *element = WR_PB_LEN;
        return 6;
    default:
        return 5;
    }
}

static void put(wr_tensor *t, size_t i, uint64_t v)
{
    switch (wr_tensor_type_size(t->type)) {
    case 1:
        ((uint8_t *)t->data)[i] = t->type == WR_TENSOR_BOOL ? v != 0 : (uint8_t)v;
        break;
    case 2:
        ((uint16_t *)t->data)[i] = (uint16_t)v;
        break;
    case 4:
        ((uint32_t *)t->data)[i] = (uint32_t)v;
        break;
    default:
        ((uint64_t *)t->data)[i] = v;
        break;
    }
}

static size_t put_field(wr_tensor *t, size_t n, wr_pb *r, const wr_pb_field *f, wr_pb_type element)
{
    if (element == WR_PB_LEN) {
        if (n < t->count) ((wr_str *)t->data)[n] = wr_pb_bytes(r, f);
        return n + 1;
    }
    wr_pb_list list;
    uint64_t v;
    wr_pb_list_of(&list, r, f, element);
    for (; wr_pb_list_next(&list, &v); n++)
        if (n < t->count) put(t, n, v);
    return n;
}

/* A tensor whose elements nobody wrote has none; its room is asked for only when there can be so many: each takes a
 * byte at least. */
static int take_typed(wr_tensor *t, proto *p, wr_pb *r, wr_arena *a, wr_err *err)
{
    if (t->count > (size_t)(p->at.end - p->at.p)) {
        wr_pb_fail(r, "a tensor has fewer elements than its shape says");
        return 0;
    }
    wr_pb_type element;
    uint32_t number = typed_field(t->type, &element);
    wr_pb_field f;
    size_t n = 0;
    WR_TRY(wr_tensor_alloc(t, a, err));
    while (wr_pb_next(&p->at, &f))
        if (f.number == number) n = put_field(t, n, &p->at, &f, element);
    if (n != t->count) wr_pb_fail(r, "a tensor has another number of elements than its shape says");
    return 0;
}

/* ---- external files ---- */

static int refuse_path(wr_err *err, wr_str name, const char *why)
{
    wr_err_set(err, WEIR_ECORRUPT, "external data \"%.*s\" of an ONNX model: %s", WR_STR_FMT(wr_str_fit(name, 100)),
               why);
    return wr_err_hint(err, WEIR_ECORRUPT, "files of a model lie in its own folder");
}

/* The real path of `name` below dir; links may not lead out of it. */
static int inside(char *out, const char *dir, wr_str name, wr_err *err)
{
    char base[PATH_MAX], joined[PATH_MAX];
    if (name.n == 0 || name.p[0] == '/' || memchr(name.p, 0, name.n))
        return refuse_path(err, name, "not a path inside the model's folder");
    wr_str rest = name;
    while (rest.p)
        if (wr_str_is(wr_str_cut(&rest, '/'), ".."))
            return refuse_path(err, name, "the path leads out of the model's folder");
    if (!realpath(dir, base)) return wr_err_sys(err, errno, "the model's folder \"%s\" cannot be read", dir);
    int n = snprintf(joined, sizeof joined, "%s/%.*s", base, WR_STR_FMT(name));
    if (n < 0 || (size_t)n >= sizeof joined) return refuse_path(err, name, "the path is too long");
    if (!realpath(joined, out))
        return wr_err_sys(err, errno, "external data \"%.*s\" of an ONNX model cannot be read",
                          WR_STR_FMT(wr_str_fit(name, 100)));
    size_t len = strlen(base);
    bool below = strncmp(out, base, len) == 0 && (out[len] == '/' || (len == 1 && base[0] == '/'));
    return below ? 0 : refuse_path(err, name, "a link leads out of the model's folder");
}

static int read_part(void *to, size_t n, const proto *p, const char *path, wr_err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return wr_err_sys(err, errno, "\"%s\" cannot be opened", path);
    int rc = 0;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) rc = refuse_path(err, p->location, "not a file");
    else if (p->offset > (uint64_t)st.st_size || n > (uint64_t)st.st_size - p->offset)
        rc = refuse_path(err, p->location, "the file is shorter than its tensors");
    for (size_t done = 0; rc == 0 && done < n;) {
        ssize_t got = pread(fd, (char *)to + done, n - done, (off_t)(p->offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) rc = wr_err_sys(err, got < 0 ? errno : EIO, "\"%s\" cannot be read", path);
        else done += (size_t)got;
    }
    close(fd);
    return rc;
}

static int take_external(wr_tensor *t, const proto *p, wr_pb *r, wr_onnx_source *from, wr_err *err)
{
    char path[PATH_MAX];
    size_t n = t->count * wr_tensor_type_size(t->type);
    if (!from->dir) return refuse_path(err, p->location, "there is no folder to look in");
    if (t->type == WR_TENSOR_BYTES || (p->has_length && p->length != n)) {
        wr_pb_fail(r, "external data have another size than the tensor's shape says");
        return 0;
    }
    if (n > from->left)
        return wr_err_set(err, WEIR_ELIMIT, "external data of an ONNX model have more than %d bytes",
                          WR_LIMIT_ONNX_FILE);
    WR_TRY(inside(path, from->dir, p->location, err));
    if (wr_file_size(path) < (int64_t)n) return refuse_path(err, p->location, "the file is shorter than its tensors");
    from->left -= n;
    from->external = true;
    WR_TRY(wr_tensor_alloc(t, from->a, err));
    WR_TRY(read_part(t->data, n, p, path, err));
    return take_raw(t, (wr_str){t->data, n}, r, from->a, err);
}

/* ---- all of it ---- */

int wr_onnx_tensor_of(wr_tensor *out, wr_pb *r, wr_onnx_source *from, wr_err *err)
{
    proto p = {0};
    *out = (wr_tensor){0};
    read_head(out, &p, r);
    if (wr_pb_failed(r)) return 0;
    out->name = p.name;
    out->type = wr_onnx_type(p.data_type);
    const char *why = p.too_deep                    ? "has too many dimensions"
                      : out->type == WR_TENSOR_NONE ? "has elements of a type that is not supported"
                                                    : NULL;
    if (!why && p.segment) why = "is split into segments";
    if (why) {
        wr_err_set(err, WEIR_EUNSUPPORTED, "tensor \"%.*s\" of an ONNX model %s", WR_STR_FMT(wr_str_fit(p.name, 100)),
                   why);
        return wr_err_detail(err, WEIR_EUNSUPPORTED, "data type %llu, at most %d dimensions",
                             (unsigned long long)p.data_type, WR_TENSOR_DIMS);
    }
    WR_TRY(wr_tensor_count(out, err));
    if (out->count > WR_LIMIT_ONNX_ELEMENTS)
        return wr_err_set(err, WEIR_ELIMIT, "tensor \"%.*s\" of an ONNX model has %zu elements, at most %d",
                          WR_STR_FMT(wr_str_fit(p.name, 100)), out->count, WR_LIMIT_ONNX_ELEMENTS);
    if (p.external) return take_external(out, &p, r, from, err);
    if (p.has_raw && out->type != WR_TENSOR_BYTES) return take_raw(out, p.raw, r, from->a, err);
    return take_typed(out, &p, r, from->a, err);
}

int wr_onnx_tensor_read(wr_tensor *out, wr_str bytes, wr_arena *a, wr_err *err)
{
    wr_pb r;
    wr_pb_init(&r, bytes);
    wr_onnx_source from = {.a = a};
    WR_TRY(wr_onnx_tensor_of(out, &r, &from, err));
    int rc = wr_pb_end(&r, "TensorProto", err);
    if (rc == WEIR_EPARSE && err) err->code = WEIR_ECORRUPT;
    return rc == WEIR_EPARSE ? WEIR_ECORRUPT : rc;
}
