/* Tests of the task switch: what is saved and loaded, what is refused, what faults afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/vmm/emul/machine.h"
#include "vmm/emul/task_switch.h"

#define GDT	  0x1000U
#define GDT_LIMIT 0x9fU
#define LDT	  0x1800U
#define OLD_TSS	  0x2000U
#define NEW_TSS	  0x3000U
#define STACK	  0x6000U
#define DIRECTORY 0x8000U /* 32-bit paging */
#define TABLE	  0x9000U
#define PDPT	  0xa000U

#define SEL_CODE	0x08
#define SEL_DATA	0x10
#define SEL_USER_CODE	0x1b
#define SEL_USER_DATA	0x23
#define SEL_OLD		0x28
#define SEL_NEW		0x30
#define SEL_LDT		0x38
#define SEL_ABSENT_DATA 0x40
#define SEL_ABSENT_CODE 0x48
#define SEL_READ_ONLY	0x50
#define SEL_CONFORMING	0x58 /* DPL 0 */
#define SEL_EXECUTE	0x60 /* code that cannot be read */
#define SEL_CALL_GATE	0x68
#define SEL_FRESH	0x70 /* data, never accessed */
#define SEL_STACK16	0x78
#define SEL_ABSENT_LDT	0x80
#define SEL_USER_CONF	0x88 /* conforming code, DPL 3 */
#define SEL_OUTSIDE	0xa0
#define SEL_LOCAL	0x0c

#define TSS32	    0x89U
#define TSS32_BUSY  0x8bU
#define TSS16	    0x81U
#define TSS16_BUSY  0x83U
#define EFLAGS_BASE (RFLAGS_ONE | RFLAGS_ZF)
#define NEW_ESP	    (STACK + 0x1000)

struct fixture {
	struct machine m;
	struct vm_exit exit;
	struct vcpu_state next;
	struct emul_exception exception;
	u8 before[RAM_BYTES];
};
static struct fixture f;

static void put(u32 at, u64 value, unsigned bytes)
{
	memcpy(f.m.ram + at, &value, bytes);
}

static u32 get(u32 at, unsigned bytes)
{
	u32 value = 0;

	memcpy(&value, f.m.ram + at, bytes);
	return value;
}

static void describe(u32 selector, u32 base, u32 limit, u32 type, u32 flags)
{
	put(GDT + (selector & ~7U),
	    (limit & 0xffff) | (u64)(base & 0xffffff) << 16 | (u64)type << 40 |
		    (u64)(limit >> 16 & 0xf) << 48 | (u64)flags << 52 | (u64)(base >> 24) << 56,
	    8);
}

static u32 type_of(u32 selector)
{
	return get(GDT + (selector & ~7U) + 5, 1);
}

static void gdt_init(void)
{
	describe(SEL_CODE, 0, 0xfffff, 0x9b, 0xc);
	describe(SEL_DATA, 0, 0xfffff, 0x93, 0xc);
	describe(SEL_USER_CODE, 0, 0xfffff, 0xfb, 0xc);
	describe(SEL_USER_DATA, 0, 0xfffff, 0xf3, 0xc);
	describe(SEL_OLD, OLD_TSS, 0x67, TSS32_BUSY, 0);
	describe(SEL_NEW, NEW_TSS, 0x67, TSS32, 0);
	describe(SEL_LDT, LDT, 0xf, 0x82, 0);
	describe(SEL_ABSENT_DATA, 0, 0xfffff, 0x13, 0xc);
	describe(SEL_ABSENT_CODE, 0, 0xfffff, 0x1b, 0xc);
	describe(SEL_READ_ONLY, 0, 0xfffff, 0x91, 0xc);
	describe(SEL_CONFORMING, 0, 0xfffff, 0x9f, 0xc);
	describe(SEL_EXECUTE, 0, 0xfffff, 0x99, 0xc);
	describe(SEL_CALL_GATE, 0, 0, 0x8c, 0);
	describe(SEL_FRESH, 0x12345678, 0x4567, 0x92, 4);
	describe(SEL_STACK16, 0, 0xffff, 0x93, 0);
	describe(SEL_ABSENT_LDT, LDT, 0xf, 0x02, 0);
	describe(SEL_USER_CONF, 0, 0xfffff, 0xff, 0xc);
	put(LDT + 8, 0x0040930040000fffULL, 8); /* base 0x4000, limit 0xfff */
}

static void new_tss_init(void)
{
	put(NEW_TSS + 0x1c, DIRECTORY, 4);
	put(NEW_TSS + 0x20, 0x1234, 4);
	put(NEW_TSS + 0x24, EFLAGS_BASE | RFLAGS_IF, 4);
	for (u32 i = 0; i < 8; i++)
		put(NEW_TSS + 0x28 + 4 * i, 0xa0000000 + i, 4);
	put(NEW_TSS + 0x28 + 4 * GPR_RSP, NEW_ESP, 4);
	for (u32 i = 0; i < 4; i++) /* ES, CS, SS, DS */
		put(NEW_TSS + 0x48 + 4 * i, i == 1 ? SEL_CODE : SEL_DATA, 4);
}

static void new_tss16_init(void)
{
	describe(SEL_NEW, NEW_TSS, 0x2b, TSS16, 0);
	memset(f.m.ram + NEW_TSS, 0, 0x68);
	put(NEW_TSS + 14, 0x1234, 2);
	put(NEW_TSS + 16, EFLAGS_BASE, 2);
	for (u32 i = 0; i < 8; i++)
		put(NEW_TSS + 18 + 2 * i, 0xa000 + i, 2);
	put(NEW_TSS + 18 + 2 * GPR_RSP, NEW_ESP, 2);
	for (u32 i = 0; i < 4; i++)
		put(NEW_TSS + 34 + 2 * i, i == 1 ? SEL_CODE : SEL_DATA, 2);
}

