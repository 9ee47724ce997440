/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_up.c - weir up. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/os.h"
#include "base/log.h"
#include "cli/commands.h"
#include "core/up.h"
#include "server/server.h"

static const wr_cmd_arg args[] = {
    {"port", 'p', WR_ARG_INT, "PORT", "port to listen on, 0 = any free one", "8080"},
    {"host", 0, WR_ARG_TEXT, "IP", "address to listen on", "127.0.0.1"},
    {"loops", 0, WR_ARG_INT, "N", "event loops, each a thread (default: one a processor, at most 4)", NULL},
    {"model-repository", 0, WR_ARG_TEXT, "DIR", "serve the models of a folder, NAME/VERSION/file", NULL},
    {"artifacts", 0, WR_ARG_TEXT, "WHERE", "files of runs and models: objects, a folder or s3://bucket/prefix", NULL},
    {"auth", 0, WR_ARG_FLAG, NULL, "ask who is asking: users, tokens, permissions (weir user)", NULL},
    {"tls-cert", 0, WR_ARG_TEXT, "FILE", "speak TLS with this certificate (PEM)", NULL},
    {"tls-key", 0, WR_ARG_TEXT, "FILE", "its key (PEM)", NULL},
    {"allowed-hosts", 0, WR_ARG_TEXT, "LIST", "names this server may be called by, beside local ones; * = any", NULL},
    {"allowed-origins", 0, WR_ARG_TEXT, "LIST", "web pages that may ask for changes, beside local ones; * = any", NULL},
    {"no-schedule", 0, WR_ARG_FLAG, NULL, "serve only: run no monitors and no triggers", NULL},
};

enum { LOOPS_MAX = 64 };
static const char listeners_env[] =
    "WEIR_LISTENERS"; /* "5,6": descriptors of listening sockets, from the process before */

static volatile sig_atomic_t asked_again; /* SIGUSR2 came */
static wr_server *running;                /* for the signal handler; set before it is installed */

static void on_signal(int sig)
{
    (void)sig;
    asked_again = 0;
    wr_server_stop(running);
}

static void on_again(int sig)
{
    (void)sig;
    asked_again = 1;
    wr_server_hand_over(running);
}

/* The first signal asks for an orderly end; the second one gets its default action. */
static void handle_signals(void)
{
    struct sigaction stop = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND}, ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGUSR2, &(struct sigaction){.sa_handler = on_again}, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
}

/* The listening sockets of the process before, which is this one: SIGUSR2 ended it and started the program anew. */
static int inherited(int out[LOOPS_MAX])
{
    int n = 0;
    const char *text = getenv(listeners_env);
    for (char *end; text && *text && n < LOOPS_MAX; text = *end == ',' ? end + 1 : "") {
        long fd = strtol(text, &end, 10);
        if (end == text || fd <= STDERR_FILENO || fd > INT_MAX) break;
        out[n++] = (int)fd;
    }
    unsetenv(listeners_env);
    return n;
}

/* To the program that takes over. */
static int bequeath(wr_server *s, wr_err *err)
{
    int fds[LOOPS_MAX], n = wr_server_listeners(s, fds, LOOPS_MAX);
    char text[LOOPS_MAX * 12] = "";
    for (int i = 0; i < n; i++) {
        size_t at = strlen(text);
        snprintf(text + at, sizeof text - at, "%s%d", i ? "," : "", fds[i]);
        if (fcntl(fds[i], F_SETFD, 0) < 0) return wr_err_sys(err, errno, "a listening socket cannot be handed over");
    }
    signal(SIGUSR2, SIG_IGN); /* until the next program listens to it: its default would end that one */
    return setenv(listeners_env, text, 1) < 0 ? wr_err_nomem(err) : 0;
}

