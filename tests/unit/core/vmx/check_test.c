/* Tests of the entry checker: good states pass, and each rule broken alone is named alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/cpu/cpu.h"
#include "core/cpu/insn.h"
#include "core/vmx/caps.h"
#include "core/vmx/check.h"
#include "lib/abi/vcpu.h"
#include "lib/x86/vmcs.h"
#include "tests/support/fake_insn.h"
#include "tests/support/fake_log.h"
#include "tests/support/fake_vmx.h"

#define LINES 16
#define WHO   "VM a vCPU 1: "

static char lines[LINES][256];
static u32 line_count;

static void line_keep(const char *line)
{
	assert_true(line_count < LINES);
	assert_memory_equal(line, WHO, strlen(WHO));
	strcpy(lines[line_count++], line + strlen(WHO));
}

/* The field of one segment register. */
#define FIELD(name, part) (VMCS_GUEST_ES_##part + 2 * SEG_##name)

static void segment_put(u32 name, u64 selector, u64 base, u64 limit, u64 rights)
{
	fake_vmx_set(VMCS_GUEST_ES_SELECTOR + 2 * name, selector);
	fake_vmx_set(VMCS_GUEST_ES_BASE + 2 * name, base);
	fake_vmx_set(VMCS_GUEST_ES_LIMIT + 2 * name, limit);
	fake_vmx_set(VMCS_GUEST_ES_RIGHTS + 2 * name, rights);
}

static void data_segments_put(u64 selector, u64 base, u64 limit, u64 rights)
{
	static const u32 data[] = { SEG_ES, SEG_SS, SEG_DS, SEG_FS, SEG_GS };

	for (u32 i = 0; i < ARRAY_SIZE(data); i++)
		segment_put(data[i], selector, base, limit, rights);
}

#define PIN \
	(0x16 | PIN_INTERRUPT_EXITING | PIN_NMI_EXITING | PIN_VIRTUAL_NMIS | PIN_PREEMPTION_TIMER)
#define PROC                                                                                    \
	(0x04006172 | PROC_HLT_EXITING | PROC_TPR_SHADOW | PROC_IO_BITMAPS | PROC_MSR_BITMAPS | \
	 PROC_SECONDARY)
#define PROC2 (PROC2_EPT | PROC2_VPID | PROC2_UNRESTRICTED)
#define EXIT  (0x36dfb | EXIT_SAVE_DEBUG | EXIT_HOST_LONG_MODE | EXIT_LOAD_PAT | EXIT_LOAD_EFER)
#define ENTRY (0x11fb | ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER)

/* A processor: what it has, and must have, of each word of controls. */
static void processor_put(void)
{
	wrmsr(MSR_VMX_BASIC, VMX_BASIC_TRUE);
	wrmsr(MSR_VMX_TRUE_PIN, 0x7fULL << 32 | 0x16);
	wrmsr(MSR_VMX_TRUE_PROC, 0xfff9fffeULL << 32 | 0x04006172);
	wrmsr(MSR_VMX_PROC2, 0x7fffULL << 32);
	wrmsr(MSR_VMX_TRUE_EXIT, 0x7fffffULL << 32 | 0x36dfb);
	wrmsr(MSR_VMX_TRUE_ENTRY, 0xffffULL << 32 | 0x11fb);
	vmx_caps = (struct vmx_caps){
		.cr0_fixed0 = CR0_PE | CR0_NE | CR0_PG,
		.cr0_fixed1 = 0xffffffff,
		.cr4_fixed0 = CR4_VMXE,
		.cr4_fixed1 = 0x3767ff,
		.ept_dirty = true,
	};
	cpu_features.physical_bits = 39;
}

static void controls_put(void)
{
	fake_vmx_set(VMCS_PIN_CONTROLS, PIN);
	fake_vmx_set(VMCS_PROC_CONTROLS, PROC);
	fake_vmx_set(VMCS_PROC2_CONTROLS, PROC2);
	fake_vmx_set(VMCS_EXIT_CONTROLS, EXIT);
	fake_vmx_set(VMCS_ENTRY_CONTROLS, ENTRY);
	fake_vmx_set(VMCS_IO_BITMAP_A, 0x10000);
	fake_vmx_set(VMCS_IO_BITMAP_B, 0x11000);
	fake_vmx_set(VMCS_MSR_BITMAP, 0x12000);
	fake_vmx_set(VMCS_VIRTUAL_APIC, 0x13000);
	fake_vmx_set(VMCS_EPT_POINTER, 0x1400000000 | EPTP_DIRTY | 3 << 3 | MEMORY_TYPE_WB);
	fake_vmx_set(VMCS_VPID, 1);
	fake_vmx_set(VMCS_LINK_POINTER, LINK_POINTER_NONE);
}

static void host_put(void)
{
	fake_vmx_set(VMCS_HOST_CR0, CR0_PE | CR0_NE | CR0_WP | CR0_PG);
	fake_vmx_set(VMCS_HOST_CR3, 0x5000);
	fake_vmx_set(VMCS_HOST_CR4, CR4_PAE | CR4_VMXE | CR4_SMEP);
	fake_vmx_set(VMCS_HOST_PAT, PAT_RESET);
	fake_vmx_set(VMCS_HOST_EFER, EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE);
	fake_vmx_set(VMCS_HOST_CS_SELECTOR, 0x08);
	fake_vmx_set(VMCS_HOST_SS_SELECTOR, 0x10);
	fake_vmx_set(VMCS_HOST_TR_SELECTOR, 0x30);
	fake_vmx_set(VMCS_HOST_GS_BASE, 0xffffffff80200000);
	fake_vmx_set(VMCS_HOST_RIP, 0xffffffff80100000);
}

/* A 64-bit kernel. */
static void long_mode_put(void)
{
	controls_put();
	host_put();
	fake_vmx_set(VMCS_ENTRY_CONTROLS, ENTRY | ENTRY_LONG_MODE);
	fake_vmx_set(VMCS_GUEST_CR0, CR0_PE | CR0_NE | CR0_WP | CR0_PG);
	fake_vmx_set(VMCS_GUEST_CR3, 0x7f00001000);
	fake_vmx_set(VMCS_GUEST_CR4, CR4_PAE | CR4_VMXE | CR4_PCIDE);
	fake_vmx_set(VMCS_GUEST_EFER, EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE);
	fake_vmx_set(VMCS_GUEST_PAT, PAT_RESET);
	fake_vmx_set(VMCS_GUEST_DR7, DR7_RESET);
	fake_vmx_set(VMCS_GUEST_RIP, 0xffffffff81000000);
	fake_vmx_set(VMCS_GUEST_RFLAGS, RFLAGS_ONE | RFLAGS_IF);
	fake_vmx_set(VMCS_GUEST_GDTR_LIMIT, 0x7f);
	fake_vmx_set(VMCS_GUEST_IDTR_LIMIT, 0xfff);
	fake_vmx_set(VMCS_GUEST_IDTR_BASE, 0xfffffe0000000000);
	data_segments_put(0x18, 0, 0xffffffff, 0xc093);
	segment_put(SEG_CS, 0x10, 0, 0xffffffff, 0xa09b);
	segment_put(SEG_GS, 0, 0xffff888000000000, 0, SEG_UNUSABLE);
	segment_put(SEG_LDTR, 0, 0, 0, SEG_UNUSABLE);
	segment_put(SEG_TR, 0x40, 0xfffffe0000001000, 0x67, 0x8b);
}

