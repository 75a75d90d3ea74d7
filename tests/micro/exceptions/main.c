/*
 * Every exception that a guest can raise: vector, error code, RIP, CR2, and what happens when
 * the delivery of one meets another (APM volume 2, "Exceptions and Interrupts").
 */
#include "lib/base/string.h"
#include "tests/micro/lib/cpu.h"
#include "tests/micro/lib/layout.h"
#include "tests/micro/lib/micro.h"
#include "tests/micro/lib/paging.h"

const char micro_name[] = "exceptions";

#define NON_CANONICAL  0x8000000000000000ULL
#define PTE_RESERVED   BIT64(51)
#define ERROR_IDT      BIT64(1)
#define ERROR_EXTERNAL BIT64(0)
#define SEL_BEYOND     0x1000
#define DR7_L0	       BIT64(0)
#define DR7_WRITE0     BIT64(16)
#define DR7_LENGTH0_4  (3ULL << 18)

extern const u8 compat_into[], compat_bound[], compat_cpuid[], user_page[];

/* Error code for the gate of `vector`; QEMU counts in gates of 16 bytes where 8 is right. */
static u64 gate_error(u64 vector)
{
	static u64 unit;

	if (!unit)
		unit = tcg_lacks("the right error code for gates") ? 16 : 8;
	return vector * unit + ERROR_IDT;
}

static void check_arithmetic(void)
{
	u64 a = 1, d = 0;

	trap_clear();
	asm volatile(TRAPPING("divq %2") : "+a"(a), "+d"(d) : "r"(0ULL) : "cc", "memory");
	check_fault(EXC_DE, 0, "division by zero");
	check(a == 1 && d == 0, "#DE changes no register");
	a = 0;
	d = 2;
	trap_clear();
	asm volatile(TRAPPING("divq %2") : "+a"(a), "+d"(d) : "r"(2ULL) : "cc", "memory");
	check_fault(EXC_DE, 0, "quotient too large");
	compat_call(compat_into, 0);
	check(trap.vector == EXC_OF && trap.offset == 1 && trap.cs == SEL_CODE32, "INTO");
	trap_clear();
	compat_call(compat_bound, 0);
	check_fault(EXC_BR, 0, "BOUND");
	check_equal(compat_call(compat_cpuid, 0), cpuid(0, 0).eax, "CPUID in 32-bit code");
}

/* INT3 and INT n are traps: RIP is behind them, with a prefix too. */
static void check_software(void)
{
	TRY("int3");
	check(trap.vector == EXC_BP && trap.offset == 1 && trap.error == 0, "INT3");
	TRY(".byte 0xcd, 3");
	check(trap.vector == EXC_BP && trap.offset == 2, "INT 3, two bytes");
	TRY("int $4");
	check(trap.vector == EXC_OF && trap.offset == 2, "INT 4");
	TRY("int $0x55");
	check(trap.vector == 0x55 && trap.offset == 2, "INT 0x55");
}

static void check_invalid(void)
{
	TRY("ud2");
	check_fault(EXC_UD, 0, "UD2");
	TRY("lock; nop");
	check_fault(EXC_UD, 0, "LOCK NOP");
	TRY(".byte 0x06");
	check_fault(EXC_UD, 0, "PUSH ES in 64-bit mode");
	TRY(".byte 0xce");
	check_fault(EXC_UD, 0, "INTO in 64-bit mode");
	TRY(".byte 0x0f, 0x0b");
	check_fault(EXC_UD, 0, "0F 0B");
	TRY("mov %%cr1, %%rax", "a"(0));
	check_fault(EXC_UD, 0, "CR1");
	TRY("mov %0, %%cr5", "a"(0ULL));
	check_fault(EXC_UD, 0, "CR5");
}

/* #NM, #MF: the floating-point unit under CR0.TS, EM and NE. */
static void check_fpu(void)
{
	u16 control = 0x037b; /* division by zero is not masked */
	u64 cr0 = read_cr0();

	write_cr0(cr0 | CR0_TS);
	TRY("fnop");
	check_fault(EXC_NM, 0, "x87 under CR0.TS");
	asm volatile("clts");
	check_equal(read_cr0(), cr0, "CLTS");
	write_cr0(cr0 | CR0_EM);
	TRY("fnop");
	check_fault(EXC_NM, 0, "x87 under CR0.EM");
	write_cr0(cr0 | CR0_TS);
	TRY("wait");
	check_fault(EXC_NM, 0, "WAIT under CR0.TS and MP");
	write_cr0(cr0);
	asm volatile("fninit; fldcw %0; fld1; fldz; fdivrp" ::"m"(control));
	TRY("wait");
	check_fault(EXC_MF, 0, "pending x87 exception");
	asm volatile("fnclex; fninit");
}

