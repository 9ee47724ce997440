/* SPDX-License-Identifier: Apache-2.0 */
/* format_onnx.c - see format_onnx.h. */
#include "predict/format_onnx.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "io/file.h"
#include "predict/graph.h"
#include "predict/onnx_answers.h"
#include "predict/onnx_golden.h"
#include "predict/ort.h"

enum { SETS = 4, SET_BYTES = 16 << 20, TRIAL_ROWS = 3, TREES_ROWS = 50, TRIAL_MEMORY = 256 << 20 };
static const double AGREE = 1e-5;

typedef struct {
    wr_predictor head;
    wr_onnx_model *model;
    wr_graph *graph; /* one of the two */
    wr_ort *ort;
    wr_arena *mem; /* names and specifications */
} predictor;

/* ---- answering ---- */

static int run_graph(const wr_predictor *p, wr_tensor *out, const bool *want, const wr_tensor *in, wr_arena *a,
                     wr_err *err)
{
    return wr_graph_run(((const predictor *)p)->graph, out, want, in, a, err);
}

static int run_ort(const wr_predictor *p, wr_tensor *out, const bool *want, const wr_tensor *in, wr_arena *a,
                   wr_err *err)
{
    return wr_ort_run(((const predictor *)p)->ort, out, want, in, a, err);
}

static void free_predictor(wr_predictor *head)
{
    predictor *p = (predictor *)head;
    wr_graph_free(p->graph);
    wr_ort_free(p->ort);
    wr_onnx_model_free(p->model);
    wr_arena_free(p->mem);
    wr_free(p);
}

static const wr_predictor_ops graph_ops = {.run = run_graph, .free = free_predictor},
                              ort_ops = {.run = run_ort, .free = free_predictor};

/* ---- trials: what golden inputs tell ---- */

typedef struct {
    bool ran, agreed, rows; /* at least one kind ran; all that ran on both agreed; rows stand each on its own */
    wr_err why;             /* of the first that did not run */
    int ndims[64];          /* of outputs, as they came */
    int64_t shape[64][WR_TENSOR_DIMS]; /* -1 where it changes with the rows */
} trial;

enum { OUTPUTS_MAX = 64 };

static int run_one(const predictor *p, wr_tensor *out, const wr_tensor *in, wr_arena *a, wr_err *err)
{
    return p->graph ? wr_graph_run(p->graph, out, NULL, in, a, err) : wr_ort_run(p->ort, out, NULL, in, a, err);
}

static void note_shapes(trial *t, const wr_tensor *many, const wr_tensor *one, size_t nout)
{
    for (size_t i = 0; i < nout && i < OUTPUTS_MAX; i++) {
        t->ndims[i] = many[i].ndims;
        for (int d = 0; d < many[i].ndims; d++)
            t->shape[i][d] =
                one[i].ndims == many[i].ndims && one[i].shape[d] == many[i].shape[d] ? one[i].shape[d] : -1;
    }
}

/* Row i of the answer for many is the answer for row i alone. */
static bool same_row(const wr_tensor *many, const wr_tensor *alone, size_t nout, size_t i, size_t rows)
{
    for (size_t k = 0; k < nout; k++) {
        wr_tensor row = many[k];
        if (row.ndims == 0 || row.shape[0] != (int64_t)rows || alone[k].ndims != row.ndims || alone[k].shape[0] != 1)
            return false;
        row.shape[0] = 1;
        row.count /= rows;
        row.data = (char *)row.data + i * row.count * wr_tensor_type_size(row.type);
        if (!wr_tensor_agree(&row, &alone[k], AGREE)) return false;
    }
    return true;
}

