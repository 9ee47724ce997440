/* SPDX-License-Identifier: Apache-2.0 */
/* artifacts.c - listing, reading and deleting files of runs and models; uploads in parts; links for a while. */
#include "wire/mlflow/artifacts.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/num.h"
#include "codec/http.h"
#include "store/artifacts.h"
#include "store/artifacts_sign.h"
#include "track/logged_model.h"
#include "track/registry.h"
#include "track/run.h"
#include "wire/mlflow/access.h"
#include "wire/mlflow/rpcs.h"

enum {
    UPLOAD_MAX = 10 << 20, /* of upload-artifact, MLflow's limit */
    LINK_S = 900,          /* how long a link for reading is good */
    PART_S = 24 * 3600,    /* a part of a large upload may wait long for its turn */
    DECODE_MAX = 10,
};

/* ---- paths ---- */

/* Not a word more: clients compare. */
static int bad_path(wr_err *err) { return wr_err_set(err, WEIR_EINVAL, "Invalid path"); }

/* A path that, decoded once more by somebody behind us, would climb. */
static bool climbs(wr_str path)
{
    if (path.n && path.p[0] == '/') return true;
    for (wr_str rest = path; rest.p;)
        if (wr_str_is(wr_str_cut(&rest, '/'), "..")) return true;
    return false;
}

int wr_mlflow_safe_path(wr_str *out, wr_arena *a, wr_str path, wr_err *err)
{
    wr_err why = {0};
    while (path.n > 1 && path.p[path.n - 1] == '/') path.n--;
    if (wr_artifact_path_check(path, &why) < 0) return bad_path(err);
    wr_str inner = path;
    for (int i = 0; i < DECODE_MAX && memchr(inner.p, '%', inner.n); i++) {
        WR_AUTOBUF wr_buf b;
        wr_buf_init(&b, 0);
        if (!wr_http_decode(&b, inner, false) || wr_str_eq(wr_buf_view(&b), inner)) break;
        if (climbs(wr_buf_view(&b))) return bad_path(err);
        inner = wr_arena_str(a, wr_buf_view(&b));
        if (!inner.p) return wr_err_nomem(err);
    }
    *out = path;
    return 0;
}

static int not_here(wr_str uri, wr_err *err)
{
    wr_err_set(err, WEIR_EINVAL, "Artifacts at '%.*s' are not kept by this server", WR_STR_FMT(wr_str_fit(uri, 150)));
    return wr_err_hint(err, WEIR_EINVAL, "the client reads and writes them itself");
}

int wr_mlflow_store_path(wr_str *out, wr_arena *a, wr_str uri, wr_str relative, wr_err *err)
{
    wr_str root;
    if (!wr_track_artifact_path(&root, uri)) return not_here(uri, err);
    const char *sep = root.n && relative.n ? "/" : "";
    char *path = wr_arena_printf(a, "%.*s%s%.*s", WR_STR_FMT(root), sep, WR_STR_FMT(relative));
    if (!path) return wr_err_nomem(err);
    *out = wr_str_of(path);
    return out->n ? wr_mlflow_safe_path(out, a, *out, err) : 0;
}

/* ---- downloads ---- */

