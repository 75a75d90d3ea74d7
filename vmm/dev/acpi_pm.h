/*
 * The power-management registers of the south bridge, as the ACPI tables describe them to a guest:
 * PM1 event and control blocks, PM timer, and a general-purpose event block without events. UEFI
 * Forum, "Advanced Configuration and Power Interface (ACPI) Specification", "ACPI Register Model";
 * Intel, "I/O Controller Hub 9 (ICH9) Family Datasheet", "Power Management I/O Registers".
 */
#pragma once

#include "vmm/dev/env.h"
#include "vmm/dev/timer.h"

/* Offsets from the base of the block, and lengths, for the FADT */
#define ACPI_PM_BYTES	   0x80
#define ACPI_PM1_STS	   0x00
#define ACPI_PM1_EN	   0x02
#define ACPI_PM1_EVT_BYTES 4
#define ACPI_PM1_CNT	   0x04
#define ACPI_PM1_CNT_BYTES 2
#define ACPI_PM_TMR	   0x08
#define ACPI_PM_TMR_BYTES  4
#define ACPI_GPE0	   0x20 /* eight bytes of status, eight of enables */
#define ACPI_GPE0_BYTES	   16
#define ACPI_SMI_EN	   0x30

#define ACPI_PM_TMR_HZ	3579545U
#define ACPI_SLP_TYP_S5 0U /* the sleep type that the \_S5 object names: power off */

#define ACPI_PM_SCI   0 /* output line: the system control interrupt, level-triggered */
#define ACPI_PM_TIMER 0 /* the next overflow of the PM timer */

struct acpi_pm {
	struct dev_env env;
	u16 status;  /* PM1_STS; of the timer bit, as of the last look */
	u16 enable;  /* PM1_EN */
	u16 control; /* PM1_CNT */
	u8 gpe_enable[ACPI_GPE0_BYTES / 2];
	bool wide; /* the PM timer has 32 bits, not 24 (TMR_VAL_EXT in the FADT) */
	bool sci;
	u64 seen_toggles; /* of the PM timer's top bit, up to which `status` is current */
	struct dev_timer timer;
};

/* Power-on reset: ACPI mode, 24-bit timer. Of env, asks only for the time. */
void acpi_pm_init(struct acpi_pm *c, const struct dev_env *env);
/* Chooses the PM timer of 32 bits; call after acpi_pm_init(). */
void acpi_pm_set_wide_timer(struct acpi_pm *c);
/* `size` is 1, 2 or 4 bytes, at any offset; what is not there reads as zero. */
u32 acpi_pm_read(struct acpi_pm *c, u16 offset, unsigned size);
void acpi_pm_write(struct acpi_pm *c, u16 offset, unsigned size, u32 value);
/* Someone pressed the power button. */
void acpi_pm_press_power(struct acpi_pm *c);
void acpi_pm_expire(struct acpi_pm *c, unsigned timer);
