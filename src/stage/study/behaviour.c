/* SPDX-License-Identifier: Apache-2.0 */
/* behaviour.c - checks 13 to 15: what it does with rows a little or very different, and whether there is a way
 * back.
 *
 * Bad inputs are asked in a child process: what would crash the server crashes that child, and is told. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/rng.h"
#include "codec/json.h"
#include "stage/deploy/materialize.h"
#include "stage/study/study_inside.h"
#include "track/registry_policy.h"

/* ---- 13 behaviour ---- */

static wr_str report_of(const wr_feasibility_work *w, const char *kind)
{
    char key[100];
    snprintf(key, sizeof key, WR_REPORT_TAG "%s", kind);
    for (size_t i = 0; w->registered && i < w->version.ntags; i++)
        if (wr_str_is(w->version.tags[i].key, key)) return w->version.tags[i].value;
    return (wr_str){NULL, 0};
}

/* 1 the gate passed, 0 it said no, -1 there is none. */
static int gate_of(wr_feasibility_work *w, wr_feasibility_result *r)
{
    WR_AUTOBUF wr_buf text;
    WR_AUTOJSON wr_json j = {0};
    wr_objects *o;
    wr_str id = report_of(w, "evaluation");
    wr_buf_init(&text, WR_LIMIT_FILE_CONFIG + 1);
    if (!id.n || wr_project_objects(&o, w->p, NULL) < 0) return -1;
    if (wr_objects_get(o, id.p, &text, WR_LIMIT_FILE_CONFIG, NULL) < 0 ||
        wr_json_parse(&j, wr_buf_view(&text), "evaluation", NULL) < 0)
        return -1;
    yyjson_val *gate = yyjson_obj_get(j.root, "gate"), *rules = yyjson_obj_get(gate, "rules"), *rule;
    size_t i, max;
    if (!yyjson_is_bool(yyjson_obj_get(gate, "passed"))) return -1;
    yyjson_arr_foreach(rules, i, max, rule)
    {
        const char *said = yyjson_get_str(yyjson_obj_get(rule, "rule")),
                   *state = yyjson_get_str(yyjson_obj_get(rule, "state"));
        if (said && state) wr_check_text(w, r, wr_arena_printf(w->a, "gate: %.100s", said), "%s", state);
    }
    return yyjson_get_bool(yyjson_obj_get(gate, "passed"));
}

static double deviation(const wr_tensor *t, size_t at, size_t width)
{
    double sum = 0, squares = 0, n = 0;
    for (size_t i = at; i < t->count; i += width) {
        double v = wr_tensor_f64(t, i);
        if (!isfinite(v)) continue;
        sum += v;
        squares += v * v;
        n++;
    }
    return n > 1 ? sqrt(fmax(0, squares / n - sum / n * (sum / n))) : 0;
}

static void add_noise(wr_tensor *t, size_t rows, double share, uint64_t seed)
{
    wr_rng rng;
    size_t width = rows ? t->count / rows : t->count;
    wr_rng_init(&rng, seed);
    if ((t->type != WR_TENSOR_FP32 && t->type != WR_TENSOR_FP64) || !width) return;
    for (size_t k = 0; k < width; k++) {
        double s = share * deviation(t, k, width);
        for (size_t i = k; i < t->count; i += width) {
            double noise = s * wr_rng_normal(&rng);
            if (t->type == WR_TENSOR_FP32) ((float *)t->data)[i] += (float)noise;
            else ((double *)t->data)[i] += noise;
        }
    }
}

typedef struct {
    wr_feasibility_gap again, order, noise;
    bool numbers;
} behaviour;

