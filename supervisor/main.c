/*
 * The first ring-3 process: reads the manifest, starts the VMs, owns the console, and powers the
 * machine off when the last VM has ended.
 */
#include "lib/abi/layout.h"
#include "lib/base/string.h"
#include "lib/ring3/ring3.h"
#include "supervisor/supervisor.h"

#define OFF_DONE    0
#define OFF_FAILED  1
#define OFF_REFUSED 2

/* Polling interval while the serial transmitter is busy: 16 bytes at 115200 baud. */
#define TRANSMIT_US 1000

static struct supervisor supervisor;

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

static bool lives(const struct guest *g)
{
	return g->life == VM_RUNNING || g->life == VM_WAITING;
}

static bool all_ended(const struct supervisor *s)
{
	for (u32 i = 0; i < s->guest_count; i++) {
		if (lives(&s->guest[i]))
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

static void guests_start(struct supervisor *s)
{
	for (u32 i = 0; i < s->manifest.header->vm_count; i++) {
		struct guest *g = &s->guest[s->guest_count++];

		g->config = &s->manifest.vms[i];
		g->failed = guest_start(s, g) != ERR_OK;
	}
}

/* Each guest decides what its power button means; a stock one shuts down. */
static void buttons_press(struct supervisor *s)
{
	console_line(s, "power button: passed on to every VM");
	for (u32 i = 0; i < s->guest_count; i++) {
		struct guest *g = &s->guest[i];

		if (g->life != VM_RUNNING)
			continue;
		guest_channel(g)->button++;
		syscall1(SYSCALL_notify, g->number);
	}
}

/* The front console belongs to the first VM that runs or will run again. */
static void front_choose(struct supervisor *s)
{
	for (u32 i = 0; i < s->guest_count; i++) {
		u32 at = (s->front + i) % s->guest_count;

		if (lives(&s->guest[at])) {
			s->front = at;
			return;
		}
	}
}

static u64 next_wake(const struct supervisor *s, bool more)
{
	u64 wake = more ? ring3_tsc() + s->machine.tsc_khz * TRANSMIT_US / 1000 : WAIT_FOREVER;

	for (u32 i = 0; i < s->guest_count; i++) {
		if (s->guest[i].life == VM_WAITING)
			wake = min_u64(wake, guest_restart_time(s, &s->guest[i]));
	}
	return wake;
}

int main(void)
{
	struct supervisor *s = &supervisor;

	syscall1(SYSCALL_machine_info, (u64)&s->machine);
	if (!manifest_read(s))
		machine_off(OFF_REFUSED);
	guests_start(s);
	while (!all_ended(s)) {
		bool more = console_pump(s);

		if (syscall1(SYSCALL_wait, next_wake(s, more)) & NOTIFY_POWER)
			buttons_press(s);
		for (u32 i = 0; i < s->guest_count; i++)
			guest_check(s, &s->guest[i]);
		front_choose(s);
	}
	console_line(s, "all VMs ended, powering off");
	machine_off(any_failed(s) ? OFF_FAILED : OFF_DONE);
	return 0;
}
