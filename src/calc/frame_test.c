/* SPDX-License-Identifier: Apache-2.0 */
/* frame_test.c - columns: growth, missing values, dictionaries, taking rows, and every allocation failing in turn. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/fault.h"
#include "base/limits.h"
#include "calc/frame.h"

static wr_str S(const char *s) { return wr_str_of(s); }

static void names_and_sizes(void **state)
{
    (void)state;
    assert_string_equal(wr_type_name(WR_F64), "double");
    assert_string_equal(wr_type_name(WR_F32), "float");
    assert_string_equal(wr_type_name(WR_I64), "long");
    assert_string_equal(wr_type_name(WR_TS), "timestamp");
    assert_string_equal(wr_type_name(WR_BOOL), "boolean");
    assert_string_equal(wr_type_name(WR_TEXT), "string");
    assert_int_equal(wr_type_size(WR_F64), sizeof(double));
    assert_int_equal(wr_type_size(WR_F32), sizeof(float));
    assert_int_equal(wr_type_size(WR_BOOL), 1);
    assert_int_equal(wr_type_size(WR_TEXT), sizeof(uint32_t));
}

static void columns_grow_together(void **state)
{
    (void)state;
    WR_AUTOFRAME wr_frame *f = wr_frame_new();
    assert_non_null(wr_frame_add(f, "a", WR_F64));
    assert_null(wr_frame_add(f, "a", WR_I64));
    assert_int_equal(wr_frame_resize(f, 3), 0);
    f->cols[0].f64[2] = 7;
    wr_col *b = wr_frame_add(f, "b", WR_BOOL); /* later columns have the frame's length */
    assert_non_null(b);
    assert_int_equal(b->n, 3);
    assert_int_equal(b->b[2], 0);
    assert_int_equal(wr_frame_reserve(f, 100), 0);
    assert_int_equal(f->nrows, 3);
    assert_true(f->cols[0].cap >= 100);
    assert_int_equal(wr_frame_resize(f, 5000), 0);
    assert_true(f->cols[0].f64[2] == 7);
    for (size_t i = 3; i < 5000; i++) assert_true(f->cols[0].f64[i] == 0);
    /* shrink and grow again: old values do not come back */
    assert_int_equal(wr_frame_resize(f, 1), 0);
    assert_int_equal(wr_frame_resize(f, 3), 0);
    assert_true(f->cols[0].f64[2] == 0);
    assert_int_equal(wr_frame_resize(f, 0), 0);
    assert_int_equal(f->cols[1].n, 0);
    for (int i = 0; i < 40; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "c%d", i);
        assert_non_null(wr_frame_add(f, name, WR_F32));
    }
    assert_int_equal(f->ncols, 42);
    assert_string_equal(wr_frame_col(f, "c39")->name, "c39");
    assert_null(wr_frame_col(f, "C39"));
    assert_int_equal(wr_frame_resize(f, SIZE_MAX / 4), WEIR_ENOMEM); /* size overflows: refused, nothing changed */
    assert_int_equal(f->nrows, 0);
}

static void missing_is_marked_and_holds_nothing(void **state)
{
    (void)state;
    WR_AUTOFRAME wr_frame *f = wr_frame_new();
    for (int t = WR_F64; t <= WR_TEXT; t++) assert_non_null(wr_frame_add(f, wr_type_name((wr_type)t), (wr_type)t));
    assert_int_equal(wr_frame_resize(f, 4), 0);
    for (size_t i = 0; i < f->ncols; i++) {
        wr_col *c = &f->cols[i];
        if (c->type == WR_TEXT) {
            uint32_t code;
            assert_int_equal(wr_col_code(c, S("x"), &code), 0);
            assert_int_equal(wr_col_code(c, S("y"), &code), 0);
            c->code[1] = code;
        } else if (c->type == WR_BOOL) {
            c->b[1] = 1;
        } else if (c->type == WR_F64) {
            c->f64[1] = 1;
        } else if (c->type == WR_F32) {
            c->f32[1] = 1;
        } else {
            c->i64[1] = 1;
        }
        assert_false(wr_col_missing(c, 1));
        assert_int_equal(wr_col_set_missing(c, 1), 0);
        assert_true(wr_col_missing(c, 1));
        assert_false(wr_col_missing(c, 0));
        assert_true(isnan(wr_col_num(c, 1)));
    }
    assert_true(isnan(f->cols[WR_F64].f64[1]));
    assert_true(isnan((double)f->cols[WR_F32].f32[1]));
    assert_int_equal(f->cols[WR_I64].i64[1], 0);
    assert_int_equal(f->cols[WR_BOOL].b[1], 0);
    assert_null(wr_col_text(&f->cols[WR_TEXT], 1).p);
    assert_true(wr_str_is(wr_col_text(&f->cols[WR_TEXT], 0), "x"));
    assert_int_equal(wr_frame_resize(f, 10000), 0); /* new rows are not missing */
    for (size_t i = 0; i < f->ncols; i++) {
        assert_true(wr_col_missing(&f->cols[i], 1));
        assert_false(wr_col_missing(&f->cols[i], 9999));
    }
}

