/*
 * Tests of the page-table audit: a machine in order has no findings, whatever its second-stage
 * format; each kind of leak, planted, is found, and the line says where.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/boot/boot_info.h"
#include "core/cpu/cpu.h"
#include "core/mem/audit.h"
#include "core/mem/core_map.h"
#include "core/mem/heap.h"
#include "core/mem/layout.h"
#include "core/sys/process.h"
#include "core/sys/syscall.h"
#include "core/sys/vm_sys.h"
#include "lib/abi/channel.h"
#include "lib/abi/layout.h"
#include "lib/base/string.h"
#include "lib/x86/registers.h"
#include "tests/support/fake_backend.h"
#include "tests/support/fake_log.h"
#include "tests/support/fake_machine.h"

#define RW	 (MAP_READ | MAP_WRITE)
#define RWX	 (RW | MAP_EXECUTE)
#define HOLE	 0x0000180000000000UL /* nothing is there in any process */
#define PT_LEVEL 1U

extern const struct backend vmx_backend;

/* With two VMs and their memory, "a" and "b". */
static struct process *supervisor;
static struct vm *a, *b;
static struct backend ept_backend;

static struct vm *create(const char *name)
{
	struct vm_request request = { .memory_bytes = 6 * MIB,
				      .cpus = 1,
				      .weight = 1,
				      .cpus_allowed = 1,
				      .kernel_module = 1,
				      .initrd_module = MANIFEST_NO_FILE };
	u32 number;

	strcpy(request.name, name);
	assert_int_equal(vm_create(&request, &number), ERR_OK);
	while (vm_ram_add(vm_find(number)) == ERR_AGAIN)
		;
	return vm_find(number);
}

static int machine(void **state)
{
	(void)state;
	const struct boot_module *manifest = boot_module_find("manifest");

	if (fake_machine_supervisor())
		return -1;
	supervisor = process_supervisor();
	assert_int_equal(process_map(supervisor, SUPERVISOR_MODULE_BASE, manifest->start,
				     manifest->bytes, MAP_READ),
			 ERR_OK);
	a = create("a");
	b = create("b");
	return audit_run() == 0 ? 0 : -1;
}

static int machine_ept(void **state)
{
	fake_backend_reset();
	ept_backend = *backend;
	ept_backend.stage2_format = vmx_backend.stage2_format;
	backend = &ept_backend;
	return machine(state);
}

static int clear(void **state)
{
	(void)state;
	fake_log.on_line = NULL;
	fake_log.on_panic = NULL;
	boot_info.cmdline[0] = '\0';
	fake_machine_clear();
	fake_backend_reset();
	return 0;
}

static hpa_t physical(const struct page_table *tables, u64 virtual)
{
	struct paging_leaf leaf;

	assert_true(paging_find(tables, virtual, &leaf));
	return leaf.physical;
}

/* The entry of `level` for an address, wherever its tables are. */
static u64 *entry_of(const struct page_table *tables, u64 virtual, u32 level)
{
	hpa_t table = tables->root;

	for (u32 at = PAGING_LEVELS;; at--) {
		u64 *entries = fake_physical(table, PAGE_SIZE);
		u64 *entry = &entries[(virtual >> (12 + 9 * (at - 1))) % PAGING_ENTRIES];

		if (at == level)
			return entry;
		assert_int_not_equal(*entry, 0);
		table = HPA(*entry & PTE_ADDRESS);
	}
}

static char lines[2048];

static void keep(const char *text)
{
	if (strlen(lines) + strlen(text) + 2 < sizeof(lines))
		strcat(strcat(lines, text), "\n");
}

static u32 audit(void)
{
	lines[0] = '\0';
	fake_log.on_line = keep;
	return audit_run();
}

static void assert_says(const char *words)
{
	if (!strstr(lines, words))
		fail_msg("no \"%s\" in: %s", words, lines);
}

/* One finding, with these words; none when the entry is as it was before. */
static void assert_found(u64 *entry, u64 planted, const char *where, const char *whose)
{
	u64 before = *entry;

	*entry = planted;
	assert_int_equal(audit(), 1);
	assert_says(where);
	assert_says(whose);
	*entry = before;
	assert_int_equal(audit(), 0);
	assert_string_equal(lines, "");
}

static void map(struct process *p, u64 virtual, hpa_t at, u32 flags)
{
	assert_int_equal(process_map(p, virtual, at, PAGE_SIZE, flags), ERR_OK);
}

