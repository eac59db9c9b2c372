"""The plugin `chart_harness` as a user has it: its documentation, its rules, what it says of bad input."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from chart_harness.cluster import Kubernetes
from chart_harness.errors import NotFreezableError, SettingError
from chart_harness.freezing import on_node
from chart_harness.installation import WAITED, Installation, Installations
from chart_harness.manifests import Rendered, selects
from chart_harness.rendering import Chart
from chart_harness.rules import RULES

from tests.harness.alone import NOTES, PLUGIN, copy, environment, finished, run_tests

README = (PLUGIN / "README.md").read_text()
SILENT = "--kubeconfig=silent"


class Mistake(NamedTuple):
    """A part of a file of the chart that is otherwise, and the rule that says so."""

    rule: str
    file: str
    old: str
    new: str


POD = "templates/statefulset.yaml"
SELECTOR = '{{- include "notes.selector" . | nindent 4 }}'
COLOURED = ("values.schema.json", '"properties": {\n', '"properties": {\n    "colour": {"type": "string"},\n')
"""A value that the chart before does not know."""
CLOSED = '"type": "object",\n  "additionalProperties": false,'
MISTAKES = (
    Mistake("probes", POD, "livenessProbe:", "# livenessProbe:"),
    Mistake("probes", POD, "{path: /ready, port: http}", "{path: /ready, port: web}"),
    Mistake("resources", "values.yaml", "limits: {memory: 64Mi}", "limits: {memory: 16Mi}"),
    Mistake("resources", "values.yaml", "limits: {memory: 64Mi}", "limits: {cpu: 1}"),
    Mistake("pod-security", "templates/_pod.tpl", "runAsNonRoot: true", "runAsNonRoot: false"),
    Mistake("pod-security", "templates/_pod.tpl", "capabilities: {drop: [ALL]}", ""),
    Mistake("selectors", "templates/tests/check.yaml", "app.kubernetes.io/name: notes-check", SELECTOR),
    Mistake("ports", "templates/service.yaml", "targetPort: http", "targetPort: web"),
    Mistake("ports", POD, "serviceName: {{ .Release.Name }}", "serviceName: notes"),
    Mistake("references", POD, "key: token", "key: password"),
    Mistake("references", "templates/configmap.yaml", "name: {{ .Release.Name }}", "name: server"),
    Mistake("plain-secrets", "templates/configmap.yaml", "\ndata:", "\ndata:\n  TOKEN: {{ .Values.token }}"),
    Mistake("plain-secrets", "templates/configmap.yaml", "\ndata:", "\ndata:\n  TOKEN: /{{ .Values.token }}"),
    Mistake("names", "templates/service.yaml", "name: {{ .Release.Name }}", "name: 1notes"),
    Mistake("upgrade", POD, "storage: {{ .Values.storage }}", "storage: 1Gi"),
    Mistake("deterministic", "templates/secret.yaml", "{{ .Values.token | quote }}", "{{ randAlphaNum 16 }}"),
    Mistake("unknown-keys", "values.schema.json", CLOSED, '"type": "object",'),
)


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """The small chart, which may be changed."""
    return copy(tmp_path)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has the plugin and nothing else."""
    return environment(tmp_path_factory.mktemp("alone"))


def broken(folder: Path, file: str, old: str, new: str) -> None:
    """Have a part of a file of the chart otherwise."""
    path = folder / "chart" / file
    assert path.read_text().count(old) == 1, (file, old)
    path.write_text(path.read_text().replace(old, new))


def complaints(rule: str, folder: Path, helm: str) -> list[str]:
    """What a rule has to say of the chart with its first values file, and of an upgrade to it."""
    values = folder / "chart" / "ci" / "default-values.yaml"
    return [*RULES[rule](Rendered(Chart(folder / "chart", helm), values, previous=Chart(NOTES / "chart", helm)))]


