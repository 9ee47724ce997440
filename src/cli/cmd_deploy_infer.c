/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_deploy_infer.c - weir deploy infer: rows of a file to a running server, and its answer as a table. */
#include <errno.h>
#include <math.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli/commands.h"
#include "cli/deploy_server.h"
#include "cli/explain_print.h"
#include "io/file.h"

enum { ROWS_SHOWN = 1000, COLUMNS_SHOWN = 31 };

static int read_input(wr_buf *out, const char *file, wr_err *err)
{
    ssize_t n;
    if (strcmp(file, "-") != 0) return wr_file_read(out, file, WR_LIMIT_HTTP_BODY_INFER, err);
    wr_buf_init(out, WR_LIMIT_HTTP_BODY_INFER);
    do {
        if (!wr_buf_reserve(out, 64 << 10))
            return wr_err_set(err, WEIR_ELIMIT, "more than %d bytes of rows", WR_LIMIT_HTTP_BODY_INFER);
        n = read(STDIN_FILENO, out->p + out->n, 64 << 10);
        if (n > 0) out->n += (size_t)n;
    } while (n > 0 || (n < 0 && errno == EINTR));
    return n < 0 ? wr_err_sys(err, errno, "cannot read the rows") : 0;
}

/* ---- what is sent ---- */

typedef struct {
    const char *type;
    wr_buf body;
    bool tensors;
} request;

static bool is_v2(yyjson_val *root)
{
    yyjson_val *inputs = yyjson_obj_get(root, "inputs");
    return yyjson_is_arr(inputs) && yyjson_obj_get(yyjson_arr_get_first(inputs), "datatype");
}

