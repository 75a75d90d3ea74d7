/*
 * The whole supervisor under what anybody types, and under VMMs that write anything into the pages
 * they share with it, end in any way and at any time. After each step its books must agree with
 * the machine's, and the line that is edited with what a terminal would show.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/cursor.h"
#include "supervisor/supervisor.h"
#include "tests/support/fake_root.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define MEMORY	  (256 * MIB) /* of fake_root_start() */
#define STEPS_MAX 400

static struct supervisor sup;
static struct cursor input;
static jmp_buf done; /* the machine goes off */

static void demand(bool fact)
{
	if (!fact)
		abort();
}

static u8 take(void)
{
	u8 value = 0;

	(void)cursor_read_u8(&input, &value);
	return value;
}

static void check_guests(void)
{
	u64 used = 0;
	u32 exist = 0;

	for (u32 i = 0; i < sup.guest_count; i++) {
		const struct guest *g = &sup.guest[i];

		demand(g->life < VM_LIFE_COUNT);
		if (!guest_exists(g))
			continue;
		exist++;
		demand(fake_root.vm[g->number].exists && fake_root.vm[g->number].started);
		demand(fake_root.vm[g->number].paused == (g->life == VM_PAUSED));
	}
	for (u32 i = 0; i < FAKE_ROOT_VMS; i++) {
		used += fake_root.vm[i].memory;
		exist -= fake_root.vm[i].exists;
	}
	demand(exist == 0);
	demand(used + fake_root.memory_free == MEMORY);
}

static void check(void)
{
	const struct line_edit *e = &sup.monitor.edit;

	demand(sup.front == MONITOR || sup.front < sup.guest_count);
	demand(sup.monitor.back < sup.guest_count);
	demand(e->cursor <= e->length && e->length < LINE_EDIT_BYTES);
	check_guests();
}

/* A guest that exists, or NULL. */
static struct guest *some_guest(void)
{
	struct guest *g = &sup.guest[take() % sup.guest_count];

	return guest_exists(g) ? g : NULL;
}

static void scribble(void)
{
	const struct guest *g = some_guest();
	u32 at = (take() | (u32)take() << 8) % sizeof(struct vm_channel);
	u8 value = take();

	if (g)
		((u8 *)guest_channel(g))[at] = value;
}

static void guest_ends(void)
{
	const struct guest *g = some_guest();
	u8 how = take();

	if (g)
		fake_root_end(g->number, how % (VM_END_COUNT + 1),
			      how & 0x80 ? PROCESS_KILLED : PROCESS_EXITED);
}

static void guest_prints(void)
{
	const struct guest *g = some_guest();
	u8 byte = take();

	if (g && ring_put(&guest_channel(g)->from_guest, byte))
		fake_root.bits |= NOTIFY_VM(g->number);
}

static void keys_typed(void)
{
	static const char *const known[] = {
		"\x01m",	"\x01n",       "\x01h",	     "list\r",	 "stats\r",   "pause a\r",
		"resume a\r",	"kill a\r",    "start a\r",  "stop b\r", "reset b\r", "console b\r",
		"trace dump\r", "log\r",       "mem\r",	     "cpus\r",	 "help\r",    "\x1b[A",
		"\x1b[D",	"trace off\r", "trace on\r",
	};
	u8 bytes[32];
	u8 kind = take();
	u32 count = kind % ARRAY_SIZE(bytes);

	if (kind < ARRAY_SIZE(known)) {
		fake_root_type(known[kind]);
		return;
	}
	for (u32 i = 0; i < count; i++)
		bytes[i] = take();
	fake_root_type_bytes(bytes, count);
}

static void step(void)
{
	switch (take() % 8) {
	case 0:
		scribble();
		break;
	case 1:
		guest_ends();
		break;
	case 2:
		guest_prints();
		break;
	case 3:
		fake_root.put_room = take() % 16;
		break;
	case 4:
		fake_root.bits |= take() % 4 ? NOTIFY_CONSOLE : NOTIFY_POWER;
		break;
	default:
		keys_typed();
		break;
	}
	fake_root.until = fake_root.tsc + (u64)take() * take() * FAKE_ROOT_TSC_KHZ;
	supervisor_turn(&sup);
	check();
}

static void start(void)
{
	struct manifest_vm vms[3] = { { .name = "a", .cpus = 1, .memory_bytes = 16 * MIB },
				      { .name = "b", .cpus = 1, .memory_bytes = 64 * MIB },
				      { .name = "c", .cpus = 1, .memory_bytes = 192 * MIB } };

	for (u32 i = 0; i < ARRAY_SIZE(vms); i++) {
		vms[i].initrd = MANIFEST_NO_FILE;
		vms[i].weight = MANIFEST_WEIGHT_DEFAULT;
		vms[i].cpus_allowed = MANIFEST_ANY_CPU;
		vms[i].restart = take() % MANIFEST_RESTART_COUNT;
	}
	fake_root_start(vms, 1 + take() % 3);
	memset(&sup, 0, sizeof(sup));
	fake_root.on_off = &done;
	supervisor_start(&sup);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	input = cursor_over(data, size);
	start();
	if (setjmp(done) == 0) {
		for (u32 i = 0; i < STEPS_MAX && cursor_left(&input) > 0; i++)
			step();
	}
	check_guests(); /* the machine may have gone off */
	return 0;
}
