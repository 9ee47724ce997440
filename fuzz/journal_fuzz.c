/* SPDX-License-Identifier: Apache-2.0 */
/* journal_fuzz.c - any bytes as a journal of Optuna. What fails leaves nothing behind; what is imported is exported,
 * imported again under the eyes of an empty store, and exported to the same bytes. The store is a file that is empty
 * again after each input. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "io/file.h"
#include "track/schema.h"
#include "track/study_journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static wr_track *journal_store;
static char journal_dir[64];

static void journal_require(bool ok)
{
    if (!ok) abort();
}

static void journal_close(void)
{
    wr_db *db = wr_track_db(journal_store);
    wr_track_close(journal_store);
    wr_db_close(db);
    wr_file_remove_tree(journal_dir, NULL);
}

static void journal_open(void)
{
    char path[96];
    wr_db *db;
    wr_db_opt opt = {.migrations = wr_track_migrations, .n = wr_track_migrations_count};
    snprintf(journal_dir, sizeof journal_dir, "/tmp/weir-journal-XXXXXX");
    journal_require(mkdtemp(journal_dir) != NULL);
    snprintf(path, sizeof path, "%s/records.db", journal_dir);
    journal_require(wr_db_open(&db, path, &opt, NULL) == 0);
    journal_require(wr_track_open(&journal_store, db, &(wr_track_opt){0}, NULL) == 0);
    atexit(journal_close);
}

static int journal_empty(wr_track *t, void *arg, wr_err *err)
{
    wr_study *all;
    size_t n;
    WR_TRY(wr_study_all(&all, &n, arg, t, err));
    for (size_t i = 0; i < n; i++) WR_TRY(wr_study_delete(t, all[i].id, err));
    return 0;
}

/* Exports all and empties the store. */
static void journal_take(wr_buf *out)
{
    wr_arena *a = wr_arena_new(0);
    wr_study *all;
    size_t n;
    int64_t ids[64];
    journal_require(wr_study_all(&all, &n, a, journal_store, NULL) == 0);
    if (n > 64) n = 64;
    for (size_t i = 0; i < n; i++) ids[i] = all[i].id;
    journal_require(wr_study_export(out, journal_store, ids, n, NULL) == 0);
    journal_require(wr_track_write(journal_store, journal_empty, a, NULL) == 0);
    wr_arena_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    WR_AUTOBUF wr_buf once = {0}, twice = {0};
    wr_journal_counts n;
    wr_err err = {0};
    if (!journal_store) journal_open();
    int rc = wr_study_import(&n, journal_store, (wr_str){(const char *)data, size}, "input", &err);
    journal_require(rc == 0 || err.msg[0]);
    journal_take(&once);
    if (rc < 0) {
        journal_require(once.n == 0);
        return 0;
    }
    rc = wr_study_import(&n, journal_store, wr_buf_view(&once), "export", &err);
    if (rc < 0) fprintf(stderr, "%s\n%.*s", err.msg, (int)once.n, wr_buf_cstr(&once));
    journal_require(rc == 0 && n.ignored == 0);
    journal_take(&twice);
    journal_require(wr_str_eq(wr_buf_view(&once), wr_buf_view(&twice)));
    return 0;
}
