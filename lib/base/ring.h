/*
 * A byte ring with one producer and one consumer in different processes. Neither side trusts the
 * other's index: a wild index can only garble bytes, never move an access out of the buffer.
 */
#pragma once

#include "lib/base/types.h"

#define RING_BYTES 4064U

struct ring {
	u32 head; /* written by the producer: bytes ever put, modulo 2^32 */
	u8 pad0[12];
	u32 tail; /* written by the consumer: bytes ever taken */
	u8 pad1[12];
	u8 data[RING_BYTES];
};

static_assert(sizeof(struct ring) == 4096, "a ring is one page");

/* Bytes waiting, at most RING_BYTES whatever the indices say. */
static inline u32 ring_used(const struct ring *r)
{
	u32 used = __atomic_load_n(&r->head, __ATOMIC_ACQUIRE) -
		   __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE);

	return used > RING_BYTES ? RING_BYTES : used;
}

/* Puts one byte; false when the ring is full. */
static inline MUST_USE bool ring_put(struct ring *r, u8 byte)
{
	u32 head = r->head;

	if (ring_used(r) >= RING_BYTES)
		return false;
	r->data[head % RING_BYTES] = byte;
	__atomic_store_n(&r->head, head + 1, __ATOMIC_RELEASE);
	return true;
}

/* Takes one byte; false when the ring is empty. */
static inline MUST_USE bool ring_get(struct ring *r, u8 *byte)
{
	u32 tail = r->tail;

	if (ring_used(r) == 0)
		return false;
	*byte = r->data[tail % RING_BYTES];
	__atomic_store_n(&r->tail, tail + 1, __ATOMIC_RELEASE);
	return true;
}
