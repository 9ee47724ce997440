/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_infer_test.c - ModelInfer over gRPC. */
#include "base/clock.h"
#include "base/fault.h"
#include "base/limits.h"
#include "wire/oip/grpc_call_testing.h"

static void test_raw(void **state)
{
    (void)state;
    wr_pbw_str(&message, 1, WR_STR("simple"));
    wr_pbw_str(&message, 3, WR_STR("my-id"));
    put_pair();
    CALL("ModelInfer", WR_GRPC_OK);
    TEXT(part(reply(), 1, 0), "simple");
    TEXT(part(reply(), 2, 0), "3");
    TEXT(part(reply(), 3, 0), "my-id");
    assert_int_equal(count(reply(), 5), 2);
    TEXT(part(part(reply(), 5, 0), 1, 0), "OUTPUT0");
    TEXT(part(part(reply(), 5, 0), 2, 0), "INT32");
    assert_memory_equal(part(part(reply(), 5, 0), 3, 0).p, "\1\20", 2);
    check_pair(part(reply(), 6, 0), part(reply(), 6, 1));
    assert_false(answer.kept);
}

/* Tensors in front of what they belong to, before the model is named. */
static void test_order_of_fields(void **state)
{
    (void)state;
    for (int i = 0; i < 16; i++) pair[0][i] = i, pair[1][i] = 1;
    put_raw(pair[0], sizeof pair[0]);
    put_raw(pair[1], sizeof pair[1]);
    put_input("INPUT0", "INT32", 1, 16);
    put_input("INPUT1", "INT32", 1, 16);
    wr_pbw_str(&message, 1, WR_STR("simple"));
    CALL("ModelInfer", WR_GRPC_OK);
    check_pair(part(reply(), 6, 0), part(reply(), 6, 1));
}

static void test_outputs(void **state)
{
    (void)state;
    for (int twice = 0; twice < 2; twice++) {
        wr_pbw_str(&message, 1, WR_STR("simple"));
        put_pair();
        for (int i = 0; i <= twice; i++) {
            size_t at = wr_pbw_open(&message, 6);
            wr_pbw_str(&message, 1, WR_STR("OUTPUT1"));
            wr_pbw_close(&message, at);
        }
        CALL("ModelInfer", twice ? WR_GRPC_INVALID_ARGUMENT : WR_GRPC_OK);
        if (twice) SAYS("output 'OUTPUT1' already exists in request");
        else assert_int_equal(count(reply(), 6), 1);
    }
    wr_pbw_str(&message, 1, WR_STR("simple"));
    put_pair();
    size_t at = wr_pbw_open(&message, 6);
    wr_pbw_str(&message, 1, WR_STR("OUTPUT7"));
    wr_pbw_close(&message, at);
    CALL("ModelInfer", WR_GRPC_INVALID_ARGUMENT);
    SAYS("unexpected inference output 'OUTPUT7' for model 'simple'");
}

static void test_strings(void **state)
{
    (void)state;
    static const char raw[] = "\3\0\0\0abc\0\0\0\0";
    wr_pbw_str(&message, 1, WR_STR("bytes"));
    put_input("INPUT0", "BYTES", 1, 2);
    put_raw(raw, sizeof raw - 1);
    CALL("ModelInfer", WR_GRPC_OK);
    assert_int_equal(part(reply(), 6, 0).n, sizeof raw - 1);
    assert_memory_equal(part(reply(), 6, 0).p, raw, sizeof raw - 1);
    for (int n = 1; n < 4; n++) { /* typed: as many as the shape says */
        wr_pbw_str(&message, 1, WR_STR("bytes"));
        size_t at = open_input("INPUT0", "BYTES", 1, 2), contents = wr_pbw_open(&message, 5);
        for (int i = 0; i < n; i++) wr_pbw_str(&message, 8, i ? WR_STR("") : WR_STR("abc"));
        wr_pbw_close(&message, contents);
        wr_pbw_close(&message, at);
        CALL("ModelInfer", n == 2 ? WR_GRPC_OK : WR_GRPC_INVALID_ARGUMENT);
        if (n != 2) SAYS("expected 2 string elements for inference input 'INPUT0' for model 'bytes'");
        else assert_memory_equal(part(reply(), 6, 0).p, raw, sizeof raw - 1);
    }
}

