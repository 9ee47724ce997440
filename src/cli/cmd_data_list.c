/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_data_list.c - weir data list. */
#include "base/clock.h"
#include "base/num.h"
#include "cli/commands.h"
#include "core/dataset.h"

static void one(wr_cli *c, wr_table *t, const char *name, const wr_delta_snapshot *s)
{
    char rows[WR_NUM_TEXT], bytes[WR_NUM_TEXT], time[WR_TIME_TEXT];
    int64_t size = 0;
    wr_jsonw *w = wr_cli_jsonw(c);
    for (size_t i = 0; i < s->nfiles; i++) size += s->files[i].size;
    wr_time_format(time, s->timestamp_us);
    wr_table_cell(t, "%s", name);
    wr_table_cell(t, "%lld", (long long)s->version);
    wr_table_cell(t, "%s", s->rows < 0 ? "?" : wr_fmt_count(rows, (double)s->rows));
    wr_table_cell(t, "%zu", s->nfields);
    wr_table_cell(t, "%zu", s->nfiles);
    wr_table_cell(t, "%s", wr_fmt_bytes(bytes, (double)size));
    wr_table_cell(t, "%s", time);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "dataset", name);
    wr_jsonw_ki64(w, "version", s->version);
    wr_jsonw_ki64(w, "rows", s->rows);
    wr_jsonw_ki64(w, "columns", (int64_t)s->nfields);
    wr_jsonw_ki64(w, "files", (int64_t)s->nfiles);
    wr_jsonw_ki64(w, "bytes", size);
    wr_jsonw_kstr(w, "hash", s->hash);
    wr_jsonw_kstr(w, "written", time);
    wr_jsonw_end(w);
}

static int run(wr_cli *c, wr_err *err)
{
    wr_project *p;
    char **names;
    size_t n;
    WR_TRY(wr_cli_project(c, &p, err));
    WR_TRY(wr_dataset_list(&names, &n, wr_cli_arena(c), p, err));
    wr_table *t = wr_table_new(c, "DATASET", ">VERSION", ">ROWS", ">COLUMNS", ">FILES", ">SIZE", "WRITTEN", NULL);
    wr_jsonw_arr(wr_cli_jsonw(c));
    for (size_t i = 0; i < n; i++) {
        wr_delta_snapshot s;
        WR_TRY(wr_dataset_read(&s, p, names[i], err));
        one(c, t, names[i], &s);
        wr_delta_free(&s);
    }
    wr_jsonw_end(wr_cli_jsonw(c));
    if (n) wr_table_print(t);
    else wr_say(c, "no datasets yet: weir data ingest NAME --from FILE makes one");
    return 0;
}

const wr_cmd wr_cmd_data_list = {
    "data list",
    "list the datasets",
    NULL,
    0,
    0,
    NULL,
    0,
    "Every dataset with its newest version. SIZE is that of the version's files; older versions\n"
    "take space of their own.",
    "  # what there is\n  weir data list",
    run};
