/*
 * Fields and bits of the VM-control structure, by the manual's names. SDM, "Virtual Machine Control
 * Structures" and "Field Encoding in VMCS".
 */
#pragma once

#include "lib/base/types.h"
#include "lib/x86/event.h"

/* 16-bit fields */
#define VMCS_VPID		    0x0000U
#define VMCS_GUEST_ES_SELECTOR	    0x0800U /* then CS, SS, DS, FS, GS, LDTR, TR, two apart */
#define VMCS_GUEST_INTERRUPT_STATUS 0x0810U
#define VMCS_HOST_ES_SELECTOR	    0x0c00U
#define VMCS_HOST_CS_SELECTOR	    0x0c02U
#define VMCS_HOST_SS_SELECTOR	    0x0c04U
#define VMCS_HOST_DS_SELECTOR	    0x0c06U
#define VMCS_HOST_FS_SELECTOR	    0x0c08U
#define VMCS_HOST_GS_SELECTOR	    0x0c0aU
#define VMCS_HOST_TR_SELECTOR	    0x0c0cU

/* 64-bit fields */
#define VMCS_IO_BITMAP_A      0x2000U
#define VMCS_IO_BITMAP_B      0x2002U
#define VMCS_MSR_BITMAP	      0x2004U
#define VMCS_TSC_OFFSET	      0x2010U
#define VMCS_VIRTUAL_APIC     0x2012U
#define VMCS_APIC_ACCESS      0x2014U
#define VMCS_EPT_POINTER      0x201aU
#define VMCS_EOI_EXIT_BITMAP0 0x201cU /* four, two apart */
#define VMCS_GUEST_PHYSICAL   0x2400U
#define VMCS_LINK_POINTER     0x2800U
#define VMCS_GUEST_DEBUGCTL   0x2802U
#define VMCS_GUEST_PAT	      0x2804U
#define VMCS_GUEST_EFER	      0x2806U
#define VMCS_GUEST_PDPTE0     0x280aU /* four, two apart */
#define VMCS_HOST_PAT	      0x2c00U
#define VMCS_HOST_EFER	      0x2c02U

/* 32-bit fields */
#define VMCS_PIN_CONTROLS	    0x4000U
#define VMCS_PROC_CONTROLS	    0x4002U
#define VMCS_EXCEPTION_BITMAP	    0x4004U
#define VMCS_PF_ERROR_MASK	    0x4006U
#define VMCS_PF_ERROR_MATCH	    0x4008U
#define VMCS_CR3_TARGET_COUNT	    0x400aU
#define VMCS_EXIT_CONTROLS	    0x400cU
#define VMCS_EXIT_MSR_STORE_COUNT   0x400eU
#define VMCS_EXIT_MSR_LOAD_COUNT    0x4010U
#define VMCS_ENTRY_CONTROLS	    0x4012U
#define VMCS_ENTRY_MSR_LOAD_COUNT   0x4014U
#define VMCS_ENTRY_EVENT	    0x4016U
#define VMCS_ENTRY_ERROR	    0x4018U
#define VMCS_ENTRY_INSN_LENGTH	    0x401aU
#define VMCS_TPR_THRESHOLD	    0x401cU
#define VMCS_PROC2_CONTROLS	    0x401eU
#define VMCS_PAUSE_GAP		    0x4020U
#define VMCS_PAUSE_WINDOW	    0x4022U
#define VMCS_INSN_ERROR		    0x4400U
#define VMCS_EXIT_REASON	    0x4402U
#define VMCS_EXIT_EVENT		    0x4404U
#define VMCS_EXIT_EVENT_ERROR	    0x4406U
#define VMCS_VECTORING_EVENT	    0x4408U
#define VMCS_VECTORING_ERROR	    0x440aU
#define VMCS_EXIT_INSN_LENGTH	    0x440cU
#define VMCS_EXIT_INSN_INFO	    0x440eU
#define VMCS_GUEST_ES_LIMIT	    0x4800U /* then CS, SS, DS, FS, GS, LDTR, TR, two apart */
#define VMCS_GUEST_GDTR_LIMIT	    0x4810U
#define VMCS_GUEST_IDTR_LIMIT	    0x4812U
#define VMCS_GUEST_ES_RIGHTS	    0x4814U /* then CS, SS, DS, FS, GS, LDTR, TR, two apart */
#define VMCS_GUEST_INTERRUPTIBILITY 0x4824U
#define VMCS_GUEST_ACTIVITY	    0x4826U
#define VMCS_GUEST_SYSENTER_CS	    0x482aU
#define VMCS_PREEMPTION_TIMER	    0x482eU
#define VMCS_HOST_SYSENTER_CS	    0x4c00U

