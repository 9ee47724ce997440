/* SPDX-License-Identifier: Apache-2.0 */
/* help_test.c - help, man pages and completions of awkward commands. */
#include "cli/cli_testing.h"

#include "cli/commands.h"

static const wr_cmd_arg args[] = {
    {"from", 'f', WR_ARG_TEXT, "FILE", "a row's file", "-"},
    {"count", 0, WR_ARG_INT, "N", "how many", "0"},
    {"each", 'e', WR_ARG_LIST, "X", "one of a list", NULL},
};
static int nothing(wr_cli *c, wr_err *err)
{
    (void)c;
    (void)err;
    return 0;
}
static const wr_cmd take = {
    "data take", "take a row's file", "NAME", 1, 1, args, 3, ".dots first\nand a \\ backslash", "  weir data take x",
    nothing};
static const wr_cmd run = {"run", "run", "", 0, 0, NULL, 0, NULL, "  weir run", nothing};
static const wr_cmd runs_list = {"runs list", "list", NULL, 0, 0, NULL, 0, NULL, "  weir runs list", nothing};
static const wr_cmd *const cmds[] = {&run, &runs_list, &take, &wr_cmd_help, &wr_cmd_man, &wr_cmd_completions};
enum { NCMDS = 6 };

static printed p;
static const char *weir(const char *line, int exit_code)
{
    run_line(&p, cmds, NCMDS, line);
    if (p.exit_code != exit_code) fail_msg("%s gave %d: %s", line, p.exit_code, p.err);
    return exit_code ? p.err : p.out;
}

static void test_help(void **state)
{
    (void)state;
    const char *t = weir("help data take", 0);
    SAYS("weir data take - take a row's file\n", t);
    SAYS("usage: weir data take NAME [options]", t);
    SAYS("-f, --from FILE", t);
    SAYS("(default: -)", t);
    SAYS("may be repeated", t);
    assert_null(strstr(t, "default: 0"));
    SAYS("--json", t);
    SAYS("examples:\n  weir data take x", t);
    SAYS("exit codes: 0 fine, 1", t);
    SAYS("data take", weir("help", 0));
    SAYS("usage: weir data COMMAND", weir("help data", 0));
    SAYS("usage: weir runs list [options]", weir("help runs list", 0));
    t = weir("help data tkae", 64);
    SAYS("there is no command \"data tkae\"", t);
    SAYS("did you mean \"weir help data take\"?", t);
    SAYS("weir help lists them", weir("help nonsense", 64));
}

static void test_man(void **state)
{
    (void)state;
    const char *t = weir("man data take", 0);
    SAYS(".TH WEIR-data-take 1", t);
    SAYS("\n\\&.dots first", t); /* not a macro */
    SAYS("a \\\\ backslash", t);
    SAYS("\\-\\-from", t);
    for (const char *line = t; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (*line == '.' && !strchr("TSBnf", line[1])) fail_msg("a macro that is none: %.40s", line);
    }
    SAYS("there is no command", weir("man nothing", 64));
    weir("man", 64);
}

/* What bash offers after these words. */
static const char *complete(place *s, const char *words, int n)
{
    put(s, "ask.bash",
        wr_arena_printf(s->a, "source ./weir.bash\nCOMP_WORDS=(%s)\nCOMP_CWORD=%d\n_weir\necho \"${COMPREPLY[@]}\"\n",
                        words, n));
    FILE *f = popen(wr_arena_printf(s->a, "cd %s && bash ask.bash 2>&1", s->dir), "r");
    char *text = wr_arena_calloc(s->a, 1, 4096);
    assert_non_null(f);
    size_t got = fread(text, 1, 4095, f);
    text[got] = 0;
    assert_int_equal(pclose(f), 0);
    return text;
}

static void test_bash(void **state)
{
    place *s = *state;
    put(s, "weir.bash", weir("completions bash", 0));
    assert_string_equal(complete(s, "weir ''", 1), "run runs data help man completions\n");
    assert_string_equal(complete(s, "weir ru", 1), "run runs\n");
    assert_string_equal(complete(s, "weir data ''", 2), "take\n");
    assert_string_equal(complete(s, "weir runs ''", 2), "list\n"); /* not the options of run */
    assert_string_equal(complete(s, "weir data take --f", 3), "--from\n");
    assert_string_equal(complete(s, "weir data take x --e", 4), "--each\n");
    assert_string_equal(complete(s, "weir data take --j", 3), "--json\n");
    SAYS("bashcompinit", weir("completions zsh", 0));
}

static void test_fish(void **state)
{
    (void)state;
    const char *t = weir("completions fish", 0);
    SAYS("-a 'take' -d 'take a row\\'s file'\n", t);
    SAYS("-l from -d 'a row\\'s file'\n", t);
    for (const char *line = t; *line;) { /* every line has its quotes closed */
        size_t n = strcspn(line, "\n");
        bool open = false;
        for (size_t i = 0; i < n; i++) {
            if (line[i] == '\\') i++;
            else if (line[i] == '\'') open = !open;
        }
        if (open) fail_msg("open quote: %.*s", (int)n, line);
        line += n + (line[n] == '\n');
    }
    SAYS("no completion for shell \"csh\"", weir("completions csh", 64));
}

#define T(name) cmocka_unit_test_setup_teardown(name, make_place, drop_place)
int main(void)
{
    const struct CMUnitTest tests[] = {T(test_help), T(test_man), T(test_bash), T(test_fish)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
