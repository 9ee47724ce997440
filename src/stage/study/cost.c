/* SPDX-License-Identifier: Apache-2.0 */
/* cost.c - checks 16 to 20: what it takes, what it costs, what it may, and whether somebody would notice. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <strings.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/os.h"
#include "core/carbon.h"
#include "core/card.h"
#include "core/manifest.h"
#include "core/endpoint.h"
#include "core/view_source.h"
#include "io/file.h"
#include "io/http_client.h"
#include "stage/study/study_inside.h"

static const double month_s = 365.25 / 12 * 86400, joules_kwh = 3.6e6;

/* ---- 16 energy and carbon ---- */

/* Grams of making the machine that fall on a prediction: its share of the processors, for as long as it takes. */
static double embodied_each(const wr_feasibility_work *w)
{
    double life_s = w->t->lifetime_years * 365.25 * 86400;
    return w->t->embodied_kg * 1000 / life_s * w->cpu_s_each / wr_os_cpus();
}

int wr_check_energy(wr_feasibility_work *w, wr_feasibility_result *r, wr_err *err)
{
    char j[WR_NUM_TEXT], text[WR_NUM_TEXT];
    wr_carbon c = {.pue = 1};
    wr_err why = {0};
    (void)err;
    if (!(w->rate > 0) || !w->meter) return wr_check_says(w, r, WR_CHECK_SKIP, "no load was measured");
    if (wr_carbon_region(&c, wr_str_of(w->t->region), &why) < 0) {
        wr_check_hint(w, r, "carbon: {region} of the target: %.200s", why.hint[0] ? why.hint : "DEU, aws:eu-west-1");
        return wr_check_says(w, r, WR_CHECK_FAIL, "%s", why.msg);
    }
    double pue = c.pue > 0 ? c.pue : 1, joules = 1000 * w->joules_each, grams = joules / joules_kwh * pue * c.g_per_kwh,
           made = 1000 * embodied_each(w);
    double month = w->t->rps * month_s / 1000;
    wr_check_number(w, r, "J for 1,000", joules, wr_fmt_si(j, joules, "J"));
    wr_check_number(w, r, "active", 1000 * w->active_each, wr_fmt_si(text, 1000 * w->active_each, "J"));
    wr_check_number(w, r, "reserved", 1000 * w->idle_each, wr_fmt_si(text, 1000 * w->idle_each, "J"));
    wr_check_number(w, r, "uncertainty", w->rel_uncertainty, NULL);
    wr_check_text(w, r, "meter", "%s, tier %c", w->meter, w->tier);
    wr_check_number(w, r, "gCO2e for 1,000", grams, NULL);
    wr_check_number(w, r, "gCO2e for 1,000 of making the machine", made, NULL);
    wr_check_number(w, r, "embodied share", grams + made > 0 ? made / (grams + made) : 0, NULL);
    wr_check_text(w, r, "grid", "%s, %.0f g/kWh, %d, %s; PUE %.2f", c.region, c.g_per_kwh, c.year, c.source, pue);
    wr_check_number(w, r, "kWh a month at the expected load", month * joules / joules_kwh, NULL);
    wr_check_number(w, r, "gCO2e a month at the expected load", month * (grams + made), NULL);
    if (w->t->joules > 0 || w->t->grams > 0)
        WR_TRY(wr_check_limit(w, r, "%s%.3g g for 1,000",
                              w->t->joules > 0 ? wr_arena_printf(w->a, "%.3g J, ", w->t->joules) : "", w->t->grams));
    if (w->t->joules > 0 && joules > w->t->joules)
        return wr_check_says(w, r, WR_CHECK_FAIL, "%s for 1,000 is over %.3g J", j, w->t->joules);
    if (w->t->grams > 0 && grams + made > w->t->grams)
        return wr_check_says(w, r, WR_CHECK_FAIL, "%.3g gCO2e for 1,000 is over %.3g", grams + made, w->t->grams);
    const char *budget = w->t->joules > 0 || w->t->grams > 0 ? "" : "; the target has no budget";
    return wr_check_says(w, r, WR_CHECK_PASS, "%s and %.3g gCO2e for 1,000, %.3g g a month%s", j, grams + made,
                         month * (grams + made), budget);
}

/* ---- 17 cost ---- */

