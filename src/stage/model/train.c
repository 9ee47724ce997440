/* SPDX-License-Identifier: Apache-2.0 */
/* train.c - rows to learner to package. */
#include "stage/model/train.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "calc/metrics.h"
#include "core/view_source.h"
#include "stage/model/table.h"

/* One side of the split: its rows as the learner wants them. */
typedef struct {
    wr_frame *frame;
    float **cols;
    float *label, *weight;
    size_t n;
} part;

typedef struct {
    const wr_train_spec *spec;
    wr_project *project;
    wr_pool *pool;
    wr_run *run;
    wr_arena *arena;
    wr_package_parts parts;
    part train, valid;
    wr_trees_feature *features;
} job;

/* Rows of the table in [from, until) whose label is there and was known by then. */
static int pick(wr_frame **out, const wr_model_table *t, int64_t from, int64_t until, wr_err *err)
{
    WR_AUTOFREE uint32_t *rows = wr_alloc((t->frame->nrows + 1) * sizeof *rows);
    size_t n = 0;
    if (!rows) return wr_err_nomem(err);
    for (size_t i = 0; i < t->frame->nrows; i++) {
        if (t->time_us[i] < from || t->time_us[i] >= until || isnan(t->label[i])) continue;
        if (t->known_us && t->known_us[i] > until) continue;
        rows[n++] = (uint32_t)i;
    }
    return wr_frame_take(out, t->frame, rows, n, err);
}

static int by_text(const void *a, const void *b) { return wr_str_cmp(*(const wr_str *)a, *(const wr_str *)b); }

/* Codes of a category are its texts in the training rows, sorted: independent of row order. */
static int fit_dictionary(wr_map *dict, const wr_frame *f, const char *name, wr_arena *a, wr_err *err)
{
    wr_col *c;
    WR_TRY(wr_frame_need(&c, f, name, WR_TEXT, err));
    bool *seen = wr_arena_calloc(a, c->dict.n + 1, sizeof *seen);
    wr_str *texts = wr_arena_alloc(a, (c->dict.n + 1) * sizeof *texts);
    size_t n = 0;
    if (!seen || !texts) return wr_err_nomem(err);
    for (size_t i = 0; i < c->n; i++)
        if (!wr_col_missing(c, i)) seen[c->code[i]] = true;
    for (size_t k = 0; k < c->dict.n; k++)
        if (seen[k]) texts[n++] = c->dict.at[k].key;
    qsort(texts, n, sizeof *texts, by_text);
    for (size_t k = 0; k < n; k++)
        if (wr_map_put(dict, texts[k], NULL) < 0) return wr_err_nomem(err);
    return 0;
}

static int fit_dictionaries(job *j, wr_err *err)
{
    const wr_train_spec *s = j->spec;
    j->parts.dict = wr_arena_calloc(j->arena, s->nuse + 1, sizeof *j->parts.dict);
    if (!j->parts.dict) return wr_err_nomem(err);
    for (size_t i = 0; i < s->nuse; i++) {
        const wr_view_feature *f = &s->view->features[s->use[i]];
        wr_map_init(&j->parts.dict[i]);
        if (f->category) WR_TRY(fit_dictionary(&j->parts.dict[i], j->train.frame, f->name, j->arena, err));
    }
    return 0;
}

static double weight_of(const wr_train_spec *s, int64_t time_us, int64_t newest_us)
{
    return exp2((double)(time_us - newest_us) / (double)s->half_life_us);
}

static int encode(job *j, part *t, wr_err *err)
{
    const wr_train_spec *s = j->spec;
    wr_col *label, *time;
    t->n = t->frame->nrows;
    t->cols = wr_arena_calloc(j->arena, s->nuse + 1, sizeof *t->cols);
    t->label = wr_arena_alloc(j->arena, (t->n + 1) * sizeof *t->label);
    if (!t->cols || !t->label) return wr_err_nomem(err);
    WR_TRY(wr_package_encode(t->cols, &j->parts, t->frame, j->arena, err));
    WR_TRY(wr_frame_need(&label, t->frame, s->view->label, WR_F64, err));
    for (size_t i = 0; i < t->n; i++) t->label[i] = (float)label->f64[i];
    if (!s->half_life_us) return 0;
    WR_TRY(wr_frame_need(&time, t->frame, s->view->time, WR_TS, err));
    t->weight = wr_arena_alloc(j->arena, (t->n + 1) * sizeof *t->weight);
    if (!t->weight) return wr_err_nomem(err);
    for (size_t i = 0; i < t->n; i++) t->weight[i] = (float)weight_of(s, time->i64[i], time->i64[t->n - 1]);
    return 0;
}

static wr_trees_set set_of(job *j, const part *t, wr_trees_feature *features)
{
    const wr_train_spec *s = j->spec;
    for (size_t i = 0; i < s->nuse; i++) {
        const wr_view_feature *f = &s->view->features[s->use[i]];
        features[i] = (wr_trees_feature){f->name, f->category, t->cols[i], (uint32_t)j->parts.dict[i].n};
    }
    return (wr_trees_set){t->n, s->nuse, features, t->label, t->weight};
}

