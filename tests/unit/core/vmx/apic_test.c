/*
 * Tests of APIC virtualization: what the VMCS says in each mode of the local APIC, and where the
 * APIC-access page is. SDM, "APIC Virtualization and Virtual Interrupts".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem/core_map.h"
#include "core/mem/heap.h"
#include "core/sys/process.h"
#include "core/vmx/caps.h"
#include "core/vmx/permission.h"
#include "core/vmx/vmx.h"
#include "tests/support/fake_machine.h"
#include "tests/support/fake_vmx.h"

#define MEMORY	    (16 * MIB)
#define ACCESS	    0xfee00000ULL
#define XAPIC	    0x301U
#define X2APIC	    0x310U
#define PROC2	    0x00eaU /* without */
#define OFF_BASE    ACCESS
#define XAPIC_BASE  (ACCESS | 0x800)
#define X2APIC_BASE (ACCESS | 0xc00)

#define STATUS	   0x0810U
#define MSR_BITMAP 0x2004U
#define PAGE	   0x2014U
#define EOI_EXITS  0x201cU
#define CONTROLS   0x401eU

static struct vm vm;
static struct process process;
static struct vcpu *vcpu[2];
static struct vmx_vcpu x[2];

/* A VM of two vCPUs, each in xAPIC mode as after power-up. */
static int fresh(void **state)
{
	(void)state;
	(void)frames_free_all(process_owner(&process));
	(void)frames_free_all(FRAME_MODULE + 1);
	fake_vmx_reset();
	vmx_caps = (struct vmx_caps){ .proc2 = PROC2, .apicv = true };
	process = (struct process){ .number = 3 };
	vm = (struct vm){ .process = &process, .vcpu_count = 2 };
	vm.stage2 = (struct page_table){ .format = &paging_root_format_1g,
					 .memory = process_table_memory(&process) };
	if (vm.stage2.memory.table_alloc(&process, &vm.stage2.root))
		return -1;
	for (u32 i = 0; i < 2; i++) {
		memset(vcpu[i], 0, sizeof(*vcpu[i]));
		x[i] = (struct vmx_vcpu){ .ept_pointer = 0x1234 };
		vcpu[i]->vm = &vm;
		vcpu[i]->virt = &x[i];
		lapic_init(&vcpu[i]->lapic, i, i == 0);
		lapic_set_virtual_wire(&vcpu[i]->lapic);
		vm.vcpus[i] = vcpu[i];
	}
	return 0;
}

static bool page_is_mapped(void)
{
	struct paging_leaf leaf;

	return paging_find(&vm.stage2, ACCESS, &leaf);
}

static void init(void)
{
	assert_int_equal(vmx_apic_init(vcpu[0]), ERR_OK);
	assert_int_equal(vmx_apic_init(vcpu[1]), ERR_OK);
}

static void go(u32 i, u64 base)
{
	struct lapic_effect effect;

	assert_true(lapic_base_write(&vcpu[i]->lapic, base | (i == 0 ? 0x100 : 0), &effect));
}

static void without_the_feature_nothing_is_touched(void **state)
{
	(void)state;
	vmx_caps.apicv = false;
	init();
	assert_false(page_is_mapped());
	assert_false(vmx_apic_sync(vcpu[0]));
	go(0, X2APIC_BASE);
	assert_false(vmx_apic_sync(vcpu[0]));
	assert_false(vmx_apic_delivers(&x[0]));
	assert_int_equal(fake_vmx.writes, 0);
	assert_int_equal(fake_vmx.invepts, 0);
}

static void one_page_a_vm(void **state)
{
	struct paging_leaf leaf;
	u64 page;

	(void)state;
	assert_int_equal(vmx_apic_init(vcpu[0]), ERR_OK);
	assert_true(paging_find(&vm.stage2, ACCESS, &leaf));
	page = leaf.physical.raw;
	assert_int_equal(leaf.bytes, PAGE_SIZE);
	assert_int_equal(vmread(PAGE), page);
	assert_true(leaf.entry & PTE_WRITE);
	assert_true(leaf.entry & PTE_NX); /* code there is no local APIC's */
	assert_int_equal(frames_owner(leaf.physical), process_owner(&process));
	fake_vmx_reset();
	assert_int_equal(vmx_apic_init(vcpu[1]), ERR_OK);
	assert_int_equal(vmread(PAGE), page);
}

