/* SPDX-License-Identifier: Apache-2.0 */
/* bom.c - the CycloneDX document of a card. */
#include "core/bom.h"

#include <ctype.h>
#include <stdio.h>

#include "base/num.h"
#include "track/registry_policy.h"

static const char SERIAL[] = "urn:uuid:00000000-0000-0000-0000-000000000000";

static void number_text(wr_jsonw *w, const char *key, double v)
{
    char text[WR_NUM_TEXT];
    wr_f64_text(text, v);
    wr_jsonw_kstr(w, key, text);
}

static void property(wr_jsonw *w, const char *name, const char *value)
{
    if (!value || !*value) return;
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "name", name);
    wr_jsonw_kstr(w, "value", value);
    wr_jsonw_end(w);
}

static void number_property(wr_jsonw *w, const char *name, double v)
{
    char text[WR_NUM_TEXT];
    wr_f64_text(text, v);
    property(w, name, text);
}

static void hashes(wr_jsonw *w, const char *hex)
{
    if (!hex || !wr_registered_is_sha256(wr_str_of(hex))) return;
    wr_str s = wr_str_of(hex);
    if (wr_str_starts(s, "sha256:")) s = wr_str_sub(s, 7, s.n);
    wr_jsonw_key(w, "hashes");
    wr_jsonw_arr(w);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "alg", "SHA-256");
    wr_jsonw_kslice(w, "content", s);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

/* ---- names inside the document ---- */

static void model_ref(wr_jsonw *w, const char *key, const wr_card *c)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_buf_printf(&b, "model:%s", c->model);
    if (c->version) wr_buf_printf(&b, "@%lld", (long long)c->version);
    if (key) wr_jsonw_key(w, key);
    wr_jsonw_str(w, wr_buf_view(&b));
}

/* The place makes it unique: names and digests of clients may come twice. */
static void data_ref(wr_jsonw *w, const char *key, const wr_card *c, size_t i)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_buf_printf(&b, "%s:%zu:%s", c->data[i].kind, i + 1, c->data[i].name);
    if (key) wr_jsonw_key(w, key);
    wr_jsonw_str(w, wr_buf_view(&b));
}

static void library_ref(wr_jsonw *w, const char *key, const wr_card *c, size_t i)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_buf_printf(&b, "library:%zu:%s", i + 1, c->libraries[i].key);
    if (key) wr_jsonw_key(w, key);
    wr_jsonw_str(w, wr_buf_view(&b));
}

/* ---- the model card ---- */

