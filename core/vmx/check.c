/*
 * The checks of a VM entry, a row each: SDM, "Checks on VMX Controls and Host-State Area",
 * "Checking and Loading Guest State" and "VM-Instruction Error Numbers". What this core never does
 * has no rows: every guest is unrestricted, active and has EPT, and the host is 64-bit. Entries
 * fail rarely, so that rows read the VMCS as often as they like.
 */
#include "core/vmx/check.h"

#include "core/cpu/cpu.h"
#include "core/cpu/insn.h"
#include "core/trace/log.h"
#include "core/vmx/caps.h"
#include "lib/abi/vcpu.h"
#include "lib/base/format.h"
#include "lib/x86/registers.h"
#include "lib/x86/vmcs.h"
#include "lib/x86/walk.h"

#define LINES_MAX 8U

#define ERROR_CONTROLS 7U
#define ERROR_HOST     8U

#define RFLAGS_UNKNOWN	 (BITS64(63, 22) | BIT64(15) | BIT64(5) | BIT64(3))
#define RIGHTS_UNKNOWN	 (BITS64(31, 17) | BITS64(11, 8))
#define RIGHTS_V8086	 0xf3
#define PENDING_UNKNOWN	 (BITS64(63, 17) | BIT64(15) | BIT64(13) | BITS64(11, 4))
#define PDPTE_UNKNOWN	 (BITS64(8, 5) | BITS64(2, 1))
#define EVENT_UNKNOWN	 BITS64(30, 12)
#define BLOCKED_ALL	 (BLOCKED_SHADOW | BLOCKED_BY_NMI)
#define DEBUGCTL_UNKNOWN (BITS64(63, 16) | BITS64(5, 3))
#define DEBUGCTL_BTF	 BIT64(1)
#define EPTP_WB4	 (MEMORY_TYPE_WB | 3 << 3)
#define EPTP_FLAGS	 BITS64(11, 0)
#define RIGHTS_L_D	 (SEG_LONG | SEG_BIG)
#define SELECTOR_RPL	 BITS64(1, 0)
#define SELECTOR_TI	 BIT64(2)
#define TYPE_CONFORMING	 BIT64(2)

/* What many rows ask for. */
#define V(field)      vmread(VMCS_##field)
#define PART(part, i) vmread(VMCS_GUEST_ES_##part + 2 * (i))
#define PROTECTED     (V(GUEST_CR0) & CR0_PE)
#define PAGING	      (V(GUEST_CR0) & CR0_PG)
#define LONG_MODE     (V(ENTRY_CONTROLS) & ENTRY_LONG_MODE)
#define V8086	      ((V(GUEST_RFLAGS) & RFLAGS_VM) && PROTECTED && !LONG_MODE)
#define INJECTS(type) ((V(ENTRY_EVENT) & EVENT_WHAT) == (EVENT_VALID | (type) << 8))
#define EVENT_WHAT    (EVENT_VALID | EVENT_TYPE)
#define NO_ADDRESS    (~0ULL << cpu_features.physical_bits)
#define LINEAR_BITS   ((vmx_caps.cr4_fixed1 & CR4_LA57) ? 57U : 48U)

struct report {
	const char *vm;
	u32 vcpu, broken;
};

static void must(struct report *r, const char *name, u64 value, bool holds, const char *rule)
{
	if (!holds && r->broken++ < LINES_MAX)
		log_warning("VM %s vCPU %u: %s 0x%08lx: %s", r->vm, r->vcpu, name, value, rule);
}

static void must_allow(struct report *r, const char *name, u64 x, u64 ones, u64 allowed)
{
	char rule[48];

	format(rule, sizeof(rule), "bits 0x%lx must be 1", ones & ~x);
	must(r, name, x, !(ones & ~x), rule);
	format(rule, sizeof(rule), "bits 0x%lx must be 0", x & ~allowed);
	must(r, name, x, !(x & ~allowed), rule);
}

