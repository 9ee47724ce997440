/* SPDX-License-Identifier: Apache-2.0 */
/* card_facts.c - what a card tells of a version: words of its owner, the data and energy above it, how it was judged.
 */
#include <stdio.h>

#include "base/vec.h"
#include "core/card_inside.h"

enum { LIBRARIES_MAX = 2000, SLICES_MAX = 1000 };

/* ---- words ---- */

static int add_word(wr_card_list *l, wr_arena *a, wr_str text, wr_err *err)
{
    text = wr_str_fit(wr_str_trim(text), WR_CARD_TEXT);
    if (!text.n || l->n >= WR_CARD_ITEMS) return 0;
    l->at[l->n] = wr_arena_str(a, text).p;
    return l->at[l->n++] ? 0 : wr_err_nomem(err);
}

static int room(wr_card_list *l, wr_arena *a, wr_err *err)
{
    *l = (wr_card_list){.at = wr_arena_calloc(a, WR_CARD_ITEMS, sizeof *l->at)};
    return l->at ? 0 : wr_err_nomem(err);
}

static int of_yaml(wr_card_list *l, wr_arena *a, const wr_yaml *n, const char *key, wr_err *err)
{
    wr_str text;
    if (n->kind != WR_YAML_SEQ) {
        WR_TRY(wr_yaml_str(&text, n, key, err));
        return add_word(l, a, text, err);
    }
    for (size_t i = 0; i < n->n; i++) {
        WR_TRY(wr_yaml_str(&text, n->items[i], key, err));
        WR_TRY(add_word(l, a, text, err));
    }
    return 0;
}

/* A tag is one line an item where the word is a list, else one text. */
static int of_tag(wr_card_list *l, wr_arena *a, wr_str value, bool list, wr_err *err)
{
    if (!list) return add_word(l, a, value, err);
    for (wr_str rest = value; rest.p;) WR_TRY(add_word(l, a, wr_str_cut(&rest, '\n'), err));
    return 0;
}

static const wr_track_item *tag_of(const wr_track_item *tags, size_t n, const char *word)
{
    for (size_t i = 0; i < n; i++)
        if (wr_str_starts(tags[i].key, WR_CARD_TAG) &&
            wr_str_is(wr_str_sub(tags[i].key, sizeof WR_CARD_TAG - 1, tags[i].key.n), word))
            return &tags[i];
    return NULL;
}

static int section_of(const wr_yaml **out, wr_project *p, const char *model, wr_err *err)
{
    const wr_yaml *config;
    WR_TRY(wr_project_config(&config, p, err));
    const wr_yaml *models = wr_yaml_get(config, "models");
    *out = NULL;
    if (wr_yaml_null(models)) return 0;
    if (models->kind != WR_YAML_MAP) return wr_yaml_error(models, WEIR_ETYPE, err, "models is a map of names");
    const wr_yaml *own = wr_yaml_get(models, model);
    if (wr_yaml_null(own)) return 0;
    if (own->kind != WR_YAML_MAP) return wr_yaml_error(own, WEIR_ETYPE, err, "a model is a map");
    WR_TRY(wr_yaml_known(own, "a model", wr_card_words, err));
    *out = own;
    return 0;
}

int wr_card_read_words(wr_card *c, wr_arena *a, wr_project *p, const wr_track_item *version_tags, size_t nversion,
                       const wr_track_item *model_tags, size_t nmodel, wr_err *err)
{
    const wr_yaml *section;
    WR_TRY(section_of(&section, p, c->model, err));
    for (size_t i = 0; i < WR_CARD_WORDS; i++) {
        const char *word = wr_card_words[i];
        const wr_track_item *tag = tag_of(version_tags, nversion, word);
        const wr_yaml *n = wr_yaml_get(section, word);
        WR_TRY(room(&c->words[i], a, err));
        if (!tag) tag = tag_of(model_tags, nmodel, word);
        if (tag) WR_TRY(of_tag(&c->words[i], a, tag->value, i >= WR_CARD_USERS, err));
        else if (!wr_yaml_null(n)) WR_TRY(of_yaml(&c->words[i], a, n, word, err));
    }
    return 0;
}

/* ---- what is above ---- */

static int find_start(int64_t *id, wr_arena *a, wr_project *p, const wr_registered_version *v)
{
    wr_node node;
    wr_err none;
    *id = 0;
    if (v->version && wr_lineage_find(&node, a, p, "model", v->name.p, v->version, NULL, &none) == 0) *id = node.id;
    else if (!v->version && v->package.n &&
             wr_lineage_find(&node, a, p, "package", v->name.p, -1, v->package.p, &none) == 0)
        *id = node.id;
    else if (v->run_id.n && wr_lineage_find(&node, a, p, "run", v->run_id.p, -1, NULL, &none) == 0) *id = node.id;
    return *id != 0;
}