static int fresh(void **state)
{
	(void)state;
	memset(&f, 0, sizeof(f));
	machine_init(&f.m);
	gdt_init();
	new_tss_init();
	f.m.state.gdtr.base = GDT;
	f.m.state.gdtr.limit = GDT_LIMIT;
	f.m.state.rip = 0x8877;
	f.m.state.rflags = EFLAGS_BASE | RFLAGS_NT | RFLAGS_RF;
	f.m.state.cr3 = 0x7000;
	f.m.state.dr6 = DR6_RESET;
	f.m.state.dr7 = DR7_RESET | 0x3ff;
	for (u32 i = 0; i < 6; i++)
		f.m.state.segment[i].selector = (u16)(0x100 + i);
	f.m.state.segment[SEG_TR] = (struct segment){
		.base = OLD_TSS, .limit = 0x67, .rights = TSS32_BUSY, .selector = SEL_OLD
	};
	for (u32 i = 0; i < 8; i++)
		f.m.gpr[i] = 0xb0000000 + i;
	f.exit = (struct vm_exit){ .reason = VM_EXIT_TASK_SWITCH,
				   .insn_length = 2,
				   .task = { .selector = SEL_NEW, .source = TASK_CALL } };
	return 0;
}

static enum task_result run(void)
{
	memcpy(f.before, f.m.ram, RAM_BYTES);
	return task_switch(&f.m.emul, &f.exit, &f.next, &f.exception);
}

static void expect_exception(enum exception vector, u32 error)
{
	assert_int_equal(f.exception.vector, vector);
	assert_true(f.exception.has_error);
	assert_int_equal(f.exception.error_code, error);
}

/* --- what is saved and loaded */

static void a_call_saves_the_old_task(void **state)
{
	(void)state;
	put(OLD_TSS, 0x5a5a5a5a, 4);
	put(OLD_TSS + 0x4a, 0x7777, 2);
	put(OLD_TSS + 0x60, 0x66666666, 4);
	assert_int_equal(run(), TASK_SWITCHED);
	assert_int_equal(get(OLD_TSS + 0x20, 4), 0x8879);
	assert_int_equal(get(OLD_TSS + 0x24, 4), EFLAGS_BASE | RFLAGS_NT);
	for (u32 i = 0; i < 8; i++)
		assert_int_equal(get(OLD_TSS + 0x28 + 4 * i, 4), 0xb0000000 + i);
	for (u32 i = 0; i < 6; i++)
		assert_int_equal(get(OLD_TSS + 0x48 + 4 * i, 2), 0x100 + i);
	/* Static fields and what is reserved stay. */
	assert_int_equal(get(OLD_TSS, 4), 0x5a5a5a5a);
	assert_int_equal(get(OLD_TSS + 0x1c, 4), 0);
	assert_int_equal(get(OLD_TSS + 0x4a, 2), 0x7777);
	assert_int_equal(get(OLD_TSS + 0x60, 4), 0x66666666);
	assert_int_equal(type_of(SEL_OLD), TSS32_BUSY);
	assert_int_equal(type_of(SEL_NEW), TSS32_BUSY);
	assert_int_equal(get(NEW_TSS, 2), SEL_OLD);
}

static void a_call_loads_the_new_task(void **state)
{
	(void)state;
	put(NEW_TSS + 0x24, 0xffffffff & ~(RFLAGS_VM | RFLAGS_NT), 4);
	put(NEW_TSS + 0x58, SEL_USER_DATA, 2);
	assert_int_equal(run(), TASK_SWITCHED);
	assert_int_equal(f.next.rip, 0x1234);
	assert_int_equal(f.next.rflags, 0x003d7fd7); /* reserved bits are gone, NT is set */
	for (u32 i = 0; i < 8; i++)
		assert_int_equal(f.m.gpr[i], i == GPR_RSP ? NEW_ESP : 0xa0000000 + i);
	assert_int_equal(f.next.segment[SEG_TR].selector, SEL_NEW);
	assert_int_equal(f.next.segment[SEG_TR].base, NEW_TSS);
	assert_int_equal(f.next.segment[SEG_TR].limit, 0x67);
	assert_int_equal(f.next.segment[SEG_TR].rights, TSS32_BUSY);
	assert_int_equal(f.next.cr0, CR0_PE | CR0_TS);
	assert_int_equal(f.next.dr7, DR7_RESET | 0x2aa);
	assert_int_equal(f.next.dr6, DR6_RESET);
	assert_int_equal(f.next.cr3, 0x7000); /* without paging it is not loaded */
	assert_int_equal(f.next.segment[SEG_CS].selector, SEL_CODE);
	assert_int_equal(f.next.segment[SEG_CS].limit, UINT32_MAX);
	assert_int_equal(f.next.segment[SEG_CS].rights, 0xc09b);
	assert_int_equal(f.next.segment[SEG_SS].rights, 0xc093);
	assert_int_equal(f.next.segment[SEG_FS].selector, SEL_USER_DATA);
	assert_int_equal(f.next.segment[SEG_FS].rights, 0xc0f3);
	assert_int_equal(f.next.segment[SEG_GS].selector, 0);
	assert_int_equal(f.next.segment[SEG_GS].rights, SEG_UNUSABLE);
	assert_int_equal(f.next.segment[SEG_LDTR].rights, SEG_UNUSABLE);
	assert_int_equal(f.m.state.rip, 0x8877); /* the old state is only read */
}

