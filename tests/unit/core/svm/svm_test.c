/* Tests of AMD-V's optional features, each where the processor has it and where it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* clang-format off: the order in which they need each other */
#include "core/svm/exit.c"
#include "core/svm/state.c"
#include "core/svm/svm.c"
/* clang-format on */
#include "tests/support/fake_insn.h"
#include "tests/support/fake_log.h"
#include "tests/support/fake_machine.h"

#define RIP	     0x1000U
#define ASIDS	     4U
#define SVM_LOCKED   VM_CR_SVMDIS
#define CS_ATTR	     0x29bU
#define GUEST_VECTOR 0x51

static struct vm vm;
static struct vcpu vcpu;
static struct vcpu_page page;
static struct svm_cpu svm_cpu;
static struct cpu other_cpu;
static struct svm_cpu other_svm_cpu;
static u8 code[GUEST_FETCH_BYTES];
static u32 fetches;
static struct vmcb_control entered; /* as the processor saw it */
static u32 svm_leaf_flags;

/* The processor: takes what it was given, and exits for the reason that the test has set. */
void svm_enter(u64 *gpr, u64 vmcb_hpa, u64 host_vmcb_hpa)
{
	(void)gpr, (void)vmcb_hpa, (void)host_vmcb_hpa;
	entered = vcpu_vmcb(&vcpu)->control;
}

u32 guest_fetch(const struct vm *from, const struct paging *paging, u64 linear, u8 *bytes)
{
	(void)from, (void)paging;
	assert_int_equal(linear, RIP);
	fetches++;
	memcpy(bytes, code, sizeof(code));
	return sizeof(code);
}

/* No tables: the last entry of the walk is one that never changes. */
bool guest_page_find(const struct vm *from, struct guest_page *found, u64 cr3, u64 linear)
{
	static const u8 leaf[8];

	(void)from;
	assert_int_equal(linear, RIP);
	fetches++;
	*found = (struct guest_page){ .last = linear | (PAGE_SIZE - 1),
				      .cr3 = cr3,
				      .leaf = leaf,
				      .bytes = code - RIP % PAGE_SIZE };
	return true;
}

static struct cpuid_result amd(u32 leaf, u32 subleaf)
{
	(void)subleaf;
	switch (leaf) {
	case CPUID_EXT_FEATURES:
		return (struct cpuid_result){ .ecx = CPUID_EXT1_ECX_SVM };
	case CPUID_EXT_SVM:
		return (struct cpuid_result){ .ebx = ASIDS, .edx = svm_leaf_flags };
	default:
		return (struct cpuid_result){ 0 };
	}
}

static void vcpu_make(u32 flags)
{
	svm_features.flags = SVM_FEATURE_NPT | flags;
	assert_int_equal(svm_vcpu_init(&vcpu), ERR_OK);
	vcpu_vmcb(&vcpu)->save.rip = RIP;
	vcpu_vmcb(&vcpu)->save.efer = EFER_LME | EFER_LMA | EFER_SVME;
	vcpu_vmcb(&vcpu)->save.cs.attributes = CS_ATTR;
}

static int fresh(void **state)
{
	(void)state;
	fake_insn.msr_absent = 0;
	fake_insn.msr_ignored = 0;
	fake_insn.msr_count = 0;
	fake_insn.on_cpuid = amd;
	svm_leaf_flags = SVM_FEATURE_NPT;
	svm_features = (struct svm_features){ .asids = ASIDS };
	svm_cpu = (struct svm_cpu){ .asid_next = 1, .asid_generation = 1 };
	other_svm_cpu = svm_cpu;
	boot_cpu.virt = &svm_cpu;
	other_cpu.virt = &other_svm_cpu;
	memset(&page, 0, sizeof(page));
	memset(code, 0, sizeof(code));
	fetches = 0;
	vm = (struct vm){ .name = "a", .vcpu_count = 1, .vcpus = { &vcpu } };
	vcpu = (struct vcpu){ .vm = &vm, .page = &page, .offered = OFFER_NONE, .extint = -1 };
	lapic_init(&vcpu.lapic, 0, true);
	return 0;
}

static int gone(void **state)
{
	(void)state;
	if (vcpu.virt)
		svm_vcpu_fini(&vcpu);
	return 0;
}