/* Maps a page where nothing is; one finding, and none when it is gone again. */
static void assert_map_found(struct process *p, hpa_t at, u32 flags, const char *where,
			     const char *whose)
{
	map(p, HOLE, at, flags);
	assert_int_equal(audit(), 1);
	assert_says(where);
	assert_says(whose);
	paging_unmap(&p->space, HOLE, PAGE_SIZE);
	assert_int_equal(audit(), 0);
}

/* --- in order */

static void nothing_to_find(void **state)
{
	(void)state;
	assert_int_equal(audit(), 0);
	assert_int_equal(vm_destroy(a), ERR_OK);
	assert_int_equal(audit(), 0);
	a = create("c");
	assert_int_equal(audit(), 0);
	assert_string_equal(lines, "");
}

static void a_page_twice_in_its_own_process(void **state)
{
	(void)state;
	map(a->process, HOLE, physical(&a->process->space, VMM_RAM_BASE), RW);
	assert_int_equal(audit(), 0);
}

/* --- processes */

static void a_page_in_two_processes(void **state)
{
	hpa_t ram = physical(&a->process->space, VMM_RAM_BASE + 3 * MIB);

	(void)state;
	assert_map_found(b->process, ram, RW, "audit: VMM of b: 0000180000000000 leads to ",
			 " of VMM of a; expected its own");
	assert_map_found(b->process, ram, MAP_READ, "audit: VMM of b: ", "of VMM of a");
	assert_map_found(supervisor, ram, MAP_READ, "audit: supervisor: ", "of VMM of a");
	assert_map_found(a->process, physical(&supervisor->space, FAKE_RING3_DATA), MAP_READ,
			 "audit: VMM of a: ", "of supervisor;");
}

static void memory_of_nobody(void **state)
{
	hpa_t page;

	(void)state;
	assert_int_equal(frames_alloc(process_owner(a->process), 1, 1, &page), ERR_OK);
	map(a->process, HOLE, page, RW);
	frames_free(page, 1, process_owner(a->process));
	assert_int_equal(audit(), 1);
	assert_says("audit: VMM of a: 0000180000000000 leads to");
	assert_says("of nobody yet; expected its own");
	paging_unmap(&a->process->space, HOLE, PAGE_SIZE);
	assert_map_found(a->process, HPA(0xfee00000), RW, "leads to fee00000 of nobody;",
			 "VMM of a:");
}

static void the_core_in_ring_3(void **state)
{
	(void)state;
	assert_map_found(a->process, core_physical(boot_cpu.tss), MAP_READ,
			 "VMM of a: ", "of the core;");
	assert_map_found(a->process, core_physical(a->vcpus[0]->virt), MAP_READ,
			 "VMM of a: ", "of the core;");
	assert_map_found(supervisor, core_paging().root, MAP_READ, "supervisor: ", "of the core;");
}

static void page_tables_in_ring_3(void **state)
{
	(void)state;
	assert_map_found(a->process, a->process->space.root, RW,
			 "VMM of a: ", "of the page tables of VMM of a;");
	assert_map_found(a->process, a->stage2.root, MAP_READ,
			 "VMM of a: ", "of the page tables of VMM of a;");
	assert_map_found(supervisor, b->stage2.root, MAP_READ,
			 "supervisor: ", "of the page tables of VMM of b;");
}

static void writable_and_executable(void **state)
{
	u64 *code = entry_of(&a->process->space, FAKE_RING3_CODE, PT_LEVEL);
	hpa_t own = physical(&a->process->space, FAKE_RING3_DATA);

	(void)state;
	assert_found(code, *code | PTE_WRITE, "audit: VMM of a: 0000000000400000 leads to", "W^X");
	assert_map_found(a->process, own, RWX, "VMM of a: ", "W^X");
	assert_map_found(supervisor, physical(&supervisor->space, FAKE_RING3_DATA), RWX,
			 "supervisor: ", "W^X");
}

static void ring_0s_below(void **state)
{
	u64 *entry = entry_of(&a->process->space, FAKE_RING3_DATA, PT_LEVEL);

	(void)state;
	assert_found(entry, *entry & ~PTE_USER, "VMM of a: 0000000000402000", "of VMM of a;");
}

