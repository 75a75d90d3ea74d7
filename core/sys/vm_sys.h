/* Making, feeding and unmaking VMs on the supervisor's behalf. */
#pragma once

#include "core/virt/vm.h"
#include "lib/abi/syscall.h"

/* ERR_*: nothing is left behind. */
MUST_USE enum err vm_create(const struct vm_request *request, u32 *number);
/* One block of memory; ERR_AGAIN while more is missing. */
MUST_USE enum err vm_ram_add(struct vm *vm);
MUST_USE enum err vm_destroy(struct vm *vm);
/* NULL: no such VM. */
struct vm *vm_find(u64 number);
