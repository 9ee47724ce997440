/* SPDX-License-Identifier: Apache-2.0 */
/* weir.h - logging a training run from C (and from whatever can call C) to Weir or any MLflow server.
 *
 *   weir_run *run;
 *   if (weir_run_start(&run, &(weir_run_options){.experiment = "churn"}) < 0) ...
 *   weir_log_param(run, "rate", "0.1");
 *   for (int64_t step = 0; step < n; step++) weir_log_metric(run, "loss", loss, step);
 *   weir_run_end(run, WEIR_RUN_FINISHED, 5000);
 *
 * Training never waits: a call copies its values into a buffer and returns (some 100 ns); a thread writes them to a spool file and sends
 * them on. While the server is away, restarts or refuses, they stay in the spool and go on later: in this process, in the next one that
 * starts a run with the same spool folder, or by weir_spool_send(). What was spooled survives the end of the process, however it ends;
 * what is still in the buffer (at most 100 ms of it) does not. When the buffer is full, values are dropped and counted, never waited for.
 * A value may reach the server twice; the server keeps it once.
 *
 * Threads: every function may be called from any thread, weir_run_end() once and last. All strings are copied. Functions that return int
 * return 0, or a negative WEIR_E code of the list below.
 */
#ifndef WEIR_WEIR_H
#define WEIR_WEIR_H
#include <stddef.h>
#include <stdint.h>
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif
#ifdef __cplusplus
extern "C" {
#endif

enum {
    WEIR_CLIENT_ENOMEM = -1,
    WEIR_CLIENT_EINVAL = -2,   /* a key or an option that cannot be */
    WEIR_CLIENT_EIO = -5,      /* the spool cannot be written */
    WEIR_CLIENT_EFULL = -8,    /* the buffer is full: dropped, and counted */
    WEIR_CLIENT_ELATER = -15   /* not all has reached the server; it stays in the spool */
};

typedef struct weir_run weir_run;

typedef struct weir_run_options {
    const char *url;        /* http://HOST:PORT or https://...; NULL: $MLFLOW_TRACKING_URI, else http://127.0.0.1:8080 */
    const char *token;      /* bearer token; NULL: $MLFLOW_TRACKING_TOKEN */
    const char *experiment; /* made when it is not there; NULL: $MLFLOW_EXPERIMENT_NAME, else "Default" */
    const char *name;       /* of the run; NULL: the server makes one */
    const char *run_id;     /* go on with a run that is there; NULL: $MLFLOW_RUN_ID, else a new one */
    const char *spool;      /* folder; NULL: $WEIR_SPOOL, else $XDG_STATE_HOME/weir/spool, else ~/.local/state/weir/spool */
    size_t buffer;          /* bytes of the buffer; 0 = 8 MiB */
} weir_run_options;

typedef enum weir_run_status { WEIR_RUN_FINISHED = 3, WEIR_RUN_FAILED = 4, WEIR_RUN_KILLED = 5 } weir_run_status;

/* Needs the spool folder, not the server. `options` may be NULL. */
int weir_run_start(weir_run **out, const weir_run_options *options);
const char *weir_run_id(const weir_run *run); /* 32 hexadecimal digits */

int weir_log_metric(weir_run *run, const char *key, double value, int64_t step);
int weir_log_metric_at(weir_run *run, const char *key, double value, int64_t step, int64_t time_ms);
int weir_log_param(weir_run *run, const char *key, const char *value);
int weir_set_tag(weir_run *run, const char *key, const char *value);

/* Wait until all that was logged so far has been acknowledged, at most timeout_ms (negative: for ever). */
int weir_run_flush(weir_run *run, int timeout_ms);
/* The same with the run's end; frees `run` whatever it returns. */
int weir_run_end(weir_run *run, weir_run_status status, int timeout_ms);

typedef struct weir_run_counts { uint64_t logged, acknowledged, dropped, refused; } weir_run_counts; /* values */
void weir_run_counters(const weir_run *run, weir_run_counts *out);
/* What went wrong last, "" when nothing did; at most `size` bytes with the NUL. */
void weir_run_last_error(const weir_run *run, char *out, size_t size);

/* Send what runs that ended or died have left in the spool (NULL: as above). `left` (may be NULL): files that stay. */
int weir_spool_send(const char *spool, int timeout_ms, size_t *left);

#ifdef __cplusplus
}
#endif
#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#endif
