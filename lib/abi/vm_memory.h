/* Where the core puts a VM's RAM: from 0 up to the PCI hole, with the VGA hole; then from 4 GiB. */
#pragma once

#include "lib/base/types.h"

#define VM_VGA_HOLE	0xa0000UL /* nothing answers here, as on a machine without VGA */
#define VM_VGA_HOLE_END 0xc0000UL
#define VM_LOW_RAM_MAX	0xc0000000UL
#define VM_HIGH_RAM	0x100000000UL

static inline bool vm_in_vga_hole(gpa_t gpa)
{
	return gpa.raw - VM_VGA_HOLE < VM_VGA_HOLE_END - VM_VGA_HOLE;
}
