/* The end of the road for our own bugs: everything that helps to find them, then stop. */
#include "core/boot/machine.h"
#include "core/cpu/apic.h"
#include "core/cpu/cpu.h"
#include "core/cpu/insn.h"
#include "core/cpu/serial.h"
#include "core/mem/layout.h"
#include "core/trace/exit_trace.h"
#include "core/trace/log.h"
#include "core/trace/symbols.h"
#include "lib/base/assert.h"
#include "lib/base/format.h"
#include "lib/x86/registers.h"

#define BACKTRACE_MAX 16
#define EXITS_SHOWN   16
#define NO_VECTOR     ~0ULL /* panic(): no exception led here */

extern u8 core_text_start[], core_text_end[];

bool panicking;
bool panicking;
static u32 panics;
static const struct cpu *panicker; /* NULL: nobody yet */

/* A frame pointer that can be followed: further up the same stack. */
static bool is_caller(u64 rbp, u64 rsp)
{
	return rsp >= LAYOUT_CORE_START && rbp % 8 == 0 && rbp >= rsp &&
	       rbp - rsp < BOOT_STACK_BYTES;
}

static void code_log(u64 address, bool is_return, const char *remark)
{
	char name[96];

	symbol_describe(address, is_return, name, sizeof(name));
	log_error("  %016lx %s%s", address, name, remark);
}

/* A function that calls none may have no frame: then its caller is where its stack points. */
static void leaf_caller_log(const struct frame *frame)
{
	const u64 *stack = (const u64 *)frame->rsp;

	if (is_caller(frame->rbp, frame->rsp) && *stack >= (u64)core_text_start &&
	    *stack < (u64)core_text_end)
		code_log(*stack, true, " (perhaps)");
}

static void backtrace(const struct frame *frame)
{
	u64 rip = frame->rip, rbp = frame->rbp, rsp = frame->rsp;

	log_error("backtrace:");
	code_log(rip, frame->vector == NO_VECTOR, "");
	if (frame->vector < EXC_COUNT && frame->vector != EXC_DF) /* whose stack may be gone */
		leaf_caller_log(frame);
	for (u32 depth = 1; depth < BACKTRACE_MAX && is_caller(rbp, rsp); depth++) {
		rsp = rbp + 2 * sizeof(u64);
		rip = ((const u64 *)rbp)[1];
		rbp = ((const u64 *)rbp)[0];
		if (rip == 0)
			break;
		code_log(rip, true, "");
	}
}

static void registers_dump(const struct frame *f)
{
	/* Three a line: no wider than 80 columns. */
	log_error("registers:");
	if (f->vector != NO_VECTOR)
		log_error("vector %lu error %lx", f->vector, f->error);
	log_error("cr2 %016lx cr3 %016lx cs  %016lx", read_cr2(), read_cr3(), f->cs);
	log_error("rip %016lx rsp %016lx rbp %016lx", f->rip, f->rsp, f->rbp);
	log_error("rax %016lx rbx %016lx rcx %016lx", f->rax, f->rbx, f->rcx);
	log_error("rdx %016lx rsi %016lx rdi %016lx", f->rdx, f->rsi, f->rdi);
	log_error("r8  %016lx r9  %016lx r10 %016lx", f->r8, f->r9, f->r10);
	log_error("r11 %016lx r12 %016lx r13 %016lx", f->r11, f->r12, f->r13);
	log_error("r14 %016lx r15 %016lx rfl %016lx", f->r14, f->r15, f->rflags);
}

static void report(const struct frame *frame, u64 tsc)
{
	log_error("this is a bug in the hypervisor; please report these lines");
	log_error("last exits on CPU %u:", this_cpu()->index);
	exit_trace_log(&this_cpu()->info.exits, EXITS_SHOWN, tsc);
	registers_dump(frame);
	backtrace(frame);
}

/* An NMI finds the others wherever they are; see trap_core(). */
static void others_stop(void)
{
	panicking = true;
	for (u32 i = 0; i < cpu_count; i++) {
		if (cpu_table[i] != this_cpu())
			apic_send(cpu_table[i]->apic_id, APIC_NMI, 0);
	}
}

static NORETURN void panic_stop(const struct frame *frame, const char *format, va_list args)
{
	const struct cpu *first = NULL;
	u64 tsc = rdtsc();
	char text[192];

	/* A machine check comes to all at once: they must not stop each other. */
	if (!__atomic_compare_exchange_n(&panicker, &first, this_cpu(), false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE) &&
	    first != this_cpu())
		halt_forever();
	if (panics++ > 1)
		halt_forever();
	others_stop();
	log_unlocked = true;
	format_va(text, sizeof(text), format, args);
	serial_put('\r'); /* a guest's line may be unfinished */
	serial_put('\n');
	log_error("PANIC: %s", text);
	if (panics == 1) { /* a panic in the report ends it */
		report(frame, tsc);
		log_error("stopped by: %s", text); /* the first line may have left the screen */
	}
	machine_off(MACHINE_PANICKED);
}

/* As panic()'s caller left them, as far as the code up to here has not used them. */
#define CAPTURE(frame, register) \
	__asm__ volatile("movq %%" #register ", %0" : "=m"((frame).register))

void panic(const char *format, ...)
{
	struct frame frame;
	va_list args;

	CAPTURE(frame, rax);
	CAPTURE(frame, rbx);
	CAPTURE(frame, rcx);
	CAPTURE(frame, rdx);
	CAPTURE(frame, rsi);
	CAPTURE(frame, rdi);
	CAPTURE(frame, r8);
	CAPTURE(frame, r9);
	CAPTURE(frame, r10);
	CAPTURE(frame, r11);
	CAPTURE(frame, r12);
	CAPTURE(frame, r13);
	CAPTURE(frame, r14);
	CAPTURE(frame, r15);
	__asm__ volatile("pushfq; popq %0" : "=r"(frame.rflags));
	frame.rbp = *(const u64 *)__builtin_frame_address(0);
	frame.rsp = (u64)__builtin_frame_address(0) + 2 * sizeof(u64);
	frame.rip = (u64)__builtin_return_address(0);
	frame.cs = SELECTOR_CORE_CODE;
	frame.vector = NO_VECTOR;
	va_start(args, format);
	panic_stop(&frame, format, args);
}

void panic_at(const struct frame *frame, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	panic_stop(frame, format, args);
}

void assert_failed(const char *expression, const char *file, int line)
{
	panic("assertion failed: %s (%s:%d)", expression, file, line);
}
