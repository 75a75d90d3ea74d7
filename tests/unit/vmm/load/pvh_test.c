/* PVH kernels and ELF files in general: what is loaded, and every refusal. */
#include "tests/unit/vmm/load/elf_image.h"

#define NOTES 0x2800U

/* Appends a note at `at` of the note segment; returns where the next one goes. */
static u32 put_note(u32 at, const char *name, u32 type, u64 content, u32 bytes)
{
	u32 name_bytes = (u32)strlen(name) + 1;
	u8 *n = file + NOTES + at;

	put(n, name_bytes, 4);
	put(n + 4, bytes, 4);
	put(n + 8, type, 4);
	memset(n + 12, 0, 32);
	memcpy(n + 12, name, name_bytes);
	put(n + 12 + align_up(name_bytes, 4), content, bytes);
	at += 12 + (u32)align_up(name_bytes, 4) + (u32)align_up(bytes, 4);
	put_program(2, P_FILESZ, at);
	return at;
}

static void make_pvh(bool wide, u64 entry)
{
	u32 at;

	make_elf(wide);
	at = put_note(0, "GNU", 18, 0x666, 4);
	at = put_note(at, "Xen", 6, 0x777, 8);
	put_note(at, "Xen", 18, entry, wide ? 8 : 4);
}

static int pvh64(void **state)
{
	(void)state;
	make_pvh(true, 0x200040);
	return 0;
}

static int pvh32(void **state)
{
	(void)state;
	make_pvh(false, 0x200040);
	return 0;
}

static void starts_in_flat_protected_mode(void **state)
{
	const struct vcpu_state *s = &result.state;

	(void)state;
	expect_load("PVH");
	expect_segments();
	expect_flat_start(0xc09b);
	assert_int_equal(get(s->gdtr.base + 0x10, 8), 0x00cf9b000000ffff);
	assert_int_equal(s->rip, 0x200040);
	assert_int_equal(s->cr0, 0x11);
	assert_int_equal(s->cr4, 0);
	assert_int_equal(s->efer, 0);
	assert_int_equal(result.gpr[GPR_RBX], LOAD_INFO);
}

static void start_info_follows_the_abi(void **state)
{
	static const u8 initrd[5000] = { 1, 2, 3 };
	u64 info = LOAD_INFO, module, map;

	(void)state;
	request.initrd = (struct load_blob){ initrd, sizeof(initrd) };
	expect_load("PVH");
	assert_int_equal(get(info, 4), 0x336ec578);
	assert_int_equal(get(info + 4, 4), 1);
	assert_int_equal(get(info + 8, 4), 0);
	assert_int_equal(get(info + 12, 4), 1);
	assert_string_equal((char *)guest_ram + get(info + 24, 8), "console=ttyS0");
	assert_int_equal(get(info + 32, 8), 0xe0000);
	module = get(info + 16, 8);
	assert_int_equal(get(module, 8), GUEST_BYTES - 2 * PAGE_SIZE);
	assert_int_equal(get(module + 8, 8), sizeof(initrd));
	assert_memory_equal(guest_ram + GUEST_BYTES - 2 * PAGE_SIZE, initrd, sizeof(initrd));
	map = get(info + 40, 8);
	assert_int_equal(get(info + 48, 4), guest_map.count);
	for (u32 i = 0; i < guest_map.count; i++) {
		assert_int_equal(get(map + i * 24, 8), guest_map.entries[i].base);
		assert_int_equal(get(map + i * 24 + 8, 8), guest_map.entries[i].bytes);
		assert_int_equal(get(map + i * 24 + 16, 8), guest_map.entries[i].type);
	}
}

static void no_initrd_is_no_module(void **state)
{
	(void)state;
	expect_load("PVH");
	assert_int_equal(get(LOAD_INFO + 12, 4), 0);
	assert_int_equal(get(LOAD_INFO + 16, 8), 0);
}

