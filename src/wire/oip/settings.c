/* SPDX-License-Identifier: Apache-2.0 */
/* settings.c - the log's level, and tracing, of which there is none: its settings can be read, and be set to what they
 * are. */
#include "base/log.h"
#include "wire/oip/service.h"

/* ---- logging ---- */

wr_oip_log wr_oip_log_get(void)
{
    wr_log_level level = wr_log_get_level();
    return (wr_oip_log){level <= WR_LOG_DEBUG, level <= WR_LOG_INFO, level <= WR_LOG_WARN};
}

void wr_oip_log_set(wr_oip_log *now)
{
    wr_oip_log before = wr_oip_log_get();
    if (memcmp(now, &before, sizeof before) == 0) return;
    wr_log_set_level(now->verbose ? WR_LOG_DEBUG : now->info ? WR_LOG_INFO : now->warning ? WR_LOG_WARN : WR_LOG_ERROR);
    *now = wr_oip_log_get();
}

int wr_oip_log_setting(wr_oip_log_kind *out, wr_str key, wr_err *err)
{
    if (wr_str_is(key, "log_file"))
        return wr_err_set(err, WEIR_EUNSUPPORTED, "log file location can not be updated through network protocol");
    *out = wr_str_is(key, "log_info") || wr_str_is(key, "log_warning") || wr_str_is(key, "log_error") ? WR_OIP_LOG_FLAG
           : wr_str_is(key, "log_verbose_level") ? WR_OIP_LOG_VERBOSE
           : wr_str_is(key, "log_format")        ? WR_OIP_LOG_FORMAT
                                                 : WR_OIP_LOG_OTHER;
    return 0;
}

int wr_oip_log_flag(wr_oip_log *l, wr_str key, bool on, wr_err *err)
{
    if (wr_str_is(key, "log_info")) l->info = on;
    else if (wr_str_is(key, "log_warning")) l->warning = on;
    else if (!on) return wr_err_set(err, WEIR_EUNSUPPORTED, "errors are always logged");
    return 0;
}

int wr_oip_log_format(wr_str value, wr_err *err)
{
    if (wr_str_is(value, "ISO8601")) return 0;
    return wr_err_set(err, WEIR_EINVAL, "log_format is ISO8601 here, got: '%.*s'", WR_STR_FMT(wr_str_fit(value, 40)));
}

/* ---- tracing ---- */

const char *const wr_oip_trace_settings[][2] = {
    {"trace_level", "OFF"}, {"trace_rate", "0"},      {"trace_count", "-1"}, {"log_frequency", "0"},
    {"trace_file", ""},     {"trace_mode", "triton"}, {NULL, NULL}};

int wr_oip_trace_setting(bool *level, wr_str key, wr_err *err)
{
    if (wr_str_is(key, "trace_file"))
        return wr_err_set(err, WEIR_EUNSUPPORTED, "trace file location can not be updated through network protocol");
    *level = wr_str_is(key, "trace_level");
    return 0;
}

int wr_oip_trace_level(wr_str value, wr_err *err)
{
    if (wr_str_is(value, "OFF")) return 0;
    return wr_err_set(err, WEIR_EUNSUPPORTED, "the server does not support tracing");
}