static void try_rows(trial *t, const predictor *p, const wr_tensor *many, const wr_tensor *in, size_t rows, wr_arena *a)
{
    const wr_onnx_model *m = p->model;
    wr_tensor *row = wr_arena_calloc(a, m->nin + m->nout + 1, sizeof *row), *alone = row ? row + m->nin : NULL;
    for (size_t i = 0; row && i < TRIAL_ROWS; i++) {
        wr_onnx_golden_row(row, in, m, i);
        if (run_one(p, alone, row, a, NULL) < 0 || !same_row(many, alone, m->nout, i, rows)) t->rows = false;
        if (i == 0 && !t->ran) note_shapes(t, many, alone, m->nout);
    }
}

/* Whom to agree with: the library, whose answers are noted when there is where; or what it answered before; or nobody. */
typedef struct {
    const wr_ort *ort;
    wr_onnx_answers *answers;
} others;

static int ask_others(wr_tensor *out, const others *o, const wr_onnx_model *m, wr_golden_kind kind, const wr_tensor *in,
                      wr_arena *a)
{
    char inputs[WR_SHA256_HEX];
    if (o->answers) wr_onnx_answers_inputs(inputs, in, m->nin);
    if (!o->ort) return wr_onnx_answers_of(out, m->nout, o->answers, kind, inputs);
    int rc = wr_ort_run(o->ort, out, NULL, in, a, NULL);
    if (o->answers) wr_onnx_answers_note(o->answers, kind, inputs, rc < 0, out, m->nout);
    return rc;
}

/* One kind of golden input. */
static void try_kind(trial *t, const predictor *p, const others *o, wr_golden_kind kind)
{
    bool other = o->ort || o->answers;
    const wr_onnx_model *m = p->model;
    size_t rows = kind == WR_GOLDEN_TREES ? TREES_ROWS : TRIAL_ROWS;
    wr_err err = {.code = WEIR_ENOMEM};
    WR_AUTOARENA wr_arena *a = wr_arena_new(TRIAL_MEMORY);
    wr_tensor *in = a ? wr_arena_calloc(a, m->nin + 2 * m->nout + 1, sizeof *in) : NULL, *out = in ? in + m->nin : NULL,
              *theirs = in ? out + m->nout : NULL;
    int made = in ? wr_onnx_golden(in, m, rows, kind, a, &err) : WEIR_ENOMEM, rc = made;
    if (rc == 0) rc = run_one(p, out, in, a, &err);
    int other_rc = made == 0 && other ? ask_others(theirs, o, m, kind, in, a) : rc;
    if ((rc == 0) != (other_rc == 0)) t->agreed = false; /* both refuse: they agree */
    if (!o->ort && other_rc == WEIR_ENOTFOUND && made == 0 && other) t->agreed = false; /* nothing was kept of it */
    for (size_t i = 0; rc == 0 && other && other_rc == 0 && i < m->nout; i++)
        if (!wr_tensor_agree(&out[i], &theirs[i], AGREE)) t->agreed = false;
    if (rc < 0) {
        if (t->why.code == 0) t->why = err;
        return;
    }
    try_rows(t, p, out, in, rows, a);
    t->ran = true;
}

/* The model's own test data beside it (ONNX's layout: test_data_set_0/input_0.pb, output_0.pb), where there are some.
 */
static size_t read_set(wr_tensor *to, size_t most, const wr_onnx_model *m, int set, const char *what, wr_arena *a)
{
    size_t n = 0;
    for (; n < most; n++) {
        wr_buf b;
        wr_buf_init(&b, 0);
        char *path = wr_arena_printf(a, "%s/test_data_set_%d/%s_%zu.pb", m->dir, set, what, n);
        bool there = path && wr_file_exists(path) && wr_file_read(&b, path, SET_BYTES, NULL) == 0;
        wr_str bytes = there ? wr_arena_str(a, wr_buf_view(&b)) : (wr_str){0};
        wr_buf_fini(&b);
        if (!bytes.p || wr_onnx_tensor_read(&to[n], bytes, a, NULL) < 0) break;
    }
    return n;
}

