/* SPDX-License-Identifier: Apache-2.0 */
/* db_pg_api.h - libpq's functions as a table of pointers, filled by dlopen on first use.
 *
 * A program that keeps its records in a file never loads it (nor the TLS and Kerberos libraries behind it). Nothing
 * here refers to libpq by symbol: call `pq->exec(...)`, never `PQexec(...)`. One more function: add its name to the
 * list.
 */
#pragma once
#include <postgresql/libpq-fe.h>

#include "base/err.h"

/*   ours             libpq's */
#define WR_PQ_API(X)                                                                                                   \
    X(connect, PQconnectdbParams)                                                                                      \
    X(finish, PQfinish)                                                                                                \
    X(status, PQstatus)                                                                                                \
    X(error, PQerrorMessage)                                                                                           \
    X(needs_password, PQconnectionNeedsPassword)                                                                       \
    X(parse, PQconninfoParse)                                                                                          \
    X(options_free, PQconninfoFree)                                                                                    \
    X(mem_free, PQfreemem)                                                                                             \
    X(parameter, PQparameterStatus)                                                                                    \
    X(server_version, PQserverVersion)                                                                                 \
    X(transaction, PQtransactionStatus)                                                                                \
    X(set_notice, PQsetNoticeProcessor)                                                                                \
    X(exec, PQexec)                                                                                                    \
    X(pipeline_enter, PQenterPipelineMode)                                                                             \
    X(pipeline_exit, PQexitPipelineMode)                                                                               \
    X(pipeline_sync, PQpipelineSync)                                                                                   \
    X(send_params, PQsendQueryParams)                                                                                  \
    X(send_prepare, PQsendPrepare)                                                                                     \
    X(send_prepared, PQsendQueryPrepared)                                                                              \
    X(result, PQgetResult)                                                                                             \
    X(result_status, PQresultStatus)                                                                                   \
    X(result_error, PQresultErrorMessage)                                                                              \
    X(result_field, PQresultErrorField)                                                                                \
    X(tag, PQcmdStatus)                                                                                                \
    X(ntuples, PQntuples)                                                                                              \
    X(nfields, PQnfields)                                                                                              \
    X(type, PQftype)                                                                                                   \
    X(value, PQgetvalue)                                                                                               \
    X(length, PQgetlength)                                                                                             \
    X(is_null, PQgetisnull)                                                                                            \
    X(clear, PQclear)

typedef struct wr_pq {
#define X(name, symbol) __typeof__(&symbol) name;
    WR_PQ_API(X)
#undef X
} wr_pq;

/* Loaded once per process; from any thread. $WEIR_LIBPQ, else libpq.so.5 as the system finds it. WEIR_EUNAVAILABLE with
 * a hint when there is none that is new enough (14). */
int wr_pq_load(const wr_pq **out, wr_err *err);
