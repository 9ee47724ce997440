/* SPDX-License-Identifier: Apache-2.0 */
/* refuse.h - files that hold a model in a form that is not served: named, and with what to do instead. Private to this folder. */
#pragma once
#include "base/err.h"
#include "base/str.h"

/* NULL, or what the file is ("a pickle"); `hint` then says how to export the model. By its name and its first bytes. */
const char *wr_refuse_file(const char **hint, wr_str file_name, wr_str head);
/* The same of an MLflow flavor without one that is served: "sklearn", "pytorch". Always a hint. */
const char *wr_refuse_flavor(wr_str flavor);
