/* AMD-V behind the vendor seam. APM, "Secure Virtual Machine". */
#include "core/svm/svm.h"

#include "core/cpu/apic.h"
#include "core/cpu/cpu.h"
#include "core/cpu/insn.h"
#include "core/mem/core_map.h"
#include "core/mem/heap.h"
#include "core/sched/sched.h"
#include "core/virt/events.h"
#include "lib/x86/registers.h"

#define SHADOW_RETRY_US 1
/* A spin lock's owner is late after so many PAUSEs, none more than so many cycles after another. */
#define PAUSE_COUNT	3000
#define PAUSE_THRESHOLD 128

#define INTERCEPTS1                                                              \
	(INTERCEPT1_INTR | INTERCEPT1_NMI | INTERCEPT1_INIT | INTERCEPT1_RDPMC | \
	 INTERCEPT1_CPUID | INTERCEPT1_RSM | INTERCEPT1_INVD | INTERCEPT1_HLT |  \
	 INTERCEPT1_INVLPGA | INTERCEPT1_IO | INTERCEPT1_MSR | INTERCEPT1_SHUTDOWN)
#define INTERCEPTS2                                                                      \
	(INTERCEPT2_VMRUN | INTERCEPT2_VMMCALL | INTERCEPT2_VMLOAD | INTERCEPT2_VMSAVE | \
	 INTERCEPT2_STGI | INTERCEPT2_CLGI | INTERCEPT2_SKINIT | INTERCEPT2_WBINVD |     \
	 INTERCEPT2_MONITOR | INTERCEPT2_MWAIT | INTERCEPT2_XSETBV | INTERCEPT2_RDPRU)
/* #AC and #DB can keep a processor busy delivering for ever; #MC is the host's. */
#define INTERCEPT_EXCEPTIONS (BIT32(EXC_AC) | BIT32(EXC_DB) | BIT32(EXC_MC))

struct svm_features svm_features;

static bool svm_matches(void)
{
	struct cpuid_result id = cpuid(CPUID_BASIC, 0);

	/* "AuthenticAMD" and "HygonGenuine" */
	return id.ebx == 0x68747541 || id.ebx == 0x6f677948;
}

static bool is_tcg(void)
{
	struct cpuid_result id = cpuid(CPUID_HYPERVISOR, 0);

	return (cpuid(CPUID_FEATURES, 0).ecx & CPUID_1_ECX_HYPERVISOR) && id.ebx == 0x54474354 &&
	       id.ecx == 0x43544743; /* "TCGTCGTCGTCG" */
}

static void features_log(void)
{
	u32 flags = svm_features.flags;

	log_info("AMD-V: %u ASIDs%s%s%s%s%s", svm_features.asids,
		 flags & SVM_FEATURE_NRIPS ? ", next-RIP save" : "",
		 flags & SVM_FEATURE_CLEAN_BITS ? ", clean bits" : "",
		 flags & SVM_FEATURE_FLUSH_BY_ASID ? ", flush by ASID" : "",
		 flags & SVM_FEATURE_DECODE_ASSISTS ? ", decode assists" : "",
		 flags & SVM_FEATURE_PAUSE_FILTER ? ", PAUSE filter" : "");
}

static bool svm_preflight(void)
{
	bool svm = (cpuid(CPUID_EXT_FEATURES, 0).ecx & CPUID_EXT1_ECX_SVM) != 0;
	struct cpuid_result leaf;
	u64 vm_cr;
	bool ok;

	if (!require(svm, "AMD-V (SVM)",
		     "enable SVM in the firmware setup (often under CPU or Overclocking), or in an "
		     "emulator choose a CPU model with svm, such as QEMU's -cpu EPYC"))
		return false;
	leaf = cpuid(CPUID_EXT_SVM, 0);
	svm_features.flags = leaf.edx;
	svm_features.asids = leaf.ebx;
	svm_features.tcg = is_tcg();
	features_log();
	/* Every one is checked, so that all that is missing is named at once. */
	ok = require((svm_features.flags & SVM_FEATURE_NPT) != 0, "nested paging (NPT)",
		     "AMD processors since 2007 (family 10h) have it; in an emulator add the CPU "
		     "flag npt");
	ok &= require(!rdmsr_try(MSR_AMD_VM_CR, &vm_cr) || !(vm_cr & VM_CR_SVMDIS),
		      "AMD-V: the firmware locked it off in VM_CR",
		      "enable SVM (Secure Virtual Machine) in the firmware setup and power-cycle");
	ok &= require(svm_features.asids >= 2, "address space identifiers (ASIDs)",
		      "the processor must report at least 2");
	return ok;
}

