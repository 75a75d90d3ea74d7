/* Bugs of the core, planted by words on its command line, to see that they are reported well. */
#pragma once

/*
 * panic-test, assert-test, fault-test (a write to the core's own code) or overflow-test (a stack
 * that meets its guard page): happens a moment later, when guests run. No such word: nothing.
 */
void panic_test_plan(void);
