/* What trap.S does on the real machine: into ring 3, and interrupts to their handlers. */
#include "tests/support/fake_ring3.h"

#include "core/cpu/apic.h"
#include "core/cpu/frame.h"
#include "core/cpu/irq.h"
#include "core/cpu/timer.h"
#include "core/sched/sched.h"
#include "lib/base/assert.h"

void (*fake_ring3)(struct frame *frame);

void user_enter(struct frame *frame)
{
	assert(fake_ring3);
	fake_ring3(frame);
}

void irq_dispatch(u32 vector)
{
	if (vector == VECTOR_TIMER)
		timer_interrupt();
	else if (vector == VECTOR_SERIAL)
		sched_console_input();
	else if (vector == VECTOR_KICK)
		sched_kicked();
}
