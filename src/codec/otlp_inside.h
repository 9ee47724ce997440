/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_inside.h - what the two forms of OTLP share. Private to codec/. */
#pragma once
#include "codec/otlp.h"

typedef struct {
    wr_arena *arena;
    wr_otlp_spans *out;
    const char *why; /* the span being read is refused */
    bool no_id;
} wr_otlp_reader;

/* Room for element n of a list that has n; NULL without memory. */
void *wr_otlp_push(wr_arena *a, void *at, size_t n, size_t size);
wr_otlp_span *wr_otlp_span_begin(wr_otlp_reader *o, const wr_otlp_attrs *resource);
void wr_otlp_span_end(wr_otlp_reader *o, wr_otlp_span *s, bool ids);
int wr_otlp_done(const wr_otlp_reader *o, wr_err *err);
