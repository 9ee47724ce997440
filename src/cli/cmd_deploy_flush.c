/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_deploy_flush.c - weir deploy flush. */
#include "base/num.h"
#include "cli/commands.h"
#include "cli/deploy_server.h"
#include "stage/deploy/drain.h"
#include "stage/rollout/run.h"

static const wr_cmd_arg args[] = {
    WR_DEPLOY_URL,
    {"offline", 0, WR_ARG_FLAG, NULL, "no server runs: drain what the last one left", NULL},
};

static int offline(wr_cli *c, wr_drained *d, wr_err *err)
{
    wr_project *p;
    wr_serve *s;
    WR_TRY(wr_cli_project(c, &p, err));
    WR_TRY(wr_serve_open(&s, p, &(wr_serve_opt){.rollouts = &wr_rollouts}, err));
    int rc = wr_serve_drain(d, s, err);
    wr_serve_close(s);
    return rc;
}

static int ask(wr_drained *d, wr_cli *c, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    int64_t n[4];
    static const char *const keys[] = {"segments", "predictions", "labels", "events"};
    int rc = wr_deploy_ask(&j, c, "POST", "/api/weir/1/flush", "application/json", WR_STR(""), err);
    if (rc == WEIR_EUNAVAILABLE)
        wr_err_hint(err, rc, "weir up starts a server; without one: weir deploy flush --offline");
    WR_TRY(rc);
    for (int i = 0; i < 4; i++) WR_TRY(wr_json_i64(&n[i], j.root, keys[i], err));
    *d = (wr_drained){(uint64_t)n[0], (uint64_t)n[1], (uint64_t)n[2], (uint64_t)n[3]};
    return 0;
}

static int run(wr_cli *c, wr_err *err)
{
    wr_drained d;
    char p[WR_NUM_TEXT], l[WR_NUM_TEXT], e[WR_NUM_TEXT];
    wr_progress(c, "draining", -1);
    WR_TRY(wr_cli_flag(c, "offline") ? offline(c, &d, err) : ask(&d, c, err));
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    wr_jsonw_ki64(w, "segments", (int64_t)d.segments);
    wr_jsonw_ki64(w, "predictions", (int64_t)d.predictions);
    wr_jsonw_ki64(w, "labels", (int64_t)d.labels);
    wr_jsonw_ki64(w, "events", (int64_t)d.events);
    wr_jsonw_end(w);
    if (!d.segments) wr_say(c, "nothing was waiting");
    else
        wr_say(c, "%s predictions, %s labels and %s events are in the lake", wr_fmt_count(p, (double)d.predictions),
               wr_fmt_count(l, (double)d.labels), wr_fmt_count(e, (double)d.events));
    return 0;
}

const wr_cmd wr_cmd_deploy_flush = {
    "deploy flush",
    "bring what a server has logged into the lake now",
    "",
    0,
    0,
    args,
    sizeof args / sizeof *args,
    "A running server does this every ten minutes, when its log has 64 MiB, and when it ends.\n"
    "Datasets: predictions.ENDPOINT, labels.ENDPOINT, events.VIEW.",
    "  # of the server of this project\n  weir deploy flush\n"
    "  # after a crash, without starting a server\n  weir deploy flush --offline",
    run};
