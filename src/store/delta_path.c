/* SPDX-License-Identifier: Apache-2.0 */
/* delta_path.c - file names as the log writes them: percent-encoded, '/' between folders. */
#include <ctype.h>
#include <string.h>

#include "codec/http.h"
#include "store/delta_inside.h"

static bool is_plain(char c) { return isalnum((unsigned char)c) ? !(c & 0x80) : c && strchr("-._~/=", c); }

void wr_delta_path_encode(wr_buf *out, wr_str path)
{
    for (size_t i = 0; i < path.n; i++) {
        if (is_plain(path.p[i])) wr_buf_char(out, path.p[i]);
        else wr_buf_printf(out, "%%%02X", (unsigned char)path.p[i]);
    }
}

bool wr_delta_path_inside(wr_str path)
{
    if (!path.n || path.p[0] == '/' || memchr(path.p, 0, path.n)) return false;
    const char *colon = memchr(path.p, ':', path.n), *slash = memchr(path.p, '/', path.n);
    if (colon && slash == colon + 1) return false; /* s3://..., file:/... */
    for (wr_str rest = path; rest.p;) {
        if (wr_str_is(wr_str_cut(&rest, '/'), "..")) return false;
    }
    return true;
}

int wr_delta_path_decode(char **out, wr_arena *a, wr_str url, wr_err *err)
{
    char *path = (char *)(uintptr_t)wr_arena_str(a, url).p;
    if (!path) return wr_err_nomem(err);
    size_t n = wr_http_undo(path, url.n, false);
    path[n] = 0;
    *out = path;
    if (wr_delta_path_inside((wr_str){path, n})) return 0;
    wr_err_set(err, WEIR_EUNSUPPORTED, "file \"%.200s\" is outside the table's folder", path);
    return wr_err_hint(err, WEIR_EUNSUPPORTED, "only relative paths below the table are read");
}
