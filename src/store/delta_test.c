/* SPDX-License-Identifier: Apache-2.0 */
/* delta_test.c - the transaction log: bytes on disk, time travel, conflicts, many writers, crashes, hostile logs, and
 * the way from a query over Parquet and statistics back to rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fault.h"
#include "io/file.h"
#include "store/delta_inside.h"

static char root[200];
static int tables;

static int set_up(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(root, sizeof root, "%s/weir-delta-XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(root) ? 0 : 1;
}

static int tear_down(void **state)
{
    (void)state;
    return wr_file_remove_tree(root, NULL);
}

/* A new folder for a table. */
static const char *new_dir(void)
{
    static char dir[300];
    (void)snprintf(dir, sizeof dir, "%s/t%d", root, tables++);
    assert_int_equal(mkdir(dir, 0755), 0);
    return dir;
}

static const wr_delta_field two[] = {{"id", "long", true}, {"name", "string", true}};
static const wr_delta_field three[] = {{"id", "long", true}, {"name", "string", true}, {"x", "double", true}};

static wr_delta_file file(const char *path, int64_t rows)
{
    static char stats[16][64];
    static int next;
    char *s = stats[next++ % 16];
    (void)snprintf(s, sizeof stats[0], "{\"numRecords\":%lld}", (long long)rows);
    return (wr_delta_file){
        .path = (char *)path, .size = 100, .mtime_ms = 1700000000000, .rows = rows, .sha256 = (char *)"", .stats = s};
}

static int append(const char *dir, const char *path, int64_t rows, int64_t *version, wr_err *err)
{
    wr_delta_file f = file(path, rows);
    wr_delta_commit c = {
        .mode = WR_DELTA_APPEND, .fields = two, .nfields = 2, .files = &f, .nfiles = 1, .based_on = -1};
    return wr_delta_write(version, dir, &c, err);
}

static void must_append(const char *dir, const char *path, int64_t rows)
{
    int64_t v;
    wr_err err = {0};
    if (append(dir, path, rows, &v, &err)) fail_msg("%s: %s", err.msg, err.detail);
}

static void read_table(wr_delta_snapshot *s, const char *dir, int64_t version)
{
    wr_err err = {0};
    if (wr_delta_read(s, dir, version, &err)) fail_msg("%s: %s", err.msg, err.detail);
}

static void log_path(char *out, size_t size, const char *dir, int64_t version)
{
    assert_true(snprintf(out, size, "%s/_delta_log/%020lld.json", dir, (long long)version) < (int)size);
}

static void put_log(const char *dir, int64_t version, const char *text)
{
    char path[400];
    (void)snprintf(path, sizeof path, "%s/_delta_log", dir);
    assert_int_equal(wr_file_mkdirs(path, NULL), 0);
    log_path(path, sizeof path, dir, version);
    assert_int_equal(wr_file_write(path, wr_str_of(text), NULL), 0);
}

static void no_table_yet(void **state)
{
    (void)state;
    const char *dir = new_dir();
    wr_delta_snapshot s;
    wr_err err = {0};
    read_table(&s, dir, -1);
    assert_int_equal(s.version, -1);
    assert_int_equal(s.nfiles, 0);
    wr_delta_free(&s);
    assert_int_equal(wr_delta_read(&s, dir, 0, &err), WEIR_ENOTFOUND);
    wr_delta_free(&s);
    read_table(&s, "/nonexistent/folder", -1);
    assert_int_equal(s.version, -1);
    wr_delta_free(&s);
    int64_t v;
    assert_int_equal(wr_delta_version_at(&v, dir, 0, &err), WEIR_ENOTFOUND);
    assert_int_equal(wr_delta_txn(&v, dir, "app", &err), 0);
    assert_int_equal(v, -1);
    wr_delta_commit c = {.mode = WR_DELTA_APPEND, .based_on = -1};
    assert_int_equal(wr_delta_write(&v, dir, &c, &err), WEIR_EINVAL); /* a table needs columns */
}