/* A request as it is, or a list of rows: records or values. */
static int from_json(request *q, wr_str text, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    wr_jsonw w;
    WR_TRY(wr_json_parse(&j, text, "rows", err));
    q->tensors = is_v2(j.root);
    q->type = "application/json";
    if (yyjson_is_obj(j.root)) {
        wr_buf_slice(&q->body, text);
        return q->body.failed ? wr_err_nomem(err) : 0;
    }
    if (!yyjson_is_arr(j.root)) return wr_err_set(err, WEIR_ETYPE, "the rows are no list and no request");
    wr_jsonw_init(&w, &q->body, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_key(&w, yyjson_is_obj(yyjson_arr_get_first(j.root)) ? "dataframe_records" : "instances");
    wr_jsonw_val(&w, j.root);
    wr_jsonw_end(&w);
    return q->body.failed ? wr_err_nomem(err) : 0;
}

static int make_request(request *q, const char *file, wr_err *err)
{
    WR_AUTOBUF wr_buf text = {0};
    WR_TRY(read_input(&text, file, err));
    wr_str s = wr_str_trim(wr_buf_view(&text));
    if (!s.n && strcmp(file, "-") == 0) return wr_err_set(err, WEIR_EINVAL, "there are no rows on standard input");
    if (!s.n) return wr_err_set(err, WEIR_EINVAL, "'%s' is empty", file);
    if (s.p[0] == '{' || s.p[0] == '[') return from_json(q, s, err);
    q->type = "text/csv";
    wr_buf_slice(&q->body, wr_buf_view(&text));
    return q->body.failed ? wr_err_nomem(err) : 0;
}

/* ---- what is shown ---- */

typedef struct {
    const char *name;
    yyjson_val *list; /* of values, `each` of them a row; NULL: members of that name of records */
    size_t each;
} column;

typedef struct {
    column at[COLUMNS_SHOWN];
    size_t n, rows;
    yyjson_val *records;
} answer;

static void add_column(answer *a, const char *name, yyjson_val *list, size_t each)
{
    if (a->n < COLUMNS_SHOWN) a->at[a->n++] = (column){name, list, each};
}

/* Tensors of the inference protocol: the first dimension counts rows. */
static void read_tensors(answer *a, yyjson_val *outputs)
{
    yyjson_val *o;
    size_t i, max;
    yyjson_arr_foreach(outputs, i, max, o)
    {
        yyjson_val *data = yyjson_obj_get(o, "data");
        size_t count = yyjson_arr_size(data),
               rows = (size_t)yyjson_get_uint(yyjson_arr_get_first(yyjson_obj_get(o, "shape")));
        if (!rows || count % rows) rows = count ? 1 : 0;
        const char *name = yyjson_get_str(yyjson_obj_get(o, "name"));
        add_column(a, name ? name : "?", data, rows ? count / rows : 1);
        if (rows > a->rows) a->rows = rows;
    }
}

/* Predictions of the scoring server: values, lists, records, or columns. */
static void read_predictions(answer *a, yyjson_val *p)
{
    yyjson_val *key, *v, *first = yyjson_arr_get_first(p);
    size_t i, max;
    a->rows = yyjson_arr_size(p);
    if (yyjson_is_obj(first)) {
        a->records = p;
        yyjson_obj_foreach(first, i, max, key, v) add_column(a, yyjson_get_str(key), NULL, 1);
    } else if (yyjson_is_obj(p)) {
        yyjson_obj_foreach(p, i, max, key, v)
        {
            add_column(a, yyjson_get_str(key), v, 1);
            if (yyjson_arr_size(v) > a->rows) a->rows = yyjson_arr_size(v);
        }
    } else {
        add_column(a, "prediction", p, 1);
    }
}

static void put_value(wr_buf *b, yyjson_val *v)
{
    wr_jsonw w;
    if (yyjson_is_str(v)) {
        wr_buf_str(b, yyjson_get_str(v));
        return;
    }
    wr_jsonw_init(&w, b, 0);
    if (v) wr_jsonw_val(&w, v);
}

/* yyjson's lists are walked, not indexed: cells are put row by row through one iterator a column. */
static int print_answer(wr_cli *c, const answer *a, wr_err *err)
{
    yyjson_arr_iter lists[COLUMNS_SHOWN], records;
    size_t shown = a->rows < ROWS_SHOWN ? a->rows : ROWS_SHOWN;
    wr_table *t = wr_table_new(c, ">ROW", NULL);
    if (!t) return wr_err_nomem(err);
    for (size_t k = 0; k < a->n; k++) {
        wr_table_add_header(t, a->at[k].name);
        if (a->at[k].list) yyjson_arr_iter_init(a->at[k].list, &lists[k]);
    }
    yyjson_arr_iter_init(a->records, &records);
    for (size_t i = 0; i < shown; i++) {
        yyjson_val *record = a->records ? yyjson_arr_iter_next(&records) : NULL;
        wr_table_cell(t, "%zu", i);
        for (size_t k = 0; k < a->n; k++) {
            WR_AUTOBUF wr_buf b = {0};
            if (!a->at[k].list) put_value(&b, yyjson_obj_get(record, a->at[k].name));
            for (size_t n = 0; a->at[k].list && n < a->at[k].each; n++) {
                if (n) wr_buf_str(&b, ", ");
                put_value(&b, yyjson_arr_iter_next(&lists[k]));
            }
            wr_table_cell(t, "%s", wr_buf_cstr(&b));
        }
    }
    wr_table_print(t);
    if (a->rows > shown) wr_say(c, "... %zu rows in all; --json has them", a->rows);
    return 0;
}

/* ---- contributions ---- */

/* Numbers of lists in lists, in order; false when there are not `n`. */
static bool flatten(yyjson_val *v, double *out, size_t n, size_t *at)
{
    yyjson_val *each;
    size_t i, max;
    if (!yyjson_is_arr(v)) {
        if (*at == n || !(yyjson_is_num(v) || yyjson_is_null(v))) return false;
        out[(*at)++] = yyjson_is_num(v) ? yyjson_get_num(v) : NAN;
        return true;
    }
    yyjson_arr_foreach(v, i, max, each) if (!flatten(each, out, n, at)) return false;
    return true;
}

static bool read_shape(wr_explained *e, size_t *each, yyjson_val *list, yyjson_val *shape)
{
    yyjson_val *row = yyjson_arr_get_first(list);
    e->rows = shape ? yyjson_get_uint(yyjson_arr_get(shape, 0)) : yyjson_arr_size(list);
    e->outputs = shape ? yyjson_get_uint(yyjson_arr_get(shape, 1)) : yyjson_arr_size(row);
    *each = shape ? yyjson_get_uint(yyjson_arr_get(shape, 2)) : yyjson_arr_size(yyjson_arr_get_first(row));
    if (!e->rows) return true;
    return *each && e->outputs && e->rows <= WR_LIMIT_EXPLAIN / *each &&
           e->rows * *each <= WR_LIMIT_EXPLAIN / e->outputs;
}

static int read_contributions(wr_explained *e, wr_cli *c, yyjson_val *list, yyjson_val *shape, yyjson_val *told,
                              wr_err *err)
{
    yyjson_val *features = yyjson_obj_get(told, "features"), *name;
    size_t each, n = 0, i, max;
    if (!read_shape(e, &each, list, shape))
        return wr_err_set(err, WEIR_EPARSE, "the server's contributions have no shape");
    if (!e->rows) return 0;
    e->features = each - 1;
    double *phi = wr_arena_alloc(wr_cli_arena(c), e->rows * e->outputs * each * sizeof *phi);
    const char **names = wr_arena_alloc(wr_cli_arena(c), each * sizeof *names);
    if (!phi || !names) return wr_err_nomem(err);
    if (!flatten(list, phi, e->rows * e->outputs * each, &n) || n != e->rows * e->outputs * each)
        return wr_err_set(err, WEIR_EPARSE, "the server's contributions do not have the shape it says");
    e->phi = phi;
    if (yyjson_arr_size(features) != e->features) return 0;
    yyjson_arr_foreach(features, i, max, name) names[i] = yyjson_is_str(name) ? yyjson_get_str(name) : "?";
    e->names = names;
    return 0;
}

static int print_contributions(wr_cli *c, yyjson_val *root, wr_err *err)
{
    wr_explained e = {0};
    yyjson_val *o, *list = yyjson_obj_get(root, "explanations"), *shape = NULL, *told = root;
    size_t i, max;
    yyjson_arr_foreach(yyjson_obj_get(root, "outputs"), i, max, o)
    {
        if (!yyjson_equals_str(yyjson_obj_get(o, "name"), "contributions")) continue;
        list = yyjson_obj_get(o, "data");
        shape = yyjson_obj_get(o, "shape");
        told = yyjson_obj_get(o, "parameters");
    }
    if (!list) return wr_err_set(err, WEIR_EPARSE, "the server did not answer with contributions");
    WR_TRY(read_contributions(&e, c, list, shape, told, err));
    return wr_explained_print(c, &e, (size_t)wr_cli_int(c, "top"), err);
}

static int send_rows(wr_cli *c, request *q, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    answer a = {0};
    const char *name = wr_cli_arg(c, 0);
    WR_TRY(make_request(q, wr_cli_arg(c, 1), err));
    bool explain = wr_cli_flag(c, "explain");
    char *path = q->tensors
                     ? wr_deploy_path(c, "/v2/models/", name, explain ? "/explain" : "/infer")
                     : wr_deploy_path(c, "/endpoints/", name, explain ? "/invocations?explain=true" : "/invocations");
    if (!path) return wr_err_nomem(err);
    WR_TRY(wr_deploy_ask(&j, c, "POST", path, q->type, wr_buf_view(&q->body), err));
    wr_jsonw_val(wr_cli_jsonw(c), j.root);
    if (explain) return print_contributions(c, j.root, err);
    yyjson_val *predictions = yyjson_obj_get(j.root, "predictions");
    if (predictions) read_predictions(&a, predictions);
    else read_tensors(&a, yyjson_obj_get(j.root, "outputs"));
    return print_answer(c, &a, err);
}

static int run(wr_cli *c, wr_err *err)
{
    request q = {0};
    if (wr_cli_int(c, "top") < 1) return wr_err_set(err, WEIR_EUSAGE, "--top is 1 or more");
    int rc = send_rows(c, &q, err);
    wr_buf_fini(&q.body);
    return rc;
}

static const wr_cmd_arg args[] = {
    WR_DEPLOY_URL,
    {"explain", 0, WR_ARG_FLAG, NULL, "show what each feature added; nothing is logged", NULL},
    WR_EXPLAIN_TOP};

const wr_cmd wr_cmd_deploy_infer = {
    "deploy infer",
    "ask a running server for predictions",
    "NAME FILE|-",
    2,
    2,
    args,
    3,
    "FILE has rows: CSV with a header, a JSON list of records or of lists, or a whole request as\n"
    "MLflow's scoring server (dataframe_split, instances, ...) or the inference protocol (inputs)\n"
    "takes it. - is the standard input. NAME is an endpoint or a model of the repository.\n"
    "--explain shows the contributions of the features to the margin of each row, the greatest\n"
    "first; with the base value they add up to it.",
    "  # rows of a table\n  weir deploy infer fraud rows.csv\n"
    "  # one row\n  echo '[{\"amount\": 120, \"country\": 3}]' | weir deploy infer fraud -\n"
    "  # what the prediction is made of\n  weir deploy infer fraud rows.csv --explain",
    run};
