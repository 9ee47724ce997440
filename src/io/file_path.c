/* SPDX-License-Identifier: Apache-2.0 */
/* file_path.c - paths as text. All return NULL when out of memory. */
#include <unistd.h>

#include "io/file.h"

char *wr_path_join(wr_arena *a, const char *dir, const char *name)
{
    size_t n = strlen(dir);
    if (name[0] == '/' || n == 0 || strcmp(dir, ".") == 0) return wr_arena_strdup(a, name[0] || n == 0 ? name : dir);
    if (!name[0]) return wr_arena_strdup(a, dir);
    while (n > 0 && dir[n - 1] == '/') n--;
    return wr_arena_printf(a, "%.*s/%s", (int)n, dir, name);
}

const char *wr_path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

char *wr_path_dir(wr_arena *a, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return wr_arena_strdup(a, ".");
    while (slash > path && slash[-1] == '/') slash--; /* "a//b" lies in "a" */
    return slash == path ? wr_arena_strdup(a, "/") : wr_arena_strndup(a, path, (size_t)(slash - path));
}

/* Appends the components of `path` to out[0..n), which holds "/x/y" without a slash at the end (empty for the root). */
static size_t resolve(char *out, size_t n, const char *path)
{
    wr_str rest = wr_str_of(path);
    while (rest.p) {
        wr_str part = wr_str_cut(&rest, '/');
        if (part.n == 0 || wr_str_is(part, ".")) continue;
        if (wr_str_is(part, "..")) {
            while (n > 0 && out[--n] != '/') {}
            continue;
        }
        out[n++] = '/';
        memcpy(out + n, part.p, part.n);
        n += part.n;
    }
    return n;
}

char *wr_path_absolute(wr_arena *a, const char *path)
{
    char here[4096] = "";
    if (path[0] != '/' && !getcwd(here, sizeof here)) here[0] = 0; /* a removed working folder counts as the root */
    char *out = wr_arena_alloc(a, strlen(here) + strlen(path) + 4);
    if (!out) return NULL;
    size_t n = resolve(out, resolve(out, 0, here), path);
    if (n == 0) out[n++] = '/';
    out[n] = 0;
    return out;
}
