/*
 * Device memory is emulated: every instruction form that a driver may use on it must do to a
 * device what it does to RAM, so each runs on RAM first and the processor itself says what is
 * right. Devices: the I/O APIC's select register (8 bits wide), the local APIC, and a place where
 * nothing answers (APM volume 3, "General-Purpose Instruction Reference"; 82093AA data sheet).
 */
#include "lib/base/string.h"
#include "tests/micro/lib/cpu.h"
#include "tests/micro/lib/lapic.h"
#include "tests/micro/lib/micro.h"
#include "tests/micro/lib/paging.h"
#include "tests/micro/lib/pic.h"

const char micro_name[] = "mmio";

#define HOLE		 0xf0000800ULL /* in the PCI hole; no device is there */
#define SELECT_TEXT	 "0xfec00000"  /* IOREGSEL for the assembler */
#define SELECT_BITS	 0xffU
#define BUFFER_BYTES	 1024U
#define BUFFER_MIDDLE	 512U
#define REDIR_HIGH_PIN20 (IOAPIC_REDIR + 2 * 20 + 1)
#define DESTINATION_BITS 0xff000000U

struct form {
	const char *text;
	void (*code)(void);
	u64 width, flags, hole_only;
};
extern const struct form forms_begin[], forms_end[];

struct form_registers {
	u64 rax, rcx, rdx, rsi, rdi, rflags;
	void (*code)(void);
};
void form_run(struct form_registers *registers);
extern const u8 relative_read[], relative_write[], relative_end[], compat_forms[];

static u8 ram[BUFFER_BYTES] ALIGNED(64);
static u8 scratch_for_ram[64] ALIGNED(256), scratch_for_device[64] ALIGNED(256);

static struct form_registers run_at(const struct form *form, u64 address, u8 *scratch)
{
	struct form_registers r = {
		.rax = 0xfedcba9876543201,
		.rcx = 2,
		.rdx = 0x0123456789abcdef,
		.rsi = (u64)scratch,
		.rdi = address,
		.rflags = RFLAGS_ONE | RFLAGS_CF | RFLAGS_ZF,
		.code = form->code,
	};

	for (unsigned i = 0; i < sizeof(scratch_for_ram); i++)
		scratch[i] = (u8)(i * 7 + 3);
	wrmsr(MSR_IA32_FS_BASE, address);
	form_run(&r);
	r.rsi -= (u64)scratch;
	r.rdi -= address;
	return r;
}

static void compare(const struct form *form, struct form_registers got, struct form_registers want)
{
	bool same = got.rax == want.rax && got.rcx == want.rcx && got.rdx == want.rdx;

	same &= got.rsi - want.rsi == 0 && got.rdi == want.rdi;
	check(same, "%s: rax %lx, not %lx, rdx %lx, not %lx, rdi +%lx, not +%lx", form->text,
	      got.rax, want.rax, got.rdx, want.rdx, got.rdi, want.rdi);
	check(((got.rflags ^ want.rflags) & form->flags) == 0, "%s: flags %lx, not %lx", form->text,
	      got.rflags & form->flags, want.rflags & form->flags);
	check(memcmp(scratch_for_device, scratch_for_ram, sizeof(scratch_for_ram)) == 0,
	      "%s: memory of RSI", form->text);
}

/* The select register keeps what was written; it is 32 bits wide and its upper bits read zero. */
static void form_on_select(const struct form *form, u8 value)
{
	struct form_registers want, got;
	u32 left;

	memset(ram, 0, sizeof(ram));
	ram[BUFFER_MIDDLE] = value;
	want = run_at(form, (u64)ram + BUFFER_MIDDLE, scratch_for_ram);
	mmio_write(IOREGSEL, value);
	got = run_at(form, IOREGSEL, scratch_for_device);
	left = mmio_read(IOREGSEL);
	compare(form, got, want);
	check((left & SELECT_BITS) == ram[BUFFER_MIDDLE], "%s on %x leaves %x, not %x", form->text,
	      value, left, ram[BUFFER_MIDDLE]);
}

/* Where nothing answers, reads give the same as ever and writes are lost. */
static void form_on_hole(const struct form *form, u8 nothing)
{
	struct form_registers want, got;

	memset(ram, nothing, sizeof(ram));
	want = run_at(form, (u64)ram + BUFFER_MIDDLE, scratch_for_ram);
	got = run_at(form, HOLE, scratch_for_device);
	compare(form, got, want);
}

