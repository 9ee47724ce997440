/* SPDX-License-Identifier: Apache-2.0 */
/* ort.c - the C interface of ONNX Runtime: one environment a process, sessions, tensors there and back. */
#include "predict/ort.h"

#include "base/mem.h"

#ifndef WEIR_ONNXRUNTIME_PATH

static int off(wr_err *err)
{
    wr_err_set(err, WEIR_EUNAVAILABLE, "ONNX Runtime is not available");
    wr_err_detail(err, WEIR_EUNAVAILABLE, "the program was built without it");
    return wr_err_hint(err, WEIR_EUNAVAILABLE, "run tools/setup with a network and build again");
}

int wr_ort_load(wr_err *err) { return off(err); }
bool wr_ort_identity(char *out, size_t size)
{
    (void)out;
    (void)size;
    return false;
}
const char *wr_ort_version(void) { return ""; }
int wr_ort_open(wr_ort **out, const wr_onnx_model *m, wr_err *err)
{
    (void)out;
    (void)m;
    return off(err);
}
void wr_ort_free(wr_ort *s) { (void)s; }
int wr_ort_run(const wr_ort *s, wr_tensor *out, const bool *want, const wr_tensor *in, wr_arena *a, wr_err *err)
{
    (void)s;
    (void)out;
    (void)want;
    (void)in;
    (void)a;
    return off(err);
}

#else

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <onnxruntime_c_api.h>

#include "base/log.h"
#include "base/os.h"
#include "predict/onnx_inside.h"

/* The library keeps some bytes for good that nothing points to: not ours to find. */
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#define THEIRS(on) ((on) ? __lsan_disable() : __lsan_enable())
#else
#define THEIRS(on) ((void)(on))
#endif

enum { API = 21 }; /* of the header; the table only grows, so newer libraries have it */

/* Guards the statics below. Rank: leaf, nothing is locked inside. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const OrtApi *api;
static OrtEnv *env;
static OrtMemoryInfo *cpu;
static char version[32];

/* ---- errors ---- */

static int code_of(OrtErrorCode c, const char *text, bool opening)
{
    if (opening && (strstr(text, "nsupported model IR version") || strstr(text, "pset") || c == ORT_NOT_IMPLEMENTED))
        return WEIR_EUNSUPPORTED;
    if (opening) return WEIR_ECORRUPT;
    return c == ORT_INVALID_ARGUMENT ? WEIR_EINVAL : c == ORT_NOT_IMPLEMENTED ? WEIR_EUNSUPPORTED : WEIR_EINTERNAL;
}

/* Takes the status away. Texts begin with places in the library's source, which say nothing to a user. */
static int failed(OrtStatus *s, bool opening, const char *what, wr_err *err)
{
    const char *text = api->GetErrorMessage(s), *end = strstr(text, ") ");
    if (text[0] == '/' && end) text = end + 2;
    wr_str line = wr_str_fit(wr_str_trim(wr_str_of(text)), 600);
    int rc = code_of(api->GetErrorCode(s), text, opening);
    wr_err_set(err, rc, "%s", what);
    wr_err_detail(err, rc, "ONNX Runtime %s: %.*s", version, WR_STR_FMT(line));
    if (rc == WEIR_EUNSUPPORTED) wr_err_hint(err, rc, "export the model for an older operator set or IR version");
    api->ReleaseStatus(s);
    return rc;
}

/* ---- the library ---- */

static int unavailable(wr_err *err, const char *why)
{
    wr_err_set(err, WEIR_EUNAVAILABLE, "ONNX Runtime is not available");
    wr_err_detail(err, WEIR_EUNAVAILABLE, "%s", why ? why : "libonnxruntime.so.1 was not found");
    return wr_err_hint(err, WEIR_EUNAVAILABLE,
                       "put libonnxruntime.so.1 beside the program or set WEIR_ONNXRUNTIME to its path");
}

