/* The end of the road for our own bugs: everything that helps to find them, then stop. */
#include "core/boot/machine.h"
#include "core/cpu/cpu.h"
#include "core/cpu/insn.h"
#include "core/mem/layout.h"
#include "core/trace/log.h"
#include "core/trace/symbols.h"
#include "lib/base/assert.h"
#include "lib/base/format.h"

#define BACKTRACE_MAX 24

static bool in_panic;

static bool is_core_stack(u64 address)
{
	return address >= LAYOUT_CORE_START && address % 8 == 0 && address < ~0ULL - 16;
}

static void backtrace(u64 rip, u64 rbp)
{
	char name[96];

	for (u32 depth = 0; depth < BACKTRACE_MAX && rip != 0; depth++) {
		symbol_describe(rip, name, sizeof(name));
		log_error("  %016lx %s", rip, name);
		if (!is_core_stack(rbp))
			break;
		rip = ((const u64 *)rbp)[1];
		rbp = ((const u64 *)rbp)[0];
	}
}

static void registers_dump(const struct frame *f)
{
	log_error("  vector %lu error %lx cr2 %016lx cr3 %016lx", f->vector, f->error, read_cr2(),
		  read_cr3());
	log_error("  rip %016lx rsp %016lx rflags %lx cs %lx", f->rip, f->rsp, f->rflags, f->cs);
	log_error("  rax %016lx rbx %016lx rcx %016lx rdx %016lx", f->rax, f->rbx, f->rcx, f->rdx);
	log_error("  rsi %016lx rdi %016lx rbp %016lx r8  %016lx", f->rsi, f->rdi, f->rbp, f->r8);
	log_error("  r9  %016lx r10 %016lx r11 %016lx r12 %016lx", f->r9, f->r10, f->r11, f->r12);
	log_error("  r13 %016lx r14 %016lx r15 %016lx", f->r13, f->r14, f->r15);
}

static NORETURN void panic_common(const struct frame *frame, const char *text)
{
	if (in_panic)
		halt_forever();
	in_panic = true;
	log_error("PANIC: %s", text);
	log_error("this is a bug in the hypervisor; please report these lines");
	if (frame) {
		registers_dump(frame);
		backtrace(frame->rip, frame->rbp);
	} else {
		backtrace((u64)__builtin_return_address(0), (u64)__builtin_frame_address(0));
	}
	machine_off(MACHINE_PANICKED);
}

void panic(const char *format, ...)
{
	char text[192];
	va_list args;

	va_start(args, format);
	format_va(text, sizeof(text), format, args);
	va_end(args);
	panic_common(NULL, text);
}

void panic_at(const struct frame *frame, const char *format, ...)
{
	char text[192];
	va_list args;

	va_start(args, format);
	format_va(text, sizeof(text), format, args);
	va_end(args);
	panic_common(frame, text);
}

void assert_failed(const char *expression, const char *file, int line)
{
	panic("assertion failed: %s (%s:%d)", expression, file, line);
}
