/* SPDX-License-Identifier: Apache-2.0 */
/* card_test.c - cards and bills of materials: one set of facts, nothing of it read as markup, the same bytes each time.
 */
#include "core/card.h"

#include <math.h>
#include <unistd.h>

#include "core/bom.h"
#include "core/core_testing.h"
#include "core/event.h"
#include "core/footprint.h"
#include "core/lineage.h"
#include "track/registry.h"

static const char hash[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/* A version of a client's, with everything that can be known and names that try to be something else. */
static wr_card sample(place *s)
{
    static wr_card_metric metrics[] = {{"acc`|<b>", 0.5, NULL, "10 rows"}, {"auc", 0.25, "place = A", NULL}};
    static wr_card_fact params[] = {{"depth", "3"}}, libraries[] = {{"Scikit_Learn", "1.5.0+x"}},
                        reports[] = {{"signature", hash}};
    static wr_card_data data[] = {
        {"dataset", "rides", hash, 2, 0}, {"file", "rides.csv", hash, -1, 1}, {"dataset", "rides", "d1", -1, 0}};
    static wr_card_energy energy[] = {{.activity = "training",
                                       .runs = 2,
                                       .wall_s = 9,
                                       .energy_j = 3.6e6,
                                       .lo_j = 1.8e6,
                                       .hi_j = 5.4e6,
                                       .gco2e = 400,
                                       .gco2e_lo = 200,
                                       .gco2e_hi = 600,
                                       .tier = 'B',
                                       .source = "rapl",
                                       .region = "DEU",
                                       .grid = "table",
                                       .g_per_kwh = 400,
                                       .year = 2024},
                                      {.activity = "other",
                                       .runs = 1,
                                       .energy_j = 36,
                                       .lo_j = 36,
                                       .hi_j = 36,
                                       .gco2e = 1,
                                       .gco2e_lo = 1,
                                       .gco2e_hi = 1,
                                       .tier = 'C',
                                       .source = "model",
                                       .region = "FRA",
                                       .grid = "table",
                                       .g_per_kwh = 40,
                                       .year = 2024}};
    static wr_model_file files[] = {{"model.pkl", hash, 7}, {"a\"b", "etag", 1}};
    wr_card c = {.model = "delay",
                 .version = 3,
                 .aliases = "champion",
                 .created = "2026-11-28T07:00:00Z",
                 .run = "r1",
                 .flavors = "sklearn"};
    snprintf(c.root, sizeof c.root, "%s", hash);
    c.metrics = metrics, c.nmetrics = 2;
    c.params = params, c.nparams = 1;
    c.libraries = libraries, c.nlibraries = 1;
    c.reports = reports, c.nreports = 1;
    c.data = data, c.ndata = 3;
    c.energy = energy, c.nenergy = 2;
    c.files = files, c.nfiles = 2;
    static const wr_track_item tags[] = {{{"weir.card.license", 17}, {"Apache-2.0 OR MIT", 17}},
                                         {{"weir.card.limitations", 21}, {"small\n# <script>\n\n", 18}},
                                         {{"weir.card.task", 14}, {"tabular-regression", 18}}};
    OK(wr_card_read_words(&c, s->a, s->p, tags, 3, NULL, 0, &s->err));
    return c;
}

static const char *card_text(place *s, const wr_card *c)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_card_markdown(&b, c);
    return wr_arena_strdup(s->a, wr_buf_cstr(&b));
}

static const char *bom_text(place *s, const wr_card *c)
{
    WR_AUTOBUF wr_buf b = {0};
    OK(wr_bom_cyclonedx(&b, c, &s->err));
    return wr_arena_strdup(s->a, wr_buf_cstr(&b));
}

static const char *text_at(yyjson_val *root, const char *path)
{
    yyjson_val *v = yyjson_ptr_get(root, path);
    if (!yyjson_is_str(v)) fail_msg("no text at %s", path);
    return yyjson_get_str(v);
}

static double number_at(yyjson_val *root, const char *path)
{
    yyjson_val *v = yyjson_ptr_get(root, path);
    if (!yyjson_is_num(v)) fail_msg("no number at %s", path);
    return yyjson_get_num(v);
}

/* ---- the card ---- */

