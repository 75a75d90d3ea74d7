/* The keys of the console itself: what follows Ctrl-A is for the supervisor. */
#pragma once

#include "lib/base/types.h"

#define ESCAPE_KEY 0x01 /* Ctrl-A, as in Xen and QEMU */

enum escape_action {
	ESCAPE_NOTHING, /* wait for the next byte */
	ESCAPE_BYTE,	/* a byte for whoever is in front */
	ESCAPE_NEXT,
	ESCAPE_MONITOR,
	ESCAPE_HELP,
	ESCAPE_UNKNOWN, /* a key without a meaning */
};

struct escape {
	bool seen; /* the last byte was the key */
};

/* Takes a byte from the serial port; changes it to the one that ESCAPE_BYTE means. */
enum escape_action escape_feed(struct escape *escape, u8 *byte);
