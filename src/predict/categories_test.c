/* SPDX-License-Identifier: Apache-2.0 */
#include "predict/categories.h"

#include <math.h>
#include <stdio.h>

#include "base/fault.h"
#include "calc/forest_internal.h"
#include "io/file.h"
#include "predict/forest_format_testing.h"

/* ---- tables ---- */

static wr_categories *table(const char *list)
{
    WR_AUTOJSON wr_json j = {0};
    wr_categories *c;
    wr_err err = {0};
    assert_int_equal(wr_json_parse(&j, wr_str_of(list), "list", &err), 0);
    assert_int_equal(wr_categories_new(&c, 2, &err), 0);
    int rc = wr_categories_set_json(c, 1, j.root, &err);
    if (rc < 0) print_error("%s: %s\n", list, err.msg);
    assert_int_equal(rc, 0);
    assert_int_equal(wr_categories_kind_of(c, 0), WR_CATEGORIES_NONE);
    assert_true(wr_categories_any(c));
    return c;
}

static void test_kinds(void **state)
{
    (void)state;
    wr_categories *c = table("[\"red\", \"\", \"r\\u0000d\", \"gr\xc3\xbcn\"]");
    assert_int_equal(wr_categories_kind_of(c, 1), WR_CATEGORIES_TEXT);
    assert_int_equal(wr_categories_count(c, 1), 4);
    assert_int_equal(wr_categories_text(c, 1, WR_STR("red")), 0);
    assert_int_equal(wr_categories_text(c, 1, WR_STR("")), 1);
    assert_int_equal(wr_categories_text(c, 1, (wr_str){"r\0d", 3}), 2);
    assert_int_equal(wr_categories_text(c, 1, WR_STR("gr\xc3\xbcn")), 3);
    assert_int_equal(wr_categories_text(c, 1, WR_STR("re")), -1);
    wr_categories_free(c);
    c = table("[10, -0.0, 2.5, 9007199254740992]");
    assert_int_equal(wr_categories_kind_of(c, 1), WR_CATEGORIES_NUMBER);
    assert_int_equal(wr_categories_number(c, 1, 10), 0);
    assert_int_equal(wr_categories_number(c, 1, 0), 1);
    assert_int_equal(wr_categories_number(c, 1, 2.5), 2);
    assert_int_equal(wr_categories_number(c, 1, 9007199254740992.0), 3);
    assert_int_equal(wr_categories_number(c, 1, NAN), -1);
    wr_categories_free(c);
    c = table("[9007199254740993, 9007199254740992, -9223372036854775808]");
    assert_int_equal(wr_categories_kind_of(c, 1), WR_CATEGORIES_WHOLE);
    assert_int_equal(wr_categories_whole(c, 1, 9007199254740993), 0);
    assert_int_equal(wr_categories_whole(c, 1, 9007199254740992), 1);
    assert_int_equal(wr_categories_whole(c, 1, INT64_MIN), 2);
    assert_int_equal(wr_categories_whole(c, 1, 9007199254740994), -1);
    wr_categories_free(c);
    c = table("[false, true]");
    assert_int_equal(wr_categories_number(c, 1, 1), 1);
    wr_categories_free(c);
    c = table("[\"a\", 1, 2.5, true]"); /* of several kinds: texts */
    assert_int_equal(wr_categories_text(c, 1, WR_STR("1")), 1);
    assert_int_equal(wr_categories_text(c, 1, WR_STR("2.5")), 2);
    assert_int_equal(wr_categories_text(c, 1, WR_STR("true")), 3);
    wr_categories_free(c);
}

