/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * MIG mode, instances, handles, compute instances, MIG devices.
 */
#include "check.h"

enum { A100, H100, T4, A30 };

static void expect_mode(unsigned int gpu, unsigned int current, unsigned int pending)
{
    unsigned int is, will;

    CHECK_CALL(nvmlDeviceGetMigMode(device(gpu), &is, &will));
    CHECK(is == current);
    CHECK(will == pending);
}

static nvmlReturn_t set_mode(unsigned int gpu, unsigned int mode)
{
    nvmlReturn_t status = NVML_ERROR_UNKNOWN;

    CHECK_CALL(nvmlDeviceSetMigMode(device(gpu), mode, &status));
    return status;
}

static void occupy(const char *format, unsigned int gpu)
{
    char command[128], text[64];

    snprintf(text, sizeof(text), format, gpu);
    snprintf(command, sizeof(command), "occupy %s pid=%d", text, (int)getpid());
    CHECK(control(command) == GPUSIM_OK);
}

static void release(unsigned int gpu)
{
    char command[64];

    snprintf(command, sizeof(command), "release %u pid=%d", gpu, (int)getpid());
    CHECK(control(command) == GPUSIM_OK);
}

static void mode_on_ampere(void)
{
    nvmlDevice_t old = device(A100);
    unsigned int index;

    CHECK(set_mode(A100, 1) == NVML_ERROR_RESET_REQUIRED);
    expect_mode(A100, 0, 1);
    CHECK(set_mode(A100, 0) == NVML_SUCCESS);
    expect_mode(A100, 0, 0);
    occupy("%u kind=holder", A100);
    CHECK(set_mode(A100, 1) == NVML_ERROR_IN_USE);
    expect_mode(A100, 0, 1);
    CHECK(control("reset 0") == GPUSIM_FAILED);
    release(A100);
    CHECK(control("reset 0") == GPUSIM_OK);
    CHECK(nvmlDeviceGetIndex(old, &index) == NVML_ERROR_INVALID_ARGUMENT);
    expect_mode(A100, 1, 1);
    CHECK(control("reboot") == GPUSIM_OK);
    expect_mode(A100, 1, 1);
}

static void mode_on_hopper(void)
{
    nvmlDevice_t handle = device(H100);
    unsigned int index;

    occupy("%u", H100);
    CHECK(set_mode(H100, 1) == NVML_ERROR_IN_USE);
    expect_mode(H100, 0, 1);
    release(H100);
    CHECK(set_mode(H100, 1) == NVML_SUCCESS);
    expect_mode(H100, 1, 1);
    CHECK_CALL(nvmlDeviceGetIndex(handle, &index));
    CHECK(control("reboot") == GPUSIM_OK);
    expect_mode(H100, 0, 0);
    CHECK(set_mode(H100, 1) == NVML_SUCCESS);
    CHECK(control("unload") == GPUSIM_OK);
    CHECK(nvmlDeviceGetHandleByIndex_v2(0, &handle) == NVML_ERROR_DRIVER_NOT_LOADED);
    CHECK(control("load") == GPUSIM_OK);
    expect_mode(H100, 0, 0);
    expect_mode(A100, 1, 1);
}

static void refusals(void)
{
    nvmlReturn_t status;
    unsigned int is, will, count;
    nvmlGpuInstance_t gi;

    CHECK(nvmlDeviceGetMigMode(device(T4), &is, &will) == NVML_ERROR_NOT_SUPPORTED);
    CHECK(nvmlDeviceSetMigMode(device(T4), 1, &status) == NVML_ERROR_NOT_SUPPORTED);
    CHECK(nvmlDeviceSetMigMode(device(A100), 2, &status) == NVML_ERROR_INVALID_ARGUMENT);
    CHECK(nvmlDeviceSetMigMode(device(A100), 1, NULL) == NVML_ERROR_INVALID_ARGUMENT);
    CHECK(nvmlDeviceCreateGpuInstance(device(H100), 19, &gi) == NVML_ERROR_NOT_SUPPORTED);
    CHECK(nvmlDeviceGetGpuInstanceRemainingCapacity(device(H100), 19, &count) == NVML_ERROR_NOT_SUPPORTED);
    CHECK_CALL(nvmlDeviceGetGpuInstancePossiblePlacements_v2(device(H100), 19, NULL, &count));
    CHECK(count == 7);
    CHECK_CALL(nvmlDeviceGetMaxMigDeviceCount(device(H100), &count));
    CHECK(count == 0);
    setenv("GPUSIM_EUID", "1000", 1);
    CHECK(nvmlDeviceSetMigMode(device(H100), 1, &status) == NVML_ERROR_NO_PERMISSION);
    CHECK(nvmlDeviceCreateGpuInstance(device(A100), 19, &gi) == NVML_ERROR_NO_PERMISSION);
    setenv("GPUSIM_EUID", "0", 1);
    CHECK(nvmlDeviceGetGpuInstanceById(device(A100), 0, &gi) == NVML_ERROR_NOT_FOUND);
}

