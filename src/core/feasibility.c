/* SPDX-License-Identifier: Apache-2.0 */
/* feasibility.c - reports of studies: kept with their version, judged when it moves. */
#include "core/feasibility.h"

#include <stdio.h>

#include "base/limits.h"
#include "codec/json.h"
#include "core/signing.h"
#include "io/file.h"
#include "track/registry_policy.h"

enum { REPORT_MAX = 4 << 20, TARGET_DIGITS = 16 };
#define TAG WR_REPORT_TAG WR_FEASIBILITY_REPORT

int wr_feasibility_hash(char out[WR_SHA256_HEX], const wr_yaml *target, wr_err *err)
{
    WR_AUTOBUF wr_buf json = {0};
    wr_yaml_to_json(&json, target);
    if (json.failed) return wr_err_nomem(err);
    wr_sha256_of(wr_buf_cstr(&json), json.n, out);
    return 0;
}

/* ---- keeping ---- */

typedef struct {
    const char *model, *target, *id;
    int64_t version;
} kept;

static void target_tag(char key[100], const char *target) { snprintf(key, 100, TAG ".%.*s", TARGET_DIGITS, target); }

static int keep_fn(wr_track *t, void *arg, wr_err *err)
{
    const kept *k = arg;
    char key[100];
    target_tag(key, k->target);
    WR_TRY(wr_registered_version_set_tag(t, wr_str_of(k->model), k->version, WR_STR(TAG), wr_str_of(k->id), err));
    return wr_registered_version_set_tag(t, wr_str_of(k->model), k->version, wr_str_of(key), wr_str_of(k->id), err);
}

int wr_feasibility_keep(char id[WR_SHA256_HEX], wr_project *p, const char *model, int64_t version,
                        const char target[WR_SHA256_HEX], wr_str json, wr_err *err)
{
    wr_objects *o;
    wr_track *t;
    kept k = {model, target, id, version};
    WR_TRY(wr_project_objects(&o, p, err));
    WR_TRY(wr_objects_put(o, json, id, err));
    WR_TRY(wr_project_track(&t, p, err));
    return wr_track_write(t, keep_fn, &k, err);
}

/* ---- judging ---- */

/* 1: the project names a target. */
static int project_target(char hash[WR_SHA256_HEX], const char **file, wr_arena *a, wr_project *p, wr_err *err)
{
    WR_AUTOBUF wr_buf text;
    const wr_yaml *config;
    wr_yaml *root;
    wr_str name;
    wr_buf_init(&text, WR_LIMIT_FILE_CONFIG + 1);
    WR_TRY(wr_project_config(&config, p, err));
    const wr_yaml *section = wr_yaml_get(config, "registry");
    if (wr_yaml_null(section)) return 0;
    WR_TRY(wr_yaml_get_str(&name, section, "target", NULL, err));
    if (!name.n) return 0;
    *file = name.p;
    const char *path = wr_path_join(a, wr_project_root(p), name.p);
    if (!path) return wr_err_nomem(err);
    WR_TRY(wr_file_read(&text, path, WR_LIMIT_FILE_CONFIG, err));
    WR_TRY(wr_yaml_parse(&root, a, wr_buf_view(&text), name.p, err));
    WR_TRY(wr_feasibility_hash(hash, root, err));
    return 1;
}

static wr_str tag_of(const wr_registered_version *v, const char *key)
{
    for (size_t i = 0; i < v->ntags; i++)
        if (wr_str_is(v->tags[i].key, key)) return v->tags[i].value;
    return (wr_str){NULL, 0};
}

static int read_report(wr_json *out, wr_project *p, wr_str id, wr_err *err)
{
    WR_AUTOBUF wr_buf text;
    wr_objects *o;
    char hex[WR_SHA256_HEX];
    wr_buf_init(&text, REPORT_MAX + 1);
    if (wr_str_starts(id, "sha256:")) id = wr_str_sub(id, 7, id.n);
    if (!wr_registered_is_sha256(id)) return wr_err_set(err, WEIR_ENO, "its tag " TAG " names no report");
    for (size_t i = 0; i <= id.n; i++)
        hex[i] = i == id.n ? 0 : (char)(id.p[i] >= 'A' && id.p[i] <= 'F' ? id.p[i] | 0x20 : id.p[i]);
    WR_TRY(wr_project_objects(&o, p, err));
    WR_TRY(wr_objects_get(o, hex, &text, REPORT_MAX, err));
    return wr_json_parse(out, wr_buf_view(&text), "report", err);
}

