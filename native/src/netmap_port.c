#include "port.h"
int fp_netmap_open(const struct fp_port_config *config, const struct fp_spec *spec, struct fp_port **out) { (void)config; (void)spec; (void)out; return FP_E_NO_NETMAP; }