const char *wr_mlflow_mime(wr_str name)
{
    static const char *const text[] = {
        "txt", "log", "err",  "cfg", "conf", "cnf", "cf",  "ini", "properties", "prop", "hocon",   "toml",     "yaml",
        "yml", "xml", "json", "js",  "py",   "py3", "csv", "tsv", "md",         "rst",  "MLmodel", "mlproject"};
    static const struct {
        const char *end, *type;
    } types[] = {
        {"png", "image/png"},
        {"jpg", "image/jpeg"},
        {"jpeg", "image/jpeg"},
        {"gif", "image/gif"},
        {"svg", "image/svg+xml"},
        {"webp", "image/webp"},
        {"bmp", "image/bmp"},
        {"tif", "image/tiff"},
        {"tiff", "image/tiff"},
        {"ico", "image/vnd.microsoft.icon"},
        {"html", "text/html"},
        {"htm", "text/html"},
        {"css", "text/css"},
        {"pdf", "application/pdf"},
        {"zip", "application/zip"},
        {"tar", "application/x-tar"},
        {"mp4", "video/mp4"},
        {"webm", "video/webm"},
        {"mp3", "audio/mpeg"},
        {"wav", "audio/x-wav"},
        {"h5", "application/x-hdf5"},
        {"wasm", "application/wasm"},
        {"doc", "application/msword"},
        {"xls", "application/vnd.ms-excel"},
        {"ppt", "application/vnd.ms-powerpoint"},
        {"sh", "application/x-sh"},
    };
    size_t slash = name.n, dot = name.n;
    while (slash > 0 && name.p[slash - 1] != '/') slash--;
    wr_str base = wr_str_sub(name, slash, name.n);
    for (size_t i = 1; i < base.n; i++)
        if (base.p[i] == '.') dot = i + 1;
    wr_str end = dot < base.n ? wr_str_sub(base, dot, base.n) : base;
    for (size_t i = 0; i < sizeof text / sizeof *text; i++)
        if (wr_str_is(end, text[i])) return "text/plain";
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (wr_str_ieq(end, types[i].end)) return types[i].type;
    return "application/octet-stream";
}

static bool is_token(wr_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool letter = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
        if (!letter && !strchr("!#$&+-.^_`|~%", c)) return false;
    }
    return s.n > 0;
}

const char *wr_mlflow_download_headers(wr_arena *a, wr_str path)
{
    size_t slash = path.n;
    while (slash > 0 && path.p[slash - 1] != '/') slash--;
    wr_str name = wr_str_sub(path, slash, path.n);
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 8192);
    wr_buf_str(&b, "X-Content-Type-Options: nosniff\r\nContent-Disposition: attachment; filename=");
    if (is_token(name)) {
        wr_buf_slice(&b, name);
    } else { /* RFC 6266: for all, and for those who know UTF-8 */
        wr_buf_char(&b, '"');
        for (size_t i = 0; i < name.n; i++) {
            bool plain = name.p[i] >= 0x20 && name.p[i] < 0x7f && name.p[i] != '"' && name.p[i] != '\\';
            wr_buf_char(&b, plain ? name.p[i] : '_');
        }
        wr_buf_str(&b, "\"; filename*=UTF-8''");
        wr_http_encode(&b, name, false);
    }
    wr_buf_str(&b, "\r\n");
    return b.failed ? NULL : wr_arena_str(a, wr_buf_view(&b)).p;
}

static int content(wr_mlflow_call *c, wr_str path, wr_err *err)
{
    if (!c->artifacts) return wr_err_set(err, WEIR_EUNSUPPORTED, "this server keeps no artifacts");
    int rc = wr_artifacts_read(&c->content, c->artifacts, path, err);
    if (rc < 0) return rc;
    c->content_path = path;
    c->type = wr_mlflow_mime(path);
    c->headers = wr_mlflow_download_headers(c->arena, path);
    return c->headers ? 0 : wr_err_nomem(err);
}

static int download(wr_mlflow_call *c, wr_err *err)
{
    wr_str path;
    WR_TRY(wr_mlflow_safe_path(&path, c->arena, c->segment[0], err));
    return content(c, path, err);
}

int wr_mlflow_content(wr_mlflow_call *c, wr_str uri, wr_str relative, wr_err *err)
{
    wr_str path;
    WR_TRY(wr_mlflow_store_path(&path, c->arena, uri, relative, err));
    return content(c, path, err);
}

/* A file below the root of a run or model. */
static int content_below(wr_mlflow_call *c, wr_str uri, const char *argument, wr_err *err)
{
    wr_str relative;
    WR_TRY(wr_mlflow_safe_path(&relative, c->arena, wr_mlflow_str(c, argument), err));
    return wr_mlflow_content(c, uri, relative, err);
}

