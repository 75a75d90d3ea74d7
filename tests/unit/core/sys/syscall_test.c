/* Tests of the system calls: who may call, what is checked, what comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/boot/machine.h"
#include "core/cpu/cpu.h"
#include "core/mem/frames.h"
#include "core/mem/layout.h"
#include "core/sys/process.h"
#include "core/sys/syscall.h"
#include "core/sys/vm_sys.h"
#include "core/virt/engine.h"
#include "lib/abi/layout.h"
#include "lib/x86/registers.h"
#include "tests/support/fake_backend.h"
#include "tests/support/fake_devices.h"
#include "tests/support/fake_insn.h"
#include "tests/support/fake_log.h"
#include "tests/support/fake_machine.h"

#define DATA	 FAKE_RING3_DATA
#define CODE	 FAKE_RING3_CODE
#define UNMAPPED 0x10000000UL

static struct process *supervisor;
static struct vm *vm;
static struct thread *vmm;

static const struct vm_request request = { .name = "a",
					   .memory_bytes = 4 * MIB,
					   .cpus = 1,
					   .kernel_module = 2,
					   .initrd_module = MANIFEST_NO_FILE,
					   .weight = MANIFEST_WEIGHT_DEFAULT,
					   .cpus_allowed = MANIFEST_ANY_CPU };

static u64 call_as(struct thread *t, u64 number, u64 a, u64 b)
{
	boot_cpu.current = t;
	t->state = THREAD_RUNNING;
	process_load(t->process);
	t->frame.rax = number;
	t->frame.rdi = a;
	t->frame.rsi = b;
	t->frame.rdx = 0;
	syscall_dispatch(t);
	return t->frame.rax;
}

static u64 call3(enum syscall_number number, u64 a, u64 b, u64 c)
{
	struct thread *t = process_main(supervisor);

	t->frame = (struct frame){ .rax = number, .rdi = a, .rsi = b, .rdx = c };
	syscall_dispatch(t);
	return t->frame.rax;
}

static u64 sup(enum syscall_number number, u64 a, u64 b)
{
	return call_as(process_main(supervisor), number, a, b);
}

static u64 guest(enum syscall_number number, u64 a, u64 b)
{
	return call_as(vmm, number, a, b);
}

static void *memory_of(struct process *p, u64 address, u64 bytes)
{
	struct paging_leaf leaf;

	assert_true(paging_find(&p->space, address, &leaf));
	return fake_physical(leaf.physical, bytes);
}

/* A supervisor, and a VM that was created by system calls; its VMM can call too. */
static int fresh(void **state)
{
	u32 *number;

	(void)state;
	fake_locks_drop();
	if (fake_machine_supervisor())
		return -1;
	fake_backend_reset();
	fake_devices = (struct fake_devices){ 0 };
	supervisor = process_supervisor();
	memcpy(memory_of(supervisor, DATA, sizeof(request)), &request, sizeof(request));
	number = memory_of(supervisor, DATA + 1024, 4);
	*number = 99;
	if (sup(SYSCALL_vm_create, DATA, DATA + 1024) || *number != 0)
		return -1;
	vm = vm_find(0);
	vmm = process_main(vm->process);
	return 0;
}

static int clear(void **state)
{
	(void)state;
	boot_cpu.current = NULL;
	fake_machine_clear();
	return 0;
}

/* --- who may call */

static void callers(void **state)
{
	enum { ANY, VMM, SUPERVISOR };
	static const int caller[] = {
#define SYSCALL(number, name, who) [number] = who,
#include "lib/abi/syscall.def"
#undef SYSCALL
	};

	(void)state;
	for (u32 i = 0; i < SYSCALL_COUNT; i++) {
		if (caller[i] == SUPERVISOR)
			assert_int_equal(guest(i, 0, 0), ERR_DENIED);
		if (caller[i] == VMM)
			assert_int_equal(sup(i, 0, 0), ERR_DENIED);
	}
	assert_ptr_equal(vm_find(0), vm); /* nothing happened */
	assert_int_equal(vm->process->status, PROCESS_RUNNING);
}

