/* SPDX-License-Identifier: Apache-2.0 */
/* cli_test.c - the command line: finding the command, options of every kind, mistakes and their hints, exit codes,
 * JSON. */
#include "cli/cli_testing.h"

#include "base/clock.h"

/* ---- commands that say what they got ---- */

static const wr_cmd_arg echo_args[] = {
    {"text", 't', WR_ARG_TEXT, "TEXT", "a text", "none"}, {"number", 'n', WR_ARG_INT, "N", "a whole number", "7"},
    {"real", 0, WR_ARG_NUM, "X", "a number", "0.5"},      {"when", 0, WR_ARG_TIME, "TIME", "a time", NULL},
    {"span", 0, WR_ARG_DURATION, "SPAN", "a span", "1h"}, {"each", 'e', WR_ARG_LIST, "ITEM", "items", NULL},
    {"yes", 'y', WR_ARG_FLAG, NULL, "a flag", NULL},
};

static int run_echo(wr_cli *c, wr_err *err)
{
    const char **each;
    size_t n = wr_cli_list(c, "each", &each);
    (void)err;
    wr_say(c, "args %d %s %s", wr_cli_nargs(c), wr_cli_arg(c, 0) ? wr_cli_arg(c, 0) : "-",
           wr_cli_arg(c, 1) ? wr_cli_arg(c, 1) : "-");
    wr_say(c, "text %s, number %lld, real %g, when %lld %d, span %lld, yes %d", wr_cli_text(c, "text"),
           (long long)wr_cli_int(c, "number"), wr_cli_num(c, "real"), (long long)wr_cli_int(c, "when"),
           wr_cli_has(c, "when"), (long long)(wr_cli_int(c, "span") / WR_US), wr_cli_flag(c, "yes"));
    for (size_t i = 0; i < n; i++) wr_say(c, "each %s", each[i]);
    wr_say(c, "line %s", wr_cli_command_line(c));
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "text", wr_cli_text(c, "text"));
    wr_jsonw_end(w);
    return 0;
}

static int run_fail(wr_cli *c, wr_err *err)
{
    int64_t code = -wr_cli_int(c, "code");
    wr_say(c, "before");
    wr_jsonw_obj(wr_cli_jsonw(c));
    wr_jsonw_end(wr_cli_jsonw(c));
    if (wr_cli_flag(c, "silent")) return (int)code;
    wr_err_set(err, (int)code, "it \"failed\"");
    wr_err_detail(err, (int)code, "because");
    return wr_err_hint(err, (int)code, "do better");
}

static int run_where(wr_cli *c, wr_err *err)
{
    char here[512];
    wr_project *p, *again;
    WR_TRY(wr_cli_project(c, &p, err));
    WR_TRY(wr_cli_project(c, &again, err));
    if (!getcwd(here, sizeof here)) return WEIR_EIO;
    wr_say(c, "%s %s %d %s", here, wr_project_root(p), p == again,
           wr_cli_text(c, "directory") ? wr_cli_text(c, "directory") : "-");
    return 0;
}

static int run_much(wr_cli *c, wr_err *err)
{
    (void)err;
    for (int i = 0; i < 20000; i++) wr_say(c, "a line that fills the buffer");
    return 0;
}

static const wr_cmd_arg fail_args[] = {{"code", 0, WR_ARG_INT, "N", "error", "5"},
                                       {"silent", 0, WR_ARG_FLAG, NULL, "no message", NULL}};
static const wr_cmd echo = {"echo", "say it", "[A [B]]", 0, 2, echo_args, 7, NULL, "  weir echo", run_echo};
static const wr_cmd one = {"data one", "needs one", "NAME", 1, 1, NULL, 0, NULL, "  weir data one x", run_echo};
static const wr_cmd list = {"data list", "list", "", 0, 0, NULL, 0, NULL, "  weir data list", run_where};
static const wr_cmd fail = {"fail", "fail", "", 0, 0, fail_args, 2, NULL, "  weir fail", run_fail};
static const wr_cmd much = {"much", "say much", "", 0, 0, NULL, 0, NULL, "  weir much", run_much};
static const wr_cmd *const cmds[] = {&echo, &one, &list, &fail, &much};

static printed p;
static const printed *weir(const char *line)
{
    run_line(&p, cmds, 5, line);
    return &p;
}

/* ---- tests ---- */

