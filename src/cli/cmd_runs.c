/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_runs.c - weir runs list, weir runs show: the record of what was executed. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "cli/commands.h"
#include "cli/flow_print.h"
#include "cli/runs_find.h"
#include "core/run.h"
#include "io/file.h"

enum { TAIL_LINES = 20, ID_SHOWN = 12 };

static double seconds_of(const wr_run_row *r)
{
    return r->ended_us > r->started_us ? (double)(r->ended_us - r->started_us) / 1e6 : 0;
}

static void put_row(wr_jsonw *w, const wr_run_row *r)
{
    char start[WR_TIME_TEXT], end[WR_TIME_TEXT];
    wr_time_format(start, r->started_us);
    wr_jsonw_kstr(w, "id", r->id);
    wr_jsonw_kstr(w, "kind", r->kind);
    wr_jsonw_kstr(w, "name", r->name);
    wr_jsonw_kstr(w, "command", r->command);
    wr_jsonw_kstr(w, "status", r->status);
    if (r->error && r->error[0]) wr_jsonw_kstr(w, "error", r->error);
    wr_jsonw_kstr(w, "started", start);
    if (r->ended_us <= 0) return;
    wr_time_format(end, r->ended_us);
    wr_jsonw_kstr(w, "ended", end);
    wr_jsonw_kf64(w, "seconds", seconds_of(r));
}

/* ---- list ---- */

static bool asked_for(wr_cli *c, const wr_run_row *r)
{
    const char *stage = wr_cli_arg(c, 0), *status = wr_cli_text(c, "status");
    if (stage && strcmp(stage, r->name) != 0 && strcmp(stage, r->kind) != 0) return false;
    return !status || strcmp(status, r->status) == 0;
}

static void list_json(wr_cli *c, const wr_run_row *rows, size_t n, size_t most)
{
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_arr(w);
    for (size_t i = 0; i < n && most > 0; i++) {
        if (!asked_for(c, &rows[i])) continue;
        wr_jsonw_obj(w);
        put_row(w, &rows[i]);
        wr_jsonw_end(w);
        most--;
    }
    wr_jsonw_end(w);
}

static void list_table(wr_cli *c, const wr_run_row *rows, size_t n, size_t most)
{
    size_t shown = 0;
    wr_table *t = wr_table_new(c, "RUN", "STARTED", ">TIME", "STATUS", "KIND", "NAME", "COMMAND", NULL);
    for (size_t i = 0; i < n && shown < most; i++) {
        char start[WR_TIME_TEXT], took[WR_NUM_TEXT];
        if (!asked_for(c, &rows[i])) continue;
        wr_time_format(start, rows[i].started_us - rows[i].started_us % WR_US);
        wr_table_cell(t, "%.*s", ID_SHOWN, rows[i].id);
        wr_table_cell(t, "%s", start);
        wr_table_cell(t, "%s", rows[i].ended_us > 0 ? wr_fmt_seconds(took, seconds_of(&rows[i])) : "");
        wr_table_cell(t, "%s", rows[i].status);
        wr_table_cell(t, "%s", rows[i].kind);
        wr_table_cell(t, "%s", rows[i].name);
        wr_table_cell(t, "%.*s", (int)strcspn(rows[i].command, "\n"), rows[i].command);
        shown++;
    }
    if (shown) {
        wr_table_print(t);
        return;
    }
    wr_say(c, "no runs%s", n ? " that match" : " yet; weir run makes some");
}

static int known_status(const char *status, wr_err *err)
{
    static const char *const known[] = {"running", "finished", "refused", "failed", "killed", "scheduled"};
    enum { KNOWN = sizeof known / sizeof *known };
    for (size_t i = 0; i < KNOWN; i++)
        if (!status || strcmp(status, known[i]) == 0) return 0;
    int near = wr_str_nearest(wr_str_of(status), known, KNOWN);
    wr_err_set(err, WEIR_EUSAGE,
               "--status: runs are running, finished, refused, failed, killed or scheduled, not \"%s\"", status);
    return near < 0 ? WEIR_EUSAGE : wr_err_hint(err, WEIR_EUSAGE, "did you mean %s?", known[near]);
}

static int run_list(wr_cli *c, wr_err *err)
{
    wr_project *p;
    wr_run_row *rows;
    size_t n;
    int64_t most = wr_cli_int(c, "limit");
    bool filter = wr_cli_arg(c, 0) || wr_cli_has(c, "status");
    WR_TRY(known_status(wr_cli_text(c, "status"), err));
    if (most < 1) return wr_err_set(err, WEIR_EUSAGE, "--limit is at least 1");
    WR_TRY(wr_cli_project(c, &p, err));
    WR_TRY(wr_run_list(&rows, &n, wr_cli_arena(c), p, filter ? 0 : (size_t)most, err));
    if (wr_cli_json(c)) list_json(c, rows, n, (size_t)most);
    else list_table(c, rows, n, (size_t)most);
    return 0;
}

