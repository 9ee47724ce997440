/* SPDX-License-Identifier: Apache-2.0 */
/* signing.c - signatures of registered versions, kept as reports; whom the project trusts. */
#include "core/signing.h"

#include <stdio.h>

#include "base/limits.h"
#include "io/file.h"
#include "track/registry_policy.h"

/* ---- the project's trust ---- */

static const wr_yaml *registry_section(wr_project *p)
{
    const wr_yaml *config;
    return wr_project_config(&config, p, NULL) < 0 ? NULL : wr_yaml_get(config, "registry");
}

static int add_trusted(wr_trust *t, wr_project *p, wr_arena *a, const wr_yaml *n, wr_err *err)
{
    wr_str file;
    wr_err why = {0};
    WR_TRY(wr_yaml_str(&file, n, "trust", err));
    char *path = wr_path_join(a, wr_project_root(p), file.p);
    if (!path) return wr_err_nomem(err);
    int rc = wr_trust_add_file(t, path, &why);
    return rc < 0 ? wr_yaml_error(n, rc, err, "%s", why.msg) : 0;
}

static int add_all(wr_trust *t, wr_project *p, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    const wr_yaml *list = wr_yaml_get(registry_section(p), "trust");
    if (!a) return wr_err_nomem(err);
    if (wr_yaml_null(list) || (list->kind == WR_YAML_SEQ && !list->n)) {
        wr_err_set(err, WEIR_ENO, "a signature is required, and nobody's is trusted");
        return wr_err_hint(err, WEIR_ENO, "registry: trust: [FILE.pub] in weir.yaml names the keys");
    }
    if (list->kind != WR_YAML_SEQ) return add_trusted(t, p, a, list, err);
    for (size_t i = 0; i < list->n; i++) WR_TRY(add_trusted(t, p, a, list->items[i], err));
    return 0;
}

int wr_signing_trust(wr_trust **out, wr_project *p, wr_err *err)
{
    wr_trust *t;
    WR_TRY(wr_trust_new(&t, err));
    int rc = add_all(t, p, err);
    if (rc < 0) wr_trust_free(t);
    else *out = t;
    return rc;
}

/* ---- what is signed ---- */

int wr_signing_manifest(wr_manifest *out, wr_arena *a, wr_project *p, const wr_registered_version *v, wr_files_how how,
                        wr_err *err)
{
    wr_model_file *files;
    size_t n;
    int rc = wr_model_files(&files, &n, a, p, v, how, err);
    if (rc < 0) return wr_err_wrap(err, rc, "the files of version %lld of \"%s\"", (long long)v->version, v->name.p);
    wr_manifest_file *list = wr_arena_calloc(a, n + 1, sizeof *list);
    if (!list) return wr_err_nomem(err);
    for (size_t i = 0; i < n; i++) {
        if (!wr_registered_is_sha256(wr_str_of(files[i].hash)))
            return wr_err_set(err, WEIR_EUNSUPPORTED, "the SHA-256 of \"%.200s\" is not known", files[i].path);
        list[i] = (wr_manifest_file){.path = files[i].path, .end = -1};
        snprintf(list[i].digest, sizeof list[i].digest, "%s", files[i].hash);
    }
    return wr_manifest_of(out, v->name.p, list, n, err);
}

/* ---- signing ---- */

typedef struct {
    const wr_registered_version *v;
    wr_str id;
} kept_report;

static int report_fn(wr_track *t, void *arg, wr_err *err)
{
    const kept_report *r = arg;
    return wr_registered_version_set_tag(t, r->v->name, r->v->version, WR_STR(WR_REPORT_TAG WR_SIGNATURE_REPORT), r->id,
                                         err);
}

/* model.sig beside the files, for who downloads them. */
static int put_beside(wr_project *p, wr_arena *a, const wr_registered_version *v, wr_str bundle, wr_err *err)
{
    wr_artifacts *artifacts;
    wr_artifact_info info;
    wr_str root;
    if (!wr_model_files_root(&root, v)) return 0;
    char *path = wr_arena_printf(a, "%.*s/" WR_MANIFEST_SIGNATURE, WR_STR_FMT(root));
    if (!path) return wr_err_nomem(err);
    WR_TRY(wr_project_artifacts(&artifacts, p, NULL, err));
    if (wr_artifacts_stat(&info, artifacts, root, NULL) == 0 && !info.is_dir)
        return 0; /* one file: there is no inside */
    return wr_artifacts_put(artifacts, wr_str_of(path), bundle, NULL, err);
}

