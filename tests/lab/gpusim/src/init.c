/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * nvmlInit and its kin, error strings, and what is true of the whole system.
 */
#include "call.h"

#include <stdio.h>
#include <string.h>

static unsigned int references;

int gs_initialised(void)
{
    return __atomic_load_n(&references, __ATOMIC_ACQUIRE) != 0;
}

static nvmlReturn_t initialise(struct gs_call *call)
{
    if (!call->st->loaded)
        return NVML_ERROR_DRIVER_NOT_LOADED;
    if (strcmp(gs_library_version(call->st), call->st->kernel_driver) != 0)
        return NVML_ERROR_LIB_RM_VERSION_MISMATCH;
    __atomic_add_fetch(&references, 1, __ATOMIC_ACQ_REL);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlInitWithFlags(unsigned int flags)
{
    GS_ENTER_SYSTEM(c, (flags & ~7U) == 0, GS_NO_INIT | GS_NO_DRIVER);
    return gs_leave(&c, initialise(&c));
}

nvmlReturn_t nvmlInit_v2(void)
{
    GS_ENTER_SYSTEM(c, 1, GS_NO_INIT | GS_NO_DRIVER);
    return gs_leave(&c, initialise(&c));
}

nvmlReturn_t nvmlInit(void)
{
    GS_ENTER_SYSTEM(c, 1, GS_NO_INIT | GS_NO_DRIVER);
    return gs_leave(&c, initialise(&c));
}

nvmlReturn_t nvmlShutdown(void)
{
    GS_ENTER_SYSTEM(c, 1, GS_NO_DRIVER);
    /* Asked again under the lock: another thread may just have given the last one back. */
    if (!gs_initialised())
        return gs_leave(&c, NVML_ERROR_UNINITIALIZED);
    __atomic_sub_fetch(&references, 1, __ATOMIC_ACQ_REL);
    return gs_leave(&c, NVML_SUCCESS);
}

const char *nvmlErrorString(nvmlReturn_t result)
{
    static const char *const texts[] = {
        "Success", "Uninitialized", "Invalid Argument", "Not Supported", "Insufficient Permissions",
        "Already Initialized", "Not Found", "Insufficient Size", "Insufficient External Power", "Driver Not Loaded",
        "Timeout", "Interrupt Request Issue", "NVML Shared Library Not Found", "Function Not Found",
        "Corrupted infoROM", "GPU is lost", "GPU requires reset", "Operating System Error",
        "Driver/library version mismatch", "In use by another client", "Insufficient Memory", "No data",
        "The requested vgpu operation is not available on target device, because ECC is enabled",
        "Insufficient Resources", "Frequency not supported", "Argument version mismatch",
        "This API has been deprecated", "System is not ready", "GPU not found", "Invalid state",
        "Reset type not supported"};

    if ((unsigned int)result < sizeof(texts) / sizeof(texts[0]))
        return texts[result];
    return "Unknown Error";
}

nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned int length)
{
    GS_ENTER_SYSTEM(c, version != NULL, 0);
    return gs_leave(&c, gs_copy_string(version, length, gs_library_version(c.st)));
}

/* Versions of libraries: the header lets them be asked before nvmlInit (it lists no UNINITIALIZED). */
nvmlReturn_t nvmlSystemGetNVMLVersion(char *version, unsigned int length)
{
    GS_ENTER_SYSTEM(c, version != NULL, GS_NO_INIT | GS_NO_DRIVER);
    /* A version of its own that somebody set goes before the driver's. */
    const char *own = strcmp(c.st->nvml, c.st->driver) != 0 ? c.st->nvml : gs_library_version(c.st);
    return gs_leave(&c, gs_copy_string(version, length, own));
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *cudaDriverVersion)
{
    GS_ENTER_SYSTEM(c, cudaDriverVersion != NULL, GS_NO_INIT | GS_NO_DRIVER);
    *cudaDriverVersion = c.st->cuda;
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *cudaDriverVersion)
{
    GS_ENTER_SYSTEM(c, cudaDriverVersion != NULL, GS_NO_INIT | GS_NO_DRIVER);
    *cudaDriverVersion = c.st->cuda;
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlSystemGetDriverBranch(nvmlSystemDriverBranchInfo_t *branchInfo, unsigned int length)
{
    char branch[16];
    const char *own;
    nvmlReturn_t result;

    GS_ENTER_SYSTEM(c, branchInfo != NULL, 0);
    result = gs_check_version(branchInfo->version, NVML_STRUCT_VERSION(SystemDriverBranchInfo, 1));
    own = gs_library_version(c.st);
    snprintf(branch, sizeof(branch), "r%.*s_00", (int)strcspn(own, "."), own);
    if (result == NVML_SUCCESS)
        result = gs_copy_string(branchInfo->branch, length, branch);
    return gs_leave(&c, result);
}

nvmlReturn_t nvmlGetExcludedDeviceCount(unsigned int *deviceCount)
{
    GS_ENTER_SYSTEM(c, deviceCount != NULL, 0);
    *deviceCount = 0;
    return gs_leave(&c, NVML_SUCCESS);
}

nvmlReturn_t nvmlUnitGetCount(unsigned int *unitCount)
{
    GS_ENTER_SYSTEM(c, unitCount != NULL, 0);
    *unitCount = 0;
    return gs_leave(&c, NVML_SUCCESS);
}
