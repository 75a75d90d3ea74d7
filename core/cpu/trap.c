/* What interrupts ring 0: device interrupts in the idle loop or after an exit, NMIs, our bugs. */
#include "core/cpu/cpu.h"
#include "core/cpu/insn.h"
#include "core/cpu/irq.h"
#include "core/trace/log.h"
#include "lib/x86/registers.h"

extern const u8 rdmsr_try_insn[], rdmsr_absent[];

/* A push that met the guard page below the stack cannot push its own fault either. */
static NORETURN void double_fault(const struct frame *frame)
{
	bool guard = read_cr2() - (frame->rsp - PAGE_SIZE) < 2 * PAGE_SIZE;

	panic_at(frame, "double fault in the core%s", guard ? ": its stack is exhausted" : "");
}

/*
 * An NMI has done its work by coming. #SX is an INIT from outside, which must not reset a running
 * machine, and #DB the trap of a guest that single-steps, which Bochs 2.7 gives to root mode.
 */
static bool is_harmless(u64 vector)
{
	return vector == EXC_NMI || vector == EXC_SX || vector == EXC_DB;
}

void trap_core(struct frame *frame)
{
	if (frame->vector >= EXC_COUNT)
		irq_dispatch((u32)frame->vector);
	else if (frame->vector == EXC_NMI && panicking)
		halt_forever();
	else if (is_harmless(frame->vector))
		return;
	else if (frame->vector == EXC_GP && frame->rip == (u64)rdmsr_try_insn)
		frame->rip = (u64)rdmsr_absent;
	else if (frame->vector == EXC_MC)
		panic_at(frame,
			 "machine check: the hardware reports an error it could not correct");
	else if (frame->vector == EXC_DF)
		double_fault(frame);
	else if (frame->vector == EXC_PF)
		panic_at(frame, "page fault in the core at %016lx", read_cr2());
	else
		panic_at(frame, "exception %lu in the core", frame->vector);
}
