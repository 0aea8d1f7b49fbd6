"""Write the golden histories of this release: `python -m tests.golden.generate`.

A release runs it once, before it is made, and keeps what it wrote for ever. Those of earlier releases stay as they are.
"""

import re
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import saga_celery
from saga_celery.core.events import FACTS
from saga_celery.definition.inputs import encode_input
from saga_celery.store import NewSaga
from saga_celery.store.migrate import migrate
from saga_celery.store.version import head
from tests.golden.histories import FOLDER, Golden, rows_of, write
from tests.golden.stories import STORIES, Story
from tests.golden.world import World


def release() -> str:
    """`0.1` for any 0.1.x, finished or in the making."""
    found = re.match(r"\d+\.\d+", saga_celery.__version__)
    assert found is not None
    return found.group()


def told(story: Story, url: str) -> tuple[Golden, set[str]]:
    """Let a story happen; what is stored of it, and the kinds of facts in its history."""
    world = World(url, f"golden-{story.name}")
    migrate(world.store.connections)
    definition = story.saga.definition()
    data = encode_input(definition, story.data, 100_000)
    new = NewSaga(
        id=world.saga_id,
        name=definition.name,
        plan=definition.plan,
        input=data,
        key=f"key-{story.name}",
        tags={"told": story.name},
        headers={"traceparent": "00-ab-cd-01"},
        timeout=definition.timeout,
    )
    world.store.start([new], nudge_after=10.0)
    story.tell(world)
    state = world.state
    assert state.status is story.stored, (story.name, state)
    golden = Golden(
        release=release(),
        name=story.name,
        schema=head(),
        now=world.clock.time,
        saga_id=world.saga_id,
        stored=story.stored,
        ends=story.ends,
        ask=story.ask,
        tables=rows_of(world.store),
    )
    kinds = {type(fact).__name__ for entry in world.store.queries.history(world.saga_id) for fact in entry.facts}
    world.store.dispose()
    return golden, kinds


def main() -> int:
    """Write them all; refuses while there are kinds of facts that no story tells."""
    seen: set[str] = set()
    found: list[Golden] = []
    with TemporaryDirectory() as folder:
        for story in STORIES.values():
            golden, kinds = told(story, f"sqlite:///{Path(folder) / story.name}.db")
            found.append(golden)
            seen |= kinds
    missing = sorted(set(FACTS) - seen)
    if missing:
        print(f"no story tells of {', '.join(missing)}: add one to tests/golden/stories.py", file=sys.stderr)
        return 1
    shutil.rmtree(FOLDER / release(), ignore_errors=True)
    for golden in found:
        print(write(golden).relative_to(FOLDER))
    return 0


if __name__ == "__main__":
    sys.exit(main())