static void a_jump_does_not_nest(void **state)
{
	(void)state;
	f.exit.task.source = TASK_JUMP;
	put(NEW_TSS, 0x5555, 2);
	assert_int_equal(run(), TASK_SWITCHED);
	assert_int_equal(get(OLD_TSS + 0x24, 4), EFLAGS_BASE | RFLAGS_NT);
	assert_int_equal(f.next.rflags, EFLAGS_BASE | RFLAGS_IF);
	assert_int_equal(get(NEW_TSS, 2), 0x5555);
	assert_int_equal(type_of(SEL_OLD), TSS32);
	assert_int_equal(type_of(SEL_NEW), TSS32_BUSY);

	fresh(NULL);
	f.exit.task.source = TASK_JUMP;
	put(NEW_TSS + 0x24, EFLAGS_BASE | RFLAGS_NT, 4); /* NT comes from the TSS */
	assert_int_equal(run(), TASK_SWITCHED);
	assert_int_equal(f.next.rflags, EFLAGS_BASE | RFLAGS_NT);
}

static void an_iret_returns(void **state)
{
	(void)state;
	f.exit.task.source = TASK_IRET;
	f.exit.insn_length = 1;
	describe(SEL_NEW, NEW_TSS, 0x67, TSS32_BUSY, 0);
	put(NEW_TSS, 0x5555, 2);
	assert_int_equal(run(), TASK_SWITCHED);
	assert_int_equal(get(OLD_TSS + 0x20, 4), 0x8878);
	assert_int_equal(get(OLD_TSS + 0x24, 4), EFLAGS_BASE); /* NT is cleared in the old task */
	assert_int_equal(f.next.rflags, EFLAGS_BASE | RFLAGS_IF);
	assert_int_equal(get(NEW_TSS, 2), 0x5555);
	assert_int_equal(type_of(SEL_OLD), TSS32);
	assert_int_equal(type_of(SEL_NEW), TSS32_BUSY);
}

static void an_exception_pushes_its_error_code(void **state)
{
	(void)state;
	f.exit.insn_length = 0;
	f.exit.task.source = TASK_GATE;
	f.exit.task.external = 1;
	f.exit.task.has_error = 1;
	f.exit.task.error = 0x1234abcd;
	put(NEW_ESP - 8, 0x9999999999999999, 8);
	assert_int_equal(run(), TASK_SWITCHED);
	assert_int_equal(get(OLD_TSS + 0x20, 4), 0x8877); /* the faulting instruction */
	assert_int_equal(get(OLD_TSS + 0x24, 4), EFLAGS_BASE | RFLAGS_NT | RFLAGS_RF);
	assert_int_equal(f.next.rflags, EFLAGS_BASE | RFLAGS_IF | RFLAGS_NT);
	assert_int_equal(get(NEW_TSS, 2), SEL_OLD);
	assert_int_equal(f.m.gpr[GPR_RSP], NEW_ESP - 4);
	assert_int_equal(get(NEW_ESP - 4, 4), 0x1234abcd);
	assert_int_equal(get(NEW_ESP - 8, 4), 0x99999999);
}

static void error_codes_go_onto_16_bit_stacks(void **state)
{
	(void)state;
	f.exit.task.source = TASK_GATE;
	f.exit.task.has_error = 1;
	f.exit.task.error = 0x4242;
	put(NEW_TSS + 0x50, SEL_STACK16, 2);
	put(NEW_TSS + 0x28 + 4 * GPR_RSP, 0x77770002, 4);
	put(NEW_TSS + 0x40, 0, 2);
	assert_int_equal(run(), TASK_FAULTED); /* the push would wrap around at 64 KiB */
	expect_exception(EXC_SS, 0);
	assert_int_equal(f.m.gpr[GPR_RSP], 0x77770002);

	fresh(NULL);
	f.exit.task.source = TASK_GATE;
	f.exit.task.has_error = 1;
	f.exit.task.error = 0x4242;
	put(NEW_TSS + 0x50, SEL_STACK16, 2);
	put(NEW_TSS + 0x28 + 4 * GPR_RSP, 0x77770000 + STACK, 4);
	assert_int_equal(run(), TASK_SWITCHED);
	assert_int_equal(f.m.gpr[GPR_RSP], 0x77770000 + STACK - 4);
	assert_int_equal(get(STACK - 4, 4), 0x4242);
}

static void to_a_16_bit_tss(void **state)
{
	(void)state;
	new_tss16_init();
	f.exit.task.source = TASK_GATE;
	f.exit.task.has_error = 1;
	f.exit.task.error = 0x12345678;
	f.m.state.cr0 |= CR0_PG; /* such a task has no address space of its own */
	f.m.state.cr3 = DIRECTORY;
	f.m.state.cr4 = CR4_PSE;
	f.m.state.pdpte[1] = 0x777;
	put(DIRECTORY, PTE_PAGE_SIZE | PTE_WRITE | PTE_PRESENT, 4);
	put(NEW_ESP - 4, 0x99999999, 4);
	assert_int_equal(run(), TASK_SWITCHED);
	assert_int_equal(f.next.rip, 0x1234);
	assert_int_equal(f.next.rflags, EFLAGS_BASE | RFLAGS_NT);
	assert_int_equal(f.next.cr3, DIRECTORY);
	assert_int_equal(f.next.pdpte[1], 0x777);
	assert_int_equal(f.m.gpr[GPR_RCX], 0xa001);
	assert_int_equal(f.m.gpr[GPR_RSP], NEW_ESP - 2);
	assert_int_equal(get(NEW_ESP - 4, 4), 0x56789999);
	assert_int_equal(f.next.segment[SEG_TR].rights, TSS16_BUSY);
	assert_int_equal(f.next.segment[SEG_FS].selector, 0);
	assert_int_equal(f.next.segment[SEG_GS].selector, 0);
	assert_int_equal(get(NEW_TSS, 2), SEL_OLD);
	assert_int_equal(type_of(SEL_NEW), TSS16_BUSY);
}