static void test_refused_lists(void **state)
{
    static const struct {
        const char *list;
        int code;
    } all[] = {
        {"[]", WEIR_ELIMIT},           {"[\"a\",\"a\"]", WEIR_ECORRUPT},
        {"[1,1.0]", WEIR_ECORRUPT},    {"[0,-0.0]", WEIR_ECORRUPT},
        {"[1,null]", WEIR_ECORRUPT},   {"[[1]]", WEIR_ECORRUPT},
        {"[\"a\",[]]", WEIR_ECORRUPT}, {"[9223372036854775808]", WEIR_EUNSUPPORTED},
        {"[\"1\",1]", WEIR_ECORRUPT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        WR_AUTOJSON wr_json j = {0};
        wr_categories *c;
        wr_err err = {0};
        assert_int_equal(wr_json_parse(&j, wr_str_of(all[i].list), "list", &err), 0);
        assert_int_equal(wr_categories_new(&c, 1, &err), 0);
        assert_int_equal(wr_categories_set_json(c, 0, j.root, &err), all[i].code);
        wr_categories_free(c);
    }
}

/* Many values: the table stays exact. */
static void test_many(void **state)
{
    enum { N = 20000 };
    (void)state;
    wr_categories *c;
    int64_t *values = malloc(N * sizeof *values);
    assert_non_null(values);
    for (int64_t i = 0; i < N; i++) values[i] = (i * 7919) ^ (INT64_C(1) << 60);
    assert_int_equal(wr_categories_new(&c, 1, NULL), 0);
    assert_int_equal(wr_categories_set_wholes(c, 0, values, N, NULL), 0);
    for (int64_t i = 0; i < N; i++) {
        assert_int_equal(wr_categories_whole(c, 0, values[i]), i);
        assert_int_equal(wr_categories_whole(c, 0, values[i] + 1 + N * INT64_C(8000)), -1);
    }
    assert_true(wr_categories_memory(c) > N * 8);
    wr_categories_free(c);
    free(values);
}

/* ---- which features the lists of LightGBM belong to ---- */

static const struct {
    size_t n;
    const char *infos, *categorical, *lists, *found;
} matches[] = {
    {3, "0:1 [0:1.5] 1:0:2", "0,2", "[[\"a\",\"b\"],[1,2,3]]", "T-N"},
    {3, "0:1 [0:1.5] 1:0:2", NULL, "[[\"a\",\"b\"],[1,2,3]]", "T-N"},
    /* all values the same: the parameter tells */
    {3, "-1:1:0 none [0:1]", "0,1", "[[\"a\",\"b\"],[\"k\"]]", "TT-"},
    /* with an order: a number to LightGBM */
    {3, "-1:1:0 [0:2] [-3.5:1]", "0", "[[\"a\",\"b\"],[\"l\",\"m\",\"h\"]]", "TT-"},
    {3, "[0:2] -1:1:0 [0:2]", "1", "[[\"a\",\"b\"],[\"l\",\"m\",\"h\"]]", "-TT"},
    /* two ways: the one that goes as far as the list, if there is one */
    {3, "-1:1:0 [0:1] [0:2]", "0", "[[\"a\",\"b\"],[\"l\",\"m\",\"h\"]]", "T-T"},
    {3, "-1:1:0 [0:1] [0:1]", "0", "[[\"a\",\"b\"],[\"l\",\"m\",\"h\"]]", NULL},
    {3, "-1:1:0 [0:2] [0:2]", "0", "[[\"a\",\"b\"],[\"l\",\"m\",\"h\"]]", NULL},
    {3, "[0:1] -1:1:0 [0:2]", "1", "[[\"a\",\"b\"],[\"l\",\"m\",\"h\"]]", NULL},
    {3, "[0:2] -1:1:0 [0:2]", "1", "[[\"a\",\"b\",\"c\"],[\"l\",\"m\",\"h\"]]", NULL},
    {3, "-1:1:0 none [0:2]", "0", "[[\"a\",\"b\"],[\"l\"]]", "TT-"},
    {3, "[0:3] [0:1.5] -1:3:1", "2", "[[\"a\",\"b\",\"c\",\"d\"]]", "--T"},
    /* named by hand: its values are no codes of the list */
    {3, "[0:3] [0:1.5] -1:4:1", "2", "[[\"a\",\"b\",\"c\",\"d\"]]", "T--"},
    {3, "[0:3] [0:2] -1:4:1", "2", "[[\"a\",\"b\",\"c\",\"d\"]]", "T--"},
    {3, "[0:3] [0:3] -1:4:1", "2", "[[\"a\",\"b\",\"c\",\"d\"]]", NULL},
    {3, "0:1 [x:y] [0:1.5]", NULL, "[[1,2]]", "N--"},
    {1, "[0:3]", NULL, "null", NULL},
    {1, "[0:3]", NULL, "[]", NULL},
    {1, "[0:3]", NULL, NULL, NULL},
    {1, "0:1", NULL, "[[]]", NULL},
    {2, "0:1 0:1", NULL, "[[1,2]]", NULL},
    {2, "0:1", NULL, "[[1,2]]", NULL}, /* fewer infos than features */
    {1, "", NULL, "[[1,2]]", NULL},
};

static void test_matches(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof matches / sizeof *matches; i++) {
        wr_categories *c;
        wr_err err = {0};
        wr_lightgbm_lists t = {wr_str_of(matches[i].infos), wr_str_of(matches[i].categorical),
                               wr_str_of(matches[i].lists)};
        int rc = wr_categories_from_lightgbm(&c, &t, matches[i].n, &err);
        if (rc < 0 || !matches[i].found != !c) print_error("line %zu: %s\n", i, err.msg);
        assert_int_equal(rc, 0);
        assert_true(!matches[i].found == !c);
        for (size_t k = 0; c && k < matches[i].n; k++)
            assert_int_equal("-TNW"[wr_categories_kind_of(c, k)], matches[i].found[k]);
        wr_categories_free(c);
    }
}

