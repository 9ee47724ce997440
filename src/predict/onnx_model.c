/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_model.c - ModelProto, GraphProto, NodeProto, AttributeProto, ValueInfoProto. Fields by number: onnx.proto3 of IR
 * version 10. */
#include "predict/onnx_inside.h"

#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"
#include "io/file.h"

typedef struct {
    wr_onnx_model *m;
    wr_onnx_source from;
    wr_err *err;
    int rc; /* the first failure that is not one of the bytes */
} reader;

size_t wr_onnx_count(const wr_pb *r, uint32_t number)
{
    wr_pb copy = *r;
    wr_pb_field f;
    size_t n = 0;
    while (wr_pb_next(&copy, &f)) n += f.number == number;
    return n;
}

/* Room for as many as field `number` comes, or NULL with the failure noted. */
static void *room(reader *x, wr_pb *r, uint32_t number, size_t size, size_t most, const char *what)
{
    size_t n = wr_onnx_count(r, number);
    if (n > most) {
        if (x->rc == 0) x->rc = wr_err_set(x->err, WEIR_ELIMIT, "an ONNX model has %zu %s, at most %zu", n, what, most);
        return NULL;
    }
    void *p = wr_arena_calloc(x->m->mem, n ? n : 1, size);
    if (!p && x->rc == 0) x->rc = wr_err_nomem(x->err);
    return p;
}

static wr_str text(wr_pb *r, const wr_pb_field *f) { return wr_pb_str(r, f); }

/* ---- attributes ---- */

static void attr_tensor(wr_onnx_attr *to, reader *x, wr_pb *r, const wr_pb_field *f)
{
    wr_pb sub;
    wr_pb_enter(&sub, r, f);
    wr_tensor *t = wr_arena_calloc(x->m->mem, 1, sizeof *t);
    if (!t) {
        if (x->rc == 0) x->rc = wr_err_nomem(x->err);
        return;
    }
    wr_err why;
    int rc = wr_onnx_tensor_of(t, &sub, &x->from, &why);
    if (rc == 0) to->tensor = t;
    else if (rc != WEIR_EUNSUPPORTED && x->rc == 0) {
        x->rc = rc;
        if (x->err) *x->err = why;
    }
}

/* Scalars of one repeated field: how many there are, packed or not, and then the numbers themselves. */
static size_t list_length(wr_pb r, uint32_t number, wr_pb_type element)
{
    wr_pb_field f;
    wr_pb_list list;
    uint64_t v;
    size_t n = 0;
    while (wr_pb_next(&r, &f)) {
        if (f.number != number) continue;
        wr_pb_list_of(&list, &r, &f, element);
        while (wr_pb_list_next(&list, &v)) n++;
    }
    return n;
}

static void attr_list(wr_onnx_attr *to, reader *x, wr_pb r, uint32_t number)
{
    wr_pb_type element = number == 7 ? WR_PB_I32 : WR_PB_VARINT;
    size_t n = number == 9 ? wr_onnx_count(&r, 9) : list_length(r, number, element), k = 0;
    size_t size = number == 7 ? sizeof(float) : number == 8 ? sizeof(int64_t) : sizeof(wr_str);
    void *at = wr_arena_calloc(x->m->mem, n ? n : 1, size);
    if (!at) {
        if (x->rc == 0) x->rc = wr_err_nomem(x->err);
        return;
    }
    wr_pb_field f;
    wr_pb_list list;
    uint64_t v;
    while (wr_pb_next(&r, &f)) {
        if (f.number != number) continue;
        if (number == 9) {
            ((wr_str *)at)[k++] = wr_pb_bytes(&r, &f);
            continue;
        }
        wr_pb_list_of(&list, &r, &f, element);
        for (; wr_pb_list_next(&list, &v); k++) {
            if (number == 7) ((float *)at)[k] = wr_pb_as_f32(v);
            else ((int64_t *)at)[k] = (int64_t)v;
        }
    }
    to->n = k;
    if (number == 7) to->floats = at;
    else if (number == 8) to->ints = at;
    else to->strings = at;
}

