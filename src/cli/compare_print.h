/* SPDX-License-Identifier: Apache-2.0 */
/* compare_print.h - weir deploy replay --candidate: a model over what was logged (stage/replay/compare.h), shown and judged. */
#pragma once
#include "cli/cli.h"

/* WEIR_ENO when a --max-... says no. */
int wr_cli_compare(wr_cli *c, wr_err *err);
