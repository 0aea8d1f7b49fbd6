"""The payments service: charges within a customer's credit limit, refunds, and a ledger of both."""

from __future__ import annotations

from workers.service.request import Refusal


class CreditLimitExceeded(Refusal):
    """The charge would take the customer over the credit limit."""


class UnknownCharge(Exception):
    """There is no charge of this id."""
