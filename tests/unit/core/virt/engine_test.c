/* Tests of the engine: each exit's verdict, what reaches the VMM, and the VMM's answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/cpu/cpu.h"
#include "core/sched/sched.h"
#include "core/sys/process.h"
#include "core/virt/engine.h"
#include "core/virt/resident.h"
#include "lib/x86/registers.h"
#include "tests/support/fake_backend.h"
#include "tests/support/fake_insn.h"
#include "tests/support/fake_log.h"

#define LENGTH 3U

static struct vm vm;
static struct vcpu vcpu;
static struct process process = { .share = { .weight = 1, .allowed = 1 } };
static struct thread thread;
static struct vcpu_counters counters;
static struct vcpu_page page;
static struct cpuid_table cpuid_values;
static u8 fpu[4096] ALIGNED(64);
static struct vm_exit next_exit;
static u32 runs;

static struct cpuid_values host_cpuid(u32 leaf, u32 subleaf)
{
	(void)subleaf;
	return (struct cpuid_values){ leaf == 0 ? 0xd : 0, 0, 0, 0 };
}

/* One exit as set, then a notification ends the run. */
static void run_once(struct vcpu *v)
{
	runs++;
	v->exit = next_exit;
	sched_notify(&thread, 1);
}

static int fresh(void **state)
{
	(void)state;
	fake_insn_reset();
	fake_backend_reset();
	fake_backend.on_run = run_once;
	cpu_features = (struct cpu_features){ .xcr0 = 0xe7 };
	memset(&counters, 0, sizeof(counters));
	memset(&page, 0, sizeof(page));
	cpuid_table_build(&cpuid_values,
			  &(struct cpuid_request){ .cpus = 1, .tsc_khz = 1, .host = host_cpuid });
	vm = (struct vm){ .name = "a", .vcpu_count = 1, .vcpus = { &vcpu } };
	thread = (struct thread){ .process = &process,
				  .home = &boot_cpu,
				  .state = THREAD_RUNNING,
				  .in_guest = true,
				  .vcpu = &vcpu };
	timer_init(&thread.timer, NULL);
	vcpu = (struct vcpu){ .vm = &vm,
			      .thread = &thread,
			      .page = &page,
			      .counters = &counters,
			      .cpuid = &cpuid_values,
			      .events = true,
			      .offered = OFFER_NONE,
			      .extint = -1,
			      .startup = -1,
			      .eoi_pending = -1,
			      .fpu = fpu };
	timer_init(&vcpu.timer, NULL);
	lapic_init(&vcpu.lapic, 0, true);
	lapic_set_virtual_wire(&vcpu.lapic);
	msr_state_init(&vcpu.msr);
	boot_cpu.current = &thread;
	boot_cpu.resident = &vcpu; /* its registers are loaded: no FPU instruction is needed */
	next_exit = (struct vm_exit){ .insn_length = LENGTH };
	runs = 0;
	return 0;
}

static void run(enum vm_exit_reason reason)
{
	next_exit.reason = reason;
	thread.in_guest = true;
	thread.notified = 0;
	engine_run(&vcpu);
	assert_int_equal(counters.exits[reason], 1);
}

static bool left_to_vmm(void)
{
	return counters.to_vmm == 1 && !thread.in_guest;
}

static void an_unknown_exit_reaches_the_vmm(void **state)
{
	static const enum vm_exit_reason reasons[] = {
		VM_EXIT_UNKNOWN,   VM_EXIT_ENTRY_FAILED, VM_EXIT_SHUTDOWN,
		VM_EXIT_RAM_FAULT, VM_EXIT_IO,		 VM_EXIT_MMIO,
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(reasons); i++) {
		fresh(NULL);
		next_exit.unknown.info1 = 0x1234;
		run(reasons[i]);
		assert_true(left_to_vmm());
		assert_int_equal(page.exit.reason, reasons[i]);
		assert_int_equal(page.exit.unknown.info1, 0x1234);
		assert_int_equal(page.exit.insn_length, LENGTH);
		assert_int_equal(fake_backend.insn_count, 0);
	}
}

