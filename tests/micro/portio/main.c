/*
 * Port I/O in all forms: IN, OUT and the string forms with their prefixes, on ports with and
 * without a device, faults in the middle of a string, and ring 3 through the permission bitmap
 * (APM volume 3, "IN", "INS", "OUT", "OUTS"; SDM volume 1, "Input/Output").
 */
#include "lib/base/string.h"
#include "tests/micro/lib/cpu.h"
#include "tests/micro/lib/micro.h"
#include "tests/micro/lib/paging.h"
#include "tests/micro/lib/pic.h"
#include "tests/micro/lib/serial.h"
#include "tests/micro/lib/time.h"

const char micro_name[] = "portio";

#define PORT_NOBODY   0x5f4
#define PORT_POST     0x80
#define PORT_E9	      0xe9
#define PORT_COM1     0x3f8
#define UART_SCRATCH  0x3ff
#define PCI_ADDRESS   0xcf8
#define PCI_DATA      0xcfc
#define PCI_ENABLE    BIT32(31)
#define HOST_BRIDGE   0x29c08086U
#define CMOS_RAM      0x50
#define CMOS_NMI_MASK 0x80

static void check_widths(void)
{
	u64 a;

	a = 0x1122334455667788;
	asm volatile("inb %%dx, %%al" : "+a"(a) : "d"(PORT_NOBODY));
	check_equal(a, 0x11223344556677ff, "IN AL from nobody");
	a = 0x1122334455667788;
	asm volatile("inw %%dx, %%ax" : "+a"(a) : "d"(PORT_NOBODY));
	check_equal(a, 0x112233445566ffff, "IN AX from nobody");
	a = 0x1122334455667788;
	asm volatile("inl %%dx, %%eax" : "+a"(a) : "d"(PORT_NOBODY));
	check_equal(a, 0xffffffff, "IN EAX from nobody");
	a = 0x1122334455667788;
	asm volatile(".byte 0x48, 0xed" : "+a"(a) : "d"(PORT_NOBODY));
	check_equal(a, 0xffffffff, "IN EAX with REX.W");
	a = 0x1122334455667788;
	asm volatile("in $0x21, %%al" : "+a"(a));
	check_equal(a, 0x11223344556677ff, "IN AL, imm8: all masked");
	out_byte(PORT_NOBODY, 0x12);
	out_word(PORT_NOBODY, 0x1234);
	out_dword(PORT_NOBODY, 0x12345678);
	out_byte(PORT_POST, 0x42);
	check_equal(in_byte(PORT_NOBODY), 0xff, "writes to nobody are dropped");
}

/* The upper bits of RDX and the other registers do not matter and stay. */
static void check_registers(void)
{
	u64 a = 0xaaaaaaaaaaaaaa5a, d = 0xdddddddddddd0000 + UART_SCRATCH, flags;

	asm volatile("stc; outb %%al, %%dx; inb %%dx, %%al; pushfq; popq %2"
		     : "+a"(a), "+d"(d), "=r"(flags)::"cc", "memory");
	check_equal(a, 0xaaaaaaaaaaaaaa5a, "RAX after OUT and IN");
	check_equal(d, 0xdddddddddddd0000 + UART_SCRATCH, "RDX after OUT and IN");
	check(flags & RFLAGS_CF, "flags after OUT and IN");
}

static void check_devices(void)
{
	u8 values[] = { 0, 0x55, 0xaa, 0xff, 0x5a };

	for (size_t i = 0; i < sizeof(values); i++) {
		out_byte(UART_SCRATCH, values[i]);
		check_equal(in_byte(UART_SCRATCH), values[i], "UART scratch register");
		out_byte(PIC_MASTER_DATA, values[i]);
		check_equal(in_byte(PIC_MASTER_DATA), values[i], "PIC mask register");
		cmos_write(CMOS_RAM, values[i]);
		check_equal(cmos_read(CMOS_RAM), values[i], "CMOS RAM");
		check_equal(cmos_read(CMOS_RAM | CMOS_NMI_MASK), values[i], "CMOS, NMI bit set");
	}
	pic_mask_all();
	/* A word to an 8-bit device is two bytes: the index and its data. */
	out_word(CMOS_INDEX, 0xc300 | CMOS_RAM);
	check_equal(cmos_read(CMOS_RAM), 0xc3, "a word is two bytes");
}

