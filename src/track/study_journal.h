/* SPDX-License-Identifier: Apache-2.0 */
/* study_journal.h - the journal file of Optuna (optuna.storages.journal.JournalFileBackend of Optuna 3.1 to 5.0): read into the store,
 * and written so that Optuna's JournalStorage opens it.
 *
 * A journal is one JSON object a line, in eleven kinds; ids count from 0 in order of creation. As for Optuna, a line that could not
 * be done (a trial that has finished, a study that is gone, a distribution that does not fit) has no effect, and half a line at the end
 * was not written. Not text, not JSON, no known kind: WEIR_EPARSE with the line's number. */
#pragma once
#include "track/study.h"

enum { WR_STUDY_JOURNAL_MAX = 1 << 30 };

typedef struct {
    int64_t lines, studies, trials, ignored; /* what was made; lines without effect */
} wr_journal_counts;

/* Not in a write: it writes in steps. A study whose name the store has already: WEIR_EEXIST. When it fails, nothing of it stays. */
int wr_study_import(wr_journal_counts *out, wr_track *t, wr_str journal, const char *name, wr_err *err);
/* Appends the journal of some studies; a trial is one line. */
int wr_study_export(wr_buf *out, wr_track *t, const int64_t *studies, size_t n, wr_err *err);