static void numbers_of_every_type(void **state)
{
    (void)state;
    WR_AUTOFRAME wr_frame *f = wr_frame_new();
    for (int t = WR_F64; t <= WR_TEXT; t++) assert_non_null(wr_frame_add(f, wr_type_name((wr_type)t), (wr_type)t));
    assert_int_equal(wr_frame_resize(f, 1), 0);
    f->cols[WR_F64].f64[0] = 1.5;
    f->cols[WR_F32].f32[0] = 2.5f;
    f->cols[WR_I64].i64[0] = -3;
    f->cols[WR_TS].i64[0] = 4;
    f->cols[WR_BOOL].b[0] = 1;
    assert_true(wr_col_num(&f->cols[WR_F64], 0) == 1.5);
    assert_true(wr_col_num(&f->cols[WR_F32], 0) == 2.5);
    assert_true(wr_col_num(&f->cols[WR_I64], 0) == -3);
    assert_true(wr_col_num(&f->cols[WR_TS], 0) == 4);
    assert_true(wr_col_num(&f->cols[WR_BOOL], 0) == 1);
    assert_true(isnan(wr_col_num(&f->cols[WR_TEXT], 0)));
    assert_int_equal(wr_col_text(&f->cols[WR_TEXT], 0).n, 0); /* nothing interned yet: empty, not a wild read */
}

static void text_is_interned_in_order(void **state)
{
    (void)state;
    WR_AUTOFRAME wr_frame *f = wr_frame_new();
    wr_col *c = wr_frame_add(f, "s", WR_TEXT);
    uint32_t code;
    assert_int_equal(wr_col_code(c, S("b"), &code), 0);
    assert_int_equal(code, 0);
    assert_int_equal(wr_col_code(c, S("a"), &code), 0);
    assert_int_equal(code, 1);
    assert_int_equal(wr_col_code(c, S("b"), &code), 0);
    assert_int_equal(code, 0);
    assert_int_equal(wr_col_code(c, (wr_str){"", 0}, &code), 0);
    assert_int_equal(code, 2);
    assert_int_equal(wr_col_code(c, (wr_str){"a\0b", 3}, &code), 0); /* NUL inside is a character like others */
    assert_int_equal(code, 3);
}

static void dictionary_is_bounded(void **state)
{
    (void)state;
    WR_AUTOFRAME wr_frame *f = wr_frame_new();
    wr_col *c = wr_frame_add(f, "s", WR_TEXT);
    size_t real = c->dict.n;
    uint32_t code = 0;
    assert_int_equal(wr_col_code(c, S("known"), &code), 0);
    c->dict.n = WR_LIMIT_DICT; /* as if full: millions of real strings would only cost time */
    assert_int_equal(wr_col_code(c, S("new"), &code), WEIR_ELIMIT);
    assert_int_equal(wr_col_code(c, S("known"), &code), 0);
    c->dict.n = real + 1;
}

static void need_says_what_is_there(void **state)
{
    (void)state;
    WR_AUTOFRAME wr_frame *f = wr_frame_new();
    assert_non_null(wr_frame_add(f, "delay", WR_I64));
    assert_non_null(wr_frame_add(f, "distance", WR_I64));
    wr_col *c = NULL;
    wr_err err = {0};
    assert_int_equal(wr_frame_need(&c, f, "delay", WR_I64, &err), 0);
    assert_ptr_equal(c, &f->cols[0]);
    assert_int_equal(wr_frame_need(&c, f, "delay", -1, &err), 0);
    assert_int_equal(wr_frame_need(&c, f, "delay", WR_TEXT, &err), WEIR_ETYPE);
    assert_non_null(strstr(err.msg, "\"delay\" is long, not string"));
    assert_int_equal(wr_frame_need(&c, f, "dealy", -1, &err), WEIR_ENOTFOUND);
    assert_non_null(strstr(err.hint, "did you mean \"delay\""));
    assert_int_equal(wr_frame_need(&c, f, "temperature", -1, &err), WEIR_ENOTFOUND);
    assert_non_null(strstr(err.hint, "delay, distance"));
    assert_int_equal(wr_frame_need(&c, f, "x", -1, NULL), WEIR_ENOTFOUND);
}

/* Rows 0..5, a string and a missing value in several of them. */
static wr_frame *sample(void)
{
    wr_frame *f = wr_frame_new();
    wr_frame_add(f, "n", WR_I64);
    wr_frame_add(f, "b", WR_BOOL);
    wr_frame_add(f, "s", WR_TEXT);
    wr_frame_resize(f, 6);
    const char *text[] = {"red", "green", "red", "blue", "green", "black"};
    for (size_t i = 0; i < 6; i++) {
        f->cols[0].i64[i] = (int64_t)i * 10;
        f->cols[1].b[i] = i & 1;
        wr_col_code(&f->cols[2], S(text[i]), &f->cols[2].code[i]);
    }
    wr_col_set_missing(&f->cols[0], 4);
    wr_col_set_missing(&f->cols[2], 0);
    return f;
}