/* A VMM that runs on after such an exit, again and again. */
static void stops_do_not_flood_the_log(void **state)
{
	u64 before = fake_log.lines;

	(void)state;
	next_exit.reason = VM_EXIT_SHUTDOWN;
	for (u32 i = 0; i < 100; i++) {
		thread.in_guest = true;
		thread.notified = 0;
		engine_run(&vcpu);
	}
	assert_int_equal(counters.to_vmm, 100);
	assert_int_equal(fake_log.lines, before + LOG_LIMIT_LINES);
}

static void the_emulator_gets_the_state(void **state)
{
	(void)state;
	fake_backend.state.rip = 0x7777;
	run(VM_EXIT_MMIO);
	assert_int_equal(page.state.rip, 0x7777);
	fresh(NULL);
	fake_backend.state.rip = 0x7777;
	run(VM_EXIT_TASK_SWITCH);
	assert_int_equal(page.state.rip, 0x7777);
	assert_true(left_to_vmm());
	fresh(NULL);
	fake_backend.state.rip = 0x7777;
	run(VM_EXIT_IO);
	assert_int_equal(page.state.rip, 0); /* IN and OUT need nothing */
	fresh(NULL);
	fake_backend.state.rip = 0x7777;
	next_exit.io.string = 1;
	run(VM_EXIT_IO);
	assert_int_equal(page.state.rip, 0x7777);
}

static void finished_in_the_core(void **state)
{
	static const enum vm_exit_reason reasons[] = { VM_EXIT_CPUID, VM_EXIT_CACHE,
						       VM_EXIT_PAUSE };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(reasons); i++) {
		fresh(NULL);
		run(reasons[i]);
		assert_int_equal(counters.to_vmm, 0);
		assert_int_equal(fake_backend.insn_count, 1);
		assert_int_equal(fake_backend.insn_length, LENGTH);
		assert_int_equal(page.exit.reason, VM_EXIT_NONE); /* the notification */
		assert_int_equal(thread.frame.rax, 1);
	}
}

static void nothing_to_finish(void **state)
{
	static const enum vm_exit_reason reasons[] = { VM_EXIT_NONE, VM_EXIT_INTERRUPT,
						       VM_EXIT_HOST_NMI, VM_EXIT_WINDOW,
						       VM_EXIT_IRET };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(reasons); i++) {
		fresh(NULL);
		run(reasons[i]);
		assert_int_equal(fake_backend.insn_count, 0);
		assert_int_equal(counters.to_vmm, 0);
		assert_int_equal(vcpu.pending.type, EVENT_NONE);
	}
}

/* One exit as set, then the processor is wanted otherwise. */
static void run_until_resched(struct vcpu *v)
{
	v->exit = next_exit;
	boot_cpu.resched = true;
}

static void a_window_decides_again(void **state)
{
	static const struct {
		enum vm_exit_reason reason;
		bool looks;
	} rows[] = {
		{ VM_EXIT_INTERRUPT, false }, { VM_EXIT_HOST_NMI, false }, { VM_EXIT_CPUID, false },
		{ VM_EXIT_WINDOW, true },     { VM_EXIT_IRET, true },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		fresh(NULL);
		fake_backend.on_run = run_until_resched;
		run(rows[i].reason);
		boot_cpu.resched = false;
		assert_true(thread.in_guest);
		assert_int_equal(vcpu.events, rows[i].looks);
	}
}

static u32 interrupts_taken;

static void take(void)
{
	interrupts_taken++;
}

static void a_host_interrupt_is_taken(void **state)
{
	(void)state;
	interrupts_taken = 0;
	fake_insn.on_interrupt = take;
	run(VM_EXIT_INTERRUPT);
	assert_int_equal(interrupts_taken, 1);
}