static void test_markdown(void **state)
{
    place *s = *state;
    wr_card c = sample(s);
    const char *text = card_text(s, &c);
    static const char *const parts[] = {
        "---\nmodel_name: \"delay\"\nlicense: \"Apache-2.0 OR MIT\"\nlibrary_name: \"sklearn\"\npipeline_tag: "
        "\"tabular-regression\"\n",
        "- {type: \"acc`|<b>\", value: 0.5}\n",
        "co2_eq_emissions:\n  emissions: 401\n  source: \"weir, tier C\"\n  geographical_location: \"DEU\"\n",
        "# Model Card for `delay`\n",
        "- **Version:** 3\n",
        "### Limitations\n\n- small\n- \\# &lt;script\\>\n",
        "_To be written by the owner of the model: what it is for._",
        "| dataset `rides` | 2 | ",
        "| file `rides.csv` |  | ",
        "| `acc'\\|<b>` | `0.5` |  | `10 rows` |\n",
        "| `auc` | `0.25` | `place = A` |  |\n",
        "| training | 2 | 9 | 1e+03 | 400 | ± 50 % | B |\n",
        "| all of making it | 3 | 9 | 1e+03 | 401 | ± 50 % | C |\n",
        "| `Scikit_Learn` | `1.5.0+x` |\n",
        "| `a\"b` | 1 | `etag` |\n",
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) SAYS(parts[i], text);
    assert_null(strstr(text, "<script>"));
    /* the front matter is YAML */
    wr_yaml *y;
    const char *end = strstr(text + 4, "\n---\n");
    assert_non_null(end);
    OK(wr_yaml_parse(&y, s->a, (wr_str){text + 4, (size_t)(end - text - 3)}, "card", &s->err));
    assert_string_equal(wr_yaml_get(y, "license")->text.p, "Apache-2.0 OR MIT");
    assert_int_equal(wr_yaml_get(y, "datasets")->n, 2);
    assert_string_equal(wr_yaml_get(wr_yaml_get(y, "model-index")->items[0], "name")->text.p, "delay");
}

static void test_empty(void **state)
{
    place *s = *state;
    wr_card c = {.model = "x"};
    WR_AUTOBUF wr_buf b = {0};
    wr_jsonw w;
    wr_json j;
    SAYS("# Model Card for `x`", card_text(s, &c));
    wr_jsonw_init(&w, &b, 0);
    wr_card_json(&w, &c);
    OK(wr_json_parse(&j, wr_buf_view(&b), "card", &s->err));
    wr_json_free(&j);
    OK(wr_json_parse(&j, wr_str_of(bom_text(s, &c)), "bom", &s->err));
    assert_string_equal(text_at(j.root, "/metadata/component/version"), "candidate");
    wr_json_free(&j);
    FAILS(WEIR_ENOTFOUND, wr_bom_boamps(&b, &c, &s->err));
}

/* ---- the bill of materials ---- */

