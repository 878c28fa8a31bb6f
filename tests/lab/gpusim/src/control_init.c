/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * init, node and boards: what the node is made of.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "gpusim.h"

#define DEFAULT_DRIVER "580.126.16"
#define DEFAULT_CUDA 13000

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

static uint64_t digest(const char *text, uint64_t start)
{
    for (; *text; text++)
        start = (start ^ (unsigned char)*text) * 0x100000001b3ULL;
    return mix(start);
}

/* The same seed gives the same UUID. */
void gs_name_uuid(char *uuid, size_t size, const char *prefix, const char *seed)
{
    uint64_t a = digest(seed, 0xcbf29ce484222325ULL), b = digest(seed, 0x84222325cbf29ce4ULL);

    snprintf(uuid, size, "%s-%08x-%04x-5%03x-%04x-%012llx", prefix, (unsigned int)(a >> 32),
             (unsigned int)(a >> 16) & 0xffff, (unsigned int)a & 0xfff, (unsigned int)(b >> 48 & 0x3fff) | 0x8000,
             (unsigned long long)(b & 0xffffffffffffULL));
}

static int board_by_key(const char *key, size_t length)
{
    for (int i = 0; i < gs_board_count; i++) {
        if (strlen(gs_boards[i].key) == length && strncmp(gs_boards[i].key, key, length) == 0)
            return i;
    }
    return -1;
}

/* "a100-80gb*2,t4" to board numbers; returns how many, -1 with the sentence written. */
static int parse_boards(struct gs_command *command, const char *text, int *boards)
{
    int count = 0;

    if (strcmp(text, "none") == 0)
        return 0;
    while (*text) {
        size_t length = strcspn(text, ",*");
        int board = board_by_key(text, length), times = 1;

        if (board < 0) {
            gs_fail(command, "unknown board \"%.*s\"; the command boards lists them", (int)length, text);
            return -1;
        }
        text += length;
        if (*text == '*')
            times = (int)strtol(text + 1, (char **)&text, 10);
        if (times < 1 || times > GS_MAX_GPUS - count || (*text && *text != ',')) {
            gs_fail(command, "a node has 1 to %d GPUs, written BOARD[*COUNT],...", GS_MAX_GPUS);
            return -1;
        }
        while (times--)
            boards[count++] = board;
        text += *text == ',';
    }
    return count;
}

static void make_gpu(struct gs_state *st, int index, int board, unsigned int first_bus)
{
    struct gs_gpu *gpu = &st->gpus[index];
    char seed[256];

    memset(gpu, 0, sizeof(*gpu));
    gpu->board = (uint32_t)board;
    gpu->generation = 1 + (uint32_t)digest(st->seed, mix((uint64_t)st->boards_known)) % 0xffff;
    gpu->bus = first_bus + 8 * (unsigned int)index;
    gpu->minor = (uint32_t)index;
    snprintf(seed, sizeof(seed), "%s/%s/%d", st->seed, gs_boards[board].key, index);
    gs_name_uuid(gpu->uuid, sizeof(gpu->uuid), "GPU", seed);
    snprintf(gpu->serial, sizeof(gpu->serial), "1%012llu",
             (unsigned long long)digest(seed, 0x5eed) % 1000000000000ULL);
    gs_defaults(st, gpu, "RCSPI");
}

static int virt_by_name(const char *name)
{
    static const char *const names[] = {"none", "passthrough", "vgpu"};

    for (int i = 0; i < 3; i++) {
        if (strcmp(names[i], name) == 0)
            return i;
    }
    return -1;
}

static int copy_word(struct gs_command *command, const char *key, const char *value, char *target, size_t size)
{
    if (strlen(value) >= size)
        return gs_fail(command, "%s: \"%s\" is too long", key, value);
    snprintf(target, size, "%s", value);
    return GPUSIM_OK;
}

/* One of two words: 0 or 1. */
static int set_choice(struct gs_command *command, const char *key, const char *value, const char *first,
                      const char *second, uint32_t *target)
{
    if (strcmp(value, first) != 0 && strcmp(value, second) != 0)
        return gs_fail(command, "%s: \"%s\" is not %s or %s", key, value, first, second);
    *target = strcmp(value, second) == 0;
    return GPUSIM_OK;
}

/* One property of the node, as word of init and as command node. */
static int set_node(struct gs_command *command, const char *key, const char *value)
{
    struct gs_state *st = command->st;
    long long number;

    if (strcmp(key, "driver") == 0)
        return copy_word(command, key, value, st->driver, sizeof(st->driver));
    if (strcmp(key, "kernel_driver") == 0)
        return copy_word(command, key, value, st->kernel_driver, sizeof(st->kernel_driver));
    if (strcmp(key, "nvml") == 0)
        return copy_word(command, key, value, st->nvml, sizeof(st->nvml));
    if (strcmp(key, "cuda") == 0) {
        if (!gs_parse_int(value, &number) || number < 1 || number > INT32_MAX)
            return gs_fail(command, "cuda: \"%s\" is no number such as 13000", value);
        st->cuda = (int32_t)number;
        return GPUSIM_OK;
    }
    if (strcmp(key, "virt") == 0) {
        if (virt_by_name(value) < 0)
            return gs_fail(command, "virt: \"%s\" is not none, passthrough or vgpu", value);
        st->virt = (uint32_t)virt_by_name(value);
        return GPUSIM_OK;
    }
    if (strcmp(key, "guest_reset") == 0)
        return set_choice(command, key, value, "no", "yes", &st->guest_reset);
    if (strcmp(key, "ampere_toggle") == 0)
        return set_choice(command, key, value, "pending", "immediate", &st->ampere_immediate);
    return gs_fail(command, "unknown property \"%s\"", key);
}

