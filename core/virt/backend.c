/* Chooses the vendor's back end once; the only place that names them. */
#include "core/virt/backend.h"

#include "core/trace/log.h"

extern const struct backend svm_backend, vmx_backend;

static const struct backend *const backends[] = { &svm_backend, &vmx_backend };

const struct backend *backend;

bool backend_select(void)
{
	for (u32 i = 0; i < ARRAY_SIZE(backends); i++) {
		if (!backends[i]->matches())
			continue;
		backend = backends[i];
		return backend->preflight();
	}
	log_error("this version has no back end for this processor: it drives AMD-V on AMD and "
		  "Hygon processors, and VT-x on Intel processors");
	return false;
}
