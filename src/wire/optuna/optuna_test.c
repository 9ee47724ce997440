/* SPDX-License-Identifier: Apache-2.0 */
/* optuna_test.c - a session of Optuna 5.0 with its own server over its own SQLite storage, recorded call by call
 * (request, status, reply); the same requests must have the same outcomes here. Replies are compared in a form without
 * order of maps, zeros and times.
 */
#include "wire/optuna/optuna.h"

#include "base/vec.h"
#include "codec/protobuf.h"
#include "track/track_testing.h"

#define SESSION WEIR_SOURCE_DIR "/tests/fixtures/optuna/calls-5.0.txt"

/* ---- a message as text: "{1:5;2:{1:61}}", fields sorted ---- */

typedef struct {
    const char *method, *paths[6]; /* of fields that are messages */
} shape;
static const shape shapes[] = {
    {"GetTrial", {"1", "1.7", "1.8", "1.9", "1.10", "1.11"}},
    {"GetTrials", {"1", "1.7", "1.8", "1.9", "1.10", "1.11"}},
    {"GetAllStudies", {"1", "1.4", "1.5"}},
    {"GetStudyUserAttributes", {"1"}},
    {"GetStudySystemAttributes", {"1"}},
};

static bool is_message(const char *method, const char *path)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        if (strcmp(shapes[i].method, method) != 0) continue;
        for (int k = 0; k < 6 && shapes[i].paths[k]; k++) {
            if (strcmp(shapes[i].paths[k], path) == 0) return true;
        }
    }
    return false;
}

static bool is_time(const char *method, const char *path)
{
    return (strcmp(method, "GetTrial") == 0 || strcmp(method, "GetTrials") == 0) &&
           (strcmp(path, "1.5") == 0 || strcmp(path, "1.6") == 0);
}

