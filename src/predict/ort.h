/* SPDX-License-Identifier: Apache-2.0 */
/* ort.h - ONNX Runtime, opened with dlopen when the first model needs it: everything that our own executor does not do.
 *
 * One thread inside an operator and between operators, no spinning, sequential, telemetry off: parallelism is the
 * server's, which runs requests beside each other. The library is looked for in $WEIR_ONNXRUNTIME, beside the program,
 * in ../lib/weir beside it, and where it lay when the program was built.
 *
 * Threads: a session is immutable; run from any thread.
 */
#pragma once
#include "predict/onnx_model.h"

typedef struct wr_ort wr_ort;

/* Loads the library. WEIR_EUNAVAILABLE with a hint when there is none, or the program was built without. */
int wr_ort_load(wr_err *err);
/* Which library that would be, without loading it: path, size and time of change of its file. false: there is none. */
bool wr_ort_identity(char *out, size_t size);
const char *wr_ort_version(void); /* "1.30.0"; "" when it is not loaded */

/* A session over the model's bytes, ZipMap made plain (onnx_model.h). External data are read from the model's folder.
 * WEIR_ECORRUPT, WEIR_EUNSUPPORTED (an op, an operator set or an IR version that this library does not know; both are
 * told). */
int wr_ort_open(wr_ort **out, const wr_onnx_model *m, wr_err *err);
void wr_ort_free(wr_ort *s); /* NULL is fine */
/* in, out: in the order of the model's; want NULL = all. Numbers of `in` are not copied; outputs are copied into `a`.
 */
int wr_ort_run(const wr_ort *s, wr_tensor *out, const bool *want, const wr_tensor *in, wr_arena *a, wr_err *err);
