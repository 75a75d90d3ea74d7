/*
 * A random vCPU executes random bytes on random memory. The vCPU state is never written, accesses
 * keep to their contract, and an exception outside a string instruction leaves nothing behind.
 */
#include <string.h>

#include "lib/base/cursor.h"
#include "lib/x86/registers.h"
#include "vmm/emul/emul.h"

#define RAM_BYTES 8192U

struct board {
	u8 ram[RAM_BYTES];
	unsigned writes; /* by instructions: tables are marked by swap */
	unsigned ports;
};

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void require(bool fact)
{
	if (!fact)
		__builtin_trap();
}

static void check_access(gpa_t gpa, unsigned bytes)
{
	require(bytes >= 1 && bytes <= 8);
	require(gpa.raw % PAGE_SIZE + bytes <= PAGE_SIZE);
	require(gpa.raw < BIT64(52));
}

/* Three quarters of all pages are there, wrapped around onto the RAM. */
static u8 *board_bytes(struct board *board, gpa_t gpa)
{
	if ((gpa.raw / PAGE_SIZE) % 4 == 3)
		return NULL;
	return board->ram + gpa.raw % RAM_BYTES;
}

static bool board_read(void *owner, gpa_t gpa, void *data, unsigned bytes)
{
	const u8 *from = board_bytes(owner, gpa);

	check_access(gpa, bytes);
	if (from == NULL)
		return false;
	memcpy(data, from, bytes);
	return true;
}

static bool board_write(void *owner, gpa_t gpa, const void *data, unsigned bytes)
{
	struct board *board = owner;
	u8 *to = board_bytes(board, gpa);

	check_access(gpa, bytes);
	board->writes++;
	if (to == NULL)
		return false;
	memcpy(to, data, bytes);
	return true;
}

static bool board_swap(void *owner, gpa_t gpa, u64 *expected, u64 desired, unsigned bytes)
{
	u8 *at = board_bytes(owner, gpa);
	u64 found = 0;

	check_access(gpa, bytes);
	require((bytes == 4 || bytes == 8) && gpa.raw % bytes == 0);
	if (at == NULL)
		return false;
	memcpy(&found, at, bytes);
	if (found == *expected)
		memcpy(at, &desired, bytes);
	*expected = found;
	return true;
}

static u32 board_in(void *owner, u16 port, unsigned bytes)
{
	struct board *board = owner;

	require(bytes == 1 || bytes == 2 || bytes == 4);
	board->ports++;
	return port * 0x01010101U;
}

static void board_out(void *owner, u16 port, u32 value, unsigned bytes)
{
	struct board *board = owner;

	(void)port;
	require(bytes == 1 || bytes == 2 || bytes == 4);
	require(bytes == 4 || value >> (8 * bytes) == 0);
	board->ports++;
}

static void check_exception(const struct emul_exception *e)
{
	require(e->vector == EXC_UD || e->vector == EXC_SS || e->vector == EXC_GP ||
		e->vector == EXC_PF);
	require(e->has_error == exception_has_error(e->vector));
	require(e->vector == EXC_PF || (e->error_code == 0 && e->cr2 == 0));
}

static void check_outcome(const struct vcpu_state *state, enum emul_result result,
			  const struct emul_outcome *out)
{
	require(out->byte_count <= INSN_BYTES_MAX && out->insn_length <= out->byte_count);
	if (result == EMUL_DONE)
		require(out->insn_length > 0);
	if (result == EMUL_DONE && out->sets_rflags)
		require(((out->rflags ^ state->rflags) & ~RFLAGS_ARITH) == 0);
	if (result == EMUL_EXCEPTION)
		check_exception(&out->exception);
	if (result == EMUL_UNSUPPORTED)
		require(out->reason != NULL && out->byte_count > 0);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct board board;
	const struct emul_env env = {
		.memory = { &board, board_read, board_write, board_swap },
		.port_in = board_in,
		.port_out = board_out,
	};
	struct cursor c = cursor_over(data, size);
	struct vcpu_state state, state_before;
	struct emul_outcome out;
	enum emul_result result;
	u64 gpr[GPR_COUNT], gpr_before[GPR_COUNT];
	struct emul emul = { &state, gpr, &env, 40 };
	u64 regs[8];
	u8 rights, code[16];

	memset(&state, 0, sizeof(state));
	memset(&board, 0, sizeof(board));
	if (!cursor_read_u8(&c, &rights) || !cursor_read(&c, code, sizeof(code)) ||
	    !cursor_read(&c, regs, sizeof(regs)) || !cursor_read(&c, gpr, sizeof(gpr)) ||
	    cursor_left(&c) < 16)
		return 0;
	state.rip = regs[0], state.rflags = regs[1], state.cr0 = regs[2], state.cr3 = regs[3];
	state.cr4 = regs[4], state.efer = regs[5];
	for (unsigned i = 0; i < SEG_COUNT; i++) {
		state.segment[i].limit = (rights & 1) != 0 ? UINT32_MAX : (u32)regs[6];
		state.segment[i].rights = (rights & 2) != 0 ? 0x3 | SEG_CODE | SEG_PRESENT | SEG_BIG
							    : (u32)(regs[7] >> i);
		state.segment[i].base = (rights & 4) != 0 ? 0 : regs[7];
	}
	if ((rights & 8) != 0)
		state.segment[SEG_CS].rights |= SEG_LONG;
	for (size_t i = 0; i < RAM_BYTES; i++)
		board.ram[i] = c.data[c.at + i % cursor_left(&c)];
	if ((rights & 0x30) != 0) { /* mostly without paging and with the code in place */
		state.cr0 &= ~CR0_PG;
		state.segment[SEG_CS].base = 0;
		state.rip &= 0xfff;
		memcpy(board.ram + state.rip, code, sizeof(code));
	}
	memcpy(gpr_before, gpr, sizeof(gpr));
	memcpy(&state_before, &state, sizeof(state));

	result = emul_step(&emul, &out);
	require(memcmp(&state, &state_before, sizeof(state)) == 0);
	check_outcome(&state, result, &out);
	if (result == EMUL_UNSUPPORTED)
		require(board.writes == 0);
	if (result == EMUL_UNSUPPORTED)
		require(memcmp(gpr, gpr_before, sizeof(gpr)) == 0 && board.ports == 0);
	/* Before the first repetition a string instruction has not changed anything either. */
	if (result == EMUL_EXCEPTION && gpr[GPR_RCX] == gpr_before[GPR_RCX])
		require(memcmp(gpr, gpr_before, sizeof(gpr)) == 0 && board.writes == 0 &&
			board.ports == 0);
	return 0;
}
