/* The monitor: its prompt among guests' output, and each of its commands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/supervisor/host.h"

#define PROMPT "ringfence> "

static jmp_buf off;

static int at_the_prompt(void **state)
{
	(void)state;
	host_plan();
	host_start(3);
	fake_root.on_off = &off;
	host_run(0);
	host_type("\x01m");
	fake_root_clear();
	return 0;
}

/* What a command shows, without its echo and the next prompt. */
static const char *does(const char *command)
{
	static char answer[FAKE_ROOT_TEXT];
	char keys[LINE_EDIT_BYTES + 1];
	size_t echo = strlen(command) + 2;
	char *end;

	strcpy(keys, command);
	strcat(keys, "\r");
	host_type(keys);
	assert_memory_equal(fake_root.output, command, echo - 2);
	strcpy(answer, fake_root.output + echo);
	end = strstr(answer, PROMPT);
	if (end)
		*end = '\0';
	return answer;
}

static void expect(const char *command, const char *part)
{
	const char *answer = does(command);

	if (!strstr(answer, part))
		fail_msg("'%s' shows: %s", command, answer);
}

/* --- the prompt */

static void the_prompt_comes_and_goes(void **state)
{
	(void)state;
	host_plan();
	host_start(1);
	host_run(0);
	fake_root_clear();
	host_type("\x01m");
	assert_true(host_shows("ringfence: monitor: 'help' lists its commands"));
	assert_string_equal(strstr(fake_root.output, PROMPT), PROMPT);
	host_type("\x01m"); /* is there already */
	assert_string_equal(fake_root.output, "");
	host_type("abc");
	assert_string_equal(fake_root.output, "abc");
	assert_string_equal(host_received(0), "");
	host_type("\x01n");
	assert_true(host_shows("console of VM one"));
	host_type("def");
	assert_string_equal(host_received(0), "def");
}

static void an_empty_line_is_a_prompt(void **state)
{
	(void)state;
	host_type("\r");
	assert_string_equal(fake_root.output, "\r\n" PROMPT);
	host_type("abc\x03");
	assert_string_equal(fake_root.output, "abc\r\n" PROMPT);
	assert_string_equal(does("   "), "");
}

/* The prompt and what was typed come back when the guests are quiet; not before. */
static void guests_talk_meanwhile(void **state)
{
	(void)state;
	host_type("li");
	fake_root_clear();
	fake_root_print(0, "first\n");
	host_run(100);
	fake_root_print(1, "second\n");
	host_run(100);
	assert_string_equal(fake_root.output, "\r\n[one] first\n[two] second\n");
	host_run(400);
	assert_string_equal(fake_root.output, "\r\n[one] first\n[two] second\n" PROMPT "li");
	fake_root_clear();
	fake_root_print(0, "third");
	host_run(1);
	host_type("st\r"); /* whoever types sees it at once */
	assert_memory_equal(fake_root.output, "\r\n" PROMPT "list\r\nNAME", 23);
}

static void answers_are_on_the_screen_and_not_in_the_log(void **state)
{
	u32 logged = fake_root.log_bytes;

	(void)state;
	host_type("verx\x7fsion\r");
	assert_non_null(strstr(fake_root.screen, "Ringfence "));
	assert_int_equal(fake_root.log_bytes, logged);
	fake_root_print(0, "secret\n");
	host_run(500);
	assert_null(strstr(fake_root.screen, "secret"));
}

static void lines_of_the_log_come_between(void **state)
{
	(void)state;
	host_type("abc");
	fake_root_clear();
	console_line(&sup, "something happened");
	host_run(1);
	assert_string_equal(fake_root.output, "\r\nringfence: something happened\r\n" PROMPT "abc");
}

/* --- what is wrong */

static void unknown_commands_and_names(void **state)
{
	(void)state;
	assert_string_equal(does("fly"), "unknown command 'fly': 'help' lists all\r\n");
	assert_string_equal(does("pausr one"),
			    "unknown command 'pausr': did you mean 'pause'? 'help' lists all\r\n");
	assert_string_equal(does("pause"), "usage: pause VM\r\n");
	assert_string_equal(does("pause five"), "no VM is named 'five': 'list' shows all\r\n");
	assert_string_equal(does("trace up"), "usage: trace on|off|dump\r\n");
	assert_string_equal(does("stats on"), "no VM is named 'on': 'list' shows all\r\n");
	for (u32 i = 0; i < 3; i++)
		assert_int_equal(sup.guest[i].life, VM_RUNNING);
}

