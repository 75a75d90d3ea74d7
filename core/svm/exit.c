/* From the VMCB's exit fields to a struct vm_exit. APM, "#VMEXIT" and "Intercepts". */
#include "core/svm/insn_len.h"
#include "core/svm/svm.h"
#include "core/virt/guest_fetch.h"
#include "lib/x86/registers.h"

struct exit_row {
	u32 reason; /* enum vm_exit_reason */
	void (*decode)(struct vcpu *v, const struct vmcb *vmcb);
	struct insn_opcode opcode; /* of an instruction that may be finished in root mode */
};

/* --- the exiting instruction's bytes --- */

static bool is_long_mode_code(const struct vmcb_save *save)
{
	return (save->efer & EFER_LMA) && (save->cs.attributes & BIT32(9)); /* CS.L */
}

static u32 fetch(struct vcpu *v, const struct vmcb *vmcb, u8 *bytes)
{
	const struct vmcb_save *save = &vmcb->save;
	const struct paging paging = {
		.cr0 = save->cr0,
		.cr3 = save->cr3,
		.cr4 = save->cr4,
		.efer = save->efer,
		.physical_bits = cpu_features.physical_bits,
	};
	u64 linear = is_long_mode_code(save) ? save->rip : (u32)(save->cs.base + save->rip);

	return guest_fetch(v->vm, &paging, linear, bytes);
}

/*
 * Length of the exiting instruction. When its bytes cannot be found (the guest changed them, or its
 * tables, since) it is taken to have no prefixes: a wrong guess moves only this guest's RIP.
 */
NOINLINE static u32 length_read(struct vcpu *v, const struct vmcb *vmcb,
				const struct insn_opcode *opcode)
{
	u8 bytes[GUEST_FETCH_BYTES] ALIGNED(8);
	u32 count = fetch(v, vmcb, bytes);
	u32 length = insn_length(bytes, count, is_long_mode_code(&vmcb->save), opcode);

	return length > 0 ? length : opcode->length;
}

/* Nearly every instruction that exits is in 64-bit code and has no prefixes. */
static inline bool is_plain(const struct vcpu *v, const struct vmcb *vmcb,
			    const struct insn_opcode *opcode)
{
	const struct vmcb_save *save = &vmcb->save;
	u64 word;

	return is_long_mode_code(save) &&
	       guest_page_read(&svm_vcpu(v)->code, save->cr3, save->rip, &word) &&
	       insn_starts(word, opcode);
}

/* The page that holds the instruction is not the one that was read last. */
NOINLINE static u32 length_search(struct vcpu *v, const struct vmcb *vmcb,
				  const struct insn_opcode *opcode)
{
	if (!(vmcb->save.cr4 & CR4_LA57) &&
	    guest_page_find(v->vm, &svm_vcpu(v)->code, vmcb->save.cr3, vmcb->save.rip) &&
	    is_plain(v, vmcb, opcode))
		return opcode->length;
	return length_read(v, vmcb, opcode);
}

NOINLINE static u32 length_find(struct vcpu *v, const struct vmcb *vmcb,
				const struct insn_opcode *opcode)
{
	if (svm_features.flags & SVM_FEATURE_NRIPS)
		return (u32)(vmcb->control.next_rip - vmcb->save.rip);
	return is_plain(v, vmcb, opcode) ? opcode->length : length_search(v, vmcb, opcode);
}

/* --- decoding --- */

static u64 edx_eax(const struct vcpu *v)
{
	const u64 *gpr = v->page->gpr;

	return (gpr[GPR_RDX] & 0xffffffff) << 32 | (gpr[GPR_RAX] & 0xffffffff);
}

/* Two instructions with one exit code; EXITINFO1 tells them apart. */
static void decode_msr(struct vcpu *v, const struct vmcb *vmcb)
{
	static const struct insn_opcode rdmsr = { 2, { 0x0f, 0x32 } },
					wrmsr = { 2, { 0x0f, 0x30 } };

	v->exit.msr.index = (u32)v->page->gpr[GPR_RCX];
	v->exit.msr.write = vmcb->control.exit_info1 & 1;
	v->exit.msr.value = edx_eax(v);
	v->exit.insn_length = length_find(v, vmcb, v->exit.msr.write ? &wrmsr : &rdmsr);
}