static void numbers_that_do_not_exist(void **state)
{
	static const u64 number[] = { SYSCALL_COUNT, 0xff, 0x100000000, BIT64(63), ~0ULL };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(number); i++) {
		assert_int_equal(call_as(process_main(supervisor), number[i], 0, 0), ERR_DENIED);
		assert_int_equal(call_as(vmm, number[i], 0, 0), ERR_DENIED);
	}
}

/* --- pointers */

static void pointers_are_checked(void **state)
{
	static const u64 bad[] = {
		0,
		UNMAPPED,
		DATA + PAGE_SIZE,
		DATA + PAGE_SIZE - 8,
		0x7fffffffffff,
		0x800000000000,
		0xffffffff80000000,
		~0ULL,
		~0ULL - 100,
		LAYOUT_HEAP,
	};
	u64 free_pages = frames_available();

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(sup(SYSCALL_vm_create, bad[i], DATA), ERR_FAULT);
		assert_int_equal(sup(SYSCALL_module_info, 0, bad[i]), ERR_FAULT);
		assert_int_equal(sup(SYSCALL_machine_info, bad[i], 0), ERR_FAULT);
		assert_int_equal(sup(SYSCALL_log_read, bad[i], 0), ERR_FAULT);
		assert_int_equal(sup(SYSCALL_cpu_info, 0, bad[i]), ERR_FAULT);
		assert_int_equal(sup(SYSCALL_log, bad[i], 20), ERR_FAULT);
		assert_int_equal(guest(SYSCALL_vcpu_get_state, 0, bad[i]), ERR_FAULT);
		assert_int_equal(guest(SYSCALL_vcpu_set_state, 0, bad[i]), ERR_FAULT);
	}
	assert_int_equal(frames_available(), free_pages);
}

static void read_only_memory_is_not_written(void **state)
{
	(void)state;
	assert_int_equal(sup(SYSCALL_machine_info, CODE, 0), ERR_FAULT);
	assert_int_equal(sup(SYSCALL_machine_info, SUPERVISOR_COUNTER_BASE, 0), ERR_FAULT);
	assert_int_equal(guest(SYSCALL_vcpu_get_state, 0, VMM_KERNEL_BASE), ERR_FAULT);
}

/* A VM whose number cannot be told is not kept. */
static void creation_with_a_bad_answer_address(void **state)
{
	u64 before;
	u32 second = 1;

	(void)state;
	assert_int_equal(sup(SYSCALL_vm_create, DATA, DATA + 1024), ERR_OK);
	assert_int_equal(sup(SYSCALL_vm_destroy, second, 0), ERR_OK);
	before = frames_available();
	assert_int_equal(sup(SYSCALL_vm_create, DATA, CODE), ERR_FAULT);
	assert_null(vm_find(1));
	assert_int_equal(frames_available(), before);
}

/* --- the supervisor's */

static void vm_numbers_are_checked(void **state)
{
	static const u64 number[] = { 1, 63, 64, 65, 0x100000000, ~0ULL };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(number); i++) {
		assert_int_equal(sup(SYSCALL_vm_ram_add, number[i], 0), ERR_NOT_FOUND);
		assert_int_equal(sup(SYSCALL_vm_start, number[i], 0), ERR_NOT_FOUND);
		assert_int_equal(sup(SYSCALL_vm_status, number[i], 0), PROCESS_NONE);
		assert_int_equal(sup(SYSCALL_vm_destroy, number[i], 0), ERR_NOT_FOUND);
		assert_int_equal(sup(SYSCALL_notify, number[i], 0), ERR_NOT_FOUND);
		assert_int_equal(sup(SYSCALL_vm_pause, number[i], 1), ERR_NOT_FOUND);
	}
}

/* All of its memory, in as many calls as that takes. */
static void ram_add_all(void)
{
	u64 err;

	do
		err = sup(SYSCALL_vm_ram_add, 0, 0);
	while (err == ERR_AGAIN);
	assert_int_equal(err, ERR_OK);
}

