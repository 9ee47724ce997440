/* SPDX-License-Identifier: Apache-2.0 */
/* duck_api.h - DuckDB's C interface as a table of function pointers, filled by dlopen on first use.
 *
 * Linking the library would cost every start of the program 18 ms and 18 MB of relocations, so nothing here refers to
 * it by symbol: call `d->query(...)`, never `duckdb_query(...)`. To use one more function, add its name to WR_DUCK_API.
 */
#pragma once
#include "base/err.h"
#include <duckdb.h>

#define WR_DUCK_API(X)                                                                                                 \
    X(library_version)                                                                                                 \
    X(create_config) X(set_config) X(destroy_config) X(open_ext) X(close) X(connect) X(disconnect) X(interrupt) X(     \
        query_progress) X(free) X(query) X(destroy_result) X(result_error) X(result_return_type) X(rows_changed)       \
        X(column_count) X(column_name) X(column_logical_type) X(prepare) X(destroy_prepare) X(prepare_error) X(        \
            nparams) X(prepared_statement_type) X(execute_prepared) X(extract_statements) X(extract_statements_error)  \
            X(prepare_extracted_statement) X(destroy_extracted) X(prepared_statement_column_count) X(                  \
                prepared_statement_column_name) X(prepared_statement_column_logical_type) X(bind_null) X(bind_int64)   \
                X(bind_double) X(bind_varchar_length) X(bind_timestamp) X(pending_prepared_streaming) X(pending_error) \
                    X(execute_pending) X(destroy_pending) X(fetch_chunk) X(destroy_data_chunk) X(data_chunk_get_size)  \
                        X(data_chunk_set_size) X(data_chunk_get_vector) X(vector_get_data) X(vector_get_validity)      \
                            X(vector_ensure_validity_writable) X(vector_size) X(list_vector_get_child) X(              \
                                struct_vector_get_child) X(create_logical_type) X(destroy_logical_type) X(get_type_id) \
                                X(decimal_width) X(decimal_scale) X(decimal_internal_type) X(enum_internal_type)       \
                                    X(enum_dictionary_size) X(enum_dictionary_value) X(create_table_function)          \
                                        X(destroy_table_function) X(register_table_function)                           \
                                            X(table_function_set_name) X(table_function_add_parameter)                 \
                                                X(table_function_set_extra_info) X(table_function_set_bind)            \
                                                    X(table_function_set_init) X(table_function_set_function)          \
                                                        X(table_function_supports_projection_pushdown)                 \
                                                            X(bind_get_extra_info) X(bind_get_parameter) X(            \
                                                                bind_add_result_column) X(bind_set_bind_data)          \
                                                                X(bind_set_cardinality) X(bind_set_error) X(get_int64) \
                                                                    X(destroy_value) X(init_set_init_data)             \
                                                                        X(init_set_max_threads) X(init_get_bind_data)  \
                                                                            X(init_get_column_count)                   \
                                                                                X(init_get_column_index)               \
                                                                                    X(init_set_error)                  \
                                                                                        X(function_get_init_data)

typedef struct wr_duck {
#define X(name) __typeof__(&duckdb_##name) name;
    WR_DUCK_API(X)
#undef X
} wr_duck;

/* The table, loaded once per process; from any thread. WEIR_EUNAVAILABLE with a hint when there is no usable library.
 */
int wr_duck_load(const wr_duck **out, wr_err *err);

/* Turn DuckDB's text "Kind Error: what\nmore" into an error: code from the kind and known phrases, msg the first line,
 * detail the rest, hint where the text suggests one. Returns the code. */
int wr_duck_fail(wr_err *err, const char *text);