static void exit_with(u64 exit_code, u64 info1, u64 next_rip)
{
	struct vmcb_control *c = &vcpu_vmcb(&vcpu)->control;

	c->exit_code = exit_code;
	c->exit_info1 = info1;
	c->next_rip = next_rip;
	svm_run(&vcpu);
}

static void next_rip_absent_reads_the_bytes(void **state)
{
	(void)state;
	vcpu_make(0);
	memcpy(code, "\x66\x0f\xa2", 3);
	exit_with(SVM_EXIT_CPUID, 0, RIP + 9);
	assert_int_equal(vcpu.exit.reason, VM_EXIT_CPUID);
	assert_int_equal(vcpu.exit.insn_length, 3);
	assert_true(fetches > 0);
}

static void next_rip_present_reads_nothing(void **state)
{
	(void)state;
	vcpu_make(SVM_FEATURE_NRIPS);
	memcpy(code, "\x66\x0f\xa2", 3);
	exit_with(SVM_EXIT_CPUID, 0, RIP + 9);
	assert_int_equal(vcpu.exit.insn_length, 9);
	assert_int_equal(fetches, 0);
}

static void decode_assists_absent_read_the_bytes(void **state)
{
	(void)state;
	vcpu_make(SVM_FEATURE_NRIPS);
	memcpy(code, "\x45\x0f\x22\xc3", 4); /* MOV CR8, R11 */
	page.gpr[11] = 7;
	page.gpr[2] = 9;
	exit_with(SVM_EXIT_WRITE_CR8, 2, RIP + 9);
	assert_int_equal(vcpu.exit.cr8.value, 7);
	assert_int_equal(vcpu.exit.insn_length, 4);
	assert_int_equal(fetches, 1);
}

static void decode_assists_present_name_the_register(void **state)
{
	(void)state;
	vcpu_make(SVM_FEATURE_NRIPS | SVM_FEATURE_DECODE_ASSISTS);
	page.gpr[14] = 5;
	exit_with(SVM_EXIT_WRITE_CR8, BIT64(63) | 14, RIP + 4);
	assert_int_equal(vcpu.exit.reason, VM_EXIT_CR8);
	assert_int_equal(vcpu.exit.cr8.value, 5);
	assert_int_equal(vcpu.exit.insn_length, 4);
	assert_int_equal(fetches, 0);
}

static void pause_filter_absent_lets_pause_run(void **state)
{
	(void)state;
	vcpu_make(0);
	svm_run(&vcpu);
	assert_false(entered.intercept1 & INTERCEPT1_PAUSE);
	assert_int_equal(entered.pause_count, 0);
}

static void pause_filter_present_counts(void **state)
{
	(void)state;
	vcpu_make(SVM_FEATURE_PAUSE_FILTER | SVM_FEATURE_NRIPS);
	exit_with(SVM_EXIT_PAUSE, 0, RIP + 2);
	assert_true(entered.intercept1 & INTERCEPT1_PAUSE);
	assert_in_range(entered.pause_count, 1000, 10000);
	assert_in_range(entered.pause_threshold, 16, 1000);
	assert_int_equal(vcpu.exit.reason, VM_EXIT_PAUSE);
	assert_int_equal(vcpu.exit.insn_length, 2);
}

/* The first of a processor's ASIDs empties its TLB; later entries keep everything. */
static void asid_is_kept(void **state)
{
	(void)state;
	vcpu_make(0);
	svm_run(&vcpu);
	assert_int_equal(entered.tlb_control, TLB_FLUSH_ALL);
	assert_int_equal(entered.asid, 1);
	svm_run(&vcpu);
	assert_int_equal(entered.tlb_control, TLB_KEEP);
	assert_int_equal(entered.asid, 1);
}

static void flush_by_asid_absent_takes_another_asid(void **state)
{
	(void)state;
	vcpu_make(0);
	svm_run(&vcpu);
	for (u32 asid = 2; asid < ASIDS; asid++) {
		svm_stage2_flush(&vm);
		svm_run(&vcpu);
		assert_int_equal(entered.tlb_control, TLB_KEEP);
		assert_int_equal(entered.asid, asid);
		assert_false(entered.clean & CLEAN_ASID);
		svm_run(&vcpu);
		assert_int_equal(entered.asid, asid);
	}
	svm_stage2_flush(&vm); /* there are no more: all start over */
	svm_run(&vcpu);
	assert_int_equal(entered.tlb_control, TLB_FLUSH_ALL);
	assert_int_equal(entered.asid, 1);
	assert_int_equal(svm_cpu.asid_generation, 2);
}