static void append_overwrite_travel(void **state)
{
    (void)state;
    const char *dir = new_dir();
    must_append(dir, "a.parquet", 10);
    must_append(dir, "b.parquet", 5);
    wr_delta_snapshot s;
    read_table(&s, dir, -1);
    assert_int_equal(s.version, 1);
    assert_int_equal(s.rows, 15);
    assert_int_equal(s.nfiles, 2);
    assert_string_equal(s.files[0].path, "a.parquet"); /* order of adding */
    assert_string_equal(s.fields[1].name, "name");
    assert_int_equal(strlen(s.id), 36);
    char before[WR_SHA256_HEX];
    memcpy(before, s.hash, sizeof before);
    wr_delta_file keep[] = {file("b.parquet", 5), file("c.parquet", 1)};
    wr_delta_commit c = {
        .mode = WR_DELTA_OVERWRITE, .fields = three, .nfields = 3, .files = keep, .nfiles = 2, .based_on = 1};
    int64_t v;
    wr_err err = {0};
    char id[37];
    memcpy(id, s.id, sizeof id);
    wr_delta_free(&s);
    assert_int_equal(wr_delta_write(&v, dir, &c, &err), 0);
    assert_int_equal(v, 2);
    read_table(&s, dir, -1);
    assert_int_equal(s.nfiles, 2);
    assert_int_equal(s.rows, 6);
    assert_int_equal(s.nfields, 3);
    assert_string_equal(s.id, id); /* still the same table */
    assert_string_not_equal(s.hash, before);
    wr_delta_free(&s);
    read_table(&s, dir, 1);
    assert_int_equal(s.nfields, 2);
    assert_string_equal(s.hash, before);
    wr_delta_free(&s);
    read_table(&s, dir, 0);
    assert_int_equal(s.rows, 10);
    wr_delta_free(&s);
    assert_int_equal(wr_delta_read(&s, dir, 3, &err), WEIR_ENOTFOUND);
    assert_non_null(strstr(err.hint, "0 to 2"));
    wr_delta_free(&s);
    /* going back: an overwrite with the files of an old version */
    wr_delta_file old = file("a.parquet", 10);
    c = (wr_delta_commit){.mode = WR_DELTA_OVERWRITE,
                          .operation = "RESTORE",
                          .fields = two,
                          .nfields = 2,
                          .files = &old,
                          .nfiles = 1,
                          .based_on = 2};
    assert_int_equal(wr_delta_write(&v, dir, &c, &err), 0);
    read_table(&s, dir, -1);
    assert_int_equal(s.rows, 10);
    assert_int_equal(s.nfields, 2);
    wr_delta_free(&s);
    c.based_on = 2;
    assert_int_equal(wr_delta_write(&v, dir, &c, &err), WEIR_ECONFLICT);
    c.based_on = -1;
    assert_int_equal(wr_delta_write(&v, dir, &c, &err), WEIR_ECONFLICT);
}

static void history_and_times(void **state)
{
    (void)state;
    const char *dir = new_dir();
    int64_t start = wr_clock_wall_us() / 1000 * 1000;
    for (int i = 0; i < 5; i++) { /* within one millisecond, perhaps: times must still increase */
        char path[32];
        (void)snprintf(path, sizeof path, "f%d.parquet", i);
        wr_delta_file f = file(path, i);
        wr_delta_commit c = {.mode = WR_DELTA_APPEND,
                             .operation = "WRITE",
                             .user_metadata = i == 3 ? "from run 7" : NULL,
                             .fields = two,
                             .nfields = 2,
                             .files = &f,
                             .nfiles = 1};
        int64_t v;
        assert_int_equal(wr_delta_write(&v, dir, &c, NULL), 0);
        assert_int_equal(v, i);
    }
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_delta_entry *h;
    size_t n;
    assert_int_equal(wr_delta_history(&h, &n, a, dir, 0, NULL), 0);
    assert_int_equal(n, 5);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(h[i].version, 4 - i);
        assert_int_equal(h[i].rows_added, 4 - i);
        assert_int_equal(h[i].files_added, 1);
        assert_int_equal(h[i].bytes_added, 100);
        assert_string_equal(h[i].operation, "WRITE");
        assert_true(h[i].timestamp_us >= start);
        if (i) assert_true(h[i].timestamp_us < h[i - 1].timestamp_us);
        int64_t v = -5;
        assert_int_equal(wr_delta_version_at(&v, dir, h[i].timestamp_us, NULL), 0);
        assert_int_equal(v, h[i].version);
    }
    assert_string_equal(h[1].user_metadata, "from run 7");
    assert_null(h[0].user_metadata);
    wr_delta_snapshot s;
    read_table(&s, dir, 3);
    assert_int_equal(s.timestamp_us, h[1].timestamp_us);
    wr_delta_free(&s);
    assert_int_equal(wr_delta_history(&h, &n, a, dir, 2, NULL), 0);
    assert_int_equal(n, 2);
    assert_int_equal(h[1].version, 3);
    int64_t v;
    wr_err err = {0};
    assert_int_equal(wr_delta_version_at(&v, dir, start - WR_DAY_US, &err), WEIR_ENOTFOUND);
    assert_non_null(strstr(err.hint, "first version"));
    assert_int_equal(wr_delta_version_at(&v, dir, start + WR_DAY_US, &err), 0);
    assert_int_equal(v, 4);
}

static void transactions_happen_once(void **state)
{
    (void)state;
    const char *dir = new_dir();
    int64_t v;
    for (int64_t i = 0; i < 3; i++) {
        for (int again = 0; again < 3; again++) {
            char path[32];
            (void)snprintf(path, sizeof path, "p%d-%d.parquet", (int)i, again);
            wr_delta_file f = file(path, 1);
            wr_delta_commit c = {.mode = WR_DELTA_APPEND,
                                 .fields = two,
                                 .nfields = 2,
                                 .files = &f,
                                 .nfiles = 1,
                                 .txn_app = "predictions/seg",
                                 .txn_version = i};
            assert_int_equal(wr_delta_write(&v, dir, &c, NULL), again ? 1 : 0);
            assert_int_equal(v, i);
        }
    }
    assert_int_equal(wr_delta_txn(&v, dir, "predictions/seg", NULL), 0);
    assert_int_equal(v, 2);
    assert_int_equal(wr_delta_txn(&v, dir, "other", NULL), 0);
    assert_int_equal(v, -1);
    wr_delta_snapshot s;
    read_table(&s, dir, -1);
    assert_int_equal(s.rows, 3);
    wr_delta_free(&s);
}