/* The rows from the last to the first: an answer may not look at its neighbours. */
static int reversed(wr_feasibility_work *w, behaviour *b, const wr_infer_answer *whole, wr_arena *a, wr_err *err)
{
    wr_tensor *in, *one = wr_arena_alloc(a, (w->nin + 1) * sizeof *one);
    wr_infer_answer turned;
    WR_TRY(wr_feasibility_copy(&in, w, w->in, a, err));
    if (!one) return wr_err_nomem(err);
    for (size_t k = 0; k < w->nin; k++) {
        size_t each = in[k].count / w->nrows * wr_tensor_type_size(in[k].type);
        for (size_t i = 0; i < w->nrows; i++)
            memcpy((char *)in[k].data + i * each, (char *)w->in[k].data + (w->nrows - 1 - i) * each, each);
    }
    WR_TRY(wr_feasibility_ask(&turned, w, in, a, err));
    for (size_t i = 0; i < w->nrows; i++) {
        wr_infer_answer row = *whole;
        row.rows = 1;
        row.out = wr_arena_dup(a, whole->out, whole->nout * sizeof *whole->out);
        if (!row.out) return wr_err_nomem(err);
        for (size_t k = 0; k < row.nout; k++) {
            size_t each = whole->out[k].count / w->nrows;
            row.out[k].count = each;
            row.out[k].data = (char *)whole->out[k].data + i * each * wr_tensor_type_size(whole->out[k].type);
        }
        wr_feasibility_compare(&b->order, &turned, w->nrows - 1 - i, &row);
    }
    return 0;
}

static int try_behaviour(wr_feasibility_work *w, behaviour *b, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_infer_answer whole, again, noisy;
    wr_tensor *in;
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_feasibility_ask(&whole, w, w->in, a, err));
    WR_TRY(wr_feasibility_ask(&again, w, w->in, a, err));
    wr_feasibility_compare(&b->again, &whole, 0, &again);
    if (w->m->rows && w->nrows > 1) WR_TRY(reversed(w, b, &whole, a, err));
    WR_TRY(wr_feasibility_copy(&in, w, w->in, a, err));
    for (size_t i = 0; i < w->nin; i++) {
        b->numbers |= in[i].type == WR_TENSOR_FP32 || in[i].type == WR_TENSOR_FP64;
        add_noise(&in[i], w->m->rows ? w->nrows : 1, 0.01, w->opt->seed + i);
    }
    if (!b->numbers) return 0;
    WR_TRY(wr_feasibility_ask(&noisy, w, in, a, err));
    wr_feasibility_compare(&b->noise, &whole, 0, &noisy);
    return 0;
}

int wr_check_behaviour(wr_feasibility_work *w, wr_feasibility_result *r, wr_err *err)
{
    behaviour b = {0};
    WR_TRY(try_behaviour(w, &b, err));
    int gate = gate_of(w, r);
    double flips = b.noise.rows ? (double)b.noise.flips / (double)b.noise.rows : 0;
    bool unstable = b.again.relative > 0 || b.again.flips, ordered = b.order.relative > w->t->relative || b.order.flips;
    wr_check_number(w, r, "asked twice, largest relative difference", b.again.relative, NULL);
    wr_check_number(w, r, "rows in reverse, largest relative difference", b.order.relative, NULL);
    if (b.numbers) wr_check_number(w, r, "share of classes that noise of 1 % changes", flips, NULL);
    else wr_check_text(w, r, "noise", "no inputs that are fractions");
    if (gate == 0) {
        wr_check_hint(w, r, "weir model evaluate %.60s --gate FILE shows which rule; train it again",
                      wr_feasibility_called(w));
        return wr_check_says(w, r, WR_CHECK_FAIL, "the gate of its evaluation said no");
    }
    if (unstable || ordered) wr_check_hint(w, r, "take what is random, or reads other rows, out of its graph");
    if (unstable) return wr_check_says(w, r, WR_CHECK_FAIL, "asked twice it answers two things");
    if (ordered) return wr_check_says(w, r, WR_CHECK_FAIL, "an answer depends on the rows beside it");
    if (flips > w->t->noise)
        return wr_check_says(w, r, WR_CHECK_FAIL,
                             "noise of 1 %% changes the class of %.1f %% of the rows, over %.1f %%", 100 * flips,
                             100 * w->t->noise);
    if (w->registered)
        wr_check_hint(
            w, r,
            "weir model evaluate %.60s --gate FILE --report REPORT; weir model report %.60s %lld evaluation REPORT",
            wr_feasibility_called(w), w->report->model, (long long)w->report->version);
    else wr_check_hint(w, r, "register it, and keep its evaluation: weir model report NAME VERSION evaluation FILE");
    if (gate < 0)
        return wr_check_says(w, r, WR_CHECK_WARN, "stable; %.1f %% flip with noise; it has no evaluation with a gate",
                             100 * flips);
    return wr_check_says(w, r, WR_CHECK_PASS, "the gate passed; stable; %.1f %% flip with noise", 100 * flips);
}

