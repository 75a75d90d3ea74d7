/* The run loop of a vCPU and the handlers of its exits, above the vendor seam. */
#include "core/virt/engine.h"

#include "core/cpu/cpu.h"
#include "core/cpu/insn.h"
#include "core/sched/sched.h"
#include "core/trace/exit_trace.h"
#include "core/trace/log.h"
#include "core/virt/events.h"
#include "core/virt/resident.h"
#include "core/virt/verdict.h"
#include "lib/x86/registers.h"

#define INSN_LENGTH_MAX 15U

static u64 low32(u64 value)
{
	return value & 0xffffffff;
}

static enum verdict raise_gp(struct vcpu *v)
{
	vcpu_raise_gp(v);
	return RESUME;
}

static bool msr_read(struct vcpu *v, const struct msr_row *row, u32 index, u64 *value)
{
	switch (row->class) {
	case MSR_CLASS_EMULATE:
		return row->read(v, index, value);
	case MSR_CLASS_FIXED:
		*value = row->fixed;
		return true;
	default:
		return false; /* refused, or one that never exits */
	}
}

static bool msr_write(struct vcpu *v, const struct msr_row *row, u32 index, u64 value)
{
	switch (row->class) {
	case MSR_CLASS_EMULATE:
		return row->write(v, index, value);
	case MSR_CLASS_FIXED:
		return true;
	default:
		return false;
	}
}

static enum verdict exit_msr(struct vcpu *v)
{
	u32 index = v->exit.msr.index;
	const struct msr_row *row = msr_find(index);
	u64 value;

	if (row->class == MSR_CLASS_VMM)
		return TO_VMM;
	if (v->exit.msr.write)
		return msr_write(v, row, index, v->exit.msr.value) ? INSN_DONE : raise_gp(v);
	if (!msr_read(v, row, index, &value))
		return raise_gp(v);
	v->page->gpr[GPR_RAX] = low32(value);
	v->page->gpr[GPR_RDX] = value >> 32;
	return INSN_DONE;
}

static enum verdict exit_hlt(struct vcpu *v)
{
	v->halted = true;
	v->events = true;
	return INSN_DONE;
}

static enum verdict exit_interrupt(struct vcpu *v)
{
	(void)v;
	take_interrupts();
	return RESUME;
}

static enum verdict exit_nothing(struct vcpu *v)
{
	(void)v;
	return RESUME;
}

static enum verdict exit_window(struct vcpu *v)
{
	v->events = true;
	return RESUME;
}

static enum verdict exit_stop(struct vcpu *v);

static enum verdict exit_exception(struct vcpu *v)
{
	if (v->exit.exception.vector == EXC_MC)
		return exit_stop(v); /* the hardware failed while this VM ran: it ends alone */
	vcpu_raise(v, (u8)v->exit.exception.vector, v->exit.exception.has_error != 0,
		   (u32)v->exit.exception.error);
	return RESUME;
}

static enum verdict exit_cr8(struct vcpu *v)
{
	if ((v->exit.cr8.value & ~CR8_TPR) != 0)
		return raise_gp(v);
	lapic_cr8_set(&v->lapic, (u8)v->exit.cr8.value);
	v->events = true;
	return INSN_DONE;
}

/* The processor has done the write; what it brings about is done here. */
static enum verdict exit_apic(struct vcpu *v)
{
	struct lapic_effect effect;

	lapic_written(&v->lapic, v->exit.apic.offset, vcpu_tsc(v), &effect);
	vcpu_apply_effect(v, &effect);
	return RESUME;
}

/* SDM, "XSETBV--Set Extended Control Register". */
static bool xcr0_is_valid(const struct vcpu *v, u64 value)
{
	const u64 avx512 = XCR0_OPMASK | XCR0_ZMM_HI256 | XCR0_HI16_ZMM;

	if (!(value & XCR0_X87) || (value & ~cpu_features.xcr0) != 0)
		return false;
	if ((value & XCR0_AVX) && !(value & XCR0_SSE))
		return false;
	if ((value & avx512) && ((value & avx512) != avx512 || !(value & XCR0_AVX)))
		return false;
	return v->exit.xsetbv.index == 0;
}

static enum verdict exit_xsetbv(struct vcpu *v)
{
	u64 value = v->exit.xsetbv.value;

