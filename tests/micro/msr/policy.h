/* Checks of the hypervisor's MSR policy, made of the policy's own rows. */
#pragma once

void check_policy_rows(void);
