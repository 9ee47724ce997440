/* SPDX-License-Identifier: Apache-2.0 */
/* inflate.h - bodies that come, or leave, packed: the content codings gzip (RFC 1952) and deflate (RFC 1950, and bare RFC 1951 as
 * some clients send it) of HTTP. Bytes in, bytes out; the output is capped, so that a small body cannot become a large
 * one unasked.
 *
 * A gzip body may be several members one after the other. Refused: checksums and lengths that do not match, a stream
 * that is cut short, bytes behind its end.
 */
#pragma once
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

typedef enum { WR_CODING_NONE, WR_CODING_GZIP, WR_CODING_DEFLATE } wr_coding;

/* Of a Content-Encoding: absent or "identity" is none, case does not matter. WEIR_EINVAL for another, or more than one.
 */
int wr_coding_parse(wr_coding *out, wr_str header, wr_err *err);
/* Appends the unpacked bytes, at most `max` of them (WEIR_ELIMIT beyond). WEIR_EPARSE when the bytes are no such
 * stream. */
int wr_inflate(wr_buf *out, wr_str in, wr_coding coding, size_t max, wr_err *err);

/* What an Accept-Encoding prefers of identity, gzip and deflate, by their weights; the first of equals. Malformed parts are passed over. */
wr_coding wr_coding_accepted(wr_str header);
/* Appends the packed bytes, as fast as zlib can. WEIR_ENOMEM. */
int wr_deflate(wr_buf *out, wr_str in, wr_coding coding, wr_err *err);
