/*
 * A short per-CPU window onto physical memory that the core does not otherwise map. A slot holds
 * one page until the next call for the same slot; nothing may keep the pointer longer.
 */
#pragma once

#include "lib/base/types.h"

enum window_slot {
	WINDOW_TABLE,	 /* a page-table page */
	WINDOW_DATA,	 /* bytes that are copied in or out */
	WINDOW_DATA2,	 /* the other end of a copy */
	WINDOW_SLOTS = 8 /* a CPU */
};

/* Maps the 4 KiB page that holds `hpa`; returns a pointer to the byte at `hpa`. */
void *window_map(enum window_slot slot, hpa_t hpa);
/* Zeroes `bytes` at `hpa`, both multiples of 4 KiB. */
void window_zero(hpa_t hpa, u64 bytes);
/* Copies physical memory to or from the core's. */
void window_read(hpa_t from, void *to, u64 bytes);
void window_write(hpa_t to, const void *from, u64 bytes);
