/* SPDX-License-Identifier: Apache-2.0 */
#include "port.h"
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_RING_SLOTS = 4096, MAX_RING_SLOTS = 65536, MIN_RING_SLOTS = 2 };

int fp_port_alloc_rings(struct fp_port *port, uint32_t rx_rings, uint32_t tx_rings) {
    if (rx_rings > FP_MAX_RINGS || tx_rings > FP_MAX_RINGS) {
        return FP_E_UNSUPPORTED;
    }
    port->rx = calloc(rx_rings + 1, sizeof *port->rx);
    port->tx = calloc(tx_rings + 1, sizeof *port->tx);
    if (port->rx == NULL || port->tx == NULL) {
        fp_port_free_rings(port);
        return FP_E_NO_MEMORY;
    }
    port->info.rx_rings = rx_rings;
    port->info.tx_rings = tx_rings;
    return 0;
}

void fp_port_free_rings(struct fp_port *port) {
    free(port->rx);
    free(port->tx);
    port->rx = NULL;
    port->tx = NULL;
}

static int config_check(const struct fp_port_config *config, struct fp_port_config *checked) {
    const uint32_t known = FP_OPEN_ALLOW_EMULATED | FP_OPEN_XDP_ZEROCOPY | FP_OPEN_XDP_GENERIC | FP_OPEN_NETMAP_KLOOP;
    uint32_t slots = config->ring_slots == 0 ? DEFAULT_RING_SLOTS : config->ring_slots;
    if ((config->flags & ~known) != 0 || (config->host_classes & ~(uint32_t)FP_HOST_ANY) != 0 ||
        slots < MIN_RING_SLOTS || slots > MAX_RING_SLOTS || (slots & (slots - 1)) != 0) {
        return FP_E_INVALID;
    }
    if ((config->busy_poll_us != 0) != (config->busy_poll_frames != 0) || config->busy_poll_us > INT32_MAX ||
        config->busy_poll_frames > UINT16_MAX) {
        return FP_E_INVALID;
    }
    *checked = *config;
    checked->ring_slots = slots;
    return 0;
}

int fp_port_open(const struct fp_port_config *config, struct fp_region *region, struct fp_port **out) {
    struct fp_port_config checked;
    struct fp_spec spec;
    int result = config_check(config, &checked);
    if (result == 0) {
        result = fp_spec_parse(checked.spec, &spec);
    }
    if (result != 0) {
        return result;
    }
    bool kloop = (checked.flags & FP_OPEN_NETMAP_KLOOP) != 0;
    bool for_xdp = checked.host_classes != 0 || checked.busy_poll_us != 0;
    if ((spec.kind != FP_PORT_NETMAP && region == NULL) || (spec.kind != FP_PORT_XDP && for_xdp) ||
        (kloop && (spec.kind != FP_PORT_NETMAP || spec.host_rings))) {
        return FP_E_INVALID;
    }
    switch (spec.kind) {
    case FP_PORT_NETMAP:
        return fp_netmap_open(&checked, &spec, out);
    case FP_PORT_XDP:
        return fp_xdp_open(&checked, &spec, region, out);
    case FP_PORT_MEMORY:
        return fp_memory_open(&checked, region, out);
    }
    return FP_E_SPEC;
}

int fp_port_plan_buffers(const struct fp_port_config *config) {
    struct fp_port_config checked;
    struct fp_spec spec;
    int rings = 1;
    int result = config_check(config, &checked);
    if (result == 0) {
        result = fp_spec_parse(checked.spec, &spec);
    }
    if (result == 0 && spec.kind == FP_PORT_XDP) {
        rings = fp_xdp_count_rings(&spec);
        result = rings < 0 ? rings : 0;
    }
    if (result != 0) {
        return result;
    }
    return spec.kind == FP_PORT_NETMAP ? 0 : (int)(2 * (uint32_t)rings * checked.ring_slots);
}

void fp_port_close(struct fp_port *port) {
    if (port != NULL) {
        port->ops->close(port);
    }
}

int fp_port_describe(const struct fp_port *port, struct fp_port_info *out) {
    *out = port->info;
    memset(out->name, 0, sizeof out->name);
    return 0;
}