def blocks(language: str) -> list[str]:
    """What stands in the README in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_every_example_of_the_documentation_is_what_the_small_chart_is_tested_with() -> None:
    files = [(NOTES / "pytest.ini").read_text(), *(path.read_text() for path in (NOTES / "tests").glob("*.py"))]
    examples = blocks("python") + blocks("ini")
    assert len(examples) > 5
    assert [one for one in examples if not any(one in text for text in files)] == []


def test_the_documentation_names_every_rule_option_setting_and_fixture() -> None:
    assert re.findall(r"^\| `([a-z][a-z-]*)` \|", README, re.MULTILINE) == list(RULES)
    source = (PLUGIN / "src" / "chart_harness" / "configuration.py").read_text()
    named = re.findall(r'add(?:option|ini)\("(.+?)"', source)
    assert len(named) == 8
    assert [name for name in named if f"`{name}`" not in README] == []
    plugin = (PLUGIN / "src" / "chart_harness" / "plugin.py").read_text()
    fixtures = re.findall(r"@pytest.fixture.*\n *def (\w+)", plugin)
    assert len(fixtures) == 11
    assert [name for name in fixtures if f"`{name}`" not in README] == []


def test_a_chart_is_tested_with_the_plugin_alone_outside_of_this_repository(
    python: Path, notes: Path, helm_program: str
) -> None:
    code, said = run_tests(python, notes, helm_program, f"--previous-chart={NOTES / 'chart'}", "tests/test_rules.py")
    assert code == 0, said
    assert f"{2 * len(RULES) + 2} passed in" in said, said


def test_warnings_may_be_errors(python: Path, notes: Path, helm_program: str) -> None:
    """Those of pytest-helm-charts' own fixtures are nobody's here."""
    code, said = run_tests(python, notes, helm_program, "--collect-only", "--quiet", "-W", "error")
    assert code == 0, said
    assert "cannot discover fixture" not in said, said


def test_an_upgrade_that_begins_nowhere_is_no_test_that_passes(python: Path, notes: Path, helm_program: str) -> None:
    code, said = run_tests(python, notes, helm_program, "tests/test_rules.py", "-k", "upgrade", "-rs")
    assert code == 0, said
    assert "2 skipped" in said, said
    assert "no --previous-chart is given, from which an upgrade would begin" in said, said


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ("tokens: x", "Additional property tokens is not allowed|additional properties 'tokens' not allowed"),
        ("token: [", "error converting YAML to JSON|failed to parse .*values.yaml"),
    ],
    ids=["refused", "no-yaml"],
)
def test_values_that_helm_refuses_are_told_by_its_own_words(
    python: Path, notes: Path, helm_program: str, values: str, sentence: str
) -> None:
    file = notes / "of-ones-own-values.yaml"
    file.write_text(values)
    code, said = run_tests(python, notes, helm_program, "-o", f"chart_values={file}", "tests/test_rules.py")
    assert code == 1
    assert re.search(sentence, said), said
    assert not re.search("^E  |Traceback", said, re.MULTILINE), said


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: f"{mistake.rule}-{mistake.new}")
def test_a_mistake_of_one_line_is_found_by_its_rule(notes: Path, helm_program: str, mistake: Mistake) -> None:
    assert complaints(mistake.rule, notes, helm_program) == []
    broken(notes, mistake.file, mistake.old, mistake.new)
    assert complaints(mistake.rule, notes, helm_program) != []


def test_values_that_are_new_to_the_chart_before_are_its_own_of_that_name_or_refused_by_one_sentence(
    notes: Path, helm_program: str
) -> None:
    before = Path(shutil.copytree(notes / "chart", notes / "before"))
    broken(notes, *COLOURED)
    for name in ("default", "new"):
        file = notes / "chart" / "ci" / f"{name}-values.yaml"
        file.write_text("token: of-the-render-tests\ncolour: red\n")
    chart, previous = Chart(notes / "chart", helm_program), Chart(before, helm_program)
    found = {
        name: [*RULES["upgrade"](Rendered(chart, notes / "chart" / "ci" / f"{name}-values.yaml", previous=previous))]
        for name in ("default", "new")
    }
    assert found["default"] == []
    [told] = found["new"]
    assert told.startswith("the chart before takes neither these values nor its own of that name: ")
    assert "colour" in told


def test_the_folder_of_the_chart_may_be_named_from_here_and_have_any_name(
    tmp_path: Path, helm_program: str, python: Path
) -> None:
    """Also where the chart before refuses the values: its own of that name are found."""
    folder = Path(shutil.copytree(NOTES, tmp_path / "notes [1]"))
    shutil.copytree(folder / "chart", folder / "before")
    broken(folder, *COLOURED)
    (folder / "chart" / "ci" / "default-values.yaml").write_text("token: of-the-render-tests\ncolour: red\n")
    given = ("--chart-path=chart", "--previous-chart=before", "tests/test_rules.py", "-k", "default-values")
    code, said = run_tests(python, folder, helm_program, *given)
    assert code == 0, said
    assert f"{len(RULES) + 1} passed" in said, said


def test_a_failure_keeps_what_was_noted_of_it(python: Path, notes: Path, helm_program: str) -> None:
    (notes / "tests" / "test_noted.py").write_text(
        "from chart_harness.errors import NotReadyError\n\n\ndef test() -> None:\n"
        "    error = NotReadyError('it is not ready')\n    error.add_note('and this was done')\n    raise error\n"
    )
    code, said = run_tests(python, notes, helm_program, "tests/test_noted.py")
    assert code == 1
    assert "\nit is not ready\nand this was done\n" in said, said


@pytest.mark.parametrize(
    "said",
    [
        "Error: INSTALLATION FAILED: context deadline exceeded",
        "Error: UPGRADE FAILED: client rate limiter Wait returned an error: Wait(n=1) would exceed context deadline",
        "Error: INSTALLATION FAILED: failed post-install: timed out waiting for the condition",
        "`helm upgrade` did not end within 600 s",
    ],
)
def test_a_wait_that_was_too_long_is_known_by_what_helm_says(said: str) -> None:
    assert WAITED.search(said)


def test_a_line_within_a_document_does_not_end_it(notes: Path, helm_program: str) -> None:
    named = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n"
    text = f"{named % 'first'}data:\n  text: |\n    ---\n    a\n--- # the next one\n{named % 'second'}---\n# nothing\n"
    (notes / "chart" / "templates" / "odd.yaml").write_text(text)
    values = notes / "chart" / "ci" / "default-values.yaml"
    chart = Rendered(Chart(notes / "chart", helm_program), values)
    assert chart.one("ConfigMap", "first")["data"] == {"text": "---\na\n"}
    assert chart.one("ConfigMap", "second").get("data") is None


def test_every_rule_has_its_mistake() -> None:
    assert {mistake.rule for mistake in MISTAKES} == RULES.keys()


def test_what_breaks_a_rule_is_told_in_the_failure(python: Path, notes: Path, helm_program: str) -> None:
    broken(notes, "templates/service.yaml", "targetPort: http", "targetPort: web")
    code, said = run_tests(python, notes, helm_program, "tests/test_rules.py")
    assert code == 1
    assert "Service/release leads to port web, which StatefulSet/release has not" in said
    assert set(re.findall(r"^FAILED [^\[]*\[(.*?)\]", said, re.MULTILINE)) == {
        "default-values-ports",
        "open-values-ports",
    }


def test_kinds_that_nobody_has_looked_up_are_named_where_they_change_and_hide_nothing_else(
    notes: Path, helm_program: str
) -> None:
    before = notes / "before"
    for folder, seconds in ((before, 15), (notes / "chart", 30)):
        if folder == before:
            shutil.copytree(notes / "chart", before)
        for name, duration in (("same", 15), ("other", seconds)):
            lease = f"{{kind: Lease, apiVersion: coordination.k8s.io/v1, metadata: {{name: {name}}}, "
            text = f"{lease}spec: {{leaseDurationSeconds: {duration}}}}}"
            (folder / "templates" / f"{name}.yaml").write_text(text)
    broken(notes, POD, "storage: {{ .Values.storage }}", "storage: 1Gi")
    values = notes / "chart" / "ci" / "default-values.yaml"
    rendered = Rendered(Chart(notes / "chart", helm_program), values, previous=Chart(before, helm_program))
    assert [*RULES["upgrade"](rendered)] == [
        "Lease/other is otherwise than before, and what Kubernetes lets change in a Lease is not known",
        "StatefulSet/release: Kubernetes lets nobody change volumeClaimTemplates in an upgrade",
    ]


@pytest.mark.parametrize(
    ("operator", "values", "is_taken"),
    [
        ("In", ["b", "c"], True),
        ("In", ["c"], False),
        ("NotIn", ["c"], True),
        ("NotIn", ["b"], False),
        ("Exists", None, True),
        ("DoesNotExist", None, False),
    ],
)
def test_a_selector_may_be_made_of_expressions(operator: str, values: list[str] | None, is_taken: bool) -> None:
    requirement = {"key": "a", "operator": operator} | ({"values": values} if values else {})
    assert selects({"matchExpressions": [requirement]}, {"a": "b"}) is is_taken
    assert selects({"matchLabels": {"d": "e"}, "matchExpressions": [requirement]}, {"a": "b"}) is False


def test_tests_that_take_too_long_are_interrupted_and_clean_up() -> None:
    program = """
import signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell may have taken from what runs behind it
print("begun", flush=True)
try: time.sleep(600)
finally: print("cleaned")
"""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program], stdout=pipe, stderr=pipe, text=True) as tests:
        assert tests.stdout is not None
        assert tests.stdout.readline() == "begun\n"
        with pytest.raises(subprocess.TimeoutExpired) as late:
            finished(tests, within_s=0.1)
    assert "cleaned" in late.value.__notes__[0]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"chart_path": "nowhere"}, "there is no chart in .*/nowhere: it has no Chart.yaml"),
        ({"chart_path": ""}, "no chart is named: give --chart-path, or chart_path in pytest.ini"),
        ({"chart_values": "none.yaml"}, "chart_values names none.yaml, and there is no such file"),
        ({"chart_rules_left_out": "probe"}, "there is no rule probe to leave out, only probes, resources, .*"),
        ({"chart_values": "/nowhere/none.yaml"}, "chart_values names /nowhere/none.yaml, and there is no such file"),
        ({"chart_ready_s": "soon"}, "chart_ready_s is 'soon': it is a number of seconds above 0"),
        ({"chart_ready_s": "nan"}, "chart_ready_s is 'nan': it is a number of seconds above 0"),
    ],
    ids=lambda value: None if isinstance(value, str) else next(iter(value)),
)
def test_a_setting_that_leads_nowhere_is_told_by_one_sentence(
    python: Path, notes: Path, helm_program: str, settings: Mapping[str, str], sentence: str
) -> None:
    given = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
    code, said = run_tests(python, notes, helm_program, *given)
    assert code != 0
    assert re.search(rf"^(?:ERROR: )?{sentence}$", said, re.MULTILINE), said
    assert not re.search("^E  |Traceback", said, re.MULTILINE), said


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([SILENT, "--helm=/nowhere/it"], "there is no program /nowhere/it: install it, or say by --helm where it is"),
        (
            [SILENT, "--kubectl=/nowhere/it"],
            "there is no program /nowhere/it: install it, or say .*",
        ),
        ([], "no cluster is named: give --kubeconfig, or KUBECONFIG in the environment"),
        (["--kubeconfig=none"], "there is no kubeconfig none"),
        (["--kubeconfig=pytest.ini"], "no cluster answers where pytest.ini leads: .*"),
        ([SILENT], "no cluster answers where silent leads: .*127.0.0.1:1 was refused.*"),
    ],
    ids=lambda value: None if isinstance(value, str) else " ".join(value) or "nothing",
)
def test_a_program_or_a_cluster_that_is_not_there_is_told_by_one_sentence(
    python: Path, notes: Path, helm_program: str, kubectl_program: str, options: list[str], sentence: str
) -> None:
    cluster = {"cluster": {"server": "https://127.0.0.1:1"}, "name": "silent"}
    user = {"user": {"token": "x"}, "name": "silent"}
    context = {"context": {"cluster": "silent", "user": "silent"}, "name": "silent"}
    silent = {"clusters": [cluster], "users": [user], "contexts": [context], "current-context": "silent"}
    (notes / "silent").write_text(json.dumps({"apiVersion": "v1", "kind": "Config"} | silent))
    test = "tests/test_cluster.py::test_its_own_test_passes[default-values]"
    code, said = run_tests(python, notes, helm_program, f"--kubectl={kubectl_program}", *options, test)
    assert code == 1
    assert re.search(rf"^{sentence}$", said, re.MULTILINE), said
    assert not re.search("^E  |Traceback", said, re.MULTILINE), said


def test_a_values_file_that_is_not_there_is_named_before_anything_is_rendered_or_installed(helm_program: str) -> None:
    nowhere, cluster = Path("nowhere.yaml"), Kubernetes(Path("kubeconfig"), "kubectl", helm_program)
    with pytest.raises(SettingError, match=r"^there is no values file nowhere[.]yaml$"):
        Chart(NOTES / "chart", helm_program).render(nowhere)
    with pytest.raises(SettingError, match=r"^there is no values file nowhere[.]yaml$"):
        Installations(Installation, cluster, NOTES / "chart").new(nowhere)


def test_a_node_that_is_no_container_of_this_machine_is_named() -> None:
    with pytest.raises(NotFreezableError, match=r"^the node nobodys-node is no container of docker or podman on this"):
        on_node("nobodys-node", "true")
