/*
 * Architectural registers and tables that every x86-64 processor has, by the names of the manuals:
 * control registers, RFLAGS, page-table entries, exceptions, MSRs and CPUID bits.
 * Governed by the Intel SDM, volumes 3 and 4, and the AMD APM, volume 2. What one vendor's
 * virtualization adds is in vmcb.h and vmcs.h, for its back end alone.
 */
#pragma once

#include "lib/base/types.h"

/* SDM, "Control Registers" */
#define CR0_PE BIT64(0)
#define CR0_MP BIT64(1)
#define CR0_EM BIT64(2)
#define CR0_TS BIT64(3)
#define CR0_ET BIT64(4)
#define CR0_NE BIT64(5)
#define CR0_WP BIT64(16)
#define CR0_AM BIT64(18)
#define CR0_NW BIT64(29)
#define CR0_CD BIT64(30)
#define CR0_PG BIT64(31)

#define CR3_PWT	      BIT64(3)
#define CR3_PCD	      BIT64(4)
#define CR3_PCID      BITS64(11, 0) /* with CR4.PCIDE */
#define CR3_ROOT      BITS64(51, 12)
#define CR3_ROOT_PAE  BITS64(31, 5)
#define CR3_ROOT_32   BITS64(31, 12)
#define CR3_LAM_U57   BIT64(61)
#define CR3_LAM_U48   BIT64(62)
#define CR3_KEEP_PCID BIT64(63) /* in a MOV to CR3: do not flush this PCID */

#define CR4_VME	       BIT64(0)
#define CR4_PVI	       BIT64(1)
#define CR4_TSD	       BIT64(2)
#define CR4_DE	       BIT64(3)
#define CR4_PSE	       BIT64(4)
#define CR4_PAE	       BIT64(5)
#define CR4_MCE	       BIT64(6)
#define CR4_PGE	       BIT64(7)
#define CR4_PCE	       BIT64(8)
#define CR4_OSFXSR     BIT64(9)
#define CR4_OSXMMEXCPT BIT64(10)
#define CR4_UMIP       BIT64(11)
#define CR4_LA57       BIT64(12)
#define CR4_VMXE       BIT64(13)
#define CR4_SMXE       BIT64(14)
#define CR4_FSGSBASE   BIT64(16)
#define CR4_PCIDE      BIT64(17)
#define CR4_OSXSAVE    BIT64(18)
#define CR4_KL	       BIT64(19)
#define CR4_SMEP       BIT64(20)
#define CR4_SMAP       BIT64(21)
#define CR4_PKE	       BIT64(22)
#define CR4_CET	       BIT64(23)
#define CR4_PKS	       BIT64(24)
#define CR4_UINTR      BIT64(25)
#define CR4_LAM_SUP    BIT64(28)

#define CR8_TPR BITS64(3, 0)

/* SDM, "Extended Control Registers (Including XCR0)" */
#define XCR0_X87       BIT64(0)
#define XCR0_SSE       BIT64(1)
#define XCR0_AVX       BIT64(2)
#define XCR0_BNDREG    BIT64(3)
#define XCR0_BNDCSR    BIT64(4)
#define XCR0_OPMASK    BIT64(5)
#define XCR0_ZMM_HI256 BIT64(6)
#define XCR0_HI16_ZMM  BIT64(7)
#define XCR0_PKRU      BIT64(9)
#define XCR0_TILECFG   BIT64(17)
#define XCR0_TILEDATA  BIT64(18)

/* SDM, "System Flags and Fields in the EFLAGS Register" */
#define RFLAGS_CF    BIT64(0)
#define RFLAGS_ONE   BIT64(1) /* always set */
#define RFLAGS_PF    BIT64(2)
#define RFLAGS_AF    BIT64(4)
#define RFLAGS_ZF    BIT64(6)
#define RFLAGS_SF    BIT64(7)
#define RFLAGS_TF    BIT64(8)
#define RFLAGS_IF    BIT64(9)
#define RFLAGS_DF    BIT64(10)
#define RFLAGS_OF    BIT64(11)
#define RFLAGS_IOPL  BITS64(13, 12)
#define RFLAGS_NT    BIT64(14)
#define RFLAGS_RF    BIT64(16)
#define RFLAGS_VM    BIT64(17)
#define RFLAGS_AC    BIT64(18)
#define RFLAGS_VIF   BIT64(19)
#define RFLAGS_VIP   BIT64(20)
#define RFLAGS_ID    BIT64(21)
#define RFLAGS_ARITH (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

