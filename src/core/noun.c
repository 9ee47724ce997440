/* SPDX-License-Identifier: Apache-2.0 */
/* noun.c - identity and return of what stages read and write. Kept files are found again through .weir/kept/<identity>.
 */
#include "core/noun.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "core/dataset.h"
#include "core/model.h"
#include "io/file.h"

static const char *const prefixes[] = {"path", "data", "model", "feature"};

int wr_noun_parse(wr_noun_kind *kind, const char **name, const char *ref, wr_err *err)
{
    wr_str rest = wr_str_of(ref), prefix = wr_str_cut(&rest, ':');
    *kind = WR_NOUN_PATH;
    *name = ref;
    if (!rest.p || memchr(prefix.p, '/', prefix.n) || memchr(prefix.p, '.', prefix.n)) return 0;
    for (int k = WR_NOUN_DATA; k <= WR_NOUN_FEATURE; k++) {
        if (!wr_str_is(prefix, prefixes[k])) continue;
        *kind = (wr_noun_kind)k;
        *name = rest.p;
        if (wr_name_ok(rest)) return 0;
        return wr_err_set(err, WEIR_EINVAL, "\"%s\": \"%s\" is not a name", ref, rest.p);
    }
    int near = wr_str_nearest(prefix, prefixes + 1, 3);
    wr_err_set(err, WEIR_EINVAL, "unknown kind in \"%s\"", ref);
    if (near >= 0) return wr_err_hint(err, WEIR_EINVAL, "did you mean \"%s:%s\"?", prefixes[near + 1], rest.p);
    return wr_err_hint(err, WEIR_EINVAL, "data:, model: or feature:; a path with a colon is written \"./%s\"", ref);
}

static int beside_online(const char **out, wr_project *p, const char *view, const char *ending, wr_err *err)
{
    char name[WR_LIMIT_NAME + 32];
    const char *dir;
    WR_TRY(wr_project_state(&dir, p, "online", true, err));
    snprintf(name, sizeof name, "online/%s.%s", view, ending);
    return wr_project_state(out, p, name, false, err);
}

int wr_noun_online_path(const char **out, wr_project *p, const char *view, wr_err *err)
{
    return beside_online(out, p, view, "online", err);
}

int wr_noun_lookup_path(const char **out, wr_project *p, const char *view, wr_err *err)
{
    return beside_online(out, p, view, "lookup", err);
}

static bool is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int path_hash(char out[WR_SHA256_HEX], const char *path, wr_err *err)
{
    out[0] = 0;
    if (!wr_file_exists(path)) return 0;
    return is_dir(path) ? wr_file_tree_sha256(out, path, err) : wr_file_sha256(out, path, err);
}

/* A view's snapshot is the file itself; with tables, of both the hashes of a line. */
void wr_noun_feature_hash(char out[WR_SHA256_HEX], const char *online, const char *lookup)
{
    char both[2 * WR_SHA256_HEX + 2];
    int n = snprintf(both, sizeof both, "%s %s", online, lookup);
    if (lookup[0]) wr_sha256_of(both, (size_t)n, out);
    else snprintf(out, WR_SHA256_HEX, "%s", online);
}

static int feature_hash(char out[WR_SHA256_HEX], wr_project *p, const char *name, wr_err *err)
{
    char state[WR_SHA256_HEX], tables[WR_SHA256_HEX];
    const char *online, *lookup;
    WR_TRY(wr_noun_online_path(&online, p, name, err));
    WR_TRY(wr_noun_lookup_path(&lookup, p, name, err));
    WR_TRY(path_hash(state, online, err));
    WR_TRY(path_hash(tables, lookup, err));
    wr_noun_feature_hash(out, state, tables);
    return 0;
}

static int candidate(char out[WR_SHA256_HEX], wr_arena *a, wr_project *p, const char *name, wr_err *err)
{
    wr_model_version v;
    int rc = wr_model_find(&v, a, p, name, err);
    out[0] = 0;
    if (rc == WEIR_ENOTFOUND) return 0;
    WR_TRY(rc);
    snprintf(out, WR_SHA256_HEX, "%s", v.package);
    return 0;
}

