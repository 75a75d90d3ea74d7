/*
 * From a segment and an offset to bytes of guest memory: segment checks, address width, paging.
 * Governed by SDM, "Protected-Mode Memory Management" and "Limit Checking".
 *
 * An access is mapped first, which is where it can fault, and then read or written, which cannot:
 * an instruction maps all its operands before it moves anything.
 */
#pragma once

#include "vmm/emul/emul.h"

/* Bits of SEG_TYPE, of code and data. */
#define TYPE_ACCESSED	 BIT64(0)
#define TYPE_READABLE	 BIT64(1) /* of code */
#define TYPE_WRITABLE	 BIT64(1) /* of data */
#define TYPE_CONFORMING	 BIT64(2) /* of code */
#define TYPE_EXPAND_DOWN BIT64(2) /* of data */
#define TYPE_CODE	 BIT64(3)

/* An access that has been checked: one piece, or two if it crosses a page boundary. */
struct span {
	gpa_t gpa[2];
	unsigned bytes[2]; /* the second is 0 within one page */
};

/* Bytes of an address and an operand in the code segment's mode: 2, 4, 8. */
unsigned emul_mode(const struct emul *emul);
/* Bytes of the stack pointer: 2, 4, 8. */
unsigned emul_stack_bytes(const struct emul *emul);
/* The bits of a value of `bytes` bytes. */
u64 bytes_mask(unsigned bytes);

/*
 * Checks and translates an access of 1 to INSN_BYTES_MAX bytes; `access` is PF_WRITE, PF_FETCH or
 * 0, the privilege level is the vCPU's. False: inject *exception.
 */
MUST_USE bool span_map(const struct emul *emul, enum segment_name segment, u64 offset,
		       unsigned bytes, u32 access, struct span *span,
		       struct emul_exception *exception);

/*
 * The same for the processor's own access to a table or TSS at a linear address, outside long mode:
 * up to PAGE_SIZE bytes, with the supervisor's right.
 */
MUST_USE bool span_map_system(const struct emul *emul, u64 address, unsigned bytes, u32 access,
			      struct span *span, struct emul_exception *exception);
/* A part of an access that has been mapped. */
struct span span_part(const struct span *whole, unsigned offset, unsigned bytes);

/* Moves 1 to 8 bytes. What is not there reads as ones and swallows writes. */
u64 span_read(const struct emul *emul, const struct span *span);
void span_write(const struct emul *emul, const struct span *span, u64 value);

/* The linear address of an offset, without checks. */
u64 segment_linear(const struct emul *emul, enum segment_name segment, u64 offset);
