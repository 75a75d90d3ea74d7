/* A small guest for loader tests: its memory, a request, and what every refusal must look like. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/load/layout.h"
#include "vmm/load/load.h"

#define GUEST_BYTES (32 * MIB)
#define GUEST_FILL  0xa5

static u8 guest_ram[GUEST_BYTES] ALIGNED(4096);
static u8 file[256 * 1024];
static struct e820_map guest_map;
static struct load_request request;
static struct load_result result;

static inline void guest_set_memory(u64 bytes)
{
	e820_build(&guest_map, bytes);
	request.low_bytes = bytes;
}

static inline void guest_reset(u64 kernel_bytes)
{
	memset(guest_ram, GUEST_FILL, sizeof(guest_ram));
	request = (struct load_request){ .kernel = { file, kernel_bytes },
					 .cmdline = "console=ttyS0",
					 .ram = guest_ram,
					 .e820 = &guest_map,
					 .rsdp = GPA(0xe0000) };
	guest_set_memory(GUEST_BYTES);
}

static inline void put(void *to, u64 value, size_t bytes)
{
	memcpy(to, &value, bytes);
}

static inline u64 get(u64 gpa, size_t bytes)
{
	u64 value = 0;

	memcpy(&value, guest_ram + gpa, bytes);
	return value;
}

static inline void expect_load(const char *format)
{
	enum err err = load_kernel(&request, &result);

	if (err)
		print_error("refused: %s\n", result.why);
	assert_int_equal(err, ERR_OK);
	assert_null(result.why);
	assert_string_equal(result.format, format);
}

/* The load fails with this error, a reason that contains `why`, and no trace in guest memory. */
static inline void expect_refusal(enum err err, const char *why)
{
	assert_int_equal(load_kernel(&request, &result), err);
	assert_non_null(result.why);
	if (!strstr(result.why, why))
		print_error("expected \"%s\", got \"%s\"\n", why, result.why);
	assert_non_null(strstr(result.why, why));
	assert_int_equal(result.needed_bytes != 0, err == ERR_NO_MEMORY);
	assert_int_equal(guest_ram[0], GUEST_FILL);
	assert_memory_equal(guest_ram, guest_ram + 1, sizeof(guest_ram) - 1);
}

/* Flat segments, interrupts off, and a GDT that says the same. */
static inline void expect_flat_start(u32 code_rights)
{
	const struct vcpu_state *s = &result.state;
	u64 gdt = s->gdtr.base;

	assert_int_equal(s->rflags, 2);
	assert_int_equal(s->segment[SEG_CS].rights, code_rights);
	assert_int_equal(s->segment[SEG_CS].selector, 0x10);
	for (unsigned i = SEG_ES; i <= SEG_GS; i++) {
		assert_int_equal(s->segment[i].base, 0);
		assert_int_equal(s->segment[i].limit, 0xffffffff);
		if (i == SEG_CS)
			continue;
		assert_int_equal(s->segment[i].rights, 0xc093);
		assert_int_equal(s->segment[i].selector, 0x18);
	}
	assert_int_equal(s->segment[SEG_TR].rights, 0x8b);
	assert_int_equal(s->segment[SEG_LDTR].rights, SEG_UNUSABLE);
	assert_int_equal(get(gdt, 8), 0);
	assert_int_equal(get(gdt + 0x18, 8), 0x00cf93000000ffff);
	assert_int_equal(get(gdt + 0x20, 8), 0x00008b0000000067);
	assert_true(s->gdtr.limit >= 0x2f);
}