static void check_pci(void)
{
	out_dword(PCI_ADDRESS, PCI_ENABLE);
	check_equal(in_dword(PCI_ADDRESS), PCI_ENABLE, "PCI address register");
	check_equal(in_dword(PCI_DATA), HOST_BRIDGE, "host bridge, dword");
	check_equal(in_word(PCI_DATA), HOST_BRIDGE & 0xffff, "host bridge, low word");
	check_equal(in_word(PCI_DATA + 2), HOST_BRIDGE >> 16, "host bridge, high word");
	check_equal(in_byte(PCI_DATA + 3), HOST_BRIDGE >> 24, "host bridge, top byte");
	out_dword(PCI_ADDRESS, PCI_ENABLE | 0x1d << 11 | 7 << 8);
	check_equal(in_dword(PCI_DATA), 0xffffffff, "no such function");
	out_dword(PCI_ADDRESS, 0);
	check_equal(in_dword(PCI_DATA), 0xffffffff, "configuration access off");
}

#define STRING(insn, port, rcx, rsi, rdi) \
	asm volatile(insn : "+c"(rcx), "+S"(rsi), "+D"(rdi) : "d"(port) : "memory", "cc")

static void check_ins(void)
{
	u8 buffer[32] ALIGNED(16);
	u64 c = 5, s = 0, d = (u64)buffer;

	out_byte(UART_SCRATCH, 0x3c);
	memset(buffer, 0, sizeof(buffer));
	STRING("rep insb", UART_SCRATCH, c, s, d);
	check(c == 0 && d == (u64)buffer + 5, "REP INSB: registers");
	check(memcmp(buffer, "\x3c\x3c\x3c\x3c\x3c\0", 6) == 0, "REP INSB: bytes");
	d = (u64)buffer + 8;
	STRING("insb", UART_SCRATCH, c, s, d);
	check(d == (u64)buffer + 9 && buffer[8] == 0x3c && !buffer[9], "INSB");
	STRING("insw", PORT_NOBODY, c, s, d);
	check(d == (u64)buffer + 11 && buffer[9] == 0xff && buffer[10] == 0xff && !buffer[11],
	      "INSW");
	c = 2;
	d = (u64)buffer + 12;
	STRING("rep insl", PORT_NOBODY, c, s, d);
	check(c == 0 && d == (u64)buffer + 20 && buffer[19] == 0xff && !buffer[20], "REP INSD");
	c = 0;
	STRING("rep insb", UART_SCRATCH, c, s, d);
	check(d == (u64)buffer + 20 && !buffer[20], "REP INSB with RCX 0 does nothing");
	c = 3;
	d = (u64)buffer + 27;
	STRING("std; rep insb; cld", UART_SCRATCH, c, s, d);
	check(d == (u64)buffer + 24 && !buffer[24] && buffer[25] == 0x3c && buffer[27] == 0x3c,
	      "REP INSB downwards");
}

