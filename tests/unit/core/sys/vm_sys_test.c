/* Tests of making and unmaking VMs: what a failure half-way leaves behind, and what destroying
 * does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/cpu/cpu.h"
#include "core/mem/core_map.h"
#include "core/mem/frames.h"
#include "core/mem/heap.h"
#include "core/sys/process.h"
#include "core/sys/vm_sys.h"
#include "lib/abi/channel.h"
#include "lib/abi/layout.h"
#include "tests/support/fake_backend.h"
#include "tests/support/fake_insn.h"
#include "tests/support/fake_machine.h"

/* Its threads lived on this processor: nobody else has to let go of it. */
static void destroy(struct vm *vm)
{
	assert_int_equal(vm_destroy(vm), ERR_OK);
}

static const struct vm_request small = { .name = "a",
					 .memory_bytes = 4 * MIB,
					 .cpus = 1,
					 .kernel_module = 2,
					 .initrd_module = MANIFEST_NO_FILE,
					 .weight = MANIFEST_WEIGHT_DEFAULT,
					 .cpus_allowed = MANIFEST_ANY_CPU };

static int machine(void **state)
{
	(void)state;
	return fake_machine_supervisor() == ERR_OK ? 0 : -1;
}

/* Takes free pages until `left` are left; give_back() returns them. */
static void take_all_but(u64 left)
{
	hpa_t page;

	while (frames_available() > left)
		assert_int_equal(frames_alloc(FRAME_MODULE + 1, 1, 1, &page), ERR_OK);
}

static void give_back(void)
{
	(void)frames_free_all(FRAME_MODULE + 1);
}

static int clear(void **state)
{
	(void)state;
	fake_backend.vcpu_init_error = ERR_OK;
	give_back();
	fake_machine_clear();
	return 0;
}

static struct vm *create(void)
{
	u32 number = 99;

	assert_int_equal(vm_create(&small, &number), ERR_OK);
	assert_non_null(vm_find(number));
	return vm_find(number);
}

static bool supervisor_sees(u64 address)
{
	struct paging_leaf leaf;

	return paging_find(&process_supervisor()->space, address, &leaf);
}

static void a_new_vm_has_its_parts(void **state)
{
	struct vm *vm = create();
	struct paging_leaf leaf;

	(void)state;
	assert_int_equal(vm->number, 0);
	assert_string_equal(vm->name, "a");
	assert_non_null(vm->vcpus[0]);
	assert_ptr_equal(vm->vcpus[0]->thread, process_main(vm->process));
	assert_ptr_equal(process_main(vm->process)->vcpu, vm->vcpus[0]);
	assert_int_equal(process_main(vm->process)->state, THREAD_NEW);
	assert_int_equal(*(u16 *)vm->vcpus[0]->fpu, 0x37f); /* x87 exceptions are masked */
	assert_int_equal(((u32 *)vm->vcpus[0]->fpu)[6], 0x1f80);
	assert_true(paging_find(&vm->process->space, VMM_VCPU_BASE, &leaf));
	assert_int_equal(leaf.physical.raw, core_physical(vm->vcpus[0]->page).raw);
	assert_int_equal(frames_owner(leaf.physical), process_owner(vm->process));
	assert_true(paging_find(&vm->process->space, VMM_KERNEL_BASE, &leaf));
	assert_int_equal(leaf.entry & BIT64(1), 0); /* modules are read-only */
	assert_false(paging_find(&vm->process->space, VMM_INITRD_BASE, &leaf));
	assert_true(supervisor_sees(SUPERVISOR_CHANNEL_BASE));
	assert_true(supervisor_sees(SUPERVISOR_COUNTER_BASE));
	assert_false(paging_find(&vm->process->space, SUPERVISOR_COUNTER_BASE, &leaf));
}