static const char *text(yyjson_val *v, const char *key)
{
    const char *s = yyjson_get_str(yyjson_obj_get(v, key));
    return s ? s : "";
}

/* What it says must be about these files: an object cannot change, but a tag can be set to any. */
static int about(wr_project *p, wr_arena *a, const wr_registered_version *v, yyjson_val *report, wr_err *err)
{
    wr_manifest m;
    yyjson_val *version = yyjson_obj_get(report, "version");
    if (strcmp(text(report, "model"), v->name.p) != 0 || yyjson_get_sint(version) != v->version)
        return wr_err_set(err, WEIR_ENO, "its feasibility report is about another version");
    if (!v->package.n || wr_signing_manifest(&m, a, p, v, WR_FILES_KNOWN, NULL) < 0) return 0;
    if (strcmp(text(report, "model_sha256"), m.root) != 0)
        return wr_err_set(err, WEIR_ENO, "its feasibility report is about other files");
    return 0;
}

static void first_failure(wr_err *err, yyjson_val *report)
{
    yyjson_val *checks = yyjson_obj_get(report, "checks"), *c;
    size_t i, max;
    yyjson_arr_foreach(checks, i, max, c)
    {
        if (strcmp(text(c, "state"), "fail") != 0) continue;
        wr_err_detail(err, WEIR_ENO, "%s: %s", text(c, "name"), text(c, "measured"));
        return;
    }
}

static int judge_report(wr_project *p, wr_arena *a, const wr_registered_version *v, yyjson_val *report,
                        const char *target, wr_err *err)
{
    WR_TRY(about(p, a, v, report, err));
    if (target && strcmp(text(yyjson_obj_get(report, "target"), "sha256"), target) != 0)
        return wr_err_set(err, WEIR_ENO, "its feasibility report is for another target");
    if (strcmp(text(report, "verdict"), "pass") == 0 || strcmp(text(report, "verdict"), "warn") == 0) return 0;
    wr_err_set(err, WEIR_ENO, "its feasibility study fails");
    first_failure(err, report);
    return WEIR_ENO;
}

static int judge(wr_project *p, const wr_registered_version *v, wr_str report, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    WR_AUTOJSON wr_json j = {0};
    char hash[WR_SHA256_HEX], key[200];
    const char *file = "";
    wr_err why = {0};
    if (!a) return wr_err_nomem(err);
    int target = project_target(hash, &file, a, p, err);
    if (target < 0) return target;
    snprintf(key, sizeof key, WR_REPORT_TAG "%.*s", WR_STR_FMT(wr_str_fit(report, 150)));
    if (target) target_tag(key, hash);
    wr_str id = tag_of(v, key);
    if (!id.n && target) {
        wr_err_set(err, WEIR_ENO, "there is no feasibility study of it for \"%s\"", file);
        return wr_err_hint(err, WEIR_ENO, "weir deploy study %s@%lld --target %s", v->name.p, (long long)v->version,
                           file);
    }
    int rc = read_report(&j, p, id, &why);
    bool ours = rc == 0 && strcmp(text(j.root, "report"), WR_FEASIBILITY_FORMAT) == 0;
    if (rc == WEIR_ENOMEM || (target && rc < 0)) return err ? (*err = why, rc) : rc;
    if (!ours && !target) return 0; /* another program's */
    if (!ours) return wr_err_set(err, WEIR_ENO, "its feasibility report is none of weir deploy study");
    return judge_report(p, a, v, j.root, target ? hash : NULL, err);
}

int wr_feasibility_judge(wr_project *p, const wr_registered_version *v, wr_str report, wr_err *err)
{
    if (!wr_str_is(report, WR_FEASIBILITY_REPORT) && !wr_str_starts(report, WR_FEASIBILITY_REPORT ".")) return 0;
    int rc = judge(p, v, report, err);
    if (rc == 0 || rc == WEIR_ENOMEM) return rc;
    if (err) err->code = WEIR_ENO;
    return wr_err_wrap(err, WEIR_ENO, "version %lld of \"%s\"", (long long)v->version, v->name.p);
}
