/* The GS base behind this_cpu(), and what else each processor has of its own. */
#include "tests/support/fake_cpus.h"

#include <asm/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/assert.h"
#include "tests/support/fake_insn.h"

static struct cpu others[FAKE_CPUS_MAX];
static struct tss tss[FAKE_CPUS_MAX];
static u64 cr3[FAKE_CPUS_MAX];

u32 fake_apic_id(u32 index)
{
	return index == 0 ? 0 : 8 + 2 * index;
}

static void cpu_reset(u32 index)
{
	struct cpu *cpu = index == 0 ? &boot_cpu : &others[index];

	*cpu = (struct cpu){ .self = cpu,
			     .index = index,
			     .apic_id = fake_apic_id(index),
			     .start = CPU_ONLINE,
			     .queue = RUN_QUEUE_EMPTY,
			     .tss = &tss[index] };
	cpu->spent = &cpu->info.idle_tsc;
	cpu->booked = fake_insn.tsc;
	timer_queue_init(&cpu->timers);
	timer_init(&cpu->slice, NULL);
	timer_init(&cpu->nudge, NULL);
	cpu_table[index] = cpu;
	cr3[index] = fake_insn.cr3;
}

void fake_cpus_start(u32 count)
{
	assert(count >= 1 && count <= FAKE_CPUS_MAX);
	for (u32 i = 0; i < count; i++)
		cpu_reset(i);
	cpu_count = count;
	syscall(SYS_arch_prctl, ARCH_SET_GS, &boot_cpu);
}

void fake_cpu_be(u32 index)
{
	assert(index < cpu_count);
	cr3[this_cpu()->index] = fake_insn.cr3;
	fake_insn.cr3 = cr3[index];
	syscall(SYS_arch_prctl, ARCH_SET_GS, cpu_table[index]);
}