static void test_broken_lists(void **state)
{
    static const char *const all[] = {"[[1,2]", "{\"a\":1}", "[1]", "[[1],[2]]", "[[1,1]]", "7"};
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        wr_categories *c;
        wr_err err = {0};
        wr_lightgbm_lists t = {.infos = WR_STR("0:1"), .lists = wr_str_of(all[i])};
        assert_int_equal(wr_categories_from_lightgbm(&c, &t, 1, &err), WEIR_ECORRUPT);
        assert_null(c);
        assert_true(err.msg[0]);
    }
}

/* ---- those of XGBoost ---- */

static void test_broken_cats(void **state)
{
    static const struct {
        const char *cats;
        int code;
    } all[] = {
        {"{\"enc\":[{\"offsets\":[0,1,3],\"values\":[97,98,-61]},{\"offsets\":[],\"values\":[]}]}", 0},
        {"{\"enc\":[]}", WEIR_ENO},
        {"{}", WEIR_ENO},
        {"{\"enc\":[{\"offsets\":[],\"values\":[]},{\"type\":15,\"values\":[]}]}", WEIR_ENO},
        {"[]", WEIR_ECORRUPT},
        {"{\"enc\":{}}", WEIR_ECORRUPT},
        {"{\"enc\":[{\"offsets\":[0,1],\"values\":[97]}]}", WEIR_ECORRUPT},
        {"{\"enc\":[1,2]}", WEIR_ECORRUPT},
        {"{\"enc\":[{\"offsets\":[0,2],\"values\":[97]},{\"offsets\":[],\"values\":[]}]}", WEIR_ECORRUPT},
        {"{\"enc\":[{\"offsets\":[0,-1],\"values\":[97]},{\"offsets\":[],\"values\":[]}]}", WEIR_ECORRUPT},
        {"{\"enc\":[{\"offsets\":[1,0],\"values\":[97]},{\"offsets\":[],\"values\":[]}]}", WEIR_ECORRUPT},
        {"{\"enc\":[{\"offsets\":[0,1],\"values\":[256]},{\"offsets\":[],\"values\":[]}]}", WEIR_ECORRUPT},
        {"{\"enc\":[{\"offsets\":[0,1],\"values\":[1.5]},{\"offsets\":[],\"values\":[]}]}", WEIR_ECORRUPT},
        {"{\"enc\":[{\"offsets\":[0,1,2],\"values\":[97,97]},{\"offsets\":[],\"values\":[]}]}", WEIR_ECORRUPT},
        {"{\"enc\":[{\"offsets\":7,\"values\":[97,97]},{\"offsets\":[],\"values\":[]}]}", WEIR_ECORRUPT},
        {"{\"enc\":[{\"offsets\":[0,1]},{\"offsets\":[],\"values\":[]}]}", WEIR_ECORRUPT},
        {"{\"enc\":[{\"values\":[1]},{\"offsets\":[],\"values\":[]}]}", WEIR_ECORRUPT},
        {"{\"enc\":[{\"type\":15,\"values\":[\"1\"]},{\"offsets\":[],\"values\":[]}]}", WEIR_ECORRUPT},
        {"{\"enc\":[{\"type\":12,\"values\":[1.5]},{\"offsets\":[],\"values\":[]}]}", WEIR_ECORRUPT},
        {"{\"enc\":[{\"type\":16,\"values\":[-5]},{\"offsets\":[],\"values\":[]}]}", WEIR_EUNSUPPORTED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        WR_AUTOJSON wr_json j = {0};
        wr_categories *c;
        wr_err err = {0};
        assert_int_equal(wr_json_parse(&j, wr_str_of(all[i].cats), "cats", &err), 0);
        int rc = wr_categories_from_xgboost(&c, j.root, NULL, 2, &err);
        if (rc != (all[i].code == WEIR_ENO ? 0 : all[i].code)) print_error("%s: %d %s\n", all[i].cats, rc, err.msg);
        assert_int_equal(rc, all[i].code == WEIR_ENO ? 0 : all[i].code);
        assert_true((c != NULL) == (all[i].code == 0));
        wr_categories_free(c);
    }
}

/* UBJSON has signed numbers for these. */
static void test_unsigned_cats(void **state)
{
    (void)state;
    WR_AUTOJSON wr_json j = {0};
    wr_categories *c;
    assert_int_equal(
        wr_json_parse(&j, WR_STR("{\"enc\":[{\"type\":12,\"values\":[1,-25536]},{\"type\":14,\"values\":[-1]}]}"),
                      "cats", NULL),
        0);
    assert_int_equal(wr_categories_from_xgboost(&c, j.root, NULL, 2, NULL), 0);
    assert_int_equal(wr_categories_number(c, 0, 40000), 1);
    assert_int_equal(wr_categories_number(c, 1, 4294967295.0), 0);
    wr_categories_free(c);
}

/* Files before 3.4 count characters, and end too early. */
static void test_counted_characters(void **state)
{
    static const struct {
        const char *cats, *version, *text;
        int64_t code;
    } all[] = {
        /* "Aa" "K\u00f6ln" "zwei": the last byte is lost */
        {"[65,97,75,-61,-74,108,110,122,119,101]", "[3,2,0]", "Aa", 0},
        {"[65,97,75,-61,-74,108,110,122,119,101]", "[3,2,0]", "K\xc3\xb6ln", 1},
        {"[65,97,75,-61,-74,108,110,122,119,101]", "[3,2,0]", "zwei", 2},
        {"[65,97,75,-61,-74,108,110,122,119,101]", "[3,2,0]", "zwe", -1},
        {"[65,97,75,-61,-74,108,110,122,119,101]", "[3,2,0]", "zweite", -1},
        {"[65,97,75,-61,-74,108,110,122,119,101]", "[3,2,0]", "drei", -1},
        {"[65,97,75,-61,-74,108,110,122,119,101]", "[3,4,0]", "K\xc3\xb6l", 1}, /* bytes */
        {"[65,97,75,-61,-74,108,110,122,119,101]", "[4,0,0]", "nzwe", 2},
        {"[65,97,75,108,108,110,122,119,101,105]", "[3,2,0]", "zwei", 2}, /* ASCII: no difference */
        {"[65,97,75,-61,-74,-61,-74,-61,-74,-61]", "[3,2,0]", "K\xc3\xb6\xc3\xb6\xc3\xb6",
         1},                                                               /* ends within a character */
        {"[65,97,75,-61,-74,-61,-74,-61,-74,-61]", "[3,2,0]", "zwei", -1}, /* nothing is left of it */
        {"[-30,-126,-84,-30,-126,-84,-30,-126,-84,-30]", "[3,1,0]", "\xe2\x82\xac\xe2\x82\xac", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        WR_AUTOJSON wr_json cats = {0}, version = {0};
        wr_categories *c;
        wr_err err = {0};
        char text[200];
        (void)snprintf(text, sizeof text, "{\"enc\":[{\"offsets\":[0,2,6,10],\"values\":%s}]}", all[i].cats);
        assert_int_equal(wr_json_parse(&cats, wr_str_of(text), "cats", NULL), 0);
        assert_int_equal(wr_json_parse(&version, wr_str_of(all[i].version), "version", NULL), 0);
        int rc = wr_categories_from_xgboost(&c, cats.root, version.root, 1, &err);
        if (rc < 0) print_error("line %zu: %s\n", i, err.msg);
        assert_int_equal(rc, 0);
        int64_t code = wr_categories_text(c, 0, wr_str_of(all[i].text));
        if (code != all[i].code) print_error("line %zu: \"%s\" is %d\n", i, all[i].text, (int)code);
        assert_int_equal(code, all[i].code);
        wr_categories_free(c);
    }
}

/* ---- whole models: what the libraries answered to the same values ---- */

static wr_predictor *read_model(const char *file)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_predictor *p = NULL;
    wr_err err = {0};
    file_read(&b, file);
    int rc = strncmp(file, "lgb", 3) == 0 ? wr_lightgbm_read(&p, wr_buf_view(&b), NULL, "model", &err)
                                          : wr_xgboost_read(&p, wr_buf_view(&b), NULL, "model", &err);
    if (rc < 0) print_error("%s: %s\n", file, err.msg);
    assert_int_equal(rc, 0);
    return p;
}

static void put(wr_tensor *t, size_t i, yyjson_val *v)
{
    bool missing = yyjson_is_null(v);
    double x = yyjson_is_bool(v) ? yyjson_get_bool(v) : missing ? NAN : yyjson_get_num(v);
    if (t->type == WR_TENSOR_BYTES)
        ((wr_str *)t->data)[i] = missing ? (wr_str){NULL, 0} : (wr_str){yyjson_get_str(v), yyjson_get_len(v)};
    else if (t->type == WR_TENSOR_INT64) ((int64_t *)t->data)[i] = yyjson_get_sint(v);
    else if (t->type == WR_TENSOR_FP64) ((double *)t->data)[i] = x;
    else ((float *)t->data)[i] = (float)x;
}

/* Rows from..from+n as the model's inputs. */
static wr_tensor *columns(const wr_predictor *p, yyjson_val *rows, size_t from, size_t n, wr_arena *a)
{
    wr_tensor *in = wr_arena_calloc(a, p->nin, sizeof *in);
    for (size_t k = 0; k < p->nin; k++) {
        in[k] = (wr_tensor){
            .name = wr_str_of(p->in[k].name), .type = p->in[k].type, .ndims = 1, .shape = {(int64_t)n}, .count = n};
        assert_int_equal(wr_tensor_alloc(&in[k], a, NULL), 0);
        for (size_t i = 0; i < n; i++) put(&in[k], i, yyjson_arr_get(yyjson_arr_get(rows, from + i), k));
    }
    return in;
}

/* The nth of every answer; exact: to the bit. */
static void compare(const wr_tensor *out, yyjson_val *want, size_t from, size_t n, bool exact)
{
    size_t each = out->count / n;
    for (size_t i = 0; i < out->count; i++) {
        yyjson_val *row = yyjson_arr_get(want, from + i / each);
        assert_int_equal(yyjson_arr_size(row), each);
        double x = wr_tensor_f64(out, i), y = yyjson_get_num(yyjson_arr_get(row, i % each));
        double most = exact ? 0 : out->type == WR_TENSOR_FP64 ? 1e-9 : 1e-6;
        if (!(fabs(x - y) <= most))
            print_error("row %zu, number %zu: %.17g, should be %.17g\n", from + i / each, i % each, x, y);
        assert_true(fabs(x - y) <= most);
    }
}

static void check_rows(const wr_predictor *p, yyjson_val *root, size_t step, bool exact)
{
    yyjson_val *rows = yyjson_obj_get(root, "rows"), *phi = yyjson_obj_get(root, "contributions");
    size_t n = yyjson_arr_size(rows), nphi = yyjson_arr_size(phi);
    for (size_t from = 0; from < n; from += step) {
        WR_AUTOARENA wr_arena *a = wr_arena_new(0);
        size_t some = from + step < n ? step : n - from;
        wr_tensor out = {.type = p->out->type}, told = {.type = WR_TENSOR_FP64}, *in = columns(p, rows, from, some, a);
        wr_err err = {0};
        if (p->ops->run(p, &out, NULL, in, a, &err) < 0) fail_msg("rows from %zu: %s", from, err.msg);
        compare(&out, yyjson_obj_get(root, "answers"), from, some, exact);
        if (from + some > nphi) continue;
        if (p->ops->explain(p, &told, in, a, &err) < 0) fail_msg("%s", err.msg);
        for (size_t i = 0, each = told.count / some; i < told.count; i++) {
            double y = yyjson_get_num(yyjson_arr_get(yyjson_arr_get(phi, from + i / each), i % each));
            assert_true(fabs(((double *)told.data)[i] - y) <= 1e-5);
        }
    }
}

/* What the library refuses is refused in its words. */
static void check_refused(const wr_predictor *p, yyjson_val *refused)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    size_t i, n;
    yyjson_val *v;
    yyjson_arr_foreach(refused, i, n, v)
    {
        wr_err err = {0};
        WR_AUTOJSON wr_json one = {0};
        WR_AUTOBUF wr_buf text = {0};
        wr_jsonw w;
        wr_jsonw_init(&w, &text, 0);
        wr_jsonw_arr(&w);
        wr_jsonw_val(&w, yyjson_obj_get(v, "row"));
        wr_jsonw_end(&w);
        assert_int_equal(wr_json_parse(&one, wr_buf_view(&text), "row", NULL), 0);
        wr_tensor out = {.type = p->out->type};
        assert_int_equal(p->ops->run(p, &out, NULL, columns(p, one.root, 0, 1, a), a, &err), WEIR_EINVAL);
        assert_string_equal(err.msg, yyjson_get_str(yyjson_obj_get(v, "error")));
        assert_true(err.hint[0]);
    }
}

