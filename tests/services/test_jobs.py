"""Long work: a row with progress, an end whatever happens, and a bell."""

from __future__ import annotations

from domain.errors import NotSupported
from services.jobs import Jobs, Progress
from tests.services.order_world import World


class _Bell:
    def __init__(self) -> None:
        self.rung: list[str] = []

    def ring(self, topic: str) -> None:
        self.rung.append(topic)


def test_a_job_shows_its_progress_and_its_end(world: World) -> None:
    bell = _Bell()
    jobs = Jobs(world.platform, world.clock, bell)

    def work(progress: Progress) -> str:
        progress("reading", 10, 100)
        seen = jobs.last_of("master", "zerodha")
        assert seen is not None
        assert (seen.state, seen.stage, seen.done, seen.total) == ("running", "reading", 10, 100)
        progress("reading", 20, 100)
        world.clock.sleep(1)
        progress("checking", 100, 100)
        return "100 rows"

    job = jobs.run("master", "zerodha", work)
    assert (job.state, job.stage, job.message) == ("done", "checking", "100 rows")
    assert set(bell.rung) == {f"job|{job.id}|"}


def test_a_failure_is_told_in_its_words(world: World) -> None:
    jobs = Jobs(world.platform, world.clock, _Bell())

    def refuses(progress: Progress) -> str:
        raise NotSupported("no master there")

    def breaks(progress: Progress) -> str:
        raise ZeroDivisionError

    assert jobs.run("master", "a", refuses).message == "no master there"
    assert jobs.run("master", "b", breaks).state == "failed"
    assert [job.state for job in jobs.latest("master")] == ["failed", "failed"]


def test_a_job_whose_process_died_is_failed_by_the_next(world: World) -> None:
    jobs = Jobs(world.platform, world.clock, _Bell())

    def dies(progress: Progress) -> str:
        raise SystemExit

    try:
        jobs.run("master", "a", dies)
    except SystemExit:
        assert jobs.last_of("master", "a").state == "running"  # type: ignore[union-attr]
    jobs.run("master", "a", lambda progress: "again")
    assert [job.state for job in jobs.latest("master")] == ["done", "failed"]
