/*
 * Where things are in a guest, written once: guest-physical addresses, ports and interrupt
 * numbers of the virtual Q35 PC. Plain literals, because dsdt.asl is preprocessed with this file.
 */
#pragma once

/* Below 1 MiB, as PC firmware leaves it. RAM backs all of it but the VGA hole. */
#define MAP_BDA		    0x00000400 /* BIOS data area, 256 bytes */
#define MAP_EBDA	    0x0009fc00 /* extended BIOS data area, up to the VGA hole */
#define MAP_VGA_HOLE	    0x000a0000
#define MAP_OPTION_ROMS	    0x000c0000
#define MAP_ACPI_TABLES	    0x000e0000 /* the RSDP comes first, where scans find it */
#define MAP_ACPI_TABLES_END 0x00100000
#define MAP_HIGH_MEMORY	    0x00100000

/* RAM goes up to here, then on at 4 GiB. */
#define MAP_LOW_RAM_END 0xc0000000
#define MAP_HIGH_RAM	0x100000000

/* The hole below 4 GiB. */
#define MAP_PCI_WINDOW	     0xc0000000
#define MAP_PCI_WINDOW_LAST  0xdfffffff
#define MAP_PCI_WINDOW_BYTES 0x20000000
#define MAP_ECAM	     0xe0000000 /* bus 0 alone: more buses are only more exits at boot */
#define MAP_ECAM_BYTES	     0x00100000
#define MAP_IOAPIC	     0xfec00000
#define MAP_IOAPIC_BYTES     0x00001000
#define MAP_LAPIC	     0xfee00000

/* Ports. */
#define PORT_PIC_MASTER	  0x20
#define PORT_PIT	  0x40
#define PORT_I8042_DATA	  0x60
#define PORT_SYSTEM_B	  0x61 /* speaker and PIT channel 2 */
#define PORT_I8042_STATUS 0x64
#define PORT_RTC	  0x70
#define PORT_POST	  0x80
#define PORT_SYSTEM_A	  0x92 /* fast A20 and reset */
#define PORT_PIC_SLAVE	  0xa0
#define PORT_DEBUG	  0xe9
#define PORT_TEST_EXIT	  0xf4
#define PORT_TEST_FAULT	  0xf5
#define TEST_FAULT_HANG	  2 /* a write of anything else crashes */
#define PORT_COM1	  0x3f8
#define PORT_ELCR	  0x4d0
#define PORT_PM		  0x600 /* ICH9 PMBASE */
#define PORT_PM_BYTES	  0x80
#define PORT_PCI_ADDRESS  0xcf8
#define PORT_RESET	  0xcf9
#define PORT_PCI_DATA	  0xcfc

/* Interrupts: ISA IRQ n is GSI n, but for the PIT, which the I/O APIC has on pin 2. */
#define IRQ_PIT	     0
#define GSI_PIT	     2
#define IRQ_KEYBOARD 1
#define IRQ_COM1     4
#define IRQ_RTC	     8
#define IRQ_SCI	     9
#define GSI_PIRQ     16 /* PIRQA; H is 23 */