/* SDM, "Debug Registers" */
#define DR6_B0	   BIT64(0)
#define DR6_B1	   BIT64(1)
#define DR6_B2	   BIT64(2)
#define DR6_B3	   BIT64(3)
#define DR6_BREAKS BITS64(3, 0) /* B3 to B0 */
#define DR6_BD	   BIT64(13)
#define DR6_BS	   BIT64(14)
#define DR6_BT	   BIT64(15)
#define DR6_RTM	   BIT64(16) /* reads as one where absent */
#define DR6_RESET  0xffff0ff0ULL
#define DR7_ENABLE BITS64(7, 0)
#define DR7_GD	   BIT64(13)
#define DR7_RESET  0x400ULL

/* SDM, "IA32_EFER"; APM, "Extended Feature Enable Register (EFER)" */
#define EFER_SCE   BIT64(0)
#define EFER_LME   BIT64(8)
#define EFER_LMA   BIT64(10)
#define EFER_NXE   BIT64(11)
#define EFER_SVME  BIT64(12)
#define EFER_LMSLE BIT64(13)
#define EFER_FFXSR BIT64(14)
#define EFER_TCE   BIT64(15)
/* Those that both vendors have, and a guest may set. */
#define EFER_KNOWN (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)

/* Page-table entries: SDM, "Paging". Names hold for every level of every mode unless said. */
#define PTE_PRESENT    BIT64(0)
#define PTE_WRITE      BIT64(1)
#define PTE_USER       BIT64(2)
#define PTE_PWT	       BIT64(3)
#define PTE_PCD	       BIT64(4)
#define PTE_ACCESSED   BIT64(5)
#define PTE_DIRTY      BIT64(6)	 /* leaves only */
#define PTE_PAGE_SIZE  BIT64(7)	 /* above the last level: this entry maps a page */
#define PTE_PAT_4K     BIT64(7)	 /* at the last level */
#define PTE_GLOBAL     BIT64(8)	 /* leaves only */
#define PTE_PAT_LARGE  BIT64(12) /* in entries that map a large page */
#define PTE_ADDRESS    BITS64(51, 12)
#define PTE_KEY	       BITS64(62, 59) /* protection key, leaves of long mode */
#define PTE_NX	       BIT64(63)
#define PDE4M_BASE     BITS64(31, 22) /* 32-bit paging, 4-MByte page */
#define PDE4M_BASE_HI  BITS64(20, 13) /* PSE-36: bits 39:32 of the page's address */
#define PDE4M_RESERVED BIT64(21)

/* SDM, "Page-Fault Exceptions" */
#define PF_PRESENT   BIT32(0) /* clear: an entry was not present */
#define PF_WRITE     BIT32(1)
#define PF_USER	     BIT32(2)
#define PF_RESERVED  BIT32(3)
#define PF_FETCH     BIT32(4)
#define PF_KEY	     BIT32(5)
#define PF_SHADOW    BIT32(6)
#define PF_SGX	     BIT32(15)
#define PF_SVM_GUEST BIT64(32) /* nested page fault in a final address; APM, "Nested Paging" */
#define PF_SVM_TABLE BIT64(33) /* nested page fault in a guest table */

