/* Tests of the decoding of task switches from the VMCS's exit fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/vmx/insn.h"
#include "core/vmx/vmx.h"
#include "lib/x86/registers.h"
#include "tests/support/vmx_guest.h"

#define SELECTOR	    0x1230U
#define EVENT(type, vector) (EVENT_VALID | EVENT_##type * BIT64(8) | (vector))

static void decode(enum task_source source, u64 event, bool nmi_blocked)
{
	void *state = NULL;

	guest_fresh(&state);
	guest->offered = 0x31;
	guest_plan(VMCS_EXIT_QUALIFICATION, (u64)source << 30 | SELECTOR);
	guest_plan(VMCS_EXIT_INSN_LENGTH, 7);
	guest_plan(VMCS_VECTORING_EVENT, event);
	guest_plan(VMCS_VECTORING_ERROR, 0x4242);
	guest_plan(VMCS_GUEST_INTERRUPTIBILITY,
		   BLOCKED_BY_STI | (nmi_blocked ? BLOCKED_BY_NMI : 0));
	guest_exit(VMX_EXIT_TASK_SWITCH);
	assert_int_equal(guest->exit.reason, VM_EXIT_TASK_SWITCH);
	assert_int_equal(guest->exit.task.selector, SELECTOR);
	assert_int_equal(guest->exit.task.source, source);
}

static bool nmi_is_blocked(void)
{
	u64 blocked = vmread(VMCS_GUEST_INTERRUPTIBILITY);

	assert_true(blocked & BLOCKED_BY_STI);
	return (blocked & BLOCKED_BY_NMI) != 0;
}

static void instructions_have_a_length(void **state)
{
	static const enum task_source sources[] = { TASK_CALL, TASK_JUMP, TASK_IRET };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(sources); i++) {
		decode(sources[i], 0, true);
		assert_int_equal(guest->exit.insn_length, 7);
		assert_int_equal(guest->exit.task.external, 0);
		assert_int_equal(guest->exit.task.has_error, 0);
		assert_false(guest->offer_taken);
		assert_int_equal(nmi_is_blocked(), sources[i] != TASK_IRET);
	}
}

static void events_through_a_task_gate(void **state)
{
	static const struct {
		u64 event;
		u32 length;
		bool external, error, taken, blocked;
	} rows[] = {
		{ EVENT(SOFTWARE, 0x80), 7, false, false, false, false },
		{ EVENT(SOFTWARE_EXC, EXC_BP), 7, false, false, false, false },
		{ EVENT(PRIVILEGED, EXC_DB), 7, true, false, false, false },
		{ EVENT(EXCEPTION, EXC_UD), 0, true, false, false, false },
		{ EVENT(EXCEPTION, EXC_GP) | EVENT_ERROR_VALID, 0, true, true, false, false },
		{ EVENT(INTERRUPT, 0x31), 0, true, false, true, false },
		{ EVENT(NMI, EXC_NMI), 0, true, false, false, true },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		decode(TASK_GATE, rows[i].event, false);
		assert_int_equal(guest->exit.insn_length, rows[i].length);
		assert_int_equal(guest->exit.task.external, rows[i].external);
		assert_int_equal(guest->exit.task.has_error, rows[i].error);
		assert_true(!rows[i].error || guest->exit.task.error == 0x4242);
		assert_int_equal(guest->offer_taken, rows[i].taken);
		assert_int_equal(nmi_is_blocked(), rows[i].blocked);
		/* An NMI is never delivered again; an exception counts if the switch faults. */
		assert_int_equal(guest->reinject.type,
				 field_get(EVENT_TYPE, rows[i].event) == EVENT_EXCEPTION
					 ? EVENT_EXCEPTION
					 : EVENT_NONE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(instructions_have_a_length),
		cmocka_unit_test(events_through_a_task_gate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