static int64_t files_size(wr_feasibility_work *w)
{
    wr_model_file *files;
    wr_manifest m;
    size_t n;
    int64_t sum = 0;
    if (w->registered && wr_model_files(&files, &n, w->a, w->p, &w->version, WR_FILES_KNOWN, NULL) == 0)
        for (size_t i = 0; i < n; i++) sum += files[i].size;
    if (w->registered || !w->path || wr_manifest_read(&m, w->a, w->path, NULL, NULL) < 0) return sum;
    for (size_t i = 0; i < m.n; i++) {
        const char *path = strcmp(m.files[i].path, ".") == 0 ? w->path : wr_path_join(w->a, w->path, m.files[i].path);
        if (path && wr_file_size(path) > 0) sum += wr_file_size(path);
    }
    return sum;
}

/* Bytes of an answer of one row as JSON. */
static int answer_bytes(double *out, wr_feasibility_work *w, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    WR_AUTOBUF wr_buf b = {0};
    wr_infer_answer answer;
    wr_tensor *in = a ? wr_arena_alloc(a, (w->nin + 1) * sizeof *in) : NULL;
    if (!in) return wr_err_nomem(err);
    wr_feasibility_slice(in, w, w->in, 0, 1);
    WR_TRY(wr_feasibility_ask(&answer, w, in, a, err));
    for (size_t i = 0; i < answer.nout; i++) wr_tensor_write_json(&b, &answer.out[i]);
    *out = (double)b.n + 60 * (double)answer.nout + 150; /* names, shapes and the head of the reply */
    return 0;
}

int wr_check_cost(wr_feasibility_work *w, wr_feasibility_result *r, wr_err *err)
{
    const wr_feasibility_target *t = w->t;
    double bytes, hours = month_s / 3600, gb = 1e9;
    if (!(t->vcpu_hour > 0 || t->gb_hour > 0 || t->gb_month > 0 || t->gb_egress > 0))
        return wr_check_says(w, r, WR_CHECK_SKIP, "the target has no prices");
    if (!(w->rate > 0)) return wr_check_says(w, r, WR_CHECK_SKIP, "no load was measured");
    WR_TRY(answer_bytes(&bytes, w, err));
    double busy = t->rps * w->cpu_s_each * t->headroom, cpus = t->cpus > 0 ? t->cpus : ceil(fmax(busy, 0.01));
    double cpu = cpus * hours * t->vcpu_hour,
           memory = (double)(t->memory ? t->memory : w->rss_peak) / gb * hours * t->gb_hour;
    double kept = (double)files_size(w) / gb * t->gb_month, out = t->rps * month_s * bytes / gb * t->gb_egress,
           sum = cpu + memory + kept + out;
    wr_check_text(w, r, "processors", "%g for %.0f h: %.2f %s", cpus, hours, cpu, t->currency);
    wr_check_number(w, r, "processors that are busy", busy / t->headroom, NULL);
    wr_check_text(w, r, "memory", "%.2f GB: %.2f %s", (double)(t->memory ? t->memory : w->rss_peak) / gb, memory,
                  t->currency);
    wr_check_text(w, r, "storage", "%.4f GB: %.2f %s", (double)files_size(w) / gb, kept, t->currency);
    wr_check_text(w, r, "egress", "%.2f GB: %.2f %s", t->rps * month_s * bytes / gb, out, t->currency);
    wr_check_number(w, r, "a month", sum, NULL);
    wr_check_number(w, r, "for a million predictions", t->rps > 0 ? sum / (t->rps * month_s) * 1e6 : NAN, NULL);
    if (t->budget > 0) WR_TRY(wr_check_limit(w, r, "%.2f %s a month", t->budget, t->currency));
    if (t->budget > 0 && sum > t->budget)
        return wr_check_says(w, r, WR_CHECK_FAIL, "%.2f %s a month is over %.2f", sum, t->currency, t->budget);
    return wr_check_says(w, r, WR_CHECK_PASS, "%.2f %s a month at %g a second%s", sum, t->currency, t->rps,
                         t->budget > 0 ? "" : "; no budget");
}

/* ---- 18 licence ---- */