static void from_a_16_bit_tss(void **state)
{
	(void)state;
	f.m.state.segment[SEG_TR].rights = TSS16_BUSY;
	f.m.state.segment[SEG_TR].limit = 0x2b;
	describe(SEL_OLD, OLD_TSS, 0x2b, TSS16_BUSY, 0);
	f.exit.task.source = TASK_JUMP;
	memset(f.m.ram + OLD_TSS, 0x11, 0x68);
	assert_int_equal(run(), TASK_SWITCHED);
	assert_int_equal(get(OLD_TSS + 12, 2), 0x1111);
	assert_int_equal(get(OLD_TSS + 14, 2), 0x8879);
	assert_int_equal(get(OLD_TSS + 16, 2), EFLAGS_BASE | RFLAGS_NT);
	assert_int_equal(get(OLD_TSS + 18, 2), 0);
	assert_int_equal(get(OLD_TSS + 20, 2), 1);
	assert_int_equal(get(OLD_TSS + 34, 2), 0x100);
	assert_int_equal(get(OLD_TSS + 40, 2), 0x103);
	assert_int_equal(get(OLD_TSS + 42, 4), 0x11111111);
	assert_int_equal(type_of(SEL_OLD), TSS16);
}

static void a_task_in_virtual_8086_mode(void **state)
{
	(void)state;
	put(NEW_TSS + 0x24, RFLAGS_VM | RFLAGS_IOPL | RFLAGS_ONE, 4);
	for (u32 i = 0; i < 6; i++)
		put(NEW_TSS + 0x48 + 4 * i, 0xf000 + i, 2);
	put(NEW_TSS + 0x60, SEL_LDT, 2);
	assert_int_equal(run(), TASK_SWITCHED);
	for (u32 i = 0; i < 6; i++) {
		assert_int_equal(f.next.segment[i].selector, 0xf000 + i);
		assert_int_equal(f.next.segment[i].base, 0xf0000 + 16 * i);
		assert_int_equal(f.next.segment[i].limit, 0xffff);
		assert_int_equal(f.next.segment[i].rights, 0xf3);
	}
	assert_int_equal(f.next.segment[SEG_LDTR].base, LDT);
	assert_int_equal(f.next.rflags, RFLAGS_VM | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_ONE);
}

static void segments_come_from_the_new_ldt(void **state)
{
	(void)state;
	put(NEW_TSS + 0x60, SEL_LDT, 2);
	put(NEW_TSS + 0x54, SEL_LOCAL, 2);
	f.m.state.segment[SEG_LDTR] = (struct segment){ .base = 0xf000, .limit = 0xffff };
	assert_int_equal(run(), TASK_SWITCHED);
	assert_int_equal(f.next.segment[SEG_LDTR].selector, SEL_LDT);
	assert_int_equal(f.next.segment[SEG_LDTR].rights, 0x82);
	assert_int_equal(f.next.segment[SEG_DS].base, 0x4000);
	assert_int_equal(f.next.segment[SEG_DS].limit, 0xfff);
	assert_int_equal(f.next.segment[SEG_DS].rights, 0x4093);
}

static void descriptors_are_marked_accessed(void **state)
{
	(void)state;
	put(NEW_TSS + 0x48, SEL_FRESH, 2);
	assert_int_equal(run(), TASK_SWITCHED);
	assert_int_equal(type_of(SEL_FRESH), 0x93);
	assert_int_equal(f.next.segment[SEG_ES].base, 0x12345678);
	assert_int_equal(f.next.segment[SEG_ES].limit, 0x4567);
	assert_int_equal(f.next.segment[SEG_ES].rights, 0x4093);
}

static void privilege_of_the_new_task(void **state)
{
	(void)state;
	put(NEW_TSS + 0x4c, SEL_USER_CODE, 2);
	put(NEW_TSS + 0x50, SEL_USER_DATA, 2);
	put(NEW_TSS + 0x48, SEL_CONFORMING | 3, 2); /* readable from everywhere */
	put(NEW_TSS + 0x54, 0, 2);
	assert_int_equal(run(), TASK_SWITCHED);
	assert_int_equal(field_get(SEG_DPL, f.next.segment[SEG_SS].rights), 3);

	fresh(NULL);
	put(NEW_TSS + 0x4c, SEL_CONFORMING | 3, 2);
	put(NEW_TSS + 0x50, SEL_USER_DATA, 2);
	put(NEW_TSS + 0x48, 0, 2);
	put(NEW_TSS + 0x54, 3, 2); /* null, whatever its RPL */
	assert_int_equal(run(), TASK_SWITCHED);
	assert_int_equal(f.next.segment[SEG_DS].selector, 3);
	assert_int_equal(f.next.segment[SEG_DS].rights, SEG_UNUSABLE);
}

static void a_tss_may_ask_for_a_trap(void **state)
{
	(void)state;
	put(NEW_TSS + 0x64, 1, 2);
	assert_int_equal(run(), TASK_TRAPPED);
	assert_int_equal(f.next.dr6, DR6_RESET | DR6_BT);

	fresh(NULL);
	put(NEW_TSS + 0x64, 0xfffe, 2);
	assert_int_equal(run(), TASK_SWITCHED);

	fresh(NULL);
	memset(f.m.ram, 1, 0x100);
	new_tss16_init(); /* has no such flag */
	put(NEW_TSS + 0x64, 1, 2);
	assert_int_equal(run(), TASK_SWITCHED);
	assert_int_equal(f.next.dr6, DR6_RESET);
}

static void the_limits_that_just_do(void **state)
{
	(void)state;
	f.m.state.segment[SEG_TR].limit = 0x5f;
	assert_int_equal(run(), TASK_SWITCHED);

	fresh(NULL);
	f.m.state.segment[SEG_TR].rights = TSS16_BUSY;
	f.m.state.segment[SEG_TR].limit = 0x29;
	new_tss16_init();
	assert_int_equal(run(), TASK_SWITCHED);

	fresh(NULL);
	describe(SEL_NEW, NEW_TSS, 0, TSS32, 8); /* a limit in pages */
	assert_int_equal(run(), TASK_SWITCHED);
	assert_int_equal(f.next.segment[SEG_TR].limit, 0xfff);
	assert_int_equal(f.next.segment[SEG_TR].rights, TSS32_BUSY | SEG_GRANULAR);
}

