/*
 * Physical memory: every page has exactly one owner. Pages are zeroed when they are handed out,
 * so nothing of a former owner can be read.
 */
#pragma once

#include "lib/base/err.h"
#include "lib/base/types.h"

/* Owners below FRAME_OWNER_PROCESS are fixed; each ring-3 process has one of its own. */
typedef u16 frame_owner_t;
#define FRAME_ABSENT	    0 /* not RAM, or the firmware's */
#define FRAME_FREE	    1
#define FRAME_CORE	    2  /* image, objects, root-mode page tables */
#define FRAME_MODULE	    3  /* boot modules, read-only for ring 3 */
#define FRAME_OWNER_PROCESS 16 /* + process number */

struct memory_range {
	u64 base, size; /* bytes */
};

/*
 * Builds the owner table from the RAM ranges of the boot loader, sorted or not. `reserved` ranges
 * (core image, modules, boot information) are marked with their owners before anything is free.
 */
struct frame_reservation {
	struct memory_range range;
	frame_owner_t owner;
};

MUST_USE enum err frames_init(const struct memory_range *ram, u32 ram_count,
			      const struct frame_reservation *reserved, u32 reserved_count);

/*
 * Hands `count` contiguous pages aligned to `align` pages (a power of two) to `owner`, zeroed.
 * ERR_NO_MEMORY: nothing changed.
 */
MUST_USE enum err frames_alloc(frame_owner_t owner, u64 count, u64 align, hpa_t *out);
/* The same with what the last owner left in them: to be zeroed before anybody can see them. */
MUST_USE enum err frames_take(frame_owner_t owner, u64 count, u64 align, hpa_t *out);
void frames_free(hpa_t first, u64 count, frame_owner_t owner);
/* Frees every page of `owner`; returns how many. */
u64 frames_free_all(frame_owner_t owner);
frame_owner_t frames_owner(hpa_t hpa);
/* How many of the `count` pages from `first` belong to `owner` without a gap. */
u64 frames_run(hpa_t first, u64 count, frame_owner_t owner);

/* Pages in the machine's RAM and free now. */
u64 frames_total(void);
u64 frames_available(void);