static void refusals(void **state)
{
	(void)state;
	run(VM_EXIT_REFUSED);
	assert_int_equal(vcpu.pending.vector, EXC_UD);
	assert_false(vcpu.pending.has_error);
	assert_int_equal(fake_backend.insn_count, 0); /* a fault: RIP stays */
	fresh(NULL);
	run(VM_EXIT_REFUSED_GP);
	assert_int_equal(vcpu.pending.vector, EXC_GP);
	assert_true(vcpu.pending.has_error);
	assert_int_equal(vcpu.pending.error, 0);
}

static void an_intercepted_exception_goes_to_the_guest(void **state)
{
	(void)state;
	next_exit.exception.vector = EXC_AC;
	next_exit.exception.has_error = 1;
	next_exit.exception.error = 0;
	run(VM_EXIT_EXCEPTION);
	assert_int_equal(vcpu.pending.vector, EXC_AC);
	assert_true(vcpu.pending.has_error);
	assert_int_equal(fake_backend.insn_count, 0);
}

static void a_step_trap_follows_the_instruction(void **state)
{
	(void)state;
	fake_backend.step_trap = true;
	run(VM_EXIT_CPUID);
	assert_int_equal(vcpu.pending.vector, EXC_DB);
}

static void cpuid_goes_through_the_registers(void **state)
{
	(void)state;
	page.gpr[GPR_RAX] = 0xffffffff40000000; /* the upper half is ignored */
	page.gpr[GPR_RCX] = ~0ULL;
	run(VM_EXIT_CPUID);
	assert_int_equal(page.gpr[GPR_RAX], 0x40000010);
	assert_int_equal(page.gpr[GPR_RBX], 0x676e6952); /* "Ring" */
	assert_int_equal(page.gpr[GPR_RDX] >> 32, 0);
}

/* --- MSRs */

static void msr(u32 index, bool write, u64 value)
{
	next_exit.msr.index = index;
	next_exit.msr.write = write;
	next_exit.msr.value = value;
	page.gpr[GPR_RAX] = page.gpr[GPR_RDX] = 0xaaaaaaaaaaaaaaaa;
	run(VM_EXIT_MSR);
}

static void an_msr_without_a_row_is_gp(void **state)
{
	(void)state;
	for (u32 write = 0; write < 2; write++) {
		fresh(NULL);
		msr(0x12345, write, 0);
		assert_int_equal(vcpu.pending.vector, EXC_GP);
		assert_int_equal(fake_backend.insn_count, 0);
		assert_int_equal(page.gpr[GPR_RAX], 0xaaaaaaaaaaaaaaaa);
	}
}

static void a_fixed_msr(void **state)
{
	(void)state;
	msr(MSR_IA32_MTRRCAP, false, 0);
	assert_int_equal(page.gpr[GPR_RAX], 0x508);
	assert_int_equal(page.gpr[GPR_RDX], 0);
	fresh(NULL);
	msr(MSR_IA32_MTRRCAP, true, 1);
	assert_int_equal(vcpu.pending.type, EVENT_NONE);
	assert_int_equal(fake_backend.insn_count, 1);
}

static void an_emulated_msr(void **state)
{
	(void)state;
	fake_backend.pat = 0x0123456789abcdef;
	msr(MSR_IA32_PAT, false, 0);
	assert_int_equal(page.gpr[GPR_RAX], 0x89abcdef);
	assert_int_equal(page.gpr[GPR_RDX], 0x01234567);
	fresh(NULL);
	msr(MSR_IA32_PAT, true, 2);
	assert_int_equal(vcpu.pending.vector, EXC_GP);
}

/* An MSR that never exits by the policy: if it does, the guest must not get at the host's. */
static void a_passed_msr_that_exits_anyway(void **state)
{
	(void)state;
	for (u32 write = 0; write < 2; write++) {
		fresh(NULL);
		msr(MSR_IA32_LSTAR, write, 5);
		assert_int_equal(vcpu.pending.vector, EXC_GP);
	}
}

