#define _GNU_SOURCE
/*
 * The emulator against the processor that runs this test: random 64-bit instructions with random
 * registers, flags and memory must leave the same registers, flags and memory in both.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "lib/x86/registers.h"
#include "vmm/emul/emul.h"

/* Guest and host see the same bytes at the same low address. */
#define DATA_BASE  0x20000000ULL
#define DATA_BYTES 8192ULL
#define DATA_HALF  (DATA_BASE + DATA_BYTES / 2)
#define CODE_BASE  0x30000000ULL
#define CODE_BYTES 4096ULL
#define ROUNDS	   400

struct host_cpu {
	u64 gpr[GPR_COUNT];
	u64 rflags;
};

extern struct host_cpu host_cpu;
extern void host_run(void);
extern u8 host_back[];
struct host_cpu host_cpu;
u64 host_stack, host_code = CODE_BASE;

/* Loads every register, jumps to the code page, and is jumped back to. */
__asm__(".pushsection .text\n"
	"host_run:\n"
	"	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
	"	pushq host_cpu+128(%rip); popfq\n"
	"	mov %rsp, host_stack(%rip)\n"
	"	mov host_cpu+0(%rip), %rax;   mov host_cpu+8(%rip), %rcx\n"
	"	mov host_cpu+16(%rip), %rdx;  mov host_cpu+24(%rip), %rbx\n"
	"	mov host_cpu+32(%rip), %rsp;  mov host_cpu+40(%rip), %rbp\n"
	"	mov host_cpu+48(%rip), %rsi;  mov host_cpu+56(%rip), %rdi\n"
	"	mov host_cpu+64(%rip), %r8;   mov host_cpu+72(%rip), %r9\n"
	"	mov host_cpu+80(%rip), %r10;  mov host_cpu+88(%rip), %r11\n"
	"	mov host_cpu+96(%rip), %r12;  mov host_cpu+104(%rip), %r13\n"
	"	mov host_cpu+112(%rip), %r14; mov host_cpu+120(%rip), %r15\n"
	"	jmp *host_code(%rip)\n"
	"host_back:\n"
	"	mov %rax, host_cpu+0(%rip);   mov %rcx, host_cpu+8(%rip)\n"
	"	mov %rdx, host_cpu+16(%rip);  mov %rbx, host_cpu+24(%rip)\n"
	"	mov %rsp, host_cpu+32(%rip);  mov %rbp, host_cpu+40(%rip)\n"
	"	mov %rsi, host_cpu+48(%rip);  mov %rdi, host_cpu+56(%rip)\n"
	"	mov %r8, host_cpu+64(%rip);   mov %r9, host_cpu+72(%rip)\n"
	"	mov %r10, host_cpu+80(%rip);  mov %r11, host_cpu+88(%rip)\n"
	"	mov %r12, host_cpu+96(%rip);  mov %r13, host_cpu+104(%rip)\n"
	"	mov %r14, host_cpu+112(%rip); mov %r15, host_cpu+120(%rip)\n"
	"	mov host_stack(%rip), %rsp\n"
	"	pushfq; popq host_cpu+128(%rip)\n"
	"	cld\n"
	"	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"	ret\n"
	".popsection\n");
static_assert(offsetof(struct host_cpu, rflags) == 128, "used in the assembly");

static u64 random_state = 0x9e3779b97f4a7c15ULL;

static u64 random_u64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static u64 random_below(u64 limit)
{
	return random_u64() % limit;
}

/* Operands near the edges matter most. */
static u64 random_operand(void)
{
	static const u64 edges[] = { 0,	     1,	     0x7f,	 0x80,	     0xff,
				     0x7fff, 0x8000, 0x7fffffff, 0x80000000, 0x7fffffffffffffff,
				     ~0ULL };

	return random_below(2) != 0 ? random_u64() : edges[random_below(ARRAY_SIZE(edges))];
}