static void a_vm_of_its_own_has_another(void **state)
{
	u64 page;

	(void)state;
	init();
	page = vmread(PAGE);
	vm.stage2.root = HPA(0);
	process.number = 4;
	assert_int_equal(vm.stage2.memory.table_alloc(&process, &vm.stage2.root), ERR_OK);
	init();
	assert_int_not_equal(vmread(PAGE), page);
	(void)frames_free_all(process_owner(&process));
	(void)frames_free_all((frame_owner_t)(process_owner(&process) + 1));
	process.number = 3;
}

static void no_memory(void **state)
{
	hpa_t taken;
	u32 failures = 0;

	(void)state;
	while (frames_available() > 0)
		assert_int_equal(frames_alloc(FRAME_MODULE + 1, 1, 1, &taken), ERR_OK);
	while (vmx_apic_init(vcpu[0]) == ERR_NO_MEMORY) {
		assert_false(page_is_mapped());
		(void)frames_free_all(process_owner(&process));
		frames_free(taken, 1, FRAME_MODULE + 1);
		taken = hpa_add(taken, (u64) - (s64)PAGE_SIZE);
		failures++;
	}
	assert_in_range(failures, 2, 8);
	assert_true(page_is_mapped());
}

static void the_mode_chooses(void **state)
{
	static const struct {
		u64 base;
		u32 controls;
		bool delivers, x2apic, page;
	} step[] = {
		{ XAPIC_BASE, PROC2 | XAPIC, true, false, true },
		{ X2APIC_BASE, PROC2 | X2APIC, true, true, false },
		{ OFF_BASE, PROC2, false, false, false },
		{ XAPIC_BASE, PROC2 | XAPIC, true, false, true },
		{ OFF_BASE, PROC2, false, false, false },
	};

	(void)state;
	vm.vcpu_count = 1;
	init();
	for (u32 i = 0; i < ARRAY_SIZE(step); i++) {
		go(0, step[i].base);
		assert_int_equal(vmx_apic_sync(vcpu[0]), step[i].delivers);
		assert_int_equal(vmx_apic_delivers(&x[0]), step[i].delivers);
		assert_int_equal(vmread(CONTROLS), step[i].controls);
		assert_int_equal(vmread(MSR_BITMAP),
				 step[i].x2apic ? core_physical(vmx_msr_x2apic).raw
						: core_physical(vmx_permission.msr).raw);
		assert_int_equal(page_is_mapped(), step[i].page);
		assert_int_equal(fake_vmx.invepts, i + 1);
		(void)vmx_apic_sync(vcpu[0]);
		assert_int_equal(fake_vmx.invepts, i + 1); /* nothing new */
	}
}

/* The same page comes back, and no memory is needed for it. */
static void mapped_again(void **state)
{
	struct paging_leaf leaf;
	hpa_t taken;
	u64 page;

	(void)state;
	vm.vcpu_count = 1;
	init();
	page = vmread(PAGE);
	(void)vmx_apic_sync(vcpu[0]);
	go(0, OFF_BASE);
	(void)vmx_apic_sync(vcpu[0]);
	assert_false(page_is_mapped());
	while (frames_available() > 0)
		assert_int_equal(frames_alloc(FRAME_MODULE + 1, 1, 1, &taken), ERR_OK);
	go(0, XAPIC_BASE);
	assert_true(vmx_apic_sync(vcpu[0]));
	assert_true(paging_find(&vm.stage2, ACCESS, &leaf));
	assert_int_equal(leaf.physical.raw, page);
}

static void mapped_as_long_as_any_needs_it(void **state)
{
	(void)state;
	init();
	go(0, X2APIC_BASE);
	(void)vmx_apic_sync(vcpu[0]);
	assert_true(page_is_mapped());
	go(1, X2APIC_BASE);
	(void)vmx_apic_sync(vcpu[1]);
	assert_false(page_is_mapped());
	go(1, OFF_BASE);
	go(1, XAPIC_BASE);
	(void)vmx_apic_sync(vcpu[1]);
	assert_true(page_is_mapped());
}

static u64 status(void)
{
	assert_true(vmx_apic_sync(vcpu[0]));
	return vmread(STATUS);
}

static void highest_vectors(void **state)
{
	struct lapic *l = &vcpu[0]->lapic;

	(void)state;
	init();
	fake_vmx_set(STATUS, 0xffff);
	assert_int_equal(status(), 0);
	assert_true(lapic_accept(l, 0x31, false));
	assert_true(lapic_accept(l, 0xe5, false));
	assert_int_equal(status(), 0x00e5);
	lapic_take(l, 0xe5);
	assert_int_equal(status(), 0xe531);
	lapic_take(l, 0x31);
	assert_int_equal(status(), 0xe500);
	lapic_give_back(l, 0xe5);
	assert_int_equal(status(), 0x31e5);
}

