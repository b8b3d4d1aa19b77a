"""Alerts over REST: what is wrong now, what was, and who has seen it."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import insert

from gateway.store.schema import alerts

RAISED = datetime.fromisoformat("2026-11-23T12:00:00Z")


@pytest.fixture
def notice(parts):
    """Records a notice as the recorder does; returns its number."""

    def noticed(kind="queue-age", subject="opica.requests.high", state="raised", since=RAISED, count=1, **more) -> int:
        row = {"kind": kind, "subject": subject, "state": state, "since": since, "count": count, "severity": "warning"}
        row |= {"message": f"{kind} {state}", "created": parts.now(), "event_id": f"event-{parts.now()}", **more}
        with parts.database.write() as connection:
            return connection.execute(insert(alerts).returning(alerts.c.seq), row).scalar_one()

    return noticed


def test_open_is_what_was_raised_last_and_not_cleared_critical_first(as_role, notice):
    notice("queue-age")
    notice("triton-down", "triton-1:8001", severity="critical")
    notice("disk-low", "/masks")
    notice("disk-low", "/masks", state="cleared")

    found = as_role("operator").get("/v1/alerts/open").json()

    assert [alert["kind"] for alert in found] == ["triton-down", "queue-age"]


def test_trouble_that_comes_back_is_open_again(as_role, notice):
    notice()
    notice(state="cleared")
    again = notice(since=RAISED + timedelta(hours=1))

    assert [alert["seq"] for alert in as_role("operator").get("/v1/alerts/open").json()] == [again]


def test_a_reviewer_acknowledges_with_a_comment_which_is_noted(as_role, notice, parts):
    seq = notice()

    answer = as_role("reviewer").post(f"/v1/alerts/{seq}/acknowledge", json={"comment": "Bo restarts it"})

    assert (answer.status_code, answer.json()["acknowledged_by"]) == (200, "reviewer")
    (deed,) = parts.audit.of(f"alert {seq}")
    assert (deed.who, deed.action, deed.detail["comment"]) == ("reviewer", "alert.acknowledge", "Bo restarts it")
    assert as_role("operator").get("/v1/alerts").json()["alerts"][0]["comment"] == "Bo restarts it"
    assert as_role("operator").get("/v1/line").json()["alerts"] == {"open": 1, "unacknowledged": 0}


def test_a_reminder_of_acknowledged_trouble_is_acknowledged_too_but_new_trouble_is_not(as_role, notice):
    as_role("reviewer").post(f"/v1/alerts/{notice()}/acknowledge", json={})
    notice(count=600)
    assert as_role("operator").get("/v1/alerts/open").json()[0]["acknowledged_by"] == "reviewer"

    notice(since=RAISED + timedelta(hours=1))

    assert as_role("operator").get("/v1/alerts/open").json()[0]["acknowledged_by"] is None


def test_the_second_who_acknowledges_is_told_who_was_first(as_role, notice):
    seq = notice()
    as_role("reviewer").post(f"/v1/alerts/{seq}/acknowledge", json={})

    answer = as_role("engineer").post(f"/v1/alerts/{seq}/acknowledge", json={})

    assert answer.status_code == 409
    assert "reviewer has acknowledged it" in answer.json()["detail"]


def test_an_operator_may_look_but_not_acknowledge(as_role, notice):
    assert as_role("operator").post(f"/v1/alerts/{notice()}/acknowledge", json={}).status_code == 403


def test_an_unknown_alert_is_told(as_role):
    assert as_role("reviewer").post("/v1/alerts/4711/acknowledge", json={}).status_code == 404


def test_the_history_goes_by_pages_without_losing_or_repeating_any(as_role, notice):
    made = [notice() for _ in range(7)]
    client, seen, before = as_role("operator"), [], None

    while True:
        page = client.get("/v1/alerts", params={"limit": 3} | ({"before": before} if before else {})).json()
        seen += [alert["seq"] for alert in page["alerts"]]
        before = page["next"]
        if before is None:
            break

    assert seen == made[::-1]


def test_the_history_is_filtered_by_kind_and_state(as_role, notice):
    notice("queue-age")
    notice("disk-low", state="cleared")

    found = as_role("operator").get("/v1/alerts", params={"kind": "disk-low", "state": "cleared"}).json()["alerts"]

    assert [alert["kind"] for alert in found] == ["disk-low"]
