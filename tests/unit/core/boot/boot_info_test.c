/* Tests of reading the boot loader's information: what is taken, and what is malformed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/boot/boot_info.c"
#include "tests/support/fake_log.h"

#define INFO 0x10000UL

static u8 info[4096];
static u32 used;

/* Nothing outside the structure may be looked at. */
void window_read(hpa_t from, void *to, u64 bytes)
{
	assert_true(from.raw >= INFO);
	assert_true(from.raw + bytes <= INFO + max_u64(used, sizeof(u32)));
	memcpy(to, info + (from.raw - INFO), bytes);
}

static int fresh(void **state)
{
	(void)state;
	memset(info, 0xcc, sizeof(info));
	boot_info = (struct boot_info){ 0 };
	used = 8;
	return 0;
}

/* A tag of `size` bytes, of which `given` are written. */
static void tag(u32 type, const void *body, u32 given, u32 size)
{
	const struct tag head = { type, size };

	memcpy(info + used, &head, sizeof(head));
	memcpy(info + used + sizeof(head), body, given);
	used += (u32)align_up(sizeof(head) + given, TAG_ALIGN);
}

static void read_all(void)
{
	memcpy(info, &used, sizeof(used));
	boot_info_read(MULTIBOOT2_BOOT_MAGIC, HPA(INFO));
}

static void module(u32 start, u32 end, const char *name)
{
	struct {
		u32 start, end;
		char name[64];
	} body = { start, end, "" };

	strcpy(body.name, name);
	tag(TAG_MODULE, &body, 8 + (u32)strlen(name) + 1, 16 + (u32)strlen(name) + 1);
}

static void a_whole_structure(void **state)
{
	static const u64 map[] = { 24,	    0, 0x9f000, MEMORY_AVAILABLE, 0xf0000,
				   0x10000, 2, MIB,	0x1000000,	  MEMORY_AVAILABLE };
	static const struct {
		u64 address;
		u32 pitch, width, height;
		u8 bits, type;
		u16 reserved;
	} framebuffer = { 0xb8000, 160, 80, 25, 16, FRAMEBUFFER_TEXT, 0 };
	static const u8 rsdp[36];

	(void)state;
	tag(TAG_CMDLINE, "quiet qemu-exit", 16, 24);
	module(0x200000, 0x201234, "supervisor");
	module(0x300000, 0x300000, "empty");
	tag(TAG_MEMORY_MAP, map, sizeof(map), 8 + sizeof(map));
	tag(TAG_FRAMEBUFFER, &framebuffer, 24, 32);
	tag(TAG_ACPI_OLD, rsdp, 20, 28);
	tag(TAG_ACPI_NEW, rsdp, 36, 44);
	tag(99, "?", 1, 9);
	tag(TAG_END, "", 0, 8);
	module(0x400000, 0x401000, "behind the end");
	read_all();
	assert_string_equal(boot_info.cmdline, "quiet qemu-exit");
	assert_int_equal(boot_info.module_count, 2);
	assert_string_equal(boot_info.module[0].name, "supervisor");
	assert_int_equal(boot_info.module[0].start.raw, 0x200000);
	assert_int_equal(boot_info.module[0].bytes, 0x1234);
	assert_int_equal(boot_info.module[1].bytes, 0);
	assert_ptr_equal(boot_module_find("empty"), &boot_info.module[1]);
	assert_null(boot_module_find("emp"));
	assert_int_equal(boot_info.ram_count, 2);
	assert_int_equal(boot_info.ram[1].base, MIB);
	assert_int_equal(boot_info.ram[1].size, 0x1000000);
	assert_true(boot_info.framebuffer.text);
	assert_int_equal(boot_info.framebuffer.width, 80);
	assert_int_equal(boot_info.raw.base, INFO);
	assert_int_equal(boot_info.raw.size, used);
	assert_in_range(boot_info.rsdp.raw, INFO, INFO + used - 36);
}