/* Right after reset. */
static void real_mode_put(void)
{
	long_mode_put();
	fake_vmx_set(VMCS_ENTRY_CONTROLS, ENTRY);
	fake_vmx_set(VMCS_GUEST_CR0, CR0_NE | CR0_ET);
	fake_vmx_set(VMCS_GUEST_CR3, 0);
	fake_vmx_set(VMCS_GUEST_CR4, CR4_VMXE);
	fake_vmx_set(VMCS_GUEST_EFER, 0);
	fake_vmx_set(VMCS_GUEST_RIP, 0xfff0);
	fake_vmx_set(VMCS_GUEST_RFLAGS, RFLAGS_ONE);
	data_segments_put(0, 0, 0xffff, 0x93);
	segment_put(SEG_CS, 0xf003, 0xffff0000, 0xffff, 0x93);
	segment_put(SEG_LDTR, 0, 0, 0xffff, 0x82);
	segment_put(SEG_TR, 0, 0, 0xffff, 0x83);
}

/* A 32-bit user program under PAE paging. */
static void pae_put(void)
{
	long_mode_put();
	fake_vmx_set(VMCS_ENTRY_CONTROLS, ENTRY);
	fake_vmx_set(VMCS_GUEST_CR4, CR4_PAE | CR4_VMXE);
	fake_vmx_set(VMCS_GUEST_EFER, EFER_NXE);
	fake_vmx_set(VMCS_GUEST_RIP, 0x8048000);
	fake_vmx_set(VMCS_GUEST_PDPTE0, 0x2000 | PTE_PRESENT);
	fake_vmx_set(VMCS_GUEST_PDPTE0 + 4, 0x3000 | PTE_PRESENT | PTE_PWT | PTE_PCD);
	fake_vmx_set(VMCS_GUEST_PDPTE0 + 6, BITS64(63, 1)); /* not present: anything goes */
	data_segments_put(0x2b, 0, 0xffffffff, 0xc0f3);
	segment_put(SEG_CS, 0x23, 0, 0xffffffff, 0xc0fb);
	segment_put(SEG_TR, 0x40, 0x1000, 0x67, 0x83);
}

/* A DOS program under a 32-bit kernel. */
static void v8086_put(void)
{
	pae_put();
	fake_vmx_set(VMCS_GUEST_CR4, CR4_VMXE | CR4_VME);
	fake_vmx_set(VMCS_GUEST_RIP, 0x100);
	fake_vmx_set(VMCS_GUEST_RFLAGS, RFLAGS_ONE | RFLAGS_IF | RFLAGS_VM);
	data_segments_put(0x2345, 0x23450, 0xffff, 0xf3);
	segment_put(SEG_CS, 0x1234, 0x12340, 0xffff, 0xf3);
}

static int setup(void **state)
{
	(void)state;
	fake_insn_reset();
	fake_vmx_reset();
	processor_put();
	fake_log.on_line = line_keep;
	line_count = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_log.on_line = NULL;
	return 0;
}

static void guest_check(void)
{
	line_count = 0;
	vmx_entry_failure_log("a", 1, EXIT_REASON_ENTRY_FAILED | VMX_EXIT_GUEST_STATE, 0);
}

static void insn_check(u32 error)
{
	line_count = 0;
	fake_vmx_set(VMCS_INSN_ERROR, error);
	vmx_insn_failure_log("a", 1, "VMRESUME", VMX_FAIL_VALID);
}

#define NOTHING	 "no check of ours fails"
#define CONTROLS 7
#define HOST	 8
#define HIGH	 BIT64(39) /* beyond the physical-address width */
#define CROOKED	 BIT64(47) /* not canonical */

static void good_states_pass(void **state)
{
	void (*const puts[])(void) = { long_mode_put, real_mode_put, pae_put, v8086_put };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(puts); i++) {
		fake_vmx_reset();
		puts[i]();
		guest_check();
		assert_int_equal(line_count, 2);
		assert_string_equal(lines[0], "entry failed: guest state, qualification 0");
		assert_string_equal(lines[1], NOTHING);
		insn_check(CONTROLS);
		assert_int_equal(line_count, 2);
		assert_string_equal(lines[1], NOTHING);
		insn_check(HOST);
		assert_int_equal(line_count, 2);
		assert_string_equal(lines[1], NOTHING);
	}
}

/* A good state, at most three fields changed, and the one line that comes of it, NULL: none. */
struct row {
	void (*put)(void);
	struct {
		u32 field;
		u64 value;
	} change[3];
	const char *line;
};

static void rows_check(const struct row *rows, u32 count, u32 error)
{
	for (u32 i = 0; i < count; i++) {
		fake_vmx_reset();
		rows[i].put();
		for (u32 j = 0; j < 3 && rows[i].change[j].field != 0; j++)
			fake_vmx_set(rows[i].change[j].field, rows[i].change[j].value);
		if (error)
			insn_check(error);
		else
			guest_check();
		if (line_count != 2)
			print_error("row %u: %s\n", i, rows[i].line);
		assert_string_equal(lines[1], rows[i].line ? rows[i].line : NOTHING);
		assert_int_equal(line_count, 2);
	}
}

#define ROWS_CHECK(rows, error) rows_check(rows, ARRAY_SIZE(rows), error)

#define EVENT(type, vector) (EVENT_VALID | (type) << 8 | (vector))
#define WITH_ERROR	    EVENT_ERROR_VALID

#define APIC_VIRTUAL (PROC2_X2APIC | PROC2_APIC_REGISTERS | PROC2_INTERRUPT_DELIVERY)

