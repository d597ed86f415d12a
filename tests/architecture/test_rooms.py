"""Who may import whom (docs/architecture.md), and what never appears in a room."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest
from sqlalchemy import DateTime, Numeric

from broker import catalog
from database import migrate
from database.metadata import BY_NAME
from tests.architecture.source import ROOMS, ROOT, at, imports, is_composition_root, python, tree

LOW = {"domain", "broker", "database", "strategies"}
DOORS = {"blueprints", "restx_api", "websocket_proxy"}
MAY = {
    "domain": {"domain"},
    "broker": {"domain", "broker"},
    "database": {"domain", "database"},
    "strategies": {"domain", "strategies"},
    "services": LOW | {"services", "config"},
    **{door: {"domain", "services", "config", door} for door in DOORS},
}
WEB = {"flask", "werkzeug", "flask_login", "flask_restx", "flask_wtf", "flask_limiter"}
ENVIRONMENT = {"environ", "environb", "getenv", "getenvb", "putenv"}
HANDED = {"Settings", "SystemClock"}
OURS = {*ROOMS, "app", "config", "commands", "manage", "tests", "bench"}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_it_may(room: str) -> None:
    wrong = [
        f"{at(path, line)} imports {module}"
        for path in python(room)
        if not is_composition_root(path)
        for line, module in imports(path)
        if module.split(".")[0] in OURS - MAY[room]
    ]
    assert wrong == []


def test_the_domain_needs_nothing_but_python_and_its_records() -> None:
    allowed = sys.stdlib_module_names | {"domain", "msgspec"}
    wrong = [
        f"{at(path, line)} imports {module}"
        for path in python("domain")
        for line, module in imports(path)
        if module.split(".")[0] not in allowed
    ]
    assert wrong == []


def test_flask_stays_at_the_doors() -> None:
    wrong = [
        f"{at(path, line)} imports {module}"
        for path in python(*LOW, "services")
        for line, module in imports(path)
        if module.split(".")[0] in WEB
    ]
    assert wrong == []


def test_only_composition_roots_read_the_environment() -> None:
    wrong = [
        at(path, node.lineno)
        for path in python(*ROOMS)
        if not is_composition_root(path)
        for node in ast.walk(tree(path))
        if _reads_the_environment(node)
    ]
    assert wrong == []


def _reads_the_environment(node: ast.AST) -> bool:
    """`os.environ` and its kin, or more of `config` than the types that services are handed."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
        return node.attr in ENVIRONMENT
    if isinstance(node, ast.ImportFrom):
        names = {alias.name for alias in node.names}
        return bool(
            (node.module == "os" and names & ENVIRONMENT) or (node.module == "config" and names - HANDED)
        )
    return isinstance(node, ast.Import) and "config" in {alias.name for alias in node.names}


def test_no_code_asks_which_broker_it_talks_to() -> None:
    wrong = [
        at(path, node.lineno)
        for path in python(*ROOMS, "commands")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Compare) and _is_about_a_broker([node.left, *node.comparators])
    ]
    assert wrong == []


def _is_about_a_broker(sides: list[ast.expr]) -> bool:
    names = {getattr(side, "attr", getattr(side, "id", "")) for side in sides}
    words = [item for side in sides for item in ast.walk(side) if isinstance(item, ast.Constant)]
    return bool(names & {"broker", "broker_name"}) and any(
        isinstance(w.value, str) and w.value for w in words
    )


def test_services_name_no_broker() -> None:
    brokers = set(catalog.names()) - {"paper"}
    wrong = [
        f"{at(path, node.lineno)} {node.value}"
        for path in python("services")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in brokers
    ]
    assert wrong == []


def test_money_and_time_are_stored_exactly() -> None:
    migrate.load_tables()
    wrong = []
    for metadata in BY_NAME.values():
        for table in metadata.tables.values():
            for column in table.columns:
                kind = getattr(column.type, "impl_instance", column.type)
                if isinstance(kind, (Numeric, DateTime)):
                    wrong.append(f"{table.name}.{column.name}")
    assert wrong == []


def test_the_application_loads_no_broker_and_nothing_heavy() -> None:
    """Also what `create_app` imports when it is called. The paper exchange's own face is the one allowed."""
    code = "import sys, app, blueprints, restx_api.api, services.platform; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    modules = set(loaded.stdout.split())
    assert not modules & {"pandas", "numpy", "scipy", "pyarrow", "duckdb", "alembic", "exchange_calendars"}
    assert not {f"broker.{name}" for name in set(catalog.names()) - {"paper"}} & modules
    assert not any(name.startswith("broker.families.") for name in modules)
