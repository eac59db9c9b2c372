"""A CA that is replaced, step by step: who trusts whom meanwhile."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from iot_system.adapters.tls.authority import CA_LIFE, LIFE, contents, is_signed_by
from iot_system.commands.kubernetes import RENEW
from iot_system.commands.renewal import NOTICE, OVERLAP

from tests.unit.commands.certified import CA, DAY, HERE, NOW, RAY, cas, held, run, trusts
from tests.unit.commands.kubernetes_api import KubernetesApi


def test_a_ca_is_replaced_step_by_step_when_it_is_asked_for(api: KubernetesApi) -> None:
    run(api, NOW)
    old = api.values(HERE, CA)["tls.crt"]
    api.annotate(HERE, CA, RENEW, "tls.crt")
    run(api, NOW + OVERLAP)
    assert api.annotations(HERE, CA) == {}
    assert [cas(one) for one in held(api).values()] == [2, 2]
    assert all(is_signed_by(one["tls.crt"].encode(), old.encode()) for one in held(api).values())
    api.annotate(HERE, CA, RENEW, "tls.crt")
    run(api, NOW + 2 * OVERLAP)
    assert api.annotations(HERE, CA) == {}
    new = api.values(HERE, CA)["tls.crt"]
    assert new != old
    assert [cas(one) for one in held(api).values()] == [2, 2]
    assert all(is_signed_by(one["tls.crt"].encode(), new.encode()) for one in held(api).values())
    run(api, NOW + 3 * OVERLAP)
    assert [one["ca.crt"] for one in held(api).values()] == [new, new]
    assert api.values(HERE, CA).keys() == {"tls.crt", "tls.key"}


def test_a_run_that_comes_too_soon_after_another_takes_no_step(
    api: KubernetesApi, capsys: pytest.CaptureFixture[str]
) -> None:
    run(api, NOW)
    api.annotate(HERE, CA, RENEW, "tls.crt")
    run(api, NOW + OVERLAP - timedelta(seconds=1))
    assert [cas(one) for one in held(api).values()] == [1, 1]
    assert api.annotations(HERE, CA).keys() == {RENEW}
    assert "tls-ca: what is asked for waits until the last change is everywhere\n" in capsys.readouterr().out


def test_a_ca_that_is_coming_signs_when_people_have_had_notice_and_not_before(
    api: KubernetesApi, capsys: pytest.CaptureFixture[str]
) -> None:
    run(api, NOW)
    old = api.values(HERE, CA)["tls.crt"]
    api.annotate(HERE, CA, RENEW, "tls.crt")
    came = NOW + DAY
    for now in (came, came + DAY, came + NOTICE - timedelta(seconds=1)):
        capsys.readouterr()
        run(api, now)
        assert "tls-ca: another CA is trusted beside it, and signs from 2026-12-27 on\n" in capsys.readouterr().out
        assert api.values(HERE, CA)["tls.crt"] == old
    run(api, came + NOTICE)
    assert api.values(HERE, CA)["tls.crt"] != old
    assert [cas(one) for one in held(api).values()] == [2, 2]


def test_a_ca_is_replaced_when_a_third_of_its_life_is_left_and_long_before_what_it_signs_ends_early(
    api: KubernetesApi,
) -> None:
    run(api, NOW)
    old = api.values(HERE, CA)["tls.crt"]
    due = NOW + CA_LIFE * 2 / 3
    run(api, due - DAY)
    run(api, due)
    run(api, due + NOTICE)
    run(api, due + NOTICE + DAY)
    for one in held(api).values():
        assert old not in one["ca.crt"]
        assert contents(one["tls.crt"].encode(), due).ends - due > LIFE


def test_a_ca_that_has_ended_is_replaced_at_once(api: KubernetesApi) -> None:
    run(api, NOW)
    late = NOW + CA_LIFE + DAY
    run(api, late)
    assert trusts(held(api)["api-tls"], held(api)["nats-tls"], "nats-service", late)


def test_the_ca_of_ray_is_not_replaced_unasked_but_told(api: KubernetesApi, capsys: pytest.CaptureFixture[str]) -> None:
    run(api, NOW)
    ray = api.values(HERE, RAY)
    run(api, NOW + CA_LIFE * 0.7)
    assert api.values(HERE, RAY) == ray
    assert "ray-ca: ends on 2036-11-23, and is made anew only when the annotation iot-system/renew" in (
        capsys.readouterr().out
    )


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from([timedelta(0), OVERLAP / 2, OVERLAP, DAY, NOTICE]),
            st.sampled_from([None, None, CA, "nats-tls"]),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_whatever_is_renewed_nobody_distrusts_who_has_not_seen_it_yet(
    api: KubernetesApi, runs: list[tuple[timedelta, str | None]]
) -> None:
    """A pod may still have what was there `OVERLAP` ago, never what is older."""
    api.secrets.clear()
    now = NOW
    run(api, now)
    seen = [(now, held(api))]
    for later, asked in runs:
        now += later
        if asked is not None:
            api.annotate(HERE, asked, RENEW, "tls.crt")
        run(api, now)
        # What was replaced before `OVERLAP` ago is nowhere any more.
        seen = [one for one, after in zip(seen, [*seen[1:], (now, {})], strict=True) if now - after[0] < OVERLAP]
        seen.append((now, held(api)))
        for _, one in seen:
            for _, other in seen:
                assert trusts(one["api-tls"], other["nats-tls"], "nats-service", now)
                assert trusts(one["nats-tls"], other["api-tls"], "api", now)
