/* SPDX-License-Identifier: Apache-2.0 */
/* log.c - one line a message, written with one write(2). Control characters are escaped, so that text from outside
 * cannot forge a line or drive the terminal. Never allocates; keeps errno. */
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

enum { LINE_MAX_ = 2048, LEVEL_UNSET = -1 };

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static atomic_int least_level = LEVEL_UNSET;

/* Guards sink and sink_ctx, and keeps lines whole. Rank: last; nothing is locked while it is held. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void (*sink)(void *ctx, wr_log_level level, const char *line);
static void *sink_ctx;
static _Thread_local bool inside; /* a sink that logs would wait for itself */

void wr_log_set_level(wr_log_level least) { atomic_store(&least_level, (int)least); }

void wr_log_set_sink(void (*to)(void *ctx, wr_log_level level, const char *line), void *ctx)
{
    pthread_mutex_lock(&lock);
    sink = to;
    sink_ctx = ctx;
    pthread_mutex_unlock(&lock);
}

static int threshold(void)
{
    int level = atomic_load_explicit(&least_level, memory_order_relaxed);
    if (level != LEVEL_UNSET) return level;
    wr_str name = wr_str_of(getenv("WEIR_LOG"));
    level = WR_LOG_WARN;
    for (int i = 0; i < 4; i++) {
        if (wr_str_ieq(name, level_names[i])) level = i;
    }
    int unset = LEVEL_UNSET; /* wr_log_set_level() may have come in between */
    return atomic_compare_exchange_strong(&least_level, &unset, level) ? level : unset;
}

wr_log_level wr_log_get_level(void) { return (wr_log_level)threshold(); }

/* Appends text to line[*n], escaped; what does not fit is left out and marked with "...". */
static void append_escaped(char *line, size_t *n, size_t cap, wr_str text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        char esc[8] = {(char)c, 0};
        if (c == '\n') {
            snprintf(esc, sizeof esc, "\\n");
        } else if ((c < 0x20 && c != '\t') || c == 0x7F) {
            snprintf(esc, sizeof esc, "\\x%02x", c);
        }
        size_t add = strlen(esc);
        if (*n + add + 4 > cap) { /* "..." and NUL */
            line[*n] = (char)c;   /* tells whether a character is being cut */
            *n = wr_str_fit((wr_str){line, *n + 1}, *n).n;
            memcpy(line + *n, "...", 3);
            *n += 3;
            return;
        }
        memcpy(line + *n, esc, add);
        *n += add;
    }
}

static void write_stderr(const char *p, size_t n)
{
    while (n) {
        ssize_t done = write(STDERR_FILENO, p, n);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return;
        p += done;
        n -= (size_t)done;
    }
}

static void deliver(wr_log_level level, char *line, size_t n)
{
    if (inside) return;
    inside = true;
    pthread_mutex_lock(&lock);
    if (sink) {
        line[n] = 0;
        sink(sink_ctx, level, line);
    } else {
        line[n] = '\n';
        write_stderr(line, n + 1);
    }
    pthread_mutex_unlock(&lock);
    inside = false;
}

void wr_log(wr_log_level level, const char *fmt, ...)
{
    if ((int)level < threshold()) return;
    int saved = errno;
    char text[LINE_MAX_], line[LINE_MAX_], when[WR_TIME_TEXT];
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    wr_str message = {text, len < 0 ? 0 : (size_t)len < sizeof text ? (size_t)len : sizeof text - 1};
    wr_time_format(when, wr_clock_wall_us());
    size_t n = (size_t)snprintf(line, sizeof line, "%-5s %s ", level_names[level], when);
    append_escaped(line, &n, sizeof line, message);
    deliver(level, line, n);
    errno = saved;
}
