/*
 * The seam between a chip model and its VMM: everything a chip may ask for. A chip is an instance
 * (a struct the board owns) and this environment: no globals, no locks, no clock of its own, no
 * I/O of its own. Calls never fail and never re-enter the chip that makes them.
 */
#pragma once

#include "lib/base/types.h"

#define DEV_NEVER UINT64_MAX /* a deadline that does not come */

enum dev_power {
	DEV_POWER_OFF,	 /* the guest turned the machine off (ACPI S5) */
	DEV_POWER_RESET, /* the guest reset the machine */
	DEV_POWER_TEST,	 /* the guest ended the VM through the test port, with a status */
};

struct dev_env {
	void *owner; /* passed back to every call below */

	/* Guest time in nanoseconds since the VM was created; never goes back. */
	u64 (*clock_ns)(void *owner);
	/*
	 * Arms the chip's own timer number `timer` (numbered by the chip from 0) at an absolute
	 * clock_ns() value, replacing its previous deadline; DEV_NEVER disarms. When the time has
	 * come the board calls the chip's <chip>_expire(chip, timer).
	 */
	void (*timer_set)(void *owner, unsigned timer, u64 deadline_ns);
	/* Drives the chip's output line number `line` (numbered by the chip from 0). */
	void (*line_set)(void *owner, unsigned line, bool level);
	/* Sends a message-signalled interrupt: a write of `data` to `address` (0xfeexxxxx). */
	void (*msi)(void *owner, u64 address, u32 data);
	/* One byte of output to the outside (a UART's transmitter); false when it must wait. */
	bool (*output)(void *owner, u8 byte);
	/* Asks for a change of power state; takes effect after the current access. */
	void (*power)(void *owner, enum dev_power power, u8 status);
};