enum shape { SHAPE_MODRM, SHAPE_IMM8, SHAPE_IMM, SHAPE_STRING, SHAPE_STACK };

/* What the manual leaves undefined is not compared. */
#define UNDEFINED_LOGIC RFLAGS_AF
#define UNDEFINED_BITS	(RFLAGS_OF | RFLAGS_SF | RFLAGS_AF | RFLAGS_PF)
#define COUNTED		BIT64(63) /* depends on the shift count */

struct host_row {
	const char *name;
	u8 opcode[3];
	u8 opcode_bytes;
	u8 shape;
	s8 group; /* ModRM.reg, or -1 */
	bool byte;
	u64 undefined;
};

#define ONE(name, op, shape, group, byte, undefined)           \
	{                                                      \
		name, { op }, 1, shape, group, byte, undefined \
	}
#define TWO(name, op, shape, group, byte, undefined)                 \
	{                                                            \
		name, { 0x0f, op }, 2, shape, group, byte, undefined \
	}
#define BOTH(name, op, shape, group, undefined)               \
	ONE(name " byte", op, shape, group, true, undefined), \
		ONE(name, (op) + 1, shape, group, false, undefined)
#define ARITHMETIC(name, op, undefined)                                             \
	BOTH(name, op, SHAPE_MODRM, -1, undefined),                                 \
		BOTH(name " load", (op) + 2, SHAPE_MODRM, -1, undefined),           \
		ONE(name " imm byte", 0x80, SHAPE_IMM8, (op) / 8, true, undefined), \
		ONE(name " imm", 0x81, SHAPE_IMM, (op) / 8, false, undefined),      \
		ONE(name " imm8", 0x83, SHAPE_IMM8, (op) / 8, false, undefined)
#define SHIFT(name, reg, undefined)                                   \
	BOTH(name " imm", 0xc0, SHAPE_IMM8, reg, undefined),          \
		BOTH(name " one", 0xd0, SHAPE_MODRM, reg, undefined), \
		BOTH(name " cl", 0xd2, SHAPE_MODRM, reg, undefined)

