/*
 * One serial port, many speakers: the front guest's bytes pass unchanged; lines of the others carry
 * their VM's name. What the supervisor says stands in lines of its own.
 */
#include "lib/base/format.h"
#include "lib/base/string.h"
#include "lib/ring3/ring3.h"
#include "supervisor/supervisor.h"

#define PUT_BYTES  8U
#define LINE_BYTES (LOG_TEXT_MAX + 1)
/* Of one guest before the next has its turn: when its line ends, or in its middle. */
#define TURN_BYTES     256U
#define TURN_BYTES_MAX 1024U
#define PUT_WAIT_MS    1
#define LINE_WAIT_MS   20 /* for the rest of a line, before another guest's ends it */

/* What happens meanwhile is kept for the main loop. */
static void transmitter_wait(struct supervisor *s)
{
	s->notified |= syscall1(SYSCALL_wait, ring3_tsc() + tsc_of_ms(s, PUT_WAIT_MS));
}

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
			transmitter_wait(s);
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

/* Whether something had to be written before the guest's bytes. */
static bool line_begin(struct supervisor *s, u32 index)
{
	const char *name = s->guest[index].config->name;
	bool ended = s->console.in_line && s->console.line_owner != index;
	bool named = (ended || !s->console.in_line) && index != s->front;

	if (ended)
		console_end_line(s);
	if (named) {
		put_all(s, "[", 1, false);
		put_all(s, name, strlen(name), false);
		put_all(s, "] ", 2, false);
	}
	s->console.line_owner = index;
	s->console.in_line = true;
	s->console.guest_spoke = ring3_tsc();
	return ended || named;
}

/* A few bytes of a ring, to the end of a line if there are others; how many. */
static u32 bytes_take(const struct ring *ring, u32 used, bool by_lines, char *bytes)
{
	u32 count = 0;

	while (count < PUT_BYTES && count < used) {
		bytes[count] = (char)ring->data[(ring->tail + count) % RING_BYTES];
		if (bytes[count++] == '\n' && by_lines)
			break;
	}
	return count;
}

enum output { OUTPUT_EMPTY, OUTPUT_MORE, OUTPUT_BUSY };

/* Another guest is in the middle of a line, and its next bytes may be about to come. */
static bool has_to_wait(const struct supervisor *s, u32 index, const struct ring *ring)
{
	const struct console *c = &s->console;

	return c->in_line && c->line_owner != index && c->line_owner != MONITOR &&
	       ring_used(ring) < RING_BYTES / 2 &&
	       ring3_tsc() - c->guest_spoke < tsc_of_ms(s, LINE_WAIT_MS);
}

/* Writes some of what a guest has; OUTPUT_BUSY: the transmitter takes nothing now. */
static enum output bytes_move(struct supervisor *s, u32 index, struct ring *ring)
{
	u32 used = ring_used(ring);
	char bytes[PUT_BYTES];
	u32 count = bytes_take(ring, used, s->guest_count > 1, bytes);
	u64 packed = 0, taken = count;

	if (used == 0)
		return OUTPUT_EMPTY;
	if (line_begin(s, index)) {
		put_all(s, bytes, count, false); /* or nothing but beginnings might get through */
	} else {
		memcpy(&packed, bytes, count);
		taken = syscall2(SYSCALL_console_put, packed, count);
	}
	if (taken == 0)
		return OUTPUT_BUSY;
	s->console.in_line = bytes[taken - 1] != '\n';
	__atomic_store_n(&ring->tail, ring->tail + (u32)taken, __ATOMIC_RELEASE);
	s->console.written += (u32)taken;
	return OUTPUT_MORE;
}

static bool turn_is_over(const struct console *c)
{
	return c->written >= (c->in_line ? TURN_BYTES_MAX : TURN_BYTES);
}

/* The turn of a guest, or its rest. */
static enum output output_pump(struct supervisor *s, u32 index)
{
	struct ring *ring = &guest_channel(&s->guest[index])->from_guest;
	u32 before = s->console.written;
	enum output state = OUTPUT_MORE;

	if (has_to_wait(s, index, ring))
		return ring_used(ring) > 0 ? OUTPUT_MORE : OUTPUT_EMPTY;
	while (state == OUTPUT_MORE && !turn_is_over(&s->console))
		state = bytes_move(s, index, ring);
	if (state == OUTPUT_MORE)
		s->console.guest_spoke -= tsc_of_ms(s, LINE_WAIT_MS); /* so long a line may end */
	if (s->console.written > before)
		syscall1(SYSCALL_notify, s->guest[index].number);
	if (state != OUTPUT_BUSY)
		s->console.written = 0;
	return state;
}

void console_drain(struct supervisor *s, const struct guest *g)
{
	const struct ring *ring = &guest_channel(g)->from_guest;
	u32 first = ring->tail;

	s->console.written = 0;
	if (s->console.line_owner != (u32)(g - s->guest))
		console_end_line(s); /* its last words do not wait */
	for (;;) {
		enum output state = output_pump(s, (u32)(g - s->guest));

		if (state == OUTPUT_EMPTY || ring->tail - first >= RING_BYTES)
			break;
		if (state == OUTPUT_BUSY)
			transmitter_wait(s);
	}
	s->console.written = 0;
}

bool console_pump(struct supervisor *s)
{
	bool more = false;

	for (u32 i = 0; i < s->guest_count; i++) {
		u32 index = (s->console.turn + i) % s->guest_count;
		enum output state;

		if (!guest_exists(&s->guest[index]))
			continue;
		state = output_pump(s, index);
		if (state == OUTPUT_BUSY) { /* for everybody: its turn goes on when there is room */
			s->console.turn = index;
			return true;
		}
		more |= state == OUTPUT_MORE;
	}
	return more;
}