static void a_vms_life(void **state)
{
	(void)state;
	assert_int_equal(sup(SYSCALL_vm_status, 0, 0), PROCESS_RUNNING);
	ram_add_all();
	assert_int_equal(sup(SYSCALL_vm_start, 0, 0), ERR_OK);
	assert_int_equal(vmm->state, THREAD_READY);
	assert_int_equal(sup(SYSCALL_vm_start, 0, 0), ERR_EXISTS);
	sched_kill(vmm); /* out of the queue, to be played here */
	vm->process->status = PROCESS_RUNNING;
	vmm->killed = false;
	vmm->state = THREAD_RUNNING;
	(void)guest(SYSCALL_exit, 0, 0);
	assert_true(vmm->killed && boot_cpu.resched); /* it ends when it has left the processor */
	assert_int_equal(sup(SYSCALL_vm_status, 0, 0), PROCESS_EXITED);
	assert_int_equal(sup(SYSCALL_vm_destroy, 0, 0), ERR_AGAIN);
	boot_cpu.current = NULL;
	sched_kill(vmm);
	assert_int_equal(vmm->state, THREAD_DEAD);
	assert_int_equal(sup(SYSCALL_vm_start, 0, 0), ERR_EXISTS);
	assert_true(process_main(supervisor)->notified & NOTIFY_VM(0));
	assert_int_equal(sup(SYSCALL_vm_destroy, 0, 0), ERR_OK);
	assert_int_equal(sup(SYSCALL_vm_status, 0, 0), PROCESS_NONE);
}

static void modules(void **state)
{
	const struct module_info *info = memory_of(supervisor, DATA, sizeof(*info));

	(void)state;
	assert_int_equal(sup(SYSCALL_module_info, 1, DATA), ERR_OK);
	assert_string_equal(info->name, "vmm");
	assert_int_equal(info->bytes, 2 * PAGE_SIZE);
	assert_int_equal(info->address, 0);
	assert_int_equal(sup(SYSCALL_module_info, 2, DATA), ERR_OK);
	assert_int_equal(info->address, SUPERVISOR_MODULE_BASE);
	assert_int_equal(sup(SYSCALL_module_info, 3, DATA), ERR_NOT_FOUND);
	assert_int_equal(sup(SYSCALL_module_info, ~0ULL, DATA), ERR_NOT_FOUND);
	assert_int_equal(sup(SYSCALL_module_info, 0x100000000, DATA), ERR_NOT_FOUND);
}

static void console(void **state)
{
	(void)state;
	assert_int_equal(sup(SYSCALL_console_get, 0, 0), ~0ULL);
	fake_devices.serial_has_input = true;
	fake_devices.serial_input = 'x';
	assert_int_equal(sup(SYSCALL_console_get, 0, 0), 'x');
	assert_int_equal(sup(SYSCALL_console_put, 0x6261, 2), 2);
	assert_int_equal(fake_devices.serial_output, 'b');
	assert_int_equal(sup(SYSCALL_console_put, 0, ~0ULL), 8);
	assert_int_equal(sup(SYSCALL_console_put, 0, 0), 0);
	assert_int_equal(fake_devices.screen_count, 0);
	assert_int_equal(call3(SYSCALL_console_put, 0x6463, 2, 1), 2);
	assert_int_equal(fake_devices.screen_count, 2);
	assert_int_equal(fake_devices.screen_output, 'd');
}

static void pausing(void **state)
{
	(void)state;
	assert_int_equal(sup(SYSCALL_vm_start, 0, 0), ERR_OK);
	assert_int_equal(sup(SYSCALL_vm_pause, 0, 1), ERR_OK);
	assert_true(vm->process->paused);
	assert_int_equal(sup(SYSCALL_vm_status, 0, 0), PROCESS_RUNNING);
	assert_int_equal(sup(SYSCALL_vm_pause, 0, 0), ERR_OK);
	assert_false(vm->process->paused);
	assert_int_equal(sup(SYSCALL_vm_pause, 0, 0x100000000), ERR_OK); /* not zero */
	assert_true(vm->process->paused);
	assert_int_equal(sup(SYSCALL_vm_destroy, 0, 0), ERR_OK);
}