static void refuses_bad_requests(void **state)
{
	struct vm_request bad[15];
	u32 number;
	u64 before = frames_available();

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
		bad[i] = small;
	bad[0].memory_bytes = 0;
	bad[1].memory_bytes = 4 * MIB + 4096;
	bad[2].memory_bytes = MANIFEST_MEMORY_MAX + 2 * MIB;
	bad[3].cpus = 0;
	bad[4].cpus = VM_VCPU_MAX + 1;
	bad[5].reserved = 1;
	memset(bad[6].name, 'x', sizeof(bad[6].name));
	bad[7].cpus = UINT32_MAX;
	bad[14].kernel_module = 3;
	bad[8].weight = 0;
	bad[9].weight = MANIFEST_WEIGHT_MAX + 1;
	bad[10].cap_percent = MANIFEST_CAP_MAX + 1;
	bad[11].cap_percent = 0xffffffff;
	bad[12].cpus_allowed = 0;
	bad[13].cpus_allowed = ~BIT64(boot_cpu.index); /* all that are not there */
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(vm_create(&bad[i], &number),
				 i == 14 ? ERR_NOT_FOUND : ERR_INVALID);
	assert_null(vm_find(0));
	/* The supervisor's tables for the channel may stay. */
	assert_true(before - frames_available() <= 16);
}

static struct vm *create_with(u32 cpus)
{
	struct vm_request request = small;
	u32 number = 99;

	request.cpus = cpus;
	assert_int_equal(vm_create(&request, &number), ERR_OK);
	return vm_find(number);
}

static void vcpus_by_the_request(void **state)
{
	struct paging_leaf leaf;

	(void)state;
	for (u32 cpus = 1; cpus <= VM_VCPU_MAX; cpus += cpus < 4 ? 1 : 15) {
		struct vm *vm = create_with(cpus);

		assert_int_equal(vm->vcpu_count, cpus);
		for (u32 i = 0; i < cpus; i++) {
			const struct vcpu *v = vm->vcpus[i];

			assert_int_equal(v->index, i);
			assert_int_equal(v->lapic.id, i);
			assert_ptr_equal(v->counters, &vm->counters[i]);
			assert_ptr_equal(v->thread, i ? NULL : process_main(vm->process));
			assert_true(paging_find(&vm->process->space, VMM_VCPU_BASE + i * PAGE_SIZE,
						&leaf));
			assert_int_equal(leaf.physical.raw, core_physical(v->page).raw);
		}
		assert_false(
			paging_find(&vm->process->space, VMM_VCPU_BASE + cpus * PAGE_SIZE, &leaf));
		assert_int_equal(fake_backend.vcpus, cpus);
		destroy(vm);
	}
}

static void the_share_is_the_processs(void **state)
{
	struct vm_request most = small;
	const struct share *share;
	u32 number;

	(void)state;
	most.weight = MANIFEST_WEIGHT_MAX;
	most.cap_percent = MANIFEST_CAP_MAX;
	most.cpus_allowed = BIT64(boot_cpu.index) | BIT64(63);
	assert_int_equal(vm_create(&most, &number), ERR_OK);
	share = &vm_find(number)->process->share;
	assert_int_equal(share->weight, MANIFEST_WEIGHT_MAX);
	assert_int_equal(share->cap_percent, MANIFEST_CAP_MAX);
	assert_int_equal(share->allowed, most.cpus_allowed);
	share = &create()->process->share; /* the next one starts afresh */
	assert_int_equal(share->weight, MANIFEST_WEIGHT_DEFAULT);
	assert_int_equal(share->cap_percent, 0);
	assert_int_equal(share->allowed, UINT64_MAX);
	share = &process_supervisor()->share;
	assert_int_equal(share->weight, 4 * MANIFEST_WEIGHT_DEFAULT);
	assert_int_equal(share->cap_percent, 0);
	assert_int_equal(share->allowed, 1);
}

