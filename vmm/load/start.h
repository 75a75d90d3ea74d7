/* The state in which boot protocols start the first processor. */
#pragma once

#include "vmm/load/load.h"

/* 64-bit mode at `rip` with the low 4 GiB mapped one to one; writes GDT and page tables. */
void start_long_mode(const struct load_request *req, struct load_result *out, u64 rip);
/* Flat 32-bit protected mode at `eip` without paging; writes a GDT. */
void start_protected_mode(const struct load_request *req, struct load_result *out, u32 eip);
