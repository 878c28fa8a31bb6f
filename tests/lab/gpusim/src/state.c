/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Mapping, locking and taking half a change back.
 */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gpusim.h"

#define GS_MAGIC 0x314d495355504741ULL

static pthread_mutex_t process_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct gs_state *mapped;
static char mapped_path[4096];
static dev_t mapped_device;
static ino_t mapped_inode;
static int checked; /* the mapping has been found sound */

static void before_fork(void)
{
    pthread_mutex_lock(&process_mutex);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&process_mutex);
}

__attribute__((constructor)) static void install_fork_handlers(void)
{
    /* A child forked while another thread is inside the library must not inherit a locked mutex. */
    pthread_atfork(before_fork, after_fork, after_fork);
}

static const char *state_path(void)
{
    const char *path = getenv("GPUSIM_STATE");

    return path && *path ? path : GPUSIM_DEFAULT_STATE;
}

static void unmap(void)
{
    if (mapped)
        munmap(mapped, sizeof(*mapped));
    mapped = NULL;
}

/* Map an open file. Returns 0 or an errno. */
static int map_file(int fd, const char *path)
{
    struct stat info;
    void *memory;

    if (fstat(fd, &info) != 0)
        return errno;
    if ((size_t)info.st_size != sizeof(struct gs_state))
        return EPROTO;
    memory = mmap(NULL, sizeof(struct gs_state), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return errno;
    unmap();
    checked = 0;
    mapped = memory;
    mapped_device = info.st_dev;
    mapped_inode = info.st_ino;
    snprintf(mapped_path, sizeof(mapped_path), "%s", path);
    return 0;
}

static int is_mapped(const char *path)
{
    struct stat info;

    return mapped && strcmp(path, mapped_path) == 0 && stat(path, &info) == 0 && info.st_dev == mapped_device &&
           info.st_ino == mapped_inode;
}

int gs_attach(int recheck)
{
    const char *path;
    int fd, error;

    pthread_mutex_lock(&process_mutex);
    if (mapped && !recheck)
        return 0;
    path = state_path();
    if (is_mapped(path))
        return 0;
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        error = errno;
        unmap();
        return error;
    }
    error = map_file(fd, path);
    close(fd);
    if (error == 0 && (mapped->magic != GS_MAGIC || mapped->layout != sizeof(struct gs_state)))
        error = EPROTO;
    if (error)
        unmap();
    return error;
}

void gs_detach_unlock(void)
{
    pthread_mutex_unlock(&process_mutex);
}

/* Once a mapping, under its lock: nobody changes it meanwhile. */
static int check_once(void)
{
    if (!checked && !gs_is_sound(mapped)) {
        pthread_mutex_unlock(&mapped->lock);
        unmap();
        return 0;
    }
    checked = 1;
    return 1;
}

struct gs_state *gs_lock(void)
{
    int error;

    errno = EPROTO;
    if (!mapped)
        return NULL;
    error = pthread_mutex_lock(&mapped->lock);
    if (error == EOWNERDEAD) {
        /* The owner was killed inside. Its change is taken back, then the lock is whole again. */
        if (mapped->undo_valid && mapped->undo_index < GS_MAX_GPUS)
            mapped->gpus[mapped->undo_index] = mapped->undo;
        mapped->undo_valid = 0;
        pthread_mutex_consistent(&mapped->lock);
    } else if (error) {
        return NULL;
    }
    return check_once() ? mapped : NULL;
}

void gs_unlock(void)
{
    pthread_mutex_unlock(&mapped->lock);
    pthread_mutex_unlock(&process_mutex);
}

void gs_begin(struct gs_state *st, struct gs_gpu *gpu)
{
    st->undo_index = (uint32_t)(gpu - st->gpus);
    st->undo = *gpu;
    __atomic_store_n(&st->undo_valid, 1, __ATOMIC_SEQ_CST);
}

void gs_commit(struct gs_state *st)
{
    __atomic_store_n(&st->undo_valid, 0, __ATOMIC_SEQ_CST);
}

static void prepare_lock(struct gs_state *st)
{
    pthread_mutexattr_t attributes;

    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&st->lock, &attributes);
    pthread_mutexattr_destroy(&attributes);
}

/* A complete file appears under its name at once, so that no other process sees a half-made one. */
static int create_file(const char *path)
{
    char temporary[4160];
    struct gs_state *st;
    int fd, error = 0;

    snprintf(temporary, sizeof(temporary), "%s.%d.new", path, (int)getpid());
    fd = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return errno;
    /* Clients that are not root read and count, too. */
    if (fchmod(fd, 0666) != 0 || ftruncate(fd, sizeof(struct gs_state)) != 0)
        error = errno;
    st = error ? MAP_FAILED : mmap(NULL, sizeof(*st), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (st == MAP_FAILED) {
        error = errno;
    } else {
        prepare_lock(st);
        st->magic = GS_MAGIC;
        st->layout = sizeof(*st);
        munmap(st, sizeof(*st));
        if (rename(temporary, path) != 0)
            error = errno;
    }
    close(fd);
    if (error)
        unlink(temporary);
    return error;
}

struct gs_state *gs_create(void)
{
    struct gs_state *st = gs_attach(1) == 0 ? gs_lock() : NULL;
    int error;

    if (st)
        return st;
    /* Missing, or not sound. The process mutex is held either way. */
    error = create_file(state_path());
    pthread_mutex_unlock(&process_mutex);
    if (error == 0)
        error = gs_attach(1);
    else
        pthread_mutex_lock(&process_mutex);
    if (error) {
        errno = error;
        return NULL;
    }
    checked = 1; /* it is not ready yet: init makes it so */
    return gs_lock();
}