static const struct host_row rows[] = {
	ARITHMETIC("add", 0x00, 0),
	ARITHMETIC("or", 0x08, UNDEFINED_LOGIC),
	ARITHMETIC("adc", 0x10, 0),
	ARITHMETIC("sbb", 0x18, 0),
	ARITHMETIC("and", 0x20, UNDEFINED_LOGIC),
	ARITHMETIC("sub", 0x28, 0),
	ARITHMETIC("xor", 0x30, UNDEFINED_LOGIC),
	ARITHMETIC("cmp", 0x38, 0),
	ONE("movsxd", 0x63, SHAPE_MODRM, -1, false, 0),
	BOTH("test", 0x84, SHAPE_MODRM, -1, UNDEFINED_LOGIC),
	BOTH("xchg", 0x86, SHAPE_MODRM, -1, 0),
	BOTH("mov store", 0x88, SHAPE_MODRM, -1, 0),
	BOTH("mov load", 0x8a, SHAPE_MODRM, -1, 0),
	ONE("mov imm byte", 0xc6, SHAPE_IMM8, 0, true, 0),
	ONE("mov imm", 0xc7, SHAPE_IMM, 0, false, 0),
	ONE("test imm byte", 0xf6, SHAPE_IMM8, 0, true, UNDEFINED_LOGIC),
	ONE("test imm", 0xf7, SHAPE_IMM, 0, false, UNDEFINED_LOGIC),
	BOTH("not", 0xf6, SHAPE_MODRM, 2, 0),
	BOTH("neg", 0xf6, SHAPE_MODRM, 3, 0),
	BOTH("inc", 0xfe, SHAPE_MODRM, 0, 0),
	BOTH("dec", 0xfe, SHAPE_MODRM, 1, 0),
	SHIFT("rol", 0, COUNTED),
	SHIFT("ror", 1, COUNTED),
	SHIFT("rcl", 2, COUNTED),
	SHIFT("rcr", 3, COUNTED),
	SHIFT("shl", 4, COUNTED | UNDEFINED_LOGIC),
	SHIFT("shr", 5, COUNTED | UNDEFINED_LOGIC),
	SHIFT("sar", 7, COUNTED | UNDEFINED_LOGIC),
	TWO("bt", 0xa3, SHAPE_MODRM, -1, false, UNDEFINED_BITS),
	TWO("bts", 0xab, SHAPE_MODRM, -1, false, UNDEFINED_BITS),
	TWO("btr", 0xb3, SHAPE_MODRM, -1, false, UNDEFINED_BITS),
	TWO("btc", 0xbb, SHAPE_MODRM, -1, false, UNDEFINED_BITS),
	TWO("bt imm", 0xba, SHAPE_IMM8, 4, false, UNDEFINED_BITS),
	TWO("bts imm", 0xba, SHAPE_IMM8, 5, false, UNDEFINED_BITS),
	TWO("btr imm", 0xba, SHAPE_IMM8, 6, false, UNDEFINED_BITS),
	TWO("btc imm", 0xba, SHAPE_IMM8, 7, false, UNDEFINED_BITS),
	TWO("cmpxchg byte", 0xb0, SHAPE_MODRM, -1, true, 0),
	TWO("cmpxchg", 0xb1, SHAPE_MODRM, -1, false, 0),
	TWO("xadd byte", 0xc0, SHAPE_MODRM, -1, true, 0),
	TWO("xadd", 0xc1, SHAPE_MODRM, -1, false, 0),
	TWO("movzx 8", 0xb6, SHAPE_MODRM, -1, false, 0),
	TWO("movzx 16", 0xb7, SHAPE_MODRM, -1, false, 0),
	TWO("movsx 8", 0xbe, SHAPE_MODRM, -1, false, 0),
	TWO("movsx 16", 0xbf, SHAPE_MODRM, -1, false, 0),
	BOTH("movs", 0xa4, SHAPE_STRING, -1, 0),
	BOTH("cmps", 0xa6, SHAPE_STRING, -1, 0),
	BOTH("stos", 0xaa, SHAPE_STRING, -1, 0),
	BOTH("lods", 0xac, SHAPE_STRING, -1, 0),
	BOTH("scas", 0xae, SHAPE_STRING, -1, 0),
	ONE("push", 0xff, SHAPE_STACK, 6, false, 0),
	ONE("pop", 0x8f, SHAPE_STACK, 0, false, 0),
};

struct trial {
	u8 code[32];
	u8 length;
	u8 base, index, reg; /* as encoded, REX included */
	s64 offset;	     /* displacement plus scaled index that the base register undoes */
	u64 shift_count;
	bool is_bits;
};

static void emit(struct trial *t, u64 value, unsigned bytes)
{
	memcpy(t->code + t->length, &value, bytes);
	t->length = (u8)(t->length + bytes);
}

static bool row_has_lock(const struct host_row *row)
{
	return strcmp(row->name, "xchg") == 0 || strcmp(row->name, "xadd") == 0 ||
	       strcmp(row->name, "inc byte") == 0 || strcmp(row->name, "btc imm") == 0 ||
	       strcmp(row->name, "cmpxchg") == 0 || strcmp(row->name, "add") == 0;
}

/* Prefixes, opcode; the REX bits that ModRM will need are given. */
static unsigned emit_opcode(struct trial *t, const struct host_row *row, u8 rex_bits)
{
	bool operand_prefix = !row->byte && random_below(3) == 0;
	bool wide = random_below(3) == 0;
	u8 rex = (u8)(rex_bits | (wide ? 8 : 0));

	if (operand_prefix)
		emit(t, 0x66, 1);
	if (row->shape == SHAPE_STRING && random_below(3) != 0)
		emit(t, random_below(2) != 0 ? 0xf2 : 0xf3, 1);
	if (row_has_lock(row) && random_below(2) != 0)
		emit(t, 0xf0, 1);
	if (rex != 0 || random_below(4) == 0)
		emit(t, 0x40U | rex, 1);
	for (unsigned i = 0; i < row->opcode_bytes; i++)
		emit(t, row->opcode[i], 1);
	return row->byte ? 1 : wide ? 8 : operand_prefix ? 2 : 4;
}