/* SDM, "Protected-Mode Exceptions and Interrupts"; #HV, #VC and #SX are AMD's. */
enum exception {
	EXC_DE = 0,
	EXC_DB = 1,
	EXC_NMI = 2,
	EXC_BP = 3,
	EXC_OF = 4,
	EXC_BR = 5,
	EXC_UD = 6,
	EXC_NM = 7,
	EXC_DF = 8,
	EXC_TS = 10,
	EXC_NP = 11,
	EXC_SS = 12,
	EXC_GP = 13,
	EXC_PF = 14,
	EXC_MF = 16,
	EXC_AC = 17,
	EXC_MC = 18,
	EXC_XM = 19,
	EXC_VE = 20,
	EXC_CP = 21,
	EXC_HV = 28,
	EXC_VC = 29,
	EXC_SX = 30,
	EXC_COUNT = 32
};

/* One bit for each exception that pushes an error code. */
#define EXC_WITH_ERROR                                                                   \
	(BIT32(EXC_DF) | BIT32(EXC_TS) | BIT32(EXC_NP) | BIT32(EXC_SS) | BIT32(EXC_GP) | \
	 BIT32(EXC_PF) | BIT32(EXC_AC) | BIT32(EXC_CP) | BIT32(EXC_VC) | BIT32(EXC_SX))

static inline bool exception_has_error(unsigned vector)
{
	return vector < EXC_COUNT && ((EXC_WITH_ERROR >> vector) & 1) != 0;
}

/* SDM, "Model-Specific Registers (MSRs)"; APM, "MSR Cross-Reference" */
#define MSR_IA32_P5_MC_ADDR	    0x00000000U
#define MSR_IA32_P5_MC_TYPE	    0x00000001U
#define MSR_IA32_TSC		    0x00000010U
#define MSR_IA32_PLATFORM_ID	    0x00000017U
#define MSR_IA32_APIC_BASE	    0x0000001bU
#define MSR_IA32_FEATURE_CONTROL    0x0000003aU
#define MSR_IA32_TSC_ADJUST	    0x0000003bU
#define MSR_IA32_SPEC_CTRL	    0x00000048U
#define MSR_IA32_PRED_CMD	    0x00000049U
#define MSR_IA32_BIOS_UPDT_TRIG	    0x00000079U
#define MSR_IA32_BIOS_SIGN_ID	    0x0000008bU
#define MSR_IA32_PMC0		    0x000000c1U
#define MSR_PLATFORM_INFO	    0x000000ceU
#define MSR_IA32_MPERF		    0x000000e7U
#define MSR_IA32_APERF		    0x000000e8U
#define MSR_IA32_MTRRCAP	    0x000000feU
#define MSR_IA32_ARCH_CAPABILITIES  0x0000010aU
#define MSR_IA32_FLUSH_CMD	    0x0000010bU
#define MSR_IA32_SYSENTER_CS	    0x00000174U
#define MSR_IA32_SYSENTER_ESP	    0x00000175U
#define MSR_IA32_SYSENTER_EIP	    0x00000176U
#define MSR_IA32_MCG_CAP	    0x00000179U
#define MSR_IA32_MCG_STATUS	    0x0000017aU
#define MSR_IA32_MCG_CTL	    0x0000017bU
#define MSR_IA32_PERFEVTSEL0	    0x00000186U
#define MSR_IA32_PERF_STATUS	    0x00000198U
#define MSR_IA32_PERF_CTL	    0x00000199U
#define MSR_IA32_THERM_STATUS	    0x0000019cU
#define MSR_IA32_MISC_ENABLE	    0x000001a0U
#define MSR_IA32_DEBUGCTL	    0x000001d9U
#define MSR_IA32_MTRR_PHYSBASE0	    0x00000200U /* base and mask alternate: 0x200 + 2n, + 2n + 1 */
#define MSR_IA32_MTRR_PHYSMASK0	    0x00000201U
#define MSR_IA32_MTRR_FIX64K	    0x00000250U
#define MSR_IA32_MTRR_FIX16K_8000   0x00000258U
#define MSR_IA32_MTRR_FIX16K_A000   0x00000259U
#define MSR_IA32_MTRR_FIX4K_C000    0x00000268U /* to 0x26f, one each 32 KBytes */
#define MSR_IA32_PAT		    0x00000277U
#define MSR_IA32_MTRR_DEF_TYPE	    0x000002ffU
#define MSR_IA32_FIXED_CTR0	    0x00000309U
#define MSR_IA32_PERF_CAPABILITIES  0x00000345U
#define MSR_IA32_FIXED_CTR_CTRL	    0x0000038dU
#define MSR_IA32_PERF_GLOBAL_STATUS 0x0000038eU
#define MSR_IA32_PERF_GLOBAL_CTRL   0x0000038fU
#define MSR_IA32_MC0_CTL	    0x00000400U /* four a bank: CTL, STATUS, ADDR, MISC */
#define MSR_IA32_MC0_STATUS	    0x00000401U
#define MSR_IA32_TSC_DEADLINE	    0x000006e0U
#define MSR_IA32_X2APIC_FIRST	    0x00000800U
#define MSR_X2APIC_TPR		    0x00000808U
#define MSR_X2APIC_EOI		    0x0000080bU
#define MSR_X2APIC_SELF_IPI	    0x0000083fU
#define MSR_IA32_X2APIC_LAST	    0x000008ffU
#define MSR_IA32_XSS		    0x00000da0U
#define MSR_IA32_EFER		    0xc0000080U
#define MSR_IA32_STAR		    0xc0000081U
#define MSR_IA32_LSTAR		    0xc0000082U
#define MSR_IA32_CSTAR		    0xc0000083U
#define MSR_IA32_FMASK		    0xc0000084U
#define MSR_IA32_FS_BASE	    0xc0000100U
#define MSR_IA32_GS_BASE	    0xc0000101U
#define MSR_IA32_KERNEL_GS_BASE	    0xc0000102U
#define MSR_IA32_TSC_AUX	    0xc0000103U
#define MSR_AMD_TSC_RATIO	    0xc0000104U
#define MSR_AMD_SYSCFG		    0xc0010010U
#define MSR_AMD_HWCR		    0xc0010015U
#define MSR_AMD_NB_CFG		    0xc001001fU
#define MSR_AMD_INT_PENDING	    0xc0010055U
#define MSR_AMD_VM_CR		    0xc0010114U
#define MSR_AMD_VM_HSAVE_PA	    0xc0010117U
#define MSR_AMD_VIRT_SPEC_CTRL	    0xc001011fU
#define MSR_AMD_LS_CFG		    0xc0011020U
#define MSR_AMD_DE_CFG		    0xc0011029U

