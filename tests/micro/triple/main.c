/* A triple fault: the virtual machine, and nothing else, must end with this. */
#include "tests/micro/lib/micro.h"
#include "tests/micro/lib/trap.h"

const char micro_name[] = "triple";

void micro_main(void)
{
	say("loading an empty IDT");
	idt_load(0, 0);
	asm volatile("ud2");
	check(false, "still running after a triple fault");
}
