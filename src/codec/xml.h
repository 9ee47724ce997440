/* SPDX-License-Identifier: Apache-2.0 */
/* xml.h - as much of XML as the answers of S3 need: elements by name, and text. No attributes, namespaces, comments or CDATA are looked at.
 * Slices point into the input; nothing is allocated, nothing recurses. */
#pragma once
#include <stdbool.h>
#include "base/str.h"

/* Content of the next element called `tag` in `*rest`, which then is what follows it; false when there is none. An element inside another of
 * the same name is not expected. */
bool wr_xml_next(wr_str *rest, const char *tag, wr_str *content);
/* Content of the first one, {NULL,0} without. */
wr_str wr_xml_first(wr_str xml, const char *tag);
/* Text with its entities (&amp; &lt; &gt; &quot; &apos; &#N; &#xN;) resolved; false, and `out` half-written, for another one. */
bool wr_xml_text(wr_buf *out, wr_str content);
void wr_xml_escape(wr_buf *out, wr_str text); /* control bytes, which XML cannot say, as "?" */
