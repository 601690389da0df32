"""Policies of a seed: right ones with something changed, byte by byte besides, or made from nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from attrs import Factory, define

from tests.policy.fuzzing.huge import HEAD
from tests.policy.fuzzing.trees import CHANGES, ODDER, Random, Tree, block, copied, read_tree
from tests.policy.mutation.run import SHIPPED
from tests.policy.mutation.spread import SPREAD

# --- changes of bytes -------------------------------------------------------------------------------------------------


def splice(rng: Random, data: bytes) -> bytes:
    """Take some bytes away and put others there."""
    at, put = rng.randrange(len(data) + 1), rng.choice((b"", rng.randbytes(3), rng.choice(ODDER).encode()))
    return data[:at] + put + data[at + rng.randrange(4) :]


def move_line(rng: Random, data: bytes) -> bytes:
    """Take a line away, and perhaps put it elsewhere, with another indentation."""
    lines = data.split(b"\n")
    line = lines.pop(rng.randrange(len(lines)))
    lines[(at := rng.randrange(len(lines) + 1)) : at] = rng.choice(([], [line], [b" " + line], [b"\t" + line], [line, line]))
    return b"\n".join(lines)


BYTES: Sequence[Callable[[Random, bytes], bytes]] = (
    splice,
    move_line,
    lambda _rng, data: b"\xef\xbb\xbf" + data,
    lambda _rng, data: data.replace(b"\n", b"\r\n"),
    lambda _rng, data: data.replace(b"  ", b"\t", 3),
    lambda _rng, data: data.decode(errors="replace").encode("utf-16"),
    lambda rng, data: data + rng.choice((b"\n---\n", b"\n...\n", b"\n--- {a: b}\n", b"\n...\nx")) + data,
    lambda rng, data: data[: rng.randrange(len(data) + 1)],
    lambda rng, data: rng.choice((b"%YAML 1.1\n---\n", b"%TAG ! x:\n---\n", b"--- !x\n", b"? ", b"- ", b"&a\n")) + data,
    lambda rng, data: data.replace(
        rng.choice((b":", b"-", b",", b'"', b"{")), rng.choice((b"", b"\xff", b"\xc3", b" ", b"[")), 1
    ),
)


# --- whole files ------------------------------------------------------------------------------------------------------


def bomb(rng: Random) -> str:
    """Return anchors that multiply."""
    wide, high = rng.choice(((2, 70), (10, 12), (300, 3), (1000, 2)))
    lines = [f"a0: &a0 [{'x, ' * wide}]"]
    lines += [f"a{step}: &a{step} [{f'*a{step - 1}, ' * wide}]" for step in range(1, high)]
    return "\n".join(lines)


def soup(rng: Random) -> str:
    """Return signs of YAML in any order."""
    signs = [
        *"abc019.-:,?![]{}&*#|>'\"%@` \n\t",
        ": ",
        "- ",
        "  ",
        "\n- ",
        "\n  ",
        "version: 1\n",
        "<<: ",
        "é",
        "\u2028",
        "\0",
    ]
    return "".join(rng.choices(signs, k=rng.randrange(80)))


def many_mistakes(rng: Random) -> str:
    """Return more mistakes than anyone reads."""
    count = rng.choice((499, 500, 501, 3000))
    return "\n".join(f"{rng.choice(('unknown', 'ovrdraft', 'Rules'))}{index}: 1" for index in range(count))


def many_alternatives(rng: Random) -> str:
    """Return a pattern of up to a thousand combinations, or a few too many."""
    fields = [f"f{field}: {{$or: [{', '.join(f'{{a{index}: [x]}}' for index in range(10))}]}}" for field in range(3)]
    pattern = ", ".join([*fields[: rng.choice((1, 2, 3))], f"$or: [{{b: [x]}}{', {c: [x]}' * rng.choice((0, 1, 9))}]"])
    return f"{HEAD}rules:\n  - {{name: r, match: {{{pattern}}}, action: flag, reason: r}}\n"


def deep_block(rng: Random) -> str:
    """Return mappings within mappings, each in a line of its own."""
    return "".join(f"{' ' * depth}a:\n" for depth in range(rng.choice((60, 64, 65, 600))))


FILES: Sequence[Callable[[Random], str]] = (bomb, soup, soup, soup, many_mistakes, many_alternatives, deep_block)

WHOLE_FILES, OF_BYTES = 0.1, 0.35
"""The shares of policies that are made from nothing, and of those that are changed byte by byte besides."""


@define
class Maker:
    """Makes a policy of a seed, most often of one that is right."""

    models: list[Tree] = Factory(lambda: [read_tree(text) for text in (*(path.read_text() for path in SHIPPED), SPREAD)])

    def make(self, seed: int) -> bytes:
        """Return the policy of a seed."""
        rng = random.Random(seed)  # noqa: S311  nothing here is a secret
        text = rng.choice(FILES)(rng) if rng.random() < WHOLE_FILES else self._changed(rng)
        data = text.encode(errors="surrogatepass")
        if rng.random() < OF_BYTES:
            for change in rng.choices(BYTES, k=rng.choice((1, 1, 2, 5))):
                data = change(rng, data)
        return data

    def _changed(self, rng: Random) -> str:
        tree = copied(rng.choice(self.models))
        assert isinstance(tree, Tree)
        for change in rng.choices(CHANGES, k=rng.choice((1, 1, 2, 3, 6))):
            change(rng, tree)
        return block(tree, depth=rng.choice((0, 1, 2, 3, 9)))
