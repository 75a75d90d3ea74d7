/* A pin against the machine: what is there is used, what is not is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/abi/syscall.h"
#include "supervisor/pin.h"

#define LONGEST_NAME "a234567890123456789012345678901"
#define EVERY_SECOND 0x5555555555555555ULL

static void sets_are_described(void **state)
{
	static const struct {
		u64 set;
		const char *text;
	} rows[] = {
		{ 0, "" },
		{ 0x1, "0" },
		{ 0x3, "0-1" },
		{ 0x5, "0,2" },
		{ 0xf1, "0,4-7" },
		{ BIT64(63), "63" },
		{ BIT64(63) | BIT64(62) | 0x2, "1,62-63" },
		{ UINT64_MAX, "0-63" },
		{ UINT64_MAX - 1, "1-63" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_string_equal(pin_describe(rows[i].set).text, rows[i].text);
}

static void assert_ends(const char *text, const char *end)
{
	assert_true(strlen(text) > strlen(end));
	assert_string_equal(text + strlen(text) - strlen(end), end);
}

/* Nothing is cut off the longest description. */
static void the_longest_set_fits(void **state)
{
	struct pin_text odd = pin_describe(EVERY_SECOND << 1);

	(void)state;
	assert_ends(odd.text, ",59,61,63");
	assert_in_range(strlen(odd.text), 1, PIN_TEXT_BYTES - 2);
}

static enum err resolve(u64 pin, u32 cpus, u64 *allowed, char *line)
{
	struct manifest_vm vm = { .name = "x", .cpus_allowed = pin };

	memset(line, '#', LOG_TEXT_MAX);
	*allowed = 0x1234;
	return pin_resolve(&vm, cpus, allowed, line, LOG_TEXT_MAX);
}

static void a_pin_that_the_machine_has_stays(void **state)
{
	static const struct {
		u64 pin;
		u32 cpus;
	} rows[] = {
		{ MANIFEST_ANY_CPU, 1 },
		{ MANIFEST_ANY_CPU, 64 },
		{ 0x1, 1 },
		{ 0x2, 2 },
		{ 0x5, 3 },
		{ BIT64(63), 64 },
	};
	char line[LOG_TEXT_MAX];
	u64 allowed;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(resolve(rows[i].pin, rows[i].cpus, &allowed, line), ERR_OK);
		assert_int_equal(allowed, rows[i].pin);
		assert_string_equal(line, "");
	}
}

static void processors_that_are_not_there_are_ignored_aloud(void **state)
{
	char line[LOG_TEXT_MAX];
	u64 allowed;

	(void)state;
	assert_int_equal(resolve(0xe, 2, &allowed, line), ERR_OK);
	assert_int_equal(allowed, 0x2);
	assert_string_equal(line, "warning: VM x: pin to processors 2-3 ignored, "
				  "this machine has 2 (0-1)");
	assert_int_equal(resolve(0x3, 1, &allowed, line), ERR_OK);
	assert_int_equal(allowed, 0x1);
	assert_string_equal(line, "warning: VM x: pin to processor 1 ignored, "
				  "this machine has 1 (0)");
	assert_int_equal(resolve(BIT64(63) | 0x1, 63, &allowed, line), ERR_OK);
	assert_int_equal(allowed, 0x1);
	assert_string_equal(line, "warning: VM x: pin to processor 63 ignored, "
				  "this machine has 63 (0-62)");
}

static void a_pin_to_nothing_that_is_there_is_refused(void **state)
{
	char line[LOG_TEXT_MAX];
	u64 allowed;

	(void)state;
	assert_int_equal(resolve(0xc, 2, &allowed, line), ERR_UNSUPPORTED);
	assert_int_equal(allowed, 0);
	assert_string_equal(line, "error: VM x: pin names processors 2-3, "
				  "this machine has 2 (0-1)");
	assert_int_equal(resolve(0x2, 1, &allowed, line), ERR_UNSUPPORTED);
	assert_string_equal(line, "error: VM x: pin names processor 1, "
				  "this machine has 1 (0)");
	assert_int_equal(resolve(BIT64(63), 63, &allowed, line), ERR_UNSUPPORTED);
	assert_string_equal(line, "error: VM x: pin names processor 63, "
				  "this machine has 63 (0-62)");
}

/* A log line has a limit: the end, which says what the machine has, must not fall off. */
static void the_longest_line_is_whole(void **state)
{
	struct manifest_vm vm = { .name = LONGEST_NAME, .cpus_allowed = EVERY_SECOND << 1 };
	char line[LOG_TEXT_MAX];
	u64 allowed;

	(void)state;
	assert_int_equal(pin_resolve(&vm, 1, &allowed, line, sizeof(line)), ERR_UNSUPPORTED);
	assert_ends(line, ",59,61,63, this machine has 1 (0)");
	vm.cpus_allowed |= 1;
	assert_int_equal(pin_resolve(&vm, 1, &allowed, line, sizeof(line)), ERR_OK);
	assert_ends(line, ",59,61,63 ignored, this machine has 1 (0)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets_are_described),
		cmocka_unit_test(the_longest_set_fits),
		cmocka_unit_test(a_pin_that_the_machine_has_stays),
		cmocka_unit_test(processors_that_are_not_there_are_ignored_aloud),
		cmocka_unit_test(a_pin_to_nothing_that_is_there_is_refused),
		cmocka_unit_test(the_longest_line_is_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
