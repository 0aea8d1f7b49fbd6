"""Django's command line for the shop: `python -m workers.shop.manage saga list`."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "workers.shop.settings")
    execute_from_command_line(sys.argv)
