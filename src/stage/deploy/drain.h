/* SPDX-License-Identifier: Apache-2.0 */
/* drain.h - from the append log into the lake: sealed segments become rows of datasets, then they are deleted.
 *
 *   predictions.ENDPOINT  prediction_id VARCHAR, model VARCHAR, version BIGINT, served_at, event_time TIMESTAMPTZ, score, joules DOUBLE, then the
 *                         view's request columns and features; a name that is both appears once, as the feature
 *                         of a model without a view: prediction_id, model, version, served_at, latency_us DOUBLE, joules DOUBLE, arm VARCHAR,
 *                         propensity DOUBLE, then its inputs and outputs (layout.h)
 *   labels.ENDPOINT       prediction_id VARCHAR, label DOUBLE, known_at, received_at TIMESTAMPTZ; label_text VARCHAR once a class was told by name
 *   rewards.ENDPOINT      prediction_id VARCHAR, reward DOUBLE, known_at, received_at TIMESTAMPTZ
 *   decisions.ENDPOINT    prediction_id, arm, answered_by VARCHAR, version BIGINT, propensity, seconds DOUBLE, decided_at TIMESTAMPTZ: of rollouts
 *   events.VIEW           _time TIMESTAMPTZ, the view's event columns
 *
 * A view's column that has the name of one of the first columns is kept as NAME_ (wr_drain_column).
 *
 * Order, and why a crash between any two steps neither loses nor doubles a row:
 *   1. seal the newest segment and copy the online states, both under the serve gate
 *   2. for each sealed segment, oldest first: one commit a dataset, as transaction ("weir-log-DATASET", segment number); a
 *      transaction that is there already is skipped
 *   3. save the states, tagged with the newest sealed segment: a start adds events of later segments only; likewise which arms of rollouts
 *      answered what (rollout_memory.c)
 *   4. delete the sealed segments
 * Step 2 repeats freely, step 3 is atomic a view, step 4 leaves nothing that is needed.
 *
 * Rows with fewer columns than the dataset has get NULL there. When new columns come (another version of the view, another model), the
 * dataset is written anew as the union of both by name.
 * Runs on any thread that may wait; one at a time. Requests wait for step 1 only.
 */
#pragma once
#include "io/meter.h"
#include "stage/deploy/layout.h"
#include "stage/deploy/serve.h"

typedef struct { uint64_t segments, predictions, labels, events; } wr_drained;

/* Does nothing when nothing was logged. */
int wr_serve_drain(wr_drained *out, wr_serve *s, wr_err *err);
/* How a view's column is called in predictions.ENDPOINT; text in `a`. */
const char *wr_drain_column(wr_arena *a, const char *name);

/* Columns of a record's tensors there, behind the fixed ones. */
int wr_drain_layout(wr_layout *out, wr_arena *a, const wr_predlog_tensors *r, const char *const *features, size_t nfeatures, wr_err *err);

/* A row of the footprint ledger for each endpoint: the process's CPU time since the last row, shared by predictions. Nothing is
 * written, and the time goes on counting, while there are none; unless `last`. */
int wr_serve_footprint(wr_serve *s, bool last, wr_err *err);
/* Once a second: what a second of work takes now. `joules` of a logged prediction is the time it took times that, by the window before it (NULL
 * before the first). A window's energy is that of the process (active and its share of idle, by CPU time, without GPUs), divided by its CPU time or by
 * what its requests took, whichever is more; so the predictions of a window never add up to more than the process used. */
void wr_serve_energy_tick(wr_serve *s);
/* Tier, source and uncertainty of the last window; false: there was none yet. */
bool wr_serve_energy_method(wr_energy *out, wr_serve *s);
/* Reads the energy counters so that they do not wrap; joules of this process since the start. */
double wr_serve_energy(wr_serve *s);
