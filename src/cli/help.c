/* SPDX-License-Identifier: Apache-2.0 */
/* help.c - help texts, man pages and completions, all from the constants. */
#include <string.h>

#include "cli/cli_internal.h"

static void print_args(FILE *f, const wr_cmd_arg *a, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char left[64];
        snprintf(left, sizeof left, "%s%c%s--%s%s%s", a[i].letter ? "-" : " ", a[i].letter ? a[i].letter : ' ',
                 a[i].letter ? ", " : "  ", a[i].name, a[i].arg ? " " : "", a[i].arg ? a[i].arg : "");
        fprintf(f, "  %-28s %s", left, a[i].help);
        if (a[i].fallback && strcmp(a[i].fallback, "0") != 0) fprintf(f, " (default: %s)", a[i].fallback);
        if (a[i].kind == WR_ARG_LIST) fputs("; may be repeated", f);
        fputc('\n', f);
    }
}

void wr_help_one(FILE *f, const wr_cmd *cmd)
{
    size_t n;
    const wr_cmd_arg *global = wr_cli_global_args(&n);
    fprintf(f, "weir %s - %s\n\nusage: weir %s %s%s[options]\n", cmd->name, cmd->summary, cmd->name,
            cmd->usage ? cmd->usage : "", cmd->usage && *cmd->usage ? " " : "");
    if (cmd->help) fprintf(f, "\n%s\n", cmd->help);
    if (cmd->nargs) {
        fputs("\noptions:\n", f);
        print_args(f, cmd->args, cmd->nargs);
    }
    fputs("\noptions of every command:\n", f);
    print_args(f, global, n);
    if (cmd->examples) fprintf(f, "\nexamples:\n%s\n", cmd->examples);
    fputs("\nexit codes: 0 fine, 1 the check says no, 2 trouble, 64 wrong usage\n", f);
}

/* ---- lists of commands ---- */

/* The stages of the product, in the order of the work: which commands belong to one is said by their first words. A
 * command whose word is in none is listed at the end. */
static const struct {
    const char *name, *about, *words;
} stages[] = {
    {"project", "a folder, its pipeline, what is out of date", "init run status graph backup"},
    {"data", "versioned tables: ingest, check, query", "data"},
    {"features", "computed once, for training and serving", "feature"},
    {"models", "train, judge, register, sign", "model"},
    {"deploy", "serve, roll out, take feedback", "up deploy"},
    {"monitor", "drift, performance, where things come from", "monitor trace"},
    {"sustain", "energy and carbon", "sustain"},
    {"tracking", "runs, hyper-parameter studies, users, other servers", "runs study user import"},
    {"help", "of the program itself", "help man completions"},
};
enum { STAGES = sizeof stages / sizeof *stages, COLUMN = 25, WIDTH = 80 };

static wr_str first_word(const wr_cmd *cmd)
{
    wr_str rest = wr_str_of(cmd->name);
    return wr_str_cut(&rest, ' ');
}

/* STAGES: of none. */
static size_t stage_of(const wr_cmd *cmd)
{
    wr_str mine = first_word(cmd);
    for (size_t i = 0; i < STAGES; i++)
        for (wr_str rest = wr_str_of(stages[i].words); rest.p;)
            if (wr_str_eq(wr_str_cut(&rest, ' '), mine)) return i;
    return STAGES;
}

/* Name and summary, which goes on below itself. */
static void print_command(FILE *f, const wr_cmd *cmd)
{
    size_t at = COLUMN;
    fprintf(f, "  %-22s", cmd->name);
    for (wr_str rest = wr_str_of(cmd->summary); rest.p;) {
        wr_str word = wr_str_cut(&rest, ' ');
        if (at > COLUMN && at + word.n > WIDTH) {
            fprintf(f, "\n%*s", COLUMN - 1, "");
            at = COLUMN;
        }
        fprintf(f, " %.*s", WR_STR_FMT(word));
        at += word.n + 1;
    }
    fputc('\n', f);
}

const char *wr_help_nearest(wr_str typed)
{
    const char *names[STAGES];
    for (size_t i = 0; i < STAGES; i++) names[i] = stages[i].name;
    int near = wr_str_nearest(typed, names, STAGES);
    return near >= 0 ? names[near] : NULL;
}

