/*
 * A guest that spins: PAUSE changes nothing but time, whether it runs, or exits now and then so
 * that others get the processor (APM volume 2, "Pause Intercept Filtering"; SDM, "PAUSE-Loop
 * Exiting"). The exits themselves show in the VM's table of exits.
 */
#include "tests/micro/lib/cpu.h"
#include "tests/micro/lib/micro.h"
#include "tests/micro/lib/time.h"

const char micro_name[] = "spin";

#define SPINS	    40000U
#define GIVE_UP_US  5000000U
#define SLICE_LEAST 500U /* us; shorter gaps are an interrupt of the host's */

static void check_loop(const char *text, u64 flags)
{
	u64 left = SPINS, a = 0x1111, d = 0x2222, seen;

	asm volatile("pushfq; popq %3\n"
		     "andq $~0x201, %3; orq %4, %3\n" /* IF and CF as wanted */
		     "pushq %3; popfq\n"
		     "1: pause; leaq -1(%0), %0; jrcxz 2f; jmp 1b\n"
		     "2: pushfq; popq %3; cli"
		     : "+c"(left), "+a"(a), "+d"(d), "=&r"(seen)
		     : "r"(flags)
		     : "memory", "cc");
	check(left == 0 && a == 0x1111 && d == 0x2222, "%s: registers", text);
	check_equal(seen & (RFLAGS_IF | RFLAGS_CF), flags, text);
}

static void check_prefixed(void)
{
	for (unsigned i = 0; i < SPINS; i++) {
		if (TRY(".byte 0x66, 0xf3, 0x90")) {
			check(false, "PAUSE with a prefix: vector %lu", trap.vector);
			return;
		}
	}
	check(true, "PAUSE with a prefix");
}

/* With interrupts off and nothing that exits, others get their share nevertheless. */
static void check_slices(void)
{
	u64 least = us_to_tsc(SLICE_LEAST), give_up = us_to_tsc(GIVE_UP_US);
	u64 start, last, longest = 0;

	if (!policy("other VMs want the processor"))
		return;
	if (is_amd() && bochs_lacks("time slices with IF clear, on AMD-V"))
		return;
	irq_disable();
	start = last = rdtsc();
	while (longest < least && last - start < give_up) {
		u64 now = rdtsc();

		if (now - last > longest)
			longest = now - last;
		last = now;
	}
	check(longest >= least, "nobody else ran: %lu us", tsc_to_us(longest));
}

void micro_main(void)
{
	check_slices();
	check_loop("interrupts off", 0);
	check_loop("interrupts on", RFLAGS_IF | RFLAGS_CF);
	check_prefixed();
}