static const struct row control_rows[] = {
	{ long_mode_put,
	  { { VMCS_PIN_CONTROLS, PIN & ~2U } },
	  "PIN_CONTROLS 0x0000007d: bits 0x2 must be 1" },
	{ long_mode_put,
	  { { VMCS_PIN_CONTROLS, PIN | PIN_POSTED_INTERRUPTS } },
	  "PIN_CONTROLS 0x000000ff: bits 0x80 must be 0" },
	{ long_mode_put,
	  { { VMCS_PROC_CONTROLS, PROC & ~BIT64(8) } },
	  "PROC_CONTROLS 0x962060f2: bits 0x100 must be 1" },
	{ long_mode_put,
	  { { VMCS_PROC_CONTROLS, PROC | 1 } },
	  "PROC_CONTROLS 0x962061f3: bits 0x1 must be 0" },
	{ long_mode_put,
	  { { VMCS_PROC2_CONTROLS, PROC2 | PROC2_TSC_SCALING } },
	  "PROC2_CONTROLS 0x020000a2: bits 0x2000000 must be 0" },
	{ long_mode_put,
	  { { VMCS_EXIT_CONTROLS, EXIT & ~1U } },
	  "EXIT_CONTROLS 0x002b6ffe: bits 0x1 must be 1" },
	{ long_mode_put,
	  { { VMCS_EXIT_CONTROLS, EXIT | BIT64(31) } },
	  "EXIT_CONTROLS 0x802b6fff: bits 0x80000000 must be 0" },
	{ long_mode_put,
	  { { VMCS_ENTRY_CONTROLS, ENTRY & ~1U } },
	  "ENTRY_CONTROLS 0x0000d1fe: bits 0x1 must be 1" },
	{ long_mode_put,
	  { { VMCS_ENTRY_CONTROLS, ENTRY | BIT64(16) } },
	  "ENTRY_CONTROLS 0x0001d1ff: bits 0x10000 must be 0" },
	{ long_mode_put,
	  { { VMCS_PIN_CONTROLS, PIN & ~PIN_NMI_EXITING } },
	  "PIN_CONTROLS 0x00000077: virtual NMIs need NMI exiting" },
	{ long_mode_put,
	  { { VMCS_PIN_CONTROLS, PIN & ~PIN_VIRTUAL_NMIS },
	    { VMCS_PROC_CONTROLS, PROC | PROC_NMI_WINDOW } },
	  "PROC_CONTROLS 0x966061f2: NMI window needs virtual NMIs" },
	{ long_mode_put, { { VMCS_PROC_CONTROLS, PROC | PROC_NMI_WINDOW } }, NULL },
	{ long_mode_put, { { VMCS_PROC2_CONTROLS, PROC2 | APIC_VIRTUAL } }, NULL },
	{ long_mode_put,
	  { { VMCS_PROC_CONTROLS, PROC & ~PROC_TPR_SHADOW },
	    { VMCS_PROC2_CONTROLS, PROC2 | PROC2_X2APIC } },
	  "PROC_CONTROLS 0x960061f2: APIC virtualization needs the TPR shadow" },
	{ long_mode_put,
	  { { VMCS_PROC_CONTROLS, PROC & ~PROC_TPR_SHADOW },
	    { VMCS_PROC2_CONTROLS, PROC2 | PROC2_APIC_REGISTERS } },
	  "PROC_CONTROLS 0x960061f2: APIC virtualization needs the TPR shadow" },
	{ long_mode_put,
	  { { VMCS_PROC_CONTROLS, PROC & ~PROC_TPR_SHADOW },
	    { VMCS_PROC2_CONTROLS, PROC2 | PROC2_INTERRUPT_DELIVERY } },
	  "PROC_CONTROLS 0x960061f2: APIC virtualization needs the TPR shadow" },
	{ long_mode_put,
	  { { VMCS_PROC2_CONTROLS, PROC2 | PROC2_X2APIC | PROC2_APIC_ACCESS } },
	  "PROC2_CONTROLS 0x000000b3: x2APIC or APIC access" },
	{ long_mode_put,
	  { { VMCS_PIN_CONTROLS, PIN & ~PIN_INTERRUPT_EXITING },
	    { VMCS_PROC2_CONTROLS, PROC2 | PROC2_INTERRUPT_DELIVERY } },
	  "PIN_CONTROLS 0x0000007e: delivery needs interrupt exiting" },
	{ long_mode_put,
	  { { VMCS_PROC2_CONTROLS, PROC2 & ~PROC2_EPT } },
	  "PROC2_CONTROLS 0x000000a0: unrestricted needs EPT" },
	{ long_mode_put,
	  { { VMCS_IO_BITMAP_A, 0x10800 } },
	  "IO_BITMAP_A 0x00010800: must be a page's address" },
	{ long_mode_put,
	  { { VMCS_IO_BITMAP_B, HIGH } },
	  "IO_BITMAP_B 0x8000000000: must be a page's address" },
	{ long_mode_put,
	  { { VMCS_MSR_BITMAP, 0x12001 } },
	  "MSR_BITMAP 0x00012001: must be a page's address" },
	{ long_mode_put,
	  { { VMCS_VIRTUAL_APIC, 0x13010 } },
	  "VIRTUAL_APIC 0x00013010: must be a page's address" },
	{ long_mode_put,
	  { { VMCS_VIRTUAL_APIC, 1 }, { VMCS_PROC_CONTROLS, PROC & ~PROC_TPR_SHADOW } },
	  NULL },
	{ long_mode_put,
	  { { VMCS_APIC_ACCESS, HIGH }, { VMCS_PROC2_CONTROLS, PROC2 | PROC2_APIC_ACCESS } },
	  "APIC_ACCESS 0x8000000000: must be a page's address" },
	{ long_mode_put, { { VMCS_APIC_ACCESS, HIGH } }, NULL },
	{ long_mode_put,
	  { { VMCS_TPR_THRESHOLD, 16 } },
	  "TPR_THRESHOLD 0x00000010: must be below 16" },
	{ long_mode_put,
	  { { VMCS_TPR_THRESHOLD, 16 }, { VMCS_PROC2_CONTROLS, PROC2 | PROC2_INTERRUPT_DELIVERY } },
	  NULL },
	{ long_mode_put,
	  { { VMCS_EPT_POINTER, 0x1000 | 3 << 3 } },
	  "EPT_POINTER 0x00001018: must be write-back, 4 levels" },
	{ long_mode_put,
	  { { VMCS_EPT_POINTER, 0x1000 | 4 << 3 | MEMORY_TYPE_WB } },
	  "EPT_POINTER 0x00001026: must be write-back, 4 levels" },
	{ long_mode_put,
	  { { VMCS_EPT_POINTER, 0x1000 | BIT64(7) | 3 << 3 | MEMORY_TYPE_WB } },
	  "EPT_POINTER 0x0000109e: must be write-back, 4 levels" },
	{ long_mode_put,
	  { { VMCS_EPT_POINTER, HIGH | 3 << 3 | MEMORY_TYPE_WB } },
	  "EPT_POINTER 0x800000001e: beyond the physical-address width" },
};

static void controls(void **state)
{
	(void)state;
	ROWS_CHECK(control_rows, CONTROLS);
	/* VPID is field 0, which ends a row's changes. */
	long_mode_put();
	fake_vmx_set(VMCS_VPID, 0);
	insn_check(CONTROLS);
	assert_int_equal(line_count, 2);
	assert_string_equal(lines[1], "VPID 0x00000000: must not be 0");
}

/* Older processors: no TRUE capabilities, no accessed and dirty flags. */
static void controls_of_older_processors(void **state)
{
	(void)state;
	wrmsr(MSR_VMX_BASIC, 0);
	wrmsr(MSR_VMX_PIN, 0x7fULL << 32 | 0x16);
	wrmsr(MSR_VMX_PROC, 0xfff9fffeULL << 32 | 0x0401e172);
	wrmsr(MSR_VMX_EXIT, 0x7fffffULL << 32 | 0x36dff);
	wrmsr(MSR_VMX_ENTRY, 0xffffULL << 32 | 0x11ff);
	long_mode_put();
	insn_check(CONTROLS);
	assert_int_equal(line_count, 2);
	assert_string_equal(lines[1], "PROC_CONTROLS 0x962061f2: bits 0x18000 must be 1");

	setup(NULL);
	vmx_caps.ept_dirty = false;
	long_mode_put();
	insn_check(CONTROLS);
	assert_int_equal(line_count, 2);
	assert_string_equal(lines[1], "EPT_POINTER 0x140000005e: must be write-back, 4 levels");
}