static void check_outs(void)
{
	u8 bytes[8] = { 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88 };
	u64 c = 3, s = (u64)bytes, d = 0;

	STRING("rep outsb", UART_SCRATCH, c, s, d);
	check(c == 0 && s == (u64)bytes + 3, "REP OUTSB: registers");
	check_equal(in_byte(UART_SCRATCH), 0x33, "REP OUTSB: last byte");
	STRING("outsb", UART_SCRATCH, c, s, d);
	check(s == (u64)bytes + 4 && in_byte(UART_SCRATCH) == 0x44, "OUTSB");
	c = 2;
	s = (u64)bytes + 6;
	STRING("std; rep outsb; cld", UART_SCRATCH, c, s, d);
	check(s == (u64)bytes + 4 && in_byte(UART_SCRATCH) == 0x66, "REP OUTSB downwards");
	wrmsr(MSR_IA32_FS_BASE, (u64)bytes);
	s = 1;
	STRING("fs outsb", UART_SCRATCH, c, s, d);
	check(s == 2 && in_byte(UART_SCRATCH) == 0x22, "OUTSB with FS");
	bytes[0] = CMOS_RAM;
	s = (u64)bytes;
	STRING("outsw", CMOS_INDEX, c, s, d);
	check(s == (u64)bytes + 2 && cmos_read(CMOS_RAM) == 0x22, "OUTSW");
	out_dword(PCI_ADDRESS, 0);
	memcpy(bytes, "\0\0\0\x80", 4);
	s = (u64)bytes;
	STRING("outsl", PCI_ADDRESS, c, s, d);
	check(s == (u64)bytes + 4 && in_dword(PCI_DATA) == HOST_BRIDGE, "OUTSD");
}

/* With 32-bit addresses only ECX, ESI and EDI count, and their upper halves become zero. */
static void check_address_size(void)
{
	static u8 buffer[8];
	u64 high = 0xabcd00000000, c = high + 2, s = 0, d = high + (u64)buffer;

	out_byte(UART_SCRATCH, 0x99);
	STRING("addr32 rep insb", UART_SCRATCH, c, s, d);
	check(c == 0 && d == (u64)buffer + 2, "INSB, 32-bit addresses: registers");
	check(buffer[1] == 0x99 && buffer[2] == 0, "INSB, 32-bit addresses: bytes");
	c = 1;
	s = high + (u64)buffer + 2;
	STRING("addr32 rep outsb", UART_SCRATCH, c, s, d);
	check(s == (u64)buffer + 3 && in_byte(UART_SCRATCH) == 0, "OUTSB, 32-bit addresses");
}

/* A page fault in the middle: what is done stays done, and the rest follows after a repair. */
static void check_string_fault(void)
{
	u8 *page = page_alloc();
	u64 window = window_map(0, (u64)page, PTE_PRESENT | PTE_WRITE);
	u64 c = 6, s = 0, d = window + PAGE_SIZE - 4;

	window_unmap(1);
	out_byte(UART_SCRATCH, 0x71);
	trap_clear();
	STRING(TRAPPING("rep insb"), UART_SCRATCH, c, s, d);
	check_fault(EXC_PF, 2, "REP INSB into an absent page");
	check_equal(trap.cr2, window + PAGE_SIZE, "CR2");
	check(c == 2 && d == window + PAGE_SIZE, "four bytes are done");
	check(page[PAGE_SIZE - 4] == 0x71 && page[PAGE_SIZE - 1] == 0x71, "and they are there");
	window_map(1, (u64)page, PTE_PRESENT | PTE_WRITE);
	STRING("rep insb", UART_SCRATCH, c, s, d);
	check(c == 0 && page[0] == 0x71 && page[1] == 0x71 && page[2] == 0, "the rest follows");
	window_map(1, (u64)page, PTE_PRESENT);
	c = 1;
	d = window + PAGE_SIZE;
	trap_clear();
	STRING(TRAPPING("rep insb"), UART_SCRATCH, c, s, d);
	check_fault(EXC_PF, 3, "REP INSB into a read-only page");
	window_unmap(1);
	c = 2;
	s = window + PAGE_SIZE - 1;
	trap_clear();
	STRING(TRAPPING("rep outsb"), UART_SCRATCH, c, s, d);
	check_fault(EXC_PF, 0, "REP OUTSB from an absent page");
	check(c == 1 && in_byte(UART_SCRATCH) == 0x71, "one byte went out");
}

