"""Every code block of the README and the docs is run, in the order in which a reader would.

A Python block that begins with a file name is written to that file, or added to it "(at the end)", and run; one in a
folder is part of a package, and not run by itself. Shell blocks are run by bash. Three things are changed: where the
broker is, the ports of web pages, and how long a reader waits for a saga, as a busy machine is slow.
"""

import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.installed import install_entry_points
from tests.servers import EmbeddedRedis, warm_python

pytestmark = pytest.mark.timeout(1200)  # a page starts dozens of processes

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WAITS = re.compile(r"(\.(?:wait|result))\(timeout=\d+\)")
PATIENCE = 600
"""Seconds for one block; a type checker that begins without a cache takes a while on a busy machine."""
ELSEWHERE = {
    "make demo\n": "tests/acceptance runs it",
    "make shop\n": "the same",
    "make agency\n": "the same",
    'pip install "saga-celery[cli]"\n': "tests/test_packaging.py checks the name and the extra",
    'pip install "saga-celery[flask,cli]" flask-sqlalchemy\n': "what the tests run on",
    'pip install "saga-celery[cli]" fastapi "sqlalchemy[asyncio]" aiosqlite\n': "the same",
    'pip install "saga-celery[django,cli]"\n': "the same",
    'pip install "saga-celery[flower]"\n': "the same",
    'pip install "saga-celery[ui]"\n': "the same",
    'pip install "saga-celery[metrics]"\n': "the same",
    'pip install "saga-celery[otel]"\n': "the same",
}
"""Blocks that other tests run."""


@dataclass(frozen=True)
class Block:
    language: str
    text: str

    @property
    def file_name(self) -> str:
        found = re.match(r"# (\S+\.py)(?: \(at the end\))?\n", self.text)
        return found.group(1) if found else ""

    @property
    def is_addition(self) -> bool:
        return self.text.partition("\n")[0].endswith("(at the end)")


def blocks(page: Path) -> list[Block]:
    return [Block(language, text) for language, text in BLOCK.findall(page.read_text())]


@pytest.fixture
def broker() -> Iterator[str]:
    """A Redis of its own for each page: what one leaves in its queues, no worker of another one may find."""
    server = EmbeddedRedis()
    yield server.url
    server.stop()


@pytest.fixture
def patient_reader(tmp_path: Path, broker: str) -> Iterator["Reader"]:
    """Starts each command anew, and waits for a worker to end by itself."""
    reader = Reader(tmp_path, broker)
    yield reader
    reader.stop_workers()


@pytest.fixture
def reader(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, broker: str) -> Iterator["Reader"]:
    """In a hurry: has Python warm, and kills the workers where a page is at its end."""
    reader = Reader(tmp_path, broker, warm_commands(tmp_path_factory.mktemp("bin")))
    yield reader
    reader.kill_workers()


def warm_commands(folder: Path) -> Path:
    """A folder for the PATH, with the commands that a page types."""
    scripts = {"python": "", **{name: Path(sys.executable).with_name(name) for name in ("celery", "flask")}}
    for name, script in scripts.items():
        command = folder / name
        command.write_text(f'#!/bin/sh\nexec {shlex.join([*warm_python()])} {script} "$@"\n')
        command.chmod(0o755)
    return folder


def _free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


