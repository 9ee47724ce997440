/* SPDX-License-Identifier: Apache-2.0 */
/* deploy_server.h - asking a running server, for the commands of weir deploy.
 *
 * The server is the one of --url, else the one that the project's folder tells of (core/up.h), else http://127.0.0.1:8080. Who asks is said by
 * MLFLOW_TRACKING_TOKEN, as MLflow's clients say it. */
#pragma once
#include "cli/cli.h"

#define WR_DEPLOY_URL {"url", 0, WR_ARG_TEXT, "URL", "where the server is (default: the one of this project)", NULL}

/* Asks and parses the answer (an empty one is null). Another status than 2xx is an error with what the server said. `type`: of the body. */
int wr_deploy_ask(wr_json *out, wr_cli *c, const char *method, const char *path, const char *type, wr_str body, wr_err *err);
/* Where the server is. */
int wr_deploy_url(const char **url, wr_cli *c, wr_err *err);
/* A path with a name in it: "/v2/models/%s/ready", percent-encoded, in the arena; NULL without memory. */
char *wr_deploy_path(wr_cli *c, const char *before, const char *name, const char *after);