static bool fits(const wr_tensor *in, const wr_onnx_model *m)
{
    for (size_t i = 0; i < m->nin; i++) {
        if (in[i].type != m->in[i].type || (m->in[i].shaped && in[i].ndims != m->in[i].ndims)) return false;
        for (int d = 0; m->in[i].shaped && d < in[i].ndims; d++)
            if (m->in[i].shape[d] >= 0 && m->in[i].shape[d] != in[i].shape[d]) return false;
    }
    return true;
}

/* false: there is none. What ours answers must be what stands there. */
static bool try_set(trial *t, const predictor *p, int set)
{
    const wr_onnx_model *m = p->model;
    WR_AUTOARENA wr_arena *a = wr_arena_new(TRIAL_MEMORY);
    wr_tensor *in = a ? wr_arena_calloc(a, m->nin + 2 * m->nout + 1, sizeof *in) : NULL, *out = in ? in + m->nin : NULL;
    if (!in || read_set(in, m->nin, m, set, "input", a) < m->nin || m->nin == 0 || !fits(in, m)) return false;
    wr_tensor *theirs = out + m->nout;
    if (read_set(theirs, m->nout, m, set, "output", a) < m->nout) return false;
    if (run_one(p, out, in, a, NULL) < 0) t->agreed = false;
    for (size_t i = 0; t->agreed && i < m->nout; i++)
        if (!wr_tensor_agree(&out[i], &theirs[i], AGREE)) t->agreed = false;
    return true;
}

static void try_all(trial *t, const predictor *p, const wr_ort *ort, wr_onnx_answers *answers)
{
    const others o = {ort, answers};
    *t = (trial){.agreed = true, .rows = true};
    for (wr_golden_kind k = WR_GOLDEN_PLAIN; k < WR_GOLDEN_KINDS; k++)
        if (wr_onnx_golden_fits(p->model, k) && (p->graph || !t->ran)) try_kind(t, p, &o, k); /* big models: once */
    for (int set = 0; p->graph && p->model->dir && set < SETS && try_set(t, p, set); set++) {}
    if (!t->ran) t->rows = false;
}

/* ---- choosing ---- */

int wr_onnx_executor_parse(wr_onnx_executor *out, wr_str s, wr_err *err)
{
    static const struct {
        const char *name;
        wr_onnx_executor e;
    } names[] = {{"", WR_ONNX_AUTO}, {"auto", WR_ONNX_AUTO}, {"weir", WR_ONNX_WEIR}, {"onnxruntime", WR_ONNX_ORT}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!wr_str_is(s, names[i].name)) continue;
        *out = names[i].e;
        return 0;
    }
    wr_err_set(err, WEIR_EINVAL, "\"%.*s\" is no executor of ONNX models", WR_STR_FMT(wr_str_fit(s, 60)));
    return wr_err_hint(err, WEIR_EINVAL, "weir, onnxruntime or auto");
}

static int neither(wr_err *err, const wr_err *ours, const wr_err *theirs)
{
    int rc = ours->code == WEIR_EUNSUPPORTED && theirs->code == WEIR_EUNAVAILABLE ? WEIR_EUNSUPPORTED
             : theirs->code == WEIR_EUNAVAILABLE                                  ? ours->code
                                                                                  : theirs->code;
    wr_err_set(err, rc, "no executor for this ONNX model");
    wr_err_detail(err, rc, "%.300s; %.120s%s%.180s", ours->msg, theirs->msg, theirs->detail[0] ? ": " : "",
                  theirs->detail);
    return wr_err_hint(err, rc, "%s",
                       theirs->hint[0] ? theirs->hint : "docs/onnx.md lists the ops of Weir's own executor");
}

/* Nodes of trees have hit rates, but exporters write the same for all. */
static const char no_covers[] =
    "an ONNX file does not say how many rows passed the nodes of a tree; serve the file of XGBoost or LightGBM it "
    "was made from";