static const struct row event_rows[] = {
	{ long_mode_put, { { VMCS_ENTRY_EVENT, EVENT(EVENT_INTERRUPT, 0x20U) } }, NULL },
	{ long_mode_put, { { VMCS_ENTRY_EVENT, EVENT(EVENT_NMI, 2U) } }, NULL },
	{ long_mode_put, { { VMCS_ENTRY_EVENT, EVENT(EVENT_EXCEPTION, EXC_UD) } }, NULL },
	{ long_mode_put,
	  { { VMCS_ENTRY_EVENT, EVENT(EVENT_EXCEPTION, EXC_PF) | WITH_ERROR },
	    { VMCS_ENTRY_ERROR, 0xffff } },
	  NULL },
	{ real_mode_put, { { VMCS_ENTRY_EVENT, EVENT(EVENT_EXCEPTION, EXC_GP) } }, NULL },
	/* Nothing is looked at without the valid bit. */
	{ long_mode_put, { { VMCS_ENTRY_EVENT, BITS64(30, 0) } }, NULL },
	{ long_mode_put,
	  { { VMCS_ENTRY_EVENT, EVENT(EVENT_INTERRUPT, 0x20U) | BIT64(12) } },
	  "ENTRY_EVENT 0x80001020: bits 30:12 must be 0" },
	{ long_mode_put,
	  { { VMCS_ENTRY_EVENT, EVENT(1U, 0x20U) } },
	  "ENTRY_EVENT 0x80000120: type must be 0, 2 or 3" },
	{ long_mode_put,
	  { { VMCS_ENTRY_EVENT, EVENT(EVENT_SOFTWARE, 0x80U) } },
	  "ENTRY_EVENT 0x80000480: type must be 0, 2 or 3" },
	{ long_mode_put,
	  { { VMCS_ENTRY_EVENT, EVENT(EVENT_NMI, 3U) } },
	  "ENTRY_EVENT 0x80000203: an NMI has vector 2" },
	{ long_mode_put,
	  { { VMCS_ENTRY_EVENT, EVENT(EVENT_EXCEPTION, 32U) } },
	  "ENTRY_EVENT 0x80000320: an exception has a vector below 32" },
	{ long_mode_put,
	  { { VMCS_ENTRY_EVENT, EVENT(EVENT_EXCEPTION, EXC_UD) | WITH_ERROR } },
	  "ENTRY_EVENT 0x80000b06: has no error code" },
	{ long_mode_put,
	  { { VMCS_ENTRY_EVENT, EVENT(EVENT_EXCEPTION, EXC_CP) | WITH_ERROR } },
	  "ENTRY_EVENT 0x80000b15: has no error code" },
	{ long_mode_put,
	  { { VMCS_ENTRY_EVENT, EVENT(EVENT_INTERRUPT, EXC_GP) | WITH_ERROR } },
	  "ENTRY_EVENT 0x8000080d: has no error code" },
	{ real_mode_put,
	  { { VMCS_ENTRY_EVENT, EVENT(EVENT_EXCEPTION, EXC_GP) | WITH_ERROR } },
	  "ENTRY_EVENT 0x80000b0d: has no error code" },
	{ long_mode_put,
	  { { VMCS_ENTRY_EVENT, EVENT(EVENT_EXCEPTION, EXC_GP) } },
	  "ENTRY_EVENT 0x8000030d: must have an error code" },
	{ long_mode_put,
	  { { VMCS_ENTRY_EVENT, EVENT(EVENT_EXCEPTION, EXC_GP) | WITH_ERROR },
	    { VMCS_ENTRY_ERROR, 0x10000 } },
	  "ENTRY_ERROR 0x00010000: bits 31:16 must be 0" },
};

static void events(void **state)
{
	static const struct row rows_free[] = {
		{ long_mode_put,
		  { { VMCS_ENTRY_EVENT, EVENT(EVENT_EXCEPTION, EXC_CP) | WITH_ERROR } },
		  NULL },
		{ long_mode_put, { { VMCS_ENTRY_EVENT, EVENT(EVENT_EXCEPTION, EXC_GP) } }, NULL },
		{ real_mode_put,
		  { { VMCS_ENTRY_EVENT, EVENT(EVENT_EXCEPTION, EXC_GP) | WITH_ERROR } },
		  "ENTRY_EVENT 0x80000b0d: has no error code" },
		{ long_mode_put,
		  { { VMCS_ENTRY_EVENT, EVENT(EVENT_INTERRUPT, EXC_GP) | WITH_ERROR } },
		  "ENTRY_EVENT 0x8000080d: has no error code" },
	};

	(void)state;
	ROWS_CHECK(event_rows, CONTROLS);
	wrmsr(MSR_VMX_BASIC, VMX_BASIC_TRUE | VMX_BASIC_ANY_ERROR);
	ROWS_CHECK(rows_free, CONTROLS);
}

static const struct row host_rows[] = {
	{ host_put,
	  { { VMCS_HOST_CR0, CR0_PE | CR0_PG } },
	  "HOST_CR0 0x80000001: bits 0x20 must be 1" },
	{ host_put,
	  { { VMCS_HOST_CR0, BIT64(32) | CR0_PE | CR0_NE | CR0_PG } },
	  "HOST_CR0 0x180000021: bits 0x100000000 must be 0" },
	{ host_put, { { VMCS_HOST_CR4, CR4_PAE } }, "HOST_CR4 0x00000020: bits 0x2000 must be 1" },
	{ host_put, { { VMCS_HOST_CR4, CR4_VMXE } }, "HOST_CR4 0x00002000: bits 0x20 must be 1" },
	{ host_put,
	  { { VMCS_HOST_CR4, CR4_VMXE | CR4_PAE | CR4_CET } },
	  "HOST_CR4 0x00802020: bits 0x800000 must be 0" },
	{ host_put,
	  { { VMCS_HOST_CR3, HIGH } },
	  "HOST_CR3 0x8000000000: beyond the physical-address width" },
	{ host_put,
	  { { VMCS_HOST_PAT, 0x0007040600070206 } },
	  "HOST_PAT 0x7040600070206: each byte must be 0, 1, 4, 5, 6 or 7" },
	{ host_put,
	  { { VMCS_HOST_EFER, EFER_LMA } },
	  "HOST_EFER 0x00000400: bits 0x100 must be 1" },
	{ host_put,
	  { { VMCS_HOST_EFER, EFER_LME | EFER_LMA | EFER_SVME } },
	  "HOST_EFER 0x00001500: bits 0x1000 must be 0" },
	{ host_put,
	  { { VMCS_HOST_ES_SELECTOR, 0x1 } },
	  "HOST_ES_SELECTOR 0x00000001: RPL and TI must be 0" },
	{ host_put,
	  { { VMCS_HOST_CS_SELECTOR, 0xb } },
	  "HOST_CS_SELECTOR 0x0000000b: RPL and TI must be 0" },
	{ host_put,
	  { { VMCS_HOST_SS_SELECTOR, 0x12 } },
	  "HOST_SS_SELECTOR 0x00000012: RPL and TI must be 0" },
	{ host_put,
	  { { VMCS_HOST_DS_SELECTOR, 0x4 } },
	  "HOST_DS_SELECTOR 0x00000004: RPL and TI must be 0" },
	{ host_put,
	  { { VMCS_HOST_FS_SELECTOR, 0x3 } },
	  "HOST_FS_SELECTOR 0x00000003: RPL and TI must be 0" },
	{ host_put,
	  { { VMCS_HOST_GS_SELECTOR, 0x2 } },
	  "HOST_GS_SELECTOR 0x00000002: RPL and TI must be 0" },
	{ host_put,
	  { { VMCS_HOST_TR_SELECTOR, 0x34 } },
	  "HOST_TR_SELECTOR 0x00000034: RPL and TI must be 0" },
	{ host_put,
	  { { VMCS_HOST_CS_SELECTOR, 0 } },
	  "HOST_CS_SELECTOR 0x00000000: must not be 0" },
	{ host_put,
	  { { VMCS_HOST_TR_SELECTOR, 0 } },
	  "HOST_TR_SELECTOR 0x00000000: must not be 0" },
	{ host_put,
	  { { VMCS_HOST_FS_BASE, CROOKED } },
	  "HOST_FS_BASE 0x800000000000: must be canonical" },
	{ host_put,
	  { { VMCS_HOST_GS_BASE, CROOKED } },
	  "HOST_GS_BASE 0x800000000000: must be canonical" },
	{ host_put,
	  { { VMCS_HOST_TR_BASE, CROOKED } },
	  "HOST_TR_BASE 0x800000000000: must be canonical" },
	{ host_put,
	  { { VMCS_HOST_GDTR_BASE, CROOKED } },
	  "HOST_GDTR_BASE 0x800000000000: must be canonical" },
	{ host_put,
	  { { VMCS_HOST_IDTR_BASE, CROOKED } },
	  "HOST_IDTR_BASE 0x800000000000: must be canonical" },
	{ host_put,
	  { { VMCS_HOST_SYSENTER_ESP, CROOKED } },
	  "HOST_SYSENTER_ESP 0x800000000000: must be canonical" },
	{ host_put,
	  { { VMCS_HOST_SYSENTER_EIP, CROOKED } },
	  "HOST_SYSENTER_EIP 0x800000000000: must be canonical" },
	{ host_put, { { VMCS_HOST_RIP, CROOKED } }, "HOST_RIP 0x800000000000: must be canonical" },
};

