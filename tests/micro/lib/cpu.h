/*
 * One instruction per function, and the register fields that the guests test (AMD64 Architecture
 * Programmer's Manual, volume 2, "System Resources"; SDM volume 4, "Model-Specific Registers").
 */
#pragma once

#include "lib/base/types.h"
#include "tests/micro/lib/trap.h"

#define CR0_PE BIT64(0)
#define CR0_MP BIT64(1)
#define CR0_EM BIT64(2)
#define CR0_TS BIT64(3)
#define CR0_NE BIT64(5)
#define CR0_WP BIT64(16)
#define CR0_AM BIT64(18)
#define CR0_NW BIT64(29)
#define CR0_CD BIT64(30)
#define CR0_PG BIT64(31)

#define CR4_VME	       BIT64(0)
#define CR4_DE	       BIT64(3)
#define CR4_PAE	       BIT64(5)
#define CR4_PGE	       BIT64(7)
#define CR4_PCE	       BIT64(8)
#define CR4_OSFXSR     BIT64(9)
#define CR4_OSXMMEXCPT BIT64(10)
#define CR4_UMIP       BIT64(11)
#define CR4_VMXE       BIT64(13)
#define CR4_OSXSAVE    BIT64(18)
#define CR4_SMEP       BIT64(20)
#define CR4_SMAP       BIT64(21)

#define RFLAGS_CF   BIT64(0)
#define RFLAGS_ONE  BIT64(1)
#define RFLAGS_PF   BIT64(2)
#define RFLAGS_AF   BIT64(4)
#define RFLAGS_ZF   BIT64(6)
#define RFLAGS_SF   BIT64(7)
#define RFLAGS_TF   BIT64(8)
#define RFLAGS_IF   BIT64(9)
#define RFLAGS_DF   BIT64(10)
#define RFLAGS_OF   BIT64(11)
#define RFLAGS_IOPL BITS64(13, 12)
#define RFLAGS_NT   BIT64(14)
#define RFLAGS_RF   BIT64(16)
#define RFLAGS_AC   BIT64(18)
#define RFLAGS_ARITHMETIC                                                                          \
	(RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

#define EFER_SCE   BIT64(0)
#define EFER_LME   BIT64(8)
#define EFER_LMA   BIT64(10)
#define EFER_NXE   BIT64(11)
#define EFER_SVME  BIT64(12)
#define EFER_LMSLE BIT64(13)
#define EFER_FFXSR BIT64(14)

#define MSR_TSC		   0x10U
#define MSR_APIC_BASE	   0x1bU
#define MSR_SYSENTER_CS	   0x174U
#define MSR_SYSENTER_ESP   0x175U
#define MSR_SYSENTER_EIP   0x176U
#define MSR_PAT		   0x277U
#define MSR_TSC_DEADLINE   0x6e0U
#define MSR_X2APIC	   0x800U
#define MSR_EFER	   0xc0000080U
#define MSR_STAR	   0xc0000081U
#define MSR_LSTAR	   0xc0000082U
#define MSR_CSTAR	   0xc0000083U
#define MSR_FMASK	   0xc0000084U
#define MSR_FS_BASE	   0xc0000100U
#define MSR_GS_BASE	   0xc0000101U
#define MSR_KERNEL_GS_BASE 0xc0000102U
#define MSR_TSC_AUX	   0xc0000103U

struct cpuid {
	u32 eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(u32 leaf, u32 subleaf)
{
	struct cpuid r;

	asm volatile("cpuid"
		     : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
		     : "a"(leaf), "c"(subleaf));
	return r;
}

/* False when the instruction faulted; `trap` then says how. */
static inline bool msr_read(u32 index, u64 *value)
{
	u32 low = 0, high = 0;

	trap_clear();
	asm volatile(TRAPPING("rdmsr") : "+a"(low), "+d"(high) : "c"(index) : "memory");
	*value = (u64)high << 32 | low;
	return trap.count == 0;
}

static inline bool msr_write(u32 index, u64 value)
{
	trap_clear();
	asm volatile(TRAPPING("wrmsr")
		     :
		     : "a"((u32)value), "d"((u32)(value >> 32)), "c"(index)
		     : "memory");
	return trap.count == 0;
}

/* For MSRs that must exist: an exception ends the guest. */
static inline u64 rdmsr(u32 index)
{
	u32 low, high;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index) : "memory");
	return (u64)high << 32 | low;
}

