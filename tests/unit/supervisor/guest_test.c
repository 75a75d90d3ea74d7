/* The life of VMs: starting, failing, ending, restarting, and the machine's end after them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/supervisor/host.h"

static jmp_buf off;

static int plan(void **state)
{
	(void)state;
	host_plan();
	fake_root.on_off = NULL;
	return 0;
}

static void start(u32 count)
{
	host_start(count);
	fake_root.on_off = &off;
	host_run(0);
	fake_root_clear();
}

/* Runs on until the machine goes off; says how. */
static u64 off_after(u64 ms)
{
	if (setjmp(off) == 0) {
		host_run(ms);
		return ~0ULL;
	}
	return fake_root.off;
}

static void every_vm_starts_with_what_it_was_given(void **state)
{
	(void)state;
	host_vms[1].memory_bytes = 64 * MIB;
	start(2);
	for (u32 i = 0; i < 2; i++) {
		assert_true(fake_root.vm[i].started);
		assert_int_equal(fake_root.vm[i].memory, host_vms[i].memory_bytes);
		assert_int_equal(fake_root_channel(i)->config.kernel_bytes, 4096);
		assert_string_equal(fake_root_channel(i)->config.vm.name, host_vms[i].name);
		assert_int_equal(sup.guest[i].life, VM_RUNNING);
	}
	assert_int_equal(fake_root.memory_free, (256 - 80) * MIB);
}

static void one_that_does_not_fit_keeps_nobody_from_starting(void **state)
{
	(void)state;
	host_vms[0].memory_bytes = 512 * MIB;
	host_vms[1].kernel = 0;
	host_start(3);
	assert_true(host_shows("error: VM one does not start: no memory") ||
		    host_shows("VM one does not start"));
	assert_true(host_shows("512 MiB") && host_shows("256 MiB are free"));
	assert_int_equal(sup.guest[0].life, VM_OFF);
	assert_true(sup.guest[0].failed);
	assert_int_equal(sup.guest[1].life, VM_RUNNING);
	assert_int_equal(sup.guest[2].life, VM_RUNNING);
	assert_int_equal(fake_root.memory_free, (256 - 32) * MIB); /* nothing is left behind */
	host_run(0);
	assert_int_equal(sup.front, 1);
}

static void the_machine_goes_off_with_its_last_vm(void **state)
{
	(void)state;
	start(2);
	fake_root_end(0, VM_END_POWER_OFF, PROCESS_EXITED);
	assert_int_equal(off_after(0), ~0ULL);
	fake_root_end(1, VM_END_POWER_OFF, PROCESS_EXITED);
	assert_int_equal(off_after(0), 0);
	assert_true(host_shows("ringfence: all VMs ended, powering off"));
	assert_int_equal(fake_root.memory_free, 256 * MIB);
}

static void a_failure_is_the_machines_verdict(void **state)
{
	(void)state;
	start(2);
	strcpy(fake_root_channel(0)->reason, "triple \x1b[2Jfault");
	fake_root_end(0, VM_END_CRASH, PROCESS_EXITED);
	assert_int_equal(off_after(0), ~0ULL);
	assert_true(host_shows("ringfence: VM one ended: crash: triple ?[2Jfault\r\n"));
	fake_root_end(1, VM_END_POWER_OFF, PROCESS_EXITED);
	assert_int_equal(off_after(0), 1);
}

static void ends_in_words(void **state)
{
	static const struct {
		enum vm_end end;
		enum process_status status;
		u32 test;
		const char *words;
		u64 off;
	} table[] = {
		{ VM_END_POWER_OFF, PROCESS_EXITED, 0, "ended: power-off\r\n", 0 },
		{ VM_END_TEST, PROCESS_EXITED, 0, "ended: test: status 0\r\n", 0 },
		{ VM_END_TEST, PROCESS_EXITED, 7, "ended: test: status 7\r\n", 1 },
		{ VM_END_CRASH, PROCESS_EXITED, 0, "ended: crash: \r\n", 1 },
		{ VM_END_RUNNING, PROCESS_EXITED, 0, "ended: crash: \r\n", 1 },
		{ 99, PROCESS_EXITED, 0, "ended: crash: \r\n", 1 },
		{ VM_END_POWER_OFF, PROCESS_KILLED, 0, "ended: crash: its VMM was killed\r\n", 1 },
	};

	(void)state;
	for (volatile u32 i = 0; i < ARRAY_SIZE(table); i++) {
		start(1);
		fake_root_channel(0)->status = table[i].test;
		fake_root_end(0, table[i].end, table[i].status);
		assert_int_equal(off_after(0), table[i].off);
		assert_true(host_shows(table[i].words));
	}
}

static void the_end_shows_the_exits(void **state)
{
	(void)state;
	start(1);
	fake_root_counters(0)->exits[VM_EXIT_CPUID] = 42;
	fake_root_counters(0)->to_vmm = 3;
	fake_root_end(0, VM_END_POWER_OFF, PROCESS_EXITED);
	assert_int_equal(off_after(0), 0);
	assert_true(host_shows("  cpuid                  42\r\n"));
	assert_true(
		host_shows("  all                    42 (3 to the VMM, 0 interrupts given)\r\n"));
	assert_false(host_shows("  hlt "));
}

