/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_runs_compare.c - weir runs compare: runs side by side, what differs marked. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "cli/commands.h"
#include "cli/runs_find.h"

enum { RUNS_MAX = 8, ID_SHOWN = 8 };

typedef WR_VEC(const char *) names;

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* Every "kind.key" that any of the runs has, sorted, each once. */
static int columns_of(names *out, wr_cli *c, const wr_track_run *runs, size_t n, const char *kind, wr_err *err)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        bool metrics = strcmp(kind, "metrics") == 0, params = strcmp(kind, "params") == 0;
        size_t count = metrics ? runs[i].nmetrics : params ? runs[i].nparams : runs[i].ntags;
        for (size_t k = 0; k < count; k++) {
            wr_str key = metrics ? runs[i].metrics[k].key : params ? runs[i].params[k].key : runs[i].tags[k].key;
            if (wr_vec_push(out, wr_arena_printf(wr_cli_arena(c), "%s.%.*s", kind, WR_STR_FMT(key))) < 0)
                return wr_err_nomem(err);
        }
    }
    if (wr_arena_failed(wr_cli_arena(c))) return wr_err_nomem(err);
    if (out->n) qsort(out->at, out->n, sizeof *out->at, by_text);
    for (size_t i = 0; i < out->n; i++)
        if (!kept || strcmp(out->at[kept - 1], out->at[i]) != 0) out->at[kept++] = out->at[i];
    out->n = kept;
    return 0;
}

static bool differs(wr_cli *c, const wr_track_run *runs, size_t n, const char *column)
{
    for (size_t i = 1; i < n; i++)
        if (strcmp(wr_runs_cell(c, &runs[0], column), wr_runs_cell(c, &runs[i], column)) != 0) return true;
    return false;
}

static void print_rows(wr_cli *c, wr_table *t, const wr_track_run *runs, size_t n, const names *columns, bool all)
{
    for (size_t k = 0; k < columns->n; k++) {
        bool other = differs(c, runs, n, columns->at[k]);
        if (!other && !all) continue;
        wr_table_cell(t, "%s", columns->at[k]);
        for (size_t i = 0; i < n; i++) wr_table_cell(t, "%.60s", wr_runs_cell(c, &runs[i], columns->at[k]));
        wr_table_cell(t, "%s", other ? "*" : "");
    }
}

static void print_json(wr_cli *c, const wr_track_run *runs, size_t n, const names *columns)
{
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    wr_jsonw_key(w, "runs");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < n; i++) wr_jsonw_str(w, runs[i].uuid);
    wr_jsonw_end(w);
    wr_jsonw_key(w, "rows");
    wr_jsonw_arr(w);
    for (size_t k = 0; k < columns->n; k++) {
        wr_jsonw_obj(w);
        wr_jsonw_kstr(w, "name", columns->at[k]);
        wr_jsonw_key(w, "values");
        wr_jsonw_arr(w);
        for (size_t i = 0; i < n; i++) wr_jsonw_cstr(w, wr_runs_cell(c, &runs[i], columns->at[k]));
        wr_jsonw_end(w);
        wr_jsonw_kbool(w, "differs", differs(c, runs, n, columns->at[k]));
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

static int run(wr_cli *c, wr_err *err)
{
    static const char *const kinds[] = {"metrics", "params", "tags"};
    wr_track_run runs[RUNS_MAX];
    size_t n = (size_t)wr_cli_nargs(c);
    names columns = {0};
    int rc = 0;
    if (n > RUNS_MAX) return wr_err_set(err, WEIR_EUSAGE, "at most %d runs side by side", RUNS_MAX);
    for (size_t i = 0; i < n; i++) WR_TRY(wr_runs_one(&runs[i], c, wr_cli_arg(c, (int)i), err));
    names all = {0};
    for (size_t k = 0; rc == 0 && k < 3; k++) {
        columns.n = 0;
        rc = columns_of(&columns, c, runs, n, kinds[k], err);
        for (size_t i = 0; rc == 0 && i < columns.n; i++)
            if (wr_vec_push(&all, columns.at[i]) < 0) rc = wr_err_nomem(err);
    }
    if (rc == 0 && wr_cli_json(c)) print_json(c, runs, n, &all);
    else if (rc == 0) {
        const char *h[RUNS_MAX + 1] = {0};
        for (size_t i = 0; i < n; i++) h[i] = wr_arena_printf(wr_cli_arena(c), "%.*s", ID_SHOWN, runs[i].uuid.p);
        h[n] = "";
        wr_table *t = wr_table_new(c, "", h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7], h[8], NULL);
        wr_table_cell(t, "name");
        for (size_t i = 0; i < n; i++) wr_table_cell(t, "%.40s", runs[i].name.p);
        wr_table_cell(t, "%s", "");
        print_rows(c, t, runs, n, &all, wr_cli_flag(c, "all"));
        wr_table_print(t);
    }
    wr_vec_fini(&columns);
    wr_vec_fini(&all);
    return rc;
}

static const wr_cmd_arg args[] = {{"all", 'a', WR_ARG_FLAG, NULL, "rows that are the same everywhere too", NULL}};

const wr_cmd wr_cmd_runs_compare = {"runs compare",
                                    "show where runs differ: metrics, params, tags",
                                    "ID ID...",
                                    2,
                                    -1,
                                    args,
                                    1,
                                    "Rows that differ have a star; the others are left out unless --all asks for them.",
                                    "  # two runs\n  weir runs compare 3f9a 81bc",
                                    run};
