/*
 * One instruction per function, and the register fields that the guests test (AMD64 Architecture
 * Programmer's Manual, volume 2, "System Resources"; SDM volume 4, "Model-Specific Registers").
 */
#pragma once

#include "lib/base/types.h"
#include "lib/x86/registers.h"
#include "tests/micro/lib/trap.h"

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

/* The processor's vendor, which guests see: "AuthenticAMD". */
static inline bool is_amd(void)
{
	return cpuid(0, 0).ebx == 0x68747541;
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
	asm volatile("wrmsr" : : "a"((u32)value), "d"((u32)(value >> 32)), "c"(index) : "memory");
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

#define CONTROL_REGISTER(name)                                                     \
	static inline u64 read_##name(void)                                        \
	{                                                                          \
		u64 value;                                                         \
		asm volatile("mov %%" #name ", %0" : "=r"(value)::"memory");       \
		return value;                                                      \
	}                                                                          \
	/* False when the write faulted. */                                        \
	static inline bool write_##name(u64 value)                                 \
	{                                                                          \
		trap_clear();                                                      \
		asm volatile(TRAPPING("mov %0, %%" #name)::"r"(value) : "memory"); \
		return trap.count == 0;                                            \
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

#define PORT_ACCESS(name, type)                                                  \
	static inline type in_##name(u16 port)                                   \
	{                                                                        \
		type value;                                                      \
		asm volatile("in %1, %0" : "=a"(value) : "Nd"(port) : "memory"); \
		return value;                                                    \
	}                                                                        \
	static inline void out_##name(u16 port, type value)                      \
	{                                                                        \
		asm volatile("out %0, %1" ::"a"(value), "Nd"(port) : "memory");  \
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