static void check_forms(void)
{
	u8 nothing = 0xff;

	if (!policy("memory where nothing answers reads ones"))
		nothing = (u8)mmio_read(HOLE);
	check(mmio_read(HOLE) == nothing * 0x01010101U, "the hole reads %x", mmio_read(HOLE));
	for (const struct form *form = forms_begin; form < forms_end; form++) {
		if (!form->hole_only && form->width <= sizeof(u32)) {
			form_on_select(form, 0x01);
			form_on_select(form, 0xa6);
		}
		form_on_hole(form, nothing);
	}
}

/* MOV between the accumulator and a 64-bit absolute address. */
static void check_absolute(void)
{
	u64 a = 0x1122334455667788;

	asm volatile("movabsl %%eax, " SELECT_TEXT : "+a"(a)::"memory");
	check_equal(mmio_read(IOREGSEL) & SELECT_BITS, 0x88, "MOV to an absolute address");
	asm volatile("movabsb " SELECT_TEXT ", %%al" : "+a"(a)::"memory");
	check_equal(a, 0x1122334455667788, "MOV AL from an absolute address");
	mmio_write(IOREGSEL, 0x17);
	asm volatile("movabsw " SELECT_TEXT ", %%ax" : "+a"(a)::"memory");
	check_equal(a, 0x1122334455660017, "MOV AX from an absolute address");
	asm volatile("movabsl " SELECT_TEXT ", %%eax" : "+a"(a)::"memory");
	check_equal(a, 0x17, "MOV EAX from an absolute address");
}

/* Displacements count from the end of the instruction, immediate included. */
static void check_relative(void)
{
	u8 *page = page_alloc();
	u64 code, a;

	memcpy(page, relative_read, (size_t)(relative_end - relative_read));
	window_map(0, IOAPIC_BASE, PTE_PRESENT | PTE_WRITE);
	code = window_map(1, (u64)page, PTE_PRESENT);
	mmio_write(IOREGSEL, 0x63);
	asm volatile("call *%1" : "=a"(a) : "r"(code) : "memory");
	check_equal(a, 0x63, "RIP-relative read");
	asm volatile("call *%1"
		     : "=a"(a)
		     : "r"(code + (u64)(relative_write - relative_read))
		     : "memory");
	check_equal(mmio_read(IOREGSEL), 0x2c, "RIP-relative write with an immediate");
}

/* The instruction itself lies on two pages that are not neighbours in memory. */
static void check_code_crossing(void)
{
	static const u8 code[] = {
		0xc7, 0x04, 0x25, 0x00, 0x00, 0xc0, 0xfe, 0x39, 0x00, 0x00, 0x00, 0xc3
	}; /* movl $0x39, disp32; ret */
	u8 *second = page_alloc(), *first = page_alloc();
	u64 window = window_map(2, (u64)first, PTE_PRESENT);

	/* A sign-extended disp32 reaches the device through an alias in the top 2 GiB only. */
	pml4[511] = pml4[0];
	pdpt[511] = pdpt[3];
	window_map(3, (u64)second, PTE_PRESENT);
	for (unsigned split = 1; split < sizeof(code); split++) {
		u64 start = window + PAGE_SIZE - split;

		memcpy(first + PAGE_SIZE - split, code, split);
		memcpy(second, code + split, sizeof(code) - split);
		mmio_write(IOREGSEL, 0);
		asm volatile("call *%0" ::"r"(start) : "memory");
		check(mmio_read(IOREGSEL) == 0x39, "instruction split after %u bytes", split);
	}
	pdpt[511] = 0;
	pml4[511] = 0;
	write_cr3(read_cr3());
}

/* An access that begins in RAM and ends in a device. */
static void check_data_crossing(void)
{
	u8 *page = page_alloc();
	u64 window = window_map(4, (u64)page, PTE_PRESENT | PTE_WRITE);
	u32 value;

	window_map(5, IOAPIC_BASE, PTE_PRESENT | PTE_WRITE);
	page[PAGE_SIZE - 2] = 0x34;
	page[PAGE_SIZE - 1] = 0x12;
	mmio_write(IOREGSEL, 0x5e);
	value = mmio_read(window + PAGE_SIZE - 2);
	check_equal(value & 0xffffff, 0x5e1234, "read over the edge of RAM into a device");
	mmio_write(window + PAGE_SIZE - 3, 0x77665544);
	check(page[PAGE_SIZE - 3] == 0x44 && page[PAGE_SIZE - 2] == 0x55 &&
		      page[PAGE_SIZE - 1] == 0x66,
	      "write over the edge of RAM: RAM part");
	check_equal(mmio_read(IOREGSEL), 0x77, "write over the edge of RAM: device part");
}