/* APM, "System-Call and System-Return" */
#define STAR_SYSCALL_CS BITS64(47, 32)
#define STAR_SYSRET_CS	BITS64(63, 48)

/* APM, "VM_CR MSR", "Hardware Configuration Register (HWCR)"; DE_CFG: "LFENCE" */
#define VM_CR_R_INIT		BIT64(1)
#define VM_CR_SVMDIS		BIT64(4)
#define HWCR_TSC_FREQ_SEL	BIT64(24)
#define DE_CFG_LFENCE_SERIALIZE BIT64(1)

/* SDM, "Local APIC Status and Location" */
#define APIC_BASE_BSP	  BIT64(8)
#define APIC_BASE_X2APIC  BIT64(10)
#define APIC_BASE_ENABLE  BIT64(11)
#define APIC_BASE_ADDRESS BITS64(51, 12)
#define APIC_BASE_MODE	  BITS64(11, 10) /* the two mode bits as a number */
enum { LAPIC_MODE_OFF, LAPIC_MODE_XAPIC = 2, LAPIC_MODE_X2APIC };

/* SDM, "Memory Type Range Registers (MTRRs)" */
#define MTRRCAP_COUNT	BITS64(7, 0)
#define MTRRCAP_FIXED	BIT64(8)
#define MTRRCAP_WC	BIT64(10)
#define MTRR_DEF_TYPE	BITS64(7, 0)
#define MTRR_DEF_FIXED	BIT64(10)
#define MTRR_DEF_ENABLE BIT64(11)
#define MTRR_MASK_VALID BIT64(11)
#define MEMORY_TYPE_UC	0ULL
#define MEMORY_TYPE_WC	1ULL
#define MEMORY_TYPE_WT	4ULL
#define MEMORY_TYPE_WP	5ULL
#define MEMORY_TYPE_WB	6ULL
#define MEMORY_TYPE_UC_ 7ULL /* UC-, in the PAT only */
#define PAT_RESET	0x0007040600070406ULL

