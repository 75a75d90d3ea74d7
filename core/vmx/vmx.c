/* VT-x behind the vendor seam. SDM, "Virtual Machine Extensions". */
#include "core/vmx/vmx.h"

#include "core/cpu/apic.h"
#include "core/cpu/cpu.h"
#include "core/cpu/insn.h"
#include "core/mem/core_map.h"
#include "core/mem/heap.h"
#include "core/trace/log.h"
#include "core/virt/events.h"
#include "core/vmx/caps.h"
#include "core/vmx/check.h"
#include "core/vmx/insn.h"
#include "core/vmx/permission.h"
#include "lib/base/assert.h"
#include "lib/x86/registers.h"

/* In TSC ticks: a spin lock's owner is late after a window of PAUSEs, none a gap after another. */
#define PAUSE_GAP    128
#define PAUSE_WINDOW 4096

#define KICK_LATENCY_US 500

/* #AC and #DB can keep a processor busy delivering for ever; #MC is the host's. */
#define INTERCEPT_EXCEPTIONS (BIT32(EXC_AC) | BIT32(EXC_DB) | BIT32(EXC_MC))

static bool vmx_matches(void)
{
	return cpuid(CPUID_BASIC, 0).ebx == 0x756e6547; /* "GenuineIntel" */
}

static bool vmx_preflight(void)
{
	if (!vmx_feature_control_ok() || !vmx_caps_read())
		return false;
	log_info("VT-x: EPT%s%s%s%s%s", vmx_caps.page_1g ? ", 1 GiB pages" : "",
		 vmx_caps.ept_dirty ? ", accessed and dirty bits" : "",
		 vmx_caps.preemption_timer ? ", preemption timer" : "",
		 vmx_caps.proc2 & PROC2_PAUSE_LOOP ? ", PAUSE-loop exits" : "",
		 vmx_caps.apicv ? ", APIC virtualization" : "");
	return true;
}

static void registers_read(struct vmx_registers *r)
{
	r->star = rdmsr(MSR_IA32_STAR);
	r->lstar = rdmsr(MSR_IA32_LSTAR);
	r->cstar = rdmsr(MSR_IA32_CSTAR);
	r->fmask = rdmsr(MSR_IA32_FMASK);
	r->kernel_gs_base = rdmsr(MSR_IA32_KERNEL_GS_BASE);
	r->cr2 = read_cr2();
}

static void registers_write(const struct vmx_registers *r)
{
	wrmsr(MSR_IA32_STAR, r->star);
	wrmsr(MSR_IA32_LSTAR, r->lstar);
	wrmsr(MSR_IA32_CSTAR, r->cstar);
	wrmsr(MSR_IA32_FMASK, r->fmask);
	wrmsr(MSR_IA32_KERNEL_GS_BASE, r->kernel_gs_base);
	write_cr2(r->cr2);
}

static enum err vmx_cpu_on(struct cpu *cpu)
{
	struct vmx_cpu *host = heap_try_alloc(sizeof(*host));
	hpa_t region;

	if (!host)
		return ERR_NO_MEMORY;
	if (cpu->index == 0)
		vmx_permission_init();
	host->vmxon[0] = vmx_caps.revision;
	registers_read(&host->registers);
	read_tables(&host->gdtr, &host->idtr);
	cpu->virt = host;
	if (cpu->index > 0 && !vmx_feature_control_ok())
		return ERR_UNSUPPORTED;
	write_cr0(vmx_cr0(read_cr0()));
	write_cr4(vmx_cr4(read_cr4()));
	region = core_physical(host->vmxon);
	if (vmxon(&region) != VMX_OK)
		panic("VMXON was refused with VT-x enabled");
	return ERR_OK;
}

static u64 ept_leaf_bits(u32 flags)
{
	u64 bits = EPT_READ | EPT_ACCESSED | EPT_DIRTY;

	if (flags & MAP_WRITE)
		bits |= EPT_WRITE;
	if (flags & MAP_EXECUTE)
		bits |= EPT_EXECUTE;
	/* The guest's PAT has its say too, as on AMD-V: the "ignore PAT" bit stays clear. */
	return field_set(EPT_MEMORY_TYPE, bits,
			 flags & MAP_UNCACHED ? MEMORY_TYPE_UC : MEMORY_TYPE_WB);
}

