/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * No lost update with 16 processes of 4 threads, and no half change after a process that died inside.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include "check.h"

enum { PROCESSES = 16, THREADS = 4, ROUNDS = 500, KILLS = 40 };

/* What the workers count themselves, shared with the parent. */
static struct tally {
    unsigned long created, calls;
} *tallies;

/* Create and destroy without looking left or right. Every call is counted here and in the state. */
static void *work(void *argument)
{
    struct tally *tally = argument;
    nvmlDevice_t handle;
    nvmlGpuInstance_t gi;

    for (int i = 0; i < ROUNDS; i++) {
        if (nvmlDeviceGetHandleByIndex_v2((unsigned int)i % 2, &handle) != NVML_SUCCESS)
            _exit(2);
        tally->calls += 2;
        if (nvmlDeviceCreateGpuInstance(handle, 19, &gi) == NVML_SUCCESS) {
            tally->created++;
            tally->calls++;
            if (nvmlGpuInstanceDestroy(gi) != NVML_SUCCESS)
                _exit(3);
        }
    }
    return NULL;
}

static void worker(int number)
{
    pthread_t threads[THREADS];

    if (nvmlInit_v2() != NVML_SUCCESS)
        _exit(4);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, &tallies[number * THREADS + i]);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    _exit(0);
}

static unsigned long counted(struct gs_state *st, const char *function)
{
    return st->counts[gs_function_find(function)];
}

static void no_lost_update(void)
{
    unsigned long created = 0, calls = 0;
    struct gs_state *st;
    pid_t children[PROCESSES];
    int status;

    CHECK(control("resetcounts") == GPUSIM_OK);
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        if (children[i] == 0)
            worker(i);
    }
    for (int i = 0; i < PROCESSES; i++) {
        CHECK(waitpid(children[i], &status, 0) == children[i]);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    for (int i = 0; i < PROCESSES * THREADS; i++) {
        created += tallies[i].created;
        calls += tallies[i].calls;
    }
    CHECK(gs_attach(1) == 0);
    st = gs_lock();
    CHECK(created > 100);
    CHECK(st->gpus[0].serials + st->gpus[1].serials == created);
    CHECK(counted(st, "nvmlDeviceCreateGpuInstance") == (unsigned long)PROCESSES * THREADS * ROUNDS);
    CHECK(counted(st, "nvmlGpuInstanceDestroy") == created);
    CHECK(counted(st, "nvmlDeviceGetHandleByIndex_v2") + counted(st, "nvmlDeviceCreateGpuInstance") + created == calls);
    CHECK(!gs_has_instances(&st->gpus[0]) && !gs_has_instances(&st->gpus[1]));
    gs_unlock();
}

/* The child dies holding both locks, its change half made. */
static void death_inside(void)
{
    struct gs_state *st;
    unsigned int current, pending;
    pid_t child = fork();

    if (child == 0) {
        gs_attach(0);
        st = gs_lock();
        gs_begin(st, &st->gpus[0]);
        st->gpus[0].mig_current = 0;
        st->gpus[0].gis[3].used = 1;
        kill(getpid(), SIGKILL);
    }
    waitpid(child, NULL, 0);
    CHECK_CALL(nvmlDeviceGetMigMode(device(0), &current, &pending));
    CHECK(current == 1);
    gs_attach(0);
    st = gs_lock();
    CHECK(!gs_has_instances(&st->gpus[0]));
    gs_unlock();
}

static void change_for_ever(void)
{
    nvmlGpuInstance_t gi;
    nvmlComputeInstance_t ci;

    for (;;) {
        if (nvmlDeviceCreateGpuInstance(device(0), 14, &gi) == NVML_SUCCESS &&
            nvmlGpuInstanceCreateComputeInstance(gi, 0, &ci) == NVML_SUCCESS)
            nvmlComputeInstanceDestroy(ci);
        clear(0);
    }
}

static void check_grid(const struct gs_gpu *gpu)
{
    unsigned int slots = 0, taken = 0;

    for (int i = 0; i < GS_MAX_GI; i++) {
        const struct gs_gi *gi = &gpu->gis[i];

        if (!gi->used)
            continue;
        CHECK(gi->serial != 0 && gi->serial <= gpu->serials);
        CHECK(gs_profile_of(gpu, gi)->id == 14);
        taken += gs_profile_of(gpu, gi)->slots;
        slots |= 3U << gi->start;
    }
    CHECK((unsigned int)__builtin_popcount(slots) == taken);
}

/* Killed at any point, again and again: the state can always be used and is always whole. */
static void death_anywhere(void)
{
    struct gs_state *st;

    for (int i = 0; i < KILLS; i++) {
        pid_t child = fork();

        if (child == 0)
            change_for_ever();
        usleep((useconds_t)(1000 + i * 137 % 3000));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        gs_attach(0);
        st = gs_lock();
        CHECK(st != NULL);
        CHECK(!st->undo_valid);
        check_grid(&st->gpus[0]);
        gs_unlock();
        clear(0);
    }
}

int main(void)
{
    tallies = mmap(NULL, sizeof(*tallies) * PROCESSES * THREADS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                   0);
    start("init h100-80gb-sxm5*2");
    mig_device(0);
    mig_device(1);
    no_lost_update();
    death_inside();
    death_anywhere();
    return finish("stress");
}
