/* SPDX-License-Identifier: Apache-2.0 */
/* card.h - what a person, and a program, should know about a model: one set of facts, told as a model card and as a bill of materials.
 *
 * The card is Markdown with the headings of Hugging Face's template (Mitchell et al., "Model Cards for Model Reporting", 2019) and YAML
 * front matter that its hub reads; the bill of materials (bom.h) is CycloneDX. Both are made of the same wr_card, so they cannot disagree.
 *
 * Words are what only people know: purpose, licence, limits. They stand in weir.yaml,
 *
 *   models:
 *     delay:
 *       license: Apache-2.0
 *       summary: Will a flight arrive more than 15 minutes late?
 *       intended_use: [planning of gates]
 *       limitations: [trained on one year, airports of the USA]
 *       data_license: CC-BY-4.0
 *       data_region: US
 *       data_privacy: none
 *
 * or in tags weir.card.KEY of the version or of the model, which any client may set; the version's tag counts first, then the model's, then
 * weir.yaml. A list in a tag is one line an item.
 *
 * What is not known is NULL, 0 or an empty list. Everything belongs to the arena it was made in.
 */
#pragma once
#include "core/mlmodel.h"
#include "core/model_files.h"
#include "codec/json.h"
#include "core/package.h"

typedef enum {
    WR_CARD_LICENSE, WR_CARD_SUMMARY, WR_CARD_OWNER, WR_CARD_TASK, WR_CARD_DATA_LICENSE, WR_CARD_DATA_REGION, WR_CARD_DATA_PRIVACY,
    WR_CARD_DATA_RETENTION, WR_CARD_DATA_CONSENT, WR_CARD_USERS /* from here on lists */, WR_CARD_INTENDED_USE, WR_CARD_OUT_OF_SCOPE,
    WR_CARD_LIMITATIONS, WR_CARD_TRADEOFFS, WR_CARD_ETHICS, WR_CARD_WORDS
} wr_card_word;
extern const char *const wr_card_words[WR_CARD_WORDS + 1]; /* "license", ...; NULL at the end */
#define WR_CARD_TAG "weir.card."
enum { WR_CARD_ITEMS = 100, WR_CARD_TEXT = 8000 }; /* items of one list; bytes of one item, cut */

typedef struct { const char **at; size_t n; } wr_card_list;
typedef struct { const char *key, *value; } wr_card_fact;
typedef struct {
    const char *name;
    double value;
    const char *slice;               /* "place = A"; NULL = all */
    const char *rows;                /* what it was measured on: "984 rows, 2001-01-15 to 2001-01-21"; NULL */
} wr_card_metric;
typedef struct {
    const char *kind, *name, *hash;  /* "dataset", "file"; hash may be "" or a client's digest */
    int64_t version;                 /* -1 = none */
    size_t parent;                   /* 1 + index of what was made from it; 0 = the model */
} wr_card_data;
typedef struct {
    const char *activity;            /* CycloneDX's word */
    size_t runs;
    double wall_s, energy_j, lo_j, hi_j, gco2e, gco2e_lo, gco2e_hi;
    char tier;                       /* the worst of its rows */
    const char *source, *region, *grid; /* of its largest row; grid: where the intensity comes from */
    double g_per_kwh;
    int year;
    double units;                    /* predictions, of inference; 0 = not counted */
    double largest_j;                /* of its largest row */
} wr_card_energy;

typedef struct {
    const char *model, *aliases, *stage, *created, *package, *run, *code, *user, *flavors;
    int64_t version;                 /* 0 = not registered */
    char root[WR_SHA256_HEX];        /* over all files (manifest.h); "" = not known */
    const wr_package_parts *parts;   /* NULL: no package of Weir */
    wr_card_list words[WR_CARD_WORDS];
    wr_card_metric *metrics; size_t nmetrics;
    wr_card_fact *params; size_t nparams;
    wr_card_fact *reports; size_t nreports; /* kind and SHA-256 */
    wr_card_data *data; size_t ndata;
    wr_card_energy *energy; size_t nenergy;
    wr_card_fact *libraries; size_t nlibraries; /* what a client's requirements.txt pins: name, version */
    const wr_model_file *files; size_t nfiles;
    const wr_mlmodel *mlmodel;       /* NULL = none: columns */
} wr_card;

/* Kind of model, in words: "gradient-boosted decision trees"; NULL. The task as the hub names it: "tabular-classification"; NULL. */
const char *wr_card_family(const wr_card *c);
const char *wr_card_task(const wr_card *c);
/* One word alone (the first of a list), or NULL. */
const char *wr_card_text(const wr_card *c, wr_card_word w);

void wr_card_markdown(wr_buf *out, const wr_card *c);
void wr_card_json(wr_jsonw *w, const wr_card *c);
/* The card as a package carries it: what its parts tell. */
int wr_card_of_package(wr_card *out, wr_arena *a, const wr_package_parts *parts, wr_err *err);

/* ---- gathering (card_facts.c, card_energy.c) ---- */

/* A metric train_rows tells what the others that start with train_ were measured on; it is none itself. */
int wr_card_put_rows(wr_card *c, wr_arena *a, wr_err *err);
/* models: NAME: of weir.yaml, checked; and the tags, of the version before those of the model. */
int wr_card_read_words(wr_card *c, wr_arena *a, wr_project *p, const wr_track_item *version_tags, size_t nversion,
                       const wr_track_item *model_tags, size_t nmodel, wr_err *err);
/* Data and energy of all runs above the version (of its run, when the lineage does not know it). */
int wr_card_read_lineage(wr_card *c, wr_arena *a, wr_project *p, const wr_registered_version *v, wr_err *err);
/* Energy of serving it, as activity "inference" with the predictions counted: the ledger's rows of endpoints, for as long as the events "served" say
 * that they answered with this version. A candidate has none. */
int wr_card_read_serving(wr_card *c, wr_arena *a, wr_project *p, wr_err *err);
/* Metrics and slices of the report "evaluation" (what `weir model evaluate --report` wrote), behind those that are there. */
int wr_card_read_evaluation(wr_card *c, wr_arena *a, wr_str json, wr_err *err);
/* name==version lines of a requirements.txt; others are passed over. */
int wr_card_read_requirements(wr_card *c, wr_arena *a, wr_str text, wr_err *err);
