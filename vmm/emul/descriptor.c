/* Descriptors and segment registers. */
#include "vmm/emul/descriptor.h"

#define DESCRIPTOR_LIMIT      BITS64(15, 0)
#define DESCRIPTOR_LIMIT_HIGH BITS64(51, 48)
#define DESCRIPTOR_BASE	      BITS64(39, 16)
#define DESCRIPTOR_BASE_HIGH  BITS64(63, 56)
#define DESCRIPTOR_RIGHTS     BITS64(55, 40)
#define DESCRIPTOR_TYPE_BYTE  5U

#define RIGHTS_KNOWN (BITS64(7, 0) | BITS64(15, 12)) /* the limit's upper bits are between */
#define RIGHTS_V86   (0x3 | SEG_CODE | SEG_DPL | SEG_PRESENT)

static u64 descriptor_address(const struct emul *emul, u16 selector)
{
	const struct vcpu_state *s = emul->state;
	u64 base = selector & SELECTOR_LOCAL ? s->segment[SEG_LDTR].base : s->gdtr.base;

	return base + (selector & SELECTOR_INDEX);
}

static bool selector_is_inside(const struct vcpu_state *s, u16 selector)
{
	const struct segment *ldt = &s->segment[SEG_LDTR];
	u64 last = (selector & SELECTOR_INDEX) + sizeof(u64) - 1;

	if (selector & SELECTOR_LOCAL)
		return !(ldt->rights & SEG_UNUSABLE) && last <= ldt->limit;
	return last <= s->gdtr.limit;
}

static struct segment descriptor_decode(u16 selector, u64 raw)
{
	struct segment segment = {
		.selector = selector,
		.base = field_get(DESCRIPTOR_BASE, raw) | field_get(DESCRIPTOR_BASE_HIGH, raw)
								  << 24,
		.limit = (u32)(field_get(DESCRIPTOR_LIMIT, raw) |
			       field_get(DESCRIPTOR_LIMIT_HIGH, raw) << 16),
		.rights = (u32)(field_get(DESCRIPTOR_RIGHTS, raw) & RIGHTS_KNOWN),
	};

	if (segment.rights & SEG_GRANULAR)
		segment.limit = segment.limit << PAGE_SHIFT | (PAGE_SIZE - 1);
	return segment;
}

bool descriptor_read(const struct emul *emul, u16 selector, enum exception vector,
		     struct segment *segment, struct emul_exception *exception)
{
	struct span span;

	if (!selector_is_inside(emul->state, selector))
		return raise_selector(exception, vector, selector);
	if (!span_map_system(emul, descriptor_address(emul, selector), sizeof(u64), 0, &span,
			     exception))
		return false;
	*segment = descriptor_decode(selector, span_read(emul, &span));
	return true;
}

bool descriptor_map(const struct emul *emul, u16 selector, struct span *span,
		    struct emul_exception *exception)
{
	u64 address = descriptor_address(emul, selector) + DESCRIPTOR_TYPE_BYTE;

	return span_map_system(emul, address, 1, PF_WRITE, span, exception);
}

void descriptor_mark(const struct emul *emul, const struct span *span, u64 bits, bool on)
{
	u64 old = span_read(emul, span);

	span_write(emul, span, on ? old | bits : old & ~bits);
}

static struct segment segment_unusable(u16 selector)
{
	return (struct segment){ .selector = selector, .rights = SEG_UNUSABLE };
}

static struct segment segment_v86(u16 selector)
{
	return (struct segment){
		.selector = selector,
		.base = (u64)selector << 4,
		.limit = UINT16_MAX,
		.rights = RIGHTS_V86,
	};
}

/*
 * The privilege level of the new task is known by now. An exception's delivery saves CS:RIP, but
 * nothing is fetched there.
 */
void segments_unload(struct vcpu_state *next)
{
	bool v86 = (next->rflags & RFLAGS_VM) != 0;
	u64 dpl = field_set(SEG_DPL, 0, next->segment[SEG_CS].selector & SELECTOR_RPL);

	next->segment[SEG_LDTR] = segment_unusable(next->segment[SEG_LDTR].selector);
	for (enum segment_name i = SEG_ES; i <= SEG_GS; i++) {
		u16 selector = next->segment[i].selector;

		next->segment[i] = v86 ? segment_v86(selector) : segment_unusable(selector);
	}
	if (v86)
		return;
	next->segment[SEG_SS].rights |= (u32)dpl;
	next->segment[SEG_CS].limit = UINT16_MAX;
	next->segment[SEG_CS].rights =
		(u32)(TYPE_CODE | TYPE_READABLE | TYPE_ACCESSED | SEG_CODE | SEG_PRESENT | dpl);
}