static int keep(wr_project *p, wr_arena *a, const wr_registered_version *v, wr_str bundle, wr_err *err)
{
    wr_objects *o;
    wr_track *t;
    char id[WR_SHA256_HEX];
    WR_TRY(wr_project_objects(&o, p, err));
    WR_TRY(wr_objects_put(o, bundle, id, err));
    WR_TRY(put_beside(p, a, v, bundle, err));
    kept_report r = {v, wr_str_of(id)};
    WR_TRY(wr_project_track(&t, p, err));
    return wr_track_write(t, report_fn, &r, err);
}

int wr_signing_sign(wr_manifest *manifest, wr_buf *bundle, wr_arena *a, wr_project *p, const wr_registered_version *v,
                    const wr_signing_key *key, wr_err *err)
{
    WR_AUTOBUF wr_buf text;
    wr_manifest m;
    wr_buf_init(&text, WR_LIMIT_SIGNATURE);
    WR_TRY(wr_signing_manifest(&m, a, p, v, WR_FILES_READ, err));
    WR_TRY(wr_signature_make(&text, &m, key, err));
    WR_TRY(keep(p, a, v, wr_buf_view(&text), err));
    if (manifest) *manifest = m;
    if (bundle) wr_buf_slice(bundle, wr_buf_view(&text));
    return bundle && bundle->failed ? wr_err_nomem(err) : 0;
}

/* ---- finding it ---- */

static int from_report(wr_buf *out, wr_project *p, wr_str hash, wr_err *err)
{
    wr_objects *o;
    char id[WR_SHA256_HEX];
    if (wr_str_starts(hash, "sha256:")) hash = wr_str_sub(hash, 7, hash.n);
    if (!wr_registered_is_sha256(hash))
        return wr_err_set(err, WEIR_ENO, "its tag " WR_REPORT_TAG WR_SIGNATURE_REPORT " names no signature");
    for (size_t i = 0; i <= hash.n; i++)
        id[i] = i == hash.n ? 0 : hash.p[i] >= 'A' && hash.p[i] <= 'F' ? (char)(hash.p[i] | 0x20) : hash.p[i];
    WR_TRY(wr_project_objects(&o, p, err));
    if (!wr_objects_has(o, id)) {
        wr_err_set(err, WEIR_ENO, "the signature that its tag names is not kept here");
        return wr_err_hint(err, WEIR_ENO, "weir model report NAME VERSION signature FILE keeps one");
    }
    return wr_objects_get(o, id, out, WR_LIMIT_SIGNATURE, err);
}

static int none(const wr_registered_version *v, wr_err *err)
{
    wr_err_set(err, WEIR_ENO, "it is not signed");
    return wr_err_hint(err, WEIR_ENO, "weir model sign %s@%lld --key FILE signs it", v->name.p, (long long)v->version);
}

/* A client's own model.sig, among the files it logged. */
static int from_files(wr_buf *out, wr_project *p, wr_arena *a, const wr_registered_version *v, wr_err *err)
{
    wr_artifacts *artifacts;
    wr_artifact_info info;
    wr_str root;
    if (v->package.n || !wr_model_files_root(&root, v)) return none(v, err);
    wr_model_file file = {.path = WR_MANIFEST_SIGNATURE};
    char *path = wr_arena_printf(a, "%.*s/%s", WR_STR_FMT(root), file.path);
    if (!path) return wr_err_nomem(err);
    WR_TRY(wr_project_artifacts(&artifacts, p, NULL, err));
    if (wr_artifacts_stat(&info, artifacts, wr_str_of(path), NULL) < 0 || info.is_dir) return none(v, err);
    file.size = info.size;
    return wr_model_file_read(out, p, v, &file, WR_LIMIT_SIGNATURE, err);
}

static const wr_track_item *report_tag(const wr_registered_version *v)
{
    for (size_t i = 0; i < v->ntags; i++)
        if (wr_str_is(v->tags[i].key, WR_REPORT_TAG WR_SIGNATURE_REPORT)) return &v->tags[i];
    return NULL;
}

