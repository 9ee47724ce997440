/* SPDX-License-Identifier: Apache-2.0 */
/* log.h - log lines to stderr (or a sink): level, UTC time, message. Warnings are what the user should know but need
 * not act on. */
#pragma once

typedef enum { WR_LOG_DEBUG, WR_LOG_INFO, WR_LOG_WARN, WR_LOG_ERROR } wr_log_level;

void wr_log_set_level(wr_log_level least); /* default WR_LOG_WARN; env WEIR_LOG=debug|info|warn|error */
wr_log_level wr_log_get_level(void);
void wr_log_set_sink(void (*sink)(void *ctx, wr_log_level level, const char *line), void *ctx); /* NULL = stderr */
/* The line has no newline, control characters are escaped, and it is cut at 2 KiB. One line at a time reaches the sink;
 * what the sink itself logs is dropped, and it must not call wr_log_set_sink(). Thread-safe; keeps errno. */
void wr_log(wr_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define wr_debug(...) wr_log(WR_LOG_DEBUG, __VA_ARGS__)
#define wr_info(...) wr_log(WR_LOG_INFO, __VA_ARGS__)
#define wr_warn(...) wr_log(WR_LOG_WARN, __VA_ARGS__)
