/* SPDX-License-Identifier: Apache-2.0 */
/* track_kill_test.c - the tracking server under 64 writers, killed at random moments, also while it stops, and with
 * PostgreSQL restarted under it: what was acknowledged is there, nothing is there by half, and nothing that nobody
 * asked for (ledger_testing.h). WEIR_KILLS=100 makes the long version (tests/tracking/run). */
#include "server/ledger_testing.h"
#include "server/program_testing.h"

#include <pthread.h>

#include "store/pg_testing.h"

enum { WRITERS = 64, THREADS = 2, MINE = WRITERS / THREADS, AT_ONCE = 4, LIVES = 10, PG_LIVES = 4, SERVERS = 2 };

typedef struct {
    chapter *chapters; /* all of this life */
    const program *servers;
    int nservers, first; /* of its writers */
    uint64_t seed;
    atomic_bool *stop;
    atomic_int *answered;
} load;

static wr_http_client *reach(const program *p)
{
    char url[64];
    wr_http_client *c = NULL;
    snprintf(url, sizeof url, "http://127.0.0.1:%d", atomic_load(&p->port));
    return wr_http_client_open(&c, url, 60000, NULL) < 0 ? NULL : c;
}

/* One request of each writer, sometimes four, all in flight together. A writer whose connection is gone writes no more:
 * `h` is NULL then. */
static void one_turn(load *l, wr_http_client **h, wr_rng *r, wr_buf *b)
{
    int asked[MINE][AT_ONCE], n[MINE] = {0}, status;
    wr_str reply;
    for (int i = 0; i < MINE; i++) {
        chapter *c = &l->chapters[l->first + i];
        bool once = c->model != NOTHING && certain(&c->deleted, false) && wr_rng_below(r, 4) == 0;
        while (h[i] && n[i] < (once ? AT_ONCE : 1)) {
            int number = chapter_next(c, r, once);
            if (number < 0) break;
            asked[i][n[i]++] = number;
            if (chapter_send(c, h[i], b, number)) continue;
            wr_http_client_close(h[i]);
            h[i] = NULL;
        }
        if (h[i]) (void)wr_http_client_flush(h[i], NULL);
    }
    for (int i = 0; i < MINE; i++) {
        for (int k = 0; h[i] && k < n[i]; k++) {
            if (wr_http_client_recv(h[i], &status, &reply, NULL) == 0) {
                chapter_told(&l->chapters[l->first + i], asked[i][k], status, reply);
                atomic_fetch_add(l->answered, 1);
                continue;
            }
            wr_http_client_close(h[i]);
            h[i] = NULL;
        }
    }
}

static void *load_main(void *arg)
{
    load *l = arg;
    wr_rng r;
    WR_AUTOBUF wr_buf b = {0};
    wr_http_client *h[MINE];
    wr_rng_init(&r, l->seed);
    for (int i = 0; i < MINE; i++) h[i] = reach(&l->servers[i % l->nservers]);
    for (bool some = true; some && !atomic_load(l->stop);) {
        one_turn(l, h, &r, &b);
        some = false;
        for (int i = 0; i < MINE; i++) some |= h[i] && l->chapters[l->first + i].nops < OPS_MAX;
    }
    for (int i = 0; i < MINE; i++) wr_http_client_close(h[i]);
    return NULL;
}

/* ---- lives ---- */

typedef struct {
    char dir[128], url[WR_PG_TESTING_URL];
    program servers[SERVERS];
    int nservers, lives;
    chapter *chapters; /* WRITERS of each life */
    atomic_bool stop;
    atomic_int answered;
    pthread_t threads[THREADS];
    load loads[THREADS];
    wr_rng rng;
} world;

static int kills(int ordinarily)
{
    const char *text = getenv("WEIR_KILLS");
    return text && *text ? (int)strtol(text, NULL, 10) : ordinarily;
}

static int setup(void **state, bool pg)
{
    char path[160], text[400] = "";
    world *w = calloc(1, sizeof *w);
    const char *tmp = getenv("TMPDIR");
    if (!w) return -1;
    *state = w;
    w->nservers = pg ? SERVERS : 1;
    w->lives = pg ? (kills(PG_LIVES) + 4) / 5 + 3 : kills(LIVES);
    w->chapters = calloc((size_t)w->lives * WRITERS, sizeof *w->chapters);
    wr_rng_init(&w->rng, (uint64_t)getpid());
    snprintf(w->dir, sizeof w->dir, "%.90s/weir-track-XXXXXX", tmp ? tmp : "/tmp");
    if (!w->chapters || !mkdtemp(w->dir)) return -1;
    if (pg && wr_pg_testing_start(w->url) < 0) return -1;
    if (pg) snprintf(text, sizeof text, "database: %s\nartifacts: %s/files\n", w->url, w->dir); /* both for both */
    for (int i = 0; i < w->nservers; i++) {
        snprintf(path, sizeof path, "%s/%d", w->dir, i);
        if (mkdir(path, 0700) < 0) return -1;
        snprintf(path, sizeof path, "%s/%d/weir.yaml", w->dir, i);
        if (wr_file_write(path, wr_str_of(text), NULL) < 0) return -1;
    }
    return 0;
}

