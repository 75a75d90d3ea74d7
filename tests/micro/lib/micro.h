/*
 * What every micro guest uses: checks that count and name themselves, the words of the command
 * line, and the end of the guest. Every guest defines micro_name and micro_main().
 *
 * Command line words: "bare" when no hypervisor of ours is below, so checks of its policy are left
 * out; "tcg" or "bochs" when that emulator's processor is, whose known gaps are left out. All are
 * said.
 */
#pragma once

#include "lib/base/types.h"

extern const char micro_name[];
void micro_main(void);

/* Prints a line. */
void say(const char *format, ...) PRINTF_LIKE(1, 2);

/* Counts a check; one that fails is printed and makes the guest fail at its end. */
#define check(condition, ...) check_that((condition), __FILE__, __LINE__, __VA_ARGS__)
bool check_that(bool ok, const char *file, int line, const char *format, ...) PRINTF_LIKE(4, 5);

#define check_equal(got, want, text)                                           \
	({                                                                     \
		u64 got_ = (u64)(got), want_ = (u64)(want);                    \
		check(got_ == want_, "%s: %lx, not %lx", (text), got_, want_); \
	})
/* The last TRY() caused exactly this fault, with RIP at the instruction. */
#define check_fault(vector_, error_, text)                                                  \
	check(trap_is_fault((vector_), (error_)), "%s: %lu x vector %lu error %lx at +%lu", \
	      (text), trap.count, trap.vector, trap.error, trap.offset)
/* The last TRY() caused none. */
#define check_no_fault(text) \
	check(trap.count == 0, "%s: vector %lu error %lx", (text), trap.vector, trap.error)

/* True when checks of the hypervisor's own policy apply; says what is left out otherwise. */
bool policy(const char *what);
/* True when the emulated processor below is known not to do `what`; says so. */
bool tcg_lacks(const char *what);
bool bochs_lacks(const char *what);
/* Whether this word stands on the guest's command line. */
bool told(const char *word);

/* Ends the guest at once. */
NORETURN void micro_fail(const char *format, ...) PRINTF_LIKE(1, 2);

/* First byte behind the RAM that starts at 1 MiB, below 4 GiB. */
u64 ram_end(void);
extern u8 image_end[];