/* SDM, "IA32_MISC_ENABLE" */
#define MISC_ENABLE_FAST_STRING BIT64(0)
#define MISC_ENABLE_LIMIT_CPUID BIT64(22)
#define MISC_ENABLE_XD_DISABLE	BIT64(34)

/* SDM, "IA32_FEATURE_CONTROL" */
#define FEATURE_CONTROL_LOCK	   BIT64(0)
#define FEATURE_CONTROL_VMX_IN_SMX BIT64(1)
#define FEATURE_CONTROL_VMX	   BIT64(2)

/* CPUID: SDM, "CPUID--CPU Identification"; APM, "Obtaining Processor Information Via CPUID". */
#define CPUID_BASIC	   0x00000000U
#define CPUID_FEATURES	   0x00000001U
#define CPUID_DESCRIPTORS  0x00000002U
#define CPUID_CACHE	   0x00000004U
#define CPUID_MWAIT	   0x00000005U
#define CPUID_THERMAL	   0x00000006U
#define CPUID_STRUCTURED   0x00000007U
#define CPUID_TOPOLOGY	   0x0000000bU
#define CPUID_XSAVE	   0x0000000dU
#define CPUID_TSC	   0x00000015U
#define CPUID_FREQUENCY	   0x00000016U
#define CPUID_TOPOLOGY_V2  0x0000001fU
#define CPUID_HYPERVISOR   0x40000000U
#define CPUID_EXTENDED	   0x80000000U
#define CPUID_EXT_FEATURES 0x80000001U
#define CPUID_EXT_BRAND	   0x80000002U /* to 0x80000004 */
#define CPUID_EXT_POWER	   0x80000007U
#define CPUID_EXT_ADDRESS  0x80000008U
#define CPUID_EXT_SVM	   0x8000000aU
#define CPUID_EXT_CACHE	   0x8000001dU
#define CPUID_EXT_TOPOLOGY 0x8000001eU

#define CPUID_1_EBX_CLFLUSH    BITS64(15, 8)
#define CPUID_1_EBX_COUNT      BITS64(23, 16)
#define CPUID_1_EBX_APIC_ID    BITS64(31, 24)
#define CPUID_4_EAX_TYPE       BITS64(4, 0) /* 0: no more caches */
#define CPUID_4_EAX_LEVEL      BITS64(7, 5)
#define CPUID_4_EAX_THREADS    BITS64(25, 14)
#define CPUID_4_EAX_CORES      BITS64(31, 26)
#define CPUID_6_EAX_ARAT       BIT32(2) /* the local APIC timer never stops */
#define CPUID_B_ECX_SMT	       (1U << 8)
#define CPUID_B_ECX_CORE       (2U << 8)
#define CPUID_D_ECX_ALIGNED    BIT32(1) /* compacted: starts at a multiple of 64 */
#define CPUID_EXT8_ECX_CORES   BITS64(7, 0)
#define CPUID_EXT8_ECX_ID_BITS BITS64(15, 12)
#define XSAVE_LEGACY_BYTES     576U /* with the header */

