/* SPDX-License-Identifier: Apache-2.0 */
/* Models that name their categories, asked by values in every form: each answers what its library answered
 * (tests/reference/forest_categories.py). */
#include "wire/oip/rest_testing.h"

#include <math.h>

#include "codec/protobuf.h"
#include "io/file.h"
#include "predict/forest_predictor.h"
#include "wire/oip/grpc.h"

static wr_repository *repository;

/* ---- models in service, without a server ---- */

static int real_model(void *ctx, wr_oip_model *out, wr_str name, wr_str version, wr_arena *a, wr_err *err)
{
    wr_instance *m;
    (void)ctx;
    (void)a;
    WR_TRY(wr_repository_take(&m, repository, name, version, err));
    *out = (wr_oip_model){.name = wr_str_of(m->name),
                          .version = wr_str_of(m->version),
                          .platform = m->platform,
                          .in = m->in,
                          .out = m->out,
                          .nin = m->nin,
                          .nout = m->nout,
                          .rows = m->rows,
                          .explains = true,
                          .explained = m->predictor->features,
                          .nexplained = m->predictor->nfeatures,
                          .features = m->predictor->features,
                          .nfeatures = m->predictor->nfeatures,
                          .handle = m};
    return 0;
}

static void real_release(void *ctx, wr_oip_model *m)
{
    (void)ctx;
    wr_instance_give(m->handle);
}

static int real_infer(void *ctx, wr_oip_result *out, const wr_oip_model *m, const wr_oip_infer *q, wr_arena *a,
                      wr_err *err)
{
    wr_infer_request r = {
        .in = q->in, .nin = q->nin, .outputs = q->outputs, .noutputs = q->noutputs, .explain = q->explain};
    wr_infer_answer is;
    (void)ctx;
    WR_TRY(wr_infer(&is, m->handle, &r, a, err));
    *out = (wr_oip_result){.out = is.out, .nout = is.nout};
    return 0;
}

static int put(const char *name, const char *as, const char *config)
{
    WR_AUTOBUF wr_buf bytes = {0};
    char path[300];
    wr_predictor *p = NULL;
    wr_err err = {0};
    bool light = strncmp(name, "lgb", 3) == 0;
    snprintf(path, sizeof path, WEIR_SOURCE_DIR "/tests/reference/forests/%s.%s", name, light ? "txt" : "json");
    int rc = wr_file_read(&bytes, path, 1 << 20, &err);
    if (rc == 0)
        rc = light ? wr_lightgbm_read(&p, wr_buf_view(&bytes), NULL, path, &err)
                   : wr_xgboost_read(&p, wr_buf_view(&bytes), NULL, path, &err);
    if (rc == 0) rc = wr_repository_put(repository, as, "1", p, (wr_str){config, config ? strlen(config) : 0}, &err);
    if (rc < 0) print_error("%s: %s\n", name, err.msg);
    return rc;
}

static const char *const models[] = {"xgb32_frame", "xgb32_frameone", "lgb_frame", "lgb_framehand", "lgb_frameone"};

static int start(void **state)
{
    wr_repository_opt opt = {0};
    if (set_up(state) < 0 || wr_repository_open(&repository, &opt, NULL) < 0) return -1;
    ops.model = real_model;
    ops.release = real_release;
    ops.infer = real_infer;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        if (put(models[i], models[i], NULL) < 0) return -1;
    return 0;
}

static int stop(void **state)
{
    wr_repository_close(repository);
    return tear_down(state);
}

/* ---- requests ---- */

typedef struct {
    const char *model;
    wr_json rows;
    yyjson_val *columns, *all, *answers;
    size_t n, width;
    wr_buf text;
    wr_jsonw w;
} table;

static void open_table(table *t, const char *model)
{
    WR_AUTOBUF wr_buf bytes = {0};
    char path[300];
    *t = (table){.model = model};
    snprintf(path, sizeof path, WEIR_SOURCE_DIR "/tests/reference/forests/%s.rows", model);
    assert_int_equal(wr_file_read(&bytes, path, 1 << 20, NULL), 0);
    assert_int_equal(wr_json_parse(&t->rows, wr_buf_view(&bytes), path, NULL), 0);
    t->columns = yyjson_obj_get(t->rows.root, "columns");
    t->all = yyjson_obj_get(t->rows.root, "rows");
    t->answers = yyjson_obj_get(t->rows.root, "answers");
    t->n = yyjson_arr_size(t->all);
    t->width = yyjson_arr_size(t->columns);
    assert_true(t->n > 10);
}

