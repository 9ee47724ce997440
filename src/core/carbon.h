/* SPDX-License-Identifier: Apache-2.0 */
/* carbon.h - the built-in table of yearly grid carbon intensities (data/carbon-intensity.csv, embedded). */
#pragma once
#include "base/err.h"
#include "base/str.h"
#include "core/footprint.h"

/* Look up a region ("WORLD", "DEU", "aws:eu-west-1"); WEIR_EINVAL with did-you-mean. */
int wr_carbon_region(wr_carbon *out, wr_str region, wr_err *err);