/* Natural-width fields */
#define VMCS_CR0_MASK		 0x6000U
#define VMCS_CR4_MASK		 0x6002U
#define VMCS_CR0_SHADOW		 0x6004U
#define VMCS_CR4_SHADOW		 0x6006U
#define VMCS_EXIT_QUALIFICATION	 0x6400U
#define VMCS_GUEST_LINEAR	 0x640aU
#define VMCS_GUEST_CR0		 0x6800U
#define VMCS_GUEST_CR3		 0x6802U
#define VMCS_GUEST_CR4		 0x6804U
#define VMCS_GUEST_ES_BASE	 0x6806U /* then CS, SS, DS, FS, GS, LDTR, TR, two apart */
#define VMCS_GUEST_GDTR_BASE	 0x6816U
#define VMCS_GUEST_IDTR_BASE	 0x6818U
#define VMCS_GUEST_DR7		 0x681aU
#define VMCS_GUEST_RSP		 0x681cU
#define VMCS_GUEST_RIP		 0x681eU
#define VMCS_GUEST_RFLAGS	 0x6820U
#define VMCS_GUEST_PENDING_DEBUG 0x6822U
#define VMCS_GUEST_SYSENTER_ESP	 0x6824U
#define VMCS_GUEST_SYSENTER_EIP	 0x6826U
#define VMCS_HOST_CR0		 0x6c00U
#define VMCS_HOST_CR3		 0x6c02U
#define VMCS_HOST_CR4		 0x6c04U
#define VMCS_HOST_FS_BASE	 0x6c06U
#define VMCS_HOST_GS_BASE	 0x6c08U
#define VMCS_HOST_TR_BASE	 0x6c0aU
#define VMCS_HOST_GDTR_BASE	 0x6c0cU
#define VMCS_HOST_IDTR_BASE	 0x6c0eU
#define VMCS_HOST_SYSENTER_ESP	 0x6c10U
#define VMCS_HOST_SYSENTER_EIP	 0x6c12U
#define VMCS_HOST_RSP		 0x6c14U
#define VMCS_HOST_RIP		 0x6c16U

/* SDM, "Pin-Based VM-Execution Controls" */
#define PIN_INTERRUPT_EXITING BIT32(0)
#define PIN_NMI_EXITING	      BIT32(3)
#define PIN_VIRTUAL_NMIS      BIT32(5)
#define PIN_PREEMPTION_TIMER  BIT32(6)
#define PIN_POSTED_INTERRUPTS BIT32(7)

/* SDM, "Primary Processor-Based VM-Execution Controls" */
#define PROC_INTERRUPT_WINDOW  BIT32(2)
#define PROC_TSC_OFFSETTING    BIT32(3)
#define PROC_HLT_EXITING       BIT32(7)
#define PROC_INVLPG_EXITING    BIT32(9)
#define PROC_MWAIT_EXITING     BIT32(10)
#define PROC_RDPMC_EXITING     BIT32(11)
#define PROC_RDTSC_EXITING     BIT32(12)
#define PROC_CR3_LOAD_EXITING  BIT32(15)
#define PROC_CR3_STORE_EXITING BIT32(16)
#define PROC_CR8_LOAD_EXITING  BIT32(19)
#define PROC_CR8_STORE_EXITING BIT32(20)
#define PROC_TPR_SHADOW	       BIT32(21)
#define PROC_NMI_WINDOW	       BIT32(22)
#define PROC_MOV_DR_EXITING    BIT32(23)
#define PROC_IO_EXITING	       BIT32(24)
#define PROC_IO_BITMAPS	       BIT32(25)
#define PROC_MONITOR_TRAP      BIT32(27)
#define PROC_MSR_BITMAPS       BIT32(28)
#define PROC_MONITOR_EXITING   BIT32(29)
#define PROC_PAUSE_EXITING     BIT32(30)
#define PROC_SECONDARY	       BIT32(31)

/* SDM, "Secondary Processor-Based VM-Execution Controls" */
#define PROC2_APIC_ACCESS	 BIT32(0)
#define PROC2_EPT		 BIT32(1)
#define PROC2_RDTSCP		 BIT32(3)
#define PROC2_X2APIC		 BIT32(4)
#define PROC2_VPID		 BIT32(5)
#define PROC2_WBINVD_EXITING	 BIT32(6)
#define PROC2_UNRESTRICTED	 BIT32(7)
#define PROC2_APIC_REGISTERS	 BIT32(8)
#define PROC2_INTERRUPT_DELIVERY BIT32(9)
#define PROC2_PAUSE_LOOP	 BIT32(10)
#define PROC2_INVPCID		 BIT32(12)
#define PROC2_PML		 BIT32(17)
#define PROC2_XSAVES		 BIT32(20)
#define PROC2_TSC_SCALING	 BIT32(25)

