/* SPDX-License-Identifier: Apache-2.0 */
/* identity.c - memory of hashes; the tree hash is that of wr_file_tree_sha256 with every file looked up first.
 *
 * .weir/cache/stat is text, a line a file: "sha256 size mtime_ns ctime_ns inode hashed_ns path". The first line is the
 * XXH3 of the rest, so a torn file is seen.
 */
#include "flow/identity.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/num.h"
#include "base/vec.h"
#include "io/file.h"

enum {
    MAX_KEPT = 1 << 20,          /* entries of files nobody asked about any more are dropped beyond this */
    SETTLE_NS = 20 * 1000 * 1000 /* longer than a tick of the kernel's clock */
};
static const int64_t COARSE_NS = 2100LL * 1000 * 1000; /* file systems that keep whole seconds, FAT even two */
static const char MAGIC[] = "weir-stat-1 ";

typedef struct {
    char hash[WR_SHA256_HEX];
    int64_t size, mtime_ns, ctime_ns, inode, hashed_ns;
    bool asked;
} file_entry;

typedef struct {
    char hash[WR_SHA256_HEX];
    int64_t version;
} answer;

struct wr_identity {
    wr_project *p;
    wr_arena *arena; /* entries of files */
    wr_arena *answers_in;
    wr_map files;      /* absolute path -> file_entry */
    wr_map answers;    /* ref -> answer */
    const char *store; /* .weir/cache/stat */
    bool changed;
    size_t read;
};

/* ---- the file of hashes ---- */

static bool number(int64_t *out, wr_str *line) { return wr_num_i64(out, wr_str_cut(line, ' '), NULL) == 0; }

static int load_line(wr_identity *id, wr_str line)
{
    wr_str hash = wr_str_cut(&line, ' ');
    file_entry *e = wr_arena_calloc(id->arena, 1, sizeof *e);
    if (!e) return WEIR_ENOMEM;
    if (hash.n != WR_SHA256_HEX - 1) return WEIR_ECORRUPT;
    memcpy(e->hash, hash.p, hash.n);
    bool ok = number(&e->size, &line) && number(&e->mtime_ns, &line) && number(&e->ctime_ns, &line) &&
              number(&e->inode, &line) && number(&e->hashed_ns, &line);
    if (!ok || !line.n) return WEIR_ECORRUPT;
    return wr_map_put(&id->files, line, e) < 0 ? WEIR_ENOMEM : 0;
}

static int load_text(wr_identity *id, wr_str text)
{
    char head[64];
    wr_str first = wr_str_cut(&text, '\n');
    if (!text.p) return WEIR_ECORRUPT;
    snprintf(head, sizeof head, "%s%016llx", MAGIC, (unsigned long long)wr_hash64(text.p, text.n, 0));
    if (!wr_str_is(first, head)) return WEIR_ECORRUPT;
    while (text.n) WR_TRY(load_line(id, wr_str_cut(&text, '\n')));
    return 0;
}

static int load(wr_identity *id, wr_err *err)
{
    WR_AUTOBUF wr_buf text = {0};
    if (!wr_file_exists(id->store)) return 0;
    int rc = wr_file_read(&text, id->store, WR_BUF_MAX / 2, NULL);
    if (rc == 0) rc = load_text(id, wr_buf_view(&text));
    if (rc == WEIR_ENOMEM) return wr_err_nomem(err);
    if (rc == 0) return 0;
    wr_info("%s is damaged; files are hashed again", id->store);
    wr_map_fini(&id->files);
    wr_map_init(&id->files);
    return 0;
}

int wr_identity_open(wr_identity **out, wr_project *p, wr_err *err)
{
    const char *dir;
    wr_identity *id = wr_calloc(1, sizeof *id);
    if (!id) return wr_err_nomem(err);
    id->p = p;
    id->arena = wr_arena_new(0);
    id->answers_in = wr_arena_new(0);
    int rc = id->arena && id->answers_in ? wr_project_state(&dir, p, "cache", true, err) : wr_err_nomem(err);
    if (rc == 0) rc = wr_project_state(&id->store, p, "cache/stat", false, err);
    if (rc == 0) rc = load(id, err);
    if (rc < 0) wr_identity_close(id);
    else *out = id;
    return rc;
}

void wr_identity_close(wr_identity *id)
{
    if (!id) return;
    wr_map_fini(&id->files);
    wr_map_fini(&id->answers);
    wr_arena_free(id->arena);
    wr_arena_free(id->answers_in);
    wr_free(id);
}

void wr_identity_forget(wr_identity *id)
{
    wr_map_fini(&id->answers);
    wr_map_init(&id->answers);
    wr_arena_clear(id->answers_in);
}

size_t wr_identity_files_read(const wr_identity *id) { return id->read; }

