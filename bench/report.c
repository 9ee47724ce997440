/* SPDX-License-Identifier: Apache-2.0 */
/* report.c - the entries of all runs as one table and one JSON array. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "bench.h"
#include "codec/json.h"
#include "io/file.h"

enum { ENTRIES = 64, RUNS = 64, FILE_MAX = 1 << 20 };

typedef struct {
    wr_str name, unit, peer, how, skipped;
    bool more;
    double ours[RUNS], theirs[RUNS];
    size_t n;
} row;

typedef struct {
    row rows[ENTRIES];
    size_t n;
    wr_json docs[ENTRIES * RUNS]; /* own the texts that rows point into */
    size_t ndocs;
} table;

static row *row_of(table *t, wr_str name)
{
    for (size_t i = 0; i < t->n; i++) {
        if (wr_str_eq(t->rows[i].name, name)) return &t->rows[i];
    }
    if (t->n == ENTRIES) return NULL;
    t->rows[t->n].name = name;
    return &t->rows[t->n++];
}

static int add_entry(table *t, yyjson_val *e, wr_err *err)
{
    wr_str name;
    double ratio;
    WR_TRY(wr_json_str(&name, e, "name", err));
    row *r = row_of(t, name);
    if (!r || r->n == RUNS) return wr_err_set(err, WEIR_ELIMIT, "too many entries or runs");
    WR_TRY(wr_json_str_or(&r->skipped, e, "skipped", NULL, err));
    if (r->skipped.p) return 0;
    WR_TRY(wr_json_str(&r->unit, e, "unit", err));
    WR_TRY(wr_json_str(&r->peer, e, "peer", err));
    WR_TRY(wr_json_str(&r->how, e, "how", err));
    WR_TRY(wr_json_f64(&r->ours[r->n], e, "ours", err));
    WR_TRY(wr_json_f64(&r->theirs[r->n], e, "theirs", err));
    WR_TRY(wr_json_f64(&ratio, e, "ratio", err));
    /* Which way is better is in the ratio; it is worked out again from the medians. */
    r->more = fabs(ratio - r->ours[r->n] / r->theirs[r->n]) < fabs(ratio - r->theirs[r->n] / r->ours[r->n]);
    r->n++;
    return 0;
}

/* A text is one array of entries, or an entry a line. */
static int add_text(table *t, wr_str text, const char *path, wr_err *err)
{
    if (t->ndocs == ENTRIES * RUNS) return wr_err_set(err, WEIR_ELIMIT, "too many entries");
    wr_json *j = &t->docs[t->ndocs++];
    WR_TRY(wr_json_parse(j, text, path, err));
    if (yyjson_is_obj(j->root)) return add_entry(t, j->root, err);
    size_t i, n;
    yyjson_val *e;
    yyjson_arr_foreach(j->root, i, n, e) WR_TRY(add_entry(t, e, err));
    return 0;
}

static int add_file(table *t, const char *path, wr_err *err)
{
    WR_AUTOBUF wr_buf text = {0};
    WR_TRY(wr_file_read(&text, path, FILE_MAX, err));
    wr_str rest = wr_str_trim(wr_buf_view(&text));
    if (wr_str_starts(rest, "[")) return add_text(t, rest, path, err);
    while (rest.p && rest.n) {
        wr_str line = wr_str_trim(wr_str_cut(&rest, '\n'));
        if (line.n) WR_TRY(add_text(t, line, path, err));
    }
    return 0;
}

static double ratio_of(const row *r, double ours, double theirs) { return r->more ? ours / theirs : theirs / ours; }

static void write_row(wr_jsonw *w, row *r)
{
    double ours = wr_bench_median(r->ours, r->n), theirs = wr_bench_median(r->theirs, r->n);
    if (r->n == 0) {
        printf("%-42s skipped: %.*s\n", r->name.p, WR_STR_FMT(r->skipped));
        return;
    }
    printf("%-42s %-8s %12.5g %12.5g %7.2fx  %s\n", r->name.p, r->unit.p, ours, theirs, ratio_of(r, ours, theirs),
           r->peer.p);
    wr_jsonw_obj(w);
    wr_jsonw_kslice(w, "name", r->name);
    wr_jsonw_kslice(w, "unit", r->unit);
    wr_jsonw_kf64(w, "ours", ours);
    wr_jsonw_kslice(w, "peer", r->peer);
    wr_jsonw_kf64(w, "theirs", theirs);
    wr_jsonw_kf64(w, "ratio", ratio_of(r, ours, theirs));
    wr_jsonw_kslice(w, "how", r->how);
    wr_jsonw_end(w);
}

static int report(table *t, const char *path, char *const *files, int n, wr_err *err)
{
    WR_AUTOBUF wr_buf out = {0};
    wr_jsonw w;
    for (int i = 0; i < n; i++) WR_TRY(add_file(t, files[i], err));
    wr_buf_init(&out, 0);
    wr_jsonw_init(&w, &out, 2);
    printf("%-42s %-8s %12s %12s %8s  %s\n", "NAME", "UNIT", "OURS", "THEIRS", "RATIO", "PEER");
    wr_jsonw_arr(&w);
    for (size_t i = 0; i < t->n; i++) write_row(&w, &t->rows[i]);
    wr_jsonw_end(&w);
    wr_buf_char(&out, '\n');
    if (out.failed) return wr_err_set(err, WEIR_ENOMEM, "out of memory");
    return wr_file_write(path, wr_buf_view(&out), err);
}

int wr_bench_report(const char *path, char *const *files, int n)
{
    wr_err err = {0};
    table *t = wr_calloc(1, sizeof *t);
    int rc = t ? report(t, path, files, n, &err) : wr_err_set(&err, WEIR_ENOMEM, "out of memory");
    if (rc < 0) (void)fprintf(stderr, "weir_bench: report: %s %s\n", err.msg, err.detail);
    for (size_t i = 0; t && i < t->ndocs; i++) wr_json_free(&t->docs[i]);
    wr_free(t);
    return rc;
}
