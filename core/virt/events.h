/* Which event a guest gets at its next entry. */
#pragma once

#include "lib/base/types.h"

struct timer;
struct vcpu;

/* Before an entry, when vcpu->events said so, which is taken back already. True: ask the VMM for
 * the 8259's vector first. */
bool events_prepare(struct vcpu *vcpu);
/* After an exit: what the guest took. */
void events_collect(struct vcpu *vcpu);
/* Whether a vCPU in HLT has a reason to go on. */
bool events_wake_from_halt(struct vcpu *vcpu);
/* The local APIC's timer has come. */
void vcpu_timer_fire(struct timer *timer);
/*
 * Its vCPU runs again: a periodic timer that has fired goes on. One that does not run, because it
 * is paused or others are, costs no interrupts.
 */
void vcpu_timer_resume(struct vcpu *vcpu);
