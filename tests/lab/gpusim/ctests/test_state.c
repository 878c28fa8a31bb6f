/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The state file: commands that fail leave it alone, damage is told and not followed, nodes keep their own identity.
 */
#include "check.h"

#include <fcntl.h>
#include <signal.h>

/* init with a word that cannot be: no new file, and an old node stays what it was. */
static void failed_init(void)
{
    static const char *const bad[] = {"init a100-99gb", "init t4 driver=1234567890123456789012345678901234567890",
                                      "init t4 cuda=new", "init t4 virt=some", "init t4 guest_reset=maybe",
                                      "init t4 ampere_toggle=later", "init t4 first_bus=0xff"};
    char before[4096];

    CHECK(control("show") == GPUSIM_OK);
    memcpy(before, check_output, sizeof(before));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK(control(bad[i]) == GPUSIM_FAILED);
        CHECK(control("show") == GPUSIM_OK);
        CHECK(memcmp(check_output, before, sizeof(before)) == 0);
    }
    unlink(check_state);
    CHECK(control(bad[0]) == GPUSIM_FAILED);
    CHECK(access(check_state, F_OK) != 0);
    CHECK(control("init h100-80gb-sxm5,a30-24gb") == GPUSIM_OK);
}

static void damage(long offset, unsigned int value)
{
    int fd = open(check_state, O_RDWR);

    CHECK(fd >= 0 && pwrite(fd, &value, sizeof(value), offset) == (ssize_t)sizeof(value));
    close(fd);
}

/* Another process, for one that has the file mapped does not look again. */
static int answer_of_another(void)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        nvmlDevice_t handle;
        char name[96];
        nvmlReturn_t result;

        unsetenv("GPUSIM_STATE"); /* the mapping goes with the path */
        nvmlInit_v2();
        setenv("GPUSIM_STATE", check_state, 1);
        result = nvmlInit_v2();
        if (result == NVML_SUCCESS && nvmlDeviceGetHandleByIndex_v2(0, &handle) == NVML_SUCCESS)
            nvmlDeviceGetName(handle, name, sizeof(name));
        _exit(result);
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void damaged_file(void)
{
    CHECK(answer_of_another() == NVML_SUCCESS);
    damage(offsetof(struct gs_state, gpus) + offsetof(struct gs_gpu, board), 4711);
    CHECK(answer_of_another() == NVML_ERROR_DRIVER_NOT_LOADED);
    CHECK(control("init t4") == GPUSIM_OK);
    damage(offsetof(struct gs_state, gpu_count), 1000);
    CHECK(answer_of_another() == NVML_ERROR_DRIVER_NOT_LOADED);
    CHECK(control("init t4") == GPUSIM_OK);
    CHECK(answer_of_another() == NVML_SUCCESS);
    CHECK(truncate(check_state, 100) == 0);
    CHECK(answer_of_another() == NVML_ERROR_DRIVER_NOT_LOADED);
    unlink(check_state);
    CHECK(control("init h100-80gb-sxm5") == GPUSIM_OK);
}

static void init_for_ever(void)
{
    for (;;) {
        unlink(check_state);
        gpusim_control("init t4*16", check_output, sizeof(check_output));
        gpusim_control("init h100-80gb-sxm5*16", check_output, sizeof(check_output));
    }
}

static unsigned int count_of(const char *word)
{
    unsigned int count = 0;

    for (const char *found = strstr(check_output, word); found; found = strstr(found + 1, word))
        count++;
    return count;
}

/* init is killed: no file, a whole node, or a file that is told to be damaged; never some of the boards. */
static void killed_init(void)
{
    char half_made[128];

    for (int i = 0; i < 60; i++) {
        pid_t child;

        unlink(check_state); /* on a busy machine the child may not even begin: no node of an earlier test is there */
        child = fork();
        if (child == 0)
            init_for_ever();
        usleep((useconds_t)(500 + i * 211 % 2000));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        snprintf(half_made, sizeof(half_made), "%s.%d.new", check_state, (int)child);
        unlink(half_made);
        if (control("reboot") == GPUSIM_OK) {
            CHECK(control("show") == GPUSIM_OK);
            CHECK(count_of("\"board\": \"t4\"") == 16 || count_of("\"board\": \"h100-80gb-sxm5\"") == 16);
        } else {
            CHECK(strstr(check_output, "damaged") || strstr(check_output, "no state file"));
        }
    }
    CHECK(control("init h100-80gb-sxm5") == GPUSIM_OK);
}

#define LONG "a-node-with-a-rather-long-name.row-12.rack-07.example.org-"

static void identity(const char *seed, char *uuid, size_t size, nvmlGpuFabricInfoV_t *fabric)
{
    char command[256];

    snprintf(command, sizeof(command), "init h100-80gb-sxm5 seed=%s", seed);
    CHECK(control(command) == GPUSIM_OK);
    CHECK_CALL(nvmlDeviceGetUUID(device(0), uuid, (unsigned int)size));
    fabric->version = nvmlGpuFabricInfo_v2;
    CHECK_CALL(nvmlDeviceGetGpuFabricInfoV(device(0), fabric));
}

static void nodes_differ(void)
{
    char first[96], second[96], again[96];
    nvmlGpuFabricInfoV_t fabrics[3];

    identity(LONG "1", first, sizeof(first), &fabrics[0]);
    identity(LONG "2", second, sizeof(second), &fabrics[1]);
    identity(LONG "1", again, sizeof(again), &fabrics[2]);
    CHECK(strcmp(first, second) != 0 && strcmp(first, again) == 0);
    CHECK(memcmp(fabrics[0].clusterUuid, fabrics[1].clusterUuid, NVML_GPU_FABRIC_UUID_LEN) != 0);
    CHECK(memcmp(fabrics[0].clusterUuid, fabrics[2].clusterUuid, NVML_GPU_FABRIC_UUID_LEN) == 0);
}

/* nvml.h: the versions of libraries may be asked before nvmlInit, all else answers UNINITIALIZED. */
static void before_init(void)
{
    char version[80];
    int cuda = 0;

    CHECK_CALL(nvmlShutdown());
    CHECK_CALL(nvmlSystemGetNVMLVersion(version, sizeof(version)));
    CHECK_CALL(nvmlSystemGetCudaDriverVersion_v2(&cuda));
    CHECK(cuda == 13000);
    CHECK(nvmlSystemGetDriverVersion(version, sizeof(version)) == NVML_ERROR_UNINITIALIZED);
    CHECK(nvmlShutdown() == NVML_ERROR_UNINITIALIZED);
    CHECK_CALL(nvmlInit_v2());
}

int main(void)
{
    start("init h100-80gb-sxm5,a30-24gb");
    failed_init();
    damaged_file();
    killed_init();
    nodes_differ();
    before_init();
    return finish("state");
}
