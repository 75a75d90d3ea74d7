/*
 * The whole core above the vendor seam under hostile ring-3 programs and guests: the input decides
 * what every stay in ring 3 does (any system call with any arguments, a fault, nothing), what the
 * guests' exits look like, what lies in the shared pages, when memory is short, and how time
 * passes. After each step the books of physical memory must balance, and at the end nothing of any
 * VM may be left.
 */
#include <stdlib.h>
#include <string.h>

#include "core/cpu/apic.h"
#include "core/cpu/cpu.h"
#include "core/mem/audit.h"
#include "core/mem/frames.h"
#include "core/mem/layout.h"
#include "core/sys/process.h"
#include "core/sys/vm_sys.h"
#include "core/virt/vm.h"
#include "lib/abi/layout.h"
#include "lib/base/cursor.h"
#include "lib/x86/registers.h"
#include "tests/support/fake_backend.h"
#include "tests/support/fake_devices.h"
#include "tests/support/fake_insn.h"
#include "tests/support/fake_log.h"
#include "tests/support/fake_machine.h"
#include "tests/support/fake_ring3.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define MEMORY_BYTES (12 * MIB)
#define STEPS_MAX    300
#define CHECK_STEPS  8			/* counting every page takes long */
#define HOARD_OWNER  (FRAME_MODULE + 1) /* takes memory away from everybody else */

static struct cursor input;
static u32 steps;
static jmp_buf done;

static void demand(bool fact)
{
	if (!fact)
		abort();
}

/* The run ends with the input. */
static u8 take_u8(void)
{
	u8 value = 0;

	if (!cursor_read_u8(&input, &value))
		longjmp(done, 1);
	return value;
}

static u32 take_u32(void)
{
	u32 value = 0;

	if (!cursor_read_u32(&input, &value))
		longjmp(done, 1);
	return value;
}

static u64 take_u64(void)
{
	u64 value = 0;

	if (!cursor_read_u64(&input, &value))
		longjmp(done, 1);
	return value;
}

/* Mostly what means something; the rest anything. */
static u64 take_argument(void)
{
	static const u64 known[] = {
		0,
		1,
		2,
		63,
		64,
		FAKE_RING3_DATA,
		FAKE_RING3_DATA + 256,
		FAKE_RING3_DATA + PAGE_SIZE - 4,
		FAKE_RING3_CODE,
		VMM_VCPU_BASE,
		VMM_CHANNEL_BASE,
		VMM_RAM_BASE,
		VMM_RAM_BASE + 2 * MIB - 8,
		SUPERVISOR_CHANNEL_BASE,
		SUPERVISOR_COUNTER_BASE,
		RING3_STACK_TOP - 16,
		LAYOUT_USER_END - 8,
		LAYOUT_USER_END,
		LAYOUT_HEAP,
		0xfee00000,
		0xf0,
		0x300,
		0x310,
		0x320,
		0x380,
		WAIT_FOREVER,
	};
	u8 kind = take_u8();

	if (kind < ARRAY_SIZE(known))
		return known[kind];
	if (kind == 255)
		return take_u64();
	return kind % 2 ? fake_insn.tsc + take_u32() : take_u32();
}

/* --- invariants */

static void check_threads(void)
{
	const struct thread *current = boot_cpu.current;

	demand(!current || current->state == THREAD_RUNNING);
	demand(fake_insn.cr3 != 0);
	for (u32 i = 0; i < VM_MAX; i++) {
		const struct vm *vm = vm_find(i);

		if (!vm)
			continue;
		demand(vm->number == i && vm->process->vm == vm);
		for (u32 j = 0; j < vm->vcpu_count; j++) {
			const struct vcpu *v = vm->vcpus[j];

			demand(v->vm == vm && v->thread == vm->process->threads[j]);
			demand(!v->thread || v->thread->vcpu == v);
			if (v->thread && vm->process->status != PROCESS_RUNNING)
				demand(v->thread->state == THREAD_DEAD &&
				       v->thread->timer.deadline == TIMER_NEVER);
		}
	}
}

/* Every page that a process can reach is its own, a module's, or shared with it on purpose. */
static void check_reach(const struct process *p, u64 address, const struct vm *of)
{
	struct paging_leaf leaf;
	frame_owner_t owner;

	if (!paging_find(&p->space, address, &leaf))
		return;
	owner = frames_owner(leaf.physical);
	demand(owner == (of ? process_owner(of->process) : process_owner(p)) ||
	       (owner == FRAME_MODULE && !(leaf.entry & PTE_WRITE)));
}

