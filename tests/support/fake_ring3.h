/* Ring 3 of the host tests' machine: a function of the test plays every program. */
#pragma once

struct frame;

/* Changes `frame` as a stay in ring 3 would; NULL: ring 3 must not be entered. */
extern void (*fake_ring3)(struct frame *frame);