static void reading_the_log(void **state)
{
	struct log_part *part = memory_of(supervisor, DATA, sizeof(*part));

	(void)state;
	memcpy(memory_of(supervisor, DATA + 2048, 5), "abcde", 5);
	assert_int_equal(sup(SYSCALL_log, DATA + 2048, 5), ERR_OK);
	memset(part, 0x5a, sizeof(*part));
	part->from = 1;
	assert_int_equal(sup(SYSCALL_log_read, DATA, 0), ERR_OK);
	assert_int_equal(part->from, 5);
	assert_int_equal(part->bytes, 4);
	assert_memory_equal(part->text, "bcde",
			    5); /* zero behind it: nothing of the core's stack */
	assert_int_equal(part->text[LOG_PART_BYTES - 1], 0);
	assert_int_equal(sup(SYSCALL_log_read, DATA, 0), ERR_OK);
	assert_int_equal(part->bytes, 0);
	part->from = ~0ULL;
	assert_int_equal(sup(SYSCALL_log_read, DATA, 0), ERR_OK);
	assert_int_equal(part->bytes, 0);
	assert_int_equal(sup(SYSCALL_log_read, SUPERVISOR_COUNTER_BASE, 0), ERR_FAULT);
}

static void processors(void **state)
{
	struct cpu_info *info = memory_of(supervisor, DATA, sizeof(*info));

	(void)state;
	boot_cpu.apic_id = 5;
	boot_cpu.info.idle_tsc = 777;
	boot_cpu.info.supervisor_tsc = 888;
	boot_cpu.info.exits.record[3].detail = 0x1234567;
	assert_int_equal(sup(SYSCALL_cpu_info, 0, DATA), ERR_OK);
	assert_int_equal(info->idle_tsc, 777);
	assert_int_equal(info->supervisor_tsc, 888);
	assert_int_equal(info->apic_id, 5);
	assert_int_equal(info->exits.record[3].detail, 0x1234567);
	assert_int_equal(sup(SYSCALL_cpu_info, 1, DATA), ERR_NOT_FOUND);
	assert_int_equal(sup(SYSCALL_cpu_info, 0x100000000, DATA), ERR_NOT_FOUND);
	assert_int_equal(sup(SYSCALL_cpu_info, ~0ULL, DATA), ERR_NOT_FOUND);
}

/* It has booked nothing since then. */
static void a_processor_that_sleeps(void **state)
{
	struct cpu_info *info = memory_of(supervisor, DATA, sizeof(*info));
	struct cpu other = { .info.idle_tsc = 777, .booked = fake_insn.tsc - 1000 };

	(void)state;
	cpu_table[cpu_count++] = &other;
	assert_int_equal(sup(SYSCALL_cpu_info, 1, DATA), ERR_OK);
	cpu_count--;
	assert_int_equal(info->idle_tsc, 1777);
	assert_int_equal(other.info.idle_tsc, 777);
}

static void machine_facts(void **state)
{
	const struct machine_info *info = memory_of(supervisor, DATA, sizeof(*info));

	(void)state;
	assert_int_equal(sup(SYSCALL_machine_info, DATA, 0), ERR_OK);
	assert_int_equal(info->memory_total, frames_total() * PAGE_SIZE);
	assert_int_equal(info->memory_free, frames_available() * PAGE_SIZE);
	assert_int_equal(info->cpus, 1);
	assert_int_equal(info->quiet, 0);
	assert_string_equal(info->root_mode, backend->name);
}

static void switching_off(void **state)
{
	static const int reason[] = { MACHINE_DONE, MACHINE_VM_FAILED, MACHINE_REFUSED };
	jmp_buf off;

	(void)state;
	fake_log.on_off = &off;
	for (volatile u32 i = 0; i < ARRAY_SIZE(reason); i++) {
		if (setjmp(off) == 0)
			(void)sup(SYSCALL_machine_off, i, 0);
		assert_int_equal(fake_log.off_reason, reason[i]);
	}
	if (setjmp(off) == 0)
		(void)sup(SYSCALL_exit, 0, 0); /* nothing is left to run */
	assert_int_equal(fake_log.off_reason, MACHINE_PANICKED);
	fake_log.on_off = NULL;
}

