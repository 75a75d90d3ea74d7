/* The guest page walk: every paging mode, every right, error codes, accessed and dirty bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/x86/walk.h"

#define RAM_BYTES (64 * KIB)
#define ROM_START (60 * KIB) /* read-only from here on */

struct ram {
	u8 bytes[RAM_BYTES];
	unsigned swaps;
	/* An entry that another processor changes before the next swap; 0: none. */
	u64 race_at, race_value;
};

static bool ram_read(void *owner, gpa_t gpa, void *data, unsigned bytes)
{
	struct ram *ram = owner;

	if (gpa.raw > RAM_BYTES - bytes)
		return false;
	memcpy(data, ram->bytes + gpa.raw, bytes);
	return true;
}

static bool ram_write(void *owner, gpa_t gpa, const void *data, unsigned bytes)
{
	struct ram *ram = owner;

	if (gpa.raw > ROM_START - bytes)
		return false;
	memcpy(ram->bytes + gpa.raw, data, bytes);
	return true;
}

static bool ram_swap(void *owner, gpa_t gpa, u64 *expected, u64 desired, unsigned bytes)
{
	struct ram *ram = owner;
	u64 found = 0;

	assert_int_equal(gpa.raw % bytes, 0);
	if (gpa.raw > ROM_START - bytes)
		return false;
	ram->swaps++;
	if (ram->race_at != 0) {
		memcpy(ram->bytes + ram->race_at, &ram->race_value, bytes);
		ram->race_at = 0;
	}
	memcpy(&found, ram->bytes + gpa.raw, bytes);
	if (found == *expected)
		memcpy(ram->bytes + gpa.raw, &desired, bytes);
	*expected = found;
	return true;
}

static struct ram ram;
static const struct guest_memory memory = { &ram, ram_read, ram_write, ram_swap };

static void put(u64 at, u64 entry)
{
	memcpy(ram.bytes + at, &entry, sizeof(entry));
}

static void put32(u64 at, u32 entry)
{
	memcpy(ram.bytes + at, &entry, sizeof(entry));
}

static u64 get(u64 at)
{
	u64 entry;

	memcpy(&entry, ram.bytes + at, sizeof(entry));
	return entry;
}

#define RWU (PTE_PRESENT | PTE_WRITE | PTE_USER)

#define ADDRESS 0xffff812345678abcULL
#define PML5	0x1000ULL
#define PML4	0x2000ULL
#define PDPT	0x3000ULL
#define PD	0x4000ULL
#define PT	0x5000ULL

static u64 slot(u64 table, unsigned level)
{
	return table + 8 * ((ADDRESS >> (12 + 9 * (level - 1))) & 511);
}

static struct paging long_mode(void)
{
	return (struct paging){
		.cr0 = CR0_PG | CR0_PE | CR0_WP,
		.cr3 = PML4 | 0x18, /* cache bits do not belong to the address */
		.cr4 = CR4_PAE,
		.efer = EFER_LMA | EFER_LME | EFER_NXE,
		.physical_bits = 40,
	};
}

/* Maps ADDRESS to 0xabcde000 in four levels and returns the registers. */
static struct paging long_mapping(void)
{
	memset(&ram, 0, sizeof(ram));
	put(slot(PML5, 5), PML4 | RWU);
	put(slot(PML4, 4), PDPT | RWU);
	put(slot(PDPT, 3), PD | RWU);
	put(slot(PD, 2), PT | RWU);
	put(slot(PT, 1), 0xabcde000 | RWU);
	return long_mode();
}

static struct walk_page page;

static void expect_gpa(const struct paging *p, u64 gva, u32 access, u64 gpa)
{
	assert_int_equal(walk_translate(p, &memory, GVA(gva), access, &page), WALK_OK);
	assert_int_equal(page.gpa.raw, gpa);
	assert_int_equal(page.bytes, 4096 - gpa % 4096);
}

static void expect_fault(const struct paging *p, u64 gva, u32 access, enum walk_result result,
			 u32 code)
{
	assert_int_equal(walk_translate(p, &memory, GVA(gva), access, &page), result);
	assert_int_equal(page.error_code, code);
}

