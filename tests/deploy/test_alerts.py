"""Alert rules and dashboard: each alert fires when it should and not when it nearly should."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
import yaml

DEPLOY: Final = Path(__file__).parents[2] / "server/deploy"
RULES: Final = DEPLOY / "alerts.yaml"
GROUPS: Final[list[dict[str, Any]]] = yaml.safe_load(RULES.read_text())["groups"]
ALERTS: Final = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
PAGE: Final = (DEPLOY.parent / "METRICS.md").read_text()
RUNBOOKS: Final = (DEPLOY.parent / "ALERTS.md").read_text()
DASHBOARD: Final = json.loads((DEPLOY / "dashboard.json").read_text())
FOREVER: Final = "x200"
TARGET: Final = 'job="token-authority",instance="a"'
DAY: Final = 86400


def metrics_of(query: str) -> set[str]:
    """Returns the metrics that a query names, histograms without their suffix."""
    query = re.sub(r'"(\\.|[^"\\])*"', "", query)
    query = re.sub(r"\{[^}]*\}|\b(by|on) \([^)]*\)", "", query)
    names = set(re.findall(r"\b(?:token_authority|grpc|process)_\w+|\bup\b", query))
    return {re.sub("_(bucket|sum|count)$", "", name) for name in names}


DOCUMENTED: Final = set(re.findall(r"^\| `(\w+)`", PAGE, re.MULTILINE)) | {"up"}


_Series = tuple[dict[str, str], dict[str, str], int]


class Case(NamedTuple):
    """Series that make an alert fire after some minutes, and nearly equal ones that do not."""

    alert: str
    firing: dict[str, str]
    quiet: dict[str, str]
    minutes: int
    labels: str = TARGET


def gauge(name: str, firing: float, quiet: float, minutes: int, labels: str = "") -> _Series:
    """Returns the firing and the quiet series of a constant gauge."""
    series = f"token_authority_{name}{{{TARGET}{labels}}}"
    return {series: f"{firing}{FOREVER}"}, {series: f"{quiet}{FOREVER}"}, minutes


def counter(name: str, firing: float, quiet: float, minutes: int, labels: str = "") -> _Series:
    """Returns the firing and the quiet series of a counter that grows by so much each minute."""
    series = f"token_authority_{name}{{{TARGET}{labels}}}"
    return {series: f"0+{firing}{FOREVER}"}, {series: f"0+{quiet}{FOREVER}"}, minutes


def calls(status: str, count: int) -> dict[str, str]:
    """Returns calls with a status, so many each minute."""
    labels = f'{TARGET},grpc_method="s/IssueRtcToken",grpc_status="{status}"'
    return {f"grpc_server_call_duration_seconds_count{{{labels}}}": f"0+{count}{FOREVER}"}


def fast(count: int) -> dict[str, str]:
    """Returns calls that were answered within 100 ms, so many each minute."""
    labels = f'{TARGET},grpc_method="s/IssueRtcToken",grpc_status="OK",le="0.1"'
    return {f"grpc_server_call_duration_seconds_bucket{{{labels}}}": f"0+{count}{FOREVER}"}


def lag(within: int) -> dict[str, str]:
    """Returns 100 measurements each minute, of which some are within 100 ms."""
    name = "token_authority_event_loop_lag_seconds_bucket"
    return {
        f'{name}{{{TARGET},le="{bound}"}}': f"0+{count}{FOREVER}"
        for bound, count in {"0.1": within, "1": 100, "+Inf": 100}.items()
    }


REFUSAL: Final = ',caller="c",reason="GRANT_MISSING"'
LIMITED: Final = ',caller="c",reason="RATE_LIMITED"'
STRANGER: Final = ',caller="",reason="CREDENTIAL_MISSING"'
JOB: Final = 'job="token-authority"'
FLIGHT: Final = f"token_authority_calls_in_flight_limit{{{TARGET}}}"
IN_FLIGHT: Final = f"token_authority_calls_in_flight{{{TARGET}}}"
JWKS: Final = f"token_authority_jwks_last_fetch_success_timestamp_seconds{{{TARGET}}}"
FAILING: Final = f'token_authority_degraded{{{TARGET},component="jwks"}}'
EXPIRY: Final = "certificate_not_after_timestamp_seconds"
KEY: Final = ',caller="c",api_key="ci"'
SIGNING: Final = ',project="p",product="agora",key_id="k"'
# promtool's clock starts at 0.
CASES: Final = [
    Case(
        "TokenAuthorityDown",
        {f"up{{{TARGET}}}": f"0{FOREVER}"},
        {f"up{{{TARGET}}}": f"1{FOREVER}", 'up{job="other"}': f"0{FOREVER}"},
        3,
    ),
    Case(
        "TokenAuthorityAbsent",
        {f"up{{{TARGET}}}": f"1{FOREVER}"},
        {f"token_authority_build_info{{{TARGET}}}": f"1{FOREVER}"},
        6,
        "",
    ),
    Case("TokenAuthorityNotReady", *gauge("ready", 0, 1, 3)),
    Case(
        "TokenAuthorityDegraded",
        *gauge("degraded", 1, 0, 6, ',component="clock"'),
        f'{TARGET},component="clock"',
    ),
    Case(
        "TokenAuthorityErrorBudgetBurn",
        calls("OK", 980) | calls("UNAVAILABLE", 20),
        calls("OK", 990) | calls("UNAVAILABLE", 10) | calls("PERMISSION_DENIED", 900),
        70,
        JOB,
    ),
    Case(
        "TokenAuthorityLatencyBudgetBurn",
        calls("OK", 1000) | fast(980),
        calls("OK", 1000) | fast(990),
        70,
        JOB,
    ),
    Case("TokenAuthorityEventLoopLag", lag(98), lag(99), 20),
    Case(
        "TokenAuthorityCallsInFlightHigh",
        {FLIGHT: f"100{FOREVER}", IN_FLIGHT: f"81{FOREVER}"},
        {FLIGHT: f"100{FOREVER}", IN_FLIGHT: f"80{FOREVER}"},
        6,
    ),
    Case(
        "TokenAuthorityCertificateExpiresSoon",
        *gauge(EXPIRY, 14 * DAY, 14 * DAY + 7200, 90, ',certificate="server"'),
        f'{TARGET},certificate="server"',
    ),
    Case(
        "TokenAuthorityCertificateExpires",
        *gauge(EXPIRY, 2 * DAY, 2 * DAY + 3600, 10, ',certificate="client_ca"'),
        f'{TARGET},certificate="client_ca"',
    ),
    Case(
        "TokenAuthorityApiKeyExpiresSoon",
        *gauge("api_key_not_after_timestamp_seconds", 14 * DAY, 14 * DAY + 7200, 90, KEY),
        f"{JOB}{KEY}",
    ),
    Case(
        "TokenAuthoritySigningKeyOld",
        *gauge(
            "signing_key_active_since_timestamp_seconds",
            -365 * DAY - 60,
            -365 * DAY + 7200,
            90,
            SIGNING,
        ),
        f"{JOB}{SIGNING}",
    ),
    Case("TokenAuthorityReloadFailing", *gauge("configuration_last_reload_successful", 0, 1, 6)),
    Case(
        "TokenAuthorityAuditFailing",
        {f'token_authority_degraded{{{TARGET},component="audit"}}': f"1{FOREVER}"},
        {f'token_authority_degraded{{{TARGET},component="clock"}}': f"1{FOREVER}"},
        2,
        f'{TARGET},component="audit"',
    ),
    Case("TokenAuthorityAuditLagging", *gauge("audit_lag_seconds", 1.1, 0.9, 3)),
    Case("TokenAuthorityAuditRecordsLost", *counter("audit_records_lost_total", 1, 0, 10)),
    Case("TokenAuthorityLogLinesDropped", *counter("log_lines_dropped_total", 1, 0, 10)),
    Case(
        "TokenAuthorityUnauthenticatedSurge",
        *counter("refusals_total", 301, 299, 20, STRANGER),
        JOB,
    ),
    Case(
        "TokenAuthorityRefusalsSurge",
        *counter("refusals_total", 61, 59, 20, REFUSAL),
        f'{JOB},caller="c"',
    ),
    Case(
        "TokenAuthorityRateLimited",
        *counter("refusals_total", 7, 5, 20, LIMITED),
        f'{JOB},caller="c"',
    ),
    Case(
        "TokenAuthorityJwksStale",
        {JWKS: f"0{FOREVER}", FAILING: f"1{FOREVER}"},
        {JWKS: f"0{FOREVER}", FAILING: f"0{FOREVER}"},
        40,
    ),
    Case("TokenAuthorityRedisDown", *gauge("redis_up", 0, 1, 6)),
]


def test_every_alert_has_a_case() -> None:
    assert [case.alert for case in CASES] == list(ALERTS)


@pytest.mark.needs("promtool")
def test_each_alert_fires_and_not_for_nearly_the_same(tmp_path: Path) -> None:
    tests = []
    for case in CASES:
        severity = ALERTS[case.alert]["labels"]["severity"]
        labels = f'alertname="{case.alert}",alertstate="firing",severity="{severity}"'
        labels += f",{case.labels}" if case.labels else ""
        for series, fires in ((case.firing, True), (case.quiet, False)):
            expression = f'ALERTS{{alertname="{case.alert}",alertstate="firing"}}'
            samples = [{"labels": f"ALERTS{{{labels}}}", "value": 1}] if fires else []
            tests.append(
                {
                    "interval": "1m",
                    "input_series": [
                        {"series": name, "values": values} for name, values in series.items()
                    ],
                    "promql_expr_test": [
                        {
                            "expr": expression,
                            "eval_time": f"{case.minutes}m",
                            "exp_samples": samples,
                        }
                    ],
                }
            )
    file = tmp_path / "tests.yaml"
    file.write_text(json.dumps({"rule_files": [str(RULES)], "tests": tests}))
    ran = subprocess.run(
        ["promtool", "test", "rules", str(file)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_has_texts_a_runbook_and_known_metrics(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"].keys() == {"summary", "description", "runbook"}
    assert rule["annotations"]["runbook"] == f"server/ALERTS.md#{name.lower()}"
    assert f"\n## {name}\n" in RUNBOOKS
    assert metrics_of(rule["expr"])
    assert metrics_of(rule["expr"]) <= DOCUMENTED


def test_runbooks_are_of_alerts() -> None:
    assert re.findall(r"^## (\w+)$", RUNBOOKS, re.MULTILINE) == list(ALERTS)


def test_the_dashboard_and_the_page_name_known_metrics() -> None:
    queries = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    assert len(queries) > 20
    named = set().union(*map(metrics_of, queries))
    assert named <= DOCUMENTED
    # Every metric of the server itself is on the dashboard or in an alert.
    alerted = set().union(*(metrics_of(rule["expr"]) for rule in ALERTS.values()))
    own = {name for name in DOCUMENTED if name.startswith(("token_authority", "grpc"))}
    assert own <= named | alerted
    for line in PAGE.splitlines():
        if line.startswith("| `"):
            assert metrics_of(line.split("|")[-2]) <= DOCUMENTED
