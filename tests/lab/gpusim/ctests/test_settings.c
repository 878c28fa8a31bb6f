/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Settings with their ranges, health readings, field values, process lists, events.
 */
#include "check.h"

enum { A100, H100, T4 };

static void power_limit(void)
{
    unsigned int least, most, limit;

    CHECK_CALL(nvmlDeviceGetPowerManagementLimitConstraints(device(H100), &least, &most));
    CHECK(least == 200000 && most == 700000);
    CHECK(nvmlDeviceSetPowerManagementLimit(device(H100), 199999) == NVML_ERROR_INVALID_ARGUMENT);
    CHECK(nvmlDeviceSetPowerManagementLimit(device(H100), 700001) == NVML_ERROR_INVALID_ARGUMENT);
    CHECK_CALL(nvmlDeviceSetPowerManagementLimit(device(H100), 500000));
    CHECK(control("set 1 external_power_limit 450.5") == GPUSIM_OK);
    CHECK_CALL(nvmlDeviceGetPowerManagementLimit(device(H100), &limit));
    CHECK(limit == 500000);
    CHECK_CALL(nvmlDeviceGetEnforcedPowerLimit(device(H100), &limit));
    CHECK(limit == 450500);
    CHECK(control("set 1 power_limit_step 5") == GPUSIM_OK);
    CHECK_CALL(nvmlDeviceSetPowerManagementLimit(device(H100), 503999));
    CHECK_CALL(nvmlDeviceGetPowerManagementLimit(device(H100), &limit));
    CHECK(limit == 500000);
    CHECK(control("set 1 power_limit_step 0") == GPUSIM_OK);
    setenv("GPUSIM_EUID", "1000", 1);
    CHECK(nvmlDeviceSetPowerManagementLimit(device(H100), 600000) == NVML_ERROR_NO_PERMISSION);
    setenv("GPUSIM_EUID", "0", 1);
    CHECK(control("reset 1") == GPUSIM_OK);
    CHECK_CALL(nvmlDeviceGetPowerManagementLimit(device(H100), &limit));
    CHECK(limit == 700000);
}

