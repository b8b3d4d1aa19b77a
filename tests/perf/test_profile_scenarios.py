import pytest

from opica.errors import ConfigurationError
from perf.profile.scenarios import FILE, load

SWEEP = {"name": "sweep", "target": "segnet", "concurrency": [1, 2]}


def toml(*scenarios) -> str:
    def value(item):
        return f'"{item}"' if isinstance(item, str) else item

    return "\n".join("[[scenarios]]\n" + "\n".join(f"{key} = {value(item)}" for key, item in one.items()) for one in scenarios)


def test_the_committed_scenarios_ask_every_target_over_both_transports_and_at_random():
    scenarios = load(FILE).scenarios

    asked = {(one.target, one.transport) for one in scenarios if one.concurrency}
    assert asked == {
        (target, way) for target in ("ensemble", "preprocess", "segnet", "classifier") for way in ("grpc", "shared")
    }
    assert {one.target for one in scenarios if one.load} == {"ensemble", "preprocess", "segnet", "classifier"}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"target": "decoder"}, "scenarios.0.target: Input should be 'ensemble', 'preprocess', 'segnet' or 'classifier'"),
        ({"transport": "pigeon"}, "scenarios.0.transport: Input should be 'grpc' or 'shared'"),
        ({"name": "my sweep"}, "scenarios.0.name: String should match"),
        ({"concurrency": [0]}, "scenarios.0.concurrency.0: Input should be greater than or equal to 1"),
        ({"concurrency": [1.5]}, "scenarios.0.concurrency.0: Input should be a valid integer"),
        ({"concurrency": []}, "levels of one kind, concurrency, images_per_s or load; given: none"),
        ({"images_per_s": [10.0]}, "given: concurrency and images_per_s"),
        ({"concurency": [1]}, "scenarios.0.concurency: Extra inputs are not permitted"),
        ({"of": "sweep"}, "load and of belong together"),
    ],
)
def test_what_is_wrong_with_a_scenario_is_named_with_its_place(tmp_path, changes, told):
    file = tmp_path / "scenarios.toml"
    file.write_text(toml({**SWEEP, **changes}))

    with pytest.raises(ConfigurationError) as refused:
        load(file)

    assert told in str(refused.value)
    assert str(file) in str(refused.value)


@pytest.mark.parametrize(
    ("second", "told"),
    [
        ({"name": "sweep", "target": "segnet", "concurrency": [1]}, "two scenarios are named sweep"),
        ({"name": "random", "target": "segnet", "load": [0.8], "of": "later"}, "random: of is 'later'"),
        ({"name": "random", "target": "ensemble", "load": [0.8], "of": "sweep"}, "wanted: an earlier scenario of ensemble"),
    ],
)
def test_shares_are_of_an_earlier_sweep_of_the_same_target(tmp_path, second, told):
    file = tmp_path / "scenarios.toml"
    file.write_text(toml(SWEEP, second))

    with pytest.raises(ConfigurationError, match=told):
        load(file)


@pytest.mark.parametrize(("text", "told"), [("", "scenarios: Field required"), ("[[scenarios", "no TOML"), ("\xff", "no TOML")])
def test_a_file_without_scenarios_is_refused(tmp_path, text, told):
    file = tmp_path / "scenarios.toml"
    file.write_bytes(text.encode("latin-1"))

    with pytest.raises(ConfigurationError, match=told):
        load(file)


def test_a_file_that_is_absent_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=f"{tmp_path}/none.toml: No such file"):
        load(tmp_path / "none.toml")


def test_chosen_shares_bring_the_sweep_that_they_are_of():
    chosen = load(FILE).chosen(["segnet-shared-random", "classifier-grpc"])

    assert [one.name for one in chosen] == ["segnet-shared", "segnet-shared-random", "classifier-grpc"]


def test_a_pattern_chooses_all_that_match():
    assert {one.target for one in load(FILE).chosen(["pre*"])} == {"preprocess"}


def test_a_pattern_that_matches_none_is_refused_with_what_there_is():
    with pytest.raises(ConfigurationError, match="none is named 'segmet'; there are ensemble-grpc, "):
        load(FILE).chosen(["ensemble-grpc", "segmet"])
