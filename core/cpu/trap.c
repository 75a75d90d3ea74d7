/* What interrupts ring 0: device interrupts in the idle loop or after an exit, NMIs, our bugs. */
#include "core/cpu/cpu.h"
#include "core/cpu/irq.h"
#include "core/trace/log.h"
#include "lib/x86/registers.h"

static u64 nmi_count;

void trap_core(struct frame *frame)
{
	if (frame->vector >= EXC_COUNT)
		irq_dispatch((u32)frame->vector);
	else if (frame->vector == EXC_NMI)
		nmi_count++;
	else if (frame->vector == EXC_MC)
		panic_at(frame,
			 "machine check: the hardware reports an error it could not correct");
	else
		panic_at(frame, "exception %lu in the core", frame->vector);
}
