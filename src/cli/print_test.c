/* SPDX-License-Identifier: Apache-2.0 */
/* print_test.c - tables, bars and sparks: widths, hostile cells, odd numbers. */
#include "cli/cli_testing.h"

#include <math.h>
#include <pty.h>
#include <sys/ioctl.h>

static wr_cli *cli(place *s, bool json)
{
    wr_cli *c = wr_arena_calloc(s->a, 1, sizeof *c);
    assert_non_null(c);
    c->arena = s->a;
    c->json = json;
    return c;
}

static char text[PRINTED_MAX];
#define PRINTED(code)                                                                                                  \
    do {                                                                                                               \
        fflush(stdout);                                                                                                \
        redirected r_ = redirect(1);                                                                                   \
        code;                                                                                                          \
        fflush(stdout);                                                                                                \
        give_back(r_, 1, text);                                                                                        \
    } while (0)

static void test_table(void **state)
{
    place *s = *state;
    wr_table *t = wr_table_new(cli(s, false), "NAME", ">ROWS", "NOTE", NULL);
    wr_table_cell(t, "flights");
    wr_table_cell(t, "%d", 3000000);
    wr_table_cell(t, "big");
    wr_table_cell(t, "ünïcödé");
    wr_table_cell(t, "7");
    wr_table_cell(t, "%s", "");
    PRINTED(wr_table_print(t));
    assert_string_equal(text, "NAME        ROWS  NOTE\n"
                              "flights  3000000  big\n"
                              "ünïcödé        7  \n");
}

static void test_hostile_cells(void **state)
{
    place *s = *state;
    char *longest = wr_arena_calloc(s->a, 1, 3001);
    memset(longest, 'x', 998);
    for (int i = 998; i < 3000; i += 2) memcpy(longest + i, "é", 2);
    wr_table *t = wr_table_new(cli(s, false), "A", "B", NULL);
    wr_table_cell(t, "%s", "\033[31mred\a\nnew line\t%s%n");
    wr_table_cell(t, "%s", "\x7f");
    wr_table_cell(t, "%s", longest);
    wr_table_cell(t, "end");
    PRINTED(wr_table_print(t));
    SAYS("?[31mred??new line?%s%n", text);
    for (const char *p = text; *p; p++) assert_true((unsigned char)*p >= 0x20 || *p == '\n');
    assert_true(wr_str_utf8(wr_str_of(text))); /* no character is cut in two */
    int lines = 0;
    for (const char *p = text; *p; p++) lines += *p == '\n';
    assert_int_equal(lines, 3);
}

static void test_json_prints_nothing(void **state)
{
    place *s = *state;
    wr_cli *c = cli(s, true);
    wr_table *t = wr_table_new(c, "A", NULL);
    wr_table_cell(t, "x");
    PRINTED(wr_table_print(t); wr_say(c, "text"));
    assert_string_equal(text, "");
    wr_table_cell(NULL, "x"); /* out of memory before: nothing happens */
    wr_table_print(NULL);
}

/* On a terminal the widest text column gives way; numbers never do. */
static void test_fits_terminal(void **state)
{
    place *s = *state;
    int main_end, other_end;
    struct winsize size = {.ws_row = 24, .ws_col = 40};
    if (openpty(&main_end, &other_end, NULL, NULL, &size) < 0) skip(); /* a machine without pseudo-terminals */
    wr_table *t = wr_table_new(cli(s, false), "NAME", ">NUMBER", NULL);
    wr_table_cell(t, "%s", "a name that is longer than the terminal is wide, by far");
    wr_table_cell(t, "%s", "123456789012345");
    fflush(stdout);
    int saved = dup(1);
    dup2(other_end, 1);
    unsetenv("COLUMNS");
    wr_table_print(t);
    fflush(stdout);
    dup2(saved, 1);
    close(saved);
    char got[4096] = "";
    ssize_t n = read(main_end, got, sizeof got - 1);
    assert_true(n > 0);
    close(main_end);
    close(other_end);
    SAYS("123456789012345", got);
    SAYS("…", got);
    for (char *line = got, *end; (end = strstr(line, "\r\n")); line = end + 2) {
        int width = 0;
        for (char *p = line; p < end; p++) width += ((unsigned char)*p & 0xC0) != 0x80;
        if (width > 40) fail_msg("%d columns: %.*s", width, (int)(end - line), line);
    }
}

static void test_bars(void **state)
{
    place *s = *state;
    wr_cli *c = cli(s, false);
    assert_string_equal(wr_bar(c, 1, 1, 3), "███");
    assert_string_equal(wr_bar(c, 0.5, 1, 3), "█▌ ");
    assert_string_equal(wr_bar(c, 0, 1, 2), "  ");
    assert_string_equal(wr_bar(c, 9, 1, 2), "██");
    static const double odd[][2] = {{-1, 1}, {NAN, 1}, {1, 0}, {1, NAN}, {1, -1}};
    for (size_t i = 0; i < 5; i++) assert_string_equal(wr_bar(c, odd[i][0], odd[i][1], 2), "  ");
    assert_string_equal(wr_bar(c, 1, 1, 0), "");
    assert_string_equal(wr_bar(c, INFINITY, 1, 1), "█");
}

static void test_sparks(void **state)
{
    place *s = *state;
    wr_cli *c = cli(s, false);
    assert_string_equal(wr_spark(c, (double[]){0, 1, 2, 3, 4, 5, 6, 7}, 8), "▁▂▃▄▅▆▇█");
    assert_string_equal(wr_spark(c, (double[]){5, 5}, 2), "▄▄");
    assert_string_equal(wr_spark(c, (double[]){0, NAN, 1}, 3), "▁ █");
    assert_string_equal(wr_spark(c, (double[]){NAN}, 1), " ");
    assert_string_equal(wr_spark(c, NULL, 0), "");
    assert_string_equal(wr_spark(c, (double[]){0, INFINITY, 1, -INFINITY}, 4), "▁██▁");
}

static void test_progress_needs_a_terminal(void **state)
{
    place *s = *state;
    wr_cli *c = cli(s, false); /* started long ago */
    redirected r = redirect(2);
    wr_progress(c, "reading", 0.5);
    wr_progress_end(c);
    fflush(stderr);
    give_back(r, 2, text);
    assert_string_equal(text, "");
}

#define T(name) cmocka_unit_test_setup_teardown(name, make_place, drop_place)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_table), T(test_hostile_cells), T(test_json_prints_nothing),       T(test_fits_terminal),
        T(test_bars),  T(test_sparks),        T(test_progress_needs_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
