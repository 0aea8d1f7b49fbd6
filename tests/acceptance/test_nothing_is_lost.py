"""Whatever dies: every saga ends, and the books of the services balance."""

import pytest

from tests.acceptance.deployment import Deployment, first_orders
from tests.servers import EmbeddedRedis

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]


@pytest.mark.peer_bug("C11", "C12", "F6", "P1")
def test_everything_dies_at_once(deployment: Deployment, own_redis: EmbeddedRedis) -> None:
    """200 sagas under way, SIGKILL to every worker process, FLUSHALL, workers started again."""
    orders = first_orders(200)
    fleet = deployment.start_workers()
    deployment.start_sagas(orders)
    deployment.await_that(lambda: deployment.ended() >= 20, "20 sagas ended")

    fleet.kill_all()
    under_way = len(orders) - deployment.ended()
    own_redis.flush()
    deployment.start_workers()

    assert under_way > 50, "too few sagas were under way for this test to mean anything"
    deployment.await_that(lambda: deployment.ended() == len(orders), "all sagas ended", seconds=500)
    report = deployment.reconcile(orders)
    assert report.balanced, report
    assert report.failed == ()