/* The model's tags and words; a candidate has what weir.yaml says. */
static int words_of(wr_card *card, wr_feasibility_work *w, wr_registered_model *m, wr_err *err)
{
    wr_track *t;
    bool known = w->registered || w->package; /* of a file: what weir.yaml says of the endpoint that serves it, or of
                                                 its name without the ending */
    *card = (wr_card){.model = known || !w->server_model ? w->report->model : w->server_model,
                      .version = w->report->version};
    *m = (wr_registered_model){0};
    if (!w->p) return 0;
    if (!known) return wr_card_read_words(card, w->a, w->p, NULL, 0, NULL, 0, err);
    WR_TRY(wr_project_track(&t, w->p, err));
    (void)wr_registered_model_get(m, w->a, t, wr_str_of(card->model), NULL);
    return wr_card_read_words(card, w->a, w->p, w->version.tags, w->version.ntags, m->tags, m->ntags, err);
}

/* An SPDX expression: one of OR, all of AND, WITH an exception, brackets left aside. */
static bool allowed(const wr_target_list *l, wr_arena *a, const char *expression)
{
    const char * or = strcasestr(expression, " OR "), *and = strcasestr(expression, " AND ");
    if (or) {
        const char *left = wr_arena_strndup(a, expression, (size_t)(or -expression));
        return left && (allowed(l, a, left) || allowed(l, a, or +4));
    }
    if (and) {
        const char *left = wr_arena_strndup(a, expression, (size_t)(and-expression));
        return left && allowed(l, a, left) && allowed(l, a, and+5);
    }
    wr_str s = wr_str_trim(wr_str_of(expression));
    while (s.n && (s.p[0] == '(' || s.p[0] == ' ')) s = wr_str_sub(s, 1, s.n);
    while (s.n && (s.p[s.n - 1] == ')' || s.p[s.n - 1] == ' ')) s = wr_str_sub(s, 0, s.n - 1);
    const char *one = wr_arena_strndup(a, s.p, s.n);
    return one && *one && wr_target_has(l, one);
}

static bool spdx(const char *s)
{
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr(".-+ ()", *s)) return false;
    return true;
}

static const wr_track_item *tag(const wr_track_item *tags, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (wr_str_is(tags[i].key, key)) return &tags[i];
    return NULL;
}

/* What is said of its data: tag weir.data.region, ... of the version or the model, else the card's word. */
static const char *of_data(const wr_feasibility_work *w, const wr_registered_model *m, const wr_card *c,
                           wr_card_word word)
{
    char key[60];
    snprintf(key, sizeof key, "weir.data.%s", wr_card_words[word] + sizeof "data_" - 1);
    const wr_track_item *t = tag(w->version.tags, w->registered ? w->version.ntags : 0, key);
    if (!t) t = tag(m->tags, m->ntags, key);
    return t && t->value.n ? t->value.p : wr_card_text(c, word);
}

int wr_check_licence(wr_feasibility_work *w, wr_feasibility_result *r, wr_err *err)
{
    wr_card card;
    wr_registered_model m;
    const char *of[3], *what[] = {"model", "data", "libraries"};
    bool list = w->t->licences.n;
    WR_TRY(words_of(&card, w, &m, err));
    if (w->p)
        wr_check_hint(w, r, "models: {%.60s: {license: SPDX, data_license: SPDX}} of weir.yaml%s", card.model,
                      list ? "; licences: of the target says what is allowed" : "");
    of[0] = wr_card_text(&card, WR_CARD_LICENSE);
    of[1] = of_data(w, &m, &card, WR_CARD_DATA_LICENSE);
    of[2] = "Apache-2.0"; /* the program itself serves it */
    if (list) WR_TRY(wr_check_limit(w, r, "%zu licences", w->t->licences.n));
    for (size_t i = 0; i < 3; i++)
        wr_check_text(w, r, what[i], "%s%s", of[i] ? of[i] : "not stated",
                      i == 2 ? ", Weir's own; ONNX Runtime's is MIT" : "");
    if (!of[0])
        return wr_check_says(w, r, list ? WR_CHECK_FAIL : WR_CHECK_WARN, "the licence of the model is not stated");
    for (size_t i = 0; i < 2; i++) {
        if (!of[i]) continue;
        if (!spdx(of[i]))
            return wr_check_says(w, r, WR_CHECK_WARN, "licence of the %s is no SPDX identifier: %s", what[i], of[i]);
        if (!allowed(&w->t->licences, w->a, of[i]))
            return wr_check_says(w, r, WR_CHECK_FAIL, "licence of the %s is not allowed: %s", what[i], of[i]);
    }
    if (!of[1])
        return wr_check_says(w, r, WR_CHECK_WARN, "model %s%s; of its data it is not stated", of[0],
                             list ? " is allowed" : "");
    return wr_check_says(w, r, WR_CHECK_PASS, "model %s, data %s", of[0], of[1]);
}

