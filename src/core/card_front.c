/* SPDX-License-Identifier: Apache-2.0 */
/* card_front.c - the front matter of a card: YAML that Hugging Face's hub reads. Texts are written as JSON, which YAML
 * includes. */
#include "core/card_inside.h"

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

static void front_emissions(wr_buf *out, const wr_card *c)
{
    wr_card_energy t;
    if (!c->nenergy) return;
    wr_card_sum_energy(&t, c);
    if (!t.runs) return;
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

void wr_card_front(wr_buf *out, const wr_card *c)
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
