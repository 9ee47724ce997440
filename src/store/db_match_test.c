/* SPDX-License-Identifier: Apache-2.0 */
/* db_match_test.c - LIKE and regular expressions: known answers, refusals, bounded work, and C's own as a twin. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/rng.h"
#include "store/db_match.h"

static void like(void **state)
{
    (void)state;
    static const struct {
        const char *text, *pattern;
        bool exact, folded;
    } cases[] = {
        {"", "", true, true},
        {"", "%", true, true},
        {"", "_", false, false},
        {"a", "A", false, true},
        {"Model", "mod%", false, true},
        {"model", "%del", true, true},
        {"model", "%o%e%", true, true},
        {"model", "m_d_l", true, true},
        {"model", "m_del_", false, false},
        {"a%b", "a%%b", true, true},
        {"abcabd", "%ab_", true, true},
        {"aaa", "%aab", false, false},
        {"\xc3\xa9t\xc3\xa9", "_t_", true, true}, /* characters, not bytes */
        {"\xc3\x89", "\xc3\xa9", false, false},   /* only ASCII is folded */
        {"a\\b", "a\\b", true, true},             /* no escape character */
        {"mississippi", "%iss%ip%", true, true},
        {"mississippi", "m%i_s%p", false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wr_str t = wr_str_of(cases[i].text), p = wr_str_of(cases[i].pattern);
        if (wr_match_like(t, p, false) != cases[i].exact) fail_msg("'%s' LIKE '%s'", t.p, p.p);
        if (wr_match_like(t, p, true) != cases[i].folded) fail_msg("'%s' ILIKE '%s'", t.p, p.p);
    }
    assert_true(wr_match_like(WR_STR("a\0b"), WR_STR("a_b"), false));
}

static bool find(const char *pattern, const char *text)
{
    wr_regex *r = NULL;
    wr_err err = {0};
    if (wr_regex_new(&r, wr_str_of(pattern), &err) < 0) fail_msg("\"%s\": %s", pattern, err.msg);
    bool found = wr_regex_find(r, wr_str_of(text));
    assert_int_equal(wr_regex_find(r, wr_str_of(text)), found); /* a walk leaves nothing behind */
    wr_regex_free(r);
    return found;
}

static void regex_answers(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *yes, *no;
    } cases[] = {
        {"", "", NULL},
        {"a", "cat", "dog"},
        {"^a", "ab", "ba"},
        {"a$", "ba", "ab"},
        {"^$", "", "a"},
        {"a.c", "abc", "ac"},
        {"ab*c", "ac", "adc"},
        {"ab+c", "abbc", "ac"},
        {"ab?c", "abc", "abbc"},
        {"^a{2}$", "aa", "aaa"},
        {"^a{2,}$", "aaaa", "a"},
        {"^a{1,2}$", "a", "aaa"},
        {"^(ab|cd)+$", "abcdab", "abc"},
        {"^(?:ab|)$", "", "a"},
        {"[a-c]x", "bx", "dx"},
        {"[^a-c]x", "dx", "ax"},
        {"[]x]", "]", "a"},
        {"[a-]", "-", "b"},
        {"^[[:digit:]_]+$", "1_2", "1-2"},
        {"^\\d+$", "123", "12a"},
        {"^\\D$", "a", "1"},
        {"^\\w+$", "a_1", "a-1"},
        {"^\\W$", "-", "a"},
        {"^\\s$", "\t", "a"},
        {"^\\S$", "a", " "},
        {"\\.", "a.b", "ab"},
        {"^[\\d.]+$", "1.2", "1,2"},
        {"^\xc3\xa9.$", "\xc3\xa9\xc3\xa9", "\xc3\xa9"},
        {"[\xc3\xa0-\xc3\xbf]", "\xc3\xa9", "e"},
        {"a.b", "a\nb", "ab"},
        {"^a*?$", "aaa", "ab"},
        {"^(a*)*$", "aaa", "b"},
        {"^(a|b)*c|d$", "abc", "ab"},
        {"a\\$b", "a$b", "ab"},
        {"^(|a)+$", "aa", "b"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (!find(cases[i].pattern, cases[i].yes)) fail_msg("\"%s\" on \"%s\"", cases[i].pattern, cases[i].yes);
        if (cases[i].no && find(cases[i].pattern, cases[i].no))
            fail_msg("\"%s\" on \"%s\"", cases[i].pattern, cases[i].no);
    }
}

