/* System calls and small conveniences for ring-3 programs of root mode. */
#pragma once

#include "lib/abi/syscall.h"
#include "lib/base/err.h"

int main(void);

static inline u64 syscall3(enum syscall_number number, u64 a, u64 b, u64 c)
{
	u64 result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"((u64)number), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return result;
}

static inline u64 syscall2(enum syscall_number number, u64 a, u64 b)
{
	return syscall3(number, a, b, 0);
}

static inline u64 syscall1(enum syscall_number number, u64 a)
{
	return syscall3(number, a, 0, 0);
}

static inline NORETURN void ring3_exit(u64 status)
{
	syscall1(SYSCALL_exit, status);
	__builtin_trap();
}

static inline u64 ring3_tsc(void)
{
	u32 low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (u64)high << 32 | low;
}

/* One line into the machine's log. */
void ring3_log(const char *format, ...) PRINTF_LIKE(1, 2);
