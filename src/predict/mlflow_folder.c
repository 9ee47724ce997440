/* SPDX-License-Identifier: Apache-2.0 */
/* mlflow_folder.c - which file of an MLflow model folder is opened. */
#include "predict/mlflow_folder.h"

#include "base/limits.h"
#include "codec/yaml.h"
#include "io/file.h"
#include "predict/refuse.h"

static const char *const served[] = {"onnx", "xgboost", "lightgbm"};

/* "model.onnx" or "data/model.onnx": below the folder, whatever the MLmodel says. */
static bool stays_inside(wr_str path)
{
    wr_str rest = path;
    if (!path.n || path.p[0] == '/' || memchr(path.p, 0, path.n)) return false;
    while (rest.p)
        if (wr_str_is(wr_str_cut(&rest, '/'), "..")) return false;
    return true;
}

static int open_flavor(wr_predictor **out, wr_arena *a, const char *dir, const char *flavor, const wr_yaml *f,
                       wr_err *err)
{
    wr_str data, as;
    WR_TRY(wr_yaml_get_str(&data, f, "data", NULL, err));
    WR_TRY(wr_yaml_get_str(&as, f, "model_class", NULL, err));
    if (!data.p) return wr_yaml_error(f, WEIR_EINVAL, err, "flavor \"%s\" names no data", flavor);
    if (!stays_inside(data))
        return wr_yaml_error(f, WEIR_EINVAL, err, "flavor \"%s\": data leads out of the folder", flavor);
    char *path = wr_path_join(a, dir, data.p);
    return path ? wr_format_open(out, path, flavor, as.p, err) : wr_err_nomem(err);
}

/* Its first flavor that is a library's own, not the wrapper around it. */
static wr_str kind_of(const wr_yaml *flavors)
{
    for (size_t i = 0; i < flavors->n; i++)
        if (!wr_str_is(flavors->keys[i]->text, "python_function")) return flavors->keys[i]->text;
    return WR_STR("python_function");
}

int wr_mlflow_folder_open(wr_predictor **out, const char *dir, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    WR_AUTOBUF wr_buf text = {0};
    wr_yaml *y;
    if (!a) return wr_err_nomem(err);
    char *path = wr_path_join(a, dir, WR_MLFLOW_FILE);
    if (!path) return wr_err_nomem(err);
    WR_TRY(wr_file_read(&text, path, WR_LIMIT_FILE_CONFIG, err));
    WR_TRY(wr_yaml_parse(&y, a, wr_buf_view(&text), path, err));
    const wr_yaml *flavors = wr_yaml_get(y, "flavors");
    if (!flavors || flavors->kind != WR_YAML_MAP || !flavors->n)
        return wr_err_set(err, WEIR_EINVAL, "'%s' names no flavors", path);
    for (size_t i = 0; i < sizeof served / sizeof *served; i++) {
        const wr_yaml *f = wr_yaml_get(flavors, served[i]);
        if (f) return open_flavor(out, a, dir, served[i], f, err);
    }
    wr_str kind = kind_of(flavors);
    wr_err_set(err, WEIR_EUNSUPPORTED, "'%s' is an MLflow model of flavor \"%.*s\", which is not served", dir,
               WR_STR_FMT(kind));
    return wr_err_hint(err, WEIR_EUNSUPPORTED, "%s", wr_refuse_flavor(kind));
}