static int run_of(wr_track_run *r, wr_mlflow_call *c, wr_err *err)
{
    wr_str id = wr_mlflow_str(c, "run_id");
    if (!id.n) id = wr_mlflow_str(c, "run_uuid");
    if (!id.n) return wr_mlflow_missing(err, "run_id");
    return wr_track_run_get(r, c->arena, c->track, id, err);
}

static int get_artifact(wr_mlflow_call *c, wr_err *err)
{
    wr_track_run r;
    WR_TRY(run_of(&r, c, err));
    return content_below(c, r.artifact_uri, "path", err);
}

static int get_version_artifact(wr_mlflow_call *c, wr_err *err)
{
    wr_str path;
    wr_registered_version v;
    int64_t version = wr_mlflow_i64(c, "version", 0);
    WR_TRY(wr_mlflow_safe_path(&path, c->arena, wr_mlflow_str(c, "path"), err));
    WR_TRY(wr_registered_version_get(&v, c->arena, c->track, wr_mlflow_str(c, "name"), version, err));
    return content_below(c, wr_registered_version_location(&v), "path", err);
}

static int get_model_artifact(wr_mlflow_call *c, wr_err *err)
{
    wr_logged_model m;
    WR_TRY(wr_logged_model_get(&m, c->arena, c->track, c->segment[0], false, err));
    return content_below(c, m.artifact_uri, "artifact_file_path", err);
}

/* ---- lists ---- */

/* `shown` is put in front of the names. */
static int put_files(wr_mlflow_call *c, wr_str path, wr_str shown, wr_err *err)
{
    wr_artifact_entry *list;
    size_t n;
    if (!c->artifacts) return wr_err_set(err, WEIR_EUNSUPPORTED, "this server keeps no artifacts");
    WR_TRY(wr_artifacts_list(&list, &n, c->arena, c->artifacts, path, err));
    wr_jsonw *w = &c->w;
    if (!n) return 0; /* an empty list is left out, as everywhere in this protocol */
    wr_jsonw_key(w, "files");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < n; i++) {
        char *name = wr_arena_printf(c->arena, "%.*s%s%s", WR_STR_FMT(shown), shown.n ? "/" : "", list[i].name);
        if (!name) return wr_err_nomem(err);
        wr_jsonw_obj(w);
        wr_jsonw_kstr(w, "path", name);
        wr_jsonw_kbool(w, "is_dir", list[i].is_dir);
        if (!list[i].is_dir) wr_jsonw_ki64(w, "file_size", list[i].size);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
    return 0;
}

/* An argument that is a path, or nothing. */
static int optional_path(wr_str *out, wr_mlflow_call *c, const char *argument, wr_err *err)
{
    wr_str path = wr_mlflow_str(c, argument);
    *out = WR_STR("");
    return path.n ? wr_mlflow_safe_path(out, c->arena, path, err) : 0;
}

static int list_proxied(wr_mlflow_call *c, wr_err *err)
{
    wr_str path;
    WR_TRY(optional_path(&path, c, "path", err));
    return put_files(c, path, WR_STR(""), err);
}

static int list_below(wr_mlflow_call *c, wr_str uri, const char *argument, wr_err *err)
{
    wr_str relative, path;
    WR_TRY(optional_path(&relative, c, argument, err));
    WR_TRY(wr_mlflow_store_path(&path, c->arena, uri, relative, err));
    wr_jsonw_kslice(&c->w, "root_uri", uri);
    return put_files(c, path, relative, err);
}

static int list_run(wr_mlflow_call *c, wr_err *err)
{
    wr_track_run r;
    WR_TRY(run_of(&r, c, err));
    return list_below(c, r.artifact_uri, "path", err);
}

static int list_model(wr_mlflow_call *c, wr_err *err)
{
    wr_logged_model m;
    WR_TRY(wr_logged_model_get(&m, c->arena, c->track, c->segment[0], false, err));
    return list_below(c, m.artifact_uri, "artifact_directory_path", err);
}

static int delete_artifacts(wr_mlflow_call *c, wr_err *err)
{
    wr_str path;
    WR_TRY(wr_mlflow_safe_path(&path, c->arena, c->segment[0], err));
    if (!c->artifacts) return wr_err_set(err, WEIR_EUNSUPPORTED, "this server keeps no artifacts");
    return wr_artifacts_delete(c->artifacts, path, err);
}

