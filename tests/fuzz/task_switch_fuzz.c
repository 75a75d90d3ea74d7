/*
 * A task switch over random memory: TSSs, descriptors and page tables are what the input says. A
 * refusal changes nothing but accessed and dirty bits, and what comes out otherwise is a state that
 * VM entry takes (SDM, "Checks on the Guest-State Area").
 */
#include <string.h>

#include "lib/base/cursor.h"
#include "lib/x86/registers.h"
#include "vmm/emul/task_switch.h"

#define RAM_BYTES	     8192U
#define RFLAGS_ZERO	     (BITS64(63, 22) | BIT64(15) | BIT64(5) | BIT64(3))
#define TYPE_CONFORMING_CODE 0xcU
#define TYPE_BUSY_BIT	     2U

struct board {
	u8 ram[RAM_BYTES];
	unsigned writes; /* tables are marked by swap */
};

struct input {
	u8 source, flags, length, fill;
	u16 selector, old_selector;
	u32 old_base, cr3, gdt_base;
	u64 rflags, error;
} PACKED;

#define IN_EXTERNAL BIT32(0)
#define IN_ERROR    BIT32(1)
#define IN_PAGING   BIT32(2)
#define IN_PAE	    BIT32(3)
#define IN_TSS16    BIT32(4)
#define IN_TINY_GDT BIT32(5)
#define IN_TINY_TSS BIT32(6)
#define IN_WP	    BIT32(7)

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void require(bool fact)
{
	if (!fact)
		__builtin_trap();
}

/* Three quarters of all pages are there, wrapped around onto the RAM. */
static u8 *board_bytes(struct board *board, gpa_t gpa, unsigned bytes)
{
	require(bytes >= 1 && bytes <= 8);
	require(gpa.raw % PAGE_SIZE + bytes <= PAGE_SIZE && gpa.raw < BIT64(52));
	return (gpa.raw / PAGE_SIZE) % 4 == 3 ? NULL : board->ram + gpa.raw % RAM_BYTES;
}

static bool board_read(void *owner, gpa_t gpa, void *data, unsigned bytes)
{
	const u8 *from = board_bytes(owner, gpa, bytes);

	if (from != NULL)
		memcpy(data, from, bytes);
	return from != NULL;
}

static bool board_write(void *owner, gpa_t gpa, const void *data, unsigned bytes)
{
	struct board *board = owner;
	u8 *to = board_bytes(board, gpa, bytes);

	board->writes++;
	if (to != NULL)
		memcpy(to, data, bytes);
	return to != NULL;
}

static bool board_swap(void *owner, gpa_t gpa, u64 *expected, u64 desired, unsigned bytes)
{
	u8 *at = board_bytes(owner, gpa, bytes);
	u64 found = 0;

	if (at == NULL)
		return false;
	memcpy(&found, at, bytes);
	if (found == *expected)
		memcpy(at, &desired, bytes);
	*expected = found;
	return true;
}

static void check_exception(const struct emul_exception *e, bool external)
{
	require(e->vector == EXC_TS || e->vector == EXC_NP || e->vector == EXC_SS ||
		e->vector == EXC_GP || e->vector == EXC_PF);
	require(e->has_error);
	require(e->vector == EXC_PF || (e->cr2 == 0 && e->error_code <= UINT16_MAX));
	require(e->vector == EXC_PF || (e->error_code & 1) == external);
	require(e->vector != EXC_PF || e->cr2 <= UINT32_MAX);
}

static void check_segment(const struct segment *s)
{
	require((s->rights & ~(BITS64(7, 0) | BITS64(16, 12))) == 0);
	require(s->base <= UINT32_MAX);
	if (s->rights & SEG_UNUSABLE)
		return;
	require(s->rights & SEG_PRESENT);
	require(s->rights & SEG_GRANULAR ? (s->limit & 0xfff) == 0xfff : s->limit >> 20 == 0);
}

