/* APM, "VMCB Layout, Control Area" and "VMCB Layout, State Save Area". */
#pragma once

#include "lib/base/types.h"
#include "lib/x86/event.h"

struct vmcb_segment {
	u16 selector, attributes;
	u32 limit;
	u64 base;
};

/* Attributes are the descriptor's bits 55:52 and 47:40 in 12 bits. */
#define ATTR_LOW    BITS64(7, 0)
#define ATTR_HIGH   BITS64(11, 8)
#define RIGHTS_LOW  BITS64(7, 0)
#define RIGHTS_HIGH BITS64(15, 12)

struct vmcb_control {
	u32 intercept_cr; /* reads 15:0, writes 31:16 */
	u32 intercept_dr;
	u32 intercept_exception; /* one bit a vector */
	u32 intercept1;		 /* INTERCEPT1_* */
	u32 intercept2;		 /* INTERCEPT2_* */
	u32 intercept3;
	u8 reserved1[0x3c - 0x18];
	u16 pause_threshold, pause_count;
	u64 iopm_base, msrpm_base, tsc_offset;
	u32 asid;
	u32 tlb_control; /* TLB_* */
	u64 int_control; /* V_* */
	u64 int_state;	 /* INT_STATE_* */
	u64 exit_code, exit_info1, exit_info2;
	u64 exit_int_info;  /* EVENT_* */
	u64 nested_control; /* NESTED_PAGING */
	u64 avic_apic_bar, ghcb;
	u64 event_inject; /* EVENT_* */
	u64 nested_cr3;
	u64 virt_ext; /* VIRT_EXT_* */
	u32 clean;    /* CLEAN_* */
	u32 reserved2;
	u64 next_rip;
	u8 fetched_bytes, instruction[15];
	u8 reserved3[0x400 - 0xe0];
};

struct vmcb_save {
	struct vmcb_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	u8 reserved1[0xcb - 0xa0];
	u8 cpl;
	u32 reserved2;
	u64 efer;
	u8 reserved3[0x148 - 0xd8];
	u64 cr4, cr3, cr0, dr7, dr6, rflags, rip;
	u8 reserved4[0x1d8 - 0x180];
	u64 rsp, s_cet, ssp, isst, rax;
	u64 star, lstar, cstar, sfmask, kernel_gs_base;
	u64 sysenter_cs, sysenter_esp, sysenter_eip, cr2;
	u8 reserved5[0x268 - 0x248];
	u64 g_pat, dbgctl, br_from, br_to, lastexcp_from, lastexcp_to;
	u8 reserved6[0xc00 - 0x298];
};

struct vmcb {
	struct vmcb_control control;
	struct vmcb_save save;
};

static_assert(offsetof(struct vmcb, control.intercept2) == 0x010, "APM");
static_assert(offsetof(struct vmcb, control.pause_threshold) == 0x03c, "APM");
static_assert(offsetof(struct vmcb, control.iopm_base) == 0x040, "APM");
static_assert(offsetof(struct vmcb, control.msrpm_base) == 0x048, "APM");
static_assert(offsetof(struct vmcb, control.tsc_offset) == 0x050, "APM");
static_assert(offsetof(struct vmcb, control.asid) == 0x058, "APM");
static_assert(offsetof(struct vmcb, control.int_control) == 0x060, "APM");
static_assert(offsetof(struct vmcb, control.exit_code) == 0x070, "APM");
static_assert(offsetof(struct vmcb, control.exit_int_info) == 0x088, "APM");
static_assert(offsetof(struct vmcb, control.nested_control) == 0x090, "APM");
static_assert(offsetof(struct vmcb, control.event_inject) == 0x0a8, "APM");
static_assert(offsetof(struct vmcb, control.nested_cr3) == 0x0b0, "APM");
static_assert(offsetof(struct vmcb, control.clean) == 0x0c0, "APM");
static_assert(offsetof(struct vmcb, control.next_rip) == 0x0c8, "APM");
static_assert(offsetof(struct vmcb, save) == 0x400, "APM");
static_assert(offsetof(struct vmcb, save.tr) == 0x490, "APM");
static_assert(offsetof(struct vmcb, save.cpl) == 0x4cb, "APM");
static_assert(offsetof(struct vmcb, save.efer) == 0x4d0, "APM");
static_assert(offsetof(struct vmcb, save.cr4) == 0x548, "APM");
static_assert(offsetof(struct vmcb, save.rip) == 0x578, "APM");
static_assert(offsetof(struct vmcb, save.rsp) == 0x5d8, "APM");
static_assert(offsetof(struct vmcb, save.rax) == 0x5f8, "APM");
static_assert(offsetof(struct vmcb, save.sysenter_cs) == 0x628, "APM");
static_assert(offsetof(struct vmcb, save.cr2) == 0x640, "APM");
static_assert(offsetof(struct vmcb, save.g_pat) == 0x668, "APM");
static_assert(sizeof(struct vmcb) == 4096, "APM");

#define INTERCEPT_CR8_WRITE BIT32(16 + 8)

#define INTERCEPT1_INTR	    BIT32(0)
#define INTERCEPT1_NMI	    BIT32(1)
#define INTERCEPT1_INIT	    BIT32(3)
#define INTERCEPT1_VINTR    BIT32(4)
#define INTERCEPT1_RDPMC    BIT32(15)
#define INTERCEPT1_CPUID    BIT32(18)
#define INTERCEPT1_RSM	    BIT32(19)
#define INTERCEPT1_IRET	    BIT32(20)
#define INTERCEPT1_INVD	    BIT32(22)
#define INTERCEPT1_PAUSE    BIT32(23)
#define INTERCEPT1_HLT	    BIT32(24)
#define INTERCEPT1_INVLPGA  BIT32(26)
#define INTERCEPT1_IO	    BIT32(27)
#define INTERCEPT1_MSR	    BIT32(28)
#define INTERCEPT1_TASK	    BIT32(29)
#define INTERCEPT1_FERR	    BIT32(30)
#define INTERCEPT1_SHUTDOWN BIT32(31)