/* The guest's own page tables come first: rights, accessed and dirty bits. */
static void check_paging(void)
{
	u64 window = window_map(6, IOAPIC_BASE, PTE_PRESENT);

	mmio_write(IOREGSEL, 0x11);
	check_equal(mmio_read(window), 0x11, "read through a read-only page");
	check((window_pt[6] & (PTE_ACCESSED | PTE_DIRTY)) == PTE_ACCESSED, "accessed, not dirty");
	TRY("movl $1, (%0)", "r"(window));
	check_fault(EXC_PF, 3, "write to a read-only page");
	check_equal(trap.cr2, window, "CR2");
	TRY("addl $1, (%0)", "r"(window));
	check_fault(EXC_PF, 3, "read-modify-write of a read-only page");
	check_equal(mmio_read(IOREGSEL), 0x11, "the device saw no write");
	window = window_map(6, IOAPIC_BASE, PTE_PRESENT | PTE_WRITE);
	mmio_write(window, 0x12);
	check((window_pt[6] & (PTE_ACCESSED | PTE_DIRTY)) == (PTE_ACCESSED | PTE_DIRTY),
	      "accessed and dirty");
	window_unmap(7);
	TRY("movl $-1, (%0)", "r"(window + PAGE_SIZE - 2));
	check_fault(EXC_PF, 2, "write from a device page into an absent page");
	check_equal(trap.cr2, window + PAGE_SIZE, "CR2 of the second page");
}

/* Ring 3 reads and writes a device that is mapped for it. */
static void check_user(void)
{
	extern const u8 user_mmio[], user_page[];
	u64 code = window_map(8, (u64)user_page, PTE_PRESENT | PTE_USER);
	u64 device = window_map(9, IOAPIC_BASE, PTE_PRESENT | PTE_WRITE | PTE_USER);

	mmio_write(IOREGSEL, 0x20);
	trap_clear();
	check_equal(user_call(code + (u64)(user_mmio - user_page), 0, RFLAGS_ONE, device), 0x21,
		    "read-modify-write in ring 3");
	check_equal(trap.vector, VEC_USER, "ring 3 went on");
}
asm(".pushsection .user, \"ax\"\n"
    "user_mmio: incl (%rdi)\n"
    "movl (%rdi), %eax\n"
    "int $0x80\n"
    ".popsection");

static void check_compat(void)
{
	check_equal(compat_call(compat_forms, 0), 0x633244, "32-bit code");
}

/* Registers behind the window keep what the data sheet says they keep. */
static void check_ioapic(void)
{
	u32 version = ioapic_read(IOAPIC_VERSION);

	check((version >> 16 & 0xff) == 23, "24 pins, version %x", version);
	ioapic_write(REDIR_HIGH_PIN20, 0xa5000000);
	check_equal(ioapic_read(REDIR_HIGH_PIN20) & DESTINATION_BITS, 0xa5000000, "destination");
	mmio_write(IOREGSEL, REDIR_HIGH_PIN20);
	asm volatile("lock xorl %1, (%0)" ::"r"(IOWIN), "r"(0xff000000) : "memory");
	check_equal(mmio_read(IOWIN) & DESTINATION_BITS, 0x5a000000, "XOR on a register");
	ioapic_write(REDIR_HIGH_PIN20, 0);
}

/* The local APIC's page takes the same forms. */
static void check_lapic(void)
{
	u64 tpr = LAPIC_BASE + LAPIC_TPR, value = 0;

	lapic_init();
	asm volatile("orl $0x50, (%0)" ::"r"(tpr) : "memory");
	check_equal(mmio_read(tpr), 0x50, "OR on TPR");
	asm volatile("andl %1, (%0)" ::"r"(tpr), "r"(0xf0) : "memory");
	check_equal(read_cr8(), 5, "CR8 after AND on TPR");
	value = 0x30;
	asm volatile("xchgl %k0, (%1)" : "+r"(value) : "r"(tpr) : "memory");
	check_equal(value, 0x50, "XCHG on TPR");
	asm volatile("movl $0, (%0); movzbl (%0), %k1" : : "r"(tpr), "r"(value) : "memory");
	check_equal(read_cr8(), 0, "CR8 after MOV to TPR");
	asm volatile("stosl" : "+D"(tpr) : "a"(0x20) : "memory");
	check_equal(read_cr8(), 2, "CR8 after STOS to TPR");
	write_cr8(0);
	check_equal(mmio_read(LAPIC_BASE + LAPIC_TPR), 0, "TPR after MOV to CR8");
}

void micro_main(void)
{
	check_ioapic();
	check_absolute();
	check_paging();
	check_relative();
	check_code_crossing();
	check_data_crossing();
	check_user();
	check_compat();
	check_lapic();
	check_forms();
}
