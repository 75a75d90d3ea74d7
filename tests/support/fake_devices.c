/* Timer, serial port and clock of the host tests' machine. */
#include "tests/support/fake_devices.h"

#include "core/boot/clock.h"
#include "core/boot/screen.h"
#include "core/cpu/apic.h"
#include "core/cpu/cpu.h"
#include "core/cpu/serial.h"
#include "lib/base/assert.h"

struct fake_devices fake_devices;
u64 tsc_khz = 1000000;
u64 clock_boot_seconds = 1000000000;
u64 clock_boot_tsc = 1;

u32 apic_id(void)
{
	return this_cpu()->apic_id;
}

void apic_send(u32 apic_id, enum apic_message message, u8 vector)
{
	assert(apic_id < FAKE_APIC_IDS && message == APIC_FIXED && vector == VECTOR_KICK);
	fake_devices.kicks++;
	fake_devices.kicks_to[apic_id]++;
	if (fake_devices.on_kick)
		fake_devices.on_kick(apic_id);
}

void apic_eoi(void)
{
	fake_devices.eois++;
}

void apic_timer_arm(u64 deadline)
{
	fake_devices.timer_deadline = deadline;
	fake_devices.timer_arms++;
}

bool serial_get(u8 *byte)
{
	if (!fake_devices.serial_has_input)
		return false;
	fake_devices.serial_has_input = false;
	*byte = fake_devices.serial_input;
	return true;
}

u32 serial_write(const u8 *bytes, u32 count)
{
	for (u32 i = 0; i < count; i++)
		fake_devices.serial_output = bytes[i];
	fake_devices.serial_count += count;
	return count;
}

void screen_put(u8 byte)
{
	fake_devices.screen_output = byte;
	fake_devices.screen_count++;
}

void serial_irq_enable(void)
{
}