static void decode_xsetbv(struct vcpu *v, const struct vmcb *vmcb)
{
	(void)vmcb;
	v->exit.xsetbv.index = (u32)v->page->gpr[GPR_RCX];
	v->exit.xsetbv.value = edx_eax(v);
}

static void decode_io(struct vcpu *v, const struct vmcb *vmcb)
{
	u64 info = vmcb->control.exit_info1;

	v->exit.io.port = (u16)field_get(IOIO_PORT, info);
	v->exit.io.size = (u8)field_get(IOIO_SIZE, info);
	v->exit.io.in = (info & IOIO_IN) != 0;
	v->exit.io.string = (info & IOIO_STRING) != 0;
	v->exit.io.value = (u32)v->page->gpr[GPR_RAX];
	v->exit.insn_length =
		v->exit.io.string ? 0 : (u32)(vmcb->control.exit_info2 - vmcb->save.rip);
}

static void decode_npf(struct vcpu *v, const struct vmcb *vmcb)
{
	u64 error = vmcb->control.exit_info1;
	gpa_t gpa = GPA(vmcb->control.exit_info2);

	if (vm_is_ram(v->vm, gpa)) {
		v->exit.reason = VM_EXIT_RAM_FAULT;
		v->exit.unknown.code = vmcb->control.exit_code;
		v->exit.unknown.info1 = error;
		v->exit.unknown.info2 = gpa.raw;
		return;
	}
	v->exit.mmio.gpa = gpa.raw;
	v->exit.mmio.access =
		((error & NPF_WRITE) ? MMIO_WRITE : 0) | ((error & NPF_FETCH) ? MMIO_FETCH : 0);
}

static void decode_raw(struct vcpu *v, const struct vmcb *vmcb)
{
	v->exit.unknown.code = vmcb->control.exit_code;
	v->exit.unknown.info1 = vmcb->control.exit_info1;
	v->exit.unknown.info2 = vmcb->control.exit_info2;
}

static void decode_exception(struct vcpu *v, const struct vmcb *vmcb)
{
	u32 vector = (u32)vmcb->control.exit_code - SVM_EXIT_EXCEPTION;

	if (vector == EXC_DB && svm_vcpu(v)->stepping) {
		svm_vcpu(v)->vmcb.save.dr6 &= ~DR6_BS; /* our trap, not the guest's */
		vmcb_dirty(&svm_vcpu(v)->vmcb, CLEAN_DRX);
		v->exit.reason = VM_EXIT_WINDOW;
		return;
	}
	v->exit.exception.vector = vector;
	v->exit.exception.has_error = exception_has_error(vector);
	v->exit.exception.error = vmcb->control.exit_info1;
}

/* The guest's NMI handler is about to return: NMIs open after the IRET, not before. */
static void decode_iret(struct vcpu *v, const struct vmcb *vmcb)
{
	struct svm_vcpu *s = svm_vcpu(v);

	s->iret_seen = true;
	s->iret_rip = vmcb->save.rip;
	s->vmcb.control.intercept1 &= ~INTERCEPT1_IRET;
	vmcb_dirty(&s->vmcb, CLEAN_INTERCEPTS);
}

/* MOV to CR8 names its source register in its bytes: not every processor decodes it for us. */
static void decode_cr8(struct vcpu *v, const struct vmcb *vmcb)
{
	u8 bytes[GUEST_FETCH_BYTES] ALIGNED(8);
	u32 source = (u32)field_get(CR8_WRITE_GPR, vmcb->control.exit_info1);

	if (svm_features.flags & SVM_FEATURE_DECODE_ASSISTS)
		v->exit.insn_length = (u32)(vmcb->control.next_rip - vmcb->save.rip);
	else
		v->exit.insn_length = insn_cr8_write(bytes, fetch(v, vmcb, bytes),
						     is_long_mode_code(&vmcb->save), &source);
	if (v->exit.insn_length > 0)
		v->exit.cr8.value = v->page->gpr[source];
	else
		v->exit.reason = VM_EXIT_NONE; /* changed meanwhile: let the guest try again */
}