static void paging_off_is_identity(void **state)
{
	struct paging p = { .cr0 = CR0_PE, .cr3 = 0xdead000, .physical_bits = 40 };

	(void)state;
	memset(&ram, 0, sizeof(ram));
	expect_gpa(&p, 0x12345ffe, PF_WRITE | PF_USER, 0x12345ffe);
	expect_gpa(&p, 0x100000010, 0, 0x10);
	assert_int_equal(page.bytes, 4080);
	assert_int_equal(ram.swaps, 0);
}

static void long_four_levels(void **state)
{
	struct paging p = long_mapping();

	(void)state;
	expect_gpa(&p, ADDRESS, 0, 0xabcdeabc);
	assert_int_equal(page.bytes, 0x1000 - 0xabc);
}

static void long_five_levels(void **state)
{
	struct paging p = long_mapping();

	(void)state;
	p.cr4 |= CR4_LA57;
	p.cr3 = PML5;
	expect_gpa(&p, ADDRESS, PF_WRITE, 0xabcdeabc);
	assert_int_equal(get(slot(PML5, 5)), PML4 | RWU | PTE_ACCESSED);
	/* Bit 56 not bit 47 is the sign. */
	assert_int_equal(walk_translate(&p, &memory, GVA(0x00ff812345678abc), 0, &page),
			 WALK_NOT_PRESENT);
	assert_int_equal(walk_translate(&p, &memory, GVA(0x01ff812345678abc), 0, &page),
			 WALK_NON_CANONICAL);
}

static void long_large_pages(void **state)
{
	struct paging p = long_mapping();

	(void)state;
	put(slot(PD, 2), 0xabc00000 | RWU | PTE_PAGE_SIZE | PTE_PAT_LARGE);
	expect_gpa(&p, ADDRESS, PF_WRITE, 0xabc00000 + (ADDRESS & 0x1fffff));
	assert_int_equal(get(slot(PD, 2)), 0xabc00000 | RWU | PTE_PAGE_SIZE | PTE_PAT_LARGE |
						   PTE_ACCESSED | PTE_DIRTY);
	put(slot(PDPT, 3), 0x4080000000 | RWU | PTE_PAGE_SIZE);
	expect_gpa(&p, ADDRESS, 0, 0x4080000000 + (ADDRESS & 0x3fffffff));
}

static void long_reserved_bits(void **state)
{
	static const struct {
		u64 table;
		unsigned level;
		u64 bits;
	} rows[] = {
		{ PML4, 4, BIT64(40) },
		{ PML4, 4, PTE_PAGE_SIZE },
		{ PDPT, 3, BIT64(51) },
		{ PDPT, 3, PTE_PAGE_SIZE | BIT64(13) },
		{ PDPT, 3, PTE_PAGE_SIZE | BIT64(29) },
		{ PD, 2, PTE_PAGE_SIZE | BIT64(13) },
		{ PD, 2, PTE_PAGE_SIZE | BIT64(20) },
		{ PD, 2, BIT64(45) },
		{ PT, 1, BIT64(40) },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct paging p = long_mapping();
		u64 at = slot(rows[i].table, rows[i].level);

		put(at,
		    RWU | rows[i].bits); /* bits 13 and up double as an address: keep it clean */
		expect_fault(&p, ADDRESS, 0, WALK_RESERVED, PF_RESERVED | PF_PRESENT);
		expect_fault(&p, ADDRESS, PF_WRITE | PF_USER, WALK_RESERVED,
			     PF_RESERVED | PF_PRESENT | PF_WRITE | PF_USER);
	}
}

static void wide_physical_addresses(void **state)
{
	struct paging p = long_mapping();

	(void)state;
	p.physical_bits = 52;
	put(slot(PT, 1), 0xffffffffff000 | RWU | PTE_GLOBAL | BITS64(62, 52) | BITS64(11, 9));
	expect_gpa(&p, ADDRESS, 0, 0xffffffffffabc);
}