	if (!xcr0_is_valid(v, value) || backend->register_get(v, VCPU_CPL) != 0)
		return raise_gp(v);
	v->xcr0 = value;
	write_xcr0(value); /* this vCPU's state is resident: it just ran */
	return INSN_DONE;
}

static enum verdict exit_done(struct vcpu *v)
{
	(void)v;
	return INSN_DONE;
}

/* The guest spins: whoever holds what it waits for may need the processor. */
static enum verdict exit_pause(struct vcpu *v)
{
	(void)v;
	sched_end_turn();
	return INSN_DONE;
}

static enum verdict exit_refused(struct vcpu *v)
{
	vcpu_raise(v, EXC_UD, false, 0);
	return RESUME;
}

static enum verdict exit_to_vmm(struct vcpu *v)
{
	(void)v;
	return TO_VMM;
}

static enum verdict exit_stop(struct vcpu *v)
{
	struct vcpu_state state;

	if (!log_limit_take(&v->vm->log, v->vm->name))
		return TO_VMM;
	backend->state_get(v, &state);
	log_warning("VM %s vCPU %u: exit '%s' code %lx info %lx %lx at rip %016lx cs %04x "
		    "cr0 %lx cr3 %lx cr4 %lx efer %lx rflags %lx",
		    v->vm->name, v->index, vm_exit_name(v->exit.reason), v->exit.unknown.code,
		    v->exit.unknown.info1, v->exit.unknown.info2, state.rip,
		    state.segment[SEG_CS].selector, state.cr0, state.cr3, state.cr4, state.efer,
		    state.rflags);
	return TO_VMM;
}

static enum verdict (*const handlers[VM_EXIT_COUNT])(struct vcpu *v) = {
	[VM_EXIT_NONE] = exit_nothing,	    [VM_EXIT_CPUID] = cpuid_exit,
	[VM_EXIT_HLT] = exit_hlt,	    [VM_EXIT_INTERRUPT] = exit_interrupt,
	[VM_EXIT_HOST_NMI] = exit_nothing,  [VM_EXIT_WINDOW] = exit_window,
	[VM_EXIT_IRET] = exit_window,	    [VM_EXIT_EXCEPTION] = exit_exception,
	[VM_EXIT_CR8] = exit_cr8,	    [VM_EXIT_XSETBV] = exit_xsetbv,
	[VM_EXIT_CACHE] = exit_done,	    [VM_EXIT_PAUSE] = exit_pause,
	[VM_EXIT_CR] = exit_nothing, /* back to the instruction: nothing is watched now */
	[VM_EXIT_REFUSED] = exit_refused,   [VM_EXIT_REFUSED_GP] = raise_gp,
	[VM_EXIT_RAM_FAULT] = exit_stop,    [VM_EXIT_MSR] = exit_msr,
	[VM_EXIT_IO] = exit_to_vmm,	    [VM_EXIT_MMIO] = exit_to_vmm,
	[VM_EXIT_INTR_ACK] = exit_stop, /* made by the engine, never by hardware */
	[VM_EXIT_EOI] = exit_to_vmm,	    [VM_EXIT_SHUTDOWN] = exit_stop,
	[VM_EXIT_ENTRY_FAILED] = exit_stop, [VM_EXIT_UNKNOWN] = exit_stop,
	[VM_EXIT_APIC] = exit_apic,	    [VM_EXIT_TASK_SWITCH] = exit_to_vmm,
};

/* The one place where an instruction ends: RIP, interrupt shadow, single-step. */
static void insn_done(struct vcpu *v, u32 length)
{
	if (backend->insn_done(v, length))
		vcpu_raise(v, EXC_DB, false, 0);
}

/* Hands the last exit to the VMM thread and lets it run. */
static void leave_to_vmm(struct vcpu *v)
{
	struct vcpu_page *page = v->page;

	page->exit = v->exit;
	if (v->exit.reason == VM_EXIT_MMIO && v->reinject.type != EVENT_NONE)
		page->exit.mmio.access |= MMIO_EVENT;
	if (v->exit.reason == VM_EXIT_MMIO || v->exit.reason == VM_EXIT_TASK_SWITCH ||
	    (v->exit.reason == VM_EXIT_IO && v->exit.io.string))
		backend->state_get(v, &page->state);
	v->counters->to_vmm++;
	sched_leave_guest(v->thread);
}

static void leave_with(struct vcpu *v, enum vm_exit_reason reason)
{
	v->exit.reason = reason;
	v->counters->exits[reason]++;
	leave_to_vmm(v);
}