static void cr8_is_the_priority(void **state)
{
	(void)state;
	for (u64 value = 0; value < 40; value++) {
		fresh(NULL);
		next_exit.cr8.value = value;
		run(VM_EXIT_CR8);
		assert_int_equal(lapic_cr8_get(&vcpu.lapic), value < 16 ? value : 0);
		assert_int_equal(vcpu.pending.vector, value < 16 ? 0 : EXC_GP);
		assert_true(vcpu.events);
	}
}

static void an_msr_of_the_vmms(void **state)
{
	(void)state;
	msr(0x4b564d01, true, 0x1001);
	assert_true(left_to_vmm());
	assert_int_equal(page.exit.msr.index, 0x4b564d01);
	assert_int_equal(page.exit.msr.value, 0x1001);
}

/* --- XSETBV */

static bool xsetbv(u32 index, u64 value)
{
	fresh(NULL);
	vcpu.xcr0 = 1;
	next_exit.xsetbv.index = index;
	next_exit.xsetbv.value = value;
	run(VM_EXIT_XSETBV);
	assert_int_equal(vcpu.xcr0, fake_backend.insn_count ? value : 1);
	assert_int_equal(fake_insn.xcr0, fake_backend.insn_count ? value : 0);
	assert_int_equal(vcpu.pending.vector, fake_backend.insn_count ? 0 : EXC_GP);
	return fake_backend.insn_count == 1;
}

static void xcr0_combinations(void **state)
{
	(void)state;
	for (u64 value = 0; value < 0x400; value++) {
		bool x87 = value & XCR0_X87, sse = value & XCR0_SSE, avx = value & XCR0_AVX;
		u64 wide = value & (XCR0_OPMASK | XCR0_ZMM_HI256 | XCR0_HI16_ZMM);
		bool valid = x87 && (!avx || sse) && (wide == 0 || (wide == 0xe0 && avx)) &&
			     (value & ~0xe7ULL) == 0;

		assert_int_equal(xsetbv(0, value), valid);
	}
	assert_false(xsetbv(0, BIT64(63) | 1));
	assert_false(xsetbv(1, 1));
}

static void xsetbv_is_privileged(void **state)
{
	(void)state;
	fake_backend.cpl = 3;
	next_exit.xsetbv.value = 1;
	run(VM_EXIT_XSETBV);
	assert_int_equal(vcpu.pending.vector, EXC_GP);
}

/* --- before the entry */

/* Also of one that sleeps in HLT, which it shall end. */
static void a_periodic_timer_goes_on_with_its_vcpu(void **state)
{
	for (u32 halted = 0; halted < 2; halted++) {
		fresh(state);
		vcpu.timer_fired = true;
		vcpu.halted = halted;
		fake_backend.on_run = run_until_resched;
		engine_run(&vcpu);
		assert_false(vcpu.timer_fired);
		assert_int_equal(thread.state, halted ? THREAD_BLOCKED : THREAD_RUNNING);
	}
	boot_cpu.resched = false;
}

static void hlt_sleeps_until_there_is_a_reason(void **state)
{
	(void)state;
	fake_backend.on_run = NULL;
	vcpu.halted = true;
	engine_run(&vcpu);
	assert_int_equal(thread.state, THREAD_BLOCKED);
	assert_null(boot_cpu.current);
	assert_true(thread.in_guest);
	vcpu.nmi_pending = true;
	thread.state = THREAD_RUNNING;
	boot_cpu.current = &thread;
	fake_backend.on_run = run_once;
	next_exit.reason = VM_EXIT_HLT;
	vcpu.events = true;
	engine_run(&vcpu);
	assert_int_equal(fake_backend.injected.type, EVENT_NMI);
	assert_int_equal(runs, 1);
	assert_true(vcpu.halted); /* again */
}

static void a_notification_comes_first(void **state)
{
	(void)state;
	fake_backend.on_run = NULL;
	thread.notified = 4;
	vcpu.halted = true;
	engine_run(&vcpu);
	assert_false(thread.in_guest);
	assert_int_equal(thread.frame.rax, 4);
	assert_int_equal(page.exit.reason, VM_EXIT_NONE);
	assert_true(vcpu.halted); /* it goes on sleeping afterwards */
}

