/* Interrupt handlers of a handful of instructions, so that what is measured is not they. */
#pragma once

#include "lib/base/types.h"

extern const u8 handler_x2apic[], handler_xapic[];

/* TSC at the first instruction of the last handler that ran; 0: none since it was cleared. */
extern volatile u64 handler_stamp;
