/* SPDX-License-Identifier: Apache-2.0 */
/* cli.c - from argv to a command and from its error to an exit code. */
#include "cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/num.h"
#include "base/vec.h"
#include "cli/cli_internal.h"

static const wr_cmd_arg global_args[] = {
    {"help", 'h', WR_ARG_FLAG, NULL, "show help", NULL},
    {"json", 0, WR_ARG_FLAG, NULL, "print one JSON value instead of text", NULL},
    {"directory", 'C', WR_ARG_TEXT, "DIR", "work as if started in DIR", NULL},
    {"threads", 0, WR_ARG_INT, "N", "compute threads (default: all processors)", "0"},
    {"verbose", 'v', WR_ARG_FLAG, NULL, "log what is being done", NULL},
};
enum { NGLOBAL = sizeof global_args / sizeof *global_args };
const wr_cmd_arg *wr_cli_global_args(size_t *n)
{
    *n = NGLOBAL;
    return global_args;
}

/* ---- finding the command ---- */

static size_t words(const char *name)
{
    size_t n = 1;
    for (; *name; name++) n += *name == ' ';
    return n;
}

/* Do argv[0..] begin with the words of `name`? */
static bool matches(const char *name, int argc, char **argv)
{
    WR_AUTOFREE char *copy = wr_strdup(name);
    wr_str rest = wr_str_of(copy);
    for (int i = 0; rest.p; i++) {
        wr_str word = wr_str_cut(&rest, ' ');
        if (i >= argc || !wr_str_is(word, argv[i])) return false;
    }
    return true;
}

static const wr_cmd *find(const wr_cmd *const *cmds, size_t n, int argc, char **argv)
{
    const wr_cmd *best = NULL;
    for (size_t i = 0; i < n; i++)
        if (matches(cmds[i]->name, argc, argv) && (!best || words(cmds[i]->name) > words(best->name))) best = cmds[i];
    return best;
}

static bool is_group(const wr_cmd *const *cmds, size_t n, const char *word)
{
    size_t len = strlen(word);
    for (size_t i = 0; i < n; i++)
        if (strncmp(cmds[i]->name, word, len) == 0 && cmds[i]->name[len] == ' ') return true;
    return false;
}

/* "weir deploy foo": what is near among the second words of the group. */
static int unknown_in_group(const wr_cmd *const *cmds, size_t n, char **argv, wr_err *err)
{
    enum { MOST = 256 };
    const char *names[MOST];
    size_t k = 0, len = strlen(argv[0]);
    for (size_t i = 0; i < n && k < MOST; i++)
        if (strncmp(cmds[i]->name, argv[0], len) == 0 && cmds[i]->name[len] == ' ')
            names[k++] = cmds[i]->name + len + 1;
    int near = wr_str_nearest(wr_str_of(argv[1]), names, k);
    wr_err_set(err, WEIR_EUSAGE, "unknown command \"%.60s %.60s\"", argv[0], argv[1]);
    if (near >= 0) return wr_err_hint(err, WEIR_EUSAGE, "did you mean \"weir %s %s\"?", argv[0], names[near]);
    return wr_err_hint(err, WEIR_EUSAGE, "weir help %s lists the commands of %s", argv[0], argv[0]);
}

static int unknown_command(const wr_cmd *const *cmds, size_t n, int argc, char **argv, wr_err *err)
{
    enum { MOST = 256 };
    const char *names[MOST];
    char typed[128];
    size_t k = 0;
    snprintf(typed, sizeof typed, "%s%s%s", argv[0], argc > 1 && argv[1][0] != '-' ? " " : "",
             argc > 1 && argv[1][0] != '-' ? argv[1] : "");
    for (; k < n && k < MOST; k++) names[k] = cmds[k]->name;
    if (argc > 1 && argv[1][0] != '-' && is_group(cmds, n, argv[0])) return unknown_in_group(cmds, n, argv, err);
    int near = wr_str_nearest(wr_str_of(typed), names, k);
    for (size_t i = 0; near < 0 && i < k; i++)
        names[i] = strrchr(names[i], ' ') ? strrchr(names[i], ' ') + 1 : names[i];
    if (near < 0) near = wr_str_nearest(wr_str_of(typed), names, k); /* "weir train" is weir model train */
    wr_err_set(err, WEIR_EUSAGE, "unknown command \"%s\"", typed);
    return near >= 0 ? wr_err_hint(err, WEIR_EUSAGE, "did you mean \"weir %s\"?", cmds[near]->name)
                     : wr_err_hint(err, WEIR_EUSAGE, "weir help lists the commands");
}

