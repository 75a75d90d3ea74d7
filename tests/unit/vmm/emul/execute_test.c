/*
 * What an instruction does to the machine: device accesses of the right size and number, faults
 * before any effect, segmentation, strings, the stack, fetching.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/vmm/emul/machine.h"
#include "vmm/emul/execute.h"

#define CODE_AT	 0x8000ULL
#define DATA_AT	 0x9000ULL
#define STACK_AT 0xb000ULL

static struct machine m;

/* A 64-bit vCPU without paging: addresses below 4 GiB are physical. */
static void start_64(void)
{
	machine_init(&m);
	m.state.efer = EFER_LMA | EFER_LME | EFER_NXE;
	m.state.segment[SEG_CS].rights = 0xb | SEG_CODE | SEG_PRESENT | SEG_LONG;
	m.state.rip = CODE_AT;
	m.gpr[GPR_RSP] = STACK_AT;
	m.gpr[GPR_RDI] = DEVICE_BASE;
	m.gpr[GPR_RSI] = DATA_AT;
}

static void start_32(void)
{
	start_64();
	m.state.efer = 0;
	m.state.segment[SEG_CS].rights = 0xb | SEG_CODE | SEG_PRESENT | SEG_BIG;
}

static void start_real(void)
{
	start_64();
	m.state.efer = 0;
	m.state.cr0 = 0;
	for (unsigned i = 0; i < SEG_COUNT; i++)
		m.state.segment[i] =
			(struct segment){ .limit = 0xffff, .rights = 0x3 | SEG_CODE | SEG_PRESENT };
	m.state.segment[SEG_CS].base = CODE_AT;
	m.state.rip = 0;
}

/*
 * Turns on four-level paging that maps 2 MBytes at 0 by 4-KByte pages, and the device page at
 * 0x100000; the tables lie from 0x1000.
 */
#define TABLE_PML4     0x1000ULL
#define TABLE_PDPT     0x2000ULL
#define TABLE_PD       0x3000ULL
#define TABLE_PT       0x4000ULL
#define DEVICE_VIRTUAL 0x100000ULL
#define RWU	       (PTE_PRESENT | PTE_WRITE | PTE_USER)

static void put(u64 at, u64 value)
{
	memcpy(m.ram + at, &value, sizeof(value));
}

static u64 get(u64 at)
{
	u64 value;

	memcpy(&value, m.ram + at, sizeof(value));
	return value;
}

static void map_page(u64 gva, u64 entry)
{
	put(TABLE_PT + (gva >> 12) * 8, entry);
}

static void start_paging(void)
{
	start_64();
	m.state.cr0 |= CR0_PG | CR0_WP;
	m.state.cr4 = CR4_PAE;
	m.state.cr3 = TABLE_PML4;
	put(TABLE_PML4, TABLE_PDPT | RWU);
	put(TABLE_PDPT, TABLE_PD | RWU);
	put(TABLE_PD, TABLE_PT | RWU);
	for (u64 gva = 0; gva < RAM_BYTES; gva += PAGE_SIZE)
		map_page(gva, gva | RWU);
	map_page(DEVICE_VIRTUAL, DEVICE_BASE | RWU);
	m.gpr[GPR_RDI] = DEVICE_VIRTUAL;
}

static u64 code_address(void)
{
	return m.state.rip + m.state.segment[SEG_CS].base;
}

static enum emul_result run(const char *bytes, size_t count)
{
	memcpy(m.ram + code_address(), bytes, count);
	return emul_step(&m.emul, &m.out);
}

#define RUN(bytes) run(bytes, sizeof(bytes) - 1)

#define expect_done(bytes)                                              \
	do {                                                            \
		assert_int_equal(RUN(bytes), EMUL_DONE);                \
		assert_int_equal(m.out.insn_length, sizeof(bytes) - 1); \
	} while (0)

/* An exception leaves registers, memory and devices alone. */
static void expect_exception_of(const char *bytes, size_t count, u32 vector, u32 code, u64 cr2)
{
	static struct machine before;
	unsigned rows = m.rows;

	memcpy(m.ram + code_address(), bytes, count);
	before = m;
	assert_int_equal(emul_step(&m.emul, &m.out), EMUL_EXCEPTION);
	assert_int_equal(m.out.exception.vector, vector);
	assert_int_equal(m.out.exception.has_error, exception_has_error(vector));
	assert_int_equal(m.out.exception.error_code, code);
	assert_int_equal(m.out.exception.cr2, cr2);
	assert_memory_equal(before.gpr, m.gpr, sizeof(m.gpr));
	assert_memory_equal(&before.state, &m.state, sizeof(m.state));
	assert_int_equal(m.rows, rows);
	/* Tables may have got accessed bits; data must be as before. */
	assert_memory_equal(before.ram + CODE_AT, m.ram + CODE_AT, RAM_BYTES - CODE_AT);
}

