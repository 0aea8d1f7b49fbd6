"""What the environment tells the workers, read once per process."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the broker and the databases are."""

    broker_url: str
    broker_transport_options: Mapping[str, Any]
    service_database: str
    """The URL of a service's own database; `{service}` in it stands for the service's name."""
    saga_database_url: str
    """Used by the coordinator only: the services never see it."""
    queue_grace: float
    """Seconds until a message that nobody took is sent again."""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings from `environment`."""
        return cls(
            broker_url=environment.get("SAGA_BROKER_URL", "redis://localhost:6379/0"),
            broker_transport_options=json.loads(environment.get("SAGA_BROKER_TRANSPORT_OPTIONS", "{}")),
            service_database=environment.get("SERVICE_DATABASE_URL", "sqlite:///{service}.db"),
            saga_database_url=environment.get("SAGA_DATABASE_URL", "sqlite:///saga.db"),
            queue_grace=float(environment.get("SAGA_QUEUE_GRACE", "30")),
        )

    def service_database_url(self, service: str) -> str:
        """The URL of the database that belongs to `service` alone."""
        return self.service_database.replace("{service}", service)


@cache
def settings() -> Settings:
    """The settings of this process."""
    return Settings.of(os.environ)
