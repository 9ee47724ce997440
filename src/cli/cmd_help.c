/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_help.c - weir help, weir man, weir completions: texts made from the constants of all commands. */
#include <string.h>

#include "base/num.h"
#include "cli/commands.h"

/* The command whose name is the positional words joined; NULL if there is none. */
static const wr_cmd *named(wr_cli *c)
{
    size_t n;
    const wr_cmd *const *cmds = wr_cli_commands(c, &n);
    const char *name = wr_cli_arg(c, 0);
    if (wr_cli_arg(c, 1)) name = wr_arena_printf(wr_cli_arena(c), "%s %s", name, wr_cli_arg(c, 1));
    for (size_t i = 0; name && i < n; i++)
        if (strcmp(cmds[i]->name, name) == 0) return cmds[i];
    return NULL;
}

static int unknown(wr_cli *c, wr_err *err)
{
    wr_err_set(err, WEIR_EUSAGE, "there is no command \"%s%s%s\"", wr_cli_arg(c, 0), wr_cli_arg(c, 1) ? " " : "",
               wr_cli_arg(c, 1) ? wr_cli_arg(c, 1) : "");
    size_t n;
    const wr_cmd *const *cmds = wr_cli_commands(c, &n);
    const char **names = wr_arena_alloc(wr_cli_arena(c), (n + 1) * sizeof *names);
    const char *typed = wr_cli_arg(c, 0);
    if (wr_cli_arg(c, 1)) typed = wr_arena_printf(wr_cli_arena(c), "%s %s", typed, wr_cli_arg(c, 1));
    for (size_t i = 0; names && i < n; i++) names[i] = cmds[i]->name;
    int near = names && typed ? wr_str_nearest(wr_str_of(typed), names, n) : -1;
    const char *group = !wr_cli_arg(c, 1) ? wr_help_nearest(wr_str_of(typed)) : NULL;
    if (group && near < 0) return wr_err_hint(err, WEIR_EUSAGE, "did you mean \"weir help %s\"?", group);
    return near >= 0 ? wr_err_hint(err, WEIR_EUSAGE, "did you mean \"weir help %s\"?", names[near])
                     : wr_err_hint(err, WEIR_EUSAGE, "weir help lists them");
}

static int run_help(wr_cli *c, wr_err *err)
{
    size_t n;
    const wr_cmd *const *cmds = wr_cli_commands(c, &n);
    if (!wr_cli_arg(c, 0)) {
        wr_help_all(stdout, cmds, n);
        return 0;
    }
    const wr_cmd *cmd = named(c);
    if (cmd) {
        wr_help_one(stdout, cmd);
        return 0;
    }
    if (!wr_cli_arg(c, 1) && wr_help_group(stdout, cmds, n, wr_cli_arg(c, 0))) return 0;
    return unknown(c, err);
}

const wr_cmd wr_cmd_help = {"help",
                            "explain a command, or list a group of them",
                            "[COMMAND | GROUP]",
                            0,
                            2,
                            NULL,
                            0,
                            NULL,
                            "  # what data ingest does\n  weir help data ingest",
                            run_help};

static int run_man(wr_cli *c, wr_err *err)
{
    const wr_cmd *cmd = named(c);
    if (!cmd) return unknown(c, err);
    wr_help_man(stdout, cmd);
    return 0;
}

const wr_cmd wr_cmd_man = {"man", "print the man page of a command (roff)",         "COMMAND", 1, 2, NULL, 0,
                           NULL,  "  # read it\n  weir man data ingest | man -l -", run_man};

static int run_completions(wr_cli *c, wr_err *err)
{
    size_t n;
    const wr_cmd *const *cmds = wr_cli_commands(c, &n);
    return wr_help_completion(stdout, cmds, n, wr_cli_arg(c, 0), err);
}

const wr_cmd wr_cmd_completions = {"completions",
                                   "print shell completions",
                                   "bash|zsh|fish",
                                   1,
                                   1,
                                   NULL,
                                   0,
                                   NULL,
                                   "  # for this shell\n  source <(weir completions bash)",
                                   run_completions};