static void modules_are_read_only(void **state)
{
	u64 *kernel = entry_of(&a->process->space, VMM_KERNEL_BASE, PT_LEVEL);
	u64 *manifest = entry_of(&supervisor->space, SUPERVISOR_MODULE_BASE, PT_LEVEL);

	(void)state;
	assert_found(kernel, *kernel | PTE_WRITE, "VMM of a: 0000130000000000", "a boot module;");
	assert_found(kernel, *kernel & ~PTE_NX, "VMM of a: 0000130000000000", "a boot module;");
	assert_found(manifest, *manifest | PTE_WRITE, "supervisor: 00001500", "a boot module;");
}

static void what_the_supervisor_shares(void **state)
{
	u64 channel = SUPERVISOR_CHANNEL_BASE + b->number * SUPERVISOR_CHANNEL_STEP;
	u64 counters = SUPERVISOR_COUNTER_BASE + b->number * SUPERVISOR_COUNTER_STEP;
	u64 *entry = entry_of(&supervisor->space, channel, PT_LEVEL);
	u64 *second = entry_of(&supervisor->space, channel + PAGE_SIZE, PT_LEVEL);
	u64 ram = physical(&b->process->space, VMM_RAM_BASE).raw;

	(void)state;
	/* Another page of the VMM, another VM's channel, two pages exchanged. */
	assert_found(entry, ram | (*entry & ~PTE_ADDRESS), "supervisor: 0000160000100000",
		     "of VMM of b;");
	assert_found(entry, *entry_of(&supervisor->space, SUPERVISOR_CHANNEL_BASE, PT_LEVEL),
		     "supervisor: 0000160000100000", "of VMM of a;");
	assert_found(entry, *second, "supervisor: 0000160000100000", "of VMM of b;");
	entry = entry_of(&supervisor->space, counters, PT_LEVEL);
	assert_found(entry, *entry | PTE_WRITE, "supervisor: 0000170000100000", "of VMM of b;");
	assert_found(entry, core_physical(b->vcpus[0]->page).raw | (*entry & ~PTE_ADDRESS),
		     "supervisor: 0000170000100000", "of VMM of b;");
}

/* What is the supervisor's to see is not another VMM's, at the same place either. */
static void a_channel_in_another_vmm(void **state)
{
	u64 at = SUPERVISOR_CHANNEL_BASE + a->number * SUPERVISOR_CHANNEL_STEP;

	(void)state;
	map(b->process, at, physical(&supervisor->space, at), RW);
	assert_int_equal(audit(), 1);
	assert_says("VMM of b: 0000160000000000 leads to");
	assert_says("of VMM of a;");
}

static void tables_of_somebody_else(void **state)
{
	u64 *of_a = entry_of(&a->process->space, FAKE_RING3_DATA, 2);
	u64 *of_b = entry_of(&b->process->space, FAKE_RING3_DATA, 2);
	hpa_t ram = physical(&a->process->space, VMM_RAM_BASE);
	u64 *top = entry_of(&a->process->space, ~0ULL, PAGING_LEVELS);

	(void)state;
	assert_found(of_a, *of_b, "VMM of a: 0000000000400000",
		     "of the page tables of VMM of b; expected a table");
	assert_found(of_a, ram.raw | (*of_a & ~PTE_ADDRESS), "VMM of a: 0000000000400000",
		     "of VMM of a; expected a table of its own");
	assert_found(top, core_paging().root.raw | PTE_PRESENT, "VMM of a: ffffff8000000000",
		     "of the core; expected a table");
}

/* A large page, of which one 4 KiB page is somebody else's: the line names that one. */
static void one_page_in_a_large_one(void **state)
{
	struct paging_leaf leaf;
	u64 at = VMM_RAM_BASE + 2 * MIB;
	hpa_t inside, taken;

	(void)state;
	assert_true(paging_find(&a->process->space, at, &leaf));
	assert_int_equal(leaf.bytes, 2 * MIB);
	inside = hpa_add(leaf.physical, 37 * PAGE_SIZE);
	frames_free(inside, 1, process_owner(a->process));
	for (;;) {
		assert_int_equal(frames_alloc(process_owner(b->process), 1, 1, &taken), ERR_OK);
		if (taken.raw == inside.raw)
			break;
	}
	assert_int_equal(audit(), 2);
	assert_says("VMM of a: 0000200000225000 leads to ");
	assert_says("the guest of VMM of a: 0000000000225000 leads to ");
	assert_says("of VMM of b; expected RAM of this VM");
}

