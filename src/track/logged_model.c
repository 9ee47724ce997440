/* SPDX-License-Identifier: Apache-2.0 */
/* logged_model.c - logged models. */
#include "track/logged_model.h"

#include "track/track_inside.h"

int wr_logged_model_source(wr_str *uri, wr_str *run, wr_arena *a, wr_track *t, wr_str id, wr_err *err)
{
    (void)uri, (void)run, (void)a, (void)t;
    return wr_err_set(err, WEIR_ENOTFOUND, "Logged model with ID '%.*s' not found.", WR_STR_FMT(wr_str_fit(id, 64)));
}
