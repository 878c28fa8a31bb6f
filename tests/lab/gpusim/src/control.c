/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * gpusim_control: splitting a command into words and handing it on.
 */
#include "control.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gpusim.h"

enum { NEEDS_STATE, NEEDS_NONE }; /* init opens the state itself, when it knows what to make */

static const struct {
    const char *name;
    int (*run)(struct gs_command *command);
    int needs;
} commands[] = {
    {"init", gs_control_init, NEEDS_NONE},         {"boards", gs_control_boards, NEEDS_NONE},
    {"keys", gs_control_keys, NEEDS_NONE},         {"show", gs_control_show, NEEDS_STATE},
    {"node", gs_control_node, NEEDS_STATE},        {"set", gs_control_set, NEEDS_STATE},
    {"reset", gs_control_reset, NEEDS_STATE},      {"reboot", gs_control_reboot, NEEDS_STATE},
    {"unload", gs_control_unload, NEEDS_STATE},    {"load", gs_control_load, NEEDS_STATE},
    {"occupy", gs_control_occupy, NEEDS_STATE},    {"release", gs_control_release, NEEDS_STATE},
    {"xid", gs_control_xid, NEEDS_STATE},          {"fault", gs_control_fault, NEEDS_STATE},
    {"faults", gs_control_faults, NEEDS_STATE},    {"clearfaults", gs_control_clearfaults, NEEDS_STATE},
    {"counts", gs_control_counts, NEEDS_STATE},    {"resetcounts", gs_control_resetcounts, NEEDS_STATE},
};

int gs_fail(struct gs_command *command, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(command->error, command->error_size, format, arguments);
    va_end(arguments);
    return GPUSIM_FAILED;
}

const char *gs_option(const struct gs_command *command, const char *key)
{
    size_t length = strlen(key);

    for (int i = 0; i < command->count; i++) {
        if (strncmp(command->words[i], key, length) == 0 && command->words[i][length] == '=')
            return command->words[i] + length + 1;
    }
    return NULL;
}

int gs_has_word(const struct gs_command *command, const char *word)
{
    for (int i = 0; i < command->count; i++) {
        if (strcmp(command->words[i], word) == 0)
            return 1;
    }
    return 0;
}

const char *gs_unknown_word(const struct gs_command *command, int positional, const char *known)
{
    for (int i = positional; i < command->count; i++) {
        const char *word = command->words[i], *found;
        size_t length = strcspn(word, "=") + (strchr(word, '=') != NULL);
        int good = 0;

        for (found = known; found && !good; found = strchr(found, ' ') ? strchr(found, ' ') + 1 : NULL)
            good = strncmp(found, word, length) == 0 && (found[length] == ' ' || found[length] == 0);
        if (!good)
            return word;
    }
    return NULL;
}

int gs_parse_int(const char *text, long long *value)
{
    char *end;

    errno = 0;
    *value = strtoll(text, &end, 0);
    return *text && *end == 0 && errno == 0;
}

static struct gs_gpu *gpu_by_pci(struct gs_state *st, const char *word)
{
    unsigned int domain, bus, slot, function = 0;

    if (sscanf(word, "%x:%x:%x.%x", &domain, &bus, &slot, &function) < 3)
        return NULL;
    for (uint32_t i = 0; i < st->gpu_count; i++) {
        if (st->gpus[i].domain == domain && st->gpus[i].bus == bus && slot == 0)
            return &st->gpus[i];
    }
    return NULL;
}

struct gs_gpu *gs_find_gpu(struct gs_command *command, const char *word)
{
    struct gs_state *st = command->st;
    struct gs_gpu *gpu;
    long long index;

    if (gs_parse_int(word, &index) && index >= 0 && index < (long long)st->gpu_count)
        return &st->gpus[index];
    for (uint32_t i = 0; i < st->gpu_count; i++) {
        if (strcasecmp(word, st->gpus[i].uuid) == 0)
            return &st->gpus[i];
    }
    gpu = gpu_by_pci(st, word);
    if (!gpu)
        gs_fail(command, "no GPU \"%s\": give an index below %u, a UUID or a PCI address", word, st->gpu_count);
    return gpu;
}

/* Words in place; a part in double quotes keeps its blanks. Returns the number of words, -1 if there are too many. */
static int split(char *text, char **words, int limit)
{
    int count = 0;

    while (*text) {
        char *write;
        int quoted = 0, done;

        while (*text == ' ' || *text == '\t' || *text == '\n')
            text++;
        if (!*text)
            break;
        if (count == limit)
            return -1;
        words[count++] = write = text;
        for (; *text && (quoted || (*text != ' ' && *text != '\t' && *text != '\n')); text++) {
            if (*text == '"')
                quoted = !quoted;
            else
                *write++ = *text;
        }
        done = *text == 0;
        *write = 0;
        text += !done;
    }
    return count;
}

int gs_control_open(struct gs_command *command, int make)
{
    int error;

    if (make) {
        command->st = gs_create();
        error = command->st ? 0 : errno;
    } else {
        error = gs_attach(1);
        if (error == 0) {
            command->st = gs_lock();
            error = errno;
        }
    }
    if (command->st)
        return GPUSIM_OK;
    gs_detach_unlock();
    if (error == EPROTO)
        return gs_fail(command, "the state file is damaged or was made by another build of gpusim: run init");
    return gs_fail(command, "no state file: %s (GPUSIM_STATE names it, init makes it)", strerror(error));
}

static int run(struct gs_command *command, const char *name)
{
    int result;

    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, name) != 0)
            continue;
        if (commands[i].needs == NEEDS_STATE && gs_control_open(command, 0) != GPUSIM_OK)
            return GPUSIM_FAILED;
        result = commands[i].run(command);
        if (command->st)
            gs_unlock();
        return result;
    }
    return gs_fail(command, "unknown command \"%s\"", name);
}

int gpusim_control(const char *line, char *out, size_t out_len)
{
    struct gs_command command = {0};
    char *words[GS_MAX_WORDS + 1], *text;
    char error[512] = "";
    int result;

    if (!line || !out || out_len == 0)
        return GPUSIM_FAILED;
    text = strdup(line);
    if (!text)
        return GPUSIM_FAILED;
    command.error = error;
    command.error_size = sizeof(error);
    gs_json_start(&command.json, out, out_len);
    command.count = split(text, words, GS_MAX_WORDS + 1) - 1;
    if (command.count < 0) {
        result = gs_fail(&command, "a command has 1 to %d words", GS_MAX_WORDS);
    } else {
        memcpy(command.words, words + 1, (size_t)command.count * sizeof(words[0]));
        result = run(&command, words[0]);
    }
    free(text);
    if (result != GPUSIM_OK) {
        snprintf(out, out_len, "%s", error);
    } else if (command.json.length >= out_len) {
        snprintf(out, out_len, "%zu", command.json.length + 1);
        result = GPUSIM_TOO_SMALL;
    } else if (command.json.length == 0) {
        snprintf(out, out_len, "{}");
    }
    return result;
}