static void wrong_commits_are_refused(void **state)
{
    (void)state;
    const char *dir = new_dir();
    must_append(dir, "a.parquet", 1);
    int64_t v;
    wr_err err = {0};
    assert_int_equal(append(dir, "a.parquet", 1, &v, &err), WEIR_EINVAL);
    assert_int_equal(append(dir, "../a.parquet", 1, &v, &err), WEIR_EINVAL);
    assert_int_equal(append(dir, "/etc/passwd", 1, &v, &err), WEIR_EINVAL);
    assert_int_equal(append(dir, "", 1, &v, &err), WEIR_EINVAL);
    wr_delta_file f[] = {file("b.parquet", 1), file("b.parquet", 1)};
    wr_delta_commit c = {.mode = WR_DELTA_APPEND, .fields = two, .nfields = 2, .files = f, .nfiles = 2};
    assert_int_equal(wr_delta_write(&v, dir, &c, &err), WEIR_EINVAL);
    c = (wr_delta_commit){.mode = WR_DELTA_APPEND, .fields = three, .nfields = 3, .files = f, .nfiles = 1};
    assert_int_equal(wr_delta_write(&v, dir, &c, &err), WEIR_EINVAL);
    assert_non_null(strstr(err.detail, "column 3"));
    assert_non_null(strstr(err.detail, "x double"));
    const wr_delta_field swapped[] = {{"name", "string", true}, {"id", "long", true}};
    c.fields = swapped;
    c.nfields = 2;
    assert_int_equal(wr_delta_write(&v, dir, &c, &err), WEIR_EINVAL);
    const wr_delta_field same[] = {{"id", "long", true}, {"ID", "string", true}};
    c.fields = same;
    c.mode = WR_DELTA_OVERWRITE;
    c.based_on = 0;
    assert_int_equal(wr_delta_write(&v, dir, &c, &err), WEIR_EINVAL);
    c.fields = two;
    c.parameters = "[1]";
    assert_int_equal(wr_delta_write(&v, dir, &c, &err), WEIR_EINVAL);
    c.parameters = "{broken";
    assert_int_equal(wr_delta_write(&v, dir, &c, &err), WEIR_EPARSE);
    c.parameters = "{\"mode\":\"Overwrite\"}";
    assert_int_equal(wr_delta_write(&v, dir, &c, &err), 0);
}

/* -- bytes on disk */

/* Digits after `key` become N, the table's id becomes U, the program's version V. */
static void mask(wr_buf *out, wr_str text)
{
    static const char *const keys[] = {
        "\"timestamp\":", "\"createdTime\":", "\"deletionTimestamp\":", "\"lastUpdated\":"};
    for (size_t i = 0; i < text.n;) {
        wr_str rest = {text.p + i, text.n - i};
        size_t k = 0;
        while (k < 4 && !wr_str_starts(rest, keys[k])) k++;
        if (k < 4) {
            wr_buf_printf(out, "%sN", keys[k]);
            i += strlen(keys[k]);
            while (i < text.n && text.p[i] >= '0' && text.p[i] <= '9') i++;
        } else if (wr_str_starts(rest, "\"metaData\":{\"id\":\"")) {
            wr_buf_str(out, "\"metaData\":{\"id\":\"U");
            i += strlen("\"metaData\":{\"id\":\"") + 36;
        } else if (wr_str_starts(rest, "\"weir/")) {
            wr_buf_str(out, "\"weir/V");
            i += strlen("\"weir/");
            while (i < text.n && text.p[i] != '"') i++;
        } else {
            wr_buf_char(out, text.p[i++]);
        }
    }
}

static void golden_log(void **state)
{
    (void)state;
    const char *dir = new_dir();
    int64_t v;
    char hash[WR_SHA256_HEX];
    wr_sha256_of("x", 1, hash);
    wr_delta_file f[] = {file("part 1%.parquet", 10), file("d\xc3\xa9j\xc3\xa0/b=1.parquet", 2)};
    f[0].sha256 = hash;
    wr_delta_commit c = {.mode = WR_DELTA_APPEND,
                         .operation = "CREATE TABLE AS SELECT",
                         .parameters = "{\"mode\":\"ErrorIfExists\"}",
                         .user_metadata = "from \"run\" 1",
                         .fields = two,
                         .nfields = 2,
                         .files = f,
                         .nfiles = 1};
    assert_int_equal(wr_delta_write(&v, dir, &c, NULL), 0);
    c = (wr_delta_commit){.mode = WR_DELTA_APPEND,
                          .fields = two,
                          .nfields = 2,
                          .files = f + 1,
                          .nfiles = 1,
                          .txn_app = "seg",
                          .txn_version = 7};
    assert_int_equal(wr_delta_write(&v, dir, &c, NULL), 0);
    const wr_delta_field other[] = {{"id", "long", false},
                                    {"price", "decimal(9,2)", true},
                                    {"l", "{\"type\":\"array\",\"elementType\":\"long\",\"containsNull\":true}", true}};
    wr_delta_file g = file("c.parquet", 1);
    g.stats = NULL;
    c = (wr_delta_commit){
        .mode = WR_DELTA_OVERWRITE, .fields = other, .nfields = 3, .files = &g, .nfiles = 1, .based_on = 1};
    assert_int_equal(wr_delta_write(&v, dir, &c, NULL), 0);
    WR_AUTOBUF wr_buf got, text, want;
    wr_buf_init(&got, 0);
    wr_buf_init(&text, 0);
    wr_buf_init(&want, 0);
    for (v = 0; v < 3; v++) {
        char path[400];
        log_path(path, sizeof path, dir, v);
        wr_buf_clear(&text);
        assert_int_equal(wr_file_read(&text, path, 1 << 20, NULL), 0);
        wr_buf_printf(&got, "-- version %d\n", (int)v);
        mask(&got, wr_buf_view(&text));
    }
    const char *golden = WEIR_SOURCE_DIR "/src/store/testdata/delta_log.txt";
    if (getenv("WEIR_UPDATE_GOLDEN")) assert_int_equal(wr_file_write(golden, wr_buf_view(&got), NULL), 0);
    assert_int_equal(wr_file_read(&want, golden, 1 << 20, NULL), 0);
    assert_string_equal(wr_buf_cstr(&got), wr_buf_cstr(&want));
    wr_delta_snapshot s; /* and it reads back */
    read_table(&s, dir, 1);
    assert_string_equal(s.files[0].path, "part 1%.parquet");
    assert_string_equal(s.files[0].sha256, hash);
    assert_string_equal(s.files[1].path, "d\xc3\xa9j\xc3\xa0/b=1.parquet");
    wr_delta_free(&s);
    read_table(&s, dir, 2);
    assert_string_equal(s.fields[2].type, other[2].type);
    assert_false(s.fields[0].nullable);
    assert_int_equal(s.rows, -1); /* no statistics, no count */
    wr_delta_free(&s);
}

