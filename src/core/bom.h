/* SPDX-License-Identifier: Apache-2.0 */
/* bom.h - a model's bill of materials: CycloneDX 1.6, JSON, with the model card and the energy of its making.
 *
 * The model is the component of the metadata (type machine-learning-model), with its files inside it; data and raw files are components, the
 * lineage their dependencies; libraries that a client pinned are components with package URLs. Energy is in kWh, carbon in tCO2eq, each
 * activity with its uncertainty, tier and source as properties. Same card, same bytes: the time is that of the version, and the serial number
 * is made of the SHA-256 of everything else (a version 8 UUID).
 *
 * BoAmps (github.com/Boavizta/BoAmps) is a report of the energy of one task: of the training of the model.
 */
#pragma once
#include "core/card.h"

int wr_bom_cyclonedx(wr_buf *out, const wr_card *c, wr_err *err);
/* WEIR_ENOTFOUND without a footprint. */
int wr_bom_boamps(wr_buf *out, const wr_card *c, wr_err *err);
