/* Per-CPU timers in TSC ticks: a sorted list over one hardware timer. */
#pragma once

#include "lib/base/types.h"

#define TIMER_NEVER UINT64_MAX

struct timer {
	struct timer *next;
	u64 deadline; /* TSC; TIMER_NEVER while not queued */
	void (*fire)(struct timer *timer);
};

struct timer_queue {
	struct timer *first;
	u64 programmed; /* what the hardware will interrupt for */
};

void timer_queue_init(struct timer_queue *queue);
/* A timer that is not queued. */
void timer_init(struct timer *timer, void (*fire)(struct timer *timer));
/* Queues on this CPU, or moves, or with TIMER_NEVER takes out. */
void timer_set(struct timer *timer, u64 deadline);
/* Fires what is due on this CPU and programs the hardware for the next. */
void timer_interrupt(void);