/* --- everybody's */

static void log_lines_are_cleaned(void **state)
{
	char *text = memory_of(supervisor, DATA, 300);

	(void)state;
	memcpy(text, "a\x1b[2J\n\x80z", 8);
	assert_int_equal(sup(SYSCALL_log, DATA, 8), ERR_OK);
	assert_string_equal(fake_log.last, "a?[2J??z");
	assert_int_equal(sup(SYSCALL_log, DATA, 0), ERR_OK);
	assert_string_equal(fake_log.last, "");
	memset(text, 'x', 300);
	assert_int_equal(sup(SYSCALL_log, DATA, LOG_TEXT_MAX), ERR_OK);
	assert_int_equal(strlen(fake_log.last), LOG_TEXT_MAX);
	assert_int_equal(sup(SYSCALL_log, DATA, LOG_TEXT_MAX + 1), ERR_FAULT);
	assert_int_equal(sup(SYSCALL_log, DATA, ~0ULL), ERR_FAULT);
	memcpy(memory_of(vm->process, DATA, 2), "hi", 2);
	assert_int_equal(guest(SYSCALL_log, DATA, 2), ERR_OK);
	assert_string_equal(fake_log.last, "a: hi");
}

static void a_vmm_cannot_flood_the_log(void **state)
{
	u64 before, taken = 0;

	(void)state;
	memcpy(memory_of(vm->process, DATA, 2), "hi", 2);
	vm->log = (struct log_limit){ .since = fake_insn.tsc };
	before = fake_log.lines;
	for (u32 i = 0; i < 100; i++)
		taken += guest(SYSCALL_log, DATA, 2) == ERR_OK;
	assert_int_equal(taken, LOG_LIMIT_LINES);
	assert_int_equal(fake_log.lines, before + LOG_LIMIT_LINES);
	assert_int_equal(guest(SYSCALL_log, DATA, 2), ERR_AGAIN);
	(void)memory_of(supervisor, DATA, 2);
	for (u32 i = 0; i < 100; i++) /* who is not limited */
		assert_int_equal(sup(SYSCALL_log, DATA, 2), ERR_OK);
}

static void waiting(void **state)
{
	struct thread *t = process_main(supervisor);

	(void)state;
	t->notified = 5;
	(void)sup(SYSCALL_wait, WAIT_FOREVER, 0);
	assert_int_equal(t->state, THREAD_RUNNING);
	assert_true(t->waits);
	sched_finish_wait(t); /* as it runs again */
	assert_int_equal(t->frame.rax, 5);
	assert_false(t->waits);
	(void)sup(SYSCALL_wait, fake_insn.tsc + 1000, 0);
	assert_int_equal(t->state, THREAD_BLOCKED);
	assert_null(boot_cpu.current);
	assert_int_equal(boot_cpu.timers.first == &t->timer, true);
	sched_set_deadline(t, TIMER_NEVER);
	boot_cpu.current = t;
}

/* A deadline that has passed: others go first, without a detour by the timer. */
static void waiting_for_the_past(void **state)
{
	struct thread *t = process_main(supervisor);

	(void)state;
	(void)sup(SYSCALL_wait, 0, 0);
	assert_int_equal(t->state, THREAD_RUNNING);
	assert_false(boot_cpu.resched); /* nobody is there */
	ram_add_all();
	assert_int_equal(sup(SYSCALL_vm_start, 0, 0), ERR_OK);
	(void)sup(SYSCALL_wait, 1, 0);
	assert_int_equal(t->state, THREAD_RUNNING);
	assert_true(boot_cpu.resched && boot_cpu.yields);
	assert_int_equal(t->timer.deadline, TIMER_NEVER);
}

static void notifying(void **state)
{
	(void)state;
	process_main(supervisor)->notified = 0;
	assert_int_equal(sup(SYSCALL_notify, 0, 0), ERR_OK);
	assert_int_equal(vmm->notified, NOTIFY_SUPERVISOR);
	assert_int_equal(guest(SYSCALL_notify, 12345, 0), ERR_OK); /* a VMM has one to notify */
	assert_int_equal(process_main(supervisor)->notified, NOTIFY_VM(0));
}

