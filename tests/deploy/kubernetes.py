"""Tries the Helm chart on a real Kubernetes API server (without a kubelet): `make kubernetes`.

It checks each step and stops at the first that fails:
1. `helm lint`; values without the required ones are refused.
2. The rendered manifests pass kubernetes-validate --strict for three Kubernetes versions.
3. The API server accepts every manifest in a strict server-side dry run.
4. A projected service-account token that this API server issues authenticates a caller to a token
   authority that fetches the API server's own JWKS.

Needs Go, etcd (Debian's etcd-server) and the packages of tests/requirements.lock; the first run
builds helm and kube-apiserver (tests/deploy/tools.sh).
"""

import asyncio
import json
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import yaml

HERE: Final = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from support.live import live  # noqa: E402  # the path has to be set first
from support.ports import free_port  # noqa: E402
from token_authority_client import (  # noqa: E402
    AsyncTokenAuthorityClient,
    JwtFile,
    Unauthenticated,
)

CHART: Final = HERE.parents[1] / "server/deploy/helm/token-authority"
VERSIONS: Final = ("1.35", "1.36", "1.37")
MODES: Final = ("volume", "stdout", "none")
ISSUER: Final = "https://kubernetes.test"
AUDIENCE: Final = "token-authority"
ADMIN_TOKEN: Final = "throwaway-admin-token"  # of an API server that lives a minute
WORKLOAD: Final = "system:serviceaccount:default:lessons"
CRD_KINDS: Final = ("PrometheusRule", "ServiceMonitor")
"""Kinds that the Prometheus operator defines: this API server does not know them."""


def main() -> None:
    """Runs every step."""
    tools = Path(run([str(HERE / "tools.sh")]).strip())
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        rendered = check_chart(tools / "helm", Path(folder))
        api = stack.enter_context(api_server(tools / "kube-apiserver", Path(folder)))
        for manifests in rendered:
            dry_run(api, manifests)
        asyncio.run(authenticate_a_caller(api, Path(folder)))


def check_chart(helm: Path, folder: Path) -> list[list[dict[str, Any]]]:
    """Lints, renders and validates the chart; returns the manifests of each audit mode."""
    values = HERE / "values.yaml"
    print(run([helm, "lint", CHART, "--values", values]).strip())
    refused = subprocess.run(
        [helm, "template", "x", CHART], capture_output=True, text=True, check=False
    )
    assert refused.returncode != 0
    for value in ("/audit/mode", "/config", "/image/repository", "/tlsSecret"):
        assert f"at '{value}'" in refused.stderr, refused.stderr
    print("helm template without the required values: refused, and each is named")
    rendered = []
    for mode in MODES:
        for version in VERSIONS:
            text = run(
                [helm, "template", "lessons", CHART, "--values", values]
                + ["--set", f"audit.mode={mode}", "--kube-version", version]
            )
            manifests = [one for one in yaml.safe_load_all(text) if one]
            check_monitoring(manifests)
            builtin = [one for one in manifests if one["kind"] not in CRD_KINDS]
            file = folder / "manifests.yaml"
            file.write_text(yaml.safe_dump_all(builtin))
            run(
                [Path(sys.executable).with_name("kubernetes-validate")]
                + ["--strict", "--quiet", "-k", version, file]
            )
            print(
                f"kubernetes-validate --strict {version}, audit.mode={mode}: "
                f"{len(builtin)} manifests valid"
            )
        rendered.append(builtin)
    return rendered


def check_monitoring(manifests: list[dict[str, Any]]) -> None:
    """Checks that rules and dashboard arrive in the cluster as they are in the repository."""
    kinds = {manifest["kind"]: manifest for manifest in manifests}
    alerts = yaml.safe_load((CHART.parents[1] / "alerts.yaml").read_text())
    shown = json.dumps(alerts).replace(".*token-authority.*", "lessons")
    assert kinds["PrometheusRule"]["spec"] == json.loads(shown)
    dashboard = json.loads((CHART.parents[1] / "dashboard.json").read_text())
    texts = [one["data"] for one in manifests if one["kind"] == "ConfigMap"]
    (text,) = [data["token-authority.json"] for data in texts if "token-authority.json" in data]
    assert json.loads(text) == dashboard


