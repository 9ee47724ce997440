/* SPDX-License-Identifier: Apache-2.0 */
/* card.c - the model card as Markdown, and its facts as JSON.
 *
 * Names and values stand in backticks, and in words every character that means something is escaped, so nothing that
 * came from outside is read as Markdown or HTML. The front matter is YAML whose texts are written as JSON, which YAML
 * includes.
 */
#include "core/card.h"

#include "base/num.h"
#include "base/vec.h"
#include "core/package_files.h"
#include "core/view_ops.h"

const char *const wr_card_words[WR_CARD_WORDS + 1] = {"license",      "summary",     "owner",        "task",
                                                      "data_license", "data_region", "data_privacy", "data_retention",
                                                      "data_consent", "users",       "intended_use", "out_of_scope",
                                                      "limitations",  "tradeoffs",   "ethics",       NULL};

const char *wr_card_text(const wr_card *c, wr_card_word w) { return c->words[w].n ? c->words[w].at[0] : NULL; }

const char *wr_card_family(const wr_card *c) { return c->parts ? "gradient-boosted decision trees" : NULL; }

const char *wr_card_task(const wr_card *c)
{
    const char *said = wr_card_text(c, WR_CARD_TASK);
    return said ? said : c->parts ? "tabular-classification" : NULL;
}

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
    static const char *const starts[] = {"energy", "carbon", "co2", "gco2", "cpu_s", "wall_s"};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        if (wr_str_starts(key, starts[i])) return true;
    }
    return false;
}

/* What is no metric and no footprint: lists, texts. */
static bool is_other(wr_str key, yyjson_val *value) { return !yyjson_is_num(value) && !is_footprint(key, value); }

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

/* ---- front matter ---- */

static void quoted(wr_buf *out, const char *s)
{
    wr_jsonw w;
    wr_jsonw_init(&w, out, 0);
    wr_jsonw_cstr(&w, s);
}

static void front_line(wr_buf *out, const char *key, const char *value)
{
    if (!value || !*value) return;
    wr_buf_printf(out, "%s: ", key);
    quoted(out, value);
    wr_buf_char(out, '\n');
}

static void front_data(wr_buf *out, const wr_card *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->ndata; i++) {
        if (strcmp(c->data[i].kind, "dataset") != 0) continue;
        wr_buf_str(out, n++ ? "" : "datasets:\n");
        wr_buf_str(out, "- ");
        quoted(out, c->data[i].name);
        wr_buf_char(out, '\n');
    }
}

/* What the hub shows beside the card: results on all rows. */
static void front_results(wr_buf *out, const wr_card *c)
{
    size_t n = 0;
    const char *task = wr_card_task(c);
    for (size_t i = 0; i < c->nmetrics; i++) n += !c->metrics[i].slice;
    if (!n || !task) return;
    wr_buf_str(out, "model-index:\n- name: ");
    quoted(out, c->model);
    wr_buf_str(out, "\n  results:\n  - task: {type: ");
    quoted(out, task);
    wr_buf_str(out, "}\n    dataset: {type: tabular, name: ");
    quoted(out, c->ndata ? c->data[0].name : "unknown");
    wr_buf_str(out, "}\n    metrics:\n");
    for (size_t i = 0; i < c->nmetrics; i++) {
        if (c->metrics[i].slice) continue;
        wr_buf_str(out, "    - {type: ");
        quoted(out, c->metrics[i].name);
        wr_buf_str(out, ", value: ");
        wr_buf_f64(out, c->metrics[i].value);
        wr_buf_str(out, "}\n");
    }
}

static void sum_energy(wr_card_energy *total, const wr_card *c)
{
    double largest = -1;
    *total = (wr_card_energy){.activity = "all", .tier = 'A'};
    for (size_t i = 0; i < c->nenergy; i++) {
        const wr_card_energy *e = &c->energy[i];
        total->runs += e->runs;
        total->wall_s += e->wall_s;
        total->energy_j += e->energy_j;
        total->lo_j += e->lo_j;
        total->hi_j += e->hi_j;
        total->gco2e += e->gco2e;
        total->gco2e_lo += e->gco2e_lo;
        total->gco2e_hi += e->gco2e_hi;
        if (e->tier > total->tier) total->tier = e->tier;
        if (e->energy_j <= largest) continue;
        largest = e->energy_j;
        total->source = e->source;
        total->region = e->region;
        total->grid = e->grid;
        total->g_per_kwh = e->g_per_kwh;
        total->year = e->year;
    }
}