/* Every state in which a command makes no sense says why, and changes nothing. */
static void commands_in_the_wrong_state(void **state)
{
	static const struct {
		const char *before, *command, *says;
		enum vm_life life;
	} table[] = {
		{ "", "start one", "VM one is running\r\n", VM_RUNNING },
		{ "", "resume one", "VM one is running\r\n", VM_RUNNING },
		{ "pause one", "pause one", "VM one is paused: 'resume' lets it run on\r\n",
		  VM_PAUSED },
		{ "", "start one", "VM one is paused: 'resume' lets it run on\r\n", VM_PAUSED },
		{ "kill one", "pause one", "VM one is off: 'start' starts it\r\n", VM_OFF },
		{ "", "resume one", "VM one is off: 'start' starts it\r\n", VM_OFF },
		{ "", "stop one", "VM one is off: 'start' starts it\r\n", VM_OFF },
		{ "", "reset one", "VM one is off: 'start' starts it\r\n", VM_OFF },
		{ "", "kill one", "VM one is off: 'start' starts it\r\n", VM_OFF },
		{ "", "console one", "VM one is off: 'start' starts it\r\n", VM_OFF },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(table); i++) {
		if (*table[i].before)
			does(table[i].before);
		assert_string_equal(does(table[i].command), table[i].says);
		assert_int_equal(sup.guest[0].life, table[i].life);
	}
}

/* --- commands about VMs */

static void help(void **state)
{
	static const char *const names[] = { "help",  "list",  "stats",	  "console",
					     "start", "pause", "resume",  "stop",
					     "reset", "kill",  "log",	  "mem",
					     "cpus",  "trace", "version", "poweroff" };
	const char *answer = does("help");

	(void)state;
	assert_memory_equal(answer, names[0], strlen(names[0]));
	for (u32 i = 1; i < ARRAY_SIZE(names); i++) {
		char line[32] = "\n";

		strcat(line, names[i]);
		strcat(line, " ");
		answer = strstr(answer, line);
		assert_non_null(answer);
	}
	answer = does("help");
	assert_non_null(strstr(answer, "trace on|off|dump "));
	assert_non_null(strstr(answer, "Ctrl-A n"));
}

static void list(void **state)
{
	(void)state;
	fake_root_counters(0)->exits[VM_EXIT_IO] = 40;
	fake_root_counters(0)->exits[VM_EXIT_HLT] = 2;
	fake_root_counters(0)->run_tsc = 61 * 1000 * FAKE_ROOT_TSC_KHZ;
	fake_root_counters(0)->vmm_tsc = 1000 * FAKE_ROOT_TSC_KHZ;
	does("pause two");
	does("kill three");
	expect("list",
	       "NAME                 STATE    VCPUS  MEMORY      TIME USED        EXITS\r\n");
	expect("list",
	       "one                  running      1     16M     0:01:02.00           42\r\n");
	expect("list",
	       "two                  paused       1     16M     0:00:00.00            0\r\n");
	expect("list", "three                off          1     16M");
	fake_root_end(0, VM_END_CRASH, PROCESS_EXITED);
	host_run(0);
	/* What it did stays to be seen. */
	expect("list",
	       "one                  failed       1     16M     0:01:02.00           42\r\n");
}

static void stats(void **state)
{
	struct vcpu_counters *c = fake_root_counters(0);

	(void)state;
	host_run(2000);
	c->exits[VM_EXIT_IO] = 1000;
	c->run_tsc = 600 * FAKE_ROOT_TSC_KHZ;
	c->core_tsc = 100 * FAKE_ROOT_TSC_KHZ;
	c->vmm_tsc = 200 * FAKE_ROOT_TSC_KHZ;
	c->to_vmm = 7;
	expect("stats one", "VM one, running: in its last run of 0:00:02.0");
	c->exits[VM_EXIT_IO] = 1300;
	host_run(1000);
	expect("stats one", "  in the guest       0:00:00.50   16.6 %\r\n"
			    "  in the core        0:00:00.10    3.3 %\r\n"
			    "  in its VMM         0:00:00.20    6.6 %\r\n");
	expect("list", " 0:00:00.80 ");
	/* The rate is that since it was asked last. */
	c->exits[VM_EXIT_IO] += 100;
	host_run(1000);
	expect("stats one", "  io                       1400      100\r\n");
	expect("stats one", "  all                      1400        0 (7 to the VMM");
	assert_null(strstr(does("stats one"), "cpuid"));
	assert_non_null(strstr(does("stats"), "VM three, running"));
}

