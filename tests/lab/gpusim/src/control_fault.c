/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Faults and call counts from the control side.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "gpusim.h"

#define CODE(name) {#name, NVML_ERROR_##name}

static const struct {
    const char *name;
    int code;
} codes[] = {
    {"SUCCESS", NVML_SUCCESS}, CODE(UNINITIALIZED), CODE(INVALID_ARGUMENT), CODE(NOT_SUPPORTED), CODE(NO_PERMISSION),
    CODE(ALREADY_INITIALIZED), CODE(NOT_FOUND), CODE(INSUFFICIENT_SIZE), CODE(INSUFFICIENT_POWER),
    CODE(DRIVER_NOT_LOADED), CODE(TIMEOUT), CODE(IRQ_ISSUE), CODE(LIBRARY_NOT_FOUND), CODE(FUNCTION_NOT_FOUND),
    CODE(CORRUPTED_INFOROM), CODE(GPU_IS_LOST), CODE(RESET_REQUIRED), CODE(OPERATING_SYSTEM),
    CODE(LIB_RM_VERSION_MISMATCH), CODE(IN_USE), CODE(MEMORY), CODE(NO_DATA), CODE(VGPU_ECC_NOT_SUPPORTED),
    CODE(INSUFFICIENT_RESOURCES), CODE(FREQ_NOT_SUPPORTED), CODE(ARGUMENT_VERSION_MISMATCH), CODE(DEPRECATED),
    CODE(NOT_READY), CODE(GPU_NOT_FOUND), CODE(INVALID_STATE), CODE(RESET_TYPE_NOT_SUPPORTED), CODE(UNKNOWN),
};

int gs_code_by_name(const char *name)
{
    if (strncmp(name, "NVML_ERROR_", 11) == 0)
        name += 11;
    else if (strncmp(name, "NVML_", 5) == 0)
        name += 5;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (strcmp(codes[i].name, name) == 0)
            return codes[i].code;
    }
    return -1;
}

const char *gs_code_name(int code)
{
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (codes[i].code == code)
            return codes[i].name;
    }
    return "UNKNOWN";
}

static int parse_action(struct gs_command *command, struct gs_fault *fault)
{
    const char *code = gs_option(command, "code"), *hang = gs_option(command, "hang");
    long long seconds = 0;

    if (code) {
        fault->action = GS_ACT_CODE;
        fault->code = gs_code_by_name(code);
        return fault->code < 0 ? gs_fail(command, "code: unknown NVML code \"%s\"", code) : GPUSIM_OK;
    }
    if (hang || gs_has_word(command, "hang")) {
        if (hang && (!gs_parse_int(hang, &seconds) || seconds < 1 || seconds > INT32_MAX))
            return gs_fail(command, "hang: \"%s\" is no number of seconds from 1 on", hang);
        fault->action = GS_ACT_HANG;
        fault->seconds = (uint32_t)seconds;
    } else if (gs_has_word(command, "kill")) {
        fault->action = GS_ACT_KILL;
    } else if (gs_has_word(command, "killgroup")) {
        fault->action = GS_ACT_KILLGROUP;
    } else {
        return gs_fail(command, "fault: say code=NAME, hang, kill or killgroup");
    }
    return GPUSIM_OK;
}

static int parse_fault(struct gs_command *command, struct gs_fault *fault)
{
    const char *nth = gs_option(command, "nth"), *times = gs_option(command, "times"), *gpu = gs_option(command, "gpu"),
               *when = gs_option(command, "when");
    long long number = 1;

    if (nth && (!gs_parse_int(nth, &number) || number < 1))
        return gs_fail(command, "nth: \"%s\" is no number from 1 on", nth);
    fault->nth = (uint64_t)number;
    number = 1;
    if (times && (!gs_parse_int(times, &number) || number < 1))
        return gs_fail(command, "times: \"%s\" is no number from 1 on", times);
    fault->times = (uint64_t)number;
    number = -1;
    if (gpu && (!gs_parse_int(gpu, &number) || number < 0 || number >= (long long)command->st->gpu_count))
        return gs_fail(command, "gpu: \"%s\" is no GPU index", gpu);
    fault->gpu = (int32_t)number;
    if (when && strcmp(when, "before") != 0 && strcmp(when, "after") != 0)
        return gs_fail(command, "when: \"%s\" is not before or after", when);
    fault->after = when && strcmp(when, "after") == 0;
    return parse_action(command, fault);
}

int gs_control_fault(struct gs_command *command)
{
    static const char known[] = "nth= times= gpu= when= code= hang= hang kill killgroup";
    struct gs_fault fault = {.used = 1};

    if (command->count < 2)
        return gs_fail(command, "fault FUNCTION|* nth=N ACTION [times=K] [gpu=INDEX] [when=before|after]");
    if (gs_unknown_word(command, 1, known))
        return gs_fail(command, "fault: unknown word \"%s\"", gs_unknown_word(command, 1, known));
    fault.function = strcmp(command->words[0], "*") == 0 ? -1 : gs_function_find(command->words[0]);
    if (fault.function < 0 && strcmp(command->words[0], "*") != 0)
        return gs_fail(command, "\"%s\" is no NVML function", command->words[0]);
    if (parse_fault(command, &fault) != GPUSIM_OK)
        return GPUSIM_FAILED;
    for (int i = 0; i < GS_MAX_FAULTS; i++) {
        if (!command->st->faults[i].used) {
            command->st->faults[i] = fault;
            command->st->fault_count++;
            return GPUSIM_OK;
        }
    }
    return gs_fail(command, "no room for more than %d faults", GS_MAX_FAULTS);
}

void gs_show_faults(struct gs_json *json, const struct gs_state *st)
{
    static const char *const actions[] = {"code", "hang", "kill", "killgroup"};

    gs_json_open(json, NULL, '[');
    for (int i = 0; i < GS_MAX_FAULTS; i++) {
        const struct gs_fault *fault = &st->faults[i];

        if (!fault->used)
            continue;
        gs_json_open(json, NULL, '{');
        gs_json_string(json, "function", fault->function < 0 ? "*" : gs_functions[fault->function].name);
        gs_json_int(json, "nth", (int64_t)fault->nth);
        gs_json_int(json, "times", (int64_t)fault->times);
        gs_json_int(json, "gpu", fault->gpu);
        gs_json_string(json, "action", actions[fault->action]);
        gs_json_string(json, "when", fault->after ? "after" : "before");
        if (fault->action == GS_ACT_CODE)
            gs_json_string(json, "code", gs_code_name(fault->code));
        gs_json_close(json, '}');
    }
    gs_json_close(json, ']');
}

int gs_control_faults(struct gs_command *command)
{
    gs_show_faults(&command->json, command->st);
    return GPUSIM_OK;
}

int gs_control_clearfaults(struct gs_command *command)
{
    memset(command->st->faults, 0, sizeof(command->st->faults));
    command->st->fault_count = 0;
    return GPUSIM_OK;
}

void gs_show_counts(struct gs_json *json, const struct gs_state *st)
{
    gs_json_open(json, NULL, '{');
    for (int i = 0; i < gs_function_count; i++) {
        if (st->counts[i])
            gs_json_int(json, gs_functions[i].name, (int64_t)st->counts[i]);
    }
    gs_json_close(json, '}');
}

int gs_control_counts(struct gs_command *command)
{
    gs_show_counts(&command->json, command->st);
    return GPUSIM_OK;
}

int gs_control_resetcounts(struct gs_command *command)
{
    memset(command->st->counts, 0, sizeof(command->st->counts));
    return GPUSIM_OK;
}
