/* Loads the ELF image of a ring-3 program of root mode. */
#pragma once

#include "core/boot/boot_info.h"
#include "lib/base/err.h"

struct process;

/*
 * Maps every loadable segment with its permissions; none may be writable and executable. The image
 * comes with the boot image, but is checked as if it did not.
 */
MUST_USE enum err elf_load(struct process *p, const struct boot_module *module, u64 *entry);
