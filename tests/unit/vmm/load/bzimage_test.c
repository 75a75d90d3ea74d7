/* The bzImage loader: what Linux finds at its 64-bit entry point, and every refusal. */
#include "tests/unit/vmm/load/guest.h"

#define SETUP_BYTES  (3 * 512U)
#define CODE_BYTES   0x4000U
#define KERNEL_BYTES (SETUP_BYTES + CODE_BYTES)
#define INIT_SIZE    0x100000U
#define PREFERRED    0x1000000U
#define BOOT_PARAMS  LOAD_BOOT_PARAMS

static u8 initrd[12345];

/* A minimal image of protocol 2.15 with two setup sectors behind the boot sector. */
static int make_bzimage(void **state)
{
	(void)state;
	memset(file, 0, sizeof(file));
	file[0x1f1] = 2;
	put(file + 0x1f4, CODE_BYTES / 16, 4);
	put(file + 0x1fe, 0xaa55, 2);
	put(file + 0x200, 0x6aeb, 2); /* jmp, header up to 0x26c */
	put(file + 0x202, 0x53726448, 4);
	put(file + 0x206, 0x020f, 2);
	file[0x211] = 1;
	put(file + 0x22c, 0x7fffffff, 4);
	put(file + 0x230, 0x200000, 4);
	file[0x234] = 1;
	put(file + 0x236, 1, 2);
	put(file + 0x238, 2047, 4);
	put(file + 0x258, PREFERRED, 8);
	put(file + 0x260, INIT_SIZE, 4);
	put(file + 0x268, 0x12345678, 4); /* kernel_info_offset: newer than what we know */
	for (u32 i = 0; i < CODE_BYTES; i++)
		file[SETUP_BYTES + i] = (u8)(i * 13 + 1);
	memset(initrd, 0x77, sizeof(initrd));
	guest_reset(KERNEL_BYTES);
	return 0;
}

static void kernel_lands_where_it_prefers(void **state)
{
	(void)state;
	request.kernel.bytes = KERNEL_BYTES + 100; /* a signature behind the kernel */
	expect_load("bzImage");
	assert_memory_equal(guest_ram + PREFERRED, file + SETUP_BYTES, CODE_BYTES);
	assert_int_equal(guest_ram[PREFERRED + CODE_BYTES], GUEST_FILL);
	assert_int_equal(result.state.rip, PREFERRED + 0x200);
	assert_int_equal(result.gpr[GPR_RSI], BOOT_PARAMS);
}

static void long_mode_maps_4_gib(void **state)
{
	const struct vcpu_state *s = &result.state;
	u64 pdpt;

	(void)state;
	expect_load("bzImage");
	expect_flat_start(0xa09b);
	assert_int_equal(get(s->gdtr.base + 0x10, 8), 0x00af9b000000ffff);
	assert_int_equal(s->cr0, 0x80000011);
	assert_int_equal(s->cr4, 0x20);
	assert_int_equal(s->efer, 0x500);
	pdpt = get(s->cr3, 8) & ~0xfffULL;
	assert_int_equal(get(s->cr3, 8) & 0xfff, 3);
	assert_int_equal(get(s->cr3 + 8, 8), 0);
	for (u64 gib = 0; gib < 4; gib++) {
		u64 directory = get(pdpt + gib * 8, 8);

		assert_int_equal(directory & 0xfff, 3);
		for (u64 i = 0; i < 512; i++)
			assert_int_equal(get((directory & ~0xfffULL) + i * 8, 8),
					 gib * GIB + i * 2 * MIB + 0x83);
	}
	assert_int_equal(get(pdpt + 32, 8), 0);
}

