/* SPDX-License-Identifier: Apache-2.0 */
/* study_time.c - Optuna's times have no zone: they are the local ones of the machine that wrote them. Here they are
 * UTC. */
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "track/study.h"

int wr_study_local_parse(int64_t *out_us, wr_str text, wr_err *err)
{
    int64_t us;
    wr_civil c;
    WR_TRY(wr_time_parse(&us, text, err)); /* as if it were UTC */
    int64_t part = us % WR_US < 0 ? us % WR_US + WR_US : us % WR_US;
    wr_time_civil(&c, us);
    struct tm tm = {.tm_year = c.year - 1900,
                    .tm_mon = c.month - 1,
                    .tm_mday = c.day,
                    .tm_hour = c.hour,
                    .tm_min = c.minute,
                    .tm_sec = c.second,
                    .tm_isdst = -1};
    /* cannot fail: years have four digits */
    *out_us = (int64_t)mktime(&tm) * WR_US + part;
    return 0;
}

void wr_study_local_text(char out[WR_STUDY_TIME_TEXT], int64_t us)
{
    int64_t part = us % WR_US < 0 ? us % WR_US + WR_US : us % WR_US;
    time_t t = (time_t)((us - part) / WR_US);
    struct tm tm = {0};
    if (!localtime_r(&t, &tm)) tm = (struct tm){.tm_year = 70, .tm_mday = 1};
    snprintf(out, WR_STUDY_TIME_TEXT, "%04u-%02u-%02u %02u:%02u:%02u.%06u", (unsigned)(tm.tm_year + 1900) % 10000u,
             (unsigned)(tm.tm_mon + 1) % 100u, (unsigned)tm.tm_mday % 100u, (unsigned)tm.tm_hour % 100u,
             (unsigned)tm.tm_min % 100u, (unsigned)tm.tm_sec % 100u, (unsigned)part % 1000000u);
}
