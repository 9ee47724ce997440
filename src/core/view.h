/* SPDX-License-Identifier: Apache-2.0 */
/* view.h - a feature view: how each feature is computed from a row, the same code in training, evaluation and serving.
 *
 *   name: flights_features            # the dataset that `weir feature build` writes
 *   source: flights_clean             # dataset of entity rows
 *   time: date                        # column: when the prediction is made
 *   keep: [delay]                     # more columns to carry along, not features
 *   label: {name: late, of: delay, above: 15}
 *   known_at: "date + ..."            # SQL over the source: when the label becomes known
 *   events:                           # what the aggregates are made of, and when each is known
 *     source: flights_clean
 *     time: "date + ..."              # SQL
 *     values: {delay: {of: delay, clip: [-60, 240]}, late: {of: delay, above: 15}}
 *   features:
 *     - {name: minute, op: minute_of_day, of: date}
 *     - {name: origin, op: category, of: origin}
 *     - {name: origin_delay_3h, op: mean, of: delay, key: origin, over: 3h}
 *     - {name: inbound_late_3h, op: mean, of: late, key: origin, event_key: destination, over: 3h}
 *     - {name: all_delay_3h, op: mean, of: delay, over: 3h}
 *   lookup:                           # columns of the row that are found by key, as known at its time; not in `source`
 *     - {source: planes, time: since, key: tail, columns: [seats, maker], ttl: 365d}
 *     - {source: airports, time: since, key: origin, source_key: code, columns: {origin_runways: runways}}
 *
 * Row operations (of: a column): number, category, minute_of_day, hour, weekday (Monday 0), day_of_year, month. Aggregates (of: an
 * event value): mean, sum, count, share over the window (t - over, t] of events whose time is <= t, for the row's key (a column or
 * a list; no key = all events). Missing input gives a missing feature (NaN); an empty window too, but count gives 0.
 * Every feature is a float, except categories, which are text here and become codes by the package's dictionary.
 *
 * A looked-up column is one that features read (`of`, `key`) or a later lookup's key, of the source's row with the row's key that is known last at the
 * row's time (of equal times the last of the dataset), if that is no older than ttl; else it is missing. Building a training table joins them in
 * (core/view_source.h), the server has them in a table (core/lookup.h): the same search in both. What a request brings itself goes first.
 *
 * share is the mean of a value with `above`; count without `of` counts every event. An event value that is not finite, or beyond
 * 2^53 in size, is missing (clip and above make infinite values finite). Times are read as UTC. Training (wr_view_compute) and serving
 * (wr_online_row) give equal floats for event values that are whole numbers, else to 1e-9 of the sums.
 */
#pragma once
#include "base/pool.h"
#include "calc/frame.h"
#include "calc/window.h"
#include "codec/json.h"
#include "codec/yaml.h"
#include "core/project.h"

enum { WR_VIEW_KEYS = 4, WR_VIEW_FEATURES = 2000, WR_VIEW_GROUPS = 64, WR_VIEW_VALUES = 255, WR_VIEW_LOOKUPS = 16, WR_VIEW_LOOKED_UP = 200 };

typedef struct wr_view_op wr_view_op; /* name, summary, kind, function: the list is in view_ops.c */
typedef struct {
    char *name;
    const wr_view_op *op;
    char *of;                       /* row column, or event value of an aggregate */
    int value;                      /* aggregate: index into values; -1 = every event (count without `of`) */
    int group;                      /* aggregate: index into groups */
    int slot;                       /* aggregate: where the group keeps the value */
    char *key[WR_VIEW_KEYS]; int nkey; /* aggregate: columns of the row */
    int64_t over_us;
    bool category;
} wr_view_feature;
typedef struct { char *name, *of; bool has_above; double above; bool has_clip; double clip_lo, clip_hi; } wr_view_value;
/* events indexed by these columns of the event; value: what is summed, as in wr_view_feature */
typedef struct { char *key[WR_VIEW_KEYS]; int nkey; int64_t horizon_us; int *value; int nvalue; } wr_view_group;