static void check(const char *file, const char *stem, const char *types, bool exact)
{
    WR_AUTOBUF wr_buf b = {0};
    WR_AUTOJSON wr_json j = {0};
    char name[100];
    wr_predictor *p = read_model(file);
    (void)snprintf(name, sizeof name, "%s.rows", stem);
    file_read(&b, name);
    assert_int_equal(wr_json_parse(&j, wr_buf_view(&b), name, NULL), 0);
    yyjson_val *names = yyjson_obj_get(j.root, "columns");
    assert_int_equal(p->nin, yyjson_arr_size(names));
    assert_int_equal(p->nin, strlen(types));
    for (size_t k = 0; k < p->nin; k++) {
        wr_tensor_type t = types[k] == 'T'   ? WR_TENSOR_BYTES
                           : types[k] == 'W' ? WR_TENSOR_INT64
                           : types[k] == 'N' ? WR_TENSOR_FP64
                                             : WR_TENSOR_FP32;
        assert_string_equal(p->in[k].name, yyjson_get_str(yyjson_arr_get(names, k)));
        assert_true(p->in[k].type == t && p->in[k].ndims == 1 && p->in[k].shape[0] == -1 && p->in[k].lenient);
    }
    assert_true(p->rows);
    for (int k = WR_FOREST_KERNEL_PLAIN; k <= WR_FOREST_KERNEL_LANES; k++) {
        wr_forest_force = (wr_forest_kernel)k;
        check_rows(p, j.root, 1, exact);
    }
    wr_forest_force = WR_FOREST_KERNEL_AUTO;
    check_rows(p, j.root, 1000, exact); /* all at once: several blocks */
    check_rows(p, j.root, 7, exact);
    check_refused(p, yyjson_obj_get(j.root, "refused"));
    wr_predictor_free(p);
}

