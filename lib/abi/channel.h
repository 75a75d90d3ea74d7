/*
 * The pages that the supervisor shares with one VMM: its configuration, the VM's console as two
 * byte rings, and how the VM ended.
 */
#pragma once

#include "lib/abi/manifest.h"
#include "lib/base/ring.h"
#include "lib/base/types.h"

enum vm_end {
	VM_END_RUNNING,
	VM_END_POWER_OFF, /* the guest turned itself off */
	VM_END_RESET,	  /* the guest asked for a reset */
	VM_END_TEST,	  /* the guest wrote the test port; status says what */
	VM_END_CRASH,	  /* triple fault, unknown exit, refused state, or the VMM gave up */
	VM_END_COUNT
};

#define CHANNEL_REASON_BYTES 128U

struct channel_config {
	struct manifest_vm vm;
	u64 kernel_bytes; /* the kernel lies at VMM_KERNEL_BASE */
	u64 initrd_bytes; /* the initrd lies at VMM_INITRD_BASE; 0: none */
	u64 wall_clock_s; /* UTC seconds since 1970 at tsc_start */
	u64 tsc_start;	  /* host TSC when the machine started */
	u64 tsc_khz;
};

struct vm_channel {
	struct channel_config config; /* written by the supervisor before the VMM starts */
	u32 button;		      /* presses of the power button, counted by the supervisor */
	u32 end;		      /* enum vm_end, written by the VMM last */
	u32 status;		      /* of VM_END_TEST */
	char reason[CHANNEL_REASON_BYTES];  /* one line for people, NUL-terminated by the reader */
	struct ring to_guest ALIGNED(4096); /* console input */
	struct ring from_guest ALIGNED(4096); /* console output */
};

#define CHANNEL_PAGES 3U
static_assert(sizeof(struct vm_channel) == CHANNEL_PAGES * PAGE_SIZE, "channel layout");
