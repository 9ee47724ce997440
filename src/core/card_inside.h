/* SPDX-License-Identifier: Apache-2.0 */
/* card_inside.h - what the files of the model card share: card.c, card_text.c, card_front.c, card_facts.c, card_energy.c. Private to them. */
#pragma once
#include "core/card.h"
#include "core/lineage.h"

/* Of a package's metrics: is it energy, carbon or time, which are no quality? */
bool wr_card_is_footprint(wr_str key);
/* YAML between two lines of "---", and an empty line. */
void wr_card_front(wr_buf *out, const wr_card *c);
/* Of all activities but inference: what making the model took. */
void wr_card_sum_energy(wr_card_energy *total, const wr_card *c);
/* The ledger's rows of the runs among `steps`, and of `run` (may be NULL). */
int wr_card_energy_of_runs(wr_card *c, wr_arena *a, wr_project *p, const wr_lineage_step *steps, size_t nsteps, const char *run, wr_err *err);
