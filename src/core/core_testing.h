/* SPDX-License-Identifier: Apache-2.0 */
/* core_testing.h - for tests of this room and the rooms above: a project in a temporary folder, with a table engine. */
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

#include "core/dataset.h"
#include "core/project.h"
#include "io/file.h"
#include "store/pg_testing.h"

typedef struct { char dir[128]; wr_arena *a; wr_project *p; wr_tables *t; wr_err err; } place;

/* A call that must work; a call that must fail with this code, whose error stays in s->err. */
#define OK(call) do { if ((call) < 0) fail_msg("%s:%d: %s (%s) %s", __FILE__, __LINE__, s->err.msg, s->err.detail, s->err.hint); } while (0)
#define FAILS(code, call) do { s->err = (wr_err){0}; assert_int_equal((call), (code)); } while (0)
#define SAYS(part, text) do { if (!strstr(text, part)) fail_msg("%s:%d: \"%s\" does not say \"%s\"", __FILE__, __LINE__, text, part); } while (0)

static inline const char *at(place *s, const char *name) { return wr_path_join(s->a, s->dir, name); }

static inline void put(place *s, const char *name, const char *text)
{
    const char *path = at(s, name);
    OK(wr_file_mkdirs(wr_path_dir(s->a, path), &s->err));
    OK(wr_file_write(path, wr_str_of(text), &s->err));
}

static inline const char *get(place *s, const char *name)
{
    WR_AUTOBUF wr_buf b = {0};
    return wr_file_read(&b, at(s, name), 1 << 20, NULL) < 0 ? NULL : wr_arena_strdup(s->a, wr_buf_cstr(&b));
}

/* The project as a new process would see it. */
static inline void reopen(place *s)
{
    wr_tables_close(s->t);
    wr_project_close(s->p);
    s->t = NULL;
    s->p = NULL;
    OK(wr_project_open(&s->p, s->dir, &s->err));
}

static inline wr_tables *engine(place *s)
{
    if (!s->t) OK(wr_project_tables(&s->t, s->p, NULL, &s->err));
    return s->t;
}

static inline int64_t write_rows(place *s, const char *name, wr_delta_mode mode, const char *sql)
{
    wr_dataset_written w = {0};
    wr_dataset_write_opt opt = {.mode = mode};
    OK(wr_dataset_write(&w, engine(s), s->p, name, sql, &opt, &s->err));
    return w.version;
}

/* Number that the query gives, over the datasets it names. */
static inline int64_t number(place *s, const char *sql)
{
    int64_t v = 0;
    OK(wr_dataset_views_for(engine(s), s->p, sql, NULL, NULL, s->a, &s->err));
    OK(wr_tables_i64(engine(s), &v, sql, &s->err));
    return v;
}

/* Files under a folder of the project, hidden ones included. */
static inline size_t count_files(place *s, const char *dir)
{
    char **names;
    size_t n = 0, all = 0;
    if (wr_file_list(&names, &n, s->a, at(s, dir), NULL) < 0) return 0;
    for (size_t i = 0; i < n; i++) {
        const char *path = wr_arena_printf(s->a, "%s/%s", dir, names[i]);
        char **inner;
        size_t k;
        if (wr_file_list(&inner, &k, s->a, at(s, path), NULL) == 0) all += count_files(s, path);
        else all++;
    }
    return all;
}

static inline int make_place(void **state)
{
    place *s = calloc(1, sizeof *s);
    const char *tmp = getenv("TMPDIR");
    if (!s) return -1;
    snprintf(s->dir, sizeof s->dir, "%.100s/weir-test-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(s->dir)) return -1;
    s->a = wr_arena_new(0);
    unsetenv("WEIR_RUN_ID");
    setenv("WEIR_CODE_VERSION", "test", 1);
    put(s, "weir.yaml", "");
    if (wr_pg_testing_project() < 0) return -1;
    reopen(s);
    *state = s;
    return 0;
}

static inline int drop_place(void **state)
{
    place *s = *state;
    wr_tables_close(s->t);
    wr_project_close(s->p);
    wr_file_remove_tree(s->dir, NULL);
    wr_arena_free(s->a);
    free(s);
    return 0;
}