int wr_noun_hash(char out[WR_SHA256_HEX], int64_t *version, wr_project *p, const char *ref, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_noun_kind kind;
    const char *name, *path;
    if (!a) return wr_err_nomem(err);
    if (version) *version = -1;
    WR_TRY(wr_noun_parse(&kind, &name, ref, err));
    switch (kind) {
    case WR_NOUN_DATA:
        return wr_dataset_hash(out, version, p, name, err);
    case WR_NOUN_MODEL:
        return candidate(out, a, p, name, err);
    case WR_NOUN_FEATURE:
        return feature_hash(out, p, name, err);
    case WR_NOUN_PATH:
    default:
        path = wr_path_join(a, wr_project_root(p), name);
    }
    return path ? path_hash(out, path, err) : wr_err_nomem(err);
}

/* .weir/kept/<identity> holds the object id of the blob or, behind "tree ", of the tree. */
static int kept_path(const char **out, wr_arena *a, wr_project *p, const char *hash, wr_err *err)
{
    const char *dir;
    WR_TRY(wr_project_state(&dir, p, "kept", true, err));
    *out = wr_path_join(a, dir, hash);
    return *out ? 0 : wr_err_nomem(err);
}

static const char *file_of(wr_arena *a, wr_project *p, wr_noun_kind kind, const char *name, wr_err *err)
{
    const char *path = NULL;
    if (kind == WR_NOUN_FEATURE) return wr_noun_online_path(&path, p, name, err) < 0 ? NULL : path;
    path = wr_path_join(a, wr_project_root(p), name);
    return path ? wr_path_absolute(a, path) : NULL; /* no slash at the end either */
}

/* The project's folder, or one that it lies in, is nothing to put something else in the place of. */
static bool holds_project(const wr_project *p, const char *path)
{
    const char *root = wr_project_root(p);
    size_t n = strlen(path);
    return strncmp(root, path, n) == 0 && (root[n] == 0 || root[n] == '/' || n == 1);
}

/* The folder is unpacked beside its place first: when that fails, what is there stays. */
static int restore_tree(wr_objects *o, const char *path, const char *id, wr_arena *a, wr_err *err)
{
    const char *beside = wr_arena_printf(a, "%s.weir-restore", path);
    if (!beside) return wr_err_nomem(err);
    WR_TRY(wr_file_remove_tree(beside, err));
    int rc = wr_file_mkdirs(beside, err);
    if (rc == 0) rc = wr_objects_checkout_tree(o, id, beside, err);
    if (rc == 0) rc = wr_file_remove_tree(path, err);
    if (rc == 0 && rename(beside, path) < 0) rc = wr_err_sys(err, errno, "cannot restore \"%s\"", path);
    if (rc < 0) wr_file_remove_tree(beside, NULL);
    return rc;
}

static int restore_file(wr_project *p, const char *path, const char *hash, wr_arena *a, wr_err *err)
{
    wr_objects *o;
    const char *kept;
    WR_AUTOBUF wr_buf id;
    wr_buf_init(&id, 256);
    if (holds_project(p, path)) return wr_err_set(err, WEIR_EINVAL, "\"%s\" holds the project: not replaced", path);
    WR_TRY(kept_path(&kept, a, p, hash, err));
    if (!wr_file_exists(kept))
        return wr_err_set(err, WEIR_ENOTFOUND, "\"%s\" with content %.12s was not kept", path, hash);
    WR_TRY(wr_file_read(&id, kept, 256, err));
    WR_TRY(wr_project_objects(&o, p, err));
    if (wr_str_starts(wr_buf_view(&id), "tree ")) return restore_tree(o, path, wr_buf_cstr(&id) + 5, a, err);
    if (is_dir(path)) WR_TRY(wr_file_remove_tree(path, err));
    return wr_objects_checkout_file(o, wr_buf_cstr(&id), path, err);
}

/* ---- features: one file or two ---- */

/* `id` "-": it was not there. */
static int restore_part(wr_project *p, const char *path, const char *id, wr_err *err)
{
    wr_objects *o;
    if (strcmp(id, "-") == 0) return wr_file_remove(path, err);
    WR_TRY(wr_project_objects(&o, p, err));
    return wr_objects_checkout_file(o, id, path, err);
}

static int restore_feature(wr_project *p, const char *name, const char *hash, wr_arena *a, wr_err *err)
{
    const char *kept, *online, *lookup;
    char first[WR_SHA256_HEX], second[WR_SHA256_HEX];
    WR_AUTOBUF wr_buf text = {0};
    WR_TRY(wr_noun_online_path(&online, p, name, err));
    WR_TRY(wr_noun_lookup_path(&lookup, p, name, err));
    WR_TRY(kept_path(&kept, a, p, hash, err));
    if (wr_file_exists(kept)) WR_TRY(wr_file_read(&text, kept, 256, err));
    if (sscanf(wr_buf_cstr(&text), "pair %64s %64s", first, second) == 2) {
        WR_TRY(restore_part(p, online, first, err));
        return restore_part(p, lookup, second, err);
    }
    WR_TRY(restore_file(p, online, hash, a, err));
    return wr_file_remove(lookup, err);
}

