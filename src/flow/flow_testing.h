/* SPDX-License-Identifier: Apache-2.0 */
/* flow_testing.h - for the tests of this room only: a project in a temporary folder. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/project.h"
#include "io/file.h"
#include "store/pg_testing.h"

typedef struct { char dir[128]; wr_arena *a; wr_project *p; } place;

static inline const char *at(place *t, const char *name) { return wr_path_join(t->a, t->dir, name); }

static inline void put(place *t, const char *name, const char *text)
{
    const char *path = at(t, name);
    assert_int_equal(wr_file_mkdirs(wr_path_dir(t->a, path), NULL), 0);
    assert_int_equal(wr_file_write(path, wr_str_of(text), NULL), 0);
}

static inline const char *get(place *t, const char *name)
{
    wr_buf b = {0};
    wr_file_read(&b, at(t, name), 1 << 20, NULL);
    const char *s = wr_arena_strdup(t->a, wr_buf_cstr(&b));
    wr_buf_fini(&b);
    return s;
}

static inline int make_place(void **state)
{
    static place t;
    const char *tmp = getenv("TMPDIR");
    snprintf(t.dir, sizeof t.dir, "%s/weir-flow-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(t.dir) || wr_pg_testing_project() < 0) return -1;
    t.a = wr_arena_new(0);
    t.p = NULL;
    put(&t, "weir.yaml", "");
    *state = &t;
    return 0;
}

/* The project as a new process would see it. */
static inline wr_project *reopen(place *t)
{
    wr_err err = {0};
    wr_project_close(t->p);
    t->p = NULL;
    if (wr_project_open(&t->p, t->dir, &err) < 0) fail_msg("%s", err.msg);
    return t->p;
}

static inline int drop_place(void **state)
{
    place *t = *state;
    wr_project_close(t->p);
    wr_file_remove_tree(t->dir, NULL);
    wr_arena_free(t->a);
    return 0;
}