/* ---- 19 residency and privacy ---- */

/* Each of "DE, FR" in the list? */
static const char *outside(const wr_target_list *l, wr_arena *a, const char *text)
{
    wr_str rest = wr_str_of(text);
    while (rest.p) {
        wr_str one = wr_str_trim(wr_str_cut(&rest, ','));
        const char *s = wr_arena_strndup(a, one.p ? one.p : "", one.n);
        if (s && *s && !wr_target_has(l, s)) return s;
    }
    return NULL;
}

int wr_check_residency(wr_feasibility_work *w, wr_feasibility_result *r, wr_err *err)
{
    wr_card card;
    wr_registered_model m;
    bool asks = w->t->regions.n || w->t->privacy.n;
    WR_TRY(words_of(&card, w, &m, err));
    if (w->p)
        wr_check_hint(w, r, "models: {%.60s: {data_region: DE, data_privacy: none}} of weir.yaml%s", card.model,
                      asks ? "; residency: of the target says what may come" : "");
    const char *region = of_data(w, &m, &card, WR_CARD_DATA_REGION),
               *privacy = of_data(w, &m, &card, WR_CARD_DATA_PRIVACY),
               *retention = of_data(w, &m, &card, WR_CARD_DATA_RETENTION),
               *consent = of_data(w, &m, &card, WR_CARD_DATA_CONSENT);
    wr_check_text(w, r, "region", "%s", region ? region : "not stated");
    wr_check_text(w, r, "privacy", "%s", privacy ? privacy : "not stated");
    wr_check_text(w, r, "retention", "%s", retention ? retention : "not stated");
    wr_check_text(w, r, "consent", "%s", consent ? consent : "not stated");
    if (!asks && !region && !privacy)
        return wr_check_says(w, r, WR_CHECK_SKIP,
                             "the target asks for nothing, and data_region and data_privacy are not stated");
    if (w->t->regions.n && !region) return wr_check_says(w, r, WR_CHECK_FAIL, "where its data come from is not stated");
    if (w->t->privacy.n && !privacy)
        return wr_check_says(w, r, WR_CHECK_FAIL, "the privacy class of its data is not stated");
    const char *bad = region ? outside(&w->t->regions, w->a, region) : NULL;
    if (bad) return wr_check_says(w, r, WR_CHECK_FAIL, "data of region %s may not come there", bad);
    bad = privacy ? outside(&w->t->privacy, w->a, privacy) : NULL;
    if (bad) return wr_check_says(w, r, WR_CHECK_FAIL, "data of class %s may not come there", bad);
    if (!asks) wr_check_hint(w, r, "residency: {regions, privacy} of the target");
    if (!asks)
        return wr_check_says(w, r, WR_CHECK_WARN, "data of %s, %s; the target says nothing of what it takes",
                             region ? region : "?", privacy ? privacy : "?");
    return wr_check_says(w, r, WR_CHECK_PASS, "data of %s, %s, may come there", region ? region : "any region",
                         privacy ? privacy : "any class");
}

/* ---- 20 observability ---- */

static bool metrics_there(const wr_feasibility_work *w)
{
    const char *url = w->opt->server ? w->opt->server : w->t->server;
    wr_http_client *c;
    wr_str reply;
    int status = 0;
    if (!url || !*url || wr_http_client_open(&c, url, 2000, NULL) < 0) return false;
    int rc = wr_http_client_call(c, "GET", "/metrics", (wr_str){"", 0}, &status, &reply, NULL);
    wr_http_client_close(c);
    return rc == 0 && status == 200;
}

/* The endpoint that serves it, if any. */
static const wr_endpoint *endpoint_of(wr_feasibility_work *w)
{
    wr_endpoint *all;
    size_t n, len = strlen(w->report->model);
    if (!w->p || wr_endpoint_list(&all, &n, w->a, w->p, NULL) < 0) return NULL;
    for (size_t i = 0; i < n; i++) {
        bool name = strncmp(all[i].model, w->report->model, len) == 0 && strchr("@/", all[i].model[len]);
        const char *full = w->path && all[i].path ? wr_path_absolute(w->a, w->path) : NULL;
        if ((all[i].model[0] && name) || (full && strcmp(full, all[i].path) == 0)) return &all[i];
    }
    return NULL;
}

