/* The processor outside long mode. */
#pragma once

#include "lib/base/types.h"

/*
 * Runs a 32-bit function in protected mode without paging, with the usual GDT and no IDT, and
 * comes back to 64-bit mode with what it left in %eax.
 */
u32 legacy_run(const void *code);