/* -- logs of others */

#define PROTOCOL "{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":2}}\n"
#define SCHEMA                                                                                                         \
    "\"schemaString\":\"{\\\"type\\\":\\\"struct\\\",\\\"fields\\\":[{\\\"name\\\":\\\"id\\\",\\\"type\\\":"           \
    "\\\"long\\\","                                                                                                    \
    "\\\"nullable\\\":true,\\\"metadata\\\":{}},{\\\"name\\\":\\\"name\\\",\\\"type\\\":\\\"string\\\","               \
    "\\\"nullable\\\":true,"                                                                                           \
    "\\\"metadata\\\":{}}]}\""
#define METADATA                                                                                                       \
    "{\"metaData\":{\"id\":\"x\",\"format\":{\"provider\":\"parquet\",\"options\":{}}," SCHEMA                         \
    ",\"partitionColumns\":[],\"configuration\":{}}}\n"

static void foreign_logs_are_read(void **state)
{
    (void)state;
    const char *dir = new_dir();
    put_log(
        dir, 0,
        PROTOCOL METADATA
        "{\"futureAction\":{\"a\":1}}\n\n  \n"
        "{\"add\":{\"path\":\"a%20b%253A.parquet\",\"partitionValues\":{},\"size\":7,\"modificationTime\":1,"
        "\"dataChange\":true,\"future\":[]}}\n"
        "{\"add\":{\"path\":\"bad%zz%4\",\"size\":7,\"stats\":\"not json\",\"tags\":null,\"deletionVector\":null}}");
    put_log(dir, 1,
            "{\"cdc\":{\"path\":\"x\"},\"domainMetadata\":null}\n{\"remove\":{\"path\":\"never%20there\","
            "\"dataChange\":true}}\n"
            "{\"add\":{\"path\":\"a%20b%253A.parquet\",\"size\":8,\"stats\":\"{\\\"numRecords\\\":3}\"}}\n"
            "{\"commitInfo\":{\"timestamp\":1600000000000,\"inCommitTimestamp\":1500000000000}}");
    wr_delta_snapshot s;
    read_table(&s, dir, 0);
    assert_int_equal(s.nfiles, 2);
    assert_string_equal(s.files[0].path, "a b%3A.parquet");
    assert_string_equal(s.files[1].path, "bad%zz%4"); /* not an escape: taken as it is */
    assert_int_equal(s.rows, -1);
    assert_true(s.timestamp_us > 1600000000 * WR_US); /* no commitInfo: the file's time */
    int64_t first = s.timestamp_us;
    wr_delta_free(&s);
    read_table(&s, dir, 1);
    assert_int_equal(s.nfiles, 2);
    assert_string_equal(s.files[0].path, "bad%zz%4"); /* a file added again moves to the end */
    assert_int_equal(s.files[1].size, 8);
    assert_int_equal(s.files[1].rows, 3);
    assert_int_equal(s.timestamp_us, first + 1000); /* inCommitTimestamp, made increasing */
    wr_delta_free(&s);
    must_append(dir, "mine.parquet", 1);
}

static void refused(const char *log, int code, const char *what)
{
    wr_delta_snapshot s = {0};
    wr_err err = {0};
    int rc = wr_delta_apply(&s, wr_str_of(log), 0, &err);
    if (rc != code || !strstr(err.msg, what)) fail_msg("%s\ngave %d: %s, %s", log, rc, err.msg, err.detail);
    assert_int_equal(err.code, code);
    wr_delta_free(&s);
}