static void flush_by_asid_present_keeps_the_asid(void **state)
{
	(void)state;
	vcpu_make(SVM_FEATURE_FLUSH_BY_ASID);
	svm_run(&vcpu);
	for (u32 i = 0; i < 2 * ASIDS; i++) {
		svm_stage2_flush(&vm);
		svm_run(&vcpu);
		assert_int_equal(entered.tlb_control, TLB_FLUSH_ASID);
		assert_int_equal(entered.asid, 1);
		svm_run(&vcpu);
		assert_int_equal(entered.tlb_control, TLB_KEEP);
	}
	assert_int_equal(svm_cpu.asid_generation, 1);
}

/* On another processor an ASID of its own does the flush, whatever the processor can. */
static void flush_and_move(void **state)
{
	(void)state;
	vcpu_make(SVM_FEATURE_FLUSH_BY_ASID);
	svm_run(&vcpu);
	svm_stage2_flush(&vm);
	other_svm_cpu.asid_next = 3;
	asid_assign(svm_vcpu(&vcpu), &other_cpu);
	assert_int_equal(vcpu_vmcb(&vcpu)->control.asid, 3);
	assert_int_equal(vcpu_vmcb(&vcpu)->control.tlb_control, TLB_KEEP);
	assert_int_equal(vcpu_vmcb(&vcpu)->control.clean, 0);
}

/* What the core changes between entries loses its clean bit, and nothing else does. */
static void clean_bits_follow_changes(void **state)
{
	struct vcpu_state registers;

	(void)state;
	vcpu_make(SVM_FEATURE_NRIPS);
	svm_run(&vcpu);
	assert_int_equal(entered.clean, 0);
	svm_run(&vcpu);
	assert_int_equal(entered.clean, CLEAN_ALL);
	svm_tsc_offset_set(&vcpu, 5);
	svm_run(&vcpu);
	assert_int_equal(entered.clean, CLEAN_ALL & ~CLEAN_INTERCEPTS);
	svm_register_set(&vcpu, VCPU_CR2, 5);
	svm_run(&vcpu);
	assert_int_equal(entered.clean, CLEAN_ALL & ~CLEAN_CR2);
	lapic_cr8_set(&vcpu.lapic, 3);
	svm_offer_interrupt(&vcpu, OFFER_NONE, false); /* as ever when the local APIC changed */
	svm_run(&vcpu);
	assert_int_equal(entered.clean, CLEAN_ALL & ~CLEAN_TPR);
	assert_int_equal(field_get(V_TPR, entered.int_control), 3);
	assert_int_equal(lapic_cr8_get(&vcpu.lapic), 3);
	svm_register_set(&vcpu, VCPU_PAT, PAT_RESET);
	svm_run(&vcpu);
	assert_int_equal(entered.clean, CLEAN_ALL & ~(CLEAN_NP | CLEAN_CRX));
	svm_offer_interrupt(&vcpu, GUEST_VECTOR, false);
	svm_run(&vcpu);
	assert_int_equal(entered.clean, CLEAN_ALL & ~CLEAN_TPR);
	vcpu_vmcb(&vcpu)->save.rflags |= RFLAGS_TF;
	assert_true(svm_insn_done(&vcpu, 1));
	svm_run(&vcpu);
	assert_int_equal(entered.clean, CLEAN_ALL & ~CLEAN_DRX);
	svm_state_get(&vcpu, &registers);
	svm_state_set(&vcpu, &registers);
	svm_run(&vcpu);
	assert_int_equal(entered.clean, CLEAN_ALL & ~(CLEAN_CRX | CLEAN_DRX | CLEAN_DT | CLEAN_SEG |
						      CLEAN_CR2 | CLEAN_ASID));
}

