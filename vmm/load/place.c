/* Guest memory as the loaders see it: see place.h. */
#include "vmm/load/place.h"

#include "lib/base/string.h"
#include "vmm/load/layout.h"

/* Whether [base, base + bytes) lies in [first, first + size), without overflow. */
static bool range_inside(u64 base, u64 bytes, u64 first, u64 size)
{
	return base >= first && base - first <= size && bytes <= size - (base - first);
}

static bool range_is_backed(const struct load_request *req, u64 gpa, u64 bytes)
{
	return range_inside(gpa, bytes, 0, req->low_bytes) ||
	       range_inside(gpa, bytes, MAP_HIGH_RAM, req->high_bytes);
}

bool place_is_free(const struct load_request *req, gpa_t gpa, u64 bytes)
{
	if (!range_is_backed(req, gpa.raw, bytes))
		return false;
	if (gpa.raw < LOAD_END && gpa.raw + bytes > LOAD_FIRST)
		return false;
	for (unsigned i = 0; i < req->e820->count; i++) {
		const struct e820_entry *e = &req->e820->entries[i];

		if (e->type == E820_RAM && range_inside(gpa.raw, bytes, e->base, e->bytes))
			return true;
	}
	return false;
}

u64 place_low_end(const struct load_request *req)
{
	for (unsigned i = 0; i < req->e820->count; i++) {
		const struct e820_entry *e = &req->e820->entries[i];

		if (e->type == E820_RAM && range_inside(MAP_HIGH_MEMORY, 1, e->base, e->bytes))
			return min_u64(e->base + e->bytes, req->low_bytes);
	}
	return 0;
}

bool place_highest(const struct load_request *req, u64 floor, u64 ceiling, u64 bytes, gpa_t *gpa)
{
	u64 end = min_u64(place_low_end(req), ceiling);

	if (bytes > end || align_down(end - bytes, PAGE_SIZE) < floor)
		return false;
	*gpa = GPA(align_down(end - bytes, PAGE_SIZE));
	return place_is_free(req, *gpa, bytes);
}

void place_copy(const struct load_request *req, gpa_t gpa, struct load_blob file, u64 bytes)
{
	u8 *to = place_at(req, gpa);

	if (file.bytes)
		memcpy(to, file.data, file.bytes);
	memset(to + file.bytes, 0, bytes - file.bytes);
}

enum err load_refuse(struct load_result *out, enum err err, const char *why)
{
	out->why = why;
	return err;
}

enum err load_refuse_memory(struct load_result *out, u64 end, const char *why)
{
	out->needed_bytes = end;
	return load_refuse(out, ERR_NO_MEMORY, why);
}

u64 place_cmdline_length(const struct load_request *req)
{
	return req->cmdline ? strlen(req->cmdline) : 0;
}

void place_cmdline(const struct load_request *req)
{
	struct load_blob text = { req->cmdline, place_cmdline_length(req) };

	place_copy(req, GPA(LOAD_CMDLINE), text, text.bytes + 1);
}
