/* SPDX-License-Identifier: Apache-2.0 */
/* card.c - words of a model card, the card that a package carries, and the facts as JSON. */
#include "base/vec.h"
#include "core/card_inside.h"
#include "core/package_files.h"

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

/* ---- as a package carries it ---- */

bool wr_card_is_footprint(wr_str key)
{
    static const char *const starts[] = {"energy", "carbon", "co2", "gco2", "cpu_s", "wall_s"};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        if (wr_str_starts(key, starts[i])) return true;
    }
    return false;
}

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
        if (rc < 0 || !yyjson_is_num(v) || wr_card_is_footprint(name)) continue;
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
    if (e->units > 0) wr_jsonw_kf64(w, "predictions", e->units);
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
