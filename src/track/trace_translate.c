/* SPDX-License-Identifier: Apache-2.0 */
/* trace_translate.c - attributes of other conventions in the words of MLflow, and previews. One row a convention; the
 * first that says something counts. */
#include <stdlib.h>

#include "base/num.h"
#include "codec/json.h"
#include "track/run.h"
#include "track/trace_inside.h"

enum { KINDS = 16, KEYS = 6 };
typedef struct {
    const char *kind_key, *kinds[2 * KINDS]; /* word, type, word, type, ..., NULL */
    const char *tokens[5];                   /* input, output, total, cache read, cache creation */
    const char *inputs[KEYS], *outputs[KEYS], *models[KEYS], *provider, *tools;
} convention;

static const convention conventions[] = {
    {/* OpenInference */
     "openinference.span.kind",
     {"TOOL",      "TOOL",      "CHAIN",     "CHAIN",     "LLM",       "LLM",      "RETRIEVER",
      "RETRIEVER", "EMBEDDING", "EMBEDDING", "AGENT",     "AGENT",     "RERANKER", "RERANKER",
      "UNKNOWN",   "UNKNOWN",   "GUARDRAIL", "GUARDRAIL", "EVALUATOR", "EVALUATOR"},
     {"llm.token_count.prompt", "llm.token_count.completion", "llm.token_count.total",
      "llm.token_count.prompt_details.cache_read", "llm.token_count.prompt_details.cache_write"},
     {"input.value"},
     {"output.value"},
     {"llm.response.model_name", "llm.model_name", "llm.request.model_name", "embedding.model_name"},
     "llm.provider",
     NULL},
    {/* OpenTelemetry, generative AI */
     "gen_ai.operation.name",
     {"chat", "CHAT_MODEL", "create_agent", "AGENT", "embeddings", "EMBEDDING", "execute_tool", "TOOL",
      "generate_content", "LLM", "invoke_agent", "AGENT", "text_completion", "LLM", "response", "LLM"},
     {"gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", NULL, "gen_ai.usage.cache_read.input_tokens",
      "gen_ai.usage.cache_write.input_tokens"},
     {"gen_ai.input.messages", "gen_ai.tool.call.arguments"},
     {"gen_ai.output.messages", "gen_ai.tool.call.result"},
     {"gen_ai.response.model", "gen_ai.request.model"},
     "gen_ai.provider.name",
     "gen_ai.tool.definitions"},
    {/* Traceloop */
     "traceloop.span.kind",
     {"workflow", "WORKFLOW", "task", "TASK", "agent", "AGENT", "tool", "TOOL", "unknown", "UNKNOWN"},
     {"gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens", "llm.usage.total_tokens"},
     {"traceloop.entity.input"},
     {"traceloop.entity.output"},
     {0},
     "gen_ai.system",
     NULL},
    {/* Google ADK */
     NULL,
     {0},
     {0},
     {"gcp.vertex.agent.llm_request", "gcp.vertex.agent.tool_call_args"},
     {"gcp.vertex.agent.llm_response", "gcp.vertex.agent.tool_response"},
     {0},
     NULL,
     NULL},
    {/* Vercel AI */
     "ai.operationId",
     {"ai.generateText",
      "LLM",
      "ai.generateText.doGenerate",
      "LLM",
      "ai.toolCall",
      "TOOL",
      "ai.streamText",
      "LLM",
      "ai.streamText.doStream",
      "LLM",
      "ai.generateObject",
      "LLM",
      "ai.generateObject.doGenerate",
      "LLM",
      "ai.streamObject",
      "LLM",
      "ai.streamObject.doStream",
      "LLM",
      "ai.embed",
      "EMBEDDING",
      "ai.embed.doEmbed",
      "EMBEDDING",
      "ai.embedMany",
      "EMBEDDING"},
     {0},
     {"ai.prompt", "ai.toolCall.args", "ai.value", "ai.values"},
     {"ai.response.text", "ai.toolCall.result", "ai.response.object", "ai.embedding", "ai.embeddings"},
     {0},
     NULL,
     NULL},
    {/* Laminar */
     "lmnr.span.type",
     {"LLM", "LLM", "TOOL", "TOOL", "DEFAULT", "CHAIN", "PIPELINE", "CHAIN", "EXECUTOR", "AGENT", "EVALUATOR",
      "EVALUATOR", "HUMAN_EVALUATOR", "EVALUATOR", "EVALUATION", "EVALUATOR", "CACHED", "LLM"},
     {0},
     {"lmnr.span.input"},
     {"lmnr.span.output"},
     {0},
     NULL,
     NULL},
    {/* Langfuse */
     "langfuse.observation.type",
     {"generation", "LLM", "embedding", "EMBEDDING", "tool", "TOOL", "retriever", "RETRIEVER", "agent", "AGENT",
      "chain", "CHAIN", "evaluator", "EVALUATOR", "guardrail", "GUARDRAIL", "span", "UNKNOWN"},
     {0},
     {"langfuse.observation.input"},
     {"langfuse.observation.output"},
     {0},
     NULL,
     NULL},
};
enum { CONVENTIONS = sizeof conventions / sizeof *conventions };

