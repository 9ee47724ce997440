/* SPDX-License-Identifier: Apache-2.0 */
/* package_card.c - card.md: what a person should know about the model (Mitchell et al., "Model Cards for Model
 * Reporting", 2019).
 *
 * Names and values stand in backticks, so nothing that came from outside is read as Markdown or HTML.
 */
#include "codec/json.h"
#include "core/package_files.h"
#include "core/view_ops.h"

static void code(wr_buf *out, wr_str s)
{
    wr_buf_char(out, '`');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '|') wr_buf_char(out, '\\'); /* would end the cell of a table, also in backticks */
        wr_buf_char(out, c == '`' ? '\'' : c < 0x20 ? ' ' : (char)c);
    }
    wr_buf_char(out, '`');
}

static void code_text(wr_buf *out, const char *s) { code(out, wr_str_of(s)); }

/* ---- data and features ---- */

static void value_rule(wr_buf *out, const wr_view_value *value)
{
    code_text(out, value->of);
    if (value->has_above) wr_buf_printf(out, " above %g (1 or 0)", value->above);
    if (value->has_clip) wr_buf_printf(out, " kept within %g and %g", value->clip_lo, value->clip_hi);
}

static void data(wr_buf *out, const wr_view *v)
{
    wr_buf_str(out, "\n## Data\n\n- Feature view ");
    code_text(out, v->name);
    wr_buf_printf(out, " (%.12s) over dataset ", v->hash);
    code_text(out, v->source);
    wr_buf_str(out, ", predicted at ");
    code_text(out, v->time);
    wr_buf_char(out, '\n');
    if (v->label) {
        wr_buf_str(out, "- Predicts ");
        code_text(out, v->label);
        wr_buf_str(out, ": ");
        value_rule(out, &v->label_of);
        wr_buf_char(out, '\n');
    }
    if (v->known_at) {
        wr_buf_str(out, "- The truth is known at ");
        code_text(out, v->known_at);
        wr_buf_char(out, '\n');
    }
    if (!v->event_source) return;
    wr_buf_str(out, "- Aggregates are made of ");
    code_text(out, v->event_source);
    wr_buf_str(out, ", each event known from ");
    code_text(out, v->event_time);
    wr_buf_str(out, " on\n");
}

static void key_list(wr_buf *out, const char *word, char *const *key, int n)
{
    for (int i = 0; i < n; i++) {
        wr_buf_str(out, i ? ", " : word);
        code_text(out, key[i]);
    }
}

static void feature(wr_buf *out, const wr_package_parts *parts, size_t j)
{
    const wr_view *v = parts->view;
    const wr_view_feature *f = wr_package_feature(parts, j);
    wr_buf_str(out, "| ");
    code_text(out, f->name);
    wr_buf_printf(out, " | %s", f->op->name);
    if (f->of) {
        wr_buf_str(out, " of ");
        code_text(out, f->of);
    }
    if (f->op->input == WR_VIEW_WINDOW) {
        const wr_view_group *g = &v->groups[f->group];
        wr_buf_printf(out, " over %g h", (double)f->over_us / 3.6e9);
        key_list(out, ", events with ", g->key, g->nkey);
        key_list(out, " like the row's ", f->key, f->nkey);
    }
    wr_buf_str(out, " | ");
    if (f->category) wr_buf_printf(out, "%zu categories", parts->dict[j].n);
    else wr_buf_str(out, "number");
    wr_buf_str(out, " |\n");
}

/* ---- tables of JSON objects ---- */

typedef bool (*wanted)(wr_str key);

static bool is_footprint(wr_str key)
{
    static const char *const starts[] = {"energy", "carbon", "co2", "gco2", "cpu_s", "wall_s"};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        if (wr_str_starts(key, starts[i])) return true;
    }
    return false;
}

static bool is_metric(wr_str key) { return !is_footprint(key); }

static void cell(wr_buf *out, yyjson_val *v)
{
    WR_AUTOBUF wr_buf text;
    wr_jsonw w;
    wr_buf_init(&text, 4096);
    wr_jsonw_init(&w, &text, 0);
    if (yyjson_is_str(v)) wr_buf_add(&text, yyjson_get_str(v), yyjson_get_len(v));
    else wr_jsonw_val(&w, v);
    code(out, text.failed ? WR_STR("see weir.json") : wr_buf_view(&text));
}

static int table(wr_buf *out, const char *title, const char *json, wanted want, wr_err *err)
{
    WR_AUTOJSON wr_json j;
    WR_TRY(wr_json_parse(&j, wr_str_of(json ? json : "{}"), title, err));
    size_t i, n, rows = 0;
    yyjson_val *key, *v;
    yyjson_obj_foreach(j.root, i, n, key, v)
    {
        wr_str name = {yyjson_get_str(key), yyjson_get_len(key)};
        if (want && !want(name)) continue;
        if (rows++ == 0) wr_buf_printf(out, "\n## %s\n\n| | |\n|---|---|\n", title);
        wr_buf_str(out, "| ");
        code(out, name);
        wr_buf_str(out, " | ");
        cell(out, v);
        wr_buf_str(out, " |\n");
    }
    return 0;
}

/* ---- the card ---- */

static void head(wr_buf *out, const wr_package_parts *parts)
{
    wr_buf_str(out, "# Model card: ");
    code_text(out, parts->name);
    wr_buf_str(out, "\n\n- Created ");
    code_text(out, parts->created);
    if (parts->run_id && parts->run_id[0]) {
        wr_buf_str(out, " by run ");
        code_text(out, parts->run_id);
    }
    wr_buf_printf(out, "\n- Learner: gradient-boosted decision trees, %d trees on %zu features\n",
                  wr_trees_count(parts->trees), parts->nuse);
    wr_buf_str(
        out,
        "\n## Intended use\n\n_To be written by the owner of the model: what it is for, what it must not be used for, "
        "and whom its mistakes would harm._\n");
}

int wr_package_write_card(wr_buf *out, const wr_package_parts *parts, wr_err *err)
{
    head(out, parts);
    data(out, parts->view);
    wr_buf_str(out, "\n## Features\n\n| feature | made of | kind |\n|---|---|---|\n");
    for (size_t j = 0; j < parts->nuse; j++) feature(out, parts, j);
    wr_buf_str(out, "\nMissing inputs are allowed; a category that was not seen in training counts as \"unknown\".\n");
    WR_TRY(table(out, "Metrics", parts->metrics_json, is_metric, err));
    WR_TRY(table(out, "Footprint", parts->metrics_json, is_footprint, err));
    WR_TRY(table(out, "Options of the learner", parts->options_json, NULL, err));
    WR_TRY(table(out, "Made from", parts->parents_json, NULL, err));
    return out->failed ? wr_err_nomem(err) : 0;
}