static void what_cannot_be_read_is_named(void **state)
{
    (void)state;
    refused("{\"protocol\":{\"minReaderVersion\":3,\"minWriterVersion\":7,\"readerFeatures\":[\"timestampNtz\","
            "\"deletionVectors\"]}}",
            WEIR_EUNSUPPORTED, "deletionVectors");
    refused("{\"protocol\":{\"minReaderVersion\":3,\"minWriterVersion\":7,\"readerFeatures\":[5]}}", WEIR_EUNSUPPORTED,
            "feature");
    refused("{\"protocol\":{\"minReaderVersion\":2,\"minWriterVersion\":5}}", WEIR_EUNSUPPORTED, "columnMapping");
    refused("{\"protocol\":{\"minReaderVersion\":4,\"minWriterVersion\":7}}", WEIR_EUNSUPPORTED, "version 4");
    refused("{\"add\":{\"path\":\"a\",\"size\":1,\"deletionVector\":{\"storageType\":\"u\"}}}", WEIR_EUNSUPPORTED,
            "deletionVectors");
    refused("{\"add\":{\"path\":\"..%2F..%2Fetc%2Fpasswd\",\"size\":1}}", WEIR_EUNSUPPORTED, "outside");
    refused("{\"add\":{\"path\":\"/etc/passwd\",\"size\":1}}", WEIR_EUNSUPPORTED, "outside");
    refused("{\"add\":{\"path\":\"s3://bucket/x\",\"size\":1}}", WEIR_EUNSUPPORTED, "outside");
    refused("{\"add\":{\"path\":\"a%00b\",\"size\":1}}", WEIR_EUNSUPPORTED, "outside");
    refused("{\"add\":{\"path\":\"\",\"size\":1}}", WEIR_EUNSUPPORTED, "outside");
    refused("{\"metaData\":{\"id\":\"x\"," SCHEMA ",\"partitionColumns\":[\"day\"]}}", WEIR_EUNSUPPORTED, "\"day\"");
    refused("{\"metaData\":{\"id\":\"x\"," SCHEMA ",\"configuration\":{\"delta.columnMapping.mode\":\"name\"}}}",
            WEIR_EUNSUPPORTED, "columnMapping");
    refused("{\"metaData\":{\"id\":\"x\"," SCHEMA ",\"format\":{\"provider\":\"orc\"}}}", WEIR_EUNSUPPORTED, "Parquet");
    refused("{\"metaData\":{\"id\":\"x\"}}", WEIR_ECORRUPT, "schemaString");
    refused("{\"metaData\":{\"id\":\"x\",\"schemaString\":\"{}\"}}", WEIR_ECORRUPT, "line 1");
    refused("{\"metaData\":{\"id\":\"x\",\"schemaString\":\"[]\"}}", WEIR_ECORRUPT, "line 1");
    refused("{\"metaData\":{\"id\":\"x\",\"schemaString\":\"{\\\"type\\\":\\\"struct\\\",\\\"fields\\\":[7]}\"}}",
            WEIR_ECORRUPT, "line 1");
    refused("\n{\"add\":{\"size\":1}}", WEIR_ECORRUPT, "line 2");
    refused("{\"add\":{\"path\":\"a\",\"size\":\"1\"}}", WEIR_ECORRUPT, "line 1");
    refused("{\"add\":7}", WEIR_ECORRUPT, "\"add\"");
    refused("[1]", WEIR_ECORRUPT, "not an object");
    refused("{\"add\":{\"path\":\"a\"", WEIR_ECORRUPT, "line 1");
    refused("\xff\xfe", WEIR_ECORRUPT, "line 1");
}

static void what_cannot_be_written_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *log, *what;
    } logs[] = {
        {"{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":4}}\n" METADATA, "writer version 4"},
        {"{\"protocol\":{\"minReaderVersion\":3,\"minWriterVersion\":7,\"readerFeatures\":[],\"writerFeatures\":["
         "\"rowTracking\"]}}\n" METADATA,
         "rowTracking"},
        {PROTOCOL "{\"metaData\":{\"id\":\"x\"," SCHEMA
                  ",\"configuration\":{\"delta.enableChangeDataFeed\":\"true\"}}}\n",
         "change data feed"},
        {PROTOCOL "{\"metaData\":{\"id\":\"x\",\"schemaString\":\"{\\\"type\\\":\\\"struct\\\",\\\"fields\\\":[{"
                  "\\\"name\\\":\\\"id\\\",\\\"type\\\":\\\"long\\\","
                  "\\\"metadata\\\":{\\\"delta.invariants\\\":\\\"x\\\"}}]}\"}}\n",
         "delta.invariants"},
    };
    for (size_t i = 0; i < sizeof logs / sizeof *logs; i++) {
        const char *dir = new_dir();
        int64_t v;
        wr_err err = {0};
        put_log(dir, 0, logs[i].log);
        assert_int_equal(append(dir, "a.parquet", 1, &v, &err), WEIR_EUNSUPPORTED);
        if (!strstr(err.msg, logs[i].what)) fail_msg("%s", err.msg);
    }
    const char *dir = new_dir();
    put_log(dir, 0,
            PROTOCOL "{\"metaData\":{\"id\":\"x\",\"description\":\"kept\"," SCHEMA
                     ",\"configuration\":{\"delta.appendOnly\":\"true\"}}}\n");
    must_append(dir, "a.parquet", 1);
    wr_delta_commit c = {.mode = WR_DELTA_OVERWRITE, .based_on = 1};
    int64_t v;
    wr_err err = {0};
    assert_int_equal(wr_delta_write(&v, dir, &c, &err), WEIR_EUNSUPPORTED);
}

