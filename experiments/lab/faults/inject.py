"""Disturbing the services and mending them: each step is noted in the run that is under way, if there is one."""

from typing import Any

from lab import client
from lab.errors import LabError
from lab.history import traffic
from lab.history.recorder import RunRecorder
from lab.runtime import lifecycle
from lab.services import Service, variables

ENDING = ("kill", "stop")
FAULT_VERBS, RECOVERY_VERBS = ("kill", "stop", "pause"), ("start", "unpause")


def act(verb: str, service: Service) -> None:
    """Start, stop, kill, pause or unpause a service; one that starts is waited for. Raises LabError."""
    chosen, recorder = lifecycle.choose(), RunRecorder.current()
    if recorder and verb in ENDING:  # what it has counted ends with it
        traffic.note_received(recorder, service)
    if recorder and verb in FAULT_VERBS:  # the disturbance begins when we begin
        recorder.record(type="fault", verb=verb, service=service.name)
    if verb == "start":
        chosen.start(service)
        lifecycle.wait_ready(chosen, service)
    elif verb == "stop":
        chosen.stop(service)
    else:
        chosen.signal(service, verb)
    if recorder and verb in RECOVERY_VERBS:  # and ends when the service works again
        recorder.record(type="fault", verb=verb, service=service.name)


def configure(service: Service, settings: dict[str, Any]) -> dict[str, Any]:
    """Inject faults into a service and return all that it has now. Raises LabError."""
    return _changed("configure", service, settings, _asked("POST", service, json=settings))


def reset(service: Service) -> dict[str, Any]:
    """Put every fault of a service back to none. Raises LabError."""
    return _changed("reset", service, {}, _asked("DELETE", service))


def _changed(verb: str, service: Service, value: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    if recorder := RunRecorder.current():
        recorder.record(type="fault", verb=verb, service=service.name, value=value)
    return config


def configured(service: Service) -> dict[str, Any]:
    """Return the faults of a service. Raises LabError."""
    return _asked("GET", service)


def token(service: Service) -> dict[str, str]:
    """Return the header that a service's `/configure` may ask for."""
    secret = variables(service.part).get("CONFIGURE_TOKEN")
    return {"Authorization": f"Bearer {secret}"} if secret else {}


def condition(service: Service) -> tuple[str, str]:
    """Return whether a service is ready, or why not, and the faults that it has."""
    if service.is_broker:
        return "yes" if lifecycle.is_ready(service, timeout=3.0) else "no answer", ""
    url = service.url
    answer = client.try_get(f"{url}/ready", timeout=3.0)
    if answer is None:
        return "no answer", ""
    checks = answer.json()["checks"]
    bad: dict[str, list[str]] = {}
    for what, said in checks.items():
        if said != "ok":
            bad.setdefault(said, []).append(what)
    config = client.call("GET", f"{url}/configure", headers=token(service)).json().get("config", {})
    usual = {"failure_mode": "error", "timeout": config.get("timeout")}
    faults = [f"{key}={value}" for key, value in config.items() if value and value != usual.get(key)]
    return "; ".join(f"{', '.join(whats)}: {said}" for said, whats in bad.items()) or "yes", " ".join(faults)


def _asked(method: str, service: Service, **options: Any) -> dict[str, Any]:
    if service.is_broker:
        raise LabError(f"{service.name} is a broker and has no /configure", f"./lab kill {service.name}, pause, stop")
    reply = client.call(method, f"{service.url}/configure", headers=token(service), **options)
    if reply.status_code == 200:
        return reply.json()["config"]
    try:
        problem = reply.json()
    except ValueError:
        raise LabError(f"the service answered {reply.status_code}") from None
    why = "; ".join(f"{e['field']}: {e['why']}" for e in problem.get("errors", [])) or problem.get("detail", "")
    raise LabError(f"the service refused it ({reply.status_code}): {why}")
