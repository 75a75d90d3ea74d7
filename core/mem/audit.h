/*
 * The proof that nothing leaks, on what is there: every page table of the core, of root mode's
 * processes and of the second stages is walked, and each entry held against the frames' owners.
 */
#pragma once

#include "lib/base/types.h"

/*
 * Logs each entry that leads where it must not (the first few of each address space), and returns
 * how many there are. Nothing may change page tables or owners meanwhile.
 */
u32 audit_run(void);
