/* SPDX-License-Identifier: Apache-2.0 */
/* repository_poll.c - the folder looked at again and again.
 *
 * A model is loaded when two looks saw the same files, other than those that were tried last. So a version that
 * somebody is still writing is left alone, one that was moved into place (rename) comes a look later, and one that
 * could not be loaded is not tried again until it changes. Where models are loaded on demand only, a look finds their
 * names and nothing more. A folder has to be missing twice before its model goes. The first look, at the start, loads
 * at once. */
#include <sys/stat.h>

#include "base/log.h"
#include "base/vec.h"
#include "io/file.h"
#include "predict/repository_inside.h"

enum { MISSING = 2 };

static void look_at(wr_repository *r, wr_served_model *m, uint64_t print, bool first)
{
    wr_err err = {0};
    bool still = first || print == m->seen;
    m->seen = print;
    pthread_mutex_lock(&r->lock);
    bool due = still && print != m->tried && !m->put && !m->unloaded;
    if (due) m->wanted = true;
    pthread_mutex_unlock(&r->lock);
    if (!due) return;
    m->tried = print;
    if (wr_served_load(r, m, (wr_str){NULL, 0}, true, &err) < 0) wr_warn("%s", err.msg);
}

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static void look_for(wr_repository *r, const char *name, const char *path, bool first)
{
    if (!is_folder(path)) return;
    wr_served_model *m = wr_served_model_get(r, wr_str_of(name), true);
    if (!m || !r->opt.load_all) return;               /* without memory: at the next look */
    if (pthread_mutex_trylock(&m->load) != 0) return; /* somebody loads it just now */
    m->missing = 0;
    uint64_t print = wr_model_print(path);
    if (print) look_at(r, m, print, first);
    pthread_mutex_unlock(&m->load);
}

/* Those whose folder is gone. */
static void look_after(wr_repository *r, wr_served_model *m)
{
    pthread_mutex_lock(&r->lock);
    bool ours = !m->put && m->wanted;
    pthread_mutex_unlock(&r->lock);
    if (!ours || pthread_mutex_trylock(&m->load) != 0) return;
    if (++m->missing >= MISSING) {
        pthread_mutex_lock(&r->lock);
        m->wanted = false;
        pthread_mutex_unlock(&r->lock);
        m->tried = m->seen = 0;
        for (size_t i = 0; i < m->nversions; i++) wr_served_retire(r, m->versions[i], "its folder is gone");
    }
    pthread_mutex_unlock(&m->load);
}

static int list(char ***names, size_t *n, wr_repository *r, wr_arena *a, wr_err *err)
{
    if (!is_folder(r->dir)) {
        wr_err_set(err, WEIR_ENOTFOUND, "there is no model repository '%s'", r->dir);
        return wr_err_hint(err, WEIR_ENOTFOUND, "it is a folder of NAME/VERSION/model files");
    }
    return wr_file_list(names, n, a, r->dir, err);
}

int wr_repository_poll(wr_repository *r, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char **names;
    size_t n;
    if (!r->dir) return 0;
    if (!a) return wr_err_nomem(err);
    WR_TRY(list(&names, &n, r, a, err));
    bool first = !r->polled;
    r->polled = true;
    pthread_mutex_lock(&r->lock);
    size_t known = r->models.n;
    wr_served_model **models = wr_arena_alloc(a, (known + 1) * sizeof *models);
    for (size_t i = 0; models && i < known; i++) models[i] = r->models.at[i].value;
    pthread_mutex_unlock(&r->lock);
    if (!models) return wr_err_nomem(err);
    for (size_t i = 0; r->opt.load_all && i < known; i++)
        look_after(r, models[i]); /* those that are there set it back to 0 below */
    for (size_t i = 0; i < n; i++) {
        char *path = wr_path_join(a, r->dir, names[i]);
        if (!path) return wr_err_nomem(err);
        if (names[i][0] != '.' && wr_name_ok(wr_str_of(names[i]))) look_for(r, names[i], path, first);
    }
    return 0;
}
