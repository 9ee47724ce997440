/* SPDX-License-Identifier: Apache-2.0 */
/* order.c - order_by of a search. */
#include "track/order.h"

#define SHOWN(s) WR_STR_FMT(wr_str_fit(s, 100))

static int unparsable(wr_str text, wr_err *err)
{
    return wr_err_set(err, WEIR_EINVAL, "Invalid order_by clause '%.*s'. Could not be parsed.", SHOWN(text));
}

/* The word at the start of `rest`, which moves behind it and the space that follows. */
static wr_str word(wr_str *rest)
{
    size_t n = wr_filter_word(*rest);
    wr_str w = wr_str_sub(*rest, 0, n);
    *rest = wr_str_trim(wr_str_sub(*rest, n, rest->n));
    return w;
}

int wr_order_item_parse(wr_order_item *out, wr_arena *a, const wr_filter_noun *noun, wr_str text, wr_err *err)
{
    wr_str rest = wr_str_trim(text);
    *out = (wr_order_item){0};
    if (text.n > WR_FILTER_LENGTH || !wr_str_utf8(text) || memchr(text.p ? text.p : "", 0, text.n))
        return wr_err_set(err, WEIR_EINVAL, "Invalid order_by clause. Could not be parsed.");
    wr_str ident = word(&rest), function = {0};
    if (ident.n && rest.n && rest.p[0] == '(') { /* FUNCTION(IDENT) */
        function = ident;
        rest = wr_str_trim(wr_str_sub(rest, 1, rest.n));
        ident = word(&rest);
        if (rest.n == 0 || rest.p[0] != ')') return unparsable(text, err);
        rest = wr_str_trim(wr_str_sub(rest, 1, rest.n));
    }
    if (ident.n == 0) return unparsable(text, err);
    wr_str way = word(&rest);
    if (rest.n) return unparsable(text, err);
    out->desc = wr_str_ieq(way, "desc");
    if (way.n && !out->desc && !wr_str_ieq(way, "asc"))
        return wr_err_set(err, WEIR_EINVAL, "Invalid ordering key in order_by clause '%.*s'.", SHOWN(text));
    return wr_filter_ident(&out->at, a, noun, function, ident, err);
}

bool wr_order_same(const wr_order_item *x, const wr_order_item *y)
{
    return x->at.field == y->at.field && wr_str_eq(x->at.key, y->at.key);
}

int wr_order_parse(wr_order_item **out, size_t *n, wr_arena *a, const wr_filter_noun *noun, const wr_str *texts,
                   size_t ntexts, wr_err *err)
{
    wr_order_item *items = wr_arena_calloc(a, ntexts ? ntexts : 1, sizeof *items);
    if (!items) return wr_err_nomem(err);
    if (ntexts > WR_ORDER_ITEMS)
        return wr_err_set(err, WEIR_EINVAL, "Invalid order_by: more than %d items", WR_ORDER_ITEMS);
    for (size_t i = 0; i < ntexts; i++) {
        WR_TRY(wr_order_item_parse(&items[i], a, noun, texts[i], err));
        const wr_filter_clause *c = &items[i].at;
        size_t entity = strcspn(c->entity->names, "|");
        if (!c->field->order)
            return wr_err_set(
                err, WEIR_EINVAL, "Invalid order_by entity `%.*s` with key `%.*s`: Invalid %.*s key '%.*s' specified",
                (int)entity, c->entity->names, SHOWN(c->key), (int)entity, c->entity->names, SHOWN(c->key));
        for (size_t k = 0; k < i; k++)
            if (wr_order_same(&items[k], &items[i]))
                return wr_err_set(err, WEIR_EINVAL, "`order_by` contains duplicate fields: '%.*s'", SHOWN(texts[i]));
    }
    *out = items;
    *n = ntexts;
    return 0;
}