static const wr_cmd_arg list_args[] = {
    {"limit", 'n', WR_ARG_INT, "N", "how many", "20"},
    {"status", 0, WR_ARG_TEXT, "STATUS", "only those that are running, finished, refused or failed", NULL},
};

const wr_cmd wr_cmd_runs_list = {
    "runs list",
    "list what was run, newest first",
    "[STAGE]",
    0,
    1,
    list_args,
    sizeof list_args / sizeof *list_args,
    NULL,
    "  # the last 20\n  weir runs list\n  # trainings that failed\n  weir runs list train --status failed",
    run_list};

/* ---- show ---- */

typedef struct {
    wr_run_row row;
    wr_run_item *params, *metrics;
    size_t nparams, nmetrics;
    wr_lineage_step *in, *out;
    size_t nin, nout;
    wr_footprint *foot; /* NULL when there is none */
    const char *log;
} shown_run;

/* What the run was made from, and what was made by it: its neighbours in the lineage. */
static int read_lineage(shown_run *s, wr_arena *a, wr_project *p, wr_err *err)
{
    wr_node node;
    int rc = wr_lineage_find(&node, a, p, "run", s->row.id, -1, NULL, NULL);
    if (rc == WEIR_ENOTFOUND) return 0;
    if (rc < 0) return wr_err_set(err, rc, "cannot read the lineage of run \"%s\"", s->row.id);
    WR_TRY(wr_lineage_walk(&s->in, &s->nin, a, p, node.id, WR_LINEAGE_PARENTS, err));
    return wr_lineage_walk(&s->out, &s->nout, a, p, node.id, WR_LINEAGE_CHILDREN, err);
}

static int read_footprint(shown_run *s, wr_arena *a, wr_project *p, wr_err *err)
{
    wr_footprint *rows;
    size_t n;
    WR_TRY(wr_footprint_list(&rows, &n, a, p, NULL, err));
    for (size_t i = 0; i < n; i++)
        if (rows[i].run_id && strcmp(rows[i].run_id, s->row.id) == 0) s->foot = &rows[i];
    return 0;
}

static int read_all(shown_run *s, wr_arena *a, wr_project *p, wr_err *err)
{
    const char *dir;
    WR_TRY(wr_run_params(&s->params, &s->nparams, a, p, s->row.id, err));
    WR_TRY(wr_run_metrics(&s->metrics, &s->nmetrics, a, p, s->row.id, err));
    WR_TRY(read_lineage(s, a, p, err));
    WR_TRY(read_footprint(s, a, p, err));
    WR_TRY(wr_project_state(&dir, p, "logs", false, err));
    s->log = wr_arena_printf(a, "%s/%s.log", dir, s->row.id);
    return s->log ? 0 : wr_err_nomem(err);
}