/* --- refusals */

struct refusal {
	u8 source, type;
	u16 selector;
	u32 limit;
	u32 vector;
	u32 error;
};

static void assert_refused(const struct refusal *r, bool external)
{
	u64 gpr[GPR_COUNT];

	fresh(NULL);
	f.exit.task.source = r->source;
	f.exit.task.selector = r->selector;
	f.exit.task.external = external;
	describe(SEL_NEW, NEW_TSS, r->limit, r->type, 0);
	describe(SEL_OUTSIDE, NEW_TSS, r->limit, r->type, 0);
	f.m.state.segment[SEG_LDTR] =
		(struct segment){ .base = GDT, .limit = GDT_LIMIT, .rights = 0x82 };
	memset(&f.next, 0x5a, sizeof(f.next));
	memcpy(gpr, f.m.gpr, sizeof(gpr));
	assert_int_equal(run(), TASK_REFUSED);
	expect_exception(r->vector, r->error | external);
	assert_memory_equal(f.before, f.m.ram, RAM_BYTES);
	assert_memory_equal(gpr, f.m.gpr, sizeof(gpr));
	assert_int_equal(((u8 *)&f.next)[0], 0x5a);
}

static void what_is_refused(void **state)
{
	static const struct refusal rows[] = {
		{ TASK_CALL, TSS32, 0, 0x67, EXC_GP, 0 },
		{ TASK_CALL, TSS32, 3, 0x67, EXC_GP, 0 },
		{ TASK_CALL, TSS32, SEL_NEW | 4, 0x67, EXC_GP, SEL_NEW | 4 },
		{ TASK_CALL, TSS32, SEL_OUTSIDE, 0x67, EXC_GP, SEL_OUTSIDE },
		{ TASK_CALL, TSS32, SEL_DATA, 0x67, EXC_GP, SEL_DATA },
		{ TASK_CALL, TSS32, SEL_LDT, 0x67, EXC_GP, SEL_LDT },
		{ TASK_CALL, TSS32_BUSY, SEL_NEW, 0x67, EXC_GP, SEL_NEW },
		{ TASK_JUMP, TSS16_BUSY, SEL_NEW, 0x67, EXC_GP, SEL_NEW },
		{ TASK_GATE, TSS32_BUSY, SEL_NEW | 3, 0x67, EXC_GP, SEL_NEW },
		{ TASK_GATE, TSS32 & ~0x80U, SEL_NEW, 0x67, EXC_NP, SEL_NEW },
		{ TASK_CALL, TSS32, SEL_NEW, 0x66, EXC_TS, SEL_NEW },
		{ TASK_CALL, TSS16, SEL_NEW, 0x2a, EXC_TS, SEL_NEW },
		{ TASK_IRET, TSS32, SEL_NEW, 0x67, EXC_TS, SEL_NEW },
		{ TASK_IRET, TSS16, SEL_NEW, 0x67, EXC_TS, SEL_NEW },
		{ TASK_IRET, TSS32_BUSY, 0, 0x67, EXC_TS, 0 },
		{ TASK_IRET, TSS32_BUSY, SEL_OUTSIDE, 0x67, EXC_TS, SEL_OUTSIDE },
		{ TASK_IRET, TSS32_BUSY, SEL_NEW | 4, 0x67, EXC_TS, SEL_NEW | 4 },
		{ TASK_IRET, TSS32_BUSY, SEL_DATA, 0x67, EXC_TS, SEL_DATA },
		{ TASK_IRET, TSS32_BUSY & ~0x80U, SEL_NEW, 0x67, EXC_NP, SEL_NEW },
		{ TASK_IRET, TSS32_BUSY, SEL_NEW, 0x66, EXC_TS, SEL_NEW },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_refused(&rows[i], false);
		assert_refused(&rows[i], true);
	}
}

static void an_old_tss_that_is_none(void **state)
{
	static const struct {
		u32 rights, limit;
	} rows[] = { { TSS32_BUSY, 0x5e }, { TSS16_BUSY, 0x28 }, { 0x82, 0x67 }, { 0x93, 0x67 } };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		fresh(NULL);
		f.m.state.segment[SEG_TR].rights = rows[i].rights;
		f.m.state.segment[SEG_TR].limit = rows[i].limit;
		assert_int_equal(run(), TASK_REFUSED);
		expect_exception(EXC_TS, SEL_OLD);
		assert_memory_equal(f.before, f.m.ram, RAM_BYTES);
	}
}

/* --- paging */

/* Identity in 4 KiB pages. */
static void paging_on(void)
{
	f.m.state.cr0 |= CR0_PG | CR0_WP;
	f.m.state.cr3 = DIRECTORY;
	put(DIRECTORY, TABLE | PTE_WRITE | PTE_PRESENT, 4);
	for (u32 i = 0; i < 16; i++)
		put(TABLE + 4 * i, i * PAGE_SIZE | PTE_WRITE | PTE_PRESENT, 4);
}

static void page_entry(u64 address, u64 bits)
{
	put((u32)(TABLE + 4 * (address / PAGE_SIZE)), align_down(address, PAGE_SIZE) | bits, 4);
}

static void assert_page_fault(u32 error, u32 cr2)
{
	u32 old_type = type_of(SEL_OLD);

	assert_int_equal(run(), TASK_REFUSED);
	expect_exception(EXC_PF, error);
	assert_int_equal(f.exception.cr2, cr2);
	assert_int_equal(type_of(SEL_OLD), old_type);
	assert_int_equal(type_of(SEL_NEW), TSS32);
	assert_memory_equal(f.before + OLD_TSS, f.m.ram + OLD_TSS, PAGE_SIZE);
	assert_memory_equal(f.before + NEW_TSS, f.m.ram + NEW_TSS, PAGE_SIZE);
	assert_int_equal(f.m.gpr[GPR_RAX], 0xb0000000);
}

