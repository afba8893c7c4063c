/* SPDX-License-Identifier: Apache-2.0 */
/* The far ends of netmap pipes and VALE ports an appliance forwards between. */
#ifndef FP_PIPE_ENDS_H
#define FP_PIPE_ENDS_H

#include "port.h"
#include <stdint.h>

/* The port, open; the test ends where it cannot be. */
struct fp_port *pipe_end_open(const char *spec);

/* Sends `frames` into one end and checks that each comes out of the other once, in order, byte for byte. At most
 * `window` are on the way. */
void pipe_exchange(const char *what, const char *from, const char *to, uint32_t frames, uint32_t window);

#endif
