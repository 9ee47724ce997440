/* SPDX-License-Identifier: Apache-2.0 */
/* mlflow_folder.h - a model as MLflow keeps it: a folder with an MLmodel that names flavors and their files. Private to this folder.
 *
 * Served flavors: onnx, xgboost, lightgbm, in this order. A folder with none of them is refused with a hint how to export the model. */
#pragma once
#include "predict/predictor.h"

#define WR_MLFLOW_FILE "MLmodel"
int wr_mlflow_folder_open(wr_predictor **out, const char *dir, wr_err *err);

/* formats.c: a file, by the format of that name; NULL = whoever knows it. as: as wr_format's open_as, or NULL. */
int wr_format_open(wr_predictor **out, const char *path, const char *format, const char *as, wr_err *err);