/* rows of an entity; at: where in the request the columns are, key_at: the keys */
typedef struct {
    char *source, *time;            /* dataset; SQL over it: when a row is known */
    char *key[WR_VIEW_KEYS], *source_key[WR_VIEW_KEYS]; int nkey; uint32_t key_at[WR_VIEW_KEYS];
    char **column, **of; uint32_t *at; size_t ncolumns; /* of: as the source calls them */
    int64_t ttl_us;                 /* 0 = for ever */
} wr_view_lookup;

typedef struct wr_view {
    char *name, *source, *time;
    char *known_at, *label;         /* NULL when absent */
    wr_view_value label_of;         /* label_of.of "" = no label */
    char **keep; size_t nkeep;
    char *event_source, *event_time; /* NULL when there are no events */
    wr_view_value *values; size_t nvalues;
    wr_view_group *groups; size_t ngroups;
    wr_view_feature *features; size_t nfeatures;
    char **request; wr_type *request_type; size_t nrequest; /* row columns needed: time, of, keys; type TS, F64 or TEXT */
    wr_view_lookup *lookups; size_t nlookups;
    bool *looked_up;                /* by request column */
    /* columns an event must bring: first the keys (TEXT), then `of` of the values (F64) */
    char **event_columns; wr_type *event_type; size_t nevent_columns;
    char hash[65];                  /* SHA-256 of the canonical JSON */
} wr_view;

/* From YAML; everything in `a`. Errors at file:line:column, unknown keys and ops with did-you-mean. */
int wr_view_parse(wr_view **out, wr_arena *a, const wr_yaml *y, wr_err *err);
int wr_view_load(wr_view **out, wr_arena *a, const char *path, wr_err *err);
/* Canonical JSON (kept in packages) and back. */
void wr_view_json(wr_buf *out, const wr_view *v);
int wr_view_from_json(wr_view **out, wr_arena *a, yyjson_val *j, wr_err *err);

/* The value of an event (or a label) from the number in its column: clipped, or 1 / 0 for above / not above; NaN = missing. */
double wr_view_value_of(const wr_view_value *value, double x);

/* Batch: `rows` has the request columns (TS, F64, TEXT), `events` has `_time` (TS), the key columns (TEXT) and value columns (F64).
 * Adds one column per feature to `out` (F32, or TEXT for categories), nrows rows; `out` is another frame, without columns or of as many
 * rows. Number and value columns may be of any numeric type; `events` may be NULL when the view has no aggregates; an event without a time is
 * never known. After a failure `out` may have some of the columns. */
int wr_view_compute(wr_frame *out, const wr_view *v, const wr_frame *rows, const wr_frame *events, wr_pool *pool, wr_err *err);

/* Online state: one wr_window per group. Not locked; `v` must outlive it. Events are kept for an hour longer than the longest window, so
 * a row may be asked for up to an hour before the newest event and still see what training saw. */
typedef struct wr_online wr_online;
int wr_online_new(wr_online **out, const wr_view *v, wr_err *err);
void wr_online_free(wr_online *o);
/* An event: its time and the event columns in order of v->event_columns (numbers as text are not accepted: num for values, text for keys). */
typedef struct { double num; wr_str text; int64_t ts; bool missing; } wr_cell;
/* After a failure (WEIR_ENOMEM, WEIR_ELIMIT) some groups may have the event. */
int wr_online_add(wr_online *o, int64_t time_us, const wr_cell *event, wr_err *err);
/* One row: cells in order of v->request. Writes nfeatures floats; text of categories to `text` (nfeatures slots, slices of the cells). */
void wr_online_row(const wr_online *o, const wr_cell *request, float *num, wr_str *text);
int wr_online_save(const wr_online *o, wr_buf *out, wr_err *err);
int wr_online_load(wr_online **out, const wr_view *v, wr_str bytes, wr_err *err); /* WEIR_ECONFLICT if of another view */
int64_t wr_online_newest(const wr_online *o);