/* A memory operand with a base register, with or without an index and displacement. */
static void emit_memory(struct trial *t, s64 *index_value)
{
	bool sib = (t->base & 7) == GPR_RSP || t->index != GPR_RSP;
	u8 mod = (t->base & 7) == GPR_RBP ? (u8)(1 + random_below(2)) : (u8)random_below(3);
	u8 scale = sib ? (u8)random_below(4) : 0;
	s64 displacement;

	if (t->base == GPR_RSP) /* the stack stays in the data */
		mod &= 1;
	displacement = mod == 0 ? 0 : mod == 1 ? (s8)random_u64() : (s32)random_u64();

	emit(t, (u64)(mod << 6 | (t->reg & 7) << 3 | (sib ? 4 : t->base & 7)), 1);
	if (sib)
		emit(t, (u64)(scale << 6 | (t->index & 7) << 3 | (t->base & 7)), 1);
	if (mod != 0)
		emit(t, (u64)displacement, mod == 1 ? 1 : 4);
	*index_value = t->index == GPR_RSP ? 0 : (s64)random_below(256) - 128;
	t->offset = displacement + *index_value * (1 << scale);
}

static u8 register_other_than(u8 a, u8 b)
{
	u8 reg;

	do
		reg = (u8)random_below(GPR_COUNT);
	while (reg == a || reg == b || reg == GPR_RSP);
	return reg;
}

/* RAX and RCX have a part in some instructions that would spoil the address. */
static u8 pointer_register(u8 other)
{
	u8 reg;

	do
		reg = register_other_than(GPR_RAX, GPR_RCX);
	while (reg == other);
	return reg;
}

static void trial_make(struct trial *t, const struct host_row *row, struct host_cpu *cpu)
{
	unsigned size;
	s64 index_value = 0;
	u8 rex;

	*t = (struct trial){ .index = GPR_RSP };
	for (unsigned i = 0; i < GPR_COUNT; i++)
		cpu->gpr[i] = random_operand();
	cpu->rflags = (random_u64() & (RFLAGS_ARITH | RFLAGS_DF)) | RFLAGS_ONE | RFLAGS_IF;
	cpu->gpr[GPR_RSP] = DATA_BASE + 256 + random_below(64) * 8;
	if (row->shape == SHAPE_STRING) {
		(void)emit_opcode(t, row, 0);
		cpu->gpr[GPR_RSI] = DATA_HALF + random_below(512) - 256;
		cpu->gpr[GPR_RDI] = DATA_HALF + random_below(512) - 256;
		cpu->gpr[GPR_RCX] = random_below(24);
		return;
	}
	t->is_bits = strncmp(row->name, "bt", 2) == 0 && row->group < 0;
	t->base = row->shape == SHAPE_STACK && random_below(3) == 0 ? (u8)GPR_RSP
								    : pointer_register(GPR_RSP);
	if (random_below(2) != 0)
		t->index = pointer_register(t->base);
	t->reg = row->group >= 0 ? (u8)row->group : register_other_than(t->base, t->index);
	rex = (u8)((t->reg >= 8 ? 4 : 0) | (t->index >= 8 ? 2 : 0) | (t->base >= 8 ? 1 : 0));
	size = emit_opcode(t, row, rex);
	emit_memory(t, &index_value);
	if (t->index != GPR_RSP)
		cpu->gpr[t->index] = (u64)index_value;
	if (t->is_bits)
		cpu->gpr[t->reg] = field_set(BITS64(size * 8 - 1, 0), cpu->gpr[t->reg],
					     random_below(4096) - 2048);
	cpu->gpr[t->base] = DATA_HALF + random_below(64) - 32 - (u64)t->offset;
	if (row->shape == SHAPE_IMM8)
		emit(t, t->shift_count = random_u64() & 0xff, 1);
	if (row->shape == SHAPE_IMM)
		emit(t, random_operand(), size > 4 ? 4 : size);
}

