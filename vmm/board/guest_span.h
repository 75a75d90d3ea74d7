/* A piece of guest memory, from guest-physical address 0, that setup code may write. */
#pragma once

#include "lib/base/types.h"

struct guest_span {
	u8 *base; /* GPA 0 */
	u64 size;
};

/* The bytes [gpa, gpa + bytes), or NULL where the span does not hold all of them. */
static inline void *guest_span_at(struct guest_span span, gpa_t gpa, u64 bytes)
{
	if (gpa.raw > span.size || bytes > span.size - gpa.raw)
		return NULL;
	return span.base + gpa.raw;
}
