/*
 * The first process of the measured boot: says the TSC and the kernel's own clock at its first
 * instruction, what a few operations of a process cost, and powers the machine off. No C library.
 * Prints lines BENCH NAME VALUE, in ticks of the TSC except kernel-clock, which is nanoseconds.
 */
#include <asm/ioctls.h>
#include <linux/mman.h>
#include <linux/reboot.h>
#include <linux/time.h>
#include <stddef.h>
#include <sys/syscall.h>

#define ROUNDS	   32
#define BATCHES	   8
#define PAGE_BYTES 4096
#define PAGES	   1024

static char arena[PAGES * PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));

static long call(long number, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return result;
}

static unsigned long tsc(void)
{
	unsigned long low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
	return high << 32 | low;
}

static void put(char **at, const char *text)
{
	while (*text)
		*(*at)++ = *text++;
}

static void say(const char *name, unsigned long value)
{
	char line[96], digits[20], *at = line;
	int count = 0;

	put(&at, "BENCH ");
	put(&at, name);
	put(&at, " ");
	do
		digits[count++] = (char)('0' + value % 10);
	while (value /= 10);
	while (count)
		*at++ = digits[--count];
	*at++ = '\n';
	call(SYS_write, 1, (long)line, at - line, 0);
}

static unsigned long kernel_clock(void)
{
	struct timespec now;

	call(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&now, 0, 0);
	return (unsigned long)now.tv_sec * 1000000000 + (unsigned long)now.tv_nsec;
}

/* The child is this program again; its one argument makes it end at once. */
static void fork_exec_wait(void)
{
	static const char *const words[] = { "/init", "end", NULL };
	long child = call(SYS_fork, 0, 0, 0, 0);

	if (child == 0)
		call(SYS_execve, (long)words[0], (long)words, 0, 0);
	call(SYS_wait4, child, 0, 0, 0);
}

static void system_call(void)
{
	call(SYS_getppid, 0, 0, 0, 0);
}

static void clock_gettime(void)
{
	kernel_clock();
}

static void page_fault(void)
{
	static char *next = arena;

	*next = 1;
	next += PAGE_BYTES;
}

/* Of several batches the one that the fewest timer interrupts hit. */
static void measure(const char *name, void (*operation)(void), unsigned long rounds)
{
	unsigned long least = ~0UL;

	for (int batch = 0; batch < BATCHES; batch++) {
		unsigned long start = tsc();

		for (unsigned long i = 0; i < rounds; i++)
			operation();
		start = tsc() - start;
		least = start < least ? start : least;
	}
	say(name, least / rounds);
}

void start(const long *stack);
void start(const long *stack)
{
	unsigned long first = tsc();

	if (stack[0] > 1 && ((const char *)stack[2])[0] == 'e')
		call(SYS_exit, 0, 0, 0, 0);
	say("init", first);
	say("kernel-clock", kernel_clock());
	call(SYS_madvise, (long)arena, sizeof(arena), MADV_NOHUGEPAGE, 0);
	measure("system-call", system_call, ROUNDS);
	measure("clock-gettime", clock_gettime, ROUNDS);
	measure("page-fault", page_fault, PAGES / BATCHES);
	measure("fork-exec-wait", fork_exec_wait, ROUNDS / BATCHES);
	call(SYS_ioctl, 1, TCSBRK, 1,
	     0); /* until the last line is out: the kernel's would cut in */
	call(SYS_reboot, (long)LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_POWER_OFF,
	     0);
}

__asm__(".globl _start\n_start: mov %rsp, %rdi\n and $-16, %rsp\n call start\n");
