/* SPDX-License-Identifier: Apache-2.0 */
/* model_facts.c - a version's record, run, data, files, MLmodel and package, read once for show, diff and trace. */
#include "cli/model_facts.h"

#include <stdio.h>

#include "base/hash.h"
#include "base/num.h"
#include "base/vec.h"
#include "core/event.h"
#include "core/run.h"
#include "track/logged_model.h"
#include "track/registry_policy.h"
#include "wire/mlflow/artifacts.h"

static const char MLMODEL[] = "MLmodel";

typedef struct {
    wr_cli *cli;
    wr_project *project;
    wr_track *track;
} reader;

static int add(wr_model_fact_list *l, const char *key, const char *value, wr_err *err)
{
    wr_model_fact fact = {key, value, 0};
    return !key || !value || wr_vec_push(l, fact) < 0 ? wr_err_nomem(err) : 0;
}

static int add_items(wr_model_fact_list *l, const wr_track_item *items, size_t n, wr_err *err)
{
    for (size_t i = 0; i < n; i++) WR_TRY(add(l, items[i].key.p, items[i].value.p, err));
    return 0;
}

static int add_number(wr_model_fact_list *l, wr_cli *c, const char *key, double v, wr_err *err)
{
    char text[WR_NUM_TEXT];
    if (wr_cli_json(c)) wr_f64_text(text, v);
    else snprintf(text, sizeof text, "%.6g", v);
    WR_TRY(add(l, key, wr_arena_strdup(wr_cli_arena(c), text), err));
    l->at[l->n - 1].number = v;
    return 0;
}

static bool has(const wr_model_fact_list *l, const char *key)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->at[i].key, key) == 0) return true;
    return false;
}

/* ---- run, logged model, tags, data ---- */

static int read_run(wr_model_facts *f, reader *r, wr_err *err)
{
    wr_arena *a = wr_cli_arena(r->cli);
    wr_run_row row;
    wr_err none;
    if (!f->v.run_id.n) return 0;
    int rc = wr_track_run_get(&f->run, a, r->track, f->v.run_id, &none);
    if (rc == WEIR_ENOTFOUND) return 0;
    if (rc < 0) return err ? (*err = none, rc) : rc;
    WR_TRY(wr_track_run_load(&f->run, a, r->track, err));
    f->has_run = true;
    if (wr_run_get(&row, a, r->project, f->run.uuid.p, NULL) == 0 && row.code && row.code[0]) f->code = row.code;
    WR_TRY(add_items(&f->params, f->run.params, f->run.nparams, err));
    for (size_t i = 0; i < f->run.nmetrics; i++)
        WR_TRY(add_number(&f->metrics, r->cli, f->run.metrics[i].key.p, f->run.metrics[i].value, err));
    return 0;
}

/* What a client of MLflow 3 logged of the model itself; the run's figures come first. */
static int read_logged(wr_model_facts *f, reader *r, wr_err *err)
{
    wr_logged_model m;
    wr_err none;
    if (!f->v.model_id.n) return 0;
    int rc = wr_logged_model_get(&m, wr_cli_arena(r->cli), r->track, f->v.model_id, true, &none);
    if (rc == WEIR_ENOTFOUND) return 0;
    if (rc < 0) return err ? (*err = none, rc) : rc;
    for (size_t i = 0; i < m.nparams; i++)
        if (!has(&f->params, m.params[i].key.p)) WR_TRY(add(&f->params, m.params[i].key.p, m.params[i].value.p, err));
    for (size_t i = m.nmetrics; i-- > 0;) /* the latest of a key is the last */
        if (!has(&f->metrics, m.metrics[i].key.p))
            WR_TRY(add_number(&f->metrics, r->cli, m.metrics[i].key.p, m.metrics[i].value, err));
    return 0;
}