static void test_as_xgboost(void **state)
{
    (void)state;
    check("xgb32_frame.json", "xgb32_frame", "T-N-WT", true);
    check("xgb32_frame.ubj", "xgb32_frame", "T-N-WT", true);
    check("xgb32_frameclasses.json", "xgb32_frameclasses", "T-N-WT", false);
    check("xgb32_framedart.json", "xgb32_framedart", "T-N-WT", false);
    check("xgb32_frameone.json", "xgb32_frameone", "T", true);
    check("xgb32_frameone.ubj", "xgb32_frameone", "T", true);
}

static void test_as_lightgbm(void **state)
{
    (void)state;
    check("lgb_frame.txt", "lgb_frame", "T-N-WNNTT", true);
    check("lgb_frameclasses.txt", "lgb_frameclasses", "-TNN", false);
    check("lgb_framehand.txt", "lgb_framehand", "T-T-", true);
    check("lgb_frameone.txt", "lgb_frameone", "T", true);
}

/* Columns of different lengths (a configuration may leave them free) are refused, not read past their end. */
static void test_uneven_columns(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_predictor *p = read_model("lgb_framehand.txt");
    WR_AUTOJSON wr_json j = {0};
    wr_err err = {0};
    assert_int_equal(wr_json_parse(&j, WR_STR("[[\"red\",1,\"low\",2],[\"red\",1,\"low\",2]]"), "rows", NULL), 0);
    wr_tensor *in = columns(p, j.root, 0, 2, a), out = {.type = p->out->type};
    in[2].shape[0] = 1;
    assert_int_equal(p->ops->run(p, &out, NULL, in, a, &err), WEIR_EINVAL);
    assert_string_equal(err.msg, "input 'grade' has 1 rows, 'color' 2");
    wr_predictor_free(p);
}

