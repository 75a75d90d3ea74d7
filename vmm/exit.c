/* What a VMM does with the exits that the core gives it: one row a reason. */
#include "lib/abi/layout.h"
#include "lib/ring3/ring3.h"
#include "lib/x86/registers.h"
#include "vmm/board/memory_map.h"
#include "vmm/emul/emul.h"
#include "vmm/emul/task_switch.h"
#include "vmm/vmm.h"

/* Where a processor begins after a reset, and firmware has its first instruction. */
#define RESET_VECTOR 0xfffffff0ULL

static void reply_done(struct vmm_vcpu *v, u32 length)
{
	v->page->reply = VCPU_REPLY_DONE;
	v->page->insn_length = length;
	v->page->set_rflags = 0;
}

static void reply_exception(struct vmm_vcpu *v, const struct emul_exception *e)
{
	v->page->reply = VCPU_REPLY_EXCEPTION;
	v->page->vector = e->vector;
	v->page->error_code = e->error_code;
	v->page->cr2 = e->cr2;
}

static bool is_apic(gpa_t gpa)
{
	return align_down(gpa.raw, PAGE_SIZE) == MAP_LAPIC;
}

/* Registers of the local APIC are 32 bits wide on 16-byte boundaries; the core keeps them. */
static u64 apic_read(gpa_t gpa)
{
	return syscall1(SYSCALL_apic_read, gpa.raw % PAGE_SIZE);
}

/* Nearly all accesses are of these two sizes, and most are page tables. */
static void bytes_copy(void *to, const void *from, unsigned bytes)
{
	if (bytes == sizeof(u64))
		__builtin_memcpy(to, from, sizeof(u64));
	else if (bytes == sizeof(u32))
		__builtin_memcpy(to, from, sizeof(u32));
	else
		__builtin_memcpy(to, from, bytes);
}

static bool memory_read(void *owner, gpa_t gpa, void *data, unsigned bytes)
{
	const struct vmm_vcpu *v = owner;
	const u8 *ram = vmm_ram(v->vmm, gpa, bytes);
	u64 value = ~0ULL;
	bool there = true;

	if (ram) {
		bytes_copy(data, ram, bytes);
		return true;
	}
	if (is_apic(gpa))
		value = apic_read(gpa);
	else
		there = board_mmio_read(&v->vmm->board, gpa, bytes, &value);
	bytes_copy(data, &value, bytes);
	return there;
}

static bool memory_write(void *owner, gpa_t gpa, const void *data, unsigned bytes)
{
	struct vmm_vcpu *v = owner;
	u8 *ram = vmm_ram(v->vmm, gpa, bytes);
	u64 value = 0;

	if (ram) {
		bytes_copy(ram, data, bytes);
		return true;
	}
	bytes_copy(&value, data, bytes);
	if (is_apic(gpa)) {
		syscall2(SYSCALL_apic_write, gpa.raw % PAGE_SIZE, value);
		return true;
	}
	return board_mmio_write(&v->vmm->board, gpa, bytes, value);
}

