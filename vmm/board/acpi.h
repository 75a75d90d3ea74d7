/*
 * The ACPI tables of the virtual PC: RSDP, XSDT, FADT, FACS, MADT, MCFG and DSDT, written into
 * guest memory below 1 MiB. Governed by the ACPI Specification 6.3, "ACPI Software Programming
 * Model"; MCFG by the PCI Firmware Specification.
 */
#pragma once

#include "lib/base/err.h"
#include "lib/base/types.h"
#include "vmm/board/guest_span.h"
#include "vmm/board/memory_map.h"

#define ACPI_RSDP     GPA(MAP_ACPI_TABLES) /* what boot protocols pass on */
#define ACPI_CPUS_MAX 4096U

/*
 * Writes all tables for `cpus` processors, whose APIC IDs count from 0. ERR_INVALID when the span
 * ends below the table area or `cpus` is not 1..ACPI_CPUS_MAX; nothing is written then.
 */
MUST_USE enum err acpi_write_tables(struct guest_span low, u32 cpus);
