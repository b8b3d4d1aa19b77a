"""Review over REST."""

import re

import pytest

POLICY = {
    "accepted_percent": 100,
    "rejected_percent": 100,
    "confidence_below": 0,
    "canary": False,
    "reviewers": 2,
    "blind": True,
}


def assert_problem(response, status: int, text: str) -> None:
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json"), response.text
    assert re.search(text, response.json()["detail"])


@pytest.fixture
def ana(as_role):
    return as_role("reviewer")


@pytest.fixture
def eve(as_role):
    return as_role("engineer")


def test_an_item_is_handed_out_judged_and_told(queued, ana):
    queued(1, blind=True)

    item = ana.get("/v1/reviews/next").json()["item"]
    said = {"inspection_id": item["inspection_id"], "verdict": "reject", "reason": item["choices"][2], "seconds": 1.5}
    judged = ana.post("/v1/reviews", json=said)

    assert item["choices"] == ["AChipB", "AChipA", "Contam", "Wirebond", "CopperExp", "Other"]
    assert judged.status_code == 201
    assert judged.json()["answer"]["reasons"] == ["CONTAM_PLACE: Contam in writer"]
    assert (judged.json()["state"], judged.json()["verdict"], judged.json()["agrees"]) == ("done", "reject", True)
    [kept] = ana.get("/v1/reviews", params={"reviewer": "reviewer"}).json()["reviews"]
    assert (kept["verdict"], kept["reason"], kept["seconds"], kept["blind"]) == ("reject", "Contam", 1.5, True)


def test_nothing_that_a_blind_item_sends_gives_the_decision_away(queued, ana, eve):
    [event] = queued(1, blind=True)
    telling = re.compile(r"CONTAM|te_head_v1|0\.9\b|\boverlay\b|/mask|\brejected\b|file:")

    everything = [
        ana.get("/review"),
        ana.get("/review", params={"item": event.data.inspection_id}),
        ana.get("/review/queue"),
        ana.get("/v1/reviews/next"),
        ana.get("/v1/reviews"),
        ana.get("/v1/reviews/queue"),
    ]
    image = ana.get(everything[3].json()["item"]["images"][0])

    for answer in everything:
        assert answer.status_code == 200
        # the policy in words speaks of what was rejected; it does so whatever was decided
        words = answer.text.replace("of what was rejected", "")
        assert not telling.search(words), (str(answer.url), telling.search(words))
        assert not telling.search(str(answer.headers))
    assert image.status_code == 200
    assert not re.search(r"reject|accept(?!-ranges)|\.bmp|filename", str(dict(image.headers)), re.IGNORECASE), image.headers
    assert everything[3].json()["item"]["answer"] is None


def test_the_slower_of_two_is_told(queued, ana, eve):
    [event] = queued(1)
    said = {"inspection_id": event.data.inspection_id, "verdict": "accept"}
    ana.post("/v1/reviews", json=said)

    assert_problem(eve.post("/v1/reviews", json=said), 409, "reviewer judged .* while you looked at it")


def test_a_judgement_is_taken_back(queued, ana):
    [event] = queued(1)
    ana.post("/v1/reviews", json={"inspection_id": event.data.inspection_id, "verdict": "accept"})

    assert ana.delete(f"/v1/reviews/{event.data.inspection_id}").json()["verdict"] == "accept"
    assert ana.get("/v1/reviews").json()["reviews"] == []
    assert_problem(ana.delete(f"/v1/reviews/{event.data.inspection_id}"), 404, "you did not judge")


def test_an_expert_decides_over_rest(queued, ana, as_role, eve):
    [event] = queued(1, reviewers=2)
    said = {"inspection_id": event.data.inspection_id}
    ana.post("/v1/reviews", json={**said, "verdict": "accept"})
    as_role("admin").post("/v1/reviews", json={**said, "verdict": "reject", "reason": "Contam"})

    [waiting] = eve.get("/v1/reviews/disagreements").json()
    assert (waiting["inspection_id"], waiting["judged_by"]) == (event.data.inspection_id, ["reviewer", "admin"])
    assert ana.get("/v1/reviews/disagreements").status_code == 403
    assert eve.get("/v1/reviews/next").json()["item"]["disagreed"]
    assert eve.post("/v1/reviews", json={**said, "verdict": "accept"}).json()["verdict"] == "accept"


