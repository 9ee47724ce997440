/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_answers_test.c - answers of ONNX Runtime, kept: written and read again, broken ones, and that a model whose
 * answers were kept is opened without the library and with the whole check. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/file.h"
#include "predict/format_onnx.h"
#include "predict/onnx_answers.h"
#include "predict/ort.h"

#define MODELS WEIR_SOURCE_DIR "/tests/reference/onnx/"

static char dir[] = "/tmp/weir-answers-XXXXXX", records[64];

static int make(void **state)
{
    (void)state;
    strcpy(dir + sizeof dir - 7, "XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(records, sizeof records, "%s/onnx", dir);
    wr_onnx_answers_folder(records);
    return 0;
}

static int drop(void **state)
{
    (void)state;
    wr_onnx_answers_folder(NULL);
    return wr_file_remove_tree(dir, NULL);
}

/* ---- the record ---- */

static wr_onnx_model *open_model(const char *path)
{
    wr_onnx_model *m;
    wr_err err = {0};
    if (wr_onnx_model_open(&m, path, &err) < 0) fail_msg("%s: %s", path, err.msg);
    return m;
}

static void test_round_trip(void **state)
{
    (void)state;
    float f[] = {1.5F, NAN, -INFINITY};
    int64_t l[] = {INT64_MIN, 7};
    uint8_t flags[] = {1, 0, 1};
    wr_str s[] = {WR_STR("a"), WR_STR(""), WR_STR("\xc3\xbc\0z")};
    s[2].n = 4;
    wr_tensor out[] = {{.type = WR_TENSOR_FP32, .ndims = 2, .shape = {3, 1}, .count = 3, .data = f},
                       {.type = WR_TENSOR_INT64, .ndims = 1, .shape = {2}, .count = 2, .data = l},
                       {.type = WR_TENSOR_BOOL, .ndims = 1, .shape = {3}, .count = 3, .data = flags},
                       {.type = WR_TENSOR_BYTES, .ndims = 1, .shape = {3}, .count = 3, .data = s}},
              back[4];
    char inputs[WR_SHA256_HEX], other[WR_SHA256_HEX];
    wr_onnx_model *m = open_model(MODELS "mlp_regressor/model.onnx");
    wr_onnx_answers *r = wr_onnx_answers_new(), *read;
    assert_non_null(r);
    wr_onnx_answers_inputs(inputs, out, 4);
    wr_onnx_answers_inputs(other, out, 3);
    assert_string_not_equal(inputs, other);
    wr_onnx_answers_note(r, WR_GOLDEN_WIDE, inputs, false, out, 4);
    wr_onnx_answers_note(r, WR_GOLDEN_ZEROS, inputs, true, NULL, 0);
    assert_int_equal(wr_onnx_answers_load(&read, m, NULL), WEIR_ENOTFOUND);
    wr_onnx_answers_save(r, m);
    wr_onnx_answers_free(r);
    if (wr_onnx_answers_load(&read, m, NULL) == WEIR_ENOTFOUND) { /* no library: nothing to have answers of */
        char text[64];
        assert_false(wr_ort_identity(text, sizeof text));
        wr_onnx_model_free(m);
        skip();
    }
    assert_int_equal(wr_onnx_answers_of(back, 4, read, WR_GOLDEN_WIDE, inputs), 0);
    for (int i = 0; i < 4; i++) assert_true(wr_tensor_agree(&out[i], &back[i], 0));
    assert_int_equal(((const wr_str *)back[3].data)[2].n, 4);
    assert_int_equal(wr_onnx_answers_of(back, 4, read, WR_GOLDEN_WIDE, other), WEIR_ENOTFOUND); /* of other inputs */
    assert_int_equal(wr_onnx_answers_of(back, 3, read, WR_GOLDEN_WIDE, inputs), WEIR_ENOTFOUND);
    assert_int_equal(wr_onnx_answers_of(back, 4, read, WR_GOLDEN_PLAIN, inputs), WEIR_ENOTFOUND);
    assert_int_equal(wr_onnx_answers_of(back, 4, read, WR_GOLDEN_ZEROS, inputs), WEIR_ENO); /* it was refused */
    wr_onnx_answers_free(read);
    assert_int_equal(setenv("WEIR_ONNXRUNTIME", "/nowhere/libonnxruntime.so.1", 1),
                     0); /* another library, which is not there */
    assert_int_equal(wr_onnx_answers_load(&read, m, NULL), WEIR_ENOTFOUND);
    assert_int_equal(unsetenv("WEIR_ONNXRUNTIME"), 0);
    wr_onnx_model_free(m);
}

/* Each byte another, each beginning alone: read or refused, and never beyond the end. */
static void test_broken(void **state)
{
    (void)state;
    float f[] = {1, 2};
    wr_str s[] = {WR_STR("one"), WR_STR("two")};
    wr_tensor out[] = {{.type = WR_TENSOR_FP32, .ndims = 1, .shape = {2}, .count = 2, .data = f},
                       {.type = WR_TENSOR_BYTES, .ndims = 1, .shape = {2}, .count = 2, .data = s}};
    char inputs[WR_SHA256_HEX];
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_onnx_answers *r = wr_onnx_answers_new(), *read;
    wr_onnx_model *m = open_model(MODELS "mlp_regressor/model.onnx");
    WR_AUTOBUF wr_buf bytes = {0};
    char **names, path[200];
    size_t n, refused = 0;
    wr_onnx_answers_inputs(inputs, out, 2);
    wr_onnx_answers_note(r, WR_GOLDEN_PLAIN, inputs, false, out, 2);
    wr_onnx_answers_save(r, m);
    wr_onnx_answers_free(r);
    wr_onnx_model_free(m);
    if (wr_file_list(&names, &n, a, records, NULL) < 0) skip();
    assert_int_equal(n, 1);
    snprintf(path, sizeof path, "%s/%s", records, names[0]);
    assert_int_equal(wr_file_read(&bytes, path, 1 << 20, NULL), 0);
    for (size_t i = 0; i < bytes.n; i++) {
        char *copy = malloc(i + 1);
        memcpy(copy, bytes.p, i);
        if (wr_onnx_answers_read(&read, (wr_str){copy, i}, NULL) == 0) wr_onnx_answers_free(read);
        else refused++;
        free(copy);
        copy = malloc(bytes.n);
        memcpy(copy, bytes.p, bytes.n);
        copy[i] = (char)(copy[i] ^ 0x85);
        if (wr_onnx_answers_read(&read, (wr_str){copy, bytes.n}, NULL) == 0) wr_onnx_answers_free(read);
        else refused++;
        free(copy);
    }
    assert_true(refused > bytes.n / 2);
    assert_int_equal(wr_onnx_answers_read(&read, WR_STR("\x08\x02"), NULL), WEIR_ECORRUPT); /* another format */
}

/* ---- opening ---- */

enum { LOADED = 1, THEIRS = 2, NO_LIBRARY = 77 };

/* In a process of its own, which has not loaded the library before. */
static int open_alone(const char *path)
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char text[4200];
        wr_predictor *p;
        if (!wr_ort_identity(text, sizeof text)) _exit(NO_LIBRARY);
        if (wr_onnx_open(&p, path, WR_ONNX_AUTO, NULL) < 0) _exit(99);
        _exit((wr_ort_version()[0] ? LOADED : 0) | (strcmp(p->platform, "weir_onnx") != 0 ? THEIRS : 0));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static size_t kept(const char **first)
{
    static char path[200];
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char **names;
    size_t n;
    if (wr_file_list(&names, &n, a, records, NULL) < 0) return 0;
    if (n && first) {
        snprintf(path, sizeof path, "%s/%s", records, names[0]);
        *first = path;
    }
    return n;
}

static void test_without_the_library(void **state)
{
    (void)state;
    static const char *const models[] = {"mlp_regressor", "pca_ridge"};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        char path[300];
        snprintf(path, sizeof path, MODELS "%s/model.onnx", models[i]);
        int first = open_alone(path);
        if (first == NO_LIBRARY) skip();
        assert_int_equal(first, LOADED);
        assert_int_equal(kept(NULL), i + 1);
        assert_int_equal(open_alone(path), 0);
    }
    assert_int_equal(open_alone(MODELS "neighbours/model.onnx"),
                     LOADED | THEIRS); /* nothing to keep: ours cannot do it */
    assert_int_equal(kept(NULL), 2);
    wr_onnx_answers_folder(NULL);
    assert_int_equal(open_alone(MODELS "pca_ridge/model.onnx"), LOADED);
}