int gs_control_node(struct gs_command *command)
{
    if (command->count != 2)
        return gs_fail(command, "node KEY VALUE");
    return set_node(command, command->words[0], command->words[1]);
}

static int check_init(struct gs_command *command, int *boards, int *count, long long *first_bus)
{
    static const char known[] = "driver= kernel_driver= nvml= cuda= virt= guest_reset= ampere_toggle= first_bus= seed=";
    const char *text = gs_option(command, "first_bus");

    if (command->count < 1)
        return gs_fail(command, "init BOARD[,BOARD...]");
    if (gs_unknown_word(command, 1, known))
        return gs_fail(command, "init: unknown word \"%s\"", gs_unknown_word(command, 1, known));
    *count = parse_boards(command, command->words[0], boards);
    if (*count < 0)
        return GPUSIM_FAILED;
    *first_bus = 0x10;
    if (text && (!gs_parse_int(text, first_bus) || *first_bus < 1 || *first_bus + 8 * *count > 0xff))
        return gs_fail(command, "first_bus: \"%s\" leaves no room for %d GPUs in steps of 8 up to 0xff", text, *count);
    return GPUSIM_OK;
}

/* The properties of a new node, without its GPUs. */
static int describe_node(struct gs_command *command)
{
    static const char *const keys[] = {"driver", "kernel_driver", "nvml", "cuda", "virt", "guest_reset",
                                       "ampere_toggle"};
    const char *seed = gs_option(command, "seed"), *value;
    struct gs_state *st = command->st;
    int result = copy_word(command, "seed", seed ? seed : "gpusim", st->seed, sizeof(st->seed));

    snprintf(st->driver, sizeof(st->driver), "%s", DEFAULT_DRIVER);
    st->cuda = DEFAULT_CUDA;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]) && result == GPUSIM_OK; i++) {
        value = gs_option(command, keys[i]);
        if (value)
            result = set_node(command, keys[i], value);
        if (i == 0) {
            memcpy(st->kernel_driver, st->driver, sizeof(st->driver));
            snprintf(st->nvml, sizeof(st->nvml), "%.27s", st->driver);
        }
    }
    return result;
}

/* Put all but lock and head of a state in place of the old one. Until the end the state is not ready: the death of the
 * caller leaves a file that is told to be damaged, not a node with half of its boards. */
static void replace_state(struct gs_state *st, const struct gs_state *wanted)
{
    size_t start = offsetof(struct gs_state, virt);

    __atomic_store_n(&st->ready, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&st->loaded, 0, __ATOMIC_SEQ_CST);
    memcpy((char *)st + start, (const char *)wanted + start, sizeof(*st) - start);
    __atomic_store_n(&st->loaded, 1, __ATOMIC_SEQ_CST);
    __atomic_store_n(&st->ready, 1, __ATOMIC_SEQ_CST);
}

/* The new node is made aside: a command that cannot be fulfilled touches no file. */
int gs_control_init(struct gs_command *command)
{
    struct gs_state *wanted = calloc(1, sizeof(*wanted));
    int boards[GS_MAX_GPUS], count = 0, result;
    long long first_bus;

    if (!wanted)
        return gs_fail(command, "no memory");
    command->st = wanted;
    result = check_init(command, boards, &count, &first_bus);
    if (result == GPUSIM_OK)
        result = describe_node(command);
    command->st = NULL;
    if (result == GPUSIM_OK)
        result = gs_control_open(command, 1);
    if (result == GPUSIM_OK) {
        /* counts the inits, so that handles of an earlier node do not fit the new one */
        wanted->boards_known = command->st->boards_known + 1;
        wanted->boot_count = 1;
        wanted->gpu_count = (uint32_t)count;
        for (int i = 0; i < count; i++)
            make_gpu(wanted, i, boards[i], (unsigned int)first_bus);
        replace_state(command->st, wanted);
    }
    free(wanted);
    return result;
}

int gs_control_boards(struct gs_command *command)
{
    struct gs_json *json = &command->json;

    gs_json_open(json, NULL, '[');
    for (int i = 0; i < gs_board_count; i++) {
        const struct gs_board *board = &gs_boards[i];

        gs_json_open(json, NULL, '{');
        gs_json_string(json, "key", board->key);
        gs_json_string(json, "name", board->name);
        gs_json_string(json, "architecture", board->architecture_name);
        gs_json_int(json, "memory_mib", board->memory_mib);
        gs_json_int(json, "slots", board->slots);
        gs_json_int(json, "compute_slices", board->compute_slices);
        gs_json_open(json, "profiles", '[');
        for (unsigned int p = 0; p < board->profile_count; p++)
            gs_json_string(json, NULL, board->profiles[p].name);
        gs_json_close(json, ']');
        gs_json_string(json, "derived", board->derived);
        gs_json_close(json, '}');
    }
    gs_json_close(json, ']');
    return GPUSIM_OK;
}
