"""The plugin as users get it: pytest finds it by its entry point."""

import os
import subprocess
import sys
from pathlib import Path

TEST = """
def test_a_token(token_authority):
    with token_authority.client() as client:
        assert client.issue_chat_token(app=True).token
"""
WITHOUT_SERVER = """
import sys
sys.modules["pydantic"] = None
"""


def pytest_in(folder: Path, *options: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTEST_ADDOPTS": ""},
    )
    return ran.stdout + ran.stderr


def test_the_fixture_is_there_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TEST)
    assert "1 passed" in pytest_in(tmp_path)
    assert "token_authority [session scope] -- " in pytest_in(tmp_path, "--fixtures")


def test_without_the_server_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TEST)
    (tmp_path / "conftest.py").write_text(WITHOUT_SERVER)
    said = pytest_in(tmp_path)
    assert "1 error" in said
    assert "pip install 'agora-token-authority[server]'" in said
    assert "Traceback" not in said


def test_the_plugin_alone_imports_no_client(tmp_path: Path) -> None:
    code = (
        "import sys, token_authority_testing.plugin\n"
        "assert 'grpc' not in sys.modules and 'token_authority_client' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30, cwd=tmp_path)