static void test_cyclonedx(void **state)
{
    place *s = *state;
    wr_card c = sample(s);
    const char *text = bom_text(s, &c);
    wr_json j;
    OK(wr_json_parse(&j, wr_str_of(text), "bom", &s->err));
    assert_string_equal(text_at(j.root, "/specVersion"), "1.6");
    assert_string_equal(text_at(j.root, "/metadata/timestamp"), "2026-11-28T07:00:00Z");
    assert_string_equal(text_at(j.root, "/metadata/component/type"), "machine-learning-model");
    assert_string_equal(text_at(j.root, "/metadata/component/hashes/0/content"), hash);
    assert_string_equal(text_at(j.root, "/metadata/component/licenses/0/expression"), "Apache-2.0 OR MIT");
    assert_null(yyjson_ptr_get(j.root, "/metadata/component/components/1/hashes")); /* an etag is no SHA-256 */
    yyjson_val *card = yyjson_ptr_get(j.root, "/metadata/component/modelCard");
    assert_string_equal(text_at(card, "/modelParameters/task"), "regression");
    assert_string_equal(text_at(card, "/modelParameters/datasets/0/ref"), "dataset:1:rides");
    assert_string_equal(text_at(card, "/quantitativeAnalysis/performanceMetrics/1/value"), "0.25");
    assert_string_equal(text_at(card, "/quantitativeAnalysis/performanceMetrics/1/slice"), "place = A");
    assert_string_equal(text_at(card, "/considerations/technicalLimitations/1"), "# <script>");
    yyjson_val *energy = yyjson_ptr_get(card, "/considerations/environmentalConsiderations/energyConsumptions");
    assert_int_equal(yyjson_arr_size(energy), 2);
    assert_string_equal(text_at(energy, "/0/activity"), "training");
    assert_float_equal(number_at(energy, "/0/activityEnergyCost/value"), 1, 1e-12);
    assert_float_equal(number_at(energy, "/0/energyProviders/0/energyProvided/value"), 1, 1e-12);
    assert_float_equal(number_at(energy, "/0/co2CostEquivalent/value"), 4e-4, 1e-15);
    assert_string_equal(text_at(energy, "/0/co2CostEquivalent/unit"), "tCO2eq");
    assert_string_equal(text_at(j.root, "/components/0/bom-ref"), "dataset:1:rides");
    assert_string_equal(text_at(j.root, "/components/2/properties/0/value"), "d1");
    assert_string_equal(text_at(j.root, "/components/3/purl"), "pkg:pypi/scikit-learn@1.5.0%2Bx");
    /* the model depends on both datasets and the library, the first dataset on its file */
    assert_string_equal(text_at(j.root, "/dependencies/0/ref"), "model:delay@3");
    assert_int_equal(yyjson_arr_size(yyjson_ptr_get(j.root, "/dependencies/0/dependsOn")), 3);
    assert_string_equal(text_at(j.root, "/dependencies/1/dependsOn/0"), "file:2:rides.csv");
    assert_int_equal(yyjson_arr_size(yyjson_ptr_get(j.root, "/dependencies")), 4);
    wr_json_free(&j);
}

static void test_same_bytes(void **state)
{
    place *s = *state;
    wr_card c = sample(s);
    const char *one = bom_text(s, &c), *serial = strstr(one, "urn:uuid:");
    assert_string_equal(one, bom_text(s, &c));
    assert_int_equal(serial[9 + 14], '8');
    assert_non_null(strchr("89ab", serial[9 + 19]));
    assert_null(strstr(one, "urn:uuid:00000000"));
    c.aliases = "other"; /* moves, and is not of the version */
    assert_string_equal(one, bom_text(s, &c));
    c.version = 4;
    assert_int_not_equal(strncmp(serial, strstr(bom_text(s, &c), "urn:uuid:"), 45), 0);
}

static void test_licences(void **state)
{
    place *s = *state;
    static const struct {
        const char *text, *path;
    } all[] = {{"MIT", "expression"},
               {"GPL-2.0-only WITH Classpath-exception-2.0", "expression"},
               {"Our own terms", "license/name"},
               {"see <LICENSE>", "license/name"}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        wr_card c = {.model = "x"};
        const char *word = all[i].text;
        c.words[WR_CARD_LICENSE] = (wr_card_list){&word, 1};
        wr_json j;
        OK(wr_json_parse(&j, wr_str_of(bom_text(s, &c)), "bom", &s->err));
        assert_string_equal(text_at(j.root, wr_arena_printf(s->a, "/metadata/component/licenses/0/%s", all[i].path)),
                            word);
        wr_json_free(&j);
    }
}

static void test_boamps(void **state)
{
    place *s = *state;
    wr_card c = sample(s);
    WR_AUTOBUF wr_buf b = {0};
    wr_json j;
    OK(wr_bom_boamps(&b, &c, &s->err));
    OK(wr_json_parse(&j, wr_buf_view(&b), "boamps", &s->err));
    assert_string_equal(text_at(j.root, "/task/taskStage"), "training");
    assert_float_equal(number_at(j.root, "/measures/0/powerConsumption"), 1, 1e-12);
    assert_float_equal(number_at(j.root, "/environment/powerSourceCarbonIntensity"), 400, 1e-9);
    assert_string_equal(text_at(j.root, "/quality"), "medium");
    wr_json_free(&j);
}

/* ---- gathering ---- */

