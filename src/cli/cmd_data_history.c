/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_data_history.c - weir data history. */
#include "base/clock.h"
#include "base/num.h"
#include "cli/commands.h"
#include "core/dataset.h"

static const wr_cmd_arg args[] = {
    {"limit", 'n', WR_ARG_INT, "N", "show the newest N versions (0 = all)", "20"},
};

static const char *run_of(wr_cli *c, const wr_delta_entry *e)
{
    WR_AUTOJSON wr_json j = {0};
    wr_str id;
    if (!e->user_metadata || wr_json_parse(&j, wr_str_of(e->user_metadata), "metadata", NULL) < 0) return NULL;
    return wr_json_str(&id, j.root, "run", NULL) < 0 ? NULL : wr_arena_strdup(wr_cli_arena(c), id.p);
}

static void one(wr_cli *c, wr_table *t, const wr_delta_entry *e)
{
    char rows[WR_NUM_TEXT], bytes[WR_NUM_TEXT], time[WR_TIME_TEXT];
    const char *by = run_of(c, e);
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_time_format(time, e->timestamp_us);
    wr_table_cell(t, "%lld", (long long)e->version);
    wr_table_cell(t, "%s", time);
    wr_table_cell(t, "%s", e->operation ? e->operation : "-");
    wr_table_cell(t, "%s", e->rows_added < 0 ? "?" : wr_fmt_count(rows, (double)e->rows_added));
    wr_table_cell(t, "+%lld -%lld", (long long)e->files_added, (long long)e->files_removed);
    wr_table_cell(t, "%s", wr_fmt_bytes(bytes, (double)e->bytes_added));
    wr_table_cell(t, "%.8s", by ? by : "-");
    wr_jsonw_obj(w);
    wr_jsonw_ki64(w, "version", e->version);
    wr_jsonw_kstr(w, "written", time);
    wr_jsonw_kstr(w, "operation", e->operation);
    wr_jsonw_ki64(w, "rows_added", e->rows_added);
    wr_jsonw_ki64(w, "files_added", e->files_added);
    wr_jsonw_ki64(w, "files_removed", e->files_removed);
    wr_jsonw_ki64(w, "bytes_added", e->bytes_added);
    wr_jsonw_kstr(w, "run", by);
    wr_jsonw_end(w);
}

static int run(wr_cli *c, wr_err *err)
{
    wr_project *p;
    wr_delta_snapshot s;
    wr_delta_entry *e;
    size_t n;
    wr_arena *a = wr_cli_arena(c);
    const char *name = wr_cli_arg(c, 0);
    int64_t limit = wr_cli_int(c, "limit");
    WR_TRY(wr_cli_project(c, &p, err));
    WR_TRY(wr_dataset_read(&s, p, name, err)); /* unknown names get their hint */
    int64_t newest = s.version;
    wr_delta_free(&s);
    char *plain = wr_arena_strdup(a, name);
    if (!plain) return wr_err_nomem(err);
    plain[strcspn(plain, "@")] = 0;
    WR_TRY(wr_delta_history(&e, &n, a, wr_dataset_dir(a, p, plain), limit > 0 ? (size_t)limit : 0, err));
    wr_table *t = wr_table_new(c, ">VERSION", "WRITTEN", "OPERATION", ">ROWS ADDED", "FILES", ">ADDED", "RUN", NULL);
    wr_jsonw_arr(wr_cli_jsonw(c));
    for (size_t i = 0; i < n; i++)
        if (e[i].version <= newest) one(c, t, &e[i]);
    wr_jsonw_end(wr_cli_jsonw(c));
    wr_table_print(t);
    return 0;
}

const wr_cmd wr_cmd_data_history = {"data history",
                                    "list the versions of a dataset",
                                    "NAME",
                                    1,
                                    1,
                                    args,
                                    sizeof args / sizeof *args,
                                    "Newest first. Each version can be read as NAME@VERSION and brought back with\n"
                                    "weir data restore.",
                                    "  # who changed it\n  weir data history flights",
                                    run};
