/* SPDX-License-Identifier: Apache-2.0 */
/* trace_inside.h - what the files of traces share. Private to trace*.c of this room. */
#pragma once
#include "base/vec.h"
#include "track/trace.h"
#include "track/track_inside.h"

/* Attributes of a span on its way: key and JSON text. */
typedef WR_VEC(wr_track_item) wr_span_attrs;
wr_str wr_span_attr(const wr_span_attrs *attrs, const char *key); /* p NULL: none */
wr_str wr_span_attr_text(wr_arena *a, wr_str json);               /* what a JSON text holds; else as it is */
int wr_span_attr_set(wr_span_attrs *attrs, wr_arena *a, const char *key, wr_str json, wr_err *err);
/* trace_translate.c: adds what other conventions say in their own words. */
int wr_span_translate(wr_span_attrs *attrs, wr_arena *a, wr_err *err);

void wr_trace_put_f64(wr_buf *out, double v); /* as Python writes a float */

/* trace.c */
enum { WR_TRACE_ROW = 22 }; /* columns of wr_trace_columns */
extern const char wr_trace_columns[];
void wr_trace_row(wr_trace *out, wr_arena *a, wr_stmt *s);
int wr_trace_write(wr_track *t, wr_trace *tr, bool fresh, wr_err *err); /* INSERT (sets id) or UPDATE of all columns */
int wr_trace_put_tag(wr_track *t, int64_t trace, wr_str key, wr_str value, wr_err *err);
int wr_trace_put_meta(wr_track *t, int64_t trace, wr_str key, wr_str value, bool replace, wr_err *err);
int wr_trace_no_trace(wr_err *err, wr_str uuid);
