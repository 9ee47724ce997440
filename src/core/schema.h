/* SPDX-License-Identifier: Apache-2.0 */
/* schema.h - the migrations of the records database, oldest first; never edit one that was released, add the next. */
#pragma once

extern const char *const wr_schema_migrations[];
extern const int wr_schema_count;