static void svm_locked_off_is_refused(void **state)
{
	(void)state;
	wrmsr(MSR_AMD_VM_CR, SVM_LOCKED);
	assert_false(svm_preflight());
	assert_non_null(strstr(fake_log.last, "locked it off"));
	wrmsr(MSR_AMD_VM_CR, 0);
	assert_true(svm_preflight());
}

static void vm_cr_redirects_init(void **state)
{
	(void)state;
	wrmsr(MSR_AMD_VM_CR, BIT64(3));
	assert_true(init_redirect());
	assert_int_equal(rdmsr(MSR_AMD_VM_CR), BIT64(3) | VM_CR_R_INIT);
}

static void vm_cr_absent_or_deaf(void **state)
{
	(void)state;
	fake_insn.msr_ignored = MSR_AMD_VM_CR;
	assert_true(svm_preflight());
	assert_false(init_redirect());
	fake_insn.msr_absent = MSR_AMD_VM_CR; /* and a write would fail the test */
	assert_true(svm_preflight());
	assert_false(init_redirect());
}

static void interrupts_are_offered(void **state)
{
	(void)state;
	vcpu_make(0);
	vcpu_vmcb(&vcpu)->save.rflags = RFLAGS_IF;
	svm_offer_interrupt(&vcpu, GUEST_VECTOR, false);
	svm_run(&vcpu);
	assert_true(entered.int_control & V_IRQ);
	assert_false(entered.int_control & V_IGN_TPR);
	assert_int_equal(field_get(V_INTR_VECTOR, entered.int_control), GUEST_VECTOR);
	assert_int_equal(entered.event_inject, 0);
	assert_true(entered.intercept_exception & BIT32(EXC_DB));
}

/* Bochs looks for a virtual interrupt only when IF changes: with IF set it is injected. */
static void bochs_gets_what_it_can_take_now(void **state)
{
	struct vmcb *vmcb;

	(void)state;
	svm_features.bochs = true;
	vcpu_make(0);
	vmcb = vcpu_vmcb(&vcpu);
	vmcb->save.rflags = RFLAGS_IF;
	vcpu.offered = GUEST_VECTOR;
	svm_offer_interrupt(&vcpu, GUEST_VECTOR, false);
	svm_run(&vcpu);
	assert_int_equal(entered.event_inject, EVENT_VALID | GUEST_VECTOR);
	assert_false(entered.int_control & V_IRQ);
	assert_true(vcpu.offer_taken);
	assert_int_equal(vmcb->control.event_inject, 0);

	vcpu.offer_taken = false; /* its delivery met a fault: it was not taken */
	svm_offer_interrupt(&vcpu, GUEST_VECTOR, false);
	vmcb->control.exit_int_info = EVENT_VALID | GUEST_VECTOR;
	svm_run(&vcpu);
	assert_false(vcpu.offer_taken);
	assert_true(vcpu.events);

	vmcb->control.exit_int_info = 0;
	vmcb->save.rflags = 0; /* STI will make it look */
	svm_offer_interrupt(&vcpu, GUEST_VECTOR, false);
	svm_run(&vcpu);
	assert_int_equal(entered.event_inject, 0);
	assert_true(entered.int_control & V_IRQ);
	assert_true(entered.intercept_cr & INTERCEPT_CR8_WRITE);
	assert_true(vcpu.events); /* looks again behind every exit */
	assert_false(entered.intercept_exception & BIT32(EXC_DB));
}

static void bochs_has_one_event_an_entry(void **state)
{
	(void)state;
	svm_features.bochs = true;
	vcpu_make(0);
	vcpu_vmcb(&vcpu)->save.rflags = RFLAGS_IF;
	svm_inject(&vcpu, &(struct event){ .type = EVENT_EXCEPTION, .vector = EXC_UD });
	svm_offer_interrupt(&vcpu, GUEST_VECTOR, false);
	svm_run(&vcpu);
	assert_int_equal(field_get(EVENT_VECTOR, entered.event_inject), EXC_UD);
	assert_true(entered.int_control & V_IRQ);
}

static void bochs_gets_cr2(void **state)
{
	(void)state;
	svm_features.bochs = true;
	vcpu_make(0);
	svm_register_set(&vcpu, VCPU_CR2, 0x1234);
	svm_run(&vcpu);
	assert_int_equal(fake_insn.cr2, 0x1234);
}

