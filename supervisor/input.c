/* What is typed: keys of the console itself, the monitor's, or the front guest's. */
#include "lib/ring3/ring3.h"
#include "supervisor/supervisor.h"

#define NO_BYTE ~0ULL
/* A guest that takes nothing for so long does not hold up the keys behind what it does not take. */
#define STUCK_MS 1000

static const char *front_name(const struct supervisor *s)
{
	return s->front == MONITOR ? "the monitor" : s->guest[s->front].config->name;
}

void input_front(struct supervisor *s, u32 index)
{
	if (s->front != MONITOR)
		s->monitor.back = s->front;
	s->front = index;
	s->input.full_since = 0;
	if (index == MONITOR)
		monitor_begin(s);
	else
		console_say(s, "ringfence: console of VM %s%s (Ctrl-A h: help)", front_name(s),
			    s->guest[index].life == VM_PAUSED ? ", which is paused" : "");
}

/* The first living guest from `index` on; `index` itself if there is none. */
static u32 living_from(const struct supervisor *s, u32 index)
{
	for (u32 i = 0; i < s->guest_count; i++) {
		u32 at = (index + i) % s->guest_count;

		if (guest_lives(&s->guest[at]))
			return at;
	}
	return index;
}

static void front_next(struct supervisor *s)
{
	u32 next = living_from(s, s->front == MONITOR ? s->monitor.back : s->front + 1);

	if (next == s->front)
		console_say(s, "ringfence: console of VM %s: there is no other", front_name(s));
	else if (!guest_lives(&s->guest[next]))
		console_say(s, "ringfence: every VM is off: there is no other console");
	else
		input_front(s, next);
}

void input_check(struct supervisor *s)
{
	u32 next;

	if (s->front == MONITOR || guest_lives(&s->guest[s->front]))
		return;
	next = living_from(s, s->front);
	if (next != s->front)
		input_front(s, next);
}

/* Whether the front guest has no room, and may yet take what it has. */
static bool front_is_full(struct supervisor *s)
{
	const struct ring *ring;

	if (s->front == MONITOR || !guest_exists(&s->guest[s->front]))
		return false;
	ring = &guest_channel(&s->guest[s->front])->to_guest;
	if (ring_used(ring) < RING_BYTES) {
		s->input.full_since = 0;
		return false;
	}
	if (s->input.full_since == 0)
		s->input.full_since = ring3_tsc();
	return ring3_tsc() - s->input.full_since < tsc_of_ms(s, STUCK_MS);
}

/* What comes while nobody runs there, or has no room for long, is dropped. */
static bool guest_byte(const struct guest *g, u8 byte)
{
	return guest_exists(g) && ring_put(&guest_channel(g)->to_guest, byte);
}

static void key_handle(struct supervisor *s, enum escape_action action, u8 byte)
{
	switch (action) {
	case ESCAPE_NEXT:
		front_next(s);
		break;
	case ESCAPE_MONITOR:
		if (s->front != MONITOR)
			input_front(s, MONITOR);
		break;
	case ESCAPE_HELP:
		monitor_help_keys(s);
		break;
	case ESCAPE_UNKNOWN:
		if (byte >= ' ' && byte <= '~')
			console_say(s, "ringfence: Ctrl-A %c means nothing: Ctrl-A h for help",
				    byte);
		else
			console_say(s, "ringfence: this key means nothing: Ctrl-A h for help");
		break;
	case ESCAPE_BYTE:
	case ESCAPE_NOTHING:
		break;
	}
}

bool input_pump(struct supervisor *s)
{
	u64 touched = 0; /* guests that got something */
	bool full;

	while (!(full = front_is_full(s))) {
		u64 got = syscall1(SYSCALL_console_get, 0);
		u8 byte = (u8)got;
		enum escape_action action;

		if (got == NO_BYTE)
			break;
		action = escape_feed(&s->input.escape, &byte);
		if (action != ESCAPE_BYTE)
			key_handle(s, action, byte);
		else if (s->front == MONITOR)
			monitor_byte(s, byte);
		else if (guest_byte(&s->guest[s->front], byte))
			touched |= BIT64(s->front);
	}
	for (u32 i = 0; i < s->guest_count; i++) {
		if ((touched & BIT64(i)) && guest_exists(&s->guest[i]))
			syscall1(SYSCALL_notify, s->guest[i].number);
	}
	return full;
}