static void check_vm(const struct process *supervisor, const struct vm *vm)
{
	struct paging_leaf leaf;
	const u64 ram = vm->low_bytes ? vm->low_bytes - PAGE_SIZE : 0;

	check_reach(vm->process, FAKE_RING3_DATA, NULL);
	check_reach(vm->process, VMM_CHANNEL_BASE, NULL);
	check_reach(vm->process, VMM_VCPU_BASE, NULL);
	check_reach(vm->process, VMM_KERNEL_BASE, NULL);
	check_reach(vm->process, VMM_RAM_BASE, NULL);
	check_reach(vm->process, VMM_RAM_BASE + ram, NULL);
	demand(!paging_find(&vm->process->space, VMM_RAM_BASE + vm->low_bytes, &leaf));
	if (paging_find(&vm->stage2, ram, &leaf))
		demand(frames_owner(leaf.physical) == process_owner(vm->process) &&
		       vm_is_ram(vm, GPA(ram)));
	demand(!paging_find(&vm->stage2, vm->low_bytes, &leaf));
	demand(!paging_find(&vm->stage2, VM_VGA_HOLE, &leaf));
	check_reach(supervisor, SUPERVISOR_CHANNEL_BASE + vm->number * SUPERVISOR_CHANNEL_STEP, vm);
	check_reach(supervisor, SUPERVISOR_COUNTER_BASE + vm->number * SUPERVISOR_COUNTER_STEP, vm);
}

static void check_machine(void)
{
	const struct process *supervisor = process_supervisor();
	struct paging_leaf leaf;

	if (steps % CHECK_STEPS == 0)
		fake_machine_check();
	check_threads();
	for (u32 i = 0; i < VM_MAX; i++) {
		if (vm_find(i)) {
			check_vm(supervisor, vm_find(i));
			continue;
		}
		demand(!paging_find(&supervisor->space,
				    SUPERVISOR_CHANNEL_BASE + i * SUPERVISOR_CHANNEL_STEP, &leaf));
		demand(!paging_find(&supervisor->space,
				    SUPERVISOR_COUNTER_BASE + i * SUPERVISOR_COUNTER_STEP, &leaf));
	}
}

/* --- what happens */

static void step(void)
{
	if (++steps > STEPS_MAX)
		longjmp(done, 1);
	check_machine();
}

static void pass_time(void)
{
	if (boot_cpu.timers.first && take_u8() % 2 == 0)
		fake_insn.tsc = max_u64(fake_insn.tsc, boot_cpu.timers.first->deadline);
	else
		fake_insn.tsc += take_u32();
	timer_interrupt();
}

static void interrupt(void)
{
	if (take_u8() % 4 == 0)
		sched_console_input();
	else
		pass_time();
}

static void idle(void)
{
	step();
	interrupt();
}

static void hoard(void)
{
	u32 left = take_u8();
	hpa_t page;

	(void)frames_free_all(HOARD_OWNER);
	while (left < 200 && frames_available() > left) {
		if (frames_alloc(HOARD_OWNER, 1, 1, &page))
			break;
	}
}

/* A program writes into its memory; for the supervisor mostly something like a request. */
static void scribble(struct process *p)
{
	u8 size = take_u8();
	struct vm_request request = { .name = "fuzz",
				      .memory_bytes = (1 + size % 4) * 2 * MIB,
				      .cpus = 1 + size / 4 % 4,
				      .kernel_module = take_u8() % 4,
				      .initrd_module = MANIFEST_NO_FILE,
				      .weight = MANIFEST_WEIGHT_DEFAULT,
				      .cpus_allowed = MANIFEST_ANY_CPU };
	u8 change = take_u8();

	if (change < sizeof(request))
		((u8 *)&request)[change] = take_u8();
	demand(user_write(p, FAKE_RING3_DATA, &request, sizeof(request)));
}

static void scribble_vcpu_page(struct process *p)
{
	struct vcpu_page page;
	u64 at;
	u8 reply;

	if (!p->vm)
		return;
	reply = take_u8();
	at = VMM_VCPU_BASE + reply / (VCPU_REPLY_COUNT + 1) % p->vm->vcpu_count * PAGE_SIZE;
	demand(user_read(p, at, &page, sizeof(page)));
	page.reply = reply % (VCPU_REPLY_COUNT + 1);
	page.insn_length = take_u8() % 18;
	page.vector = take_u8();
	page.set_rflags = take_u8();
	for (u32 i = 0; i < 4; i++)
		page.gpr[take_u8() % GPR_COUNT] = take_u64();
	demand(user_write(p, at, &page, sizeof(page)));
}

static void system_call(struct frame *f)
{
	f->rax = take_u8() % (SYSCALL_COUNT + 1);
	f->rdi = take_argument();
	f->rsi = take_argument();
	f->rdx = take_argument();
	f->vector = VECTOR_SYSCALL;
}