static const struct paging_format *vmx_stage2_format(void)
{
	static struct paging_format format = {
		.table = EPT_READ | EPT_WRITE | EPT_EXECUTE | EPT_ACCESSED,
		.leaf_large = EPT_LARGE,
		.leaf_bits = ept_leaf_bits,
	};

	format.largest = vmx_caps.page_1g ? 3 : 2;
	return &format;
}

static void vmx_stage2_flush(struct vm *vm)
{
	if (vm->vcpu_count > 0)
		invept(INVALIDATE_SINGLE, vmx_vcpu(vm->vcpus[0])->ept_pointer);
}

/* A new VMCS holds nothing in particular. */
static const u32 zero_fields[] = {
	VMCS_TSC_OFFSET,
	VMCS_PF_ERROR_MASK,
	VMCS_PF_ERROR_MATCH,
	VMCS_CR3_TARGET_COUNT,
	VMCS_EXIT_MSR_STORE_COUNT,
	VMCS_EXIT_MSR_LOAD_COUNT,
	VMCS_ENTRY_MSR_LOAD_COUNT,
	VMCS_ENTRY_EVENT,
	VMCS_TPR_THRESHOLD,
	VMCS_GUEST_DEBUGCTL,
	VMCS_GUEST_INTERRUPTIBILITY,
	VMCS_GUEST_ACTIVITY,
	VMCS_GUEST_PENDING_DEBUG,
	VMCS_GUEST_SYSENTER_CS,
	VMCS_GUEST_SYSENTER_ESP,
	VMCS_GUEST_SYSENTER_EIP,
	VMCS_GUEST_RSP,
	VMCS_HOST_ES_SELECTOR,
	VMCS_HOST_DS_SELECTOR,
	VMCS_HOST_FS_SELECTOR,
	VMCS_HOST_GS_SELECTOR,
	VMCS_HOST_FS_BASE,
	VMCS_HOST_SYSENTER_CS,
	VMCS_HOST_SYSENTER_ESP,
	VMCS_HOST_SYSENTER_EIP,
};

static void controls_init(struct vcpu *v, struct vmx_vcpu *x)
{
	for (u32 i = 0; i < ARRAY_SIZE(zero_fields); i++)
		vmwrite(zero_fields[i], 0);
	vmwrite(VMCS_PIN_CONTROLS, vmx_caps.pin);
	vmwrite(VMCS_PROC_CONTROLS, x->proc);
	vmwrite(VMCS_PROC2_CONTROLS, vmx_caps.proc2);
	vmwrite(VMCS_EXIT_CONTROLS, vmx_caps.exit);
	vmwrite(VMCS_ENTRY_CONTROLS, vmx_caps.entry);
	vmwrite(VMCS_EXCEPTION_BITMAP, INTERCEPT_EXCEPTIONS);
	vmwrite(VMCS_IO_BITMAP_A, core_physical(vmx_permission.io).raw);
	vmwrite(VMCS_IO_BITMAP_B, core_physical(vmx_permission.io + PAGE_SIZE).raw);
	vmwrite(VMCS_MSR_BITMAP, core_physical(vmx_permission.msr).raw);
	vmwrite(VMCS_VIRTUAL_APIC, core_physical(v->lapic.reg).raw);
	vmwrite(VMCS_EPT_POINTER, x->ept_pointer);
	vmwrite(VMCS_VPID, x->vpid);
	vmwrite(VMCS_LINK_POINTER, LINK_POINTER_NONE);
	vmwrite(VMCS_GUEST_PAT, PAT_RESET);
	x->preemption_timer = UINT32_MAX;
	vmwrite(VMCS_PREEMPTION_TIMER, x->preemption_timer);
	if (vmx_caps.proc2 & PROC2_PAUSE_LOOP) {
		vmwrite(VMCS_PAUSE_GAP, PAUSE_GAP);
		vmwrite(VMCS_PAUSE_WINDOW, PAUSE_WINDOW);
	}
	vmx_control_registers_init(v);
}

static u64 ept_pointer(const struct vm *vm)
{
	u64 pointer = vm->stage2.root.raw | field_set(EPTP_WALK, 0, PAGING_LEVELS - 1) |
		      field_set(EPTP_TYPE, 0, MEMORY_TYPE_WB);

	return vmx_caps.ept_dirty ? pointer | EPTP_DIRTY : pointer;
}

/* Ring 3 needs its SYSCALL registers, and tables that end where they end: an exit leaves 64 KiB. */
static void vmx_release(struct cpu *cpu)
{
	struct vmx_cpu *host = cpu->virt;

	if (!host->loaded)
		return;
	registers_read(&host->loaded->registers);
	registers_write(&host->registers);
	write_tables(&host->gdtr, &host->idtr);
	host->loaded = NULL;
}