static int keep_graph(predictor *p, trial *t, const char *why)
{
    wr_debug("ONNX model \"%.*s\": Weir's own executor (%s)", WR_STR_FMT(wr_str_fit(p->model->graph_name, 100)), why);
    p->head.ops = &graph_ops;
    p->head.platform = "weir_onnx";
    p->head.no_explain = no_covers;
    p->head.rows = p->head.steady = t->rows;
    p->head.memory = p->model->bytes.n + wr_graph_memory(p->graph);
    return 0;
}

static int keep_ort(predictor *p, trial *t, const char *why)
{
    wr_debug("ONNX model \"%.*s\": ONNX Runtime (%.300s)", WR_STR_FMT(wr_str_fit(p->model->graph_name, 100)), why);
    wr_graph_free(p->graph);
    p->graph = NULL;
    try_all(t, p, NULL, NULL);
    p->head.ops = &ort_ops;
    p->head.platform = "onnxruntime_onnx";
    p->head.no_explain = no_covers;
    p->head.rows = t->rows;
    p->head.memory = p->model->bytes.n * 2;
    return 0;
}

/* Answers that ONNX Runtime gave before, to the same inputs, are as good as asking it; without them it is not loaded for nothing. */
static bool agreed_before(predictor *p, trial *t)
{
    wr_onnx_answers *r;
    if (wr_onnx_answers_load(&r, p->model, NULL) < 0) return false;
    try_all(t, p, NULL, r);
    wr_onnx_answers_free(r);
    return t->ran && t->agreed;
}

static bool agrees(predictor *p, trial *t)
{
    wr_onnx_answers *r = p->ort ? wr_onnx_answers_new() : NULL;
    try_all(t, p, p->ort, r);
    bool good = t->ran && t->agreed;
    if (good && r) wr_onnx_answers_save(r, p->model);
    wr_onnx_answers_free(r);
    return good;
}

/* Ours when it can and agrees with theirs; theirs otherwise. */
static int choose(predictor *p, trial *t, wr_onnx_executor executor, wr_err *err)
{
    wr_err ours = {0}, theirs = {0};
    int rc = executor == WR_ONNX_ORT ? WEIR_EUNSUPPORTED : wr_graph_new(&p->graph, p->model, 0, &ours);
    if (rc < 0 && executor == WR_ONNX_WEIR) {
        if (err) *err = ours;
        return rc;
    }
    if (rc == 0 && executor == WR_ONNX_WEIR) {
        try_all(t, p, NULL, NULL);
        return keep_graph(p, t, "forced");
    }
    if (rc == WEIR_ENOMEM || rc == WEIR_ELIMIT) {
        if (err) *err = ours;
        return rc;
    }
    if (rc == 0 && agreed_before(p, t)) return keep_graph(p, t, "it agrees with what ONNX Runtime answered before");
    int other = wr_ort_open(&p->ort, p->model, &theirs);
    if (other < 0 && executor == WR_ONNX_ORT) {
        if (err) *err = theirs;
        return other;
    }
    if (rc < 0)
        return other < 0 ? neither(err, &ours, &theirs) : keep_ort(p, t, executor == WR_ONNX_ORT ? "forced" : ours.msg);
    if (agrees(p, t)) {
        wr_ort_free(p->ort);
        p->ort = NULL;
        return keep_graph(p, t, other < 0 ? theirs.msg : "it agrees with ONNX Runtime");
    }
    if (other < 0 && t->ran)
        wr_err_set(&t->why, WEIR_EUNSUPPORTED, "the model's test data differ from the answers of Weir's own executor");
    if (other < 0) return neither(err, &t->why, &theirs);
    return keep_ort(p, t, t->ran ? "its answers or the model's test data differ from our own answers" : t->why.msg);
}

/* ---- specifications ---- */

