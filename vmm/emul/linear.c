/* Segmentation and page-crossing accesses. */
#include "vmm/emul/linear.h"

#include "lib/base/string.h"

#define CPL_USER 3

static bool mode_is_real(const struct vcpu_state *state)
{
	return (state->cr0 & CR0_PE) == 0 || (state->rflags & RFLAGS_VM) != 0;
}

unsigned emul_mode(const struct emul *emul)
{
	const struct vcpu_state *state = emul->state;
	u32 rights = state->segment[SEG_CS].rights;

	if ((state->efer & EFER_LMA) != 0 && (rights & SEG_LONG) != 0)
		return 8;
	return (rights & SEG_BIG) != 0 ? 4 : 2;
}

unsigned emul_stack_bytes(const struct emul *emul)
{
	if (emul_mode(emul) == 8)
		return 8;
	return (emul->state->segment[SEG_SS].rights & SEG_BIG) != 0 ? 4 : 2;
}

u64 bytes_mask(unsigned bytes)
{
	return BITS64(bytes * 8 - 1, 0);
}

/* In real mode nobody is a user; virtual-8086 mode always is one. */
static bool cpl_is_user(const struct vcpu_state *state)
{
	if ((state->cr0 & CR0_PE) == 0)
		return false;
	return (state->rflags & RFLAGS_VM) != 0 ||
	       field_get(SEG_DPL, state->segment[SEG_SS].rights) == CPL_USER;
}

static bool segment_type_allows(u32 rights, u32 access)
{
	u64 type = field_get(SEG_TYPE, rights);

	if ((rights & SEG_UNUSABLE) != 0 || (rights & SEG_PRESENT) == 0)
		return false;
	if ((access & PF_FETCH) != 0)
		return true;
	if ((type & TYPE_CODE) != 0)
		return (access & PF_WRITE) == 0 && (type & TYPE_READABLE) != 0;
	return (access & PF_WRITE) == 0 || (type & TYPE_WRITABLE) != 0;
}

static bool segment_limit_allows(const struct segment *s, u64 offset, unsigned bytes)
{
	u64 type = field_get(SEG_TYPE, s->rights);
	u64 last = offset + bytes - 1;

	if ((type & TYPE_CODE) == 0 && (type & TYPE_EXPAND_DOWN) != 0)
		return offset > s->limit &&
		       last <= ((s->rights & SEG_BIG) != 0 ? UINT32_MAX : UINT16_MAX);
	return last <= s->limit;
}

/* 64-bit mode checks nothing here; the page walk finds addresses that are not canonical. */
static bool segment_allows(const struct emul *emul, enum segment_name segment, u64 offset,
			   unsigned bytes, u32 access)
{
	const struct segment *s = &emul->state->segment[segment];

	if (emul_mode(emul) == 8)
		return true;
	if (!mode_is_real(emul->state) && !segment_type_allows(s->rights, access))
		return false;
	return segment_limit_allows(s, offset, bytes);
}

u64 segment_linear(const struct emul *emul, enum segment_name segment, u64 offset)
{
	u64 base = emul->state->segment[segment].base;

	if (emul_mode(emul) != 8)
		return (base + offset) & UINT32_MAX;
	return segment == SEG_FS || segment == SEG_GS ? base + offset : offset;
}

static bool raise_segment(struct emul_exception *exception, enum segment_name segment)
{
	*exception = (struct emul_exception){
		.vector = segment == SEG_SS ? EXC_SS : EXC_GP,
		.has_error = true,
	};
	return false;
}

static bool raise_page_fault(struct emul_exception *exception, u32 error_code, u64 address)
{
	*exception = (struct emul_exception){
		.vector = EXC_PF,
		.error_code = error_code,
		.has_error = true,
		.cr2 = address,
	};
	return false;
}