static u64 undefined_flags(const struct host_row *row, const struct trial *t, u64 cl, unsigned size)
{
	u64 count;

	if ((row->undefined & COUNTED) == 0)
		return row->undefined;
	count = row->shape == SHAPE_IMM8 ? t->shift_count : strstr(row->name, "cl") ? cl : 1;
	count &= size == 8 ? 63 : 31;
	if (count == 0)
		return 0;
	if (count == 1)
		return row->undefined & ~COUNTED;
	return (row->undefined & ~COUNTED) | RFLAGS_OF | (count > size * 8 ? RFLAGS_CF : 0);
}

static bool identity_read(void *owner, gpa_t gpa, void *data, unsigned bytes)
{
	u8 *const *ram = owner;

	if (gpa.raw >= CODE_BASE && gpa.raw + bytes <= CODE_BASE + CODE_BYTES) {
		memcpy(data, (const void *)gpa.raw, bytes);
		return true;
	}
	assert_true(gpa.raw >= DATA_BASE && gpa.raw + bytes <= DATA_BASE + DATA_BYTES);
	memcpy(data, *ram + (gpa.raw - DATA_BASE), bytes);
	return true;
}

static bool identity_write(void *owner, gpa_t gpa, const void *data, unsigned bytes)
{
	u8 *const *ram = owner;

	assert_true(gpa.raw >= DATA_BASE && gpa.raw + bytes <= DATA_BASE + DATA_BYTES);
	memcpy(*ram + (gpa.raw - DATA_BASE), data, bytes);
	return true;
}

static bool no_swap(void *owner, gpa_t gpa, u64 *expected, u64 desired, unsigned bytes)
{
	(void)owner, (void)gpa, (void)expected, (void)desired, (void)bytes;
	return false;
}

static u8 emulated[DATA_BYTES], *emulated_ram = emulated;

/* Runs the trial in the emulator on its copy of the data. */
static void emulate(struct host_cpu *cpu, struct emul_outcome *outcome)
{
	const struct emul_env env = {
		.memory = { &emulated_ram, identity_read, identity_write, no_swap },
	};
	struct vcpu_state state = {
		.rip = CODE_BASE, .rflags = cpu->rflags, .cr0 = CR0_PE, .efer = EFER_LMA
	};
	struct emul emul = { &state, cpu->gpr, &env, 40 };

	state.segment[SEG_CS].rights = SEG_LONG | SEG_PRESENT | SEG_CODE;
	memcpy(emulated, (const void *)DATA_BASE, DATA_BYTES);
	assert_int_equal(emul_step(&emul, outcome), EMUL_DONE);
	if (outcome->sets_rflags)
		cpu->rflags = outcome->rflags;
}

/* Puts the trial's code before a jump back. */
static void host_prepare(const struct trial *t)
{
	static const u8 jump[6] = { 0xff, 0x25 }; /* to the address that follows */
	u8 *code = (u8 *)CODE_BASE;
	u64 back = (u64)host_back;

	memcpy(code, t->code, t->length);
	memcpy(code + t->length, jump, sizeof(jump));
	memcpy(code + t->length + sizeof(jump), &back, sizeof(back));
}

static void show(const struct host_row *row, const struct trial *t)
{
	print_message("%s:", row->name);
	for (unsigned i = 0; i < t->length; i++)
		print_message(" %02x", t->code[i]);
	print_message("\n");
}