/* A VMCS is one CPU's until it is cleared there. */
static void vmx_leave(struct vcpu *v)
{
	struct cpu *cpu = this_cpu();
	struct vmx_cpu *host = cpu->virt;
	struct vmx_vcpu *x = vmx_vcpu(v);
	enum vmx_result result;

	if (host->loaded == x)
		vmx_release(cpu);
	if (x->active != cpu)
		return;
	result = vmclear(&x->vmcs_hpa);
	assert(result == VMX_OK);
	if (host->current == x)
		host->current = NULL;
	x->active = NULL;
	x->cpu = NULL;
	x->launched = false;
}

static void vmx_vcpu_fini(struct vcpu *v)
{
	struct vmx_vcpu *x = vmx_vcpu(v);

	vmx_leave(v);
	assert(!x->active);
	heap_free(x, sizeof(*x));
}

static enum err vmx_vcpu_init(struct vcpu *v)
{
	struct vmx_vcpu *x = heap_try_alloc(sizeof(*x));
	enum vmx_result result;
	enum err err;

	if (!x)
		return ERR_NO_MEMORY;
	v->virt = x;
	x->proc = vmx_caps.proc;
	x->vpid = (u16)(1 + v->vm->number * VM_VCPU_MAX + v->index);
	x->ept_pointer = ept_pointer(v->vm);
	x->vmcs_hpa = core_physical(x->vmcs);
	x->vmcs[0] = vmx_caps.revision;
	result = vmclear(&x->vmcs_hpa);
	assert(result == VMX_OK);
	vmx_select(x);
	controls_init(v, x);
	err = vmx_apic_init(v);
	if (err)
		vmx_vcpu_fini(v);
	return err;
}

/* Root mode's state of this CPU, and no stale translations of whoever had the same numbers. */
NOINLINE static void cpu_enter(struct vmx_vcpu *x, struct cpu *cpu)
{
	struct vmx_cpu *host = cpu->virt;

	x->cpu = cpu;
	vmwrite(VMCS_HOST_CR0, read_cr0() | CR0_TS);
	vmwrite(VMCS_HOST_CR3, read_cr3()); /* the VMM's: only its own thread runs this vCPU */
	vmwrite(VMCS_HOST_CR4, read_cr4());
	vmwrite(VMCS_HOST_CS_SELECTOR, SELECTOR_CORE_CODE);
	vmwrite(VMCS_HOST_SS_SELECTOR, SELECTOR_CORE_DATA);
	vmwrite(VMCS_HOST_TR_SELECTOR, SELECTOR_TSS);
	vmwrite(VMCS_HOST_GS_BASE, (u64)cpu);
	vmwrite(VMCS_HOST_TR_BASE, (u64)cpu->tss);
	vmwrite(VMCS_HOST_GDTR_BASE, host->gdtr.base);
	vmwrite(VMCS_HOST_IDTR_BASE, host->idtr.base);
	vmwrite(VMCS_HOST_PAT, rdmsr(MSR_IA32_PAT));
	vmwrite(VMCS_HOST_EFER, rdmsr(MSR_IA32_EFER));
	vmwrite(VMCS_HOST_RIP, (u64)vmx_exit_entry);
	invvpid(INVALIDATE_SINGLE, x->vpid);
	invept(INVALIDATE_SINGLE, x->ept_pointer);
}

/* The VMM may have changed RSP as well. */
static void registers_load(struct vmx_cpu *host, struct vmx_vcpu *x, u64 rsp)
{
	if (host->loaded)
		registers_read(&host->loaded->registers);
	registers_write(&x->registers);
	vmwrite(VMCS_GUEST_RSP, rsp);
	host->loaded = x;
}

static void proc_set(struct vmx_vcpu *x, u32 bit, bool on)
{
	u32 proc = on ? x->proc | bit : x->proc & ~bit;

	if (proc == x->proc)
		return;
	x->proc = proc;
	vmwrite(VMCS_PROC_CONTROLS, proc);
}

/*
 * An emulated processor (Bochs) does not end the run of a guest that was entered with interrupts
 * off when one comes for the host: there the preemption timer does it when a deadline is near, and
 * now and then for other processors' kicks.
 */
