/* Tests of the tables of system calls and exits: numbers and names are unique, none is missing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/abi/syscall.h"

static const struct {
	u32 number;
	const char *name;
	const char *caller;
} calls[] = {
#define SYSCALL(number, name, caller) { number, #name, #caller },
#include "lib/abi/syscall.def"
#undef SYSCALL
};

static const struct {
	const char *name, *text;
} exits[] = {
#define EXIT(name, text) { #name, text },
#include "lib/abi/exit.def"
#undef EXIT
};

static void system_calls_are_numbered_without_gaps(void **state)
{
	(void)state;
	assert_int_equal(ARRAY_SIZE(calls), SYSCALL_COUNT);
	for (u32 i = 0; i < ARRAY_SIZE(calls); i++)
		assert_int_equal(calls[i].number, i);
}

static void system_calls_have_one_name(void **state)
{
	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(calls); i++) {
		for (u32 j = 0; j < i; j++)
			assert_string_not_equal(calls[i].name, calls[j].name);
	}
}

static void system_calls_have_a_known_caller(void **state)
{
	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(calls); i++)
		assert_true(strcmp(calls[i].caller, "ANY") == 0 ||
			    strcmp(calls[i].caller, "VMM") == 0 ||
			    strcmp(calls[i].caller, "SUPERVISOR") == 0);
}

static void exits_have_one_name_and_text(void **state)
{
	(void)state;
	assert_int_equal(ARRAY_SIZE(exits), VM_EXIT_COUNT);
	assert_string_equal(exits[0].name, "NONE"); /* zeroed pages say that nothing happened */
	for (u32 i = 0; i < ARRAY_SIZE(exits); i++) {
		assert_true(strlen(exits[i].text) > 0);
		assert_string_equal(vm_exit_name(i), exits[i].text);
		for (u32 j = 0; j < i; j++) {
			assert_string_not_equal(exits[i].name, exits[j].name);
			assert_string_not_equal(exits[i].text, exits[j].text);
		}
	}
}

static void an_unknown_exit_has_a_name(void **state)
{
	(void)state;
	assert_string_equal(vm_exit_name(VM_EXIT_COUNT), "invalid");
	assert_string_equal(vm_exit_name(~0U), "invalid");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(system_calls_are_numbered_without_gaps),
		cmocka_unit_test(system_calls_have_one_name),
		cmocka_unit_test(system_calls_have_a_known_caller),
		cmocka_unit_test(exits_have_one_name_and_text),
		cmocka_unit_test(an_unknown_exit_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