#define expect_exception(bytes, vector, code, cr2) \
	expect_exception_of(bytes, sizeof(bytes) - 1, vector, code, cr2)

static void expect_log(unsigned row, enum log_kind kind, u64 at, u64 value, unsigned bytes)
{
	assert_true(row < m.rows);
	assert_int_equal(m.log[row].kind, kind);
	assert_int_equal(m.log[row].at, at);
	assert_int_equal(m.log[row].value, value);
	assert_int_equal(m.log[row].bytes, bytes);
}

static void stores_reach_the_device_once(void **state)
{
	(void)state;
	start_64();
	m.gpr[GPR_RAX] = 0x1122334455667788;
	expect_done("\x88\x07");
	expect_done("\x66\x89\x47\x10");
	expect_done("\x89\x47\x20");
	expect_done("\x48\x89\x47\x30");
	expect_done("\xc7\x47\x40\xfe\xff\xff\xff");
	expect_done("\x48\xc7\x47\x50\xfe\xff\xff\xff");
	expect_done("\xa3\x60\x00\xe0\xfe\x00\x00\x00\x00");
	expect_done("\x88\x67\x70"); /* mov [rdi+0x70],ah */
	assert_int_equal(m.rows, 8);
	expect_log(0, LOG_WRITE, 0x00, 0x88, 1);
	expect_log(1, LOG_WRITE, 0x10, 0x7788, 2);
	expect_log(2, LOG_WRITE, 0x20, 0x55667788, 4);
	expect_log(3, LOG_WRITE, 0x30, 0x1122334455667788, 8);
	expect_log(4, LOG_WRITE, 0x40, 0xfffffffe, 4);
	expect_log(5, LOG_WRITE, 0x50, (u64)-2, 8);
	expect_log(6, LOG_WRITE, 0x60, 0x55667788, 4);
	expect_log(7, LOG_WRITE, 0x70, 0x77, 1);
	assert_false(m.out.sets_rflags);
}

