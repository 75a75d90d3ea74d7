/*
 * One serial port, many guests: the front guest's bytes pass unchanged; lines of the others carry
 * their VM's name.
 */
#include "lib/abi/layout.h"
#include "lib/base/format.h"
#include "lib/base/string.h"
#include "lib/ring3/ring3.h"
#include "supervisor/supervisor.h"

#define PUT_BYTES   8U
#define LINE_BYTES  (LOG_TEXT_MAX + 1)
#define BURST_BYTES 256U /* of one guest before the next has its turn */

static bool at_line_start = true;
static u32 line_owner; /* guest whose line is unfinished on the console */

/* Waits for the transmitter: for the supervisor's own lines only. */
static void put_all(const char *text, size_t length)
{
	while (length > 0) {
		u64 packed = 0;
		size_t count = length < PUT_BYTES ? length : PUT_BYTES;
		u64 taken;

		memcpy(&packed, text, count);
		taken = syscall2(SYSCALL_console_put, packed, count);
		text += taken;
		length -= taken;
	}
}

void console_line(struct supervisor *s, const char *text, ...)
{
	char line[LINE_BYTES];
	va_list args;
	size_t length;

	(void)s;
	va_start(args, text);
	length = format_va(line, sizeof(line), text, args);
	va_end(args);
	if (!at_line_start)
		put_all("\r\n", 2);
	/* Through the core's log: to the serial port and to the screen. */
	syscall2(SYSCALL_log, (u64)line, length);
	at_line_start = true;
}

static void line_begin(const struct supervisor *s, u32 index)
{
	if (!at_line_start && line_owner != index) {
		put_all("\r\n", 2);
		at_line_start = true;
	}
	if (at_line_start && s->guest_count > 1 && index != s->front) {
		const char *name = s->guest[index].config->name;

		put_all("[", 1);
		put_all(name, strlen(name));
		put_all("] ", 2);
	}
	line_owner = index;
}

/* Writes what the transmitter takes now. True: the guest has more. */
static bool output_pump(struct supervisor *s, u32 index)
{
	struct ring *ring = &guest_channel(&s->guest[index])->from_guest;
	u32 moved = 0;

	while (ring_used(ring) > 0 && moved < BURST_BYTES) {
		u32 tail = ring->tail;
		u32 count = 0;
		u64 packed = 0, taken;

		line_begin(s, index);
		while (count < PUT_BYTES && count < ring_used(ring)) {
			u8 byte = ring->data[(tail + count) % RING_BYTES];

			packed |= (u64)byte << (8 * count++);
			at_line_start = byte == '\n';
			if (at_line_start && s->guest_count > 1)
				break;
		}
		taken = syscall2(SYSCALL_console_put, packed, count);
		if (taken < count)
			at_line_start = false;
		__atomic_store_n(&ring->tail, tail + (u32)taken, __ATOMIC_RELEASE);
		moved += (u32)taken;
		if (taken == 0)
			break;
	}
	if (moved > 0)
		syscall1(SYSCALL_notify, s->guest[index].number);
	return ring_used(ring) > 0;
}

/*
 * Bytes for the front guest; what comes while nobody runs there is dropped. True: its ring is full,
 * and the rest stays in the port until the guest has read.
 */
static bool input_pump(struct supervisor *s)
{
	struct guest *g = &s->guest[s->front];
	bool running = g->life == VM_RUNNING;
	struct ring *ring = running ? &guest_channel(g)->to_guest : NULL;
	bool moved = false, full = false;

	while (!(full = running && ring_used(ring) >= RING_BYTES)) {
		u64 byte = syscall1(SYSCALL_console_get, 0);

		if (byte == ~0ULL)
			break;
		if (running)
			moved |= ring_put(ring, (u8)byte);
	}
	if (moved)
		syscall1(SYSCALL_notify, g->number);
	return full;
}

void console_drain(struct supervisor *s, const struct guest *g)
{
	const struct ring *ring = &guest_channel(g)->from_guest;
	u32 first = ring->tail;

	while (output_pump(s, (u32)(g - s->guest)) && ring->tail - first < RING_BYTES)
		;
}

bool console_pump(struct supervisor *s)
{
	bool more = input_pump(s);

	for (u32 i = 0; i < s->guest_count; i++) {
		if (s->guest[i].life == VM_RUNNING)
			more |= output_pump(s, i);
	}
	return more;
}
