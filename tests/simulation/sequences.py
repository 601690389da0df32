"""Random sequences of requests for two databases that should answer alike: most make sense, some are odd, some are wrong."""

from __future__ import annotations

from random import Random
from typing import Any

from attrs import define

from tests.simulation.things import INDEX, PLAIN, SORTED, av, item

NUMBERS = [
    "0",
    "-0",
    "1",
    "1.50",
    "007",
    "-3",
    "1e3",
    "1e-3",
    "9" * 38,
    "1e125",
    "1e126",
    "1e-130",
    "1e-131",
    "1" * 39,
    "x",
    "",
]
VALUES: list[dict[str, Any]] = [
    *(av(value) for value in ("", "x", "y", "héllo", True, False, None, [], {}, ["x", 1], {"p": {"q": 1}}, {"x", "y"})),
    *({"N": number} for number in NUMBERS),
    {"NS": ["1", "2.0"]},
    {"NS": ["1", "1.0"]},
    {"SS": []},
    {"S": "x", "N": "1"},
    {},
    {"NULL": False},
]
USUAL: dict[str, list[dict[str, Any]]] = {
    "n": [av(1), av(2.5), av(-3)],
    "s": [av("x"), av("xy")],
    "m": [av({"p": {"q": 1}}), av({"p": 2})],
    "l": [av(["x", 1]), av([])],
    "c": [av({"x", "y"})],
}
"""What most items have, so that most updates can be done."""
NAMES = ["n", "s", "m", "l", "c", "gone"]
PATHS = [*NAMES, "m.p", "m.p.q", "l[0]", "l[5]", "#status", "status"]
FITTING = {"ADD": ["n", "c", "gone", "#status", "m.p"], "DELETE": ["c", "gone"]}
"""The paths that a clause mostly changes."""
COMPARATORS = ["=", "<>", "<", "<=", ">", ">="]
FUNCTIONS = ["attribute_exists({0})", "attribute_not_exists({0})", "attribute_type({0}, :t)", "begins_with({0}, {1})"]
FUNCTIONS += ["contains({0}, {1})", "size({0}) > {1}", "size({0}) = {1}"]
ASSIGNED = ["{0} = {1}", "{0} = {0} + {1}", "{0} = {0} - {1}", "{0} = if_not_exists({0}, {1})", "{0} = list_append({0}, {1})"]
SEQUENCE_REQUESTS = 12

type Request = tuple[str, dict[str, Any]]