static void a_deadline_ends_the_run(void **state)
{
	(void)state;
	fake_backend.on_run = NULL;
	thread.timed_out = true;
	engine_run(&vcpu);
	assert_false(thread.in_guest);
	assert_int_equal(thread.frame.rax, 0);
	assert_int_equal(page.exit.reason, VM_EXIT_NONE);
}

static void an_eoi_is_told(void **state)
{
	(void)state;
	fake_backend.on_run = NULL;
	vcpu.eoi_pending = 0x51;
	engine_run(&vcpu);
	assert_true(left_to_vmm());
	assert_int_equal(page.exit.reason, VM_EXIT_EOI);
	assert_int_equal(page.exit.eoi.vector, 0x51);
	assert_int_equal(vcpu.eoi_pending, -1);
}

/* The processor ended it in the page, and says so because its vector is level-triggered. */
static void an_eoi_of_the_processor_is_told(void **state)
{
	(void)state;
	next_exit.eoi.vector = 0x51;
	next_exit.insn_length = 0;
	run(VM_EXIT_EOI);
	assert_true(left_to_vmm());
	assert_int_equal(page.exit.reason, VM_EXIT_EOI);
	assert_int_equal(page.exit.eoi.vector, 0x51);
	assert_int_equal(vcpu.eoi_pending, -1);
	assert_int_equal(fake_backend.insn_count, 0);
}

/* As behind a trap: the write is done, the instruction too; its consequences are not. */
static void a_write_of_the_processor_has_consequences(void **state)
{
	(void)state;
	vm.vcpus[0] = &vcpu;
	vm.vcpu_count = 1;
	vcpu.lapic.reg[0x310 / 4] = 0;
	vcpu.lapic.reg[0x300 / 4] = 0x4400; /* NMI to the processor with id 0 */
	next_exit.apic.offset = 0x300;
	next_exit.insn_length = 0;
	run(VM_EXIT_APIC);
	assert_true(vcpu.nmi_pending);
	assert_true(vcpu.events);
	assert_int_equal(fake_backend.insn_count, 0);
	assert_int_equal(counters.to_vmm, 0);
}

static void a_triple_fault_is_a_shutdown(void **state)
{
	(void)state;
	fake_backend.on_run = NULL;
	vcpu.triple_fault = true;
	engine_run(&vcpu);
	assert_true(left_to_vmm());
	assert_int_equal(page.exit.reason, VM_EXIT_SHUTDOWN);
}

static void the_8259_is_acknowledged_by_the_vmm(void **state)
{
	(void)state;
	fake_backend.on_run = NULL;
	vm_set_intr_line(&vm, true);
	engine_run(&vcpu);
	assert_true(left_to_vmm());
	assert_int_equal(page.exit.reason, VM_EXIT_INTR_ACK);
	page.reply = VCPU_REPLY_INTR;
	page.vector = 0x108; /* eight bits count */
	assert_true(engine_take_reply(&vcpu));
	assert_int_equal(vcpu.extint, 0x08);
	assert_true(vcpu.events);
}

#define LONG_IN_GUEST 5000000000 /* more than a stay in the core can last */

static void spend_in_guest(struct vcpu *v)
{
	fake_insn.tsc += LONG_IN_GUEST;
	run_once(v);
}

/* Since the scheduler last booked; also when half of the TSC overflows in between. */
static void time_in_the_core_is_counted(void **state)
{
	static const u64 start[] = { 1000, 0xffffff80, 0xffffffff };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(start); i++) {
		fresh(NULL);
		fake_insn.tsc = start[i];
		fake_insn.tsc_step = 100;
		boot_cpu.booked = rdtsc();
		boot_cpu.spent = &counters.run_tsc;
		fake_backend.on_run = spend_in_guest;
		run(VM_EXIT_IO);
		assert_int_equal(runs, 1);
		assert_in_range(counters.core_tsc, 200, 1000);
		assert_in_range(counters.run_tsc - counters.core_tsc, LONG_IN_GUEST,
				LONG_IN_GUEST + 1000);
		assert_int_equal(boot_cpu.booked, start[i] + counters.run_tsc);
	}
}