static void host(void **state)
{
	(void)state;
	ROWS_CHECK(host_rows, HOST);
	/* With 57 bits of linear address. */
	vmx_caps.cr4_fixed1 |= CR4_LA57;
	host_put();
	fake_vmx_set(VMCS_HOST_FS_BASE, CROOKED);
	insn_check(HOST);
	assert_string_equal(lines[1], NOTHING);
	fake_vmx_set(VMCS_HOST_FS_BASE, BIT64(56));
	insn_check(HOST);
	assert_string_equal(lines[1], "HOST_FS_BASE 0x100000000000000: must be canonical");
}

static const struct row register_rows[] = {
	{ real_mode_put, { { VMCS_GUEST_CR0, 0 } }, "GUEST_CR0 0x00000000: bits 0x20 must be 1" },
	{ real_mode_put,
	  { { VMCS_GUEST_CR0, CR0_NE | BIT64(63) } },
	  "GUEST_CR0 0x8000000000000020: bits 0x8000000000000000 must be 0" },
	{ real_mode_put, { { VMCS_GUEST_CR4, 0 } }, "GUEST_CR4 0x00000000: bits 0x2000 must be 1" },
	{ real_mode_put,
	  { { VMCS_GUEST_CR4, CR4_VMXE | CR4_PKE } },
	  "GUEST_CR4 0x00402000: bits 0x400000 must be 0" },
	{ real_mode_put,
	  { { VMCS_GUEST_CR0, CR0_NE | CR0_PG } },
	  "GUEST_CR0 0x80000020: PG without PE" },
	{ long_mode_put,
	  { { VMCS_GUEST_CR0, CR0_NE | CR0_PE } },
	  "GUEST_CR0 0x00000021: IA-32e mode without PG" },
	{ long_mode_put,
	  { { VMCS_GUEST_CR4, CR4_VMXE } },
	  "GUEST_CR4 0x00002000: IA-32e mode without PAE" },
	{ pae_put,
	  { { VMCS_GUEST_CR4, CR4_VMXE | CR4_PAE | CR4_PCIDE } },
	  "GUEST_CR4 0x00022020: PCIDE outside IA-32e mode" },
	{ pae_put,
	  { { VMCS_GUEST_CR3, HIGH } },
	  "GUEST_CR3 0x8000000000: beyond the physical-address width" },
	{ pae_put, { { VMCS_GUEST_DEBUGCTL, 0xffc7 } }, NULL },
	{ pae_put,
	  { { VMCS_GUEST_DEBUGCTL, BIT64(5) } },
	  "GUEST_DEBUGCTL 0x00000020: bits 5:3 and 63:16 must be 0" },
	{ pae_put,
	  { { VMCS_GUEST_DEBUGCTL, BIT64(16) } },
	  "GUEST_DEBUGCTL 0x00010000: bits 5:3 and 63:16 must be 0" },
	{ pae_put,
	  { { VMCS_GUEST_DR7, BIT64(32) } },
	  "GUEST_DR7 0x100000000: bits 63:32 must be 0" },
	{ pae_put, { { VMCS_GUEST_PAT, 0x0706050401000406 } }, NULL },
	{ pae_put,
	  { { VMCS_GUEST_PAT, 0x0300000000000000 } },
	  "GUEST_PAT 0x300000000000000: each byte must be 0, 1, 4, 5, 6 or 7" },
	{ pae_put,
	  { { VMCS_GUEST_PAT, 2 } },
	  "GUEST_PAT 0x00000002: each byte must be 0, 1, 4, 5, 6 or 7" },
	{ pae_put,
	  { { VMCS_GUEST_PAT, 8 } },
	  "GUEST_PAT 0x00000008: each byte must be 0, 1, 4, 5, 6 or 7" },
	{ real_mode_put,
	  { { VMCS_GUEST_EFER, EFER_SVME } },
	  "GUEST_EFER 0x00001000: bits 0x1000 must be 0" },
	{ real_mode_put,
	  { { VMCS_GUEST_EFER, EFER_LMA } },
	  "GUEST_EFER 0x00000400: LMA is not as in ENTRY_CONTROLS" },
	{ real_mode_put, { { VMCS_GUEST_EFER, EFER_LME } }, NULL }, /* on the way to 64-bit mode */
	{ pae_put, { { VMCS_GUEST_EFER, EFER_LME } }, "GUEST_EFER 0x00000100: LMA is not LME" },
	{ long_mode_put,
	  { { VMCS_GUEST_EFER, EFER_LMA } },
	  "GUEST_EFER 0x00000400: LMA is not LME" },
	{ long_mode_put,
	  { { VMCS_GUEST_SYSENTER_ESP, CROOKED } },
	  "GUEST_SYSENTER_ESP 0x800000000000: must be canonical" },
	{ long_mode_put,
	  { { VMCS_GUEST_SYSENTER_EIP, CROOKED } },
	  "GUEST_SYSENTER_EIP 0x800000000000: must be canonical" },
	{ long_mode_put,
	  { { VMCS_GUEST_GDTR_BASE, CROOKED } },
	  "GUEST_GDTR_BASE 0x800000000000: must be canonical" },
	{ long_mode_put,
	  { { VMCS_GUEST_IDTR_BASE, CROOKED } },
	  "GUEST_IDTR_BASE 0x800000000000: must be canonical" },
	{ long_mode_put,
	  { { VMCS_GUEST_GDTR_LIMIT, 0x10000 } },
	  "GUEST_GDTR_LIMIT 0x00010000: bits 31:16 must be 0" },
	{ long_mode_put,
	  { { VMCS_GUEST_IDTR_LIMIT, 0x10000 } },
	  "GUEST_IDTR_LIMIT 0x00010000: bits 31:16 must be 0" },
	{ pae_put,
	  { { VMCS_GUEST_RIP, BIT64(32) } },
	  "GUEST_RIP 0x100000000: bits 63:32 must be 0" },
	/* 32-bit code under a 64-bit kernel. */
	{ long_mode_put,
	  { { FIELD(CS, RIGHTS), 0xc09b } },
	  "GUEST_RIP 0xffffffff81000000: bits 63:32 must be 0" },
	{ long_mode_put, { { VMCS_GUEST_RIP, CROOKED } }, NULL }, /* faults, in the guest */
	{ long_mode_put,
	  { { VMCS_GUEST_RIP, BIT64(48) } },
	  "GUEST_RIP 0x1000000000000: high bits must agree" },
	{ pae_put, { { VMCS_GUEST_RFLAGS, 0 } }, "GUEST_RFLAGS 0x00000000: bits 0x2 must be 1" },
	{ pae_put, { { VMCS_GUEST_RFLAGS, 0x3d7fd7 } }, NULL },
	{ pae_put,
	  { { VMCS_GUEST_RFLAGS, RFLAGS_ONE | BIT64(22) | BIT64(15) | BIT64(5) | BIT64(3) } },
	  "GUEST_RFLAGS 0x0040802a: bits 0x408028 must be 0" },
	{ long_mode_put,
	  { { VMCS_GUEST_RFLAGS, RFLAGS_ONE | RFLAGS_VM } },
	  "GUEST_RFLAGS 0x00020002: VM in IA-32e or real mode" },
	{ real_mode_put,
	  { { VMCS_GUEST_RFLAGS, RFLAGS_ONE | RFLAGS_VM } },
	  "GUEST_RFLAGS 0x00020002: VM in IA-32e or real mode" },
	{ real_mode_put,
	  { { VMCS_ENTRY_EVENT, EVENT(EVENT_INTERRUPT, 8U) } },
	  "GUEST_RFLAGS 0x00000002: interrupt without IF" },
	{ real_mode_put, { { VMCS_ENTRY_EVENT, EVENT(EVENT_EXCEPTION, 8U) } }, NULL },
};

