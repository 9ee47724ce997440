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

enum { FILES_MAX = 10000, DEPTH_MAX = 32, TREE_MAX = 1 << 20, PIECE = 1 << 16 };
static const char MLMODEL[] = "MLmodel";

typedef struct {
    wr_cli *cli;
    wr_project *project;
    wr_track *track;
    wr_artifacts *artifacts;
    WR_VEC(wr_model_file) files;
} reader;

static int add(wr_model_fact_list *l, const char *key, const char *value, wr_err *err)
{
    wr_model_fact fact = {key, value};
    return !key || !value || wr_vec_push(l, fact) < 0 ? wr_err_nomem(err) : 0;
}

static int add_items(wr_model_fact_list *l, const wr_track_item *items, size_t n, wr_err *err)
{
    for (size_t i = 0; i < n; i++) WR_TRY(add(l, items[i].key.p, items[i].value.p, err));
    return 0;
}

static const char *number(wr_cli *c, double v)
{
    char text[32];
    if (wr_cli_json(c)) wr_f64_text(text, v);
    else snprintf(text, sizeof text, "%.6g", v);
    return wr_arena_strdup(wr_cli_arena(c), text);
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
        WR_TRY(add(&f->metrics, f->run.metrics[i].key.p, number(r->cli, f->run.metrics[i].value), err));
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
            WR_TRY(add(&f->metrics, m.metrics[i].key.p, number(r->cli, m.metrics[i].value), err));
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

static int package_files(wr_model_facts *f, reader *r, wr_err *err)
{
    WR_AUTOBUF wr_buf tree;
    wr_objects *o;
    wr_arena *a = wr_cli_arena(r->cli);
    wr_buf_init(&tree, TREE_MAX);
    WR_TRY(wr_project_objects(&o, r->project, err));
    WR_TRY(wr_objects_get(o, f->v.package.p, &tree, TREE_MAX, err));
    for (wr_str rest = wr_buf_view(&tree); rest.n;) { /* "sha256 size path" */
        wr_model_file file = {0};
        wr_str line = wr_str_cut(&rest, '\n'), id = wr_str_cut(&line, ' '), size = wr_str_cut(&line, ' ');
        if (!line.p || wr_num_i64(&file.size, size, NULL) < 0)
            return wr_err_set(err, WEIR_ECORRUPT, "object %.12s is not a package", f->v.package.p);
        file.path = wr_arena_str(a, line).p;
        file.hash = wr_arena_str(a, id).p;
        if (!file.path || !file.hash || wr_vec_push(&r->files, file) < 0) return wr_err_nomem(err);
    }
    return 0;
}

/* Content hash of a file: what the store knows it by, or read. */
static int hash_file(const char **out, reader *r, wr_str path, wr_err *err)
{
    unsigned char piece[PIECE];
    char hex[WR_SHA256_HEX];
    wr_artifact_reader *in;
    wr_sha256 h;
    int64_t n, at = 0;
    WR_TRY(wr_artifacts_read(&in, r->artifacts, path, err));
    const char *etag = wr_artifact_reader_info(in)->etag;
    if (wr_registered_is_sha256(wr_str_of(etag)) || wr_artifacts_remote(r->artifacts)) {
        *out = wr_arena_strdup(wr_cli_arena(r->cli), etag);
        wr_artifact_reader_close(in);
        return *out ? 0 : wr_err_nomem(err);
    }
    wr_sha256_init(&h);
    while ((n = wr_artifact_get(in, at, piece, sizeof piece, err)) > 0) {
        wr_sha256_add(&h, piece, (size_t)n);
        at += n;
    }
    wr_artifact_reader_close(in);
    wr_sha256_hex(&h, hex);
    *out = wr_arena_strdup(wr_cli_arena(r->cli), hex);
    return n < 0 ? (int)n : *out ? 0 : wr_err_nomem(err);
}

static int walk(reader *r, wr_str root, const char *below, int depth, wr_err *err)
{
    wr_arena *a = wr_cli_arena(r->cli);
    wr_artifact_entry *entry;
    size_t n;
    char *folder = wr_arena_printf(a, "%.*s%s%s", WR_STR_FMT(root), below[0] ? "/" : "", below);
    if (!folder) return wr_err_nomem(err);
    if (depth > DEPTH_MAX) return wr_err_set(err, WEIR_ELIMIT, "folders in \"%s\" are too deep", root.p);
    WR_TRY(wr_artifacts_list(&entry, &n, a, r->artifacts, wr_str_of(folder), err));
    for (size_t i = 0; i < n; i++) {
        char *path = wr_arena_printf(a, "%s%s%s", below, below[0] ? "/" : "", entry[i].name);
        char *full = path ? wr_arena_printf(a, "%s/%s", folder, entry[i].name) : NULL;
        wr_model_file file = {.path = path, .size = entry[i].size};
        if (!full) return wr_err_nomem(err);
        if (entry[i].is_dir) {
            WR_TRY(walk(r, root, path, depth + 1, err));
            continue;
        }
        if (r->files.n >= FILES_MAX) return wr_err_set(err, WEIR_ELIMIT, "more than %d files", FILES_MAX);
        WR_TRY(hash_file(&file.hash, r, wr_str_of(full), err));
        if (wr_vec_push(&r->files, file) < 0) return wr_err_nomem(err);
    }
    return 0;
}

bool wr_model_store_path(wr_str *out, wr_arena *a, wr_str uri)
{
    return wr_mlflow_store_path(out, a, uri, WR_STR(""), NULL) == 0 && out->n;
}

static int read_mlmodel(wr_model_facts *f, reader *r, wr_str root, wr_err *err)
{
    WR_AUTOBUF wr_buf text;
    wr_arena *a = wr_cli_arena(r->cli);
    wr_artifact_reader *in;
    wr_objects *o;
    const wr_model_file *file = NULL;
    wr_buf_init(&text, WR_MLMODEL_MAX);
    for (size_t i = 0; i < r->files.n; i++)
        if (strcmp(r->files.at[i].path, MLMODEL) == 0) file = &r->files.at[i];
    if (!file || file->size > WR_MLMODEL_MAX) return 0;
    if (f->v.package.n) {
        WR_TRY(wr_project_objects(&o, r->project, err));
        WR_TRY(wr_objects_get(o, file->hash, &text, WR_MLMODEL_MAX, err));
    } else {
        char *path = wr_arena_printf(a, "%.*s/%s", WR_STR_FMT(root), MLMODEL);
        if (!path || !wr_buf_reserve(&text, (size_t)file->size)) return wr_err_nomem(err);
        WR_TRY(wr_artifacts_read(&in, r->artifacts, wr_str_of(path), err));
        int64_t n = wr_artifact_get(in, 0, text.p, (size_t)file->size, err);
        wr_artifact_reader_close(in);
        if (n < 0) return (int)n;
        text.n = (size_t)n;
    }
    WR_TRY(wr_mlmodel_parse(&f->mlmodel, a, wr_buf_view(&text), MLMODEL, err));
    f->has_mlmodel = true;
    return 0;
}

static int read_files(wr_model_facts *f, reader *r, wr_err *err)
{
    wr_arena *a = wr_cli_arena(r->cli);
    wr_str root = {NULL, 0};
    if (f->v.package.n) {
        WR_TRY(package_files(f, r, err));
        WR_TRY(wr_package_load(&f->package, r->project, f->v.package.p, err));
        return read_mlmodel(f, r, root, err);
    }
    wr_str where = wr_registered_version_location(&f->v);
    if (!where.n || !wr_model_store_path(&root, a, where))
        return wr_err_set(err, WEIR_ENOTFOUND, "not among the artifacts of this project");
    WR_TRY(wr_project_artifacts(&r->artifacts, r->project, NULL, err));
    WR_TRY(walk(r, root, "", 0, err));
    if (!r->files.n) return wr_err_set(err, WEIR_ENOTFOUND, "there are none at its source");
    return read_mlmodel(f, r, root, err);
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
        WR_TRY(add(&f->metrics, key, number(r->cli, yyjson_get_num(v)), err));
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
    f->size = r->files.n ? 0 : -1;
    for (size_t i = 0; i < r->files.n; i++) f->size += r->files.at[i].size;
    f->nfiles = r->files.n;
    f->files = wr_arena_dup(a, r->files.at, r->files.n * sizeof *r->files.at);
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
    int rc = read_all(f, &r, err);
    wr_vec_fini(&r.files);
    return rc;
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