static void the_processor_is_wanted_otherwise(void **state)
{
	(void)state;
	fake_backend.on_run = NULL;
	boot_cpu.resched = true;
	engine_run(&vcpu);
	assert_true(thread.in_guest);
	assert_int_equal(thread.state, THREAD_RUNNING);
}

/* --- answers */

static bool reply(enum vcpu_reply what)
{
	page.reply = what;
	return engine_take_reply(&vcpu);
}

static void reply_done(void **state)
{
	(void)state;
	for (u32 length = 0; length < 20; length++) {
		fresh(NULL);
		page.insn_length = length;
		assert_int_equal(reply(VCPU_REPLY_DONE), length >= 1 && length <= 15);
		assert_int_equal(fake_backend.insn_count, length >= 1 && length <= 15);
		assert_int_equal(page.reply, VCPU_REPLY_NONE); /* not twice */
	}
	page.insn_length = 0x10000001;
	assert_false(reply(VCPU_REPLY_DONE));
}

static void reply_done_with_flags(void **state)
{
	(void)state;
	page.insn_length = 2;
	page.rflags = 0x8d5;
	assert_true(reply(VCPU_REPLY_DONE));
	assert_int_equal(fake_backend.rflags, 0);
	page.set_rflags = 1;
	assert_true(reply(VCPU_REPLY_DONE));
	assert_int_equal(fake_backend.rflags, 0x8d5 | RFLAGS_IF);
}

static void reply_exception(void **state)
{
	(void)state;
	for (u32 vector = 0; vector < 40; vector++) {
		bool valid = vector < EXC_COUNT && vector != EXC_NMI;

		fresh(NULL);
		page.vector = vector;
		page.error_code = 0x11;
		page.cr2 = 0x5000;
		assert_int_equal(reply(VCPU_REPLY_EXCEPTION), valid);
		assert_int_equal(vcpu.pending.type, valid ? EVENT_EXCEPTION : EVENT_NONE);
		assert_int_equal(vcpu.pending.vector, valid ? vector : 0);
		assert_int_equal(vcpu.pending.has_error, valid && exception_has_error(vector));
		assert_int_equal(fake_backend.cr2, vector == EXC_PF ? 0x5000 : 0);
	}
	fresh(NULL);
	page.vector = 0x10d; /* #GP in eight bits */
	assert_false(reply(VCPU_REPLY_EXCEPTION));
}

static void a_task_switch_delivers_what_asked_for_it(void **state)
{
	const struct event double_fault = { EVENT_EXCEPTION, EXC_DF, true, 0 };

	(void)state;
	vcpu.reinject = double_fault;
	assert_true(reply(VCPU_REPLY_SWITCHED));
	assert_int_equal(vcpu.reinject.type, EVENT_NONE);
	assert_int_equal(vcpu.pending.type, EVENT_NONE);
	assert_int_equal(fake_backend.insn_count, 0);

	vcpu.reinject = double_fault;
	assert_true(reply(VCPU_REPLY_SWITCHED_TRAP));
	assert_int_equal(vcpu.reinject.type, EVENT_NONE);
	assert_int_equal(vcpu.pending.type, EVENT_EXCEPTION);
	assert_int_equal(vcpu.pending.vector, EXC_DB);
	assert_false(vcpu.pending.has_error);
	assert_false(vcpu.triple_fault);

	fresh(NULL);
	vcpu.reinject = double_fault;
	page.vector = EXC_TS; /* the switch itself faulted */
	assert_true(reply(VCPU_REPLY_EXCEPTION));
	assert_true(vcpu.triple_fault);
}

static void other_replies(void **state)
{
	(void)state;
	assert_true(reply(VCPU_REPLY_NONE));
	assert_false(reply(VCPU_REPLY_COUNT));
	assert_false(reply((enum vcpu_reply)0x80000001));
	assert_int_equal(fake_backend.insn_count, 0);
	assert_int_equal(vcpu.pending.type, EVENT_NONE);
}