static void guest_registers(void **state)
{
	(void)state;
	ROWS_CHECK(register_rows, 0);
}

static const struct row segment_rows[] = {
	{ v8086_put,
	  { { FIELD(CS, BASE), 0x12341 } },
	  "GUEST_CS_BASE 0x00012341: virtual 8086: must be the selector << 4" },
	{ v8086_put,
	  { { FIELD(GS, LIMIT), 0xfffff } },
	  "GUEST_GS_LIMIT 0x000fffff: virtual 8086: must be 0xffff" },
	{ v8086_put,
	  { { FIELD(SS, RIGHTS), 0x93 } },
	  "GUEST_SS_RIGHTS 0x00000093: virtual 8086: must be 0xf3" },
	{ v8086_put,
	  { { FIELD(ES, RIGHTS), 0xf3 | SEG_UNUSABLE } },
	  "GUEST_ES_RIGHTS 0x000100f3: virtual 8086: must be 0xf3" },
	{ v8086_put,
	  { { FIELD(TR, BASE), CROOKED } },
	  "GUEST_TR_BASE 0x800000000000: must be canonical" },
	{ long_mode_put,
	  { { FIELD(TR, SELECTOR), 0x44 } },
	  "GUEST_TR_SELECTOR 0x00000044: TI must be 0" },
	{ real_mode_put,
	  { { FIELD(LDTR, SELECTOR), 0x4 } },
	  "GUEST_LDTR_SELECTOR 0x00000004: TI must be 0" },
	{ long_mode_put, { { FIELD(LDTR, SELECTOR), 0x4 } }, NULL }, /* unusable */
	{ long_mode_put,
	  { { FIELD(CS, BASE), BIT64(32) } },
	  "GUEST_CS_BASE 0x100000000: bits 63:32 must be 0" },
	{ long_mode_put,
	  { { FIELD(SS, BASE), BIT64(32) } },
	  "GUEST_SS_BASE 0x100000000: bits 63:32 must be 0" },
	{ long_mode_put,
	  { { FIELD(DS, BASE), BIT64(32) } },
	  "GUEST_DS_BASE 0x100000000: bits 63:32 must be 0" },
	{ long_mode_put,
	  { { FIELD(ES, BASE), BIT64(32) } },
	  "GUEST_ES_BASE 0x100000000: bits 63:32 must be 0" },
	{ long_mode_put,
	  { { FIELD(ES, BASE), BIT64(32) }, { FIELD(ES, RIGHTS), SEG_UNUSABLE } },
	  NULL },
	{ long_mode_put,
	  { { FIELD(FS, BASE), CROOKED } },
	  "GUEST_FS_BASE 0x800000000000: must be canonical" },
	{ long_mode_put,
	  { { FIELD(GS, BASE), CROOKED } },
	  "GUEST_GS_BASE 0x800000000000: must be canonical" },
	{ long_mode_put,
	  { { FIELD(TR, BASE), CROOKED } },
	  "GUEST_TR_BASE 0x800000000000: must be canonical" },
	{ real_mode_put,
	  { { FIELD(LDTR, BASE), CROOKED } },
	  "GUEST_LDTR_BASE 0x800000000000: must be canonical" },
	{ long_mode_put, { { FIELD(LDTR, BASE), CROOKED } }, NULL },
	{ long_mode_put,
	  { { FIELD(TR, RIGHTS), 0x8b | SEG_UNUSABLE } },
	  "GUEST_TR_RIGHTS 0x0001008b: must be usable" },
	/* Types: without the accessed bit, or of the wrong kind. */
	{ pae_put,
	  { { FIELD(ES, RIGHTS), 0xc0f2 } },
	  "GUEST_ES_RIGHTS 0x0000c0f2: type must be 1, 3, 5, 7, 11 or 15: accessed, readable" },
	{ pae_put,
	  { { FIELD(DS, RIGHTS), 0xc0f9 } },
	  "GUEST_DS_RIGHTS 0x0000c0f9: type must be 1, 3, 5, 7, 11 or 15: accessed, readable" },
	{ pae_put,
	  { { FIELD(FS, RIGHTS), 0xc0fd } },
	  "GUEST_FS_RIGHTS 0x0000c0fd: type must be 1, 3, 5, 7, 11 or 15: accessed, readable" },
	{ pae_put,
	  { { FIELD(GS, RIGHTS), 0xc0f0 } },
	  "GUEST_GS_RIGHTS 0x0000c0f0: type must be 1, 3, 5, 7, 11 or 15: accessed, readable" },
	{ pae_put, { { FIELD(GS, RIGHTS), 0xc0ff } }, NULL },
	{ pae_put,
	  { { FIELD(CS, RIGHTS), 0xc0fa } },
	  "GUEST_CS_RIGHTS 0x0000c0fa: type must be 3, 9, 11, 13 or 15: accessed" },
	{ pae_put,
	  { { FIELD(CS, RIGHTS), 0xc0f1 } },
	  "GUEST_CS_RIGHTS 0x0000c0f1: type must be 3, 9, 11, 13 or 15: accessed" },
	{ pae_put,
	  { { FIELD(SS, RIGHTS), 0xc0f1 } },
	  "GUEST_SS_RIGHTS 0x0000c0f1: type must be 3 or 7: accessed, writable" },
	{ pae_put, { { FIELD(SS, RIGHTS), 0xc0f7 } }, NULL },
	{ real_mode_put,
	  { { FIELD(LDTR, RIGHTS), 0x83 } },
	  "GUEST_LDTR_RIGHTS 0x00000083: type must be 2: LDT" },
	{ real_mode_put,
	  { { FIELD(TR, RIGHTS), 0x89 } },
	  "GUEST_TR_RIGHTS 0x00000089: type must be 3 or 11: busy TSS" },
	{ long_mode_put,
	  { { FIELD(TR, RIGHTS), 0x83 } },
	  "GUEST_TR_RIGHTS 0x00000083: type must be 11 in IA-32e mode" },
	{ pae_put,
	  { { FIELD(CS, RIGHTS), 0xc0eb } },
	  "GUEST_CS_RIGHTS 0x0000c0eb: S must be 1, in LDTR and TR 0" },
	{ pae_put,
	  { { FIELD(TR, RIGHTS), 0x9b } },
	  "GUEST_TR_RIGHTS 0x0000009b: S must be 1, in LDTR and TR 0" },
	/* Privilege levels. */
	{ long_mode_put,
	  { { FIELD(CS, RIGHTS), 0xa0fb } },
	  "GUEST_CS_RIGHTS 0x0000a0fb: DPL must be SS.DPL, type 13, 15: or less, 3: 0" },
	{ pae_put,
	  { { FIELD(CS, RIGHTS), 0xc09b } },
	  "GUEST_CS_RIGHTS 0x0000c09b: DPL must be SS.DPL, type 13, 15: or less, 3: 0" },
	{ pae_put, { { FIELD(CS, RIGHTS), 0xc09f } }, NULL },
	{ long_mode_put,
	  { { FIELD(CS, RIGHTS), 0xa0bf } },
	  "GUEST_CS_RIGHTS 0x0000a0bf: DPL must be SS.DPL, type 13, 15: or less, 3: 0" },
	{ real_mode_put,
	  { { FIELD(CS, RIGHTS), 0xf3 } },
	  "GUEST_CS_RIGHTS 0x000000f3: DPL must be SS.DPL, type 13, 15: or less, 3: 0" },
	{ real_mode_put,
	  { { FIELD(SS, RIGHTS), 0xf3 } },
	  "GUEST_SS_RIGHTS 0x000000f3: DPL must be 0: real mode, or CS of type 3" },
	{ real_mode_put,
	  { { FIELD(SS, RIGHTS), 0xf3 }, { FIELD(CS, RIGHTS), 0xfb } },
	  "GUEST_SS_RIGHTS 0x000000f3: DPL must be 0: real mode, or CS of type 3" },
	{ pae_put,
	  { { FIELD(CS, RIGHTS), 0xc093 } },
	  "GUEST_SS_RIGHTS 0x0000c0f3: DPL must be 0: real mode, or CS of type 3" },
	{ pae_put, { { FIELD(DS, RIGHTS), 0xc073 } }, "GUEST_DS_RIGHTS 0x0000c073: P must be 1" },
	{ pae_put, { { FIELD(TR, RIGHTS), 0x0b } }, "GUEST_TR_RIGHTS 0x0000000b: P must be 1" },
	{ pae_put,
	  { { FIELD(DS, RIGHTS), 0xc1f3 } },
	  "GUEST_DS_RIGHTS 0x0000c1f3: bits 11:8 and 31:17 must be 0" },
	{ pae_put,
	  { { FIELD(DS, RIGHTS), BIT64(17) | 0xc0f3 } },
	  "GUEST_DS_RIGHTS 0x0002c0f3: bits 11:8 and 31:17 must be 0" },
	{ long_mode_put,
	  { { FIELD(CS, RIGHTS), 0xe09b } },
	  "GUEST_CS_RIGHTS 0x0000e09b: L excludes D" },
	{ pae_put, { { FIELD(CS, RIGHTS), 0xe0fb } }, NULL },
	{ long_mode_put,
	  { { FIELD(ES, LIMIT), 0xfffff000 } },
	  "GUEST_ES_LIMIT 0xfffff000: bits 11:0 must be 1 with G" },
	{ real_mode_put,
	  { { FIELD(ES, LIMIT), 0x100000 } },
	  "GUEST_ES_LIMIT 0x00100000: bits 31:20 must be 0 without G" },
	{ real_mode_put, { { FIELD(ES, LIMIT), 0xfffff } }, NULL },
	/* Of a register that is not in use only bases count. */
	{ long_mode_put, { { FIELD(DS, RIGHTS), SEG_UNUSABLE | BITS64(31, 17) } }, NULL },
};

