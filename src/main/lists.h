/* SPDX-License-Identifier: Apache-2.0 */
/* lists.h - everything that is plugged in by a line in a list. */
#pragma once
#include "cli/cli.h"

extern const wr_cmd *const wr_commands[];
extern const size_t wr_commands_count;