/* An INIT from outside becomes #SX, no silent reset. False: this processor is an emulator's. */
static bool init_redirect(void)
{
	u64 vm_cr;

	if (!rdmsr_try(MSR_AMD_VM_CR, &vm_cr))
		return false;
	wrmsr(MSR_AMD_VM_CR, vm_cr | VM_CR_R_INIT);
	return (rdmsr(MSR_AMD_VM_CR) & VM_CR_R_INIT) != 0;
}

static enum err svm_cpu_on(struct cpu *cpu)
{
	struct svm_cpu *s = heap_try_alloc(sizeof(*s));

	if (!s)
		return ERR_NO_MEMORY;
	if (cpu->index == 0)
		svm_permission_init();
	s->host_hpa = core_physical(&s->host);
	s->asid_generation = 1;
	s->asid_next = 1;
	cpu->virt = s;
	wrmsr(MSR_IA32_EFER, rdmsr(MSR_IA32_EFER) | EFER_SVME);
	wrmsr(MSR_AMD_VM_HSAVE_PA, core_physical(s->host_save).raw);
	svm_features.bochs = !init_redirect() && !svm_features.tcg;
	__asm__ volatile("vmsave %%rax" : : "a"(s->host_hpa.raw) : "memory");
	return ERR_OK;
}

/* Nested entries are a page table's, and every access counts as one of ring 3. */
static u64 npt_leaf_bits(u32 flags)
{
	return paging_root_format.leaf_bits(flags | MAP_USER);
}

static const struct paging_format *svm_stage2_format(void)
{
	static struct paging_format format = {
		.table = PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED,
		.leaf_large = PTE_PAGE_SIZE,
		.leaf_bits = npt_leaf_bits,
	};

	format.largest = cpu_features.page_1g ? 3 : 2;
	return &format;
}

static void svm_stage2_flush(struct vm *vm)
{
	for (u32 i = 0; i < vm->vcpu_count; i++)
		svm_vcpu(vm->vcpus[i])->stale = true;
}

/* Bochs does not say in DR6 why a #DB came that is intercepted. */
static u32 intercept_exceptions(void)
{
	return INTERCEPT_EXCEPTIONS & ~(svm_features.bochs ? BIT32(EXC_DB) : 0);
}

static void control_init(struct vcpu *v, struct vmcb_control *c)
{
	c->intercept_exception = intercept_exceptions();
	c->intercept1 = INTERCEPTS1;
	c->intercept2 = INTERCEPTS2;
	c->iopm_base = core_physical(svm_permission.io).raw;
	c->msrpm_base = core_physical(svm_permission.msr).raw;
	c->int_control = V_INTR_MASKING;
	c->nested_control = NESTED_PAGING;
	c->nested_cr3 = v->vm->stage2.root.raw;
	if (svm_features.flags & SVM_FEATURE_PAUSE_FILTER) {
		c->intercept1 |= INTERCEPT1_PAUSE;
		c->pause_count = PAUSE_COUNT;
		c->pause_threshold = PAUSE_THRESHOLD;
	}
}

static enum err svm_vcpu_init(struct vcpu *v)
{
	struct svm_vcpu *s = heap_try_alloc(sizeof(*s));

	if (!s)
		return ERR_NO_MEMORY;
	s->vmcb_hpa = core_physical(&s->vmcb);
	control_init(v, &s->vmcb.control);
	s->vmcb.save.g_pat = PAT_RESET;
	v->virt = s;
	return ERR_OK;
}