/* --- the VMM's */

static const struct vcpu_state sound = { .rip = 0x1234 };

static void vcpu_state_in_and_out(void **state)
{
	struct vcpu_state *s = memory_of(vm->process, DATA, sizeof(*s));

	(void)state;
	*s = sound;
	assert_int_equal(guest(SYSCALL_vcpu_set_state, 0, DATA), ERR_OK);
	assert_int_equal(fake_backend.state.rip, 0x1234);
	s->rip = 0;
	assert_int_equal(guest(SYSCALL_vcpu_get_state, 0, DATA), ERR_OK);
	assert_int_equal(s->rip, 0x1234);
	s->cr4 = CR4_VMXE;
	s->rip = 0x9999;
	assert_int_equal(guest(SYSCALL_vcpu_set_state, 0, DATA), ERR_INVALID);
	assert_int_equal(fake_backend.state.rip, 0x1234);
	assert_int_equal(guest(SYSCALL_vcpu_get_state, 1, DATA), ERR_NOT_FOUND);
	assert_int_equal(guest(SYSCALL_vcpu_set_state, ~0ULL, DATA), ERR_NOT_FOUND);
}

static void running_and_breaking_the_contract(void **state)
{
	struct vcpu_page *page = vm->vcpus[0]->page;

	(void)state;
	page->reply = VCPU_REPLY_NONE;
	(void)guest(SYSCALL_vcpu_run, WAIT_FOREVER, 0);
	assert_true(vmm->in_guest);
	vmm->in_guest = false;
	page->reply = VCPU_REPLY_DONE;
	page->insn_length = 16;
	assert_int_equal(guest(SYSCALL_vcpu_run, WAIT_FOREVER, 0), ERR_INVALID);
	assert_int_equal(vm->process->status, PROCESS_KILLED);
	assert_true(vmm->killed && boot_cpu.resched);
	assert_false(vmm->in_guest);
}

static void apic_registers(void **state)
{
	(void)state;
	assert_int_equal(guest(SYSCALL_apic_write, 0xf0, 0x1ff), ERR_OK);
	assert_int_equal(guest(SYSCALL_apic_read, 0xf0, 0), 0x1ff);
	assert_int_equal(guest(SYSCALL_apic_write, 0x80, 0x20), ERR_OK);
	assert_int_equal(guest(SYSCALL_apic_read, 0x80 + 0x1000, 0), 0x20); /* twelve bits count */
	assert_int_equal(guest(SYSCALL_apic_write, 0x370, 0x43), ERR_OK);   /* errors interrupt */
	vm->vcpus[0]->events = false;
	assert_int_equal(guest(SYSCALL_apic_read, ~0ULL, 0), 0);
	assert_int_equal(lapic_pending(&vm->vcpus[0]->lapic), 0x43);
	assert_true(vm->vcpus[0]->events);
}

static void threads_of_vcpus(void **state)
{
	(void)state;
	assert_int_equal(guest(SYSCALL_thread_start, 0, CODE), ERR_INVALID); /* it runs */
	assert_int_equal(guest(SYSCALL_thread_start, 1, CODE), ERR_INVALID);
	assert_int_equal(guest(SYSCALL_thread_start, ~0ULL, CODE), ERR_INVALID);
}

/* A VM of two vCPUs in the place of the one with one. */
static void second_vcpu(void)
{
	struct vm_request *r = memory_of(supervisor, DATA, sizeof(*r));

	assert_int_equal(sup(SYSCALL_vm_destroy, 0, 0), ERR_OK);
	r->cpus = 2;
	assert_int_equal(sup(SYSCALL_vm_create, DATA, DATA + 1024), ERR_OK);
	vm = vm_find(0);
	vmm = process_main(vm->process);
}