/* Old writers (IR 1) give no type: it follows from the field that is there. */
static void attribute(wr_onnx_attr *to, reader *x, wr_pb *r)
{
    wr_pb_field f;
    wr_pb again = *r;
    uint64_t type = 0;
    static const uint8_t of_field[12] = {
        [2] = 1, [3] = 2, [4] = 3, [5] = 4, [6] = 5, [7] = 6, [8] = 7, [9] = 8, [11] = 5};
    uint8_t guess = 0;
    while (wr_pb_next(r, &f)) {
        if (f.number < 12 && of_field[f.number]) guess = of_field[f.number];
        switch (f.number) {
        case 1:
            to->name = text(r, &f);
            break;
        case 2:
            to->f = wr_pb_f32(r, &f);
            break;
        case 3:
            to->i = wr_pb_i64(r, &f);
            break;
        case 4:
            to->s = wr_pb_bytes(r, &f);
            break;
        case 5:
            attr_tensor(to, x, r, &f);
            break;
        case 20:
            type = wr_pb_u64(r, &f);
            break;
        default:
            break;
        }
    }
    if (type == 0) type = guess;
    to->type = type <= WR_ONNX_ATTR_STRINGS ? (wr_onnx_attr_type)type : WR_ONNX_ATTR_NONE;
    if (to->type >= WR_ONNX_ATTR_FLOATS) attr_list(to, x, again, (uint32_t)to->type + 1);
}

/* ---- nodes ---- */

static void node(wr_onnx_node *to, reader *x, wr_pb *r)
{
    to->in = room(x, r, 1, sizeof *to->in, WR_LIMIT_ONNX_OPERANDS, "inputs of a node");
    to->out = room(x, r, 2, sizeof *to->out, WR_LIMIT_ONNX_OPERANDS, "outputs of a node");
    to->attrs = room(x, r, 5, sizeof *to->attrs, WR_LIMIT_ONNX_OPERANDS, "attributes of a node");
    wr_pb_field f;
    wr_pb sub;
    while (x->rc == 0 && wr_pb_next(r, &f)) switch (f.number) {
        case 1:
            to->in[to->nin++] = text(r, &f);
            break;
        case 2:
            to->out[to->nout++] = text(r, &f);
            break;
        case 3:
            to->name = text(r, &f);
            break;
        case 4:
            to->op = text(r, &f);
            break;
        case 5:
            wr_pb_enter(&sub, r, &f);
            attribute(&to->attrs[to->nattrs++], x, &sub);
            break;
        case 7:
            to->domain = text(r, &f);
            break;
        default:
            break;
        }
    if (wr_str_is(to->domain, "ai.onnx")) to->domain = WR_STR("");
}

const wr_onnx_attr *wr_onnx_attr_find(const wr_onnx_node *n, const char *name)
{
    for (size_t i = 0; i < n->nattrs; i++)
        if (wr_str_is(n->attrs[i].name, name)) return &n->attrs[i];
    return NULL;
}

/* ---- what goes in and out ---- */

static int64_t dimension(wr_pb *r)
{
    wr_pb_field f;
    int64_t d = -1;
    while (wr_pb_next(r, &f)) {
        if (f.number == 1) d = wr_pb_i64(r, &f);
        if (f.number == 2) d = -1;
    }
    return d < 0 ? -1 : d;
}

static void shape(wr_onnx_value *to, reader *x, wr_pb *r)
{
    wr_pb_field f;
    wr_pb sub;
    to->shaped = true;
    while (wr_pb_next(r, &f)) {
        if (f.number != 1) continue;
        wr_pb_enter(&sub, r, &f);
        int64_t d = dimension(&sub);
        if (to->ndims == WR_TENSOR_DIMS) {
            if (x->rc == 0)
                x->rc = wr_err_set(x->err, WEIR_EUNSUPPORTED, "\"%.*s\" of an ONNX model has more than %d dimensions",
                                   WR_STR_FMT(wr_str_fit(to->name, 100)), WR_TENSOR_DIMS);
            return;
        }
        to->shape[to->ndims++] = d;
    }
}

static void tensor_type(wr_onnx_value *to, reader *x, wr_pb *r)
{
    wr_pb_field f;
    wr_pb sub;
    while (wr_pb_next(r, &f)) {
        if (f.number == 1) to->type = wr_onnx_type(wr_pb_u64(r, &f));
        if (f.number != 2) continue;
        wr_pb_enter(&sub, r, &f);
        shape(to, x, &sub);
    }
}