static void put_nodes(wr_jsonw *w, const char *key, const wr_lineage_step *steps, size_t n)
{
    wr_jsonw_key(w, key);
    wr_jsonw_arr(w);
    for (size_t i = 0; i < n; i++) {
        if (steps[i].depth != 1) continue;
        wr_jsonw_obj(w);
        wr_jsonw_kstr(w, "kind", steps[i].node.kind);
        wr_jsonw_kstr(w, "name", steps[i].node.name);
        if (steps[i].node.version >= 0) wr_jsonw_ki64(w, "version", steps[i].node.version);
        if (steps[i].node.hash && steps[i].node.hash[0]) wr_jsonw_kstr(w, "hash", steps[i].node.hash);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

static void put_footprint(wr_jsonw *w, const wr_footprint *f)
{
    wr_jsonw_key(w, "footprint");
    wr_jsonw_obj(w);
    wr_jsonw_kf64(w, "seconds", f->wall_s);
    wr_jsonw_kf64(w, "cpu_seconds", f->cpu_s);
    wr_jsonw_kf64(w, "max_rss", f->max_rss);
    wr_jsonw_kf64(w, "read_bytes", f->read_bytes);
    wr_jsonw_kf64(w, "write_bytes", f->write_bytes);
    wr_jsonw_kf64(w, "energy_j", f->energy.energy_j);
    wr_jsonw_kstr(w, "energy_source", f->energy.source);
    wr_jsonw_kf64(w, "gco2e", f->gco2e);
    wr_jsonw_end(w);
}

static void show_json(wr_jsonw *w, const shown_run *s)
{
    wr_jsonw_obj(w);
    put_row(w, &s->row);
    wr_jsonw_key(w, "params");
    wr_jsonw_obj(w);
    for (size_t i = 0; i < s->nparams; i++) wr_jsonw_kstr(w, s->params[i].key, s->params[i].value);
    wr_jsonw_end(w);
    wr_jsonw_key(w, "metrics");
    wr_jsonw_obj(w);
    for (size_t i = 0; i < s->nmetrics; i++) wr_jsonw_kf64(w, s->metrics[i].key, s->metrics[i].number);
    wr_jsonw_end(w);
    put_nodes(w, "inputs", s->in, s->nin);
    put_nodes(w, "outputs", s->out, s->nout);
    if (s->foot) put_footprint(w, s->foot);
    if (wr_file_exists(s->log)) wr_jsonw_kstr(w, "log", s->log);
    wr_jsonw_end(w);
}

static void say_nodes(wr_cli *c, const char *title, const wr_lineage_step *steps, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const wr_node *d = &steps[i].node;
        if (steps[i].depth != 1) continue;
        if (title) wr_say(c, "%s", title);
        title = NULL;
        if (d->version >= 0)
            wr_say(c, "  %-8s %s@%lld  %.12s", d->kind, d->name, (long long)d->version, d->hash ? d->hash : "");
        else wr_say(c, "  %-8s %s  %.12s", d->kind, d->name, d->hash ? d->hash : "");
    }
}

static void say_footprint(wr_cli *c, const wr_footprint *f)
{
    char wall[WR_NUM_TEXT], cpu[WR_NUM_TEXT], rss[WR_NUM_TEXT], in[WR_NUM_TEXT], out[WR_NUM_TEXT], j[WR_NUM_TEXT],
        g[WR_NUM_TEXT];
    wr_say(c, "footprint");
    wr_say(c, "  %s, CPU %s, memory %s, read %s, written %s", wr_fmt_seconds(wall, f->wall_s),
           wr_fmt_seconds(cpu, f->cpu_s), wr_fmt_bytes(rss, f->max_rss), wr_fmt_bytes(in, f->read_bytes),
           wr_fmt_bytes(out, f->write_bytes));
    wr_say(c, "  %s +-%.0f %% (%s), %sCO2e at %.0f g/kWh (%s)", wr_fmt_si(j, f->energy.energy_j, "J"),
           100 * f->energy.rel_uncertainty, f->energy.source, wr_fmt_si(g, f->gco2e, "g"), f->intensity, f->region);
}

static void show_text(wr_cli *c, const shown_run *s)
{
    char start[WR_TIME_TEXT], took[WR_NUM_TEXT];
    wr_time_format(start, s->row.started_us - s->row.started_us % WR_US);
    wr_say(c, "%s", s->row.id);
    wr_say(c, "  %s \"%s\", %s%s%s", s->row.kind, s->row.name, s->row.status,
           s->row.error && s->row.error[0] ? ": " : "", s->row.error ? s->row.error : "");
    if (s->row.ended_us > 0) wr_say(c, "  started %s, took %s", start, wr_fmt_seconds(took, seconds_of(&s->row)));
    else wr_say(c, "  started %s", start);
    wr_say(c, "  %s", s->row.command);
    if (s->nparams) wr_say(c, "params");
    for (size_t i = 0; i < s->nparams; i++) wr_say(c, "  %-24s %s", s->params[i].key, s->params[i].value);
    if (s->nmetrics) wr_say(c, "metrics");
    for (size_t i = 0; i < s->nmetrics; i++) wr_say(c, "  %-24s %.6g", s->metrics[i].key, s->metrics[i].number);
    say_nodes(c, "made from", s->in, s->nin);
    say_nodes(c, "made", s->out, s->nout);
    if (s->foot) say_footprint(c, s->foot);
    if (!wr_file_exists(s->log)) return;
    wr_say(c, "log %s", s->log);
    wr_log_tail(stdout, wr_cli_arena(c), s->log, TAIL_LINES);
}

static int run_show(wr_cli *c, wr_err *err)
{
    wr_project *p;
    shown_run s = {0};
    WR_TRY(wr_runs_row(&s.row, c, wr_cli_arg(c, 0), err));
    WR_TRY(wr_cli_project(c, &p, err));
    WR_TRY(read_all(&s, wr_cli_arena(c), p, err));
    if (wr_cli_json(c)) show_json(wr_cli_jsonw(c), &s);
    else show_text(c, &s);
    return 0;
}

const wr_cmd wr_cmd_runs_show = {"runs show",
                                 "show one run: params, metrics, lineage, footprint, log",
                                 "ID",
                                 1,
                                 1,
                                 NULL,
                                 0,
                                 "ID may be shortened to what makes it unique (at least 4 digits).",
                                 "  # by the first digits of its id\n  weir runs show 3f9a1c",
                                 run_show};
