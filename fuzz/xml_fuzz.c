/* SPDX-License-Identifier: Apache-2.0 */
/* xml_fuzz.c - answers of S3 under hostile bytes: elements lie inside the input and come to an end; text that was
 * escaped reads back. */
#include <stdint.h>
#include <stdlib.h>

#include "codec/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok) abort();
}

static void inside(wr_str s, wr_str all) { require(s.n == 0 || (s.p >= all.p && s.p + s.n <= all.p + all.n)); }

static void elements(wr_str all, const char *tag)
{
    wr_str rest = all, content;
    while (wr_xml_next(&rest, tag, &content)) {
        size_t before = rest.n;
        inside(content, all);
        inside(rest, all);
        WR_AUTOBUF wr_buf text;
        wr_buf_init(&text, 0);
        if (wr_xml_text(&text, content)) require(text.n <= content.n);
        wr_str inner = wr_xml_first(content, "Key");
        inside(inner, content);
        require(rest.n <= before && rest.n < all.n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const tags[] = {"Contents", "CommonPrefixes", "Error", "UploadId", "NextContinuationToken", "a"};
    wr_str all = {(const char *)data, size};
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) elements(all, tags[i]);
    WR_AUTOBUF wr_buf escaped, back;
    wr_buf_init(&escaped, 0);
    wr_buf_init(&back, 0);
    wr_xml_escape(&escaped, all);
    require(wr_xml_text(&back, wr_buf_view(&escaped)) && back.n == all.n);
    for (size_t i = 0; i < back.n; i++) require(back.p[i] == all.p[i] || back.p[i] == '?');
    return 0;
}