static void check_simd(void)
{
	u32 mxcsr = 0x1d80, normal = 0x1f80; /* division by zero is not masked */

	check(write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT), "SSE on");
	if (tcg_lacks("SIMD exceptions"))
		return;
	asm volatile("ldmxcsr %0" ::"m"(mxcsr));
	asm volatile("pcmpeqd %%xmm0, %%xmm0; pslld $25, %%xmm0; psrld $2, %%xmm0; "
		     "xorps %%xmm1, %%xmm1" ::
			     : "memory");
	TRY("divps %%xmm1, %%xmm0", "a"(0));
	check_fault(EXC_XM, 0, "SIMD division by zero");
	asm volatile("ldmxcsr %0" ::"m"(normal));
}

static void check_segments(void)
{
	TRY("mov %0, %%ds", "r"(SEL_BEYOND | 3));
	check_fault(EXC_GP, SEL_BEYOND, "selector beyond the GDT");
	TRY("mov %0, %%ds", "r"(SEL_ABSENT_DATA));
	check_fault(EXC_NP, SEL_ABSENT_DATA, "absent data segment");
	TRY("mov %0, %%ss", "r"(SEL_ABSENT_DATA));
	check_fault(EXC_SS, SEL_ABSENT_DATA, "absent stack segment");
	TRY("mov %0, %%ss", "r"(SEL_CODE64));
	check_fault(EXC_GP, SEL_CODE64, "code as stack segment");
	TRY("ltr %w0", "r"(SEL_DATA));
	check_fault(EXC_GP, SEL_DATA, "LTR of a data segment");
	TRY("ltr %w0", "r"(SEL_TSS));
	check_fault(EXC_GP, SEL_TSS, "LTR of a busy TSS");
	TRY("lldt %w0", "r"(SEL_CODE64));
	check_fault(EXC_GP, SEL_CODE64, "LLDT of a code segment");
	trap_clear();
	asm volatile("pushq %0; pushq $0;" TRAPPING("lretq") "addq $16, %%rsp" ::"i"(SEL_DATA)
		     : "memory");
	check_fault(EXC_GP, SEL_DATA, "far return to data");
	trap_clear();
	asm volatile(
		"pushq %0; pushq $0;" TRAPPING("lretq") "addq $16, %%rsp" ::"i"(SEL_ABSENT_CODE)
		: "memory");
	check_fault(EXC_NP, SEL_ABSENT_CODE, "far return to absent code");
}

static void check_canonical(void)
{
	TRY("cmpl $0, (%0)", "r"(NON_CANONICAL));
	check_fault(EXC_GP, 0, "non-canonical address");
	trap_clear();
	asm volatile("pushq %%rbp; movq %0, %%rbp;" TRAPPING("cmpl $0, (%%rbp)") "popq %%rbp"
		     :
		     : "r"(NON_CANONICAL)
		     : "memory", "cc");
	if (!tcg_lacks("#SS for non-canonical stack addresses"))
		check_fault(EXC_SS, 0, "non-canonical stack address");
	trap_clear();
	try_jump(NON_CANONICAL);
	check(trap.vector == EXC_GP && trap.error == 0, "jump to a non-canonical address");
}

struct page_fault {
	const char *text;
	u64 flags;
	char access; /* read, write, fetch; upper case: in ring 3 */
	u64 error;
};

