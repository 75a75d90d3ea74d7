/* The supervisor's life: the manifest, every VM of it, and the machine's end. */
#include "supervisor/supervisor.h"

#include "lib/base/string.h"
#include "lib/ring3/ring3.h"

#define OFF_DONE    0
#define OFF_FAILED  1
#define OFF_REFUSED 2

/* Polling interval while the serial transmitter is busy: 16 bytes at 115200 baud. */
#define TRANSMIT_MS 1

static void machine_off(u64 how)
{
	syscall1(SYSCALL_machine_off, how);
}

static u32 module_index(const char *name, struct module_info *info)
{
	for (u32 i = 0; syscall2(SYSCALL_module_info, i, (u64)info) == ERR_OK; i++) {
		if (strcmp(info->name, name) == 0)
			return i;
	}
	return MANIFEST_NO_FILE;
}

static bool manifest_read(struct supervisor *s)
{
	struct module_info info = { 0 };
	const char *why = "the boot image has no manifest";

	if (module_index("manifest", &info) != MANIFEST_NO_FILE && info.address != 0 &&
	    manifest_open((const void *)info.address, info.bytes, &s->manifest, &why) == ERR_OK)
		return true;
	ring3_log("error: manifest refused: %s; build the image again with ringfence-image", why);
	return false;
}

static bool all_off(const struct supervisor *s)
{
	for (u32 i = 0; i < s->guest_count; i++) {
		if (guest_lives(&s->guest[i]))
			return false;
	}
	return true;
}

static bool any_failed(const struct supervisor *s)
{
	for (u32 i = 0; i < s->guest_count; i++) {
		if (s->guest[i].failed)
			return true;
	}
	return false;
}

/* Each guest decides what its power button means; a stock one shuts down. */
static void buttons_press(struct supervisor *s)
{
	console_line(s, "power button: passed on to every VM");
	for (u32 i = 0; i < s->guest_count; i++) {
		struct guest *g = &s->guest[i];

		if (g->life == VM_PAUSED)
			guest_pause(s, g, false);
		if (g->life == VM_RUNNING)
			guest_button(g);
	}
}

/* Somebody at the monitor may want to start one again; else nobody can. */
static void end_if_over(struct supervisor *s)
{
	if (!all_off(s) || (s->front == MONITOR && !s->off_wanted))
		return;
	console_line(s, "all VMs ended, powering off");
	machine_off(any_failed(s) ? OFF_FAILED : OFF_DONE);
}

void supervisor_power_off(struct supervisor *s)
{
	for (u32 i = 0; i < s->guest_count; i++) {
		struct guest *g = &s->guest[i];

		if (s->off_wanted && guest_lives(g)) /* for the second time */
			guest_kill(s, g);
		else if (guest_lives(g))
			guest_stop(s, g);
	}
	s->off_wanted = true;
}

void supervisor_start(struct supervisor *s)
{
	syscall1(SYSCALL_machine_info, (u64)&s->machine);
	if (!manifest_read(s))
		machine_off(OFF_REFUSED);
	s->monitor.cpus_tsc = ring3_tsc();
	for (u32 i = 0; i < s->manifest.header->vm_count; i++) {
		struct guest *g = &s->guest[s->guest_count++];

		g->config = &s->manifest.vms[i];
		guest_start(s, g);
	}
}

static u64 next_wake(const struct supervisor *s, bool more)
{
	u64 wake = min_u64(WAIT_FOREVER, monitor_wake_time(s));

	if (more)
		wake = min_u64(wake, ring3_tsc() + tsc_of_ms(s, TRANSMIT_MS));
	for (u32 i = 0; i < s->guest_count; i++)
		wake = min_u64(wake, guest_wake_time(&s->guest[i]));
	return s->notified ? 0 : wake;
}

void supervisor_turn(struct supervisor *s)
{
	bool more;
	u64 bits;

	more = input_pump(s);
	for (u32 i = 0; i < s->guest_count; i++)
		guest_check(s, &s->guest[i]);
	end_if_over(s);
	input_check(s);
	more |= console_pump(s);
	monitor_refresh(s);
	bits = s->notified | syscall1(SYSCALL_wait, next_wake(s, more));
	s->notified = 0;
	if (bits & NOTIFY_POWER)
		buttons_press(s);
}
