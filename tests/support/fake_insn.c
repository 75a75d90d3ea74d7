/* Privileged instructions of host tests. */
#include "tests/support/fake_insn.h"

#include "core/cpu/cpu.h"
#include "core/cpu/insn.h"
#include "lib/base/assert.h"
#include "lib/x86/registers.h"
#include "tests/support/fake_cpus.h"

struct fake_insn fake_insn;
struct cpu_features cpu_features;
struct cpu boot_cpu;
struct cpu *cpu_table[CPU_MAX] = { &boot_cpu };
u32 cpu_count = 1;

void fake_insn_reset(void)
{
	fake_insn = (struct fake_insn){ .tsc = 1000000, .tsc_step = 1 };
	fake_cpus_start(1);
}

#define DEFINE_CONTROL_REGISTER(name)   \
	u64 read_##name(void)           \
	{                               \
		return fake_insn.name;  \
	}                               \
	void write_##name(u64 value)    \
	{                               \
		fake_insn.name = value; \
	}

DEFINE_CONTROL_REGISTER(cr0)
DEFINE_CONTROL_REGISTER(cr2)
DEFINE_CONTROL_REGISTER(dr0)
DEFINE_CONTROL_REGISTER(dr1)
DEFINE_CONTROL_REGISTER(dr2)
DEFINE_CONTROL_REGISTER(dr3)
DEFINE_CONTROL_REGISTER(dr6)
DEFINE_CONTROL_REGISTER(dr7)
DEFINE_CONTROL_REGISTER(xcr0)

u64 read_cr4(void)
{
	return fake_insn.cr4;
}

void write_cr4(u64 value)
{
	fake_insn.pge_drops += (fake_insn.cr4 & ~value & CR4_PGE) != 0;
	fake_insn.cr4 = value;
}

void clear_ts(void)
{
	fake_insn.cr0 &= ~BIT64(3);
}

u64 read_cr3(void)
{
	return fake_insn.cr3;
}

void write_cr3(u64 value)
{
	if (fake_insn.on_cr3)
		fake_insn.on_cr3(value);
	fake_insn.cr3 = value;
	fake_insn.cr3_loads++;
}

struct cpuid_result cpuid(u32 leaf, u32 subleaf)
{
	return fake_insn.on_cpuid ? fake_insn.on_cpuid(leaf, subleaf) : (struct cpuid_result){ 0 };
}

u64 rdmsr(u32 index)
{
	for (u32 i = 0; i < fake_insn.msr_count; i++) {
		if (fake_insn.msr[i].index == index)
			return fake_insn.msr[i].value;
	}
	assert(!fake_insn.msr_strict);
	return 0;
}

bool rdmsr_try(u32 index, u64 *value)
{
	if (index == fake_insn.msr_absent)
		return false;
	*value = rdmsr(index);
	return true;
}

void wrmsr(u32 index, u64 value)
{
	u32 i = 0;

	assert(index != fake_insn.msr_absent || index == 0);
	if (index == fake_insn.msr_ignored && index != 0)
		return;
	while (i < fake_insn.msr_count && fake_insn.msr[i].index != index)
		i++;
	assert(i < FAKE_MSR_MAX);
	if (i == fake_insn.msr_count)
		fake_insn.msr_count++;
	fake_insn.msr[i].index = index;
	fake_insn.msr[i].value = value;
	fake_insn.msr_writes++;
}

u64 rdtsc(void)
{
	u64 now = fake_insn.tsc;

	fake_insn.tsc += fake_insn.tsc_step;
	return now;
}

void rdtsc_halves(u32 *low, u32 *high)
{
	u64 now = rdtsc();

	*low = (u32)now;
	*high = (u32)(now >> 32);
}

u8 in8(u16 port)
{
	(void)port;
	return 0xff;
}

void out8(u16 port, u8 value)
{
	(void)port, (void)value;
}

u16 in16(u16 port)
{
	(void)port;
	return 0xffff;
}

void out16(u16 port, u16 value)
{
	(void)port, (void)value;
}

void read_tables(struct table_pointer *gdtr, struct table_pointer *idtr)
{
	*gdtr = fake_insn.gdtr;
	*idtr = fake_insn.idtr;
}

void write_tables(const struct table_pointer *gdtr, const struct table_pointer *idtr)
{
	fake_insn.gdtr = *gdtr;
	fake_insn.idtr = *idtr;
}

void take_nmi(void)
{
	fake_insn.nmis++;
}

void invlpg(const void *address)
{
	(void)address;
	fake_insn.invlpgs++;
}

void take_interrupts(void)
{
	if (fake_insn.on_interrupt)
		fake_insn.on_interrupt();
}

void wait_interrupt(void)
{
	assert(fake_insn.on_wait);
	fake_insn.on_wait();
}

NORETURN void halt_forever(void)
{
	assert_failed("the machine halted", __FILE__, __LINE__);
}

void cpu_relax(void)
{
	if (fake_insn.on_relax)
		fake_insn.on_relax();
}
