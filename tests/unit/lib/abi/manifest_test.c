/* The boot manifest blob: a good one opens, and each way to spoil one field is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/abi/manifest.h"
#include "lib/base/crc32.h"

struct blob {
	struct manifest_header header;
	struct manifest_vm vms[2];
	struct manifest_file files[3];
};

static struct blob blob_good(void)
{
	struct blob b = {
		.header = { .magic = MANIFEST_MAGIC,
			    .version = MANIFEST_VERSION,
			    .length = sizeof(b),
			    .vm_count = 2,
			    .file_count = 3 },
		.vms = { { .name = "debian-12",
			   .cmdline = "console=ttyS0",
			   .memory_bytes = MANIFEST_MEMORY_MIN,
			   .cpus = 1,
			   .restart = MANIFEST_RESTART_NEVER,
			   .kernel = 0,
			   .initrd = MANIFEST_NO_FILE,
			   .weight = 1,
			   .cpus_allowed = 1 },
			 { .name = "a234567890123456789012345678901",
			   .memory_bytes = MANIFEST_MEMORY_MAX,
			   .cpus = MANIFEST_CPUS_MAX,
			   .restart = MANIFEST_RESTART_ALWAYS,
			   .kernel = 1,
			   .initrd = 2,
			   .flags = MANIFEST_FLAGS_ALL,
			   .weight = MANIFEST_WEIGHT_MAX,
			   .cap_percent = MANIFEST_CAP_MAX,
			   .cpus_allowed = MANIFEST_ANY_CPU } },
		.files = { { .bytes = 1 }, { .bytes = 1ULL << 40, .crc32 = 7 }, { .bytes = 2 } },
	};

	memset(b.vms[1].cmdline, 'x', sizeof(b.vms[1].cmdline) - 1);
	return b;
}

static void blob_sign(struct blob *b)
{
	b->header.crc32 = 0;
	b->header.crc32 = crc32_update(0, b, sizeof(*b));
}

/* Opens `size` bytes from a heap copy, where the sanitizer sees a read beyond the end. */
static enum err blob_open(const struct blob *b, size_t size, const char **why)
{
	const struct manifest untouched = { .header = &b->header,
					    .vms = b->vms,
					    .files = b->files };
	struct manifest m = untouched;
	void *copy = malloc(size);
	enum err err;

	assert_non_null(copy);
	memcpy(copy, b, size);
	err = manifest_open(copy, size, &m, why);
	if (err == ERR_OK)
		assert_ptr_equal(m.header, copy);
	else
		assert_memory_equal(&m, &untouched, sizeof(m));
	free(copy);
	return err;
}

static void assert_refused(const struct blob *b, const char *expected)
{
	const char *why = NULL;

	assert_int_equal(blob_open(b, sizeof(*b), &why), ERR_BAD_FORMAT);
	assert_string_equal(why, expected);
}

static void good_blob_opens(void **state)
{
	struct blob b = blob_good();
	struct manifest m;
	const char *why = "left over";

	(void)state;
	blob_sign(&b);
	assert_int_equal(manifest_open(&b, sizeof(b), &m, &why), ERR_OK);
	assert_null(why);
	assert_ptr_equal(m.header, &b.header);
	assert_ptr_equal(m.vms, b.vms);
	assert_ptr_equal(m.files, b.files);
	assert_int_equal(manifest_crc32(&b, sizeof(b)), b.header.crc32);
}

static void every_length_but_the_right_one_is_refused(void **state)
{
	struct blob b = blob_good();
	const char *why;

	(void)state;
	for (size_t size = 1; size < sizeof(b); size++) {
		b.header.length = (u32)size; /* even when the header claims it */
		blob_sign(&b);
		assert_int_equal(blob_open(&b, size, &why), ERR_BAD_FORMAT);
		if (size < sizeof(b.header))
			assert_string_equal(why, "shorter than its header");
	}
	b.header.length = sizeof(b) + 1;
	blob_sign(&b);
	assert_refused(&b, "length differs from the bytes present");
}

static void every_flipped_bit_is_refused(void **state)
{
	struct blob b = blob_good();
	u8 *bytes = (u8 *)&b;
	const char *why;

	(void)state;
	blob_sign(&b);
	for (size_t i = 0; i < sizeof(b); i++) {
		bytes[i] ^= (u8)(1U << (i % 8));
		assert_int_equal(blob_open(&b, sizeof(b), &why), ERR_BAD_FORMAT);
		bytes[i] ^= (u8)(1U << (i % 8));
	}
	assert_int_equal(blob_open(&b, sizeof(b), &why), ERR_OK);
}

/* One spoiled field a row: `bytes` of `value` go to `offset`, then the checksum is made right. */
struct spoil_row {
	size_t offset;
	size_t bytes;
	u64 value;
	const char *why;
};

#define SPOIL(field, value, why)                                                            \
	{                                                                                   \
		offsetof(struct blob, field), sizeof(((struct blob *)0)->field), value, why \
	}

