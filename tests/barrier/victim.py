"""A worker process that is killed in the middle: `python -m tests.barrier.victim URL before|after`."""

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy.orm import Session

from tests.barrier.participant import Participant, open_participant


def main(url: str, when: str) -> None:
    with ThreadPoolExecutor(1) as threads:
        participant = Participant(open_participant(url), threads)

        def work(session: Session) -> Any:
            result = participant.write(result="first")(session)
            if when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        participant.deliver(participant.action, work)
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
