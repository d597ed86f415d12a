"""`manage.py user` gives roles, seats people at accounts, and bars them."""

from __future__ import annotations

from pathlib import Path

from tests.commands.test_broker import manage


def user(data: Path, *words: str) -> tuple[int, str]:
    ran = manage(data, "user", *words, stdin="correct horse battery\n")
    return ran.returncode, ran.stdout + ran.stderr


def test_roles_and_seats_from_the_command_line(tmp_path: Path) -> None:
    assert "added ann (admin)" in user(tmp_path, "add", "ann", "--admin", "--password-stdin")[1]
    assert user(tmp_path, "add", "vic", "--role", "viewer", "--password-stdin") == (0, "added vic (viewer)\n")
    assert user(tmp_path, "role", "vic", "trader", "--account", "1")[0] == 0
    listed = user(tmp_path, "list")[1]
    assert "vic                      trader   at 1 ann/paper" in listed
    assert "ann/paper" in manage(tmp_path, "account", "list", "--user", "vic").stdout
    assert user(tmp_path, "role", "vic", "none", "--account", "1")[0] == 0
    assert "ann/paper" not in user(tmp_path, "list")[1]
    assert user(tmp_path, "bar", "vic")[0] == 0 and "barred" in user(tmp_path, "list")[1]
    for wrong, words in (
        (("role", "ann", "viewer"), "make another administrator first"),
        (("role", "ann", "none"), "--account"),
        (("role", "nobody", "viewer"), "no user named nobody"),
        (("role", "ann", "trader", "--account", "99"), "No such account"),
    ):
        code, said = user(tmp_path, *wrong)
        assert code != 0 and words in said, said
