/* SPDX-License-Identifier: Apache-2.0 */
/* logged_model.h - logged models: what a run's log_model made, before anybody registers it. */
#pragma once
#include "track/track.h"

/* Artifact URI and run of a logged model (run {NULL,0} = none). WEIR_ENOTFOUND. */
int wr_logged_model_source(wr_str *uri, wr_str *run, wr_arena *a, wr_track *t, wr_str id, wr_err *err);