/* What APIC virtualization is made of; the first two exclude each other. */
#define VMX_APICV \
	(PROC2_APIC_ACCESS | PROC2_X2APIC | PROC2_APIC_REGISTERS | PROC2_INTERRUPT_DELIVERY)

/* SDM, "Primary VM-Exit Controls" */
#define EXIT_SAVE_DEBUG	    BIT32(2)
#define EXIT_HOST_LONG_MODE BIT32(9)
#define EXIT_ACK_INTERRUPT  BIT32(15)
#define EXIT_SAVE_PAT	    BIT32(18)
#define EXIT_LOAD_PAT	    BIT32(19)
#define EXIT_SAVE_EFER	    BIT32(20)
#define EXIT_LOAD_EFER	    BIT32(21)

/* SDM, "VM-Entry Controls" */
#define ENTRY_LOAD_DEBUG BIT32(2)
#define ENTRY_LONG_MODE	 BIT32(9)
#define ENTRY_SMM	 BIT32(10)
#define ENTRY_LOAD_PAT	 BIT32(14)
#define ENTRY_LOAD_EFER	 BIT32(15)

/* The exit reason; SDM, "Basic VM-Exit Information". */
#define EXIT_REASON_BASIC	 BITS64(15, 0)
#define EXIT_REASON_ENTRY_FAILED BIT32(31)

enum vmx_exit {
	VMX_EXIT_EXCEPTION = 0, /* or NMI */
	VMX_EXIT_INTERRUPT = 1,
	VMX_EXIT_TRIPLE_FAULT = 2,
	VMX_EXIT_INIT = 3,
	VMX_EXIT_SIPI = 4,
	VMX_EXIT_INTERRUPT_WINDOW = 7,
	VMX_EXIT_NMI_WINDOW = 8,
	VMX_EXIT_TASK_SWITCH = 9,
	VMX_EXIT_CPUID = 10,
	VMX_EXIT_GETSEC = 11,
	VMX_EXIT_HLT = 12,
	VMX_EXIT_INVD = 13,
	VMX_EXIT_RDPMC = 15,
	VMX_EXIT_RSM = 17,
	VMX_EXIT_VMCALL = 18,
	VMX_EXIT_VMCLEAR = 19,
	VMX_EXIT_VMLAUNCH = 20,
	VMX_EXIT_VMPTRLD = 21,
	VMX_EXIT_VMPTRST = 22,
	VMX_EXIT_VMREAD = 23,
	VMX_EXIT_VMRESUME = 24,
	VMX_EXIT_VMWRITE = 25,
	VMX_EXIT_VMXOFF = 26,
	VMX_EXIT_VMXON = 27,
	VMX_EXIT_CR = 28,
	VMX_EXIT_IO = 30,
	VMX_EXIT_RDMSR = 31,
	VMX_EXIT_WRMSR = 32,
	VMX_EXIT_GUEST_STATE = 33,
	VMX_EXIT_MSR_LOADING = 34,
	VMX_EXIT_MWAIT = 36,
	VMX_EXIT_MONITOR = 39,
	VMX_EXIT_PAUSE = 40,
	VMX_EXIT_MACHINE_CHECK = 41,
	VMX_EXIT_TPR_THRESHOLD = 43,
	VMX_EXIT_APIC_ACCESS = 44,
	VMX_EXIT_EOI = 45,
	VMX_EXIT_EPT_VIOLATION = 48,
	VMX_EXIT_EPT_MISCONFIGURED = 49,
	VMX_EXIT_INVEPT = 50,
	VMX_EXIT_PREEMPTION_TIMER = 52,
	VMX_EXIT_INVVPID = 53,
	VMX_EXIT_WBINVD = 54,
	VMX_EXIT_XSETBV = 55,
	VMX_EXIT_APIC_WRITE = 56,
	VMX_EXIT_COUNT = 76
};

/* More bits of an event (event.h), at exits only. */
#define EVENT_NMI_UNBLOCKING BIT32(12) /* IRET had opened NMIs */

/* SDM, "Guest Non-Register State" */
#define BLOCKED_BY_STI	   BIT32(0)
#define BLOCKED_BY_MOV_SS  BIT32(1)
#define BLOCKED_BY_SMI	   BIT32(2)
#define BLOCKED_BY_NMI	   BIT32(3)
#define BLOCKED_SHADOW	   (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS)
#define PENDING_DEBUG_BP   BIT64(12) /* a breakpoint that is on */
#define PENDING_DEBUG_BS   BIT64(14)
#define ACTIVITY_ACTIVE	   0U
#define ACTIVITY_HLT	   1U
#define ACTIVITY_SHUTDOWN  2U
#define ACTIVITY_WAIT_SIPI 3U
#define LINK_POINTER_NONE  UINT64_MAX

