/* SPDX-License-Identifier: Apache-2.0 */
/* cli_testing.h - for the tests of this room: run a command line in this process and look at what it printed. */
#pragma once
#include "core/core_testing.h"

#include <fcntl.h>

#include "cli/cli_internal.h"

enum { PRINTED_MAX = 1 << 16 };
typedef struct { int exit_code; char out[PRINTED_MAX], err[PRINTED_MAX]; } printed;

typedef struct { int saved, to; } redirected;

static inline redirected redirect(int fd)
{
    char path[] = "/tmp/weir-cli-XXXXXX";
    redirected r = {dup(fd), mkstemp(path)};
    assert_true(r.saved >= 0 && r.to >= 0);
    remove(path);
    dup2(r.to, fd);
    return r;
}

static inline void give_back(redirected r, int fd, char *text)
{
    dup2(r.saved, fd);
    close(r.saved);
    ssize_t n = pread(r.to, text, PRINTED_MAX - 1, 0);
    assert_true(n >= 0);
    text[n] = 0;
    close(r.to);
}

/* `line` is cut at spaces; "weir" is put in front. The folder is what it was before. */
static inline void run_line(printed *p, const wr_cmd *const *cmds, size_t n, const char *line)
{
    char copy[1024], *argv[64] = {(char *)"weir"}, *at_ = copy;
    int argc = 1, here = open(".", O_RDONLY | O_DIRECTORY);
    snprintf(copy, sizeof copy, "%s", line);
    for (char *word; (word = strsep(&at_, " ")) && argc < 63;)
        if (*word) argv[argc++] = word;
    fflush(stdout);
    fflush(stderr);
    redirected out = redirect(1), err = redirect(2);
    p->exit_code = wr_cli_main(cmds, n, argc, argv);
    fflush(stdout);
    fflush(stderr);
    give_back(err, 2, p->err);
    give_back(out, 1, p->out);
    assert_int_equal(fchdir(here), 0);
    close(here);
}
