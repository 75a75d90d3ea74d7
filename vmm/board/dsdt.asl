/*
 * The DSDT of the virtual Q35 PC: what a guest cannot find out by itself. Preprocessed as C, so
 * that addresses come from memory_map.h; built by board.mk. Governed by the ACPI Specification.
 * One PCI bus on purpose: a wider range makes guests probe buses that do not exist.
 */
#include "vmm/board/memory_map.h"

#define PCI_ROUTE(slot, pin, gsi) Package (4) { slot##FFFF, pin, 0, gsi }
#define PCI_SLOT(slot, a, b, c, d) \
	PCI_ROUTE(slot, 0, a), PCI_ROUTE(slot, 1, b), PCI_ROUTE(slot, 2, c), PCI_ROUTE(slot, 3, d)
/* As pci_intx_line(): the line is (slot + pin) modulo 8, pin counted from 0; line 0 is GSI 16. */
#define PCI_SLOTS_8(s0, s1, s2, s3, s4, s5, s6, s7) \
	PCI_SLOT(s0, 16, 17, 18, 19), PCI_SLOT(s1, 17, 18, 19, 20), \
	PCI_SLOT(s2, 18, 19, 20, 21), PCI_SLOT(s3, 19, 20, 21, 22), \
	PCI_SLOT(s4, 20, 21, 22, 23), PCI_SLOT(s5, 21, 22, 23, 16), \
	PCI_SLOT(s6, 22, 23, 16, 17), PCI_SLOT(s7, 23, 16, 17, 18)

DefinitionBlock ("dsdt.aml", "DSDT", 2, "RINGFN", "RINGQ35", 1)
{
	/* The SLP_TYP values that acpi_pm.c takes for a soft off. */
	Name (\_S5, Package (4) { 0, 0, 0, 0 })

	Scope (\_SB)
	{
		Device (PCI0)
		{
			Name (_HID, EisaId ("PNP0A08"))
			Name (_CID, EisaId ("PNP0A03"))
			Name (_UID, 0)
			Name (_SEG, 0)
			Name (_BBN, 0)

			Name (_CRS, ResourceTemplate ()
			{
				WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
					0, 0, 0, 0, 1)
				IO (Decode16, PORT_PCI_ADDRESS, PORT_PCI_ADDRESS, 1, 8)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
					0, 0x0000, 0x0cf7, 0, 0x0cf8)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
					0, 0x0d00, 0xffff, 0, 0xf300)
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed,
					NonCacheable, ReadWrite,
					0, MAP_PCI_WINDOW, MAP_PCI_WINDOW_LAST, 0,
					MAP_PCI_WINDOW_BYTES)
			})

			Name (_PRT, Package (128)
			{
				PCI_SLOTS_8(0x0000, 0x0001, 0x0002, 0x0003,
					    0x0004, 0x0005, 0x0006, 0x0007),
				PCI_SLOTS_8(0x0008, 0x0009, 0x000A, 0x000B,
					    0x000C, 0x000D, 0x000E, 0x000F),
				PCI_SLOTS_8(0x0010, 0x0011, 0x0012, 0x0013,
					    0x0014, 0x0015, 0x0016, 0x0017),
				PCI_SLOTS_8(0x0018, 0x0019, 0x001A, 0x001B,
					    0x001C, 0x001D, 0x001E, 0x001F)
			})

			/* Nothing is withheld but hot plug, which this board does not have. */
			Method (_OSC, 4)
			{
				CreateDWordField (Arg3, 0, STAT)

				If (Arg0 != ToUUID ("33DB4D5B-1FF7-401C-9657-7441C03DD766"))
				{
					STAT |= 0x04 /* unknown UUID */
					Return (Arg3)
				}
				CreateDWordField (Arg3, 8, CTRL)
				If (CTRL & ~0x1C)
				{
					STAT |= 0x10 /* capabilities masked */
					CTRL &= 0x1C /* PME, AER, PCIe capability structure */
				}
				Return (Arg3)
			}

			/* Decoded by the board itself: no PCI function may be placed here. */
			Device (BRD0)
			{
				Name (_HID, EisaId ("PNP0C02"))
				Name (_UID, 0)
				Name (_CRS, ResourceTemplate ()
				{
					Memory32Fixed (ReadWrite, MAP_ECAM, MAP_ECAM_BYTES)
					IO (Decode16, PORT_ELCR, PORT_ELCR, 1, 2)
					IO (Decode16, PORT_PM, PORT_PM, 1, PORT_PM_BYTES)
				})
			}

			Device (ISA0)
			{
				Name (_ADR, 0x001F0000)

				Device (COM1)
				{
					Name (_HID, EisaId ("PNP0501"))
					Name (_UID, 1)
					Name (_CRS, ResourceTemplate ()
					{
						IO (Decode16, PORT_COM1, PORT_COM1, 1, 8)
						IRQNoFlags () { IRQ_COM1 }
					})
				}

				Device (RTC0)
				{
					Name (_HID, EisaId ("PNP0B00"))
					Name (_CRS, ResourceTemplate ()
					{
						IO (Decode16, PORT_RTC, PORT_RTC, 1, 2)
						IRQNoFlags () { IRQ_RTC }
					})
				}

				Device (PIC0)
				{
					Name (_HID, EisaId ("PNP0000"))
					Name (_CRS, ResourceTemplate ()
					{
						IO (Decode16, PORT_PIC_MASTER, PORT_PIC_MASTER, 1, 2)
						IO (Decode16, PORT_PIC_SLAVE, PORT_PIC_SLAVE, 1, 2)
						IRQNoFlags () { 2 }
					})
				}

				Device (PIT0)
				{
					Name (_HID, EisaId ("PNP0100"))
					Name (_CRS, ResourceTemplate ()
					{
						IO (Decode16, PORT_PIT, PORT_PIT, 1, 4)
						IRQNoFlags () { IRQ_PIT }
					})
				}
			}
		}
	}
}
