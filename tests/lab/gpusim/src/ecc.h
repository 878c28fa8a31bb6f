/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Sums of ECC counters, also needed by the field values.
 */
#ifndef GS_ECC_H
#define GS_ECC_H

#include "call.h"

/* location: NVML_MEMORY_LOCATION_DRAM, NVML_MEMORY_LOCATION_SRAM, or -1 for both. */
nvmlReturn_t gs_ecc_sum(const struct gs_gpu *gpu, nvmlMemoryErrorType_t type, nvmlEccCounterType_t counter, int location,
                        unsigned long long *sum);

#endif