/* A dword that lies on two pages that are not neighbours in memory. */
static void check_page_crossing(void)
{
	u8 *first = page_alloc(), *second = page_alloc();
	u64 window = window_map(0, (u64)second, PTE_PRESENT | PTE_WRITE), c = 3, s = 0;
	u64 d = window + PAGE_SIZE - 6;

	window_map(1, (u64)first, PTE_PRESENT | PTE_WRITE);
	STRING("rep insl", PORT_NOBODY, c, s, d);
	check(!second[PAGE_SIZE - 7] && second[PAGE_SIZE - 6] == 0xff &&
		      second[PAGE_SIZE - 1] == 0xff && first[0] == 0xff && first[5] == 0xff &&
		      !first[6],
	      "REP INSD over a page boundary");
}

static void check_long_string(void)
{
	u8 *page = page_alloc();
	u64 c = PAGE_SIZE, s = 0, d = (u64)page;

	STRING("rep insb", PORT_NOBODY, c, s, d);
	check(c == 0 && d == (u64)page + PAGE_SIZE && page[PAGE_SIZE - 1] == 0xff,
	      "REP INSB of a whole page");
	c = PAGE_SIZE / 4;
	s = (u64)page;
	STRING("rep outsl", PORT_NOBODY, c, s, d);
	check(c == 0 && s == (u64)page + PAGE_SIZE, "REP OUTSD of a whole page");
}

static void check_console(void)
{
	static const char text[] = "portio: this line was written by REP OUTSB\n";
	u64 c = sizeof(text) - 1, s = (u64)text, d = 0;

	while (c) { /* a FIFO at a time */
		u64 part = min_u64(c, 8);

		c -= part;
		serial_flush();
		STRING("rep outsb", PORT_COM1, part, s, d);
	}
	serial_flush();
	if (policy("port 0xe9 answers"))
		check_equal(in_byte(PORT_E9), 0xe9, "debug port");
}

/* Ring 3: IOPL decides first, then the bitmap in the TSS. */
static void check_user(void)
{
	extern const u8 user_in[], user_page[];
	u64 code = window_map(2, (u64)user_page, PTE_PRESENT | PTE_USER);
	u64 at = code + (u64)(user_in - user_page);

	out_byte(UART_SCRATCH, 0x2b);
	trap_clear();
	user_call(at, 0, RFLAGS_ONE, UART_SCRATCH);
	check(trap.vector == EXC_GP && trap.error == 0 && trap.rip == at + 2, "IN without right");
	trap_clear();
	check_equal(user_call(at, 0, RFLAGS_ONE | RFLAGS_IOPL, UART_SCRATCH), 0x2b, "IN, IOPL 3");
	check_equal(trap.vector, VEC_USER, "IN with IOPL 3 goes on");
	tss.iomap[UART_SCRATCH / 8] &= (u8) ~(1U << UART_SCRATCH % 8);
	trap_clear();
	check_equal(user_call(at, 0, RFLAGS_ONE, UART_SCRATCH), 0x2b, "IN through the bitmap");
	check_equal(trap.vector, VEC_USER, "IN through the bitmap goes on");
	trap_clear();
	user_call(at, 0, RFLAGS_ONE, UART_SCRATCH - 1);
	check_equal(trap.vector, EXC_GP, "IN of the port beside it");
	tss.iomap[UART_SCRATCH / 8] = 0xff;
}
asm(".pushsection .user, \"ax\"\n"
    "user_in: movl %edi, %edx\n"
    "inb %dx, %al\n"
    "movzbl %al, %eax\n"
    "int $0x80\n"
    ".popsection");

void micro_main(void)
{
	pic_init();
	check_widths();
	check_registers();
	check_devices();
	check_pci();
	check_ins();
	check_outs();
	check_address_size();
	check_string_fault();
	check_page_crossing();
	check_long_string();
	check_console();
	check_user();
}