static void absent_entries_at_every_level(void **state)
{
	static const u64 tables[] = { PT, PD, PDPT, PML4 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(tables); i++) {
		struct paging p = long_mapping();

		put(slot(tables[i], i + 1), ~PTE_PRESENT);
		expect_fault(&p, ADDRESS, 0, WALK_NOT_PRESENT, 0);
		expect_fault(&p, ADDRESS, PF_WRITE, WALK_NOT_PRESENT, PF_WRITE);
		expect_fault(&p, ADDRESS, PF_FETCH | PF_USER, WALK_NOT_PRESENT, PF_FETCH | PF_USER);
		assert_int_equal(ram.swaps, 0);
	}
}

static void user_needs_user_at_every_level(void **state)
{
	static const u64 tables[] = { PT, PD, PDPT, PML4 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(tables); i++) {
		struct paging p = long_mapping();
		u64 at = slot(tables[i], i + 1);

		put(at, get(at) & ~PTE_USER);
		expect_fault(&p, ADDRESS, PF_USER, WALK_DENIED, PF_USER | PF_PRESENT);
		expect_gpa(&p, ADDRESS, PF_WRITE, 0xabcdeabc);
	}
}

static void write_needs_write_at_every_level(void **state)
{
	static const u64 tables[] = { PT, PD, PDPT, PML4 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(tables); i++) {
		struct paging p = long_mapping();
		u64 at = slot(tables[i], i + 1);

		put(at, get(at) & ~PTE_WRITE);
		expect_fault(&p, ADDRESS, PF_WRITE, WALK_DENIED, PF_WRITE | PF_PRESENT);
		expect_gpa(&p, ADDRESS, PF_USER, 0xabcdeabc);
		p.cr0 &= ~CR0_WP;
		expect_fault(&p, ADDRESS, PF_WRITE | PF_USER, WALK_DENIED,
			     PF_WRITE | PF_USER | PF_PRESENT);
		expect_gpa(&p, ADDRESS, PF_WRITE, 0xabcdeabc);
	}
}

static void fetch_obeys_nx_at_every_level(void **state)
{
	static const u64 tables[] = { PT, PD, PDPT, PML4 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(tables); i++) {
		struct paging p = long_mapping();
		u64 at = slot(tables[i], i + 1);

		expect_gpa(&p, ADDRESS, PF_FETCH, 0xabcdeabc);
		put(at, get(at) | PTE_NX);
		expect_fault(&p, ADDRESS, PF_FETCH, WALK_DENIED, PF_FETCH | PF_PRESENT);
		expect_gpa(&p, ADDRESS, PF_WRITE | PF_USER, 0xabcdeabc);
		/* Without NXE the bit is reserved, and a fetch does not show. */
		p.efer &= ~EFER_NXE;
		expect_fault(&p, ADDRESS, PF_FETCH, WALK_RESERVED, PF_RESERVED | PF_PRESENT);
		p.cr4 |= CR4_SMEP;
		expect_fault(&p, ADDRESS, PF_FETCH, WALK_RESERVED,
			     PF_RESERVED | PF_PRESENT | PF_FETCH);
	}
}

static void smep_and_smap(void **state)
{
	struct paging p = long_mapping();

	(void)state;
	p.cr4 |= CR4_SMEP;
	expect_fault(&p, ADDRESS, PF_FETCH, WALK_DENIED, PF_FETCH | PF_PRESENT);
	expect_gpa(&p, ADDRESS, PF_FETCH | PF_USER, 0xabcdeabc);
	expect_gpa(&p, ADDRESS, PF_WRITE, 0xabcdeabc);

	p.cr4 = CR4_PAE | CR4_SMAP;
	expect_fault(&p, ADDRESS, 0, WALK_DENIED, PF_PRESENT);
	expect_fault(&p, ADDRESS, PF_WRITE, WALK_DENIED, PF_WRITE | PF_PRESENT);
	expect_gpa(&p, ADDRESS, PF_FETCH, 0xabcdeabc);
	expect_gpa(&p, ADDRESS, PF_USER | PF_WRITE, 0xabcdeabc);
	p.rflags = RFLAGS_AC;
	expect_gpa(&p, ADDRESS, 0, 0xabcdeabc);
	expect_fault(&p, ADDRESS, WALK_IMPLICIT, WALK_DENIED, PF_PRESENT);

	/* A supervisor page: neither applies. */
	p.rflags = 0;
	p.cr4 |= CR4_SMEP;
	put(slot(PT, 1), 0xabcde000 | PTE_PRESENT | PTE_WRITE);
	expect_gpa(&p, ADDRESS, PF_WRITE | WALK_IMPLICIT, 0xabcdeabc);
	expect_gpa(&p, ADDRESS, PF_FETCH, 0xabcdeabc);
}