static void preemption_timer_set(struct vmx_vcpu *x, const struct cpu *cpu)
{
	u64 now, ticks = ~0ULL;

	if (!(x->rflags & RFLAGS_IF)) {
		now = rdtsc();
		if (cpu->timers.first)
			ticks = max_u64(cpu->timers.first->deadline, now) - now;
		if (cpu_count > 1)
			ticks = min_u64(ticks, tsc_from_us(KICK_LATENCY_US));
	}
	ticks = min_u64(ticks >> vmx_caps.timer_shift, UINT32_MAX);
	if (ticks == x->preemption_timer)
		return;
	x->preemption_timer = (u32)ticks;
	vmwrite(VMCS_PREEMPTION_TIMER, ticks);
}

static void events_decode(struct vcpu *v, struct vmx_vcpu *x)
{
	u64 info = vmread(VMCS_VECTORING_EVENT);
	bool interrupt;

	if (!(info & EVENT_VALID) && !x->event_injected)
		return;
	interrupt = (info & EVENT_VALID) && field_get(EVENT_TYPE, info) == EVENT_INTERRUPT;
	if (info & EVENT_VALID) {
		v->reinject = event_decode(info, vmread(VMCS_VECTORING_ERROR));
		if (v->reinject.type == EVENT_NMI)
			vmx_nmi_block(false); /* until it goes in again */
		v->events = true;
	}
	x->event_injected = false;
	if (x->interrupt_injected) {
		x->interrupt_injected = false;
		v->offer_taken = !interrupt;
		v->events = true;
	} else if (interrupt) { /* delivered from the page */
		lapic_give_back(&v->lapic, (u8)field_get(EVENT_VECTOR, info));
		v->events = true;
	}
}

NOINLINE static void entry_refused(struct vcpu *v, const struct vmx_vcpu *x, enum vmx_result result)
{
	if (log_limit_take(&v->vm->log, v->vm->name))
		vmx_insn_failure_log(v->vm->name, v->index, x->launched ? "VMRESUME" : "VMLAUNCH",
				     result);
	v->exit.reason = VM_EXIT_ENTRY_FAILED;
	v->exit.unknown.code = vmread(VMCS_INSN_ERROR);
	v->exit.unknown.info1 = 0;
	v->exit.unknown.info2 = 0;
}

static void vmx_run(struct vcpu *v)
{
	struct vmx_vcpu *x = vmx_vcpu(v);
	struct cpu *cpu = this_cpu();
	struct vmx_cpu *host = cpu->virt;
	u64 *gpr = v->page->gpr;
	enum vmx_result result;

	vmx_select(x);
	if (x->cpu != cpu)
		cpu_enter(x, cpu);
	if (host->loaded != x)
		registers_load(host, x, gpr[GPR_RSP]);
	preemption_timer_set(x, cpu);

	result = vmx_enter(gpr, x->launched, &x->host_rsp);
	if (result != VMX_OK) {
		entry_refused(v, x, result);
		return;
	}
	gpr[GPR_RSP] = vmread(VMCS_GUEST_RSP);
	x->rflags = vmread(VMCS_GUEST_RFLAGS);
	if (vmx_apic_delivers(x))
		vmx_apic_collect(v);
	events_decode(v, x);
	vmx_exit_decode(v);
	x->launched |= v->exit.reason != VM_EXIT_ENTRY_FAILED;
}

static bool vmx_insn_done(struct vcpu *v, u32 length)
{
	struct vmx_vcpu *x = vmx_vcpu(v);
	u64 rip, end;

	vmx_select(x);
	rip = vmread(VMCS_GUEST_RIP);
	end = rip + length;
	/* Outside 64-bit mode RIP has 32 bits. */
	if ((end ^ rip) >> 32 && !(vmread(VMCS_GUEST_ES_RIGHTS + 2 * SEG_CS) & SEG_LONG))
		end = (u32)end;
	vmwrite(VMCS_GUEST_RIP, end);
	vmx_shadow_end();
	if (!(x->rflags & (RFLAGS_RF | RFLAGS_TF)))
		return false;
	vmx_rflags_set(x, x->rflags & ~RFLAGS_RF);
	if (!(x->rflags & RFLAGS_TF))
		return false;
	/* Left pending, it would be lost beside an injected interrupt, and would not end HLT. */
	vmx_debug_raised(v, DR6_BS | (vmread(VMCS_GUEST_PENDING_DEBUG) & DR6_BREAKS));
	return true;
}