/* The rows of training and validation, encoded; the table itself is given back before training starts. */
static int prepare(job *j, wr_err *err)
{
    const wr_train_spec *s = j->spec;
    wr_model_table table;
    bool validate = s->valid_from_us < s->valid_until_us;
    if (validate && s->valid_from_us < s->train_until_us && s->train_from_us < s->valid_until_us) {
        wr_err_set(err, WEIR_EINVAL, "the time ranges of training and validation overlap");
        return wr_err_hint(err, WEIR_EINVAL, "a model must not be judged on rows that it has learned from");
    }
    int64_t last = validate && s->valid_until_us > s->train_until_us ? s->valid_until_us : s->train_until_us;
    int64_t first = validate && s->valid_from_us < s->train_from_us ? s->valid_from_us : s->train_from_us;
    wr_model_table_opt opt = {.rows = s->rows, .from_us = first, .until_us = last, .use = s->use, .nuse = s->nuse};
    WR_TRY(wr_model_table_read(&table, j->project, s->view, &opt, j->run, err));
    int rc = pick(&j->train.frame, &table, s->train_from_us, s->train_until_us, err);
    if (rc == 0 && validate) rc = pick(&j->valid.frame, &table, s->valid_from_us, s->valid_until_us, err);
    wr_model_table_free(&table);
    WR_TRY(rc);
    if (j->train.frame->nrows == 0)
        return wr_err_set(err, WEIR_EINVAL, "no labelled row between train.from and train.until");
    if (validate && j->valid.frame->nrows == 0)
        return wr_err_set(err, WEIR_EINVAL, "no labelled row between valid.from and valid.until");
    WR_TRY(fit_dictionaries(j, err));
    WR_TRY(encode(j, &j->train, err));
    return validate ? encode(j, &j->valid, err) : 0;
}

static int metrics_of(double *out, job *j, const part *t, wr_err *err)
{
    size_t n;
    const wr_metric *m = wr_metrics(&n);
    WR_AUTOFREE double *p = wr_alloc((t->n + 1) * sizeof *p);
    WR_AUTOFREE uint8_t *y = wr_alloc(t->n + 1);
    if (!p || !y) return wr_err_nomem(err);
    WR_TRY(wr_trees_predict_columns(j->parts.trees, (const float *const *)t->cols, t->n, p, j->pool, err));
    for (size_t i = 0; i < t->n; i++) y[i] = t->label[i] > 0.5f;
    for (size_t k = 0; k < n; k++) WR_TRY(m[k].compute(&out[k], y, p, t->n, 0.5, err));
    return 0;
}

static int measure(wr_trained *out, job *j, wr_err *err)
{
    size_t n;
    const wr_metric *m = wr_metrics(&n);
    double *train = wr_arena_alloc(j->arena, n * sizeof *train), *valid = wr_arena_alloc(j->arena, n * sizeof *valid);
    out->metrics = wr_arena_calloc(j->arena, n, sizeof *out->metrics);
    if (!train || !valid || !out->metrics) return wr_err_nomem(err);
    WR_TRY(metrics_of(train, j, &j->train, err));
    if (j->valid.n) WR_TRY(metrics_of(valid, j, &j->valid, err));
    out->nmetrics = n;
    for (size_t k = 0; k < n; k++) {
        char key[64];
        out->metrics[k] = (wr_train_metric){m[k].name, train[k], j->valid.n ? valid[k] : NAN};
        snprintf(key, sizeof key, "train_%s", m[k].name);
        wr_run_metric(j->run, key, train[k]);
        snprintf(key, sizeof key, "valid_%s", m[k].name);
        if (j->valid.n) wr_run_metric(j->run, key, valid[k]);
    }
    return 0;
}

static int by_share(const void *a, const void *b)
{
    const wr_train_gain *x = a, *y = b;
    return (x->share < y->share) - (x->share > y->share);
}

static int importance(wr_trained *out, job *j, wr_err *err)
{
    size_t n = wr_trees_nfeatures(j->parts.trees);
    double sum = 0, *gain = wr_arena_calloc(j->arena, n + 1, sizeof *gain);
    out->gain = wr_arena_calloc(j->arena, n + 1, sizeof *out->gain);
    if (!gain || !out->gain) return wr_err_nomem(err);
    wr_trees_gain(j->parts.trees, gain);
    for (size_t i = 0; i < n; i++) sum += gain[i];
    for (size_t i = 0; i < n; i++) {
        out->gain[i].feature = j->spec->view->features[j->spec->use[i]].name;
        out->gain[i].share = sum > 0 ? gain[i] / sum : 0;
    }
    qsort(out->gain, n, sizeof *out->gain, by_share);
    out->ngain = n;
    return 0;
}