/* A new start counts from zero; rates must not be made of the old one's counts. */
static void stats_over_a_restart(void **state)
{
	(void)state;
	host_run(1000);
	fake_root_counters(0)->exits[VM_EXIT_IO] = 1000000;
	does("stats one");
	does("reset one");
	host_run(1000);
	fake_root_counters(0)->exits[VM_EXIT_IO] = 50;
	expect("stats one", "  io                         50       50\r\n");
	does("kill one");
	expect("stats one", "VM one, off: in its last run of 0:00:01.00\r\n");
}

static void stats_of_one_that_never_ran(void **state)
{
	(void)state;
	host_vms[1].memory_bytes = GIB;
	host_start(2);
	host_type("\x01m");
	expect("stats two", "VM two was never started\r\n");
	expect("list",
	       "two                  failed       1      1G     0:00:00.00            0\r\n");
}

static void pause_and_resume(void **state)
{
	(void)state;
	assert_string_equal(does("pause two"), "ringfence: VM two: paused\r\n");
	assert_true(fake_root.vm[1].paused);
	assert_false(fake_root.vm[0].paused);
	assert_string_equal(does("resume two"), "ringfence: VM two: resumed\r\n");
	assert_false(fake_root.vm[1].paused);
}

static void kill_and_start(void **state)
{
	u64 before = fake_root.memory_free;

	(void)state;
	fake_root_print(1, "last words");
	assert_non_null(
		strstr(does("kill two"), "[two] last words\r\nringfence: VM two: killed\r\n"));
	assert_false(fake_root.vm[1].exists);
	assert_int_equal(fake_root.memory_free, before + 16 * MIB);
	host_run(100000);
	assert_int_equal(sup.guest[1].life, VM_OFF); /* it stays so */
	expect("start two", "ringfence: VM two: started\r\n");
	assert_true(fake_root.vm[1].started);
	assert_int_equal(fake_root.memory_free, before);
	does("pause two");
	expect("kill two", "killed");
	assert_int_equal(fake_root.memory_free, before + 16 * MIB);
}

static void a_start_that_fails(void **state)
{
	(void)state;
	does("kill two");
	fake_root.memory_free = 4 * MIB;
	expect("start two", "error: VM two does not start");
	assert_null(strstr(fake_root.output, "started"));
	assert_int_equal(fake_root.memory_free, 4 * MIB);
}

static void killing_beats_the_restart_policy(void **state)
{
	(void)state;
	host_vms[0].restart = MANIFEST_RESTART_ALWAYS;
	host_vms[1].restart = MANIFEST_RESTART_ALWAYS;
	host_start(2);
	host_type("\x01m");
	does("kill one");
	host_run(100000);
	assert_int_equal(sup.guest[0].life, VM_OFF);
	/* One that waits for its next start can be told to stay off, or to start now. */
	fake_root_end(sup.guest[1].number, VM_END_CRASH, PROCESS_EXITED);
	host_run(0);
	assert_int_equal(sup.guest[1].life, VM_WAITING);
	expect("list", "two                  waiting ");
	expect("stop two", "VM two: will not be started again");
	host_run(100000);
	assert_int_equal(sup.guest[1].life, VM_OFF);
	does("start two");
	fake_root_end(sup.guest[1].number, VM_END_CRASH, PROCESS_EXITED);
	host_run(0);
	expect("start two", "VM two: started");
	assert_int_equal(sup.guest[1].life, VM_RUNNING);
}

static void stop_is_the_button_first(void **state)
{
	(void)state;
	host_vms[1].restart = MANIFEST_RESTART_ALWAYS;
	host_start(3);
	host_type("\x01m");
	expect("stop two", "VM two: power button pressed; it has 60 s to shut down");
	assert_int_equal(fake_root_channel(1)->button, 1);
	assert_int_equal(fake_root_channel(0)->button, 0);
	expect("list", "two                  stopping");
	host_run(59000);
	expect("stop two", "VM two is being stopped: 'kill' ends it at once");
	assert_int_equal(fake_root_channel(1)->button, 1);
	fake_root_end(1, VM_END_POWER_OFF, PROCESS_EXITED);
	host_run(100000);
	assert_int_equal(sup.guest[1].life, VM_OFF); /* whatever its policy */
	does("start two");
	host_run(100000);
	assert_int_equal(sup.guest[1].life, VM_RUNNING); /* the old time is over */
}

