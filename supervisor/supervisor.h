/* The supervisor's own pieces. */
#pragma once

#include "lib/abi/channel.h"
#include "lib/abi/layout.h"
#include "lib/abi/syscall.h"

enum vm_life {
	VM_UNUSED,
	VM_RUNNING,
	VM_WAITING, /* to be started again */
	VM_ENDED,
};

/* A VM of the manifest and what became of it. */
struct guest {
	const struct manifest_vm *config;
	enum vm_life life;
	u32 number;  /* the core's, while running */
	bool failed; /* ended by a crash, or never started */
	u32 restarts;
	u64 started; /* TSC of its last start */
};

struct supervisor {
	struct machine_info machine;
	struct manifest manifest;
	struct guest guest[MANIFEST_VM_MAX];
	u32 guest_count;
	u32 front; /* index of the guest whose console takes the input */
};

static inline struct vm_channel *guest_channel(const struct guest *g)
{
	return (struct vm_channel *)(SUPERVISOR_CHANNEL_BASE + g->number * SUPERVISOR_CHANNEL_STEP);
}

/* Starts a guest's VM from its manifest entry. On failure the log says why. */
MUST_USE enum err guest_start(struct supervisor *s, struct guest *g);
/* Looks whether it has ended, says so, and restarts it if its policy wants that, when it is time.
 */
void guest_check(struct supervisor *s, struct guest *g);

/* TSC when a waiting guest may start: at least a second after its last start. */
u64 guest_restart_time(const struct supervisor *s, const struct guest *g);

/* Moves bytes between the serial port and the guests' consoles. True: more is waiting. */
bool console_pump(struct supervisor *s);
/*
 * Writes what a guest that has ended said last: no more than its ring holds, whatever the ring's
 * indices claim, and no other guest's output, of which there may always be more.
 */
void console_drain(struct supervisor *s, const struct guest *g);
/* A line of the supervisor's own, between the guests' output. */
void console_line(struct supervisor *s, const char *format, ...) PRINTF_LIKE(2, 3);

/* The table of exits by reason of a guest that has ended and is not yet destroyed. */
void report_exits(struct supervisor *s, const struct guest *g);
