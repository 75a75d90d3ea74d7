/* Exception handling of the micro guests (APM volume 2, "Exceptions and Interrupts"). */
#include "tests/micro/lib/trap.h"

#include "lib/base/string.h"
#include "tests/micro/lib/cpu.h"
#include "tests/micro/lib/layout.h"
#include "tests/micro/lib/micro.h"

#define TRAP_STACK_BYTES 8192U

struct trap trap;
struct tss tss;
struct idt_gate idt[TRAP_VECTORS] ALIGNED(4096);

extern const u8 vector_entries[TRAP_VECTORS][16];
extern const struct fixup fixups_begin[], fixups_end[];

/* Where to go on after an exception in code that no fixup covers; set by user.S, rip 0: nowhere. */
struct {
	u64 rip, rsp;
} trap_escape;

static trap_handler *handlers[TRAP_VECTORS];
static u8 ring0_stack[TRAP_STACK_BYTES] ALIGNED(16);
static u8 fault_stack[TRAP_STACK_BYTES] ALIGNED(16);
static u8 nmi_stack[TRAP_STACK_BYTES] ALIGNED(16);

void trap_clear(void)
{
	memset(&trap, 0, sizeof(trap));
	asm volatile("" ::: "memory");
}

void trap_handle(unsigned vector, trap_handler *handler)
{
	handlers[vector] = handler;
}

bool trap_is_fault(unsigned vector, u64 error)
{
	return trap.count == 1 && trap.vector == vector && trap.error == error && trap.offset == 0;
}

static const struct fixup *fixup_find(u64 rip)
{
	for (const struct fixup *f = fixups_begin; f < fixups_end; f++)
		if (rip >= f->begin && rip <= f->end)
			return f;
	return NULL;
}

static void trap_record(const struct trap_frame *frame)
{
	trap.count++;
	trap.vector = frame->vector;
	trap.error = frame->error;
	trap.rip = frame->rip;
	trap.cs = frame->cs;
	trap.rflags = frame->rflags;
	trap.rsp = frame->rsp;
	trap.ss = frame->ss;
	trap.rax = frame->rax;
	if (frame->vector == EXC_PF)
		trap.cr2 = read_cr2();
}

static void trap_record_debug(void)
{
	trap.dr6 = read_dr6();
	asm volatile("mov %0, %%dr6" ::"r"(DR6_RESET));
}

static void trap_go_on(struct trap_frame *frame)
{
	const struct fixup *fixup = fixup_find(frame->rip);

	if (fixup) {
		trap.offset = frame->rip - fixup->begin;
		trap.length = fixup->end - fixup->begin;
		frame->rip = fixup->end;
		frame->rflags &= ~RFLAGS_TF;
		return;
	}
	if (!trap_escape.rip && frame->vector == EXC_DB) {
		frame->rflags &= ~RFLAGS_TF; /* a single step that came late: the checks tell */
		return;
	}
	if (!trap_escape.rip)
		micro_fail("unexpected vector %lu error %lx rip %lx cs %lx rsp %lx cr2 %lx",
			   frame->vector, frame->error, frame->rip, frame->cs, frame->rsp,
			   read_cr2());
	frame->rip = trap_escape.rip;
	frame->rsp = trap_escape.rsp;
	frame->cs = SEL_CODE64;
	frame->ss = SEL_DATA;
	frame->rflags = RFLAGS_ONE;
	trap_escape.rip = 0;
}

void trap_dispatch(struct trap_frame *frame);
void trap_dispatch(struct trap_frame *frame)
{
	if (handlers[frame->vector]) {
		handlers[frame->vector](frame);
		return;
	}
	trap_record(frame);
	if (frame->vector == EXC_DB)
		trap_record_debug();
	trap_go_on(frame);
}

u64 idt_entry(unsigned vector)
{
	return (u64)vector_entries[vector];
}

static void idt_set(unsigned vector, u8 type, u8 ist)
{
	u64 entry = idt_entry(vector);

	idt[vector] = (struct idt_gate){
		.offset_low = (u16)entry,
		.selector = SEL_CODE64,
		.ist = ist,
		.type = type,
		.offset_middle = (u16)(entry >> 16),
		.offset_high = (u32)(entry >> 32),
	};
}

void idt_load(u64 base, u16 limit)
{
	struct table_pointer pointer = { limit, base };

	asm volatile("lidt %0" ::"m"(pointer));
}

void idt_restore(void)
{
	idt_load((u64)idt, sizeof(idt) - 1);
}

static void tss_load(void)
{
	u64 base = (u64)&tss, limit = sizeof(tss) - 1;

	tss.rsp[0] = (u64)(ring0_stack + sizeof(ring0_stack));
	tss.ist[IST_FAULT - 1] = (u64)(fault_stack + sizeof(fault_stack));
	tss.ist[IST_NMI - 1] = (u64)(nmi_stack + sizeof(nmi_stack));
	tss.iomap_base = offsetof(struct tss, iomap);
	memset(tss.iomap, 0xff, sizeof(tss.iomap));
	gdt[SEL_TSS / 8] = (limit & 0xffff) | (base & 0xffffff) << 16 | 0x89ULL << 40 |
			   (base >> 24 & 0xff) << 56;
	gdt[SEL_TSS / 8 + 1] = base >> 32;
	asm volatile("ltr %w0" ::"r"(SEL_TSS) : "memory");
}

void trap_init(void)
{
	for (unsigned v = 0; v < TRAP_VECTORS; v++)
		idt_set(v, GATE_INTERRUPT, v == EXC_DF ? IST_FAULT : v == EXC_NMI ? IST_NMI : 0);
	idt_set(EXC_BP, GATE_USER_INTERRUPT, 0);
	idt_set(EXC_OF, GATE_USER_INTERRUPT, 0);
	idt_set(VEC_USER, GATE_USER_INTERRUPT, 0);
	idt_restore();
	tss_load();
}