/* Says nothing: null, false, 0, "", [], {}. */
static bool hollow(wr_str json)
{
    static const char *const nothing[] = {"null", "false", "0", "0.0", "\"\"", "[]", "{}"};
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++)
        if (wr_str_is(json, nothing[i])) return true;
    return json.n == 0;
}

static wr_str first_of(const wr_span_attrs *attrs, const char *const *keys, size_t n)
{
    for (size_t i = 0; i < n && keys[i]; i++) {
        wr_str v = wr_span_attr(attrs, keys[i]);
        if (v.p && !hollow(v)) return v;
    }
    return (wr_str){NULL, 0};
}

static int set_text(wr_span_attrs *attrs, wr_arena *a, const char *key, wr_str text, wr_err *err)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_span_json_str(&b, text);
    return b.failed ? wr_err_nomem(err) : wr_span_attr_set(attrs, a, key, wr_buf_view(&b), err);
}

static int translate_type(wr_span_attrs *attrs, wr_arena *a, wr_err *err)
{
    wr_str now = wr_span_attr_text(a, wr_span_attr(attrs, "mlflow.spanType"));
    if (now.n && !wr_str_is(now, "null") && !wr_str_is(now, "UNKNOWN")) return 0;
    for (size_t c = 0; c < CONVENTIONS; c++) {
        wr_str kind = conventions[c].kind_key ? wr_span_attr(attrs, conventions[c].kind_key) : (wr_str){NULL, 0};
        if (!kind.p) continue;
        kind = wr_span_attr_text(a, kind);
        for (size_t k = 0; k + 1 < 2 * KINDS && conventions[c].kinds[k]; k += 2)
            if (wr_str_is(kind, conventions[c].kinds[k]))
                return set_text(attrs, a, "mlflow.spanType", wr_str_of(conventions[c].kinds[k + 1]), err);
    }
    return 0;
}

/* A number, or a text that is one. */
static bool count_of(int64_t *out, wr_arena *a, const wr_span_attrs *attrs, const char *key)
{
    wr_str v = key ? wr_span_attr(attrs, key) : (wr_str){NULL, 0};
    return v.p && wr_num_i64(out, wr_span_attr_text(a, v), NULL) == 0;
}

static int translate_usage(wr_span_attrs *attrs, wr_arena *a, wr_err *err)
{
    if (wr_span_attr(attrs, "mlflow.chat.tokenUsage").p) return 0;
    for (size_t c = 0; c < CONVENTIONS; c++) {
        int64_t v[5] = {0};
        bool has[5], any = false;
        WR_AUTOBUF wr_buf b = {0};
        for (size_t i = 0; i < 5; i++) has[i] = count_of(&v[i], a, attrs, conventions[c].tokens[i]);
        if (c == 1 && !has[4])
            has[4] = count_of(&v[4], a, attrs, "gen_ai.usage.cache_creation.input_tokens"); /* older name */
        if (!has[2] && has[0] && has[1]) has[2] = !__builtin_add_overflow(v[0], v[1], &v[2]);
        if (!has[0] && !has[1] && !has[2]) continue;
        for (size_t i = 0; i < 5; i++) {
            if (!has[i]) continue;
            wr_buf_printf(&b, "%s\"%s\": %lld", any ? ", " : "{", wr_token_names[i], (long long)v[i]);
            any = true;
        }
        wr_buf_char(&b, '}');
        return b.failed ? wr_err_nomem(err)
                        : wr_span_attr_set(attrs, a, "mlflow.chat.tokenUsage", wr_buf_view(&b), err);
    }
    return 0;
}

/* The member "model" of inputs or outputs, when they are objects. */
static wr_str model_of(wr_arena *a, wr_str json)
{
    WR_AUTOJSON wr_json j = {0};
    if (!json.n || *json.p != '{' || !memmem(json.p, json.n, "\"model\"", 7)) return (wr_str){NULL, 0};
    if (wr_json_parse_lenient(&j, json, NULL) < 0) return (wr_str){NULL, 0};
    yyjson_val *v = yyjson_obj_get(j.root, "model");
    if (!yyjson_is_str(v) || !yyjson_get_len(v)) return (wr_str){NULL, 0};
    return wr_arena_str(a, (wr_str){yyjson_get_str(v), yyjson_get_len(v)});
}

static int translate_model(wr_span_attrs *attrs, wr_arena *a, wr_err *err)
{
    wr_str found = {NULL, 0};
    if (wr_span_attr(attrs, "mlflow.llm.model").p) return 0;
    for (size_t c = 0; c < CONVENTIONS && !found.p; c++) found = first_of(attrs, conventions[c].models, KEYS);
    if (found.p) found = wr_span_attr_text(a, found);
    if (!found.p) found = model_of(a, wr_span_attr(attrs, "mlflow.spanInputs"));
    if (!found.p) found = model_of(a, wr_span_attr(attrs, "mlflow.spanOutputs"));
    return found.p ? set_text(attrs, a, "mlflow.llm.model", found, err) : 0;
}