/* The classifier behind an output: through what only shapes or scales its scores. */
static const wr_onnx_node *maker(const wr_onnx_model *m, wr_str name)
{
    static const char *const through[] = {"ZipMap", "Normalizer", "Identity", "Cast"};
    for (size_t i = m->nnodes; i-- > 0;) {
        const wr_onnx_node *n = &m->nodes[i];
        for (size_t k = 0; k < n->nout; k++) {
            if (!wr_str_eq(n->out[k], name)) continue;
            if (wr_onnx_attr_find(n, "classlabels_strings") || wr_onnx_attr_find(n, "classlabels_int64s") ||
                wr_onnx_attr_find(n, "classlabels_ints"))
                return k == 0 && !wr_str_is(n->op, "ZipMap") ? NULL : n;
            bool passes = false;
            for (size_t j = 0; j < sizeof through / sizeof *through; j++)
                passes = passes || wr_str_is(n->op, through[j]);
            if (!passes || n->nin == 0) return NULL;
            name = n->in[0];
            break;
        }
    }
    return NULL;
}

static int labels(wr_tensor_spec *to, const wr_onnx_model *m, wr_arena *a)
{
    static const char *const lists[] = {"classlabels_strings", "classlabels_int64s", "classlabels_ints"};
    const wr_onnx_node *n = maker(m, wr_str_of(to->name));
    const wr_onnx_attr *l = NULL;
    for (size_t i = 0; n && i < 3 && (!l || l->n == 0); i++) l = wr_onnx_attr_find(n, lists[i]);
    if (!l || l->n == 0 || (l->type != WR_ONNX_ATTR_STRINGS && l->type != WR_ONNX_ATTR_INTS)) return 0;
    char **text = wr_arena_calloc(a, l->n, sizeof *text);
    if (!text) return WEIR_ENOMEM;
    for (size_t i = 0; i < l->n; i++) {
        text[i] = l->type == WR_ONNX_ATTR_INTS ? wr_arena_printf(a, "%lld", (long long)l->ints[i])
                                               : wr_arena_strndup(a, l->strings[i].p, l->strings[i].n);
        if (!text[i]) return WEIR_ENOMEM;
    }
    to->labels = (const char *const *)text;
    to->nlabels = l->n;
    return 0;
}

static int spec_of(wr_tensor_spec *to, const wr_onnx_value *v, wr_arena *a, wr_err *err)
{
    if (v->kind == WR_ONNX_OTHER || (v->kind == WR_ONNX_TENSOR && v->type == WR_TENSOR_NONE))
        return wr_err_set(err, WEIR_EUNSUPPORTED, "\"%.*s\" of an ONNX model is no tensor of a type that is supported",
                          WR_STR_FMT(wr_str_fit(v->name, 100)));
    *to = (wr_tensor_spec){
        .name = wr_arena_strndup(a, v->name.p, v->name.n), .type = v->type, .ndims = v->shaped ? v->ndims : 1};
    for (int d = 0; d < WR_TENSOR_DIMS; d++) to->shape[d] = v->shaped && d < v->ndims ? v->shape[d] : -1;
    if (v->kind == WR_ONNX_MAPS) to->ndims = 2;
    return to->name ? 0 : wr_err_nomem(err);
}

/* What the file leaves open, or says wrongly (exporters do), is as the trial had it. */
static void fill_shape(wr_tensor_spec *to, const wr_onnx_value *v, const trial *t, size_t i)
{
    if (!t->ran || i >= OUTPUTS_MAX) return;
    if (!v->shaped || v->kind == WR_ONNX_MAPS) to->ndims = t->ndims[i];
    if (to->ndims != t->ndims[i]) return;
    for (int d = 0; d < to->ndims; d++)
        if (to->shape[d] < 0 || t->shape[i][d] >= 0) to->shape[d] = t->shape[i][d];
}