static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"echo", "text none, number 7, real 0.5, when 0 0, span 3600, yes 0"},
        {"echo a b", "args 2 a b"},
        {"echo --text=x --number -3 --real=1e3 --when 1970-01-02 --span 2d -y",
         "text x, number -3, real 1000, when 86400000000 1, span 172800, yes 1"},
        {"echo -tx -n8", "text x, number 8"},
        {"echo -t x -n 8", "text x, number 8"},
        {"echo --text= a", "text ,"},
        {"echo --text=a=b", "text a=b,"},
        {"echo --text first --text second", "text second,"}, /* the last one counts */
        {"echo -e 1 --each=2 -e3", "each 1\neach 2\neach 3\n"},
        {"echo -- --text -y", "args 2 --text -y"},
        {"echo -", "args 1 - -"},
        {"echo a --text x b", "args 2 a b"},
        {"--threads 2 echo a", "args 1 a -"},
        {"-v --threads=2 echo a", "args 1 a -"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        weir(cases[i].line);
        if (p.exit_code || p.err[0]) fail_msg("%s: %d %s", cases[i].line, p.exit_code, p.err);
        SAYS(cases[i].says, p.out);
    }
}

static void test_usage_errors(void **state)
{
    (void)state;
    static const struct {
        const char *line, *says, *hint;
    } cases[] = {
        {"ehco", "unknown command \"ehco\"", "did you mean \"weir echo\"?"},
        {"data lst", "unknown command \"data lst\"", "did you mean \"weir data list\"?"},
        {"lst", "unknown command \"lst\"", "did you mean \"weir data list\"?"},
        {"something", "unknown command \"something\"", "weir help"},
        {"-C", "", ""},
        {"--json", "", ""},
        {"echo --txet x", "weir echo: unknown option \"--txet\"", "did you mean --text?"},
        {"echo --jsno", "unknown option \"--jsno\"", "did you mean --json?"},
        {"echo --quite-another", "unknown option", "weir echo --help"},
        {"echo -x", "unknown option \"-x\"", ""},
        {"echo --text", "weir echo: --text needs a value (TEXT)", ""},
        {"echo -n", "--number needs a value", ""},
        {"echo --yes=no", "--yes takes no value", ""},
        {"echo -yes", "--yes takes no value", ""},
        {"echo --number 3.5", "--number: ", ""},
        {"echo --number 99999999999999999999", "--number: ", ""},
        {"echo --number=", "--number: ", ""},
        {"echo --real much", "--real: ", ""},
        {"echo --when soon", "--when: ", ""},
        {"echo --span 3x", "--span: ", ""},
        {"echo a b c", "weir echo: \"c\" is one argument too many", "usage: weir echo [A [B]]"},
        {"data one", "weir data one: NAME is missing", "usage: weir data one NAME"},
        {"-v a echo", "unknown command \"a", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        weir(cases[i].line);
        if (p.exit_code != 64 || p.out[0]) fail_msg("%s: %d %s", cases[i].line, p.exit_code, p.out);
        SAYS(cases[i].says, p.err);
        SAYS(cases[i].hint, p.err);
    }
}

static void test_exit_codes(void **state)
{
    (void)state;
    for (int code = -1; code >= WEIR_EINTERNAL; code--) {
        char line[32];
        snprintf(line, sizeof line, "fail --code %d", -code);
        weir(line);
        assert_int_equal(p.exit_code, wr_err_exit(code));
        assert_string_equal(p.err, "weir: it \"failed\"\n  because\nhint: do better\n");
        assert_string_equal(p.out, "before\n");
    }
    weir("fail --code 18 --silent"); /* the check says no; the command has said why already */
    assert_int_equal(p.exit_code, 1);
    assert_string_equal(p.err, "");
    weir("fail --code 5 --silent");
    assert_int_equal(p.exit_code, 2);
    assert_string_equal(p.err, "weir: input/output error\n");
}

static void test_json(void **state)
{
    (void)state;
    WR_AUTOJSON wr_json j = {0}, e = {0}, u = {0};
    wr_str text;
    weir("echo --json --text a\"b");
    assert_int_equal(p.exit_code, 0);
    assert_int_equal(wr_json_parse(&j, wr_str_of(p.out), "out", NULL), 0); /* nothing but the value */
    assert_int_equal(wr_json_str(&text, j.root, "text", NULL), 0);
    assert_string_equal(text.p, "a\"b");
    weir("--json fail");
    assert_int_equal(p.exit_code, 2);
    assert_string_equal(p.out, ""); /* no half result */
    assert_int_equal(wr_json_parse(&e, wr_str_of(p.err), "err", NULL), 0);
    assert_int_equal(wr_json_str(&text, e.root, "error", NULL), 0);
    assert_string_equal(text.p, "it \"failed\"");
    assert_int_equal(wr_json_str(&text, e.root, "code", NULL), 0);
    assert_string_equal(text.p, "WEIR_EIO");
    assert_int_equal(wr_json_str(&text, e.root, "hint", NULL), 0);
    assert_string_equal(text.p, "do better");
    weir("fail --json --code 18");
    assert_int_equal(p.exit_code, 1);
    assert_string_equal(p.out, "{}\n"); /* "no" is a result */
    weir("echo --txet --json");         /* a wrong command line is told in JSON too */
    assert_int_equal(p.exit_code, 64);
    assert_int_equal(wr_json_parse(&u, wr_str_of(p.err), "err", NULL), 0);
}

static void test_without_command(void **state)
{
    (void)state;
    weir("--version");
    assert_int_equal(p.exit_code, 0);
    assert_string_equal(p.out, "weir " WEIR_VERSION "\n");
    static const char *const all[] = {"", "--help", "-h"};
    for (size_t i = 0; i < 3; i++) {
        weir(all[i]);
        assert_int_equal(p.exit_code, 0);
        SAYS("data one", p.out);
        SAYS("say it", p.out);
    }
    weir("data");
    assert_int_equal(p.exit_code, 0);
    SAYS("usage: weir data COMMAND", p.out);
    SAYS("data list", p.out);
    assert_null(strstr(p.out, "echo"));
    weir("data --help");
    assert_int_equal(p.exit_code, 0);
    weir("data one --help"); /* although NAME is missing */
    assert_int_equal(p.exit_code, 0);
    SAYS("usage: weir data one NAME", p.out);
}

static void test_directory(void **state)
{
    place *s = *state;
    char line[256], expected[512];
    put(s, "sub/x", "");
    snprintf(line, sizeof line, "-C %s/sub data list", s->dir);
    snprintf(expected, sizeof expected, "%s/sub %s 1 .\n", s->dir, s->dir);
    weir(line);
    assert_string_equal(p.err, "");
    assert_string_equal(p.out, expected);
    snprintf(line, sizeof line, "data list --directory=%s/sub", s->dir);
    weir(line);
    assert_string_equal(p.out, expected);
    snprintf(line, sizeof line, "-C %s/typo data list", s->dir);
    weir(line);
    assert_int_equal(p.exit_code, 2);
    SAYS("cannot work in", p.err);
    weir("-C / data list");
    assert_int_equal(p.exit_code, 2);
    SAYS("weir init", p.err);
}

static void test_command_line(void **state)
{
    (void)state;
    weir("echo --text=it's a$b");
    SAYS("line weir echo '--text=it'\\''s' 'a$b'\n", p.out);
    weir("echo data/x.csv --number=-3");
    SAYS("line weir echo data/x.csv --number=-3\n", p.out);
}

/* What could not be written is trouble, whether the disk fills early or at the last flush, and for help as well. */
static void test_full_disk(void **state)
{
    (void)state;
    static const char *const lines[] = {"much",           "echo", "echo --json", "--version", "echo --help",
                                        "fail --code 18", ""};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char *argv[4] = {(char *)"weir"}, copy[64], *at_ = copy;
        int argc = 1, full = open("/dev/full", O_WRONLY);
        assert_true(full >= 0);
        snprintf(copy, sizeof copy, "%s", lines[i]);
        for (char *word; (word = strsep(&at_, " "));)
            if (*word) argv[argc++] = word;
        fflush(stdout);
        redirected err = redirect(2);
        int saved = dup(1);
        dup2(full, 1);
        int code = wr_cli_main(cmds, 5, argc, argv);
        fflush(stdout);
        clearerr(stdout);
        dup2(saved, 1);
        close(saved);
        close(full);
        fflush(stderr);
        give_back(err, 2, p.err);
        if (code != 2) fail_msg("\"%s\" to a full disk gave %d", lines[i], code);
        SAYS("cannot write the result", p.err);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, make_place, drop_place)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_values),          T(test_usage_errors), T(test_exit_codes),   T(test_json),
        T(test_without_command), T(test_directory),    T(test_command_line), T(test_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
