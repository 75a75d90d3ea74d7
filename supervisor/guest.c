/* Starting, watching and ending of one VM. */
#include "lib/base/format.h"
#include "lib/base/string.h"
#include "lib/ring3/ring3.h"
#include "supervisor/restart.h"
#include "supervisor/supervisor.h"

/* How long a guest may take to shut down. */
#define STOP_MS 60000

static u64 ms_since(const struct supervisor *s, u64 tsc)
{
	return (ring3_tsc() - tsc) / s->machine.tsc_khz;
}

static void restart_plan(struct supervisor *s, struct guest *g, enum guest_end end, u64 ran_ms)
{
	u64 delay = restart_delay(g->config->restart, end, ran_ms, &g->failures);

	if (delay == RESTART_NEVER)
		return;
	g->life = VM_WAITING;
	g->due = ring3_tsc() + tsc_of_ms(s, delay);
	if (end == GUEST_END_FAILURE)
		console_line(s, "VM %s: failure %u in a row, starts again in %lu s",
			     g->config->name, g->failures, delay / 1000);
}

void guest_start(struct supervisor *s, struct guest *g)
{
	struct machine_info now = { 0 };
	enum err err = vm_make(s, g);

	g->stopping = false;
	g->failed = err != ERR_OK;
	g->life = err ? VM_OFF : VM_RUNNING;
	if (!err) {
		g->started = ring3_tsc();
		return;
	}
	if (err == ERR_UNSUPPORTED) /* of which vm_make() has said all */
		return;
	syscall1(SYSCALL_machine_info, (u64)&now);
	console_line(s, "error: VM %s does not start: %s (it wants %lu MiB, %lu MiB are free)",
		     g->config->name, err_name(err), g->config->memory_bytes / MIB,
		     now.memory_free / MIB);
	if (err == ERR_NO_MEMORY) /* which another VM may give back */
		restart_plan(s, g, GUEST_END_FAILURE, 0);
}

/* How the VM ended, in the words that tools and people read. */
static void end_describe(const struct guest *g, enum process_status status, char *out, size_t bytes)
{
	const struct vm_channel *channel = guest_channel(g);
	char reason[CHANNEL_REASON_BYTES];

	memcpy(reason, channel->reason, sizeof(reason));
	reason[sizeof(reason) - 1] = '\0';
	for (char *c = reason; *c; c++) {
		if (*c < ' ' || *c > '~')
			*c = '?';
	}
	if (status == PROCESS_KILLED)
		format(out, bytes, "crash: its VMM was killed");
	else if (channel->end == VM_END_POWER_OFF)
		format(out, bytes, "power-off");
	else if (channel->end == VM_END_RESET)
		format(out, bytes, "reset");
	else if (channel->end == VM_END_TEST)
		format(out, bytes, "test: status %u", channel->status);
	else
		format(out, bytes, "crash: %s", reason);
}

static enum guest_end end_kind(const struct guest *g, enum process_status status)
{
	const struct vm_channel *channel = guest_channel(g);

	if (status == PROCESS_KILLED)
		return GUEST_END_FAILURE;
	if (channel->end == VM_END_TEST)
		return channel->status ? GUEST_END_FAILURE : GUEST_END_IN_ORDER;
	if (channel->end == VM_END_RESET)
		return GUEST_END_RESET;
	return channel->end == VM_END_POWER_OFF ? GUEST_END_IN_ORDER : GUEST_END_FAILURE;
}

/* Gives everything back that the VM used. */
static void vm_end(struct supervisor *s, struct guest *g)
{
	console_drain(s, g); /* what the guest said last comes before how it ended */
	totals_take(g, &g->last);
	g->life = VM_OFF;
	vm_unmake(s, g->number);
}

static void end_handle(struct supervisor *s, struct guest *g, enum process_status status)
{
	enum guest_end end = end_kind(g, status);
	char how[CHANNEL_REASON_BYTES + 16];

	end_describe(g, status, how, sizeof(how));
	vm_end(s, g);
	console_line(s, "VM %s ended: %s", g->config->name, how);
	report_exits(s, g);
	g->failed = end == GUEST_END_FAILURE;
	if (!g->stopping)
		restart_plan(s, g, end, ms_since(s, g->started));
}

void guest_check(struct supervisor *s, struct guest *g)
{
	u64 status;

	if (guest_exists(g)) {
		status = syscall1(SYSCALL_vm_status, g->number);
		if (status != PROCESS_RUNNING)
			end_handle(s, g, (enum process_status)status);
	}
	if (ring3_tsc() < guest_wake_time(g))
		return;
	if (g->life == VM_WAITING) {
		console_line(s, "VM %s: starting again", g->config->name);
		guest_start(s, g);
	} else {
		console_line(s, "VM %s did not shut down within %u s", g->config->name,
			     STOP_MS / 1000);
		guest_kill(s, g);
	}
}

u64 guest_wake_time(const struct guest *g)
{
	return g->life == VM_WAITING || (guest_exists(g) && g->stopping) ? g->due : WAIT_FOREVER;
}

void guest_pause(struct supervisor *s, struct guest *g, bool paused)
{
	syscall2(SYSCALL_vm_pause, g->number, paused);
	g->life = paused ? VM_PAUSED : VM_RUNNING;
	console_line(s, "VM %s: %s", g->config->name, paused ? "paused" : "resumed");
}

void guest_button(struct guest *g)
{
	guest_channel(g)->button++;
	syscall1(SYSCALL_notify, g->number);
}

void guest_stop(struct supervisor *s, struct guest *g)
{
	if (g->life == VM_WAITING) {
		g->life = VM_OFF;
		console_line(s, "VM %s: will not be started again", g->config->name);
		return;
	}
	if (g->life == VM_PAUSED)
		guest_pause(s, g, false);
	if (g->stopping) /* the time runs since it was asked first */
		return;
	g->stopping = true;
	g->due = ring3_tsc() + tsc_of_ms(s, STOP_MS);
	guest_button(g);
	console_line(s, "VM %s: power button pressed; it has %u s to shut down", g->config->name,
		     STOP_MS / 1000);
}

void guest_kill(struct supervisor *s, struct guest *g)
{
	if (guest_exists(g))
		vm_end(s, g);
	g->life = VM_OFF;
	g->failed = false;
	console_line(s, "VM %s: killed", g->config->name);
}

void guest_reset(struct supervisor *s, struct guest *g)
{
	vm_end(s, g);
	console_line(s, "VM %s: reset", g->config->name);
	guest_start(s, g);
}
