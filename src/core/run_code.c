/* SPDX-License-Identifier: Apache-2.0 */
/* run_code.c - the version of the code that runs: what git says of the project's folder. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/run.h"
#include "io/proc.h"

/* First line of what the command says; "" when it fails. */
static void git_line(char *out, size_t size, const char *root, const char *const *argv)
{
    char log[] = "/tmp/weir-git-XXXXXX";
    int fd = mkstemp(log);
    out[0] = 0;
    if (fd < 0) return;
    close(fd);
    wr_proc_opt opt = {.argv = argv, .cwd = root, .log = log};
    wr_proc_result r = {0};
    FILE *f = wr_proc_run(&r, &opt, NULL) == 0 && r.exit_code == 0 ? fopen(log, "r") : NULL;
    if (f && !fgets(out, (int)size, f)) out[0] = 0;
    out[strcspn(out, "\n")] = 0;
    if (f) fclose(f);
    remove(log);
}

static void find_version(char *out, size_t size, const char *root)
{
    static const char *const head[] = {"git", "rev-parse", "HEAD", NULL};
    static const char *const status[] = {"git", "status", "--porcelain", "--untracked-files=no", NULL};
    char commit[72], dirty[64];
    const char *inherited = getenv("WEIR_CODE_VERSION");
    if (inherited && inherited[0]) {
        snprintf(out, size, "%s", inherited);
        return;
    }
    git_line(commit, sizeof commit, root, head);
    if (strlen(commit) == 40 || strlen(commit) == 64) { /* SHA-1, SHA-256 */
        git_line(dirty, sizeof dirty, root, status);
        snprintf(out, size, "git:%s%s", commit, dirty[0] ? "+dirty" : "");
    } else {
        snprintf(out, size, "weir:%s", WEIR_VERSION);
    }
}

const char *wr_run_code_version(wr_project *p)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards version until it is set */
    static char version[128];                                 /* of this process's project; computed once */
    pthread_mutex_lock(&mutex);
    if (!version[0]) find_version(version, sizeof version, wr_project_root(p));
    pthread_mutex_unlock(&mutex);
    return version;
}
