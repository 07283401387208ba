"""What production is told, kept in step with what the programs ask for."""

import re

import yaml

from tests.platform.processes import BASE_DIR

# Set by the compose file, by the tests, or for one who knows why.
NOT_FOR_PEOPLE = {"MAINSTAY_TRIAL", "MAINSTAY_STATIC_ROOT", "MAINSTAY_EMAIL_BACKEND", "MAINSTAY_ACCESS_LOG"}


def compose() -> dict[str, dict[str, dict[str, object]]]:
    found: dict[str, dict[str, dict[str, object]]] = yaml.safe_load(
        (BASE_DIR / "docker-compose.yml").read_text()
    )
    return found


def variables(text: str) -> set[str]:
    return set(re.findall(r"\b(?:MAINSTAY_[A-Z_]+|DATABASE_URL|REDIS_URL)\b", text))


def test_every_variable_the_programs_read_is_explained_and_no_other() -> None:
    asked = {
        name
        for path in (BASE_DIR / "retention/settings.py", BASE_DIR / "gunicorn.conf.py")
        for name in re.findall(r'(?:env\.\w+|_flag|environ\.get)\(\s*"([A-Z_]+)"', path.read_text())
    }
    assert variables((BASE_DIR / ".env.example").read_text()) == asked - NOT_FOR_PEOPLE


def test_the_parts_of_production() -> None:
    services = compose()["services"]
    assert set(services) == {"migrate", "web", "worker", "batch", "beat", "postgres", "redis"}
    for name in ("web", "worker", "batch", "beat"):
        assert services[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}  # type: ignore[index]
    for name in ("web", "postgres", "redis"):
        assert "healthcheck" in services[name]


def test_the_workers_take_the_queues_there_are() -> None:
    from retention.celery import app

    services = compose()["services"]
    taken = {
        command[command.index("-Q") + 1]
        for service in services.values()
        if isinstance(command := service.get("command"), list) and "-Q" in command
    }
    assert taken == {queue.name for queue in app.conf.task_queues}


def test_tasks_are_written_down_and_never_thrown_away() -> None:
    command = " ".join(compose()["services"]["redis"]["command"])  # type: ignore[arg-type]
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command


def test_the_clock_rings_tasks_that_exist() -> None:
    from retention.celery import app

    app.loader.import_default_modules()
    rung = {entry["task"] for entry in app.conf.beat_schedule.values()}
    assert rung <= set(app.tasks)
