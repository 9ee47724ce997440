/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_settings.c - the log's level, and tracing, of which there is none. */
#include "wire/oip/grpc_inside.h"

/* Calls `one` for each entry of the map in field 1 whose value is there. */
static int settings(const wr_oip_rpc *c, int (*one)(void *ctx, wr_str key, wr_pb *value, wr_err *err), void *ctx,
                    wr_err *err)
{
    wr_pb r, sub;
    wr_pb_field f, key, value;
    int rc = 0;
    wr_pb_init(&r, c->in->message);
    while (rc == 0 && wr_pb_next(&r, &f)) {
        if (f.number != 1) continue;
        wr_pb_entry(&key, &value, &r, &f);
        if (!key.number || !value.number) continue;
        wr_str name = wr_pb_str(&r, &key);
        wr_pb_enter(&sub, &r, &value);
        rc = one(ctx, name, &sub, err);
    }
    return rc < 0 ? rc : wr_pb_end(&r, "settings", err);
}

/* ---- tracing ---- */

static int trace_setting(void *ctx, wr_str key, wr_pb *value, wr_err *err)
{
    wr_pb_field f;
    bool level;
    (void)ctx;
    WR_TRY(wr_oip_trace_setting(&level, key, err));
    while (wr_pb_next(value, &f))
        if (f.number == 1 && level) WR_TRY(wr_oip_trace_level(wr_pb_str(value, &f), err));
    return 0;
}

int wr_oip_rpc_trace(wr_oip_rpc *c, wr_err *err)
{
    WR_TRY(settings(c, trace_setting, NULL, err));
    for (size_t i = 0; wr_oip_trace_settings[i][0]; i++) {
        size_t entry = wr_oip_open_entry(c->b, 1, wr_str_of(wr_oip_trace_settings[i][0]));
        size_t value = wr_pbw_open(c->b, 2);
        wr_pbw_str(c->b, 1, wr_str_of(wr_oip_trace_settings[i][1]));
        wr_pbw_close(c->b, value);
        wr_pbw_close(c->b, entry);
    }
    return 0;
}

/* ---- logging ---- */

static int log_value(wr_oip_log *l, wr_oip_log_kind kind, wr_str key, wr_pb *r, const wr_pb_field *f, wr_err *err)
{
    static const uint32_t choices[] = {[WR_OIP_LOG_FLAG] = 1, [WR_OIP_LOG_VERBOSE] = 2, [WR_OIP_LOG_FORMAT] = 3};
    if (kind == WR_OIP_LOG_OTHER) return 0;
    if (f->number != choices[kind])
        return wr_err_set(err, WEIR_EINVAL, "expect %s for '%.*s'",
                          kind == WR_OIP_LOG_FLAG      ? "bool_param"
                          : kind == WR_OIP_LOG_VERBOSE ? "uint32_param"
                                                       : "string_param",
                          WR_STR_FMT(key));
    if (kind == WR_OIP_LOG_FLAG) return wr_oip_log_flag(l, key, wr_pb_bool(r, f), err);
    if (kind == WR_OIP_LOG_FORMAT) return wr_oip_log_format(wr_pb_str(r, f), err);
    l->verbose = wr_pb_u64(r, f) > 0;
    return 0;
}

static int log_setting(void *ctx, wr_str key, wr_pb *value, wr_err *err)
{
    wr_oip_log_kind kind;
    wr_pb_field f;
    WR_TRY(wr_oip_log_setting(&kind, key, err));
    while (wr_pb_next(value, &f)) WR_TRY(log_value(ctx, kind, key, value, &f, err));
    return 0;
}

static void put_flag(wr_buf *b, const char *key, bool on)
{
    size_t entry = wr_oip_open_entry(b, 1, wr_str_of(key)), value = wr_pbw_open(b, 2);
    wr_pbw_bool(b, 1, on);
    wr_pbw_close(b, value);
    wr_pbw_close(b, entry);
}

static void put_text(wr_buf *b, const char *key, const char *text)
{
    size_t entry = wr_oip_open_entry(b, 1, wr_str_of(key)), value = wr_pbw_open(b, 2);
    wr_pbw_str(b, 3, wr_str_of(text));
    wr_pbw_close(b, value);
    wr_pbw_close(b, entry);
}

int wr_oip_rpc_log(wr_oip_rpc *c, wr_err *err)
{
    wr_oip_log l = wr_oip_log_get();
    WR_TRY(settings(c, log_setting, &l, err));
    wr_oip_log_set(&l);
    put_text(c->b, "log_file", "");
    put_flag(c->b, "log_info", l.info);
    put_flag(c->b, "log_warning", l.warning);
    put_flag(c->b, "log_error", true);
    size_t entry = wr_oip_open_entry(c->b, 1, WR_STR("log_verbose_level")), value = wr_pbw_open(c->b, 2);
    wr_pbw_u64(c->b, 2, l.verbose);
    wr_pbw_close(c->b, value);
    wr_pbw_close(c->b, entry);
    put_text(c->b, "log_format", "ISO8601");
    return 0;
}
