/* From the VMCS's exit fields to a struct vm_exit. SDM, "VM-Exit Information Fields". */
#include "core/cpu/cpu.h"
#include "core/cpu/insn.h"
#include "core/cpu/timer.h"
#include "core/virt/resident.h"
#include "core/vmx/check.h"
#include "core/vmx/insn.h"
#include "core/vmx/vmx.h"
#include "lib/x86/registers.h"

#define QUAL_DEBUG (DR6_BREAKS | DR6_BD | DR6_BS)

struct exit_row {
	u32 reason; /* enum vm_exit_reason */
	void (*decode)(struct vcpu *v);
	bool insn; /* an instruction of known length */
};

static u64 edx_eax(const struct vcpu *v)
{
	const u64 *gpr = v->page->gpr;

	return (gpr[GPR_RDX] & 0xffffffff) << 32 | (gpr[GPR_RAX] & 0xffffffff);
}

static void decode_raw(struct vcpu *v)
{
	v->exit.unknown.code = vmread(VMCS_EXIT_REASON);
	v->exit.unknown.info1 = vmread(VMCS_EXIT_QUALIFICATION);
	v->exit.unknown.info2 = vmread(VMCS_GUEST_PHYSICAL);
}

static void decode_rdmsr(struct vcpu *v)
{
	v->exit.msr.index = (u32)v->page->gpr[GPR_RCX];
	v->exit.msr.write = 0;
}

static void decode_wrmsr(struct vcpu *v)
{
	v->exit.msr.index = (u32)v->page->gpr[GPR_RCX];
	v->exit.msr.write = 1;
	v->exit.msr.value = edx_eax(v);
}

static void decode_xsetbv(struct vcpu *v)
{
	v->exit.xsetbv.index = (u32)v->page->gpr[GPR_RCX];
	v->exit.xsetbv.value = edx_eax(v);
}

static void decode_io(struct vcpu *v)
{
	u64 qualification = vmread(VMCS_EXIT_QUALIFICATION);

	v->exit.io.port = (u16)field_get(QUAL_IO_PORT, qualification);
	v->exit.io.size = (u8)(field_get(QUAL_IO_SIZE, qualification) + 1);
	v->exit.io.in = (qualification & QUAL_IO_IN) != 0;
	v->exit.io.string = (qualification & QUAL_IO_STRING) != 0;
	v->exit.io.value = (u32)v->page->gpr[GPR_RAX];
	if (v->exit.io.string)
		v->exit.insn_length = 0; /* the VMM decodes it */
}

/* An IRET that ends an NMI handler opens NMIs before it faults: it will run again. */
static void undo_nmi_unblocking(bool unblocked)
{
	if (unblocked && !(vmread(VMCS_VECTORING_EVENT) & EVENT_VALID))
		vmx_nmi_block(true);
}

static void decode_ept_violation(struct vcpu *v)
{
	u64 qualification = vmread(VMCS_EXIT_QUALIFICATION);
	gpa_t gpa = GPA(vmread(VMCS_GUEST_PHYSICAL));

	undo_nmi_unblocking((qualification & QUAL_NMI_UNBLOCKING) != 0);
	if (vm_is_ram(v->vm, gpa)) {
		v->exit.reason = VM_EXIT_RAM_FAULT;
		decode_raw(v);
		return;
	}
	v->exit.mmio.gpa = gpa.raw;
	v->exit.mmio.access = ((qualification & QUAL_EPT_WRITE) ? MMIO_WRITE : 0) |
			      ((qualification & QUAL_EPT_FETCH) ? MMIO_FETCH : 0);
}

/*
 * An access that the processor cannot virtualize: of another size, across registers, or of a
 * register that is computed. The rest of the way is that of device memory.
 */
static void decode_apic_access(struct vcpu *v)
{
	static const u8 access[] = {
		[APIC_TYPE_WRITE] = MMIO_WRITE,
		[APIC_TYPE_FETCH] = MMIO_FETCH,
		[APIC_TYPE_PHYSICAL] = MMIO_FETCH,
	};
	u64 qualification = vmread(VMCS_EXIT_QUALIFICATION);

	v->exit.mmio.gpa = LAPIC_BASE_ADDRESS + field_get(QUAL_APIC_OFFSET, qualification);
	v->exit.mmio.access = access[field_get(QUAL_APIC_TYPE, qualification)];
}

/* The instruction is done, as after an EOI. */
static void decode_apic_write(struct vcpu *v)
{
	v->exit.apic.offset = (u32)field_get(QUAL_APIC_OFFSET, vmread(VMCS_EXIT_QUALIFICATION));
}

static void decode_eoi(struct vcpu *v)
{
	v->exit.eoi.vector = (u32)field_get(QUAL_EOI_VECTOR, vmread(VMCS_EXIT_QUALIFICATION));
}