/* ---- links for a while ---- */

/* Our own: BASE + place + path [+ query], signed. */
static int own_link(wr_buf *url, wr_mlflow_call *c, const char *method, const char *place, wr_str path,
                    const char *query, int64_t seconds, wr_err *err)
{
    WR_AUTOBUF wr_buf target;
    wr_buf_init(&target, 0);
    if (!c->signer || !c->base) return wr_err_set(err, WEIR_EUNSUPPORTED, "Multipart upload is not supported here");
    wr_buf_str(&target, place);
    wr_http_encode(&target, path, true);
    if (query) wr_buf_str(&target, query);
    wr_sign_target(&target, c->signer, method, wr_clock_wall_us() / WR_US + seconds);
    wr_buf_str(url, c->base);
    wr_buf_slice(url, wr_buf_view(&target));
    return url->failed || target.failed ? wr_err_nomem(err) : 0;
}

static int presigned(wr_mlflow_call *c, wr_err *err)
{
    wr_str path;
    wr_artifact_info info;
    WR_AUTOBUF wr_buf url;
    wr_buf_init(&url, 0);
    WR_TRY(wr_mlflow_safe_path(&path, c->arena, c->segment[0], err));
    if (!c->artifacts) return wr_err_set(err, WEIR_EUNSUPPORTED, "this server keeps no artifacts");
    WR_TRY(wr_artifacts_stat(&info, c->artifacts, path, err));
    if (info.is_dir) return wr_err_set(err, WEIR_EINVAL, "'%.*s' is a folder", WR_STR_FMT(wr_str_fit(path, 200)));
    int rc = wr_artifacts_presign(&url, c->artifacts, "GET", path, NULL, 0, LINK_S, err);
    if (rc == WEIR_EUNSUPPORTED) rc = own_link(&url, c, "GET", WR_MLFLOW_SIGNED, path, NULL, LINK_S, err);
    if (rc < 0) return rc;
    wr_jsonw_kslice(&c->w, "url", wr_buf_view(&url));
    wr_jsonw_key(&c->w, "headers");
    wr_jsonw_obj(&c->w);
    wr_jsonw_end(&c->w);
    wr_jsonw_ki64(&c->w, "file_size", info.size);
    return 0;
}

static int presigned_upload(wr_mlflow_call *c, wr_err *err)
{
    wr_track_run r;
    wr_str path, at;
    WR_TRY(wr_mlflow_safe_path(&path, c->arena, wr_mlflow_str(c, "path"), err));
    WR_TRY(run_of(&r, c, err));
    if (!wr_track_artifact_path(&at, r.artifact_uri)) return not_here(r.artifact_uri, err);
    wr_str scheme = wr_str_cut(&r.artifact_uri, ':');
    return wr_err_set(err, WEIR_EINVAL,
                      "Presigned upload is not supported for runs with proxied artifact storage (artifact URI scheme: "
                      "%.*s). This endpoint requires a run with a direct cloud storage artifact URI.",
                      WR_STR_FMT(scheme));
}

/* ---- uploads in parts ---- */

/* The folder of the URL and the last part of "path", which is a path on the client's machine. */
static int target_of(wr_str *out, wr_mlflow_call *c, wr_err *err)
{
    wr_str name = wr_mlflow_str(c, "path"), dir = c->segment[0];
    size_t from = name.n;
    while (from > 0 && name.p[from - 1] != '/' && name.p[from - 1] != '\\') from--;
    name = wr_str_sub(name, from, name.n);
    while (dir.n && dir.p[dir.n - 1] == '/') dir.n--;
    char *path = wr_arena_printf(c->arena, "%.*s%s%.*s", WR_STR_FMT(dir), dir.n ? "/" : "", WR_STR_FMT(name));
    if (!path) return wr_err_nomem(err);
    if (!c->artifacts) return wr_err_set(err, WEIR_EUNSUPPORTED, "Multipart upload is not supported here");
    return wr_mlflow_safe_path(out, c->arena, wr_str_of(path), err);
}