/* Threads must not start just anywhere, and a vCPU has one. */
static void a_threads_entry_is_an_address_of_ring_3(void **state)
{
	static const u64 bad[] = { 0x800000000000, 0xffff7fffffffffff, ~0ULL, BIT64(63) };
	struct thread *second;

	(void)state;
	second_vcpu();
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(guest(SYSCALL_thread_start, 1, bad[i]), ERR_INVALID);
	assert_null(vm->vcpus[1]->thread);
	assert_int_equal(guest(SYSCALL_thread_start, 1, CODE), ERR_OK);
	second = vm->process->threads[1];
	assert_ptr_equal(vm->vcpus[1]->thread, second);
	assert_ptr_equal(second->vcpu, vm->vcpus[1]);
	assert_int_equal(second->state, THREAD_READY);
	assert_int_equal(second->frame.rip, CODE);
	assert_int_equal(second->frame.rdi, 1);
	assert_int_equal(guest(SYSCALL_thread_start, 1, CODE), ERR_INVALID);
	assert_int_equal(guest(SYSCALL_thread_start, 2, CODE), ERR_INVALID);
}

/* The first thread may prepare a vCPU until that has a thread; then it is nobody else's business.
 */
static void state_of_another_vcpu(void **state)
{
	struct vcpu_state *s;

	(void)state;
	second_vcpu();
	s = memory_of(vm->process, DATA, sizeof(*s));
	*s = sound;
	assert_int_equal(guest(SYSCALL_vcpu_set_state, 1, DATA), ERR_OK);
	assert_int_equal(guest(SYSCALL_vcpu_get_state, 1, DATA), ERR_OK);
	assert_int_equal(guest(SYSCALL_thread_start, 1, CODE), ERR_OK);
	assert_int_equal(guest(SYSCALL_vcpu_get_state, 1, DATA), ERR_NOT_FOUND);
	assert_int_equal(guest(SYSCALL_vcpu_set_state, 1, DATA), ERR_NOT_FOUND);
	assert_int_equal(guest(SYSCALL_vcpu_get_state, 0, DATA), ERR_OK);
	sched_kill(vm->process->threads[1]); /* out of the queue, to be played here */
	assert_int_equal(call_as(vm->process->threads[1], SYSCALL_vcpu_set_state, 0, DATA),
			 ERR_NOT_FOUND);
	assert_int_equal(call_as(vm->process->threads[1], SYSCALL_vcpu_set_state, 1, DATA), ERR_OK);
}

/* Each thread has the registers of its own local APIC. */
static void each_thread_has_its_local_apic(void **state)
{
	(void)state;
	second_vcpu();
	assert_int_equal(guest(SYSCALL_thread_start, 1, CODE), ERR_OK);
	sched_kill(vm->process->threads[1]);
	assert_int_equal(call_as(vm->process->threads[1], SYSCALL_apic_read, 0x20, 0), 1U << 24);
	assert_int_equal(call_as(vm->process->threads[1], SYSCALL_apic_write, 0xf0, 0x1ff), ERR_OK);
	assert_int_equal(call_as(vm->process->threads[1], SYSCALL_apic_write, 0x80, 0x20), ERR_OK);
	assert_int_equal(guest(SYSCALL_apic_read, 0x20, 0), 0);
	assert_int_equal(guest(SYSCALL_apic_read, 0x80, 0), 0);
}

/* Any thread can end the process, and all of them end with it. */
static void a_process_ends_with_all_its_threads(void **state)
{
	struct thread *second;

	(void)state;
	second_vcpu();
	assert_int_equal(guest(SYSCALL_thread_start, 1, CODE), ERR_OK);
	second = vm->process->threads[1];
	sched_kill(second);
	vmm->in_guest = true;
	sched_block(vmm); /* its vCPU is in HLT */
	timer_set(&vm->vcpus[0]->timer, 1000);
	(void)call_as(second, SYSCALL_exit, 0, 0);
	assert_int_equal(vmm->state, THREAD_DEAD);
	assert_true(second->killed && boot_cpu.resched);
	boot_cpu.current = NULL;
	sched_kill(second); /* as sched_run() ends it */
	timer_interrupt();  /* the vCPU's timer finds nobody to wake */
	assert_int_equal(vmm->state, THREAD_DEAD);
	assert_int_equal(sup(SYSCALL_vm_status, 0, 0), PROCESS_EXITED);
	assert_int_equal(sup(SYSCALL_vm_destroy, 0, 0), ERR_OK);
}