void vmx_debug_raised(struct vcpu *v, u64 causes)
{
	resident_dr6_set(v, (resident_dr6(v) & ~DR6_BREAKS) | causes);
	vmwrite(VMCS_GUEST_DR7, vmread(VMCS_GUEST_DR7) & ~DR7_GD);
}

static void decode_exception(struct vcpu *v)
{
	u64 info = vmread(VMCS_EXIT_EVENT);
	u64 type = field_get(EVENT_TYPE, info);
	u32 vector = (u32)field_get(EVENT_VECTOR, info);

	if (type == EVENT_NMI) {
		v->exit.reason = VM_EXIT_HOST_NMI;
		take_nmi();
		return;
	}
	undo_nmi_unblocking((info & EVENT_NMI_UNBLOCKING) != 0 && vector != EXC_DF);
	if (type == EVENT_PRIVILEGED) /* INT1 is a trap: behind the instruction */
		vmwrite(VMCS_GUEST_RIP, vmread(VMCS_GUEST_RIP) + vmread(VMCS_EXIT_INSN_LENGTH));
	else if (vector == EXC_DB) /* the exit came before its effects */
		vmx_debug_raised(v, vmread(VMCS_EXIT_QUALIFICATION) & QUAL_DEBUG);
	if (vector == EXC_DB)
		vmx_shadow_end(); /* it goes in next, and no single-step trap is pending beside it
				   */
	v->exit.exception.vector = vector;
	v->exit.exception.has_error = (info & EVENT_ERROR_VALID) != 0;
	v->exit.exception.error = vmread(VMCS_EXIT_EVENT_ERROR);
}

static bool control_register_write(struct vcpu *v, u64 qualification)
{
	u64 value = v->page->gpr[field_get(QUAL_CR_REGISTER, qualification)];
	u64 number = field_get(QUAL_CR_NUMBER, qualification);

	if (field_get(QUAL_CR_TYPE, qualification) != 0)
		return false;
	return number == 4 ? vmx_cr4_write(v, value) : number == 0 && vmx_cr0_write(value);
}

/* Until here it counted as one that the guest still has to take. */
static void interrupt_taken(struct vcpu *v, u8 vector)
{
	if (v->offered >= 0)
		v->offer_taken = true;
	else
		lapic_take(&v->lapic, vector);
}

/*
 * The processor has checked what it could and changed nothing. An event is delivered by the switch;
 * only an exception still matters, should the switch fault.
 */
static void decode_task_switch(struct vcpu *v)
{
	u64 qualification = vmread(VMCS_EXIT_QUALIFICATION);
	u64 event = vmread(VMCS_VECTORING_EVENT);
	u64 type = field_get(EVENT_TYPE, event);
	u8 source = (u8)field_get(QUAL_TASK_SOURCE, qualification);
	bool is_event = source == TASK_GATE && (event & EVENT_VALID);

	v->exit.task.selector = (u16)field_get(QUAL_TASK_SELECTOR, qualification);
	v->exit.task.source = source;
	v->exit.task.external = is_event && type != EVENT_SOFTWARE && type != EVENT_SOFTWARE_EXC;
	v->exit.task.has_error = is_event && (event & EVENT_ERROR_VALID);
	v->exit.task.error = vmread(VMCS_VECTORING_ERROR);
	if (is_event && type < EVENT_SOFTWARE)
		v->exit.insn_length = 0; /* RIP is where the old task goes on */
	if (is_event && type == EVENT_INTERRUPT)
		interrupt_taken(v, (u8)field_get(EVENT_VECTOR, event));
	if (is_event && type == EVENT_NMI) {
		v->reinject.type = EVENT_NONE;
		vmx_nmi_block(true);
	} else if (source == TASK_IRET) {
		vmx_nmi_block(false);
	}
}

static void decode_cr(struct vcpu *v)
{
	if (!control_register_write(v, vmread(VMCS_EXIT_QUALIFICATION)))
		v->exit.reason = VM_EXIT_REFUSED_GP;
	else /* it runs again: a breakpoint there has been taken */
		vmx_rflags_set(vmx_vcpu(v), vmx_vcpu(v)->rflags | RFLAGS_RF);
}

/* The deadline that it stood for has come, perhaps before the local APIC's own interrupt. */
static void decode_preemption_timer(struct vcpu *v)
{
	(void)v;
	timer_interrupt();
}

static void decode_failed(struct vcpu *v)
{
	decode_raw(v);
	if (log_limit_take(&v->vm->log, v->vm->name))
		vmx_entry_failure_log(v->vm->name, v->index, v->exit.unknown.code,
				      v->exit.unknown.info1);
}