/* --- FPU residency */

static void the_fpu_changes_hands(void **state)
{
	static u8 other_fpu[4096] ALIGNED(64);
	struct vcpu other = { .fpu = other_fpu, .xcr0 = 1, .dr = { 1, 2, 3, 4 } };

	(void)state;
	*(u16 *)(void *)other_fpu = 0x37f;
	*(u32 *)(void *)(other_fpu + 24) = 0x1f80;
	fake_insn.dr0 = 0x111;
	resident_load(&other);
	assert_ptr_equal(boot_cpu.resident, &other);
	assert_int_equal(fake_insn.cr0 & CR0_TS, CR0_TS); /* not for ring 3 */
	assert_int_equal(vcpu.dr[0], 0x111);
	assert_int_equal(fake_insn.dr3, 4);
	resident_evict(&vcpu); /* not its turn */
	assert_ptr_equal(boot_cpu.resident, &other);
	fake_insn.cr0 = 0;
	resident_evict(&other);
	assert_null(boot_cpu.resident);
	assert_int_equal(fake_insn.cr0 & CR0_TS, CR0_TS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(an_unknown_exit_reaches_the_vmm, fresh),
		cmocka_unit_test_setup(stops_do_not_flood_the_log, fresh),
		cmocka_unit_test_setup(the_emulator_gets_the_state, fresh),
		cmocka_unit_test_setup(finished_in_the_core, fresh),
		cmocka_unit_test_setup(nothing_to_finish, fresh),
		cmocka_unit_test_setup(a_window_decides_again, fresh),
		cmocka_unit_test_setup(a_host_interrupt_is_taken, fresh),
		cmocka_unit_test_setup(refusals, fresh),
		cmocka_unit_test_setup(an_intercepted_exception_goes_to_the_guest, fresh),
		cmocka_unit_test_setup(a_step_trap_follows_the_instruction, fresh),
		cmocka_unit_test_setup(cpuid_goes_through_the_registers, fresh),
		cmocka_unit_test_setup(an_msr_without_a_row_is_gp, fresh),
		cmocka_unit_test_setup(a_fixed_msr, fresh),
		cmocka_unit_test_setup(an_emulated_msr, fresh),
		cmocka_unit_test_setup(a_passed_msr_that_exits_anyway, fresh),
		cmocka_unit_test_setup(an_msr_of_the_vmms, fresh),
		cmocka_unit_test_setup(cr8_is_the_priority, fresh),
		cmocka_unit_test_setup(xcr0_combinations, fresh),
		cmocka_unit_test_setup(xsetbv_is_privileged, fresh),
		cmocka_unit_test_setup(a_periodic_timer_goes_on_with_its_vcpu, fresh),
		cmocka_unit_test_setup(hlt_sleeps_until_there_is_a_reason, fresh),
		cmocka_unit_test_setup(a_notification_comes_first, fresh),
		cmocka_unit_test_setup(a_deadline_ends_the_run, fresh),
		cmocka_unit_test_setup(an_eoi_is_told, fresh),
		cmocka_unit_test_setup(an_eoi_of_the_processor_is_told, fresh),
		cmocka_unit_test_setup(a_write_of_the_processor_has_consequences, fresh),
		cmocka_unit_test_setup(a_triple_fault_is_a_shutdown, fresh),
		cmocka_unit_test_setup(the_8259_is_acknowledged_by_the_vmm, fresh),
		cmocka_unit_test_setup(time_in_the_core_is_counted, fresh),
		cmocka_unit_test_setup(the_processor_is_wanted_otherwise, fresh),
		cmocka_unit_test_setup(reply_done, fresh),
		cmocka_unit_test_setup(reply_done_with_flags, fresh),
		cmocka_unit_test_setup(reply_exception, fresh),
		cmocka_unit_test_setup(a_task_switch_delivers_what_asked_for_it, fresh),
		cmocka_unit_test_setup(other_replies, fresh),
		cmocka_unit_test_setup(the_fpu_changes_hands, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
