/* Offsets that assembly needs, proved by static assertions where the structures are defined. */
#pragma once

#define CPU_SELF	0
#define CPU_LOOP_RSP	8
#define CPU_FRAME_TOP	16
#define CPU_SCRATCH_RSP 24

#define FRAME_VECTOR 120
#define FRAME_RIP    136
#define FRAME_BYTES  176

#define SELECTOR_CORE_CODE 0x08
#define SELECTOR_CORE_DATA 0x10
#define SELECTOR_USER_DATA 0x1b /* SYSRET wants data below code */
#define SELECTOR_USER_CODE 0x23
#define SELECTOR_TSS	   0x28

#define VECTOR_SYSCALL 256 /* in a frame: entered by SYSCALL, not through the IDT */

#define MSR_GS_BASE_NUMBER 0xc0000101