/* Indexed by basic exit reason; a row without a reason stands for an exit that nobody asked for. */
static const struct exit_row exit_rows[VMX_EXIT_COUNT] = {
	[VMX_EXIT_EXCEPTION] = { VM_EXIT_EXCEPTION, decode_exception, false },
	[VMX_EXIT_INTERRUPT] = { VM_EXIT_INTERRUPT, NULL, false },
	[VMX_EXIT_TRIPLE_FAULT] = { VM_EXIT_SHUTDOWN, decode_raw, false },
	[VMX_EXIT_INIT] = { VM_EXIT_HOST_NMI, NULL, false }, /* an INIT from outside is ignored */
	[VMX_EXIT_SIPI] = { VM_EXIT_HOST_NMI, NULL, false },
	[VMX_EXIT_INTERRUPT_WINDOW] = { VM_EXIT_WINDOW, NULL, false },
	[VMX_EXIT_NMI_WINDOW] = { VM_EXIT_WINDOW, NULL, false },
	[VMX_EXIT_TASK_SWITCH] = { VM_EXIT_TASK_SWITCH, decode_task_switch, true },
	[VMX_EXIT_CPUID] = { VM_EXIT_CPUID, NULL, true },
	[VMX_EXIT_GETSEC] = { VM_EXIT_REFUSED, NULL, false },
	[VMX_EXIT_HLT] = { VM_EXIT_HLT, NULL, true },
	[VMX_EXIT_INVD] = { VM_EXIT_CACHE, NULL, true },
	[VMX_EXIT_RDPMC] = { VM_EXIT_REFUSED_GP, NULL, false },
	[VMX_EXIT_RSM] = { VM_EXIT_REFUSED, NULL, false },
	[VMX_EXIT_VMCALL... VMX_EXIT_VMXON] = { VM_EXIT_REFUSED, NULL, false },
	[VMX_EXIT_CR] = { VM_EXIT_CR, decode_cr, false },
	[VMX_EXIT_IO] = { VM_EXIT_IO, decode_io, true },
	[VMX_EXIT_RDMSR] = { VM_EXIT_MSR, decode_rdmsr, true },
	[VMX_EXIT_WRMSR] = { VM_EXIT_MSR, decode_wrmsr, true },
	[VMX_EXIT_GUEST_STATE] = { VM_EXIT_ENTRY_FAILED, decode_failed, false },
	[VMX_EXIT_MSR_LOADING] = { VM_EXIT_ENTRY_FAILED, decode_failed, false },
	[VMX_EXIT_MWAIT] = { VM_EXIT_REFUSED, NULL, false },
	[VMX_EXIT_MONITOR] = { VM_EXIT_REFUSED, NULL, false },
	[VMX_EXIT_PAUSE] = { VM_EXIT_PAUSE, NULL, true },
	[VMX_EXIT_MACHINE_CHECK] = { VM_EXIT_ENTRY_FAILED, decode_failed, false },
	[VMX_EXIT_TPR_THRESHOLD] = { VM_EXIT_WINDOW, NULL, false },
	[VMX_EXIT_APIC_ACCESS] = { VM_EXIT_MMIO, decode_apic_access, false },
	[VMX_EXIT_EOI] = { VM_EXIT_EOI, decode_eoi, false },
	[VMX_EXIT_EPT_VIOLATION] = { VM_EXIT_MMIO, decode_ept_violation, false },
	[VMX_EXIT_EPT_MISCONFIGURED] = { VM_EXIT_RAM_FAULT, decode_raw, false },
	[VMX_EXIT_INVEPT] = { VM_EXIT_REFUSED, NULL, false },
	[VMX_EXIT_PREEMPTION_TIMER] = { VM_EXIT_INTERRUPT, decode_preemption_timer, false },
	[VMX_EXIT_INVVPID] = { VM_EXIT_REFUSED, NULL, false },
	[VMX_EXIT_WBINVD] = { VM_EXIT_CACHE, NULL, true },
	[VMX_EXIT_XSETBV] = { VM_EXIT_XSETBV, decode_xsetbv, true },
	[VMX_EXIT_APIC_WRITE] = { VM_EXIT_APIC, decode_apic_write, false },
};

static const struct exit_row unknown_row = { VM_EXIT_UNKNOWN, decode_raw, false };

void vmx_exit_decode(struct vcpu *v)
{
	u64 basic = field_get(EXIT_REASON_BASIC, vmread(VMCS_EXIT_REASON));
	const struct exit_row *row = &unknown_row;

	if (basic < VMX_EXIT_COUNT && exit_rows[basic].reason != VM_EXIT_NONE)
		row = &exit_rows[basic];
	v->exit.reason = row->reason;
	v->exit.insn_length = row->insn ? (u32)vmread(VMCS_EXIT_INSN_LENGTH) : 0;
	if (row->decode)
		row->decode(v);
}