static int keep_part(char id[WR_SHA256_HEX], wr_project *p, const char *path, wr_err *err)
{
    wr_objects *o;
    snprintf(id, WR_SHA256_HEX, "-");
    if (!wr_file_exists(path)) return 0;
    WR_TRY(wr_project_objects(&o, p, err));
    return wr_objects_put_file(o, path, id, err);
}

/* With tables; without them the snapshot is kept as any file. */
static int keep_pair(wr_project *p, const char *name, wr_arena *a, wr_err *err)
{
    const char *kept, *online, *lookup;
    char hash[WR_SHA256_HEX], now[WR_SHA256_HEX], first[WR_SHA256_HEX], second[WR_SHA256_HEX],
        text[2 * WR_SHA256_HEX + 8];
    WR_TRY(feature_hash(hash, p, name, err));
    WR_TRY(kept_path(&kept, a, p, hash, err));
    if (wr_file_exists(kept)) return 0;
    WR_TRY(wr_noun_online_path(&online, p, name, err));
    WR_TRY(wr_noun_lookup_path(&lookup, p, name, err));
    WR_TRY(keep_part(first, p, online, err));
    WR_TRY(keep_part(second, p, lookup, err));
    WR_TRY(feature_hash(now, p, name, err));
    if (strcmp(now, hash) != 0)
        return wr_err_set(err, WEIR_ECONFLICT, "\"feature:%s\" changed while it was being kept", name);
    snprintf(text, sizeof text, "pair %s %s", first, second);
    return wr_file_write(kept, wr_str_of(text), err);
}

static bool has_tables(wr_project *p, const char *name)
{
    const char *lookup;
    return wr_noun_lookup_path(&lookup, p, name, NULL) == 0 && wr_file_exists(lookup);
}

int wr_noun_restore(wr_project *p, const char *ref, const char *hash, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_noun_kind kind;
    const char *name;
    wr_objects *o;
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_noun_parse(&kind, &name, ref, err));
    if (kind == WR_NOUN_DATA) {
        wr_dataset_written w;
        int64_t version;
        WR_TRY(wr_dataset_version_of(&version, p, name, hash, err));
        return wr_dataset_restore(&w, p, name, version, err);
    }
    if (kind == WR_NOUN_MODEL) {
        WR_TRY(wr_project_objects(&o, p, err));
        if (!wr_objects_has(o, hash)) return wr_err_set(err, WEIR_ENOTFOUND, "package %.12s is gone", hash);
        return wr_model_propose(p, name, hash, "", err);
    }
    if (kind == WR_NOUN_FEATURE) return restore_feature(p, name, hash, a, err);
    const char *path = file_of(a, p, kind, name, err);
    return path ? restore_file(p, path, hash, a, err) : wr_err_nomem(err);
}

int wr_noun_keep(wr_project *p, const char *ref, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_noun_kind kind;
    const char *name, *kept;
    char hash[WR_SHA256_HEX], id[WR_SHA256_HEX], text[WR_SHA256_HEX + 8];
    wr_objects *o;
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_noun_parse(&kind, &name, ref, err));
    if (kind == WR_NOUN_DATA || kind == WR_NOUN_MODEL) return 0;
    if (kind == WR_NOUN_FEATURE && has_tables(p, name)) return keep_pair(p, name, a, err);
    const char *path = file_of(a, p, kind, name, err);
    if (!path) return wr_err_nomem(err);
    WR_TRY(path_hash(hash, path, err));
    if (!hash[0]) return wr_err_set(err, WEIR_ENOTFOUND, "\"%s\" does not exist", ref);
    WR_TRY(kept_path(&kept, a, p, hash, err));
    if (wr_file_exists(kept)) return 0;
    WR_TRY(wr_project_objects(&o, p, err));
    bool tree = is_dir(path);
    WR_TRY(tree ? wr_objects_put_tree(o, path, id, err) : wr_objects_put_file(o, path, id, err));
    if (!tree && strcmp(id, hash) != 0)
        return wr_err_set(err, WEIR_ECONFLICT, "\"%s\" changed while it was being kept", ref);
    snprintf(text, sizeof text, "%s%s", tree ? "tree " : "", id);
    return wr_file_write(kept, wr_str_of(text), err);
}
