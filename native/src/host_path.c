/* SPDX-License-Identifier: Apache-2.0 */
#include "host_path.h"
#include "interface.h"
#include "output.h"
#include "take.h"
#include <stdlib.h>

bool fp_host_take(struct fp_burst *burst, const struct fp_frame *frame) {
    const struct fp_host_path *host = burst->ingress->host;
    uint32_t class = fp_host_class(frame->bytes, fp_frame_length(frame), host->mac);
    if ((class & host->classes) == 0) {
        return false;
    }
    fp_burst_output(burst, frame, &host->way);
    return true;
}

void fp_host_transmit(struct fp_burst *burst, uint32_t at, uint32_t count) {
    const struct fp_table_entry *way = &burst->ingress->host->way;
    struct fp_window window = fp_window_open(burst);
    struct fp_frame frame;
    for (; count > 0; count--) {
        if (fp_window_take(burst, &window, &burst->ring->shared->slot[at], &frame)) {
            frame.layout = (struct fp_layout){.level = FP_LEVEL_ETHERNET};
            if (fp_frame_length(&frame) >= FP_ETHERNET_BYTES) {
                fp_burst_output(burst, &frame, way);
            } else {
                fp_burst_drop(burst, FP_DROP_SHORT);
            }
        }
        at = fp_ring_next(burst->ring, at);
    }
}

/* The address of the port's interface; a port without one has none. */
static int read_mac(const struct fp_port *port, uint8_t mac[6]) {
    struct fp_spec spec;
    int result = fp_spec_parse(port->info.spec, &spec);
    if (result == 0) {
        result = spec.interface[0] == '\0' ? FP_E_INVALID : fp_interface_mac(spec.interface, mac);
    }
    return result;
}

void fp_host_renew(struct fp_worker_port *port) {
    if (port->host != NULL && port->host->asked) {
        (void)read_mac(port->own, port->host->mac); /* gone again already: the old one stays until the next time */
    }
}

/* NULL where there is no memory. */
static struct fp_host_path *path_create(uint32_t to, uint32_t classes) {
    struct fp_host_path *path = aligned_alloc(_Alignof(struct fp_host_path), sizeof *path);
    if (path != NULL) {
        memset(path, 0, sizeof *path);
        path->classes = classes;
        path->way.output_count = 1;
        path->way.outputs[0].port = (uint16_t)to;
        path->way.first = path->way.outputs[0];
        path->way.flags = FP_ENTRY_SIMPLE | FP_ENTRY_AS_IT_CAME | (classes != 0 ? FP_ENTRY_TO_HOST : 0);
    }
    return path;
}

static bool is_pair(const struct fp_worker *worker, uint32_t port, uint32_t host) {
    return port < worker->port_count && host < worker->port_count && port != host && worker->ports[port].host == NULL &&
           worker->ports[host].host == NULL && worker->loops == 0;
}

int fp_worker_pair_host(struct fp_worker *worker, uint32_t port, uint32_t host, uint32_t classes, const uint8_t *mac) {
    uint8_t own[6];
    if (!is_pair(worker, port, host) || classes == 0 || (classes & ~(uint32_t)FP_HOST_ANY) != 0) {
        return FP_E_INVALID;
    }
    int result = 0;
    if (mac != NULL) {
        memcpy(own, mac, sizeof own);
    } else {
        result = read_mac(worker->ports[port].own, own);
    }
    if (result != 0) {
        return result;
    }
    struct fp_host_path *in = path_create(host, classes);
    struct fp_host_path *out = path_create(port, 0);
    if (in == NULL || out == NULL) {
        free(in);
        free(out);
        return FP_E_NO_MEMORY;
    }
    memcpy(in->mac, own, sizeof own);
    in->asked = mac == NULL;
    worker->ports[port].host = in;
    worker->ports[host].host = out;
    return 0;
}

void fp_host_unpair(struct fp_worker *worker) {
    for (uint32_t i = 0; i < worker->port_count; i++) {
        free(worker->ports[i].host);
        worker->ports[i].host = NULL;
    }
}
