/* Start, checks and end of a micro guest (Multiboot Specification, "Boot information format"). */
#include "tests/micro/lib/micro.h"

#include "lib/base/format.h"
#include "lib/base/string.h"
#include "tests/micro/lib/cpu.h"
#include "tests/micro/lib/layout.h"
#include "tests/micro/lib/serial.h"
#include "tests/micro/lib/trap.h"

#define PORT_TEST_EXIT 0xf4
#define PORT_PM1A_CNT  0x604
#define PM1_SLP_EN     BIT32(13)
#define LINE_BYTES     256U

#define MB_FLAG_MEMORY	BIT32(0)
#define MB_FLAG_CMDLINE BIT32(2)

struct multiboot_info {
	u32 flags, mem_lower_kib, mem_upper_kib, boot_device, cmdline;
};

extern u32 boot_magic, boot_info;
void micro_start(void);

static struct {
	unsigned checks, failures;
	char first[LINE_BYTES];
	bool bare, tcg, bochs;
} state;

static const struct multiboot_info *info(void)
{
	return (const struct multiboot_info *)(u64)boot_info;
}

static void say_line(const char *format, va_list args)
{
	char line[LINE_BYTES];

	format_va(line, sizeof(line), format, args);
	serial_write(line);
	serial_write("\n");
}

void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_line(format, args);
	va_end(args);
}

/* The test port ends the machine; ACPI is the fallback; else the machine stands still. */
static NORETURN void micro_end(void)
{
	if (state.failures)
		say("MICRO FAIL %s: %s", micro_name, state.first);
	else
		say("MICRO PASS %s (%u checks)", micro_name, state.checks);
	serial_flush();
	irq_disable();
	out_byte(PORT_TEST_EXIT, state.failures ? 1 : 0);
	out_word(PORT_PM1A_CNT, PM1_SLP_EN);
	for (;;)
		asm volatile("cli; hlt" ::: "memory");
}

static void format_to(char *out, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	format_va(out, LINE_BYTES, format, args);
	va_end(args);
}

static void failed(const char *file, int line, const char *text)
{
	char whole[LINE_BYTES];

	format_to(whole, "%s (%s:%d)", text, file, line);
	say("failed: %s", whole);
	if (state.failures++ == 0)
		memcpy(state.first, whole, sizeof(whole));
}

bool check_that(bool ok, const char *file, int line, const char *format, ...)
{
	char text[LINE_BYTES];
	va_list args;

	state.checks++;
	if (ok)
		return true;
	va_start(args, format);
	format_va(text, sizeof(text), format, args);
	va_end(args);
	failed(file, line, text);
	return false;
}

void micro_fail(const char *format, ...)
{
	char text[LINE_BYTES];
	va_list args;

	va_start(args, format);
	format_va(text, sizeof(text), format, args);
	va_end(args);
	failed("after check", (int)state.checks, text);
	micro_end();
}

bool policy(const char *what)
{
	if (state.bare)
		say("bare, not checked: %s", what);
	return !state.bare;
}

bool tcg_lacks(const char *what)
{
	if (state.tcg)
		say("{%s: tcg lacks %s}", micro_name, what);
	return state.tcg;
}

bool bochs_lacks(const char *what)
{
	if (state.bochs)
		say("{%s: bochs lacks %s}", micro_name, what);
	return state.bochs;
}

bool told(const char *word)
{
	size_t length = strlen(word);

	if (!(info()->flags & MB_FLAG_CMDLINE))
		return false;
	for (const char *at = (const char *)(u64)info()->cmdline; *at;) {
		size_t n = 0;

		while (at[n] && at[n] != ' ')
			n++;
		if (n == length && memcmp(at, word, n) == 0)
			return true;
		at += n;
		while (*at == ' ')
			at++;
	}
	return false;
}

u64 ram_end(void)
{
	return MIB + info()->mem_upper_kib * KIB;
}

void micro_start(void)
{
	serial_init();
	trap_init();
	check_equal(boot_magic, MULTIBOOT_MAGIC, "EAX at entry");
	check(info()->flags & MB_FLAG_MEMORY, "multiboot tells the memory size");
	state.bare = told("bare");
	state.tcg = told("tcg");
	state.bochs = told("bochs");
	micro_main();
	micro_end();
}
