/* SPDX-License-Identifier: Apache-2.0 */
/* train.c - a training loop that logs. cc train.c -lweir; ./a.out [STEPS [STEP-MICROSECONDS]] */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "weir/weir.h"

int main(int argc, char **argv)
{
    long steps = argc > 1 ? strtol(argv[1], NULL, 10) : 1000, pause_us = argc > 2 ? strtol(argv[2], NULL, 10) : 0;
    weir_run *run;
    char why[512];
    if (weir_run_start(&run, &(weir_run_options){.experiment = "libweir", .name = "example"}) < 0) {
        fprintf(stderr, "the spool folder cannot be written, or MLFLOW_TRACKING_URI is no address\n");
        return 2;
    }
    printf("%s\n", weir_run_id(run));
    fflush(stdout);
    weir_log_param(run, "rate", "0.01");
    weir_set_tag(run, "language", "C");
    for (long i = 0; i < steps; i++) {
        weir_log_metric(run, "loss", exp(-0.01 * (double)i), i);
        if (pause_us) usleep((useconds_t)pause_us);
    }
    weir_run_counts counts;
    int rc = weir_run_flush(run, 10000);
    weir_run_counters(run, &counts);
    weir_run_last_error(run, why, sizeof why);
    fprintf(stderr, "logged %llu, acknowledged %llu, dropped %llu, refused %llu%s%s\n", (unsigned long long)counts.logged,
            (unsigned long long)counts.acknowledged, (unsigned long long)counts.dropped, (unsigned long long)counts.refused, rc < 0 ? "; " : "", rc < 0 ? why : "");
    return weir_run_end(run, WEIR_RUN_FINISHED, 10000) == 0 ? 0 : 3;
}
