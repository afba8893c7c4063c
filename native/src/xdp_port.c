#include "port.h"
int fp_xdp_open(const struct fp_port_config *config, const struct fp_spec *spec, struct fp_region *region,
                struct fp_port **out) { (void)config; (void)spec; (void)region; (void)out; return FP_E_UNSUPPORTED; }
int fp_xdp_count_rings(const struct fp_spec *spec) { (void)spec; return FP_E_UNSUPPORTED; }