/* Looks at everything that may keep the guest from being entered. True: the run is over. */
static bool look(struct vcpu *v)
{
	struct thread *thread = v->thread;

	if (sched_must_leave(thread)) {
		v->page->exit.reason = VM_EXIT_NONE;
		sched_leave_guest(thread);
		return true;
	}
	if (v->timer_fired)
		vcpu_timer_resume(v);
	if (v->eoi_pending >= 0) {
		v->exit.eoi.vector = (u32)v->eoi_pending;
		v->eoi_pending = -1;
		leave_with(v, VM_EXIT_EOI);
		return true;
	}
	if (v->init_pending)
		vcpu_reset(v);
	if (v->parked && !vcpu_start(v)) {
		sched_block(thread);
		return true;
	}
	if (v->halted) {
		if (!events_wake_from_halt(v)) {
			sched_block(thread);
			return true;
		}
		v->halted = false;
	}
	if (v->triple_fault) {
		leave_with(v, VM_EXIT_SHUTDOWN);
		return true;
	}
	if (events_prepare(v)) {
		leave_with(v, VM_EXIT_INTR_ACK);
		return true;
	}
	return false;
}

/* Something wants to be looked at before the next entry. True: the run is over. */
static bool run_is_over(struct vcpu *v)
{
	/* Before anything is looked at: what another CPU brings from here on is seen next time. */
	(void)__atomic_exchange_n(&v->events, false, __ATOMIC_SEQ_CST);
	if (!look(v))
		return false;
	v->events = true;
	return true;
}

void engine_run(struct vcpu *v)
{
	struct cpu *cpu = this_cpu();
	u32 left = (u32)cpu->booked; /* the core runs since then, not the guest; never for long */

	resident_load(v);
	while (!cpu->resched && !(v->events && run_is_over(v))) {
		enum verdict verdict;
		u32 reason;

		v->counters->core_tsc += (u32)rdtsc() - left;
		backend->run(v);
		reason = v->exit.reason;
		left = exit_trace_add(&cpu->info.exits, v->trace_id, reason, v->exit.unknown.code);
		v->counters->exits[reason]++;
		if (v->events)
			events_collect(v);
		verdict = handlers[reason](v);
		if (verdict == INSN_DONE) {
			insn_done(v, v->exit.insn_length);
		} else if (verdict == TO_VMM) {
			leave_to_vmm(v);
			break;
		}
	}
	v->counters->core_tsc += (u32)cpu_book(cpu) - left;
}

static void rflags_arith_set(struct vcpu *v, u64 rflags)
{
	u64 old = backend->register_get(v, VCPU_RFLAGS);

	backend->register_set(v, VCPU_RFLAGS, (old & ~RFLAGS_ARITH) | (rflags & RFLAGS_ARITH));
}

static bool reply_done(struct vcpu *v, u32 length)
{
	if (length == 0 || length > INSN_LENGTH_MAX)
		return false;
	if (v->page->set_rflags)
		rflags_arith_set(v, v->page->rflags);
	insn_done(v, length);
	return true;
}

static bool reply_exception(struct vcpu *v)
{
	u32 vector = v->page->vector;

	if (vector >= EXC_COUNT || vector == EXC_NMI)
		return false;
	if (vector == EXC_PF)
		backend->register_set(v, VCPU_CR2, v->page->cr2);
	vcpu_raise(v, (u8)vector, exception_has_error(vector), v->page->error_code);
	return true;
}

bool engine_take_reply(struct vcpu *v)
{
	u32 reply = v->page->reply;

	v->page->reply = VCPU_REPLY_NONE;
	switch (reply) {
	case VCPU_REPLY_NONE:
		return true;
	case VCPU_REPLY_DONE:
		return reply_done(v, v->page->insn_length);
	case VCPU_REPLY_EXCEPTION:
		return reply_exception(v);
	case VCPU_REPLY_INTR:
		v->extint = (u8)v->page->vector;
		v->events = true;
		return true;
	case VCPU_REPLY_SWITCHED:
	case VCPU_REPLY_SWITCHED_TRAP:
		v->reinject.type = EVENT_NONE; /* delivered: the new task is its handler */
		if (reply == VCPU_REPLY_SWITCHED_TRAP)
			vcpu_raise(v, EXC_DB, false, 0);
		return true;
	default:
		return false;
	}
}