static inline void wrmsr(u32 index, u64 value)
{
	asm volatile("wrmsr"
		     :
		     : "a"((u32)value), "d"((u32)(value >> 32)), "c"(index)
		     : "memory");
}

static inline bool xcr_write(u32 index, u64 value)
{
	trap_clear();
	asm volatile(TRAPPING("xsetbv")
		     :
		     : "a"((u32)value), "d"((u32)(value >> 32)), "c"(index)
		     : "memory");
	return trap.count == 0;
}

static inline u64 xcr_read(u32 index)
{
	u32 low, high;

	asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(index));
	return (u64)high << 32 | low;
}

#define CONTROL_REGISTER(name)                                                                     \
	static inline u64 read_##name(void)                                                        \
	{                                                                                          \
		u64 value;                                                                         \
		asm volatile("mov %%" #name ", %0" : "=r"(value)::"memory");                       \
		return value;                                                                      \
	}                                                                                          \
	/* False when the write faulted. */                                                        \
	static inline bool write_##name(u64 value)                                                 \
	{                                                                                          \
		trap_clear();                                                                      \
		asm volatile(TRAPPING("mov %0, %%" #name)::"r"(value) : "memory");                 \
		return trap.count == 0;                                                            \
	}

CONTROL_REGISTER(cr0)
CONTROL_REGISTER(cr2)
CONTROL_REGISTER(cr3)
CONTROL_REGISTER(cr4)
CONTROL_REGISTER(cr8)
CONTROL_REGISTER(dr0)
CONTROL_REGISTER(dr1)
CONTROL_REGISTER(dr6)
CONTROL_REGISTER(dr7)

static inline u64 read_flags(void)
{
	u64 flags;

	asm volatile("pushfq; popq %0" : "=r"(flags)::"memory");
	return flags;
}

static inline void write_flags(u64 flags)
{
	asm volatile("pushq %0; popfq" ::"r"(flags) : "memory", "cc");
}

static inline u64 rdtsc(void)
{
	u32 low, high;

	asm volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
	return (u64)high << 32 | low;
}

static inline void cpu_pause(void)
{
	asm volatile("pause" ::: "memory");
}

/* PAUSE may exit and RDTSC is slow in an emulated machine: waiting loops spin like this. */
static inline void cpu_spin(unsigned count)
{
	asm volatile("1: decl %0; jnz 1b" : "+r"(count)::"cc");
}

static inline void irq_enable(void)
{
	asm volatile("sti" ::: "memory");
}

static inline void irq_disable(void)
{
	asm volatile("cli" ::: "memory");
}

/* STI holds interrupts off for one instruction, so none can come between it and HLT. */
static inline void irq_enable_and_halt(void)
{
	asm volatile("sti; hlt" ::: "memory");
}

/* Lets everything that is pending be taken: three instructions with interrupts on. */
static inline void irq_open_window(void)
{
	asm volatile("sti; nop; nop; nop; cli" ::: "memory");
}

#define PORT_ACCESS(name, type)                                                                    \
	static inline type in_##name(u16 port)                                                     \
	{                                                                                          \
		type value;                                                                        \
		asm volatile("in %1, %0" : "=a"(value) : "Nd"(port) : "memory");                   \
		return value;                                                                      \
	}                                                                                          \
	static inline void out_##name(u16 port, type value)                                        \
	{                                                                                          \
		asm volatile("out %0, %1" ::"a"(value), "Nd"(port) : "memory");                    \
	}

PORT_ACCESS(byte, u8)
PORT_ACCESS(word, u16)
PORT_ACCESS(dword, u32)

static inline u32 mmio_read(u64 address)
{
	u32 value;

	asm volatile("movl (%1), %0" : "=r"(value) : "r"(address) : "memory");
	return value;
}

static inline void mmio_write(u64 address, u32 value)
{
	asm volatile("movl %0, (%1)" ::"r"(value), "r"(address) : "memory");
}