int wr_identity_save(wr_identity *id, wr_err *err)
{
    WR_AUTOBUF wr_buf body = {0};
    WR_AUTOBUF wr_buf text = {0};
    if (!id->changed) return 0;
    for (size_t i = 0; i < id->files.n; i++) {
        const wr_map_entry *m = &id->files.at[i];
        const file_entry *e = m->value;
        if ((!e->asked && id->files.n > MAX_KEPT) || memchr(m->key.p, '\n', m->key.n)) continue;
        wr_buf_printf(&body, "%s %lld %lld %lld %lld %lld ", e->hash, (long long)e->size, (long long)e->mtime_ns,
                      (long long)e->ctime_ns, (long long)e->inode, (long long)e->hashed_ns);
        wr_buf_slice(&body, m->key);
        wr_buf_char(&body, '\n');
    }
    wr_buf_printf(&text, "%s%016llx\n", MAGIC, (unsigned long long)wr_hash64(wr_buf_cstr(&body), body.n, 0));
    wr_buf_slice(&text, wr_buf_view(&body));
    if (text.failed || body.failed) return wr_err_nomem(err);
    WR_TRY(wr_file_write(id->store, wr_buf_view(&text), err));
    id->changed = false;
    return 0;
}

/* ---- one file ---- */

static int64_t ns(struct timespec t) { return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec; }

static bool believed(const file_entry *e, const struct stat *st)
{
    int64_t changed = ns(st->st_mtim) > ns(st->st_ctim) ? ns(st->st_mtim) : ns(st->st_ctim);
    int64_t settle = st->st_mtim.tv_nsec == 0 && st->st_ctim.tv_nsec == 0 ? COARSE_NS : SETTLE_NS;
    return e && e->size == st->st_size && e->mtime_ns == ns(st->st_mtim) && e->ctime_ns == ns(st->st_ctim) &&
           e->inode == (int64_t)st->st_ino && changed + settle < e->hashed_ns;
}

/* The file's state is taken before it is read: a change meanwhile leaves an entry that will not match. */
static int file_hash(char out[WR_SHA256_HEX], wr_identity *id, const char *path, const struct stat *st, wr_err *err)
{
    file_entry *e = wr_map_get(&id->files, wr_str_of(path));
    if (e) e->asked = true;
    if (believed(e, st)) {
        memcpy(out, e->hash, WR_SHA256_HEX);
        return 0;
    }
    int64_t now = wr_clock_wall_us() * 1000;
    WR_TRY(wr_file_sha256(out, path, err));
    id->read++;
    if (!e) {
        e = wr_arena_calloc(id->arena, 1, sizeof *e);
        if (!e || wr_map_put(&id->files, wr_str_of(path), e) < 0) return wr_err_nomem(err);
    }
    *e = (file_entry){.size = st->st_size,
                      .mtime_ns = ns(st->st_mtim),
                      .ctime_ns = ns(st->st_ctim),
                      .inode = (int64_t)st->st_ino,
                      .hashed_ns = now,
                      .asked = true};
    memcpy(e->hash, out, WR_SHA256_HEX);
    id->changed = true;
    return 0;
}

/* ---- folders: the same list as wr_file_tree_sha256 makes ---- */

typedef struct {
    wr_identity *id;
    wr_arena *a;
    const char *top;
    WR_VEC(const char *) dirs;  /* still to be listed, relative to top */
    WR_VEC(const char *) files; /* relative */
} walk;

static int walk_dir(walk *w, const char *rel, wr_err *err)
{
    const char *dir = wr_path_join(w->a, w->top, rel);
    char **names;
    size_t n;
    if (!dir) return wr_err_nomem(err);
    WR_TRY(wr_file_list(&names, &n, w->a, dir, err));
    for (size_t i = 0; i < n; i++) {
        struct stat st;
        const char *name = wr_path_join(w->a, rel, names[i]), *path = name ? wr_path_join(w->a, w->top, name) : NULL;
        if (!path) return wr_err_nomem(err);
        if (lstat(path, &st) < 0) return wr_err_sys(err, errno, "cannot read \"%s\"", path);
        if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
            return wr_err_set(err, WEIR_EUNSUPPORTED, "\"%s\" is neither a file nor a folder", path);
        int rc = S_ISDIR(st.st_mode) ? wr_vec_push(&w->dirs, name) : wr_vec_push(&w->files, name);
        if (rc < 0) return wr_err_nomem(err);
    }
    return 0;
}

static void link_hash(char out[WR_SHA256_HEX], const char *target, size_t n)
{
    wr_sha256 h;
    wr_sha256_init(&h);
    wr_sha256_add(&h, "link:", 5);
    wr_sha256_add(&h, target, n);
    wr_sha256_hex(&h, out);
}