static int specifications(predictor *p, const trial *t, wr_err *err)
{
    const wr_onnx_model *m = p->model;
    wr_tensor_spec *in = wr_arena_calloc(p->mem, m->nin + 1, sizeof *in),
                   *out = wr_arena_calloc(p->mem, m->nout + 1, sizeof *out);
    if (!in || !out) return wr_err_nomem(err);
    bool batch = m->nin > 0;
    for (size_t i = 0; i < m->nin; i++) {
        WR_TRY(spec_of(&in[i], &m->in[i], p->mem, err));
        if (in[i].ndims == 0 || in[i].shape[0] >= 0) batch = false;
        if (!m->in[i].shaped) batch = false;
    }
    for (size_t i = 0; i < m->nout; i++) {
        WR_TRY(spec_of(&out[i], &m->out[i], p->mem, err));
        fill_shape(&out[i], &m->out[i], t, i);
        if (out[i].ndims == 0 || out[i].shape[0] >= 0) batch = false;
        if (labels(&out[i], m, p->mem) < 0) return wr_err_nomem(err);
    }
    p->head.in = in;
    p->head.out = out;
    p->head.nin = m->nin;
    p->head.nout = m->nout;
    p->head.rows = p->head.rows && batch;
    return 0;
}

/* Many inputs of one column each are a table: their names are the features'. */
static int features(predictor *p, wr_err *err)
{
    size_t n = p->head.nin;
    if (n < 2 || !p->head.rows) return 0;
    const char **names = wr_arena_calloc(p->mem, n, sizeof *names);
    if (!names) return wr_err_nomem(err);
    for (size_t i = 0; i < n; i++) {
        const wr_tensor_spec *s = &p->head.in[i];
        if (s->ndims != 2 || s->shape[1] != 1) return 0;
        names[i] = s->name;
    }
    p->head.features = names;
    p->head.nfeatures = n;
    return 0;
}

static int fill_predictor(predictor *p, wr_onnx_executor executor, wr_err *err)
{
    WR_AUTOFREE trial *t = wr_calloc(1, sizeof *t);
    p->mem = wr_arena_new(0);
    if (!p->mem || !t) return wr_err_nomem(err);
    WR_TRY(choose(p, t, executor, err));
    WR_TRY(specifications(p, t, err));
    return features(p, err);
}

static _Thread_local wr_onnx_executor preferred;

wr_onnx_executor wr_onnx_prefer(wr_onnx_executor e)
{
    wr_onnx_executor before = preferred;
    preferred = e;
    return before;
}

int wr_onnx_open(wr_predictor **out, const char *path, wr_onnx_executor executor, wr_err *err)
{
    const char *forced = getenv("WEIR_ONNX_EXECUTOR");
    if (executor == WR_ONNX_AUTO) executor = preferred;
    if (executor == WR_ONNX_AUTO && forced) WR_TRY(wr_onnx_executor_parse(&executor, wr_str_of(forced), err));
    predictor *p = wr_calloc(1, sizeof *p);
    if (!p) return wr_err_nomem(err);
    p->head.ops = &graph_ops;
    int rc = wr_onnx_model_open(&p->model, path, err);
    if (rc == 0) {
        rc = fill_predictor(p, executor, err);
        if (rc < 0) wr_err_wrap(err, rc, "\"%s\"", path);
    }
    if (rc < 0) {
        free_predictor(&p->head);
        return rc;
    }
    *out = &p->head;
    return 0;
}

/* ---- the format ---- */

/* A message of Protocol Buffers has no mark of its own: the name decides. */
static bool knows(wr_str name, wr_str head) { return wr_str_ends(name, ".onnx") && head.n > 1; }

static int open_auto(wr_predictor **out, const char *path, wr_err *err)
{
    return wr_onnx_open(out, path, WR_ONNX_AUTO, err);
}

const wr_format wr_format_onnx = {
    .name = "onnx", .summary = "ONNX, by Weir's own executor or ONNX Runtime", .knows = knows, .open = open_auto};
