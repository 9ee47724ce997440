/* SPDX-License-Identifier: Apache-2.0 */
/* formats.c - the list of formats, and from a file or a folder to a predictor. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "calc/trees.h"
#include "io/file.h"
#include "predict/format_list.h"
#include "predict/format_onnx.h"
#include "predict/graph_gemm.h"
#include "predict/mlflow_folder.h"
#include "predict/refuse.h"

/* One line adds a format. The first that knows a file opens it. */
const wr_format *const wr_formats[] = {
    &wr_format_onnx,
    &wr_format_xgboost,
    &wr_format_lightgbm,
    NULL,
};

enum { HEAD = 4096, NAMES_MAX = 4096 };

/* ---- a file ---- */

static int read_head(wr_str *out, char buf[HEAD], const char *path, wr_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return wr_err_sys(err, errno, "cannot open '%s'", path);
    ssize_t n = read(fd, buf, HEAD);
    int sys = errno;
    close(fd);
    if (n < 0) return wr_err_sys(err, sys, "cannot read '%s'", path);
    *out = (wr_str){buf, (size_t)n};
    return 0;
}

static const wr_format *knowing(wr_str name, wr_str head)
{
    for (size_t i = 0; wr_formats[i]; i++)
        if (wr_formats[i]->knows(name, head)) return wr_formats[i];
    return NULL;
}

static int refuse(const char *path, const char *what, const char *hint, wr_err *err)
{
    wr_err_set(err, WEIR_EUNSUPPORTED, "'%s' is %s, which is not served", path, what);
    return wr_err_hint(err, WEIR_EUNSUPPORTED, "%s", hint);
}

static int unknown(const char *path, wr_err *err)
{
    wr_err_set(err, WEIR_EUNSUPPORTED, "'%s' is of no format that is served", path);
    return wr_err_hint(err, WEIR_EUNSUPPORTED, "ONNX, XGBoost (JSON, UBJSON) and LightGBM (text) are");
}

int wr_format_open(wr_predictor **out, const char *path, const char *format, const char *as, wr_err *err)
{
    char buf[HEAD];
    wr_str head, name = wr_str_of(wr_path_base(path));
    const char *hint, *what;
    WR_TRY(read_head(&head, buf, path, err));
    if (head.n == 0) return wr_err_set(err, WEIR_ECORRUPT, "'%s' is empty", path);
    what = wr_refuse_file(&hint, name, head);
    if (what) return refuse(path, what, hint, err);
    const wr_format *f = format ? NULL : knowing(name, head);
    for (size_t i = 0; format && !f && wr_formats[i]; i++)
        if (strcmp(wr_formats[i]->name, format) == 0) f = wr_formats[i];
    if (f && as && f->open_as) return f->open_as(out, path, as, err);
    return f ? f->open(out, path, err) : unknown(path, err);
}

/* ---- a folder ---- */

typedef struct {
    char *only, *named_model; /* paths: the last model file; one whose name is model.EXTENSION */
    size_t found, models;
    char *refused; /* a file in a form that is not served */
} folder;

static bool stem_is_model(const char *name) { return strncmp(name, "model.", 6) == 0 && !strchr(name + 6, '.'); }

static int look_at(folder *f, char *path, const char *name, wr_err *err)
{
    struct stat st;
    char buf[HEAD];
    wr_str head;
    const char *hint;
    if (name[0] == '.' || strcmp(name, "golden.json") == 0 || stat(path, &st) < 0 || !S_ISREG(st.st_mode)) return 0;
    WR_TRY(read_head(&head, buf, path, err));
    if (wr_refuse_file(&hint, wr_str_of(name), head)) {
        f->refused = path;
        return 0;
    }
    if (!knowing(wr_str_of(name), head)) return 0;
    f->found++;
    f->only = path;
    if (!stem_is_model(name)) return 0;
    f->models++;
    f->named_model = path;
    return 0;
}

static int open_folder(wr_predictor **out, const char *dir, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char **names;
    size_t n;
    folder f = {0};
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_file_list(&names, &n, a, dir, err));
    if (n > NAMES_MAX) return wr_err_set(err, WEIR_ELIMIT, "'%s' has more than %d files", dir, NAMES_MAX);
    for (size_t i = 0; i < n; i++) {
        char *path = wr_path_join(a, dir, names[i]);
        if (!path) return wr_err_nomem(err);
        if (strcmp(names[i], WR_MLFLOW_FILE) == 0) return wr_mlflow_folder_open(out, dir, err);
        WR_TRY(look_at(&f, path, names[i], err));
    }
    if (f.found == 1) return wr_format_open(out, f.only, NULL, NULL, err);
    if (f.models == 1) return wr_format_open(out, f.named_model, NULL, NULL, err);
    if (f.found) {
        wr_err_set(err, WEIR_EINVAL, "'%s' has %zu model files", dir, f.found);
        return wr_err_hint(err, WEIR_EINVAL, "name one of them model.onnx, model.json, model.ubj or model.txt");
    }
    if (f.refused) return wr_format_open(out, f.refused, NULL, NULL, err);
    wr_err_set(err, WEIR_ENOTFOUND, "'%s' has no model file", dir);
    return wr_err_hint(err, WEIR_ENOTFOUND,
                       "ONNX, XGBoost (JSON, UBJSON), LightGBM (text), or an MLmodel that names one");
}

int wr_predictor_open(wr_predictor **out, const char *path, wr_err *err)
{
    struct stat st;
    *out = NULL;
    if (stat(path, &st) < 0) return wr_err_sys(err, errno, "cannot open '%s'", path);
    if (S_ISDIR(st.st_mode)) return open_folder(out, path, err);
    if (!S_ISREG(st.st_mode)) return wr_err_set(err, WEIR_EUNSUPPORTED, "'%s' is no file and no folder", path);
    return wr_format_open(out, path, NULL, NULL, err);
}

void wr_predictor_plain(bool on)
{
    wr_trees_plain = on;
    wr_gemm_plain_only = on;
}