static void svm_vcpu_fini(struct vcpu *v)
{
	heap_free(v->virt, sizeof(struct svm_vcpu));
}

/*
 * A vCPU keeps its ASID until the CPU has used all of them, or it moves to another CPU. One whose
 * translations are stale gets another where the processor cannot forget those of one ASID.
 */
static void asid_assign(struct svm_vcpu *s, struct cpu *cpu)
{
	struct svm_cpu *host = cpu->virt;
	struct vmcb *vmcb = &s->vmcb;
	bool valid = s->cpu == cpu && s->asid_generation == host->asid_generation;

	vmcb->control.tlb_control = TLB_KEEP;
	if (valid && !s->stale)
		return;
	s->stale = false;
	if (valid && (svm_features.flags & SVM_FEATURE_FLUSH_BY_ASID)) {
		vmcb->control.tlb_control = TLB_FLUSH_ASID;
		return;
	}
	if (host->asid_next == svm_features.asids) {
		host->asid_next = 1;
		host->asid_generation++;
	}
	if (host->asid_next == 1)
		vmcb->control.tlb_control = TLB_FLUSH_ALL;
	vmcb->control.asid = host->asid_next++;
	s->asid_generation = host->asid_generation;
	vmcb->control.clean = s->cpu == cpu ? vmcb->control.clean & ~CLEAN_ASID : 0;
	s->cpu = cpu;
}

static void nmi_unblock(struct svm_vcpu *s)
{
	s->iret_seen = false;
	s->stepping = false;
	s->nmi_blocked = false;
	s->vmcb.control.intercept1 &= ~INTERCEPT1_IRET;
	s->vmcb.control.intercept_exception = intercept_exceptions();
	vmcb_dirty(&s->vmcb, CLEAN_INTERCEPTS);
}

/* What became of the interrupt on offer. */
static void offer_decode(struct vcpu *v, const struct vmcb_control *c)
{
	u64 info = c->exit_int_info;

	if (v->offered >= 0 && !(c->int_control & V_IRQ)) {
		v->offer_taken =
			!(info & EVENT_VALID) || field_get(EVENT_TYPE, info) != EVENT_INTERRUPT;
		v->events = true;
	}
	if (svm_features.bochs)
		v->events = true; /* it may have overlooked it */
}

/* What is to enter again, the interrupt on offer, and the guest's NMI blocking. */
static void events_decode(struct vcpu *v, struct svm_vcpu *s)
{
	struct vmcb_control *c = &s->vmcb.control;
	u64 info = c->exit_int_info;

	if (info & EVENT_VALID) {
		v->reinject = event_decode(info, field_get(EVENT_ERROR, info));
		if (v->reinject.vector == EXC_BP || v->reinject.vector == EXC_OF)
			v->reinject.type = EVENT_NONE; /* INT3 and INTO, here like exceptions */
		v->events = true;
	}
	if (v->offered != OFFER_NONE)
		offer_decode(v, c);
	if (s->iret_seen && s->vmcb.save.rip != s->iret_rip) {
		nmi_unblock(s);
		v->events = true;
	}
}

/* TPR's upper half lives in the VMCB while the guest runs, where MOV to CR8 needs no exit. */
static void tpr_save(struct vcpu *v, const struct vmcb *vmcb)
{
	u64 tpr = field_get(V_TPR, vmcb->control.int_control);

	if (lapic_cr8_get(&v->lapic) == tpr)
		return;
	lapic_cr8_set(&v->lapic, (u8)tpr);
	v->events = true;
}