static void boot_params_follow_the_protocol(void **state)
{
	(void)state;
	request.initrd = (struct load_blob){ initrd, sizeof(initrd) };
	put(file + 0x250, 0xbad, 8); /* setup_data: not for the file to say */
	expect_load("bzImage");
	assert_int_equal(get(BOOT_PARAMS + 0x070, 8), 0xe0000);
	assert_int_equal(get(BOOT_PARAMS + 0x1e8, 1), guest_map.count);
	assert_int_equal(get(BOOT_PARAMS + 0x1ef, 1), 0); /* sentinel */
	assert_int_equal(get(BOOT_PARAMS + 0x202, 4), 0x53726448);
	assert_int_equal(get(BOOT_PARAMS + 0x206, 2), 0x020f);
	assert_int_equal(get(BOOT_PARAMS + 0x210, 1), 0xff);
	assert_int_equal(get(BOOT_PARAMS + 0x228, 4), LOAD_CMDLINE);
	assert_int_equal(get(BOOT_PARAMS + 0x250, 8), 0);
	assert_int_equal(get(BOOT_PARAMS + 0x268, 4), 0x12345678);
	assert_memory_equal(guest_ram + BOOT_PARAMS + 0x2d0, guest_map.entries,
			    guest_map.count * sizeof(struct e820_entry));
	assert_int_equal(get(BOOT_PARAMS, 8), 0);
	assert_int_equal(get(BOOT_PARAMS + 0xff8, 8), 0);
	assert_string_equal((char *)guest_ram + LOAD_CMDLINE, "console=ttyS0");
}

static void initrd_goes_to_the_top_of_memory(void **state)
{
	u64 at = GUEST_BYTES - 4 * PAGE_SIZE;

	(void)state;
	request.initrd = (struct load_blob){ initrd, sizeof(initrd) };
	expect_load("bzImage");
	assert_int_equal(get(BOOT_PARAMS + 0x218, 4), at);
	assert_int_equal(get(BOOT_PARAMS + 0x21c, 4), sizeof(initrd));
	assert_memory_equal(guest_ram + at, initrd, sizeof(initrd));
}

static void initrd_stays_below_the_kernels_limit(void **state)
{
	(void)state;
	request.initrd = (struct load_blob){ initrd, sizeof(initrd) };
	put(file + 0x22c, 0x17fffff, 4);
	expect_load("bzImage");
	assert_int_equal(get(BOOT_PARAMS + 0x218, 4), 0x1800000 - 4 * PAGE_SIZE);
	request.initrd.bytes = PAGE_SIZE; /* the limit is the last address, not the end */
	expect_load("bzImage");
	assert_int_equal(get(BOOT_PARAMS + 0x218, 4), 0x1800000 - PAGE_SIZE);
	put(file + 0x22c, PREFERRED + INIT_SIZE + sizeof(initrd) - 2, 4);
	guest_reset(KERNEL_BYTES);
	request.initrd = (struct load_blob){ initrd, sizeof(initrd) };
	expect_refusal(ERR_UNSUPPORTED, "larger than this kernel can address");
}

static void no_command_line_is_an_empty_one(void **state)
{
	(void)state;
	request.cmdline = NULL;
	expect_load("bzImage");
	assert_int_equal(get(LOAD_CMDLINE, 1), 0);
	assert_int_equal(get(LOAD_CMDLINE + 1, 1), GUEST_FILL);
	assert_int_equal(get(BOOT_PARAMS + 0x218, 8), 0); /* and no initrd */
}

static void memory_must_hold_the_unpacked_kernel(void **state)
{
	(void)state;
	guest_set_memory(PREFERRED + INIT_SIZE);
	expect_load("bzImage");
	guest_reset(KERNEL_BYTES);
	guest_set_memory(PREFERRED + INIT_SIZE - PAGE_SIZE);
	expect_refusal(ERR_NO_MEMORY, "more memory to unpack");
	assert_int_equal(result.needed_bytes, PREFERRED + INIT_SIZE);
}

static void memory_must_hold_the_initrd_too(void **state)
{
	(void)state;
	request.initrd = (struct load_blob){ initrd, sizeof(initrd) };
	guest_set_memory(PREFERRED + INIT_SIZE + 3 * PAGE_SIZE);
	expect_refusal(ERR_NO_MEMORY, "initrd does not fit");
	assert_int_equal(result.needed_bytes, PREFERRED + INIT_SIZE + 4 * PAGE_SIZE);
	guest_set_memory(result.needed_bytes);
	expect_load("bzImage");
}

