"""zen-engine's decision tables, timed in the peers' own Python: reads a question from stdin, answers on stdout, both JSON."""

import json
import sys
import time
from typing import Any

import zen

MODEL = "detail.model"


def table(rules: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a decision table with a row for each rule, all of whose matches are collected."""
    inputs = [
        {"id": "source", "name": "source", "type": "expression", "field": "source"},
        {"id": "kind", "name": "kind", "type": "expression", "field": "kind"},
        {"id": "model", "name": "model", "type": "expression", "field": MODEL},
    ]
    rows = [
        {
            "_id": str(number),
            "source": json.dumps(rule["source"][0]),
            "kind": json.dumps(rule["detail-type"][0]),
            "model": json.dumps(rule["detail"]["model"][0]),
            "out": str(number),
        }
        for number, rule in enumerate(rules)
    ]
    outputs = [{"id": "out", "name": "number", "type": "expression", "field": "number"}]
    content = {"hitPolicy": "collect", "inputs": inputs, "outputs": outputs, "rules": rows}
    nodes = [
        {"id": "in", "name": "in", "type": "inputNode", "position": {"x": 0, "y": 0}},
        {"id": "table", "name": "table", "type": "decisionTableNode", "content": content, "position": {"x": 1, "y": 0}},
        {"id": "end", "name": "end", "type": "outputNode", "position": {"x": 2, "y": 0}},
    ]
    edges = [
        {"id": "a", "type": "edge", "sourceId": "in", "targetId": "table"},
        {"id": "b", "type": "edge", "sourceId": "table", "targetId": "end"},
    ]
    return {"nodes": nodes, "edges": edges}


def main() -> None:
    """Answer ``{"rules", "events", "calls"}`` with the matching numbers of each event and the microseconds of the first."""
    question = json.load(sys.stdin)
    decision = zen.ZenEngine().create_decision(json.dumps(table(question["rules"])))
    things = [{"source": e["source"], "kind": e["detail-type"], "detail": e["detail"]} for e in question["events"]]
    answers = [[row["number"] for row in decision.evaluate(thing)["result"]] for thing in things]
    started = time.perf_counter()
    for _ in range(question["calls"]):
        decision.evaluate(things[0])
    microseconds = (time.perf_counter() - started) / question["calls"] * 1e6
    json.dump({"answers": answers, "microseconds": microseconds}, sys.stdout)


if __name__ == "__main__":
    main()
