/* SPDX-License-Identifier: Apache-2.0 */
/* place.c - mapping of ids, paths and URIs. */
#include "stage/import/place.h"

#include <stdlib.h>

#include "base/num.h"
#include "codec/http.h"
#include "io/file.h"

static wr_str without_slashes(wr_str s)
{
    while (s.n > 1 && s.p[s.n - 1] == '/') s.n--;
    return s;
}

static void add_root(wr_import_places *p, const char *text)
{
    wr_str s = without_slashes(wr_str_of(text));
    if (s.n && p->nroots < WR_IMPORT_ROOTS) p->roots[p->nroots++] = wr_arena_str(p->a, s);
}

int wr_import_places_init(wr_import_places *p, const char *tree, const char *was, wr_err *err)
{
    *p = (wr_import_places){.a = wr_arena_new(0), .sorted = true};
    if (!p->a) return wr_err_nomem(err);
    if (tree && wr_str_starts(wr_str_of(tree), "file:")) tree += strncmp(tree, "file://", 7) == 0 ? 7 : 5;
    if (tree) add_root(p, strstr(tree, "://") ? tree : wr_path_absolute(p->a, tree));
    if (tree && !strstr(tree, "://")) add_root(p, tree); /* as it was typed: URIs may be relative too */
    if (was) add_root(p, was);
    return wr_arena_failed(p->a) ? wr_err_nomem(err) : 0;
}

void wr_import_places_fini(wr_import_places *p)
{
    wr_vec_fini(&p->ids);
    wr_arena_free(p->a);
}

int wr_import_places_add(wr_import_places *p, int64_t theirs, int64_t ours, bool deleted, wr_err *err)
{
    wr_import_place_id id = {theirs, ours, deleted};
    if (p->ids.n && p->ids.at[p->ids.n - 1].theirs > theirs) p->sorted = false;
    if (theirs != ours) p->moved = true;
    return wr_vec_push(&p->ids, id) < 0 ? wr_err_nomem(err) : 0;
}

static int by_theirs(const void *x, const void *y)
{
    int64_t a = ((const wr_import_place_id *)x)->theirs, b = ((const wr_import_place_id *)y)->theirs;
    return a < b ? -1 : a > b;
}

int64_t wr_import_place(wr_import_places *p, int64_t theirs)
{
    wr_import_place_id want = {.theirs = theirs};
    if (!p->sorted) qsort(p->ids.at, p->ids.n, sizeof *p->ids.at, by_theirs);
    p->sorted = true;
    const wr_import_place_id *found = p->ids.n ? bsearch(&want, p->ids.at, p->ids.n, sizeof want, by_theirs) : NULL;
    return found ? found->ours : -1;
}

/* Only a first part that is the id of an experiment which is another here changes. */
wr_str wr_import_path(wr_import_places *p, wr_arena *a, wr_str path)
{
    int64_t theirs;
    wr_str rest = path, first = wr_str_cut(&rest, '/');
    if (!p->moved || wr_num_i64(&theirs, first, NULL) < 0) return path;
    int64_t ours = wr_import_place(p, theirs);
    if (ours < 0 || ours == theirs) return path;
    const char *text = rest.p ? wr_arena_printf(a, "%lld/%.*s", (long long)ours, WR_STR_FMT(rest))
                              : wr_arena_printf(a, "%lld", (long long)ours);
    return wr_str_of(text);
}

/* file:///a%20b -> /a b */
static wr_str decoded(wr_arena *a, wr_str s)
{
    char *out = wr_arena_dup(a, s.p, s.n);
    return out ? (wr_str){out, wr_http_undo(out, s.n, false)} : s;
}

/* The path below `root`; p NULL when it is elsewhere. */
static wr_str below(wr_str uri, wr_str root)
{
    if (uri.n < root.n || memcmp(uri.p, root.p, root.n) != 0) return (wr_str){NULL, 0};
    wr_str rest = wr_str_sub(uri, root.n, uri.n);
    if (rest.n && rest.p[0] != '/' && root.p[root.n - 1] != '/') return (wr_str){NULL, 0};
    while (rest.n && rest.p[0] == '/') rest = wr_str_sub(rest, 1, rest.n);
    return rest;
}

/* mlflow-artifacts:/p and mlflow-artifacts://host:port/p are of the server itself. */
static wr_str of_proxy(wr_str uri)
{
    wr_str rest = wr_str_sub(uri, strlen("mlflow-artifacts:"), uri.n);
    if (wr_str_starts(rest, "//") && !wr_str_starts(rest, "///")) {
        rest = wr_str_sub(rest, 2, rest.n);
        wr_str_cut(&rest, '/');
        if (!rest.p) rest = WR_STR("");
    }
    while (rest.n && rest.p[0] == '/') rest = wr_str_sub(rest, 1, rest.n);
    return rest;
}

wr_str wr_import_uri(wr_import_places *p, wr_arena *a, wr_str uri)
{
    wr_str rest = {NULL, 0}, plain = uri;
    if (!uri.p) return uri;
    if (wr_str_starts(uri, "mlflow-artifacts:")) rest = of_proxy(uri);
    for (size_t i = 0; !rest.p && i < p->nroots; i++) rest = below(uri, p->roots[i]);
    if (!rest.p && wr_str_starts(uri, "file:")) {
        plain = decoded(a, wr_str_sub(uri, wr_str_starts(uri, "file://") ? 7 : 5, uri.n));
        for (size_t i = 0; !rest.p && i < p->nroots; i++) rest = below(plain, p->roots[i]);
    }
    if (!rest.p) return uri;
    rest = wr_import_path(p, a, rest);
    return wr_str_of(wr_arena_printf(a, "mlflow-artifacts:/%.*s", WR_STR_FMT(rest)));
}