static void close_table(table *t)
{
    wr_json_free(&t->rows);
    wr_buf_fini(&t->text);
}

static const char *name_of(const table *t, size_t k) { return yyjson_get_str(yyjson_arr_get(t->columns, k)); }
static yyjson_val *cell(const table *t, size_t row, size_t k) { return yyjson_arr_get(yyjson_arr_get(t->all, row), k); }

static void as_split(table *t)
{
    wr_jsonw_key(&t->w, "dataframe_split");
    wr_jsonw_obj(&t->w);
    wr_jsonw_key(&t->w, "columns");
    wr_jsonw_val(&t->w, t->columns);
    wr_jsonw_key(&t->w, "data");
    wr_jsonw_val(&t->w, t->all);
    wr_jsonw_end(&t->w);
}

static void as_nameless(table *t)
{
    wr_jsonw_key(&t->w, "dataframe_split");
    wr_jsonw_obj(&t->w);
    wr_jsonw_key(&t->w, "data");
    wr_jsonw_val(&t->w, t->all);
    wr_jsonw_end(&t->w);
}

static void put_records(table *t, const char *key)
{
    wr_jsonw_key(&t->w, key);
    wr_jsonw_arr(&t->w);
    for (size_t i = 0; i < t->n; i++) {
        wr_jsonw_obj(&t->w);
        for (size_t k = t->width; k-- > 0;) {
            wr_jsonw_key(&t->w, name_of(t, k));
            wr_jsonw_val(&t->w, cell(t, i, k));
        }
        wr_jsonw_end(&t->w);
    }
    wr_jsonw_end(&t->w);
}

static void as_records(table *t) { put_records(t, "dataframe_records"); }
static void as_objects(table *t) { put_records(t, "instances"); }

static void as_instances(table *t)
{
    wr_jsonw_key(&t->w, "instances");
    wr_jsonw_val(&t->w, t->all);
}

static void as_inputs(table *t)
{
    wr_jsonw_key(&t->w, "inputs");
    wr_jsonw_obj(&t->w);
    for (size_t k = 0; k < t->width; k++) {
        wr_jsonw_key(&t->w, name_of(t, k));
        wr_jsonw_arr(&t->w);
        for (size_t i = 0; i < t->n; i++) wr_jsonw_val(&t->w, cell(t, i, k));
        wr_jsonw_end(&t->w);
    }
    wr_jsonw_end(&t->w);
}

static void write_json(table *t, void (*form)(table *t))
{
    wr_buf_clear(&t->text);
    wr_jsonw_init(&t->w, &t->text, 0);
    wr_jsonw_obj(&t->w);
    form(t);
    wr_jsonw_end(&t->w);
    assert_false(t->text.failed);
}

/* Texts are quoted, missing values empty. */
static void write_csv(table *t)
{
    wr_buf_clear(&t->text);
    for (size_t k = 0; k < t->width; k++) wr_buf_printf(&t->text, "%s%s", k ? "," : "", name_of(t, k));
    for (size_t i = 0; i < t->n; i++) {
        for (size_t k = 0; k < t->width; k++) {
            yyjson_val *v = cell(t, i, k);
            wr_buf_str(&t->text, k ? "," : "\n");
            wr_jsonw w;
            wr_jsonw_init(&w, &t->text, 0);
            if (!yyjson_is_str(v) && !yyjson_is_null(v)) wr_jsonw_val(&w, v);
            if (yyjson_is_null(v) && t->width == 1) wr_buf_str(&t->text, "NaN");
            if (!yyjson_is_str(v)) continue;
            wr_buf_char(&t->text, '"');
            for (const char *p = yyjson_get_str(v); *p; p++) wr_buf_printf(&t->text, *p == '"' ? "\"\"" : "%c", *p);
            wr_buf_char(&t->text, '"');
        }
    }
}

