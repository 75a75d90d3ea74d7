/*
 * Core objects: whole pages, zeroed, an unmapped guard page behind each run. Objects are made when
 * VMs and processes are made, never on behalf of a guest's action.
 */
#pragma once

#include "core/mem/frames.h"
#include "lib/base/types.h"

/* Boot-time allocation: panics when memory is short. */
void *heap_alloc(u64 bytes) __attribute__((returns_nonnull));
/* NULL when memory is short. */
void *heap_try_alloc(u64 bytes);
void heap_free(void *object, u64 bytes);

/*
 * Pages that a process owns and the core sees too (shared with ring 3). Freeing ends the core's
 * view only; the frames go back with the process.
 */
void *heap_shared_alloc(u64 bytes, frame_owner_t owner);
void heap_shared_free(void *object, u64 bytes);
