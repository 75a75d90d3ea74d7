/* A guest on VT-x that exits as planned. */
#include "tests/support/vmx_guest.h"

#include "core/cpu/cpu.h"
#include "core/mem/heap.h"
#include "core/vmx/caps.h"
#include "lib/base/assert.h"
#include "lib/base/string.h"
#include "tests/support/fake_insn.h"
#include "tests/support/fake_machine.h"
#include "tests/support/fake_vmx.h"

#define MEMORY	 (32 * MIB)
#define PLAN_MAX 16U

extern const struct backend vmx_backend;

struct vm guest_vm;
struct vcpu *guest;
struct vcpu_counters guest_counters;

static struct vm other_vm;
static struct cpuid_table cpuid_values;
static struct {
	u32 field;
	u64 value;
} plan[PLAN_MAX];
static u32 planned;

static struct cpuid_values host_cpuid(u32 leaf, u32 subleaf)
{
	(void)subleaf;
	switch (leaf) {
	case CPUID_BASIC:
		return (struct cpuid_values){ .eax = CPUID_STRUCTURED };
	case CPUID_FEATURES:
		return (struct cpuid_values){
			.ecx = CPUID_1_ECX_PCID | CPUID_1_ECX_XSAVE,
			.edx = CPUID_1_EDX_TSC | CPUID_1_EDX_PAE | CPUID_1_EDX_PGE |
			       CPUID_1_EDX_FXSR | CPUID_1_EDX_SSE | CPUID_1_EDX_DE,
		};
	case CPUID_STRUCTURED:
		return (struct cpuid_values){ .ebx = CPUID_7_EBX_SMEP };
	default:
		return (struct cpuid_values){ 0 };
	}
}

static void processor_put(void)
{
	vmx_caps = (struct vmx_caps){
		.revision = 0x12,
		.pin = PIN_INTERRUPT_EXITING | PIN_NMI_EXITING | PIN_VIRTUAL_NMIS |
		       PIN_PREEMPTION_TIMER,
		.proc = PROC_HLT_EXITING | PROC_TPR_SHADOW | PROC_SECONDARY,
		.proc2 = PROC2_EPT | PROC2_VPID | PROC2_UNRESTRICTED,
		.exit = EXIT_HOST_LONG_MODE,
		.entry = ENTRY_LOAD_EFER,
		.timer_shift = 5,
		.cr0_fixed0 = GUEST_CR0_FIXED0,
		.cr0_fixed1 = 0xffffffff,
		.cr4_fixed0 = CR4_VMXE,
		.cr4_fixed1 = 0x3767ff,
		.preemption_timer = true,
	};
	cpu_features.rdtscp = false;
}

static struct vcpu *vcpu_make(struct vm *vm, u32 number)
{
	struct vcpu *v = heap_alloc(sizeof(*v));
	struct vcpu_state state = guest_state_long();

	*vm = (struct vm){ .number = number,
			   .name = "a",
			   .low_bytes = GUEST_RAM,
			   .stage2 = { .root = HPA(0x5000 + number * PAGE_SIZE) },
			   .vcpu_count = 1,
			   .vcpus = { v },
			   .cpuid = &cpuid_values };
	v->vm = vm;
	v->page = heap_alloc(PAGE_SIZE);
	v->counters = &guest_counters;
	v->cpuid = &cpuid_values;
	v->extint = -1;
	v->eoi_pending = -1;
	v->offered = OFFER_NONE;
	v->dr6 = DR6_RESET;
	lapic_init(&v->lapic, 0, true);
	lapic_set_virtual_wire(&v->lapic);
	assert(backend->vcpu_init(v) == ERR_OK);
	backend->state_set(v, &state);
	return v;
}

int guest_fresh(void **state)
{
	static bool started;

	(void)state;
	if (!started)
		fake_machine_start(MEMORY);
	started = true;
	fake_insn_reset();
	fake_vmx_reset();
	planned = 0;
	processor_put();
	backend = &vmx_backend;
	assert(backend->cpu_on(&boot_cpu) == ERR_OK);
	cpuid_table_build(&cpuid_values,
			  &(struct cpuid_request){ .cpus = 1, .tsc_khz = 1, .host = host_cpuid });
	guest = vcpu_make(&guest_vm, 3);
	boot_cpu.resident = guest;
	fake_insn.dr6 = DR6_RESET;
	return 0;
}

struct vcpu *guest_another(void)
{
	return vcpu_make(&other_vm, 4);
}

struct vcpu_state guest_state_long(void)
{
	struct vcpu_state s = {
		.rip = GUEST_RIP,
		.rflags = GUEST_FLAGS,
		.cr0 = CR0_PE | CR0_PG | CR0_WP | CR0_ET | CR0_NE,
		.cr2 = 0x1122334455667788,
		.cr3 = 0x7000,
		.cr4 = CR4_PAE | CR4_PGE,
		.cr8 = 2,
		.efer = EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE,
		.dr6 = DR6_RESET,
		.dr7 = DR7_RESET,
		.gdtr = { .base = 0xffff800000001000, .limit = 0x7f },
		.idtr = { .base = 0xffff800000002000, .limit = 0xfff },
	};

	for (u32 i = 0; i < SEG_COUNT; i++)
		s.segment[i] = (struct segment){ .limit = 0xffffffff,
						 .rights = SEG_PRESENT | SEG_CODE | SEG_GRANULAR |
							   SEG_BIG | 3,
						 .selector = 0x10 };
	s.segment[SEG_CS].rights = SEG_PRESENT | SEG_CODE | SEG_GRANULAR | SEG_LONG | 11;
	s.segment[SEG_CS].selector = 8;
	s.segment[SEG_FS].base = 0x00007f0000001234;
	s.segment[SEG_GS].base = 0xffff888000005678;
	s.segment[SEG_LDTR] = (struct segment){ .rights = SEG_UNUSABLE };
	s.segment[SEG_TR] = (struct segment){ .base = 0xffff800000003000,
					      .limit = 0x67,
					      .rights = SEG_PRESENT | 11,
					      .selector = 0x20 };
	return s;
}

void guest_plan(u32 field, u64 value)
{
	assert(planned < PLAN_MAX);
	plan[planned].field = field;
	plan[planned++].value = value;
}

static enum vmx_result guest_runs(u64 *gpr)
{
	static const u32 about_exits[] = {
		VMCS_EXIT_REASON,      VMCS_EXIT_QUALIFICATION, VMCS_EXIT_EVENT,
		VMCS_EXIT_EVENT_ERROR, VMCS_VECTORING_EVENT,	VMCS_VECTORING_ERROR,
		VMCS_EXIT_INSN_LENGTH, VMCS_EXIT_INSN_INFO,	VMCS_GUEST_PHYSICAL,
	};

	(void)gpr;
	for (u32 i = 0; i < ARRAY_SIZE(about_exits); i++)
		fake_vmx_set(about_exits[i], 0);
	for (u32 i = 0; i < planned; i++)
		fake_vmx_set(plan[i].field, plan[i].value);
	planned = 0;
	return VMX_OK;
}

void guest_exit_of(struct vcpu *v, u64 reason)
{
	guest_plan(VMCS_EXIT_REASON, reason);
	fake_vmx.on_enter = guest_runs;
	backend->run(v);
}

void guest_exit(u64 reason)
{
	guest_exit_of(guest, reason);
}
