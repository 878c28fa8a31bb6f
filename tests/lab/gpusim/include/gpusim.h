/* Copyright (c) 2026 accel.gpu maintainers
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Control interface of the simulated node. It is exported by the same libnvidia-ml.so.1 that clients load; the real
 * library has no such symbol, so a test can tell the two apart by looking for gpusim_control.
 *
 * The state lives in the file named by the environment variable GPUSIM_STATE (default GPUSIM_DEFAULT_STATE). Every
 * command works on that file under its lock; nvmlInit is not needed. Without a state file NVML answers
 * DRIVER_NOT_LOADED, and every command except `init` answers GPUSIM_FAILED.
 *
 * Commands (words separated by blanks; a value with blanks is written in double quotes). GPU is an index, a UUID or
 * a PCI address.
 *
 *   init BOARD[,BOARD...] [driver=580.126.16] [cuda=13000] [nvml=VERSION] [virt=none|passthrough|vgpu]
 *        [guest_reset=yes|no] [ampere_toggle=pending|immediate] [first_bus=0x10] [seed=TEXT]
 *        Creates the state, or replaces all of it. At most 16 GPUs. "none" as the only board is a driver without GPU.
 *        BOARD may carry a factor: a100-80gb*4.
 *   boards                        keys and facts of all known boards, with the derived fields named
 *   show                          the whole state
 *   node KEY VALUE                driver | nvml | cuda | kernel_driver | virt | guest_reset | ampere_toggle
 *                                 (kernel_driver other than driver = mismatch of library and module)
 *   reset GPU                     refused while a process or holder is on it, and in a guest without reset
 *   reboot                        whole node; Ampere's pending mode becomes current, Hopper and later fall back to off
 *   unload | load                 the driver module; unload is refused while anything holds a GPU
 *   occupy GPU [gi=ID [ci=ID]] pid=PID [kind=compute|graphics|mps|holder] [mem=MIB] [name=TEXT] [sm=PERCENT] [sticky]
 *   release GPU pid=PID           (all entries of that PID on that GPU)
 *   set GPU KEY VALUE             any reading or setting of `keys`; the value none = NOT_SUPPORTED
 *   keys                          the keys of `set` with unit and default
 *   xid GPU CODE [TEXT]           appends a kernel-log line to GPUSIM_KMSG (default GPUSIM_DEFAULT_KMSG) and gives an
 *                                 event to waiting event sets
 *   fault FUNCTION|* nth=N ACTION [times=K] [gpu=INDEX] [when=before|after]
 *        ACTION: code=NVML_ERROR_NAME (code=SUCCESS: success without any effect) | hang | hang=SECONDS | kill (SIGKILL
 *        to the caller) | killgroup (to its process group). nth counts calls from now on, 1 = the next one; from the
 *        nth call on it acts K times (default 1). when=after: the call takes effect first.
 *   faults | clearfaults
 *   counts | resetcounts          calls per function
 *
 * Rights: NVML answers NO_PERMISSION by geteuid(); GPUSIM_EUID overrides it. The control interface asks for none.
 */
#ifndef GPUSIM_H
#define GPUSIM_H

#include <stddef.h>

#define GPUSIM_DEFAULT_STATE "/var/lib/gpusim/state"
#define GPUSIM_DEFAULT_KMSG "/var/lib/gpusim/kmsg"

/* Results of gpusim_control. */
#define GPUSIM_OK 0        /* out holds one JSON document */
#define GPUSIM_FAILED 1    /* out holds one sentence that says why; nothing was changed */
#define GPUSIM_TOO_SMALL 2 /* out holds the number of bytes needed, as decimal digits; ask again (queries only) */

#ifdef __cplusplus
extern "C" {
#endif

__attribute__((visibility("default"))) int gpusim_control(const char *command, char *out, size_t out_len);

#ifdef __cplusplus
}
#endif

#endif