static int on_file(void **state) { return setup(state, false); }
static int on_postgresql(void **state) { return setup(state, true); }

static int teardown(void **state)
{
    world *w = *state;
    for (int i = 0; i < w->nservers; i++) (void)program_end(&w->servers[i], SIGKILL); /* of a test that failed */
    wr_file_remove_tree(w->dir, NULL);
    free(w->chapters);
    free(w);
    return 0;
}

static void up(world *w)
{
    char dir[160];
    for (int i = 0; i < w->nservers; i++) {
        snprintf(dir, sizeof dir, "%s/%d", w->dir, i);
        if (!program_launch(&w->servers[i], dir, "0")) fail_msg("it does not come up; see %s/up.err", dir);
    }
}

static chapter *of_life(world *w, int life) { return &w->chapters[(size_t)life * WRITERS]; }

static void start_load(world *w, int life)
{
    atomic_store(&w->stop, false);
    atomic_store(&w->answered, 0);
    for (int i = 0; i < WRITERS; i++) chapter_init(&of_life(w, life)[i], i, life);
    for (int i = 0; i < THREADS; i++) {
        w->loads[i] =
            (load){of_life(w, life), w->servers, w->nservers, i * MINE, wr_rng_u64(&w->rng), &w->stop, &w->answered};
        assert_int_equal(pthread_create(&w->threads[i], NULL, load_main, &w->loads[i]), 0);
    }
}

static void end_load(world *w)
{
    for (int i = 0; i < THREADS; i++) pthread_join(w->threads[i], NULL);
}

static void pause_below(world *w, int least_ms, int most_ms)
{
    usleep((useconds_t)(least_ms * 1000 + (int)wr_rng_below(&w->rng, (uint64_t)(most_ms - least_ms) * 1000)));
}

/* Until so many requests were answered, or for a second; and a moment, so that it is no round number. */
static void let_write(world *w, int least)
{
    int upto = least + (int)wr_rng_below(&w->rng, 2000);
    for (int ms = 0; ms < 1000 && atomic_load(&w->answered) < upto; ms += 5) usleep(5000);
    pause_below(w, 0, 8);
}

/* Killed; or told to stop and killed while it does (it moves its log into the database then); or stopped. */
static void end_life(world *w, int life)
{
    int how = life % 5;
    for (int i = 0; i < w->nservers; i++) {
        if (how >= 3) kill(w->servers[i].pid, SIGTERM);
        if (how == 3) pause_below(w, 0, 60);
        if (how != 4) kill(w->servers[i].pid, SIGKILL);
    }
    for (int i = 0; i < w->nservers; i++) {
        int code = program_wait(&w->servers[i]);
        if (how == 4 && code != 0) fail_msg("stopped under load it ends with %d; see %s/%d/up.err", code, w->dir, i);
        if (how < 3) assert_int_equal(code, 128 + SIGKILL);
    }
}

/* Every `nth` chapter of the lives [from, to); asked of the server that did not write it, if there are two. */
static int check(world *w, int from, int to, int nth)
{
    int acked = 0;
    WR_AUTOBUF wr_buf b = {0};
    for (int i = from * WRITERS + (int)wr_rng_below(&w->rng, (uint64_t)nth); i < to * WRITERS; i += nth) {
        chapter *c = &w->chapters[i];
        wr_http_client *h = reach(&w->servers[(i + 1) % w->nservers]);
        assert_non_null(h);
        chapter_check(c, h, &b);
        wr_http_client_close(h);
        if (c->trouble[0]) fail_msg("life %d, writer %d: %s (%s)", c->life, c->writer, c->trouble, w->dir);
        acked += c->nacked;
    }
    return acked;
}

static void live(world *w, bool restarts)
{
    for (int life = 0; life < w->lives; life++) {
        up(w);
        if (life) (void)check(w, life - 1, life, 8);
        start_load(w, life);
        let_write(w, life % 2 ? 400 : 0);
        if (restarts) {
            assert_int_equal(wr_pg_testing_restart(), 0);
            atomic_store(&w->answered, 0);
            let_write(w, 100);
        }
        end_life(w, life);
        end_load(w);
    }
    up(w);
    int acked = check(w, 0, w->lives, 1);
    for (int i = 0; i < w->nservers; i++) assert_int_equal(program_end(&w->servers[i], SIGTERM), 0);
    up(w); /* and once more from the database alone */
    (void)check(w, 0, w->lives, 4);
    for (int i = 0; i < w->nservers; i++) assert_int_equal(program_end(&w->servers[i], SIGTERM), 0);
    print_message("%d lives, %d acknowledged operations, all there\n", w->lives, acked);
    assert_true(acked > w->lives * WRITERS);
}

static void killed_at_random_moments(void **state) { live(*state, false); }
static void killed_and_the_database_restarted(void **state) { live(*state, true); }

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    unsetenv("WEIR_DATABASE");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(killed_at_random_moments, on_file, teardown),
        cmocka_unit_test_setup_teardown(killed_and_the_database_restarted, on_postgresql, teardown)};
    return cmocka_run_group_tests_name("track_kill", tests, NULL, NULL);
}
