/* SPDX-License-Identifier: Apache-2.0 */
/* sender.h - from a spool to the server. The run is made under the id that the spool has; a server that gives another
 * (MLflow's own) is written to under that one. What the server refuses for good (4xx) is counted and passed over, so
 * that one bad value does not hold up the rest; everything else is tried again by the caller. */
#pragma once
#include <stdint.h>
#include "client/spool.h"
#include "client/transport.h"

typedef struct wr_sender wr_sender;
typedef struct {
    uint64_t acknowledged, refused;
    bool ended;
} wr_sender_counts;

/* Reads the first record of the spool, the run (see client.c). Both stay the caller's. */
int wr_sender_new(wr_sender **out, wr_spool *s, const char *url, const char *token, wr_err *err);
void wr_sender_free(wr_sender *s);
/* Sends what stands in the spool, in batches; 0 = all of it. < 0: the server is not there, or not now. */
int wr_sender_run(wr_sender *s, wr_err *err);
void wr_sender_counters(const wr_sender *s, wr_sender_counts *out);
/* {"url", "experiment", "name", "run_id", "start_time", "existing"} of a run. */
int wr_sender_describe(wr_buf *out, const char *url, const char *experiment, const char *name, const char *run_id,
                       int64_t start_ms, bool existing);
/* The address in it. */
int wr_sender_url(char *out, size_t size, wr_spool *s, wr_err *err);
