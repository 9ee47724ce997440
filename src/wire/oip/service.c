/* SPDX-License-Identifier: Apache-2.0 */
/* service.c - the server and its models, in the words of Triton. */
#include "wire/oip/service.h"

#include <stdio.h>

void wr_oip_error_text(wr_buf *out, const wr_err *e)
{
    wr_buf_str(out, e->msg[0] ? e->msg : wr_err_text(e->code));
    if (e->detail[0]) wr_buf_printf(out, ": %s", e->detail);
    if (e->hint[0]) wr_buf_printf(out, " (%s)", e->hint);
}

/* ---- models ---- */

static void unknown_model(wr_str name, wr_str version, wr_err *e)
{
    bool ready = e->code == WEIR_ENOTFOUND; /* not ready is another matter */
    char before[sizeof e->msg];
    name = wr_str_fit(name, 120);
    version = wr_str_fit(version, 40);
    snprintf(before, sizeof before, "%s", e->msg);
    snprintf(e->msg, sizeof e->msg, "Request for unknown model: '%.*s'%s%.*s is not %s", WR_STR_FMT(name),
             version.n ? " version " : "", WR_STR_FMT(version), ready ? "found" : "at ready state");
    if (!ready && !e->detail[0]) snprintf(e->detail, sizeof e->detail, "%s", before);
}

int wr_oip_take_model(wr_oip_model *out, const wr_oip_ops *ops, wr_str name, wr_str version, wr_arena *a, wr_err *err)
{
    int rc = ops->model(ops->ctx, out, name, version, a, err);
    if (rc == WEIR_ENOTFOUND || rc == WEIR_EUNAVAILABLE) unknown_model(name, version, err);
    return rc;
}

const wr_str *wr_oip_versions(size_t *n, const wr_oip_model *m, wr_str version)
{
    bool all = m->versions && !version.n;
    *n = all ? m->nversions : m->version.n > 0;
    return all ? m->versions : &m->version;
}

int wr_oip_find_stats(wr_stats_entry **out, size_t *n, const wr_oip_ops *ops, wr_str name, wr_str version, wr_arena *a,
                      wr_err *err)
{
    if (!ops->stats) return wr_err_set(err, WEIR_EUNSUPPORTED, "the server does not support model statistics");
    int rc = ops->stats(ops->ctx, out, n, name, version, a, err);
    if (rc == WEIR_ENOTFOUND)
        wr_err_wrap(err, rc, "requested model '%.*s' is not available", WR_STR_FMT(wr_str_fit(name, 120)));
    return rc;
}

/* ---- the server ---- */

size_t wr_oip_extensions(const char *out[WR_OIP_EXTENSIONS], const wr_oip *o, const wr_oip_ops *ops)
{
    static const char *const always[] = {"classification",     "model_configuration", "schedule_policy",
                                         "binary_tensor_data", "parameters",          "logging"};
    size_t n = sizeof always / sizeof *always;
    memcpy(out, always, sizeof always);
    if (ops->load) out[n++] = "model_repository";
    if (ops->stats) out[n++] = "statistics";
    if (wr_oip_options(o)->shared_memory) out[n++] = "system_shared_memory";
    return n;
}

/* ---- load and unload ---- */

int wr_oip_load_parameter(bool *config, wr_str key, wr_err *err)
{
    *config = wr_str_is(key, "config");
    if (wr_str_starts(key, "file:")) {
        wr_err_set(err, WEIR_EUNSUPPORTED, "failed to poll from model repository: files of a model are not taken from requests");
        return wr_err_hint(err, WEIR_EUNSUPPORTED, "put '%.*s' into the repository's folder and load it again",
                           WR_STR_FMT(wr_str_fit(wr_str_sub(key, 5, key.n), 80)));
    }
    if (*config || wr_str_is(key, "unload_dependents")) return 0; /* no model depends on another */
    return wr_err_set(err, WEIR_EINVAL, "unknown parameter '%.*s'", WR_STR_FMT(wr_str_fit(key, 80)));
}

int wr_oip_may_control(const wr_oip_ops *ops, bool load, wr_err *err)
{
    if (load ? ops->load != NULL : ops->unload != NULL) return 0;
    wr_err_set(err, WEIR_EUNSUPPORTED, "explicit model load / unload is not allowed");
    return wr_err_hint(err, WEIR_EUNSUPPORTED, "this server has no model repository");
}

int wr_oip_uncontrolled(bool load, wr_str name, wr_err *err)
{
    if (wr_str_starts(wr_str_of(err->msg), load ? "failed to load" : "failed to unload")) return err->code;
    return wr_err_wrap(err, err->code, "failed to %s '%.*s'", load ? "load" : "unload",
                       WR_STR_FMT(wr_str_fit(name, 120)));
}

int wr_oip_control(const wr_oip_ops *ops, bool load, wr_str name, wr_str config, wr_err *err)
{
    int rc = load ? ops->load(ops->ctx, name, config, err) : ops->unload(ops->ctx, name, err);
    return rc < 0 ? wr_oip_uncontrolled(load, name, err) : 0;
}