static void stop_ends_it_hard_at_last(void **state)
{
	(void)state;
	does("pause two");
	does("stop two"); /* a paused one could not hear it */
	assert_false(fake_root.vm[1].paused);
	host_run(59000);
	assert_int_equal(sup.guest[1].life, VM_RUNNING);
	host_run(2000);
	assert_int_equal(sup.guest[1].life, VM_OFF);
	assert_false(fake_root.vm[1].exists);
	assert_true(host_shows("VM two did not shut down within 60 s"));
	assert_int_equal(sup.guest[0].life, VM_RUNNING);
}

static void reset(void **state)
{
	(void)state;
	does("pause two");
	fake_root_channel(1)->button = 5;
	assert_string_equal(does("reset two"), "ringfence: VM two: reset\r\n");
	assert_int_equal(fake_root.made, 4);
	assert_int_equal(sup.guest[1].life, VM_RUNNING);
	assert_int_equal(fake_root_channel(1)->button, 0); /* all of it is new */
	assert_false(fake_root.vm[1].paused);
}

static void consoles(void **state)
{
	(void)state;
	expect("console two", "ringfence: console of VM two (Ctrl-A h: help)\r\n");
	host_type("x\x01m");
	assert_string_equal(host_received(1), "x");
	host_type("\x01n"); /* back to where it was */
	assert_true(host_shows("console of VM two"));
	host_type("\x01m");
	does("pause three");
	expect("console three", "console of VM three, which is paused");
	host_type("kept");
	assert_string_equal(host_received(2), "kept");
}

/* --- commands about the machine */

static void log_lines(void **state)
{
	(void)state;
	console_line(&sup, "%0150d", 7);
	for (u32 i = 0; i < 30; i++)
		console_line(&sup, "line %u of a log that is longer than a part", i);
	host_run(1);
	expect("log", "7\r\nringfence: line 0 of a log");
	expect("log", "ringfence: line 29 of a log that is longer than a part\r\n");
	assert_string_equal(strstr(does("log"), "line 29"),
			    "line 29 of a log that is longer than a part\r\n");
}

static void memory(void **state)
{
	(void)state;
	does("kill three");
	expect("mem", "machine      1048576 KiB\r\n");
	expect("mem", "VMs            32768 KiB  of 2\r\n");
	expect("mem", "Ringfence     786432 KiB");
	expect("mem", "free          229376 KiB\r\n");
}

static void processors(void **state)
{
	(void)state;
	host_run(1000);
	does("cpus");
	fake_root.cpu.apic_id = 5;
	fake_root.cpu.idle_tsc += 600 * FAKE_ROOT_TSC_KHZ;
	fake_root.cpu.supervisor_tsc += 100 * FAKE_ROOT_TSC_KHZ;
	host_run(1000);
	expect("cpus", "CPU 0   APIC ID 5   idle 60.0 %, VMs 30.0 %, supervisor 10.0 %\r\n");
	expect("cpus", "in the last 0:00:00.00\r\n");
}

static void record(u32 index, u32 vcpu, u64 port)
{
	struct exit_record *r = &fake_root.cpu.exits.record[index];

	*r = (struct exit_record){ .tsc_low = (u32)fake_root.tsc - 1000,
				   .reason = VM_EXIT_IO,
				   .vcpu = vcpu,
				   .detail = port | 1ULL << 16 };
}

static void trace(void **state)
{
	char answer[256];

	(void)state;
	assert_string_equal(does("trace dump"), ""); /* no exit yet */
	record(0, vcpu_trace_id(1, 3), 0x3f8);
	record(63, vcpu_trace_id(7, 0), 0x80);
	fake_root.cpu.exits.next = (u8)(2 * EXIT_RECORD_WORDS);
	strcpy(answer, does("trace dump"));
	assert_string_equal(answer,
			    "CPU 0     1000 us ago: VM (gone) vCPU 0: io out port 80, 1 bytes\r\n"
			    "CPU 0     1000 us ago: VM two vCPU 3: io out port 3f8, 1 bytes\r\n");
	expect("trace off", "the last exits are kept");
	record(0, 0, 0x3fa);
	host_run(5000);
	assert_string_equal(does("trace dump"), answer); /* as it was, and when */
	expect("trace off", "the last exits are kept");
	expect("trace on", "exits are recorded");
	expect("trace dump", "port 3fa");
}