static void guests(void)
{
    nvmlReturn_t status;

    CHECK(control("node virt passthrough") == GPUSIM_OK);
    CHECK(set_mode(A30, 1) == NVML_ERROR_RESET_REQUIRED);
    CHECK(control("reset 3") == GPUSIM_FAILED);
    expect_mode(A30, 0, 1);
    CHECK(set_mode(A30, 0) == NVML_SUCCESS);
    CHECK(control("node virt vgpu") == GPUSIM_OK);
    CHECK(nvmlDeviceSetMigMode(device(A30), 1, &status) == NVML_ERROR_NOT_SUPPORTED);
    CHECK(control("node virt none") == GPUSIM_OK);
    CHECK(control("node ampere_toggle immediate") == GPUSIM_OK);
    CHECK(set_mode(A30, 1) == NVML_SUCCESS);
    expect_mode(A30, 1, 1);
    CHECK(control("node ampere_toggle pending") == GPUSIM_OK);
}

static nvmlGpuInstance_t create(unsigned int gpu, unsigned int profile)
{
    nvmlGpuInstance_t gi = NULL;

    CHECK_CALL(nvmlDeviceCreateGpuInstance(device(gpu), profile, &gi));
    return gi;
}

static void instances_in_use(void)
{
    nvmlGpuInstance_t gi = create(A100, 9);
    nvmlGpuInstanceInfo_t info;
    nvmlComputeInstance_t ci;
    nvmlReturn_t status;

    CHECK_CALL(nvmlGpuInstanceCreateComputeInstance(gi, 2, &ci));
    CHECK(nvmlGpuInstanceDestroy(gi) == NVML_ERROR_IN_USE);
    CHECK_CALL(nvmlDeviceSetMigMode(device(A100), 0, &status));
    CHECK(status == NVML_ERROR_IN_USE);
    CHECK(set_mode(A100, 1) == NVML_SUCCESS);
    CHECK_CALL(nvmlGpuInstanceGetInfo(gi, &info));
    occupy("0 gi=2", 0);
    CHECK(nvmlComputeInstanceDestroy(ci) == NVML_ERROR_IN_USE);
    release(A100);
    CHECK_CALL(nvmlComputeInstanceDestroy(ci));
    CHECK(nvmlComputeInstanceDestroy(ci) == NVML_ERROR_INVALID_ARGUMENT);
    CHECK_CALL(nvmlGpuInstanceDestroy(gi));
    CHECK(nvmlGpuInstanceGetInfo(gi, &info) == NVML_ERROR_INVALID_ARGUMENT);
}

/* A killed process does not hold its instance; a zombie does not either. */
static void ended_processes(void)
{
    nvmlGpuInstance_t gi = create(A100, 9);
    nvmlComputeInstance_t ci;
    char command[64];
    pid_t child;

    CHECK_CALL(nvmlGpuInstanceCreateComputeInstance(gi, 2, &ci));
    child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    snprintf(command, sizeof(command), "occupy 0 gi=2 ci=0 pid=%d", (int)child);
    CHECK(control(command) == GPUSIM_OK);
    CHECK(nvmlComputeInstanceDestroy(ci) == NVML_ERROR_IN_USE);
    kill(child, 9);
    while (nvmlComputeInstanceDestroy(ci) == NVML_ERROR_IN_USE)
        usleep(1000);
    waitpid(child, NULL, 0);
    clear(A100);
}