static unsigned operand_bytes(const struct host_row *row, const struct trial *t)
{
	unsigned i = 0;
	unsigned size = 4;

	for (; t->code[i] == 0x66 || t->code[i] == 0xf0; i++)
		if (t->code[i] == 0x66)
			size = 2;
	if ((t->code[i] & 0xf8) == 0x48)
		size = 8;
	return row->byte ? 1 : size;
}

static void compare(const struct host_row *row)
{
	struct trial t;
	struct host_cpu cpu, before;
	struct emul_outcome outcome;
	u64 undefined;

	trial_make(&t, row, &cpu);
	for (u64 i = 0; i < DATA_BYTES; i += 8)
		*(u64 *)(DATA_BASE + i) = random_operand();
	if (row->shape == SHAPE_STRING && random_below(2) != 0)
		memset((void *)DATA_BASE, (int)cpu.gpr[GPR_RAX], DATA_BYTES);
	if (strncmp(row->name, "cmpxchg", 7) == 0 && random_below(2) != 0)
		memcpy(&cpu.gpr[GPR_RAX], (const void *)(cpu.gpr[t.base] + (u64)t.offset), 8);
	host_prepare(&t);
	before = host_cpu = cpu;
	emulate(&cpu, &outcome);
	host_run();

	undefined = undefined_flags(row, &t, before.gpr[GPR_RCX], operand_bytes(row, &t));
	if (outcome.insn_length != t.length ||
	    memcmp(cpu.gpr, host_cpu.gpr, sizeof(cpu.gpr)) != 0 ||
	    ((cpu.rflags ^ host_cpu.rflags) & RFLAGS_ARITH & ~undefined) != 0 ||
	    memcmp(emulated, (const void *)DATA_BASE, DATA_BYTES) != 0) {
		show(row, &t);
		for (unsigned i = 0; i < GPR_COUNT; i++)
			print_message("%2u: %016lx -> %016lx host %016lx\n", i, before.gpr[i],
				      cpu.gpr[i], host_cpu.gpr[i]);
		print_message("fl: %lx -> %lx host %lx\n", before.rflags, cpu.rflags,
			      host_cpu.rflags);
		fail();
	}
}

static void same_as_host(void **state)
{
	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
			compare(&rows[i]);
}

static void conditions_same_as_host(void **state)
{
	static struct host_row set = TWO("setcc", 0, SHAPE_MODRM, 0, true, 0);
	static struct host_row cmov = TWO("cmovcc", 0, SHAPE_MODRM, -1, false, 0);

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (u8 condition = 0; condition < 16; condition++) {
			set.opcode[1] = 0x90 | condition;
			compare(&set);
			cmov.opcode[1] = 0x40 | condition;
			compare(&cmov);
		}
	}
}

static void same_as_host_if_supported(void **state)
{
	static const struct host_row rows_0f38[] = {
		{ "movbe load", { 0x0f, 0x38, 0xf0 }, 3, SHAPE_MODRM, -1, false, 0 },
		{ "movbe store", { 0x0f, 0x38, 0xf1 }, 3, SHAPE_MODRM, -1, false, 0 },
	};
	u32 eax = CPUID_FEATURES, ebx, ecx = 0, edx;

	(void)state;
	__asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	if ((ecx & CPUID_1_ECX_MOVBE) == 0)
		skip();
	for (unsigned round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < ARRAY_SIZE(rows_0f38); i++)
			compare(&rows_0f38[i]);
}

static int map_low_pages(void **state)
{
	const int fixed = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
	void *data = mmap((void *)DATA_BASE, DATA_BYTES, PROT_READ | PROT_WRITE, fixed, -1, 0);
	void *code = mmap((void *)CODE_BASE, CODE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC, fixed,
			  -1, 0);

	(void)state;
	return data == MAP_FAILED || code == MAP_FAILED;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_as_host),
		cmocka_unit_test(conditions_same_as_host),
		cmocka_unit_test(same_as_host_if_supported),
	};

	return cmocka_run_group_tests(tests, map_low_pages, NULL);
}
