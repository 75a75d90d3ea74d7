/*
 * A task switch. Everything that can fault in the old task is checked and mapped first; then the
 * old task is saved and the new one loaded, which cannot fail; what is wrong with the new task's
 * paging, segments or stack is its own exception. SDM, "Task Switching" and "Exception Conditions
 * Checked During a Task Switch".
 */
#include "vmm/emul/task_switch.h"

#include "vmm/emul/descriptor.h"

#define ERROR_EXT BIT32(0) /* SDM, "Error Code" */

/* What a TSS can load; the rest of the register is reserved. */
#define RFLAGS_TASK                                                                               \
	(RFLAGS_ARITH | RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_RF | \
	 RFLAGS_VM | RFLAGS_AC | RFLAGS_VIF | RFLAGS_VIP | RFLAGS_ID)
#define DR7_LOCAL (BIT64(0) | BIT64(2) | BIT64(4) | BIT64(6) | BIT64(8)) /* L0 to L3, LE */

/* SDM, "Task-State Segment (TSS)" and "16-Bit Task-State Segment": the fields that a switch saves
 * lie side by side in one order, each `width` bytes, then the LDT's selector. */
struct tss_format {
	u8 type;
	u8 width;    /* of a field */
	u8 first;    /* offset of the first */
	u8 segments; /* how many segment registers there are */
	u8 limit;    /* the least for a new task */
	u8 cr3;	     /* offset; 0: none, and no trap flag */
};

static const struct tss_format tss_formats[] = {
	{ TYPE_TSS32, 4, 0x20, 6, 0x67, 0x1c },
	{ TYPE_TSS16, 2, 0x0e, 4, 0x2b, 0 },
};

enum tss_field { FIELD_EIP, FIELD_EFLAGS, FIELD_GPR, FIELD_SEGMENT = FIELD_GPR + 8 };

#define TSS_LINK 0U /* the previous task's selector */
#define TSS_TRAP 0x64U
#define TSS_T	 BIT64(0)

struct task {
	const struct tss_format *format;
	struct segment tss;
	struct span span; /* the TSS, as far as the switch uses it */
	struct span type; /* in the descriptor */
};

struct change {
	const struct emul *emul;
	const struct vm_exit *exit;
	struct emul_exception *exception;
	struct task old, new;
	struct span link;
};

/* Whether the new task is to return to the old one. */
static bool is_nested(const struct change *c)
{
	return c->exit->task.source == TASK_CALL || c->exit->task.source == TASK_GATE;
}

static bool is_return(const struct change *c)
{
	return c->exit->task.source == TASK_IRET;
}

static const struct tss_format *tss_format(const struct segment *tss)
{
	u64 type = segment_type(tss) & ~TYPE_BUSY;

	for (unsigned i = 0; i < ARRAY_SIZE(tss_formats) && !(tss->rights & SEG_CODE); i++) {
		if (tss_formats[i].type == type)
			return &tss_formats[i];
	}
	return NULL;
}

static unsigned field_offset(const struct tss_format *f, unsigned field)
{
	return f->first + field * f->width;
}

static u64 field_load(const struct change *c, unsigned offset, unsigned bytes)
{
	struct span part = span_part(&c->new.span, offset, bytes);

	return span_read(c->emul, &part);
}

/* `old.span` starts at the first field. */
static void field_save(const struct change *c, unsigned field, u64 value, unsigned bytes)
{
	struct span part = span_part(&c->old.span, field * c->old.format->width, bytes);

	span_write(c->emul, &part, value);
}

