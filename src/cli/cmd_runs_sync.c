/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_runs_sync.c - weir runs sync: send on what training programs (libweir) could not send while their server was
 * away. */
#include "cli/commands.h"
#include "io/file.h"
#include "weir/weir.h"

static int run(wr_cli *c, wr_err *err)
{
    size_t left = 0;
    if (wr_cli_has(c, "spool") && !wr_file_exists(wr_cli_text(c, "spool")))
        return wr_err_set(err, WEIR_ENOTFOUND, "there is no folder \"%s\"", wr_cli_text(c, "spool"));
    int rc = weir_spool_send(wr_cli_text(c, "spool"), (int)(wr_cli_int(c, "timeout") / 1000), &left);
    if (rc == WEIR_CLIENT_EIO) return wr_err_set(err, WEIR_EIO, "the spool folder cannot be read");
    if (wr_cli_json(c)) {
        wr_jsonw *w = wr_cli_jsonw(c);
        wr_jsonw_obj(w);
        wr_jsonw_ki64(w, "left", (int64_t)left);
        wr_jsonw_end(w);
    } else if (!left) wr_say(c, "everything is sent");
    if (!left) return 0;
    wr_err_set(err, WEIR_EUNAVAILABLE, "%zu run%s could not be sent", left, left == 1 ? "" : "s");
    return wr_err_hint(err, WEIR_EUNAVAILABLE, "is its server up? runs that are being trained send for themselves");
}

static const wr_cmd_arg args[] = {
    {"spool", 0, WR_ARG_TEXT, "DIR", "the spool folder (default: $WEIR_SPOOL, else ~/.local/state/weir/spool)", NULL},
    {"timeout", 0, WR_ARG_DURATION, "TIME", "start no further run after it", "60s"}};

const wr_cmd wr_cmd_runs_sync = {
    "runs sync",
    "send on what training programs could not send",
    "",
    0,
    0,
    args,
    2,
    "Programs that log through libweir keep what their server did not take in a spool folder.",
    "  # after the server came back\n  weir runs sync",
    run};
