/* SPDX-License-Identifier: Apache-2.0 */
/* models_testing.h - for tests only: a server of a folder with the models of Triton's examples, in this process. */
#pragma once
#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>

#include "server/server.h"
#include "server/server_testing.h"

static char dir[300];
static wr_project *project;
static wr_server *server;
static pthread_t thread;
static int port, loops = 2;

static void *run(void *arg)
{
    (void)arg;
    OK(wr_server_run(server, err));
    return NULL;
}

static inline void start(bool auth)
{
    char models[400];
    snprintf(models, sizeof models, "%s/models", dir);
    wr_server_opt opt = {.loops = loops, .auth = auth, .repository = models};
    OK(wr_project_open(&project, dir, err));
    OK(wr_server_open(&server, project, &opt, err));
    port = wr_server_port(server);
    assert_int_equal(pthread_create(&thread, NULL, run, NULL), 0);
}

/* A connection to it. */
static inline int dial(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static inline void stop(void)
{
    wr_server_stop(server);
    pthread_join(thread, NULL);
    OK(wr_server_close(server, err));
    wr_project_close(project);
}

static void copy_from(const char *top, const char *model, const char *as, const char *version)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    const char *from = wr_arena_printf(a, "%s/tests/triton/models/%s", top, model);
    const char *to = wr_arena_printf(a, "%s/models/%s", dir, as);
    OK(wr_file_mkdirs(wr_arena_printf(a, "%s/%s", to, version), err));
    OK(wr_file_copy(wr_arena_printf(a, "%s/1/model.onnx", from), wr_arena_printf(a, "%s/%s/model.onnx", to, version),
                    err));
    if (strcmp(model, as) == 0)
        OK(wr_file_copy(wr_arena_printf(a, "%s/config.pbtxt", from), wr_arena_printf(a, "%s/config.pbtxt", to), err));
}
/* A model of tests/triton into the folder. */
#define copy(model, as, version) copy_from(WEIR_SOURCE_DIR, model, as, version)

static inline int setup_from(const char *top)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/weir-models-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(dir));
    OK(wr_project_init(dir, err));
    copy_from(top, "simple", "simple", "1");
    copy_from(top, "simple_string", "simple_string", "1");
    copy_from(top, "simple_identity", "simple_identity", "1");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    OK(wr_file_remove_tree(dir, err));
    return 0;
}