static void front_emissions(wr_buf *out, const wr_card *c)
{
    wr_card_energy t;
    if (!c->nenergy) return;
    sum_energy(&t, c);
    wr_buf_str(out, "co2_eq_emissions:\n  emissions: "); /* grams */
    wr_buf_f64(out, t.gco2e);
    wr_buf_str(out, "\n  source: \"weir, tier ");
    wr_buf_char(out, t.tier);
    wr_buf_str(out, "\"\n");
    front_line(out, "  geographical_location", t.region);
    front_line(out, "  hardware_used", t.source);
}

/* The flavor that says more than "python_function". */
static void front_library(wr_buf *out, const wr_card *c)
{
    char name[64];
    for (wr_str rest = wr_str_of(c->parts ? "weir" : c->flavors); rest.p;) {
        wr_str flavor = wr_str_trim(wr_str_cut(&rest, ','));
        if (!flavor.n || flavor.n >= sizeof name || wr_str_is(flavor, "python_function")) continue;
        memcpy(name, flavor.p, flavor.n);
        name[flavor.n] = 0;
        front_line(out, "library_name", name);
        return;
    }
}

static void front(wr_buf *out, const wr_card *c)
{
    wr_buf_str(out, "---\n");
    front_line(out, "model_name", c->model);
    front_line(out, "license", wr_card_text(c, WR_CARD_LICENSE));
    front_library(out, c);
    front_line(out, "pipeline_tag", wr_card_task(c));
    front_data(out, c);
    front_results(out, c);
    front_emissions(out, c);
    wr_buf_str(out, "---\n\n");
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
    wr_buf_printf(out, "| %s | %zu | %.3g | %.3g | %.3g | ± %.0f %% | %c |\n", e->activity, e->runs, e->wall_s,
                  e->energy_j / 3600, e->gco2e, spread, e->tier);
}

