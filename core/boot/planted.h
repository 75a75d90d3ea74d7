/* Bugs that tests plant, by words on the core's command line: a debug build's only. */
#pragma once

#ifdef DEBUG
/* A moment after this the bug happens that the command line asks for, if any. */
void planted_bug_arm(void);
/* Another processor starts as badly as the command line asks for. */
void planted_bad_start(void);
#else
static inline void planted_bug_arm(void)
{
}

static inline void planted_bad_start(void)
{
}
#endif
