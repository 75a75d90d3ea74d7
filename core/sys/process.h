/* Ring-3 processes of root mode: the supervisor, and one VMM a VM. */
#pragma once

#include "core/boot/boot_info.h"
#include "core/cpu/lock.h"
#include "core/mem/frames.h"
#include "core/mem/paging.h"
#include "core/sched/sched.h"
#include "core/sched/share.h"
#include "lib/abi/syscall.h"

#define PROCESS_MAX	65 /* supervisor and VM_MAX VMMs */
#define PROCESS_THREADS 64

struct vm;

/*
 * Guards what makes and ends processes and VMs: their tables, physical pages, the heap, the core's
 * page tables; vCPUs without a thread. On a guest's way only when its local APIC changes its mode.
 */
extern struct spinlock system_lock;

struct process {
	u32 number; /* 0: the supervisor */
	char name[40];
	enum process_status status;
	bool paused;	    /* set by sched_pause() */
	struct share share; /* set before its first thread starts */
	struct page_table space;
	struct thread *threads[PROCESS_THREADS]; /* 0 is the main thread */
	struct vm *vm;				 /* whose VMM it is, NULL for the supervisor */
};

/* Frames of a process, and the page tables made for it: two owners, so neither can pass for the
 * other. */
static inline frame_owner_t process_owner(const struct process *p)
{
	return (frame_owner_t)(FRAME_OWNER_PROCESS + 2 * p->number);
}

static inline frame_owner_t process_table_owner(const struct process *p)
{
	return (frame_owner_t)(process_owner(p) + 1);
}

/* A process from an ELF module, its main thread not yet started. ERR_*: nothing is left behind. */
MUST_USE enum err process_create(const char *name, const struct boot_module *module,
				 struct process **out);
/* Another thread, started at once. */
MUST_USE enum err process_thread_start(struct process *p, u32 index, struct vcpu *vcpu, u64 entry);
/* Ends all threads; the memory stays until process_destroy(). */
void process_stop(struct process *p, enum process_status status);
void process_destroy(struct process *p);

/* Kills the process of a thread that faulted, with a dump. */
void process_fault(struct thread *thread);
/* Kills it for breaking a contract. */
void process_kill(struct process *p, const char *why);

/* Makes the process's address space the current one. */
void process_load(struct process *p);
/* This CPU does not use its address space any more. */
void process_leave(const struct process *p);
/* Whether all of its threads are dead, wherever they ran. */
bool process_is_over(const struct process *p);
struct process *process_supervisor(void);
/* NULL: no such process. */
struct process *process_find(u32 number);

static inline struct thread *process_main(const struct process *p)
{
	return p->threads[0];
}

/* Maps memory into the process. */
MUST_USE enum err process_map(struct process *p, u64 virtual, hpa_t physical, u64 bytes, u32 flags);
/* A page-table builder's memory: tables owned by the process. */
struct paging_memory process_table_memory(struct process *p);

/* Copies between the core and ring-3 memory of a process. False: not mapped, or not allowed. */
MUST_USE bool user_read(struct process *p, u64 from, void *to, u64 bytes);
MUST_USE bool user_write(struct process *p, u64 to, const void *from, u64 bytes);
