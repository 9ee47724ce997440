/* SPDX-License-Identifier: Apache-2.0 */
/* levels.c - the paths of settings: /v2/logging, /v2/trace/setting. */
#include "wire/oip/inside.h"

static bool read_or_write(wr_oip_call *c) { return wr_str_is(c->in->method, "POST") || wr_oip_method(c, "GET"); }

/* The members of a body that is an object, or empty. */
static int members(wr_oip_call *c, int (*member)(void *ctx, wr_jscan *s, wr_str key), void *ctx)
{
    wr_jscan s;
    bool first;
    wr_str key;
    int more;
    if (!wr_str_is(c->in->method, "POST") || !wr_str_trim(c->in->body).n) return 0;
    wr_jscan_init(&s, c->in->body, c->arena, &c->err);
    WR_TRY(wr_jscan_open(&s, '{', &first));
    while ((more = wr_jscan_member(&s, &first, &key)) == 1) {
        if (wr_jscan_word(&s, "null")) continue; /* as it is */
        WR_TRY(member(ctx, &s, key));
    }
    return more < 0 ? more : wr_jscan_end(&s);
}

/* ---- logging ---- */

static int log_member(void *ctx, wr_jscan *s, wr_str key)
{
    wr_oip_log_kind kind;
    wr_jnumber n;
    wr_str text;
    WR_TRY(wr_oip_log_setting(&kind, key, s->err));
    if (kind == WR_OIP_LOG_OTHER) return wr_jscan_skip(s, NULL);
    if (kind == WR_OIP_LOG_FORMAT) {
        WR_TRY(wr_jscan_str(s, &text));
        return wr_oip_log_format(text, s->err);
    }
    if (kind == WR_OIP_LOG_VERBOSE) {
        WR_TRY(wr_jscan_number(s, &n));
        if (!n.whole || n.minus)
            return wr_err_set(s->err, WEIR_EINVAL, "log_verbose_level is not a whole number from 0 on");
        ((wr_oip_log *)ctx)->verbose = n.magnitude > 0;
        return 0;
    }
    bool on = wr_jscan_word(s, "true");
    if (!on && !wr_jscan_word(s, "false"))
        return wr_err_set(s->err, WEIR_EINVAL, "'%.*s' is not true or false", WR_STR_FMT(key));
    return wr_oip_log_flag(ctx, key, on, s->err);
}

void wr_oip_logging(wr_oip_call *c)
{
    if (!read_or_write(c)) return;
    wr_oip_log l = wr_oip_log_get();
    if (members(c, log_member, &l) < 0) {
        wr_oip_fail_with(c, &c->err);
        return;
    }
    wr_oip_log_set(&l);
    wr_jsonw_obj(&c->w);
    wr_jsonw_kstr(&c->w, "log_file", "");
    wr_jsonw_kbool(&c->w, "log_info", l.info);
    wr_jsonw_kbool(&c->w, "log_warning", l.warning);
    wr_jsonw_kbool(&c->w, "log_error", true);
    wr_jsonw_ki64(&c->w, "log_verbose_level", l.verbose);
    wr_jsonw_kstr(&c->w, "log_format", "ISO8601");
    wr_jsonw_end(&c->w);
}

/* ---- tracing ---- */

static int trace_levels(wr_jscan *s)
{
    bool first;
    wr_str text;
    int more;
    WR_TRY(wr_jscan_open(s, '[', &first));
    while ((more = wr_jscan_item(s, &first)) == 1) {
        WR_TRY(wr_jscan_str(s, &text));
        WR_TRY(wr_oip_trace_level(text, s->err));
    }
    return more;
}

static int trace_member(void *ctx, wr_jscan *s, wr_str key)
{
    bool level;
    (void)ctx;
    WR_TRY(wr_oip_trace_setting(&level, key, s->err));
    return level ? trace_levels(s) : wr_jscan_skip(s, NULL);
}

void wr_oip_trace(wr_oip_call *c)
{
    if (!read_or_write(c)) return;
    if (members(c, trace_member, NULL) < 0) {
        wr_oip_fail_with(c, &c->err);
        return;
    }
    wr_jsonw_obj(&c->w);
    for (size_t i = 0; wr_oip_trace_settings[i][0]; i++) {
        wr_jsonw_key(&c->w, wr_oip_trace_settings[i][0]);
        if (i == 0) wr_jsonw_arr(&c->w);
        wr_jsonw_cstr(&c->w, wr_oip_trace_settings[i][1]);
        if (i == 0) wr_jsonw_end(&c->w);
    }
    wr_jsonw_end(&c->w);
}
