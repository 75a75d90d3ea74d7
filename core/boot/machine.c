/* Power-off through an emulator's exit port, ACPI S5, or a halt. */
#include "core/boot/machine.h"

#include "core/boot/acpi.h"
#include "core/boot/boot_info.h"
#include "core/cpu/insn.h"
#include "core/cpu/serial.h"
#include "core/trace/log.h"
#include "lib/x86/registers.h"

#define PORT_QEMU_EXIT 0xf4 /* isa-debug-exit as the launcher places it */
#define PORT_BOCHS_OUT 0xe9 /* port_e9_hack: its bytes go to Bochs' standard output */
#define PM1_SLP_TYP    BITS64(12, 10)
#define PM1_SLP_EN     BIT64(13)
#define OFF_WAIT_LOOPS 10000000U

static void acpi_power_off(void)
{
	u64 pm1a = field_set(PM1_SLP_TYP, PM1_SLP_EN, acpi_info.s5_type_a);
	u64 pm1b = field_set(PM1_SLP_TYP, PM1_SLP_EN, acpi_info.s5_type_b);

	if (!acpi_info.can_power_off || acpi_info.pm1a_control == 0)
		return;
	out16(acpi_info.pm1a_control, (u16)pm1a);
	if (acpi_info.pm1b_control != 0)
		out16(acpi_info.pm1b_control, (u16)pm1b);
}

void machine_off(enum machine_end end)
{
	serial_drain();
	if (boot_option("emulator-exit")) {
		out8(PORT_QEMU_EXIT, (u8)end);
		out8(PORT_BOCHS_OUT, (u8)end);
	}
	/* A panicked machine stays on, so that the screen can be read. */
	if (end == MACHINE_DONE || end == MACHINE_VM_FAILED)
		acpi_power_off();
	for (u32 i = 0; i < OFF_WAIT_LOOPS; i++) /* power-off takes a moment */
		cpu_relax();
	log_info("the machine can be switched off now");
	halt_forever();
}
