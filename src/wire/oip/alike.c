/* SPDX-License-Identifier: Apache-2.0 */
/* alike.c - the forms of requests that were read. */
#include "wire/oip/alike.h"

#include "base/mem.h"

enum { CREDIT_MAX = 64 };

struct wr_oip_alike {
    wr_oip_form *forms; /* made with the first one */
    size_t n, next;
};

wr_oip_alike *wr_oip_alike_new(void) { return wr_calloc(1, sizeof(wr_oip_alike)); }

void wr_oip_alike_free(wr_oip_alike *k)
{
    if (k) wr_free(k->forms);
    wr_free(k);
}

static bool seems(const wr_oip_form *f, wr_str json)
{
    size_t n = f->ends[f->npieces - 1], last = f->npieces > 1 ? f->ends[f->npieces - 2] : 0;
    if (json.n < n || (f->npieces == 1 && json.n != n)) return false;
    return memcmp(json.p, f->text, f->ends[0]) == 0 &&
           memcmp(json.p + json.n - (n - last), f->text + last, n - last) == 0;
}

const wr_oip_form *wr_oip_form_of(wr_oip_alike *k, uint64_t generation, bool explain, wr_str json)
{
    for (size_t i = 0; i < k->n; i++) {
        wr_oip_form *f = &k->forms[i];
        if (f->generation != generation || f->explain != explain || !seems(f, json)) continue;
        f->credit += f->credit < CREDIT_MAX;
        return f;
    }
    return NULL;
}

/* ---- a new one ---- */

/* The pieces of `json` around the lists of values. */
static bool take_text(wr_oip_form *f, wr_str json, const wr_oip_notes *notes)
{
    size_t at = 0, n = 0;
    f->npieces = 0;
    for (size_t i = 0; i <= notes->n; i++) {
        const wr_oip_noted *v = &notes->in[i];
        if (i < notes->n && v->binary) continue;
        size_t to = i < notes->n ? v->from : json.n;
        if (to < at || to - at > sizeof f->text - n) return false;
        memcpy(f->text + n, json.p + at, to - at);
        n += to - at;
        f->ends[f->npieces++] = n;
        if (i < notes->n) at = v->to;
    }
    return f->ends[0] > 0;
}

/* Where a part of `json` stands in the text of the form: not if it is no part, or among values. */
static bool find(wr_oip_span *out, const wr_oip_form *f, wr_str json, const wr_oip_notes *notes, wr_str part)
{
    if (part.p < json.p || part.p + part.n > json.p + json.n) return false;
    size_t at = (size_t)(part.p - json.p), before = 0;
    for (size_t i = 0; i < notes->n; i++) {
        const wr_oip_noted *v = &notes->in[i];
        if (v->binary || at < v->from) continue;
        if (at < v->to) return false;
        before += v->to - v->from;
    }
    *out = (wr_oip_span){(uint32_t)(at - before), (uint32_t)part.n};
    return at - before + part.n <= f->ends[f->npieces - 1];
}

static bool take_meaning(wr_oip_form *f, wr_str json, const wr_oip_asked *asked, const wr_oip_notes *notes)
{
    f->nin = asked->q.nin;
    f->nout = asked->q.noutputs;
    f->binary = asked->binary;
    f->timeout_us = asked->q.timeout_us;
    f->priority = asked->q.priority;
    for (size_t i = 0; i < f->nin; i++) {
        f->in[i] = asked->q.in[i];
        f->in[i].data = NULL;
        f->in[i].type = notes->in[i].type;
        f->noted[i] = notes->in[i];
        if (!find(&f->in_names[i], f, json, notes, f->in[i].name)) return false;
    }
    for (size_t i = 0; i < f->nout; i++) {
        f->out[i] = asked->outputs[i];
        if (f->out[i].place.region.p || !find(&f->out_names[i], f, json, notes, f->out[i].name)) return false;
    }
    return true;
}

static bool has_form(const wr_oip_asked *asked, const wr_oip_notes *notes)
{
    return !notes->odd && asked->q.nin > 0 && notes->n == asked->q.nin && asked->q.noutputs <= WR_OIP_FORM_TENSORS &&
           !asked->q.nparams && !asked->q.id.n;
}

void wr_oip_form_keep(wr_oip_alike *k, uint64_t generation, bool explain, wr_str json, const wr_oip_asked *asked,
                      const wr_oip_notes *notes)
{
    if (!has_form(asked, notes)) return;
    if (!k->forms) k->forms = wr_alloc(WR_OIP_FORMS * sizeof *k->forms);
    if (!k->forms) return;
    wr_oip_form *f = &k->forms[k->n < WR_OIP_FORMS ? k->n : k->next++ % WR_OIP_FORMS];
    if (k->n == WR_OIP_FORMS && f->credit > 0) { /* one that is of use stays, but not for ever */
        f->credit--;
        return;
    }
    *f = (wr_oip_form){.generation = generation, .explain = explain};
    if (!take_text(f, json, notes) || !take_meaning(f, json, asked, notes)) {
        f->generation = 0; /* nobody's */
        return;
    }
    if (k->n < WR_OIP_FORMS) k->n++;
}