#define CPUID_1_ECX_SSE3	 BIT32(0)
#define CPUID_1_ECX_PCLMULQDQ	 BIT32(1)
#define CPUID_1_ECX_DTES64	 BIT32(2)
#define CPUID_1_ECX_MONITOR	 BIT32(3)
#define CPUID_1_ECX_DS_CPL	 BIT32(4)
#define CPUID_1_ECX_VMX		 BIT32(5)
#define CPUID_1_ECX_SMX		 BIT32(6)
#define CPUID_1_ECX_EIST	 BIT32(7)
#define CPUID_1_ECX_TM2		 BIT32(8)
#define CPUID_1_ECX_SSSE3	 BIT32(9)
#define CPUID_1_ECX_FMA		 BIT32(12)
#define CPUID_1_ECX_CMPXCHG16B	 BIT32(13)
#define CPUID_1_ECX_XTPR	 BIT32(14)
#define CPUID_1_ECX_PDCM	 BIT32(15)
#define CPUID_1_ECX_PCID	 BIT32(17)
#define CPUID_1_ECX_DCA		 BIT32(18)
#define CPUID_1_ECX_SSE41	 BIT32(19)
#define CPUID_1_ECX_SSE42	 BIT32(20)
#define CPUID_1_ECX_X2APIC	 BIT32(21)
#define CPUID_1_ECX_MOVBE	 BIT32(22)
#define CPUID_1_ECX_POPCNT	 BIT32(23)
#define CPUID_1_ECX_TSC_DEADLINE BIT32(24)
#define CPUID_1_ECX_AES		 BIT32(25)
#define CPUID_1_ECX_XSAVE	 BIT32(26)
#define CPUID_1_ECX_OSXSAVE	 BIT32(27)
#define CPUID_1_ECX_AVX		 BIT32(28)
#define CPUID_1_ECX_F16C	 BIT32(29)
#define CPUID_1_ECX_RDRAND	 BIT32(30)
#define CPUID_1_ECX_HYPERVISOR	 BIT32(31)

#define CPUID_1_EDX_FPU	   BIT32(0)
#define CPUID_1_EDX_VME	   BIT32(1)
#define CPUID_1_EDX_DE	   BIT32(2)
#define CPUID_1_EDX_PSE	   BIT32(3)
#define CPUID_1_EDX_TSC	   BIT32(4)
#define CPUID_1_EDX_MSR	   BIT32(5)
#define CPUID_1_EDX_PAE	   BIT32(6)
#define CPUID_1_EDX_MCE	   BIT32(7)
#define CPUID_1_EDX_CX8	   BIT32(8)
#define CPUID_1_EDX_APIC   BIT32(9)
#define CPUID_1_EDX_SEP	   BIT32(11)
#define CPUID_1_EDX_MTRR   BIT32(12)
#define CPUID_1_EDX_PGE	   BIT32(13)
#define CPUID_1_EDX_MCA	   BIT32(14)
#define CPUID_1_EDX_CMOV   BIT32(15)
#define CPUID_1_EDX_PAT	   BIT32(16)
#define CPUID_1_EDX_PSE36  BIT32(17)
#define CPUID_1_EDX_CLFLSH BIT32(19)
#define CPUID_1_EDX_DS	   BIT32(21)
#define CPUID_1_EDX_ACPI   BIT32(22)
#define CPUID_1_EDX_MMX	   BIT32(23)
#define CPUID_1_EDX_FXSR   BIT32(24)
#define CPUID_1_EDX_SSE	   BIT32(25)
#define CPUID_1_EDX_SSE2   BIT32(26)
#define CPUID_1_EDX_SS	   BIT32(27)
#define CPUID_1_EDX_HTT	   BIT32(28)
#define CPUID_1_EDX_TM	   BIT32(29)
#define CPUID_1_EDX_PBE	   BIT32(31)