/* Any type, told by a model that takes what it gets: the tensor that reached it is looked at. */
static int take_any(void *ctx, wr_oip_result *out, const wr_oip_model *m, const wr_oip_infer *q, wr_arena *a,
                    wr_err *err)
{
    (void)ctx, (void)m, (void)a, (void)err;
    fake.q = *q;
    *out = (wr_oip_result){0};
    return 0;
}

static void test_typed(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        uint32_t number;
        uint64_t good, bad;
        unsigned char bytes[8];
    } cases[] = {{"BOOL", 1, 1, 0, {1}},
                 {"INT8", 2, (uint64_t)-128, 128, {0x80}},
                 {"INT16", 2, (uint64_t)-2, 0x8000, {0xfe, 0xff}},
                 {"INT32", 2, (uint64_t)-2, 1ULL << 31, {0xfe, 0xff, 0xff, 0xff}},
                 {"INT64", 3, (uint64_t)-2, 0, {0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
                 {"UINT8", 4, 255, 256, {0xff}},
                 {"UINT16", 4, 258, 65536, {2, 1}},
                 {"UINT32", 4, 0xffffffff, 1ULL << 32, {0xff, 0xff, 0xff, 0xff}},
                 {"UINT64", 5, 1ULL << 63, 0, {0, 0, 0, 0, 0, 0, 0, 0x80}},
                 {"FP32", 6, 0x3f800000, 0, {0, 0, 0x80, 0x3f}},
                 {"FP64", 7, 0x3ff0000000000000, 0, {0, 0, 0, 0, 0, 0, 0xf0, 0x3f}}};
    ops.infer = take_any;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t v[3] = {cases[i].good, cases[i].good, cases[i].bad};
        wr_pbw_str(&message, 1, WR_STR("fp32"));
        put_typed("INPUT0", cases[i].type, 1, 2, cases[i].number, 2, v);
        CALL("ModelInfer", WR_GRPC_OK);
        const wr_tensor *t = &fake.q.in[0];
        assert_int_equal(t->count, 2);
        for (int k = 0; k < 2; k++)
            assert_memory_equal((char *)t->data + (size_t)k * wr_tensor_type_size(t->type), cases[i].bytes,
                                wr_tensor_type_size(t->type));
        wr_pbw_str(&message, 1, WR_STR("fp32"));
        put_typed("INPUT0", cases[i].type, 1, 2, cases[i].number, 3, v);
        CALL("ModelInfer", WR_GRPC_INVALID_ARGUMENT);
        SAYS("input byte size mismatch for input 'INPUT0' for model 'fp32'");
        wr_pbw_str(&message, 1, WR_STR("fp32"));
        put_typed("INPUT0", cases[i].type, 1, 2, cases[i].number == 1 ? 2 : 1, 2, v);
        CALL("ModelInfer", WR_GRPC_INVALID_ARGUMENT);
        SAYS("unexpected explicit tensor data");
        if (!cases[i].bad) continue;
        wr_pbw_str(&message, 1, WR_STR("fp32"));
        put_typed("INPUT0", cases[i].type, 1, 2, cases[i].number, 2, v + 1);
        CALL("ModelInfer", WR_GRPC_INVALID_ARGUMENT);
        SAYS("element 1 of input 'INPUT0' does not fit");
    }
}