/* VMCS_GUEST_INTERRUPT_STATUS; SDM, "Guest Non-Register State" */
#define STATUS_RVI BITS64(7, 0)	 /* the highest vector requested */
#define STATUS_SVI BITS64(15, 8) /* the highest vector in service */

/* SDM, "Exit Qualification" */
#define QUAL_CR_NUMBER	    BITS64(3, 0)
#define QUAL_CR_TYPE	    BITS64(5, 4) /* 0: MOV to CR */
#define QUAL_CR_REGISTER    BITS64(11, 8)
#define QUAL_TASK_SELECTOR  BITS64(15, 0)
#define QUAL_TASK_SOURCE    BITS64(31, 30) /* numbered as enum task_source */
#define QUAL_IO_SIZE	    BITS64(2, 0)   /* bytes less one */
#define QUAL_IO_IN	    BIT64(3)
#define QUAL_IO_STRING	    BIT64(4)
#define QUAL_IO_PORT	    BITS64(31, 16)
#define QUAL_EPT_READ	    BIT64(0)
#define QUAL_EPT_WRITE	    BIT64(1)
#define QUAL_EPT_FETCH	    BIT64(2)
#define QUAL_NMI_UNBLOCKING BIT64(12)
#define QUAL_APIC_OFFSET    BITS64(11, 0) /* in the page; of an APIC-write exit, too */
#define QUAL_APIC_TYPE	    BITS64(15, 12)
#define APIC_TYPE_WRITE	    1U
#define APIC_TYPE_FETCH	    2U
#define APIC_TYPE_PHYSICAL  15U /* by the processor: of a page table */
#define QUAL_EOI_VECTOR	    BITS64(7, 0)

/* SDM, "EPT Translation Mechanism" */
#define EPT_READ	BIT64(0)
#define EPT_WRITE	BIT64(1)
#define EPT_EXECUTE	BIT64(2)
#define EPT_MEMORY_TYPE BITS64(5, 3)
#define EPT_LARGE	BIT64(7)
#define EPT_ACCESSED	BIT64(8)
#define EPT_DIRTY	BIT64(9)
#define EPTP_TYPE	BITS64(2, 0)
#define EPTP_WALK	BITS64(5, 3) /* levels less one */
#define EPTP_DIRTY	BIT64(6)     /* accessed and dirty flags on */

/* SDM, "VMX Capability Reporting Facility" */
#define MSR_VMX_BASIC	       0x480U
#define MSR_VMX_PIN	       0x481U
#define MSR_VMX_PROC	       0x482U
#define MSR_VMX_EXIT	       0x483U
#define MSR_VMX_ENTRY	       0x484U
#define MSR_VMX_MISC	       0x485U
#define MSR_VMX_CR0_FIXED0     0x486U
#define MSR_VMX_CR0_FIXED1     0x487U
#define MSR_VMX_CR4_FIXED0     0x488U
#define MSR_VMX_CR4_FIXED1     0x489U
#define MSR_VMX_PROC2	       0x48bU
#define MSR_VMX_EPT_VPID       0x48cU
#define MSR_VMX_TRUE_PIN       0x48dU
#define MSR_VMX_TRUE_PROC      0x48eU
#define MSR_VMX_TRUE_EXIT      0x48fU
#define MSR_VMX_TRUE_ENTRY     0x490U
#define VMX_BASIC_REVISION     BITS64(30, 0)
#define VMX_BASIC_WB	       (6ULL << 50) /* memory type of VMX structures */
#define VMX_BASIC_TRUE	       BIT64(55)    /* the TRUE capability MSRs exist */
#define VMX_BASIC_ANY_ERROR    BIT64(56)    /* injected exceptions have an error code or none */
#define VMX_MISC_TIMER_SHIFT   BITS64(4, 0) /* the preemption timer's tick, a power of two of TSC */
#define VMX_EPT_WALK4	       BIT64(6)
#define VMX_EPT_WB	       BIT64(14)
#define VMX_EPT_2M	       BIT64(16)
#define VMX_EPT_1G	       BIT64(17)
#define VMX_EPT_INVEPT	       BIT64(20)
#define VMX_EPT_DIRTY	       BIT64(21)
#define VMX_EPT_INVEPT_SINGLE  BIT64(25)
#define VMX_EPT_INVVPID	       BIT64(32)
#define VMX_EPT_INVVPID_SINGLE BIT64(41)