static void loads_extend_as_the_size_demands(void **state)
{
	static const struct {
		const char *bytes;
		u8 count;
		u64 rax;
		unsigned size;
	} loads[] = {
		{ "\x8a\x07", 2, 0x11111111111111f8, 1 },
		{ "\x8a\x27", 2, 0x111111111111f811, 1 }, /* ah */
		{ "\x66\x8b\x07", 3, 0x111111111111f7f8, 2 },
		{ "\x8b\x07", 2, 0xf5f6f7f8, 4 },
		{ "\x48\x8b\x07", 3, 0xf1f2f3f4f5f6f7f8, 8 },
		{ "\x0f\xb6\x07", 3, 0xf8, 1 },
		{ "\x66\x0f\xb6\x07", 4, 0x11111111111100f8, 1 },
		{ "\x0f\xb7\x07", 3, 0xf7f8, 2 },
		{ "\x48\x0f\xbe\x07", 4, 0xfffffffffffffff8, 1 },
		{ "\x0f\xbf\x07", 3, 0xfffff7f8, 2 },
		{ "\x48\x63\x07", 3, 0xfffffffff5f6f7f8, 4 },
		{ "\x0f\x38\xf0\x07", 4, 0xf8f7f6f5, 4 },
		{ "\xa1\x00\x00\xe0\xfe\x00\x00\x00\x00", 9, 0xf5f6f7f8, 4 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(loads); i++) {
		start_64();
		memcpy(m.device, "\xf8\xf7\xf6\xf5\xf4\xf3\xf2\xf1", 8);
		m.gpr[GPR_RAX] = 0x1111111111111111;
		assert_int_equal(run(loads[i].bytes, loads[i].count), EMUL_DONE);
		assert_int_equal(m.out.insn_length, loads[i].count);
		assert_int_equal(m.gpr[GPR_RAX], loads[i].rax);
		assert_int_equal(m.rows, 1);
		assert_int_equal(m.log[0].kind, LOG_READ);
		assert_int_equal(m.log[0].bytes, loads[i].size);
	}
}

static void arithmetic_reads_once_and_writes_once(void **state)
{
	(void)state;
	start_64();
	m.device[0] = 0xf0;
	expect_done("\x83\x0f\x0f"); /* or dword [rdi],0xf */
	assert_int_equal(m.rows, 2);
	expect_log(0, LOG_READ, 0, 0xf0, 4);
	expect_log(1, LOG_WRITE, 0, 0xff, 4);
	assert_true(m.out.sets_rflags);
	assert_int_equal(m.out.rflags & RFLAGS_ARITH, RFLAGS_PF);

	expect_done("\x80\x3f\xff"); /* cmp byte [rdi],0xff: no write */
	assert_int_equal(m.rows, 3);
	assert_int_equal(m.out.rflags & RFLAGS_ARITH, RFLAGS_ZF | RFLAGS_PF);
	expect_done("\xf6\x07\x80"); /* test byte [rdi],0x80: no write */
	assert_int_equal(m.rows, 4);
	assert_int_equal(m.out.rflags & RFLAGS_ARITH, RFLAGS_SF);
	/* Flags that are not status stay as they are. */
	assert_int_equal(m.out.rflags & ~RFLAGS_ARITH, RFLAGS_ONE);
}

static void exchange_and_compare_exchange(void **state)
{
	(void)state;
	start_64();
	m.device[0] = 5;
	m.gpr[GPR_RCX] = 9;
	m.gpr[GPR_RAX] = 0xffffffff00000004;
	expect_done("\xf0\x0f\xb1\x0f"); /* lock cmpxchg [rdi],ecx: no match */
	expect_log(1, LOG_WRITE, 0, 5, 4);
	assert_int_equal(m.gpr[GPR_RAX], 5);
	assert_int_equal(m.out.rflags & RFLAGS_ZF, 0);
	m.gpr[GPR_RAX] = 0xffffffff00000005;
	expect_done("\xf0\x0f\xb1\x0f");
	expect_log(3, LOG_WRITE, 0, 9, 4);
	assert_int_equal(m.gpr[GPR_RAX], 0xffffffff00000005);
	assert_int_equal(m.out.rflags & RFLAGS_ZF, RFLAGS_ZF);
	m.gpr[GPR_RBX] = ~0ULL;
	expect_done("\x87\x1f"); /* xchg [rdi],ebx */
	expect_log(5, LOG_WRITE, 0, 0xffffffff, 4);
	assert_int_equal(m.gpr[GPR_RBX], 9);
}

static void bit_offsets_reach_beyond_the_operand(void **state)
{
	(void)state;
	start_64();
	m.gpr[GPR_RDI] = DEVICE_BASE + 0x100;
	m.gpr[GPR_RAX] = (u64)-33;
	expect_done("\x0f\xab\x07"); /* bts [rdi],eax */
	expect_log(0, LOG_READ, 0xf8, 0, 4);
	expect_log(1, LOG_WRITE, 0xf8, 0x80000000, 4);
	m.gpr[GPR_RAX] = 100;
	expect_done("\x0f\xab\x07");
	expect_log(3, LOG_WRITE, 0x10c, 0x10, 4);
	expect_done("\x0f\xba\x2f\x64"); /* an immediate wraps: 100 is bit 4 */
	expect_log(5, LOG_WRITE, 0x100, 0x10, 4);
}

static void nothing_there_reads_as_ones(void **state)
{
	(void)state;
	start_64();
	m.gpr[GPR_RDI] = 0xd0000000;
	expect_done("\x8b\x07");
	assert_int_equal(m.gpr[GPR_RAX], 0xffffffff);
	expect_done("\x89\x07");
	expect_done("\x80\x27\x0f"); /* and byte [rdi],0xf */
	assert_int_equal(m.rows, 0);
}

static void addresses_of_every_kind(void **state)
{
	(void)state;
	start_64();
	m.gpr[GPR_RAX] = 0x5a;
	m.gpr[GPR_RCX] = 0x10;
	expect_done("\x88\x44\xcf\x04"); /* [rdi+rcx*8+4] */
	expect_log(0, LOG_WRITE, 0x84, 0x5a, 1);
	m.state.segment[SEG_GS].base = DEVICE_BASE;
	m.state.segment[SEG_DS].base = 0x5000;		 /* does not count in 64-bit mode */
	expect_done("\x65\x88\x04\x25\x20\x00\x00\x00"); /* gs:[0x20] */
	expect_log(1, LOG_WRITE, 0x20, 0x5a, 1);
	m.gpr[GPR_RDI] = 0xffffffff00000000 | DEVICE_BASE;
	expect_done("\x67\x88\x47\x30"); /* [edi+0x30] */
	expect_log(2, LOG_WRITE, 0x30, 0x5a, 1);
	expect_done("\x88\x05\xfa\x0f\x00\x00"); /* [rip+0xffa], from the end of 6 bytes */
	assert_int_equal(m.ram[CODE_AT + 0x1000], 0x5a);
	expect_done("\xc6\x05\xf9\x0f\x00\x00\x77"); /* an immediate counts for its length */
	assert_int_equal(m.ram[CODE_AT + 0x1000], 0x77);

	start_32();
	m.gpr[GPR_RAX] = 0x5a;
	m.state.segment[SEG_DS].base = DEVICE_BASE - 0x1000;
	m.gpr[GPR_RBX] = 0xfffffff0;
	expect_done("\x88\x83\x40\x10\x00\x00"); /* [ebx+0x1040] wraps to 0x1030 */
	expect_log(0, LOG_WRITE, 0x30, 0x5a, 1);

	start_real();
	m.gpr[GPR_RAX] = 0x5a;
	m.gpr[GPR_RBX] = 0xabcdfff0;
	m.gpr[GPR_RSI] = 0x20;
	m.state.segment[SEG_DS].base = DATA_AT;
	expect_done("\x88\x40\x04"); /* [bx+si+4] wraps to 0x14 */
	assert_int_equal(m.ram[DATA_AT + 0x14], 0x5a);
}

static void paging_translates_and_marks(void **state)
{
	(void)state;
	start_paging();
	m.gpr[GPR_RAX] = 0x77;
	expect_done("\x89\x47\x20");
	expect_log(0, LOG_WRITE, 0x20, 0x77, 4);
	assert_int_equal(get(TABLE_PT + (DEVICE_VIRTUAL >> 12) * 8),
			 DEVICE_BASE | RWU | PTE_ACCESSED | PTE_DIRTY);
	assert_int_equal(get(TABLE_PT + (CODE_AT >> 12) * 8), CODE_AT | RWU | PTE_ACCESSED);
}

static void page_faults_come_before_effects(void **state)
{
	(void)state;
	start_paging();
	m.gpr[GPR_RDI] = 0x1ff008;
	expect_exception("\x8b\x07", EXC_PF, 0, 0x1ff008);
	expect_exception("\x89\x07", EXC_PF, PF_WRITE, 0x1ff008);
	expect_exception("\x01\x07", EXC_PF, PF_WRITE, 0x1ff008);
	m.gpr[GPR_RDI] = 0x1ff00f;
	expect_exception("\x8a\x07", EXC_PF, 0, 0x1ff00f);
	m.state.segment[SEG_SS].rights |= SEG_DPL;
	expect_exception("\x89\x07", EXC_PF, PF_WRITE | PF_USER, 0x1ff00f);

	/* A read-only device page: the read half of the update must not happen. */
	start_paging();
	map_page(DEVICE_VIRTUAL, DEVICE_BASE | PTE_PRESENT);
	expect_exception("\x09\x07", EXC_PF, PF_PRESENT | PF_WRITE, DEVICE_VIRTUAL);
	expect_done("\x3b\x07"); /* cmp only reads */
}

static void page_crossing(void **state)
{
	(void)state;
	start_paging();
	m.gpr[GPR_RAX] = 0x8877665544332211;
	m.gpr[GPR_RDI] = 0xdffd;
	map_page(0xd000, 0xd000 | RWU);
	map_page(0xe000, DEVICE_BASE | RWU);
	expect_done("\x48\x89\x07");
	assert_memory_equal(m.ram + 0xdffd, "\x11\x22\x33", 3);
	assert_int_equal(m.rows, 1);
	expect_log(0, LOG_WRITE, 0, 0x8877665544, 5);
	expect_done("\x48\x8b\x0f");
	assert_int_equal(m.gpr[GPR_RCX], 0x8877665544332211);
	/* Half to nowhere reads half of ones. */
	map_page(0xe000, 0xd0000000 | RWU);
	expect_done("\x48\x8b\x0f");
	assert_int_equal(m.gpr[GPR_RCX], 0xffffffffff332211);
	/* The second page faults, at its first byte; nothing reaches the first page. */
	map_page(0xe000, 0);
	expect_exception("\x48\x83\x07\x01", EXC_PF, PF_WRITE, 0xe000);
	expect_exception("\x48\x8b\x07", EXC_PF, 0, 0xe000);
}

static void non_canonical_addresses(void **state)
{
	(void)state;
	start_paging();
	m.gpr[GPR_RDI] = 0x800000000000;
	m.gpr[GPR_RBP] = 0x7fffffffffff;
	expect_exception("\x8b\x07", EXC_GP, 0, 0);
	expect_exception("\x8b\x45\x01", EXC_SS, 0, 0);
	m.state.segment[SEG_FS].base = 0x800000000000;
	m.gpr[GPR_RBP] = 0;
	expect_exception("\x64\x8b\x45\x00", EXC_GP, 0, 0);
	m.gpr[GPR_RSP] = 0x800000000008;
	m.gpr[GPR_RDI] = DATA_AT;
	m.gpr[GPR_RBP] = DATA_AT;
	expect_exception("\xff\x75\x00", EXC_SS, 0, 0); /* push [rbp] */
	expect_exception("\x8f\x07", EXC_SS, 0, 0);
}

static void segment_limits(void **state)
{
	(void)state;
	start_32();
	m.state.segment[SEG_DS].limit = 0x90ff;
	m.state.segment[SEG_SS].limit = 0x90ff;
	m.gpr[GPR_RBX] = m.gpr[GPR_RBP] = 0x90fc;
	expect_done("\x8b\x03");
	m.gpr[GPR_RBX] = m.gpr[GPR_RBP] = 0x90fd;
	expect_exception("\x8b\x03", EXC_GP, 0, 0);
	expect_exception("\x8b\x45\x00", EXC_SS, 0, 0);
	/* Expand-down: valid above the limit only. */
	m.state.segment[SEG_DS].rights |= 4;
	m.gpr[GPR_RBX] = 0x90ff;
	expect_exception("\x8b\x03", EXC_GP, 0, 0);
	m.gpr[GPR_RBX] = 0x9100;
	expect_done("\x8b\x03");
	m.state.segment[SEG_DS].rights &= (u32)~SEG_BIG;
	m.gpr[GPR_RBX] = 0xfffd;
	expect_exception("\x8b\x03", EXC_GP, 0, 0);

	start_real();
	m.gpr[GPR_RBX] = 0xffff;
	expect_exception("\x8b\x07", EXC_GP, 0, 0);
	expect_done("\x8a\x07");
	m.state.segment[SEG_DS].limit = UINT32_MAX; /* "unreal" mode */
	expect_done("\x8b\x07");
}

static void segment_types(void **state)
{
	(void)state;
	start_32();
	m.gpr[GPR_RBX] = DATA_AT;
	m.state.segment[SEG_DS].rights = 0x1 | SEG_CODE | SEG_PRESENT | SEG_BIG; /* read-only */
	expect_done("\x8b\x03");
	expect_exception("\x89\x03", EXC_GP, 0, 0);
	expect_exception("\x01\x03", EXC_GP, 0, 0);
	expect_exception("\x2e\x89\x03", EXC_GP, 0, 0); /* code is never writable */
	expect_done("\x2e\x8b\x03");
	m.state.segment[SEG_CS].rights = 0x9 | SEG_CODE | SEG_PRESENT | SEG_BIG; /* execute-only */
	expect_exception("\x2e\x8b\x03", EXC_GP, 0, 0);
	m.state.segment[SEG_DS].rights = SEG_UNUSABLE;
	expect_exception("\x8b\x03", EXC_GP, 0, 0);
	/* 64-bit mode does not look. */
	start_64();
	m.state.segment[SEG_DS].rights = SEG_UNUSABLE;
	expect_done("\x8b\x07");
	/* Nor does real mode look at types: code is data there. */
	start_real();
	expect_done("\x2e\x89\x1f");
}

static void push_and_pop(void **state)
{
	(void)state;
	start_64();
	m.device[0] = 0x42;
	expect_done("\xff\x37"); /* push [rdi] */
	assert_int_equal(m.gpr[GPR_RSP], STACK_AT - 8);
	assert_int_equal(get(STACK_AT - 8), 0x42);
	expect_log(0, LOG_READ, 0, 0x42, 8);
	expect_done("\x8f\x47\x10"); /* pop [rdi+0x10] */
	assert_int_equal(m.gpr[GPR_RSP], STACK_AT);
	expect_log(1, LOG_WRITE, 0x10, 0x42, 8);
	expect_done("\x8f\x04\x24"); /* pop [rsp]: the address counts from the new top */
	assert_int_equal(get(STACK_AT + 8), get(STACK_AT));

	start_32();
	m.state.segment[SEG_SS].rights &= (u32)~SEG_BIG; /* a 16-bit stack wraps */
	m.gpr[GPR_RSP] = 0xabcd0000;
	m.gpr[GPR_RBX] = DATA_AT;
	m.state.segment[SEG_SS].limit = 0xffff;
	expect_done("\xff\x33");
	assert_int_equal(m.gpr[GPR_RSP], 0xabcdfffc);
}

static void faulting_pop_keeps_the_stack_pointer(void **state)
{
	(void)state;
	start_paging();
	m.gpr[GPR_RDI] = 0x1ff000;
	expect_exception("\x8f\x07", EXC_PF, PF_WRITE, 0x1ff000);
	expect_exception("\xff\x37", EXC_PF, 0, 0x1ff000);
	m.gpr[GPR_RSP] = 0x1ff000;
	m.gpr[GPR_RDI] = DEVICE_VIRTUAL;
	expect_exception("\xff\x37", EXC_PF, PF_WRITE, 0x1feff8); /* the device is not read */
	expect_exception("\x8f\x07", EXC_PF, 0, 0x1ff000);
}

static void string_moves(void **state)
{
	(void)state;
	start_64();
	memcpy(m.ram + DATA_AT, "abcdefgh", 8);
	m.gpr[GPR_RCX] = 2;
	expect_done("\xf3\xa5"); /* rep movsd */
	expect_log(0, LOG_WRITE, 0, 0x64636261, 4);
	expect_log(1, LOG_WRITE, 4, 0x68676665, 4);
	assert_int_equal(m.gpr[GPR_RCX], 0);
	assert_int_equal(m.gpr[GPR_RDI], DEVICE_BASE + 8);
	assert_int_equal(m.gpr[GPR_RSI], DATA_AT + 8);
	assert_false(m.out.sets_rflags);

	m.gpr[GPR_RCX] = 7;
	expect_done("\xa4"); /* no REP: the count does not matter */
	assert_int_equal(m.gpr[GPR_RCX], 7);
	assert_int_equal(m.rows, 3);

	m.state.rflags |= RFLAGS_DF;
	m.gpr[GPR_RSI] = DEVICE_BASE + 4;
	m.gpr[GPR_RDI] = DATA_AT + 0x104;
	m.gpr[GPR_RCX] = 2;
	expect_done("\xf3\xa5");
	assert_memory_equal(m.ram + DATA_AT + 0x100, "abcdefgh", 8);
	assert_int_equal(m.gpr[GPR_RSI], DEVICE_BASE - 4);

	m.gpr[GPR_RCX] = 0;
	expect_done("\xf3\xa5");
	assert_int_equal(m.gpr[GPR_RSI], DEVICE_BASE - 4);
	assert_int_equal(m.rows, 5);
}

static void string_address_sizes(void **state)
{
	(void)state;
	start_64();
	m.gpr[GPR_RCX] = 0xffffffff00000002;
	m.gpr[GPR_RDI] = 0xaaaaaaaa00000000 | DEVICE_BASE;
	expect_done("\x67\xf3\xaa"); /* rep stosb with 32-bit addresses */
	assert_int_equal(m.rows, 2);
	assert_int_equal(m.gpr[GPR_RCX], 0);
	assert_int_equal(m.gpr[GPR_RDI], DEVICE_BASE + 2);

	start_real();
	m.gpr[GPR_RCX] = 0x70002;
	m.gpr[GPR_RDI] = 0x5ffff;
	m.state.segment[SEG_ES].base = 0;
	expect_done("\xf3\xaa");
	assert_int_equal(m.gpr[GPR_RCX], 0x70000);
	assert_int_equal(m.gpr[GPR_RDI], 0x50001); /* wraps in 16 bits */
}

static void string_compares(void **state)
{
	(void)state;
	start_64();
	m.state.rflags |= RFLAGS_CF | RFLAGS_ZF;
	memcpy(m.ram + DATA_AT, "aaab", 4);
	memcpy(m.device, "aaaa", 4);
	m.gpr[GPR_RCX] = 10;
	expect_done("\xf3\xa6"); /* repe cmpsb ends at 'b' against 'a' */
	assert_int_equal(m.gpr[GPR_RCX], 6);
	assert_true(m.out.sets_rflags);
	assert_int_equal(m.out.rflags & (RFLAGS_ZF | RFLAGS_CF), 0);
	assert_int_equal(m.gpr[GPR_RSI], DATA_AT + 4);

	m.gpr[GPR_RDI] = DEVICE_BASE;
	memcpy(m.device, "xyz!", 4);
	m.gpr[GPR_RAX] = 'z';
	m.gpr[GPR_RCX] = 10;
	expect_done("\xf2\xae"); /* repne scasb ends at 'z' */
	assert_int_equal(m.gpr[GPR_RCX], 7);
	assert_int_equal(m.out.rflags & RFLAGS_ZF, RFLAGS_ZF);

	m.gpr[GPR_RDI] = DEVICE_BASE;
	m.gpr[GPR_RCX] = 2;
	expect_done("\xf2\xae"); /* the count runs out */
	assert_int_equal(m.gpr[GPR_RCX], 0);
	assert_int_equal(m.out.rflags & RFLAGS_ZF, 0);
}

static void long_repetition_comes_in_batches(void **state)
{
	u64 count = 2 * EMUL_BATCH + 3;

	(void)state;
	start_64();
	m.gpr[GPR_RCX] = count;
	assert_int_equal(RUN("\xf3\xaa"), EMUL_AGAIN);
	assert_int_equal(m.gpr[GPR_RCX], count - EMUL_BATCH);
	assert_int_equal(m.rows, EMUL_BATCH);
	assert_int_equal(RUN("\xf3\xaa"), EMUL_AGAIN);
	assert_int_equal(RUN("\xf3\xaa"), EMUL_DONE);
	assert_int_equal(m.gpr[GPR_RDI], DEVICE_BASE + count);
	assert_int_equal(m.rows, count);

	m.gpr[GPR_RDI] = DEVICE_BASE;
	m.gpr[GPR_RCX] = EMUL_BATCH;
	expect_done("\xf3\xaa");
}

static void string_fault_keeps_what_is_done(void **state)
{
	(void)state;
	start_paging();
	m.state.rflags |= RFLAGS_CF;
	m.gpr[GPR_RDI] = DEVICE_VIRTUAL + 0xff8;
	m.gpr[GPR_RCX] = 5;
	m.gpr[GPR_RAX] = 0x12345678;
	assert_int_equal(RUN("\xf3\xab"), EMUL_EXCEPTION); /* rep stosd */
	assert_int_equal(m.out.exception.vector, EXC_PF);
	assert_int_equal(m.out.exception.error_code, PF_WRITE);
	assert_int_equal(m.out.exception.cr2, DEVICE_VIRTUAL + 0x1000);
	assert_int_equal(m.gpr[GPR_RCX], 3);
	assert_int_equal(m.gpr[GPR_RDI], DEVICE_VIRTUAL + 0x1000);
	assert_int_equal(m.rows, 2);
	/* The guest maps the page and runs the instruction again. */
	map_page(DEVICE_VIRTUAL + 0x1000, 0xf000 | RWU);
	expect_done("\xf3\xab");
	assert_int_equal(m.gpr[GPR_RCX], 0);
	assert_memory_equal(m.ram + 0xf008, "\x78\x56\x34\x12", 4);
}

/* MOVS must not read a device before it knows that it can write. */
static void string_maps_both_sides_first(void **state)
{
	(void)state;
	start_paging();
	m.gpr[GPR_RSI] = DEVICE_VIRTUAL;
	m.gpr[GPR_RDI] = 0x1ff000;
	m.gpr[GPR_RDX] = 0x1f0;
	m.gpr[GPR_RCX] = 1;
	expect_exception("\xa5", EXC_PF, PF_WRITE, 0x1ff000);
	expect_exception("\xf3\x6d", EXC_PF, PF_WRITE, 0x1ff000); /* rep insd: no port read */
	m.gpr[GPR_RSI] = 0x1ff000;
	expect_exception("\x6e", EXC_PF, 0, 0x1ff000); /* outsb: no port write */
}

static void string_ports(void **state)
{
	(void)state;
	start_64();
	m.port_value = 0x11110000;
	m.gpr[GPR_RDX] = 0xabc01f0;
	m.gpr[GPR_RDI] = DATA_AT;
	m.gpr[GPR_RCX] = 3;
	expect_done("\xf3\x66\x6d"); /* rep insw */
	assert_int_equal(m.rows, 3);
	expect_log(2, LOG_IN, 0x01f0, 0x11110002, 2);
	assert_memory_equal(m.ram + DATA_AT, "\0\0\1\0\2\0\0\0", 8);
	assert_int_equal(m.gpr[GPR_RDI], DATA_AT + 6);

	m.state.segment[SEG_FS].base = DATA_AT;
	m.gpr[GPR_RSI] = 2;
	m.gpr[GPR_RCX] = 1;
	expect_done("\x64\xf3\x6f"); /* rep outsd from fs */
	expect_log(3, LOG_OUT, 0x01f0, 0x00020001, 4);
	assert_int_equal(m.gpr[GPR_RSI], 6);
	expect_done("\x6e");
	expect_log(4, LOG_OUT, 0x01f0, m.ram[6], 1);
}

static void undefined_and_overlong(void **state)
{
	(void)state;
	start_64();
	expect_exception("\xf0\x8b\x07", EXC_UD, 0, 0);
	expect_exception("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x8b\x07",
			 EXC_GP, 0, 0);
}

static void unsupported_says_what(void **state)
{
	(void)state;
	start_64();
	assert_int_equal(RUN("\xf3\x0f\x6f\x07"), EMUL_UNSUPPORTED);
	assert_non_null(strstr(m.out.reason, "vector"));
	assert_int_equal(m.out.insn_length, 4);
	assert_true(m.out.byte_count >= 4);
	assert_memory_equal(m.out.bytes, "\xf3\x0f\x6f\x07", 4);
	assert_int_equal(m.rows, 0);
}

static void fetch_stops_at_a_page_that_is_not_needed(void **state)
{
	(void)state;
	start_paging();
	map_page(0x9000, 0);
	m.state.rip = 0x8ffe;
	expect_done("\x89\x07");
	m.state.rip = 0x8fff;
	assert_int_equal(RUN("\x89"), EMUL_EXCEPTION);
	assert_int_equal(m.out.exception.vector, EXC_PF);
	assert_int_equal(m.out.exception.error_code, PF_FETCH);
	assert_int_equal(m.out.exception.cr2, 0x9000);
	/* Across two pages that lie apart in memory. */
	map_page(0x9000, 0xc000 | RWU);
	m.ram[0xc000] = 0x07;
	assert_int_equal(RUN("\x89"), EMUL_DONE);
	assert_int_equal(m.out.insn_length, 2);
	map_page(0x9000, 0xc000 | RWU | PTE_NX);
	assert_int_equal(RUN("\x89"), EMUL_EXCEPTION);
	assert_int_equal(m.out.exception.error_code, PF_FETCH | PF_PRESENT);
}

static void fetch_obeys_the_code_limit(void **state)
{
	(void)state;
	start_real();
	m.state.segment[SEG_CS].base = 0x100;
	m.state.segment[SEG_CS].limit = 0x7fff;
	m.state.rip = 0x7ffe;
	m.gpr[GPR_RBX] = DATA_AT;
	expect_done("\x8a\x07");
	expect_exception("\x8b\x47\x01", EXC_GP, 0, 0);
	m.state.rip = 0x7fff;
	expect_done("\xaa");
	m.state.rip = 0x8000;
	expect_exception("\xaa", EXC_GP, 0, 0);
}

static void smap_and_alignment_flag(void **state)
{
	(void)state;
	start_paging();
	m.state.cr4 |= CR4_SMAP;
	expect_exception("\x89\x07", EXC_PF, PF_PRESENT | PF_WRITE, DEVICE_VIRTUAL);
	m.state.rflags |= RFLAGS_AC;
	expect_done("\x89\x07");
	m.state.rflags = RFLAGS_ONE;
	m.state.segment[SEG_SS].rights |= SEG_DPL;
	expect_done("\x89\x07");
}

static void virtual_8086_is_a_user(void **state)
{
	(void)state;
	start_real();
	m.state.cr0 = CR0_PE | CR0_PG;
	m.state.cr3 = 0x1000;
	m.state.rflags |= RFLAGS_VM;
	memset(m.ram + 0x1000, 0, 0x1000);
	put(0x1000, 0x2000 | RWU);
	put(0x2000 + (CODE_AT >> 12) * 4, CODE_AT | RWU);
	m.gpr[GPR_RBX] = 0xc004;
	expect_exception("\x89\x07", EXC_PF, PF_WRITE | PF_USER, 0xc004);
	/* Linear addresses wrap in 32 bits, the reported one too. */
	m.state.segment[SEG_DS].base = 0xffffffff;
	expect_exception("\x89\x07", EXC_PF, PF_WRITE | PF_USER, 0xc003);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stores_reach_the_device_once),
		cmocka_unit_test(loads_extend_as_the_size_demands),
		cmocka_unit_test(arithmetic_reads_once_and_writes_once),
		cmocka_unit_test(exchange_and_compare_exchange),
		cmocka_unit_test(bit_offsets_reach_beyond_the_operand),
		cmocka_unit_test(nothing_there_reads_as_ones),
		cmocka_unit_test(addresses_of_every_kind),
		cmocka_unit_test(paging_translates_and_marks),
		cmocka_unit_test(page_faults_come_before_effects),
		cmocka_unit_test(page_crossing),
		cmocka_unit_test(non_canonical_addresses),
		cmocka_unit_test(segment_limits),
		cmocka_unit_test(segment_types),
		cmocka_unit_test(push_and_pop),
		cmocka_unit_test(faulting_pop_keeps_the_stack_pointer),
		cmocka_unit_test(string_moves),
		cmocka_unit_test(string_address_sizes),
		cmocka_unit_test(string_compares),
		cmocka_unit_test(long_repetition_comes_in_batches),
		cmocka_unit_test(string_fault_keeps_what_is_done),
		cmocka_unit_test(string_maps_both_sides_first),
		cmocka_unit_test(string_ports),
		cmocka_unit_test(undefined_and_overlong),
		cmocka_unit_test(unsupported_says_what),
		cmocka_unit_test(fetch_stops_at_a_page_that_is_not_needed),
		cmocka_unit_test(fetch_obeys_the_code_limit),
		cmocka_unit_test(smap_and_alignment_flag),
		cmocka_unit_test(virtual_8086_is_a_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
