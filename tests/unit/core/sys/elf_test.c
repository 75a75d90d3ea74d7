/* Tests of the ELF loader: what it maps, and every header that it must refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem/frames.h"
#include "core/sys/process.h"
#include "lib/x86/registers.h"
#include "tests/support/fake_machine.h"

#define SEGMENT_BYTES 56U

/* Offsets in the file: System V ABI, "ELF Header" and "Program Header". */
enum {
	TYPE = 16,
	MACHINE = 18,
	ENTRY = 24,
	PHOFF = 32,
	PHENTSIZE = 54,
	PHNUM = 56,
	SEGMENT = 64,
	P_FLAGS = SEGMENT + 4,
	P_OFFSET = SEGMENT + 8,
	P_VADDR = SEGMENT + 16,
	P_FILESZ = SEGMENT + 32,
	P_MEMSZ = SEGMENT + 40,
};

static u8 original[2 * PAGE_SIZE];
static struct boot_module *module;

static u8 *file(void)
{
	return fake_physical(module->start, sizeof(original));
}

static int fresh(void **state)
{
	(void)state;
	memcpy(file(), original, sizeof(original));
	module->bytes = sizeof(original);
	return fake_machine_supervisor() == ERR_OK ? 0 : -1;
}

static int clear(void **state)
{
	(void)state;
	fake_machine_clear();
	return 0;
}

static void put(u32 offset, u64 value, u32 bytes)
{
	memcpy(file() + offset, &value, bytes);
}

static enum err load(void)
{
	u64 before = frames_available();
	struct process *p;
	enum err err = process_create("test", module, &p);

	if (!err)
		process_destroy(p);
	assert_int_equal(frames_available(), before);
	return err;
}

static void refused(u32 offset, u64 value, u32 bytes)
{
	u64 old = 0;

	memcpy(&old, file() + offset, bytes);
	put(offset, value, bytes);
	assert_int_equal(load(), ERR_BAD_FORMAT);
	put(offset, old, bytes);
}

static void maps_segments_with_their_rights(void **state)
{
	struct process *p;
	struct paging_leaf leaf;

	(void)state;
	file()[PAGE_SIZE] = 0xab; /* the first byte of code */
	assert_int_equal(process_create("test", module, &p), ERR_OK);
	assert_int_equal(process_main(p)->frame.rip, FAKE_RING3_CODE);
	assert_true(paging_find(&p->space, FAKE_RING3_CODE, &leaf));
	assert_int_equal(leaf.entry & (PTE_WRITE | PTE_NX | PTE_USER), PTE_USER);
	assert_int_equal(*(u8 *)fake_physical(leaf.physical, 1), 0xab);
	assert_int_equal(frames_owner(leaf.physical), process_owner(p));
	assert_true(paging_find(&p->space, FAKE_RING3_DATA, &leaf));
	assert_int_equal(leaf.entry & (PTE_WRITE | PTE_NX | PTE_USER),
			 PTE_WRITE | PTE_NX | PTE_USER);
	process_destroy(p);
}

static void refuses_bad_headers(void **state)
{
	(void)state;
	assert_int_equal(load(), ERR_OK);
	refused(0, 0, 1);	/* not ELF */
	refused(4, 1, 1);	/* 32-bit */
	refused(5, 2, 1);	/* big-endian */
	refused(TYPE, 3, 2);	/* shared object */
	refused(MACHINE, 3, 2); /* i386 */
	refused(PHENTSIZE, 55, 2);
	refused(PHNUM, 17, 2);
	refused(PHOFF, sizeof(original) - 1, 8);
	refused(PHOFF, ~0ULL, 8);
	refused(ENTRY, 0x800000000000, 8); /* not canonical */
	refused(ENTRY, 0, 8);
	refused(ENTRY, 0xffffffff80000000, 8);
}

static void refuses_bad_segments(void **state)
{
	(void)state;
	refused(P_FLAGS, 7, 4); /* writable and executable */
	refused(P_OFFSET, sizeof(original) + 1, 8);
	refused(P_OFFSET, ~0ULL, 8);
	refused(P_OFFSET, sizeof(original) - 63, 8); /* 64 bytes of it */
	refused(P_FILESZ, PAGE_SIZE + 1, 8);	     /* more than in memory */
	refused(P_FILESZ, ~0ULL, 8);
	refused(P_MEMSZ, 0x40000000, 8);
	refused(P_MEMSZ, ~0ULL, 8);
	refused(P_VADDR, 0x3ff000, 8);
	refused(P_VADDR, 0x40000000, 8);
	refused(P_VADDR, ~0ULL, 8);
	refused(P_VADDR, 0xffffffff80000000, 8);
}

static void segments_must_not_share_a_page(void **state)
{
	(void)state;
	put(P_VADDR, FAKE_RING3_DATA, 8);
	assert_int_equal(load(), ERR_EXISTS);
}

static void a_module_cut_anywhere(void **state)
{
	(void)state;
	for (u64 bytes = 0; bytes < SEGMENT + 2 * SEGMENT_BYTES; bytes++) {
		module->bytes = bytes;
		assert_int_equal(load(), ERR_BAD_FORMAT);
	}
	module->bytes = PAGE_SIZE + 63; /* in the code */
	assert_int_equal(load(), ERR_BAD_FORMAT);
	module->bytes = PAGE_SIZE + 64;
	assert_int_equal(load(), ERR_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(maps_segments_with_their_rights, fresh, clear),
		cmocka_unit_test_setup_teardown(refuses_bad_headers, fresh, clear),
		cmocka_unit_test_setup_teardown(refuses_bad_segments, fresh, clear),
		cmocka_unit_test_setup_teardown(segments_must_not_share_a_page, fresh, clear),
		cmocka_unit_test_setup_teardown(a_module_cut_anywhere, fresh, clear),
	};

	fake_machine_start(16 * MIB);
	module = &boot_info.module[1];
	memcpy(original, file(), sizeof(original));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