static void a_reboot_starts_it_again(void **state)
{
	(void)state;
	start(2);
	host_run(5000);
	fake_root_end(0, VM_END_RESET, PROCESS_EXITED);
	assert_int_equal(off_after(0), ~0ULL);
	assert_int_equal(fake_root.made, 3);
	assert_int_equal(sup.guest[0].life, VM_RUNNING);
	assert_int_equal(sup.front, 0); /* and its console stays where it was */
	/* At once after its start: a second must pass between two. */
	fake_root_end(0, VM_END_RESET, PROCESS_EXITED);
	host_run(500);
	assert_int_equal(sup.guest[0].life, VM_WAITING);
	assert_int_equal(fake_root.memory_free, (256 - 16) * MIB);
	host_run(600);
	assert_int_equal(sup.guest[0].life, VM_RUNNING);
	assert_int_equal(fake_root.made, 4);
}

static void failures_back_off(void **state)
{
	static const u64 seconds[] = { 1, 2, 4, 8 };

	(void)state;
	host_vms[0].restart = MANIFEST_RESTART_ON_FAILURE;
	start(2);
	for (u32 i = 0; i < ARRAY_SIZE(seconds); i++) {
		fake_root_clear();
		fake_root_end(0, VM_END_CRASH, PROCESS_EXITED);
		host_run(seconds[i] * 1000 - 100);
		assert_int_equal(sup.guest[0].life, VM_WAITING);
		host_run(200);
		assert_int_equal(sup.guest[0].life, VM_RUNNING);
		assert_true(host_shows("VM one: starting again"));
	}
	/* The machine waits for it. */
	fake_root_end(1, VM_END_POWER_OFF, PROCESS_EXITED);
	fake_root_end(0, VM_END_CRASH, PROCESS_EXITED);
	assert_int_equal(off_after(1000), ~0ULL);
	host_run(16000);
	fake_root_end(0, VM_END_POWER_OFF, PROCESS_EXITED);
	assert_int_equal(off_after(0), 0); /* it ended well in the end */
}

/* What another VM gives back may be enough. */
static void too_little_memory_is_tried_again(void **state)
{
	(void)state;
	host_vms[0].memory_bytes = 128 * MIB;
	host_vms[1].memory_bytes = 192 * MIB;
	host_vms[1].restart = MANIFEST_RESTART_ALWAYS;
	start(2);
	assert_int_equal(sup.guest[1].life, VM_WAITING);
	host_run(10000);
	assert_int_equal(sup.guest[1].life, VM_WAITING);
	fake_root_end(0, VM_END_POWER_OFF, PROCESS_EXITED);
	assert_int_equal(off_after(60000), ~0ULL);
	assert_int_equal(sup.guest[1].life, VM_RUNNING);
	assert_int_equal(fake_root.memory_free, 64 * MIB);
}

static void the_machines_power_button(void **state)
{
	(void)state;
	start(3);
	guest_pause(&sup, &sup.guest[1], true);
	fake_root.bits = NOTIFY_POWER;
	host_run(0);
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(fake_root_channel(i)->button, 1);
		assert_false(fake_root.vm[i].paused);
		assert_true(fake_root.vm[i].notified > 0);
	}
}

/* While other processors let go of a VM, what happens elsewhere is kept for later. */
static void what_comes_during_an_end_is_not_lost(void **state)
{
	(void)state;
	start(2);
	fake_root.busy = 2;
	fake_root_end(1, VM_END_POWER_OFF, PROCESS_EXITED);
	fake_root.bits |= NOTIFY_POWER;
	assert_int_equal(off_after(0), ~0ULL);
	assert_int_equal(fake_root.busy, 0);
	assert_false(fake_root.vm[1].exists);
	assert_int_equal(fake_root_channel(0)->button, 1);
}

static void a_manifest_that_is_none(void **state)
{
	(void)state;
	fake_root_start(host_vms, 1);
	memset(&sup, 0, sizeof(sup));
	host_vms[0].name[0] = '_';
	fake_root_start(host_vms, 1);
	fake_root.on_off = &off;
	if (setjmp(off) == 0)
		supervisor_start(&sup);
	assert_int_equal(fake_root.off, 2);
	assert_true(host_shows("error: manifest refused: VM name"));
	assert_int_equal(fake_root.made, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(every_vm_starts_with_what_it_was_given, plan),
		cmocka_unit_test_setup(one_that_does_not_fit_keeps_nobody_from_starting, plan),
		cmocka_unit_test_setup(the_machine_goes_off_with_its_last_vm, plan),
		cmocka_unit_test_setup(a_failure_is_the_machines_verdict, plan),
		cmocka_unit_test_setup(ends_in_words, plan),
		cmocka_unit_test_setup(the_end_shows_the_exits, plan),
		cmocka_unit_test_setup(a_reboot_starts_it_again, plan),
		cmocka_unit_test_setup(failures_back_off, plan),
		cmocka_unit_test_setup(too_little_memory_is_tried_again, plan),
		cmocka_unit_test_setup(the_machines_power_button, plan),
		cmocka_unit_test_setup(what_comes_during_an_end_is_not_lost, plan),
		cmocka_unit_test_setup(a_manifest_that_is_none, plan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