static void regex_refusals(void **state)
{
    (void)state;
    static const char *const wrong[] = {"(",      ")",      "a)",  "[",          "[a",      "[z-a]",  "*",  "a**",
                                        "a|*",    "\\",     "\\1", "\\b",        "(?=a)",   "(?",     "a{", "a{,2}",
                                        "a{2,1}", "a{256}", "^*",  "[[:nope:]]", "[[.a.]]", "[a-\\d]"};
    wr_regex *r;
    wr_err err;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        err = (wr_err){0};
        if (wr_regex_new(&r, wr_str_of(wrong[i]), &err) != WEIR_EINVAL) fail_msg("\"%s\" was taken", wrong[i]);
        assert_true(err.msg[0] != 0);
    }
    static const char *const large[] = {"(a{255}){255}", "((((((a{9}){9}){9}){9}){9}){9})"};
    for (size_t i = 0; i < 2; i++) assert_int_equal(wr_regex_new(&r, wr_str_of(large[i]), &err), WEIR_ELIMIT);
    char deep[5000];
    memset(deep, '(', sizeof deep);
    assert_int_equal(wr_regex_new(&r, (wr_str){deep, 100}, &err), WEIR_ELIMIT);
    assert_int_equal(wr_regex_new(&r, (wr_str){deep, sizeof deep}, &err), WEIR_ELIMIT);
}

/* What makes a backtracking matcher run for years. */
static void regex_time_is_bounded(void **state)
{
    (void)state;
    char text[20001];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = 0;
    int64_t before = wr_clock_mono_ns();
    assert_false(find("^(a+)+b$", text));
    assert_false(find("(a?){100}a{100}b", text));
    assert_true(wr_clock_mono_ns() - before < 20 * 1000000000LL);
}

/* Random expressions and texts over two letters against the C library. */
static void regex_against_a_twin(void **state)
{
    (void)state;
    static const char *const parts[] = {"a", "b",       "a*", "b+", "(a|b)", "(ab)*", "[^a]",
                                        ".", "(a|ba)?", "^",  "$",  "|",     "b{2}"};
    wr_rng rng;
    wr_rng_init(&rng, 7);
    int both = 0, hits = 0;
    for (int i = 0; i < 3000; i++) {
        char pattern[64] = "", text[16] = "";
        for (int k = (int)wr_rng_below(&rng, 5); k >= 0; k--)
            strncat(pattern, parts[wr_rng_below(&rng, sizeof parts / sizeof *parts)],
                    sizeof pattern - strlen(pattern) - 1);
        for (int k = (int)wr_rng_below(&rng, 8); k > 0; k--) strcat(text, wr_rng_below(&rng, 2) ? "a" : "b");
        regex_t twin;
        if (regcomp(&twin, pattern, REG_EXTENDED | REG_NOSUB)) continue;
        bool expect = regexec(&twin, text, 0, NULL, 0) == 0;
        regfree(&twin);
        if (find(pattern, text) != expect) fail_msg("\"%s\" on \"%s\": not %d", pattern, text, expect);
        both++;
        hits += expect;
    }
    assert_true(both > 2000 && hits > 500 && hits < both - 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(like),
        cmocka_unit_test(regex_answers),
        cmocka_unit_test(regex_refusals),
        cmocka_unit_test(regex_time_is_bounded),
        cmocka_unit_test(regex_against_a_twin),
    };
    return cmocka_run_group_tests_name("db_match", tests, NULL, NULL);
}