static bool memory_swap(void *owner, gpa_t gpa, u64 *expected, u64 desired, unsigned bytes)
{
	const struct vmm_vcpu *v = owner;
	u8 *ram = vmm_ram(v->vmm, gpa, bytes);

	if (!ram)
		return false;
	if (bytes == sizeof(u32)) {
		u32 old = (u32)*expected;

		__atomic_compare_exchange_n((u32 *)(void *)ram, &old, (u32)desired, false,
					    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
		*expected = old;
	} else {
		__atomic_compare_exchange_n((u64 *)(void *)ram, expected, desired, false,
					    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	}
	return true;
}

static u32 port_in(void *owner, u16 port, unsigned bytes)
{
	struct vmm_vcpu *v = owner;

	return board_port_read(&v->vmm->board, port, bytes);
}

static void port_out(void *owner, u16 port, u32 value, unsigned bytes)
{
	struct vmm_vcpu *v = owner;

	board_port_write(&v->vmm->board, port, bytes, value);
}

static void unsupported(struct vmm_vcpu *v, const struct emul_outcome *o)
{
	const u8 *b = o->bytes;

	vmm_end(v->vmm, VM_END_CRASH, 0,
		"cannot emulate the instruction at rip %lx (%s): %02x %02x %02x %02x %02x %02x",
		v->page->state.rip, o->reason, b[0], b[1], b[2], b[3], b[4], b[5]);
}

static struct emul_env emul_env(struct vmm_vcpu *v)
{
	return (struct emul_env){
		.memory = { v, memory_read, memory_write, memory_swap },
		.port_in = port_in,
		.port_out = port_out,
	};
}

static struct emul emul_of(const struct vmm_vcpu *v, const struct emul_env *env)
{
	return (struct emul){
		.state = &v->page->state,
		.gpr = v->page->gpr,
		.env = env,
		.physical_bits = v->vmm->physical_bits,
	};
}

/* An instruction that touched a device: decode and execute it here. */
static void exit_emulate(struct vmm_vcpu *v)
{
	const struct emul_env env = emul_env(v);
	struct emul emul = emul_of(v, &env);
	struct emul_outcome outcome;

	switch (emul_step(&emul, &outcome)) {
	case EMUL_DONE:
		reply_done(v, outcome.insn_length);
		v->page->set_rflags = outcome.sets_rflags;
		v->page->rflags = outcome.rflags;
		break;
	case EMUL_AGAIN:
		break;
	case EMUL_EXCEPTION:
		reply_exception(v, &outcome.exception);
		break;
	case EMUL_UNSUPPORTED:
		unsupported(v, &outcome);
	}
}

static void exit_mmio(struct vmm_vcpu *v)
{
	if (v->page->exit.mmio.gpa == RESET_VECTOR && (v->page->exit.mmio.access & MMIO_FETCH))
		vmm_end(v->vmm, VM_END_RESET, 0, "reset"); /* as firmware would, after an INIT */
	if (v->page->exit.mmio.access & MMIO_FETCH)
		vmm_end(v->vmm, VM_END_CRASH, 0,
			"the guest runs code at %lx, where there is no memory (rip %lx)",
			v->page->exit.mmio.gpa, v->page->state.rip);
	if (v->page->exit.mmio.access & MMIO_EVENT)
		vmm_end(v->vmm, VM_END_CRASH, 0,
			"an event's delivery needs %lx, where there is no memory (rip %lx)",
			v->page->exit.mmio.gpa, v->page->state.rip);
	exit_emulate(v);
}

/* IN leaves the register's upper bytes alone, except that 4 bytes clear the upper half. */
static void io_in(struct vmm_vcpu *v, u32 value, unsigned bytes)
{
	u64 *rax = &v->page->gpr[GPR_RAX];

	if (bytes == 4)
		*rax = value;
	else
		*rax = field_set(BITS64(8 * bytes - 1, 0), *rax, value);
}

static void exit_io(struct vmm_vcpu *v)
{
	u16 port = v->page->exit.io.port;
	unsigned bytes = v->page->exit.io.size;

	if (v->page->exit.io.string) {
		exit_emulate(v);
		return;
	}
	if (v->page->exit.io.in)
		io_in(v, board_port_read(&v->vmm->board, port, bytes), bytes);
	else
		board_port_write(&v->vmm->board, port, bytes, v->page->exit.io.value);
	reply_done(v, v->page->exit.insn_length);
}

static void exit_msr(struct vmm_vcpu *v)
{
	const struct emul_exception gp = { .vector = EXC_GP };

	if (v->page->exit.msr.write &&
	    pvclock_msr_write(v->vmm, v->page->exit.msr.index, v->page->exit.msr.value))
		reply_done(v, v->page->exit.insn_length);
	else
		reply_exception(v, &gp);
}

static void exit_task_switch(struct vmm_vcpu *v)
{
	const struct emul_env env = emul_env(v);
	const struct emul emul = emul_of(v, &env);
	struct emul_exception exception;
	struct vcpu_state next;
	enum task_result result = task_switch(&emul, &v->page->exit, &next, &exception);

	if (result != TASK_REFUSED && syscall2(SYSCALL_vcpu_set_state, v->index, (u64)&next))
		vmm_end(v->vmm, VM_END_CRASH, 0, "the core refuses the state of task %x",
			v->page->exit.task.selector);
	if (result == TASK_REFUSED || result == TASK_FAULTED)
		reply_exception(v, &exception);
	else
		v->page->reply =
			result == TASK_TRAPPED ? VCPU_REPLY_SWITCHED_TRAP : VCPU_REPLY_SWITCHED;
}

static void exit_intr_ack(struct vmm_vcpu *v)
{
	v->page->vector = board_intr_ack(&v->vmm->board);
	v->page->reply = VCPU_REPLY_INTR;
}

static void exit_eoi(struct vmm_vcpu *v)
{
	board_eoi(&v->vmm->board, (u8)v->page->exit.eoi.vector);
}

static void exit_shutdown(struct vmm_vcpu *v)
{
	vmm_end(v->vmm, VM_END_CRASH, 0, "triple fault");
}

static void exit_fatal(struct vmm_vcpu *v)
{
	vmm_end(v->vmm, VM_END_CRASH, 0, "exit '%s', code %lx", vm_exit_name(v->page->exit.reason),
		v->page->exit.unknown.code);
}

static void exit_none(struct vmm_vcpu *v)
{
	(void)v;
}

void exit_handle(struct vmm_vcpu *v)
{
	static void (*const handlers[VM_EXIT_COUNT])(struct vmm_vcpu * v) = {
		[VM_EXIT_TASK_SWITCH] = exit_task_switch,
		[VM_EXIT_NONE] = exit_none,
		[VM_EXIT_IO] = exit_io,
		[VM_EXIT_MMIO] = exit_mmio,
		[VM_EXIT_MSR] = exit_msr,
		[VM_EXIT_INTR_ACK] = exit_intr_ack,
		[VM_EXIT_EOI] = exit_eoi,
		[VM_EXIT_SHUTDOWN] = exit_shutdown,
		[VM_EXIT_UNKNOWN] = exit_fatal,
		[VM_EXIT_RAM_FAULT] = exit_fatal,
		[VM_EXIT_ENTRY_FAILED] = exit_fatal,
	};
	u32 reason = v->page->exit.reason;

	if (reason >= VM_EXIT_COUNT || !handlers[reason])
		exit_fatal(v);
	else
		handlers[reason](v);
}