static void test_two_of_a_name(void **state)
{
    (void)state;
    WR_AUTOBUF wr_buf b = {0};
    wr_predictor *p = NULL;
    wr_err err = {0};
    file_read(&b, "lgb_framehand.txt");
    char *at = memmem(b.p, b.n, "feature_names=color x grade", 27);
    assert_non_null(at);
    memcpy(at, "feature_names=color x color", 27);
    assert_int_equal(wr_lightgbm_read(&p, wr_buf_view(&b), NULL, "model", &err), WEIR_ECORRUPT);
    assert_null(p);
    assert_string_equal(err.msg, "two features are called \"color\"");
}

static void no_memory(const char *file)
{
    WR_AUTOBUF wr_buf b = {0};
    file_read(&b, file);
    for (long n = 1;; n++) {
        wr_predictor *p = NULL;
        wr_err err = {0};
        wr_fault_arm(WR_FAULT_ALLOC, n, false);
        int rc = strncmp(file, "lgb", 3) == 0 ? wr_lightgbm_read(&p, wr_buf_view(&b), NULL, "model", &err)
                                              : wr_xgboost_read(&p, wr_buf_view(&b), NULL, "model", &err);
        bool fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        wr_predictor_free(p);
        if (!fired) {
            assert_int_equal(rc, 0);
            break;
        }
        assert_int_equal(rc, WEIR_ENOMEM);
    }
}

static void test_no_memory(void **state)
{
    (void)state;
    no_memory("xgb32_frame.ubj");
    no_memory("lgb_frame.txt");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),          cmocka_unit_test(test_refused_lists),
        cmocka_unit_test(test_many),           cmocka_unit_test(test_matches),
        cmocka_unit_test(test_broken_lists),   cmocka_unit_test(test_broken_cats),
        cmocka_unit_test(test_unsigned_cats),  cmocka_unit_test(test_counted_characters),
        cmocka_unit_test(test_as_xgboost),     cmocka_unit_test(test_as_lightgbm),
        cmocka_unit_test(test_uneven_columns), cmocka_unit_test(test_two_of_a_name),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
