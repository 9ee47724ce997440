/* SPDX-License-Identifier: Apache-2.0 */
/* bom_boamps.c - the energy of a model's training as a BoAmps report (model/report_schema.json of Boavizta/BoAmps).
 *
 * Energy in kWh, time in seconds, intensity in g CO2e a kWh. Tier A is quality "high", B "medium", C "low". */
#include <string.h>

#include "core/bom.h"

static const wr_card_energy *training_of(const wr_card *c)
{
    for (size_t i = 0; i < c->nenergy; i++)
        if (strcmp(c->energy[i].activity, "training") == 0) return &c->energy[i];
    for (size_t i = 0; i < c->nenergy; i++)
        if (strcmp(c->energy[i].activity, "fine-tuning") == 0) return &c->energy[i];
    const wr_card_energy *only = NULL;
    size_t n = 0;
    for (size_t i = 0; i < c->nenergy; i++)
        if (strcmp(c->energy[i].activity, "inference") != 0) only = &c->energy[i], n++;
    return n == 1 ? only : NULL; /* a client's run under `weir run --` has one activity, "other" */
}

static void header(wr_jsonw *w, const wr_card *c)
{
    wr_jsonw_key(w, "header");
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "formatVersionSpecificationUri", "https://github.com/Boavizta/BoAmps/tree/main/model");
    if (c->run) wr_jsonw_kstr(w, "reportId", c->run);
    wr_jsonw_kstr(w, "reportDatetime", c->created ? c->created : "");
    wr_jsonw_kstr(w, "reportStatus", "final");
    wr_jsonw_end(w);
}

static void algorithm(wr_jsonw *w, const wr_card *c)
{
    wr_jsonw_key(w, "algorithms");
    wr_jsonw_arr(w);
    wr_jsonw_obj(w);
    if (c->parts) {
        wr_jsonw_kstr(w, "trainingType", "supervisedLearning");
        wr_jsonw_kstr(w, "algorithmType", wr_card_family(c));
        wr_jsonw_kstr(w, "framework", "weir");
        wr_jsonw_kstr(w, "frameworkVersion", WEIR_VERSION);
    } else if (c->flavors && *c->flavors) {
        wr_jsonw_kstr(w, "framework", c->flavors);
    }
    wr_jsonw_kstr(w, "algorithmName", c->model);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

static void accuracy(wr_jsonw *w, const wr_card *c)
{
    static const char *const names[] = {"accuracy", "valid_accuracy", "test_accuracy", "val_accuracy"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        for (size_t i = c->nmetrics; i-- > 0;)
            if (!c->metrics[i].slice && strcmp(c->metrics[i].name, names[k]) == 0) {
                wr_jsonw_kf64(w, "measuredAccuracy", c->metrics[i].value);
                return;
            }
}

static void task(wr_jsonw *w, const wr_card *c)
{
    wr_jsonw_key(w, "task");
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "taskStage", "training");
    wr_jsonw_kstr(w, "taskFamily", wr_card_task(c) ? wr_card_task(c) : "other");
    algorithm(w, c);
    wr_jsonw_key(w, "dataset");
    wr_jsonw_arr(w);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "dataUsage", "input");
    wr_jsonw_kstr(w, "dataType", "tabular");
    wr_jsonw_end(w);
    wr_jsonw_end(w);
    accuracy(w, c);
    if (wr_card_text(c, WR_CARD_SUMMARY)) wr_jsonw_kstr(w, "taskDescription", wr_card_text(c, WR_CARD_SUMMARY));
    wr_jsonw_end(w);
}

static void measures(wr_jsonw *w, const wr_card_energy *e)
{
    wr_jsonw_key(w, "measures");
    wr_jsonw_arr(w);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "measurementMethod", "weir");
    wr_jsonw_kstr(w, "version", WEIR_VERSION);
    wr_jsonw_kstr(w, "cpuTrackingMode", e->source ? e->source : "");
    wr_jsonw_kf64(w, "powerConsumption", e->energy_j / 3.6e6);
    wr_jsonw_kf64(w, "measurementDuration", e->wall_s);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

static void infrastructure(wr_jsonw *w, const wr_card_energy *e)
{
    wr_jsonw_key(w, "infrastructure");
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "infraType", "other");
    wr_jsonw_key(w, "components");
    wr_jsonw_arr(w);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "componentType", "cpu");
    wr_jsonw_kstr(w, "componentName", e->source ? e->source : "");
    wr_jsonw_ki64(w, "nbComponent", 1);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

static void environment(wr_jsonw *w, const wr_card_energy *e)
{
    wr_jsonw_key(w, "environment");
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "country", e->region ? e->region : "");
    wr_jsonw_kf64(w, "powerSourceCarbonIntensity", e->g_per_kwh);
    wr_jsonw_end(w);
    wr_jsonw_kstr(w, "quality", e->tier == 'A' ? "high" : e->tier == 'B' ? "medium" : "low");
}

int wr_bom_boamps(wr_buf *out, const wr_card *c, wr_err *err)
{
    const wr_card_energy *e = training_of(c);
    wr_jsonw w;
    if (!e) {
        wr_err_set(err, WEIR_ENOTFOUND, "the energy of training \"%s\" is not known", c->model);
        return wr_err_hint(err, WEIR_ENOTFOUND, "train it with weir model train, or any program under weir run --");
    }
    wr_jsonw_init(&w, out, 2);
    wr_jsonw_obj(&w);
    header(&w, c);
    task(&w, c);
    measures(&w, e);
    wr_jsonw_key(&w, "software");
    wr_jsonw_obj(&w);
    wr_jsonw_kstr(&w, "language", c->parts ? "C" : "other");
    wr_jsonw_end(&w);
    infrastructure(&w, e);
    environment(&w, e);
    wr_jsonw_end(&w);
    wr_buf_char(out, '\n');
    return out->failed ? wr_err_nomem(err) : 0;
}