static void accessed_and_dirty(void **state)
{
	struct paging p = long_mapping();

	(void)state;
	expect_gpa(&p, ADDRESS, PF_USER, 0xabcdeabc);
	assert_int_equal(ram.swaps, 4);
	assert_int_equal(get(slot(PML4, 4)), PDPT | RWU | PTE_ACCESSED);
	assert_int_equal(get(slot(PT, 1)), 0xabcde000 | RWU | PTE_ACCESSED);
	expect_gpa(&p, ADDRESS, PF_WRITE, 0xabcdeabc);
	assert_int_equal(ram.swaps, 5);
	assert_int_equal(get(slot(PD, 2)), PT | RWU | PTE_ACCESSED);
	assert_int_equal(get(slot(PT, 1)), 0xabcde000 | RWU | PTE_ACCESSED | PTE_DIRTY);
	expect_gpa(&p, ADDRESS, PF_WRITE, 0xabcdeabc);
	assert_int_equal(ram.swaps, 5);
}

static void denied_access_leaves_no_mark(void **state)
{
	struct paging p = long_mapping();

	(void)state;
	put(slot(PT, 1), 0xabcde000 | PTE_PRESENT);
	expect_fault(&p, ADDRESS, PF_WRITE, WALK_DENIED, PF_WRITE | PF_PRESENT);
	assert_int_equal(ram.swaps, 0);
	assert_int_equal(get(slot(PML4, 4)), PDPT | RWU);
}

static void race_restarts_the_walk(void **state)
{
	struct paging p = long_mapping();

	(void)state;
	ram.race_at = slot(PT, 1);
	ram.race_value = 0x77777000 | RWU;
	put(slot(PML4, 4), PDPT | RWU | PTE_ACCESSED);
	put(slot(PDPT, 3), PD | RWU | PTE_ACCESSED);
	put(slot(PD, 2), PT | RWU | PTE_ACCESSED);
	expect_gpa(&p, ADDRESS, PF_WRITE, 0x77777abc);
	assert_int_equal(get(slot(PT, 1)), 0x77777000 | RWU | PTE_ACCESSED | PTE_DIRTY);

	p = long_mapping();
	ram.race_at = slot(PML4, 4);
	ram.race_value = 0;
	expect_fault(&p, ADDRESS, PF_WRITE, WALK_NOT_PRESENT, PF_WRITE);
}

static void tables_in_rom_and_nowhere(void **state)
{
	struct paging p = long_mapping();
	u64 rom_pt = ROM_START;

	(void)state;
	put(slot(PD, 2), rom_pt | RWU);
	put(slot(rom_pt, 1), 0x55555000 | RWU);
	expect_gpa(&p, ADDRESS, PF_WRITE, 0x55555abc);
	assert_int_equal(get(slot(rom_pt, 1)), 0x55555000 | RWU);

	/* No memory: entries of ones, whose reserved bits fault. */
	put(slot(PD, 2), 0xf00000000 | RWU);
	expect_fault(&p, ADDRESS, 0, WALK_RESERVED, PF_RESERVED | PF_PRESENT);
}