/* Place + 1 in the card's data of what step `i` was made into; 0 = the model itself. */
static size_t made_into(const wr_lineage_step *steps, size_t n, const size_t *place, size_t i)
{
    for (int64_t from = steps[i].from; from;) {
        size_t k = 0;
        while (k < n && steps[k].node.id != from) k++;
        if (k == n || k == i) return 0;
        if (place[k]) return place[k];
        from = steps[k].from;
    }
    return 0;
}

static bool is_data(const wr_node *n) { return strcmp(n->kind, "dataset") == 0 || strcmp(n->kind, "file") == 0; }

static int read_data(wr_card *c, wr_arena *a, const wr_lineage_step *steps, size_t n, wr_err *err)
{
    size_t *place = wr_arena_calloc(a, n + 1, sizeof *place);
    c->data = wr_arena_calloc(a, n + 1, sizeof *c->data);
    if (!place || !c->data) return wr_err_nomem(err);
    for (size_t i = 0; i < n; i++) {
        const wr_node *node = &steps[i].node;
        if (!is_data(node)) continue;
        c->data[c->ndata] = (wr_card_data){.kind = node->kind,
                                           .name = node->name,
                                           .hash = node->hash ? node->hash : "",
                                           .version = node->version,
                                           .parent = made_into(steps, n, place, i)};
        place[i] = ++c->ndata;
    }
    return 0;
}

/* Datasets that a client said its run had read, as far as the lineage has not named them. */
static int read_inputs(wr_card *c, wr_arena *a, wr_project *p, const wr_registered_version *v, wr_err *err)
{
    wr_registered_input *in;
    wr_track *t;
    size_t n = 0;
    if (!v->version) return 0;
    WR_TRY(wr_project_track(&t, p, err));
    WR_TRY(wr_registered_version_inputs(&in, &n, a, t, v, err));
    wr_card_data *all = wr_arena_calloc(a, c->ndata + n + 1, sizeof *all);
    if (!all) return wr_err_nomem(err);
    if (c->ndata) memcpy(all, c->data, c->ndata * sizeof *all);
    c->data = all;
    for (size_t i = 0; i < n; i++) {
        bool known = false;
        for (size_t k = 0; k < c->ndata; k++) known = known || strcmp(c->data[k].name, in[i].name.p) == 0;
        if (known) continue;
        c->data[c->ndata++] = (wr_card_data){
            .kind = "dataset", .name = in[i].name.p, .hash = in[i].digest.p ? in[i].digest.p : "", .version = -1};
    }
    return 0;
}

int wr_card_read_lineage(wr_card *c, wr_arena *a, wr_project *p, const wr_registered_version *v, wr_err *err)
{
    wr_lineage_step *steps = NULL;
    size_t n = 0;
    int64_t start;
    if (find_start(&start, a, p, v)) WR_TRY(wr_lineage_walk(&steps, &n, a, p, start, WR_LINEAGE_PARENTS, err));
    WR_TRY(read_data(c, a, steps, n, err));
    WR_TRY(read_inputs(c, a, p, v, err));
    return wr_card_energy_of_runs(c, a, p, steps, n, v->run_id.n ? v->run_id.p : NULL, err);
}

/* ---- metrics ---- */

static const char *rows_for(wr_arena *a, const wr_card *c, const char *name)
{
    for (size_t i = 0; i < c->nmetrics; i++) {
        const wr_card_metric *m = &c->metrics[i];
        size_t n = strlen(m->name) - (sizeof "rows" - 1); /* "train_" */
        if (wr_str_ends(wr_str_of(m->name), "_rows") && strncmp(m->name, name, n) == 0)
            return wr_arena_printf(a, "%.0f rows", m->value);
    }
    return NULL;
}

int wr_card_put_rows(wr_card *c, wr_arena *a, wr_err *err)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->nmetrics; i++)
        if (!c->metrics[i].rows) c->metrics[i].rows = rows_for(a, c, c->metrics[i].name);
    for (size_t i = 0; i < c->nmetrics; i++)
        if (!wr_str_ends(wr_str_of(c->metrics[i].name), "_rows")) c->metrics[kept++] = c->metrics[i];
    c->nmetrics = kept;
    return wr_arena_failed(a) ? wr_err_nomem(err) : 0;
}

/* ---- the evaluation ---- */

typedef struct {
    wr_card *c;
    wr_arena *a;
    const char *rows, *when; /* "984 rows, 2001-01-15 to 2001-01-21"; ", 2001-01-15 ..." */
    WR_VEC(wr_card_metric) all;
} judged;

