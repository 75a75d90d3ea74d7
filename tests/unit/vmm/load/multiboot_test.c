/* Multiboot kernels as ELF and by address fields, and files that are no kernel at all. */
#include "tests/unit/vmm/load/elf_image.h"

#define HEADER_AT 0x1008U /* in the ELF file: in its first segment */

static void put_multiboot(u32 at, u32 flags)
{
	put(file + at, 0x1badb002, 4);
	put(file + at + 4, flags, 4);
	put(file + at + 8, 0U - 0x1badb002U - flags, 4);
}

static int multiboot_elf(void **state)
{
	(void)state;
	make_elf(false);
	put_multiboot(HEADER_AT, 3);
	return 0;
}

static void put_addresses(u32 at, u32 header, u32 load, u32 load_end, u32 bss_end, u32 entry)
{
	const u32 fields[] = { header, load, load_end, bss_end, entry };

	memcpy(file + at + 12, fields, sizeof(fields));
}

/* No ELF: a header at 0x40 that loads from 0x20 to 0x1020 of the file, and 0x800 of bss. */
static int multiboot_flat(void **state)
{
	(void)state;
	memset(file, 0, sizeof(file));
	for (u32 i = 0; i < 0x2000; i++)
		file[i] = (u8)(i * 11 + 5);
	put_multiboot(0x40, 0x10000);
	put_addresses(0x40, 0x200020, 0x200000, 0x201000, 0x201800, 0x200100);
	guest_reset(0x2000);
	return 0;
}

static void starts_by_the_specification(void **state)
{
	const struct vcpu_state *s = &result.state;

	(void)state;
	expect_load("multiboot");
	expect_segments();
	expect_flat_start(0xc09b);
	assert_int_equal(s->cr0, 0x11);
	assert_int_equal(s->efer, 0);
	assert_int_equal(s->rip, 0x200020); /* where its segment is loaded, not linked */
	assert_int_equal(result.gpr[GPR_RAX], 0x2badb002);
	assert_int_equal(result.gpr[GPR_RBX], LOAD_INFO);
}

static void information_is_complete(void **state)
{
	static const u8 initrd[100] = { 9, 8, 7 };
	u64 info = LOAD_INFO, module, map;

	(void)state;
	request.initrd = (struct load_blob){ initrd, sizeof(initrd) };
	expect_load("multiboot");
	assert_int_equal(get(info, 4), 0x24d);
	assert_int_equal(get(info + 4, 4), 639);
	assert_int_equal(get(info + 8, 4), (GUEST_BYTES - MIB) / KIB);
	assert_string_equal((char *)guest_ram + get(info + 16, 4), "console=ttyS0");
	assert_int_equal(get(info + 20, 4), 1);
	module = get(info + 24, 4);
	assert_int_equal(get(module, 4), 0x301000); /* the first page behind the kernel */
	assert_int_equal(get(module + 4, 4), 0x301000 + sizeof(initrd));
	assert_string_equal((char *)guest_ram + get(module + 8, 4), "");
	assert_memory_equal(guest_ram + 0x301000, initrd, sizeof(initrd));
	assert_int_equal(get(info + 44, 4), guest_map.count * 24);
	map = get(info + 48, 4);
	for (u32 i = 0; i < guest_map.count; i++) {
		assert_int_equal(get(map + i * 24, 4), 20);
		assert_memory_equal(guest_ram + map + i * 24 + 4, &guest_map.entries[i], 20);
	}
	assert_string_equal((char *)guest_ram + get(info + 64, 4), "Ringfence");
}

static void no_initrd_is_no_module(void **state)
{
	(void)state;
	expect_load("multiboot");
	assert_int_equal(get(LOAD_INFO + 20, 4), 0);
}

static void a_64_bit_elf_file_will_do(void **state)
{
	(void)state;
	make_elf(true);
	put_multiboot(HEADER_AT, 0);
	expect_load("multiboot");
	expect_segments();
	assert_int_equal(result.state.rip, 0x200020);
}

static void header_must_be_in_the_first_8_kib(void **state)
{
	(void)state;
	put(file + HEADER_AT, 0, 4);
	put_multiboot(8192 - 8, 3); /* ends 4 bytes too late */
	expect_refusal(ERR_UNSUPPORTED, "without a PVH note or multiboot header");
	put_multiboot(8192 - 12, 3);
	expect_load("multiboot");
	guest_reset(ELF_BYTES);
	put(file + 8192 - 12, 0, 4);
	put_multiboot(HEADER_AT + 2, 3);
	expect_refusal(ERR_UNSUPPORTED, "multiboot header"); /* not aligned */
}

static void header_needs_its_checksum(void **state)
{
	(void)state;
	put(file + HEADER_AT + 8, 0, 4);
	expect_refusal(ERR_UNSUPPORTED, "without a PVH note or multiboot header");
}

static void unknown_features_are_refused(void **state)
{
	(void)state;
	put_multiboot(HEADER_AT, 4);
	expect_refusal(ERR_UNSUPPORTED, "video mode");
	put_multiboot(HEADER_AT, 0x8000);
	expect_refusal(ERR_UNSUPPORTED, "feature that is not known");
	put_multiboot(HEADER_AT, 0x80000000); /* optional: may be ignored */
	expect_load("multiboot");
}

