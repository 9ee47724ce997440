/* SPDX-License-Identifier: Apache-2.0 */
/* track_kill_test.c - the tracking server under 64 writers, killed at random moments, also while it stops, and with
 * PostgreSQL restarted under it: what was acknowledged is there, nothing is there by half, and nothing that nobody
 * asked for (ledger_testing.h). WEIR_KILLS=100 makes the long version (tests/tracking/run). */
#include "server/load_testing.h"

#include "store/pg_testing.h"

enum { LIVES = 10, PG_LIVES = 4, SERVERS = 2 };

/* ---- lives ---- */

typedef struct {
    char dir[128], url[WR_PG_TESTING_URL];
    program servers[SERVERS];
    int nservers, lives;
    chapter *chapters; /* WRITERS of each life */
    load load;
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
    w->load = (load){.servers = w->servers, .nservers = w->nservers};
    wr_rng_init(&w->load.rng, (uint64_t)getpid());
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

/* Killed; or told to stop and killed while it does (it moves its log into the database then); or stopped. */
static void end_life(world *w, int life)
{
    int how = life % 5;
    for (int i = 0; i < w->nservers; i++) {
        if (how >= 3) kill(w->servers[i].pid, SIGTERM);
        if (how == 3) usleep((useconds_t)wr_rng_below(&w->load.rng, 60000));
        if (how != 4) kill(w->servers[i].pid, SIGKILL);
    }
    for (int i = 0; i < w->nservers; i++) {
        int code = program_wait(&w->servers[i]);
        if (how == 4 && code != 0) fail_msg("stopped under load it ends with %d; see %s/%d/up.err", code, w->dir, i);
        if (how < 3) assert_int_equal(code, 128 + SIGKILL);
    }
}

static void stop(world *w)
{
    for (int i = 0; i < w->nservers; i++) assert_int_equal(program_end(&w->servers[i], SIGTERM), 0);
}

static void live(world *w, bool restarts)
{
    chapter *now = w->chapters;
    for (int life = 0; life < w->lives; life++, now += WRITERS) {
        up(w);
        if (life) (void)load_check(&w->load, now - WRITERS, WRITERS, 8);
        load_start(&w->load, now, life);
        load_await(&w->load, (life % 2 ? 400 : 0) + (int)wr_rng_below(&w->load.rng, 2000), 1000);
        if (restarts) {
            assert_int_equal(wr_pg_testing_restart(), 0);
            load_await(&w->load, 100 + (int)wr_rng_below(&w->load.rng, 1000), 1000);
        }
        end_life(w, life);
        load_end(&w->load, false);
    }
    up(w);
    int acked = load_check(&w->load, w->chapters, w->lives * WRITERS, 1);
    stop(w);
    up(w); /* and once more from the database alone */
    (void)load_check(&w->load, w->chapters, w->lives * WRITERS, 4);
    stop(w);
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
