/* The monitor's commands about the machine. */
#include "lib/abi/version.h"
#include "lib/ring3/ring3.h"
#include "supervisor/commands.h"
#include "supervisor/supervisor.h"
#include "supervisor/units.h"

#define EXIT_TEXT_BYTES 64U

struct log_reader {
	struct log_part part;
	u64 at; /* in the part */
};

/* The next character of the log; false: there is none. */
static bool log_take(struct log_reader *r, char *c)
{
	if (r->at == r->part.bytes) {
		r->at = 0;
		if (syscall1(SYSCALL_log_read, (u64)&r->part) || r->part.bytes == 0)
			return false;
	}
	*c = r->part.text[r->at++];
	return true;
}

void command_log(struct supervisor *s, const struct command_line *line)
{
	struct log_reader reader = { 0 };
	char text[CONSOLE_SAY_BYTES];
	u32 length = 0;

	(void)line;
	while (log_take(&reader, &text[length])) {
		if (text[length] != '\n' && ++length < sizeof(text) - 1)
			continue;
		console_say(s, "%.*s", (int)length, text);
		length = 0;
	}
}

void command_mem(struct supervisor *s, const struct command_line *line)
{
	struct machine_info now = { 0 };
	u64 vms = 0;
	u32 count = 0;

	(void)line;
	syscall1(SYSCALL_machine_info, (u64)&now);
	for (u32 i = 0; i < s->guest_count; i++) {
		if (!guest_exists(&s->guest[i]))
			continue;
		vms += s->guest[i].config->memory_bytes;
		count++;
	}
	console_say(s, "machine     %8lu KiB", now.memory_total / KIB);
	console_say(s, "VMs         %8lu KiB  of %u", vms / KIB, count);
	console_say(s, "Ringfence   %8lu KiB  core, VMMs, page tables, files of the boot image",
		    (now.memory_total - now.memory_free - vms) / KIB);
	console_say(s, "free        %8lu KiB", now.memory_free / KIB);
}

/* Since it was last asked; the first time since the supervisor started. */
void command_cpus(struct supervisor *s, const struct command_line *line)
{
	u64 now = ring3_tsc(), since = now - s->monitor.cpus_tsc;
	struct cpu_info info = { 0 };

	(void)line;
	for (u32 i = 0; i < ARRAY_SIZE(s->monitor.cpu_seen); i++) {
		u64 idle, own;

		if (syscall2(SYSCALL_cpu_info, i, (u64)&info))
			break;
		idle = info.idle_tsc - s->monitor.cpu_seen[i].idle_tsc;
		own = info.supervisor_tsc - s->monitor.cpu_seen[i].supervisor_tsc;
		console_say(s, "CPU %-3u APIC ID %-3u idle %s, VMs %s, supervisor %s", i,
			    info.apic_id, units_share(idle, since).text,
			    units_share(since - min_u64(since, idle + own), since).text,
			    units_share(own, since).text);
		s->monitor.cpu_seen[i].idle_tsc = info.idle_tsc;
		s->monitor.cpu_seen[i].supervisor_tsc = info.supervisor_tsc;
	}
	console_say(s, "in the last %s", units_time(since, s->machine.tsc_khz).text);
	s->monitor.cpus_tsc = now;
}

static void trace_take(struct supervisor *s)
{
	if (s->monitor.trace_held)
		return;
	for (u32 i = 0; i < ARRAY_SIZE(s->monitor.trace); i++) {
		if (syscall2(SYSCALL_cpu_info, i, (u64)&s->monitor.trace[i]))
			break;
	}
	s->monitor.trace_tsc = ring3_tsc();
}

static const char *vm_name(const struct supervisor *s, u32 number)
{
	for (u32 i = 0; i < s->guest_count; i++) {
		if (guest_exists(&s->guest[i]) && s->guest[i].number == number)
			return s->guest[i].config->name;
	}
	return "(gone)";
}

static void record_say(struct supervisor *s, u32 cpu, const struct exit_record *record)
{
	u64 tsc = exit_record_tsc(record);
	char text[EXIT_TEXT_BYTES];

	if (tsc == 0)
		return;
	exit_record_describe(record, text, sizeof(text));
	console_say(s, "CPU %u %8lu us ago: VM %s vCPU %u: %s", cpu,
		    (s->monitor.trace_tsc - tsc) * 1000 / s->machine.tsc_khz,
		    vm_name(s, exit_record_vm(record)), exit_record_vcpu(record), text);
}

static void trace_dump(struct supervisor *s)
{
	trace_take(s);
	for (u32 cpu = 0; cpu < ARRAY_SIZE(s->monitor.trace); cpu++) {
		for (u32 back = EXIT_TRACE_RECORDS; back > 0; back--)
			record_say(s, cpu, exit_trace_at(&s->monitor.trace[cpu].exits, back));
	}
}

/* The core always records: it costs a handful of instructions, and a panic shows the last exits. */
void command_trace(struct supervisor *s, const struct command_line *line)
{
	if (line->argument[1] == 'u') { /* dump */
		trace_dump(s);
		return;
	}
	trace_take(s);
	s->monitor.trace_held = line->argument[1] == 'f'; /* off */
	console_say(s, s->monitor.trace_held
			       ? "the last exits are kept: 'trace dump' shows them"
			       : "exits are recorded: 'trace off' keeps the last ones");
}

void command_version(struct supervisor *s, const struct command_line *line)
{
	(void)line;
	console_say(s, "Ringfence %s, %s, %u processor%s, %lu MiB, running for %s",
		    RINGFENCE_VERSION, s->machine.root_mode, s->machine.cpus,
		    s->machine.cpus == 1 ? "" : "s", s->machine.memory_total / MIB,
		    units_time(ring3_tsc() - s->machine.tsc_start, s->machine.tsc_khz).text);
}
