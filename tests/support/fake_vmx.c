/* VMX instructions of host tests. SDM, "Field Encoding in VMCS". */
#include "tests/support/fake_vmx.h"

#include "core/vmx/vmx.h"
#include "lib/base/assert.h"
#include "lib/base/string.h"

#define FIELD_MAX     0x7000U
#define FIELD_TYPE    BITS64(11, 10)
#define TYPE_READONLY 1U /* "VM-exit information" */

struct fake_vmx fake_vmx;
const char vmx_exit_entry[1];

static u64 fields[FIELD_MAX];

void fake_vmx_reset(void)
{
	fake_vmx = (struct fake_vmx){ 0 };
	memset(fields, 0, sizeof(fields));
}

void fake_vmx_set(u32 field, u64 value)
{
	assert(field < FIELD_MAX);
	fields[field] = value;
}

u64 vmread(u32 field)
{
	assert(field < FIELD_MAX);
	return fields[field];
}

bool vmwrite(u32 field, u64 value)
{
	if (field_get(FIELD_TYPE, field) == TYPE_READONLY)
		return false;
	fake_vmx_set(field, value);
	fake_vmx.writes++;
	return true;
}

enum vmx_result vmxon(const hpa_t *region)
{
	fake_vmx.vmxon = *region;
	return VMX_OK;
}

enum vmx_result vmclear(const hpa_t *region)
{
	fake_vmx.cleared = *region;
	return VMX_OK;
}

enum vmx_result vmptrld(const hpa_t *region)
{
	fake_vmx.current = *region;
	return VMX_OK;
}

void invept(u64 type, u64 ept_pointer)
{
	(void)type, (void)ept_pointer;
	fake_vmx.invepts++;
}

void invvpid(u64 type, u16 vpid)
{
	(void)type, (void)vpid;
	fake_vmx.invvpids++;
}

enum vmx_result vmx_enter(u64 *gpr, bool launched, u64 *host_rsp)
{
	enum vmx_result result = VMX_OK;

	(void)host_rsp;
	fake_vmx.entries++;
	fake_vmx.resumed = launched;
	fake_vmx.event = vmread(VMCS_ENTRY_EVENT);
	fake_vmx.error = vmread(VMCS_ENTRY_ERROR);
	if (fake_vmx.on_enter)
		result = fake_vmx.on_enter(gpr);
	if (result == VMX_OK && !(vmread(VMCS_EXIT_REASON) & EXIT_REASON_ENTRY_FAILED))
		vmwrite(VMCS_ENTRY_EVENT, fake_vmx.event & ~(u64)EVENT_VALID);
	return result;
}
