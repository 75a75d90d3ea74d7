/*
 * Segment descriptors in a guest's tables, outside long mode, and the loading of all segment
 * registers that a task switch does. SDM, "Segment Descriptors" and "Task Switching".
 */
#pragma once

#include "vmm/emul/linear.h"

#define SELECTOR_RPL   BITS64(1, 0)
#define SELECTOR_LOCAL BIT64(2) /* in the LDT */
#define SELECTOR_INDEX BITS64(15, 3)
#define SELECTOR_ERROR BITS64(15, 2) /* what of a selector stands in an error code */

/* SEG_TYPE of system segments. */
#define TYPE_TSS16 1U
#define TYPE_BUSY  BIT64(1) /* of a TSS */
#define TYPE_LDT   2U
#define TYPE_TSS32 9U

static inline bool selector_is_null(u16 selector)
{
	return (selector & ~SELECTOR_RPL) == 0;
}

static inline u64 segment_type(const struct segment *s)
{
	return field_get(SEG_TYPE, s->rights);
}

/* Fills *exception with `vector` and an error code that names the selector; gives false. */
static inline bool raise_selector(struct emul_exception *exception, enum exception vector,
				  u16 selector)
{
	*exception = (struct emul_exception){
		.vector = vector,
		.has_error = true,
		.error_code = selector & SELECTOR_ERROR,
	};
	return false;
}

/*
 * Reads the descriptor of a selector that is not null. False: *exception, which is `vector` with
 * the selector if that lies outside its table.
 */
MUST_USE bool descriptor_read(const struct emul *emul, u16 selector, enum exception vector,
			      struct segment *segment, struct emul_exception *exception);
/* Maps the byte of a descriptor that holds SEG_TYPE, for descriptor_mark(). */
MUST_USE bool descriptor_map(const struct emul *emul, u16 selector, struct span *span,
			     struct emul_exception *exception);
/* Sets or clears bits of SEG_TYPE in memory. */
void descriptor_mark(const struct emul *emul, const struct span *span, u64 bits, bool on);

/*
 * A task switch has left the new task's selectors in *next. First all is made unusable but for what
 * an exception's delivery needs; then LDTR and the segment registers are loaded by the tables of
 * emul->state, which is `next`. False: *exception, to be raised in the new task.
 */
void segments_unload(struct vcpu_state *next);
MUST_USE bool segments_load(const struct emul *emul, struct vcpu_state *next,
			    struct emul_exception *exception);