static void page_faults_of_the_old_task(void **state)
{
	(void)state;
	paging_on();
	page_entry(NEW_TSS, 0);
	f.exit.task.external = 1; /* no EXT here */
	assert_page_fault(0, NEW_TSS);

	fresh(NULL);
	paging_on();
	page_entry(NEW_TSS, PTE_PRESENT); /* the link must be written */
	assert_page_fault(PF_PRESENT | PF_WRITE, NEW_TSS);

	fresh(NULL);
	paging_on();
	page_entry(OLD_TSS, PTE_PRESENT);
	assert_page_fault(PF_PRESENT | PF_WRITE, OLD_TSS + 0x20);

	fresh(NULL);
	paging_on();
	page_entry(GDT, PTE_PRESENT); /* the busy bit */
	assert_page_fault(PF_PRESENT | PF_WRITE, GDT + SEL_NEW + 5);

	fresh(NULL);
	paging_on();
	page_entry(GDT, PTE_PRESENT);
	f.exit.task.source = TASK_JUMP;
	assert_page_fault(PF_PRESENT | PF_WRITE, GDT + SEL_NEW + 5);

	fresh(NULL);
	paging_on();
	page_entry(GDT, 0);
	assert_page_fault(0, GDT + SEL_NEW);

	fresh(NULL);
	paging_on();
	f.m.state.segment[SEG_TR].base = OLD_TSS + PAGE_SIZE - 0x40; /* its second half is gone */
	page_entry(OLD_TSS + PAGE_SIZE, 0);
	describe(SEL_NEW, STACK, 0x67, TSS32, 0);
	memcpy(f.m.ram + STACK, f.m.ram + NEW_TSS, 0x68);
	assert_page_fault(PF_WRITE, OLD_TSS + PAGE_SIZE);
}

static void a_jump_only_reads_the_new_tss(void **state)
{
	(void)state;
	paging_on();
	page_entry(NEW_TSS, PTE_PRESENT);
	f.exit.task.source = TASK_JUMP;
	assert_int_equal(run(), TASK_SWITCHED);
}

static void tables_belong_to_the_supervisor(void **state)
{
	(void)state;
	paging_on(); /* nothing has PTE_USER */
	f.m.state.segment[SEG_CS].rights |= (u32)SEG_DPL;
	f.m.state.segment[SEG_SS].rights |= (u32)SEG_DPL;
	assert_int_equal(run(), TASK_SWITCHED);
}

static void a_tss_across_pages(void **state)
{
	u32 at = NEW_TSS + PAGE_SIZE - 0x31; /* in the middle of a field */

	(void)state;
	paging_on();
	put(TABLE + 4 * (NEW_TSS / PAGE_SIZE + 1), 0xc000 | PTE_WRITE | PTE_PRESENT, 4);
	memcpy(f.m.ram + at, f.m.ram + NEW_TSS, 0x31);
	memcpy(f.m.ram + 0xc000, f.m.ram + NEW_TSS + 0x31, 0x68 - 0x31);
	memset(f.m.ram + NEW_TSS + PAGE_SIZE, 0xcc, 0x68);
	describe(SEL_NEW, at, 0x67, TSS32, 0);
	f.m.state.segment[SEG_TR].base = OLD_TSS - 0x33;
	assert_int_equal(run(), TASK_SWITCHED);
	for (u32 i = 0; i < 8; i++)
		assert_int_equal(f.m.gpr[i], i == GPR_RSP ? NEW_ESP : 0xa0000000 + i);
	assert_int_equal(f.next.segment[SEG_DS].selector, SEL_DATA);
	assert_int_equal(get(at, 2), SEL_OLD);
	assert_int_equal(get(OLD_TSS - 0x33 + 0x20, 4), 0x8879);
	for (u32 i = 0; i < 8; i++)
		assert_int_equal(get(OLD_TSS - 0x33 + 0x28 + 4 * i, 4), 0xb0000000 + i);
}

static void the_new_address_space(void **state)
{
	(void)state;
	paging_on();
	put(PDPT, (TABLE + PAGE_SIZE * 4) | PTE_WRITE | PTE_PRESENT, 4); /* a directory this time */
	memcpy(f.m.ram + TABLE + PAGE_SIZE * 4, f.m.ram + TABLE, 64);
	put(TABLE + PAGE_SIZE * 4 + 4, 0xe000 | PTE_WRITE | PTE_PRESENT, 4);
	memcpy(f.m.ram + 0xe000, f.m.ram + GDT, GDT_LIMIT + 1);
	put(0xe000 + SEL_DATA, 0x00cf935500000fffULL, 8); /* another GDT there: base 0x550000 */
	put(NEW_TSS + 0x1c, PDPT, 4);
	put(NEW_TSS + 0x48, SEL_DATA, 2);
	assert_int_equal(run(), TASK_SWITCHED);
	assert_int_equal(f.next.cr3, PDPT);
	assert_int_equal(f.next.segment[SEG_ES].base, 0x550000);
}

