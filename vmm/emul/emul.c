/* One step of the emulator: fetch, decode, execute. */
#include "vmm/emul/emul.h"

#include "lib/base/string.h"
#include "vmm/emul/execute.h"
#include "vmm/emul/linear.h"

static enum emul_result raise(struct emul_outcome *outcome, u32 vector)
{
	outcome->exception = (struct emul_exception){
		.vector = vector,
		.has_error = exception_has_error(vector),
	};
	return EMUL_EXCEPTION;
}

/* How many bytes from `offset` can be fetched in one go: to the end of the page or segment. */
static unsigned fetchable(const struct emul *emul, u64 offset, unsigned wanted)
{
	u64 in_page = PAGE_SIZE - (segment_linear(emul, SEG_CS, offset) & (PAGE_SIZE - 1));
	u64 limit = emul->state->segment[SEG_CS].limit;
	u64 bytes = min_u64(wanted, in_page);

	/* Beyond the limit, leave one byte to fault on. */
	if (emul_mode(emul) != 8)
		bytes = min_u64(bytes, offset < limit ? limit - offset + 1 : 1);
	return (unsigned)bytes;
}

/*
 * Adds bytes to those fetched: first as many as most instructions have. A page or segment that ends
 * is touched only when it is needed.
 */
static bool fetch_more(const struct emul *emul, struct emul_outcome *outcome)
{
	u64 offset = emul->state->rip + outcome->byte_count;
	unsigned wanted = outcome->byte_count ? INSN_BYTES_MAX - outcome->byte_count : sizeof(u64);
	unsigned left = fetchable(emul, offset, wanted);
	struct span span;

	if (!span_map(emul, SEG_CS, offset, left, PF_FETCH, &span, &outcome->exception))
		return false;
	while (left > 0) {
		unsigned bytes = (unsigned)min_u64(left, sizeof(u64));
		struct span piece = { .gpa = { span.gpa[0] }, .bytes = { bytes } };
		u64 value = span_read(emul, &piece);

		memcpy(outcome->bytes + outcome->byte_count, &value, bytes);
		outcome->byte_count = (u8)(outcome->byte_count + bytes);
		span.gpa[0] = gpa_add(span.gpa[0], bytes);
		left -= bytes;
	}
	return true;
}

enum emul_result emul_step(struct emul *emul, struct emul_outcome *outcome)
{
	struct insn insn;
	enum decode_result result;

	*outcome = (struct emul_outcome){ .byte_count = 0 };
	do {
		if (!fetch_more(emul, outcome))
			return EMUL_EXCEPTION;
		result = decode_insn(outcome->bytes, outcome->byte_count, emul_mode(emul), &insn,
				     &outcome->reason);
	} while (result == DECODE_TRUNCATED);
	if (result == DECODE_TOO_LONG)
		return raise(outcome, EXC_GP);
	if (result == DECODE_UNDEFINED)
		return raise(outcome, EXC_UD);
	if (result == DECODE_UNSUPPORTED) {
		outcome->insn_length = insn.length;
		return EMUL_UNSUPPORTED;
	}
	return execute_insn(emul, &insn, outcome);
}
