/* The firmware's ACPI tables, as far as the core needs them. */
#pragma once

#include "lib/base/types.h"

#define ACPI_IOAPIC_MAX 8
#define ACPI_CPU_MAX	64

struct acpi_ioapic {
	hpa_t address;
	u32 gsi_base;
};

struct acpi_info {
	struct acpi_ioapic ioapic[ACPI_IOAPIC_MAX];
	u32 ioapic_count;
	u32 cpu_apic_id[ACPI_CPU_MAX]; /* of the processors that may be used */
	u32 cpu_count;
	u32 isa_gsi[16];   /* ISA interrupt to GSI, overrides applied */
	u16 isa_flags[16]; /* polarity and trigger bits of the override */
	u16 sci_irq;	   /* ISA interrupt of power-management events */
	u16 pm1a_event;	   /* port of status, then enable; 0: unknown */
	u16 pm1_event_bytes;
	u16 smi_command; /* port that switches ACPI mode on by writing acpi_enable; 0: always on */
	u8 acpi_enable;
	u16 pm1a_control; /* port, 0: unknown */
	u16 pm1b_control; /* port, 0: none */
	u8 s5_type_a, s5_type_b;
	bool can_power_off;
};

extern struct acpi_info acpi_info;

/* Lets the power button interrupt. */
void acpi_button_enable(void);
/* A power-management interrupt: true when the power button was pressed. */
bool acpi_button_take(void);

/* Reads MADT and FADT; what is missing or damaged stays unknown. */
void acpi_init(void);
