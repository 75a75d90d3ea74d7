/*
 * Stands in for core/cpu/insn.h when core files are compiled for host tests: the same functions,
 * played by tests/support/fake_insn.c instead of the processor.
 */
#pragma once

#include "lib/base/types.h"
#include "lib/x86/tables.h"

struct cpuid_result {
	u32 eax, ebx, ecx, edx;
};

struct cpuid_result cpuid(u32 leaf, u32 subleaf);
u64 rdmsr(u32 index);
bool rdmsr_try(u32 index, u64 *value);
void wrmsr(u32 index, u64 value);
u64 rdtsc(void);
void rdtsc_halves(u32 *low, u32 *high);
u8 in8(u16 port);
void out8(u16 port, u8 value);
u16 in16(u16 port);
void out16(u16 port, u16 value);

#define DECLARE_CONTROL_REGISTER(name) \
	u64 read_##name(void);         \
	void write_##name(u64 value)

DECLARE_CONTROL_REGISTER(cr0);
DECLARE_CONTROL_REGISTER(cr2);
DECLARE_CONTROL_REGISTER(cr3);
DECLARE_CONTROL_REGISTER(cr4);
DECLARE_CONTROL_REGISTER(dr0);
DECLARE_CONTROL_REGISTER(dr1);
DECLARE_CONTROL_REGISTER(dr2);
DECLARE_CONTROL_REGISTER(dr3);
DECLARE_CONTROL_REGISTER(dr6);
DECLARE_CONTROL_REGISTER(dr7);
DECLARE_CONTROL_REGISTER(xcr0);
void clear_ts(void);

void read_tables(struct table_pointer *gdtr, struct table_pointer *idtr);
void write_tables(const struct table_pointer *gdtr, const struct table_pointer *idtr);
void take_nmi(void);

void invlpg(const void *address);
void take_interrupts(void);
void wait_interrupt(void);
NORETURN void halt_forever(void);
void cpu_relax(void);