static void clocks(void)
{
    unsigned int steps[256], count = 256, clock;

    CHECK_CALL(nvmlDeviceGetSupportedGraphicsClocks(device(A100), 1593, &count, steps));
    CHECK(count == 81 && steps[0] == 1410 && steps[80] == 210);
    CHECK(nvmlDeviceGetSupportedGraphicsClocks(device(A100), 1000, &count, steps) == NVML_ERROR_NOT_FOUND);
    count = 1;
    CHECK(nvmlDeviceGetSupportedGraphicsClocks(device(A100), 1593, &count, steps) == NVML_ERROR_INSUFFICIENT_SIZE);
    CHECK(count == 81);
    CHECK(nvmlDeviceSetGpuLockedClocks(device(A100), 1200, 1000) == NVML_ERROR_INVALID_ARGUMENT);
    CHECK_CALL(nvmlDeviceSetGpuLockedClocks(device(A100), 1001, 9999)); /* rounded down, clamped */
    CHECK_CALL(nvmlDeviceGetClockInfo(device(A100), NVML_CLOCK_GRAPHICS, &clock));
    CHECK(clock == 990);
    CHECK_CALL(nvmlDeviceSetGpuLockedClocks(device(A100), NVML_CLOCK_LIMIT_ID_TDP, NVML_CLOCK_LIMIT_ID_UNLIMITED));
    CHECK_CALL(nvmlDeviceGetClockInfo(device(A100), NVML_CLOCK_GRAPHICS, &clock));
    CHECK(clock == 1275);
    /* nvml.h: the same as ResetGpuLockedClocks */
    CHECK_CALL(nvmlDeviceSetGpuLockedClocks(device(A100), NVML_CLOCK_LIMIT_ID_UNLIMITED,
                                            NVML_CLOCK_LIMIT_ID_UNLIMITED));
    CHECK_CALL(nvmlDeviceGetClockInfo(device(A100), NVML_CLOCK_GRAPHICS, &clock));
    CHECK(clock == 210);
    CHECK(nvmlDeviceSetGpuLockedClocks(device(A100), 300, NVML_CLOCK_LIMIT_ID_TDP) == NVML_ERROR_INVALID_ARGUMENT);
    CHECK_CALL(nvmlDeviceSetGpuLockedClocks(device(A100), 990, 990));
    CHECK_CALL(nvmlDeviceResetGpuLockedClocks(device(A100)));
    CHECK_CALL(nvmlDeviceGetClockInfo(device(A100), NVML_CLOCK_GRAPHICS, &clock));
    CHECK(clock == 210);
    /* nvml.h: for Ampere or newer */
    CHECK(nvmlDeviceSetMemoryLockedClocks(device(T4), 405, 5001) == NVML_ERROR_NOT_SUPPORTED);
    CHECK(nvmlDeviceResetMemoryLockedClocks(device(T4)) == NVML_ERROR_NOT_SUPPORTED);
    CHECK_CALL(nvmlDeviceSetMemoryLockedClocks(device(A100), 1593, 1593));
    CHECK_CALL(nvmlDeviceResetMemoryLockedClocks(device(A100)));
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* old clients call them, so they are tested */
static void application_clocks(void)
{
    unsigned int clock;

    CHECK(nvmlDeviceSetApplicationsClocks(device(A100), 1593, 1001) == NVML_ERROR_INVALID_ARGUMENT);
    CHECK_CALL(nvmlDeviceSetApplicationsClocks(device(A100), 1593, 1005));
    CHECK_CALL(nvmlDeviceGetApplicationsClock(device(A100), NVML_CLOCK_GRAPHICS, &clock));
    CHECK(clock == 1005);
    CHECK_CALL(nvmlDeviceResetApplicationsClocks(device(A100)));
    CHECK_CALL(nvmlDeviceGetApplicationsClock(device(A100), NVML_CLOCK_GRAPHICS, &clock));
    CHECK(clock == 1275);
}
#pragma GCC diagnostic pop

static void ecc(void)
{
    nvmlEnableState_t current, pending;
    unsigned long long errors;

    CHECK(control("set 0 ecc.volatile.dram.uncorrected 2") == GPUSIM_OK);
    CHECK(control("set 0 ecc.aggregate.sram.parity 3") == GPUSIM_OK);
    CHECK_CALL(nvmlDeviceGetTotalEccErrors(device(A100), 1, NVML_VOLATILE_ECC, &errors));
    CHECK(errors == 2);
    CHECK_CALL(nvmlDeviceGetMemoryErrorCounter(device(A100), 1, NVML_AGGREGATE_ECC, NVML_MEMORY_LOCATION_SRAM, &errors));
    CHECK(errors == 3);
    CHECK_CALL(nvmlDeviceSetEccMode(device(A100), NVML_FEATURE_DISABLED));
    CHECK_CALL(nvmlDeviceGetEccMode(device(A100), &current, &pending));
    CHECK(current == NVML_FEATURE_ENABLED && pending == NVML_FEATURE_DISABLED);
    CHECK(control("reset 0") == GPUSIM_OK);
    CHECK_CALL(nvmlDeviceGetEccMode(device(A100), &current, &pending));
    CHECK(current == NVML_FEATURE_DISABLED);
    CHECK(nvmlDeviceGetTotalEccErrors(device(A100), 1, 0, &errors) == NVML_ERROR_NOT_SUPPORTED);
    CHECK_CALL(nvmlDeviceSetEccMode(device(A100), NVML_FEATURE_ENABLED));
    CHECK(control("reset 0") == GPUSIM_OK);
    CHECK_CALL(nvmlDeviceGetTotalEccErrors(device(A100), 1, NVML_VOLATILE_ECC, &errors));
    CHECK(errors == 0);
    CHECK_CALL(nvmlDeviceGetTotalEccErrors(device(A100), 1, NVML_AGGREGATE_ECC, &errors));
    CHECK(errors == 3);
}

static void repairs(void)
{
    unsigned int corrected, uncorrected, pending, failure;

    CHECK(control("set 0 remap.pending 1") == GPUSIM_OK);
    CHECK(control("set 0 remap.uncorrectable 4") == GPUSIM_OK);
    CHECK_CALL(nvmlDeviceGetRemappedRows(device(A100), &corrected, &uncorrected, &pending, &failure));
    CHECK(pending == 1 && uncorrected == 4);
    CHECK(control("reset 0") == GPUSIM_OK);
    CHECK_CALL(nvmlDeviceGetRemappedRows(device(A100), &corrected, &uncorrected, &pending, &failure));
    CHECK(pending == 0 && uncorrected == 4);
    CHECK(nvmlDeviceGetRemappedRows(device(T4), &corrected, &uncorrected, &pending, &failure) ==
          NVML_ERROR_NOT_SUPPORTED);
    CHECK(control("set 2 retired.double_bit 2") == GPUSIM_OK);
    pending = 0;
    CHECK_CALL(nvmlDeviceGetRetiredPages(device(T4), NVML_PAGE_RETIREMENT_CAUSE_DOUBLE_BIT_ECC_ERROR, &pending, NULL));
    CHECK(pending == 2);
}

static void fields(void)
{
    nvmlFieldValue_t values[4] = {{.fieldId = NVML_FI_DEV_GET_GPU_RECOVERY_ACTION},
                                  {.fieldId = NVML_FI_DEV_IS_RESETLESS_MIG_SUPPORTED},
                                  {.fieldId = NVML_FI_DEV_NVLINK_GET_STATE, .scopeId = 3},
                                  {.fieldId = 9999}};

    CHECK(control("set 1 recovery_action 2") == GPUSIM_OK);
    CHECK(control("set 1 nvlink.3.state 0") == GPUSIM_OK);
    CHECK_CALL(nvmlDeviceGetFieldValues(device(H100), 4, values));
    CHECK(values[0].nvmlReturn == NVML_SUCCESS && values[0].value.uiVal == NVML_GPU_RECOVERY_ACTION_NODE_REBOOT);
    CHECK(control("reset 1") == GPUSIM_OK); /* does not cure what needs a reboot; what needs a reset is cured */
    CHECK_CALL(nvmlDeviceGetFieldValues(device(H100), 1, values));
    CHECK(values[0].value.uiVal == NVML_GPU_RECOVERY_ACTION_NODE_REBOOT);
    CHECK(control("set 1 recovery_action 1") == GPUSIM_OK);
    CHECK(control("reset 1") == GPUSIM_OK);
    CHECK_CALL(nvmlDeviceGetFieldValues(device(H100), 1, values));
    CHECK(values[0].value.uiVal == NVML_GPU_RECOVERY_ACTION_NONE);
    CHECK(values[1].value.uiVal == 1);
    CHECK(values[2].nvmlReturn == NVML_SUCCESS && values[2].value.uiVal == 0);
    CHECK(values[3].nvmlReturn == NVML_ERROR_NOT_SUPPORTED);
}

static void process_lists(void)
{
    nvmlProcessInfo_t infos[4];
    nvmlProcessInfo_v1_t old[4];
    unsigned int count = 0;
    char command[64];

    CHECK_CALL(nvmlDeviceGetComputeRunningProcesses_v3(device(H100), &count, NULL));
    CHECK(count == 0);
    snprintf(command, sizeof(command), "occupy 1 pid=%d mem=512 name=job", (int)getpid());
    CHECK(control(command) == GPUSIM_OK);
    CHECK(control("occupy 1 pid=4194303 kind=mps sticky") == GPUSIM_OK);
    CHECK(nvmlDeviceGetComputeRunningProcesses_v3(device(H100), &count, NULL) == NVML_ERROR_INSUFFICIENT_SIZE);
    CHECK(count == 1);
    CHECK(nvmlDeviceGetComputeRunningProcesses_v3(device(H100), &count, NULL) == NVML_ERROR_INVALID_ARGUMENT);
    CHECK_CALL(nvmlDeviceGetComputeRunningProcesses_v3(device(H100), &count, infos));
    CHECK(count == 1 && infos[0].pid == (unsigned int)getpid() && infos[0].usedGpuMemory == 512ULL << 20);
    CHECK(infos[0].gpuInstanceId == 0xFFFFFFFF);
    count = 4;
    CHECK_CALL(nvmlDeviceGetMPSComputeRunningProcesses(device(H100), &count, old));
    CHECK(count == 1 && old[0].pid == 4194303);
    CHECK(control("release 1 pid=4194303") == GPUSIM_OK);
    snprintf(command, sizeof(command), "release 1 pid=%d", (int)getpid());
    CHECK(control(command) == GPUSIM_OK);
}

static void processes_of_instances(void)
{
    nvmlGpuInstance_t gi;
    nvmlComputeInstance_t ci[2];
    nvmlProcessInfo_t infos[4];
    nvmlDevice_t mig;
    unsigned int count = 4;
    char command[64];

    mig_device(H100);
    CHECK_CALL(nvmlDeviceCreateGpuInstance(device(H100), 14, &gi));
    CHECK_CALL(nvmlGpuInstanceCreateComputeInstance(gi, 0, &ci[0]));
    CHECK_CALL(nvmlGpuInstanceCreateComputeInstance(gi, 0, &ci[1]));
    snprintf(command, sizeof(command), "occupy 1 gi=5 ci=1 pid=%d", (int)getpid());
    CHECK(control(command) == GPUSIM_OK);
    CHECK_CALL(nvmlDeviceGetMigDeviceHandleByIndex(device(H100), 0, &mig));
    CHECK_CALL(nvmlDeviceGetComputeRunningProcesses_v3(mig, &count, infos));
    CHECK(count == 0);
    count = 4;
    CHECK_CALL(nvmlDeviceGetMigDeviceHandleByIndex(device(H100), 1, &mig));
    CHECK_CALL(nvmlDeviceGetComputeRunningProcesses_v3(mig, &count, infos));
    CHECK(count == 1 && infos[0].gpuInstanceId == 5 && infos[0].computeInstanceId == 1);
    setenv("GPUSIM_EUID", "1000", 1);
    CHECK(nvmlDeviceGetComputeRunningProcesses_v3(device(H100), &count, infos) == NVML_ERROR_NO_PERMISSION);
    setenv("GPUSIM_EUID", "0", 1);
    CHECK(control("occupy 1 pid=1") == GPUSIM_FAILED); /* MIG is on: an instance must be named */
}

static void events(void)
{
    nvmlEventSet_t set;
    nvmlEventData_t data;
    FILE *log;
    char line[256] = "";

    CHECK_CALL(nvmlEventSetCreate(&set));
    CHECK_CALL(nvmlDeviceRegisterEvents(device(A100), nvmlEventTypeXidCriticalError, set));
    CHECK(nvmlEventSetWait_v2(set, &data, 20) == NVML_ERROR_TIMEOUT);
    CHECK(control("xid 1 43") == GPUSIM_OK); /* another GPU */
    CHECK(control("xid 0 79 \"GPU has fallen off the bus.\"") == GPUSIM_OK);
    CHECK_CALL(nvmlEventSetWait_v2(set, &data, 1000));
    CHECK(data.eventData == 79 && data.device == device(A100));
    CHECK_CALL(nvmlEventSetFree(set));
    CHECK(nvmlEventSetFree(set) == NVML_ERROR_INVALID_ARGUMENT);
    log = fopen(check_kmsg, "r");
    while (log && fgets(line, sizeof(line), log))
        ;
    if (log)
        fclose(log);
    CHECK(strcmp(line, "NVRM: Xid (PCI:0000:10:00): 79, GPU has fallen off the bus.\n") == 0);
}

static void misuse(void)
{
    char name[4], uuid[96];

    CHECK(nvmlDeviceGetName(device(A100), name, sizeof(name)) == NVML_ERROR_INSUFFICIENT_SIZE);
    CHECK(nvmlDeviceGetName(device(A100), NULL, 96) == NVML_ERROR_INVALID_ARGUMENT);
    CHECK(nvmlDeviceGetUUID(NULL, uuid, sizeof(uuid)) == NVML_ERROR_INVALID_ARGUMENT);
    CHECK(nvmlDeviceGetUUID((nvmlDevice_t)(uintptr_t)0x1234, uuid, sizeof(uuid)) == NVML_ERROR_INVALID_ARGUMENT);
    CHECK(nvmlDeviceResetGpuLockedClocks(NULL) == NVML_ERROR_INVALID_ARGUMENT);
}

int main(void)
{
    start("init a100-80gb,h100-80gb-sxm5,t4");
    power_limit();
    clocks();
    application_clocks();
    ecc();
    repairs();
    fields();
    process_lists();
    processes_of_instances();
    events();
    misuse();
    return finish("settings");
}