/* No memory is taken for elements that did not come. */
static void test_shapes(void **state)
{
    (void)state;
    static const struct {
        int64_t a, b;
        const char *says;
    } cases[] = {{1 << 15, 1 << 15, "byte size"},
                 {1LL << 40, 1LL << 40, "elements"},
                 {-1, 5, "negative"},
                 {INT64_MAX, 2, "elements"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int typed = 0; typed < 2; typed++) {
            uint64_t v[] = {0, 1};
            wr_pbw_str(&message, 1, WR_STR("fp32"));
            if (typed) put_typed("INPUT0", "FP32", cases[i].a, cases[i].b, 6, 2, v);
            else put_input("INPUT0", "FP32", cases[i].a, cases[i].b);
            if (!typed) put_raw("12345678", 8);
            CALL("ModelInfer", WR_GRPC_INVALID_ARGUMENT);
            assert_true(wr_arena_used(arena) < 100000);
        }
    }
    wr_pbw_str(&message, 1, WR_STR("fp32"));
    size_t at = open_input("INPUT0", "FP32", 1, 1);
    for (int i = 0; i < 10; i++) wr_pbw_u64(&message, 3, 1);
    wr_pbw_close(&message, at);
    put_raw("1234", 4);
    CALL("ModelInfer", WR_GRPC_INVALID_ARGUMENT);
    SAYS("more than 8 dimensions");
    wr_pbw_str(&message, 1, WR_STR("whole")); /* a shape of none: one element */
    at = wr_pbw_open(&message, 5);
    wr_pbw_str(&message, 1, WR_STR("x"));
    wr_pbw_str(&message, 2, WR_STR("FP64"));
    wr_pbw_close(&message, at);
    put_raw("\0\0\0\0\0\0\360\77", 8);
    CALL("ModelInfer", WR_GRPC_OK);
    assert_int_equal(count(part(reply(), 5, 0), 3), 0);
    assert_memory_equal(part(reply(), 6, 0).p, "\0\0\0\0\0\0\360\77", 8);
}

static void test_sources(void **state)
{
    (void)state;
    uint64_t v[] = {1, 2};
    wr_pbw_str(&message, 1, WR_STR("fp32"));
    put_typed("INPUT0", "FP32", 1, 2, 6, 2, v);
    put_raw("12345678", 8);
    CALL("ModelInfer", WR_GRPC_INVALID_ARGUMENT);
    SAYS("contents field must not be specified when using raw_input_contents for 'INPUT0' for model 'fp32'");
    wr_pbw_str(&message, 1, WR_STR("fp32"));
    put_input("INPUT0", "FP32", 1, 2);
    CALL("ModelInfer", WR_GRPC_INVALID_ARGUMENT);
    SAYS("unable to find data for input tensor 'INPUT0' for model 'fp32' in request.");
    wr_pbw_str(&message, 1, WR_STR("fp32"));
    put_input("INPUT0", "FP32", 1, 2);
    put_raw("12345678", 8);
    put_raw("12345678", 8);
    CALL("ModelInfer", WR_GRPC_INVALID_ARGUMENT);
    SAYS("1 raw_input_contents are of no input");
    for (int n = 7; n < 10; n += 2) {
        wr_pbw_str(&message, 1, WR_STR("fp32"));
        put_input("INPUT0", "FP32", 1, 2);
        put_raw("123456789", (size_t)n);
        CALL("ModelInfer", WR_GRPC_INVALID_ARGUMENT);
    }
    wr_pbw_str(&message, 1, WR_STR("fp16"));
    put_typed("INPUT0", "FP16", 1, 2, 6, 2, v);
    CALL("ModelInfer", WR_GRPC_INVALID_ARGUMENT);
    SAYS("FP16 tensors travel in raw_input_contents alone");
    wr_pbw_str(&message, 1, WR_STR("simple"));
    put_input("INPUT0", "INT32", 1, 16);
    put_input("INPUT0", "INT32", 1, 16);
    put_raw(pair[0], 64);
    put_raw(pair[0], 64);
    CALL("ModelInfer", WR_GRPC_INVALID_ARGUMENT);
    SAYS("input 'INPUT0' already exists in request");
    wr_pbw_str(&message, 1, WR_STR("simple"));
    put_input("INPUT2", "INT32", 1, 16);
    CALL("ModelInfer", WR_GRPC_INVALID_ARGUMENT);
    SAYS("unexpected inference input 'INPUT2' for model 'simple' (did you mean 'INPUT");
    wr_pbw_str(&message, 1, WR_STR("simple"));
    put_input("INPUT0", "INT33", 1, 16);
    CALL("ModelInfer", WR_GRPC_INVALID_ARGUMENT);
    SAYS("unknown datatype 'INT33'");
}

static void test_half(void **state)
{
    (void)state;
    wr_pbw_str(&message, 1, WR_STR("fp16"));
    size_t at = open_input("INPUT0", "FP16", 1, 1);
    wr_pbw_u64(&message, 3, 2);
    wr_pbw_close(&message, at);
    put_raw("\0\x3c\0\xbc", 4);
    CALL("ModelInfer", WR_GRPC_OK);
    TEXT(part(part(reply(), 5, 0), 2, 0), "FP16");
    assert_memory_equal(part(reply(), 6, 0).p, "\0\x3c\0\xbc", 4);
}

