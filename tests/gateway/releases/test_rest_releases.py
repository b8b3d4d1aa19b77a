def test_an_engineer_promotes_and_rolls_back(as_role, parts):
    client = as_role("engineer")

    promoted = client.post(
        "/v1/products/te_head/promotions", json={"alias": "champion", "release": "te_head_v2", "why": "better"}
    )
    back = client.post("/v1/products/te_head/rollback", json={"why": "misses copper"})

    assert (promoted.status_code, promoted.json()["release"], promoted.json()["who"]) == (201, "te_head_v2", "engineer")
    assert (back.status_code, back.json()["release"]) == (201, "te_head_v1")
    assert parts.catalogue.resolve("te_head").version == 1
    assert [deed.action for deed in parts.audit.of("te_head")] == ["release.promote"] * 2


def test_the_second_of_two_engineers_is_told(as_role, parts):
    client = as_role("engineer")
    seen = {"alias": "champion", "seen": "te_head_v1", "why": "better"}
    client.post("/v1/products/te_head/promotions", json={**seen, "release": "te_head_v2"})

    late = client.post("/v1/products/te_head/promotions", json={**seen, "release": "te_head_v1"})

    assert late.status_code == 409
    assert "names te_head_v2 by now (engineer: better)" in late.json()["detail"]


def test_a_roll_back_without_another_champion_is_a_conflict(as_role):
    answer = as_role("engineer").post("/v1/products/te_head/rollback", json={"why": "away"})

    assert (answer.status_code, answer.json()["detail"]) == (409, "te_head never had another champion")


def test_a_canary_without_a_share_is_refused_with_the_reason(as_role):
    wanted = {"alias": "canary", "release": "te_head_v2", "why": "a look"}

    answer = as_role("engineer").post("/v1/products/te_head/promotions", json=wanted)

    assert answer.status_code == 422
    assert "needs one" in answer.json()["detail"]


def test_who_decided_at_a_time_is_told(as_role, parts):
    first = parts.catalogue.promotions()[0].when
    parts.catalogue.promote("te_head", "champion", "te_head_v2", "ana", "better")

    then = as_role("operator").get("/v1/products/te_head/aliases", params={"at": first.isoformat()})
    now = as_role("operator").get("/v1/products/te_head/aliases")

    assert then.json()["champion"]["release"] == "te_head_v1"
    assert now.json()["champion"]["release"] == "te_head_v2"


def test_an_unknown_comparison_is_not_found(as_role):
    for identity in ("7", "99999999999999999999"):
        assert as_role("engineer").get(f"/v1/comparisons/{identity}").status_code == 404