/* To who started it, and to the commands beside it. */
static void announce(wr_cli *c, wr_project *p, const char *host, int port)
{
    bool v6 = strchr(host, ':') != NULL;
    const char *scheme = wr_cli_has(c, "tls-cert") ? "https" : "http";
    const char *open = wr_cli_json(c) ? "{\"url\":\"" : "weir is up at ", *close = wr_cli_json(c) ? "\"}" : "";
    char url[300];
    wr_err err = {0};
    snprintf(url, sizeof url, "%s://%s%s%s:%d", scheme, v6 ? "[" : "", host, v6 ? "]" : "", port);
    if (wr_up_announce(p, url, &err) < 0) wr_warn("commands beside the server will not find it: %s", err.msg);
    printf("%s%s%s\n", open, url, close); /* who waits for this line may use those commands at once */
    fflush(stdout);
}

static int serve(wr_cli *c, wr_project *p, const wr_server_opt *opt, wr_err *err)
{
    wr_err end = {0};
    WR_TRY(wr_server_open(&running, p, opt, err));
    handle_signals();
    announce(c, p, opt->host, wr_server_port(running));
    int rc = wr_server_run(running, err);
    if (rc == 0 && asked_again && (rc = bequeath(running, err)) == 0) wr_cli_again(c);
    int closed = wr_server_close(running, &end);
    if (!asked_again) wr_up_withdraw(p);
    if (rc == 0 && closed < 0 && err) *err = end;
    return rc < 0 ? rc : closed;
}

static int run(wr_cli *c, wr_err *err)
{
    wr_project *p;
    int listeners[LOOPS_MAX];
    int64_t loops = wr_os_cpus() < 4 ? wr_os_cpus() : 4, port = wr_cli_int(c, "port");
    if (wr_cli_has(c, "loops")) loops = wr_cli_int(c, "loops");
    if (loops < 1 || loops > 64)
        return wr_err_set(err, WEIR_EUSAGE, "weir up: --loops %lld is not between 1 and 64", (long long)loops);
    if (port < 0 || port > 65535)
        return wr_err_set(err, WEIR_EUSAGE, "weir up: --port %lld is not between 0 and 65535", (long long)port);
    wr_server_opt opt = {.host = wr_cli_text(c, "host"),
                         .port = (int)port,
                         .loops = (int)loops,
                         .listeners = listeners,
                         .nlisteners = inherited(listeners),
                         .schedule = !wr_cli_flag(c, "no-schedule"),
                         .auth = wr_cli_flag(c, "auth"),
                         .repository = wr_cli_text(c, "model-repository"),
                         .artifacts = wr_cli_text(c, "artifacts"),
                         .allowed_hosts = wr_cli_text(c, "allowed-hosts"),
                         .allowed_origins = wr_cli_text(c, "allowed-origins"),
                         .tls_certificate = wr_cli_text(c, "tls-cert"),
                         .tls_key = wr_cli_text(c, "tls-key")};
    if (!opt.tls_certificate != !opt.tls_key)
        return wr_err_set(err, WEIR_EUSAGE, "--tls-cert and --tls-key go together");
    WR_TRY(wr_cli_project(c, &p, err));
    int rc = serve(c, p, &opt, err);
    if (rc == WEIR_EEXIST) wr_err_hint(err, rc, "another server listens on it; weir up --port 0 takes any free port");
    return rc;
}

const wr_cmd wr_cmd_up = {
    "up",
    "serve the project: tracking, registry, endpoints",
    "",
    0,
    0,
    args,
    sizeof args / sizeof *args,
    "Starts one process that is the experiment tracker and model registry of MLflow clients\n"
    "(MLFLOW_TRACKING_URI=http://localhost:8080), answers predictions (Open Inference Protocol V2),\n"
    "takes labels and feature events, keeps them, runs monitors and triggers, and shows itself at /\n"
    "and /metrics.\n"
    "It prints one line when it is ready and ends in an orderly way on SIGTERM and Ctrl-C; SIGUSR2\n"
    "answers what is under way and starts the program anew, with no connection refused.\n"
    "Nothing that was acknowledged is lost, however it ends.",
    "  # on the usual port\n  weir up\n"
    "  # on any free port, without monitors and triggers\n  weir up --port 0 --no-schedule\n"
    "  # with a folder of models as Triton has them\n  weir up --model-repository models\n"
    "  # a prediction\n  # curl -s localhost:8080/v2/models/delay/infer -d @row.json",
    run};