static bool new_check(struct change *c)
{
	enum exception wrong = is_return(c) ? EXC_TS : EXC_GP;
	u16 selector = c->exit->task.selector;
	struct task *t = &c->new;
	bool busy;

	if (selector_is_null(selector) || (selector & SELECTOR_LOCAL))
		return raise_selector(c->exception, wrong, selector);
	if (!descriptor_read(c->emul, selector, wrong, &t->tss, c->exception))
		return false;
	t->format = tss_format(&t->tss);
	busy = (segment_type(&t->tss) & TYPE_BUSY) != 0;
	if (!t->format || busy != is_return(c))
		return raise_selector(c->exception, wrong, selector);
	if (!(t->tss.rights & SEG_PRESENT))
		return raise_selector(c->exception, EXC_NP, selector);
	if (t->tss.limit < t->format->limit)
		return raise_selector(c->exception, EXC_TS, selector);
	return true;
}

static bool new_map(struct change *c)
{
	u64 base = c->new.tss.base;

	if (!span_map_system(c->emul, base, c->new.format->limit + 1U, 0, &c->new.span,
			     c->exception))
		return false;
	if (is_nested(c) && !span_map_system(c->emul, base + TSS_LINK, sizeof(u16), PF_WRITE,
					     &c->link, c->exception))
		return false;
	return is_return(c) ||
	       descriptor_map(c->emul, c->exit->task.selector, &c->new.type, c->exception);
}

static bool old_map(struct change *c)
{
	struct task *t = &c->old;
	const struct tss_format *f;
	u32 bytes;

	t->tss = c->emul->state->segment[SEG_TR];
	t->format = f = tss_format(&t->tss);
	if (!f)
		return raise_selector(c->exception, EXC_TS, t->tss.selector);
	bytes = ((u32)FIELD_SEGMENT + f->segments) * f->width;
	if (t->tss.limit < f->first + bytes - 1)
		return raise_selector(c->exception, EXC_TS, t->tss.selector);
	if (!span_map_system(c->emul, t->tss.base + f->first, bytes, PF_WRITE, &t->span,
			     c->exception))
		return false;
	return is_nested(c) || descriptor_map(c->emul, t->tss.selector, &t->type, c->exception);
}

/* The old task goes on behind the instruction that asked for the switch, if one did. */
static void old_save(const struct change *c)
{
	const struct vcpu_state *s = c->emul->state;
	const struct tss_format *f = c->old.format;
	u64 rflags = s->rflags;

	if (c->exit->insn_length > 0)
		rflags &= ~RFLAGS_RF;
	if (is_return(c))
		rflags &= ~RFLAGS_NT;
	field_save(c, FIELD_EIP, s->rip + c->exit->insn_length, f->width);
	field_save(c, FIELD_EFLAGS, rflags, f->width);
	for (unsigned i = 0; i < FIELD_SEGMENT - FIELD_GPR; i++)
		field_save(c, FIELD_GPR + i, c->emul->gpr[i], f->width);
	for (unsigned i = 0; i < f->segments; i++)
		field_save(c, FIELD_SEGMENT + i, s->segment[i].selector, sizeof(u16));
	if (!is_nested(c))
		descriptor_mark(c->emul, &c->old.type, TYPE_BUSY, false);
}

static void new_mark(const struct change *c)
{
	if (is_nested(c))
		span_write(c->emul, &c->link, c->old.tss.selector);
	if (!is_return(c))
		descriptor_mark(c->emul, &c->new.type, TYPE_BUSY, true);
}

/* Everything but paging and what comes from descriptors. */
static void new_load(const struct change *c, struct vcpu_state *next)
{
	const struct tss_format *f = c->new.format;

	*next = *c->emul->state;
	next->cr0 |= CR0_TS;
	next->dr7 &= ~DR7_LOCAL;
	next->segment[SEG_TR] = c->new.tss;
	next->segment[SEG_TR].rights |= TYPE_BUSY;
	next->rip = field_load(c, field_offset(f, FIELD_EIP), f->width);
	next->rflags = field_load(c, field_offset(f, FIELD_EFLAGS), f->width) & RFLAGS_TASK;
	next->rflags |= RFLAGS_ONE | (is_nested(c) ? RFLAGS_NT : 0);
	for (unsigned i = 0; i < FIELD_SEGMENT - FIELD_GPR; i++)
		c->emul->gpr[i] = field_load(c, field_offset(f, FIELD_GPR + i), f->width);
	next->segment[SEG_FS].selector = 0;
	next->segment[SEG_GS].selector = 0;
	for (unsigned i = 0; i < f->segments; i++)
		next->segment[i].selector =
			(u16)field_load(c, field_offset(f, FIELD_SEGMENT + i), sizeof(u16));
	next->segment[SEG_LDTR].selector =
		(u16)field_load(c, field_offset(f, FIELD_SEGMENT + f->segments), sizeof(u16));
}

