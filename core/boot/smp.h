/* The machine's other processors. */
#pragma once

/*
 * Starts every processor of the MADT and brings it into root mode; one that does not start is named
 * and left out.
 */
void smp_start(void);
