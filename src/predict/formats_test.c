/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "io/file.h"
#include "predict/predictor.h"

typedef struct {
    char dir[64];
    wr_arena *a;
} room;

static int setup(void **state)
{
    room *r = calloc(1, sizeof *r);
    strcpy(r->dir, "/tmp/weir-formats-XXXXXX");
    assert_non_null(mkdtemp(r->dir));
    r->a = wr_arena_new(0);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    room *r = *state;
    assert_int_equal(wr_file_remove_tree(r->dir, NULL), 0);
    wr_arena_free(r->a);
    free(r);
    return 0;
}

static const char *put(room *r, const char *name, wr_str text)
{
    wr_err err;
    char *path = wr_path_join(r->a, r->dir, name);
    assert_int_equal(wr_file_mkdirs(wr_path_dir(r->a, path), &err), 0);
    assert_int_equal(wr_file_write(path, text, &err), 0);
    return path;
}

static void refused(const char *path, int code, const char *msg, const char *hint)
{
    wr_predictor *p = NULL;
    wr_err err = {0};
    assert_int_equal(wr_predictor_open(&p, path, &err), code);
    assert_null(p);
    if (!strstr(err.msg, msg)) fail_msg("\"%s\" has no \"%s\"", err.msg, msg);
    if (!strstr(err.hint, hint)) fail_msg("\"%s\" has no \"%s\"", err.hint, hint);
}

static void what_is_no_declarative_format_is_refused_with_a_way_out(void **state)
{
    room *r = *state;
    refused(put(r, "a/model.pkl", WR_STR("x")), WEIR_EUNSUPPORTED, "model.pkl' is a pickle, which is not served",
            "skl2onnx");
    refused(put(r, "a/model.PKL", WR_STR("x")), WEIR_EUNSUPPORTED, "is a pickle", "skl2onnx");
    refused(put(r, "a/innocent.json", WR_STR("\x80\x04\x95\x10")), WEIR_EUNSUPPORTED, "is a pickle", "skl2onnx");
    refused(put(r, "a/m.joblib", WR_STR("x\x9c")), WEIR_EUNSUPPORTED, "joblib", "skl2onnx");
    refused(put(r, "a/m.skops", WR_STR("PK\x03\x04")), WEIR_EUNSUPPORTED, "skops", "skl2onnx");
    refused(put(r, "a/m.pt", WR_STR("PK\x03\x04")), WEIR_EUNSUPPORTED, "PyTorch", "torch.onnx.export");
    refused(put(r, "a/m.bin", WR_STR("PK\x03\x04")), WEIR_EUNSUPPORTED, "an archive", "unpack");
    refused(put(r, "a/saved_model.pb", WR_STR("x")), WEIR_EUNSUPPORTED, "TensorFlow model", "tf2onnx");
    refused(put(r, "a/m.bin", WR_STR("binf...")), WEIR_EUNSUPPORTED, "XGBoost's old binary form", "save_model");
    refused(put(r, "a/m.dat", WR_STR("hello")), WEIR_EUNSUPPORTED, "of no format that is served", "ONNX");
    refused(put(r, "a/none.onnx", WR_STR("")), WEIR_ECORRUPT, "is empty", "");
    refused("/nowhere/model.onnx", WEIR_ENOTFOUND, "cannot open '/nowhere/model.onnx'", "");
    refused("/dev/null", WEIR_EUNSUPPORTED, "is no file and no folder", "");
}

static void a_folder_is_judged_by_what_is_in_it(void **state)
{
    room *r = *state;
    put(r, "empty/notes.md", WR_STR("x"));
    put(r, "empty/.hidden", WR_STR("\x80\x04\x95\x10"));
    refused(wr_path_join(r->a, r->dir, "empty"), WEIR_ENOTFOUND, "has no model file", "MLmodel");
    put(r, "pickled/notes.md", WR_STR("x"));
    put(r, "pickled/model.pkl", WR_STR("x"));
    refused(wr_path_join(r->a, r->dir, "pickled"), WEIR_EUNSUPPORTED, "pickled/model.pkl' is a pickle", "skl2onnx");
}

static void mlflow(room *r, const char *text) { put(r, "m/MLmodel", wr_str_of(text)); }

static void an_mlflow_folder_is_judged_by_its_flavors(void **state)
{
    room *r = *state;
    const char *dir = wr_path_join(r->a, r->dir, "m");
    put(r, "m/model.pkl", WR_STR("x"));
    mlflow(r, "flavors:\n  python_function: {loader_module: mlflow.sklearn}\n  sklearn: {pickled_model: model.pkl}\n");
    refused(dir, WEIR_EUNSUPPORTED, "flavor \"sklearn\", which is not served", "skl2onnx");
    mlflow(r, "flavors:\n  python_function: {loader_module: mine}\n");
    refused(dir, WEIR_EUNSUPPORTED, "flavor \"python_function\"", "ONNX");
    mlflow(r, "flavors:\n  lightgbm: {data: model.pkl}\n");
    refused(dir, WEIR_EUNSUPPORTED, "m/model.pkl' is a pickle", "LightGBM");
    mlflow(r, "flavors:\n  xgboost: {model_class: xgboost.core.Booster}\n");
    refused(dir, WEIR_EINVAL, "flavor \"xgboost\" names no data", "");
    mlflow(r, "flavors:\n  onnx: {data: ../../secret.onnx}\n");
    refused(dir, WEIR_EINVAL, "leads out of the folder", "");
    mlflow(r, "flavors:\n  onnx: {data: /etc/passwd}\n");
    refused(dir, WEIR_EINVAL, "leads out of the folder", "");
    mlflow(r, "flavors: []\n");
    refused(dir, WEIR_EINVAL, "names no flavors", "");
    mlflow(r, "flavors: {");
    refused(dir, WEIR_EPARSE, "MLmodel:2", "");
}

static void every_format_of_the_list_is_whole(void **state)
{
    (void)state;
    for (size_t i = 0; wr_formats[i]; i++) {
        const wr_format *f = wr_formats[i];
        wr_predictor *p = NULL;
        wr_err err = {0};
        assert_true(f->name && f->summary && f->knows && f->open);
        assert_false(f->knows(WR_STR("model.pkl"), WR_STR("\x80\x04")));
        assert_false(f->knows(WR_STR("notes.md"), WR_STR("")));
        assert_true(f->open(&p, "/nowhere/model", &err) < 0);
        assert_null(p);
        assert_true(err.msg[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_no_declarative_format_is_refused_with_a_way_out, setup, teardown),
        cmocka_unit_test_setup_teardown(a_folder_is_judged_by_what_is_in_it, setup, teardown),
        cmocka_unit_test_setup_teardown(an_mlflow_folder_is_judged_by_its_flavors, setup, teardown),
        cmocka_unit_test(every_format_of_the_list_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
