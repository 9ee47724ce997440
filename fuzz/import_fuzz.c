/* SPDX-License-Identifier: Apache-2.0 */
/* import_fuzz.c - answers of a server that is imported from: every noun from any JSON; ids, paths and URIs. */
#include <stdlib.h>

#include "stage/import/mlflow_http.h"
#include "stage/import/place.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void rows(wr_arena *a, yyjson_val *v)
{
    static wr_import_row row; /* large */
    wr_span span;
    wr_mlflowhttp server = {.asked_traces = true};
    wr_mlflowhttp_experiment(&row.experiment, a, v, NULL);
    wr_mlflowhttp_run(&row.run, a, v, NULL);
    wr_mlflowhttp_model(&row.model, a, v, NULL);
    wr_mlflowhttp_version(&row.version, a, v, NULL);
    wr_mlflowhttp_logged(&row.logged, a, v, NULL);
    wr_mlflowhttp_span(&span, a, v, NULL);
    yyjson_val *tags = yyjson_obj_get(v, "tags");
    if (yyjson_get_len(tags)) return; /* one of them may send it to the server for spans */
    for (int form = 0; form < 2; form++) {
        server.v3_traces = form == 1;
        wr_mlflowhttp_trace(&row.trace, a, &server, v, NULL);
    }
}

static void places(wr_arena *a, wr_str text)
{
    wr_import_places p;
    if (wr_import_places_init(&p, "/tree", "s3://bucket/old", NULL) < 0) abort();
    wr_import_places_add(&p, 3, 4, false, NULL);
    wr_import_places_add(&p, 1, 7, false, NULL);
    wr_str once = wr_import_uri(&p, a, text);
    if (once.p == NULL || (wr_str_starts(text, "mlflow-artifacts:") && !wr_str_starts(once, "mlflow-artifacts:/")))
        abort();
    wr_import_path(&p, a, text);
    wr_import_places_fini(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wr_str text = {(const char *)data, size};
    wr_json j = {0};
    wr_arena *a = wr_arena_new(64 << 20);
    if (!a) return 0;
    places(a, text);
    if (wr_json_parse_lenient(&j, text, NULL) == 0) rows(a, j.root);
    wr_json_free(&j);
    wr_arena_free(a);
    return 0;
}
