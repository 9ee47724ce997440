/* SPDX-License-Identifier: Apache-2.0 */
/* otlp.h - spans as the OpenTelemetry protocol sends them (ExportTraceServiceRequest of OTLP 1.x over HTTP): in
 * protobuf, or in JSON with ids as hexadecimal text, names in lowerCamelCase or snake_case, 64-bit numbers as text or
 * number. Values in, values out.
 *
 * What Weir does not keep is not read: scopes, trace state, flags, kinds, counts of what was dropped.
 * A request that is no such message is WEIR_EPARSE as a whole. A span without ids of 16 and 8 bytes makes it
 * WEIR_EINVAL. A span beyond the limits below is refused alone: it is left out and counted, with the first reason, for
 * the answer's partial_success. Limits: WR_LIMIT_OTLP_*. Text in protobuf is checked to be UTF-8. Results are slices of
 * the request's bytes or lie in the arena.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/str.h"

typedef enum {
    WR_OTLP_NONE,
    WR_OTLP_STR,
    WR_OTLP_BOOL,
    WR_OTLP_INT,
    WR_OTLP_F64,
    WR_OTLP_LIST,
    WR_OTLP_MAP,
    WR_OTLP_BYTES
} wr_otlp_kind;

struct wr_otlp_attr;
typedef struct {
    struct wr_otlp_attr *at;
    size_t n;
} wr_otlp_attrs;

typedef struct {
    wr_otlp_kind kind;
    union {
        wr_str s;  /* STR, BYTES */
        int64_t i; /* INT, BOOL */
        double f;
        wr_otlp_attrs items; /* MAP; of a LIST the keys are empty */
    };
} wr_otlp_value;

typedef struct wr_otlp_attr {
    wr_str key;
    wr_otlp_value value;
} wr_otlp_attr;

typedef struct {
    wr_str name;
    uint64_t time_ns;
    wr_otlp_attrs attrs;
} wr_otlp_event;

typedef struct {
    unsigned char trace[16], span[8];
    wr_otlp_attrs attrs;
} wr_otlp_link;

typedef struct {
    unsigned char trace[16], span[8], parent[8];
    bool has_parent;
    int status; /* 0 unset, 1 ok, 2 error */
    wr_str name, message;
    uint64_t start_ns, end_ns; /* 0 = not said */
    wr_otlp_attrs attrs;
    wr_otlp_event *events;
    wr_otlp_link *links;
    size_t nevents, nlinks;
    const wr_otlp_attrs *resource; /* of what made the span; never NULL */
} wr_otlp_span;

typedef struct {
    wr_otlp_span *spans;
    size_t n, nresources;
    size_t refused;  /* spans left out */
    const char *why; /* the first of them was */
} wr_otlp_spans;

/* `body` outlives the result. */
int wr_otlp_read_protobuf(wr_otlp_spans *out, wr_arena *a, wr_str body, wr_err *err);
int wr_otlp_read_json(wr_otlp_spans *out, wr_arena *a, wr_str body, wr_err *err);
const wr_otlp_value *wr_otlp_get(const wr_otlp_attrs *attrs, const char *key); /* the last of that key, or NULL */

/* ExportTraceServiceResponse: empty when nothing was refused. */
void wr_otlp_response(wr_buf *out, bool json, size_t refused, const char *why);
