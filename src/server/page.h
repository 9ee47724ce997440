/* SPDX-License-Identifier: Apache-2.0 */
/* page.h - the status page, by its parts. Private to this folder.
 *
 *   page.c           the whole: order of the sections, answering      page_models.c    models in service
 *   page_draw.c      text, times, small pictures                      page_rollouts.c  arms, shares, guardrails
 *   page_style.c     style and script                                 page_pulse.c     requests of the last ten minutes
 *   page_work.c      jobs and events
 *
 * One document without anything from elsewhere: it can be read without scripts (it is loaded anew every ten seconds then); with them
 * the sections that changed are put in place of the old ones, so that nothing flickers, and scrolling, folding and selecting are left alone.
 * Every text that somebody else chose goes through wr_page_text. What only those with a grant may know (wr_asker_may) is left out.
 */
#pragma once
#include "server/server_inside.h"

typedef struct {
    wr_server *server;
    const wr_mlflow_access *access; /* NULL: everything may be seen */
    wr_arena *arena;
    wr_buf *b;
    int64_t now_us;
} wr_page;

/* page_style.c: both without their tags */
extern const char wr_page_style[], wr_page_script[];

/* page_draw.c */
void wr_page_text(wr_buf *b, wr_str s);
void wr_page_cstr(wr_buf *b, const char *s);
void wr_page_time(wr_buf *b, int64_t us);                      /* "2026-11-23 23:16:32" */
void wr_page_short_time(wr_buf *b, const char *rfc3339);       /* the same */
void wr_page_ago(wr_buf *b, int64_t now_us, int64_t us);       /* "12 s ago" with the time behind it */
void wr_page_section(wr_buf *b, const char *id, const char *title);
/* A table that scrolls by itself where it does not fit; `columns` are separated by '|', those that begin with '#' hold numbers. */
void wr_page_table(wr_buf *b, const char *label, const char *columns);
void wr_page_table_end(wr_buf *b);
/* Columns next to each other, the highest as high as the picture; `title` is what is read aloud, plain text. The upper part of a column, `bad`
 * of it, is in another colour; NULL = none. */
void wr_page_bars(wr_buf *b, const char *title, const uint64_t *count, const uint64_t *bad, size_t n);
/* Shares of a whole in one line. */
void wr_page_shares(wr_buf *b, const char *title, const double *share, size_t n);

/* page_pulse.c: predictions asked for, in steps of five seconds. */
enum { WR_PULSE_STEPS = 120, WR_PULSE_STEP_S = 5 };
int wr_pulse_new(wr_pulse **out, wr_err *err);
void wr_pulse_free(wr_pulse *p);
void wr_pulse_beat(wr_pulse *p, wr_server *s, int64_t now_ns); /* by the keeper, each second */
void wr_page_pulse(wr_page *p);

/* sections */
int wr_page_models(wr_page *p, wr_err *err);                   /* and what is right now */
void wr_page_rollouts(wr_page *p);
void wr_page_jobs(wr_page *p);
int wr_page_events(wr_page *p, wr_err *err);