static void gaps_and_checkpoints(void **state)
{
    (void)state;
    const char *dir = new_dir();
    wr_delta_snapshot s;
    wr_err err = {0};
    int64_t v;
    put_log(dir, 0, PROTOCOL METADATA);
    put_log(dir, 2, "{\"commitInfo\":{}}");
    assert_int_equal(wr_delta_read(&s, dir, -1, &err), WEIR_ECORRUPT);
    assert_non_null(strstr(err.msg, "version 1"));
    wr_delta_free(&s);
    put_log(dir, 1, "{\"commitInfo\":{}}");
    char path[400];
    (void)snprintf(path, sizeof path, "%s/_delta_log/00000000000000000001.checkpoint.parquet", dir);
    assert_int_equal(wr_file_write(path, WR_STR("x"), NULL), 0); /* beside a whole log it does not matter */
    read_table(&s, dir, -1);
    assert_int_equal(s.version, 2);
    wr_delta_free(&s);
    log_path(path, sizeof path, dir, 0);
    assert_int_equal(wr_file_remove(path, NULL), 0);
    assert_int_equal(wr_delta_read(&s, dir, -1, &err), WEIR_EUNSUPPORTED);
    assert_non_null(strstr(err.msg, "checkpoint"));
    wr_delta_free(&s);
    assert_int_equal(append(dir, "a.parquet", 1, &v, &err), WEIR_EUNSUPPORTED);
    dir = new_dir();
    put_log(dir, 0, PROTOCOL);
    assert_int_equal(wr_delta_read(&s, dir, -1, &err), WEIR_ECORRUPT); /* no schema */
    wr_delta_free(&s);
    dir = new_dir();
    put_log(dir, 3, PROTOCOL);
    assert_int_equal(wr_delta_read(&s, dir, -1, &err), WEIR_ECORRUPT);
    wr_delta_free(&s);
}

/* -- many writers, crashes, faults */

static void appender(const char *dir, int who, int count)
{
    for (int i = 0; i < count; i++) {
        char path[64];
        int64_t v;
        (void)snprintf(path, sizeof path, "w%d-%d.parquet", who, i);
        if (append(dir, path, 1, &v, NULL)) _exit(1);
    }
    _exit(0);
}

/* From nothing: creating the table is part of the race. */
static void concurrent_appends(void **state)
{
    (void)state;
    enum { WRITERS = 5, EACH = 12 };
    const char *dir = new_dir();
    for (int w = 0; w < WRITERS; w++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) appender(dir, w, EACH);
    }
    for (int w = 0; w < WRITERS; w++) {
        int status;
        assert_true(wait(&status) > 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    wr_delta_snapshot s;
    read_table(&s, dir, -1);
    assert_int_equal(s.version, WRITERS * EACH - 1);
    assert_int_equal(s.nfiles, WRITERS * EACH);
    int next[WRITERS] = {0};
    for (size_t i = 0; i < s.nfiles; i++) { /* each once, each writer's in its own order */
        int who = s.files[i].path[1] - '0';
        assert_in_range(who, 0, WRITERS - 1);
        assert_int_equal(atoi(s.files[i].path + 3), next[who]);
        next[who]++;
    }
    wr_delta_free(&s);
}

static int append_once(const char *dir, const char *path, int64_t txn, int64_t *v, wr_err *err)
{
    wr_delta_file f = file(path, 1);
    wr_delta_commit c = {.mode = WR_DELTA_APPEND,
                         .fields = two,
                         .nfields = 2,
                         .files = &f,
                         .nfiles = 1,
                         .txn_app = "test",
                         .txn_version = txn};
    return wr_delta_write(v, dir, &c, err);
}

/* Killed between any two steps: the table reads as before or as after, and doing it again leaves it done once. */
static void killed_anywhere(void **state)
{
    (void)state;
    int crashes = 0;
    for (int existing = 0; existing < 2; existing++) {
        for (long n = 1;; n++) {
            const char *dir = new_dir();
            int64_t v;
            if (existing) must_append(dir, "first.parquet", 1);
            pid_t pid = fork();
            assert_true(pid >= 0);
            if (pid == 0) {
                wr_fault_arm(WR_FAULT_CRASH, n, false);
                _exit(append_once(dir, "second.parquet", 1, &v, NULL) ? 1 : 0);
            }
            int status;
            assert_int_equal(waitpid(pid, &status, 0), pid);
            assert_true(WIFEXITED(status));
            assert_true(WEXITSTATUS(status) == 137 || WEXITSTATUS(status) == 0);
            wr_delta_snapshot s;
            read_table(&s, dir, -1);
            assert_true(s.version == existing - 1 || s.version == existing);
            wr_delta_free(&s);
            assert_in_range(append_once(dir, "second.parquet", 1, &v, NULL), 0, 1);
            read_table(&s, dir, -1);
            assert_int_equal(s.version, existing);
            assert_int_equal(s.nfiles, existing + 1);
            wr_delta_free(&s);
            if (WEXITSTATUS(status) == 0) break;
            crashes++;
        }
    }
    assert_true(crashes >= 8);
}

static void every_step_fails_once(void **state)
{
    (void)state;
    static const wr_fault_kind kinds[] = {WR_FAULT_ALLOC, WR_FAULT_WRITE, WR_FAULT_FSYNC, WR_FAULT_RENAME};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        int failures = 0;
        for (long n = 1;; n++) {
            const char *dir = new_dir();
            int64_t v;
            must_append(dir, "first.parquet", 1);
            wr_fault_arm(kinds[k], n, false);
            int rc = append_once(dir, "second.parquet", 1, &v, NULL);
            bool fired = wr_fault_fired(kinds[k]);
            wr_fault_arm(kinds[k], 0, false);
            if (rc < 0) {
                assert_true(fired);
                failures++;
            }
            assert_in_range(append_once(dir, "second.parquet", 1, &v, NULL), 0, 1); /* again, or for the first time */
            wr_delta_snapshot s;
            read_table(&s, dir, -1);
            assert_int_equal(s.version, 1);
            assert_int_equal(s.nfiles, 2);
            wr_delta_free(&s);
            if (!fired) break;
        }
        assert_true(failures > 0);
    }
}

