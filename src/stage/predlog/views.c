/* SPDX-License-Identifier: Apache-2.0 */
/* views.c - views by id. */
#include "stage/predlog/views.h"

#include "base/limits.h"
#include "codec/json.h"
#include "io/file.h"

static char *path_of(wr_arena *a, const char *log_dir, uint64_t id)
{
    return wr_arena_printf(a, "%s/views/%016llx.json", log_dir, (unsigned long long)id);
}

int wr_predlog_view(wr_view **out, wr_arena *a, const char *log_dir, uint64_t id, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    WR_AUTOBUF wr_buf text;
    const char *path = path_of(a, log_dir, id);
    wr_buf_init(&text, 0);
    if (!path) return wr_err_nomem(err);
    WR_TRY(wr_file_read(&text, path, WR_LIMIT_FILE_CONFIG, err));
    WR_TRY(wr_json_parse(&j, wr_buf_view(&text), path, err));
    return wr_view_from_json(out, a, j.root, err);
}

int wr_predlog_view_keep(const char *log_dir, uint64_t id, wr_str json, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    const char *path = a ? path_of(a, log_dir, id) : NULL, *dir = path ? wr_path_dir(a, path) : NULL;
    if (!dir) return wr_err_nomem(err);
    if (wr_file_exists(path)) return 0;
    WR_TRY(wr_file_mkdirs(dir, err));
    return wr_file_write(path, json, err);
}