/* ---- 14 degraded inputs ---- */

typedef struct {
    wr_feasibility_work *w;
    wr_tensor *in;
    size_t nin;
    wr_arena *a;
    bool fits; /* does it make sense for this model? */
} probe;

static bool is_time(const probe *p, const wr_tensor *t) { return p->w->view && wr_str_is(t->name, p->w->view->time); }

static void numbers(probe *p, double v)
{
    p->fits = false;
    for (size_t i = 0; i < p->nin; i++) {
        wr_tensor *t = &p->in[i];
        p->fits |= t->type == WR_TENSOR_FP32 || t->type == WR_TENSOR_FP64;
        for (size_t k = 0; k < t->count; k++)
            if (t->type == WR_TENSOR_FP32) ((float *)t->data)[k] = (float)v;
            else if (t->type == WR_TENSOR_FP64) ((double *)t->data)[k] = v;
    }
}

static void texts(probe *p, wr_str s)
{
    p->fits = false;
    for (size_t i = 0; i < p->nin; i++) {
        wr_tensor *t = &p->in[i];
        if (t->type != WR_TENSOR_BYTES || is_time(p, t)) continue;
        p->fits = true;
        for (size_t k = 0; k < t->count; k++) ((wr_str *)t->data)[k] = s;
    }
}

static void put_nothing(probe *p) { p->fits = true; }
static void put_nan(probe *p) { numbers(p, NAN); }
static void put_inf(probe *p) { numbers(p, INFINITY); }
static void put_huge(probe *p) { numbers(p, -3e38); }
static void put_unknown(probe *p) { texts(p, WR_STR("\xff\xfe never seen")); }
static void put_missing(probe *p) { texts(p, (wr_str){NULL, 0}); }

static void put_greatest(probe *p)
{
    p->fits = false;
    for (size_t i = 0; i < p->nin; i++) {
        wr_tensor *t = &p->in[i];
        if (t->type == WR_TENSOR_BYTES || t->type == WR_TENSOR_BOOL || t->type >= WR_TENSOR_FP16) continue;
        p->fits = true;
        memset(t->data, 0x7f, t->count * wr_tensor_type_size(t->type));
    }
}

static void put_empty(probe *p)
{
    p->fits = p->w->m->rows;
    for (size_t i = 0; p->fits && i < p->nin; i++) {
        p->in[i].shape[0] = 0;
        p->in[i].count = 0;
    }
}

static bool may_be_left_out(const probe *p, wr_str name)
{
    for (size_t k = 0; k < p->w->m->nin; k++)
        if (wr_str_is(name, p->w->m->in[k].name)) return p->w->m->in[k].optional;
    return false;
}

/* The last one that is needed. */
static void put_fewer(probe *p)
{
    size_t i = p->nin;
    while (i > 0 && may_be_left_out(p, p->in[i - 1].name)) i--;
    p->fits = i > 0;
    for (; i > 0 && i < p->nin; i++) p->in[i - 1] = p->in[i];
    p->nin -= p->fits;
}

static void put_shape(probe *p)
{
    wr_tensor *t = &p->in[0];
    if (t->ndims < WR_TENSOR_DIMS) t->shape[t->ndims++] = 1;
    t->ndims = t->ndims > 2 ? t->ndims : 3;
    t->shape[2] = 1;
}

static void put_type(probe *p)
{
    wr_tensor *t = &p->in[0];
    bool text = t->type == WR_TENSOR_BYTES;
    t->type = text ? WR_TENSOR_FP64 : WR_TENSOR_BYTES;
    (void)wr_tensor_alloc(t, p->a, NULL);
    for (size_t i = 0; t->data && i < t->count; i++)
        if (text) ((double *)t->data)[i] = 1;
        else ((wr_str *)t->data)[i] = WR_STR("one");
}

enum { LARGE = 64 << 20 };