static int put_credential(wr_mlflow_call *c, wr_str path, const char *id, int number, wr_err *err)
{
    WR_AUTOBUF wr_buf url;
    wr_buf_init(&url, 0);
    int rc = wr_artifacts_presign(&url, c->artifacts, "PUT", path, id, number, PART_S, err);
    if (rc == WEIR_EUNSUPPORTED) {
        char query[WR_ARTIFACT_UPLOAD + 40];
        if (snprintf(query, sizeof query, "?upload=%s&part=%d", id, number) < 0) return wr_err_nomem(err);
        rc = own_link(&url, c, "PUT", WR_MLFLOW_PART, path, query, PART_S, err);
    }
    if (rc < 0) return rc;
    wr_jsonw_obj(&c->w);
    wr_jsonw_kslice(&c->w, "url", wr_buf_view(&url));
    wr_jsonw_ki64(&c->w, "part_number", number);
    wr_jsonw_end(&c->w);
    return 0;
}

static int mpu_create(wr_mlflow_call *c, wr_err *err)
{
    wr_str path;
    char id[WR_ARTIFACT_UPLOAD];
    int64_t n = wr_mlflow_i64(c, "num_parts", 1);
    WR_TRY(target_of(&path, c, err));
    if (n < 1 || n > WR_ARTIFACT_PARTS_MAX)
        return wr_err_set(err, WEIR_EINVAL, "num_parts %lld is not between 1 and %d", (long long)n,
                          WR_ARTIFACT_PARTS_MAX);
    WR_TRY(wr_artifacts_parts_create(id, c->artifacts, path, err));
    wr_jsonw_kstr(&c->w, "upload_id", id);
    wr_jsonw_key(&c->w, "credentials");
    wr_jsonw_arr(&c->w);
    for (int i = 1; i <= (int)n; i++) WR_TRY(put_credential(c, path, id, i, err));
    wr_jsonw_end(&c->w);
    return 0;
}

/* The upload's id, as text that ends. */
static int upload_id(const char **out, wr_mlflow_call *c, wr_err *err)
{
    wr_str id = wr_mlflow_str(c, "upload_id");
    if (!id.n || id.n >= WR_ARTIFACT_UPLOAD) return wr_mlflow_missing(err, "upload_id");
    *out = wr_arena_str(c->arena, id).p;
    return *out ? 0 : wr_err_nomem(err);
}

static int one_part(wr_artifact_part *out, yyjson_val *v, size_t i, wr_err *err)
{
    int64_t number;
    wr_str etag = wr_mlflow_str_of(v, "etag");
    if (!wr_mlflow_i64_of(&number, yyjson_obj_get(v, "part_number")) || number < 1 || number > WR_ARTIFACT_PARTS_MAX) {
        char name[40];
        snprintf(name, sizeof name, "parts[%zu].part_number", i);
        return wr_mlflow_invalid(err, name, v, NULL);
    }
    if (etag.n >= 2 && etag.p[0] == '"' && etag.p[etag.n - 1] == '"') etag = wr_str_sub(etag, 1, etag.n - 1);
    if (etag.n >= sizeof out->etag)
        return wr_err_set(err, WEIR_EINVAL, "the etag of part %lld is too long", (long long)number);
    *out = (wr_artifact_part){.number = (int)number};
    memcpy(out->etag, etag.p ? etag.p : "", etag.n);
    return 0;
}

static int mpu_complete(wr_mlflow_call *c, wr_err *err)
{
    wr_str path;
    const char *id;
    size_t i, n;
    yyjson_val *all = wr_mlflow_val(c, "parts"), *v;
    WR_TRY(target_of(&path, c, err));
    WR_TRY(upload_id(&id, c, err));
    if (!all) return wr_mlflow_missing(err, "parts");
    n = yyjson_arr_size(all);
    if (n > WR_ARTIFACT_PARTS_MAX) return wr_err_set(err, WEIR_EINVAL, "more than %d parts", WR_ARTIFACT_PARTS_MAX);
    wr_artifact_part *parts = wr_arena_calloc(c->arena, n + 1, sizeof *parts);
    if (!parts) return wr_err_nomem(err);
    yyjson_arr_foreach(all, i, n, v) WR_TRY(one_part(&parts[i], v, i, err));
    return wr_artifacts_parts_complete(c->artifacts, path, id, parts, n, NULL, err);
}

