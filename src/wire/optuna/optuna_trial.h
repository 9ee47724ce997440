/* SPDX-License-Identifier: Apache-2.0 */
/* optuna_trial.h - the message optuna.Trial, and the parts that studies have too. Private to this folder. */
#pragma once
#include "codec/protobuf.h"
#include "track/study.h"

/* Reads field `f` of `r`. What is wrong in the bytes is told by wr_pb_end() of `r`; what is wrong in the trial by the result. */
int wr_optuna_read_trial(wr_trial *out, wr_arena *a, wr_pb *r, const wr_pb_field *f, wr_err *err);
void wr_optuna_put_trial(wr_buf *b, uint32_t number, const wr_trial *t);
void wr_optuna_put_attrs(wr_buf *b, uint32_t number, const wr_track_item *items, size_t n);
void wr_optuna_put_directions(wr_buf *b, uint32_t number, const wr_study *s);
