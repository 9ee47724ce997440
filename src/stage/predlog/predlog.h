/* SPDX-License-Identifier: Apache-2.0 */
/* predlog.h - what serving writes into the append log (.weir/log): predictions, labels and feature events as records.
 *
 * A record is the payload of one log record; its type is one of wr_predlog_type. All numbers are little-endian.
 *
 *   str    u32 length, bytes
 *   cell   u8 kind: 0 missing | 1 f64 | 2 i64 microseconds | 3 str | 4 f32
 *   prediction (1)  str endpoint, str model, i64 version, u64 view, str id, i64 served_at, i64 event_time, f64 score,
 *                   u16 n, n request cells in the order of the view's request, u16 m, m feature cells in the order of its features,
 *                   f64 joules (not there in records of older versions)
 *   label (2)       str endpoint, str id, f64 label, i64 known_at, i64 received_at
 *   tensors (5)     str endpoint, str model, i64 version, u64 layout, str id, i64 served_at, f64 seconds it took, f64 joules, str arm,
 *                   f64 propensity, u32 rows, u32 number of the first, u32 rows of the request, u8 whether tensors have the rows in front,
 *                   u16 n, n tensors: u8 output, str name, u8 type, u8 dimensions, i64 each, data (BYTES: str; u32 2^32-1 = missing)
 *   feedback (6)    str endpoint, str id, u8 reward, u8 kind: 1 f64 | 3 str, value, i64 known_at, i64 received_at
 *   event (3)       str view, u64 view, i64 time, i64 received_at, u16 n, n cells in the order of the view's event columns
 *
 *   decision (8)    str endpoint, str id, str arm, str arm that answered, i64 version, f64 propensity, f64 seconds, i64 decided_at
 *
 * The u64 `view` is the first 16 hex digits of the view's hash; the view itself is kept as canonical JSON in .weir/log/views/DIGITS.json
 * from before the first record names it, so a segment can be read whatever weir.yaml says by then. A missing time is INT64_MIN.
 * The u64 `layout` is of names, types and shapes of a row (keep.h): records of one layout have the same columns.
 *
 * Decoding trusts nothing: lengths, counts and kinds are checked, and bytes left over are an error (WEIR_ECORRUPT). Slices point into
 * the payload. No locks, no allocation but the buffer's and the arena's.
 */
#pragma once
#include <stdint.h>
#include "base/arena.h"
#include "base/str.h"
#include "codec/tensor.h"
#include "core/view.h"

typedef enum {
    WR_PREDLOG_PREDICTION = 1,
    WR_PREDLOG_LABEL = 2,
    WR_PREDLOG_EVENT = 3,
    WR_PREDLOG_TENSORS = 5,
    WR_PREDLOG_FEEDBACK = 6,
    WR_PREDLOG_DECISION = 8
} wr_predlog_type;

#define WR_PREDLOG_NO_TIME INT64_MIN

typedef struct {
    wr_str endpoint, model, id;
    int64_t version, served_us, event_us;
    uint64_t view;
    double score, joules;           /* joules: NaN = not known */
    size_t nrequest, nfeatures;
    const wr_cell *request;
    const float *num;               /* features; NaN = missing */
    const wr_str *text;             /* categories; p NULL = missing */
} wr_predlog_prediction;
/* Which arm of a rollout was picked for a prediction, with what probability; `answered` is another one where that arm could not. */
typedef struct { wr_str endpoint, id, arm, answered; int64_t version, decided_us; double propensity, took_s; } wr_predlog_decision;
typedef struct { wr_str endpoint, id; double label; int64_t known_us, received_us; } wr_predlog_label;
typedef struct { wr_str view_name; uint64_t view; int64_t time_us, received_us; size_t ncells; const wr_cell *cells; } wr_predlog_event;

/* Predictions of a model without a view: rows [first, first + rows) of a request of `total`. */
enum { WR_PREDLOG_TENSORS_MAX = 4096 };
typedef struct {
    wr_str endpoint, model, id, arm; /* id: of the request; arm "" = there is no rollout */
    int64_t version, served_us;
    uint64_t layout;
    double took_s, joules, propensity; /* NaN = not known */
    uint32_t rows, first, total;
    bool rowwise;                   /* first dimension of each tensor is `rows`; else rows is 1 */
    const wr_tensor *in, *out;      /* with the rows of the record alone when read; put takes the request's and `first` */
    size_t nin, nout;
} wr_predlog_tensors;
typedef struct {
    wr_str endpoint, id, text;      /* text: a class by name; p NULL = a number */
    bool reward;
    double value;
    int64_t known_us, received_us;
} wr_predlog_feedback;

/* The u64 of a view's hash. */
uint64_t wr_predlog_view_id(const wr_view *v);

/* Append to `out`; check out->failed. Kinds of cells come from the view's types. */
void wr_predlog_put_prediction(wr_buf *out, const wr_predlog_prediction *r, const wr_view *v);
void wr_predlog_put_decision(wr_buf *out, const wr_predlog_decision *r);
void wr_predlog_put_label(wr_buf *out, const wr_predlog_label *r);
void wr_predlog_put_event(wr_buf *out, const wr_predlog_event *r, const wr_view *v);
/* in and out: of the whole request; the rows that first and rows name are put. */
void wr_predlog_put_tensors(wr_buf *out, const wr_predlog_tensors *r);
void wr_predlog_put_feedback(wr_buf *out, const wr_predlog_feedback *r);

/* Cells, numbers and texts of the result are in `a`. */
int wr_predlog_get_prediction(wr_predlog_prediction *out, wr_arena *a, wr_str payload, wr_err *err);
int wr_predlog_get_decision(wr_predlog_decision *out, wr_str payload, wr_err *err);
int wr_predlog_get_label(wr_predlog_label *out, wr_str payload, wr_err *err);
int wr_predlog_get_event(wr_predlog_event *out, wr_arena *a, wr_str payload, wr_err *err);
int wr_predlog_get_tensors(wr_predlog_tensors *out, wr_arena *a, wr_str payload, wr_err *err);
int wr_predlog_get_feedback(wr_predlog_feedback *out, wr_str payload, wr_err *err);
/* The name a record is kept under (endpoint or view) and its view id (0 for labels and feedback), or its layout, without decoding the rest. */
int wr_predlog_peek(wr_str *name, uint64_t *view, uint32_t type, wr_str payload, wr_err *err);