/* --- guests */

static void assert_guest_found(hpa_t page, const char *whose)
{
	u64 *entry = entry_of(&a->stage2, 0x5000, PT_LEVEL);

	assert_found(entry, page.raw | (*entry & ~PTE_ADDRESS),
		     "audit: the guest of VMM of a: 0000000000005000 leads to ", whose);
}

static void what_a_guest_must_not_reach(void **state)
{
	(void)state;
	assert_guest_found(physical(&b->stage2, 0x5000), "of VMM of b; expected RAM of this VM");
	assert_guest_found(core_physical(boot_cpu.tss), "of the core;");
	assert_guest_found(core_physical(a->vcpus[0]->virt), "of the core;"); /* as VMCB, VMCS */
	assert_guest_found(boot_module_find("manifest")->start, "of a boot module;");
	assert_guest_found(a->stage2.root, "of the page tables of VMM of a;");
	assert_guest_found(HPA(0xfee00000), "of nobody;");
	/* Its VMM's program, vCPU page, and RAM of another place. */
	assert_guest_found(physical(&a->process->space, FAKE_RING3_CODE), "of VMM of a;");
	assert_guest_found(core_physical(a->vcpus[0]->page), "of VMM of a;");
	assert_guest_found(physical(&a->stage2, 0x6000), "of VMM of a;");
	assert_guest_found(physical(&supervisor->space, FAKE_RING3_CODE), "of supervisor;");
}

static void guest_memory_where_none_is(void **state)
{
	hpa_t page;

	(void)state;
	assert_int_equal(frames_alloc(process_owner(a->process), 1, 1, &page), ERR_OK);
	assert_int_equal(paging_map(&a->stage2, VM_VGA_HOLE, page, PAGE_SIZE, RWX), ERR_OK);
	assert_int_equal(audit(), 1);
	assert_says("the guest of VMM of a: 00000000000a0000");
	paging_unmap(&a->stage2, VM_VGA_HOLE, PAGE_SIZE);
	/* What the VMM has there is nothing for the guest. */
	page = physical(&a->process->space, VMM_RAM_BASE + VM_VGA_HOLE);
	assert_int_equal(paging_map(&a->stage2, VM_VGA_HOLE, page, PAGE_SIZE, RWX), ERR_OK);
	assert_int_equal(audit(), 1);
	assert_says("the guest of VMM of a: 00000000000a0000");
	paging_unmap(&a->stage2, VM_VGA_HOLE, PAGE_SIZE);
	assert_int_equal(paging_map(&a->stage2, LAPIC_BASE_ADDRESS, page, PAGE_SIZE, RW), ERR_OK);
	assert_int_equal(audit(), 0); /* the APIC-access page */
	paging_unmap(&a->stage2, LAPIC_BASE_ADDRESS, PAGE_SIZE);
	page = physical(&b->process->space, VMM_RAM_BASE);
	assert_int_equal(paging_map(&a->stage2, LAPIC_BASE_ADDRESS, page, PAGE_SIZE, RW), ERR_OK);
	assert_int_equal(audit(), 1);
}

static void a_guests_tables(void **state)
{
	hpa_t root = a->stage2.root;
	u64 *entry = entry_of(&a->stage2, 0, 3);
	u64 of_b = *entry_of(&b->stage2, 0, 3);
	hpa_t ram = physical(&a->stage2, 0x5000);

	(void)state;
	assert_found(entry, of_b, "the guest of VMM of a: 0000000000000000", "expected a table");
	/* The guest could write its own translations. */
	assert_found(entry, ram.raw | (*entry & ~PTE_ADDRESS),
		     "the guest of VMM of a: ", "of VMM of a; expected a table of its own");
	a->stage2.root = b->stage2.root;
	assert_int_equal(audit(), 1); /* and no look at what is below */
	assert_says("the guest of VMM of a: 0000000000000000 leads to");
	a->stage2.root = root;
}

/* --- the core's half */