/* Follows sequence (4) -> elem_type (1) -> map (5) -> value_type (2) -> tensor. */
static void type(wr_onnx_value *to, reader *x, wr_pb *r, int depth)
{
    wr_pb_field f;
    wr_pb sub, inner;
    to->kind = WR_ONNX_OTHER;
    while (wr_pb_next(r, &f)) {
        if (f.number == 1) {
            wr_pb_enter(&sub, r, &f);
            tensor_type(to, x, &sub);
            to->kind = WR_ONNX_TENSOR;
        } else if ((f.number == 4 || f.number == 5) && depth < 2) {
            uint32_t wanted = f.number == 4 ? 1 : 2;
            bool map = f.number == 5;
            wr_pb_enter(&sub, r, &f);
            while (wr_pb_next(&sub, &f)) {
                if (f.number != wanted) continue;
                wr_pb_enter(&inner, &sub, &f);
                type(to, x, &inner, depth + 1);
            }
            to->kind = map || to->kind == WR_ONNX_MAPS ? WR_ONNX_MAPS : WR_ONNX_OTHER;
        }
    }
}

static void value(wr_onnx_value *to, reader *x, wr_pb *r)
{
    wr_pb_field f;
    wr_pb sub;
    to->kind = WR_ONNX_OTHER;
    while (wr_pb_next(r, &f)) {
        if (f.number == 1) to->name = text(r, &f);
        if (f.number != 2) continue;
        wr_pb_enter(&sub, r, &f);
        type(to, x, &sub, 0);
    }
}

/* ---- graph and model ---- */

/* IR version 3 lists initializers among the inputs too. */
static int drop_initialized(wr_onnx_model *m, wr_err *err)
{
    wr_map names;
    wr_map_init(&names);
    bool ok = true;
    for (size_t i = 0; ok && i < m->ninit; i++) ok = wr_map_put(&names, m->init[i].name, &m->init[i]) >= 0;
    size_t kept = 0;
    for (size_t i = 0; ok && i < m->nin; i++)
        if (wr_map_find(&names, m->in[i].name) < 0) m->in[kept++] = m->in[i];
    if (ok) m->nin = kept;
    wr_map_fini(&names);
    return ok ? 0 : wr_err_nomem(err);
}

static void initializer(reader *x, wr_pb *r, const wr_pb_field *f)
{
    wr_pb sub;
    wr_pb_enter(&sub, r, f);
    int rc = wr_onnx_tensor_of(&x->m->init[x->m->ninit++], &sub, &x->from, x->err);
    if (rc < 0 && x->rc == 0) x->rc = rc;
}

static void graph(reader *x, wr_pb *r)
{
    wr_onnx_model *m = x->m;
    m->nodes = room(x, r, 1, sizeof *m->nodes, WR_LIMIT_ONNX_NODES, "nodes");
    m->init = room(x, r, 5, sizeof *m->init, WR_LIMIT_ONNX_NODES, "initializers");
    m->in = room(x, r, 11, sizeof *m->in, WR_LIMIT_ONNX_NODES, "inputs");
    m->out = room(x, r, 12, sizeof *m->out, WR_LIMIT_ONNX_OPERANDS, "outputs");
    m->nnodes = m->ninit = m->nin = m->nout = 0; /* a graph that comes twice: the last one counts */
    wr_pb_field f;
    wr_pb sub;
    while (x->rc == 0 && wr_pb_next(r, &f)) {
        if (f.number == 1 || f.number == 11 || f.number == 12) wr_pb_enter(&sub, r, &f);
        switch (f.number) {
        case 1:
            node(&m->nodes[m->nnodes++], x, &sub);
            break;
        case 2:
            m->graph_name = text(r, &f);
            break;
        case 5:
            initializer(x, r, &f);
            break;
        case 11:
            value(&m->in[m->nin++], x, &sub);
            break;
        case 12:
            value(&m->out[m->nout++], x, &sub);
            break;
        case 15:
            x->rc = wr_err_set(x->err, WEIR_EUNSUPPORTED, "an ONNX model has sparse initializers");
            break;
        default:
            break;
        }
    }
}