static void every_allocation_of_reading_fails_once(void **state)
{
    (void)state;
    const char *dir = new_dir();
    must_append(dir, "a.parquet", 1);
    must_append(dir, "b.parquet", 1);
    wr_delta_file f = file("c.parquet", 1);
    wr_delta_commit c = {.mode = WR_DELTA_OVERWRITE, .files = &f, .nfiles = 1, .based_on = 1};
    int64_t v;
    assert_int_equal(wr_delta_write(&v, dir, &c, NULL), 0);
    int failures = 0;
    for (long n = 1;; n++) {
        wr_delta_snapshot s;
        wr_fault_arm(WR_FAULT_ALLOC, n, false);
        int rc = wr_delta_read(&s, dir, -1, NULL);
        bool fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        if (!fired) {
            assert_int_equal(rc, 0);
            assert_int_equal(s.nfiles, 1);
        }
        if (rc < 0) failures++;
        wr_delta_free(&s);
        if (!fired) break;
    }
    assert_true(failures > 20);
}

/* -- statistics */

static char *stats_of(wr_arena *a, const char *type, const char *min, const char *max)
{
    wr_parquet_stat stat = {(char *)"c", (char *)min, (char *)max, 2, true};
    wr_parquet_info info = {9, 0, &stat, 1};
    wr_delta_field field = {(char *)"c", (char *)type, true};
    char *out;
    assert_int_equal(wr_delta_stats(&out, a, &info, &field, 1, NULL), 0);
    return out;
}

static void bounds(wr_arena *a, const char *type, const char *min, const char *max, const char *low, const char *high)
{
    char want[600];
    if (low)
        (void)snprintf(want, sizeof want,
                       "{\"numRecords\":9,\"minValues\":{\"c\":%s},\"maxValues\":{\"c\":%s},\"nullCount\":{\"c\":2}}",
                       low, high);
    else
        (void)snprintf(want, sizeof want,
                       "{\"numRecords\":9,\"minValues\":{},\"maxValues\":{},\"nullCount\":{\"c\":2}}");
    assert_string_equal(stats_of(a, type, min, max), want);
}

#define TEN     "0123456789"
#define E_ACUTE "\xc3\xa9"
#define LAST    "\xf4\x8f\xbf\xbf"

static void statistics_never_lie(void **state)
{
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    bounds(a, "long", "-9223372036854775808", "9223372036854775807", "-9223372036854775808", "9223372036854775807");
    bounds(a, "integer", "1", "2", "1", "2");
    bounds(a, "long", "x", "2", NULL, NULL);
    bounds(a, "double", "-0.1", "1e+300", "-0.1", "1e+300");
    bounds(a, "double", "-inf", "1", NULL, NULL);
    bounds(a, "double", "0", "nan", NULL, NULL);
    bounds(a, "decimal(38,2)", "-12345678901234567890.50", "0.01", "-12345678901234567890.50", "0.01");
    bounds(a, "date", "2001-06-14", "2001-06-15", "\"2001-06-14\"", "\"2001-06-15\"");
    bounds(a, "date", "0044-03-15 (BC)", "2001-06-15", NULL, NULL);
    bounds(a, "timestamp", "2001-06-14 10:00:00.123456+00", "2001-06-14 10:00:00.123456+00",
           "\"2001-06-14T10:00:00.123Z\"", "\"2001-06-14T10:00:00.124Z\"");
    bounds(a, "timestamp", "1969-12-31 23:59:59.9999+00", "2001-12-31 23:59:59.9999+00", "\"1969-12-31T23:59:59.999Z\"",
           "\"2002-01-01T00:00:00.000Z\"");
    bounds(a, "timestamp", "2001-06-14 10:00:00+00", "2001-06-14 10:00:00+00", "\"2001-06-14T10:00:00.000Z\"",
           "\"2001-06-14T10:00:00.000Z\"");
    bounds(a, "timestamp", "-infinity", "infinity", NULL, NULL);
    bounds(a, "boolean", "0", "1", "false", "true");
    bounds(a, "boolean", "maybe", "1", NULL, NULL);
    bounds(a, "binary", "00", "FF", NULL, NULL);
    bounds(a, "string", "", "it's \"q\"", "\"\"", "\"it's \\\"q\\\"\"");
    bounds(a, "string", TEN TEN TEN "ab", TEN TEN TEN "ab", "\"" TEN TEN TEN "ab\"",
           "\"" TEN TEN TEN "ab\""); /* exactly 32 */
    bounds(a, "string", TEN TEN TEN "abc", TEN TEN TEN "abc", "\"" TEN TEN TEN "ab\"", "\"" TEN TEN TEN "ab" LAST "\"");
    bounds(a, "string", TEN TEN TEN E_ACUTE E_ACUTE E_ACUTE, TEN TEN TEN E_ACUTE E_ACUTE E_ACUTE,
           "\"" TEN TEN TEN E_ACUTE E_ACUTE "\"", "\"" TEN TEN TEN E_ACUTE E_ACUTE LAST "\"");
    bounds(a, "string", "a", TEN TEN TEN "ab" LAST "c", "\"a\"", "\"" TEN TEN TEN "ab" LAST LAST "\"");
    bounds(a, "string", "a", TEN TEN TEN "ab" LAST, "\"a\"", "\"" TEN TEN TEN "ab" LAST "\"");
    wr_parquet_stat none = {(char *)"c", NULL, NULL, 9, false};
    wr_parquet_info info = {9, 0, &none, 1};
    wr_delta_field fields[40];
    for (size_t i = 0; i < 40; i++)
        fields[i] = (wr_delta_field){(char *)(i == 39 ? "c" : "other"), (char *)"long", true};
    char *out;
    assert_int_equal(wr_delta_stats(&out, a, &info, fields, 40, NULL), 0); /* beyond the first 32 */
    assert_string_equal(out, "{\"numRecords\":9,\"minValues\":{},\"maxValues\":{},\"nullCount\":{}}");
}

