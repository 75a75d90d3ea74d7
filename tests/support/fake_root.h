/*
 * The core as the supervisor sees it, for host tests: VMs that do nothing, a serial port, a screen,
 * a log, and a clock that moves only while the supervisor waits.
 */
#pragma once

#include <setjmp.h>

#include "lib/abi/channel.h"
#include "lib/abi/syscall.h"

#define FAKE_ROOT_VMS	  8
#define FAKE_ROOT_TSC_KHZ 1000 /* a tick is a microsecond */
#define FAKE_ROOT_TEXT	  65536

struct fake_root_vm {
	bool exists, started, paused;
	u64 memory, missing; /* bytes; what vm_ram_add has not given yet */
	u64 notified;
	enum process_status status;
};

struct fake_root {
	u64 tsc;
	u64 until;    /* waiting ends here at the latest */
	u64 deadline; /* of the last wait */
	u64 bits;     /* for the next wait */
	u64 memory_free;
	u32 put_room;  /* bytes that the transmitter takes before it must be waited for; 0: all */
	u32 put_taken; /* since then */
	struct fake_root_vm vm[FAKE_ROOT_VMS];
	u32 busy;		     /* times that vm_destroy() has to wait for other processors */
	u64 made;		     /* VMs ever */
	char output[FAKE_ROOT_TEXT]; /* of the serial port */
	u32 output_bytes;
	char screen[FAKE_ROOT_TEXT];
	u32 screen_bytes;
	char log[FAKE_ROOT_TEXT];
	u32 log_bytes;
	u8 input[FAKE_ROOT_TEXT]; /* of the serial port */
	u32 input_bytes, input_at;
	struct cpu_info cpu;
	u64 off; /* machine_off's argument */
	jmp_buf *on_off;
};

extern struct fake_root fake_root;

/* A machine with a manifest of these VMs, all else as after a start. */
void fake_root_start(const struct manifest_vm *vms, u32 count);
struct vm_channel *fake_root_channel(u32 number);
struct vcpu_counters *fake_root_counters(u32 number);
/* What a guest, and who types, does. */
void fake_root_print(u32 number, const char *text);
void fake_root_type(const char *text);
void fake_root_type_bytes(const void *bytes, u32 count);
void fake_root_end(u32 number, enum vm_end end, enum process_status status);
/* Forgets what was put out so far. */
void fake_root_clear(void);
