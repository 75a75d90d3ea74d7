/*
 * Stands in for lib/ring3/ring3.h when the supervisor's files are compiled for host tests: the same
 * functions, played by tests/support/fake_root.c instead of a core.
 */
#pragma once

#include "lib/abi/syscall.h"
#include "lib/base/err.h"

u64 syscall3(enum syscall_number number, u64 a, u64 b, u64 c);

static inline u64 syscall2(enum syscall_number number, u64 a, u64 b)
{
	return syscall3(number, a, b, 0);
}

static inline u64 syscall1(enum syscall_number number, u64 a)
{
	return syscall3(number, a, 0, 0);
}

u64 ring3_tsc(void);
void ring3_log(const char *format, ...) PRINTF_LIKE(1, 2);
