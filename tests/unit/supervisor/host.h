/* A supervisor on the host tests' machine, with up to four VMs: "one", "two", "three", "four". */
#pragma once

#include <string.h>

#include "supervisor/supervisor.h"
#include "tests/support/fake_root.h"

static struct supervisor sup;
static struct manifest_vm host_vms[4];

/* What the VMs are like, to be changed before host_start(). */
static inline void host_plan(void)
{
	static const char *const names[] = { "one", "two", "three", "four" };

	memset(host_vms, 0, sizeof(host_vms));
	for (u32 i = 0; i < ARRAY_SIZE(host_vms); i++) {
		strcpy(host_vms[i].name, names[i]);
		host_vms[i].memory_bytes = 16 * MIB;
		host_vms[i].cpus = 1;
		host_vms[i].weight = MANIFEST_WEIGHT_DEFAULT;
		host_vms[i].cpus_allowed = MANIFEST_ANY_CPU;
		host_vms[i].initrd = MANIFEST_NO_FILE;
	}
}

static inline void host_start(u32 count)
{
	memset(&sup, 0, sizeof(sup));
	fake_root_start(host_vms, count);
	supervisor_start(&sup);
}

/* Lets so much time pass; 0: until nothing is left to do now. */
static inline void host_run(u64 ms)
{
	u64 end = fake_root.tsc + ms * FAKE_ROOT_TSC_KHZ;

	fake_root.until = end;
	do {
		supervisor_turn(&sup);
	} while (fake_root.tsc < end || fake_root.bits != 0 || fake_root.deadline <= end);
}

static inline void host_type(const char *keys)
{
	fake_root_clear();
	fake_root_type(keys);
	host_run(0);
}

/* What has been written for a guest to read, and takes it. */
static inline const char *host_received(u32 number)
{
	static char text[RING_BYTES + 1];
	u32 length = 0;
	u8 byte;

	while (ring_get(&fake_root_channel(number)->to_guest, &byte))
		text[length++] = (char)byte;
	text[length] = '\0';
	return text;
}

static inline bool host_shows(const char *text)
{
	return strstr(fake_root.output, text) != NULL;
}