static void test_words(void **state)
{
    place *s = *state;
    wr_card c = {.model = "delay"};
    static const wr_track_item version[] = {{{"weir.card.license", 17}, {"MIT", 3}}},
                               model[] = {{{"weir.card.license", 17}, {"BSD", 3}},
                                          {{"weir.card.users", 15}, {"ops\n riders ", 12}}};
    put(s, "weir.yaml",
        "models:\n  delay: {license: GPL, owner: me, users: [x], limitations: [a, b], ethics: one text}\n");
    reopen(s);
    OK(wr_card_read_words(&c, s->a, s->p, version, 1, model, 2, &s->err));
    assert_string_equal(wr_card_text(&c, WR_CARD_LICENSE), "MIT");
    assert_string_equal(wr_card_text(&c, WR_CARD_OWNER), "me");
    assert_int_equal(c.words[WR_CARD_USERS].n, 2);
    assert_string_equal(c.words[WR_CARD_USERS].at[1], "riders");
    assert_int_equal(c.words[WR_CARD_LIMITATIONS].n, 2);
    assert_string_equal(wr_card_text(&c, WR_CARD_ETHICS), "one text");
    assert_null(wr_card_text(&c, WR_CARD_TASK));
    put(s, "weir.yaml", "models:\n  delay: {licence: GPL}\n");
    reopen(s);
    FAILS(WEIR_EINVAL, wr_card_read_words(&c, s->a, s->p, NULL, 0, NULL, 0, &s->err));
    SAYS("license", s->err.hint);
    put(s, "weir.yaml", "models: [delay]\n");
    reopen(s);
    FAILS(WEIR_ETYPE, wr_card_read_words(&c, s->a, s->p, NULL, 0, NULL, 0, &s->err));
}

static void test_evaluation(void **state)
{
    place *s = *state;
    wr_card c = {.model = "delay"};
    wr_card_metric own[] = {
        {.name = "valid_auc", .value = 0.5}, {.name = "valid_rows", .value = 40}, {.name = "other_auc", .value = 0.7}};
    c.metrics = own;
    c.nmetrics = 3;
    OK(wr_card_put_rows(&c, s->a, &s->err));
    assert_int_equal(c.nmetrics, 2);
    assert_string_equal(c.metrics[0].rows, "40 rows");
    assert_null(c.metrics[1].rows);
    OK(wr_card_read_evaluation(
        &c, s->a,
        WR_STR("{\"rows\": 9, \"from\": \"2001-01-15T00:00:00Z\", \"until\": \"2001-01-21T19:50:00Z\", \"model\": "
               "{\"metrics\": {\"auc\": 0.9, \"x\": \"y\"}},"
               " \"slices\": {\"place\": [{\"value\": \"A\", \"rows\": 4, \"observed\": 0.1, \"auc\": 0.8}, 7]}}"),
        &s->err));
    assert_int_equal(c.nmetrics, 4);
    assert_string_equal(c.metrics[2].rows, "9 rows, 2001-01-15 to 2001-01-21");
    assert_string_equal(c.metrics[3].slice, "place = A");
    assert_string_equal(c.metrics[3].rows, "4 rows, 2001-01-15 to 2001-01-21");
    OK(wr_card_read_evaluation(&c, s->a, WR_STR("[1]"), &s->err)); /* no evaluation of ours */
    assert_int_equal(c.nmetrics, 4);
    FAILS(WEIR_EPARSE, wr_card_read_evaluation(&c, s->a, WR_STR("{"), &s->err));
}

static void test_requirements(void **state)
{
    place *s = *state;
    wr_card c = {.model = "delay"};
    OK(wr_card_read_requirements(
        &c, s->a,
        WR_STR("mlflow==2.22.5\n# x==1\nnumpy>=2\npandas[sql] == 2.3 ; python_version>'3'\n\n==3\n-r x==1\nlast==9"),
        &s->err));
    assert_int_equal(c.nlibraries, 3);
    assert_string_equal(c.libraries[0].key, "mlflow");
    assert_string_equal(c.libraries[1].key, "pandas");
    assert_string_equal(c.libraries[1].value, "2.3");
    assert_string_equal(c.libraries[2].value, "9");
}

static void add_row(place *s, const char *run, const char *activity, double energy_j)
{
    wr_footprint f = {.stage = "x", .activity = activity, .run_id = run, .subject = "", .unit = "", .wall_s = 2};
    f.energy = (wr_energy){.energy_j = energy_j, .rel_uncertainty = 0.5, .tier = 'C', .source = "model"};
    OK(wr_footprint_add(s->p, &f, &s->err));
}

