# SPDX-License-Identifier: Apache-2.0
"""Negative codes of the C side become one exception, with the errno that belongs to them."""

import os

from appliance.errors import FastpathError
from appliance.fastpath import names
from appliance.fastpath._native import ffi


class NativeError(FastpathError):
    """A call into the fast path failed.

    `code` is the `enum fp_error` value, `code_name` its name in C, `errno` the system's number where
    the code is FP_E_SYSTEM and 0 otherwise, `subject` what the call was about ("port red-in (xdp:ens5)").
    """

    def __init__(self, code: int, subject: str, errno: int = 0) -> None:
        self.code_name = names.ERRORS.get(code, "unknown")
        self.errno = errno
        self.subject = subject
        self.reason = os.strerror(errno) if errno else names.error_text(code)
        super().__init__(f"{subject}: {self.reason}", code)


class ClosedError(FastpathError):
    """Something was used after it was closed, or closed while it was in use: a fault of the caller."""


def check_result(result: int, subject: str) -> int:
    """Return a result of the C side, or raise NativeError where it is negative.

    Call it right after the C function: cffi saves errno per call and thread.
    """
    if result < 0:
        raise NativeError(result, subject, ffi.errno if result == names.E_SYSTEM else 0)
    return result


def encode_name(text: str, subject: str) -> bytes:
    """A name or device spec as the C side takes it. NativeError where it is empty, too long or has a NUL."""
    encoded = text.encode()
    if not 0 < len(encoded) < names.NAME_BYTES or b"\0" in encoded:
        seen = f"{text!r} has {len(encoded)} bytes"
        raise NativeError(names.E_INVALID, f"{subject}: {seen}, 1 to {names.NAME_BYTES - 1} wanted")
    return encoded