static const char *library_path(char *room, size_t size)
{
    const char *path = getenv("WEIR_ONNXRUNTIME");
    if (path && *path) return path;
    const char *exe = wr_os_exe(), *slash = exe ? strrchr(exe, '/') : NULL;
    static const char *const beside[] = {"libonnxruntime.so.1", "../lib/weir/libonnxruntime.so.1"};
    for (size_t i = 0; slash && i < sizeof beside / sizeof *beside; i++) {
        int n = snprintf(room, size, "%.*s/%s", (int)(slash - exe), exe, beside[i]);
        if (n > 0 && (size_t)n < size && access(room, R_OK) == 0) return room;
    }
    return WEIR_ONNXRUNTIME_PATH;
}

bool wr_ort_identity(char *out, size_t size)
{
    char room[PATH_MAX];
    struct stat st;
    const char *path = library_path(room, sizeof room);
    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode)) return false;
    int n = snprintf(out, size, "%s %lld %lld.%09ld", path, (long long)st.st_size, (long long)st.st_mtim.tv_sec,
                     st.st_mtim.tv_nsec);
    return n > 0 && (size_t)n < size;
}

static void ORT_API_CALL to_log(void *ctx, OrtLoggingLevel level, const char *category, const char *id,
                                const char *where, const char *text)
{
    (void)ctx;
    (void)category;
    (void)id;
    (void)where;
    wr_log(level >= ORT_LOGGING_LEVEL_WARNING ? WR_LOG_INFO : WR_LOG_DEBUG, "ONNX Runtime: %s",
           text); /* errors come back as status too */
}

static int start_locked(wr_err *err)
{
    OrtStatus *s = api->CreateEnvWithCustomLogger(to_log, NULL, ORT_LOGGING_LEVEL_ERROR, "weir", &env);
    if (!s) s = api->DisableTelemetryEvents(env);
    if (!s) s = api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &cpu);
    return s ? failed(s, false, "ONNX Runtime does not start", err) : 0;
}

static int load_locked(wr_err *err)
{
    char room[PATH_MAX];
    void *library = dlopen(library_path(room, sizeof room), RTLD_NOW | RTLD_LOCAL);
    if (!library) return unavailable(err, dlerror());
    const OrtApiBase *(*base)(void) = NULL;
    void *p = dlsym(library, "OrtGetApiBase");
    memcpy(&base, &p, sizeof p);
    const OrtApi *table = base ? base()->GetApi(API) : NULL;
    if (!table) {
        dlclose(library);
        return unavailable(err, "the library is older than 1.21");
    }
    (void)snprintf(version, sizeof version, "%s", base()->GetVersionString());
    api = table;
    int rc = start_locked(err);
    if (rc < 0) api = NULL; /* the library stays: it may have started threads */
    return rc;
}

int wr_ort_load(wr_err *err)
{
    pthread_mutex_lock(&lock);
    THEIRS(true);
    int rc = api ? 0 : load_locked(err);
    THEIRS(false);
    pthread_mutex_unlock(&lock);
    return rc;
}

const char *wr_ort_version(void)
{
    pthread_mutex_lock(&lock);
    const char *v = api ? version : "";
    pthread_mutex_unlock(&lock);
    return v;
}

/* ---- sessions ---- */

struct wr_ort {
    OrtSession *session;
    const wr_onnx_model *model;
    char **in, **out; /* names, terminated */
    wr_arena *mem;
};

static OrtStatus *set_options(OrtSessionOptions *o, const wr_onnx_model *m)
{
    OrtStatus *s = api->SetIntraOpNumThreads(o, 1);
    if (!s) s = api->SetInterOpNumThreads(o, 1);
    if (!s) s = api->SetSessionExecutionMode(o, ORT_SEQUENTIAL);
    if (!s) s = api->SetSessionGraphOptimizationLevel(o, ORT_ENABLE_ALL);
    if (!s) s = api->SetSessionLogSeverityLevel(o, ORT_LOGGING_LEVEL_ERROR);
    if (!s) s = api->AddSessionConfigEntry(o, "session.intra_op.allow_spinning", "0");
    if (!s) s = api->AddSessionConfigEntry(o, "session.inter_op.allow_spinning", "0");
    if (!s && m->has_external && m->dir)
        s = api->AddSessionConfigEntry(o, "session.model_external_initializers_file_folder_path", m->dir);
    return s;
}