static void test_parameters(void **state)
{
    (void)state;
    double half = 0.5;
    uint64_t bits;
    memcpy(&bits, &half, sizeof bits);
    wr_pbw_str(&message, 1, WR_STR("simple"));
    put_param(4, "flag", 1, 1, NULL);
    put_param(4, "n", 2, (uint64_t)-7, NULL);
    put_param(4, "s", 3, 0, "text");
    put_param(4, "d", 4, bits, NULL);
    put_param(4, "priority", 5, 3, NULL);
    put_param(4, "timeout", 2, 1000, NULL);
    put_pair();
    CALL("ModelInfer", WR_GRPC_OK);
    const wr_oip_param *p = fake.q.params;
    assert_int_equal(fake.q.nparams, 4);
    assert_true(p[0].kind == WR_OIP_BOOL && p[0].b && wr_str_is(p[0].name, "flag"));
    assert_true(p[1].kind == WR_OIP_I64 && p[1].i64 == -7);
    assert_true(p[2].kind == WR_OIP_STR && wr_str_is(p[2].str, "text"));
    assert_true(p[3].kind == WR_OIP_F64 && p[3].f64 == 0.5);
    assert_int_equal(fake.q.priority, 3);
    assert_int_equal(fake.q.timeout_us, 1000);
    static const struct {
        const char *key;
        uint32_t choice;
        uint64_t v;
        const char *text, *says;
    } wrong[] = {{"priority", 2, (uint64_t)-1, NULL, "invalid value for 'priority', expected value >= 0."},
                 {"timeout", 3, 0, "1", "invalid value type for 'timeout' parameter"},
                 {"x", 0, 0, NULL, "invalid value type for 'x' parameter"},
                 {"x", 5, 1, NULL, "invalid value type for 'x' parameter"},
                 {"triton_x", 2, 1, NULL, "parameter keys starting with 'triton_' are reserved"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        wr_pbw_str(&message, 1, WR_STR("simple"));
        put_param(4, wrong[i].key, wrong[i].choice, wrong[i].v, wrong[i].text);
        put_pair();
        CALL("ModelInfer", WR_GRPC_INVALID_ARGUMENT);
        SAYS(wrong[i].says);
    }
}

static void test_kept(void **state)
{
    (void)state;
    static const uint64_t km[] = {0x4000000000000000, 0x4008000000000000};
    for (int with_id = 0; with_id < 2; with_id++) {
        wr_pbw_str(&message, 1, WR_STR("late"));
        if (with_id) wr_pbw_str(&message, 3, WR_STR("a\"b"));
        put_typed("km", "FP64", 2, -2, 7, 2, km);
        for (int i = 0; i < 2; i++) {
            size_t at = open_input(i ? "at" : "from", "BYTES", 2, -2), contents = wr_pbw_open(&message, 5);
            for (int k = 0; k < 2; k++) wr_pbw_str(&message, 8, WR_STR("x"));
            wr_pbw_close(&message, contents);
            wr_pbw_close(&message, at);
        }
        CALL("ModelInfer", WR_GRPC_OK);
        assert_true(answer.kept);
        TEXT(part(entry(reply(), 4, "prediction_ids"), 3, 0),
             with_id ? "[\"a\\\"b/0\",\"a\\\"b/1\"]" : "[\"made-0\",\"made-1\"]");
    }
    wr_pbw_str(&message, 1, WR_STR("simple"));
    char id[WR_LIMIT_ID + 1] = {0};
    wr_pbw_str(&message, 3, (wr_str){id, sizeof id});
    put_pair();
    CALL("ModelInfer", WR_GRPC_INVALID_ARGUMENT);
}

static void ask_classes(uint32_t choice, uint64_t k, const char *text)
{
    static const float x[] = {1, 2, 3, 5, 0, 0};
    wr_pbw_str(&message, 1, WR_STR("tree"));
    put_input("input", "FP32", 2, 3);
    put_raw(x, sizeof x);
    size_t at = wr_pbw_open(&message, 6);
    wr_pbw_str(&message, 1, WR_STR("score"));
    put_param(2, "classification", choice, k, text);
    wr_pbw_close(&message, at);
}

static void test_classification(void **state)
{
    (void)state;
    ask_classes(2, 1, NULL);
    CALL("ModelInfer", WR_GRPC_OK);
    TEXT(part(part(reply(), 5, 0), 2, 0), "BYTES");
    assert_memory_equal(part(part(reply(), 5, 0), 3, 0).p, "\2\1", 2);
    wr_str raw = part(reply(), 6, 0);
    assert_memory_equal(raw.p,
                        "\x9\0\0\0"
                        "321:0:low",
                        13);
    assert_int_equal(raw.n, 2 * 4 + 9 + 7);
    ask_classes(3, 0, "1");
    CALL("ModelInfer", WR_GRPC_INVALID_ARGUMENT);
    ask_classes(2, (uint64_t)-1, NULL);
    CALL("ModelInfer", WR_GRPC_INVALID_ARGUMENT);
}

static void test_failures(void **state)
{
    (void)state;
    static const struct {
        int code;
        wr_grpc_status status;
    } cases[] = {{WEIR_EUNAVAILABLE, WR_GRPC_UNAVAILABLE}, {WEIR_ETIMEOUT, WR_GRPC_UNAVAILABLE},
                 {WEIR_EINVAL, WR_GRPC_INVALID_ARGUMENT},  {WEIR_ENOMEM, WR_GRPC_RESOURCE_EXHAUSTED},
                 {WEIR_EINTERNAL, WR_GRPC_INTERNAL},       {WEIR_EACCESS, WR_GRPC_PERMISSION_DENIED},
                 {WEIR_ELIMIT, WR_GRPC_RESOURCE_EXHAUSTED}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fake.fail = cases[i].code;
        wr_pbw_str(&message, 1, WR_STR("simple"));
        put_pair();
        CALL("ModelInfer", cases[i].status);
        SAYS("Exceeds maximum queue size");
    }
    fake.fail = 0;
    wr_pbw_str(&message, 1, WR_STR("gone"));
    CALL("ModelInfer", WR_GRPC_UNAVAILABLE);
    wr_pbw_str(&message, 1, WR_STR("none"));
    CALL("ModelInfer", WR_GRPC_NOT_FOUND);
    CALL("ModelInfer", WR_GRPC_NOT_FOUND);
}

static void test_deadline(void **state)
{
    (void)state;
    int64_t now = wr_clock_mono_ns();
    start_ns = now - 1000000;
    deadline_ns = now - 1;
    wr_pbw_str(&message, 1, WR_STR("simple"));
    put_pair();
    int asked = fake.asked;
    CALL("ModelInfer", WR_GRPC_DEADLINE_EXCEEDED);
    assert_int_equal(fake.asked, asked); /* the model did not run */
    deadline_ns = now + 60000000000;
    wr_pbw_str(&message, 1, WR_STR("simple"));
    put_pair();
    CALL("ModelInfer", WR_GRPC_OK);
    assert_in_range(fake.q.timeout_us, 60000000, 60002000);
    wr_pbw_str(&message, 1, WR_STR("simple"));
    put_param(4, "timeout", 2, 7, NULL); /* the shorter one */
    put_pair();
    CALL("ModelInfer", WR_GRPC_OK);
    assert_int_equal(fake.q.timeout_us, 7);
    fake.fail = WEIR_ETIMEOUT;
    wr_pbw_str(&message, 1, WR_STR("simple"));
    put_pair();
    CALL("ModelInfer", WR_GRPC_DEADLINE_EXCEEDED);
}

/* Cut anywhere, or with a byte changed, a message is refused or means something: never more. */
static void test_cut(void **state)
{
    (void)state;
    wr_pbw_str(&message, 1, WR_STR("simple"));
    put_param(4, "p", 3, 0, "q");
    put_pair();
    wr_buf all = {0};
    wr_buf_slice(&all, wr_buf_view(&message));
    int refused = 0;
    for (size_t n = 0; n < all.n; n++) {
        char *copy = malloc(n + 1); /* exactly as long, for the sanitizer */
        memcpy(copy, all.p, n);
        refused += call_path(WR_OIP_GRPC_PATH "/ModelInfer", (wr_str){copy, n}) != WR_GRPC_OK;
        free(copy);
    }
    assert_int_equal(refused, all.n);
    for (size_t i = 0; i < all.n; i++)
        for (int bit = 0; bit < 8; bit++) {
            all.p[i] = (char)(all.p[i] ^ 1 << bit);
            (void)call_path(WR_OIP_GRPC_PATH "/ModelInfer", wr_buf_view(&all));
            all.p[i] = (char)(all.p[i] ^ 1 << bit);
        }
    wr_buf_fini(&all);
    wr_buf_clear(&message);
}

/* ---- memory ---- */

static void put_any(bool typed)
{
    static const uint64_t v[] = {0x3f800000, 0};
    wr_pbw_str(&message, 1, WR_STR("fp32"));
    put_param(4, "p", 3, 0, "q");
    if (typed) put_typed("INPUT0", "FP32", 1, 2, 6, 2, v);
    else put_input("INPUT0", "FP32", 1, 2);
    if (!typed) put_raw("12345678", 8);
}

static void test_warm_calls_allocate_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 12; i++) {
        put_any(i % 2);
        if (i >= 6) wr_fault_arm(WR_FAULT_ALLOC, 1, true);
        CALL("ModelInfer", WR_GRPC_OK);
        if (i >= 6) assert_false(wr_fault_fired(WR_FAULT_ALLOC));
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
    }
}