static int read_tags(wr_model_facts *f, wr_err *err)
{
    for (size_t i = 0; i < f->v.ntags; i++) {
        bool report = wr_str_starts(f->v.tags[i].key, WR_REPORT_TAG);
        const char *key = f->v.tags[i].key.p + (report ? sizeof WR_REPORT_TAG - 1 : 0);
        WR_TRY(add(report ? &f->reports : &f->tags, key, f->v.tags[i].value.p, err));
    }
    return 0;
}

static int add_data(wr_model_facts *f, wr_arena *a, const char *name, int64_t version, const char *hash, wr_err *err)
{
    const char *value = version >= 0 ? wr_arena_printf(a, "@%lld %s", (long long)version, hash) : hash;
    return has(&f->data, name) ? 0 : add(&f->data, name, value, err);
}

/* Datasets that the run had read; of weir's own those above it in the lineage. */
static int read_data(wr_model_facts *f, reader *r, wr_err *err)
{
    wr_arena *a = wr_cli_arena(r->cli);
    wr_registered_input *in;
    wr_lineage_step *steps;
    wr_node node;
    size_t n = 0;
    wr_err none;
    if (f->v.run_id.n && wr_lineage_find(&node, a, r->project, "run", f->v.run_id.p, -1, NULL, &none) == 0) {
        WR_TRY(wr_lineage_walk(&steps, &n, a, r->project, node.id, WR_LINEAGE_PARENTS, err));
        for (size_t i = 0; i < n; i++)
            if (strcmp(steps[i].node.kind, "dataset") == 0)
                WR_TRY(add_data(f, a, steps[i].node.name, steps[i].node.version, steps[i].node.hash, err));
    }
    if (f->v.version) {
        WR_TRY(wr_registered_version_inputs(&in, &n, a, r->track, &f->v, err));
        for (size_t i = 0; i < n; i++) WR_TRY(add_data(f, a, in[i].name.p, -1, in[i].digest.p, err));
    }
    for (size_t i = 0; f->has_run && i < f->run.ninputs; i++)
        WR_TRY(add_data(f, a, f->run.inputs[i].name.p, -1, f->run.inputs[i].digest.p, err));
    return 0;
}

/* ---- files ---- */

static int read_mlmodel(wr_model_facts *f, reader *r, wr_err *err)
{
    WR_AUTOBUF wr_buf text;
    const wr_model_file *file = NULL;
    wr_buf_init(&text, 0);
    for (size_t i = 0; i < f->nfiles; i++)
        if (strcmp(f->files[i].path, MLMODEL) == 0) file = &f->files[i];
    if (!file || file->size > WR_MLMODEL_MAX) return 0;
    WR_TRY(wr_model_file_read(&text, r->project, &f->v, file, WR_MLMODEL_MAX, err));
    WR_TRY(wr_mlmodel_parse(&f->mlmodel, wr_cli_arena(r->cli), wr_buf_view(&text), MLMODEL, err));
    f->has_mlmodel = true;
    return 0;
}

static int read_files(wr_model_facts *f, reader *r, wr_err *err)
{
    wr_arena *a = wr_cli_arena(r->cli);
    WR_TRY(wr_model_files(&f->files, &f->nfiles, a, r->project, &f->v, WR_FILES_KNOWN, err));
    if (f->v.package.n) WR_TRY(wr_package_load(&f->package, r->project, f->v.package.p, err));
    return read_mlmodel(f, r, err);
}

/* A run that is gone has left its figures in the package. */
static int add_package_metrics(wr_model_facts *f, reader *r, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    const char *text = wr_package_get(f->package)->metrics_json;
    yyjson_val *k, *v;
    size_t i, max;
    if (!text) return 0;
    WR_TRY(wr_json_parse(&j, wr_str_of(text), "metrics", err));
    yyjson_obj_foreach(j.root, i, max, k, v)
    {
        if (!yyjson_is_num(v) || has(&f->metrics, yyjson_get_str(k))) continue;
        const char *key = wr_arena_strdup(wr_cli_arena(r->cli), yyjson_get_str(k));
        WR_TRY(add_number(&f->metrics, r->cli, key, yyjson_get_num(v), err));
    }
    return 0;
}