static void pae_paging(void **state)
{
	struct paging p = { .cr0 = CR0_PG | CR0_PE | CR0_WP,
			    .cr3 = 0x1fe0, /* 32-byte aligned, all four entries in the page's end */
			    .cr4 = CR4_PAE,
			    .physical_bits = 40 };
	const u64 gva = 0xc0dedabc;

	(void)state;
	memset(&ram, 0, sizeof(ram));
	put(0x1ff8, PD | PTE_PRESENT);
	put(PD + 8 * ((gva >> 21) & 511), PT | RWU);
	put(PT + 8 * ((gva >> 12) & 511), 0xfedcba9000 | RWU);
	expect_gpa(&p, gva, PF_WRITE | PF_USER, 0xfedcba9abc);
	expect_gpa(&p, gva | BIT64(32), PF_WRITE, 0xfedcba9abc); /* truncated, not refused */
	assert_int_equal(get(0x1ff8), PD | PTE_PRESENT);
	assert_int_equal(get(PT + 8 * ((gva >> 12) & 511)),
			 0xfedcba9000 | RWU | PTE_ACCESSED | PTE_DIRTY);

	put(PD + 8 * ((gva >> 21) & 511), 0xfedca00000 | RWU | PTE_PAGE_SIZE);
	expect_gpa(&p, gva, PF_WRITE, 0xfedca00000 + (gva & 0x1fffff));
	put(PD + 8 * ((gva >> 21) & 511), 0xfedca00000 | RWU | PTE_PAGE_SIZE | PTE_NX);
	expect_fault(&p, gva, PF_FETCH, WALK_RESERVED, PF_RESERVED | PF_PRESENT);
	p.efer = EFER_NXE;
	expect_fault(&p, gva, PF_FETCH, WALK_DENIED, PF_FETCH | PF_PRESENT);
	put(PD + 8 * ((gva >> 21) & 511), PT | RWU | BIT64(52));
	expect_fault(&p, gva, 0, WALK_RESERVED, PF_RESERVED | PF_PRESENT);

	for (unsigned bit = 1; bit < 64; bit++) {
		bool reserved = bit == 1 || bit == 2 || (bit >= 6 && bit <= 8) || bit >= 40;

		if (bit >= 12 && bit < 40)
			continue;
		put(PD + 8 * ((gva >> 21) & 511), PT | RWU);
		put(0x1ff8, PD | PTE_PRESENT | BIT64(bit));
		assert_int_equal(walk_translate(&p, &memory, GVA(gva), 0, &page),
				 reserved ? WALK_RESERVED : WALK_OK);
	}
}

static void legacy_paging(void **state)
{
	struct paging p = { .cr0 = CR0_PG | CR0_PE | CR0_WP, .cr3 = 0x1018, .physical_bits = 40 };
	const u64 gva = 0xc0dedabc;
	const u64 pde = 0x1000 + 4 * (gva >> 22);
	const u64 pte = 0x2000 + 4 * ((gva >> 12) & 1023);

	(void)state;
	memset(&ram, 0, sizeof(ram));
	put32(pde, 0x2000 | (u32)RWU);
	put32(pte, 0xfedcb000 | (u32)RWU);
	put32(pte ^ 4, 0xffffffff); /* the neighbour in the same u64 must not matter */
	expect_gpa(&p, gva, PF_WRITE | PF_USER, 0xfedcbabc);
	assert_int_equal((u32)get(pte & ~7ULL), pte & 4 ? 0xffffffff : 0xfedcb067);
	assert_int_equal(get(pte & ~7ULL) >> 32, pte & 4 ? 0xfedcb067 : 0xffffffff);
	/* No NX in this mode, and a fetch shows with SMEP only. */
	p.efer = EFER_NXE;
	put32(pte, 0);
	expect_fault(&p, gva, PF_FETCH, WALK_NOT_PRESENT, 0);
	p.cr4 = CR4_SMEP;
	expect_fault(&p, gva, PF_FETCH, WALK_NOT_PRESENT, PF_FETCH);
	p.cr4 = 0;

	/* Bit 7 means a page only with CR4.PSE. */
	put32(pte, 0xfedcb000 | (u32)RWU);
	put32(pde, 0x2000 | (u32)(RWU | PTE_PAGE_SIZE));
	expect_gpa(&p, gva, 0, 0xfedcbabc);
	p.cr4 = CR4_PSE;
	put32(pde, 0xfec00000 | (u32)(RWU | PTE_PAGE_SIZE));
	expect_gpa(&p, gva, 0, 0xfec00000 + (gva & 0x3fffff));
}

