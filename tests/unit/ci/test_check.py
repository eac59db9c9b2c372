"""The stages of the checks: what is not run is not said to have passed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ci import check, checkov, cluster, engine, go, images, packages, tools
from ci.check import Outcome, Run, Stage
from ci.errors import CiError, NoClusterError


def stage(name: str, says: str | CiError | None, *left_out: str) -> Stage:
    def run(_: object) -> Outcome:
        if isinstance(says, CiError):
            raise says
        return Outcome(says, left_out)

    return Stage(name, run)


@pytest.fixture
def empty_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH without any program, and an empty cache."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("IOT_CACHE", str(tmp_path / "cache"))
    go.require.cache_clear()
    return tmp_path


def test_an_unknown_stage_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(
        CiError, match=re.escape("no stage is called unti: lint, unit, simulation, contract, render, images, cluster")
    ):
        check.main(["unit", "unti"], [])


@pytest.mark.parametrize(("ci", "code"), [("", 0), ("1", 1)])
def test_what_this_machine_cannot_run_is_the_last_thing_said(
    ci: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(check, "STAGES", (stage("unit", None), stage("cluster", NoClusterError("there is no engine"))))
    assert check.main([], []) == code
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1] == "left out: cluster tests were not run: there is no engine"
    assert "all passed" not in printed


@pytest.mark.parametrize(("ci", "code"), [("", 0), ("1", 1)])
def test_a_test_that_was_skipped_is_named_at_the_end_and_keeps_ci_from_passing(
    ci: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(check, "STAGES", (stage("contract", None, "test_a: lacking"), stage("render", None)))
    assert check.main([], []) == code
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1] == "left out: test_a: lacking"
    assert "all passed" not in printed


def test_what_pytest_skips_is_known_by_name_and_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "test_some.py").write_text(
        "import pytest\n"
        "def test_runs(): pass\n"
        "def test_skips(): pytest.skip('no worker')\n"
        "@pytest.mark.skipif(True, reason='no program')\n"
        "@pytest.mark.parametrize('n', [1, 2])\n"
        "def test_is_marked(n): pass\n"
        "@pytest.mark.xfail\n"
        "def test_fails(): assert False\n"
    )
    monkeypatch.setattr(check, "ROOT", tmp_path)
    found = check.pytest("test_some.py", "-p", "no:cacheprovider")([])
    assert found.wrong is None
    assert [name.partition("::")[2] for name in found.left_out] == [
        "test_skips: no worker",
        "test_is_marked[1]: no program",
        "test_is_marked[2]: no program",
    ]


def test_a_report_of_the_users_own_is_kept_and_names_what_was_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "test_some.py").write_text("import pytest\ndef test_skips(): pytest.skip('no worker')\n")
    monkeypatch.setattr(check, "ROOT", tmp_path)
    found = check.pytest("test_some.py", "-p", "no:cacheprovider")(["--junitxml=mine.xml"])
    assert found.wrong is None
    assert len(found.left_out) == 1
    assert 'name="test_skips"' in (tmp_path / "mine.xml").read_text()


def test_a_report_that_was_not_written_names_nothing(tmp_path: Path) -> None:
    assert check.read(tmp_path / "report.xml", "failure") == []


def test_what_fails_is_named_in_the_last_lines_with_the_first_line_of_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "test_some.py").write_text(
        "import pytest\n"
        "@pytest.fixture\n"
        "def server(): raise OSError('no port')\n"
        "def test_runs(): pass\n"
        "def test_fails(): raise ValueError('of one\\nand another')\n"
        "def test_is_not_set_up(server): pass\n"
    )
    monkeypatch.setattr(check, "ROOT", tmp_path)
    monkeypatch.setattr(check, "STAGES", (Stage("some", check.pytest("test_some.py", "-p", "no:cacheprovider")),))
    assert check.main([], []) == 1
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "some: tests in test_some.py failed",
        "failed: test_some::test_fails: ValueError: of one",
        'failed: test_some::test_is_not_set_up: failed on setup with "OSError: no port"',
    ]


def test_of_many_that_fail_the_rest_is_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing = Stage("some", lambda _: Outcome("tests in tests/some failed", failed=[f"test_{n}" for n in range(23)]))
    monkeypatch.setattr(check, "STAGES", (failing,))
    assert check.main([], []) == 1
    assert capsys.readouterr().out.splitlines()[-2:] == ["failed: test_19", "failed: 3 more tests of some"]


@pytest.mark.parametrize("wrong", ["tests in tests/unit failed", go.GoError("another checksum")])
def test_a_stage_that_fails_does_not_keep_the_others_from_running(
    wrong: str | CiError, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(check, "STAGES", (stage("unit", wrong), stage("render", None)))
    assert check.main([], []) == 1
    printed = capsys.readouterr().out
    assert "render: passed" in printed
    assert printed.splitlines()[-1] == f"unit: {wrong}"


@pytest.mark.parametrize("codes", [[0], [0, 0], [5, 0], [0, 5]])
def test_a_part_without_a_chosen_test_is_no_failure(codes: list[int]) -> None:
    assert check.outcome("tests/unit", [Run(code) for code in codes]).wrong is None


@pytest.mark.parametrize("codes", [[5], [5, 5], [1], [1, 0], [0, 1], [5, 1], [2, 5], [0, -9]])
def test_a_part_that_fails_and_nothing_that_was_run_at_all_are_failures(codes: list[int]) -> None:
    assert check.outcome("tests/unit", [Run(code) for code in codes]).wrong == "tests in tests/unit failed"


def test_a_machine_without_go_and_without_the_tools_can_have_no_cluster(
    empty_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "ensure", go.require)
    with pytest.raises(NoClusterError, match="install Go"):
        check.in_cluster([])


def test_a_machine_without_an_engine_can_have_no_cluster(empty_path: Path) -> None:
    engine.find.cache_clear()
    with pytest.raises(NoClusterError, match="a cluster needs podman"):
        check.in_cluster([])


def test_packages_of_a_few_tests_are_named_where_they_may_not_be_installed(empty_path: Path) -> None:
    lacking = packages.install(packages.MQTT_CLIENTS, "a second MQTT client")
    assert lacking == "a second MQTT client needs mosquitto-clients: install it with this system's package manager"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """In which order tools, packages and tests are asked for; nothing is built, installed or tested."""
    order: list[str] = []

    def test(folder: str, *_: str) -> Run:
        order.append(folder)
        return Run(0)

    monkeypatch.setattr(check, "_pytest", test)
    monkeypatch.setattr(tools, "path", order.append)
    monkeypatch.setattr(checkov, "folder", lambda: order.append("checkov"))
    monkeypatch.setattr(packages, "postgres", lambda: None)
    monkeypatch.setattr(packages, "install", lambda wanted, _: order.extend(wanted))
    for module, name in ((cluster, "ensure"), (images, "load"), (images, "build"), (engine, "find")):
        monkeypatch.setattr(module, name, lambda *_: None)
    return order


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("contract", {"mosquitto-clients", "postgresql"}),
        ("render", {"gnupg", "postgresql", "kube-score", "registry", "checkov"}),
        ("images", {"cosign", "registry"}),
        ("cluster", {"versitygw", "ray-operator"}),
    ],
)
def test_no_test_waits_for_what_is_built_or_installed(
    asked: list[str], empty_path: Path, name: str, needed: set[str]
) -> None:
    chosen = next(stage for stage in check.STAGES if stage.name == name)
    assert chosen.run([]).wrong is None
    assert set(asked[: asked.index(f"tests/{name}")]) == needed


def test_what_cannot_be_had_is_said_before_the_tests_that_skip_without_it(
    empty_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check.prepare("kube-score", go.require)
    assert "kube-score cannot be had: tools are built with Go, which is not on PATH" in capsys.readouterr().out
