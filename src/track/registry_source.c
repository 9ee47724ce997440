/* SPDX-License-Identifier: Apache-2.0 */
/* registry_source.c - what may be the source of a version. Nobody should be able to register /etc/shadow and then
 * download it, nor smuggle ".." through an encoding that a later step undoes. */
#include <stdlib.h>

#include "codec/http.h"
#include "io/file.h"
#include "track/registry.h"

/* The scheme of a URI, {NULL,0} without one. */
static wr_str scheme_of(wr_str s)
{
    size_t n = 0;
    while (n < s.n && s.p[n] != ':') {
        char c = s.p[n];
        bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        if (!letter && (n == 0 || !((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.')))
            return (wr_str){NULL, 0};
        n++;
    }
    return n && n < s.n ? (wr_str){s.p, n} : (wr_str){NULL, 0};
}

bool wr_registered_source_local(wr_str source)
{
    wr_str scheme = scheme_of(source);
    return !scheme.p || wr_str_ieq(scheme, "file");
}

/* ---- decoding ---- */

/* One round of what a lenient reader of URLs undoes: %xx and +. True when something changed. */
static bool decode_once(char *s, size_t *n)
{
    bool plus = memchr(s, '+', *n) != NULL;
    size_t before = *n;
    *n = wr_http_undo(s, before, true);
    return plus || *n < before;
}

/* ---- URIs ---- */

static int invalid_uri(wr_str source, wr_err *err)
{
    return wr_err_set(err, WEIR_EINVAL,
                      "Invalid model version source: '%.*s'. If supplying a source as an http, https, local file path, "
                      "ftp, objectstore, or mlflow-artifacts uri, an absolute path must be provided without relative "
                      "path references present. Please provide an absolute path.",
                      WR_STR_FMT(wr_str_fit(source, 60)));
}

static wr_str path_of(wr_str uri)
{
    wr_str path = wr_str_sub(uri, scheme_of(uri).n + 1, uri.n);
    if (wr_str_starts(path, "//")) { /* authority */
        path = wr_str_sub(path, 2, path.n);
        size_t n = 0;
        while (n < path.n && !strchr("/?#", path.p[n])) n++;
        path = wr_str_sub(path, n, path.n);
    }
    for (size_t i = 0; i < path.n; i++)
        if (path.p[i] == '?' || path.p[i] == '#') return wr_str_sub(path, 0, i);
    return path;
}

/* Absolute, no "." and ".." segments. Repeated slashes and those at the end are forgiven. */
static bool normal(wr_str path)
{
    if (!path.n || *path.p != '/') return false;
    for (wr_str rest = path; rest.p;) {
        wr_str part = wr_str_cut(&rest, '/');
        if (wr_str_is(part, ".") || wr_str_is(part, "..")) return false;
    }
    return true;
}

static int check_uri(wr_str source, wr_err *err)
{
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    wr_buf_slice(&b, source);
    if (b.failed) return wr_err_nomem(err);
    while (b.n && decode_once(b.p, &b.n)) {}
    wr_str s = {b.p ? b.p : "", b.n};
    if (memchr(s.p, 0, s.n)) return invalid_uri(source, err);
    for (wr_str rest = s; rest.p;)
        if (wr_str_is(wr_str_cut(&rest, '/'), "..")) return invalid_uri(source, err);
    return normal(path_of(s)) ? 0 : invalid_uri(source, err);
}

/* ---- paths of this machine ---- */

static int invalid_path(wr_str source, bool model, wr_err *err)
{
    const char *what = model ? "model_id" : "run_id";
    return wr_err_set(err, WEIR_EINVAL,
                      "Invalid model version source: '%.*s'. To use a local path as a model version source, the %s "
                      "request parameter has to be specified and the local path has to be contained within the "
                      "artifact directory of the run specified by the %s.",
                      WR_STR_FMT(wr_str_fit(source, 60)), what, what);
}

/* Links followed in the part of `path` that exists. */
static char *follow(wr_arena *a, char *path)
{
    for (size_t n = strlen(path); n > 0;) {
        char *head = wr_arena_strndup(a, path, n), *real = head ? realpath(head, NULL) : NULL;
        if (real) {
            char *out = wr_arena_printf(a, "%s%s", strcmp(real, "/") ? real : "", path + n);
            free(real);
            return out;
        }
        do n--;
        while (n > 0 && path[n] != '/');
    }
    return path;
}

/* Path of a file: URI or of a plain path, absolute; NULL when it cannot be one. */
static char *real_path(wr_arena *a, wr_str uri)
{
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    bool is_uri = scheme_of(uri).p != NULL;
    wr_buf_slice(&b, is_uri ? path_of(uri) : uri);
    if (b.failed || !b.n) return NULL;
    if (is_uri) (void)decode_once(b.p, &b.n);
    if (memchr(b.p, 0, b.n)) return NULL;
    char *text = wr_arena_strndup(a, b.p, b.n), *path = text ? wr_path_absolute(a, text) : NULL;
    return path ? follow(a, path) : NULL;
}

static bool inside(const char *dir, const char *path)
{
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/') n--;
    return strncmp(dir, path, n) == 0 && (path[n] == 0 || path[n] == '/' || n == 1);
}

int wr_registered_source_check(wr_str source, wr_str artifacts, bool model, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return wr_err_nomem(err);
    if (!wr_registered_source_local(source)) return check_uri(source, err);
    if (!artifacts.n || !wr_registered_source_local(artifacts)) return invalid_path(source, model, err);
    char *dir = real_path(a, artifacts), *path = real_path(a, source);
    if (wr_arena_failed(a)) return wr_err_nomem(err);
    return dir && path && inside(dir, path) ? 0 : invalid_path(source, model, err);
}

int wr_registered_source_prompt(wr_str source, wr_err *err)
{
    wr_str scheme = scheme_of(source);
    if ((scheme.p && wr_str_ieq(scheme, "file")) || (!scheme.p && source.n && *source.p == '/'))
        return wr_err_set(err, WEIR_EINVAL,
                          "Invalid prompt source: '%.*s'. Local source paths are not allowed for prompts.",
                          WR_STR_FMT(wr_str_fit(source, 100)));
    return scheme.p ? check_uri(source, err) : 0;
}
