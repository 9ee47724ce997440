/* SPDX-License-Identifier: Apache-2.0 */
/* commands.c - the list of commands, in the order help shows them. */
#include "cli/commands.h"
#include "main/lists.h"

const wr_cmd *const wr_commands[] = {
    &wr_cmd_init,
    &wr_cmd_help,
    &wr_cmd_man,
    &wr_cmd_completions,
};
const size_t wr_commands_count = sizeof wr_commands / sizeof *wr_commands;
