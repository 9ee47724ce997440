/* SPDX-License-Identifier: Apache-2.0 */
/* settings.c - the log's level, and tracing, of which there is none: its settings can be read, and be set to what they
 * are. */
#include "base/log.h"
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

/* Triton's switches as one level: each means itself and all that is more serious. */
typedef struct {
    bool verbose, info, warning;
} switches;

static int log_member(void *ctx, wr_jscan *s, wr_str key)
{
    switches *w = ctx;
    wr_jnumber n;
    wr_str text;
    bool *flag = wr_str_is(key, "log_info") ? &w->info : wr_str_is(key, "log_warning") ? &w->warning : NULL;
    bool error = wr_str_is(key, "log_error");
    if (wr_str_is(key, "log_file"))
        return wr_err_set(s->err, WEIR_EUNSUPPORTED, "log file location can not be updated through network protocol");
    if (wr_str_is(key, "log_format")) {
        WR_TRY(wr_jscan_str(s, &text));
        if (wr_str_is(text, "ISO8601")) return 0;
        return wr_err_set(s->err, WEIR_EINVAL, "log_format is ISO8601 here, got: '%.*s'",
                          WR_STR_FMT(wr_str_fit(text, 40)));
    }
    if (wr_str_is(key, "log_verbose_level")) {
        WR_TRY(wr_jscan_number(s, &n));
        if (!n.whole || n.minus)
            return wr_err_set(s->err, WEIR_EINVAL, "log_verbose_level is not a whole number from 0 on");
        w->verbose = n.magnitude > 0;
        return 0;
    }
    if (!flag && !error) return wr_jscan_skip(s, NULL);
    bool on = wr_jscan_word(s, "true");
    if (!on && !wr_jscan_word(s, "false"))
        return wr_err_set(s->err, WEIR_EINVAL, "'%.*s' is not true or false", WR_STR_FMT(key));
    if (error && !on) return wr_err_set(s->err, WEIR_EUNSUPPORTED, "errors are always logged");
    if (flag) *flag = on;
    return 0;
}

void wr_oip_logging(wr_oip_call *c)
{
    if (!read_or_write(c)) return;
    wr_log_level level = wr_log_get_level();
    switches w = {level <= WR_LOG_DEBUG, level <= WR_LOG_INFO, level <= WR_LOG_WARN}, before = w;
    int rc = members(c, log_member, &w);
    if (rc < 0) {
        wr_oip_fail_with(c, &c->err);
        return;
    }
    if (memcmp(&w, &before, sizeof w) != 0) {
        level = w.verbose ? WR_LOG_DEBUG : w.info ? WR_LOG_INFO : w.warning ? WR_LOG_WARN : WR_LOG_ERROR;
        wr_log_set_level(level);
    }
    wr_jsonw_obj(&c->w);
    wr_jsonw_kstr(&c->w, "log_file", "");
    wr_jsonw_kbool(&c->w, "log_info", level <= WR_LOG_INFO);
    wr_jsonw_kbool(&c->w, "log_warning", level <= WR_LOG_WARN);
    wr_jsonw_kbool(&c->w, "log_error", true);
    wr_jsonw_ki64(&c->w, "log_verbose_level", level <= WR_LOG_DEBUG);
    wr_jsonw_kstr(&c->w, "log_format", "ISO8601");
    wr_jsonw_end(&c->w);
}

/* ---- tracing ---- */

static int trace_level(wr_jscan *s)
{
    bool first;
    wr_str text;
    int more;
    WR_TRY(wr_jscan_open(s, '[', &first));
    while ((more = wr_jscan_item(s, &first)) == 1) {
        WR_TRY(wr_jscan_str(s, &text));
        if (!wr_str_is(text, "OFF"))
            return wr_err_set(s->err, WEIR_EUNSUPPORTED, "the server does not support tracing");
    }
    return more;
}

static int trace_member(void *ctx, wr_jscan *s, wr_str key)
{
    (void)ctx;
    if (wr_str_is(key, "trace_file"))
        return wr_err_set(s->err, WEIR_EUNSUPPORTED, "trace file location can not be updated through network protocol");
    return wr_str_is(key, "trace_level") ? trace_level(s) : wr_jscan_skip(s, NULL);
}

void wr_oip_trace(wr_oip_call *c)
{
    if (!read_or_write(c)) return;
    if (members(c, trace_member, NULL) < 0) {
        wr_oip_fail_with(c, &c->err);
        return;
    }
    wr_jsonw_obj(&c->w);
    wr_jsonw_key(&c->w, "trace_level");
    wr_jsonw_arr(&c->w);
    wr_jsonw_cstr(&c->w, "OFF");
    wr_jsonw_end(&c->w);
    wr_jsonw_kstr(&c->w, "trace_rate", "0");
    wr_jsonw_kstr(&c->w, "trace_count", "-1");
    wr_jsonw_kstr(&c->w, "log_frequency", "0");
    wr_jsonw_kstr(&c->w, "trace_file", "");
    wr_jsonw_kstr(&c->w, "trace_mode", "triton");
    wr_jsonw_end(&c->w);
}
