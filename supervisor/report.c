/* What VMs have done: their exits by reason, and where their time went. */
#include "lib/abi/layout.h"
#include "lib/ring3/ring3.h"
#include "supervisor/supervisor.h"
#include "supervisor/units.h"

static const char *const life_words[VM_LIFE_COUNT] = {
	[VM_OFF] = "off",
	[VM_RUNNING] = "running",
	[VM_PAUSED] = "paused",
	[VM_WAITING] = "waiting",
};

static const struct vcpu_counters *counters_of(const struct guest *g)
{
	return (const struct vcpu_counters *)(SUPERVISOR_COUNTER_BASE +
					      g->number * SUPERVISOR_COUNTER_STEP);
}

void totals_take(const struct guest *g, struct guest_totals *out)
{
	const struct vcpu_counters *c = counters_of(g);

	if (!guest_exists(g)) {
		*out = g->last;
		return;
	}
	*out = (struct guest_totals){ .taken = ring3_tsc() };
	for (u32 cpu = 0; cpu < g->config->cpus; cpu++) {
		for (u32 i = 0; i < VM_EXIT_COUNT; i++) {
			out->exits[i] += c[cpu].exits[i];
			out->all += c[cpu].exits[i];
		}
		out->to_vmm += c[cpu].to_vmm;
		out->injected += c[cpu].injected;
		out->guest_tsc += c[cpu].run_tsc - min_u64(c[cpu].core_tsc, c[cpu].run_tsc);
		out->core_tsc += c[cpu].core_tsc;
		out->vmm_tsc += c[cpu].vmm_tsc;
	}
}

void report_exits(struct supervisor *s, const struct guest *g)
{
	const struct guest_totals *t = &g->last;

	console_line(s, "exits of VM %s:", g->config->name);
	for (u32 i = 0; i < VM_EXIT_COUNT; i++) {
		if (t->exits[i] > 0)
			console_line(s, "  %-14s %10lu", vm_exit_name(i), t->exits[i]);
	}
	console_line(s, "  %-14s %10lu (%lu to the VMM, %lu interrupts given)", "all", t->all,
		     t->to_vmm, t->injected);
}

static const char *state_word(const struct guest *g)
{
	if (g->life == VM_OFF && g->failed)
		return "failed";
	return guest_exists(g) && g->stopping ? "stopping" : life_words[g->life];
}

void report_list(struct supervisor *s)
{
	console_say(s, "%-20s %-8s %5s %7s %14s %12s", "NAME", "STATE", "VCPUS", "MEMORY",
		    "TIME USED", "EXITS");
	for (u32 i = 0; i < s->guest_count; i++) {
		const struct guest *g = &s->guest[i];
		struct guest_totals t;

		totals_take(g, &t);
		console_say(
			s, "%-20s %-8s %5u %7s %14s %12lu", g->config->name, state_word(g),
			g->config->cpus, units_memory(g->config->memory_bytes).text,
			units_time(t.guest_tsc + t.core_tsc + t.vmm_tsc, s->machine.tsc_khz).text,
			t.all);
	}
}

static void part_say(struct supervisor *s, const char *what, u64 part, u64 all)
{
	console_say(s, "  %-14s %14s %8s", what, units_time(part, s->machine.tsc_khz).text,
		    units_share(part, all).text);
}

static void time_say(struct supervisor *s, const struct guest *g, const struct guest_totals *t)
{
	u64 all = t->taken - g->started;

	console_say(s, "VM %s, %s: in its last run of %s", g->config->name, state_word(g),
		    units_time(all, s->machine.tsc_khz).text);
	part_say(s, "in the guest", t->guest_tsc, all);
	part_say(s, "in the core", t->core_tsc, all);
	part_say(s, "in its VMM", t->vmm_tsc, all);
}

/* Counters begin again with each start. */
static bool seen_since_start(const struct guest *g)
{
	return g->seen.taken > g->started;
}

void report_stats(struct supervisor *s, struct guest *g)
{
	static const struct guest_totals nothing;
	const struct guest_totals *seen = seen_since_start(g) ? &g->seen : &nothing;
	struct guest_totals t;
	u64 since;

	totals_take(g, &t);
	if (t.taken == 0) {
		console_say(s, "VM %s was never started", g->config->name);
		return;
	}
	since = t.taken - max_u64(seen->taken, g->started);
	time_say(s, g, &t);
	console_say(s, "  %-14s %14s %8s", "exits", "number", "a second");
	for (u32 i = 0; i < VM_EXIT_COUNT; i++) {
		if (t.exits[i] > 0)
			console_say(
				s, "  %-14s %14lu %8lu", vm_exit_name(i), t.exits[i],
				units_rate(t.exits[i] - seen->exits[i], since, s->machine.tsc_khz));
	}
	console_say(s, "  %-14s %14lu %8lu (%lu to the VMM, %lu interrupts given)", "all", t.all,
		    units_rate(t.all - seen->all, since, s->machine.tsc_khz), t.to_vmm, t.injected);
	g->seen = t;
}