/* ---- options ---- */

static const wr_cmd_arg *find_arg(const wr_cmd *cmd, wr_str name, char letter)
{
    for (size_t i = 0; i < cmd->nargs; i++)
        if (letter ? cmd->args[i].letter == letter : wr_str_is(name, cmd->args[i].name)) return &cmd->args[i];
    for (size_t i = 0; i < NGLOBAL; i++)
        if (letter ? global_args[i].letter == letter : wr_str_is(name, global_args[i].name)) return &global_args[i];
    return NULL;
}

static int unknown_option(const wr_cmd *cmd, const char *typed, wr_str name, wr_err *err)
{
    enum { MOST = 64 };
    const char *names[MOST];
    size_t k = 0;
    for (size_t i = 0; i < cmd->nargs && k < MOST; i++) names[k++] = cmd->args[i].name;
    for (size_t i = 0; i < NGLOBAL && k < MOST; i++) names[k++] = global_args[i].name;
    int near = wr_str_nearest(name, names, k);
    wr_err_set(err, WEIR_EUSAGE, "weir %s: unknown option \"%s\"", cmd->name, typed);
    if (near >= 0) return wr_err_hint(err, WEIR_EUSAGE, "did you mean --%s?", names[near]);
    return wr_err_hint(err, WEIR_EUSAGE, "weir %s --help lists the options", cmd->name);
}

static int check_value(const wr_cmd_arg *a, const char *text, double *num, int64_t *i, wr_err *err)
{
    wr_str s = wr_str_of(text);
    int rc = 0;
    *num = 0;
    *i = 0;
    if (a->kind == WR_ARG_INT) rc = wr_num_i64(i, s, err);
    else if (a->kind == WR_ARG_NUM) rc = wr_num_f64(num, s, err);
    else if (a->kind == WR_ARG_TIME) rc = wr_time_parse(i, s, err);
    else if (a->kind == WR_ARG_DURATION) rc = wr_num_duration_us(i, s, err);
    if (rc == 0) return 0;
    wr_err_wrap(err, rc, "--%s", a->name);
    if (err) err->code = WEIR_EUSAGE;
    return WEIR_EUSAGE;
}

static int add_value(wr_cli *c, const wr_cmd_arg *a, const char *text, wr_err *err)
{
    wr_cli_value v = {.arg = a, .text = text};
    if (a->kind != WR_ARG_FLAG) WR_TRY(check_value(a, text, &v.num, &v.i, err));
    return wr_vec_push(&c->values, v) < 0 ? wr_err_nomem(err) : 0;
}

static int missing_value(const wr_cmd *cmd, const wr_cmd_arg *a, wr_err *err)
{
    return wr_err_set(err, WEIR_EUSAGE, "weir %s: --%s needs a value (%s)", cmd->name, a->name,
                      a->arg ? a->arg : "VALUE");
}

/* One "--name[=value]" or "-x[value]"; may take the next word. */
static int parse_option(wr_cli *c, int *i, int argc, char **argv, wr_err *err)
{
    const char *word = argv[*i];
    bool is_long = word[1] == '-';
    wr_str rest = wr_str_of(word + (is_long ? 2 : 1)), name = is_long ? wr_str_cut(&rest, '=') : (wr_str){word + 1, 1};
    const wr_cmd_arg *a = find_arg(c->cmd, name, is_long ? 0 : word[1]);
    if (!a) return unknown_option(c->cmd, word, name, err);
    const char *value = is_long ? rest.p : word[2] ? word + 2 : NULL;
    if (a->kind == WR_ARG_FLAG) {
        if (value) return wr_err_set(err, WEIR_EUSAGE, "weir %s: --%s takes no value", c->cmd->name, a->name);
        return add_value(c, a, "true", err);
    }
    if (!value) {
        if (*i + 1 >= argc) return missing_value(c->cmd, a, err);
        value = argv[++*i];
    }
    return add_value(c, a, value, err);
}

/* The word of the usage that stands for the argument after the first `n`: of "ENDPOINT [NAME=]MODEL ..." with one given
 * the second. */