static void svm_run(struct vcpu *v)
{
	struct svm_vcpu *s = svm_vcpu(v);
	struct vmcb *vmcb = &s->vmcb;
	struct cpu *cpu = this_cpu();
	struct svm_cpu *host = cpu->virt;
	u64 *gpr = v->page->gpr;

	asid_assign(s, cpu);
	vmcb->save.rax = gpr[GPR_RAX];
	vmcb->save.rsp = gpr[GPR_RSP];
	if (svm_features.bochs) /* its VMRUN does not */
		write_cr2(vmcb->save.cr2);

	svm_enter(gpr, s->vmcb_hpa.raw, host->host_hpa.raw);

	vmcb->control.clean = CLEAN_ALL;
	vmcb->control.event_inject = 0;
	gpr[GPR_RAX] = vmcb->save.rax;
	gpr[GPR_RSP] = vmcb->save.rsp;
	tpr_save(v, vmcb);
	svm_exit_decode(v, vmcb);
	events_decode(v, s);
}

static bool svm_insn_done(struct vcpu *v, u32 length)
{
	struct vmcb *vmcb = vcpu_vmcb(v);
	u64 rip = vmcb->save.rip + length;

	/* Outside 64-bit mode RIP has 32 bits. */
	if (!((vmcb->save.efer & EFER_LMA) && (vmcb->save.cs.attributes & BIT32(9))))
		rip = (u32)rip;
	vmcb->save.rip = rip;
	vmcb->control.int_state &= ~INT_STATE_SHADOW;
	vmcb->save.rflags &= ~RFLAGS_RF;
	if (!(vmcb->save.rflags & RFLAGS_TF))
		return false;
	vmcb->save.dr6 |= DR6_BS;
	vmcb_dirty(vmcb, CLEAN_DRX);
	return true;
}

/* The VMCB holds it all, and an ASID of another CPU is not taken for one's own. */
static void svm_leave(struct vcpu *v)
{
	(void)v;
}

/* svm_enter() gives root mode all of its registers back. */
static void svm_release(struct cpu *cpu)
{
	(void)cpu;
}

static void svm_tsc_offset_set(struct vcpu *v, u64 offset)
{
	vcpu_vmcb(v)->control.tsc_offset = offset;
	vmcb_dirty(vcpu_vmcb(v), CLEAN_INTERCEPTS);
}

static void svm_inject(struct vcpu *v, const struct event *event)
{
	struct svm_vcpu *s = svm_vcpu(v);

	s->vmcb.control.event_inject = field_set(EVENT_ERROR, event_encode(event), event->error);
	if (event->type == EVENT_NMI) {
		s->nmi_blocked = true;
		s->vmcb.control.intercept1 |= INTERCEPT1_IRET;
		vmcb_dirty(&s->vmcb, CLEAN_INTERCEPTS);
	}
}

static bool in_shadow(const struct vmcb *vmcb)
{
	return (vmcb->control.int_state & INT_STATE_SHADOW) != 0;
}

static bool svm_intr_window(struct vcpu *v)
{
	return (vcpu_vmcb(v)->save.rflags & RFLAGS_IF) && !in_shadow(vcpu_vmcb(v));
}

/* Inside a shadow nothing is offered; a short timer brings the vCPU back to decide again. */
static void shadow_retry(struct vcpu *v)
{
	v->events = true;
	sched_exit_soon(SHADOW_RETRY_US);
}

static bool is_emulated(void)
{
	return svm_features.tcg || svm_features.bochs;
}

/*
 * Two emulators differ from the manual. QEMU delivers a virtual interrupt in the shadow of STI or
 * MOV SS, compares its priority with V_TPR wrongly, and forgets one that V_TPR holds back; Bochs
 * looks for one only when IF changes. There, TPR is watched by intercepting CR8, and nothing is
 * offered that it holds back.
 */
static bool holds_back(struct vcpu *v, int vector, bool ignore_tpr)
{
	struct vmcb *vmcb = vcpu_vmcb(v);
	u32 cr = vmcb->control.intercept_cr & ~INTERCEPT_CR8_WRITE;

	if (!is_emulated())
		return false;
	if (vector >= 0 && !ignore_tpr)
		cr |= INTERCEPT_CR8_WRITE;
	if (cr != vmcb->control.intercept_cr) {
		vmcb->control.intercept_cr = cr;
		vmcb_dirty(vmcb, CLEAN_INTERCEPTS);
	}
	if (vector != OFFER_NONE && in_shadow(vmcb)) {
		shadow_retry(v);
		return true;
	}
	return vector >= 0 && !ignore_tpr && vector >> 4 <= lapic_cr8_get(&v->lapic);
}

