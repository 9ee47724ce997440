/* SPDX-License-Identifier: Apache-2.0 */
/* cli_internal.h - the state behind wr_cli; for cli.c, help.c and print.c only. */
#pragma once
#include "base/vec.h"
#include "cli/cli.h"

typedef struct { const wr_cmd_arg *arg; const char *text; double num; int64_t i; } wr_cli_value;

struct wr_cli {
    const wr_cmd *const *cmds;
    size_t ncmds;
    const wr_cmd *cmd;
    wr_arena *arena;
    WR_VEC(wr_cli_value) values;
    WR_VEC(const char *) args;
    size_t rest; /* where the args behind "--" begin, args.n without */
    bool dashes; /* "--" was there, with something behind it or not */
    bool json;
    const char *line;
    wr_project *project;
    bool again;
    wr_pool *pool;
    wr_buf out;
    wr_jsonw writer;
    int64_t started_ns, progress_ns;
    bool progress_shown;
};

const wr_cmd_arg *wr_cli_global_args(size_t *n);