static void truncated_files_are_refused(void **state)
{
	(void)state;
	request.kernel.bytes = 4;
	expect_refusal(ERR_BAD_FORMAT, "ELF header ends behind the file");
	request.kernel.bytes = elf64 ? 63 : 51;
	expect_refusal(ERR_BAD_FORMAT, "ELF header ends behind the file");
	request.kernel.bytes = ELF_PROGRAMS + 2 * program_bytes() + 4;
	expect_refusal(ERR_BAD_FORMAT, "header or segment ends behind the file");
	request.kernel.bytes = 0x23ff;
	expect_refusal(ERR_BAD_FORMAT, "header or segment ends behind the file");
}

static void overflowing_sizes_are_refused(void **state)
{
	u64 top = elf64 ? UINT64_MAX : UINT32_MAX;

	(void)state;
	put_program(0, P_OFFSET, top);
	expect_refusal(ERR_BAD_FORMAT, "header or segment ends behind the file");
	put_program(0, P_OFFSET, 0x1000);
	put_program(0, P_FILESZ, top);
	expect_refusal(ERR_BAD_FORMAT, "header or segment ends behind the file");
	put_program(0, P_FILESZ, 0x1000);
	put_program(2, P_OFFSET, top);
	expect_refusal(ERR_BAD_FORMAT, "header or segment ends behind the file");
	put_program(2, P_OFFSET, NOTES);
	put_program(0, P_MEMSZ, top);
	expect_refusal(ERR_UNSUPPORTED, "not free RAM");
	put_program(0, P_PADDR, top);
	expect_refusal(ERR_UNSUPPORTED, "not free RAM");
	put_program(0, P_MEMSZ, 0xfff);
	expect_refusal(ERR_BAD_FORMAT, "longer in the file than in memory");
	put_header(28, 32, top, elf64 ? 8 : 4);
	expect_refusal(ERR_BAD_FORMAT, "header or segment ends behind the file");
}

static void foreign_elf_files_are_refused(void **state)
{
	(void)state;
	put(file + 4, 3, 1);
	expect_refusal(ERR_BAD_FORMAT, "identification");
	put(file + 4, elf64 ? 2 : 1, 1);
	put(file + 5, 2, 1);
	expect_refusal(ERR_BAD_FORMAT, "identification");
	put(file + 5, 1, 1);
	put(file + 18, 183, 2);
	expect_refusal(ERR_BAD_FORMAT, "another processor");
	put(file + 18, 62, 2);
	put(file + 16, 1, 2);
	expect_refusal(ERR_BAD_FORMAT, "not an executable");
	put(file + 16, 2, 2);
	put_header(44, 56, 0, 2);
	expect_refusal(ERR_BAD_FORMAT, "wrong size or number");
	put_header(44, 56, 65, 2);
	expect_refusal(ERR_BAD_FORMAT, "wrong size or number");
	put_header(44, 56, 3, 2);
	put_header(42, 54, 8, 2);
	expect_refusal(ERR_BAD_FORMAT, "wrong size or number");
}

static void empty_elf_files_are_refused(void **state)
{
	(void)state;
	put_program(0, P_TYPE, PT_NULL);
	put_program(1, P_FILESZ, 0);
	put_program(1, P_MEMSZ, 0);
	expect_refusal(ERR_BAD_FORMAT, "nothing to load");
}

static void too_many_segments_are_refused(void **state)
{
	(void)state;
	make_elf(elf64);
	for (u32 i = 0; i < 33; i++)
		make_program(i, PT_LOAD, 0x1000, 0x200000 + i * 0x1000, 0, 1);
	put_header(44, 56, 33, 2);
	expect_refusal(ERR_BAD_FORMAT, "too many ELF segments");
	put_header(44, 56, 32, 2);
	expect_refusal(ERR_UNSUPPORTED, "without a PVH note");
}

static void segments_need_free_ram(void **state)
{
	/* Below, inside and above the loader's pages, the EBDA, the BIOS area, no RAM at all. */
	static const u64 taken[] = { LOAD_FIRST - 0x800, LOAD_GDT, LOAD_END - 1,
				     MAP_EBDA - 0x800,	 0xf0000,  0xfee00000 };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(taken); i++) {
		put_program(1, P_PADDR, taken[i]);
		expect_refusal(ERR_UNSUPPORTED, "not free RAM");
	}
	put_program(1, P_PADDR, LOAD_END);
	expect_load("PVH");
	guest_reset(ELF_BYTES);
	put_program(1, P_PADDR, GUEST_BYTES - 0x800);
	expect_refusal(ERR_NO_MEMORY, "more memory than the VM has");
	assert_int_equal(result.needed_bytes, GUEST_BYTES + 0x800);
}