static void segments(void **state)
{
	(void)state;
	ROWS_CHECK(segment_rows, 0);
}

#define STEP (RFLAGS_ONE | RFLAGS_IF | RFLAGS_TF)

static const struct row state_rows[] = {
	{ long_mode_put,
	  { { VMCS_GUEST_ACTIVITY, ACTIVITY_HLT } },
	  "GUEST_ACTIVITY 0x00000001: must be active" },
	{ long_mode_put, { { VMCS_GUEST_INTERRUPTIBILITY, BLOCKED_BY_STI } }, NULL },
	{ real_mode_put,
	  { { VMCS_GUEST_INTERRUPTIBILITY, BLOCKED_BY_MOV_SS | BLOCKED_BY_NMI } },
	  NULL },
	{ long_mode_put,
	  { { VMCS_GUEST_INTERRUPTIBILITY, BLOCKED_BY_SMI } },
	  "GUEST_INTERRUPTIBILITY 0x00000004: only STI, MOV SS, NMI may block" },
	{ long_mode_put,
	  { { VMCS_GUEST_INTERRUPTIBILITY, BIT64(5) } },
	  "GUEST_INTERRUPTIBILITY 0x00000020: only STI, MOV SS, NMI may block" },
	{ long_mode_put,
	  { { VMCS_GUEST_INTERRUPTIBILITY, BLOCKED_SHADOW } },
	  "GUEST_INTERRUPTIBILITY 0x00000003: STI and MOV SS cannot both block" },
	{ real_mode_put,
	  { { VMCS_GUEST_INTERRUPTIBILITY, BLOCKED_BY_STI } },
	  "GUEST_INTERRUPTIBILITY 0x00000001: STI blocks, but IF is 0" },
	{ long_mode_put,
	  { { VMCS_GUEST_INTERRUPTIBILITY, BLOCKED_BY_MOV_SS },
	    { VMCS_ENTRY_EVENT, EVENT(EVENT_INTERRUPT, 0x20U) } },
	  "GUEST_INTERRUPTIBILITY 0x00000002: blocks the injected interrupt" },
	{ long_mode_put,
	  { { VMCS_GUEST_INTERRUPTIBILITY, BLOCKED_BY_NMI },
	    { VMCS_ENTRY_EVENT, EVENT(EVENT_INTERRUPT, 0x20U) } },
	  NULL },
	{ long_mode_put,
	  { { VMCS_GUEST_INTERRUPTIBILITY, BLOCKED_BY_STI },
	    { VMCS_ENTRY_EVENT, EVENT(EVENT_NMI, 2U) } },
	  "GUEST_INTERRUPTIBILITY 0x00000001: blocks the injected NMI" },
	{ long_mode_put,
	  { { VMCS_GUEST_INTERRUPTIBILITY, BLOCKED_BY_MOV_SS },
	    { VMCS_ENTRY_EVENT, EVENT(EVENT_NMI, 2U) } },
	  "GUEST_INTERRUPTIBILITY 0x00000002: blocks the injected NMI" },
	{ long_mode_put,
	  { { VMCS_GUEST_INTERRUPTIBILITY, BLOCKED_BY_NMI },
	    { VMCS_ENTRY_EVENT, EVENT(EVENT_NMI, 2U) } },
	  "GUEST_INTERRUPTIBILITY 0x00000008: blocks the injected NMI" },
	{ long_mode_put,
	  { { VMCS_GUEST_INTERRUPTIBILITY, BLOCKED_BY_MOV_SS },
	    { VMCS_ENTRY_EVENT, EVENT(EVENT_EXCEPTION, EXC_UD) } },
	  NULL },
	{ long_mode_put, { { VMCS_GUEST_PENDING_DEBUG, 0x1500f } }, NULL },
	{ long_mode_put,
	  { { VMCS_GUEST_PENDING_DEBUG, BIT64(13) } },
	  "GUEST_PENDING_DEBUG 0x00002000: bits 11:4, 13, 15, 63:17 must be 0" },
	{ long_mode_put,
	  { { VMCS_GUEST_PENDING_DEBUG, BIT64(4) } },
	  "GUEST_PENDING_DEBUG 0x00000010: bits 11:4, 13, 15, 63:17 must be 0" },
	{ long_mode_put,
	  { { VMCS_GUEST_INTERRUPTIBILITY, BLOCKED_BY_STI },
	    { VMCS_GUEST_PENDING_DEBUG, PENDING_DEBUG_BS } },
	  "GUEST_PENDING_DEBUG 0x00004000: BS must be 1 with TF and without BTF, else 0" },
	{ long_mode_put,
	  { { VMCS_GUEST_INTERRUPTIBILITY, BLOCKED_BY_STI }, { VMCS_GUEST_RFLAGS, STEP } },
	  "GUEST_PENDING_DEBUG 0x00000000: BS must be 1 with TF and without BTF, else 0" },
	{ long_mode_put,
	  { { VMCS_GUEST_INTERRUPTIBILITY, BLOCKED_BY_STI },
	    { VMCS_GUEST_RFLAGS, STEP },
	    { VMCS_GUEST_PENDING_DEBUG, PENDING_DEBUG_BS } },
	  NULL },
	{ long_mode_put,
	  { { VMCS_GUEST_INTERRUPTIBILITY, BLOCKED_BY_STI },
	    { VMCS_GUEST_RFLAGS, STEP },
	    { VMCS_GUEST_DEBUGCTL, BIT64(1) } },
	  NULL },
	{ long_mode_put, { { VMCS_GUEST_RFLAGS, STEP } }, NULL },
	{ long_mode_put,
	  { { VMCS_LINK_POINTER, 0x4000 } },
	  "LINK_POINTER 0x00004000: must be all ones" },
	{ pae_put,
	  { { VMCS_GUEST_PDPTE0 + 4, 0x3000 | PTE_WRITE | PTE_PRESENT } },
	  "GUEST_PDPTE 0x00003003: reserved bits must be 0" },
	{ pae_put,
	  { { VMCS_GUEST_PDPTE0 + 6, HIGH | PTE_PRESENT } },
	  "GUEST_PDPTE 0x8000000001: reserved bits must be 0" },
	/* Outside PAE paging they mean nothing. */
	{ long_mode_put, { { VMCS_GUEST_PDPTE0, HIGH | PTE_PRESENT } }, NULL },
	{ v8086_put, { { VMCS_GUEST_PDPTE0, HIGH | PTE_PRESENT } }, NULL },
	{ real_mode_put,
	  { { VMCS_GUEST_PDPTE0, HIGH | PTE_PRESENT }, { VMCS_GUEST_CR4, CR4_VMXE | CR4_PAE } },
	  NULL },
};