static void put_hex(wr_buf *b, const void *p, size_t n)
{
    for (size_t i = 0; i < n; i++) wr_buf_printf(b, "%02x", ((const unsigned char *)p)[i]);
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static char *canon(wr_arena *a, const char *method, wr_str message, const char *above)
{
    WR_VEC(char *) out = {0};
    wr_pb r;
    wr_pb_field f;
    char path[64];
    wr_pb_init(&r, message);
    while (wr_pb_next(&r, &f)) {
        WR_AUTOBUF wr_buf b = {0};
        snprintf(path, sizeof path, "%.40s%s%u", above, above[0] ? "." : "", f.number);
        wr_buf_printf(&b, "%u:", f.number);
        size_t empty = b.n;
        if (f.type == WR_PB_VARINT && f.value) wr_buf_printf(&b, "%llu", (unsigned long long)f.value);
        else if (f.type == WR_PB_I64 && f.value) put_hex(&b, &f.value, 8);
        else if (f.type == WR_PB_LEN && is_message(method, path)) wr_buf_str(&b, canon(a, method, f.bytes, path));
        else if (f.type == WR_PB_LEN && f.bytes.n && is_time(method, path)) wr_buf_str(&b, "time");
        else if (f.type == WR_PB_LEN) put_hex(&b, f.bytes.p, f.bytes.n);
        if (b.n > empty) assert_int_equal(wr_vec_push(&out, wr_arena_strdup(a, b.p)), 0);
    }
    assert_false(wr_pb_failed(&r));
    if (out.n) qsort(out.at, out.n, sizeof *out.at, by_text);
    WR_AUTOBUF wr_buf all = {0};
    wr_buf_char(&all, '{');
    for (size_t i = 0; i < out.n; i++) wr_buf_printf(&all, "%s%s", i ? ";" : "", out.at[i]);
    wr_buf_char(&all, '}');
    wr_vec_fini(&out);
    return wr_arena_strdup(a, all.p);
}

/* ---- the session ---- */

static wr_str unhex(wr_arena *a, wr_str hex)
{
    char *out = wr_arena_alloc(a, hex.n / 2 + 1);
    assert_non_null(out);
    if (wr_str_is(hex, "-")) return (wr_str){out, 0};
    for (size_t i = 0; i < hex.n / 2; i++) {
        char two[3] = {hex.p[2 * i], hex.p[2 * i + 1], 0};
        out[i] = (char)strtol(two, NULL, 16);
    }
    return (wr_str){out, hex.n / 2};
}

static int in_write(wr_track *t, void *arg, wr_err *err)
{
    (void)t;
    return wr_optuna_run(arg, err);
}

static int call(store *s, wr_buf *reply, wr_str method, wr_str message)
{
    wr_optuna_call c = {.track = s->t, .arena = s->a, .out = reply};
    s->err = (wr_err){0};
    int rc = wr_optuna_begin(&c, method, message, &s->err);
    if (rc < 0) return rc;
    return c.mode == WR_OPTUNA_WRITE ? wr_track_write(s->t, in_write, &c, &s->err) : wr_optuna_run(&c, &s->err);
}

static void test_recorded_session(void **state)
{
    store *s = *state;
    WR_AUTOBUF wr_buf text = {0};
    OK(wr_file_read(&text, SESSION, 1 << 20, &s->err));
    wr_str rest = wr_buf_view(&text);
    int line = 0;
    while (rest.n) {
        wr_str l = wr_str_cut(&rest, '\n'), method = wr_str_cut(&l, ' '), request = wr_str_cut(&l, ' '),
               status = wr_str_cut(&l, ' ');
        line++;
        WR_AUTOBUF wr_buf reply = {0};
        char name[64];
        snprintf(name, sizeof name, "%.*s", WR_STR_FMT(method));
        int rc = call(s, &reply, method, unhex(s->a, request));
        long want = strtol(status.p, NULL, 10);
        if (wr_optuna_status(rc) != want)
            fail_msg("line %d: %s: status %d, not %ld: %s", line, name, (int)wr_optuna_status(rc), want, s->err.msg);
        if (rc < 0) assert_true(s->err.msg[0]);
        if (rc < 0) continue;
        char *got = canon(s->a, name, wr_buf_view(&reply), "");
        if (!wr_str_is(l, got)) fail_msg("line %d: %s:\n%s\nnot\n%.*s", line, name, got, WR_STR_FMT(l));
    }
    assert_int_equal(line, 215);
}

/* ---- what Optuna would not send ---- */

static void test_refused(void **state)
{
    store *s = *state;
    static const struct {
        const char *method, *hex;
        int code;
        const char *says;
    } all[] = {
        {"CreateNewStudy", "0a0100", 0, NULL},                     /* a study without a name is one */
        {"CreateNewStudy", "", WEIR_EINVAL, "1 to 64 directions"}, /* no direction */
        {"CreateNewStudy", "0a01001202c328", WEIR_EPARSE, "not valid UTF-8"},
        {"CreateNewStudy", "0aff", WEIR_EPARSE, "'CreateNewStudy' at byte 0"},
        {"createnewstudy", "", WEIR_EUNSUPPORTED, "no method 'createnewstudy'"},
        {"SetTrialStateValues", "08011005", WEIR_EINVAL, "no trial state '5'"},
        {"SetTrialStateValues", "08011001220100", WEIR_ENOTFOUND,
         "no trial with id '1'"}, /* unknown fields are skipped */
        {"SetTrialStateValues", "080110011a0700000000000000", WEIR_EPARSE, "end inside a number"}, /* half a double */
        {"SetTrialStateValues", "0a0101", WEIR_EPARSE, "another type"}, /* an id that is text */
        {"CreateNewTrial", "080112021805", WEIR_EPARSE, "no such trial state"},
        {"CreateNewTrial", "080112033a010a", WEIR_EPARSE, NULL}, /* a broken entry of a map */
        {"CreateNewTrial", "080112053a030a0178", WEIR_EINVAL, "'x' has no distribution"},
        {"CreateNewTrial", "080112032a0178", WEIR_EPARSE, NULL}, /* a time that is none */
        {"SetStudyUserAttribute", "080112016b1a017b", WEIR_EINVAL, "is not JSON"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        WR_AUTOBUF wr_buf reply = {0};
        int rc = call(s, &reply, wr_str_of(all[i].method), unhex(s->a, wr_str_of(all[i].hex)));
        if (rc != all[i].code) fail_msg("case %zu: %d: %s", i, rc, s->err.msg);
        if (all[i].says && !strstr(s->err.msg, all[i].says)) fail_msg("case %zu: %s", i, s->err.msg);
    }
}

static void test_full_buffer(void **state)
{
    store *s = *state;
    wr_buf small;
    wr_buf_init(&small, 1);
    assert_int_equal(call(s, &small, WR_STR("CreateNewStudy"), WR_STR("\x0a\x01\x00\x12\x01x")), WEIR_ELIMIT);
    wr_buf_fini(&small);
    WR_AUTOBUF wr_buf reply = {0};
    assert_int_equal(call(s, &reply, WR_STR("GetStudyIdFromName"), WR_STR("\x0a\x01x")),
                     WEIR_ENOTFOUND); /* rolled back */
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, store_setup, store_teardown)
    const struct CMUnitTest tests[] = {T(test_recorded_session), T(test_refused), T(test_full_buffer)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
