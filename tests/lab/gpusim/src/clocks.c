/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Clocks: readings, supported steps, application clocks, locked clocks.
 */
#include "call.h"

#define STEP_MHZ 15

static unsigned int step_down(const struct gs_board *board, unsigned int mhz)
{
    if (mhz <= board->graphics_min)
        return board->graphics_min;
    if (mhz >= board->graphics_max)
        return board->graphics_max;
    return board->graphics_max - (board->graphics_max - mhz + STEP_MHZ - 1) / STEP_MHZ * STEP_MHZ;
}

static unsigned int nearest_memory(const struct gs_board *board, unsigned int mhz)
{
    unsigned int best = board->memory_clocks[0];

    for (unsigned int i = 1; i < board->memory_clock_count; i++) {
        unsigned int clock = board->memory_clocks[i];

        if ((clock > mhz ? clock - mhz : mhz - clock) < (best > mhz ? best - mhz : mhz - best))
            best = clock;
    }
    return best;
}

static unsigned int clamp(int64_t value, int64_t low, int64_t high)
{
    if (high && value > high)
        value = high;
    if (value < low)
        value = low;
    return (unsigned int)value;
}

static nvmlReturn_t current_clock(const struct gs_gpu *gpu, nvmlClockType_t type, unsigned int *clock)
{
    static const enum gs_value values[] = {V_CLOCK_GRAPHICS, V_CLOCK_SM, V_CLOCK_MEMORY, V_CLOCK_VIDEO};
    nvmlReturn_t result = gs_value_uint(gpu, values[type], clock);

    if (result != NVML_SUCCESS)
        return result;
    if (type == NVML_CLOCK_GRAPHICS || type == NVML_CLOCK_SM)
        *clock = clamp(*clock, gpu->values[V_LOCK_GPU_MIN], gpu->values[V_LOCK_GPU_MAX]);
    if (type == NVML_CLOCK_MEM)
        *clock = clamp(*clock, gpu->values[V_LOCK_MEMORY_MIN], gpu->values[V_LOCK_MEMORY_MAX]);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t device, nvmlClockType_t type, unsigned int *clock)
{
    GS_ENTER_DEVICE(c, device, clock != NULL && type < NVML_CLOCK_COUNT, GS_GPU_ONLY);
    return gs_leave(&c, current_clock(c.gpu, type, clock));
}

static unsigned int max_clock(const struct gs_board *board, nvmlClockType_t type)
{
    if (type == NVML_CLOCK_MEM)
        return board->memory_clocks[0];
    return type == NVML_CLOCK_VIDEO ? board->video_max : board->graphics_max;
}