static void damaged_images_are_refused(void **state)
{
	(void)state;
	request.kernel.bytes = 0x240;
	expect_refusal(ERR_BAD_FORMAT, "setup header is cut off");
	request.kernel.bytes = 0x269;
	expect_refusal(ERR_BAD_FORMAT, "setup header is shorter");
	request.kernel.bytes = KERNEL_BYTES - 1;
	expect_refusal(ERR_BAD_FORMAT, "the file ends before the kernel");
	request.kernel.bytes = SETUP_BYTES - 1;
	expect_refusal(ERR_BAD_FORMAT, "the file ends before the kernel");
	request.kernel.bytes = KERNEL_BYTES;
	file[0x201] = 0x50; /* the header ends before init_size */
	expect_refusal(ERR_BAD_FORMAT, "setup header is shorter");
	file[0x201] = 0x6a;
	put(file + 0x1f4, 0x20, 4); /* no byte at the entry point */
	expect_refusal(ERR_BAD_FORMAT, "holds no kernel");
	put(file + 0x1f4, 0xffffffff, 4);
	expect_refusal(ERR_BAD_FORMAT, "the file ends before the kernel");
	put(file + 0x1f4, CODE_BYTES / 16, 4);
	put(file + 0x1fe, 0, 2);
	expect_refusal(ERR_BAD_FORMAT, "boot flag");
}

static void zero_setup_sectors_mean_four(void **state)
{
	(void)state;
	file[0x1f1] = 0;
	expect_refusal(ERR_BAD_FORMAT, "the file ends before the kernel");
	request.kernel.bytes = KERNEL_BYTES + 1024;
	expect_load("bzImage");
	assert_memory_equal(guest_ram + PREFERRED, file + 5 * 512, CODE_BYTES);
}

static void foreign_images_are_refused(void **state)
{
	(void)state;
	put(file + 0x206, 0x020b, 2);
	expect_refusal(ERR_UNSUPPORTED, "older than 2.12");
	put(file + 0x206, 0x020c, 2);
	file[0x211] = 0;
	expect_refusal(ERR_UNSUPPORTED, "zImage");
	file[0x211] = 1;
	put(file + 0x236, 2, 2);
	expect_refusal(ERR_UNSUPPORTED, "32-bit kernel");
	put(file + 0x236, 1, 2);
	put(file + 0x238, 12, 4);
	expect_refusal(ERR_INVALID, "longer than this kernel");
	put(file + 0x238, 13, 4);
	expect_load("bzImage");
}

static void preferred_address_is_checked(void **state)
{
	static const u64 nowhere[] = { 0,	   0x80000,	 0xfe000000,   4 * GIB,
				       1ULL << 63, ~0xffffffULL, 0xbff80000ULL };

	(void)state;
	put(file + 0x258, PREFERRED + 0x1000, 8);
	expect_refusal(ERR_BAD_FORMAT, "alignment");
	put(file + 0x230, 3, 4);
	expect_refusal(ERR_BAD_FORMAT, "alignment");
	put(file + 0x230, 0, 4);
	expect_refusal(ERR_BAD_FORMAT, "alignment");
	put(file + 0x230, 0x1000, 4);
	for (u32 i = 0; i < ARRAY_SIZE(nowhere); i++) {
		put(file + 0x258, nowhere[i], 8);
		expect_refusal(ERR_UNSUPPORTED, "has no RAM");
	}
	put(file + 0x258, PREFERRED, 8);
	put(file + 0x260, 0xffffffff, 4);
	expect_refusal(ERR_UNSUPPORTED, "has no RAM");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(kernel_lands_where_it_prefers, make_bzimage),
		cmocka_unit_test_setup(long_mode_maps_4_gib, make_bzimage),
		cmocka_unit_test_setup(boot_params_follow_the_protocol, make_bzimage),
		cmocka_unit_test_setup(initrd_goes_to_the_top_of_memory, make_bzimage),
		cmocka_unit_test_setup(initrd_stays_below_the_kernels_limit, make_bzimage),
		cmocka_unit_test_setup(no_command_line_is_an_empty_one, make_bzimage),
		cmocka_unit_test_setup(memory_must_hold_the_unpacked_kernel, make_bzimage),
		cmocka_unit_test_setup(memory_must_hold_the_initrd_too, make_bzimage),
		cmocka_unit_test_setup(damaged_images_are_refused, make_bzimage),
		cmocka_unit_test_setup(zero_setup_sectors_mean_four, make_bzimage),
		cmocka_unit_test_setup(foreign_images_are_refused, make_bzimage),
		cmocka_unit_test_setup(preferred_address_is_checked, make_bzimage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
