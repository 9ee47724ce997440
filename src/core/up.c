/* SPDX-License-Identifier: Apache-2.0 */
/* up.c - the file that says where the server is. */
#include "core/up.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "codec/json.h"
#include "io/file.h"

enum { FILE_MAX = 64 << 10 };

/* Whole or not there, but not durable: after a power cut no server is up. A start does not wait for the disk. */
static int replace(const char *path, wr_str text, wr_err *err)
{
    char temporary[4200];
    snprintf(temporary, sizeof temporary, "%s.%d.tmp", path, (int)getpid());
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return wr_err_sys(err, errno, "cannot write \"%s\"", temporary);
    int rc = wr_file_write_all(fd, text.p, text.n, temporary, err);
    close(fd);
    if (rc == 0 && rename(temporary, path) < 0) rc = wr_err_sys(err, errno, "cannot write \"%s\"", path);
    if (rc < 0) unlink(temporary);
    return rc;
}

int wr_up_announce(wr_project *p, const char *url, wr_err *err)
{
    const char *path;
    wr_jsonw w;
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, FILE_MAX);
    WR_TRY(wr_project_state(&path, p, "up.json", false, err));
    wr_jsonw_init(&w, &b, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_kstr(&w, "url", url);
    wr_jsonw_ki64(&w, "pid", getpid());
    wr_jsonw_end(&w);
    return b.failed ? wr_err_nomem(err) : replace(path, wr_buf_view(&b), err);
}

static int read_file(wr_up *out, wr_arena *a, wr_project *p, wr_err *err)
{
    const char *path;
    wr_str url;
    WR_AUTOBUF wr_buf b;
    WR_AUTOJSON wr_json j = {0};
    wr_buf_init(&b, FILE_MAX);
    WR_TRY(wr_project_state(&path, p, "up.json", false, err));
    WR_TRY(wr_file_read(&b, path, FILE_MAX, err));
    WR_TRY(wr_json_parse(&j, wr_buf_view(&b), "up.json", err));
    WR_TRY(wr_json_str(&url, j.root, "url", err));
    WR_TRY(wr_json_i64(&out->pid, j.root, "pid", err));
    out->url = wr_arena_str(a, url).p;
    return out->url ? 0 : wr_err_nomem(err);
}

void wr_up_withdraw(wr_project *p)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    const char *path;
    wr_up up;
    if (!a || read_file(&up, a, p, NULL) < 0 || up.pid != getpid()) return;
    if (wr_project_state(&path, p, "up.json", false, NULL) == 0) (void)wr_file_remove(path, NULL);
}

int wr_up_find(wr_up *out, wr_arena *a, wr_project *p, wr_err *err)
{
    int rc = read_file(out, a, p, NULL);
    if (rc == 0 && (kill((pid_t)out->pid, 0) == 0 || errno == EPERM)) return 0;
    wr_err_set(err, WEIR_ENOTFOUND, "no server of this project is up");
    return wr_err_hint(err, WEIR_ENOTFOUND, "weir up starts one");
}
