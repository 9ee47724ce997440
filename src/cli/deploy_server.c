/* SPDX-License-Identifier: Apache-2.0 */
/* deploy_server.c - where the server is, and one request to it. */
#include "cli/deploy_server.h"

#include <stdlib.h>

#include "core/up.h"
#include "io/fetch.h"

enum { TIMEOUT_MS = 600000, ANSWER_MAX = 256 << 20 };
static const char otherwise[] = "http://127.0.0.1:8080";

/* Without a project there is nothing that tells. */
int wr_deploy_url(const char **url, wr_cli *c, wr_err *err)
{
    wr_project *p;
    wr_up up;
    wr_err none = {0};
    *url = wr_cli_text(c, "url");
    if (*url) return 0;
    *url = otherwise;
    if (wr_cli_project(c, &p, &none) < 0 || wr_up_find(&up, wr_cli_arena(c), p, &none) < 0) return 0;
    *url = up.url;
    return up.url ? 0 : wr_err_nomem(err);
}

char *wr_deploy_path(wr_cli *c, const char *before, const char *name, const char *after)
{
    static const char digits[] = "0123456789ABCDEF";
    WR_AUTOBUF wr_buf b = {0};
    wr_buf_str(&b, before);
    for (const char *p = name; *p; p++) {
        unsigned char ch = (unsigned char)*p;
        bool plain = (ch >= '0' && ch <= '9') || (ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z') || ch == '-' ||
                     ch == '.' || ch == '_';
        if (plain) {
            wr_buf_char(&b, *p);
        } else {
            wr_buf_char(&b, '%');
            wr_buf_char(&b, digits[ch >> 4]);
            wr_buf_char(&b, digits[ch & 15]);
        }
    }
    wr_buf_str(&b, after);
    return b.failed ? NULL : wr_arena_strdup(wr_cli_arena(c), wr_buf_cstr(&b));
}

static int code_of(int status)
{
    switch (status) {
    case 401:
    case 403:
        return WEIR_EACCESS;
    case 404:
        return WEIR_ENOTFOUND;
    case 413:
        return WEIR_ELIMIT;
    case 501:
        return WEIR_EUNSUPPORTED;
    case 503:
        return WEIR_EUNAVAILABLE;
    default:
        return status < 500 ? WEIR_EINVAL : WEIR_EIO;
    }
}

static int refused(int status, wr_str body, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    wr_str text = {NULL, 0}, hint = {NULL, 0};
    int code = code_of(status);
    if (wr_json_parse(&j, body, "answer", NULL) == 0) {
        (void)wr_json_str_or(&text, j.root, "error", NULL, NULL);
        if (!text.p) (void)wr_json_str_or(&text, j.root, "message", NULL, NULL);
        (void)wr_json_str_or(&hint, j.root, "hint", NULL, NULL);
    }
    if (text.p) wr_err_set(err, code, "%.*s", WR_STR_FMT(wr_str_fit(text, 300)));
    else wr_err_set(err, code, "the server answers with status %d", status);
    if (status == 401) return wr_err_hint(err, code, "MLFLOW_TRACKING_TOKEN says who asks; weir user token makes one");
    return hint.n ? wr_err_hint(err, code, "%.*s", WR_STR_FMT(wr_str_fit(hint, 300))) : code;
}

static int ask(wr_json *out, wr_fetch *f, wr_fetch_reply *r, const wr_fetch_opt *opt, const char *url, wr_err *err)
{
    wr_err why = {0};
    int rc = wr_fetch_run(r, f, opt, &why);
    if (rc == WEIR_EUNAVAILABLE) {
        wr_err_set(err, rc, "no server answers at %.200s", url);
        wr_err_detail(err, rc, "%s", why.detail);
        return wr_err_hint(err, rc, "weir up starts one; --url says where another is");
    }
    if (rc < 0) {
        if (err) *err = why;
        return strncmp(url, "http", 4) == 0 ? rc : wr_err_hint(err, rc, "--url is such as http://127.0.0.1:8080");
    }
    wr_str body = wr_buf_view(&r->body);
    if (r->status < 200 || r->status > 299) return refused(r->status, body, err);
    return wr_json_parse(out, wr_str_trim(body).n ? body : WR_STR("null"), "the server's answer", err);
}

int wr_deploy_ask(wr_json *out, wr_cli *c, const char *method, const char *path, const char *type, wr_str body,
                  wr_err *err)
{
    wr_fetch *f;
    wr_fetch_reply r = {0};
    const char *url, *headers[2], *token = getenv("MLFLOW_TRACKING_TOKEN");
    size_t n = 0;
    *out = (wr_json){0};
    WR_TRY(wr_deploy_url(&url, c, err));
    char *full = wr_arena_printf(wr_cli_arena(c), "%s%s", url, path);
    char *content = wr_arena_printf(wr_cli_arena(c), "Content-Type: %s", type);
    char *bearer = token ? wr_arena_printf(wr_cli_arena(c), "Authorization: Bearer %s", token) : NULL;
    if (!full || !content || (token && !bearer)) return wr_err_nomem(err);
    headers[n++] = content;
    if (bearer) headers[n++] = bearer;
    WR_TRY(wr_fetch_open(&f, err));
    wr_fetch_opt opt = {.method = method,
                        .url = full,
                        .headers = headers,
                        .nheaders = n,
                        .body = body,
                        .max = ANSWER_MAX,
                        .timeout_ms = TIMEOUT_MS};
    int rc = ask(out, f, &r, &opt, url, err);
    wr_fetch_reply_free(&r);
    wr_fetch_close(f);
    return rc;
}
