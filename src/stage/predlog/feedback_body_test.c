/* SPDX-License-Identifier: Apache-2.0 */
/* feedback_body_test.c - bodies of feedback: every form reads as the same items, and what is wrong names its row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/limits.h"
#include "stage/predlog/feedback_body.h"

static const int64_t NOW = (int64_t)1000000000 * 1000000;

static wr_arena *arena;
static wr_feedback_item *items;
static size_t n;
static wr_err why;

static int read_as(const char *type, const char *body)
{
    wr_feedback_form f = {.content_type = wr_str_of(type), .now_us = NOW};
    why = (wr_err){0};
    return wr_feedback_read(&items, &n, wr_str_of(body), &f, arena, &why);
}

static void is(size_t i, const char *id, double value, bool reward, int64_t known)
{
    assert_true(i < n && wr_str_is(items[i].id, id) && items[i].reward == reward && items[i].known_us == known);
    assert_true(!items[i].text.p && items[i].value == value);
}

static void is_class(size_t i, const char *id, const char *text)
{
    assert_true(i < n && wr_str_is(items[i].id, id) && items[i].text.p && wr_str_is(items[i].text, text));
}

static void test_json(void **state)
{
    (void)state;
    assert_int_equal(read_as("", "{\"id\":\"a\",\"label\":1.5}"), 0);
    assert_int_equal(n, 1);
    is(0, "a", 1.5, false, NOW);
    assert_int_equal(
        read_as("application/json; charset=utf-8",
                "[{\"id\":\"a\",\"label\":true,\"ts\":\"2001-06-14T00:00:00Z\"},{\"id\":\"b\",\"label\":\"cat\"},"
                "{\"id\":\"c\",\"reward\":0.25,\"known_at\":7},{\"id\":\"d\",\"label\":0,\"reward\":-1,\"more\":[]}]"),
        0);
    assert_int_equal(n, 5);
    is(0, "a", 1, false, (int64_t)992476800 * 1000000);
    is_class(1, "b", "cat");
    is(2, "c", 0.25, true, 7);
    is(3, "d", 0, false, NOW);
    is(4, "d", -1, true, NOW);
    assert_int_equal(read_as("", "{\"feedback\":[{\"id\":\"a\",\"label\":2}]}"), 0);
    is(0, "a", 2, false, NOW);
    assert_int_equal(read_as("", "[]"), 0);
    assert_int_equal(n, 0);
}

static void test_lines_and_tables(void **state)
{
    (void)state;
    assert_int_equal(read_as("application/x-ndjson", "{\"id\":\"a\",\"label\":1}\r\n\n{\"id\":\"b\",\"reward\":2}"), 0);
    assert_int_equal(n, 2);
    is(0, "a", 1, false, NOW);
    is(1, "b", 2, true, NOW);
    assert_int_equal(
        read_as("text/csv",
                "\xef\xbb\xbf"
                "ts,id,other,label,reward\r\n5,a,x,1,\r\n,\"b,\"\"c\",y,\"7\",0.5\n\n2001-06-14T00:00:00Z,d,,True\n"),
        0);
    assert_int_equal(n, 4);
    is(0, "a", 1, false, 5);
    is_class(1, "b,\"c", "7"); /* quoted: a name */
    is(2, "b,\"c", 0.5, true, NOW);
    is(3, "d", 1, false, (int64_t)992476800 * 1000000);
}

static void test_cloudevents(void **state)
{
    (void)state;
    wr_feedback_form f = {.content_type = WR_STR("application/json"),
                          .ce_version = WR_STR("1.0"),
                          .ce_subject = WR_STR("p-1"),
                          .ce_time = WR_STR("2001-06-14T00:00:00Z"),
                          .now_us = NOW};
    const int64_t then = (int64_t)992476800 * 1000000;
    assert_int_equal(wr_feedback_read(&items, &n, WR_STR("{\"label\":3}"), &f, arena, &why), 0);
    is(0, "p-1", 3, false, then);
    assert_int_equal(wr_feedback_read(&items, &n, WR_STR("{\"id\":\"own\",\"label\":3,\"ts\":9}"), &f, arena, &why), 0);
    is(0, "own", 3, false, 9);
    f.ce_version = WR_STR("0.3");
    assert_int_equal(wr_feedback_read(&items, &n, WR_STR("{\"label\":3}"), &f, arena, &why), WEIR_EINVAL);
    static const char event[] =
        "{\"specversion\":\"1.0\",\"type\":\"t\",\"source\":\"s\",\"id\":\"e\",\"subject\":\"p-2\",\"time\":"
        "\"2001-06-14T00:00:00Z\",\"data\":{\"label\":\"dog\"}}";
    assert_int_equal(read_as("application/cloudevents+json", event), 0);
    is_class(0, "p-2", "dog");
    assert_true(items[0].known_us == then);
    WR_AUTOBUF wr_buf b = {0};
    wr_buf_printf(
        &b, "[%s,{\"specversion\":\"1.0\",\"data\":[{\"id\":\"x\",\"reward\":1},{\"id\":\"y\",\"reward\":0}]}]", event);
    assert_int_equal(read_as("application/cloudevents-batch+json; charset=UTF-8", wr_buf_cstr(&b)), 0);
    assert_int_equal(n, 3);
    is(2, "y", 0, true, NOW);
}