static void non_register_state(void **state)
{
	(void)state;
	ROWS_CHECK(state_rows, 0);
}

/* A VMCS of zeros breaks more rules than are worth reading. */
static void long_reports_end(void **state)
{
	(void)state;
	guest_check();
	assert_int_equal(line_count, 10);
	assert_string_equal(lines[1], "GUEST_CR0 0x00000000: bits 0x20 must be 1");
	assert_non_null(strstr(lines[9], "and "));
	assert_non_null(strstr(lines[9], " more"));
}

static void qualifications(void **state)
{
	static const char *const hints[] = { "0", "1", "2 (PDPTE)", "3 (NMI)", "4 (link pointer)",
					     "5" };
	char expected[64];

	(void)state;
	long_mode_put();
	for (u32 i = 0; i < ARRAY_SIZE(hints); i++) {
		line_count = 0;
		vmx_entry_failure_log("a", 1, EXIT_REASON_ENTRY_FAILED | VMX_EXIT_GUEST_STATE, i);
		snprintf(expected, sizeof(expected), "entry failed: guest state, qualification %s",
			 hints[i]);
		assert_string_equal(lines[0], expected);
	}
	line_count = 0;
	vmx_entry_failure_log("a", 1, EXIT_REASON_ENTRY_FAILED | VMX_EXIT_MSR_LOADING, 2);
	assert_int_equal(line_count, 1);
	assert_string_equal(lines[0], "entry failed: MSR loading, qualification 2");
	line_count = 0;
	vmx_entry_failure_log("a", 1, EXIT_REASON_ENTRY_FAILED | VMX_EXIT_MACHINE_CHECK, 0);
	assert_int_equal(line_count, 1);
	assert_string_equal(lines[0], "entry failed: machine check, qualification 0");
}

static void insn_errors(void **state)
{
	static const char *const names[] = {
		[0] = "no current VMCS",
		[4] = "VMLAUNCH with non-clear VMCS",
		[5] = "VMRESUME with non-launched VMCS",
		[7] = "VM entry with invalid control field(s)",
		[8] = "VM entry with invalid host-state field(s)",
		[26] = "VM entry with events blocked by MOV SS",
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(names); i++)
		assert_string_equal(vmx_insn_error_name(i), names[i] ? names[i] : "unknown");
	assert_string_equal(vmx_insn_error_name(ARRAY_SIZE(names)), "unknown");
	assert_string_equal(vmx_insn_error_name(UINT32_MAX), "unknown");
}

static void both_kinds_of_wrong_bits(void **state)
{
	(void)state;
	real_mode_put();
	fake_vmx_set(VMCS_GUEST_RFLAGS, BIT64(15));
	guest_check();
	assert_int_equal(line_count, 3);
	assert_string_equal(lines[1], "GUEST_RFLAGS 0x00008000: bits 0x2 must be 1");
	assert_string_equal(lines[2], "GUEST_RFLAGS 0x00008000: bits 0x8000 must be 0");
}

static void insn_failures(void **state)
{
	(void)state;
	insn_check(5); /* no check is at fault */
	assert_int_equal(line_count, 1);
	assert_string_equal(lines[0], "VMRESUME failed: error 5, VMRESUME with non-launched VMCS");
	line_count = 0;
	vmx_insn_failure_log("a", 1, "VMLAUNCH",
			     VMX_FAIL_INVALID); /* the old number means nothing */
	assert_int_equal(line_count, 1);
	assert_string_equal(lines[0], "VMLAUNCH failed: error 0, no current VMCS");
	long_mode_put();
	insn_check(CONTROLS);
	assert_string_equal(lines[0],
			    "VMRESUME failed: error 7, VM entry with invalid control field(s)");
	insn_check(HOST);
	assert_string_equal(lines[0],
			    "VMRESUME failed: error 8, VM entry with invalid host-state field(s)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(good_states_pass, setup, teardown),
		cmocka_unit_test_setup_teardown(controls, setup, teardown),
		cmocka_unit_test_setup_teardown(controls_of_older_processors, setup, teardown),
		cmocka_unit_test_setup_teardown(events, setup, teardown),
		cmocka_unit_test_setup_teardown(host, setup, teardown),
		cmocka_unit_test_setup_teardown(guest_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(segments, setup, teardown),
		cmocka_unit_test_setup_teardown(non_register_state, setup, teardown),
		cmocka_unit_test_setup_teardown(both_kinds_of_wrong_bits, setup, teardown),
		cmocka_unit_test_setup_teardown(long_reports_end, setup, teardown),
		cmocka_unit_test_setup_teardown(qualifications, setup, teardown),
		cmocka_unit_test_setup_teardown(insn_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(insn_failures, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