/* Whatever allocation fails, a VM is there whole or not at all. */
static void creation_fails_without_a_trace(void **state)
{
	struct vm_request request = small;
	u64 supervisor = frames_available();
	bool made = false;
	u32 number;

	(void)state;
	request.cpus = 2;
	/* Once with plenty, so that the supervisor's and the heap's tables exist. */
	destroy(create_with(2));
	supervisor = frames_available();
	for (u64 left = 0; !made; left++) {
		assert_in_range(left, 0, 400);
		take_all_but(left);
		made = vm_create(&request, &number) == ERR_OK;
		if (made)
			destroy(vm_find(number));
		assert_int_equal(frames_available(), left);
		assert_false(supervisor_sees(SUPERVISOR_CHANNEL_BASE));
		assert_false(supervisor_sees(SUPERVISOR_COUNTER_BASE));
		assert_int_equal(fake_backend.vcpus, 0);
		give_back();
		assert_int_equal(frames_available(), supervisor);
		fake_machine_check();
	}
}

static void creation_undoes_a_failing_back_end(void **state)
{
	u64 before;
	u32 number;

	(void)state;
	destroy(create());
	before = frames_available();
	fake_backend.vcpu_init_error = ERR_NO_MEMORY;
	assert_int_equal(vm_create(&small, &number), ERR_NO_MEMORY);
	fake_backend.vcpu_init_error = ERR_OK;
	assert_int_equal(frames_available(), before);
	assert_null(vm_find(0));
}

/* The heap's own page tables can be what is missing: that is no reason to panic. */
static void no_memory_for_the_heaps_tables(void **state)
{
	void *object[600];
	u64 before = frames_available();
	u32 count = 0;

	(void)state;
	/* Each object takes a page and a guard page: more than one table's worth of addresses. */
	for (; count < ARRAY_SIZE(object); count++) {
		take_all_but(1); /* enough for the object, not for a table */
		object[count] = heap_try_alloc(PAGE_SIZE);
		if (!object[count])
			break;
		give_back();
	}
	assert_in_range(count, 1, ARRAY_SIZE(object) - 1);
	assert_int_equal(frames_available(), 1);
	give_back();
	for (u32 i = 0; i < count; i++)
		heap_free(object[i], PAGE_SIZE);
	assert_int_equal(frames_available(), before);
	assert_non_null(object[0] = heap_try_alloc(PAGE_SIZE));
	heap_free(object[0], PAGE_SIZE);
}

static u64 ram_add_all(struct vm *vm)
{
	enum err err;
	u64 calls = 0;

	do {
		err = vm_ram_add(vm);
		calls++;
	} while (err == ERR_AGAIN);
	assert_int_equal(err, ERR_OK);
	return calls;
}

static void check_ram(const struct vm *vm)
{
	for (u64 gpa = 0; gpa < vm->memory_bytes; gpa += PAGE_SIZE) {
		struct paging_leaf vmm, guest;

		assert_true(paging_find(&vm->process->space, VMM_RAM_BASE + gpa, &vmm));
		assert_int_equal(frames_owner(vmm.physical), process_owner(vm->process));
		if (vm_in_vga_hole(GPA(gpa))) {
			assert_false(paging_find(&vm->stage2, gpa, &guest));
			assert_false(vm_is_ram(vm, GPA(gpa)));
			continue;
		}
		assert_true(paging_find(&vm->stage2, gpa, &guest));
		assert_int_equal(vmm.physical.raw, guest.physical.raw);
		assert_true(vm_is_ram(vm, GPA(gpa)));
	}
}

static void ram_is_the_same_for_vmm_and_guest(void **state)
{
	struct vm *vm = create();

	(void)state;
	/* Taken, zeroed in parts, mapped: one run of 2 MiB pages. */
	assert_int_equal(ram_add_all(vm), 4);
	assert_int_equal(vm->low_bytes, 4 * MIB);
	assert_int_equal(vm->high_bytes, 0);
	check_ram(vm);
	assert_int_equal(vm_ram_add(vm), ERR_OK); /* nothing is missing */
	assert_int_equal(vm->low_bytes, 4 * MIB);
}

