/* SPDX-License-Identifier: Apache-2.0 */
/* What ports need of a Linux network interface. Asked by socket calls, which answer for the process's network
 * namespace; /sys may be mounted for another one. */
#ifndef FP_INTERFACE_H
#define FP_INTERFACE_H

#include "port.h"

enum { FP_DRIVER_BYTES = 33 /* ethtool's 32 and a NUL */ };

/* Index of an existing interface, up or not, or FP_E_NO_DEVICE, or FP_E_SYSTEM. */
int fp_interface_find(const char *name);
/* Index of an existing interface that is up, or FP_E_NO_DEVICE, or FP_E_SYSTEM with ENETDOWN where it is down. */
int fp_interface_index(const char *name);
/* Whether `name` is still the interface `ifindex`, up, and has a carrier: an enum fp_link. */
enum fp_link fp_interface_link(const char *name, int ifindex);
/* Receive queues in use; 1 where the driver has no channels. Or a negative code. */
int fp_interface_queues(const char *name);
/* Bytes of the largest IP packet, or a negative code. */
int fp_interface_mtu(const char *name);
/* Its Ethernet address. 0 or a negative code. */
int fp_interface_mac(const char *name, uint8_t mac[6]);
/* The driver's name ("e1000", "veth") and the device's bus address ("0000:00:03.0", often empty).
 * 0 or a negative code. */
int fp_interface_driver(const char *name, char driver[FP_DRIVER_BYTES], char address[FP_DRIVER_BYTES]);
/*
 * Media is multicast and nobody on this host joins it for us, so the interface must take every address. Returns a
 * descriptor that holds promiscuous mode until it is closed: counted by the kernel, so that others keep theirs, and
 * gone with the process however it ends. Or a negative code.
 */
int fp_interface_hold_promiscuous(int ifindex);

#endif