static const struct page_fault page_faults[] = {
	{ "read, absent", 0, 'r', 0 },
	{ "write, absent", 0, 'w', PF_WRITE },
	{ "fetch, absent", 0, 'f', PF_FETCH },
	{ "write, read-only", PTE_PRESENT, 'w', PF_PRESENT | PF_WRITE },
	{ "fetch, no-execute", PTE_PRESENT | PTE_NX, 'f', PF_PRESENT | PF_FETCH },
	{ "read, reserved bit", PTE_PRESENT | PTE_RESERVED, 'r', PF_PRESENT | PF_RESERVED },
	{ "write, reserved bit", PTE_PRESENT | PTE_WRITE | PTE_RESERVED, 'w',
	  PF_PRESENT | PF_RESERVED | PF_WRITE },
	{ "user read, absent", 0, 'R', PF_USER },
	{ "user write, absent", 0, 'W', PF_USER | PF_WRITE },
	{ "user fetch, absent", 0, 'F', PF_USER | PF_FETCH },
	{ "user read, supervisor page", PTE_PRESENT | PTE_WRITE, 'R', PF_USER | PF_PRESENT },
	{ "user write, supervisor page", PTE_PRESENT | PTE_WRITE, 'W',
	  PF_USER | PF_PRESENT | PF_WRITE },
	{ "user write, read-only", PTE_PRESENT | PTE_USER, 'W', PF_USER | PF_PRESENT | PF_WRITE },
	{ "user fetch, supervisor page", PTE_PRESENT, 'F', PF_USER | PF_PRESENT | PF_FETCH },
	{ "user fetch, no-execute", PTE_PRESENT | PTE_USER | PTE_NX, 'F',
	  PF_USER | PF_PRESENT | PF_FETCH },
};

static void access_page(char access, u64 page, u64 user_code)
{
	extern const u8 user_read[], user_write[], user_fetch[];

	trap_clear();
	switch (access) {
	case 'r':
		TRY("cmpl $0, (%0)", "r"(page));
		break;
	case 'w':
		TRY("movl $0, (%0)", "r"(page));
		break;
	case 'f':
		try_jump(page);
		break;
	case 'R':
		user_call(user_code + (u64)(user_read - user_page), 0, RFLAGS_ONE, page);
		break;
	case 'W':
		user_call(user_code + (u64)(user_write - user_page), 0, RFLAGS_ONE, page);
		break;
	default:
		user_call(user_code + (u64)(user_fetch - user_page), 0, RFLAGS_ONE, page);
	}
}
asm(".pushsection .user, \"ax\"\n"
    "user_read: movl (%rdi), %eax\n"
    "int $0x80\n"
    "user_write: movl %eax, (%rdi)\n"
    "int $0x80\n"
    "user_fetch: jmp *%rdi\n"
    "user_ud2: ud2\n"
    "user_int: int $0x55\n"
    "user_cli: cli\n"
    "user_hlt: hlt\n"
    ".popsection");

static void check_page_faults(void)
{
	u64 code = window_map(0, (u64)user_page, PTE_PRESENT | PTE_USER);
	u64 physical = (u64)page_alloc(), lost = 0;

	if (tcg_lacks("the P bit of #PF for reserved bits"))
		lost = PF_PRESENT;
	for (size_t i = 0; i < ARRAY_SIZE(page_faults); i++) {
		const struct page_fault *f = &page_faults[i];
		u64 page = window_map(1, physical, f->flags) + 0x123;
		u64 error = f->error & PF_RESERVED ? f->error & ~lost : f->error;

		access_page(f->access, page, code);
		check(trap.count == 1 && trap.vector == EXC_PF && trap.error == error &&
			      trap.cr2 == page,
		      "%s: vector %lu error %lx cr2 +%lx", f->text, trap.vector, trap.error,
		      trap.cr2 - page);
	}
	window_unmap(1);
}

static void check_user(void)
{
	extern const u8 user_ud2[], user_int[], user_cli[], user_hlt[];
	u64 code = window_map(0, (u64)user_page, PTE_PRESENT | PTE_USER);

	user_call(code + (u64)(user_ud2 - user_page), 0x1000, RFLAGS_ONE, 0);
	check(trap.vector == EXC_UD && trap.cs == SEL_USER_CODE && trap.ss == SEL_USER_DATA &&
		      trap.rsp == 0x1000,
	      "#UD in ring 3");
	user_call(code + (u64)(user_int - user_page), 0, RFLAGS_ONE, 0);
	check(trap.vector == EXC_GP && trap.error == gate_error(0x55), "INT to a ring 0 gate");
	user_call(code + (u64)(user_cli - user_page), 0, RFLAGS_ONE, 0);
	check(trap.vector == EXC_GP && trap.error == 0, "CLI in ring 3");
	user_call(code + (u64)(user_hlt - user_page), 0, RFLAGS_ONE, 0);
	check(trap.vector == EXC_GP && trap.error == 0, "HLT in ring 3");
	if (tcg_lacks("alignment checks"))
		return;
	write_cr0(read_cr0() | CR0_AM);
	extern const u8 user_read[];
	user_call(code + (u64)(user_read - user_page), 0, RFLAGS_ONE | RFLAGS_AC, code + 1);
	check(trap.vector == EXC_AC && trap.error == 0, "misaligned read with AC set");
	write_cr0(read_cr0() & ~CR0_AM);
}