static void print_stage(FILE *f, const wr_cmd *const *cmds, size_t n, size_t stage)
{
    size_t any = 0;
    for (size_t i = 0; i < n; i++) {
        if (stage_of(cmds[i]) != stage) continue;
        bool first = !any++;
        if (first && stage < STAGES) fprintf(f, "%s: %s\n", stages[stage].name, stages[stage].about);
        if (first && stage == STAGES) fputs("more:\n", f);
        print_command(f, cmds[i]);
    }
    if (any) fputc('\n', f);
}

/* "deploy" of weir deploy ..., or a stage such as "models". */
bool wr_help_group(FILE *f, const wr_cmd *const *cmds, size_t n, const char *group)
{
    size_t len = strlen(group), any = 0;
    for (size_t i = 0; i < n; i++) {
        if (strncmp(cmds[i]->name, group, len) != 0 || cmds[i]->name[len] != ' ') continue;
        size_t stage = stage_of(cmds[i]);
        if (!any++) fprintf(f, "usage: weir %s COMMAND ...\n\n", group);
        if (any == 1 && stage < STAGES && strcmp(stages[stage].name, group) == 0)
            fprintf(f, "%s\n\n", stages[stage].about);
        print_command(f, cmds[i]);
    }
    if (any) fprintf(f, "\nweir help %s COMMAND explains one.\n", group);
    for (size_t k = 0; !any && k < STAGES; k++) {
        if (strcmp(stages[k].name, group) != 0) continue;
        print_stage(f, cmds, n, k);
        fputs("weir help COMMAND explains one.\n", f);
        return true;
    }
    return any;
}

void wr_help_all(FILE *f, const wr_cmd *const *cmds, size_t n)
{
    fputs("weir - the whole lifecycle of machine learning in production, in one program\n\nusage: weir COMMAND ...\n\n",
          f);
    for (size_t k = 0; k <= STAGES; k++) print_stage(f, cmds, n, k);
    fputs("weir help COMMAND explains one, weir help GROUP lists a group (weir help data);\nstart with: weir init\n",
          f);
}

/* roff needs a backslash before '-' and leading dots guarded. */
static void roff(FILE *f, const char *s)
{
    bool start = true;
    for (; s && *s; s++) {
        if (start && (*s == '.' || *s == '\'')) fputs("\\&", f);
        if (*s == '-') fputs("\\-", f);
        else if (*s == '\\') fputs("\\\\", f);
        else fputc(*s, f);
        start = *s == '\n';
    }
}

void wr_help_man(FILE *f, const wr_cmd *cmd)
{
    fputs(".TH WEIR-", f);
    for (const char *p = cmd->name; *p; p++) fputc(*p == ' ' ? '-' : *p, f);
    fprintf(f, " 1 \"\" \"weir %s\"\n.SH NAME\nweir-", WEIR_VERSION);
    for (const char *p = cmd->name; *p; p++) fputc(*p == ' ' ? '-' : *p, f);
    fputs(" \\- ", f);
    roff(f, cmd->summary);
    fprintf(f, "\n.SH SYNOPSIS\n.B weir %s\n", cmd->name);
    roff(f, cmd->usage);
    fputs(" [options]\n", f);
    if (cmd->help) {
        fputs(".SH DESCRIPTION\n.nf\n", f);
        roff(f, cmd->help);
        fputs("\n.fi\n", f);
    }
    fputs(".SH OPTIONS\n", f);
    for (size_t i = 0; i < cmd->nargs; i++) {
        fprintf(f, ".TP\n\\fB\\-\\-%s\\fR%s%s\n", cmd->args[i].name, cmd->args[i].arg ? " " : "",
                cmd->args[i].arg ? cmd->args[i].arg : "");
        roff(f, cmd->args[i].help);
        fputc('\n', f);
    }
    if (cmd->examples) {
        fputs(".SH EXAMPLES\n.nf\n", f);
        roff(f, cmd->examples);
        fputs("\n.fi\n", f);
    }
    fputs(".SH EXIT STATUS\n0 fine, 1 the check says no, 2 trouble, 64 wrong usage.\n", f);
}

