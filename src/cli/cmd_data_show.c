/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_data_show.c - weir data show. */
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "cli/cmd_data_rows.h"
#include "cli/commands.h"
#include "core/dataset.h"
#include "core/run.h"

static const wr_cmd_arg args[] = {
    {"head", 'n', WR_ARG_INT, "N", "show the first N rows", "5"},
};

/* Run that wrote a version, from the commit's own words: {"run":"..."}. */
static bool writer(wr_run_row *out, wr_cli *c, wr_project *p, const wr_delta_snapshot *s, const char *name)
{
    wr_delta_entry *e;
    size_t n;
    WR_AUTOJSON wr_json j = {0};
    wr_str id;
    wr_arena *a = wr_cli_arena(c);
    if (wr_delta_history(&e, &n, a, wr_dataset_dir(a, p, name), 0, NULL) < 0) return false;
    for (size_t i = 0; i < n; i++) {
        if (e[i].version != s->version || !e[i].user_metadata) continue;
        if (wr_json_parse(&j, wr_str_of(e[i].user_metadata), "metadata", NULL) < 0) return false;
        if (wr_json_str(&id, j.root, "run", NULL) < 0) return false;
        return wr_run_get(out, a, p, id.p, NULL) == 0;
    }
    return false;
}

static int first_rows(wr_frame **out, wr_cli *c, wr_project *p, const char *ref, wr_err *err)
{
    wr_tables *t;
    char sql[64];
    int64_t n = wr_cli_int(c, "head");
    *out = NULL;
    if (n <= 0) return 0;
    WR_TRY(wr_project_tables(&t, p, NULL, err));
    snprintf(sql, sizeof sql, "SELECT * FROM this LIMIT %lld", (long long)n);
    int rc = wr_dataset_view(t, p, ref, "this", err);
    if (rc == 0) rc = wr_tables_query(t, out, sql, NULL, 0, err);
    wr_tables_close(t);
    return rc;
}

static void print_json(wr_cli *c, const char *name, const wr_delta_snapshot *s, int64_t size, const wr_run_row *by,
                       const wr_frame *f)
{
    char time[WR_TIME_TEXT];
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_time_format(time, s->timestamp_us);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "dataset", name);
    wr_jsonw_ki64(w, "version", s->version);
    wr_jsonw_ki64(w, "rows", s->rows);
    wr_jsonw_ki64(w, "files", (int64_t)s->nfiles);
    wr_jsonw_ki64(w, "bytes", size);
    wr_jsonw_kstr(w, "hash", s->hash);
    wr_jsonw_kstr(w, "written", time);
    wr_jsonw_kstr(w, "run", by ? by->id : NULL);
    wr_jsonw_kstr(w, "command", by ? by->command : NULL);
    wr_jsonw_key(w, "columns");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < s->nfields; i++) {
        wr_jsonw_obj(w);
        wr_jsonw_kstr(w, "name", s->fields[i].name);
        wr_jsonw_kstr(w, "type", s->fields[i].type);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
    if (f) {
        wr_jsonw_key(w, "head");
        wr_rows_json(w, f);
    }
    wr_jsonw_end(w);
}

static void print_text(wr_cli *c, const char *name, const wr_delta_snapshot *s, int64_t size, const wr_run_row *by,
                       const wr_frame *f)
{
    char rows[WR_NUM_TEXT], bytes[WR_NUM_TEXT], time[WR_TIME_TEXT];
    wr_time_format(time, s->timestamp_us);
    wr_say(c, "%s version %lld: %s rows in %zu file%s, %s", name, (long long)s->version,
           s->rows < 0 ? "?" : wr_fmt_count(rows, (double)s->rows), s->nfiles, s->nfiles == 1 ? "" : "s",
           wr_fmt_bytes(bytes, (double)size));
    wr_say(c, "content  %s", s->hash);
    if (by) wr_say(c, "written  %s by run %.8s: %s", time, by->id, by->command);
    else wr_say(c, "written  %s", time);
    wr_say(c, "%s", "");
    wr_table *t = wr_table_new(c, "COLUMN", "TYPE", NULL);
    for (size_t i = 0; i < s->nfields; i++) {
        wr_table_cell(t, "%s", s->fields[i].name);
        wr_table_cell(t, "%s", s->fields[i].type);
    }
    wr_table_print(t);
    if (!f || !f->nrows) return;
    wr_say(c, "%s", "");
    wr_rows_print(c, f);
}

static int show(wr_cli *c, wr_project *p, const wr_delta_snapshot *s, wr_err *err)
{
    WR_AUTOFRAME wr_frame *f = NULL;
    wr_run_row by;
    int64_t size = 0;
    char *name = wr_arena_strdup(wr_cli_arena(c), wr_cli_arg(c, 0));
    if (!name) return wr_err_nomem(err);
    name[strcspn(name, "@")] = 0;
    const char *fixed = wr_arena_printf(wr_cli_arena(c), "%s@%lld", name, (long long)s->version);
    if (!fixed) return wr_err_nomem(err);
    WR_TRY(first_rows(&f, c, p, fixed, err));
    for (size_t i = 0; i < s->nfiles; i++) size += s->files[i].size;
    bool known = writer(&by, c, p, s, name);
    print_json(c, name, s, size, known ? &by : NULL, f);
    print_text(c, name, s, size, known ? &by : NULL, f);
    return 0;
}

static int run(wr_cli *c, wr_err *err)
{
    wr_project *p;
    wr_delta_snapshot s;
    WR_TRY(wr_cli_project(c, &p, err));
    WR_TRY(wr_dataset_read(&s, p, wr_cli_arg(c, 0), err));
    int rc = show(c, p, &s, err);
    wr_delta_free(&s);
    return rc;
}

const wr_cmd wr_cmd_data_show = {
    "data show",
    "show a dataset: columns, size, who wrote it, first rows",
    "NAME[@VERSION|@TIME]",
    1,
    1,
    args,
    sizeof args / sizeof *args,
    "The hash is that of the content: two versions with the same rows and files have the same.",
    "  # the newest version\n  weir data show flights\n"
    "  # an older one, by number or by when it was the newest\n"
    "  weir data show flights@0 --head 20\n  weir data show flights@2026-11-01",
    run};