static const char *metrics_json(job *j, const wr_trained *t)
{
    WR_AUTOBUF wr_buf b;
    wr_jsonw w;
    wr_buf_init(&b, 0);
    wr_jsonw_init(&w, &b, 0);
    wr_jsonw_obj(&w);
    for (size_t k = 0; k < t->nmetrics; k++) {
        char key[64];
        snprintf(key, sizeof key, "train_%s", t->metrics[k].name);
        wr_jsonw_kf64(&w, key, t->metrics[k].train);
        snprintf(key, sizeof key, "valid_%s", t->metrics[k].name);
        if (!isnan(t->metrics[k].valid)) wr_jsonw_kf64(&w, key, t->metrics[k].valid);
    }
    wr_jsonw_ki64(&w, "train_rows", (int64_t)t->train_rows);
    wr_jsonw_ki64(&w, "valid_rows", (int64_t)t->valid_rows);
    wr_jsonw_end(&w);
    return b.failed ? NULL : wr_arena_strdup(j->arena, wr_buf_cstr(&b));
}

static int store(wr_trained *out, job *j, wr_err *err)
{
    WR_AUTOFRAME wr_frame *golden = NULL;
    wr_package_parts *k = &j->parts;
    char now[WR_TIME_TEXT];
    uint32_t rows[100];
    const part *from = j->valid.n ? &j->valid : &j->train;
    size_t n = from->n < 100 ? from->n : 100;
    for (size_t i = 0; i < n; i++) rows[i] = (uint32_t)(i * (from->n / n));
    WR_TRY(wr_frame_take(&golden, from->frame, rows, n, err));
    wr_time_format(now, wr_clock_wall_us());
    k->created = wr_arena_strdup(j->arena, now);
    k->run_id = wr_arena_strdup(j->arena, wr_run_id(j->run));
    k->metrics_json = (char *)metrics_json(j, out);
    k->options_json = (char *)j->spec->options_json;
    k->parents_json = wr_arena_printf(j->arena, "{\"run\":\"%s\",\"view\":\"%s\",\"code\":\"%s\"}", wr_run_id(j->run),
                                      j->spec->view->hash, wr_run_code_version(j->project));
    if (!k->created || !k->run_id || !k->metrics_json || !k->parents_json) return wr_err_nomem(err);
    WR_TRY(wr_package_save(out->package, j->project, k, golden, err));
    WR_TRY(wr_model_propose(j->project, j->spec->model, out->package, wr_run_id(j->run), err));
    wr_node node = {.kind = "package", .name = j->spec->model, .hash = out->package, .version = -1};
    wr_run_output(j->run, &node);
    return 0;
}

static int fit(wr_trained *out, job *j, wr_trees_progress progress, void *ctx, wr_err *err)
{
    const wr_train_spec *s = j->spec;
    wr_trees_feature *tf = wr_arena_alloc(j->arena, s->nuse * sizeof *tf),
                     *vf = wr_arena_alloc(j->arena, s->nuse * sizeof *vf);
    if (!tf || !vf) return wr_err_nomem(err);
    wr_trees_set train = set_of(j, &j->train, tf), valid = {0};
    if (j->valid.n) valid = set_of(j, &j->valid, vf);
    WR_TRY(
        wr_trees_train(&j->parts.trees, &train, j->valid.n ? &valid : NULL, &s->learner, j->pool, progress, ctx, err));
    out->train_rows = j->train.n;
    out->valid_rows = j->valid.n;
    out->trees = wr_trees_count(j->parts.trees);
    out->best_round = wr_trees_best_round(j->parts.trees);
    return 0;
}

int wr_train(wr_trained *out, wr_arena *a, wr_project *p, const wr_train_spec *spec, wr_pool *pool, wr_run *run,
             wr_trees_progress progress, void *ctx, wr_err *err)
{
    job j = {.spec = spec, .project = p, .pool = pool, .run = run, .arena = a};
    wr_node view = wr_view_node(spec->view);
    memset(out, 0, sizeof *out);
    wr_run_input(run, &view);
    wr_run_param(run, "learner", spec->options_json);
    j.parts.name = (char *)spec->model;
    j.parts.view = spec->view;
    j.parts.use = spec->use;
    j.parts.nuse = spec->nuse;
    int rc = prepare(&j, err);
    if (rc == 0) rc = fit(out, &j, progress, ctx, err);
    if (rc == 0) rc = measure(out, &j, err);
    if (rc == 0) rc = importance(out, &j, err);
    if (rc == 0) rc = store(out, &j, err);
    wr_run_units(run, (double)j.train.n, "rows");
    wr_frame_free(j.train.frame);
    wr_frame_free(j.valid.frame);
    wr_trees_free(j.parts.trees);
    for (size_t i = 0; j.parts.dict && i < spec->nuse; i++) wr_map_fini(&j.parts.dict[i]);
    return rc;
}
