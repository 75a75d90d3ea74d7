/* Where a ring-3 process of root mode finds what the core maps for it. */
#pragma once

#define RING3_STACK_BYTES 65536UL
#define RING3_STACK_TOP	  0x0000100000000000UL /* of thread 0; each further thread 1 MiB below */
#define RING3_STACK_STEP  0x100000UL

#define VMM_CHANNEL_BASE 0x0000110000000000UL /* struct vm_channel, shared with the supervisor */
#define VMM_VCPU_BASE	 0x0000120000000000UL /* struct vcpu_page of vCPU 0, 1, ... */
#define VMM_KERNEL_BASE	 0x0000130000000000UL /* the VM's kernel file, read-only */
#define VMM_INITRD_BASE	 0x0000140000000000UL /* the VM's initrd file, read-only */
#define VMM_RAM_BASE	 0x0000200000000000UL /* guest RAM: base + guest-physical address */

#define SUPERVISOR_MODULE_BASE	0x0000150000000000UL /* boot modules, read-only */
#define SUPERVISOR_CHANNEL_BASE 0x0000160000000000UL /* channel of VM 0, 1, ... */
#define SUPERVISOR_CHANNEL_STEP 0x100000UL
#define SUPERVISOR_COUNTER_BASE 0x0000170000000000UL /* counters of VM 0, 1, ..., read-only */
#define SUPERVISOR_COUNTER_STEP 0x100000UL