nvmlReturn_t nvmlDeviceGetMaxClockInfo(nvmlDevice_t device, nvmlClockType_t type, unsigned int *clock)
{
    GS_ENTER_DEVICE(c, device, clock != NULL && type < NVML_CLOCK_COUNT, GS_GPU_ONLY);
    *clock = max_clock(gs_board_of(c.gpu), type);
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetMaxCustomerBoostClock(nvmlDevice_t device, nvmlClockType_t clockType,
                                                unsigned int *clockMHz)
{
    GS_ENTER_DEVICE(c, device, clockMHz != NULL && clockType < NVML_CLOCK_COUNT, GS_GPU_ONLY);
    *clockMHz = max_clock(gs_board_of(c.gpu), clockType);
    return gs_leave(&c, NVML_SUCCESS);
}

static nvmlReturn_t app_clock(const struct gs_gpu *gpu, nvmlClockType_t type, unsigned int *clock)
{
    if (type == NVML_CLOCK_VIDEO)
        return NVML_ERROR_NOT_SUPPORTED;
    return gs_value_uint(gpu, type == NVML_CLOCK_MEM ? V_APP_MEMORY : V_APP_GRAPHICS, clock);
}

static nvmlReturn_t app_clock_default(const struct gs_gpu *gpu, nvmlClockType_t type, unsigned int *clock)
{
    const struct gs_board *board = gs_board_of(gpu);

    if (type == NVML_CLOCK_VIDEO || gpu->values[V_APP_GRAPHICS] == GS_NONE)
        return NVML_ERROR_NOT_SUPPORTED;
    *clock = type == NVML_CLOCK_MEM ? board->memory_clocks[0] : board->graphics_app;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetApplicationsClock(nvmlDevice_t device, nvmlClockType_t clockType, unsigned int *clockMHz)
{
    GS_ENTER_DEVICE(c, device, clockMHz != NULL && clockType < NVML_CLOCK_COUNT, GS_GPU_ONLY);
    return gs_leave(&c, app_clock(c.gpu, clockType, clockMHz));
}

nvmlReturn_t nvmlDeviceGetDefaultApplicationsClock(nvmlDevice_t device, nvmlClockType_t clockType,
                                                   unsigned int *clockMHz)
{
    GS_ENTER_DEVICE(c, device, clockMHz != NULL && clockType < NVML_CLOCK_COUNT, GS_GPU_ONLY);
    return gs_leave(&c, app_clock_default(c.gpu, clockType, clockMHz));
}

nvmlReturn_t nvmlDeviceGetClock(nvmlDevice_t device, nvmlClockType_t clockType, nvmlClockId_t clockId,
                                unsigned int *clockMHz)
{
    nvmlReturn_t result = NVML_SUCCESS;

    GS_ENTER_DEVICE(c, device, clockMHz != NULL && clockType < NVML_CLOCK_COUNT && clockId < NVML_CLOCK_ID_COUNT,
                    GS_GPU_ONLY);
    switch (clockId) {
    case NVML_CLOCK_ID_CURRENT:
        result = current_clock(c.gpu, clockType, clockMHz);
        break;
    case NVML_CLOCK_ID_APP_CLOCK_TARGET:
        result = app_clock(c.gpu, clockType, clockMHz);
        break;
    case NVML_CLOCK_ID_APP_CLOCK_DEFAULT:
        result = app_clock_default(c.gpu, clockType, clockMHz);
        break;
    default:
        *clockMHz = max_clock(gs_board_of(c.gpu), clockType);
    }
    return gs_leave(&c, result);
}

static nvmlReturn_t check_room(unsigned int *room, unsigned int count)
{
    unsigned int given = *room;

    *room = count;
    return given < count ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetSupportedMemoryClocks(nvmlDevice_t device, unsigned int *count, unsigned int *clocksMHz)
{
    const struct gs_board *board;
    nvmlReturn_t result;

    GS_ENTER_DEVICE(c, device, count != NULL, GS_GPU_ONLY);
    board = gs_board_of(c.gpu);
    result = check_room(count, board->memory_clock_count);
    if (result == NVML_SUCCESS && !clocksMHz)
        result = NVML_ERROR_INVALID_ARGUMENT;
    for (unsigned int i = 0; result == NVML_SUCCESS && i < board->memory_clock_count; i++)
        clocksMHz[i] = board->memory_clocks[i];
    return gs_leave(&c, result);
}

static int is_memory_clock(const struct gs_board *board, unsigned int mhz)
{
    return nearest_memory(board, mhz) == mhz;
}

static int is_graphics_clock(const struct gs_board *board, unsigned int mhz)
{
    return mhz >= board->graphics_min && mhz <= board->graphics_max && step_down(board, mhz) == mhz;
}

/* Highest first, in steps of 15 MHz down to the lowest. */
nvmlReturn_t nvmlDeviceGetSupportedGraphicsClocks(nvmlDevice_t device, unsigned int memoryClockMHz,
                                                  unsigned int *count, unsigned int *clocksMHz)
{
    const struct gs_board *board;
    unsigned int steps;
    nvmlReturn_t result;

    GS_ENTER_DEVICE(c, device, count != NULL, GS_GPU_ONLY);
    board = gs_board_of(c.gpu);
    if (!is_memory_clock(board, memoryClockMHz))
        return gs_leave(&c, NVML_ERROR_NOT_FOUND);
    steps = (board->graphics_max - board->graphics_min) / STEP_MHZ + 1;
    result = check_room(count, steps);
    if (result == NVML_SUCCESS && !clocksMHz)
        result = NVML_ERROR_INVALID_ARGUMENT;
    for (unsigned int i = 0; result == NVML_SUCCESS && i < steps; i++)
        clocksMHz[i] = board->graphics_max - i * STEP_MHZ;
    return gs_leave(&c, result);
}

static nvmlReturn_t check_app_clocks(const struct gs_call *call)
{
    if (call->gpu->values[V_APP_GRAPHICS] == GS_NONE)
        return NVML_ERROR_NOT_SUPPORTED;
    return call->gpu->values[V_RESTRICT_APP_CLOCKS] == 1 && !gs_is_root() ? NVML_ERROR_NO_PERMISSION : NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceSetApplicationsClocks(nvmlDevice_t device, unsigned int memClockMHz,
                                             unsigned int graphicsClockMHz)
{
    const struct gs_board *board;
    nvmlReturn_t result;

    GS_ENTER_DEVICE(c, device, 1, GS_GPU_ONLY);
    board = gs_board_of(c.gpu);
    result = check_app_clocks(&c);
    if (result == NVML_SUCCESS && (!is_memory_clock(board, memClockMHz) || !is_graphics_clock(board, graphicsClockMHz)))
        result = NVML_ERROR_INVALID_ARGUMENT;
    if (result == NVML_SUCCESS) {
        c.gpu->values[V_APP_MEMORY] = memClockMHz;
        c.gpu->values[V_APP_GRAPHICS] = graphicsClockMHz;
    }
    return gs_leave(&c, result);
}

nvmlReturn_t nvmlDeviceResetApplicationsClocks(nvmlDevice_t device)
{
    nvmlReturn_t result;

    GS_ENTER_DEVICE(c, device, 1, GS_GPU_ONLY);
    result = check_app_clocks(&c);
    if (result == NVML_SUCCESS) {
        c.gpu->values[V_APP_MEMORY] = gs_board_of(c.gpu)->memory_clocks[0];
        c.gpu->values[V_APP_GRAPHICS] = gs_board_of(c.gpu)->graphics_app;
    }
    return gs_leave(&c, result);
}

static int is_symbolic(unsigned int mhz)
{
    return mhz >= NVML_CLOCK_LIMIT_ID_RANGE_START;
}

static int is_limit(unsigned int mhz)
{
    return !is_symbolic(mhz) || mhz == NVML_CLOCK_LIMIT_ID_TDP || mhz == NVML_CLOCK_LIMIT_ID_UNLIMITED;
}

/* What the board does not have is taken to the nearest that it has; rounding is downwards (derived). The clock of the
 * TDP is the default application clock (derived); 0 = no limit. */
static unsigned int clock_limit(const struct gs_board *board, unsigned int mhz)
{
    if (mhz == NVML_CLOCK_LIMIT_ID_UNLIMITED)
        return 0;
    return mhz == NVML_CLOCK_LIMIT_ID_TDP ? board->graphics_app : step_down(board, mhz);
}

nvmlReturn_t nvmlDeviceSetGpuLockedClocks(nvmlDevice_t device, unsigned int minGpuClockMHz,
                                          unsigned int maxGpuClockMHz)
{
    const struct gs_board *board;

    GS_ENTER_DEVICE(c, device, is_limit(minGpuClockMHz) && is_limit(maxGpuClockMHz) &&
                    is_symbolic(minGpuClockMHz) == is_symbolic(maxGpuClockMHz) &&
                    (is_symbolic(minGpuClockMHz) || minGpuClockMHz <= maxGpuClockMHz), GS_GPU_ONLY);
    board = gs_board_of(c.gpu);
    c.gpu->values[V_LOCK_GPU_MIN] = clock_limit(board, minGpuClockMHz);
    c.gpu->values[V_LOCK_GPU_MAX] = clock_limit(board, maxGpuClockMHz);
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceResetGpuLockedClocks(nvmlDevice_t device)
{
    GS_ENTER_DEVICE(c, device, 1, GS_GPU_ONLY | GS_ROOT);
    c.gpu->values[V_LOCK_GPU_MIN] = c.gpu->values[V_LOCK_GPU_MAX] = 0;
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceSetMemoryLockedClocks(nvmlDevice_t device, unsigned int minMemClockMHz,
                                             unsigned int maxMemClockMHz)
{
    const struct gs_board *board;

    GS_ENTER_DEVICE(c, device, minMemClockMHz <= maxMemClockMHz, GS_GPU_ONLY);
    board = gs_board_of(c.gpu);
    if (board->architecture < NVML_DEVICE_ARCH_AMPERE) /* the header: Ampere or newer */
        return gs_leave(&c, NVML_ERROR_NOT_SUPPORTED);
    c.gpu->values[V_LOCK_MEMORY_MIN] = nearest_memory(board, minMemClockMHz);
    c.gpu->values[V_LOCK_MEMORY_MAX] = nearest_memory(board, maxMemClockMHz);
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceResetMemoryLockedClocks(nvmlDevice_t device)
{
    GS_ENTER_DEVICE(c, device, 1, GS_GPU_ONLY | GS_ROOT);
    if (gs_board_of(c.gpu)->architecture < NVML_DEVICE_ARCH_AMPERE)
        return gs_leave(&c, NVML_ERROR_NOT_SUPPORTED);
    c.gpu->values[V_LOCK_MEMORY_MIN] = c.gpu->values[V_LOCK_MEMORY_MAX] = 0;
    return gs_leave(&c, NVML_SUCCESS);
}