static void initrd_needs_memory_beside_the_kernel(void **state)
{
	static const u8 initrd[PAGE_SIZE + 1];

	(void)state;
	request.initrd = (struct load_blob){ initrd, sizeof(initrd) };
	guest_set_memory(0x302000);
	expect_refusal(ERR_NO_MEMORY, "initrd does not fit");
	assert_int_equal(result.needed_bytes, 0x303000);
	request.initrd.bytes = 4 * GIB;
	expect_refusal(ERR_UNSUPPORTED, "larger than low memory");
	request.initrd.bytes = sizeof(initrd);
	guest_set_memory(0x303000);
	expect_load("PVH");
}

static void entry_must_be_loaded(void **state)
{
	(void)state;
	make_pvh(elf64, 0x201800);
	expect_refusal(ERR_BAD_FORMAT, "entry point lies outside");
	make_pvh(elf64, 0x2017ff);
	expect_load("PVH");
}

static void damaged_notes_are_refused(void **state)
{
	(void)state;
	put(file + NOTES, 0x1000, 4); /* the first name is longer than the segment */
	expect_refusal(ERR_BAD_FORMAT, "notes are damaged");
	put(file + NOTES, 0xffffffff, 4);
	expect_refusal(ERR_BAD_FORMAT, "notes are damaged");
	put(file + NOTES, 4, 4);
	put(file + NOTES + 4, 0xfffffffe, 4);
	expect_refusal(ERR_BAD_FORMAT, "notes are damaged");
	make_elf(elf64);
	put_note(0, "Xen", 18, 0x2000, 2);
	expect_refusal(ERR_BAD_FORMAT, "note is too short");
}

static void notes_of_others_do_not_count(void **state)
{
	u32 at;

	(void)state;
	make_elf(elf64);
	at = put_note(0, "Xen", 17, 0x200040, 8);
	at = put_note(at, "XEN", 18, 0x200040, 8);
	at = put_note(at, "Xe", 18, 0x200040, 8);
	put_note(at, "Xen", 18, 0x200040, 8);
	put(file + NOTES + at, 3, 4); /* a name without its NUL */
	expect_refusal(ERR_UNSUPPORTED, "without a PVH note or multiboot header");
}

static void notes_may_be_aligned_to_8(void **state)
{
	static const u32 notes[] = {
		4, 12, 5,  0x554e47, 1,	       2, 3, 0, /* GNU, with 4 bytes of padding */
		4, 4,  18, 0x6e6558, 0x200040,		/* Xen; the last lacks its padding */
	};

	(void)state;
	make_elf(elf64);
	memcpy(file + NOTES, notes, sizeof(notes));
	put_program(2, P_FILESZ, sizeof(notes));
	put_program(2, P_ALIGN, 8);
	expect_load("PVH");
	assert_int_equal(result.state.rip, 0x200040);
}

#define IN_BOTH(test) cmocka_unit_test_setup(test, pvh64), cmocka_unit_test_setup(test, pvh32)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_BOTH(starts_in_flat_protected_mode),
		IN_BOTH(start_info_follows_the_abi),
		IN_BOTH(no_initrd_is_no_module),
		IN_BOTH(truncated_files_are_refused),
		IN_BOTH(overflowing_sizes_are_refused),
		IN_BOTH(foreign_elf_files_are_refused),
		IN_BOTH(empty_elf_files_are_refused),
		IN_BOTH(too_many_segments_are_refused),
		IN_BOTH(segments_need_free_ram),
		IN_BOTH(initrd_needs_memory_beside_the_kernel),
		IN_BOTH(entry_must_be_loaded),
		IN_BOTH(damaged_notes_are_refused),
		IN_BOTH(notes_of_others_do_not_count),
		IN_BOTH(notes_may_be_aligned_to_8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
