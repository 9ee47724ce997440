/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline_fuzz.c - weir.yaml and weir.lock from anywhere: stages either come out with their invariants, or an error that
 * says where. A lock that was read is written and read again to the same bytes.
 *
 * The first byte chooses: 'l' a lock file, anything else a pipeline. Files beside it (params.yaml, files of vars) do not exist.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "flow/graph.h"
#include "flow/lock.h"
#include "io/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok) abort();
}

static void check_stage(const wr_stage *s)
{
    require(s->name[0] && s->cmd[0] && s->ncmds > 0 && s->wdir[0] && s->wdir[0] != '/');
    for (size_t i = 0; i < s->nouts; i++) {
        require(s->outs[i].kind != WR_NOUN_PATH || (s->outs[i].ref[0] != '/' && strncmp(s->outs[i].ref, "../", 3) != 0));
        require(i == 0 || strcmp(s->outs[i - 1].ref, s->outs[i].ref) < 0);
    }
    for (size_t i = 1; i < s->ndeps; i++) require(strcmp(s->deps[i - 1].ref, s->deps[i].ref) < 0);
}

static void check_graph(const wr_graph *g)
{
    WR_AUTOFREE size_t *place = wr_calloc(g->pl->n + 1, sizeof *place);
    WR_AUTOBUF wr_buf text = {0};
    for (size_t k = 0; k < g->pl->n; k++) place[g->order[k]] = k;
    for (size_t i = 0; i < g->pl->n; i++)
        for (size_t k = 0; k < g->up[i].n; k++) require(place[g->up[i].at[k]] < place[i]);
    if (g->pl->n < 50) wr_graph_draw(&text, g);
}

static void try_pipeline(wr_arena *a, wr_str text)
{
    wr_err err = {0};
    wr_yaml *y;
    wr_graph g;
    wr_pipeline *pl;
    if (wr_yaml_parse(&y, a, text, "weir.yaml", NULL) < 0) return;
    if (wr_pipeline_parse(&pl, y, "/nowhere", NULL, 0, &err) < 0) {
        require(err.msg[0] != 0);
        return;
    }
    for (size_t i = 0; i < pl->n; i++) check_stage(&pl->stages[i]);
    if (wr_graph_build(&g, a, pl, NULL) == 0) check_graph(&g);
    wr_pipeline_free(pl);
}

static void try_lock(wr_arena *a, wr_str text)
{
    char dir[] = "/tmp/weir-fuzz-XXXXXX";
    wr_lock_file l;
    WR_AUTOBUF wr_buf first = {0};
    WR_AUTOBUF wr_buf second = {0};
    if (!mkdtemp(dir)) return;
    const char *path = wr_path_join(a, dir, "weir.lock");
    require(wr_file_write(path, text, NULL) == 0);
    int rc = wr_lock_file_open(&l, dir, NULL);
    if (rc == 0) require(wr_lock_file_save(&l, dir, NULL, NULL) == 0 && wr_file_read(&first, path, 1 << 24, NULL) == 0);
    wr_lock_file_close(&l);
    if (rc == 0) {
        require(wr_lock_file_open(&l, dir, NULL) == 0 && wr_lock_file_save(&l, dir, NULL, NULL) == 0);
        require(wr_file_read(&second, path, 1 << 24, NULL) == 0 && wr_str_eq(wr_buf_view(&first), wr_buf_view(&second)));
        wr_lock_file_close(&l);
    }
    wr_file_remove_tree(dir, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wr_arena *a = wr_arena_new(0);
    if (size > 1 && a) {
        wr_str text = {(const char *)data + 1, size - 1};
        if (data[0] == 'l') try_lock(a, text);
        else try_pipeline(a, text);
    }
    wr_arena_free(a);
    return 0;
}