/* Each allocation fails in turn: the call says so, and nothing is lost. */
static void test_no_memory(void **state)
{
    (void)state;
    static const char *const methods[] = {"ModelInfer", "ModelConfig", "ServerMetadata", "RepositoryIndex"};
    for (size_t k = 0; k < sizeof methods / sizeof *methods; k++) {
        for (int i = 1;; i++) {
            bool fired;
            if (k == 0) put_any(true);
            else if (k == 1) named("simple", NULL);
            wr_arena_free(arena);
            arena = wr_arena_new(0);
            wr_buf_fini(&body);
            wr_oip_grpc_request in = {.message = wr_buf_view(&message)};
            char path[100];
            snprintf(path, sizeof path, WR_OIP_GRPC_PATH "/%s", methods[k]);
            in.path = wr_str_of(path);
            answer = (wr_oip_grpc_response){.body = &body};
            wr_fault_arm(WR_FAULT_ALLOC, i, true);
            wr_oip_grpc(&answer, oip, &in, &ops, arena);
            fired = wr_fault_fired(WR_FAULT_ALLOC);
            wr_fault_arm(WR_FAULT_ALLOC, 0, false);
            wr_buf_clear(&message);
            assert_int_equal(fake.held, 0);
            assert_int_equal(answer.status, fired ? WR_GRPC_RESOURCE_EXHAUSTED : WR_GRPC_OK);
            if (!fired) break;
        }
    }
}

