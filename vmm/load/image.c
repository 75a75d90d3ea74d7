/* A kernel as segments to copy: see image.h. */
#include "vmm/load/image.h"

#include "vmm/board/memory_map.h"
#include "vmm/load/place.h"

static enum err segment_check(const struct image_segment *s, const struct load_request *req,
			      struct load_result *out)
{
	u64 low_end = place_low_end(req);

	if (place_is_free(req, s->gpa, s->bytes))
		return ERR_OK;
	if (s->gpa.raw >= MAP_HIGH_MEMORY && s->gpa.raw < MAP_LOW_RAM_END &&
	    s->bytes <= MAP_LOW_RAM_END - s->gpa.raw && s->gpa.raw + s->bytes > low_end)
		return load_refuse_memory(out, s->gpa.raw + s->bytes,
					  "the kernel is linked for more memory than the VM has");
	return load_refuse(out, ERR_UNSUPPORTED,
			   "the kernel is linked for addresses that are not free RAM here");
}

enum err image_check(const struct image *image, const struct load_request *req,
		     struct load_result *out)
{
	bool entry_found = false;

	for (unsigned i = 0; i < image->count; i++) {
		const struct image_segment *s = &image->segment[i];
		enum err err = segment_check(s, req, out);

		if (err)
			return err;
		entry_found |=
			image->entry.raw >= s->gpa.raw && image->entry.raw - s->gpa.raw < s->bytes;
	}
	if (!entry_found)
		return load_refuse(out, ERR_BAD_FORMAT,
				   "the kernel's entry point lies outside of its segments");
	if (image->entry.raw > UINT32_MAX)
		return load_refuse(out, ERR_UNSUPPORTED,
				   "the kernel's 32-bit entry point lies above 4 GiB");
	return ERR_OK;
}

/* The end of the segments that lie in low RAM, or 1 MiB. */
static u64 image_low_end(const struct image *image)
{
	u64 end = MAP_HIGH_MEMORY;

	for (unsigned i = 0; i < image->count; i++)
		if (image->segment[i].gpa.raw < MAP_HIGH_RAM)
			end = max_u64(end, image->segment[i].gpa.raw + image->segment[i].bytes);
	return end;
}

enum err image_place_initrd(const struct image *image, const struct load_request *req,
			    struct load_result *out, enum image_initrd where, gpa_t *gpa)
{
	u64 floor = align_up(image_low_end(image), PAGE_SIZE);
	u64 bytes = req->initrd.bytes;

	if (bytes == 0)
		return ERR_OK;
	if (bytes > MAP_LOW_RAM_END - floor)
		return load_refuse(out, ERR_UNSUPPORTED, "the initrd is larger than low memory");
	if (!place_highest(req, floor, MAP_LOW_RAM_END, bytes, gpa))
		return load_refuse_memory(out, align_up(floor + bytes, PAGE_SIZE),
					  "the initrd does not fit in memory beside the kernel");
	if (where == IMAGE_INITRD_LOW)
		*gpa = GPA(floor);
	return ERR_OK;
}

void image_copy(const struct image *image, const struct load_request *req)
{
	for (unsigned i = 0; i < image->count; i++) {
		const struct image_segment *s = &image->segment[i];

		place_copy(req, s->gpa, s->file, s->bytes);
	}
}