static void vmx_tsc_offset_set(struct vcpu *v, u64 offset)
{
	vmx_select(vmx_vcpu(v));
	vmwrite(VMCS_TSC_OFFSET, offset);
}

static void vmx_inject(struct vcpu *v, const struct event *event)
{
	u64 raw = event_encode(event);

	vmx_select(vmx_vcpu(v));
	/* In real mode nothing has an error code. */
	if (event->has_error && (vmread(VMCS_GUEST_CR0) & CR0_PE))
		vmwrite(VMCS_ENTRY_ERROR, event->error);
	else
		raw &= ~(u64)EVENT_ERROR_VALID;
	vmwrite(VMCS_ENTRY_EVENT, raw);
	vmx_vcpu(v)->event_injected = true;
	/* An NMI that has to wait behind it wants to come next. */
	proc_set(vmx_vcpu(v), PROC_NMI_WINDOW, event->type != EVENT_NMI && v->nmi_pending);
}

/*
 * Whether nothing keeps an interrupt or NMI out: a debug trap that MOV to CR8, or MOV SS before an
 * exit, has left pending goes first, and would be lost beside an injected event.
 */
static bool is_open(u64 blocks)
{
	return !(vmread(VMCS_GUEST_INTERRUPTIBILITY) & blocks) &&
	       !(vmread(VMCS_GUEST_PENDING_DEBUG) & (PENDING_DEBUG_BS | PENDING_DEBUG_BP));
}

static bool vmx_intr_window(struct vcpu *v)
{
	vmx_select(vmx_vcpu(v));
	return (vmx_vcpu(v)->rflags & RFLAGS_IF) && is_open(BLOCKED_SHADOW);
}

static void vmx_offer_interrupt(struct vcpu *v, int vector, bool ignore_tpr)
{
	struct vmx_vcpu *x = vmx_vcpu(v);
	bool window = vector == OFFER_WINDOW;
	u32 threshold = 0;

	vmx_select(x);
	/* The processor takes its own from the page; not behind a window, so the 8259's are first.
	 */
	if (vmx_apic_sync(v) && vector >= 0 && !ignore_tpr)
		v->offered = vector = OFFER_NONE;
	if (vector >= 0 && !ignore_tpr && vector >> 4 <= lapic_cr8_get(&v->lapic)) {
		threshold = (u32)vector >> 4; /* an exit when TPR falls below */
	} else if (vector >= 0 && (x->event_injected || !vmx_intr_window(v))) {
		window = true;
	} else if (vector >= 0) {
		vmwrite(VMCS_ENTRY_EVENT,
			EVENT_VALID | field_set(EVENT_TYPE, (u64)vector, EVENT_INTERRUPT));
		x->event_injected = true;
		x->interrupt_injected = true;
	}
	proc_set(x, PROC_INTERRUPT_WINDOW, window);
	if (threshold != x->tpr_threshold) {
		x->tpr_threshold = threshold;
		vmwrite(VMCS_TPR_THRESHOLD, threshold);
	}
}

static bool vmx_nmi_window(struct vcpu *v)
{
	struct vmx_vcpu *x = vmx_vcpu(v);
	bool open;

	vmx_select(x);
	open = is_open(BLOCKED_SHADOW | BLOCKED_BY_NMI);
	proc_set(x, PROC_NMI_WINDOW, !open);
	return open;
}

static void vmx_nmi_unblock(struct vcpu *v)
{
	vmx_select(vmx_vcpu(v));
	vmx_nmi_block(false);
}

const struct backend vmx_backend = {
	.name = "VT-x",
	.matches = vmx_matches,
	.preflight = vmx_preflight,
	.cpu_on = vmx_cpu_on,
	.stage2_format = vmx_stage2_format,
	.stage2_flush = vmx_stage2_flush,
	.vcpu_init = vmx_vcpu_init,
	.vcpu_fini = vmx_vcpu_fini,
	.run = vmx_run,
	.release = vmx_release,
	.leave = vmx_leave,
	.insn_done = vmx_insn_done,
	.state_get = vmx_state_get,
	.state_set = vmx_state_set,
	.register_get = vmx_register_get,
	.register_set = vmx_register_set,
	.tsc_offset_set = vmx_tsc_offset_set,
	.inject = vmx_inject,
	.offer_interrupt = vmx_offer_interrupt,
	.nmi_window = vmx_nmi_window,
	.nmi_unblock = vmx_nmi_unblock,
	.intr_window = vmx_intr_window,
};