class Api:
    """A Kubernetes API server."""

    def __init__(self, port: int) -> None:
        self.url = f"https://127.0.0.1:{port}"
        self._tls = ssl.create_default_context()
        # Its certificate is made at start; nothing but this process is on its address.
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE

    def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Sends a request; returns the answer's JSON.

        Raises:
            urllib.error.HTTPError: It was refused.
        """
        request = urllib.request.Request(  # the URL is this process's own
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={
                "Authorization": f"Bearer {ADMIN_TOKEN}",
                "Content-Type": "application/json",
            },
        )
        with urllib.request.urlopen(request, timeout=10, context=self._tls) as answer:
            parsed: dict[str, Any] = json.load(answer)
            return parsed


@contextmanager
def api_server(binary: Path, folder: Path) -> Generator[Api]:
    """Runs etcd and an API server with RBAC."""
    client, peer, port = free_port(), free_port(), free_port()
    run(["openssl", "genrsa", "-out", folder / "sa.key", "2048"])
    (folder / "tokens.csv").write_text(f"{ADMIN_TOKEN},admin,1,system:masters\n")
    with ExitStack() as stack:
        log = stack.enter_context((folder / "cluster.log").open("w"))

        def start(*command: object) -> None:
            process = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log)
            stack.callback(process.wait, 20)
            stack.callback(process.terminate)

        etcd = f"http://127.0.0.1:{client}"
        start(
            "etcd",
            "--data-dir",
            folder / "etcd",
            "--listen-client-urls",
            etcd,
            "--advertise-client-urls",
            etcd,
            "--listen-peer-urls",
            f"http://127.0.0.1:{peer}",
        )
        start(
            binary,
            f"--etcd-servers={etcd}",
            f"--secure-port={port}",
            "--bind-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
            f"--cert-dir={folder}/certificates",
            f"--service-account-issuer={ISSUER}",
            f"--service-account-key-file={folder}/sa.key",
            f"--service-account-signing-key-file={folder}/sa.key",
            f"--token-auth-file={folder}/tokens.csv",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--anonymous-auth=true",
            "--disable-admission-plugins=ServiceAccount",
        )
        api = Api(port)
        for _ in range(300):
            try:
                version = api.call("GET", "/version")
                api.call("GET", "/api/v1/namespaces/default")
                break
            except (OSError, urllib.error.URLError):
                time.sleep(0.2)
        else:
            raise AssertionError((folder / "cluster.log").read_text()[-3000:])
        print(f"kube-apiserver serves (built with {version['goVersion']})")
        yield api


PLURALS: Final = {
    "ConfigMap": "api/v1/namespaces/default/configmaps",
    "Service": "api/v1/namespaces/default/services",
    "ServiceAccount": "api/v1/namespaces/default/serviceaccounts",
    "Deployment": "apis/apps/v1/namespaces/default/deployments",
    "StatefulSet": "apis/apps/v1/namespaces/default/statefulsets",
    "PodDisruptionBudget": "apis/policy/v1/namespaces/default/poddisruptionbudgets",
    "NetworkPolicy": "apis/networking.k8s.io/v1/namespaces/default/networkpolicies",
}


def dry_run(api: Api, manifests: list[dict[str, Any]]) -> None:
    """Creates manifests in a strict server-side dry run; a made-up field must be refused."""
    for manifest in manifests:
        path = f"/{PLURALS[manifest['kind']]}?dryRun=All&fieldValidation=Strict"
        api.call("POST", path, manifest)
        try:
            api.call("POST", path, {**manifest, "madeUp": 1})
        except urllib.error.HTTPError as error:
            assert error.code == 400, error.code
        else:
            raise AssertionError(f"{manifest['kind']}: a made-up field was accepted")
    print(f"strict dry run: {', '.join(one['kind'] for one in manifests)} accepted")


async def authenticate_a_caller(api: Api, folder: Path) -> None:
    """Issues a token for a service account and calls a token authority with it."""
    account = {"metadata": {"name": "lessons"}}
    api.call("POST", "/api/v1/namespaces/default/serviceaccounts", account)
    path = "/api/v1/namespaces/default/serviceaccounts/lessons/token"
    jwts = {
        audience: api.call("POST", path, {"spec": {"audiences": [audience]}})["status"]["token"]
        for audience in (AUDIENCE, "another-service")
    }
    for audience, jwt in jwts.items():
        (folder / audience).write_text(jwt)
    (folder / "jwks-token").write_text(ADMIN_TOKEN)
    certificate = next((folder / "certificates").glob("apiserver.crt"))
    config = f"""
[server]
listen = ["127.0.0.1:0"]
admin_listen = "127.0.0.1:0"
[authentication.jwt]
issuer = "{ISSUER}"
audience = "{AUDIENCE}"
jwks = "{api.url}/openid/v1/jwks"
jwks_ca = "{certificate}"
jwks_token_file = "{folder}/jwks-token"
[projects.classroom.agora]
app_id = "970ca35de60c44645bbae8a215061b33"
[[projects.classroom.agora.certificates]]
id = "cert-1"
secret = {{ file = "cert" }}
state = "active"
[[callers]]
name = "lessons"
identities = ["jwt:sub={WORKLOAD}"]
[[callers.grants]]
name = "all"
project = "classroom"
tokens = ["rtc"]
roles = ["*"]
channels = ["lesson-*"]
users = ["*"]
"""
    async with live(folder, config) as server:
        for audience in jwts:
            async with AsyncTokenAuthorityClient(
                server.address, credential=JwtFile(folder / audience)
            ) as client:
                try:
                    issued = await client.issue_rtc_token(
                        channel="lesson-1", uid=7, role="publisher"
                    )
                    assert (audience, issued.key_id) == (AUDIENCE, "cert-1")
                    print(f"service-account token for audience {audience}: issued with cert-1")
                except Unauthenticated as error:
                    assert audience != AUDIENCE, error
                    print(f"service-account token for audience {audience}: {error.reason}")


def run(command: list[Any]) -> str:
    """Runs a command; returns its standard output.

    Raises:
        SystemExit: It failed; its output is printed.
    """
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
