/*
 * Guest-physical addresses that have no memory and no device: reads give ones, writes are lost,
 * nothing else changes, up to the last address that the processor has.
 */
#include "tests/micro/lib/cpu.h"
#include "tests/micro/lib/micro.h"
#include "tests/micro/lib/paging.h"

const char micro_name[] = "unbacked";

#define ONES	 ~0ULL
#define MARK	 0x0123456789abcdefULL
#define ABOVE_4G (6 * GIB)

static u64 nothing = ONES;

/* Firmware may keep the last part of RAM for itself. */
static u64 edge_of_ram(void)
{
	return align_up(ram_end(), 2 * MIB);
}

static u64 read_at(u64 linear)
{
	u64 value;

	asm volatile("movq (%1), %0" : "=r"(value) : "r"(linear) : "memory");
	return value;
}

static void write_at(u64 linear, u64 value)
{
	asm volatile("movq %0, (%1)" ::"r"(value), "r"(linear) : "memory");
}

static void check_page(u64 physical)
{
	u64 page = window_map(0, physical, PTE_PRESENT | PTE_WRITE), value = 0;

	check(read_at(page) == nothing && read_at(page + PAGE_SIZE - 8) == nothing, "%lx reads %lx",
	      physical, read_at(page));
	write_at(page, MARK);
	write_at(page + PAGE_SIZE - 8, MARK);
	check(read_at(page) == nothing && read_at(page + PAGE_SIZE - 8) == nothing,
	      "%lx reads the same after a write", physical);
	asm volatile("movb (%1), %b0" : "+r"(value) : "r"(page + 1) : "memory");
	check_equal(value, nothing & 0xff, "a byte");
	asm volatile("movw (%1), %w0" : "+r"(value) : "r"(page + 3) : "memory");
	check_equal(value, nothing & 0xffff, "a misaligned word");
	asm volatile("lock orl $1, (%0)" ::"r"(page) : "memory", "cc");
	check_equal(read_at(page), nothing, "after a locked OR");
}

static void check_places(void)
{
	unsigned bits = cpuid(0x80000008, 0).eax & 0xff;
	const u64 places[] = {
		edge_of_ram(),
		edge_of_ram() + 16 * MIB,
		GIB,
		2 * GIB,
		0xa0000000,
		0xf0000000,
		0xfed80000,
		ABOVE_4G,
		BIT64(bits) - PAGE_SIZE,
		BIT64(bits - 1),
	};

	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		check_page(places[i]);
}

/* Accesses over the last byte of RAM: the RAM part works, the rest is ones. */
static void check_edge(void)
{
	u64 edge = edge_of_ram();

	write_at(edge - 8, MARK);
	check_equal(read_at(edge - 4), nothing << 32 | MARK >> 32, "read over the end of RAM");
	write_at(edge - 4, ~MARK);
	check_equal(read_at(edge - 8), (u64)(u32)MARK | ~MARK << 32, "write over the end of RAM");
	check_equal(read_at(edge), nothing, "behind the end of RAM");
}

static void check_copy(void)
{
	u8 *page = page_alloc();
	u64 from = window_map(1, GIB, PTE_PRESENT | PTE_WRITE), count = 64, to = (u64)page;
	bool good = true;

	asm volatile("rep movsb" : "+S"(from), "+D"(to), "+c"(count)::"memory");
	for (unsigned i = 0; i < 64; i++)
		good &= page[i] == (u8)nothing;
	check(good && page[64] == 0, "REP MOVSB from nowhere");
	count = 128;
	from = (u64)page;
	to = WINDOW_BASE + PAGE_SIZE;
	asm volatile("rep movsb" : "+S"(from), "+D"(to), "+c"(count)::"memory");
	check(count == 0 && to == WINDOW_BASE + PAGE_SIZE + 128, "REP MOVSB to nowhere");
}

void micro_main(void)
{
	if (!policy("what nobody answers reads as ones"))
		nothing = read_at(GIB);
	check_places();
	check_edge();
	check_copy();
}
