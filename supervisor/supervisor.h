/* The supervisor's own pieces. */
#pragma once

#include "lib/abi/channel.h"
#include "lib/abi/layout.h"
#include "lib/abi/syscall.h"
#include "supervisor/escape.h"
#include "supervisor/line_edit.h"

enum vm_life {
	VM_OFF, /* it uses nothing of the machine */
	VM_RUNNING,
	VM_PAUSED,
	VM_WAITING, /* off, to be started again */
	VM_LIFE_COUNT
};

/* What the vCPUs of a VM have done since its last start. */
struct guest_totals {
	u64 exits[VM_EXIT_COUNT];
	u64 all, to_vmm, injected;
	u64 guest_tsc, core_tsc, vmm_tsc;
	u64 taken; /* TSC when this was counted */
};

/* A VM of the manifest and what became of it. */
struct guest {
	const struct manifest_vm *config;
	enum vm_life life;
	u32 number;    /* the core's, while running or paused */
	bool failed;   /* ended by a crash, or never started */
	bool stopping; /* somebody wants it off */
	u32 failures;  /* in a row */
	u64 started;   /* TSC of its last start */
	u64 due;       /* TSC: while waiting, of its next start; while stopping, of its end */
	struct guest_totals last; /* when it ended */
	struct guest_totals seen; /* when `stats` showed them */
};

/* The front and the owner of a line are the index of a guest, or this. */
#define MONITOR MANIFEST_VM_MAX

struct console {
	bool in_line;	 /* the last line on the port is unfinished */
	u32 line_owner;	 /* whose it is */
	u64 guest_spoke; /* TSC of the last output of any guest */
	u32 turn;	 /* the guest that may write first */
	u32 written;	 /* bytes, in its turn */
};

struct input {
	struct escape escape;
	u64 full_since; /* TSC: the front guest's ring had no room; 0: it has */
};

struct monitor {
	struct line_edit edit;
	u32 back;	 /* the guest that was in front before */
	bool trace_held; /* the exits below are kept as they were at ... */
	u64 trace_tsc;	 /* ... this TSC */
	struct cpu_info trace[64];
	struct {
		u64 idle_tsc, supervisor_tsc;
	} cpu_seen[64]; /* when `cpus` showed them, at ... */
	u64 cpus_tsc;	/* ... this TSC */
};

struct supervisor {
	struct machine_info machine;
	struct manifest manifest;
	struct guest guest[MANIFEST_VM_MAX];
	u32 guest_count;
	u32 front;    /* whose console takes the input */
	u64 notified; /* bits that came while something else was waited for */
	bool off_wanted;
	struct console console;
	struct input input;
	struct monitor monitor;
};

static inline struct vm_channel *guest_channel(const struct guest *g)
{
	return (struct vm_channel *)(SUPERVISOR_CHANNEL_BASE + g->number * SUPERVISOR_CHANNEL_STEP);
}

/* Whether the core has a VM for it now; only then it has a channel. */
static inline bool guest_exists(const struct guest *g)
{
	return g->life == VM_RUNNING || g->life == VM_PAUSED;
}

/* Whether it runs, or will without anybody doing anything. */
static inline bool guest_lives(const struct guest *g)
{
	return g->life != VM_OFF;
}

/* A time in ticks of the TSC. */
static inline u64 tsc_of_ms(const struct supervisor *s, u64 ms)
{
	return ms * s->machine.tsc_khz;
}

/* --- supervisor.c */

/* Reads the manifest and starts what it names; powers the machine off when it is refused. */
void supervisor_start(struct supervisor *s);
/* Moves bytes, looks after every VM, sleeps until something happens; ends with the last VM. */
void supervisor_turn(struct supervisor *s);
/* Ends everything in order, and then the machine. */
void supervisor_power_off(struct supervisor *s);

/* --- vm_make.c */

/* Makes a VM of a guest and starts it. ERR_*: nothing is left behind. */
MUST_USE enum err vm_make(struct supervisor *s, struct guest *g);
/* Ends what still runs of it, and gives its memory back. */
void vm_unmake(struct supervisor *s, u32 number);

/* --- guest.c */

/* Starts a guest's VM from its manifest entry. On failure the log says why. */
void guest_start(struct supervisor *s, struct guest *g);
/* Looks whether it has ended, says so, and starts it again if its policy wants that, in time. */
void guest_check(struct supervisor *s, struct guest *g);
/* TSC when guest_check() has something to do without any notification; WAIT_FOREVER: never. */
u64 guest_wake_time(const struct guest *g);
/* Whether it is kept from running; it is running or paused. */
void guest_pause(struct supervisor *s, struct guest *g, bool paused);
/* Presses its power button. */
void guest_button(struct guest *g);
/* Presses it, and ends the VM when that has not helped for a while; a waiting one stays off. */
void guest_stop(struct supervisor *s, struct guest *g);
/* Ends it, and starts it again or not. */
void guest_kill(struct supervisor *s, struct guest *g);
void guest_reset(struct supervisor *s, struct guest *g);

/* --- console.c */

/* A line of the supervisor's own, between the guests' output, and in the log. */
void console_line(struct supervisor *s, const char *format, ...) PRINTF_LIKE(2, 3);
/* A line that answers somebody at the console: not in the log. */
#define CONSOLE_SAY_BYTES 320U
void console_say(struct supervisor *s, const char *format, ...) PRINTF_LIKE(2, 3);
/* A part of the monitor's line. */
void console_echo(struct supervisor *s, const char *text, size_t length);
/* Ends the line that the console is in, if any. */
void console_end_line(struct supervisor *s);
/* Moves guests' output to the serial port. True: more is waiting. */
bool console_pump(struct supervisor *s);
/*
 * Writes what a guest that has ended said last: no more than its ring holds, whatever the ring's
 * indices claim, and no other guest's output, of which there may always be more.
 */
void console_drain(struct supervisor *s, const struct guest *g);

/* --- input.c */

/* Hands out what was typed. True: there may be more, for which the front guest has no room now. */
bool input_pump(struct supervisor *s);
/* Puts a guest in front, by its index, or the monitor, and says so. */
void input_front(struct supervisor *s, u32 index);
/* Puts another living guest in front when the one that is there has ended. */
void input_check(struct supervisor *s);

/* --- monitor.c */

/* It comes to the front. */
void monitor_begin(struct supervisor *s);
void monitor_byte(struct supervisor *s, u8 byte);
/* Shows the prompt where it is missing, as soon as the guests are quiet. */
void monitor_refresh(struct supervisor *s);
/* TSC when monitor_refresh() has something to do; WAIT_FOREVER: nothing. */
u64 monitor_wake_time(const struct supervisor *s);
/* The keys of the console. */
void monitor_help_keys(struct supervisor *s);

/* --- report.c */

/* Counts what a guest has done since its last start; of one that is off, until its end. */
void totals_take(const struct guest *g, struct guest_totals *out);
/* The table of exits by reason of a guest that has ended, into the log. */
void report_exits(struct supervisor *s, const struct guest *g);
/* A line for each VM. */
void report_list(struct supervisor *s);
/* What a guest spent its time on, its exits, and how many a second since it was last asked. */
void report_stats(struct supervisor *s, struct guest *g);