static int names(wr_ort *s, wr_err *err)
{
    const wr_onnx_model *m = s->model;
    s->in = wr_arena_calloc(s->mem, m->nin + 1, sizeof *s->in);
    s->out = wr_arena_calloc(s->mem, m->nout + 1, sizeof *s->out);
    if (!s->in || !s->out) return wr_err_nomem(err);
    for (size_t i = 0; i < m->nin; i++) s->in[i] = wr_arena_strndup(s->mem, m->in[i].name.p, m->in[i].name.n);
    for (size_t i = 0; i < m->nout; i++) s->out[i] = wr_arena_strndup(s->mem, m->out[i].name.p, m->out[i].name.n);
    return wr_arena_failed(s->mem) ? wr_err_nomem(err) : 0;
}

static int open_session(wr_ort *s, wr_err *err)
{
    wr_str bytes;
    OrtSessionOptions *options = NULL;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return wr_err_nomem(err);
    WR_TRY(names(s, err));
    WR_TRY(wr_onnx_model_plain(&bytes, s->model, a, err));
    OrtStatus *status = api->CreateSessionOptions(&options);
    if (!status) status = set_options(options, s->model);
    if (!status) status = api->CreateSessionFromArray(env, bytes.p, bytes.n, options, &s->session);
    if (options) api->ReleaseSessionOptions(options);
    if (!status) return 0;
    char what[96];
    (void)snprintf(what, sizeof what, "an ONNX model (IR %lld, operator set %lld) cannot be loaded",
                   (long long)s->model->ir_version, (long long)s->model->opset);
    return failed(status, true, what, err);
}

int wr_ort_open(wr_ort **out, const wr_onnx_model *m, wr_err *err)
{
    WR_TRY(wr_ort_load(err));
    wr_ort *s = wr_calloc(1, sizeof *s);
    if (!s) return wr_err_nomem(err);
    s->model = m;
    s->mem = wr_arena_new(0);
    int rc = s->mem ? open_session(s, err) : wr_err_nomem(err);
    if (rc < 0) {
        wr_ort_free(s);
        return rc;
    }
    *out = s;
    return 0;
}

void wr_ort_free(wr_ort *s)
{
    if (!s) return;
    if (s->session) api->ReleaseSession(s->session);
    wr_arena_free(s->mem);
    wr_free(s);
}

/* ---- tensors ---- */

static OrtStatus *text_in(OrtValue **out, const wr_tensor *t)
{
    OrtAllocator *alloc;
    OrtStatus *s = api->GetAllocatorWithDefaultOptions(&alloc);
    if (!s)
        s = api->CreateTensorAsOrtValue(alloc, t->shape, (size_t)t->ndims, ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING, out);
    for (size_t i = 0; !s && i < t->count; i++) {
        char *room;
        wr_str v = ((const wr_str *)t->data)[i];
        s = api->GetResizedStringTensorElementBuffer(*out, i, v.n, &room);
        if (!s && v.n) memcpy(room, v.p, v.n);
    }
    return s;
}

static OrtStatus *tensor_in(OrtValue **out, const wr_tensor *t)
{
    static int64_t nothing;
    if (t->type == WR_TENSOR_BYTES) return text_in(out, t);
    void *data = t->data ? t->data : &nothing;
    return api->CreateTensorWithDataAsOrtValue(cpu, data, t->count * wr_tensor_type_size(t->type), t->shape,
                                               (size_t)t->ndims,
                                               (ONNXTensorElementDataType)wr_onnx_type_number(t->type), out);
}

static OrtStatus *text_out(wr_tensor *t, const OrtValue *v, wr_arena *a, wr_err *err, int *rc)
{
    size_t n = 0;
    OrtStatus *s = api->GetStringTensorDataLength(v, &n);
    if (s) return s;
    char *text = wr_arena_alloc(a, n + 1);
    size_t *at = wr_arena_alloc(a, (t->count + 1) * sizeof *at);
    *rc = text && at ? wr_tensor_alloc(t, a, err) : wr_err_nomem(err);
    if (*rc < 0 || t->count == 0) return NULL;
    s = api->GetStringTensorContent(v, text, n, at, t->count);
    at[t->count] = n;
    for (size_t i = 0; !s && i < t->count; i++) ((wr_str *)t->data)[i] = (wr_str){text + at[i], at[i + 1] - at[i]};
    return s;
}

