/* SPDX-License-Identifier: Apache-2.0 */
/* artifacts.h - where the files of runs and models are: URIs and paths as clients name them, paths as the store (store/artifacts.h) knows
 * them. The procedures of JSON are in artifacts.c; bodies of bytes are the server's, which asks here what they are for.
 *
 * A root of artifacts is "mlflow-artifacts:/EXPERIMENT/RUN/artifacts", or the same behind http(s)://HOST/api/2.0/mlflow-artifacts/artifacts.
 * Other URIs (s3://..., a folder) are reached by clients without us; nothing is read from there on anybody's behalf.
 */
#pragma once
#include "wire/mlflow/mlflow.h"

#define WR_MLFLOW_PART   "/api/2.0/mlflow-artifacts/part/"   /* PUT of a part; signed */
#define WR_MLFLOW_SIGNED "/api/2.0/mlflow-artifacts/signed/" /* GET of a file; signed */

/* A decoded path of a client's, checked; slashes at its end are cut off. WEIR_EINVAL "Invalid path" in MLflow's words. */
int wr_mlflow_safe_path(wr_str *out, wr_arena *a, wr_str path, wr_err *err);
/* Path in the store of `relative` (may be empty) below the root `uri`. WEIR_EINVAL when it is not kept here. */
int wr_mlflow_store_path(wr_str *out, wr_arena *a, wr_str uri, wr_str relative, wr_err *err);
/* Answer with the file `relative` (safe) below the root `uri`. WEIR_ENOTFOUND without the file. */
int wr_mlflow_content(wr_mlflow_call *c, wr_str uri, wr_str relative, wr_err *err);
/* Content-Type by the name, as MLflow guesses it. */
const char *wr_mlflow_mime(wr_str name);
/* Header lines of a download: attachment, nosniff; in the arena. NULL: no memory. */
const char *wr_mlflow_download_headers(wr_arena *a, wr_str path);

/* What a body of bytes is for. */
typedef struct {
    wr_str path;    /* in the store */
    wr_str upload;  /* id, when it is a part */
    int part;       /* its number, 0 = a whole file */
    int64_t max;    /* bytes, -1 = any */
} wr_mlflow_upload;
/* The upload that a request asks for: PUT .../mlflow-artifacts/artifacts/PATH, PUT of a part, POST upload-artifact. 1 = yes and it may; 0 =
 * it is no upload; < 0 why not. `access` as in wr_mlflow_call. Short: on a loop. */
int wr_mlflow_upload_of(wr_mlflow_upload *out, wr_arena *a, wr_track *t, const struct wr_mlflow_access *access, wr_str method, wr_str path,
                        wr_str query, wr_err *err);