static void compare(const table *t, yyjson_val *is, const char *how)
{
    if (yyjson_arr_size(is) != t->n) fail_msg("%s, %s: %s", t->model, how, body.p);
    for (size_t i = 0; i < t->n; i++) {
        double x = yyjson_get_num(yyjson_arr_get(is, i)),
               y = yyjson_get_num(yyjson_arr_get(yyjson_arr_get(t->answers, i), 0));
        if (!((float)x == (float)y)) fail_msg("%s, %s, row %zu: %.9g, should be %.9g", t->model, how, i, x, y);
    }
}

static const struct {
    const char *name, *path;
    void (*write)(table *t);
} forms[] = {
    {"dataframe_split", "/endpoints/%s/invocations", as_split},
    {"without names", "/endpoints/%s/invocations", as_nameless},
    {"dataframe_records", "/endpoints/%s/invocations", as_records},
    {"instances", "/endpoints/%s/invocations", as_instances},
    {"inputs", "/endpoints/%s/invocations", as_inputs},
    {"V1 rows", "/v1/models/%s:predict", as_instances},
    {"V1 objects", "/v1/models/%s:predict", as_objects},
    {"V1 columns", "/v1/models/%s:predict", as_inputs},
};

static void test_forms(void **state)
{
    (void)state;
    for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
        table t;
        char path[100];
        open_table(&t, models[m]);
        for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
            write_json(&t, forms[i].write);
            snprintf(path, sizeof path, forms[i].path, models[m]);
            if (ask_bytes("POST", path, wr_buf_view(&t.text)) != 200)
                fail_msg("%s, %s: %s", models[m], forms[i].name, body.p);
            compare(&t, at("/predictions"), forms[i].name);
        }
        write_csv(&t);
        snprintf(path, sizeof path, "/endpoints/%s/invocations", models[m]);
        request.content_type = WR_STR("text/csv");
        if (ask_bytes("POST", path, wr_buf_view(&t.text)) != 200) fail_msg("%s, csv: %s", models[m], body.p);
        compare(&t, at("/predictions"), "csv");
        close_table(&t);
    }
}

/* ---- V2: a tensor a column ---- */

static void put_column(table *t, size_t k, const char *type, bool wide)
{
    wr_jsonw_obj(&t->w);
    wr_jsonw_kstr(&t->w, "name", name_of(t, k));
    wr_jsonw_kstr(&t->w, "datatype", type);
    wr_jsonw_key(&t->w, "shape");
    wr_jsonw_arr(&t->w);
    wr_jsonw_i64(&t->w, (int64_t)t->n);
    if (wide) wr_jsonw_i64(&t->w, 1);
    wr_jsonw_end(&t->w);
    wr_jsonw_key(&t->w, "data");
    wr_jsonw_arr(&t->w);
    for (size_t i = 0; i < t->n; i++) wr_jsonw_val(&t->w, cell(t, i, k));
    wr_jsonw_end(&t->w);
    wr_jsonw_end(&t->w);
}

static const char *type_of(size_t k)
{
    char pointer[40];
    snprintf(pointer, sizeof pointer, "/inputs/%zu/datatype", k);
    return text_at(pointer);
}

static void test_v2(void **state)
{
    (void)state;
    for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
        for (int wide = 0; wide < 2; wide++) {
            table t;
            char path[100], *types[16];
            open_table(&t, models[m]);
            snprintf(path, sizeof path, "/v2/models/%s", models[m]);
            assert_int_equal(ask("GET", path, ""), 200);
            assert_int_equal(yyjson_arr_size(at("/inputs")), t.width);
            for (size_t k = 0; k < t.width; k++) types[k] = strdup(type_of(k));
            wr_jsonw_init(&t.w, &t.text, 0);
            wr_jsonw_obj(&t.w);
            wr_jsonw_key(&t.w, "inputs");
            wr_jsonw_arr(&t.w);
            for (size_t k = t.width; k-- > 0;) put_column(&t, k, types[k], wide);
            wr_jsonw_end(&t.w);
            wr_jsonw_end(&t.w);
            snprintf(path, sizeof path, "/v2/models/%s/infer", models[m]);
            for (size_t k = 0; k < t.width; k++) free(types[k]);
            if (strcmp(models[m], "lgb_frame") == 0) { /* booleans of a column of numbers: a client writes 0 and 1 */
                assert_int_equal(ask_bytes("POST", path, wr_buf_view(&t.text)), 400);
            } else {
                if (ask_bytes("POST", path, wr_buf_view(&t.text)) != 200) fail_msg("%s: %s", models[m], body.p);
                compare(&t, at("/outputs/0/data"), wide ? "[n,1]" : "[n]");
            }
            close_table(&t);
        }
    }
}

