/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An interface that was removed and made again has its driver's defaults: VLAN tags stripped, frames merged, another
 * MTU, down. A port that opens it again first sets it as it was when the port was opened.
 */
#ifndef FP_INTERFACE_SETTINGS_H
#define FP_INTERFACE_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

struct fp_interface_settings {
    uint32_t features; /* ETHTOOL_GFLAGS: LRO, VLAN tags, ntuple filters, receive hash */
    uint32_t gro;
    uint32_t tx_checksum; /* not 0: the NIC may be left to write checksums; netmap drops host frames that wait for it */
    uint32_t defer_hard_irqs;  /* napi_defer_hard_irqs: how often an empty poll puts the interrupt off */
    uint64_t flush_timeout_ns; /* gro_flush_timeout: for how long */
    int mtu;                   /* bytes; 0: unknown */
    bool has_features;
    bool has_gro;
    bool has_tx_checksum;
    bool has_deferral;
};

void fp_interface_read_settings(const char *name, struct fp_interface_settings *out);
/* Sets what differs, and sets the interface up; what the driver refuses stays as it is. */
void fp_interface_restore_settings(const char *name, const struct fp_interface_settings *settings);

#endif
