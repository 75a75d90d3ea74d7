/*
 * A kernel as segments to copy: what ELF program headers and multiboot's address fields say.
 * A filled image is consistent in itself: each segment's bytes lie in the file, its file part is
 * not longer than its memory part.
 */
#pragma once

#include "vmm/load/load.h"

#define IMAGE_SEGMENTS 32U

struct image_segment {
	struct load_blob file;
	gpa_t gpa;   /* where it goes */
	u64 address; /* where it is linked to run, for the entry point */
	u64 bytes;   /* in memory, from 1; above file.bytes cleared */
};

struct image {
	struct image_segment segment[IMAGE_SEGMENTS];
	unsigned count;
	gpa_t entry;
};

/* Whether every segment has free RAM to go to, and the entry point lies in one, below 4 GiB. */
MUST_USE enum err image_check(const struct image *image, const struct load_request *req,
			      struct load_result *out);
/*
 * Where the initrd goes beside a checked image: the highest free place, or the first one behind
 * the kernel, for those that map little memory at first.
 */
enum image_initrd { IMAGE_INITRD_HIGH, IMAGE_INITRD_LOW };
MUST_USE enum err image_place_initrd(const struct image *image, const struct load_request *req,
				     struct load_result *out, enum image_initrd where, gpa_t *gpa);
/* Copies a checked image into guest memory. */
void image_copy(const struct image *image, const struct load_request *req);