/* A text of 64 MB, or so many rows. */
static void put_large(probe *p)
{
    size_t each = 0, rows = 0;
    char *big = wr_arena_alloc(p->a, LARGE);
    p->fits = false;
    if (!big) return;
    memset(big, 'x', LARGE);
    for (size_t i = 0; i < p->nin && !p->fits; i++) {
        if (p->in[i].type != WR_TENSOR_BYTES || is_time(p, &p->in[i]) || !p->in[i].count) continue;
        ((wr_str *)p->in[i].data)[0] = (wr_str){big, LARGE};
        p->fits = true;
    }
    if (p->fits || !p->w->m->rows) return;
    for (size_t i = 0; i < p->nin; i++) each += p->in[i].count / p->w->nrows * wr_tensor_type_size(p->in[i].type);
    rows = each ? LARGE / each : 0;
    if (rows > WR_LIMIT_ROWS_INFER) rows = WR_LIMIT_ROWS_INFER;
    for (size_t i = 0; i < p->nin && rows; i++) {
        wr_tensor *t = &p->in[i], was = *t;
        size_t row = was.count / p->w->nrows, size = wr_tensor_type_size(t->type);
        t->shape[0] = (int64_t)rows;
        t->count = rows * row;
        t->data = wr_arena_alloc(p->a, t->count * size + 1);
        for (size_t k = 0; t->data && k < rows; k++)
            memcpy((char *)t->data + k * row * size, (char *)was.data + k % p->w->nrows * row * size, row * size);
        p->fits = t->data;
    }
}

static const struct {
    const char *name;
    void (*make)(probe *p);
    enum { EITHER, ANSWER, REFUSE } wanted;
} probes[] = {
    {"the rows as they are", put_nothing, ANSWER},
    {"NaN", put_nan, EITHER},
    {"infinite", put_inf, EITHER},
    {"huge numbers", put_huge, EITHER},
    {"greatest whole numbers", put_greatest, EITHER},
    {"unknown category", put_unknown, EITHER},
    {"missing texts", put_missing, EITHER},
    {"empty batch", put_empty, EITHER},
    {"an input is missing", put_fewer, REFUSE},
    {"wrong shape", put_shape, REFUSE},
    {"wrong type", put_type, REFUSE},
    {"64 MB", put_large, EITHER},
};
enum { PROBES = sizeof probes / sizeof *probes, PROBE_SECONDS = 30, TEXT = 160 };

typedef struct {
    int rc, code; /* rc 1: does not fit, 2: answered with numbers that are none */
    char text[TEXT];
} outcome;

static bool finite_answer(const wr_infer_answer *a)
{
    for (size_t k = 0; k < a->nout; k++)
        for (size_t i = 0; i < a->out[k].count; i++) {
            const wr_tensor *t = &a->out[k];
            if (t->type == WR_TENSOR_FP32 && !isfinite(((const float *)t->data)[i])) return false;
            if (t->type == WR_TENSOR_FP64 && !isfinite(((const double *)t->data)[i])) return false;
        }
    return true;
}

static void run_probe(outcome *o, wr_feasibility_work *w, size_t n)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    probe p = {.w = w, .nin = w->nin, .a = a, .fits = true};
    wr_infer_answer answer;
    wr_err why = {0};
    *o = (outcome){0};
    if (!a || wr_feasibility_copy(&p.in, w, w->in, a, &why) < 0) {
        o->rc = WEIR_ENOMEM;
        return;
    }
    probes[n].make(&p);
    if (!p.fits) {
        o->rc = 1;
        return;
    }
    wr_infer_request q = {.in = p.in, .nin = p.nin};
    o->rc = wr_infer(&answer, w->m, &q, a, &why);
    if (o->rc == 0 && !finite_answer(&answer)) o->rc = 2;
    snprintf(o->text, sizeof o->text, "%.159s", why.msg);
}

static void child(wr_feasibility_work *w, int fd)
{
    alarm(PROBE_SECONDS);
    for (size_t i = 0; i < PROBES; i++) {
        outcome o;
        run_probe(&o, w, i);
        if (write(fd, &o, sizeof o) != (ssize_t)sizeof o) _exit(3);
    }
    _exit(0);
}