static bool ldtr_load(const struct emul *emul, struct vcpu_state *next,
		      struct emul_exception *exception)
{
	u16 selector = next->segment[SEG_LDTR].selector;
	struct segment ldt;

	if (selector_is_null(selector))
		return true;
	if (selector & SELECTOR_LOCAL)
		return raise_selector(exception, EXC_TS, selector);
	if (!descriptor_read(emul, selector, EXC_TS, &ldt, exception))
		return false;
	if ((ldt.rights & SEG_CODE) || segment_type(&ldt) != TYPE_LDT ||
	    !(ldt.rights & SEG_PRESENT))
		return raise_selector(exception, EXC_TS, selector);
	next->segment[SEG_LDTR] = ldt;
	return true;
}

static bool code_fits(const struct segment *s, u64 cpl)
{
	u64 dpl = field_get(SEG_DPL, s->rights);

	if (!(segment_type(s) & TYPE_CODE))
		return false;
	return segment_type(s) & TYPE_CONFORMING ? dpl <= cpl : dpl == cpl;
}

static bool stack_fits(const struct segment *s, u64 cpl)
{
	return !(segment_type(s) & TYPE_CODE) && (segment_type(s) & TYPE_WRITABLE) &&
	       field_get(SEG_DPL, s->rights) == cpl && (s->selector & SELECTOR_RPL) == cpl;
}

static bool data_fits(const struct segment *s, u64 cpl)
{
	u64 type = segment_type(s);

	if ((type & TYPE_CODE) && !(type & TYPE_READABLE))
		return false;
	if ((type & TYPE_CODE) && (type & TYPE_CONFORMING))
		return true;
	return field_get(SEG_DPL, s->rights) >= max_u64(cpl, s->selector & SELECTOR_RPL);
}

/* What a register demands of its descriptor, and the exception of one that is not present. */
struct register_rule {
	bool (*fits)(const struct segment *s, u64 cpl);
	enum exception absent;
	bool may_be_null;
};

static const struct register_rule code_rule = { code_fits, EXC_NP, false };
static const struct register_rule stack_rule = { stack_fits, EXC_SS, false };
static const struct register_rule data_rule = { data_fits, EXC_NP, true };

static bool accessed_mark(const struct emul *emul, struct segment *s,
			  struct emul_exception *exception)
{
	struct span span;

	if (segment_type(s) & TYPE_ACCESSED)
		return true;
	if (!descriptor_map(emul, s->selector, &span, exception))
		return false;
	descriptor_mark(emul, &span, TYPE_ACCESSED, true);
	s->rights |= TYPE_ACCESSED;
	return true;
}

static bool segment_load(const struct emul *emul, struct segment *s,
			 const struct register_rule *rule, u64 cpl,
			 struct emul_exception *exception)
{
	u16 selector = s->selector;
	struct segment found;

	if (selector_is_null(selector))
		return rule->may_be_null || raise_selector(exception, EXC_TS, selector);
	if (!descriptor_read(emul, selector, EXC_TS, &found, exception))
		return false;
	if (!(found.rights & SEG_CODE) || !rule->fits(&found, cpl))
		return raise_selector(exception, EXC_TS, selector);
	if (!(found.rights & SEG_PRESENT))
		return raise_selector(exception, rule->absent, selector);
	if (!accessed_mark(emul, &found, exception))
		return false;
	*s = found;
	return true;
}

bool segments_load(const struct emul *emul, struct vcpu_state *next,
		   struct emul_exception *exception)
{
	static const struct {
		enum segment_name name;
		const struct register_rule *rule;
	} order[] = {
		{ SEG_CS, &code_rule }, { SEG_SS, &stack_rule }, { SEG_ES, &data_rule },
		{ SEG_DS, &data_rule }, { SEG_FS, &data_rule },	 { SEG_GS, &data_rule },
	};
	u64 cpl = next->segment[SEG_CS].selector & SELECTOR_RPL;

	if (!ldtr_load(emul, next, exception))
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(order) && !(next->rflags & RFLAGS_VM); i++) {
		if (!segment_load(emul, &next->segment[order[i].name], order[i].rule, cpl,
				  exception))
			return false;
	}
	return true;
}