static void ring3(struct frame *f)
{
	struct process *p = boot_cpu.current->process;

	step();
	demand(f == &boot_cpu.current->frame);
	demand(p->status == PROCESS_RUNNING && !p->paused);
	demand(p->share.weight >= 1 && p->share.weight <= MANIFEST_WEIGHT_MAX);
	demand(p->share.cap_percent <= MANIFEST_CAP_MAX);
	demand((p->share.allowed & BIT64(boot_cpu.index)) != 0);
	demand(fake_insn.cr3 == p->space.root.raw);
	demand(f->rip < LAYOUT_USER_END && (f->cs & 3) == 3);
	f->vector = VECTOR_KICK;
	switch (take_u8() % 12) {
	case 0:
		f->vector = VECTOR_TIMER;
		fake_insn.tsc += take_u32();
		break;
	case 1:
		f->vector = VECTOR_SERIAL;
		break;
	case 2:
		scribble(p);
		break;
	case 3:
		scribble_vcpu_page(p);
		break;
	case 4:
		f->vector = take_u8() % 32; /* a fault; the supervisor's ends the run */
		break;
	case 5:
		hoard();
		break;
	default:
		system_call(f);
		break;
	}
}

static u32 take_msr(void)
{
	static const u32 known[] = {
		MSR_IA32_TSC,
		MSR_IA32_APIC_BASE,
		MSR_IA32_MTRR_PHYSBASE0,
		MSR_IA32_MTRR_PHYSBASE0 + 15,
		MSR_IA32_MTRR_FIX64K,
		MSR_IA32_MTRR_FIX4K_C000 + 7,
		MSR_IA32_PAT,
		MSR_IA32_MTRR_DEF_TYPE,
		MSR_IA32_TSC_DEADLINE,
		MSR_IA32_EFER,
		MSR_IA32_MTRRCAP,
	};
	u8 kind = take_u8();

	if (kind < ARRAY_SIZE(known))
		return known[kind];
	return kind < 128 ? MSR_IA32_X2APIC_FIRST + (kind & 0x3f) : take_u32();
}

/* What the processor says when a guest has run; a guest has no influence on the kinds. */
static void guest_exit(struct vm_exit *exit)
{
	exit->reason = take_u8() % VM_EXIT_COUNT;
	exit->insn_length = take_u8() % 16;
	exit->unknown.code = take_argument();
	exit->unknown.info1 = take_argument();
	if (exit->reason == VM_EXIT_MSR) {
		exit->msr.index = take_msr();
		exit->msr.write = exit->insn_length & 1;
	}
	if (exit->reason == VM_EXIT_EXCEPTION)
		exit->exception.vector %= EXC_COUNT;
}

static void guest(struct vcpu *v)
{
	u8 what;

	step();
	demand(fake_insn.cr3 == v->vm->process->space.root.raw);
	demand(boot_cpu.resident == v && !v->parked && !v->init_pending);
	demand(!v->vm->process->paused);
	v->exit = (struct vm_exit){ 0 };
	guest_exit(&v->exit);
	what = take_u8();
	if ((what & 15) == 15)
		v->reinject = (struct event){ EVENT_EXCEPTION, take_u8() % EXC_COUNT, false, 0 };
	if (v->offered >= 0 && (what & 16))
		v->offer_taken = true;
	fake_backend.nmi_window = (what & 32) != 0;
	fake_backend.intr_window = (what & 64) != 0;
	fake_backend.interrupts_enabled = fake_backend.intr_window || (what & 128) != 0;
}

/* So that not every input must find out how to start one. */
static void vm_running(u32 cpus)
{
	const struct vm_request request = { .name = "fuzz",
					    .memory_bytes = 2 * MIB,
					    .cpus = cpus,
					    .kernel_module = 2,
					    .initrd_module = MANIFEST_NO_FILE,
					    .weight = MANIFEST_WEIGHT_DEFAULT,
					    .cpus_allowed = MANIFEST_ANY_CPU };
	enum err err;
	u32 number;

	if (vm_create(&request, &number))
		return;
	do
		err = vm_ram_add(vm_find(number));
	while (err == ERR_AGAIN);
	if (err)
		return;
	sched_start(process_main(vm_find(number)->process));
	for (u32 i = 1; i < cpus; i++)
		demand(process_thread_start(vm_find(number)->process, i, vm_find(number)->vcpus[i],
					    FAKE_RING3_CODE) == ERR_OK);
}

static void machine_start(void)
{
	static bool started;

	if (started)
		return;
	started = true;
	fake_machine_start(MEMORY_BYTES);
	fake_insn.on_wait = idle;
	fake_insn.on_interrupt = interrupt;
	fake_ring3 = ring3;
	fake_log.on_off = &done;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	machine_start();
	fake_backend_reset();
	fake_backend.on_run = guest;
	input = cursor_over(data, size);
	steps = 0;
	boot_cpu.current = NULL;
	demand(fake_machine_supervisor() == ERR_OK);
	if (setjmp(done) == 0) {
		u8 vms = take_u8();

		for (u32 i = vms % 3; i > 0; i--)
			vm_running(1 + vms / 3 % 3);
		sched_run();
	}
	fake_locks_drop();
	demand(audit_run() == 0); /* whatever happened, nobody reaches what is another's */
	(void)frames_free_all(HOARD_OWNER);
	fake_machine_clear();
	return 0;
}
