/* SPDX-License-Identifier: Apache-2.0 */
/* flow_print.c - stages for people and for programs. */
#include "cli/flow_print.h"

#include <string.h>

#include "base/num.h"
#include "io/file.h"

const char *wr_stage_mark(wr_stage_status s)
{
    static const char *const mark[] = {"=", "✓", "↺", "✗", "✗", "·", "▶", "↺", "?", "✗"};
    return mark[s];
}

void wr_stage_json(wr_jsonw *w, const wr_stage_result *r)
{
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "name", r->stage->name);
    wr_jsonw_kstr(w, "status", wr_stage_status_text(r->status));
    wr_jsonw_kf64(w, "seconds", r->seconds);
    wr_jsonw_kf64(w, "cpu_seconds", r->cpu_s);
    wr_jsonw_kf64(w, "energy_j", r->energy_j);
    wr_jsonw_kf64(w, "gco2e", r->gco2e);
    wr_jsonw_kbool(w, "cached", r->status == WR_STAGE_RESTORED || r->status == WR_STAGE_UP_TO_DATE);
    wr_jsonw_kstr(w, "why", r->why);
    if (r->run_id) wr_jsonw_kstr(w, "run", r->run_id);
    if (r->run_id) wr_jsonw_ki64(w, "exit_code", r->exit_code);
    wr_jsonw_end(w);
}

void wr_plan_print(wr_cli *c, const wr_flow_result *plan)
{
    char took[WR_NUM_TEXT];
    size_t fresh = 0;
    for (size_t i = 0; i < plan->n; i++) fresh += plan->stages[i].status == WR_STAGE_UP_TO_DATE;
    if (plan->n == 0) {
        wr_say(c, "there are no stages; weir.yaml describes them");
        return;
    }
    if (fresh == plan->n) {
        wr_say(c, "%zu stage%s up to date (%s)", plan->n, plan->n == 1 ? "" : "s", wr_fmt_seconds(took, plan->seconds));
        return;
    }
    wr_table *t = wr_table_new(c, "", "STAGE", "STATUS", "WHY", NULL);
    for (size_t i = 0; i < plan->n; i++) {
        const wr_stage_result *r = &plan->stages[i];
        wr_table_cell(t, "%s", wr_stage_mark(r->status));
        wr_table_cell(t, "%s", r->stage->name);
        wr_table_cell(t, "%s", wr_stage_status_text(r->status));
        wr_table_cell(t, "%s", r->why);
    }
    wr_table_print(t);
    wr_say(c, "%zu of %zu stages up to date; weir run runs the others", fresh, plan->n);
}

void wr_log_tail(FILE *f, wr_arena *a, const char *path, int lines)
{
    enum { MOST = 64 << 10 };
    char *tail = wr_arena_alloc(a, MOST);
    FILE *log = tail ? fopen(path, "re") : NULL;
    if (!log) return;
    if (fseek(log, -MOST, SEEK_END) != 0) rewind(log);
    size_t n = fread(tail, 1, MOST, log), from;
    fclose(log);
    while (n && tail[n - 1] == '\n') n--;
    for (from = n; from > 0; from--)
        if (tail[from - 1] == '\n' && --lines == 0) break;
    for (size_t i = from; i < n; i++) {
        unsigned char ch = (unsigned char)tail[i];
        if (i == from || tail[i - 1] == '\n') fputs("  | ", f);
        if (ch >= 0x20 || ch == '\n' || ch == '\t') fputc(ch, f);
    }
    if (n > from) fputc('\n', f);
}

int wr_cli_pick(wr_graph_pick *out, wr_cli *c, wr_err *err)
{
    int n = wr_cli_nargs(c);
    const char **targets = wr_arena_calloc(wr_cli_arena(c), (size_t)n + 1, sizeof *targets);
    if (!targets) return wr_err_nomem(err);
    for (int i = 0; i < n; i++) targets[i] = wr_cli_arg(c, i);
    *out = (wr_graph_pick){targets, (size_t)n, wr_cli_flag(c, "single"), wr_cli_flag(c, "downstream")};
    if (out->single && out->downstream)
        return wr_err_set(err, WEIR_EUSAGE, "--single and --downstream exclude each other");
    if (n == 0 && (out->single || out->downstream))
        return wr_err_set(err, WEIR_EUSAGE, "%s needs the name of a stage", out->single ? "--single" : "--downstream");
    return 0;
}
