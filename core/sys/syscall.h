/* Entry of system calls; the contracts are in lib/abi/syscall.def. */
#pragma once

struct thread;

void syscall_dispatch(struct thread *thread);
