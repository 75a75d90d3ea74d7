/* Synthesized ELF files of both sizes for loader tests. */
#pragma once

#include "tests/unit/vmm/load/guest.h"

#define ELF_PROGRAMS 0x40U /* program headers; phentsize apart */
#define ELF_BYTES    0x3000U

enum { PT_NULL, PT_LOAD, PT_NOTE = 4 };

static bool elf64;

static inline u32 program_bytes(void)
{
	return elf64 ? 56 : 32;
}

/* A field of program header `i`, by its offsets in both sizes. */
static inline void put_program(u32 i, u32 at32, u32 at64, u64 value)
{
	u8 *p = file + ELF_PROGRAMS + i * program_bytes();

	if (elf64)
		put(p + at64, value, at64 < 8 ? 4 : 8);
	else
		put(p + at32, value, 4);
}

#define P_TYPE	 0, 0
#define P_OFFSET 4, 8
#define P_VADDR	 8, 16
#define P_PADDR	 12, 24
#define P_FILESZ 16, 32
#define P_MEMSZ	 20, 40
#define P_ALIGN	 28, 48

static inline void make_program(u32 i, u32 type, u64 offset, u64 paddr, u64 filesz, u64 memsz)
{
	put_program(i, P_TYPE, type);
	put_program(i, P_OFFSET, offset);
	put_program(i, P_VADDR, paddr + 0x10000000);
	put_program(i, P_PADDR, paddr);
	put_program(i, P_FILESZ, filesz);
	put_program(i, P_MEMSZ, memsz);
	put_program(i, P_ALIGN, 4);
}

/*
 * Two segments, 0x1000 + bss at 2 MiB and one page at 3 MiB, and an empty note segment at 0x2800;
 * linked 256 MiB higher than loaded. The entry point is 0x20 into the first.
 */
static inline void make_elf(bool wide)
{
	elf64 = wide;
	memset(file, 0, sizeof(file));
	for (u32 i = 0x1000; i < ELF_BYTES; i++)
		file[i] = (u8)(i * 7 + 3);
	put(file, 0x464c457f, 4);
	file[4] = wide ? 2 : 1;
	file[5] = 1;
	file[6] = 1;
	put(file + 16, 2, 2);
	put(file + 18, wide ? 62 : 3, 2);
	put(file + 24, 0x10200020, wide ? 8 : 4);
	put(file + (wide ? 32 : 28), ELF_PROGRAMS, wide ? 8 : 4);
	put(file + (wide ? 54 : 42), program_bytes(), 2);
	put(file + (wide ? 56 : 44), 3, 2);
	make_program(0, PT_LOAD, 0x1000, 0x200000, 0x1000, 0x1800);
	make_program(1, PT_LOAD, 0x2000, 0x300000, 0x400, 0x1000);
	make_program(2, PT_NOTE, 0x2800, 0, 0, 0);
	guest_reset(ELF_BYTES);
}

/* Sets a field of the ELF header. */
static inline void put_header(u32 at32, u32 at64, u64 value, u32 bytes)
{
	put(file + (elf64 ? at64 : at32), value, bytes);
}

static inline void expect_segments(void)
{
	assert_memory_equal(guest_ram + 0x200000, file + 0x1000, 0x1000);
	for (u32 i = 0x1000; i < 0x1800; i++)
		assert_int_equal(guest_ram[0x200000 + i], 0);
	assert_int_equal(guest_ram[0x201800], GUEST_FILL);
	assert_memory_equal(guest_ram + 0x300000, file + 0x2000, 0x400);
	assert_int_equal(guest_ram[0x300fff], 0);
	assert_int_equal(guest_ram[0x301000], GUEST_FILL);
}