def test_an_operator_asks_for_a_review(queued, as_role, ana):
    [event] = queued(1, rejected_percent=0)
    path = f"/v1/inspections/{event.data.inspection_id}/review-request"

    asked = as_role("operator").post(path, json={"why": "a reflection?"})

    assert (asked.status_code, asked.json()["state"]) == (201, "open")
    assert ana.get("/v1/reviews/next").json()["item"]["inspection_id"] == event.data.inspection_id
    assert_problem(as_role("operator").post("/v1/inspections/nowhere/review-request", json={"why": "hm"}), 404, "no inspection")


def test_an_operator_does_not_review(queued, as_role):
    queued(1)

    assert_problem(as_role("operator").get("/v1/reviews/next"), 403, "needs reviewer")


def test_a_policy_is_read_tried_changed_and_its_history_kept(inspected, ana, eve):
    inspected(3)
    path = "/v1/review-policies/te_head"

    before = ana.get(path).json()
    tried = ana.post(f"{path}/preview", json=POLICY).json()
    saved = eve.put(path, json={"policy": POLICY, "version": before["version"], "why": "new lens"})

    assert (before["version"], before["policy"]["rejected_percent"]) == (0, 5)
    assert (tried["looked_at"], tried["chosen"]) == (3, 3)
    assert (saved.status_code, saved.json()["version"], saved.json()["who"]) == (200, 1, "engineer")
    assert ana.get(path).json() == saved.json()
    assert [version["why"] for version in ana.get(f"{path}/versions").json()] == ["new lens"]
    assert [p["version"] for p in ana.get("/v1/review-policies").json() if p["product"] == "te_head"] == [1]


def test_a_policy_that_somebody_changed_since_is_not_overwritten(eve, ana):
    path = "/v1/review-policies/te_head"
    eve.put(path, json={"policy": POLICY, "version": 0, "why": "new lens"})

    assert_problem(eve.put(path, json={"policy": {}, "version": 0, "why": "mine"}), 409, "engineer saved version 1")
    assert ana.get(path).json()["policy"] == POLICY


def test_a_reviewer_does_not_change_a_policy(ana):
    change = {"policy": POLICY, "version": 0, "why": "less work"}

    assert_problem(ana.put("/v1/review-policies/te_head", json=change), 403, "needs engineer")
    assert ana.post("/review/policies/te_head", data={"version": 0, "why": "less work"}).status_code == 403


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/reviews", {"inspection_id": "../etc", "verdict": "accept"}),
        ("/v1/reviews", {"inspection_id": "a", "verdict": "perhaps"}),
        ("/v1/reviews", {"inspection_id": "a", "verdict": "accept", "comment": "a\u0000b"}),
        ("/v1/reviews", {"inspection_id": "a", "verdict": "accept", "comment": "a" * 513}),
        ("/v1/reviews", {"inspection_id": "a", "verdict": "accept", "seconds": -1}),
        ("/v1/review-policies/te_head/preview", {"accepted_percent": 101}),
        ("/v1/inspections/a/review-request", {"why": ""}),
    ],
)
def test_what_makes_no_sense_is_refused(eve, path, body):
    assert eve.post(path, json=body).status_code == 422


@pytest.mark.parametrize("query", ["before=0", "before=99999999999999999999", "most=201", "since=yesterday", "verdict=x"])
def test_a_filter_that_makes_no_sense_is_refused(ana, query):
    assert ana.get(f"/v1/reviews?{query}").status_code == 422


def test_the_policy_of_an_unknown_product_is_not_there(ana):
    assert_problem(ana.get("/v1/review-policies/nothing"), 404, "unknown product")


def test_a_comment_is_shown_as_it_was_written(queued, ana):
    [event] = queued(1)
    ana.post(
        "/v1/reviews", json={"inspection_id": event.data.inspection_id, "verdict": "accept", "comment": "<script>x</script>"}
    )

    page = ana.get("/review/queue").text

    assert "&lt;script&gt;x&lt;/script&gt;" in page
    assert "<script>x" not in page


def test_two_editors_of_a_policy_on_the_page_and_what_the_second_typed_stays(eve):
    form = {"version": "0", "accepted_percent": "2", "rejected_percent": "3", "confidence_below": "0.4", "reviewers": "2"}
    first = eve.post("/review/policies/te_head", data={**form, "why": "new lens", "blind": "true"}, follow_redirects=False)
    second = eve.post("/review/policies/te_head", data={**form, "accepted_percent": "44", "why": "my reason"})

    assert (first.status_code, first.headers["location"]) == (303, "/review/policies/te_head")
    assert second.status_code == 409
    assert "engineer saved version 1" in second.text
    assert 'value="44"' in second.text
    assert 'value="my reason"' in second.text
    assert 'name="version" value="1"' in second.text
