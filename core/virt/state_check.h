/* Whether a vCPU state that a VMM asks for is one that both vendors can enter. */
#pragma once

#include "lib/abi/vcpu.h"

MUST_USE bool state_is_runnable(const struct vcpu_state *state);
