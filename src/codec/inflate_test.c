/* SPDX-License-Identifier: Apache-2.0 */
/* inflate_test.c - streams packed by zlib itself, damaged and overgrown ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <zlib.h>

#include "codec/inflate.h"

static void pack(wr_buf *out, wr_str in, int window)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t bound = deflateBound(&z, in.n) + 64;
    assert_true(wr_buf_reserve(out, bound));
    z.next_in = (unsigned char *)(uintptr_t)in.p;
    z.avail_in = (uInt)in.n;
    z.next_out = (unsigned char *)out->p + out->n;
    z.avail_out = (uInt)bound;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out->n += bound - z.avail_out;
    deflateEnd(&z);
}

static void test_codings(void **state)
{
    (void)state;
    wr_coding c;
    wr_err err = {0};
    assert_int_equal(wr_coding_parse(&c, (wr_str){NULL, 0}, &err), 0);
    assert_int_equal(c, WR_CODING_NONE);
    assert_int_equal(wr_coding_parse(&c, WR_STR("Identity"), &err), 0);
    assert_int_equal(c, WR_CODING_NONE);
    assert_int_equal(wr_coding_parse(&c, WR_STR(" GZip "), &err), 0);
    assert_int_equal(c, WR_CODING_GZIP);
    assert_int_equal(wr_coding_parse(&c, WR_STR("deflate"), &err), 0);
    assert_int_equal(c, WR_CODING_DEFLATE);
    assert_int_equal(wr_coding_parse(&c, WR_STR("br"), &err), WEIR_EINVAL);
    assert_string_equal(err.msg, "Unsupported Content-Encoding: br");
    assert_int_equal(wr_coding_parse(&c, WR_STR("gzip, gzip"), &err), WEIR_EINVAL);
}

static const struct {
    wr_coding coding;
    int window;
} kinds[] = {{WR_CODING_GZIP, 31}, {WR_CODING_DEFLATE, 15}, {WR_CODING_DEFLATE, -15}};

static void test_round_trip(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 1000000};
    for (size_t k = 0; k < 3; k++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            WR_AUTOBUF wr_buf text = {0}, packed = {0}, out = {0};
            wr_err err = {0};
            for (size_t i = 0; i < sizes[s]; i++) wr_buf_char(&text, (char)(i * i / 7));
            pack(&packed, wr_buf_view(&text), kinds[k].window);
            assert_int_equal(wr_inflate(&out, wr_buf_view(&packed), kinds[k].coding, sizes[s], &err), 0);
            assert_true(wr_str_eq(wr_buf_view(&out), wr_buf_view(&text)));
        }
}

static void test_bomb(void **state)
{
    (void)state;
    WR_AUTOBUF wr_buf text = {0}, packed = {0}, out = {0};
    wr_err err = {0};
    for (size_t i = 0; i < 1000001; i++) wr_buf_char(&text, 'a');
    for (size_t k = 0; k < 3; k++) {
        wr_buf_clear(&packed);
        wr_buf_clear(&out);
        pack(&packed, wr_buf_view(&text), kinds[k].window);
        assert_true(packed.n < 2000);
        assert_int_equal(wr_inflate(&out, wr_buf_view(&packed), kinds[k].coding, 1000000, &err), WEIR_ELIMIT);
        assert_true(out.n <= 1000001);
        wr_buf_clear(&out);
        assert_int_equal(wr_inflate(&out, wr_buf_view(&packed), kinds[k].coding, 1000001, &err), 0);
    }
    /* members count together */
    wr_buf_clear(&packed);
    wr_buf_clear(&out);
    pack(&packed, WR_STR("abc"), 31);
    pack(&packed, WR_STR("def"), 31);
    assert_int_equal(wr_inflate(&out, wr_buf_view(&packed), WR_CODING_GZIP, 6, &err), 0);
    assert_string_equal(wr_buf_cstr(&out), "abcdef");
    wr_buf_clear(&out);
    assert_int_equal(wr_inflate(&out, wr_buf_view(&packed), WR_CODING_GZIP, 5, &err), WEIR_ELIMIT);
}