static void pae_entries_are_kept(void **state)
{
	(void)state;
	f.m.state.cr0 |= CR0_PG;
	f.m.state.cr4 |= CR4_PAE;
	f.m.state.cr3 = PDPT;
	put(PDPT, DIRECTORY | PTE_PRESENT, 8);
	put(DIRECTORY, PTE_PAGE_SIZE | PTE_WRITE | PTE_PRESENT, 8);
	put(PDPT + 32, DIRECTORY | PTE_PRESENT, 8);
	put(PDPT + 40, 0xfffffffffffffffe, 8); /* not present: anything goes */
	put(PDPT + 56, 0xabc000 | PTE_PRESENT, 8);
	put(NEW_TSS + 0x1c, PDPT + 32, 4);
	assert_int_equal(run(), TASK_SWITCHED);
	assert_int_equal(f.next.cr3, PDPT + 32);
	assert_int_equal(f.next.pdpte[0], DIRECTORY | PTE_PRESENT);
	assert_int_equal(f.next.pdpte[1], 0xfffffffffffffffe);
	assert_int_equal(f.next.pdpte[2], 0);
	assert_int_equal(f.next.pdpte[3], 0xabc000 | PTE_PRESENT);
}

static void pae_entries_that_are_reserved(void **state)
{
	static const u64 bits[] = { PTE_WRITE,	   PTE_USER, PTE_ACCESSED,
				    PTE_PAGE_SIZE, PTE_NX,   BIT64(40) };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(bits); i++) {
		fresh(NULL);
		f.m.state.cr0 |= CR0_PG;
		f.m.state.cr4 |= CR4_PAE;
		f.m.state.cr3 = PDPT;
		put(PDPT, DIRECTORY | PTE_PRESENT, 8);
		put(DIRECTORY, PTE_PAGE_SIZE | PTE_WRITE | PTE_PRESENT, 8);
		put(PDPT + 32, DIRECTORY | PTE_PRESENT, 8);
		put(PDPT + 56, bits[i] | PTE_PRESENT, 8);
		put(NEW_TSS + 0x1c, PDPT + 32, 4);
		assert_int_equal(run(), TASK_FAULTED);
		expect_exception(EXC_GP, 0);
		assert_int_equal(f.next.cr3, PDPT);
		assert_int_equal(f.next.pdpte[0], 0);
		assert_int_equal(f.next.segment[SEG_CS].selector, SEL_CODE);
		assert_int_equal(f.next.segment[SEG_SS].rights, SEG_UNUSABLE);
	}
}

/* --- faults in the new task */

struct segment_fault {
	u32 offset; /* of the selector in the TSS */
	u16 selector;
	u32 vector;
	u32 error;
};

/* CS and SS agree, so that the exception can be delivered, and nothing bad was loaded. */
static void assert_deliverable(void)
{
	const struct segment *cs = &f.next.segment[SEG_CS], *ss = &f.next.segment[SEG_SS];
	u64 cpl = cs->selector & 3;

	assert_int_equal(cs->rights & (SEG_UNUSABLE | SEG_PRESENT | SEG_CODE | 9),
			 SEG_PRESENT | SEG_CODE | 9);
	assert_int_equal(field_get(SEG_DPL, ss->rights), cpl);
	assert_true((cs->rights & BIT32(2)) || field_get(SEG_DPL, cs->rights) == cpl);
	assert_int_equal(f.next.segment[SEG_TR].selector, SEL_NEW);
	assert_int_equal(f.next.rip, 0x1234);
	assert_int_equal(get(OLD_TSS + 0x20, 4), 0x8879);
}

static void segments_that_fault(void **state)
{
	static const struct segment_fault rows[] = {
		/* LDTR */
		{ 0x60, SEL_LDT | 4, EXC_TS, SEL_LDT | 4 },
		{ 0x60, SEL_DATA, EXC_TS, SEL_DATA },
		{ 0x60, SEL_OLD, EXC_TS, SEL_OLD },
		{ 0x60, SEL_ABSENT_LDT, EXC_TS, SEL_ABSENT_LDT },
		{ 0x60, SEL_OUTSIDE, EXC_TS, SEL_OUTSIDE },
		/* CS */
		{ 0x4c, 0, EXC_TS, 0 },
		{ 0x4c, SEL_DATA, EXC_TS, SEL_DATA },
		{ 0x4c, SEL_CALL_GATE, EXC_TS, SEL_CALL_GATE },
		{ 0x4c, SEL_CODE | 3, EXC_TS, SEL_CODE },
		{ 0x4c, SEL_USER_CODE & ~3, EXC_TS, SEL_USER_CODE & ~3 },
		{ 0x4c, SEL_USER_CONF, EXC_TS, SEL_USER_CONF },
		{ 0x4c, SEL_ABSENT_CODE, EXC_NP, SEL_ABSENT_CODE },
		{ 0x4c, SEL_OUTSIDE, EXC_TS, SEL_OUTSIDE },
		{ 0x4c, SEL_LOCAL, EXC_TS, SEL_LOCAL }, /* there is no LDT */
		/* SS */
		{ 0x50, 0, EXC_TS, 0 },
		{ 0x50, 3, EXC_TS, 0 },
		{ 0x50, SEL_CODE, EXC_TS, SEL_CODE },
		{ 0x50, SEL_READ_ONLY, EXC_TS, SEL_READ_ONLY },
		{ 0x50, SEL_USER_DATA, EXC_TS, SEL_USER_DATA & ~3 },
		{ 0x50, SEL_USER_DATA & ~3, EXC_TS, SEL_USER_DATA & ~3 },
		{ 0x50, SEL_DATA | 1, EXC_TS, SEL_DATA },
		{ 0x50, SEL_ABSENT_DATA, EXC_SS, SEL_ABSENT_DATA },
		{ 0x50, SEL_OUTSIDE, EXC_TS, SEL_OUTSIDE },
		/* ES, DS, FS, GS */
		{ 0x48, SEL_EXECUTE, EXC_TS, SEL_EXECUTE },
		{ 0x54, SEL_CALL_GATE, EXC_TS, SEL_CALL_GATE },
		{ 0x54, SEL_LDT, EXC_TS, SEL_LDT },
		{ 0x54, SEL_DATA | 3, EXC_TS, SEL_DATA },
		{ 0x58, SEL_ABSENT_DATA, EXC_NP, SEL_ABSENT_DATA },
		{ 0x5c, SEL_OUTSIDE, EXC_TS, SEL_OUTSIDE },
		{ 0x5c, SEL_LOCAL, EXC_TS, SEL_LOCAL },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		fresh(NULL);
		f.exit.task.external = i % 2 == 1;
		f.exit.task.has_error = 1; /* not pushed: it never came to the handler */
		put(NEW_TSS + rows[i].offset, rows[i].selector, 2);
		put(NEW_TSS + 0x64, 1, 2);
		assert_int_equal(run(), TASK_FAULTED);
		expect_exception(rows[i].vector, rows[i].error | (i % 2));
		assert_deliverable();
		assert_int_equal(f.m.gpr[GPR_RSP], NEW_ESP);
		assert_int_equal(f.next.dr6, DR6_RESET);
	}
}

