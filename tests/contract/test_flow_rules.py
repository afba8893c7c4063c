# SPDX-License-Identifier: Apache-2.0
"""Flow rules as the kernel reads them: layouts and numbers by the compiler, from linux/ethtool.h."""

import shutil
import subprocess
from ipaddress import ip_address
from pathlib import Path

import pytest

from appliance.config.steering import FlowRule
from appliance.host import flow_rules
from appliance.host.flow_rules import REQUEST, RULE, encode_rule

NUMBERS = (
    "SIOCETHTOOL", "ETHTOOL_GRXCLSRLCNT", "ETHTOOL_GRXCLSRULE", "ETHTOOL_GRXCLSRLALL", "ETHTOOL_SRXCLSRLDEL",
    "ETHTOOL_SRXCLSRLINS", "UDP_V4_FLOW", "UDP_V6_FLOW", "FLOW_EXT", "RX_CLS_LOC_SPECIAL", "RX_CLS_LOC_ANY",
)  # fmt: skip

# Reads a rule as the kernel does, and says what it means.
PROGRAM = """
#include <arpa/inet.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <stddef.h>
#include <stdio.h>
static void text(const char *name, int family, const void *address) {
    char shown[INET6_ADDRSTRLEN];
    printf("%s=%s ", name, inet_ntop(family, address, shown, sizeof shown));
}
int main(int argc, char **argv) {
    struct ethtool_rx_flow_spec fs;
    if (argc > 1) {
        FILE *file = fopen(argv[1], "rb");
        if (file == NULL || fread(&fs, sizeof fs, 1, file) != 1) return 1;
        unsigned type = fs.flow_type & ~FLOW_EXT;
        printf("type=%u ", type);
        if (type == UDP_V4_FLOW) {
            struct ethtool_tcpip4_spec *v = &fs.h_u.udp_ip4_spec, *m = &fs.m_u.udp_ip4_spec;
            text("src", AF_INET, &v->ip4src), text("smask", AF_INET, &m->ip4src);
            text("dst", AF_INET, &v->ip4dst), text("dmask", AF_INET, &m->ip4dst);
            printf("sport=%u/%x dport=%u/%x tos=%u/%x ", ntohs(v->psrc), m->psrc, ntohs(v->pdst), m->pdst,
                   v->tos, m->tos);
        } else {
            struct ethtool_tcpip6_spec *v = &fs.h_u.udp_ip6_spec, *m = &fs.m_u.udp_ip6_spec;
            text("src", AF_INET6, v->ip6src), text("smask", AF_INET6, m->ip6src);
            text("dst", AF_INET6, v->ip6dst), text("dmask", AF_INET6, m->ip6dst);
            printf("sport=%u/%x dport=%u/%x tos=%u/%x ", ntohs(v->psrc), m->psrc, ntohs(v->pdst), m->pdst, v->tclass,
                   m->tclass);
        }
        if (fs.flow_type & FLOW_EXT) printf("vlan=%u/%x ", ntohs(fs.h_ext.vlan_tci), ntohs(fs.m_ext.vlan_tci));
        printf("queue=%llu location=%u\\n", (unsigned long long)ethtool_get_flow_spec_ring(fs.ring_cookie),
               fs.location);
        return 0;
    }
    printf("%zu %zu %zu %zu %zu %zu\\n", sizeof fs, offsetof(struct ethtool_rx_flow_spec, ring_cookie),
           offsetof(struct ethtool_rx_flow_spec, location), sizeof(struct ethtool_rxnfc),
           offsetof(struct ethtool_rxnfc, fs), offsetof(struct ethtool_rxnfc, rule_locs));
    NUMBERS
}
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("cc") is None:
        pytest.skip("NOT TESTED: flow rules against linux/ethtool.h; install a C compiler and linux-libc-dev")
    folder = tmp_path_factory.mktemp("kernel")
    numbers = "".join(f'printf("{name} %llu\\n", (unsigned long long){name});' for name in NUMBERS)
    (folder / "show.c").write_text(PROGRAM.replace("NUMBERS", numbers))
    subprocess.run(["cc", "-o", str(folder / "show"), str(folder / "show.c")], check=True)
    return folder / "show"


def test_layouts_and_numbers_are_the_kernels(kernel: Path) -> None:
    first, *others = subprocess.run([kernel], capture_output=True, text=True, check=True).stdout.splitlines()
    assert [int(word) for word in first.split()] == [RULE.size, 152, 160, REQUEST.size, 16, 188]
    assert {name: int(value) for name, value in map(str.split, others)} == {
        name: getattr(flow_rules, name) for name in NUMBERS
    }


ANY4, ANY6, ALL4 = "0.0.0.0", "::", "255.255.255.255"
ALL6 = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"

RULES = [
    (
        FlowRule("ens4", 3, ip_address("239.1.2.1"), 32, udp_port=6000),
        f"type=2 src={ANY4} smask={ANY4} dst=239.1.2.1 dmask={ALL4} sport=0/0 dport=6000/ffff tos=0/0 "
        "queue=3 location=7",
    ),
    (
        FlowRule("ens4", 0, ip_address("239.1.0.0"), 16, ip_address("192.0.2.1"), 32, None, 5004, 46, 100),
        f"type=2 src=192.0.2.1 smask={ALL4} dst=239.1.0.0 dmask=255.255.0.0 sport=5004/ffff dport=0/0 tos=184/fc "
        "vlan=100/fff queue=0 location=7",
    ),
    (
        FlowRule("ens4", 15, ip_address("ff3e::1"), 128, ip_address("2001:db8::"), 32, 6000),
        f"type=6 src=2001:db8:: smask=ffff:ffff:: dst=ff3e::1 dmask={ALL6} sport=0/0 dport=6000/ffff tos=0/0 "
        "queue=15 location=7",
    ),
]


@pytest.mark.parametrize(("rule", "meaning"), RULES)
def test_the_kernel_reads_what_is_meant(kernel: Path, rule: FlowRule, meaning: str, tmp_path: Path) -> None:
    path = tmp_path / "rule"
    path.write_bytes(encode_rule(rule, 7))
    done = subprocess.run([kernel, path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == meaning