static OrtStatus *shape_out(wr_tensor *t, const OrtValue *v, int *rc, wr_err *err)
{
    OrtTensorTypeAndShapeInfo *info = NULL;
    ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    size_t nd = 0;
    OrtStatus *s = api->GetTensorTypeAndShape(v, &info);
    if (!s) s = api->GetTensorElementType(info, &type);
    if (!s) s = api->GetDimensionsCount(info, &nd);
    if (!s && nd <= WR_TENSOR_DIMS) s = api->GetDimensions(info, t->shape, nd);
    if (info) api->ReleaseTensorTypeAndShapeInfo(info);
    t->ndims = (int)nd;
    t->type = wr_onnx_type((uint64_t)type);
    if (!s && (nd > WR_TENSOR_DIMS || t->type == WR_TENSOR_NONE))
        *rc = wr_err_set(err, WEIR_EUNSUPPORTED, "an output has too many dimensions or a type that is not supported");
    return s;
}

static int tensor_out(wr_tensor *t, const OrtValue *v, wr_arena *a, wr_err *err)
{
    int rc = 0, is_tensor = 0;
    void *data = NULL;
    OrtStatus *s = api->IsTensor(v, &is_tensor);
    if (!s && !is_tensor) return wr_err_set(err, WEIR_EUNSUPPORTED, "an output is no tensor");
    if (!s) s = shape_out(t, v, &rc, err);
    if (!s && rc == 0) rc = wr_tensor_count(t, err);
    if (!s && rc == 0 && t->type == WR_TENSOR_BYTES) {
        s = text_out(t, v, a, err, &rc);
    } else if (!s && rc == 0) {
        rc = wr_tensor_alloc(t, a, err);
        if (rc == 0) s = api->GetTensorMutableData((OrtValue *)(uintptr_t)v, &data);
        if (!s && rc == 0 && t->count) memcpy(t->data, data, t->count * wr_tensor_type_size(t->type));
    }
    return s ? failed(s, false, "an output cannot be read", err) : rc;
}

typedef struct {
    OrtValue **in, **out;
    const char **in_names, **out_names;
    size_t *which;
    size_t nin, nout;
} call;

static int run_call(const wr_ort *s, call *c, wr_tensor *out, wr_arena *a, wr_err *err)
{
    OrtStatus *status =
        api->Run(s->session, NULL, c->in_names, (const OrtValue *const *)c->in, c->nin, c->out_names, c->nout, c->out);
    if (status) return failed(status, false, "the model could not be run", err);
    for (size_t i = 0; i < c->nout; i++) {
        wr_tensor *t = &out[c->which[i]];
        *t = (wr_tensor){.name = s->model->out[c->which[i]].name};
        WR_TRY(tensor_out(t, c->out[i], a, err));
    }
    return 0;
}

int wr_ort_run(const wr_ort *s, wr_tensor *out, const bool *want, const wr_tensor *in, wr_arena *a, wr_err *err)
{
    const wr_onnx_model *m = s->model;
    size_t n = m->nin + m->nout;
    call c = {.in = wr_arena_calloc(a, n + 1, sizeof(OrtValue *)),
              .in_names = wr_arena_calloc(a, n + 1, sizeof(char *)),
              .which = wr_arena_calloc(a, m->nout + 1, sizeof(size_t))};
    if (!c.in || !c.in_names || !c.which) return wr_err_nomem(err);
    c.out = c.in + m->nin;
    c.out_names = c.in_names + m->nin;
    OrtStatus *status = NULL;
    for (size_t i = 0; !status && i < m->nin; i++) {
        if (in[i].type == WR_TENSOR_NONE) continue;
        c.in_names[c.nin] = s->in[i];
        status = tensor_in(&c.in[c.nin++], &in[i]);
    }
    for (size_t i = 0; i < m->nout; i++) {
        if (want && !want[i]) continue;
        c.which[c.nout] = i;
        c.out_names[c.nout++] = s->out[i];
    }
    int rc = status ? failed(status, false, "an input cannot be handed over", err) : run_call(s, &c, out, a, err);
    for (size_t i = 0; i < n; i++)
        if (c.in[i]) api->ReleaseValue(c.in[i]);
    return rc;
}

#endif