class Reader:
    """Somebody who types what the page says into an empty folder."""

    def __init__(self, folder: Path, broker: str, commands: Path = Path(sys.executable).parent) -> None:
        self.folder = folder
        self._broker = broker
        self._commands = commands
        self._ports = {page: _free_port() for page in ("5555", "8642", "9809")}
        install_entry_points(folder)

    def follow(self, page: Path) -> list[str]:
        """Run the page; the output of each block."""
        return [self.run(block) for block in blocks(page) if block.text not in ELSEWHERE]

    def run(self, block: Block) -> str:
        text = block.text.replace("redis://localhost:6379/0", self._broker)
        for said, free in self._ports.items():
            text = text.replace(said, free)
        text = WAITS.sub(r"\1(timeout=240)", text)
        if block.language == "sh":
            return self._shell(text)
        if block.language == "python":
            return self._python(block.file_name or "snippet.py", text, added=block.is_addition)
        return ""

    def stop_workers(self) -> None:
        workers = self._workers()
        for worker in workers:
            worker.terminate()
        psutil.wait_procs(workers, timeout=60)
        self.kill_workers()  # one with a step that never ends, as where the page failed half way

    def kill_workers(self) -> None:
        families = [each for worker in self._workers() for each in (worker, *worker.children(recursive=True))]
        for process in families:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def _workers(self) -> list[psutil.Process]:
        """Those that run now."""
        found: list[psutil.Process] = []
        for pid_file in self.folder.glob("*.pid"):
            with suppress(psutil.NoSuchProcess, ValueError):
                found.append(psutil.Process(int(pid_file.read_text())))
        return found

    def _python(self, name: str, text: str, *, added: bool) -> str:
        (self.folder / name).parent.mkdir(exist_ok=True)
        with (self.folder / name).open("a" if added else "w") as file:
            file.write(text)
        return "" if "/" in name else self._shell(f"python {name}")

    def _shell(self, text: str) -> str:
        commands = [self._commands, Path(sys.executable).parent, os.environ["PATH"]]
        environment = {**os.environ, "PATH": os.pathsep.join(map(str, commands))}
        environment["PYTHONPATH"] = os.pathsep.join([str(self.folder), str(ROOT)])  # this tree, whatever is installed
        done = subprocess.run(
            ["bash", "-e", "-c", text],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, f"{text}\n--- stdout\n{done.stdout}\n--- stderr\n{done.stderr}"
        return done.stdout


SHOP = ROOT / "README.md"
"""Leaves a shop behind, with a worker and two orders."""
FOLLOW_UPS = [ROOT / "docs" / "operations.md"]
"""Pages whose commands are about that shop."""
PAGES = (
    "alerts",
    "barrier",
    "chains",
    "child-sagas",
    "choices",
    "console",
    "data",
    "fastapi",
    "flask",
    "flower",
    "django",
    "hooks",
    "limits",
    "metrics",
    "monitoring",
    "operators",
    "outages",
    "parallel",
    "pivot",
    "results",
    "retention",
    "run-on",
    "scaling",
    "starting",
    "testing",
    "tracing",
    "typing",
    "unknown-outcomes",
    "waits",
)
BY_ITSELF = [ROOT / "docs" / f"{name}.md" for name in PAGES]
SAID = {
    "alerts": [
        "the webhook at 127.0.0.1 took it\n",
        "a worker told 1 webhook: 127.0.0.1\n",
        "Saga shop.parcel order-1 failed at step label (exhausted: OSError: out of labels). Next: `celery",
        "shop.parcel: saga_failed (exhausted) 1 2\none group: True\n",
    ],
    "choices": [
        "by post, no card\nby courier, card: hello\nreleased: vase\nCOMPENSATED ['reserve', 'reserve (compensation)']"
    ],
    "console": ["401 421 403\nsuspended by ann\n"],
    "data": ["10000 lines\n0 lines"],
    "fastapi": ["200 409\nparcel with tea\nparcel with yacht\n"],
    "flask": [
        "parcel with tea in Leith\nparcel with yacht in Leith\n",
        "403 FORBIDDEN\n200 OK\n['COMPLETED']\n",
        "saga_celery_0010 (saga_celery) (head)",
    ],
    "django": ["parcel-1\n{'state': 'COMPLETED'} parcel-1\n", "shop.order", "found: True"],
    "flower": ["401 403 405\nsagas suspended: ['order-1']\n"],
    "hooks": ["order-1: saga_completed\norder-2: saga_compensated"],
    "limits": ["the whole report"],
    "metrics": ['saga_open{saga="shop.order",state="pending"} 2.0', "saga_up 1.0", "401 200\n"],
    "monitoring": [
        "'saga_step': 'charge', 'saga_item': 0, 'saga_direction': 'action', 'saga_attempt': 1, 'card': '***'",
        "saga-completed shop.order celery\n",
    ],
    "operators": ["request ['post', 'wrap']\n\nposted: tea in red paper"],
    "parallel": ["1 cream\n1 jam\n1 scones\n1 tea\n"],
    "pivot": ["COMPENSATED declined\nFAILED print_it exhausted ['hold', 'charge', 'print_it', 'print_it', 'print_it']"],
    "results": [
        "parcel-1\nCOMPLETED charge='charge-1' parcel='parcel-1'",
        "failure shop.CardDeclined over the limit\ncharge 2 ['reserve']",
        "exhausted thank ('retry', 'skip')\n[('thank', 'exhausted', 1)]\nparcel-1",
        "20 receipts",
    ],
    "retention": [
        "office.letter: 3 sagas would be archived\noffice.letter: 3 sagas archived\nstate: COMPLETED; archived\n",
        '"verb": "delete", "sagas": 2, "kept": 0, "dry_run": false',
    ],
    "run-on": ["INFO/MainProcess] Task tea.saga/pour[", "2 messages"],
    "starting": [
        "True True False\nanother order under this key: True\nstarted before: PENDING",
        "2 [True, True, False]\nnone of them: OrderSaga: key=''; a key is printable text",
        "order-2",
    ],
    "tracing": [
        "WARNING [shop.order/charge request-7] charging 1200\nWARNING [shop.order/charge request-7] refunding\n",
        '"correlation_id": "request-7", "cents": 1200, "event": "charging"}',
        '"fingerprint": ["{{ default }}", "shop.order", "ship"]}',
        "POST /order\nshop.order compensated\nshop.order compensating\nshop.order/charge\nshop.order/charge (comp",
    ],
    "typing": ["Success: no issues found in 1 source file\n\n7\n"],
    "unknown-outcomes": [
        "keyed: charge of keyed-1\nprobed: the charge that was found\nblind: COMPENSATED\nplain: FAILED",
        "[('blind-1', 1, 1), ('keyed-1', 1, 0), ('plain-1', 1, 0), ('probed-1', 1, 0)]",
        "plain: charge of plain-1",
        "late_effect",
        "slow: COMPENSATED ()",
    ],
    "waits": ["nothing was sent\npay 250000 in gold, approved by finance"],
}
"""What a page has to print, where that it runs is not enough."""
VERSIONS = ROOT / "docs" / "versions.md"
"""Has a shop and a worker of its own."""
TO_RUN = ("sh", "python")


@pytest.mark.acceptance
def test_readme_and_the_pages_about_its_shop(patient_reader: Reader) -> None:
    printed = "\n".join(patient_reader.follow(SHOP))
    assert "parcel-1" in printed
    assert "over the limit" in printed
    assert "COMPLETED" in printed

    told = "\n".join(line for page in FOLLOW_UPS for line in patient_reader.follow(page))
    assert "OK   schema" in told
    assert "order-2" in told


@pytest.mark.acceptance
def test_a_step_is_renamed_while_a_saga_is_open(reader: Reader) -> None:
    printed = "\n".join(reader.follow(VERSIONS))
    assert printed.count("1 open: fine") == 2
    assert "PARK step 'charge' is gone; 1 open saga still needs it" in printed
    assert "exit code 1, as this would park order-1" in printed
    assert "NOTE step 'charge' is 'bill' now and goes on under its old name" in printed
    assert "a parcel, paid under the key charge:0:1:action\na parcel, paid under the key bill:0:1:action" in printed


@pytest.mark.timeout(2 * PATIENCE)
@pytest.mark.parametrize("page", BY_ITSELF, ids=lambda page: page.stem)
def test_page(reader: Reader, page: Path) -> None:
    told = reader.follow(page)
    assert len(told) >= 2
    for words in SAID.get(page.stem, ()):
        assert words in "\n".join(told)


def test_no_page_is_left_out() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
    with_code = {page for page in pages if any(block.language in TO_RUN for block in blocks(page))}

    assert with_code == {SHOP, VERSIONS, *FOLLOW_UPS, *BY_ITSELF}


def test_the_readme_leads_to_every_page() -> None:
    linked = set(re.findall(r"\(docs/([\w-]+\.md)\)", SHOP.read_text()))

    assert linked == {page.name for page in (ROOT / "docs").glob("*.md")}


def test_no_link_between_pages_is_broken() -> None:
    for page in [SHOP, *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} leads to {target}"