/* Numbers that lie aligned in the message are read where they are. */
static void test_aligned(void **state)
{
    (void)state;
    int in_place = 0;
    ops.infer = take_any;
    for (size_t pad = 0; pad < 8; pad++) {
        wr_pbw_str(&message, 1, WR_STR("fp32"));
        wr_pbw_str(&message, 99, (wr_str){"........", pad}); /* unknown fields are passed over */
        put_input("INPUT0", "FP32", 1, 2);
        put_raw("12345678", 8);
        const char *p = message.p, *end = message.p + message.n;
        CALL("ModelInfer", WR_GRPC_OK);
        const char *data = fake.q.in[0].data;
        assert_int_equal((uintptr_t)data % 4, 0);
        assert_memory_equal(data, "12345678", 8);
        in_place += data >= p && data < end;
    }
    assert_int_equal(in_place, 2); /* two of eight */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {TEST(test_raw),
                                       TEST(test_order_of_fields),
                                       TEST(test_outputs),
                                       TEST(test_strings),
                                       TEST(test_typed),
                                       TEST(test_shapes),
                                       TEST(test_sources),
                                       TEST(test_half),
                                       TEST(test_parameters),
                                       TEST(test_kept),
                                       TEST(test_classification),
                                       TEST(test_failures),
                                       TEST(test_deadline),
                                       TEST(test_cut),
                                       TEST(test_warm_calls_allocate_nothing),
                                       TEST(test_no_memory),
                                       TEST(test_aligned)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