/* Others wait for a call's lock, so none does much; and nobody sees what was there before. */
static void ram_is_zeroed_in_parts(void **state)
{
	static const struct vm_request request = { .name = "a",
						   .memory_bytes = 24 * MIB,
						   .cpus = 1,
						   .kernel_module = MANIFEST_NO_FILE,
						   .initrd_module = MANIFEST_NO_FILE,
						   .weight = MANIFEST_WEIGHT_DEFAULT,
						   .cpus_allowed = MANIFEST_ANY_CPU };
	struct vm *vm;
	u32 number;
	hpa_t at;

	(void)state;
	assert_int_equal(vm_create(&request, &number), ERR_OK);
	vm = vm_find(number);
	assert_int_equal(frames_alloc(FRAME_MODULE + 1, 28 * MIB / PAGE_SIZE, 1, &at), ERR_OK);
	memset(fake_physical(at, 28 * MIB), 0xa5, 28 * MIB);
	give_back();
	fake_zero_max = 0;
	ram_add_all(vm);
	assert_true(fake_zero_max > 0 && fake_zero_max <= 2 * MIB);
	check_ram(vm);
	for (u64 gpa = 0; gpa < vm->memory_bytes; gpa += PAGE_SIZE) {
		static const u8 zeroes[PAGE_SIZE];
		struct paging_leaf leaf;

		assert_true(paging_find(&vm->process->space, VMM_RAM_BASE + gpa, &leaf));
		assert_memory_equal(fake_physical(leaf.physical, PAGE_SIZE), zeroes, PAGE_SIZE);
	}
}

/* The VM ends while a block of its memory is not yet zeroed. */
static void half_a_block_goes_back(void **state)
{
	u64 before;

	(void)state;
	destroy(create());
	before = frames_available();
	for (u32 calls = 1; calls < 5; calls++) {
		struct vm *vm = create();

		for (u32 i = 0; i < calls; i++)
			assert_int_equal(vm_ram_add(vm), i == 3 ? ERR_OK : ERR_AGAIN);
		destroy(vm);
		assert_int_equal(frames_available(), before);
	}
}

/* Free memory in single pages only: every second page is taken. */
static void ram_from_fragments(void **state)
{
	static hpa_t page[16384];
	u32 count = 0;
	struct vm *vm = create();

	(void)state;
	while (frames_available() > 64)
		assert_int_equal(frames_alloc(FRAME_MODULE + 1, 1, 1, &page[count++]), ERR_OK);
	for (u32 i = 0; i < count; i += 2)
		frames_free(page[i], 1, FRAME_MODULE + 1);
	assert_true(ram_add_all(vm) > 1000);
	check_ram(vm);
	give_back();
}

/* Memory runs out while RAM is added, at every point: adding can go on when there is more. */
static void adding_ram_fails_and_goes_on(void **state)
{
	(void)state;
	for (u64 left = 0; left < 24; left++) {
		struct vm *vm = create();
		enum err err;

		take_all_but(left);
		do
			err = vm_ram_add(vm);
		while (err == ERR_AGAIN);
		assert_int_equal(err, ERR_NO_MEMORY);
		give_back();
		ram_add_all(vm);
		check_ram(vm);
		destroy(vm);
	}
}

static void destroying_returns_everything(void **state)
{
	u64 before;

	(void)state;
	destroy(create());
	before = frames_available();
	for (u32 i = 0; i < 40; i++) {
		struct vm *vm = create();

		ram_add_all(vm);
		sched_start(process_main(vm->process));
		destroy(vm);
		assert_int_equal(frames_available(), before);
		assert_null(vm_find(0));
	}
}

static bool channel_was_mapped;

static void look_at_channel(u64 cr3)
{
	(void)cr3;
	channel_was_mapped = supervisor_sees(SUPERVISOR_CHANNEL_BASE) ||
			     supervisor_sees(SUPERVISOR_COUNTER_BASE);
}

