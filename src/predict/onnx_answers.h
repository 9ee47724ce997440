/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_answers.h - what ONNX Runtime answered to the golden inputs of a model, kept, so that the library need not be loaded again to compare.
 *
 * The check stays what it is: our executor answers the same inputs at every open, and its answers are held against the ones kept. A record is
 * known by a hash over the model's bytes and the library's file (path, size, time of change); each kind of golden inputs carries the hash of the
 * inputs themselves. A record that is missing, broken, of other inputs, or that does not agree is none: then the library is asked.
 * Models with external data or of more than 64 MiB, and answers of more than 4 MiB, have no record.
 *
 *   message Answers { uint64 format = 1; repeated Kind kinds = 2; }
 *   message Kind { uint64 kind = 1; string inputs = 2; bool refused = 3; repeated TensorProto outputs = 4; }
 *
 * Threads: the folder is set before models are opened; an object belongs to one thread.
 */
#pragma once
#include "base/hash.h"
#include "predict/onnx_golden.h"

typedef struct wr_onnx_answers wr_onnx_answers;

/* Where they are kept: a folder that is made when the first is; NULL = nowhere (at the start). */
void wr_onnx_answers_folder(const char *dir);

/* The record of this model. WEIR_ENOTFOUND: there is none that can be used. */
int wr_onnx_answers_load(wr_onnx_answers **out, const wr_onnx_model *m, wr_err *err);
/* An empty one, to be filled and saved. NULL: no memory. */
wr_onnx_answers *wr_onnx_answers_new(void);
void wr_onnx_answers_free(wr_onnx_answers *r); /* NULL is fine */

/* The hash of golden inputs. */
void wr_onnx_answers_inputs(char out[WR_SHA256_HEX], const wr_tensor *in, size_t n);
/* What is kept for them. 0; WEIR_ENO: ONNX Runtime refused them; WEIR_ENOTFOUND. Data belong to the record. */
int wr_onnx_answers_of(wr_tensor *out, size_t nout, const wr_onnx_answers *r, wr_golden_kind kind, const char *inputs);
void wr_onnx_answers_note(wr_onnx_answers *r, wr_golden_kind kind, const char *inputs, bool refused, const wr_tensor *out, size_t nout);
/* Trouble is none: the next open asks the library again. */
void wr_onnx_answers_save(const wr_onnx_answers *r, const wr_onnx_model *m);

/* A record's bytes, which have to outlive it. WEIR_ECORRUPT. */
int wr_onnx_answers_read(wr_onnx_answers **out, wr_str bytes, wr_err *err);