static void damaged_elf_file_is_refused(void **state)
{
	(void)state;
	put_program(1, P_FILESZ, 0x2000);
	expect_refusal(ERR_BAD_FORMAT, "header or segment ends behind the file");
}

static void address_fields_load_any_file(void **state)
{
	(void)state;
	expect_load("multiboot");
	assert_memory_equal(guest_ram + 0x200000, file + 0x20, 0x1000);
	assert_int_equal(get(0x201000, 8), 0);
	assert_int_equal(get(0x2017f8, 8), 0);
	assert_int_equal(guest_ram[0x201800], GUEST_FILL);
	assert_int_equal(result.state.rip, 0x200100);
}

static void address_fields_may_be_open(void **state)
{
	(void)state;
	put_addresses(0x40, 0x200040, 0x200000, 0, 0, 0x200100);
	expect_load("multiboot"); /* the whole file, no bss */
	assert_memory_equal(guest_ram + 0x200000, file, 0x2000);
	assert_int_equal(guest_ram[0x202000], GUEST_FILL);
}

static void wrong_address_fields_are_refused(void **state)
{
	(void)state;
	put_addresses(0x40, 0x1fffff, 0x200000, 0, 0, 0x200100);
	expect_refusal(ERR_BAD_FORMAT, "before the start of the file");
	put_addresses(0x40, 0x200041, 0x200000, 0, 0, 0x200100);
	expect_refusal(ERR_BAD_FORMAT, "before the start of the file");
	put_addresses(0x40, 0x200040, 0x200000, 0x202001, 0, 0x200100);
	expect_refusal(ERR_BAD_FORMAT, "load end lies behind the file");
	put_addresses(0x40, 0x200040, 0x200000, 0x1fffff, 0, 0x200100);
	expect_refusal(ERR_BAD_FORMAT, "load end lies behind the file");
	put_addresses(0x40, 0x200040, 0x200000, 0, 0, 0x202000);
	expect_refusal(ERR_BAD_FORMAT, "entry point lies outside");
	put_addresses(0x40, 0x200040, 0x200000, 0, 0xffffffff, 0x200100);
	expect_refusal(ERR_UNSUPPORTED, "not free RAM");
	put_addresses(0x40, 0x200040, 0x200000, 0, 0x2400000, 0x200100);
	expect_refusal(ERR_NO_MEMORY, "more memory than the VM has");
	put_addresses(0x40, 0x10040, 0x10000, 0, 0, 0x10100);
	expect_refusal(ERR_UNSUPPORTED, "not free RAM");
	request.kernel.bytes = 0x40 + 12 + 19;
	expect_refusal(ERR_BAD_FORMAT, "header is cut off");
	put_multiboot(0x40, 0);
	expect_refusal(ERR_BAD_FORMAT, "no ELF file and gives no load addresses");
}

static void what_is_no_kernel_is_refused(void **state)
{
	(void)state;
	memset(file, 0, sizeof(file));
	guest_reset(0);
	expect_refusal(ERR_BAD_FORMAT, "empty");
	assert_null(result.format);
	request.kernel.bytes = 3;
	expect_refusal(ERR_UNSUPPORTED, "neither a bzImage");
	request.kernel.bytes = sizeof(file);
	expect_refusal(ERR_UNSUPPORTED, "neither a bzImage");
	make_elf(true);
	expect_refusal(ERR_UNSUPPORTED, "for Linux give the bzImage");
}

static void requests_are_checked(void **state)
{
	static char cmdline[LOAD_CMDLINE_BYTES + 1];

	(void)state;
	memset(cmdline, 'x', LOAD_CMDLINE_BYTES);
	request.cmdline = cmdline;
	expect_refusal(ERR_INVALID, "64 KiB");
	cmdline[LOAD_CMDLINE_BYTES - 1] = 0;
	expect_load("multiboot");
	guest_reset(ELF_BYTES);
	request.low_bytes = MIB;
	expect_refusal(ERR_INVALID, "no memory at 1 MiB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(starts_by_the_specification, multiboot_elf),
		cmocka_unit_test_setup(information_is_complete, multiboot_elf),
		cmocka_unit_test_setup(no_initrd_is_no_module, multiboot_elf),
		cmocka_unit_test(a_64_bit_elf_file_will_do),
		cmocka_unit_test_setup(header_must_be_in_the_first_8_kib, multiboot_elf),
		cmocka_unit_test_setup(header_needs_its_checksum, multiboot_elf),
		cmocka_unit_test_setup(unknown_features_are_refused, multiboot_elf),
		cmocka_unit_test_setup(damaged_elf_file_is_refused, multiboot_elf),
		cmocka_unit_test_setup(address_fields_load_any_file, multiboot_flat),
		cmocka_unit_test_setup(address_fields_may_be_open, multiboot_flat),
		cmocka_unit_test_setup(wrong_address_fields_are_refused, multiboot_flat),
		cmocka_unit_test(what_is_no_kernel_is_refused),
		cmocka_unit_test_setup(requests_are_checked, multiboot_elf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