static void take_copies_rows(void **state)
{
    (void)state;
    WR_AUTOFRAME wr_frame *f = sample();
    WR_AUTOFRAME wr_frame *g = NULL;
    const uint32_t rows[] = {3, 0, 4, 3, 1};
    assert_int_equal(wr_frame_take(&g, f, rows, 5, NULL), 0);
    assert_int_equal(g->nrows, 5);
    assert_int_equal(g->ncols, 3);
    assert_int_equal(g->cols[0].i64[0], 30);
    assert_true(wr_col_missing(&g->cols[0], 2));
    assert_int_equal(g->cols[1].b[4], 1);
    wr_col *s = &g->cols[2];
    assert_int_equal(s->dict.n, 2); /* unused strings are not carried along, "red" was missing */
    assert_int_equal(s->code[0], 0);
    assert_true(wr_str_is(wr_col_text(s, 0), "blue"));
    assert_null(wr_col_text(s, 1).p);
    assert_true(wr_str_is(wr_col_text(s, 2), "green"));
    assert_true(wr_str_is(wr_col_text(s, 3), "blue"));
    WR_AUTOFRAME wr_frame *none = NULL;
    assert_int_equal(wr_frame_take(&none, f, NULL, 0, NULL), 0);
    assert_int_equal(none->nrows, 0);
    assert_int_equal(none->ncols, 3);
    wr_err err = {0};
    const uint32_t beyond[] = {6};
    wr_frame *no = NULL;
    assert_int_equal(wr_frame_take(&no, f, beyond, 1, &err), WEIR_EINVAL);
    assert_null(no);
}

static void every_allocation_fails_once(void **state)
{
    (void)state;
    const uint32_t rows[] = {5, 1, 2, 0};
    WR_AUTOFRAME wr_frame *f = sample();
    int failures = 0;
    for (long n = 1;; n++) {
        wr_frame *g = NULL;
        wr_fault_arm(WR_FAULT_ALLOC, n, false);
        int rc = wr_frame_take(&g, f, rows, 4, NULL);
        bool fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        if (!fired) {
            assert_int_equal(rc, 0);
            wr_frame_free(g);
            break;
        }
        assert_int_equal(rc, WEIR_ENOMEM);
        assert_null(g);
        failures++;
    }
    assert_true(failures > 5);
    for (long n = 1; n <= 3; n++) { /* growth: lengths and values stay */
        wr_fault_arm(WR_FAULT_ALLOC, n, false);
        assert_int_equal(wr_frame_resize(f, 100000), WEIR_ENOMEM);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        assert_int_equal(f->nrows, 6);
        assert_int_equal(f->cols[0].i64[5], 50);
        assert_true(wr_col_missing(&f->cols[0], 4));
    }
    assert_int_equal(wr_frame_resize(f, 100000), 0);
    assert_int_equal(f->cols[0].i64[5], 50);
}

static void sort_is_stable_and_keeps_rows_together(void **state)
{
    (void)state;
    enum { N = 1000 };
    wr_frame *f = wr_frame_new();
    assert_int_equal(wr_frame_resize(f, N), 0);
    assert_non_null(wr_frame_add(f, "t", WR_TS));
    assert_non_null(wr_frame_add(f, "was", WR_I64));
    wr_col *t = wr_frame_col(f, "t"), *was = wr_frame_col(f, "was");
    for (int i = 0; i < N; i++) {
        t->i64[i] = (i * 7919) % 13 - 6; /* many ties, negative ones too */
        was->i64[i] = i;
    }
    wr_err err = {0};
    assert_int_equal(wr_frame_sort(&f, "t", &err), 0);
    t = wr_frame_col(f, "t");
    was = wr_frame_col(f, "was");
    for (int i = 0; i < N; i++) assert_int_equal(t->i64[i], (was->i64[i] * 7919) % 13 - 6);
    for (int i = 1; i < N; i++)
        assert_true(t->i64[i - 1] < t->i64[i] || (t->i64[i - 1] == t->i64[i] && was->i64[i - 1] < was->i64[i]));
    wr_frame *before = f;
    assert_int_equal(wr_frame_sort(&f, "t", &err), 0);
    assert_ptr_equal(f, before); /* nothing to do, nothing copied */
    assert_int_equal(wr_frame_sort(&f, "tt", &err), WEIR_ENOTFOUND);
    wr_frame_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_sizes),
        cmocka_unit_test(columns_grow_together),
        cmocka_unit_test(missing_is_marked_and_holds_nothing),
        cmocka_unit_test(numbers_of_every_type),
        cmocka_unit_test(text_is_interned_in_order),
        cmocka_unit_test(dictionary_is_bounded),
        cmocka_unit_test(need_says_what_is_there),
        cmocka_unit_test(take_copies_rows),
        cmocka_unit_test(sort_is_stable_and_keeps_rows_together),
        cmocka_unit_test(every_allocation_fails_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
