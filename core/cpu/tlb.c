/* Translations of the core's own half, which every processor may have. */
#include "core/cpu/apic.h"
#include "core/cpu/cpu.h"
#include "core/cpu/insn.h"
#include "lib/x86/registers.h"

static u64 flush_requests;

/* Toggling PGE drops global translations, too. SDM, "Invalidation of TLBs". */
static void tlb_flush(void)
{
	u64 cr4 = read_cr4();

	write_cr4(cr4 & ~CR4_PGE);
	write_cr4(cr4);
}

void cpu_poll(void)
{
	struct cpu *cpu = this_cpu();
	u64 requests = __atomic_load_n(&flush_requests, __ATOMIC_ACQUIRE);

	if (cpu->flushes == requests)
		return;
	tlb_flush();
	__atomic_store_n(&cpu->flushes, requests, __ATOMIC_RELEASE);
}

void tlb_flush_all(void)
{
	u64 request = __atomic_add_fetch(&flush_requests, 1, __ATOMIC_ACQ_REL);

	for (u32 i = 0; i < cpu_count; i++) {
		if (cpu_table[i] != this_cpu())
			apic_send(cpu_table[i]->apic_id, APIC_FIXED, VECTOR_KICK);
	}
	for (u32 i = 0; i < cpu_count; i++) {
		while (__atomic_load_n(&cpu_table[i]->flushes, __ATOMIC_ACQUIRE) < request) {
			cpu_relax();
			cpu_poll();
		}
	}
}