static void interrupts_from_the_vmm(void **state)
{
	(void)state;
	assert_int_equal(guest(SYSCALL_apic_write, 0xf0, 0x1ff), ERR_OK);
	assert_int_equal(guest(SYSCALL_msi, 0xfee00000, 0x41), ERR_OK);
	assert_int_equal(lapic_pending(&vm->vcpus[0]->lapic), 0x41);
	assert_int_equal(guest(SYSCALL_intr_line, 2, 0), ERR_OK);
	assert_true(vm->intr_line);
	assert_int_equal(guest(SYSCALL_intr_line, 0, 0), ERR_OK);
	assert_false(vm->intr_line);
}

static void a_fault_kills_the_process_only(void **state)
{
	(void)state;
	boot_cpu.current = vmm;
	vmm->state = THREAD_RUNNING;
	vmm->frame.vector = EXC_PF;
	process_fault(vmm);
	assert_int_equal(vm->process->status, PROCESS_KILLED);
	assert_true(boot_cpu.current->killed && boot_cpu.resched);
	assert_int_equal(supervisor->status, PROCESS_RUNNING);
	/* Stopped already: it stays as it ended. */
	process_stop(vm->process, PROCESS_EXITED);
	assert_int_equal(vm->process->status, PROCESS_KILLED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(callers, fresh, clear),
		cmocka_unit_test_setup_teardown(numbers_that_do_not_exist, fresh, clear),
		cmocka_unit_test_setup_teardown(pointers_are_checked, fresh, clear),
		cmocka_unit_test_setup_teardown(read_only_memory_is_not_written, fresh, clear),
		cmocka_unit_test_setup_teardown(creation_with_a_bad_answer_address, fresh, clear),
		cmocka_unit_test_setup_teardown(vm_numbers_are_checked, fresh, clear),
		cmocka_unit_test_setup_teardown(a_vms_life, fresh, clear),
		cmocka_unit_test_setup_teardown(modules, fresh, clear),
		cmocka_unit_test_setup_teardown(console, fresh, clear),
		cmocka_unit_test_setup_teardown(pausing, fresh, clear),
		cmocka_unit_test_setup_teardown(reading_the_log, fresh, clear),
		cmocka_unit_test_setup_teardown(processors, fresh, clear),
		cmocka_unit_test_setup_teardown(a_processor_that_sleeps, fresh, clear),
		cmocka_unit_test_setup_teardown(machine_facts, fresh, clear),
		cmocka_unit_test_setup_teardown(switching_off, fresh, clear),
		cmocka_unit_test_setup_teardown(log_lines_are_cleaned, fresh, clear),
		cmocka_unit_test_setup_teardown(a_vmm_cannot_flood_the_log, fresh, clear),
		cmocka_unit_test_setup_teardown(waiting, fresh, clear),
		cmocka_unit_test_setup_teardown(waiting_for_the_past, fresh, clear),
		cmocka_unit_test_setup_teardown(notifying, fresh, clear),
		cmocka_unit_test_setup_teardown(vcpu_state_in_and_out, fresh, clear),
		cmocka_unit_test_setup_teardown(running_and_breaking_the_contract, fresh, clear),
		cmocka_unit_test_setup_teardown(apic_registers, fresh, clear),
		cmocka_unit_test_setup_teardown(threads_of_vcpus, fresh, clear),
		cmocka_unit_test_setup_teardown(a_threads_entry_is_an_address_of_ring_3, fresh,
						clear),
		cmocka_unit_test_setup_teardown(state_of_another_vcpu, fresh, clear),
		cmocka_unit_test_setup_teardown(each_thread_has_its_local_apic, fresh, clear),
		cmocka_unit_test_setup_teardown(a_process_ends_with_all_its_threads, fresh, clear),
		cmocka_unit_test_setup_teardown(interrupts_from_the_vmm, fresh, clear),
		cmocka_unit_test_setup_teardown(a_fault_kills_the_process_only, fresh, clear),
	};

	fake_machine_start(32 * MIB);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
