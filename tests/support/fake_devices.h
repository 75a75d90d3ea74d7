/* What the devices of the host tests' machine were told, and what they say. */
#pragma once

#include "lib/base/types.h"

#define FAKE_APIC_IDS 16

struct fake_devices {
	u64 timer_deadline; /* the local APIC's, as last programmed */
	u64 timer_arms;
	u64 kicks; /* interrupts sent to other processors, and by APIC id */
	u64 kicks_to[FAKE_APIC_IDS];
	void (*on_kick)(u32 apic_id); /* what the other one does at once; NULL: nothing yet */
	u64 eois;
	bool serial_has_input;
	u8 serial_input;
	u8 serial_output; /* the last byte */
	u64 serial_count;
	u8 screen_output; /* the last byte */
	u64 screen_count;
};

extern struct fake_devices fake_devices;
