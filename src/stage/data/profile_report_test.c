/* SPDX-License-Identifier: Apache-2.0 */
/* profile_report_test.c - the profile of a dataset, its JSON and its page. */
#include "stage/data/profile_report.h"

#include "core/core_testing.h"

static void page(place *s, wr_profile_report *r, wr_buf *b)
{
    wr_buf_clear(b);
    wr_profile_html(b, r);
    assert_false(b->failed);
    assert_true(b->n <= WR_PROFILE_PAGE);
    assert_true(wr_str_utf8(wr_buf_view(b)));
    assert_null(strstr(b->p, "<script"));
    assert_null(strstr(b->p, "http"));
    (void)s;
}

static void test_profile(void **state)
{
    place *s = *state;
    WR_AUTOBUF wr_buf b = {0}, html = {0};
    WR_AUTOJSON wr_json j = {0};
    wr_jsonw w;
    wr_profile_report r;
    wr_pool *pool = wr_pool_new(2);
    write_rows(
        s, "d", WR_DELTA_OVERWRITE,
        "SELECT range AS n, CASE WHEN range % 4 = 0 THEN NULL ELSE range / 2 END AS x, '<b>&\"' || range % 3 AS t, "
        "TIMESTAMP '2001-01-01' + INTERVAL (range) HOUR AS w, 'ab'::BLOB AS raw, NULL::VARCHAR AS none, range % 2 = 0 "
        "AS even "
        "FROM range(1000)");
    OK(wr_profile_dataset(&r, s->a, s->p, "d", NULL, 0, pool, NULL, NULL, &s->err));
    assert_int_equal(r.rows, 1000);
    assert_int_equal(r.n, 6);
    assert_int_equal(r.nskipped, 1);
    assert_string_equal(r.skipped[0], "raw");
    assert_string_equal(r.column[1].name, "x");
    assert_int_equal(r.column[1].missing, 250);
    assert_int_equal(r.column[2].ntop, 3);
    assert_true(wr_str_is(r.column[2].top[0].value, "<b>&\"0")); /* 334 rows */
    wr_jsonw_init(&w, &b, 0);
    wr_profile_json(&w, &r);
    OK(wr_json_parse(&j, wr_buf_view(&b), "profile", &s->err));
    yyjson_val *columns, *hist, *counts;
    wr_str text;
    int64_t all = 0, v;
    OK(wr_json_arr(&columns, j.root, "columns", &s->err));
    yyjson_val *n = yyjson_arr_get(columns, 0), *when = yyjson_arr_get(columns, 3);
    OK(wr_json_obj(&hist, n, "histogram", &s->err));
    OK(wr_json_arr(&counts, hist, "counts", &s->err));
    for (size_t i = 0; i < yyjson_arr_size(counts); i++) all += yyjson_get_sint(yyjson_arr_get(counts, i));
    OK(wr_json_i64(&v, hist, "below", &s->err));
    all += v;
    OK(wr_json_i64(&v, hist, "above", &s->err));
    assert_int_equal(all + v, 1000);
    OK(wr_json_str(&text, when, "min", &s->err));
    assert_string_equal(text.p, "2001-01-01T00:00:00Z");
    page(s, &r, &html);
    assert_null(strstr(html.p, "<b>"));
    SAYS("&lt;b&gt;&amp;&quot;0", html.p);
    wr_pool_free(pool);
}

static void test_choice_and_errors(void **state)
{
    place *s = *state;
    wr_profile_report r;
    wr_pool *pool = wr_pool_new(1);
    const char *const one[] = {"b"}, *const none[] = {"bb"};
    write_rows(s, "d", WR_DELTA_OVERWRITE, "SELECT 1 AS a, 2 AS b");
    write_rows(s, "d", WR_DELTA_OVERWRITE, "SELECT 1 AS a, 2 AS b WHERE false");
    OK(wr_profile_dataset(&r, s->a, s->p, "d@0", one, 1, pool, NULL, NULL, &s->err));
    assert_int_equal(r.n, 1);
    assert_int_equal(r.rows, 1);
    FAILS(WEIR_ENOTFOUND, wr_profile_dataset(&r, s->a, s->p, "d", none, 1, pool, NULL, NULL, &s->err));
    SAYS("did you mean \"b\"", s->err.hint);
    FAILS(WEIR_ENOTFOUND, wr_profile_dataset(&r, s->a, s->p, "nope", NULL, 0, pool, NULL, NULL, &s->err));
    OK(wr_profile_dataset(&r, s->a, s->p, "d", NULL, 0, pool, NULL, NULL, &s->err)); /* no rows */
    WR_AUTOBUF wr_buf html = {0};
    page(s, &r, &html);
    wr_pool_free(pool);
}

/* 500 columns of long texts: the page stays small and says what it leaves out. */
static void test_wide(void **state)
{
    place *s = *state;
    WR_AUTOBUF wr_buf sql = {0}, html = {0};
    wr_profile_report r;
    wr_pool *pool = wr_pool_new(2);
    wr_buf_str(&sql, "SELECT range AS n");
    for (int i = 0; i < 500; i++) wr_buf_printf(&sql, ", repeat('ü<', 300) || range AS \"column number %d\"", i);
    wr_buf_str(&sql, " FROM range(12)");
    write_rows(s, "d", WR_DELTA_OVERWRITE, wr_buf_cstr(&sql));
    OK(wr_profile_dataset(&r, s->a, s->p, "d", NULL, 0, pool, NULL, NULL, &s->err));
    assert_int_equal(r.n, 501);
    page(s, &r, &html);
    SAYS("columns more", html.p);
    wr_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_profile, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_choice_and_errors, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_wide, make_place, drop_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