static void options_are_whole_words(void **state)
{
	(void)state;
	strcpy(boot_info.cmdline, "noquiet quietly quiet x=quiet last");
	assert_true(boot_option("quiet"));
	assert_true(boot_option("last"));
	assert_true(boot_option("noquiet"));
	assert_false(boot_option("qui"));
	assert_false(boot_option("ast"));
	strcpy(boot_info.cmdline, "noquiet quietly x=quiet");
	assert_false(boot_option("quiet"));
}

static void long_strings_are_cut(void **state)
{
	char text[400];

	(void)state;
	memset(text, 'a', sizeof(text));
	tag(TAG_CMDLINE, text, sizeof(text), 8 + sizeof(text));
	module(0x1000, 0x2000, "a-name-of-more-than-thirty-one-characters");
	read_all();
	assert_int_equal(strlen(boot_info.cmdline), BOOT_CMDLINE - 1);
	assert_string_equal(boot_info.module[0].name, "a-name-of-more-than-thirty-one-");
}

static void modules_must_be_pages(void **state)
{
	(void)state;
	module(0x201000, 0x200000, "ends-before-it-starts");
	module(0x200010, 0x201000, "not-aligned");
	module(0x200000, 0x200010, "fine");
	read_all();
	assert_int_equal(boot_info.module_count, 1);
	assert_string_equal(boot_info.module[0].name, "fine");
}

static void no_more_modules_than_fit(void **state)
{
	struct boot_module *last = &boot_info.module[BOOT_MODULE_MAX - 1];

	(void)state;
	boot_info.module_count = BOOT_MODULE_MAX - 1;
	module(0x1000, 0x2000, "a");
	module(0x3000, 0x4000, "b");
	read_all();
	assert_int_equal(boot_info.module_count, BOOT_MODULE_MAX);
	assert_string_equal(last->name, "a");
	assert_int_equal(boot_info.framebuffer.address.raw, 0);
}

static void no_more_ram_than_fits(void **state)
{
	static u64 map[1 + 3 * (BOOT_RAM_MAX + 2)] = { 24 };

	(void)state;
	for (u32 i = 0; i < BOOT_RAM_MAX + 2; i++) {
		map[1 + 3 * i] = i * 2 * MIB;
		map[2 + 3 * i] = MIB;
		map[3 + 3 * i] = MEMORY_AVAILABLE;
	}
	tag(TAG_MEMORY_MAP, map, sizeof(map), 8 + sizeof(map));
	read_all();
	assert_int_equal(boot_info.ram_count, BOOT_RAM_MAX);
	assert_int_equal(boot_info.ram[BOOT_RAM_MAX - 1].base, (BOOT_RAM_MAX - 1) * 2 * MIB);
	assert_non_null(strstr(fake_log.last, "2 MiB of memory are not used"));
}

static void pieces_of_memory_are_joined(void **state)
{
	static u64 map[1 + 3 * 2 * BOOT_RAM_MAX] = { 24 };

	(void)state;
	for (u32 i = 0; i < 2 * BOOT_RAM_MAX; i++) {
		map[1 + 3 * i] = i * MIB + (i >= BOOT_RAM_MAX ? GIB : 0);
		map[2 + 3 * i] = MIB;
		map[3 + 3 * i] = MEMORY_AVAILABLE;
	}
	tag(TAG_MEMORY_MAP, map, sizeof(map), 8 + sizeof(map));
	read_all();
	assert_int_equal(boot_info.ram_count, 2);
	assert_int_equal(boot_info.ram[0].base, 0);
	assert_int_equal(boot_info.ram[0].size, BOOT_RAM_MAX * MIB);
	assert_int_equal(boot_info.ram[1].base, GIB + BOOT_RAM_MAX * MIB);
	assert_int_equal(boot_info.ram[1].size, BOOT_RAM_MAX * MIB);
}

