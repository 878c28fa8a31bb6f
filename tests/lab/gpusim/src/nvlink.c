/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * NVLink and fabric.
 */
#include <stdio.h>
#include <string.h>

#include "mig.h"

#define GS_ENTER_LINK(call, device, link, good, flags)                                              \
    GS_ENTER_DEVICE(call, device, good, GS_GPU_ONLY | (flags));                                     \
    if (gs_board_of(call.gpu)->nvlinks == 0)                                                        \
        return gs_leave(&call, NVML_ERROR_NOT_SUPPORTED);                                           \
    if ((link) >= gs_board_of(call.gpu)->nvlinks)                                                   \
    return gs_leave(&call, NVML_ERROR_INVALID_ARGUMENT)

nvmlReturn_t nvmlDeviceGetNvLinkState(nvmlDevice_t device, unsigned int link, nvmlEnableState_t *isActive)
{
    GS_ENTER_LINK(c, device, link, isActive != NULL, 0);
    *isActive = c.gpu->links[link].state ? NVML_FEATURE_ENABLED : NVML_FEATURE_DISABLED;
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetNvLinkVersion(nvmlDevice_t device, unsigned int link, unsigned int *version)
{
    GS_ENTER_LINK(c, device, link, version != NULL, 0);
    *version = gs_board_of(c.gpu)->nvlink_version;
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetNvLinkCapability(nvmlDevice_t device, unsigned int link, nvmlNvLinkCapability_t capability,
                                           unsigned int *capResult)
{
    GS_ENTER_LINK(c, device, link, capResult != NULL && capability < NVML_NVLINK_CAP_COUNT, 0);
    *capResult = capability != NVML_NVLINK_CAP_SLI_BRIDGE && capability != NVML_NVLINK_CAP_VALID;
    if (capability == NVML_NVLINK_CAP_VALID)
        *capResult = c.gpu->links[link].state != 0;
    return gs_leave(&c, NVML_SUCCESS);
}

/* The other end is one of six switches of the base board. */
static nvmlReturn_t remote_pci(const struct gs_gpu *gpu, unsigned int link, nvmlPciInfo_t *pci)
{
    if (!gpu->links[link].state)
        return NVML_ERROR_NOT_SUPPORTED;
    *pci = (nvmlPciInfo_t){.bus = 0xc1 + link % 6, .pciDeviceId = 0x1af110de};
    snprintf(pci->busIdLegacy, sizeof(pci->busIdLegacy), NVML_DEVICE_PCI_BUS_ID_LEGACY_FMT, 0U, pci->bus & 0xff, 0);
    snprintf(pci->busId, sizeof(pci->busId), NVML_DEVICE_PCI_BUS_ID_FMT, 0U, pci->bus, 0);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetNvLinkRemotePciInfo(nvmlDevice_t device, unsigned int link, nvmlPciInfo_t *pci)
{
    GS_ENTER_LINK(c, device, link, pci != NULL, 0);
    return gs_leave(&c, remote_pci(c.gpu, link, pci));
}

nvmlReturn_t nvmlDeviceGetNvLinkRemotePciInfo_v2(nvmlDevice_t device, unsigned int link, nvmlPciInfo_t *pci)
{
    GS_ENTER_LINK(c, device, link, pci != NULL, 0);
    return gs_leave(&c, remote_pci(c.gpu, link, pci));
}

nvmlReturn_t nvmlDeviceGetNvLinkRemoteDeviceType(nvmlDevice_t device, unsigned int link,
                                                 nvmlIntNvLinkDeviceType_t *pNvLinkDeviceType)
{
    GS_ENTER_LINK(c, device, link, pNvLinkDeviceType != NULL, 0);
    *pNvLinkDeviceType = c.gpu->links[link].state ? NVML_NVLINK_DEVICE_TYPE_SWITCH : NVML_NVLINK_DEVICE_TYPE_UNKNOWN;
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetNvLinkErrorCounter(nvmlDevice_t device, unsigned int link, nvmlNvLinkErrorCounter_t counter,
                                             unsigned long long *counterValue)
{
    const struct gs_link *state;

    GS_ENTER_LINK(c, device, link, counterValue != NULL && counter < NVML_NVLINK_ERROR_COUNT, 0);
    state = &c.gpu->links[link];
    switch (counter) {
    case NVML_NVLINK_ERROR_DL_REPLAY:
        *counterValue = state->replay;
        break;
    case NVML_NVLINK_ERROR_DL_RECOVERY:
        *counterValue = state->recovery;
        break;
    case NVML_NVLINK_ERROR_DL_CRC_FLIT:
        *counterValue = state->crc_flit;
        break;
    case NVML_NVLINK_ERROR_DL_CRC_DATA:
        *counterValue = state->crc_data;
        break;
    default:
        *counterValue = state->ecc_data;
    }
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceResetNvLinkErrorCounters(nvmlDevice_t device, unsigned int link)
{
    struct gs_link *state;

    GS_ENTER_LINK(c, device, link, 1, GS_ROOT);
    state = &c.gpu->links[link];
    gs_begin(c.st, c.gpu);
    *state = (struct gs_link){.state = state->state, .speed_mbps = state->speed_mbps};
    gs_commit(c.st);
    return gs_leave(&c, NVML_SUCCESS);
}

/* One fabric for the whole node; its identity follows the whole seed, so that no two nodes share one. */
static void cluster_uuid(const struct gs_state *st, const struct gs_gpu *gpu, unsigned char *uuid)
{
    char text[48];
    const char *digit = text;

    memset(uuid, 0, NVML_GPU_FABRIC_UUID_LEN);
    if (gpu->values[V_FABRIC_STATE] != NVML_GPU_FABRIC_STATE_COMPLETED || !gs_board_of(gpu)->fabric)
        return;
    gs_name_uuid(text, sizeof(text), "", st->seed);
    for (int i = 0; i < NVML_GPU_FABRIC_UUID_LEN; i++, digit += 2) {
        digit += *digit == '-';
        sscanf(digit, "%2hhx", &uuid[i]);
    }
}

static unsigned int number(const struct gs_gpu *gpu, enum gs_value value)
{
    return gpu->values[value] == GS_NONE ? 0 : (unsigned int)gpu->values[value];
}

nvmlReturn_t nvmlDeviceGetGpuFabricInfo(nvmlDevice_t device, nvmlGpuFabricInfo_t *info)
{
    GS_ENTER_DEVICE(c, device, info != NULL, GS_GPU_ONLY);
    if (!gs_board_of(c.gpu)->fabric)
        return gs_leave(&c, NVML_ERROR_NOT_SUPPORTED);
    cluster_uuid(c.st, c.gpu, info->clusterUuid);
    info->status = (nvmlReturn_t)number(c.gpu, V_FABRIC_STATUS);
    info->cliqueId = number(c.gpu, V_FABRIC_CLIQUE);
    info->state = (nvmlGpuFabricState_t)number(c.gpu, V_FABRIC_STATE);
    return gs_leave(&c, NVML_SUCCESS);
}

/* Version 2 ends before the health summary that version 3 added; the head is the same. */
nvmlReturn_t nvmlDeviceGetGpuFabricInfoV(nvmlDevice_t device, nvmlGpuFabricInfoV_t *info)
{
    nvmlGpuFabricInfo_v2_t *head = (nvmlGpuFabricInfo_v2_t *)(void *)info;

    GS_ENTER_DEVICE(c, device, info != NULL, GS_GPU_ONLY);
    if (head->version != NVML_STRUCT_VERSION(GpuFabricInfo, 2) && head->version != NVML_STRUCT_VERSION(GpuFabricInfo, 3))
        return gs_leave(&c, NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    if (!gs_board_of(c.gpu)->fabric)
        return gs_leave(&c, NVML_ERROR_NOT_SUPPORTED);
    cluster_uuid(c.st, c.gpu, head->clusterUuid);
    head->status = (nvmlReturn_t)number(c.gpu, V_FABRIC_STATUS);
    head->cliqueId = number(c.gpu, V_FABRIC_CLIQUE);
    head->state = (nvmlGpuFabricState_t)number(c.gpu, V_FABRIC_STATE);
    head->healthMask = number(c.gpu, V_FABRIC_HEALTH_MASK);
    if (head->version == NVML_STRUCT_VERSION(GpuFabricInfo, 3))
        info->healthSummary = (unsigned char)number(c.gpu, V_FABRIC_HEALTH_SUMMARY);
    return gs_leave(&c, NVML_SUCCESS);
}