static void compute_profiles(void)
{
    static const struct {
        unsigned int gi_profile, ci_profile, count, sm;
    } rows[] = {
        {19, 0, 1, 16}, {15, 0, 1, 16}, {15, 7, 1, 26}, {14, 0, 2, 16}, {14, 1, 1, 32}, {9, 0, 3, 16}, {9, 1, 1, 32},
        {9, 2, 1, 60},  {5, 0, 4, 16},  {5, 1, 2, 32},  {5, 3, 1, 64},  {0, 0, 7, 16},  {0, 1, 3, 32}, {0, 2, 2, 60},
        {0, 3, 1, 64},  {0, 4, 1, 132},
    };
    unsigned int offered = 0;
    nvmlComputeInstanceProfileInfo_t info;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        nvmlGpuInstance_t gi = create(H100, rows[i].gi_profile);

        CHECK_CALL(nvmlGpuInstanceGetComputeInstanceProfileInfo(gi, rows[i].ci_profile, 0, &info));
        CHECK(info.instanceCount == rows[i].count);
        CHECK(info.multiprocessorCount == rows[i].sm);
        if (rows[i].gi_profile == 0 && rows[i].ci_profile == 0) {
            for (unsigned int p = 0; p < NVML_COMPUTE_INSTANCE_PROFILE_COUNT; p++)
                offered += nvmlGpuInstanceGetComputeInstanceProfileInfo(gi, p, 0, &info) == NVML_SUCCESS;
            CHECK(offered == 5);
            CHECK(nvmlGpuInstanceGetComputeInstanceProfileInfo(gi, 99, 0, &info) == NVML_ERROR_INVALID_ARGUMENT);
        }
        clear(H100);
    }
    CHECK(nvmlGpuInstanceGetComputeInstanceProfileInfo(create(A100, 15), 7, 0, &info) == NVML_ERROR_NOT_SUPPORTED);
    clear(A100);
}

static void compute_instances(void)
{
    nvmlGpuInstance_t gi = create(H100, 9);
    nvmlComputeInstance_t first, second, third;
    nvmlComputeInstancePlacement_t placement = {.start = 2, .size = 1};
    nvmlComputeInstanceInfo_t info;
    unsigned int left;

    CHECK_CALL(nvmlGpuInstanceCreateComputeInstanceWithPlacement(gi, 0, &placement, &first));
    CHECK_CALL(nvmlGpuInstanceCreateComputeInstance(gi, 1, &second));
    CHECK_CALL(nvmlComputeInstanceGetInfo_v2(second, &info));
    CHECK(info.placement.start == 0 && info.placement.size == 2 && info.id == 1 && info.profileId == 1);
    CHECK(nvmlGpuInstanceCreateComputeInstance(gi, 0, &third) == NVML_ERROR_INSUFFICIENT_RESOURCES);
    CHECK(nvmlGpuInstanceCreateComputeInstance(gi, 3, &third) == NVML_ERROR_NOT_SUPPORTED);
    CHECK_CALL(nvmlGpuInstanceGetComputeInstanceRemainingCapacity(gi, 0, &left));
    CHECK(left == 0);
    placement.size = 2;
    CHECK(nvmlGpuInstanceCreateComputeInstanceWithPlacement(gi, 0, &placement, &third) == NVML_ERROR_INVALID_ARGUMENT);
    clear(H100);
}