/* ---- all of it ---- */

static int read_all(wr_model_facts *f, reader *r, wr_err *err)
{
    wr_arena *a = wr_cli_arena(r->cli);
    wr_err why = {0};
    WR_TRY(wr_project_track(&r->track, r->project, err));
    WR_TRY(read_run(f, r, err));
    WR_TRY(read_logged(f, r, err));
    WR_TRY(read_tags(f, err));
    WR_TRY(read_data(f, r, err));
    int rc = read_files(f, r, &why);
    if (rc == WEIR_ENOMEM || (rc < 0 && f->v.package.n)) return err ? (*err = why, rc) : rc;
    if (rc == 0 && f->package) WR_TRY(add_package_metrics(f, r, err));
    if (rc < 0) f->elsewhere = wr_arena_strdup(a, why.msg);
    f->size = f->nfiles ? 0 : -1;
    for (size_t i = 0; i < f->nfiles; i++) f->size += f->files[i].size;
    return wr_arena_failed(a) ? wr_err_nomem(err) : 0;
}

int wr_model_facts_of(wr_model_facts *f, wr_cli *c, const wr_registered_version *v, wr_err *err)
{
    reader r = {.cli = c};
    wr_arena *a = wr_cli_arena(c);
    *f = (wr_model_facts){.v = *v, .size = -1};
    f->title = v->version ? wr_arena_printf(a, "%s version %lld", v->name.p, (long long)v->version)
                          : wr_arena_printf(a, "%s (candidate)", v->name.p);
    WR_TRY(wr_cli_project(c, &r.project, err));
    return read_all(f, &r, err);
}

int wr_model_facts_read(wr_model_facts *f, wr_cli *c, const char *ref, wr_err *err)
{
    wr_project *p;
    wr_model_version candidate;
    wr_registered_version v;
    wr_err none;
    *f = (wr_model_facts){.size = -1};
    WR_TRY(wr_cli_project(c, &p, err));
    if (!strpbrk(ref, "@/") && wr_model_find(&candidate, wr_cli_arena(c), p, ref, &none) == 0) {
        v = (wr_registered_version){.name = wr_str_of(candidate.name),
                                    .package = wr_str_of(candidate.package),
                                    .run_id = wr_str_of(candidate.run_id),
                                    .created_ms = candidate.created_us / 1000};
        return wr_model_facts_of(f, c, &v, err);
    }
    WR_TRY(wr_model_registered(&v, wr_cli_arena(c), p, ref, err));
    return wr_model_facts_of(f, c, &v, err);
}

void wr_model_facts_fini(wr_model_facts *f)
{
    wr_vec_fini(&f->params);
    wr_vec_fini(&f->metrics);
    wr_vec_fini(&f->data);
    wr_vec_fini(&f->tags);
    wr_vec_fini(&f->reports);
    wr_package_free(f->package);
    f->package = NULL;
}

int wr_model_announce(wr_project *p, const wr_model_move *m, const char *package, wr_err *err)
{
    WR_AUTOBUF wr_buf subject = {0}, payload = {0};
    wr_jsonw w;
    wr_buf_printf(&subject, "model:%s", m->name);
    wr_jsonw_init(&w, &payload, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_kstr(&w, "model", m->name);
    if (m->version) wr_jsonw_ki64(&w, "version", m->version);
    wr_jsonw_kstr(&w, "alias", m->alias);
    if (m->version) wr_jsonw_kstr(&w, "package", package);
    if (m->was) wr_jsonw_ki64(&w, "previous", m->was);
    wr_jsonw_end(&w);
    if (subject.failed || payload.failed) return wr_err_nomem(err);
    return wr_event_add(p, m->version ? "promoted" : "withdrawn", wr_buf_cstr(&subject), wr_buf_cstr(&payload), NULL,
                        err);
}
