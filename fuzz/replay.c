/* SPDX-License-Identifier: Apache-2.0 */
/* replay.c - a fuzz target as an ordinary test: every file of a corpus folder goes once through its entry.
 *
 * Usage: fuzz_NAME CORPUS-OR-FILE... Each input lies in a block of exactly its size, so that a sanitizer sees a read of
 * one byte too far. The name is printed before the input is tried: a crash leaves the culprit as the last line. Exit 1
 * when a file cannot be read, a folder holds none, or nothing is named.
 * A target may define wr_fuzz_done(), called after a folder: false, having said which, when the corpus leaves out what
 * it must reach.
 */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
bool wr_fuzz_done(void) __attribute__((weak));

enum { INPUT_MAX = 1 << 24 };

static bool complain(const char *path, const char *why)
{
    (void)fprintf(stderr, "replay: \"%s\": %s\n", path, why);
    return false;
}

static bool feed(FILE *f, const char *path, size_t size)
{
    uint8_t *data = malloc(size ? size : 1);
    bool whole = data && fread(data, 1, size, f) == size;
    if (whole) { (void)LLVMFuzzerTestOneInput(data, size); }
    free(data);
    return whole || complain(path, data ? "cannot be read" : "out of memory");
}

static bool replay_file(const char *path)
{
    struct stat st;
    FILE *f = fopen(path, "rb");
    if (!f) return complain(path, strerror(errno));
    bool ok = fstat(fileno(f), &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= INPUT_MAX;
    if (ok) {
        (void)printf("%s\n", path);
        (void)fflush(stdout);
        ok = feed(f, path, (size_t)st.st_size);
    } else {
        (void)complain(path, "not a file of at most 16 MiB");
    }
    (void)fclose(f);
    return ok;
}

static bool replay_folder(const char *path, DIR *dir)
{
    bool ok = true;
    int files = 0;
    for (const struct dirent *e; (e = readdir(dir));) {
        char file[4096];
        if (e->d_name[0] == '.') continue;
        int n = snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        if (n < 0 || (size_t)n >= sizeof file) return complain(path, "the name is too long");
        ok = replay_file(file) && ok;
        files++;
    }
    if (files && ok && wr_fuzz_done) ok = wr_fuzz_done() || complain(path, "leaves out what it must reach");
    return files ? ok : complain(path, "an empty corpus tests nothing");
}

int main(int argc, char **argv)
{
    bool ok = argc > 1 || complain("", "name a corpus");
    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        ok = (dir ? replay_folder(argv[i], dir) : replay_file(argv[i])) && ok;
        if (dir) (void)closedir(dir);
    }
    return ok ? 0 : 1;
}