/* file -> run 1 -> dataset -> run 2 -> model; run 3 belongs to nothing. */
static void test_lineage(void **state)
{
    place *s = *state;
    wr_card c = {.model = "delay", .version = 1};
    wr_node file = {.kind = "file", .name = "rides.csv", .hash = hash, .version = -1},
            data = {.kind = "dataset", .name = "rides", .hash = hash, .version = 4},
            model = {.kind = "model", .name = "delay", .hash = hash, .version = 1},
            one = {.kind = "run", .name = "run1", .hash = "", .version = -1},
            two = {.kind = "run", .name = "run2", .hash = "", .version = -1};
    OK(wr_lineage_add(s->p, &one, &file, "run1", &s->err));
    OK(wr_lineage_add(s->p, &data, &one, "run1", &s->err));
    OK(wr_lineage_add(s->p, &two, &data, "run2", &s->err));
    OK(wr_lineage_add(s->p, &model, &two, "run2", &s->err));
    add_row(s, "run1", "data-collection", 100);
    add_row(s, "run2", "training", 1000);
    add_row(s, "run2", "training", 3000);
    add_row(s, "run2", "a word nobody knows", 1);
    add_row(s, "run3", "training", 1e9);
    wr_registered_version v = {.name = WR_STR("delay"), .version = 1};
    OK(wr_card_read_lineage(&c, s->a, s->p, &v, &s->err));
    assert_int_equal(c.ndata, 2);
    assert_string_equal(c.data[0].name, "rides");
    assert_int_equal(c.data[0].parent, 0);
    assert_string_equal(c.data[1].name, "rides.csv");
    assert_int_equal(c.data[1].parent, 1);
    assert_int_equal(c.nenergy, 3);
    const wr_card_energy *training = NULL;
    for (size_t i = 0; i < c.nenergy; i++)
        if (strcmp(c.energy[i].activity, "training") == 0) training = &c.energy[i];
    assert_non_null(training);
    assert_int_equal(training->runs, 2);
    assert_float_equal(training->energy_j, 4000, 1e-9);
    assert_float_equal(training->lo_j, 2000, 1e-9);
    assert_float_equal(training->hi_j, 6000, 1e-9);
}

/* ---- serving ---- */

static int64_t served(place *s, const char *endpoint, const char *payload)
{
    wr_event *all;
    size_t n;
    OK(wr_event_add(s->p, "served", endpoint, payload, NULL, &s->err));
    usleep(2000);
    OK(wr_event_list(&all, &n, s->a, s->p, 0, NULL, 1000, &s->err));
    return all[n - 1].time_us;
}

static void row_by(place *s, const char *by, const char *stage, const char *subject, int64_t from, int64_t until,
                   double joules)
{
    wr_footprint f = {.answered_by = by,
                      .t0_us = from,
                      .t1_us = until,
                      .stage = stage,
                      .activity = "inference",
                      .run_id = "",
                      .subject = subject,
                      .unit = "predictions",
                      .units = 1000,
                      .wall_s = (double)(until - from) / 1e6,
                      .energy = {.energy_j = joules, .rel_uncertainty = 0.25, .tier = 'C', .source = "model"}};
    OK(wr_footprint_add(s->p, &f, &s->err));
}

static void row_of(place *s, const char *stage, const char *subject, int64_t from, int64_t until, double joules)
{
    row_by(s, "", stage, subject, from, until, joules);
}

static wr_card of_version(place *s, int64_t version)
{
    wr_card c = {.model = "delay", .version = version, .created = "2026-11-28T07:00:00Z"};
    OK(wr_card_read_serving(&c, s->a, s->p, &s->err));
    return c;
}

