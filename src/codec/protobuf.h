/* SPDX-License-Identifier: Apache-2.0 */
/* protobuf.h - the wire format of Protocol Buffers (protobuf.dev, "Encoding"): a walk over the fields of a message, and a writer.
 *
 * There is no schema: a caller loops over the fields and picks what it knows by number. Nothing is copied; strings, bytes and nested
 * messages are slices of the input. Unknown fields are skipped by not looking at them.
 *
 *   wr_pb r;                                          wr_buf b;
 *   wr_pb_field f;                                    wr_pbw_str(&b, 1, name);
 *   wr_pb_init(&r, bytes);                            size_t at = wr_pbw_open(&b, 2);
 *   while (wr_pb_next(&r, &f)) switch (f.number) {    wr_pbw_u64(&b, 1, id);
 *       case 1: name = wr_pb_str(&r, &f); break;      wr_pbw_close(&b, at);
 *       case 2: wr_pb_enter(&sub, &r, &f); ...        if (b.failed) nomem
 *   }
 *   return wr_pb_end(&r, "CreateStudyRequest", err);
 *
 * Failure is sticky and shared by a message and all that is nested in it: after the first, every wr_pb_next() of them returns false
 * and every value is zero, so that only wr_pb_end() of the outermost has to be asked.
 * Refused: groups (wire types 3 and 4), wire types 6 and 7, field number 0 or above 2^29 - 1, varints of more than 64 bits, lengths
 * beyond the end, a known field of another wire type than asked for, text that is not UTF-8, nesting deeper than
 * WR_LIMIT_PROTOBUF_DEPTH, more than WR_LIMIT_PROTOBUF_FIELDS fields in all.
 * Repeated numbers may come packed or one by one and mixed: wr_pb_list reads both. Of a singular field that comes twice the last one
 * counts, which is what a plain assignment in the loop does.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "base/err.h"
#include "base/str.h"

typedef enum { WR_PB_VARINT = 0, WR_PB_I64 = 1, WR_PB_LEN = 2, WR_PB_I32 = 5 } wr_pb_type;

typedef struct wr_pb {
    const char *p, *end;
    struct wr_pb *top;               /* outermost message, which must outlive this; holds what follows */
    const char *start;
    const char *why, *where;         /* NULL as long as all is well */
    int code;
    int depth;                       /* of each */
    uint32_t left;                   /* fields that may still come */
} wr_pb;

typedef struct {
    uint32_t number;
    wr_pb_type type;
    uint64_t value;                  /* VARINT, I64, I32: as it stands in the bytes */
    wr_str bytes;                    /* LEN */
} wr_pb_field;

void wr_pb_init(wr_pb *r, wr_str message);
/* The next field; false at the end and after a failure. */
bool wr_pb_next(wr_pb *r, wr_pb_field *out);
/* Reads field `f` of `r` as a message. */
void wr_pb_enter(wr_pb *out, wr_pb *r, const wr_pb_field *f);
/* A map's entry: field 1 of it is the key, field 2 the value. What is missing has number 0 and is zero and empty. */
void wr_pb_entry(wr_pb_field *key, wr_pb_field *value, wr_pb *r, const wr_pb_field *f);
/* A value that the caller does not accept: as if the bytes were wrong. `why` is a constant, "what is wrong" without a subject. */
void wr_pb_fail(wr_pb *r, const char *why);
bool wr_pb_failed(const wr_pb *r);
/* 0, WEIR_EPARSE or WEIR_ELIMIT: "'CreateStudyRequest' at byte 17: a length goes beyond the end". */
int wr_pb_end(const wr_pb *r, const char *what, wr_err *err);

/* The value of a field. A map's missing key or value (number 0) gives zero. */
uint64_t wr_pb_u64(wr_pb *r, const wr_pb_field *f);          /* uint64, uint32, enum */
int64_t wr_pb_i64(wr_pb *r, const wr_pb_field *f);           /* int64, and int32, which is sign-extended on the wire */
int64_t wr_pb_s64(wr_pb *r, const wr_pb_field *f);           /* sint64, sint32: zigzag */
bool wr_pb_bool(wr_pb *r, const wr_pb_field *f);
double wr_pb_f64(wr_pb *r, const wr_pb_field *f);
float wr_pb_f32(wr_pb *r, const wr_pb_field *f);
uint64_t wr_pb_fixed64(wr_pb *r, const wr_pb_field *f);      /* fixed64, sfixed64 */
uint32_t wr_pb_fixed32(wr_pb *r, const wr_pb_field *f);
wr_str wr_pb_bytes(wr_pb *r, const wr_pb_field *f);
wr_str wr_pb_str(wr_pb *r, const wr_pb_field *f);            /* valid UTF-8, may hold NUL */

/* The numbers of one field of a repeated scalar: all of a packed one, the one of an unpacked one. */
typedef struct { wr_pb *of; const char *p, *end; wr_pb_type type; bool single; uint64_t one; } wr_pb_list;
void wr_pb_list_of(wr_pb_list *out, wr_pb *r, const wr_pb_field *f, wr_pb_type element);
bool wr_pb_list_next(wr_pb_list *l, uint64_t *out);

static inline int64_t wr_pb_unzigzag(uint64_t v) { return (int64_t)(v >> 1) ^ -(int64_t)(v & 1); }
static inline uint64_t wr_pb_zigzag(int64_t v) { return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63); }
static inline double wr_pb_as_f64(uint64_t v) { double d; memcpy(&d, &v, sizeof d); return d; }
static inline float wr_pb_as_f32(uint64_t v) { uint32_t u = (uint32_t)v; float f; memcpy(&f, &u, sizeof f); return f; }

/* ---- writing ----
 * Always written, zero or not: a proto3 field without presence may be left out when it is zero, and need not. Numbers are 1 to
 * 2^29 - 1. Failure is the buffer's (`failed`). */
void wr_pbw_u64(wr_buf *b, uint32_t number, uint64_t v);
void wr_pbw_i64(wr_buf *b, uint32_t number, int64_t v);      /* int64 and int32 */
void wr_pbw_s64(wr_buf *b, uint32_t number, int64_t v);      /* sint64 and sint32 */
void wr_pbw_bool(wr_buf *b, uint32_t number, bool v);
void wr_pbw_f64(wr_buf *b, uint32_t number, double v);
void wr_pbw_f32(wr_buf *b, uint32_t number, float v);
void wr_pbw_fixed64(wr_buf *b, uint32_t number, uint64_t v);
void wr_pbw_fixed32(wr_buf *b, uint32_t number, uint32_t v);
void wr_pbw_str(wr_buf *b, uint32_t number, wr_str v);       /* string, bytes, or a message that is written already */
/* A nested message or a packed list: what is written between open and close is its content. `at` is what open returned; they nest.
 * The length is put in by close, which moves the content when it needs more than one byte. */
size_t wr_pbw_open(wr_buf *b, uint32_t number);
void wr_pbw_close(wr_buf *b, size_t at);
/* Bare elements of a packed list. */
void wr_pbw_varint(wr_buf *b, uint64_t v);
void wr_pbw_raw64(wr_buf *b, uint64_t v);
void wr_pbw_raw32(wr_buf *b, uint32_t v);