static void missing_argument(const wr_cli *c, size_t n, wr_err *err)
{
    wr_str word = {"", 0};
    size_t at = 0;
    for (wr_str rest = wr_str_of(c->cmd->usage ? c->cmd->usage : ""); rest.p;) {
        word = wr_str_cut(&rest, ' ');
        bool counts = word.n && word.p[0] != '-' && !wr_str_is(word, "|") && !wr_str_is(word, "...");
        if (counts && at++ == n) break;
        word = (wr_str){"", 0};
    }
    if (!word.n) wr_err_set(err, WEIR_EUSAGE, "weir %s: something is missing", c->cmd->name);
    else wr_err_set(err, WEIR_EUSAGE, "weir %s: %.*s is missing", c->cmd->name, WR_STR_FMT(word));
}

static int parse(wr_cli *c, int argc, char **argv, wr_err *err)
{
    bool only_args = false;
    size_t rest = SIZE_MAX;
    for (int i = 0; i < argc; i++) {
        if (!only_args && strcmp(argv[i], "--") == 0) {
            only_args = c->dashes = true;
            rest = c->args.n;
        } else if (!only_args && argv[i][0] == '-' && argv[i][1]) WR_TRY(parse_option(c, &i, argc, argv, err));
        else if (wr_vec_push(&c->args, argv[i]) < 0) return wr_err_nomem(err);
    }
    c->rest = rest < c->args.n ? rest : c->args.n;
    if (wr_cli_flag(c, "help")) return 0;
    int n = (int)c->args.n;
    if (n >= c->cmd->min_args && (c->cmd->max_args < 0 || n <= c->cmd->max_args)) return 0;
    if (n < c->cmd->min_args) missing_argument(c, (size_t)n, err);
    else
        wr_err_set(err, WEIR_EUSAGE, "weir %s: \"%.100s\" is one argument too many", c->cmd->name,
                   c->args.at[c->cmd->max_args]);
    const char *usage = c->cmd->usage ? c->cmd->usage : "";
    return wr_err_hint(err, WEIR_EUSAGE, "usage: weir %s%s%s", c->cmd->name, usage[0] ? " " : "", usage);
}

/* ---- what commands ask ---- */

static const wr_cli_value *last_value(wr_cli *c, const char *name)
{
    for (size_t i = c->values.n; i-- > 0;)
        if (strcmp(c->values.at[i].arg->name, name) == 0) return &c->values.at[i];
    return NULL;
}

static const wr_cmd_arg *declared(wr_cli *c, const char *name)
{
    const wr_cmd_arg *a = find_arg(c->cmd, wr_str_of(name), 0);
    WR_BUG_IF(!a); /* a command asked for an option it does not declare */
    return a;
}

wr_arena *wr_cli_arena(wr_cli *c) { return c->arena; }
const char *wr_cli_arg(wr_cli *c, int i) { return i >= 0 && (size_t)i < c->args.n ? c->args.at[i] : NULL; }
size_t wr_cli_rest(wr_cli *c, const char *const **out)
{
    if (c->rest >= c->args.n) return 0;
    size_t n = c->args.n - c->rest;
    const char **copy = wr_arena_calloc(c->arena, n + 1, sizeof *copy); /* ends with NULL, as programs are started */
    if (!copy) return 0;
    for (size_t i = 0; i < n; i++) copy[i] = c->args.at[c->rest + i];
    *out = copy;
    return n;
}

bool wr_cli_dashes(wr_cli *c) { return c->dashes; }
int wr_cli_nargs(wr_cli *c) { return (int)c->args.n; }
bool wr_cli_has(wr_cli *c, const char *name) { return last_value(c, name) != NULL; }
bool wr_cli_flag(wr_cli *c, const char *name) { return last_value(c, name) != NULL; }
bool wr_cli_json(wr_cli *c) { return c->json; }
const char *wr_cli_command_line(wr_cli *c) { return c->line; }

const wr_cmd *const *wr_cli_commands(wr_cli *c, size_t *n)
{
    *n = c->ncmds;
    return c->cmds;
}

const char *wr_cli_text(wr_cli *c, const char *name)
{
    const wr_cli_value *v = last_value(c, name);
    return v ? v->text : declared(c, name)->fallback;
}

/* Given value, else the fallback parsed (a fallback that does not parse is a bug in the constant). */
static wr_cli_value value_or(wr_cli *c, const char *name)
{
    const wr_cli_value *given = last_value(c, name);
    if (given) return *given;
    wr_cli_value v = {.arg = declared(c, name)};
    if (v.arg->fallback) WR_BUG_IF(check_value(v.arg, v.arg->fallback, &v.num, &v.i, NULL) < 0);
    return v;
}