/* The TLB is emptied after the supervisor's view of the VM is gone, not before. */
static void destroying_flushes_the_supervisors_view(void **state)
{
	struct vm *vm = create();
	u64 loads = fake_insn.cr3_loads;

	(void)state;
	channel_was_mapped = true;
	fake_insn.on_cr3 = look_at_channel;
	destroy(vm);
	fake_insn.on_cr3 = NULL;
	assert_true(fake_insn.cr3_loads > loads);
	assert_false(channel_was_mapped);
	assert_int_equal(fake_insn.cr3, process_supervisor()->space.root.raw);
}

static void destroying_stops_timers_and_residency(void **state)
{
	struct vm *vm = create();
	struct thread *thread = process_main(vm->process);

	(void)state;
	sched_start(thread);
	timer_set(&thread->timer, 5000000);
	timer_set(&vm->vcpus[0]->timer, 6000000);
	boot_cpu.resident = vm->vcpus[0];
	destroy(vm);
	timer_set(&boot_cpu.slice, TIMER_NEVER);
	assert_null(boot_cpu.timers.first);
	assert_null(boot_cpu.resident);
}

static void numbers_are_used_again(void **state)
{
	struct vm *a = create();
	struct vm *b = create();

	(void)state;
	assert_int_equal(a->number, 0);
	assert_int_equal(b->number, 1);
	destroy(a);
	assert_int_equal(create()->number, 0);
	assert_int_equal(b->number, 1);
}

static void no_more_than_vm_max(void **state)
{
	u32 number;

	(void)state;
	for (u32 i = 0; i < VM_MAX; i++)
		assert_int_equal(create()->number, i);
	assert_int_equal(vm_create(&small, &number), ERR_NO_MEMORY);
	assert_null(vm_find(VM_MAX));
	assert_null(vm_find(~0ULL));
}

static u32 create_large(void)
{
	struct vm_request large = small;
	u32 number;

	large.cpus = VM_VCPU_MAX;
	assert_int_equal(vm_create(&large, &number), ERR_OK);
	return number;
}

/* Neither pages nor addresses, which would cost page tables in the long run. */
static void many_starts_use_nothing_up(void **state)
{
	u64 left = 0;

	(void)state;
	for (u32 round = 0; round < 16; round++) {
		u32 one = create_large(), other = create_large();

		destroy(vm_find(one));
		destroy(vm_find(other));
		if (round == 0)
			left = frames_available();
		assert_int_equal(frames_available(), left);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_new_vm_has_its_parts, machine, clear),
		cmocka_unit_test_setup_teardown(refuses_bad_requests, machine, clear),
		cmocka_unit_test_setup_teardown(vcpus_by_the_request, machine, clear),
		cmocka_unit_test_setup_teardown(the_share_is_the_processs, machine, clear),
		cmocka_unit_test_setup_teardown(creation_fails_without_a_trace, machine, clear),
		cmocka_unit_test_setup_teardown(creation_undoes_a_failing_back_end, machine, clear),
		cmocka_unit_test_setup_teardown(no_memory_for_the_heaps_tables, machine, clear),
		cmocka_unit_test_setup_teardown(ram_is_the_same_for_vmm_and_guest, machine, clear),
		cmocka_unit_test_setup_teardown(ram_is_zeroed_in_parts, machine, clear),
		cmocka_unit_test_setup_teardown(half_a_block_goes_back, machine, clear),
		cmocka_unit_test_setup_teardown(ram_from_fragments, machine, clear),
		cmocka_unit_test_setup_teardown(adding_ram_fails_and_goes_on, machine, clear),
		cmocka_unit_test_setup_teardown(destroying_returns_everything, machine, clear),
		cmocka_unit_test_setup_teardown(destroying_flushes_the_supervisors_view, machine,
						clear),
		cmocka_unit_test_setup_teardown(destroying_stops_timers_and_residency, machine,
						clear),
		cmocka_unit_test_setup_teardown(numbers_are_used_again, machine, clear),
		cmocka_unit_test_setup_teardown(no_more_than_vm_max, machine, clear),
		cmocka_unit_test_setup_teardown(many_starts_use_nothing_up, machine, clear),
	};

	fake_machine_start(40 * MIB);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
