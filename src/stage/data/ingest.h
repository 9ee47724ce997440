/* SPDX-License-Identifier: Apache-2.0 */
/* ingest.h - files become a version of a dataset.
 *
 * Formats: parquet, csv (header, types sniffed), json (array or one object a line); chosen by extension or named. Either everything is
 * committed as one version or nothing changes. The same files with the same options as the newest version are not written again.
 * What they were is kept as parameter ingest.NAME of the run that wrote the version.
 * Lineage: one file node each (name as given, SHA-256, size) -> the dataset version.
 */
#pragma once
#include "core/dataset.h"
#include "core/run.h"

typedef struct {
    const char *name;               /* dataset */
    const char *const *from; size_t nfrom; /* paths or globs */
    const char *format;             /* NULL = by extension */
    bool append;
    enum { WR_HEADER_EXPECTED /* refused when all its names are numbers */, WR_HEADER_THERE, WR_HEADER_NONE } header; /* of CSV */
    const char *select, *where;     /* SQL projection and filter, or NULL */
} wr_ingest_opt;

typedef struct { wr_dataset_written written; size_t files; uint64_t source_bytes; bool unchanged; /* written: the version there was */ } wr_ingested;

/* Errors: WEIR_ENOTFOUND, WEIR_EINVAL (empty file, folder, unknown format, schema on append, CSV without header), WEIR_ECORRUPT, WEIR_ENOSPC, WEIR_EACCESS. */
int wr_ingest(wr_ingested *out, wr_project *p, const wr_ingest_opt *opt, wr_run *run, wr_err *err);