/* How many outcomes came; *status is the child's. */
static int ask_child(outcome *all, size_t *n, int *status, wr_feasibility_work *w, wr_err *err)
{
    int ends[2];
    if (pipe(ends) < 0) return wr_err_set(err, WEIR_EIO, "no pipe");
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        close(ends[0]);
        close(ends[1]);
        return wr_err_set(err, WEIR_EUNAVAILABLE, "no process for bad inputs can be started");
    }
    if (pid == 0) {
        close(ends[0]);
        for (int s = 1; s < 32; s++)
            if (s != SIGKILL && s != SIGSTOP) signal(s, SIG_DFL);
        child(w, ends[1]);
    }
    close(ends[1]);
    for (*n = 0; *n < PROBES; ++*n) {
        size_t got = 0;
        ssize_t m = 1;
        while (got < sizeof *all && (m = read(ends[0], (char *)&all[*n] + got, sizeof *all - got)) > 0)
            got += (size_t)m;
        if (got < sizeof *all) break;
    }
    close(ends[0]);
    waitpid(pid, status, 0);
    return 0;
}

static bool defined(int rc)
{
    return rc == WEIR_EINVAL || rc == WEIR_ETYPE || rc == WEIR_ELIMIT || rc == WEIR_EUNSUPPORTED || rc == WEIR_ENO;
}

/* Without any event: what the server answers when its state is lost. */
static int without_events(wr_feasibility_work *w, wr_feasibility_result *r, wr_err *err)
{
    wr_online *empty;
    if (!w->package || !w->source || !w->source->nrows) return 0;
    WR_TRY(wr_online_new(&empty, w->view, err));
    wr_cell *cells = wr_arena_calloc(w->a, w->view->nrequest + 1, sizeof *cells);
    float *num = wr_arena_calloc(w->a, w->view->nfeatures + 1, sizeof *num);
    wr_str *text = wr_arena_calloc(w->a, w->view->nfeatures + 1, sizeof *text);
    double score = NAN;
    if (cells && num && text) {
        for (size_t k = 0; k < w->view->nrequest; k++) {
            const wr_col *c = wr_frame_col(w->source, w->view->request[k]);
            cells[k] = (wr_cell){.num = NAN, .missing = !c || wr_col_missing(c, 0)};
            if (cells[k].missing) continue;
            if (c->type == WR_TEXT) cells[k].text = wr_col_text(c, 0);
            else if (c->type == WR_TS) cells[k].ts = c->i64[0];
            else cells[k].num = wr_col_num(c, 0);
        }
        wr_online_row(empty, cells, num, text);
        score = wr_package_predict_row(w->package, num, text);
    }
    wr_online_free(empty);
    if (wr_arena_failed(w->a)) return wr_err_nomem(err);
    wr_check_text(w, r, "feature state lost", "%s", isfinite(score) ? "answers" : "answers no number");
    return 0;
}

int wr_check_degraded(wr_feasibility_work *w, wr_feasibility_result *r, wr_err *err)
{
    outcome all[PROBES];
    size_t n, tried = 0, odd = 0;
    int status;
    const char *bad = NULL;
    WR_TRY(ask_child(all, &n, &status, w, err));
    for (size_t i = 0; i < n; i++) {
        const outcome *o = &all[i];
        if (o->rc == 1) continue;
        tried++;
        odd += o->rc == 2;
        bool wrong = o->rc < 0 ? !defined(o->rc) || probes[i].wanted == ANSWER : probes[i].wanted == REFUSE;
        if (wrong && !bad)
            bad = wr_arena_printf(w->a, "%s: %s", probes[i].name,
                                  o->rc < 0 ? o->text : "is answered, and should be refused");
        wr_check_text(w, r, probes[i].name, "%s%s",
                      o->rc == 0   ? "answered"
                      : o->rc == 2 ? "answered, with numbers that are none"
                                   : "refused: ",
                      o->rc < 0 ? o->text : "");
    }
    WR_TRY(without_events(w, r, err));
    if (n < PROBES || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        wr_check_hint(w, r, "keep such requests away from it: do not serve it as it is, bound the input in the model");
        return wr_check_says(w, r, WR_CHECK_FAIL, "%s \"%s\"",
                             WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? "no answer within 30 s to"
                                                                                : "crashes on",
                             n < PROBES ? probes[n].name : "the end");
    }
    if (bad) return wr_check_says(w, r, WR_CHECK_FAIL, "%s", bad);
    if (odd)
        return wr_check_says(w, r, WR_CHECK_WARN,
                             "%zu kinds of bad input, no crash; %zu are answered with numbers that are none", tried,
                             odd);
    return wr_check_says(w, r, WR_CHECK_PASS, "%zu kinds of bad input: an answer or a defined error", tried);
}