static const struct spoil_row spoil_rows[] = {
	SPOIL(header.magic, 0, "wrong magic"),
	SPOIL(header.version, 0, "version unknown to this build"),
	SPOIL(header.version, 1, "version unknown to this build"),
	SPOIL(header.version, 3, "version unknown to this build"),
	SPOIL(header.length, 0, "length differs from the bytes present"),
	SPOIL(header.reserved, 1, "reserved header field not zero"),
	SPOIL(header.vm_count, 0, "number of VMs out of range"),
	SPOIL(header.vm_count, 65, "number of VMs out of range"),
	SPOIL(header.vm_count, 0xffffffff, "number of VMs out of range"),
	SPOIL(header.file_count, 0, "number of files out of range"),
	SPOIL(header.file_count, 193, "number of files out of range"),
	SPOIL(header.vm_count, 1, "length does not match the numbers of VMs and files"),
	SPOIL(header.vm_count, 64, "length does not match the numbers of VMs and files"),
	SPOIL(header.file_count, 2, "length does not match the numbers of VMs and files"),
	SPOIL(header.file_count, 192, "length does not match the numbers of VMs and files"),
	SPOIL(vms[1].name[31], 'a', "VM name not terminated and padded"),
	SPOIL(vms[0].name[20], 'a', "VM name not terminated and padded"),
	SPOIL(vms[0].name[31], 'a', "VM name not terminated and padded"),
	SPOIL(vms[0].name[0], 'D', "VM name has a character outside a-z 0-9 -"),
	SPOIL(vms[0].name[8], '_', "VM name has a character outside a-z 0-9 -"),
	SPOIL(vms[0].name[3], 0x80, "VM name has a character outside a-z 0-9 -"),
	SPOIL(vms[1].cmdline[2047], 'x', "command line not terminated and padded"),
	SPOIL(vms[0].cmdline[2047], 'x', "command line not terminated and padded"),
	SPOIL(vms[0].cmdline[100], 'x', "command line not terminated and padded"),
	SPOIL(vms[0].memory_bytes, 0, "memory size out of range or no multiple of its unit"),
	SPOIL(vms[0].memory_bytes, MANIFEST_MEMORY_MIN + PAGE_SIZE,
	      "memory size out of range or no multiple of its unit"),
	SPOIL(vms[1].memory_bytes, MANIFEST_MEMORY_MAX + MANIFEST_MEMORY_UNIT,
	      "memory size out of range or no multiple of its unit"),
	SPOIL(vms[0].cpus, 0, "number of vCPUs out of range"),
	SPOIL(vms[1].cpus, MANIFEST_CPUS_MAX + 1, "number of vCPUs out of range"),
	SPOIL(vms[0].restart, MANIFEST_RESTART_COUNT, "unknown restart policy"),
	SPOIL(vms[0].flags, BIT32(3), "unknown VM flag"),
	SPOIL(vms[1].flags, BIT32(31), "unknown VM flag"),
	SPOIL(vms[0].kernel, 3, "kernel names no file"),
	SPOIL(vms[1].kernel, MANIFEST_NO_FILE, "kernel names no file"),
	SPOIL(vms[1].initrd, 3, "initrd names no file"),
	SPOIL(vms[1].initrd, MANIFEST_NO_FILE - 1, "initrd names no file"),
	SPOIL(vms[0].weight, 0, "weight out of range"),
	SPOIL(vms[1].weight, MANIFEST_WEIGHT_MAX + 1, "weight out of range"),
	SPOIL(vms[0].weight, 0xffffffff, "weight out of range"),
	SPOIL(vms[0].cap_percent, MANIFEST_CAP_MAX + 1, "cap out of range"),
	SPOIL(vms[1].cap_percent, 0xffffffff, "cap out of range"),
	SPOIL(vms[0].cpus_allowed, 0, "pinned to no processor"),
	SPOIL(vms[1].cpus_allowed, 0, "pinned to no processor"),
	SPOIL(vms[1].reserved, 1, "reserved VM field not zero"),
	SPOIL(files[2].bytes, 0, "file empty"),
	SPOIL(files[2].reserved, 1, "reserved file field not zero"),
};

static void every_bad_field_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(spoil_rows); i++) {
		const struct spoil_row *row = &spoil_rows[i];
		struct blob b = blob_good();

		memcpy((u8 *)&b + row->offset, &row->value, row->bytes);
		blob_sign(&b);
		assert_refused(&b, row->why);
	}
}

static void bad_text_of_several_bytes_is_refused(void **state)
{
	struct blob b = blob_good();

	(void)state;
	memset(b.vms[0].name, 0, sizeof(b.vms[0].name));
	blob_sign(&b);
	assert_refused(&b, "VM name empty");

	b = blob_good();
	memcpy(b.vms[1].name, b.vms[0].name, sizeof(b.vms[1].name));
	blob_sign(&b);
	assert_refused(&b, "two VMs have one name");

	b = blob_good();
	blob_sign(&b);
	b.header.crc32 ^= 1;
	assert_refused(&b, "checksum mismatch");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_blob_opens),
		cmocka_unit_test(every_length_but_the_right_one_is_refused),
		cmocka_unit_test(every_flipped_bit_is_refused),
		cmocka_unit_test(every_bad_field_is_refused),
		cmocka_unit_test(bad_text_of_several_bytes_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
