"""What a deployed stack says about itself: the names of its tables and queues, and which policy it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer
from attrs import frozen

from engine.cli.output import complain
from engine.cli.place import Place
from engine.cli.status import FAILED

NO_SUCH_STACK = "ValidationError"
DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")


@frozen
class Stack:
    """A stack of template.yaml, with its outputs."""

    name: str
    status: str
    outputs: Mapping[str, str]

    def output(self, name: str) -> str:
        """Return an output. Exits where the stack has none of this name."""
        if (value := self.outputs.get(name)) is None:
            complain(
                f"the stack {self.name} ({self.status}) has no output {name}; is it a stack of this project's template.yaml, "
                "deployed with this version or a later one?"
            )
            raise typer.Exit(FAILED)
        return value


def read_stack(place: Place, name: str) -> Stack:
    """Return the stack of this name. Exits where there is none, or where it may not be read."""
    from botocore.exceptions import ClientError  # noqa: PLC0415  heavy, and not needed without a stack

    client = place.client("cloudformation")
    try:
        (found,) = client.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        complain(_refusal(name, client.meta, error))
        raise typer.Exit(FAILED) from error
    finally:
        client.close()
    outputs = {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", ())}
    return Stack(name, str(found.get("StackStatus", "of unknown status")), outputs)


def _refusal(name: str, meta: Any, error: Any) -> str:
    code = error.response.get("Error", {}).get("Code", "")
    if code == NO_SUCH_STACK and "not exist" in str(error):
        return f"there is no stack {name} in {meta.region_name} at {meta.endpoint_url}"
    needed = "; the policy that the stack's output OperatorPolicyArn names allows it" if code in DENIED else ""
    return f"the stack {name} cannot be read: {error}{needed}"
