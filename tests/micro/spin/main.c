/*
 * A guest that spins: PAUSE changes nothing but time, whether it runs, or exits now and then so
 * that others get the processor (APM volume 2, "Pause Intercept Filtering"; SDM, "PAUSE-Loop
 * Exiting"). The exits themselves show in the VM's table of exits.
 */
#include "tests/micro/lib/cpu.h"
#include "tests/micro/lib/micro.h"

const char micro_name[] = "spin";

#define SPINS 40000U

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

void micro_main(void)
{
	check_loop("interrupts off", 0);
	check_loop("interrupts on", RFLAGS_IF | RFLAGS_CF);
	check_prefixed();
}
