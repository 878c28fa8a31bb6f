/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * NUMA nodes, CPUs and how GPUs reach each other.
 */
#include <string.h>
#include <unistd.h>

#include "call.h"

#define BITS (8 * sizeof(unsigned long))

GS_GET_VALUE(nvmlDeviceGetNumaNodeId, V_NUMA_NODE)

static int64_t node_of(const struct gs_gpu *gpu)
{
    return gpu->values[V_NUMA_NODE] == GS_NONE || gpu->values[V_NUMA_NODE] < 0 ? 0 : gpu->values[V_NUMA_NODE];
}

nvmlReturn_t nvmlDeviceGetMemoryAffinity(nvmlDevice_t device, unsigned int nodeSetSize, unsigned long *nodeSet,
                                         nvmlAffinityScope_t scope)
{
    size_t node;

    GS_ENTER_DEVICE(c, device, nodeSet != NULL && nodeSetSize != 0 && scope <= NVML_AFFINITY_SCOPE_SOCKET, GS_GPU_ONLY);
    memset(nodeSet, 0, nodeSetSize * sizeof(*nodeSet));
    node = (size_t)node_of(c.gpu);
    if (node / BITS < nodeSetSize)
        nodeSet[node / BITS] |= 1UL << node % BITS;
    return gs_leave(&c, NVML_SUCCESS);
}

/* CPUs are shared out evenly among the NUMA nodes that GPUs name. */
static void fill_cpus(const struct gs_state *st, const struct gs_gpu *gpu, unsigned int words, unsigned long *set)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN), nodes = 1, first, last;

    for (uint32_t i = 0; i < st->gpu_count; i++)
        nodes = node_of(&st->gpus[i]) + 1 > nodes ? node_of(&st->gpus[i]) + 1 : nodes;
    first = cpus * node_of(gpu) / nodes;
    last = cpus * (node_of(gpu) + 1) / nodes;
    memset(set, 0, words * sizeof(*set));
    for (long cpu = first; cpu < last && (unsigned long)cpu / BITS < words; cpu++)
        set[(unsigned long)cpu / BITS] |= 1UL << (unsigned long)cpu % BITS;
}

nvmlReturn_t nvmlDeviceGetCpuAffinity(nvmlDevice_t device, unsigned int cpuSetSize, unsigned long *cpuSet)
{
    GS_ENTER_DEVICE(c, device, cpuSet != NULL && cpuSetSize != 0, GS_GPU_ONLY);
    fill_cpus(c.st, c.gpu, cpuSetSize, cpuSet);
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetCpuAffinityWithinScope(nvmlDevice_t device, unsigned int cpuSetSize, unsigned long *cpuSet,
                                                 nvmlAffinityScope_t scope)
{
    GS_ENTER_DEVICE(c, device, cpuSet != NULL && cpuSetSize != 0 && scope <= NVML_AFFINITY_SCOPE_SOCKET, GS_GPU_ONLY);
    fill_cpus(c.st, c.gpu, cpuSetSize, cpuSet);
    return gs_leave(&c, NVML_SUCCESS);
}

/* The second handle of a call that takes two. */
static nvmlReturn_t second_gpu(const struct gs_call *call, nvmlDevice_t device, struct gs_call *other)
{
    nvmlReturn_t result;

    memset(other, 0, sizeof(*other));
    other->st = call->st;
    result = gs_resolve(other, GS_DEVICE, device);
    return result == NVML_SUCCESS && other->mig ? NVML_ERROR_NOT_SUPPORTED : result;
}

static nvmlGpuTopologyLevel_t level_between(const struct gs_gpu *a, const struct gs_gpu *b)
{
    if (a == b)
        return NVML_TOPOLOGY_INTERNAL;
    return node_of(a) == node_of(b) ? NVML_TOPOLOGY_NODE : NVML_TOPOLOGY_SYSTEM;
}

nvmlReturn_t nvmlDeviceGetTopologyCommonAncestor(nvmlDevice_t device1, nvmlDevice_t device2,
                                                 nvmlGpuTopologyLevel_t *pathInfo)
{
    struct gs_call other;
    nvmlReturn_t result;

    GS_ENTER_DEVICE(c, device1, pathInfo != NULL, GS_GPU_ONLY);
    result = second_gpu(&c, device2, &other);
    if (result == NVML_SUCCESS)
        *pathInfo = level_between(c.gpu, other.gpu);
    return gs_leave(&c, result);
}

nvmlReturn_t nvmlDeviceGetTopologyNearestGpus(nvmlDevice_t device, nvmlGpuTopologyLevel_t level, unsigned int *count,
                                              nvmlDevice_t *deviceArray)
{
    unsigned int room, found = 0;

    GS_ENTER_DEVICE(c, device, count != NULL, GS_GPU_ONLY);
    room = *count;
    for (uint32_t i = 0; i < c.st->gpu_count; i++) {
        struct gs_gpu *gpu = &c.st->gpus[i];

        if (gpu == c.gpu || level_between(c.gpu, gpu) != level)
            continue;
        if (deviceArray && found < room)
            deviceArray[found] = gs_gpu_handle(c.st, gpu);
        found++;
    }
    *count = deviceArray && room < found ? room : found;
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetP2PStatus(nvmlDevice_t device1, nvmlDevice_t device2, nvmlGpuP2PCapsIndex_t p2pIndex,
                                    nvmlGpuP2PStatus_t *p2pStatus)
{
    struct gs_call other;
    nvmlReturn_t result;
    int linked;

    GS_ENTER_DEVICE(c, device1, p2pStatus != NULL && p2pIndex < NVML_P2P_CAPS_INDEX_UNKNOWN, GS_GPU_ONLY);
    result = second_gpu(&c, device2, &other);
    if (result == NVML_SUCCESS) {
        linked = gs_board_of(c.gpu)->nvlinks && gs_board_of(other.gpu)->nvlinks;
        *p2pStatus = p2pIndex == NVML_P2P_CAPS_INDEX_NVLINK && !linked ? NVML_P2P_STATUS_NOT_SUPPORTED
                                                                      : NVML_P2P_STATUS_OK;
        if (c.gpu->mig_current || other.gpu->mig_current)
            *p2pStatus = NVML_P2P_STATUS_NOT_SUPPORTED;
    }
    return gs_leave(&c, result);
}

nvmlReturn_t nvmlDeviceOnSameBoard(nvmlDevice_t device1, nvmlDevice_t device2, int *onSameBoard)
{
    struct gs_call other;
    nvmlReturn_t result;

    GS_ENTER_DEVICE(c, device1, onSameBoard != NULL, GS_GPU_ONLY);
    result = second_gpu(&c, device2, &other);
    if (result == NVML_SUCCESS)
        *onSameBoard = c.gpu == other.gpu;
    return gs_leave(&c, result);
}
