/* SPDX-License-Identifier: Apache-2.0 */
/* drain.h - from the append log into the lake: sealed segments become rows of datasets, then they are deleted.
 *
 * Which datasets, and what their columns are: stage/predlog/tables.h.
 *
 * Order, and why a crash between any two steps neither loses nor doubles a row:
 *   1. seal the newest segment and copy the online states, both under the serve gate
 *   2. for each sealed segment, oldest first: one commit a dataset, as transaction ("weir-log-DATASET", segment number); a
 *      transaction that is there already is skipped
 *   3. save the states, tagged with the newest sealed segment: a start adds events of later segments only; likewise which arms of rollouts
 *      answered what (stage/rollout/memory.c)
 *   4. delete the sealed segments
 * Step 2 repeats freely, step 3 is atomic a view, step 4 leaves nothing that is needed.
 *
 * Rows with fewer columns than the dataset has get NULL there. When new columns come (another version of the view, another model), the
 * dataset is written anew as the union of both by name.
 * Runs on any thread that may wait; one at a time. Requests wait for step 1 only.
 */
#pragma once
#include "io/meter.h"
#include "stage/deploy/serve.h"

typedef struct { uint64_t segments, predictions, labels, events; } wr_drained;

/* Does nothing when nothing was logged. */
int wr_serve_drain(wr_drained *out, wr_serve *s, wr_err *err);

/* A row of the footprint ledger for each version that answered at an endpoint, its own or an arm's: the process's CPU time since the last rows,
 * shared by predictions. Nothing is written, and the time goes on counting, while there are none; unless `last`. */
int wr_serve_footprint(wr_serve *s, bool last, wr_err *err);
/* Once a second: what a second of work takes now. `joules` of a logged prediction is the time it took times that, by the window before it (NULL
 * before the first). A window's energy is that of the process (active and its share of idle, by CPU time, without GPUs), divided by its CPU time or by
 * what its requests took, whichever is more; so the predictions of a window never add up to more than the process used. */
void wr_serve_energy_tick(wr_serve *s);
/* Tier, source and uncertainty of the last window; false: there was none yet. */
bool wr_serve_energy_method(wr_energy *out, wr_serve *s);
/* Reads the energy counters so that they do not wrap; joules of this process since the start. */
double wr_serve_energy(wr_serve *s);
