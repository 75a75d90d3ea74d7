/* A VM's pin in the manifest, on the machine that there is. */
#pragma once

#include "lib/abi/manifest.h"

#define PIN_TEXT_BYTES 96U /* room for each set: 32 numbers and 31 commas at most */

struct pin_text {
	char text[PIN_TEXT_BYTES];
};

/* A set of processors, a bit each, for people: "0,2-5". */
struct pin_text pin_describe(u64 set);

/*
 * Which of the processors 0 to `cpus` - 1 a VM may run on. ERR_UNSUPPORTED: its pin names none of
 * them. `line` is what there is to say about it, for the log; empty when all is well.
 */
MUST_USE enum err pin_resolve(const struct manifest_vm *vm, u32 cpus, u64 *allowed, char *line,
			      size_t bytes);