static void odd_memory_maps(void **state)
{
	static const u64 wraps[] = { 24, ~0ULL - 4095, 8192, MEMORY_AVAILABLE };
	static const u64 small_entries[] = { 23, 0, MIB, MEMORY_AVAILABLE };
	static const u64 huge_entries[] = { 0xffffffff, 0, MIB, MEMORY_AVAILABLE };
	/* A newer loader with longer entries. */
	static const u64 longer[] = { 32, MIB,	   MIB, MEMORY_AVAILABLE,
				      7,  3 * MIB, MIB, MEMORY_AVAILABLE,
				      7 };

	(void)state;
	tag(TAG_MEMORY_MAP, wraps, sizeof(wraps), 8 + sizeof(wraps));
	tag(TAG_MEMORY_MAP, small_entries, sizeof(small_entries), 8 + sizeof(small_entries));
	tag(TAG_MEMORY_MAP, huge_entries, sizeof(huge_entries), 8 + sizeof(huge_entries));
	tag(TAG_MEMORY_MAP, "", 0, 8);
	read_all();
	assert_int_equal(boot_info.ram_count, 0);
	fresh(NULL);
	tag(TAG_MEMORY_MAP, longer, sizeof(longer), 8 + sizeof(longer));
	read_all();
	assert_int_equal(boot_info.ram_count, 2);
	assert_int_equal(boot_info.ram[1].base, 3 * MIB);
}

/* Tags that end before their fields do, as the last thing in the structure. */
static void cut_tags(void **state)
{
	static const u32 type[] = { TAG_CMDLINE,     TAG_MODULE,   TAG_MEMORY_MAP,
				    TAG_FRAMEBUFFER, TAG_ACPI_OLD, TAG_ACPI_NEW };
	static const u8 body[64] = { 24 };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(type); i++) {
		for (u32 size = 0; size < 64; size++) {
			fresh(NULL);
			tag(type[i], body, size, 8 + size);
			used = 16 + size; /* without the padding */
			read_all();
			assert_int_equal(boot_info.rsdp.raw != 0,
					 (type[i] == TAG_ACPI_OLD && size >= 20) ||
						 (type[i] == TAG_ACPI_NEW && size >= 36));
		}
	}
}

static void sizes_that_lie(void **state)
{
	static const u32 size[] = { 0, 1, 7, 0x100, 0x7fffffff, 0xffffffff };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(size); i++) {
		fresh(NULL);
		tag(TAG_MODULE, "", 0, size[i]);
		module(0x1000, 0x2000, "behind");
		read_all();
		assert_int_equal(boot_info.module_count, 0);
	}
}

static void what_is_not_boot_information(void **state)
{
	static const u32 sizes[] = { 0xffffffff, INFO_BYTES_MAX + 1 };
	jmp_buf panicked;

	(void)state;
	fake_log.on_panic = &panicked;
	if (setjmp(panicked) == 0) {
		boot_info_read(0x2badb002, HPA(INFO));
		fail();
	}
	for (volatile u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		memcpy(info, &sizes[i], sizeof(sizes[i]));
		if (setjmp(panicked) == 0) {
			boot_info_read(MULTIBOOT2_BOOT_MAGIC, HPA(INFO));
			fail();
		}
	}
	fake_log.on_panic = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_whole_structure, fresh),
		cmocka_unit_test_setup(options_are_whole_words, fresh),
		cmocka_unit_test_setup(long_strings_are_cut, fresh),
		cmocka_unit_test_setup(modules_must_be_pages, fresh),
		cmocka_unit_test_setup(no_more_modules_than_fit, fresh),
		cmocka_unit_test_setup(no_more_ram_than_fits, fresh),
		cmocka_unit_test_setup(pieces_of_memory_are_joined, fresh),
		cmocka_unit_test_setup(odd_memory_maps, fresh),
		cmocka_unit_test_setup(cut_tags, fresh),
		cmocka_unit_test_setup(sizes_that_lie, fresh),
		cmocka_unit_test_setup(what_is_not_boot_information, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