/* Indexed by exit code; a row without a reason stands for an exit that nobody asked for. */
static const struct exit_row exit_rows[] = {
	[SVM_EXIT_WRITE_CR8] = { VM_EXIT_CR8, decode_cr8, { 0 } },
	[SVM_EXIT_EXCEPTION... SVM_EXIT_EXCEPTION + EXC_COUNT -
		1] = { VM_EXIT_EXCEPTION, decode_exception, { 0 } },
	[SVM_EXIT_INTR] = { VM_EXIT_INTERRUPT, NULL, { 0 } },
	[SVM_EXIT_NMI] = { VM_EXIT_HOST_NMI, NULL, { 0 } },
	[SVM_EXIT_INIT] = { VM_EXIT_HOST_NMI, NULL, { 0 } }, /* becomes #SX in root mode */
	[SVM_EXIT_VINTR] = { VM_EXIT_WINDOW, NULL, { 0 } },
	[SVM_EXIT_RDPMC] = { VM_EXIT_REFUSED_GP, NULL, { 0 } },
	[SVM_EXIT_CPUID] = { VM_EXIT_CPUID, NULL, { 2, { 0x0f, 0xa2 } } },
	[SVM_EXIT_RSM] = { VM_EXIT_REFUSED, NULL, { 0 } },
	[SVM_EXIT_IRET] = { VM_EXIT_IRET, decode_iret, { 0 } },
	[SVM_EXIT_INVD] = { VM_EXIT_CACHE, NULL, { 2, { 0x0f, 0x08 } } },
	[SVM_EXIT_PAUSE] = { VM_EXIT_PAUSE, NULL, { 2, { 0xf3, 0x90 } } },
	[SVM_EXIT_HLT] = { VM_EXIT_HLT, NULL, { 1, { 0xf4 } } },
	[SVM_EXIT_INVLPGA] = { VM_EXIT_REFUSED, NULL, { 0 } },
	[SVM_EXIT_IOIO] = { VM_EXIT_IO, decode_io, { 0 } },
	[SVM_EXIT_MSR] = { VM_EXIT_MSR, decode_msr, { 0 } },
	[SVM_EXIT_SHUTDOWN] = { VM_EXIT_SHUTDOWN, decode_raw, { 0 } },
	[SVM_EXIT_VMRUN... SVM_EXIT_SKINIT] = { VM_EXIT_REFUSED, NULL, { 0 } },
	[SVM_EXIT_WBINVD] = { VM_EXIT_CACHE, NULL, { 2, { 0x0f, 0x09 } } },
	[SVM_EXIT_MONITOR] = { VM_EXIT_REFUSED, NULL, { 0 } },
	[SVM_EXIT_MWAIT] = { VM_EXIT_REFUSED, NULL, { 0 } },
	[SVM_EXIT_XSETBV] = { VM_EXIT_XSETBV, decode_xsetbv, { 3, { 0x0f, 0x01, 0xd1 } } },
	[SVM_EXIT_RDPRU] = { VM_EXIT_REFUSED, NULL, { 0 } },
};

static const struct exit_row npf_row = { VM_EXIT_MMIO, decode_npf, { 0 } };
static const struct exit_row failed_row = { VM_EXIT_ENTRY_FAILED, decode_raw, { 0 } };
static const struct exit_row unknown_row = { VM_EXIT_UNKNOWN, decode_raw, { 0 } };

static const struct exit_row *row_find(u64 code)
{
	if (code < ARRAY_SIZE(exit_rows))
		return exit_rows[code].reason != VM_EXIT_NONE ? &exit_rows[code] : &unknown_row;
	if (code == SVM_EXIT_NPF)
		return &npf_row;
	return (u32)code == SVM_EXIT_INVALID ? &failed_row : &unknown_row;
}

void svm_exit_decode(struct vcpu *v, const struct vmcb *vmcb)
{
	const struct exit_row *row = row_find(vmcb->control.exit_code);

	v->exit.reason = row->reason;
	v->exit.insn_length = row->opcode.length > 0 ? length_find(v, vmcb, &row->opcode) : 0;
	if (row->decode)
		row->decode(v, vmcb);
}