static void test_what_is_wrong_names_its_row(void **state)
{
    (void)state;
    static const struct {
        const char *type, *body, *says;
        int code;
    } wrong[] = {
        {"", "[{\"id\":\"a\",\"label\":1},{\"id\":\"b\"}]", "row 1 has neither \"label\" nor \"reward\"", WEIR_EINVAL},
        {"", "[{\"id\":\"a\",\"label\":1},{\"label\":1}]", "row 1 has no \"id\"", WEIR_EINVAL},
        {"", "[{\"id\":5,\"label\":1}]", "row 0: \"id\" is not a string", WEIR_ETYPE},
        {"", "[{\"id\":\"\",\"label\":1}]", "row 0: an id has 1 to 128 bytes", WEIR_EINVAL},
        {"", "[{\"id\":\"a\",\"label\":null}]", "row 0: \"label\" is not a number, a boolean or a string", WEIR_ETYPE},
        {"", "[{\"id\":\"a\",\"label\":[1]}]", "row 0: \"label\"", WEIR_ETYPE},
        {"", "[{\"id\":\"a\",\"reward\":\"much\"}]", "row 0: \"reward\" is not a number", WEIR_ETYPE},
        {"", "[{\"id\":\"a\",\"label\":\"\"}]", "row 0: the name of a class", WEIR_EINVAL},
        {"", "[{\"id\":\"a\",\"label\":1,\"ts\":\"soon\"}]", "row 0: \"ts\" is not a time", WEIR_EINVAL},
        {"", "[{\"id\":\"a\",\"label\":1,\"ts\":\"2101-01-01T00:00:00Z\"}]", "has not come yet", WEIR_EINVAL},
        {"", "[1]", "row 0 is not an object", WEIR_ETYPE},
        {"", "[{", "request", WEIR_EPARSE},
        {"application/x-ndjson", "{\"id\":\"a\",\"label\":1}\n{\"id\":", "row 1", WEIR_EPARSE},
        {"text/csv", "id,value\na,1\n", "the first line names no column", WEIR_EINVAL},
        {"text/csv", "id,label,id\na,1,2\n", "column \"id\" is there twice", WEIR_EINVAL},
        {"text/csv", "id,label\na,1\nb,\n", "row 1 has neither", WEIR_EINVAL},
        {"text/csv", "id,label\n\"a,1\n", "row 0: a quote is not closed", WEIR_EPARSE},
        {"text/csv", "id,reward\na,nan\n", "row 0: \"reward\" is not a number", WEIR_ETYPE},
        {"text/plain", "a", "feedback of type 'text/plain' is not read", WEIR_EUNSUPPORTED},
        {"application/cloudevents+json", "{\"id\":\"a\",\"label\":1}", "row 0 is not a CloudEvent", WEIR_EINVAL},
        {"application/cloudevents+json", "{\"specversion\":\"1.0\",\"data_base64\":\"eA==\"}", "data_base64",
         WEIR_EUNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int rc = read_as(wrong[i].type, wrong[i].body);
        if (rc != wrong[i].code || !strstr(why.msg, wrong[i].says))
            fail_msg("%s: %d %s (%s)", wrong[i].body, rc, why.msg, why.detail);
    }
}

static void test_as_many_as_there_may_be(void **state)
{
    (void)state;
    WR_AUTOBUF wr_buf b = {0};
    wr_buf_char(&b, '[');
    for (int i = 0; i < WR_LIMIT_LABELS; i++) wr_buf_printf(&b, "%s{\"id\":\"%d\",\"label\":%d}", i ? "," : "", i, i);
    size_t end = b.n;
    wr_buf_char(&b, ']');
    assert_int_equal(read_as("", wr_buf_cstr(&b)), 0);
    assert_int_equal(n, WR_LIMIT_LABELS);
    is(WR_LIMIT_LABELS - 1, "99999", 99999, false, NOW);
    b.n = end;
    wr_buf_str(&b, ",{\"id\":\"more\",\"label\":1}]");
    assert_int_equal(read_as("", wr_buf_cstr(&b)), WEIR_ELIMIT);
}

static int setup(void **state)
{
    (void)state;
    arena = wr_arena_new(0);
    return arena ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    wr_arena_free(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_lines_and_tables),
        cmocka_unit_test(test_cloudevents),
        cmocka_unit_test(test_what_is_wrong_names_its_row),
        cmocka_unit_test(test_as_many_as_there_may_be),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
