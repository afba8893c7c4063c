# SPDX-License-Identifier: Apache-2.0
"""The base of every section of the configuration."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A mapping of the file: every key known, every value of its type, nothing changed afterwards."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