static void version(void **state)
{
	(void)state;
	host_run(61000);
	expect("version", "Ringfence ");
	expect("version", ", fake, 1 processor, 1024 MiB, running for 0:01:02");
}

/* --- the end */

static void the_machine_stays_on_while_somebody_is_there(void **state)
{
	(void)state;
	for (u32 i = 0; i < 3; i++)
		fake_root_end(i, VM_END_POWER_OFF, PROCESS_EXITED);
	if (setjmp(off))
		fail();
	host_run(100000);
	host_type("\x01n");
	assert_true(host_shows("every VM is off: there is no other console"));
	does("start one");
	assert_int_equal(sup.guest[0].life, VM_RUNNING);
}

static void poweroff(void **state)
{
	(void)state;
	does("pause two");
	does("kill three");
	if (setjmp(off) == 0) {
		expect("poweroff", "VM one: power button pressed");
		assert_int_equal(fake_root_channel(0)->button, 1);
		assert_int_equal(fake_root_channel(1)->button, 1);
		fake_root_end(0, VM_END_POWER_OFF, PROCESS_EXITED);
		host_run(1000);
		fake_root_end(1, VM_END_POWER_OFF, PROCESS_EXITED);
		host_run(1000);
		fail();
	}
	assert_int_equal(fake_root.off, 0);
}

static void poweroff_twice(void **state)
{
	(void)state;
	does("poweroff");
	assert_int_equal(sup.guest[0].life, VM_RUNNING);
	if (setjmp(off) == 0) {
		does("poweroff");
		fail();
	}
	assert_int_equal(fake_root.off, 0); /* nothing has failed */
	assert_true(host_shows("VM three: killed"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_prompt_comes_and_goes, at_the_prompt),
		cmocka_unit_test_setup(an_empty_line_is_a_prompt, at_the_prompt),
		cmocka_unit_test_setup(guests_talk_meanwhile, at_the_prompt),
		cmocka_unit_test_setup(answers_are_on_the_screen_and_not_in_the_log, at_the_prompt),
		cmocka_unit_test_setup(lines_of_the_log_come_between, at_the_prompt),
		cmocka_unit_test_setup(unknown_commands_and_names, at_the_prompt),
		cmocka_unit_test_setup(commands_in_the_wrong_state, at_the_prompt),
		cmocka_unit_test_setup(help, at_the_prompt),
		cmocka_unit_test_setup(list, at_the_prompt),
		cmocka_unit_test_setup(stats, at_the_prompt),
		cmocka_unit_test_setup(stats_over_a_restart, at_the_prompt),
		cmocka_unit_test_setup(stats_of_one_that_never_ran, at_the_prompt),
		cmocka_unit_test_setup(pause_and_resume, at_the_prompt),
		cmocka_unit_test_setup(kill_and_start, at_the_prompt),
		cmocka_unit_test_setup(a_start_that_fails, at_the_prompt),
		cmocka_unit_test_setup(killing_beats_the_restart_policy, at_the_prompt),
		cmocka_unit_test_setup(stop_is_the_button_first, at_the_prompt),
		cmocka_unit_test_setup(stop_ends_it_hard_at_last, at_the_prompt),
		cmocka_unit_test_setup(reset, at_the_prompt),
		cmocka_unit_test_setup(consoles, at_the_prompt),
		cmocka_unit_test_setup(log_lines, at_the_prompt),
		cmocka_unit_test_setup(memory, at_the_prompt),
		cmocka_unit_test_setup(processors, at_the_prompt),
		cmocka_unit_test_setup(trace, at_the_prompt),
		cmocka_unit_test_setup(version, at_the_prompt),
		cmocka_unit_test_setup(the_machine_stays_on_while_somebody_is_there, at_the_prompt),
		cmocka_unit_test_setup(poweroff, at_the_prompt),
		cmocka_unit_test_setup(poweroff_twice, at_the_prompt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