/* Version 1 of 10 ms, then 2, then 1 again: rows of the ledger go to whom they fell on. */
static void test_serving(void **state)
{
    place *s = *state;
    wr_json j;
    int64_t one = served(s, "endpoint:a", "{\"model\":\"delay\",\"version\":1}");
    served(s, "endpoint:a", "{\"model\":\"delay\",\"version\":1}"); /* a restart */
    served(s, "endpoint:b", "{\"model\":\"other\",\"version\":1}");
    served(s, "endpoint:broken", "[1]");
    int64_t two = served(s, "endpoint:a", "{\"model\":\"delay\",\"version\":2}");
    int64_t again = served(s, "endpoint:a", "{\"model\":\"delay\",\"version\":1}");
    row_of(s, "serve", "endpoint:a", one, two, 4);               /* all of version 1 */
    row_of(s, "serve", "endpoint:a", one, two + (two - one), 2); /* half of it, or more once it is back */
    row_of(s, "serve", "endpoint:a", again + 1000000, again + 2000000, 1);
    row_of(s, "serve", "endpoint:a", one - 2000000, one - 1000000, 64); /* before anything was told */
    row_of(s, "serve", "endpoint:b", one, two, 128);
    row_of(s, "x", "endpoint:a", one, two, 256);
    wr_card first = of_version(s, 1), second = of_version(s, 2), third = of_version(s, 3), candidate = of_version(s, 0);
    assert_int_equal(first.nenergy, 1);
    const wr_card_energy *e = &first.energy[0];
    assert_string_equal(e->activity, "inference");
    double back = two + (two - one) > again ? (double)(two + (two - one) - again)
                                            : 0; /* the second row reached version 1 again */
    double half = 0.5 + back / (2 * (double)(two - one));
    assert_true(fabs(e->energy_j - (4 + 2 * half + 1)) < 1e-9);
    assert_true(e->units == 2000 + round(1000 * half));
    assert_true(fabs(e->lo_j - 0.75 * e->energy_j) < 1e-9);
    assert_int_equal(second.nenergy, 1);
    assert_true(fabs(second.energy[0].energy_j - 2 * (1 - half)) < 1e-9);
    assert_int_equal(third.nenergy, 0);
    assert_int_equal(candidate.nenergy, 0);
    const char *bom = bom_text(s, &first), *card = card_text(s, &first);
    OK(wr_json_parse(&j, wr_str_of(bom), "bom", &s->err));
    yyjson_val *v = yyjson_ptr_get(
        j.root, "/metadata/component/modelCard/considerations/environmentalConsiderations/energyConsumptions/0");
    assert_string_equal(text_at(v, "/activity"), "inference");
    assert_true(fabs(number_at(v, "/activityEnergyCost/value") - e->energy_j / 3.6e6) < 1e-15);
    assert_string_equal(text_at(v, "/activityEnergyCost/unit"), "kWh");
    assert_string_equal(text_at(v, "/properties/0/name"), "weir:predictions");
    wr_json_free(&j);
    SAYS("for 1,000 predictions so far", card);
    assert_null(strstr(card, "co2_eq_emissions")); /* which are of training */
    assert_null(strstr(card, "all of making it"));
    WR_AUTOBUF wr_buf b = {0};
    FAILS(WEIR_ENOTFOUND, wr_bom_boamps(&b, &first, &s->err)); /* serving is no training */
}

/* An arm answers while the endpoint serves another version: what the row says counts, and nothing else. */
static void test_serving_by_arms(void **state)
{
    place *s = *state;
    int64_t from = served(s, "endpoint:a", "{\"model\":\"delay\",\"version\":1}"), until = from + 60000000;
    row_by(s, "model:delay@1", "serve", "endpoint:a", from, until, 8);
    row_by(s, "model:delay@2", "serve", "endpoint:a", from, until, 2);
    row_by(s, "model:other@1", "serve", "endpoint:a", from, until, 32);
    row_by(s, "b.onnx", "serve", "endpoint:a", from, until, 64);
    row_by(s, "model:delay@2", "serve", "endpoint:b", from, until, 4); /* no event tells of that endpoint */
    row_of(s, "serve", "endpoint:a", from, until, 1);                  /* says nothing: as the events have it */
    wr_card first = of_version(s, 1), second = of_version(s, 2), third = of_version(s, 3);
    assert_int_equal(first.nenergy, 1);
    assert_float_equal(first.energy[0].energy_j, 9, 1e-9);
    assert_true(first.energy[0].units == 2000);
    assert_int_equal(second.nenergy, 1);
    assert_float_equal(second.energy[0].energy_j, 6, 1e-9);
    assert_true(second.energy[0].units == 2000);
    assert_int_equal(third.nenergy, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_place, drop_place)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_markdown),   TEST(test_empty),      TEST(test_cyclonedx),
                                       TEST(test_same_bytes), TEST(test_licences),   TEST(test_boamps),
                                       TEST(test_words),      TEST(test_evaluation), TEST(test_requirements),
                                       TEST(test_lineage),    TEST(test_serving),    TEST(test_serving_by_arms)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