/* The trap behind the IRET of an NMI handler is ours: that #DB must come to the core. */
static void bochs_steps_an_iret(void **state)
{
	struct vmcb *vmcb;

	(void)state;
	svm_features.bochs = true;
	vcpu_make(0);
	vmcb = vcpu_vmcb(&vcpu);
	svm_inject(&vcpu, &(struct event){ .type = EVENT_NMI, .vector = EXC_NMI });
	exit_with(SVM_EXIT_IRET, 0, 0);
	assert_false(svm_nmi_window(&vcpu));
	exit_with(SVM_EXIT_INTR, 0, 0);
	assert_true(entered.intercept_exception & BIT32(EXC_DB));
	vmcb->save.rip = RIP + 0x100; /* where IRET went */
	exit_with(SVM_EXIT_EXCEPTION + EXC_DB, 0, 0);
	assert_int_equal(vcpu.exit.reason, VM_EXIT_WINDOW);
	assert_true(svm_nmi_window(&vcpu));
	svm_run(&vcpu);
	assert_false(entered.intercept_exception & BIT32(EXC_DB));
}

/* A reset begins with nothing held back, and with no translations of the old state. */
static void a_reset_blocks_nothing(void **state)
{
	const struct vcpu_state reset = { .rip = RIP };
	struct vmcb *vmcb;

	(void)state;
	vcpu_make(SVM_FEATURE_FLUSH_BY_ASID);
	vmcb = vcpu_vmcb(&vcpu);
	for (u32 i = 0; i < 2; i++) {
		svm_inject(&vcpu, &(struct event){ .type = EVENT_NMI, .vector = EXC_NMI });
		exit_with(SVM_EXIT_IRET, 0, 0);
		assert_false(svm_nmi_window(&vcpu));
		assert_true(vmcb->save.rflags & RFLAGS_TF); /* it steps, the second time too */
		vmcb->control.int_state = INT_STATE_SHADOW;
		vcpu.events = false;
		svm_state_set(&vcpu, &reset);
		assert_true(vcpu.events);
		assert_int_equal(vmcb->control.int_state, 0);
		assert_false(svm_nmi_window(&vcpu)); /* a task switch ends no NMI handler */
		svm_state_set(&vcpu, &reset);
		svm_nmi_unblock(&vcpu);
		assert_true(svm_nmi_window(&vcpu));
		assert_false(vmcb->save.rflags & RFLAGS_TF);
		svm_run(&vcpu);
		assert_int_equal(entered.tlb_control, TLB_FLUSH_ASID);
		assert_false(entered.intercept1 & INTERCEPT1_IRET);
	}
	svm_inject(&vcpu, &(struct event){ .type = EVENT_NMI, .vector = EXC_NMI });
	svm_nmi_unblock(&vcpu); /* before the IRET was seen */
	svm_run(&vcpu);
	assert_true(svm_nmi_window(&vcpu));
	assert_false(entered.intercept1 & INTERCEPT1_IRET);
	assert_int_equal(entered.intercept_exception, intercept_exceptions());
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, gone)
	const struct CMUnitTest tests[] = {
		TEST(next_rip_absent_reads_the_bytes),
		TEST(next_rip_present_reads_nothing),
		TEST(decode_assists_absent_read_the_bytes),
		TEST(decode_assists_present_name_the_register),
		TEST(pause_filter_absent_lets_pause_run),
		TEST(pause_filter_present_counts),
		TEST(asid_is_kept),
		TEST(flush_by_asid_absent_takes_another_asid),
		TEST(flush_by_asid_present_keeps_the_asid),
		TEST(flush_and_move),
		TEST(clean_bits_follow_changes),
		TEST(svm_locked_off_is_refused),
		TEST(vm_cr_redirects_init),
		TEST(vm_cr_absent_or_deaf),
		TEST(interrupts_are_offered),
		TEST(bochs_gets_what_it_can_take_now),
		TEST(bochs_has_one_event_an_entry),
		TEST(bochs_gets_cr2),
		TEST(bochs_steps_an_iret),
		TEST(a_reset_blocks_nothing),
	};

	fake_machine_start(16 * MIB);
	svm_permission_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
