/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The control interface from inside: words in, JSON or a sentence out.
 */
#ifndef GS_CONTROL_H
#define GS_CONTROL_H

#include "json.h"
#include "mig.h"

#define GS_MAX_WORDS 24

struct gs_command {
    struct gs_state *st; /* NULL for commands that need no state */
    char *words[GS_MAX_WORDS]; /* the words after the command */
    int count;
    struct gs_json json;
    char *error; /* room for the sentence */
    size_t error_size;
};

/* Put a sentence in the output; returns GPUSIM_FAILED. */
int gs_fail(struct gs_command *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Value of the word "key=value", NULL if there is none; and whether a bare word is there. */
const char *gs_option(const struct gs_command *command, const char *key);
int gs_has_word(const struct gs_command *command, const char *word);
/* The first word that is neither among the positional ones nor a known option; NULL if all is well. known: "a= b= c". */
const char *gs_unknown_word(const struct gs_command *command, int positional, const char *known);

/* GPU named by a word; on failure the sentence is written and NULL returned. */
struct gs_gpu *gs_find_gpu(struct gs_command *command, const char *word);
int gs_parse_int(const char *text, long long *value); /* 1 if the whole text is a number, 0x allowed */

/* Map and lock the state; with make, a file that is missing or damaged is made anew. */
int gs_control_open(struct gs_command *command, int make);

int gs_control_init(struct gs_command *command);
int gs_control_node(struct gs_command *command);
int gs_control_boards(struct gs_command *command);
int gs_control_show(struct gs_command *command);
int gs_control_keys(struct gs_command *command);
int gs_control_set(struct gs_command *command);
int gs_control_xid(struct gs_command *command);
int gs_control_occupy(struct gs_command *command);
int gs_control_release(struct gs_command *command);
int gs_control_reset(struct gs_command *command);
int gs_control_reboot(struct gs_command *command);
int gs_control_unload(struct gs_command *command);
int gs_control_load(struct gs_command *command);
int gs_control_fault(struct gs_command *command);
int gs_control_faults(struct gs_command *command);
int gs_control_clearfaults(struct gs_command *command);
int gs_control_counts(struct gs_command *command);
int gs_control_resetcounts(struct gs_command *command);

void gs_show_faults(struct gs_json *json, const struct gs_state *st);
void gs_show_counts(struct gs_json *json, const struct gs_state *st);
int gs_code_by_name(const char *name);
const char *gs_code_name(int code);

#endif