/* Rows: a field, whose value is x; when the rule counts; what must hold; the rule in words. */
#define WHEN(field, when, holds, rule)                        \
	do {                                                  \
		u64 x = V(field);                             \
		must(r, #field, x, !(when) || (holds), rule); \
	} while (0)
#define MUST(field, holds, rule) WHEN(field, true, holds, rule)
#define CANONICAL(field)	 MUST(field, address_is_canonical(x, LINEAR_BITS), not_canonical)
#define PAGE(field, when) \
	WHEN(field, when, !(x & (NO_ADDRESS | (PAGE_SIZE - 1))), "must be a page's address")
#define FIXED(field, ones, allowed) must_allow(r, #field, V(field), ones, allowed)
#define SELECTOR(field)		    MUST(field, !(x & (SELECTOR_RPL | SELECTOR_TI)), "RPL and TI must be 0")
#define SUITS(field, msr)	    FIXED(field, (u32)rdmsr(msr), rdmsr(msr) >> 32)

static const char high_zero[] = "bits 63:32 must be 0";
static const char not_canonical[] = "must be canonical";
static const char not_zero[] = "must not be 0";
static const char too_wide[] = "beyond the physical-address width";
static const char pat_types[] = "each byte must be 0, 1, 4, 5, 6 or 7";

/* Every byte is 0, 1, 4, 5, 6 or 7. */
static bool is_pat(u64 x)
{
	const u64 each = 0x0101010101010101;

	return !(x & (each * 0xf8)) && !(x & ~(x >> 1) & (each * 2));
}

static void check_controls(struct report *r)
{
	u32 more = rdmsr(MSR_VMX_BASIC) & VMX_BASIC_TRUE ? MSR_VMX_TRUE_PIN - MSR_VMX_PIN : 0;
	u64 pin = V(PIN_CONTROLS), proc = V(PROC_CONTROLS), proc2 = V(PROC2_CONTROLS);
	u64 tpr = proc & PROC_TPR_SHADOW, delivery = proc2 & PROC2_INTERRUPT_DELIVERY;
	u64 apic = proc2 & (PROC2_X2APIC | PROC2_APIC_REGISTERS | PROC2_INTERRUPT_DELIVERY);
	u64 nmis = pin & PIN_VIRTUAL_NMIS, dirty = vmx_caps.ept_dirty ? EPTP_DIRTY : 0;

	SUITS(PIN_CONTROLS, MSR_VMX_PIN + more);
	SUITS(PROC_CONTROLS, MSR_VMX_PROC + more);
	SUITS(PROC2_CONTROLS, MSR_VMX_PROC2);
	SUITS(EXIT_CONTROLS, MSR_VMX_EXIT + more);
	SUITS(ENTRY_CONTROLS, MSR_VMX_ENTRY + more);
	WHEN(PIN_CONTROLS, nmis, pin & PIN_NMI_EXITING, "virtual NMIs need NMI exiting");
	WHEN(PROC_CONTROLS, proc & PROC_NMI_WINDOW, nmis, "NMI window needs virtual NMIs");
	WHEN(PROC_CONTROLS, apic, tpr, "APIC virtualization needs the TPR shadow");
	WHEN(PROC2_CONTROLS, x & PROC2_X2APIC, !(x & PROC2_APIC_ACCESS), "x2APIC or APIC access");
	WHEN(PIN_CONTROLS, delivery, x & PIN_INTERRUPT_EXITING, "delivery needs interrupt exiting");
	WHEN(PROC2_CONTROLS, x & PROC2_UNRESTRICTED, x & PROC2_EPT, "unrestricted needs EPT");
	PAGE(IO_BITMAP_A, true);
	PAGE(IO_BITMAP_B, true);
	PAGE(MSR_BITMAP, true);
	PAGE(VIRTUAL_APIC, tpr);
	PAGE(APIC_ACCESS, proc2 & PROC2_APIC_ACCESS);
	WHEN(TPR_THRESHOLD, tpr && !delivery, x < 16, "must be below 16");
	MUST(VPID, x, not_zero);
	MUST(EPT_POINTER, (x & ~dirty & EPTP_FLAGS) == EPTP_WB4, "must be write-back, 4 levels");
	MUST(EPT_POINTER, !(x & NO_ADDRESS), too_wide);
}

/* More of the controls. This core injects interrupts, NMIs and exceptions. */
static void check_event(struct report *r)
{
	u64 event = V(ENTRY_EVENT), type = field_get(EVENT_TYPE, event);
	u64 error = event & EVENT_ERROR_VALID, vector = event & EVENT_VECTOR;
	u64 any = rdmsr(MSR_VMX_BASIC) & VMX_BASIC_ANY_ERROR;
	bool exception = type == EVENT_EXCEPTION, nmi = type == EVENT_NMI;
	bool pushes = exception && PROTECTED && vector < EXC_CP && exception_has_error((u32)vector);

	if (!(event & EVENT_VALID))
		return;
	MUST(ENTRY_EVENT, !(x & EVENT_UNKNOWN), "bits 30:12 must be 0");
	MUST(ENTRY_EVENT, !type || nmi || exception, "type must be 0, 2 or 3");
	WHEN(ENTRY_EVENT, nmi, vector == EXC_NMI, "an NMI has vector 2");
	WHEN(ENTRY_EVENT, exception, vector < EXC_COUNT, "an exception has a vector below 32");
	WHEN(ENTRY_EVENT, error && !(any && exception && PROTECTED), pushes, "has no error code");
	WHEN(ENTRY_EVENT, pushes && !any, error, "must have an error code");
	WHEN(ENTRY_ERROR, error, !(x >> 16), "bits 31:16 must be 0");
}

static void check_host(struct report *r)
{
	FIXED(HOST_CR0, vmx_caps.cr0_fixed0, vmx_caps.cr0_fixed1);
	FIXED(HOST_CR4, vmx_caps.cr4_fixed0 | CR4_PAE, vmx_caps.cr4_fixed1);
	MUST(HOST_CR3, !(x & NO_ADDRESS), too_wide);
	MUST(HOST_PAT, is_pat(x), pat_types);
	FIXED(HOST_EFER, EFER_LME | EFER_LMA, EFER_KNOWN);
	SELECTOR(HOST_ES_SELECTOR);
	SELECTOR(HOST_CS_SELECTOR);
	SELECTOR(HOST_SS_SELECTOR);
	SELECTOR(HOST_DS_SELECTOR);
	SELECTOR(HOST_FS_SELECTOR);
	SELECTOR(HOST_GS_SELECTOR);
	SELECTOR(HOST_TR_SELECTOR);
	MUST(HOST_CS_SELECTOR, x, not_zero);
	MUST(HOST_TR_SELECTOR, x, not_zero);
	CANONICAL(HOST_FS_BASE);
	CANONICAL(HOST_GS_BASE);
	CANONICAL(HOST_TR_BASE);
	CANONICAL(HOST_GDTR_BASE);
	CANONICAL(HOST_IDTR_BASE);
	CANONICAL(HOST_SYSENTER_ESP);
	CANONICAL(HOST_SYSENTER_EIP);
	CANONICAL(HOST_RIP);
}

static void check_guest_registers(struct report *r)
{
	bool code64 = LONG_MODE && (PART(RIGHTS, SEG_CS) & SEG_LONG);

	FIXED(GUEST_CR0, vmx_caps.cr0_fixed0 & ~(CR0_PE | CR0_PG), vmx_caps.cr0_fixed1);
	FIXED(GUEST_CR4, vmx_caps.cr4_fixed0, vmx_caps.cr4_fixed1);
	WHEN(GUEST_CR0, PAGING, PROTECTED, "PG without PE");
	WHEN(GUEST_CR0, LONG_MODE, PAGING, "IA-32e mode without PG");
	WHEN(GUEST_CR4, LONG_MODE, x & CR4_PAE, "IA-32e mode without PAE");
	WHEN(GUEST_CR4, x & CR4_PCIDE, LONG_MODE, "PCIDE outside IA-32e mode");
	MUST(GUEST_CR3, !(x & NO_ADDRESS), too_wide);
	MUST(GUEST_DEBUGCTL, !(x & DEBUGCTL_UNKNOWN), "bits 5:3 and 63:16 must be 0");
	MUST(GUEST_DR7, !(x >> 32), high_zero);
	MUST(GUEST_PAT, is_pat(x), pat_types);
	FIXED(GUEST_EFER, 0, EFER_KNOWN);
	MUST(GUEST_EFER, !(x & EFER_LMA) == !LONG_MODE, "LMA is not as in ENTRY_CONTROLS");
	WHEN(GUEST_EFER, PAGING, !(x & EFER_LMA) == !(x & EFER_LME), "LMA is not LME");
	CANONICAL(GUEST_SYSENTER_ESP);
	CANONICAL(GUEST_SYSENTER_EIP);
	CANONICAL(GUEST_GDTR_BASE);
	CANONICAL(GUEST_IDTR_BASE);
	MUST(GUEST_GDTR_LIMIT, x <= UINT16_MAX, "bits 31:16 must be 0");
	MUST(GUEST_IDTR_LIMIT, x <= UINT16_MAX, "bits 31:16 must be 0");
	WHEN(GUEST_RIP, !code64, !(x >> 32), high_zero);
	/* One bit looser than canonical. */
	WHEN(GUEST_RIP, code64, address_is_canonical(x, LINEAR_BITS + 1), "high bits must agree");
	FIXED(GUEST_RFLAGS, RFLAGS_ONE, ~RFLAGS_UNKNOWN);
	WHEN(GUEST_RFLAGS, x & RFLAGS_VM, V8086, "VM in IA-32e or real mode");
	WHEN(GUEST_RFLAGS, INJECTS(EVENT_INTERRUPT), x & RFLAGS_IF, "interrupt without IF");
}

/* The types that a segment register in use may have, a bit each. */
#define DATA_TYPES (BIT32(1) | BIT32(3) | BIT32(5) | BIT32(7) | BIT32(11) | BIT32(15))
#define CODE_TYPES (BIT32(3) | BIT32(9) | BIT32(11) | BIT32(13) | BIT32(15))

static const struct {
	const char *name;
	u32 types;
	const char *rule;
} segments[SEG_COUNT] = {
#define DATA DATA_TYPES, "type must be 1, 3, 5, 7, 11 or 15: accessed, readable"
	[SEG_ES] = { "ES", DATA },
	[SEG_CS] = { "CS", CODE_TYPES, "type must be 3, 9, 11, 13 or 15: accessed" },
	[SEG_SS] = { "SS", BIT32(3) | BIT32(7), "type must be 3 or 7: accessed, writable" },
	[SEG_DS] = { "DS", DATA },
	[SEG_FS] = { "FS", DATA },
	[SEG_GS] = { "GS", DATA },
	[SEG_LDTR] = { "LDTR", BIT32(2), "type must be 2: LDT" },
	[SEG_TR] = { "TR", BIT32(3) | BIT32(11), "type must be 3 or 11: busy TSS" },
};

static void segment_must(struct report *r, u32 i, const char *part, u64 x, bool holds,
			 const char *rule)
{
	char name[24];

	format(name, sizeof(name), "GUEST_%s_%s", segments[i].name, part);
	must(r, name, x, holds, rule);
}

#define SEGMENT(part, when, holds, rule) \
	segment_must(r, i, #part, PART(part, i), !(when) || (holds), rule)

static void check_segment(struct report *r, u32 i)
{
	u64 selector = PART(SELECTOR, i), base = PART(BASE, i), limit = PART(LIMIT, i);
	u64 rights = PART(RIGHTS, i), type = rights & SEG_TYPE, dpl = field_get(SEG_DPL, rights);
	u64 ss_dpl = field_get(SEG_DPL, PART(RIGHTS, SEG_SS)), pages = rights & SEG_GRANULAR;
	bool system = i >= SEG_LDTR, v8086 = V8086 && !system;
	bool cs = i == SEG_CS && !v8086, ss = i == SEG_SS && !v8086, tr = i == SEG_TR;
	bool used = cs || tr || !(v8086 || (rights & SEG_UNUSABLE));
	bool wide = i >= SEG_FS && !v8086 && (used || !system);
	bool real = !PROTECTED || (PART(RIGHTS, SEG_CS) & SEG_TYPE) == 3;
	bool dpl_fits = type == 3 ? !dpl : type & TYPE_CONFORMING ? dpl <= ss_dpl : dpl == ss_dpl;

	SEGMENT(BASE, v8086, base == selector << 4, "virtual 8086: must be the selector << 4");
	SEGMENT(LIMIT, v8086, limit == UINT16_MAX, "virtual 8086: must be 0xffff");
	SEGMENT(RIGHTS, v8086, rights == RIGHTS_V8086, "virtual 8086: must be 0xf3");
	SEGMENT(SELECTOR, system && used, !(selector & SELECTOR_TI), "TI must be 0");
	SEGMENT(BASE, used && i < SEG_FS, !(base >> 32), high_zero);
	SEGMENT(BASE, wide, address_is_canonical(base, LINEAR_BITS), not_canonical);
	SEGMENT(RIGHTS, tr, !(rights & SEG_UNUSABLE), "must be usable");
	SEGMENT(RIGHTS, used, segments[i].types >> type & 1, segments[i].rule);
	SEGMENT(RIGHTS, tr && LONG_MODE, type != 3, "type must be 11 in IA-32e mode");
	SEGMENT(RIGHTS, used, !(rights & SEG_CODE) == system, "S must be 1, in LDTR and TR 0");
	SEGMENT(RIGHTS, cs, dpl_fits, "DPL must be SS.DPL, type 13, 15: or less, 3: 0");
	SEGMENT(RIGHTS, ss && real, !dpl, "DPL must be 0: real mode, or CS of type 3");
	SEGMENT(RIGHTS, used, rights & SEG_PRESENT, "P must be 1");
	SEGMENT(RIGHTS, used, !(rights & RIGHTS_UNKNOWN), "bits 11:8 and 31:17 must be 0");
	SEGMENT(RIGHTS, cs && LONG_MODE, (rights & RIGHTS_L_D) != RIGHTS_L_D, "L excludes D");
	SEGMENT(LIMIT, used && pages, (limit & 0xfff) == 0xfff, "bits 11:0 must be 1 with G");
	SEGMENT(LIMIT, used && !pages, !(limit >> 20), "bits 31:20 must be 0 without G");
}

#define BLOCK(when, holds, rule) WHEN(GUEST_INTERRUPTIBILITY, when, holds, rule)

static void check_non_register_state(struct report *r)
{
	u64 shadow = V(GUEST_INTERRUPTIBILITY) & BLOCKED_SHADOW, rflags = V(GUEST_RFLAGS);
	bool step = (rflags & RFLAGS_TF) && !(V(GUEST_DEBUGCTL) & DEBUGCTL_BTF);

	MUST(GUEST_ACTIVITY, x == ACTIVITY_ACTIVE, "must be active");
	BLOCK(true, !(x & ~BLOCKED_ALL), "only STI, MOV SS, NMI may block");
	BLOCK(true, shadow != BLOCKED_SHADOW, "STI and MOV SS cannot both block");
	BLOCK(x & BLOCKED_BY_STI, rflags & RFLAGS_IF, "STI blocks, but IF is 0");
	BLOCK(INJECTS(EVENT_INTERRUPT), !shadow, "blocks the injected interrupt");
	/* STI blocks NMIs on some processors only. */
	BLOCK(INJECTS(EVENT_NMI), !(x & BLOCKED_ALL), "blocks the injected NMI");
	MUST(GUEST_PENDING_DEBUG, !(x & PENDING_UNKNOWN), "bits 11:4, 13, 15, 63:17 must be 0");
	WHEN(GUEST_PENDING_DEBUG, shadow, !(x & PENDING_DEBUG_BS) == !step,
	     "BS must be 1 with TF and without BTF, else 0");
	MUST(LINK_POINTER, x == LINK_POINTER_NONE, "must be all ones");
}

static void check_guest(struct report *r)
{
	bool pae = PAGING && (V(GUEST_CR4) & CR4_PAE) && !LONG_MODE;

	check_guest_registers(r);
	for (u32 i = 0; i < SEG_COUNT; i++)
		check_segment(r, i);
	check_non_register_state(r);
	for (u32 i = 0; pae && i < 4; i++) {
		u64 x = vmread(VMCS_GUEST_PDPTE0 + 2 * i);

		must(r, "GUEST_PDPTE", x, !(x & PTE_PRESENT) || !(x & (NO_ADDRESS | PDPTE_UNKNOWN)),
		     "reserved bits must be 0");
	}
}

static void say_rest(const struct report *r)
{
	if (!r->broken)
		log_warning("VM %s vCPU %u: no check of ours fails", r->vm, r->vcpu);
	if (r->broken > LINES_MAX)
		log_warning("VM %s vCPU %u: and %u more", r->vm, r->vcpu, r->broken - LINES_MAX);
}

void vmx_entry_failure_log(const char *vm_name, u32 vcpu_index, u64 exit_reason, u64 qualification)
{
	/* SDM, "VM-Entry Failures During or After Loading Guest State" */
	static const char *const hints[] = { "", "", " (PDPTE)", " (NMI)", " (link pointer)" };
	u64 reason = exit_reason & EXIT_REASON_BASIC;
	bool state = reason == VMX_EXIT_GUEST_STATE;
	const char *what = reason == VMX_EXIT_MSR_LOADING ? "MSR loading" : "machine check";
	struct report r = { vm_name, vcpu_index, 0 };

	log_warning("VM %s vCPU %u: entry failed: %s, qualification %lu%s", vm_name, vcpu_index,
		    state ? "guest state" : what, qualification,
		    state && qualification < ARRAY_SIZE(hints) ? hints[qualification] : "");
	if (!state)
		return;
	check_guest(&r);
	say_rest(&r);
}

/* What an entry can fail with; the other numbers are of instructions and modes not used here. */
static const char *const error_names[] = {
	[0] = "no current VMCS",
	[4] = "VMLAUNCH with non-clear VMCS",
	[5] = "VMRESUME with non-launched VMCS",
	[ERROR_CONTROLS] = "VM entry with invalid control field(s)",
	[ERROR_HOST] = "VM entry with invalid host-state field(s)",
	[26] = "VM entry with events blocked by MOV SS",
};

const char *vmx_insn_error_name(u32 error)
{
	return error < ARRAY_SIZE(error_names) && error_names[error] ? error_names[error]
								     : "unknown";
}

void vmx_insn_failure_log(const char *vm_name, u32 vcpu_index, const char *insn,
			  enum vmx_result result)
{
	u32 error = result == VMX_FAIL_VALID ? (u32)V(INSN_ERROR) : 0;
	struct report r = { vm_name, vcpu_index, 0 };

	log_warning("VM %s vCPU %u: %s failed: error %u, %s", vm_name, vcpu_index, insn, error,
		    vmx_insn_error_name(error));
	if (error == ERROR_CONTROLS) {
		check_controls(&r);
		check_event(&r);
	} else if (error == ERROR_HOST) {
		check_host(&r);
	} else {
		return;
	}
	say_rest(&r);
}