const char *wr_feasibility_endpoint(wr_feasibility_work *w)
{
    const wr_endpoint *e = endpoint_of(w);
    return e ? e->name : NULL;
}

/* Share of the newest predictions that a label found; NaN: nobody knows. */
static double joined(wr_feasibility_work *w, const char *endpoint, wr_err *err)
{
    WR_AUTOBUF wr_buf sql = {0};
    wr_frame *f = NULL;
    wr_tables *t;
    double share = NAN;
    wr_buf_printf(&sql,
                  "SELECT avg(CASE WHEN prediction_id IN (SELECT prediction_id FROM \"labels.%s\") THEN 1.0 ELSE 0.0 "
                  "END) AS share "
                  "FROM \"predictions.%s\"",
                  endpoint, endpoint);
    if (sql.failed || wr_project_tables(&t, w->p, NULL, err) < 0) return NAN;
    if (wr_query_datasets(&f, w->p, t, wr_buf_cstr(&sql), NULL, err) == 0 && f->nrows)
        share = wr_col_num(&f->cols[0], 0);
    wr_frame_free(f);
    wr_tables_close(t);
    return share;
}

static int observe(wr_feasibility_work *w, wr_feasibility_result *r)
{
    const wr_endpoint *e = endpoint_of(w);
    const wr_yaml *config = NULL;
    wr_err none = {0};
    if (!w->p) return wr_check_says(w, r, WR_CHECK_SKIP, "no project: nothing is known of its server");
    bool metrics = metrics_there(w),
         watched = wr_project_config(&config, w->p, NULL) == 0 &&
                   (!wr_yaml_null(wr_yaml_get(config, "monitors")) || !wr_yaml_null(wr_yaml_get(config, "triggers")));
    wr_check_text(w, r, "metrics", "%s", metrics ? "scraped" : "/metrics of its server was not asked (--server)");
    wr_check_text(w, r, "alerts", "%s", watched ? "monitors or triggers are defined" : "no monitors in weir.yaml");
    if (!e) {
        wr_check_hint(w, r, "endpoints: {NAME: {%s}} of weir.yaml",
                      w->path && !w->registered ? "path: FILE" : "model: NAME@ALIAS");
        return wr_check_says(w, r, WR_CHECK_WARN, "no endpoint of weir.yaml serves it: no log, no labels");
    }
    bool logs = w->view || e->log > 0;
    double share = logs ? joined(w, e->name, &none) : NAN;
    wr_check_text(w, r, "endpoint", "%s", e->name);
    wr_check_text(w, r, "log", "%s", logs ? "predictions are logged" : "no predictions are logged");
    if (isnan(share)) wr_check_text(w, r, "labels", "no predictions with labels yet");
    else wr_check_number(w, r, "share of predictions with a label", share, NULL);
    if (!logs) {
        wr_check_hint(w, r, "endpoints: {%.60s: {log: all}} of weir.yaml", e->name);
        return wr_check_says(w, r, WR_CHECK_WARN, "endpoint \"%s\" logs no predictions", e->name);
    }
    if (isnan(share) || share < w->t->joined)
        wr_check_hint(w, r, "send labels by prediction id: POST /v2/models/%.60s/feedback; weir deploy flush", e->name);
    if (isnan(share)) return wr_check_says(w, r, WR_CHECK_WARN, "endpoint \"%s\" logs; no labels came yet", e->name);
    if (share < w->t->joined)
        return wr_check_says(w, r, WR_CHECK_WARN, "labels for %.1f %% of the predictions, under %.1f %%", 100 * share,
                             100 * w->t->joined);
    if (!watched) wr_check_hint(w, r, "monitors: {NAME: {endpoint: %.60s, ...}} of weir.yaml", e->name);
    if (!watched) return wr_check_says(w, r, WR_CHECK_WARN, "labels for %.1f %%; no monitors watch it", 100 * share);
    return wr_check_says(w, r, WR_CHECK_PASS, "logged, labels for %.1f %%, monitors defined%s", 100 * share,
                         metrics ? ", metrics scraped" : "");
}

int wr_check_observed(wr_feasibility_work *w, wr_feasibility_result *r, wr_err *err)
{
    (void)err;
    if (w->t->observed) WR_TRY(wr_check_limit(w, r, "required, labels for %.0f %%", 100 * w->t->joined));
    WR_TRY(observe(w, r));
    if (w->t->observed && r->state == WR_CHECK_WARN) r->state = WR_CHECK_FAIL;
    return 0;
}