static void footprint(wr_buf *out, const wr_card *c)
{
    wr_card_energy t;
    if (!c->nenergy) {
        if (c->parts) table(out, "Environmental Impact", c->parts->metrics_json, is_footprint);
        return;
    }
    sum_energy(&t, c);
    wr_buf_str(out, "\n## Environmental Impact\n\n| activity | runs | seconds | Wh | g CO2e | uncertainty | tier "
                    "|\n|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < c->nenergy; i++) energy_row(out, &c->energy[i]);
    energy_row(out, &t);
    wr_buf_str(out, "\n- **Hardware:** ");
    code_text(out, t.source ? t.source : "");
    wr_buf_printf(out, "\n- **Grid:** %.4g g CO2e a kWh, ", t.g_per_kwh);
    code_text(out, t.region ? t.region : "");
    wr_buf_printf(out, " %d, ", t.year);
    code_text(out, t.grid ? t.grid : "");
    wr_buf_str(out,
               "\n\nTier A is a counter of the work alone, B a counter shared by CPU time, C a model of the processor. "
               "Serving and embodied carbon are not included.\n");
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
    front(out, c);
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

/* ---- as a package carries it ---- */

static int package_metrics(wr_card *c, wr_arena *a, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    WR_VEC(wr_card_metric) all = {0};
    yyjson_val *key, *v;
    size_t i, max;
    int rc = 0;
    const char *text = c->parts->metrics_json;
    WR_TRY(wr_json_parse(&j, wr_str_of(text ? text : "{}"), "metrics", err));
    yyjson_obj_foreach(j.root, i, max, key, v)
    {
        wr_str name = {yyjson_get_str(key), yyjson_get_len(key)};
        if (rc < 0 || !yyjson_is_num(v) || is_footprint(name, v)) continue;
        wr_card_metric m = {.name = wr_arena_str(a, name).p, .value = yyjson_get_num(v)};
        rc = m.name ? wr_vec_add(&all, m, err) : wr_err_nomem(err);
    }
    WR_TRY(wr_vec_keep(&c->metrics, &c->nmetrics, a, &all, rc, err));
    return wr_card_put_rows(c, a, err);
}

int wr_card_of_package(wr_card *out, wr_arena *a, const wr_package_parts *parts, wr_err *err)
{
    *out = (wr_card){.model = parts->name, .created = parts->created, .run = parts->run_id, .parts = parts};
    return package_metrics(out, a, err);
}

int wr_package_write_card(wr_buf *out, const wr_package_parts *parts, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_card c;
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_card_of_package(&c, a, parts, err));
    wr_card_markdown(out, &c);
    return out->failed ? wr_err_nomem(err) : 0;
}

/* ---- as JSON ---- */

static void put_words(wr_jsonw *w, const wr_card *c)
{
    for (size_t i = 0; i < WR_CARD_WORDS; i++) {
        const wr_card_list *l = &c->words[i];
        wr_jsonw_key(w, wr_card_words[i]);
        if (i < WR_CARD_USERS) {
            wr_jsonw_cstr(w, i == WR_CARD_TASK ? wr_card_task(c) : wr_card_text(c, (wr_card_word)i));
            continue;
        }
        wr_jsonw_arr(w);
        for (size_t k = 0; k < l->n; k++) wr_jsonw_cstr(w, l->at[k]);
        wr_jsonw_end(w);
    }
}

static void put_metrics(wr_jsonw *w, const wr_card *c)
{
    wr_jsonw_key(w, "metrics");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < c->nmetrics; i++) {
        wr_jsonw_obj(w);
        wr_jsonw_kstr(w, "name", c->metrics[i].name);
        wr_jsonw_kf64(w, "value", c->metrics[i].value);
        wr_jsonw_kstr(w, "slice", c->metrics[i].slice);
        wr_jsonw_kstr(w, "rows", c->metrics[i].rows);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

static void put_data(wr_jsonw *w, const wr_card *c)
{
    wr_jsonw_key(w, "data");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < c->ndata; i++) {
        const wr_card_data *d = &c->data[i];
        wr_jsonw_obj(w);
        wr_jsonw_kstr(w, "kind", d->kind);
        wr_jsonw_kstr(w, "name", d->name);
        if (d->version >= 0) wr_jsonw_ki64(w, "version", d->version);
        wr_jsonw_kstr(w, "hash", d->hash);
        wr_jsonw_kstr(w, "made_into", d->parent ? c->data[d->parent - 1].name : c->model);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

static void put_energy(wr_jsonw *w, const wr_card_energy *e)
{
    char tier[2] = {e->tier, 0};
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "activity", e->activity);
    wr_jsonw_ki64(w, "runs", (int64_t)e->runs);
    wr_jsonw_kf64(w, "wall_s", e->wall_s);
    wr_jsonw_kf64(w, "energy_j", e->energy_j);
    wr_jsonw_kf64(w, "energy_lo_j", e->lo_j);
    wr_jsonw_kf64(w, "energy_hi_j", e->hi_j);
    wr_jsonw_kf64(w, "gco2e", e->gco2e);
    wr_jsonw_kf64(w, "gco2e_lo", e->gco2e_lo);
    wr_jsonw_kf64(w, "gco2e_hi", e->gco2e_hi);
    wr_jsonw_kstr(w, "tier", tier);
    wr_jsonw_kstr(w, "source", e->source);
    wr_jsonw_kstr(w, "region", e->region);
    wr_jsonw_kf64(w, "g_per_kwh", e->g_per_kwh);
    wr_jsonw_end(w);
}

static void put_facts(wr_jsonw *w, const char *key, const wr_card_fact *f, size_t n)
{
    wr_jsonw_key(w, key);
    wr_jsonw_obj(w);
    for (size_t i = 0; i < n; i++) wr_jsonw_kstr(w, f[i].key, f[i].value);
    wr_jsonw_end(w);
}

void wr_card_json(wr_jsonw *w, const wr_card *c)
{
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "model", c->model);
    wr_jsonw_ki64(w, "version", c->version);
    wr_jsonw_kstr(w, "aliases", c->aliases);
    wr_jsonw_kstr(w, "created", c->created);
    wr_jsonw_kstr(w, "package", c->package);
    wr_jsonw_kstr(w, "root", c->root[0] ? c->root : NULL);
    wr_jsonw_kstr(w, "run", c->run);
    wr_jsonw_kstr(w, "code", c->code);
    wr_jsonw_kstr(w, "user", c->user);
    wr_jsonw_kstr(w, "family", wr_card_family(c));
    wr_jsonw_kstr(w, "flavors", c->flavors);
    put_words(w, c);
    put_data(w, c);
    put_facts(w, "params", c->params, c->nparams);
    put_metrics(w, c);
    wr_jsonw_key(w, "footprint");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < c->nenergy; i++) put_energy(w, &c->energy[i]);
    wr_jsonw_end(w);
    put_facts(w, "libraries", c->libraries, c->nlibraries);
    put_facts(w, "reports", c->reports, c->nreports);
    wr_jsonw_end(w);
}
