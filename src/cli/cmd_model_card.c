/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_model_card.c - weir model card, weir model bom: what a version is, for people and for programs. */
#include "base/clock.h"
#include "base/limits.h"
#include "cli/commands.h"
#include "cli/model_facts.h"
#include "core/bom.h"
#include "core/signing.h"
#include "io/file.h"
#include "track/registry_policy.h"

/* ---- the facts of a card ---- */

static const char *aliases_of(wr_arena *a, const wr_registered_version *v)
{
    const char *s = "";
    for (size_t i = 0; s && i < v->naliases; i++) s = wr_arena_printf(a, "%s%s%s", s, i ? "," : "", v->aliases[i].p);
    return s;
}

static int head(wr_card *c, wr_arena *a, const wr_model_facts *f, wr_err *err)
{
    char created[WR_TIME_TEXT];
    const wr_registered_version *v = &f->v;
    wr_time_format(created, v->created_ms * 1000);
    c->model = v->name.p;
    c->version = v->version;
    c->created = wr_arena_strdup(a, created);
    c->aliases = aliases_of(a, v);
    c->stage = wr_str_is(v->stage, "None") ? NULL : v->stage.p;
    c->package = v->package.n ? v->package.p : NULL;
    c->run = v->run_id.n ? v->run_id.p : NULL;
    c->code = f->code;
    c->user = v->user.n ? v->user.p : f->has_run && f->run.user.n ? f->run.user.p : NULL;
    c->parts = f->package ? wr_package_get(f->package) : NULL;
    c->files = f->files;
    c->nfiles = f->nfiles;
    if (f->has_mlmodel) {
        c->mlmodel = &f->mlmodel;
        c->flavors = f->mlmodel.flavors;
    }
    return c->created && c->aliases ? 0 : wr_err_nomem(err);
}

static int copy_facts(wr_card_fact **out, size_t *n, wr_arena *a, const wr_model_fact_list *l, wr_err *err)
{
    *out = wr_arena_calloc(a, l->n + 1, sizeof **out);
    if (!*out) return wr_err_nomem(err);
    for (size_t i = 0; i < l->n; i++) (*out)[i] = (wr_card_fact){l->at[i].key, l->at[i].value};
    *n = l->n;
    return 0;
}

static int copy_metrics(wr_card *c, wr_arena *a, const wr_model_fact_list *l, wr_err *err)
{
    c->metrics = wr_arena_calloc(a, l->n + 1, sizeof *c->metrics);
    if (!c->metrics) return wr_err_nomem(err);
    for (size_t i = 0; i < l->n; i++)
        c->metrics[c->nmetrics++] = (wr_card_metric){.name = l->at[i].key, .value = l->at[i].number};
    return wr_card_put_rows(c, a, err);
}

static void root_of(wr_card *c, wr_arena *a, wr_project *p, const wr_model_facts *f)
{
    wr_manifest m;
    if (f->nfiles && wr_signing_manifest(&m, a, p, &f->v, WR_FILES_KNOWN, NULL) == 0)
        memcpy(c->root, m.root, sizeof c->root);
}

/* What a client's requirements.txt pins. */
static int libraries(wr_card *c, wr_arena *a, wr_project *p, const wr_model_facts *f, wr_err *err)
{
    enum { TEXT_MAX = 1 << 20 };
    for (size_t i = 0; i < f->nfiles; i++) {
        WR_AUTOBUF wr_buf text;
        wr_buf_init(&text, 0);
        if (strcmp(f->files[i].path, "requirements.txt") != 0 || f->files[i].size > TEXT_MAX) continue;
        WR_TRY(wr_model_file_read(&text, p, &f->v, &f->files[i], TEXT_MAX, err));
        return wr_card_read_requirements(c, a, wr_buf_view(&text), err);
    }
    return 0;
}

/* The report that `weir model register --report` keeps; one that is no evaluation of Weir's is left aside. */
static void evaluation(wr_card *c, wr_arena *a, wr_project *p, const wr_model_facts *f)
{
    WR_AUTOBUF wr_buf text;
    wr_objects *o;
    wr_buf_init(&text, 0);
    for (size_t i = 0; i < f->reports.n; i++) {
        if (strcmp(f->reports.at[i].key, "evaluation") != 0 || wr_project_objects(&o, p, NULL) < 0) continue;
        if (wr_objects_get(o, f->reports.at[i].value, &text, WR_LIMIT_FILE_CONFIG, NULL) == 0)
            (void)wr_card_read_evaluation(c, a, wr_buf_view(&text), NULL);
    }
}

static int words_of(wr_card *c, wr_arena *a, wr_project *p, const wr_registered_version *v, wr_err *err)
{
    wr_track *t;
    wr_registered_model m = {0};
    WR_TRY(wr_project_track(&t, p, err));
    (void)wr_registered_model_get(&m, a, t, v->name, NULL); /* a candidate may have no model yet */
    WR_TRY(wr_card_read_words(c, a, p, v->tags, v->ntags, m.tags, m.ntags, err));
    const char *said = v->description.n ? v->description.p : m.description.n ? m.description.p : NULL;
    if (said && !c->words[WR_CARD_SUMMARY].n) {
        c->words[WR_CARD_SUMMARY].at[0] = said;
        c->words[WR_CARD_SUMMARY].n = 1;
    }
    return 0;
}

