/* The exits of a VM by reason. */
#include "lib/abi/layout.h"
#include "lib/ring3/ring3.h"
#include "supervisor/supervisor.h"

static const struct vcpu_counters *counters_of(const struct guest *g)
{
	return (const struct vcpu_counters *)(SUPERVISOR_COUNTER_BASE +
					      g->number * SUPERVISOR_COUNTER_STEP);
}

void report_exits(struct supervisor *s, const struct guest *g)
{
	const struct vcpu_counters *c = counters_of(g);
	u64 total[VM_EXIT_COUNT] = { 0 };
	u64 sum = 0, to_vmm = 0, injected = 0;

	for (u32 cpu = 0; cpu < g->config->cpus; cpu++) {
		for (u32 i = 0; i < VM_EXIT_COUNT; i++) {
			total[i] += c[cpu].exits[i];
			sum += c[cpu].exits[i];
		}
		to_vmm += c[cpu].to_vmm;
		injected += c[cpu].injected;
	}
	console_line(s, "exits of VM %s:", g->config->name);
	for (u32 i = 0; i < VM_EXIT_COUNT; i++) {
		if (total[i] > 0)
			console_line(s, "  %-14s %10lu", vm_exit_name(i), total[i]);
	}
	console_line(s, "  %-14s %10lu (%lu to the VMM, %lu interrupts given)", "all", sum, to_vmm,
		     injected);
}