static int mpu_abort(wr_mlflow_call *c, wr_err *err)
{
    wr_str path;
    const char *id;
    WR_TRY(target_of(&path, c, err));
    WR_TRY(upload_id(&id, c, err));
    return wr_artifacts_parts_abort(c->artifacts, path, id, err);
}

/* ---- bodies of bytes ---- */

static int argument(wr_str *out, wr_arena *a, wr_str query, const char *name)
{
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    *out = (wr_str){0};
    if (!wr_http_query(&b, query, name) || b.n == 0) return 0;
    *out = wr_arena_str(a, wr_buf_view(&b));
    return out->p ? 0 : WEIR_ENOMEM;
}

static int decoded(wr_str *out, wr_arena *a, wr_str encoded, wr_err *err)
{
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    if (!wr_http_decode(&b, encoded, false)) return bad_path(err);
    wr_str path = wr_arena_str(a, wr_buf_view(&b));
    return path.p ? wr_mlflow_safe_path(out, a, path, err) : wr_err_nomem(err);
}

/* The signature was checked by the server: it says that we made this target. */
static int part_of(wr_mlflow_upload *out, wr_arena *a, wr_str encoded, wr_str query, wr_err *err)
{
    wr_str number;
    int64_t n;
    WR_TRY(decoded(&out->path, a, encoded, err));
    if (argument(&out->upload, a, query, "upload") < 0 || argument(&number, a, query, "part") < 0)
        return wr_err_nomem(err);
    if (!out->upload.n) return wr_mlflow_missing(err, "upload");
    if (wr_num_i64(&n, number, NULL) < 0 || n < 1 || n > WR_ARTIFACT_PARTS_MAX) return wr_mlflow_missing(err, "part");
    out->part = (int)n;
    return 1;
}

static int ajax_of(wr_mlflow_upload *out, wr_arena *a, wr_track *t, const wr_mlflow_access *access, wr_str query,
                   wr_err *err)
{
    wr_str run, path;
    wr_track_run r;
    if (argument(&run, a, query, "run_uuid") < 0 || argument(&path, a, query, "path") < 0) return wr_err_nomem(err);
    if (!run.n) return wr_err_set(err, WEIR_EINVAL, "Request must specify run_uuid.");
    if (!path.n) return wr_err_set(err, WEIR_EINVAL, "Request must specify path.");
    WR_TRY(wr_mlflow_safe_path(&path, a, path, err));
    WR_TRY(wr_track_run_get(&r, a, t, run, err));
    WR_TRY(wr_mlflow_need_experiment(access, r.experiment, WR_CAN_EDIT, err));
    WR_TRY(wr_mlflow_store_path(&out->path, a, r.artifact_uri, path, err));
    out->max = UPLOAD_MAX;
    return 1;
}

int wr_mlflow_upload_of(wr_mlflow_upload *out, wr_arena *a, wr_track *t, const wr_mlflow_access *access, wr_str method,
                        wr_str path, wr_str query, wr_err *err)
{
    static const char proxied[] = "2.0/mlflow-artifacts/artifacts/";
    *out = (wr_mlflow_upload){.max = -1};
    if (wr_str_starts(path, WR_MLFLOW_PART)) {
        if (!wr_str_is(method, "PUT")) return 0;
        return part_of(out, a, wr_str_sub(path, sizeof WR_MLFLOW_PART - 1, path.n), query, err);
    }
    if (wr_str_starts(path, "/api/")) path = wr_str_sub(path, 5, path.n);
    else if (wr_str_starts(path, "/ajax-api/")) path = wr_str_sub(path, 10, path.n);
    else return 0;
    if (wr_str_is(method, "POST") && wr_str_is(path, "2.0/mlflow/upload-artifact"))
        return ajax_of(out, a, t, access, query, err);
    if (!wr_str_is(method, "PUT") || !wr_str_starts(path, proxied)) return 0;
    WR_TRY(decoded(&out->path, a, wr_str_sub(path, sizeof proxied - 1, path.n), err));
    WR_TRY(wr_mlflow_need_artifact(access, out->path, WR_CAN_EDIT, err));
    return 1;
}