/* Do any attributes come from elsewhere? Spans of MLflow's own clients have nothing to translate but the model. */
static bool foreign(const wr_span_attrs *attrs)
{
    static const char *const prefixes[] = {"llm.",   "openinference.", "gen_ai.",   "traceloop.",
                                           "input.", "output.",        "gcp.",      "ai.",
                                           "lmnr.",  "langfuse.",      "embedding."};
    for (size_t i = 0; i < attrs->n; i++)
        for (size_t k = 0; k < sizeof prefixes / sizeof *prefixes; k++)
            if (wr_str_starts(attrs->at[i].key, prefixes[k])) return true;
    return false;
}

int wr_span_translate(wr_span_attrs *attrs, wr_arena *a, wr_err *err)
{
    static const struct {
        const char *key;
        size_t at; /* of the list of keys */
        size_t n;
    } copies[] = {{"mlflow.spanInputs", offsetof(convention, inputs), KEYS},
                  {"mlflow.spanOutputs", offsetof(convention, outputs), KEYS},
                  {"mlflow.llm.provider", offsetof(convention, provider), 1},
                  {"mlflow.chat.tools", offsetof(convention, tools), 1}};
    if (foreign(attrs)) {
        WR_TRY(translate_type(attrs, a, err));
        for (size_t i = 0; i < sizeof copies / sizeof *copies; i++) {
            wr_str found = {NULL, 0};
            if (wr_span_attr(attrs, copies[i].key).p) continue;
            for (size_t c = 0; c < CONVENTIONS && !found.p; c++)
                found =
                    first_of(attrs, (const char *const *)((const char *)&conventions[c] + copies[i].at), copies[i].n);
            if (found.p) WR_TRY(wr_span_attr_set(attrs, a, copies[i].key, found, err));
        }
        WR_TRY(translate_usage(attrs, a, err));
    }
    return translate_model(attrs, a, err);
}

/* ---- previews ---- */

static bool is_message(yyjson_val *v) { return yyjson_obj_get(v, "role") && yyjson_obj_get(v, "content"); }

/* The messages of a chat request or answer, as OpenAI's interfaces have them. */
static yyjson_val *messages_of(yyjson_val *obj)
{
    static const char *const names[] = {"messages", "choices", "input", "output"};
    for (int nested = 0; nested < 8 && yyjson_is_obj(obj); nested++) {
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            yyjson_val *list = yyjson_obj_get(obj, names[i]), *first = yyjson_arr_get_first(list);
            if (!first) continue;
            if (i != 1) return list;
            if (is_message(yyjson_obj_get(first, "message"))) return yyjson_obj_get(first, "message");
        }
        obj = yyjson_obj_get(obj, "request");
    }
    return NULL;
}

/* The last with that role, else the last of all. */
static yyjson_val *last_message(yyjson_val *list, const char *role)
{
    yyjson_val *v, *last = NULL, *of_role = NULL;
    size_t i, max;
    if (yyjson_is_obj(list)) return list;
    yyjson_arr_foreach(list, i, max, v)
    {
        if (!is_message(v)) continue;
        last = v;
        if (yyjson_equals_str(yyjson_obj_get(v, "role"), role)) of_role = v;
    }
    return of_role ? of_role : last;
}

static wr_str text_of(yyjson_val *message)
{
    yyjson_val *content = yyjson_obj_get(message, "content"), *v;
    size_t i, max;
    if (yyjson_is_str(content)) return (wr_str){yyjson_get_str(content), yyjson_get_len(content)};
    yyjson_arr_foreach(content, i, max, v)
    {
        yyjson_val *type = yyjson_obj_get(v, "type"), *text = yyjson_is_str(v) ? v : yyjson_obj_get(v, "text");
        bool fits = yyjson_is_str(v) || yyjson_equals_str(type, "text") || yyjson_equals_str(type, "output_text");
        if (fits && yyjson_is_str(text)) return (wr_str){yyjson_get_str(text), yyjson_get_len(text)};
    }
    return (wr_str){NULL, 0};
}

wr_str wr_span_preview(wr_arena *a, wr_str json, const char *role)
{
    WR_AUTOJSON wr_json j = {0};
    wr_str text = {NULL, 0};
    if (json.n && *json.p == '{' && wr_json_parse_lenient(&j, json, NULL) == 0)
        text = text_of(last_message(messages_of(j.root), role));
    if (!text.n) text = json;
    wr_str cut = wr_track_cut(text, WR_TRACE_PREVIEW);
    if (cut.n == text.n) return wr_arena_str(a, text);
    cut = wr_track_cut(text, WR_TRACE_PREVIEW - 3);
    char *shown = wr_arena_printf(a, "%.*s...", WR_STR_FMT(cut));
    return shown ? wr_str_of(shown) : (wr_str){NULL, 0};
}
