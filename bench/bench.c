/* SPDX-License-Identifier: Apache-2.0 */
/* bench.c - weir_bench: one benchmark a call, or the report over their results. bench/run calls it. */
#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "codec/json.h"

double wr_bench_median(double *x, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        for (size_t j = i; j > 0 && x[j] < x[j - 1]; j--) {
            double swap = x[j];
            x[j] = x[j - 1];
            x[j - 1] = swap;
        }
    }
    return n % 2 ? x[n / 2] : n ? (x[n / 2 - 1] + x[n / 2]) / 2 : NAN;
}

size_t wr_bench_size(size_t full, size_t least)
{
    const char *text = getenv("WEIR_BENCH_SCALE");
    double scale = 1;
    if (text && (wr_num_f64(&scale, wr_str_of(text), NULL) < 0 || !(scale > 0 && scale <= 1000))) scale = 1;
    size_t n = (size_t)((double)full * scale);
    return n > least ? n : least;
}

char *wr_bench_folder(void)
{
    const char *tmp = getenv("TMPDIR");
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/weir-bench-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (n < 0 || (size_t)n >= sizeof path || !mkdtemp(path)) {
        perror("weir_bench: temporary folder");
        return NULL;
    }
    return strdup(path);
}

static void print_line(FILE *out, wr_buf *text)
{
    wr_buf_char(text, '\n');
    if (!text->failed) (void)fwrite(text->p, 1, text->n, out);
    (void)fflush(out);
}

void wr_bench_write(FILE *out, const wr_bench_entry *e)
{
    WR_AUTOBUF wr_buf text = {0};
    wr_jsonw w;
    wr_buf_init(&text, 0);
    wr_jsonw_init(&w, &text, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_kstr(&w, "name", e->name);
    wr_jsonw_kstr(&w, "unit", e->unit);
    wr_jsonw_kf64(&w, "ours", e->ours);
    wr_jsonw_kstr(&w, "peer", e->peer);
    wr_jsonw_kf64(&w, "theirs", e->theirs);
    wr_jsonw_kf64(&w, "ratio", e->more ? e->ours / e->theirs : e->theirs / e->ours);
    wr_jsonw_kstr(&w, "how", e->how);
    wr_jsonw_end(&w);
    print_line(out, &text);
}

void wr_bench_skip(FILE *out, const char *name, const char *why)
{
    WR_AUTOBUF wr_buf text = {0};
    wr_jsonw w;
    wr_buf_init(&text, 0);
    wr_jsonw_init(&w, &text, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_kstr(&w, "name", name);
    wr_jsonw_kstr(&w, "skipped", why);
    wr_jsonw_end(&w);
    print_line(out, &text);
}

static int usage(void)
{
    (void)fputs("usage: weir_bench trees | durable | track | start WEIR | idle WEIR | report OUT.json FILE...\n", stderr);
    return 64;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    int rc;
    if (strcmp(what, "trees") == 0 && argc == 2) rc = wr_bench_trees(stdout);
    else if (strcmp(what, "durable") == 0 && argc == 2) rc = wr_bench_durable(stdout);
    else if (strcmp(what, "track") == 0 && argc == 2) rc = wr_bench_track(stdout);
    else if (strcmp(what, "start") == 0 && argc == 3) rc = wr_bench_start(stdout, argv[2]);
    else if (strcmp(what, "idle") == 0 && argc == 3) rc = wr_bench_idle(stdout, argv[2]);
    else if (strcmp(what, "report") == 0 && argc > 3) rc = wr_bench_report(argv[2], argv + 3, argc - 3);
    else return usage();
    return rc == 0 && fflush(stdout) == 0 ? 0 : 2;
}
