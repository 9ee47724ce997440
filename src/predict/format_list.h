/* SPDX-License-Identifier: Apache-2.0 */
/* format_list.h - the formats, one a line; formats.c puts them in order. Private to this folder. */
#pragma once
#include "predict/predictor.h"

extern const wr_format wr_format_xgboost;  /* format_xgboost.c */
extern const wr_format wr_format_lightgbm; /* format_lightgbm.c */
