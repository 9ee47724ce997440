/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_data_path.h - paths a user names are relative to -C DIR, as if started there. */
#pragma once
#include "cli/cli.h"
#include "io/file.h"

static inline const char *data_path(wr_cli *c, const char *path)
{
    const char *dir = wr_cli_text(c, "directory");
    return dir && path ? wr_path_join(wr_cli_arena(c), dir, path) : path;
}
