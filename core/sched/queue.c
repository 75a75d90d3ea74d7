/* Weighted fair queueing with a cap: no state but that of threads, shares and the queue. */
#include "core/sched/queue.h"

#include "core/cpu/apic.h"
#include "core/cpu/cpu.h"
#include "core/sys/process.h"

#define PERIOD_US 50000 /* over which a cap holds */
#define CREDIT_US 2000	/* that one who slept may be behind, so that it runs at once */
#define MARGIN_US 1000	/* behind which nobody goes first before the slice ends */
#define LOAD_UNIT 16
/* Of virtual time, which wraps: nobody gets that far ahead. Who seems to be was away for long. */
#define LEAD_MAX BIT64(48)

static u64 period_ticks(void)
{
	return tsc_from_us(PERIOD_US);
}

static struct share *share_of(const struct thread *thread)
{
	return &thread->process->share;
}

static u32 active_of(const struct share *share)
{
	u32 active = __atomic_load_n(&share->active, __ATOMIC_RELAXED);

	return active > 0 ? active : 1;
}

u32 thread_load(const struct thread *thread)
{
	const struct share *share = share_of(thread);

	return share->weight * LOAD_UNIT / active_of(share);
}

static bool is_before(u64 vtime, u64 other)
{
	return (s64)(vtime - other) < 0;
}

static u64 budget(const struct share *share)
{
	return period_ticks() * share->cap_percent / 100;
}

/* What was used too much is owed; what was left is lost. A processor may come late with its now. */
static void period_roll(struct share *share, u64 now)
{
	u64 period = max_u64(now / period_ticks(), share->period);
	u64 earned = (period - share->period) * budget(share);

	share->used = share->used > earned ? share->used - earned : 0;
	share->period = period;
}

void share_charge(struct thread *thread, u64 ticks, u64 now)
{
	struct share *share = share_of(thread);

	thread->vtime += ticks * active_of(share) * MANIFEST_WEIGHT_DEFAULT / share->weight;
	if (share->cap_percent == 0)
		return;
	spin_lock(&share->lock);
	period_roll(share, now);
	share->used += ticks;
	spin_unlock(&share->lock);
}

u64 share_left(struct share *share, u64 now)
{
	u64 left;

	if (share->cap_percent == 0)
		return ~0ULL;
	spin_lock(&share->lock);
	period_roll(share, now);
	left = budget(share) > share->used ? budget(share) - share->used : 0;
	spin_unlock(&share->lock);
	return left;
}

u64 share_period_end(u64 now)
{
	return (now / period_ticks() + 1) * period_ticks();
}

void queue_add(struct run_queue *queue, struct thread *thread)
{
	struct thread **link = &queue->first;

	if (thread->state == THREAD_BLOCKED || thread->state == THREAD_NEW) {
		__atomic_add_fetch(&share_of(thread)->active, 1, __ATOMIC_RELAXED);
		thread->fresh = true;
	}
	thread->state = THREAD_READY;
	if (thread->process->paused && !thread->killed) {
		thread->fresh = true;
		return;
	}
	while (*link)
		link = &(*link)->next;
	thread->next = NULL;
	*link = thread;
}

void queue_remove(struct run_queue *queue, const struct thread *thread)
{
	struct thread **link = &queue->first;

	while (*link && *link != thread)
		link = &(*link)->next;
	if (*link)
		*link = thread->next;
}

void queue_settle(struct run_queue *queue, const struct thread *current, u64 now)
{
	u64 credit = tsc_from_us(CREDIT_US);
	const u64 nobody = queue->floor + LEAD_MAX;
	u64 least = current ? current->vtime : nobody;
	u32 load = current ? thread_load(current) : 0;

	queue->throttled = false;
	for (struct thread *t = queue->first; t; t = t->next) {
		t->throttled = share_left(share_of(t), now) == 0;
		t->fresh |= t->throttled;
		queue->throttled |= t->throttled;
		load += t->throttled ? 0 : thread_load(t);
		if (!t->fresh && is_before(t->vtime, least))
			least = t->vtime;
	}
	queue->load = load;
	if (least != nobody && is_before(queue->floor, least))
		queue->floor = least;
	for (struct thread *t = queue->first; t; t = t->next) {
		if (t->fresh && t->vtime - (queue->floor - credit) > LEAD_MAX)
			t->vtime = queue->floor - credit;
		t->fresh = t->throttled;
	}
}

/* Who yields is last, those whom it may be waiting for are first. */
static u32 rank(const struct thread *thread, const struct thread *yields)
{
	if (!yields)
		return 0;
	return thread == yields ? 2 : thread->process != yields->process;
}

struct thread *queue_take(struct run_queue *queue, const struct thread *yields, u64 now)
{
	struct thread *best = NULL;

	queue_settle(queue, NULL, now);
	for (struct thread *t = queue->first; t; t = t->next) {
		if (t->killed) {
			best = t; /* to its end */
			break;
		}
		if (t->throttled)
			continue;
		if (!best || rank(t, yields) < rank(best, yields) ||
		    (rank(t, yields) == rank(best, yields) && is_before(t->vtime, best->vtime)))
			best = t;
	}
	if (best)
		queue_remove(queue, best);
	return best;
}

bool queue_preempts(const struct run_queue *queue, const struct thread *current)
{
	for (const struct thread *t = queue->first; t; t = t->next) {
		if (!t->throttled && is_before(t->vtime + tsc_from_us(MARGIN_US), current->vtime))
			return true;
	}
	return false;
}

struct thread *queue_give(struct run_queue *queue, u32 to_index, u32 to_load)
{
	for (struct thread *t = queue->first; t; t = t->next) {
		/* A fresh one is throttled, or new here: its virtual time means nothing yet. */
		if (t->killed || t->fresh || !(share_of(t)->allowed >> to_index & 1) ||
		    queue->load <= to_load + thread_load(t))
			continue;
		queue_remove(queue, t);
		queue->load -= thread_load(t);
		return t;
	}
	return NULL;
}
