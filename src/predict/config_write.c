/* SPDX-License-Identifier: Apache-2.0 */
/* config_write.c - a ModelConfig as Triton's server writes it: every field that it writes, with its defaults. Clients
 * read max_batch_size, inputs and outputs; what has no meaning here stands there so that their parsers find it. */
#include "predict/config.h"

static void dims(wr_jsonw *w, const char *key, const int64_t *d, int n)
{
    wr_jsonw_key(w, key);
    wr_jsonw_arr(w);
    for (int i = 0; i < n; i++) wr_jsonw_i64(w, d[i]);
    wr_jsonw_end(w);
}

static void data_type(wr_jsonw *w, wr_tensor_type t)
{
    char text[32] = "TYPE_";
    const char *name = t == WR_TENSOR_BYTES ? "STRING" : wr_tensor_type_name(t);
    memcpy(text + 5, name, strlen(name) + 1);
    wr_jsonw_kstr(w, "data_type", text);
}

static void tensor(wr_jsonw *w, const wr_tensor_spec *s, const wr_config_map *m, const wr_config_tensor *t, bool in,
                   int first)
{
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "name", s->name);
    data_type(w, s->type);
    if (in) wr_jsonw_kstr(w, "format", "FORMAT_NONE");
    dims(w, "dims", s->shape + first, s->ndims - first);
    if (m->has_reshape) {
        wr_jsonw_key(w, "reshape");
        wr_jsonw_obj(w);
        dims(w, "shape", m->reshape, m->nreshape);
        wr_jsonw_end(w);
    }
    if (!in) wr_jsonw_kslice(w, "label_filename", t ? t->label_file : WR_STR(""));
    wr_jsonw_kbool(w, "is_shape_tensor", false);
    if (in) wr_jsonw_kbool(w, "allow_ragged_batch", false);
    if (in) wr_jsonw_kbool(w, "optional", s->optional);
    wr_jsonw_kbool(w, "is_non_linear_format_io", false);
    wr_jsonw_end(w);
}

static void tensors(wr_jsonw *w, const wr_config *c, const wr_config_fit *f, bool in)
{
    size_t n = in ? f->nin : f->nout;
    const wr_config_tensor *t = in ? c->in : c->out;
    wr_jsonw_key(w, in ? "input" : "output");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < n; i++)
        tensor(w, in ? &f->in[i] : &f->out[i], in ? &f->in_map[i] : &f->out_map[i],
               (in ? c->nin : c->nout) ? &t[i] : NULL, in, f->c.max_batch > 0);
    wr_jsonw_end(w);
}

static void open_object(wr_jsonw *w, const char *key)
{
    wr_jsonw_key(w, key);
    wr_jsonw_obj(w);
}

static void empty(wr_jsonw *w, const char *key, bool list)
{
    wr_jsonw_key(w, key);
    if (list) wr_jsonw_arr(w);
    else wr_jsonw_obj(w);
    wr_jsonw_end(w);
}

static void version_policy(wr_jsonw *w, const wr_config *c)
{
    static const char *const names[] = {"latest", "all", "specific"};
    open_object(w, "version_policy");
    open_object(w, names[c->policy]);
    if (c->policy == WR_POLICY_LATEST) wr_jsonw_ki64(w, "num_versions", c->latest);
    if (c->policy == WR_POLICY_SPECIFIC) {
        wr_jsonw_key(w, "versions");
        wr_jsonw_arr(w);
        for (size_t i = 0; i < c->nversions; i++) wr_jsonw_i64(w, c->versions[i]);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

static void optimization(wr_jsonw *w)
{
    open_object(w, "optimization");
    wr_jsonw_kstr(w, "priority", "PRIORITY_DEFAULT");
    open_object(w, "input_pinned_memory");
    wr_jsonw_kbool(w, "enable", false);
    wr_jsonw_end(w);
    open_object(w, "output_pinned_memory");
    wr_jsonw_kbool(w, "enable", false);
    wr_jsonw_end(w);
    wr_jsonw_ki64(w, "gather_kernel_buffer_threshold", 0);
    wr_jsonw_kbool(w, "eager_batching", false);
    wr_jsonw_end(w);
}

static void batching(wr_jsonw *w, const wr_config_fit *f)
{
    open_object(w, "dynamic_batching");
    wr_jsonw_key(w, "preferred_batch_size");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < WR_PREFERRED_BATCHES && f->c.preferred[i]; i++) wr_jsonw_i64(w, f->c.preferred[i]);
    wr_jsonw_end(w);
    wr_jsonw_ki64(w, "max_queue_delay_microseconds", f->c.delay_us);
    wr_jsonw_kbool(w, "preserve_ordering", false);
    wr_jsonw_ki64(w, "priority_levels", 0);
    wr_jsonw_ki64(w, "default_priority_level", 0);
    if (f->c.queue_max) {
        open_object(w, "default_queue_policy");
        wr_jsonw_kstr(w, "timeout_action", "REJECT");
        wr_jsonw_ki64(w, "default_timeout_microseconds", 0);
        wr_jsonw_kbool(w, "allow_timeout_override", false);
        wr_jsonw_ki64(w, "max_queue_size", f->c.queue_max);
        wr_jsonw_end(w);
    }
    empty(w, "priority_queue_policy", false);
    wr_jsonw_end(w);
}

static void instance_group(wr_jsonw *w, const char *name, int64_t count)
{
    wr_jsonw_key(w, "instance_group");
    wr_jsonw_arr(w);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "name", name);
    wr_jsonw_kstr(w, "kind", "KIND_CPU");
    wr_jsonw_ki64(w, "count", count);
    empty(w, "gpus", true);
    empty(w, "secondary_devices", true);
    empty(w, "profile", true);
    wr_jsonw_kbool(w, "passive", false);
    wr_jsonw_kstr(w, "host_policy", "");
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

void wr_config_write(wr_buf *out, const wr_config *c, const wr_config_fit *f, const wr_predictor *p, const char *name)
{
    wr_jsonw w;
    wr_jsonw_init(&w, out, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_kstr(&w, "name", name);
    if (c->platform.n) wr_jsonw_kslice(&w, "platform", c->platform);
    else wr_jsonw_kstr(&w, "platform", p->platform);
    wr_jsonw_kslice(&w, "backend", c->backend.n ? c->backend : WR_STR("weir"));
    wr_jsonw_kstr(&w, "runtime", "");
    version_policy(&w, c);
    wr_jsonw_ki64(&w, "max_batch_size", f->c.max_batch);
    tensors(&w, c, f, true);
    tensors(&w, c, f, false);
    empty(&w, "batch_input", true);
    empty(&w, "batch_output", true);
    optimization(&w);
    if (c->c.batching) batching(&w, f);
    instance_group(&w, name, f->c.instances);
    wr_jsonw_kslice(&w, "default_model_filename", c->model_file.n ? c->model_file : WR_STR(""));
    empty(&w, "cc_model_filenames", false);
    empty(&w, "metric_tags", false);
    wr_jsonw_key(&w, "parameters");
    if (c->parameters) {
        wr_jsonw_val(&w, c->parameters);
    } else {
        wr_jsonw_obj(&w);
        wr_jsonw_end(&w);
    }
    empty(&w, "model_warmup", true);
    if (f->c.cache) {
        open_object(&w, "response_cache");
        wr_jsonw_kbool(&w, "enable", true);
        wr_jsonw_end(&w);
    }
    wr_jsonw_end(&w);
}
