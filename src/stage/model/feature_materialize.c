/* SPDX-License-Identifier: Apache-2.0 */
/* feature_materialize.c - the online state of a view as of a moment, from the lake. */
#include "base/clock.h"
#include "base/limits.h"
#include "core/lookup.h"
#include "core/noun.h"
#include "core/view_source.h"
#include "io/file.h"
#include "stage/model/feature.h"

/* Cell `j` of event `i`: column j of the view's event columns. */
static wr_cell cell(const wr_col *c, size_t i)
{
    wr_cell out = {.missing = wr_col_missing(c, i)};
    if (out.missing) return out;
    if (c->type == WR_TEXT) out.text = wr_col_text(c, i);
    else out.num = wr_col_num(c, i);
    return out;
}

static int feed(wr_online *o, const wr_view *v, const wr_frame *events, wr_err *err)
{
    wr_cell cells[64];
    wr_col *time, *cols[64];
    if (v->nevent_columns > 64)
        return wr_err_set(err, WEIR_ELIMIT, "view \"%s\" has more than 64 event columns", v->name);
    WR_TRY(wr_frame_need(&time, events, "_time", WR_TS, err));
    for (size_t j = 0; j < v->nevent_columns; j++)
        WR_TRY(wr_frame_need(&cols[j], events, v->event_columns[j], -1, err));
    for (size_t i = 0; i < events->nrows; i++) {
        if (wr_col_missing(time, i)) continue;
        for (size_t j = 0; j < v->nevent_columns; j++) cells[j] = cell(cols[j], i);
        WR_TRY(wr_online_add(o, time->i64[i], cells, err));
    }
    return 0;
}

static int64_t longest_window(const wr_view *v)
{
    int64_t longest = 0;
    for (size_t i = 0; i < v->ngroups; i++)
        if (v->groups[i].horizon_us > longest) longest = v->groups[i].horizon_us;
    return longest;
}

static int read_events(wr_frame **out, wr_project *p, const wr_view *v, int64_t until_us, wr_run *run, wr_err *err)
{
    char lo[WR_TIME_TEXT], hi[WR_TIME_TEXT];
    WR_AUTOBUF wr_buf where;
    wr_tables *t;
    wr_buf_init(&where, 0);
    wr_time_format(lo, until_us - longest_window(v) - 3600 * WR_US);
    wr_time_format(hi, until_us);
    lo[strcspn(lo, "Z")] = hi[strcspn(hi, "Z")] = 0;
    wr_buf_printf(&where, "CAST((%s) AS TIMESTAMP) > TIMESTAMP '%s' AND CAST((%s) AS TIMESTAMP) <= TIMESTAMP '%s'",
                  v->event_time, lo, v->event_time, hi);
    if (where.failed) return wr_err_nomem(err);
    WR_TRY(wr_project_tables(&t, p, NULL, err));
    int rc = wr_view_events(out, v, p, t, wr_buf_cstr(&where), run, err);
    wr_tables_close(t);
    return rc;
}

static int write_state(wr_feature_snapshot *out, wr_project *p, const wr_view *v, int64_t until_us, wr_run *run,
                       wr_err *err)
{
    WR_AUTOFRAME wr_frame *events = NULL;
    WR_AUTOBUF wr_buf bytes;
    wr_online *o;
    wr_buf_init(&bytes, 0);
    WR_TRY(wr_online_new(&o, v, err));
    int rc = v->event_source ? read_events(&events, p, v, until_us, run, err) : 0;
    if (rc == 0 && events) rc = feed(o, v, events, err);
    if (rc == 0) rc = wr_online_save(o, &bytes, err);
    if (rc == 0) rc = wr_noun_online_path(&out->path, p, v->name, err);
    if (rc == 0) rc = wr_file_write(out->path, wr_buf_view(&bytes), err);
    out->events = events ? events->nrows : 0;
    out->newest_us = wr_online_newest(o);
    out->bytes = bytes.n;
    wr_online_free(o);
    return rc;
}

static int read_lookups(wr_frame **rows, wr_project *p, const wr_view *v, wr_run *run, wr_err *err)
{
    wr_tables *t;
    int rc = 0;
    WR_TRY(wr_project_tables(&t, p, NULL, err));
    for (size_t i = 0; i < v->nlookups && rc == 0; i++) rc = wr_view_lookup_rows(&rows[i], v, i, p, t, run, err);
    wr_tables_close(t);
    return rc;
}

/* Opened before it is written: what a server would refuse does not get there. */
static int write_lookups(wr_feature_snapshot *out, wr_project *p, const wr_view *v, int64_t until_us, wr_run *run,
                         wr_err *err)
{
    wr_frame *rows[WR_VIEW_LOOKUPS] = {0};
    WR_AUTOBUF wr_buf bytes;
    wr_buf copy;
    wr_lookup *l = NULL;
    wr_lookup_info info = {0};
    const char *path;
    wr_buf_init(&bytes, WR_LIMIT_LOOKUP_FILE);
    wr_buf_init(&copy, WR_LIMIT_LOOKUP_FILE);
    int rc = read_lookups(rows, p, v, run, err);
    if (rc == 0) rc = wr_lookup_make(&bytes, v, rows, until_us, false, err);
    for (size_t i = 0; i < v->nlookups; i++) wr_frame_free(rows[i]);
    if (rc < 0 && bytes.n > bytes.max / 2)
        return wr_err_set(err, WEIR_ELIMIT, "the lookup tables of view \"%s\" are larger than %d MiB", v->name,
                          WR_LIMIT_LOOKUP_FILE >> 20);
    WR_TRY(rc);
    wr_buf_slice(&copy, wr_buf_view(&bytes));
    WR_TRY(wr_lookup_open(&l, v, &copy, err));
    wr_lookup_info_of(&info, l);
    wr_lookup_free(l);
    WR_TRY(wr_noun_lookup_path(&path, p, v->name, err));
    WR_TRY(wr_file_write(path, wr_buf_view(&bytes), err));
    out->entities = info.entities;
    out->rows = info.rows;
    out->bytes += bytes.n;
    return 0;
}

int wr_feature_materialize(wr_feature_snapshot *out, wr_project *p, const wr_view *v, int64_t until_us,
                           bool lookups_alone, wr_run *run, wr_err *err)
{
    wr_node view = wr_view_node(v);
    memset(out, 0, sizeof *out);
    wr_run_input(run, &view);
    if (lookups_alone && !v->nlookups) return wr_err_set(err, WEIR_EINVAL, "view \"%s\" looks nothing up", v->name);
    if (v->nlookups) WR_TRY(write_lookups(out, p, v, until_us, run, err));
    if (!lookups_alone) WR_TRY(write_state(out, p, v, until_us, run, err));
    wr_run_units(run, (double)(out->events + out->rows), "rows");
    return 0;
}