static void pse36(void **state)
{
	struct paging p = { .cr0 = CR0_PG, .cr3 = 0x1000, .cr4 = CR4_PSE, .physical_bits = 40 };
	const u64 gva = 0xc0dedabc;
	const u64 pde = 0x1000 + 4 * (gva >> 22);
	const u32 large = 0x12400000 | (u32)(RWU | PTE_PAGE_SIZE);

	(void)state;
	memset(&ram, 0, sizeof(ram));
	put32(pde, large | 0xa5 << 13);
	expect_gpa(&p, gva, 0, 0xa512400000 + (gva & 0x3fffff));
	put32(pde, large | BIT32(21));
	expect_fault(&p, gva, 0, WALK_RESERVED, PF_RESERVED | PF_PRESENT);
	p.physical_bits = 36;
	put32(pde, large | 0x0f << 13);
	expect_gpa(&p, gva, 0, 0xf12400000 + (gva & 0x3fffff));
	put32(pde, large | 0x10 << 13);
	expect_fault(&p, gva, 0, WALK_RESERVED, PF_RESERVED | PF_PRESENT);
	p.physical_bits = 32;
	put32(pde, large | 0x01 << 13);
	expect_fault(&p, gva, 0, WALK_RESERVED, PF_RESERVED | PF_PRESENT);
}

static void non_canonical_addresses(void **state)
{
	struct paging p = long_mapping();

	(void)state;
	assert_int_equal(walk_translate(&p, &memory, GVA(0x0000800000000000), 0, &page),
			 WALK_NON_CANONICAL);
	assert_int_equal(walk_translate(&p, &memory, GVA(0xffff7fffffffffff), 0, &page),
			 WALK_NON_CANONICAL);
	assert_int_equal(walk_translate(&p, &memory, GVA(0x00007fffffffffff), 0, &page),
			 WALK_NOT_PRESENT);
}

static bool entry_reader(void *owner, gpa_t gpa, u64 *value)
{
	return ram_read(owner, gpa, value, sizeof(*value));
}

/* The core's use: entries only, no marks, and no table means no translation. */
static void path_follows_present_entries(void **state)
{
	struct paging p = long_mapping();
	struct walk_path path;

	(void)state;
	put(slot(PT, 1), 0xabcde000 | PTE_PRESENT | PTE_NX);
	assert_int_equal(walk_path(&p, entry_reader, &ram, GVA(ADDRESS), &path), WALK_OK);
	assert_int_equal(path.gpa.raw, 0xabcdeabc);
	assert_int_equal(path.steps, 4);
	assert_int_equal(path.step[3].at.raw, slot(PT, 1));
	assert_int_equal(ram.swaps, 0);
	put(slot(PD, 2), 0xf00000000 | RWU);
	assert_int_equal(walk_path(&p, entry_reader, &ram, GVA(ADDRESS), &path), WALK_NO_TABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paging_off_is_identity),
		cmocka_unit_test(long_four_levels),
		cmocka_unit_test(long_five_levels),
		cmocka_unit_test(long_large_pages),
		cmocka_unit_test(long_reserved_bits),
		cmocka_unit_test(wide_physical_addresses),
		cmocka_unit_test(absent_entries_at_every_level),
		cmocka_unit_test(user_needs_user_at_every_level),
		cmocka_unit_test(write_needs_write_at_every_level),
		cmocka_unit_test(fetch_obeys_nx_at_every_level),
		cmocka_unit_test(smep_and_smap),
		cmocka_unit_test(accessed_and_dirty),
		cmocka_unit_test(denied_access_leaves_no_mark),
		cmocka_unit_test(race_restarts_the_walk),
		cmocka_unit_test(tables_in_rom_and_nowhere),
		cmocka_unit_test(pae_paging),
		cmocka_unit_test(legacy_paging),
		cmocka_unit_test(pse36),
		cmocka_unit_test(non_canonical_addresses),
		cmocka_unit_test(path_follows_present_entries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