static void check_debug(void)
{
	static u32 watched;
	u64 here;

	if (!tcg_lacks("INT1")) {
		TRY(".byte 0xf1");
		check(trap.vector == EXC_DB && trap.offset == 1, "INT1");
	}
	trap_clear();
	asm volatile("pushfq; orl %0, (%%rsp); popfq;" TRAPPING("nop; nop")::"i"(RFLAGS_TF)
		     : "memory", "cc");
	check(trap.count == 1 && trap.vector == EXC_DB && trap.offset == 1 && trap.dr6 & DR6_BS,
	      "single step: +%lu, DR6 %lx", trap.offset, trap.dr6);
	asm volatile("leaq 771f(%%rip), %0; movq %0, %%dr0" : "=r"(here));
	write_dr7(DR7_RESET | DR7_L0);
	trap_clear();
	asm volatile("leaq 771f(%%rip), %0; movq %0, %%dr0;" TRAPPING("nop; nop")
		     : "=r"(here)::"memory");
	check(trap.vector == EXC_DB && trap.offset == 0 && trap.dr6 & DR6_B0, "code breakpoint");
	check(!(trap.dr6 & DR6_BS), "code breakpoint is no single step");
	write_dr7(DR7_RESET | DR7_L0 | DR7_WRITE0 | DR7_LENGTH0_4);
	write_dr0((u64)&watched);
	TRY("movl $7, %0; nop", "m"(watched));
	check(trap.vector == EXC_DB && trap.offset > 0 && trap.dr6 & DR6_B0 && watched == 7,
	      "data breakpoint");
	cpuid(0, 0); /* an exit */
	check_equal(read_dr0(), (u64)&watched, "DR0 after an exit");
	check_equal(read_dr7(), DR7_RESET | DR7_L0 | DR7_WRITE0 | DR7_LENGTH0_4,
		    "DR7 after an exit");
	TRY("movl $8, %0; nop", "m"(watched));
	check(trap.vector == EXC_DB && watched == 8, "data breakpoint after an exit");
	write_dr7(DR7_RESET);
	TRY("movl $9, %0; nop", "m"(watched));
	check_no_fault("breakpoint off");
}

/* An IDT of which the gates below `split` lie in one page and the others in the next. */
static u64 split_idt(unsigned split, bool low_present, bool high_present)
{
	static u8 *low, *high;
	u64 window, base;

	if (!low) {
		low = page_alloc();
		high = page_alloc();
	}
	window = window_map(2, (u64)low, PTE_PRESENT | PTE_WRITE);
	window_map(3, (u64)high, PTE_PRESENT | PTE_WRITE);
	base = window + PAGE_SIZE - split * sizeof(struct idt_gate);
	memcpy((void *)base, idt, sizeof(idt) / 2);
	window_map(2, (u64)low, low_present ? PTE_PRESENT | PTE_WRITE : 0);
	window_map(3, (u64)high, high_present ? PTE_PRESENT | PTE_WRITE : 0);
	idt_load(base, sizeof(idt) / 2 - 1);
	return base;
}

/* The page fault of the second exception's delivery comes in place of the first exception. */
static void check_gate_page_absent(void)
{
	u64 base = split_idt(8, false, true);

	TRY("ud2");
	check_fault(EXC_PF, 0, "#UD, gate in an absent page");
	check(trap.cr2 >= base + 6 * 16 && trap.cr2 < base + 7 * 16, "CR2 is in the gate");
	TRY("int $3");
	check_fault(EXC_PF, 0, "INT 3, gate in an absent page");
	base = split_idt(14, true, false);
	TRY("cmpl $0, (%0)", "r"(WINDOW_BASE + 100 * PAGE_SIZE));
	check(trap.count == 1 && trap.vector == EXC_DF && trap.error == 0,
	      "#PF in a #PF is a double fault");
	split_idt(14, false, true);
	TRY("cmpl $0, (%0)", "r"(NON_CANONICAL));
	check(trap.count == 1 && trap.vector == EXC_PF && trap.error == 0,
	      "#PF in a #GP comes as #PF: vector %lu error %lx", trap.vector, trap.error);
	idt_restore();
}