static void columns(wr_jsonw *w, const char *key, const wr_mlmodel_columns *l)
{
    wr_jsonw_key(w, key);
    wr_jsonw_arr(w);
    for (size_t i = 0; i < l->n; i++) {
        WR_AUTOBUF wr_buf b = {0};
        const wr_mlmodel_column *col = &l->at[i];
        wr_buf_printf(&b, "%s%s%s%s", col->name, col->name[0] ? ": " : "", col->type,
                      col->optional ? ", optional" : "");
        wr_jsonw_obj(w);
        wr_jsonw_kslice(w, "format", wr_buf_view(&b));
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

/* "tabular-classification" is the task "classification". */
static const char *plain_task(const char *task)
{
    static const char start[] = "tabular-";
    return task && strncmp(task, start, sizeof start - 1) == 0 ? task + sizeof start - 1 : task;
}

static void parameters(wr_jsonw *w, const wr_card *c)
{
    char detail[80];
    wr_jsonw_key(w, "modelParameters");
    wr_jsonw_obj(w);
    if (c->parts) {
        wr_jsonw_key(w, "approach");
        wr_jsonw_obj(w);
        wr_jsonw_kstr(w, "type", "supervised");
        wr_jsonw_end(w);
    }
    if (wr_card_task(c)) wr_jsonw_kstr(w, "task", plain_task(wr_card_task(c)));
    if (wr_card_family(c)) wr_jsonw_kstr(w, "architectureFamily", wr_card_family(c));
    if (c->parts) {
        snprintf(detail, sizeof detail, "%d trees on %zu features", wr_trees_count(c->parts->trees), c->parts->nuse);
        wr_jsonw_kstr(w, "modelArchitecture", detail);
    } else if (c->flavors && *c->flavors) {
        wr_jsonw_kstr(w, "modelArchitecture", c->flavors);
    }
    wr_jsonw_key(w, "datasets");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < c->ndata; i++) {
        if (c->data[i].parent || strcmp(c->data[i].kind, "dataset") != 0) continue;
        wr_jsonw_obj(w);
        data_ref(w, "ref", c, i);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
    if (c->mlmodel && c->mlmodel->has_signature) {
        columns(w, "inputs", &c->mlmodel->inputs);
        columns(w, "outputs", &c->mlmodel->outputs);
    }
    wr_jsonw_end(w);
}

static void quantities(wr_jsonw *w, const wr_card *c)
{
    wr_jsonw_key(w, "quantitativeAnalysis");
    wr_jsonw_obj(w);
    wr_jsonw_key(w, "performanceMetrics");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < c->nmetrics; i++) {
        wr_jsonw_obj(w);
        wr_jsonw_kstr(w, "type", c->metrics[i].name);
        number_text(w, "value", c->metrics[i].value);
        if (c->metrics[i].slice) wr_jsonw_kstr(w, "slice", c->metrics[i].slice);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

static void measure(wr_jsonw *w, const char *key, double value, const char *unit)
{
    wr_jsonw_key(w, key);
    wr_jsonw_obj(w);
    wr_jsonw_kf64(w, "value", value);
    wr_jsonw_kstr(w, "unit", unit);
    wr_jsonw_end(w);
}

static void provider(wr_jsonw *w, const wr_card_energy *e, double kwh)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_buf_printf(&b, "electricity of the grid, %.4g g CO2e a kWh in %d", e->g_per_kwh, e->year);
    wr_jsonw_key(w, "energyProviders");
    wr_jsonw_arr(w);
    wr_jsonw_obj(w);
    wr_jsonw_kslice(w, "description", wr_buf_view(&b));
    wr_jsonw_key(w, "organization");
    wr_jsonw_obj(w);
    wr_buf_clear(&b);
    wr_buf_printf(&b, "grid %s", e->region ? e->region : "");
    wr_jsonw_kslice(w, "name", wr_buf_view(&b));
    wr_jsonw_end(w);
    wr_jsonw_kstr(w, "energySource", "other"); /* a mix of all */
    measure(w, "energyProvided", kwh, "kWh");
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

static void energy(wr_jsonw *w, const wr_card_energy *e)
{
    double kwh = e->energy_j / 3.6e6;
    char tier[2] = {e->tier, 0};
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "activity", e->activity);
    provider(w, e, kwh);
    measure(w, "activityEnergyCost", kwh, "kWh");
    measure(w, "co2CostEquivalent", e->gco2e / 1e6, "tCO2eq");
    wr_jsonw_key(w, "properties");
    wr_jsonw_arr(w);
    if (e->units > 0) number_property(w, "weir:predictions", e->units);
    else number_property(w, "weir:runs", (double)e->runs);
    number_property(w, "weir:wall_s", e->wall_s);
    number_property(w, "weir:energy_lo_kwh", e->lo_j / 3.6e6);
    number_property(w, "weir:energy_hi_kwh", e->hi_j / 3.6e6);
    number_property(w, "weir:co2_lo_t", e->gco2e_lo / 1e6);
    number_property(w, "weir:co2_hi_t", e->gco2e_hi / 1e6);
    property(w, "weir:tier", tier);
    property(w, "weir:meter", e->source);
    property(w, "weir:grid_intensity", e->grid);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

static void word_list(wr_jsonw *w, const char *key, const wr_card_list *l)
{
    if (!l->n) return;
    wr_jsonw_key(w, key);
    wr_jsonw_arr(w);
    for (size_t i = 0; i < l->n; i++) wr_jsonw_cstr(w, l->at[i]);
    wr_jsonw_end(w);
}

/* What is out of scope is a limit of the model as this format has it. */
static void limits(wr_jsonw *w, const wr_card *c)
{
    const wr_card_list *limit = &c->words[WR_CARD_LIMITATIONS], *out = &c->words[WR_CARD_OUT_OF_SCOPE];
    if (!limit->n && !out->n) return;
    wr_jsonw_key(w, "technicalLimitations");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < limit->n; i++) wr_jsonw_cstr(w, limit->at[i]);
    for (size_t i = 0; i < out->n; i++) {
        WR_AUTOBUF wr_buf b = {0};
        wr_buf_printf(&b, "out of scope: %s", out->at[i]);
        wr_jsonw_str(w, wr_buf_view(&b));
    }
    wr_jsonw_end(w);
}

static void considerations(wr_jsonw *w, const wr_card *c)
{
    const wr_card_list *ethics = &c->words[WR_CARD_ETHICS];
    wr_jsonw_key(w, "considerations");
    wr_jsonw_obj(w);
    word_list(w, "users", &c->words[WR_CARD_USERS]);
    word_list(w, "useCases", &c->words[WR_CARD_INTENDED_USE]);
    limits(w, c);
    word_list(w, "performanceTradeoffs", &c->words[WR_CARD_TRADEOFFS]);
    if (ethics->n) {
        wr_jsonw_key(w, "ethicalConsiderations");
        wr_jsonw_arr(w);
        for (size_t i = 0; i < ethics->n; i++) {
            wr_jsonw_obj(w);
            wr_jsonw_kstr(w, "name", ethics->at[i]);
            wr_jsonw_end(w);
        }
        wr_jsonw_end(w);
    }
    if (c->nenergy) {
        wr_jsonw_key(w, "environmentalConsiderations");
        wr_jsonw_obj(w);
        wr_jsonw_key(w, "energyConsumptions");
        wr_jsonw_arr(w);
        for (size_t i = 0; i < c->nenergy; i++) energy(w, &c->energy[i]);
        wr_jsonw_end(w);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

/* ---- components ---- */

/* An SPDX identifier or expression, by its letters; anything else is a name. */
static bool is_expression(const char *s)
{
    if (!*s || strlen(s) > 200) return false;
    for (const char *p = s; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("-.+:() ", *p)) return false;
    return !strchr(s, ' ') || strstr(s, " OR ") || strstr(s, " AND ") || strstr(s, " WITH ");
}

static void licence(wr_jsonw *w, const char *text)
{
    if (!text) return;
    bool expression = is_expression(text);
    wr_jsonw_key(w, "licenses");
    wr_jsonw_arr(w);
    wr_jsonw_obj(w);
    if (expression) {
        wr_jsonw_kstr(w, "expression", text);
    } else {
        wr_jsonw_key(w, "license");
        wr_jsonw_obj(w);
        wr_jsonw_kstr(w, "name", text);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

static void files(wr_jsonw *w, const wr_card *c)
{
    if (!c->nfiles) return;
    wr_jsonw_key(w, "components");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < c->nfiles; i++) {
        WR_AUTOBUF wr_buf b = {0};
        wr_buf_printf(&b, "model-file:%s", c->files[i].path);
        wr_jsonw_obj(w);
        wr_jsonw_kstr(w, "type", "file");
        wr_jsonw_kslice(w, "bom-ref", wr_buf_view(&b));
        wr_jsonw_kstr(w, "name", c->files[i].path);
        hashes(w, c->files[i].hash);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

/* Not the aliases and the stage, which move: a document is of the version. */
static void model_properties(wr_jsonw *w, const wr_card *c)
{
    wr_jsonw_key(w, "properties");
    wr_jsonw_arr(w);
    property(w, "weir:package", c->package);
    property(w, "weir:run", c->run);
    property(w, "weir:code", c->code);
    for (size_t i = 0; i < c->nparams; i++) {
        WR_AUTOBUF wr_buf b = {0};
        wr_buf_printf(&b, "weir:param:%s", c->params[i].key);
        property(w, wr_buf_cstr(&b), c->params[i].value);
    }
    for (size_t i = 0; i < c->nreports; i++) {
        WR_AUTOBUF wr_buf b = {0};
        wr_buf_printf(&b, "weir:report:%s", c->reports[i].key);
        property(w, wr_buf_cstr(&b), c->reports[i].value);
    }
    wr_jsonw_end(w);
}

static void model(wr_jsonw *w, const wr_card *c)
{
    char version[24];
    snprintf(version, sizeof version, "%lld", (long long)c->version);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "type", "machine-learning-model");
    model_ref(w, "bom-ref", c);
    if (wr_card_text(c, WR_CARD_OWNER)) {
        wr_jsonw_key(w, "supplier");
        wr_jsonw_obj(w);
        wr_jsonw_kstr(w, "name", wr_card_text(c, WR_CARD_OWNER));
        wr_jsonw_end(w);
    }
    wr_jsonw_kstr(w, "name", c->model);
    wr_jsonw_kstr(w, "version", c->version ? version : "candidate");
    if (wr_card_text(c, WR_CARD_SUMMARY)) wr_jsonw_kstr(w, "description", wr_card_text(c, WR_CARD_SUMMARY));
    hashes(w, c->root);
    licence(w, wr_card_text(c, WR_CARD_LICENSE));
    files(w, c);
    model_properties(w, c);
    wr_jsonw_key(w, "modelCard");
    wr_jsonw_obj(w);
    parameters(w, c);
    quantities(w, c);
    considerations(w, c);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

static void data_component(wr_jsonw *w, const wr_card *c, size_t i)
{
    const wr_card_data *d = &c->data[i];
    char version[24];
    bool set = strcmp(d->kind, "dataset") == 0, sha256 = wr_registered_is_sha256(wr_str_of(d->hash));
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "type", set ? "data" : "file");
    data_ref(w, "bom-ref", c, i);
    wr_jsonw_kstr(w, "name", d->name);
    snprintf(version, sizeof version, "%lld", (long long)d->version);
    if (d->version >= 0) wr_jsonw_kstr(w, "version", version);
    hashes(w, d->hash);
    if (set) {
        wr_jsonw_key(w, "data");
        wr_jsonw_arr(w);
        wr_jsonw_obj(w);
        wr_jsonw_kstr(w, "type", "dataset");
        wr_jsonw_kstr(w, "name", d->name);
        wr_jsonw_end(w);
        wr_jsonw_end(w);
    }
    if (d->hash[0] && !sha256) {
        wr_jsonw_key(w, "properties");
        wr_jsonw_arr(w);
        property(w, "mlflow:digest", d->hash);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

static void library_component(wr_jsonw *w, const wr_card *c, size_t i)
{
    WR_AUTOBUF wr_buf b = {0};
    const wr_card_fact *l = &c->libraries[i];
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "type", "library");
    library_ref(w, "bom-ref", c, i);
    wr_jsonw_kstr(w, "name", l->key);
    wr_jsonw_kstr(w, "version", l->value);
    wr_buf_str(&b, "pkg:pypi/"); /* names are lower case there, with '-' for '_' */
    for (const char *p = l->key; *p; p++) wr_buf_char(&b, *p == '_' ? '-' : (char)tolower((unsigned char)*p));
    wr_buf_char(&b, '@');
    for (const char *p = l->value; *p; p++) {
        if (isalnum((unsigned char)*p) || strchr("-._~", *p)) wr_buf_char(&b, *p);
        else wr_buf_printf(&b, "%%%02X", (unsigned)(unsigned char)*p);
    }
    wr_jsonw_kslice(w, "purl", wr_buf_view(&b));
    wr_jsonw_end(w);
}

/* ---- dependencies ---- */

static void dependencies(wr_jsonw *w, const wr_card *c)
{
    wr_jsonw_key(w, "dependencies");
    wr_jsonw_arr(w);
    for (size_t of = 0; of <= c->ndata; of++) { /* 0 is the model */
        wr_jsonw_obj(w);
        if (of) data_ref(w, "ref", c, of - 1);
        else model_ref(w, "ref", c);
        wr_jsonw_key(w, "dependsOn");
        wr_jsonw_arr(w);
        for (size_t i = 0; i < c->ndata; i++)
            if (c->data[i].parent == of && i + 1 != of) data_ref(w, NULL, c, i);
        for (size_t i = 0; !of && i < c->nlibraries; i++) library_ref(w, NULL, c, i);
        wr_jsonw_end(w);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

/* ---- the document ---- */

static void metadata(wr_jsonw *w, const wr_card *c)
{
    wr_jsonw_key(w, "metadata");
    wr_jsonw_obj(w);
    if (c->created) wr_jsonw_kstr(w, "timestamp", c->created);
    wr_jsonw_key(w, "tools");
    wr_jsonw_obj(w);
    wr_jsonw_key(w, "components");
    wr_jsonw_arr(w);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "type", "application");
    wr_jsonw_kstr(w, "name", "weir");
    wr_jsonw_kstr(w, "version", WEIR_VERSION);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
    wr_jsonw_key(w, "component");
    model(w, c);
    wr_jsonw_end(w);
}

static void document(wr_jsonw *w, const wr_card *c)
{
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "$schema", "http://cyclonedx.org/schema/bom-1.6.schema.json");
    wr_jsonw_kstr(w, "bomFormat", "CycloneDX");
    wr_jsonw_kstr(w, "specVersion", "1.6");
    wr_jsonw_kstr(w, "serialNumber", SERIAL);
    wr_jsonw_ki64(w, "version", 1);
    metadata(w, c);
    wr_jsonw_key(w, "components");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < c->ndata; i++) data_component(w, c, i);
    for (size_t i = 0; i < c->nlibraries; i++) library_component(w, c, i);
    wr_jsonw_end(w);
    dependencies(w, c);
    wr_jsonw_end(w);
}

/* The zeros become 122 bits of the document's hash, with the version and variant of RFC 9562. */
static void number_serially(wr_buf *out, size_t from)
{
    static const int groups[] = {8, 4, 4, 4, 12};
    char hex[WR_SHA256_HEX], *at = memmem(out->p + from, out->n - from, SERIAL, sizeof SERIAL - 1);
    WR_BUG_IF(!at);
    wr_sha256_of(out->p + from, out->n - from, hex);
    hex[12] = '8';
    hex[16] = "89ab"[(hex[16] <= '9' ? hex[16] - '0' : hex[16] - 'a' + 10) & 3];
    at += sizeof "urn:uuid:" - 1;
    for (size_t g = 0, k = 0; g < 5; g++, at++)
        for (int i = 0; i < groups[g]; i++) *at++ = hex[k++];
}

int wr_bom_cyclonedx(wr_buf *out, const wr_card *c, wr_err *err)
{
    wr_jsonw w;
    size_t from = out->n;
    wr_jsonw_init(&w, out, 2);
    document(&w, c);
    wr_buf_char(out, '\n');
    if (out->failed) return wr_err_nomem(err);
    number_serially(out, from);
    return 0;
}
