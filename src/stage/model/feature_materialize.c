/* SPDX-License-Identifier: Apache-2.0 */
/* feature_materialize.c - the online state of a view as of a moment, from the lake. */
#include "base/clock.h"
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

int wr_feature_materialize(wr_feature_snapshot *out, wr_project *p, const wr_view *v, int64_t until_us, wr_run *run,
                           wr_err *err)
{
    WR_AUTOFRAME wr_frame *events = NULL;
    WR_AUTOBUF wr_buf bytes;
    wr_online *o;
    wr_node view = wr_view_node(v);
    wr_buf_init(&bytes, 0);
    memset(out, 0, sizeof *out);
    wr_run_input(run, &view);
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
    wr_run_units(run, (double)out->events, "rows");
    return rc;
}
