/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_data_ingest.c - weir data ingest. */
#include "base/num.h"
#include "cli/commands.h"
#include "stage/data/ingest.h"

static const wr_cmd_arg args[] = {
    {"from", 'f', WR_ARG_LIST, "FILE", "file or glob to read", NULL},
    {"format", 0, WR_ARG_TEXT, "FORMAT", "parquet, csv or json (default: by extension)", NULL},
    {"header", 0, WR_ARG_FLAG, NULL, "the first line of CSV has names, even if they are numbers", NULL},
    {"no-header", 0, WR_ARG_FLAG, NULL, "CSV without names: columns are column0, column1, ...", NULL},
    {"append", 0, WR_ARG_FLAG, NULL, "add to the rows there are instead of replacing them", NULL},
    {"select", 0, WR_ARG_TEXT, "SQL", "columns to take, as in SELECT", NULL},
    {"where", 0, WR_ARG_TEXT, "SQL", "rows to take, as in WHERE", NULL},
};

static void print(wr_cli *c, const char *name, const wr_ingested *g)
{
    char rows[WR_NUM_TEXT], bytes[WR_NUM_TEXT], source[WR_NUM_TEXT];
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "dataset", name);
    wr_jsonw_kbool(w, "unchanged", g->unchanged);
    wr_jsonw_ki64(w, "files", (int64_t)g->files);
    wr_jsonw_ki64(w, "version", g->written.version);
    wr_jsonw_ki64(w, "rows", g->written.rows);
    wr_jsonw_ki64(w, "bytes", g->written.bytes);
    wr_jsonw_kstr(w, "hash", g->written.hash);
    wr_jsonw_end(w);
    if (g->unchanged)
        wr_say(c, "%s: these files are its newest version already, version %lld", name, (long long)g->written.version);
    else
        wr_say(c, "%s version %lld: %s rows, %s (from %s in %zu file%s)", name, (long long)g->written.version,
               wr_fmt_count(rows, (double)g->written.rows), wr_fmt_bytes(bytes, (double)g->written.bytes),
               wr_fmt_bytes(source, (double)g->source_bytes), g->files, g->files == 1 ? "" : "s");
}

static int run(wr_cli *c, wr_err *err)
{
    wr_project *p;
    wr_run *r;
    wr_ingested g;
    wr_err end = {0};
    const char **from;
    wr_ingest_opt opt = {.name = wr_cli_arg(c, 0),
                         .nfrom = wr_cli_list(c, "from", &from),
                         .format = wr_cli_text(c, "format"),
                         .append = wr_cli_flag(c, "append"),
                         .select = wr_cli_text(c, "select"),
                         .where = wr_cli_text(c, "where")};
    opt.from = from;
    opt.header = wr_cli_flag(c, "no-header") ? WR_HEADER_NONE
                 : wr_cli_flag(c, "header")  ? WR_HEADER_THERE
                                             : WR_HEADER_EXPECTED;
    if (!opt.nfrom) {
        wr_err_set(err, WEIR_EUSAGE, "weir data ingest: no file to read");
        return wr_err_hint(err, WEIR_EUSAGE, "weir data ingest %s --from FILE", opt.name);
    }
    WR_TRY(wr_cli_project(c, &p, err));
    wr_run_opt ro = {"ingest", "data-collection", opt.name, wr_cli_command_line(c)};
    WR_TRY(wr_run_begin(&r, p, &ro, err));
    wr_progress(c, "reading", -1);
    int rc = wr_ingest(&g, p, &opt, r, err);
    int rc_end = wr_run_end(r, rc, err, &end);
    if (rc == 0 && rc_end < 0 && err) *err = end;
    if (rc < 0 || rc_end < 0) return rc < 0 ? rc : rc_end;
    print(c, opt.name, &g);
    return 0;
}

const wr_cmd wr_cmd_data_ingest = {
    "data ingest",
    "make a dataset, or its next version, from files",
    "NAME --from FILE...",
    1,
    1,
    args,
    sizeof args / sizeof *args,
    "Reads Parquet, CSV or JSON and writes one version of a Delta Lake table under\n"
    ".weir/lake/NAME. Older versions stay readable as NAME@VERSION. Nothing changes on error,\n"
    "and files that are the newest version already are not written again. The first line of CSV\n"
    "has the names of the columns; types are told from all lines.",
    "  # a new dataset\n  weir data ingest flights --from data/flights.parquet\n"
    "  # another month\n  weir data ingest flights --append --from 'data/2001-07-*.csv'",
    run};