/* Is it the first command that begins with this word? */
static bool is_new_word(const wr_cmd *const *cmds, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (wr_str_eq(first_word(cmds[k]), first_word(cmds[i]))) return false;
    return true;
}

static void bash_options(FILE *f, const wr_cmd *cmd)
{
    size_t n;
    const wr_cmd_arg *global = wr_cli_global_args(&n);
    fprintf(f, "    \"%s\"|\"%s \"*) COMPREPLY=($(compgen -f -W \"", cmd->name, cmd->name);
    for (size_t j = 0; j < cmd->nargs; j++) fprintf(f, "--%s ", cmd->args[j].name);
    for (size_t j = 0; j < n; j++) fprintf(f, "--%s ", global[j].name);
    fputs("\" -- \"$cur\"));;\n", f);
}

/* After "weir data": the second words of that group. */
static void bash_group(FILE *f, const wr_cmd *const *cmds, size_t n, wr_str word)
{
    fprintf(f, "    \"%.*s\") COMPREPLY=($(compgen -W \"", WR_STR_FMT(word));
    for (size_t i = 0; i < n; i++)
        if (wr_str_eq(first_word(cmds[i]), word) && cmds[i]->name[word.n])
            fprintf(f, "%s ", cmds[i]->name + word.n + 1);
    fputs("\" -- \"$cur\"));;\n", f);
}

static void bash(FILE *f, const wr_cmd *const *cmds, size_t n)
{
    fputs("_weir() {\n  local line=\"${COMP_WORDS[*]:1:COMP_CWORD-1}\" cur=\"${COMP_WORDS[COMP_CWORD]}\"\n  case "
          "\"$line\" in\n",
          f);
    for (size_t i = 0; i < n; i++) bash_options(f, cmds[i]);
    for (size_t i = 0; i < n; i++)
        if (is_new_word(cmds, i)) bash_group(f, cmds, n, first_word(cmds[i]));
    fputs("    \"\") COMPREPLY=($(compgen -W \"", f);
    for (size_t i = 0; i < n; i++)
        if (is_new_word(cmds, i)) fprintf(f, "%.*s ", WR_STR_FMT(first_word(cmds[i])));
    fputs("\" -- \"$cur\"));;\n  esac\n}\ncomplete -F _weir weir\n", f);
}

/* In single quotes, where fish knows \' and \\. */
static void fish_text(FILE *f, const char *s)
{
    fputc('\'', f);
    for (; *s; s++) {
        if (*s == '\'' || *s == '\\') fputc('\\', f);
        fputc(*s, f);
    }
    fputc('\'', f);
}

static void fish(FILE *f, const wr_cmd *const *cmds, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        wr_str word = first_word(cmds[i]);
        const char *last = cmds[i]->name[word.n] ? cmds[i]->name + word.n + 1 : cmds[i]->name;
        fprintf(f, "complete -c weir -n __fish_use_subcommand -a '%.*s'\n", WR_STR_FMT(word));
        if (last != cmds[i]->name) {
            fprintf(f, "complete -c weir -n '__fish_seen_subcommand_from %.*s' -a '%s' -d ", WR_STR_FMT(word), last);
            fish_text(f, cmds[i]->summary);
            fputc('\n', f);
        }
        for (size_t j = 0; j < cmds[i]->nargs; j++) {
            fprintf(f, "complete -c weir -n '__fish_seen_subcommand_from %s' -l %s -d ", last, cmds[i]->args[j].name);
            fish_text(f, cmds[i]->args[j].help);
            fputc('\n', f);
        }
    }
}

int wr_help_completion(FILE *f, const wr_cmd *const *cmds, size_t n, const char *shell, wr_err *err)
{
    if (strcmp(shell, "bash") == 0) bash(f, cmds, n);
    else if (strcmp(shell, "zsh") == 0) {
        fputs("autoload -U +X bashcompinit && bashcompinit\n", f);
        bash(f, cmds, n);
    } else if (strcmp(shell, "fish") == 0) fish(f, cmds, n);
    else {
        wr_err_set(err, WEIR_EUSAGE, "no completion for shell \"%s\"", shell);
        return wr_err_hint(err, WEIR_EUSAGE, "bash, zsh or fish");
    }
    return 0;
}