static void check_gate_absent(void)
{
	idt[EXC_UD].type = GATE_ABSENT;
	TRY("ud2");
	check(trap.vector == EXC_NP && (trap.error & ~ERROR_EXTERNAL) == gate_error(EXC_UD),
	      "#UD, gate absent: vector %lu error %lx", trap.vector, trap.error);
	TRY("int $6");
	check_fault(EXC_NP, gate_error(EXC_UD), "INT 6, gate absent");
	idt[EXC_UD].type = GATE_INTERRUPT;
	idt[EXC_GP].type = GATE_ABSENT;
	TRY("cmpl $0, (%0)", "r"(NON_CANONICAL));
	check(trap.count == 1 && trap.vector == EXC_DF && trap.error == 0,
	      "#NP in a #GP is a double fault");
	idt[EXC_GP].type = GATE_INTERRUPT;
	idt[EXC_DE].selector = SEL_DATA;
	TRY("divl %0", "r"(0), "a"(0), "d"(0));
	check(trap.count == 1 && trap.vector == EXC_DF, "#GP in a #DE is a double fault");
	idt[EXC_DE].selector = SEL_CODE64;
	idt_load((u64)idt, 0x20 * 16 - 1);
	TRY("int $0x55");
	check_fault(EXC_GP, gate_error(0x55), "INT beyond the IDT");
	idt_restore();
}

/* Ring 3 faults while the ring 0 stack is absent. */
static void check_stack_absent(void)
{
	extern const u8 user_ud2[];
	u64 code = window_map(0, (u64)user_page, PTE_PRESENT | PTE_USER);
	u64 good = tss.rsp[0], stack = WINDOW_BASE + 5 * PAGE_SIZE;

	window_unmap(4);
	tss.rsp[0] = stack;
	trap_clear();
	user_call(code + (u64)(user_ud2 - user_page), 0, RFLAGS_ONE, 0);
	check(trap.vector == EXC_DF && trap.error == 0, "stack absent for #UD and #PF");
	idt[EXC_PF].ist = IST_FAULT;
	trap_clear();
	user_call(code + (u64)(user_ud2 - user_page), 0, RFLAGS_ONE, 0);
	check(trap.count == 1 && trap.vector == EXC_PF && trap.error == PF_WRITE &&
		      trap.cr2 == stack - 8,
	      "stack absent for #UD: vector %lu error %lx", trap.vector, trap.error);
	idt[EXC_PF].ist = 0;
	tss.rsp[0] = good;
}

/*
 * Delivery onto memory that nobody has touched yet: where the hypervisor must do something first,
 * the event must come once, neither lost nor doubled.
 */
static void check_fresh_stack(void)
{
	u64 page = align_down(ram_end(), PAGE_SIZE) - 64 * PAGE_SIZE;

	idt[EXC_UD].ist = 3;
	idt[0x55].ist = 3;
	for (unsigned i = 0; i < 32; i++, page += 2 * PAGE_SIZE) {
		tss.ist[2] = page;
		TRY("ud2");
		check(trap_is_fault(EXC_UD, 0), "#UD onto fresh memory: %lu x %lu", trap.count,
		      trap.vector);
		tss.ist[2] = page + PAGE_SIZE;
		TRY("int $0x55");
		check(trap.count == 1 && trap.vector == 0x55 && trap.offset == 2,
		      "INT onto fresh memory");
	}
	idt[EXC_UD].ist = 0;
	idt[0x55].ist = 0;
}

void micro_main(void)
{
	check_arithmetic();
	check_software();
	check_invalid();
	check_fpu();
	check_simd();
	check_segments();
	check_canonical();
	check_page_faults();
	check_user();
	check_debug();
	check_gate_page_absent();
	check_gate_absent();
	check_stack_absent();
	check_fresh_stack();
}
