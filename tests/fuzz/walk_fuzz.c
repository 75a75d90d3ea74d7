/*
 * Random tables under random control registers: a translation never leaves what the registers
 * allow, is repeatable, and the two forms of the walk agree.
 */
#include <string.h>

#include "lib/base/cursor.h"
#include "lib/x86/walk.h"

#define RAM_BYTES 8192U

struct ram {
	u8 bytes[RAM_BYTES];
};

/* Wraps around, so that random table addresses always meet random entries. */
static bool ram_read(void *owner, gpa_t gpa, void *data, unsigned bytes)
{
	struct ram *ram = owner;

	memcpy(data, ram->bytes + gpa.raw % (RAM_BYTES - 8), bytes);
	return true;
}

static bool ram_write(void *owner, gpa_t gpa, const void *data, unsigned bytes)
{
	struct ram *ram = owner;

	memcpy(ram->bytes + gpa.raw % (RAM_BYTES - 8), data, bytes);
	return true;
}

static bool ram_swap(void *owner, gpa_t gpa, u64 *expected, u64 desired, unsigned bytes)
{
	u64 found = 0;

	if (!ram_read(owner, gpa, &found, bytes))
		return false;
	if (found == *expected && !ram_write(owner, gpa, &desired, bytes))
		return false;
	*expected = found;
	return true;
}

static bool entry_reader(void *owner, gpa_t gpa, u64 *value)
{
	return ram_read(owner, gpa, value, sizeof(*value));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void require(bool fact)
{
	if (!fact)
		__builtin_trap();
}

static void check_fault(enum walk_result result, u32 access, u32 code)
{
	require(((code & PF_PRESENT) == 0) == (result == WALK_NOT_PRESENT));
	require(((code & PF_RESERVED) != 0) == (result == WALK_RESERVED));
	require((code & (PF_WRITE | PF_USER)) == (access & (PF_WRITE | PF_USER)));
	require((code & PF_FETCH) <= (access & PF_FETCH));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct cursor c = cursor_over(data, size);
	struct ram ram = { { 0 } };
	const struct guest_memory memory = { &ram, ram_read, ram_write, ram_swap };
	struct paging p;
	struct walk_path path;
	struct walk_page page = { .bytes = 0 }, again;
	enum walk_result raw, full;
	gva_t gva;
	u32 access;

	if (!cursor_read(&c, &p, sizeof(p)) || !cursor_read_u64(&c, &gva.raw) ||
	    !cursor_read_u32(&c, &access) || cursor_left(&c) == 0)
		return 0;
	p.physical_bits = 32 + p.physical_bits % 21;
	access &= PF_WRITE | PF_USER | PF_FETCH | WALK_IMPLICIT;
	for (size_t i = 0; i < RAM_BYTES; i++)
		ram.bytes[i] = c.data[c.at + i % cursor_left(&c)];

	raw = walk_path(&p, entry_reader, &ram, gva, &path);
	require(path.steps <= WALK_LEVELS);
	full = walk_translate(&p, &memory, gva, access, &page);
	require(full == raw || (raw == WALK_OK && full == WALK_DENIED) ||
		paging_mode(&p) != PAGING_OFF);
	if (full >= WALK_NOT_PRESENT)
		check_fault(full, access, page.error_code);
	if (full != WALK_OK)
		return 0;
	require(page.bytes > 0 && page.bytes <= PAGE_SIZE);
	require(page.bytes == PAGE_SIZE - page.gpa.raw % PAGE_SIZE);
	require(page.gpa.raw % PAGE_SIZE == gva.raw % PAGE_SIZE);
	require(page.gpa.raw < BIT64(p.physical_bits));
	/* Marks may alter overlapping tables once; without a change the answer stays. */
	struct ram before = ram;

	full = walk_translate(&p, &memory, gva, access, &page);
	if (memcmp(&before, &ram, sizeof(ram)) != 0 || full != WALK_OK)
		return 0;
	require(walk_translate(&p, &memory, gva, access, &again) == WALK_OK);
	require(again.gpa.raw == page.gpa.raw);
	return 0;
}