/* What the model's description says of them. */
static void test_metadata(void **state)
{
    (void)state;
    static const char *const types[] = {"BYTES", "FP32", "FP64", "FP32", "INT64", "BYTES"};
    assert_int_equal(ask("GET", "/v2/models/xgb32_frame", ""), 200);
    for (size_t k = 0; k < 6; k++) assert_string_equal(type_of(k), types[k]);
    assert_string_equal(text_at("/inputs/0/name"), "color");
    assert_int_equal(yyjson_get_sint(at("/inputs/0/shape/0")), -1);
    assert_int_equal(ask("GET", "/v2/models/xgb32_frame/config", ""), 200);
    assert_string_equal(text_at("/input/0/data_type"), "TYPE_STRING");
}

/* A configuration with the input of numbers asks for codes, as arrays have them in Python. */
static void test_codes(void **state)
{
    (void)state;
    assert_int_equal(
        put("xgb32_frameone", "codes", "{\"input\":[{\"name\":\"input\",\"data_type\":\"TYPE_FP32\",\"dims\":[1]}]}"),
        0);
    assert_int_equal(ask("POST", "/v1/models/xgb32_frameone:predict", "{\"instances\":[\"red\",\"blue\",null]}"), 200);
    double red = yyjson_get_num(at("/predictions/0")), blue = yyjson_get_num(at("/predictions/1")),
           none = yyjson_get_num(at("/predictions/2"));
    assert_true(red != blue && blue != none);
    assert_int_equal(
        infer("codes",
              "{\"inputs\":[{\"name\":\"input\",\"datatype\":\"INT64\",\"shape\":[3,1],\"data\":[4,1,null]}]}"),
        200);
    assert_true(yyjson_get_num(at("/outputs/0/data/0")) == red && yyjson_get_num(at("/outputs/0/data/1")) == blue);
    assert_true(yyjson_get_num(at("/outputs/0/data/2")) == none);
    assert_int_equal(ask("GET", "/v2/models/codes", ""), 200);
    assert_string_equal(text_at("/inputs/0/name"), "input");
    assert_int_equal(ask("POST", "/v1/models/codes:explain", "{\"instances\":[[4]]}"), 200);
    assert_int_equal(ask("POST", "/v1/models/codes:predict", "{\"instances\":[[\"red\"]]}"), 400);
}

/* ---- what is refused ---- */

static const struct {
    const char *model, *text;
    int status;
    const char *says;
} refused[] = {
    {"xgb32_frameone", "{\"inputs\":{\"color\":[\"red\",\"pink\"]}}", 400,
     "Found a category not in the training set for the 0th (0-based) column: `pink`"},
    {"xgb32_frameone", "{\"inputs\":{\"color\":[3]}}", 400,
     "inference input 'color' data-type is 'INT64', but model 'xgb32_frameone' expects 'BYTES'"},
    {"xgb32_frameone", "{\"inputs\":{\"color\":[\"red\",3]}}", 400, "Incompatible input types for column color, row 1"},
    {"xgb32_frameone", "{\"inputs\":{\"colour\":[\"red\"]}}", 400, "Model is missing inputs ['color']"},
    {"lgb_framehand", "{\"instances\":[[\"red\",1,\"low\"]]}", 400, "missing inputs"},
    {"lgb_framehand", "{\"instances\":[[\"red\",\"one\",\"low\",1]]}", 400,
     "Incompatible input types for column x, row 0"},
    {"xgb32_frame", "{\"instances\":[[\"red\",1,10,1,null,\"low\"]]}", 400, "wide"}, /* 64 bits: no missing value */
    {"xgb32_frame", "{\"instances\":[[\"red\",1,10.5,1,7,\"low\"]]}", 400, "for the 2th (0-based) column: `10.5`"},
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char path[100];
        snprintf(path, sizeof path, "/endpoints/%s/invocations", refused[i].model);
        assert_int_equal(ask("POST", path, refused[i].text), refused[i].status);
        if (!strstr(text_at("/message"), refused[i].says)) fail_msg("%s: %s", refused[i].text, body.p);
    }
    assert_int_equal(ask("POST", "/endpoints/lgb_frameone/invocations", "{\"inputs\":{\"color\":[\"pink\",null]}}"),
                     200);
    assert_true(yyjson_get_num(at("/predictions/0")) == yyjson_get_num(at("/predictions/1"))); /* never seen: missing */
    assert_int_equal(infer("xgb32_frameone",
                           "{\"inputs\":[{\"name\":\"input\",\"datatype\":\"FP32\",\"shape\":[1,1],\"data\":[1]}]}"),
                     400);
    assert_int_equal(
        infer("xgb32_frameone", "{\"inputs\":[{\"name\":\"color\",\"datatype\":\"FP32\",\"shape\":[1],\"data\":[1]}]}"),
        400);
    assert_int_equal(
        infer("xgb32_frameone",
              "{\"inputs\":[{\"name\":\"color\",\"datatype\":\"BYTES\",\"shape\":[1,1,1],\"data\":[\"red\"]}]}"),
        400);
}