/* ---- 15 rollback ---- */

static int before(const wr_registered_version **out, const wr_registered_version *all, size_t n,
                  const wr_feasibility_work *w)
{
    *out = NULL;
    for (size_t i = 0; i < n; i++) { /* the one in use, else the one before */
        if (all[i].version == w->version.version) continue;
        for (size_t k = 0; k < all[i].naliases; k++)
            if (wr_str_is(all[i].aliases[k], "champion")) *out = &all[i];
    }
    for (size_t i = 0; !*out && i < n; i++)
        if (all[i].version < w->version.version && (i + 1 == n || all[i + 1].version >= w->version.version))
            *out = &all[i];
    return *out ? 0 : WEIR_ENO;
}

static bool same_inputs(const wr_tensor_spec *a, size_t na, const wr_tensor_spec *b, size_t nb)
{
    if (na != nb) return false;
    for (size_t i = 0; i < na; i++) {
        size_t k = 0;
        while (k < nb && strcmp(a[i].name, b[k].name) != 0) k++;
        if (k == nb || a[i].type != b[k].type || a[i].ndims != b[k].ndims ||
            memcmp(a[i].shape, b[k].shape, (size_t)a[i].ndims * sizeof *a[i].shape) != 0)
            return false;
    }
    return true;
}

static int open_before(wr_feasibility_work *w, const wr_registered_version *v, bool *same, wr_err *err)
{
    if (v->package.n) {
        wr_package *k;
        WR_TRY(wr_package_load(&k, w->p, v->package.p, err));
        *same = w->view && strcmp(wr_package_get(k)->view->hash, w->view->hash) == 0;
        wr_package_free(k);
        return 0;
    }
    wr_predictor *p;
    char folder[WR_SHA256_HEX], *path;
    WR_TRY(wr_materialize(&path, folder, w->a, w->p, wr_registered_version_location(v), err));
    WR_TRY(wr_predictor_open(&p, path, err));
    *same = !w->view && same_inputs(w->m->predictor->in, w->m->predictor->nin, p->in, p->nin);
    wr_predictor_free(p);
    return 0;
}

int wr_check_rollback(wr_feasibility_work *w, wr_feasibility_result *r, wr_err *err)
{
    wr_registered_version *all;
    const wr_registered_version *v;
    wr_track *t;
    size_t n;
    bool same = false;
    wr_err why = {0};
    if (!w->registered) return wr_check_says(w, r, WR_CHECK_SKIP, "not a registered version: there is none before it");
    WR_TRY(wr_project_track(&t, w->p, err));
    WR_TRY(wr_registered_versions_all(&all, &n, w->a, t, w->version.name, err));
    if (before(&v, all, n, w) < 0)
        return wr_check_says(w, r, WR_CHECK_SKIP, "the first version: there is none to go back to");
    int rc = open_before(w, v, &same, &why);
    if (rc == WEIR_ENOMEM) return wr_err_nomem(err);
    wr_check_number(w, r, "version before", (double)v->version, NULL);
    if (rc < 0) {
        wr_check_hint(w, r, "bring its files back (weir backup), or give the alias a version that opens");
        return wr_check_says(w, r, WR_CHECK_FAIL, "version %lld does not open: %s", (long long)v->version, why.msg);
    }
    wr_check_text(w, r, "it takes", "%s", same ? "the same requests" : "other requests");
    if (!same)
        return wr_check_says(w, r, WR_CHECK_FAIL, "version %lld has another %s: its requests would have to change too",
                             (long long)v->version, w->view ? "feature view" : "signature");
    return wr_check_says(w, r, WR_CHECK_PASS, "version %lld opens and takes the same requests%s", (long long)v->version,
                         w->view ? "; its online state is the same" : "");
}