static int gather(wr_card *card, wr_cli *c, const wr_model_facts *f, wr_err *err)
{
    wr_project *p;
    wr_arena *a = wr_cli_arena(c);
    *card = (wr_card){0};
    WR_TRY(wr_cli_project(c, &p, err));
    WR_TRY(head(card, a, f, err));
    WR_TRY(copy_facts(&card->params, &card->nparams, a, &f->params, err));
    WR_TRY(copy_facts(&card->reports, &card->nreports, a, &f->reports, err));
    WR_TRY(copy_metrics(card, a, &f->metrics, err));
    root_of(card, a, p, f);
    WR_TRY(libraries(card, a, p, f, err));
    evaluation(card, a, p, f);
    WR_TRY(words_of(card, a, p, &f->v, err));
    WR_TRY(wr_card_read_lineage(card, a, p, &f->v, err));
    return wr_card_read_serving(card, a, p, err);
}

/* ---- both commands ---- */

typedef int (*teller)(wr_cli *c, const wr_card *card, wr_err *err);

static int with_card(wr_cli *c, teller tell, wr_err *err)
{
    wr_model_facts f = {0};
    wr_card card;
    int rc = wr_model_facts_read(&f, c, wr_cli_arg(c, 0), err);
    if (rc == 0) rc = gather(&card, c, &f, err);
    if (rc == 0) rc = tell(c, &card, err);
    wr_model_facts_fini(&f);
    return rc;
}

static int to_file(wr_cli *c, wr_str text, const char *what, const wr_card *card, wr_err *err)
{
    const char *file = wr_cli_text(c, "out");
    WR_TRY(wr_file_write(file, text, err));
    wr_say(c, "%s of %s%s is in %s", what, card->model, card->version ? "" : " (candidate)", file);
    return 0;
}

/* ---- card ---- */

static int tell_card(wr_cli *c, const wr_card *card, wr_err *err)
{
    WR_AUTOBUF wr_buf text = {0};
    wr_card_markdown(&text, card);
    if (text.failed) return wr_err_nomem(err);
    if (wr_cli_json(c)) wr_card_json(wr_cli_jsonw(c), card);
    if (wr_cli_text(c, "out")) return to_file(c, wr_buf_view(&text), "the card", card, err);
    wr_say(c, "%.*s", (int)(text.n - 1), text.p); /* the last line's end is printed with it */
    return 0;
}

static int run_card(wr_cli *c, wr_err *err) { return with_card(c, tell_card, err); }

static const wr_cmd_arg card_args[] = {
    {"out", 'o', WR_ARG_TEXT, "FILE", "write it there", NULL},
};

const wr_cmd wr_cmd_model_card = {
    "model card",
    "write the model card of a version",
    "MODEL",
    1,
    1,
    card_args,
    sizeof card_args / sizeof *card_args,
    "Markdown with the headings and the front matter of Hugging Face's cards: purpose, data and where\n"
    "it came from, metrics with slices, columns, energy and carbon. MODEL is NAME (the newest\n"
    "candidate), NAME@ALIAS or NAME@VERSION. Licence, purpose and limits are what models: NAME: of\n"
    "weir.yaml says, or tags weir.card.license, weir.card.limitations, ... With --json the facts.",
    "  weir model card delay@champion\n  weir model card delay@3 --out MODEL_CARD.md",
    run_card};

/* ---- bom ---- */

static int tell_bom(wr_cli *c, const wr_card *card, wr_err *err)
{
    WR_AUTOBUF wr_buf text = {0};
    const char *format = wr_cli_text(c, "format");
    if (strcmp(format, "cyclonedx") == 0) WR_TRY(wr_bom_cyclonedx(&text, card, err));
    else WR_TRY(wr_bom_boamps(&text, card, err));
    if (wr_cli_json(c)) wr_jsonw_raw(wr_cli_jsonw(c), wr_str_trim(wr_buf_view(&text)));
    if (wr_cli_text(c, "out")) return to_file(c, wr_buf_view(&text), "the bill of materials", card, err);
    wr_say(c, "%.*s", (int)(text.n - 1), text.p);
    return 0;
}

static int run_bom(wr_cli *c, wr_err *err)
{
    static const char *const formats[] = {"cyclonedx", "boamps"};
    const char *format = wr_cli_text(c, "format");
    if (strcmp(format, formats[0]) == 0 || strcmp(format, formats[1]) == 0) return with_card(c, tell_bom, err);
    wr_err_set(err, WEIR_EUSAGE, "weir model bom: \"%s\" is not a format", format);
    int near = wr_str_nearest(wr_str_of(format), formats, 2);
    if (near >= 0) return wr_err_hint(err, WEIR_EUSAGE, "did you mean \"%s\"?", formats[near]);
    return wr_err_hint(err, WEIR_EUSAGE, "cyclonedx or boamps");
}

static const wr_cmd_arg bom_args[] = {
    {"format", 'f', WR_ARG_TEXT, "FORMAT", "cyclonedx, or boamps: the energy of training alone", "cyclonedx"},
    {"out", 'o', WR_ARG_TEXT, "FILE", "write it there", NULL},
};

const wr_cmd wr_cmd_model_bom = {
    "model bom",
    "write the bill of materials of a version",
    "MODEL",
    1,
    1,
    bom_args,
    sizeof bom_args / sizeof *bom_args,
    "A CycloneDX 1.6 document: the model with its files and its card, the data it was made from, the\n"
    "libraries it needs, and the energy of each activity in kWh and tCO2eq. The same version gives\n"
    "the same bytes, as long as nothing new is known of it.",
    "  weir model bom delay@champion --out delay.cdx.json\n"
    "  weir model bom delay@champion --format boamps",
    run_bom};