static void check_rings(const struct vcpu_state *s)
{
	const struct segment *cs = &s->segment[SEG_CS], *ss = &s->segment[SEG_SS];
	u64 cpl = field_get(SEG_DPL, ss->rights), dpl = field_get(SEG_DPL, cs->rights);
	bool conforming = (cs->rights & TYPE_CONFORMING_CODE) == TYPE_CONFORMING_CODE;

	require((cs->rights & (SEG_CODE | SEG_UNUSABLE | 9)) == (SEG_CODE | 9));
	require(cpl == (cs->selector & 3U));
	require(conforming ? dpl <= cpl : dpl == cpl);
	for (unsigned i = 0; i < SEG_LDTR; i++)
		require(s->segment[i].rights & (SEG_CODE | SEG_UNUSABLE));
}

static void check_state(const struct vcpu_state *s, const struct vcpu_state *old)
{
	const struct segment *tr = &s->segment[SEG_TR];

	require((s->rflags & RFLAGS_ZERO) == 0 && (s->rflags & RFLAGS_ONE) != 0);
	require(s->rip <= UINT32_MAX && s->cr3 <= UINT32_MAX);
	require(s->cr0 == (old->cr0 | CR0_TS) && s->cr4 == old->cr4 && s->efer == old->efer);
	require((tr->rights & (SEG_UNUSABLE | SEG_CODE)) == 0 && (tr->rights & TYPE_BUSY_BIT));
	for (unsigned i = 0; i < SEG_COUNT; i++)
		check_segment(&s->segment[i]);
	if ((s->rflags & RFLAGS_VM) == 0)
		check_rings(s);
	for (unsigned i = 0; i < SEG_LDTR && (s->rflags & RFLAGS_VM) != 0; i++)
		require(s->segment[i].rights == 0xf3 && s->segment[i].limit == 0xffff &&
			s->segment[i].base == (u64)s->segment[i].selector << 4);
}

static void state_init(struct vcpu_state *s, const struct input *in)
{
	memset(s, 0, sizeof(*s));
	s->cr0 = CR0_PE | (in->flags & IN_PAGING ? CR0_PG : 0) | (in->flags & IN_WP ? CR0_WP : 0);
	s->cr4 = in->flags & IN_PAE ? CR4_PAE : CR4_PSE;
	s->cr3 = in->cr3;
	s->rflags = in->rflags;
	s->gdtr.base = in->gdt_base;
	s->gdtr.limit = in->flags & IN_TINY_GDT ? 0x3f : 0xffff;
	s->segment[SEG_TR] = (struct segment){
		.selector = in->old_selector,
		.base = in->old_base,
		.limit = in->flags & IN_TINY_TSS ? 0x2b : 0x67,
		.rights = in->flags & IN_TSS16 ? 0x83 : 0x8b,
	};
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct board board;
	const struct emul_env env = { .memory = { &board, board_read, board_write, board_swap } };
	struct cursor c = cursor_over(data, size);
	struct vcpu_state state, next;
	struct emul_exception exception;
	u64 gpr[GPR_COUNT] = { 0 }, before[GPR_COUNT] = { 0 };
	struct emul emul = { &state, gpr, &env, 36 };
	struct input in;
	enum task_result result;
	struct vm_exit exit;

	if (!cursor_read(&c, &in, sizeof(in)) || cursor_left(&c) < 16)
		return 0;
	memset(board.ram, in.fill, RAM_BYTES);
	board.writes = 0;
	memcpy(board.ram, c.data + c.at, min_u64(cursor_left(&c), RAM_BYTES));
	exit = (struct vm_exit){ .reason = VM_EXIT_TASK_SWITCH, .insn_length = in.length % 16 };
	exit.task.selector = in.selector;
	exit.task.source = in.source % 4;
	exit.task.external = (in.flags & IN_EXTERNAL) != 0;
	exit.task.has_error = (in.flags & IN_ERROR) != 0;
	exit.task.error = in.error;
	state_init(&state, &in);

	result = task_switch(&emul, &exit, &next, &exception);
	if (result == TASK_REFUSED || result == TASK_FAULTED)
		check_exception(&exception, exit.task.external);
	if (result == TASK_REFUSED)
		require(board.writes == 0 && memcmp(gpr, before, sizeof(gpr)) == 0);
	else
		check_state(&next, &state);
	return 0;
}
