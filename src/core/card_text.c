/* SPDX-License-Identifier: Apache-2.0 */
/* card_text.c - the model card as Markdown.
 *
 * Names and values stand in backticks, and in words every character that means something is escaped, so nothing that
 * came from outside is read as Markdown or HTML.
 */
#include "base/num.h"
#include "core/card_inside.h"
#include "core/package_files.h"
#include "core/view_ops.h"

/* ---- words and values ---- */

/* Plain text as Markdown that shows it: one paragraph, nothing of it is markup. */
static void prose(wr_buf *out, const char *s)
{
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '<') wr_buf_str(out, "&lt;");
        else if (c == '&') wr_buf_str(out, "&amp;");
        else if (c < 0x20 || c == 0x7F) wr_buf_char(out, ' ');
        else {
            if (strchr("\\`*_{}[]()#+!|~>", c)) wr_buf_char(out, '\\');
            wr_buf_char(out, (char)c);
        }
    }
}

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

static void view_data(wr_buf *out, const wr_view *v)
{
    wr_buf_str(out, "\n### Training Data\n\n- Feature view ");
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

typedef bool (*wanted)(wr_str key, yyjson_val *value);

static bool is_footprint(wr_str key, yyjson_val *value)
{
    (void)value;
    return wr_card_is_footprint(key);
}

/* What is no metric and no footprint: lists, texts. */
static bool is_other(wr_str key, yyjson_val *value) { return !yyjson_is_num(value) && !wr_card_is_footprint(key); }

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

/* The objects of a package, which were parsed before. */
static void table(wr_buf *out, const char *title, const char *json, wanted want)
{
    WR_AUTOJSON wr_json j = {0};
    if (wr_json_parse(&j, wr_str_of(json ? json : "{}"), title, NULL) < 0) return;
    size_t i, n, rows = 0;
    yyjson_val *key, *v;
    yyjson_obj_foreach(j.root, i, n, key, v)
    {
        wr_str name = {yyjson_get_str(key), yyjson_get_len(key)};
        if (want && !want(name, v)) continue;
        if (rows++ == 0) wr_buf_printf(out, "\n### %s\n\n| | |\n|---|---|\n", title);
        wr_buf_str(out, "| ");
        code(out, name);
        wr_buf_str(out, " | ");
        cell(out, v);
        wr_buf_str(out, " |\n");
    }
}

/* ---- sections ---- */

static void item(wr_buf *out, const char *label, const char *value)
{
    if (!value || !*value) return;
    wr_buf_printf(out, "- **%s:** ", label);
    code_text(out, value);
    wr_buf_char(out, '\n');
}

static void details(wr_buf *out, const wr_card *c)
{
    wr_buf_str(out, "\n## Model Details\n\n");
    if (c->version) wr_buf_printf(out, "- **Version:** %lld\n", (long long)c->version);
    item(out, "Aliases", c->aliases);
    item(out, "Stage", c->stage);
    item(out, "Developed by", wr_card_text(c, WR_CARD_OWNER));
    item(out, "License", wr_card_text(c, WR_CARD_LICENSE));
    if (c->parts)
        wr_buf_printf(out, "- **Model type:** %s, %d trees on %zu features\n", wr_card_family(c),
                      wr_trees_count(c->parts->trees), c->parts->nuse);
    else item(out, "Flavors", c->flavors);
    item(out, "Created", c->created);
    item(out, "Run", c->run);
    item(out, "Run by", c->user);
    item(out, "Code", c->code);
    item(out, "Package", c->package);
    item(out, "SHA-256 of all files", c->root);
    for (size_t i = 0; i < c->nreports; i++) {
        wr_buf_str(out, "- **Report** ");
        code_text(out, c->reports[i].key);
        wr_buf_str(out, ": ");
        code_text(out, c->reports[i].value);
        wr_buf_char(out, '\n');
    }
}

/* Paragraph for one item, a list for several; what is missing is asked for. */
static void words(wr_buf *out, const wr_card *c, const char *heading, wr_card_word w, const char *missing)
{
    const wr_card_list *l = &c->words[w];
    if (!l->n && !missing) return;
    wr_buf_printf(out, "\n%s\n\n", heading);
    if (!l->n) wr_buf_printf(out, "_%s_\n", missing);
    for (size_t i = 0; i < l->n; i++) {
        if (l->n > 1) wr_buf_str(out, "- ");
        prose(out, l->at[i]);
        wr_buf_char(out, '\n');
    }
}

static void uses(wr_buf *out, const wr_card *c)
{
    wr_buf_str(out, "\n## Uses\n");
    words(out, c, "### Intended Use", WR_CARD_INTENDED_USE, "To be written by the owner of the model: what it is for.");
    words(out, c, "### Users", WR_CARD_USERS, NULL);
    words(out, c, "### Out-of-Scope Use", WR_CARD_OUT_OF_SCOPE,
          "To be written by the owner of the model: what it must not be used for.");
    wr_buf_str(out, "\n## Bias, Risks, and Limitations\n");
    words(out, c, "### Limitations", WR_CARD_LIMITATIONS,
          "To be written by the owner of the model: where it is wrong, and whom its mistakes would harm.");
    words(out, c, "### Trade-offs", WR_CARD_TRADEOFFS, NULL);
    words(out, c, "### Ethical Considerations", WR_CARD_ETHICS, NULL);
}

/* What the owner says of the data. */
static void of_data(wr_buf *out, const wr_card *c)
{
    static const struct {
        wr_card_word word;
        const char *label;
    } said[] = {{WR_CARD_DATA_LICENSE, "License of the data"},
                {WR_CARD_DATA_REGION, "Where the data come from"},
                {WR_CARD_DATA_PRIVACY, "Privacy class"},
                {WR_CARD_DATA_RETENTION, "Kept for"},
                {WR_CARD_DATA_CONSENT, "Consent"}};
    for (size_t i = 0, n = 0; i < sizeof said / sizeof *said; i++) {
        if (!wr_card_text(c, said[i].word)) continue;
        if (!n++) wr_buf_str(out, "\n### Terms of the Data\n\n");
        item(out, said[i].label, wr_card_text(c, said[i].word));
    }
}

static void lineage(wr_buf *out, const wr_card *c)
{
    if (!c->ndata) return;
    wr_buf_str(out,
               "\n### Data and Where It Came From\n\n| data | version | SHA-256 | made into |\n|---|---|---|---|\n");
    for (size_t i = 0; i < c->ndata; i++) {
        const wr_card_data *d = &c->data[i];
        wr_buf_printf(out, "| %s ", d->kind);
        code_text(out, d->name);
        wr_buf_str(out, " | ");
        if (d->version >= 0) wr_buf_printf(out, "%lld", (long long)d->version);
        wr_buf_str(out, " | ");
        if (d->hash[0]) code_text(out, d->hash);
        wr_buf_str(out, " | ");
        if (d->parent) code_text(out, c->data[d->parent - 1].name);
        else wr_buf_str(out, "the model");
        wr_buf_str(out, " |\n");
    }
}

static void facts(wr_buf *out, const char *heading, const wr_card_fact *f, size_t n)
{
    if (!n) return;
    wr_buf_printf(out, "\n%s\n\n| | |\n|---|---|\n", heading);
    for (size_t i = 0; i < n; i++) {
        wr_buf_str(out, "| ");
        code_text(out, f[i].key);
        wr_buf_str(out, " | ");
        code_text(out, f[i].value);
        wr_buf_str(out, " |\n");
    }
}

static void training(wr_buf *out, const wr_card *c)
{
    wr_buf_str(out, "\n## Training Details\n");
    if (c->parts) {
        view_data(out, c->parts->view);
        wr_buf_str(out, "\n### Features\n\n| feature | made of | kind |\n|---|---|---|\n");
        for (size_t j = 0; j < c->parts->nuse; j++) feature(out, c->parts, j);
        wr_buf_str(out,
                   "\nMissing inputs are allowed; a category that was not seen in training counts as \"unknown\".\n");
    }
    of_data(out, c);
    lineage(out, c);
    if (c->parts) table(out, "Training Hyperparameters", c->parts->options_json, NULL);
    else facts(out, "### Training Hyperparameters", c->params, c->nparams);
    if (c->parts) table(out, "Made From", c->parts->parents_json, NULL);
}

static void evaluation(wr_buf *out, const wr_card *c)
{
    if (!c->nmetrics) return;
    wr_buf_str(out, "\n## Evaluation\n\n### Metrics\n\n| metric | value | slice | measured on |\n|---|---|---|---|\n");
    for (size_t i = 0; i < c->nmetrics; i++) {
        const wr_card_metric *m = &c->metrics[i];
        char value[WR_NUM_TEXT];
        wr_f64_text(value, m->value);
        wr_buf_str(out, "| ");
        code_text(out, m->name);
        wr_buf_str(out, " | ");
        code_text(out, value);
        wr_buf_str(out, " | ");
        if (m->slice) code_text(out, m->slice);
        wr_buf_str(out, " | ");
        if (m->rows) code_text(out, m->rows);
        wr_buf_str(out, " |\n");
    }
}

static void energy_row(wr_buf *out, const wr_card_energy *e)
{
    double spread = e->energy_j > 0 ? (e->hi_j - e->lo_j) / 2 / e->energy_j * 100 : 0;
    wr_buf_printf(out, "| %s | ", e->activity);
    if (e->units > 0) wr_buf_printf(out, "%.0f predictions", e->units);
    else wr_buf_printf(out, "%zu", e->runs);
    wr_buf_printf(out, " | %.3g | %.3g | %.3g | ± %.0f %% | %c |\n", e->wall_s, e->energy_j / 3600, e->gco2e, spread,
                  e->tier);
}

static void serving(wr_buf *out, const wr_card *c)
{
    for (size_t i = 0; i < c->nenergy; i++) {
        const wr_card_energy *e = &c->energy[i];
        if (e->units > 0)
            wr_buf_printf(out, "- **Serving:** %.3g J and %.3g g CO2e for 1,000 predictions so far\n",
                          1000 * e->energy_j / e->units, 1000 * e->gco2e / e->units);
    }
}

static void footprint(wr_buf *out, const wr_card *c)
{
    wr_card_energy t;
    if (!c->nenergy) {
        if (c->parts) table(out, "Environmental Impact", c->parts->metrics_json, is_footprint);
        return;
    }
    wr_card_sum_energy(&t, c);
    wr_buf_str(out, "\n## Environmental Impact\n\n| activity | runs | seconds | Wh | g CO2e | uncertainty | tier "
                    "|\n|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < c->nenergy; i++) energy_row(out, &c->energy[i]);
    if (t.runs) energy_row(out, &t);
    else t = c->energy[0]; /* serving alone */
    wr_buf_char(out, '\n');
    serving(out, c);
    wr_buf_str(out, "- **Hardware:** ");
    code_text(out, t.source ? t.source : "");
    wr_buf_printf(out, "\n- **Grid:** %.4g g CO2e a kWh, ", t.g_per_kwh);
    code_text(out, t.region ? t.region : "");
    wr_buf_printf(out, " %d, ", t.year);
    code_text(out, t.grid ? t.grid : "");
    wr_buf_str(out,
               "\n\nTier A is a counter of the work alone, B a counter shared by CPU time, C a model of the processor. "
               "Inference is what serving took while endpoints answered with this version. Embodied carbon is not "
               "included.\n");
}

static void columns(wr_buf *out, const char *side, const wr_mlmodel_columns *l)
{
    for (size_t i = 0; i < l->n; i++) {
        wr_buf_printf(out, "| %s | ", side);
        if (l->at[i].name[0]) code_text(out, l->at[i].name);
        wr_buf_str(out, " | ");
        code_text(out, l->at[i].type);
        wr_buf_printf(out, " | %s |\n", l->at[i].optional ? "no" : "yes");
    }
}

static void specification(wr_buf *out, const wr_card *c)
{
    if (!c->mlmodel && !c->nfiles && !c->nlibraries) return;
    wr_buf_str(out, "\n## Technical Specifications\n");
    if (c->mlmodel && c->mlmodel->has_signature) {
        wr_buf_str(out, "\n### Inputs and Outputs\n\n| | column | type | required |\n|---|---|---|---|\n");
        columns(out, "input", &c->mlmodel->inputs);
        columns(out, "output", &c->mlmodel->outputs);
        columns(out, "param", &c->mlmodel->params);
    }
    facts(out, "### Software", c->libraries, c->nlibraries);
    if (!c->nfiles) return;
    wr_buf_str(out, "\n### Files\n\n| file | bytes | SHA-256 |\n|---|---|---|\n");
    for (size_t i = 0; i < c->nfiles; i++) {
        wr_buf_str(out, "| ");
        code_text(out, c->files[i].path);
        wr_buf_printf(out, " | %lld | ", (long long)c->files[i].size);
        code_text(out, c->files[i].hash);
        wr_buf_str(out, " |\n");
    }
}

void wr_card_markdown(wr_buf *out, const wr_card *c)
{
    wr_card_front(out, c);
    wr_buf_str(out, "# Model Card for ");
    code_text(out, c->model);
    wr_buf_char(out, '\n');
    if (wr_card_text(c, WR_CARD_SUMMARY)) {
        wr_buf_char(out, '\n');
        prose(out, wr_card_text(c, WR_CARD_SUMMARY));
        wr_buf_char(out, '\n');
    }
    details(out, c);
    uses(out, c);
    training(out, c);
    evaluation(out, c);
    if (c->parts) table(out, "Other Results", c->parts->metrics_json, is_other);
    footprint(out, c);
    specification(out, c);
}
