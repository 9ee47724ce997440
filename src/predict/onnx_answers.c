/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_answers.c - records of ONNX Runtime's answers as files. */
#include "predict/onnx_answers.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "codec/protobuf.h"
#include "io/file.h"
#include "predict/ort.h"

enum { FORMAT = 1, RECORD_MAX = 4 << 20, MODEL_MAX = 64 << 20, RECORDS = 1000, OUTPUTS = 64 };

typedef struct {
    bool known, refused;
    char inputs[WR_SHA256_HEX];
    wr_tensor *out;
    size_t nout;
} answers;

struct wr_onnx_answers {
    wr_arena *mem;
    answers kinds[WR_GOLDEN_KINDS];
    wr_buf file; /* as read, or as it will be written */
};

static char folder[PATH_MAX]; /* "" = nowhere */

void wr_onnx_answers_folder(const char *dir)
{
    int n = snprintf(folder, sizeof folder, "%s", dir ? dir : "");
    if (n < 0 || (size_t)n >= sizeof folder) folder[0] = 0;
}

wr_onnx_answers *wr_onnx_answers_new(void)
{
    wr_onnx_answers *r = wr_calloc(1, sizeof *r);
    if (!r) return NULL;
    wr_buf_init(&r->file, RECORD_MAX);
    r->mem = wr_arena_new(0);
    if (r->mem) return r;
    wr_free(r);
    return NULL;
}

void wr_onnx_answers_free(wr_onnx_answers *r)
{
    if (!r) return;
    wr_buf_fini(&r->file);
    wr_arena_free(r->mem);
    wr_free(r);
}

/* ---- what it is of ---- */

/* The file of this model's record; false: it has none. */
static bool path_of(char path[PATH_MAX], const wr_onnx_model *m)
{
    char library[PATH_MAX + 80], hex[WR_SHA256_HEX];
    wr_sha256 h;
    if (!folder[0] || m->has_external || m->bytes.n > MODEL_MAX || !wr_ort_identity(library, sizeof library)) return false;
    wr_sha256_init(&h);
    wr_sha256_add(&h, library, strlen(library) + 1);
    wr_sha256_add(&h, m->bytes.p, m->bytes.n);
    wr_sha256_hex(&h, hex);
    int n = snprintf(path, PATH_MAX, "%s/%s.answers", folder, hex);
    return n > 0 && n < PATH_MAX;
}

void wr_onnx_answers_inputs(char out[WR_SHA256_HEX], const wr_tensor *in, size_t n)
{
    wr_sha256 h;
    wr_sha256_init(&h);
    for (size_t i = 0; i < n; i++) {
        int64_t head[3] = {in[i].type, in[i].ndims, (int64_t)in[i].count};
        wr_sha256_add(&h, head, sizeof head);
        wr_sha256_add(&h, in[i].shape, (size_t)in[i].ndims * sizeof *in[i].shape);
        if (in[i].type != WR_TENSOR_BYTES) {
            wr_sha256_add(&h, in[i].data, in[i].count * wr_tensor_type_size(in[i].type));
            continue;
        }
        for (size_t k = 0; k < in[i].count; k++) {
            wr_str s = ((const wr_str *)in[i].data)[k];
            wr_sha256_add(&h, &s.n, sizeof s.n);
            wr_sha256_add(&h, s.p, s.n);
        }
    }
    wr_sha256_hex(&h, out);
}

/* ---- reading ---- */

static void read_kind(wr_onnx_answers *r, wr_pb *from, const wr_pb_field *field)
{
    wr_pb k;
    wr_pb_field f;
    answers a = {0};
    uint64_t kind = WR_GOLDEN_KINDS;
    wr_pb_enter(&k, from, field);
    a.out = wr_arena_calloc(r->mem, OUTPUTS, sizeof *a.out);
    while (a.out && wr_pb_next(&k, &f)) {
        if (f.number == 1) kind = wr_pb_u64(&k, &f);
        if (f.number == 2)
            snprintf(a.inputs, sizeof a.inputs, "%.*s", WR_STR_FMT(wr_str_fit(wr_pb_str(&k, &f), WR_SHA256_HEX - 1)));
        if (f.number == 3) a.refused = wr_pb_bool(&k, &f);
        if (f.number != 4) continue;
        if (a.nout == OUTPUTS || wr_onnx_tensor_read(&a.out[a.nout++], wr_pb_bytes(&k, &f), r->mem, NULL) < 0)
            wr_pb_fail(&k, "an output cannot be read");
    }
    if (kind >= WR_GOLDEN_KINDS) wr_pb_fail(&k, "there is no such kind of golden inputs");
    a.known = a.out && !wr_pb_failed(&k);
    if (a.known) r->kinds[kind] = a;
}