static void test_damaged(void **state)
{
    (void)state;
    for (size_t k = 0; k < 3; k++) {
        WR_AUTOBUF wr_buf packed = {0};
        pack(&packed, WR_STR("a text that is packed, a text that is packed"), kinds[k].window);
        for (size_t n = 0; n < packed.n; n++) { /* cut anywhere */
            WR_AUTOBUF wr_buf out = {0};
            wr_err err = {0};
            assert_int_equal(wr_inflate(&out, (wr_str){packed.p, n}, kinds[k].coding, 1000, &err), WEIR_EPARSE);
            assert_true(wr_str_starts(wr_str_of(err.msg), "Failed to decompress"));
        }
        wr_buf_str(&packed, "behind");
        WR_AUTOBUF wr_buf out = {0};
        assert_int_equal(wr_inflate(&out, wr_buf_view(&packed), kinds[k].coding, 1000, NULL), WEIR_EPARSE);
    }
    WR_AUTOBUF wr_buf packed = {0}, out = {0};
    pack(&packed, WR_STR("checksum"), 31);
    packed.p[packed.n - 6] = (char)(packed.p[packed.n - 6] ^ 1);
    assert_int_equal(wr_inflate(&out, wr_buf_view(&packed), WR_CODING_GZIP, 1000, NULL), WEIR_EPARSE);
}

static void test_none(void **state)
{
    (void)state;
    WR_AUTOBUF wr_buf out = {0};
    assert_int_equal(wr_inflate(&out, WR_STR("as it is"), WR_CODING_NONE, 8, NULL), 0);
    assert_string_equal(wr_buf_cstr(&out), "as it is");
    assert_int_equal(wr_inflate(&out, WR_STR("as it is"), WR_CODING_NONE, 7, NULL), WEIR_ELIMIT);
}

static void test_packing(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "a", "a text that is packed, a text that is packed, a text that is packed"};
    static const wr_coding codings[] = {WR_CODING_NONE, WR_CODING_GZIP, WR_CODING_DEFLATE};
    for (size_t k = 0; k < 9; k++) {
        WR_AUTOBUF wr_buf packed = {0}, out = {0};
        wr_str text = wr_str_of(texts[k / 3]);
        wr_buf_str(&packed, "before");
        assert_int_equal(wr_deflate(&packed, text, codings[k % 3], NULL), 0);
        if (k % 3 == 0) continue;
        assert_int_equal(wr_inflate(&out, wr_str_sub(wr_buf_view(&packed), 6, packed.n), codings[k % 3], 1000, NULL),
                         0);
        assert_true(wr_str_eq(wr_buf_view(&out), text));
    }
    WR_AUTOBUF wr_buf small = {0};
    wr_buf_init(&small, 10);
    assert_int_equal(wr_deflate(&small, WR_STR("more than fits into ten bytes"), WR_CODING_GZIP, NULL), WEIR_ENOMEM);
}

static void test_accepted(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        wr_coding coding;
    } all[] = {{"", WR_CODING_NONE},
               {"gzip", WR_CODING_GZIP},
               {"deflate", WR_CODING_DEFLATE},
               {"gzip, deflate", WR_CODING_GZIP},
               {"deflate, gzip", WR_CODING_DEFLATE},
               {"br, gzip;q=0.5, deflate;q=0.8", WR_CODING_DEFLATE},
               {"identity, gzip", WR_CODING_NONE},
               {"identity;q=0.1, GZIP;q=0.2", WR_CODING_GZIP},
               {"gzip;q=0", WR_CODING_NONE},
               {"gzip;q=2, deflate;q=x", WR_CODING_NONE},
               {" ;q=1, ,gzip ; q=0.3", WR_CODING_GZIP},
               {"*", WR_CODING_NONE}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (wr_coding_accepted(wr_str_of(all[i].header)) != all[i].coding) fail_msg("%s", all[i].header);
    assert_int_equal(wr_coding_accepted((wr_str){NULL, 0}), WR_CODING_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codings),  cmocka_unit_test(test_round_trip), cmocka_unit_test(test_bomb),
        cmocka_unit_test(test_damaged),  cmocka_unit_test(test_none),       cmocka_unit_test(test_packing),
        cmocka_unit_test(test_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
