/* SPDX-License-Identifier: Apache-2.0 */
/* view_testing.h - for tests only: a feature view out of the text of its file, "f.yaml". */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/view.h"

static inline int parse(wr_view **out, wr_arena *a, const char *text, wr_err *err)
{
    wr_yaml *y;
    WR_TRY(wr_yaml_parse(&y, a, wr_str_of(text), "f.yaml", err));
    return wr_view_parse(out, a, y, err);
}

static inline wr_view *must_parse(wr_arena *a, const char *text)
{
    wr_view *v = NULL;
    wr_err err = {0};
    if (parse(&v, a, text, &err) < 0) fail_msg("%s (%s)", err.msg, err.hint);
    return v;
}
