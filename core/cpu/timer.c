/* The hardware is programmed only when the earliest deadline moves forward. */
#include "core/cpu/timer.h"

#include "core/cpu/apic.h"
#include "core/cpu/cpu.h"
#include "core/cpu/insn.h"

void timer_queue_init(struct timer_queue *queue)
{
	queue->first = NULL;
	queue->programmed = TIMER_NEVER;
}

void timer_init(struct timer *timer, void (*fire)(struct timer *timer))
{
	timer->next = NULL;
	timer->deadline = TIMER_NEVER;
	timer->fire = fire;
}

static void timer_remove(struct timer_queue *queue, struct timer *timer)
{
	struct timer **link = &queue->first;

	while (*link && *link != timer)
		link = &(*link)->next;
	if (*link)
		*link = timer->next;
	timer->deadline = TIMER_NEVER;
}

static void timer_insert(struct timer_queue *queue, struct timer *timer, u64 deadline)
{
	struct timer **link = &queue->first;

	while (*link && (*link)->deadline <= deadline)
		link = &(*link)->next;
	timer->next = *link;
	timer->deadline = deadline;
	*link = timer;
}

static void hardware_program(struct timer_queue *queue)
{
	u64 deadline = queue->first ? queue->first->deadline : TIMER_NEVER;

	if (deadline < queue->programmed) {
		queue->programmed = deadline;
		apic_timer_arm(deadline);
	}
}

void timer_set(struct timer *timer, u64 deadline)
{
	struct timer_queue *queue = &this_cpu()->timers;

	if (timer->deadline != TIMER_NEVER)
		timer_remove(queue, timer);
	if (deadline == TIMER_NEVER)
		return;
	timer_insert(queue, timer, deadline);
	hardware_program(queue);
}

void timer_interrupt(void)
{
	struct timer_queue *queue = &this_cpu()->timers;
	u64 now = rdtsc();

	while (queue->first && queue->first->deadline <= now) {
		struct timer *timer = queue->first;

		queue->first = timer->next;
		timer->deadline = TIMER_NEVER;
		timer->fire(timer);
	}
	queue->programmed = TIMER_NEVER;
	hardware_program(queue);
}
