"""Builds that are broken in the ways that order paths usually are."""

from __future__ import annotations

from dataclasses import dataclass

from tests.faults.world import Patch

_ORDERS, _GATE, _RECONCILE = "services/orders.py", "services/gate.py", "services/reconcile.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """What is changed; the campaign is the one that a sound build passes.

    lingers  shows only in what is still pending a minute after the storm
    """

    patches: list[Patch]
    lingers: bool = False


SOUND = "sound build"
MUTANTS = {
    "key not journalled": Mutant(
        patches=[
            Patch(_GATE, "idempotency_key=admission.key or None", "idempotency_key=None"),
        ]
    ),
    "blind retry": Mutant(
        patches=[
            Patch(
                _ORDERS,
                "            outcome = call()\n",
                "            outcome = call()\n"
                "            if isinstance(outcome, Ambiguous):\n"
                "                outcome = call()\n",
            )
        ]
    ),
    "unknown told as refused": Mutant(
        patches=[
            Patch(
                "services/settling.py",
                'return IntentState.UNKNOWN, {"words": outcome.words}',
                'return IntentState.REFUSED, {"words": outcome.words, "settled_at": now}',
            )
        ]
    ),
    "one book is enough": Mutant(
        patches=[
            Patch(
                _RECONCILE,
                "enough = _long_enough(intent, entry, broker, now)",
                "enough = True",
            )
        ]
    ),
    "nobody reconciles": Mutant(
        patches=[
            Patch(_RECONCILE, "        for intent in intents:\n            self._settle(intent, book, broker)\n", ""),
        ],
        lingers=True,
    ),
    "any order of the symbol fits": Mutant(
        patches=[
            Patch(_RECONCILE, "if order.client_order_id == intent.id:", "if order.symbol == intent.symbol:"),
        ]
    ),
    "lost senders forgotten": Mutant(
        patches=[
            Patch(
                _RECONCILE,
                "lost = [intent for intent in sending if now - (intent.sent_at or intent.created_at) > ABANDONED]",
                "lost: list[Intent] = sending[:0] if now else []",
            )
        ],
        lingers=True,
    ),
    "unknown change told as done": Mutant(
        patches=[
            Patch(
                "services/settling.py",
                "    if isinstance(outcome, Ambiguous):\n        return IntentState.UNKNOWN",
                "    if isinstance(outcome, Ambiguous) and intent.kind is IntentKind.PLACE:\n"
                "        return IntentState.UNKNOWN",
            ),
            Patch(
                "services/settling.py",
                "    code, words, order_id = _refusal(outcome)\n",
                "    if isinstance(outcome, Ambiguous):\n"
                '        return IntentState.ACCEPTED, {"broker_order_id": intent.target_order_id, "settled_at": now}\n'
                "    code, words, order_id = _refusal(outcome)\n",
            ),
        ]
    ),
}  # fmt: skip


def patches(name: str) -> list[Patch]:
    """What is changed in a build; nothing in the sound one."""
    return [] if name == SOUND else MUTANTS[name].patches
