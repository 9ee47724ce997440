/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_init.c - weir init: make a project. */
#include "cli/commands.h"

static int run(wr_cli *c, wr_err *err)
{
    const char *dir = wr_cli_arg(c, 0);
    WR_TRY(wr_project_init(dir, err));
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "project", dir ? dir : ".");
    wr_jsonw_end(w);
    wr_say(c, "made a project in %s: weir.yaml describes it, .weir/ holds its state", dir ? dir : "this folder");
    wr_say(c, "next: weir data ingest NAME --from FILE");
    return 0;
}

const wr_cmd wr_cmd_init = {"init",
                            "make a project in a folder",
                            "[DIR]",
                            0,
                            1,
                            NULL,
                            0,
                            "Writes weir.yaml (a commented start) and .weir/. Nothing is overwritten.",
                            "  # here\n  weir init\n  # in a new folder\n  weir init flights",
                            run};