/* A record that says something else than we do, or nothing, is no reason to trust us, nor to give up: the library is
 * asked, and kept right. */
static void test_record_that_differs(void **state)
{
    (void)state;
    static const char model[] = MODELS "mlp_regressor/model.onnx";
    WR_AUTOBUF wr_buf right = {0}, wrong = {0};
    const char *path = NULL;
    if (open_alone(model) == NO_LIBRARY) skip();
    assert_int_equal(kept(&path), 1);
    assert_int_equal(wr_file_read(&right, path, 1 << 20, NULL), 0);
    for (int how = 0; how < 3; how++) {
        wr_buf_clear(&wrong);
        wr_buf_add(&wrong, right.p, how == 1 ? right.n / 2 : right.n);
        if (how == 0) wrong.p[wrong.n - 1] = (char)(wrong.p[wrong.n - 1] ^ 0x40); /* the last number's exponent */
        if (how == 2) wrong.n = 2;                                                /* a record of nothing */
        assert_int_equal(wr_file_write(path, wr_buf_view(&wrong), NULL), 0);
        assert_int_equal(open_alone(model), LOADED);
        wr_buf_clear(&wrong);
        assert_int_equal(wr_file_read(&wrong, path, 1 << 20, NULL), 0);
        assert_true(wr_str_eq(wr_buf_view(&wrong), wr_buf_view(&right)));
        assert_int_equal(open_alone(model), 0);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_round_trip), TEST(test_broken), TEST(test_without_the_library),
                                       TEST(test_record_that_differs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