int64_t wr_cli_int(wr_cli *c, const char *name) { return value_or(c, name).i; }
double wr_cli_num(wr_cli *c, const char *name) { return value_or(c, name).num; }

size_t wr_cli_list(wr_cli *c, const char *name, const char ***out)
{
    size_t n = 0;
    const char **list = wr_arena_calloc(c->arena, c->values.n + 1, sizeof *list);
    for (size_t i = 0; list && i < c->values.n; i++)
        if (strcmp(c->values.at[i].arg->name, name) == 0) list[n++] = c->values.at[i].text;
    *out = list;
    return n;
}

int wr_cli_project(wr_cli *c, wr_project **out, wr_err *err)
{
    if (!c->project) WR_TRY(wr_project_open(&c->project, NULL, err));
    *out = c->project;
    return 0;
}

wr_pool *wr_cli_pool(wr_cli *c)
{
    if (!c->pool) c->pool = wr_pool_new((int)wr_cli_int(c, "threads"));
    return c->pool;
}

wr_jsonw *wr_cli_jsonw(wr_cli *c) { return &c->writer; }

/* ---- the end ---- */

/* What can be said of any error of this kind. */
static void add_hint(wr_err *e)
{
    if (e->code == WEIR_ENOTFOUND && !e->hint[0] && strcmp(e->detail, strerror(ENOENT)) == 0)
        wr_err_hint(e, e->code, "paths are relative to the folder you are in, or to -C DIR");
}

static void print_error(const wr_cli *c, const wr_err *e)
{
    if (c->json) {
        WR_AUTOBUF wr_buf b;
        wr_jsonw w;
        wr_buf_init(&b, 0);
        wr_jsonw_init(&w, &b, 0);
        wr_jsonw_obj(&w);
        wr_jsonw_kstr(&w, "error", e->msg);
        wr_jsonw_kstr(&w, "code", wr_err_name(e->code));
        if (e->detail[0]) wr_jsonw_kstr(&w, "detail", e->detail);
        if (e->hint[0]) wr_jsonw_kstr(&w, "hint", e->hint);
        wr_jsonw_end(&w);
        fprintf(stderr, "%s\n", wr_buf_cstr(&b));
        return;
    }
    const char *msg = e->msg[0] ? e->msg : wr_err_text(e->code);
    fprintf(stderr, "%s%s\n", strncmp(msg, "weir ", 5) == 0 ? "" : "weir: ", msg);
    if (e->detail[0]) fprintf(stderr, "  %s\n", e->detail);
    if (e->hint[0]) fprintf(stderr, "hint: %s\n", e->hint);
}

static int run(wr_cli *c, wr_err *err)
{
    int rc = c->cmd->run(c, err);
    wr_progress_end(c);
    if (c->json && c->out.failed && rc == 0) rc = wr_err_nomem(err); /* half a value is worse than none */
    if (c->json && c->out.n && (rc == 0 || rc == WEIR_ENO)) printf("%s\n", wr_buf_cstr(&c->out));
    return rc;
}

/* Output that did not arrive (full disk) is trouble, whatever was printed. `rc` if all is well. */
static int flush_output(int rc, wr_err *err)
{
    bool before = ferror(stdout) != 0;
    errno = 0;
    if (fflush(stdout) == 0 && !before) return rc;
    return rc < 0 && rc != WEIR_ENO ? rc : wr_err_sys(err, errno ? errno : EIO, "cannot write the result");
}

/* The words as a shell would take them again. */
static char *command_line(wr_arena *a, int argc, char **argv)
{
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    wr_buf_str(&b, "weir");
    for (int i = 1; i < argc; i++) {
        bool plain = argv[i][0] && !strpbrk(argv[i], " \t\n'\"\\$`&|;<>()*?[]{}#~!");
        wr_buf_str(&b, plain ? " " : " '");
        for (const char *p = argv[i]; *p; p++)
            if (*p == '\'') wr_buf_str(&b, "'\\''");
            else wr_buf_char(&b, *p);
        if (!plain) wr_buf_char(&b, '\'');
    }
    return b.failed ? NULL : wr_arena_strdup(a, wr_buf_cstr(&b));
}

