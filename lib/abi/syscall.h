/* System-call numbers and the structures they pass. */
#pragma once

#include "lib/abi/exit_trace.h"
#include "lib/abi/manifest.h"
#include "lib/abi/vcpu.h"

enum syscall_number {
#define SYSCALL(number, name, caller) SYSCALL_##name = (number),
#include "lib/abi/syscall.def"
#undef SYSCALL
	SYSCALL_COUNT
};

#define LOG_TEXT_MAX 200U

/* Notification bits of the supervisor: the console, and one for each VM; of a VMM: one. */
#define NOTIFY_CONSOLE	  BIT64(63)
#define NOTIFY_POWER	  BIT64(62) /* the machine's power button */
#define NOTIFY_VM(number) BIT64((number) % 62)
#define NOTIFY_SUPERVISOR BIT64(0)
#define WAIT_FOREVER	  UINT64_MAX /* as a deadline */

enum process_status {
	PROCESS_NONE,	 /* no such VM */
	PROCESS_RUNNING, /* or not started yet */
	PROCESS_EXITED,	 /* in order, by exit() */
	PROCESS_KILLED,	 /* a fault or a broken contract; the log says which */
};

#define MODULE_NAME_BYTES 32U

struct module_info {
	char name[MODULE_NAME_BYTES];
	u64 bytes;
	u64 address; /* where the supervisor sees it; 0: not mapped */
};

struct vm_request {
	char name[32];
	u64 memory_bytes; /* RAM that vm_ram_add() will add */
	u32 cpus;
	u32 kernel_module;	 /* index for module_info() */
	u32 initrd_module;	 /* or MANIFEST_NO_FILE */
	u32 weight, cap_percent; /* as in struct manifest_vm */
	u32 reserved;		 /* zero */
	u64 cpus_allowed;	 /* one of the machine's processors at least */
};

struct machine_info {
	u64 tsc_khz;
	u64 wall_clock_s; /* UTC when the machine started, from its real-time clock */
	u64 tsc_start;
	u64 memory_total, memory_free; /* bytes */
	u32 cpus;
	u32 quiet;	    /* 1: the option "quiet" stands on the core's command line */
	char root_mode[16]; /* how its processors run VMs: "AMD-V" or "VT-x" */
};

struct cpu_info {
	u32 apic_id;
	u32 pad;
	u64 idle_tsc;		 /* ticks of the TSC that it had nothing to do */
	u64 supervisor_tsc;	 /* that it spent on the supervisor */
	struct exit_trace exits; /* the last ones */
};

#define LOG_PART_BYTES 496U

/* A piece of the log, whose bytes are counted since boot. */
struct log_part {
	u64 from;  /* in: the first byte wanted; out: the first one after the piece */
	u64 bytes; /* out: of text; 0: this was all */
	char text[LOG_PART_BYTES];
};
