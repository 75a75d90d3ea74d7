/* Output on COM1, polled. */
#pragma once

void serial_init(void);
void serial_write(const char *text);
/* Waits until the last character has left. */
void serial_flush(void);