static void test_explained(void **state)
{
    (void)state;
    assert_int_equal(ask("POST", "/v1/models/xgb32_frame:explain", "{\"instances\":[[\"red\",0.5,10,1,7,null]]}"), 200);
    assert_string_equal(text_at("/features/0"), "color");
    double sum = yyjson_get_num(at("/base_values/0"));
    for (size_t k = 0; k < 6; k++) sum += yyjson_get_num(yyjson_arr_get(at("/explanations/0/0"), k));
    double margin = yyjson_get_num(at("/margins/0/0")), answered = yyjson_get_num(at("/predictions/0"));
    if (yyjson_arr_size(at("/explanations/0/0")) == 7)
        sum -= yyjson_get_num(at("/base_values/0")), sum += yyjson_get_num(at("/explanations/0/0/6"));
    assert_true(fabs(sum - margin) < 1e-6 && fabs(margin - answered) < 1e-5);
}

/* ---- gRPC ---- */

static void test_grpc(void **state)
{
    (void)state;
    wr_buf message = {0}, out = {0};
    wr_pb r;
    wr_pb_field f;
    double answered[2] = {0};
    wr_pbw_str(&message, 1, WR_STR("lgb_frameone"));
    size_t in = wr_pbw_open(&message, 5);
    wr_pbw_str(&message, 1, WR_STR("color"));
    wr_pbw_str(&message, 2, WR_STR("BYTES"));
    wr_pbw_u64(&message, 3, 2);
    size_t contents = wr_pbw_open(&message, 5);
    wr_pbw_str(&message, 8, WR_STR("red"));
    wr_pbw_str(&message, 8, WR_STR("gr\xc3\xbcn, \"x\""));
    wr_pbw_close(&message, contents);
    wr_pbw_close(&message, in);
    wr_oip_grpc_request q = {.path = WR_STR(WR_OIP_GRPC_PATH "/ModelInfer"), .message = wr_buf_view(&message)};
    wr_oip_grpc_response is = {.body = &out};
    wr_oip_grpc(&is, oip, &q, &ops, arena);
    if (is.status != WR_GRPC_OK) fail_msg("%s", is.text);
    wr_pb_init(&r, wr_buf_view(&out));
    while (wr_pb_next(&r, &f))
        if (f.number == 6 && f.bytes.n == sizeof answered) memcpy(answered, f.bytes.p, sizeof answered);
    assert_int_equal(
        ask("POST", "/v1/models/lgb_frameone:predict", "{\"instances\":[\"red\",\"gr\\u00fcn, \\\"x\\\"\"]}"), 200);
    assert_true(answered[0] == yyjson_get_num(at("/predictions/0")) &&
                answered[1] == yyjson_get_num(at("/predictions/1")));
    assert_true(answered[0] != answered[1]);
    wr_buf_fini(&message);
    wr_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms), cmocka_unit_test(test_v2),      cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_codes), cmocka_unit_test(test_refused), cmocka_unit_test(test_explained),
        cmocka_unit_test(test_grpc),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