static void what_faults_is_not_usable(void **state)
{
	(void)state;
	put(NEW_TSS + 0x54, SEL_ABSENT_DATA, 2);
	assert_int_equal(run(), TASK_FAULTED);
	assert_int_equal(f.next.segment[SEG_DS].selector, SEL_ABSENT_DATA);
	assert_int_equal(f.next.segment[SEG_DS].rights, SEG_UNUSABLE);
	assert_int_equal(f.next.segment[SEG_ES].rights, 0xc093); /* loaded before */
	assert_int_equal(f.next.segment[SEG_FS].rights, SEG_UNUSABLE);

	fresh(NULL);
	put(NEW_TSS + 0x4c, SEL_USER_CODE, 2);
	assert_int_equal(run(), TASK_FAULTED); /* SS is not of ring 3 */
	expect_exception(EXC_TS, SEL_DATA);
	assert_int_equal(f.next.segment[SEG_SS].rights, SEG_UNUSABLE | SEG_DPL);
	assert_deliverable();
}

static void the_stack_of_an_error_code(void **state)
{
	(void)state;
	f.exit.task = (typeof(f.exit.task)){ SEL_NEW, TASK_GATE, 1, 1, 0x10 };
	describe(SEL_STACK16, 0, NEW_ESP - 5, 0x93, 4);
	put(NEW_TSS + 0x50, SEL_STACK16, 2);
	assert_int_equal(run(), TASK_FAULTED);
	expect_exception(EXC_SS, 1);
	assert_int_equal(f.m.gpr[GPR_RSP], NEW_ESP);
	assert_int_equal(f.next.segment[SEG_SS].selector, SEL_STACK16);

	fresh(NULL);
	f.exit.task = (typeof(f.exit.task)){ SEL_NEW, TASK_GATE, 1, 1, 0x10 };
	paging_on();
	page_entry(STACK, 0);
	assert_int_equal(run(), TASK_FAULTED);
	expect_exception(EXC_PF, PF_WRITE);
	assert_int_equal(f.exception.cr2, NEW_ESP - 4);
}

static void memory_that_is_not_there(void **state)
{
	(void)state;
	describe(SEL_NEW, 0x400000, 0x67, TSS32, 0); /* reads as ones */
	assert_int_equal(run(), TASK_FAULTED);
	expect_exception(EXC_TS, 0xfffc);
	assert_int_equal(f.next.rip, UINT32_MAX);
	assert_int_equal(f.next.segment[SEG_CS].rights, 0xf3); /* VM among the flags */

	fresh(NULL);
	f.m.state.segment[SEG_TR].base = 0x400000; /* writes are lost */
	assert_int_equal(run(), TASK_SWITCHED);

	fresh(NULL);
	f.m.state.gdtr.base = 0xfffffff0; /* wraps around */
	assert_int_equal(run(), TASK_REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_call_saves_the_old_task, fresh),
		cmocka_unit_test_setup(a_call_loads_the_new_task, fresh),
		cmocka_unit_test_setup(a_jump_does_not_nest, fresh),
		cmocka_unit_test_setup(an_iret_returns, fresh),
		cmocka_unit_test_setup(an_exception_pushes_its_error_code, fresh),
		cmocka_unit_test_setup(error_codes_go_onto_16_bit_stacks, fresh),
		cmocka_unit_test_setup(to_a_16_bit_tss, fresh),
		cmocka_unit_test_setup(from_a_16_bit_tss, fresh),
		cmocka_unit_test_setup(a_task_in_virtual_8086_mode, fresh),
		cmocka_unit_test_setup(segments_come_from_the_new_ldt, fresh),
		cmocka_unit_test_setup(descriptors_are_marked_accessed, fresh),
		cmocka_unit_test_setup(privilege_of_the_new_task, fresh),
		cmocka_unit_test_setup(a_tss_may_ask_for_a_trap, fresh),
		cmocka_unit_test_setup(the_limits_that_just_do, fresh),
		cmocka_unit_test_setup(what_is_refused, fresh),
		cmocka_unit_test_setup(an_old_tss_that_is_none, fresh),
		cmocka_unit_test_setup(page_faults_of_the_old_task, fresh),
		cmocka_unit_test_setup(a_jump_only_reads_the_new_tss, fresh),
		cmocka_unit_test_setup(tables_belong_to_the_supervisor, fresh),
		cmocka_unit_test_setup(a_tss_across_pages, fresh),
		cmocka_unit_test_setup(the_new_address_space, fresh),
		cmocka_unit_test_setup(pae_entries_are_kept, fresh),
		cmocka_unit_test_setup(pae_entries_that_are_reserved, fresh),
		cmocka_unit_test_setup(segments_that_fault, fresh),
		cmocka_unit_test_setup(what_faults_is_not_usable, fresh),
		cmocka_unit_test_setup(the_stack_of_an_error_code, fresh),
		cmocka_unit_test_setup(memory_that_is_not_there, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