/* What the processor did with the page. */
static void after_a_run(void **state)
{
	struct lapic *l = &vcpu[0]->lapic;

	(void)state;
	init();
	l->reg[(0x200 + 0x20) / 4] = 1U << 3;  /* IRR: 43h */
	l->reg[(0x100 + 0x70) / 4] = 1U << 31; /* ISR: ffh */
	fake_vmx_set(STATUS, 0xff43);
	vmx_apic_collect(vcpu[0]);
	assert_int_equal(lapic_irr_highest(l), 0x43);
	assert_int_equal(lapic_isr_highest(l), 0xff);
	fake_vmx_set(STATUS, 0);
	assert_int_equal(status(), 0xff43);
	memset(&l->reg[0x100 / 4], 0, 0x200);
	fake_vmx_set(STATUS, 0);
	vmx_apic_collect(vcpu[0]);
	assert_int_equal(l->irr_words | l->isr_words, 0);
	assert_int_equal(lapic_irr_highest(l), -1);
}

static void level_triggered_vectors_exit(void **state)
{
	struct lapic *l = &vcpu[0]->lapic;

	(void)state;
	init();
	for (u32 i = 0; i < 4; i++)
		fake_vmx_set(EOI_EXITS + 2 * i, ~0ULL); /* a new VMCS */
	(void)status();
	for (u32 i = 0; i < 4; i++)
		assert_int_equal(vmread(EOI_EXITS + 2 * i), 0);
	assert_true(lapic_accept(l, 0x10, true));
	assert_true(lapic_accept(l, 0x3f, true));
	assert_true(lapic_accept(l, 0x40, true));
	assert_true(lapic_accept(l, 0x41, false));
	assert_true(lapic_accept(l, 0xa1, true));
	assert_true(lapic_accept(l, 0xff, true));
	(void)status();
	assert_int_equal(vmread(EOI_EXITS), 1ULL << 0x10 | 1ULL << 0x3f);
	assert_int_equal(vmread(EOI_EXITS + 2), 1);
	assert_int_equal(vmread(EOI_EXITS + 4), 1ULL << 0x21);
	assert_int_equal(vmread(EOI_EXITS + 6), 1ULL << 63);
	fake_vmx_set(EOI_EXITS, 5);
	(void)status();
	assert_int_equal(vmread(EOI_EXITS), 5); /* no change, no write */
	assert_true(lapic_accept(l, 0x3f, false));
	(void)status();
	assert_int_equal(vmread(EOI_EXITS), 1ULL << 0x10);
}

/* A change while the local APIC is off is not lost. */
static void level_triggered_before_delivery(void **state)
{
	(void)state;
	init();
	go(0, OFF_BASE); /* which resets it */
	fake_vmx_set(EOI_EXITS, ~0ULL);
	assert_false(vmx_apic_sync(vcpu[0]));
	assert_int_equal(vmread(EOI_EXITS), ~0ULL);
	go(0, XAPIC_BASE);
	assert_true(vmx_apic_sync(vcpu[0]));
	assert_int_equal(vmread(EOI_EXITS), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(without_the_feature_nothing_is_touched, fresh),
		cmocka_unit_test_setup(one_page_a_vm, fresh),
		cmocka_unit_test_setup(a_vm_of_its_own_has_another, fresh),
		cmocka_unit_test_setup(no_memory, fresh),
		cmocka_unit_test_setup(the_mode_chooses, fresh),
		cmocka_unit_test_setup(mapped_again, fresh),
		cmocka_unit_test_setup(mapped_as_long_as_any_needs_it, fresh),
		cmocka_unit_test_setup(highest_vectors, fresh),
		cmocka_unit_test_setup(after_a_run, fresh),
		cmocka_unit_test_setup(level_triggered_vectors_exit, fresh),
		cmocka_unit_test_setup(level_triggered_before_delivery, fresh),
	};

	fake_machine_start(MEMORY);
	process.number = 3;
	for (u32 i = 0; i < 2; i++) {
		vcpu[i] = heap_try_alloc(sizeof(*vcpu[i]));
		if (!vcpu[i])
			return 1;
	}
	vmx_permission_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