#define INTERCEPT2_VMRUN   BIT32(0)
#define INTERCEPT2_VMMCALL BIT32(1)
#define INTERCEPT2_VMLOAD  BIT32(2)
#define INTERCEPT2_VMSAVE  BIT32(3)
#define INTERCEPT2_STGI	   BIT32(4)
#define INTERCEPT2_CLGI	   BIT32(5)
#define INTERCEPT2_SKINIT  BIT32(6)
#define INTERCEPT2_WBINVD  BIT32(9)
#define INTERCEPT2_MONITOR BIT32(10)
#define INTERCEPT2_MWAIT   BIT32(11)
#define INTERCEPT2_XSETBV  BIT32(13)
#define INTERCEPT2_RDPRU   BIT32(14)

#define TLB_KEEP       0U
#define TLB_FLUSH_ALL  1U
#define TLB_FLUSH_ASID 3U

#define V_TPR	       BITS64(3, 0)
#define V_IRQ	       BIT64(8)
#define V_INTR_PRIO    BITS64(19, 16)
#define V_IGN_TPR      BIT64(20)
#define V_INTR_MASKING BIT64(24)
#define V_INTR_VECTOR  BITS64(39, 32)

#define INT_STATE_SHADOW BIT64(0)

#define NESTED_PAGING BIT64(0)

#define EVENT_ERROR BITS64(63, 32) /* the rest is in event.h */

/* What the processor may keep cached from the last VMRUN; clear a bit when its fields change. */
#define CLEAN_INTERCEPTS BIT32(0)
#define CLEAN_IOPM	 BIT32(1)
#define CLEAN_ASID	 BIT32(2)
#define CLEAN_TPR	 BIT32(3) /* all of int_control: V_TPR, V_IRQ, its vector */
#define CLEAN_NP	 BIT32(4)
#define CLEAN_CRX	 BIT32(5)
#define CLEAN_DRX	 BIT32(6)
#define CLEAN_DT	 BIT32(7)
#define CLEAN_SEG	 BIT32(8)
#define CLEAN_CR2	 BIT32(9)
#define CLEAN_ALL	 BITS64(9, 0)

/* Exit codes: APM, "SVM Intercept Exit Codes". */
enum svm_exit {
	SVM_EXIT_WRITE_CR8 = 0x18,
	SVM_EXIT_EXCEPTION = 0x40, /* + vector */
	SVM_EXIT_INTR = 0x60,
	SVM_EXIT_NMI = 0x61,
	SVM_EXIT_INIT = 0x63,
	SVM_EXIT_VINTR = 0x64,
	SVM_EXIT_RDTSC = 0x6e,
	SVM_EXIT_RDPMC = 0x6f,
	SVM_EXIT_CPUID = 0x72,
	SVM_EXIT_RSM = 0x73,
	SVM_EXIT_IRET = 0x74,
	SVM_EXIT_INVD = 0x76,
	SVM_EXIT_PAUSE = 0x77,
	SVM_EXIT_HLT = 0x78,
	SVM_EXIT_INVLPGA = 0x7a,
	SVM_EXIT_IOIO = 0x7b,
	SVM_EXIT_MSR = 0x7c,
	SVM_EXIT_SHUTDOWN = 0x7f,
	SVM_EXIT_VMRUN = 0x80,
	SVM_EXIT_VMMCALL = 0x81,
	SVM_EXIT_VMLOAD = 0x82,
	SVM_EXIT_VMSAVE = 0x83,
	SVM_EXIT_STGI = 0x84,
	SVM_EXIT_CLGI = 0x85,
	SVM_EXIT_SKINIT = 0x86,
	SVM_EXIT_RDTSCP = 0x87,
	SVM_EXIT_WBINVD = 0x89,
	SVM_EXIT_MONITOR = 0x8a,
	SVM_EXIT_MWAIT = 0x8b,
	SVM_EXIT_XSETBV = 0x8d,
	SVM_EXIT_RDPRU = 0x8e,
	SVM_EXIT_NPF = 0x400,
};

#define SVM_EXIT_INVALID 0xffffffffU /* compared in 32 bits: some processors do not sign-extend */

/* EXITINFO1 of an I/O intercept: APM, "IOIO Intercept Information". */
#define IOIO_IN	    BIT64(0)
#define IOIO_STRING BIT64(2)
#define IOIO_SIZE   BITS64(6, 4) /* one bit for 1, 2, 4 bytes */
#define IOIO_PORT   BITS64(31, 16)

/* EXITINFO1 of a MOV to CR8: APM, "Decode Assists". */
#define CR8_WRITE_GPR BITS64(3, 0)

/* EXITINFO1 of a nested page fault: APM, "Nested versus Guest Page Faults". */
#define NPF_WRITE BIT64(1)
#define NPF_FETCH BIT64(4)

/* APM, "CPUID Fn8000_000A_EDX SVM Feature Identification" */
#define SVM_FEATURE_NPT		   BIT32(0)
#define SVM_FEATURE_NRIPS	   BIT32(3)
#define SVM_FEATURE_CLEAN_BITS	   BIT32(5)
#define SVM_FEATURE_FLUSH_BY_ASID  BIT32(6)
#define SVM_FEATURE_DECODE_ASSISTS BIT32(7)
#define SVM_FEATURE_PAUSE_FILTER   BIT32(10)