int wr_onnx_answers_read(wr_onnx_answers **out, wr_str bytes, wr_err *err)
{
    wr_pb p;
    wr_pb_field f;
    uint64_t format = 0;
    wr_onnx_answers *r = wr_onnx_answers_new();
    if (!r) return wr_err_nomem(err);
    wr_pb_init(&p, bytes);
    while (wr_pb_next(&p, &f)) {
        if (f.number == 1) format = wr_pb_u64(&p, &f);
        if (f.number == 2) read_kind(r, &p, &f);
    }
    bool good = wr_pb_end(&p, "record of answers", NULL) == 0 && format == FORMAT && !wr_arena_failed(r->mem);
    *out = good ? r : NULL;
    if (good) return 0;
    wr_onnx_answers_free(r);
    return wr_err_set(err, WEIR_ECORRUPT, "a record of answers cannot be read");
}

int wr_onnx_answers_load(wr_onnx_answers **out, const wr_onnx_model *m, wr_err *err)
{
    char path[PATH_MAX];
    wr_buf file;
    wr_buf_init(&file, RECORD_MAX + 1);
    bool there = path_of(path, m) && wr_file_exists(path) && wr_file_read(&file, path, RECORD_MAX, NULL) == 0;
    if (there && wr_onnx_answers_read(out, wr_buf_view(&file), NULL) == 0) {
        (*out)->file = file;
        return 0;
    }
    wr_buf_fini(&file);
    return wr_err_set(err, WEIR_ENOTFOUND, "there is no record of ONNX Runtime's answers");
}

int wr_onnx_answers_of(wr_tensor *out, size_t nout, const wr_onnx_answers *r, wr_golden_kind kind, const char *inputs)
{
    const answers *a = &r->kinds[kind];
    if (!a->known || strcmp(a->inputs, inputs) != 0) return WEIR_ENOTFOUND;
    if (a->refused) return WEIR_ENO;
    if (a->nout != nout) return WEIR_ENOTFOUND;
    memcpy(out, a->out, nout * sizeof *out);
    return 0;
}

/* ---- writing ---- */

static void put_tensor(wr_buf *b, const wr_tensor *t)
{
    size_t at = wr_pbw_open(b, 4);
    for (int d = 0; d < t->ndims; d++) wr_pbw_i64(b, 1, t->shape[d]);
    wr_pbw_u64(b, 2, (uint64_t)wr_onnx_type_number(t->type));
    if (t->type == WR_TENSOR_BYTES)
        for (size_t i = 0; i < t->count; i++) wr_pbw_str(b, 6, ((const wr_str *)t->data)[i]);
    else wr_pbw_str(b, 9, (wr_str){t->data, t->count * wr_tensor_type_size(t->type)});
    wr_pbw_close(b, at);
}

void wr_onnx_answers_note(wr_onnx_answers *r, wr_golden_kind kind, const char *inputs, bool refused,
                          const wr_tensor *out, size_t nout)
{
    wr_buf *b = &r->file;
    if (!b->n) wr_pbw_u64(b, 1, FORMAT);
    size_t at = wr_pbw_open(b, 2);
    wr_pbw_u64(b, 1, kind);
    wr_pbw_str(b, 2, wr_str_of(inputs));
    wr_pbw_bool(b, 3, refused);
    for (size_t i = 0; !refused && i < nout; i++) put_tensor(b, &out[i]);
    wr_pbw_close(b, at);
}

/* Records of models and libraries that are gone are found by nobody: with too many of them all go. */
static void make_room(void)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char **names;
    size_t n;
    if (a && wr_file_list(&names, &n, a, folder, NULL) == 0 && n >= RECORDS) (void)wr_file_remove_tree(folder, NULL);
}

void wr_onnx_answers_save(const wr_onnx_answers *r, const wr_onnx_model *m)
{
    char path[PATH_MAX];
    if (r->file.failed || !r->file.n || !path_of(path, m)) return;
    make_room();
    if (wr_file_mkdirs(folder, NULL) == 0) (void)wr_file_write(path, wr_buf_view(&r->file), NULL);
}