/* A query's rows to a table and back, over what the library itself makes. */
static void rows_come_back(void **state)
{
#ifdef __SANITIZE_THREAD__
    skip(); /* DuckDB is not instrumented */
#endif
    (void)state;
    const char *dir = new_dir();
    char spill[400], path[400];
    (void)snprintf(spill, sizeof spill, "%s/spill", root);
    const char *allow[] = {dir, NULL};
    wr_tables_opt opt = {.memory = 256 << 20, .threads = 1, .spill = spill, .allow = allow};
    wr_tables *t;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_err err = {0};
    assert_int_equal(wr_tables_open(&t, &opt, &err), 0);
    for (int i = 0; i < 2; i++) {
        char sql[400], hash[WR_SHA256_HEX];
        (void)snprintf(
            sql, sizeof sql,
            "SELECT i + %d AS id, 'n' || i AS name, TIMESTAMP '2001-06-14' + to_hours(i) AS seen FROM range(100) r(i)",
            i * 100);
        wr_table_column *columns;
        size_t n;
        wr_delta_field fields[3];
        if (wr_tables_describe(t, &columns, &n, a, sql, &err)) fail_msg("%s: %s", err.msg, err.detail);
        for (size_t k = 0; k < n; k++) fields[k] = (wr_delta_field){columns[k].name, columns[k].type, true};
        wr_delta_file f = {.path = i ? (char *)"two.parquet" : (char *)"one.parquet"};
        (void)snprintf(path, sizeof path, "%s/%s", dir, f.path);
        wr_parquet_info info;
        if (wr_tables_copy_parquet(t, &info, a, sql, path, &err)) fail_msg("%s %s", err.msg, err.detail);
        assert_int_equal(wr_delta_stats(&f.stats, a, &info, fields, n, &err), 0);
        assert_int_equal(wr_file_sha256(hash, path, &err), 0);
        f.sha256 = hash;
        f.size = info.bytes;
        wr_delta_commit c = {.mode = WR_DELTA_APPEND, .fields = fields, .nfields = n, .files = &f, .nfiles = 1};
        int64_t v;
        assert_int_equal(wr_delta_write(&v, dir, &c, &err), 0);
    }
    wr_delta_snapshot s;
    read_table(&s, dir, -1);
    assert_int_equal(s.rows, 200);
    assert_non_null(
        strstr(s.files[1].stats, "\"minValues\":{\"id\":100,\"name\":\"n0\",\"seen\":\"2001-06-14T00:00:00.000Z\"}"));
    WR_AUTOBUF wr_buf sql;
    wr_buf_init(&sql, 0);
    wr_buf_str(&sql, "SELECT count(*) * 1000000 + sum(id) FROM read_parquet([");
    for (size_t i = 0; i < s.nfiles; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, s.files[i].path);
        wr_buf_str(&sql, i ? "," : "");
        wr_sql_text(&sql, wr_str_of(path));
    }
    wr_buf_str(&sql, "])");
    int64_t sum;
    if (wr_tables_i64(t, &sum, wr_buf_cstr(&sql), &err)) fail_msg("%s", err.msg);
    assert_int_equal(sum, 200 * 1000000 + 19900);
    wr_delta_free(&s);
    wr_tables_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_table_yet),
        cmocka_unit_test(append_overwrite_travel),
        cmocka_unit_test(history_and_times),
        cmocka_unit_test(transactions_happen_once),
        cmocka_unit_test(wrong_commits_are_refused),
        cmocka_unit_test(golden_log),
        cmocka_unit_test(foreign_logs_are_read),
        cmocka_unit_test(what_cannot_be_read_is_named),
        cmocka_unit_test(what_cannot_be_written_is_named),
        cmocka_unit_test(gaps_and_checkpoints),
        cmocka_unit_test(concurrent_appends),
        cmocka_unit_test(killed_anywhere),
        cmocka_unit_test(every_step_fails_once),
        cmocka_unit_test(every_allocation_of_reading_fails_once),
        cmocka_unit_test(statistics_never_lie),
        cmocka_unit_test(rows_come_back),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
