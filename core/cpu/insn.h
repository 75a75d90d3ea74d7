/* One privileged or special instruction per inline function; VMX and SVM have their own. */
#pragma once

#include "lib/base/types.h"
#include "lib/x86/tables.h"

struct cpuid_result {
	u32 eax, ebx, ecx, edx;
};

static inline struct cpuid_result cpuid(u32 leaf, u32 subleaf)
{
	struct cpuid_result r;

	__asm__ volatile("cpuid"
			 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "a"(leaf), "c"(subleaf));
	return r;
}

static inline u64 rdmsr(u32 index)
{
	u32 low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
	return (u64)high << 32 | low;
}

/* False, and *value as it was, when the processor has no such MSR. In trap.S. */
bool rdmsr_try(u32 index, u64 *value);

static inline void wrmsr(u32 index, u64 value)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(index), "a"((u32)value), "d"((u32)(value >> 32))
			 : "memory");
}

/* As it comes, for who stores it at once. */
static inline void rdtsc_halves(u32 *low, u32 *high)
{
	__asm__ volatile("rdtsc" : "=a"(*low), "=d"(*high));
}

static inline u64 rdtsc(void)
{
	u32 low, high;

	rdtsc_halves(&low, &high);
	return (u64)high << 32 | low;
}

static inline u8 in8(u16 port)
{
	u8 value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void out8(u16 port, u8 value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline u16 in16(u16 port)
{
	u16 value;

	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void out16(u16 port, u16 value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

#define DEFINE_CONTROL_REGISTER(name)                                            \
	static inline u64 read_##name(void)                                      \
	{                                                                        \
		u64 value;                                                       \
                                                                                 \
		__asm__ volatile("movq %%" #name ", %0" : "=r"(value));          \
		return value;                                                    \
	}                                                                        \
	static inline void write_##name(u64 value)                               \
	{                                                                        \
		__asm__ volatile("movq %0, %%" #name : : "r"(value) : "memory"); \
	}

DEFINE_CONTROL_REGISTER(cr0)
DEFINE_CONTROL_REGISTER(cr2)
DEFINE_CONTROL_REGISTER(cr3)
DEFINE_CONTROL_REGISTER(cr4)
DEFINE_CONTROL_REGISTER(dr0)
DEFINE_CONTROL_REGISTER(dr1)
DEFINE_CONTROL_REGISTER(dr2)
DEFINE_CONTROL_REGISTER(dr3)
DEFINE_CONTROL_REGISTER(dr6)
DEFINE_CONTROL_REGISTER(dr7)

static inline void clear_ts(void)
{
	__asm__ volatile("clts");
}

static inline u64 read_xcr0(void)
{
	u32 low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (u64)high << 32 | low;
}

static inline void write_xcr0(u64 value)
{
	__asm__ volatile("xsetbv" : : "c"(0), "a"((u32)value), "d"((u32)(value >> 32)));
}

static inline void read_tables(struct table_pointer *gdtr, struct table_pointer *idtr)
{
	__asm__ volatile("sgdt %0; sidt %1" : "=m"(*gdtr), "=m"(*idtr));
}

static inline void write_tables(const struct table_pointer *gdtr, const struct table_pointer *idtr)
{
	__asm__ volatile("lgdt %0; lidt %1" : : "m"(*gdtr), "m"(*idtr));
}

/* Root mode's NMI handler, for an NMI that something else has taken. */
static inline void take_nmi(void)
{
	__asm__ volatile("int $2" : : : "memory");
}

static inline void invlpg(const void *address)
{
	__asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

/* Takes whatever interrupt is pending: STI's shadow covers the NOP, so it ends after it. */
static inline void take_interrupts(void)
{
	__asm__ volatile("sti; nop; nop; cli" : : : "memory");
}

/* Sleeps until an interrupt; STI's shadow keeps the wake-up from being lost before HLT. */
static inline void wait_interrupt(void)
{
	__asm__ volatile("sti; hlt; cli" : : : "memory");
}

static inline NORETURN void halt_forever(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

static inline void cpu_relax(void)
{
	__asm__ volatile("pause");
}
