/*
 * A whole machine for host tests of ring-0 code: physical memory in a file, the core's mappings as
 * real mappings of it (an object that was freed is gone), two modules with programs, one CPU.
 */
#pragma once

#include "lib/base/err.h"
#include "lib/base/types.h"

/* Physical memory from 1 MiB on; once a program. */
void fake_machine_start(u64 memory_bytes);
/* A supervisor whose main thread has the processor. */
MUST_USE enum err fake_machine_supervisor(void);
/* Destroys every VM and the supervisor, then checks that nothing of them is left. */
void fake_machine_clear(void);
/* After a machine that ended within a system call: no lock is held. */
void fake_locks_drop(void);
/* Counts every page by owner and holds the sums against what the core says. */
void fake_machine_check(void);

/* Bytes of physical memory. */
void *fake_physical(hpa_t at, u64 bytes);
/* The most that was zeroed at once. */
extern u64 fake_zero_max;
/* Addresses in ring 3 where the program of the modules has a page of data, and one of code. */
#define FAKE_RING3_DATA 0x402000UL
#define FAKE_RING3_CODE 0x400000UL