static void what_the_core_must_not_map(void **state)
{
	const struct page_table core = core_paging();
	u64 *object = entry_of(&core, (u64)a->vcpus[0]->virt, PT_LEVEL);
	u64 *shared = entry_of(&core, (u64)a->vcpus[0]->page, PT_LEVEL);
	u64 ram = physical(&a->process->space, VMM_RAM_BASE).raw;

	(void)state;
	assert_found(object, ram | (*object & ~PTE_ADDRESS), "audit: the core: ", "of VMM of a;");
	assert_found(object, *object & ~PTE_NX, "audit: the core: ", "of the core; expected");
	assert_found(object, *object | PTE_USER, "audit: the core: ", "of the core; expected");
	assert_found(shared,
		     physical(&b->process->space, VMM_RAM_BASE).raw | (*shared & ~PTE_ADDRESS),
		     "audit: the core: ", "of VMM of b;");
	assert_found(shared, a->stage2.root.raw | (*shared & ~PTE_ADDRESS),
		     "audit: the core: ", "of the page tables of VMM of a;");
	assert_int_equal(core_map_try(LAYOUT_DEVICES, HPA(0), PAGE_SIZE, RW), ERR_OK);
	assert_int_equal(audit(), 0); /* not RAM: a device */
	core_unmap(LAYOUT_DEVICES, PAGE_SIZE);
	assert_int_equal(core_map_try(LAYOUT_DEVICES, HPA(ram), PAGE_SIZE, RW), ERR_OK);
	assert_int_equal(audit(), 1);
	core_unmap(LAYOUT_DEVICES, PAGE_SIZE);
}

/* --- the call, and the option */

static u64 call(enum syscall_number number, u64 argument)
{
	struct thread *t = process_main(supervisor);

	t->frame.rax = number;
	t->frame.rdi = argument;
	syscall_dispatch(t);
	return t->frame.rax;
}

static void many_findings_few_lines(void **state)
{
	hpa_t ram = physical(&a->process->space, VMM_RAM_BASE);

	(void)state;
	for (u32 i = 0; i < 20; i++)
		map(b->process, HOLE + i * PAGE_SIZE, hpa_add(ram, i * PAGE_SIZE), RW);
	fake_log.lines = 0;
	assert_int_equal(call(SYSCALL_audit, 0), 20);
	assert_int_equal(fake_log.lines, 8);
}

/* Each of the calls that the option concerns, with a leak: panic. */
static bool panics(enum syscall_number number, u64 argument)
{
	jmp_buf stopped;

	fake_locks_drop();
	fake_log.on_panic = &stopped;
	if (setjmp(stopped) != 0)
		return true;
	call(number, argument);
	return false;
}

static void the_option(void **state)
{
	jmp_buf off;

	(void)state;
	map(b->process, HOLE, physical(&a->process->space, VMM_RAM_BASE), RW);
	assert_false(panics(SYSCALL_vm_start, 0));
	strcpy(boot_info.cmdline, "emulator-exit audit");
	assert_true(panics(SYSCALL_vm_start, 1));
	assert_true(panics(SYSCALL_vm_destroy, 1));
	assert_true(panics(SYSCALL_machine_off, 0));
	assert_non_null(vm_find(1)); /* the panic came first */
	paging_unmap(&b->process->space, HOLE, PAGE_SIZE);
	assert_false(panics(SYSCALL_vm_destroy, 1));
	fake_log.on_off = &off;
	if (setjmp(off) == 0)
		assert_true(panics(SYSCALL_machine_off, 0));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, machine, clear)
#define TEST_EPT(name)                                         \
	{                                                      \
#name " (EPT)", name, machine_ept, clear, NULL \
	}
	const struct CMUnitTest tests[] = {
		TEST(nothing_to_find),
		TEST(a_page_twice_in_its_own_process),
		TEST(a_page_in_two_processes),
		TEST(memory_of_nobody),
		TEST(the_core_in_ring_3),
		TEST(page_tables_in_ring_3),
		TEST(writable_and_executable),
		TEST(ring_0s_below),
		TEST(modules_are_read_only),
		TEST(what_the_supervisor_shares),
		TEST(a_channel_in_another_vmm),
		TEST(tables_of_somebody_else),
		TEST(one_page_in_a_large_one),
		TEST(what_a_guest_must_not_reach),
		TEST(guest_memory_where_none_is),
		TEST(a_guests_tables),
		TEST_EPT(nothing_to_find),
		TEST_EPT(one_page_in_a_large_one),
		TEST_EPT(what_a_guest_must_not_reach),
		TEST_EPT(guest_memory_where_none_is),
		TEST_EPT(a_guests_tables),
		TEST(what_the_core_must_not_map),
		TEST(many_findings_few_lines),
		TEST(the_option),
	};

	fake_machine_start(40 * MIB);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
