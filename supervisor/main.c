/*
 * The first ring-3 process: reads the manifest, starts the VMs, owns the console, and powers the
 * machine off when the last VM has ended.
 */
#include "lib/ring3/ring3.h"
#include "supervisor/supervisor.h"

static struct supervisor supervisor;

int main(void)
{
	supervisor_start(&supervisor);
	for (;;)
		supervisor_turn(&supervisor);
}
