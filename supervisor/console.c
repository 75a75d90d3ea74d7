/*
 * One serial port, many speakers: the front guest's bytes pass unchanged; lines of the others carry
 * their VM's name. What the supervisor says stands in lines of its own.
 */
#include "lib/base/format.h"
#include "lib/base/string.h"
#include "lib/ring3/ring3.h"
#include "supervisor/supervisor.h"

#define PUT_BYTES   8U
#define LINE_BYTES  (LOG_TEXT_MAX + 1)
#define BURST_BYTES 256U /* of one guest before the next has its turn */
#define PUT_WAIT_MS 1

/* To the serial port and, if it is the supervisor's own, the screen; waits for the transmitter. */
static void put_all(struct supervisor *s, const char *text, size_t length, bool screen)
{
	while (length > 0) {
		u64 packed = 0;
		size_t count = length < PUT_BYTES ? length : PUT_BYTES;
		u64 taken;

		memcpy(&packed, text, count);
		taken = syscall3(SYSCALL_console_put, packed, count, screen);
		text += taken;
		length -= taken;
		if (taken == 0)
			s->notified |=
				syscall1(SYSCALL_wait, ring3_tsc() + tsc_of_ms(s, PUT_WAIT_MS));
	}
}

void console_end_line(struct supervisor *s)
{
	/* The screen shows nothing of guests' lines. */
	if (s->console.in_line)
		put_all(s, "\r\n", 2, s->console.line_owner == MONITOR);
	s->console.in_line = false;
}

void console_line(struct supervisor *s, const char *text, ...)
{
	char line[LINE_BYTES];
	va_list args;
	size_t length;

	va_start(args, text);
	length = format_va(line, sizeof(line), text, args);
	va_end(args);
	console_end_line(s);
	/* Through the core's log: to the serial port and to the screen. */
	syscall2(SYSCALL_log, (u64)line, length);
}

void console_say(struct supervisor *s, const char *text, ...)
{
	char line[CONSOLE_SAY_BYTES];
	va_list args;
	size_t length;

	va_start(args, text);
	length = format_va(line, sizeof(line), text, args);
	va_end(args);
	console_end_line(s);
	put_all(s, line, length, true);
	put_all(s, "\r\n", 2, true);
}

void console_echo(struct supervisor *s, const char *text, size_t length)
{
	if (s->console.line_owner != MONITOR)
		console_end_line(s);
	s->console.line_owner = MONITOR;
	s->console.in_line = true;
	put_all(s, text, length, true);
}

static void line_begin(struct supervisor *s, u32 index)
{
	const char *name = s->guest[index].config->name;

	if (s->console.line_owner != index)
		console_end_line(s);
	if (!s->console.in_line && index != s->front) {
		put_all(s, "[", 1, false);
		put_all(s, name, strlen(name), false);
		put_all(s, "] ", 2, false);
	}
	s->console.line_owner = index;
	s->console.in_line = true;
	s->console.guest_spoke = ring3_tsc();
}

/* A few bytes of a ring, to the end of a line if it is not the front guest's; how many. */
static u32 bytes_pack(const struct ring *ring, u32 used, bool by_lines, u64 *packed, u8 *last)
{
	u32 count = 0;

	*packed = 0;
	while (count < PUT_BYTES && count < used) {
		*last = ring->data[(ring->tail + count) % RING_BYTES];
		*packed |= (u64)*last << (8 * count++);
		if (by_lines && *last == '\n')
			break;
	}
	return count;
}

/* Writes what the transmitter takes now. True: the guest has more. */
static bool output_pump(struct supervisor *s, u32 index)
{
	struct ring *ring = &guest_channel(&s->guest[index])->from_guest;
	u32 moved = 0, used;

	while ((used = ring_used(ring)) > 0 && moved < BURST_BYTES) {
		u64 packed, taken;
		u32 count;
		u8 last = 0;

		line_begin(s, index);
		count = bytes_pack(ring, used, index != s->front, &packed, &last);
		taken = syscall2(SYSCALL_console_put, packed, count);
		if (taken == 0)
			break;
		s->console.in_line = taken < count || last != '\n';
		__atomic_store_n(&ring->tail, ring->tail + (u32)taken, __ATOMIC_RELEASE);
		moved += (u32)taken;
	}
	if (moved > 0)
		syscall1(SYSCALL_notify, s->guest[index].number);
	return ring_used(ring) > 0;
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
	bool more = false;

	for (u32 i = 0; i < s->guest_count; i++) {
		if (guest_exists(&s->guest[i]))
			more |= output_pump(s, i);
	}
	return more;
}