static void opset(wr_onnx_model *m, wr_pb *r)
{
    wr_pb_field f;
    wr_str domain = WR_STR("");
    int64_t version = 0;
    while (wr_pb_next(r, &f)) {
        if (f.number == 1) domain = text(r, &f);
        if (f.number == 2) version = wr_pb_i64(r, &f);
    }
    if (domain.n == 0 || wr_str_is(domain, "ai.onnx")) m->opset = version;
    if (wr_str_is(domain, "ai.onnx.ml")) m->opset_ml = version;
}

static void model(reader *x, wr_pb *r)
{
    wr_onnx_model *m = x->m;
    m->meta = room(x, r, 14, sizeof *m->meta, WR_LIMIT_ONNX_OPERANDS, "metadata entries");
    wr_pb_field f, key, val;
    wr_pb sub;
    while (x->rc == 0 && wr_pb_next(r, &f)) switch (f.number) {
        case 1:
            m->ir_version = wr_pb_i64(r, &f);
            break;
        case 2:
            m->producer = text(r, &f);
            break;
        case 7:
            wr_pb_enter(&sub, r, &f);
            graph(x, &sub);
            break;
        case 8:
            wr_pb_enter(&sub, r, &f);
            opset(m, &sub);
            break;
        case 14:
            wr_pb_entry(&key, &val, r, &f);
            m->meta[m->nmeta++] = (wr_onnx_pair){wr_pb_str(r, &key), wr_pb_str(r, &val)};
            break;
        case 25:
            m->nfunctions++;
            break;
        default:
            break;
        }
}

static int check(const wr_onnx_model *m, wr_err *err)
{
    const char *why = NULL;
    if (m->ir_version <= 0) why = "it names no IR version";
    else if (m->nout == 0) why = "its graph has no outputs";
    else if (m->nnodes == 0 && m->ninit == 0 && m->nin == 0) why = "its graph is empty";
    if (!why) return 0;
    wr_err_set(err, WEIR_ECORRUPT, "not an ONNX model");
    return wr_err_detail(err, WEIR_ECORRUPT, "%s", why);
}

static int read_into(wr_onnx_model *m, wr_err *err)
{
    reader x = {.m = m, .from = {.a = m->mem, .dir = m->dir, .left = WR_LIMIT_ONNX_FILE}, .err = err};
    wr_pb r;
    wr_pb_init(&r, m->bytes);
    model(&x, &r);
    m->has_external = x.from.external;
    if (x.rc < 0) return x.rc;
    int rc = wr_pb_end(&r, "ModelProto", err);
    if (rc == WEIR_EPARSE && err) err->code = WEIR_ECORRUPT;
    WR_TRY(rc == WEIR_EPARSE ? WEIR_ECORRUPT : rc);
    WR_TRY(check(m, err));
    return drop_initialized(m, err);
}

int wr_onnx_model_read(wr_onnx_model **out, wr_str bytes, const char *dir, wr_err *err)
{
    wr_onnx_model *m = wr_calloc(1, sizeof *m);
    if (!m) return wr_err_nomem(err);
    m->mem = wr_arena_new(0);
    m->bytes = bytes;
    m->dir = dir && m->mem ? wr_arena_strdup(m->mem, dir) : NULL;
    int rc = m->mem && (m->dir || !dir) ? read_into(m, err) : wr_err_nomem(err);
    if (rc < 0) {
        wr_onnx_model_free(m);
        return rc;
    }
    *out = m;
    return 0;
}

int wr_onnx_model_open(wr_onnx_model **out, const char *path, wr_err *err)
{
    wr_buf file;
    wr_buf_init(&file, 0);
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char *dir = a ? wr_path_dir(a, path) : NULL;
    int rc = dir ? wr_file_read(&file, path, WR_LIMIT_ONNX_FILE, err) : wr_err_nomem(err);
    if (rc == 0) rc = wr_onnx_model_read(out, wr_buf_view(&file), dir, err);
    if (rc < 0) {
        wr_buf_fini(&file);
        return wr_err_wrap(err, rc, "\"%s\"", path);
    }
    (*out)->file = file;
    return 0;
}

void wr_onnx_model_free(wr_onnx_model *m)
{
    if (!m) return;
    wr_arena_free(m->mem);
    wr_buf_fini(&m->file);
    wr_free(m);
}