#define RUN_ARGUMENTS                                                                                                  \
    {"run_id", 's', false}, { "run_uuid", 's', false }
#define MPU_PATH                                                                                                       \
    {                                                                                                                  \
        "path", 's', true                                                                                              \
    }

static const wr_mlflow_rpc rpcs[] = {
    {"GET", "2.0/mlflow/artifacts/list", WR_MLFLOW_QUERY, list_run, {RUN_ARGUMENTS, {"path", 's', false}}},
    {"POST",
     "2.0/mlflow/artifacts/presigned-upload-url",
     WR_MLFLOW_QUERY,
     presigned_upload,
     {{"run_id", 's', true}, {"path", 's', true}, {"expiration", 'i', false}}},
    {"GET", "/get-artifact", WR_MLFLOW_QUERY, get_artifact, {RUN_ARGUMENTS, {"path", 's', true}}},
    {"GET",
     "/model-versions/get-artifact",
     WR_MLFLOW_QUERY,
     get_version_artifact,
     {{"name", 's', true}, {"version", 'i', true}, {"path", 's', true}}},
    {"GET",
     "2.0/mlflow/logged-models/{}/artifacts/files",
     WR_MLFLOW_QUERY,
     get_model_artifact,
     {{"artifact_file_path", 's', true}}},
    {"GET",
     "2.0/mlflow/logged-models/{}/artifacts/directories",
     WR_MLFLOW_QUERY,
     list_model,
     {{"artifact_directory_path", 's', false}}},
    {"GET", "2.0/mlflow-artifacts/artifacts", WR_MLFLOW_QUERY, list_proxied, {{"path", 's', false}}},
    {"GET", "2.0/mlflow-artifacts/artifacts/*", WR_MLFLOW_QUERY, download, {{0}}},
    {"DELETE", "2.0/mlflow-artifacts/artifacts/*", WR_MLFLOW_QUERY, delete_artifacts, {{0}}},
    {"GET", "2.0/mlflow-artifacts/signed/*", WR_MLFLOW_QUERY, download, {{0}}},
    {"GET", "2.0/mlflow-artifacts/presigned/*", WR_MLFLOW_QUERY, presigned, {{0}}},
    {"POST", "2.0/mlflow-artifacts/mpu/create", WR_MLFLOW_QUERY, mpu_create, {MPU_PATH, {"num_parts", 'i', false}}},
    {"POST", "2.0/mlflow-artifacts/mpu/create/*", WR_MLFLOW_QUERY, mpu_create, {MPU_PATH, {"num_parts", 'i', false}}},
    {"POST",
     "2.0/mlflow-artifacts/mpu/complete",
     WR_MLFLOW_QUERY,
     mpu_complete,
     {MPU_PATH, {"upload_id", 's', false}, {"parts", 'a', false}}},
    {"POST",
     "2.0/mlflow-artifacts/mpu/complete/*",
     WR_MLFLOW_QUERY,
     mpu_complete,
     {MPU_PATH, {"upload_id", 's', false}, {"parts", 'a', false}}},
    {"POST", "2.0/mlflow-artifacts/mpu/abort", WR_MLFLOW_QUERY, mpu_abort, {MPU_PATH, {"upload_id", 's', false}}},
    {"POST", "2.0/mlflow-artifacts/mpu/abort/*", WR_MLFLOW_QUERY, mpu_abort, {MPU_PATH, {"upload_id", 's', false}}},
};
const wr_mlflow_rpcs wr_mlflow_artifacts = {rpcs, sizeof rpcs / sizeof *rpcs};