static struct paging emul_paging(const struct emul *emul)
{
	return (struct paging){
		.cr0 = emul->state->cr0,
		.cr3 = emul->state->cr3,
		.cr4 = emul->state->cr4,
		.efer = emul->state->efer,
		.rflags = emul->state->rflags,
		.physical_bits = emul->physical_bits,
	};
}

/* Maps piece i, as much of `bytes` as lies in the page of `address`. */
static bool piece_map(const struct emul *emul, enum segment_name segment, u64 address,
		      unsigned bytes, u32 access, struct span *span, unsigned i,
		      struct emul_exception *exception)
{
	const struct paging paging = emul_paging(emul);
	struct walk_page page;
	enum walk_result result =
		walk_translate(&paging, &emul->env->memory, GVA(address), access, &page);

	if (result == WALK_NON_CANONICAL)
		return raise_segment(exception, segment);
	if (result != WALK_OK)
		return raise_page_fault(exception, page.error_code, address);
	span->gpa[i] = page.gpa;
	span->bytes[i] = (unsigned)min_u64(bytes, page.bytes);
	return true;
}

bool span_map(const struct emul *emul, enum segment_name segment, u64 offset, unsigned bytes,
	      u32 access, struct span *span, struct emul_exception *exception)
{
	u32 user = cpl_is_user(emul->state) ? PF_USER : 0;
	unsigned done = 0;

	if (!segment_allows(emul, segment, offset, bytes, access))
		return raise_segment(exception, segment);
	*span = (struct span){ .bytes = { 0 } };
	for (unsigned i = 0; i < ARRAY_SIZE(span->gpa) && done < bytes; i++) {
		if (!piece_map(emul, segment, segment_linear(emul, segment, offset + done),
			       bytes - done, access | user, span, i, exception))
			return false;
		done += span->bytes[i];
	}
	return true;
}

bool span_map_system(const struct emul *emul, u64 address, unsigned bytes, u32 access,
		     struct span *span, struct emul_exception *exception)
{
	unsigned done = 0;

	*span = (struct span){ .bytes = { 0 } };
	for (unsigned i = 0; i < ARRAY_SIZE(span->gpa) && done < bytes; i++) {
		if (!piece_map(emul, SEG_DS, (address + done) & UINT32_MAX, bytes - done,
			       access | WALK_IMPLICIT, span, i, exception))
			return false;
		done += span->bytes[i];
	}
	return true;
}

struct span span_part(const struct span *whole, unsigned offset, unsigned bytes)
{
	struct span part = { .bytes = { 0 } };

	if (offset >= whole->bytes[0]) {
		part.gpa[0] = gpa_add(whole->gpa[1], offset - whole->bytes[0]);
		part.bytes[0] = bytes;
		return part;
	}
	part.gpa[0] = gpa_add(whole->gpa[0], offset);
	part.bytes[0] = (unsigned)min_u64(bytes, whole->bytes[0] - offset);
	part.gpa[1] = whole->gpa[1];
	part.bytes[1] = bytes - part.bytes[0];
	return part;
}

u64 span_read(const struct emul *emul, const struct span *span)
{
	const struct guest_memory *memory = &emul->env->memory;
	u8 bytes[sizeof(u64)] = { 0 };
	u64 value;
	unsigned at = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(span->gpa) && span->bytes[i] > 0; i++) {
		if (!memory->read(memory->owner, span->gpa[i], bytes + at, span->bytes[i]))
			memset(bytes + at, 0xff, span->bytes[i]);
		at += span->bytes[i];
	}
	memcpy(&value, bytes, sizeof(value));
	return value;
}

void span_write(const struct emul *emul, const struct span *span, u64 value)
{
	const struct guest_memory *memory = &emul->env->memory;
	const u8 *bytes = (const u8 *)&value;

	for (unsigned i = 0; i < ARRAY_SIZE(span->gpa) && span->bytes[i] > 0; i++) {
		/* A write to nowhere is lost, as on the bus. */
		(void)memory->write(memory->owner, span->gpa[i], bytes, span->bytes[i]);
		bytes += span->bytes[i];
	}
}
