/* SPDX-License-Identifier: Apache-2.0 */
/* study.h - the feasibility study: may this model run there? Twenty checks, each pass, warn, fail or skip with what was measured.
 *
 * A check is a function and a line in the list of study.c; its file is its family: contract.c (1 to 5), load.c (6 to 8),
 * host.c (9 to 12), behaviour.c (13 to 15), cost.c (16 to 20); rows come from rows.c and logged.c. What cannot
 * be done is skipped and says why; nothing is passed unseen; what warns or fails says what to do about it. The model runs in this process,
 * over rows of the replayed endpoint, of a file, of the view's own dataset, or (said so) made from its signature; with a seed, so that two
 * runs ask the same.
 *
 * The verdict is fail with one check failed, warn with one that warns, else pass. A version keeps its report as weir.report.feasibility
 * (core/feasibility.h), which policies ask for.
 */
#pragma once
#include "core/project.h"
#include "stage/study/target.h"

enum { WR_FEASIBILITY_CHECKS = 20, WR_FEASIBILITY_FACTS = 40 };

typedef enum { WR_CHECK_PASS, WR_CHECK_WARN, WR_CHECK_FAIL, WR_CHECK_SKIP } wr_check_state;
extern const char *const wr_check_states[]; /* "pass", ... */

typedef struct {
    const char *key, *value; /* as people read it */
    double number;           /* NaN: a text */
} wr_feasibility_fact;

struct wr_feasibility_check;
typedef struct {
    const struct wr_feasibility_check *check;
    wr_check_state state;
    const char *measured; /* one line; of a skipped check the reason */
    const char *limit;
    const char *hint;     /* what to do; NULL: nothing (pass, skip) */
    wr_feasibility_fact facts[WR_FEASIBILITY_FACTS];
    size_t nfacts;
    double seconds;
} wr_feasibility_result;

struct wr_feasibility_work;
typedef struct wr_feasibility_check {
    int number;
    const char *name, *limit, *text;
    const char *hint; /* what to do when it warns or fails, should the check not know better (wr_check_hint) */
    /* Fills state, measured and facts. An error is trouble of the study's own (no memory), not the model's. */
    int (*run)(struct wr_feasibility_work *w, wr_feasibility_result *r, wr_err *err);
} wr_feasibility_check;
extern const wr_feasibility_check wr_feasibility_checks[WR_FEASIBILITY_CHECKS];

typedef struct {
    const char *model;  /* NAME, NAME@ALIAS, NAME@VERSION, NAME/VERSION; a model file or folder */
    const wr_feasibility_target *target;
    const char *rows;   /* CSV, JSON or Parquet file; NULL */
    const char *replay; /* endpoint; NULL = the target's */
    const char *server; /* URL; NULL = the target's */
    double seconds;     /* of load, about; 0 = 20 */
    uint64_t seed;
    void (*progress)(void *ctx, const char *what, double fraction);
    void *ctx;
} wr_feasibility_opt;

typedef struct {
    const char *model, *platform, *source; /* source: what was opened */
    int64_t version;                       /* 0 = not registered */
    char hash[WR_SHA256_HEX];              /* of the model's files; "" = not known */
    const char *rows;                      /* where the rows came from */
    size_t nrows;
    bool rows_real;
    int64_t time_us;
    double seconds;
    const wr_feasibility_target *target;
    wr_feasibility_result results[WR_FEASIBILITY_CHECKS];
    size_t count[4]; /* by state */
    wr_check_state verdict;
} wr_feasibility_report;

/* p may be NULL for a file: what needs a project is skipped. Memory in the arena. Errors of finding and opening the model; a model that
 * cannot be opened at all is no study. */
int wr_feasibility_run(wr_feasibility_report *out, wr_arena *a, wr_project *p, const wr_feasibility_opt *opt, wr_err *err);
void wr_feasibility_json(wr_jsonw *w, const wr_feasibility_report *r);
void wr_feasibility_markdown(wr_buf *out, const wr_feasibility_report *r);