int wr_signing_bundle(wr_buf *out, wr_project *p, const wr_registered_version *v, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    const wr_track_item *tag = report_tag(v);
    if (!a) return wr_err_nomem(err);
    return tag ? from_report(out, p, tag->value, err) : from_files(out, p, a, v, err);
}

/* ---- checking ---- */

/* A model is signed whole: what a signature leaves out beyond its own file and Git's would be loaded unseen. */
static int check_whole(const wr_manifest *m, wr_err *err)
{
    if (m->shard_size) {
        wr_err_set(err, WEIR_EUNSUPPORTED, "the files were signed in pieces");
        return wr_err_hint(err, WEIR_EUNSUPPORTED,
                           "sign them whole: weir model sign, or model_signing's method \"files\"");
    }
    for (size_t i = 0; i < m->nignore; i++)
        if (!wr_manifest_ignores(wr_manifest_ignored, WR_MANIFEST_IGNORED, m->ignore[i]))
            return wr_err_set(err, WEIR_ENO, "the signature leaves \"%.200s\" out", m->ignore[i]);
    return 0;
}

static int check_signer(wr_signature *s, const char **by, wr_arena *a, wr_str bundle, const wr_trust *t, wr_err *err)
{
    WR_TRY(wr_signature_parse(s, a, bundle, WR_MANIFEST_SIGNATURE, err));
    WR_TRY(wr_signature_verify(s, t, a, by, err));
    return check_whole(&s->manifest, err);
}

int wr_signing_verify(const char **by, wr_arena *a, wr_project *p, const wr_registered_version *v, wr_str bundle,
                      const wr_trust *t, wr_files_how how, wr_err *err)
{
    wr_signature s;
    wr_manifest found;
    WR_TRY(check_signer(&s, by, a, bundle, t, err));
    WR_TRY(wr_signing_manifest(&found, a, p, v, how, err));
    return wr_manifest_compare(&found, &s.manifest, err);
}

/* The files are those of the store, or those at `path`. */
static int check_files(wr_project *p, const wr_registered_version *v, const char *path, const wr_manifest *expected,
                       wr_arena *a, wr_err *err)
{
    wr_manifest found;
    if (path) WR_TRY(wr_manifest_read(&found, a, path, NULL, err));
    else WR_TRY(wr_signing_manifest(&found, a, p, v, v->package.n ? WR_FILES_KNOWN : WR_FILES_READ, err));
    return wr_manifest_compare(&found, expected, err);
}

typedef enum { SIGNER, SIGNER_AND_PACKAGE, EVERYTHING } depth;

/* By the project's own trust. */
static int judge(wr_project *p, const wr_registered_version *v, depth how, const char *path, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    WR_AUTOBUF wr_buf bundle;
    wr_signature s;
    wr_trust *t;
    const char *by;
    wr_buf_init(&bundle, WR_LIMIT_SIGNATURE + 1);
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_signing_trust(&t, p, err));
    int rc = wr_signing_bundle(&bundle, p, v, err);
    if (rc == 0) rc = check_signer(&s, &by, a, wr_buf_view(&bundle), t, err);
    if (rc == 0 && (how == EVERYTHING || (how == SIGNER_AND_PACKAGE && v->package.n)))
        rc = check_files(p, v, path, &s.manifest, a, err);
    wr_trust_free(t);
    return rc;
}

/* ---- policies ---- */

static bool required(wr_project *p)
{
    const wr_yaml *n = wr_yaml_get(registry_section(p), "require");
    return !wr_yaml_null(n) && n->kind == WR_YAML_SCALAR && wr_str_is(n->text, WR_SIGNATURE_REPORT);
}

static bool asked_here(wr_track *t, const wr_registered_version *v)
{
    wr_str report = WR_STR(WR_SIGNATURE_REPORT), nowhere = {NULL, 0};
    if (wr_registered_policy_asks(t, v->name, nowhere, v->stage, report)) return true;
    for (size_t i = 0; i < v->naliases; i++)
        if (wr_registered_policy_asks(t, v->name, v->aliases[i], nowhere, report)) return true;
    return false;
}

