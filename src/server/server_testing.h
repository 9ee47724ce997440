/* SPDX-License-Identifier: Apache-2.0 */
/* server_testing.h - for tests only: JSON requests to a server, in this process or in another. */
#pragma once
#include "core/trips_testing.h"

#include "codec/json.h"
#include "io/http_client.h"

static inline wr_http_client *client_at(int port)
{
    char url[64];
    wr_http_client *c = NULL;
    snprintf(url, sizeof url, "http://127.0.0.1:%d", port);
    OK(wr_http_client_open(&c, url, 20000, err));
    return c;
}

/* Status of the answer (-1: none); its body until the next call in `reply`, which may be NULL. */
static inline int call(wr_http_client *c, const char *method, const char *target, const char *body, wr_str *reply)
{
    wr_str text;
    int status = -1;
    if (wr_http_client_call(c, method, target, wr_str_of(body), &status, &text, NULL) < 0) return -1;
    if (reply) *reply = text;
    return status;
}

static inline void put_cell(wr_jsonw *w, const wr_cell *c, wr_type type)
{
    if (c->missing) wr_jsonw_null(w);
    else if (type == WR_TEXT) wr_jsonw_str(w, c->text);
    else if (type == WR_TS) wr_jsonw_i64(w, c->ts);
    else wr_jsonw_f64(w, c->num);
}

/* Rows [from, to) as one inference request. */
static inline const char *infer_body(const trips *w, wr_buf *b, const char *id, size_t from, size_t to)
{
    wr_cell cells[8];
    wr_jsonw j;
    wr_buf_clear(b);
    wr_jsonw_init(&j, b, 0);
    wr_jsonw_obj(&j);
    if (id) wr_jsonw_kstr(&j, "id", id);
    wr_jsonw_key(&j, "inputs");
    wr_jsonw_arr(&j);
    for (size_t k = 0; k < w->view->nrequest; k++) {
        wr_type type = w->view->request_type[k];
        wr_jsonw_obj(&j);
        wr_jsonw_kstr(&j, "name", w->view->request[k]);
        wr_jsonw_kstr(&j, "datatype", type == WR_TEXT ? "BYTES" : type == WR_TS ? "INT64" : "FP64");
        wr_jsonw_key(&j, "shape");
        wr_jsonw_arr(&j);
        wr_jsonw_i64(&j, (int64_t)(to - from));
        wr_jsonw_end(&j);
        wr_jsonw_key(&j, "data");
        wr_jsonw_arr(&j);
        for (size_t i = from; i < to; i++) {
            trips_request(w, i % TRIPS, cells);
            put_cell(&j, &cells[k], type);
        }
        wr_jsonw_end(&j);
        wr_jsonw_end(&j);
    }
    wr_jsonw_end(&j);
    wr_jsonw_end(&j);
    return wr_buf_cstr(b);
}

/* Events [from, to); their times moved by `shift` microseconds. */
static inline const char *events_body(const trips *w, wr_buf *b, size_t from, size_t to, int64_t shift)
{
    wr_cell cells[8];
    wr_jsonw j;
    wr_buf_clear(b);
    wr_jsonw_init(&j, b, 0);
    wr_jsonw_obj(&j);
    wr_jsonw_key(&j, "events");
    wr_jsonw_arr(&j);
    for (size_t i = from; i < to; i++) {
        trips_event(w, i % TRIPS, cells);
        wr_jsonw_obj(&j);
        wr_jsonw_ki64(&j, "time", w->events->cols[0].i64[i % TRIPS] + shift);
        for (size_t k = 0; k < w->view->nevent_columns; k++) {
            wr_jsonw_key(&j, w->view->event_columns[k]);
            put_cell(&j, &cells[k], w->view->event_type[k]);
        }
        wr_jsonw_end(&j);
    }
    wr_jsonw_end(&j);
    wr_jsonw_end(&j);
    return wr_buf_cstr(b);
}

static inline double score_of(wr_str reply, char version[24])
{
    WR_AUTOJSON wr_json j = {0};
    OK(wr_json_parse(&j, reply, "answer", err));
    const char *v = yyjson_get_str(yyjson_obj_get(j.root, "model_version"));
    if (version) snprintf(version, 24, "%s", v ? v : "");
    return yyjson_get_num(yyjson_ptr_get(j.root, "/outputs/0/data/0"));
}