static void svm_offer_interrupt(struct vcpu *v, int vector, bool ignore_tpr)
{
	struct vmcb *vmcb = vcpu_vmcb(v);
	u64 control = vmcb->control.int_control &
		      ~(V_TPR | V_IRQ | V_IGN_TPR | V_INTR_PRIO | V_INTR_VECTOR);
	u32 intercept = vmcb->control.intercept1 & ~INTERCEPT1_VINTR;

	control = field_set(V_TPR, control, lapic_cr8_get(&v->lapic));
	if (holds_back(v, vector, ignore_tpr)) {
		v->offered = OFFER_NONE;
	} else if (vector == OFFER_WINDOW) {
		control |= V_IRQ | V_IGN_TPR;
		intercept |= INTERCEPT1_VINTR;
	} else if (vector >= 0 && svm_features.bochs && svm_intr_window(v) &&
		   vmcb->control.event_inject == 0) {
		vmcb->control.event_inject = field_set(EVENT_VECTOR, EVENT_VALID, (u64)vector);
	} else if (vector >= 0) {
		control |= V_IRQ | (ignore_tpr || is_emulated() ? V_IGN_TPR : 0);
		control = field_set(V_INTR_VECTOR, control, (u64)vector);
		control = field_set(V_INTR_PRIO, control, (u64)vector >> 4);
	}
	if (control != vmcb->control.int_control) {
		vmcb->control.int_control = control;
		vmcb_dirty(vmcb, CLEAN_TPR);
	}
	if (intercept != vmcb->control.intercept1) {
		vmcb->control.intercept1 = intercept;
		vmcb_dirty(vmcb, CLEAN_INTERCEPTS);
	}
}

/* Single-steps the IRET that ends the guest's NMI handler, so that the next NMI follows it. */
static void step_iret(struct svm_vcpu *s)
{
	if (s->stepping || (s->vmcb.save.rflags & RFLAGS_TF))
		return;
	s->stepping = true;
	s->vmcb.control.intercept_exception |= BIT32(EXC_DB);
	vmcb_dirty(&s->vmcb, CLEAN_INTERCEPTS);
	s->vmcb.save.rflags |= RFLAGS_TF;
}

static bool svm_nmi_window(struct vcpu *v)
{
	struct svm_vcpu *s = svm_vcpu(v);

	if (!s->nmi_blocked && !in_shadow(&s->vmcb))
		return true;
	/* An IRET to another task would save our TF with the old one. */
	if (s->iret_seen && !(s->vmcb.save.rflags & RFLAGS_NT))
		step_iret(s);
	else if (s->iret_seen || !s->nmi_blocked)
		sched_exit_soon(SHADOW_RETRY_US);
	return false; /* blocked: the IRET intercept tells */
}

static void svm_nmi_unblock(struct vcpu *v)
{
	nmi_unblock(svm_vcpu(v));
}

const struct backend svm_backend = {
	.name = "AMD-V",
	.extended_topology = true,
	.matches = svm_matches,
	.preflight = svm_preflight,
	.cpu_on = svm_cpu_on,
	.stage2_format = svm_stage2_format,
	.stage2_flush = svm_stage2_flush,
	.vcpu_init = svm_vcpu_init,
	.vcpu_fini = svm_vcpu_fini,
	.run = svm_run,
	.release = svm_release,
	.leave = svm_leave,
	.insn_done = svm_insn_done,
	.state_get = svm_state_get,
	.state_set = svm_state_set,
	.register_get = svm_register_get,
	.register_set = svm_register_set,
	.tsc_offset_set = svm_tsc_offset_set,
	.inject = svm_inject,
	.offer_interrupt = svm_offer_interrupt,
	.nmi_window = svm_nmi_window,
	.nmi_unblock = svm_nmi_unblock,
	.intr_window = svm_intr_window,
};
