/*
 * A cursor over untrusted bytes that knows its end. Every read is checked; a failed read returns
 * false, leaves the cursor where it was and does not touch the output.
 */
#pragma once

#include "lib/base/types.h"

struct cursor {
	const u8 *data;
	size_t size;
	size_t at; /* never beyond size */
};

static inline struct cursor cursor_over(const void *data, size_t size)
{
	return (struct cursor){ .data = data, .size = size, .at = 0 };
}

static inline size_t cursor_left(const struct cursor *c)
{
	return c->size - c->at;
}

static inline MUST_USE bool cursor_seek(struct cursor *c, u64 offset)
{
	if (offset > c->size)
		return false;
	c->at = (size_t)offset;
	return true;
}

static inline MUST_USE bool cursor_skip(struct cursor *c, u64 bytes)
{
	if (bytes > cursor_left(c))
		return false;
	c->at += (size_t)bytes;
	return true;
}

static inline MUST_USE bool cursor_read(struct cursor *c, void *out, size_t bytes)
{
	if (bytes > cursor_left(c))
		return false;
	__builtin_memcpy(out, c->data + c->at, bytes);
	c->at += bytes;
	return true;
}

static inline MUST_USE bool cursor_read_u8(struct cursor *c, u8 *out)
{
	return cursor_read(c, out, sizeof(*out));
}

static inline MUST_USE bool cursor_read_u16(struct cursor *c, u16 *out)
{
	return cursor_read(c, out, sizeof(*out));
}

static inline MUST_USE bool cursor_read_u32(struct cursor *c, u32 *out)
{
	return cursor_read(c, out, sizeof(*out));
}

static inline MUST_USE bool cursor_read_u64(struct cursor *c, u64 *out)
{
	return cursor_read(c, out, sizeof(*out));
}