#define CPUID_7_EBX_FSGSBASE   BIT32(0)
#define CPUID_7_EBX_TSC_ADJUST BIT32(1)
#define CPUID_7_EBX_SGX	       BIT32(2)
#define CPUID_7_EBX_BMI1       BIT32(3)
#define CPUID_7_EBX_HLE	       BIT32(4)
#define CPUID_7_EBX_AVX2       BIT32(5)
#define CPUID_7_EBX_SMEP       BIT32(7)
#define CPUID_7_EBX_BMI2       BIT32(8)
#define CPUID_7_EBX_ERMS       BIT32(9)
#define CPUID_7_EBX_INVPCID    BIT32(10)
#define CPUID_7_EBX_RTM	       BIT32(11)
#define CPUID_7_EBX_MPX	       BIT32(14)
#define CPUID_7_EBX_AVX512F    BIT32(16)
#define CPUID_7_EBX_AVX512DQ   BIT32(17)
#define CPUID_7_EBX_RDSEED     BIT32(18)
#define CPUID_7_EBX_ADX	       BIT32(19)
#define CPUID_7_EBX_SMAP       BIT32(20)
#define CPUID_7_EBX_AVX512IFMA BIT32(21)
#define CPUID_7_EBX_CLFLUSHOPT BIT32(23)
#define CPUID_7_EBX_CLWB       BIT32(24)
#define CPUID_7_EBX_INTEL_PT   BIT32(25)
#define CPUID_7_EBX_AVX512CD   BIT32(28)
#define CPUID_7_EBX_SHA	       BIT32(29)
#define CPUID_7_EBX_AVX512BW   BIT32(30)
#define CPUID_7_EBX_AVX512VL   BIT32(31)

#define CPUID_7_ECX_UMIP       BIT32(2)
#define CPUID_7_ECX_PKU	       BIT32(3)
#define CPUID_7_ECX_OSPKE      BIT32(4)
#define CPUID_7_ECX_WAITPKG    BIT32(5)
#define CPUID_7_ECX_CET_SS     BIT32(7)
#define CPUID_7_ECX_GFNI       BIT32(8)
#define CPUID_7_ECX_VAES       BIT32(9)
#define CPUID_7_ECX_VPCLMULQDQ BIT32(10)
#define CPUID_7_ECX_LA57       BIT32(16)
#define CPUID_7_ECX_RDPID      BIT32(22)
#define CPUID_7_ECX_PKS	       BIT32(31)

#define CPUID_7_EDX_FSRM	BIT32(4)
#define CPUID_7_EDX_MD_CLEAR	BIT32(10)
#define CPUID_7_EDX_SPEC_CTRL	BIT32(26)
#define CPUID_7_EDX_STIBP	BIT32(27)
#define CPUID_7_EDX_FLUSH_CMD	BIT32(28)
#define CPUID_7_EDX_ARCH_CAPS	BIT32(29)
#define CPUID_7_EDX_SSBD	BIT32(31)
#define CPUID_D1_EAX_XSAVEOPT	BIT32(0)
#define CPUID_D1_EAX_XSAVEC	BIT32(1)
#define CPUID_D1_EAX_XGETBV_ECX BIT32(2)
#define CPUID_D1_EAX_XSAVES	BIT32(3)

#define CPUID_EXT1_ECX_LAHF	  BIT32(0)
#define CPUID_EXT1_ECX_CMP_LEGACY BIT32(1)
#define CPUID_EXT1_ECX_SVM	  BIT32(2)
#define CPUID_EXT1_ECX_EXTAPIC	  BIT32(3)
#define CPUID_EXT1_ECX_CR8_LEGACY BIT32(4)
#define CPUID_EXT1_ECX_LZCNT	  BIT32(5)
#define CPUID_EXT1_ECX_SSE4A	  BIT32(6)
#define CPUID_EXT1_ECX_PREFETCHW  BIT32(8)
#define CPUID_EXT1_ECX_TOPOEXT	  BIT32(22)
#define CPUID_EXT1_EDX_SYSCALL	  BIT32(11)
#define CPUID_EXT1_EDX_NX	  BIT32(20)
#define CPUID_EXT1_EDX_MMXEXT	  BIT32(22)
#define CPUID_EXT1_EDX_FFXSR	  BIT32(25)
#define CPUID_EXT1_EDX_1G	  BIT32(26)
#define CPUID_EXT1_EDX_RDTSCP	  BIT32(27)
#define CPUID_EXT1_EDX_LM	  BIT32(29)
#define CPUID_EXT7_EDX_INVTSC	  BIT32(8)
#define CPUID_EXT8_EBX_CLZERO	  BIT32(0)

/* CPUID.80000008H:EAX */
#define CPUID_EXT8_EAX_PHYSICAL BITS64(7, 0)
#define CPUID_EXT8_EAX_LINEAR	BITS64(15, 8)