static void fini(wr_cli *c)
{
    wr_project_close(c->project);
    wr_pool_free(c->pool);
    wr_vec_fini(&c->values);
    wr_vec_fini(&c->args);
    wr_buf_fini(&c->out);
    wr_arena_free(c->arena);
}

/* "weir", "weir help", "weir --version", "weir data": what needs no command. 1 = done. */
static int without_command(const wr_cmd *const *cmds, size_t n, int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "--help";
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) printf("weir %s\n", WEIR_VERSION);
    else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) wr_help_all(stdout, cmds, n);
    else if (is_group(cmds, n, word) && (argc == 2 || argv[2][0] == '-')) wr_help_group(stdout, cmds, n, word);
    else return 0;
    return 1;
}

/* Global options may stand before the command: weir -C dir data list. They are moved behind it. */
static int leading_options(int argc, char **argv)
{
    int i = 1;
    while (i < argc && argv[i][0] == '-' && argv[i][1]) {
        if (strcmp(argv[i], "-C") == 0 || strcmp(argv[i], "--directory") == 0 || strcmp(argv[i], "--threads") == 0) i++;
        i++;
    }
    return i < argc ? i : 1;
}

/* -C DIR: paths a command is given are relative to DIR from here on, and DIR itself is ".". */
static int enter_directory(wr_cli *c, wr_err *err)
{
    const char *dir = wr_cli_text(c, "directory");
    if (!dir) return 0;
    if (chdir(dir) < 0) return wr_err_sys(err, errno, "cannot work in \"%s\"", dir);
    for (size_t i = 0; i < c->values.n; i++)
        if (c->values.at[i].arg == find_arg(c->cmd, WR_STR("directory"), 0)) c->values.at[i].text = ".";
    return 0;
}

/* Errors of the command line itself are JSON too when --json stands anywhere in it. */
static bool wants_json(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--json") == 0) return true;
    return false;
}

static int start(wr_cli *c, int argc, char **argv, wr_err *err)
{
    int lead = leading_options(argc, argv), nwords;
    c->cmd = find(c->cmds, c->ncmds, argc - lead, argv + lead);
    if (!c->cmd) return unknown_command(c->cmds, c->ncmds, argc - lead, argv + lead, err);
    nwords = (int)words(c->cmd->name);
    WR_TRY(parse(c, argc - lead - nwords, argv + lead + nwords, err));
    int positional = (int)c->args.n;
    if (lead > 1) WR_TRY(parse(c, lead - 1, argv + 1, err));
    if ((int)c->args.n != positional)
        return wr_err_set(err, WEIR_EUSAGE, "options come before or after the command, not around it");
    if (wr_cli_flag(c, "verbose")) wr_log_set_level(WR_LOG_INFO);
    return enter_directory(c, err);
}

void wr_cli_again(wr_cli *c) { c->again = true; }

int wr_cli_main(const wr_cmd *const *cmds, size_t n, int argc, char **argv)
{
    wr_err err = {0};
    wr_cli c = {.cmds = cmds, .ncmds = n, .arena = wr_arena_new(0), .started_ns = wr_clock_mono_ns()};
    if (argc < 2 || without_command(cmds, n, argc, argv)) {
        if (argc < 2) wr_help_all(stdout, cmds, n);
        int rc = flush_output(0, &err);
        if (rc < 0) print_error(&c, &err);
        wr_arena_free(c.arena);
        return wr_err_exit(rc);
    }
    wr_fault_from_env();
    wr_buf_init(&c.out, 0);
    wr_jsonw_init(&c.writer, &c.out, 2);
    c.json = wants_json(argc, argv);
    c.line = c.arena ? command_line(c.arena, argc, argv) : NULL;
    int rc = c.line ? start(&c, argc, argv, &err) : wr_err_nomem(&err);
    if (rc == 0 && wr_cli_flag(&c, "help")) wr_help_one(stdout, c.cmd);
    else if (rc == 0) rc = run(&c, &err);
    rc = flush_output(rc, &err);
    if (err.code == 0) err.code = rc; /* a command that failed without a word */
    add_hint(&err);
    if (rc < 0 && (rc != WEIR_ENO || err.msg[0])) print_error(&c, &err);
    bool again = c.again && rc == 0;
    fini(&c);
    if (again) {
        execvp(argv[0], argv);
        rc = wr_err_sys(&err, errno, "cannot start '%s' again", argv[0]);
        print_error(&(wr_cli){0}, &err);
    }
    return wr_err_exit(rc);
}