/* A link to a file counts with the file's bytes, any other with its text. */
static int entry_hash(char out[WR_SHA256_HEX], wr_identity *id, const char *path, wr_err *err)
{
    struct stat st;
    char target[4096];
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) return file_hash(out, id, path, &st, err);
    ssize_t n = readlink(path, target, sizeof target);
    if (n < 0) return wr_err_sys(err, errno, "cannot read \"%s\"", path);
    link_hash(out, target, (size_t)n);
    return 0;
}

static void add_line(wr_sha256 *h, const char *hex, const char *name)
{
    if (strpbrk(name, "\n\\")) wr_sha256_add(h, "\\", 1);
    wr_sha256_add(h, hex, strlen(hex));
    wr_sha256_add(h, "  ", 2);
    for (const char *c = name; *c; c++) {
        if (*c == '\n') wr_sha256_add(h, "\\n", 2);
        else if (*c == '\\') wr_sha256_add(h, "\\\\", 2);
        else wr_sha256_add(h, c, 1);
    }
    wr_sha256_add(h, "\n", 1);
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static int hash_walk(wr_sha256 *h, walk *w, wr_err *err)
{
    if (wr_vec_push(&w->dirs, "") < 0) return wr_err_nomem(err);
    while (w->dirs.n) WR_TRY(walk_dir(w, w->dirs.at[--w->dirs.n], err));
    if (w->files.n) qsort(w->files.at, w->files.n, sizeof *w->files.at, by_text);
    for (size_t i = 0; i < w->files.n; i++) {
        char hex[WR_SHA256_HEX];
        const char *path = wr_path_join(w->a, w->top, w->files.at[i]);
        if (!path) return wr_err_nomem(err);
        WR_TRY(entry_hash(hex, w->id, path, err));
        add_line(h, hex, w->files.at[i]);
    }
    return 0;
}

static int tree_hash(char out[WR_SHA256_HEX], wr_identity *id, const char *path, wr_err *err)
{
    walk w = {.id = id, .a = wr_arena_new(0), .top = path};
    wr_sha256 h;
    if (!w.a) return wr_err_nomem(err);
    wr_sha256_init(&h);
    int rc = hash_walk(&h, &w, err);
    wr_sha256_hex(&h, out);
    wr_vec_fini(&w.dirs);
    wr_vec_fini(&w.files);
    wr_arena_free(w.a);
    return rc;
}

/* ---- any noun ---- */

static int path_hash(char out[WR_SHA256_HEX], wr_identity *id, const char *path, wr_err *err)
{
    struct stat st;
    out[0] = 0;
    if (stat(path, &st) < 0) {
        if (errno == ENOENT || errno == ENOTDIR) return 0;
        return wr_err_sys(err, errno, "cannot read \"%s\"", path);
    }
    if (S_ISDIR(st.st_mode)) return tree_hash(out, id, path, err);
    if (S_ISREG(st.st_mode)) return file_hash(out, id, path, &st, err);
    return wr_err_set(err, WEIR_EUNSUPPORTED, "\"%s\" is neither a file nor a folder", path);
}

static int feature_hash(char out[WR_SHA256_HEX], wr_identity *id, const char *name, wr_err *err)
{
    char state[WR_SHA256_HEX], tables[WR_SHA256_HEX];
    const char *online, *lookup;
    WR_TRY(wr_noun_online_path(&online, id->p, name, err));
    WR_TRY(wr_noun_lookup_path(&lookup, id->p, name, err));
    WR_TRY(path_hash(state, id, online, err));
    WR_TRY(path_hash(tables, id, lookup, err));
    wr_noun_feature_hash(out, state, tables);
    return 0;
}

static int ask(answer *out, wr_identity *id, const char *ref, wr_err *err)
{
    wr_noun_kind kind;
    const char *name, *path;
    out->version = -1;
    WR_TRY(wr_noun_parse(&kind, &name, ref, err));
    if (kind == WR_NOUN_DATA || kind == WR_NOUN_MODEL) return wr_noun_hash(out->hash, &out->version, id->p, ref, err);
    if (kind == WR_NOUN_FEATURE) return feature_hash(out->hash, id, name, err);
    path = wr_path_join(id->answers_in, wr_project_root(id->p), name);
    return path ? path_hash(out->hash, id, path, err) : wr_err_nomem(err);
}

int wr_identity_of(wr_identity *id, const char *ref, char hash[WR_SHA256_HEX], int64_t *version, wr_err *err)
{
    answer *known = wr_map_get(&id->answers, wr_str_of(ref));
    if (!known) {
        known = wr_arena_calloc(id->answers_in, 1, sizeof *known);
        if (!known) return wr_err_nomem(err);
        WR_TRY(ask(known, id, ref, err));
        if (wr_map_put(&id->answers, wr_str_of(ref), known) < 0) return wr_err_nomem(err);
    }
    memcpy(hash, known->hash, WR_SHA256_HEX);
    if (version) *version = known->version;
    return 0;
}