static int add_metric(judged *j, yyjson_val *key, yyjson_val *value, const char *slice, const char *rows, wr_err *err)
{
    if (!yyjson_is_num(value) || !yyjson_is_str(key)) return 0;
    wr_card_metric m = {.name = wr_arena_strdup(j->a, yyjson_get_str(key)),
                        .value = yyjson_get_num(value),
                        .slice = slice,
                        .rows = rows};
    return m.name ? wr_vec_add(&j->all, m, err) : wr_err_nomem(err);
}

static int add_metrics(judged *j, yyjson_val *object, const char *slice, wr_err *err)
{
    yyjson_val *k, *v;
    size_t i, max;
    if (!yyjson_is_obj(object)) return 0;
    const char *rows =
        slice ? wr_arena_printf(j->a, "%.0f rows%s", yyjson_get_num(yyjson_obj_get(object, "rows")), j->when) : j->rows;
    if (!rows) return wr_err_nomem(err);
    yyjson_obj_foreach(object, i, max, k, v)
    {
        bool other =
            yyjson_equals_str(k, "rows") || yyjson_equals_str(k, "observed") || yyjson_equals_str(k, "predicted");
        if (!slice || !other) WR_TRY(add_metric(j, k, v, slice, rows, err));
    }
    return 0;
}

static int add_slices(judged *j, const char *by, yyjson_val *list, wr_err *err)
{
    yyjson_val *one;
    size_t i, max;
    yyjson_arr_foreach(list, i, max, one)
    {
        const char *value = yyjson_get_str(yyjson_obj_get(one, "value"));
        if (i >= SLICES_MAX) break;
        const char *slice = wr_arena_printf(j->a, "%s = %s", by, value ? value : "missing");
        if (!slice) return wr_err_nomem(err);
        WR_TRY(add_metrics(j, one, slice, err));
    }
    return 0;
}

static int read_judged(judged *j, yyjson_val *root, wr_err *err)
{
    yyjson_val *k, *v, *slices = yyjson_obj_get(root, "slices");
    size_t i, max;
    const char *from = yyjson_get_str(yyjson_obj_get(root, "from")),
               *until = yyjson_get_str(yyjson_obj_get(root, "until"));
    double rows = yyjson_get_num(yyjson_obj_get(root, "rows"));
    j->when = from && until ? wr_arena_printf(j->a, ", %.10s to %.10s", from, until) : "";
    j->rows = wr_arena_printf(j->a, "%.0f rows%s", rows, j->when ? j->when : "");
    if (!j->rows || !j->when) return wr_err_nomem(err);
    WR_TRY(add_metrics(j, yyjson_obj_get(yyjson_obj_get(root, "model"), "metrics"), NULL, err));
    if (!yyjson_is_obj(slices)) return 0;
    yyjson_obj_foreach(slices, i, max, k, v) WR_TRY(add_slices(j, yyjson_get_str(k), v, err));
    return 0;
}

int wr_card_read_evaluation(wr_card *c, wr_arena *a, wr_str text, wr_err *err)
{
    WR_AUTOJSON wr_json json = {0};
    judged j = {.c = c, .a = a};
    int rc = 0;
    WR_TRY(wr_json_parse(&json, text, "the report \"evaluation\"", err));
    for (size_t i = 0; i < c->nmetrics && rc == 0; i++) rc = wr_vec_add(&j.all, c->metrics[i], err);
    if (rc == 0) rc = read_judged(&j, json.root, err);
    return wr_vec_keep(&c->metrics, &c->nmetrics, a, &j.all, rc, err);
}

/* ---- requirements.txt ---- */

int wr_card_read_requirements(wr_card *c, wr_arena *a, wr_str text, wr_err *err)
{
    WR_VEC(wr_card_fact) all = {0};
    int rc = 0;
    for (wr_str rest = text; rest.p && rc == 0 && all.n < LIBRARIES_MAX;) {
        wr_str line = wr_str_cut(&rest, '\n');
        line = wr_str_trim(wr_str_cut(&line, ';')); /* markers of the environment */
        const char *eq = line.n ? memmem(line.p, line.n, "==", 2) : NULL;
        if (!eq) continue;
        wr_str name = wr_str_trim(wr_str_sub(line, 0, (size_t)(eq - line.p)));
        wr_str version = wr_str_trim(wr_str_sub(line, (size_t)(eq - line.p) + 2, line.n));
        if (memchr(name.p, '[', name.n)) name = wr_str_cut(&name, '['); /* extras */
        if (!wr_name_ok(name) || !version.n || version.n > 100 || !wr_str_utf8(version)) continue;
        wr_card_fact f = {wr_arena_str(a, name).p, wr_arena_str(a, version).p};
        rc = f.key && f.value ? wr_vec_add(&all, f, err) : wr_err_nomem(err);
    }
    return wr_vec_keep(&c->libraries, &c->nlibraries, a, &all, rc, err);
}