@define
class Sequence:
    """One sequence: what its requests may touch are items of its own."""

    random: Random
    prefix: str
    tokens: int = 0

    def requests(self) -> list[Request]:
        """Return the requests, in order."""
        return [getattr(self, self._kind())() for _ in range(SEQUENCE_REQUESTS)]

    def identities(self) -> list[str]:
        """Return the hash keys that the sequence uses."""
        return [f"{self.prefix}{letter}" for letter in "ab"]

    def _kind(self) -> str:
        kinds = [
            "put",
            "put",
            "update",
            "update",
            "update",
            "delete",
            "get",
            "transact",
            "transact",
            "query",
            "index",
            "batch",
        ]
        return self.random.choice(kinds)

    # --- requests ---

    def put(self) -> Request:
        """Put an item, perhaps under a condition."""
        table = self._table()
        return "PutItem", {"TableName": table, "Item": self._item(table), **self._old(), **self._conditioned()}

    def update(self) -> Request:
        """Update an item."""
        table = self._table()
        expression, parts = self._update(), self._condition() if self.random.random() < 0.4 else ""
        wanted = self.random.choice(["NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"])
        places = self._places(expression + " " + parts)
        condition = {"ConditionExpression": parts} if parts else {}
        key = {"TableName": table, "Key": self._key(table)}
        return "UpdateItem", {**key, "UpdateExpression": expression, **condition, **places, "ReturnValues": wanted}

    def delete(self) -> Request:
        """Delete an item, perhaps under a condition."""
        table = self._table()
        return "DeleteItem", {"TableName": table, "Key": self._key(table), **self._old(), **self._conditioned()}

    def get(self) -> Request:
        """Get an item, perhaps a part of it."""
        table = self._table()
        paths = self.random.sample(PATHS, self.random.randrange(3))
        part = {"ProjectionExpression": ", ".join(paths), **self._places(" ".join(paths))} if paths else {}
        return "GetItem", {"TableName": table, "Key": self._key(table), "ConsistentRead": True, **part}

    def transact(self) -> Request:
        """Write one to four items together."""
        actions = [self._action() for _ in range(self.random.randrange(1, 5))]
        token = {"ClientRequestToken": f"{self.prefix}{self.random.randrange(3)}"} if self.random.random() < 0.3 else {}
        return "TransactWriteItems", {"TransactItems": actions, **token}

    def query(self) -> Request:
        """Query the items of one hash key, perhaps filtered."""
        condition = self.random.choice(["", " AND entry < :e", " AND entry BETWEEN :e AND :f", " AND entry = :f"])
        text = f"#log = :log{condition}"
        chosen = self._condition() if self.random.random() < 0.5 else ""
        places = self._places(f"{text} {chosen}")
        more = {"FilterExpression": chosen} if chosen else {}
        order = {"ScanIndexForward": self.random.random() < 0.5, "Limit": self.random.randrange(1, 5)}
        return "Query", {"TableName": SORTED, "KeyConditionExpression": text, **more, **places, **order}

    def index(self) -> Request:
        """Query the index."""
        places = self._places("owner1 = :owner")
        request = {"IndexName": INDEX, "KeyConditionExpression": "owner1 = :owner", **places}
        return "Query", {"TableName": SORTED, **request}

    def batch(self) -> Request:
        """Get several items at once, perhaps one of them twice."""
        keys = [self._key(SORTED) for _ in range(self.random.randrange(1, 4))]
        return "BatchGetItem", {"RequestItems": {SORTED: {"Keys": keys, "ConsistentRead": True}}}

    # --- their parts ---

    def _table(self) -> str:
        return self.random.choice([PLAIN, SORTED])

    def _key(self, table: str) -> dict[str, Any]:
        key = self.random.choice(self.identities())
        if self.random.random() < 0.02:
            return self.random.choice([{}, item(id=""), item(log=key), item(id=5), item(id=key, more=1)])
        return item(id=key) if table == PLAIN else item(log=key, entry=self.random.randrange(1, 4))

    def _item(self, table: str) -> dict[str, Any]:
        whole = self._key(table)
        for name in self.random.sample(NAMES, self.random.randrange(6)):
            usual = USUAL.get(name)
            whole[name] = self.random.choice(usual) if usual and self.random.random() < 0.8 else self._value()
        if self.random.random() < 0.5:
            whole |= item(owner1=f"{self.prefix}o", at1=self.random.choice(["t1", "t2", "t3"]))
        if self.random.random() < 0.03:
            whole["owner1"] = self._value()
        return whole

    def _value(self) -> dict[str, Any]:
        is_plain = self.random.random() < 0.85
        return self.random.choice(VALUES[:14] if is_plain else VALUES)

    def _old(self) -> dict[str, Any]:
        return self.random.choice([{}, {"ReturnValues": "ALL_OLD"}])

    def _conditioned(self) -> dict[str, Any]:
        if self.random.random() < 0.4:
            return {}
        condition = self._condition()
        return {"ConditionExpression": condition, **self._places(condition)}

    def _action(self) -> dict[str, Any]:
        kind = self.random.choice(["Put", "Update", "Update", "Delete", "ConditionCheck"])
        table = self._table()
        parts = self._condition() if kind == "ConditionCheck" or self.random.random() < 0.5 else ""
        expression = self._update() if kind == "Update" else ""
        said = {"ConditionExpression": parts} if parts else {}
        said |= {"UpdateExpression": expression} if expression else {}
        said |= {"ReturnValuesOnConditionCheckFailure": self.random.choice(["ALL_OLD", "NONE"])}
        target = {"Item": self._item(table)} if kind == "Put" else {"Key": self._key(table)}
        return {kind: {"TableName": table, **target, **said, **self._places(f"{expression} {parts}")}}

    def _condition(self, depth: int = 0) -> str:
        chance = self.random.random()
        if depth < 2 and chance < 0.3:
            word = self.random.choice([" AND ", " OR "])
            return f"({self._condition(depth + 1)}){word}{self._condition(depth + 1)}"
        if chance < 0.4:
            return f"NOT {self._condition(depth + 1)}" if depth < 3 else "attribute_exists(n)"
        path, is_plain = self._path(), self.random.random() < 0.95
        if chance < 0.65:
            return f"{path} {self.random.choice(COMPARATORS)} {self.random.choice([':n', ':s'] if is_plain else [':any'])}"
        if chance < 0.75:
            return self.random.choice([f"{path} BETWEEN :low AND :big", f"{path} IN (:n, :s)", f"{path} = :any"])
        function = self.random.choice(FUNCTIONS)
        return function.format(path, ":any" if not is_plain else ":n" if "size" in function else ":s")

    def _path(self) -> str:
        return self.random.choice(PATHS[:-1] if self.random.random() < 0.98 else PATHS)

    def _update(self) -> str:
        clauses, left = [], list(PATHS[:-1])
        for clause in self.random.sample(["SET", "REMOVE", "ADD", "DELETE"], self.random.randrange(1, 3)):
            fitting = [path for path in left if path in FITTING.get(clause, PATHS)] or ["gone"]
            path = self.random.choice(fitting if self.random.random() < 0.95 else PATHS)
            left = [other for other in left if other[0] != path[0]]
            clauses.append(f"{clause} {self._changed(clause, path)}")
        return " ".join(clauses)

    def _changed(self, clause: str, path: str) -> str:
        if clause == "REMOVE":
            return path
        forms = ASSIGNED if path == "n" else [ASSIGNED[0], ASSIGNED[3], ASSIGNED[4 if path == "l" else 0]]
        form = self.random.choice(forms) if clause == "SET" else "{0} {1}"
        fits = ":set" if clause == "DELETE" else ":list" if "list_append" in form else ":n"
        if clause == "ADD" and path == "c":
            fits = ":set"
        is_odd = self.random.random() < 0.04
        return form.format(path, self.random.choice([":n", ":any", ":set", ":list"]) if is_odd else fits)

    def _places(self, text: str) -> dict[str, Any]:
        """Return names and values for the places of expressions; now and then one is missing or too many."""
        known = {":n": av(self.random.randrange(-2, 9)), ":low": av(-1), ":s": av("x"), ":any": self._value(), ":big": av(10)}
        known |= {":t": av(self.random.choice(["N", "S", "M", "L", "SS"])), ":set": av({"x", "z"}), ":list": av(["z"])}
        known |= {":log": av(self.random.choice(self.identities())), ":owner": av(f"{self.prefix}o"), ":e": av(2), ":f": av(3)}
        words = set(text.replace("(", " ").replace(")", " ").replace(",", " ").split())
        places = {place: value for place, value in known.items() if place in words}
        names = {place: name for place, name in {"#status": "status", "#log": "log"}.items() if place in words}
        if self.random.random() < 0.01:
            places[":unused"] = av(1)
        return {
            **({"ExpressionAttributeNames": names} if names else {}),
            **({"ExpressionAttributeValues": places} if places else {}),
        }
