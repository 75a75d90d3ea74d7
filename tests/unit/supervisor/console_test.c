/* Who speaks on the one serial port, and who hears what is typed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/supervisor/host.h"

static int two_vms(void **state)
{
	(void)state;
	host_plan();
	host_start(2);
	host_run(0);
	fake_root_clear();
	return 0;
}

static void print(u32 number, const char *text)
{
	fake_root_print(number, text);
	host_run(0);
}

/* --- output */

static void the_front_is_transparent(void **state)
{
	(void)state;
	print(0, "a\x01\x1b[2J\xff\r\nb\n\nc");
	assert_string_equal(fake_root.output, "a\x01\x1b[2J\xff\r\nb\n\nc");
	assert_int_equal(fake_root.screen_bytes, 0);
	assert_int_equal(fake_root.vm[0].notified, 1); /* there is room again */
}

static void lines_of_others_have_a_name(void **state)
{
	(void)state;
	print(1, "first\r\nsec");
	print(1, "ond\r\n");
	assert_string_equal(fake_root.output, "[two] first\r\n[two] second\r\n");
}

static void a_change_in_a_line_begins_another(void **state)
{
	(void)state;
	print(0, "front");
	print(1, "other"); /* waits for the rest of that line, but not for ever */
	assert_string_equal(fake_root.output, "front");
	host_run(30);
	print(0, "again\n");
	host_run(30);
	print(1, "x");
	assert_string_equal(fake_root.output, "front\r\n[two] other\r\nagain\n[two] x");
}

static void everything_passes_a_slow_transmitter(void **state)
{
	char text[3000];

	(void)state;
	for (u32 i = 0; i < sizeof(text) - 1; i++)
		text[i] = (char)('a' + i % 26);
	text[sizeof(text) - 1] = '\0';
	fake_root.put_room = 3;
	fake_root_print(0, text);
	host_run(2000);
	assert_string_equal(fake_root.output, text);
	fake_root_clear();
	console_say(&sup, "%s", "a line of the supervisor's own");
	assert_string_equal(fake_root.output, "\r\na line of the supervisor's own\r\n");
}

/* However few bytes it takes at a time, nobody's line is cut, and everybody gets a turn. */
static void many_speakers_at_a_slow_transmitter(void **state)
{
	static const char expected[] = "a line of the first one\r\n";
	u32 lines = 0, named = 0;

	(void)state;
	for (u32 room = 1; room <= 16; room += 5) {
		two_vms(NULL);
		fake_root.put_room = room;
		for (u32 i = 0; i < 100; i++) {
			fake_root_print(0, "a line of the first one\r\n");
			fake_root_print(1, "a line of the other\r\n");
		}
		host_run(20000);
		lines = named = 0;
		for (char *at = fake_root.output; *at; at = strchr(at, '\n') + 1) {
			if (strncmp(at, expected, strlen(expected)) == 0)
				lines++;
			else if (strncmp(at, "[two] a line of the other\r\n", 27) == 0)
				named++;
			else
				assert_int_equal(*at, '\r');
		}
		assert_int_equal(lines, 100);
		assert_int_equal(named, 100);
	}
}

/* Waiting for the transmitter must not lose what happened meanwhile. */
static void notifications_are_kept(void **state)
{
	(void)state;
	fake_root.put_room = 4;
	fake_root.bits = NOTIFY_POWER;
	console_say(&sup, "longer than four bytes");
	assert_int_equal(fake_root.bits, 0);
	host_run(0);
	assert_int_equal(fake_root_channel(0)->button, 1);
	assert_int_equal(fake_root_channel(1)->button, 1);
}

