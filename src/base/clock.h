/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h - time. Wall time is microseconds since 1970 UTC (int64), as in Parquet and Delta. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"

#define WR_US 1000000LL
#define WR_DAY_US (86400LL * WR_US)

int64_t wr_clock_wall_us(void);
int64_t wr_clock_mono_ns(void);
double wr_clock_cpu_s(void);                                   /* user + system, all threads, without children */

/* "2001-06-14", "2001-06-14 13:05", "2001-06-14T13:05:07.250Z", with offset "+02:00"; no zone means UTC. */
int wr_time_parse(int64_t *out_us, wr_str s, wr_err *err);
/* RFC 3339 UTC: "2001-06-14T13:05:07Z", fraction only when not zero. `out` of at least WR_TIME_TEXT bytes. */
#define WR_TIME_TEXT 32
void wr_time_format(char *out, int64_t us);

typedef struct { int year, month, day, hour, minute, second, weekday /* Monday 0 */, yearday /* 0..365 */; } wr_civil;
void wr_time_civil(wr_civil *out, int64_t us);                 /* proleptic Gregorian, UTC */
/* Midnight. Month 13 is January of the next year, day 0 the day before the first; saturates. */
int64_t wr_time_from_civil(int year, int month, int day);
