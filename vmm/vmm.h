/* One VM's virtual-machine monitor: its state, shared by the pieces below. */
#pragma once

#include "lib/abi/channel.h"
#include "lib/abi/syscall.h"
#include "lib/abi/vm_memory.h"
#include "vmm/board/board.h"

struct vmm {
	struct vm_channel *channel;
	u32 waiters; /* threads that did not get the lock */
	u32 lock;    /* of everything below and of the board: who has left its guest holds it */
	u64 holder;  /* the vCPU whose thread has it, or had it last; read without it, too */
	struct board board;
	u64 low_ram_end, high_ram_bytes;
	u64 tsc_khz;
	u32 physical_bits; /* of addresses, as the guest's CPUID says */
	u64 tsc_base;	   /* host TSC when the VM was created */
	u32 button;	   /* presses of the power button that the board has seen */
	u64 deadline_ns;   /* the board's next one, and the same on the host's TSC */
	u64 deadline_tsc;
	u64 carrier;	   /* whose vcpu_run ends then, and until when it has been told to run */
	u64 carried_tsc;   /* WAIT_FOREVER: nobody's */
	bool console_full; /* output waits for room in the ring */
	bool output_new;   /* tell the supervisor before the next run */
};

/* One vCPU's thread. */
struct vmm_vcpu {
	struct vmm *vmm;
	u64 index;
	struct vcpu_page *page;
};

/* Ends the VM: says how in the channel, and ends this process. */
NORETURN void vmm_end(struct vmm *vmm, enum vm_end end, u32 status, const char *format, ...)
	PRINTF_LIKE(4, 5);

u64 vmm_clock_ns(const struct vmm *vmm);
/* Host TSC at a clock value; WAIT_FOREVER for DEV_NEVER. */
u64 vmm_tsc_at(const struct vmm *vmm, u64 clock_ns);

/* Loads the kernel, sets up the board and the first vCPU; ends the VM when it cannot. */
void vmm_boot(struct vmm *vmm);

/* Answers the exit in the page. */
void exit_handle(struct vmm_vcpu *vcpu);

/* Writes to the paravirtual-clock MSRs. False: not a valid one. */
MUST_USE bool pvclock_msr_write(struct vmm *vmm, u32 index, u64 value);

/* Pointer to guest RAM, or NULL where the range is not all RAM. */
u8 *vmm_ram(const struct vmm *vmm, gpa_t gpa, u64 bytes);
