/* The end of the machine's run. */
#pragma once

/* Why the machine stops; an emulator's exit status is made from it (option emulator-exit). */
enum machine_end {
	MACHINE_DONE = 0x10,	  /* every VM ended in order */
	MACHINE_VM_FAILED = 0x11, /* a VM crashed */
	MACHINE_REFUSED = 0x12,	  /* this machine or its boot image cannot run VMs */
	MACHINE_PANICKED = 0x13,  /* our own bug */
};

/* Powers off, or halts where the machine cannot. */
_Noreturn void machine_off(enum machine_end end);