static void one_guest_does_not_keep_the_port(void **state)
{
	char text[2000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	fake_root_print(0, text);
	fake_root_print(1, "hello\n");
	host_run(100);
	assert_true(strstr(fake_root.output, "[two] hello") - fake_root.output < 1100);
	assert_int_equal(fake_root.output_bytes, 1999 + 2 + 12);
}

static void wild_indices_end(void **state)
{
	(void)state;
	fake_root_channel(1)->from_guest.head = 0x80000000;
	fake_root_end(1, VM_END_POWER_OFF, PROCESS_EXITED);
	host_run(100);
	assert_in_range(fake_root.output_bytes, RING_BYTES, RING_BYTES + 1000);
	assert_non_null(strstr(fake_root.log, "VM two ended: power-off"));
}

static void last_words_come_before_the_end(void **state)
{
	const char *words, *end;

	(void)state;
	fake_root_print(1, "goodbye");
	fake_root_end(1, VM_END_POWER_OFF, PROCESS_EXITED);
	host_run(0);
	words = strstr(fake_root.output, "[two] goodbye\r\n");
	end = strstr(fake_root.output, "\nringfence: VM two ended: power-off\r\n");
	assert_true(words && end && words < end);
}

/* --- input */

static void keys_go_to_the_front(void **state)
{
	(void)state;
	host_type("abc\x03");
	assert_string_equal(host_received(0), "abc\x03");
	assert_string_equal(host_received(1), "");
	assert_int_equal(fake_root.vm[0].notified, 1);
	assert_int_equal(fake_root.output_bytes, 0);
}

static void the_next_console(void **state)
{
	(void)state;
	host_type("a\x01nb\x01nc");
	assert_string_equal(host_received(0), "ac");
	assert_string_equal(host_received(1), "b");
	assert_true(host_shows("ringfence: console of VM two"));
	assert_true(host_shows("ringfence: console of VM one"));
	fake_root_clear();
	host_type("\x01n");
	print(1, "now unchanged");
	print(0, "and this is not\n");
	host_run(30);
	assert_true(host_shows("\r\nnow unchanged\r\n[one] and this is not\n"));
}

static void literal_escape_keys(void **state)
{
	(void)state;
	host_type("\x01\x01-\x01"
		  "a-");
	assert_string_equal(host_received(0), "\x01-\x01-");
}

static void an_unknown_key_is_explained(void **state)
{
	(void)state;
	host_type("\x01x");
	assert_string_equal(host_received(0), "");
	assert_true(host_shows("Ctrl-A x means nothing: Ctrl-A h for help"));
	host_type("\x01\x1b");
	assert_true(host_shows("this key means nothing"));
	assert_null(strchr(fake_root.output, '\x1b'));
	host_type("\x01h");
	assert_true(host_shows("Ctrl-A n") && host_shows("Ctrl-A m") && host_shows("Ctrl-A a"));
	assert_int_equal(sup.front, 0);
}

static void help_is_on_the_screen_too(void **state)
{
	(void)state;
	host_type("\x01h");
	assert_non_null(strstr(fake_root.screen, "Ctrl-A n"));
}

/* Nothing is lost while the guest reads, however slowly. */
static void a_full_ring_holds_the_rest_back(void **state)
{
	static char text[2 * RING_BYTES];
	u32 got = 0;
	u8 byte;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	fake_root_type(text);
	for (u32 i = 0; i < 100; i++) {
		host_run(900);
		for (u32 j = 0; j < 100; j++)
			got += ring_get(&fake_root_channel(0)->to_guest, &byte);
	}
	got += (u32)strlen(host_received(0));
	host_run(900);
	got += (u32)strlen(host_received(0));
	assert_int_equal(got, sizeof(text) - 1);
}

/* One that reads nothing does not keep the keys behind from being seen. */
static void a_stuck_guest_can_be_left(void **state)
{
	static char text[2 * RING_BYTES];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	memcpy(text + sizeof(text) - 4, "\x01nz", 3);
	fake_root_type(text);
	host_run(900);
	assert_int_equal(sup.front, 0);
	host_run(200);
	assert_int_equal(sup.front, 1);
	assert_string_equal(host_received(1), "z");
	assert_int_equal(strlen(host_received(0)), RING_BYTES);
}

static void the_front_moves_on_when_its_vm_ends(void **state)
{
	(void)state;
	fake_root_end(0, VM_END_POWER_OFF, PROCESS_EXITED);
	host_run(0);
	assert_true(host_shows("ringfence: console of VM two"));
	host_type("abc");
	assert_string_equal(host_received(1), "abc");
	host_type("\x01n");
	assert_true(host_shows("console of VM two: there is no other"));
}

static void the_console_of_a_vm_alone(void **state)
{
	(void)state;
	host_plan();
	host_start(1);
	host_run(0);
	fake_root_clear();
	print(0, "text\n");
	assert_string_equal(fake_root.output, "text\n");
	host_type("\x01n");
	assert_true(host_shows("there is no other"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_front_is_transparent, two_vms),
		cmocka_unit_test_setup(lines_of_others_have_a_name, two_vms),
		cmocka_unit_test_setup(a_change_in_a_line_begins_another, two_vms),
		cmocka_unit_test_setup(everything_passes_a_slow_transmitter, two_vms),
		cmocka_unit_test_setup(many_speakers_at_a_slow_transmitter, two_vms),
		cmocka_unit_test_setup(notifications_are_kept, two_vms),
		cmocka_unit_test_setup(one_guest_does_not_keep_the_port, two_vms),
		cmocka_unit_test_setup(wild_indices_end, two_vms),
		cmocka_unit_test_setup(last_words_come_before_the_end, two_vms),
		cmocka_unit_test_setup(keys_go_to_the_front, two_vms),
		cmocka_unit_test_setup(the_next_console, two_vms),
		cmocka_unit_test_setup(literal_escape_keys, two_vms),
		cmocka_unit_test_setup(an_unknown_key_is_explained, two_vms),
		cmocka_unit_test_setup(help_is_on_the_screen_too, two_vms),
		cmocka_unit_test_setup(a_full_ring_holds_the_rest_back, two_vms),
		cmocka_unit_test_setup(a_stuck_guest_can_be_left, two_vms),
		cmocka_unit_test_setup(the_front_moves_on_when_its_vm_ends, two_vms),
		cmocka_unit_test_setup(the_console_of_a_vm_alone, two_vms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