static void mig_devices(void)
{
    nvmlComputeInstance_t ci[3];
    nvmlComputeInstanceInfo_t info;
    nvmlDevice_t mig, parent;
    nvmlDeviceAttributes_t attributes;
    char uuid[96], again[96];
    unsigned int number, is_mig;

    for (int i = 0; i < 3; i++)
        CHECK_CALL(nvmlGpuInstanceCreateComputeInstance(create(H100, 15), 7, &ci[i]));
    CHECK_CALL(nvmlComputeInstanceGetInfo_v2(ci[1], &info));
    CHECK_CALL(nvmlDeviceGetUUID(info.device, uuid, sizeof(uuid)));
    CHECK(strncmp(uuid, "MIG-", 4) == 0);
    CHECK_CALL(nvmlDeviceGetHandleByUUID(uuid, &mig));
    CHECK(mig == info.device);
    CHECK_CALL(nvmlDeviceGetIndex(mig, &number));
    CHECK(number == 1);
    CHECK_CALL(nvmlDeviceIsMigDeviceHandle(mig, &is_mig));
    CHECK(is_mig == 1);
    CHECK_CALL(nvmlDeviceGetAttributes_v2(mig, &attributes));
    CHECK(attributes.multiprocessorCount == 26 && attributes.memorySizeMB == 20096);
    CHECK(nvmlDeviceGetAttributes_v2(device(H100), &attributes) == NVML_ERROR_NOT_SUPPORTED);
    CHECK_CALL(nvmlDeviceGetDeviceHandleFromMigDeviceHandle(mig, &parent));
    CHECK(parent == device(H100));
    CHECK(nvmlDeviceGetMinorNumber(mig, &number) == NVML_ERROR_NOT_SUPPORTED);
    CHECK_CALL(nvmlComputeInstanceDestroy(ci[1]));
    CHECK(nvmlDeviceGetUUID(mig, again, sizeof(again)) == NVML_ERROR_INVALID_ARGUMENT);
    CHECK(nvmlDeviceGetMigDeviceHandleByIndex(device(H100), 1, &mig) == NVML_ERROR_NOT_FOUND);
    CHECK_CALL(nvmlDeviceGetMigDeviceHandleByIndex(device(H100), 2, &mig));
    CHECK_CALL(nvmlGpuInstanceCreateComputeInstance(info.gpuInstance, 7, &ci[1]));
    CHECK_CALL(nvmlDeviceGetMigDeviceHandleByIndex(device(H100), 1, &mig));
    CHECK_CALL(nvmlDeviceGetUUID(mig, again, sizeof(again)));
    CHECK(strcmp(uuid, again) != 0);
    clear(H100);
}

static void struct_versions(void)
{
    nvmlGpuInstanceProfileInfo_v3_t v3 = {.version = nvmlGpuInstanceProfileInfo_v3};
    nvmlGpuInstanceProfileInfo_v2_t v2 = {.version = nvmlGpuInstanceProfileInfo_v2}, wrong = {.version = 1};
    nvmlGpuInstanceProfileInfo_t v1;
    nvmlMemory_v2_t memory = {.version = 1};

    CHECK_CALL(nvmlDeviceGetGpuInstanceProfileInfo(device(A30), 0, &v1));
    CHECK(v1.id == 14 && v1.instanceCount == 7); /* the driver's wrong figure */
    CHECK_CALL(nvmlDeviceGetGpuInstanceProfileInfoV(device(H100), 2, &v2));
    CHECK(v2.id == 9 && strcmp(v2.name, "MIG 3g.40gb") == 0);
    CHECK_CALL(nvmlDeviceGetGpuInstanceProfileInfoV(device(H100), 2, (nvmlGpuInstanceProfileInfo_v2_t *)(void *)&v3));
    CHECK(v3.id == 9 && strcmp(v3.name, "MIG 3g.40gb") == 0 && v3.capabilities == 0);
    CHECK(nvmlDeviceGetGpuInstanceProfileInfoV(device(H100), 2, &wrong) == NVML_ERROR_INVALID_ARGUMENT);
    CHECK(nvmlDeviceGetGpuInstanceProfileInfoV(device(H100), 8, &v2) == NVML_ERROR_NOT_SUPPORTED);
    CHECK(nvmlDeviceGetGpuInstanceProfileInfoV(device(H100), NVML_GPU_INSTANCE_PROFILE_COUNT, &v2) ==
          NVML_ERROR_INVALID_ARGUMENT);
    CHECK(nvmlDeviceGetMemoryInfo_v2(device(H100), &memory) == NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
}

int main(void)
{
    start("init a100-80gb,h100-80gb-sxm5,t4,a30-24gb");
    mode_on_ampere();
    mode_on_hopper();
    refusals();
    guests();
    mig_device(H100);
    instances_in_use();
    ended_processes();
    compute_profiles();
    compute_instances();
    mig_devices();
    struct_versions();
    return finish("mig");
}