/* Whatever is wrong with a signature that is required is a no, and says which version it is of. */
static int refused(const char *model, int64_t version, int rc, wr_err *err)
{
    if (rc == 0 || rc == WEIR_ENOMEM) return rc;
    if (err) err->code = WEIR_ENO;
    return wr_err_wrap(err, WEIR_ENO, "the signature of version %lld of \"%s\"", (long long)version, model);
}

static int check_version(wr_project *p, const char *model, int64_t version, const char *path, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_registered_version v;
    wr_track *t;
    bool always = required(p);
    if (!a) return wr_err_nomem(err);
    if (version <= 0) {
        if (!always) return 0;
        wr_err_set(err, WEIR_ENO, "a signature is required, and the candidate of \"%s\" can have none", model);
        return wr_err_hint(err, WEIR_ENO, "weir model register gives it a version, weir model sign signs it");
    }
    WR_TRY(wr_project_track(&t, p, err));
    WR_TRY(wr_registered_version_get(&v, a, t, wr_str_of(model), version, err));
    if (!always && !asked_here(t, &v)) return 0;
    return refused(model, version, judge(p, &v, EVERYTHING, path, err), err);
}

int wr_signature_check_policy(wr_project *p, const char *model, int64_t version, wr_err *err)
{
    return check_version(p, model, version, NULL, err);
}

int wr_signature_check_loaded(wr_project *p, const char *model, int64_t version, const char *path, wr_err *err)
{
    return check_version(p, model, version, path, err);
}

/* ---- what no version names ---- */

const char *wr_signature_beside(wr_arena *a, const char *path)
{
    const char *as_folder = wr_arena_printf(a, "%s/.", path),
               *slash = *path && path[strlen(path) - 1] == '/' ? "" : "/";
    if (!as_folder) return NULL;
    if (!wr_file_exists(as_folder)) return wr_arena_printf(a, "%s.sig", path);
    return wr_arena_printf(a, "%s%s" WR_MANIFEST_SIGNATURE, path, slash);
}

static int judge_path(wr_project *p, wr_arena *a, const char *path, const char *file, wr_err *err)
{
    WR_AUTOBUF wr_buf bundle;
    wr_signature s;
    wr_trust *t;
    const char *by;
    wr_buf_init(&bundle, WR_LIMIT_SIGNATURE + 1);
    WR_TRY(wr_file_read(&bundle, file, WR_LIMIT_SIGNATURE, err));
    WR_TRY(wr_signing_trust(&t, p, err));
    int rc = check_signer(&s, &by, a, wr_buf_view(&bundle), t, err);
    if (rc == 0) rc = check_files(p, NULL, path, &s.manifest, a, err);
    wr_trust_free(t);
    return rc;
}

int wr_signature_check_path(wr_project *p, const char *path, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    const char *file = a ? wr_signature_beside(a, path) : NULL;
    if (!required(p)) return 0;
    if (!file) return wr_err_nomem(err);
    if (!wr_file_exists(file)) {
        wr_err_set(err, WEIR_ENO, "a signature is required, and \"%s\" has none", path);
        return wr_err_hint(err, WEIR_ENO, "weir model sign %s --key FILE signs it", path);
    }
    int rc = judge_path(p, a, path, file, err);
    if (rc == 0 || rc == WEIR_ENOMEM) return rc;
    if (err) err->code = WEIR_ENO;
    return wr_err_wrap(err, WEIR_ENO, "the signature of \"%s\"", path);
}

int wr_signing_judge(void *ctx, const wr_registered_version *v, wr_str report, wr_err *err)
{
    if (!wr_str_is(report, WR_SIGNATURE_REPORT)) return 0;
    return refused(v->name.p, v->version, judge(ctx, v, SIGNER_AND_PACKAGE, NULL, err), err);
}

int wr_signing_before_move(wr_project *p, const wr_registered_version *v, const char *alias, wr_err *err)
{
    wr_track *t;
    wr_str nowhere = {NULL, 0};
    WR_TRY(wr_project_track(&t, p, err));
    if (!wr_registered_policy_asks(t, v->name, wr_str_of(alias), nowhere, WR_STR(WR_SIGNATURE_REPORT))) return 0;
    if (!report_tag(v) && v->package.n) return 0; /* the policy says what is missing, with the other reports */
    return refused(v->name.p, v->version, judge(p, v, EVERYTHING, NULL, err), err);
}
