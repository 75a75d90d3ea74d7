/*
 * Events that enter a guest, or whose delivery an exit interrupted, as both vendors encode them.
 * APM, "Event Injection"; SDM, "VM-Entry Controls for Event Injection".
 */
#pragma once

#include "lib/base/types.h"

#define EVENT_VECTOR	  BITS64(7, 0)
#define EVENT_TYPE	  BITS64(10, 8)
#define EVENT_ERROR_VALID BIT32(11)
#define EVENT_VALID	  BIT32(31)

enum event_type {
	EVENT_INTERRUPT = 0,
	EVENT_NMI = 2,
	EVENT_EXCEPTION = 3,
	EVENT_SOFTWARE = 4,	/* INT n */
	EVENT_PRIVILEGED = 5,	/* VT-x: INT1 */
	EVENT_SOFTWARE_EXC = 6, /* VT-x: INT3, INTO */
};