/* With PAE paging the processor keeps the four top entries, and refuses what is reserved. */
static bool pdptes_load(const struct emul *emul, u64 cr3, struct vcpu_state *next)
{
	const struct guest_memory *memory = &emul->env->memory;
	const struct paging paging = { .efer = next->efer, .physical_bits = emul->physical_bits };
	u64 reserved = entry_reserved(&paging, PAGING_PAE, 3, false) | PTE_ACCESSED;
	u64 entry[ARRAY_SIZE(next->pdpte)];

	for (unsigned i = 0; i < ARRAY_SIZE(entry); i++) {
		gpa_t at = GPA((cr3 & CR3_ROOT_PAE) + i * sizeof(u64));

		if (!memory->read(memory->owner, at, &entry[i], sizeof(u64)) ||
		    ((entry[i] & PTE_PRESENT) && (entry[i] & reserved)))
			return false;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(entry); i++)
		next->pdpte[i] = entry[i];
	return true;
}

static bool paging_load(const struct change *c, struct vcpu_state *next)
{
	u64 cr3;

	if (c->new.format->cr3 == 0 || !(next->cr0 & CR0_PG))
		return true;
	cr3 = field_load(c, c->new.format->cr3, sizeof(u32));
	if ((next->cr4 & CR4_PAE) && !pdptes_load(c->emul, cr3, next))
		return raise_selector(c->exception, EXC_GP, 0);
	next->cr3 = cr3;
	return true;
}

/* The exception that came through a task gate leaves its error code on the new task's stack. */
static bool error_push(const struct change *c, const struct emul *emul)
{
	u64 mask = bytes_mask(emul_stack_bytes(emul));
	unsigned bytes = c->new.format->width;
	u64 rsp = emul->gpr[GPR_RSP];
	u64 at = (rsp - bytes) & mask;
	struct span span;

	if (!c->exit->task.has_error)
		return true;
	if (!span_map(emul, SEG_SS, at, bytes, PF_WRITE, &span, c->exception))
		return false;
	span_write(emul, &span, c->exit->task.error);
	emul->gpr[GPR_RSP] = (rsp & ~mask) | at;
	return true;
}

static bool wants_trap(const struct change *c)
{
	return c->new.format->cr3 != 0 && (field_load(c, TSS_TRAP, sizeof(u16)) & TSS_T);
}

static enum task_result failed(const struct change *c, enum task_result result)
{
	if (c->exception->vector != EXC_PF && c->exit->task.external)
		c->exception->error_code |= ERROR_EXT;
	return result;
}

enum task_result task_switch(const struct emul *emul, const struct vm_exit *exit,
			     struct vcpu_state *next, struct emul_exception *exception)
{
	struct change c = { .emul = emul, .exit = exit, .exception = exception };
	struct emul fresh = *emul;
	bool trap;

	if (!new_check(&c) || !new_map(&c) || !old_map(&c))
		return failed(&c, TASK_REFUSED);
	old_save(&c);
	new_mark(&c);
	new_load(&c, next);
	trap = wants_trap(&c);

	fresh.state = next;
	segments_unload(next);
	if (!paging_load(&c, next) || !segments_load(&fresh, next, exception) ||
	    !error_push(&c, &fresh))
		return failed(&c, TASK_FAULTED);
	if (!trap)
		return TASK_SWITCHED;
	next->dr6 |= DR6_BT;
	return TASK_TRAPPED;
}
