/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * PCI identity and link.
 */
#include <stdio.h>

#include "call.h"

static void fill_pci(const struct gs_gpu *gpu, nvmlPciInfo_t *pci, int with_subsystem)
{
    const struct gs_board *board = gs_board_of(gpu);

    *pci = (nvmlPciInfo_t){.domain = gpu->domain, .bus = gpu->bus, .pciDeviceId = board->pci_device};
    if (with_subsystem)
        pci->pciSubSystemId = board->pci_subsystem;
    snprintf(pci->busIdLegacy, sizeof(pci->busIdLegacy), NVML_DEVICE_PCI_BUS_ID_LEGACY_FMT, gpu->domain & 0xffff,
             gpu->bus & 0xff, 0);
    if (with_subsystem)
        snprintf(pci->busId, sizeof(pci->busId), NVML_DEVICE_PCI_BUS_ID_FMT, gpu->domain, gpu->bus, 0);
}

nvmlReturn_t nvmlDeviceGetPciInfo(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
    GS_ENTER_DEVICE(c, device, pci != NULL, GS_GPU_ONLY | GS_IDENTITY);
    fill_pci(c.gpu, pci, 0);
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetPciInfo_v2(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
    GS_ENTER_DEVICE(c, device, pci != NULL, GS_GPU_ONLY | GS_IDENTITY);
    fill_pci(c.gpu, pci, 1);
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
    GS_ENTER_DEVICE(c, device, pci != NULL, GS_GPU_ONLY | GS_IDENTITY);
    fill_pci(c.gpu, pci, 1);
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetPciInfoExt(nvmlDevice_t device, nvmlPciInfoExt_t *pci)
{
    const struct gs_board *board;
    nvmlReturn_t result;

    GS_ENTER_DEVICE(c, device, pci != NULL, GS_GPU_ONLY | GS_IDENTITY);
    result = gs_check_version(pci->version, nvmlPciInfoExt_v1);
    if (result == NVML_SUCCESS) {
        board = gs_board_of(c.gpu);
        *pci = (nvmlPciInfoExt_t){.version = nvmlPciInfoExt_v1, .domain = c.gpu->domain, .bus = c.gpu->bus,
                                  .pciDeviceId = board->pci_device, .pciSubSystemId = board->pci_subsystem,
                                  .baseClass = 0x03, .subClass = 0x02};
        snprintf(pci->busId, sizeof(pci->busId), NVML_DEVICE_PCI_BUS_ID_FMT, c.gpu->domain, c.gpu->bus, 0);
    }
    return gs_leave(&c, result);
}

GS_GET_VALUE(nvmlDeviceGetCurrPcieLinkGeneration, V_PCIE_GENERATION)
GS_GET_VALUE(nvmlDeviceGetCurrPcieLinkWidth, V_PCIE_WIDTH)
GS_GET_VALUE(nvmlDeviceGetPcieReplayCounter, V_PCIE_REPLAY)
GS_GET_BOARD(nvmlDeviceGetMaxPcieLinkGeneration, pcie_generation)
GS_GET_BOARD(nvmlDeviceGetGpuMaxPcieLinkGeneration, pcie_generation)
GS_GET_BOARD(nvmlDeviceGetMaxPcieLinkWidth, pcie_width)

nvmlReturn_t nvmlDeviceGetPcieThroughput(nvmlDevice_t device, nvmlPcieUtilCounter_t counter, unsigned int *value)
{
    GS_ENTER_DEVICE(c, device, value != NULL && counter < NVML_PCIE_UTIL_COUNT, GS_GPU_ONLY);
    return gs_leave(&c, gs_value_uint(c.gpu, counter == NVML_PCIE_UTIL_TX_BYTES ? V_PCIE_TX : V_PCIE_RX, value));
}

/* Megabits a second and lane, as the header counts them: 2500 for generation 1, then doubled. */
static unsigned int lane_speed(int64_t generation)
{
    static const unsigned int speeds[] = {0, 2500, 5000, 8000, 16000, 32000, 64000};

    return generation > 0 && generation < 7 ? speeds[generation] : 0;
}

nvmlReturn_t nvmlDeviceGetPcieSpeed(nvmlDevice_t device, unsigned int *pcieSpeed)
{
    GS_ENTER_DEVICE(c, device, pcieSpeed != NULL, GS_GPU_ONLY);
    *pcieSpeed = lane_speed(c.gpu->values[V_PCIE_GENERATION]);
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetPcieLinkMaxSpeed(nvmlDevice_t device, unsigned int *maxSpeed)
{
    GS_ENTER_DEVICE(c, device, maxSpeed != NULL, GS_GPU_ONLY);
    *maxSpeed = lane_speed(gs_board_of(c.gpu)->pcie_generation);
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetBusType(nvmlDevice_t device, nvmlBusType_t *type)
{
    GS_ENTER_DEVICE(c, device, type != NULL, GS_GPU_ONLY);
    *type = NVML_BUS_TYPE_PCIE;
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetIrqNum(nvmlDevice_t device, unsigned int *irqNum)
{
    GS_ENTER_DEVICE(c, device, irqNum != NULL, GS_GPU_ONLY);
    *irqNum = 100 + c.gpu->minor;
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetBoardId(nvmlDevice_t device, unsigned int *boardId)
{
    GS_ENTER_DEVICE(c, device, boardId != NULL, GS_GPU_ONLY);
    *boardId = c.gpu->bus << 8;
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlDeviceGetMultiGpuBoard(nvmlDevice_t device, unsigned int *multiGpuBool)
{
    GS_ENTER_DEVICE(c, device, multiGpuBool != NULL, GS_GPU_ONLY);
    *multiGpuBool = 0;
    return gs_leave(&c, NVML_SUCCESS);
}
